/* SPDX-License-Identifier: Apache-2.0 */
/* Computes verdicts from the ledger's gaps, what the reader found damaged, and the span of the recording. */
#include "query/verdict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "query/render.h"

enum { CLASS_ALL = AQ_CLASS_COUNT, NAMED_EVENTS = 4, POLICY_REASONS = AQ_GAP_EXTRACT + 1 };

struct tally {
	const struct aq_capture *c;
	const struct aq_verdict_question *q;
	struct aq_verdict *v;
	uint64_t by_class[AQ_CLASS_COUNT + 1];
	uint64_t by_event[AQ_EVENT_ID_MAX];
	uint64_t filtered_by_event[AQ_EVENT_ID_MAX];
	uint64_t by_policy[POLICY_REASONS]; /* by enum aq_gap_reason: of what was left out */
	bool class_asked[AQ_CLASS_COUNT];
	unsigned cpu_low, cpu_high;
	bool cpu_known;
	size_t len;
};

static void say(struct tally *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct tally *t, const char *format, ...)
{
	va_list ap;
	int n;

	if (t->len >= sizeof(t->v->text) - 1)
		return;
	va_start(ap, format);
	n = vsnprintf(t->v->text + t->len, sizeof(t->v->text) - t->len, format, ap);
	va_end(ap);
	t->len += n > 0 ? (size_t)n : 0;
	if (t->len >= sizeof(t->v->text))
		t->len = sizeof(t->v->text) - 1;
}

static bool asked(const struct tally *t, uint32_t id)
{
	return id < AQ_EVENT_ID_MAX && (!t->q->event_set || (t->q->event_set[id / 64] >> (id % 64) & 1));
}

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - 1 - b ? UINT64_MAX - 1 : a + b;
}

static bool overlaps(const struct tally *t, const struct aq_gap *g)
{
	if (t->q->to_ns && g->first_ns > t->q->to_ns)
		return false;
	if (g->reason == AQ_GAP_RETENTION) /* the next segment begins with the state; what is there is what is asked for */
		return t->q->from_ns ? g->last_ns >= t->q->from_ns : g->last_ns >= aq_capture_info(t->c)->kept_from_ns;
	return t->q->history || g->last_ns >= t->q->from_ns;
}

/* How many of a gap's events the question depends on. */
static uint64_t relevant(const struct tally *t, const struct aq_gap *g, uint64_t *by_event, bool *ret_exact)
{
	uint64_t sum = 0;

	*ret_exact = g->by_event_count != 0;
	for (uint32_t i = 0; i < g->by_event_count; i++)
		if (asked(t, g->by_event[i].event_id)) {
			sum = add(sum, g->by_event[i].count);
			by_event[g->by_event[i].event_id] = add(by_event[g->by_event[i].event_id], g->by_event[i].count);
		}
	if (*ret_exact)
		return sum;
	return g->cls >= AQ_CLASS_COUNT || t->class_asked[g->cls] ? g->count : 0;
}

static void note_place(struct tally *t, const struct aq_gap *g)
{
	struct aq_verdict *v = t->v;

	if (v->first_ns > v->last_ns) {
		v->first_ns = g->first_ns;
		v->last_ns = g->last_ns;
	}
	v->first_ns = g->first_ns < v->first_ns ? g->first_ns : v->first_ns;
	v->last_ns = g->last_ns > v->last_ns ? g->last_ns : v->last_ns;
	if (g->cpu == UINT16_MAX)
		return;
	t->cpu_low = !t->cpu_known || g->cpu < t->cpu_low ? g->cpu : t->cpu_low;
	t->cpu_high = !t->cpu_known || g->cpu > t->cpu_high ? g->cpu : t->cpu_high;
	t->cpu_known = true;
}

