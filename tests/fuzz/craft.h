/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A segment made by hand for fuzz targets: blocks with right checksums around payloads of any bytes, so that what is
 * behind the checksums is reached.
 */
#ifndef AQ_TESTS_FUZZ_CRAFT_H
#define AQ_TESTS_FUZZ_CRAFT_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/capture.h"

struct craft {
	struct aq_buf file;
	uint64_t blocks;
};

static inline void craft_block(struct craft *c, enum aq_block_kind kind, unsigned flags, const void *payload, size_t bytes)
{
	struct aq_block block = { .kind = (uint16_t)kind, .flags = (uint16_t)flags, .payload_bytes = bytes, .number = c->blocks++,
				  .payload_hash = XXH3_64bits(payload, bytes) };
	uint8_t header[AQ_BLOCK_HEADER_BYTES];
	aq_block_header_write(header, &block);
	aq_buf_put(&c->file, header, sizeof(header));
	aq_buf_put(&c->file, payload, bytes);
	aq_buf_pad8(&c->file);
}

/* A segment that has its header and nothing else yet. */
static inline void craft_begin(struct craft *c)
{
	struct aq_buf b;
	static const uint8_t id[16] = { 1 };
	aq_buf_init(&c->file, 64 << 20);
	aq_buf_init(&b, 4096);
	c->blocks = 0;
	aq_buf_put_u32(&b, AQ_FORMAT_VERSION);
	aq_buf_put_u64(&b, 0);
	aq_buf_put_u32(&b, 0);
	aq_buf_put(&b, id, sizeof(id));
	aq_buf_put_u64(&b, 1);
	aq_buf_put_u64(&b, 1);
	aq_buf_put_u64(&b, 1);
	for (unsigned i = 0; i < 5; i++)
		aq_buf_put_u32(&b, i == 3 ? 1 : 0);
	craft_block(c, AQ_BLOCK_SEGMENT, AQ_BLOCKF_REQUIRED, b.data, b.len);
	aq_buf_release(&b);
}

/* Zone map or nothing, then a directory (given raw) with its head, then frames. */
static inline void craft_payload(struct aq_buf *out, const uint8_t *zone, size_t zone_bytes, const uint8_t *directory,
				 size_t directory_bytes, const uint8_t *frames, size_t frame_bytes)
{
	size_t bound = ZSTD_compressBound(directory_bytes);
	uint8_t *packed = malloc(bound);
	size_t n = packed ? ZSTD_compress(packed, bound, directory, directory_bytes, 1) : 0;
	aq_buf_put(out, zone, zone_bytes);
	aq_buf_put_u32(out, (uint32_t)n);
	aq_buf_put_u32(out, (uint32_t)directory_bytes);
	aq_buf_put_u64(out, packed ? aq_directory_check(zone, zone_bytes, packed, n) : 0);
	aq_buf_put(out, packed, n);
	aq_buf_put(out, frames, frame_bytes);
	free(packed);
}

/* Opens what was made; NULL if the reader refuses it. The file is gone when the capture is closed. */
static inline struct aq_capture *craft_open(struct craft *c, int *ret_fd)
{
	/* the corpus has an encrypted segment that this key opens; of others as much is read as can be without one */
	static const struct aq_keys keys = { .count = 1, .key = { { .kind = AQ_KEY_SEAL_SECRET, .bytes = { 1, 2, 3 } } } };
	static const struct aq_open_options options = { .keys = &keys, .allow_locked = true };
	struct aq_capture *capture = NULL;
	struct aq_err err;
	char path[64];
	int fd = memfd_create("segment", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || c->file.failed || write(fd, c->file.data, c->file.len) != (ssize_t)c->file.len ||
	    aq_capture_open_with(path, &options, &capture, &err) < 0)
		capture = NULL;
	*ret_fd = fd;
	return capture;
}

/* Everything that can be asked of a capture; every byte that is handed out is touched. */
static inline uint64_t craft_read_all(struct aq_capture *c)
{
	struct aq_event_iter *it = NULL;
	struct aq_verify_result v;
	struct aq_event ev;
	struct aq_err err;
	uint64_t sum = 0;
	if (aq_event_iter_new(c, &(struct aq_iter_options){ 0 }, &it, &err) == 0) {
		while (aq_event_iter_next(it, &ev, &err) == 1) {
			sum += ev.time_ns + ev.args[0];
			for (unsigned i = 0; i < ev.attr_count; i++)
				sum += ev.attrs[i].len ? ((const uint8_t *)ev.attrs[i].data)[ev.attrs[i].len - 1] : 0;
		}
		aq_event_iter_free(it);
	}
	for (uint32_t i = 0; i < aq_capture_info(c)->chunk_count; i++) {
		uint64_t by_id[AQ_EVENT_ID_MAX] = { 0 };
		struct aq_chunk *chunk = NULL;
		aq_chunk_count(c, i, by_id, &err);
		if (aq_chunk_load(c, i, AQ_COL_ID | AQ_COL_TIME | AQ_COL_THREAD | AQ_COL_CPU | AQ_COL_RET, &chunk, &err) < 0)
			continue;
		for (uint32_t k = 0; k < chunk->events; k++)
			sum += chunk->id[k] + chunk->time_ns[k] + chunk->pid[k] + chunk->cpu[k] + (uint64_t)chunk->ret[k];
		aq_chunk_free(chunk);
	}
	aq_capture_verify(c, &v, NULL, NULL, &err);
	return sum;
}

#endif
