/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net's first queue receives. Its ring lies in the guest's memory, and QEMU says where; as long as the driver has
 * put no buffer there, the card takes nothing (Virtual I/O Device 1.2, 2.7.6 and 2.8.1):
 *
 *	split:	driver area	u16 flags, u16 idx: how many buffers it has ever put there
 *	packed:	descriptor 0	u64 address, u32 length, u16 id, u16 flags: not 0 from the first buffer on
 */
#include "replay/forwards.h"

#include <string.h>
#include "qemu/forward.h"
#include "replay/look.h"

#define QMP_TIMEOUT_MS 20000
#define SPLIT_IDX_OFFSET 2
#define PACKED_FLAGS_OFFSET 14

struct forward {
	const struct dv_qemu_forward *of;
	enum { WAITING, OPEN, GIVEN_UP } state;
	bool looked; /* for the card */
	char *card;  /* QEMU's path of it; NULL: it is none that can be asked */
	bool packed;
};

struct dv_forwards {
	struct forward *items;
	size_t len;
};

struct dv_error *dv_forwards_create(const struct dv_qemu_plan *plan, struct dv_forwards **ret)
{
	_cleanup_(dv_forwards_destroyp) struct dv_forwards *forwards = calloc(1, sizeof(*forwards));

	if (!forwards)
		return dv_error_no_memory();
	for (size_t i = 0; i < plan->forwards_len; i++)
		DV_TRY(dv_forward_check(plan->forwards[i].rule));
	forwards->items = calloc(plan->forwards_len + 1, sizeof(*forwards->items));
	if (!forwards->items)
		return dv_error_no_memory();
	forwards->len = plan->forwards_len;
	for (size_t i = 0; i < forwards->len; i++)
		forwards->items[i].of = &plan->forwards[i];
	*ret = dv_steal(forwards);
	return NULL;
}

void dv_forwards_destroy(struct dv_forwards *forwards)
{
	if (!forwards)
		return;
	for (size_t i = 0; i < forwards->len; i++)
		free(forwards->items[i].card);
	free(forwards->items);
	free(forwards);
}

size_t dv_forwards_waiting(const struct dv_forwards *forwards)
{
	size_t waiting = 0;

	for (size_t i = 0; i < forwards->len; i++)
		waiting += forwards->items[i].state == WAITING;
	return waiting;
}

static struct dv_error *property(struct dv_machine *machine, const char *path, const char *name, json_t **ret)
{
	return dv_qmp_run(machine->qmp, "qom-get", json_pack("{s:s, s:s}", "path", path, "property", name), QMP_TIMEOUT_MS,
			  ret);
}

static struct dv_error *is_card_of(struct dv_machine *machine, const char *path, const char *netdev, bool *ret)
{
	json_t *value = NULL;
	const char *text;

	DV_TRY(property(machine, path, "netdev", &value));
	text = json_string_value(value);
	*ret = text && !strcmp(text, netdev);
	json_decref(value);
	return NULL;
}

static struct dv_error *use_card(struct forward *forward, struct dv_machine *machine, const char *path)
{
	json_t *packed = NULL;

	DV_TRY(property(machine, path, "packed", &packed));
	forward->packed = json_is_true(packed);
	json_decref(packed);
	forward->card = strdup(path);
	return forward->card ? NULL : dv_error_no_memory();
}

static struct dv_error *look_through(struct forward *forward, struct dv_machine *machine, json_t *devices)
{
	json_t *device;
	size_t i;

	json_array_foreach(devices, i, device) {
		const char *name = json_string_value(json_object_get(device, "name"));
		const char *path = json_string_value(json_object_get(device, "path"));
		bool is = false;

		if (!name || !path || strcmp(name, "virtio-net"))
			continue;
		DV_TRY(is_card_of(machine, path, forward->of->netdev, &is));
		if (is)
			return use_card(forward, machine, path);
	}
	return NULL;
}

/* err, unless QEMU only does not know what it was asked. */
static struct dv_error *unless_unknown(struct dv_error *err)
{
	if (!err || err->code != DV_ERROR_PROTOCOL)
		return err;
	dv_error_destroy(err);
	return NULL;
}

