/* SPDX-License-Identifier: Apache-2.0 */
/* Counts events by cgroup, and adds the cgroups of a container and the containers of a pod up. */
#include "replay/info_names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/segment/columns.h"
#include "query/names.h"
#include "query/state.h"

enum { CGROUPS_MAX = 1 << 20, SHOWN = 20 };

struct group { /* a cgroup, then a container, then a pod */
	uint64_t id;                      /* of the cgroup */
	uint64_t events, from_ns, to_ns;  /* from 0: it was there before; to 0: it was not seen to end */
	bool is_made;                     /* its begin was seen */
	char key[AQ_POD_UID_BYTES + 16];  /* container id or pod uid */
	struct aq_fact_text name, image, pod, ns, why;
	struct aq_fact_text engine;
	uint32_t parts;
};

struct aq_info_names {
	struct aq_state *state;
	struct aq_facts *facts;
	struct aq_names *names;
	struct group *cgroup;
	size_t cgroups, room;
	struct group *container, *pod;
	size_t containers, pods;
	uint32_t *hash; /* 1 + index of a cgroup by its id */
	uint32_t mask;
};

static uint32_t place(const struct aq_info_names *n, uint64_t id)
{
	uint32_t at = (uint32_t)((id * 0x9e3779b97f4a7c15ull) >> 32) & n->mask;

	while (n->hash[at] && n->cgroup[n->hash[at] - 1].id != id)
		at = (at + 1) & n->mask;
	return at;
}

static int grow(struct aq_info_names *n)
{
	size_t room = n->room ? n->room * 2 : 256;
	struct group *more = realloc(n->cgroup, room * sizeof(*more));
	uint32_t *hash = calloc(room * 2, sizeof(*hash));

	if (more)
		n->cgroup = more;
	if (!more || !hash) {
		free(hash);
		return -ENOMEM;
	}
	free(n->hash);
	n->hash = hash;
	n->room = room;
	n->mask = (uint32_t)(room * 2 - 1);
	for (size_t i = 0; i < n->cgroups; i++)
		n->hash[place(n, n->cgroup[i].id)] = (uint32_t)i + 1;
	return 0;
}

/* NULL: no memory, or more than anybody has. */
static struct group *cgroup_of(struct aq_info_names *n, uint64_t id)
{
	uint32_t at;

	if (n->cgroups == n->room && (n->cgroups >= CGROUPS_MAX || grow(n) < 0))
		return NULL;
	at = place(n, id);
	if (!n->hash[at]) {
		n->cgroup[n->cgroups] = (struct group){ .id = id };
		n->hash[at] = (uint32_t)++n->cgroups;
	}
	return &n->cgroup[n->hash[at] - 1];
}

static int read_cgroups(struct aq_info_names *n, struct aq_capture *c, struct aq_err *err)
{
	static const uint16_t ids[] = { AQ_EV_snap_cgroup, AQ_EV_cgroup_mkdir, AQ_EV_cgroup_rmdir, AQ_EV_cgroup_attach };
	uint64_t set[(AQ_EVENT_ID_MAX + 63) / 64] = { 0 };
	const struct aq_iter_options options = { .event_set = set };
	struct aq_event_iter *it = NULL;
	struct aq_touch touch;
	struct aq_event ev;
	int r;

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		set[ids[i] / 64] |= 1ull << (ids[i] % 64);
	r = aq_event_iter_new(c, &options, &it, err);
	while (r >= 0 && (r = aq_event_iter_next(it, &ev, err)) > 0) {
		const struct aq_cgroup *known;
		struct group *g;

		if (aq_state_feed(n->state, &ev, &touch) < 0) {
			r = aq_err_set(err, -ENOMEM, "out of memory");
			break;
		}
		known = ev.arg_count > 0 ? aq_state_cgroup(n->state, ev.args[0]) : NULL;
		g = known ? cgroup_of(n, known->id) : NULL;
		if (!g)
			continue;
		if (ev.id == AQ_EV_cgroup_mkdir) {
			g->from_ns = ev.time_ns;
			g->to_ns = 0;
			g->is_made = true;
		} else if (ev.id == AQ_EV_cgroup_rmdir) {
			g->to_ns = ev.time_ns;
		}
	}
	aq_event_iter_free(it);
	return r < 0 ? r : 0;
}

static bool is_made_by_recorder(uint64_t id)
{
	return (id >= AQ_EV_snap_begin && id <= AQ_EV_snap_mount) || id == AQ_EV_fact || id == AQ_EV_mark;
}

