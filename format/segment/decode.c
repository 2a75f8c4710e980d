/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes one chunk: frames, columns, threads, times, attributes, strings. Every count and offset is checked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/capture.h"
#include "format/segment/time_size.h"

enum { HEAD_BYTES = 8192 }; /* read first of a payload of which only some streams are wanted */

struct frame {
	uint64_t offset; /* in the payload */
	uint32_t stored_bytes, bytes, method, check;
	uint8_t *data;   /* decoded; borrowed from the payload for raw frames */
	uint8_t *stored; /* own copy when the payload is not there as a whole */
	bool owned;
};

struct payload { /* one parsed payload: chunk or attributes */
	struct aq_capture *capture;
	const struct aq_segment *segment;
	const struct aq_block *block;
	struct aq_buf buf; /* all of it, or its beginning */
	uint64_t bytes;    /* of all of it */
	bool whole;        /* it is all there, and its checksum is right: those of the frames need no look */
	struct aq_stream_entry *streams;
	uint32_t stream_count, frame_count;
	struct frame *frames;
	char why[128];
};

static void payload_release(struct payload *p)
{
	for (uint32_t i = 0; i < p->frame_count && p->frames; i++) {
		if (p->frames[i].owned)
			free(p->frames[i].data);
		free(p->frames[i].stored);
	}
	free(p->frames);
	free(p->streams);
	aq_buf_release(&p->buf);
}

static int bad(struct payload *p, const char *why)
{
	snprintf(p->why, sizeof(p->why), "%s", why);
	return -EBADMSG;
}

static int parse_streams(struct payload *p, struct aq_bytes *d)
{
	uint64_t *ends = calloc(p->frame_count, sizeof(*ends));
	if (!ends)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->stream_count; i++) {
		struct aq_stream_entry *e = &p->streams[i];
		e->stream = aq_bytes_u8(d);
		e->encoding = aq_bytes_u8(d);
		uint64_t type = aq_bytes_varint(d);
		e->sub = aq_bytes_u8(d);
		uint64_t frame = aq_bytes_varint(d), bytes = aq_bytes_varint(d), values = aq_bytes_varint(d);
		e->type = (uint16_t)type;
		e->frame = frame ? (uint32_t)frame - 1 : p->frame_count - 1; /* the shared frame comes last */
		if (d->failed || type > UINT16_MAX || frame > p->frame_count || bytes > AQ_CHUNK_RAW_MAX ||
		    values > AQ_CHUNK_EVENTS_MAX || ends[e->frame] > AQ_CHUNK_RAW_MAX) {
			free(ends);
			return bad(p, "its directory is senseless");
		}
		e->bytes = (uint32_t)bytes;
		e->values = (uint32_t)values;
		e->offset = (uint32_t)ends[e->frame];
		ends[e->frame] += bytes;
	}
	free(ends);
	return 0;
}

static int parse_frames(struct payload *p, struct aq_bytes *d, uint64_t offset)
{
	uint64_t raw = 0;
	for (uint32_t i = 0; i < p->frame_count; i++) {
		uint64_t stored = aq_bytes_varint(d), bytes = aq_bytes_varint(d);
		p->frames[i].method = aq_bytes_u8(d);
		p->frames[i].check = aq_bytes_u32(d);
		raw += bytes <= AQ_CHUNK_RAW_MAX ? bytes : (uint64_t)AQ_CHUNK_RAW_MAX + 1;
		if (d->failed || stored > UINT32_MAX || raw > AQ_CHUNK_RAW_MAX)
			return bad(p, "its table of frames is senseless");
		p->frames[i].stored_bytes = (uint32_t)stored;
		p->frames[i].bytes = (uint32_t)bytes;
		p->frames[i].offset = offset;
		offset += stored;
	}
	if (offset != p->bytes || d->p != d->end)
		return bad(p, "its frames are cut");
	for (uint32_t i = 0; i < p->stream_count; i++) {
		const struct aq_stream_entry *e = &p->streams[i];
		if ((uint64_t)e->offset + e->bytes > p->frames[e->frame].bytes)
			return bad(p, "a stream lies outside of its frame");
	}
	return 0;
}

static int parse_directory(struct payload *p, struct aq_bytes d, uint64_t frames_offset)
{
	uint64_t streams = aq_bytes_varint(&d), frames = aq_bytes_varint(&d);
	if (d.failed || streams > AQ_CHUNK_STREAMS_MAX || frames == 0 || frames > AQ_CHUNK_FRAMES_MAX ||
	    streams * AQ_STREAM_ENTRY_MIN + frames * AQ_FRAME_ENTRY_MIN > aq_bytes_left(&d))
		return bad(p, "its directory is cut");
	p->streams = calloc(streams + 1, sizeof(*p->streams));
	p->frames = calloc(frames, sizeof(*p->frames));
	if (!p->streams || !p->frames)
		return -ENOMEM;
	p->stream_count = (uint32_t)streams;
	p->frame_count = (uint32_t)frames;
	int e = parse_streams(p, &d);
	return e < 0 ? e : parse_frames(p, &d, frames_offset);
}

