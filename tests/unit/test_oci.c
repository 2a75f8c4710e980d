/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_enrich */
/*
 * Facts from runtimes' files, and the thread that follows them: real folders, written as the runtimes write them, also late,
 * in pieces, by links and by somebody with bad intentions.
 */
#include "recorder/enrich/oci.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "format/facts/oci.h"
#include "recorder/enrich/fact_queue.h"
#include "tests/unit/aq_test.h"

#define LONG_ID "93327654081e7d7db3789609141b4a1f9891799cc137510add72006e6805936e"

static char got[65536];

static int collect(void *user, const struct aq_fact *fact)
{
	size_t n = strlen(got);

	(void)user;
	snprintf(got + n, sizeof(got) - n, "%s %llu %.*s\n", fact->subject, (unsigned long long)fact->valid_from_ns,
		 (int)fact->json_len, fact->json);
	return 0;
}

static const char *facts(enum aq_oci_file file, const char *id, const char *text)
{
	const struct aq_oci_doc doc = { .id = id, .from_ns = 7, .real_to_boot_ns = -1000000000 };
	int r;

	got[0] = '\0';
	r = aq_oci_facts(file, text, strlen(text), &doc, collect, NULL);
	if (r < 0)
		snprintf(got, sizeof(got), "%s", strerror(-r));
	return got;
}

static const char podman[] =
	"{\"ociVersion\":\"1.0.2\",\"process\":{\"env\":[\"PATH=/bin\",\"SECRET=x=y\",\"=z\",\"none\",7]},\"hostname\":\"9332\","
	"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\",\"options\":[\"ro\"]},"
	"{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"/srv/d\",\"options\":[\"rbind\",\"ro\"]}],"
	"\"annotations\":{\"io.container.manager\":\"libpod\",\"io.kubernetes.cri-o.Created\":\"2026-11-24T09:38:09.578900064Z\","
	"\"own\":\"v\"},\"linux\":{\"cgroupsPath\":\"/libpod_parent/libpod-" LONG_ID "\"}}";

AQ_TEST(bundles)
{
	AQ_CHECK(strcmp(facts(AQ_OCI_USERDATA, LONG_ID, podman),
			"container:" LONG_ID " 7 {\"source\":\"podman-files\",\"engine\":\"podman\",\"start\":\"2026-11-24T09:38:09.578900064Z\","
			"\"cgroup\":\"/libpod_parent/libpod-" LONG_ID "\",\"labels\":{\"io.container.manager\":\"libpod\",\"own\":\"v\"},"
			"\"mounts\":[{\"source\":\"/srv/d\",\"destination\":\"/data\",\"type\":\"bind\",\"ro\":true}],"
			"\"env\":[\"PATH\",\"SECRET\"]}\n") == 0);
	AQ_CHECK(strcmp(facts(AQ_OCI_BUNDLE, "c77", "{\"ociVersion\":\"1\",\"process\":{},\"linux\":{\"cgroupsPath\":\"/k8s.io/c77\"}}"),
			"container:c77 7 {\"source\":\"containerd\",\"engine\":\"containerd\",\"name\":\"c77\",\"cgroup\":\"/k8s.io/c77\"}\n") == 0);
	AQ_CHECK(strcmp(facts(AQ_OCI_BUNDLE, LONG_ID,
			      "{\"ociVersion\":\"1\",\"process\":{},\"linux\":{\"cgroupsPath\":\"kubepods-pod1.slice:cri-containerd:x\"},"
			      "\"annotations\":{\"io.kubernetes.cri.container-name\":\"app\",\"io.kubernetes.cri.image-name\":\"r/i:1\","
			      "\"io.kubernetes.cri.sandbox-name\":\"p-1\",\"io.kubernetes.cri.sandbox-namespace\":\"ns\","
			      "\"io.kubernetes.cri.sandbox-uid\":\"u\"}}"),
			"container:" LONG_ID " 7 {\"source\":\"containerd\",\"engine\":\"containerd\",\"name\":\"app\",\"image\":\"r/i:1\","
			"\"pod_uid\":\"u\",\"pod\":\"p-1\",\"namespace\":\"ns\",\"container\":\"app\",\"labels\":{"
			"\"io.kubernetes.cri.container-name\":\"app\",\"io.kubernetes.cri.image-name\":\"r/i:1\","
			"\"io.kubernetes.cri.sandbox-name\":\"p-1\",\"io.kubernetes.cri.sandbox-namespace\":\"ns\","
			"\"io.kubernetes.cri.sandbox-uid\":\"u\"}}\n") == 0);
}

