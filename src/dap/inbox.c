/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dap/inbox.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct dap_inbox {
	struct dv_dap_transport *transport;
	dap_urgent_fn urgent;
	void *context;
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	json_t *messages; /* an array: those not asked for yet */
	bool ended;
	struct dv_error *err;
};

static bool is_last(const json_t *message)
{
	const char *command = json_string_value(json_object_get(message, "command"));

	return command && (!strcmp(command, "disconnect") || !strcmp(command, "terminate"));
}

/* False: it was the last. */
static bool take_one(struct dap_inbox *inbox)
{
	json_t *message = NULL;
	struct dv_error *err = dv_dap_receive(inbox->transport, &message);
	bool ended = err || !message || is_last(message);

	if (message)
		inbox->urgent(inbox->context, message);
	pthread_mutex_lock(&inbox->lock);
	inbox->ended = ended;
	inbox->err = err;
	if (message)
		json_array_append_new(inbox->messages, message);
	pthread_cond_signal(&inbox->changed);
	pthread_mutex_unlock(&inbox->lock);
	return !ended;
}

static void *read_all(void *context)
{
	while (take_one(context))
		;
	return NULL;
}

struct dv_error *dap_inbox_create(struct dv_dap_transport *transport, dap_urgent_fn urgent, void *context,
				  struct dap_inbox **ret)
{
	struct dap_inbox *inbox = calloc(1, sizeof(*inbox));

	if (!inbox)
		return dv_error_no_memory();
	*inbox = (struct dap_inbox){.transport = transport, .urgent = urgent, .context = context, .messages = json_array()};
	pthread_mutex_init(&inbox->lock, NULL);
	pthread_cond_init(&inbox->changed, NULL);
	inbox->has_thread = inbox->messages && !pthread_create(&inbox->thread, NULL, read_all, inbox);
	if (!inbox->has_thread) {
		dap_inbox_destroy(inbox);
		return dv_error_new(DV_ERROR_NO_MEMORY, "no thread to read from the client");
	}
	*ret = inbox;
	return NULL;
}

void dap_inbox_destroy(struct dap_inbox *inbox)
{
	if (!inbox)
		return;
	if (inbox->has_thread)
		pthread_join(inbox->thread, NULL);
	json_decref(inbox->messages);
	dv_error_destroy(inbox->err);
	pthread_cond_destroy(&inbox->changed);
	pthread_mutex_destroy(&inbox->lock);
	free(inbox);
}

struct dv_error *dap_inbox_next(struct dap_inbox *inbox, json_t **ret)
{
	struct dv_error *err = NULL;

	*ret = NULL;
	pthread_mutex_lock(&inbox->lock);
	while (!inbox->ended && !json_array_size(inbox->messages))
		pthread_cond_wait(&inbox->changed, &inbox->lock);
	if (json_array_size(inbox->messages)) {
		*ret = json_incref(json_array_get(inbox->messages, 0));
		json_array_remove(inbox->messages, 0);
	} else {
		err = dv_steal(inbox->err);
	}
	pthread_mutex_unlock(&inbox->lock);
	return err;
}