/* The first n bytes of a payload that is not there as a whole. */
static int more(struct payload *p, size_t n)
{
	size_t have = p->buf.len;
	if (n <= have)
		return 0;
	if (n > p->bytes)
		return bad(p, "its directory is cut");
	uint8_t *to = aq_buf_reserve(&p->buf, n - have);
	if (!to)
		return -ENOMEM;
	if (aq_segment_read(p->segment, to, n - have, p->block->offset + AQ_BLOCK_HEADER_BYTES + have) < 0)
		return bad(p, "could not be read");
	p->buf.len = n;
	return 0;
}

static int payload_load(struct payload *p, struct aq_capture *c, const struct aq_segment *s, const struct aq_block *block, bool whole)
{
	p->capture = c;
	p->segment = s;
	p->block = block;
	p->bytes = block->payload_bytes;
	p->whole = whole || block->payload_bytes <= HEAD_BYTES || s->sealed || (block->flags & AQ_BLOCKF_ENCRYPTED);
	if (!p->whole)
		return more(p, HEAD_BYTES);
	int r = aq_block_load(c, s, block, &p->buf, p->why);
	p->bytes = p->buf.len;
	return r;
}

/* The directory, which stands `at` bytes into the payload, behind the zone map if there is one. */
static int parse(struct payload *p, size_t at)
{
	int e = more(p, at + AQ_DIRECTORY_HEAD_BYTES);
	if (e < 0)
		return e;
	struct aq_bytes r = aq_bytes_of(p->buf.data + at, AQ_DIRECTORY_HEAD_BYTES);
	uint32_t stored = aq_bytes_u32(&r), bytes = aq_bytes_u32(&r);
	uint64_t check = aq_bytes_u64(&r);
	size_t start = at + AQ_DIRECTORY_HEAD_BYTES;
	e = more(p, start + stored);
	if (e < 0)
		return e;
	if (!p->whole && aq_directory_check(p->buf.data, at, p->buf.data + start, stored) != check)
		return bad(p, "the checksum of its directory is wrong");
	const uint8_t *data = p->buf.data + start;
	if (bytes > AQ_DIRECTORY_BYTES_MAX || ZSTD_getFrameContentSize(data, stored) != bytes)
		return bad(p, "its directory is cut");
	uint8_t *raw = malloc((size_t)bytes + 1);
	if (!raw)
		return -ENOMEM;
	e = ZSTD_decompress(raw, bytes, data, stored) == bytes ? parse_directory(p, aq_bytes_of(raw, bytes), start + stored) :
								 bad(p, "its directory can't be decompressed");
	free(raw);
	return e;
}

/* What is stored of a frame. */
static int frame_stored(struct payload *p, struct frame *f, const uint8_t **ret_data)
{
	if (f->offset + f->stored_bytes <= p->buf.len) {
		*ret_data = p->buf.data + f->offset;
	} else {
		free(f->stored);
		f->stored = malloc((size_t)f->stored_bytes + 1);
		if (!f->stored)
			return -ENOMEM;
		if (aq_segment_read(p->segment, f->stored, f->stored_bytes, p->block->offset + AQ_BLOCK_HEADER_BYTES + f->offset) < 0)
			return bad(p, "could not be read");
		*ret_data = f->stored;
	}
	if (!p->whole && (uint32_t)XXH3_64bits(*ret_data, f->stored_bytes) != f->check)
		return bad(p, "the checksum of a frame is wrong");
	return 0;
}

/* The bytes of a stream, decompressing its frame when it is needed for the first time. */
static int stream_bytes(struct payload *p, const struct aq_stream_entry *e, const uint8_t **ret_data)
{
	struct frame *f = &p->frames[e->frame];
	if (!f->data) {
		const uint8_t *stored;
		int r = frame_stored(p, f, &stored);
		if (r < 0)
			return r;
		if (f->method == AQ_FRAME_RAW) {
			if (f->bytes != f->stored_bytes)
				return bad(p, "a frame has two lengths");
			f->data = (uint8_t *)stored;
		} else if (f->method == AQ_FRAME_ZSTD) {
			if (ZSTD_getFrameContentSize(stored, f->stored_bytes) != f->bytes)
				return bad(p, "a frame has two lengths");
			f->data = malloc((size_t)f->bytes + 1);
			if (!f->data)
				return -ENOMEM;
			f->owned = true;
			size_t n = ZSTD_decompress(f->data, f->bytes, stored, f->stored_bytes);
			if (ZSTD_isError(n) || n != f->bytes)
				return bad(p, "a frame can't be decompressed");
		} else {
			return bad(p, "a frame has an unknown method");
		}
	}
	*ret_data = f->data + e->offset;
	return 0;
}

