/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_kube */
/* What is taken from a kubeconfig file, and what is refused with which sentence. */
#include "recorder/enrich/kube_config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/aq_test.h"

static struct aq_kube_access a;
static struct aq_err err;

static int parse(const char *cluster, const char *user)
{
	char text[4096];

	snprintf(text, sizeof(text), "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
		 "clusters: [{name: other, cluster: {server: 'https://no'}}, {name: k, cluster: {%s}}]\n"
		 "users: [{name: u, user: {%s}}]\n", cluster, user);
	memset(&a, 0, sizeof(a));
	memset(&err, 0, sizeof(err));
	return aq_kube_access_parse(text, strlen(text), "/nowhere", &a, &err);
}

AQ_TEST(everything)
{
	AQ_CHECK(parse("server: 'https://h:6443/', certificate-authority-data: Y2E=, tls-server-name: n.example, proxy-url: 'http://p:3128',"
		       "insecure-skip-tls-verify: true",
		       "token: t0k, tokenFile: tok, client-certificate-data: Y2VydA==, client-key-data: a2V5") == 0);
	AQ_CHECK(strcmp(a.server, "https://h:6443") == 0);
	AQ_CHECK(a.ca.len == 2 && memcmp(a.ca.data, "ca", 2) == 0);
	AQ_CHECK(a.cert.len == 4 && memcmp(a.cert.data, "cert", 4) == 0);
	AQ_CHECK(a.key.len == 3 && memcmp(a.key.data, "key", 3) == 0);
	AQ_CHECK(strcmp(a.tls_name, "n.example") == 0 && strcmp(a.proxy, "http://p:3128") == 0);
	AQ_CHECK(strcmp(a.token, "t0k") == 0 && strcmp(a.token_file, "/nowhere/tok") == 0);
	AQ_CHECK(a.insecure);
	aq_kube_access_release(&a);
	AQ_CHECK(a.token == NULL && a.key.data == NULL);
}

AQ_TEST(refused)
{
	static const struct {
		const char *cluster, *user, *says;
	} cases[] = {
		{ "server: 'https://h'", "exec: {command: x}", "another program" },
		{ "server: 'https://h'", "auth-provider: {name: x}", "another program" },
		{ "server: 'https://h'", "username: x, password: hush", "password" },
		{ "server: 'ftp://h'", "token: hush", "https://HOST:PORT" },
		{ "server: 'https://me:hush@h'", "", "https://HOST:PORT" },
		{ "certificate-authority-data: Y2E=", "", "no server" },
		{ "server: 'https://h', certificate-authority-data: '!hush'", "", "not base64" },
		{ "server: 'https://h', certificate-authority: missing", "", "/nowhere/missing" },
		{ "server: 'https://h', tls-server-name: 'a/b'", "", "tls-server-name" },
		{ "server: 'https://h'", "client-key-data: aHVzaA==", "need each other" },
		{ "server: 'https://h'", "client-certificate: missing", "/nowhere/missing" },
		{ "server: 'https://h'", "token: hush, as: root", "acts as another" },
		{ "server: 'https://h'", "token: hush, as-groups: ['system:masters']", "acts as another" },
		{ "server: 'https://h', proxy-url: 'ftp://me:hush@p'", "", "proxy-url must be" },
		{ "server: 'https://h', proxy-url: 'http://'", "", "proxy-url must be" },
		{ "server: 'https://h', proxy-url: 'http://me:hush@p q'", "", "proxy-url must be" },
		{ "server: 'https://h', proxy-url: \"http://me:hush@p\\r\\nx: y\"", "", "proxy-url must be" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AQ_CHECK(parse(cases[i].cluster, cases[i].user) < 0);
		AQ_CHECK(strstr(err.text, cases[i].says) != NULL);
		AQ_CHECK(strstr(err.text, "hush") == NULL);
		AQ_CHECK(a.server == NULL);
	}
}

/* Data may have lines; socks5 is what the proxy looks names up for. */
AQ_TEST(other_forms)
{
	AQ_CHECK(parse("server: 'https://[::1]:6443/api/', certificate-authority-data: \"Y2\\nE=\\n\", proxy-url: 'socks5://p:1'", "") == 0);
	AQ_CHECK(strcmp(a.server, "https://[::1]:6443/api") == 0);
	AQ_CHECK(a.ca.len == 2 && memcmp(a.ca.data, "ca", 2) == 0);
	AQ_CHECK(strcmp(a.proxy, "socks5h://p:1") == 0);
	aq_kube_access_release(&a);
}

/* Files are named, not taken: what stands in them when a request is made counts. And a copy has who to be, not where. */
AQ_TEST(files)
{
	char text[1024], folder[] = "/tmp/aq-kube-XXXXXX", path[64];
	struct aq_kube_access b = { NULL };
	FILE *file;

	AQ_REQUIRE(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/pem", folder);
	file = fopen(path, "w");
	AQ_REQUIRE(file != NULL && fputs("pem", file) >= 0 && fclose(file) == 0);
	snprintf(text, sizeof(text), "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
		 "clusters: [{name: k, cluster: {server: 'https://h', certificate-authority: pem, proxy-url: 'http://p'}}]\n"
		 "users: [{name: u, user: {client-certificate: pem, client-key: pem, token: t0k}}]\n");
	AQ_CHECK(aq_kube_access_parse(text, strlen(text), folder, &a, &err) == 0);
	AQ_CHECK(strcmp(a.ca_file, path) == 0 && strcmp(a.cert_file, path) == 0 && strcmp(a.key_file, path) == 0);
	AQ_CHECK(a.ca.data == NULL && a.cert.data == NULL && a.key.data == NULL);
	AQ_CHECK(aq_kube_access_copy(&a, &b) == 0);
	AQ_CHECK(strcmp(b.token, "t0k") == 0 && strcmp(b.ca_file, path) == 0 && strcmp(b.key_file, path) == 0);
	AQ_CHECK(b.server == NULL && b.proxy == NULL);
	aq_kube_access_release(&a);
	aq_kube_access_release(&b);
	AQ_CHECK(unlink(path) == 0 && rmdir(folder) == 0);
}

AQ_TEST(no_context)
{
	static const char *const texts[] = { "", "[]", "a: [", "current-context: c", "current-context: &a [*a]",
					     "{current-context: c, contexts: [{name: c, context: {cluster: k}}]}", "\t\x01" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		memset(&err, 0, sizeof(err));
		AQ_CHECK(aq_kube_access_parse(texts[i], strlen(texts[i]), NULL, &a, &err) == -EINVAL);
		AQ_CHECK(err.text[0] != '\0');
	}
}

AQ_TEST_MAIN()