static struct dv_error *find_card(struct forward *forward, struct dv_machine *machine)
{
	json_t *devices = NULL;
	struct dv_error *err;

	forward->looked = true;
	err = dv_qmp_run(machine->qmp, "x-query-virtio", NULL, QMP_TIMEOUT_MS, &devices);
	if (!err)
		err = look_through(forward, machine, devices);
	json_decref(devices);
	return unless_unknown(err);
}

/* Whether the guest's driver has ever put a buffer where the card looks for one. */
static struct dv_error *is_ready(const struct forward *forward, struct dv_machine *machine, bool *ret)
{
	struct dv_phys_piece piece = {.bytes = 2};
	_cleanup_buf_ struct dv_buf bytes = DV_BUF_INIT;
	json_t *queue = NULL;

	*ret = false;
	DV_TRY(dv_qmp_run(machine->qmp, "x-query-virtio-queue-status",
			  json_pack("{s:s, s:i}", "path", forward->card, "queue", 0), QMP_TIMEOUT_MS, &queue));
	piece.phys = (uint64_t)json_integer_value(json_object_get(queue, forward->packed ? "vring-desc" : "vring-avail"));
	json_decref(queue);
	if (!piece.phys)
		return NULL;
	piece.phys += forward->packed ? PACKED_FLAGS_OFFSET : SPLIT_IDX_OFFSET;
	DV_TRY(dv_machine_read_phys(machine, &piece, &bytes));
	*ret = bytes.data[0] || bytes.data[1];
	return NULL;
}

static struct dv_error *open_one(struct forward *forward, struct dv_machine *machine)
{
	_cleanup_buf_ struct dv_buf line = DV_BUF_INIT;
	_cleanup_free_ char *words = NULL;

	dv_buf_printf(&line, "hostfwd_add %s %s%c", forward->of->netdev, forward->of->rule, 0);
	if (line.failed)
		return dv_error_no_memory();
	DV_TRY(dv_qmp_human(machine->qmp, (const char *)line.data, QMP_TIMEOUT_MS, &words));
	forward->state = *words ? GIVEN_UP : OPEN;
	words[strcspn(words, "\r\n")] = 0;
	if (!*words)
		return NULL;
	return dv_error_new(DV_ERROR_UNSUPPORTED, "hostfwd=%s is not open: QEMU says: %s", forward->of->rule, words);
}

static struct dv_error *open_if_ready(struct forward *forward, struct dv_machine *machine)
{
	bool ready = true;

	if (!forward->looked)
		DV_TRY(find_card(forward, machine));
	if (forward->card)
		DV_TRY(unless_unknown(is_ready(forward, machine, &ready)));
	return ready ? open_one(forward, machine) : NULL;
}

struct dv_error *dv_forwards_open(struct dv_forwards *forwards, struct dv_machine *machine)
{
	for (size_t i = 0; i < forwards->len; i++)
		if (forwards->items[i].state == WAITING)
			DV_TRY(open_if_ready(&forwards->items[i], machine));
	return NULL;
}

static struct dv_error *close_one(struct forward *forward, struct dv_machine *machine)
{
	const char *rule = forward->of->rule;
	_cleanup_buf_ struct dv_buf line = DV_BUF_INIT;
	_cleanup_free_ char *words = NULL;

	/* The host's side alone names it. */
	dv_buf_printf(&line, "hostfwd_remove %s %.*s%c", forward->of->netdev, (int)strcspn(rule, "-"), rule, 0);
	if (line.failed)
		return dv_error_no_memory();
	forward->state = WAITING;
	return dv_qmp_human(machine->qmp, (const char *)line.data, QMP_TIMEOUT_MS, &words);
}

struct dv_error *dv_forwards_close(struct dv_forwards *forwards, struct dv_machine *machine)
{
	for (size_t i = 0; i < forwards->len; i++)
		if (forwards->items[i].state == OPEN && forwards->items[i].card)
			DV_TRY(close_one(&forwards->items[i], machine));
	return NULL;
}
