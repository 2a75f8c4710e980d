/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durations as classes, which compress well, and the bits below, which do not. Of a call that fills most of the time since
 * the thread's previous event (a blocking read, a loop of calls) what is left of that time is kept instead: it is the
 * smaller number. See FORMAT.md 7.3.
 */
#include "format/segment/layout.h"

enum {
	CLASS_UNKNOWN = 0,
	CLASS_DURATION = 1, /* + the size of the duration */
	CLASS_REST = 129,   /* + the size of the distance less the duration */
	SIZE_REST_MAX = 255 - CLASS_REST,
};

/* A number's size is the position of its two leading bits: 0 to 3 stand for themselves, then two sizes for each power of
 * two; size / 2 - 1 bits lie below. */
static unsigned size_of(uint64_t v)
{
	if (v < 4)
		return (unsigned)v;
	unsigned bits = 64u - (unsigned)__builtin_clzll(v);
	return 2 * bits - 2 + (unsigned)(v >> (bits - 2) & 1);
}

static unsigned bits_below(unsigned size)
{
	return size < 4 ? 0 : size / 2 - 1;
}

void aq_durations_encode(const uint64_t *distance, const uint64_t *duration, uint32_t count, struct aq_buf *classes,
			 struct aq_buf *bits)
{
	uint8_t *cls = aq_buf_reserve(classes, count), *to = aq_buf_reserve(bits, (size_t)count * 8 + 16), *start = to;
	if (!cls || !to)
		return; /* the buffers say so */
	unsigned __int128 hold = 0;
	unsigned held = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (!duration[i]) {
			cls[i] = CLASS_UNKNOWN;
			continue;
		}
		uint64_t value = duration[i] - 1, rest = distance[i] - value;
		unsigned first = CLASS_DURATION, size = size_of(value);
		if (distance[i] >= value && rest < value && size_of(rest) <= SIZE_REST_MAX) {
			first = CLASS_REST;
			value = rest;
			size = size_of(rest);
		}
		unsigned below = bits_below(size);
		cls[i] = (uint8_t)(first + size);
		hold |= (unsigned __int128)(value & ((1ull << below) - 1)) << held;
		for (held += below; held >= 8; held -= 8) {
			*to++ = (uint8_t)hold;
			hold >>= 8;
		}
	}
	if (held)
		*to++ = (uint8_t)hold;
	classes->len += count;
	bits->len += (size_t)(to - start);
}

bool aq_durations_decode(const uint8_t *classes, const uint8_t *bits, size_t bit_bytes, const uint64_t *distance,
			 uint64_t *duration, uint32_t count)
{
	const uint8_t *end = bits + bit_bytes;
	unsigned __int128 hold = 0;
	unsigned held = 0;
	for (uint32_t i = 0; i < count; i++) {
		unsigned cls = classes[i];
		if (cls == CLASS_UNKNOWN) {
			duration[i] = 0;
			continue;
		}
		unsigned size = cls - (cls < CLASS_REST ? CLASS_DURATION : CLASS_REST), below = bits_below(size);
		for (; held < below; held += 8) {
			if (bits == end)
				return false;
			hold |= (unsigned __int128)*bits++ << held;
		}
		uint64_t value = size < 4 ? size : (uint64_t)(2 | (size & 1)) << below | ((uint64_t)hold & ((1ull << below) - 1));
		hold >>= below;
		held -= below;
		if (cls >= CLASS_REST) {
			if (value > distance[i])
				return false;
			value = distance[i] - value;
		}
		if (value == UINT64_MAX)
			return false;
		duration[i] = value + 1;
	}
	return bits == end && hold == 0;
}
