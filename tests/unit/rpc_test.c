/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon's protocol: what is let in, and what binary frames look like. */
#include "rpc/protocol.h"
#include "test.h"
#include "trace/format.h"

static struct dv_error *check(const char *method, const char *params)
{
	json_t *json = json_loads(params, JSON_DECODE_ANY, NULL);
	struct dv_error *err;

	CHECK(json);
	err = dv_rpc_check_params(dv_rpc_method_find(method), json);
	json_decref(json);
	return err;
}

TEST(methods_are_found)
{
	for (size_t i = 0; i < DV_RPC_METHODS; i++) {
		CHECK(dv_rpc_method_find(dv_rpc_methods[i].name) == &dv_rpc_methods[i]);
		CHECK(dv_rpc_methods[i].is_debugger == (dv_rpc_methods[i].number >= 900));
	}
	CHECK(!dv_rpc_method_find("no"));
	CHECK(!dv_rpc_method_find(""));
}

TEST(kinds_are_the_traces_own)
{
	static const char *const kinds[] = DV_SLICE_KIND_NAMES;

	CHECK_EQ(DV_ARRAY_SIZE(kinds), DV_ARRAY_SIZE(dv_rpc_slice_kind_names));
	for (size_t i = 0; i < DV_ARRAY_SIZE(kinds); i++)
		CHECK_STR(dv_rpc_slice_kind_names[i], kinds[i]);
	CHECK_EQ(DV_RPC_SPACE_KERNEL, DV_FUNCTION_KERNEL);
	CHECK_EQ(DV_RPC_SPACE_MODULE, DV_FUNCTION_MODULE);
	CHECK_EQ(DV_RPC_SPACE_USER, DV_FUNCTION_USER);
	CHECK_EQ(DV_RPC_SPACE_FIRMWARE, DV_FUNCTION_FIRMWARE);
}

TEST(parameters_that_fit)
{
	CHECK_OK(check("hello", "{}"));
	CHECK_OK(check("hello", "{\"client\": \"x\", \"unknown\": null}"));
	CHECK_OK(check("slice", "{\"key\": {\"start\": 9007199254740992, \"utid\": 0, \"depth\": 3}}"));
	CHECK_OK(check("timeline", "{\"tracks\": [], \"from\": 0, \"to\": 1, \"bucket\": 0}"));
	CHECK_OK(check("searchNext", "{\"glob\": \"\", \"direction\": \"next\"}"));
	CHECK_OK(check("replay.memory", "{\"address\": \"0xffffffff81000000\", \"size\": 1}"));
	CHECK_OK(check("query", "{\"sql\": \"\", \"timeout\": 0.5}"));
}

TEST(parameters_that_do_not)
{
	CHECK_ERROR(check("hello", "[]"), DV_ERROR_INVALID, "params should be an object");
	CHECK_ERROR(check("hello", "{\"client\": 1}"), DV_ERROR_INVALID,
		    "params: client: should be a string without NUL");
	CHECK_ERROR(check("hello", "{\"client\": null}"), DV_ERROR_INVALID,
		    "params: client: should be a string without NUL");
	CHECK_ERROR(check("query", "{}"), DV_ERROR_INVALID, "params: sql: is missing");
	CHECK_ERROR(check("slice", "{\"key\": {\"start\": 1, \"utid\": -1, \"depth\": 3}}"), DV_ERROR_INVALID,
		    "params: key: utid: should be an integer from 0 to 2^53");
	CHECK_ERROR(check("slice", "{\"key\": {\"start\": 9007199254740993, \"utid\": 0, \"depth\": 3}}"),
		    DV_ERROR_INVALID, "params: key: start: should be an integer from 0 to 2^53");
	CHECK_ERROR(check("slice", "{\"key\": 3}"), DV_ERROR_INVALID, "params: key: should be an object");
	CHECK_ERROR(check("timeline", "{\"tracks\": 1, \"from\": 0, \"to\": 1, \"bucket\": 0}"), DV_ERROR_INVALID,
		    "params: tracks: should be an array");
	CHECK_ERROR(check("timeline", "{\"tracks\": [1, \"2\"], \"from\": 0, \"to\": 1, \"bucket\": 0}"),
		    DV_ERROR_INVALID, "params: tracks: item 1: should be an integer from 0 to 2^53");
	CHECK_ERROR(check("searchNext", "{\"glob\": \"\", \"direction\": \"up\"}"), DV_ERROR_INVALID,
		    "params: direction: should be one of its words");
	for (size_t i = 0; i < 6; i++) {
		static const char *const bad[] = {"", "0x", "x1", "0x1g", "0x12345678901234567", "00x1"};
		char params[80];

		snprintf(params, sizeof(params), "{\"address\": \"%s\", \"size\": 1}", bad[i]);
		CHECK_ERROR(check("replay.memory", params), DV_ERROR_INVALID,
			    "params: address: should be an address: a string of 0x and up to 16 hexadecimal digits");
	}
}

TEST(frames_are_laid_out_for_typed_arrays)
{
	static const uint8_t widths[] = DV_FRAME_TIMELINE_COLUMNS;
	const struct dv_rpc_frame frame = {DV_FRAME_TIMELINE, .request = 7, .rows = 3, .track = 5, .extra = 9,
				       .base_icount = 1e15};
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;
	uint64_t want = DV_FRAME_HEADER_BYTES;
	void *columns[8];
	double base;

	CHECK_OK(dv_frame_begin(&buf, &frame, widths, columns));
	CHECK(!memcmp(buf.data, "DVF1\1\0\0\0\7\0\0\0\3\0\0\0", 16));
	memcpy(&base, buf.data + 16, 8);
	CHECK(base == 1e15);
	CHECK(!memcmp(buf.data + 24, "\5\0\0\0\11\0\0\0", 8));
	for (size_t i = 0; widths[i]; i++) {
		CHECK_EQ((uint8_t *)columns[i] - buf.data, want);
		want += (3 * widths[i] + 7) / 8 * 8;
	}
	CHECK_EQ(buf.len, want);
}

TEST(input_frames)
{
	uint8_t bytes[DV_FRAME_HEADER_BYTES + 8] = "DVF1\21\0\0\0\0\0\0\0\3\0\0\0";
	const uint8_t *input;
	struct dv_rpc_frame frame;

	memcpy(bytes + 24, "\2", 1);
	memcpy(bytes + DV_FRAME_HEADER_BYTES, "abc", 3);
	CHECK_OK(dv_frame_parse_input(bytes, sizeof(bytes), &frame, &input));
	CHECK_EQ(frame.track, 2);
	CHECK_EQ(frame.rows, 3);
	CHECK(!memcmp(input, "abc", 3));
	CHECK_ERROR(dv_frame_parse_input(bytes, DV_FRAME_HEADER_BYTES + 2, &frame, &input), DV_ERROR_FORMAT,
		    "a binary frame of 34 bytes is cut short");
	CHECK_ERROR(dv_frame_parse_input(NULL, 0, &frame, &input), DV_ERROR_FORMAT,
		    "a binary frame of 0 bytes is cut short");
	bytes[4] = 1;
	CHECK_ERROR(dv_frame_parse_input(bytes, sizeof(bytes), &frame, &input), DV_ERROR_FORMAT,
		    "a binary frame of magic 0x31465644 and kind 1; clients send 0x31465644 and 17 (input)");
}
