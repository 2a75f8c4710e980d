/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a capture: a folder NAME.aquila/ or one segment file. Nothing in a file is trusted: sizes, counts, offsets and
 * ids are checked, memory is bounded, damage is found, named and stepped over. No privileges, no network.
 *
 * Threads: an open capture is immutable apart from its iterators and loaded chunks; each of those belongs to one
 * thread, several may be used at once.
 */
#ifndef AQ_FORMAT_SEGMENT_READER_H
#define AQ_FORMAT_SEGMENT_READER_H

#include "format/base/err.h"
#include "format/segment/event.h"

#pragma GCC visibility push(default) /* what libaquila may export */

struct aq_capture;
struct aq_keys;

struct aq_segment_info {
	const char *path;               /* borrowed from the capture */
	uint64_t number;                /* 1, 2, … */
	uint64_t bytes;
	bool finished;                  /* was ended: nothing is missing behind what is there */
	uint64_t min_ns, max_ns;        /* of its events; min > max: none */
	uint64_t events, chunks;
};

struct aq_capture_info {
	const char *path, *host, *kernel_release, *kernel_version, *machine, *boot_id, *recorder_version, *command;
	const char *features_json, *policy_json;
	const char *derived_json;       /* of which capture it was made, and how; "": it was recorded */
	uint8_t capture_id[16];
	uint32_t cpu_count, segment_count, chunk_count;
	uint64_t start_boot_ns, start_real_ns;
	uint64_t min_ns, max_ns;        /* of events from rings (not snapshot) */
	uint64_t end_ns;                /* the recording covers start_boot_ns … end_ns (close, or last proof of life) */
	uint64_t events, bytes;
	uint32_t time_resolution_ns;
	bool finished;                  /* none is missing, and each was ended, or the recorder that continued accounts for it */
	uint32_t added_segments;        /* with facts that were added after the recording */
	uint32_t recording_count;       /* 1, and one more each time that a recorder continued the capture */
	bool retention;                 /* old segments are removed on purpose */
	uint64_t removed_segments;      /* so many were */
	uint64_t kept_from_ns;          /* what is there begins here: all before was removed; 0: nothing was */
	bool pointers_kept;
	bool encrypted;                 /* some segment is */
	bool locked;                    /* and some segment was opened by no key: nothing but its header is known */
	uint32_t recipient_count;       /* of the first encrypted segment */
	const uint8_t (*recipients)[16]; /* fingerprints of their keys, as in key.h */
	uint64_t locked_blocks, locked_bytes; /* blocks of locked segments, and their payloads as stored */
	const struct aq_segment_info *segments;
};

/* A damaged place. One that can hide events or their texts is among the gaps too, with reason AQ_GAP_DAMAGE and the
 * time range it can hide. */
struct aq_damage {
	const char *file;               /* borrowed from the capture */
	uint64_t offset, bytes;
	char text[256];                 /* what is wrong: "chunk 17: checksum of stream …" */
};

/* Zone map of one chunk: what can't be in it need not be read. */
struct aq_chunk_info {
	uint32_t index, segment;        /* running number in the capture; index into info->segments */
	uint64_t offset, bytes;
	uint32_t events;
	uint64_t min_ns, max_ns;
	uint32_t min_pid, max_pid;
	uint64_t event_set[(AQ_EVENT_ID_MAX + 63) / 64]; /* bit per event id */
};

/* -ENOENT, -EACCES, -EBADMSG (no readable segment), … with a sentence. Damage inside is not an error: see damages. */
int aq_capture_open(const char *path, struct aq_capture **ret_capture, struct aq_err *err);
/*
 * The same with options. window, if there is one, is asked which times matter as soon as totals and clocks are known (the
 * capture it gets can do no more than that): segments that have neither events nor gaps then are not read any further, and
 * their chunks and gaps are not there. It is not asked when a segment is unfinished or damaged: then all are read.
 * -ENOKEY when it is encrypted and no key opens it. options NULL: none.
 */
struct aq_open_options {
	const struct aq_keys *keys;     /* secret sealing keys among them open encrypted segments; borrowed, NULL: none */
	bool allow_locked;              /* without a fitting key: open all the same, to show or verify what needs none */
	int (*window)(void *user, const struct aq_capture *c, uint64_t *ret_from_ns, uint64_t *ret_to_ns, struct aq_err *err);
	void *user;
	/* The same capture, opened earlier: chunks of its unfinished segments that are still there are not read again to
	 * know what is in them. Borrowed; NULL: none. See aq_capture_refresh. */
	const struct aq_capture *before;
};
int aq_capture_open_with(const char *path, const struct aq_open_options *options, struct aq_capture **ret_capture,
			 struct aq_err *err);
/*
 * Takes in what a recorder has appended and removed since *capture was opened, without reading again the chunks that are
 * known. Everything that came from *capture must have been freed; it is another one when this returns 0, and as it was, and
 * still open, when it fails. options as those that it was opened with.
 */
