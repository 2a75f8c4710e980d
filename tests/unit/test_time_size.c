/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/* Distances between times come back from their sizes and open bits, at every edge. */
#include "format/segment/time_size.h"

#include "tests/unit/aq_test.h"

static uint64_t back_from(uint64_t distance)
{
	unsigned size = aq_time_size(distance), open = aq_time_size_open(size);

	AQ_CHECK(size <= AQ_TIME_SIZE_WHOLE && open <= 64);
	return aq_time_of_size(size, open < 64 ? distance & ((1ull << open) - 1) : distance);
}

AQ_TEST(small_ones_are_exact)
{
	for (uint64_t i = 0; i < 100000; i++)
		AQ_CHECK_EQ_U64(back_from(i), i);
	AQ_CHECK_EQ_U64(aq_time_size(15), 15);
	AQ_CHECK_EQ_U64(aq_time_size(16), 16);
	AQ_CHECK_EQ_U64(aq_time_size_open(15), 0);
	AQ_CHECK_EQ_U64(aq_time_size_open(16), 1);
}

AQ_TEST(edges_of_all_sizes)
{
	unsigned before = 0;

	for (unsigned bits = 5; bits <= 64; bits++)
		for (uint64_t top = 8; top < 16; top++) {
			uint64_t first = top << (bits - 4), last = first | ((1ull << (bits - 4)) - 1);

			AQ_CHECK_EQ_U64(back_from(first), first);
			AQ_CHECK_EQ_U64(back_from(last), last);
			AQ_CHECK_EQ_U64(aq_time_size(first), aq_time_size(last));
			AQ_CHECK(before == AQ_TIME_SIZE_WHOLE || aq_time_size(first) == (before ? before + 1 : 16));
			before = aq_time_size(first);
		}
	/* the last size that is not all bits: 34 of them, led by 1110 */
	AQ_CHECK_EQ_U64(aq_time_size((15ull << 30) - 1), AQ_TIME_SIZE_WHOLE - 1);
	AQ_CHECK_EQ_U64(aq_time_size(15ull << 30), AQ_TIME_SIZE_WHOLE);
	AQ_CHECK_EQ_U64(back_from(UINT64_MAX), UINT64_MAX);
}

AQ_TEST_MAIN()
