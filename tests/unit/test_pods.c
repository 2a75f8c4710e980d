/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_facts aq_base */
/*
 * Facts from Kubernetes objects: what a whole pod says, owners, times, and documents that lie. Also the splitter of lists.
 */
#include "format/facts/pods.h"

#include <errno.h>

#include <cjson/cJSON.h>

#include "format/facts/json_items.h"
#include "tests/unit/aq_test.h"

struct got {
	char text[65536];
	size_t len;
	unsigned count;
	size_t longest;
	int stop;
};

static int collect(void *user, const struct aq_fact *fact)
{
	struct got *g = user;
	int n = snprintf(g->text + g->len, sizeof(g->text) - g->len, "%s %llu %llu %.*s\n", fact->subject,
			 (unsigned long long)fact->valid_from_ns, (unsigned long long)fact->valid_to_ns, (int)fact->json_len,
			 fact->json);

	if (n > 0 && (size_t)n < sizeof(g->text) - g->len)
		g->len += (size_t)n;
	g->count++;
	if (fact->json_len > g->longest)
		g->longest = fact->json_len;
	return g->stop;
}

static const char *const chosen[] = { "team/contact" };
static const struct aq_pods_options plain = {
	.source = "import", .real_to_boot_ns = -1700000000000000000ll, .annotations = chosen, .annotation_count = 1,
};

static int facts_of(const char *json, const struct aq_pods_options *options, struct got *g)
{
	cJSON *doc = cJSON_Parse(json);
	int r;

	memset(g, 0, sizeof(*g));
	AQ_REQUIRE(doc != NULL);
	r = aq_pods_facts(doc, options, collect, g);
	cJSON_Delete(doc);
	return r;
}

static struct got g;

static const char whole_pod[] =
	"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"web-7d4b9-x2x\",\"namespace\":\"shop\",\"uid\":\"u-1\","
	"\"creationTimestamp\":\"2023-11-14T22:13:30Z\",\"labels\":{\"app\":\"web\",\"pod-template-hash\":\"7d4b9\"},"
	"\"annotations\":{\"team/contact\":\"a\\\"b\",\"secret\":\"no\"},"
	"\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"web-7d4b9\",\"controller\":true}]},"
	"\"spec\":{\"nodeName\":\"n1\",\"serviceAccountName\":\"sa\"},"
	"\"status\":{\"phase\":\"Running\",\"startTime\":\"2023-11-14T22:13:31Z\",\"podIP\":\"10.1.0.5\","
	"\"podIPs\":[{\"ip\":\"10.1.0.5\"},{\"ip\":\"fd00::5\"}],"
	"\"containerStatuses\":[{\"name\":\"main\",\"containerID\":\"containerd://c1\",\"image\":\"r.example:5000/a/web:1.2\","
	"\"imageID\":\"r.example:5000/a/web@sha256:ab\",\"restartCount\":2,"
	"\"state\":{\"running\":{\"startedAt\":\"2023-11-14T22:13:33Z\"}},"
	"\"lastState\":{\"terminated\":{\"containerID\":\"containerd://c0\",\"finishedAt\":\"2023-11-14T22:13:32Z\"}}}],"
	"\"initContainerStatuses\":[{\"name\":\"init\",\"containerID\":\"docker://i1\","
	"\"state\":{\"terminated\":{\"finishedAt\":\"2023-11-14T22:13:32Z\"}}}],"
	"\"ephemeralContainerStatuses\":[{\"name\":\"debug\",\"containerID\":\"cri-o://e1\"}]}}";

