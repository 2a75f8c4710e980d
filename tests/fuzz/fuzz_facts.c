/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of any bytes, one on a line (subject, from, to and JSON with tabs between), then every question about them.
 * aq-libs: aq_query aq_segment aq_schema aq_base */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The texts are read to the last byte, so that a wrong length shows. */
static unsigned touch(struct aq_fact_text t)
{
	unsigned sum = 0;

	for (uint32_t i = 0; i < t.len; i++)
		sum += (unsigned char)t.s[i];
	return sum;
}

static void add_line(struct aq_facts *f, char *line)
{
	struct aq_fact fact = { .subject = line };
	char *part[3] = { NULL };

	for (unsigned i = 0; i < 3; i++) {
		char *tab = strchr(i ? part[i - 1] : line, '\t');

		if (!tab)
			return;
		*tab = '\0';
		part[i] = tab + 1;
	}
	fact.valid_from_ns = strtoull(part[0], NULL, 10);
	fact.valid_to_ns = strtoull(part[1], NULL, 10);
	fact.json = part[2];
	fact.json_len = strlen(part[2]);
	if (aq_facts_add(f, &fact) < 0)
		abort();
}

static unsigned ask_cgroup(struct aq_names *n, uint64_t id, const char *container, const char *path, uint64_t time_ns)
{
	union { struct aq_str s; char room[256]; } text = { .s = { .refs = 1, .len = (uint32_t)strlen(path) } };
	struct aq_cgroup c = { .id = id, .path = &text.s, .engine = "" };
	unsigned sum = 0;

	memcpy(text.room + offsetof(struct aq_str, s), path, strlen(path) + 1);
	snprintf(c.container_id, sizeof(c.container_id), "%s", container);
	for (unsigned i = 0; i < AQ_NAME_COUNT; i++)
		sum += touch(aq_name_of(n, &c, time_ns, i));
	for (unsigned table = AQ_NT_CONTAINER; table <= AQ_NT_NAMESPACE; table++)
		for (unsigned list = 0; list < AQ_FL_COUNT; list++) {
			static const uint8_t columns[AQ_FL_COUNT] = { 2, 2, 1, 1, 4, 4 };
			const struct aq_fact_doc *d = aq_name_list(n, &c, time_ns, table, list);

			for (uint32_t row = 0; d && row < aq_doc_rows(d, list); row++)
				for (unsigned k = 0; k < columns[list]; k++)
					sum += touch(aq_doc_cell(d, list, row, k));
		}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t times[] = { 0, 1, 100, 150, 200, 1000, UINT64_MAX };
	static const uint8_t four[4] = { 10, 0, 0, 7 }, six[16] = { 0xfd, [15] = 1 };
	char *text = malloc(size + 1), *rest = text;
	struct aq_facts *f = NULL;
	struct aq_names *n = NULL;
	unsigned sum = 0;

	if (!text || aq_facts_new(&f) < 0)
		abort();
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	for (char *line; (line = strsep(&rest, "\n"));)
		add_line(f, line);
	if (aq_facts_finish(f) < 0 || aq_names_new(f, &n) < 0)
		abort();
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		sum += ask_cgroup(n, 1, "c1", "/docker/c1", times[i]);
		sum += ask_cgroup(n, 2, "c2", "/kubepods/besteffort/pod0f6b1c2d-1111-2222-3333-444455556666/c2", times[i]);
		for (unsigned k = 0; k < AQ_AN_COUNT; k++)
			sum += touch(aq_name_of_address(n, four, 4, times[i], k)) + touch(aq_name_of_address(n, six, 16, times[i], k));
	}
	for (struct aq_subject *s = NULL; (s = aq_facts_next(f, "", s));) {
		uint64_t from, to, narrow_from = 0, narrow_to = UINT64_MAX;

		aq_subject_span(f, s, &from, &to);
		aq_subject_narrow(f, s, 150, &narrow_from, &narrow_to);
		if (narrow_from > 150 || narrow_to < 150 || aq_facts_find(f, aq_subject_name(f, s), strlen(aq_subject_name(f, s))) != s)
			abort();
	}
	aq_names_free(n);
	aq_facts_free(f);
	free(text);
	return sum == 1; /* keeps the reading from being left out */
}
