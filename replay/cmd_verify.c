/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila verify: reads every byte, and holds what it counts against the ledger.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "replay/cli.h"

static const char help_text[] =
	"usage: aquila verify CAPTURE [--format text|json] [-q]\n"
	"\n"
	"Checks everything: structure, every checksum, every event; and that for each CPU and class the\n"
	"kernel side produced exactly what is stored, lost and left out on purpose. Names each damaged place\n"
	"by file and byte.\n"
	"\n"
	"Events that were lost while recording are no damage when the ledger accounts for them: see `aquila losses`.\n"
	"\n"
	"Exit status: 0 intact, 3 readable but damaged, unfinished or with a ledger that does not balance,\n"
	"1 can't be read, 2 usage.\n"
	"\n"
	"Example\n"
	"  aquila verify web.aquila && rsync -a web.aquila archive:\n";

struct progress {
	bool shown;
	unsigned percent;
};

static void show_progress(void *user, uint64_t done, uint64_t total)
{
	struct progress *p = user;
	unsigned percent = total > 0 ? (unsigned)((double)done * 100 / (double)total) : 100;

	if (p->shown && percent == p->percent)
		return;
	p->shown = true;
	p->percent = percent;
	fprintf(stderr, "\rverifying: %u%%", percent);
}

static bool is_intact(const struct aq_verify_result *v, size_t damages)
{
	return damages == 0 && v->damages == 0 && v->finished && v->ledger_balances;
}

static void conclusion(const struct aq_verify_result *v, size_t damages, char *text, size_t size)
{
	if (is_intact(v, damages)) {
		if (v->lost > 0)
			snprintf(text, size, "intact; %" PRIu64 " events were lost while recording, all accounted for",
				 v->lost);
		else
			snprintf(text, size, "intact; nothing was lost");
		return;
	}
	snprintf(text, size, "not intact:%s%s%s", damages > 0 ? " damaged" : "",
		 v->finished   ? ""
		 : damages > 0 ? ", unfinished (the recorder did not close it)"
			       : " unfinished (the recorder did not close it)",
		 v->ledger_balances	       ? ""
		 : damages > 0 || !v->finished ? ", the ledger does not balance"
					       : " the ledger does not balance");
}

static void put_text(struct aq_out *out, const struct aq_capture *c, const struct aq_verify_result *v)
{
	uint32_t segments = aq_capture_info(c)->segment_count;
	const struct aq_damage *damage;
	char text[256];
	size_t n;

	damage = aq_capture_damages(c, &n);
	for (size_t i = 0; i < n; i++) {
		aq_out_printf(out, "%sdamage%s '", aq_colour(out, AQ_RED), aq_colour(out, AQ_PLAIN));
		aq_out_text(out, damage[i].file, strlen(damage[i].file));
		aq_out_printf(out, "' at byte %" PRIu64 ", %" PRIu64 " bytes: ", damage[i].offset, damage[i].bytes);
		aq_out_text(out, damage[i].text, strlen(damage[i].text));
		aq_out_puts(out, "\n");
	}
	aq_out_printf(out, "read    %" PRIu64 " events in %" PRIu64 " chunks of %" PRIu32 " segment%s\n", v->events,
		      v->chunks, segments, segments == 1 ? "" : "s");
	if (v->ledger_balances) {
		aq_out_printf(out,
			      "ledger  produced %" PRIu64 " = stored %" PRIu64 " + lost %" PRIu64
			      " + left out on purpose %" PRIu64 "; texts lost %" PRIu64 "\n",
			      v->produced, v->stored, v->lost, v->policy, v->degraded);
	} else {
		aq_out_puts(out, "ledger  does not balance: ");
		aq_out_text(out, v->ledger_text, strlen(v->ledger_text));
		aq_out_puts(out, "\n");
	}
	conclusion(v, n, text, sizeof(text));
	aq_out_printf(out, "%s%s%s\n", aq_colour(out, is_intact(v, n) ? AQ_GREEN : AQ_YELLOW), text,
		      aq_colour(out, AQ_PLAIN));
}

static void put_json(struct aq_out *out, const struct aq_capture *c, const struct aq_verify_result *v)
{
	const struct aq_damage *damage;
	char text[256];
	size_t n;

	damage = aq_capture_damages(c, &n);
	conclusion(v, n, text, sizeof(text));
	aq_out_printf(out,
		      "{\"intact\":%s,\"finished\":%s,\"events\":%" PRIu64 ",\"chunks\":%" PRIu64
		      ",\"segments\":%" PRIu32 ",\"ledger\":{\"balances\":%s,\"produced\":%" PRIu64
		      ",\"stored\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"policy\":%" PRIu64 ",\"degraded\":%" PRIu64
		      ",\"text\":",
		      is_intact(v, n) ? "true" : "false", v->finished ? "true" : "false", v->events, v->chunks,
		      aq_capture_info(c)->segment_count, v->ledger_balances ? "true" : "false", v->produced, v->stored,
		      v->lost, v->policy, v->degraded);
	aq_out_json_text(out, v->ledger_text);
	aq_out_puts(out, "},\"damages\":[");
	for (size_t i = 0; i < n; i++) {
		aq_out_puts(out, i > 0 ? ",{\"file\":" : "{\"file\":");
		aq_out_json_text(out, damage[i].file);
		aq_out_printf(out, ",\"offset\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"text\":", damage[i].offset,
			      damage[i].bytes);
		aq_out_json_text(out, damage[i].text);
		aq_out_puts(out, "}");
	}
	aq_out_puts(out, "],\"text\":");
	aq_out_json_text(out, text);
	aq_out_puts(out, "}\n");
}

static int verify(const struct aq_command *command, const struct aq_options *o)
{
	struct aq_verify_result result = { 0 };
	struct progress progress = { 0 };
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	struct aq_out out;
	size_t damages;
	int status, r;

	(void)command;
	status = aq_open(o, &c);
	if (status != 0)
		return status;
	r = aq_capture_verify(c, &result, isatty(STDERR_FILENO) == 1 && !o->quiet ? show_progress : NULL, &progress,
			      &err);
	if (progress.shown)
		fputs("\r\033[K", stderr);
	if (r < 0) {
		aq_capture_close(c);
		return aq_fail(&err);
	}
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	if (o->format == AQ_FORMAT_JSON)
		put_json(&out, c, &result);
	else if (!o->quiet)
		put_text(&out, c, &result);
	aq_capture_damages(c, &damages);
	status = aq_finish_plain(&out, is_intact(&result, damages) ? AQ_EXIT_COMPLETE : AQ_EXIT_INCOMPLETE);
	aq_out_release(&out);
	aq_capture_close(c);
	return status;
}

const struct aq_command aq_cmd_verify = {
	.name = "verify",
	.summary = "check every byte, and the ledger of what was lost",
	.help = help_text,
	.options = AQ_OPT_FORMAT | AQ_OPT_QUIET,
	.formats = AQ_FORMAT_TEXT | AQ_FORMAT_JSON,
	.default_format = AQ_FORMAT_TEXT,
	.run = verify,
};
