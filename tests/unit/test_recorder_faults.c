/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_segment aq_schema aq_base */
/* aq-wrap: pwrite ftruncate fdatasync fsync openat */
/*
 * The recorder over a disk that has I/O errors for a while, or for good: it goes on, what can't be written is in the
 * ledger to the last event, and the capture says so itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "recorder/calls.h"
#include "recorder/pipeline.h"
#include "recorder/source_synthetic.h"
#include "tests/unit/fault_capture.h"

enum { EVENTS = 30000 };

static atomic_bool disk_broken;

ssize_t __real_pwrite(int fd, const void *data, size_t n, off_t offset);
int __real_ftruncate(int fd, off_t size);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_openat(int dir, const char *path, int flags, ...);
ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t offset);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_openat(int dir, const char *path, int flags, ...);

static bool broken(void)
{
	if (!atomic_load(&disk_broken))
		return false;
	errno = EIO;
	return true;
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t offset)
{
	return broken() ? -1 : __real_pwrite(fd, data, n, offset);
}

int __wrap_ftruncate(int fd, off_t size)
{
	return __real_ftruncate(fd, size);
}

int __wrap_fdatasync(int fd)
{
	return broken() ? -1 : __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
	return broken() ? -1 : __real_fsync(fd);
}

int __wrap_openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = va_arg(ap, mode_t);
	va_end(ap);
	return broken() ? -1 : __real_openat(dir, path, flags, mode);
}

static char folder[64], path[96];

struct run {
	struct aq_pipeline *pipeline;
	struct aq_pipeline_result result;
	struct aq_err err;
	uint64_t produced, snapshots;
	int status;
};

static void on_lost(void *user, const struct aq_lost_event *ev)
{
	struct run *run = user;
	aq_pipeline_lost(run->pipeline, ev);
}

static int snapshot(void *user, int (*emit)(void *user, const struct aq_event *ev, struct aq_err *err), void *emit_user,
		    struct aq_err *err)
{
	struct run *run = user;
	struct aq_event ev = { .id = AQ_EV_snap_begin, .time_ns = FAULT_START };
	run->snapshots++;
	return emit(emit_user, &ev, err);
}

/* Something has been written, or could not be. */
static void wait_until(struct run *run, bool outage)
{
	struct aq_err why;
	for (unsigned i = 0; i < 5000; i++) {
		bool reached = outage ? aq_pipeline_state(run->pipeline, &why) == AQ_PIPELINE_OUTAGE :
					aq_pipeline_progress(run->pipeline).bytes > 4000;
		if (reached)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	AQ_CHECK(!"what was waited for did not happen");
}

/* The disk is broken while events break_from … break_to are made. */
static void record(struct run *run, enum aq_sync sync, unsigned break_from, unsigned break_to)
{
	struct aq_synthetic_options so = { .cpu_count = 2, .fixed_parts = 8, .attr_parts = 8 };
	static uint8_t classes[AQ_WIRE_EVENTS];
	struct aq_pipeline_options po = { .class_of_event = classes, .start_ns = 1, .priority = -1, .report_ns = 2000000,
					  .flush_ns = 2000000, .retry_ns = 1000000, .snapshot = snapshot, .snapshot_user = run,
					  .failed_fd = -1, .vital = sync == AQ_SYNC_VITAL };
	struct aq_writer_options options = { .chunk_events = 2000, .sync = sync, .on_lost = on_lost, .user = run };
	struct aq_capture_writer *writer;
	struct aq_source *src;
	aq_calls_classes(classes);
	strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/aquila-faults-XXXXXX" : "/tmp/aquila-faults-XXXXXX");
	AQ_REQUIRE(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/x.aquila", folder);
	AQ_REQUIRE(aq_capture_writer_new(path, &fault_meta, &options, &writer, &run->err) == 0);
	AQ_REQUIRE(aq_synthetic_new(&so, &src) == 0);
	AQ_REQUIRE(aq_pipeline_new(src, writer, &po, &run->pipeline) == 0);
	AQ_REQUIRE(aq_pipeline_start(run->pipeline, &run->err) == 0);
	for (unsigned i = 0; i < EVENTS; i++) {
		static const struct { uint16_t event; uint8_t cls; } kinds[] = {
			{ AQ_EV_openat, AQ_CLASS_IMPORTANT }, { AQ_EV_close, AQ_CLASS_ORDINARY }, { AQ_EV_read, AQ_CLASS_BULK },
			{ AQ_EV_proc_exit, AQ_CLASS_VITAL },
		};
		const struct aq_synthetic_attr attr = { .key = AQ_ATTR_PATH, .len = 9, .data = "/etc/what" };
		struct aq_synthetic_event e = {
			.cpu = i / 4 % 2, .cls = kinds[i % 4].cls, .attrs = &attr, .attr_count = i % 4 == 0,
			.fixed = { .time_ns = FAULT_START + (uint64_t)i * 1000, .event = kinds[i % 4].event, .pid = 7, .tid = 7 + i % 5 },
		};
		if (i == break_from || i == break_to) {
			wait_until(run, i == break_to);
			atomic_store(&disk_broken, i == break_from);
		}
		(void)aq_synthetic_produce(src, &e);
		aq_synthetic_set_now(src, e.fixed.time_ns);
		if (i % 200 == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 400000 }, NULL);
	}
	aq_synthetic_set_now(src, FAULT_START + EVENTS * 1000);
	run->status = aq_pipeline_finish(run->pipeline, &run->result, &run->err);
	atomic_store(&disk_broken, false);
	aq_pipeline_free(run->pipeline);
	aq_capture_writer_free(writer);
	aq_source_free(src);
	for (unsigned i = 0; i < AQ_CLASS_COUNT; i++)
		run->produced += run->result.ledger.cls[i].produced;
	AQ_CHECK_EQ_U64(run->produced, EVENTS);
	AQ_CHECK(run->result.ledger.balances);
	AQ_CHECK_EQ_STR(run->result.ledger.text, "");
}

static uint64_t count_gaps(struct aq_capture *c, enum aq_gap_reason reason)
{
	size_t n;
	uint64_t sum = 0;
	const struct aq_gap *gaps = aq_capture_gaps(c, &n);
	for (size_t i = 0; i < n; i++) {
		AQ_CHECK(gaps[i].first_ns <= gaps[i].last_ns);
		sum += gaps[i].reason == reason && gaps[i].count != AQ_GAP_COUNT_UNKNOWN ? gaps[i].count : 0;
	}
	return sum;
}

static void errors_for_a_while(enum aq_sync sync)
{
	struct run run = { 0 };
	struct aq_capture *c = NULL;
	struct aq_verify_result v;
	record(&run, sync, 8000, 16000);
	AQ_CHECK_EQ_INT(run.status, 0);
	AQ_CHECK_EQ_INT(run.result.outages, 1);
	AQ_CHECK_EQ_U64(run.snapshots, 2);
	AQ_CHECK(run.result.ledger.unwritten > 0);
	AQ_REQUIRE(aq_capture_open(path, &c, &run.err) == 0);
	AQ_REQUIRE(aq_capture_verify(c, &v, NULL, NULL, &run.err) == 0);
	AQ_CHECK(v.finished && v.ledger_balances && v.damages == 0);
	AQ_CHECK_EQ_STR(v.ledger_text, "");
	AQ_CHECK_EQ_U64(v.produced, EVENTS);
	AQ_CHECK_EQ_U64(v.stored + v.lost, EVENTS);
	AQ_CHECK_EQ_U64(count_gaps(c, AQ_GAP_DISK), run.result.ledger.unwritten);
	AQ_CHECK_EQ_U64(count_gaps(c, AQ_GAP_DISK) + count_gaps(c, AQ_GAP_RING_FULL) + count_gaps(c, AQ_GAP_SPOOL_SHED), v.lost);
	AQ_CHECK_EQ_INT(aq_capture_info(c)->segment_count, 2);
	aq_capture_close(c);
	fault_remove(path);
	rmdir(folder);
}

AQ_TEST(errors_for_a_while_are_a_gap)
{
	errors_for_a_while(AQ_SYNC_SEGMENT);
	errors_for_a_while(AQ_SYNC_VITAL);
}

AQ_TEST(errors_to_the_end_are_an_error)
{
	struct run run = { 0 };
	struct aq_capture *c = NULL;
	struct aq_verify_result v;
	record(&run, AQ_SYNC_CHUNK, 12000, EVENTS + 1);
	AQ_CHECK_EQ_INT(run.status, -EIO);
	AQ_CHECK(strstr(run.err.text, path) != NULL && strstr(run.err.text, "Input/output error") != NULL);
	AQ_CHECK(run.result.ledger.unwritten > 0);
	AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	AQ_REQUIRE(aq_capture_verify(c, &v, NULL, NULL, NULL) == 0);
	AQ_CHECK(!v.finished && v.damages == 0);
	AQ_CHECK_EQ_U64(v.events, run.result.events + 1); /* what it says it stored is there, and the first snapshot */
	aq_capture_close(c);
	fault_remove(path);
	rmdir(folder);
}

AQ_TEST_MAIN()
