/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes objects to facts. Every member is looked up by type; what isn't what it should be is as if it weren't there.
 */
#include "format/facts/pods.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "format/base/buf.h"
#include "format/base/text.h"

enum {
	TEXT_MAX = 1024,        /* an image's name, a label's value and the like: longer ones are left out */
	LABELS_MAX = 512,
	ANNOTATION_MAX = 16384,
	CONTAINERS_MAX = 512,
	IPS_MAX = 16,
	LEVEL_ALL = 0, LEVEL_NO_LABELS, LEVEL_NO_LISTS, LEVELS,
};

struct maker {
	const struct aq_pods_options *o;
	aq_fact_sink *sink;
	void *user;
	const cJSON *items;     /* of the list that the object stands in; NULL */
	struct aq_buf json;
	bool comma;
	int level;              /* what is left out to fit */
	uint64_t from_ns, to_ns; /* of the pod */
	const char *uid, *name, *namespace;
};

static const cJSON *member(const cJSON *object, const char *name)
{
	return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

static const char *text_of(const cJSON *value, size_t max)
{
	if (!cJSON_IsString(value) || value->valuestring == NULL || value->valuestring[0] == '\0' ||
	    strnlen(value->valuestring, max) >= max)
		return NULL;
	return value->valuestring;
}

static const char *text(const cJSON *object, const char *name, size_t max)
{
	return text_of(member(object, name), max);
}

const char *aq_pods_meta(const cJSON *object, const char *name, size_t max)
{
	return text(member(object, "metadata"), name, max);
}

/* 0 if there is none or it isn't a time. Times before the boot are 1: known, and before everything. */
static uint64_t boot_time(const struct aq_pods_options *o, const cJSON *object, const char *name)
{
	const char *value = text(object, name, AQ_TIME_TEXT_BYTES);
	uint64_t real_ns;
	int64_t boot_ns;

	if (value == NULL || !isdigit((unsigned char)value[0]) || aq_time_parse(value, &real_ns, NULL) < 0 || real_ns > INT64_MAX ||
	    __builtin_add_overflow((int64_t)real_ns, o->real_to_boot_ns, &boot_ns))
		return 0;
	return boot_ns > 0 ? (uint64_t)boot_ns : 1;
}

static void put(struct maker *m, const char *s)
{
	aq_buf_put(&m->json, s, strlen(s));
}

static void put_key(struct maker *m, const char *key)
{
	if (m->comma)
		put(m, ",");
	aq_json_string(&m->json, key, strlen(key));
	put(m, ":");
	m->comma = true;
}

static void put_text(struct maker *m, const char *key, const char *value)
{
	if (value == NULL)
		return;
	put_key(m, key);
	aq_json_string(&m->json, value, strlen(value));
}

static void put_count(struct maker *m, const char *key, const cJSON *value)
{
	char number[24];

	if (!cJSON_IsNumber(value) || !(value->valuedouble >= 0 && value->valuedouble <= 1e15))
		return;
	snprintf(number, sizeof(number), "%.0f", value->valuedouble);
	put_key(m, key);
	put(m, number);
}

static void put_open(struct maker *m, const char *key, const char *bracket)
{
	if (key != NULL)
		put_key(m, key);
	else if (m->comma)
		put(m, ",");
	put(m, bracket);
	m->comma = false;
}

static void put_close(struct maker *m, const char *bracket)
{
	put(m, bracket);
	m->comma = true;
}

static bool wanted(const struct aq_pods_options *o, const char *annotation)
{
	for (size_t i = 0; i < o->annotation_count; i++)
		if (strcmp(o->annotations[i], annotation) == 0)
			return true;
	return false;
}

static void put_map(struct maker *m, const char *key, const cJSON *map, bool chosen)
{
	const cJSON *value;
	unsigned n = 0;

	if (!cJSON_IsObject(map) || m->level >= LEVEL_NO_LABELS)
		return;
	put_open(m, key, "{");
	cJSON_ArrayForEach(value, map) {
		if (value->string == NULL || value->string[0] == '\0' || strnlen(value->string, TEXT_MAX) >= TEXT_MAX ||
		    !cJSON_IsString(value) || value->valuestring == NULL ||
		    strnlen(value->valuestring, ANNOTATION_MAX) >= (chosen ? ANNOTATION_MAX : TEXT_MAX) ||
		    (chosen && !wanted(m->o, value->string)))
			continue;
		if (++n > LABELS_MAX)
			break;
		put_text(m, value->string, value->valuestring);
	}
	put_close(m, "}");
}

static void begin(struct maker *m)
{
	aq_buf_reset(&m->json);
	m->comma = false;
	put_open(m, NULL, "{");
	put_text(m, "source", m->o->source);
}

/* Only what such names consist of: letters, digits and -._: */
static bool plain(const char *s)
{
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("-._:", *s) == NULL)
			return false;
	return true;
}