static void count_gap(struct tally *t, const struct aq_gap *g)
{
	struct aq_verdict *v = t->v;
	bool exact;
	uint64_t n;

	if (g->reason == AQ_GAP_DAMAGE) {
		v->damaged++;
		note_place(t, g);
		return;
	}
	if (aq_gap_is_policy(g->reason)) {
		n = relevant(t, g, t->filtered_by_event, &exact);
		n = n == AQ_GAP_COUNT_UNKNOWN ? 1 : n;
		v->filtered = add(v->filtered, n);
		if (g->reason < POLICY_REASONS)
			t->by_policy[g->reason] = add(t->by_policy[g->reason], n);
		if (g->reason == AQ_GAP_BUDGET)
			v->by_budget = add(v->by_budget, n);
		return;
	}
	if (g->reason == AQ_GAP_RETENTION) {
		n = relevant(t, g, t->filtered_by_event, &exact);
		v->removed = add(v->removed, n == AQ_GAP_COUNT_UNKNOWN ? 1 : n);
		return;
	}
	if (g->reason == AQ_GAP_ATTR) {
		if (t->q->needs_attrs && (g->cls >= AQ_CLASS_COUNT || t->class_asked[g->cls]))
			v->degraded = add(v->degraded, g->count == AQ_GAP_COUNT_UNKNOWN ? 1 : g->count);
		return;
	}
	n = relevant(t, g, t->by_event, &exact);
	if (n == 0)
		return;
	note_place(t, g);
	if (n == AQ_GAP_COUNT_UNKNOWN) {
		v->unknown++;
		return;
	}
	v->lost = add(v->lost, n);
	if (!exact)
		v->maybe = add(v->maybe, n);
	t->by_class[g->cls < AQ_CLASS_COUNT ? g->cls : CLASS_ALL] =
		add(t->by_class[g->cls < AQ_CLASS_COUNT ? g->cls : CLASS_ALL], n);
}

static void say_events(struct tally *t, uint64_t *by_event)
{
	const char *before = " (";
	unsigned said = 0;

	while (said < NAMED_EVENTS) {
		uint32_t best = 0;
		const struct aq_event_schema *row;

		for (uint32_t id = 1; id < AQ_EVENT_ID_MAX; id++)
			if (by_event[id] > by_event[best])
				best = id;
		if (!by_event[best])
			break;
		row = aq_schema_event(best);
		say(t, "%s%s %" PRIu64, before, row && best ? row->name : "unknown calls", by_event[best]);
		by_event[best] = 0;
		before = ", ";
		said++;
	}
	if (said)
		say(t, said == NAMED_EVENTS ? ", …)" : ")");
}

static void say_time(struct tally *t, uint64_t boot_ns)
{
	char text[64];

	aq_render_time(aq_capture_real_ns(t->c, boot_ns), text, sizeof(text));
	say(t, "%s", text);
}

static void say_lost(struct tally *t, const struct aq_capture_info *info, const char **sep)
{
	struct aq_verdict *v = t->v;

	if (v->lost) {
		const char *before = *sep;

		for (unsigned cls = 0; cls <= CLASS_ALL; cls++)
			if (t->by_class[cls]) {
				say(t, "%s%" PRIu64 " of class %s", before, t->by_class[cls],
				    cls == CLASS_ALL ? "unknown" : aq_class_name(cls));
				before = " and ";
			}
		say(t, " lost");
		say_events(t, t->by_event);
		if (v->maybe)
			say(t, ", of %" PRIu64 " it is not known what they were", v->maybe);
		*sep = "; ";
	}
	if (v->unknown) {
		say(t, "%sin %" PRIu64 " gap%s an unknown number was lost", *sep, v->unknown, v->unknown == 1 ? "" : "s");
		*sep = "; ";
	}
	if (v->damaged) {
		say(t, "%s%" PRIu64 " damaged part%s of the files", *sep, v->damaged, v->damaged == 1 ? "" : "s");
		*sep = "; ";
	}
	if (v->first_ns <= v->last_ns && (v->lost || v->unknown || v->damaged)) {
		say(t, " between ");
		say_time(t, v->first_ns);
		say(t, " and ");
		if (v->last_ns > info->end_ns) /* a gap without an end, as at the end of what was not finished */
			say(t, "the end");
		else
			say_time(t, v->last_ns);
		if (t->cpu_known && t->cpu_low == t->cpu_high)
			say(t, " on cpu %u", t->cpu_low);
		else if (t->cpu_known)
			say(t, " on cpu %u-%u", t->cpu_low, t->cpu_high);
	}
}

