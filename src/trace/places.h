/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where code lies: mapped files, mappings and kernel modules as records of blocks' headers, written and
 * read. Private to src/trace.
 */
#ifndef DV_TRACE_PLACES_H
#define DV_TRACE_PLACES_H

#include "trace/reader_private.h"

struct places;

void places_put_file(struct dv_buf *buf, const struct dv_trace_mapped_file *file);
void places_put_mapping(struct dv_buf *buf, const struct dv_trace_mapping_change *change);
void places_put_module(struct dv_buf *buf, const struct dv_trace_module_change *change);

bool places_is_field(uint32_t field);
/* Takes one record of a header into the reader. */
struct dv_error *places_parse(struct dv_trace_reader *r, const struct proto_field *f);
/* NULL-safe. */
void places_deinit(struct places *p);

#endif
