/* SPDX-License-Identifier: Apache-2.0 */
/* An open capture as the files of the reader share it; private to this folder. */
#ifndef AQ_FORMAT_SEGMENT_CAPTURE_H
#define AQ_FORMAT_SEGMENT_CAPTURE_H

#include <pthread.h>

#include "format/segment/layout.h"
#include "format/segment/seal.h"

struct aq_chunk_ref { /* beside aq_chunk_info: what loading needs */
	struct aq_block chunk, attrs; /* attrs.kind 0: none */
	uint32_t generation, dictionary_count;
	uint64_t ring_min_ns, ring_max_ns;
	bool attrs_lost;              /* there were attributes, but their block is gone */
};

struct aq_dictionary_ref { /* one dictionary block */
	struct aq_block block;
	uint32_t generation, first, count; /* once peeked */
	bool peeked;
};

struct aq_segment {
	char *path;
	int fd;
	struct aq_capture_stats *stats; /* of its capture, atomic; NULL: nobody counts */
	uint64_t bytes;
	struct aq_dictionary_ref *dictionaries;
	size_t dictionary_count;
	uint64_t first_ns, last_ns; /* proofs of life: events of any kind, clocks; last_ns 0: none */
	uint64_t footer_offset;
	bool has_summary;
	struct aq_footer_summary summary;
	uint64_t whole_ns;          /* the capture's, when this one had been read */
	uint32_t recording;
	bool recording_known;       /* by its header or a ledger; else it is that of the segment before */
	bool ended;                 /* its last ledger was read: no event follows */
	bool footer_seen;
	bool added;                 /* says that it holds facts only, added after the recording */
	bool retention;             /* says that older ones may have been removed on purpose */
	bool has_base;              /* its first ledger says what those before it held */
	uint64_t base_removed[AQ_CLASS_COUNT]; /* of that, what is not there */
	bool dictionaries_checked;
	bool sealed;                /* its header says that it is encrypted */
	bool unsealed;              /* and seal opens it */
	bool locked;                /* none of the keys opens it */
	struct aq_seal seal;
};

/* Strings of one generation of one segment, as far as they could be read; shared, immutable once loaded. */
struct aq_strings {
	uint32_t segment, generation, count, capacity;
	unsigned references; /* atomic */
	uint64_t *starts;    /* by id, into bytes */
	uint32_t *lens;      /* by id; UINT32_MAX: missing */
	struct aq_buf bytes;
};
enum { AQ_STRINGS_CACHED = 2 };

struct aq_clock_pair {
	uint64_t boot_ns, real_ns;
};

struct aq_recording { /* from the start of a recorder to its end, or to the next one that continued */
	uint32_t number;
	struct aq_ledger_row *rows; /* its last ledger */
	size_t row_count;
};

struct aq_capture {
	struct aq_capture_info info;
	struct aq_capture_stats stats;
	char *path;
	const struct aq_keys *keys; /* borrowed while it is opened, then NULL */
	const struct aq_capture *before; /* likewise: the same capture as it was, whose zone maps hold */
	uint32_t before_segment, before_chunk; /* where that one is searched; its segment of the one being read */
	uint8_t (*recipients)[AQ_FINGERPRINT_BYTES];
	char *strings[AQ_FACT_COUNT];
	struct aq_segment *segments;
	struct aq_segment_info *segment_infos;
	size_t segment_count;
	struct aq_chunk_info *chunks;
	struct aq_chunk_ref *refs;
	size_t chunk_count, chunk_capacity;
	struct aq_gap *gaps;
	size_t gap_count, gap_capacity, bounded_gaps; /* those before have an end */
	struct aq_recording *recordings; /* in the order in which they were met */
	size_t recording_count, recording_capacity;
	uint32_t last_recording;
	uint64_t last_start_ns; /* boot time at which that one began */
	uint8_t alike[AQ_ALIKE_BYTES]; /* of the last segment that has it */
	bool alike_known;
	struct aq_ledger_row *rows; /* the sum of all recordings */
	size_t row_count;
	bool running;     /* the last totals are those of a moment */
	bool is_window;   /* segments were left unread */
	struct aq_damage *damages;
	size_t damage_count;
	uint64_t last_ns; /* of all segments so far */
	uint64_t whole_ns; /* what happened before it and is not there, is in a gap; early chunks don't tell */
	uint32_t clock_ticks, page_size;
	bool header_read; /* some segment had one */
	uint8_t replaced[AQ_REPLACED_BYTES]; /* of the header read last, if it says so */
	bool replaced_known;
	bool facts_read;  /* of encrypted segments: some block of facts was */
	bool sorted;      /* gaps are, and have to stay so */
	struct aq_clock_pair *clocks;
	size_t clock_count, clock_capacity;
	struct aq_strings *strings_cache[AQ_STRINGS_CACHED]; /* the generations used last */
	unsigned strings_next;
	pthread_mutex_t strings_lock; /* strings_cache, dictionaries of segments; taken before lock */
	pthread_mutex_t lock;         /* damages, gaps */
};

enum { AQ_DAMAGES_MAX = 10000 };
#define AQ_LATE_NS 1000000000ull /* how late an event may reach its chunk: what bounds damage in time allows for it */

/* Notes a damaged place (once, bounded) and the gap that it makes within [first, last]; first > last: it hides nothing. */
void aq_capture_damage(struct aq_capture *c, const struct aq_segment *s, uint64_t offset, uint64_t bytes, uint64_t first_ns,
		       uint64_t last_ns, const char *format, ...) __attribute__((format(printf, 7, 8)));
