/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of a capture as a capture: the events that match a filter in a window, and of the rest only what makes state for
 * the processes they belong to, their ancestors, and who wrote the programs that they run. No event, text, gap count by
 * call or process of anybody else.
 */
#ifndef AQ_QUERY_EXTRACT_H
#define AQ_QUERY_EXTRACT_H

#include <signal.h>

#include "query/query.h"

struct aq_extract_options {
	const char *filter;            /* NULL: all events of the window */
	uint64_t from_ns, to_ns;       /* boot clock, inclusive; to_ns 0: no end */
	const char *derived_json;      /* as in rewrite.h */
	int zstd_level;                /* 0: 3 */
	const volatile sig_atomic_t *stop; /* looked at now and then: when it is set, -ECANCELED; NULL: never */
	void (*progress)(void *user, uint64_t events, uint64_t of_events); /* NULL: none */
	void *user;
};
struct aq_extract_result {
	uint64_t matches;              /* events that matched */
	uint64_t state;                /* others, kept for what they say about the state */
	uint64_t left_out;             /* stored ring events of the source that are not there; policy in the new ledger */
	uint64_t processes;
};

/* Errors as those of aq_query_new and aq_capture_derive; -ENODATA: nothing matches, and nothing was made. */
int aq_extract(struct aq_capture *c, const char *to, const struct aq_extract_options *options,
	       struct aq_extract_result *ret_result, struct aq_err *err);

#endif
