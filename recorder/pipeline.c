/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads and their ends. The drain thread never waits; the encoding thread waits for the spool and the disk. After a
 * write error it goes on emptying the spool, so that the account stays exact, and tries to write from time to time.
 */
#include "recorder/enrich/fact_keep.h"
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
#include "recorder/dns.h"
#include "recorder/order.h"

enum {
	STORED_CPUS = 4096,
	SETTLE_TRIES = 400,
	SETTLE_STEP_US = 5000,
	FACTS_AT_A_TIME = 64,
	VITAL_WAITING = 1024,      /* class 0 events that wait to be committed, at most */
	VITAL_LOOK_RECORDS = 32,   /* others that may go by between two looks at the clock */
	VITAL_LOOK_US = 500,       /* between two looks for class 0 while others are worked off */
	VITAL_GATHER_US = 200,     /* how old the first may become while others are waited for */
	BEHIND_BEGINS = 8,         /* the encoding thread hurries when the spool is full by one in so many */
	BEHIND_ENDS = 64,          /* until it is by less than one in so many */
	BEHIND_NICE = -15,
	RETRIES_DOUBLED = 3,       /* times that the wait after a write error doubles */
};

struct lane { /* where a record is decoded: class 0 may come while another one is being written */
	struct aq_event event;
	struct aq_decode_scratch *scratch;
};

struct aq_pipeline {
	struct aq_source *src;
	struct aq_capture_writer *writer;
	struct aq_pipeline_options options;
	struct aq_spool *spool;
	struct aq_drain *drain;
	struct aq_order *order;
	struct aq_ledger *ledger;
	struct aq_checkpoint *checkpoint;
	struct aq_ledger_row *rows;
	pthread_t drain_thread, encode_thread;
	bool started;

	/* the encoding thread's until it is joined */
	struct lane lane[2]; /* [1]: class 0's short way */
	struct aq_err err, add_err; /* add_err: of the last add that failed; too large to be cleared for each event */
	int error;           /* the recording can't go on */
	bool in_checkpoint, in_vital, finished, outage, emit_failed;
	bool hurries;        /* at raised priority */
	int own_nice;
	uint32_t outages, retries;
	uint64_t watermark_ns, retry_at_ns;
	uint64_t rotate_at_ns; /* the checkpoint begins here, and with it the next segment; 0: none is due */
	uint64_t state_from_bytes, state_to_bytes; /* of the segment's checkpoint, in what was written */
	uint64_t gap_count, flushed_ns, reported_ns, encode_cpu_ns;
	uint64_t vital_looked_ns;
	uint32_t vital_waiting, records;
	uint64_t vital_times_ns[VITAL_WAITING];
	struct aq_pipeline_latency latency;
	struct aq_dns_cache dns;
	struct aq_fact_keep *keep; /* what later segments repeat */
	uint64_t facts;

	pthread_mutex_t state_lock;
	enum aq_pipeline_condition condition;
	struct aq_err why;

	aq_u64 snapshot_done, events, snapshot_events, bytes, lost[AQ_CLASS_COUNT]; /* shared, for the progress */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	return clock_gettime(id, &t) < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void commit(struct aq_pipeline *p);
static void look_for_vital(struct aq_pipeline *p);

static void bump(aq_u64 *counter, uint64_t n)
{
	__atomic_store_n(counter, aq_shared_peek(counter) + n, __ATOMIC_RELAXED);
}

int aq_pipeline_new(struct aq_source *src, struct aq_capture_writer *writer, const struct aq_pipeline_options *options,
		    struct aq_pipeline **ret_pipeline)
{
	struct aq_pipeline *p = calloc(1, sizeof(*p));
	struct aq_drain_options drain = { .slack_ns = 200 * 1000, .dump = options->dump };
	int r = -ENOMEM;

