/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A spool read as it grows: see spool_drain.h. */
#include "plugin/spool_drain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "plugin/spool.h"

#define WAIT_NS 5000000L

struct drain {
	const struct dv_spool_source *source;
	int fd;
	uint64_t offset; /* read so far, all of it taken */
	struct dv_buf in;
	struct dv_event *events;
	size_t events_cap;
};

static void drain_deinit(struct drain *d)
{
	if (d->fd >= 0)
		close(d->fd);
	dv_buf_deinit(&d->in);
	free(d->events);
}

/* The next len bytes, waited for, in `in`. */
static struct dv_error *fill(struct drain *d, size_t len)
{
	const struct timespec wait = {.tv_nsec = WAIT_NS};

	dv_buf_clear(&d->in);
	if (!dv_buf_reserve(&d->in, len))
		return dv_error_no_memory();
	while (d->in.len < len) {
		ssize_t n = pread(d->fd, d->in.data + d->in.len, len - d->in.len, (off_t)d->offset);

		if (n < 0 && errno != EINTR)
			return dv_error_os(errno, "%s: cannot be read", d->source->path);
		if (n > 0) {
			d->in.len += (size_t)n;
			d->offset += (size_t)n;
		} else {
			d->source->take(d->source->context, NULL, 0);
			nanosleep(&wait, NULL);
		}
	}
	return NULL;
}

static struct dv_error *check_header(struct drain *d)
{
	uint64_t slide;

	DV_TRY(fill(d, DV_SPOOL_HEADER_BYTES));
	DV_TRY(dv_spool_get_header(d->in.data, &slide));
	if (slide != d->source->slide)
		return dv_error_new(DV_ERROR_MISMATCH, "%s: the kernel lies at slide 0x%" PRIx64 ", not 0x%" PRIx64, d->source->path,
				    slide, d->source->slide);
	return NULL;
}

static struct dv_error *take_chunk(struct drain *d, struct dv_spool_state *state, bool *ret_more)
{
	uint32_t bytes, count;

	DV_TRY(fill(d, DV_SPOOL_CHUNK_HEADER_BYTES));
	DV_TRY(dv_spool_get_chunk(d->in.data, &bytes, &count));
	*ret_more = count;
	if (!count)
		return NULL;
	if (count > d->events_cap) {
		struct dv_event *events = reallocarray(d->events, count, sizeof(*events));

		if (!events)
			return dv_error_no_memory();
		d->events = events;
		d->events_cap = count;
	}
	DV_TRY(fill(d, bytes));
	DV_TRY(dv_spool_get(state, d->in.data, bytes, d->events, count));
	d->source->take(d->source->context, d->events, count);
	return NULL;
}

struct dv_error *dv_spool_drain(const struct dv_spool_source *source)
{
	_cleanup_(drain_deinit) struct drain d = {.source = source, .fd = open(source->path, O_RDONLY | O_CLOEXEC)};
	_cleanup_free_ struct dv_spool_state *state = calloc(1, sizeof(*state));
	struct dv_error *err;
	bool more = true;

	if (d.fd < 0)
		return dv_error_os(errno, "%s: cannot be opened", source->path);
	if (!state)
		return dv_error_no_memory();
	err = check_header(&d);
	while (!err && more)
		err = take_chunk(&d, state, &more);
	return err;
}
