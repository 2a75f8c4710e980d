/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The size of a distance between two times: eight sizes for each power of two, so that what is left open is as good as
 * random and what is not compresses well. See FORMAT.md 7.3. Private to this folder.
 */
#ifndef AQ_FORMAT_SEGMENT_TIME_SIZE_H
#define AQ_FORMAT_SEGMENT_TIME_SIZE_H

#include <stdint.h>

enum {
	AQ_TIME_SIZE_EXACT = 16,  /* distances below stand for themselves */
	AQ_TIME_SIZE_WHOLE = 255, /* all 64 bits of the distance follow */
};

/* How many bits a size leaves open. */
static inline unsigned aq_time_size_open(unsigned size)
{
	return size < AQ_TIME_SIZE_EXACT ? 0 : size == AQ_TIME_SIZE_WHOLE ? 64 : (size >> 3) - 1;
}

static inline unsigned aq_time_size(uint64_t distance)
{
	if (distance < AQ_TIME_SIZE_EXACT)
		return (unsigned)distance;
	unsigned bits = 64u - (unsigned)__builtin_clzll(distance);
	unsigned size = (bits - 3) << 3 | ((unsigned)(distance >> (bits - 4)) & 7);
	return size < AQ_TIME_SIZE_WHOLE ? size : AQ_TIME_SIZE_WHOLE;
}

/* The distance of a size and the bits that it left open. */
static inline uint64_t aq_time_of_size(unsigned size, uint64_t open)
{
	if (size < AQ_TIME_SIZE_EXACT)
		return size;
	return size == AQ_TIME_SIZE_WHOLE ? open : (uint64_t)(8 | (size & 7)) << ((size >> 3) - 1) | open;
}

#endif
