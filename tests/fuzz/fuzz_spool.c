/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A spool's bytes: header and chunks as they come. What parses is written again, and must come out the same. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "plugin/spool.h"

#define MAX_EVENTS 4096u

static void check_again(const struct dv_event *events, size_t count)
{
	struct dv_spool_state *writer = calloc(1, sizeof(*writer)), *reader = calloc(1, sizeof(*reader));
	struct dv_event *again = calloc(count, sizeof(*again));
	struct dv_buf bytes = DV_BUF_INIT;
	uint32_t len, n;

	if (!writer || !reader || !again)
		abort();
	dv_spool_put(writer, &bytes, events, count);
	dv_error_destroy(dv_spool_get_chunk(bytes.data, &len, &n));
	if (n != count || dv_spool_get(reader, bytes.data + DV_SPOOL_CHUNK_HEADER_BYTES, len, again, count))
		abort();
	for (size_t i = 0; i < count; i++) {
		if (again[i].head != events[i].head || again[i].b != events[i].b ||
		    (dv_event_kind(&events[i]) < DV_EVENT_SWITCH && again[i].a != events[i].a))
			abort();
		dv_spool_free_payload(&again[i]);
	}
	dv_buf_deinit(&bytes);
	free(again);
	free(reader);
	free(writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dv_spool_state *state = calloc(1, sizeof(*state));
	struct dv_error *err = NULL;
	uint32_t len, count;
	uint64_t slide;

	if (!state)
		abort();
	if (size >= DV_SPOOL_HEADER_BYTES) {
		err = dv_spool_get_header(data, &slide);
		data += DV_SPOOL_HEADER_BYTES;
		size -= DV_SPOOL_HEADER_BYTES;
	}
	while (!err && size >= DV_SPOOL_CHUNK_HEADER_BYTES) {
		struct dv_event *events;

		err = dv_spool_get_chunk(data, &len, &count);
		data += DV_SPOOL_CHUNK_HEADER_BYTES;
		size -= DV_SPOOL_CHUNK_HEADER_BYTES;
		if (err || !count || len > size || count > MAX_EVENTS)
			break;
		events = calloc(count, sizeof(*events));
		if (!events)
			abort();
		err = dv_spool_get(state, data, len, events, count);
		if (!err)
			check_again(events, count);
		free(events);
		data += len;
		size -= len;
	}
	dv_error_destroy(err);
	free(state);
	return 0;
}
