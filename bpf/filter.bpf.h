/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose events are recorded: everybody's but the recorder's own, or those of one command and what descends from it.
 * What is outside of that is not part of the recording and is not counted; what a filter leaves out is (struct
 * aq_wire_call, AQ_WIRE_CALL_SKIP).
 */
#ifndef AQ_BPF_FILTER_H
#define AQ_BPF_FILTER_H

#include "maps.bpf.h"

static __always_inline bool is_target(u32 tgid)
{
	if (tgid == cfg_own_tgid)
		return false;
	return !cfg_filter_tree || bpf_map_lookup_elem(&targets, &tgid);
}

static __always_inline void add_target(u32 tgid)
{
	u32 one = 1;

	if (cfg_filter_tree)
		bpf_map_update_elem(&targets, &tgid, &one, BPF_ANY);
}

static __always_inline void drop_target(u32 tgid)
{
	if (cfg_filter_tree)
		bpf_map_delete_elem(&targets, &tgid);
}

#endif
