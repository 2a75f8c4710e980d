/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each kind of document is searched for the same few members; what they have in common (annotations, mounts, environment)
 * is taken by the same functions.
 */
#include "format/facts/oci.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "format/base/text.h"

enum { TEXT_MAX = 1024, LABELS_MAX = 256, MOUNTS_MAX = 256, ENV_MAX = 512, ID_MAX = 255, LIST_MAX = 20000 };

struct maker {
	const struct aq_oci_doc *o;
	aq_fact_sink *sink;
	void *user;
	cJSON *fact;
	bool failed;            /* no memory */
};

static const cJSON *member(const cJSON *object, const char *name)
{
	return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

static const char *text_of(const cJSON *value)
{
	if (!cJSON_IsString(value) || value->valuestring == NULL || value->valuestring[0] == '\0' ||
	    strnlen(value->valuestring, TEXT_MAX) >= TEXT_MAX)
		return NULL;
	return value->valuestring;
}

static const char *text(const cJSON *object, const char *name)
{
	return text_of(member(object, name));
}

static const char *first_text(const cJSON *object, const char *const names[])
{
	const char *value = NULL;

	for (size_t i = 0; names[i] != NULL && value == NULL; i++)
		value = text(object, names[i]);
	return value;
}

bool aq_oci_is_id(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > ID_MAX || !isalnum((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && strchr("_.-+:", name[i]) == NULL)
			return false;
	return true;
}

static bool is_long_id(const char *id)
{
	return strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64;
}

static void put(struct maker *m, const char *name, const char *value)
{
	if (value != NULL && cJSON_AddStringToObject(m->fact, name, value) == NULL)
		m->failed = true;
}

static void put_list(struct maker *m, const char *name, cJSON *list)
{
	if (list == NULL || list->child == NULL)
		cJSON_Delete(list);
	else if (!cJSON_AddItemToObject(m->fact, name, list))
		m->failed = true;
}

/* {"a":"b"} as it is, within bounds */
static void put_labels(struct maker *m, const cJSON *labels)
{
	cJSON *out = cJSON_CreateObject();
	const cJSON *one;
	unsigned count = 0;

	if (cJSON_IsObject(labels) && out != NULL)
		cJSON_ArrayForEach(one, labels)
			if (count < LABELS_MAX && cJSON_IsString(one) && strnlen(one->valuestring, TEXT_MAX) < TEXT_MAX &&
			    one->string != NULL && strnlen(one->string, TEXT_MAX) < TEXT_MAX &&
			    strncmp(one->string, "io.kubernetes.cri-o.", 20) != 0) {
				m->failed |= cJSON_AddStringToObject(out, one->string, one->valuestring) == NULL;
				count++;
			}
	put_list(m, "labels", out);
}

/* ["a=b"] as an object: runc's labels */
static cJSON *labels_of_list(const cJSON *list)
{
	cJSON *out = cJSON_CreateObject();
	const cJSON *one;
	unsigned count = 0;

	if (!cJSON_IsArray(list) || out == NULL)
		return out;
	cJSON_ArrayForEach(one, list) {
		const char *s = text_of(one), *mark = s != NULL ? strchr(s, '=') : NULL;
		char key[TEXT_MAX];

		if (mark == NULL || mark == s || count++ >= LABELS_MAX)
			continue;
		snprintf(key, sizeof(key), "%.*s", (int)(mark - s), s);
		if (cJSON_GetObjectItemCaseSensitive(out, key) == NULL)
			(void)cJSON_AddStringToObject(out, key, mark + 1);
	}
	return out;
}

static void put_env(struct maker *m, const cJSON *env)
{
	cJSON *out = cJSON_CreateArray();
	const cJSON *one;
	unsigned count = 0;

	if (cJSON_IsArray(env) && out != NULL)
		cJSON_ArrayForEach(one, env) {
			const char *mark = cJSON_IsString(one) && one->valuestring != NULL ? strchr(one->valuestring, '=') : NULL;
			size_t n = mark != NULL ? (size_t)(mark - one->valuestring) : 0;
			char name[256];

			if (n == 0 || n >= sizeof(name) || count++ >= ENV_MAX)
				continue;
			memcpy(name, one->valuestring, n);
			name[n] = '\0';
			m->failed |= !cJSON_AddItemToArray(out, cJSON_CreateString(name));
		}
	put_list(m, "env", out);
}

static bool has_option(const cJSON *mount, const char *name)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, member(mount, "options"))
		if (cJSON_IsString(one) && strcmp(one->valuestring, name) == 0)
			return true;
	return false;
}

