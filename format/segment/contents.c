/* SPDX-License-Identifier: Apache-2.0 */
/* What the blocks of a segment say, collected in an open capture: chunks, ledgers, gaps, facts, damage. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/segment/capture.h"

enum { CHUNKS_MAX = 50000000, GAPS_MAX = 4000000, LEDGER_ROW_MIN = 7, RECORDINGS_MAX = 1000000 };

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

static int order_of(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

/* By all of their fields, so that the same gaps stand in the same order whoever sorts them. */
int aq_gap_order(const void *a, const void *b)
{
	const struct aq_gap *x = a, *y = b;
	int r = order_of(x->first_ns, y->first_ns);
	r = r ? r : order_of(x->cpu, y->cpu);
	r = r ? r : order_of(x->cls, y->cls);
	r = r ? r : order_of(x->reason, y->reason);
	r = r ? r : order_of(x->last_ns, y->last_ns);
	r = r ? r : order_of(x->cgroup_id, y->cgroup_id);
	return r ? r : order_of(x->count, y->count);
}

int aq_capture_push_gap(struct aq_capture *c, const struct aq_gap *gap)
{
	struct aq_gap_count *copy = NULL;
	if (gap->by_event_count) {
		copy = malloc(gap->by_event_count * sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, gap->by_event, gap->by_event_count * sizeof(*copy));
	}
	struct aq_gap *to = push((void **)&c->gaps, &c->gap_count, &c->gap_capacity, sizeof(*to), GAPS_MAX);
	if (!to) {
		free(copy);
		return -ENOMEM;
	}
	for (; c->sorted && to > c->gaps && aq_gap_order(to - 1, gap) > 0; to--)
		*to = to[-1];
	*to = *gap;
	to->by_event = copy; /* what gap points to is the caller's */
	return 0;
}

/* False when there is no room for another; the last one that is noted then stands for all. */
static bool note(struct aq_capture *c, const struct aq_segment *s, uint64_t offset, uint64_t bytes, const char *text)
{
	if (!c->damages) /* all room at once: what is lent out must not move, and untouched pages cost nothing */
		c->damages = calloc(AQ_DAMAGES_MAX, sizeof(*c->damages));
	if (!c->damages)
		return true;
	for (size_t i = 0; i < c->damage_count; i++)
		if (c->damages[i].file == s->path && c->damages[i].offset == offset)
			return false;
	if (c->damage_count == AQ_DAMAGES_MAX)
		return false;
	struct aq_damage *d = &c->damages[c->damage_count++];
	*d = (struct aq_damage){ .file = s->path, .offset = offset, .bytes = bytes };
	snprintf(d->text, sizeof(d->text), "%s", c->damage_count < AQ_DAMAGES_MAX ? text : "there is more damage than is listed");
	return true;
}

void aq_capture_damage(struct aq_capture *c, const struct aq_segment *s, uint64_t offset, uint64_t bytes, uint64_t first_ns,
		       uint64_t last_ns, const char *format, ...)
{
	struct aq_gap gap = { .first_ns = first_ns, .last_ns = last_ns, .count = AQ_GAP_COUNT_UNKNOWN, .cpu = UINT16_MAX,
			      .cls = UINT8_MAX, .reason = AQ_GAP_DAMAGE };
	char text[256];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	pthread_mutex_lock(&c->lock);
	if (note(c, s, offset, bytes, text)) {
		if (c->damage_count == AQ_DAMAGES_MAX) {
			gap.first_ns = 0;
			gap.last_ns = UINT64_MAX;
		}
		if (gap.first_ns <= gap.last_ns)
			aq_capture_push_gap(c, &gap);
	}
	pthread_mutex_unlock(&c->lock);
}

/*
 * The times that a damaged place after all that was read so far can hide. It begins with the last chunk when that one's
 * attributes are missing, else a little before its end, as events may come late; where it ends shows later.
 */