AQ_TEST(states)
{
	AQ_CHECK(strcmp(facts(AQ_OCI_RUNC, "x1", "{\"id\":\"x1\",\"created\":\"2026-11-24T09:38:07.3Z\",\"cgroup_paths\":"
			      "{\"\":\"/sys/fs/cgroup/unified/d/x1\"},\"config\":{\"labels\":[\"a.b=c=d\",\"=x\",\"bundle=/b\"],"
			      "\"cgroups\":{\"path\":\"\"}}}"),
			"container:x1 7 {\"source\":\"runc\",\"engine\":\"runc\",\"name\":\"x1\",\"start\":\"2026-11-24T09:38:07.3Z\","
			"\"cgroup\":\"/d/x1\",\"labels\":{\"a.b\":\"c=d\",\"bundle\":\"/b\"}}\n") == 0);
	AQ_CHECK(strcmp(facts(AQ_OCI_CRUN, "x2", "{\"pid\":4,\"bundle\":\"/b\",\"cgroup-path\":\"d/x2\",\"created\":\"no time\"}"),
			"container:x2 7 {\"source\":\"crun\",\"engine\":\"crun\",\"name\":\"x2\",\"cgroup\":\"/d/x2\"}\n") == 0);
	AQ_CHECK(strcmp(facts(AQ_OCI_DOCKER, LONG_ID,
			      "{\"ID\":\"" LONG_ID "\",\"Name\":\"/web\",\"Created\":\"2026-01-01T00:00:00Z\",\"State\":{\"StartedAt\":"
			      "\"0001-01-01T00:00:00Z\"},\"Config\":{\"Image\":\"nginx:1\",\"Env\":[\"K=V\"],\"Labels\":{\"l\":\"v\"}},"
			      "\"MountPoints\":{\"/d\":{\"Source\":\"/s\",\"Destination\":\"/d\",\"RW\":false,\"Type\":\"volume\"}}}"),
			"container:" LONG_ID " 7 {\"source\":\"docker-files\",\"engine\":\"docker\",\"name\":\"web\",\"image\":\"nginx:1\","
			"\"start\":\"2026-01-01T00:00:00Z\",\"labels\":{\"l\":\"v\"},\"mounts\":[{\"source\":\"/s\",\"destination\":\"/d\","
			"\"type\":\"volume\",\"ro\":true}],\"env\":[\"K\"]}\n") == 0);
	AQ_CHECK(strcmp(facts(AQ_OCI_STORAGE, NULL,
			      "[{\"id\":\"" LONG_ID "\",\"names\":[\"web1\"],\"metadata\":\"{\\\"image-name\\\":\\\"box:1\\\"}\","
			      "\"created\":\"1970-01-01T00:00:03Z\"},{\"id\":\"../x\",\"names\":[\"y\"]},7,"
			      "{\"id\":\"aa\",\"metadata\":\"{\\\"pod-name\\\":\\\"p\\\"}\"},{\"id\":\"bb\",\"names\":[1],\"metadata\":\"{\"}]"),
			"container:" LONG_ID " 2000000000 {\"source\":\"storage\",\"name\":\"web1\",\"image\":\"box:1\","
			"\"start\":\"1970-01-01T00:00:03Z\"}\ncontainer:bb 0 {\"source\":\"storage\"}\n") == 0);
}

