/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running recorder: a drain thread and an encoding thread between a source and a capture writer. The encoding
 * thread first takes the snapshot, while the rings and the spool gather what happens meanwhile, then orders, decodes
 * and writes, and keeps the ledger. Snapshots of further segments are read by a third thread, for which nobody waits.
 *
 * When the capture can't be written, the recording goes on: what can't be written is accounted for, and a new segment is
 * tried from time to time. With `vital`, class 0 takes a short way: it does not wait for order, has chunks of its own,
 * and is on the disk a few milliseconds after it happened.
 *
 * Threads: start, finish and free belong to the thread that made it; progress may be read by any.
 */
#ifndef AQ_RECORDER_PIPELINE_H
#define AQ_RECORDER_PIPELINE_H

#include <stdio.h>

#include "format/segment/writer.h"
#include "recorder/checkpoint.h"
#include "recorder/enrich/fact_queue.h"
#include "recorder/ledger.h"
#include "recorder/source.h"

struct aq_pipeline;

struct aq_pipeline_options {
	const uint8_t *class_of_event;  /* AQ_WIRE_EVENTS entries, borrowed until free */
	uint32_t first_seq;             /* number of the first record of each ring, beyond the ring's tail */
	uint64_t start_ns;              /* when the source began */
	size_t spool_bytes;             /* 0: 256 MiB */
	uint32_t sleep_min_us, sleep_max_us; /* 0: 500 and 8000 */
	uint64_t flush_ns;              /* an open chunk older than this is written out; 0: only full ones */
	uint64_t report_ns;             /* ledger and gaps at least this often, and every flush_ns; 0: one second */
	int priority;                   /* of the drain thread: 0 nice -20, 1-99 SCHED_RR, negative: leave as it is */
	aq_snapshot_function *snapshot; /* NULL: none */
	void *snapshot_user;
	void (*on_drain_thread)(void);  /* called on that thread before it begins: privileges; or NULL */
	void (*on_encode_thread)(void);
	int failed_fd;                  /* an eventfd that is written to when aq_pipeline_state changes; -1 none */
	FILE *dump;                     /* what the drain takes is written there too; NULL. Borrowed until finish */
	struct aq_fact_queue *facts;    /* written as they come, and what is left at the end; NULL. Borrowed until free */
	size_t fact_keep_bytes;         /* for facts that later segments repeat; 0: 16 MiB */
	bool vital;                     /* the writer has AQ_SYNC_VITAL */
	uint64_t retry_ns;              /* after a write error, at first; later ones wait longer; 0: one second */
};

enum aq_pipeline_condition {
	AQ_PIPELINE_RUNS,
	AQ_PIPELINE_OUTAGE,             /* nothing can be written at present; it is tried again */
	AQ_PIPELINE_FAILED,             /* it can't go on: finish it */
};

enum { AQ_LATENCY_STEPS = 2000 };

/* How long class 0 took from happening to being on the disk (with `vital`): counts by 0.1 ms, the last for all beyond. */
struct aq_pipeline_latency {
	uint64_t count, commits, max_ns;
	uint32_t steps[AQ_LATENCY_STEPS];
};

struct aq_pipeline_progress {
	uint64_t events, snapshot_events, bytes;
	bool snapshot_done;
	uint64_t lost[AQ_CLASS_COUNT];
	size_t spool_used, spool_size;
};

struct aq_pipeline_result {
	struct aq_ledger_summary ledger;
	uint64_t events, snapshot_events, bytes, chunks, segments, orphans, damaged;
	uint64_t drain_cpu_ns, encode_cpu_ns, gaps;
	uint32_t outages;               /* times that writing failed */
	uint64_t facts, facts_refused;  /* written (repeats not counted); that found no room on their way */
	uint64_t facts_not_kept;        /* written, but not repeated in later segments */
};

/* Both are borrowed until free; the writer is the encoding thread's until finish has returned. */
int aq_pipeline_new(struct aq_source *src, struct aq_capture_writer *writer, const struct aq_pipeline_options *options,
		    struct aq_pipeline **ret_pipeline);
int aq_pipeline_start(struct aq_pipeline *p, struct aq_err *err);
/*
 * Stops the source, drains what is left, writes the final ledger and closes the capture. Returns the first error there
 * was; *ret_result is filled in any case.
 */
int aq_pipeline_finish(struct aq_pipeline *p, struct aq_pipeline_result *ret_result, struct aq_err *err);
void aq_pipeline_free(struct aq_pipeline *p); /* after finish, or if never started; NULL allowed */

/*
 * For aq_writer_options.on_segment and .may_rotate; encoding thread. A new segment gets a checkpoint of the state, read by
 * a thread of its own while events go on; there is no other segment until that is whole, nor, by size, until there are
 * as many bytes of events as of state.
 */
int aq_pipeline_checkpoint(struct aq_pipeline *p, struct aq_err *err);
bool aq_pipeline_may_rotate(struct aq_pipeline *p, uint64_t event_time_ns, bool by_size);

/* For aq_writer_options.on_lost. Encoding thread. */
void aq_pipeline_lost(struct aq_pipeline *p, const struct aq_lost_event *ev);

struct aq_pipeline_progress aq_pipeline_progress(struct aq_pipeline *p);
/* How it is, and with OUTAGE or FAILED the sentence why. Any thread. */
enum aq_pipeline_condition aq_pipeline_state(struct aq_pipeline *p, struct aq_err *ret_why);
/* After finish; borrowed until free. */
const struct aq_pipeline_latency *aq_pipeline_latency(const struct aq_pipeline *p);
/* The time within which `percent` of them were on the disk. */
uint64_t aq_pipeline_latency_ns(const struct aq_pipeline_latency *l, double percent);

#endif
