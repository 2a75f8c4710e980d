/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new capture made of an old one: the same events, gaps and totals, written again. Segments begin where those of the old
 * one begin, each with its state. What can't be read of the old one is a gap in the new one, which is whole itself.
 *
 * Threads: one at a time for each capture.
 */
#ifndef AQ_FORMAT_SEGMENT_REWRITE_H
#define AQ_FORMAT_SEGMENT_REWRITE_H

#include <signal.h>

#include "format/segment/reader.h"

#pragma GCC visibility push(default) /* what libaquila may export */

struct aq_rewrite_options {
	const char *how;               /* said in the new capture's header: "recompress", "salvage" */
	int zstd_level;                /* 0: 3 */
	bool whole_only;               /* refuse an old capture that is damaged or unfinished */
	const volatile sig_atomic_t *stop; /* looked at now and then: when it is set, -ECANCELED; NULL: never */
	void (*progress)(void *user, uint64_t events, uint64_t of_events); /* NULL: none */
	void *user;
};

struct aq_rewrite_result {
	uint64_t events, segments;
	uint64_t bytes;                /* of the new segments */
	uint64_t missing;              /* events that the old one's ledger calls stored and that could not be read */
};

/*
 * Makes the folder `to`; while it is made it has another name beside that one, and when anything fails nothing is left.
 * When it is done, it was read again and holds the same events as the old capture. -EEXIST: it is there; -ENOKEY: the old
 * capture can't be read; -EBADMSG: whole_only, and it is not; -EUCLEAN: what was read again differs (a broken machine).
 */
int aq_capture_rewrite(struct aq_capture *c, const char *to, const struct aq_rewrite_options *options,
		       struct aq_rewrite_result *ret_result, struct aq_err *err);

/*
 * Writes the finished segments of a folder again, each in its place: events, gaps, totals and the capture's id stay what
 * they are. Whatever happens, each segment is the old one or the new one, whole. Left as they are: an unfinished segment, a
 * damaged one, one that gets no smaller. A recorder may be at work in the folder; readers that have it open may find
 * damage, and open it again. -EPERM: signed, encrypted, altered or without a chain; -EBUSY: another one is at it; -ENOSPC;
 * -ECANCELED: stopped, what was done stays. options->how and whole_only are not used.
 */
struct aq_in_place_result {
	uint64_t replaced, left;       /* segments */
	uint64_t bytes_before, bytes_after; /* of the finished ones */
};
int aq_capture_rewrite_in_place(const char *path, const struct aq_rewrite_options *options,
				struct aq_in_place_result *ret_result, struct aq_err *err);

enum { AQ_CAPTURE_HASH_TEXT_BYTES = 2 * 32 + 1 };
/* BLAKE2b-256 of all segment files, one after the other, in hexadecimal. -errno when one can't be read. */
int aq_capture_hash(const struct aq_capture *c, char ret_text[AQ_CAPTURE_HASH_TEXT_BYTES], struct aq_err *err);

/* A new capture about the same host and recording, in whatever way: what rewrite and others are made of. */
struct aq_capture_writer;
struct aq_derivation {
	const char *derived_json;      /* of which capture it was made, and how */
	int zstd_level;
	int (*write)(void *user, struct aq_capture_writer *writer, struct aq_err *err); /* events, gaps, totals; no close */
	int (*check)(void *user, const char *path, struct aq_err *err); /* looks at what was written before it counts; NULL: nobody */
};
/* For `write`, after the last event: the clocks of the old capture, so that times on the wall are the same. */
int aq_capture_copy_clocks(const struct aq_capture *c, struct aq_capture_writer *writer, struct aq_err *err);
/* Makes the folder `to` as aq_capture_rewrite does: whole, or not at all. Errors are those of write and check, too. */
int aq_capture_derive(struct aq_capture *c, const char *to, const struct aq_derivation *derivation, void *user, struct aq_err *err);

#pragma GCC visibility pop

#endif
