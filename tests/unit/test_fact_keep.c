/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder */
/* What a new segment repeats, what replaces what, what is forgotten, and what is refused. */
#include "recorder/enrich/fact_keep.h"

#include <stdio.h>

#include "tests/unit/aq_test.h"

static void put(struct aq_fact_keep *k, const char *subject, const char *json, uint64_t from_ns, uint64_t to_ns)
{
	aq_fact_keep_put(k, &(struct aq_fact){ subject, json, strlen(json), from_ns, to_ns });
}

static const char *all(struct aq_fact_keep *k)
{
	static char text[4096];
	const struct aq_fact *f;
	size_t n = 0;

	text[0] = '\0';
	while ((f = aq_fact_keep_next(k)) != NULL)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %.*s %llu %llu;", f->subject, (int)f->json_len, f->json,
				      (unsigned long long)f->valid_from_ns, (unsigned long long)f->valid_to_ns);
	return text;
}

AQ_TEST(repeats)
{
	struct aq_fact_keep *k;

	AQ_REQUIRE(aq_fact_keep_new(1 << 20, &k) == 0);
	put(k, "container:a", "{\"source\":\"runc\",\"name\":\"1\"}", 5, 0);
	AQ_CHECK(strcmp(all(k), "") == 0); /* it stands in this segment already */
	put(k, "container:a", "{\"source\":\"runc\",\"name\":\"2\"}", 5, 0);
	put(k, "container:a", "{\"source\":\"docker\",\"name\":\"3\"}", 5, 0);
	put(k, "container:a", "{\"source\":\"runc\",\"name\":\"4\"}", 9, 0);
	put(k, "pod:x", "{\"name\":\"p\"}", 0, 0);
	aq_fact_keep_restart(k, 100);
	AQ_CHECK(aq_fact_keep_count(k) == 4);
	AQ_CHECK(strcmp(all(k), "container:a {\"source\":\"runc\",\"name\":\"2\"} 5 0;container:a {\"source\":\"docker\",\"name\":\"3\"} 5 0;"
				"container:a {\"source\":\"runc\",\"name\":\"4\"} 9 0;pod:x {\"name\":\"p\"} 0 0;") == 0);
	AQ_CHECK(strcmp(all(k), "") == 0);
	aq_fact_keep_free(k);
}

AQ_TEST(forgets)
{
	const uint64_t minute = 60000000000u;
	struct aq_fact_keep *k;

	AQ_REQUIRE(aq_fact_keep_new(1 << 20, &k) == 0);
	put(k, "container:a", "{}", 5, 10);
	put(k, "container:b", "{}", 5, 0);
	put(k, "container:c", "{}", 5, minute);
	aq_fact_keep_restart(k, minute + 9);
	AQ_CHECK(aq_fact_keep_count(k) == 3);
	aq_fact_keep_restart(k, minute + 10);
	AQ_CHECK(strcmp(all(k), "container:b {} 5 0;container:c {} 5 60000000000;") == 0);
	put(k, "container:c", "{}", 5, 7); /* replaced while it was the last of the list */
	put(k, "container:d", "{}", 5, 0);
	aq_fact_keep_restart(k, 2 * minute);
	AQ_CHECK(strcmp(all(k), "container:b {} 5 0;container:d {} 5 0;") == 0);
	aq_fact_keep_free(k);
}

/* While they are being repeated, others come, replace and end. */
AQ_TEST(changes_meanwhile)
{
	struct aq_fact_keep *k;
	char subject[32];
	unsigned seen = 0;

	AQ_REQUIRE(aq_fact_keep_new(1 << 20, &k) == 0);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(subject, sizeof(subject), "container:%u", i);
		put(k, subject, "{\"source\":\"runc\"}", 1, 0);
	}
	aq_fact_keep_restart(k, 100);
	for (unsigned i = 0; aq_fact_keep_next(k) != NULL; i++) {
		seen++;
		if (i % 2 == 0) { /* the next one is told by itself: it need not be repeated */
			snprintf(subject, sizeof(subject), "container:%u", seen + (unsigned)(i / 2));
			put(k, subject, "{\"source\":\"runc\",\"x\":1}", 1, 0);
		}
	}
	AQ_CHECK(seen >= 500 && seen < 1000);
	AQ_CHECK(aq_fact_keep_count(k) >= 1000);
	aq_fact_keep_restart(k, 100);
	seen = 0;
	while (aq_fact_keep_next(k) != NULL)
		seen++;
	AQ_CHECK(seen == aq_fact_keep_count(k));
	aq_fact_keep_free(k);
}

AQ_TEST(refuses)
{
	struct aq_fact_keep *k;
	char subject[32];

	AQ_REQUIRE(aq_fact_keep_new(4096, &k) == 0);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(subject, sizeof(subject), "container:%u", i);
		put(k, subject, "{\"source\":\"runc\"}", 1, 0);
	}
	AQ_CHECK(aq_fact_keep_count(k) > 0 && aq_fact_keep_refused(k) > 0);
	AQ_CHECK(aq_fact_keep_count(k) + aq_fact_keep_refused(k) == 100);
	aq_fact_keep_free(k);
}

AQ_TEST_MAIN()
