/* SPDX-License-Identifier: Apache-2.0 */
/* Members of containers' facts, each taken from the form in which some runtime has it. */
#include "format/facts/container_maker.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/base/text.h"

/* Facts are UTF-8, and so is everything that runtimes write. */
bool aq_cm_is_utf8(const char *text, size_t n)
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

static bool fits(const char *s)
{
	size_t n = s != NULL ? strnlen(s, AQ_CM_TEXT_MAX) : AQ_CM_TEXT_MAX;

	return n < AQ_CM_TEXT_MAX && aq_cm_is_utf8(s, n);
}

const cJSON *aq_cm_member(const cJSON *object, const char *name)
{
	return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

const char *aq_cm_text_of(const cJSON *value)
{
	return cJSON_IsString(value) && fits(value->valuestring) && value->valuestring[0] != '\0' ? value->valuestring : NULL;
}

const char *aq_cm_text(const cJSON *object, const char *name)
{
	return aq_cm_text_of(aq_cm_member(object, name));
}

const char *aq_cm_first_text(const cJSON *object, const char *const names[])
{
	const char *value = NULL;

	for (size_t i = 0; names[i] != NULL && value == NULL; i++)
		value = aq_cm_text(object, names[i]);
	return value;
}

void aq_cm_put(struct aq_container_maker *m, const char *name, const char *value)
{
	if (value != NULL && cJSON_AddStringToObject(m->fact, name, value) == NULL)
		m->failed = true;
}

void aq_cm_put_list(struct aq_container_maker *m, const char *name, cJSON *list)
{
	if (list == NULL || list->child == NULL)
		cJSON_Delete(list);
	else if (!cJSON_AddItemToObject(m->fact, name, list))
		m->failed = true;
}

/* {"a":"b"} as it is, within bounds */
void aq_cm_put_labels(struct aq_container_maker *m, const cJSON *labels)
{
	cJSON *out = cJSON_CreateObject();
	const cJSON *one;
	unsigned count = 0;

	if (cJSON_IsObject(labels) && out != NULL)
		cJSON_ArrayForEach(one, labels)
			if (count < AQ_CM_LABELS_MAX && cJSON_IsString(one) && fits(one->valuestring) && fits(one->string) &&
			    strncmp(one->string, "io.kubernetes.cri-o.", 20) != 0) {
				m->failed |= cJSON_AddStringToObject(out, one->string, one->valuestring) == NULL;
				count++;
			}
	aq_cm_put_list(m, "labels", out);
}

void aq_cm_put_env(struct aq_container_maker *m, const cJSON *env)
{
	cJSON *out = cJSON_CreateArray();
	const cJSON *one;
	unsigned count = 0;

	if (cJSON_IsArray(env) && out != NULL)
		cJSON_ArrayForEach(one, env) {
			const char *mark = cJSON_IsString(one) && one->valuestring != NULL ? strchr(one->valuestring, '=') : NULL;
			size_t n = mark != NULL ? (size_t)(mark - one->valuestring) : 0;
			char name[256];

			if (n == 0 || n >= sizeof(name) || !aq_cm_is_utf8(one->valuestring, n) || count++ >= AQ_CM_ENV_MAX)
				continue;
			memcpy(name, one->valuestring, n);
			name[n] = '\0';
			m->failed |= !cJSON_AddItemToArray(out, cJSON_CreateString(name));
		}
	aq_cm_put_list(m, "env", out);
}

void aq_cm_put_docker_mounts(struct aq_container_maker *m, const cJSON *mounts)
{
	cJSON *out = cJSON_CreateArray();
	const cJSON *one;
	unsigned count = 0;

	cJSON_ArrayForEach(one, mounts) {
		const char *source = aq_cm_text(one, "Source"), *destination = aq_cm_text(one, "Destination"), *type = aq_cm_text(one, "Type");
		cJSON *row = source != NULL && destination != NULL && out != NULL && count++ < AQ_CM_MOUNTS_MAX ? cJSON_CreateObject() : NULL;

		if (row == NULL)
			continue;
		m->failed |= cJSON_AddStringToObject(row, "source", source) == NULL ||
			     cJSON_AddStringToObject(row, "destination", destination) == NULL ||
			     cJSON_AddStringToObject(row, "type", type != NULL ? type : "bind") == NULL ||
			     cJSON_AddBoolToObject(row, "ro", cJSON_IsFalse(aq_cm_member(one, "RW"))) == NULL;
		if (!cJSON_AddItemToArray(out, row)) {
			cJSON_Delete(row);
			m->failed = true;
		}
	}
	aq_cm_put_list(m, "mounts", out);
}

/* Which pod it belongs to, as the container runtime interface and Docker's shim note it down. */
void aq_cm_put_pod(struct aq_container_maker *m, const cJSON *notes)
{
	static const char *const uid[] = { "io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid", NULL };
	static const char *const pod[] = { "io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name", NULL };
	static const char *const namespace[] = { "io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace", NULL };
	static const char *const container[] = { "io.kubernetes.cri.container-name", "io.kubernetes.container.name", NULL };

	aq_cm_put(m, "pod_uid", aq_cm_first_text(notes, uid));
	aq_cm_put(m, "pod", aq_cm_first_text(notes, pod));
	aq_cm_put(m, "namespace", aq_cm_first_text(notes, namespace));
	aq_cm_put(m, "container", aq_cm_first_text(notes, container));
}

void aq_cm_put_start(struct aq_container_maker *m, const char *given, uint64_t made_real_ns)
{
	time_t seconds = (time_t)(made_real_ns / 1000000000u);
	uint64_t real_ns;
	struct tm tm;
	char buf[40];

	if (given != NULL && strlen(given) < AQ_TIME_TEXT_BYTES && isdigit((unsigned char)given[0]) &&
	    aq_time_parse(given, &real_ns, NULL) == 0 && strncmp(given, "0001-", 5) != 0)
		aq_cm_put(m, "start", given);
	else if (made_real_ns != 0 && gmtime_r(&seconds, &tm) != NULL && strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		aq_cm_put(m, "start", buf);
}

/* Without its environment and mounts, then without its labels, until it fits. */
int aq_cm_emit(struct aq_container_maker *m, const char *id, uint64_t from_ns, uint64_t to_ns)
{
	static const char *const spare[] = { NULL, "env", "mounts", "labels" };
	char subject[sizeof("container:") + AQ_CM_ID_MAX];
	struct aq_fact fact = { .subject = subject, .valid_from_ns = from_ns, .valid_to_ns = to_ns };
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

bool aq_cm_begin(struct aq_container_maker *m, const char *source, const char *engine)
{
	cJSON_Delete(m->fact);
	m->fact = cJSON_CreateObject();
	if (m->fact == NULL)
		return false;
	aq_cm_put(m, "source", source);
	aq_cm_put(m, "engine", engine);
	return !m->failed;
}

uint64_t aq_cm_boot_time(const char *value, int64_t real_to_boot_ns)
{
	uint64_t real_ns;
	int64_t boot_ns;

	if (value == NULL || strlen(value) >= AQ_TIME_TEXT_BYTES || !isdigit((unsigned char)value[0]) ||
	    aq_time_parse(value, &real_ns, NULL) < 0 || real_ns > INT64_MAX ||
	    __builtin_add_overflow((int64_t)real_ns, real_to_boot_ns, &boot_ns))
		return 0;
	return boot_ns > 0 ? (uint64_t)boot_ns : 1;
}
