/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_facts aq_base */
/* Kubernetes objects that anybody may have written: whole, and as a list that arrives in pieces. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "format/facts/json_items.h"
#include "format/facts/pods.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const chosen[] = { "a" };
static const struct aq_pods_options options = { .source = "import", .kind = "Pod", .annotations = chosen, .annotation_count = 1 };

/* What a sink may rely on. */
static int check(void *user, const struct aq_fact *fact)
{
	cJSON *doc;

	(void)user;
	if (strlen(fact->subject) >= AQ_FACT_SUBJECT_MAX || fact->json_len > AQ_FACT_JSON_MAX ||
	    memchr(fact->json, '\n', fact->json_len) != NULL || (fact->valid_to_ns != 0 && fact->valid_to_ns < fact->valid_from_ns))
		abort();
	doc = cJSON_ParseWithLength(fact->json, fact->json_len);
	/* a byte that is no UTF-8 stands as a lone surrogate, which this parser doesn't take */
	if (doc == NULL && memmem(fact->json, fact->json_len, "\\udc", 4) == NULL)
		abort();
	cJSON_Delete(doc);
	return 0;
}

static int each(void *user, const cJSON *item)
{
	(void)user;
	(void)aq_pods_facts(item, &options, check, NULL);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cJSON *doc = aq_json_parse(data, size);
	struct aq_json_items items;
	size_t at = 0, step = size > 0 ? data[0] % 64u + 1 : 1;

	if (doc != NULL)
		(void)aq_pods_facts(doc, &options, check, NULL);
	cJSON_Delete(doc);
	aq_json_items_init(&items, 1 << 16);
	while (at < size && aq_json_items_feed(&items, data + at, size - at < step ? size - at : step, each, NULL) == 0)
		at += step;
	if (at >= size)
		cJSON_Delete(aq_json_items_rest(&items));
	aq_json_items_release(&items);
	return 0;
}
