/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila losses: the ledger, as a table or by time.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "query/query.h"
#include "query/render.h"
#include "query/state.h"
#include "replay/cli.h"

static const char help_text[] =
	"usage: aquila losses CAPTURE [--by class|cpu|syscall|reason|cgroup|time] [OPTION…]\n"
	"\n"
	"What is not in the capture although it happened: lost in a full ring or a full memory, while the\n"
	"recorder was down, on a damaged disk; or left out on purpose by filters and budgets.\n"
	"\n"
	"      --by WHAT     class (default) and cpu show the ledger: produced = stored + lost + left out;\n"
	"                    syscall, reason: what the gaps say; cgroup: whom budgets limited, and by how much;\n"
	"                    time: every gap in order\n"
	"      --format F    text, ndjson or csv (default: text)\n"
	"      --limit N     the first N lines only\n"
	"      --key FILE    a secret key that opens an encrypted capture; may be given again\n"
	"  -q, --quiet       no verdict on stderr\n"
	"\n"
	"Exit status: 0 nothing is missing, 3 something is, 1 error, 2 usage.\n"
	"\n"
	"Examples\n"
	"  aquila losses web.aquila\n"
	"  aquila losses web.aquila --by time --limit 20\n";

/* A table whose cells are numbers or text: this program's own, the schema's, or made fit for its format. */
struct table {
	struct aq_out *out;
	struct aq_capture *capture;
	enum aq_format format;
	const char *const *columns;
	unsigned column_count;
	uint64_t limit, rows;
};

struct cell {
	const char *text; /* NULL: number */
	uint64_t number;  /* UINT64_MAX: unknown */
};

static void begin(struct table *t)
{
	for (unsigned i = 0; i < t->column_count && t->format != AQ_FORMAT_NDJSON; i++) {
		if (t->format == AQ_FORMAT_CSV)
			aq_out_printf(t->out, "%s%s", i > 0 ? "," : "", t->columns[i]);
		else
			aq_out_printf(t->out, i == 0 ? "%s%-14s" : "%s%14s",
				      aq_colour(t->out, i == 0 ? AQ_BOLD : AQ_PLAIN), t->columns[i]);
	}
	if (t->format != AQ_FORMAT_NDJSON)
		aq_out_puts(t->out, "\n");
}

static void put_cell(struct table *t, unsigned i, const struct cell *cell)
{
	char number[32] = "unknown";

	if (cell->text == NULL && cell->number != UINT64_MAX)
		snprintf(number, sizeof(number), "%" PRIu64, cell->number);
	switch (t->format) {
	case AQ_FORMAT_NDJSON:
		aq_out_printf(t->out, "%s\"%s\":", i > 0 ? "," : "{", t->columns[i]);
		if (cell->text != NULL)
			aq_out_json_text(t->out, cell->text);
		else
			aq_out_puts(t->out, cell->number != UINT64_MAX ? number : "null");
		break;
	case AQ_FORMAT_CSV:
		aq_out_puts(t->out, i > 0 ? "," : "");
		if (cell->text != NULL)
			aq_out_csv(t->out, cell->text, strlen(cell->text));
		else
			aq_out_puts(t->out, cell->number != UINT64_MAX ? number : "");
		break;
	default:
		aq_out_printf(t->out, i == 0 ? "%-14s" : "%14s", cell->text != NULL ? cell->text : number);
		break;
	}
}

static void row(struct table *t, const struct cell *cells)
{
	if (t->limit != 0 && t->rows >= t->limit)
		return;
	t->rows++;
	for (unsigned i = 0; i < t->column_count; i++)
		put_cell(t, i, &cells[i]);
	aq_out_puts(t->out, t->format == AQ_FORMAT_NDJSON ? "}\n" : "\n");
}

struct sum {
	uint64_t produced, stored, lost, policy, degraded;
};

static void add_row(struct sum *s, const struct aq_ledger_row *r)
{
	s->produced += r->produced;
	s->stored += r->stored;
	s->lost += r->lost;
	s->policy += r->policy;
	s->degraded += r->degraded;
}

static void sum_row(struct table *t, struct cell first, const struct sum *s)
{
	const struct cell cells[] = { first,
				      { .number = s->produced },
				      { .number = s->stored },
				      { .number = s->lost },
				      { .number = s->policy },
				      { .number = s->degraded } };

	row(t, cells);
}