static int count_events(struct aq_info_names *n, struct aq_capture *c, struct aq_err *err)
{
	static const char *const names[] = { "cgroup", "id" };
	uint32_t chunks = aq_capture_info(c)->chunk_count;

	for (uint32_t i = 0; i < chunks; i++) {
		struct aq_columns *columns = NULL;
		const struct aq_column *cgroup, *id;
		struct group *g = NULL;
		int r = aq_columns_load(c, i, names, 2, &columns, err);

		if (r == -EBADMSG)
			continue; /* the verdict says so */
		if (r < 0)
			return r;
		cgroup = aq_columns_get(columns, 0);
		id = aq_columns_get(columns, 1);
		for (uint32_t k = 0; k < cgroup->rows; k++) {
			if (k == 0 || cgroup->values[k] != cgroup->values[k - 1]) {
				uint32_t at = place(n, cgroup->values[k]);

				g = n->hash[at] ? &n->cgroup[n->hash[at] - 1] : NULL;
			}
			if (g)
				g->events += !is_made_by_recorder(id->values[k]);
		}
		aq_columns_free(columns);
	}
	return 0;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct group *)a)->key, ((const struct group *)b)->key);
}

static int by_events(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->events != y->events ? (x->events < y->events ? 1 : -1) : by_key(a, b);
}

/* Groups with one key become one; what lasts longest is what it lasts. */
static size_t add_up(struct group *g, size_t count)
{
	size_t out = 0;

	if (count)
		qsort(g, count, sizeof(*g), by_key);
	for (size_t i = 0; i < count; i++) {
		struct group *last = out ? &g[out - 1] : NULL;

		if (!last || strcmp(last->key, g[i].key) != 0) {
			g[out] = g[i];
			g[out++].parts = 1;
			continue;
		}
		last->events += g[i].events;
		last->from_ns = !last->is_made || !g[i].is_made ? 0 : g[i].from_ns < last->from_ns ? g[i].from_ns : last->from_ns;
		last->is_made = last->is_made && g[i].is_made;
		last->to_ns = !last->to_ns || !g[i].to_ns ? 0 : g[i].to_ns > last->to_ns ? g[i].to_ns : last->to_ns;
		last->parts++;
		if (!last->name.s) {
			last->name = g[i].name;
			last->image = g[i].image;
		}
	}
	if (out)
		qsort(g, out, sizeof(*g), by_events);
	return out;
}

/* As they were at their end, or at the end of the capture. */
static int name_all(struct aq_info_names *n, uint64_t end_ns)
{
	n->container = calloc(n->cgroups + 1, sizeof(*n->container));
	n->pod = calloc(n->cgroups + 1, sizeof(*n->pod));
	if (!n->container || !n->pod)
		return -ENOMEM;
	for (size_t i = 0; i < n->cgroups; i++) {
		struct group g = n->cgroup[i];
		const struct aq_cgroup *c = aq_state_cgroup(n->state, g.id);
		uint64_t at_ns = g.to_ns ? g.to_ns : end_ns;
		struct aq_fact_text uid, id, engine;

		if (!c || !aq_name_container(n->names, c, at_ns, &id, &engine))
			continue;
		g.engine = engine;
		snprintf(g.key, sizeof(g.key), "%.*s", (int)id.len, id.s);
		g.pod = aq_name_of(n->names, c, at_ns, AQ_NAME_POD);
		g.ns = aq_name_of(n->names, c, at_ns, AQ_NAME_NAMESPACE);
		uid = aq_name_of(n->names, c, at_ns, AQ_NAME_POD_UID);
		if (uid.s && uid.len < sizeof(g.key)) {
			struct group *pod = &n->pod[n->pods++];

			*pod = g;
			pod->name = g.pod;
			pod->why = aq_name_of(n->names, c, at_ns, AQ_NAME_POD_UNKNOWN);
			memcpy(pod->key, uid.s, uid.len); /* a copy: the next cgroup may need its place */
			pod->key[uid.len] = '\0';
		}
		g.name = aq_name_of(n->names, c, at_ns, AQ_NAME_CONTAINER);
		g.image = aq_name_of(n->names, c, at_ns, AQ_NAME_IMAGE);
		g.why = aq_name_of(n->names, c, at_ns, AQ_NAME_CONTAINER_UNKNOWN);
		n->container[n->containers++] = g;
	}
	n->containers = add_up(n->container, n->containers);
	n->pods = add_up(n->pod, n->pods);
	return 0;
}

/* Facts may say of any cgroup but the root that it is a container's. */
static bool may_have_container(const struct aq_info_names *n)
{
	for (size_t i = 0; i < n->cgroups; i++) {
		const struct aq_cgroup *c = aq_state_cgroup(n->state, n->cgroup[i].id);

		if (c && (c->container_id[0] || (c->path && c->path->len > 1)))
			return true;
	}
	return false;
}

int aq_info_names_collect(struct aq_capture *c, struct aq_info_names **ret_names, struct aq_err *err)
{
	const struct aq_state_options options = { .without_fds = true };
	struct aq_info_names *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return aq_err_set(err, -ENOMEM, "out of memory");
	r = aq_state_new(&options, &n->state, err);
	r = r < 0 ? r : read_cgroups(n, c, err);
	if (r == 0 && may_have_container(n)) {
		r = aq_facts_load(c, &n->facts, err);
		if (r == 0 && aq_names_new(n->facts, &n->names) < 0)
			r = aq_err_set(err, -ENOMEM, "out of memory");
		r = r < 0 ? r : count_events(n, c, err);
		if (r == 0 && name_all(n, aq_capture_info(c)->end_ns) < 0)
			r = aq_err_set(err, -ENOMEM, "out of memory");
	}
	if (r < 0) {
		aq_info_names_free(n);
		return r;
	}
	*ret_names = n;
	return 0;
}

