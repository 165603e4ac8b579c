/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview checkpoint: makes, lists and removes a recording's checkpoints. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "cmds/cmds.h"
#include "cmds/numbers.h"
#include "qemu/probe.h"
#include "replay/checkpoints.h"

static const char usage[] =
	"usage: dejaview checkpoint [OPTION]... RECORDING.dejaview\n"
	"\n"
	"Replays the recording once and makes checkpoints on the way: snapshots of the whole machine, from which\n"
	"seek, debug and the like start, so that they need not replay from the beginning. Each is proved before\n"
	"it is kept. What was made before is continued, not made again. Ctrl-C stops early and keeps what is\n"
	"there (a second one gives up at once).\n"
	"\n"
	"      --interval TIME    of replay time between two: 0.5s, 200ms (default 200ms). Closer ones make seeks\n"
	"                         faster and take more room\n"
	"      --budget SIZE      of disk for all of them: 500M, 4G (default 4G, and never more than half of what\n"
	"                         is free). When it is used up every second one goes\n"
	"      --list             say which there are\n"
	"      --remove           remove them; this is always safe, they can be made again\n"
	"      --json             one JSON object instead of text\n"
	"      --image [NAME=]PATH  where a disk's base image lies now\n"
	"      --qemu PATH        the QEMU to replay with: it must be the recording's version\n"
	"      --quiet            no progress\n"
	"\n"
	"They are kept in the recording's folder; when that cannot be written, in $XDG_CACHE_HOME/dejaview.\n";

#define MAX_IMAGES 16
#define MIB (1024.0 * 1024.0)

struct command {
	const char *qemu, *images[MAX_IMAGES];
	size_t images_len;
	unsigned interval_ms;
	uint64_t budget_bytes;
	bool list, remove, json, quiet, shown;
	int last_percent;
};

static volatile sig_atomic_t interrupts;

static void interrupt(int signal)
{
	(void)signal;
	interrupts++;
}

/* "0.5s", "200ms", "2" (seconds). 0 when it is none. */
static unsigned parse_interval_ms(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || value <= 0)
		return 0;
	if (!*end || !strcmp(end, "s"))
		value *= 1000;
	else if (strcmp(end, "ms"))
		return 0;
	return value < DV_CHECKPOINTS_MIN_INTERVAL_MS || value > 3600e3 ? 0 : (unsigned)value;
}

static bool progress(void *context, const struct dv_checkpoints_progress *p)
{
	struct command *c = context;
	bool proving = p->phase == DV_CHECKPOINTS_PROVING;
	int percent = p->end_icount ? (int)(p->icount * 100 / p->end_icount) : 0;

	if (!c->quiet && (isatty(STDERR_FILENO) ? percent != c->last_percent : percent / 10 != c->last_percent / 10)) {
		fprintf(stderr, isatty(STDERR_FILENO) ? "\r%s %d %%, %zu checkpoints, %.0f MiB    " :
							"%s %d %%, %zu checkpoints, %.0f MiB\n",
			proving ? "dejaview checkpoint: proving" : "dejaview checkpoint: replaying", percent,
			proving ? p->proved : p->made, (double)p->bytes / MIB);
		c->last_percent = percent;
		c->shown = true;
	}
	return interrupts <= (proving ? 1 : 0);
}

static json_t *to_json(const struct dv_checkpoints *set)
{
	json_t *items = json_array();

	for (size_t i = 0; i < set->len; i++)
		json_array_append_new(items, json_pack("{s:s, s:I, s:I, s:I}", "name", set->items[i].name, "icount",
						       (json_int_t)set->items[i].icount, "bytes",
						       (json_int_t)set->items[i].bytes, "save_ms",
						       (json_int_t)set->items[i].save_ms));
	return json_pack("{s:s, s:b, s:b, s:I, s:I, s:s?, s:o}", "folder", set->dir, "in_cache", (int)set->in_cache,
			 "complete", (int)set->complete, "made_to_icount", (json_int_t)set->made_to_icount, "bytes",
			 (json_int_t)set->bytes, "ignored", set->ignored, "checkpoints", items);
}

static struct dv_error *show(const struct command *c, const struct dv_recording *r)
{
	_cleanup_checkpoints_ struct dv_checkpoints set = {0};

