/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and their ends. The drain thread never waits; the encoding thread waits for the spool only. After a write
 * error the encoding thread goes on emptying the spool, so that the account stays exact, and writes nothing more.
 */
#include "recorder/pipeline.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "recorder/decode.h"
#include "recorder/order.h"

enum { STORED_CPUS = 4096, SETTLE_TRIES = 400, SETTLE_STEP_US = 5000 };

struct aq_pipeline {
	struct aq_source *src;
	struct aq_capture_writer *writer;
	struct aq_pipeline_options options;
	struct aq_spool *spool;
	struct aq_drain *drain;
	struct aq_order *order;
	struct aq_ledger *ledger;
	struct aq_ledger_row *rows;
	struct aq_decode_scratch *scratch;
	pthread_t drain_thread, encode_thread;
	bool started;

	/* the encoding thread's until it is joined */
	struct aq_event event;
	struct aq_err err;
	int error;
	bool in_checkpoint;
	uint64_t gap_count, flushed_ns, reported_ns, encode_cpu_ns;

	aq_u64 snapshot_done, events, snapshot_events, bytes, lost[AQ_CLASS_COUNT]; /* shared, for the progress */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	return clock_gettime(id, &t) < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void bump(aq_u64 *counter, uint64_t n)
{
	__atomic_store_n(counter, aq_shared_peek(counter) + n, __ATOMIC_RELAXED);
}

int aq_pipeline_new(struct aq_source *src, struct aq_capture_writer *writer, const struct aq_pipeline_options *options,
		    struct aq_pipeline **ret_pipeline)
{
	struct aq_pipeline *p = calloc(1, sizeof(*p));
	struct aq_drain_options drain = { .slack_ns = 200 * 1000 };
	int r = -ENOMEM;

