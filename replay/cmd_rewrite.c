/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila recompress and aquila salvage: a new capture made of an old one, smaller, or of what can still be read.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "format/segment/rewrite.h"
#include "replay/cli.h"

enum { LEVEL_DEFAULT = 9, LEVEL_SALVAGE = 1, LEVEL_MAX = 19 };

static const char recompress_help[] =
	"usage: aquila recompress CAPTURE -o NEW [--level N] [--key FILE… --plain] [-q]\n"
	"       aquila recompress --in-place CAPTURE [--level N] [-q]\n"
	"\n"
	"Makes a new capture of the same events, gaps and totals, smaller: chunks that were written every second\n"
	"become full ones, and zstd takes its time. Segments begin where they began. It is read again before it\n"
	"counts. The old capture is left as it is, and must be whole.\n"
	"\n"
	"With --in-place each finished segment is written again beside the old one and exchanged with it when it\n"
	"is on the disk. The id stays; the segments say that they were written again. Signed and encrypted captures\n"
	"are refused: signatures are about bytes that would be gone. A recorder may be at work.\n"
	"\n"
	"  -o, --output NEW  folder to make; it must not exist\n"
	"      --in-place    replace the segments of CAPTURE, a folder; those that get no smaller are left\n"
	"      --level N     of zstd, 1 to 19 (default: 9)\n"
	"      --key FILE    a secret key that opens an encrypted capture; may be given again\n"
	"      --plain       write an encrypted capture anew all the same: the new one is not encrypted\n"
	"  -q, --quiet       say nothing\n"
	"\n"
	"The new capture has an id of its own, says of which one it was made (aquila info), and is not signed.\n"
	"Exit status: 0 done, 1 error, 2 usage.\n"
	"\n"
	"Example\n"
	"  aquila recompress web.aquila -o web.small.aquila && aquila verify web.small.aquila\n";

static const char salvage_help[] =
	"usage: aquila salvage CAPTURE -o NEW [--level N] [--key FILE… --plain] [-q]\n"
	"\n"
	"Makes a clean capture of all that can be read of a damaged, cut or unfinished one. What is missing becomes\n"
	"gaps of the new one, with their times, so that its answers say the same about what is not there. The old\n"
	"capture is left as it is.\n"
	"\n"
	"  -o, --output NEW  folder to make; it must not exist\n"
	"      --level N     of zstd, 1 to 19 (default: 1)\n"
	"      --key FILE    a secret key that opens an encrypted capture; may be given again\n"
	"      --plain       write an encrypted capture anew all the same: the new one is not encrypted\n"
	"  -q, --quiet       name no damaged places\n"
	"\n"
	"The new capture has an id of its own, says of which one it was made (aquila info), and is not signed.\n"
	"Exit status: 0 nothing was missing, 3 something was, and is a gap now; 1 error, 2 usage.\n"
	"\n"
	"Example\n"
	"  aquila salvage broken.aquila -o clean.aquila; aquila losses clean.aquila\n";

struct words { /* of the command line */
	struct aq_options options; /* capture, keys, quiet, plain */
	const char *output;
	int level;
	bool help, in_place, may_replace;
};

static int take_option(int opt, struct words *w, struct aq_err *err)
{
	struct aq_options *o = &w->options;
	char *end;

	switch (opt) {
	case 'o':
		w->output = optarg;
		return 0;
	case 'l':
		w->level = (int)strtol(optarg, &end, 10);
		if (*optarg == '\0' || *end != '\0' || w->level < 1 || w->level > LEVEL_MAX)
			return aq_err_set(err, -EINVAL, "--level: '%s' is not a whole number from 1 to %d", optarg,
					  LEVEL_MAX);
		return 0;
	case 'k':
		if (o->key_file_count == AQ_KEY_FILES_MAX)
			return aq_err_set(err, -EINVAL, "--key: more than %d files; put the keys into one",
					  AQ_KEY_FILES_MAX);
		o->key_files[o->key_file_count++] = optarg;
		return 0;
	case 'i':
		w->in_place = true;
		return 0;
	case 'p':
		o->plain = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	default:
		w->help = true;
		return 0;
	}
}

static int parse(int argc, char **argv, struct words *w, struct aq_err *err)
{
	static const struct option table[] = {
		{ "output", required_argument, NULL, 'o' }, { "level", required_argument, NULL, 'l' },
		{ "key", required_argument, NULL, 'k' },    { "plain", no_argument, NULL, 'p' },
		{ "in-place", no_argument, NULL, 'i' },    { "quiet", no_argument, NULL, 'q' },
		    { "help", no_argument, NULL, 'h' },
		{ NULL },
	};
	int opt, r = 0;

	optind = 0;
	opterr = 0;
	while (r == 0 && (opt = getopt_long(argc, argv, ":o:qh", table, NULL)) != -1) {
		if (opt == ':')
			return aq_err_set(err, -EINVAL, "%s needs a value", argv[optind - 1]);
		if (opt == '?')
			return aq_err_set(err, -EINVAL, "there is no option %s", argv[optind - 1]);
		r = take_option(opt, w, err);
	}
	if (r < 0 || w->help)
		return r;
	if (optind >= argc)
		return aq_err_set(err, -EINVAL, "which CAPTURE? Name a folder NAME.aquila or one segment file");
	if (optind + 1 < argc)
		return aq_err_set(err, -EINVAL, "'%s' is one word too many", argv[optind + 1]);
	w->options.capture = argv[optind];
	if (w->in_place && !w->may_replace)
		return aq_err_set(err, -EINVAL, "there is no option --in-place");
	if (w->in_place && (w->output != NULL || w->options.plain || w->options.key_file_count > 0))
		return aq_err_set(err, -EINVAL, "--in-place goes with --level and --quiet only");
	if (w->in_place)
		return 0;
	if (w->output == NULL || *w->output == '\0')
		return aq_err_set(err, -EINVAL, "where to? Give -o NEW");
	return 0;
}

