/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_facts aq_base */
/* What the Docker-compatible API says, in Docker's words and in podman's, and in those of somebody with bad intentions. */
#include "format/facts/containers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "format/facts/json_items.h"
#include "tests/unit/aq_test.h"

#define LONG_ID "7a8dce4e4f2f4a3770295442cb2af734966a0c6c9a0f31a3bdefe66624b63454"
#define IMAGE_ID "sha256:ad0c1dcc24d6625e97ca0f3e1d9d34a30e19100630070e532c115a02d7890dcf"
#define DIGEST "sha256:2315865471fa14559191fe2ca8fff8d9e18a563513e3c605fc9b5e25ed49e0d8"

static char got[65536];

static int collect(void *user, const struct aq_fact *fact)
{
	size_t n = strlen(got);

	(void)user;
	snprintf(got + n, sizeof(got) - n, "%s %llu-%llu %.*s\n", fact->subject, (unsigned long long)fact->valid_from_ns,
		 (unsigned long long)fact->valid_to_ns, (int)fact->json_len, fact->json);
	return 0;
}

typedef int facts_function(const struct cJSON *doc, const struct aq_containers_about *about, aq_fact_sink *sink, void *user);

static const char *facts_of(facts_function *function, const char *text, uint64_t from_ns, uint64_t to_ns, const char *digest)
{
	const struct aq_containers_about about = { "docker", -1000000000, from_ns, to_ns, digest };
	cJSON *doc = aq_json_parse(text, strlen(text));
	int r = function(doc, &about, collect, (got[0] = '\0', NULL));

	cJSON_Delete(doc);
	if (r < 0)
		snprintf(got, sizeof(got), "%s", strerror(-r));
	return got;
}

static const char *facts(const char *text, uint64_t from_ns, uint64_t to_ns)
{
	return facts_of(aq_containers_facts, text, from_ns, to_ns, NULL);
}

static const char listed[] =
	"{\"Id\":\"" LONG_ID "\",\"Names\":[\"/other/alias\",\"/web\"],\"Image\":\"nginx:1\",\"ImageID\":\"" IMAGE_ID "\",\"Created\":5,"
	"\"Labels\":{\"a\":\"b\",\"io.kubernetes.pod.uid\":\"u1\",\"n\":7},\"State\":\"running\",\"Mounts\":[{\"Type\":\"volume\",\"Source\":\"/s\","
	"\"Destination\":\"/d\",\"RW\":false},3],\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"IPAddress\":\"172.17.0.2\","
	"\"GlobalIPv6Address\":\"2001:DB8:0::2\"},\"none\":{\"IPAddress\":\"\"},\"x\":null}}}";

static const char whole[] =
	"{\"Id\":\"" LONG_ID "\",\"Created\":\"1970-01-01T00:00:05.5Z\",\"Name\":\"/web\",\"RestartCount\":2,\"Image\":\"" IMAGE_ID "\","
	"\"State\":{\"Status\":\"running\",\"StartedAt\":\"1970-01-01T00:00:07Z\",\"FinishedAt\":\"0001-01-01T00:00:00Z\"},"
	"\"Config\":{\"Image\":\"nginx:1\",\"Env\":[\"PATH=/bin\",\"SECRET=hidden=x\",\"=y\",9],\"Labels\":null},"
	"\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"IPAddress\":\"172.17.0.2\"}}}}";

AQ_TEST(containers)
{
	AQ_CHECK(strcmp(facts(listed, 0, 0),
			"container:" LONG_ID " 4000000000-0 {\"source\":\"docker\",\"engine\":\"docker\",\"name\":\"web\",\"image\":\"nginx:1\","
			"\"start\":\"1970-01-01T00:00:05Z\",\"pod_uid\":\"u1\",\"labels\":{\"a\":\"b\",\"io.kubernetes.pod.uid\":\"u1\"},"
			"\"mounts\":[{\"source\":\"/s\",\"destination\":\"/d\",\"type\":\"volume\",\"ro\":true}]}\n"
			"address:172.17.0.2 4000000000-0 {\"source\":\"docker\",\"kind\":\"container\",\"name\":\"web\",\"container\":\"" LONG_ID "\"}\n"
			"address:2001:db8::2 4000000000-0 {\"source\":\"docker\",\"kind\":\"container\",\"name\":\"web\",\"container\":\"" LONG_ID "\"}\n") == 0);
	AQ_CHECK(strcmp(facts_of(aq_containers_facts, whole, 0, 9000000000, DIGEST),
			"container:" LONG_ID " 4500000000-9000000000 {\"source\":\"docker\",\"engine\":\"docker\",\"name\":\"web\",\"image\":\"nginx:1\","
			"\"image_digest\":\"" DIGEST "\",\"start\":\"1970-01-01T00:00:07Z\",\"restarts\":2,\"env\":[\"PATH\",\"SECRET\"]}\n"
			"address:172.17.0.2 6000000000-9000000000 {\"source\":\"docker\",\"kind\":\"container\",\"name\":\"web\",\"container\":\"" LONG_ID "\"}\n") == 0);
	/* since when it is called so is known better; an end before its beginning is none */
	AQ_CHECK(strstr(facts(whole, 8000000000, 7000000000), "container:" LONG_ID " 8000000000-8000000000 ") == got);
	AQ_CHECK(strstr(facts("{\"Id\":\"x\",\"State\":{},\"Config\":{\"Image\":\"r.example:5000/a@" DIGEST "\"}}", 1, 0), "\"image_digest\":\"" DIGEST "\"") != NULL);
	AQ_CHECK(strstr(facts("{\"Id\":\"x\",\"Image\":\"a\",\"ImageManifestDescriptor\":{\"digest\":\"" DIGEST "\"}}", 1, 0), "\"image_digest\":\"" DIGEST "\"") != NULL);
	AQ_CHECK(strstr(facts("{\"Id\":\"x\",\"Image\":\"" IMAGE_ID "\"}", 1, 0), "\"image\"") == NULL);
}

