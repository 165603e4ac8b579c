/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's version; see probe.h. */
#include "qemu/probe.h"

#include <string.h>
#include "base/buf.h"
#include "qemu/process.h"

#define ANSWER_TIMEOUT_MS 10000
#define MAX_OUTPUT 65536

void dv_qemu_version_deinit(struct dv_qemu_version *version)
{
	free(version->text);
	*version = (struct dv_qemu_version){0};
}

struct dv_error *dv_qemu_version_parse(const char *binary, const char *text, struct dv_qemu_version *ret)
{
	struct dv_qemu_version version = {0};
	size_t line = strcspn(text, "\r\n");
	const char *at = strstr(text, "QEMU emulator version ");

	if (!at || (size_t)(at - text) > line ||
	    sscanf(at, "QEMU emulator version %u.%u.%u", &version.major, &version.minor, &version.micro) < 2)
		return dv_error_new(DV_ERROR_FORMAT, "%s is no QEMU system emulator: -version says \"%.*s\"",
				    binary, (int)(line < 200 ? line : 200), text);
	if (version.major < DV_QEMU_MIN_MAJOR ||
	    (version.major == DV_QEMU_MIN_MAJOR && version.minor < DV_QEMU_MIN_MINOR))
		return dv_error_new(DV_ERROR_UNSUPPORTED,
				    "%s is QEMU %u.%u.%u; recording needs %d.%d or newer. On Debian 12: "
				    "apt-get install -t bookworm-backports qemu-system-x86 qemu-utils",
				    binary, version.major, version.minor, version.micro, DV_QEMU_MIN_MAJOR,
				    DV_QEMU_MIN_MINOR);
	version.text = strndup(text, line);
	if (!version.text)
		return dv_error_no_memory();
	*ret = version;
	return NULL;
}

struct dv_error *dv_qemu_probe(const char *binary, struct dv_qemu_version *ret)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT, help = DV_BUF_INIT;
	_cleanup_free_ char *text = NULL, *options = NULL;
	char *const version_argv[] = {(char *)binary, (char *)"-version", NULL};
	char *const help_argv[] = {(char *)binary, (char *)"-help", NULL};
	struct dv_qemu_version version;
	struct dv_error *err = dv_process_ask(version_argv, MAX_OUTPUT, ANSWER_TIMEOUT_MS, &out);

	if (err && err->code == DV_ERROR_NOT_FOUND) {
		dv_error_destroy(err);
		return dv_error_new(DV_ERROR_NOT_FOUND,
				    "%s: no such program: install QEMU (Debian's package qemu-system-x86), or name it with --qemu",
				    binary);
	}
	DV_TRY(err);
	text = dv_buf_steal_string(&out);
	if (!text)
		return dv_error_no_memory();
	DV_TRY(dv_qemu_version_parse(binary, text, &version));
	err = dv_process_ask(help_argv, MAX_OUTPUT * 4, ANSWER_TIMEOUT_MS, &help);
	if (err && err->code == DV_ERROR_TIMEOUT)
		return err;
	dv_error_destroy(err);
	options = dv_buf_steal_string(&help);
	version.plugins = options && strstr(options, "\n-plugin ");
	*ret = version;
	return NULL;
}
