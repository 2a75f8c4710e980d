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

enum { DROPS_MAX = 65536, REPORTED_SLOTS = 2 * DROPS_MAX };

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

struct drop { /* what a budget left out of one event of one cgroup since the last report */
	uint64_t cgroup_id, count, first_ns, last_ns;
	uint16_t event;
	uint8_t cls;
};

struct reported { /* and what was reported of it, ever; open addressing, count 0: free */
	uint64_t cgroup_id, count;
	uint16_t event;
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
	struct drop *drops;             /* DROPS_MAX, made when the first is told */
	struct reported *reported;      /* twice as many */
	uint32_t drop_count, reported_count;
	uint64_t budget_reported[AQ_WIRE_EVENTS];
	bool no_memory;
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
	free(ledger->drops);
	free(ledger->reported);
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

/*
 * now[] - reported[] of one class into by_event, and reported[] brought up to date. part: what is told elsewhere, or NULL;
 * it is counted first, so that what it is a part of, read first, is at most behind.
 */
static void take_delta(struct aq_ledger *l, const aq_u64 *now, const aq_u64 *part, uint64_t *reported, uint32_t cls)
{
	for (uint32_t i = 0; i < AQ_WIRE_EVENTS; i++) {
		uint64_t value;

		if (l->class_of_event[i] != cls)
			continue;
		value = aq_shared_load(&now[i]);
		if (part != NULL) {
			uint64_t other = aq_shared_load(&part[i]);

			value = value > other ? value - other : 0;
			value = value > reported[i] ? value : reported[i];
		}
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
		take_delta(l, shared->lost, NULL, l->cpu[cpu].lost, cls);
		gap.count = list_counts(l, l->by_event, &gap);
		if (gap.count > 0)
			r = to->give(to->user, &gap);
		a->report_lost = lost;
	}
	if (r == 0 && (policy != a->report_policy || final)) {
		gap.reason = AQ_GAP_FILTER;
		bound_losses(l, ctl, a, false, &gap);
		take_delta(l, shared->policy, shared->budget, l->cpu[cpu].policy, cls);
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

/* How much of it is reported; NULL without room. */
static struct reported *reported_of(struct aq_ledger *l, const struct aq_wire_drop_key *key)
{
	uint32_t i = (uint32_t)((key->cgroup_id * 31 + key->event) * 0x9e3779b97f4a7c15ull >> 40) & (REPORTED_SLOTS - 1);

	while (l->reported[i].count != 0 && (l->reported[i].cgroup_id != key->cgroup_id || l->reported[i].event != key->event))
		i = (i + 1) & (REPORTED_SLOTS - 1);
	if (l->reported[i].count == 0) {
		if (l->reported_count == DROPS_MAX)
			return NULL;
		l->reported_count++;
		l->reported[i].cgroup_id = key->cgroup_id;
		l->reported[i].event = (uint16_t)key->event;
	}
	return &l->reported[i];
}

static void take_drop(void *user, const struct aq_wire_drop_key *key, const struct aq_wire_drop *drop)
{
	struct aq_ledger *l = user;
	struct reported *was;

	if (drop->count == 0 || key->event >= AQ_WIRE_EVENTS || l->no_memory)
		return;
	if (l->drops == NULL) {
		l->drops = calloc(DROPS_MAX, sizeof(*l->drops));
		l->reported = calloc(REPORTED_SLOTS, sizeof(*l->reported));
		l->no_memory = l->drops == NULL || l->reported == NULL;
	}
	was = l->no_memory || l->drop_count == DROPS_MAX ? NULL : reported_of(l, key);
	if (was == NULL || was->count == drop->count)
		return;
	l->drops[l->drop_count++] = (struct drop){
		.cgroup_id = key->cgroup_id, .count = drop->count - was->count, .event = (uint16_t)key->event, .cls = (uint8_t)key->cls,
		.first_ns = was->count == 0 || drop->first_ns > l->report_ns ? drop->first_ns : l->report_ns,
		.last_ns = drop->last_ns,
	};
	l->budget_reported[key->event] += drop->count - was->count;
	was->count = drop->count;
}

static int by_cgroup_and_class(const void *a, const void *b)
{
	const struct drop *x = a, *y = b;

	if (x->cgroup_id != y->cgroup_id)
		return x->cgroup_id < y->cgroup_id ? -1 : 1;
	return x->cls != y->cls ? (int)x->cls - y->cls : (int)x->event - y->event;
}

/* One gap for each cgroup and class that went beyond its budget. */
static int report_budgets(struct aq_ledger *l, const struct giver *to)
{
	int r = 0;

	l->drop_count = 0;
	if (l->src->ops->drops == NULL)
		return 0;
	r = l->src->ops->drops(l->src, take_drop, l);
	if (l->drop_count > 1)
		qsort(l->drops, l->drop_count, sizeof(*l->drops), by_cgroup_and_class);
	for (uint32_t i = 0, next; r == 0 && i < l->drop_count; i = next) {
		struct aq_gap gap = { .cpu = UINT16_MAX, .cls = l->drops[i].cls, .reason = AQ_GAP_BUDGET, .by_event = l->counts,
				      .cgroup_id = l->drops[i].cgroup_id, .first_ns = UINT64_MAX };

		for (next = i; next < l->drop_count && l->drops[next].cgroup_id == gap.cgroup_id && l->drops[next].cls == gap.cls; next++) {
			const struct drop *d = &l->drops[next];

			l->counts[gap.by_event_count++] = (struct aq_gap_count){ .event_id = d->event, .count = d->count };
			gap.count += d->count;
			gap.first_ns = d->first_ns < gap.first_ns ? d->first_ns : gap.first_ns;
			gap.last_ns = d->last_ns > gap.last_ns ? d->last_ns : gap.last_ns;
		}
		if (gap.first_ns > gap.last_ns)
			gap.first_ns = gap.last_ns;
		r = to->give(to->user, &gap);
	}
	return r;
}

/* At the end: what budgets left out and had no room to be told apart by cgroup. */
static int report_rest(struct aq_ledger *l, const struct giver *to)
{
	int r = 0;

	for (uint32_t cls = 0; r == 0 && cls < AQ_WIRE_CLASSES; cls++) {
		struct aq_gap gap = { .cpu = UINT16_MAX, .cls = (uint8_t)cls, .reason = AQ_GAP_BUDGET, .first_ns = l->start_ns,
				      .last_ns = aq_source_now_ns(l->src) };

		for (uint32_t i = 0; i < AQ_WIRE_EVENTS; i++) {
			uint64_t all = 0;

			for (uint32_t cpu = 0; l->class_of_event[i] == cls && cpu < l->src->rings.cpu_count; cpu++)
				all += aq_shared_peek(&l->src->rings.cpu[cpu]->budget[i]);
			l->by_event[i] = all > l->budget_reported[i] ? all - l->budget_reported[i] : 0;
			l->budget_reported[i] += l->by_event[i];
		}
		gap.count = list_counts(l, l->by_event, &gap);
		if (gap.count > 0)
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
	r = report_budgets(l, &to);
	if (r == 0 && final)
		r = report_rest(l, &to);
	if (r < 0)
		return r;
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
