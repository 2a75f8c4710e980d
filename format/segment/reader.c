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
#include <zstd.h>

#include "format/segment/capture.h"

enum {
	SEGMENTS_MAX = 1000000,
	SEGMENTS_OPEN = 128, /* files kept open; those of further segments are opened for each read */
};

/*
 * What the footer says of the segment, found by the trailer at the end. False when there is none that can be trusted.
 */
static bool read_summary(struct aq_capture *c, struct aq_segment *s, struct aq_buf *buf)
{
	uint8_t bytes[AQ_FOOTER_SUMMARY_BYTES];
	struct aq_block block;
	char why[128];
	if (s->bytes < AQ_TRAILER_BYTES || aq_segment_read(s, bytes, AQ_TRAILER_BYTES, s->bytes - AQ_TRAILER_BYTES) < 0)
		return false;
	struct aq_bytes r = aq_bytes_of(bytes, AQ_TRAILER_BYTES);
	uint64_t offset = aq_bytes_u64(&r);
	if (aq_bytes_u64(&r) != AQ_TRAILER_MAGIC || !aq_block_at(s, offset, &block) || block.kind != AQ_BLOCK_FOOTER)
		return false;
	if (s->sealed) { /* its beginning alone can't be decrypted */
		if (aq_block_load(c, s, &block, buf, why) < 0)
			return false;
		r = aq_bytes_of(buf->data, buf->len);
	} else {
		if (aq_segment_read(s, bytes, sizeof(bytes), offset + AQ_BLOCK_HEADER_BYTES) < 0)
			return false;
		r = aq_bytes_of(bytes, sizeof(bytes));
	}
	s->footer_offset = offset;
	s->has_summary = aq_footer_summary_read(&r, &s->summary) && s->summary.entry_bytes <= AQ_FOOTER_ENTRIES_MAX &&
			 s->summary.blocks == block.number;
	return s->has_summary;
}

/* The entries of the footer, decompressed. */
static int load_entries(struct aq_capture *c, const struct aq_segment *s, struct aq_buf *buf,
			struct aq_buf *ret_entries)
{
	struct aq_block footer;
	char why[128];
	if (!aq_block_at(s, s->footer_offset, &footer))
		return -EBADMSG;
	int r = aq_block_load(c, s, &footer, buf, why);
	if (r < 0)
		return r;
	const uint8_t *data = buf->data + AQ_FOOTER_SUMMARY_BYTES;
	size_t n = buf->len < AQ_FOOTER_SUMMARY_BYTES ? 0 : buf->len - AQ_FOOTER_SUMMARY_BYTES;
	if (n == 0 || ZSTD_getFrameContentSize(data, n) != s->summary.entry_bytes)
		return -EBADMSG;
	uint8_t *to = aq_buf_reserve(ret_entries, (size_t)s->summary.entry_bytes + 1);
	if (!to)
		return -ENOMEM;
	if (ZSTD_decompress(to, s->summary.entry_bytes, data, n) != s->summary.entry_bytes)
		return -EBADMSG;
	ret_entries->len = s->summary.entry_bytes;
	return 0;
}

/* The next entry. False when it is cut or senseless. */
static bool read_entry(struct aq_bytes *r, const struct aq_segment *s, struct aq_block *block, struct aq_zone *zone,
		       struct aq_dictionary_ref *strings)
{
	block->kind = aq_bytes_u8(r);
	block->flags = aq_bytes_u8(r);
	block->payload_bytes = aq_bytes_varint(r);
	block->bare = true;
	if (r->failed || block->payload_bytes > AQ_BLOCK_PAYLOAD_MAX || block->offset >= s->footer_offset ||
	    s->footer_offset - block->offset < AQ_BLOCK_HEADER_BYTES + block->payload_bytes)
		return false;
	if (block->kind == AQ_BLOCK_CHUNK)
		return aq_zone_read(r, zone);
	if (block->kind == AQ_BLOCK_DICTIONARY) {
		uint64_t generation = aq_bytes_varint(r), first = aq_bytes_varint(r), count = aq_bytes_varint(r);
		if (r->failed || generation > UINT32_MAX || first > UINT32_MAX || count > UINT32_MAX)
			return false;
		*strings = (struct aq_dictionary_ref){ .generation = (uint32_t)generation, .first = (uint32_t)first,
						       .count = (uint32_t)count, .peeked = true };
	}
	return true;
}

