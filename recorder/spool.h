/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded memory between the drain thread and the rest: slabs of raw ring contents, handed over whole and recycled.
 * Each class may use a share of it, the lower the class the smaller (class 3: 70 %, 2: 80 %, 1: 90 %, 0: all), so
 * what is lowest finds no room first. Nobody waits for room: who gets no slab sheds and accounts for it.
 *
 * Threads: one producer (get, push, publish, idle, finish), one consumer (take, put).
 */
#ifndef AQ_RECORDER_SPOOL_H
#define AQ_RECORDER_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	AQ_SLAB_BYTES = 256 * 1024,
	AQ_SPOOL_MIN_SLABS = 8,
};

enum aq_piece_kind {
	AQ_PIECE_FIXED = 1, /* struct aq_wire_fixed or aq_wire_timed, in ring order */
	AQ_PIECE_ATTR = 2,  /* whole attribute records, in ring order; precede the fixed records they belong to */
};

/* Head of one run of ring contents in a slab; the payload follows it. A multiple of 8 bytes. */
struct aq_piece {
	struct aq_piece *next;   /* the consumer's */
	struct aq_slab *slab;
	uint32_t bytes;          /* of the payload */
	uint32_t ring;           /* cpu * AQ_WIRE_CLASSES + class */
	uint32_t kind;           /* enum aq_piece_kind */
	uint32_t record_bytes;   /* AQ_PIECE_FIXED: of one record, else 0 */
};

struct aq_slab {
	struct aq_slab *next;
	uint32_t used;           /* bytes of data[] */
	uint32_t pieces_open;    /* the consumer's: pieces not yet used up */
	uint32_t lowest_class;   /* the lowest class (highest number) that may still use it */
	uint32_t reserved[3];
	_Alignas(16) uint8_t data[AQ_SLAB_BYTES - 32];
};

struct aq_spool;

/* bytes is rounded down to whole slabs, at least AQ_SPOOL_MIN_SLABS. */
int aq_spool_new(size_t bytes, struct aq_spool **ret_spool);
void aq_spool_free(struct aq_spool *spool); /* NULL allowed; slabs still outside are the caller's bug */

/* An empty slab, or NULL when that class's share is used up (or memory is). */
struct aq_slab *aq_spool_get(struct aq_spool *spool, unsigned cls);
/* Hands a filled slab over. The consumer is woken at the next publish. */
void aq_spool_push(struct aq_spool *spool, struct aq_slab *slab);
/* Everything older than watermark_ns has been pushed. */
void aq_spool_publish(struct aq_spool *spool, uint64_t watermark_ns);
/* True when the consumer has taken what was published last, and waits or will soon. */
bool aq_spool_idle(struct aq_spool *spool);
/* Nothing more will come: take returns it after the last slab. */
void aq_spool_finish(struct aq_spool *spool);

struct aq_spool_taken {
	struct aq_slab *slabs;   /* a list by next, oldest first; NULL if there was nothing */
	uint64_t watermark_ns;   /* the latest published, all its slabs being taken */
	bool finished;           /* this was the last */
};
/* Waits at most timeout_ns for something new. */
struct aq_spool_taken aq_spool_take(struct aq_spool *spool, uint64_t timeout_ns);
void aq_spool_put(struct aq_spool *spool, struct aq_slab *slab);

/* For a progress line: any thread. */
size_t aq_spool_used_bytes(struct aq_spool *spool);
size_t aq_spool_size_bytes(const struct aq_spool *spool);

/* First piece of a slab, and the one after; NULL at the end or where the slab makes no sense. */
struct aq_piece *aq_slab_first(struct aq_slab *slab);
struct aq_piece *aq_slab_after(struct aq_slab *slab, struct aq_piece *piece);

#endif
