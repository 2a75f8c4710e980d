/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the codec costs and saves, on the events of a capture: encodes them again into a folder, decodes them, counts
 * them by type, and compares the size with the same events as fixed rows under zstd -3. CPU time of one thread, the
 * best and the median of several rounds that alternate.
 *
 * usage: bench_codec CAPTURE FOLDER [--events N] [--rounds N] [--level N] [--resolution NS] [--chunk N] [--only encode]
 *                   [--without-durations] [--grow BYTES]
 *
 * Durations are written where the capture has them, unless --without-durations says to leave them out.
 * --only encode leaves the rest out, for a profiler. --grow BYTES writes the events again and again, each time later, until
 * the new capture in FOLDER has that many bytes, and measures nothing.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "format/base/buf.h"
#include "format/segment/capture.h"
#include "format/segment/reader.h"
#include "format/segment/writer.h"

enum { ROUNDS_MAX = 31, ROW_BYTES = 88 };

struct options {
	const char *capture, *folder;
	uint64_t events;
	unsigned rounds, level, resolution, chunk;
	bool only_encode, without_durations;
	uint64_t grow_bytes;
};

static double cpu_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, const struct aq_err *err)
{
	fprintf(stderr, "bench_codec: %s: %s\n", what, err ? err->text : "out of memory");
	exit(1);
}

static void *more(void *p, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return p;
	*capacity = *capacity ? *capacity * 2 : 1 << 20;
	p = realloc(p, *capacity * size);
	if (!p)
		die("memory", NULL);
	return p;
}

/* Events in memory: what the recorder hands to the writer, packed. */
struct small_event { /* aq_event without its arrays */
	uint64_t time_ns, cgroup_id, duration_ns;
	int64_t ret;
	uint32_t pid, tid, nr;
	uint16_t id, cpu;
	uint8_t abi, cls, flags, arg_count, attr_count;
	bool has_duration;
	size_t args, attrs;
};
struct events {
	struct small_event *e;
	size_t count, capacity;
	uint64_t *args;
	size_t args_count, args_capacity;
	struct aq_attr *attrs; /* data: offset into strings until all are loaded */
	size_t attrs_count, attrs_capacity;
	struct aq_buf strings;
	uint64_t durations; /* events that have one */
};

static void load(const struct options *o, struct aq_capture *c, struct events *s)
{
	static const struct aq_iter_options all;
	struct aq_event_iter *it;
	struct aq_event ev;
	struct aq_err err;
	int r;
	aq_buf_init(&s->strings, (size_t)8 << 30);
	if (aq_event_iter_new(c, &all, &it, &err) < 0)
		die("iterate", &err);
	while (s->count < o->events && (r = aq_event_iter_next(it, &ev, &err)) > 0) {
		s->e = more(s->e, s->count, &s->capacity, sizeof(*s->e));
		s->e[s->count++] = (struct small_event){
			.time_ns = ev.time_ns, .cgroup_id = ev.cgroup_id, .ret = ev.ret, .pid = ev.pid, .tid = ev.tid, .nr = ev.nr,
			.id = ev.id, .cpu = ev.cpu, .abi = ev.abi, .cls = ev.cls, .flags = ev.flags, .arg_count = ev.arg_count,
			.attr_count = ev.attr_count, .args = s->args_count, .attrs = s->attrs_count,
			.duration_ns = ev.duration_ns, .has_duration = ev.has_duration && !o->without_durations };
		s->durations += s->e[s->count - 1].has_duration;
		for (unsigned i = 0; i < ev.arg_count; i++) {
			s->args = more(s->args, s->args_count, &s->args_capacity, sizeof(*s->args));
			s->args[s->args_count++] = ev.args[i];
		}
		for (unsigned i = 0; i < ev.attr_count; i++) {
			s->attrs = more(s->attrs, s->attrs_count, &s->attrs_capacity, sizeof(*s->attrs));
			s->attrs[s->attrs_count] = ev.attrs[i];
			s->attrs[s->attrs_count++].data = (const void *)s->strings.len;
			aq_buf_put(&s->strings, ev.attrs[i].data, ev.attrs[i].len);
		}
		if (s->strings.failed)
			die("memory", NULL);
	}
	aq_event_iter_free(it);
	for (size_t i = 0; i < s->attrs_count; i++)
		s->attrs[i].data = s->strings.data + (size_t)s->attrs[i].data;
}

