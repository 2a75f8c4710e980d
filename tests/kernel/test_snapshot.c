/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot of the running host: a child of which everything is known is found with every field right, and the
 * whole agrees with itself.
 * aq-libs: aq_iterators aq_state aq_schema aq_base */
#include "recorder/state/iterators.h"
#include "tests/unit/aq_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { AQ_KEPT = 512 };
enum { AQ_KIND_FILE = 1, AQ_KIND_FIFO = 5, AQ_KIND_SOCKET = 6, AQ_KIND_ANON = 7, AQ_KIND_MEMFD = 9 };

struct told { /* what the child says about itself */
	int file, listen, tcp6, fresh, unix_sock, pipe, memfd, epoll;
	uint32_t tid;
	uint16_t port, port6;
};

struct kept {
	uint32_t pid;                  /* whose events are kept */
	struct aq_event ev[AQ_KEPT];   /* texts are copied, with a NUL behind */
	unsigned count;
	uint64_t procs, threads, fds, cgroups, mounts, begins, last_ns;
	struct aq_event end;
	bool self;
};

static int keep(void *user, const struct aq_event *ev, struct aq_err *err)
{
	struct kept *k = user;

	(void)err;
	AQ_CHECK(ev->time_ns > k->last_ns);
	k->last_ns = ev->time_ns;
	k->begins += ev->id == AQ_EV_snap_begin;
	k->procs += ev->id == AQ_EV_snap_proc;
	k->threads += ev->id == AQ_EV_snap_proc || ev->id == AQ_EV_snap_thread;
	k->fds += ev->id == AQ_EV_snap_fd;
	k->cgroups += ev->id == AQ_EV_snap_cgroup;
	k->mounts += ev->id == AQ_EV_snap_mount;
	k->self = k->self || (ev->id == AQ_EV_snap_proc && ev->pid == (uint32_t)getpid());
	if (ev->id == AQ_EV_snap_end)
		k->end = *ev;
	if (ev->pid != k->pid || k->count == AQ_KEPT)
		return 0;
	struct aq_event *copy = &k->ev[k->count++];
	*copy = *ev;
	for (unsigned i = 0; i < ev->attr_count; i++) {
		char *data = malloc(ev->attrs[i].len + 1u);

		AQ_REQUIRE(data != NULL);
		memcpy(data, ev->attrs[i].data, ev->attrs[i].len);
		data[ev->attrs[i].len] = '\0';
		copy->attrs[i].data = data;
	}
	return 0;
}

static void forget(struct kept *k)
{
	for (unsigned i = 0; i < k->count; i++)
		for (unsigned j = 0; j < k->ev[i].attr_count; j++)
			free((void *)(uintptr_t)k->ev[i].attrs[j].data);
	memset(k, 0, sizeof(*k));
}

static const struct aq_event *find(const struct kept *k, uint16_t id)
{
	for (unsigned i = 0; i < k->count; i++)
		if (k->ev[i].id == id)
			return &k->ev[i];
	AQ_CHECK(!"an event is missing");
	AQ_REQUIRE(aq_schema_event(id) == NULL);
	return NULL;
}

static const struct aq_event *find_fd(const struct kept *k, int fd)
{
	for (unsigned i = 0; i < k->count; i++)
		if (k->ev[i].id == AQ_EV_snap_fd && k->ev[i].args[0] == (uint64_t)fd)
			return &k->ev[i];
	AQ_REQUIRE(!"a descriptor is missing");
	return NULL;
}

static const char *text(const struct aq_event *ev, enum aq_attr_key key)
{
	const struct aq_attr *a = aq_event_attr(ev, key);

	return a ? a->data : NULL;
}

static void *thread_main(void *user)
{
	struct told *told = user;

	prctl(PR_SET_NAME, "odd) R 1\nname");
	__atomic_store_n(&told->tid, (uint32_t)gettid(), __ATOMIC_RELEASE);
	pause();
	return NULL;
}

