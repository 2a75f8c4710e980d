/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the drain thread once took from real rings (aquilad --dump-rings FILE), played into rings in memory again: record
 * for record in the order in which it was taken, without a clock. Numbers that are missing in the dump are lost again.
 *
 * The file: a head, then runs of ring contents as they lie in slabs, each with a head of its own; host byte order. It is
 * read whole and is input: everything in it is checked.
 *
 * Threads: the player belongs to one thread; its source is shared as recorder/source.h says.
 */
#ifndef AQ_RECORDER_SOURCE_DUMP_H
#define AQ_RECORDER_SOURCE_DUMP_H

#include <stdio.h>

#include "recorder/source.h"

struct aq_ring_dump_head {
	char magic[8];            /* "AQRINGS\1" */
	uint32_t cpu_count;
	uint32_t slot_bytes;      /* of a fixed record: sizeof struct aq_wire_fixed or aq_wire_timed */
};

struct aq_ring_dump_run {
	uint32_t ring;            /* cpu * AQ_WIRE_CLASSES + class */
	uint32_t kind;            /* enum aq_piece_kind */
	uint32_t bytes;           /* that follow */
	uint32_t reserved;
};

/* For the drain thread; a write error shows in ferror. */
void aq_ring_dump_begin(FILE *file, const struct aq_rings *rings);
void aq_ring_dump_put(FILE *file, uint32_t ring, uint32_t kind, const void *bytes, uint32_t len);

struct aq_ring_player;

/* fixed_parts and attr_parts: of the rings that it is played into, powers of two. */
int aq_ring_player_open(const char *path, uint32_t fixed_parts, uint32_t attr_parts, struct aq_ring_player **ret_player,
			struct aq_err *err);
void aq_ring_player_free(struct aq_ring_player *player); /* and its source; NULL allowed */
/* Borrowed until free. */
struct aq_source *aq_ring_player_source(struct aq_ring_player *player);
/* At most `count` records. 1: there are more, 0: that was all, -EAGAIN: the ring of the next one is full. */
int aq_ring_player_step(struct aq_ring_player *player, size_t count);
/* Records in it, with and without attributes; and numbers that are missing among them. */
struct aq_ring_player_stats {
	uint64_t records, with_attr, missing;
};
struct aq_ring_player_stats aq_ring_player_stats(const struct aq_ring_player *player);

#endif
