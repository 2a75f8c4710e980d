/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * Durations of system calls: what is written is read back, known or unknown, at every resolution and through every way
 * that gives them; bytes that make no sense are damage; and who has none pays nothing.
 */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/segment/columns.h"
#include "format/segment/layout.h"
#include "format/segment/reader.h"
#include "format/segment/writer.h"
#include "tests/unit/aq_test.h"

enum { EVENTS = 3000, CHUNK_EVENTS = 700, CODEC_VALUES = 4000 };

static uint64_t random_state;

static uint64_t rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Of every size, and at the edges of sizes. */
static uint64_t some_ns(void)
{
	uint64_t v = rnd() >> (rnd() % 64);
	return rnd() % 4 ? v : (1ull << (v % 64)) + rnd() % 3 - 1;
}

struct packed {
	struct aq_buf classes, bits;
};

static struct packed encode(const uint64_t *distance, const uint64_t *duration, uint32_t count)
{
	struct packed p;
	aq_buf_init(&p.classes, 1 << 20);
	aq_buf_init(&p.bits, 1 << 20);
	aq_durations_encode(distance, duration, count, &p.classes, &p.bits);
	AQ_REQUIRE(!p.classes.failed && !p.bits.failed && p.classes.len == count);
	return p;
}

static void release(struct packed *p)
{
	aq_buf_release(&p->classes);
	aq_buf_release(&p->bits);
}

AQ_TEST(any_durations_come_back)
{
	static uint64_t distance[CODEC_VALUES], duration[CODEC_VALUES], back[CODEC_VALUES];
	random_state = 11;
	for (unsigned round = 0; round < 50; round++) {
		uint32_t count = 1 + (uint32_t)(rnd() % CODEC_VALUES);
		for (uint32_t i = 0; i < count; i++) {
			distance[i] = some_ns();
			duration[i] = rnd() % 5 == 0 ? 0 : rnd() % 2 ? some_ns() : distance[i] - rnd() % 1000; /* + 1 */
		}
		struct packed p = encode(distance, duration, count);
		AQ_CHECK(aq_durations_decode(p.classes.data, p.bits.data, p.bits.len, distance, back, count));
		AQ_CHECK_EQ_MEM(back, duration, count * sizeof(*back));
		AQ_CHECK(aq_durations_decode(p.classes.data, p.bits.data, p.bits.len, distance, distance, count)); /* in place */
		AQ_CHECK_EQ_MEM(distance, duration, count * sizeof(*back));
		release(&p);
	}
}

AQ_TEST(of_a_call_that_fills_its_time_the_rest_is_kept)
{
	/* a second of waiting 100 ns after the call before: as cheap as 100 ns */
	const uint64_t distance = 1000000100, waited = 1000000000 + 1, short_call = 100 + 1;
	struct packed p = encode(&distance, &waited, 1), q = encode(&distance, &short_call, 1);
	AQ_CHECK_EQ_U64(p.bits.len, q.bits.len);
	AQ_CHECK_EQ_U64(p.bits.len, 1);
	AQ_CHECK(p.classes.data[0] == q.classes.data[0] + 128);
	release(&p);
	release(&q);
}

AQ_TEST(senseless_durations_are_refused)
{
	const uint64_t distance = 5000, duration = 4000 + 1, longer = 40000 + 1;
	uint64_t back;
	struct packed p = encode(&distance, &duration, 1), q = encode(&distance, &longer, 1);
	const uint64_t nearer = 10;
	/* a rest of 1000, where the distance is only 10 */
	AQ_CHECK(aq_durations_decode(p.classes.data, p.bits.data, p.bits.len, &distance, &back, 1) && back == duration);
	AQ_CHECK(!aq_durations_decode(p.classes.data, p.bits.data, p.bits.len, &nearer, &back, 1));
	/* bits that are cut, and bits too many */
	AQ_CHECK(aq_durations_decode(q.classes.data, q.bits.data, q.bits.len, &distance, &back, 1) && back == longer);
	AQ_CHECK(!aq_durations_decode(q.classes.data, q.bits.data, q.bits.len - 1, &distance, &back, 1));
	aq_buf_put_u8(&q.bits, 0);
	AQ_CHECK(!aq_durations_decode(q.classes.data, q.bits.data, q.bits.len, &distance, &back, 1));
	q.bits.len--;
	q.bits.data[q.bits.len - 1] |= 0x80; /* what fills the last byte */
	AQ_CHECK(!aq_durations_decode(q.classes.data, q.bits.data, q.bits.len, &distance, &back, 1));
	/* a duration of 2^64 - 1 could not be told from none */
	const uint8_t classes = 1 + 127, ones[8] = { 255, 255, 255, 255, 255, 255, 255, 63 };
	AQ_CHECK(!aq_durations_decode(&classes, ones, sizeof(ones), &distance, &back, 1));
	release(&p);
	release(&q);
}