static int give(struct maker *m, const char *kind, const char *id, uint64_t from_ns, uint64_t to_ns)
{
	char subject[AQ_FACT_SUBJECT_MAX];
	struct aq_fact fact = { .subject = subject, .valid_from_ns = from_ns, .valid_to_ns = to_ns };

	if (m->o->ended_ns != 0 && (to_ns == 0 || to_ns > m->o->ended_ns))
		fact.valid_to_ns = m->o->ended_ns;
	if (fact.valid_to_ns != 0 && fact.valid_to_ns < from_ns)
		fact.valid_to_ns = from_ns;
	if (snprintf(subject, sizeof(subject), "%s:%s", kind, id) >= (int)sizeof(subject))
		return 0;
	fact.json = (const char *)m->json.data;
	fact.json_len = m->json.len;
	return m->sink(m->user, &fact);
}

/* Makes the object with ever less in it until it fits. */
static int give_fitting(struct maker *m, void (*make)(struct maker *, const cJSON *), const cJSON *object, const char *kind,
			const char *id, uint64_t from_ns, uint64_t to_ns)
{
	for (m->level = LEVEL_ALL; m->level < LEVELS; m->level++) {
		begin(m);
		make(m, object);
		put_close(m, "}");
		if (!m->json.failed)
			return give(m, kind, id, from_ns, to_ns);
	}
	return -ENOMEM; /* what remains always fits */
}

bool aq_pods_controller(const cJSON *object, struct aq_pods_owner *ret)
{
	const cJSON *refs = member(member(object, "metadata"), "ownerReferences"), *ref, *best = NULL;
	const char *kind, *name;
	unsigned n = 0;

	if (!cJSON_IsArray(refs))
		return false;
	cJSON_ArrayForEach(ref, refs) {
		if (++n > 64)
			break;
		if (best == NULL || cJSON_IsTrue(member(ref, "controller")))
			best = ref;
		if (cJSON_IsTrue(member(ref, "controller")))
			break;
	}
	kind = text(best, "kind", sizeof(ret->kind));
	name = text(best, "name", sizeof(ret->name));
	if (kind == NULL || name == NULL)
		return false;
	snprintf(ret->kind, sizeof(ret->kind), "%s", kind);
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	return true;
}

/* The owner's own object, if it stands in the same list. */
static const cJSON *listed(const struct maker *m, const struct aq_pods_owner *owner)
{
	const cJSON *item;

	if (m->items == NULL)
		return NULL;
	cJSON_ArrayForEach(item, m->items) {
		const char *kind = text(item, "kind", 64);

		if (kind != NULL && strcmp(kind, owner->kind) == 0) {
			const char *name = aq_pods_meta(item, "name", AQ_PODS_NAME_MAX);
			const char *in = aq_pods_meta(item, "namespace", AQ_PODS_NAME_MAX);

			if (name != NULL && in != NULL && m->namespace != NULL && strcmp(name, owner->name) == 0 &&
			    strcmp(in, m->namespace) == 0)
				return item;
		}
	}
	return NULL;
}

/* What a name is without "-SUFFIX"; false if it has no such end. */
static bool without_suffix(const char *name, const char *suffix, char ret[AQ_PODS_NAME_MAX])
{
	size_t n = strlen(name), s = strlen(suffix);

	if (s == 0 || n < s + 2 || name[n - s - 1] != '-' || strcmp(name + n - s, suffix) != 0)
		return false;
	snprintf(ret, AQ_PODS_NAME_MAX, "%.*s", (int)(n - s - 1), name);
	return true;
}