/* Each damaged place, and what became of it all. */
static int say(const struct words *w, const struct aq_capture *c, const struct aq_rewrite_result *result, bool salvage)
{
	size_t damages, gaps, unknown = 0;
	const struct aq_damage *damage = aq_capture_damages(c, &damages);
	const struct aq_gap *gap = aq_capture_gaps(c, &gaps);
	struct aq_out out;
	int status;

	for (size_t i = 0; i < gaps; i++)
		unknown += gap[i].count == AQ_GAP_COUNT_UNKNOWN;
	status = salvage && (damages > 0 || unknown > 0 || result->missing > 0) ? AQ_EXIT_INCOMPLETE : AQ_EXIT_COMPLETE;
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	for (size_t i = 0; i < damages && !w->options.quiet; i++) {
		aq_out_puts(&out, "missing '");
		aq_out_text(&out, damage[i].file, strlen(damage[i].file));
		aq_out_printf(&out, "' at byte %" PRIu64 ", %" PRIu64 " bytes: ", damage[i].offset, damage[i].bytes);
		aq_out_text(&out, damage[i].text, strlen(damage[i].text));
		aq_out_puts(&out, "\n");
	}
	if (!w->options.quiet) {
		aq_out_puts(&out, "'");
		aq_out_text(&out, w->output, strlen(w->output));
		aq_out_printf(&out,
			      "': %" PRIu64 " events in %" PRIu64 " segment%s, %" PRIu64 " bytes (were %" PRIu64 ")",
			      result->events, result->segments, result->segments == 1 ? "" : "s", result->bytes,
			      aq_capture_info(c)->bytes);
		if (result->missing > 0)
			aq_out_printf(&out, "; %" PRIu64 " stored events could not be read", result->missing);
		aq_out_puts(&out, "\n");
	}
	status = aq_finish_plain(&out, status);
	aq_out_release(&out);
	return status;
}

static int replace(const struct words *w)
{
	struct aq_rewrite_options options = { .zstd_level = w->level, .stop = aq_stop_on_signals() };
	struct aq_in_place_result result;
	struct aq_err err = { 0 };
	struct aq_out out;
	int r, status;

	if (isatty(STDERR_FILENO) == 1 && !w->options.quiet)
		options.progress = aq_progress_events;
	r = aq_capture_rewrite_in_place(w->options.capture, &options, &result, &err);
	if (options.progress != NULL)
		aq_progress_end();
	if (r < 0)
		return aq_fail(&err);
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	if (!w->options.quiet) {
		aq_out_puts(&out, "'");
		aq_out_text(&out, w->options.capture, strlen(w->options.capture));
		aq_out_printf(&out,
			      "': %" PRIu64 " segment%s written again, %" PRIu64 " left; %" PRIu64
			      " bytes (were %" PRIu64 ")\n",
			      result.replaced, result.replaced == 1 ? "" : "s", result.left, result.bytes_after,
			      result.bytes_before);
	}
	status = aq_finish_plain(&out, AQ_EXIT_COMPLETE);
	aq_out_release(&out);
	return status;
}

static int rewrite(const struct words *w, bool salvage)
{
	struct aq_rewrite_options options = { .how = salvage ? "salvage" : "recompress", .zstd_level = w->level,
					      .whole_only = !salvage };
	struct aq_rewrite_result result;
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	int r, status = aq_open(&w->options, &c);

	if (status != 0)
		return status;
	if (aq_capture_info(c)->encrypted && !w->options.plain) {
		aq_err_set(&err, -EPERM,
			   "'%s' is encrypted and the new capture would not be: say --plain if that is meant",
			   w->options.capture);
		aq_capture_close(c);
		return aq_fail(&err);
	}
	if (isatty(STDERR_FILENO) == 1 && !w->options.quiet)
		options.progress = aq_progress_events;
	options.stop = aq_stop_on_signals();
	r = aq_capture_rewrite(c, w->output, &options, &result, &err);
	if (options.progress != NULL)
		aq_progress_end();
	status = r < 0 ? aq_fail(&err) : say(w, c, &result, salvage);
	aq_capture_close(c);
	return status;
}

static int run(int argc, char **argv, const char *name, const char *help, int level, bool salvage)
{
	struct words w = { .level = level, .may_replace = !salvage };
	struct aq_err err = { 0 };
	struct aq_out out;
	int status;

	if (parse(argc, argv, &w, &err) < 0)
		return aq_fail_usage(name, &err);
	if (!w.help)
		return w.in_place ? replace(&w) : rewrite(&w, salvage);
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	aq_out_puts(&out, help);
	status = aq_finish_plain(&out, AQ_EXIT_COMPLETE);
	aq_out_release(&out);
	return status;
}

static int recompress(int argc, char **argv)
{
	return run(argc, argv, "recompress", recompress_help, LEVEL_DEFAULT, false);
}

static int salvage_command(int argc, char **argv)
{
	return run(argc, argv, "salvage", salvage_help, LEVEL_SALVAGE, true);
}

const struct aq_command aq_cmd_recompress = {
	.name = "recompress",
	.summary = "the same capture again, smaller",
	.help = recompress_help,
	.run_raw = recompress,
};

const struct aq_command aq_cmd_salvage = {
	.name = "salvage",
	.summary = "a clean capture of what can be read of a broken one",
	.help = salvage_help,
	.run_raw = salvage_command,
};