	if (p == NULL)
		return -ENOMEM;
	pthread_mutex_init(&p->state_lock, NULL);
	p->src = src;
	p->writer = writer;
	p->options = *options;
	if (p->options.flush_ns != 0 && p->options.flush_ns < p->options.report_ns)
		p->options.report_ns = p->options.flush_ns;
	if (p->options.retry_ns == 0)
		p->options.retry_ns = 1000000000u;
	if (p->options.spool_bytes == 0)
		p->options.spool_bytes = (size_t)256 << 20;
	if (p->options.report_ns == 0)
		p->options.report_ns = 1000000000u;
	drain.sleep_min_us = options->sleep_min_us != 0 ? options->sleep_min_us : options->vital ? 250 : 500;
	drain.sleep_max_us = options->sleep_max_us != 0 ? options->sleep_max_us : options->vital ? 500 : 8000;
	p->rows = calloc(aq_rings_count(&src->rings), sizeof(*p->rows));
	p->lane[0].scratch = malloc(sizeof(*p->lane[0].scratch));
	p->lane[1].scratch = malloc(sizeof(*p->lane[1].scratch));
	if (p->rows == NULL || p->lane[0].scratch == NULL || p->lane[1].scratch == NULL)
		goto fail;
	r = aq_spool_new(p->options.spool_bytes, &p->spool);
	if (r == 0)
		r = aq_drain_new(src, p->spool, &drain, &p->drain);
	if (r == 0)
		r = aq_order_new(aq_rings_count(&src->rings), p->spool, &p->order);
	if (r == 0)
		r = aq_ledger_new(src, p->drain, options->class_of_event, options->start_ns, &p->ledger);
	if (r == 0)
		r = aq_fact_keep_new(options->fact_keep_bytes != 0 ? options->fact_keep_bytes : 16u << 20, &p->keep);
	if (r == 0 && options->snapshot != NULL)
		r = aq_checkpoint_new(options->snapshot, options->snapshot_user, 0, &p->checkpoint);
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
	aq_checkpoint_free(p->checkpoint);
	aq_fact_keep_free(p->keep);
	aq_ledger_free(p->ledger);
	aq_order_free(p->order);
	aq_drain_free(p->drain);
	aq_spool_free(p->spool);
	free(p->lane[0].scratch);
	free(p->lane[1].scratch);
	pthread_mutex_destroy(&p->state_lock);
	free(p->rows);
	free(p);
}

static void set_state(struct aq_pipeline *p, enum aq_pipeline_condition condition, const struct aq_err *why)
{
	pthread_mutex_lock(&p->state_lock);
	p->condition = condition;
	p->why = *why;
	pthread_mutex_unlock(&p->state_lock);
	if (p->options.failed_fd >= 0)
		(void)eventfd_write(p->options.failed_fd, 1);
}

/* The first error is kept; the owner is told that it is time to stop. */
static void fail(struct aq_pipeline *p, int error, const struct aq_err *err)
{
	if (p->error != 0)
		return;
	p->error = error;
	p->err = *err;
	set_state(p, AQ_PIPELINE_FAILED, err);
}

/* The writer failed. It is tried again, ever later; a full disk is looked at every time, which costs nothing. */
static void begin_outage(struct aq_pipeline *p, const struct aq_err *err)
{
	p->vital_waiting = 0; /* they were among what the writer gave up */
	p->retry_at_ns = clock_ns(CLOCK_BOOTTIME) + (p->options.retry_ns << p->retries);
	if (p->retries < RETRIES_DOUBLED && err->code != -ENOSPC)
		p->retries++;
	if (p->outage)
		return;
	p->outage = true;
	p->outages++;
	p->err = *err;
	set_state(p, AQ_PIPELINE_OUTAGE, err);
}

static bool can_write(const struct aq_pipeline *p)
{
	return p->error == 0 && !p->outage;
}

static void flush(struct aq_pipeline *p)
{
	struct aq_err err = { 0 };

	if (can_write(p) && aq_capture_writer_flush(p->writer, &err) < 0)
		begin_outage(p, &err);
}

static int emit_snapshot_event(void *user, const struct aq_event *ev, struct aq_err *err)
{
	struct aq_pipeline *p = user;
	int r;

	look_for_vital(p);
	r = aq_capture_writer_add(p->writer, ev, err);
	p->emit_failed = r < 0;
	if (r == 0)
		bump(&p->snapshot_events, 1);
	return r;
}

static int take_snapshot(struct aq_pipeline *p, struct aq_err *err)
{
	int r;

	if (p->options.snapshot == NULL || p->in_checkpoint)
		return 0;
	p->in_checkpoint = true;
	r = p->options.snapshot(p->options.snapshot_user, emit_snapshot_event, p, err);
	p->in_checkpoint = false;
	return r;
}

void aq_pipeline_lost(struct aq_pipeline *p, const struct aq_lost_event *ev)
{
	uint32_t ring = ev->cpu * AQ_WIRE_CLASSES + ev->cls;

	if (ring >= aq_rings_count(&p->src->rings))
		return;
	aq_ledger_dropped(p->ledger, ring, ev->id, ev->time_ns, (ev->flags & AQ_EVF_DEGRADED) != 0);
	__atomic_store_n(&p->events, aq_shared_peek(&p->events) - 1, __ATOMIC_RELAXED);
}

int aq_pipeline_checkpoint(struct aq_pipeline *p, struct aq_err *err)
{
	aq_fact_keep_restart(p->keep, clock_ns(CLOCK_BOOTTIME));
	if (p->checkpoint == NULL)
		return 0;
	p->state_from_bytes = p->state_to_bytes = aq_capture_writer_stats(p->writer)->bytes_written;
	p->rotate_at_ns = 0;
	return aq_checkpoint_runs(p->checkpoint) ? 0 : take_snapshot(p, err);
}

/* What the snapshot's thread has found so far; at its end all of it is in the file. */
static void take_checkpoint(struct aq_pipeline *p, bool wait)
{
	struct aq_err err = { 0 };
	int r;

	if (p->checkpoint == NULL || !aq_checkpoint_runs(p->checkpoint) || p->rotate_at_ns != 0 || !can_write(p))
		return;
	p->emit_failed = false;
	r = aq_checkpoint_take(p->checkpoint, wait, emit_snapshot_event, p, &err);
	if (r == 0)
		flush(p);
	if (r < 0 && p->emit_failed) {
		begin_outage(p, &err);
	} else if (r < 0) {
		aq_err_prefix(&err, "snapshot: ");
		fail(p, r, &err);
	}
	p->state_to_bytes = aq_capture_writer_stats(p->writer)->bytes_written;
}

struct answer { /* an answer of a DNS server that is being told */
	struct aq_pipeline *p;
	uint64_t time_ns;
	bool failed;
};

/* A fact right behind the event that brought it. */
static void tell_address(void *user, const struct aq_dns_address *address)
{
	struct answer *answer = user;
	struct aq_pipeline *p = answer->p;
	char subject[AQ_DNS_SUBJECT_BYTES], json[AQ_DNS_JSON_BYTES];
	uint64_t to_ns = answer->failed ? 0 : aq_dns_news(&p->dns, address, answer->time_ns);
	struct aq_event ev = { .time_ns = answer->time_ns, .id = AQ_EV_fact, .cls = AQ_CLASS_VITAL, .arg_count = 2,
			       .args = { answer->time_ns, to_ns }, .attr_count = 2 };
	struct aq_err err = { 0 };

	if (to_ns == 0)
		return;
	aq_dns_fact(address, subject, json);
	ev.attrs[0] = (struct aq_attr){ .key = AQ_ATTR_NAME, .data = subject, .len = (uint32_t)strlen(subject) };
	ev.attrs[1] = (struct aq_attr){ .key = AQ_ATTR_JSON, .data = json, .len = (uint32_t)strlen(json) };
	if (aq_capture_writer_add(p->writer, &ev, &err) < 0) {
		answer->failed = true;
		begin_outage(p, &err);
		return;
	}
	aq_fact_keep_put(p->keep, &(struct aq_fact){ subject, json, strlen(json), answer->time_ns, to_ns });
}

static bool write_fact(struct aq_pipeline *p, const struct aq_fact *fact)
{
	struct aq_event ev = { .time_ns = clock_ns(CLOCK_BOOTTIME), .id = AQ_EV_fact, .cls = AQ_CLASS_VITAL, .arg_count = 2,
			       .args = { fact->valid_from_ns, fact->valid_to_ns }, .attr_count = 2 };
	struct aq_err err = { 0 };

	ev.attrs[0] = (struct aq_attr){ .key = AQ_ATTR_NAME, .data = fact->subject, .len = (uint32_t)strlen(fact->subject) };
	ev.attrs[1] = (struct aq_attr){ .key = AQ_ATTR_JSON, .data = fact->json, .len = (uint32_t)fact->json_len };
	if (aq_capture_writer_add(p->writer, &ev, &err) == 0)
		return true;
	begin_outage(p, &err);
	return false;
}

/*
 * Names that were found meanwhile, and those that a new segment repeats to be read alone: so many at a time that events
 * don't wait for them; at the end all.
 */
static void tell_facts(struct aq_pipeline *p, bool last)
{
	const struct aq_fact *kept;
	struct aq_fact *fact;
	unsigned n = 0;

	for (; p->options.facts != NULL && (last || n < FACTS_AT_A_TIME) && can_write(p); n++) {
		fact = aq_fact_queue_take(p->options.facts);
		if (fact == NULL)
			break;
		/* kept first: what is lost with this segment's end is repeated in the next */
		aq_fact_keep_put(p->keep, fact);
		p->facts += write_fact(p, fact);
		free(fact);
	}
	for (; (last || n < FACTS_AT_A_TIME) && can_write(p); n++) {
		kept = aq_fact_keep_next(p->keep);
		if (kept == NULL || !write_fact(p, kept))
			break;
	}
}

static int take_record(void *user, uint32_t ring, const struct aq_wire_fixed *fixed, uint32_t record_bytes,
		       const struct aq_wire_attr_record *attr, uint32_t attr_bytes)
{
	struct aq_pipeline *p = user;
	struct lane *lane = &p->lane[p->in_vital];
	int r;

	look_for_vital(p);
	if (can_write(p)) {
		aq_decode(fixed, attr, attr_bytes, ring / AQ_WIRE_CLASSES, ring % AQ_WIRE_CLASSES, lane->scratch, &lane->event);
		aq_decode_duration(fixed, record_bytes, &lane->event);
		r = aq_capture_writer_add(p->writer, &lane->event, &p->add_err);
		if (r == 0) {
			aq_ledger_stored(p->ledger, ring, &lane->event);
			bump(&p->events, 1);
			if (p->in_vital)
				p->vital_times_ns[p->vital_waiting++] = lane->event.time_ns;
			if (p->vital_waiting == VITAL_WAITING)
				commit(p);
			if (lane->scratch->dns != NULL) {
				struct answer answer = { .p = p, .time_ns = lane->event.time_ns };

				(void)aq_dns_parse(lane->scratch->dns, lane->scratch->dns_len, tell_address, &answer);
			}
			return 0;
		}
		begin_outage(p, &p->add_err);
	}
	aq_ledger_unwritten(p->ledger, ring, fixed->event, fixed->time_ns);
	return 0;
}

static void take_jump(void *user, uint32_t ring, uint64_t before_ns, uint64_t after_ns, uint64_t missing)
{
	struct aq_pipeline *p = user;

	aq_ledger_jump(p->ledger, ring, before_ns, after_ns, missing);
}

static void note_latency(struct aq_pipeline_latency *l, uint64_t ns)
{
	uint64_t step = ns / 100000;

	l->steps[step < AQ_LATENCY_STEPS ? step : AQ_LATENCY_STEPS - 1]++;
	l->count++;
	l->max_ns = ns > l->max_ns ? ns : l->max_ns;
}

/* What class 0 has brought so far goes to the disk. */
static void commit(struct aq_pipeline *p)
{
	struct aq_err err = { 0 };
	uint64_t now_ns;

	if (p->vital_waiting == 0 || !can_write(p))
		return;
	if (aq_capture_writer_commit(p->writer, &err) < 0) {
		begin_outage(p, &err);
		return;
	}
	now_ns = aq_source_now_ns(p->src);
	for (uint32_t i = 0; i < p->vital_waiting; i++)
		note_latency(&p->latency, now_ns > p->vital_times_ns[i] ? now_ns - p->vital_times_ns[i] : 0);
	p->latency.commits++;
	p->vital_waiting = 0;
}

static void absorb(struct aq_pipeline *p, const struct aq_spool_taken *taken)
{
	aq_order_add(p->order, taken->slabs);
	if (taken->watermark_ns > p->watermark_ns)
		p->watermark_ns = taken->watermark_ns;
	p->finished = p->finished || taken->finished;
}

/* Class 0, as far as it has been taken from the spool, past everything else. */
static void run_vital(struct aq_pipeline *p)
{
	const struct aq_order_sink sink = { .record = take_record, .jump = take_jump, .user = p };

	p->in_vital = true;
	(void)aq_order_run_class(p->order, AQ_CLASS_VITAL, &sink);
	p->in_vital = false;
	if (p->vital_waiting > 0 && aq_source_now_ns(p->src) >= p->vital_times_ns[0] + VITAL_GATHER_US * 1000u)
		commit(p);
}

/* While a backlog or the state is worked off: has something vital happened? */
static void look_for_vital(struct aq_pipeline *p)
{
	struct aq_spool_taken taken;
	uint64_t now_ns;

	if (!p->options.vital || p->in_vital || ++p->records % VITAL_LOOK_RECORDS != 0)
		return;
	now_ns = clock_ns(CLOCK_MONOTONIC);
	if (now_ns - p->vital_looked_ns < VITAL_LOOK_US * 1000u)
		return;
	p->vital_looked_ns = now_ns;
	taken = aq_spool_take(p->spool, 0);
	absorb(p, &taken);
	run_vital(p);
}

static int give_gap(void *user, const struct aq_gap *gap)
{
	struct aq_pipeline *p = user;
	struct aq_err err = { 0 };

	if (gap->cls < AQ_CLASS_COUNT && (gap->reason == AQ_GAP_RING_FULL || gap->reason == AQ_GAP_SPOOL_SHED ||
					  gap->reason == AQ_GAP_DISK))
		bump(&p->lost[gap->cls], gap->count);
	if (!can_write(p))
		return 0;
	if (aq_capture_writer_add_gap(p->writer, gap, &err) < 0)
		begin_outage(p, &err);
	else
		p->gap_count++;
	return 0;
}

static void set_rows(struct aq_pipeline *p)
{
	const struct aq_writer_stats *stats = aq_capture_writer_stats(p->writer);

	aq_ledger_rows(p->ledger, stats->stored, STORED_CPUS, p->rows);
	__atomic_store_n(&p->bytes, stats->bytes_written, __ATOMIC_RELAXED);
}

/* A new segment, with the state at its head. True if writing works again. */
static bool end_outage(struct aq_pipeline *p, uint64_t now_ns, bool final)
{
	struct aq_err err = { 0 };

	if (!final && now_ns < p->retry_at_ns)
		return false;
	if (aq_capture_writer_resume(p->writer, &err) == 0 && (final || aq_pipeline_checkpoint(p, &err) == 0)) {
		p->outage = false;
		p->retries = 0;
		set_state(p, AQ_PIPELINE_RUNS, &err);
		return true;
	}
	begin_outage(p, &err);
	return false;
}

static int set_ledger(struct aq_pipeline *p, uint64_t boot_ns, uint64_t real_ns, struct aq_err *err)
{
	set_rows(p);
	return !can_write(p) ? 0 : aq_capture_writer_set_ledger(p->writer, p->rows, aq_rings_count(&p->src->rings), boot_ns, real_ns, err);
}

bool aq_pipeline_may_rotate(struct aq_pipeline *p, uint64_t event_time_ns, bool by_size)
{
	uint64_t written = aq_capture_writer_stats(p->writer)->bytes_written, now_ns = aq_source_now_ns(p->src);
	uint64_t sure_ns = event_time_ns < now_ns ? event_time_ns : now_ns; /* all before it was given to the writer */
	struct aq_err err = { 0 };

	if (p->in_vital) /* one that came ahead of others */
		return false;
	if (p->rotate_at_ns == 0) {
		if (p->in_checkpoint || (p->checkpoint != NULL && aq_checkpoint_runs(p->checkpoint)))
			return false;
		if (by_size && written - p->state_to_bytes < p->state_to_bytes - p->state_from_bytes)
			return false;
		if (p->checkpoint != NULL && aq_checkpoint_start(p->checkpoint) == 0) {
			p->rotate_at_ns = now_ns;
			return false;
		}
	} else if (event_time_ns < p->rotate_at_ns) {
		return false;
	}
	(void)set_ledger(p, sure_ns, clock_ns(CLOCK_REALTIME) - (now_ns - sure_ns), &err); /* a failed writer says so itself */
	return true;
}

/*
 * Gaps, then the open chunk if it is old, then the totals, which say what is stored and therefore come after it, and
 * are written out at once: a reader of what a killed recorder left finds them. The clocks are paired at the watermark:
 * all that happened before it has been given to the writer. While nothing can be written, losses add up; the gaps that
 * are told afterwards say all.
 */
static void report(struct aq_pipeline *p, bool final)
{
	uint64_t now_ns = clock_ns(CLOCK_BOOTTIME), real_ns = clock_ns(CLOCK_REALTIME);
	uint64_t sure_ns = final || p->watermark_ns > now_ns || p->watermark_ns == 0 ? now_ns : p->watermark_ns;
	bool due = p->options.flush_ns != 0 && now_ns - p->flushed_ns >= p->options.flush_ns;
	struct aq_err err = { 0 };

	p->reported_ns = now_ns;
	if (p->error != 0 || (p->outage && !end_outage(p, now_ns, final))) {
		set_rows(p);
		return;
	}
	aq_ledger_report(p->ledger, final, give_gap, p);
	if (final || due)
		flush(p);
	if (final && p->outage && end_outage(p, now_ns, final)) /* what that could not write is to be told as well */
		aq_ledger_report(p->ledger, final, give_gap, p);
	if (set_ledger(p, sure_ns, real_ns - (now_ns - sure_ns), &err) < 0)
		begin_outage(p, &err);
	if (due && !final) {
		flush(p);
		p->flushed_ns = now_ns;
	}
}

/* How long to wait for the spool: less when class 0 waits to be committed. */
static uint64_t patience_ns(const struct aq_pipeline *p)
{
	return p->vital_waiting > 0 ? VITAL_GATHER_US * 1000u / 2 : 100 * 1000000u;
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

/* Those who flood must not keep the thread from working that has to keep up with them. */
static void hurry_if_behind(struct aq_pipeline *p)
{
	size_t used = aq_spool_used_bytes(p->spool), size = aq_spool_size_bytes(p->spool);
	bool behind = used > size / (p->hurries ? BEHIND_ENDS : BEHIND_BEGINS);

	if (behind == p->hurries || p->options.priority < 0 || p->options.vital)
		return;
	p->hurries = behind;
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), behind ? BEHIND_NICE : p->own_nice);
}