AQ_TEST(heads)
{
	struct aq_containers_head h;
	cJSON *doc = aq_json_parse(listed, strlen(listed));

	AQ_REQUIRE(aq_containers_head(doc, &h) == 0);
	AQ_CHECK(strcmp(h.id, LONG_ID) == 0 && strcmp(h.image_id, IMAGE_ID) == 0 && strcmp(h.image, "nginx:1") == 0);
	AQ_CHECK(!h.ended && h.made_real_ns == 5000000000 && h.ended_real_ns == 0);
	cJSON_Delete(doc);
	doc = cJSON_Parse("{\"Id\":\"x\",\"State\":{\"Status\":\"exited\",\"FinishedAt\":\"1970-01-01T00:00:09Z\"},\"Created\":\"x\"}");
	AQ_REQUIRE(aq_containers_head(doc, &h) == 0);
	AQ_CHECK(h.ended && h.ended_real_ns == 9000000000 && h.made_real_ns == 0 && h.image_id[0] == '\0');
	cJSON_Delete(doc);
	doc = cJSON_Parse("{\"Id\":\"../x\"}");
	AQ_CHECK(aq_containers_head(doc, &h) == -EINVAL);
	cJSON_Delete(doc);
	AQ_CHECK(aq_containers_head(NULL, &h) == -EINVAL);
}

static const char renamed[] =
	"{\"status\":\"rename\",\"id\":\"" LONG_ID "\",\"from\":\"box:1\",\"Type\":\"container\",\"Action\":\"rename\",\"Actor\":{\"ID\":\"" LONG_ID
	"\",\"Attributes\":{\"app\":\"x\",\"containerExitCode\":\"0\",\"image\":\"localhost/box:1\",\"name\":\"web2\",\"podId\":\"\"}},"
	"\"scope\":\"local\",\"time\":6,\"timeNano\":6500000000}";

AQ_TEST(events)
{
	static const struct {
		const char *text;
		int action;
	} events[] = {
		{ "{\"Type\":\"container\",\"Action\":\"create\",\"Actor\":{\"ID\":\"x\"}}", AQ_CONTAINERS_CREATE },
		{ "{\"status\":\"start\",\"id\":\"x\"}", AQ_CONTAINERS_START },
		{ "{\"Action\":\"die\",\"id\":\"x\"}", AQ_CONTAINERS_DIE },
		{ "{\"Action\":\"destroy\",\"id\":\"x\"}", AQ_CONTAINERS_REMOVE },
		{ "{\"Action\":\"remove\",\"id\":\"x\"}", AQ_CONTAINERS_REMOVE },
		{ "{\"Action\":\"exec_create: sh -c x\",\"id\":\"x\"}", AQ_CONTAINERS_OTHER },
		{ "{\"Type\":\"image\",\"Action\":\"create\",\"id\":\"x\"}", -EINVAL },
		{ "{\"Action\":\"create\",\"id\":\"a/b\"}", -EINVAL },
		{ "{\"Action\":[],\"id\":\"x\"}", -EINVAL },
		{ "[]", -EINVAL },
	};
	struct aq_containers_event e;

	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		cJSON *doc = cJSON_Parse(events[i].text);
		int r = aq_containers_event(doc, &e);

		AQ_CHECK((r < 0 ? r : (int)e.action) == events[i].action);
		cJSON_Delete(doc);
	}
	AQ_CHECK(strcmp(facts_of(aq_containers_event_facts, renamed, 7, 0, NULL),
			"container:" LONG_ID " 7-0 {\"source\":\"docker\",\"engine\":\"docker\",\"name\":\"web2\",\"image\":\"localhost/box:1\","
			"\"labels\":{\"app\":\"x\"}}\n") == 0);
	AQ_CHECK(strcmp(facts_of(aq_containers_event_facts, "{\"Action\":\"start\",\"id\":\"x\",\"from\":\"box\",\"timeNano\":7000000000}", 3, 4, NULL),
			"container:x 3-4 {\"source\":\"docker\",\"engine\":\"docker\",\"image\":\"box\",\"start\":\"1970-01-01T00:00:07Z\"}\n") == 0);
	AQ_CHECK(strcmp(facts_of(aq_containers_event_facts, "{\"Action\":\"start\",\"id\":\"x\",\"Actor\":{\"Attributes\":[\"a\",{}]}}", 3, 0, NULL),
			"container:x 3-0 {\"source\":\"docker\",\"engine\":\"docker\"}\n") == 0);
}