static inline void unpack(const struct events *s, size_t i, struct aq_event *ev)
{
	const struct small_event *e = &s->e[i];
	ev->time_ns = e->time_ns;
	ev->cgroup_id = e->cgroup_id;
	ev->ret = e->ret;
	ev->pid = e->pid;
	ev->tid = e->tid;
	ev->nr = e->nr;
	ev->id = e->id;
	ev->cpu = e->cpu;
	ev->abi = e->abi;
	ev->cls = e->cls;
	ev->flags = e->flags;
	ev->arg_count = e->arg_count;
	ev->attr_count = e->attr_count;
	ev->duration_ns = e->duration_ns;
	ev->has_duration = e->has_duration;
	for (unsigned k = 0; k < e->arg_count; k++)
		ev->args[k] = s->args[e->args + k];
	for (unsigned k = 0; k < e->attr_count; k++)
		ev->attrs[k] = s->attrs[e->attrs + k];
}

static double unpack_all(const struct events *s)
{
	struct aq_event ev;
	double start = cpu_s();
	for (size_t i = 0; i < s->count; i++) {
		unpack(s, i, &ev);
		__asm__ volatile("" : : "r"(&ev) : "memory");
	}
	return cpu_s() - start;
}

static double encode(const struct options *o, const struct aq_capture_info *info, const struct events *s, char path[4096],
		     uint64_t *ret_bytes)
{
	static unsigned number;
	struct aq_capture_meta meta = { .host = "bench", .kernel_release = "", .kernel_version = "", .machine = "",
					.boot_id = "", .recorder_version = "", .command = "", .features_json = "{}",
					.policy_json = "{}", .cpu_count = info->cpu_count, .start_boot_ns = info->start_boot_ns,
					.start_real_ns = info->start_real_ns };
	struct aq_writer_options options = { .zstd_level = (int)o->level, .time_resolution_ns = o->resolution,
					     .chunk_events = o->chunk };
	struct aq_capture_writer *w;
	struct aq_event ev;
	struct aq_err err;
	snprintf(path, 4096, "%s/codec-%u-%d.aquila", o->folder, number++, (int)getpid());
	if (aq_capture_writer_new(path, &meta, &options, &w, &err) < 0)
		die("write", &err);
	double start = cpu_s();
	for (size_t i = 0; i < s->count; i++) {
		unpack(s, i, &ev);
		if (aq_capture_writer_add(w, &ev, &err) < 0)
			die("write", &err);
	}
	if (aq_capture_writer_close(w, &err) < 0)
		die("write", &err);
	double seconds = cpu_s() - start;
	*ret_bytes = aq_capture_writer_stats(w)->bytes_written;
	aq_capture_writer_free(w);
	return seconds;
}

static void grow(const struct options *o, const struct aq_capture_info *info, const struct events *s)
{
	struct aq_capture_meta meta = { .host = "bench", .features_json = "{}", .policy_json = "{}", .cpu_count = info->cpu_count,
					.start_boot_ns = info->start_boot_ns, .start_real_ns = info->start_real_ns };
	struct aq_writer_options options = { .segment_bytes = 256 << 20, .zstd_level = (int)o->level };
	uint64_t round_ns = s->e[s->count - 1].time_ns - s->e[0].time_ns + 1;
	struct aq_capture_writer *w;
	struct aq_event ev;
	struct aq_err err;
	char path[4096];
	snprintf(path, sizeof(path), "%s/grown.aquila", o->folder);
	if (aq_capture_writer_new(path, &meta, &options, &w, &err) < 0)
		die("write", &err);
	for (uint64_t round = 0; aq_capture_writer_stats(w)->bytes_written < o->grow_bytes; round++) {
		for (size_t i = 0; i < s->count; i++) {
			unpack(s, i, &ev);
			ev.time_ns += round * round_ns;
			if (aq_capture_writer_add(w, &ev, &err) < 0)
				die("write", &err);
		}
	}
	if (aq_capture_writer_close(w, &err) < 0)
		die("write", &err);
	printf("%s: %" PRIu64 " events, %" PRIu64 " bytes\n", path, aq_capture_writer_stats(w)->events,
	       aq_capture_writer_stats(w)->bytes_written);
	aq_capture_writer_free(w);
}

