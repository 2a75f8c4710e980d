/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * A capture that is read while it is written: refreshed, it is what opening it anew gives, for a fraction of the bytes.
 */
#include <stdlib.h>

#include "tests/unit/fault_capture.h"

static char folder[64];

static const char *begin(void)
{
	static char path[128];
	snprintf(folder, sizeof(folder), "/tmp/aq_test_refresh.XXXXXX");
	AQ_REQUIRE(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/c.aquila", folder);
	return path;
}

static void end(const char *path)
{
	fault_remove(path);
	rmdir(folder);
}

/* The same events, chunks, gaps, totals and times. */
static void compare(struct aq_capture *a, struct aq_capture *b, const struct fault_events *events)
{
	const struct aq_capture_info *x = aq_capture_info(a), *y = aq_capture_info(b);
	size_t gaps_a, gaps_b, rows_a, rows_b, damages_a, damages_b;
	const struct aq_gap *g = aq_capture_gaps(a, &gaps_a), *h = aq_capture_gaps(b, &gaps_b);
	AQ_CHECK_EQ_U64(x->events, y->events);
	AQ_CHECK_EQ_U64(x->bytes, y->bytes);
	AQ_CHECK_EQ_U64(x->end_ns, y->end_ns);
	AQ_CHECK_EQ_U64(x->max_ns, y->max_ns);
	AQ_CHECK_EQ_INT(x->finished, y->finished);
	AQ_CHECK_EQ_INT(x->segment_count, y->segment_count);
	AQ_REQUIRE(x->chunk_count == y->chunk_count && gaps_a == gaps_b);
	for (size_t i = 0; i < gaps_a; i++)
		AQ_CHECK(g[i].first_ns == h[i].first_ns && g[i].last_ns == h[i].last_ns && g[i].reason == h[i].reason);
	aq_capture_ledger(a, &rows_a);
	aq_capture_ledger(b, &rows_b);
	AQ_CHECK_EQ_U64(rows_a, rows_b);
	aq_capture_damages(a, &damages_a);
	aq_capture_damages(b, &damages_b);
	AQ_CHECK_EQ_U64(damages_a, damages_b);
	for (uint32_t i = 0; i < x->chunk_count; i++) {
		const struct aq_chunk_info *p = aq_capture_chunk(a, i), *q = aq_capture_chunk(b, i);
		AQ_CHECK(p->offset == q->offset && p->events == q->events && p->min_ns == q->min_ns && p->max_ns == q->max_ns &&
			 p->min_pid == q->min_pid && p->max_pid == q->max_pid && p->bytes == q->bytes);
		AQ_CHECK_EQ_MEM(p->event_set, q->event_set, sizeof(p->event_set));
	}
	fault_check_events(a, events, false, "refreshed");
}

static void add(struct aq_capture_writer *w, struct fault_events *events, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		AQ_REQUIRE(fault_add(w, events, i, NULL) == 0);
	AQ_REQUIRE(fault_set_ledger(w, events, to, NULL) == 0);
	AQ_REQUIRE(aq_capture_writer_flush(w, NULL) == 0);
}

static void look(struct aq_capture **c, const char *path, const struct fault_events *events)
{
	struct aq_capture *fresh;
	struct aq_err err = { 0 };
	AQ_REQUIRE(aq_capture_refresh(c, NULL, &err) == 0);
	AQ_REQUIRE(aq_capture_open(path, &fresh, &err) == 0);
	compare(*c, fresh, events);
	aq_capture_close(fresh);
}

AQ_TEST(follow)
{
	const char *path = begin();
	struct fault_events events = { 0 };
	struct aq_writer_options options = { .on_lost = fault_lost, .user = &events };
	struct aq_capture_writer *w;
	struct aq_capture *c;
	AQ_REQUIRE(aq_capture_writer_new(path, &fault_meta, &options, &w, NULL) == 0);
	add(w, &events, 0, 50);
	AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	look(&c, path, &events); /* nothing is new */
	add(w, &events, 50, 60);
	look(&c, path, &events);
	AQ_CHECK_EQ_U64(aq_capture_info(c)->events, 60);
	AQ_REQUIRE(aq_capture_writer_rotate(w, FAULT_START + 60 * FAULT_STEP, NULL) == 0);
	add(w, &events, 60, 100);
	add(w, &events, 100, 120);
	look(&c, path, &events);
	AQ_CHECK_EQ_INT(aq_capture_info(c)->segment_count, 2);
	AQ_REQUIRE(aq_capture_writer_rotate(w, FAULT_START + 120 * FAULT_STEP, NULL) == 0);
	AQ_REQUIRE(aq_capture_writer_rotate(w, FAULT_START + 120 * FAULT_STEP, NULL) == 0);
	add(w, &events, 120, FAULT_EVENTS);
	look(&c, path, &events);
	AQ_REQUIRE(aq_capture_writer_close(w, NULL) == 0);
	look(&c, path, &events);
	AQ_CHECK(aq_capture_info(c)->finished);
	aq_capture_writer_free(w);
	end(path);
	AQ_CHECK(aq_capture_refresh(&c, NULL, NULL) < 0); /* gone: what was read is still there */
	fault_check_events(c, &events, false, "gone");
	aq_capture_close(c);
}

/* Another file of the same name: nothing is taken for known that is not. */
AQ_TEST(exchanged)
{
	const char *path = begin();
	struct fault_events events = { 0 };
	struct aq_writer_options options = { .on_lost = fault_lost, .user = &events };
	struct aq_capture_writer *w;
	struct aq_capture *c;
	AQ_REQUIRE(aq_capture_writer_new(path, &fault_meta, &options, &w, NULL) == 0);
	add(w, &events, 0, 50);
	add(w, &events, 50, 100);
	aq_capture_writer_free(w);
	AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	fault_remove(path);
	memset(&events, 0, sizeof(events));
	AQ_REQUIRE(aq_capture_writer_new(path, &fault_meta, &options, &w, NULL) == 0);
	for (unsigned i = 100; i < 150; i++)
		events.fate[i] = FAULT_NOT_TAKEN;
	add(w, &events, 150, 200);
	add(w, &events, 200, 250);
	look(&c, path, &events);
	aq_capture_close(c);
	aq_capture_writer_free(w);
	end(path);
}

/* Many chunks of many texts: a look at one more reads little. */
AQ_TEST(little_is_read)
{
	const char *path = begin();
	struct aq_writer_options options = { .zstd_level = 1 };
	struct aq_capture_stats opened, looked;
	struct aq_capture_writer *w;
	struct aq_capture *c, *again;
	uint64_t noise = 88172645463325252ull;
	AQ_REQUIRE(aq_capture_writer_new(path, &fault_meta, &options, &w, NULL) == 0);
	for (unsigned i = 0; i < 40000; i++) {
		struct aq_event ev = { .time_ns = FAULT_START + i * 1000ull, .pid = 7, .tid = 7, .id = AQ_EV_read, .nr = 0,
				       .cls = AQ_CLASS_BULK, .arg_count = 3 };
		noise ^= noise << 13;
		noise ^= noise >> 7;
		noise ^= noise << 17;
		ev.args[2] = noise;
		ev.ret = (int64_t)(noise >> 20 & 0xffffff);
		AQ_REQUIRE(aq_capture_writer_add(w, &ev, NULL) == 0);
		if (i % 4000 == 3999)
			AQ_REQUIRE(aq_capture_writer_flush(w, NULL) == 0);
		if (i == 35999)
			AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	}
	AQ_REQUIRE(aq_capture_refresh(&c, NULL, NULL) == 0);
	aq_capture_stats(c, &looked);
	AQ_REQUIRE(aq_capture_open(path, &again, NULL) == 0);
	aq_capture_stats(again, &opened);
	AQ_CHECK_EQ_U64(aq_capture_info(c)->events, 40000);
	AQ_CHECK(looked.read_bytes * 5 < opened.read_bytes);
	aq_capture_close(again);
	aq_capture_close(c);
	aq_capture_writer_free(w);
	end(path);
}

AQ_TEST_MAIN()
