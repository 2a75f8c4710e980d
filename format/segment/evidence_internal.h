/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of checking evidence share: files and chain on one side, signatures and manifest on the other. */
#ifndef AQ_FORMAT_SEGMENT_EVIDENCE_INTERNAL_H
#define AQ_FORMAT_SEGMENT_EVIDENCE_INTERNAL_H

#include "format/segment/capture.h"
#include "format/segment/evidence.h"
#include "format/segment/manifest.h"

struct aq_manifest_ref { /* an entry; its statements are read when they are needed */
	struct aq_manifest_entry entry;
	struct aq_block block;
};

struct aq_carried { /* a statement from the manifest that may stand in no segment */
	uint8_t bytes[AQ_STATEMENT_BYTES];
	uint64_t offset;
	bool fits; /* the chain has the value that it signs, at its place */
};

struct aq_loaded_manifest {
	bool present, damaged;
	struct aq_segment file;
	struct aq_manifest_ref *entries; /* by ascending segment */
	size_t entry_count;
	struct aq_carried *carried;
	size_t carried_count;
	/* while it is loaded */
	uint8_t chain[AQ_CHAIN_BYTES];
	uint64_t next_block;
	bool known;
};

struct aq_check {
	struct aq_evidence *e;
	const struct aq_keys *keys; /* trusted, or NULL */
	bool out_of_memory, is_folder;
	struct aq_buf buf;
	struct aq_loaded_manifest manifest;
	uint8_t capture_id[16];
	bool id_known;

	uint8_t value[AQ_CHAIN_BYTES]; /* of the chain, after the last block */
	bool known;                    /* value is what the next block has to follow */
	const struct aq_segment *segment;
	uint64_t segment_number, next_block;
	bool foreign;                  /* the segment belongs to another capture: it is not looked at further */
	bool hurt;                     /* there was damage just before: a jump in the numbers needs no other reason */
	bool torn;                     /* the segment does not end with a whole block */
	bool footer_seen;
	/* of a segment that was written again in its place: the chain's value after the one that was recorded there */
	bool replaced, behind_replaced; /* this one; the one before it */
	uint8_t replaced_value[AQ_CHAIN_BYTES];
	uint8_t other_value[AQ_CHAIN_BYTES]; /* after the new one: a recording that continued it follows that */
	uint64_t replaced_segments;
	bool added;                    /* the segment says that it holds added facts only, and it stands behind a signed end */
	bool retention;                /* the segment behind a hole says that older ones are removed on purpose */

	bool linked;                   /* there was a signature; next_* is what it vouches for */
	bool trust;
	uint64_t next_epoch;
	uint8_t next_key[AQ_KEY_BYTES];
	uint32_t last_flags;           /* of the last statement */
	bool hurt_since;               /* something is damaged since the last statement: it may have been one */
	uint64_t signed_segment;       /* of the last statement */
	size_t waiting;                /* findings from here on wait for the signature after them */
};

void aq_found(struct aq_check *c, enum aq_finding_kind kind, const char *file, uint64_t offset, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* A block's header and payload into c->buf. False when it can't be read. *ret_whole: its checksum is right. */
bool aq_check_load(struct aq_check *c, const struct aq_segment *s, const struct aq_block *block,
		   uint8_t header[AQ_BLOCK_HEADER_BYTES], bool *ret_whole);

void aq_check_manifest_load(struct aq_check *c, const char *folder);
void aq_check_manifest_release(struct aq_loaded_manifest *m);
const struct aq_manifest_ref *aq_check_manifest_find(const struct aq_check *c, uint64_t segment);
/* Segments that are not there: the keys and the chain go on through what the manifest kept of them. */
void aq_check_removed(struct aq_check *c, uint64_t first, uint64_t last, const char *beside);
/* A signature in a segment, with c->value the chain before it. It may lie in c->buf, which is used. */
void aq_check_statement(struct aq_check *c, const uint8_t *loaded, const struct aq_block *block);
/* Statements of the manifest that sign the block which was just passed. */
void aq_check_carried(struct aq_check *c, const struct aq_block *block);
/* After the last segment. */
void aq_check_keys_end(struct aq_check *c, uint64_t first_segment, uint64_t last_segment);

#endif