	DV_TRY(dv_checkpoints_open(r, &set));
	if (c->json) {
		json_t *json = to_json(&set);

		json_dumpf(json, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(json);
		return NULL;
	}
	for (size_t i = 0; i < set.len && c->list; i++)
		printf("%14" PRIu64 "  %6.1f MiB  %4u ms\n", set.items[i].icount, (double)set.items[i].bytes / MIB,
		       set.items[i].save_ms);
	if (set.ignored)
		printf("not used: %s\n", set.ignored);
	printf("%zu checkpoint%s, %.0f MiB in %s%s%s\n", set.len, set.len == 1 ? "" : "s", (double)set.bytes / MIB, set.dir,
	       set.in_cache ? " (the recording cannot be written)" : "",
	       set.complete || !set.len ? "" : "; not up to the end yet");
	return NULL;
}

static void tell_made(const struct command *c, const struct dv_checkpoints_made *made)
{
	if (made->stuck_icount)
		fprintf(stderr, "dejaview checkpoint: the replay stood still at icount %" PRIu64 ", a fault of QEMU's: %s\n",
			made->stuck_icount, made->proved ? "once more, from the last checkpoint" : "no further");
	if (made->dropped)
		fprintf(stderr, "dejaview checkpoint: %zu did not replay as they should and were not kept\n", made->dropped);
	if (made->proved && !c->json && !c->quiet)
		printf("made %zu, each in %u ms (median; %u at most)\n", made->proved, made->median_save_ms,
		       made->max_save_ms);
}

static struct dv_error *make(struct command *c, struct dv_recording *r)
{
	_cleanup_(dv_qemu_version_deinit) struct dv_qemu_version version = {0};
	struct dv_checkpoints_options options = {.qemu = c->qemu, .interval_ms = c->interval_ms,
						 .budget_bytes = c->budget_bytes, .progress = progress, .context = c};
	struct dv_checkpoints_made made = {0};
	struct dv_error *err;

	for (size_t i = 0; i < c->images_len; i++)
		DV_TRY(dv_recording_set_image(r, c->images[i]));
	DV_TRY(dv_qemu_probe(c->qemu ?: r->plan->binary, &version));
	DV_TRY(dv_recording_check(r, version.text));
	do {
		made = (struct dv_checkpoints_made){0};
		c->last_percent = -100;
		err = dv_checkpoints_make(r, &options, &made);
		if (c->shown && isatty(STDERR_FILENO))
			fputc('\n', stderr);
		DV_TRY(err);
		tell_made(c, &made);
	} while (made.stuck_icount && made.proved && !interrupts);
	DV_TRY(show(c, r));
	return interrupts ? dv_error_new(DV_ERROR_CANCELLED, "interrupted; the next run goes on from there") : NULL;
}

static struct dv_error *remove_all(const struct dv_recording *r)
{
	uint64_t bytes;

	DV_TRY(dv_checkpoints_remove(r, &bytes));
	printf("%.0f MiB freed\n", (double)bytes / MIB);
	return NULL;
}

static struct dv_error *run(struct command *c, const char *folder)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *r = NULL;

	DV_TRY(dv_recording_open(folder, &r));
	DV_TRY(dv_recording_repair(r));
	return c->remove ? remove_all(r) : c->list ? show(c, r) : make(c, r);
}

int dv_cmd_checkpoint(int argc, char **argv)
{
	enum { IMAGE = 256, QEMU, QUIET, LIST, REMOVE, JSON, INTERVAL, BUDGET };
	static const struct option options[] = {
		{"interval", required_argument, NULL, INTERVAL}, {"budget", required_argument, NULL, BUDGET},
		{"list", no_argument, NULL, LIST}, {"remove", no_argument, NULL, REMOVE},
		{"json", no_argument, NULL, JSON}, {"image", required_argument, NULL, IMAGE},
		{"qemu", required_argument, NULL, QEMU}, {"quiet", no_argument, NULL, QUIET},
		{"help", no_argument, NULL, 'h'}, {0}};
	struct sigaction action = {.sa_handler = interrupt};
	struct command command = {0};
	bool good = true;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case INTERVAL: good &= (command.interval_ms = parse_interval_ms(optarg)) != 0; break;
		case BUDGET: good &= (command.budget_bytes = dv_parse_size(optarg)) != 0; break;
		case LIST: command.list = true; break;
		case REMOVE: command.remove = true; break;
		case JSON: command.json = true; break;
		case IMAGE:
			if (command.images_len < MAX_IMAGES)
				command.images[command.images_len++] = optarg;
			break;
		case QEMU: command.qemu = optarg; break;
		case QUIET: command.quiet = true; break;
		case 'h': fputs(usage, stdout); return 0;
		default: fputs("Try 'dejaview checkpoint --help'.\n", stderr); return 2;
		}
		if (!good) {
			fprintf(stderr, "dejaview checkpoint: '%s' is no %s\n", optarg,
				c == BUDGET ? "size: give it as 500M or 4G" : "time of 50 ms or more: give it as 0.5s or 200ms");
			return 2;
		}
	}
	if (argc - optind != 1 || (command.list && command.remove)) {
		fputs(usage, stderr);
		return 2;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return dv_cmd_report("checkpoint", run(&command, argv[optind]));
}
