/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open writer as its files share it: writer.c (its life and what callers say), writer_blocks.c (how bytes, blocks
 * and chunks get to the file and the disk) and writer_segment.c (what begins and ends a segment, ledger, evidence).
 * Private to this folder. All that can fail returns -errno and has told _fail.
 */
#ifndef AQ_FORMAT_SEGMENT_WRITER_INTERNAL_H
#define AQ_FORMAT_SEGMENT_WRITER_INTERNAL_H

#include "format/segment/ahead.h"
#include "format/segment/builder.h"
#include "format/segment/evidence.h"
#include "format/segment/manifest.h"
#include "format/segment/seal.h"
#include "format/segment/writer.h"

enum { AQ_WRITER_CPUS_MAX = 4096 }; /* rows of stats.stored */

/* A segment that is to stand where another one did: options.place, borrowed until free. The folder must be new. */
struct aq_writer_place {
	uint64_t number;
	uint32_t recording;
	uint8_t before[AQ_CHAIN_BYTES];      /* the chain's value before it */
	uint8_t replaced[AQ_REPLACED_BYTES]; /* its fact */
};

struct aq_capture_writer {
	char *path;
	int dir_fd, fd;
	struct aq_ahead *ahead; /* with AQ_SYNC_VITAL; NULL: none */
	struct aq_writer_options options;
	struct aq_capture_meta meta;
	char *strings[AQ_FACT_COUNT]; /* owned copies behind meta */
	uint64_t segment_number, segment_bytes, block_number, segment_start_ns;
	struct aq_footer_summary summary; /* of the open segment */
	/* where a failed write cuts the file off, before the group of blocks it belongs to, and what was so then */
	uint64_t whole_bytes, whole_block_number;
	size_t whole_footer_bytes;
	uint8_t whole_chain[AQ_CHAIN_BYTES];
	uint32_t recording;
	struct aq_chunk_builder builder;
	struct aq_chunk_builder early; /* class 0 with AQ_SYNC_VITAL; else never filled */
	struct aq_dictionary dictionary;
	uint32_t chunks_in_generation; /* in sixteenths */
	size_t fresh_string_mark; /* dictionary bytes when the open chunk began */
	struct aq_buf payload, attrs, types, footer, gaps;
	uint32_t gap_count;
	uint64_t gaps_first_ns, gaps_last_ns; /* of those in gaps */
	bool ledger_due;
	struct aq_ledger_row *rows;
	size_t row_count;
	uint64_t ledger_boot_ns, ledger_real_ns;
	struct aq_writer_stats *stats;
	const struct aq_chunk_builder *in_flight; /* whose rows are encoded and not written yet */
	uint32_t in_flight_rows;
	uint64_t (*pending)[AQ_CLASS_COUNT]; /* AQ_WRITER_CPUS_MAX rows, scratch of write_chunk */
	uint8_t chain[AQ_CHAIN_BYTES]; /* after the last block */
	struct aq_manifest_writer manifest;
	struct aq_buf statements;      /* signatures of this segment */
	bool unwritten;                /* the last signature was made, but its block could not be written */
	uint64_t signed_blocks, signed_ns; /* blocks of the segment up to the last signature; its boot time */
	struct aq_keys recipients;
	struct aq_seal *seal; /* the open segment's, in memory that is not swapped or dumped; NULL: not encrypted */
	struct aq_err failure;
	bool closed;
};

/* writer_blocks.c */
uint64_t aq_writer_boot_ns(void);
/* What is not in the file will not get there: told to on_lost, and forgotten. Returns w->failure. */
int aq_writer_fail(struct aq_capture_writer *w, struct aq_err *err);
int aq_writer_out_of_memory(struct aq_capture_writer *w, struct aq_err *err);
/* All up to here is whole: a failed write cuts the file off at the last such place. */
void aq_writer_mark_whole(struct aq_capture_writer *w);
bool aq_writer_cut_off(struct aq_capture_writer *w);
/* With options.sync chunk or vital: what was written since mark_whole is on the disk when this returns. */
int aq_writer_settle(struct aq_capture_writer *w, struct aq_err *err);
int aq_writer_append(struct aq_capture_writer *w, const void *data, size_t n, struct aq_err *err);
/* A payload is begun with _begin_block, which leaves room for the header, and then appended. ret_offset may be NULL. */
void aq_writer_begin_block(struct aq_buf *buf);
int aq_writer_append_block(struct aq_capture_writer *w, enum aq_block_kind kind, unsigned flags, struct aq_buf *buf,
			   uint64_t *ret_offset, struct aq_err *err);
int aq_writer_write_chunk(struct aq_capture_writer *w, struct aq_chunk_builder *b, struct aq_err *err);
int aq_writer_write_chunks(struct aq_capture_writer *w, struct aq_err *err); /* both builders' */
void aq_writer_widen(uint64_t *first, uint64_t *last, uint64_t from, uint64_t to);

/* writer_segment.c */
int aq_writer_open_manifest(struct aq_capture_writer *w, struct aq_err *err);
int aq_writer_open_segment(struct aq_capture_writer *w, struct aq_err *err);
int aq_writer_end_segment(struct aq_capture_writer *w, bool last, struct aq_err *err);
int aq_writer_write_ledger(struct aq_capture_writer *w, unsigned flags, struct aq_err *err); /* enum AQ_LEDGERF_ */
void aq_writer_put_gap(struct aq_capture_writer *w, const struct aq_gap *gap); /* w->gaps.failed without memory */
int aq_writer_sign_if_due(struct aq_capture_writer *w, struct aq_err *err);

#endif
