/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the host for a new segment, read by a thread of its own while the recording goes on: what it finds waits
 * in a small queue until the encoding thread takes it. Order does not matter, as each event has its time.
 *
 * Threads: all functions belong to one thread, the encoding thread; the snapshot function runs on another.
 */
#ifndef AQ_RECORDER_CHECKPOINT_H
#define AQ_RECORDER_CHECKPOINT_H

#include "format/base/err.h"
#include "format/segment/event.h"

typedef int aq_emit_function(void *user, const struct aq_event *ev, struct aq_err *err);
/* Emits the state of the host as events; 0 or -errno. Stops when emit fails. */
typedef int aq_snapshot_function(void *user, aq_emit_function *emit, void *emit_user, struct aq_err *err);

struct aq_checkpoint;

/* queue_bytes: what may wait; the snapshot waits when it is full. 0: 4 MiB. */
int aq_checkpoint_new(aq_snapshot_function *snapshot, void *user, size_t queue_bytes, struct aq_checkpoint **ret_checkpoint);
void aq_checkpoint_free(struct aq_checkpoint *c); /* stops one that runs; NULL allowed */
/* -EBUSY: one runs, or was not taken whole. -EAGAIN: there is no thread to be had. */
int aq_checkpoint_start(struct aq_checkpoint *c);
/*
 * Gives what there is to emit; with wait, all until its end. 1: more will come; 0: that was all, or none runs; else the
 * first error, of emit or of the snapshot: nothing more comes then.
 */
int aq_checkpoint_take(struct aq_checkpoint *c, bool wait, aq_emit_function *emit, void *emit_user, struct aq_err *err);
bool aq_checkpoint_runs(const struct aq_checkpoint *c);

#endif
