/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_segment aq_schema aq_base */
/* A synthetic source recorded into a real capture that the reader reads: events, attributes, gaps and the ledger. */
#include "format/segment/reader.h"
#include "recorder/calls.h"
#include "recorder/pipeline.h"
#include "recorder/source_synthetic.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/aq_test.h"

enum { EVENTS = 30000, SPREAD = 1000 };

static char folder[64], path[96];

static void remove_all(void)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	rmdir(path);
	rmdir(folder);
}

static void make_writer(struct aq_capture_writer **ret_writer)
{
	struct aq_capture_meta meta = { .host = "h", .kernel_release = "r", .kernel_version = "v", .machine = "m",
					.boot_id = "b", .recorder_version = "0", .command = "c", .features_json = "{}",
					.policy_json = "{}", .cpu_count = 2, .start_boot_ns = 1, .start_real_ns = 2,
					.clock_ticks = 100, .page_size = 4096 };
	struct aq_writer_options options = { .chunk_events = 4096 };
	struct aq_err err = { 0 };

	snprintf(folder, sizeof(folder), "/tmp/aquila-test-XXXXXX");
	AQ_REQUIRE(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/x.aquila", folder);
	AQ_REQUIRE(aq_capture_writer_new(path, &meta, &options, ret_writer, &err) == 0);
}

/* Event i of the stream, on both CPUs in turn: openat with a path, or close. */
static uint64_t produce(struct aq_source *src, uint64_t i)
{
	char text[24];
	struct aq_synthetic_attr attr = { .key = AQ_ATTR_PATH, .data = text };
	bool opens = i % 3 == 0;
	struct aq_synthetic_event e = {
		.cpu = i % 2,
		.cls = opens ? AQ_CLASS_IMPORTANT : AQ_CLASS_ORDINARY,
		.fixed = { .time_ns = 1000 + i * SPREAD, .event = opens ? AQ_EV_openat : AQ_EV_close, .pid = 7,
			   .tid = (uint32_t)(7 + i % 5), .ret = 3, .cgroup_id = 1, .args = { i } },
		.attrs = &attr,
		.attr_count = opens,
	};

	attr.len = (uint32_t)snprintf(text, sizeof(text), "/tmp/file%llu", (unsigned long long)(i % 100));
	return aq_synthetic_produce(src, &e);
}

static void check_events(struct aq_capture *c, uint64_t stored, bool whole)
{
	struct aq_event_iter *it;
	struct aq_event ev;
	uint64_t n = 0, last = 0;

	AQ_REQUIRE(aq_event_iter_new(c, &(struct aq_iter_options){ 0 }, &it, NULL) == 0);
	while (aq_event_iter_next(it, &ev, NULL) == 1) {
		uint64_t i = (ev.time_ns - 1000) / SPREAD;
		const struct aq_attr *a = aq_event_attr(&ev, AQ_ATTR_PATH);
		char text[24];
		int len = snprintf(text, sizeof(text), "/tmp/file%llu", (unsigned long long)(i % 100));

		AQ_CHECK(ev.time_ns > last);
		last = ev.time_ns;
		if (whole)
			AQ_REQUIRE(i == n);
		AQ_REQUIRE(ev.id == (i % 3 == 0 ? AQ_EV_openat : AQ_EV_close) && ev.cpu == i % 2 && ev.tid == 7 + i % 5);
		AQ_REQUIRE((a != NULL) == (i % 3 == 0));
		AQ_REQUIRE(a == NULL || (a->len == (uint32_t)len && memcmp(a->data, text, a->len) == 0));
		n++;
	}
	aq_event_iter_free(it);
	AQ_CHECK_EQ_U64(n, stored);
}

static void record(uint32_t parts, bool pausing, struct aq_pipeline_result *ret_result, uint64_t *ret_stored)
{
	struct aq_synthetic_options so = { .cpu_count = 2, .fixed_parts = parts, .attr_parts = parts };
	static uint8_t classes[AQ_WIRE_EVENTS];
	struct aq_pipeline_options po = { .class_of_event = classes, .start_ns = 1, .priority = -1, .report_ns = 1000000,
					  .failed_fd = -1 };
	struct aq_capture_writer *writer;
	struct aq_pipeline *p;
	struct aq_source *src;
	struct aq_err err = { 0 };

	aq_calls_classes(classes);
	make_writer(&writer);
	AQ_REQUIRE(aq_synthetic_new(&so, &src) == 0);
	AQ_REQUIRE(aq_pipeline_new(src, writer, &po, &p) == 0);
	AQ_REQUIRE(aq_pipeline_start(p, &err) == 0);
	*ret_stored = 0;
	for (uint64_t i = 0; i < EVENTS; i++) {
		*ret_stored += produce(src, i);
		if (i % 100 == 0)
			aq_synthetic_set_now(src, 1000 + i * SPREAD);
		if (pausing && i % 500 == 0)
			usleep(200);
	}
	aq_synthetic_set_now(src, 1000 + EVENTS * SPREAD);
	AQ_CHECK_EQ_INT(aq_pipeline_finish(p, ret_result, &err), 0);
	AQ_CHECK_EQ_STR(err.text, "");
	aq_pipeline_free(p);
	aq_capture_writer_free(writer);
	aq_source_free(src);
}

static void check_capture(uint64_t stored, bool whole)
{
	struct aq_verify_result verify;
	struct aq_capture *c;
	struct aq_err err = { 0 };
	const struct aq_gap *gaps;
	uint64_t lost = 0;
	size_t count;

	AQ_REQUIRE(aq_capture_open(path, &c, &err) == 0);
	AQ_REQUIRE(aq_capture_verify(c, &verify, NULL, NULL, &err) == 0);
	AQ_CHECK(verify.finished && verify.ledger_balances);
	AQ_CHECK_EQ_STR(verify.ledger_text, "");
	AQ_CHECK_EQ_U64(verify.produced, EVENTS);
	AQ_CHECK_EQ_U64(verify.stored, stored);
	AQ_CHECK_EQ_U64(verify.lost, EVENTS - stored);
	gaps = aq_capture_gaps(c, &count);
	for (size_t i = 0; i < count; i++) {
		AQ_CHECK_EQ_INT(gaps[i].reason, AQ_GAP_RING_FULL);
		AQ_CHECK(gaps[i].first_ns <= gaps[i].last_ns);
		lost += gaps[i].count;
	}
	AQ_CHECK_EQ_U64(lost, EVENTS - stored);
	check_events(c, stored, whole);
	aq_capture_close(c);
	remove_all();
}

AQ_TEST(whole)
{
	struct aq_pipeline_result result;
	uint64_t stored;

	record(8, true, &result, &stored);
	AQ_CHECK_EQ_U64(stored, EVENTS);
	AQ_CHECK(result.ledger.balances);
	check_capture(stored, true);
}

AQ_TEST(with_losses)
{
	struct aq_pipeline_result result;
	uint64_t stored;

	record(1, false, &result, &stored); /* without a pause: more than the rings hold, unless the drain is very quick */
	AQ_CHECK(result.ledger.balances);
	check_capture(stored, false);
}

AQ_TEST_MAIN()
