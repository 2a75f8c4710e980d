/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts and names: what is believed at which time, who replaces whom, how a cgroup becomes a pod and an address a name,
 * why a name is unknown, and that no fact is too hostile.
 * aq-libs: aq_query
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query/names.h"
#include "tests/unit/aq_test.h"

#define UID "0f6b1c2d-1111-2222-3333-444455556666"
#define UID_PATH "0f6b1c2d_1111_2222_3333_444455556666"
#define ID "aaaaaaaaaaaabbbbbbbbbbbbccccccccccccddddddddddddeeeeeeeeeeeeffff"

static void add(struct aq_facts *f, const char *subject, uint64_t from, uint64_t to, const char *json)
{
	const struct aq_fact fact = { subject, json, strlen(json), from, to };

	AQ_REQUIRE(aq_facts_add(f, &fact) == 0);
}

static struct aq_facts *begin(void)
{
	struct aq_facts *f = NULL;

	AQ_REQUIRE(aq_facts_new(&f) == 0);
	return f;
}

static const char *text(struct aq_fact_text t)
{
	static char buf[4][512];
	static unsigned next;
	char *out = buf[next++ % 4];

	if (!t.s)
		return "(none)";
	snprintf(out, 512, "%.*s", (int)t.len, t.s);
	return out;
}

static const char *said(struct aq_facts *f, const char *subject, enum aq_fact_member member, uint64_t at, bool strict)
{
	return text(aq_facts_text(f, aq_facts_find(f, subject, strlen(subject)), member, at, strict));
}

AQ_TEST(late_and_deleted)
{
	struct aq_facts *f = begin();

	add(f, "pod:u", 1000, 2000, "{\"source\":\"kubelet\",\"name\":\"web\"}");
	AQ_REQUIRE(aq_facts_finish(f) == 0);
	AQ_CHECK_EQ_STR(said(f, "pod:u", AQ_FM_NAME, 5, false), "web");      /* learned later */
	AQ_CHECK_EQ_STR(said(f, "pod:u", AQ_FM_NAME, 1500, false), "web");
	AQ_CHECK_EQ_STR(said(f, "pod:u", AQ_FM_NAME, 999999, false), "web"); /* deleted */
	AQ_CHECK_EQ_STR(said(f, "pod:u", AQ_FM_NAME, 5, true), "(none)");
	AQ_CHECK_EQ_STR(said(f, "pod:u", AQ_FM_NAME, 2000, true), "web");
	AQ_CHECK_EQ_STR(said(f, "pod:u", AQ_FM_NAME, 2001, true), "(none)");
	AQ_CHECK_EQ_STR(said(f, "pod:u", AQ_FM_NODE, 1500, false), "(none)");
	AQ_CHECK_EQ_STR(said(f, "pod:v", AQ_FM_NAME, 1500, false), "(none)");
	aq_facts_free(f);
}

AQ_TEST(replaced_and_other_times)
{
	struct aq_facts *f = begin();
	struct aq_subject *s;
	uint64_t from = 0, to = UINT64_MAX;

	add(f, "pod:u", 100, 0, "{\"source\":\"kubelet\",\"name\":\"old\",\"node\":\"n1\"}");
	add(f, "pod:u", 100, 0, "{\"source\":\"kubelet\",\"name\":\"new\"}");
	AQ_REQUIRE(aq_facts_finish(f) == 0);
	AQ_CHECK_EQ_STR(said(f, "pod:u", AQ_FM_NAME, 150, false), "new");
	AQ_CHECK_EQ_STR(said(f, "pod:u", AQ_FM_NODE, 150, false), "(none)"); /* the old one says nothing any more */
	aq_facts_free(f);

	f = begin();
	add(f, "address:10.0.0.7", 300, 0, "{\"source\":\"kubernetes\",\"kind\":\"pod\",\"name\":\"b\"}");
	add(f, "address:10.0.0.7", 100, 200, "{\"source\":\"kubernetes\",\"kind\":\"pod\",\"name\":\"a\"}");
	AQ_REQUIRE(aq_facts_finish(f) == 0);
	AQ_CHECK_EQ_STR(said(f, "address:10.0.0.7", AQ_FM_NAME, 150, true), "a");
	AQ_CHECK_EQ_STR(said(f, "address:10.0.0.7", AQ_FM_NAME, 250, true), "(none)");
	AQ_CHECK_EQ_STR(said(f, "address:10.0.0.7", AQ_FM_NAME, 300, true), "b");
	AQ_CHECK_EQ_STR(said(f, "address:::ffff:10.0.0.7", AQ_FM_NAME, 300, true), "b");
	s = aq_facts_find(f, "address:10.0.0.7", 16);
	aq_subject_narrow(f, s, 250, &from, &to);
	AQ_CHECK_EQ_U64(from, 201);
	AQ_CHECK_EQ_U64(to, 299);
	aq_subject_span(f, s, &from, &to);
	AQ_CHECK_EQ_U64(from, 100);
	AQ_CHECK_EQ_U64(to, 200);
	aq_facts_free(f);
}

