/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fact: what somebody said about a container, pod, namespace or address, with the time span in which it is true. The
 * recorder writes facts as events (AQ_EV_fact), the index keeps them as rows, readers join them when they read. What may
 * stand in one is said here; who asks whom is recorder/enrich's business, how they are joined is query's.
 *
 *   subject              members of the JSON object (text where nothing else is said; any may be missing)
 *   container:ID         name image image_repository image_tag image_digest start engine pod_uid pod namespace
 *                        container (its name within the pod) restarts (number) labels{} mounts[{source,destination,
 *                        type,ro}] env[names only] cgroup (path, where that alone doesn't tell the container)
 *   pod:UID              name namespace labels{} annotations{} (those asked for) owner_kind owner_name workload_kind
 *                        workload_name (the owner's owner up to Deployment or CronJob) node service_account phase start
 *                        ips[] containers[{name,id,image,image_digest,restarts,kind}]
 *   namespace:NAME       name labels{}
 *   address:IP (IPv6 in its shortest form; not ::ffff:1.2.3.4 but 1.2.3.4)
 *                        kind (pod, service, container, node, dns) name namespace uid container
 *
 * Every object has "source" (docker, containerd, cri-o, podman, docker-files, podman-files, storage, runc,
 * crun, kubelet, kubernetes, dns, import), its first member in what the recorder makes, and may have "unknown", a reason, when that source
 * knows nothing: {"source":"docker","unknown":"no runtime socket"}.
 *
 * One source's later fact about the same subject with the same valid_from replaces its earlier one; one with another
 * valid_from is another time of the same subject (an address given to another pod). Facts of several sources stand
 * beside each other, and members are taken from the first that has them.
 */
#ifndef AQ_FORMAT_FACTS_FACT_H
#define AQ_FORMAT_FACTS_FACT_H

#include <stddef.h>
#include <stdint.h>

enum {
	AQ_FACT_SUBJECT_MAX = 320,      /* bytes; a longer one is refused by the sink */
	AQ_FACT_JSON_MAX = 60 * 1024,   /* bytes; whoever makes a fact leaves labels and lists out, in this order, until it fits */
};

struct aq_fact {
	const char *subject;            /* NUL-terminated */
	const char *json;               /* one object, UTF-8, no line breaks; need not end with NUL */
	size_t json_len;
	uint64_t valid_from_ns;         /* boot clock; 0: since before the recording */
	uint64_t valid_to_ns;           /* 0: not seen to end */
};

/* Everything is borrowed for the call. 0, or -errno: the maker stops. Called on the maker's thread. */
typedef int aq_fact_sink(void *user, const struct aq_fact *fact);

#endif
