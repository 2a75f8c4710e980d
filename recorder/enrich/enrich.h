/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that asks for names while the recorder runs, and the queue in which their facts wait for the thread that writes. Each
 * source has a thread of its own; none can delay the recording, and all together keep within their share of memory.
 */
#ifndef AQ_RECORDER_ENRICH_ENRICH_H
#define AQ_RECORDER_ENRICH_ENRICH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/base/err.h"
#include "recorder/enrich/fact_queue.h"
#include "recorder/enrich/kube.h"

struct aq_enrich;

/* Borrowed for aq_enrich_new only. */
struct aq_enrich_options {
	const struct aq_kube_options *kube; /* NULL: nobody is asked for pods */
	bool usual_files;               /* look where container runtimes usually keep their state */
	const char *const *state_folders; /* and in these */
	size_t state_folder_count;
	bool usual_sockets;             /* ask the container engines that listen where they usually do */
	const char *const *sockets;     /* and those at these */
	size_t socket_count;
	size_t memory_bytes;            /* of all, with the facts kept by the pipeline; 0: 64 MiB */
};

/* err may hold a warning when 0 is returned (err->code 0, text not empty). */
int aq_enrich_new(const struct aq_enrich_options *options, struct aq_enrich **ret, struct aq_err *err);
/* Begins to ask; what can't be begun is said on stderr, and the recording goes on without it. */
void aq_enrich_start(struct aq_enrich *e);
/* No fact comes after it. The queue stays. */
void aq_enrich_stop(struct aq_enrich *e);
void aq_enrich_free(struct aq_enrich *e); /* NULL is fine */

struct aq_fact_queue *aq_enrich_facts(struct aq_enrich *e);
/* What the pipeline may use to keep facts for later segments. */
size_t aq_enrich_keep_bytes(const struct aq_enrich *e);

#endif
