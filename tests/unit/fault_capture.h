/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small capture of events that can each be told by their time, for tests that make calls fail: what was written, what
 * was told as lost, and what is read back.
 */
#ifndef AQ_TESTS_UNIT_FAULT_CAPTURE_H
#define AQ_TESTS_UNIT_FAULT_CAPTURE_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "format/segment/reader.h"
#include "format/segment/writer.h"
#include "tests/unit/aq_test.h"

enum { FAULT_EVENTS = 400, FAULT_STEP = 1000, FAULT_START = 1000000 };

enum fault_fate { FAULT_NOT_TAKEN = 0, FAULT_TAKEN = 1, FAULT_LOST = 2 };

struct fault_events {
	enum fault_fate fate[FAULT_EVENTS];
};

static const struct aq_capture_meta fault_meta = {
	.host = "host", .kernel_release = "6.1", .kernel_version = "#1", .machine = "x86_64", .boot_id = "boot",
	.recorder_version = "0", .command = "test", .features_json = "{}", .policy_json = "{}",
	.capture_id = { 9 }, .cpu_count = 2, .start_boot_ns = FAULT_START, .start_real_ns = 5 * FAULT_START,
	.clock_ticks = 100, .page_size = 4096,
};

static inline void fault_event(unsigned i, char text[32], struct aq_event *ev)
{
	int len = snprintf(text, 32, "/tmp/file%u", i % 60);
	*ev = (struct aq_event){ .time_ns = FAULT_START + (uint64_t)(i + 1) * FAULT_STEP, .ret = i, .pid = 10 + i % 3,
				 .tid = 10 + i % 3, .cgroup_id = 5, .id = i % 4 ? AQ_EV_openat : AQ_EV_proc_exec,
				 .cls = i % 4 ? AQ_CLASS_IMPORTANT : AQ_CLASS_VITAL, .cpu = i % 2, .attr_count = 1 };
	ev->attrs[0] = (struct aq_attr){ .key = AQ_ATTR_PATH, .len = (uint32_t)len, .data = text };
}

static inline int fault_add(struct aq_capture_writer *w, struct fault_events *events, unsigned i, struct aq_err *err)
{
	char text[32];
	struct aq_event ev;
	fault_event(i, text, &ev);
	int r = aq_capture_writer_add(w, &ev, err);
	if (r == 0)
		events->fate[i] = FAULT_TAKEN;
	return r;
}

/* aq_writer_options.on_lost; user: struct fault_events. */
static inline void fault_lost(void *user, const struct aq_lost_event *ev)
{
	struct fault_events *events = user;
	uint64_t i = (ev->time_ns - FAULT_START) / FAULT_STEP - 1;
	AQ_REQUIRE(i < FAULT_EVENTS);
	AQ_CHECK_EQ_INT(events->fate[i], FAULT_TAKEN);
	AQ_CHECK(ev->id == (i % 4 ? AQ_EV_openat : AQ_EV_proc_exec) && ev->cpu == i % 2);
	events->fate[i] = FAULT_LOST;
}

/* All that was taken and not told as lost is there, exactly as it was; of the lost only with lost_may_be_there. */
static inline void fault_check_events(struct aq_capture *c, const struct fault_events *events, bool lost_may_be_there,
				      const char *what)
{
	bool seen[FAULT_EVENTS] = { false };
	struct aq_event_iter *it = NULL;
	struct aq_event ev;
	unsigned wrong = 0;
	AQ_REQUIRE(aq_event_iter_new(c, &(struct aq_iter_options){ 0 }, &it, NULL) == 0);
	while (aq_event_iter_next(it, &ev, NULL) == 1) {
		uint64_t i = (ev.time_ns - FAULT_START) / FAULT_STEP - 1;
		struct aq_event wanted;
		char text[32];
		if (i < FAULT_EVENTS && events->fate[i] == FAULT_LOST && lost_may_be_there)
			continue;
		if (i >= FAULT_EVENTS || events->fate[i] != FAULT_TAKEN || seen[i]) {
			wrong++;
			continue;
		}
		seen[i] = true;
		fault_event((unsigned)i, text, &wanted);
		const struct aq_attr *a = aq_event_attr(&ev, AQ_ATTR_PATH);
		wrong += ev.time_ns != wanted.time_ns || ev.id != wanted.id || ev.cpu != wanted.cpu || ev.pid != wanted.pid || !a ||
			 a->len != wanted.attrs[0].len || memcmp(a->data, text, a->len) != 0 ||
			 (ev.id == AQ_EV_openat && ev.ret != wanted.ret);
	}
	aq_event_iter_free(it);
	for (unsigned i = 0; i < FAULT_EVENTS; i++)
		wrong += events->fate[i] == FAULT_TAKEN && !seen[i];
	if (wrong)
		fprintf(stderr, "%s: %u events are wrong or missing\n", what, wrong);
	AQ_CHECK(wrong == 0);
}

/* The totals as the writer knows them; lost is what was not taken or told as lost. */
static inline int fault_set_ledger(struct aq_capture_writer *w, const struct fault_events *events, unsigned until,
				   struct aq_err *err)
{
	const struct aq_writer_stats *stats = aq_capture_writer_stats(w);
	struct aq_ledger_row rows[2 * AQ_CLASS_COUNT] = { 0 };
	for (unsigned i = 0; i < 2 * AQ_CLASS_COUNT; i++) {
		rows[i].cpu = (uint16_t)(i / AQ_CLASS_COUNT);
		rows[i].cls = (uint8_t)(i % AQ_CLASS_COUNT);
		rows[i].stored = stats->stored[rows[i].cpu][rows[i].cls];
	}
	for (unsigned i = 0; i < until; i++) {
		struct aq_ledger_row *row = &rows[(i % 2) * AQ_CLASS_COUNT + (i % 4 ? AQ_CLASS_IMPORTANT : AQ_CLASS_VITAL)];
		row->produced++;
		row->lost += events->fate[i] != FAULT_TAKEN;
	}
	return aq_capture_writer_set_ledger(w, rows, 2 * AQ_CLASS_COUNT, FAULT_START + (uint64_t)until * FAULT_STEP,
					    5 * FAULT_START, err);
}

static inline void fault_remove(const char *path)
{
	char file[600];
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		if (e->d_name[0] != '.')
			unlink(file);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

#endif
