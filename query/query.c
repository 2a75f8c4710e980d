/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: plans what to read, merges events, gaps and state, and hands out the rows that match. */
#include "query/query_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_bit(uint64_t *set, uint32_t bit)
{
	set[bit / 64] |= 1ull << (bit % 64);
}

static int compile_parts(struct aq_query *q, const struct aq_query_options *o, struct aq_err *err)
{
	int r = aq_filter_compile(o->filter, &q->filter, err);

	if (r < 0)
		return r;
	q->fields = calloc(o->field_count ? o->field_count : 1, sizeof(*q->fields));
	if (!q->fields)
		return aq_err_set(err, -ENOMEM, "no memory for a query");
	for (; q->field_count < o->field_count; q->field_count++) {
		r = aq_field_compile(o->fields[q->field_count], &q->fields[q->field_count], err);
		if (r < 0)
			return r;
		q->needs |= aq_field_needs(q->fields[q->field_count]);
	}
	q->needs |= aq_filter_needs(q->filter) | o->needs;
	if (q->needs & AQ_NEED_FD)
		q->needs |= AQ_NEED_PROC;
	return 0;
}

static void plan(struct aq_query *q, const struct aq_query_options *o)
{
	static const uint16_t cgroup_ids[] = { AQ_EV_snap_cgroup, AQ_EV_cgroup_mkdir, AQ_EV_cgroup_rmdir, AQ_EV_cgroup_attach };
	uint64_t named[AQ_SET_WORDS];
	bool gaps_named;

	aq_filter_event_set(q->filter, q->row_set);
	aq_filter_named_events(q->filter, named);
	for (uint32_t id = AQ_EV_snap_begin; id < AQ_EVENT_ID_MAX; id++)
		if (!o->hidden && id != AQ_EV_mark && !aq_bit(named, id))
			q->row_set[id / 64] &= ~(1ull << (id % 64));
	for (unsigned i = 0; o->event_set && i < AQ_SET_WORDS; i++)
		q->row_set[i] &= o->event_set[i];
	q->gap_rows = aq_filter_wants_gaps(q->filter, &gaps_named) && (o->gaps || gaps_named);
	q->cgroups_only = !(q->needs & AQ_NEED_PROC) && (q->needs & AQ_NEED_CGROUP);
	if (q->needs & AQ_NEED_PROC)
		aq_state_event_set(q->needs & AQ_NEED_FD, q->state_set);
	for (size_t i = 0; (q->needs & AQ_NEED_CGROUP) && i < sizeof(cgroup_ids) / sizeof(cgroup_ids[0]); i++)
		put_bit(q->state_set, cgroup_ids[i]);
	for (unsigned i = 0; i < AQ_SET_WORDS; i++)
		q->read_set[i] = q->row_set[i] | q->state_set[i];
}

int aq_query_new(struct aq_capture *c, const struct aq_query_options *options, struct aq_query **ret_query,
		 struct aq_err *err)
{
	static const struct aq_query_options all;
	const struct aq_query_options *o = options ? options : &all;
	struct aq_query *q = calloc(1, sizeof(*q));
	int r;

	if (!q)
		return aq_err_set(err, -ENOMEM, "no memory for a query");
	q->capture = c;
	q->info = aq_capture_info(c);
	q->from_ns = o->from_ns;
	q->to_ns = o->to_ns;
	q->limit = o->limit;
	r = compile_parts(q, o, err);
	if (r == 0 && o->to_ns && o->to_ns < o->from_ns)
		r = aq_err_set(err, -EINVAL, "the end of the time window lies before its beginning");
	if (r == 0 && aq_scratch_new(&q->scratch) < 0)
		r = aq_err_set(err, -ENOMEM, "no memory for a query");
	if (r == 0)
		plan(q, o);
	if (r == 0 && (q->needs & (AQ_NEED_PROC | AQ_NEED_CGROUP))) {
		const struct aq_state_options so = { .without_fds = !(q->needs & AQ_NEED_FD) };

		r = aq_state_new(&so, &q->state, err);
	}
	if (r == 0 && (q->needs & AQ_NEED_FACTS))
		r = aq_facts_load(c, &q->facts, err);
	if (r == 0 && q->facts && aq_names_new(q->facts, &q->names) < 0)
		r = aq_err_set(err, -ENOMEM, "no memory for a query");
	if (r < 0) {
		aq_query_free(q);
		return r;
	}
	*ret_query = q;
	return 0;
}

