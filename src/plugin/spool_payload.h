/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What events point to, as bytes. Private to spool.c. */
#ifndef DV_PLUGIN_SPOOL_PAYLOAD_H
#define DV_PLUGIN_SPOOL_PAYLOAD_H

#include "base/buf.h"
#include "callgraph/event.h"

void spool_put_payload(struct dv_buf *to, const struct dv_event *e);
/* Of an event whose kind is known: sets its a. Errors: DV_ERROR_FORMAT, DV_ERROR_NO_MEMORY. */
struct dv_error *spool_get_payload(struct dv_cursor *c, struct dv_event *e);

#endif
