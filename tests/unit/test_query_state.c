/* SPDX-License-Identifier: Apache-2.0 */
/* The process and descriptor state: births, execs, ends, sharing, reuse of pids, sockets, paths, bounds.
 * aq-libs: aq_query aq_segment aq_schema aq_base */
#include "query/state.h"
#include "tests/unit/aq_test.h"
#include "tests/unit/query_fixture.h"

static struct aq_state *fresh(uint64_t max_bytes)
{
	const struct aq_state_options o = { .max_bytes = max_bytes };
	struct aq_state *s = NULL;

	AQ_REQUIRE(aq_state_new(&o, &s, NULL) == 0);
	return s;
}

static struct aq_touch feed(struct aq_state *s, struct aq_event ev)
{
	struct aq_touch touch;

	AQ_CHECK(aq_state_feed(s, &ev, &touch) == 0);
	return touch;
}

static const char *text(const struct aq_str *t)
{
	return t ? t->s : "(unknown)";
}

static const char *fd_name(const struct aq_state *s, uint32_t pid, int fd)
{
	const struct aq_fd *f = aq_proc_fd(aq_state_proc(s, pid), fd, NULL);

	return f ? text(f->name) : "(none)";
}

static struct aq_event snap(uint64_t t, uint32_t pid, uint32_t ppid, uint64_t start, const char *comm, const char *cwd)
{
	struct aq_event ev = ev_make(t, AQ_EV_snap_proc, pid, pid, 0);

	ev.args[0] = ppid;
	ev.args[1] = start;
	ev_text(&ev, AQ_ATTR_COMM, comm);
	ev_text(&ev, AQ_ATTR_CWD, cwd);
	return ev;
}

AQ_TEST(life)
{
	struct aq_state *s = fresh(0);
	const struct aq_proc *p, *old;
	uint64_t second = 1000000000;

	feed(s, snap(1, 20, 10, 5 * second, "child", "/"));
	feed(s, snap(1, 10, 1, 4 * second, "parent", "/home"));
	feed(s, ev_make(2, AQ_EV_snap_end, 0, 0, 0));
	p = aq_state_proc(s, 20);
	AQ_REQUIRE(p && p->parent && p->parent->pid == 10);
	feed(s, ev_fork(10, 20, 30, 30));
	feed(s, ev_exec(11, 30, 20, "/bin/ls", "ls\0-l\0/tmp", 11));
	p = aq_state_proc(s, 30);
	AQ_REQUIRE(p && p->parent);
	AQ_CHECK_EQ_STR(text(p->comm), "ls");
	AQ_CHECK_EQ_STR(text(p->exepath), "/bin/ls");
	AQ_CHECK_EQ_STR(text(p->exe), "ls");
	AQ_CHECK_EQ_INT(p->uid, 1000);
	AQ_CHECK_EQ_STR(text(p->parent->comm), "child");
	feed(s, ev_exit(12, 20, 0));
	feed(s, ev_exit(13, 30, 2));
	old = aq_state_proc(s, 30);
	AQ_CHECK(old->flags & AQ_PROC_EXITED && old->exit_code == 2 && old->exit_ns == 13);
	AQ_CHECK_EQ_STR(text(old->parent->parent->comm), "parent");
	/* the same pid again */
	feed(s, ev_fork(20, 10, 30, 30));
	p = aq_state_proc(s, 30);
	AQ_CHECK(p != old && p->start_ns == 20 && !(p->flags & AQ_PROC_EXITED));
	AQ_CHECK_EQ_STR(text(p->comm), "parent");
	/* and again, its end having been missed */
	feed(s, ev_fork(30, 10, 30, 30));
	AQ_CHECK(aq_state_proc(s, 30) != p && (p->flags & AQ_PROC_EXITED));
	aq_state_free(s);
}

AQ_TEST(threads)
{
	struct aq_state *s = fresh(0);
	struct aq_event ev;

	feed(s, snap(1, 10, 1, 4, "main", "/"));
	feed(s, ev_fork(2, 10, 11, 10));
	AQ_REQUIRE(aq_state_thread(s, 11) && aq_state_thread(s, 11)->proc == aq_state_proc(s, 10));
	ev = ev_make(3, AQ_EV_proc_rename, 10, 11, 0);
	ev.args[0] = 11;
	ev_text(&ev, AQ_ATTR_COMM, "worker");
	feed(s, ev);
	AQ_CHECK_EQ_STR(text(aq_state_thread(s, 11)->comm), "worker");
	AQ_CHECK_EQ_STR(text(aq_state_proc(s, 10)->comm), "main");
	ev = ev_openat(4, 10, -100, "/x", 0, 3);
	ev.tid = 11;
	feed(s, ev);
	AQ_CHECK_EQ_STR(fd_name(s, 10, 3), "/x");
	ev = ev_exit(5, 10, 0);
	ev.tid = 11;
	ev.args[2] = 1;
	feed(s, ev);
	AQ_CHECK(!aq_state_thread(s, 11) && !(aq_state_proc(s, 10)->flags & AQ_PROC_EXITED));
	aq_state_free(s);
}