void aq_capture_hidden(const struct aq_capture *c, uint32_t segment, uint64_t *ret_first_ns, uint64_t *ret_last_ns)
{
	const struct aq_segment *s = &c->segments[segment];
	uint64_t first = c->info.start_boot_ns;
	if (s->ended) { /* nothing but the footer follows */
		*ret_first_ns = 1;
		*ret_last_ns = 0;
		return;
	}
	if (c->whole_ns > first + AQ_LATE_NS)
		first = c->whole_ns - AQ_LATE_NS;
	if (c->chunk_count && c->refs[c->chunk_count - 1].attrs_lost && c->chunks[c->chunk_count - 1].min_ns < first)
		first = c->chunks[c->chunk_count - 1].min_ns;
	*ret_first_ns = first;
	*ret_last_ns = UINT64_MAX;
}

/* Proof of life. What damage before it can hide ends there, or a little later, as events may come late. */
static void alive(struct aq_capture *c, uint32_t segment, uint64_t first_ns, uint64_t last_ns)
{
	struct aq_segment *s = &c->segments[segment];
	uint64_t end = last_ns < UINT64_MAX - AQ_LATE_NS ? last_ns + AQ_LATE_NS : UINT64_MAX;
	for (; c->bounded_gaps < c->gap_count; c->bounded_gaps++) {
		struct aq_gap *gap = &c->gaps[c->bounded_gaps];
		if (gap->reason == AQ_GAP_DAMAGE && gap->last_ns == UINT64_MAX)
			gap->last_ns = end > gap->first_ns ? end : gap->first_ns;
	}
	if (!s->last_ns || first_ns < s->first_ns)
		s->first_ns = first_ns;
	s->last_ns = last_ns > s->last_ns ? last_ns : s->last_ns;
	c->last_ns = last_ns > c->last_ns ? last_ns : c->last_ns;
}

/* What was added to a recording can only name what is in it. */
static bool has_facts_only(const struct aq_zone *z)
{
	for (uint32_t i = 0; i < z->type_count; i++)
		if ((z->types[2 * i] | (unsigned)z->types[2 * i + 1] << 8) != AQ_EV_fact)
			return false;
	return true;
}

static int add_chunk(struct aq_capture *c, uint32_t segment, const struct aq_block *block, const struct aq_zone *z)
{
	if (c->segments[segment].added && !has_facts_only(z))
		return -EBADMSG;
	size_t count = c->chunk_count, capacity = c->chunk_capacity;
	struct aq_chunk_info *info = push((void **)&c->chunks, &c->chunk_count, &c->chunk_capacity, sizeof(*info), CHUNKS_MAX);
	struct aq_chunk_ref *ref = info ? push((void **)&c->refs, &count, &capacity, sizeof(*ref), CHUNKS_MAX) : NULL;
	if (!ref)
		return -ENOMEM;
	ref->chunk = *block;
	ref->attrs_lost = block->flags & AQ_BLOCKF_ATTRS; /* until they are found */
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
	alive(c, segment, z->min_ns, z->max_ns);
	if (z->ring_min_ns <= z->ring_max_ns) {
		if (!(block->flags & AQ_BLOCKF_EARLY) && z->ring_max_ns > c->whole_ns)
			c->whole_ns = z->ring_max_ns;
		s->min_ns = z->ring_min_ns < s->min_ns ? z->ring_min_ns : s->min_ns;
		s->max_ns = z->ring_max_ns > s->max_ns ? z->ring_max_ns : s->max_ns;
	}
	return 0;
}

static int add_clocks(struct aq_capture *c, uint64_t boot_ns, uint64_t real_ns)
{
	struct aq_clock_pair *pair = push((void **)&c->clocks, &c->clock_count, &c->clock_capacity, sizeof(*pair), CHUNKS_MAX);
	if (!pair)
		return -ENOMEM;
	*pair = (struct aq_clock_pair){ boot_ns, real_ns };
	return 0;
}

struct aq_recording *aq_capture_recording(struct aq_capture *c, uint32_t segment, uint32_t number)
{
	struct aq_segment *s = &c->segments[segment];
	if (s->recording_known && s->recording != number)
		return NULL;
	s->recording = number;
	s->recording_known = true;
	for (size_t i = c->recording_count; i-- > 0;)
		if (c->recordings[i].number == number)
			return &c->recordings[i];
	struct aq_recording *r =
		push((void **)&c->recordings, &c->recording_count, &c->recording_capacity, sizeof(*r), RECORDINGS_MAX);
	if (r)
		r->number = number;
	c->last_recording = number > c->last_recording ? number : c->last_recording;
	return r;
}