static void by_class(struct table *t)
{
	static const char *const columns[] = { "class", "produced", "stored", "lost", "left_out", "text_lost" };
	struct sum sums[AQ_CLASS_COUNT] = { { 0 } };
	size_t n;
	const struct aq_ledger_row *ledger = aq_capture_ledger(t->capture, &n);

	t->columns = columns;
	t->column_count = 6;
	begin(t);
	for (size_t i = 0; i < n; i++)
		if (ledger[i].cls < AQ_CLASS_COUNT)
			add_row(&sums[ledger[i].cls], &ledger[i]);
	for (unsigned k = 0; k < AQ_CLASS_COUNT; k++)
		sum_row(t, (struct cell){ .text = aq_class_name(k) }, &sums[k]);
}

static int by_cpu(struct table *t)
{
	static const char *const columns[] = { "cpu", "produced", "stored", "lost", "left_out", "text_lost" };
	struct sum *sums = calloc(UINT16_MAX + 1u, sizeof(*sums));
	size_t n;
	const struct aq_ledger_row *ledger = aq_capture_ledger(t->capture, &n);

	if (sums == NULL)
		return -ENOMEM;
	t->columns = columns;
	t->column_count = 6;
	begin(t);
	for (size_t i = 0; i < n; i++)
		add_row(&sums[ledger[i].cpu], &ledger[i]);
	for (unsigned k = 0; k <= UINT16_MAX; k++)
		if (sums[k].produced != 0 || sums[k].stored != 0 || sums[k].lost != 0)
			sum_row(t, (struct cell){ .number = k }, &sums[k]);
	free(sums);
	return 0;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - 1 - b ? UINT64_MAX - 1 : a + b;
}

static const char *event_name(uint32_t id)
{
	const struct aq_event_schema *schema = aq_schema_event(id);

	return schema != NULL ? schema->name : "unknown";
}

struct by_event {
	uint64_t lost[AQ_EVENT_ID_MAX], policy[AQ_EVENT_ID_MAX];
	uint64_t lost_other, policy_other; /* gaps that do not say which */
};

static void collect(const struct aq_capture *c, struct by_event *b)
{
	size_t n;
	const struct aq_gap *gaps = aq_capture_gaps(c, &n);

	for (size_t i = 0; i < n; i++) {
		const struct aq_gap *g = &gaps[i];
		uint64_t *to = aq_gap_is_policy(g->reason) ? b->policy : b->lost;
		uint64_t *other = aq_gap_is_policy(g->reason) ? &b->policy_other : &b->lost_other;

		if (g->reason == AQ_GAP_ATTR)
			continue;
		for (uint32_t k = 0; k < g->by_event_count; k++)
			if (g->by_event[k].event_id < AQ_EVENT_ID_MAX)
				to[g->by_event[k].event_id] = add(to[g->by_event[k].event_id], g->by_event[k].count);
		if (g->by_event_count == 0 && g->count != AQ_GAP_COUNT_UNKNOWN)
			*other = add(*other, g->count);
	}
}

static int by_syscall(struct table *t)
{
	static const char *const columns[] = { "syscall", "lost", "left_out" };
	struct by_event *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -ENOMEM;
	t->columns = columns;
	t->column_count = 3;
	begin(t);
	collect(t->capture, b);
	for (;;) { /* the largest first: few are ever lost */
		uint32_t best = AQ_EVENT_ID_MAX;
		uint64_t most = 0;

		for (uint32_t id = 0; id < AQ_EVENT_ID_MAX; id++)
			if (add(b->lost[id], b->policy[id]) > most) {
				most = add(b->lost[id], b->policy[id]);
				best = id;
			}
		if (best == AQ_EVENT_ID_MAX)
			break;
		row(t, (const struct cell[]){ { .text = event_name(best) },
					      { .number = b->lost[best] },
					      { .number = b->policy[best] } });
		b->lost[best] = b->policy[best] = 0;
	}
	if (b->lost_other != 0 || b->policy_other != 0)
		row(t, (const struct cell[]){
			       { .text = "not known" }, { .number = b->lost_other }, { .number = b->policy_other } });
	free(b);
	return 0;
}

static void by_reason(struct table *t)
{
	static const char *const columns[] = { "reason", "gaps", "events", "not_counted" };
	uint64_t gap_count[256] = { 0 }, events[256] = { 0 }, unknown[256] = { 0 };
	size_t n;
	const struct aq_gap *gaps = aq_capture_gaps(t->capture, &n);

	t->columns = columns;
	t->column_count = 4;
	begin(t);
	for (size_t i = 0; i < n; i++) {
		gap_count[gaps[i].reason]++;
		if (gaps[i].count == AQ_GAP_COUNT_UNKNOWN)
			unknown[gaps[i].reason]++;
		else
			events[gaps[i].reason] = add(events[gaps[i].reason], gaps[i].count);
	}
	for (unsigned k = 0; k < 256; k++)
		if (gap_count[k] != 0)
			row(t, (const struct cell[]){ { .text = aq_gap_reason_name(k) },
						      { .number = gap_count[k] },
						      { .number = events[k] },
						      { .number = unknown[k] } });
}

