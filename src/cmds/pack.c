/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dejaview pack, dejaview unpack: a recording as one file, and back. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "cmds/cmds.h"
#include "cmds/numbers.h"
#include "cmds/summary.h"
#include "qemu/probe.h"
#include "replay/pack.h"

static const char pack_usage[] =
	"usage: dejaview pack [OPTION]... RECORDING.dejaview [FILE]\n"
	"\n"
	"Makes one file of a recording, with everything that a replay elsewhere needs: QEMU's log, kernel,\n"
	"initrd, disks (the base images, too; only the parts that are used), snapshots and the trace. FILE is\n"
	"RECORDING.dejaview.tar.zst unless given; - is standard output. `dejaview unpack` makes a recording of it\n"
	"again; what QEMU it needs, and from which Debian packages that came, is in it.\n"
	"\n"
	"  -f, --force        replace FILE if it is there\n"
	"      --no-trace     leave the trace out: `dejaview trace` makes it again\n"
	"      --level N      of compression, 1 (fast) to 19 (small); default 6\n"
	"      --image [NAME=]PATH  where a disk's base image lies now\n"
	"      --json         say the result as one JSON object\n"
	"      --quiet        no progress\n"
	"\n"
	"Checkpoints are left out: `dejaview checkpoint` makes them again.\n";

static const char unpack_usage[] =
	"usage: dejaview unpack [OPTION]... FILE\n"
	"\n"
	"Makes a recording of what `dejaview pack` made of one; - is standard input. The folder appears when\n"
	"everything is there and its digests are right.\n"
	"\n"
	"  -o, --output DIR   the recording's folder (default: its old name, here)\n"
	"  -f, --force        replace a recording of that name\n"
	"      --max-size N   unpack no more than this: 500M, 2T (default 64G)\n"
	"      --json         say the result as one JSON object\n"
	"      --quiet        no progress\n"
	"\n"
	"To replay a recording is to run QEMU with the options in it: unpack what comes from people you trust.\n";

#define MAX_IMAGES 16

