/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading encrypted segments: finding the recipients in a header, opening the segment's key, decrypting payloads; and what
 * can be said of a segment without a key: its header, how many blocks and bytes it has, whether it was ended.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/segment/capture.h"

/* The fields of a header before its facts, behind the two words of features. */
enum { FLAGS_TO_FACTS_BYTES = 4 + 16 + 8 + 16 + 16 };

/* The table of recipients in an encrypted segment's header; NULL in *ret_table if it has none. False: not encrypted. */
static bool find_recipients(struct aq_bytes r, const uint8_t **ret_table, size_t *ret_bytes)
{
	uint32_t version = aq_bytes_u32(&r);
	aq_bytes_u32(&r);
	uint32_t incompatible = aq_bytes_u32(&r);
	*ret_table = NULL;
	*ret_bytes = 0;
	if (r.failed || version == 0 || version > AQ_FORMAT_VERSION || !(incompatible & AQ_INCOMPATIBLE_SEALED))
		return false;
	aq_bytes_take(&r, FLAGS_TO_FACTS_BYTES);
	uint32_t facts = aq_bytes_u32(&r);
	for (uint32_t i = 0; i < facts && !r.failed; i++) {
		uint32_t key = aq_bytes_u32(&r), bytes = aq_bytes_u32(&r);
		const uint8_t *data = aq_bytes_take(&r, bytes);
		if (!data || key != AQ_FACT_RECIPIENTS)
			continue;
		*ret_table = data;
		*ret_bytes = bytes;
		return true;
	}
	return true;
}

/* For people who look for the key: the recipients of the first encrypted segment. */
static int keep_recipients(struct aq_capture *c, const uint8_t *table, size_t bytes)
{
	size_t count = bytes / AQ_RECIPIENT_BYTES;
	if (c->recipients || count == 0 || count > AQ_RECIPIENTS_MAX)
		return 0;
	c->recipients = malloc(count * sizeof(*c->recipients));
	if (!c->recipients)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		memcpy(c->recipients[i], table + i * AQ_RECIPIENT_BYTES, AQ_FINGERPRINT_BYTES);
	c->info.recipients = (const uint8_t(*)[AQ_FINGERPRINT_BYTES])c->recipients;
	c->info.recipient_count = (uint32_t)count;
	return 0;
}

int aq_segment_unseal(struct aq_capture *c, uint32_t index, struct aq_buf *buf)
{
	struct aq_segment *s = &c->segments[index];
	struct aq_block block;
	const uint8_t *table;
	size_t bytes;
	char why[128];
	if (!aq_block_at(s, 0, &block) || block.kind != AQ_BLOCK_SEGMENT)
		return 0; /* it is found damaged later, as are blocks that need it */
	int r = aq_block_load_stored(c, s, &block, buf, why);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (!find_recipients(aq_bytes_of(buf->data, buf->len), &table, &bytes))
		return 0;
	s->sealed = c->info.encrypted = true;
	r = table ? keep_recipients(c, table, bytes) : 0;
	if (r < 0)
		return r;
	r = table ? aq_seal_open(&s->seal, table, bytes, c->keys) : -EBADMSG;
	if (r == 0) {
		aq_seal_bind(&s->seal, buf->data, buf->len);
		s->unsealed = true;
	} else if (r == -ENOKEY) {
		s->locked = c->info.locked = true;
	} else {
		aq_capture_damage(c, s, 0, AQ_BLOCK_HEADER_BYTES + block.payload_bytes, 1, 0,
				  "block 0 (segment header): its key to the segment can't be opened: it was altered");
	}
	return 0;
}

struct locked {
	struct aq_capture *capture;
	uint32_t segment;
	struct aq_buf *buf;
};

static int locked_take(void *user, const struct aq_block *block)
{
	struct locked *l = user;
	l->capture->info.locked_blocks++;
	l->capture->info.locked_bytes += block->payload_bytes;
	return block->kind == AQ_BLOCK_SEGMENT ? aq_capture_take_block(l->capture, l->segment, block, NULL, l->buf) : 0;
}

static void locked_damage(void *user, uint64_t offset, uint64_t bytes, const char *text)
{
	struct locked *l = user;
	aq_capture_damage(l->capture, &l->capture->segments[l->segment], offset, bytes, 1, 0, "%s", text);
}

int aq_segment_read_locked(struct aq_capture *c, uint32_t index, struct aq_buf *buf)
{
	struct aq_segment *s = &c->segments[index];
	struct locked l = { c, index, buf };
	struct aq_block footer;
	uint8_t bytes[AQ_TRAILER_BYTES];
	if (s->bytes >= AQ_TRAILER_BYTES && aq_segment_read(s, bytes, sizeof(bytes), s->bytes - AQ_TRAILER_BYTES) == 0) {
		struct aq_bytes r = aq_bytes_of(bytes, sizeof(bytes));
		uint64_t offset = aq_bytes_u64(&r);
		c->segment_infos[index].finished = aq_bytes_u64(&r) == AQ_TRAILER_MAGIC && aq_block_at(s, offset, &footer) &&
						   footer.kind == AQ_BLOCK_FOOTER;
	}
	return aq_segment_walk(s, locked_take, locked_damage, &l);
}

int aq_block_unseal(const struct aq_segment *s, const struct aq_block *block, struct aq_buf *payload, char why[128])
{
	bool encrypted = block->flags & AQ_BLOCKF_ENCRYPTED, expected = s->sealed && aq_kind_is_sealed(block->kind);
	if (!encrypted && !expected)
		return 0;
	if (!encrypted) /* who can't encrypt must not be able to put words in */
		snprintf(why, 128, "it is not encrypted, as it has to be in this segment");
	else if (!expected)
		snprintf(why, 128, "it is encrypted, but the segment has no header that tells with what");
	else if (!s->unsealed)
		snprintf(why, 128, "it is encrypted with a key that could not be opened");
	else if (aq_seal_decrypt(&s->seal, block, payload->data) < 0)
		snprintf(why, 128, "it can't be decrypted: it was altered, or belongs elsewhere");
	else {
		payload->len -= AQ_SEAL_TAG_BYTES;
		return 0;
	}
	return -EBADMSG;
}
