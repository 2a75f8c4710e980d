/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila query: the rows that match a filter, or how many there are.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "replay/cli.h"

static const char help_text[] =
	"usage: aquila query CAPTURE [FILTER] [OPTION…]\n"
	"\n"
	"Shows the events that match FILTER (all without one), in the order of their times.\n"
	"\n"
	"What to look at\n"
	"  FILTER            put it in quotes: \"evt.type = openat and proc.name = cat\"\n"
	"      --from T      the window, both ends included: 2026-01-31T12:00:00Z, @SECONDS since 1970,\n"
	"      --to T        -10m (before the end of the capture) or +5s (after its start); --until is --to\n"
	"      --gaps        what was lost is shown in its place, as rows of type gap\n"
	"      --all         the recorder's own events too: the snapshot of what existed at the start, facts\n"
	"\n"
	"What to show\n"
	"      --fields LIST these fields, with commas between (`aquila fields` lists them)\n"
	"      --format F    text, ndjson or csv (default: text)\n"
	"      --raw         NDJSON with all that is stored of each row, and nothing else; with --all --gaps the\n"
	"                    whole capture, byte for byte (see RAW in the manual page)\n"
	"      --limit N     the first N rows or groups only\n"
	"      --count       how many, instead of which\n"
	"      --by LIST     with --count: how many for each value of these fields, the most frequent first\n"
	"      --explain     say what has to be read, and stop\n"
	"      --key FILE    a secret key that opens an encrypted capture; may be given again\n"
	"  -q, --quiet       no verdict on stderr\n"
	"\n"
	"Filters\n"
	"  FIELD = VALUE, also != < <= > >= contains icontains startswith endswith glob pmatch; FIELD in (A, B);\n"
	"  FIELD pmatch (/etc, /usr/lib); FIELD exists; joined with and, or, not and parentheses.\n"
	"\n"
	"Exit status: 0 the answer is complete, 3 something may be missing from it (the verdict says what),\n"
	"1 error, 2 usage.\n"
	"\n"
	"Examples\n"
	"  aquila query web.aquila 'evt.type = proc_exec' --fields evt.time,proc.pname,proc.cmdline\n"
	"  aquila query web.aquila 'evt.is_open_write = true and fd.name startswith /etc'\n"
	"  aquila query web.aquila 'evt.failed = true' --count --by proc.name,evt.type --limit 20\n"
	"  aquila query web.aquila 'evt.type = connect' --from -10m --format ndjson\n";

static const struct aq_printer_ops *printer_of(const struct aq_options *o)
{
	if (o->raw)
		return &aq_printer_raw;
	switch (o->format) {
	case AQ_FORMAT_NDJSON:
		return &aq_printer_ndjson;
	case AQ_FORMAT_CSV:
		return &aq_printer_csv;
	default:
		return &aq_printer_text;
	}
}

static int count(struct aq_query *q, const struct aq_options *o, struct aq_printer *p, const struct aq_printer_ops *ops,
		 struct aq_verdict *verdict, struct aq_err *err)
{
	struct aq_groups *groups = NULL;
	uint64_t n = 0;
	int r;

	if (o->by_count == 0) {
		r = aq_query_count(q, &n, err);
		if (r < 0)
			return r;
		aq_query_verdict(q, verdict);
		ops->count(p, n, verdict);
		return 0;
	}
	r = aq_query_group(q, 0, &groups, err);
	if (r < 0)
		return r;
	aq_query_verdict(q, verdict);
	ops->groups(p, groups, o->by, o->limit, verdict);
	aq_groups_free(groups);
	return 0;
}

static int rows(struct aq_query *q, struct aq_printer *p, const struct aq_printer_ops *ops, struct aq_verdict *verdict,
		struct aq_err *err)
{
	struct aq_row *row;
	int r;

	ops->begin(p);
	while ((r = aq_query_next(q, &row, err)) > 0) {
		ops->row(p, row);
		if (p->out->error != 0)
			return 0; /* said at the end */
	}
	if (r < 0)
		return r;
	aq_query_verdict(q, verdict);
	ops->end(p, verdict);
	return 0;
}