int aq_capture_refresh(struct aq_capture **capture, const struct aq_open_options *options, struct aq_err *err);
void aq_capture_close(struct aq_capture *c); /* NULL allowed */
/* What was asked of the files since the capture was opened, opening included. */
struct aq_capture_stats {
	uint64_t reads, read_bytes;
};
void aq_capture_stats(const struct aq_capture *c, struct aq_capture_stats *ret_stats);
const struct aq_capture_info *aq_capture_info(const struct aq_capture *c);
const struct aq_damage *aq_capture_damages(const struct aq_capture *c, size_t *ret_count);
/* All gaps of the ledger, in order of first_ns, those found by the reader included. Borrowed until close. Damage in a
 * chunk shows when the chunk is read: ask again after reading, not while another thread reads. */
const struct aq_gap *aq_capture_gaps(const struct aq_capture *c, size_t *ret_count);
/* The last ledger found; where a recorder continued the capture, the last of each recording, added up row by row. What
 * was in a killed one's memory is produced and nothing else, if its last ledger knew of it. Borrowed until close. */
const struct aq_ledger_row *aq_capture_ledger(const struct aq_capture *c, size_t *ret_count);
const struct aq_chunk_info *aq_capture_chunk(const struct aq_capture *c, uint32_t index);
/* Boot time to wall-clock by the nearest pair of clocks before it, and back. */
uint64_t aq_capture_real_ns(const struct aq_capture *c, uint64_t boot_ns);
uint64_t aq_capture_boot_ns(const struct aq_capture *c, uint64_t real_ns);

/* Which events an iterator gives. Zeroed: all, with everything. Borrowed during _new only. */
struct aq_iter_options {
	uint64_t from_ns, to_ns;        /* inclusive; to_ns 0: no end */
	const uint64_t *event_set;      /* bit per event id (as in aq_chunk_info); NULL: all */
	bool without_attrs;             /* attributes are not read; attr_count is 0 */
};
struct aq_event_iter;
int aq_event_iter_new(struct aq_capture *c, const struct aq_iter_options *options, struct aq_event_iter **ret_iter,
		      struct aq_err *err);
/* Canonical order (time, cpu, position). 1: *ret_event is filled (its data borrowed until the next call); 0: end;
 * negative: error of the machine (damage is skipped and appears in aq_capture_damages). */
int aq_event_iter_next(struct aq_event_iter *it, struct aq_event *ret_event, struct aq_err *err);
void aq_event_iter_free(struct aq_event_iter *it);

/*
 * Columns of one chunk, for scans. Only what is asked for is read and decoded. Arrays are indexed by position in the
 * chunk (grouped by thread, not by time), owned by the chunk.
 */
enum aq_chunk_column {
	AQ_COL_ID = 1 << 0, AQ_COL_TIME = 1 << 1, AQ_COL_THREAD = 1 << 2, AQ_COL_CPU = 1 << 3, AQ_COL_RET = 1 << 4,
	AQ_COL_DURATION = 1 << 5,
};
struct aq_chunk {
	uint32_t events;
	const uint16_t *id;
	const uint64_t *time_ns;
	const uint32_t *pid, *tid;
	const uint16_t *cpu;
	const int64_t *ret;
	const uint64_t *duration_ns; /* AQ_DURATION_UNKNOWN where it is not known */
};
#define AQ_DURATION_UNKNOWN UINT64_MAX
int aq_chunk_load(struct aq_capture *c, uint32_t index, unsigned columns, struct aq_chunk **ret_chunk,
		  struct aq_err *err);
void aq_chunk_free(struct aq_chunk *chunk);
/* Adds the events of a chunk to by_id[AQ_EVENT_ID_MAX]; faster than loading their ids. Errors as those of aq_chunk_load. */
int aq_chunk_count(struct aq_capture *c, uint32_t index, uint64_t *by_id, struct aq_err *err);

/* Checks everything: structure, checksums, decodes every event, counts by cpu and class against the ledger. Of locked
 * segments structure and checksums only. */
struct aq_verify_result {
	uint64_t events, chunks, damages;
	bool finished;
	bool locked;                    /* contents and ledger could not be checked: no key */
	/* produced == stored + lost + policy in every row, and stored as counted here. Of a recording that another one
	 * continued: at least so many produced, and at least those stored; the gap between the two has no count. */
	bool ledger_balances;
	uint64_t produced, stored, lost, policy, degraded;
	uint64_t unknown_gaps;          /* gaps of which nobody knows how much is missing */
	uint64_t removed;               /* of stored: in segments that are not there (any more) */
	char ledger_text[256];          /* the first row that does not balance */
};
int aq_capture_verify(struct aq_capture *c, struct aq_verify_result *ret_result,
		      void (*progress)(void *user, uint64_t done, uint64_t total), void *user, struct aq_err *err);

#pragma GCC visibility pop

#endif
