/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a capture: finds segments, reads footers or scans blocks, collects zone maps, ledger, gaps and damage. */
#include "format/segment/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/capture.h"

enum { SEGMENTS_MAX = 1000000, CHUNKS_MAX = 50000000, GAPS_MAX = 4000000, SCAN_STEP = 1 << 16 };

/* One more element in a growing array, zeroed; NULL without memory or beyond max. */
static void *push(void **array, size_t *count, size_t *capacity, size_t size, size_t max)
{
	if (*count >= max)
		return NULL;
	if (*count == *capacity) {
		size_t more = *capacity ? *capacity * 2 : 64;
		void *p = realloc(*array, more * size);
		if (!p)
			return NULL;
		*array = p;
		*capacity = more;
	}
	void *element = (char *)*array + (*count)++ * size;
	memset(element, 0, size);
	return element;
}

int aq_capture_push_gap(struct aq_capture *c, const struct aq_gap *gap)
{
	struct aq_gap *to = push((void **)&c->gaps, &c->gap_count, &c->gap_capacity, sizeof(*to), GAPS_MAX);
	if (!to)
		return -ENOMEM;
	*to = *gap;
	to->by_event = NULL; /* what it points to is the caller's */
	if (gap->by_event_count) {
		struct aq_gap_count *copy = malloc(gap->by_event_count * sizeof(*copy));
		if (!copy) {
			to->by_event_count = 0;
			return -ENOMEM;
		}
		memcpy(copy, gap->by_event, gap->by_event_count * sizeof(*copy));
		to->by_event = copy;
	}
	return 0;
}

void aq_capture_damage(struct aq_capture *c, const struct aq_segment *s, uint64_t offset, uint64_t bytes, uint64_t first_ns,
		       uint64_t last_ns, const char *format, ...)
{
	struct aq_damage *d = push((void **)&c->damages, &c->damage_count, &c->damage_capacity, sizeof(*d), AQ_DAMAGES_MAX);
	if (d) {
		va_list ap;
		va_start(ap, format);
		d->file = s->path;
		d->offset = offset;
		d->bytes = bytes;
		vsnprintf(d->text, sizeof(d->text), format, ap);
		va_end(ap);
	}
	struct aq_gap gap = { .first_ns = first_ns, .last_ns = last_ns, .count = AQ_GAP_COUNT_UNKNOWN, .cpu = UINT16_MAX,
			      .cls = UINT8_MAX, .reason = AQ_GAP_DAMAGE };
	aq_capture_push_gap(c, &gap);
}

static int read_at(int fd, void *to, size_t n, uint64_t offset)
{
	uint8_t *p = to;
	while (n) {
		ssize_t k = pread(fd, p, n, (off_t)offset);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -ENODATA;
		p += k;
		n -= (size_t)k;
		offset += (uint64_t)k;
	}
	return 0;
}

int aq_block_load(const struct aq_segment *s, const struct aq_block *block, struct aq_buf *out, char why[128])
{
	aq_buf_reset(out);
	uint8_t *to = aq_buf_reserve(out, block->payload_bytes);
	if (!to) {
		snprintf(why, 128, "out of memory");
		return -ENOMEM;
	}
	int r = read_at(s->fd, to, block->payload_bytes, block->offset + AQ_BLOCK_HEADER_BYTES);
	if (r < 0) {
		snprintf(why, 128, "could not be read: %s", r == -ENODATA ? "the file ends within it" : strerror(-r));
		return -EBADMSG;
	}
	if (XXH3_64bits(to, block->payload_bytes) != block->payload_hash) {
		snprintf(why, 128, "its checksum is wrong");
		return -EBADMSG;
	}
	out->len = block->payload_bytes;
	return 0;
}

/* What is known of the times around the end of what has been read so far. */
static uint64_t last_time(const struct aq_capture *c)
{
	uint64_t last = c->info.start_boot_ns;
	if (c->chunk_count && c->chunks[c->chunk_count - 1].max_ns > last)
		last = c->chunks[c->chunk_count - 1].max_ns;
	if (c->clock_count && c->clocks[c->clock_count - 1].boot_ns > last)
		last = c->clocks[c->clock_count - 1].boot_ns;
	return last;
}

