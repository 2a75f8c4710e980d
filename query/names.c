/* SPDX-License-Identifier: Apache-2.0 */
/* Joins cgroups with the facts of containers, pods and namespaces, and addresses with those of their owners. */
#include "query/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/placed.h"

enum { CGROUP_PLACES = 4096, PROBES = 16, ADDRESS_PLACES = 1024 };

/* What is known of a cgroup in a span of time. Values are looked up when they are first asked for. */
struct who {
	uint64_t cgroup_id, from_ns, to_ns;
	uint32_t changes;                    /* of the cgroup: its path was another one before */
	bool is_container, in_pod;
	struct aq_fact_text id, engine;      /* of the container */
	struct aq_subject *container, *pod, *ns;
	const struct aq_fact_doc *lists;     /* a fact of the pod that lists the container, and where; NULL: none */
	uint32_t lists_row;
	char pod_uid[AQ_POD_UID_BYTES];      /* "": in no pod as far as is known */
	bool asked[AQ_NAME_COUNT];
	struct aq_fact_text value[AQ_NAME_COUNT];
};

struct owner { /* of an address in a span of time */
	uint8_t ip[16];
	unsigned ip_len;                     /* 0: the place is free */
	uint64_t from_ns, to_ns;
	struct aq_fact_text value[AQ_AN_COUNT];
};

struct listed { /* a container in a pod's list */
	struct aq_fact_text id;
	struct aq_subject *pod;
	const struct aq_fact_doc *doc;
	uint32_t row;
};

struct aq_names {
	struct aq_facts *facts;
	struct aq_placed *placed;
	struct who *who[CGROUP_PLACES];
	struct who *last;                    /* who was asked for */
	struct who spare;                    /* when there is no memory for another one */
	struct owner owner[ADDRESS_PLACES];
	struct listed *listed;               /* hash by id; made when first needed */
	uint32_t listed_mask;
	bool listed_made;
};

static const struct aq_fact_text nothing = { NULL, 0 };

static struct aq_fact_text text(const char *s)
{
	return (struct aq_fact_text){ s, (uint32_t)strlen(s) };
}

static bool is(struct aq_fact_text t, const char *word)
{
	return t.s && t.len == strlen(word) && memcmp(t.s, word, t.len) == 0;
}

int aq_names_new(struct aq_facts *facts, struct aq_names **ret_names)
{
	struct aq_names *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->facts = facts;
	if (aq_placed_new(facts, &n->placed) < 0) {
		free(n);
		return -ENOMEM;
	}
	*ret_names = n;
	return 0;
}

