/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_facts aq_base */
/* The answers of an engine that may be anybody: each as all of the documents that it could be. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "format/facts/containers.h"
#include "format/facts/json_items.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a sink may rely on. */
static int check(void *user, const struct aq_fact *fact)
{
	cJSON *doc;

	(void)user;
	if (strlen(fact->subject) >= AQ_FACT_SUBJECT_MAX || fact->json_len > AQ_FACT_JSON_MAX ||
	    memchr(fact->json, '\n', fact->json_len) != NULL || (fact->valid_to_ns != 0 && fact->valid_to_ns < fact->valid_from_ns))
		abort();
	doc = cJSON_ParseWithLength(fact->json, fact->json_len);
	if (doc == NULL)
		abort();
	cJSON_Delete(doc);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct aq_containers_about about = { .source = "docker", .real_to_boot_ns = -5, .to_ns = size % 2 ? 7 : 0 };
	cJSON *doc = aq_json_parse(data, size);
	char digest[AQ_CONTAINERS_DIGEST_MAX];
	struct aq_containers_head head = { .image = "" };
	struct aq_containers_event event;

	if (doc == NULL)
		return 0;
	(void)aq_containers_engine(doc);
	if (aq_containers_head(doc, &head) == 0 && head.id[0] == '\0')
		abort();
	(void)aq_containers_facts(doc, &about, check, NULL);
	(void)aq_containers_event(doc, &event);
	(void)aq_containers_event_facts(doc, &about, check, NULL);
	(void)aq_containers_digest(doc, head.image, digest);
	cJSON_Delete(doc);
	return 0;
}