AQ_TEST(several_sources)
{
	struct aq_facts *f = begin();

	add(f, "container:x", 0, 0, "{\"source\":\"import\",\"name\":\"imported\",\"image\":\"i\",\"pod\":\"p\"}");
	add(f, "container:x", 50, 0, "{\"name\":\"from the runtime\",\"source\":\"docker\"}"); /* source is not the first member */
	add(f, "container:x", 500, 600, "{\"source\":\"zeta\",\"image_tag\":\"z\"}");
	add(f, "container:x", 500, 600, "{\"source\":\"eta\",\"start\":\"s\"}");
	AQ_REQUIRE(aq_facts_finish(f) == 0);
	AQ_CHECK_EQ_STR(said(f, "container:x", AQ_FM_NAME, 60, false), "from the runtime");
	/* whose span holds the time comes before who is otherwise believed first */
	AQ_CHECK_EQ_STR(said(f, "container:x", AQ_FM_NAME, 10, false), "imported");
	AQ_CHECK_EQ_STR(said(f, "container:x", AQ_FM_IMAGE, 60, false), "i");
	/* two sources that nobody knows do not replace each other */
	AQ_CHECK_EQ_STR(said(f, "container:x", AQ_FM_IMAGE_TAG, 60, false), "z");
	AQ_CHECK_EQ_STR(said(f, "container:x", AQ_FM_START, 60, false), "s");
	aq_facts_free(f);
}

