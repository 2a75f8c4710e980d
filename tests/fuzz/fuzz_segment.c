/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * A segment of any bytes: opened, every event read, verified. Checksums are an obstacle only to a fuzzer, not to an
 * attacker: inputs whose blocks have a wrong one get the right one first.
 */
#include "tests/fuzz/craft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend_checksums(uint8_t *data, size_t size)
{
	size_t at = 0;
	while (at + AQ_BLOCK_HEADER_BYTES <= size) {
		uint64_t bytes, hash;
		memcpy(&bytes, data + at + 8, 8);
		if (bytes > size - at - AQ_BLOCK_HEADER_BYTES)
			bytes = size - at - AQ_BLOCK_HEADER_BYTES;
		memcpy(data + at + 8, &bytes, 8);
		if (data[at + 4] == AQ_BLOCK_FOOTER && bytes >= AQ_FOOTER_SUMMARY_BYTES) {
			uint8_t *summary = data + at + AQ_BLOCK_HEADER_BYTES;
			hash = XXH3_64bits(summary, AQ_FOOTER_SUMMARY_BYTES - 8);
			memcpy(summary + AQ_FOOTER_SUMMARY_BYTES - 8, &hash, 8);
		}
		hash = XXH3_64bits(data + at + AQ_BLOCK_HEADER_BYTES, bytes);
		memcpy(data + at + 24, &hash, 8);
		hash = XXH3_64bits(data + at, 72);
		memcpy(data + at + 72, &hash, 8);
		at += AQ_BLOCK_HEADER_BYTES + ((bytes + 7) & ~7ull);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct craft c = { .blocks = 0 };
	int fd;
	if (size == 0 || size > 1 << 20)
		return 0;
	aq_buf_init(&c.file, 1 << 20);
	aq_buf_put(&c.file, data, size);
	if (!c.file.failed)
		mend_checksums(c.file.data, size);
	struct aq_capture *capture = craft_open(&c, &fd);
	if (capture)
		craft_read_all(capture);
	aq_capture_close(capture);
	if (fd >= 0)
		close(fd);
	aq_buf_release(&c.file);
	return 0;
}
