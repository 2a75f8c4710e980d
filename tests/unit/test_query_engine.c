/* SPDX-License-Identifier: Apache-2.0 */
/* Queries over captures made here: rows, planning, counting, groups, gaps, windows, verdicts, trees.
 * aq-libs: aq_query aq_segment aq_schema aq_base */
#include "format/segment/writer.h"
#include "query/query.h"
#include "query/tree.h"
#include "tests/unit/aq_test.h"
#include "tests/unit/query_fixture.h"

#include <errno.h>
#include <ftw.h>
#include <unistd.h>

enum { SECOND = 1000000000, START = 100 };
static char folder[64];

static uint64_t at(unsigned step)
{
	return (uint64_t)START * SECOND + (uint64_t)step * 1000000;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void add(struct aq_capture_writer *w, struct aq_event ev)
{
	struct aq_err err = { 0 };

	if (ev.id < AQ_EVENT_ID_STATE || ev.id < AQ_EV_snap_begin)
		ev.cgroup_id = ev.cgroup_id ? ev.cgroup_id : 77;
	if (aq_capture_writer_add(w, &ev, &err) < 0)
		AQ_TEST_FAIL_("add: %s", err.text);
}

static void fill(struct aq_capture_writer *w)
{
	struct aq_event ev = ev_make(at(0), AQ_EV_snap_begin, 0, 0, 0);
	static const char cgroup[] = "/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

	add(w, ev);
	ev = ev_make(at(0), AQ_EV_snap_proc, 10, 10, 0);
	ev.args[0] = 1;
	ev.args[1] = 5 * (uint64_t)SECOND;
	ev_text(&ev, AQ_ATTR_COMM, "sshd");
	ev_text(&ev, AQ_ATTR_EXE, "/usr/sbin/sshd");
	ev_text(&ev, AQ_ATTR_CWD, "/root");
	add(w, ev);
	ev = ev_make(at(0), AQ_EV_snap_cgroup, 0, 0, 0);
	ev.args[0] = 77;
	ev_text(&ev, AQ_ATTR_CGROUP_PATH, cgroup);
	add(w, ev);
	add(w, ev_make(at(0), AQ_EV_snap_end, 0, 0, 0));
	add(w, ev_fork(at(1), 10, 20, 20));
	add(w, ev_exec(at(2), 20, 10, "/bin/bash", "bash\0-l", 8));
	add(w, ev_fork(at(3), 20, 30, 30));
	add(w, ev_exec(at(4), 30, 20, "/bin/cat", "cat\0/etc/shadow", 16));
	add(w, ev_openat(at(5), 30, -100, "/etc/shadow", 0, 3));
	for (unsigned i = 0; i < 100; i++)
		add(w, ev_on_fd(at(6 + i), AQ_EV_read, 30, 3, 4096));
	add(w, ev_on_fd(at(106), AQ_EV_close, 30, 3, 0));
	add(w, ev_openat(at(107), 30, -100, "missing", 0, -2));
	add(w, ev_exit(at(108), 30, 1));
	add(w, ev_exit(at(109), 20, 0));
}

static struct aq_capture *make(const struct aq_gap *gap, bool finish)
{
	struct aq_capture_meta meta = { .host = "h", .kernel_release = "r", .kernel_version = "v", .machine = "m", .boot_id = "b",
					.recorder_version = "0", .command = "", .features_json = "{}", .policy_json = "{}",
					.cpu_count = 1, .start_boot_ns = at(0), .start_real_ns = 1767225600ull * SECOND,
					.clock_ticks = 100, .page_size = 4096 };
	struct aq_writer_options options = { .chunk_events = 16 };
	struct aq_capture_writer *w = NULL;
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	char path[96];

	snprintf(folder, sizeof(folder), "/tmp/aq-query-XXXXXX");
	AQ_REQUIRE(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/c.aquila", folder);
	if (aq_capture_writer_new(path, &meta, &options, &w, &err) < 0)
		AQ_TEST_FAIL_("writer: %s", err.text);
	AQ_REQUIRE(w != NULL);
	fill(w);
	if (gap)
		AQ_CHECK(aq_capture_writer_add_gap(w, gap, &err) == 0);
	AQ_CHECK(aq_capture_writer_set_ledger(w, NULL, 0, at(200), 1767225600ull * SECOND + 200 * 1000000ull, &err) == 0);
	AQ_CHECK(finish ? aq_capture_writer_close(w, &err) == 0 : aq_capture_writer_flush(w, &err) == 0);
	aq_capture_writer_free(w);
	if (aq_capture_open(path, &c, &err) < 0)
		AQ_TEST_FAIL_("open: %s", err.text);
	AQ_REQUIRE(c != NULL);
	return c;
}

static void drop(struct aq_capture *c)
{
	aq_capture_close(c);
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct aq_query *ask(struct aq_capture *c, const struct aq_query_options *o)
{
	struct aq_query *q = NULL;
	struct aq_err err = { 0 };

	if (aq_query_new(c, o, &q, &err) < 0)
		AQ_TEST_FAIL_("query: %s", err.text);
	AQ_REQUIRE(q != NULL);
	return q;
}

static uint64_t count(struct aq_capture *c, const char *filter, bool gaps)
{
	struct aq_query_options o = { .filter = filter, .gaps = gaps };
	struct aq_query *q = ask(c, &o);
	struct aq_query *again = ask(c, &o);
	struct aq_row *row;
	uint64_t n = UINT64_MAX, rows = 0;

	AQ_CHECK(aq_query_count(q, &n, NULL) == 0);
	while (aq_query_next(again, &row, NULL) > 0)
		rows++;
	AQ_CHECK_EQ_U64(n, rows);
	aq_query_free(q);
	aq_query_free(again);
	return n;
}

AQ_TEST(counts)
{
	struct aq_capture *c = make(NULL, true);

	AQ_CHECK_EQ_U64(count(c, NULL, false), 109);
	AQ_CHECK_EQ_U64(count(c, "evt.type=read", false), 100);
	AQ_CHECK_EQ_U64(count(c, "evt.type=snap_proc", false), 1);
	AQ_CHECK_EQ_U64(count(c, "fd.name=/etc/shadow", false), 102);
	AQ_CHECK_EQ_U64(count(c, "proc.name=cat and evt.failed=true", false), 1);
	AQ_CHECK_EQ_U64(count(c, "proc.aname=sshd and evt.type=openat", false), 2);
	AQ_CHECK_EQ_U64(count(c, "proc.aname[2]=sshd and evt.type=openat", false), 2);
	AQ_CHECK_EQ_U64(count(c, "fs.path.name=/root/missing", false), 1);
	AQ_CHECK_EQ_U64(count(c, "container.id=0123456789ab and evt.type=read", false), 100);
	AQ_CHECK_EQ_U64(count(c, "evt.num=5", false), 1);
	AQ_CHECK_EQ_U64(count(c, "proc.cmdline='cat /etc/shadow' and evt.type=close", false), 1);
	AQ_CHECK_EQ_U64(count(c, "proc.duration >= 102ms and proc.name=cat", false), 4);
	drop(c);
}

AQ_TEST(rows_and_fields)
{
	struct aq_capture *c = make(NULL, true);
	const char *fields[] = { "evt.time", "proc.name", "proc.pname", "fd.name", "evt.arg.flags", "user.uid", "proc.aname" };
	static const char *const want[] = { "2026-01-01T00:00:00.005000000Z", "cat", "bash", "/etc/shadow", "O_RDONLY", "1000",
					    "bash,sshd" };
	struct aq_query_options o = { .filter = "evt.type=openat and evt.rawres>=0", .fields = fields, .field_count = 7 };
	struct aq_query *q = ask(c, &o);
	struct aq_row *row;
	struct aq_verdict v;
	char text[128];

	AQ_REQUIRE(aq_query_next(q, &row, NULL) == 1);
	for (size_t i = 0; i < 7; i++) {
		aq_field_value_text(aq_query_field(q, i), row, text, sizeof(text));
		AQ_CHECK_EQ_STR(text, want[i]);
	}
	AQ_CHECK(aq_query_next(q, &row, NULL) == 0);
	aq_query_verdict(q, &v);
	AQ_CHECK_EQ_STR(v.text, "complete");
	AQ_CHECK_EQ_INT(aq_verdict_exit(&v), 0);
	aq_query_plan(q, text, sizeof(text));
	AQ_CHECK(strstr(text, "descriptors") != NULL);
	aq_query_free(q);
	o = (struct aq_query_options){ .limit = 3, .from_ns = at(50), .to_ns = at(60) };
	q = ask(c, &o);
	for (unsigned i = 0; i < 3; i++)
		AQ_CHECK(aq_query_next(q, &row, NULL) == 1 && row->ev->time_ns == at(50 + i));
	AQ_CHECK(aq_query_next(q, &row, NULL) == 0);
	aq_query_free(q);
	o.limit = 0;
	o.filter = "proc.name=cat";
	q = ask(c, &o);
	for (unsigned i = 0; i <= 10; i++)
		AQ_CHECK(aq_query_next(q, &row, NULL) == 1);
	AQ_CHECK(aq_query_next(q, &row, NULL) == 0);
	aq_query_free(q);
	drop(c);
}

AQ_TEST(groups)
{
	struct aq_capture *c = make(NULL, true);
	const char *by_type[] = { "evt.type" }, *by_two[] = { "proc.name", "evt.failed" };
	struct aq_query_options o = { .fields = by_type, .field_count = 1 };
	struct aq_query *q = ask(c, &o);
	struct aq_groups *g = NULL;

	AQ_REQUIRE(aq_query_group(q, 0, &g, NULL) == 0);
	AQ_CHECK_EQ_U64(g->rows, 109);
	AQ_CHECK_EQ_STR(g->groups[0].keys[0], "read");
	AQ_CHECK_EQ_U64(g->groups[0].count, 100);
	aq_groups_free(g);
	aq_query_free(q);
	o = (struct aq_query_options){ .fields = by_two, .field_count = 2 };
	q = ask(c, &o);
	AQ_REQUIRE(aq_query_group(q, 2, &g, NULL) == 0);
	AQ_CHECK_EQ_U64(g->count, 2);
	AQ_CHECK_EQ_U64(g->rows, 109);
	AQ_CHECK(g->other > 100);
	aq_groups_free(g);
	aq_query_free(q);
	q = ask(c, &o);
	AQ_REQUIRE(aq_query_group(q, 0, &g, NULL) == 0);
	AQ_CHECK_EQ_STR(g->groups[0].keys[0], "cat");
	AQ_CHECK_EQ_STR(g->groups[0].keys[1], "false");
	AQ_CHECK_EQ_U64(g->groups[0].count, 102);
	AQ_CHECK(g->other == 0);
	aq_groups_free(g);
	aq_query_free(q);
	drop(c);
}

AQ_TEST(verdicts)
{
	struct aq_gap_count by[] = { { AQ_EV_read, 1000 }, { AQ_EV_write, 234 } };
	struct aq_gap gap = { .first_ns = at(20), .last_ns = at(30), .count = 1234, .cpu = 0, .cls = AQ_CLASS_BULK,
			      .reason = AQ_GAP_RING_FULL, .by_event_count = 2, .by_event = by };
	struct aq_capture *c = make(&gap, true);
	struct aq_query_options o = { .filter = "evt.type=proc_exec" };
	struct aq_query *q = ask(c, &o);
	struct aq_verdict v;
	uint64_t n;

	AQ_CHECK(aq_query_count(q, &n, NULL) == 0);
	aq_query_verdict(q, &v);
	AQ_CHECK_EQ_STR(v.text, "complete");
	aq_query_free(q);
	o.filter = "evt.type=read";
	q = ask(c, &o);
	aq_query_verdict(q, &v);
	AQ_CHECK(!v.complete && v.lost == 1000 && aq_verdict_exit(&v) == 3);
	AQ_CHECK(strstr(v.text, "1000 of class bulk lost (read 1000)") != NULL);
	AQ_CHECK(strstr(v.text, "on cpu 0") != NULL);
	aq_query_free(q);
	o.from_ns = at(31);
	q = ask(c, &o);
	aq_query_verdict(q, &v);
	AQ_CHECK_EQ_STR(v.text, "complete");
	aq_query_free(q);
	o.from_ns = at(0) - 5;
	o.to_ns = at(10);
	q = ask(c, &o);
	aq_query_verdict(q, &v);
	AQ_CHECK(!v.complete && v.before && !v.after && v.lost == 0);
	aq_query_free(q);
	AQ_CHECK_EQ_U64(count(c, "evt.type=gap", false), 1);
	AQ_CHECK_EQ_U64(count(c, "gap.class=bulk", false), 1);
	AQ_CHECK_EQ_U64(count(c, NULL, true), 110);
	drop(c);
	gap.reason = AQ_GAP_BUDGET;
	gap.cgroup_id = 77;
	c = make(&gap, true);
	o = (struct aq_query_options){ .filter = "evt.type=read" };
	q = ask(c, &o);
	aq_query_verdict(q, &v);
	AQ_CHECK(!v.complete && v.lost == 0 && v.filtered == 1000 && v.by_budget == 1000);
	AQ_CHECK_EQ_STR(v.text, "incomplete: 1000 left out on purpose by budget (read 1000)");
	aq_query_free(q);
	drop(c);
	gap.reason = AQ_GAP_FILTER;
	c = make(&gap, true);
	q = ask(c, &o);
	aq_query_verdict(q, &v);
	AQ_CHECK(v.filtered == 1000 && v.by_budget == 0);
	AQ_CHECK_EQ_STR(v.text, "incomplete: 1000 left out on purpose by filter (read 1000)");
	aq_query_free(q);
	drop(c);
	c = make(NULL, false);
	q = ask(c, NULL);
	aq_query_verdict(q, &v);
	AQ_CHECK(!v.complete && v.unfinished);
	aq_query_free(q);
	drop(c);
}

AQ_TEST(trees)
{
	struct aq_capture *c = make(NULL, true);
	struct aq_tree_options o = { 0 };
	struct aq_tree *t = NULL;
	struct aq_verdict v;

	AQ_REQUIRE(aq_tree_new(c, &o, &t, &v, NULL) == 0);
	AQ_CHECK_EQ_U64(t->count, 3);
	AQ_CHECK(v.complete);
	AQ_REQUIRE(t->count == 3);
	AQ_CHECK_EQ_INT(t->nodes[0].pid, 10);
	AQ_CHECK_EQ_INT(t->nodes[0].parent, -1);
	AQ_CHECK_EQ_INT(t->nodes[2].parent, 1);
	AQ_CHECK_EQ_INT(t->nodes[2].depth, 2);
	AQ_CHECK_EQ_INT(t->nodes[2].exit_code, 1);
	AQ_CHECK_EQ_INT(t->nodes[2].exec_count, 1);
	AQ_CHECK_EQ_STR(t->nodes[2].execs[0].exe, "/bin/cat");
	AQ_CHECK_EQ_STR(t->nodes[0].execs[0].exe, "/usr/sbin/sshd");
	aq_tree_free(t);
	o.filter = "evt.type=proc_exec and proc.name=bash";
	AQ_REQUIRE(aq_tree_new(c, &o, &t, &v, NULL) == 0);
	AQ_CHECK_EQ_U64(t->count, 2);
	aq_tree_free(t);
	o.filter = NULL;
	o.pid = 20;
	AQ_REQUIRE(aq_tree_new(c, &o, &t, &v, NULL) == 0);
	AQ_CHECK_EQ_U64(t->count, 3);
	aq_tree_free(t);
	drop(c);
}

AQ_TEST(mistakes)
{
	struct aq_capture *c = make(NULL, true);
	const char *bad[] = { "proc.nane" };
	struct aq_query_options o = { .fields = bad, .field_count = 1 };
	struct aq_query *q = NULL;
	struct aq_groups *g;
	struct aq_err err = { 0 };

	AQ_CHECK(aq_query_new(c, &o, &q, &err) == -EINVAL && strstr(err.text, "proc.name"));
	o = (struct aq_query_options){ .filter = "evt.type=" };
	AQ_CHECK(aq_query_new(c, &o, &q, &err) == -EINVAL && err.offset == 9);
	o = (struct aq_query_options){ .from_ns = 5, .to_ns = 4 };
	AQ_CHECK(aq_query_new(c, &o, &q, &err) == -EINVAL);
	q = ask(c, NULL);
	AQ_CHECK(aq_query_group(q, 0, &g, &err) == -EINVAL);
	aq_query_free(q);
	drop(c);
}

AQ_TEST_MAIN()