static void find_workload(const struct maker *m, const cJSON *pod, const struct aq_pods_owner *owner,
			  struct aq_pods_owner *ret)
{
	bool set = strcmp(owner->kind, "ReplicaSet") == 0, job = strcmp(owner->kind, "Job") == 0;
	const char *hash = text(member(member(pod, "metadata"), "labels"), "pod-template-hash", 64);
	const cJSON *above;

	*ret = *owner;
	if (!set && !job)
		return;
	above = listed(m, owner);
	if (above != NULL) {
		aq_pods_controller(above, ret);
		return;
	}
	if (m->o->owner != NULL && m->namespace != NULL &&
	    m->o->owner(m->o->owner_user, owner->kind, m->namespace, owner->name, ret))
		return;
	if (set && hash != NULL && without_suffix(owner->name, hash, ret->name)) {
		snprintf(ret->kind, sizeof(ret->kind), "Deployment");
	} else if (job) {
		/* a CronJob's job ends in its minute since 1970, eight digits and more; a person's rarely does */
		const char *dash = strrchr(owner->name, '-');
		size_t digits = dash != NULL ? strspn(dash + 1, "0123456789") : 0;

		if (digits >= 8 && digits <= 10 && dash[1 + digits] == '\0' &&
		    without_suffix(owner->name, dash + 1, ret->name))
			snprintf(ret->kind, sizeof(ret->kind), "CronJob");
	}
}

static const char *container_id(const cJSON *status)
{
	const char *id = text(status, "containerID", 256), *at;

	if (id == NULL)
		return NULL;
	at = strstr(id, "://");
	id = at != NULL ? at + 3 : id;
	return id[0] != '\0' && plain(id) ? id : NULL;
}

static const char *image_digest(const cJSON *status)
{
	const char *id = text(status, "imageID", TEXT_MAX), *at;

	if (id == NULL)
		return NULL;
	at = strrchr(id, '@');
	if (at != NULL)
		return at[1] != '\0' ? at + 1 : NULL;
	at = strstr(id, "sha256:");
	return at;
}

static void put_image(struct maker *m, const char *image)
{
	char part[TEXT_MAX];
	const char *slash, *tag, *digest;

	if (image == NULL)
		return;
	put_text(m, "image", image);
	if (strncmp(image, "sha256:", 7) == 0)
		return;
	snprintf(part, sizeof(part), "%s", image);
	digest = strchr(part, '@');
	if (digest != NULL)
		part[digest - part] = '\0';
	slash = strrchr(part, '/');
	tag = strrchr(slash != NULL ? slash : part, ':');
	if (tag != NULL)
		part[tag - part] = '\0';
	put_text(m, "image_repository", part);
	if (tag != NULL && tag[1] != '\0')
		put_text(m, "image_tag", tag + 1);
}

static const char *const status_lists[][2] = {
	{ "containerStatuses", "container" }, { "initContainerStatuses", "init" }, { "ephemeralContainerStatuses", "ephemeral" },
};
enum { STATUS_LISTS = sizeof(status_lists) / sizeof(status_lists[0]) };

static void put_containers(struct maker *m, const cJSON *pod)
{
	const cJSON *status = member(pod, "status"), *list, *one;
	unsigned n = 0;

	put_open(m, "containers", "[");
	for (unsigned i = 0; i < STATUS_LISTS; i++) {
		list = member(status, status_lists[i][0]);
		if (!cJSON_IsArray(list))
			continue;
		cJSON_ArrayForEach(one, list) {
			const char *name = text(one, "name", AQ_PODS_NAME_MAX);

			if (name == NULL || ++n > CONTAINERS_MAX)
				continue;
			put_open(m, NULL, "{");
			put_text(m, "name", name);
			put_text(m, "id", container_id(one));
			put_text(m, "image", text(one, "image", TEXT_MAX));
			put_text(m, "image_digest", image_digest(one));
			put_count(m, "restarts", member(one, "restartCount"));
			put_text(m, "kind", status_lists[i][1]);
			put_close(m, "}");
		}
	}
	put_close(m, "]");
}

