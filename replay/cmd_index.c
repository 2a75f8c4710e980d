/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila index: builds the catalogue of a capture anew, or says whether it is there and fits.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "format/index/index.h"
#include "replay/cli.h"

static const char help_text[] =
	"usage: aquila index CAPTURE [--check] [--key FILE… --plain] [-q]\n"
	"\n"
	"Builds index.sqlite in the capture's folder: segments, chunks, gaps, ledger, processes, cgroups,\n"
	"facts and what they say of containers, pods, namespaces and addresses, marks, as tables for any\n"
	"sqlite. Everything in it comes from the segments: it can be deleted and built again, and no answer\n"
	"of aquila needs it.\n"
	"\n"
	"      --check       only say whether there is one and whether it fits the segments\n"
	"      --key FILE    a secret key that opens an encrypted capture; may be given again\n"
	"      --plain       build the index of an encrypted capture all the same: it is not encrypted itself, and\n"
	"                    whoever has it reads processes, arguments and cgroups in clear\n"
	"  -q, --quiet       say nothing\n"
	"\n"
	"Exit status: 0 built, or with --check there and current; 3 with --check missing or out of date;\n"
	"1 error, 2 usage.\n"
	"\n"
	"Examples\n"
	"  aquila index web.aquila\n"
	"  sqlite3 web.aquila/index.sqlite 'select * from gaps'\n"
	"  sqlite3 web.aquila/index.sqlite 'select namespace, name, ips from pods'\n";

static void show_progress(void *user, uint64_t done, uint64_t total)
{
	(void)total; /* not known before the end */
	*(bool *)user = true;
	fprintf(stderr, "\rindexing: %" PRIu64 " events", done);
}

static int say(const struct aq_options *o, const char *what, int status)
{
	struct aq_out out;

	aq_out_init(&out, STDOUT_FILENO, "standard output");
	if (!o->quiet) {
		aq_out_puts(&out, "index of '");
		aq_out_text(&out, o->capture, strlen(o->capture));
		aq_out_printf(&out, "' %s\n", what);
	}
	status = aq_finish_plain(&out, status);
	aq_out_release(&out);
	return status;
}

static int check(const struct aq_options *o)
{
	enum aq_index_state state = AQ_INDEX_MISSING;
	struct aq_err err = { 0 };

	if (aq_index_check(o->capture, &state, &err) < 0)
		return aq_fail(&err);
	switch (state) {
	case AQ_INDEX_CURRENT:
		return say(o, "is current", AQ_EXIT_COMPLETE);
	case AQ_INDEX_STALE:
		return say(o, "is out of date: build it again with aquila index", AQ_EXIT_INCOMPLETE);
	default:
		return say(o, "is missing: build it with aquila index", AQ_EXIT_INCOMPLETE);
	}
}

static int index_command(const struct aq_command *command, const struct aq_options *o)
{
	bool progress = isatty(STDERR_FILENO) == 1 && !o->quiet;
	bool shown = false;
	struct aq_keys keys;
	struct aq_err err = { 0 };
	int r;

	(void)command;
	if (o->check)
		return check(o);
	if (aq_load_keys(o, &keys) != 0) {
		aq_keys_wipe(&keys);
		return AQ_EXIT_ERROR;
	}
	r = aq_index_build_with(o->capture, &(struct aq_index_options){ .keys = &keys, .plain = o->plain },
				progress ? show_progress : NULL, &shown, &err);
	aq_keys_wipe(&keys);
	if (shown)
		fputs("\r\033[K", stderr);
	return r < 0 ? aq_fail(&err) : say(o, "was built", AQ_EXIT_COMPLETE);
}

const struct aq_command aq_cmd_index = {
	.name = "index",
	.summary = "build the capture's sqlite catalogue anew",
	.help = help_text,
	.options = AQ_OPT_CHECK | AQ_OPT_PLAIN | AQ_OPT_KEY | AQ_OPT_QUIET,
	.run = index_command,
};
