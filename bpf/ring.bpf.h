/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Taking a place in a ring and publishing it. A record is: enter (sequence and counters), optionally an attribute
 * record, then the fixed slot, leave. Everything that is turned away is counted where the ledger finds it.
 */
#ifndef AQ_BPF_RING_H
#define AQ_BPF_RING_H

#include "maps.bpf.h"

/*
 * clang drops the result of a static function that nobody looks at and may leave a pointer in r0, which the verifier
 * refuses. A zero that it can't see through, and a caller that uses it, keep r0 a number.
 */
static __always_inline u32 opaque_zero(void)
{
	u32 zero = 0;
	asm volatile("" : "+r"(zero));
	return zero;
}

/* An event under way. */
struct entry {
	struct aq_wire_ring *ring;
	struct aq_wire_cpu *cpu;
	struct aq_wire_fixed *slot;
	u64 seq, now;
	u32 index;  /* cpu * classes + class */
	u32 event;
	/* attribute record: base is inside a part; ring->attr_bytes of it are used */
	char *base;
	u64 attr_head;
	u32 flags;
};

/* Stores of the record must be seen before the head that publishes them: x86 keeps them in order by itself. */
static __always_inline void publish(aq_u64 *head, u64 value)
{
#if defined(__TARGET_ARCH_arm64)
	__sync_lock_test_and_set(head, value); /* a full barrier; xchg needs 5.12 */
#else
	asm volatile("" ::: "memory");
	*(volatile aq_u64 *)head = value;
#endif
}

static __always_inline void lose(struct entry *e, bool nested)
{
	e->ring->lost++;
	e->ring->lost_last_ns = e->now;
	if (nested)
		e->ring->nested++;
	if (e->event < AQ_WIRE_EVENTS)
		e->cpu->lost[e->event]++;
}

/*
 * Counts the event, takes its sequence number and a slot. False: it was counted as lost (or left out when `skip`).
 * After true, leave() must follow.
 */
static __always_inline bool enter(struct entry *e, u32 event, u32 cls, bool skip)
{
	u32 cpu = bpf_get_smp_processor_id();
	struct aq_wire_cpu *c = bpf_map_lookup_elem(&ctl, &cpu);
	if (!c)
		return false;
	cls &= AQ_WIRE_CLASSES - 1; /* four classes: proves the bound of ring[] */
	if (event >= AQ_WIRE_EVENTS)
		event = 0; /* proves the bound of seen[] */
	struct aq_wire_ring *ring = &c->ring[cls];
	e->ring = ring;
	e->cpu = c;
	e->event = event;
	e->index = cpu * AQ_WIRE_CLASSES + cls;
	c->seen[event]++;
	e->seq = ring->produced++;
	if (skip) {
		ring->policy++;
		c->policy[event]++;
		return false;
	}
	e->now = bpf_ktime_get_boot_ns();
	if (ring->busy) {
		lose(e, true);
		return false;
	}
	u64 head = ring->head;
	u32 parts = cfg_fixed_parts;
	if (head - *(volatile aq_u64 *)&ring->tail >= (u64)parts * AQ_WIRE_PART_SLOTS) {
		lose(e, false);
		return false;
	}
	u32 key = e->index * parts + ((u32)(head / AQ_WIRE_PART_SLOTS) & (parts - 1));
	struct fixed_part *part = bpf_map_lookup_elem(&fixed, &key);
	if (!part) {
		lose(e, false);
		return false;
	}
	e->slot = &part->slot[head & (AQ_WIRE_PART_SLOTS - 1)];
	e->base = NULL;
	e->flags = 0;
	ring->busy = 1;
	return true;
}

static __always_inline void leave(struct entry *e, u64 pid_tgid, s64 ret, u64 cgroup)
{
	struct aq_wire_fixed *slot = e->slot;
	slot->time_ns = e->now;
	slot->seq = (u32)e->seq;
	slot->event = (u16)e->event;
	slot->flags = (u16)e->flags;
	slot->pid = (u32)(pid_tgid >> 32);
	slot->tid = (u32)pid_tgid;
	slot->ret = ret;
	slot->cgroup_id = cgroup;
	publish(&e->ring->head, e->ring->head + 1);
	asm volatile("" ::: "memory");
	e->ring->busy = 0;
}

/* attribute records */

enum {
	STRING_MAX = 4096,
	ARGV_MAX = 16384,
	COMPONENT_MAX = 256,
	COMPONENTS = 48,
	/* a record is not begun another attribute in beyond this: the longest one still fits */
	RECORD_LIMIT = AQ_WIRE_ATTR_MAX - ARGV_MAX - 64,
};

/* Room for the longest record is asked for before anything is written, since lengths are not known. */
static __always_inline bool attrs_begin(struct entry *e)
{
	u64 head = e->ring->attr_head;
	u32 parts = cfg_attr_parts;
	e->attr_head = head;
	e->ring->attr_count = 0;
	e->ring->attr_bytes = sizeof(struct aq_wire_attr_record);
	if (head + AQ_WIRE_ATTR_MAX - *(volatile aq_u64 *)&e->ring->attr_tail <= (u64)parts * AQ_WIRE_ATTR_PART) {
		u32 key = e->index * parts + ((u32)(head / AQ_WIRE_ATTR_PART) & (parts - 1));
		struct attr_part *part = bpf_map_lookup_elem(&attr, &key);
		if (part) {
			e->base = part->bytes + (head & (AQ_WIRE_ATTR_PART - 1));
			return true;
		}
	}
	e->ring->attr_lost++;
	e->flags |= AQ_WIRE_ATTR_LOST;
	return false;
}

static __always_inline void attrs_end(struct entry *e)
{
	u64 bytes = *(volatile aq_u64 *)&e->ring->attr_bytes, count = *(volatile aq_u64 *)&e->ring->attr_count;
	if (!e->base || !count)
		return;
	struct aq_wire_attr_record *record = (void *)e->base;
	record->bytes = (u32)bytes;
	record->seq = (u32)e->seq;
	record->time_ns = e->now;
	record->event = (u16)e->event;
	record->count = (u16)count;
	record->reserved = 0;
	e->flags |= AQ_WIRE_HAS_ATTR;
	publish(&e->ring->attr_head, e->attr_head + bytes);
}

/* Where the next attribute's head goes; NULL when the record is full (flagged as a lost attribute). */
static __always_inline char *attr_place(struct entry *e)
{
	u64 len = *(volatile aq_u64 *)&e->ring->attr_bytes;
	if (!e->base)
		return NULL;
	if (len > RECORD_LIMIT) { /* proves that base + len + the longest attribute lies inside the part */
		e->ring->attr_lost++;
		e->flags |= AQ_WIRE_ATTR_LOST;
		return NULL;
	}
	return e->base + len;
}

static __always_inline void attr_head(struct entry *e, char *place, u32 key, u32 flags, u32 n, u32 true_len)
{
	struct aq_wire_attr *a = (void *)place;
	a->key = (u16)key;
	a->flags = (u16)flags;
	a->len = n;
	a->true_len = true_len;
	a->reserved = 0;
	e->ring->attr_bytes += sizeof(*a) + ((n + 7u) & ~7u);
	e->ring->attr_count++;
}

#endif
