/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each kind of document is searched for the same few members; what they have in common (annotations, mounts, environment)
 * is taken by the same functions.
 */
#include "format/facts/oci.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/facts/container_maker.h"

enum { LIST_MAX = 20000 };

struct oci_maker {
	const struct aq_oci_doc *o;
	struct aq_container_maker m;
};

bool aq_oci_is_id(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > AQ_CM_ID_MAX || !isalnum((unsigned char)name[0]))
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

/* ["a=b"] as an object: runc's labels */
static cJSON *labels_of_list(const cJSON *list)
{
	cJSON *out = cJSON_CreateObject();
	const cJSON *one;
	unsigned count = 0;

	if (!cJSON_IsArray(list) || out == NULL)
		return out;
	cJSON_ArrayForEach(one, list) {
		const char *s = aq_cm_text_of(one), *mark = s != NULL ? strchr(s, '=') : NULL;
		char key[AQ_CM_TEXT_MAX];

		if (mark == NULL || mark == s || count++ >= AQ_CM_LABELS_MAX)
			continue;
		snprintf(key, sizeof(key), "%.*s", (int)(mark - s), s);
		if (cJSON_GetObjectItemCaseSensitive(out, key) == NULL)
			(void)cJSON_AddStringToObject(out, key, mark + 1);
	}
	return out;
}

static bool has_option(const cJSON *mount, const char *name)
{
	const cJSON *one;

	cJSON_ArrayForEach(one, aq_cm_member(mount, "options"))
		if (cJSON_IsString(one) && strcmp(one->valuestring, name) == 0)
			return true;
	return false;
}

/* What of the host is bound into it; proc, sysfs and the like are in every container and say nothing. */
static void put_mounts(struct oci_maker *m, const cJSON *mounts)
{
	cJSON *out = cJSON_CreateArray();
	const cJSON *one;
	unsigned count = 0;

	if (cJSON_IsArray(mounts) && out != NULL)
		cJSON_ArrayForEach(one, mounts) {
			const char *source = aq_cm_text(one, "source"), *destination = aq_cm_text(one, "destination"), *type = aq_cm_text(one, "type");
			bool bind = has_option(one, "bind") || has_option(one, "rbind") || (type != NULL && strcmp(type, "bind") == 0);
			cJSON *row;

			if (!bind || source == NULL || destination == NULL || count++ >= AQ_CM_MOUNTS_MAX)
				continue;
			row = cJSON_CreateObject();
			m->m.failed |= row == NULL || cJSON_AddStringToObject(row, "source", source) == NULL ||
				     cJSON_AddStringToObject(row, "destination", destination) == NULL ||
				     cJSON_AddStringToObject(row, "type", "bind") == NULL ||
				     cJSON_AddBoolToObject(row, "ro", has_option(one, "ro")) == NULL;
			if (row != NULL && !cJSON_AddItemToArray(out, row)) {
				cJSON_Delete(row);
				m->m.failed = true;
			}
		}
	aq_cm_put_list(&m->m, "mounts", out);
}

/* A path; the form of systemd's driver (slice:prefix:name) is told by the names of its cgroups. */
static void put_cgroup(struct oci_maker *m, const char *path)
{
	char absolute[AQ_CM_TEXT_MAX + 1];

	if (path == NULL || strchr(path, ':') != NULL || strstr(path, "..") != NULL)
		return;
	snprintf(absolute, sizeof(absolute), "%s%s", path[0] == '/' ? "" : "/", path);
	if (absolute[1] != '\0')
		aq_cm_put(&m->m, "cgroup", absolute);
}