AQ_TEST(descriptors)
{
	struct aq_state *s = fresh(0);
	struct aq_event ev;
	struct aq_touch touch;
	int32_t pair[2] = { 7, 8 };

	feed(s, snap(1, 10, 1, 4, "a", "/home/u"));
	touch = feed(s, ev_openat(2, 10, -100, "../v/./file", 02000000, 3));
	AQ_CHECK(touch.fd && touch.fd_num == 3 && touch.fd->type == AQ_FD_FILE && !touch.fd->uncertain);
	AQ_CHECK_EQ_STR(fd_name(s, 10, 3), "/home/v/file");
	feed(s, ev_openat(3, 10, -100, "/etc", 0200000, 4));
	feed(s, ev_openat(4, 10, 4, "ssh/config", 0, 5));
	AQ_CHECK_EQ_STR(fd_name(s, 10, 5), "/etc/ssh/config");
	touch = feed(s, ev_openat(5, 10, 77, "rel", 0, 6));
	AQ_CHECK(touch.fd && touch.fd->uncertain);
	feed(s, ev_openat(6, 10, -100, "/no", 0, -2));
	ev = ev_make(7, AQ_EV_pipe2, 10, 10, 0);
	ev_attr(&ev, AQ_ATTR_FDS, pair, 8);
	feed(s, ev);
	AQ_CHECK(aq_proc_fd(aq_state_proc(s, 10), 8, NULL)->type == AQ_FD_PIPE);
	/* dup clears close-on-exec, fcntl may set it, a fork copies, an exec closes */
	feed(s, ev_on_fd(8, AQ_EV_dup, 10, 3, 9));
	ev = ev_on_fd(9, AQ_EV_fcntl, 10, 5, 20);
	ev.args[1] = 1030;
	feed(s, ev);
	feed(s, ev_fork(10, 10, 30, 30));
	feed(s, ev_on_fd(11, AQ_EV_close, 10, 9, 0));
	AQ_CHECK_EQ_STR(fd_name(s, 10, 9), "(none)");
	AQ_CHECK_EQ_STR(fd_name(s, 30, 9), "/home/v/file");
	feed(s, ev_exec(12, 30, 10, "/bin/x", "x", 2));
	AQ_CHECK_EQ_STR(fd_name(s, 30, 3), "(none)");
	AQ_CHECK_EQ_STR(fd_name(s, 30, 20), "(none)");
	AQ_CHECK_EQ_STR(fd_name(s, 30, 9), "/home/v/file");
	touch = feed(s, ev_on_fd(13, AQ_EV_read, 30, 9, 100));
	AQ_CHECK(touch.fd && touch.fd_num == 9);
	ev = ev_on_fd(13, AQ_EV_newfstatat, 30, 9, 0);
	ev_text(&ev, AQ_ATTR_PATH, "");
	touch = feed(s, ev);
	AQ_CHECK(touch.fd && touch.fd_num == 9);
	touch = feed(s, ev_on_fd(14, AQ_EV_close, 30, 9, 0));
	AQ_CHECK(touch.fd && strcmp(text(touch.fd->name), "/home/v/file") == 0);
	ev = ev_on_fd(15, AQ_EV_close_range, 10, 4, 0);
	ev.args[1] = 0xffffffff;
	feed(s, ev);
	AQ_CHECK_EQ_STR(fd_name(s, 10, 5), "(none)");
	AQ_CHECK_EQ_STR(fd_name(s, 10, 3), "/home/v/file");
	/* fchdir and relative paths after it */
	feed(s, ev_openat(16, 10, -100, "/srv", 0200000, 4));
	feed(s, ev_on_fd(17, AQ_EV_fchdir, 10, 4, 0));
	feed(s, ev_openat(18, 10, -100, "www", 0, 5));
	AQ_CHECK_EQ_STR(fd_name(s, 10, 5), "/srv/www");
	aq_state_free(s);
}

