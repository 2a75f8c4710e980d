/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_kube aq_recorder */
/* What of an object is told again, what is closed and when; and the queue that facts wait in. */
#include "recorder/enrich/fact_store.h"

#include "recorder/enrich/fact_queue.h"
#include "tests/unit/aq_test.h"

static char got[8192];

static int collect(void *user, const struct aq_fact *fact)
{
	size_t n = strlen(got);

	(void)user;
	snprintf(got + n, sizeof(got) - n, "%s %llu %llu %.*s\n", fact->subject, (unsigned long long)fact->valid_from_ns,
		 (unsigned long long)fact->valid_to_ns, (int)fact->json_len, fact->json);
	return 0;
}

static void add(struct aq_fact_store *s, const char *subject, const char *json, uint64_t from_ns)
{
	const struct aq_fact fact = { subject, json, strlen(json), from_ns, 0 };

	AQ_CHECK(aq_fact_store_add(s, &fact) == 0);
}

static const char *commit(struct aq_fact_store *s, const char *key, bool gone, uint64_t now_ns)
{
	got[0] = '\0';
	AQ_CHECK(aq_fact_store_commit(s, 0, key, gone, now_ns) == 0);
	return got;
}

static struct aq_fact_store *new_store(size_t max_bytes)
{
	struct aq_fact_store *s = NULL;

	AQ_REQUIRE(aq_fact_store_new(max_bytes, collect, NULL, &s) == 0);
	aq_fact_store_list_begin(s, 0);
	return s;
}

AQ_TEST(only_changes)
{
	struct aq_fact_store *s = new_store(1 << 20);

	aq_fact_store_begin(s);
	add(s, "pod:a", "{1}", 5);
	AQ_CHECK(strcmp(commit(s, "a", false, 10), "pod:a 5 0 {1}\n") == 0);
	aq_fact_store_begin(s);
	add(s, "pod:a", "{1}", 5);
	AQ_CHECK(strcmp(commit(s, "a", false, 11), "") == 0);
	aq_fact_store_begin(s);
	add(s, "pod:a", "{2}", 7); /* its beginning stays what it was */
	AQ_CHECK(strcmp(commit(s, "a", false, 12), "pod:a 5 0 {2}\n") == 0);
	aq_fact_store_begin(s);
	AQ_CHECK(strcmp(commit(s, "a", false, 13), "pod:a 5 13 {2}\n") == 0);
	aq_fact_store_free(s);
}

/* A list that only shows that something is still there leaves it as it is. */
AQ_TEST(seen_in_a_list)
{
	struct aq_fact_store *s = new_store(1 << 20);

	AQ_CHECK(!aq_fact_store_seen(s, 0, "a"));
	for (int i = 0; i < 2; i++) {
		aq_fact_store_begin(s);
		add(s, i == 0 ? "container:a" : "container:b", "{1}", 5);
		commit(s, i == 0 ? "a" : "b", false, 10);
	}
	AQ_CHECK(!aq_fact_store_seen(s, 1, "a")); /* that is another kind's */
	aq_fact_store_list_begin(s, 0);
	AQ_CHECK(aq_fact_store_seen(s, 0, "a"));
	got[0] = '\0';
	AQ_CHECK(aq_fact_store_list_end(s, 0, 20) == 0);
	AQ_CHECK(strcmp(got, "container:b 5 20 {1}\n") == 0);
	AQ_CHECK(!aq_fact_store_seen(s, 0, "b"));
	aq_fact_store_free(s);
}

/* What is known already may not grow beyond the bound either: it is told, and then forgotten. */
AQ_TEST(growth_is_bounded)
{
	static char large[3000];
	struct aq_fact_store *s = new_store(2000);

	memset(large, '1', sizeof(large) - 1);
	for (int i = 0; i < 2; i++) {
		aq_fact_store_begin(s);
		add(s, "pod:a", "{1}", 5);
		AQ_CHECK(strcmp(commit(s, "a", false, 10), i == 0 ? "pod:a 5 0 {1}\n" : "") == 0);
	}
	aq_fact_store_begin(s);
	add(s, "pod:a", large, 5);
	AQ_CHECK(strncmp(commit(s, "a", false, 11), "pod:a 5 0 111", 13) == 0);
	aq_fact_store_begin(s);
	add(s, "pod:a", "{1}", 5); /* new again */
	AQ_CHECK(strcmp(commit(s, "a", false, 12), "pod:a 5 0 {1}\n") == 0);
	aq_fact_store_free(s);
}

