/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Budgets: how many ordinary and bulk events of one cgroup are recorded in a window of about a second, so that a container
 * that floods does not take the others' room. Counting is not exact when several CPUs begin a window at once: a few
 * events more than the budget may pass. What is left out is counted exactly.
 */
#ifndef AQ_BPF_BUDGET_H
#define AQ_BPF_BUDGET_H

#include "filter.bpf.h"

static __noinline u32 count_drop(u64 cgroup, u32 event, u32 cls, u64 now)
{
	struct aq_wire_drop_key key = { .cgroup_id = cgroup, .event = event, .cls = cls };
	struct aq_wire_drop *drop = bpf_map_lookup_elem(&budget_drops, &key);

	if (!drop) {
		struct aq_wire_drop none = { .first_ns = now };

		bpf_map_update_elem(&budget_drops, &key, &none, BPF_NOEXIST);
		drop = bpf_map_lookup_elem(&budget_drops, &key);
		if (!drop) /* no room: counted with its CPU, without its cgroup */
			return 0;
	}
	__sync_fetch_and_add(&drop->count, 1);
	drop->last_ns = now;
	return 1;
}

static __always_inline struct aq_wire_budget *budget_of(u64 cgroup, u64 window)
{
	struct aq_wire_budget *b = bpf_map_lookup_elem(&budgets, &cgroup);

	if (!b) {
		struct aq_wire_budget fresh = { .window = window };
		struct aq_wire_limit *own = bpf_map_lookup_elem(&budget_limits, &cgroup);

		for (u32 i = 0; i < AQ_WIRE_BUDGETS; i++)
			fresh.limit.events[i] = own ? own->events[i] : cfg_limit.events[i];
		bpf_map_update_elem(&budgets, &cgroup, &fresh, BPF_NOEXIST);
		b = bpf_map_lookup_elem(&budgets, &cgroup);
	}
	return b;
}

/* Whether an event of a class that has a budget goes beyond it. */
static __always_inline bool is_over_budget(u64 cgroup, u32 event, u32 cls)
{
	u32 i = (cls - AQ_WIRE_BUDGET_CLASS) & (AQ_WIRE_BUDGETS - 1);
	u64 now = bpf_ktime_get_boot_ns(), window = now >> AQ_WIRE_WINDOW_SHIFT;
	struct aq_wire_budget *b = budget_of(cgroup, window);

	if (!b)
		return false;
	if (b->window != window) {
		b->window = window;
		b->used[0] = 0;
		b->used[1] = 0;
	}
	if (b->used[i] < b->limit.events[i]) {
		__sync_fetch_and_add(&b->used[i], 1);
		return false;
	}
	count_drop(cgroup, event, cls, now);
	return true;
}

/* Why an event of the current task is not recorded, or 0. What is vital, class 0, always is. */
static __always_inline u32 skip_by_policy(const struct caller *c, u32 event, u32 cls)
{
	if (cfg_filter.kinds && cls && is_left_out(c))
		return SKIP_FILTER;
	if (cfg_budget && cls >= AQ_WIRE_BUDGET_CLASS && is_over_budget(caller_cgroup(c), event, cls))
		return SKIP_BUDGET;
	return 0;
}

#endif
