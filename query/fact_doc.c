/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One fact, from JSON to one piece of memory that has the known members, their rows and texts, and nothing else: the
 * size of it follows from the size of the JSON.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/facts.h"

enum { COLUMNS_MAX = 5 };

struct span {
	uint32_t at, len; /* at 0: not there */
};

struct aq_fact_doc {
	struct span text[AQ_FM_COUNT];
	struct { uint32_t first, rows; } list[AQ_FL_COUNT];
	struct span cells[]; /* then the texts; places count from the begin of the struct */
};

static const char *const member_names[AQ_FM_COUNT] = {
	[AQ_FM_SOURCE] = "source", [AQ_FM_UNKNOWN] = "unknown", [AQ_FM_NAME] = "name", [AQ_FM_IMAGE] = "image",
	[AQ_FM_IMAGE_REPOSITORY] = "image_repository", [AQ_FM_IMAGE_TAG] = "image_tag", [AQ_FM_IMAGE_DIGEST] = "image_digest",
	[AQ_FM_START] = "start", [AQ_FM_ENGINE] = "engine", [AQ_FM_POD_UID] = "pod_uid", [AQ_FM_POD] = "pod",
	[AQ_FM_NAMESPACE] = "namespace", [AQ_FM_CONTAINER] = "container", [AQ_FM_RESTARTS] = "restarts",
	[AQ_FM_OWNER_KIND] = "owner_kind", [AQ_FM_OWNER_NAME] = "owner_name", [AQ_FM_WORKLOAD_KIND] = "workload_kind",
	[AQ_FM_WORKLOAD_NAME] = "workload_name", [AQ_FM_NODE] = "node", [AQ_FM_SERVICE_ACCOUNT] = "service_account",
	[AQ_FM_PHASE] = "phase", [AQ_FM_KIND] = "kind", [AQ_FM_UID] = "uid", [AQ_FM_CGROUP] = "cgroup",
};

static const struct { const char *name; unsigned columns; const char *column[COLUMNS_MAX]; } lists[AQ_FL_COUNT] = {
	[AQ_FL_LABELS] = { "labels", 2, { NULL } },
	[AQ_FL_ANNOTATIONS] = { "annotations", 2, { NULL } },
	[AQ_FL_IPS] = { "ips", 1, { NULL } },
	[AQ_FL_ENV] = { "env", 1, { NULL } },
	[AQ_FL_MOUNTS] = { "mounts", 4, { "source", "destination", "type", "ro" } },
	[AQ_FL_CONTAINERS] = { "containers", 5, { "name", "id", "image", "image_digest", "restarts" } },
};

/* What is being made; with doc NULL only counted. */
struct making {
	struct aq_fact_doc *doc;
	uint32_t cells, at;
};

/* The text of a scalar; NULL for what is none, or empty. */
static const char *scalar(const cJSON *j, char number[32])
{
	if (cJSON_IsString(j))
		return j->valuestring[0] ? j->valuestring : NULL;
	if (cJSON_IsBool(j))
		return cJSON_IsTrue(j) ? "true" : "false";
	if (!cJSON_IsNumber(j) || !isfinite(j->valuedouble))
		return NULL;
	snprintf(number, 32, "%.15g", j->valuedouble);
	return number;
}

static void put_text(struct making *m, struct span *place, const char *text)
{
	uint32_t len = (uint32_t)strlen(text);

	if (m->doc) {
		memcpy((char *)m->doc + m->at, text, len);
		*place = (struct span){ m->at, len };
	}
	m->at += len;
}

static void put_row(struct making *m, enum aq_fact_list list, const char *const *texts)
{
	unsigned columns = lists[list].columns;

	for (unsigned i = 0; i < columns; i++)
		if (texts[i])
			put_text(m, m->doc ? &m->doc->cells[m->cells + i] : NULL, texts[i]);
	m->cells += columns;
	if (m->doc)
		m->doc->list[list].rows++;
}