/* What of the host is bound into it; proc, sysfs and the like are in every container and say nothing. */
static void put_mounts(struct maker *m, const cJSON *mounts)
{
	cJSON *out = cJSON_CreateArray();
	const cJSON *one;
	unsigned count = 0;

	if (cJSON_IsArray(mounts) && out != NULL)
		cJSON_ArrayForEach(one, mounts) {
			const char *source = text(one, "source"), *destination = text(one, "destination"), *type = text(one, "type");
			bool bind = has_option(one, "bind") || has_option(one, "rbind") || (type != NULL && strcmp(type, "bind") == 0);
			cJSON *row;

			if (!bind || source == NULL || destination == NULL || count++ >= MOUNTS_MAX)
				continue;
			row = cJSON_CreateObject();
			m->failed |= row == NULL || cJSON_AddStringToObject(row, "source", source) == NULL ||
				     cJSON_AddStringToObject(row, "destination", destination) == NULL ||
				     cJSON_AddStringToObject(row, "type", "bind") == NULL ||
				     cJSON_AddBoolToObject(row, "ro", has_option(one, "ro")) == NULL;
			if (row != NULL && !cJSON_AddItemToArray(out, row)) {
				cJSON_Delete(row);
				m->failed = true;
			}
		}
	put_list(m, "mounts", out);
}

/* Which pod it belongs to, as the container runtime interface and Docker's shim note it down. */
static void put_pod(struct maker *m, const cJSON *notes)
{
	static const char *const uid[] = { "io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid", NULL };
	static const char *const pod[] = { "io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name", NULL };
	static const char *const namespace[] = { "io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace", NULL };
	static const char *const container[] = { "io.kubernetes.cri.container-name", "io.kubernetes.container.name", NULL };

	put(m, "pod_uid", first_text(notes, uid));
	put(m, "pod", first_text(notes, pod));
	put(m, "namespace", first_text(notes, namespace));
	put(m, "container", first_text(notes, container));
}