/* config.json of a bundle */
static int bundle(struct oci_maker *m, const cJSON *doc, bool userdata)
{
	static const char *const name[] = { "nerdctl/name", "io.kubernetes.cri.container-name", "io.kubernetes.container.name", NULL };
	static const char *const image[] = { "io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName",
					     "io.kubernetes.cri-o.Image", "nerdctl/image-ref", NULL };
	const cJSON *notes = aq_cm_member(doc, "annotations"), *process = aq_cm_member(doc, "process");
	const char *engine = userdata ? "cri-o" : m->o->moby ? "docker" : "containerd", *manager = aq_cm_text(notes, "io.container.manager");
	const char *known = aq_cm_first_text(notes, name);

	if (aq_cm_text(doc, "ociVersion") == NULL || !cJSON_IsObject(process))
		return -EINVAL;
	if (userdata && manager != NULL && strcmp(manager, "libpod") == 0)
		engine = "podman";
	if (!aq_cm_begin(&m->m, !userdata ? "containerd" : strcmp(engine, "podman") == 0 ? "podman-files" : engine, engine))
		return -ENOMEM;
	aq_cm_put(&m->m, "name", known != NULL ? known : is_long_id(m->o->id) ? NULL : m->o->id);
	aq_cm_put(&m->m, "image", aq_cm_first_text(notes, image));
	aq_cm_put(&m->m, "image_digest", aq_cm_text(notes, "io.kubernetes.cri-o.ImageRef"));
	aq_cm_put_start(&m->m, aq_cm_text(notes, "io.kubernetes.cri-o.Created"), m->o->made_real_ns);
	aq_cm_put_pod(&m->m, notes);
	put_cgroup(m, aq_cm_text(aq_cm_member(doc, "linux"), "cgroupsPath"));
	aq_cm_put_labels(&m->m, notes);
	put_mounts(m, aq_cm_member(doc, "mounts"));
	aq_cm_put_env(&m->m, aq_cm_member(process, "env"));
	return aq_cm_emit(&m->m, m->o->id, m->o->from_ns, 0);
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

static int runc(struct oci_maker *m, const cJSON *doc)
{
	const cJSON *config = aq_cm_member(doc, "config"), *paths = aq_cm_member(doc, "cgroup_paths");
	const char *path = aq_cm_text(aq_cm_member(config, "cgroups"), "path");
	cJSON *labels;

	if (!cJSON_IsObject(config) || aq_cm_text(doc, "id") == NULL)
		return -EINVAL;
	if (!aq_cm_begin(&m->m, "runc", "runc"))
		return -ENOMEM;
	if (path == NULL || path[0] == '\0')
		path = below_mount(aq_cm_text(paths, ""));
	labels = labels_of_list(aq_cm_member(config, "labels"));
	aq_cm_put(&m->m, "name", is_long_id(m->o->id) ? NULL : m->o->id);
	aq_cm_put_start(&m->m, aq_cm_text(doc, "created"), m->o->made_real_ns);
	aq_cm_put_pod(&m->m, labels);
	put_cgroup(m, path);
	aq_cm_put_labels(&m->m, labels);
	cJSON_Delete(labels);
	return aq_cm_emit(&m->m, m->o->id, m->o->from_ns, 0);
}

static int crun(struct oci_maker *m, const cJSON *doc)
{
	if (!cJSON_IsNumber(aq_cm_member(doc, "pid")) || aq_cm_text(doc, "bundle") == NULL)
		return -EINVAL;
	if (!aq_cm_begin(&m->m, "crun", "crun"))
		return -ENOMEM;
	aq_cm_put(&m->m, "name", is_long_id(m->o->id) ? NULL : m->o->id);
	aq_cm_put_start(&m->m, aq_cm_text(doc, "created"), m->o->made_real_ns);
	put_cgroup(m, aq_cm_text(doc, "cgroup-path"));
	return aq_cm_emit(&m->m, m->o->id, m->o->from_ns, 0);
}

static int docker(struct oci_maker *m, const cJSON *doc)
{
	const cJSON *config = aq_cm_member(doc, "Config"), *state = aq_cm_member(doc, "State");
	const char *name = aq_cm_text(doc, "Name"), *started = aq_cm_text(state, "StartedAt");

	if (!cJSON_IsObject(config) || aq_cm_text(doc, "ID") == NULL || strcmp(aq_cm_text(doc, "ID"), m->o->id) != 0)
		return -EINVAL;
	if (!aq_cm_begin(&m->m, "docker-files", "docker"))
		return -ENOMEM;
	aq_cm_put(&m->m, "name", name != NULL && name[0] == '/' ? name + 1 : name);
	aq_cm_put(&m->m, "image", aq_cm_text(config, "Image"));
	aq_cm_put_start(&m->m, started != NULL && strncmp(started, "0001-", 5) != 0 ? started : aq_cm_text(doc, "Created"), m->o->made_real_ns);
	aq_cm_put_pod(&m->m, aq_cm_member(config, "Labels"));
	aq_cm_put_labels(&m->m, aq_cm_member(config, "Labels"));
	aq_cm_put_docker_mounts(&m->m, aq_cm_member(doc, "MountPoints"));
	aq_cm_put_env(&m->m, aq_cm_member(config, "Env"));
	return aq_cm_emit(&m->m, m->o->id, m->o->from_ns, 0);
}

/* Names and images; CRI-O's are left out, their bundles say more. */
static int storage(struct oci_maker *m, const cJSON *doc)
{
	const cJSON *one;
	unsigned count = 0;
	int r = 0;

	if (!cJSON_IsArray(doc))
		return -EINVAL;
	cJSON_ArrayForEach(one, doc) {
		const char *id = aq_cm_text(one, "id"), *created = aq_cm_text(one, "created");
		const cJSON *notes = aq_cm_member(one, "metadata");
		cJSON *metadata;

		if (id == NULL || !aq_oci_is_id(id) || count++ >= LIST_MAX)
			continue;
		metadata = cJSON_IsString(notes) ? cJSON_Parse(notes->valuestring) : NULL;
		if (aq_cm_text(metadata, "pod-name") == NULL) {
			r = aq_cm_begin(&m->m, "storage", NULL) ? 0 : -ENOMEM;
			aq_cm_put(&m->m, "name", aq_cm_text_of(cJSON_GetArrayItem(aq_cm_member(one, "names"), 0)));
			aq_cm_put(&m->m, "image", aq_cm_text(metadata, "image-name"));
			if (created != NULL && aq_cm_boot_time(created, m->o->real_to_boot_ns) != 0)
				aq_cm_put(&m->m, "start", created);
			r = r < 0 ? r : aq_cm_emit(&m->m, id, aq_cm_boot_time(created, m->o->real_to_boot_ns), 0);
		}
		cJSON_Delete(metadata);
		if (r < 0)
			break;
	}
	return r;
}

int aq_oci_facts(enum aq_oci_file file, const char *data, size_t n, const struct aq_oci_doc *about,
		 aq_fact_sink *sink, void *user)
{
	struct oci_maker m = { .o = about, .m = { .sink = sink, .user = user } };
	cJSON *doc = aq_cm_is_utf8(data, n) ? cJSON_ParseWithLength(data, n) : NULL;
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
	cJSON_Delete(m.m.fact);
	cJSON_Delete(doc);
	return r;
}