static int answer(struct aq_query *q, const struct aq_options *o, struct aq_capture *c)
{
	const struct aq_printer_ops *ops = printer_of(o);
	struct aq_field *fields[AQ_FIELDS_MAX] = { NULL };
	struct aq_verdict verdict = { .complete = true };
	struct aq_err err = { 0 };
	struct aq_printer p;
	struct aq_out out;
	int r = 0, status;

	aq_out_init(&out, STDOUT_FILENO, "standard output");
	if (aq_printer_init(&p, &out, c) < 0)
		r = aq_err_set(&err, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < o->field_count; i++)
		r = aq_field_compile(o->fields[i], &fields[i], &err);
	if (o->field_count > 0) {
		p.fields = fields;
		p.field_count = o->field_count;
	} else if (r == 0 && !o->count && !o->raw && o->format != AQ_FORMAT_CSV) {
		r = aq_printer_show_names(&p, &err);
	}
	if (r == 0)
		r = o->count ? count(q, o, &p, ops, &verdict, &err) : rows(q, &p, ops, &verdict, &err);
	if (r < 0) {
		aq_out_flush(&out);
		status = aq_fail(&err);
	} else {
		status = aq_finish(&out, &verdict, o->quiet);
	}
	for (size_t i = 0; i < o->field_count; i++)
		aq_field_free(fields[i]);
	aq_printer_release(&p);
	aq_out_release(&out);
	return status;
}

static int explain(const struct aq_query *q)
{
	char text[1024];
	struct aq_out out;
	int status;

	aq_out_init(&out, STDOUT_FILENO, "standard output");
	aq_query_plan(q, text, sizeof(text));
	aq_out_printf(&out, "%s\n", text);
	status = aq_finish_plain(&out, AQ_EXIT_COMPLETE);
	aq_out_release(&out);
	return status;
}

static int check_usage(const struct aq_command *command, const struct aq_options *o)
{
	struct aq_err err;
	int status;

	if (o->by_count > 0 && !o->count) {
		aq_err_set(&err, -EINVAL, "--by counts: it needs --count");
		return aq_fail_usage(command->name, &err);
	}
	if (o->count && o->field_count > 0) {
		aq_err_set(&err, -EINVAL, "--count shows no rows, so --fields has no place: use --by");
		return aq_fail_usage(command->name, &err);
	}
	if (o->raw && (o->count || o->field_count > 0 || o->format == AQ_FORMAT_CSV)) {
		aq_err_set(&err, -EINVAL, "--raw shows whole rows as NDJSON: it goes with neither --fields, --count nor CSV");
		return aq_fail_usage(command->name, &err);
	}
	status = aq_check_expressions(command->name, o->expr, o->fields, o->field_count);
	return status != 0 ? status : aq_check_expressions(command->name, NULL, o->by, o->by_count);
}

static int query(const struct aq_command *command, const struct aq_options *o)
{
	struct aq_query_options options = {
		.filter = o->expr,
		.limit = o->count ? 0 : o->limit,
		.fields = o->count ? o->by : o->fields,
		.field_count = o->count ? o->by_count : o->field_count,
		.gaps = o->gaps,
		.hidden = o->all,
	};
	struct aq_capture *c = NULL;
	struct aq_query *q = NULL;
	struct aq_err err = { 0 };
	int status = check_usage(command, o);
	bool local = false;

	if (status != 0)
		return status;
	if (!o->count && o->field_count == 0)
		options.needs = printer_of(o)->needs;
	if (aq_query_is_local(&options, &local, &err) < 0)
		return aq_fail(&err);
	status = local ? aq_open_window(o, &c) : aq_open(o, &c);
	if (status != 0)
		return status;
	if (aq_options_window(o, c, &options.from_ns, &options.to_ns, &err) < 0)
		status = aq_fail_usage(command->name, &err);
	else if (aq_query_new(c, &options, &q, &err) < 0)
		status = aq_fail(&err);
	else
		status = o->explain ? explain(q) : answer(q, o, c);
	aq_query_free(q);
	aq_capture_close(c);
	return status;
}

const struct aq_command aq_cmd_query = {
	.name = "query",
	.summary = "the events that match a filter, or how many there are",
	.help = help_text,
	.options = AQ_OPT_EXPR | AQ_OPT_FROM | AQ_OPT_UNTIL | AQ_OPT_FORMAT | AQ_OPT_LIMIT | AQ_OPT_FIELDS |
		   AQ_OPT_COUNT | AQ_OPT_BY | AQ_OPT_EXPLAIN | AQ_OPT_GAPS | AQ_OPT_ALL | AQ_OPT_KEY | AQ_OPT_QUIET |
		   AQ_OPT_RAW,
	.formats = AQ_FORMAT_TEXT | AQ_FORMAT_NDJSON | AQ_FORMAT_CSV,
	.default_format = AQ_FORMAT_TEXT,
	.run = query,
};