AQ_TEST(clone_files_is_shared)
{
	struct aq_state *s = fresh(0);
	struct aq_event ev;

	feed(s, snap(1, 10, 1, 4, "a", "/"));
	feed(s, ev_openat(2, 10, -100, "/one", 0, 3));
	feed(s, ev_fork(3, 10, 30, 30));
	ev = ev_on_fd(4, AQ_EV_clone, 10, 0, 2); /* 2: the child's number in its namespace */
	ev.args[0] = 0x400 | 0x200;
	feed(s, ev);
	feed(s, ev_openat(5, 30, -100, "/two", 0, 4));
	AQ_CHECK_EQ_STR(fd_name(s, 10, 4), "/two");
	ev = ev_make(6, AQ_EV_chdir, 30, 30, 0);
	ev_text(&ev, AQ_ATTR_PATH, "/tmp");
	feed(s, ev);
	AQ_CHECK_EQ_STR(text(aq_proc_cwd(aq_state_proc(s, 10))), "/tmp");
	feed(s, ev_exec(7, 30, 10, "/bin/x", "x", 2));
	feed(s, ev_on_fd(8, AQ_EV_close, 30, 4, 0));
	AQ_CHECK_EQ_STR(fd_name(s, 10, 4), "/two");
	aq_state_free(s);
}

AQ_TEST(sockets)
{
	struct aq_state *s = fresh(0);
	struct aq_event ev;
	const struct aq_fd *fd;
	uint8_t addr[16], tuple[56] = { 0 };

	feed(s, snap(1, 10, 1, 4, "a", "/"));
	ev = ev_on_fd(2, AQ_EV_socket, 10, 2, 3);
	ev.args[1] = 1;
	feed(s, ev);
	ev_sockaddr4(addr, 10, 0, 0, 9, 443);
	ev_sockaddr4(tuple, 10, 0, 0, 1, 50000);
	ev_sockaddr4(tuple + 28, 10, 0, 0, 9, 443);
	ev = ev_on_fd(3, AQ_EV_connect, 10, 3, -115);
	ev_attr(&ev, AQ_ATTR_SOCKADDR, addr, 16);
	ev_attr(&ev, AQ_ATTR_TUPLE, tuple, 56);
	feed(s, ev);
	fd = aq_proc_fd(aq_state_proc(s, 10), 3, NULL);
	AQ_REQUIRE(fd != NULL);
	AQ_CHECK(fd->type == AQ_FD_IPV4 && fd->role_known && !fd->is_server);
	AQ_CHECK_EQ_INT(fd->remote.port, 443);
	AQ_CHECK_EQ_INT(fd->local.port, 50000);
	/* a server */
	ev = ev_on_fd(4, AQ_EV_socket, 10, 2, 5);
	ev.args[1] = 1;
	feed(s, ev);
	ev_sockaddr4(addr, 0, 0, 0, 0, 80);
	ev = ev_on_fd(5, AQ_EV_bind, 10, 5, 0);
	ev_attr(&ev, AQ_ATTR_SOCKADDR, addr, 16);
	feed(s, ev);
	feed(s, ev_on_fd(6, AQ_EV_listen, 10, 5, 0));
	ev_sockaddr4(addr, 192, 168, 1, 2, 40000);
	ev = ev_on_fd(7, AQ_EV_accept4, 10, 5, 6);
	ev_attr(&ev, AQ_ATTR_SOCKADDR, addr, 16);
	feed(s, ev);
	fd = aq_proc_fd(aq_state_proc(s, 10), 6, NULL);
	AQ_REQUIRE(fd != NULL);
	AQ_CHECK(fd->is_server && fd->local.port == 80 && fd->remote.port == 40000);
	/* from a snapshot: a listener's other end is unknown, not 0.0.0.0 */
	memset(tuple, 0, sizeof(tuple));
	ev_sockaddr4(tuple, 127, 0, 0, 1, 22);
	tuple[28] = 2;
	ev = ev_make(8, AQ_EV_snap_fd, 10, 10, 0);
	ev.args[0] = 9;
	ev.args[1] = 6;
	ev_attr(&ev, AQ_ATTR_TUPLE, tuple, 56);
	feed(s, ev);
	fd = aq_proc_fd(aq_state_proc(s, 10), 9, NULL);
	AQ_REQUIRE(fd != NULL);
	AQ_CHECK(fd->type == AQ_FD_IPV4 && fd->local.port == 22 && fd->remote.family == 0);
	aq_state_free(s);
}

AQ_TEST(paths)
{
	struct aq_state *s = fresh(0);
	struct aq_event ev;
	char buf[64];
	bool certain;

	feed(s, snap(1, 10, 1, 4, "a", "/w"));
	ev = ev_make(2, AQ_EV_rename, 10, 10, 0);
	ev_text(&ev, AQ_ATTR_PATH, "a/../../b");
	ev_text(&ev, AQ_ATTR_PATH2, "/c//d/");
	aq_state_path(&ev, aq_state_proc(s, 10), false, buf, sizeof(buf), &certain);
	AQ_CHECK_EQ_STR(buf, "/b");
	aq_state_path(&ev, aq_state_proc(s, 10), true, buf, sizeof(buf), &certain);
	AQ_CHECK_EQ_STR(buf, "/c/d");
	AQ_CHECK(certain);
	aq_state_path(&ev, NULL, false, buf, sizeof(buf), &certain);
	AQ_CHECK(!certain);
	ev_text(&ev, AQ_ATTR_KPATH, "/kernel/says");
	aq_state_path(&ev, NULL, false, buf, sizeof(buf), &certain);
	AQ_CHECK_EQ_STR(buf, "/kernel/says");
	AQ_CHECK_EQ_INT(aq_state_path(&ev, NULL, false, buf, 4, &certain), 12);
	AQ_CHECK_EQ_STR(buf, "/ke");
	aq_state_free(s);
}

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

