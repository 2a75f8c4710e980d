/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state at the very begin of a capture whose first segments are not there. Each segment has the state of the host,
 * but the recorder needed a while to read it; what a process did until it was read would have no name. A process that
 * did nothing meanwhile that changes its state was in the same state at the begin: it is taken as known from there.
 */
#include <errno.h>
#include <stdlib.h>

#include "query/query_internal.h"

enum { PIDS = 1 << 22 }; /* the kernel's own limit */

static void add_bit(uint64_t *set, uint32_t bit)
{
	set[bit / 64] |= 1ull << (bit % 64);
}

/* When the first snapshot was whole; 0: there is none. */
static int end_of_snapshot(struct aq_capture *c, uint64_t *ret_ns, struct aq_err *err)
{
	uint64_t set[AQ_SET_WORDS] = { 0 };
	const struct aq_iter_options o = { .event_set = set, .without_attrs = true };
	struct aq_event_iter *it;
	struct aq_event ev;
	int r;

	add_bit(set, AQ_EV_snap_end);
	r = aq_event_iter_new(c, &o, &it, err);
	if (r < 0)
		return r;
	r = aq_event_iter_next(it, &ev, err);
	aq_event_iter_free(it);
	*ret_ns = r > 0 ? ev.time_ns : 0;
	return r < 0 ? r : 0;
}

static bool is_about_process(uint32_t id)
{
	return id == AQ_EV_snap_proc || id == AQ_EV_snap_ns || id == AQ_EV_snap_thread || id == AQ_EV_snap_fd;
}

static int feed_unchanged(struct aq_query *q, uint64_t until_ns, uint64_t *changed, struct aq_err *err)
{
	const struct aq_iter_options o = { .to_ns = until_ns, .event_set = q->state_set };
	uint64_t begin_ns = q->info->kept_from_ns;
	struct aq_touch touch;
	struct aq_event_iter *it;
	struct aq_event ev;
	int r = aq_event_iter_new(q->capture, &o, &it, err);

	if (r < 0)
		return r;
	while ((r = aq_event_iter_next(it, &ev, err)) > 0) {
		bool known = ev.pid < PIDS && !(changed[ev.pid / 64] >> (ev.pid % 64) & 1);

		begin_ns = begin_ns != 0 ? begin_ns : ev.time_ns;
		if (!is_about_process(ev.id)) {
			if (known && ev.id < AQ_EV_snap_begin)
				add_bit(changed, ev.pid);
			continue;
		}
		if (known && ev.id == AQ_EV_snap_proc && ev.arg_count > 1 && ev.args[1] >= begin_ns) {
			add_bit(changed, ev.pid); /* born meanwhile */
			continue;
		}
		if (known && aq_state_feed(q->state, &ev, &touch) < 0) {
			r = aq_err_set(err, -ENOMEM, "no memory for the process state");
			break;
		}
	}
	aq_event_iter_free(it);
	return r < 0 ? r : 0;
}

int aq_query_preload(struct aq_query *q, struct aq_err *err)
{
	uint64_t until_ns = 0, *changed;
	int r;

	if (q->cgroups_only || q->info->segment_count == 0 || q->info->segments[0].number < 2)
		return 0;
	r = end_of_snapshot(q->capture, &until_ns, err);
	if (r < 0 || until_ns == 0)
		return r;
	changed = calloc(PIDS / 64, sizeof(*changed));
	if (changed == NULL)
		return aq_err_set(err, -ENOMEM, "no memory for a query");
	r = feed_unchanged(q, until_ns, changed, err);
	free(changed);
	return r;
}