AQ_TEST(whole)
{
	AQ_CHECK(facts_of(whole_pod, &plain, &g) == 0);
	AQ_CHECK(g.count == 7); /* four containers, the pod, two addresses */
	AQ_CHECK(strstr(g.text, "container:c1 10000000000 0 {\"source\":\"import\",\"container\":\"main\","
				"\"image\":\"r.example:5000/a/web:1.2\",\"image_repository\":\"r.example:5000/a/web\","
				"\"image_tag\":\"1.2\",\"image_digest\":\"sha256:ab\",\"start\":\"2023-11-14T22:13:33Z\","
				"\"pod_uid\":\"u-1\",\"pod\":\"web-7d4b9-x2x\",\"namespace\":\"shop\",\"restarts\":2}\n"));
	AQ_CHECK(strstr(g.text, "container:c0 10000000000 12999999999 {"));
	AQ_CHECK(strstr(g.text, "container:i1 10000000000 12999999999 {"));
	AQ_CHECK(strstr(g.text, "container:e1 10000000000 0 {"));
	AQ_CHECK(strstr(g.text, "pod:u-1 10000000000 0 {"));
	AQ_CHECK(strstr(g.text, "\"annotations\":{\"team/contact\":\"a\\\"b\"}"));
	AQ_CHECK(!strstr(g.text, "secret"));
	AQ_CHECK(strstr(g.text, "\"owner_kind\":\"ReplicaSet\",\"owner_name\":\"web-7d4b9\",\"workload_kind\":\"Deployment\","
				"\"workload_name\":\"web\",\"node\":\"n1\",\"service_account\":\"sa\",\"phase\":\"Running\""));
	AQ_CHECK(strstr(g.text, "\"ips\":[\"10.1.0.5\",\"fd00::5\"]"));
	AQ_CHECK(strstr(g.text, "address:fd00::5 11000000000 0 {\"source\":\"import\",\"kind\":\"pod\""));
}

AQ_TEST(deleted_ends_everything)
{
	struct aq_pods_options o = plain;

	o.ended_ns = 12500000000ull;
	AQ_CHECK(facts_of(whole_pod, &o, &g) == 0);
	AQ_CHECK(strstr(g.text, "pod:u-1 10000000000 12500000000 {"));
	AQ_CHECK(strstr(g.text, "container:c1 10000000000 12500000000 {"));
	AQ_CHECK(strstr(g.text, "address:10.1.0.5 11000000000 12500000000 {"));
}

AQ_TEST(owners)
{
	AQ_CHECK(facts_of("{\"kind\":\"List\",\"items\":[{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\","
			  "\"uid\":\"u\",\"ownerReferences\":[{\"kind\":\"Job\",\"name\":\"odd\"}]}},"
			  "{\"kind\":\"Job\",\"metadata\":{\"name\":\"odd\",\"namespace\":\"n\",\"ownerReferences\":"
			  "[{\"kind\":\"CronJob\",\"name\":\"nightly\"}]}},{\"kind\":\"Secret\"}]}", &plain, &g) == 0);
	AQ_CHECK(strstr(g.text, "\"workload_kind\":\"CronJob\",\"workload_name\":\"nightly\""));
	AQ_CHECK(facts_of("{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"ownerReferences\":"
			  "[{\"kind\":\"Job\",\"name\":\"clean-28391040\"}]}}]}", &plain, &g) == 0);
	AQ_CHECK(strstr(g.text, "\"workload_kind\":\"CronJob\",\"workload_name\":\"clean\""));
	AQ_CHECK(facts_of("{\"kind\":\"PodList\",\"items\":[{\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"ownerReferences\":"
			  "[{\"kind\":\"Job\",\"name\":\"migrate-7\"}]}}]}", &plain, &g) == 0);
	AQ_CHECK(strstr(g.text, "\"workload_kind\":\"Job\",\"workload_name\":\"migrate-7\""));
}

/* One address is one subject, however it is spelt; what is none is left out. */
AQ_TEST(addresses_have_one_spelling)
{
	AQ_CHECK(facts_of("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"n\",\"uid\":\"u\"},\"status\":{\"podIPs\":["
			  "{\"ip\":\"FD00:0:0:0:0:0:0:00A5\"},{\"ip\":\"::ffff:10.1.2.3\"},{\"ip\":\"10.1.2.3.4\"}]}}", &plain, &g) == 0);
	AQ_CHECK(g.count == 3);
	AQ_CHECK(strstr(g.text, "address:fd00::a5 ") != NULL && strstr(g.text, "address:10.1.2.3 ") != NULL);
	AQ_CHECK(strstr(g.text, "\"ips\":[\"fd00::a5\",\"10.1.2.3\"]") != NULL);
	AQ_CHECK(facts_of("{\"kind\":\"Service\",\"metadata\":{\"name\":\"s\"},\"spec\":{\"clusterIPs\":[\"None\",\"FD00::B\"]}}",
			  &plain, &g) == 0);
	AQ_CHECK(g.count == 1 && strstr(g.text, "address:fd00::b ") != NULL);
}