static int column(struct payload *p, const struct aq_stream_entry *e, uint32_t count, uint64_t **ret_values)
{
	const uint8_t *data;
	if (*ret_values)
		return bad(p, "a stream stands twice");
	if (e->values != count)
		return bad(p, "a stream has another number of values than its type");
	int r = stream_bytes(p, e, &data);
	if (r < 0)
		return r;
	uint64_t *values = malloc((size_t)count * sizeof(*values) + 8);
	if (!values)
		return -ENOMEM;
	*ret_values = values; /* freed with the chunk */
	if (!aq_column_decode(e->encoding, data, e->bytes, values, count))
		return bad(p, "a column can't be decoded");
	return 0;
}

static const struct aq_stream_entry *find(const struct payload *p, enum aq_stream stream)
{
	for (uint32_t i = 0; i < p->stream_count; i++)
		if (p->streams[i].stream == stream)
			return &p->streams[i];
	return NULL;
}

/* The stream of types: one byte for each event, or two planes. */
static int type_bytes(struct payload *p, const struct aq_decoded *d, const uint8_t **ret_data)
{
	const struct aq_stream_entry *e = find(p, AQ_STREAM_TYPES);
	if (!e || e->bytes != d->events * (d->type_count > 256 ? 2u : 1u))
		return bad(p, "there is no stream of types");
	return stream_bytes(p, e, ret_data);
}

static int decode_types(struct payload *p, struct aq_decoded *d)
{
	const uint8_t *data;
	unsigned highest = 0;
	int r = type_bytes(p, d, &data);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < d->events; i++)
		d->type[i] = data[i];
	for (uint32_t i = 0; d->type_count > 256 && i < d->events; i++)
		d->type[i] |= (uint16_t)(data[d->events + i] << 8);
	for (uint32_t i = 0; i < d->events; i++)
		highest = d->type[i] > highest ? d->type[i] : highest;
	if (highest >= d->type_count)
		return bad(p, "an event has a type that the chunk does not list");
	for (uint32_t i = 0; d->ordinal && i < d->events; i++)
		d->ordinal[i] = d->types[d->type[i]].events++;
	return 0;
}

/* How many events each type has, without looking at which those are. */
static int count_types(struct payload *p, struct aq_decoded *d)
{
	enum { TABLES = 4 }; /* neighbours are often of one type: they go to different counters */
	uint32_t counts[TABLES][256] = { { 0 } };
	const uint8_t *data;
	uint32_t i = 0;
	int r = type_bytes(p, d, &data);
	if (r < 0)
		return r;
	if (d->type_count > 256) {
		for (; i < d->events; i++) {
			unsigned type = data[i] | (unsigned)data[d->events + i] << 8;
			if (type >= d->type_count)
				return bad(p, "an event has a type that the chunk does not list");
			d->types[type].events++;
		}
		return 0;
	}
	for (; i + TABLES <= d->events; i += TABLES)
		for (unsigned k = 0; k < TABLES; k++)
			counts[k][data[i + k]]++;
	for (; i < d->events; i++)
		counts[0][data[i]]++;
	for (unsigned type = 0; type < 256; type++) {
		uint32_t n = counts[0][type] + counts[1][type] + counts[2][type] + counts[3][type];
		if (type < d->type_count)
			d->types[type].events = n;
		else if (n)
			return bad(p, "an event has a type that the chunk does not list");
	}
	return 0;
}

static int decode_threads(struct payload *p, struct aq_decoded *d, uint32_t **ret_runs)
{
	const struct aq_stream_entry *e = find(p, AQ_STREAM_THREADS);
	const uint8_t *data;
	if (!e || e->values == 0 || e->values > d->events)
		return bad(p, "there is no stream of threads");
	int r = stream_bytes(p, e, &data);
	if (r < 0)
		return r;
	d->threads = malloc(e->values * sizeof(*d->threads));
	uint32_t *runs = *ret_runs = malloc(e->values * sizeof(*runs));
	if (!d->threads || !runs)
		return -ENOMEM;
	d->thread_count = e->values;
	struct aq_bytes b = aq_bytes_of(data, e->bytes);
	uint32_t pid = 0;
	uint64_t cgroup = 0, at = 0;
	for (uint32_t t = 0; t < e->values; t++) {
		pid = (uint32_t)(pid + aq_unzigzag(aq_bytes_varint(&b)));
		d->threads[t].pid = pid;
		d->threads[t].tid = (uint32_t)(pid + aq_unzigzag(aq_bytes_varint(&b)));
		cgroup += (uint64_t)aq_unzigzag(aq_bytes_varint(&b));
		d->threads[t].cgroup_id = cgroup;
		d->threads[t].abi = aq_bytes_u8(&b);
		uint64_t run = aq_bytes_varint(&b);
		if (b.failed || run > d->events - at)
			return bad(p, "the stream of threads is senseless");
		runs[t] = (uint32_t)run;
		for (uint64_t i = 0; i < run; i++)
			d->thread[at++] = t;
	}
	return at == d->events ? 0 : bad(p, "the threads do not cover all events");
}