void aq_names_free(struct aq_names *n)
{
	if (!n)
		return;
	for (unsigned i = 0; i < CGROUP_PLACES; i++)
		free(n->who[i]);
	free(n->listed);
	aq_placed_free(n->placed);
	free(n);
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* 8-4-4-4-12 digits with - or, by systemd, _ between; or 32 digits, as of pods that no API server made. */
static size_t uid_at(const char *s, size_t len, char *buf)
{
	size_t n = 0;

	for (; n < len && n < 36; n++) {
		bool dash = n == 8 || n == 13 || n == 18 || n == 23;

		if (dash ? s[n] != '-' && s[n] != '_' : !is_hex(s[n]))
			break;
		buf[n] = dash ? '-' : s[n];
	}
	if (n == 36) {
		buf[n] = '\0';
		return n;
	}
	for (n = 0; n < len && n < 32 && is_hex(s[n]); n++)
		buf[n] = s[n];
	buf[n] = '\0';
	return n == 32 ? n : 0;
}

bool aq_cgroup_pod_uid(const char *path, size_t len, char *buf)
{
	const char *at = memmem(path, len, "kubepods", 8), *end = path + len;

	for (; at && at + 4 < end; at++) {
		size_t n;

		if (memcmp(at, "pod", 3) != 0 || (at[-1] != '/' && at[-1] != '-'))
			continue;
		n = uid_at(at + 3, (size_t)(end - at) - 3, buf);
		if (n && (at + 3 + n == end || at[3 + n] == '/' || at[3 + n] == '.'))
			return true;
	}
	buf[0] = '\0';
	return false;
}

static struct aq_subject *find(struct aq_names *n, const char *kind, const char *id, size_t len)
{
	char subject[AQ_FACT_SUBJECT_MAX + 1];
	int head = snprintf(subject, sizeof(subject), "%s:", kind);

	if ((size_t)head + len > AQ_FACT_SUBJECT_MAX)
		return NULL;
	memcpy(subject + head, id, len);
	return aq_facts_find(n->facts, subject, (size_t)head + len);
}

static uint64_t hash_text(const char *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 0x100000001b3ull;
	return h ^ h >> 32;
}

/* "containerd://0123…" is how Kubernetes writes it. */
static struct aq_fact_text bare_id(struct aq_fact_text id)
{
	const char *mark = id.s ? memmem(id.s, id.len, "://", 3) : NULL;

	if (mark) {
		id.len -= (uint32_t)(mark + 3 - id.s);
		id.s = mark + 3;
	}
	return id;
}

/* The newest fact of each pod that lists a container says to whom it belongs. Without memory nobody says. */
static void make_listed(struct aq_names *n)
{
	size_t count = 0, size = 16;

	n->listed_made = true;
	for (unsigned pass = 0; pass < 2; pass++) {
		for (struct aq_subject *s = NULL; (s = aq_facts_next(n->facts, "pod:", s));) {
			struct aq_fact_walk w = { .facts = n->facts, .subject = s, .time_ns = UINT64_MAX - 1 };
			const struct aq_fact_doc *d;

			while ((d = aq_fact_walk_next(&w, NULL))) {
				for (uint32_t i = 0; i < aq_doc_rows(d, AQ_FL_CONTAINERS); i++) {
					struct aq_fact_text id = bare_id(aq_doc_cell(d, AQ_FL_CONTAINERS, i, AQ_POD_CONTAINER_ID));
					uint32_t at;

					if (!id.s)
						continue;
					if (pass == 0) {
						count++;
						continue;
					}
					at = (uint32_t)hash_text(id.s, id.len) & n->listed_mask;
					while (n->listed[at].id.s && (n->listed[at].id.len != id.len ||
								      memcmp(n->listed[at].id.s, id.s, id.len) != 0))
						at = (at + 1) & n->listed_mask;
					if (!n->listed[at].id.s)
						n->listed[at] = (struct listed){ id, s, d, i };
				}
			}
		}
		if (pass == 0) {
			while (size < count * 2)
				size *= 2;
			n->listed = count && size <= UINT32_MAX ? calloc(size, sizeof(*n->listed)) : NULL;
			if (!n->listed)
				return;
			n->listed_mask = (uint32_t)size - 1;
		}
	}
}

static const struct listed *find_listed(struct aq_names *n, const char *id, size_t len)
{

	if (!n->listed_made)
		make_listed(n);
	if (!n->listed)
		return NULL;
	for (uint32_t at = (uint32_t)hash_text(id, len) & n->listed_mask; n->listed[at].id.s; at = (at + 1) & n->listed_mask)
		if (n->listed[at].id.len == len && memcmp(n->listed[at].id.s, id, len) == 0)
			return &n->listed[at];
	return NULL;
}

static void keep_uid(struct who *w, struct aq_fact_text uid)
{
	if (!uid.s || uid.len >= sizeof(w->pod_uid))
		return;
	memcpy(w->pod_uid, uid.s, uid.len);
	w->pod_uid[uid.len] = '\0';
}

static void find_pod(struct aq_names *n, struct who *w, const struct aq_cgroup *c, uint64_t time_ns)
{
	const struct listed *l = w->is_container ? find_listed(n, w->id.s, w->id.len) : NULL;

	keep_uid(w, aq_facts_text(n->facts, w->container, AQ_FM_POD_UID, time_ns, false));
	if (l) {
		w->lists = l->doc;
		w->lists_row = l->row;
		if (!w->pod_uid[0]) {
			const char *name = aq_subject_name(n->facts, l->pod);

			keep_uid(w, text(name + 4)); /* behind "pod:" */
			w->pod = l->pod;
			return;
		}
	}
	if (!w->pod_uid[0] && c->path)
		aq_cgroup_pod_uid(c->path->s, c->path->len, w->pod_uid);
	if (w->pod_uid[0])
		w->pod = find(n, "pod", w->pod_uid, strlen(w->pod_uid));
}

/* By its path, or by a fact that names a cgroup further in. */
static void find_container(struct aq_names *n, struct who *w, const struct aq_cgroup *c, uint64_t time_ns)
{
	const char *in_path = c->container_id[0] && c->path ? strstr(c->path->s, c->container_id) : NULL;
	size_t len = 0, known = in_path ? (size_t)(in_path - c->path->s) + strlen(c->container_id) : 0;
	struct aq_subject *placed = NULL;

	if (c->path)
		placed = aq_placed_find(n->placed, c->path->s, c->path->len, time_ns, &len, &w->from_ns, &w->to_ns);
	if (c->container_id[0] && (!placed || len <= known + strlen(".scope"))) {
		w->is_container = true;
		w->id = text(c->container_id); /* as long as the cgroup's path is the same */
		w->engine = text(c->engine);
		w->container = find(n, "container", w->id.s, w->id.len);
		if (is(w->engine, "runtime")) { /* the path tells only that it is one */
			struct aq_fact_text engine = aq_facts_text(n->facts, w->container, AQ_FM_ENGINE, time_ns, false);

			w->engine = engine.s ? engine : w->engine;
		}
	} else if (placed) {
		w->is_container = true;
		w->id = text(aq_subject_name(n->facts, placed) + strlen("container:"));
		w->container = placed;
		w->engine = aq_facts_text(n->facts, placed, AQ_FM_ENGINE, time_ns, false);
	}
}

static void fill(struct aq_names *n, struct who *w, const struct aq_cgroup *c, uint64_t time_ns)
{
	struct aq_fact_text ns;

	*w = (struct who){ .cgroup_id = c->id, .changes = c->changes, .to_ns = UINT64_MAX };
	find_container(n, w, c, time_ns);
	find_pod(n, w, c, time_ns);
	w->in_pod = w->pod_uid[0] || (c->path && memmem(c->path->s, c->path->len, "kubepods", 8) && w->is_container);
	ns = aq_facts_text(n->facts, w->pod, AQ_FM_NAMESPACE, time_ns, false);
	if (!ns.s)
		ns = aq_facts_text(n->facts, w->container, AQ_FM_NAMESPACE, time_ns, false);
	if (ns.s)
		w->ns = find(n, "namespace", ns.s, ns.len);
	struct aq_subject *const all[] = { w->container, w->pod, w->ns, aq_facts_find(n->facts, "container:*", 11),
					   aq_facts_find(n->facts, "pod:*", 5) };
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i])
			aq_subject_narrow(n->facts, all[i], time_ns, &w->from_ns, &w->to_ns);
}