AQ_TEST(refused)
{
	static char deep[200001];

	for (unsigned file = 0; file < AQ_OCI_FILES; file++) {
		AQ_CHECK(strcmp(facts((enum aq_oci_file)file, "x", ""), strerror(EINVAL)) == 0);
		AQ_CHECK(strcmp(facts((enum aq_oci_file)file, "x", "{\"ociVersion\":\"1\",\"pro"), strerror(EINVAL)) == 0);
		AQ_CHECK(strcmp(facts((enum aq_oci_file)file, "x", "\"x\""), strerror(EINVAL)) == 0);
		AQ_CHECK(strcmp(facts((enum aq_oci_file)file, "x", "{\"id\":\"\xff\"}"), strerror(EINVAL)) == 0);
		AQ_CHECK(strcmp(facts((enum aq_oci_file)file, "x", "[\"\xed\xa0\x80\"]"), strerror(EINVAL)) == 0);
	}
	AQ_CHECK(strcmp(facts(AQ_OCI_USERDATA, "a/b", podman), strerror(EINVAL)) == 0);
	AQ_CHECK(strcmp(facts(AQ_OCI_USERDATA, "", podman), strerror(EINVAL)) == 0);
	memset(deep, '[', sizeof(deep) - 1);
	AQ_CHECK(strcmp(facts(AQ_OCI_STORAGE, NULL, deep), strerror(EINVAL)) == 0);
	/* labels of 80 KiB: the fact goes without them */
	size_t n = (size_t)snprintf(deep, sizeof(deep), "{\"ociVersion\":\"1\",\"process\":{},\"annotations\":{");
	for (unsigned i = 0; i < 100; i++)
		n += (size_t)snprintf(deep + n, sizeof(deep) - n, "\"k%u\":\"%0800u\",", i, i);
	snprintf(deep + n, sizeof(deep) - n, "\"z\":\"\"}}");
	AQ_CHECK(strcmp(facts(AQ_OCI_BUNDLE, "x", deep), "container:x 7 {\"source\":\"containerd\",\"engine\":\"containerd\",\"name\":\"x\"}\n") == 0);
}

/* ---- the thread ---- */

struct place {
	char root[64];
	struct aq_fact_queue *facts;
	struct aq_oci *oci;
	char told[65536];
};

