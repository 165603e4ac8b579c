/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A peer's queue: filled from any thread, emptied by the server's. */
#include <string.h>
#include "server/private.h"

#define PIECE_BYTES (128u << 10) /* written at a time, so that one peer does not hold up the others */

struct dv_peer *dv_peer_create(struct dv_server *server, struct lws *wsi)
{
	struct dv_peer *peer = calloc(1, sizeof(*peer));

	if (!peer)
		return NULL;
	peer->server = server;
	peer->wsi = wsi;
	peer->refs = 1;
	peer->tail = &peer->head;
	peer->next = server->peers;
	peer->link = &server->peers;
	if (peer->next)
		peer->next->link = &peer->next;
	server->peers = peer;
	return peer;
}

struct dv_peer *dv_peer_ref(struct dv_peer *peer)
{
	__atomic_fetch_add(&peer->refs, 1, __ATOMIC_RELAXED);
	return peer;
}

void dv_peer_unref(struct dv_peer *peer)
{
	if (!peer || __atomic_sub_fetch(&peer->refs, 1, __ATOMIC_ACQ_REL))
		return;
	dv_assert(!peer->head);
	dv_buf_deinit(&peer->in);
	free(peer);
}

/* With the lock. The queue stays until the connection ends: the server's thread may be sending from it. */
static void mark_gone(struct dv_peer *peer)
{
	peer->is_gone = true;
	pthread_cond_broadcast(&peer->server->room);
}

void dv_peer_disconnect(struct dv_peer *peer)
{
	struct dv_server *server = peer->server;
	struct dv_chunk *chunk, *next;

	*peer->link = peer->next;
	if (peer->next)
		peer->next->link = peer->link;
	pthread_mutex_lock(&server->lock);
	mark_gone(peer);
	chunk = peer->head;
	peer->head = NULL;
	peer->tail = &peer->head;
	peer->queued_bytes = 0;
	pthread_mutex_unlock(&server->lock);
	while (chunk) {
		next = chunk->next;
		free(chunk);
		chunk = next;
	}
	peer->wsi = NULL;
	if (peer->client)
		peer->route->closed(peer->client);
	peer->client = NULL;
	dv_peer_unref(peer);
}

/* With the lock: the peer gets its turn in the server's thread. */
static void wake(struct dv_peer *peer)
{
	struct dv_server *server = peer->server;

	if (peer->is_waking)
		return;
	peer->is_waking = true;
	peer->next_waking = server->waking;
	server->waking = dv_peer_ref(peer);
	lws_cancel_service(server->context);
}

void dv_server_wake(struct dv_server *server)
{
	struct dv_peer *peer;

	pthread_mutex_lock(&server->lock);
	while ((peer = server->waking)) {
		server->waking = peer->next_waking;
		peer->is_waking = false;
		pthread_mutex_unlock(&server->lock);
		if (peer->wsi)
			lws_callback_on_writable(peer->wsi);
		dv_peer_unref(peer);
		pthread_mutex_lock(&server->lock);
	}
	pthread_mutex_unlock(&server->lock);
}

/* Takes the chunk over. */
static bool enqueue(struct dv_peer *peer, struct dv_chunk *chunk)
{
	struct dv_server *server = peer->server;
	bool taken = false;

	pthread_mutex_lock(&server->lock);
	if (!chunk || peer->queued_bytes > DV_SERVER_MAX_QUEUE_BYTES)
		mark_gone(peer);
	if (!peer->is_gone) {
		*peer->tail = chunk;
		peer->tail = &chunk->next;
		peer->queued_bytes += chunk->len;
		taken = true;
	}
	wake(peer);
	pthread_mutex_unlock(&server->lock);
	if (!taken)
		free(chunk);
	return taken;
}

static struct dv_chunk *make_chunk(bool is_text, const void *data, size_t len)
{
	struct dv_chunk *chunk = malloc(sizeof(*chunk) + LWS_PRE + len);

	if (!chunk)
		return NULL;
	*chunk = (struct dv_chunk){.len = len, .is_text = is_text};
	if (len)
		memcpy(chunk->bytes + LWS_PRE, data, len);
	return chunk;
}

bool dv_peer_send(struct dv_peer *peer, bool is_text, const void *data, size_t len)
{
	return !dv_peer_is_gone(peer) && enqueue(peer, make_chunk(is_text, data, len));
}

bool dv_peer_is_gone(struct dv_peer *peer)
{
	bool gone;

	pthread_mutex_lock(&peer->server->lock);
	gone = peer->is_gone;
	pthread_mutex_unlock(&peer->server->lock);
	return gone;
}

bool dv_peer_wait(struct dv_peer *peer)
{
	struct dv_server *server = peer->server;
	bool there;

	dv_assert(!pthread_equal(pthread_self(), server->thread));
	pthread_mutex_lock(&server->lock);
	while (!peer->is_gone && peer->queued_bytes > DV_SERVER_ROOM_BYTES)
		pthread_cond_wait(&server->room, &server->lock);
	there = !peer->is_gone;
	pthread_mutex_unlock(&server->lock);
	return there;
}

