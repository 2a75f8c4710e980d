/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why the rings are arrays: what a record of 88 bytes costs who makes the call and who takes it out again, in a BPF ring
 * buffer and in an array (bench_ring.bpf.c). States alternate; medians; the smallest of ten batches each.
 * usage: bench_ring BPF-OBJECT [ROUNDS]
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_BYTES = 88, SLOTS = 65536, PART_SLOTS = 4096, PARTS = SLOTS / PART_SLOTS };
enum { BATCH = 20000, BATCHES = 10, MAX_ROUNDS = 200 };
enum { NOTHING, NOWHERE, RINGBUF, ARRAY, STATES };

static const char *const names[STATES] = { "nothing", "nowhere", "ringbuf", "array" };
static const char *const programs[STATES] = { NULL, "to_nowhere", "to_ringbuf", "to_array" };

struct control {
	uint64_t head, lost, reserved1[6];
	uint64_t tail, reserved2[7];
};

struct bench {
	struct bpf_object *object;
	struct control *control;
	uint8_t *parts;
	struct ring_buffer *buffers;
	uint8_t *out; /* where records are copied to */
	size_t taken;
	double made[STATES][MAX_ROUNDS], took[STATES][MAX_ROUNDS];
};

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int copy_record(void *user, void *data, size_t size)
{
	struct bench *b = user;

	(void)size;
	memcpy(b->out + b->taken % SLOTS * RECORD_BYTES, data, RECORD_BYTES);
	b->taken++;
	return 0;
}

/* Everything there is, as whole runs from the array, one by one from the ring buffers. */
static void take_out(struct bench *b)
{
	struct control *c = &b->control[0];
	uint64_t pos = c->tail, end = __atomic_load_n(&c->head, __ATOMIC_ACQUIRE);

	(void)ring_buffer__consume(b->buffers);
	while (pos < end) {
		uint64_t n = PART_SLOTS - pos % PART_SLOTS;

		n = n < end - pos ? n : end - pos;
		memcpy(b->out + b->taken % SLOTS * RECORD_BYTES, b->parts + pos % SLOTS * RECORD_BYTES, n * RECORD_BYTES);
		b->taken += n;
		pos += n;
	}
	__atomic_store_n(&c->tail, pos, __ATOMIC_RELEASE);
}

static int load(struct bench *b, const char *path)
{
	int cpus = libbpf_num_possible_cpus();
	struct bpf_map *map;
	unsigned tgid = (unsigned)getpid();
	size_t control_bytes = (sizeof(*b->control) * (size_t)cpus + 4095) & ~(size_t)4095;

	b->object = bpf_object__open(path);
	map = b->object ? bpf_object__find_map_by_name(b->object, ".rodata") : NULL;
	if (map == NULL || cpus <= 0 || bpf_map__set_initial_value(map, &tgid, sizeof(tgid)) < 0)
		return -EINVAL;
	bpf_map__set_max_entries(bpf_object__find_map_by_name(b->object, "control"), (unsigned)cpus);
	bpf_map__set_max_entries(bpf_object__find_map_by_name(b->object, "parts"), (unsigned)cpus * PARTS);
	bpf_map__set_max_entries(bpf_object__find_map_by_name(b->object, "buffers"), (unsigned)cpus);
	if (bpf_object__load(b->object) < 0)
		return -errno;
	for (int cpu = 0; cpu < cpus; cpu++) {
		int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "buffer", 0, 0, 8 << 20, NULL);

		if (fd < 0 || bpf_map_update_elem(bpf_object__find_map_fd_by_name(b->object, "buffers"), &cpu, &fd, BPF_ANY) < 0)
			return -errno;
		if (b->buffers == NULL)
			b->buffers = ring_buffer__new(fd, copy_record, b, NULL);
		else
			ring_buffer__add(b->buffers, fd, copy_record, b);
	}
	b->control = mmap(NULL, control_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			  bpf_object__find_map_fd_by_name(b->object, "control"), 0);
	b->parts = mmap(NULL, (size_t)SLOTS * RECORD_BYTES, PROT_READ, MAP_SHARED,
			bpf_object__find_map_fd_by_name(b->object, "parts"), 0);
	b->out = calloc(SLOTS, RECORD_BYTES);
	return b->buffers == NULL || b->control == MAP_FAILED || b->parts == MAP_FAILED || b->out == NULL ? -ENOMEM : 0;
}

static int measure(struct bench *b, int state, double *ret_made, double *ret_took)
{
	struct bpf_link *link = NULL;

	if (state != NOTHING) {
		link = bpf_program__attach(bpf_object__find_program_by_name(b->object, programs[state]));
		if (link == NULL)
			return -errno;
	}
	for (int i = 0; i < BATCHES; i++) {
		double start = cpu_ns(), made, took;

		for (int k = 0; k < BATCH; k++)
			syscall(SYS_getppid);
		made = (cpu_ns() - start) / BATCH;
		b->taken = 0;
		start = cpu_ns();
		take_out(b);
		took = b->taken >= BATCH ? (cpu_ns() - start) / (double)b->taken : 0;
		if (state >= RINGBUF && b->taken < BATCH)
			return -EIO;
		*ret_made = i == 0 || made < *ret_made ? made : *ret_made;
		*ret_took = i == 0 || took < *ret_took ? took : *ret_took;
	}
	bpf_link__destroy(link);
	return 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void report(struct bench *b, int rounds)
{
	double made[STATES], took[STATES];

	for (int s = 0; s < STATES; s++) {
		qsort(b->made[s], (size_t)rounds, sizeof(double), compare);
		qsort(b->took[s], (size_t)rounds, sizeof(double), compare);
		made[s] = b->made[s][rounds / 2];
		took[s] = b->took[s][rounds / 2];
		printf("%-8s %7.1f ns per getppid (%.1f ... %.1f)", names[s], made[s], b->made[s][0], b->made[s][rounds - 1]);
		if (s >= RINGBUF)
			printf(", %.1f ns to take a record out", took[s]);
		putchar('\n');
	}
	printf("keeping a record: ringbuf %.1f ns, array %.1f ns: %.2fx; taking it out: %.2fx\n", made[RINGBUF] - made[NOWHERE],
	       made[ARRAY] - made[NOWHERE], (made[RINGBUF] - made[NOWHERE]) / (made[ARRAY] - made[NOWHERE]),
	       took[RINGBUF] / took[ARRAY]);
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int rounds = argc > 2 ? atoi(argv[2]) : 15, r;
	cpu_set_t set;

	if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bench_ring BPF-OBJECT [ROUNDS]\n");
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	r = load(&b, argv[1]);
	for (int round = 0; r == 0 && round < rounds; round++)
		for (int s = 0; s < STATES && r == 0; s++)
			r = measure(&b, s, &b.made[s][round], &b.took[s][round]);
	if (r < 0) {
		fprintf(stderr, "bench_ring: %s\n", strerror(-r));
		return 1;
	}
	report(&b, rounds);
	return 0;
}