static void put_file(const struct place *p, const char *name, const char *text)
{
	char path[512], *slash;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", p->root, name);
	for (slash = strchr(path + strlen(p->root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		AQ_REQUIRE(mkdir(path, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	f = fopen(path, "w");
	AQ_REQUIRE(f != NULL);
	AQ_CHECK(fputs(text, f) >= 0);
	AQ_CHECK(fclose(f) == 0);
}

static void take(struct place *p)
{
	struct aq_fact *f;
	size_t n;

	while ((f = aq_fact_queue_take(p->facts)) != NULL) {
		n = strlen(p->told);
		snprintf(p->told + n, sizeof(p->told) - n, "%s%s %.*s\n", f->valid_to_ns != 0 ? "end of " : "", f->subject,
			 (int)f->json_len, f->json);
		free(f);
	}
}

/* Until it is told, five seconds at most. */
static bool is_told(struct place *p, const char *text)
{
	struct timespec step = { .tv_nsec = 2000000 };

	for (int i = 0; i < 2500; i++) {
		take(p);
		if (strstr(p->told, text) != NULL)
			return true;
		nanosleep(&step, NULL);
	}
	fprintf(stderr, "not told: %s\nbut: %s\n", text, p->told);
	return false;
}

static void open_place(struct place *p)
{
	const char *folder = p->root;
	const struct aq_oci_options options = { .folders = &folder, .folder_count = 1 };
	struct aq_err err = { 0 };

	AQ_REQUIRE(aq_fact_queue_new(1 << 20, &p->facts) == 0);
	AQ_REQUIRE(aq_oci_new(&options, aq_fact_queue_put, p->facts, &p->oci, &err) == 0);
	AQ_REQUIRE(aq_oci_start(p->oci) == 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static void remove_below(const struct place *p, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", p->root, name);
	AQ_CHECK(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
}

static void make_root(struct place *p)
{
	*p = (struct place){ .root = "/tmp/aq-oci-XXXXXX" };
	AQ_REQUIRE(mkdtemp(p->root) != NULL);
}

static void close_place(struct place *p)
{
	aq_oci_free(p->oci);
	aq_fact_queue_free(p->facts);
	remove_below(p, "");
}

static const char state[] = "{\"id\":\"x\",\"config\":{\"cgroups\":{\"path\":\"/d/x\"}}}";

AQ_TEST(follows)
{
	static struct place p;

	make_root(&p);
	put_file(&p, "old/state.json", state);
	open_place(&p);
	AQ_CHECK(is_told(&p, "container:old {\"source\":\"runc\"")); /* there before it began */
	put_file(&p, "io.containerd.runtime.v2.task/newns/c1/address", "");
	put_file(&p, "io.containerd.runtime.v2.task/newns/c1/config.json", "{\"ociVersion\":\"1\",");
	put_file(&p, "half/state.json", "{");
	AQ_CHECK(strstr(p.told, "container:c1") == NULL && strstr(p.told, "container:half") == NULL);
	put_file(&p, "io.containerd.runtime.v2.task/newns/c1/config.json", "{\"ociVersion\":\"1\",\"process\":{}}");
	put_file(&p, "half/state.json", state);
	AQ_CHECK(is_told(&p, "container:c1 {\"source\":\"containerd\""));
	AQ_CHECK(is_told(&p, "container:half {\"source\":\"runc\""));
	remove_below(&p, "half");
	AQ_CHECK(is_told(&p, "end of container:half {\"source\":\"runc\""));
	p.told[0] = '\0';
	put_file(&p, "half/state.json", state); /* the same name again */
	AQ_CHECK(is_told(&p, "container:half {\"source\":\"runc\""));
	remove_below(&p, "io.containerd.runtime.v2.task");
	AQ_CHECK(is_told(&p, "end of container:c1 "));
	close_place(&p);
}

AQ_TEST(lists)
{
	static struct place p;

	make_root(&p);
	open_place(&p);
	put_file(&p, "overlay-containers/" LONG_ID "/userdata/config.json", podman);
	put_file(&p, "overlay-containers/containers.json", "[{\"id\":\"" LONG_ID "\",\"names\":[\"web1\"]},{\"id\":\"b\",\"names\":[\"two\"]}]");
	AQ_CHECK(is_told(&p, "container:" LONG_ID " {\"source\":\"podman-files\""));
	AQ_CHECK(is_told(&p, "container:" LONG_ID " {\"source\":\"storage\",\"name\":\"web1\"}"));
	put_file(&p, "overlay-containers/containers.json", "[{\"id\":\"b\",\"names\":[\"two\"]}]");
	AQ_CHECK(is_told(&p, "end of container:" LONG_ID " {\"source\":\"storage\""));
	AQ_CHECK(strstr(p.told, "end of container:b") == NULL);
	close_place(&p);
}

/* Many that come and go at once: each is told and ended. */
AQ_TEST(many)
{
	static struct place p;
	char name[64], text[128];
	unsigned missing = 0;

	make_root(&p);
	open_place(&p);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "c%u/state.json", i);
		put_file(&p, name, state);
	}
	AQ_CHECK(is_told(&p, "container:c199 "));
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		remove_below(&p, name);
	}
	AQ_CHECK(is_told(&p, "end of container:c199 "));
	for (unsigned i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "end of container:c%u ", i);
		missing += strstr(p.told, text) == NULL;
	}
	AQ_CHECK(missing == 0);
	close_place(&p);
}

AQ_TEST(bad_intentions)
{
	static struct place p;
	char path[512];

	make_root(&p);
	put_file(&p, "secret", state);
	put_file(&p, "link/x", "");
	snprintf(path, sizeof(path), "%s/link/state.json", p.root);
	AQ_REQUIRE(symlink("../secret", path) == 0); /* a link is not followed */
	put_file(&p, "pipe/x", "");
	snprintf(path, sizeof(path), "%s/pipe/state.json", p.root);
	AQ_REQUIRE(mkfifo(path, 0600) == 0); /* nobody waits for its writer */
	put_file(&p, "big/state.json", "");
	snprintf(path, sizeof(path), "%s/big/state.json", p.root);
	AQ_REQUIRE(truncate(path, 1ll << 40) == 0);
	snprintf(path, sizeof(path), "%s/\xff\n", p.root);
	AQ_REQUIRE(mkdir(path, 0755) == 0);
	put_file(&p, "good/state.json", state);
	open_place(&p);
	AQ_CHECK(is_told(&p, "container:good "));
	put_file(&p, "better/state.json", state);
	AQ_CHECK(is_told(&p, "container:better "));
	AQ_CHECK(strstr(p.told, "container:link") == NULL && strstr(p.told, "container:pipe") == NULL &&
		 strstr(p.told, "container:big") == NULL && strstr(p.told, "container:\xff") == NULL);
	close_place(&p);
}

AQ_TEST_MAIN()