/* Which events a gap says it lacks, the most frequent ones as the gap lists them. */
static void describe(const struct aq_gap *g, char *text, size_t size)
{
	size_t at = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < g->by_event_count && at < size - 1; i++) {
		int n = snprintf(text + at, size - at, "%s%s %" PRIu64, i > 0 ? ", " : "",
				 event_name(g->by_event[i].event_id), g->by_event[i].count);

		at += n > 0 ? (size_t)n : 0;
	}
}

static void by_time(struct table *t)
{
	static const char *const columns[] = { "first", "last", "cpu", "class", "reason", "events", "which", "cgroup" };
	size_t n;
	const struct aq_gap *gaps = aq_capture_gaps(t->capture, &n);

	t->columns = columns;
	t->column_count = 8;
	if (t->format == AQ_FORMAT_CSV)
		begin(t);
	for (size_t i = 0; i < n && (t->limit == 0 || t->rows < t->limit); i++) {
		char first[AQ_TIME_TEXT_BYTES], last[AQ_TIME_TEXT_BYTES], which[512];
		const struct aq_gap *g = &gaps[i];

		aq_time_format(aq_capture_real_ns(t->capture, g->first_ns), first);
		if (t->format == AQ_FORMAT_TEXT) {
			char text[2048], duration[64];

			aq_render_gap(g, text, sizeof(text));
			aq_render_duration(g->last_ns - g->first_ns, duration, sizeof(duration));
			aq_out_printf(t->out, "%s +%s ", first, duration);
			aq_out_puts(t->out, text);
			aq_out_puts(t->out, "\n");
			t->rows++;
			continue;
		}
		aq_time_format(aq_capture_real_ns(t->capture, g->last_ns), last);
		describe(g, which, sizeof(which));
		row(t, (const struct cell[]){ { .text = first },
					      { .text = last },
					      { .number = g->cpu == UINT16_MAX ? UINT64_MAX : g->cpu },
					      { .text = g->cls < AQ_CLASS_COUNT ? aq_class_name(g->cls) : "all" },
					      { .text = aq_gap_reason_name(g->reason) },
					      { .number = g->count },
					      { .text = which },
					      { .number = g->cgroup_id != 0 ? g->cgroup_id : UINT64_MAX } });
	}
}

struct limited { /* what budgets left out of one class of one cgroup */
	uint64_t cgroup_id, events, gaps;
	uint8_t cls;
};

static int by_cgroup_and_class(const void *a, const void *b)
{
	const struct limited *x = a, *y = b;

	if (x->cgroup_id != y->cgroup_id)
		return x->cgroup_id < y->cgroup_id ? -1 : 1;
	return (int)x->cls - y->cls;
}

/* One row for each cgroup and class, in place; how many. */
static size_t merge(struct limited *rows, size_t n)
{
	size_t kept = 0;

	qsort(rows, n, sizeof(*rows), by_cgroup_and_class);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || by_cgroup_and_class(&rows[kept - 1], &rows[i]) != 0) {
			rows[kept++] = rows[i];
			continue;
		}
		rows[kept - 1].events = add(rows[kept - 1].events, rows[i].events);
		rows[kept - 1].gaps += rows[i].gaps;
	}
	return kept;
}

/* Cgroup 0 is what there was no room for to be counted by cgroup. */
static void limited_row(struct table *t, const struct limited *l, const struct aq_state *state)
{
	const struct aq_cgroup *cgroup = l->cgroup_id != 0 && state != NULL ? aq_state_cgroup(state, l->cgroup_id) : NULL;
	char path[2 * 4096 + 8];

	snprintf(path, sizeof(path), "%s%s", t->format == AQ_FORMAT_TEXT ? "  " : "",
		 l->cgroup_id == 0 ? "not known" : "");
	if (cgroup != NULL && cgroup->path != NULL && t->format == AQ_FORMAT_TEXT) /* somebody else chose it */
		aq_render_escaped(cgroup->path->s, cgroup->path->len, path + 2, sizeof(path) - 2);
	else if (cgroup != NULL && cgroup->path != NULL)
		snprintf(path, sizeof(path), "%.*s", (int)cgroup->path->len, cgroup->path->s);
	row(t, (const struct cell[]){ { .number = l->cgroup_id },
				      { .text = l->cls < AQ_CLASS_COUNT ? aq_class_name(l->cls) : "all" },
				      { .number = l->gaps },
				      { .number = l->events },
				      { .text = path } });
}