int aq_query_is_local(const struct aq_query_options *options, bool *ret_local, struct aq_err *err)
{
	struct aq_query *q = calloc(1, sizeof(*q));
	int r = q ? compile_parts(q, options, err) : aq_err_set(err, -ENOMEM, "no memory for a query");

	if (r == 0)
		*ret_local = !(q->needs & (AQ_NEED_PROC | AQ_NEED_FD | AQ_NEED_CGROUP | AQ_NEED_FACTS | AQ_NEED_NUM));
	aq_query_free(q);
	return r;
}

void aq_query_free(struct aq_query *q)
{
	if (!q)
		return;
	aq_event_iter_free(q->iter);
	free(q->gaps);
	for (size_t i = 0; i < q->field_count; i++)
		aq_field_free(q->fields[i]);
	free(q->fields);
	aq_filter_free(q->filter);
	aq_state_free(q->state);
	aq_names_free(q->names);
	aq_facts_free(q->facts);
	aq_scratch_free(q->scratch);
	free(q);
}

int aq_query_start(struct aq_query *q, struct aq_err *err)
{
	struct aq_iter_options o = {
		.from_ns = q->state || (q->needs & AQ_NEED_NUM) ? 0 : q->from_ns,
		.to_ns = q->to_ns,
		.event_set = q->needs & AQ_NEED_NUM ? NULL : q->read_set,
		.without_attrs = !q->state && !(q->needs & AQ_NEED_ATTRS),
	};

	const struct aq_gap *gaps;
	struct aq_gap *copy;

	if (q->iter)
		return 0;
	if (q->state) {
		int r = aq_query_preload(q, err);

		if (r < 0)
			return r;
	}
	/* a copy: damage that shows while events are read becomes a gap too, and moves the others */
	gaps = aq_capture_gaps(q->capture, &q->gap_count);
	copy = malloc((q->gap_count + 1) * sizeof(*copy));
	if (!copy)
		return aq_err_set(err, -ENOMEM, "no memory for a query");
	if (q->gap_count > 0)
		memcpy(copy, gaps, q->gap_count * sizeof(*copy));
	free(q->gaps);
	q->gaps = copy;
	return aq_event_iter_new(q->capture, &o, &q->iter, err);
}

static void begin_row(struct aq_query *q)
{
	aq_scratch_reset(q->scratch);
	q->row = (struct aq_row){ .capture = q->capture, .state = q->state, .names = q->names, .scratch = q->scratch,
				  .first_ns = q->info->start_boot_ns, .fd_num = -1 };
}

/* The next gap that comes before boot time `until`, as a row when it matches. */
static bool take_gap(struct aq_query *q, uint64_t until)
{
	while (q->gap_rows && q->gap_row < q->gap_count && q->gaps[q->gap_row].first_ns <= until) {
		const struct aq_gap *g = &q->gaps[q->gap_row++];

		if (g->last_ns < q->from_ns || (q->to_ns && g->first_ns > q->to_ns))
			continue;
		begin_row(q);
		q->row.gap = g;
		if (aq_filter_match(q->filter, &q->row))
			return true;
	}
	return false;
}

static void feed_gaps(struct aq_query *q, uint64_t until)
{
	for (; q->gap_fed < q->gap_count && q->gaps[q->gap_fed].first_ns <= until; q->gap_fed++)
		if (q->gaps[q->gap_fed].reason != AQ_GAP_RETENTION || q->gaps[q->gap_fed].last_ns >= q->info->kept_from_ns)
			aq_state_gap(q->state, &q->gaps[q->gap_fed]);
}

