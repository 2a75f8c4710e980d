/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer with a maximum, and a bounded reader over borrowed bytes. Both remember that they failed, so
 * that a sequence of calls is checked once at its end. Integers are little-endian; varints are LEB128.
 * Not thread-safe; a buffer owns its bytes, a reader borrows them.
 */
#ifndef AQ_FORMAT_BASE_BUF_H
#define AQ_FORMAT_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct aq_buf {
	uint8_t *data;
	size_t len, capacity, max;
	bool failed; /* out of memory, or beyond max: nothing more is appended */
};

void aq_buf_init(struct aq_buf *b, size_t max);
void aq_buf_release(struct aq_buf *b);
static inline void aq_buf_reset(struct aq_buf *b)
{
	b->len = 0;
	b->failed = false;
}
/* Room for n more bytes at data + len; NULL (and failed) if it can't be had. len is not changed. */
uint8_t *aq_buf_reserve(struct aq_buf *b, size_t n);
void aq_buf_put(struct aq_buf *b, const void *data, size_t n);
void aq_buf_put_u8(struct aq_buf *b, uint8_t v);
void aq_buf_put_u16(struct aq_buf *b, uint16_t v);
void aq_buf_put_u32(struct aq_buf *b, uint32_t v);
void aq_buf_put_u64(struct aq_buf *b, uint64_t v);
void aq_buf_put_varint(struct aq_buf *b, uint64_t v);
void aq_buf_pad8(struct aq_buf *b); /* zeros up to a multiple of 8 */

static inline uint64_t aq_zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int64_t aq_unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

struct aq_bytes { /* a reader */
	const uint8_t *p, *end;
	bool failed; /* something was asked for beyond the end: all further values are 0 */
};
static inline struct aq_bytes aq_bytes_of(const void *data, size_t n)
{
	return (struct aq_bytes){ data, (const uint8_t *)data + n, false };
}
static inline size_t aq_bytes_left(const struct aq_bytes *r)
{
	return (size_t)(r->end - r->p);
}
/* n bytes, borrowed; NULL (and failed) if there are fewer. */
const uint8_t *aq_bytes_take(struct aq_bytes *r, size_t n);
uint8_t aq_bytes_u8(struct aq_bytes *r);
uint16_t aq_bytes_u16(struct aq_bytes *r);
uint32_t aq_bytes_u32(struct aq_bytes *r);
uint64_t aq_bytes_u64(struct aq_bytes *r);
uint64_t aq_bytes_varint(struct aq_bytes *r);

#endif
