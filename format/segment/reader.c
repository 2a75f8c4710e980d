/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a capture: finds segments, reads footers or scans blocks, collects zone maps, ledger, gaps and damage. */
#include "format/segment/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/segment/capture.h"

enum {
	SEGMENTS_MAX = 1000000,
	SEGMENTS_OPEN = 128, /* files kept open; those of further segments are opened for each read */
};

/* The footer by the trailer at the end. False when there is none that can be trusted. */
static bool find_footer(const struct aq_segment *s, struct aq_block *ret_block, struct aq_buf *buf)
{
	uint8_t bytes[AQ_BLOCK_HEADER_BYTES];
	char why[128];
	if (s->bytes < AQ_TRAILER_BYTES + AQ_BLOCK_HEADER_BYTES || read_at(s->fd, bytes, AQ_TRAILER_BYTES, s->bytes - AQ_TRAILER_BYTES) < 0)
		return false;
	struct aq_bytes r = aq_bytes_of(bytes, AQ_TRAILER_BYTES);
	uint64_t offset = aq_bytes_u64(&r);
	if (aq_bytes_u64(&r) != AQ_TRAILER_MAGIC || offset > s->bytes - AQ_TRAILER_BYTES - AQ_BLOCK_HEADER_BYTES ||
	    read_at(s->fd, bytes, sizeof(bytes), offset) < 0 || !aq_block_header_read(bytes, ret_block) ||
	    ret_block->kind != AQ_BLOCK_FOOTER)
		return false;
	ret_block->offset = offset;
	return aq_block_load(s, ret_block, buf, why) == 0;
}

static int read_by_footer(struct aq_capture *c, uint32_t index, const struct aq_buf *footer, struct aq_buf *buf)
{
	struct aq_segment *s = &c->segments[index];
	struct aq_bytes r = aq_bytes_of(footer->data, footer->len);
	aq_bytes_take(&r, 32);
	uint32_t count = aq_bytes_u32(&r);
	aq_bytes_u32(&r);
	for (uint32_t i = 0; i < count && !r.failed; i++) {
		uint8_t header[AQ_BLOCK_HEADER_BYTES];
		struct aq_block block;
		struct aq_zone zone;
		uint64_t offset = aq_bytes_u64(&r);
		uint16_t kind = aq_bytes_u16(&r);
		aq_bytes_u16(&r);
		uint32_t events = aq_bytes_u32(&r);
		bool has_zone = events > 0;
		if (has_zone && !aq_zone_read(&r, &zone))
			return -EBADMSG;
		if (r.failed)
			return -EBADMSG;
		if (read_at(s->fd, header, sizeof(header), offset) < 0 || !aq_block_header_read(header, &block) || block.kind != kind ||
		    block.payload_bytes > s->bytes - offset) {
			uint64_t first = has_zone ? zone.min_ns : last_time(c), last = has_zone ? zone.max_ns : UINT64_MAX;
			aq_capture_damage(c, s, offset, AQ_BLOCK_HEADER_BYTES, first, last,
					  "the header of block %u is damaged", i);
			if (kind == AQ_BLOCK_SEGMENT)
				s->bad = true;
			continue;
		}
		block.offset = offset;
		int e = take_block(c, index, &block, has_zone ? &zone : NULL, buf);
		if (e < 0)
			return e;
	}
	return r.failed ? -EBADMSG : 0;
}

static int read_by_scan(struct aq_capture *c, uint32_t index, struct aq_buf *buf)
{
	struct aq_segment *s = &c->segments[index];
	uint64_t offset = 0;
	uint8_t header[AQ_BLOCK_HEADER_BYTES];
	while (offset + AQ_BLOCK_HEADER_BYTES <= s->bytes) {
		struct aq_block block;
		if (read_at(s->fd, header, sizeof(header), offset) < 0 || !aq_block_header_read(header, &block)) {
			uint64_t next = find_block(s, offset + 8);
			if (next == s->bytes && s->bytes - offset == AQ_TRAILER_BYTES)
				break;
			aq_capture_damage(c, s, offset, next - offset, last_time(c), UINT64_MAX,
					  "no block starts here; %llu bytes skipped", (unsigned long long)(next - offset));
			offset = next;
			continue;
		}
		block.offset = offset;
		if (block.payload_bytes > s->bytes - offset - AQ_BLOCK_HEADER_BYTES) {
			aq_capture_damage(c, s, offset, s->bytes - offset, last_time(c), UINT64_MAX,
					  "the file ends within block %llu", (unsigned long long)block.number);
			return 0;
		}
		int e = take_block(c, index, &block, NULL, buf);
		if (e < 0)
			return e;
		offset += AQ_BLOCK_HEADER_BYTES + ((block.payload_bytes + 7) & ~7ull);
	}
	if (offset < s->bytes && s->bytes - offset != AQ_TRAILER_BYTES)
		aq_capture_damage(c, s, offset, s->bytes - offset, last_time(c), UINT64_MAX, "the file ends within a block's header");
	return 0;
}

