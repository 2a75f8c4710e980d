/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list's element and a container's own document say the same in different places: each is looked for where it may be.
 */
#include "format/facts/containers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/facts/container_maker.h"
#include "format/facts/oci.h"

enum { ADDRESSES_MAX = 16 };

const char *aq_containers_engine(const cJSON *version)
{
	const cJSON *one;

	if (aq_cm_text(version, "ApiVersion") == NULL && aq_cm_text(version, "Version") == NULL)
		return NULL;
	cJSON_ArrayForEach(one, aq_cm_member(version, "Components")) {
		const char *name = aq_cm_text(one, "Name");

		if (name != NULL && strcmp(name, "Podman Engine") == 0)
			return "podman";
	}
	return "docker";
}

static const char *id_of(const cJSON *object, const char *name)
{
	const char *id = aq_cm_text(object, name);

	return id != NULL && strlen(id) < AQ_CONTAINERS_ID_MAX && aq_oci_is_id(id) ? id : NULL;
}

/* The document of one container, not a list's element. */
static bool is_whole(const cJSON *container)
{
	return cJSON_IsObject(aq_cm_member(container, "State"));
}

/* Without its slash; of several the one that isn't another container's name for it. */
static const char *name_of(const cJSON *container)
{
	const cJSON *one;
	const char *name = aq_cm_text(container, "Name");

	if (name != NULL)
		return name + (name[0] == '/');
	cJSON_ArrayForEach(one, aq_cm_member(container, "Names")) {
		name = aq_cm_text_of(one);
		if (name != NULL && strchr(name + 1, '/') == NULL)
			return name + (name[0] == '/');
	}
	return NULL;
}

/* An id alone, which an image has that lost its name, isn't one. */
static const char *image_of(const cJSON *container)
{
	const cJSON *config = aq_cm_member(container, "Config");
	const char *image = is_whole(container) ? aq_cm_text(config, "Image") : aq_cm_text(container, "Image");

	return image != NULL && strncmp(image, "sha256:", 7) != 0 ? image : NULL;
}

static bool is_digest(const char *s)
{
	return s != NULL && strlen(s) < AQ_CONTAINERS_DIGEST_MAX && strncmp(s, "sha", 3) == 0 && strchr(s, ':') != NULL &&
	       aq_oci_is_id(s);
}

static const char *digest_of(const cJSON *container)
{
	const char *image = image_of(container), *at = image != NULL ? strchr(image, '@') : NULL;
	const char *digest = aq_cm_text(aq_cm_member(container, "ImageManifestDescriptor"), "digest");

	return is_digest(digest) ? digest : at != NULL && is_digest(at + 1) ? at + 1 : NULL;
}

/* When it was made, by the wall clock: text in one form of the document, seconds in the other. */
static uint64_t made_real_ns(const cJSON *container)
{
	const cJSON *created = aq_cm_member(container, "Created");

	if (cJSON_IsNumber(created) && created->valuedouble > 0 && created->valuedouble < 9e9)
		return (uint64_t)created->valuedouble * 1000000000u;
	return aq_cm_boot_time(aq_cm_text_of(created), 0);
}

/* 0001-01-01T00:00:00Z stands for no time. */
static const char *time_text(const cJSON *state, const char *name)
{
	const char *value = aq_cm_text(state, name);

	return value != NULL && strncmp(value, "0001-", 5) != 0 ? value : NULL;
}

int aq_containers_head(const cJSON *container, struct aq_containers_head *ret)
{
	const char *id = id_of(container, "Id"), *state, *image_id, *image = image_of(container);
	struct aq_containers_head h = { .ended = false };

	if (id == NULL)
		return -EINVAL;
	if (is_whole(container)) {
		state = aq_cm_text(aq_cm_member(container, "State"), "Status");
		image_id = id_of(container, "Image");
		h.ended_real_ns = aq_cm_boot_time(time_text(aq_cm_member(container, "State"), "FinishedAt"), 0);
	} else {
		state = aq_cm_text(container, "State");
		image_id = id_of(container, "ImageID");
	}
	snprintf(h.id, sizeof(h.id), "%s", id);
	if (image != NULL && strlen(image) < sizeof(h.image))
		snprintf(h.image, sizeof(h.image), "%s", image);
	if (image_id != NULL && strncmp(image_id, "sha256:", 7) == 0 && digest_of(container) == NULL)
		snprintf(h.image_id, sizeof(h.image_id), "%s", image_id);
	h.ended = state != NULL && (strcmp(state, "exited") == 0 || strcmp(state, "dead") == 0 || strcmp(state, "stopped") == 0 ||
				    strcmp(state, "removing") == 0);
	h.made_real_ns = made_real_ns(container);
	*ret = h;
	return 0;
}

static uint64_t to_boot(uint64_t real_ns, int64_t real_to_boot_ns)
{
	int64_t boot_ns;

	if (real_ns == 0 || real_ns > INT64_MAX || __builtin_add_overflow((int64_t)real_ns, real_to_boot_ns, &boot_ns))
		return 0;
	return boot_ns > 0 ? (uint64_t)boot_ns : 1;
}

