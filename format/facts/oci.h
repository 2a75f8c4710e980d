/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts from what container runtimes keep on disk: the bundle of the OCI runtime specification (containerd, podman, CRI-O),
 * the state of runc and crun, Docker's configuration of a container, and the list of containers/storage. Pure functions of
 * the document, which is anybody's text: what isn't of its type is left out. Of the environment only names are taken.
 */
#ifndef AQ_FORMAT_FACTS_OCI_H
#define AQ_FORMAT_FACTS_OCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/facts/fact.h"

enum aq_oci_file {
	AQ_OCI_BUNDLE,          /* config.json of containerd's tasks */
	AQ_OCI_USERDATA,        /* config.json of podman and CRI-O */
	AQ_OCI_RUNC,            /* state.json */
	AQ_OCI_CRUN,            /* status */
	AQ_OCI_DOCKER,          /* config.v2.json */
	AQ_OCI_STORAGE,         /* containers.json: names and images of many */
	AQ_OCI_FILES
};

struct aq_oci_doc {
	const char *id;         /* of the container, from the file's place; not with AQ_OCI_STORAGE */
	bool moby;              /* AQ_OCI_BUNDLE: it is one of Docker's */
	uint64_t from_ns;       /* boot clock: when its folder was made; 0: not known. Not with AQ_OCI_STORAGE */
	uint64_t made_real_ns;  /* the same by the wall clock; 0: not known */
	int64_t real_to_boot_ns; /* added to a wall time it gives the boot clock */
};

/*
 * One fact, or one for each container of the list. -EINVAL: it isn't such a document, perhaps because it is still being
 * written; -ENOMEM, or the sink's.
 */
int aq_oci_facts(enum aq_oci_file file, const char *text, size_t n, const struct aq_oci_doc *about,
		 aq_fact_sink *sink, void *user);

/* Whether a folder may be called so: the characters of which runtimes make their ids. */
bool aq_oci_is_id(const char *name);

#endif
