/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The protocol as tables: methods, and what their parameters are made of, from protocol.json. What a
 * client sends is held against them before a handler sees it. Binary frames are written here too.
 */
#ifndef DV_RPC_PROTOCOL_H
#define DV_RPC_PROTOCOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/error.h"
#include "protocol_gen.h"

/* Integers that a double holds, as JSON's readers in browsers do. */
#define DV_RPC_INT_MAX ((int64_t)1 << 53)

enum dv_rpc_type {
	DV_RPC_TYPE_INT,     /* within +-2^53 */
	DV_RPC_TYPE_COUNT,   /* from 0 to 2^53: icounts, rows */
	DV_RPC_TYPE_NUMBER,
	DV_RPC_TYPE_STRING,
	DV_RPC_TYPE_ADDRESS, /* a string: 0x and up to 16 hexadecimal digits */
	DV_RPC_TYPE_BOOL,
	DV_RPC_TYPE_ANY,
	DV_RPC_TYPE_ENUM,
	DV_RPC_TYPE_OBJECT,
};

struct dv_rpc_field {
	const char *name; /* NULL ends an array of them */
	enum dv_rpc_type type;
	unsigned arrays;  /* 1: an array of type, 2: an array of arrays ... */
	bool optional;
	const char *const *values; /* of an enum */
	size_t value_count;
	const struct dv_rpc_field *fields; /* of an object */
};

struct dv_rpc_method {
	int number; /* enum dv_rpc_method_number */
	const char *name;
	const struct dv_rpc_field *params;
	bool is_anytime;  /* answered while the trace is still loading, too */
	bool is_long;	  /* may take seconds */
	bool is_debugger; /* numbered from 900 */
};

/* Sorted by name. */
extern const struct dv_rpc_method dv_rpc_methods[DV_RPC_METHODS];

/* NULL when there is none. */
const struct dv_rpc_method *dv_rpc_method_find(const char *name);

/*
 * Whether params is an object with all that the method needs, each of its type; what is not known is let
 * pass. Errors: DV_ERROR_INVALID, which names the place: "params.key.start: ...".
 */
struct dv_error *dv_rpc_check_params(const struct dv_rpc_method *method, const json_t *params);

/* Parses an address of a checked parameter. */
uint64_t dv_rpc_address(const json_t *value);

/* A value's index among the names of an enum that was checked. */
size_t dv_rpc_enum_index(const json_t *value, const char *const *names, size_t count);

/* Binary frames */

#define DV_FRAME_MAGIC 0x31465644u
#define DV_FRAME_HEADER_BYTES 32

struct dv_rpc_frame {
	uint16_t kind; /* enum dv_rpc_frame_kind */
	uint32_t request, rows, track, extra;
	double base_icount;
};

/*
 * Appends the header and room for the columns, zeroed. ret_columns[i] is where column i starts, 8 bytes
 * aligned within the frame; the pointers stay valid until buf grows. widths is a DV_FRAME_..._COLUMNS.
 * Errors: DV_ERROR_NO_MEMORY.
 */
struct dv_error *dv_frame_begin(struct dv_buf *buf, const struct dv_rpc_frame *frame, const uint8_t *widths,
				void **ret_columns);
/* Reads what a client sent: of kind input. *ret_bytes is borrowed. Errors: DV_ERROR_FORMAT. */
struct dv_error *dv_frame_parse_input(const void *data, size_t len, struct dv_rpc_frame *ret,
				      const uint8_t **ret_bytes);

#endif
