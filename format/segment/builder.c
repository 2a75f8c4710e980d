/* SPDX-License-Identifier: Apache-2.0 */
/* Collects the events of a chunk, groups them by thread and turns them into columns; see builder.h and FORMAT.md. */
#include "format/segment/builder.h"

#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/time_size.h"

enum {
	OWN_FRAME_BYTES = 2048,
	TYPES_MAX = AQ_EVENT_ID_MAX,
	THREAD_SLOTS = 1 << 18,
	NUMBERS_MAX = 256 << 20,
	ATTR_BYTES_MAX = 4 << 20, /* longer ones are cut, and say so */
};

static void make_plans(struct aq_chunk_builder *b)
{
	for (uint32_t id = 0; id < AQ_EVENT_ID_MAX; id++) {
		const struct aq_event_schema *schema = aq_schema_event(id);
		struct aq_chunk_plan *plan = &b->plans[id];
		unsigned count = schema ? aq_schema_number_count(schema) : 6;
		plan->has_ret = !schema || schema->ret_type != AQ_TYPE_NONE;
		for (unsigned a = 0; a < count; a++) {
			enum aq_width width = schema ? aq_type_width(schema->args[a].type, b->keep_pointers) : AQ_WIDTH_64;
			if (width == AQ_WIDTH_NONE)
				continue;
			plan->arg[plan->count] = (uint8_t)a;
			plan->width[plan->count++] = (uint8_t)width;
		}
	}
}

int aq_chunk_builder_init(struct aq_chunk_builder *b, uint32_t max_events, bool keep_pointers)
{
	*b = (struct aq_chunk_builder){ .max_events = max_events, .keep_pointers = keep_pointers };
	b->thread_slot_count = 1024;
	while (b->thread_slot_count < max_events * 2 && b->thread_slot_count < THREAD_SLOTS)
		b->thread_slot_count *= 2;
	if (b->thread_slot_count < max_events * 2)
		b->thread_slot_count = AQ_CHUNK_EVENTS_MAX * 2;
	aq_buf_init(&b->numbers, NUMBERS_MAX);
	aq_buf_init(&b->attrs, NUMBERS_MAX);
	aq_buf_init(&b->columns, (AQ_EVENT_MAX_ARGS + 1) * sizeof(uint64_t) * AQ_CHUNK_EVENTS_MAX);
	aq_buf_init(&b->bits, AQ_CHUNK_RAW_MAX);
	aq_buf_init(&b->small, AQ_CHUNK_RAW_MAX);
	aq_buf_init(&b->column, AQ_CHUNK_RAW_MAX);
	aq_buf_init(&b->directory, AQ_DIRECTORY_BYTES_MAX);
	aq_buf_init(&b->frames, AQ_BLOCK_PAYLOAD_MAX);
	b->rows = malloc(max_events * sizeof(*b->rows));
	b->threads = malloc(max_events * sizeof(*b->threads));
	b->thread_slots = calloc(b->thread_slot_count, sizeof(*b->thread_slots));
	b->order = malloc(max_events * sizeof(*b->order));
	b->by_type = malloc(max_events * sizeof(*b->by_type));
	b->values = malloc(max_events * sizeof(*b->values));
	b->times = malloc(max_events * sizeof(*b->times));
	b->cpus = malloc(max_events * sizeof(*b->cpus));
	b->flags = malloc(max_events * sizeof(*b->flags));
	b->plans = calloc(AQ_EVENT_ID_MAX, sizeof(*b->plans));
	b->zstd = ZSTD_createCCtx();
	if (!b->rows || !b->threads || !b->thread_slots || !b->order || !b->by_type || !b->values || !b->times || !b->cpus ||
	    !b->flags || !b->plans || !b->zstd)
		return -ENOMEM;
	make_plans(b);
	return 0;
}

