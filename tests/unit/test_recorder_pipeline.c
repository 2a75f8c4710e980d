/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_schema aq_base */
/*
 * The whole recorder between a synthetic source with real producer threads and a writer made here, which counts, is
 * slow, or fails. The ledger must balance exactly in every case, and its gaps must name what is missing.
 */
#include "recorder/pipeline.h"
#include "recorder/source_synthetic.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/aq_test.h"

enum { CPUS = 2, EV_VITAL = 60, EV_IMPORTANT = 43, EV_ORDINARY = 4, EV_BULK = 1 };

struct aq_capture_writer {
	struct aq_writer_stats stats;
	uint64_t snapshots, last_ns, out_of_order, attrs;
	uint64_t gap_count[16], gaps_by_event[16], gap_backwards;
	uint64_t fail_at;       /* the event with which the disk is full; 0: never */
	unsigned slow_us;       /* for each 1000 events */
	uint64_t room_after;    /* resumes that fail before one succeeds */
	uint64_t resumes, vital_waiting, commits;
	bool closed, failed;
	struct aq_ledger_row rows[CPUS * AQ_CLASS_COUNT];
};

int aq_capture_writer_add(struct aq_capture_writer *w, const struct aq_event *ev, struct aq_err *err)
{
	if (ev->id >= AQ_EV_snap_begin) {
		w->snapshots++;
		return 0;
	}
	if (w->failed || (w->fail_at != 0 && w->stats.events + 1 == w->fail_at)) {
		w->failed = true;
		return aq_err_set(err, -ENOSPC, "'x': no space left on device");
	}
	w->vital_waiting += ev->cls == AQ_CLASS_VITAL;
	w->stats.events++;
	w->stats.stored[ev->cpu][ev->cls]++;
	w->attrs += ev->attr_count;
	if (ev->time_ns < w->last_ns)
		w->out_of_order++;
	w->last_ns = ev->time_ns;
	if (w->slow_us != 0 && w->stats.events % 1000 == 0)
		usleep(w->slow_us);
	return 0;
}

int aq_capture_writer_add_gap(struct aq_capture_writer *w, const struct aq_gap *gap, struct aq_err *err)
{
	(void)err;
	w->gap_count[gap->reason] += gap->count;
	for (uint32_t i = 0; i < gap->by_event_count; i++)
		w->gaps_by_event[gap->reason] += gap->by_event[i].count;
	if (gap->first_ns > gap->last_ns)
		w->gap_backwards++;
	return 0;
}

int aq_capture_writer_set_ledger(struct aq_capture_writer *w, const struct aq_ledger_row *rows, size_t count,
				 uint64_t boot_ns, uint64_t real_ns, struct aq_err *err)
{
	(void)boot_ns;
	(void)real_ns;
	(void)err;
	AQ_CHECK_EQ_U64(count, CPUS * AQ_CLASS_COUNT);
	memcpy(w->rows, rows, sizeof(w->rows));
	return 0;
}

int aq_capture_writer_flush(struct aq_capture_writer *w, struct aq_err *err)
{
	return w->failed ? aq_err_set(err, -ENOSPC, "'x': no space left on device") : 0;
}

int aq_capture_writer_commit(struct aq_capture_writer *w, struct aq_err *err)
{
	(void)err;
	AQ_CHECK(w->vital_waiting > 0);
	w->vital_waiting = 0;
	w->commits++;
	return 0;
}

int aq_capture_writer_resume(struct aq_capture_writer *w, struct aq_err *err)
{
	if (__atomic_add_fetch(&w->resumes, 1, __ATOMIC_RELEASE) <= w->room_after)
		return aq_err_set(err, -ENOSPC, "'x': no space left on device");
	w->failed = false;
	w->fail_at = 0;
	return 0;
}

int aq_capture_writer_close(struct aq_capture_writer *w, struct aq_err *err)
{
	(void)err;
	w->closed = true;
	return 0;
}

const struct aq_writer_stats *aq_capture_writer_stats(const struct aq_capture_writer *w)
{
	return &w->stats;
}