/* The recording with that number becomes the segment's. NULL without memory, or when another one is known to be. */
struct aq_recording *aq_capture_recording(struct aq_capture *c, uint32_t segment, uint32_t number);
int aq_capture_sum_ledgers(struct aq_capture *c); /* into rows */
int aq_capture_push_gap(struct aq_capture *c, const struct aq_gap *gap); /* takes a copy, by_event too */
int aq_gap_order(const void *a, const void *b); /* for qsort */
/* The times that a damaged place can hide which follows all that was read so far; first > last: none. */
void aq_capture_hidden(const struct aq_capture *c, uint32_t segment, uint64_t *ret_first_ns, uint64_t *ret_last_ns);
/*
 * One block of a segment, in order. zone may come from the footer, else it is read from the chunk. Damage is noted.
 * -EPROTO: the rest of the segment must not be read; -EXDEV: it belongs to another capture; -EPROTONOSUPPORT: a newer
 * version; -ENOMEM.
 */
int aq_capture_take_block(struct aq_capture *c, uint32_t segment, const struct aq_block *block, const struct aq_zone *zone,
			  struct aq_buf *buf);
/* Texts of the header into info; those that are missing become "". */
int aq_capture_take_facts(struct aq_capture *c);
/* The totals of a segment of which nothing else is read. */
int aq_capture_take_summary(struct aq_capture *c, uint32_t segment, const struct aq_footer_summary *summary);

/* Exactly n bytes at offset. -ENODATA: the file ends before. */
int aq_segment_read(const struct aq_segment *s, void *to, size_t n, uint64_t offset);
/* Reads and checks a payload into out, decrypted. -EBADMSG with the reason in why. */
int aq_block_load(struct aq_capture *c, const struct aq_segment *s, const struct aq_block *block, struct aq_buf *out,
		  char why[128]);
/* The same without decrypting: the bytes as they are stored, of a block that is not bare. */
int aq_block_load_stored(struct aq_capture *c, const struct aq_segment *s, const struct aq_block *block, struct aq_buf *out,
			 char why[128]);
/* What load does with what was stored: decrypts it where it has to be. -EBADMSG with the reason in why. */
int aq_block_unseal(const struct aq_segment *s, const struct aq_block *block, struct aq_buf *payload, char why[128]);
/* Before anything else of a segment: is it encrypted, and does a key open it? Damage is noted. -ENOMEM. */
int aq_segment_unseal(struct aq_capture *c, uint32_t index, struct aq_buf *buf);
/* Instead of the blocks of a segment that no key opens: its header, and counts. As aq_capture_take_block. */
int aq_segment_read_locked(struct aq_capture *c, uint32_t index, struct aq_buf *buf);
/* The block whose header stands at offset; false if none does. */
bool aq_block_at(const struct aq_segment *s, uint64_t offset, struct aq_block *ret_block);
/* Reads the header of a bare block; false if it is damaged, or says something else than the footer. */
bool aq_block_complete(const struct aq_segment *s, struct aq_block *block);
/* All blocks by their headers, in the order of the file; what is no block, or out of order, is told to damage. */
int aq_segment_walk(const struct aq_segment *s, int (*take)(void *user, const struct aq_block *block),
		    void (*damage)(void *user, uint64_t offset, uint64_t bytes, const char *text), void *user);
/* The strings of a generation, a reference; those that can't be read are missing there, and their damage is noted. */
int aq_strings_get(struct aq_capture *c, uint32_t segment, uint32_t generation, struct aq_strings **ret_strings);
void aq_strings_unref(struct aq_strings *s); /* NULL allowed */
/* The bytes of a string; NULL if it is missing. */
const void *aq_strings_at(const struct aq_strings *s, uint64_t id, uint32_t *ret_len);

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
	uint32_t present; /* arguments that have a stream: bits */
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
	uint64_t *duration;  /* 1 + ns, 0 unknown; NULL: no event of the chunk has one */
	void *arena;         /* everything above, but types' pointers into it */
	struct aq_strings *strings;  /* NULL without attributes */
	bool attrs_lost;             /* there were some, but they can't be read */
};
enum aq_decode_what { /* beside enum aq_chunk_column */
	AQ_DECODE_ATTRS = 1 << 8,
	AQ_DECODE_VALUES = 1 << 9,
	AQ_DECODE_COUNTS = 1 << 10, /* nothing but how many events each type has */
	AQ_DECODE_FLAGS = 1 << 11,  /* per event; with AQ_DECODE_VALUES anyway */
	AQ_DECODE_PICKS = 1 << 12,  /* ordinals, and the streams that are asked for one by one */
};
struct aq_decode_pick { /* one stream of one type */
	uint16_t id;
	uint8_t stream, sub; /* enum aq_stream; argument or attribute key */
};
struct aq_decode_wish {
	unsigned what;
	const struct aq_decode_pick *picks; /* with AQ_DECODE_PICKS */
	size_t pick_count;
	bool attr_picks; /* some of them are attributes; their strings are left to the caller */
};
/* -EBADMSG: damaged (noted in the capture); -ENOMEM. */
int aq_decode_chunk(struct aq_capture *c, uint32_t index, unsigned what, struct aq_decoded **ret_decoded, struct aq_err *err);
int aq_decode_wished(struct aq_capture *c, uint32_t index, const struct aq_decode_wish *wish, struct aq_decoded **ret_decoded,
		     struct aq_err *err);
void aq_decoded_free(struct aq_decoded *d);
/* Fills everything of event i; attribute data is borrowed from d. */
void aq_decoded_event(const struct aq_decoded *d, uint32_t i, bool with_attrs, struct aq_event *ret_event);

#endif