void aq_chunk_builder_release(struct aq_chunk_builder *b)
{
	free(b->rows);
	free(b->threads);
	free(b->thread_slots);
	free(b->order);
	free(b->by_type);
	free(b->values);
	free(b->times);
	free(b->cpus);
	free(b->flags);
	free(b->durations);
	free(b->plans);
	aq_buf_release(&b->numbers);
	aq_buf_release(&b->attrs);
	aq_buf_release(&b->columns);
	aq_buf_release(&b->bits);
	aq_buf_release(&b->small);
	aq_buf_release(&b->column);
	aq_buf_release(&b->directory);
	aq_buf_release(&b->frames);
	ZSTD_freeCCtx(b->zstd);
}

static bool same_thread(const struct aq_chunk_thread *t, const struct aq_event *ev)
{
	return t->tid == ev->tid && t->pid == ev->pid && t->cgroup_id == ev->cgroup_id && t->abi == ev->abi;
}

static uint32_t find_thread(struct aq_chunk_builder *b, const struct aq_event *ev)
{
	if (b->last_thread < b->thread_count && same_thread(&b->threads[b->last_thread], ev))
		return b->last_thread;
	uint64_t hash = ((uint64_t)ev->tid << 32 | ev->pid) * 0x9e3779b97f4a7c15ull ^ ev->cgroup_id * 0xc2b2ae3d27d4eb4full ^ ev->abi;
	uint32_t mask = b->thread_slot_count - 1, slot = (uint32_t)(hash >> 32) & mask;
	for (; b->thread_slots[slot]; slot = (slot + 1) & mask)
		if (same_thread(&b->threads[b->thread_slots[slot] - 1], ev))
			return b->last_thread = b->thread_slots[slot] - 1;
	b->threads[b->thread_count] =
		(struct aq_chunk_thread){ .cgroup_id = ev->cgroup_id, .pid = ev->pid, .tid = ev->tid, .abi = ev->abi };
	b->thread_slots[slot] = ++b->thread_count;
	return b->last_thread = b->thread_count - 1;
}

/* The duration of the row that is being added, which is the first to have one, or not. */
static int add_duration(struct aq_chunk_builder *b, const struct aq_event *ev)
{
	if (!b->durations && !(b->durations = malloc(b->max_events * sizeof(*b->durations))))
		return -ENOMEM;
	if (!b->has_durations)
		memset(b->durations, 0, b->count * sizeof(*b->durations));
	b->has_durations = true;
	uint64_t units = ev->duration_ns >> b->time_unit;
	b->durations[b->count] = units < UINT64_MAX ? units + 1 : 0;
	return 0;
}

int aq_chunk_builder_add(struct aq_chunk_builder *b, struct aq_dictionary *d, const struct aq_event *ev)
{
	uint16_t id = ev->id < AQ_EVENT_ID_MAX && aq_schema_event(ev->id) ? ev->id : 0;
	struct aq_chunk_plan *plan = &b->plans[id];
	size_t numbers_start = b->numbers.len, attrs_start = b->attrs.len;
	struct aq_chunk_row *row = &b->rows[b->count];
	*row = (struct aq_chunk_row){
		.time_ns = ev->time_ns >> b->time_unit << b->time_unit, .ret = ev->ret, .id = id, .cpu = ev->cpu,
		.nr = ev->nr, .flags = ev->flags, .cls = ev->cls,
		.numbers = (uint32_t)(numbers_start / sizeof(uint64_t)),
		.attrs = (uint32_t)(attrs_start / sizeof(struct aq_chunk_attr)),
	};
	uint64_t *numbers = (uint64_t *)(void *)aq_buf_reserve(&b->numbers, sizeof(ev->args));
	if (!numbers)
		return -ENOMEM;
	for (unsigned i = 0; i < plan->count; i++)
		numbers[i] = plan->arg[i] < ev->arg_count ? aq_normalise(plan->width[i], ev->args[plan->arg[i]]) : 0;
	b->numbers.len += plan->count * sizeof(*numbers);
	if (ev->arg_count > plan->args_seen)
		plan->args_seen = ev->arg_count;
	for (unsigned i = 0; i < ev->attr_count; i++) {
		struct aq_chunk_attr attr = { .true_len = ev->attrs[i].true_len, .key = ev->attrs[i].key,
					      .flags = ev->attrs[i].flags };
		if (attr.key == 0 || attr.key >= AQ_ATTR_KEY_MAX)
			continue;
		uint32_t len = ev->attrs[i].len;
		if (len > ATTR_BYTES_MAX) {
			attr.true_len = attr.true_len ? attr.true_len : len;
			attr.flags |= AQ_ATF_TRUNCATED;
			len = ATTR_BYTES_MAX;
		}
		int r = aq_dictionary_intern(d, ev->attrs[i].data, len, &attr.string);
		if (r == 0)
			aq_buf_put(&b->attrs, &attr, sizeof(attr));
		if (r < 0 || b->attrs.failed) {
			b->numbers.len = numbers_start;
			b->attrs.len = attrs_start;
			return -ENOMEM;
		}
		row->attr_count++;
	}
	if (ev->has_duration && add_duration(b, ev) < 0) {
		b->numbers.len = numbers_start;
		b->attrs.len = attrs_start;
		return -ENOMEM;
	}
	if (b->has_durations && !ev->has_duration)
		b->durations[b->count] = 0;
	row->thread = find_thread(b, ev);
	b->threads[row->thread].events++;
	b->count++;
	return 0;
}

