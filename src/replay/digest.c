/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <sys/stat.h>

#define CHUNK_BYTES (1u << 20)

struct dv_error *dv_digest_file(const char *path,
				void (*progress)(void *context, const char *what, uint64_t done_bytes,
						 uint64_t total_bytes),
				void *context, char ret[static DV_DIGEST_TEXT])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ uint8_t *chunk = malloc(CHUNK_BYTES);
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx sha;
	uint64_t done = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return dv_error_os(errno, "%s", path);
	if (!chunk)
		return dv_error_no_memory();
	sha256_init(&sha);
	for (;;) {
		ssize_t n = read(fd, chunk, CHUNK_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dv_error_os(errno, "%s: cannot read", path);
		if (n == 0)
			break;
		sha256_update(&sha, (size_t)n, chunk);
		done += (uint64_t)n;
		if (progress)
			progress(context, path, done, (uint64_t)st.st_size);
	}
	sha256_digest(&sha, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
	return NULL;
}
