/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a capture: a folder NAME.aquila/ of append-only segments. Events go into columns of the open chunk; a full
 * chunk (or a flush) is grouped by thread, encoded, compressed and appended as whole blocks. FORMAT.md describes the
 * bytes.
 *
 * Threads: one writer is used by one thread at a time, and the folder by one writer (it is locked while that lives).
 * Files are created 0600, the folder 0700.
 * Errors: after a write error the writer is failed: every later call returns the same error, until _resume finds that
 * writing is possible again. What was whole on disk stays whole; events that were taken and will not be in the file are
 * told to on_lost (where even cutting a file off fails, it may hold more than that says). A capture that was not closed
 * says so (readers report an unfinished segment).
 */
#ifndef AQ_FORMAT_SEGMENT_WRITER_H
#define AQ_FORMAT_SEGMENT_WRITER_H

#include "format/base/err.h"
#include "format/segment/event.h"

#pragma GCC visibility push(default) /* what libaquila may export */

struct aq_capture_writer;
struct aq_signer; /* evidence.h */
struct aq_keys;
struct aq_writer_place; /* private to format/segment */

/* Facts about the recording that every segment's header carries. All strings borrowed during aq_capture_writer_new. */
struct aq_capture_meta {
	const char *host, *kernel_release, *kernel_version, *machine, *boot_id, *recorder_version;
	const char *command;           /* how the recorder was called, or "" */
	const char *features_json;     /* what the kernel offered and what was degraded, one JSON object */
	const char *policy_json;       /* filters, budgets, limits in force, one JSON object */
	const char *derived_json;      /* of which capture it was made, and how, one JSON object; NULL: recorded */
	uint8_t capture_id[16];        /* random, the same in all segments of a capture */
	uint32_t cpu_count;
	uint64_t start_boot_ns;        /* CLOCK_BOOTTIME and CLOCK_REALTIME taken together at the start */
	uint64_t start_real_ns;
	uint32_t clock_ticks;
	uint32_t page_size;
};

/* When what was written is on the disk. Whatever is chosen, nothing that is whole is ever written again. */
enum aq_sync {
	AQ_SYNC_SEGMENT = 0,           /* when a segment is closed */
	AQ_SYNC_NONE = 1,              /* when the kernel likes */
	AQ_SYNC_CHUNK = 2,             /* after each chunk and each ledger; and the names of new segments */
	AQ_SYNC_VITAL = 3,             /* as chunk; class 0 events have chunks of their own, see _commit */
};

struct aq_lost_event {
	uint64_t time_ns;
	uint16_t id, cpu;
	uint8_t cls, flags;            /* enum aq_event_flag */
};

struct aq_writer_options {
	uint32_t chunk_events;         /* 0: 65536 */
	uint32_t chunk_string_bytes;   /* a chunk is closed when its new strings exceed this; 0: 4 MiB */
	int zstd_level;                /* 0: 3 */
	uint64_t segment_bytes;        /* a new segment starts beyond this; 0: never */
	uint64_t segment_age_ns;       /* or beyond this age; 0: never */
	bool keep_pointers;            /* AQ_TYPE_PTR arguments are kept; default policy drops them (0 on reading) */
	const struct aq_keys *encrypt_to; /* NULL: not encrypted; else to its public sealing keys. Borrowed in _new */
	uint32_t time_resolution_ns;   /* 0 or 1: full; else a power of two: times are rounded down to it */
	struct aq_signer *signer;      /* signs each segment's end and what came since; borrowed until free; or NULL */
	uint64_t sign_interval_ns;     /* between signatures within a segment, made as blocks are written; 0: 10 s */
	bool unchecked;                /* for tests/bench only: no checksums of payloads, no chain: not readable */
	enum aq_sync sync;
	bool append;                   /* the folder may be there: its recording is continued */
	bool addition;                 /* with append, to a finished capture: facts only, which leave no gap before them */
	bool retention;                /* the owner removes old segments: headers say so, and it is no damage */
	/* Asked for each event while a new segment is due, by its size or by its age; false puts it off. The owner may
	 * hand in the present totals here. NULL: always. */
	bool (*may_rotate)(void *user, uint64_t event_time_ns, bool by_size);
	/* Called after a new segment was opened, before any further event: the owner writes a state checkpoint with
	 * aq_capture_writer_add. May be NULL. Not called for the first segment. */
	int (*on_segment)(void *user, struct aq_capture_writer *w, struct aq_err *err);
	/* Called for each event from a ring that _add took and that could not be written. May be NULL. */
	void (*on_lost)(void *user, const struct aq_lost_event *ev);
	void *user;
	const struct aq_writer_place *place; /* of a segment that is written again in its place; NULL */
};