/* Rows order[from … to) of one thread by time, equal ones as they came: merges, for a thread that is far out of order. */
static void sort_run(struct aq_chunk_builder *b, uint32_t from, uint32_t to)
{
	uint32_t *spare = b->by_type; /* used later only */
	for (uint64_t width = 1; width < to - from; width *= 2) {
		for (uint64_t low = from; low < to; low += 2 * width) {
			uint64_t middle = low + width < to ? low + width : to, high = middle + width < to ? middle + width : to;
			uint64_t x = low, y = middle, out = low;
			while (x < middle || y < high) {
				bool left = y == high || (x < middle && b->rows[b->order[x]].time_ns <= b->rows[b->order[y]].time_ns);
				spare[out++] = b->order[left ? x++ : y++];
			}
		}
		memcpy(b->order + from, spare + from, (size_t)(to - from) * sizeof(*spare));
	}
}

/* Rows in order of thread (first seen first), then time; rows of one thread mostly are in order of time already. */
static void group_by_thread(struct aq_chunk_builder *b)
{
	enum { MOVES_MAX = 64 }; /* for each row, before merging is the better way */
	uint32_t start = 0;
	uint32_t *next = b->by_type; /* used later only */
	for (uint32_t t = 0; t < b->thread_count; t++) {
		next[t] = start;
		start += b->threads[t].events;
	}
	for (uint32_t i = 0; i < b->count; i++)
		b->order[next[b->rows[i].thread]++] = i;
	for (uint32_t t = 0, from = 0; t < b->thread_count; from += b->threads[t++].events) {
		uint32_t to = from + b->threads[t].events;
		uint64_t moves = 0;
		for (uint32_t i = from + 1; i < to && moves <= (uint64_t)MOVES_MAX * (to - from); i++) {
			uint32_t row = b->order[i], k = i;
			for (; k > from && b->rows[b->order[k - 1]].time_ns > b->rows[row].time_ns; k--)
				b->order[k] = b->order[k - 1];
			b->order[k] = row;
			moves += i - k;
		}
		if (moves > (uint64_t)MOVES_MAX * (to - from))
			sort_run(b, from, to);
	}
}

/* State of one payload in the making: streams collect in `small` or get a frame of their own. */
struct payload {
	struct aq_chunk_builder *b;
	int level;
	uint32_t streams, frames;
	struct aq_buf frame_table; /* entries; that of the small frame comes last */
	bool failed;
};

