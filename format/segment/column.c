/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A column of 64-bit values becomes bytes that zstd then compresses: the encoding is chosen by looking at the values.
 * Differences are taken modulo 2^64, so signed and unsigned values go the same way.
 */
#include "format/segment/layout.h"

enum { DISTINCT_MAX = 256, SLOTS = 1024, DICT_COUNT_MIN = 16 };

/* Distinct values in order of appearance; stops and returns false at the 257th. index may be NULL. */
static bool find_distinct(const uint64_t *values, uint32_t count, uint64_t distinct[DISTINCT_MAX], uint32_t *ret_count,
			  uint8_t *index)
{
	uint16_t slots[SLOTS] = { 0 };
	uint32_t n = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t slot = (uint32_t)((values[i] * 0x9e3779b97f4a7c15ull) >> 54);
		while (slots[slot] && distinct[slots[slot] - 1] != values[i])
			slot = (slot + 1) % SLOTS;
		if (!slots[slot]) {
			if (n == DISTINCT_MAX)
				return false;
			distinct[n] = values[i];
			slots[slot] = (uint16_t)++n;
		}
		if (index)
			index[i] = (uint8_t)(slots[slot] - 1);
	}
	*ret_count = n;
	return true;
}

static unsigned varint_bytes(uint64_t v)
{
	unsigned bits = v ? 64u - (unsigned)__builtin_clzll(v) : 1;
	return (bits + 6) / 7;
}

static unsigned width_of(uint64_t span)
{
	return span < 256 ? 1 : span < 65536 ? 2 : span <= UINT32_MAX ? 4 : 8;
}

static void put_frame(const uint64_t *values, uint32_t count, uint64_t base, unsigned width, struct aq_buf *out)
{
	aq_buf_put_varint(out, aq_zigzag((int64_t)base));
	aq_buf_put_u8(out, (uint8_t)width);
	uint8_t *to = aq_buf_reserve(out, (size_t)count * width);
	if (!to)
		return;
	for (unsigned plane = 0; plane < width; plane++)
		for (uint32_t i = 0; i < count; i++)
			*to++ = (uint8_t)((values[i] - base) >> (8 * plane));
	out->len += (size_t)count * width;
}

/* Bytes that zigzag varints of the differences take. */
static uint64_t delta_size(const uint64_t *values, uint32_t count)
{
	uint64_t bytes = 0, previous = 0;
	for (uint32_t i = 0; i < count; i++) {
		bytes += varint_bytes(aq_zigzag((int64_t)(values[i] - previous)));
		previous = values[i];
	}
	return bytes;
}

enum aq_encoding aq_column_encode(const uint64_t *values, uint32_t count, struct aq_buf *out)
{
	int64_t low = (int64_t)values[0], high = low;
	for (uint32_t i = 0; i < count; i++) {
		int64_t v = (int64_t)values[i];
		low = v < low ? v : low;
		high = v > high ? v : high;
	}
	uint64_t span = (uint64_t)high - (uint64_t)low;
	if (span == 0) {
		aq_buf_put_varint(out, aq_zigzag(low));
		return AQ_ENC_CONST;
	}
	unsigned width = width_of(span);
	uint64_t delta_bytes = width > 1 ? delta_size(values, count) : UINT64_MAX / 4;
	uint64_t distinct[DISTINCT_MAX];
	uint32_t distinct_count = 0;
	if (width > 1 && count >= DICT_COUNT_MIN && find_distinct(values, count, distinct, &distinct_count, NULL) &&
	    distinct_count * 9u + count < delta_bytes + delta_bytes / 4) {
		aq_buf_put_varint(out, distinct_count);
		for (uint32_t i = 0; i < distinct_count; i++)
			aq_buf_put_varint(out, aq_zigzag((int64_t)distinct[i]));
		uint8_t *index = aq_buf_reserve(out, count);
		if (index) {
			find_distinct(values, count, distinct, &distinct_count, index);
			out->len += count;
		}
		return AQ_ENC_DICT;
	}
	if ((uint64_t)width * count <= delta_bytes + delta_bytes / 8) {
		put_frame(values, count, (uint64_t)low, width, out);
		return AQ_ENC_FRAME;
	}
	uint64_t previous = 0;
	for (uint32_t i = 0; i < count; i++) {
		aq_buf_put_varint(out, aq_zigzag((int64_t)(values[i] - previous)));
		previous = values[i];
	}
	return AQ_ENC_DELTA;
}

bool aq_column_decode(enum aq_encoding encoding, const uint8_t *data, size_t bytes, uint64_t *values, uint32_t count)
{
	struct aq_bytes r = aq_bytes_of(data, bytes);
	switch (encoding) {
	case AQ_ENC_CONST: {
		uint64_t v = (uint64_t)aq_unzigzag(aq_bytes_varint(&r));
		for (uint32_t i = 0; i < count; i++)
			values[i] = v;
		break;
	}
	case AQ_ENC_FRAME: {
		uint64_t base = (uint64_t)aq_unzigzag(aq_bytes_varint(&r));
		unsigned width = aq_bytes_u8(&r);
		if (width != 1 && width != 2 && width != 4 && width != 8)
			return false;
		const uint8_t *p = aq_bytes_take(&r, (size_t)count * width);
		if (!p)
			return false;
		for (uint32_t i = 0; i < count; i++)
			values[i] = base + p[i];
		for (unsigned plane = 1; plane < width; plane++)
			for (uint32_t i = 0; i < count; i++)
				values[i] += (uint64_t)p[(size_t)plane * count + i] << (8 * plane);
		break;
	}
	case AQ_ENC_DELTA: {
		uint64_t v = 0;
		for (uint32_t i = 0; i < count; i++)
			values[i] = v += (uint64_t)aq_unzigzag(aq_bytes_varint(&r));
		break;
	}
	case AQ_ENC_DICT: {
		uint64_t distinct[DISTINCT_MAX];
		uint64_t n = aq_bytes_varint(&r);
		if (n == 0 || n > DISTINCT_MAX)
			return false;
		for (uint64_t i = 0; i < n; i++)
			distinct[i] = (uint64_t)aq_unzigzag(aq_bytes_varint(&r));
		const uint8_t *p = aq_bytes_take(&r, count);
		if (!p)
			return false;
		for (uint32_t i = 0; i < count; i++) {
			if (p[i] >= n)
				return false;
			values[i] = distinct[p[i]];
		}
		break;
	}
	default:
		return false;
	}
	return !r.failed && r.p == r.end;
}