void aq_info_names_free(struct aq_info_names *n)
{
	if (!n)
		return;
	aq_state_free(n->state);
	aq_names_free(n->names);
	aq_facts_free(n->facts);
	free(n->cgroup);
	free(n->container);
	free(n->pod);
	free(n->hash);
	free(n);
}

static void put_span(struct aq_out *out, const struct aq_capture *c, const struct group *g)
{
	char from[AQ_TIME_TEXT_BYTES], to[AQ_TIME_TEXT_BYTES];

	aq_time_format(aq_capture_real_ns(c, g->from_ns), from);
	aq_time_format(aq_capture_real_ns(c, g->to_ns), to);
	aq_out_printf(out, "  %s to %s", g->is_made ? from : "before", g->to_ns ? to : "the end");
}

static void put_text_of(struct aq_out *out, struct aq_fact_text t)
{
	aq_out_text(out, t.s, t.len);
}

static void put_lines(struct aq_out *out, const struct aq_capture *c, const char *title, const struct group *g, size_t count, bool pods)
{
	for (size_t i = 0; i < count && i < SHOWN; i++) {
		aq_out_printf(out, "%s%-9s%s %12" PRIu64 "  ", aq_colour(out, AQ_BOLD), i == 0 ? title : "", aq_colour(out, AQ_PLAIN),
			      g[i].events);
		if (!pods)
			aq_out_printf(out, "%.12s ", g[i].key);
		if (pods && g[i].name.s && g[i].ns.s) {
			put_text_of(out, g[i].ns);
			aq_out_puts(out, "/");
		}
		if (g[i].name.s) {
			put_text_of(out, g[i].name);
		} else {
			if (pods)
				aq_out_text(out, g[i].key, strlen(g[i].key));
			aq_out_puts(out, pods ? " (name unknown" : "(name unknown");
			if (g[i].why.s) {
				aq_out_puts(out, ": ");
				put_text_of(out, g[i].why);
			}
			aq_out_puts(out, ")");
		}
		if (!pods && g[i].image.s) {
			aq_out_puts(out, "  ");
			put_text_of(out, g[i].image);
		}
		put_span(out, c, &g[i]);
		aq_out_puts(out, "\n");
	}
	if (count > SHOWN)
		aq_out_printf(out, "%-9s %12s  and %zu more: --format json has all\n", "", "", count - SHOWN);
}

void aq_info_names_text(const struct aq_info_names *n, struct aq_out *out, const struct aq_capture *c)
{
	put_lines(out, c, "container", n->container, n->containers, false);
	put_lines(out, c, "pods", n->pod, n->pods, true);
}

static void json_member(struct aq_out *out, const char *name, struct aq_fact_text t)
{
	aq_out_printf(out, ",\"%s\":", name);
	aq_out_json(out, t.s, t.len);
}

static void json_times(struct aq_out *out, const struct aq_capture *c, const struct group *g)
{
	char text[AQ_TIME_TEXT_BYTES];

	aq_out_printf(out, ",\"events\":%" PRIu64 ",\"from\":", g->events);
	aq_time_format(aq_capture_real_ns(c, g->from_ns), text);
	aq_out_json_text(out, g->is_made ? text : NULL);
	aq_time_format(aq_capture_real_ns(c, g->to_ns), text);
	aq_out_puts(out, ",\"to\":");
	aq_out_json_text(out, g->to_ns ? text : NULL);
}

void aq_info_names_json(const struct aq_info_names *n, struct aq_out *out, const struct aq_capture *c)
{
	aq_out_puts(out, ",\"containers\":[");
	for (size_t i = 0; i < n->containers; i++) {
		const struct group *g = &n->container[i];

		aq_out_printf(out, "%s{\"id\":", i ? "," : "");
		aq_out_json_text(out, g->key);
		json_member(out, "type", g->engine);
		json_member(out, "name", g->name);
		json_member(out, "image", g->image);
		json_member(out, "pod", g->pod);
		json_member(out, "namespace", g->ns);
		json_member(out, "unknown_reason", g->why);
		json_times(out, c, g);
		aq_out_puts(out, "}");
	}
	aq_out_puts(out, "],\"pods\":[");
	for (size_t i = 0; i < n->pods; i++) {
		const struct group *g = &n->pod[i];

		aq_out_printf(out, "%s{\"uid\":", i ? "," : "");
		aq_out_json_text(out, g->key);
		json_member(out, "name", g->name);
		json_member(out, "namespace", g->ns);
		json_member(out, "unknown_reason", g->why);
		json_times(out, c, g);
		aq_out_printf(out, ",\"cgroups\":%" PRIu32 "}", g->parts);
	}
	aq_out_puts(out, "]");
}
