/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks. Every backend gets a filter-replay, which logs the packets that come in while recording and
 * gives them back at replay, where the backend itself is cut off: so that a replay opens no port and
 * needs no tap, its backend is a bare `user` one. -nic and -net are written out as a netdev and a NIC,
 * because a filter needs the netdev's name.
 */
#include "qemu/rewrite.h"

#include <jansson.h>
#include <string.h>
#include "qemu/forward.h"

static const struct {
	const char *type;
	const char *reason;
} refused[] = {
	{"vhost-user", "packets go past QEMU and are not recorded; use -netdev user or tap without vhost"},
	{"vhost-vdpa", "packets go past QEMU and are not recorded; use -netdev user or tap without vhost"},
	{"bridge", "its packet headers differ at replay; use -netdev user, or tap,ifname=...,script=no"},
	{"hubport", "hubs are not recorded; connect each NIC to a netdev of its own"},
};

static struct dv_error *check_backend(const char *option, const struct dv_optlist *list)
{
	static const char *const vhost[] = {"vhost", "vhostforce", "vhostfd", "vhostfds"};
	const char *type = dv_optlist_get(list, "type");

	for (size_t i = 0; type && i < DV_ARRAY_SIZE(refused); i++)
		if (!strcmp(type, refused[i].type))
			return dv_refuse(option, type, refused[i].reason);
	for (size_t i = 0; i < DV_ARRAY_SIZE(vhost); i++) {
		const char *value = dv_optlist_get(list, vhost[i]);

		if (value && strcmp(value, "off") && strcmp(value, "no"))
			return dv_refuse(option, vhost[i],
					 "packets go past QEMU and are not recorded; use vhost=off");
	}
	return NULL;
}

bool dv_net_unreplayable(const char *model)
{
	return !strncmp(model, "e1000", 5) || !strcmp(model, "igb");
}

static bool is_virtio(const char *model)
{
	return model && !strncmp(model, "virtio", 6);
}

static struct dv_error *scan_netdev(struct dv_rewriter *rw, const struct dv_option *option)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;

	DV_TRY(dv_optlist_parse(option->arg, "type", &list));
	DV_TRY(check_backend("-netdev", &list));
	return dv_named_add(&rw->netdevs, "id", &list, "-netdev");
}

static struct dv_error *scan_net(struct dv_rewriter *rw, const struct dv_option *option)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *type;

	DV_TRY(dv_optlist_parse(option->arg, "type", &list));
	DV_TRY(check_backend(option->word, &list));
	type = dv_optlist_get(&list, "type");
	if (!type || !strcmp(type, "none") || option->def->action == DV_OPTION_NIC)
		return NULL;
	if (strcmp(type, "nic"))
		rw->net_backends++;
	else if (!dv_optlist_get(&list, "netdev"))
		rw->net_nics++;
	if (rw->net_nics > 1 || rw->net_backends > 1)
		return dv_refuse("-net", option->arg,
				 "several of them meet in one hub, which is not recorded; use one -nic for each");
	return NULL;
}

struct dv_error *dv_net_scan(struct dv_rewriter *rw, const struct dv_option *option)
{
	rw->any_net = true;
	return option->def->action == DV_OPTION_NETDEV ? scan_netdev(rw, option) : scan_net(rw, option);
}

/* What -nic and -net make of a model: NULL is what the machine takes by itself. */
static bool becomes_virtio(const char *model)
{
	return !model || is_virtio(model) || dv_net_unreplayable(model);
}

/* The model of the card that an option puts on the netdev; false: it puts none there. */
static bool card_model(const struct dv_option *option, const struct dv_optlist *list, const char *netdev,
		       const char **ret_model)
{
	bool is_device = option->def->action == DV_OPTION_DEVICE;
	const char *type = dv_optlist_get(list, "type");
	/* A `-net nic` with none is the one that emit_net() pairs. */
	const char *on = dv_optlist_get(list, "netdev") ?: is_device ? "" : "dv-net";

	if ((!is_device && (!type || strcmp(type, "nic"))) || strcmp(on, netdev))
		return false;
	*ret_model = dv_optlist_get(list, is_device ? "driver" : "model");
	return true;
}

/* Whether the card on this netdev is a virtio one, or is made one. */
static struct dv_error *find_card(const struct dv_rewriter *rw, const char *netdev, bool *ret_virtio)
{
	bool virtio = false;

	for (size_t i = 0; i < rw->options.len; i++) {
		const struct dv_option *option = &rw->options.items[i];
		_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
		const char *model;

		if (option->def->action != DV_OPTION_DEVICE && option->def->action != DV_OPTION_NET)
			continue;
		DV_TRY(dv_optlist_parse(option->arg, option->def->action == DV_OPTION_NET ? "type" : "driver", &list));
		if (card_model(option, &list, netdev, &model))
			virtio = becomes_virtio(model);
	}
	*ret_virtio = virtio;
	return NULL;
}

