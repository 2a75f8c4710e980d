/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * Two segments and a manifest of any bytes, followed by the check of chain, signatures and keys. An input is a byte of
 * flags, two lengths (u32), and the three files; checksums are mended first, and with flag 1 the chains as well.
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/evidence.h"
#include "format/segment/manifest.h"

enum { MEND_CHAIN = 1, HEAD_BYTES = 9 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend(uint8_t *data, size_t size, bool chain)
{
	uint8_t value[AQ_CHAIN_BYTES] = { 0 };
	size_t at = 0;
	while (at + AQ_BLOCK_HEADER_BYTES <= size) {
		uint64_t bytes, hash;
		memcpy(&bytes, data + at + 8, 8);
		if (bytes > size - at - AQ_BLOCK_HEADER_BYTES)
			bytes = size - at - AQ_BLOCK_HEADER_BYTES;
		memcpy(data + at + 8, &bytes, 8);
		hash = XXH3_64bits(data + at + AQ_BLOCK_HEADER_BYTES, bytes);
		memcpy(data + at + 24, &hash, 8);
		if (chain) {
			aq_chain_next(value, data + at, data + at + AQ_BLOCK_HEADER_BYTES, bytes, value);
			aq_chain_put(data + at, value);
		}
		hash = XXH3_64bits(data + at, 72);
		memcpy(data + at + 72, &hash, 8);
		at += AQ_BLOCK_HEADER_BYTES + ((bytes + 7) & ~7ull);
	}
}

static void put(const char *folder, const char *name, const uint8_t *data, size_t size, bool chain)
{
	char path[128];
	uint8_t *copy = malloc(size + 1);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (copy && fd >= 0) {
		memcpy(copy, data, size);
		mend(copy, size, chain);
		if (write(fd, copy, size) != (ssize_t)size)
			abort();
	}
	if (fd >= 0)
		close(fd);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const files[] = { "segment-000001.aqs", "segment-000002.aqs", AQ_MANIFEST_NAME };
	struct aq_keys keys = { .count = 1, .key = { { .kind = AQ_KEY_SIGN_PUBLIC } } };
	struct aq_evidence e = { 0 };
	struct aq_err err;
	uint32_t first, second;
	if (size < HEAD_BYTES || size > 1 << 20)
		return 0;
	memcpy(&first, data + 1, 4);
	memcpy(&second, data + 5, 4);
	size -= HEAD_BYTES;
	first = first > size ? (uint32_t)size : first;
	second = second > size - first ? (uint32_t)(size - first) : second;
	char folder[64], path[128];
	strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/aquila-fuzz-XXXXXX" : "/tmp/aquila-fuzz-XXXXXX");
	if (sodium_init() < 0 || !mkdtemp(folder))
		abort();
	put(folder, files[0], data + HEAD_BYTES, first, data[0] & MEND_CHAIN);
	put(folder, files[1], data + HEAD_BYTES + first, second, false);
	put(folder, files[2], data + HEAD_BYTES + first + second, size - first - second, data[0] & MEND_CHAIN);
	if (aq_evidence_check(folder, &keys, &e, &err) == 0 && e.trusted)
		abort(); /* nobody has that key */
	aq_evidence_release(&e);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		if (i < 2 && aq_evidence_check(path, NULL, &e, &err) == 0)
			aq_evidence_release(&e);
		unlink(path);
	}
	rmdir(folder);
	return 0;
}
