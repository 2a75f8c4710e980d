/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * Dictionary blocks of any contents in a segment whose checksums are right; compressed here. Input: for each block u8
 * generation, u16 first, u16 count, u16 raw bytes, these bytes.
 */
#include "tests/fuzz/craft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { BLOCKS_MAX = 64 };
	struct aq_bytes r = aq_bytes_of(data, size);
	struct craft c;
	struct aq_buf b;
	uint64_t sum = 0;
	int fd;
	if (size > 1 << 18)
		return 0;
	craft_begin(&c);
	aq_buf_init(&b, 1 << 20);
	for (unsigned i = 0; i < BLOCKS_MAX && aq_bytes_left(&r) > 7; i++) {
		uint32_t generation = aq_bytes_u8(&r) % 4u, first = aq_bytes_u16(&r), count = aq_bytes_u16(&r);
		size_t n = aq_bytes_u16(&r);
		n = n < aq_bytes_left(&r) ? n : aq_bytes_left(&r);
		size_t bound = ZSTD_compressBound(n);
		uint8_t *packed = malloc(bound);
		if (!packed)
			break;
		size_t bytes = ZSTD_compress(packed, bound, aq_bytes_take(&r, n), n, 1);
		aq_buf_reset(&b);
		aq_buf_put_u32(&b, generation);
		aq_buf_put_u32(&b, first);
		aq_buf_put_u32(&b, count);
		aq_buf_put_u32(&b, (uint32_t)n);
		aq_buf_put(&b, packed, bytes);
		craft_block(&c, AQ_BLOCK_DICTIONARY, AQ_BLOCKF_REQUIRED, b.data, b.len);
		free(packed);
	}
	struct aq_capture *capture = craft_open(&c, &fd);
	for (uint32_t generation = 0; capture && generation < 4; generation++) {
		struct aq_strings *s = NULL;
		if (aq_strings_get(capture, 0, generation, &s) < 0)
			continue;
		for (uint64_t id = 0; id < (uint64_t)s->count + 2; id++) {
			uint32_t len = 0;
			const uint8_t *text = aq_strings_at(s, id, &len);
			sum += text && len ? text[0] + text[len - 1] : 0;
		}
		aq_strings_unref(s);
	}
	aq_capture_close(capture);
	if (fd >= 0)
		close(fd);
	aq_buf_release(&b);
	aq_buf_release(&c.file);
	return sum == UINT64_MAX;
}