AQ_TEST(hostile_facts)
{
	static const char *const bad[] = { "", "{", "[]", "null", "\"x\"", "{\"name\":}", "{\"name\":\"x\"", "{\"a\":1}}", "\xff\xfe",
					   "{\"source\":\"docker\",\"name\":", "{\"source\":\"docker\"" };
	static const char rows[] = "{\"labels\":{\"a\":\"\",\"b\":\"2\",\"c\":true},\"mounts\":[{\"source\":\"/s\",\"ro\":true},7,{}]}";
	struct aq_facts *f = begin();
	char *deep = malloc(50001), *wide;
	struct aq_fact_doc *d = NULL;

	AQ_REQUIRE(deep != NULL);
	memset(deep, '[', 50000);
	deep[50000] = '\0';
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		add(f, "pod:bad", i, 0, bad[i]);
	add(f, "pod:bad", 1000, 0, deep);
	add(f, "pod:types", 0, 0, "{\"source\":{},\"name\":[\"x\"],\"node\":{\"a\":1},\"restarts\":3,\"labels\":[1],\"containers\":{\"a\":1},"
	    "\"ips\":[1,null,\"10.0.0.1\",{}],\"phase\":null,\"namespace\":\"\"}");
	add(f, "pod:ugly", 0, 0, "{\"source\":\"kubelet\",\"name\":\"a\\u001b[31m\\n\\\"'; drop table pods--\",\"labels\":{\"\":\"x\",\"k\\\"\":\"\",\"n\":7}}");
	AQ_REQUIRE(aq_facts_finish(f) == 0);
	AQ_CHECK(aq_facts_refused(f) > 0);
	AQ_CHECK_EQ_STR(said(f, "pod:bad", AQ_FM_NAME, 5, false), "(none)");
	AQ_CHECK_EQ_STR(said(f, "pod:types", AQ_FM_NAME, 5, false), "(none)");
	AQ_CHECK_EQ_STR(said(f, "pod:types", AQ_FM_NAMESPACE, 5, false), "(none)");
	AQ_CHECK_EQ_STR(said(f, "pod:types", AQ_FM_RESTARTS, 5, false), "3");
	AQ_CHECK_EQ_STR(said(f, "pod:ugly", AQ_FM_NAME, 5, false), "a\033[31m\n\"'; drop table pods--");
	aq_facts_free(f);
	free(deep);

	/* one with as many rows as fit takes no more than a few times its size, and one that is too long is none */
	wide = malloc(AQ_FACT_JSON_MAX + 64);
	AQ_REQUIRE(wide != NULL);
	size_t n = (size_t)sprintf(wide, "{\"ips\":[");
	while (n < AQ_FACT_JSON_MAX - 8)
		n += (size_t)sprintf(wide + n, "\"a\",");
	n += (size_t)sprintf(wide + n - 1, "]}") - 1;
	AQ_REQUIRE(aq_doc_parse(wide, n, &d) == 0);
	AQ_CHECK(aq_doc_rows(d, AQ_FL_IPS) > 15000);
	aq_doc_free(d);
	AQ_CHECK(aq_doc_parse(wide, AQ_FACT_JSON_MAX + 1, &d) < 0);
	free(wide);
	AQ_CHECK(aq_doc_parse(rows, sizeof(rows) - 2, &d) < 0);
	AQ_REQUIRE(aq_doc_parse(rows, sizeof(rows) - 1, &d) == 0);
	AQ_CHECK_EQ_U64(aq_doc_rows(d, AQ_FL_LABELS), 3);
	AQ_CHECK_EQ_STR(text(aq_doc_value(d, AQ_FL_LABELS, "a", 1)), "");
	AQ_CHECK_EQ_STR(text(aq_doc_value(d, AQ_FL_LABELS, "c", 1)), "true");
	AQ_CHECK_EQ_STR(text(aq_doc_value(d, AQ_FL_LABELS, "d", 1)), "(none)");
	AQ_CHECK_EQ_U64(aq_doc_rows(d, AQ_FL_MOUNTS), 1);
	AQ_CHECK_EQ_STR(text(aq_doc_cell(d, AQ_FL_MOUNTS, 0, AQ_MOUNT_RO)), "true");
	AQ_CHECK_EQ_STR(text(aq_doc_cell(d, AQ_FL_MOUNTS, 0, AQ_MOUNT_TYPE)), "(none)");
	aq_doc_free(d);
}

/* Very many facts about a thousand subjects: what was replaced takes no room. */
AQ_TEST(many_replacements)
{
	struct aq_facts *f = begin();
	char subject[32], json[64];

	for (unsigned i = 0; i < 300000; i++) {
		snprintf(subject, sizeof(subject), "pod:%u", i % 1000);
		snprintf(json, sizeof(json), "{\"source\":\"kubelet\",\"name\":\"n%u\"}", i);
		add(f, subject, 7, 0, json);
	}
	AQ_REQUIRE(aq_facts_finish(f) == 0);
	AQ_CHECK_EQ_U64(aq_facts_refused(f), 0);
	AQ_CHECK_EQ_STR(said(f, "pod:999", AQ_FM_NAME, 5, false), "n299999");
	AQ_CHECK_EQ_STR(said(f, "pod:0", AQ_FM_NAME, 5, false), "n299000");
	aq_facts_free(f);
}

struct place { /* a cgroup made by hand */
	struct aq_cgroup c;
	union { struct aq_str s; char room[512]; } path;
};

static struct aq_cgroup *cgroup(struct place *p, uint64_t id, const char *container, const char *path)
{
	memset(p, 0, sizeof(*p));
	p->path.s.len = (uint32_t)strlen(path);
	strcpy(p->path.room + offsetof(struct aq_str, s), path);
	p->c = (struct aq_cgroup){ .id = id, .path = &p->path.s, .engine = "containerd" };
	snprintf(p->c.container_id, sizeof(p->c.container_id), "%s", container);
	return &p->c;
}

