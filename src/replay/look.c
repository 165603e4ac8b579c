/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "replay/look.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "replay/moves.h"

#define QMP_TIMEOUT_MS 20000
#define QUIT_TIMEOUT_MS 60000
#define STUCK_MS 30000
#define MAX_READ_BYTES 4096u

/* ---- the monitor's words ---- */

/* "0000000001a3f000: 0x01 0x02 ...", 8 to a line. */
static struct dv_error *parse_dump(const char *text, uint32_t bytes, struct dv_buf *ret)
{
	uint32_t found = 0;

	for (const char *line = text; *line && found < bytes; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *at = line + strcspn(line, ":\n");

		while (*at == ':' || *at == ' ') {
			char *end;
			unsigned long byte = strtoul(at + 1, &end, 16);

			if (end == at + 1 || byte > 0xff || found == bytes)
				break;
			dv_buf_append(ret, &(uint8_t){(uint8_t)byte}, 1);
			found++;
			at = end;
		}
	}
	return found == bytes ? NULL : dv_error_new(DV_ERROR_PROTOCOL, "QEMU's xp gave %" PRIu32 " of %" PRIu32 " bytes", found,
						    bytes);
}

struct dv_error *dv_machine_read_phys(struct dv_machine *machine, const struct dv_phys_piece *piece,
				      struct dv_buf *ret)
{
	_cleanup_free_ char *text = NULL;
	char line[64];

	if (!piece->bytes || piece->bytes > MAX_READ_BYTES)
		return dv_error_new(DV_ERROR_INVALID, "%" PRIu32 " bytes: 1 to %u can be read", piece->bytes,
				    MAX_READ_BYTES);
	snprintf(line, sizeof(line), "xp /%" PRIu32 "xb 0x%" PRIx64, piece->bytes, piece->phys);
	DV_TRY(dv_qmp_human(machine->qmp, line, QMP_TIMEOUT_MS, &text));
	return parse_dump(text, piece->bytes, ret);
}

struct dv_error *dv_machine_translate(struct dv_machine *machine, uint64_t vaddr, uint64_t *ret_phys)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long phys;
	char line[64];

	snprintf(line, sizeof(line), "gva2gpa 0x%" PRIx64, vaddr);
	DV_TRY(dv_qmp_human(machine->qmp, line, QMP_TIMEOUT_MS, &text));
	if (sscanf(text, "gpa: %llx", &phys) != 1)
		return dv_error_new(DV_ERROR_FAULT, "0x%" PRIx64 " is not mapped there", vaddr);
	*ret_phys = phys;
	return NULL;
}

/* ---- the replay ---- */

static bool go_on(void *context, uint64_t icount)
{
	const struct dv_look *look = context;

	return !look->progress || look->progress(look->context, icount);
}

static struct dv_error *read_all(int fd, struct dv_buf *ret)
{
	struct stat st;
	uint8_t *to;
	ssize_t n;

	if (fstat(fd, &st))
		return dv_error_os(errno, "the plugin's records cannot be read");
	while (ret->len < (size_t)st.st_size) {
		to = dv_buf_reserve(ret, (size_t)st.st_size - ret->len);
		if (!to)
			return dv_error_no_memory();
		n = pread(fd, to, (size_t)st.st_size - ret->len, (off_t)ret->len);
		if (n <= 0)
			return dv_error_os(n ? errno : EIO, "the plugin's records cannot be read");
		ret->len += (size_t)n;
	}
	return NULL;
}

static struct dv_error *read_records(int fd, const struct dv_look *look, struct dv_buf *ret)
{
	_cleanup_buf_ struct dv_buf file = DV_BUF_INIT;
	uint64_t magic, kind;
	struct dv_cursor c;