/* level 0: as it is. */
static void put_frame(struct payload *p, const uint8_t *data, size_t n, int level)
{
	struct aq_buf *out = &p->b->frames;
	size_t start = out->len, stored = n;
	uint32_t method = AQ_FRAME_RAW;
	if (level) {
		size_t bound = ZSTD_compressBound(n);
		uint8_t *to = aq_buf_reserve(out, bound);
		stored = to ? ZSTD_compressCCtx(p->b->zstd, to, bound, data, n, level) : 0;
		if (!to || ZSTD_isError(stored)) {
			p->failed = true;
			return;
		}
		if (stored < n) {
			method = AQ_FRAME_ZSTD;
			out->len += stored;
		}
	}
	if (method == AQ_FRAME_RAW) {
		stored = n;
		aq_buf_put(out, data, n);
	}
	aq_buf_put_varint(&p->frame_table, out->len - start);
	aq_buf_put_varint(&p->frame_table, n);
	aq_buf_put_u8(&p->frame_table, (uint8_t)method);
	aq_buf_put_u32(&p->frame_table, out->failed ? 0 : (uint32_t)XXH3_64bits(out->data + start, out->len - start));
	p->frames++;
	p->failed = p->failed || out->failed || p->frame_table.failed;
}

/* Sizes of times hardly repeat: what looks for repetition longer finds none, up to the levels that try everything. */
static int size_level(int level)
{
	return level < 9 ? 1 : level;
}

/* The bytes in b->column are one stream. Big ones become a frame now; frame 0 stands for the small one. */
static void put_stream(struct payload *p, enum aq_stream stream, enum aq_encoding encoding, uint16_t type, uint8_t sub,
		       uint32_t values, bool compress)
{
	struct aq_buf *c = &p->b->column, *dir = &p->b->directory;
	if (p->failed || c->failed) { /* what it holds is not what was meant */
		p->failed = true;
		aq_buf_reset(c);
		return;
	}
	bool own = c->len >= OWN_FRAME_BYTES || !compress;
	aq_buf_put_u8(dir, (uint8_t)stream);
	aq_buf_put_u8(dir, (uint8_t)encoding);
	aq_buf_put_varint(dir, type);
	aq_buf_put_u8(dir, sub);
	aq_buf_put_varint(dir, own ? p->frames + 1 : 0);
	aq_buf_put_varint(dir, c->len);
	aq_buf_put_varint(dir, values);
	if (own)
		put_frame(p, c->data, c->len, !compress ? 0 : stream == AQ_STREAM_TIME_SIZE ? size_level(p->level) : p->level);
	else
		aq_buf_put(&p->b->small, c->data, c->len);
	p->streams++;
	p->failed = p->failed || c->failed || dir->failed || p->b->small.failed || p->streams > AQ_CHUNK_STREAMS_MAX;
	aq_buf_reset(c);
}

static void payload_begin(struct payload *p, struct aq_chunk_builder *b, int level)
{
	*p = (struct payload){ .b = b, .level = level };
	aq_buf_init(&p->frame_table, AQ_DIRECTORY_BYTES_MAX);
	aq_buf_reset(&b->small);
	aq_buf_reset(&b->column);
	aq_buf_reset(&b->directory);
	aq_buf_reset(&b->frames);
}

