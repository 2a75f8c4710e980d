/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of cgroups, containers and pods, and the names of addresses. */
#include "query/fields_internal.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "format/base/text.h"
#include "query/names.h"

static uint64_t time_of(const struct aq_row *row)
{
	return row->ev ? row->ev->time_ns : row->gap ? row->gap->first_ns : 0;
}

static uint64_t cgroup_id(const struct aq_row *row)
{
	return row->ev ? row->ev->cgroup_id : row->gap ? row->gap->cgroup_id : 0;
}

static const struct aq_cgroup *cgroup_of(const struct aq_row *row)
{
	uint64_t id = cgroup_id(row);

	if (!id && row->proc)
		id = row->proc->cgroup_id;
	return id && row->state ? aq_state_cgroup(row->state, id) : NULL;
}

static bool put(struct aq_value *v, struct aq_fact_text t)
{
	return t.s && aq_v_str(v, t.s, t.len);
}

static bool named(struct aq_row *row, const struct aq_cgroup *c, enum aq_name name, struct aq_value *v)
{
	return put(v, aq_name_of(row->names, c, time_of(row), name));
}

static bool started(struct aq_row *row, const struct aq_cgroup *c, uint64_t *ret_real_ns)
{
	struct aq_fact_text t = aq_name_of(row->names, c, time_of(row), AQ_NAME_START);
	char text[64];

	if (!t.s || t.len >= sizeof(text))
		return false;
	memcpy(text, t.s, t.len);
	text[t.len] = '\0';
	return aq_time_parse(text, ret_real_ns, NULL) == 0;
}

static bool of_start(enum aq_field_id id, struct aq_row *row, const struct aq_cgroup *c, struct aq_value *v)
{
	uint64_t start, now;

	if (!started(row, c, &start))
		return false;
	if (id == AQ_FIELD_CONTAINER_START)
		return aq_v_time(v, start);
	if (id == AQ_FIELD_CONTAINER_START_TS)
		return aq_v_uint(v, start);
	now = row->capture ? aq_capture_real_ns(row->capture, time_of(row)) : 0;
	if (now < start) /* two clocks, and one of them is wrong */
		return false;
	*v = (struct aq_value){ .kind = AQ_VAL_UINT, .style = AQ_STYLE_DURATION, .u = now - start };
	return true;
}

/* Text made of several; what does not fit any more is left out. */
struct joined {
	char *buf;
	size_t size, len;
};

static void join(struct joined *j, const char *s, size_t len)
{
	if (len > j->size - j->len)
		len = j->size - j->len;
	if (len)
		memcpy(j->buf + j->len, s, len);
	j->len += len;
}

static bool all_pairs(struct aq_row *row, const struct aq_fact_doc *d, enum aq_fact_list list, struct aq_value *v)
{
	struct joined j = { 0 };

	if (!d)
		return false;
	j.buf = aq_scratch_room(row, AQ_FACT_JSON_MAX, &j.size);
	for (uint32_t i = 0; i < aq_doc_rows(d, list); i++) {
		struct aq_fact_text key = aq_doc_cell(d, list, i, AQ_PAIR_KEY), value = aq_doc_cell(d, list, i, AQ_PAIR_VALUE);

		join(&j, ", ", i ? 2 : 0);
		join(&j, key.s, key.len);
		join(&j, ":", 1);
		join(&j, value.s, value.len);
	}
	aq_scratch_keep(row, j.len);
	return aq_v_str(v, j.buf, j.len);
}

static bool mounts(struct aq_row *row, const struct aq_fact_doc *d, struct aq_value *v)
{
	struct joined j = { 0 };

	if (!d)
		return false;
	j.buf = aq_scratch_room(row, AQ_FACT_JSON_MAX, &j.size);
	for (uint32_t i = 0; i < aq_doc_rows(d, AQ_FL_MOUNTS); i++) {
		struct aq_fact_text ro = aq_doc_cell(d, AQ_FL_MOUNTS, i, AQ_MOUNT_RO);

		join(&j, " ", i ? 1 : 0);
		for (unsigned column = AQ_MOUNT_SOURCE; column <= AQ_MOUNT_TYPE; column++) {
			struct aq_fact_text t = aq_doc_cell(d, AQ_FL_MOUNTS, i, column);

			join(&j, t.s, t.len);
			join(&j, ":", 1);
		}
		join(&j, ro.len == 4 && memcmp(ro.s, "true", 4) == 0 ? "ro" : "rw", 2);
	}
	aq_scratch_keep(row, j.len);
	return aq_v_str(v, j.buf, j.len);
}