AQ_TEST(uid_in_path)
{
	static const struct { const char *path, *uid; } cases[] = {
		{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_PATH ".slice/cri-containerd-" ID ".scope", UID },
		{ "/kubepods/besteffort/pod" UID "/" ID, UID },
		{ "/kubepods/pod" UID, UID },
		{ "/kubepods/burstable/pod0123456789abcdef0123456789abcdef/x", "0123456789abcdef0123456789abcdef" },
		{ "/kubepods/burstable/pod0123456789abcdef0123456789abcdef0/x", "" },
		{ "/system.slice/pod" UID, "" },
		{ "/kubepods/podium", "" },
		{ "/kubepods", "" },
		{ "", "" },
	};
	char uid[AQ_POD_UID_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AQ_CHECK(aq_cgroup_pod_uid(cases[i].path, strlen(cases[i].path), uid) == (cases[i].uid[0] != '\0'));
		AQ_CHECK_EQ_STR(uid, cases[i].uid);
	}
}

/* An engine that was asked and its files tell of the same container: each is believed in what it knows best. */
AQ_TEST(asked_and_on_disk)
{
	struct aq_facts *f = begin();
	struct aq_names *n = NULL;
	struct place unclear, clear;
	struct aq_cgroup *a = cgroup(&unclear, 11, ID, "/own/" ID), *b = cgroup(&clear, 12, "c2", "/own/c2");
	struct aq_fact_text id, engine;

	a->engine = "runtime"; /* as a path that names none */
	add(f, "container:" ID, 102, 0, "{\"source\":\"runc\",\"engine\":\"runc\"}");
	add(f, "container:" ID, 104, 0, "{\"source\":\"podman-files\",\"engine\":\"podman\",\"labels\":{\"a\":\"b\"}}");
	add(f, "container:" ID, 100, 0, "{\"source\":\"storage\",\"name\":\"after\",\"image\":\"box:1\"}");
	add(f, "container:" ID, 103, 200, "{\"source\":\"podman\",\"engine\":\"podman\",\"name\":\"before\"}");
	add(f, "container:" ID, 200, 0, "{\"source\":\"podman\",\"engine\":\"podman\",\"name\":\"after\"}");
	AQ_REQUIRE(aq_facts_finish(f) == 0);
	AQ_REQUIRE(aq_names_new(f, &n) == 0);
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 150, AQ_NAME_CONTAINER)), "before"); /* as it was called then */
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 250, AQ_NAME_CONTAINER)), "after");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 150, AQ_NAME_IMAGE)), "box:1");
	AQ_CHECK(aq_name_list(n, a, 150, AQ_NT_CONTAINER, AQ_FL_LABELS) != NULL);
	AQ_CHECK(aq_name_container(n, a, 150, &id, &engine));
	AQ_CHECK_EQ_STR(text(engine), "podman");
	AQ_CHECK(aq_name_container(n, b, 150, &id, &engine));
	AQ_CHECK_EQ_STR(text(engine), "containerd"); /* what the path tells */
	aq_names_free(n);
	aq_facts_free(f);
}