struct producer {
	struct aq_source *src;
	uint32_t cpu;
	uint64_t events, pause_every, stored, left_out;
	bool attrs;
	const uint64_t *resumes; /* of the writer; NULL: not waited for */
	uint64_t resumes_wanted;
};

static _Atomic uint64_t test_clock = 1000;
static uint64_t clock_step = 1; /* per event: beyond the drain's slack, they are worked off as they come */

/* One CPU: mostly bulk, each event at a time of its own. */
static void *produce(void *arg)
{
	static const struct { uint8_t cls; uint16_t event; } kinds[] = {
		{ 3, EV_BULK }, { 2, EV_ORDINARY }, { 3, EV_BULK }, { 1, EV_IMPORTANT }, { 3, EV_BULK }, { 0, EV_VITAL },
	};
	struct producer *p = arg;
	const struct aq_synthetic_attr attr = { .key = AQ_ATTR_PATH, .len = 9, .data = "/etc/what" };

	for (uint64_t i = 0; i < p->events; i++) {
		unsigned k = i % (sizeof(kinds) / sizeof(kinds[0]));
		uint64_t now = atomic_fetch_add(&test_clock, clock_step);
		struct aq_synthetic_event e = {
			.cpu = p->cpu,
			.cls = kinds[k].cls,
			.fixed = { .time_ns = now, .event = kinds[k].event, .pid = 1, .tid = 1 },
			.attrs = &attr,
			.attr_count = p->attrs && kinds[k].cls < 2,
		};

		if (i % 50 == 49) {
			aq_synthetic_leave_out(p->src, p->cpu, 3, EV_BULK);
			p->left_out++;
		}
		p->stored += aq_synthetic_produce(p->src, &e);
		if (i % 64 == 0)
			aq_synthetic_set_now(p->src, now);
		if (p->resumes != NULL && i == p->events * 9 / 10) /* a slow machine must not end before it was tried again */
			for (unsigned t = 0; t < 10000 && __atomic_load_n(p->resumes, __ATOMIC_ACQUIRE) < p->resumes_wanted; t++)
				usleep(1000);
		if (p->pause_every != 0 && i % p->pause_every == 0)
			usleep(100);
	}
	return NULL;
}

static uint8_t classes[AQ_WIRE_EVENTS];

static int snapshot(void *user, int (*emit)(void *user, const struct aq_event *ev, struct aq_err *err), void *emit_user,
		    struct aq_err *err)
{
	struct aq_event ev = { .id = AQ_EV_snap_begin };

	(void)user;
	usleep(20000); /* what happens meanwhile is kept */
	return emit(emit_user, &ev, err);
}

struct run {
	struct aq_capture_writer *writer;
	struct aq_pipeline_result result;
	uint64_t stored, left_out, total;
	bool vital;
	struct aq_pipeline_latency latency;
	int status;
	struct aq_err err;
};

