/* SPDX-License-Identifier: Apache-2.0 */
/* Growable buffer and bounded reader; see buf.h. */
#include "format/base/buf.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 256 };

void aq_buf_init(struct aq_buf *b, size_t max)
{
	*b = (struct aq_buf){ .max = max };
}

void aq_buf_release(struct aq_buf *b)
{
	free(b->data);
	*b = (struct aq_buf){ 0 };
}

uint8_t *aq_buf_reserve(struct aq_buf *b, size_t n)
{
	if (b->failed || n > b->max - b->len) {
		b->failed = true;
		return NULL;
	}
	size_t need = b->len + n;
	if (need > b->capacity || !b->data) {
		size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
		while (capacity < need)
			capacity = capacity > b->max / 2 ? b->max : capacity * 2;
		if (capacity < FIRST_CAPACITY)
			capacity = FIRST_CAPACITY;
		uint8_t *data = realloc(b->data, capacity);
		if (!data) {
			b->failed = true;
			return NULL;
		}
		b->data = data;
		b->capacity = capacity;
	}
	return b->data + b->len;
}

void aq_buf_put(struct aq_buf *b, const void *data, size_t n)
{
	uint8_t *to = aq_buf_reserve(b, n);
	if (!to || !n)
		return;
	memcpy(to, data, n);
	b->len += n;
}

static void put_le(struct aq_buf *b, uint64_t v, unsigned n)
{
	uint8_t bytes[8];
	for (unsigned i = 0; i < n; i++)
		bytes[i] = (uint8_t)(v >> (8 * i));
	aq_buf_put(b, bytes, n);
}

void aq_buf_put_u8(struct aq_buf *b, uint8_t v)
{
	put_le(b, v, 1);
}

void aq_buf_put_u16(struct aq_buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void aq_buf_put_u32(struct aq_buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void aq_buf_put_u64(struct aq_buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void aq_buf_put_varint(struct aq_buf *b, uint64_t v)
{
	uint8_t bytes[10];
	unsigned n = 0;
	while (v >= 0x80) {
		bytes[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	bytes[n++] = (uint8_t)v;
	aq_buf_put(b, bytes, n);
}

void aq_buf_pad8(struct aq_buf *b)
{
	static const uint8_t zeros[8];
	aq_buf_put(b, zeros, -b->len & 7);
}

const uint8_t *aq_bytes_take(struct aq_bytes *r, size_t n)
{
	if (r->failed || n > aq_bytes_left(r)) {
		r->failed = true;
		return NULL;
	}
	const uint8_t *p = r->p;
	r->p += n;
	return p;
}

static uint64_t take_le(struct aq_bytes *r, unsigned n)
{
	const uint8_t *p = aq_bytes_take(r, n);
	uint64_t v = 0;
	for (unsigned i = 0; p && i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint8_t aq_bytes_u8(struct aq_bytes *r)
{
	return (uint8_t)take_le(r, 1);
}

uint16_t aq_bytes_u16(struct aq_bytes *r)
{
	return (uint16_t)take_le(r, 2);
}

uint32_t aq_bytes_u32(struct aq_bytes *r)
{
	return (uint32_t)take_le(r, 4);
}

uint64_t aq_bytes_u64(struct aq_bytes *r)
{
	return take_le(r, 8);
}

uint64_t aq_bytes_varint(struct aq_bytes *r)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (r->failed || r->p == r->end)
			break;
		uint8_t byte = *r->p++;
		if (shift == 63 && byte > 1)
			break; /* more than 64 bits */
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	r->failed = true;
	return 0;
}
