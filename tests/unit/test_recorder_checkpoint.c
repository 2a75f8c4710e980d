/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_schema aq_base */
/* A snapshot on a thread of its own: all of it arrives, in order, through a queue that stays small; it can be stopped. */
#include "recorder/checkpoint.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/unit/aq_test.h"

enum { EVENTS = 20000 };

struct world {
	_Atomic unsigned put;
	unsigned got, fail_at;
	bool wrong;
	int result;
};

static int snapshot(void *user, aq_emit_function *emit, void *emit_user, struct aq_err *err)
{
	struct world *w = user;
	char text[32];
	struct aq_event ev = { .id = AQ_EV_snap_proc, .attr_count = 1 };

	for (unsigned i = 0; i < EVENTS; i++) {
		int r;

		snprintf(text, sizeof(text), "process %u", i);
		ev.pid = i;
		ev.attrs[0] = (struct aq_attr){ .key = AQ_ATTR_COMM, .data = text, .len = (uint32_t)strlen(text) };
		r = emit(emit_user, &ev, err);
		memset(text, 'x', sizeof(text)); /* what was emitted is a copy */
		if (r < 0)
			return r;
		atomic_store(&w->put, i + 1);
	}
	return w->result < 0 ? aq_err_set(err, w->result, "procfs is gone") : 0;
}

static int take(void *user, const struct aq_event *ev, struct aq_err *err)
{
	struct world *w = user;
	char text[32];

	if (w->fail_at != 0 && w->got == w->fail_at)
		return aq_err_set(err, -ENOSPC, "the disk is full");
	snprintf(text, sizeof(text), "process %u", w->got);
	w->wrong = w->wrong || ev->pid != w->got || ev->attr_count != 1 || ev->attrs[0].len != strlen(text) ||
		   memcmp(ev->attrs[0].data, text, strlen(text)) != 0;
	w->got++;
	return 0;
}

static struct aq_checkpoint *make(struct world *w, size_t queue_bytes)
{
	struct aq_checkpoint *c;

	AQ_REQUIRE(aq_checkpoint_new(snapshot, w, queue_bytes, &c) == 0);
	AQ_CHECK(!aq_checkpoint_runs(c));
	AQ_CHECK_EQ_INT(aq_checkpoint_start(c), 0);
	AQ_CHECK(aq_checkpoint_runs(c));
	AQ_CHECK_EQ_INT(aq_checkpoint_start(c), -EBUSY);
	return c;
}

AQ_TEST(all_of_it_arrives)
{
	struct world w = { 0 };
	struct aq_err err = { 0 };
	struct aq_checkpoint *c = make(&w, 0);
	int r;

	while ((r = aq_checkpoint_take(c, false, take, &w, &err)) == 1)
		;
	AQ_CHECK_EQ_INT(r, 0);
	AQ_CHECK_EQ_U64(w.got, EVENTS);
	AQ_CHECK(!w.wrong);
	AQ_CHECK(!aq_checkpoint_runs(c));
	AQ_CHECK_EQ_INT(aq_checkpoint_take(c, true, take, &w, &err), 0);
	w.got = 0;
	AQ_CHECK_EQ_INT(aq_checkpoint_start(c), 0); /* and again, for the next segment */
	AQ_CHECK_EQ_INT(aq_checkpoint_take(c, true, take, &w, &err), 0);
	AQ_CHECK_EQ_U64(w.got, EVENTS);
	AQ_CHECK(!w.wrong);
	aq_checkpoint_free(c);
}

AQ_TEST(the_queue_is_bounded)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000000 };
	const unsigned room = 64;
	struct world w = { 0 };
	struct aq_err err = { 0 };
	struct aq_checkpoint *c = make(&w, room * sizeof(struct aq_event));

	nanosleep(&pause, NULL);
	AQ_CHECK(atomic_load(&w.put) <= room);
	AQ_CHECK_EQ_INT(aq_checkpoint_take(c, true, take, &w, &err), 0);
	AQ_CHECK_EQ_U64(w.got, EVENTS);
	AQ_CHECK(!w.wrong);
	aq_checkpoint_free(c);
}

AQ_TEST(ends_early)
{
	struct world w = { .fail_at = 100 };
	struct aq_err err = { 0 };
	struct aq_checkpoint *c = make(&w, 4096);

	AQ_CHECK_EQ_INT(aq_checkpoint_take(c, true, take, &w, &err), -ENOSPC);
	AQ_CHECK(!aq_checkpoint_runs(c));
	w.fail_at = w.got = 0;
	w.result = -EIO;
	AQ_CHECK_EQ_INT(aq_checkpoint_start(c), 0);
	AQ_CHECK_EQ_INT(aq_checkpoint_take(c, true, take, &w, &err), -EIO);
	AQ_CHECK_EQ_STR(err.text, "procfs is gone");
	AQ_CHECK_EQ_INT(aq_checkpoint_start(c), 0);
	aq_checkpoint_free(c); /* while it waits for room */
}

AQ_TEST_MAIN()