static int read_by_footer(struct aq_capture *c, uint32_t index, const struct aq_buf *entries, struct aq_buf *buf)
{
	struct aq_segment *s = &c->segments[index];
	struct aq_bytes r = aq_bytes_of(entries->data, entries->len);
	struct aq_block block = { 0 };
	int e = 0;
	for (uint32_t i = 0; e == 0 && i < s->summary.blocks; i++) {
		struct aq_zone zone;
		struct aq_dictionary_ref strings = { 0 };
		block.number = i;
		e = read_entry(&r, s, &block, &zone, &strings) ? 0 : -EBADMSG;
		if (e == 0)
			e = aq_capture_take_block(c, index, &block, block.kind == AQ_BLOCK_CHUNK ? &zone : NULL, buf);
		if (e == 0 && strings.peeked) {
			strings.block = block;
			s->dictionaries[s->dictionary_count - 1] = strings;
		}
		block.offset += AQ_BLOCK_HEADER_BYTES + ((block.payload_bytes + 7) & ~7ull);
	}
	if (e == 0 && (block.offset != s->footer_offset || aq_bytes_left(&r)))
		e = -EBADMSG;
	s->ended = true;
	return e;
}

/* No more than the totals, the header (with the facts that are apart in an encrypted one) and the last ledger. */
static int skim(struct aq_capture *c, uint32_t index, struct aq_buf *buf)
{
	const struct aq_segment *s = &c->segments[index];
	struct aq_block block;
	if (!aq_block_at(s, 0, &block) || block.kind != AQ_BLOCK_SEGMENT)
		block = (struct aq_block){ .kind = AQ_BLOCK_SEGMENT, .bare = true };
	int r = aq_capture_take_block(c, index, &block, NULL, buf);
	if (r == 0 && s->sealed &&
	    aq_block_at(s, AQ_BLOCK_HEADER_BYTES + ((block.payload_bytes + 7) & ~7ull), &block) &&
	    block.kind == AQ_BLOCK_FACTS)
		r = aq_capture_take_block(c, index, &block, NULL, buf);
	if (r == 0 && s->summary.ledger_offset && aq_block_at(s, s->summary.ledger_offset, &block) &&
	    block.kind == AQ_BLOCK_LEDGER)
		r = aq_capture_take_block(c, index, &block, NULL, buf);
	return r < 0 ? r : aq_capture_take_summary(c, index, &s->summary);
}

struct scan {
	struct aq_capture *capture;
	uint32_t segment;
	struct aq_buf *buf;
};

static int scan_take(void *user, const struct aq_block *block)
{
	struct scan *scan = user;
	return aq_capture_take_block(scan->capture, scan->segment, block, NULL, scan->buf);
}

static void scan_damage(void *user, uint64_t offset, uint64_t bytes, const char *text)
{
	struct scan *scan = user;
	uint64_t first, last;
	aq_capture_hidden(scan->capture, scan->segment, &first, &last);
	aq_capture_damage(scan->capture, &scan->capture->segments[scan->segment], offset, bytes, first, last, "%s",
			  text);
}

static int read_by_scan(struct aq_capture *c, uint32_t index, struct aq_buf *buf)
{
	struct aq_segment *s = &c->segments[index];
	struct scan scan = { c, index, buf };
	int r = aq_segment_walk(s, scan_take, scan_damage, &scan);
	if (r == 0 && s->ended && !s->footer_seen)
		aq_capture_damage(c, s, s->bytes, 0, 1, 0, "the footer is missing");
	c->segment_infos[index].finished = s->ended;
	return r;
}

static int open_segment(struct aq_capture *c, uint32_t index, struct aq_err *err)
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
	struct aq_buf buf;
	aq_buf_init(&buf, AQ_BLOCK_PAYLOAD_MAX + 8);
	int r = aq_segment_unseal(c, index, &buf);
	info->finished = r == 0 && !s->locked && read_summary(c, s, &buf);
	aq_buf_release(&buf);
	if (index >= SEGMENTS_OPEN) {
		close(s->fd);
		s->fd = -1;
	}
	return r < 0 ? aq_err_set(err, r, "'%s': out of memory", s->path) : 0;
}

