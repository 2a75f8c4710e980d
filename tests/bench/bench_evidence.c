/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What evidence costs: encodes the events of a capture again without checksums and chain, with them, and with signatures
 * as well, in turn, and prints the medians of the CPU time and their ratio. There are as many signatures as the recording
 * would have at one in ten seconds.
 *
 * usage: bench_evidence CAPTURE FOLDER [ROUNDS [EVENTS]]
 *        bench_evidence --window SIGNED-CAPTURE
 *
 * --window: how long the events of a signed recording waited for the signature that covers them, which is how long an
 * intruder could have changed them unnoticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "format/base/buf.h"
#include "format/segment/capture.h"
#include "format/segment/evidence.h"
#include "format/segment/manifest.h"
#include "format/segment/writer.h"

enum { ROUNDS_MAX = 51 };
enum variant { BARE, CHAINED, SIGNED, VARIANTS };
static const char *const names[VARIANTS] = { "neither", "checksums and chain", "and signatures" };

static void die(const char *what, const struct aq_err *err)
{
	fprintf(stderr, "bench_evidence: %s: %s\n", what, err ? err->text : strerror(errno));
	exit(1);
}

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Events one after the other in memory: the struct, then the bytes of its attributes. */
static uint64_t load(struct aq_capture *c, struct aq_buf *b, uint64_t max)
{
	static const struct aq_iter_options all;
	struct aq_event_iter *it = NULL;
	struct aq_event ev;
	struct aq_err err = { 0 };
	uint64_t count = 0;
	if (aq_event_iter_new(c, &all, &it, &err) < 0)
		die("reading", &err);
	while (count < max && aq_event_iter_next(it, &ev, &err) == 1) {
		aq_buf_put(b, &ev, sizeof(ev));
		for (unsigned i = 0; i < ev.attr_count; i++)
			aq_buf_put(b, ev.attrs[i].data, ev.attrs[i].len);
		aq_buf_pad8(b);
		count++;
	}
	aq_event_iter_free(it);
	if (b->failed)
		die("memory", NULL);
	return count;
}

static void feed(struct aq_capture_writer *w, const struct aq_buf *b)
{
	struct aq_err err = { 0 };
	struct aq_event ev;
	for (size_t at = 0; at < b->len; at = (at + 7) & ~(size_t)7) {
		memcpy(&ev, b->data + at, sizeof(ev));
		at += sizeof(ev);
		for (unsigned i = 0; i < ev.attr_count; i++) {
			ev.attrs[i].data = (const char *)b->data + at;
			at += ev.attrs[i].len;
		}
		if (aq_capture_writer_add(w, &ev, &err) < 0)
			die("encoding", &err);
	}
	if (aq_capture_writer_close(w, &err) < 0)
		die("closing", &err);
}

static void remove_capture(const char *path)
{
	char name[4200];
	snprintf(name, sizeof(name), "%s/segment-000001.aqs", path);
	unlink(name);
	snprintf(name, sizeof(name), "%s/" AQ_MANIFEST_NAME, path);
	unlink(name);
	rmdir(path);
}

struct outcome {
	double cpu, wall;
	uint64_t bytes, signatures;
};

