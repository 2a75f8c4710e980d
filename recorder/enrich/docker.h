/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names from the Docker-compatible API of container engines (Docker, podman) over their unix sockets: events are followed,
 * what they speak of is looked at once. It has a thread of its own and nothing waits for it; whatever the other side does
 * costs names only, and why they are missing is itself a fact (container:* with "unknown"). Nothing but GET is ever sent.
 */
#ifndef AQ_RECORDER_ENRICH_DOCKER_H
#define AQ_RECORDER_ENRICH_DOCKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/base/err.h"
#include "format/facts/fact.h"

struct aq_docker;

enum { AQ_DOCKER_SOCKETS_MAX = 8, AQ_DOCKER_PATH_MAX = 108 }; /* path: with its NUL, as the kernel has it */

/* All texts are borrowed for aq_docker_new only. */
struct aq_docker_options {
	bool usual;                     /* the sockets of Docker and podman where they usually are, once they are there */
	const char *const *sockets;     /* absolute paths */
	size_t socket_count;
	size_t memory_bytes;            /* for what is kept to close facts later; 0: 8 MiB */
	uint64_t stall_ns;              /* an answer that doesn't move is given up; 0: 20 s */
};

/* -EINVAL: a path that can't be a socket's, or too many, said in err. The sink is called on the thread only. */
int aq_docker_new(const struct aq_docker_options *options, aq_fact_sink *sink, void *user, struct aq_docker **ret,
		  struct aq_err *err);
int aq_docker_start(struct aq_docker *d);
/* Stops the thread within some milliseconds, whatever the other side does. NULL is fine. */
void aq_docker_free(struct aq_docker *d);

#endif
