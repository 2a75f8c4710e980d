/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks of a segment file: reading and checking one, finding the next after damage, walking over all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/capture.h"

enum { SCAN_STEP = 1 << 16 };

static int read_at(int fd, void *to, size_t n, uint64_t offset)
{
	uint8_t *p = to;
	while (n) {
		ssize_t k = pread(fd, p, n, (off_t)offset);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -ENODATA;
		p += k;
		n -= (size_t)k;
		offset += (uint64_t)k;
	}
	return 0;
}

int aq_segment_read(const struct aq_segment *s, void *to, size_t n, uint64_t offset)
{
	if (offset > INT64_MAX - n)
		return -ENODATA;
	if (s->stats) {
		__atomic_add_fetch(&s->stats->reads, 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&s->stats->read_bytes, n, __ATOMIC_RELAXED);
	}
	if (s->fd >= 0)
		return read_at(s->fd, to, n, offset);
	int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	int r = read_at(fd, to, n, offset);
	close(fd);
	return r;
}

int aq_block_load(struct aq_capture *c, const struct aq_segment *s, const struct aq_block *block, struct aq_buf *out,
		  char why[128])
{
	struct aq_block full = *block;
	if (block->bare && !aq_block_complete(s, &full)) {
		snprintf(why, 128, "its header is damaged");
		return -EBADMSG;
	}
	int r = aq_block_load_stored(c, s, &full, out, why);
	return r < 0 ? r : aq_block_unseal(s, &full, out, why);
}

int aq_block_load_stored(struct aq_capture *c, const struct aq_segment *s, const struct aq_block *block, struct aq_buf *out,
			 char why[128])
{
	static const uint8_t zeros[8];
	size_t n = block->payload_bytes, pad = -n & 7;
	aq_buf_reset(out);
	uint8_t *to = aq_buf_reserve(out, n + pad);
	if (!to) {
		snprintf(why, 128, "out of memory");
		return -ENOMEM;
	}
	uint64_t offset = block->offset + AQ_BLOCK_HEADER_BYTES;
	int r = aq_segment_read(s, to, n, offset);
	if (r < 0) {
		snprintf(why, 128, "could not be read: %s", r == -ENODATA ? "the file ends within it" : strerror(-r));
		return -EBADMSG;
	}
	if (XXH3_64bits(to, n) != block->payload_hash) {
		snprintf(why, 128, "its checksum is wrong");
		return -EBADMSG;
	}
	if (pad && aq_segment_read(s, to + n, pad, offset + n) == 0 && memcmp(to + n, zeros, pad) != 0)
		aq_capture_damage(c, s, offset + n, pad, 1, 0, "block %llu: the bytes that fill it up are not zero",
				  (unsigned long long)block->number);
	out->len = n;
	return 0;
}

bool aq_block_at(const struct aq_segment *s, uint64_t offset, struct aq_block *ret_block)
{
	uint8_t header[AQ_BLOCK_HEADER_BYTES];
	struct aq_block block;
	if (aq_segment_read(s, header, sizeof(header), offset) < 0 || !aq_block_header_read(header, &block))
		return false;
	block.offset = offset;
	*ret_block = block;
	return true;
}

bool aq_block_complete(const struct aq_segment *s, struct aq_block *block)
{
	struct aq_block full;
	if (!aq_block_at(s, block->offset, &full) || full.kind != block->kind || full.flags != block->flags ||
	    full.number != block->number || full.payload_bytes != block->payload_bytes)
		return false;
	*block = full;
	return true;
}

/* The next place from `offset` on (in steps of 8) where a block header stands; s->bytes if there is none. */
static uint64_t find_block(const struct aq_segment *s, uint64_t offset)
{
	uint8_t *step = malloc(SCAN_STEP + AQ_BLOCK_HEADER_BYTES);
	while (step && offset < s->bytes && s->bytes - offset >= AQ_BLOCK_HEADER_BYTES) {
		size_t n = SCAN_STEP + AQ_BLOCK_HEADER_BYTES;
		n = s->bytes - offset < n ? (size_t)(s->bytes - offset) : n;
		if (aq_segment_read(s, step, n, offset) < 0)
			break;
		for (size_t i = 0; i + AQ_BLOCK_HEADER_BYTES <= n; i += 8) {
			struct aq_block block;
			if (aq_block_header_read(step + i, &block)) {
				free(step);
				return offset + i;
			}
		}
		offset += SCAN_STEP;
	}
	free(step);
	return s->bytes;
}

