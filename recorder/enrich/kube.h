/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names from Kubernetes: the API server's list and watch of this node's pods, of namespaces and services, or the kubelet's
 * /pods. It has a thread of its own and nothing waits for it; whatever the other side does costs names only, and why they
 * are missing is itself a fact (pod:*, namespace:*, address:* with "unknown"). Tokens and keys stand in memory only.
 */
#ifndef AQ_RECORDER_ENRICH_KUBE_H
#define AQ_RECORDER_ENRICH_KUBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/base/err.h"
#include "format/facts/fact.h"

struct aq_kube;

/* All texts are borrowed for aq_kube_new only. */
struct aq_kube_options {
	const char *kubeconfig;         /* file; NULL */
	bool in_cluster;                /* the service account of the pod that this runs in */
	const char *kubelet;            /* https://HOST:10250 or http://HOST:10255; NULL */
	const char *token_file;         /* for the kubelet, and the API server instead of what is configured; NULL */
	const char *ca_file;            /* likewise */
	const char *node_name;          /* NULL: $NODE_NAME, else this host's name; "*": the pods of all nodes */
	const char *const *annotations; /* kept with pods */
	size_t annotation_count;
	bool services;                  /* addresses of services as well */
	size_t memory_bytes;            /* for what is kept to close facts later; 0: 64 MiB */
	uint64_t poll_ns;               /* between looks at the kubelet; 0: 15 s */
	uint64_t stall_ns;              /* an answer that doesn't move is given up; 0: 20 s */
	uint64_t watch_ns;              /* a watch is asked for again after this; 0: 5 min */
	const char *service_account;    /* NULL: /var/run/secrets/kubernetes.io/serviceaccount */
};

/*
 * -EINVAL: options or files that can't work, said in err; -ENOENT and the like from files. err may hold a warning when 0
 * is returned (err->code 0, text not empty): a certificate that nobody checks. The sink is called on the thread only.
 */
int aq_kube_new(const struct aq_kube_options *options, aq_fact_sink *sink, void *user, struct aq_kube **ret,
		struct aq_err *err);
int aq_kube_start(struct aq_kube *k);
/*
 * A container of a pod has appeared: a kubelet that is asked from time to time is asked at once, and once more when it has
 * had time to notice, but never more often than once in a second. Not where a watch tells everything. Any thread.
 */
void aq_kube_hint(struct aq_kube *k);
/* Stops the thread within some milliseconds, whatever the other side does. NULL is fine. */
void aq_kube_free(struct aq_kube *k);

#endif