/* Where the distances of times lie, as they are written now or as they were first. */
struct distances {
	const uint8_t *bits, *end; /* what sizes or classes leave open */
	unsigned __int128 hold;
	unsigned held;
};

/* The next n bits, at most 64; false when there are not as many. */
static inline bool take_bits(struct distances *o, unsigned n, uint64_t *ret_bits)
{
	for (; o->held < n; o->held += 8) {
		if (o->bits == o->end)
			return false;
		o->hold |= (unsigned __int128)*o->bits++ << o->held;
	}
	*ret_bits = n < 64 ? (uint64_t)o->hold & ((1ull << n) - 1) : (uint64_t)o->hold;
	o->hold >>= n;
	o->held -= n;
	return true;
}

static int open_bits(struct payload *p, const struct aq_stream_entry *e, struct distances *ret)
{
	int r = stream_bytes(p, e, &ret->bits);
	ret->end = r < 0 ? NULL : ret->bits + e->bytes;
	ret->hold = ret->held = 0;
	return r;
}

/* The entry that says in which units times are: of the streams written now, or of those written first; NULL: neither. */
static const struct aq_stream_entry *times_entry(const struct payload *p)
{
	const struct aq_stream_entry *e = find(p, AQ_STREAM_TIME_OPEN);
	return e ? e : find(p, AQ_STREAM_TIME_CLASS);
}

/* One class per event, in order. */
static int distances_of_classes(struct payload *p, const struct aq_stream_entry *e, struct aq_decoded *d)
{
	const struct aq_stream_entry *b = find(p, AQ_STREAM_TIME_BITS);
	struct distances o;
	const uint8_t *classes;
	if (!b || e->bytes != d->events)
		return bad(p, "there is no stream of times");
	int r = stream_bytes(p, e, &classes);
	r = r < 0 ? r : open_bits(p, b, &o);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < d->events; i++) {
		unsigned cls = classes[i];
		uint64_t open = 0;
		if (cls > 64)
			return bad(p, "a time is senseless");
		if (cls >= 2 && !take_bits(&o, cls - 1, &open))
			return bad(p, "the stream of times is cut");
		d->time_ns[i] = cls < 2 ? cls : 1ull << (cls - 1) | open;
	}
	return 0;
}

/* Where the sizes of each type begin: a stream has those of its type and of all before the next stream's. */
static int find_sizes(struct payload *p, const struct aq_decoded *d, const uint8_t **at)
{
	uint32_t *left = calloc(d->type_count + 1u, sizeof(*left)); /* events of each type */
	uint32_t next = 0;
	int r = left ? 0 : -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < d->events; i++)
		left[d->type[i]]++;
	for (uint32_t i = 0; r == 0 && i < p->stream_count; i++) {
		const struct aq_stream_entry *e = &p->streams[i];
		const uint8_t *data;
		if (e->stream != AQ_STREAM_TIME_SIZE)
			continue;
		r = e->type == next ? stream_bytes(p, e, &data) : bad(p, "the streams of times are not in order");
		uint32_t bytes = e->bytes;
		for (; r == 0 && bytes && next < d->type_count && left[next] <= bytes; next++) {
			at[next] = data;
			data += left[next];
			bytes -= left[next];
		}
		if (r == 0 && bytes)
			r = bad(p, "a stream has another number of values than its types");
	}
	free(left);
	return r < 0 || next == d->type_count ? r : bad(p, "there is no stream of times");
}

/* One size per event, by type. */
static int distances_of_sizes(struct payload *p, const struct aq_stream_entry *b, struct aq_decoded *d)
{
	const uint8_t **at = calloc(d->type_count + 1u, sizeof(*at));
	struct distances o;
	int r = at ? open_bits(p, b, &o) : -ENOMEM;
	r = r < 0 ? r : find_sizes(p, d, at);
	for (uint32_t i = 0; r == 0 && i < d->events; i++) {
		unsigned size = *at[d->type[i]]++, n = aq_time_size_open(size);
		uint64_t open = 0;
		if (n && !take_bits(&o, n, &open))
			r = bad(p, "the stream of times is cut");
		d->time_ns[i] = aq_time_of_size(size, open);
	}
	free(at);
	return r;
}

