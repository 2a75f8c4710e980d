/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it takes to look at a random place of a large capture: open it for that time, read the first event, close it. Wall
 * time and bytes read for each; the first rounds warm the page cache for the places that are looked at.
 *
 * usage: bench_seek CAPTURE [ROUNDS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "format/segment/reader.h"

enum { ROUNDS_DEFAULT = 200, SPAN_NS = 1000000000 };

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static uint64_t bytes_read(void)
{
	FILE *f = fopen("/proc/self/io", "re");
	uint64_t n = 0;
	if (!f || fscanf(f, "rchar: %" SCNu64, &n) != 1)
		fprintf(stderr, "bench_seek: /proc/self/io can't be read\n");
	if (f)
		fclose(f);
	return n;
}

static int window(void *user, const struct aq_capture *c, uint64_t *from, uint64_t *to, struct aq_err *err)
{
	const uint64_t *at = user;
	(void)c;
	(void)err;
	*from = *at;
	*to = *at + SPAN_NS;
	return 0;
}

static int look(const char *path, uint64_t at, uint64_t *ret_time)
{
	struct aq_open_options open = { .window = window, .user = &at };
	struct aq_iter_options iter = { .from_ns = at, .to_ns = at + SPAN_NS };
	struct aq_capture *c;
	struct aq_event_iter *it = NULL;
	struct aq_event ev;
	struct aq_err err;
	int r = aq_capture_open_with(path, &open, &c, &err);
	if (r < 0) {
		fprintf(stderr, "bench_seek: %s\n", err.text);
		return r;
	}
	r = aq_event_iter_new(c, &iter, &it, &err);
	if (r == 0 && aq_event_iter_next(it, &ev, &err) > 0)
		*ret_time = ev.time_ns;
	aq_event_iter_free(it);
	aq_capture_close(c);
	return r;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : ROUNDS_DEFAULT;
	struct aq_capture *c;
	struct aq_err err;
	if (argc < 2 || rounds == 0) {
		fprintf(stderr, "usage: bench_seek CAPTURE [ROUNDS]\n");
		return 2;
	}
	double *ms = calloc(rounds, sizeof(*ms)), *mib = calloc(rounds, sizeof(*mib));
	double start = now_ms();
	if (!ms || !mib || aq_capture_open(argv[1], &c, &err) < 0)
		return 1;
	double all_ms = now_ms() - start;
	const struct aq_capture_info info = *aq_capture_info(c);
	printf("%.2f GB, %" PRIu64 " events, %u segments; opening all of it takes %.1f ms\n", (double)info.bytes / 1e9, info.events,
	       info.segment_count, all_ms);
	aq_capture_close(c);
	for (unsigned pass = 0; pass < 2; pass++) {
		srand(1);
		for (unsigned i = 0; i < rounds; i++) {
			uint64_t at = info.min_ns + (uint64_t)((double)(info.max_ns - info.min_ns) * (rand() / (RAND_MAX + 1.0))), time = 0;
			uint64_t before = bytes_read();
			start = now_ms();
			if (look(argv[1], at, &time) < 0)
				return 1;
			ms[i] = now_ms() - start;
			mib[i] = (double)(bytes_read() - before) / 1e6;
			if (time < at) {
				fprintf(stderr, "bench_seek: no event after %" PRIu64 "\n", at);
				return 1;
			}
		}
	}
	qsort(ms, rounds, sizeof(*ms), by_value);
	qsort(mib, rounds, sizeof(*mib), by_value);
	printf("%u random places, warm: %.2f ms median, %.2f ms p99, %.2f ms at most; %.2f MB read median, %.2f MB at most\n", rounds,
	       ms[rounds / 2], ms[rounds * 99 / 100], ms[rounds - 1], mib[rounds / 2], mib[rounds - 1]);
	free(ms);
	free(mib);
	return 0;
}
