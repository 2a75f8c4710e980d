/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters in, gaps and rows out. All counters are compared with what they showed at the last report; nothing here
 * resets what the kernel side counts.
 */
#include "recorder/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct account {
	uint64_t produced_base;           /* what the counter showed when the recording began */
	uint64_t stored, degraded, unwritten, shed;
	uint64_t jumped;                /* missing numbers seen, ever */
	uint64_t jump_first_ns;         /* since the last report; UINT64_MAX: none */
	uint64_t jump_last_ns;
	uint64_t last_ns;               /* time of the last stored record; 0 none */
	uint64_t degraded_new, degraded_first_ns, degraded_last_ns;
	uint64_t unwritten_new, unwritten_first_ns, unwritten_last_ns;
	uint64_t report_lost, report_policy; /* ring counters at the last report */
};

struct cpu_account {
	uint64_t lost[AQ_WIRE_EVENTS], policy[AQ_WIRE_EVENTS]; /* as reported */
	uint64_t degraded[AQ_WIRE_EVENTS];                     /* since the last report, as is unwritten */
	uint64_t unwritten[AQ_WIRE_EVENTS];
};

struct aq_ledger {
	struct aq_source *src;
	struct aq_drain *drain;
	const uint8_t *class_of_event;
	uint64_t start_ns, report_ns;
	uint64_t skipped;
	struct account *ring;
	struct cpu_account *cpu;
	uint64_t by_event[AQ_WIRE_EVENTS];
	struct aq_gap_count counts[AQ_WIRE_EVENTS];
};

static uint64_t class_sum(const struct aq_ledger *l, const aq_u64 *by_event, uint32_t cls)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < AQ_WIRE_EVENTS; i++)
		if (l->class_of_event[i] == cls)
			sum += aq_shared_peek(&by_event[i]);
	return sum;
}

int aq_ledger_new(struct aq_source *src, struct aq_drain *drain, const uint8_t *class_of_event,
		  uint64_t start_ns, struct aq_ledger **ret_ledger)
{
	struct aq_ledger *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->ring = calloc(aq_rings_count(&src->rings), sizeof(*l->ring));
	l->cpu = calloc(src->rings.cpu_count, sizeof(*l->cpu));
	if (l->ring == NULL || l->cpu == NULL) {
		aq_ledger_free(l);
		return -ENOMEM;
	}
	l->src = src;
	l->drain = drain;
	l->class_of_event = class_of_event;
	l->start_ns = l->report_ns = start_ns;
	for (uint32_t i = 0; i < aq_rings_count(&src->rings); i++) {
		/* what was counted before the first position the drain will read is no part of this recording */
		l->ring[i].produced_base = aq_shared_load(&src->rings.ring[i].ctl->tail);
		l->ring[i].jump_first_ns = UINT64_MAX;
	}
	*ret_ledger = l;
	return 0;
}

void aq_ledger_free(struct aq_ledger *ledger)
{
	if (ledger == NULL)
		return;
	free(ledger->ring);
	free(ledger->cpu);
	free(ledger);
}

void aq_ledger_stored(struct aq_ledger *l, uint32_t ring, const struct aq_event *ev)
{
	struct account *a = &l->ring[ring];

	a->stored++;
	a->last_ns = ev->time_ns;
	if (!(ev->flags & AQ_EVF_DEGRADED))
		return;
	if (a->degraded_new == 0 || ev->time_ns < a->degraded_first_ns)
		a->degraded_first_ns = ev->time_ns;
	if (a->degraded_new == 0 || ev->time_ns > a->degraded_last_ns)
		a->degraded_last_ns = ev->time_ns;
	a->degraded++;
	a->degraded_new++;
	l->cpu[ring / AQ_WIRE_CLASSES].degraded[ev->id < AQ_WIRE_EVENTS ? ev->id : 0]++;
}

void aq_ledger_unwritten(struct aq_ledger *l, uint32_t ring, uint16_t event, uint64_t time_ns)
{
	struct account *a = &l->ring[ring];

	if (a->unwritten_new == 0 || time_ns < a->unwritten_first_ns)
		a->unwritten_first_ns = time_ns;
	if (a->unwritten_new == 0 || time_ns > a->unwritten_last_ns)
		a->unwritten_last_ns = time_ns;
	a->unwritten++;
	a->unwritten_new++;
	l->cpu[ring / AQ_WIRE_CLASSES].unwritten[event < AQ_WIRE_EVENTS ? event : 0]++;
}

void aq_ledger_dropped(struct aq_ledger *l, uint32_t ring, uint16_t event, uint64_t time_ns, bool degraded)
{
	struct account *a = &l->ring[ring];

	a->stored--;
	if (degraded && a->degraded > 0)
		a->degraded--;
	aq_ledger_unwritten(l, ring, event, time_ns);
}

