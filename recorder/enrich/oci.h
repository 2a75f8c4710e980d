/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names from what container runtimes keep on disk: runc, crun, containerd, podman, CRI-O and Docker, also rootless. Their
 * folders are read once and then followed with inotify by a thread of its own, for which nobody waits; a file that isn't
 * whole yet is read again within milliseconds. Nothing but these files is opened, no link is followed, and of what stands
 * in them no secret is taken.
 */
#ifndef AQ_RECORDER_ENRICH_OCI_H
#define AQ_RECORDER_ENRICH_OCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/base/err.h"
#include "format/facts/fact.h"

struct aq_oci;

/* All texts are borrowed for aq_oci_new only. */
struct aq_oci_options {
	bool usual;                     /* the places where runtimes keep their state when nobody says otherwise */
	const char *const *folders;     /* state folders of runtimes: of runc, crun or containerd, or a root of storage */
	size_t folder_count;
	size_t memory_bytes;            /* for what is kept to close facts later; 0: 16 MiB */
};

int aq_oci_new(const struct aq_oci_options *options, aq_fact_sink *sink, void *user, struct aq_oci **ret, struct aq_err *err);
/* The sink is called on the thread only. */
int aq_oci_start(struct aq_oci *o);
/* Stops the thread within milliseconds. NULL is fine. */
void aq_oci_free(struct aq_oci *o);

#endif
