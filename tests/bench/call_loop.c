/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The traced side of limits.py: makes calls of one kind and says what CPU time one of them cost (user and system of this
 * process and of the children that ended). For every line on standard input it makes a batch and prints a number.
 *
 * usage: call_loop KIND CPU CALLS [PROCESSES FILES [CGROUP-FOLDER…]]
 *   getppid   a call without strings
 *   open      a pair of openat and close of a file three folders deep
 *   names     openat of a file that is not there, another name of about 150 bytes each time
 *   exec      fork, exec of this program (which ends at once), wait
 *   mix       getppid, a pair of openat and close, stat and read: CALLS of each by each of PROCESSES, one after the other,
 *             with FILES open files each, which lie in turn in the cgroups of CGROUP-FOLDER (their cgroup.procs is written)
 * CPU is -1 for any.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char file[] = "/usr/include/linux/limits.h";

static double own_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double with_children_ns(void)
{
	struct rusage u;

	getrusage(RUSAGE_CHILDREN, &u);
	return own_ns() + 1e9 * (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       1e3 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void die(const char *what)
{
	fprintf(stderr, "call_loop: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void open_pair(void)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(file);
	close(fd);
}

static void open_name(void)
{
	static unsigned long number;
	char name[256];

	memset(name, 'n', sizeof(name));
	snprintf(name, 64, "/nonexistent/%ld/%lu-", (long)getpid(), number++);
	name[strlen(name)] = 'n'; /* goes on behind it */
	name[150] = '\0';
	if (open(name, O_RDONLY | O_CLOEXEC) >= 0)
		die(name);
}

static void run_program(const char *self)
{
	pid_t child = fork();

	if (child == 0) {
		execl(self, self, (char *)NULL);
		_exit(127);
	}
	if (child < 0)
		die("fork");
	waitpid(child, NULL, 0);
}

static void mix(void)
{
	struct stat st;
	char byte;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(file);
	(void)!read(fd, &byte, 1);
	close(fd);
	(void)!stat(file, &st);
	syscall(SYS_getppid);
}

/* Holds its files open and makes its share of calls whenever a byte comes; answers with the time that they took. */
static void serve(int from, int to, long calls, int files)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < files; i++)
		if (open(file, O_RDONLY | O_CLOEXEC) < 0)
			die(file);
	while (read(from, &byte, 1) == 1) {
		double start = own_ns(), ns;

		for (long i = 0; i < calls; i++)
			mix();
		ns = own_ns() - start;
		if (write(to, &ns, sizeof(ns)) != sizeof(ns))
			break;
	}
	_exit(0);
}

struct herd {
	int count, from;
	int *to;
	double *ns;
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void join_cgroup(const char *folder, pid_t pid)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	f = fopen(path, "we");
	if (f == NULL || fprintf(f, "%d\n", (int)pid) < 0 || fclose(f) != 0)
		die(path);
}

static void make_herd(struct herd *h, long calls, int count, int files, char **folders, int folder_count)
{
	int back[2];

	h->count = count;
	h->to = calloc((size_t)count, sizeof(*h->to));
	h->ns = calloc((size_t)count, sizeof(*h->ns));
	if (h->to == NULL || h->ns == NULL || pipe2(back, O_CLOEXEC) < 0)
		die("pipe");
	h->from = back[0];
	for (int i = 0; i < count; i++) {
		int there[2];
		pid_t child;

		if (pipe2(there, O_CLOEXEC) < 0)
			die("pipe");
		child = fork();
		if (child < 0)
			die("fork");
		if (child == 0) {
			for (int k = 0; k < i; k++)
				close(h->to[k]);
			close(there[1]);
			serve(there[0], back[1], calls, files);
		}
		close(there[0]);
		h->to[i] = there[1];
		if (folder_count > 0)
			join_cgroup(folders[i % folder_count], child);
	}
	close(back[1]);
}

/* The median of theirs: others that use the machine disturb some of them. */
static double drive(const struct herd *h)
{
	for (int i = 0; i < h->count; i++)
		if (write(h->to[i], "", 1) != 1 || read(h->from, &h->ns[i], sizeof(h->ns[i])) != sizeof(h->ns[i]))
			die("a process of the mix");
	qsort(h->ns, (size_t)h->count, sizeof(*h->ns), compare);
	return h->ns[h->count / 2];
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";
	struct rlimit limit;
	struct herd herd = { 0 };
	char line[16];
	cpu_set_t set;

	if (argc == 1) /* what `exec` runs */
		return 0;
	if (argc < 4 || (strcmp(kind, "mix") == 0 && argc < 6)) {
		fprintf(stderr, "usage: call_loop KIND CPU CALLS [PROCESSES FILES [CGROUP-FOLDER…]]\n");
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET((size_t)(atoi(argv[2]) & 1023), &set);
	if (atoi(argv[2]) >= 0 && sched_setaffinity(0, sizeof(set), &set) < 0)
		die("sched_setaffinity");
	long calls = atol(argv[3]);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (strcmp(kind, "mix") == 0)
		make_herd(&herd, calls, atoi(argv[4]), atoi(argv[5]), argv + 6, argc - 6);
	while (fgets(line, sizeof(line), stdin)) {
		double start = with_children_ns(), ns;

		if (strcmp(kind, "mix") == 0) {
			ns = drive(&herd);
		} else {
			for (long i = 0; i < calls; i++) {
				if (strcmp(kind, "open") == 0)
					open_pair();
				else if (strcmp(kind, "names") == 0)
					open_name();
				else if (strcmp(kind, "exec") == 0)
					run_program(argv[0]);
				else
					syscall(SYS_getppid);
			}
			ns = with_children_ns() - start;
		}
		printf("%.2f\n", ns / (double)calls);
		fflush(stdout);
	}
	return 0;
}
