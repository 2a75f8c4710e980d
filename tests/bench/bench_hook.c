/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program on sys_exit costs the traced process: CPU time of getppid with nothing attached, with an empty
 * program, with the kernel side of the recorder and with its durations, alternating in one process on one CPU. The rings are emptied
 * between the batches by moving their tails, so that nothing is lost and no other process has a part in it.
 * usage: bench_hook EMPTY-OBJECT [ROUNDS]
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bpf/wire.h"

#include "aquila.skel.h"
#include "recorder/calls.h"

enum { FIXED_PARTS = 16, ATTR_PARTS = 1, BATCH = 20000, BATCHES = 10, MAX_ROUNDS = 200 };
enum { NOTHING, EMPTY, AQUILA, DURATIONS, STATES };

static const char *const state_names[STATES] = { "nothing", "empty", "aquila", "durations" };

struct side { /* the kernel side, loaded in one way */
	struct aquila_bpf *skel;
	struct aq_wire_cpu *ctl;
	size_t ctl_bytes;
};

struct bench {
	struct bpf_object *empty;
	struct bpf_program *empty_program;
	struct side side[STATES]; /* AQUILA and DURATIONS */
	int cpus;
	double sample[STATES][MAX_ROUNDS];
};

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void empty_rings(const struct bench *b, const struct side *side)
{
	for (int cpu = 0; side->ctl != NULL && cpu < b->cpus; cpu++) {
		for (unsigned cls = 0; cls < AQ_WIRE_CLASSES; cls++) {
			struct aq_wire_ring *ring = &side->ctl[cpu].ring[cls];

			__atomic_store_n(&ring->tail, __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
			__atomic_store_n(&ring->attr_tail, __atomic_load_n(&ring->attr_head, __ATOMIC_ACQUIRE),
					 __ATOMIC_RELEASE);
		}
	}
}

static double measure(const struct bench *b, int state)
{
	double best = 0;

	for (int i = 0; i < BATCHES; i++) {
		double ns;

		empty_rings(b, &b->side[state]);
		ns = cpu_ns();
		for (int k = 0; k < BATCH; k++)
			syscall(SYS_getppid);
		ns = (cpu_ns() - ns) / BATCH;
		if (i == 0 || ns < best)
			best = ns;
	}
	return best;
}

static int fill_calls(const struct aquila_bpf *skel)
{
	static struct aq_wire_call rows[AQ_WIRE_NR_MAX];
	enum aq_abi abis[3];

	(void)aq_calls_abis(abis);
	aq_calls_fill(abis[0], NULL, rows);
	for (uint32_t nr = 0; nr < AQ_WIRE_NR_MAX; nr++) {
		uint32_t key = (uint32_t)abis[0] * AQ_WIRE_NR_MAX + nr;

		if (bpf_map_update_elem(bpf_map__fd(skel->maps.calls), &key, &rows[nr], BPF_ANY) < 0)
			return -errno;
	}
	return 0;
}

static int load_ours(const struct bench *b, bool durations, struct side *side)
{
	struct aquila_bpf *skel = side->skel = aquila_bpf__open();
	uint32_t rings = (uint32_t)b->cpus * AQ_WIRE_CLASSES;
	struct bpf_program *program;

	if (skel == NULL)
		return -errno;
	skel->rodata->cfg_fixed_parts = FIXED_PARTS;
	skel->rodata->cfg_attr_parts = ATTR_PARTS;
	bpf_map__set_max_entries(skel->maps.ctl, (uint32_t)b->cpus);
	bpf_map__set_max_entries(skel->maps.fixed, rings * FIXED_PARTS);
	bpf_map__set_max_entries(skel->maps.attr, rings * ATTR_PARTS);
	if (durations) {
		skel->rodata->cfg_durations = 1;
		skel->rodata->cfg_stamps = AQ_WIRE_STAMPS_MAX;
		bpf_map__set_max_entries(skel->maps.stamps, AQ_WIRE_STAMPS_MAX);
		bpf_map__set_value_size(skel->maps.fixed, AQ_WIRE_PART_SLOTS * sizeof(struct aq_wire_timed));
	}
	bpf_object__for_each_program(program, skel->obj)
		bpf_program__set_autoload(program, program == skel->progs.aq_sys_exit ||
						   (durations && program == skel->progs.aq_sys_enter));
	if (aquila_bpf__load(skel) < 0 || fill_calls(skel) < 0)
		return -errno;
	side->ctl_bytes = ((size_t)b->cpus * sizeof(*side->ctl) + 4095) & ~(size_t)4095;
	side->ctl = mmap(NULL, side->ctl_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(skel->maps.ctl), 0);
	return side->ctl == MAP_FAILED ? -errno : 0;
}

static int load(struct bench *b, const char *empty_path)
{
	b->empty = bpf_object__open(empty_path);
	if (b->empty == NULL || bpf_object__load(b->empty) < 0)
		return -errno;
	b->empty_program = bpf_object__find_program_by_name(b->empty, "empty");
	if (b->empty_program == NULL)
		return -ENOENT;
	int r = load_ours(b, false, &b->side[AQUILA]);
	return r < 0 ? r : load_ours(b, true, &b->side[DURATIONS]);
}

/* One batch with what the state has attached; a negative number if it can't be. */
static double measure_attached(struct bench *b, int state)
{
	struct aquila_bpf *skel = b->side[state].skel;
	struct bpf_link *exit_link = NULL, *enter_link = NULL;
	double ns = -1;

	if (state != NOTHING)
		exit_link = bpf_program__attach(state == EMPTY ? b->empty_program : skel->progs.aq_sys_exit);
	if (state == DURATIONS)
		enter_link = bpf_program__attach(skel->progs.aq_sys_enter);
	if ((state == NOTHING || exit_link != NULL) && (state != DURATIONS || enter_link != NULL))
		ns = measure(b, state);
	bpf_link__destroy(exit_link);
	bpf_link__destroy(enter_link);
	return ns;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void report(struct bench *b, int rounds)
{
	double median[STATES];
	uint64_t stored = 0, lost = 0;

	for (int s = 0; s < STATES; s++) {
		qsort(b->sample[s], (size_t)rounds, sizeof(double), compare);
		median[s] = b->sample[s][rounds / 2];
		printf("%-9s %7.1f ns per getppid (%.1f ... %.1f)\n", state_names[s], median[s], b->sample[s][0],
		       b->sample[s][rounds - 1]);
	}
	for (int cpu = 0; cpu < b->cpus; cpu++) {
		for (unsigned cls = 0; cls < AQ_WIRE_CLASSES; cls++) {
			stored += b->side[AQUILA].ctl[cpu].ring[cls].head + b->side[DURATIONS].ctl[cpu].ring[cls].head;
			lost += b->side[AQUILA].ctl[cpu].ring[cls].lost + b->side[DURATIONS].ctl[cpu].ring[cls].lost;
		}
	}
	printf("medians: empty adds %.1f ns, aquila %.1f ns, ratio %.2f; stored %llu, lost %llu\n",
	       median[1] - median[0], median[2] - median[0], (median[2] - median[0]) / (median[1] - median[0]),
	       (unsigned long long)stored, (unsigned long long)lost);
	printf("durations add %.1f ns to that\n", median[3] - median[2]);
	printf("minima:  empty adds %.1f ns, aquila %.1f ns, ratio %.2f\n", b->sample[1][0] - b->sample[0][0],
	       b->sample[2][0] - b->sample[0][0],
	       (b->sample[2][0] - b->sample[0][0]) / (b->sample[1][0] - b->sample[0][0]));
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int rounds = argc > 2 ? atoi(argv[2]) : 15, r;
	cpu_set_t set;

	if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bench_hook EMPTY-OBJECT [ROUNDS]\n");
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	b.cpus = libbpf_num_possible_cpus();
	r = load(&b, argv[1]);
	if (r < 0) {
		fprintf(stderr, "bench_hook: the programs can't be loaded: %s\n", strerror(-r));
		return 1;
	}
	for (int round = 0; round < rounds; round++) {
		for (int s = 0; s < STATES; s++) {
			b.sample[s][round] = measure_attached(&b, s);
			if (b.sample[s][round] < 0) {
				fprintf(stderr, "bench_hook: can't attach: %s\n", strerror(errno));
				return 1;
			}
		}
	}
	report(&b, rounds);
	for (int s = AQUILA; s < STATES; s++) {
		munmap(b.side[s].ctl, b.side[s].ctl_bytes);
		aquila_bpf__destroy(b.side[s].skel);
	}
	bpf_object__close(b.empty);
	return 0;
}