AQ_TEST(host_network_has_no_address)
{
	AQ_CHECK(facts_of("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"uid\":\"u\"},\"spec\":{\"hostNetwork\":true},"
			  "\"status\":{\"podIP\":\"192.0.2.1\"}}", &plain, &g) == 0);
	AQ_CHECK(g.count == 1 && !strstr(g.text, "address:"));
}

AQ_TEST(namespaces_and_services)
{
	AQ_CHECK(facts_of("{\"kind\":\"NamespaceList\",\"items\":[{\"metadata\":{\"name\":\"shop\",\"labels\":{\"env\":\"prod\"}}}]}",
			  &plain, &g) == 0);
	AQ_CHECK(strcmp(g.text, "namespace:shop 0 0 {\"source\":\"import\",\"name\":\"shop\",\"labels\":{\"env\":\"prod\"}}\n") == 0);
	AQ_CHECK(facts_of("{\"kind\":\"Service\",\"metadata\":{\"name\":\"db\",\"namespace\":\"shop\"},\"spec\":{\"clusterIP\":\"10.96.0.9\"}}",
			  &plain, &g) == 0);
	AQ_CHECK(strstr(g.text, "address:10.96.0.9 0 0 {\"source\":\"import\",\"kind\":\"service\",\"name\":\"db\""));
	AQ_CHECK(facts_of("{\"kind\":\"Service\",\"metadata\":{\"name\":\"db\"},\"spec\":{\"clusterIP\":\"None\"}}", &plain, &g) == 0);
	AQ_CHECK(g.count == 0);
}

AQ_TEST(what_lies_is_left_out)
{
	AQ_CHECK(facts_of("{\"kind\":\"Pod\",\"metadata\":{\"name\":7,\"uid\":[]},\"status\":3}", &plain, &g) == 0 && g.count == 0);
	AQ_CHECK(facts_of("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"uid\":\"a b\\n\"}}", &plain, &g) == 0 && g.count == 0);
	AQ_CHECK(facts_of("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\\u001b[2J\",\"uid\":\"u\",\"creationTimestamp\":\"@5\","
			  "\"labels\":{\"a\":1,\"b\":\"ok\",\"\":\"x\"},\"ownerReferences\":{}},\"spec\":[],\"status\":{\"podIPs\":[1,2],"
			  "\"containerStatuses\":[5,null,{\"containerID\":\"docker://\",\"name\":{}},{\"containerID\":\"docker://a'b\"}]}}",
			  &plain, &g) == 0);
	AQ_CHECK(g.count == 1);
	AQ_CHECK(strstr(g.text, "pod:u 0 0 {\"source\":\"import\",\"name\":\"p\\u001b[2J\",\"labels\":{\"b\":\"ok\"}"));
	AQ_CHECK(facts_of("{\"kind\":\"Secret\"}", &plain, &g) == -EINVAL);
	AQ_CHECK(facts_of("{\"kind\":\"PodList\",\"items\":{}}", &plain, &g) == -EINVAL);
	AQ_CHECK(facts_of("[]", &plain, &g) == -EINVAL);
	AQ_CHECK(facts_of("{\"kind\":\"PodList\",\"items\":[1,null,[],{\"metadata\":{\"name\":\"p\",\"uid\":\"u\"}}]}", &plain, &g) == 0);
	AQ_CHECK(g.count == 1);
}