static char folder[64];

static const char *capture_path(const char *name)
{
	static char path[160];
	if (!folder[0]) {
		strcpy(folder, "/tmp/aquila-durations-XXXXXX");
		AQ_REQUIRE(mkdtemp(folder) != NULL);
	}
	snprintf(path, sizeof(path), "%s/%s.aquila", folder, name);
	return path;
}

static void remove_capture(const char *path)
{
	char file[500];
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		unlink(file);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
	if (rmdir(folder) == 0)
		folder[0] = '\0';
}

/* Calls of five threads, one after the other; every seventh has no duration. The third chunk has none at all. */
static struct aq_event *make_events(bool with_durations)
{
	static const uint16_t ids[] = { AQ_EV_read, AQ_EV_close, AQ_EV_futex, AQ_EV_openat, AQ_EV_proc_fork };
	struct aq_event *all = calloc(EVENTS, sizeof(*all));
	uint64_t now = 1000000;
	AQ_REQUIRE(all != NULL);
	random_state = 99;
	for (uint32_t i = 0; i < EVENTS; i++) {
		struct aq_event *ev = &all[i];
		uint64_t ns = some_ns() >> 16;
		if (rnd() % 3)
			ns %= 200000;
		now += rnd() % 100000;
		*ev = (struct aq_event){ .time_ns = now, .id = ids[rnd() % 5], .pid = 10 + (uint32_t)(rnd() % 5), .cls = AQ_CLASS_BULK };
		ev->tid = ev->pid;
		ev->cls = aq_schema_event(ev->id)->cls;
		ev->arg_count = (uint8_t)aq_schema_number_count(aq_schema_event(ev->id));
		ev->has_duration = with_durations && i / CHUNK_EVENTS != 2 && ev->id != AQ_EV_proc_fork && i % 7;
		ev->duration_ns = ev->has_duration ? ns : 0;
	}
	return all;
}

static uint64_t write_capture(const char *path, const struct aq_event *all, uint32_t resolution_ns)
{
	static const struct aq_capture_meta meta = {
		.host = "h", .kernel_release = "6", .kernel_version = "1", .machine = "x86_64", .boot_id = "b",
		.recorder_version = "0", .command = "", .features_json = "{}", .policy_json = "{}", .capture_id = { 7 },
		.cpu_count = 1, .start_boot_ns = 1000, .start_real_ns = 5000, .clock_ticks = 100, .page_size = 4096,
	};
	const struct aq_writer_options options = { .chunk_events = CHUNK_EVENTS, .time_resolution_ns = resolution_ns };
	struct aq_capture_writer *w = NULL;
	struct aq_err err = { 0 };
	AQ_REQUIRE(aq_capture_writer_new(path, &meta, &options, &w, &err) == 0);
	for (uint32_t i = 0; i < EVENTS; i++)
		AQ_REQUIRE(aq_capture_writer_add(w, &all[i], &err) == 0);
	AQ_REQUIRE(aq_capture_writer_close(w, &err) == 0);
	uint64_t bytes = aq_capture_writer_stats(w)->bytes_written;
	aq_capture_writer_free(w);
	return bytes;
}