static void record(struct run *run, uint64_t events, uint64_t pause_every, uint32_t parts, size_t spool, bool attrs)
{
	struct aq_synthetic_options so = { .cpu_count = CPUS, .fixed_parts = parts, .attr_parts = parts,
					   .first_position = (1ull << 32) - 4096 };
	struct aq_pipeline_options po = { .class_of_event = classes, .start_ns = 1, .spool_bytes = spool, .priority = -1,
					  .report_ns = 5000000, .flush_ns = 5000000, .snapshot = snapshot,
					  .failed_fd = -1, .vital = run->vital, .retry_ns = 1000000 };
	struct producer producers[CPUS];
	pthread_t threads[CPUS];
	struct aq_source *src;
	struct aq_pipeline *p;

	memset(classes, AQ_CLASS_ORDINARY, sizeof(classes));
	classes[EV_VITAL] = 0;
	classes[EV_IMPORTANT] = 1;
	classes[EV_BULK] = 3;
	AQ_REQUIRE(aq_synthetic_new(&so, &src) == 0);
	aq_synthetic_set_now(src, 1000);
	AQ_REQUIRE(aq_pipeline_new(src, run->writer, &po, &p) == 0);
	AQ_REQUIRE(aq_pipeline_start(p, NULL) == 0);
	for (uint32_t i = 0; i < CPUS; i++) {
		producers[i] = (struct producer){ .src = src, .cpu = i, .events = events, .pause_every = pause_every,
						  .attrs = attrs };
		if (run->writer->room_after > 0 && run->writer->room_after != UINT64_MAX) {
			producers[i].resumes = &run->writer->resumes;
			producers[i].resumes_wanted = run->writer->room_after + 1;
		}
		AQ_REQUIRE(pthread_create(&threads[i], NULL, produce, &producers[i]) == 0);
	}
	for (uint32_t i = 0; i < CPUS; i++) {
		pthread_join(threads[i], NULL);
		run->stored += producers[i].stored;
		run->left_out += producers[i].left_out;
		run->total += events;
	}
	(void)aq_pipeline_progress(p);
	aq_synthetic_set_skipped(src, 7);
	aq_synthetic_set_now(src, atomic_load(&test_clock));
	run->status = aq_pipeline_finish(p, &run->result, &run->err);
	run->latency = *aq_pipeline_latency(p);
	aq_pipeline_free(p);
	aq_source_free(src);
}

static struct run *run_new(void)
{
	struct run *run = calloc(1, sizeof(*run));

	AQ_REQUIRE(run != NULL);
	run->writer = calloc(1, sizeof(*run->writer));
	AQ_REQUIRE(run->writer != NULL);
	return run;
}

static void run_free(struct run *run)
{
	free(run->writer);
	free(run);
}

/* What holds in every case. */
static void check_balance(const struct run *run)
{
	uint64_t produced = 0, stored = 0, lost = 0, policy = 0;

	for (unsigned i = 0; i < AQ_CLASS_COUNT; i++) {
		const struct aq_ledger_total *t = &run->result.ledger.cls[i];

		AQ_CHECK_EQ_U64(t->produced, t->stored + t->lost + t->policy);
		produced += t->produced;
		stored += t->stored;
		lost += t->lost;
		policy += t->policy;
	}
	AQ_CHECK(run->result.ledger.balances);
	AQ_CHECK_EQ_STR(run->result.ledger.text, "");
	AQ_CHECK_EQ_U64(produced, run->total + run->left_out);
	AQ_CHECK_EQ_U64(policy, run->left_out);
	AQ_CHECK_EQ_U64(stored, run->writer->stats.events);
	AQ_CHECK_EQ_U64(lost, run->total - stored);
}

static void check_gaps(const struct run *run)
{
	const struct aq_capture_writer *w = run->writer;

	AQ_CHECK_EQ_U64(w->gap_count[AQ_GAP_RING_FULL], run->total - run->stored);
	AQ_CHECK_EQ_U64(w->gaps_by_event[AQ_GAP_RING_FULL], run->total - run->stored);
	AQ_CHECK_EQ_U64(w->gap_count[AQ_GAP_SPOOL_SHED], run->result.ledger.shed);
	AQ_CHECK_EQ_U64(w->gaps_by_event[AQ_GAP_SPOOL_SHED], run->result.ledger.shed);
	AQ_CHECK_EQ_U64(w->gap_count[AQ_GAP_FILTER], run->left_out);
	AQ_CHECK_EQ_U64(w->gap_count[AQ_GAP_KERNEL_SKIPPED], 7);
	AQ_CHECK_EQ_U64(run->result.ledger.skipped, 7);
	AQ_CHECK_EQ_U64(w->gap_backwards, 0);
	for (unsigned i = 0; i < CPUS * AQ_CLASS_COUNT; i++)
		AQ_CHECK_EQ_U64(w->rows[i].produced, w->rows[i].stored + w->rows[i].lost + w->rows[i].policy);
}