AQ_TEST(container_to_pod)
{
	struct aq_facts *f = begin();
	struct aq_names *n = NULL;
	struct place by_fact, by_list, by_path, host;
	struct aq_cgroup *a = cgroup(&by_fact, 11, "c1", "/docker/c1"), *b = cgroup(&by_list, 12, "c2", "/weird/c2"),
			 *c = cgroup(&by_path, 13, ID, "/kubepods/besteffort/pod" UID "/" ID), *h = cgroup(&host, 14, "", "/user.slice");

	add(f, "container:c1", 0, 0, "{\"source\":\"docker\",\"name\":\"one\",\"image\":\"reg:5000/a/b:1@sha256:dd\",\"pod_uid\":\"" UID "\"}");
	add(f, "pod:" UID, 100, 0, "{\"source\":\"kubelet\",\"name\":\"web-1\",\"namespace\":\"prod\",\"owner_kind\":\"ReplicaSet\","
	    "\"owner_name\":\"web-abc\",\"workload_kind\":\"Deployment\",\"workload_name\":\"web\",\"node\":\"n7\",\"service_account\":\"sa\","
	    "\"containers\":[{\"name\":\"side\",\"id\":\"containerd://c2\",\"image\":\"img:9\",\"image_digest\":\"sha256:ee\"}]}");
	add(f, "namespace:prod", 0, 0, "{\"source\":\"kubernetes\",\"labels\":{\"team\":\"a\"}}");
	AQ_REQUIRE(aq_facts_finish(f) == 0);
	AQ_REQUIRE(aq_names_new(f, &n) == 0);
	for (unsigned i = 0; i < 2; i++) {
		AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 5, AQ_NAME_POD)), "web-1");
		AQ_CHECK_EQ_STR(text(aq_name_of(n, b, 5, AQ_NAME_POD)), "web-1");
		AQ_CHECK_EQ_STR(text(aq_name_of(n, c, 500, AQ_NAME_POD)), "web-1");
		AQ_CHECK_EQ_STR(text(aq_name_of(n, h, 5, AQ_NAME_POD)), "(none)");
		AQ_CHECK_EQ_STR(text(aq_name_of(n, h, 5, AQ_NAME_POD_UNKNOWN)), "(none)");
	}
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 5, AQ_NAME_CONTAINER)), "one");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 5, AQ_NAME_IMAGE_REPOSITORY)), "reg:5000/a/b");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 5, AQ_NAME_IMAGE_TAG)), "1");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 5, AQ_NAME_IMAGE_DIGEST)), "sha256:dd");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, b, 5, AQ_NAME_CONTAINER)), "side");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, b, 5, AQ_NAME_POD_CONTAINER)), "side");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, b, 5, AQ_NAME_IMAGE_TAG)), "9");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, b, 5, AQ_NAME_IMAGE_DIGEST)), "sha256:ee");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, b, 5, AQ_NAME_CONTAINER_UNKNOWN)), "(none)");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 5, AQ_NAME_NAMESPACE)), "prod");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 5, AQ_NAME_DEPLOYMENT)), "web");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 5, AQ_NAME_REPLICASET)), "web-abc");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 5, AQ_NAME_JOB)), "(none)");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 5, AQ_NAME_NODE)), "n7");
	AQ_CHECK(aq_name_list(n, a, 5, AQ_NT_NAMESPACE, AQ_FL_LABELS) != NULL);
	AQ_CHECK(aq_name_list(n, a, 5, AQ_NT_CONTAINER, AQ_FL_LABELS) == NULL);
	/* the kernel uses the id of the cgroup again, for another container */
	cgroup(&by_fact, 11, "c9", "/docker/c9")->changes = 1;
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 600, AQ_NAME_POD)), "(none)");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, a, 600, AQ_NAME_CONTAINER_UNKNOWN)), "not yet seen");
	aq_names_free(n);
	aq_facts_free(f);
}

AQ_TEST(why_unknown)
{
	struct aq_facts *f = begin();
	struct aq_names *n = NULL;
	struct place place;
	struct aq_cgroup *c = cgroup(&place, 13, ID, "/kubepods/besteffort/pod" UID "/" ID);

	AQ_REQUIRE(aq_facts_finish(f) == 0);
	AQ_REQUIRE(aq_names_new(f, &n) == 0);
	AQ_CHECK_EQ_STR(text(aq_name_of(n, c, 5, AQ_NAME_POD_UNKNOWN)), "no source of pod names was recorded");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, c, 5, AQ_NAME_CONTAINER_UNKNOWN)), "no source of container names was recorded");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, c, 5, AQ_NAME_POD_UID)), UID);
	aq_names_free(n);
	aq_facts_free(f);

	f = begin();
	add(f, "pod:*", 100, 200, "{\"source\":\"kubelet\",\"unknown\":\"look-up failed: 401\"}");
	add(f, "container:*", 0, 0, "{\"source\":\"docker\",\"unknown\":\"no runtime socket\"}");
	AQ_REQUIRE(aq_facts_finish(f) == 0);
	AQ_REQUIRE(aq_names_new(f, &n) == 0);
	AQ_CHECK_EQ_STR(text(aq_name_of(n, c, 150, AQ_NAME_POD_UNKNOWN)), "look-up failed: 401");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, c, 5, AQ_NAME_POD_UNKNOWN)), "look-up failed: 401"); /* it never went well */
	AQ_CHECK_EQ_STR(text(aq_name_of(n, c, 5, AQ_NAME_CONTAINER_UNKNOWN)), "no runtime socket");
	aq_names_free(n);
	aq_facts_free(f);

	f = begin();
	add(f, "pod:*", 100, 200, "{\"source\":\"kubelet\",\"unknown\":\"look-up failed: 401\"}");
	add(f, "pod:other", 100, 200, "{\"source\":\"kubelet\",\"name\":\"x\"}");
	add(f, "container:" ID, 100, 0, "{\"source\":\"docker\",\"unknown\":\"look-up failed: 404\"}");
	AQ_REQUIRE(aq_facts_finish(f) == 0);
	AQ_REQUIRE(aq_names_new(f, &n) == 0);
	AQ_CHECK_EQ_STR(text(aq_name_of(n, c, 150, AQ_NAME_POD_UNKNOWN)), "look-up failed: 401");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, c, 300, AQ_NAME_POD_UNKNOWN)), "not yet seen");
	AQ_CHECK_EQ_STR(text(aq_name_of(n, c, 300, AQ_NAME_CONTAINER_UNKNOWN)), "look-up failed: 404");
	aq_names_free(n);
	aq_facts_free(f);
}

