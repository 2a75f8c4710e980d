/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Taking a slot and publishing it: enter() counts the event, takes its sequence number and a slot; the caller fills the
 * slot, may add an attribute record (attr.bpf.h), and leave() publishes. What is turned away is counted where the
 * ledger finds it.
 *
 * The programs run with preemption off (pin.bpf.h) and none of their tracepoints fires in an interrupt, so that a ring has one
 * writer at a time. `busy` holds even where that is not so (a kernel that can be preempted inside a tracepoint): who
 * comes in between is counted with atomic additions and turned away. It is set before the counters are touched.
 */
#ifndef AQ_BPF_RING_H
#define AQ_BPF_RING_H

#include "maps.bpf.h"

/* An event under way. Lives in registers: its address must not be given to a function that is not inlined. */
struct entry {
	struct aq_wire_ring *ring;
	struct aq_wire_fixed *slot;
	u64 head;
	u32 index; /* cpu * classes + class */
};

#define AQ_BARRIER() asm volatile("" ::: "memory")

/* Stores of the record must be seen before the head that publishes them: x86 keeps them in order by itself. */
static __always_inline void publish(aq_u64 *head, u64 value)
{
#if defined(__TARGET_ARCH_arm64)
	__sync_lock_test_and_set(head, value); /* xchg is a full barrier; aarch64 has had it since 5.18 */
#else
	AQ_BARRIER();
	*(volatile aq_u64 *)head = value;
#endif
}

/* Another event of this ring is under way below us. */
static __always_inline void turn_away(struct aq_wire_cpu *cpu, struct aq_wire_ring *ring, u64 event)
{
	__sync_fetch_and_add(&cpu->seen[event], 1);
	__sync_fetch_and_add(&cpu->lost[event], 1);
	__sync_fetch_and_add(&ring->produced, 1);
	__sync_fetch_and_add(&ring->nested, 1);
	__sync_fetch_and_add(&ring->lost, 1);
	ring->lost_last_ns = bpf_ktime_get_boot_ns();
}

static __always_inline void lose(struct aq_wire_cpu *cpu, struct aq_wire_ring *ring, u64 event, u64 now)
{
	cpu->lost[event]++;
	ring->lost++;
	ring->lost_last_ns = now;
}

static __always_inline void release(struct aq_wire_ring *ring)
{
	AQ_BARRIER();
	*(volatile aq_u64 *)&ring->busy = 0;
}

/* The size of a slot is a constant to the verifier, one or the other. */
static __always_inline struct aq_wire_fixed *slot_at(char *part, u32 i)
{
	return cfg_durations ? &((struct aq_wire_timed *)part)[i].fixed : &((struct aq_wire_fixed *)part)[i];
}

/* Only where cfg_durations is set: the slot has no such word else. */
static __always_inline void put_duration(struct aq_wire_fixed *slot, u64 ns)
{
	((struct aq_wire_timed *)slot)->duration_ns = ns;
}

enum { SKIP_FILTER = 1, SKIP_BUDGET = 2 };

/*
 * False: the event was counted as lost, or as left out when `skip` (0: it is not). After true, leave() must follow. Time, sequence,
 * event id and flags are in the slot already.
 */
static __always_inline bool enter(struct entry *e, u32 event, u32 cls, u32 flags, u32 skip)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct aq_wire_cpu *c = bpf_map_lookup_elem(&ctl, &cpu);
	u32 parts = cfg_fixed_parts;

	if (!c)
		return false;
	cls &= AQ_WIRE_CLASSES - 1; /* proves the bound of ring[]: there are four classes */
	/* 64 bits wide and its origin hidden: kernels before 5.16 forget the bound of a number of 32 bits that is spilled */
	u64 at = event;
	asm volatile("" : "+r"(at));
	if (at >= AQ_WIRE_EVENTS)
		at = 0; /* proves the bound of seen[] */
	struct aq_wire_ring *ring = &c->ring[cls];
	if (ring->busy) {
		turn_away(c, ring, at);
		return false;
	}
	*(volatile aq_u64 *)&ring->busy = 1;
	AQ_BARRIER();
	u64 seq = ring->produced;
	ring->produced = seq + 1;
	c->seen[at]++;
	if (skip) {
		if (skip == SKIP_BUDGET) /* first: it is never seen to lag behind what it is a part of */
			*(volatile aq_u64 *)&c->budget[at] += 1;
		ring->policy++;
		c->policy[at]++;
		release(ring);
		return false;
	}
	u64 now = bpf_ktime_get_boot_ns(), head = ring->head;
	u32 index = cpu * AQ_WIRE_CLASSES + cls;
	if (head - *(volatile aq_u64 *)&ring->tail < (u64)parts * AQ_WIRE_PART_SLOTS) {
		u32 key = index * parts + ((u32)(head / AQ_WIRE_PART_SLOTS) & (parts - 1));
		char *part = bpf_map_lookup_elem(&fixed, &key);

		if (part) {
			struct aq_wire_fixed *slot = slot_at(part, (u32)head & (AQ_WIRE_PART_SLOTS - 1));

			if (cfg_durations)
				put_duration(slot, AQ_WIRE_DURATION_UNKNOWN);
			slot->time_ns = now;
			slot->seq = (u32)seq;
			slot->event = (u16)at;
			slot->flags = (u16)flags;
			e->ring = ring;
			e->slot = slot;
			e->head = head;
			e->index = index;
			return true;
		}
	}
	lose(c, ring, at, now);
	release(ring);
	return false;
}

static __always_inline void leave(struct entry *e)
{
	publish(&e->ring->head, e->head + 1);
	release(e->ring);
}

/* In place of leave(): the event was looked at, and is left out after all. */
static __always_inline void leave_out(struct entry *e, u32 event)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct aq_wire_cpu *c = bpf_map_lookup_elem(&ctl, &cpu);

	if (c && event < AQ_WIRE_EVENTS) {
		e->ring->policy++;
		c->policy[event]++;
	}
	release(e->ring);
}

static __always_inline void put_args(struct entry *e, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
	struct aq_wire_fixed *slot = e->slot;

	slot->args[0] = a0;
	slot->args[1] = a1;
	slot->args[2] = a2;
	slot->args[3] = a3;
	slot->args[4] = a4;
	slot->args[5] = a5;
}

#endif