/*
 * An address as everybody else spells it, so that it is one subject: IPv6 in its short form, and what is IPv4 in truth as
 * IPv4. NULL: it is none.
 */
static const char *address(const char *ip, char buf[INET6_ADDRSTRLEN])
{
	struct in6_addr a;

	if (ip == NULL)
		return NULL;
	if (inet_pton(AF_INET, ip, &a) == 1)
		return inet_ntop(AF_INET, &a, buf, INET6_ADDRSTRLEN);
	if (inet_pton(AF_INET6, ip, &a) != 1)
		return NULL;
	if (IN6_IS_ADDR_V4MAPPED(&a))
		return inet_ntop(AF_INET, &a.s6_addr[12], buf, INET6_ADDRSTRLEN);
	return inet_ntop(AF_INET6, &a, buf, INET6_ADDRSTRLEN);
}

/* The n-th of the pod's addresses, NULL after the last. podIP is the first of podIPs where both are there. */
static const char *pod_ip(const cJSON *pod, unsigned n, char buf[INET6_ADDRSTRLEN])
{
	const cJSON *status = member(pod, "status"), *ips = member(status, "podIPs");
	const char *ip;

	if (n >= IPS_MAX)
		return NULL;
	if (cJSON_IsArray(ips) && cJSON_GetArraySize(ips) > 0)
		ip = text(cJSON_GetArrayItem(ips, (int)n), "ip", 64);
	else
		ip = n == 0 ? text(status, "podIP", 64) : NULL;
	return address(ip, buf);
}

static void make_pod(struct maker *m, const cJSON *pod)
{
	const cJSON *meta = member(pod, "metadata"), *spec = member(pod, "spec"), *status = member(pod, "status");
	struct aq_pods_owner owner, workload;
	char buf[INET6_ADDRSTRLEN];
	const char *ip;

	put_text(m, "name", m->name);
	put_text(m, "namespace", m->namespace);
	put_map(m, "labels", member(meta, "labels"), false);
	if (m->o->annotation_count > 0)
		put_map(m, "annotations", member(meta, "annotations"), true);
	if (aq_pods_controller(pod, &owner)) {
		put_text(m, "owner_kind", owner.kind);
		put_text(m, "owner_name", owner.name);
		find_workload(m, pod, &owner, &workload);
		put_text(m, "workload_kind", workload.kind);
		put_text(m, "workload_name", workload.name);
	}
	put_text(m, "node", text(spec, "nodeName", AQ_PODS_NAME_MAX));
	put_text(m, "service_account", text(spec, "serviceAccountName", AQ_PODS_NAME_MAX));
	put_text(m, "phase", text(status, "phase", 64));
	put_text(m, "start", text(status, "startTime", AQ_TIME_TEXT_BYTES));
	if (m->level >= LEVEL_NO_LISTS)
		return;
	put_open(m, "ips", "[");
	for (unsigned i = 0; (ip = pod_ip(pod, i, buf)) != NULL; i++) {
		if (m->comma)
			put(m, ",");
		aq_json_string(&m->json, ip, strlen(ip));
		m->comma = true;
	}
	put_close(m, "]");
	put_containers(m, pod);
}

/* The state that tells when this container (not the one before its restart) ran. */
static const cJSON *run_of(const cJSON *status)
{
	const cJSON *state = member(status, "state"), *run = member(state, "running");

	return run != NULL ? run : member(state, "terminated");
}

static void make_container(struct maker *m, const cJSON *status)
{
	put_text(m, "container", text(status, "name", AQ_PODS_NAME_MAX));
	put_image(m, text(status, "image", TEXT_MAX));
	put_text(m, "image_digest", image_digest(status));
	put_text(m, "start", text(run_of(status), "startedAt", AQ_TIME_TEXT_BYTES));
	put_text(m, "pod_uid", m->uid);
	put_text(m, "pod", m->name);
	put_text(m, "namespace", m->namespace);
	put_count(m, "restarts", member(status, "restartCount"));
}