static double iterate(struct aq_capture *c, uint64_t *ret_events)
{
	static const struct aq_iter_options all;
	struct aq_event_iter *it;
	struct aq_event ev;
	struct aq_err err;
	uint64_t n = 0;
	double start = cpu_s();
	if (aq_event_iter_new(c, &all, &it, &err) < 0)
		die("iterate", &err);
	while (aq_event_iter_next(it, &ev, &err) > 0) {
		__asm__ volatile("" : : "r"(&ev) : "memory");
		n++;
	}
	aq_event_iter_free(it);
	*ret_events = n;
	return cpu_s() - start;
}

/* All fields of all events in the order they are stored. */
static double decode(struct aq_capture *c)
{
	struct aq_decoded *d;
	struct aq_event ev;
	struct aq_err err;
	double start = cpu_s();
	for (uint32_t i = 0; i < aq_capture_info(c)->chunk_count; i++) {
		if (aq_decode_chunk(c, i, AQ_COL_TIME | AQ_COL_THREAD | AQ_COL_CPU | AQ_COL_DURATION | AQ_DECODE_VALUES | AQ_DECODE_ATTRS, &d, &err) < 0)
			die("decode", &err);
		for (uint32_t k = 0; k < d->events; k++) {
			aq_decoded_event(d, k, true, &ev);
			__asm__ volatile("" : : "r"(&ev) : "memory");
		}
		aq_decoded_free(d);
	}
	return cpu_s() - start;
}

static double count(struct aq_capture *c, uint64_t *ret_sum)
{
	uint64_t by_id[AQ_EVENT_ID_MAX] = { 0 };
	struct aq_err err;
	double start = cpu_s();
	for (uint32_t i = 0; i < aq_capture_info(c)->chunk_count; i++)
		if (aq_chunk_count(c, i, by_id, &err) < 0)
			die("count", &err);
	double seconds = cpu_s() - start;
	for (unsigned i = 0; i < AQ_EVENT_ID_MAX; i++)
		*ret_sum += by_id[i];
	return seconds;
}

