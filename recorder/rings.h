/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of all rings as user space sees it, wherever it comes from: maps of the kernel side, or plain memory filled
 * by the synthetic source. One ring belongs to one (cpu, class); its layout is bpf/wire.h's.
 *
 * Threads: the drain thread owns the tails. The counters of the control block are written by the other side at any
 * time: they are read through the functions here only.
 */
#ifndef AQ_RECORDER_RINGS_H
#define AQ_RECORDER_RINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/wire.h"

struct aq_ring {
	struct aq_wire_ring *ctl;   /* borrowed, as are fixed and attr */
	uint8_t *fixed;             /* fixed_parts parts of AQ_WIRE_PART_SLOTS slots */
	uint8_t *attr;              /* attr_parts parts of AQ_WIRE_ATTR_PART + AQ_WIRE_ATTR_MAX bytes */
	size_t fixed_stride;        /* bytes from part to part */
	size_t attr_stride;
	uint32_t slot_bytes;        /* of a slot: sizeof struct aq_wire_fixed, or of aq_wire_timed in all rings */
	uint32_t fixed_parts;       /* powers of two */
	uint32_t attr_parts;
};

struct aq_rings {
	uint32_t cpu_count;
	struct aq_wire_cpu **cpu;   /* cpu_count control blocks */
	struct aq_ring *ring;       /* [cpu * AQ_WIRE_CLASSES + class], owned */
};

static inline uint64_t aq_shared_load(const aq_u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline uint64_t aq_shared_peek(const aq_u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void aq_shared_store(aq_u64 *p, uint64_t value)
{
	__atomic_store_n(p, value, __ATOMIC_RELEASE);
}

static inline struct aq_ring *aq_rings_at(const struct aq_rings *rings, uint32_t cpu, uint32_t cls)
{
	return &rings->ring[(size_t)cpu * AQ_WIRE_CLASSES + cls];
}

static inline uint32_t aq_rings_count(const struct aq_rings *rings)
{
	return rings->cpu_count * AQ_WIRE_CLASSES;
}

/* The slot at a position; the slots up to the end of its part follow it without a break. */
static inline struct aq_wire_fixed *aq_ring_slot(const struct aq_ring *r, uint64_t pos)
{
	uint64_t part = (pos / AQ_WIRE_PART_SLOTS) & (r->fixed_parts - 1);

	return (struct aq_wire_fixed *)(void *)(r->fixed + part * r->fixed_stride +
						(pos & (AQ_WIRE_PART_SLOTS - 1)) * r->slot_bytes);
}

/* The byte at a position; AQ_WIRE_ATTR_MAX readable bytes follow it. */
static inline uint8_t *aq_ring_attr(const struct aq_ring *r, uint64_t pos)
{
	uint64_t part = (pos / AQ_WIRE_ATTR_PART) & (r->attr_parts - 1);

	return r->attr + part * r->attr_stride + (pos & (AQ_WIRE_ATTR_PART - 1));
}

/* Allocates the two tables, zeroed; cpu[] and ring[] are filled by the caller. 0 or -errno. */
int aq_rings_init(struct aq_rings *rings, uint32_t cpu_count);
void aq_rings_release(struct aq_rings *rings);

/* True when no record is under way: every sequence number taken is stored or counted as lost or left out. */
bool aq_rings_settled(const struct aq_rings *rings);

#endif