	if (p == NULL)
		return -ENOMEM;
	p->src = src;
	p->writer = writer;
	p->options = *options;
	if (p->options.spool_bytes == 0)
		p->options.spool_bytes = (size_t)256 << 20;
	if (p->options.report_ns == 0)
		p->options.report_ns = 1000000000u;
	drain.sleep_min_us = options->sleep_min_us != 0 ? options->sleep_min_us : 500;
	drain.sleep_max_us = options->sleep_max_us != 0 ? options->sleep_max_us : 4000;
	p->rows = calloc(aq_rings_count(&src->rings), sizeof(*p->rows));
	p->scratch = malloc(sizeof(*p->scratch));
	if (p->rows == NULL || p->scratch == NULL)
		goto fail;
	r = aq_spool_new(p->options.spool_bytes, &p->spool);
	if (r == 0)
		r = aq_drain_new(src, p->spool, &drain, &p->drain);
	if (r == 0)
		r = aq_order_new(aq_rings_count(&src->rings), p->spool, &p->order);
	if (r == 0)
		r = aq_ledger_new(src, p->drain, options->class_of_event, options->start_ns, &p->ledger);
	if (r < 0)
		goto fail;
	for (uint32_t i = 0; i < aq_rings_count(&src->rings); i++)
		aq_order_expect(p->order, i, (uint32_t)aq_shared_load(&src->rings.ring[i].ctl->tail) + options->first_seq);
	*ret_pipeline = p;
	return 0;
fail:
	aq_pipeline_free(p);
	return r;
}

void aq_pipeline_free(struct aq_pipeline *p)
{
	if (p == NULL)
		return;
	aq_ledger_free(p->ledger);
	aq_order_free(p->order);
	aq_drain_free(p->drain);
	aq_spool_free(p->spool);
	free(p->scratch);
	free(p->rows);
	free(p);
}

/* The first error is kept; the owner is told that it is time to stop. */
static void fail(struct aq_pipeline *p, int error, const struct aq_err *err)
{
	if (p->error != 0)
		return;
	p->error = error;
	p->err = *err;
	if (p->options.failed_fd >= 0)
		(void)eventfd_write(p->options.failed_fd, 1);
}

static int emit_snapshot_event(void *user, const struct aq_event *ev, struct aq_err *err)
{
	struct aq_pipeline *p = user;
	int r = aq_capture_writer_add(p->writer, ev, err);

	if (r == 0)
		bump(&p->snapshot_events, 1);
	return r;
}

int aq_pipeline_checkpoint(struct aq_pipeline *p, struct aq_err *err)
{
	int r;

	if (p->options.snapshot == NULL || p->in_checkpoint) /* a segment smaller than the state: no state in the state */
		return 0;
	p->in_checkpoint = true;
	r = p->options.snapshot(p->options.snapshot_user, emit_snapshot_event, p, err);
	p->in_checkpoint = false;
	return r;
}

static int take_record(void *user, uint32_t ring, const struct aq_wire_fixed *fixed,
		       const struct aq_wire_attr_record *attr, uint32_t attr_bytes)
{
	struct aq_pipeline *p = user;
	struct aq_err err = { 0 };
	int r;

	if (p->error == 0) {
		aq_decode(fixed, attr, attr_bytes, ring / AQ_WIRE_CLASSES, ring % AQ_WIRE_CLASSES, p->scratch, &p->event);
		r = aq_capture_writer_add(p->writer, &p->event, &err);
		if (r == 0) {
			aq_ledger_stored(p->ledger, ring, &p->event);
			bump(&p->events, 1);
			return 0;
		}
		fail(p, r, &err);
	}
	aq_ledger_unwritten(p->ledger, ring);
	return 0;
}

static void take_jump(void *user, uint32_t ring, uint64_t before_ns, uint64_t after_ns, uint64_t missing)
{
	struct aq_pipeline *p = user;

	aq_ledger_jump(p->ledger, ring, before_ns, after_ns, missing);
}

static int give_gap(void *user, const struct aq_gap *gap)
{
	struct aq_pipeline *p = user;
	struct aq_err err = { 0 };
	int r;

	if (gap->cls < AQ_CLASS_COUNT && (gap->reason == AQ_GAP_RING_FULL || gap->reason == AQ_GAP_SPOOL_SHED))
		bump(&p->lost[gap->cls], gap->count);
	if (p->error != 0)
		return 0;
	r = aq_capture_writer_add_gap(p->writer, gap, &err);
	if (r < 0)
		fail(p, r, &err);
	else
		p->gap_count++;
	return 0;
}

static void set_rows(struct aq_pipeline *p)
{
	const struct aq_writer_stats *stats = aq_capture_writer_stats(p->writer);

	aq_ledger_rows(p->ledger, stats->stored, STORED_CPUS, p->error != 0, p->rows);
	__atomic_store_n(&p->bytes, stats->bytes_written, __ATOMIC_RELAXED);
}

static void flush(struct aq_pipeline *p)
{
	struct aq_err err = { 0 };
	int r = p->error != 0 ? 0 : aq_capture_writer_flush(p->writer, &err);

	if (r < 0)
		fail(p, r, &err);
}

/*
 * Gaps, then the open chunk if it is old, then the totals, which say what is stored and therefore come after it, and
 * are written out at once: a reader of what a killed recorder left finds them.
 */
static void report(struct aq_pipeline *p, bool final)
{
	uint64_t now_ns = clock_ns(CLOCK_BOOTTIME);
	bool due = p->options.flush_ns != 0 && now_ns - p->flushed_ns >= p->options.flush_ns;
	struct aq_err err = { 0 };
	int r = 0;

	aq_ledger_report(p->ledger, final, give_gap, p);
	if (final || due)
		flush(p);
	set_rows(p);
	if (p->error == 0)
		r = aq_capture_writer_set_ledger(p->writer, p->rows, aq_rings_count(&p->src->rings), now_ns,
						 clock_ns(CLOCK_REALTIME), &err);
	if (r < 0)
		fail(p, r, &err);
	if (due && !final) {
		flush(p);
		p->flushed_ns = now_ns;
	}
	p->reported_ns = now_ns;
}

static void *encode_main(void *arg)
{
	struct aq_pipeline *p = arg;
	const struct aq_order_sink sink = { .record = take_record, .jump = take_jump, .user = p };
	struct aq_spool_taken taken = { 0 };
	struct aq_err err = { 0 };
	int r;

	if (p->options.on_encode_thread != NULL)
		p->options.on_encode_thread();
	r = aq_pipeline_checkpoint(p, &err);
	if (r < 0) {
		aq_err_prefix(&err, "snapshot: ");
		fail(p, r, &err);
	}
	aq_shared_store(&p->snapshot_done, 1);
	p->flushed_ns = p->reported_ns = clock_ns(CLOCK_BOOTTIME);
	while (!taken.finished) {
		taken = aq_spool_take(p->spool, 100 * 1000000u);
		aq_order_add(p->order, taken.slabs);
		aq_order_run(p->order, taken.finished ? UINT64_MAX : taken.watermark_ns, &sink);
		if (clock_ns(CLOCK_BOOTTIME) - p->reported_ns >= p->options.report_ns)
			report(p, false);
	}
	report(p, true);
	p->encode_cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

static void raise_priority(int priority)
{
	struct sched_param param = { .sched_priority = priority };

	/* all of this is a wish: without the right the drain thread runs as it is */
	if (priority > 0 && pthread_setschedparam(pthread_self(), SCHED_RR, &param) == 0)
		return;
	if (priority >= 0)
		(void)setpriority(PRIO_PROCESS, (id_t)gettid(), -20);
}

static void *drain_main(void *arg)
{
	struct aq_pipeline *p = arg;

	raise_priority(p->options.priority);
	if (p->options.on_drain_thread != NULL)
		p->options.on_drain_thread();
	aq_drain_run(p->drain);
	return NULL;
}

int aq_pipeline_start(struct aq_pipeline *p, struct aq_err *err)
{
	int r = pthread_create(&p->drain_thread, NULL, drain_main, p);

	if (r != 0)
		return aq_err_set(err, -r, "can't start a thread: %s", strerror(r));
	r = pthread_create(&p->encode_thread, NULL, encode_main, p);
	if (r != 0) {
		aq_drain_request_stop(p->drain);
		pthread_join(p->drain_thread, NULL);
		return aq_err_set(err, -r, "can't start a thread: %s", strerror(r));
	}
	p->started = true;
	return 0;
}

/* Programs that were running when they were detached still end: a few milliseconds at most. */
static void wait_settled(struct aq_pipeline *p)
{
	struct timespec step = { .tv_nsec = SETTLE_STEP_US * 1000 };

	for (int i = 0; i < SETTLE_TRIES && !aq_rings_settled(&p->src->rings); i++)
		nanosleep(&step, NULL);
}

int aq_pipeline_finish(struct aq_pipeline *p, struct aq_pipeline_result *ret_result, struct aq_err *err)
{
	const struct aq_writer_stats *stats;
	struct aq_drain_stats drain;
	struct aq_err stop_err = { 0 }, close_err = { 0 };
	int r = p->src->ops->stop(p->src, &stop_err);

	wait_settled(p);
	aq_drain_request_stop(p->drain);
	if (p->started) {
		pthread_join(p->drain_thread, NULL);
		pthread_join(p->encode_thread, NULL);
	}
	if (r < 0)
		fail(p, r, &stop_err);
	if (p->error == 0) {
		r = aq_capture_writer_close(p->writer, &close_err);
		if (r < 0)
			fail(p, r, &close_err);
	}
	set_rows(p);
	stats = aq_capture_writer_stats(p->writer);
	drain = aq_drain_stats(p->drain);
	*ret_result = (struct aq_pipeline_result){
		.events = aq_shared_peek(&p->events),
		.snapshot_events = aq_shared_peek(&p->snapshot_events),
		.bytes = stats->bytes_written,
		.chunks = stats->chunks,
		.segments = stats->segments,
		.orphans = aq_order_orphans(p->order),
		.damaged = drain.damaged,
		.drain_cpu_ns = drain.cpu_ns,
		.encode_cpu_ns = p->encode_cpu_ns,
		.gaps = p->gap_count,
	};
	aq_ledger_sum(p->ledger, p->rows, &ret_result->ledger);
	if (p->error < 0 && err != NULL)
		*err = p->err;
	return p->error;
}

struct aq_pipeline_progress aq_pipeline_progress(struct aq_pipeline *p)
{
	struct aq_pipeline_progress now = {
		.events = aq_shared_peek(&p->events),
		.snapshot_events = aq_shared_peek(&p->snapshot_events),
		.bytes = aq_shared_peek(&p->bytes),
		.snapshot_done = aq_shared_load(&p->snapshot_done) != 0,
		.spool_used = aq_spool_used_bytes(p->spool),
		.spool_size = aq_spool_size_bytes(p->spool),
	};

	for (unsigned i = 0; i < AQ_CLASS_COUNT; i++)
		now.lost[i] = aq_shared_peek(&p->lost[i]);
	return now;
}
