/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/* aq-wrap: renameat2 unlinkat fsync pwrite openat mkdirat */
/*
 * Segments written again in their place: the same events and totals in fewer bytes, killed at every step without harm, and
 * refused where bytes are evidence.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "format/segment/evidence.h"
#include "format/segment/rewrite.h"
#include "tests/unit/fault_capture.h"

enum { FOLDER_BYTES = 256, KILLED = 77 };

static long steps, die_at; /* die_at 0: never */

static void step(void)
{
	if (++steps == die_at)
		_exit(KILLED);
}

int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __real_unlinkat(int dir, const char *path, int flags);
int __real_fsync(int fd);
ssize_t __real_pwrite(int fd, const void *data, size_t n, off_t offset);
int __real_openat(int dir, const char *path, int flags, ...);
int __real_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_unlinkat(int dir, const char *path, int flags);
int __wrap_fsync(int fd);
ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t offset);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_mkdirat(int dir, const char *path, mode_t mode);

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	step();
	return __real_renameat2(from_dir, from, to_dir, to, flags);
}

int __wrap_unlinkat(int dir, const char *path, int flags)
{
	step();
	return __real_unlinkat(dir, path, flags);
}

int __wrap_fsync(int fd)
{
	step();
	return __real_fsync(fd);
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t offset)
{
	step();
	return __real_pwrite(fd, data, n, offset);
}

int __wrap_openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	step();
	return __real_openat(dir, path, flags, mode);
}

int __wrap_mkdirat(int dir, const char *path, mode_t mode)
{
	step();
	return __real_mkdirat(dir, path, mode);
}

static char folder[64];

static const char *begin(void)
{
	static char path[FOLDER_BYTES];
	snprintf(folder, sizeof(folder), "/tmp/aq_test_replace.XXXXXX");
	AQ_REQUIRE(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/c.aquila", folder);
	return path;
}

static void end(const char *path)
{
	fault_remove(path);
	rmdir(folder);
}

/* Four segments of small chunks, a clock that was set, a gap in the second; the last one is left unfinished unless closed. */
static void make(const char *path, struct fault_events *events, bool closed)
{
	struct aq_writer_options options = { .sync = AQ_SYNC_NONE };
	struct aq_capture_writer *w;
	struct aq_err err = { 0 };
	memset(events, 0, sizeof(*events));
	options.on_lost = fault_lost;
	options.user = events;
	AQ_REQUIRE(aq_capture_writer_new(path, &fault_meta, &options, &w, &err) == 0);
	for (unsigned i = 0; i < FAULT_EVENTS; i++) {
		if (i && i % 100 == 0) {
			AQ_REQUIRE(fault_set_ledger(w, events, i, &err) == 0);
			AQ_REQUIRE(aq_capture_writer_rotate(w, FAULT_START + (uint64_t)i * FAULT_STEP, &err) == 0);
		}
		AQ_REQUIRE(fault_add(w, events, i, &err) == 0);
		if (i == 150) {
			struct aq_gap_count count = { .count = 3, .event_id = AQ_EV_read };
			struct aq_gap gap = { .first_ns = FAULT_START + 150 * FAULT_STEP, .last_ns = FAULT_START + 151 * FAULT_STEP,
					      .count = 3, .cpu = 1, .cls = 3, .reason = AQ_GAP_RING_FULL, .by_event_count = 1,
					      .by_event = &count };
			AQ_REQUIRE(aq_capture_writer_add_gap(w, &gap, &err) == 0);
		}
		if (i % 10 == 9) {
			AQ_REQUIRE(aq_capture_writer_flush(w, &err) == 0);
			AQ_REQUIRE(fault_set_ledger(w, events, i + 1, &err) == 0);
			AQ_REQUIRE(aq_capture_writer_flush(w, &err) == 0);
		}
	}
	if (closed)
		AQ_REQUIRE(aq_capture_writer_close(w, &err) == 0);
	aq_capture_writer_free(w);
}

/* All that a reader can ask about totals and gaps, as text. */
static void describe(struct aq_capture *c, char *text, size_t size)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	size_t count, n = 0;
	const struct aq_gap *gaps = aq_capture_gaps(c, &count);
	n += (size_t)snprintf(text + n, size - n, "%d %llu %llu %llu %llu;", info->finished, (unsigned long long)info->end_ns,
			      (unsigned long long)info->events, (unsigned long long)info->min_ns,
			      (unsigned long long)aq_capture_real_ns(c, FAULT_START + 222 * FAULT_STEP));
	for (size_t i = 0; i < count; i++)
		n += (size_t)snprintf(text + n, size - n, " %llu-%llu %llu %u %u %u/%u", (unsigned long long)gaps[i].first_ns,
				      (unsigned long long)gaps[i].last_ns, (unsigned long long)gaps[i].count, gaps[i].cpu,
				      gaps[i].cls, gaps[i].reason, gaps[i].by_event_count);
	const struct aq_ledger_row *rows = aq_capture_ledger(c, &count);
	for (size_t i = 0; i < count; i++)
		n += (size_t)snprintf(text + n, size - n, "; %u %u %llu %llu %llu %llu", rows[i].cpu, rows[i].cls,
				      (unsigned long long)rows[i].produced, (unsigned long long)rows[i].stored,
				      (unsigned long long)rows[i].lost, (unsigned long long)rows[i].removed);
	AQ_REQUIRE(n < size);
}

