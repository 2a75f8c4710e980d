/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The traced side of the hook benchmark: pins itself to a CPU, makes getppid calls in batches and prints, for every
 * line on standard input, the CPU nanoseconds (user and system, of this process only) that one call took.
 * usage: syscall_loop CPU CALLS
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: syscall_loop CPU CALLS\n");
		return 2;
	}
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)atoi(argv[1]), &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0) {
		perror("sched_setaffinity");
		return 1;
	}
	long calls = atol(argv[2]);
	char line[16];
	while (fgets(line, sizeof(line), stdin)) {
		double start = cpu_ns();
		for (long i = 0; i < calls; i++)
			syscall(SYS_getppid);
		printf("%.2f\n", (cpu_ns() - start) / (double)calls);
		fflush(stdout);
	}
	return 0;
}
