/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * A column of any bytes in any encoding; and the input taken as values, which must come back from what the encoder makes
 * of them, whatever encoding it chose. Input: u8 encoding, u16 count, bytes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "format/segment/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(const uint64_t *values, uint32_t count)
{
	struct aq_buf out;
	uint64_t *back = malloc(count * sizeof(*back));
	aq_buf_init(&out, 1 << 24);
	enum aq_encoding encoding = aq_column_encode(values, count, &out);
	if (!back || out.failed || !aq_column_decode(encoding, out.data, out.len, back, count) ||
	    memcmp(values, back, count * sizeof(*back)) != 0) {
		fprintf(stderr, "%u values do not come back from encoding %d\n", count, (int)encoding);
		abort();
	}
	free(back);
	aq_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4 || size > 1 << 16)
		return 0;
	uint32_t count = (data[1] | (uint32_t)data[2] << 8) % 5000 + 1;
	uint64_t *values = calloc(count + size, sizeof(*values));
	if (!values)
		return 0;
	aq_column_decode(data[0], data + 3, size - 3, values, count);
	unsigned width = 1u << (data[0] & 3); /* bytes of a value in the input */
	count = (uint32_t)((size - 3) / width);
	for (uint32_t i = 0; i < count; i++) {
		values[i] = 0;
		memcpy(&values[i], data + 3 + (size_t)i * width, width);
		values[i] *= data[0] & 4 ? 0x100000001ull : 1;
	}
	if (count)
		there_and_back(values, count);
	free(values);
	return 0;
}
