/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes calls that take a known time and says for each when it began and ended by its own clock. Lines:
 *
 *   D <tid> <event id> <result> <before ns> <after ns> <least ns>   the call between has a duration of at least so much
 *   U <tid> <event id> <result> <before ns> <after ns> 0            the call between has none
 *
 * usage: trigger_durations run LOG PROGRAM32 | executed LOG TID BEFORE | waiting LOG
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "format/schema/schema.h"

enum { MS = 1000000, THREADS = 4, ROUNDS = 20 };

static int log_fd;
static const char *self;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void say(char kind, unsigned id, long ret, uint64_t before, uint64_t least)
{
	char line[200];
	int n = snprintf(line, sizeof(line), "%c %ld %u %ld %lu %lu %lu\n", kind, syscall(SYS_gettid), id, ret, before, now_ns(),
			 least);

	if (write(log_fd, line, (size_t)n) != n) /* appended, whole */
		abort();
}

enum { KNOWN = 'D', UNKNOWN = 'U' };

/* One call with up to four arguments; what it took, by our own clock. */
static long timed(unsigned id, uint64_t least_ns, long nr, long a, long b, long c, long d)
{
	uint64_t before = now_ns();
	long ret = syscall(nr, a, b, c, d, 0, 0);

	if (ret == -1)
		ret = -errno;
	say(KNOWN, id, ret, before, least_ns);
	return ret;
}

static void sleep_ms(long ms)
{
	timed(AQ_EV_nanosleep, (uint64_t)ms * MS, SYS_nanosleep, (long)&(struct timespec){ .tv_nsec = ms * MS }, 0, 0, 0);
}

static void *write_later(void *fd)
{
	usleep(50000);
	if (write(*(int *)fd, "x", 1) != 1)
		abort();
	return NULL;
}

static void blocked_read(void)
{
	int fds[2];
	char byte;
	pthread_t thread;

	if (pipe(fds) < 0 || pthread_create(&thread, NULL, write_later, &fds[1]) != 0)
		abort();
	timed(AQ_EV_read, 40ul * MS, SYS_read, fds[0], (long)&byte, 1, 0);
	pthread_join(thread, NULL);
}

static void timed_futex(void)
{
	static uint32_t word;

	timed(AQ_EV_futex, 30ul * MS, SYS_futex, (long)&word, FUTEX_WAIT, 0, (long)&(struct timespec){ .tv_nsec = 30 * MS });
}

static void *sleep_often(void *ms)
{
	for (int i = 0; i < ROUNDS; i++)
		sleep_ms(*(long *)ms);
	return NULL;
}

static void threads(void)
{
	static long ms[THREADS] = { 1, 2, 3, 5 };
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, sleep_often, &ms[i]) != 0)
			abort();
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

static void on_alarm(int number)
{
	(void)number;
}

/* The handler's return is a call of its own; its number is gone when it ends. */
static void interrupted(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	uint64_t before = now_ns();

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &(struct itimerval){ .it_value = { .tv_usec = 10000 } }, NULL);
	syscall(SYS_nanosleep, &(struct timespec){ .tv_sec = 5 }, NULL);
	say(KNOWN, AQ_EV_nanosleep, -516, before, 5ul * MS); /* ERESTART_RESTARTBLOCK */
	say(KNOWN, AQ_EV_rt_sigreturn, -EINTR, before, 0);
}

static int child(void (*run)(void))
{
	uint64_t before = now_ns();
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		say(UNKNOWN, AQ_EV_clone, 0, before, 0); /* the call by which it came into being here */
		run();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		abort();
	return 0;
}

/* Stopped in the middle, the sleep is restarted: a call of its own for the rest. */
static void restarted(void)
{
	pid_t pid = getpid(), helper;
	uint64_t before = now_ns();

	helper = fork();
	if (helper == 0) {
		usleep(20000);
		kill(pid, SIGSTOP);
		usleep(20000);
		kill(pid, SIGCONT);
		_exit(0);
	}
	syscall(SYS_nanosleep, &(struct timespec){ .tv_nsec = 100 * MS }, NULL);
	say(KNOWN, AQ_EV_nanosleep, -516, before, 10ul * MS);
	say(KNOWN, AQ_EV_restart_syscall, 0, before, 20ul * MS);
	waitpid(helper, NULL, 0);
}

/* Turned away before the entry can be seen. */
static void denied(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPROTO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		abort();
	uint64_t before = now_ns();
	if (syscall(SYS_getpgid, 0) != -1 || errno != EPROTO)
		abort();
	say(UNKNOWN, AQ_EV_getpgid, -EPROTO, before, 0);
	timed(AQ_EV_getppid, 0, SYS_getppid, 0, 0, 0, 0);
}

/* exec by a thread that is not the first: it goes on under the first one's id. */
static void *exec_here(void *log_path)
{
	char before[32], tid[32];
	char *argv[] = { (char *)self, (char *)"executed", log_path, tid, before, NULL };

	snprintf(tid, sizeof(tid), "%ld", syscall(SYS_gettid));
	snprintf(before, sizeof(before), "%lu", now_ns());
	execv(self, argv);
	abort();
}

static const char *log_path;

static void exec_by_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, exec_here, (void *)log_path) == 0)
		pause();
	abort();
}

static int executed(char **argv)
{
	uint64_t before = strtoull(argv[4], NULL, 10);

	if (atol(argv[3]) == getpid())
		return 1; /* it was no other thread */
	say(KNOWN, AQ_EV_execve, 0, before, 0);
	return 0;
}

static int run(const char *program32)
{
	pid_t pid;

	sleep_ms(20);
	blocked_read();
	timed_futex();
	threads();
	interrupted();
	child(restarted);
	child(denied);
	child(exec_by_thread);
	pid = fork();
	if (pid == 0) {
		execl(program32, program32, NULL);
		_exit(7); /* cannot be run here */
	}
	waitpid(pid, NULL, 0);
	return 0;
}

/* Waits for two signals; a recorder that came during the first wait has seen only the second one begin. */
static int waiting(void)
{
	sigset_t set;
	long ret;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ret = syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, 8);
	say(UNKNOWN, AQ_EV_rt_sigtimedwait, ret, 0, 0);
	ret = timed(AQ_EV_rt_sigtimedwait, 20ul * MS, SYS_rt_sigtimedwait, (long)&set, 0, 0, 8);
	return ret == SIGUSR1 ? 0 : 1;
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc < 3)
		return 2;
	log_path = argv[2];
	log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd < 0)
		return 1;
	if (strcmp(argv[1], "executed") == 0 && argc == 5)
		return executed(argv);
	if (strcmp(argv[1], "waiting") == 0)
		return waiting();
	return argc == 4 ? run(argv[3]) : 2;
}