AQ_TEST(containers)
{
	static const struct { const char *path, *engine; } cases[] = {
		{ "/docker/" ID64, "docker" }, { "/system.slice/docker-" ID64 ".scope", "docker" },
		{ "/kubepods/burstable/pod12ab/" ID64, "containerd" },
		{ "/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID64 ".scope", "containerd" },
		{ "/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:" ID64, "containerd" },
		{ "/kubepods.slice/crio-" ID64 ".scope/container", "cri-o" }, { "/machine.slice/libpod-" ID64 ".scope", "podman" },
		{ "/system.slice/ssh.service", NULL }, { "/", NULL }, { "", NULL }, { "/docker/0123", NULL },
	};
	char id[65];
	const char *engine;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool got = aq_cgroup_container(cases[i].path, id, &engine);

		if (got != (cases[i].engine != NULL))
			AQ_TEST_FAIL_("%s: %d", cases[i].path, got);
		else if (got && (strcmp(engine, cases[i].engine) || strcmp(id, ID64)))
			AQ_TEST_FAIL_("%s: %s", cases[i].path, engine);
	}
}

AQ_TEST(cgroups)
{
	struct aq_state *s = fresh(0);
	struct aq_event ev = ev_make(1, AQ_EV_snap_cgroup, 0, 0, 0);

	ev.args[0] = 5;
	ev_text(&ev, AQ_ATTR_CGROUP_PATH, "/docker/" ID64);
	feed(s, ev);
	ev.args[1] = 3; /* another hierarchy has its own 5 */
	ev.attrs[0].len = 7;
	feed(s, ev);
	AQ_REQUIRE(aq_state_cgroup(s, 5) != NULL);
	AQ_CHECK_EQ_STR(aq_state_cgroup(s, 5)->container_id, ID64);
	ev = ev_make(2, AQ_EV_cgroup_rmdir, 1, 1, 0);
	ev.args[0] = 5;
	feed(s, ev);
	AQ_CHECK(aq_state_cgroup(s, 5)->removed && aq_state_cgroup(s, 5)->path);
	aq_state_free(s);
}

AQ_TEST(gaps_make_uncertain)
{
	struct aq_state *s = fresh(0);
	struct aq_gap gap = { .first_ns = 10, .last_ns = 20, .count = 3, .cls = AQ_CLASS_VITAL, .reason = AQ_GAP_RING_FULL };

	feed(s, snap(1, 10, 1, 4, "a", "/"));
	gap.cls = AQ_CLASS_BULK;
	aq_state_gap(s, &gap);
	feed(s, ev_on_fd(21, AQ_EV_read, 10, 0, 1));
	AQ_CHECK(!(aq_state_proc(s, 10)->flags & AQ_PROC_UNCERTAIN));
	gap.cls = AQ_CLASS_VITAL;
	aq_state_gap(s, &gap);
	feed(s, ev_fork(30, 10, 11, 11));
	AQ_CHECK(aq_state_proc(s, 10)->flags & AQ_PROC_UNCERTAIN);
	aq_state_free(s);
}

AQ_TEST(memory_is_bounded)
{
	struct aq_state *s = fresh(512 * 1024);
	struct aq_state_stats stats;

	feed(s, snap(1, 10, 1, 4, "a", "/"));
	for (uint32_t i = 0; i < 20000; i++) {
		feed(s, ev_fork(10 + i, 10, 1000 + i, 1000 + i));
		feed(s, ev_openat(10 + i, 1000 + i, -100, "/a/long/name/of/a/file", 0, (int64_t)(i * 64)));
		feed(s, ev_exit(10 + i, 1000 + i, 0));
	}
	for (uint32_t i = 0; i < 20000; i++)
		feed(s, ev_openat(50000 + i, 10, -100, "/a/long/name/of/a/file", 0, (int64_t)i));
	aq_state_stats(s, &stats);
	AQ_CHECK(stats.bytes <= 512 * 1024);
	AQ_CHECK(stats.forgotten > 0);
	AQ_CHECK(aq_state_proc(s, 10) != NULL);
	aq_state_free(s);
}

AQ_TEST_MAIN()
