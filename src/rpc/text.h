/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON out of strings that may be anything: names come from the guest. Bytes that are no UTF-8 become U+FFFD. */
#ifndef DV_RPC_TEXT_H
#define DV_RPC_TEXT_H

#include <jansson.h>
#include "base/buf.h"

/* Appends a JSON string with its quotes. */
void dv_json_append_string(struct dv_buf *to, const char *text, size_t len);
/* A number that no JSON has becomes null. */
void dv_json_append_real(struct dv_buf *to, double value);
/* New reference; NULL when out of memory. */
json_t *dv_json_text(const char *text);

#endif
