/* SPDX-License-Identifier: Apache-2.0 */
/* An open capture as the files of the reader share it; private to this folder. */
#ifndef AQ_FORMAT_SEGMENT_CAPTURE_H
#define AQ_FORMAT_SEGMENT_CAPTURE_H

#include "format/segment/layout.h"

struct aq_chunk_ref { /* beside aq_chunk_info: what loading needs */
	struct aq_block chunk, attrs; /* attrs.kind 0: none */
	uint32_t generation, dictionary_count;
	uint64_t ring_min_ns, ring_max_ns;
	bool damaged;                 /* reported already */
};

struct aq_dictionary_ref { /* one dictionary block */
	struct aq_block block;
};

struct aq_segment {
	char *path;
	int fd;
	uint64_t bytes;
	struct aq_dictionary_ref *dictionaries;
	size_t dictionary_count;
	bool bad; /* no usable header */
};

/* Strings of one generation of one segment, as far as they could be read. */
struct aq_strings {
	uint32_t segment, generation, count;
	uint64_t *offsets; /* count + 1 */
	uint32_t capacity;
	struct aq_buf bytes;
	bool loaded;
};

struct aq_clock_pair {
	uint64_t boot_ns, real_ns;
};

struct aq_capture {
	struct aq_capture_info info;
	char *path;
	char *strings[AQ_FACT_COUNT];
	struct aq_segment *segments;
	struct aq_segment_info *segment_infos;
	size_t segment_count;
	struct aq_chunk_info *chunks;
	struct aq_chunk_ref *refs;
	size_t chunk_count, chunk_capacity;
	struct aq_gap *gaps;
	size_t gap_count, gap_capacity;
	struct aq_ledger_row *rows;
	size_t row_count;
	struct aq_damage *damages;
	size_t damage_count, damage_capacity;
	struct aq_clock_pair *clocks;
	size_t clock_count, clock_capacity;
	struct aq_strings strings_cache; /* the generation used last */
};

enum { AQ_DAMAGES_MAX = 10000 };

/* Notes a damaged place (bounded) and the gap that it makes within [first, last]. */
void aq_capture_damage(struct aq_capture *c, const struct aq_segment *s, uint64_t offset, uint64_t bytes, uint64_t first_ns,
		       uint64_t last_ns, const char *format, ...) __attribute__((format(printf, 7, 8)));
int aq_capture_push_gap(struct aq_capture *c, const struct aq_gap *gap); /* takes a copy, by_event too */

/* Reads and checks a payload into out. -EBADMSG with the reason in why. */
int aq_block_load(const struct aq_segment *s, const struct aq_block *block, struct aq_buf *out, char why[128]);
/* The strings a chunk needs, in c->strings_cache; those that can't be read are missing there. */
int aq_strings_load(struct aq_capture *c, uint32_t segment, uint32_t generation);

/* A decoded chunk. */
struct aq_chunk_attr_column {
	uint16_t key;
	uint64_t *ids;    /* by ordinal within the type, string id + 1 */
	uint32_t extra_count;
	uint32_t *extra_at, *extra_true_len;
	uint16_t *extra_flags;
};
struct aq_chunk_type {
	uint16_t id;
	uint32_t events;
	const struct aq_event_schema *schema;
	uint8_t number_count;
	uint64_t *ret, *nr;                      /* NULL: not stored */
	uint64_t *numbers[AQ_EVENT_MAX_ARGS];    /* NULL: not stored, reads as 0 */
	struct aq_chunk_attr_column *attrs;      /* room for AQ_ATTR_KEY_MAX, or NULL: none */
	uint8_t attr_count;
};
struct aq_chunk_thread_row {
	uint64_t cgroup_id;
	uint32_t pid, tid;
	uint8_t abi;
};
struct aq_decoded {
	uint32_t events, type_count, thread_count;
	struct aq_chunk_type *types;
	struct aq_chunk_thread_row *threads;
	uint16_t *type;      /* per event */
	uint32_t *thread, *ordinal;
	uint64_t *time_ns, *cpu, *flags;
	void *arena;         /* everything above, but types' pointers into it */
	/* strings of the chunk */
	struct aq_strings strings;
	bool strings_missing;
};
enum aq_decode_what { AQ_DECODE_ATTRS = 1 << 8, AQ_DECODE_VALUES = 1 << 9 }; /* beside enum aq_chunk_column */
/* -EBADMSG: damaged (noted in the capture); -ENOMEM. */
int aq_decode_chunk(struct aq_capture *c, uint32_t index, unsigned what, struct aq_decoded **ret_decoded, struct aq_err *err);
void aq_decoded_free(struct aq_decoded *d);
/* Fills everything of event i; attribute data is borrowed from d. */
void aq_decoded_event(const struct aq_decoded *d, uint32_t i, bool with_attrs, struct aq_event *ret_event);

#endif
