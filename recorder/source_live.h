/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel as a source: loads the programs, fills their tables, maps their rings, attaches.
 *
 * Order: load, add targets, attach; from then on the rings fill. Stop detaches; the rings stay readable until free.
 */
#ifndef AQ_RECORDER_SOURCE_LIVE_H
#define AQ_RECORDER_SOURCE_LIVE_H

#include <sys/types.h>

#include "recorder/policy.h"
#include "recorder/source.h"

struct aq_live_options {
	uint64_t ring_bytes;      /* for all rings together; rounded down to powers of two, at least the smallest rings */
	const bool *skip;         /* AQ_WIRE_EVENTS entries: counted as left out, not recorded */
	const struct aq_policy *policy; /* filters and budgets; borrowed until attached */
	bool durations;           /* of system calls; slots are struct aq_wire_timed */
	uint32_t string_bytes, argv_bytes, data_bytes; /* limits as in struct aq_config; the first two 0: the longest */
	bool environment;         /* of new programs too */
	bool only_targets;        /* only processes named by aq_live_add_target and what descends from them */
	bool verbose;             /* the verifier's whole log in case of refusal, on stderr */
};

int aq_live_load(const struct aq_live_options *options, struct aq_source **ret_source, struct aq_err *err);
int aq_live_add_target(struct aq_source *src, pid_t pid, struct aq_err *err);
int aq_live_attach(struct aq_source *src, struct aq_err *err);
/* What was attached and what was not there, as one line; borrowed until free. "" if all is there. */
const char *aq_live_missing(struct aq_source *src);
/* Bytes of ring memory in use. */
uint64_t aq_live_ring_bytes(struct aq_source *src);

#endif
