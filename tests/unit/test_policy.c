/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_policy aq_state aq_segment aq_schema aq_base */
/* Filters and budgets as people write them, and the numbers that the kernel side gets of them. */
#include <errno.h>
#include <string.h>

#include "recorder/policy.h"
#include "tests/unit/aq_test.h"

static struct aq_policy p;

static int add(enum aq_policy_kind kind, const char *value)
{
	struct aq_err err = { 0 };
	int r = aq_policy_add(&p, kind, value, &err);

	AQ_CHECK((r < 0) == (err.text[0] != '\0'));
	return r;
}

AQ_TEST(users)
{
	p = (struct aq_policy){ 0 };
	AQ_CHECK_EQ_INT(add(AQ_POLICY_UID, "33,1000-1999"), 0);
	AQ_CHECK_EQ_INT(p.filter.uid_count, 2);
	AQ_CHECK_EQ_INT(p.filter.uid[1].first, 1000);
	AQ_CHECK_EQ_INT(p.filter.uid[1].last, 1999);
	AQ_CHECK_EQ_INT(p.filter.only, AQ_WIRE_FILTER_UID);
	AQ_CHECK_EQ_INT(add(AQ_POLICY_UID, "!0"), 0);
	AQ_CHECK(p.filter.uid[2].not && p.filter.uid[2].last == 0);
	static const char *const bad[] = { "root", "5-", "7-3", "4294967296", "1,,2", "-1", "1 2", "!", "99999999999999999999", "", "33,", "," };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		AQ_CHECK_EQ_INT(add(AQ_POLICY_UID, bad[i]), -EINVAL);
	p = (struct aq_policy){ 0 };
	AQ_CHECK_EQ_INT(add(AQ_POLICY_UID, "!0"), 0); /* everybody but root: no one has to fit */
	AQ_CHECK_EQ_INT(p.filter.kinds, AQ_WIRE_FILTER_UID);
	AQ_CHECK_EQ_INT(p.filter.only, 0);
	for (int i = 1; i < AQ_WIRE_FILTER_UIDS; i++)
		AQ_CHECK_EQ_INT(add(AQ_POLICY_UID, "1"), 0);
	AQ_CHECK_EQ_INT(add(AQ_POLICY_UID, "1"), -EINVAL);
}

AQ_TEST(paths_in_both_directions)
{
	p = (struct aq_policy){ 0 };
	AQ_CHECK_EQ_INT(add(AQ_POLICY_PATH, "/var/log/"), 0);
	AQ_CHECK_EQ_INT(add(AQ_POLICY_PATH, "!/etc"), 0);
	AQ_CHECK_EQ_INT(p.filter.path[0].bytes, 8);
	AQ_CHECK_EQ_MEM(p.filter.path[0].text, "/var/log/", 10);
	AQ_CHECK_EQ_MEM(p.filter.path[0].reversed, "log\0var\0\0", 9);
	AQ_CHECK_EQ_MEM(p.filter.path[1].reversed, "etc\0\0", 5);
	AQ_CHECK_EQ_INT(p.filter.path[1].bytes, 4);
	AQ_CHECK(p.filter.path[1].not && !p.filter.path[0].not);
	static const char *const bad[] = { "etc", "/", "", "!", "/a//b", "/a/./b", "/a/../b",
					   "/0123456789012345678901234567890123456789012345678901234567890123" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		AQ_CHECK_EQ_INT(add(AQ_POLICY_PATH, bad[i]), -EINVAL);
	AQ_CHECK_EQ_INT(p.filter.path_count, 2);
	/* the longest there can be */
	AQ_CHECK_EQ_INT(add(AQ_POLICY_PATH, "/12345678901234567890123456789012345678901234567890123456789012"), 0);
	AQ_CHECK_EQ_INT(p.filter.path[2].bytes, 63);
}

AQ_TEST(cgroups_containers_namespaces)
{
	p = (struct aq_policy){ 0 };
	AQ_CHECK_EQ_INT(add(AQ_POLICY_CGROUP, "/system.slice/a b.service"), 0);
	AQ_CHECK_EQ_INT(add(AQ_POLICY_CGROUP, "!4711"), 0);
	AQ_CHECK_EQ_INT(add(AQ_POLICY_CONTAINER, "deadbeef"), 0);
	AQ_CHECK_EQ_INT(p.cgroup_count, 3);
	AQ_CHECK(p.cgroup[1].not && p.cgroup[2].container);
	AQ_CHECK(aq_policy_has_cgroups(&p) && !aq_policy_has_budget(&p));
	AQ_CHECK_EQ_INT(add(AQ_POLICY_CGROUP, "system.slice"), -EINVAL);
	AQ_CHECK_EQ_INT(add(AQ_POLICY_CONTAINER, "abc"), -EINVAL);
	AQ_CHECK_EQ_INT(add(AQ_POLICY_CONTAINER, "DEADBEEF"), -EINVAL);
	AQ_CHECK_EQ_INT(add(AQ_POLICY_NAMESPACE, "net:4026531840"), 0);
	AQ_CHECK_EQ_INT(add(AQ_POLICY_NAMESPACE, "!pid:1"), 0);
	AQ_CHECK(p.filter.ns[0].kind == AQ_WIRE_NS_NET && p.filter.ns[0].inum == 4026531840u);
	AQ_CHECK(p.filter.ns[1].kind == AQ_WIRE_NS_PID && p.filter.ns[1].not);
	static const char *const bad[] = { "net", "net:", "net:x", "nets:1", "ne:1", "net@0", "net:4294967296", ":1", "!" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		AQ_CHECK_EQ_INT(add(AQ_POLICY_NAMESPACE, bad[i]), -EINVAL);
}

AQ_TEST(budgets)
{
	p = (struct aq_policy){ 0 };
	AQ_CHECK_EQ_U64(aq_policy_limit(&p).events[0], AQ_WIRE_BUDGET_NONE);
	AQ_CHECK_EQ_INT(add(AQ_POLICY_BUDGET, "bulk=1000000000"), 0);
	AQ_CHECK_EQ_U64(aq_policy_limit(&p).events[1], 1ull << 30); /* one each nanosecond of the window */
	AQ_CHECK_EQ_U64(aq_policy_limit(&p).events[0], AQ_WIRE_BUDGET_NONE);
	AQ_CHECK_EQ_INT(add(AQ_POLICY_BUDGET, "/a:b/c:ordinary=0,bulk=10"), 0); /* the last colon divides */
	AQ_CHECK_EQ_INT(p.budget[1].path_len, 6);
	AQ_CHECK_EQ_U64(p.budget[1].limit.events[0], 0);
	AQ_CHECK_EQ_U64(p.budget[1].limit.events[1], 10);
	AQ_CHECK_EQ_U64(aq_policy_limit(&p).events[1], 1ull << 30);
	static const char *const bad[] = { "", "bulk", "bulk=", "vital=5", "important=5", "bulk=5x", "bulk=-1", "/a:", "bulk=1000000000001" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		AQ_CHECK_EQ_INT(add(AQ_POLICY_BUDGET, bad[i]), -EINVAL);
	cJSON *into = cJSON_CreateObject();
	AQ_REQUIRE(into && aq_policy_describe(&p, into));
	char *text = cJSON_PrintUnformatted(into);
	AQ_CHECK_EQ_STR(text, "{\"cgroup_budget\":[\"bulk=1000000000\",\"/a:b/c:ordinary=0,bulk=10\"]}");
	cJSON_free(text);
	cJSON_Delete(into);
}

AQ_TEST_MAIN()
