/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key files: text, one key a line, for signing (Ed25519) and for sealing (X25519). Reading, writing, fingerprints.
 * FORMAT.md describes the lines. Nothing here keeps a copy: who holds a struct aq_keys wipes it.
 *
 * Threads: pure functions. Errors: negative errno and a sentence, which never holds key material.
 */
#ifndef AQ_FORMAT_SEGMENT_KEY_H
#define AQ_FORMAT_SEGMENT_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/base/err.h"

#pragma GCC visibility push(default) /* what libaquila may export */

enum aq_key_kind {
	AQ_KEY_SIGN_SECRET = 1, /* the 32-byte seed of its epoch */
	AQ_KEY_SIGN_PUBLIC = 2,
	AQ_KEY_SEAL_SECRET = 3,
	AQ_KEY_SEAL_PUBLIC = 4,
	AQ_KEY_KIND_COUNT = 5
};

enum {
	AQ_KEY_BYTES = 32,
	AQ_KEYS_MAX = 64, /* in one set */
	AQ_KEY_FILE_BYTES_MAX = 16384,
	AQ_FINGERPRINT_BYTES = 16,
	AQ_FINGERPRINT_TEXT_BYTES = 2 * AQ_FINGERPRINT_BYTES + 1,
};

struct aq_key {
	enum aq_key_kind kind;
	uint64_t epoch; /* signing keys only, else 0 */
	uint8_t bytes[AQ_KEY_BYTES];
};

struct aq_keys {
	size_t count;
	struct aq_key key[AQ_KEYS_MAX];
};

/*
 * Adds the keys of a file to the set; on failure the set is as before. -EACCES: it holds a secret and others than its
 * owner may read it; -EBADMSG: a line is no key, or there is none; -E2BIG: too long or too many keys; else of opening.
 */
int aq_keys_load(struct aq_keys *keys, const char *path, struct aq_err *err);
/*
 * Writes the set to a file, whole or not at all, and brings it to the disk: mode 0600 with a secret in it, else 0644.
 * -EEXIST when the file is there and replace is false.
 */
int aq_keys_save(const struct aq_keys *keys, const char *path, bool replace, struct aq_err *err);
/* Overwrites the set with zeros, so that the compiler does not leave it out. */
void aq_keys_wipe(struct aq_keys *keys);
/* The first of a kind, borrowed; NULL if there is none. */
const struct aq_key *aq_keys_find(const struct aq_keys *keys, enum aq_key_kind kind);

/* A new random secret key; epoch 0. -ENOSYS when there is no source of randomness. */
int aq_key_generate(enum aq_key_kind secret_kind, struct aq_key *ret_key);
static inline bool aq_key_is_secret(const struct aq_key *key)
{
	return key->kind == AQ_KEY_SIGN_SECRET || key->kind == AQ_KEY_SEAL_SECRET;
}
/* The public key of a secret one, at the same epoch; a public key gives itself. -ENOSYS, -EINVAL. */
int aq_key_public(const struct aq_key *key, struct aq_key *ret_public);
/* Names a public key, or that of a secret one: the first 16 bytes of its BLAKE2b. */
int aq_key_fingerprint(const struct aq_key *key, uint8_t ret_fingerprint[AQ_FINGERPRINT_BYTES]);
void aq_fingerprint_text(const uint8_t fingerprint[AQ_FINGERPRINT_BYTES], char text[AQ_FINGERPRINT_TEXT_BYTES]);

#pragma GCC visibility pop

#endif
