/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who an event belongs to, by name: from its cgroup to container, pod and namespace, and from an address to who owned it,
 * each at the time of the event. What was found is kept with the span in which it holds, so that a scan asks the facts once
 * for each cgroup and time and not once for each event.
 *
 * A container's pod is the one its facts name, else the one whose facts list the container, else the one whose uid stands
 * in the path of the cgroup. Ids of containers and pods are not used again: what is known of another time is taken where
 * nothing is known of this one. Addresses are: there only facts whose span holds the time count.
 *
 * Threads: one at a time. Texts are borrowed until _free of the facts.
 */
#ifndef AQ_QUERY_NAMES_H
#define AQ_QUERY_NAMES_H

#include "query/facts.h"
#include "query/state.h"

struct aq_names;

int aq_names_new(struct aq_facts *facts, struct aq_names **ret_names); /* facts borrowed until _free; -ENOMEM */
void aq_names_free(struct aq_names *n);                                 /* NULL allowed */

/* What can be asked of a container, by a cgroup: the text members of the facts and what follows from them. */
enum aq_name {
	AQ_NAME_CONTAINER, AQ_NAME_IMAGE, AQ_NAME_IMAGE_REPOSITORY, AQ_NAME_IMAGE_TAG, AQ_NAME_IMAGE_DIGEST, AQ_NAME_START,
	AQ_NAME_CONTAINER_UNKNOWN, AQ_NAME_POD, AQ_NAME_POD_UID, AQ_NAME_NAMESPACE, AQ_NAME_DEPLOYMENT, AQ_NAME_REPLICASET,
	AQ_NAME_RC, AQ_NAME_JOB, AQ_NAME_CRONJOB, AQ_NAME_DAEMONSET, AQ_NAME_STATEFULSET, AQ_NAME_OWNER_KIND,
	AQ_NAME_OWNER_NAME, AQ_NAME_WORKLOAD_KIND, AQ_NAME_WORKLOAD_NAME, AQ_NAME_NODE, AQ_NAME_SERVICE_ACCOUNT,
	AQ_NAME_POD_CONTAINER, AQ_NAME_POD_UNKNOWN, AQ_NAME_COUNT
};
/* s NULL: unknown, or there is no such thing. */
struct aq_fact_text aq_name_of(struct aq_names *n, const struct aq_cgroup *c, uint64_t time_ns, enum aq_name name);

/* Which container it is, by its path or by a fact that names its cgroup; false: none that is known. */
bool aq_name_container(struct aq_names *n, const struct aq_cgroup *c, uint64_t time_ns, struct aq_fact_text *ret_id,
		       struct aq_fact_text *ret_engine);

enum aq_name_table { AQ_NT_CONTAINER, AQ_NT_POD, AQ_NT_NAMESPACE };
/* The fact that has rows of the list, of the container, its pod or its namespace; NULL: none. */
const struct aq_fact_doc *aq_name_list(struct aq_names *n, const struct aq_cgroup *c, uint64_t time_ns,
				       enum aq_name_table table, enum aq_fact_list list);

/* What can be asked of an address. NAME is a name of DNS if one was seen, else that of the service, pod, container or node. */
enum aq_address_name { AQ_AN_NAME, AQ_AN_POD, AQ_AN_NAMESPACE, AQ_AN_SERVICE, AQ_AN_COUNT };
struct aq_fact_text aq_name_of_address(struct aq_names *n, const uint8_t *ip, unsigned ip_len, uint64_t time_ns,
				       enum aq_address_name name);

/* The pod's uid in the path of a cgroup; false: none. buf has AQ_POD_UID_BYTES. */
enum { AQ_POD_UID_BYTES = 64 };
bool aq_cgroup_pod_uid(const char *path, size_t len, char *buf);

#endif