/* From there on the file holds zeros: room that was made for blocks that did not come, or what a power failure left. */
static bool ends_in_zeros(const struct aq_segment *s, uint64_t offset)
{
	uint8_t step[4096];
	bool zeros = true;
	while (zeros && offset < s->bytes) {
		size_t n = s->bytes - offset < sizeof(step) ? (size_t)(s->bytes - offset) : sizeof(step);
		zeros = aq_segment_read(s, step, n, offset) == 0 && step[0] == 0 && memcmp(step, step + 1, n - 1) == 0;
		offset += n;
	}
	return zeros;
}

/* The 16 bytes behind the footer, and nothing after them but room that could not be cut off. */
static bool is_trailer(const struct aq_segment *s, uint64_t offset, uint64_t footer_offset)
{
	uint8_t bytes[AQ_TRAILER_BYTES];
	if (s->bytes - offset < AQ_TRAILER_BYTES || aq_segment_read(s, bytes, sizeof(bytes), offset) < 0)
		return false;
	struct aq_bytes r = aq_bytes_of(bytes, sizeof(bytes));
	return aq_bytes_u64(&r) == footer_offset && aq_bytes_u64(&r) == AQ_TRAILER_MAGIC && ends_in_zeros(s, offset + AQ_TRAILER_BYTES);
}

int aq_segment_walk(const struct aq_segment *s, int (*take)(void *user, const struct aq_block *block),
		    void (*damage)(void *user, uint64_t offset, uint64_t bytes, const char *text), void *user)
{
	uint64_t offset = 0, number = 0, footer = UINT64_MAX;
	char text[128];
	while (offset < s->bytes && s->bytes - offset >= AQ_BLOCK_HEADER_BYTES) {
		struct aq_block block;
		if (!aq_block_at(s, offset, &block)) {
			if (footer == UINT64_MAX ? ends_in_zeros(s, offset) : is_trailer(s, offset, footer))
				return 0;
			uint64_t next = find_block(s, offset + 8);
			snprintf(text, sizeof(text), "no block starts here; %llu bytes skipped", (unsigned long long)(next - offset));
			damage(user, offset, next - offset, text);
			offset = next;
			number = UINT64_MAX;
			continue;
		}
		if (number != UINT64_MAX && block.number != number) {
			snprintf(text, sizeof(text), "block %llu stands where block %llu belongs", (unsigned long long)block.number,
				 (unsigned long long)number);
			damage(user, offset, 0, text);
		}
		if (block.payload_bytes > s->bytes - offset - AQ_BLOCK_HEADER_BYTES) {
			snprintf(text, sizeof(text), "the file ends within block %llu", (unsigned long long)block.number);
			damage(user, offset, s->bytes - offset, text);
			return 0;
		}
		int r = take(user, &block);
		if (r < 0)
			return r;
		number = block.number + 1;
		if (block.kind != AQ_BLOCK_SIGNATURE) /* the segment's last one stands between footer and trailer */
			footer = block.kind == AQ_BLOCK_FOOTER ? offset : UINT64_MAX;
		offset += AQ_BLOCK_HEADER_BYTES + ((block.payload_bytes + 7) & ~7ull);
	}
	if (offset < s->bytes && !is_trailer(s, offset, footer) && (footer != UINT64_MAX || !ends_in_zeros(s, offset)))
		damage(user, offset, s->bytes - offset,
		       footer == UINT64_MAX ? "the file ends within a block's header" : "the trailer is damaged");
	else if (offset >= s->bytes && footer != UINT64_MAX)
		damage(user, s->bytes, 0, "the trailer is missing");
	return 0;
}