AQ_TEST(addresses)
{
	static const uint8_t four[4] = { 10, 0, 0, 7 }, other[4] = { 10, 0, 0, 8 },
			     mapped[16] = { [10] = 0xff, [11] = 0xff, 10, 0, 0, 7 }, six[16] = { 0xfd, [15] = 1 };
	struct aq_facts *f = begin();
	struct aq_names *n = NULL;

	add(f, "address:10.0.0.7", 100, 200, "{\"source\":\"kubernetes\",\"kind\":\"pod\",\"name\":\"web-1\",\"namespace\":\"prod\"}");
	add(f, "address:10.0.0.7", 300, 0, "{\"source\":\"kubernetes\",\"kind\":\"service\",\"name\":\"db\",\"namespace\":\"data\"}");
	add(f, "address:10.0.0.7", 350, 360, "{\"source\":\"dns\",\"kind\":\"dns\",\"name\":\"db.example\"}");
	add(f, "address:FD00:0::1", 0, 0, "{\"source\":\"kubelet\",\"kind\":\"node\",\"name\":\"n1\"}");
	AQ_REQUIRE(aq_facts_finish(f) == 0);
	AQ_REQUIRE(aq_names_new(f, &n) == 0);
	for (unsigned i = 0; i < 2; i++) {
		AQ_CHECK_EQ_STR(text(aq_name_of_address(n, four, 4, 150, AQ_AN_NAME)), "web-1");
		AQ_CHECK_EQ_STR(text(aq_name_of_address(n, four, 4, 150, AQ_AN_POD)), "web-1");
		AQ_CHECK_EQ_STR(text(aq_name_of_address(n, mapped, 16, 150, AQ_AN_NAMESPACE)), "prod");
		AQ_CHECK_EQ_STR(text(aq_name_of_address(n, four, 4, 250, AQ_AN_NAME)), "(none)");
		AQ_CHECK_EQ_STR(text(aq_name_of_address(n, four, 4, 50, AQ_AN_NAME)), "(none)");
		AQ_CHECK_EQ_STR(text(aq_name_of_address(n, four, 4, 340, AQ_AN_NAME)), "db");
		AQ_CHECK_EQ_STR(text(aq_name_of_address(n, four, 4, 355, AQ_AN_NAME)), "db.example");
		AQ_CHECK_EQ_STR(text(aq_name_of_address(n, four, 4, 355, AQ_AN_SERVICE)), "db");
		AQ_CHECK_EQ_STR(text(aq_name_of_address(n, four, 4, 355, AQ_AN_POD)), "(none)");
		AQ_CHECK_EQ_STR(text(aq_name_of_address(n, other, 4, 150, AQ_AN_NAME)), "(none)");
		AQ_CHECK_EQ_STR(text(aq_name_of_address(n, six, 16, 150, AQ_AN_NAME)), "n1");
	}
	aq_names_free(n);
	aq_facts_free(f);
}

AQ_TEST_MAIN()