/* Directory, frame table and frames behind what `out` holds already: room for a block header, and the zone map. */
static int payload_end(struct payload *p, struct aq_buf *out)
{
	struct aq_buf *raw = &p->b->column;
	put_frame(p, p->b->small.data, p->b->small.len, p->level);
	aq_buf_reset(raw);
	aq_buf_put_varint(raw, p->streams);
	aq_buf_put_varint(raw, p->frames);
	aq_buf_put(raw, p->b->directory.data, p->b->directory.len);
	aq_buf_put(raw, p->frame_table.data, p->frame_table.len);
	size_t bound = ZSTD_compressBound(raw->len), start = out->len;
	uint8_t *to = aq_buf_reserve(out, AQ_DIRECTORY_HEAD_BYTES + bound);
	size_t n = to ? ZSTD_compressCCtx(p->b->zstd, to + AQ_DIRECTORY_HEAD_BYTES, bound, raw->data, raw->len, p->level) : 0;
	bool failed = p->failed || raw->failed || raw->len > AQ_DIRECTORY_BYTES_MAX || !to || ZSTD_isError(n);
	if (!failed) {
		aq_buf_put_u32(out, (uint32_t)n);
		aq_buf_put_u32(out, (uint32_t)raw->len);
		const uint8_t *before = out->data + AQ_BLOCK_HEADER_BYTES;
		aq_buf_put_u64(out, aq_directory_check(before, start - AQ_BLOCK_HEADER_BYTES, out->data + start + AQ_DIRECTORY_HEAD_BYTES, n));
		out->len = start + AQ_DIRECTORY_HEAD_BYTES + n;
		aq_buf_put(out, p->b->frames.data, p->b->frames.len);
	}
	failed = failed || out->failed;
	aq_buf_release(&p->frame_table);
	return failed ? -ENOMEM : 0;
}

static void put_threads(struct payload *p)
{
	struct aq_chunk_builder *b = p->b;
	uint32_t pid = 0;
	uint64_t cgroup = 0;
	for (uint32_t t = 0; t < b->thread_count; t++) {
		const struct aq_chunk_thread *thread = &b->threads[t];
		aq_buf_put_varint(&b->column, aq_zigzag((int64_t)thread->pid - pid));
		aq_buf_put_varint(&b->column, aq_zigzag((int64_t)thread->tid - thread->pid));
		aq_buf_put_varint(&b->column, aq_zigzag((int64_t)(thread->cgroup_id - cgroup)));
		aq_buf_put_u8(&b->column, thread->abi);
		aq_buf_put_varint(&b->column, thread->events);
		pid = thread->pid;
		cgroup = thread->cgroup_id;
	}
	put_stream(p, AQ_STREAM_THREADS, AQ_ENC_BYTES, 0, 0, b->thread_count, true);
}

/*
 * Times since the thread's previous event: sizes by type, as a call takes about as long as the same call did before, and
 * the bits that they leave open in order. values holds indices of types.
 */
static void put_times(struct payload *p, uint64_t min_ns, const uint32_t *start, uint32_t type_count)
{
	struct aq_chunk_builder *b = p->b;
	uint32_t next[TYPES_MAX];
	aq_buf_reset(&b->bits);
	aq_buf_reset(&b->columns);
	uint8_t *sizes = aq_buf_reserve(&b->columns, b->count);
	uint8_t *to = aq_buf_reserve(&b->bits, (size_t)b->count * 8 + 16);
	if (!sizes || !to) {
		p->failed = true;
		return;
	}
	memcpy(next, start, sizeof(next[0]) * type_count);
	unsigned __int128 hold = 0;
	unsigned held = 0;
	for (uint32_t t = 0, i = 0; t < b->thread_count; t++) {
		uint64_t previous = min_ns;
		for (uint32_t end = i + b->threads[t].events; i < end; i++) {
			uint64_t distance = (b->times[i] - previous) >> b->time_unit;
			unsigned size = aq_time_size(distance), open = aq_time_size_open(size);
			previous = b->times[i];
			sizes[next[b->values[i]]++] = (uint8_t)size;
			if (!open)
				continue;
			hold |= (unsigned __int128)(open < 64 ? distance & ((1ull << open) - 1) : distance) << held;
			for (held += open; held >= 8; held -= 8) {
				*to++ = (uint8_t)hold;
				hold >>= 8;
			}
		}
	}
	if (held)
		*to++ = (uint8_t)hold;
	for (uint32_t first = 0, t = 1; t <= type_count; t++) { /* rare types share a stream */
		uint32_t n = start[t] - start[first];
		if (t < type_count && n < OWN_FRAME_BYTES && start[t + 1] - start[t] < OWN_FRAME_BYTES)
			continue;
		aq_buf_put(&b->column, sizes + start[first], n);
		put_stream(p, AQ_STREAM_TIME_SIZE, AQ_ENC_BYTES, (uint16_t)first, 0, n, true);
		first = t;
	}
	aq_buf_put(&b->column, b->bits.data, (size_t)(to - b->bits.data));
	put_stream(p, AQ_STREAM_TIME_OPEN, AQ_ENC_BYTES, 0, (uint8_t)b->time_unit, b->count, false);
}