static int add_chunk(struct aq_capture *c, uint32_t segment, const struct aq_block *block, const struct aq_zone *z)
{
	size_t count = c->chunk_count, capacity = c->chunk_capacity;
	struct aq_chunk_info *info = push((void **)&c->chunks, &c->chunk_count, &c->chunk_capacity, sizeof(*info), CHUNKS_MAX);
	struct aq_chunk_ref *ref = info ? push((void **)&c->refs, &count, &capacity, sizeof(*ref), CHUNKS_MAX) : NULL;
	if (!ref)
		return -ENOMEM;
	ref->chunk = *block;
	ref->generation = z->generation;
	ref->dictionary_count = z->dictionary_count;
	ref->ring_min_ns = z->ring_min_ns;
	ref->ring_max_ns = z->ring_max_ns;
	info->index = (uint32_t)c->chunk_count - 1;
	info->segment = segment;
	info->offset = block->offset;
	info->bytes = block->payload_bytes;
	info->events = z->events;
	info->min_ns = z->min_ns;
	info->max_ns = z->max_ns;
	info->min_pid = z->min_pid;
	info->max_pid = z->max_pid;
	for (uint32_t i = 0; i < z->type_count; i++) {
		unsigned id = z->types[2 * i] | (unsigned)z->types[2 * i + 1] << 8;
		if (id < AQ_EVENT_ID_MAX)
			info->event_set[id / 64] |= 1ull << (id % 64);
	}
	struct aq_segment_info *s = &c->segment_infos[segment];
	s->events += z->events;
	s->chunks++;
	c->info.events += z->events;
	if (z->ring_min_ns <= z->ring_max_ns) {
		s->min_ns = z->ring_min_ns < s->min_ns ? z->ring_min_ns : s->min_ns;
		s->max_ns = z->ring_max_ns > s->max_ns ? z->ring_max_ns : s->max_ns;
	}
	return 0;
}

static int read_ledger(struct aq_capture *c, struct aq_bytes *r)
{
	uint64_t boot_ns = aq_bytes_u64(r), real_ns = aq_bytes_u64(r);
	uint32_t row_count = aq_bytes_u32(r), gap_count = aq_bytes_u32(r);
	aq_bytes_u64(r);
	if (r->failed || row_count > aq_bytes_left(r) / 48)
		return -EBADMSG;
	struct aq_ledger_row *rows = calloc((size_t)row_count + 1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < row_count; i++) {
		rows[i].cpu = aq_bytes_u16(r);
		rows[i].cls = aq_bytes_u8(r);
		aq_bytes_take(r, 5);
		rows[i].produced = aq_bytes_u64(r);
		rows[i].stored = aq_bytes_u64(r);
		rows[i].lost = aq_bytes_u64(r);
		rows[i].policy = aq_bytes_u64(r);
		rows[i].degraded = aq_bytes_u64(r);
	}
	if (row_count) {
		free(c->rows);
		c->rows = rows;
		c->row_count = row_count;
	} else {
		free(rows);
	}
	if (boot_ns) {
		struct aq_clock_pair *pair =
			push((void **)&c->clocks, &c->clock_count, &c->clock_capacity, sizeof(*pair), CHUNKS_MAX);
		if (!pair)
			return -ENOMEM;
		*pair = (struct aq_clock_pair){ boot_ns, real_ns };
	}
	for (uint32_t i = 0; i < gap_count && !r->failed; i++) {
		struct aq_gap gap = { 0 };
		gap.first_ns = aq_bytes_u64(r); /* one by one: initialisers have no order */
		gap.last_ns = aq_bytes_u64(r);
		gap.count = aq_bytes_u64(r);
		gap.cgroup_id = aq_bytes_u64(r);
		gap.cpu = aq_bytes_u16(r);
		gap.cls = aq_bytes_u8(r);
		gap.reason = aq_bytes_u8(r);
		gap.by_event_count = aq_bytes_u32(r);
		if (r->failed || gap.by_event_count > aq_bytes_left(r) / 16 || gap.by_event_count > AQ_EVENT_ID_MAX)
			return -EBADMSG;
		struct aq_gap_count counts[AQ_EVENT_ID_MAX];
		for (uint32_t k = 0; k < gap.by_event_count; k++) {
			counts[k].count = aq_bytes_u64(r);
			counts[k].event_id = aq_bytes_u16(r);
			aq_bytes_take(r, 6);
		}
		gap.by_event = counts;
		int e = r->failed ? -EBADMSG : aq_capture_push_gap(c, &gap);
		if (e < 0)
			return e;
	}
	return r->failed ? -EBADMSG : 0;
}