static int decode_times(struct payload *p, struct aq_decoded *d, const uint32_t *runs, uint64_t min_ns, uint64_t max_ns)
{
	const struct aq_stream_entry *e = times_entry(p);
	if (!e || e->sub > AQ_TIME_UNIT_MAX)
		return bad(p, "there is no stream of times");
	unsigned unit = e->sub;
	int r = e->stream == AQ_STREAM_TIME_OPEN ? distances_of_sizes(p, e, d) : distances_of_classes(p, e, d);
	for (uint32_t t = 0, i = 0; r == 0 && t < d->thread_count; t++) {
		uint64_t time = min_ns;
		for (uint32_t end = i + runs[t]; i < end; i++) {
			if (d->time_ns[i] > (max_ns - time) >> unit)
				return bad(p, "a time lies outside of the chunk");
			time += d->time_ns[i] << unit;
			d->time_ns[i] = time;
		}
	}
	return r;
}

/* Durations, where the chunk has any: 1 + ns in d->duration. Times are decoded. */
static int decode_durations(struct payload *p, struct aq_decoded *d, const uint32_t *runs, uint64_t min_ns)
{
	const struct aq_stream_entry *e = find(p, AQ_STREAM_DURATION_CLASS), *b = find(p, AQ_STREAM_DURATION_BITS);
	const uint8_t *classes, *bits;
	if (!e && !b)
		return 0;
	if (!e || !b || e->bytes != d->events || e->values != d->events || b->values != d->events)
		return bad(p, "its streams of durations do not belong together");
	int r = stream_bytes(p, e, &classes);
	r = r < 0 ? r : stream_bytes(p, b, &bits);
	if (r < 0)
		return r;
	unsigned unit = times_entry(p)->sub;
	uint64_t *values = d->duration = malloc((size_t)d->events * sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (uint32_t t = 0, i = 0; t < d->thread_count; t++) {
		uint64_t previous = min_ns;
		for (uint32_t end = i + runs[t]; i < end; i++) {
			values[i] = (d->time_ns[i] - previous) >> unit;
			previous = d->time_ns[i];
		}
	}
	if (!aq_durations_decode(classes, bits, b->bytes, values, values, d->events))
		return bad(p, "a stream of durations is senseless");
	for (uint32_t i = 0; i < d->events; i++) {
		if (!values[i])
			continue;
		if (values[i] - 1 > (UINT64_MAX - 1) >> unit)
			return bad(p, "a duration is senseless");
		values[i] = ((values[i] - 1) << unit) + 1;
	}
	return 0;
}

/* Whether a stream of a type is among those that were asked for one by one. */
static bool picked(const struct aq_decode_wish *wish, const struct aq_decoded *d, const struct aq_stream_entry *e)
{
	for (size_t i = 0; i < wish->pick_count; i++)
		if (wish->picks[i].stream == e->stream && wish->picks[i].sub == e->sub && wish->picks[i].id == d->types[e->type].id)
			return true;
	return false;
}

/* Rows grow at their ends: the last arguments of a call that have no stream were not in the writer's row. */
static void leave_out_newer(const struct payload *p, struct aq_decoded *d)
{
	for (uint32_t t = 0; t < d->type_count; t++)
		d->types[t].present = 0;
	for (uint32_t i = 0; i < p->stream_count; i++)
		if (p->streams[i].stream == AQ_STREAM_ARG && p->streams[i].type < d->type_count && p->streams[i].sub < AQ_EVENT_MAX_ARGS)
			d->types[p->streams[i].type].present |= 1u << p->streams[i].sub;
	for (uint32_t t = 0; t < d->type_count; t++) {
		struct aq_chunk_type *type = &d->types[t];
		while (type->schema && type->id < AQ_EVENT_ID_STATE && type->number_count > 0 &&
		       !(type->present >> (type->number_count - 1) & 1) &&
		       aq_type_width(type->schema->args[type->number_count - 1].type, false) != AQ_WIDTH_NONE)
			type->number_count--;
	}
}

static int decode_values(struct payload *p, struct aq_decoded *d, const struct aq_decode_wish *wish)
{
	int r = 0;
	leave_out_newer(p, d);
	for (uint32_t i = 0; r == 0 && i < p->stream_count; i++) {
		const struct aq_stream_entry *e = &p->streams[i];
		if (e->stream != AQ_STREAM_RET && e->stream != AQ_STREAM_ARG && e->stream != AQ_STREAM_NR)
			continue;
		if (e->type >= d->type_count || e->sub >= AQ_EVENT_MAX_ARGS)
			return bad(p, "a stream belongs to no type");
		if (!(wish->what & AQ_DECODE_VALUES) && !(wish->what & AQ_COL_RET && e->stream == AQ_STREAM_RET) && !picked(wish, d, e))
			continue;
		struct aq_chunk_type *type = &d->types[e->type];
		uint64_t **to = e->stream == AQ_STREAM_RET ? &type->ret : e->stream == AQ_STREAM_NR ? &type->nr : &type->numbers[e->sub];
		r = column(p, e, type->events, to);
	}
	return r;
}

static int decode_extra(struct payload *p, const struct aq_stream_entry *e, struct aq_chunk_attr_column *a, uint32_t events)
{
	const uint8_t *data;
	int r = stream_bytes(p, e, &data);
	if (r < 0)
		return r;
	if (e->values > events || a->extra_count)
		return bad(p, "attribute flags are senseless");
	a->extra_at = malloc((size_t)e->values * sizeof(*a->extra_at) + 8);
	a->extra_true_len = malloc((size_t)e->values * sizeof(*a->extra_true_len) + 8);
	a->extra_flags = malloc((size_t)e->values * sizeof(*a->extra_flags) + 8);
	if (!a->extra_at || !a->extra_true_len || !a->extra_flags)
		return -ENOMEM;
	struct aq_bytes b = aq_bytes_of(data, e->bytes);
	uint32_t at = 0;
	for (uint32_t i = 0; i < e->values; i++) {
		at += (uint32_t)aq_bytes_varint(&b);
		a->extra_at[i] = at;
		a->extra_flags[i] = (uint16_t)aq_bytes_varint(&b);
		a->extra_true_len[i] = (uint32_t)aq_bytes_varint(&b);
	}
	a->extra_count = e->values;
	return b.failed ? bad(p, "attribute flags are cut") : 0;
}

static int decode_attrs(struct payload *p, struct aq_decoded *d, const struct aq_decode_wish *wish)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < p->stream_count; i++) {
		const struct aq_stream_entry *e = &p->streams[i];
		if (e->stream != AQ_STREAM_ATTR_ID && e->stream != AQ_STREAM_ATTR_EXTRA)
			continue;
		if (e->type >= d->type_count || e->sub == 0 || e->sub >= AQ_ATTR_KEY_MAX)
			return bad(p, "an attribute belongs to no type");
		if (!(wish->what & AQ_DECODE_ATTRS) && !picked(wish, d, e))
			continue;
		struct aq_chunk_type *type = &d->types[e->type];
		struct aq_chunk_attr_column *a = NULL;
		for (unsigned k = 0; k < type->attr_count; k++)
			if (type->attrs[k].key == e->sub)
				a = &type->attrs[k];
		if (e->stream == AQ_STREAM_ATTR_ID) {
			if (a)
				return bad(p, "an attribute stands twice");
			if (!type->attrs && !(type->attrs = calloc(AQ_ATTR_KEY_MAX, sizeof(*type->attrs))))
				return -ENOMEM;
			a = &type->attrs[type->attr_count++];
			a->key = e->sub;
			r = column(p, e, type->events, &a->ids);
		} else {
			r = a ? decode_extra(p, e, a, type->events) : bad(p, "attribute flags come before their attribute");
		}
	}
	return r;
}

