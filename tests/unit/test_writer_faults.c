/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/* aq-wrap: pwrite ftruncate fdatasync fsync openat mkdir close */
/*
 * Every call that the writer makes to the disk fails once, or from then on, with no space, an I/O error, or a short
 * write: what was whole is read back exactly, what is missing was told, and writing goes on when it can.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "tests/unit/fault_capture.h"

static struct {
	bool armed, lasting, short_write;
	unsigned calls, fail_at, failed;
	int error;
} fault;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* room is made ahead by a thread of the writer's */

static bool fails(void)
{
	bool bad = false;
	pthread_mutex_lock(&lock);
	if (fault.armed) {
		fault.calls++;
		bad = fault.calls == fault.fail_at || (fault.lasting && fault.calls > fault.fail_at);
		fault.failed += bad;
	}
	pthread_mutex_unlock(&lock);
	if (bad)
		errno = fault.error;
	return bad;
}

static void arm(bool armed)
{
	pthread_mutex_lock(&lock);
	if (armed)
		fault.calls = fault.failed = 0;
	fault.armed = armed;
	pthread_mutex_unlock(&lock);
}

ssize_t __real_pwrite(int fd, const void *data, size_t n, off_t offset);
int __real_ftruncate(int fd, off_t size);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_openat(int dir, const char *path, int flags, ...);
int __real_mkdir(const char *path, mode_t mode);
int __real_close(int fd);
ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t offset);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_close(int fd);

ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t offset)
{
	if (!fails())
		return __real_pwrite(fd, data, n, offset);
	if (fault.short_write && n > 1)
		return __real_pwrite(fd, data, n / 2, offset);
	return -1;
}

int __wrap_ftruncate(int fd, off_t size)
{
	return fails() ? -1 : __real_ftruncate(fd, size);
}

int __wrap_fdatasync(int fd)
{
	return fails() ? -1 : __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
	return fails() ? -1 : __real_fsync(fd);
}

int __wrap_openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = va_arg(ap, mode_t);
	va_end(ap);
	return fails() ? -1 : __real_openat(dir, path, flags, mode);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	return fails() ? -1 : __real_mkdir(path, mode);
}

int __wrap_close(int fd)
{
	bool bad = fails();
	int r = __real_close(fd); /* the kernel has closed it even if it says that it could not */
	if (bad)
		errno = fault.error;
	return bad ? -1 : r;
}

static char folder[64], path[96];

