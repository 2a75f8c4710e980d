/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strings of a dictionary generation, read once and shared by the chunks that need them. A block that can't be read
 * leaves a hole: its strings are missing, those of the others are not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "format/segment/capture.h"

enum { DICTIONARY_HEAD_BYTES = 16, MISSING = -1 };

static void free_strings(struct aq_strings *s)
{
	free(s->starts);
	free(s->lens);
	aq_buf_release(&s->bytes);
	free(s);
}

void aq_strings_unref(struct aq_strings *s)
{
	if (s && __atomic_sub_fetch(&s->references, 1, __ATOMIC_ACQ_REL) == 0)
		free_strings(s);
}

const void *aq_strings_at(const struct aq_strings *s, uint64_t id, uint32_t *ret_len)
{
	static const uint8_t nothing[1];
	if (id >= s->count || s->lens[id] == (uint32_t)MISSING)
		return NULL;
	*ret_len = s->lens[id];
	return s->lens[id] ? s->bytes.data + s->starts[id] : nothing;
}

/* Room for ids below count; new ones are missing until they are read. */
static int extend(struct aq_strings *s, uint32_t count)
{
	if (count > s->capacity) {
		uint32_t capacity = count < 512 ? 1024 : count * 2;
		uint64_t *starts = realloc(s->starts, (size_t)capacity * sizeof(*starts));
		if (starts)
			s->starts = starts;
		uint32_t *lens = realloc(s->lens, (size_t)capacity * sizeof(*lens));
		if (lens)
			s->lens = lens;
		if (!starts || !lens)
			return -ENOMEM;
		s->capacity = capacity;
	}
	while (s->count < count)
		s->lens[s->count++] = (uint32_t)MISSING;
	return 0;
}

/* The contents of one checked dictionary block. -EBADMSG when it is senseless; then nothing of it counts. */
static int take(struct aq_strings *s, const struct aq_dictionary_ref *ref, struct aq_bytes b, struct aq_buf *raw)
{
	if (ref->count > AQ_DICTIONARY_COUNT_MAX || ref->first > AQ_DICTIONARY_COUNT_MAX - ref->count)
		return -EBADMSG;
	size_t start = s->bytes.len;
	uint64_t total = 0;
	aq_bytes_take(&b, DICTIONARY_HEAD_BYTES - 4);
	uint32_t raw_bytes = aq_bytes_u32(&b);
	aq_buf_reset(raw);
	if (b.failed || raw_bytes > raw->max || ZSTD_getFrameContentSize(b.p, aq_bytes_left(&b)) != raw_bytes)
		return -EBADMSG;
	uint8_t *to = aq_buf_reserve(raw, (size_t)raw_bytes + 1);
	if (!to)
		return -ENOMEM;
	if (ZSTD_decompress(to, raw_bytes, b.p, aq_bytes_left(&b)) != raw_bytes)
		return -EBADMSG;
	struct aq_bytes check = aq_bytes_of(to, raw_bytes), lengths = check;
	for (uint32_t k = 0; k < ref->count && total <= raw_bytes; k++)
		total += aq_bytes_varint(&check);
	if (check.failed || total != aq_bytes_left(&check))
		return -EBADMSG;
	int r = extend(s, ref->first + ref->count);
	if (r < 0)
		return r;
	aq_buf_put(&s->bytes, check.p, total);
	if (s->bytes.failed)
		return -ENOMEM;
	for (uint32_t k = 0; k < ref->count; k++) {
		uint32_t len = (uint32_t)aq_bytes_varint(&lengths);
		s->starts[ref->first + k] = start;
		s->lens[ref->first + k] = len;
		start += len;
	}
	return 0;
}

/* Which generation a block belongs to, read without its checksum: who trusts it loads the block, which checks. */
static bool peek(struct aq_capture *c, const struct aq_segment *seg, struct aq_dictionary_ref *ref, struct aq_buf *buf)
{
	uint8_t head[DICTIONARY_HEAD_BYTES];
	char why[128];
	if (ref->peeked)
		return true;
	if (seg->sealed) { /* its beginning alone can't be decrypted */
		if (aq_block_load(c, seg, &ref->block, buf, why) < 0 || buf->len < sizeof(head))
			return false;
		memcpy(head, buf->data, sizeof(head));
	} else if (ref->block.payload_bytes < sizeof(head) ||
	    aq_segment_read(seg, head, sizeof(head), ref->block.offset + AQ_BLOCK_HEADER_BYTES) < 0)
		return false;
	struct aq_bytes r = aq_bytes_of(head, sizeof(head));
	ref->generation = aq_bytes_u32(&r);
	ref->first = aq_bytes_u32(&r);
	ref->count = aq_bytes_u32(&r);
	ref->peeked = true;
	return true;
}

