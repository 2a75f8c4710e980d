/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_segment aq_schema aq_base */
/*
 * A dump of real rings (tests/corpus/rings, made by aquilad --dump-rings) through the whole recorder into a capture: the
 * same events come out whatever the sizes of rings and spool and whichever thread is faster. And dumps that are broken.
 */
#include "format/segment/reader.h"
#include "recorder/calls.h"
#include "recorder/pipeline.h"
#include "recorder/source_dump.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/aq_test.h"

enum { ROUNDS = 6, AT_ONCE = 50 };

static char folder[64], path[96], dump[512], file[96];

static const char *dump_path(void)
{
	const char *source = getenv("AQ_SRC");

	snprintf(dump, sizeof(dump), "%s/tests/corpus/rings/small.rings", source != NULL ? source : ".");
	return dump;
}

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/aquila-test-XXXXXX");
	AQ_REQUIRE(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/x.aquila", folder);
	snprintf(file, sizeof(file), "%s/dump", folder);
}

static void remove_all(void)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	(void)rmdir(path);
	(void)unlink(file);
	rmdir(folder);
}

static uint64_t add(uint64_t digest, const void *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		digest = (digest ^ ((const uint8_t *)data)[i]) * 0x100000001b3;
	return digest;
}

/* All that is in the capture, in its order. */
static uint64_t digest_of(uint64_t *ret_events, uint64_t *ret_attrs)
{
	struct aq_event_iter *it;
	struct aq_capture *c;
	struct aq_event ev;
	uint64_t digest = 0xcbf29ce484222325, last = 0;
	struct aq_err err = { 0 };

	*ret_events = *ret_attrs = 0;
	AQ_REQUIRE(aq_capture_open(path, &c, &err) == 0);
	AQ_REQUIRE(aq_event_iter_new(c, &(struct aq_iter_options){ 0 }, &it, NULL) == 0);
	while (aq_event_iter_next(it, &ev, NULL) == 1) {
		uint32_t ids[5] = { ev.pid, ev.tid, ev.id, ev.cpu, ev.flags };

		AQ_CHECK(ev.time_ns >= last);
		last = ev.time_ns;
		digest = add(digest, &ev.time_ns, sizeof(ev.time_ns));
		digest = add(digest, &ev.ret, sizeof(ev.ret));
		digest = add(digest, ids, sizeof(ids));
		digest = add(digest, ev.args, sizeof(ev.args[0]) * ev.arg_count);
		for (uint32_t i = 0; i < ev.attr_count; i++)
			digest = add(digest, ev.attrs[i].data, ev.attrs[i].len);
		++*ret_events;
		*ret_attrs += ev.attr_count > 0;
	}
	aq_event_iter_free(it);
	aq_capture_close(c);
	return digest;
}

static void *feed(void *player)
{
	int r;

	while ((r = aq_ring_player_step(player, AT_ONCE)) != 0)
		if (r == -EAGAIN)
			sched_yield();
	return NULL;
}

static void record(const char *from, uint32_t fixed_parts, uint32_t attr_parts, bool vital, struct aq_pipeline_result *ret_result,
		   struct aq_ring_player_stats *ret_stats)
{
	struct aq_capture_meta meta = { .host = "h", .kernel_release = "r", .kernel_version = "v", .machine = "m",
					.boot_id = "b", .recorder_version = "0", .command = "c", .features_json = "{}",
					.policy_json = "{}", .cpu_count = 2, .start_boot_ns = 1, .start_real_ns = 2,
					.clock_ticks = 100, .page_size = 4096 };
	struct aq_writer_options wo = { .chunk_events = 128, .sync = vital ? AQ_SYNC_VITAL : AQ_SYNC_NONE };
	static uint8_t classes[AQ_WIRE_EVENTS];
	struct aq_pipeline_options po = { .class_of_event = classes, .start_ns = 1, .priority = -1, .report_ns = 1000000,
					  .sleep_min_us = 20, .sleep_max_us = 100, .failed_fd = -1, .vital = vital };
	struct aq_capture_writer *writer;
	struct aq_ring_player *player;
	struct aq_pipeline *p;
	struct aq_err err = { 0 };
	pthread_t feeder;

	aq_calls_classes(classes);
	if (aq_ring_player_open(from, fixed_parts, attr_parts, &player, &err) < 0)
		printf("%s\n", err.text);
	AQ_REQUIRE(err.code == 0);
	AQ_REQUIRE(aq_capture_writer_new(path, &meta, &wo, &writer, &err) == 0);
	AQ_REQUIRE(aq_pipeline_new(aq_ring_player_source(player), writer, &po, &p) == 0);
	AQ_REQUIRE(aq_pipeline_start(p, &err) == 0);
	AQ_REQUIRE(pthread_create(&feeder, NULL, feed, player) == 0);
	pthread_join(feeder, NULL);
	AQ_CHECK_EQ_INT(aq_pipeline_finish(p, ret_result, &err), 0);
	*ret_stats = aq_ring_player_stats(player);
	aq_pipeline_free(p);
	aq_capture_writer_free(writer);
	aq_ring_player_free(player);
}