static void *encode_main(void *arg)
{
	struct aq_pipeline *p = arg;
	const struct aq_order_sink sink = { .record = take_record, .jump = take_jump, .user = p };
	struct aq_spool_taken taken;
	struct aq_err err = { 0 };
	int r;

	if (p->options.vital) /* what it waits for, class 0 waits for */
		raise_priority(p->options.priority);
	p->own_nice = getpriority(PRIO_PROCESS, (id_t)gettid());
	if (p->options.on_encode_thread != NULL)
		p->options.on_encode_thread();
	r = set_ledger(p, clock_ns(CLOCK_BOOTTIME), clock_ns(CLOCK_REALTIME), &err);
	if (r == 0)
		r = take_snapshot(p, &err);
	if (r < 0 && p->emit_failed) {
		begin_outage(p, &err);
	} else if (r < 0) {
		aq_err_prefix(&err, "snapshot: ");
		fail(p, r, &err);
	}
	aq_shared_store(&p->snapshot_done, 1);
	p->flushed_ns = p->reported_ns = clock_ns(CLOCK_BOOTTIME);
	for (bool last = false; !last;) {
		if (!p->finished) { /* looking for class 0 may have found the end */
			taken = aq_spool_take(p->spool, patience_ns(p));
			absorb(p, &taken);
		}
		hurry_if_behind(p);
		last = p->finished;
		if (p->options.vital)
			run_vital(p);
		aq_order_run(p->order, last ? UINT64_MAX : p->watermark_ns, &sink);
		take_checkpoint(p, last);
		tell_facts(p, last);
		if (clock_ns(CLOCK_BOOTTIME) - p->reported_ns >= p->options.report_ns)
			report(p, false);
	}
	commit(p);
	report(p, true);
	p->encode_cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
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
	if (p->outage)
		fail(p, p->err.code, &p->err);
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
		.outages = p->outages,
		.facts = p->facts,
		.facts_refused = p->options.facts != NULL ? aq_fact_queue_refused(p->options.facts) : 0,
		.facts_not_kept = aq_fact_keep_refused(p->keep),
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

enum aq_pipeline_condition aq_pipeline_state(struct aq_pipeline *p, struct aq_err *ret_why)
{
	enum aq_pipeline_condition condition;

	pthread_mutex_lock(&p->state_lock);
	condition = p->condition;
	*ret_why = p->why;
	pthread_mutex_unlock(&p->state_lock);
	return condition;
}

const struct aq_pipeline_latency *aq_pipeline_latency(const struct aq_pipeline *p)
{
	return &p->latency;
}

uint64_t aq_pipeline_latency_ns(const struct aq_pipeline_latency *l, double percent)
{
	uint64_t below = 0;

	for (uint32_t i = 0; i + 1 < AQ_LATENCY_STEPS; i++) {
		below += l->steps[i];
		if ((double)below * 100 >= percent * (double)l->count)
			return (i + 1) * 100000ull < l->max_ns ? (i + 1) * 100000ull : l->max_ns;
	}
	return l->max_ns;
}