struct command {
	const char *verb, *output;
	const char *images[MAX_IMAGES];
	size_t images_len;
	struct dv_pack_options options;
	bool json, quiet, shown;
	int last_percent;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static bool show_progress(void *context, const char *name, uint64_t done_bytes, uint64_t total_bytes)
{
	struct command *c = context;
	int percent = total_bytes ? (int)(done_bytes * 100 / total_bytes) : 100;
	bool terminal = isatty(STDERR_FILENO);

	if (!c->quiet && (terminal ? percent != c->last_percent : percent / 10 != c->last_percent / 10)) {
		fprintf(stderr, terminal ? "\rdejaview %s: %d %% %-24.24s" : "dejaview %s: %d %% %s\n", c->verb, percent, name);
		c->last_percent = percent;
		c->shown = terminal;
	}
	return !interrupted;
}

static void end_progress(struct command *c)
{
	if (c->shown)
		fprintf(stderr, "\r\033[K");
}

/* Returns -1 to go on, else the exit status. */
static int parse(struct command *c, int argc, char **argv, const char *usage)
{
	static const struct option options[] = {
		{"force", no_argument, NULL, 'f'},	    {"no-trace", no_argument, NULL, 't'},
		{"level", required_argument, NULL, 'l'},    {"image", required_argument, NULL, 'i'},
		{"output", required_argument, NULL, 'o'},   {"max-size", required_argument, NULL, 'm'},
		{"json", no_argument, NULL, 'j'},	    {"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},	    {0}};
	bool packing = !strcmp(c->verb, "pack");
	int option;

	while ((option = getopt_long(argc, argv, packing ? "fh" : "fo:h", options, NULL)) != -1) {
		bool wrong = option == '?' || (packing ? option == 'o' || option == 'm' :
							 option == 't' || option == 'l' || option == 'i');

		if (option == 'f')
			c->options.force = true;
		if (option == 't')
			c->options.without_trace = true;
		if (option == 'l')
			c->options.level = atoi(optarg);
		if (option == 'i' && c->images_len < MAX_IMAGES)
			c->images[c->images_len++] = optarg;
		if (option == 'o')
			c->output = optarg;
		if (option == 'm')
			c->options.max_bytes = dv_parse_size(optarg);
		if (option == 'j')
			c->json = true;
		if (option == 'q')
			c->quiet = true;
		wrong |= option == 'l' && (c->options.level < 1 || c->options.level > DV_PACK_MAX_LEVEL);
		wrong |= option == 'm' && !c->options.max_bytes;
		if (wrong || option == 'h') {
			fputs(usage, wrong ? stderr : stdout);
			return wrong ? 2 : 0;
		}
	}
	if (argc - optind < 1 || argc - optind > (packing ? 2 : 1)) {
		fputs(usage, stderr);
		return 2;
	}
	return -1;
}

static void start(struct command *c)
{
	struct sigaction action = {.sa_handler = interrupt};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	c->options.progress = show_progress;
	c->options.context = c;
	c->last_percent = -10;
}

static void say(FILE *to, const struct command *c, const char *path, const struct dv_pack_result *sizes)
{
	json_t *json;
	char a[24], b[24];

	if (!c->json) {
		fprintf(to, "%s: %s", path, dv_format_bytes(sizes->data_bytes, a));
		if (sizes->pack_bytes)
			fprintf(to, ", packed %s", dv_format_bytes(sizes->pack_bytes, b));
		fputc('\n', to);
		return;
	}
	json = json_pack("{s:s, s:I, s:I, s:I}", "path", path, "bytes", (json_int_t)sizes->bytes, "data_bytes",
			 (json_int_t)sizes->data_bytes, "pack_bytes", (json_int_t)sizes->pack_bytes);
	json_dumpf(json, to, 0);
	fputc('\n', to);
	json_decref(json);
}

static struct dv_error *pack(struct command *c, const char *folder, const char *file)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *recording = NULL;
	_cleanup_free_ char *default_file = NULL;
	struct dv_pack_result sizes;
	struct dv_error *err;

	DV_TRY(dv_recording_open(folder, &recording));
	for (size_t i = 0; i < c->images_len; i++)
		DV_TRY(dv_recording_set_image(recording, c->images[i]));
	DV_TRY(dv_recording_check(recording, NULL));
	if (!file && asprintf(&default_file, "%s%s", strrchr(recording->folder, '/') + 1, DV_PACK_SUFFIX) < 0)
		return dv_error_no_memory();
	file = file ? file : default_file;
	if (!strcmp(file, "-") && isatty(STDOUT_FILENO))
		return dv_error_new(DV_ERROR_INVALID, "standard output is a terminal: give a FILE, or a pipe");
	err = dv_recording_pack(recording, file, &c->options, &sizes);
	end_progress(c);
	if (!err && (!c->quiet || c->json))
		say(strcmp(file, "-") ? stdout : stderr, c, file, &sizes);
	return err;
}

/* Text out of an archive, for a terminal. */
static const char *plain(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	for (const char *c = text; c && *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return "?";
	}
	return text ? text : "?";
}

/* What this machine lacks for a replay is said at once, not when it is tried. */
static void say_qemu(const struct dv_recording *r)
{
	_cleanup_free_ char *path = dv_recording_path(r, DV_PACK_JSON);
	_cleanup_(dv_qemu_version_deinit) struct dv_qemu_version version = {0};
	_cleanup_error_ struct dv_error *err = dv_qemu_probe(r->plan->binary, &version);
	const char *wanted = plain(r->manifest, "qemu_version");
	json_t *pack = path ? json_load_file(path, 0, NULL) : NULL, *package;
	size_t i;

	if (err || strcmp(version.text, wanted)) {
		fprintf(stderr, "dejaview unpack: it replays with \"%s\"; here is %s%s%s\n", wanted, err ? "" : "\"",
			err ? "none" : version.text, err ? "" : "\"");
		json_array_foreach(json_object_get(pack, "packages"), i, package)
			fprintf(stderr, "dejaview unpack:   it came from %s %s (%s)\n",
				plain(package, "package"), plain(package, "version"), plain(package, "architecture"));
		fprintf(stderr, "dejaview unpack:   choose another QEMU with --qemu PATH when replaying\n");
	}
	json_decref(pack);
}

static struct dv_error *unpack(struct command *c, const char *file)
{
	_cleanup_(dv_recording_destroyp) struct dv_recording *recording = NULL;
	struct dv_pack_result sizes;
	struct dv_error *err = dv_recording_unpack(file, c->output, &c->options, &recording, &sizes);

	end_progress(c);
	if (err)
		return err;
	say_qemu(recording);
	if (!c->quiet || c->json)
		say(stdout, c, recording->folder, &sizes);
	return NULL;
}

int dv_cmd_pack(int argc, char **argv)
{
	struct command c = {.verb = "pack"};
	int status = parse(&c, argc, argv, pack_usage);

	if (status >= 0)
		return status;
	start(&c);
	return dv_cmd_report("pack", pack(&c, argv[optind], optind + 1 < argc ? argv[optind + 1] : NULL));
}

int dv_cmd_unpack(int argc, char **argv)
{
	struct command c = {.verb = "unpack"};
	int status = parse(&c, argc, argv, unpack_usage);

	if (status >= 0)
		return status;
	start(&c);
	return dv_cmd_report("unpack", unpack(&c, argv[optind]));
}