/* Paths are those that the capture tells, whether the cgroup was removed since or not. */
static int by_cgroup(struct table *t, struct aq_err *err)
{
	static const char *const columns[] = { "cgroup", "class", "gaps", "events", "path" };
	static const char *const path_field[] = { "cgroup.path" };
	const struct aq_query_options options = { .filter = "gap.reason = budget", .fields = path_field, .field_count = 1 };
	size_t n, count = 0;
	const struct aq_gap *gaps = aq_capture_gaps(t->capture, &n);
	struct limited *rows = calloc(n + 1, sizeof(*rows));
	struct aq_query *q = NULL;
	struct aq_row *ignored;
	int r;

	if (rows == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	t->columns = columns;
	t->column_count = 5;
	begin(t);
	for (size_t i = 0; i < n; i++)
		if (gaps[i].reason == AQ_GAP_BUDGET)
			rows[count++] = (struct limited){ .cgroup_id = gaps[i].cgroup_id, .cls = gaps[i].cls, .gaps = 1,
							  .events = gaps[i].count };
	count = merge(rows, count);
	r = count > 0 ? aq_query_new(t->capture, &options, &q, err) : 0;
	if (r == 0 && q != NULL)
		while ((r = aq_query_next(q, &ignored, err)) > 0)
			;
	for (size_t i = 0; r == 0 && i < count; i++)
		limited_row(t, &rows[i], q != NULL ? aq_query_state(q) : NULL);
	aq_query_free(q);
	free(rows);
	return r;
}

static int show(struct table *t, const char *by, struct aq_err *err)
{
	int r = 0;

	if (strcmp(by, "class") == 0) {
		by_class(t);
		if (t->format == AQ_FORMAT_TEXT) {
			aq_out_puts(t->out, "\n");
			t->rows = 0;
			by_reason(t);
		}
	} else if (strcmp(by, "cpu") == 0) {
		r = by_cpu(t);
	} else if (strcmp(by, "syscall") == 0) {
		r = by_syscall(t);
	} else if (strcmp(by, "reason") == 0) {
		by_reason(t);
	} else if (strcmp(by, "cgroup") == 0) {
		return by_cgroup(t, err);
	} else {
		by_time(t);
	}
	return r < 0 ? aq_err_set(err, r, "out of memory") : 0;
}

static int losses(const struct aq_command *command, const struct aq_options *o)
{
	static const char *const ways[] = { "class", "cpu", "syscall", "reason", "cgroup", "time" };
	const struct aq_verdict_question question = { .needs_attrs = true };
	const char *by = o->by_count > 0 ? o->by[0] : "class";
	struct aq_verdict verdict;
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	struct aq_out out;
	struct table t;
	bool known = false;
	int status;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		known = known || strcmp(by, ways[i]) == 0;
	if (!known || o->by_count > 1) {
		aq_err_set(&err, -EINVAL, "--by: '%s' is not one of class, cpu, syscall, reason, cgroup, time",
			   o->by_count > 1 ? o->by[1] : by);
		return aq_fail_usage(command->name, &err);
	}
	status = aq_open(o, &c);
	if (status != 0)
		return status;
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	t = (struct table){ .out = &out, .capture = c, .format = o->format, .limit = o->limit };
	if (show(&t, by, &err) < 0) {
		status = aq_fail(&err);
	} else {
		aq_verdict_compute(c, &question, &verdict);
		if (o->format == AQ_FORMAT_NDJSON) {
			aq_out_puts(&out, "{");
			aq_out_json_verdict(&out, c, &verdict);
			aq_out_puts(&out, "}\n");
		}
		status = aq_finish(&out, &verdict, o->quiet);
	}
	aq_out_release(&out);
	aq_capture_close(c);
	return status;
}

const struct aq_command aq_cmd_losses = {
	.name = "losses",
	.summary = "what is missing: by class, CPU, system call, reason, cgroup or time",
	.help = help_text,
	.options = AQ_OPT_BY | AQ_OPT_FORMAT | AQ_OPT_LIMIT | AQ_OPT_KEY | AQ_OPT_QUIET,
	.formats = AQ_FORMAT_TEXT | AQ_FORMAT_NDJSON | AQ_FORMAT_CSV,
	.default_format = AQ_FORMAT_TEXT,
	.run = losses,
};
