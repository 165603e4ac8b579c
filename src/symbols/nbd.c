/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images over NBD: see nbd.h. */
#include "symbols/nbd.h"

#include <libnbd.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"

#define PIECE_BYTES  (128u << 10) /* of the cache; a question takes as long as many bytes of answer */
#define CACHE_PIECES 32

struct piece {
	uint64_t number; /* offset / PIECE_BYTES, plus 1; 0: free */
	uint64_t used;	 /* when, for what is dropped first */
	uint8_t *bytes;
};

struct dv_nbd {
	struct nbd_handle *handle;
	uint64_t size;
	uint64_t clock;
	struct piece pieces[CACHE_PIECES];
};

/* A comma in an option's value is written twice. */
static char *image_option(const char *image)
{
	_cleanup_buf_ struct dv_buf option = DV_BUF_INIT;

	dv_buf_printf(&option, "force-share=on,file.driver=file,file.filename=");
	for (; *image; image++)
		dv_buf_printf(&option, *image == ',' ? ",," : "%c", *image);
	return dv_buf_steal_string(&option);
}

static struct dv_error *connect_nbd(const char *image, struct dv_nbd *nbd)
{
	static char program[] = "qemu-nbd", read_only[] = "--read-only", opts[] = "--image-opts", persistent[] = "-e1";
	_cleanup_free_ char *option = image_option(image);
	char *argv[] = {program, read_only, persistent, opts, option, NULL};
	int64_t size;

	nbd->handle = nbd_create();
	if (!nbd->handle || !option)
		return dv_error_no_memory();
	if (nbd_connect_systemd_socket_activation(nbd->handle, argv) < 0)
		return dv_error_new(DV_ERROR_PROTOCOL, "%s: qemu-nbd (qemu-utils) does not serve it: %s", image,
				    nbd_get_error());
	size = nbd_get_size(nbd->handle);
	if (size < 0)
		return dv_error_new(DV_ERROR_PROTOCOL, "%s: %s", image, nbd_get_error());
	nbd->size = (uint64_t)size;
	return NULL;
}

struct dv_error *dv_nbd_open(const char *image, struct dv_nbd **ret)
{
	struct dv_nbd *nbd = calloc(1, sizeof(*nbd));
	struct dv_error *err;

	if (!nbd)
		return dv_error_no_memory();
	err = connect_nbd(image, nbd);
	if (err) {
		dv_nbd_close(nbd);
		return err;
	}
	*ret = nbd;
	return NULL;
}

void dv_nbd_close(struct dv_nbd *nbd)
{
	if (!nbd)
		return;
	if (nbd->handle) {
		nbd_shutdown(nbd->handle, 0);
		nbd_close(nbd->handle); /* ends qemu-nbd, and waits for it */
	}
	for (size_t i = 0; i < CACHE_PIECES; i++)
		free(nbd->pieces[i].bytes);
	free(nbd);
}

uint64_t dv_nbd_size(const struct dv_nbd *nbd)
{
	return nbd->size;
}

static size_t piece_bytes(const struct dv_nbd *nbd, uint64_t number)
{
	uint64_t left = nbd->size - number * PIECE_BYTES;

	return left < PIECE_BYTES ? left : PIECE_BYTES;
}

static struct piece *find_piece(struct dv_nbd *nbd, uint64_t number)
{
	struct piece *oldest = &nbd->pieces[0];

	for (size_t i = 0; i < CACHE_PIECES; i++) {
		struct piece *p = &nbd->pieces[i];

		if (p->number == number + 1)
			return p;
		if (p->used < oldest->used)
			oldest = p;
	}
	if (!oldest->bytes)
		oldest->bytes = malloc(PIECE_BYTES);
	oldest->number = 0;
	if (!oldest->bytes ||
	    nbd_pread(nbd->handle, oldest->bytes, piece_bytes(nbd, number), number * PIECE_BYTES, 0) < 0)
		return NULL;
	oldest->number = number + 1;
	return oldest;
}

bool dv_nbd_read(struct dv_nbd *nbd, uint64_t offset, void *to, size_t len)
{
	if (offset > nbd->size || len > nbd->size - offset)
		return false;
	while (len) {
		uint64_t number = offset / PIECE_BYTES, in_piece = offset % PIECE_BYTES;
		struct piece *p = find_piece(nbd, number);
		size_t n = PIECE_BYTES - in_piece < len ? PIECE_BYTES - in_piece : len;

		if (!p)
			return false;
		p->used = ++nbd->clock;
		memcpy(to, p->bytes + in_piece, n);
		to = (uint8_t *)to + n;
		offset += n;
		len -= n;
	}
	return true;
}