/* The container that ran before the last restart: its id stands only in lastState. */
static void make_last_container(struct maker *m, const cJSON *status)
{
	put_text(m, "container", text(status, "name", AQ_PODS_NAME_MAX));
	put_text(m, "start", text(member(member(status, "lastState"), "terminated"), "startedAt", AQ_TIME_TEXT_BYTES));
	put_text(m, "pod_uid", m->uid);
	put_text(m, "pod", m->name);
	put_text(m, "namespace", m->namespace);
}

/*
 * A container's processes exist a little before startedAt, which has whole seconds: the fact is valid from when the pod
 * was made, which is right as long as ids are not used again, and they are not.
 */
static int give_container(struct maker *m, const cJSON *status, uint64_t *last_ns)
{
	const cJSON *last = member(member(status, "lastState"), "terminated");
	uint64_t end_ns = boot_time(m->o, member(member(status, "state"), "terminated"), "finishedAt");
	const char *id = container_id(status), *last_id = container_id(last);
	int r = 0;

	/* whole seconds, cut: it ended at some time within that second */
	if (end_ns > 0)
		end_ns += 999999999;
	if (end_ns > *last_ns)
		*last_ns = end_ns;
	if (last_id != NULL && (id == NULL || strcmp(id, last_id) != 0)) {
		uint64_t last_end_ns = boot_time(m->o, last, "finishedAt");

		r = give_fitting(m, make_last_container, status, "container", last_id, m->from_ns,
				 last_end_ns != 0 ? last_end_ns + 999999999 : 0);
	}
	if (r == 0 && id != NULL)
		r = give_fitting(m, make_container, status, "container", id, m->from_ns, end_ns);
	return r;
}

static void make_address(struct maker *m, const cJSON *object)
{
	(void)object;
	put_text(m, "kind", "pod");
	put_text(m, "name", m->name);
	put_text(m, "namespace", m->namespace);
	put_text(m, "uid", m->uid);
}

static int give_pod(struct maker *m, const cJSON *pod)
{
	const cJSON *meta = member(pod, "metadata"), *status = member(pod, "status"), *list, *one;
	const char *mirror = text(member(meta, "annotations"), "kubernetes.io/config.mirror", 128);
	const char *phase = text(status, "phase", 64), *ip;
	char buf[INET6_ADDRSTRLEN];
	uint64_t start_ns = boot_time(m->o, status, "startTime"), last_ns = 0;
	unsigned n = 0;
	int r = 0;

	m->uid = text(meta, "uid", 128);
	if (m->uid == NULL || !plain(m->uid) || m->name == NULL)
		return 0;
	m->from_ns = boot_time(m->o, meta, "creationTimestamp");
	if (m->from_ns == 0)
		m->from_ns = start_ns;
	for (unsigned i = 0; i < STATUS_LISTS; i++) {
		list = member(status, status_lists[i][0]);
		if (!cJSON_IsArray(list))
			continue;
		cJSON_ArrayForEach(one, list) {
			if (++n <= CONTAINERS_MAX)
				r = give_container(m, one, &last_ns);
			if (r < 0)
				return r;
		}
	}
	r = give_fitting(m, make_pod, pod, "pod", m->uid, m->from_ns, 0);
	/* of a static pod the cgroups carry the uid that the kubelet gave it, the API server's object another */
	if (r == 0 && mirror != NULL && plain(mirror) && strcmp(mirror, m->uid) != 0)
		r = give_fitting(m, make_pod, pod, "pod", mirror, m->from_ns, 0);
	if (r < 0 || cJSON_IsTrue(member(member(pod, "spec"), "hostNetwork")))
		return r;
	if (phase == NULL || (strcmp(phase, "Succeeded") != 0 && strcmp(phase, "Failed") != 0))
		last_ns = 0;
	for (unsigned i = 0; r == 0 && (ip = pod_ip(pod, i, buf)) != NULL; i++)
		r = give_fitting(m, make_address, pod, "address", ip, start_ns != 0 ? start_ns : m->from_ns, last_ns);
	return r;
}