/* hostfwd=RULE, or of JSON hostfwd.N.str; NULL: it is none. */
static const char *forward_rule(const struct dv_opt *opt)
{
	size_t len = strlen(opt->key);
	bool of_json = !strncmp(opt->key, "hostfwd.", 8) && !strcmp(opt->key + len - 4, ".str");

	return of_json || !strcmp(opt->key, "hostfwd") ? opt->value ?: "" : NULL;
}

/*
 * Takes the forwarded ports out of a user network with a virtio card: that one can be asked when it is ready. Packets
 * that come before wait in a queue of QEMU's, which no snapshot has and which it empties when it stops.
 */
static struct dv_error *take_forwards(struct dv_rewriter *rw, struct dv_optlist *list, bool virtio)
{
	const char *id = dv_optlist_get(list, "id");
	size_t rules = 0, grasped = 0;

	for (size_t i = 0; i < list->len; i++) {
		const char *rule = forward_rule(&list->items[i]);

		rules += rule != NULL;
		grasped += rule && dv_forward_is_rule(rule);
	}
	if (!rules)
		return NULL;
	if (!virtio || grasped < rules)
		return dv_plan_note(rw->plan, "network %s: connect to its ports when the guest's network is up, not before: "
				    "a replay that stops or begins while packets wait for it cannot go on", id);
	for (size_t i = 0; i < list->len;) {
		const char *rule = forward_rule(&list->items[i]);

		if (!rule) {
			i++;
			continue;
		}
		DV_TRY(dv_plan_new_forward(rw->plan, id, rule));
		dv_optlist_remove_at(list, i);
	}
	return dv_plan_note(rw->plan, "network %s: its forwarded ports are opened when the guest's network card is; "
			    "who connects before is refused", id);
}

/* A netdev in JSON without its forwards; NULL: none left. */
static char *json_without_forwards(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);
	char *bare;

	json_object_del(json, "hostfwd");
	bare = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return bare;
}

static struct dv_error *emit_json(struct dv_rewriter *rw, const char *json, bool without_forwards)
{
	_cleanup_free_ char *bare = without_forwards ? json_without_forwards(json) : strdup(json);

	return bare ? dv_plan_add_plain(rw->plan, DV_WHEN_RECORDING, "-netdev", bare) : dv_error_no_memory();
}

/*
 * The backend for recording and the bare one for replay, and the filter. list has an id; json is what the
 * user wrote, when it was JSON: its arrays have no other form. virtio: the card on it is one.
 */
static struct dv_error *emit_netdev(struct dv_rewriter *rw, struct dv_optlist *list, const char *json, bool virtio)
{
	size_t forwards = rw->plan->forwards_len;
	const char *type = dv_optlist_get(list, "type");
	const char *id = dv_optlist_get(list, "id");
	_cleanup_optlist_ struct dv_optlist bare = DV_OPTLIST_INIT, filter = DV_OPTLIST_INIT;
	char name[32];

	if (type && !strcmp(type, "tap") && dv_optlist_get_bool(list, "vnet_hdr", true)) {
		DV_TRY(dv_optlist_set(list, "vnet_hdr", "off"));
		DV_TRY(dv_plan_note(rw->plan, "tap %s: vnet_hdr=off, so that the NIC is the same at replay", id));
	}
	DV_TRY(dv_optlist_set(&bare, "type", "user"));
	bare.items[0].implied = true;
	DV_TRY(dv_optlist_set(&bare, "id", id));
	DV_TRY(dv_optlist_set(&filter, "qom-type", "filter-replay"));
	filter.items[0].implied = true;
	snprintf(name, sizeof(name), "dv-rr%zu", rw->nics_added++);
	DV_TRY(dv_optlist_set(&filter, "id", name));
	DV_TRY(dv_optlist_set(&filter, "netdev", id));
	DV_TRY(take_forwards(rw, list, virtio));
	if (json && strcmp(type ? type : "", "tap"))
		DV_TRY(emit_json(rw, json, rw->plan->forwards_len > forwards));
	else
		DV_TRY(dv_emit_list(rw, DV_WHEN_RECORDING, "-netdev", list));
	DV_TRY(dv_emit_list(rw, DV_WHEN_REPLAYING, "-netdev", &bare));
	rw->plan->has_network = true;
	DV_TRY(dv_plan_note(rw->plan, "network %s: packets go through filter-replay", id));
	return dv_emit_list(rw, DV_WHEN_ALWAYS, "-object", &filter);
}

static struct dv_error *emit_nic_option(struct dv_rewriter *rw, struct dv_optlist *nic)
{
	struct dv_optlist list = DV_OPTLIST_INIT;
	struct dv_error *err;
	const char *model = dv_optlist_get(nic, "model");
	const char *type = dv_optlist_get(&rw->machine, "type");

