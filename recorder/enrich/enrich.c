/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quarter of the memory for facts that wait, one for those that are kept for later segments, the rest for what the sources
 * remember, five eighths of it for Kubernetes: 5,000 pods need some 15 MiB.
 */
#include "recorder/enrich/enrich.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/enrich/docker.h"
#include "recorder/enrich/oci.h"

enum { MEMORY_BYTES = 64 << 20 };

struct aq_enrich {
	size_t memory_bytes;
	struct aq_fact_queue *facts;
	struct aq_kube *kube;
	struct aq_oci *oci;
	struct aq_docker *docker;
};

/* A new container of a pod: who asks the kubelet from time to time had better do so now. */
static int take_container(void *user, const struct aq_fact *fact)
{
	struct aq_enrich *e = user;

	if (e->kube != NULL && fact->valid_to_ns == 0 && memmem(fact->json, fact->json_len, "\"pod_uid\":", 10) != NULL)
		aq_kube_hint(e->kube);
	return aq_fact_queue_put(e->facts, fact);
}

static int open_sources(struct aq_enrich *e, const struct aq_enrich_options *o, struct aq_err *err)
{
	struct aq_oci_options oci = { .usual = o->usual_files, .folders = o->state_folders, .folder_count = o->state_folder_count,
				      .memory_bytes = e->memory_bytes / 8 };
	struct aq_docker_options docker = { .usual = o->usual_sockets, .sockets = o->sockets, .socket_count = o->socket_count,
					    .memory_bytes = e->memory_bytes / 16 };
	int r = 0;

	if (o->usual_files || o->state_folder_count > 0)
		r = aq_oci_new(&oci, take_container, e, &e->oci, err);
	if (r == 0 && (o->usual_sockets || o->socket_count > 0))
		r = aq_docker_new(&docker, take_container, e, &e->docker, err);
	if (r == 0 && o->kube != NULL) {
		struct aq_kube_options kube = *o->kube;

		kube.services = true;
		kube.memory_bytes = e->memory_bytes / 16 * 5;
		r = aq_kube_new(&kube, aq_fact_queue_put, e->facts, &e->kube, err);
	}
	return r;
}

int aq_enrich_new(const struct aq_enrich_options *options, struct aq_enrich **ret, struct aq_err *err)
{
	struct aq_enrich *e = calloc(1, sizeof(*e));
	int r;

	if (e == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	e->memory_bytes = options->memory_bytes != 0 ? options->memory_bytes : MEMORY_BYTES;
	r = aq_fact_queue_new(e->memory_bytes / 4, &e->facts);
	if (r < 0)
		aq_err_set(err, r, "names: %s", strerror(-r));
	else
		r = open_sources(e, options, err);
	if (r < 0) {
		aq_enrich_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

static void tell(const char *what, int r)
{
	if (r < 0)
		fprintf(stderr, "aquilad: names from %s: %s\n", what, strerror(-r));
}

void aq_enrich_start(struct aq_enrich *e)
{
	if (e->oci != NULL)
		tell("the files of container runtimes", aq_oci_start(e->oci));
	if (e->docker != NULL)
		tell("container engines", aq_docker_start(e->docker));
	if (e->kube != NULL)
		tell("Kubernetes", aq_kube_start(e->kube));
}

void aq_enrich_stop(struct aq_enrich *e)
{
	aq_oci_free(e->oci);
	aq_docker_free(e->docker);
	aq_kube_free(e->kube);
	e->oci = NULL;
	e->docker = NULL;
	e->kube = NULL;
}

void aq_enrich_free(struct aq_enrich *e)
{
	if (e == NULL)
		return;
	aq_enrich_stop(e);
	aq_fact_queue_free(e->facts);
	free(e);
}

struct aq_fact_queue *aq_enrich_facts(struct aq_enrich *e)
{
	return e->facts;
}

size_t aq_enrich_keep_bytes(const struct aq_enrich *e)
{
	return e->memory_bytes / 4;
}