static uint64_t end_of(const struct aq_containers_about *about, uint64_t from_ns)
{
	return about->to_ns == 0 || about->to_ns > from_ns ? about->to_ns : from_ns;
}

/* As everybody spells it; false: none, or one that many have. */
static bool spell(const char *ip, char ret[INET6_ADDRSTRLEN])
{
	unsigned char raw[16];
	int family = ip != NULL && strchr(ip, ':') != NULL ? AF_INET6 : AF_INET;

	if (ip == NULL || inet_pton(family, ip, raw) != 1 || inet_ntop(family, raw, ret, INET6_ADDRSTRLEN) == NULL)
		return false;
	return family == AF_INET ? raw[0] != 0 && raw[0] != 127 : strcmp(ret, "::") != 0 && strcmp(ret, "::1") != 0 &&
	       strncmp(ret, "fe80:", 5) != 0 && strncmp(ret, "::ffff:", 7) != 0;
}

static int give_address(struct aq_container_maker *m, const char *ip, const char *id, const char *name,
			const struct aq_containers_about *about, uint64_t from_ns)
{
	char address[INET6_ADDRSTRLEN], subject[sizeof("address:") + INET6_ADDRSTRLEN];
	struct aq_fact fact = { .subject = subject, .valid_from_ns = from_ns, .valid_to_ns = end_of(about, from_ns) };
	char *json;
	int r;

	if (!spell(ip, address))
		return 0;
	snprintf(subject, sizeof(subject), "address:%s", address);
	if (!aq_cm_begin(m, about->source, NULL))
		return -ENOMEM;
	aq_cm_put(m, "kind", "container");
	aq_cm_put(m, "name", name);
	aq_cm_put(m, "container", id);
	json = m->failed ? NULL : cJSON_PrintUnformatted(m->fact);
	if (json == NULL)
		return -ENOMEM;
	fact.json = json;
	fact.json_len = strlen(json);
	r = m->sink(m->user, &fact);
	free(json);
	return r;
}

/* One that runs has its addresses since it was started. */
static int give_addresses(struct aq_container_maker *m, const cJSON *container, const char *id,
			  const struct aq_containers_about *about, uint64_t from_ns)
{
	const cJSON *settings = aq_cm_member(container, "NetworkSettings"), *one;
	uint64_t start_ns = aq_cm_boot_time(time_text(aq_cm_member(container, "State"), "StartedAt"), about->real_to_boot_ns);
	const char *name = name_of(container);
	unsigned count = 0;
	int r = 0;

	if (start_ns > from_ns)
		from_ns = start_ns;
	cJSON_ArrayForEach(one, aq_cm_member(settings, "Networks")) {
		if (count++ == ADDRESSES_MAX)
			break;
		r = give_address(m, aq_cm_text(one, "IPAddress"), id, name, about, from_ns);
		if (r == 0)
			r = give_address(m, aq_cm_text(one, "GlobalIPv6Address"), id, name, about, from_ns);
		if (r < 0)
			break;
	}
	return r;
}

static void put_restarts(struct aq_container_maker *m, const cJSON *container)
{
	const cJSON *count = aq_cm_member(container, "RestartCount");

	if (cJSON_IsNumber(count) && count->valuedouble >= 0 && count->valuedouble < 2e9 &&
	    cJSON_AddNumberToObject(m->fact, "restarts", count->valueint) == NULL)
		m->failed = true;
}

int aq_containers_facts(const cJSON *container, const struct aq_containers_about *about, aq_fact_sink *sink, void *user)
{
	struct aq_container_maker m = { .sink = sink, .user = user };
	const cJSON *config = is_whole(container) ? aq_cm_member(container, "Config") : container;
	const cJSON *labels = aq_cm_member(config, "Labels");
	const char *id = id_of(container, "Id"), *digest = digest_of(container);
	uint64_t from_ns = about->from_ns != 0 ? about->from_ns : to_boot(made_real_ns(container), about->real_to_boot_ns);
	int r;

	if (id == NULL)
		return -EINVAL;
	if (!aq_cm_begin(&m, about->source, about->source))
		return -ENOMEM;
	aq_cm_put(&m, "name", name_of(container));
	aq_cm_put(&m, "image", image_of(container));
	aq_cm_put(&m, "image_digest", digest != NULL ? digest : is_digest(about->digest) ? about->digest : NULL);
	aq_cm_put_start(&m, time_text(aq_cm_member(container, "State"), "StartedAt"), made_real_ns(container));
	aq_cm_put_pod(&m, labels);
	put_restarts(&m, container);
	aq_cm_put_labels(&m, labels);
	aq_cm_put_docker_mounts(&m, aq_cm_member(container, "Mounts"));
	aq_cm_put_env(&m, aq_cm_member(config, "Env"));
	r = aq_cm_emit(&m, id, from_ns, end_of(about, from_ns));
	if (r == 0)
		r = give_addresses(&m, container, id, about, from_ns);
	cJSON_Delete(m.fact);
	return r;
}

