/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of a made-up /proc in a temporary folder: hostile contents, missing files, limits, failing receivers.
 * aq-libs: aq_state aq_schema aq_base */
#include "recorder/state/snapshot.h"
#include "tests/unit/aq_test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { AQ_KEPT = 256 };

struct kept {
	struct aq_event ev[AQ_KEPT];
	unsigned count, fail_at;
	uint64_t last_ns;
};

static int keep(void *user, const struct aq_event *ev, struct aq_err *err)
{
	struct kept *k = user;

	if (k->fail_at && k->count + 1 == k->fail_at)
		return aq_err_set(err, -ENOENT, "the receiver has had enough");
	AQ_CHECK(ev->time_ns > k->last_ns);
	AQ_CHECK_EQ_INT(ev->cls, AQ_CLASS_VITAL);
	AQ_CHECK_EQ_INT(ev->flags, 0);
	AQ_CHECK(aq_schema_event(ev->id) != NULL);
	k->last_ns = ev->time_ns;
	if (k->count < AQ_KEPT) {
		struct aq_event *copy = &k->ev[k->count++];

		*copy = *ev;
		for (unsigned i = 0; i < ev->attr_count; i++) {
			char *data = malloc(ev->attrs[i].len + 1u);

			AQ_REQUIRE(data != NULL);
			memcpy(data, ev->attrs[i].data, ev->attrs[i].len);
			data[ev->attrs[i].len] = '\0';
			copy->attrs[i].data = data;
		}
	}
	return 0;
}

static void forget(struct kept *k)
{
	for (unsigned i = 0; i < k->count; i++)
		for (unsigned j = 0; j < k->ev[i].attr_count; j++)
			free((void *)(uintptr_t)k->ev[i].attrs[j].data);
	*k = (struct kept){ 0 };
}

static const struct aq_event *find(const struct kept *k, uint16_t id, uint32_t pid, unsigned nth)
{
	for (unsigned i = 0; i < k->count; i++)
		if (k->ev[i].id == id && k->ev[i].pid == pid && nth-- == 0)
			return &k->ev[i];
	return NULL;
}

static const char *text(const struct aq_event *ev, enum aq_attr_key key)
{
	const struct aq_attr *a = ev ? aq_event_attr(ev, key) : NULL;

	return a ? a->data : NULL;
}

static char root[64];
static int root_fd = -1;

static void put(const char *name, const char *content, size_t len)
{
	char path[256];
	int fd;

	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(path, sizeof(path), "%.*s", (int)(slash - name), name);
		mkdirat(root_fd, path, 0700);
	}
	fd = openat(root_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	AQ_REQUIRE(fd >= 0 && write(fd, content, len) == (ssize_t)len);
	close(fd);
}

static void put_text(const char *name, const char *content)
{
	put(name, content, strlen(content));
}

static void link_to(const char *target, const char *name)
{
	char path[256];

	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(path, sizeof(path), "%.*s", (int)(slash - name), name);
		mkdirat(root_fd, path, 0700);
	}
	AQ_REQUIRE(symlinkat(target, root_fd, name) == 0);
}