static void make_folder(void)
{
	strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/aquila-faults-XXXXXX" : "/tmp/aquila-faults-XXXXXX");
	AQ_REQUIRE(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/x.aquila", folder);
}

struct outcome {
	struct fault_events events;
	struct aq_err err; /* of the first failure */
	bool made, closed;
	unsigned failures;
};

/* A failed call: the first one's sentence is kept; the writer is asked to go on. */
static void failed(struct aq_capture_writer *w, struct outcome *o, const struct aq_err *err)
{
	if (!o->failures++)
		o->err = *err;
	AQ_CHECK(err->code < 0 && strstr(err->text, path) != NULL);
	struct aq_err again = { 0 };
	int r = aq_capture_writer_resume(w, &again);
	AQ_CHECK(r == 0 || (r == again.code && strstr(again.text, path) != NULL));
}

static struct outcome *record(enum aq_sync sync)
{
	struct outcome *o = calloc(1, sizeof(*o));
	struct aq_capture_writer *w = NULL;
	struct aq_err err = { 0 };
	AQ_REQUIRE(o != NULL);
	struct aq_writer_options options = { .chunk_events = 50, .segment_bytes = 6000, .sync = sync, .on_lost = fault_lost,
					     .user = &o->events };
	arm(true);
	int r = aq_capture_writer_new(path, &fault_meta, &options, &w, &err);
	o->made = r == 0;
	if (r < 0) {
		o->failures++;
		o->err = err;
		AQ_CHECK(strstr(err.text, path) != NULL);
	}
	for (unsigned i = 0; i < FAULT_EVENTS && o->made; i++) {
		if (fault_add(w, &o->events, i, &err) < 0)
			failed(w, o, &err);
		if (i % 40 == 39 && aq_capture_writer_commit(w, &err) < 0)
			failed(w, o, &err);
		if (i % 130 == 129 && (fault_set_ledger(w, &o->events, 0, &err) < 0 || aq_capture_writer_flush(w, &err) < 0))
			failed(w, o, &err);
	}
	if (o->made && aq_capture_writer_flush(w, &err) < 0) /* first, so that the totals can be known */
		failed(w, o, &err);
	if (o->made) {
		r = fault_set_ledger(w, &o->events, FAULT_EVENTS, &err);
		r = r < 0 ? r : aq_capture_writer_close(w, &err);
		o->closed = r == 0;
		if (r < 0) {
			failed(w, o, &err);
			o->closed = fault_set_ledger(w, &o->events, FAULT_EVENTS, NULL) == 0 && aq_capture_writer_close(w, NULL) == 0;
		}
	}
	arm(false);
	aq_capture_writer_free(w);
	return o;
}

static void check(const struct outcome *o, const char *what)
{
	struct aq_capture *c = NULL;
	struct aq_verify_result v;
	struct aq_err err = { 0 };
	if (!o->made) {
		AQ_CHECK(access(path, F_OK) != 0 || rmdir(path) == 0 || fault.lasting); /* nothing like a capture is left */
		return;
	}
	int r = aq_capture_open(path, &c, &err);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", what, err.text);
		AQ_CHECK(r == 0);
		return;
	}
	/* what reached the file before the call that brings it to the disk failed, and could not be cut off either */
	fault_check_events(c, &o->events, fault.lasting, what);
	AQ_CHECK_EQ_INT(aq_capture_verify(c, &v, NULL, NULL, &err), 0);
	/* a torn block that could not be cut off is damage, and nothing else is */
	bool torn = fault.lasting || fault.short_write;
	if (v.damages && !torn)
		fprintf(stderr, "%s: damaged\n", what);
	AQ_CHECK(v.damages == 0 || torn);
	if (o->closed) {
		if (!v.ledger_balances)
			fprintf(stderr, "%s: %s\n", what, v.ledger_text);
		AQ_CHECK(v.ledger_balances);
	} else {
		AQ_CHECK(!v.finished || o->failures);
	}
	aq_capture_close(c);
}

/* Fails the Nth call, for every N there is. */
static void every_call(enum aq_sync sync, int error, bool lasting, bool short_write)
{
	unsigned n = 0, told = 0;
	make_folder();
	for (bool more = true; more; ) {
		char what[100];
		fault.fail_at = ++n;
		fault.error = error;
		fault.lasting = lasting;
		fault.short_write = short_write;
		struct outcome *o = record(sync);
		snprintf(what, sizeof(what), "call %u: error %d%s%s", n, error, lasting ? " from then on" : "", short_write ? ", short" : "");
		check(o, what);
		if (fault.failed && !short_write && o->failures) {
			told++;
			AQ_CHECK_EQ_INT(o->err.code, -error);
		}
		if (lasting && o->made && fault.failed > 30)
			AQ_CHECK(o->failures > 0);
		more = fault.failed > 0;
		if (!more) /* nothing failed: nothing may be missing */
			for (unsigned i = 0; i < FAULT_EVENTS; i++)
				AQ_CHECK_EQ_INT(o->events.fate[i], FAULT_TAKEN);
		free(o);
		fault_remove(path);
	}
	AQ_CHECK(n > 30);
	AQ_CHECK(short_write || told > n / 3);
	rmdir(folder);
}

AQ_TEST(each_call_fails_once_with_no_space)
{
	every_call(AQ_SYNC_VITAL, ENOSPC, false, false);
}

AQ_TEST(each_call_fails_once_with_an_io_error)
{
	every_call(AQ_SYNC_VITAL, EIO, false, false);
	every_call(AQ_SYNC_SEGMENT, EIO, false, false);
}

AQ_TEST(all_calls_fail_from_one_on)
{
	every_call(AQ_SYNC_VITAL, ENOSPC, true, false);
	every_call(AQ_SYNC_CHUNK, EIO, true, false);
}

AQ_TEST(each_write_is_short)
{
	every_call(AQ_SYNC_NONE, EIO, false, true);
}

AQ_TEST_MAIN()
