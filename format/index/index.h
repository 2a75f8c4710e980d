/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sqlite catalogue of a capture, index.sqlite in its folder: segments, chunks, gaps, ledger, processes, cgroups, facts,
 * what they say about containers, pods, namespaces and addresses, marks. Derived from the segments alone: it can be deleted and built again, with the same rows.
 *
 * Threads: the functions keep no state; two builds of one capture at a time end with one of both, whole.
 */
#ifndef AQ_FORMAT_INDEX_INDEX_H
#define AQ_FORMAT_INDEX_INDEX_H

#include <stdbool.h>

#include "format/base/err.h"

struct aq_keys;

enum { AQ_INDEX_VERSION = 2 }; /* PRAGMA user_version */

enum aq_index_state {
	AQ_INDEX_MISSING = 0,
	AQ_INDEX_STALE = 1,   /* of another version, damaged, or the segments have changed since */
	AQ_INDEX_CURRENT = 2,
};

/*
 * Builds the index of the capture in folder capture_path and puts it in place of an older one when it is whole (0600).
 * progress may be NULL. 0, or -errno with a sentence; then an older index is left as it was.
 */
int aq_index_build(const char *capture_path, void (*progress)(void *user, uint64_t done, uint64_t total), void *user,
		   struct aq_err *err);
/* The same for captures that may be encrypted. The index never is: without plain none is made of one, -EPERM. */
struct aq_index_options {
	const struct aq_keys *keys; /* borrowed during the call; NULL: none */
	bool plain;
};
int aq_index_build_with(const char *capture_path, const struct aq_index_options *options,
			void (*progress)(void *user, uint64_t done, uint64_t total), void *user, struct aq_err *err);
/* Whether there is an index that fits the segments. */
int aq_index_check(const char *capture_path, enum aq_index_state *ret_state, struct aq_err *err);

#endif