/* One of the few places in which it can be; when others are in all of them, the first of these goes. */
static struct who *who_of(struct aq_names *n, const struct aq_cgroup *c, uint64_t time_ns)
{
	uint32_t first = (uint32_t)((c->id * 0x9e3779b97f4a7c15ull) >> 52), at = first;
	struct who *w = n->last;

	if (w && w->cgroup_id == c->id && w->changes == c->changes && time_ns >= w->from_ns && time_ns <= w->to_ns)
		return w;
	for (unsigned i = 0; i < PROBES && n->who[at]; i++) {
		w = n->who[at];
		if (w->cgroup_id == c->id)
			break;
		at = (first + i + 1) % CGROUP_PLACES;
	}
	if (n->who[at] && n->who[at]->cgroup_id != c->id)
		at = first;
	w = n->who[at];
	if (w && w->cgroup_id == c->id && w->changes == c->changes && time_ns >= w->from_ns && time_ns <= w->to_ns)
		return n->last = w;
	if (!w)
		w = n->who[at] = malloc(sizeof(*w));
	if (!w)
		w = &n->spare;
	fill(n, w, c, time_ns);
	return n->last = w;
}

static struct aq_fact_text of_kind(struct aq_names *n, const struct who *w, uint64_t time_ns, enum aq_fact_member kind,
				   const char *wanted, enum aq_fact_member name)
{
	if (!is(aq_facts_text(n->facts, w->pod, kind, time_ns, false), wanted))
		return nothing;
	return aq_facts_text(n->facts, w->pod, name, time_ns, false);
}

static struct aq_fact_text from_pod(struct aq_names *n, const struct who *w, uint64_t time_ns, enum aq_fact_member pod_member,
				    enum aq_fact_member container_member)
{
	struct aq_fact_text t = aq_facts_text(n->facts, w->pod, pod_member, time_ns, false);

	return t.s ? t : aq_facts_text(n->facts, w->container, container_member, time_ns, false);
}