/* The child, after an exec of this program: opens one of each and tells on fd 1. */
static int be_the_child(const char *dir)
{
	struct told told = { 0 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(in), len6 = sizeof(in6);
	pthread_t thread;
	int pipes[2];

	if (chdir(dir) != 0)
		return 1;
	told.file = open("file", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (told.file < 0 || write(told.file, "hello", 5) != 5)
		return 1;
	told.listen = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(told.listen, (struct sockaddr *)&in, len) != 0 || listen(told.listen, 1) != 0 ||
	    getsockname(told.listen, (struct sockaddr *)&in, &len) != 0)
		return 1;
	told.port = ntohs(in.sin_port);
	told.tcp6 = socket(AF_INET6, SOCK_DGRAM, 0);
	if (told.tcp6 >= 0 && bind(told.tcp6, (struct sockaddr *)&in6, len6) == 0 &&
	    getsockname(told.tcp6, (struct sockaddr *)&in6, &len6) == 0)
		told.port6 = ntohs(in6.sin6_port);
	told.fresh = socket(AF_INET, SOCK_STREAM, 0);
	told.unix_sock = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/a-socket-with-a-long-name", dir);
	if (bind(told.unix_sock, (struct sockaddr *)&un, sizeof(un)) != 0 || listen(told.unix_sock, 1) != 0)
		return 1;
	if (pipe(pipes) != 0)
		return 1;
	told.pipe = pipes[1];
	told.memfd = memfd_create("nothing-to-see", MFD_CLOEXEC);
	told.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (pthread_create(&thread, NULL, thread_main, &told) != 0)
		return 1;
	while (__atomic_load_n(&told.tid, __ATOMIC_ACQUIRE) == 0)
		usleep(1000);
	if (write(1, &told, sizeof(told)) != sizeof(told))
		return 1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pause();
	return 0;
}

static void check_process(const struct kept *k, const char *dir, uint64_t before_ns, uint64_t after_ns)
{
	const struct aq_event *ev = find(k, AQ_EV_snap_proc);
	char self[4096], want[8192];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct stat st;
	int len;

	AQ_REQUIRE(n > 0);
	self[n] = '\0';
	AQ_REQUIRE(stat(self, &st) == 0);
	AQ_CHECK_EQ_INT(ev->tid, k->pid);
	AQ_CHECK_EQ_U64(ev->args[0], getpid());
	AQ_CHECK(ev->args[1] + 20000000 > before_ns && ev->args[1] <= after_ns);
	AQ_CHECK_EQ_U64(ev->args[2], getuid());
	AQ_CHECK_EQ_U64(ev->args[3], getgid());
	AQ_CHECK_EQ_U64(ev->args[4], geteuid());
	AQ_CHECK_EQ_U64(ev->args[5], getegid());
	AQ_CHECK_EQ_U64(ev->args[6], getsid(0));
	AQ_CHECK_EQ_U64(ev->args[7], getpgrp());
	AQ_CHECK(geteuid() != 0 || ev->args[9] != 0);
	AQ_CHECK_EQ_U64(ev->args[10], st.st_dev);
	AQ_CHECK_EQ_U64(ev->args[11], st.st_ino);
	AQ_CHECK(ev->args[12] != 0);
	AQ_CHECK_EQ_U64(ev->args[13], 2);
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_EXE), self);
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_CWD), dir);
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_ROOT), "/");
	len = snprintf(want, sizeof(want), "%s%cbe-the-child%c%s%c%c", "known argv", 0, 0, dir, 0, 0);
	AQ_REQUIRE(aq_event_attr(ev, AQ_ATTR_ARGV) != NULL);
	AQ_CHECK_EQ_INT(aq_event_attr(ev, AQ_ATTR_ARGV)->len, len);
	AQ_CHECK_EQ_MEM(text(ev, AQ_ATTR_ARGV), want, (size_t)len);
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_COMM), "exe"); /* the last part of what was given to exec */
}

static void check_namespaces(const struct kept *k)
{
	static const char *const names[8] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };
	const struct aq_event *ev = find(k, AQ_EV_snap_ns);

	for (unsigned i = 0; i < 8; i++) {
		char path[64];
		struct stat st;

		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		AQ_CHECK_EQ_U64(ev->args[i], stat(path, &st) == 0 ? st.st_ino : 0);
	}
}

static void check_address(const struct aq_event *ev, int family, uint16_t port, uint8_t proto)
{
	const struct aq_attr *a = aq_event_attr(ev, AQ_ATTR_TUPLE);
	uint16_t got;

	AQ_CHECK_EQ_U64(ev->args[1], AQ_KIND_SOCKET);
	AQ_CHECK_EQ_U64(ev->args[6], proto);
	AQ_REQUIRE(a != NULL && a->len == 56);
	memcpy(&got, a->data, 2);
	AQ_CHECK_EQ_INT(got, family);
	memcpy(&got, (const char *)a->data + 2, 2);
	AQ_CHECK_EQ_INT(ntohs(got), port);
}

