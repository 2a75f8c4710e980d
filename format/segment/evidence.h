/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence: who signs a capture while it is recorded, and what its chain and signatures prove afterwards. FORMAT.md,
 * section 14, says what is chained and signed, and what an intruder can and can't do.
 */
#ifndef AQ_FORMAT_SEGMENT_EVIDENCE_H
#define AQ_FORMAT_SEGMENT_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/base/err.h"

#pragma GCC visibility push(default) /* what libaquila may export */

enum { AQ_PUBLIC_KEY_BYTES = 32 };

/*
 * A signing key that moves forward: each signature vouches for the public key of the next epoch, replaces the secret in
 * the key's file by that of the next epoch, and wipes the one that signed. One thread at a time.
 */
struct aq_signer;
/* Reads the secret of the present epoch. The file's folder must belong to the effective user, as the file is replaced. */
int aq_signer_new(const char *key_path, struct aq_signer **ret_signer, struct aq_err *err);
void aq_signer_free(struct aq_signer *s); /* NULL allowed; wipes the secret */
uint64_t aq_signer_epoch(const struct aq_signer *s);
/* Public key of the present epoch, borrowed. */
const uint8_t *aq_signer_public_key(const struct aq_signer *s);
/* The statement that the key signed last, as the file keeps it: it may not have reached its segment. NULL: none. */
const uint8_t *aq_signer_carried(const struct aq_signer *s);

enum aq_finding_kind {
	AQ_FINDING_ALTERED, /* checksums fit, the chain or a signature does not: no accident does that */
	AQ_FINDING_DAMAGED, /* a checksum is wrong: chance, or somebody who did not mend it; what was written between the
			     * signature before it and this place is proven by nothing any more */
	AQ_FINDING_REMOVED, /* closed segments are not there; the manifest tells what they were */
	AQ_FINDING_NOTE,    /* proves nothing and hides nothing */
};
const char *aq_finding_kind_name(enum aq_finding_kind kind); /* "altered", … */

struct aq_finding {
	enum aq_finding_kind kind;
	char *file;                        /* owned by the result */
	uint64_t offset;
	uint64_t from_real_ns, to_real_ns; /* of the signatures before and after it; 0: there is none */
	char text[256];
};

struct aq_evidence {
	bool chained;                      /* blocks carry chain values: all but those of the first samples do */
	uint64_t blocks;                   /* looked at */
	uint64_t signatures;               /* genuine ones over what is there */
	uint64_t altered, damaged, removed; /* findings of each kind */
	struct aq_finding *findings;
	size_t finding_count;
	bool trusted;                      /* the last signature leads back to one of the given keys */
	uint64_t first_epoch, last_epoch;  /* of the signatures */
	uint8_t public_key[AQ_PUBLIC_KEY_BYTES]; /* of the first epoch */
	uint8_t next_key[AQ_PUBLIC_KEY_BYTES];   /* of the epoch after the last */
	uint64_t signed_real_ns, signed_boot_ns; /* the last signature: what came before is proven; 0: none */
	bool ended;                        /* that signature says that the recording ended */
	uint64_t tail_blocks, tail_bytes;  /* after it, without what follows */
	uint64_t added_segments, added_blocks; /* facts added after the signed end, not signed: they can name, and nothing else */
};

struct aq_keys; /* key.h */
/*
 * Follows the chain and the signatures through all files of a capture, a folder or one segment. keys: public signing
 * keys that the caller trusts, of any epoch, borrowed, or NULL. Findings are no error: negative only for what can't be read at all and for
 * a lack of memory. ret is to be released in any case.
 */
int aq_evidence_check(const char *path, const struct aq_keys *keys, struct aq_evidence *ret_evidence, struct aq_err *err);
void aq_evidence_release(struct aq_evidence *e);

/* The value that a segment says it follows. -EBADMSG: it says none. */
int aq_evidence_value_before(const char *segment_path, uint8_t ret_value[32]);
/* The value of the chain at the last whole block of a segment file, for a recorder that goes on after it. */
int aq_evidence_last_value(const char *segment_path, uint8_t ret_value[32], struct aq_err *err);

#pragma GCC visibility pop

#endif
