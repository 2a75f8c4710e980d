/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a writer must know of a capture that it is to continue. Nothing is written here. Private to this folder.
 */
#ifndef AQ_FORMAT_SEGMENT_APPEND_H
#define AQ_FORMAT_SEGMENT_APPEND_H

#include "format/segment/layout.h"
#include "format/segment/writer.h"

struct aq_continued {
	uint8_t capture_id[16];
	uint64_t segment_number;  /* the highest there is; 0: the folder is empty */
	uint32_t recording;       /* of the one that begins */
	uint64_t whole_ns;        /* boot time up to which all is known */
	uint8_t chain[AQ_CHAIN_BYTES]; /* after the last block that is there */
};

/* -EXDEV, -EINVAL, -EBADMSG with a sentence when it can't be continued by a recording with that meta and options. */
int aq_capture_continue(const char *path, const struct aq_capture_meta *meta, const struct aq_writer_options *options,
			struct aq_continued *ret_continued, struct aq_err *err);

#endif