static int read_segment(struct aq_capture *c, uint32_t index, struct aq_err *err)
{
	struct aq_segment *s = &c->segments[index];
	struct aq_segment_info *info = &c->segment_infos[index];
	struct stat st;
	s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		return aq_err_set(err, -errno, "'%s': could not be opened: %s", s->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return aq_err_set(err, -EBADMSG, "'%s' is no regular file", s->path);
	s->bytes = info->bytes = (uint64_t)st.st_size;
	info->path = s->path;
	info->min_ns = UINT64_MAX;
	struct aq_buf footer, buf;
	struct aq_block block;
	aq_buf_init(&footer, AQ_BLOCK_PAYLOAD_MAX);
	aq_buf_init(&buf, AQ_BLOCK_PAYLOAD_MAX);
	info->finished = find_footer(s, &block, &footer);
	int r = info->finished ? read_by_footer(c, index, &footer, &buf) : read_by_scan(c, index, &buf);
	aq_buf_release(&footer);
	aq_buf_release(&buf);
	if (r == -EBADMSG)
		aq_capture_damage(c, s, block.offset, block.payload_bytes, last_time(c), UINT64_MAX, "the footer is senseless");
	else if (r == -EPROTONOSUPPORT)
		return aq_err_set(err, r, "'%s': written by a newer version of Aquila; this one reads format %d", s->path,
				  AQ_FORMAT_VERSION);
	else if (r < 0)
		return aq_err_set(err, r, "'%s': out of memory", s->path);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the segment files of a folder, sorted. */
static int list_folder(const char *path, char ***ret_names, size_t *ret_count, struct aq_err *err)
{
	DIR *dir = opendir(path);
	if (!dir)
		return aq_err_set(err, -errno, "'%s': could not be opened: %s", path, strerror(errno));
	char **names = NULL;
	size_t count = 0;
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(dir));) {
		size_t n = strlen(e->d_name);
		if (n < 13 || strncmp(e->d_name, "segment-", 8) != 0 || strcmp(e->d_name + n - 4, ".aqs") != 0)
			continue;
		char **more = count < SEGMENTS_MAX ? realloc(names, (count + 1) * sizeof(*more)) : NULL;
		char *full = NULL;
		if (more)
			names = more;
		if (!more || asprintf(&full, "%s/%s", path, e->d_name) < 0)
			r = -ENOMEM;
		else
			names[count++] = full;
	}
	closedir(dir);
	if (count)
		qsort(names, count, sizeof(*names), by_name);
	*ret_names = names;
	*ret_count = count;
	return r < 0 ? aq_err_set(err, r, "out of memory") : 0;
}

static int clock_order(const void *a, const void *b)
{
	const struct aq_clock_pair *x = a, *y = b;
	return (x->boot_ns > y->boot_ns) - (x->boot_ns < y->boot_ns);
}

/* What follows from all segments together: totals, missing segments, the unfinished tail, bounds of damage gaps. */
static void conclude(struct aq_capture *c)
{
	struct aq_capture_info *info = &c->info;
	info->path = c->path;
	info->segments = c->segment_infos;
	info->segment_count = (uint32_t)c->segment_count;
	info->chunk_count = (uint32_t)c->chunk_count;
	info->finished = true;
	info->min_ns = UINT64_MAX;
	for (size_t i = 0; i < c->segment_count; i++) {
		const struct aq_segment_info *s = &c->segment_infos[i];
		info->bytes += s->bytes;
		info->finished = info->finished && s->finished;
		info->min_ns = s->min_ns < info->min_ns ? s->min_ns : info->min_ns;
		info->max_ns = s->max_ns > info->max_ns ? s->max_ns : info->max_ns;
		if (i > 0 && s->number && c->segment_infos[i - 1].number && s->number != c->segment_infos[i - 1].number + 1) {
			aq_capture_damage(c, &c->segments[i], 0, 0, c->segment_infos[i - 1].max_ns, s->min_ns,
					  "%llu segments before this one are missing",
					  (unsigned long long)(s->number - c->segment_infos[i - 1].number - 1));
			info->finished = false;
		}
	}
	if (c->clock_count)
		qsort(c->clocks, c->clock_count, sizeof(*c->clocks), clock_order);
	info->end_ns = last_time(c);
	info->end_ns = info->max_ns > info->end_ns ? info->max_ns : info->end_ns;
	if (c->clock_count && c->clocks[c->clock_count - 1].boot_ns > info->end_ns)
		info->end_ns = c->clocks[c->clock_count - 1].boot_ns;
	if (!info->finished) {
		struct aq_gap tail = { .first_ns = info->end_ns, .last_ns = UINT64_MAX, .count = AQ_GAP_COUNT_UNKNOWN,
				       .cpu = UINT16_MAX, .cls = UINT8_MAX, .reason = AQ_GAP_RECORDER_DOWN };
		aq_capture_push_gap(c, &tail);
	}
	/* a damaged place ends, in time, where the next chunk in the file begins */
	for (size_t g = 0; g < c->gap_count; g++) {
		struct aq_gap *gap = &c->gaps[g];
		if (gap->reason != AQ_GAP_DAMAGE || gap->last_ns != UINT64_MAX)
			continue;
		for (size_t i = 0; i < c->chunk_count; i++)
			if (c->chunks[i].min_ns >= gap->first_ns && c->chunks[i].min_ns < gap->last_ns)
				gap->last_ns = c->chunks[i].min_ns;
	}
	if (c->gap_count)
		qsort(c->gaps, c->gap_count, sizeof(*c->gaps), aq_gap_order);
}