static void check_descriptors(const struct kept *k, const struct told *told, const char *dir)
{
	const struct aq_event *ev = find_fd(k, told->file);
	char path[256];
	struct stat st;
	struct in_addr loopback = { htonl(INADDR_LOOPBACK) };

	snprintf(path, sizeof(path), "%s/file", dir);
	AQ_REQUIRE(stat(path, &st) == 0);
	AQ_CHECK_EQ_U64(ev->args[1], AQ_KIND_FILE);
	AQ_CHECK_EQ_U64(ev->args[2], st.st_dev);
	AQ_CHECK_EQ_U64(ev->args[3], st.st_ino);
	AQ_CHECK_EQ_U64(ev->args[4] & (O_ACCMODE | O_APPEND | O_CLOEXEC), O_RDWR | O_APPEND | O_CLOEXEC);
	AQ_CHECK_EQ_U64(ev->args[5], 5);
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_PATH), path);
	ev = find_fd(k, told->listen);
	check_address(ev, AF_INET, told->port, IPPROTO_TCP);
	AQ_CHECK_EQ_MEM(text(ev, AQ_ATTR_TUPLE) + 4, &loopback, 4);
	AQ_CHECK(!(ev->args[4] & O_CLOEXEC));
	if (told->port6)
		check_address(find_fd(k, told->tcp6), AF_INET6, told->port6, IPPROTO_UDP);
	check_address(find_fd(k, told->fresh), AF_INET, 0, IPPROTO_TCP);
	ev = find_fd(k, told->unix_sock);
	snprintf(path, sizeof(path), "%s/a-socket-with-a-long-name", dir);
	AQ_CHECK_EQ_U64(ev->args[1], AQ_KIND_SOCKET);
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_PATH), path);
	AQ_REQUIRE(aq_event_attr(ev, AQ_ATTR_TUPLE) != NULL);
	AQ_CHECK_EQ_MEM(text(ev, AQ_ATTR_TUPLE) + 2, path, 26);
	ev = find_fd(k, told->pipe);
	AQ_CHECK_EQ_U64(ev->args[1], AQ_KIND_FIFO);
	AQ_CHECK(text(ev, AQ_ATTR_PATH) && strncmp(text(ev, AQ_ATTR_PATH), "pipe:[", 6) == 0);
	AQ_CHECK_EQ_U64(ev->args[4] & O_ACCMODE, O_WRONLY);
	ev = find_fd(k, told->memfd);
	AQ_CHECK_EQ_U64(ev->args[1], AQ_KIND_MEMFD);
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_PATH), "/memfd:nothing-to-see (deleted)");
	ev = find_fd(k, told->epoll);
	AQ_CHECK_EQ_U64(ev->args[1], AQ_KIND_ANON);
	AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_PATH), "anon_inode:[eventpoll]");
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static pid_t start_child(const char *dir, struct told *told)
{
	int pipes[2];
	pid_t pid;

	AQ_REQUIRE(pipe(pipes) == 0);
	pid = fork();
	AQ_REQUIRE(pid >= 0);
	if (pid == 0) {
		dup2(pipes[1], 1);
		close(pipes[0]);
		close(pipes[1]);
		execl("/proc/self/exe", "known argv", "be-the-child", dir, "", (char *)NULL);
		_exit(127);
	}
	close(pipes[1]);
	ssize_t n = read(pipes[0], told, sizeof(*told));
	close(pipes[0]);
	if (n != sizeof(*told)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		AQ_REQUIRE(!"the child failed");
	}
	return pid;
}

