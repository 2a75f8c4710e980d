/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * What a power failure makes of a segment: cut short, zeros at its end, or a later block on the disk and an earlier one not.
 * At every block boundary and at random bytes: what is left is read, what is missing lies in gaps, and the damage is named
 * with file and offset.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "format/segment/layout.h"
#include "tests/unit/fault_capture.h"

enum { BLOCKS_MAX = 256, RANDOM_PLACES = 150 };

static struct {
	char folder[64], file[96];
	uint8_t *data, *copy;
	size_t bytes;
	size_t block[BLOCKS_MAX + 1]; /* offsets; the last one is the end */
	unsigned block_count;
} s;

static void make_segment(void)
{
	static struct fault_events events;
	struct aq_writer_options options = { .chunk_events = 20 };
	struct aq_capture_writer *w = NULL;
	struct aq_err err = { 0 };
	struct stat st;
	snprintf(s.folder, sizeof(s.folder), "/dev/shm/aquila-power-%d", (int)getpid());
	snprintf(s.file, sizeof(s.file), "%s/segment-000001.aqs", s.folder);
	AQ_REQUIRE(aq_capture_writer_new(s.folder, &fault_meta, &options, &w, &err) == 0);
	for (unsigned i = 0; i < FAULT_EVENTS; i++) {
		AQ_REQUIRE(fault_add(w, &events, i, &err) == 0);
		if (i % 50 == 49) { /* as once a second: the clocks at what is written */
			AQ_REQUIRE(aq_capture_writer_flush(w, &err) == 0);
			uint64_t now = FAULT_START + (uint64_t)(i + 1) * FAULT_STEP + 1;
			AQ_REQUIRE(aq_capture_writer_set_ledger(w, NULL, 0, now, now * 2, &err) == 0);
			AQ_REQUIRE(aq_capture_writer_flush(w, &err) == 0);
		}
	}
	AQ_REQUIRE(aq_capture_writer_close(w, &err) == 0);
	aq_capture_writer_free(w);
	int fd = open(s.file, O_RDONLY | O_CLOEXEC);
	AQ_REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
	s.bytes = (size_t)st.st_size;
	s.data = malloc(s.bytes);
	s.copy = malloc(s.bytes);
	AQ_REQUIRE(s.data && s.copy && read(fd, s.data, s.bytes) == (ssize_t)s.bytes);
	close(fd);
	for (size_t at = 0; at + AQ_BLOCK_HEADER_BYTES <= s.bytes && s.block_count < BLOCKS_MAX;) {
		struct aq_block block;
		if (!aq_block_header_read(s.data + at, &block))
			break;
		s.block[s.block_count++] = at;
		at += AQ_BLOCK_HEADER_BYTES + ((block.payload_bytes + 7) & ~7ull);
		s.block[s.block_count] = at;
	}
	AQ_REQUIRE(s.block_count > 30 && s.block[s.block_count] + AQ_TRAILER_BYTES == s.bytes);
}

static void remove_segment(void)
{
	char manifest[128];
	snprintf(manifest, sizeof(manifest), "%s/manifest.aqm", s.folder);
	unlink(manifest);
	unlink(s.file);
	rmdir(s.folder);
	free(s.data);
	free(s.copy);
	s.data = s.copy = NULL;
	s.block_count = 0;
}

static bool in_a_gap(struct aq_capture *c, uint64_t time_ns)
{
	size_t count;
	const struct aq_gap *gaps = aq_capture_gaps(c, &count);
	for (size_t i = 0; i < count; i++)
		if ((gaps[i].reason == AQ_GAP_DAMAGE || gaps[i].reason == AQ_GAP_RECORDER_DOWN) && gaps[i].first_ns <= time_ns &&
		    gaps[i].last_ns >= time_ns)
			return true;
	return false;
}

