/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recording as one file, to be replayed elsewhere: a tar archive in zstd (`tar --zstd -xf` unpacks it
 * too), written and read as a stream:
 *
 *	NAME.dejaview/pack.json		what is coming: {schema, dejaview, name, qemu_version, packages: [{package,
 *					version, architecture}], files, bytes, data_bytes}
 *	NAME.dejaview/manifest.json	as in the folder, but base images lie in the folder, too
 *	NAME.dejaview/...		the log, kernel, initrd, overlays, snapshots, base images, trace; of sparse
 *					files only what is there (pax's sparse headers)
 *	NAME.dejaview/SHA256SUMS	of all before it, as sha256sum(1) has them; the last entry
 *
 * Checkpoints are left out: they can be made again. All entries are plain files, one level deep.
 */
#ifndef DV_REPLAY_PACK_H
#define DV_REPLAY_PACK_H

#include "replay/recording.h"

#define DV_PACK_SCHEMA 1
#define DV_PACK_JSON "pack.json"
#define DV_PACK_SUMS "SHA256SUMS"
#define DV_PACK_SUFFIX ".tar.zst"
#define DV_PACK_DEFAULT_LEVEL 6
#define DV_PACK_MAX_LEVEL 19
/* Unpacking writes no more than this unless told to: an archive of a few bytes can hold any amount. */
#define DV_PACK_DEFAULT_MAX_BYTES (64ull << 30)

struct dv_pack_options {
	bool force;	    /* replace what is there */
	bool without_trace; /* packing: it can be made again */
	int level;	    /* of zstd's; 0: DV_PACK_DEFAULT_LEVEL */
	uint64_t max_bytes; /* unpacking; 0: DV_PACK_DEFAULT_MAX_BYTES */
	/* Of the bytes in the files, holes aside. Returns false to give up. May be NULL. */
	bool (*progress)(void *context, const char *name, uint64_t done_bytes, uint64_t total_bytes);
	void *context;
};

struct dv_pack_result {
	uint64_t bytes;	     /* of the files, holes included */
	uint64_t data_bytes; /* of the files, without */
	uint64_t pack_bytes; /* of the archive; 0 for a stream */
};

/*
 * Packs a recording that can be replayed (dv_recording_check()) into file, "-" for stdout. The file appears
 * when it is whole. Base images with a backing chain are flattened into a temporary file beside it.
 * Errors: DV_ERROR_OS, DV_ERROR_INVALID when file exists, DV_ERROR_CANCELLED, and qemu-img's.
 */
struct dv_error *dv_recording_pack(const struct dv_recording *recording, const char *file, const struct dv_pack_options *options,
			 struct dv_pack_result *ret);

/*
 * Unpacks file ("-" for stdin) into folder, NULL for the name in the archive, in the current directory. The
 * folder appears when all is there and its digests are right. What the archive says is not trusted: only
 * plain files of a recording's folder are made, no more than it announced and no more than max_bytes.
 * Opens the recording there. Errors: DV_ERROR_FORMAT, DV_ERROR_TRUNCATED,
 * DV_ERROR_MISMATCH for a wrong digest, DV_ERROR_UNSUPPORTED for a newer schema, DV_ERROR_INVALID,
 * DV_ERROR_CANCELLED, DV_ERROR_OS.
 */
struct dv_error *dv_recording_unpack(const char *file, const char *folder, const struct dv_pack_options *options,
			   struct dv_recording **ret, struct dv_pack_result *ret_sizes);

#endif