AQ_TEST(recorded_again_and_again)
{
	static const struct { uint32_t fixed_parts, attr_parts; bool vital; } shapes[ROUNDS] = {
		{ 1, 1, false }, { 4, 4, false }, { 1, 2, true }, { 2, 1, false }, { 8, 1, true }, { 1, 1, false },
	};
	uint64_t first = 0;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct aq_pipeline_result result;
		struct aq_ring_player_stats stats;
		uint64_t digest, events, attrs;

		make_folder();
		record(dump_path(), shapes[i].fixed_parts, shapes[i].attr_parts, shapes[i].vital, &result, &stats);
		AQ_CHECK(result.ledger.balances);
		AQ_CHECK(stats.records > 500 && stats.with_attr > 100);
		AQ_CHECK_EQ_U64(stats.missing, 0);
		AQ_CHECK_EQ_U64(result.events, stats.records);
		AQ_CHECK_EQ_U64(result.orphans + result.damaged, 0);
		digest = digest_of(&events, &attrs);
		AQ_CHECK_EQ_U64(events, stats.records);
		AQ_CHECK_EQ_U64(attrs, stats.with_attr);
		if (i == 0)
			first = digest;
		AQ_CHECK_EQ_U64(digest, first);
		remove_all();
	}
}

static uint8_t *load(size_t *ret_bytes)
{
	FILE *f = fopen(dump_path(), "r");
	uint8_t *p = malloc(1 << 20);

	AQ_REQUIRE(f != NULL && p != NULL);
	*ret_bytes = fread(p, 1, 1 << 20, f);
	fclose(f);
	return p;
}

static void store(const uint8_t *p, size_t bytes)
{
	FILE *f = fopen(file, "w");

	AQ_REQUIRE(f != NULL && fwrite(p, 1, bytes, f) == bytes && fclose(f) == 0);
}

/* A number left out of a run is a loss, and one of the class that it was of. */
AQ_TEST(missing_numbers_are_lost_again)
{
	struct aq_ring_dump_run run;
	struct aq_pipeline_result result;
	struct aq_ring_player_stats stats;
	size_t bytes, at = sizeof(struct aq_ring_dump_head);
	uint8_t *p = load(&bytes);
	uint64_t whole = 0, attrs;

	make_folder();
	for (;; at += sizeof(run) + run.bytes) {
		AQ_REQUIRE(at + sizeof(run) < bytes);
		memcpy(&run, p + at, sizeof(run));
		if (run.kind == 1 && run.bytes >= 5 * sizeof(struct aq_wire_fixed))
			break;
	}
	/* the second and third of the run go */
	memmove(p + at + sizeof(run) + sizeof(struct aq_wire_fixed), p + at + sizeof(run) + 3 * sizeof(struct aq_wire_fixed),
		bytes - at - sizeof(run) - 3 * sizeof(struct aq_wire_fixed));
	run.bytes -= 2 * (uint32_t)sizeof(struct aq_wire_fixed);
	memcpy(p + at, &run, sizeof(run));
	store(p, bytes - 2 * sizeof(struct aq_wire_fixed));
	record(file, 1, 1, false, &result, &stats);
	AQ_CHECK_EQ_U64(stats.missing, 2);
	AQ_CHECK(result.ledger.balances);
	AQ_CHECK_EQ_U64(result.ledger.cls[run.ring % AQ_WIRE_CLASSES].lost, 2);
	(void)digest_of(&whole, &attrs);
	AQ_CHECK_EQ_U64(whole, stats.records);
	remove_all();
	free(p);
}

AQ_TEST(broken_dumps_are_refused)
{
	struct aq_ring_player *player = NULL;
	struct aq_err err = { 0 };
	size_t bytes;
	uint8_t *p = load(&bytes);

	make_folder();
	AQ_CHECK_EQ_INT(aq_ring_player_open("/nonexistent", 1, 1, &player, &err), -ENOENT);
	for (size_t cut = 0; cut < sizeof(struct aq_ring_dump_head); cut += 5) {
		store(p, cut);
		AQ_CHECK_EQ_INT(aq_ring_player_open(file, 1, 1, &player, &err), -EBADMSG);
	}
	AQ_CHECK(strstr(err.text, "no whole dump") != NULL);
	store(p, bytes - 1);
	AQ_CHECK_EQ_INT(aq_ring_player_open(file, 1, 1, &player, &err), -EBADMSG);
	/* whatever a byte says, it is taken or refused, and played without harm */
	for (size_t at = 0; at < bytes; at += at < 64 ? 1 : 997) {
		p[at] ^= 0x41;
		store(p, bytes);
		err = (struct aq_err){ 0 };
		player = NULL;
		if (aq_ring_player_open(file, 1, 1, &player, &err) == 0) {
			struct aq_rings *rings = &aq_ring_player_source(player)->rings;
			int r;

			while ((r = aq_ring_player_step(player, AT_ONCE)) != 0)
				for (uint32_t i = 0; i < aq_rings_count(rings); i++) {
					aq_shared_store(&rings->ring[i].ctl->tail, aq_shared_load(&rings->ring[i].ctl->head));
					aq_shared_store(&rings->ring[i].ctl->attr_tail,
							aq_shared_load(&rings->ring[i].ctl->attr_head));
				}
			AQ_CHECK(aq_rings_settled(rings));
		} else {
			AQ_CHECK(err.code == -EBADMSG);
		}
		aq_ring_player_free(player);
		p[at] ^= 0x41;
	}
	remove_all();
	free(p);
}

AQ_TEST_MAIN()