static bool is_wanted(const struct aq_segment *s, uint64_t from_ns, uint64_t to_ns)
{
	const struct aq_footer_summary *sum = &s->summary;
	return !s->has_summary || (sum->first_ns <= to_ns && sum->last_ns >= from_ns) ||
	       (sum->gap_first_ns <= to_ns && sum->gap_last_ns >= from_ns && sum->gap_first_ns <= sum->gap_last_ns);
}

static int read_segment(struct aq_capture *c, uint32_t index, uint64_t from_ns, uint64_t to_ns, struct aq_err *err)
{
	struct aq_segment *s = &c->segments[index];
	struct aq_segment_info *info = &c->segment_infos[index];
	struct aq_buf buf, entries;
	aq_buf_init(&buf, AQ_BLOCK_PAYLOAD_MAX + 8);
	aq_buf_init(&entries, AQ_FOOTER_ENTRIES_MAX + 1);
	bool wanted = is_wanted(s, from_ns, to_ns);
	s->recording = index ? c->segments[index - 1].recording : 0; /* until its header or a ledger says */
	int r = s->has_summary && wanted ? load_entries(c, s, &buf, &entries) : 0;
	if (s->locked)
		r = aq_segment_read_locked(c, index, &buf);
	else if (r == -EBADMSG || !s->has_summary)
		r = read_by_scan(c, index, &buf);
	else if (r == 0)
		r = wanted ? read_by_footer(c, index, &entries, &buf) : skim(c, index, &buf);
	s->whole_ns = c->whole_ns;
	if (r == 0 && !aq_capture_recording(c, index, s->recording))
		r = -ENOMEM;
	aq_buf_release(&buf);
	aq_buf_release(&entries);
	if (r == -EBADMSG)
		aq_capture_damage(c, s, s->footer_offset, s->bytes - s->footer_offset, c->info.start_boot_ns,
				  UINT64_MAX, "the footer is senseless");
	else if (r == -EPROTO || r == -EXDEV)
		info->finished = false; /* noted; what follows in this file is not read */
	else if (r == -EPROTONOSUPPORT)
		return aq_err_set(err, r, "'%s': written by a newer version of Aquila; this one reads format %d",
				  s->path, AQ_FORMAT_VERSION);
	else if (r < 0)
		return aq_err_set(err, r, "'%s': out of memory", s->path);
	return 0;
}