static void known_child(const struct aq_snapshot_options *from)
{
	struct aq_snapshot_options options = *from;
	static struct kept k;
	struct aq_snapshot_stats stats;
	struct told told;
	struct aq_err err = { 0 };
	const struct aq_event *ev = NULL;
	uint64_t before = now_ns();
	char dir[] = "/tmp/aq-snapshot-XXXXXX";
	int r;

	AQ_REQUIRE(mkdtemp(dir) != NULL);
	k.pid = (uint32_t)start_child(dir, &told);
	options.skip_pid = (uint32_t)getpid();
	r = aq_snapshot_take(&options, keep, &k, &stats, &err);
	if (r == 0) {
		check_process(&k, dir, before, now_ns());
		check_namespaces(&k);
		check_descriptors(&k, &told, dir);
		ev = find(&k, AQ_EV_snap_thread);
		AQ_CHECK_EQ_INT(ev->tid, told.tid);
		AQ_CHECK_EQ_STR(text(ev, AQ_ATTR_COMM), "odd) R 1\nname");
		AQ_CHECK(ev->args[0] + 20000000 > before && ev->args[0] <= now_ns());
	}
	kill((pid_t)k.pid, SIGKILL);
	waitpid((pid_t)k.pid, NULL, 0);
	AQ_CHECK_EQ_INT(r, 0);
	AQ_CHECK_EQ_STR(err.text, "");
	AQ_CHECK_EQ_U64(k.begins, 1);
	AQ_CHECK_EQ_INT(stats.from_rows, from->open_rows != NULL);
	AQ_CHECK(!k.self);
	AQ_CHECK_EQ_U64(k.procs, stats.processes);
	AQ_CHECK_EQ_U64(k.threads, stats.threads);
	AQ_CHECK_EQ_U64(k.fds, stats.fds);
	AQ_CHECK_EQ_U64(k.cgroups, stats.cgroups);
	AQ_CHECK_EQ_U64(k.mounts, stats.mounts);
	AQ_CHECK_EQ_U64(k.end.args[0], k.procs);
	AQ_CHECK_EQ_U64(k.end.args[1], k.threads);
	AQ_CHECK_EQ_U64(k.end.args[2], k.fds);
	AQ_CHECK_EQ_U64(k.end.args[3], stats.unreadable + stats.skipped);
	AQ_CHECK(stats.unreadable < stats.processes); /* some hosts shield single processes from root too */
	printf("       %llu processes, %llu threads, %llu descriptors in %llu us\n", (unsigned long long)stats.processes,
	       (unsigned long long)stats.threads, (unsigned long long)stats.fds,
	       (unsigned long long)stats.duration_ns / 1000);
	forget(&k);
	char path[256];
	snprintf(path, sizeof(path), "%s/file", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/a-socket-with-a-long-name", dir);
	unlink(path);
	rmdir(dir);
}

/* A main thread that has ended still stands for its process; one that was not reaped is told as ended. */
static void zombies(const struct aq_snapshot_options *from)
{
	static struct kept k;
	const struct aq_event *ev;
	siginfo_t info;
	pid_t pid = fork();

	AQ_REQUIRE(pid >= 0);
	if (pid == 0)
		_exit(0);
	AQ_REQUIRE(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	k.pid = (uint32_t)pid;
	AQ_CHECK_EQ_INT(aq_snapshot_take(from, keep, &k, NULL, NULL), 0);
	AQ_CHECK(k.self);
	ev = find(&k, AQ_EV_snap_proc);
	AQ_CHECK_EQ_U64(ev->args[13], 0);
	AQ_CHECK_EQ_U64(ev->args[0], getpid());
	waitpid(pid, NULL, 0);
	forget(&k);
}

static void *outlive(void *user)
{
	(void)user;
	usleep(50000);
	AQ_CHECK(write(1, "", 1) == 1);
	pause();
	return NULL;
}

static void main_thread_ended(const struct aq_snapshot_options *from)
{
	static struct kept k;
	int pipes[2];
	char c;
	pid_t pid;

	AQ_REQUIRE(pipe(pipes) == 0);
	pid = fork();
	AQ_REQUIRE(pid >= 0);
	if (pid == 0) {
		pthread_t thread;

		dup2(pipes[1], 1);
		if (pthread_create(&thread, NULL, outlive, NULL) != 0)
			_exit(1);
		syscall(SYS_exit, 0); /* this thread only */
	}
	AQ_REQUIRE(read(pipes[0], &c, 1) == 1);
	k.pid = (uint32_t)pid;
	AQ_CHECK_EQ_INT(aq_snapshot_take(from, keep, &k, NULL, NULL), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pipes[0]);
	close(pipes[1]);
	AQ_CHECK(text(find(&k, AQ_EV_snap_proc), AQ_ATTR_EXE) != NULL);
	AQ_CHECK_EQ_U64(find(&k, AQ_EV_snap_proc)->args[13], 2);
	AQ_CHECK_EQ_U64(find_fd(&k, 1)->args[1], AQ_KIND_FIFO);
	forget(&k);
}

/* From the kernel's iterators, where they are and may be used. */
static void by_iterators(void (*test)(const struct aq_snapshot_options *from))
{
	struct aq_snapshot_options from = { .open_rows = aq_iterators_open };
	struct aq_iterators *it;
	struct aq_err err = { 0 };

	if (geteuid() != 0 || aq_iterators_new(&it, &err) < 0)
		AQ_SKIP(geteuid() != 0 ? "needs root" : err.text);
	from.open_user = it;
	test(&from);
	aq_iterators_free(it);
}

static const struct aq_snapshot_options by_proc;

AQ_TEST(known_child_by_proc) { known_child(&by_proc); }
AQ_TEST(zombies_by_proc) { zombies(&by_proc); }
AQ_TEST(main_thread_ended_by_proc) { main_thread_ended(&by_proc); }
AQ_TEST(known_child_by_iterators) { by_iterators(known_child); }
AQ_TEST(zombies_by_iterators) { by_iterators(zombies); }
AQ_TEST(main_thread_ended_by_iterators) { by_iterators(main_thread_ended); }

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "be-the-child") == 0)
		return be_the_child(argv[2]);
	return aq_test_main(argc, argv);
}