/* The member of the container's facts, else the cell of the pod's list. */
static struct aq_fact_text from_container(struct aq_names *n, const struct who *w, uint64_t time_ns, enum aq_fact_member member,
					  unsigned column)
{
	struct aq_fact_text t = aq_facts_text(n->facts, w->container, member, time_ns, false);

	if (!t.s && w->lists)
		t = aq_doc_cell(w->lists, AQ_FL_CONTAINERS, w->lists_row, column);
	/* what its pod calls it is a name, too */
	if (!t.s && member == AQ_FM_NAME)
		t = aq_facts_text(n->facts, w->container, AQ_FM_CONTAINER, time_ns, false);
	return t;
}

/* registry:5000/path/name:tag@digest */
static struct aq_fact_text image_part(struct aq_fact_text image, enum aq_name part)
{
	const char *end = image.s + image.len, *digest, *slash, *colon;

	if (!image.s)
		return nothing;
	digest = memchr(image.s, '@', image.len);
	if (part == AQ_NAME_IMAGE_DIGEST)
		return digest && digest + 1 < end ? (struct aq_fact_text){ digest + 1, (uint32_t)(end - digest - 1) } : nothing;
	if (digest)
		end = digest;
	slash = memrchr(image.s, '/', (size_t)(end - image.s));
	slash = slash ? slash : image.s;
	colon = memchr(slash, ':', (size_t)(end - slash));
	if (part == AQ_NAME_IMAGE_TAG)
		return colon && colon + 1 < end ? (struct aq_fact_text){ colon + 1, (uint32_t)(end - colon - 1) } : nothing;
	if (colon)
		end = colon;
	return end > image.s ? (struct aq_fact_text){ image.s, (uint32_t)(end - image.s) } : nothing;
}

static struct aq_fact_text of_image(struct aq_names *n, const struct who *w, uint64_t time_ns, enum aq_name name)
{
	struct aq_fact_text image = from_container(n, w, time_ns, AQ_FM_IMAGE, AQ_POD_CONTAINER_IMAGE), t;
	enum aq_fact_member member = name == AQ_NAME_IMAGE_REPOSITORY ? AQ_FM_IMAGE_REPOSITORY :
				     name == AQ_NAME_IMAGE_TAG ? AQ_FM_IMAGE_TAG : AQ_FM_IMAGE_DIGEST;

	if (name == AQ_NAME_IMAGE)
		return image;
	if (name == AQ_NAME_IMAGE_DIGEST)
		t = from_container(n, w, time_ns, member, AQ_POD_CONTAINER_DIGEST);
	else
		t = aq_facts_text(n->facts, w->container, member, time_ns, false);
	return t.s ? t : image_part(image, name);
}

/* Why a source knows nothing: of this one, or in general. Sources of the other kind have no say. */
static struct aq_fact_text reason(struct aq_names *n, struct aq_subject *s, uint64_t time_ns, bool of_pods, bool strict)
{
	struct aq_fact_walk w = { .facts = n->facts, .subject = s, .time_ns = time_ns, .strict = strict };
	const struct aq_fact_doc *d;
	enum aq_fact_origin origin;

	while (s && (d = aq_fact_walk_next(&w, &origin))) {
		bool pods = origin == AQ_FO_KUBELET || origin == AQ_FO_KUBERNETES;
		struct aq_fact_text t = aq_doc_text(d, AQ_FM_UNKNOWN);

		if (t.s && (!of_pods || pods || origin >= AQ_FO_IMPORT))
			return t;
	}
	return nothing;
}

/* Somebody has named one of them; "pod:*" is about the source as a whole. */
static bool any_named(struct aq_names *n, const char *prefix)
{
	struct aq_subject *s = aq_facts_next(n->facts, prefix, NULL);

	if (s && aq_subject_name(n->facts, s)[strlen(prefix)] == '*')
		s = aq_facts_next(n->facts, prefix, s);
	return s != NULL;
}

static struct aq_fact_text unknown_reason(struct aq_names *n, const struct who *w, uint64_t time_ns, bool of_pods)
{
	struct aq_subject *general = aq_facts_find(n->facts, of_pods ? "pod:*" : "container:*", of_pods ? 5 : 11);
	bool named = any_named(n, of_pods ? "pod:" : "container:");
	struct aq_fact_text t = reason(n, of_pods ? w->pod : w->container, time_ns, of_pods, false);

