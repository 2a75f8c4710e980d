/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encrypted segments: a fresh key for each, sealed to the recipients in the segment's header, and the authenticated
 * encryption of block payloads with it. Private to this folder. FORMAT.md section 14 describes the bytes.
 *
 * A struct aq_seal holds the key in clear: its owner wipes it. One thread at a time writes; reading is pure.
 */
#ifndef AQ_FORMAT_SEGMENT_SEAL_H
#define AQ_FORMAT_SEGMENT_SEAL_H

#include "format/segment/key.h"
#include "format/segment/layout.h"

enum {
	AQ_SEGMENT_KEY_BYTES = 32,
	AQ_SEAL_TAG_BYTES = 16,     /* by which a stored payload is longer */
	AQ_SEALED_KEY_BYTES = 80,   /* an ephemeral public key, a tag, the segment key */
	AQ_RECIPIENT_BYTES = AQ_FINGERPRINT_BYTES + AQ_SEALED_KEY_BYTES,
	AQ_RECIPIENTS_MAX = AQ_KEYS_MAX,
};

struct aq_seal {
	uint8_t key[AQ_SEGMENT_KEY_BYTES];
	uint64_t encrypted;      /* payloads so far */
	uint8_t header_hash[32]; /* BLAKE2b of the segment header's payload: blocks belong to it alone */
};

/* Kinds of blocks that are encrypted in an encrypted segment; no others ever are. */
bool aq_kind_is_sealed(uint16_t kind);

/* A fresh random key; bind comes before the first encryption. */
void aq_seal_begin(struct aq_seal *seal);
void aq_seal_bind(struct aq_seal *seal, const void *header_payload, size_t bytes);
void aq_seal_wipe(struct aq_seal *seal);
/* Appends the table of recipients: only the public sealing keys of the set count. -EINVAL: a key is of no use. */
int aq_seal_put_recipients(const struct aq_seal *seal, const struct aq_keys *recipients, struct aq_buf *out);
/* Opens the segment key with the first of keys that is a recipient. -ENOKEY: none is; -EBADMSG: the table is damaged. */
int aq_seal_open(struct aq_seal *seal, const uint8_t *table, size_t bytes, const struct aq_keys *keys);

/*
 * In place. encrypt sets block->nonce: a block that is made again after a failed write, with the same number and other
 * contents, must not be encrypted with the same nonce. The block's kind, flags, number and stored payload bytes are authenticated with it: encrypt takes them as they
 * will stand in its header, and writes AQ_SEAL_TAG_BYTES behind the payload. decrypt: -EBADMSG when anything is not as it
 * was written; then the payload is of no use.
 */
void aq_seal_encrypt(struct aq_seal *seal, struct aq_block *block, uint8_t *payload);
int aq_seal_decrypt(const struct aq_seal *seal, const struct aq_block *block, uint8_t *payload);

#endif
