/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_kube */
/* Owners of owners: asked for once, in turn, kept as long as they are needed, never more than there is room for. */
#include "recorder/enrich/kube_owners.h"

#include "tests/unit/aq_test.h"

static struct aq_kube_owners o;
static struct aq_kube_question q;
static struct aq_pods_owner of;

static bool find(const char *kind, const char *namespace, const char *name)
{
	of = (struct aq_pods_owner){ "as", "before" };
	return aq_kube_owners_find(&o, kind, namespace, name, &of);
}

AQ_TEST(answers)
{
	static const struct aq_pods_owner web = { "Deployment", "web" };

	AQ_CHECK(!aq_kube_owners_next(&o, &q));
	AQ_CHECK(!find("ReplicaSet", "a", "web-1") && !find("ReplicaSet", "a", "web-1"));
	AQ_CHECK(!find("Job", "a", "web-1"));
	AQ_CHECK(!find("ReplicaSet", "b", "web-1"));
	AQ_CHECK(o.count == 3);
	AQ_CHECK(aq_kube_owners_next(&o, &q) && strcmp(q.kind, "ReplicaSet") == 0 && strcmp(q.namespace, "a") == 0 &&
		 strcmp(q.name, "web-1") == 0);
	aq_kube_owners_later(&o);
	AQ_CHECK(aq_kube_owners_next(&o, &q) && strcmp(q.kind, "Job") == 0);
	aq_kube_owners_answer(&o, true, NULL); /* nobody's */
	AQ_CHECK(aq_kube_owners_next(&o, &q) && strcmp(q.namespace, "b") == 0);
	aq_kube_owners_answer(&o, false, NULL); /* gone */
	AQ_CHECK(aq_kube_owners_next(&o, &q) && strcmp(q.namespace, "a") == 0);
	aq_kube_owners_answer(&o, true, &web);
	AQ_CHECK(!aq_kube_owners_next(&o, &q));
	AQ_CHECK(find("ReplicaSet", "a", "web-1") && strcmp(of.name, "web") == 0 && strcmp(of.kind, "Deployment") == 0);
	AQ_CHECK(find("Job", "a", "web-1") && strcmp(of.name, "before") == 0);
	AQ_CHECK(!find("ReplicaSet", "b", "web-1"));
	AQ_CHECK(!aq_kube_owners_next(&o, &q));
	aq_kube_owners_release(&o);
	AQ_CHECK(o.count == 0 && !aq_kube_owners_next(&o, &q));
}

AQ_TEST(room)
{
	char name[32];

	for (int i = 0; i < AQ_KUBE_OWNERS_MAX + 10; i++) {
		snprintf(name, sizeof(name), "job-%d", i);
		AQ_CHECK(!find("Job", "a", name));
	}
	AQ_CHECK(o.count == AQ_KUBE_OWNERS_MAX); /* all wait: the last ten have to come again */
	for (unsigned n = 0; aq_kube_owners_next(&o, &q); n++) {
		AQ_REQUIRE(n < AQ_KUBE_OWNERS_MAX);
		aq_kube_owners_answer(&o, true, NULL);
	}
	AQ_CHECK(find("Job", "a", "job-0"));
	for (int i = 0; i < AQ_KUBE_OWNERS_MAX - 1; i++) {
		snprintf(name, sizeof(name), "new-%d", i);
		AQ_CHECK(!find("Job", "a", name));
	}
	AQ_CHECK(o.count == AQ_KUBE_OWNERS_MAX);
	AQ_CHECK(find("Job", "a", "job-0"));  /* was needed since: stays */
	AQ_CHECK(!find("Job", "a", "job-1")); /* wasn't */
	AQ_CHECK(aq_kube_owners_next(&o, &q) && strcmp(q.name, "new-0") == 0);
	aq_kube_owners_release(&o);
}

AQ_TEST_MAIN()
