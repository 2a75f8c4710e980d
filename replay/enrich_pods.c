/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what kubectl printed, and counts the facts that follow from it. */
#include "replay/enrich_pods.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <string.h>

#include "format/facts/pods.h"

struct counting {
	aq_fact_sink *sink;
	void *user;
	struct aq_enrich_counts *counts;
	int error; /* of the sink */
};

static int count_and_give(void *user, const struct aq_fact *fact)
{
	struct counting *x = user;

	x->counts->pods += strncmp(fact->subject, "pod:", 4) == 0;
	x->counts->namespaces += strncmp(fact->subject, "namespace:", 10) == 0;
	x->counts->addresses += strncmp(fact->subject, "address:", 8) == 0;
	x->counts->facts++;
	x->error = x->sink(x->user, fact);
	return x->error;
}

int aq_enrich_pods(const struct aq_capture *c, const char *json, size_t len, aq_fact_sink *sink, void *user,
		   struct aq_enrich_counts *ret_counts, struct aq_err *err)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	const struct aq_pods_options options = { .source = "import",
						 .real_to_boot_ns = (int64_t)(info->start_boot_ns - info->start_real_ns) };
	struct counting x = { .sink = sink, .user = user, .counts = ret_counts };
	cJSON *root;
	int r;

	*ret_counts = (struct aq_enrich_counts){ 0 };
	root = cJSON_ParseWithLength(json, len);
	if (!root)
		return aq_err_set(err, -EBADMSG, "it is no JSON; what is wanted is the output of kubectl get pods -A -o json");
	r = aq_pods_facts(root, &options, count_and_give, &x);
	cJSON_Delete(root);
	if (x.error < 0)
		return x.error; /* and its sentence is in err */
	if (r == -EINVAL || (r == 0 && ret_counts->facts == 0))
		return aq_err_set(err, -EBADMSG, "there are no pods, namespaces or services in it");
	return r < 0 ? aq_err_set(err, r, "no memory for facts") : 0;
}