static struct outcome encode(enum variant variant, const char *folder, const char *key, const struct aq_buf *b, double interval)
{
	static const struct aq_capture_meta meta = { .host = "h", .capture_id = { 1 }, .cpu_count = 8 };
	struct aq_writer_options options = { .unchecked = variant == BARE, .sign_interval_ns = (uint64_t)(interval * 1e9) + 1 };
	struct aq_capture_writer *w = NULL;
	struct aq_err err = { 0 };
	char path[4096];
	snprintf(path, sizeof(path), "%s/bench.aquila", folder);
	remove_capture(path);
	if (variant == SIGNED && aq_signer_new(key, &options.signer, &err) < 0)
		die("key", &err);
	if (aq_capture_writer_new(path, &meta, &options, &w, &err) < 0)
		die("folder", &err);
	struct outcome o = { -seconds(CLOCK_PROCESS_CPUTIME_ID), -seconds(CLOCK_MONOTONIC), 0, 0 };
	feed(w, b);
	o.cpu += seconds(CLOCK_PROCESS_CPUTIME_ID);
	o.wall += seconds(CLOCK_MONOTONIC);
	o.bytes = aq_capture_writer_stats(w)->bytes_written;
	o.signatures = aq_capture_writer_stats(w)->signatures;
	aq_capture_writer_free(w);
	aq_signer_free(options.signer);
	remove_capture(path);
	return o;
}

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void cost(const char *capture, const char *folder, unsigned rounds, uint64_t max)
{
	double cpu[VARIANTS][ROUNDS_MAX], ratio[VARIANTS][ROUNDS_MAX];
	struct outcome o[VARIANTS];
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	struct aq_keys keys = { .count = 1 };
	struct aq_buf b;
	char key[4096];
	aq_buf_init(&b, (size_t)8 << 30);
	if (aq_capture_open(capture, &c, &err) < 0)
		die("capture", &err);
	uint64_t count = load(c, &b, max);
	double recorded = (double)(aq_capture_info(c)->max_ns - aq_capture_info(c)->min_ns) / 1e9;
	aq_capture_close(c);
	if (!count || (mkdir(folder, 0700) < 0 && errno != EEXIST))
		die(folder, NULL);
	snprintf(key, sizeof(key), "%s/bench.key", folder);
	if (aq_key_generate(AQ_KEY_SIGN_SECRET, &keys.key[0]) < 0 || aq_keys_save(&keys, key, true, &err) < 0)
		die("key", &err);
	double wall = encode(CHAINED, folder, key, &b, 1e6).wall; /* warms up, too */
	for (unsigned i = 0; i < rounds; i++) {
		for (unsigned k = 0; k < VARIANTS; k++) {
			unsigned v = (i + k) % VARIANTS; /* none is always the first */
			o[v] = encode((enum variant)v, folder, key, &b, wall / (recorded / 10 + 1));
			cpu[v][i] = o[v].cpu;
		}
		for (unsigned v = 0; v < VARIANTS; v++)
			ratio[v][i] = cpu[v][i] / cpu[BARE][i];
	}
	unlink(key);
	strcat(key, ".signed");
	unlink(key);
	printf("%llu events of %.0f s, %.2f bytes/event, %u rounds; medians of CPU time\n", (unsigned long long)count, recorded,
	       (double)o[CHAINED].bytes / (double)count, rounds);
	for (unsigned v = 0; v < VARIANTS; v++) {
		qsort(cpu[v], rounds, sizeof(double), ascending);
		qsort(ratio[v], rounds, sizeof(double), ascending);
		printf("%-20s %7.1f ns/event  %+.2f %%  (%llu signatures)\n", names[v], cpu[v][rounds / 2] * 1e9 / (double)count,
		       100 * (ratio[v][rounds / 2] - 1), (unsigned long long)o[v].signatures);
	}
	aq_buf_release(&b);
}

struct signatures {
	const struct aq_segment *segment;
	uint64_t offset[100000], boot_ns[100000];
	size_t count;
};

static int take(void *user, const struct aq_block *block)
{
	struct signatures *s = user;
	uint8_t bytes[AQ_STATEMENT_BYTES];
	struct aq_statement st;
	if (block->kind != AQ_BLOCK_SIGNATURE || s->count == 100000 ||
	    aq_segment_read(s->segment, bytes, sizeof(bytes), block->offset + AQ_BLOCK_HEADER_BYTES) < 0)
		return 0;
	aq_statement_read(bytes, &st);
	s->offset[s->count] = block->offset;
	s->boot_ns[s->count++] = st.boot_ns;
	return 0;
}

static void ignore(void *user, uint64_t offset, uint64_t bytes, const char *text)
{
	(void)user;
	(void)offset;
	(void)bytes;
	(void)text;
}

static void window(const char *path)
{
	static struct signatures s;
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	double sum = 0, max = 0;
	uint64_t covered = 0, uncovered = 0, signatures = 0;
	uint32_t at = UINT32_MAX;
	if (aq_capture_open(path, &c, &err) < 0)
		die("capture", &err);
	for (uint32_t i = 0; i < aq_capture_info(c)->chunk_count; i++) {
		const struct aq_chunk_info *info = aq_capture_chunk(c, i);
		struct aq_chunk *chunk = NULL;
		size_t k = 0;
		if (info->segment != at) {
			at = info->segment;
			s.count = 0;
			s.segment = &c->segments[at];
			aq_segment_walk(s.segment, take, ignore, &s);
			signatures += s.count;
		}
		while (k < s.count && s.offset[k] < info->offset)
			k++;
		if (aq_chunk_load(c, i, AQ_COL_ID | AQ_COL_TIME, &chunk, &err) < 0)
			die("reading", &err);
		for (uint32_t n = 0; n < chunk->events; n++) {
			if (aq_event_is_made(chunk->id[n]))
				continue;
			if (k == s.count) {
				uncovered++;
				continue;
			}
			double waited = (double)(int64_t)(s.boot_ns[k] - chunk->time_ns[n]) / 1e9;
			sum += waited;
			max = waited > max ? waited : max;
			covered++;
		}
		aq_chunk_free(chunk);
	}
	aq_capture_close(c);
	printf("%llu signatures; %llu events waited %.2f s on average, %.2f s at most; %llu are not covered\n",
	       (unsigned long long)signatures, (unsigned long long)covered, covered ? sum / (double)covered : 0, max,
	       (unsigned long long)uncovered);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--window") == 0) {
		window(argv[2]);
		return 0;
	}
	unsigned rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 7;
	if (argc < 3 || argc > 5 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bench_evidence CAPTURE FOLDER [ROUNDS [EVENTS]] | --window SIGNED-CAPTURE\n");
		return 2;
	}
	cost(argv[1], argv[2], rounds, argc > 4 ? strtoull(argv[4], NULL, 10) : 1000000);
	return 0;
}
