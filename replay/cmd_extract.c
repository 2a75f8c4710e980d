/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila extract: a part of a capture as a capture that can be handed on.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include <sodium.h>

#include "format/base/text.h"
#include "format/segment/rewrite.h"
#include "query/extract.h"
#include "replay/cli.h"

static const char help_text[] =
	"usage: aquila extract CAPTURE [FILTER] [--from T] [--to T] -o NEW [--key FILE… --plain] [-q]\n"
	"\n"
	"Makes a smaller capture: the events that match, and of all others only those that say something about the\n"
	"state of the processes they belong to, of their ancestors, and of whoever wrote the programs that they run,\n"
	"so that names and descriptors are the same. Of other processes nothing is in it.\n"
	"\n"
	"  -o, --output NEW  folder to make; it must not exist\n"
	"      --from T      only what matches from then on; RFC 3339, @seconds, -10m (before the end), +10s\n"
	"      --to T        and until then\n"
	"      --key FILE    a secret key that opens an encrypted capture; may be given again\n"
	"      --plain       extract from an encrypted capture all the same: the new one is not encrypted\n"
	"  -q, --quiet       say nothing\n"
	"\n"
	"The new capture has an id of its own, says of which one and with which filter it was made (aquila info),\n"
	"and is not signed. What was left out is policy in its ledger, so that its answers are incomplete by that.\n"
	"Exit status: 0 done, 1 error or nothing matches, 2 usage.\n"
	"\n"
	"Example\n"
	"  aquila extract web.aquila 'container.id = 3f2a9c1d4b7e' --from -10m -o incident.aquila\n";

/* What the header says: of which capture, and how. False without memory. */
static bool describe(const struct aq_options *o, const struct aq_capture *c, const struct aq_extract_options *x,
		     struct aq_buf *out, struct aq_err *err)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	char hash[AQ_CAPTURE_HASH_TEXT_BYTES], id[2 * sizeof(info->capture_id) + 1], text[256],
		from[AQ_TIME_TEXT_BYTES], to[AQ_TIME_TEXT_BYTES];

	if (aq_capture_hash(c, hash, err) < 0)
		return false;
	sodium_bin2hex(id, sizeof(id), info->capture_id, sizeof(info->capture_id));
	aq_time_format(aq_capture_real_ns(c, x->from_ns ? x->from_ns : info->start_boot_ns), from);
	aq_time_format(aq_capture_real_ns(c, x->to_ns ? x->to_ns : info->end_ns), to);
	snprintf(text, sizeof(text),
		 "{\"how\":\"extract\",\"capture_id\":\"%s\",\"blake2b_256\":\"%s\",\"segments\":%" PRIu32
		 ",\"filter\":",
		 id, hash, info->segment_count);
	aq_buf_put(out, text, strlen(text));
	aq_json_string(out, o->expr ? o->expr : "", o->expr ? strlen(o->expr) : 0);
	snprintf(text, sizeof(text), ",\"from\":\"%s\",\"to\":\"%s\"}", from, to);
	aq_buf_put(out, text, strlen(text) + 1);
	if (out->failed)
		aq_err_set(err, -ENOMEM, "out of memory");
	return !out->failed;
}

static int say(const struct aq_options *o, const struct aq_extract_result *result)
{
	struct aq_out out;
	int status;

	aq_out_init(&out, STDOUT_FILENO, "standard output");
	if (!o->quiet) {
		aq_out_puts(&out, "'");
		aq_out_text(&out, o->output, strlen(o->output));
		aq_out_printf(&out,
			      "': %" PRIu64 " events that match and %" PRIu64 " for the state of %" PRIu64
			      " processes; %" PRIu64 " left out\n",
			      result->matches, result->state, result->processes, result->left_out);
	}
	status = aq_finish_plain(&out, AQ_EXIT_COMPLETE);
	aq_out_release(&out);
	return status;
}

static int extract(const struct aq_command *command, const struct aq_options *o)
{
	struct aq_extract_options options = { .filter = o->expr };
	struct aq_extract_result result;
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	struct aq_buf derived;
	int status = aq_check_expressions(command->name, o->expr, NULL, 0);

	if (status == 0 && o->output == NULL) {
		aq_err_set(&err, -EINVAL, "where to? Give -o NEW");
		return aq_fail_usage(command->name, &err);
	}
	if (status != 0 || (status = aq_open(o, &c)) != 0)
		return status;
	aq_buf_init(&derived, 1 << 16);
	if (aq_options_window(o, c, &options.from_ns, &options.to_ns, &err) < 0) {
		status = aq_fail_usage(command->name, &err);
	} else if (aq_capture_info(c)->encrypted && !o->plain) {
		aq_err_set(&err, -EPERM, "'%s' is encrypted and the extract would not be: say --plain if that is meant",
			   o->capture);
		status = aq_fail(&err);
	} else if (!describe(o, c, &options, &derived, &err)) {
		status = aq_fail(&err);
	} else {
		options.derived_json = (const char *)derived.data;
		options.stop = aq_stop_on_signals();
		if (isatty(STDERR_FILENO) == 1 && !o->quiet)
			options.progress = aq_progress_events;
		int r = aq_extract(c, o->output, &options, &result, &err);
		if (options.progress != NULL)
			aq_progress_end();
		status = r < 0 ? aq_fail(&err) : say(o, &result);
	}
	aq_buf_release(&derived);
	aq_capture_close(c);
	return status;
}

const struct aq_command aq_cmd_extract = {
	.name = "extract",
	.summary = "a part of a capture as a capture to hand on",
	.help = help_text,
	.options = AQ_OPT_EXPR | AQ_OPT_FROM | AQ_OPT_UNTIL | AQ_OPT_OUTPUT | AQ_OPT_KEY | AQ_OPT_PLAIN | AQ_OPT_QUIET,
	.run = extract,
};