AQ_TEST(all_of_a_calm_stream_is_stored)
{
	struct run *run = run_new();

	record(run, 60000, 1000, 16, 64u << 20, true);
	AQ_CHECK_EQ_INT(run->status, 0);
	check_balance(run);
	check_gaps(run);
	AQ_CHECK_EQ_U64(run->stored, run->total);
	AQ_CHECK_EQ_U64(run->writer->stats.events, run->total);
	AQ_CHECK_EQ_U64(run->writer->attrs, run->total / 3);
	AQ_CHECK_EQ_U64(run->writer->snapshots, 1);
	AQ_CHECK(run->writer->closed);
	run_free(run);
}

AQ_TEST(a_flood_is_lost_to_the_last_event)
{
	struct run *run = run_new();

	record(run, 1000000, 0, 1, 64u << 20, false);
	AQ_CHECK_EQ_INT(run->status, 0);
	check_balance(run);
	check_gaps(run);
	run_free(run);
}

AQ_TEST(a_slow_disk_fills_the_spool)
{
	struct run *run = run_new();

	run->writer->slow_us = 2000;
	record(run, 150000, 200, 8, 2u << 20, true);
	AQ_CHECK_EQ_INT(run->status, 0);
	check_balance(run);
	check_gaps(run);
	AQ_CHECK(run->result.ledger.shed > 0);
	AQ_CHECK(run->result.ledger.cls[0].lost * 3 < run->result.ledger.cls[3].lost); /* there are three times as many */
	run_free(run);
}

AQ_TEST(a_full_disk_is_told_and_accounted_for)
{
	struct run *run = run_new();

	run->writer->fail_at = 20001;
	run->writer->room_after = UINT64_MAX;
	record(run, 40000, 500, 16, 64u << 20, false);
	AQ_CHECK_EQ_INT(run->status, -ENOSPC);
	AQ_CHECK(strstr(run->err.text, "no space") != NULL);
	check_balance(run);
	AQ_CHECK_EQ_U64(run->writer->stats.events, 20000);
	AQ_CHECK_EQ_U64(run->result.ledger.unwritten, run->stored - 20000 - run->result.ledger.shed);
	AQ_CHECK(!run->writer->closed);
	run_free(run);
}

AQ_TEST(a_disk_with_room_again_is_written_again)
{
	struct run *run = run_new();

	run->writer->fail_at = 20001;
	run->writer->room_after = 2;
	clock_step = 1000;
	record(run, 60000, 100, 16, 64u << 20, false);
	clock_step = 1;
	AQ_CHECK_EQ_INT(run->status, 0);
	check_balance(run);
	check_gaps(run);
	AQ_CHECK(run->writer->closed);
	AQ_CHECK_EQ_INT(run->result.outages, 1);
	AQ_CHECK_EQ_U64(run->writer->resumes, 3);
	AQ_CHECK(run->result.ledger.unwritten > 0);
	AQ_CHECK_EQ_U64(run->writer->gap_count[AQ_GAP_DISK], run->result.ledger.unwritten);
	AQ_CHECK_EQ_U64(run->writer->gaps_by_event[AQ_GAP_DISK], run->result.ledger.unwritten);
	AQ_CHECK(run->writer->stats.events > 20000);
	AQ_CHECK_EQ_U64(run->writer->snapshots, 2); /* the new segment has the state again */
	run_free(run);
}

AQ_TEST(what_is_vital_is_committed_on_its_own)
{
	struct run *run = run_new();
	uint64_t vital;

	run->vital = true;
	record(run, 60000, 100, 16, 64u << 20, true);
	AQ_CHECK_EQ_INT(run->status, 0);
	check_balance(run);
	check_gaps(run);
	vital = run->writer->stats.stored[0][0] + run->writer->stats.stored[1][0];
	AQ_CHECK(vital > 0);
	AQ_CHECK_EQ_U64(run->latency.count, vital);
	AQ_CHECK_EQ_U64(run->writer->vital_waiting, 0);
	AQ_CHECK(run->writer->commits > 1);
	AQ_CHECK_EQ_U64(run->latency.commits, run->writer->commits);
	run_free(run);
}

AQ_TEST_MAIN()