static int allocate(struct aq_decoded *d, const struct aq_zone *z, unsigned what)
{
	d->events = z->events;
	d->type_count = z->type_count;
	d->types = calloc(z->type_count, sizeof(*d->types));
	if (!d->types)
		return -ENOMEM;
	if (!(what & AQ_DECODE_COUNTS) && !(d->type = malloc(z->events * sizeof(*d->type))))
		return -ENOMEM;
	if ((what & (AQ_COL_THREAD | AQ_COL_TIME)) && !(d->thread = malloc(z->events * sizeof(*d->thread))))
		return -ENOMEM;
	if ((what & AQ_COL_TIME) && !(d->time_ns = malloc(z->events * sizeof(*d->time_ns))))
		return -ENOMEM;
	if ((what & (AQ_COL_RET | AQ_DECODE_VALUES | AQ_DECODE_ATTRS | AQ_DECODE_PICKS)) &&
	    !(d->ordinal = malloc(z->events * sizeof(*d->ordinal))))
		return -ENOMEM;
	for (uint32_t t = 0; t < z->type_count; t++) {
		struct aq_chunk_type *type = &d->types[t];
		type->id = (uint16_t)(z->types[2 * t] | (unsigned)z->types[2 * t + 1] << 8);
		type->schema = aq_schema_event(type->id);
		type->number_count = type->schema ? (uint8_t)aq_schema_number_count(type->schema) : 6;
	}
	return 0;
}

