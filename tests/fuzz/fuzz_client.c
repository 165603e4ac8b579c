/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client says to a daemon that has a trace loaded, through to the handlers. The first byte chooses: '0' our
 * protocol, messages of which the first byte says whether it is text ('t') or binary; '1' Perfetto's stream, cut
 * anywhere; '2' Perfetto's query. A record separator (0x1e) ends each message or piece.
 */
#include <ftw.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "fuzz.h"
#include "rpc/perfetto.h"
#include "trace/writer.h"

#define SEPARATOR 0x1e
#define PATIENCE_MS 300
#define SLICES 60

/* The client's end. */
struct peer {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned refs, answers, ends;
	bool is_gone;
};

static struct {
	struct dv_rpc *rpc;
	char folder[64];
	pthread_mutex_t lock;
	pthread_cond_t loaded;
	bool is_loaded;
} daemon_under_test = {.lock = PTHREAD_MUTEX_INITIALIZER, .loaded = PTHREAD_COND_INITIALIZER};

static void count(struct peer *p, unsigned *what, unsigned by)
{
	pthread_mutex_lock(&p->lock);
	*what += by;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static void *ref_peer(void *peer)
{
	count(peer, &((struct peer *)peer)->refs, 1);
	return peer;
}

static void unref_peer(void *peer)
{
	count(peer, &((struct peer *)peer)->refs, -1u);
}

static bool is_gone(void *peer)
{
	return __atomic_load_n(&((struct peer *)peer)->is_gone, __ATOMIC_RELAXED);
}

static bool wait_peer(void *peer)
{
	return !is_gone(peer);
}

/* What is said as text is JSON; an answer is an error or a result. */
static bool take_message(void *peer, bool is_text, const void *data, size_t len)
{
	json_t *json = is_text ? json_loadb(data, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL) : NULL;

	dv_assert(!is_text || json_is_object(json));
	if (json_object_get(json, "error") || json_object_get(json, "result"))
		count(peer, &((struct peer *)peer)->answers, 1);
	json_decref(json);
	return !is_gone(peer);
}

static bool take_piece(void *peer, const void *data, size_t len)
{
	volatile uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
	return !is_gone(peer);
}

static void take_end(void *peer)
{
	count(peer, &((struct peer *)peer)->ends, 1);
}

static const struct dv_rpc_sink sink = {ref_peer, unref_peer, wait_peer, take_message};
static const struct dv_perfetto_sink perfetto_sink = {ref_peer, unref_peer, wait_peer, is_gone, take_piece, take_end};

/* Until *what is n, or patience is over; patience_ms 0 has no end. */
static void wait_for(struct peer *p, const unsigned *what, unsigned n, unsigned patience_ms)
{
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += patience_ms * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&p->lock);
	while (*what != n && !error)
		error = patience_ms ? pthread_cond_timedwait(&p->changed, &p->lock, &until) :
				      pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

/* The daemon */

static void describe(void *context, uint64_t key, struct dv_trace_function *ret)
{
	static const char *const names[] = {"main", "read", "write", "a \"quoted\"\x01 name", "schedule"};

	*ret = (struct dv_trace_function){.name = names[key % DV_ARRAY_SIZE(names)], .vaddr = 0xffffffff81000000 + key};
}

static void write_trace(const char *path)
{
	const struct dv_trace_options options = {.path = path, .exact = true, .describe = describe};
	struct dv_trace_writer *w;

	dv_assert(!dv_trace_writer_create(&options, &w));
	for (uint32_t id = 1; id <= 3; id++) {
		struct dv_trace_thread thread = {.id = id, .tid = (int32_t)id, .tgid = (int32_t)id, .comm = "thread"};

		dv_trace_writer_thread(w, id, &thread);
	}
	for (uint64_t i = 0; i < SLICES; i++) {
		dv_trace_writer_begin(w, 1 + (uint32_t)i % 3, 100 + i * 10, i % 7, DV_SLICE_CALL);
		if (i % 3)
			dv_trace_writer_end(w, 1 + (uint32_t)i % 3, 105 + i * 10);
	}
	dv_assert(!dv_trace_writer_finish(w, 100 + SLICES * 10));
}

static void on_loading(void *context, uint64_t done, uint64_t total, const struct dv_error *err)
{
	pthread_mutex_lock(&daemon_under_test.lock);
	daemon_under_test.is_loaded = !total;
	pthread_cond_broadcast(&daemon_under_test.loaded);
	pthread_mutex_unlock(&daemon_under_test.lock);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void stop(void)
{
	dv_rpc_destroy(daemon_under_test.rpc);
	nftw(daemon_under_test.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* All that it writes lies in a folder of its own. */
static void start(void)
{
	static char path[96];
	struct dv_rpc_options options = {.path = path, .version = "fuzz", .workers = 4, .query_seconds = 1,
					 .max_message_bytes = 1 << 20, .loading = on_loading};

	strcpy(daemon_under_test.folder, "/tmp/fuzz-client-XXXXXX");
	dv_assert(mkdtemp(daemon_under_test.folder));
	setenv("XDG_CACHE_HOME", daemon_under_test.folder, 1);
	setenv("XDG_STATE_HOME", daemon_under_test.folder, 1);
	setenv("XDG_DATA_HOME", daemon_under_test.folder, 1);
	setenv("XDG_CONFIG_HOME", daemon_under_test.folder, 1);
	snprintf(path, sizeof(path), "%s/trace.dvtrace", daemon_under_test.folder);
	write_trace(path);
	dv_assert(!dv_rpc_create(&options, &daemon_under_test.rpc));
	pthread_mutex_lock(&daemon_under_test.lock);
	while (!daemon_under_test.is_loaded)
		pthread_cond_wait(&daemon_under_test.loaded, &daemon_under_test.lock);
	pthread_mutex_unlock(&daemon_under_test.lock);
	atexit(stop);
}

/* The ways in */

/* The next message or piece, or false. */
static bool next(const uint8_t **data, size_t *left, const uint8_t **ret, size_t *ret_len)
{
	const uint8_t *end = *left ? memchr(*data, SEPARATOR, *left) : NULL;
	size_t len = end ? (size_t)(end - *data) : *left;

	if (!*left)
		return false;
	*ret = *data;
	*ret_len = len;
	*data += len + (end != NULL);
	*left -= len + (end != NULL);
	return true;
}

static void speak(struct peer *p, const uint8_t *data, size_t size)
{
	struct dv_rpc_client *client = dv_rpc_client_create(daemon_under_test.rpc, &sink, p);
	const uint8_t *message;
	unsigned texts = 0, others = 0;
	size_t len;

	while (next(&data, &size, &message, &len)) {
		bool is_text = len && *message == 't';

		texts += is_text;
		others += !is_text;
		if (is_text)
			dv_rpc_client_text(client, message + 1, len - 1);
		else
			dv_rpc_client_binary(client, message + (len > 0), len - (len > 0));
	}
	/* A cancel has no answer, input that a terminal takes neither. */
	wait_for(p, &p->answers, texts + others, PATIENCE_MS);
	__atomic_store_n(&p->is_gone, true, __ATOMIC_RELAXED);
	dv_rpc_client_destroy(client);
	wait_for(p, &p->refs, 0, 0);
	dv_assert(p->answers <= texts + others);
}

static void stream(struct peer *p, const uint8_t *data, size_t size)
{
	struct dv_perfetto_stream *s = dv_perfetto_stream_create(daemon_under_test.rpc, &perfetto_sink, p);
	const uint8_t *piece;
	size_t len;

	while (next(&data, &size, &piece, &len))
		dv_perfetto_stream_feed(s, piece, len);
	dv_perfetto_stream_finish(s);
	wait_for(p, &p->ends, 1, PATIENCE_MS);
	__atomic_store_n(&p->is_gone, true, __ATOMIC_RELAXED);
	dv_perfetto_stream_destroy(s);
	wait_for(p, &p->refs, 0, 0);
	dv_assert(p->ends <= 1);
}

static void query(struct peer *p, const uint8_t *data, size_t size)
{
	dv_perfetto_query(daemon_under_test.rpc, &perfetto_sink, p, data, size);
	wait_for(p, &p->ends, 1, 0);
	wait_for(p, &p->refs, 0, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const ways[])(struct peer *p, const uint8_t *data, size_t size) = {speak, stream, query};
	struct peer p = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

	if (!daemon_under_test.rpc)
		start();
	if (size && *data >= '0' && (size_t)(*data - '0') < DV_ARRAY_SIZE(ways))
		ways[*data - '0'](&p, data + 1, size - 1);
	return 0;
}
