/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila index: builds index.sqlite of a capture again, or tells whether the one that is there fits.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "format/index/index.h"
#include "replay/cli.h"

static const char help_text[] =
	"usage: aquila index CAPTURE [--check] [-q]\n"
	"\n"
	"Builds index.sqlite in the capture's folder: segments, chunks with what they can hold, gaps, ledger, processes with\n"
	"their lifetimes, cgroups, facts, marks. It follows from the segments alone: it can be deleted at any time, and no other\n"
	"command needs it. Open it with any sqlite client.\n"
	"\n"
	"      --check       build nothing, only tell: current, stale or missing\n"
	"  -q, --quiet       say nothing\n"
	"\n"
	"Exit status: 0 built, or with --check current; 3 with --check stale or missing; 1 error, 2 usage.\n"
	"\n"
	"Examples\n"
	"  aquila index web.aquila\n"
	"  sqlite3 web.aquila/index.sqlite 'SELECT pid, exe FROM processes WHERE end_ns IS NULL'\n";

static void show_progress(void *user, uint64_t done, uint64_t total)
{
	(void)total;
	*(bool *)user = true;
	fprintf(stderr, "\rindexing: %" PRIu64 " events", done);
}

static int index_capture(const struct aq_command *command, const struct aq_options *o)
{
	static const char *const states[] = { "missing", "stale", "current" };
	enum aq_index_state state = AQ_INDEX_MISSING;
	struct aq_err err = { 0 };
	bool shown = false;
	struct aq_out out;
	int r, status = AQ_EXIT_COMPLETE;

	(void)command;
	if (o->check)
		r = aq_index_check(o->capture, &state, &err);
	else
		r = aq_index_build(o->capture, isatty(STDERR_FILENO) == 1 && !o->quiet ? show_progress : NULL, &shown, &err);
	if (shown)
		fputs("\r\033[K", stderr);
	if (r < 0)
		return aq_fail(&err);
	if (o->check && state != AQ_INDEX_CURRENT)
		status = AQ_EXIT_INCOMPLETE;
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	if (!o->quiet) {
		aq_out_puts(&out, o->check ? states[state] : "built index.sqlite");
		aq_out_puts(&out, "\n");
	}
	status = aq_finish_plain(&out, status);
	aq_out_release(&out);
	return status;
}

const struct aq_command aq_cmd_index = {
	.name = "index",
	.summary = "build the sqlite index of processes, cgroups, chunks and gaps again",
	.help = help_text,
	.options = AQ_OPT_CHECK | AQ_OPT_QUIET,
	.run = index_capture,
};