static bool pod_ip(const struct aq_fact_doc *d, unsigned index, struct aq_value *v)
{
	struct aq_fact_text t = { NULL, 0 };
	char text[INET6_ADDRSTRLEN];

	if (d && index < aq_doc_rows(d, AQ_FL_IPS))
		t = aq_doc_cell(d, AQ_FL_IPS, index, 0);
	if (!t.s || t.len >= sizeof(text))
		return false;
	memcpy(text, t.s, t.len);
	text[t.len] = '\0';
	*v = (struct aq_value){ .kind = AQ_VAL_IP, .len = 4 };
	if (inet_pton(AF_INET, text, v->ip) == 1)
		return true;
	v->len = 16;
	return inet_pton(AF_INET6, text, v->ip) == 1;
}

static bool restarts(const struct aq_fact_doc *d, struct aq_value *v)
{
	bool known = false;
	uint64_t sum = 0;

	for (uint32_t i = 0; d && i < aq_doc_rows(d, AQ_FL_CONTAINERS); i++) {
		struct aq_fact_text t = aq_doc_cell(d, AQ_FL_CONTAINERS, i, AQ_POD_CONTAINER_RESTARTS);
		char number[20] = "";

		if (!t.s || t.len >= sizeof(number))
			continue;
		memcpy(number, t.s, t.len);
		sum += strtoull(number, NULL, 10);
		known = true;
	}
	return known && aq_v_uint(v, sum);
}

static bool of_list(const struct aq_field *f, struct aq_row *row, const struct aq_cgroup *c, unsigned index, struct aq_value *v)
{
	static const struct { uint16_t id; uint8_t table, list; } lists[] = {
		{ AQ_FIELD_CONTAINER_LABEL, AQ_NT_CONTAINER, AQ_FL_LABELS }, { AQ_FIELD_CONTAINER_LABELS, AQ_NT_CONTAINER, AQ_FL_LABELS },
		{ AQ_FIELD_CONTAINER_MOUNTS, AQ_NT_CONTAINER, AQ_FL_MOUNTS }, { AQ_FIELD_K8S_POD_LABEL, AQ_NT_POD, AQ_FL_LABELS },
		{ AQ_FIELD_K8S_POD_LABELS, AQ_NT_POD, AQ_FL_LABELS }, { AQ_FIELD_K8S_POD_ANNOTATION, AQ_NT_POD, AQ_FL_ANNOTATIONS },
		{ AQ_FIELD_K8S_POD_IP, AQ_NT_POD, AQ_FL_IPS }, { AQ_FIELD_K8S_NS_LABEL, AQ_NT_NAMESPACE, AQ_FL_LABELS },
		{ AQ_FIELD_K8S_NS_LABELS, AQ_NT_NAMESPACE, AQ_FL_LABELS }, { AQ_FIELD_K8S_POD_RESTARTS, AQ_NT_POD, AQ_FL_CONTAINERS },
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const struct aq_fact_doc *d;

		if (lists[i].id != f->info->id)
			continue;
		d = aq_name_list(row->names, c, time_of(row), lists[i].table, lists[i].list);
		if (f->key)
			return d && put(v, aq_doc_value(d, lists[i].list, f->key, strlen(f->key)));
		if (f->info->id == AQ_FIELD_K8S_POD_IP)
			return pod_ip(d, index, v);
		if (f->info->id == AQ_FIELD_K8S_POD_RESTARTS)
			return restarts(d, v);
		return f->info->id == AQ_FIELD_CONTAINER_MOUNTS ? mounts(row, d, v) : all_pairs(row, d, lists[i].list, v);
	}
	return false;
}

static bool of_container(enum aq_field_id id, struct aq_row *row, const struct aq_cgroup *c, struct aq_value *v, bool *ret_done)
{
	struct aq_fact_text full, engine;
	bool host = !aq_name_container(row->names, c, time_of(row), &full, &engine);

	*ret_done = true;
	switch (id) {
	case AQ_FIELD_CONTAINER_ID: return host ? aq_v_text(v, "host") : aq_v_str(v, full.s, full.len < 12 ? full.len : 12);
	case AQ_FIELD_CONTAINER_FULL_ID: return host ? aq_v_text(v, "host") : put(v, full);
	case AQ_FIELD_CONTAINER_TYPE: return host ? aq_v_text(v, "host") : put(v, engine);
	case AQ_FIELD_CONTAINER_NAME: return host ? aq_v_text(v, "host") : named(row, c, AQ_NAME_CONTAINER, v);
	case AQ_FIELD_CONTAINER_IMAGE: return named(row, c, AQ_NAME_IMAGE, v);
	case AQ_FIELD_CONTAINER_IMAGE_REPOSITORY: return named(row, c, AQ_NAME_IMAGE_REPOSITORY, v);
	case AQ_FIELD_CONTAINER_IMAGE_TAG: return named(row, c, AQ_NAME_IMAGE_TAG, v);
	case AQ_FIELD_CONTAINER_IMAGE_DIGEST: return named(row, c, AQ_NAME_IMAGE_DIGEST, v);
	case AQ_FIELD_CONTAINER_START: case AQ_FIELD_CONTAINER_START_TS: case AQ_FIELD_CONTAINER_DURATION:
		return of_start(id, row, c, v);
	case AQ_FIELD_CONTAINER_UNKNOWN_REASON: return named(row, c, AQ_NAME_CONTAINER_UNKNOWN, v);
	default: *ret_done = false; return false;
	}
}