static void put_start(struct maker *m, const char *given)
{
	time_t seconds = (time_t)(m->o->made_real_ns / 1000000000u);
	uint64_t real_ns;
	struct tm tm;
	char buf[40];

	if (given != NULL && strlen(given) < AQ_TIME_TEXT_BYTES && isdigit((unsigned char)given[0]) &&
	    aq_time_parse(given, &real_ns, NULL) == 0 && strncmp(given, "0001-", 5) != 0)
		put(m, "start", given);
	else if (m->o->made_real_ns != 0 && gmtime_r(&seconds, &tm) != NULL && strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		put(m, "start", buf);
}

/* A path; the form of systemd's driver (slice:prefix:name) is told by the names of its cgroups. */
static void put_cgroup(struct maker *m, const char *path)
{
	char absolute[TEXT_MAX + 1];

	if (path == NULL || strchr(path, ':') != NULL || strstr(path, "..") != NULL)
		return;
	snprintf(absolute, sizeof(absolute), "%s%s", path[0] == '/' ? "" : "/", path);
	if (absolute[1] != '\0')
		put(m, "cgroup", absolute);
}

/* Without its environment and mounts, then without its labels, until it fits. */
static int emit(struct maker *m, const char *id, uint64_t from_ns)
{
	static const char *const spare[] = { NULL, "env", "mounts", "labels" };
	char subject[sizeof("container:") + ID_MAX];
	struct aq_fact fact = { .subject = subject, .valid_from_ns = from_ns };
	char *json = NULL;
	int r = -ENOMEM;

	if (m->failed)
		return -ENOMEM;
	snprintf(subject, sizeof(subject), "container:%s", id);
	for (unsigned i = 0; i < sizeof(spare) / sizeof(spare[0]); i++) {
		if (spare[i] != NULL)
			cJSON_DeleteItemFromObjectCaseSensitive(m->fact, spare[i]);
		free(json);
		json = cJSON_PrintUnformatted(m->fact);
		if (json == NULL || strlen(json) <= AQ_FACT_JSON_MAX)
			break;
	}
	if (json != NULL && strlen(json) <= AQ_FACT_JSON_MAX) {
		fact.json = json;
		fact.json_len = strlen(json);
		r = m->sink(m->user, &fact);
	}
	free(json);
	return r;
}

static bool begin(struct maker *m, const char *source, const char *engine)
{
	cJSON_Delete(m->fact);
	m->fact = cJSON_CreateObject();
	if (m->fact == NULL)
		return false;
	put(m, "source", source);
	put(m, "engine", engine);
	return !m->failed;
}

/* config.json of a bundle */
static int bundle(struct maker *m, const cJSON *doc, bool userdata)
{
	static const char *const name[] = { "nerdctl/name", "io.kubernetes.cri.container-name", "io.kubernetes.container.name", NULL };
	static const char *const image[] = { "io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName",
					     "io.kubernetes.cri-o.Image", "nerdctl/image-ref", NULL };
	const cJSON *notes = member(doc, "annotations"), *process = member(doc, "process");
	const char *engine = userdata ? "cri-o" : m->o->moby ? "docker" : "containerd", *manager = text(notes, "io.container.manager");
	const char *known = first_text(notes, name);

	if (text(doc, "ociVersion") == NULL || !cJSON_IsObject(process))
		return -EINVAL;
	if (userdata && manager != NULL && strcmp(manager, "libpod") == 0)
		engine = "podman";
	if (!begin(m, userdata ? engine : "containerd", engine))
		return -ENOMEM;
	put(m, "name", known != NULL ? known : is_long_id(m->o->id) ? NULL : m->o->id);
	put(m, "image", first_text(notes, image));
	put(m, "image_digest", text(notes, "io.kubernetes.cri-o.ImageRef"));
	put_start(m, text(notes, "io.kubernetes.cri-o.Created"));
	put_pod(m, notes);
	put_cgroup(m, text(member(doc, "linux"), "cgroupsPath"));
	put_labels(m, notes);
	put_mounts(m, member(doc, "mounts"));
	put_env(m, member(process, "env"));
	return emit(m, m->o->id, m->o->from_ns);
}

/* Where the kernel's tree begins in a path below /sys/fs/cgroup: hybrid hosts have it in unified. */
static const char *below_mount(const char *path)
{
	static const char *const mounts[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };

	for (unsigned i = 0; path != NULL && i < 2; i++)
		if (strncmp(path, mounts[i], strlen(mounts[i])) == 0 && path[strlen(mounts[i])] == '/')
			return path + strlen(mounts[i]);
	return NULL;
}

static int runc(struct maker *m, const cJSON *doc)
{
	const cJSON *config = member(doc, "config"), *paths = member(doc, "cgroup_paths");
	const char *path = text(member(config, "cgroups"), "path");
	cJSON *labels;

	if (!cJSON_IsObject(config) || text(doc, "id") == NULL)
		return -EINVAL;
	if (!begin(m, "runc", "runc"))
		return -ENOMEM;
	if (path == NULL || path[0] == '\0')
		path = below_mount(text(paths, ""));
	labels = labels_of_list(member(config, "labels"));
	put(m, "name", is_long_id(m->o->id) ? NULL : m->o->id);
	put_start(m, text(doc, "created"));
	put_pod(m, labels);
	put_cgroup(m, path);
	put_labels(m, labels);
	cJSON_Delete(labels);
	return emit(m, m->o->id, m->o->from_ns);
}

static int crun(struct maker *m, const cJSON *doc)
{
	if (!cJSON_IsNumber(member(doc, "pid")) || text(doc, "bundle") == NULL)
		return -EINVAL;
	if (!begin(m, "crun", "crun"))
		return -ENOMEM;
	put(m, "name", is_long_id(m->o->id) ? NULL : m->o->id);
	put_start(m, text(doc, "created"));
	put_cgroup(m, text(doc, "cgroup-path"));
	return emit(m, m->o->id, m->o->from_ns);
}

static int docker(struct maker *m, const cJSON *doc)
{
	const cJSON *config = member(doc, "Config"), *state = member(doc, "State"), *one;
	const char *name = text(doc, "Name"), *started = text(state, "StartedAt");
	cJSON *mounts;

	if (!cJSON_IsObject(config) || text(doc, "ID") == NULL || strcmp(text(doc, "ID"), m->o->id) != 0)
		return -EINVAL;
	if (!begin(m, "docker-files", "docker"))
		return -ENOMEM;
	put(m, "name", name != NULL && name[0] == '/' ? name + 1 : name);
	put(m, "image", text(config, "Image"));
	put_start(m, started != NULL && strncmp(started, "0001-", 5) != 0 ? started : text(doc, "Created"));
	put_pod(m, member(config, "Labels"));
	put_labels(m, member(config, "Labels"));
	mounts = cJSON_CreateArray();
	cJSON_ArrayForEach(one, member(doc, "MountPoints")) {
		const char *source = text(one, "Source"), *destination = text(one, "Destination"), *type = text(one, "Type");
		cJSON *row = source != NULL && destination != NULL && cJSON_GetArraySize(mounts) < MOUNTS_MAX ? cJSON_CreateObject() : NULL;

		if (row == NULL)
			continue;
		m->failed |= cJSON_AddStringToObject(row, "source", source) == NULL ||
			     cJSON_AddStringToObject(row, "destination", destination) == NULL ||
			     cJSON_AddStringToObject(row, "type", type != NULL ? type : "bind") == NULL ||
			     cJSON_AddBoolToObject(row, "ro", cJSON_IsFalse(member(one, "RW"))) == NULL;
		if (!cJSON_AddItemToArray(mounts, row)) {
			cJSON_Delete(row);
			m->failed = true;
		}
	}
	put_list(m, "mounts", mounts);
	put_env(m, member(config, "Env"));
	return emit(m, m->o->id, m->o->from_ns);
}

static uint64_t boot_time(const struct maker *m, const char *value)
{
	uint64_t real_ns;
	int64_t boot_ns;

	if (value == NULL || strlen(value) >= AQ_TIME_TEXT_BYTES || !isdigit((unsigned char)value[0]) ||
	    aq_time_parse(value, &real_ns, NULL) < 0 || real_ns > INT64_MAX ||
	    __builtin_add_overflow((int64_t)real_ns, m->o->real_to_boot_ns, &boot_ns))
		return 0;
	return boot_ns > 0 ? (uint64_t)boot_ns : 1;
}

/* Names and images; CRI-O's are left out, their bundles say more. */
static int storage(struct maker *m, const cJSON *doc)
{
	const cJSON *one;
	unsigned count = 0;
	int r = 0;

	if (!cJSON_IsArray(doc))
		return -EINVAL;
	cJSON_ArrayForEach(one, doc) {
		const char *id = text(one, "id"), *created = text(one, "created");
		const cJSON *notes = member(one, "metadata");
		cJSON *metadata;

		if (id == NULL || !aq_oci_is_id(id) || count++ >= LIST_MAX)
			continue;
		metadata = cJSON_IsString(notes) ? cJSON_Parse(notes->valuestring) : NULL;
		if (text(metadata, "pod-name") == NULL) {
			r = begin(m, "storage", NULL) ? 0 : -ENOMEM;
			put(m, "name", text_of(cJSON_GetArrayItem(member(one, "names"), 0)));
			put(m, "image", text(metadata, "image-name"));
			if (created != NULL && boot_time(m, created) != 0)
				put(m, "start", created);
			r = r < 0 ? r : emit(m, id, boot_time(m, created));
		}
		cJSON_Delete(metadata);
		if (r < 0)
			break;
	}
	return r;
}

/* Facts are UTF-8, and so is everything that runtimes write. */
static bool is_utf8(const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;

	for (size_t i = 0; i < n;) {
		unsigned more = s[i] < 0x80 ? 0 : s[i] >= 0xc2 && s[i] < 0xe0 ? 1 : s[i] >= 0xe0 && s[i] < 0xf0 ? 2 :
				s[i] >= 0xf0 && s[i] < 0xf5 ? 3 : 4;

		if (more == 4 || more >= n - i || (s[i] == 0xe0 && s[i + 1] < 0xa0) || (s[i] == 0xed && s[i + 1] > 0x9f) ||
		    (s[i] == 0xf0 && s[i + 1] < 0x90) || (s[i] == 0xf4 && s[i + 1] > 0x8f))
			return false;
		for (unsigned k = 1; k <= more; k++)
			if ((s[i + k] & 0xc0) != 0x80)
				return false;
		i += more + 1;
	}
	return true;
}

int aq_oci_facts(enum aq_oci_file file, const char *data, size_t n, const struct aq_oci_doc *about,
		 aq_fact_sink *sink, void *user)
{
	struct maker m = { .o = about, .sink = sink, .user = user };
	cJSON *doc = is_utf8(data, n) ? cJSON_ParseWithLength(data, n) : NULL;
	int r = -EINVAL;

	if (doc == NULL)
		return -EINVAL;
	if (file == AQ_OCI_STORAGE || (about->id != NULL && aq_oci_is_id(about->id)))
		switch (file) {
		case AQ_OCI_BUNDLE: r = bundle(&m, doc, false); break;
		case AQ_OCI_USERDATA: r = bundle(&m, doc, true); break;
		case AQ_OCI_RUNC: r = runc(&m, doc); break;
		case AQ_OCI_CRUN: r = crun(&m, doc); break;
		case AQ_OCI_DOCKER: r = docker(&m, doc); break;
		case AQ_OCI_STORAGE: r = storage(&m, doc); break;
		case AQ_OCI_FILES: break;
		}
	cJSON_Delete(m.fact);
	cJSON_Delete(doc);
	return r;
}