static int take_event(struct aq_query *q, bool *ret_match, struct aq_err *err)
{
	struct aq_touch touch = { .fd_num = -1 };
	uint32_t id = q->ev.id < AQ_EVENT_ID_MAX ? q->ev.id : 0;

	*ret_match = false;
	q->num++;
	q->has_event = false;
	if (q->state) {
		feed_gaps(q, q->ev.time_ns);
		if ((!q->cgroups_only || aq_bit(q->state_set, id)) && aq_state_feed(q->state, &q->ev, &touch) < 0)
			return aq_err_set(err, -ENOMEM, "no memory for the process state");
		int r = q->on_state ? q->on_state(q->on_state_user, q->state, &q->ev, &touch) : 0;
		if (r < 0)
			return aq_err_set(err, r, r == -ECANCELED ? "stopped: nothing was made" : "no memory for what was asked");
	}
	if (!aq_bit(q->row_set, id) || q->ev.time_ns < q->from_ns)
		return 0;
	begin_row(q);
	q->row.ev = &q->ev;
	q->row.num = q->needs & AQ_NEED_NUM ? q->num : 0;
	if (!q->cgroups_only) {
		q->row.proc = touch.proc;
		q->row.thread = touch.thread;
		q->row.fd = touch.fd;
		q->row.fd_num = touch.fd_num;
	}
	*ret_match = aq_filter_match(q->filter, &q->row);
	if (q->ev.flags & AQ_EVF_DEGRADED && q->degraded_rows < UINT32_MAX)
		q->degraded_rows++; /* one whose text is missing may have matched */
	return 0;
}

int aq_query_step(struct aq_query *q, struct aq_row **ret_row, struct aq_err *err)
{
	bool match = false;
	int r = aq_query_start(q, err);

	if (r < 0)
		return r;
	for (;;) {
		if (!q->has_event && !q->at_end) {
			r = aq_event_iter_next(q->iter, &q->ev, err);
			if (r < 0)
				return r;
			q->has_event = r > 0;
			q->at_end = r == 0;
		}
		if (take_gap(q, q->has_event ? q->ev.time_ns : UINT64_MAX)) {
			*ret_row = &q->row;
			return 1;
		}
		if (q->at_end)
			return 0;
		r = take_event(q, &match, err);
		if (r < 0)
			return r;
		if (match) {
			*ret_row = &q->row;
			return 1;
		}
	}
}

int aq_query_next(struct aq_query *q, struct aq_row **ret_row, struct aq_err *err)
{
	int r;

	if (q->limit && q->rows >= q->limit)
		return 0;
	r = aq_query_step(q, ret_row, err);
	if (r > 0)
		q->rows++;
	return r;
}

int aq_query_run(struct aq_query *q, int (*on_row)(void *user, struct aq_row *row), void *user, struct aq_err *err)
{
	struct aq_row *row;
	int r;

	while ((r = aq_query_next(q, &row, err)) > 0) {
		r = on_row(user, row);
		if (r)
			return r;
	}
	return r;
}

size_t aq_query_field_count(const struct aq_query *q)
{
	return q->field_count;
}

const struct aq_field *aq_query_field(const struct aq_query *q, size_t index)
{
	return index < q->field_count ? q->fields[index] : NULL;
}

const struct aq_state *aq_query_state(const struct aq_query *q)
{
	return q->state;
}

bool aq_query_is_columnar(const struct aq_query *q)
{
	return !q->state && !q->gap_rows && !q->iter && aq_filter_is_event_set(q->filter);
}

static bool sets_meet(const uint64_t *a, const uint64_t *b)
{
	for (unsigned i = 0; i < AQ_SET_WORDS; i++)
		if (a[i] & b[i])
			return true;
	return false;
}

