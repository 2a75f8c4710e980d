/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the engine, shared by query.c and group.c.
 */
#ifndef AQ_QUERY_QUERY_INTERNAL_H
#define AQ_QUERY_QUERY_INTERNAL_H

#include "query/facts.h"
#include "query/filter_internal.h"
#include "query/names.h"
#include "query/query.h"

enum { AQ_SET_WORDS = AQ_FILTER_SET_WORDS };

struct aq_query {
	struct aq_capture *capture;
	const struct aq_capture_info *info;
	struct aq_filter *filter;
	struct aq_field **fields;
	size_t field_count;
	uint64_t from_ns, to_ns, limit;
	unsigned needs;
	bool cgroups_only;                   /* of the state only the cgroups are followed */
	bool gap_rows;
	uint64_t row_set[AQ_SET_WORDS];      /* ids that can be rows */
	uint64_t state_set[AQ_SET_WORDS];    /* ids that the state is fed with */
	uint64_t read_set[AQ_SET_WORDS];
	struct aq_state *state;
	struct aq_facts *facts;
	struct aq_names *names;
	struct aq_scratch *scratch;
	struct aq_event_iter *iter;
	struct aq_gap *gaps; /* owned; what they point to is the capture's */
	size_t gap_count, gap_row, gap_fed;  /* positions in gaps: the next for rows, the next for the state */
	struct aq_event ev;
	bool has_event, at_end;
	struct aq_row row;
	uint64_t num, rows;
	/* called for every event that the state was fed with; may be NULL. Negative: stops with it. */
	int (*on_state)(void *user, const struct aq_state *state, const struct aq_event *ev, const struct aq_touch *touch);
	void *on_state_user;
	uint32_t degraded_rows;
};

int aq_query_start(struct aq_query *q, struct aq_err *err); /* opens the iterator once */
/* Feeds the state with what is known of the begin of a capture that lacks its first segments; before any event. */
int aq_query_preload(struct aq_query *q, struct aq_err *err);
/* As aq_query_next, without the limit. */
int aq_query_step(struct aq_query *q, struct aq_row **ret_row, struct aq_err *err);
/* True when ids (and times at the edges of the window) decide everything. */
bool aq_query_is_columnar(const struct aq_query *q);
/* Adds the rows of all chunks to by_id (AQ_EVENT_ID_MAX counters): only for columnar queries. */
int aq_query_count_ids(struct aq_query *q, uint64_t *by_id, struct aq_err *err);

#endif