/* Facts of the first segment become the capture's; those of the others must agree in the capture's id. */
static int read_segment_header(struct aq_capture *c, uint32_t index, struct aq_bytes *r, char why[128])
{
	uint32_t version = aq_bytes_u32(r);
	aq_bytes_u32(r);
	uint32_t incompatible = aq_bytes_u32(r), flags = aq_bytes_u32(r);
	const uint8_t *id = aq_bytes_take(r, 16);
	uint64_t number = aq_bytes_u64(r);
	if (r->failed || version == 0) {
		snprintf(why, 128, "the segment's header is cut");
		return -EBADMSG;
	}
	if (version > AQ_FORMAT_VERSION || incompatible) {
		snprintf(why, 128, "written by a newer version (format %u, features 0x%x)", version, incompatible);
		return -EPROTONOSUPPORT;
	}
	c->segment_infos[index].number = number;
	if (c->info.host) {
		if (memcmp(id, c->info.capture_id, 16) != 0) {
			snprintf(why, 128, "the segment belongs to another capture");
			return -EBADMSG;
		}
		return 0;
	}
	memcpy(c->info.capture_id, id, 16);
	c->info.pointers_kept = flags & AQ_SEGMENTF_POINTERS;
	c->info.start_boot_ns = aq_bytes_u64(r);
	c->info.start_real_ns = aq_bytes_u64(r);
	c->info.cpu_count = aq_bytes_u32(r);
	aq_bytes_u64(r);
	c->info.time_resolution_ns = aq_bytes_u32(r);
	uint32_t facts = aq_bytes_u32(r);
	for (uint32_t i = 0; i < facts && !r->failed; i++) {
		uint32_t key = aq_bytes_u32(r), len = aq_bytes_u32(r);
		const uint8_t *text = aq_bytes_take(r, len);
		if (text && key > 0 && key < AQ_FACT_COUNT && !c->strings[key])
			c->strings[key] = strndup((const char *)text, len);
	}
	if (r->failed) {
		snprintf(why, 128, "the segment's header is cut");
		return -EBADMSG;
	}
	for (unsigned key = 1; key < AQ_FACT_COUNT; key++)
		if (!c->strings[key] && !(c->strings[key] = strdup("")))
			return -ENOMEM;
	struct aq_capture_info *info = &c->info;
	info->host = c->strings[AQ_FACT_HOST];
	info->kernel_release = c->strings[AQ_FACT_KERNEL_RELEASE];
	info->kernel_version = c->strings[AQ_FACT_KERNEL_VERSION];
	info->machine = c->strings[AQ_FACT_MACHINE];
	info->boot_id = c->strings[AQ_FACT_BOOT_ID];
	info->recorder_version = c->strings[AQ_FACT_RECORDER_VERSION];
	info->command = c->strings[AQ_FACT_COMMAND];
	info->features_json = c->strings[AQ_FACT_FEATURES];
	info->policy_json = c->strings[AQ_FACT_POLICY];
	return 0;
}

