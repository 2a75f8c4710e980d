/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open chunk of a writer, its string dictionary, and how both become block payloads. Private to this folder.
 * Memory is bounded by the limits given at _init; a full chunk or dictionary is the caller's to flush.
 */
#ifndef AQ_FORMAT_SEGMENT_BUILDER_H
#define AQ_FORMAT_SEGMENT_BUILDER_H

#include <zstd.h>

#include "format/segment/layout.h"

/* Strings of one generation. New ones collect in `fresh` until they are written as a dictionary block. */
struct aq_dictionary {
	uint32_t generation, count, written; /* ids below written are on disk */
	uint32_t *slots;                     /* id + 1, open addressing */
	uint32_t slot_count;
	uint64_t *hashes;                    /* by id */
	uint64_t *offsets;                   /* by id, into bytes; one more than count */
	uint32_t capacity;
	struct aq_buf bytes;
};
int aq_dictionary_init(struct aq_dictionary *d);
void aq_dictionary_release(struct aq_dictionary *d);
/* Starts the next generation: everything is forgotten. */
void aq_dictionary_restart(struct aq_dictionary *d);
bool aq_dictionary_is_full(const struct aq_dictionary *d);
/* The id of a string, new or known. -ENOMEM. */
int aq_dictionary_intern(struct aq_dictionary *d, const void *data, size_t n, uint32_t *ret_id);
/* Payload of a dictionary block with all that is not written yet; marks it as written. */
int aq_dictionary_payload(struct aq_dictionary *d, ZSTD_CCtx *zstd, int level, struct aq_buf *out);

struct aq_chunk_row { /* one event of the open chunk */
	uint64_t time_ns;
	int64_t ret;
	uint32_t thread;     /* index into threads */
	uint32_t numbers;    /* start in the pool of numbers: what the plan of its type keeps */
	uint32_t attrs;      /* start in the pool of attributes */
	uint16_t id;
	uint16_t cpu;
	uint32_t nr;
	uint8_t attr_count, flags, cls;
};
struct aq_chunk_plan { /* which arguments of a type are kept, and as what */
	uint8_t count;
	uint8_t arg[AQ_EVENT_MAX_ARGS], width[AQ_EVENT_MAX_ARGS]; /* enum aq_width */
	bool has_ret;
	uint8_t args_seen; /* the most that an event of the chunk has: rows grow, and an old event has no more than its row had */
};
struct aq_chunk_attr {
	uint32_t string, true_len;
	uint16_t key, flags;
};
struct aq_chunk_thread {
	uint64_t cgroup_id;
	uint32_t pid, tid;
	uint32_t events;
	uint8_t abi;
};

struct aq_chunk_builder {
	uint32_t max_events;
	bool keep_pointers;
	unsigned time_unit; /* log2 of the unit of times in ns */
	struct aq_chunk_row *rows;
	uint32_t count;
	struct aq_buf numbers;  /* uint64_t */
	struct aq_buf attrs;    /* struct aq_chunk_attr */
	struct aq_chunk_thread *threads;
	uint32_t thread_count;
	uint32_t *thread_slots; /* index + 1 */
	uint32_t thread_slot_count, last_thread;
	struct aq_chunk_plan *plans; /* by event id */
	/* scratch of an encoding */
	uint32_t *order, *by_type;   /* rows by (thread, time), and by type in that order */
	uint64_t *values;            /* one column */
	uint64_t *times, *cpus, *flags;  /* in the order of `order` */
	uint64_t *durations;         /* by row, in units, + 1; 0 unknown; NULL until an event has one */
	bool has_durations;          /* some row of this chunk has one */
	struct aq_buf columns;       /* uint64_t: those of one type */
	struct aq_buf bits;
	struct aq_buf small, column, directory, frames;
	ZSTD_CCtx *zstd;
};
int aq_chunk_builder_init(struct aq_chunk_builder *b, uint32_t max_events, bool keep_pointers);
void aq_chunk_builder_release(struct aq_chunk_builder *b);
/* Forgets its events; rows stay readable until the next _add. */
void aq_chunk_builder_empty(struct aq_chunk_builder *b);
/* The caller has made sure that count < max_events. -ENOMEM; nothing is half added. */
int aq_chunk_builder_add(struct aq_chunk_builder *b, struct aq_dictionary *d, const struct aq_event *ev);
/* Payloads of the chunk and attribute blocks (the latter empty when no event has one), and the zone map, whose types
 * lie in `types`. The builder is empty afterwards. */
int aq_chunk_builder_payload(struct aq_chunk_builder *b, const struct aq_dictionary *d, int level, struct aq_buf *chunk,
			     struct aq_buf *attrs, struct aq_zone *ret_zone, struct aq_buf *types);

#endif