	DV_TRY(read_all(fd, &file));
	c = dv_cursor_make(file.data, file.len);
	magic = dv_cursor_u64(&c);
	if (c.truncated || magic != DV_CAPTURE_MAGIC)
		return dv_error_new(DV_ERROR_FORMAT, "the plugin is not of this version of dejaview");
	while (dv_cursor_left(&c) > sizeof(kind)) {
		const uint8_t *record;
		uint64_t icount;

		memcpy(&kind, c.pos, sizeof(kind));
		record = dv_cursor_take(&c, dv_capture_record_bytes(kind));
		if (c.truncated || !dv_capture_record_bytes(kind))
			break; /* QEMU was cut off in the middle of one */
		memcpy(&icount, record + offsetof(struct dv_capture_record, write.icount), sizeof(icount));
		if (icount >= look->from_icount && icount < look->to_icount)
			dv_buf_append(ret, record, dv_capture_record_bytes(kind));
	}
	return ret->failed ? dv_error_no_memory() : NULL;
}

/* All pieces, one after the other. */
static struct dv_error *read_memory(struct dv_machine *machine, const struct dv_look *look, struct dv_buf *ret)
{
	for (size_t i = 0; i < look->pieces_len; i++)
		DV_TRY(dv_machine_read_phys(machine, &look->pieces[i], ret));
	return ret->failed ? dv_error_no_memory() : NULL;
}

static struct dv_error *look_with(struct dv_machine *machine, const struct dv_look *look, int records,
				  struct dv_look_result *result)
{
	const struct dv_moves moves = {.stuck_ms = STUCK_MS, .go_on = go_on, .context = (void *)look};

	if (look->from_icount)
		DV_TRY(dv_machine_run_to(machine, &moves, look->from_icount, NULL));
	DV_TRY(read_memory(machine, look, &result->before));
	DV_TRY(dv_machine_run_to(machine, &moves, look->to_icount, NULL));
	DV_TRY(read_memory(machine, look, &result->after));
	DV_TRY(dv_machine_quit(machine, QUIT_TIMEOUT_MS));
	return read_records(records, look, &result->records);
}

struct dv_error *dv_look_run(const struct dv_recording *recording, const struct dv_look *look,
			     struct dv_look_result *ret)
{
	_cleanup_machine_ struct dv_machine machine = DV_MACHINE_INIT;
	_cleanup_close_ int records = memfd_create("dejaview-look", MFD_CLOEXEC);
	_cleanup_free_ char *plugin = NULL;
	char out[64];
	struct dv_look_result result = {.records = DV_BUF_INIT, .before = DV_BUF_INIT, .after = DV_BUF_INIT};
	struct dv_machine_options options = {.mode = DV_QEMU_REPLAY, .qemu = look->qemu, .paused = true};
	const struct dv_checkpoint *checkpoint;
	const char *plugin_options[] = {look->option, out, NULL};
	struct dv_error *err;

	DV_TRY(dv_plugin_find(&plugin));
	options.plugin = plugin;
	options.plugin_options = plugin_options;
	if (look->checkpoints && look->checkpoints->layers) {
		checkpoint = dv_checkpoints_before(look->checkpoints, look->from_icount);
		options.checkpoints = look->checkpoints;
		options.snapshot = checkpoint ? checkpoint->name : NULL;
	}
	if (records < 0)
		return dv_error_os(errno, "no memory file for the plugin's records");
	/* QEMU is a child of ours: it may open what we have. */
	snprintf(out, sizeof(out), "out=/proc/%d/fd/%d", (int)getpid(), records);
	DV_TRY(dv_machine_start(recording, &options, &machine));
	err = look_with(&machine, look, records, &result);
	if (err) {
		dv_look_result_deinit(&result);
		return err;
	}
	*ret = result;
	return NULL;
}

const struct dv_capture_record *dv_look_next(const struct dv_look_result *result, size_t *offset)
{
	const struct dv_capture_record *record = (const void *)(result->records.data + *offset);

	if (*offset >= result->records.len)
		return NULL;
	*offset += dv_capture_record_bytes(record->kind);
	return record;
}

void dv_look_result_deinit(struct dv_look_result *result)
{
	dv_buf_deinit(&result->records);
	dv_buf_deinit(&result->before);
	dv_buf_deinit(&result->after);
}
