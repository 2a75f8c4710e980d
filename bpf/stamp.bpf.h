/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * When each thread entered the call that it is in: struct aq_wire_stamp says how it is kept. An exit takes the stamp of
 * its own entry or none: not of another thread, not of another call, and none twice.
 *
 * A call that was entered before the programs were attached has no stamp, nor has one that seccomp or a tracer turned
 * away before the entry was seen, nor the call by which a child returns that was just born.
 */
#ifndef AQ_BPF_STAMP_H
#define AQ_BPF_STAMP_H

#include "maps.bpf.h"

enum {
	STAMP_NR_WIPED = 0xffffffff, /* what reads as the number when a signal handler returns */
	STAMP_NR_EXEC = 0xfffffffe,  /* an exec: the number is the new program's, where that has another ABI */
};

static __always_inline struct aq_wire_stamp *stamp_of(u32 tid)
{
	u32 key = tid & (cfg_stamps - 1);

	return bpf_map_lookup_elem(&stamps, &key);
}

static __always_inline void stamp_put(u32 tid, u32 nr, u64 now)
{
	struct aq_wire_stamp *s = stamp_of(tid);

	if (!s)
		return;
	s->time_ns = now;
	s->check = now ^ ((u64)tid << 32 | nr);
}

/* The time of the thread's entry into that call, 0: not known. It is gone afterwards. */
static __always_inline u64 stamp_take(u32 tid, u32 nr)
{
	struct aq_wire_stamp *s = stamp_of(tid);

	if (!s)
		return 0;
	u64 began = s->time_ns, tag = began ^ s->check;
	if (tag >> 32 != tid)
		return 0;
	s->check = began; /* a tag of 0: no thread's */
	if ((u32)tag != nr && (u32)tag != STAMP_NR_EXEC && nr != STAMP_NR_WIPED)
		return 0;
	return began;
}

static __always_inline void stamp_drop(u32 tid)
{
	struct aq_wire_stamp *s = stamp_of(tid);

	if (s && (s->time_ns ^ s->check) >> 32 == tid)
		s->check = s->time_ns;
}

/* The thread that calls exec goes on under its leader's id, and the next exit of it is that of the exec. */
static __always_inline void stamp_exec(u32 old_tid, u32 tid)
{
	struct aq_wire_stamp *s = stamp_of(old_tid);

	if (!s)
		return;
	u64 began = s->time_ns, tag = began ^ s->check;
	if (tag >> 32 != old_tid)
		return;
	s->check = began;
	stamp_put(tid, STAMP_NR_EXEC, began);
}

#endif