static void put_list(struct making *m, enum aq_fact_list list, const cJSON *value)
{
	const cJSON *item;

	if (m->doc)
		m->doc->list[list].first = m->cells;
	if (lists[list].columns == 2 ? !cJSON_IsObject(value) : !cJSON_IsArray(value))
		return;
	cJSON_ArrayForEach(item, value) {
		char number[COLUMNS_MAX][32];
		const char *texts[COLUMNS_MAX] = { NULL };

		if (lists[list].columns == 2) {
			texts[0] = item->string && item->string[0] ? item->string : NULL;
			texts[1] = scalar(item, number[1]);
			/* an empty value is one: labels often have no other */
			if (!texts[1] && cJSON_IsString(item))
				texts[1] = "";
			if (!texts[0] || !texts[1])
				continue;
		} else if (lists[list].columns == 1) {
			texts[0] = scalar(item, number[0]);
			if (!texts[0])
				continue;
		} else {
			bool any = false;

			for (unsigned i = 0; i < lists[list].columns; i++) {
				texts[i] = scalar(cJSON_GetObjectItemCaseSensitive(item, lists[list].column[i]), number[i]);
				any = any || texts[i];
			}
			if (!any)
				continue;
		}
		put_row(m, list, texts);
	}
}

/* Of members that come twice the first counts. */
static void put_all(struct making *m, const cJSON *root)
{
	char number[32];

	for (unsigned i = 0; i < AQ_FL_COUNT; i++)
		put_list(m, i, cJSON_GetObjectItemCaseSensitive(root, lists[i].name));
	for (unsigned i = 0; i < AQ_FM_COUNT; i++) {
		const char *text = scalar(cJSON_GetObjectItemCaseSensitive(root, member_names[i]), number);

		if (text)
			put_text(m, m->doc ? &m->doc->text[i] : NULL, text);
	}
}

int aq_doc_parse(const char *json, size_t len, struct aq_fact_doc **ret_doc)
{
	struct making m = { 0 };
	size_t head, bytes;
	cJSON *root;

	if (len > AQ_FACT_JSON_MAX)
		return -EBADMSG;
	root = cJSON_ParseWithLength(json, len);
	if (!cJSON_IsObject(root)) { /* what memory was missing for looks the same: a small thing, and then all else fails */
		cJSON_Delete(root);
		return -EBADMSG;
	}
	put_all(&m, root);
	head = sizeof(*m.doc) + m.cells * sizeof(struct span);
	bytes = head + m.at;
	m = (struct making){ .doc = calloc(1, bytes), .at = (uint32_t)head };
	if (m.doc)
		put_all(&m, root);
	cJSON_Delete(root);
	if (!m.doc)
		return -ENOMEM;
	*ret_doc = m.doc;
	return 0;
}

void aq_doc_free(struct aq_fact_doc *d)
{
	free(d);
}

static struct aq_fact_text text_of(const struct aq_fact_doc *d, struct span s)
{
	return s.at ? (struct aq_fact_text){ (const char *)d + s.at, s.len } : (struct aq_fact_text){ NULL, 0 };
}

struct aq_fact_text aq_doc_text(const struct aq_fact_doc *d, enum aq_fact_member member)
{
	return text_of(d, d->text[member]);
}

uint32_t aq_doc_rows(const struct aq_fact_doc *d, enum aq_fact_list list)
{
	return d->list[list].rows;
}

struct aq_fact_text aq_doc_cell(const struct aq_fact_doc *d, enum aq_fact_list list, uint32_t row, unsigned column)
{
	return text_of(d, d->cells[d->list[list].first + row * lists[list].columns + column]);
}

struct aq_fact_text aq_doc_value(const struct aq_fact_doc *d, enum aq_fact_list list, const char *key, size_t key_len)
{
	for (uint32_t i = 0; i < aq_doc_rows(d, list); i++) {
		struct aq_fact_text k = aq_doc_cell(d, list, i, AQ_PAIR_KEY);

		if (k.len == key_len && memcmp(k.s, key, key_len) == 0)
			return aq_doc_cell(d, list, i, AQ_PAIR_VALUE);
	}
	return (struct aq_fact_text){ NULL, 0 };
}
