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

/*
 * What shows of an encrypted capture to whoever continues it without a key: a hash of boot id, host, time resolution and
 * pointer policy. Nobody can guess what went into it, as a boot id is random.
 */
void aq_alike(const char *boot_id, const char *host, uint32_t time_resolution_ns, bool keep_pointers, uint8_t ret_hash[AQ_ALIKE_BYTES]);

/* -EXDEV, -EINVAL, -EBADMSG with a sentence when it can't be continued by a recording with that meta and options, encrypted or not. */
int aq_capture_continue(const char *path, const struct aq_capture_meta *meta, const struct aq_writer_options *options,
			bool encrypted, struct aq_continued *ret_continued, struct aq_err *err);

#endif
