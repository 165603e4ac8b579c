/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client asks for, read by a thread of its own: a request that takes long does not keep "pause" from
 * being seen.
 */
#ifndef DV_DAP_INBOX_H
#define DV_DAP_INBOX_H

#include "dap/transport.h"

struct dap_inbox;

/* urgent is told of each message when it comes, on the reading thread, before dap_inbox_next() returns it. */
typedef void (*dap_urgent_fn)(void *context, const json_t *message);

/* transport is borrowed. Reading ends with the client, with what is no message, and after disconnect or terminate. */
struct dv_error *dap_inbox_create(struct dv_dap_transport *transport, dap_urgent_fn urgent, void *context,
				  struct dap_inbox **ret);
/* Waits for the reading to end. */
void dap_inbox_destroy(struct dap_inbox *inbox);

/* Waits for the next message: a new reference; NULL at the end. Errors: those of dv_dap_receive(). */
struct dv_error *dap_inbox_next(struct dap_inbox *inbox, json_t **ret);

#endif
