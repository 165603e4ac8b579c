/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instructions and bytes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "dap/private.h"

#define MAX_INSN_BYTES 15
#define MAX_INSTRUCTIONS 4096
#define MAX_READ_BYTES (1 << 20)

/* "0x1234", or what gdb makes of an expression. */
static struct dv_error *to_address(struct adapter *a, const char *reference, uint64_t *ret)
{
	json_t *answer = NULL;
	_cleanup_free_ char *quoted = NULL, *expression = NULL;
	char *end;

	*ret = strtoull(reference, &end, 0);
	if (end != reference && !*end)
		return NULL;
	if (asprintf(&expression, "(unsigned long)(%s)", reference) < 0)
		return dv_error_no_memory();
	quoted = dv_mi_quote(expression);
	if (!quoted)
		return dv_error_no_memory();
	DV_TRY(dap_mi(a, &answer, "-data-evaluate-expression %s", quoted));
	*ret = strtoull(dap_string(answer, "value") ?: "0", NULL, 0);
	json_decref(answer);
	return NULL;
}

/* With its function's name where that begins, and at the head of a list. */
static json_t *to_instruction(const json_t *insn, bool is_head)
{
	const char *function = dap_string(insn, "func-name"), *opcodes = dap_string(insn, "opcodes");
	const char *offset = dap_string(insn, "offset") ?: "0";
	json_t *json = json_pack("{s:s, s:s}", "address", dap_string(insn, "address") ?: "0x0", "instruction",
				 dap_string(insn, "inst") ?: "?");

	if (function && !strcmp(offset, "0"))
		json_object_set_new(json, "symbol", json_string(function));
	else if (function && is_head)
		json_object_set_new(json, "symbol", json_sprintf("%s+%s", function, offset));
	if (opcodes)
		json_object_set_new(json, "instructionBytes", json_string(opcodes));
	return json;
}

static json_t *no_instruction(uint64_t address)
{
	return json_pack("{s:o, s:s, s:s}", "address", json_sprintf("0x%" PRIx64, address), "instruction", "??",
			 "presentationHint", "invalid");
}

/*
 * x86 code cannot be read backward: it is disassembled from a place before, the function's start where
 * there is one, up to the address wanted. *ret_at is that one's index in ret.
 */
static struct dv_error *disassemble_around(struct adapter *a, uint64_t address, int64_t before, int64_t count, json_t **ret,
					   size_t *ret_at)
{
	uint64_t start = address, end = address + (uint64_t)(count > 0 ? count : 1) * MAX_INSN_BYTES;
	json_t *answer = NULL, *insns, *insn;
	struct dv_error *err;
	size_t i;

	if (before > 0 && !dap_mi(a, &answer, "-data-disassemble -a 0x%" PRIx64 " -- 0", address)) {
		insn = json_array_get(json_object_get(answer, "asm_insns"), 0);
		start = strtoull(dap_string(insn, "address") ?: "0", NULL, 0) ?: address;
		json_decref(answer);
		answer = NULL;
		if (start > address || address - start > (uint64_t)MAX_INSTRUCTIONS * MAX_INSN_BYTES)
			start = address;
	}
	err = dap_mi(a, &answer, "-data-disassemble -s 0x%" PRIx64 " -e 0x%" PRIx64 " -- 2", start, end);
	if (err)
		return err;
	insns = json_incref(json_object_get(answer, "asm_insns"));
	json_decref(answer);
	*ret_at = 0;
	json_array_foreach(insns, i, insn) {
		if (strtoull(dap_string(insn, "address") ?: "0", NULL, 0) <= address)
			*ret_at = i;
	}
	*ret = insns;
	return NULL;
}

struct dv_error *dap_disassemble(struct adapter *a, const json_t *arguments, json_t *body)
{
	int64_t first = dap_integer(arguments, "instructionOffset", 0), count = dap_integer(arguments, "instructionCount", 0);
	json_t *list = json_array(), *insns = NULL;
	uint64_t address;
	struct dv_error *err;
	size_t at = 0;

	json_object_set_new(body, "instructions", list);
	if (count < 0 || count > MAX_INSTRUCTIONS || first < -MAX_INSTRUCTIONS || first > MAX_INSTRUCTIONS)
		return dv_error_new(DV_ERROR_INVALID, "up to %d instructions are shown", MAX_INSTRUCTIONS);
	DV_TRY(to_address(a, dap_string(arguments, "memoryReference") ?: "", &address));
	address += (uint64_t)dap_integer(arguments, "offset", 0);
	err = disassemble_around(a, address, -first, first + count, &insns, &at);
	dv_error_destroy(err); /* not mapped: all of them are shown as such */
	for (int64_t i = first; i < first + count; i++) {
		int64_t index = (int64_t)at + i;
		const json_t *insn = insns && index >= 0 ? json_array_get(insns, (size_t)index) : NULL;

		json_array_append_new(list, insn ? to_instruction(insn, i == first) : no_instruction(address + (uint64_t)i));
	}
	json_decref(insns);
	return NULL;
}

/* ---- memory ---- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void base64(const uint8_t *bytes, size_t len, struct dv_buf *to)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		uint32_t three = (uint32_t)bytes[i] << 16;

		three |= i + 1 < len ? (uint32_t)bytes[i + 1] << 8 : 0;
		three |= i + 2 < len ? bytes[i + 2] : 0;
		dv_buf_printf(to, "%c%c%c%c", digits[three >> 18], digits[three >> 12 & 63],
			      i + 1 < len ? digits[three >> 6 & 63] : '=', i + 2 < len ? digits[three & 63] : '=');
	}
}

static struct dv_error *hex_to_base64(const char *hex, struct dv_buf *to)
{
	size_t len = strlen(hex) / 2;
	_cleanup_free_ uint8_t *bytes = malloc(len + 1);

	if (!bytes)
		return dv_error_no_memory();
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return dv_error_new(DV_ERROR_PROTOCOL, "gdb's bytes are no hexadecimal digits");
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	base64(bytes, len, to);
	return to->failed ? dv_error_no_memory() : NULL;
}

struct dv_error *dap_read_memory(struct adapter *a, const json_t *arguments, json_t *body)
{
	int64_t count = dap_integer(arguments, "count", 0);
	_cleanup_buf_ struct dv_buf data = DV_BUF_INIT;
	json_t *answer = NULL, *block;
	struct dv_error *err;
	uint64_t address;

	if (count < 0 || count > MAX_READ_BYTES)
		return dv_error_new(DV_ERROR_INVALID, "up to %d bytes are read at once", MAX_READ_BYTES);
	DV_TRY(to_address(a, dap_string(arguments, "memoryReference") ?: "", &address));
	address += (uint64_t)dap_integer(arguments, "offset", 0);
	json_object_set_new(body, "address", json_sprintf("0x%" PRIx64, address));
	if (!count)
		return NULL;
	DV_TRY(dap_mi(a, &answer, "-data-read-memory-bytes 0x%" PRIx64 " %lld", address, (long long)count));
	block = json_array_get(json_object_get(answer, "memory"), 0);
	err = hex_to_base64(dap_string(block, "contents") ?: "", &data);
	json_decref(answer);
	if (err)
		return err;
	json_object_set_new(body, "data", json_stringn((const char *)data.data, data.len));
	return NULL;
}