/* The attributes of a chunk whose numbers are there. */
static int decode_attr_block(struct aq_capture *c, uint32_t index, const struct aq_decode_wish *wish, struct aq_decoded *d,
			     struct payload *attrs)
{
	const struct aq_chunk_ref *ref = &c->refs[index];
	const struct aq_segment *s = &c->segments[c->chunks[index].segment];
	int r = payload_load(attrs, c, s, &ref->attrs, wish->what & AQ_DECODE_ATTRS);
	r = r < 0 ? r : parse(attrs, 0);
	r = r < 0 ? r : decode_attrs(attrs, d, wish);
	if (r == -EBADMSG) { /* the numbers are whole: go on without the texts */
		aq_capture_damage(c, s, ref->attrs.offset, AQ_BLOCK_HEADER_BYTES + ref->attrs.payload_bytes,
				  c->chunks[index].min_ns, c->chunks[index].max_ns, "block %llu (attributes): %s",
				  (unsigned long long)ref->attrs.number, attrs->why);
		for (uint32_t t = 0; t < d->type_count; t++)
			d->types[t].attr_count = 0;
		d->attrs_lost = true;
		return 0;
	}
	if (r == 0 && wish->what & AQ_DECODE_ATTRS)
		r = aq_strings_get(c, c->chunks[index].segment, ref->generation, &d->strings);
	return r;
}

static int decode(struct aq_capture *c, uint32_t index, const struct aq_decode_wish *wish, struct aq_decoded *d,
		  struct payload *main, struct payload *attrs, uint32_t **ret_runs)
{
	unsigned what = wish->what | (wish->what & AQ_COL_DURATION ? AQ_COL_TIME : 0u);
	const struct aq_chunk_ref *ref = &c->refs[index];
	const struct aq_segment *s = &c->segments[c->chunks[index].segment];
	struct aq_zone zone;
	int r = payload_load(main, c, s, &ref->chunk, what & AQ_DECODE_VALUES);
	if (r < 0)
		return r;
	struct aq_bytes b = aq_bytes_of(main->buf.data, main->buf.len);
	if (!aq_zone_read(&b, &zone) || zone.events != c->chunks[index].events)
		return bad(main, "its zone map is senseless");
	r = allocate(d, &zone, what);
	r = r < 0 ? r : parse(main, (size_t)(b.p - main->buf.data));
	r = r < 0 ? r : what & AQ_DECODE_COUNTS ? count_types(main, d) : decode_types(main, d);
	if (r == 0 && (what & (AQ_COL_THREAD | AQ_COL_TIME)))
		r = decode_threads(main, d, ret_runs);
	if (r == 0 && (what & AQ_COL_TIME))
		r = decode_times(main, d, *ret_runs, zone.min_ns, zone.max_ns);
	if (r == 0 && (what & AQ_COL_DURATION))
		r = decode_durations(main, d, *ret_runs, zone.min_ns);
	const struct aq_stream_entry *e;
	if (r == 0 && (what & AQ_COL_CPU))
		r = (e = find(main, AQ_STREAM_CPU)) ? column(main, e, d->events, &d->cpu) : bad(main, "there is no stream of processors");
	if (r == 0 && (what & (AQ_DECODE_VALUES | AQ_DECODE_FLAGS)))
		r = (e = find(main, AQ_STREAM_FLAGS)) ? column(main, e, d->events, &d->flags) : bad(main, "there is no stream of flags");
	if (r == 0 && (what & (AQ_DECODE_VALUES | AQ_COL_RET | AQ_DECODE_PICKS)))
		r = decode_values(main, d, wish);
	d->attrs_lost = ref->attrs_lost;
	if (r == 0 && (what & AQ_DECODE_ATTRS || wish->attr_picks) && ref->attrs.kind)
		r = decode_attr_block(c, index, wish, d, attrs);
	return r;
}

int aq_decode_chunk(struct aq_capture *c, uint32_t index, unsigned what, struct aq_decoded **ret_decoded, struct aq_err *err)
{
	return aq_decode_wished(c, index, &(struct aq_decode_wish){ .what = what }, ret_decoded, err);
}