static void make_namespace(struct maker *m, const cJSON *object)
{
	put_text(m, "name", m->name);
	put_map(m, "labels", member(member(object, "metadata"), "labels"), false);
}

static void make_service(struct maker *m, const cJSON *object)
{
	(void)object;
	put_text(m, "kind", "service");
	put_text(m, "name", m->name);
	put_text(m, "namespace", m->namespace);
	put_text(m, "uid", m->uid);
}

static int give_service(struct maker *m, const cJSON *object)
{
	const cJSON *spec = member(object, "spec"), *ips = member(spec, "clusterIPs");
	uint64_t from_ns = boot_time(m->o, member(object, "metadata"), "creationTimestamp");
	char buf[INET6_ADDRSTRLEN];
	int r = 0;

	m->uid = aq_pods_meta(object, "uid", 128);
	for (int i = 0; r == 0 && i < IPS_MAX; i++) {
		const char *ip = cJSON_IsArray(ips) ? text_of(cJSON_GetArrayItem(ips, i), 64) :
				 i == 0 ? text(spec, "clusterIP", 64) : NULL;

		if (ip == NULL)
			break;
		ip = address(ip, buf); /* NULL for "None" too */
		if (ip != NULL)
			r = give_fitting(m, make_service, object, "address", ip, from_ns, 0);
	}
	return r;
}

static int give_object(struct maker *m, const cJSON *object, const char *kind)
{
	m->name = aq_pods_meta(object, "name", AQ_PODS_NAME_MAX);
	m->namespace = aq_pods_meta(object, "namespace", AQ_PODS_NAME_MAX);
	if (strcmp(kind, "Pod") == 0)
		return give_pod(m, object);
	if (strcmp(kind, "ReplicaSet") == 0 || strcmp(kind, "Job") == 0)
		return 0;
	if (strcmp(kind, "Namespace") != 0 && strcmp(kind, "Service") != 0)
		return -EINVAL;
	if (m->name == NULL || !plain(m->name))
		return 0;
	if (kind[0] == 'S')
		return give_service(m, object);
	return give_fitting(m, make_namespace, object, "namespace", m->name,
			    boot_time(m->o, member(object, "metadata"), "creationTimestamp"), 0);
}

int aq_pods_facts(const cJSON *object, const struct aq_pods_options *options, aq_fact_sink *sink, void *user)
{
	struct maker m = { .o = options, .sink = sink, .user = user };
	const char *kind = text(object, "kind", 64);
	const cJSON *item;
	char of[64];
	int r = 0;

	if (kind == NULL && cJSON_IsObject(object))
		kind = options->kind;
	if (kind == NULL)
		return -EINVAL;
	aq_buf_init(&m.json, AQ_FACT_JSON_MAX);
	m.items = member(object, "items");
	if (strlen(kind) < 4 || strcmp(kind + strlen(kind) - 4, "List") != 0) {
		m.items = NULL;
		r = give_object(&m, object, kind);
	} else if (!cJSON_IsArray(m.items)) {
		r = -EINVAL;
	} else {
		snprintf(of, sizeof(of), "%.*s", (int)(strlen(kind) - 4), kind);
		cJSON_ArrayForEach(item, m.items) {
			/* within a typed list the items don't say their kind */
			const char *its = text(item, "kind", 64);

			r = give_object(&m, item, its != NULL ? its : of);
			if (r == -EINVAL)
				r = 0; /* something else in a list of everything */
			if (r < 0)
				break;
		}
	}
	aq_buf_release(&m.json);
	return r;
}

int aq_pods_unknown(const char *source, const char *of, const char *reason, uint64_t from_ns, uint64_t to_ns,
		    aq_fact_sink *sink, void *user)
{
	const struct aq_pods_options options = { .source = source };
	struct maker m = { .o = &options, .sink = sink, .user = user };
	int r = -ENOMEM;

	aq_buf_init(&m.json, AQ_FACT_JSON_MAX);
	begin(&m);
	put_text(&m, "unknown", reason);
	put_close(&m, "}");
	if (!m.json.failed)
		r = give(&m, of, "*", from_ns, to_ns);
	aq_buf_release(&m.json);
	return r;
}
