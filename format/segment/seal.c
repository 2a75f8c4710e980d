/* SPDX-License-Identifier: Apache-2.0 */
/* Segment keys, their recipients, and the encryption of blocks; see seal.h. */
#include "format/segment/seal.h"

#include <errno.h>
#include <sodium.h>

enum { NONCE_BYTES = 24, AUTHENTICATED_BYTES = AQ_BLOCK_FIELDS_BYTES + 32 };

_Static_assert(AQ_SEGMENT_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "a segment key is the cipher's");
_Static_assert(AQ_SEAL_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "so is the tag");
_Static_assert(NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "and the nonce");
_Static_assert(AQ_SEALED_KEY_BYTES == AQ_SEGMENT_KEY_BYTES + crypto_box_SEALBYTES, "a sealed box around a segment key");
_Static_assert(AQ_KEY_BYTES == crypto_box_PUBLICKEYBYTES && AQ_KEY_BYTES == crypto_box_SECRETKEYBYTES, "keys of 32 bytes");

bool aq_kind_is_sealed(uint16_t kind)
{
	switch (kind) {
	case AQ_BLOCK_DICTIONARY:
	case AQ_BLOCK_CHUNK:
	case AQ_BLOCK_ATTRS:
	case AQ_BLOCK_LEDGER:
	case AQ_BLOCK_FOOTER:
	case AQ_BLOCK_FACTS:
		return true;
	default:
		return false;
	}
}

void aq_seal_begin(struct aq_seal *seal)
{
	randombytes_buf(seal->key, sizeof(seal->key));
	seal->encrypted = 0;
	memset(seal->header_hash, 0, sizeof(seal->header_hash));
}

void aq_seal_bind(struct aq_seal *seal, const void *header_payload, size_t bytes)
{
	crypto_generichash(seal->header_hash, sizeof(seal->header_hash), header_payload, bytes, NULL, 0);
}

void aq_seal_wipe(struct aq_seal *seal)
{
	sodium_memzero(seal, sizeof(*seal));
}

int aq_seal_put_recipients(const struct aq_seal *seal, const struct aq_keys *recipients, struct aq_buf *out)
{
	for (size_t i = 0; i < recipients->count; i++) {
		const struct aq_key *key = &recipients->key[i];
		uint8_t fingerprint[AQ_FINGERPRINT_BYTES], sealed[AQ_SEALED_KEY_BYTES];
		if (key->kind != AQ_KEY_SEAL_PUBLIC)
			continue;
		if (aq_key_fingerprint(key, fingerprint) < 0 || crypto_box_seal(sealed, seal->key, sizeof(seal->key), key->bytes) != 0)
			return -EINVAL;
		aq_buf_put(out, fingerprint, sizeof(fingerprint));
		aq_buf_put(out, sealed, sizeof(sealed));
	}
	return 0;
}

int aq_seal_open(struct aq_seal *seal, const uint8_t *table, size_t bytes, const struct aq_keys *keys)
{
	if (bytes == 0 || bytes % AQ_RECIPIENT_BYTES != 0 || bytes / AQ_RECIPIENT_BYTES > AQ_RECIPIENTS_MAX)
		return -EBADMSG;
	for (size_t i = 0; keys && i < keys->count; i++) {
		const struct aq_key *key = &keys->key[i];
		struct aq_key public;
		uint8_t fingerprint[AQ_FINGERPRINT_BYTES];
		if (key->kind != AQ_KEY_SEAL_SECRET || aq_key_public(key, &public) < 0 || aq_key_fingerprint(&public, fingerprint) < 0)
			continue;
		for (const uint8_t *p = table; p < table + bytes; p += AQ_RECIPIENT_BYTES) {
			if (memcmp(p, fingerprint, sizeof(fingerprint)) != 0)
				continue;
			return crypto_box_seal_open(seal->key, p + AQ_FINGERPRINT_BYTES, AQ_SEALED_KEY_BYTES, public.bytes, key->bytes) == 0 ?
				       0 : -EBADMSG;
		}
	}
	return -ENOKEY;
}

/* No two payloads that are encrypted with one key have the same count, and no two segments the same key. */
static void make_nonce(const struct aq_block *block, uint8_t nonce[NONCE_BYTES])
{
	memset(nonce, 0, NONCE_BYTES);
	for (unsigned i = 0; i < 8; i++) {
		nonce[i] = (uint8_t)(block->number >> (8 * i));
		nonce[16 + i] = (uint8_t)(block->nonce >> (8 * i));
	}
	nonce[8] = (uint8_t)block->kind;
	nonce[9] = (uint8_t)(block->kind >> 8);
}

static void make_authenticated(const struct aq_seal *seal, const struct aq_block *block, uint8_t data[AUTHENTICATED_BYTES])
{
	uint8_t header[AQ_BLOCK_HEADER_BYTES];
	aq_block_header_write(header, block);
	memcpy(data, header, AQ_BLOCK_FIELDS_BYTES);
	memcpy(data + AQ_BLOCK_FIELDS_BYTES, seal->header_hash, sizeof(seal->header_hash));
}

void aq_seal_encrypt(struct aq_seal *seal, struct aq_block *block, uint8_t *payload)
{
	uint8_t nonce[NONCE_BYTES], data[AUTHENTICATED_BYTES];
	block->nonce = ++seal->encrypted;
	make_nonce(block, nonce);
	make_authenticated(seal, block, data);
	crypto_aead_xchacha20poly1305_ietf_encrypt(payload, NULL, payload, block->payload_bytes - AQ_SEAL_TAG_BYTES, data, sizeof(data),
						   NULL, nonce, seal->key);
}

int aq_seal_decrypt(const struct aq_seal *seal, const struct aq_block *block, uint8_t *payload)
{
	uint8_t nonce[NONCE_BYTES], data[AUTHENTICATED_BYTES];
	if (block->payload_bytes < AQ_SEAL_TAG_BYTES)
		return -EBADMSG;
	make_nonce(block, nonce);
	make_authenticated(seal, block, data);
	return crypto_aead_xchacha20poly1305_ietf_decrypt(payload, NULL, NULL, payload, block->payload_bytes, data, sizeof(data), nonce,
							  seal->key) == 0 ? 0 : -EBADMSG;
}