/* One reason is named, of several how many each left out. */
static void say_filtered(struct tally *t, const char *sep)
{
	const char *before = " by ";

	say(t, "%s%" PRIu64 " left out on purpose", sep, t->v->filtered);
	for (unsigned reason = 0; reason < POLICY_REASONS; reason++) {
		if (!t->by_policy[reason])
			continue;
		say(t, "%s%s", before, aq_gap_reason_name((enum aq_gap_reason)reason));
		if (t->by_policy[reason] != t->v->filtered)
			say(t, " %" PRIu64, t->by_policy[reason]);
		before = ", ";
	}
	say_events(t, t->filtered_by_event);
}

static void say_all(struct tally *t, const struct aq_capture_info *info)
{
	struct aq_verdict *v = t->v;
	const char *sep = "incomplete: ";

	if (v->complete) {
		say(t, "complete");
		if (info->kept_from_ns && !t->q->from_ns) {
			say(t, " since ");
			say_time(t, info->kept_from_ns);
			say(t, "; what was before was removed by retention");
		}
		return;
	}
	say_lost(t, info, &sep);
	if (v->filtered) {
		say_filtered(t, sep);
		sep = "; ";
	}
	if (v->removed) {
		say(t, "%s%" PRIu64 " removed by retention", sep, v->removed);
		sep = "; ";
	}
	if (v->degraded) {
		say(t, "%s%" PRIu64 " events lost a text", sep, v->degraded);
		sep = "; ";
	}
	if (v->unfinished) {
		say(t, "%sthe capture was not finished, the last proof of life is ", sep);
		say_time(t, info->end_ns);
		sep = "; ";
	}
	if (v->before) {
		say(t, "%sthe capture begins at ", sep);
		say_time(t, info->start_boot_ns);
		say(t, ", after the time asked from");
		sep = "; ";
	}
	if (v->after) {
		say(t, "%sthe capture ends at ", sep);
		say_time(t, info->end_ns);
		say(t, ", before the time asked to");
	}
}

void aq_verdict_compute(const struct aq_capture *c, const struct aq_verdict_question *question,
			struct aq_verdict *ret_verdict)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	struct tally t = { .c = c, .q = question, .v = ret_verdict };
	struct aq_verdict *v = ret_verdict;
	size_t gap_count, damage_count;
	const struct aq_gap *gaps = aq_capture_gaps(c, &gap_count);

	memset(v, 0, sizeof(*v));
	v->first_ns = UINT64_MAX;
	for (const struct aq_event_schema *e = aq_schema_next(0); e; e = aq_schema_next(e->id))
		if (e->id < AQ_EV_snap_begin && asked(&t, e->id) && (unsigned)e->cls < AQ_CLASS_COUNT)
			t.class_asked[e->cls] = true; /* what the recorder makes itself is in no ring */
	for (size_t i = 0; i < gap_count; i++)
		if (overlaps(&t, &gaps[i]))
			count_gap(&t, &gaps[i]);
	if (!v->damaged && aq_capture_damages(c, &damage_count) && damage_count) {
		bool placed = false;

		for (size_t i = 0; i < gap_count; i++)
			placed = placed || gaps[i].reason == AQ_GAP_DAMAGE;
		if (!placed) /* found while reading: where in time is not known */
			v->damaged = damage_count;
	}
	if (question->needs_attrs && question->degraded_rows > v->degraded)
		v->degraded = question->degraded_rows;
	v->unfinished = !info->finished && (!question->to_ns || question->to_ns > info->end_ns);
	v->before = question->from_ns && question->from_ns < info->start_boot_ns;
	v->after = question->to_ns && question->to_ns > info->end_ns;
	v->complete = !(v->lost || v->unknown || v->filtered || v->removed || v->degraded || v->damaged || v->unfinished || v->before ||
			v->after);
	say_all(&t, info);
}