/* In order of the numbers, which may have grown beyond six digits. */
static int by_name(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	size_t n = strlen(x), m = strlen(y);
	return n != m ? (n < m ? -1 : 1) : strcmp(x, y);
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

/* The first proof of life in the segments behind this one; UINT64_MAX: there is none. */
static uint64_t next_life(const struct aq_capture *c, size_t index)
{
	for (size_t i = index + 1; i < c->segment_count; i++)
		if (c->segments[i].last_ns)
			return c->segments[i].first_ns;
	return UINT64_MAX;
}

/* All that happened before it is there, or in a gap. */
static uint64_t whole_until(const struct aq_capture *c, size_t index)
{
	uint64_t whole_ns = c->segments[index].whole_ns;
	return whole_ns > c->info.start_boot_ns ? whole_ns : c->info.start_boot_ns;
}

/*
 * What can be missing after a segment that was not ended. True when the recording that continued the capture has
 * accounted for it: its own gap begins where the next one saw the end. Should more be missing than it saw, that is the
 * tail.
 */
static bool is_accounted(const struct aq_capture *c, size_t count, struct aq_gap *tail)
{
	for (size_t i = 0; i < count; i++) {
		const struct aq_gap *g = &c->gaps[i];
		if (g->reason != AQ_GAP_RECORDER_DOWN || g->last_ns < tail->first_ns)
			continue;
		if (g->first_ns <= tail->first_ns)
			return true;
		tail->last_ns = g->first_ns < tail->last_ns ? g->first_ns : tail->last_ns;
	}
	return false;
}

/* Segments before the i-th are not there because they were to be removed: a gap for each class that they had. */
static int note_removed(struct aq_capture *c, size_t i, uint64_t first_ns, uint64_t last_ns, uint64_t count)
{
	const struct aq_segment *s = &c->segments[i];
	struct aq_gap gap = { .first_ns = first_ns,
			      .last_ns = last_ns > first_ns ? last_ns - 1 : first_ns,
			      .count = AQ_GAP_COUNT_UNKNOWN,
			      .cpu = UINT16_MAX,
			      .cls = UINT8_MAX,
			      .reason = AQ_GAP_RETENTION };
	int r = 0;
	c->info.removed_segments += count;
	if (i == 0)
		c->info.kept_from_ns = last_ns;
	if (!s->has_base)
		return aq_capture_push_gap(c, &gap);
	for (unsigned cls = 0; r == 0 && cls < AQ_CLASS_COUNT; cls++) {
		gap.cls = (uint8_t)cls;
		gap.count = s->base_removed[cls];
		if (gap.count)
			r = aq_capture_push_gap(c, &gap);
	}
	return r;
}

/* Segments that are not there, and those that were not ended: what can be missing after them. */
static int find_holes(struct aq_capture *c, bool is_folder)
{
	uint64_t expected = is_folder ? 1 : 0; /* a single file stands for itself */
	size_t written = c->gap_count;
	for (size_t i = 0; i < c->segment_count; i++) {
		const struct aq_segment_info *s = &c->segment_infos[i];
		if (expected && s->number && s->number > expected) {
			uint64_t first = i ? whole_until(c, i - 1) : c->info.start_boot_ns, last = next_life(c, i - 1);
			last = last < first ? first : last;
			if (c->segments[i].retention) {
				if (note_removed(c, i, first, last, s->number - expected) < 0)
					return -ENOMEM;
			} else {
				aq_capture_damage(c, &c->segments[i], 0, 0, first, last,
						  "%llu segments before this one are missing",
						  (unsigned long long)(s->number - expected));
				c->info.finished = false;
			}
		}
		c->info.retention = c->info.retention || c->segments[i].retention;
		expected = s->number ? s->number + 1 : 0;
		if (s->finished)
			continue;
		struct aq_gap tail = { .first_ns = whole_until(c, i),
				       .last_ns = next_life(c, i),
				       .count = AQ_GAP_COUNT_UNKNOWN,
				       .cpu = UINT16_MAX,
				       .cls = UINT8_MAX,
				       .reason = AQ_GAP_RECORDER_DOWN };
		tail.last_ns = tail.last_ns < tail.first_ns ? tail.first_ns : tail.last_ns;
		bool continued = i + 1 < c->segment_count && c->segments[i + 1].recording > c->segments[i].recording;
		if (continued && is_accounted(c, written, &tail))
			continue;
		c->info.finished = false;
		if (aq_capture_push_gap(c, &tail) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Totals over all segments. */
static void sum_up(struct aq_capture *c)
{
	struct aq_capture_info *info = &c->info;
	info->path = c->path;
	info->segments = c->segment_infos;
	info->segment_count = (uint32_t)c->segment_count;
	info->chunk_count = (uint32_t)c->chunk_count;
	info->bytes = 0;
	info->min_ns = UINT64_MAX;
	for (size_t i = 0; i < c->segment_count; i++) {
		const struct aq_segment_info *s = &c->segment_infos[i];
		info->bytes += s->bytes;
		info->min_ns = s->min_ns < info->min_ns ? s->min_ns : info->min_ns;
		info->max_ns = s->max_ns > info->max_ns ? s->max_ns : info->max_ns;
	}
	if (!c->header_read)
		info->start_boot_ns = info->min_ns != UINT64_MAX ? info->min_ns : 0;
	info->recording_count = (uint32_t)(c->recording_count ? c->recording_count : 1);
	/* each added segment has a number of its own, and is none */
	info->recording_count -= info->added_segments < info->recording_count ? info->added_segments : info->recording_count - 1;
	info->end_ns = c->last_ns > info->start_boot_ns ? c->last_ns : info->start_boot_ns;
	if (c->clock_count)
		qsort(c->clocks, c->clock_count, sizeof(*c->clocks), clock_order);
}

/* What follows from all segments together: totals, holes between them, bounds of damage. */
static int conclude(struct aq_capture *c, bool is_folder)
{
	sum_up(c);
	c->info.finished = true;
	int r = find_holes(c, is_folder);
	if (c->gap_count)
		qsort(c->gaps, c->gap_count, sizeof(*c->gaps), aq_gap_order);
	c->sorted = true;
	return r;
}

/* Asks for the window with what headers and summaries tell, which is forgotten again. */
static int ask_window(struct aq_capture *c, const struct aq_open_options *options, uint64_t *from_ns, uint64_t *to_ns,
		      struct aq_err *err)
{
	struct aq_block header = { .kind = AQ_BLOCK_SEGMENT };
	struct aq_buf buf;
	for (size_t i = 0; i < c->segment_count; i++)
		if (!c->segments[i].has_summary)
			return 0; /* everything has to be looked at */
	if (!aq_block_at(&c->segments[0], 0, &header) || header.kind != AQ_BLOCK_SEGMENT)
		return 0;
	aq_buf_init(&buf, AQ_BLOCK_PAYLOAD_MAX + 8);
	int r = aq_capture_take_block(c, 0, &header, NULL, &buf);
	aq_buf_release(&buf);
	for (size_t i = 0; r == 0 && i < c->segment_count; i++)
		r = aq_capture_take_summary(c, (uint32_t)i, &c->segments[i].summary);
	if (r < 0)
		return r == -ENOMEM ? aq_err_set(err, r, "out of memory") : 0;
	sum_up(c);
	r = options->window(options->user, c, from_ns, to_ns, err);
	for (size_t i = 0; i < c->segment_count; i++) {
		struct aq_segment_info *info = &c->segment_infos[i];
		c->segments[i].first_ns = c->segments[i].last_ns = 0;
		c->segments[i].ended = c->segments[i].recording_known = false;
		*info = (struct aq_segment_info){
			.path = info->path, .bytes = info->bytes, .finished = true, .min_ns = UINT64_MAX
		};
	}
	for (size_t i = 0; i < c->recording_count; i++)
		free(c->recordings[i].rows);
	c->recording_count = 0;
	c->last_recording = 0;
	c->info = (struct aq_capture_info){ .encrypted = c->info.encrypted, .recipients = c->info.recipients,
					    .recipient_count = c->info.recipient_count };
	c->clock_count = 0;
	c->last_ns = c->whole_ns = 0;
	c->header_read = false;
	return r;
}

static int open_segments(struct aq_capture *c, char **names, size_t count, const struct aq_open_options *options,
			 struct aq_err *err)
{
	uint64_t from_ns = 0, to_ns = UINT64_MAX;
	int r = 0;
	c->segments = calloc(count, sizeof(*c->segments));
	c->segment_infos = calloc(count, sizeof(*c->segment_infos));
	if (!c->segments || !c->segment_infos)
		return aq_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < count; i++) {
		c->segments[c->segment_count] = (struct aq_segment){ .path = names[i], .fd = -1, .stats = &c->stats };
		names[i] = NULL;
		r = open_segment(c, (uint32_t)c->segment_count++, err);
		if (r == -ENOENT && count > 1) { /* removed since it was listed: by retention, as the next one says */
			free(c->segments[--c->segment_count].path);
			r = 0;
		}
	}
	count = c->segment_count;
	if (r == 0 && count == 0)
		r = aq_err_set(err, -ENOENT, "'%s': its segments were removed just now", c->path);
	if (r == 0 && options && options->window && count > 1)
		r = ask_window(c, options, &from_ns, &to_ns, err);
	c->is_window = from_ns > 0 || to_ns < UINT64_MAX;
	for (uint32_t i = 0; r == 0 && i < count; i++)
		r = read_segment(c, i, from_ns, to_ns, err);
	return r;
}

/* Says whose key would open it. */
static int say_locked(const struct aq_capture *c, bool keys_given, struct aq_err *err)
{
	char text[AQ_FINGERPRINT_TEXT_BYTES] = "?";
	if (c->info.recipient_count)
		aq_fingerprint_text(c->info.recipients[0], text);
	return aq_err_set(err, -ENOKEY, "'%s' is encrypted to key %s%s, and %s", c->path, text,
			  c->info.recipient_count > 1 ? " and others" : "",
			  keys_given ? "no key that was given opens it" : "no key was given");
}

int aq_capture_open_with(const char *path, const struct aq_open_options *options, struct aq_capture **ret_capture,
			 struct aq_err *err)
{
	struct stat st;
	char **names = NULL;
	size_t count = 0;
	if (stat(path, &st) < 0)
		return aq_err_set(err, -errno, "'%s': %s", path,
				  errno == ENOENT ? "there is no such capture" : strerror(errno));
	struct aq_capture *c = calloc(1, sizeof(*c));
	if (!c || !(c->path = strdup(path))) {
		free(c);
		return aq_err_set(err, -ENOMEM, "out of memory");
	}
	c->keys = options ? options->keys : NULL;
	c->before = options ? options->before : NULL;
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->strings_lock, NULL);
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
	if (r == 0)
		r = open_segments(c, names, count, options, err);
	for (size_t i = 0; names && i < count; i++)
		free(names[i]);
	free(names);
	if (r == 0 && aq_capture_sum_ledgers(c) < 0)
		r = aq_err_set(err, -ENOMEM, "out of memory");
	if (r == 0 && !c->header_read && !c->chunk_count && !c->row_count)
		r = aq_err_set(err, -EBADMSG, "'%s': %s", path,
			       c->damage_count ? c->damages[0].text
					       : "no segment has a readable header: it is no capture");
	if (r == 0 && c->info.locked && !(options && options->allow_locked))
		r = say_locked(c, c->keys && aq_keys_find(c->keys, AQ_KEY_SEAL_SECRET), err);
	c->keys = NULL;
	c->before = NULL;
	if (r == 0 && aq_capture_take_facts(c) < 0)
		r = aq_err_set(err, -ENOMEM, "out of memory");
	if (r < 0) {
		aq_capture_close(c);
		return r;
	}
	if (conclude(c, S_ISDIR(st.st_mode)) < 0) {
		aq_capture_close(c);
		return aq_err_set(err, -ENOMEM, "out of memory");
	}
	*ret_capture = c;
	return 0;
}

int aq_capture_open(const char *path, struct aq_capture **ret_capture, struct aq_err *err)
{
	return aq_capture_open_with(path, NULL, ret_capture, err);
}

int aq_capture_refresh(struct aq_capture **capture, const struct aq_open_options *options, struct aq_err *err)
{
	struct aq_open_options o = options ? *options : (struct aq_open_options){ 0 };
	struct aq_capture *fresh;
	o.before = *capture;
	int r = aq_capture_open_with((*capture)->path, &o, &fresh, err);
	if (r < 0)
		return r;
	aq_capture_close(*capture);
	*capture = fresh;
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
		aq_seal_wipe(&c->segments[i].seal);
	}
	for (size_t i = 0; i < c->gap_count; i++)
		free((void *)c->gaps[i].by_event);
	for (unsigned key = 0; key < AQ_FACT_COUNT; key++)
		free(c->strings[key]);
	for (unsigned i = 0; i < AQ_STRINGS_CACHED; i++)
		aq_strings_unref(c->strings_cache[i]);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->strings_lock);
	free(c->segments);
	free(c->segment_infos);
	free(c->chunks);
	free(c->refs);
	for (size_t i = 0; i < c->recording_count; i++)
		free(c->recordings[i].rows);
	free(c->recordings);
	free(c->gaps);
	free(c->rows);
	free(c->damages);
	free(c->clocks);
	free(c->recipients);
	free(c->path);
	free(c);
}