static void begin(void)
{
	strcpy(root, "/tmp/aq-snap-XXXXXX");
	AQ_REQUIRE(mkdtemp(root) != NULL);
	root_fd = open(root, O_RDONLY | O_DIRECTORY);
	AQ_REQUIRE(root_fd >= 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void end(void)
{
	close(root_fd);
	nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

#define AQ_STATUS "Name:\tx\nUid:\t10\t11\t12\t13\nGid:\t20\t21\t22\t23\nNSpid:\t77\t5\nCapEff:\t00000000a80425fb\n"

static int take(struct aq_snapshot_options opt, struct kept *k, struct aq_snapshot_stats *stats, struct aq_err *err)
{
	opt.proc_root = root;
	return aq_snapshot_take(&opt, keep, k, stats, err);
}

AQ_TEST(whole_process)
{
	static struct kept k;
	struct aq_snapshot_stats stats;
	const struct aq_event *ev;
	struct stat st;
	char line[256], net[64];

	begin();
	snprintf(line, sizeof(line), "41 31 0:38 / %s/cg2 rw - cgroup2 cgroup2 rw\n42 31 0:39 / %s/cg1 rw - cgroup cgroup rw,pids\n",
		 root, root);
	put_text("self/mountinfo", line);
	put_text("self/cgroup", "8:pids:/\n0::/\n");
	put_text("cg2/a b/leaf/cgroup.procs", "");
	put_text("cg1/x/tasks", "");
	put_text("77/stat", "77 () R 1) S 5 22 33 34816 -1 0 0 0 0 0 0 0 0 0 20 0 2 0 4242 0 0\n");
	put_text("77/status", AQ_STATUS);
	put_text("77/cgroup", "8:pids:/x\n0::/a b/leaf\n");
	put("77/cmdline", "prog\0two words\0\0", 16);
	link_to("/usr/bin/prog (deleted)", "77/exe");
	link_to("/somewhere", "77/cwd");
	link_to("/", "77/root");
	snprintf(net, sizeof(net), "net:[4026531840]");
	link_to(net, "77/ns/net");
	link_to("pid:[12]", "77/ns/pid");
	link_to("mnt:[garbage]", "77/ns/mnt");
	put_text("77/task/77/stat", "");
	put_text("77/task/78/stat", "78 (worker) S 5 22 33 0 -1 0 0 0 0 0 0 0 0 0 20 0 2 0 4300 0 0\n");
	put_text("file", "");
	snprintf(line, sizeof(line), "%s/file", root);
	link_to(line, "77/fd/3");
	put_text("77/fdinfo/3", "pos:\t123\nflags:\t02100002\nmnt_id:\t9\n");
	link_to("socket:[5001]", "77/fd/4");
	put_text("77/net/tcp", "h\n 0: 0100007F:1F90 0200007F:C350 01 0:0 0:0 0 1000 0 5001 1\n");
	put_text("77/net/unix", "");

	AQ_REQUIRE(take((struct aq_snapshot_options){ .reason = 4 }, &k, &stats, NULL) == 0);
	AQ_CHECK_EQ_INT(k.ev[0].id, AQ_EV_snap_begin);
	AQ_CHECK_EQ_U64(k.ev[0].args[0], 4);
	AQ_CHECK_EQ_INT(k.ev[k.count - 1].id, AQ_EV_snap_end);
	ev = find(&k, AQ_EV_snap_mount, 0, 0);
	AQ_REQUIRE(ev != NULL);
	AQ_CHECK_EQ_U64(ev->args[0], makedev(0, 38));
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_FSTYPE), "cgroup2");
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_PATH2), "/");
	AQ_CHECK_EQ_STR(text(find(&k, AQ_EV_snap_cgroup, 0, 0), AQ_ATTR_CGROUP_PATH), "/");
	AQ_CHECK_EQ_STR(text(find(&k, AQ_EV_snap_cgroup, 0, 1), AQ_ATTR_CGROUP_PATH), "/a b");
	ev = find(&k, AQ_EV_snap_cgroup, 0, 4);
	AQ_REQUIRE(ev != NULL);
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_CGROUP_PATH), "/x");
	AQ_CHECK_EQ_U64(ev->args[1], 8);

	ev = find(&k, AQ_EV_snap_proc, 77, 0);
	AQ_REQUIRE(ev != NULL);
	AQ_REQUIRE(fstatat(root_fd, "cg2/a b/leaf", &st, 0) == 0);
	AQ_CHECK_EQ_U64(ev->cgroup_id, st.st_ino);
	static const uint64_t want[14] = { 5, 42420000000ull, 10, 20, 11, 21, 33, 22, 34816, 0xa80425fb, 0, 0, 5, 2 };
	AQ_CHECK_EQ_INT(ev->arg_count, 14);
	for (unsigned i = 0; i < 14; i++)
		AQ_CHECK_EQ_U64(ev->args[i], want[i]);
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_COMM), ") R 1");
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_EXE), "/usr/bin/prog (deleted)");
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_CWD), "/somewhere");
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_ROOT), "/");
	AQ_REQUIRE(aq_event_attr(ev, AQ_ATTR_ARGV) != NULL);
	AQ_CHECK_EQ_INT(aq_event_attr(ev, AQ_ATTR_ARGV)->len, 16);
	AQ_CHECK_EQ_MEM(text(ev, AQ_ATTR_ARGV), "prog\0two words\0\0", 16);
	ev = find(&k, AQ_EV_snap_ns, 77, 0);
	AQ_REQUIRE(ev != NULL);
	AQ_CHECK_EQ_U64(ev->args[2], 0);
	AQ_CHECK_EQ_U64(ev->args[3], 4026531840u);
	AQ_CHECK_EQ_U64(ev->args[4], 12);
	ev = find(&k, AQ_EV_snap_thread, 77, 0);
	AQ_REQUIRE(ev != NULL && !find(&k, AQ_EV_snap_thread, 77, 1));
	AQ_CHECK_EQ_INT(ev->tid, 78);
	AQ_CHECK_EQ_U64(ev->args[0], 43000000000ull);
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_COMM), "worker");
	for (unsigned i = 0; (ev = find(&k, AQ_EV_snap_fd, 77, i)); i++) {
		if (ev->args[0] == 3) {
			AQ_REQUIRE(fstatat(root_fd, "file", &st, 0) == 0);
			AQ_CHECK_EQ_U64(ev->args[1], 1);
			AQ_CHECK_EQ_U64(ev->args[2], st.st_dev);
			AQ_CHECK_EQ_U64(ev->args[3], st.st_ino);
			AQ_CHECK_EQ_U64(ev->args[4], 02100002);
			AQ_CHECK_EQ_U64(ev->args[5], 123);
			AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_PATH), line);
		} else {
			AQ_CHECK_EQ_U64(ev->args[0], 4);
			AQ_CHECK_EQ_U64(ev->args[3], 5001);
			AQ_CHECK_EQ_U64(ev->args[6], 6);
			AQ_REQUIRE(aq_event_attr(ev, AQ_ATTR_TUPLE) != NULL);
			AQ_CHECK_EQ_INT(aq_event_attr(ev, AQ_ATTR_TUPLE)->len, 56);
			AQ_CHECK_EQ_MEM(text(ev, AQ_ATTR_TUPLE), "\2\0\x1f\x90\x7f\0\0\1", 8);
			AQ_CHECK_EQ_MEM(text(ev, AQ_ATTR_TUPLE) + 28, "\2\0\xc3\x50\x7f\0\0\2", 8);
		}
	}
	AQ_CHECK_EQ_U64(stats.processes, 1);
	AQ_CHECK_EQ_U64(stats.threads, 2);
	AQ_CHECK_EQ_U64(stats.fds, 2);
	AQ_CHECK_EQ_U64(stats.skipped, 0);
	AQ_CHECK_EQ_U64(stats.unreadable, 0);
	forget(&k);
	end();
}