/* The same events as fixed rows of 88 bytes, unused arguments zero, and their strings one after the other: zstd -3. */
static uint64_t rows_bytes(const struct events *s)
{
	struct aq_buf raw;
	uint64_t total = 0;
	aq_buf_init(&raw, (size_t)16 << 30);
	for (size_t i = 0; i < s->count; i++) {
		const struct small_event *e = &s->e[i];
		uint64_t row[ROW_BYTES / 8] = { e->time_ns, e->cgroup_id, (uint64_t)e->ret, (uint64_t)e->pid << 32 | e->tid,
						(uint64_t)e->id << 48 | (uint64_t)e->cpu << 32 | (uint64_t)e->abi << 16 | e->flags };
		for (unsigned k = 0; k < e->arg_count && k < 6; k++)
			row[5 + k] = s->args[e->args + k];
		aq_buf_put(&raw, row, sizeof(row));
	}
	for (unsigned part = 0; part < 2; part++) {
		const struct aq_buf *b = part ? &s->strings : &raw;
		size_t bound = ZSTD_compressBound(b->len);
		void *out = malloc(bound);
		size_t n = out ? ZSTD_compress(out, bound, b->data, b->len, 3) : 0;
		if (raw.failed || !out || ZSTD_isError(n))
			die("rows", NULL);
		total += n;
		free(out);
	}
	aq_buf_release(&raw);
	return total;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void print(const char *what, double *seconds, unsigned rounds, double events, double minus)
{
	qsort(seconds, rounds, sizeof(*seconds), by_value);
	double median = seconds[rounds / 2] - minus, best = seconds[0] - minus;
	printf("%-22s %8.1f ns/event, best %7.1f  (%.1f M events/s, best %.1f)\n", what, median / events * 1e9, best / events * 1e9,
	       events / median / 1e6, events / best / 1e6);
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = { { "events", 1, 0, 'e' }, { "rounds", 1, 0, 'r' }, { "level", 1, 0, 'l' },
					       { "resolution", 1, 0, 't' }, { "chunk", 1, 0, 'c' }, { "only", 1, 0, 'o' }, { "grow", 1, 0, 'g' },
					       { "without-durations", 0, 0, 'd' }, { 0 } };
	int option;
	*o = (struct options){ .events = UINT64_MAX, .rounds = 3, .level = 3, .resolution = 1 };
	while ((option = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		uint64_t n = optarg ? strtoull(optarg, NULL, 10) : 0;
		switch (option) {
		case 'e': o->events = n; break;
		case 'r': o->rounds = n < 1 ? 1 : n > ROUNDS_MAX ? ROUNDS_MAX : (unsigned)n; break;
		case 'l': o->level = (unsigned)n; break;
		case 't': o->resolution = (unsigned)n; break;
		case 'g': o->grow_bytes = n; break;
		case 'c': o->chunk = (unsigned)n; break;
		case 'd': o->without_durations = true; break;
		case 'o':
			o->only_encode = strcmp(optarg, "encode") == 0;
			if (!o->only_encode)
				return -1;
			break;
		default: return -1;
		}
	}
	if (argc - optind != 2)
		return -1;
	o->capture = argv[optind];
	o->folder = argv[optind + 1];
	return 0;
}

int main(int argc, char **argv)
{
	static struct events s;
	double t[6][ROUNDS_MAX];
	struct options o;
	struct aq_capture *source, *c = NULL;
	struct aq_err err;
	char path[4096] = "", command[5000];
	uint64_t bytes = 0, events = 0, sum = 0;
	if (parse(argc, argv, &o) < 0) {
		fprintf(stderr, "usage: bench_codec CAPTURE FOLDER [--events N] [--rounds N] [--level N] [--resolution NS] [--chunk N] "
			"[--only encode] [--without-durations] [--grow BYTES]\n");
		return 2;
	}
	if (aq_capture_open(o.capture, &source, &err) < 0)
		die("open", &err);
	load(&o, source, &s);
	if (o.grow_bytes) {
		grow(&o, aq_capture_info(source), &s);
		return 0;
	}
	for (unsigned i = 0; i < o.rounds; i++) {
		if (c) {
			aq_capture_close(c);
			snprintf(command, sizeof(command), "%s/segment-000001.aqs", path);
			unlink(command);
			rmdir(path);
		}
		t[0][i] = unpack_all(&s);
		t[1][i] = encode(&o, aq_capture_info(source), &s, path, &bytes);
		if (aq_capture_open(path, &c, &err) < 0)
			die("open again", &err);
		if (o.only_encode)
			continue;
		t[2][i] = iterate(c, &events);
		t[3][i] = decode(c);
		t[4][i] = count(c, &sum);
		if (events != s.count)
			die("decoding gives another number of events", &err);
	}
	double n = (double)s.count;
	uint64_t rows = rows_bytes(&s);
	qsort(t[0], o.rounds, sizeof(t[0][0]), by_value);
	printf("%zu events, %" PRIu64 " of them with a duration, %zu strings, level %u, times to %u ns: %.3f bytes/event; fixed rows under zstd -3: %.2f (%.2fx)\n", s.count,
	       s.durations, s.attrs_count, o.level, o.resolution, (double)bytes / n, (double)rows / n, (double)rows / (double)bytes);
	print("encode", t[1], o.rounds, n, t[0][o.rounds / 2]);
	if (o.only_encode)
		return 0;
	print("decode, in order", t[2], o.rounds, n, 0);
	print("decode, as stored", t[3], o.rounds, n, 0);
	print("count by type", t[4], o.rounds, n, 0);
	printf("capture: %s\n", path);
	aq_capture_close(c);
	aq_capture_close(source);
	return 0;
}