static const char *engine(const char *text)
{
	cJSON *doc = cJSON_Parse(text);
	const char *name = aq_containers_engine(doc);

	cJSON_Delete(doc);
	return name != NULL ? name : "none";
}

static const char *digest(const char *text, const char *name)
{
	static char ret[AQ_CONTAINERS_DIGEST_MAX];
	cJSON *doc = cJSON_Parse(text);
	bool found = aq_containers_digest(doc, name, ret);

	cJSON_Delete(doc);
	return found ? ret : "none";
}

AQ_TEST(engines_and_images)
{
	static const char two[] = "{\"RepoDigests\":[\"a@sha256:1\",7,\"r.example:5000/b/c@sha256:2\",\"bad\",\"x@y\"]}";

	AQ_CHECK(strcmp(engine("{\"Version\":\"4\",\"Components\":[{\"Name\":1},{\"Name\":\"Podman Engine\"}]}"), "podman") == 0);
	AQ_CHECK(strcmp(engine("{\"Components\":[{\"Name\":\"Engine\"}],\"ApiVersion\":\"1.43\"}"), "docker") == 0);
	AQ_CHECK(strcmp(engine("{\"Version\":\"1\",\"Components\":7}"), "docker") == 0);
	AQ_CHECK(strcmp(engine("{\"message\":\"no\"}"), "none") == 0);
	AQ_CHECK(strcmp(engine("[\"Version\"]"), "none") == 0);
	AQ_CHECK(strcmp(digest(two, "r.example:5000/b/c:7"), "sha256:2") == 0);
	AQ_CHECK(strcmp(digest(two, "r.example:5000/b/c"), "sha256:2") == 0);
	AQ_CHECK(strcmp(digest(two, "other"), "sha256:1") == 0);
	AQ_CHECK(strcmp(digest(two, ""), "sha256:1") == 0);
	AQ_CHECK(strcmp(digest("{\"RepoDigests\":{\"a\":\"b\"}}", "a"), "none") == 0);
}

AQ_TEST(lies)
{
	static char big[2 << 20];
	static const char *const none[] = { "[]", "7", "{}", "{\"Id\":7}", "{\"Id\":\"\"}", "{\"Id\":\"a\\nb\"}" };
	size_t n;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		AQ_CHECK(strcmp(facts(none[i], 1, 0), strerror(EINVAL)) == 0);
	AQ_CHECK(strcmp(facts("{\"Id\":\"x\",\"Name\":{},\"Names\":{\"a\":7},\"Image\":[],\"State\":7,\"Created\":-1,\"Labels\":[\"a\"],\"Mounts\":\"m\","
			      "\"NetworkSettings\":{\"Networks\":[1,{\"IPAddress\":\"1.2.3\"},{\"IPAddress\":[]}]},\"Config\":3}", 1, 0),
			"container:x 1-0 {\"source\":\"docker\",\"engine\":\"docker\"}\n") == 0);
	AQ_CHECK(strcmp(facts("{\"Id\":\"x\",\"Name\":\"a\\n\\\"\\u001b[31m\",\"Labels\":{\"k\":\"\xff\",\"l\":\"v\"}}", 1, 0),
			"container:x 1-0 {\"source\":\"docker\",\"engine\":\"docker\",\"name\":\"a\\n\\\"\\u001b[31m\",\"labels\":{\"l\":\"v\"}}\n") == 0);
	/* many labels and a long environment: it goes without them, the name stays */
	n = (size_t)snprintf(big, sizeof(big), "{\"Id\":\"x\",\"Name\":\"n\",\"State\":{},\"Config\":{\"Labels\":{");
	for (unsigned i = 0; i < 1000; i++)
		n += (size_t)snprintf(big + n, sizeof(big) - n, "\"k%u\":\"%0800u\",", i, i);
	n += (size_t)snprintf(big + n, sizeof(big) - n, "\"z\":\"\"},\"Env\":[\"");
	for (unsigned i = 0; i < 100000; i++)
		big[n++] = 'E';
	snprintf(big + n, sizeof(big) - n, "=v\"]}}");
	AQ_CHECK(strcmp(facts(big, 1, 0), "container:x 1-0 {\"source\":\"docker\",\"engine\":\"docker\",\"name\":\"n\"}\n") == 0);
}

AQ_TEST_MAIN()