static void check_events(struct aq_capture *c, const struct aq_event *all, uint32_t resolution_ns)
{
	struct aq_event_iter *it = NULL;
	struct aq_event ev;
	uint32_t i = 0;
	AQ_REQUIRE(aq_event_iter_new(c, &(struct aq_iter_options){ 0 }, &it, NULL) == 0);
	for (; aq_event_iter_next(it, &ev, NULL) == 1 && i < EVENTS; i++) {
		if (resolution_ns == 1) /* else neighbours may have become simultaneous */
			AQ_CHECK(ev.time_ns == all[i].time_ns && ev.tid == all[i].tid);
		if (ev.tid != all[i].tid || ev.id != all[i].id)
			continue;
		AQ_CHECK_EQ_INT(ev.has_duration, all[i].has_duration);
		AQ_CHECK_EQ_U64(ev.duration_ns, all[i].duration_ns / resolution_ns * resolution_ns);
		AQ_CHECK_EQ_INT(ev.flags, 0);
	}
	AQ_CHECK_EQ_U64(i, EVENTS);
	aq_event_iter_free(it);
}

/* The same through columns, by number and by name. */
static void check_columns(struct aq_capture *c, const struct aq_event *all)
{
	static const char *const names[] = { "duration", "time" };
	for (uint32_t k = 0, at = 0; k < aq_capture_info(c)->chunk_count; k++) {
		struct aq_chunk *chunk = NULL;
		struct aq_columns *columns = NULL;
		AQ_REQUIRE(aq_chunk_load(c, k, AQ_COL_DURATION | AQ_COL_TIME, &chunk, NULL) == 0);
		AQ_REQUIRE(aq_columns_load(c, k, names, 2, &columns, NULL) == 0);
		const uint64_t *by_name = aq_columns_get(columns, 0)->values;
		AQ_CHECK_EQ_MEM(by_name, chunk->duration_ns, chunk->events * sizeof(*by_name));
		for (uint32_t i = 0; i < chunk->events; i++) {
			const struct aq_event *ev = &all[at];
			while (ev < all + EVENTS && ev->time_ns != chunk->time_ns[i])
				ev++;
			AQ_REQUIRE(ev < all + EVENTS);
			AQ_CHECK_EQ_U64(chunk->duration_ns[i], ev->has_duration ? ev->duration_ns : AQ_DURATION_UNKNOWN);
		}
		at += chunk->events;
		aq_columns_free(columns);
		aq_chunk_free(chunk);
		AQ_REQUIRE(aq_chunk_load(c, k, AQ_COL_DURATION, &chunk, NULL) == 0);
		AQ_CHECK(chunk->time_ns == NULL && chunk->duration_ns != NULL);
		aq_chunk_free(chunk);
	}
}

AQ_TEST(events_keep_their_durations)
{
	static const uint32_t resolutions[] = { 1, 64, 1024 };
	struct aq_event *all = make_events(true);
	for (unsigned k = 0; k < 3; k++) {
		const char *path = capture_path("kept");
		struct aq_capture *c = NULL;
		struct aq_verify_result v;
		write_capture(path, all, resolutions[k]);
		AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
		check_events(c, all, resolutions[k]);
		if (resolutions[k] == 1)
			check_columns(c, all);
		AQ_CHECK_EQ_INT(aq_capture_verify(c, &v, NULL, NULL, NULL), 0);
		AQ_CHECK_EQ_U64(v.damages, 0);
		aq_capture_close(c);
		remove_capture(path);
	}
	free(all);
}

AQ_TEST(who_has_none_pays_nothing)
{
	struct aq_event *with = make_events(true), *without = make_events(false);
	for (uint32_t i = 0; i < EVENTS; i++) {
		AQ_REQUIRE(with[i].time_ns == without[i].time_ns && !without[i].has_duration);
		without[i].duration_ns = with[i].duration_ns; /* not known, and so not looked at */
	}
	const char *path = capture_path("none");
	uint64_t bytes = write_capture(path, without, 1);
	struct aq_capture *c = NULL;
	AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	for (uint32_t i = 0; i < EVENTS; i++)
		without[i].duration_ns = 0;
	check_events(c, without, 1);
	check_columns(c, without);
	aq_capture_close(c);
	remove_capture(path);
	path = capture_path("zero");
	AQ_CHECK_EQ_U64(write_capture(path, without, 1), bytes);
	remove_capture(path);
	path = capture_path("some");
	AQ_CHECK(write_capture(path, with, 1) > bytes + EVENTS / 2);
	remove_capture(path);
	free(with);
	free(without);
}

AQ_TEST_MAIN()
