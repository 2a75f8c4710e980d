/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts from the objects of Kubernetes: a pod, namespace, service, or a list of them, as the API server, the kubelet's
 * /pods and `kubectl get pods -A -o json` give them. Pure functions of the document: who asked for it is not known here.
 * What the document says is anybody's text: types that are wrong, names that are too long and subjects with characters
 * that no such name has are left out, and everything else goes on.
 */
#ifndef AQ_FORMAT_FACTS_PODS_H
#define AQ_FORMAT_FACTS_PODS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/facts/fact.h"

struct cJSON;

enum { AQ_PODS_NAME_MAX = 254 }; /* with its NUL: the longest name that Kubernetes allows is 253 */

struct aq_pods_owner {
	char kind[64], name[AQ_PODS_NAME_MAX];
};

/* Who owns a ReplicaSet or Job; true and ret_owner as it was: nobody; false: not known (here). */
typedef bool aq_pods_owner_of(void *user, const char *kind, const char *namespace, const char *name,
			      struct aq_pods_owner *ret_owner);

struct aq_pods_options {
	const char *source;            /* kubernetes, kubelet or import */
	const char *kind;              /* of an object that doesn't say its own, as in lists; NULL */
	int64_t real_to_boot_ns;       /* added to a wall time it gives the boot clock */
	const char *const *annotations; /* names of those that are kept */
	size_t annotation_count;
	aq_pods_owner_of *owner;       /* NULL: only what the pod itself tells */
	void *owner_user;
	uint64_t ended_ns;             /* boot clock; not 0: the object is gone, at this time at the latest */
};

/*
 * Gives every fact of the object to the sink. The object may be one of the kinds above or a list of any of them (also a
 * ReplicaSet or Job, which name the owners of pods in the same list). -EINVAL: it is none; -ENOMEM, or the sink's.
 */
int aq_pods_facts(const struct cJSON *object, const struct aq_pods_options *options, aq_fact_sink *sink, void *user);

/* The controller among an object's ownerReferences; false: none. */
bool aq_pods_controller(const struct cJSON *object, struct aq_pods_owner *ret_owner);

/* metadata.NAME of an object if it is text of less than max bytes, borrowed; else NULL. */
const char *aq_pods_meta(const struct cJSON *object, const char *name, size_t max);

/*
 * {"source":…,"unknown":…} about everything of a kind (pod, namespace, address) that this source would tell: the subject
 * is pod:* and so on. from_ns 0: at any time.
 */
int aq_pods_unknown(const char *source, const char *of, const char *reason, uint64_t from_ns, uint64_t to_ns,
		    aq_fact_sink *sink, void *user);

#endif