	if (!t.s && of_pods)
		t = reason(n, w->container, time_ns, true, false);
	if (!t.s) /* that it failed at other times says something only when it never went well */
		t = reason(n, general, time_ns, false, named);
	if (!t.s && (general || named))
		t = text("not yet seen");
	return t.s ? t : text(of_pods ? "no source of pod names was recorded" : "no source of container names was recorded");
}

static struct aq_fact_text of_pod(struct aq_names *n, const struct who *w, uint64_t time_ns, enum aq_name name)
{
	struct aq_facts *f = n->facts;

	switch (name) {
	case AQ_NAME_POD: return from_pod(n, w, time_ns, AQ_FM_NAME, AQ_FM_POD);
	case AQ_NAME_POD_UID: return w->pod_uid[0] ? text(w->pod_uid) : nothing;
	case AQ_NAME_NAMESPACE: return from_pod(n, w, time_ns, AQ_FM_NAMESPACE, AQ_FM_NAMESPACE);
	case AQ_NAME_DEPLOYMENT: return of_kind(n, w, time_ns, AQ_FM_WORKLOAD_KIND, "Deployment", AQ_FM_WORKLOAD_NAME);
	case AQ_NAME_CRONJOB: return of_kind(n, w, time_ns, AQ_FM_WORKLOAD_KIND, "CronJob", AQ_FM_WORKLOAD_NAME);
	case AQ_NAME_REPLICASET: return of_kind(n, w, time_ns, AQ_FM_OWNER_KIND, "ReplicaSet", AQ_FM_OWNER_NAME);
	case AQ_NAME_RC: return of_kind(n, w, time_ns, AQ_FM_OWNER_KIND, "ReplicationController", AQ_FM_OWNER_NAME);
	case AQ_NAME_JOB: return of_kind(n, w, time_ns, AQ_FM_OWNER_KIND, "Job", AQ_FM_OWNER_NAME);
	case AQ_NAME_DAEMONSET: return of_kind(n, w, time_ns, AQ_FM_OWNER_KIND, "DaemonSet", AQ_FM_OWNER_NAME);
	case AQ_NAME_STATEFULSET: return of_kind(n, w, time_ns, AQ_FM_OWNER_KIND, "StatefulSet", AQ_FM_OWNER_NAME);
	case AQ_NAME_OWNER_KIND: return aq_facts_text(f, w->pod, AQ_FM_OWNER_KIND, time_ns, false);
	case AQ_NAME_OWNER_NAME: return aq_facts_text(f, w->pod, AQ_FM_OWNER_NAME, time_ns, false);
	case AQ_NAME_WORKLOAD_KIND: return aq_facts_text(f, w->pod, AQ_FM_WORKLOAD_KIND, time_ns, false);
	case AQ_NAME_WORKLOAD_NAME: return aq_facts_text(f, w->pod, AQ_FM_WORKLOAD_NAME, time_ns, false);
	case AQ_NAME_NODE: return aq_facts_text(f, w->pod, AQ_FM_NODE, time_ns, false);
	case AQ_NAME_SERVICE_ACCOUNT: return aq_facts_text(f, w->pod, AQ_FM_SERVICE_ACCOUNT, time_ns, false);
	case AQ_NAME_POD_CONTAINER:
		if (w->lists && aq_doc_cell(w->lists, AQ_FL_CONTAINERS, w->lists_row, AQ_POD_CONTAINER_NAME).s)
			return aq_doc_cell(w->lists, AQ_FL_CONTAINERS, w->lists_row, AQ_POD_CONTAINER_NAME);
		return aq_facts_text(f, w->container, AQ_FM_CONTAINER, time_ns, false);
	default: return nothing;
	}
}

static struct aq_fact_text look_up(struct aq_names *n, const struct who *w, uint64_t time_ns, enum aq_name name)
{
	switch (name) {
	case AQ_NAME_CONTAINER: return from_container(n, w, time_ns, AQ_FM_NAME, AQ_POD_CONTAINER_NAME);
	case AQ_NAME_IMAGE:
	case AQ_NAME_IMAGE_REPOSITORY:
	case AQ_NAME_IMAGE_TAG:
	case AQ_NAME_IMAGE_DIGEST: return of_image(n, w, time_ns, name);
	case AQ_NAME_START: return aq_facts_text(n->facts, w->container, AQ_FM_START, time_ns, false);
	case AQ_NAME_CONTAINER_UNKNOWN:
		return w->is_container && !look_up(n, w, time_ns, AQ_NAME_CONTAINER).s ?
		       unknown_reason(n, w, time_ns, false) : nothing;
	case AQ_NAME_POD_UNKNOWN:
		return w->in_pod && !of_pod(n, w, time_ns, AQ_NAME_POD).s ?
		       unknown_reason(n, w, time_ns, true) : nothing;
	default: return of_pod(n, w, time_ns, name);
	}
}

