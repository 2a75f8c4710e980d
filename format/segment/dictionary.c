/* SPDX-License-Identifier: Apache-2.0 */
/* The segment-wide string dictionary of a writer; see builder.h. */
#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/builder.h"

enum {
	FIRST_SLOTS = 4096,
	/* a writer's generation ends when it has so much: far below what a reader takes, for the recorder's memory */
	FULL_BYTES = 16 << 20,
	FULL_COUNT = 256 << 10,
};

int aq_dictionary_init(struct aq_dictionary *d)
{
	*d = (struct aq_dictionary){ .generation = 1, .slot_count = FIRST_SLOTS, .capacity = FIRST_SLOTS / 2 };
	aq_buf_init(&d->bytes, AQ_DICTIONARY_BYTES_MAX);
	d->slots = calloc(d->slot_count, sizeof(*d->slots));
	d->hashes = malloc(d->capacity * sizeof(*d->hashes));
	d->offsets = calloc((size_t)d->capacity + 1, sizeof(*d->offsets));
	return d->slots && d->hashes && d->offsets ? 0 : -ENOMEM;
}

void aq_dictionary_release(struct aq_dictionary *d)
{
	free(d->slots);
	free(d->hashes);
	free(d->offsets);
	aq_buf_release(&d->bytes);
}

void aq_dictionary_restart(struct aq_dictionary *d)
{
	d->generation++;
	d->count = d->written = 0;
	memset(d->slots, 0, d->slot_count * sizeof(*d->slots));
	aq_buf_reset(&d->bytes);
}

bool aq_dictionary_is_full(const struct aq_dictionary *d)
{
	return d->bytes.len > FULL_BYTES || d->count > FULL_COUNT;
}

static int grow(struct aq_dictionary *d)
{
	uint32_t slot_count = d->slot_count * 2, capacity = d->capacity * 2;
	uint32_t *slots = calloc(slot_count, sizeof(*slots));
	uint64_t *hashes = realloc(d->hashes, capacity * sizeof(*hashes));
	if (hashes)
		d->hashes = hashes;
	uint64_t *offsets = realloc(d->offsets, ((size_t)capacity + 1) * sizeof(*offsets));
	if (offsets)
		d->offsets = offsets;
	if (!slots || !hashes || !offsets) {
		free(slots);
		return -ENOMEM;
	}
	for (uint32_t id = 0; id < d->count; id++) {
		uint32_t slot = (uint32_t)d->hashes[id] & (slot_count - 1);
		while (slots[slot])
			slot = (slot + 1) & (slot_count - 1);
		slots[slot] = id + 1;
	}
	free(d->slots);
	d->slots = slots;
	d->slot_count = slot_count;
	d->capacity = capacity;
	return 0;
}

int aq_dictionary_intern(struct aq_dictionary *d, const void *data, size_t n, uint32_t *ret_id)
{
	uint64_t hash = XXH3_64bits(data, n);
	uint32_t slot = (uint32_t)hash & (d->slot_count - 1);
	for (; d->slots[slot]; slot = (slot + 1) & (d->slot_count - 1)) {
		uint32_t id = d->slots[slot] - 1;
		if (d->hashes[id] == hash && d->offsets[id + 1] - d->offsets[id] == n &&
		    (n == 0 || memcmp(d->bytes.data + d->offsets[id], data, n) == 0)) {
			*ret_id = id;
			return 0;
		}
	}
	if (d->count == d->capacity) {
		int r = grow(d);
		if (r < 0)
			return r;
		slot = (uint32_t)hash & (d->slot_count - 1);
		while (d->slots[slot])
			slot = (slot + 1) & (d->slot_count - 1);
	}
	aq_buf_put(&d->bytes, data, n);
	if (d->bytes.failed)
		return -ENOMEM;
	d->slots[slot] = d->count + 1;
	d->hashes[d->count] = hash;
	d->offsets[d->count + 1] = d->bytes.len;
	*ret_id = d->count++;
	return 0;
}

int aq_dictionary_payload(struct aq_dictionary *d, ZSTD_CCtx *zstd, int level, struct aq_buf *out)
{
	struct aq_buf raw;
	aq_buf_init(&raw, AQ_DICTIONARY_BYTES_MAX + AQ_DICTIONARY_COUNT_MAX * 10ull);
	for (uint32_t id = d->written; id < d->count; id++)
		aq_buf_put_varint(&raw, d->offsets[id + 1] - d->offsets[id]);
	uint64_t start = d->offsets[d->written];
	aq_buf_put(&raw, d->bytes.data + start, d->bytes.len - start);
	aq_buf_put_u32(out, d->generation);
	aq_buf_put_u32(out, d->written);
	aq_buf_put_u32(out, d->count - d->written);
	aq_buf_put_u32(out, (uint32_t)raw.len);
	size_t bound = ZSTD_compressBound(raw.len);
	uint8_t *to = raw.failed ? NULL : aq_buf_reserve(out, bound);
	size_t n = to ? ZSTD_compressCCtx(zstd, to, bound, raw.data, raw.len, level) : 0;
	aq_buf_release(&raw);
	if (!to || ZSTD_isError(n))
		return -ENOMEM;
	out->len += n;
	d->written = d->count;
	return 0;
}