static int add_dictionary(struct aq_segment *s, const struct aq_block *block)
{
	struct aq_dictionary_ref *more = realloc(s->dictionaries, (s->dictionary_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->dictionaries = more;
	s->dictionaries[s->dictionary_count++].block = *block;
	return 0;
}

/* One block of a segment, by footer or by scan. zone may come from the footer, else it is read from the chunk. */
static int take_block(struct aq_capture *c, uint32_t index, const struct aq_block *block, const struct aq_zone *zone,
		      struct aq_buf *buf)
{
	struct aq_segment *s = &c->segments[index];
	char why[128];
	int r;
	switch (block->kind) {
	case AQ_BLOCK_DICTIONARY:
		return add_dictionary(s, block);
	case AQ_BLOCK_ATTRS:
		if (c->chunk_count && c->chunks[c->chunk_count - 1].segment == index && !c->refs[c->chunk_count - 1].attrs.kind &&
		    c->refs[c->chunk_count - 1].chunk.number + 1 == block->number)
			c->refs[c->chunk_count - 1].attrs = *block;
		return 0;
	case AQ_BLOCK_CHUNK:
		if (zone)
			return add_chunk(c, index, block, zone);
		r = aq_block_load(s, block, buf, why);
		if (r == 0) {
			struct aq_bytes bytes = aq_bytes_of(buf->data, buf->len);
			struct aq_zone own;
			if (aq_zone_read(&bytes, &own))
				return add_chunk(c, index, block, &own);
			snprintf(why, sizeof(why), "its zone map is senseless");
			r = -EBADMSG;
		}
		break;
	case AQ_BLOCK_LEDGER:
	case AQ_BLOCK_SEGMENT:
		r = aq_block_load(s, block, buf, why);
		if (r == 0) {
			struct aq_bytes bytes = aq_bytes_of(buf->data, buf->len);
			snprintf(why, sizeof(why), "its contents are senseless");
			r = block->kind == AQ_BLOCK_LEDGER ? read_ledger(c, &bytes) : read_segment_header(c, index, &bytes, why);
		}
		break;
	default:
		if (!(block->flags & AQ_BLOCKF_REQUIRED))
			return 0;
		snprintf(why, sizeof(why), "its kind %u is unknown and required", block->kind);
		r = -EBADMSG;
	}
	if (r == -EBADMSG) {
		aq_capture_damage(c, s, block->offset, block->payload_bytes, last_time(c), UINT64_MAX, "block %llu (%s): %s",
				  (unsigned long long)block->number,
				  block->kind == AQ_BLOCK_CHUNK ? "chunk" : block->kind == AQ_BLOCK_LEDGER ? "ledger" : "header", why);
		if (block->kind == AQ_BLOCK_SEGMENT)
			s->bad = true;
		return 0;
	}
	return r;
}

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

/* The next place from `offset` on (in steps of 8) where a block header stands; s->bytes if there is none. */
static uint64_t find_block(const struct aq_segment *s, uint64_t offset)
{
	uint8_t *step = malloc(SCAN_STEP + AQ_BLOCK_HEADER_BYTES);
	while (step && offset + AQ_BLOCK_HEADER_BYTES <= s->bytes) {
		size_t n = SCAN_STEP + AQ_BLOCK_HEADER_BYTES;
		n = s->bytes - offset < n ? (size_t)(s->bytes - offset) : n;
		if (read_at(s->fd, step, n, offset) < 0)
			break;
		for (size_t i = 0; i + AQ_BLOCK_HEADER_BYTES <= n; i += 8) {
			struct aq_block block;
			if (aq_block_header_read(step + i, &block)) {
				free(step);
				return offset + i;
			}
		}
		offset += SCAN_STEP;
	}
	free(step);
	return s->bytes;
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

static int gap_order(const void *a, const void *b)
{
	const struct aq_gap *x = a, *y = b;
	return x->first_ns != y->first_ns ? (x->first_ns < y->first_ns ? -1 : 1) : (x->cpu > y->cpu) - (x->cpu < y->cpu);
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
		qsort(c->gaps, c->gap_count, sizeof(*c->gaps), gap_order);
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