int aq_decode_wished(struct aq_capture *c, uint32_t index, const struct aq_decode_wish *wish, struct aq_decoded **ret_decoded,
		     struct aq_err *err)
{
	struct payload main = { 0 }, attrs = { 0 };
	uint32_t *runs = NULL;
	struct aq_decoded *d = calloc(1, sizeof(*d));
	if (!d)
		return aq_err_set(err, -ENOMEM, "out of memory");
	aq_buf_init(&main.buf, AQ_BLOCK_PAYLOAD_MAX);
	aq_buf_init(&attrs.buf, AQ_BLOCK_PAYLOAD_MAX);
	int r = decode(c, index, wish, d, &main, &attrs, &runs);
	payload_release(&main);
	payload_release(&attrs);
	free(runs);
	if (r < 0) {
		const struct aq_chunk_info *info = &c->chunks[index];
		if (r == -EBADMSG)
			aq_capture_damage(c, &c->segments[info->segment], info->offset, AQ_BLOCK_HEADER_BYTES + info->bytes,
					  info->min_ns, info->max_ns, "block %llu (chunk): %s",
					  (unsigned long long)c->refs[index].chunk.number, main.why);
		aq_decoded_free(d);
		return aq_err_set(err, r, r == -EBADMSG ? "chunk %u is damaged" : "chunk %u: out of memory", index);
	}
	*ret_decoded = d;
	return 0;
}

void aq_decoded_free(struct aq_decoded *d)
{
	if (!d)
		return;
	for (uint32_t t = 0; d->types && t < d->type_count; t++) {
		struct aq_chunk_type *type = &d->types[t];
		free(type->ret);
		free(type->nr);
		for (unsigned i = 0; i < AQ_EVENT_MAX_ARGS; i++)
			free(type->numbers[i]);
		for (unsigned i = 0; type->attrs && i < AQ_ATTR_KEY_MAX; i++) {
			free(type->attrs[i].ids);
			free(type->attrs[i].extra_at);
			free(type->attrs[i].extra_true_len);
			free(type->attrs[i].extra_flags);
		}
		free(type->attrs);
	}
	free(d->types);
	free(d->threads);
	free(d->type);
	free(d->thread);
	free(d->ordinal);
	free(d->time_ns);
	free(d->cpu);
	free(d->flags);
	free(d->duration);
	aq_strings_unref(d->strings);
	free(d);
}

static void extra_of(const struct aq_chunk_attr_column *a, uint32_t ordinal, struct aq_attr *attr)
{
	uint32_t low = 0, high = a->extra_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (a->extra_at[middle] < ordinal)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < a->extra_count && a->extra_at[low] == ordinal) {
		attr->flags = a->extra_flags[low];
		attr->true_len = a->extra_true_len[low];
	}
}

void aq_decoded_event(const struct aq_decoded *d, uint32_t i, bool with_attrs, struct aq_event *ev)
{
	const struct aq_chunk_type *type = &d->types[d->type[i]];
	const struct aq_chunk_thread_row *thread = &d->threads[d->thread[i]];
	uint32_t k = d->ordinal[i];
	ev->time_ns = d->time_ns[i];
	ev->cgroup_id = thread->cgroup_id;
	ev->ret = type->ret ? (int64_t)type->ret[k] : 0;
	ev->pid = thread->pid;
	ev->tid = thread->tid;
	ev->nr = type->nr ? (uint32_t)type->nr[k] : 0;
	ev->id = type->schema ? type->id : 0;
	ev->cpu = (uint16_t)d->cpu[i];
	ev->abi = thread->abi;
	ev->cls = type->schema ? (uint8_t)type->schema->cls : AQ_CLASS_ORDINARY;
	ev->flags = (uint8_t)d->flags[i];
	ev->has_duration = d->duration && d->duration[i];
	ev->duration_ns = ev->has_duration ? d->duration[i] - 1 : 0;
	ev->arg_count = type->number_count;
	for (unsigned a = 0; a < type->number_count; a++)
		ev->args[a] = type->numbers[a] ? type->numbers[a][k] : 0;
	ev->attr_count = 0;
	for (unsigned a = 0; with_attrs && a < type->attr_count && ev->attr_count < AQ_EVENT_MAX_ATTRS; a++) {
		const struct aq_chunk_attr_column *column_of = &type->attrs[a];
		uint64_t id = column_of->ids[k];
		if (!id)
			continue;
		struct aq_attr *attr = &ev->attrs[ev->attr_count];
		uint32_t len = 0;
		const void *data = aq_strings_at(d->strings, id - 1, &len);
		if (!data) { /* its dictionary block is damaged */
			ev->flags |= AQ_EVF_DEGRADED;
			continue;
		}
		*attr = (struct aq_attr){ .key = column_of->key, .data = data, .len = len };
		if (column_of->extra_count)
			extra_of(column_of, k, attr);
		ev->attr_count++;
	}
	if (with_attrs && d->attrs_lost)
		ev->flags |= AQ_EVF_DEGRADED;
}
