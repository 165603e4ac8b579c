/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the files of a guest can be had without asking it: a folder that is like its root, the initramfs
 * that it was given, its disk images. Asked in this order; each is only read. One thread at a time.
 */
#ifndef DV_SYMBOLS_FILES_H
#define DV_SYMBOLS_FILES_H

#include "base/buf.h"
#include "symbols/object.h"

struct dv_files_options {
	const char *sysroot;	  /* NULL: none, as for the next two */
	const char *initrd;
	const char *const *disks; /* NULL-terminated; raw, qcow2 and what else QEMU reads */
	const char *debug_folder; /* as /usr/lib/debug, or what has that in it: debug files by build id. NULL: none */
};

struct dv_files;

/* A file as the guest's kernel knows it. */
struct dv_file_name {
	const char *path;	/* absolute */
	uint64_t device, inode; /* 0: not known */
};

/*
 * Opens what can be opened. A source that cannot does not stop the others: ret_complaints gets an error
 * for it, or NULL when all went well.
 */
struct dv_error *dv_files_open(const struct dv_files_options *options, struct dv_files **ret,
			       struct dv_error **ret_complaints);
void dv_files_close(struct dv_files *files);
DV_DEFINE_CLEANUP(struct dv_files, dv_files_close);

/* The symbols of a file, with those of its debug file (under usr/lib/debug, by build id or debug link) in
 * any of the sources or of this machine. ret is NULL when no source has the file. Errors: DV_ERROR_FORMAT,
 * DV_ERROR_OS, naming source and file. */
struct dv_error *dv_files_object(struct dv_files *files, const struct dv_file_name *name, struct dv_object **ret);

/* A file as a debugger wants it: its bytes, and those of its debug file. */
struct dv_file_copy {
	struct dv_buf bytes, debug; /* bytes is empty when no source has the file, debug when there is none */
	char *debug_name;	    /* by the file's debug link; NULL: it has none */
	struct dv_buf alt;	    /* what dwz(1) took out of one of them, or empty */
	char *alt_build_id;	    /* of that; NULL: it is not there */
};

/* Errors: DV_ERROR_OS. What is no ELF file is copied all the same. */
struct dv_error *dv_files_copy(struct dv_files *files, const struct dv_file_name *name, struct dv_file_copy *ret);
void dv_file_copy_deinit(struct dv_file_copy *copy);

#endif