void aq_capture_stats(const struct aq_capture *c, struct aq_capture_stats *ret_stats)
{
	ret_stats->reads = __atomic_load_n(&c->stats.reads, __ATOMIC_RELAXED);
	ret_stats->read_bytes = __atomic_load_n(&c->stats.read_bytes, __ATOMIC_RELAXED);
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

/* The last pair of clocks at or before a time on one of them; that of the start if there is none. */
static struct aq_clock_pair clocks_before(const struct aq_capture *c, uint64_t boot_ns, uint64_t real_ns)
{
	size_t low = 0, high = c->clock_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (c->clocks[middle].boot_ns <= boot_ns && c->clocks[middle].real_ns <= real_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? c->clocks[low - 1] : (struct aq_clock_pair){ c->info.start_boot_ns, c->info.start_real_ns };
}

uint64_t aq_capture_real_ns(const struct aq_capture *c, uint64_t boot_ns)
{
	struct aq_clock_pair pair = clocks_before(c, boot_ns, UINT64_MAX);
	return pair.real_ns + (boot_ns - pair.boot_ns);
}

uint64_t aq_capture_boot_ns(const struct aq_capture *c, uint64_t real_ns)
{
	struct aq_clock_pair pair = clocks_before(c, UINT64_MAX, real_ns);
	uint64_t behind = pair.real_ns - real_ns;
	return real_ns >= pair.real_ns ? pair.boot_ns + (real_ns - pair.real_ns)
	       : pair.boot_ns > behind ? pair.boot_ns - behind
				       : 0;
}