AQ_TEST(lists_end_what_they_lack)
{
	struct aq_fact_store *s = new_store(1 << 20);

	aq_fact_store_begin(s);
	add(s, "pod:a", "{1}", 5);
	commit(s, "a", false, 10);
	aq_fact_store_begin(s);
	add(s, "pod:b", "{1}", 5);
	commit(s, "b", false, 10);
	aq_fact_store_list_begin(s, 0);
	aq_fact_store_begin(s);
	add(s, "pod:b", "{1}", 5);
	commit(s, "b", false, 20);
	got[0] = '\0';
	AQ_CHECK(aq_fact_store_list_end(s, 1, 21) == 0 && got[0] == '\0');
	AQ_CHECK(aq_fact_store_list_end(s, 0, 21) == 0);
	AQ_CHECK(strcmp(got, "pod:a 5 21 {1}\n") == 0);
	aq_fact_store_free(s);
}

AQ_TEST(an_address_has_one_owner)
{
	struct aq_fact_store *s = new_store(1 << 20);

	aq_fact_store_begin(s);
	add(s, "address:1", "{a}", 5);
	commit(s, "a", false, 10);
	aq_fact_store_begin(s);
	add(s, "address:1", "{b}", 15);
	AQ_CHECK(strcmp(commit(s, "b", false, 20), "address:1 15 0 {b}\naddress:1 5 15 {a}\n") == 0);
	aq_fact_store_begin(s); /* the first has it no more: nothing is left to say */
	AQ_CHECK(strcmp(commit(s, "a", true, 30), "") == 0);
	aq_fact_store_begin(s);
	AQ_CHECK(strcmp(commit(s, "b", false, 40), "address:1 15 40 {b}\n") == 0);
	aq_fact_store_begin(s); /* and the table doesn't lead to one that isn't there */
	commit(s, "b", true, 41);
	aq_fact_store_begin(s);
	add(s, "address:1", "{c}", 50);
	AQ_CHECK(strcmp(commit(s, "c", false, 50), "address:1 50 0 {c}\n") == 0);
	aq_fact_store_free(s);
}

AQ_TEST(owners_mend_what_is_kept)
{
	struct aq_fact_store *s = new_store(1 << 20);

	aq_fact_store_begin(s);
	add(s, "pod:a", "{\"namespace\":\"n\",\"owner_kind\":\"Job\",\"owner_name\":\"j\",\"workload_kind\":\"Job\",\"workload_name\":\"j\"}", 5);
	commit(s, "a", false, 10);
	got[0] = '\0';
	AQ_CHECK(aq_fact_store_owner(s, "other", "Job", "j", "CronJob", "c") == 0 && got[0] == '\0');
	AQ_CHECK(aq_fact_store_owner(s, "n", "Job", "j", "CronJob", "c") == 0);
	AQ_CHECK(strstr(got, "pod:a 5 0 {") == got && strstr(got, "\"workload_kind\":\"CronJob\",\"workload_name\":\"c\""));
	aq_fact_store_free(s);
}

AQ_TEST(beyond_the_bound_nothing_is_kept)
{
	struct aq_fact_store *s = new_store(0);

	aq_fact_store_begin(s);
	add(s, "pod:a", "{1}", 5);
	AQ_CHECK(strcmp(commit(s, "a", false, 10), "pod:a 5 0 {1}\n") == 0);
	aq_fact_store_begin(s);
	add(s, "pod:a", "{1}", 5);
	AQ_CHECK(strcmp(commit(s, "a", false, 10), "pod:a 5 0 {1}\n") == 0);
	aq_fact_store_free(s);
}

AQ_TEST(queue)
{
	struct aq_fact_queue *q = NULL;
	const struct aq_fact fact = { "pod:a", "{1}", 3, 5, 6 };
	struct aq_fact *taken;
	unsigned n = 0;

	AQ_REQUIRE(aq_fact_queue_new(1000, &q) == 0);
	AQ_CHECK(aq_fact_queue_take(q) == NULL);
	for (unsigned i = 0; i < 100; i++)
		AQ_CHECK(aq_fact_queue_put(q, &fact) == 0);
	AQ_CHECK(aq_fact_queue_refused(q) > 0 && aq_fact_queue_refused(q) < 100);
	while ((taken = aq_fact_queue_take(q)) != NULL) {
		AQ_CHECK(strcmp(taken->subject, "pod:a") == 0 && memcmp(taken->json, "{1}", 3) == 0 && taken->valid_to_ns == 6);
		free(taken);
		n++;
	}
	AQ_CHECK(n + aq_fact_queue_refused(q) == 100);
	AQ_CHECK(aq_fact_queue_put(q, &fact) == 0); /* freed with the queue */
	aq_fact_queue_free(q);
}

AQ_TEST_MAIN()
