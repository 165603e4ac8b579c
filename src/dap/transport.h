/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages of the Debug Adapter Protocol (microsoft.github.io/debug-adapter-protocol, "Base protocol"): JSON
 * after a header of lines, `Content-Length: BYTES` among them, that ends with an empty line.
 *
 * Reading belongs to one thread; any thread may send.
 */
#ifndef DV_DAP_TRANSPORT_H
#define DV_DAP_TRANSPORT_H

#include <jansson.h>
#include "base/buf.h"

/* More than this is refused: an editor's messages are small. */
#define DV_DAP_MAX_HEADER_BYTES 4096u
#define DV_DAP_MAX_MESSAGE_BYTES (16u << 20)

struct dv_dap_transport;

/* The descriptors are borrowed; they may be the same (a socket). */
struct dv_error *dv_dap_transport_create(int in_fd, int out_fd, struct dv_dap_transport **ret);
void dv_dap_transport_destroy(struct dv_dap_transport *t);
DV_DEFINE_CLEANUP(struct dv_dap_transport, dv_dap_transport_destroy);

/*
 * Waits for the next message. *ret is a new reference, NULL when the client has gone. Errors:
 * DV_ERROR_PROTOCOL for what is no message (there is no way on from there), DV_ERROR_OS.
 */
struct dv_error *dv_dap_receive(struct dv_dap_transport *t, json_t **ret);
/* Takes message over. A client that has gone is no error: dv_dap_receive() will say so. */
struct dv_error *dv_dap_send(struct dv_dap_transport *t, json_t *message);

/*
 * The first whole message in bytes: *ret_used says how many it took, 0 when it is not whole yet; *ret is a new
 * reference or NULL. Errors: DV_ERROR_PROTOCOL. For receive and for tests.
 */
struct dv_error *dv_dap_parse(const char *bytes, size_t len, size_t *ret_used, json_t **ret);

#endif
