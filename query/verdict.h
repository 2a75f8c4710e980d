/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How complete an answer is: what was lost, left out on purpose, damaged or never recorded in the window and among the
 * event ids that the question depends on. Every answer carries one.
 */
#ifndef AQ_QUERY_VERDICT_H
#define AQ_QUERY_VERDICT_H

#include "format/segment/reader.h"

enum { AQ_EXIT_COMPLETE = 0, AQ_EXIT_ERROR = 1, AQ_EXIT_USAGE = 2, AQ_EXIT_INCOMPLETE = 3 };
enum { AQ_VERDICT_TEXT_BYTES = 1024 };

struct aq_verdict_question {
	uint64_t from_ns, to_ns;     /* boot clock, inclusive; 0: as far as the recording goes */
	const uint64_t *event_set;   /* AQ_EVENT_ID_MAX bits; NULL: all */
	bool history;                /* the answer rests on state: what was lost before the window counts too */
	bool needs_attrs;            /* strings matter: degraded events count */
	uint32_t degraded_rows;      /* rows given with flag DEGRADED */
};

struct aq_verdict {
	bool complete;
	uint64_t lost;               /* events known to be missing that the question may depend on */
	uint64_t maybe;              /* of these, from gaps that do not say which events: they may not matter */
	uint64_t unknown;            /* gaps whose count is unknown */
	uint64_t filtered;           /* left out on purpose */
	uint64_t by_budget;          /* of these: because their cgroup had used up its budget */
	uint64_t removed;            /* stored once, their segments removed by retention since */
	uint64_t degraded;           /* attributes lost */
	uint64_t damaged;            /* damaged places in the files */
	uint64_t first_ns, last_ns;  /* range of the gaps that count; first > last: none */
	bool unfinished;             /* the capture was not closed, and the window reaches its end */
	bool before, after;          /* the window begins before, ends after what was recorded */
	char text[AQ_VERDICT_TEXT_BYTES]; /* "complete", or "incomplete: …" */
};

void aq_verdict_compute(const struct aq_capture *c, const struct aq_verdict_question *question,
			struct aq_verdict *ret_verdict);
static inline int aq_verdict_exit(const struct aq_verdict *v)
{
	return v->complete ? AQ_EXIT_COMPLETE : AQ_EXIT_INCOMPLETE;
}

#endif
