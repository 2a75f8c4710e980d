/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the objects of Kubernetes into facts: of pods, their containers and addresses, of namespaces and services. */
#include "replay/enrich_pods.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/base/text.h"

struct import {
	const struct aq_capture *capture;
	aq_fact_sink *sink;
	void *user;
	struct aq_enrich_counts *counts;
	struct aq_err *err;
};

static const cJSON *get(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* NULL: not there, or no text. */
static const char *text(const cJSON *object, const char *name)
{
	const cJSON *item = get(object, name);

	return cJSON_IsString(item) && item->valuestring[0] ? item->valuestring : NULL;
}

static void put(cJSON *fact, const char *name, const char *value)
{
	if (value)
		cJSON_AddStringToObject(fact, name, value);
}

static void put_copy(cJSON *fact, const char *name, const cJSON *value)
{
	if (value && value->child)
		cJSON_AddItemToObject(fact, name, cJSON_Duplicate(value, true));
}

/* On the capture's boot clock; 0: unknown, or before the recording. */
static uint64_t boot_of(const struct import *im, const char *rfc3339)
{
	uint64_t real_ns;

	if (!rfc3339 || aq_time_parse(rfc3339, &real_ns, NULL) < 0 || real_ns <= aq_capture_info(im->capture)->start_real_ns)
		return 0;
	return aq_capture_boot_ns(im->capture, real_ns);
}

/* Takes the object. What makes it too long is left out, the least important first. */
static int give(struct import *im, const char *kind, const char *id, uint64_t from_ns, cJSON *object)
{
	static const char *const less[] = { "labels", "annotations", "containers", "ips" };
	char subject[AQ_FACT_SUBJECT_MAX + 1];
	struct aq_fact fact = { .subject = subject, .valid_from_ns = from_ns };
	char *json = object ? cJSON_PrintUnformatted(object) : NULL;
	int r = 0;

	for (size_t i = 0; json && strlen(json) > AQ_FACT_JSON_MAX && i < sizeof(less) / sizeof(less[0]); i++) {
		cJSON_free(json);
		cJSON_DeleteItemFromObjectCaseSensitive(object, less[i]);
		json = cJSON_PrintUnformatted(object);
	}
	cJSON_Delete(object);
	if (!json)
		return aq_err_set(im->err, -ENOMEM, "no memory for facts");
	fact.json = json;
	fact.json_len = strlen(json);
	if (id && fact.json_len <= AQ_FACT_JSON_MAX &&
	    (size_t)snprintf(subject, sizeof(subject), "%s:%s", kind, id) < sizeof(subject)) {
		r = im->sink(im->user, &fact);
		im->counts->facts++;
	}
	cJSON_free(json);
	return r;
}

static cJSON *begin(void)
{
	cJSON *fact = cJSON_CreateObject();

	if (fact)
		cJSON_AddStringToObject(fact, "source", "import");
	return fact;
}

static int give_address(struct import *im, const char *ip, uint64_t from_ns, const char *kind, const char *name,
			const char *ns, const char *uid)
{
	cJSON *fact = begin();

	put(fact, "kind", kind);
	put(fact, "name", name);
	put(fact, "namespace", ns);
	put(fact, "uid", uid);
	return give(im, "address", ip, from_ns, fact);
}

/* "containerd://0123…" without what stands before the id. */
static const char *bare_id(const char *id)
{
	const char *mark = id ? strstr(id, "://") : NULL;

	return mark ? mark + 3 : id;
}

static const char *digest_of(const char *image_id)
{
	const char *at = image_id ? strrchr(image_id, '@') : NULL;

	return at ? at + 1 : image_id && strncmp(image_id, "sha256:", 7) == 0 ? image_id : NULL;
}

/* One run of a container: the present one, or the one before. */
static int give_container(struct import *im, const cJSON *pod, const cJSON *status, const char *full_id, const char *started)
{
	const cJSON *meta = get(pod, "metadata"), *restarts = get(status, "restartCount");
	const char *id = bare_id(full_id);
	cJSON *fact;

	if (!id)
		return 0;
	fact = begin();
	put(fact, "pod_uid", text(meta, "uid"));
	put(fact, "pod", text(meta, "name"));
	put(fact, "namespace", text(meta, "namespace"));
	put(fact, "container", text(status, "name"));
	put(fact, "image", text(status, "image"));
	put(fact, "image_digest", digest_of(text(status, "imageID")));
	put(fact, "start", started);
	if (fact && cJSON_IsNumber(restarts))
		cJSON_AddNumberToObject(fact, "restarts", restarts->valuedouble);
	return give(im, "container", id, boot_of(im, started), fact);
}

static int give_containers(struct import *im, const cJSON *pod, cJSON *list)
{
	static const char *const kinds[] = { "initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses" };
	const cJSON *status;
	int r = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		cJSON_ArrayForEach(status, get(get(pod, "status"), kinds[i])) {
			static const char *const states[][2] = { { "state", "running" }, { "state", "terminated" }, { "lastState", "terminated" } };
			cJSON *item = cJSON_CreateObject();

			put(item, "name", text(status, "name"));
			put(item, "id", bare_id(text(status, "containerID")));
			put(item, "image", text(status, "image"));
			put(item, "image_digest", digest_of(text(status, "imageID")));
			if (!item || !cJSON_AddItemToArray(list, item)) {
				cJSON_Delete(item);
				return -ENOMEM;
			}
			for (size_t k = 0; r == 0 && k < 3; k++) {
				const cJSON *state = get(get(status, states[k][0]), states[k][1]);
				const char *id = text(state, "containerID");

				if (state)
					r = give_container(im, pod, status, id ? id : k == 0 ? text(status, "containerID") : NULL,
							   text(state, "startedAt"));
			}
			if (r < 0)
				return r;
		}
	return 0;
}

static void put_owner(cJSON *fact, const cJSON *meta)
{
	const cJSON *owner, *first = NULL;
	const char *kind, *name, *hash = text(get(meta, "labels"), "pod-template-hash");
	size_t name_len, hash_len = hash ? strlen(hash) : 0;
	char *workload;

	cJSON_ArrayForEach(owner, get(meta, "ownerReferences"))
		if (!first || cJSON_IsTrue(get(owner, "controller")))
			first = owner;
	kind = text(first, "kind");
	name = text(first, "name");
	if (!kind || !name)
		return;
	put(fact, "owner_kind", kind);
	put(fact, "owner_name", name);
	name_len = strlen(name);
	/* only a Deployment gives its ReplicaSets this label, and names them so */
	if (strcmp(kind, "ReplicaSet") != 0 || !hash_len || name_len <= hash_len + 1 ||
	    strcmp(name + name_len - hash_len, hash) != 0 || name[name_len - hash_len - 1] != '-') {
		put(fact, "workload_kind", kind);
		put(fact, "workload_name", name);
		return;
	}
	workload = strndup(name, name_len - hash_len - 1);
	put(fact, "workload_kind", "Deployment");
	put(fact, "workload_name", workload);
	free(workload);
}

static int give_pod_addresses(struct import *im, const cJSON *pod, uint64_t from_ns)
{
	const cJSON *meta = get(pod, "metadata"), *status = get(pod, "status"), *ip;
	const char *phase = text(status, "phase"), *node = text(get(pod, "spec"), "nodeName");
	int r = 0;

	if (text(status, "hostIP") && node)
		r = give_address(im, text(status, "hostIP"), 0, "node", node, NULL, NULL);
	/* an address of the node is no pod's, and one that has ended has none any more */
	if (cJSON_IsTrue(get(get(pod, "spec"), "hostNetwork")) || (phase && (!strcmp(phase, "Succeeded") || !strcmp(phase, "Failed"))))
		return r;
	cJSON_ArrayForEach(ip, get(status, "podIPs"))
		if (r == 0 && text(ip, "ip"))
			r = give_address(im, text(ip, "ip"), from_ns, "pod", text(meta, "name"), text(meta, "namespace"), text(meta, "uid"));
	return r;
}

static int give_pod(struct import *im, const cJSON *pod)
{
	const cJSON *meta = get(pod, "metadata"), *spec = get(pod, "spec"), *status = get(pod, "status"), *ip;
	const char *started = text(status, "startTime") ? text(status, "startTime") : text(meta, "creationTimestamp");
	uint64_t from_ns = boot_of(im, started);
	cJSON *fact = begin(), *containers = fact ? cJSON_AddArrayToObject(fact, "containers") : NULL,
	      *ips = fact ? cJSON_AddArrayToObject(fact, "ips") : NULL;
	int r;

	if (!containers || !ips) {
		cJSON_Delete(fact);
		return aq_err_set(im->err, -ENOMEM, "no memory for facts");
	}
	im->counts->pods++;
	put(fact, "name", text(meta, "name"));
	put(fact, "namespace", text(meta, "namespace"));
	put_copy(fact, "labels", get(meta, "labels"));
	put_owner(fact, meta);
	put(fact, "node", text(spec, "nodeName"));
	put(fact, "service_account", text(spec, "serviceAccountName"));
	put(fact, "phase", text(status, "phase"));
	put(fact, "start", started);
	cJSON_ArrayForEach(ip, get(status, "podIPs"))
		if (text(ip, "ip"))
			cJSON_AddItemToArray(ips, cJSON_CreateString(text(ip, "ip")));
	r = give_containers(im, pod, containers);
	if (r < 0) {
		cJSON_Delete(fact);
		return aq_err_set(im->err, r, "no memory for facts");
	}
	r = give(im, "pod", text(meta, "uid"), from_ns, fact);
	return r < 0 ? r : give_pod_addresses(im, pod, from_ns);
}

static int give_namespace(struct import *im, const cJSON *object)
{
	const cJSON *meta = get(object, "metadata");
	cJSON *fact = begin();

	im->counts->namespaces++;
	put(fact, "name", text(meta, "name"));
	put_copy(fact, "labels", get(meta, "labels"));
	return give(im, "namespace", text(meta, "name"), 0, fact);
}

static int give_service(struct import *im, const cJSON *object)
{
	const cJSON *meta = get(object, "metadata"), *ip;
	int r = 0;

	im->counts->services++;
	cJSON_ArrayForEach(ip, get(get(object, "spec"), "clusterIPs"))
		if (r == 0 && cJSON_IsString(ip) && strcmp(ip->valuestring, "None") != 0)
			r = give_address(im, ip->valuestring, boot_of(im, text(meta, "creationTimestamp")), "service", text(meta, "name"),
					 text(meta, "namespace"), text(meta, "uid"));
	return r;
}

static int give_object(struct import *im, const cJSON *object, const char *kind)
{
	if (!kind)
		return 0;
	if (strcmp(kind, "Pod") == 0)
		return give_pod(im, object);
	if (strcmp(kind, "Namespace") == 0)
		return give_namespace(im, object);
	return strcmp(kind, "Service") == 0 ? give_service(im, object) : 0;
}

int aq_enrich_pods(const struct aq_capture *c, const char *json, size_t len, aq_fact_sink *sink, void *user,
		   struct aq_enrich_counts *ret_counts, struct aq_err *err)
{
	struct import im = { .capture = c, .sink = sink, .user = user, .counts = ret_counts, .err = err };
	const char *kind, *of_items = NULL;
	const cJSON *items, *item;
	cJSON *root;
	int r = 0;

	*ret_counts = (struct aq_enrich_counts){ 0 };
	root = cJSON_ParseWithLength(json, len);
	if (!root)
		return aq_err_set(err, -EBADMSG, "it is no JSON; what is wanted is the output of kubectl get pods -A -o json");
	kind = text(root, "kind");
	items = get(root, "items");
	/* a PodList's items need not say what they are */
	if (kind && strcmp(kind, "PodList") == 0)
		of_items = "Pod";
	if (cJSON_IsArray(items)) {
		cJSON_ArrayForEach(item, items)
			if (r == 0)
				r = give_object(&im, item, text(item, "kind") ? text(item, "kind") : of_items);
	} else {
		r = give_object(&im, root, kind);
	}
	cJSON_Delete(root);
	if (r == 0 && ret_counts->pods + ret_counts->namespaces + ret_counts->services == 0)
		r = aq_err_set(err, -EBADMSG, "there are no pods, namespaces or services in it");
	return r;
}