void aq_ledger_jump(struct aq_ledger *l, uint32_t ring, uint64_t before_ns, uint64_t after_ns, uint64_t missing)
{
	struct account *a = &l->ring[ring];

	if (before_ns == 0)
		before_ns = l->start_ns;
	if (after_ns < before_ns) { /* neighbours out of order: both bounds still hold the other way round */
		uint64_t t = after_ns;

		after_ns = before_ns;
		before_ns = t;
	}
	if (before_ns < a->jump_first_ns)
		a->jump_first_ns = before_ns;
	if (after_ns > a->jump_last_ns)
		a->jump_last_ns = after_ns;
	a->jumped += missing;
}

/* by_event (emptied for the class) becomes a list of counts; returns their sum. */
static uint64_t list_counts(struct aq_ledger *l, uint64_t *by_event, struct aq_gap *gap)
{
	uint64_t sum = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < AQ_WIRE_EVENTS; i++) {
		if (by_event[i] == 0 || l->class_of_event[i] != gap->cls)
			continue;
		l->counts[n++] = (struct aq_gap_count){ .event_id = (uint16_t)i, .count = by_event[i] };
		sum += by_event[i];
		by_event[i] = 0;
	}
	gap->by_event = l->counts;
	gap->by_event_count = n;
	return sum;
}

struct giver {
	int (*give)(void *user, const struct aq_gap *gap);
	void *user;
};

/* now[] - reported[] of one class into by_event, and reported[] brought up to date. */
static void take_delta(struct aq_ledger *l, const aq_u64 *now, uint64_t *reported, uint32_t cls)
{
	for (uint32_t i = 0; i < AQ_WIRE_EVENTS; i++) {
		uint64_t value;

		if (l->class_of_event[i] != cls)
			continue;
		value = aq_shared_peek(&now[i]);
		l->by_event[i] = value - reported[i];
		reported[i] = value;
	}
}

/* Between which times the losses lie that are not reported yet. */
static void bound_losses(struct aq_ledger *l, const struct aq_wire_ring *ctl, struct account *a, bool final,
			 struct aq_gap *gap)
{
	uint64_t missing = aq_shared_load(&ctl->lost) + aq_shared_load(&ctl->policy) + a->shed;
	uint64_t now_ns = aq_source_now_ns(l->src), last_lost_ns = aq_shared_load(&ctl->lost_last_ns);

	gap->first_ns = a->jump_first_ns;
	if (gap->first_ns == UINT64_MAX)
		gap->first_ns = a->last_ns != 0 ? a->last_ns : l->start_ns;
	/* every number that is missing was seen to be missing: the neighbour behind the last is the end */
	gap->last_ns = a->jumped >= missing && a->jump_last_ns != 0 ? a->jump_last_ns : now_ns;
	if (final && last_lost_ns >= gap->first_ns && last_lost_ns < gap->last_ns)
		gap->last_ns = last_lost_ns;
	if (gap->first_ns > gap->last_ns)
		gap->first_ns = gap->last_ns;
}

static int report_ring(struct aq_ledger *l, uint32_t index, bool final, const struct giver *to)
{
	uint32_t cpu = index / AQ_WIRE_CLASSES, cls = index % AQ_WIRE_CLASSES;
	const struct aq_wire_ring *ctl = l->src->rings.ring[index].ctl;
	const struct aq_wire_cpu *shared = l->src->rings.cpu[cpu];
	struct account *a = &l->ring[index];
	struct aq_gap gap = { .cpu = (uint16_t)cpu, .cls = (uint8_t)cls };
	uint64_t lost = aq_shared_load(&ctl->lost), policy = aq_shared_load(&ctl->policy);
	struct aq_shed shed;
	int r = 0;

	shed = aq_drain_take_shed(l->drain, index, l->by_event);
	if (shed.count > 0) {
		a->shed += shed.count;
		gap.reason = AQ_GAP_SPOOL_SHED;
		gap.first_ns = shed.first_ns;
		gap.last_ns = shed.last_ns;
		gap.count = shed.count;
		if (list_counts(l, l->by_event, &gap) != shed.count)
			gap.by_event_count = 0;
		memset(l->by_event, 0, sizeof(l->by_event));
		r = to->give(to->user, &gap);
	}
	if (r == 0 && (lost != a->report_lost || final)) {
		gap.reason = AQ_GAP_RING_FULL;
		bound_losses(l, ctl, a, final, &gap);
		take_delta(l, shared->lost, l->cpu[cpu].lost, cls);
		gap.count = list_counts(l, l->by_event, &gap);
		if (gap.count > 0)
			r = to->give(to->user, &gap);
		a->report_lost = lost;
	}
	if (r == 0 && (policy != a->report_policy || final)) {
		gap.reason = AQ_GAP_FILTER;
		bound_losses(l, ctl, a, false, &gap);
		take_delta(l, shared->policy, l->cpu[cpu].policy, cls);
		gap.count = list_counts(l, l->by_event, &gap);
		if (gap.count > 0)
			r = to->give(to->user, &gap);
		a->report_policy = policy;
	}
	a->jump_first_ns = UINT64_MAX;
	if (r == 0 && a->unwritten_new > 0) {
		gap.reason = AQ_GAP_DISK;
		gap.first_ns = a->unwritten_first_ns;
		gap.last_ns = a->unwritten_last_ns;
		gap.count = a->unwritten_new;
		if (list_counts(l, l->cpu[cpu].unwritten, &gap) != gap.count)
			gap.by_event_count = 0;
		a->unwritten_new = 0;
		r = to->give(to->user, &gap);
	}
	if (r == 0 && a->degraded_new > 0) {
		gap.reason = AQ_GAP_ATTR;
		gap.first_ns = a->degraded_first_ns;
		gap.last_ns = a->degraded_last_ns;
		gap.count = a->degraded_new;
		if (list_counts(l, l->cpu[cpu].degraded, &gap) != gap.count)
			gap.by_event_count = 0;
		a->degraded_new = 0;
		r = to->give(to->user, &gap);
	}
	return r;
}

