/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The attribute record of an event: begun, filled one attribute after another, published. Lengths are not known before
 * the bytes are there, so room for the longest record is asked for first and only what was used is published. What an
 * attribute's bytes are belongs to fetch, path and sock.
 */
#ifndef AQ_BPF_ATTR_H
#define AQ_BPF_ATTR_H

#include "ring.bpf.h"

/* Keys of format/schema/attrs.def: AQ_ATTR_PATH … */
enum {
#define AQ_ATTR(id, KEY, name, type, doc) AQ_ATTR_##KEY = id,
#include "format/schema/attrs.def"
#undef AQ_ATTR
};

enum {
	STRING_MAX = AQ_WIRE_STRING_MAX,
	ARGV_MAX = AQ_WIRE_ARGV_MAX,
	/* no attribute begins beyond this: the longest one still fits behind it */
	RECORD_LIMIT = AQ_WIRE_ATTR_MAX - ARGV_MAX - 64,
};

/* The record under way; its length and count are in the ring's control block (wire.h says why). */
struct attrs {
	struct aq_wire_ring *ring;
	struct aq_wire_fixed *slot;
	char *base;
};

static __always_inline void attrs_lost(struct attrs *a)
{
	a->ring->attr_lost++;
	a->slot->flags |= AQ_WIRE_ATTR_LOST;
}

/* False: there is no room; the event is flagged and goes without. */
static __always_inline bool attrs_begin(struct attrs *a, struct aq_wire_ring *ring, struct aq_wire_fixed *slot,
					u32 index)
{
	u64 head = ring->attr_head;
	u32 parts = cfg_attr_parts;

	a->ring = ring;
	a->slot = slot;
	ring->attr_count = 0;
	ring->attr_bytes = sizeof(struct aq_wire_attr_record);
	if (head + AQ_WIRE_ATTR_MAX - *(volatile aq_u64 *)&ring->attr_tail <= (u64)parts * AQ_WIRE_ATTR_PART) {
		u32 key = index * parts + ((u32)(head / AQ_WIRE_ATTR_PART) & (parts - 1));
		struct attr_part *part = bpf_map_lookup_elem(&attr, &key);

		if (part) {
			a->base = part->bytes + (head & (AQ_WIRE_ATTR_PART - 1));
			return true;
		}
	}
	attrs_lost(a);
	return false;
}

/* Publishes the record if anything is in it. */
static __always_inline void attrs_end(struct attrs *a)
{
	struct aq_wire_ring *ring = a->ring;
	u64 bytes = *(volatile aq_u64 *)&ring->attr_bytes, count = *(volatile aq_u64 *)&ring->attr_count;
	struct aq_wire_attr_record *record = (void *)a->base;

	if (!count)
		return;
	record->bytes = (u32)bytes;
	record->seq = a->slot->seq;
	record->time_ns = a->slot->time_ns;
	record->event = a->slot->event;
	record->count = (u16)count;
	record->reserved = 0;
	a->slot->flags |= AQ_WIRE_HAS_ATTR;
	publish(&ring->attr_head, ring->attr_head + bytes);
}

/* Where the next attribute's head goes, its bytes behind it; NULL when the record is full (counted, flagged). */
static __always_inline char *attr_place(struct attrs *a)
{
	u64 len = *(volatile aq_u64 *)&a->ring->attr_bytes;

	if (len > RECORD_LIMIT) { /* proves that base + len + the longest attribute lies inside the part */
		attrs_lost(a);
		return NULL;
	}
	return a->base + len;
}

/*
 * Bytes of an attribute that grows in a loop. In memory, so that the verifier sees one unknown number per turn of the
 * loop and not every sum that could have led to it.
 */
static __always_inline u64 attr_used(struct attrs *a)
{
	return *(volatile aq_u64 *)&a->ring->attr_used;
}

static __always_inline void attr_use(struct attrs *a, u64 used)
{
	*(volatile aq_u64 *)&a->ring->attr_used = used;
}

static __always_inline void attr_head(struct attrs *a, char *place, u32 key, u32 flags, u32 n, u32 true_len)
{
	struct aq_wire_attr *head = (void *)place;

	head->key = (u16)key;
	head->flags = (u16)flags;
	head->len = n;
	head->true_len = true_len;
	head->arg = 0;
	a->ring->attr_bytes += sizeof(*head) + ((n + 7u) & ~7u);
	a->ring->attr_count++;
}

#endif
