/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * A segment of any bytes: opened, every event read, verified. Checksums are an obstacle only to a fuzzer, not to an
 * attacker: inputs whose blocks have a wrong one get the right one first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/layout.h"

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
		hash = XXH3_64bits(data + at + AQ_BLOCK_HEADER_BYTES, bytes);
		memcpy(data + at + 24, &hash, 8);
		hash = XXH3_64bits(data + at, 72);
		memcpy(data + at + 72, &hash, 8);
		at += AQ_BLOCK_HEADER_BYTES + ((bytes + 7) & ~7ull);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > 1 << 20)
		return 0;
	uint8_t *copy = malloc(size);
	int fd = memfd_create("segment", MFD_CLOEXEC);
	char path[64];
	if (copy && fd >= 0) {
		memcpy(copy, data, size);
		mend_checksums(copy, size);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		struct aq_capture *c = NULL;
		struct aq_event_iter *it = NULL;
		struct aq_verify_result v;
		struct aq_event ev;
		struct aq_err err;
		if (write(fd, copy, size) == (ssize_t)size && aq_capture_open(path, &c, &err) == 0) {
			if (aq_event_iter_new(c, &(struct aq_iter_options){ 0 }, &it, &err) == 0) {
				uint64_t sum = 0;
				while (aq_event_iter_next(it, &ev, &err) == 1)
					for (unsigned i = 0; i < ev.attr_count; i++)
						sum += ev.attrs[i].len ? ((const uint8_t *)ev.attrs[i].data)[ev.attrs[i].len - 1] : 0;
				aq_event_iter_free(it);
				(void)sum;
			}
			aq_capture_verify(c, &v, NULL, NULL, &err);
			aq_capture_close(c);
		}
	}
	if (fd >= 0)
		close(fd);
	free(copy);
	return 0;
}