static bool of_pod(enum aq_field_id id, struct aq_row *row, const struct aq_cgroup *c, struct aq_value *v, bool *ret_done)
{
	static const struct { uint16_t id; uint8_t name; } names[] = {
		{ AQ_FIELD_K8S_POD_NAME, AQ_NAME_POD }, { AQ_FIELD_K8S_NS_NAME, AQ_NAME_NAMESPACE },
		{ AQ_FIELD_K8S_POD_UID, AQ_NAME_POD_UID }, { AQ_FIELD_K8S_POD_ID, AQ_NAME_POD_UID },
		{ AQ_FIELD_K8S_DEPLOYMENT_NAME, AQ_NAME_DEPLOYMENT }, { AQ_FIELD_K8S_RS_NAME, AQ_NAME_REPLICASET },
		{ AQ_FIELD_K8S_RC_NAME, AQ_NAME_RC }, { AQ_FIELD_K8S_JOB_NAME, AQ_NAME_JOB },
		{ AQ_FIELD_K8S_CRONJOB_NAME, AQ_NAME_CRONJOB }, { AQ_FIELD_K8S_DAEMONSET_NAME, AQ_NAME_DAEMONSET },
		{ AQ_FIELD_K8S_STATEFULSET_NAME, AQ_NAME_STATEFULSET }, { AQ_FIELD_K8S_OWNER_KIND, AQ_NAME_OWNER_KIND },
		{ AQ_FIELD_K8S_OWNER_NAME, AQ_NAME_OWNER_NAME }, { AQ_FIELD_K8S_WORKLOAD_KIND, AQ_NAME_WORKLOAD_KIND },
		{ AQ_FIELD_K8S_WORKLOAD_NAME, AQ_NAME_WORKLOAD_NAME }, { AQ_FIELD_K8S_NODE_NAME, AQ_NAME_NODE },
		{ AQ_FIELD_K8S_SA_NAME, AQ_NAME_SERVICE_ACCOUNT }, { AQ_FIELD_K8S_CONTAINER_NAME, AQ_NAME_POD_CONTAINER },
		{ AQ_FIELD_K8S_UNKNOWN_REASON, AQ_NAME_POD_UNKNOWN },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].id == id) {
			*ret_done = true;
			return named(row, c, names[i].name, v);
		}
	*ret_done = false;
	return false;
}

bool aq_field_get_name(const struct aq_field *f, struct aq_row *row, unsigned index, struct aq_value *v)
{
	enum aq_field_id id = f->info->id;
	const struct aq_cgroup *c;
	bool known, done;

	if (id == AQ_FIELD_CGROUP_ID)
		return cgroup_id(row) && aq_v_uint(v, cgroup_id(row));
	c = cgroup_of(row);
	if (!c || !c->path)
		return false;
	if (id == AQ_FIELD_CGROUP_PATH)
		return aq_v_str(v, c->path->s, c->path->len);
	if ((f->info->needs & AQ_NEED_FACTS) && !row->names)
		return false;
	known = of_container(id, row, c, v, &done);
	if (!done)
		known = of_pod(id, row, c, v, &done);
	return done ? known : of_list(f, row, c, index, v);
}

bool aq_field_get_address(const struct aq_field *f, struct aq_row *row, const struct aq_endpoint *ep, struct aq_value *v)
{
	enum aq_field_id id = f->info->id;
	enum aq_address_name name = id >= AQ_FIELD_FD_CIP_SERVICE ? AQ_AN_SERVICE : id >= AQ_FIELD_FD_CIP_NS ? AQ_AN_NAMESPACE :
				    id >= AQ_FIELD_FD_CIP_POD ? AQ_AN_POD : AQ_AN_NAME;

	if (!ep || !ep->family || !row->names)
		return false;
	return put(v, aq_name_of_address(row->names, ep->ip, ep->family == AF_INET ? 4 : 16, time_of(row), name));
}