/* Where some event has a duration. */
static void put_durations(struct payload *p, uint64_t min_ns)
{
	struct aq_chunk_builder *b = p->b;
	uint64_t *distance = b->values; /* free until columns are made */
	aq_buf_reset(&b->columns);
	uint64_t *duration = (uint64_t *)(void *)aq_buf_reserve(&b->columns, (size_t)b->count * sizeof(*duration));
	if (!duration) {
		p->failed = true;
		return;
	}
	for (uint32_t t = 0, i = 0; t < b->thread_count; t++) {
		uint64_t previous = min_ns;
		for (uint32_t end = i + b->threads[t].events; i < end; i++) {
			distance[i] = (b->times[i] - previous) >> b->time_unit;
			previous = b->times[i];
			duration[i] = b->durations[b->order[i]];
		}
	}
	aq_buf_reset(&b->bits);
	aq_durations_encode(distance, duration, b->count, &b->column, &b->bits);
	p->failed = p->failed || b->column.failed || b->bits.failed;
	put_stream(p, AQ_STREAM_DURATION_CLASS, AQ_ENC_BYTES, 0, 0, b->count, true);
	aq_buf_put(&b->column, b->bits.data, b->bits.len);
	put_stream(p, AQ_STREAM_DURATION_BITS, AQ_ENC_BYTES, 0, 0, b->count, false);
}

/* What is needed of the rows in the order of threads, fetched once: each row is far from the one before. */
static void spread_rows(struct aq_chunk_builder *b)
{
	for (uint32_t i = 0; i < b->count; i++) {
		const struct aq_chunk_row *row = &b->rows[b->order[i]];
		b->times[i] = row->time_ns;
		b->cpus[i] = row->cpu;
		b->flags[i] = row->flags;
		b->values[i] = row->id;
	}
}

/*
 * Positions by type: a counting sort over the grouped order. start has one more element than there are types. values
 * holds ids and then indices of types.
 */
static uint32_t sort_by_type(struct aq_chunk_builder *b, struct aq_buf *types, uint32_t start[TYPES_MAX + 1])
{
	uint16_t index[AQ_EVENT_ID_MAX];
	uint32_t count[TYPES_MAX] = { 0 }, type_count = 0;
	memset(index, 0xff, sizeof(index));
	for (uint32_t i = 0; i < b->count; i++) {
		uint16_t id = (uint16_t)b->values[i];
		if (index[id] == UINT16_MAX) {
			index[id] = (uint16_t)type_count++;
			aq_buf_put_u16(types, id);
		}
		count[index[id]]++;
		b->values[i] = index[id];
	}
	start[0] = 0;
	for (uint32_t t = 0; t < type_count; t++)
		start[t + 1] = start[t] + count[t];
	uint32_t next[TYPES_MAX];
	memcpy(next, start, sizeof(next[0]) * type_count);
	for (uint32_t i = 0; i < b->count; i++)
		b->by_type[next[b->values[i]]++] = b->order[i];
	return type_count;
}

static void encode_column(struct payload *p, enum aq_stream stream, uint16_t type, uint8_t sub, const uint64_t *values, uint32_t count)
{
	enum aq_encoding encoding = aq_column_encode(values, count, &p->b->column);
	put_stream(p, stream, encoding, type, sub, count, true);
}