static int by_cpu_and_class(const void *a, const void *b)
{
	const struct aq_ledger_row *x = a, *y = b;
	return x->cpu != y->cpu ? (int)x->cpu - (int)y->cpu : (int)x->cls - (int)y->cls;
}

/* Rows of the same CPU and class of all recordings, added up. */
int aq_capture_sum_ledgers(struct aq_capture *c)
{
	size_t max = 0, n = 0, count = 0;
	for (size_t i = 0; i < c->recording_count; i++)
		max += c->recordings[i].row_count;
	struct aq_ledger_row *rows = calloc(max + 1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < c->recording_count; i++)
		for (size_t k = 0; k < c->recordings[i].row_count; k++)
			rows[n++] = c->recordings[i].rows[k];
	c->rows = rows;
	c->row_count = n;
	if (c->recording_count < 2)
		return 0;
	qsort(rows, n, sizeof(*rows), by_cpu_and_class);
	for (size_t i = 0; i < n; i++) {
		struct aq_ledger_row *to = count ? &rows[count - 1] : NULL;
		if (!to || by_cpu_and_class(to, &rows[i]) != 0) {
			rows[count++] = rows[i];
			continue;
		}
		to->produced += rows[i].produced;
		to->stored += rows[i].stored;
		to->lost += rows[i].lost;
		to->policy += rows[i].policy;
		to->degraded += rows[i].degraded;
		to->removed += rows[i].removed;
	}
	c->row_count = count;
	return 0;
}

/*
 * New totals of a recording: what was known to be missing from the capture stays so; a base that states more than the ledger before it
 * says what was in segments that are not there.
 */
static void carry_removed(struct aq_capture *c, uint32_t segment, const struct aq_recording *before_it, struct aq_ledger_row *rows,
			  uint32_t count, bool is_base)
{
	struct aq_segment *s = &c->segments[segment];
	for (uint32_t i = 0; i < count; i++) {
		const struct aq_ledger_row *old = i < before_it->row_count ? &before_it->rows[i] : NULL;
		if (old && (old->cpu != rows[i].cpu || old->cls != rows[i].cls))
			old = NULL;
		uint64_t before = old ? old->stored : 0;
		rows[i].removed = old ? old->removed : 0;
		if (!is_base || rows[i].stored <= before)
			continue;
		rows[i].removed += rows[i].stored - before;
		if (rows[i].cls < AQ_CLASS_COUNT)
			s->base_removed[rows[i].cls] += rows[i].stored - before;
	}
	s->has_base = s->has_base || (is_base && !c->is_window);
}

