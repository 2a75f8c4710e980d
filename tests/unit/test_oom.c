/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_index aq_segment aq_schema aq_base */
/* aq-wrap: malloc calloc realloc */
/*
 * Every allocation of writing, reading, verifying, rewriting and indexing a capture fails once: each ends with -ENOMEM and a
 * sentence, nothing crashes, nothing leaks, and the next try works.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "format/index/index.h"
#include "format/segment/evidence.h"
#include "format/segment/rewrite.h"
#include "tests/unit/fault_capture.h"

static struct {
	bool armed;
	unsigned calls, fail_at;
} fault;

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);

static bool fails(void)
{
	return fault.armed && ++fault.calls == fault.fail_at;
}

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
	return fails() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	char name[512];
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));) {
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		unlink(name);
	}
	closedir(dir);
	rmdir(path);
}

static const char *path_of(const char *name)
{
	static char path[2][64];
	static unsigned turn;
	turn ^= 1;
	snprintf(path[turn], sizeof(path[turn]), "/dev/shm/aquila-oom-%d-%s", (int)getpid(), name);
	return path[turn];
}

static int write_it(struct aq_err *err)
{
	struct fault_events events = { { 0 } };
	struct aq_writer_options options = { .chunk_events = 64, .segment_bytes = 6000 };
	struct aq_ledger_row row = { .cpu = 0, .cls = AQ_CLASS_VITAL, .produced = 1, .lost = 1 };
	struct aq_gap gap = { .first_ns = 1, .last_ns = 2, .count = 1, .reason = AQ_GAP_RING_FULL };
	struct aq_capture_writer *w = NULL;
	const char *path = path_of("written");
	remove_folder(path);
	int r = aq_capture_writer_new(path, &fault_meta, &options, &w, err);
	for (unsigned i = 0; r == 0 && i < FAULT_EVENTS; i++)
		r = fault_add(w, &events, i, err);
	r = r < 0 ? r : aq_capture_writer_add_gap(w, &gap, err);
	r = r < 0 ? r : aq_capture_writer_set_ledger(w, &row, 1, 5, 6, err);
	r = r < 0 ? r : aq_capture_writer_close(w, err);
	aq_capture_writer_free(w);
	return r;
}

static int read_it(struct aq_err *err)
{
	struct aq_capture *c = NULL;
	struct aq_event_iter *it = NULL;
	struct aq_verify_result v;
	struct aq_event ev;
	int r = aq_capture_open(path_of("source"), &c, err);
	r = r < 0 ? r : aq_event_iter_new(c, &(struct aq_iter_options){ 0 }, &it, err);
	unsigned n = 0;
	while (r >= 0 && (r = aq_event_iter_next(it, &ev, err)) > 0)
		n++;
	if (r == 0)
		AQ_CHECK_EQ_INT(n, FAULT_EVENTS);
	for (uint32_t i = 0; r == 0 && i < aq_capture_info(c)->chunk_count; i++) {
		uint64_t by_id[AQ_EVENT_ID_MAX] = { 0 };
		struct aq_chunk *chunk = NULL;
		r = aq_chunk_count(c, i, by_id, err);
		r = r < 0 ? r : aq_chunk_load(c, i, AQ_COL_ID | AQ_COL_TIME | AQ_COL_THREAD | AQ_COL_CPU | AQ_COL_RET, &chunk, err);
		aq_chunk_free(chunk);
	}
	r = r < 0 ? r : aq_capture_verify(c, &v, NULL, NULL, err);
	aq_event_iter_free(it);
	aq_capture_close(c);
	return r;
}

static int prove_it(struct aq_err *err)
{
	struct aq_evidence e = { 0 };
	int r = aq_evidence_check(path_of("source"), NULL, &e, err);
	aq_evidence_release(&e);
	return r;
}

static int rewrite_it(struct aq_err *err)
{
	struct aq_rewrite_options options = { .how = "salvage" };
	struct aq_rewrite_result result;
	struct aq_capture *c = NULL;
	const char *to = path_of("rewritten");
	remove_folder(to);
	int r = aq_capture_open(path_of("source"), &c, err);
	r = r < 0 ? r : aq_capture_rewrite(c, to, &options, &result, err);
	aq_capture_close(c);
	return r;
}

static int index_it(struct aq_err *err)
{
	return aq_index_build(path_of("source"), NULL, NULL, err);
}

static void make_source(void)
{
	struct aq_err err = { 0 };
	AQ_REQUIRE(write_it(&err) == 0);
	remove_folder(path_of("source"));
	AQ_REQUIRE(rename(path_of("written"), path_of("source")) == 0);
}

static void fail_each(const char *what, int (*run)(struct aq_err *err))
{
	unsigned n = 0, quiet = 0;
	bool failed = true;
	make_source();
	for (n = 1; failed && n < 100000; n++) {
		struct aq_err err = { 0 };
		fault.calls = 0;
		fault.fail_at = n;
		fault.armed = true;
		int r = run(&err);
		fault.armed = false;
		failed = fault.calls >= n;
		if (failed && r == 0)
			quiet++; /* done without it */
		else if (failed && (r != -ENOMEM || !err.text[0]))
			AQ_TEST_FAIL_("%s: allocation %u failed, and that is %d: '%s'", what, n, r, err.text);
		else if (!failed && r != 0)
			AQ_TEST_FAIL_("%s: nothing failed, and that is %d: '%s'", what, r, err.text);
	}
	AQ_CHECK(n > 4);
	AQ_CHECK_EQ_INT(quiet, 0);
	remove_folder(path_of("source"));
	remove_folder(path_of("written"));
	remove_folder(path_of("rewritten"));
	printf("%s: %u allocations\n", what, n - 2);
}

AQ_TEST(writing)
{
	fail_each("writing", write_it);
}

AQ_TEST(reading_and_verifying)
{
	fail_each("reading", read_it);
}

AQ_TEST(chain_and_manifest)
{
	fail_each("evidence", prove_it);
}

AQ_TEST(writing_again)
{
	fail_each("rewriting", rewrite_it);
}

AQ_TEST(indexing)
{
	fail_each("indexing", index_it);
}

AQ_TEST_MAIN()