struct aq_fact_text aq_name_of(struct aq_names *n, const struct aq_cgroup *c, uint64_t time_ns, enum aq_name name)
{
	struct who *w = who_of(n, c, time_ns);

	if (!w->asked[name]) {
		w->value[name] = look_up(n, w, time_ns, name);
		w->asked[name] = true;
	}
	return w->value[name];
}

bool aq_name_container(struct aq_names *n, const struct aq_cgroup *c, uint64_t time_ns, struct aq_fact_text *ret_id,
		       struct aq_fact_text *ret_engine)
{
	const struct who *w = who_of(n, c, time_ns);

	*ret_id = w->id;
	*ret_engine = w->engine;
	return w->is_container;
}

const struct aq_fact_doc *aq_name_list(struct aq_names *n, const struct aq_cgroup *c, uint64_t time_ns,
				       enum aq_name_table table, enum aq_fact_list list)
{
	struct who *who = who_of(n, c, time_ns);
	struct aq_fact_walk w = { .facts = n->facts, .time_ns = time_ns,
				  .subject = table == AQ_NT_CONTAINER ? who->container : table == AQ_NT_POD ? who->pod : who->ns };
	const struct aq_fact_doc *d;

	while (w.subject && (d = aq_fact_walk_next(&w, NULL)))
		if (aq_doc_rows(d, list))
			return d;
	return NULL;
}

static void fill_owner(struct aq_names *n, struct owner *o, uint64_t time_ns)
{
	static const char *const kinds[] = { "service", "pod", "container", "node" };
	struct aq_fact_text names[sizeof(kinds) / sizeof(kinds[0])] = { { NULL, 0 } }, dns = nothing;
	struct aq_fact_walk w = { .facts = n->facts, .time_ns = time_ns, .strict = true };
	char subject[8 + INET6_ADDRSTRLEN] = "address:";
	const struct aq_fact_doc *d;
	struct aq_subject *s = NULL;

	o->from_ns = 0;
	o->to_ns = UINT64_MAX;
	memset(o->value, 0, sizeof(o->value));
	if (inet_ntop(o->ip_len == 4 ? AF_INET : AF_INET6, o->ip, subject + 8, INET6_ADDRSTRLEN))
		s = aq_facts_find(n->facts, subject, strlen(subject));
	if (!s)
		return;
	aq_subject_narrow(n->facts, s, time_ns, &o->from_ns, &o->to_ns);
	w.subject = s;
	while ((d = aq_fact_walk_next(&w, NULL))) {
		struct aq_fact_text kind = aq_doc_text(d, AQ_FM_KIND), name = aq_doc_text(d, AQ_FM_NAME);

		if (is(kind, "dns"))
			dns = dns.s ? dns : name;
		for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (is(kind, kinds[i]) && !names[i].s) {
				names[i] = name;
				if (i < 2 && !o->value[AQ_AN_NAMESPACE].s)
					o->value[AQ_AN_NAMESPACE] = aq_doc_text(d, AQ_FM_NAMESPACE);
			}
	}
	o->value[AQ_AN_SERVICE] = names[0];
	o->value[AQ_AN_POD] = names[1];
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !o->value[AQ_AN_NAME].s; i++)
		o->value[AQ_AN_NAME] = dns.s ? dns : names[i];
}

struct aq_fact_text aq_name_of_address(struct aq_names *n, const uint8_t *ip, unsigned ip_len, uint64_t time_ns,
				       enum aq_address_name name)
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	struct owner *o;

	if (ip_len == 16 && memcmp(ip, mapped, 12) == 0) {
		ip += 12;
		ip_len = 4;
	}
	if (ip_len != 4 && ip_len != 16)
		return nothing;
	o = &n->owner[hash_text((const char *)ip, ip_len) % ADDRESS_PLACES];
	if (o->ip_len != ip_len || memcmp(o->ip, ip, ip_len) != 0 || time_ns < o->from_ns || time_ns > o->to_ns) {
		o->ip_len = ip_len;
		memcpy(o->ip, ip, ip_len);
		fill_owner(n, o, time_ns);
	}
	return o->value[name];
}