static int read_ledger(struct aq_capture *c, uint32_t segment, struct aq_bytes *r)
{
	uint64_t boot_ns = aq_bytes_u64(r), real_ns = aq_bytes_u64(r);
	uint32_t row_count = aq_bytes_u32(r), gap_count = aq_bytes_u32(r);
	uint32_t flags = aq_bytes_u32(r), number = aq_bytes_u32(r);
	if (r->failed || row_count > aq_bytes_left(r) / LEDGER_ROW_MIN)
		return -EBADMSG;
	struct aq_ledger_row *rows = calloc((size_t)row_count + 1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < row_count; i++) {
		uint64_t cpu = aq_bytes_varint(r);
		rows[i].cpu = (uint16_t)cpu;
		rows[i].cls = aq_bytes_u8(r);
		rows[i].produced = aq_bytes_varint(r);
		rows[i].stored = aq_bytes_varint(r);
		rows[i].lost = aq_bytes_varint(r);
		rows[i].policy = aq_bytes_varint(r);
		rows[i].degraded = aq_bytes_varint(r);
		if (cpu > UINT16_MAX || r->failed) {
			free(rows);
			return -EBADMSG;
		}
	}
	bool other = c->segments[segment].recording_known && c->segments[segment].recording != number;
	struct aq_recording *recording = aq_capture_recording(c, segment, number);
	if (recording && row_count) {
		carry_removed(c, segment, recording, rows, row_count, flags & AQ_LEDGERF_BASE);
		free(recording->rows);
		recording->rows = rows;
		recording->row_count = row_count;
	} else {
		free(rows);
	}
	if (!recording)
		return other ? -EBADMSG : -ENOMEM;
	if (boot_ns) {
		if (add_clocks(c, boot_ns, real_ns) < 0)
			return -ENOMEM;
		alive(c, segment, boot_ns, boot_ns);
		c->whole_ns = boot_ns > c->whole_ns ? boot_ns : c->whole_ns;
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
	c->running = flags & AQ_LEDGERF_RUNNING;
	c->segments[segment].ended = flags & AQ_LEDGERF_FINAL;
	return r->failed ? -EBADMSG : 0;
}

/* The recording that a segment is of. With each the wall-clock is known anew. */
static int begin_recording(struct aq_capture *c, uint32_t index, uint32_t number, const struct aq_clock_pair *start)
{
	bool later = c->recording_count > 0 && number > c->last_recording;
	bool other = c->segments[index].recording_known && c->segments[index].recording != number;
	if (!aq_capture_recording(c, index, number))
		return other ? -EBADMSG : -ENOMEM;
	c->last_start_ns = start->boot_ns > c->last_start_ns ? start->boot_ns : c->last_start_ns;
	if (!later || !start->boot_ns)
		return 0;
	return add_clocks(c, start->boot_ns, start->real_ns);
}

/* The end of a header, which in an encrypted segment is for the most part in a block of its own. */
static int read_facts(struct aq_capture *c, bool wanted, struct aq_bytes *r, uint32_t *ret_recording)
{
	uint32_t cpu_count = aq_bytes_u32(r), clock_ticks = aq_bytes_u32(r), page_size = aq_bytes_u32(r);
	uint32_t resolution = aq_bytes_u32(r), facts = aq_bytes_u32(r);
	if (wanted) {
		c->clock_ticks = clock_ticks;
		c->page_size = page_size;
		c->info.cpu_count = cpu_count;
		c->info.time_resolution_ns = resolution;
	}
	for (uint32_t i = 0; i < facts && !r->failed; i++) {
		uint32_t key = aq_bytes_u32(r), len = aq_bytes_u32(r);
		const uint8_t *text = aq_bytes_take(r, len);
		if (text && key == AQ_FACT_ALIKE && len == AQ_ALIKE_BYTES) {
			memcpy(c->alike, text, len);
			c->alike_known = true;
		}
		if (text && key == AQ_FACT_REPLACED && len == AQ_REPLACED_BYTES) {
			memcpy(c->replaced, text, len);
			c->replaced_known = true;
		}
		for (uint32_t k = 0; text && key == AQ_FACT_RECORDING && k < len && k < 9 && text[k] >= '0' && text[k] <= '9'; k++)
			*ret_recording = *ret_recording * 10 + (text[k] - '0');
		if (wanted && text && key > 0 && key < AQ_FACT_COUNT && !c->strings[key] &&
		    !(c->strings[key] = strndup((const char *)text, len)))
			return -ENOMEM;
	}
	return r->failed ? -EBADMSG : 0;
}

static int read_facts_block(struct aq_capture *c, struct aq_bytes *r)
{
	uint32_t flags = aq_bytes_u32(r), recording = 0;
	bool wanted = !c->facts_read;
	if (wanted)
		c->info.pointers_kept = flags & AQ_SEGMENTF_POINTERS;
	c->facts_read = true;
	return read_facts(c, wanted, r, &recording);
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
	if (version > AQ_FORMAT_VERSION || (incompatible & ~(uint32_t)AQ_INCOMPATIBLE_KNOWN)) {
		snprintf(why, 128, "written by a newer version (format %u, features 0x%x)", version, incompatible);
		return -EPROTONOSUPPORT;
	}
	c->segment_infos[index].number = number;
	c->segments[index].retention = flags & AQ_SEGMENTF_RETENTION;
	if (flags & AQ_SEGMENTF_ADDED && !c->segments[index].added) {
		c->segments[index].added = true;
		c->info.added_segments++;
	}
	bool first = !c->header_read;
	if (!first && memcmp(id, c->info.capture_id, 16) != 0) {
		snprintf(why, 128, "the segment belongs to another capture");
		return -EXDEV;
	}
	struct aq_clock_pair start = { 0 };
	uint32_t recording = 0;
	start.boot_ns = aq_bytes_u64(r);
	start.real_ns = aq_bytes_u64(r);
	if (first) {
		memcpy(c->info.capture_id, id, 16);
		c->info.pointers_kept = flags & AQ_SEGMENTF_POINTERS;
		c->info.start_boot_ns = start.boot_ns;
		c->info.start_real_ns = start.real_ns;
	}
	c->replaced_known = false;
	int e = read_facts(c, first, r, &recording);
	if (e == -ENOMEM)
		return e;
	if (e < 0) {
		snprintf(why, 128, "the segment's header is cut");
		return -EBADMSG;
	}
	c->header_read = true;
	snprintf(why, 128, "its recording is not that of the blocks before");
	return begin_recording(c, index, recording, &start);
}

int aq_capture_take_facts(struct aq_capture *c)
{
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
	info->derived_json = c->strings[AQ_FACT_DERIVED];
	return 0;
}

int aq_capture_take_summary(struct aq_capture *c, uint32_t segment, const struct aq_footer_summary *summary)
{
	struct aq_segment_info *s = &c->segment_infos[segment];
	s->events = summary->events;
	s->chunks = summary->chunks;
	c->info.events += summary->events;
	if (summary->ring_min_ns <= summary->ring_max_ns) {
		s->min_ns = summary->ring_min_ns;
		s->max_ns = summary->ring_max_ns;
	}
	if (summary->first_ns <= summary->last_ns)
		alive(c, segment, summary->first_ns, summary->last_ns);
	c->segments[segment].ended = s->finished = true;
	return summary->boot_ns ? add_clocks(c, summary->boot_ns, summary->real_ns) : 0;
}

static int add_dictionary(struct aq_segment *s, const struct aq_block *block)
{
	struct aq_dictionary_ref *more = realloc(s->dictionaries, (s->dictionary_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->dictionaries = more;
	s->dictionaries[s->dictionary_count++] = (struct aq_dictionary_ref){ .block = *block };
	return 0;
}

static const char *kind_name(uint16_t kind)
{
	static const char *const names[] = { "?", "segment header", "strings", "chunk", "attributes", "ledger", "footer",
					     "signature", "facts" };
	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

/* Attributes belong to the chunk before them. */
static void take_attrs(struct aq_capture *c, uint32_t segment, const struct aq_block *block)
{
	struct aq_chunk_ref *last = c->chunk_count ? &c->refs[c->chunk_count - 1] : NULL;
	if (!last || c->chunks[c->chunk_count - 1].segment != segment || last->attrs.kind || last->chunk.number + 1 != block->number)
		return;
	last->attrs = *block;
	last->attrs_lost = false;
}

/*
 * The zone map of a chunk that was there when the capture was opened before, if its header is the same: the payload need
 * not be read for it. Segments and chunks are asked for in their order.
 */
static bool recall_zone(struct aq_capture *c, uint32_t segment, const struct aq_block *block,
			uint8_t types[2 * AQ_EVENT_ID_MAX], struct aq_zone *zone)
{
	const struct aq_capture *old = c->before;
	uint32_t *s = &c->before_segment, *i = &c->before_chunk;
	if (!old || block->bare)
		return false;
	while (*s < old->segment_count && old->segment_infos[*s].number < c->segment_infos[segment].number)
		(*s)++;
	if (*s == old->segment_count || strcmp(old->segments[*s].path, c->segments[segment].path) != 0)
		return false;
	while (*i < old->chunk_count && (old->chunks[*i].segment < *s ||
					 (old->chunks[*i].segment == *s && old->chunks[*i].offset < block->offset)))
		(*i)++;
	if (*i == old->chunk_count)
		return false;
	const struct aq_chunk_info *info = &old->chunks[*i];
	const struct aq_chunk_ref *ref = &old->refs[*i];
	if (info->segment != *s || info->offset != block->offset || ref->chunk.bare ||
	    ref->chunk.payload_hash != block->payload_hash || ref->chunk.payload_bytes != block->payload_bytes ||
	    ref->chunk.number != block->number)
		return false;
	*zone = (struct aq_zone){ .events = info->events, .generation = ref->generation,
				  .dictionary_count = ref->dictionary_count, .min_ns = info->min_ns, .max_ns = info->max_ns,
				  .ring_min_ns = ref->ring_min_ns, .ring_max_ns = ref->ring_max_ns,
				  .min_pid = info->min_pid, .max_pid = info->max_pid, .types = types };
	for (uint32_t id = 0; id < AQ_EVENT_ID_MAX; id++)
		if (info->event_set[id / 64] >> (id % 64) & 1) {
			types[2 * zone->type_count] = (uint8_t)id;
			types[2 * zone->type_count++ + 1] = (uint8_t)(id >> 8);
		}
	return true;
}

static int take_payload(struct aq_capture *c, uint32_t segment, const struct aq_block *block, struct aq_buf *buf, char why[128])
{
	uint8_t types[2 * AQ_EVENT_ID_MAX];
	struct aq_zone zone;
	if (block->kind == AQ_BLOCK_CHUNK && recall_zone(c, segment, block, types, &zone))
		return add_chunk(c, segment, block, &zone);
	int r = aq_block_load(c, &c->segments[segment], block, buf, why);
	if (r < 0)
		return r;
	struct aq_bytes bytes = aq_bytes_of(buf->data, buf->len);
	snprintf(why, 128, "its contents are senseless");
	switch (block->kind) {
	case AQ_BLOCK_CHUNK:
		return aq_zone_read(&bytes, &zone) ? add_chunk(c, segment, block, &zone) : -EBADMSG;
	case AQ_BLOCK_LEDGER:
		return read_ledger(c, segment, &bytes);
	case AQ_BLOCK_SEGMENT:
		return read_segment_header(c, segment, &bytes, why);
	case AQ_BLOCK_FACTS:
		return read_facts_block(c, &bytes);
	default: /* the footer: whoever scans does not need it */
		return 0;
	}
}

int aq_capture_take_block(struct aq_capture *c, uint32_t segment, const struct aq_block *block, const struct aq_zone *zone,
			  struct aq_buf *buf)
{
	struct aq_segment *s = &c->segments[segment];
	uint64_t first, last;
	char why[128] = "";
	int r;
	aq_capture_hidden(c, segment, &first, &last);
	switch (block->kind) {
	case AQ_BLOCK_DICTIONARY:
		return add_dictionary(s, block);
	case AQ_BLOCK_ATTRS:
		take_attrs(c, segment, block);
		return 0;
	case AQ_BLOCK_CHUNK:
		r = zone ? add_chunk(c, segment, block, zone) : take_payload(c, segment, block, buf, why);
		break;
	case AQ_BLOCK_FOOTER:
		s->ended = s->footer_seen = true;
		/* fall through */
	case AQ_BLOCK_LEDGER:
	case AQ_BLOCK_SEGMENT:
	case AQ_BLOCK_FACTS:
		if (block->kind != AQ_BLOCK_LEDGER) { /* no events there */
			first = 1;
			last = 0;
		}
		r = take_payload(c, segment, block, buf, why);
		break;
	default:
		if (!(block->flags & AQ_BLOCKF_REQUIRED))
			return 0;
		snprintf(why, sizeof(why), "its kind %u is unknown, and nothing after it can be read without it", block->kind);
		r = -EPROTO;
	}
	if (r == -EBADMSG || r == -EPROTO || r == -EXDEV)
		aq_capture_damage(c, s, block->offset, AQ_BLOCK_HEADER_BYTES + block->payload_bytes, first, last,
				  "block %llu (%s): %s", (unsigned long long)block->number, kind_name(block->kind), why);
	return r == -EBADMSG ? 0 : r;
}
