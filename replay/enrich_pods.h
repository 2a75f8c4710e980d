/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts from what kubectl prints as JSON: Pods, Namespaces and Services, one object or a List of them. The source of these
 * facts is "import". Nothing in the text is trusted.
 */
#ifndef AQ_REPLAY_ENRICH_PODS_H
#define AQ_REPLAY_ENRICH_PODS_H

#include "format/base/err.h"
#include "format/facts/fact.h"
#include "format/segment/reader.h"

struct aq_enrich_counts {
	uint64_t pods, namespaces, addresses, facts;
};

enum { AQ_ENRICH_INPUT_MAX = 512 * 1024 * 1024 };
/* Times are turned into those of the capture. -EBADMSG: no JSON, or nothing of the kind in it; or what the sink says. */
int aq_enrich_pods(const struct aq_capture *c, const char *json, size_t len, aq_fact_sink *sink, void *user,
		   struct aq_enrich_counts *ret_counts, struct aq_err *err);

#endif