static uint64_t check(const char *path, const struct fault_events *events, const char *wanted, const char *what)
{
	char text[4096];
	struct aq_verify_result verified;
	struct aq_evidence e;
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	AQ_REQUIRE(aq_capture_open(path, &c, &err) == 0);
	uint64_t bytes = aq_capture_info(c)->bytes;
	describe(c, text, sizeof(text));
	AQ_CHECK_EQ_STR(text, wanted);
	fault_check_events(c, events, false, what);
	AQ_CHECK(aq_capture_verify(c, &verified, NULL, NULL, &err) == 0);
	AQ_CHECK(verified.ledger_balances && verified.damages == 0);
	aq_capture_close(c);
	AQ_REQUIRE(aq_evidence_check(path, NULL, &e, &err) == 0);
	AQ_CHECK_EQ_INT(e.altered, 0);
	AQ_CHECK_EQ_INT(e.damaged, 0);
	aq_evidence_release(&e);
	return bytes;
}

static void describe_path(const char *path, char *text, size_t size)
{
	struct aq_capture *c = NULL;
	AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	describe(c, text, size);
	aq_capture_close(c);
}

static bool is_left_over(const char *path)
{
	char name[FOLDER_BYTES + 32];
	struct stat st;
	snprintf(name, sizeof(name), "%s/.recompress", path);
	return stat(name, &st) == 0;
}

AQ_TEST(whole)
{
	const char *path = begin();
	struct aq_rewrite_options options = { .zstd_level = 9 };
	struct aq_in_place_result result;
	struct fault_events events;
	struct aq_err err = { 0 };
	char wanted[4096], file[FOLDER_BYTES + 32];
	for (int closed = 0; closed < 2; closed++) {
		make(path, &events, closed);
		describe_path(path, wanted, sizeof(wanted));
		uint64_t before = check(path, &events, wanted, "before");
		AQ_REQUIRE(aq_capture_rewrite_in_place(path, &options, &result, &err) == 0);
		AQ_CHECK_EQ_INT(result.replaced, closed ? 4 : 3);
		AQ_CHECK_EQ_INT(result.left, closed ? 0 : 1);
		AQ_CHECK(result.bytes_after < result.bytes_before);
		AQ_CHECK(check(path, &events, wanted, "after") == before - result.bytes_before + result.bytes_after);
		AQ_CHECK(!is_left_over(path));
		AQ_REQUIRE(aq_capture_rewrite_in_place(path, &options, &result, &err) == 0); /* nothing is left to do */
		AQ_CHECK_EQ_INT(result.replaced, 0);
		AQ_CHECK_EQ_INT(result.left, 4);
		snprintf(file, sizeof(file), "%s/segment-000002.aqs", path); /* each balances alone */
		struct aq_capture *c = NULL;
		struct aq_verify_result verified;
		AQ_REQUIRE(aq_capture_open(file, &c, &err) == 0);
		AQ_CHECK(aq_capture_verify(c, &verified, NULL, NULL, &err) == 0 && verified.ledger_balances);
		AQ_CHECK_EQ_INT(verified.events, 100);
		aq_capture_close(c);
		fault_remove(path);
	}
}