int aq_ledger_report(struct aq_ledger *l, bool final, int (*give)(void *user, const struct aq_gap *gap), void *user)
{
	struct giver to = { .give = give, .user = user };
	uint64_t now_ns = aq_source_now_ns(l->src), skipped = l->src->ops->skipped(l->src);
	int r;

	for (uint32_t i = 0; i < aq_rings_count(&l->src->rings); i++) {
		r = report_ring(l, i, final, &to);
		if (r < 0)
			return r;
	}
	if (skipped > l->skipped) {
		struct aq_gap gap = {
			.first_ns = l->report_ns,
			.last_ns = now_ns,
			.count = skipped - l->skipped,
			.cpu = UINT16_MAX,
			.cls = UINT8_MAX,
			.reason = AQ_GAP_KERNEL_SKIPPED,
		};

		l->skipped = skipped;
		r = give(user, &gap);
		if (r < 0)
			return r;
	}
	l->report_ns = now_ns;
	return 0;
}

void aq_ledger_rows(const struct aq_ledger *l, const uint64_t (*stored_of)[AQ_CLASS_COUNT], uint32_t stored_cpus,
		    struct aq_ledger_row *rows)
{
	for (uint32_t i = 0; i < aq_rings_count(&l->src->rings); i++) {
		const struct account *a = &l->ring[i];
		const struct aq_wire_ring *ctl = l->src->rings.ring[i].ctl;
		uint32_t cpu = i / AQ_WIRE_CLASSES, cls = i % AQ_WIRE_CLASSES;
		uint64_t stored = a->stored;

		if (stored_of != NULL && cpu < stored_cpus)
			stored = stored_of[cpu][cls];
		rows[i] = (struct aq_ledger_row){
			.cpu = (uint16_t)cpu,
			.cls = (uint8_t)cls,
			.stored = stored,
			.lost = aq_shared_load(&ctl->lost) + a->shed + a->unwritten,
			.policy = aq_shared_load(&ctl->policy),
			.degraded = a->degraded,
			.produced = aq_shared_load(&ctl->produced) - a->produced_base,
		};
	}
}

static void disagree(struct aq_ledger_summary *s, const struct aq_ledger_row *row, const char *what, uint64_t a, uint64_t b)
{
	if (s->balances)
		snprintf(s->text, sizeof(s->text), "CPU %u, class %s: %s (%" PRIu64 " and %" PRIu64 ")", row->cpu,
			 aq_class_name((enum aq_class)row->cls), what, a, b);
	s->balances = false;
}

void aq_ledger_sum(const struct aq_ledger *l, const struct aq_ledger_row *rows, struct aq_ledger_summary *s)
{
	*s = (struct aq_ledger_summary){ .balances = true, .skipped = l->skipped };
	for (uint32_t i = 0; i < aq_rings_count(&l->src->rings); i++) {
		const struct account *a = &l->ring[i];
		const struct aq_ledger_row *row = &rows[i];
		const struct aq_wire_cpu *cpu = l->src->rings.cpu[i / AQ_WIRE_CLASSES];
		struct aq_ledger_total *t = &s->cls[row->cls];
		uint64_t seen = class_sum(l, cpu->seen, row->cls);
		uint64_t lost = class_sum(l, cpu->lost, row->cls), policy = class_sum(l, cpu->policy, row->cls);
		uint64_t ring_lost = aq_shared_load(&l->src->rings.ring[i].ctl->lost);

		t->produced += row->produced;
		t->stored += row->stored;
		t->lost += row->lost;
		t->policy += row->policy;
		t->degraded += row->degraded;
		s->shed += a->shed;
		s->unwritten += a->unwritten + (a->stored - row->stored);
		if (row->produced != row->stored + row->lost + row->policy)
			disagree(s, row, "produced is not stored, lost and left out together", row->produced,
				 row->stored + row->lost + row->policy);
		if (seen != row->produced)
			disagree(s, row, "the sequence differs from the count by event", row->produced, seen);
		if (lost != ring_lost)
			disagree(s, row, "the ring's losses differ from those by event", ring_lost, lost);
		if (policy != row->policy)
			disagree(s, row, "what the ring left out differs from the count by event", row->policy, policy);
	}
}
