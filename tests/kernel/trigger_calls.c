/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes system calls with known arguments, successful and failing, and writes down what it did (expect.h).
 * usage: trigger_calls SCENARIO LOG-FILE [FOLDER]
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "format/schema/schema.h"
#include "tests/kernel/expect.h"

static int scenario_files(struct aq_expect_log *log, const char *folder)
{
	if (chdir(folder) < 0)
		return 1;
	char buffer[64] = "hello";
	struct stat st;
	long fd = AQ_CALL(log, openat, "1=made", AT_FDCWD, (long)"made", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	AQ_CALL(log, write, NULL, fd, (long)buffer, 5);
	AQ_CALL(log, lseek, NULL, fd, 2, SEEK_SET);
	AQ_CALL(log, read, NULL, fd, (long)buffer, sizeof(buffer));
	AQ_CALL(log, pread64, NULL, fd, (long)buffer, 3, 1);
	AQ_CALL(log, fstat, NULL, fd, (long)&st);
	AQ_CALL(log, ftruncate, NULL, fd, 1);
	AQ_CALL(log, fchmod, NULL, fd, 0600);
	AQ_CALL(log, dup3, NULL, fd, 200, O_CLOEXEC);
	AQ_CALL(log, close, NULL, 200);
	AQ_CALL(log, close, NULL, fd);
	AQ_CALL(log, close, NULL, fd); /* EBADF */
	AQ_CALL(log, openat, "1=missing/file", AT_FDCWD, (long)"missing/file", O_RDONLY, 0);
	AQ_CALL(log, openat, NULL, AT_FDCWD, 8, O_RDONLY, 0); /* EFAULT */
	AQ_CALL(log, newfstatat, "1=made", AT_FDCWD, (long)"made", (long)&st, AT_SYMLINK_NOFOLLOW);
	AQ_CALL(log, mkdirat, "1=dir", AT_FDCWD, (long)"dir", 0750);
	AQ_CALL(log, mkdirat, "1=dir", AT_FDCWD, (long)"dir", 0750); /* EEXIST */
	AQ_CALL(log, linkat, "1=made 2=dir/linked", AT_FDCWD, (long)"made", AT_FDCWD, (long)"dir/linked", 0);
	AQ_CALL(log, symlinkat, "1=../made 2=dir/soft", (long)"../made", AT_FDCWD, (long)"dir/soft");
	AQ_CALL(log, renameat2, "1=made 2=dir/moved", AT_FDCWD, (long)"made", AT_FDCWD, (long)"dir/moved",
		1 /* RENAME_NOREPLACE */);
	AQ_CALL(log, fchmodat, "1=dir/moved", AT_FDCWD, (long)"dir/moved", 0755);
	AQ_CALL(log, faccessat, "1=dir/moved", AT_FDCWD, (long)"dir/moved", X_OK);
	AQ_CALL(log, readlinkat, "1=dir/soft", AT_FDCWD, (long)"dir/soft", (long)buffer, sizeof(buffer));
	AQ_CALL(log, unlinkat, "1=dir/soft", AT_FDCWD, (long)"dir/soft", 0);
	AQ_CALL(log, unlinkat, "1=dir/linked", AT_FDCWD, (long)"dir/linked", 0);
	AQ_CALL(log, unlinkat, "1=dir/moved", AT_FDCWD, (long)"dir/moved", 0);
	AQ_CALL(log, unlinkat, "1=dir", AT_FDCWD, (long)"dir", AT_REMOVEDIR);
	long dir = AQ_CALL(log, openat, "1=.", AT_FDCWD, (long)".", O_RDONLY | O_DIRECTORY, 0);
	AQ_CALL(log, getdents64, NULL, dir, (long)buffer, 0);
	AQ_CALL(log, fcntl, NULL, dir, F_GETFD, 0);
	AQ_CALL(log, chdir, "1=/", (long)"/");
	return 0;
}

static int scenario_misc(struct aq_expect_log *log, const char *folder)
{
	(void)folder;
	AQ_CALL(log, getppid, NULL, 0);
	AQ_CALL(log, kill, NULL, getpid(), 0);
	AQ_CALL(log, kill, NULL, -999999, SIGTERM); /* ESRCH */
	long page = AQ_CALL(log, mmap, NULL, 0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	AQ_CALL(log, mprotect, NULL, page, 4096, PROT_READ);
	AQ_CALL(log, munmap, NULL, page, 8192);
	AQ_CALL(log, mmap, NULL, 0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* EINVAL */
	long memfd = AQ_CALL(log, memfd_create, "8=payload", (long)"payload", 1 /* MFD_CLOEXEC */);
	AQ_CALL(log, close, NULL, memfd);
	int ends[2];
	AQ_CALL(log, pipe2, NULL, (long)ends, O_CLOEXEC);
	AQ_CALL(log, close, NULL, ends[0]);
	AQ_CALL(log, close, NULL, ends[1]);
	AQ_CALL(log, prctl, NULL, PR_SET_NAME, (long)"renamed", 0, 0, 0);
	AQ_CALL(log, setpgid, NULL, 0, 0);
	AQ_CALL(log, umask, NULL, 027);
	AQ_CALL(log, setuid, NULL, getuid());
	AQ_CALL(log, unshare, NULL, 0);
	return 0;
}

static int scenario_sockets(struct aq_expect_log *log, const char *folder)
{
	(void)folder;
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(local);
	long server = AQ_CALL(log, socket, NULL, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	AQ_CALL(log, bind, NULL, server, (long)&local, sizeof(local));
	AQ_CALL(log, listen, NULL, server, 5);
	if (getsockname((int)server, (struct sockaddr *)&local, &length) < 0)
		return 1;
	long client = AQ_CALL(log, socket, NULL, AF_INET, SOCK_STREAM, 0);
	AQ_CALL(log, connect, NULL, client, (long)&local, sizeof(local));
	struct sockaddr_in peer;
	length = sizeof(peer);
	long accepted = AQ_CALL(log, accept4, NULL, server, (long)&peer, (long)&length, SOCK_CLOEXEC);
	fprintf(log->file, "P %d\n", ntohs(local.sin_port));
	fprintf(log->file, "Q %d\n", ntohs(peer.sin_port));
	AQ_CALL(log, sendto, NULL, client, (long)"ping", 4, MSG_NOSIGNAL, 0, 0);
	char buffer[16];
	AQ_CALL(log, recvfrom, NULL, accepted, (long)buffer, sizeof(buffer), 0, 0, 0);
	AQ_CALL(log, shutdown, NULL, client, SHUT_WR);
	AQ_CALL(log, close, NULL, accepted);
	AQ_CALL(log, close, NULL, client);
	AQ_CALL(log, close, NULL, server);
	client = AQ_CALL(log, socket, NULL, AF_INET, SOCK_STREAM, 0);
	AQ_CALL(log, connect, NULL, client, (long)&local, sizeof(local)); /* ECONNREFUSED */
	AQ_CALL(log, close, NULL, client);
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/nowhere/socket" };
	client = AQ_CALL(log, socket, NULL, AF_UNIX, SOCK_DGRAM, 0);
	AQ_CALL(log, connect, NULL, client, (long)&un, sizeof(un)); /* ENOENT */
	AQ_CALL(log, close, NULL, client);
	int pair[2];
	AQ_CALL(log, socketpair, NULL, AF_UNIX, SOCK_STREAM, 0, (long)pair);
	return 0;
}

enum { THREADS = 4, CALLS_PER_THREAD = 50 };

struct thread_argument {
	struct aq_expect_log *log;
	int index;
};

static void *thread_main(void *user)
{
	struct thread_argument *argument = user;
	for (int i = 0; i < CALLS_PER_THREAD; i++)
		AQ_CALL(argument->log, close, NULL, 100000 + argument->index * 1000 + i); /* EBADF, each its own */
	return NULL;
}

static int scenario_threads(struct aq_expect_log *log, const char *folder)
{
	(void)folder;
	pthread_t threads[THREADS];
	struct thread_argument arguments[THREADS];
	for (int i = 0; i < THREADS; i++) {
		arguments[i] = (struct thread_argument){ .log = log, .index = i };
		if (pthread_create(&threads[i], NULL, thread_main, &arguments[i]) != 0)
			return 1;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static void *exec_from_thread(void *user)
{
	(void)user;
	execl("/bin/true", "true", "from-thread", (char *)NULL);
	_exit(99);
}

/* C pid lines name children; X lines what became of them: exit code and signal. */
static void reap(struct aq_expect_log *log, pid_t child)
{
	int status = 0;
	if (waitpid(child, &status, __WALL) == child)
		fprintf(log->file, "X %d %d %d\n", (int)child, WIFEXITED(status) ? WEXITSTATUS(status) : 0,
			WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static int scenario_processes(struct aq_expect_log *log, const char *folder)
{
	(void)folder;
	fflush(log->file);
	pid_t child = fork();
	if (child == 0)
		_exit(42);
	reap(log, child);

	fflush(log->file);
	child = fork();
	if (child == 0) {
		raise(SIGKILL);
		_exit(1);
	}
	reap(log, child);

	child = vfork();
	if (child == 0) {
		execl("/bin/echo", "echo", "one two", "", "three", (char *)NULL);
		_exit(98);
	}
	reap(log, child);

	fflush(log->file);
	child = fork();
	if (child == 0) {
		pthread_t thread;
		pthread_create(&thread, NULL, exec_from_thread, NULL);
		pthread_join(thread, NULL);
		_exit(97);
	}
	reap(log, child);

	fflush(log->file);
	child = fork();
	if (child == 0) {
		execl("/no/such/program", "program", (char *)NULL);
		_exit(96);
	}
	reap(log, child);
	return 0;
}

static int scenario_reuse(struct aq_expect_log *log, const char *folder)
{
	(void)folder;
	pid_t wanted = 0;
	for (int i = 0; i < 2; i++) {
		struct clone_args args = { .exit_signal = SIGCHLD };
		if (wanted) {
			args.set_tid = (uintptr_t)&wanted;
			args.set_tid_size = 1;
		}
		fflush(log->file);
		long child = syscall(SYS_clone3, &args, sizeof(args));
		if (child == 0)
			_exit(10 + i);
		if (child < 0) {
			fprintf(log->file, "S clone3: %s\n", strerror(errno));
			return 0;
		}
		wanted = (pid_t)child;
		reap(log, wanted);
	}
	return 0;
}

#ifdef __x86_64__
/* 32-bit entry from a 64-bit process: number 20 is getpid there (writev for 64-bit), 6 is close (lstat). */
static int scenario_int80(struct aq_expect_log *log, const char *folder)
{
	(void)folder;
	int ret;
	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	aq_expect(log, AQ_EV_getpid, ret, 0, (const long[6]){ 0 }, "abi=1");
	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(6), "b"(31337) : "memory", "r8", "r9", "r10", "r11");
	aq_expect(log, AQ_EV_close, ret, 1, (const long[6]){ 31337 }, "abi=1");
	return 0;
}
#endif

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(struct aq_expect_log *log, const char *folder);
	} scenarios[] = {
		{ "files", scenario_files },         { "misc", scenario_misc },   { "sockets", scenario_sockets },
		{ "threads", scenario_threads },     { "reuse", scenario_reuse }, { "processes", scenario_processes },
#ifdef __x86_64__
		{ "int80", scenario_int80 },
#endif
	};
	if (argc < 3) {
		fprintf(stderr, "usage: trigger_calls SCENARIO LOG-FILE [FOLDER]\n");
		return 2;
	}
	struct aq_expect_log log = { .file = fopen(argv[2], "we") };
	if (!log.file) {
		perror(argv[2]);
		return 1;
	}
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
		if (strcmp(scenarios[i].name, argv[1]) != 0)
			continue;
		fprintf(log.file, "M %d\n", (int)getpid());
		int status = scenarios[i].run(&log, argc > 3 ? argv[3] : ".");
		return fclose(log.file) == 0 ? status : 1;
	}
	fprintf(stderr, "trigger_calls: no scenario '%s'\n", argv[1]);
	return 2;
}
