/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the engine knows, as the protocol's types say it. */
#include "rpc/private.h"

void set_member(json_t *object, const char *name, json_t *value)
{
	if (value)
		json_object_set_new(object, name, value);
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* Only when it is known. */
static void set_row(json_t *object, const char *name, uint32_t row)
{
	if (row != DV_QUERY_NONE)
		set_member(object, name, number(row));
}

static void set_icount(json_t *object, const char *name, uint64_t icount)
{
	if (icount != UINT64_MAX)
		set_member(object, name, number(icount));
}

json_t *describe_thread(const struct dv_query *q, uint32_t utid)
{
	const struct dv_query_thread *thread = dv_query_thread(q, utid);
	uint32_t depths = thread->track == DV_QUERY_NONE ? 0 : dv_query_track(q, thread->track)->depths;
	json_t *json = json_pack("{s:o, s:o, s:o, s:b, s:b, s:b, s:o, s:o, s:o}", "utid", number(utid), "tid",
				 json_integer(thread->tid), "name", dv_json_text(thread->name), "isKernel",
				 thread->is_kernel, "isIdle", thread->is_idle, "isMain", thread->is_main, "slices",
				 number(thread->slices), "depths", number(depths), "cpu", number(thread->cpu_icount));

	set_row(json, "track", thread->track);
	set_row(json, "upid", thread->upid);
	set_icount(json, "start", thread->start_icount);
	set_icount(json, "end", thread->end_icount);
	return json;
}

json_t *describe_process(const struct dv_query *q, uint32_t upid)
{
	const struct dv_query_process *process = dv_query_process(q, upid);
	json_t *json = json_pack("{s:o, s:o, s:o}", "upid", number(upid), "pid", json_integer(process->pid), "name",
				 dv_json_text(process->name));

	set_row(json, "parent", process->parent_upid);
	set_icount(json, "start", process->start_icount);
	set_icount(json, "end", process->end_icount);
	return json;
}

json_t *describe_track(const struct dv_query *q, uint32_t track)
{
	const struct dv_query_track *is = dv_query_track(q, track);
	json_t *json = json_pack("{s:o, s:s, s:o, s:o}", "track", number(track), "type",
				 dv_rpc_track_type_names[is->type], "slices", number(is->slices), "depths",
				 number(is->depths));

	set_row(json, "parent", is->parent);
	set_row(json, "utid", is->utid);
	set_row(json, "upid", is->upid);
	if (is->name)
		set_member(json, "name", dv_json_text(is->name));
	return json;
}

json_t *describe_function(const struct dv_query *q, uint32_t function)
{
	const struct dv_query_function *is = dv_query_function(q, function);
	json_t *json = json_pack("{s:o, s:o}", "id", number(function), "name", dv_json_text(is->name));

	if (is->space < DV_ARRAY_SIZE(dv_rpc_space_names))
		set_member(json, "space", json_string(dv_rpc_space_names[is->space]));
	if (is->slice_name != is->name)
		set_member(json, "sliceName", dv_json_text(is->slice_name));
	if (is->module)
		set_member(json, "module", dv_json_text(is->module));
	if (dv_query_info(q)->is_dejaview) {
		char address[24];

		snprintf(address, sizeof(address), "0x%llx", (unsigned long long)is->vaddr);
		set_member(json, "address", json_string(address));
	}
	if (is->size)
		set_member(json, "size", number(is->size));
	if (is->file)
		set_member(json, "file", dv_json_text(is->file));
	if (is->line)
		set_member(json, "line", number(is->line));
	return json;
}

json_t *describe_slice(const struct dv_query *q, uint32_t id)
{
	struct dv_query_slice slice;
	json_t *json;

	if (id == DV_QUERY_NONE || !dv_query_slice(q, id, &slice))
		return NULL;
	json = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o}", "id", number(id), "track",
			 number(slice.track), "depth", number(slice.depth), "start", number(slice.start_icount), "dur",
			 slice.dur_icount == DV_QUERY_OPEN ? json_integer(-1) : number(slice.dur_icount), "function",
			 number(slice.function), "kind",
			 dv_rpc_slice_kind_names[slice.kind < DV_ARRAY_SIZE(dv_rpc_slice_kind_names) ? slice.kind : 0],
			 "cpu", number(slice.cpu_icount), "own", number(slice.own_icount));
	set_member(json, "name", dv_json_text(dv_query_function(q, slice.function)->slice_name));
	set_row(json, "utid", slice.utid);
	return json;
}

static json_t *describe_metadata(const struct dv_query *q)
{
	json_t *list = json_array();
	const char *name, *value;

	for (size_t i = 0; dv_query_metadata(q, i, &name, &value); i++)
		if (value)
			json_array_append_new(list, json_pack("{s:o, s:o}", "name", dv_json_text(name), "value",
							      dv_json_text(value)));
	return list;
}

json_t *describe_trace(const struct dv_query *q)
{
	const struct dv_query_info *info = dv_query_info(q);
	json_t *json = json_pack("{s:o, s:s, s:o, s:o, s:b, s:s}", "path", dv_json_text(info->path), "identity",
				 dv_query_identity(q), "from", number(info->first_icount), "to",
				 number(info->last_icount), "exact", info->exact, "clock",
				 info->clock == DV_QUERY_CLOCK_ICOUNT ? "instructions" : "ns");
	const char *damage = dv_query_damage(q);

	set_member(json, "slices", number(info->slices));
	set_member(json, "threads", number(info->threads));
	set_member(json, "processes", number(info->processes));
	set_member(json, "functions", number(info->functions));
	set_member(json, "maxDepth", number(info->max_depth));
	set_member(json, "cpus", number(info->cpus));
	set_member(json, "consoleLines", number(dv_query_console_count(q)));
	set_member(json, "metadata", describe_metadata(q));
	if (damage)
		set_member(json, "damage", dv_json_text(damage));
	return json;
}
