/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines as records and as Perfetto's process tree: see commands.h. */
#include "trace/commands.h"

#include <string.h>
#include "trace/console.h"
#include "trace/fields.h"

static void put_arguments(struct dv_buf *buf, uint32_t field, const char *arguments, size_t len)
{
	_cleanup_buf_ struct dv_buf text = DV_BUF_INIT;

	for (size_t from = 0, end; from <= len; from = end + 1) {
		const char *nul = from < len ? memchr(arguments + from, 0, len - from) : NULL;

		end = nul ? (size_t)(nul - arguments) : len;
		dv_buf_clear(&text);
		console_put_utf8(&text, arguments + from, end - from);
		proto_bytes(buf, field, text.len ? (const char *)text.data : "", text.len);
	}
	buf->failed |= text.failed;
}

void command_put(struct dv_buf *buf, uint64_t icount, uint64_t thread_id, const char *arguments, size_t len)
{
	size_t record = proto_open(buf, BLOCK_COMMAND);

	proto_uint(buf, COMMAND_ICOUNT, icount);
	proto_uint(buf, COMMAND_THREAD, thread_id);
	put_arguments(buf, COMMAND_ARGUMENT, arguments, len);
	proto_close(buf, record);
}

void command_put_process(struct dv_buf *packets, uint64_t icount, int32_t pid, int32_t parent_pid,
			 const char *arguments, size_t len)
{
	size_t packet = proto_open(packets, TRACE_PACKET), tree, process;

	proto_uint(packets, PACKET_SEQUENCE_ID, SEQUENCE_ID);
	proto_uint(packets, PACKET_TIMESTAMP, icount);
	proto_uint(packets, PACKET_CLOCK_ID, CLOCK_BOOTTIME);
	tree = proto_open(packets, PACKET_PROCESS_TREE);
	process = proto_open(packets, TREE_PROCESS);
	proto_uint(packets, TREE_PROCESS_PID, (uint32_t)pid);
	proto_uint(packets, TREE_PROCESS_PARENT, (uint32_t)parent_pid);
	put_arguments(packets, TREE_PROCESS_ARGUMENT, arguments, len);
	proto_close(packets, process);
	proto_close(packets, tree);
	proto_close(packets, packet);
}

void command_parse(struct dv_cursor c, uint64_t *ret_icount, uint64_t *ret_thread_id, struct dv_buf *text)
{
	bool is_first = true;
	struct proto_field f;

	while (proto_next(&c, &f)) {
		if (f.number == COMMAND_ICOUNT)
			*ret_icount = f.value;
		else if (f.number == COMMAND_THREAD)
			*ret_thread_id = f.value;
		if (f.number != COMMAND_ARGUMENT || !f.data)
			continue;
		if (!is_first)
			dv_buf_append(text, " ", 1);
		dv_buf_append(text, f.data, f.len);
		is_first = false;
	}
}