/*
 * Creates the folder `path` and the first segment. Where the folder is there: -EEXIST, or with `append` the capture in
 * it is continued: its files stay as they are, the next number is begun with the same capture id, and the ledger gets a
 * gap (recorder down, count unknown) from the end of what is known to meta's start. Refused: -EBUSY (a writer lives),
 * -EXDEV (another host, or another boot of this one, whose times can't be compared), -EINVAL (other resolution or
 * pointer policy), -EBADMSG (no capture). -EINVAL too: encrypt_to has no usable key.
 */
int aq_capture_writer_new(const char *path, const struct aq_capture_meta *meta, const struct aq_writer_options *options,
			  struct aq_capture_writer **ret_writer, struct aq_err *err);
/* Copies the event. Events may come out of order by a little; chunks sort their own. */
int aq_capture_writer_add(struct aq_capture_writer *w, const struct aq_event *ev, struct aq_err *err);
/* Appends gaps (copied) to the ledger; written with the next flush or chunk. Policy goes here too. */
int aq_capture_writer_add_gap(struct aq_capture_writer *w, const struct aq_gap *gap, struct aq_err *err);
/* Ends the segment and begins another one, whose age counts from time_ns; _add does so itself at its limits. */
int aq_capture_writer_rotate(struct aq_capture_writer *w, uint64_t time_ns, struct aq_err *err);
/* The present totals, all rows; the last one before a close is the final ledger. Also pairs the clocks. */
int aq_capture_writer_set_ledger(struct aq_capture_writer *w, const struct aq_ledger_row *rows, size_t count,
				 uint64_t boot_ns, uint64_t real_ns, struct aq_err *err);
/* Ends the open chunks and hands everything to the kernel; it is on the disk as options.sync says. */
int aq_capture_writer_flush(struct aq_capture_writer *w, struct aq_err *err);
/* With AQ_SYNC_VITAL: class 0 events taken so far are on the disk when this returns. Else nothing happens. */
int aq_capture_writer_commit(struct aq_capture_writer *w, struct aq_err *err);
/*
 * After a write error: tries to end the segment that failed, if it has any chunk, and to begin another one. 0: writing
 * works again (and did before, if nothing had failed), on_segment was not called. Gaps and ledger that wait are kept.
 */
int aq_capture_writer_resume(struct aq_capture_writer *w, struct aq_err *err);
/* Flushes, writes the final ledger and the footer, marks the segment finished. The writer can only be freed then. */
int aq_capture_writer_close(struct aq_capture_writer *w, struct aq_err *err);
void aq_capture_writer_free(struct aq_capture_writer *w); /* NULL allowed; without close the segment stays unfinished */

struct aq_writer_stats {
	uint64_t events, chunks, segments, bytes_written;
	uint64_t signatures, signatures_failed; /* one that could not be made is tried again after the interval */
	char signature_failure[AQ_ERR_TEXT_BYTES]; /* why the last of these failed */
	uint32_t recording;            /* 0: the capture's first; else it was continued so many times */
	uint64_t stored[4096][AQ_CLASS_COUNT]; /* by cpu (below 4096) and class: counted as chunks are written */
};
/* Borrowed until the next call on w. Syscall and lifecycle events from rings count in stored; snap_*, fact and mark
 * events (made by the recorder itself) do not. */
const struct aq_writer_stats *aq_capture_writer_stats(const struct aq_capture_writer *w);

#pragma GCC visibility pop

#endif