AQ_TEST(hostile_and_missing)
{
	static struct kept k;
	struct aq_snapshot_stats stats;
	const struct aq_event *ev;
	char *large = malloc(1 << 20);

	AQ_REQUIRE(large != NULL);
	memset(large, 'a', 1 << 20);
	begin();
	put_text("10/stat", "complete garbage ))))");
	put_text("11/stat", "12 (liar) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0\n");
	mkdirat(root_fd, "12", 0700);
	put_text("13/stat", "13 (bare) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0\n");
	put_text("14/stat", "14 (large) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0\n");
	put_text("14/status", AQ_STATUS);
	put("14/cmdline", large, 1 << 20);
	put_text("14/cgroup", "0::/../../escape\n");
	put_text("15/stat", "15 (dead) Z 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0\n");
	put_text("15/status", "no credentials here\n");
	put("16/stat", large, 1 << 20);
	put_text("17/stat", "17 (me) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0\n");
	put_text("17/status", AQ_STATUS);
	put_text("18", "a file, not a folder");
	put_text("007/stat", "7 (james) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9 0 0\n");
	put_text("99999999999/stat", "");
	AQ_REQUIRE(take((struct aq_snapshot_options){ .skip_pid = 17 }, &k, &stats, NULL) == 0);
	AQ_CHECK(!find(&k, AQ_EV_snap_proc, 10, 0) && !find(&k, AQ_EV_snap_proc, 11, 0));
	AQ_CHECK(!find(&k, AQ_EV_snap_proc, 17, 0) && !find(&k, AQ_EV_snap_proc, 7, 0));
	ev = find(&k, AQ_EV_snap_proc, 14, 0);
	AQ_REQUIRE(ev != NULL && aq_event_attr(ev, AQ_ATTR_ARGV) != NULL);
	AQ_CHECK_EQ_INT(aq_event_attr(ev, AQ_ATTR_ARGV)->len, 128 * 1024);
	AQ_CHECK_EQ_INT(aq_event_attr(ev, AQ_ATTR_ARGV)->flags, AQ_ATF_TRUNCATED);
	AQ_CHECK_EQ_INT(text(ev, AQ_ATTR_ARGV)[128 * 1024 - 1], 0);
	AQ_CHECK_EQ_INT(text(ev, AQ_ATTR_ARGV)[128 * 1024 - 2], 'a');
	AQ_CHECK_EQ_U64(ev->cgroup_id, 0);
	ev = find(&k, AQ_EV_snap_proc, 15, 0);
	AQ_REQUIRE(ev != NULL);
	AQ_CHECK_EQ_U64(ev->args[2], UINT32_MAX);
	AQ_CHECK_EQ_U64(ev->args[13], 0);
	AQ_CHECK_EQ_U64(stats.processes, 2);
	AQ_CHECK_EQ_U64(stats.vanished, 2); /* 12 and 13 */
	AQ_CHECK_EQ_U64(stats.unreadable, 1 + 5); /* mountinfo; 10, 11, 15, 16, 18 */
	AQ_CHECK_EQ_U64(k.ev[k.count - 1].args[3], stats.unreadable);
	forget(&k);
	end();
	free(large);
}