/* Continued after it was written again: the new recording follows what is there now. */
AQ_TEST(continued)
{
	const char *path = begin();
	struct aq_rewrite_options options = { .zstd_level = 9 };
	struct aq_writer_options more = { .append = true };
	struct aq_in_place_result result;
	struct aq_capture_meta meta = fault_meta;
	struct fault_events events;
	struct aq_capture_writer *w;
	struct aq_err err = { 0 };
	char wanted[4096];
	make(path, &events, true);
	AQ_REQUIRE(aq_capture_rewrite_in_place(path, &options, &result, &err) == 0);
	meta.start_boot_ns = FAULT_START + 1000 * FAULT_STEP;
	AQ_REQUIRE(aq_capture_writer_new(path, &meta, &more, &w, &err) == 0);
	AQ_REQUIRE(aq_capture_writer_close(w, &err) == 0);
	aq_capture_writer_free(w);
	describe_path(path, wanted, sizeof(wanted));
	check(path, &events, wanted, "continued");
	end(path);
}

AQ_TEST(killed)
{
	const char *path = begin();
	struct aq_rewrite_options options = { .zstd_level = 9 };
	struct aq_in_place_result result;
	struct fault_events events;
	struct aq_err err = { 0 };
	char wanted[4096];
	int status = 0;
	unsigned kills = 0;
	make(path, &events, true);
	describe_path(path, wanted, sizeof(wanted));
	for (long at = 1;; at += at < 60 ? 1 : 3) {
		pid_t child = fork();
		AQ_REQUIRE(child >= 0);
		if (child == 0) {
			steps = 0;
			die_at = at;
			_exit(aq_capture_rewrite_in_place(path, &options, &result, NULL) == 0 ? 0 : 1);
		}
		AQ_REQUIRE(waitpid(child, &status, 0) == child && WIFEXITED(status));
		AQ_REQUIRE(WEXITSTATUS(status) == KILLED || WEXITSTATUS(status) == 0);
		check(path, &events, wanted, "killed");
		if (WEXITSTATUS(status) == 0)
			break;
		kills++;
		if (at % 7 == 0) { /* from the beginning again: else all would soon be done */
			AQ_REQUIRE(aq_capture_rewrite_in_place(path, &options, &result, &err) == 0);
			AQ_CHECK(!is_left_over(path));
			fault_remove(path);
			make(path, &events, true);
		}
	}
	AQ_CHECK(kills > 60);
	AQ_CHECK(!is_left_over(path));
	end(path);
}

AQ_TEST(stopped)
{
	const char *path = begin();
	static volatile sig_atomic_t stop = 1;
	struct aq_rewrite_options options = { .zstd_level = 9, .stop = &stop };
	struct aq_in_place_result result;
	struct fault_events events;
	struct aq_err err = { 0 };
	char wanted[4096];
	make(path, &events, true);
	describe_path(path, wanted, sizeof(wanted));
	AQ_CHECK_EQ_INT(aq_capture_rewrite_in_place(path, &options, &result, &err), -ECANCELED);
	AQ_CHECK_EQ_INT(result.replaced, 0);
	AQ_CHECK(!is_left_over(path));
	check(path, &events, wanted, "stopped");
	end(path);
}

/* A segment that was exchanged for one of another capture's making is no recompressed one. */
AQ_TEST(altered)
{
	const char *path = begin();
	struct aq_rewrite_options options = { .zstd_level = 9 };
	struct aq_in_place_result result;
	struct fault_events events;
	struct aq_evidence e;
	struct aq_err err = { 0 };
	char other[FOLDER_BYTES + 8], from[FOLDER_BYTES + 40], to[FOLDER_BYTES + 40];
	make(path, &events, true);
	snprintf(other, sizeof(other), "%s.b", path);
	make(other, &events, true);
	snprintf(from, sizeof(from), "%s/segment-000003.aqs", other);
	snprintf(to, sizeof(to), "%s/segment-000002.aqs", path);
	AQ_REQUIRE(aq_capture_rewrite_in_place(other, &options, &result, &err) == 0);
	AQ_REQUIRE(rename(from, to) == 0);
	AQ_REQUIRE(aq_evidence_check(path, NULL, &e, &err) == 0);
	AQ_CHECK(e.altered > 0);
	aq_evidence_release(&e);
	AQ_CHECK_EQ_INT(aq_capture_rewrite_in_place(path, &options, &result, &err), -EPERM);
	AQ_CHECK(strstr(err.text, "altered") != NULL);
	fault_remove(other);
	end(path);
}

AQ_TEST_MAIN()