	/* What pc and q35 take by themselves is an e1000 or e1000e. */
	if (model ? dv_net_unreplayable(model) : rw->arch->x86 && !(type && !strncmp(type, "microvm", 7))) {
		DV_TRY(dv_plan_note(rw->plan, "NIC %s is virtio-net-pci: a replay would hang with it",
				    model ? model : "e1000"));
		DV_TRY(dv_optlist_set(nic, "model", "virtio-net-pci"));
		rw->virtio_net = true;
	} else if (is_virtio(model) || !model) {
		rw->virtio_net = true;
	}
	err = dv_optlist_set(&list, "type", "nic");
	if (!err) {
		list.items[0].implied = true;
		err = dv_optlist_merge(&list, nic);
	}
	if (!err)
		err = dv_emit_list(rw, DV_WHEN_ALWAYS, "-net", &list);
	dv_optlist_deinit(&list);
	return err;
}

/* -nic TYPE,BACKEND...,mac=M,model=M is a netdev and `-net nic,netdev=ID,macaddr=M,model=M`. */
static struct dv_error *emit_nic(struct dv_rewriter *rw, struct dv_optlist *list)
{
	static const char *const nic_keys[][2] = {{"mac", "macaddr"}, {"macaddr", "macaddr"},
						  {"model", "model"}, {"addr", "addr"}};
	_cleanup_optlist_ struct dv_optlist nic = DV_OPTLIST_INIT;
	char id[32];

	if (!dv_optlist_get(list, "id")) {
		snprintf(id, sizeof(id), "dv-net%zu", rw->nics_added);
		DV_TRY(dv_optlist_set(list, "id", id));
	}
	DV_TRY(dv_optlist_set(&nic, "netdev", dv_optlist_get(list, "id")));
	for (size_t i = 0; i < DV_ARRAY_SIZE(nic_keys); i++) {
		const char *value = dv_optlist_get(list, nic_keys[i][0]);

		if (value)
			DV_TRY(dv_optlist_set(&nic, nic_keys[i][1], value));
		dv_optlist_remove(list, nic_keys[i][0]);
	}
	DV_TRY(emit_netdev(rw, list, NULL, becomes_virtio(dv_optlist_get(&nic, "model"))));
	return emit_nic_option(rw, &nic);
}

/* One `-net nic` and one `-net user` belong together; alone, neither reaches anything. */
static struct dv_error *emit_net(struct dv_rewriter *rw, struct dv_optlist *list)
{
	const char *type = dv_optlist_get(list, "type");
	bool paired = rw->net_nics && rw->net_backends, virtio;

	if (!type || !strcmp(type, "none"))
		return dv_emit_list(rw, DV_WHEN_ALWAYS, "-net", list);
	if (!strcmp(type, "nic")) {
		dv_optlist_remove(list, "type");
		if (paired && !dv_optlist_get(list, "netdev"))
			DV_TRY(dv_optlist_set(list, "netdev", "dv-net"));
		return emit_nic_option(rw, list);
	}
	if (!paired)
		return dv_plan_note(rw->plan, "-net %s left out: no NIC is connected to it", type);
	dv_optlist_remove(list, "name");
	DV_TRY(dv_optlist_set(list, "id", "dv-net"));
	DV_TRY(find_card(rw, "dv-net", &virtio));
	return emit_netdev(rw, list, NULL, virtio);
}

struct dv_error *dv_net_emit(struct dv_rewriter *rw, const struct dv_option *option)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *type;

	DV_TRY(dv_optlist_parse(option->arg, "type", &list));
	if (option->def->action == DV_OPTION_NETDEV) {
		bool virtio;

		DV_TRY(find_card(rw, dv_optlist_get(&list, "id"), &virtio));
		return emit_netdev(rw, &list, list.from_json ? option->arg : NULL, virtio);
	}
	if (option->def->action == DV_OPTION_NET)
		return emit_net(rw, &list);
	type = dv_optlist_get(&list, "type");
	if (!type || !strcmp(type, "none"))
		return dv_plan_add(rw->plan, DV_WHEN_ALWAYS, "-nic", "none");
	return emit_nic(rw, &list);
}

struct dv_error *dv_net_finish(struct dv_rewriter *rw)
{
	_cleanup_optlist_ struct dv_optlist list = DV_OPTLIST_INIT;
	const char *type = dv_optlist_get(&rw->machine, "type");

	/* What QEMU would add by itself. microvm has no NIC of its own. */
	if (!rw->any_net && !rw->nodefaults && !(type && !strncmp(type, "microvm", 7))) {
		DV_TRY(dv_optlist_parse("user", "type", &list));
		DV_TRY(emit_nic(rw, &list));
	}
	if (!rw->virtio_net)
		return NULL;
	DV_TRY(dv_plan_note(rw->plan, "virtio-net does not announce itself, and sends by a timer: a replay from a snapshot "
			    "would hang"));
	/* An event that is to send stays with QEMU for ever when it stops between the guest's notice and it, and it saves
	 * no snapshot from there on; a timer is in the snapshots. One of 1 ns sends at once. */
	DV_TRY(dv_plan_add(rw->plan, DV_WHEN_ALWAYS, "-global", "virtio-net-device.tx=timer"));
	DV_TRY(dv_plan_add(rw->plan, DV_WHEN_ALWAYS, "-global", "virtio-net-device.x-txtimer=1"));
	return dv_plan_add(rw->plan, DV_WHEN_ALWAYS, "-global", "virtio-net-device.guest_announce=off");
}