AQ_TEST(limits)
{
	static struct kept k;
	struct aq_snapshot_stats stats;
	char name[64];

	begin();
	put_text("self/mountinfo", "bad line\n");
	put_text("5/stat", "5 (many) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 9 0 9 0 0\n");
	put_text("5/status", AQ_STATUS);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "5/fd/%d", i);
		link_to("pipe:[1]", name);
		snprintf(name, sizeof(name), "5/task/%d/stat", i + 5);
		put_text(name, "x");
	}
	AQ_REQUIRE(take((struct aq_snapshot_options){ .max_fds_per_process = 4, .max_threads_per_process = 2 }, &k, &stats,
			NULL) == 0);
	AQ_CHECK_EQ_U64(stats.fds, 4);
	AQ_CHECK_EQ_U64(stats.skipped, 6 + 7 + 1);
	AQ_CHECK_EQ_U64(stats.unreadable, 1);
	forget(&k);
	AQ_REQUIRE(take((struct aq_snapshot_options){ .without_fds = true }, &k, &stats, NULL) == 0);
	AQ_CHECK_EQ_U64(stats.fds, 0);
	forget(&k);
	end();
}

AQ_TEST(errors)
{
	static struct kept k;
	struct aq_snapshot_stats stats = { .processes = 99 };
	struct aq_err err = { 0 };
	unsigned whole;

	begin();
	put_text("self/mountinfo", "41 31 0:38 / /x rw - tmpfs x rw\n");
	put_text("5/stat", "5 (t) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 9 0 9 0 0\n");
	put_text("5/status", AQ_STATUS);
	link_to("uts:[1]", "5/ns/uts");
	link_to("pipe:[1]", "5/fd/1");
	put_text("5/task/6/stat", "6 (t) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 9 0 9 0 0\n");
	AQ_REQUIRE(take((struct aq_snapshot_options){ 0 }, &k, NULL, NULL) == 0);
	whole = k.count;
	AQ_CHECK_EQ_INT(whole, 7);
	forget(&k);
	for (unsigned i = 1; i <= whole; i++) { /* whatever fails, it comes back and nothing is put out after it */
		k.fail_at = i;
		err = (struct aq_err){ 0 };
		AQ_CHECK_EQ_INT(take((struct aq_snapshot_options){ 0 }, &k, &stats, &err), -ENOENT);
		AQ_CHECK_EQ_STR(err.text, "the receiver has had enough");
		AQ_CHECK_EQ_INT(k.count, i - 1);
		AQ_CHECK_EQ_U64(stats.processes, 99);
		forget(&k);
	}
	end();
	AQ_CHECK_EQ_INT(take((struct aq_snapshot_options){ 0 }, &k, &stats, &err), -ENOENT);
	AQ_CHECK(strstr(err.text, root) != NULL);
}

AQ_TEST_MAIN()