AQ_TEST(too_many_labels_are_left_out_first)
{
	static char doc[200000];
	size_t n = (size_t)snprintf(doc, sizeof(doc), "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"uid\":\"u\",\"labels\":{");

	for (unsigned i = 0; i < 100; i++)
		n += (size_t)snprintf(doc + n, sizeof(doc) - n, "%s\"l%u\":\"%0900u\"", i ? "," : "", i, i);
	snprintf(doc + n, sizeof(doc) - n, "}},\"status\":{\"podIP\":\"10.0.0.1\"}}");
	AQ_CHECK(facts_of(doc, &plain, &g) == 0);
	AQ_CHECK(g.count == 2 && g.longest < 200);
	AQ_CHECK(strstr(g.text, "\"ips\":[\"10.0.0.1\"]"));
}

AQ_TEST(the_sink_may_stop)
{
	cJSON *doc = cJSON_Parse(whole_pod);

	AQ_REQUIRE(doc != NULL);
	memset(&g, 0, sizeof(g));
	g.stop = -EPIPE;
	AQ_CHECK(aq_pods_facts(doc, &plain, collect, &g) == -EPIPE);
	AQ_CHECK(g.count == 1);
	cJSON_Delete(doc);
	memset(&g, 0, sizeof(g));
	AQ_CHECK(aq_pods_unknown("kubernetes", "pod", "HTTP 401", 5, 0, collect, &g) == 0);
	AQ_CHECK(strcmp(g.text, "pod:* 5 0 {\"source\":\"kubernetes\",\"unknown\":\"HTTP 401\"}\n") == 0);
}

static int count_item(void *user, const cJSON *item)
{
	unsigned *sum = user;

	*sum += (unsigned)cJSON_GetArraySize(item) + 100;
	return 0;
}

static int split(const char *text, size_t chunk, unsigned *ret_sum, cJSON **ret_rest)
{
	struct aq_json_items j;
	size_t n = strlen(text);
	int r = 0;

	*ret_sum = 0;
	aq_json_items_init(&j, 1000);
	for (size_t at = 0; at < n && r == 0; at += chunk)
		r = aq_json_items_feed(&j, text + at, n - at < chunk ? n - at : chunk, count_item, ret_sum);
	*ret_rest = r == 0 ? aq_json_items_rest(&j) : NULL;
	aq_json_items_release(&j);
	return r;
}

AQ_TEST(lists_are_taken_apart)
{
	static const char doc[] = "{\"a\":{\"items\":[1]},\"x\":\"items\",\"items\": [ {\"b\":\"},]\\\"\"}, [1,[2]] ,{} ],\"m\":[3]}\n";
	static char deep[300], wide[2000];
	unsigned sum;
	cJSON *rest;

	for (size_t chunk = 1; chunk <= sizeof(doc); chunk++) {
		AQ_CHECK(split(doc, chunk, &sum, &rest) == 0);
		AQ_CHECK(sum == 303);
		AQ_REQUIRE(rest != NULL);
		AQ_CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(rest, "items")) == 0);
		AQ_CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(rest, "m")) == 1);
		AQ_CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetObjectItem(rest, "a"), "items")) == 1);
		cJSON_Delete(rest);
	}
	AQ_CHECK(split("{\"items\":[1,2", 3, &sum, &rest) == 0 && rest == NULL);
	AQ_CHECK(split("<html>", 3, &sum, &rest) == -EBADMSG);
	AQ_CHECK(split("{}}", 3, &sum, &rest) == -EBADMSG);
	AQ_CHECK(split("{\"items\":[{]}", 3, &sum, &rest) != 0 || rest == NULL);
	memset(deep, '[', sizeof(deep) - 1);
	AQ_CHECK(split(deep, 7, &sum, &rest) == -EBADMSG);
	snprintf(wide, sizeof(wide), "{\"items\":[\"%01500d\"]}", 1);
	AQ_CHECK(split(wide, 7, &sum, &rest) == -EMSGSIZE);
	AQ_CHECK(aq_json_parse(deep, sizeof(deep) - 1) == NULL);
}

AQ_TEST_MAIN()