/* Reads what is in s.copy (n bytes of it); events of chunks that lie outside of from … to have to be there. */
static void look(size_t n, size_t from, size_t to, const char *what)
{
	bool seen[FAULT_EVENTS] = { false };
	struct aq_capture *c = NULL;
	struct aq_event_iter *it = NULL;
	struct aq_event ev;
	struct aq_err err = { 0 };
	size_t damages;
	unsigned missing = 0, uncovered = 0;
	int fd = open(s.file, O_WRONLY | O_TRUNC | O_CLOEXEC);
	AQ_REQUIRE(fd >= 0 && write(fd, s.copy, n) == (ssize_t)n);
	close(fd);
	if (aq_capture_open(s.folder, &c, &err) < 0) {
		AQ_CHECK(from < s.block[1] && strstr(err.text, s.folder) != NULL); /* without its header and all else it is nothing */
		return;
	}
	AQ_REQUIRE(aq_event_iter_new(c, &(struct aq_iter_options){ 0 }, &it, &err) == 0);
	while (aq_event_iter_next(it, &ev, &err) == 1) {
		uint64_t i = (ev.time_ns - FAULT_START) / FAULT_STEP - 1;
		AQ_REQUIRE(i < FAULT_EVENTS && !seen[i]);
		AQ_CHECK((i % 4 == 0 || ev.ret == (int64_t)i) && ev.pid == 10 + i % 3);
		seen[i] = true;
	}
	aq_event_iter_free(it);
	const struct aq_damage *damage = aq_capture_damages(c, &damages);
	bool told = damages > 0 || !aq_capture_info(c)->finished;
	for (size_t i = 0; i < damages; i++)
		AQ_CHECK(strcmp(damage[i].file, s.file) == 0 && damage[i].text[0] && damage[i].offset <= s.bytes);
	for (unsigned i = 0; i < FAULT_EVENTS; i++) {
		if (seen[i])
			continue;
		missing++;
		uncovered += !in_a_gap(c, FAULT_START + (uint64_t)(i + 1) * FAULT_STEP);
	}
	if ((missing > 0 && !told) || uncovered > 0)
		AQ_TEST_FAIL_("%s from byte %zu to %zu: %u events are missing, %u of them in no gap; %s", what, from, to, missing, uncovered,
			      told ? "told" : "nothing is told");
	for (unsigned b = 0; b < s.block_count; b++) { /* a chunk of 20 events that was not touched is there as a whole */
		struct aq_zone zone;
		struct aq_block block;
		if (!aq_block_header_read(s.data + s.block[b], &block) || block.kind != AQ_BLOCK_CHUNK ||
		    (s.block[b + 1] > from && s.block[b] < to))
			continue;
		struct aq_bytes r = aq_bytes_of(s.data + s.block[b] + AQ_BLOCK_HEADER_BYTES, block.payload_bytes);
		AQ_REQUIRE(aq_zone_read(&r, &zone));
		for (uint64_t t = zone.min_ns; t <= zone.max_ns; t += FAULT_STEP)
			AQ_CHECK(seen[(t - FAULT_START) / FAULT_STEP - 1]);
	}
	aq_capture_close(c);
}

static void zero(size_t from, size_t to, const char *what)
{
	memcpy(s.copy, s.data, s.bytes);
	memset(s.copy + from, 0, to - from);
	look(s.bytes, from, to, what);
}

static void cut(size_t at)
{
	memcpy(s.copy, s.data, s.bytes);
	look(at, at, s.bytes, "cut off");
}

AQ_TEST(cut_at_block_boundaries_and_random_bytes)
{
	make_segment();
	srand(1);
	for (unsigned b = 1; b <= s.block_count; b++)
		cut(s.block[b]);
	for (unsigned i = 0; i < RANDOM_PLACES; i++)
		cut((size_t)rand() % s.bytes);
	remove_segment();
}

AQ_TEST(zeros_to_the_end)
{
	make_segment();
	srand(2);
	for (unsigned b = 1; b < s.block_count; b++)
		zero(s.block[b], s.bytes, "zeros");
	for (unsigned i = 0; i < RANDOM_PLACES; i++)
		zero((size_t)rand() % s.bytes, s.bytes, "zeros");
	remove_segment();
}

AQ_TEST(an_earlier_block_is_not_there_and_later_ones_are)
{
	make_segment();
	srand(3);
	for (unsigned b = 1; b < s.block_count; b++) {
		zero(s.block[b], s.block[b + 1], "a block of zeros");
		if (b + 3 < s.block_count)
			zero(s.block[b], s.block[b + 3], "three blocks of zeros");
	}
	for (unsigned i = 0; i < RANDOM_PLACES; i++) { /* pages do not care for blocks */
		size_t from = (size_t)rand() % s.bytes & ~(size_t)511, to = from + 512 < s.bytes ? from + 512 : s.bytes;
		zero(from, to, "a page of zeros");
	}
	remove_segment();
}

AQ_TEST_MAIN()