int aq_query_count_ids(struct aq_query *q, uint64_t *by_id, struct aq_err *err)
{
	for (uint32_t i = 0; i < q->info->chunk_count; i++) {
		const struct aq_chunk_info *zone = aq_capture_chunk(q->capture, i);
		bool edges = zone && (zone->min_ns < q->from_ns || (q->to_ns && zone->max_ns > q->to_ns));
		struct aq_chunk *chunk;
		int r;

		if (!zone || !sets_meet(zone->event_set, q->row_set) || zone->max_ns < q->from_ns ||
		    (q->to_ns && zone->min_ns > q->to_ns))
			continue;
		r = edges ? aq_chunk_load(q->capture, i, AQ_COL_ID | AQ_COL_TIME, &chunk, err) :
			    aq_chunk_count(q->capture, i, by_id, err);
		if (r == -EBADMSG)
			continue; /* damaged: among the damages, and in the verdict */
		if (r < 0)
			return r;
		if (!edges)
			continue;
		for (uint32_t k = 0; k < chunk->events; k++)
			if (chunk->time_ns[k] >= q->from_ns && (!q->to_ns || chunk->time_ns[k] <= q->to_ns))
				by_id[chunk->id[k] < AQ_EVENT_ID_MAX ? chunk->id[k] : 0]++;
		aq_chunk_free(chunk);
	}
	for (uint32_t id = 0; id < AQ_EVENT_ID_MAX; id++)
		if (!aq_bit(q->row_set, id))
			by_id[id] = 0;
	return 0;
}

int aq_query_count(struct aq_query *q, uint64_t *ret_count, struct aq_err *err)
{
	uint64_t count = 0;
	struct aq_row *row;
	int r;

	if (aq_query_is_columnar(q)) {
		uint64_t by_id[AQ_EVENT_ID_MAX] = { 0 };

		r = aq_query_count_ids(q, by_id, err);
		for (uint32_t id = 0; r == 0 && id < AQ_EVENT_ID_MAX; id++)
			count += by_id[id];
	} else {
		while ((r = aq_query_step(q, &row, err)) > 0)
			count++;
	}
	if (r == 0)
		*ret_count = count;
	return r;
}

void aq_query_verdict(const struct aq_query *q, struct aq_verdict *ret_verdict)
{
	struct aq_verdict_question question = {
		.from_ns = q->from_ns, .to_ns = q->to_ns, .event_set = q->read_set, .history = q->state != NULL,
		.needs_attrs = q->state || (q->needs & AQ_NEED_ATTRS), .degraded_rows = q->degraded_rows,
	};

	aq_verdict_compute(q->capture, &question, ret_verdict);
}

size_t aq_query_plan(const struct aq_query *q, char *buf, size_t size)
{
	unsigned ids = 0;
	uint32_t chunks = 0;
	uint64_t from = q->state || (q->needs & AQ_NEED_NUM) ? 0 : q->from_ns;
	int n;

	for (unsigned i = 0; i < AQ_SET_WORDS; i++)
		ids += (unsigned)__builtin_popcountll(q->read_set[i]);
	for (uint32_t i = 0; i < q->info->chunk_count; i++) {
		const struct aq_chunk_info *zone = aq_capture_chunk(q->capture, i);

		chunks += zone && zone->max_ns >= from && (!q->to_ns || zone->min_ns <= q->to_ns) &&
			  ((q->needs & AQ_NEED_NUM) || sets_meet(zone->event_set, q->read_set));
	}
	n = snprintf(buf, size, "chunks %" PRIu32 " of %" PRIu32 ", event ids %u, state %s, strings %s", chunks,
		     q->info->chunk_count, ids, !q->state ? "no" : q->cgroups_only ? "cgroups" :
		     q->needs & AQ_NEED_FD ? "processes and descriptors" : "processes",
		     q->state || (q->needs & AQ_NEED_ATTRS) ? "yes" : "no");
	return n > 0 ? (size_t)n : 0;
}
