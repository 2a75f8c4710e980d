/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns the owners of pods: the Deployment of a ReplicaSet, the CronJob of a Job. What isn't known waits to be asked
 * for; what hasn't been needed for longest makes room for others. One thread.
 */
#ifndef AQ_RECORDER_ENRICH_KUBE_OWNERS_H
#define AQ_RECORDER_ENRICH_KUBE_OWNERS_H

#include <stdbool.h>
#include <stddef.h>

#include "format/facts/pods.h"

enum { AQ_KUBE_OWNERS_MAX = 4096 };

struct aq_kube_owner;

struct aq_kube_owners {
	struct aq_kube_owner *bucket[1024];
	struct aq_kube_owner *newest, *oldest;  /* by when they were last needed */
	struct aq_kube_owner *ask, *ask_last;   /* those that wait, in turn */
	size_t count;
};

/* All zero is empty. */
void aq_kube_owners_release(struct aq_kube_owners *o);

/*
 * True: the answer is known; nobody owns it: ret stays as it is. False: not known (yet); a new one is asked for unless all
 * places wait already.
 */
bool aq_kube_owners_find(struct aq_kube_owners *o, const char *kind, const char *namespace, const char *name,
			 struct aq_pods_owner *ret);

/* What is to be asked for now. Texts are borrowed until the next _find, _answer or _later. False: nothing. */
struct aq_kube_question {
	const char *kind, *namespace, *name;
};
bool aq_kube_owners_next(const struct aq_kube_owners *o, struct aq_kube_question *ret);

/* The answer to what _next gave. known false: the object is gone, nobody can say. of NULL: nobody owns it. */
void aq_kube_owners_answer(struct aq_kube_owners *o, bool known, const struct aq_pods_owner *of);
/* There was none: the others come first. */
void aq_kube_owners_later(struct aq_kube_owners *o);

#endif