static void finish(struct dv_peer *peer)
{
	pthread_mutex_lock(&peer->server->lock);
	peer->is_done = true;
	wake(peer);
	pthread_mutex_unlock(&peer->server->lock);
}

void dv_peer_close(struct dv_peer *peer)
{
	finish(peer);
}

static bool send_buf(struct dv_peer *peer, const struct dv_buf *buf)
{
	return dv_peer_send(peer, false, buf->data, buf->failed ? 0 : buf->len);
}

void dv_peer_respond(struct dv_peer *peer, int status, const char *content_type, const void *body, size_t len)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;

	dv_http_head(&buf, peer, status, content_type, (int64_t)len);
	if (!peer->is_head)
		dv_buf_append(&buf, body, len);
	peer->is_begun = true;
	send_buf(peer, &buf);
	finish(peer);
}

void dv_peer_begin(struct dv_peer *peer, int status, const char *content_type)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;

	peer->is_begun = true;
	peer->is_chunked = !peer->is_http10;
	peer->closes |= peer->is_http10;
	dv_http_head(&buf, peer, status, content_type, -1);
	send_buf(peer, &buf);
}

bool dv_peer_piece(struct dv_peer *peer, const void *data, size_t len)
{
	_cleanup_buf_ struct dv_buf buf = DV_BUF_INIT;

	if (!len || peer->is_head)
		return !dv_peer_is_gone(peer);
	if (!peer->is_chunked)
		return dv_peer_send(peer, false, data, len);
	dv_buf_printf(&buf, "%zx\r\n", len);
	dv_buf_append(&buf, data, len);
	dv_buf_append(&buf, "\r\n", 2);
	return send_buf(peer, &buf);
}

void dv_peer_end(struct dv_peer *peer)
{
	if (peer->is_chunked && !peer->is_head)
		dv_peer_send(peer, false, "0\r\n\r\n", 5);
	finish(peer);
}

/* A piece of the first chunk. A WebSocket message goes as fragments, of which the last says that it is. */
static int write_piece(struct dv_peer *peer, struct dv_chunk *chunk)
{
	size_t len = chunk->len - chunk->sent;
	bool ends = len <= PIECE_BYTES;
	int how = LWS_WRITE_HTTP;

	if (!ends)
		len = PIECE_BYTES;
	if (peer->is_websocket)
		how = lws_write_ws_flags(chunk->is_text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY, !chunk->sent, ends);
	if (lws_write(peer->wsi, chunk->bytes + LWS_PRE + chunk->sent, len, (enum lws_write_protocol)how) < 0)
		return -1;
	chunk->sent += len;
	return 0;
}

/* The queue is empty and nothing more will come. */
static int end_of_queue(struct dv_peer *peer)
{
	struct lws *wsi;

	if (peer->is_websocket) {
		lws_close_reason(peer->wsi, LWS_CLOSE_STATUS_GOINGAWAY, NULL, 0);
		return -1;
	}
	if (peer->closes) {
		/* What is left in the kernel's buffers still goes out. */
		lws_set_timeout(peer->wsi, NO_PENDING_TIMEOUT, 0);
		return -1;
	}
	/* The next request on the connection is another peer. */
	wsi = peer->wsi;
	lws_set_opaque_user_data(wsi, NULL);
	dv_peer_disconnect(peer);
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

int dv_peer_write(struct dv_peer *peer)
{
	struct dv_server *server = peer->server;
	struct dv_chunk *chunk;
	struct lws *wsi = peer->wsi;
	bool gone, done, more, crowded;

	pthread_mutex_lock(&server->lock);
	chunk = peer->head;
	gone = peer->is_gone;
	done = peer->is_done;
	crowded = peer->queued_bytes > DV_SERVER_ROOM_BYTES;
	pthread_mutex_unlock(&server->lock);
	if (gone)
		return -1;
	if (crowded != peer->is_throttled && peer->is_websocket) {
		peer->is_throttled = crowded;
		lws_rx_flow_control(wsi, !crowded);
	}
	if (!chunk) {
		lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
		if (!done)
			return 0;
		return end_of_queue(peer);
	}
	/* Nothing but this thread takes chunks out, so the first one stays. */
	if (write_piece(peer, chunk))
		return -1;
	lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, DV_SERVER_STALL_SECONDS);
	if (chunk->sent == chunk->len) {
		pthread_mutex_lock(&server->lock);
		peer->head = chunk->next;
		if (!peer->head)
			peer->tail = &peer->head;
		peer->queued_bytes -= chunk->len;
		free(chunk);
		pthread_cond_broadcast(&server->room);
		pthread_mutex_unlock(&server->lock);
	}
	pthread_mutex_lock(&server->lock);
	more = peer->head || peer->is_done;
	pthread_mutex_unlock(&server->lock);
	if (more || peer->is_throttled)
		lws_callback_on_writable(wsi);
	else
		lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
	return 0;
}
