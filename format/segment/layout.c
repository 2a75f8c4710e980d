/* SPDX-License-Identifier: Apache-2.0 */
/* Block headers, zone maps and what is kept of a number. */
#include "format/segment/layout.h"

#include <sodium.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static void store(uint8_t *p, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

void aq_block_header_write(uint8_t *h, const struct aq_block *block)
{
	memset(h, 0, AQ_BLOCK_HEADER_BYTES);
	store(h, AQ_BLOCK_MAGIC, 4);
	store(h + 4, block->kind, 2);
	store(h + 6, block->flags, 2);
	store(h + 8, block->payload_bytes, 8);
	store(h + 16, block->number, 8);
	store(h + 24, block->payload_hash, 8);
	/* 32 … 63: chain value */
	store(h + 64, block->nonce, 8);
	store(h + 72, XXH3_64bits(h, 72), 8);
}

void aq_chain_next(const uint8_t before[AQ_CHAIN_BYTES], const uint8_t *header, const void *payload, size_t bytes,
		   uint8_t ret_value[AQ_CHAIN_BYTES])
{
	crypto_generichash_state state;
	uint8_t head[AQ_CHAIN_BYTES + AQ_BLOCK_CHAIN_AT + 8];
	memcpy(head, before, AQ_CHAIN_BYTES);
	memcpy(head + AQ_CHAIN_BYTES, header, AQ_BLOCK_CHAIN_AT);
	memcpy(head + AQ_CHAIN_BYTES + AQ_BLOCK_CHAIN_AT, header + 64, 8);
	crypto_generichash_init(&state, NULL, 0, AQ_CHAIN_BYTES); /* none of these can fail with these sizes */
	crypto_generichash_update(&state, head, sizeof(head));
	crypto_generichash_update(&state, payload, bytes);
	crypto_generichash_final(&state, ret_value, AQ_CHAIN_BYTES);
}

void aq_chain_put(uint8_t *header, const uint8_t value[AQ_CHAIN_BYTES])
{
	memcpy(header + AQ_BLOCK_CHAIN_AT, value, AQ_CHAIN_BYTES);
	store(header + 72, XXH3_64bits(header, 72), 8);
}

bool aq_block_header_read(const uint8_t *h, struct aq_block *ret)
{
	struct aq_bytes r = aq_bytes_of(h, AQ_BLOCK_HEADER_BYTES);
	*ret = (struct aq_block){ 0 };
	if (aq_bytes_u32(&r) != AQ_BLOCK_MAGIC)
		return false;
	ret->bare = false;
	ret->kind = aq_bytes_u16(&r);
	ret->flags = aq_bytes_u16(&r);
	ret->payload_bytes = aq_bytes_u64(&r);
	ret->number = aq_bytes_u64(&r);
	ret->payload_hash = aq_bytes_u64(&r);
	aq_bytes_take(&r, 32);
	ret->nonce = aq_bytes_u64(&r);
	return aq_bytes_u64(&r) == XXH3_64bits(h, 72) && ret->payload_bytes <= AQ_BLOCK_PAYLOAD_MAX;
}

