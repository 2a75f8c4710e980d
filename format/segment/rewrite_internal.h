/* SPDX-License-Identifier: Apache-2.0 */
/* What rewrite.c, which makes new captures, and replace.c, which writes segments again in their place, share. */
#ifndef AQ_FORMAT_SEGMENT_REWRITE_INTERNAL_H
#define AQ_FORMAT_SEGMENT_REWRITE_INTERNAL_H

#include "format/segment/capture.h"
#include "format/segment/rewrite.h"
#include "format/segment/writer.h"

enum { AQ_REWRITE_CPUS = 4096 };

/* Any number of events, whatever their order: the sum of their hashes. */
struct aq_rewrite_digest {
	uint64_t events, low, high;
};

struct aq_rewrite {
	struct aq_capture *from;
	const struct aq_rewrite_options *options;
	struct aq_capture_writer *writer;
	struct aq_rewrite_result *result;
	struct aq_rewrite_digest digest;
	struct aq_buf scratch;
	uint64_t (*stored)[AQ_CLASS_COUNT]; /* AQ_REWRITE_CPUS rows: what was read of events from rings */
	size_t clock;                       /* the next pair of clocks to be written */
	int64_t clock_offset;
};

/* About the same recording; the capture id is left to the caller. All borrowed from c, and derived_json. */
struct aq_capture_meta aq_rewrite_meta(const struct aq_capture *c, const char *derived_json);
/* The events of a chunk into w->writer and w->digest. Of a damaged one none, which is an error if whole_only. */
int aq_rewrite_chunk(struct aq_rewrite *w, uint32_t index, struct aq_err *err);
/* Pairs of clocks from *next on up to a time, those only that say something new. */
int aq_rewrite_clocks(const struct aq_capture *c, struct aq_capture_writer *writer, size_t *next, int64_t *offset,
		      uint64_t until_ns, struct aq_err *err);
/* user: struct aq_rewrite. What was written to path holds what was read; fills the result. -EUCLEAN: it does not. */
int aq_rewrite_read_again(void *user, const char *path, struct aq_err *err);

#endif