/* Results and arguments of a type: the rows are visited once and spread over one column each. */
static void put_type_columns(struct payload *p, uint16_t type, uint32_t from, uint32_t to)
{
	enum { AHEAD = 12 };
	struct aq_chunk_builder *b = p->b;
	const uint64_t *numbers = (const uint64_t *)(const void *)b->numbers.data;
	const uint32_t *rows = b->by_type + from;
	uint16_t id = b->rows[rows[0]].id;
	const struct aq_chunk_plan *plan = &b->plans[id];
	uint32_t n = to - from;
	aq_buf_reset(&b->columns);
	uint64_t *columns = (uint64_t *)(void *)aq_buf_reserve(&b->columns, (size_t)n * (plan->count + 1u) * sizeof(*columns));
	if (!columns) {
		p->failed = true;
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct aq_chunk_row *row = &b->rows[rows[i]];
		if (i + AHEAD < n)
			__builtin_prefetch(&b->rows[rows[i + AHEAD]]);
		columns[i] = (uint64_t)row->ret;
		uint64_t *out = columns + n + i;
		const uint64_t *in = numbers + row->numbers;
		for (unsigned k = 0; k < plan->count; k++, out += n)
			*out = in[k];
	}
	if (plan->has_ret)
		encode_column(p, AQ_STREAM_RET, type, 0, columns, n);
	if (id == 0) {
		for (uint32_t i = 0; i < n; i++)
			b->values[i] = b->rows[rows[i]].nr;
		encode_column(p, AQ_STREAM_NR, type, 0, b->values, n);
	}
	for (unsigned k = 0; k < plan->count && (id == 0 || id >= AQ_EVENT_ID_STATE || plan->arg[k] < plan->args_seen); k++)
		encode_column(p, AQ_STREAM_ARG, type, plan->arg[k], columns + (size_t)n * (k + 1), n);
}

static void put_attr_columns(struct payload *p, uint16_t type, uint32_t from, uint32_t to)
{
	struct aq_chunk_builder *b = p->b;
	const struct aq_chunk_attr *attrs = (const struct aq_chunk_attr *)(const void *)b->attrs.data;
	uint64_t keys = 0, extra = 0;
	uint32_t n = to - from;
	for (uint32_t i = from; i < to; i++) {
		const struct aq_chunk_row *row = &b->rows[b->by_type[i]];
		for (unsigned k = 0; k < row->attr_count; k++) {
			const struct aq_chunk_attr *attr = &attrs[row->attrs + k];
			keys |= 1ull << attr->key;
			if (attr->flags || attr->true_len)
				extra |= 1ull << attr->key;
		}
	}
	for (unsigned key = 1; key < AQ_ATTR_KEY_MAX; key++) {
		if (!(keys >> key & 1))
			continue;
		struct aq_buf extras;
		uint32_t extra_count = 0, last = 0;
		aq_buf_init(&extras, AQ_CHUNK_RAW_MAX);
		for (uint32_t i = 0; i < n; i++) {
			const struct aq_chunk_row *row = &b->rows[b->by_type[from + i]];
			b->values[i] = 0;
			for (unsigned k = 0; k < row->attr_count; k++) {
				const struct aq_chunk_attr *attr = &attrs[row->attrs + k];
				if (attr->key != key || b->values[i])
					continue;
				b->values[i] = (uint64_t)attr->string + 1;
				if (!attr->flags && !attr->true_len)
					continue;
				aq_buf_put_varint(&extras, i - last);
				aq_buf_put_varint(&extras, attr->flags);
				aq_buf_put_varint(&extras, attr->true_len);
				last = i;
				extra_count++;
			}
		}
		encode_column(p, AQ_STREAM_ATTR_ID, type, (uint8_t)key, b->values, n);
		if (extra >> key & 1) {
			aq_buf_put(&b->column, extras.data, extras.len);
			put_stream(p, AQ_STREAM_ATTR_EXTRA, AQ_ENC_BYTES, type, (uint8_t)key, extra_count, true);
		}
		p->failed = p->failed || extras.failed;
		aq_buf_release(&extras);
	}
}