/* A dictionary block that can't be read: what it can hide are texts of the chunks that follow in its generation. */
static void note_damage(struct aq_capture *c, uint32_t segment, const struct aq_block *block, const char *why)
{
	uint64_t first = UINT64_MAX, last = 0;
	const struct aq_chunk_ref *next = NULL;
	for (size_t i = 0; i < c->chunk_count; i++) {
		if (c->chunks[i].segment != segment || c->refs[i].chunk.offset < block->offset)
			continue;
		next = next ? next : &c->refs[i];
		if (c->refs[i].generation != next->generation)
			break;
		first = c->chunks[i].min_ns < first ? c->chunks[i].min_ns : first;
		last = c->chunks[i].max_ns > last ? c->chunks[i].max_ns : last;
	}
	aq_capture_damage(c, &c->segments[segment], block->offset, AQ_BLOCK_HEADER_BYTES + block->payload_bytes, first, last,
			  "block %llu (strings): %s", (unsigned long long)block->number, why);
}

/* Checks every dictionary block of a segment, once: after strings were found missing, one of them may say why. */
static int check_all(struct aq_capture *c, uint32_t segment, struct aq_buf *buf)
{
	struct aq_segment *seg = &c->segments[segment];
	for (size_t i = 0; i < seg->dictionary_count && !seg->dictionaries_checked; i++) {
		char why[128];
		int r = aq_block_load(c, seg, &seg->dictionaries[i].block, buf, why);
		if (r == -EBADMSG)
			note_damage(c, segment, &seg->dictionaries[i].block, why);
		else if (r < 0)
			return r;
	}
	seg->dictionaries_checked = true;
	return 0;
}

static int load(struct aq_capture *c, uint32_t segment, uint32_t generation, struct aq_strings *s)
{
	struct aq_segment *seg = &c->segments[segment];
	struct aq_buf buf, raw;
	uint32_t expected = 0;
	bool hole = false;
	int r = 0;
	aq_buf_init(&buf, AQ_BLOCK_PAYLOAD_MAX);
	aq_buf_init(&raw, AQ_DICTIONARY_BYTES_MAX + AQ_DICTIONARY_COUNT_MAX * 10ull);
	for (size_t i = 0; r == 0 && i < seg->dictionary_count; i++) {
		struct aq_dictionary_ref *ref = &seg->dictionaries[i];
		char why[128] = "its contents are senseless";
		if (!peek(c, seg, ref, &buf)) {
			hole = true;
			continue;
		}
		if (ref->generation != generation)
			continue;
		hole = hole || ref->first != expected;
		r = aq_block_load(c, seg, &ref->block, &buf, why);
		r = r < 0 ? r : take(s, ref, aq_bytes_of(buf.data, buf.len), &raw);
		if (r == -EBADMSG) {
			note_damage(c, segment, &ref->block, why);
			r = 0;
		}
		expected = s->count;
	}
	for (size_t i = 0; i < c->chunk_count && !hole; i++)
		hole = c->chunks[i].segment == segment && c->refs[i].generation == generation && c->refs[i].dictionary_count > s->count;
	if (r == 0 && hole)
		r = check_all(c, segment, &buf);
	aq_buf_release(&buf);
	aq_buf_release(&raw);
	return r;
}

int aq_strings_get(struct aq_capture *c, uint32_t segment, uint32_t generation, struct aq_strings **ret_strings)
{
	struct aq_strings *s = NULL;
	int r = 0;
	pthread_mutex_lock(&c->strings_lock);
	for (unsigned i = 0; i < AQ_STRINGS_CACHED && !s; i++)
		if (c->strings_cache[i] && c->strings_cache[i]->segment == segment && c->strings_cache[i]->generation == generation)
			s = c->strings_cache[i];
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (s) {
			*s = (struct aq_strings){ .segment = segment, .generation = generation, .references = 1 };
			aq_buf_init(&s->bytes, AQ_DICTIONARY_BYTES_MAX);
			r = load(c, segment, generation, s);
		} else {
			r = -ENOMEM;
		}
		if (r < 0) {
			aq_strings_unref(s);
		} else {
			struct aq_strings **slot = &c->strings_cache[c->strings_next++ % AQ_STRINGS_CACHED];
			aq_strings_unref(*slot);
			*slot = s;
		}
	}
	if (r == 0) {
		__atomic_add_fetch(&s->references, 1, __ATOMIC_RELAXED);
		*ret_strings = s;
	}
	pthread_mutex_unlock(&c->strings_lock);
	return r;
}
