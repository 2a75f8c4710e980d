/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of evidence: statements (what is signed) and the manifest, a file of the capture that keeps for each closed
 * segment what it was, also when the segment is gone. FORMAT.md, section 14; private to this folder.
 */
#ifndef AQ_FORMAT_SEGMENT_MANIFEST_H
#define AQ_FORMAT_SEGMENT_MANIFEST_H

#include "format/segment/key.h"
#include "format/segment/layout.h"

#define AQ_MANIFEST_NAME "manifest.aqm"

enum {
	AQ_STATEMENT_BYTES = 256,
	AQ_STATEMENT_SIGNED_BYTES = 192, /* those before the signature */
	AQ_STATEMENTS_MAX = (AQ_BLOCK_PAYLOAD_MAX - 4096) / AQ_STATEMENT_BYTES, /* of one segment */
};
enum aq_statement_flag {
	AQ_STATEMENTF_SEGMENT_END = 1 << 0, /* the segment's footer is the block before */
	AQ_STATEMENTF_CAPTURE_END = 1 << 1, /* and no segment follows */
};

struct aq_statement {
	uint32_t flags;
	uint64_t epoch;                      /* of the key that signs */
	uint8_t capture_id[16];
	uint64_t segment, block;             /* the block whose chain value is signed */
	uint64_t bytes, events;              /* of the segment up to and with that block */
	uint64_t first_ns, last_ns;          /* of its events from rings; first > last: none */
	uint64_t boot_ns, real_ns;           /* when it was signed */
	uint8_t chain[AQ_CHAIN_BYTES];
	uint8_t public_key[AQ_KEY_BYTES];
	uint8_t next_key[AQ_KEY_BYTES];      /* public key of the next epoch */
};

/* The bytes before the signature. */
void aq_statement_write(const struct aq_statement *statement, uint8_t ret_bytes[AQ_STATEMENT_SIGNED_BYTES]);
/* The signature of the bytes, by a secret key as crypto_sign_keypair makes it. */
void aq_statement_sign(uint8_t bytes[AQ_STATEMENT_BYTES], const uint8_t *secret_key);
void aq_statement_read(const uint8_t bytes[AQ_STATEMENT_BYTES], struct aq_statement *ret_statement);
/* True if the key that the statement names has signed it. */
bool aq_statement_is_genuine(const uint8_t bytes[AQ_STATEMENT_BYTES]);

struct aq_signer; /* evidence.h */
/*
 * Fills in the keys, the epoch and the times, and signs: 256 bytes. When it fails, nothing has changed, unless with
 * -ESTALE: another recorder has used the key, and this one can't sign any more.
 */
int aq_signer_sign(struct aq_signer *s, struct aq_statement *statement, uint8_t *ret_bytes, struct aq_err *err);

enum aq_manifest_type { AQ_MANIFEST_START = 1, AQ_MANIFEST_SEGMENT = 2 };

struct aq_manifest_entry { /* one segment that nothing is added to any more */
	uint32_t flags;                /* enum aq_statement_flag; 0: it was given up without a footer */
	uint64_t segment, bytes, events;
	uint64_t first_ns, last_ns;
	uint8_t chain[AQ_CHAIN_BYTES]; /* after its last block */
	const uint8_t *statements;     /* of the segment, statement_count * AQ_STATEMENT_BYTES, borrowed */
	uint32_t statement_count;
};

struct aq_manifest_writer {
	int fd;
	uint64_t bytes, number;
	uint64_t last_segment; /* the highest that has an entry */
	uint8_t chain[AQ_CHAIN_BYTES];
};
/*
 * Makes the manifest in a capture's folder, or goes on with the one that is there behind its last whole block, and
 * writes that a recording starts. carried: a statement that may not have reached its segment, or NULL. Negative errno;
 * ret is to be closed in any case.
 */
int aq_manifest_open(int dir_fd, const uint8_t capture_id[16], const uint8_t *carried, struct aq_manifest_writer *ret);
/* On the disk when it returns. */
int aq_manifest_add(struct aq_manifest_writer *m, const struct aq_manifest_entry *entry);
/* An entry for the file of a segment that a recorder left without one, from what it holds. -ENOENT: it is not there. */
int aq_manifest_adopt(struct aq_manifest_writer *m, const char *segment_path, uint64_t number);
/* A statement that could not be written into its segment. */
int aq_manifest_carry(struct aq_manifest_writer *m, const uint8_t capture_id[16], const uint8_t *carried);
void aq_manifest_close(struct aq_manifest_writer *m);

/* A block of a manifest as read back. False when it is cut or senseless; pointers are borrowed from the payload. */
bool aq_manifest_read_start(struct aq_bytes *r, uint8_t ret_capture_id[16], const uint8_t **ret_carried);
bool aq_manifest_read_entry(struct aq_bytes *r, struct aq_manifest_entry *ret_entry);

#endif