static void fill_zone(const struct aq_chunk_builder *b, struct aq_zone *z)
{
	*z = (struct aq_zone){ .events = b->count, .min_ns = UINT64_MAX, .ring_min_ns = UINT64_MAX, .min_pid = UINT32_MAX };
	for (uint32_t i = 0; i < b->count; i++) {
		const struct aq_chunk_row *row = &b->rows[i];
		z->min_ns = row->time_ns < z->min_ns ? row->time_ns : z->min_ns;
		z->max_ns = row->time_ns > z->max_ns ? row->time_ns : z->max_ns;
		if (aq_event_is_made(row->id))
			continue;
		z->ring_min_ns = row->time_ns < z->ring_min_ns ? row->time_ns : z->ring_min_ns;
		z->ring_max_ns = row->time_ns > z->ring_max_ns ? row->time_ns : z->ring_max_ns;
	}
	for (uint32_t t = 0; t < b->thread_count; t++) {
		z->min_pid = b->threads[t].pid < z->min_pid ? b->threads[t].pid : z->min_pid;
		z->max_pid = b->threads[t].pid > z->max_pid ? b->threads[t].pid : z->max_pid;
	}
}

void aq_chunk_builder_empty(struct aq_chunk_builder *b)
{
	if (!b->count && !b->numbers.len)
		return;
	b->count = b->thread_count = b->last_thread = 0;
	b->has_durations = false;
	for (uint32_t id = 0; id < AQ_EVENT_ID_MAX; id++)
		b->plans[id].args_seen = 0;
	memset(b->thread_slots, 0, b->thread_slot_count * sizeof(*b->thread_slots));
	aq_buf_reset(&b->numbers);
	aq_buf_reset(&b->attrs);
}

int aq_chunk_builder_payload(struct aq_chunk_builder *b, const struct aq_dictionary *d, int level, struct aq_buf *chunk,
			     struct aq_buf *attrs, struct aq_zone *ret_zone, struct aq_buf *types)
{
	uint32_t start[TYPES_MAX + 1];
	struct payload p;
	fill_zone(b, ret_zone);
	ret_zone->generation = d->generation;
	ret_zone->dictionary_count = d->count;
	group_by_thread(b);
	payload_begin(&p, b, level);
	spread_rows(b);
	uint32_t type_count = sort_by_type(b, types, start);
	if (types->failed)
		return -ENOMEM;
	ret_zone->types = types->data;
	ret_zone->type_count = type_count;
	aq_zone_write(chunk, ret_zone);

	uint8_t *index = aq_buf_reserve(&b->column, (size_t)b->count * 2);
	for (uint32_t i = 0; index && i < b->count; i++) { /* one byte where that is enough, else two planes */
		index[i] = (uint8_t)b->values[i];
		if (type_count > 256)
			index[b->count + i] = (uint8_t)(b->values[i] >> 8);
	}
	if (index)
		b->column.len += (size_t)b->count * (type_count > 256 ? 2 : 1);
	put_stream(&p, AQ_STREAM_TYPES, AQ_ENC_BYTES, 0, 0, b->count, true);
	put_threads(&p);
	put_times(&p, ret_zone->min_ns, start, type_count);
	encode_column(&p, AQ_STREAM_CPU, 0, 0, b->cpus, b->count);
	encode_column(&p, AQ_STREAM_FLAGS, 0, 0, b->flags, b->count);
	if (b->has_durations)
		put_durations(&p, ret_zone->min_ns);
	for (uint32_t t = 0; t < type_count; t++)
		put_type_columns(&p, (uint16_t)t, start[t], start[t + 1]);
	int r = payload_end(&p, chunk);
	if (r == 0 && b->attrs.len) {
		payload_begin(&p, b, level);
		for (uint32_t t = 0; t < type_count; t++)
			put_attr_columns(&p, (uint16_t)t, start[t], start[t + 1]);
		r = payload_end(&p, attrs);
	}
	aq_chunk_builder_empty(b);
	return r;
}