uint64_t aq_directory_check(const void *before, size_t before_bytes, const void *directory, size_t directory_bytes)
{
	enum { ALIGN = 64 }; /* which not every stack gives: AddressSanitizer's does not */
	uint8_t room[sizeof(XXH3_state_t) + ALIGN];
	XXH3_state_t *state = (XXH3_state_t *)(void *)(((uintptr_t)room + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
	XXH3_INITSTATE(state);
	XXH3_64bits_reset(state);
	XXH3_64bits_update(state, before, before_bytes);
	XXH3_64bits_update(state, directory, directory_bytes);
	return XXH3_64bits_digest(state);
}

void aq_zone_write(struct aq_buf *b, const struct aq_zone *z)
{
	aq_buf_put_u32(b, z->events);
	aq_buf_put_u32(b, z->generation);
	aq_buf_put_u32(b, z->dictionary_count);
	aq_buf_put_u32(b, z->type_count);
	aq_buf_put_u64(b, z->min_ns);
	aq_buf_put_u64(b, z->max_ns);
	aq_buf_put_u64(b, z->ring_min_ns);
	aq_buf_put_u64(b, z->ring_max_ns);
	aq_buf_put_u32(b, z->min_pid);
	aq_buf_put_u32(b, z->max_pid);
	aq_buf_put(b, z->types, (size_t)z->type_count * 2);
}

bool aq_zone_read(struct aq_bytes *r, struct aq_zone *ret)
{
	ret->events = aq_bytes_u32(r);
	ret->generation = aq_bytes_u32(r);
	ret->dictionary_count = aq_bytes_u32(r);
	ret->type_count = aq_bytes_u32(r);
	ret->min_ns = aq_bytes_u64(r);
	ret->max_ns = aq_bytes_u64(r);
	ret->ring_min_ns = aq_bytes_u64(r);
	ret->ring_max_ns = aq_bytes_u64(r);
	ret->min_pid = aq_bytes_u32(r);
	ret->max_pid = aq_bytes_u32(r);
	if (ret->type_count > AQ_EVENT_ID_MAX)
		return false;
	ret->types = aq_bytes_take(r, (size_t)ret->type_count * 2);
	return !r->failed && ret->events > 0 && ret->events <= AQ_CHUNK_EVENTS_MAX && ret->type_count > 0 &&
	       ret->min_ns <= ret->max_ns;
}

enum aq_width aq_type_width(enum aq_type type, bool keep_pointers)
{
	switch (type) {
	case AQ_TYPE_PTR:
		return keep_pointers ? AQ_WIDTH_64 : AQ_WIDTH_NONE;
	case AQ_TYPE_PATH:
	case AQ_TYPE_STRING:
	case AQ_TYPE_STRVEC:
	case AQ_TYPE_SOCKADDR:
		return AQ_WIDTH_NONE;
	case AQ_TYPE_FD:
	case AQ_TYPE_INT:
	case AQ_TYPE_PID:
	case AQ_TYPE_SIGNAL:
		return AQ_WIDTH_S32;
	case AQ_TYPE_UINT:
	case AQ_TYPE_MODE:
	case AQ_TYPE_UID:
	case AQ_TYPE_GID:
	case AQ_TYPE_ENUM:
		return AQ_WIDTH_U32;
	default:
		return AQ_WIDTH_64;
	}
}

const char *aq_gap_reason_name(enum aq_gap_reason reason)
{
	static const char *const names[] = { "?",	 "ring-full", "spool-shed", "recorder-down", "kernel-skipped", "disk",
					     "damage", "filter",    "budget",     "coalesced",     "attribute", "retention", "extract" };
	return (unsigned)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "?";
}

void aq_footer_summary_write(struct aq_buf *b, const struct aq_footer_summary *s)
{
	size_t start = b->len;
	const uint64_t fields[] = { s->events, s->chunks, s->ring_min_ns, s->ring_max_ns, s->first_ns, s->last_ns,
				    s->gap_first_ns, s->gap_last_ns, s->boot_ns, s->real_ns, s->ledger_offset };
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		aq_buf_put_u64(b, fields[i]);
	aq_buf_put_u32(b, s->blocks);
	aq_buf_put_u32(b, s->entry_bytes);
	aq_buf_put_u64(b, b->failed ? 0 : XXH3_64bits(b->data + start, b->len - start));
}

bool aq_footer_summary_read(struct aq_bytes *r, struct aq_footer_summary *s)
{
	const uint8_t *start = r->p;
	uint64_t *const fields[] = { &s->events, &s->chunks, &s->ring_min_ns, &s->ring_max_ns, &s->first_ns, &s->last_ns,
				     &s->gap_first_ns, &s->gap_last_ns, &s->boot_ns, &s->real_ns, &s->ledger_offset };
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		*fields[i] = aq_bytes_u64(r);
	s->blocks = aq_bytes_u32(r);
	s->entry_bytes = aq_bytes_u32(r);
	size_t n = (size_t)(r->p - start);
	uint64_t check = aq_bytes_u64(r);
	return !r->failed && check == XXH3_64bits(start, n);
}