int aq_capture_open(const char *path, struct aq_capture **ret_capture, struct aq_err *err)
{
	struct stat st;
	char **names = NULL;
	size_t count = 0;
	if (stat(path, &st) < 0)
		return aq_err_set(err, -errno, "'%s': %s", path, errno == ENOENT ? "there is no such capture" : strerror(errno));
	struct aq_capture *c = calloc(1, sizeof(*c));
	if (!c || !(c->path = strdup(path))) {
		free(c);
		return aq_err_set(err, -ENOMEM, "out of memory");
	}
	int r = 0;
	if (S_ISDIR(st.st_mode)) {
		r = list_folder(path, &names, &count, err);
	} else {
		names = calloc(1, sizeof(*names));
		r = names && (names[0] = strdup(path)) ? 0 : aq_err_set(err, -ENOMEM, "out of memory");
		count = 1;
	}
	if (r == 0 && count == 0)
		r = aq_err_set(err, -EBADMSG, "'%s' holds no segment: it is no capture", path);
	if (r == 0) {
		c->segments = calloc(count, sizeof(*c->segments));
		c->segment_infos = calloc(count, sizeof(*c->segment_infos));
		if (!c->segments || !c->segment_infos)
			r = aq_err_set(err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < count; i++) {
		if (r == 0) {
			c->segments[i] = (struct aq_segment){ .path = names[i], .fd = -1 };
			c->segment_count++;
			r = read_segment(c, (uint32_t)i, err);
		} else {
			free(names[i]);
		}
	}
	free(names);
	if (r == 0 && !c->info.host)
		r = aq_err_set(err, -EBADMSG, "'%s': %s", path,
			       c->damage_count ? c->damages[0].text : "no segment has a readable header: it is no capture");
	if (r < 0) {
		aq_capture_close(c);
		return r;
	}
	conclude(c);
	*ret_capture = c;
	return 0;
}

void aq_capture_close(struct aq_capture *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->segment_count; i++) {
		if (c->segments[i].fd >= 0)
			close(c->segments[i].fd);
		free(c->segments[i].path);
		free(c->segments[i].dictionaries);
	}
	for (size_t i = 0; i < c->gap_count; i++)
		free((void *)c->gaps[i].by_event);
	for (unsigned key = 0; key < AQ_FACT_COUNT; key++)
		free(c->strings[key]);
	free(c->strings_cache.offsets);
	aq_buf_release(&c->strings_cache.bytes);
	free(c->segments);
	free(c->segment_infos);
	free(c->chunks);
	free(c->refs);
	free(c->gaps);
	free(c->rows);
	free(c->damages);
	free(c->clocks);
	free(c->path);
	free(c);
}

const struct aq_capture_info *aq_capture_info(const struct aq_capture *c)
{
	return &c->info;
}

const struct aq_damage *aq_capture_damages(const struct aq_capture *c, size_t *ret_count)
{
	*ret_count = c->damage_count;
	return c->damages;
}

const struct aq_gap *aq_capture_gaps(const struct aq_capture *c, size_t *ret_count)
{
	*ret_count = c->gap_count;
	return c->gaps;
}

const struct aq_ledger_row *aq_capture_ledger(const struct aq_capture *c, size_t *ret_count)
{
	*ret_count = c->row_count;
	return c->rows;
}

const struct aq_chunk_info *aq_capture_chunk(const struct aq_capture *c, uint32_t index)
{
	return index < c->chunk_count ? &c->chunks[index] : NULL;
}

uint64_t aq_capture_real_ns(const struct aq_capture *c, uint64_t boot_ns)
{
	struct aq_clock_pair pair = { c->info.start_boot_ns, c->info.start_real_ns };
	for (size_t i = 0; i < c->clock_count && c->clocks[i].boot_ns <= boot_ns; i++)
		pair = c->clocks[i];
	return pair.real_ns + (boot_ns - pair.boot_ns);
}

uint64_t aq_capture_boot_ns(const struct aq_capture *c, uint64_t real_ns)
{
	struct aq_clock_pair pair = { c->info.start_boot_ns, c->info.start_real_ns };
	for (size_t i = 0; i < c->clock_count && c->clocks[i].real_ns <= real_ns; i++)
		pair = c->clocks[i];
	uint64_t behind = pair.real_ns - real_ns;
	return real_ns >= pair.real_ns ? pair.boot_ns + (real_ns - pair.real_ns) : pair.boot_ns > behind ? pair.boot_ns - behind : 0;
}