int aq_containers_event(const cJSON *event, struct aq_containers_event *ret)
{
	static const struct {
		const char *name;
		enum aq_containers_action action;
	} actions[] = {
		{ "create", AQ_CONTAINERS_CREATE }, { "start", AQ_CONTAINERS_START }, { "die", AQ_CONTAINERS_DIE },
		{ "died", AQ_CONTAINERS_DIE }, { "destroy", AQ_CONTAINERS_REMOVE }, { "remove", AQ_CONTAINERS_REMOVE },
		{ "rename", AQ_CONTAINERS_RENAME },
	};
	const cJSON *nano = aq_cm_member(event, "timeNano"), *seconds = aq_cm_member(event, "time");
	const char *type = aq_cm_text(event, "Type"), *action = aq_cm_text(event, "Action");
	const char *id = id_of(aq_cm_member(event, "Actor"), "ID");
	struct aq_containers_event e = { .action = AQ_CONTAINERS_OTHER };

	if (id == NULL)
		id = id_of(event, "id");
	if (action == NULL)
		action = aq_cm_text(event, "status");
	if (id == NULL || action == NULL || (type != NULL && strcmp(type, "container") != 0))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(actions[i].name, action) == 0)
			e.action = actions[i].action;
	snprintf(e.id, sizeof(e.id), "%s", id);
	if (cJSON_IsNumber(nano) && nano->valuedouble > 0 && nano->valuedouble < 9e18)
		e.real_ns = (uint64_t)nano->valuedouble;
	else if (cJSON_IsNumber(seconds) && seconds->valuedouble > 0 && seconds->valuedouble < 9e9)
		e.real_ns = (uint64_t)(seconds->valuedouble * 1e9);
	*ret = e;
	return 0;
}

/* Labels stand there among what the engine says: that is left out. */
static cJSON *labels_of_event(const cJSON *attributes)
{
	static const char *const own[] = { "name", "image", "containerExitCode", "exitCode", "podId", "oldName", "execDuration",
					   "signal" };
	cJSON *labels = cJSON_Duplicate(attributes, true);

	for (size_t i = 0; labels != NULL && i < sizeof(own) / sizeof(own[0]); i++)
		cJSON_DeleteItemFromObjectCaseSensitive(labels, own[i]);
	return labels;
}

int aq_containers_event_facts(const cJSON *event, const struct aq_containers_about *about, aq_fact_sink *sink, void *user)
{
	struct aq_container_maker m = { .sink = sink, .user = user };
	const cJSON *attributes = aq_cm_member(aq_cm_member(event, "Actor"), "Attributes");
	const char *name = aq_cm_text(attributes, "name"), *image = aq_cm_text(attributes, "image");
	struct aq_containers_event e;
	cJSON *labels;
	int r = aq_containers_event(event, &e);

	if (r < 0)
		return r;
	if (image == NULL)
		image = aq_cm_text(event, "from");
	if (!aq_cm_begin(&m, about->source, about->source))
		return -ENOMEM;
	aq_cm_put(&m, "name", name != NULL && name[0] == '/' ? name + 1 : name);
	aq_cm_put(&m, "image", image != NULL && strncmp(image, "sha256:", 7) != 0 ? image : NULL);
	if (e.action == AQ_CONTAINERS_START || e.action == AQ_CONTAINERS_CREATE)
		aq_cm_put_start(&m, NULL, e.real_ns);
	labels = cJSON_IsObject(attributes) ? labels_of_event(attributes) : NULL;
	aq_cm_put_pod(&m, labels);
	aq_cm_put_labels(&m, labels);
	cJSON_Delete(labels);
	r = aq_cm_emit(&m, e.id, about->from_ns, end_of(about, about->from_ns));
	cJSON_Delete(m.fact);
	return r;
}

bool aq_containers_digest(const cJSON *image, const char *name, char ret[AQ_CONTAINERS_DIGEST_MAX])
{
	size_t colon = name != NULL ? strcspn(name, "@") : 0, slash = colon;
	const char *found = NULL;
	const cJSON *one;

	/* without its tag: what follows the last colon unless that is a port */
	while (slash > 0 && name[slash - 1] != '/')
		slash--;
	for (size_t i = slash; i < colon; i++)
		if (name[i] == ':')
			colon = i;
	cJSON_ArrayForEach(one, aq_cm_member(image, "RepoDigests")) {
		const char *text = aq_cm_text_of(one), *at = text != NULL ? strchr(text, '@') : NULL;
		bool same = at != NULL && colon > 0 && (size_t)(at - text) == colon && memcmp(text, name, colon) == 0;

		if (at == NULL || !is_digest(at + 1))
			continue;
		if (found == NULL || same)
			found = at + 1;
		if (same)
			break;
	}
	if (found == NULL)
		return false;
	snprintf(ret, AQ_CONTAINERS_DIGEST_MAX, "%s", found);
	return true;
}
