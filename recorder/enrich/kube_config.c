/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubeconfig files (YAML) and service accounts. Error sentences name files and members, never their values.
 */
#include "recorder/enrich/kube_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <yaml.h>

static void forget(char **text)
{
	if (*text != NULL)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void aq_kube_blob_release(struct aq_kube_blob *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->len);
	free(b->data);
	*b = (struct aq_kube_blob){ NULL, 0 };
}

void aq_kube_access_release(struct aq_kube_access *a)
{
	forget(&a->server);
	forget(&a->proxy);
	forget(&a->tls_name);
	forget(&a->token);
	forget(&a->token_file);
	forget(&a->ca_file);
	forget(&a->cert_file);
	forget(&a->key_file);
	aq_kube_blob_release(&a->ca);
	aq_kube_blob_release(&a->cert);
	aq_kube_blob_release(&a->key);
}

int aq_kube_read_file(const char *path, struct aq_kube_blob *ret, struct aq_err *err)
{
	struct aq_kube_blob b = { NULL, 0 };
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r = 0;

	if (fd < 0)
		return r = -errno, aq_err_set(err, r, "'%s': %s", path, strerror(-r));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return aq_err_set(err, -EINVAL, "'%s' is no file", path);
	}
	b.data = malloc(AQ_KUBE_FILE_MAX + 1);
	while (b.data != NULL && b.len < AQ_KUBE_FILE_MAX) {
		ssize_t n = read(fd, (char *)b.data + b.len, AQ_KUBE_FILE_MAX - b.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;
		b.len += (size_t)n;
	}
	close(fd);
	if (b.data == NULL)
		return aq_err_set(err, -ENOMEM, "'%s': out of memory", path);
	if (r == 0 && b.len == AQ_KUBE_FILE_MAX)
		r = -EFBIG;
	if (r < 0) {
		aq_kube_blob_release(&b);
		return aq_err_set(err, r, "'%s': %s", path, strerror(-r));
	}
	((char *)b.data)[b.len] = '\0';
	*ret = b;
	return 0;
}

static yaml_node_t *child(yaml_document_t *doc, yaml_node_t *map, const char *key)
{
	if (map == NULL || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
		yaml_node_t *k = yaml_document_get_node(doc, p->key);

		if (k != NULL && k->type == YAML_SCALAR_NODE && k->data.scalar.length == strlen(key) &&
		    memcmp(k->data.scalar.value, key, k->data.scalar.length) == 0)
			return yaml_document_get_node(doc, p->value);
	}
	return NULL;
}

/* Text of a member, borrowed; NULL if it isn't there, is empty, or holds a NUL. */
static const char *lines(yaml_document_t *doc, yaml_node_t *map, const char *key)
{
	yaml_node_t *v = child(doc, map, key);
	const char *s;

	if (v == NULL || v->type != YAML_SCALAR_NODE || v->data.scalar.length == 0)
		return NULL;
	s = (const char *)v->data.scalar.value;
	return strlen(s) == v->data.scalar.length ? s : NULL;
}

/* Likewise, and NULL if it holds a line break. */
static const char *scalar(yaml_document_t *doc, yaml_node_t *map, const char *key)
{
	const char *s = lines(doc, map, key);

	return s != NULL && strpbrk(s, "\r\n") == NULL ? s : NULL;
}

/* The member INNER of the element called name in the list OUTER of the file. */
static yaml_node_t *named(yaml_document_t *doc, const char *outer, const char *name, const char *inner)
{
	yaml_node_t *list = child(doc, yaml_document_get_root_node(doc), outer);

	if (name == NULL || list == NULL || list->type != YAML_SEQUENCE_NODE)
		return NULL;
	for (yaml_node_item_t *i = list->data.sequence.items.start; i < list->data.sequence.items.top; i++) {
		yaml_node_t *one = yaml_document_get_node(doc, *i);
		const char *its = scalar(doc, one, "name");

		if (its != NULL && strcmp(its, name) == 0)
			return child(doc, one, inner);
	}
	return NULL;
}

static int copy(char **to, const char *text)
{
	if (text == NULL)
		return 0;
	forget(to);
	*to = strdup(text);
	return *to != NULL ? 0 : -ENOMEM;
}

static int path_of(const char *folder, const char *name, char **ret)
{
	if (name[0] == '/' || folder == NULL)
		return copy(ret, name);
	forget(ret);
	if (asprintf(ret, "%s/%s", folder, name) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int base64(const char *text, struct aq_kube_blob *ret)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = strlen(text), used = 0;
	unsigned char *out = malloc(n / 4 * 3 + 4);
	uint32_t bits = 0;
	unsigned have = 0;

	if (out == NULL)
		return -ENOMEM;
	for (; *text != '\0' && *text != '='; text++) {
		const char *at = strchr(digits, *text);

		if (strchr(" \t\r\n", *text) != NULL)
			continue;
		if (at == NULL) {
			free(out);
			return -EINVAL;
		}
		bits = bits << 6 | (uint32_t)(at - digits);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[used++] = (unsigned char)(bits >> have);
		}
	}
	ret->data = out;
	ret->len = used;
	return 0;
}

/* KEY-data as it is, or the path of the file that KEY names, which must be readable; not there: nothing. */
static int pem(yaml_document_t *doc, yaml_node_t *map, const char *key, const char *folder, struct aq_kube_blob *ret,
	       char **ret_file, struct aq_err *err)
{
	char data_key[64];
	struct aq_kube_blob now = { NULL, 0 };
	const char *data, *file = scalar(doc, map, key);
	int r;

	snprintf(data_key, sizeof(data_key), "%s-data", key);
	data = lines(doc, map, data_key);
	if (data != NULL) {
		r = base64(data, ret);
		return r == 0 ? 0 : r == -ENOMEM ? aq_err_set(err, r, "out of memory") :
		       aq_err_set(err, r, "%s is not base64", data_key);
	}
	if (file == NULL)
		return 0;
	if (path_of(folder, file, ret_file) < 0)
		return aq_err_set(err, -ENOMEM, "out of memory");
	r = aq_kube_read_file(*ret_file, &now, err);
	aq_kube_blob_release(&now);
	return r;
}

/* Go's socks5 lets the proxy look names up, which curl calls socks5h. */
static int set_proxy(struct aq_kube_access *a, const char *proxy, struct aq_err *err)
{
	static const char *const schemes[][2] = {
		{ "http://", "http://" }, { "https://", "https://" }, { "socks5://", "socks5h://" }, { "socks5h://", "socks5h://" },
	};

	if (proxy == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = strlen(schemes[i][0]);

		if (strncmp(proxy, schemes[i][0], n) != 0 || proxy[n] == '\0' || strpbrk(proxy, " \t\r\n\"<>\\") != NULL)
			continue;
		if (asprintf(&a->proxy, "%s%s", schemes[i][1], proxy + n) >= 0)
			return 0;
		a->proxy = NULL;
		return aq_err_set(err, -ENOMEM, "out of memory");
	}
	return aq_err_set(err, -EINVAL, "proxy-url must be http://, https:// or socks5://HOST:PORT");
}

static int set_server(struct aq_kube_access *a, const char *server, struct aq_err *err)
{
	if (server == NULL)
		return aq_err_set(err, -EINVAL, "the current context's cluster has no server");
	if ((strncmp(server, "https://", 8) != 0 && strncmp(server, "http://", 7) != 0) || strpbrk(server, "@?# \t\"<>\\") != NULL)
		return aq_err_set(err, -EINVAL, "server must be https://HOST:PORT (or http://), without a user in it");
	if (copy(&a->server, server) < 0)
		return aq_err_set(err, -ENOMEM, "out of memory");
	while (strlen(a->server) > 8 && a->server[strlen(a->server) - 1] == '/')
		a->server[strlen(a->server) - 1] = '\0';
	return 0;
}

static int from_user(yaml_document_t *doc, yaml_node_t *user, const char *folder, struct aq_kube_access *a,
		     struct aq_err *err)
{
	const char *token_file = scalar(doc, user, "tokenFile");
	int r;

	if (child(doc, user, "exec") != NULL || child(doc, user, "auth-provider") != NULL)
		return aq_err_set(err, -EINVAL, "the user logs in through another program (exec, auth-provider), which a "
						"recorder does not run: use a service account's token or a client certificate");
	if (child(doc, user, "as") != NULL || child(doc, user, "as-groups") != NULL || child(doc, user, "as-uid") != NULL ||
	    child(doc, user, "as-user-extra") != NULL)
		return aq_err_set(err, -EINVAL, "the user acts as another one (as, as-groups …), which a recorder does not: give "
						"it a user of its own that may read no more");
	if (scalar(doc, user, "username") != NULL)
		return aq_err_set(err, -EINVAL, "the user logs in by password, which Kubernetes no longer takes");
	r = pem(doc, user, "client-certificate", folder, &a->cert, &a->cert_file, err);
	if (r == 0)
		r = pem(doc, user, "client-key", folder, &a->key, &a->key_file, err);
	if (r < 0)
		return r;
	if ((a->cert.data != NULL || a->cert_file != NULL) != (a->key.data != NULL || a->key_file != NULL))
		return aq_err_set(err, -EINVAL, "client-certificate and client-key need each other");
	if (copy(&a->token, scalar(doc, user, "token")) < 0 ||
	    (token_file != NULL && path_of(folder, token_file, &a->token_file) < 0))
		return aq_err_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int from_document(yaml_document_t *doc, const char *folder, struct aq_kube_access *a, struct aq_err *err)
{
	const char *current = scalar(doc, yaml_document_get_root_node(doc), "current-context"), *insecure;
	yaml_node_t *context = named(doc, "contexts", current, "context"), *cluster, *user;
	int r;

	if (current == NULL)
		return aq_err_set(err, -EINVAL, "there is no current-context");
	if (context == NULL)
		return aq_err_set(err, -EINVAL, "the current-context '%.100s' is not among contexts", current);
	cluster = named(doc, "clusters", scalar(doc, context, "cluster"), "cluster");
	user = named(doc, "users", scalar(doc, context, "user"), "user");
	if (cluster == NULL)
		return aq_err_set(err, -EINVAL, "the cluster of context '%.100s' is not among clusters", current);
	r = set_server(a, scalar(doc, cluster, "server"), err);
	if (r == 0)
		r = pem(doc, cluster, "certificate-authority", folder, &a->ca, &a->ca_file, err);
	if (r == 0 && user != NULL)
		r = from_user(doc, user, folder, a, err);
	if (r < 0)
		return r;
	insecure = scalar(doc, cluster, "insecure-skip-tls-verify");
	a->insecure = insecure != NULL && strcmp(insecure, "true") == 0;
	r = set_proxy(a, lines(doc, cluster, "proxy-url"), err);
	if (r < 0)
		return r;
	if (copy(&a->tls_name, scalar(doc, cluster, "tls-server-name")) < 0)
		return aq_err_set(err, -ENOMEM, "out of memory");
	if (a->tls_name != NULL && strspn(a->tls_name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") !=
	    strlen(a->tls_name))
		return aq_err_set(err, -EINVAL, "tls-server-name is no name of a host");
	return 0;
}

static int copy_blob(const struct aq_kube_blob *b, struct aq_kube_blob *ret)
{
	if (b->data == NULL)
		return 0;
	ret->data = malloc(b->len + 1);
	if (ret->data == NULL)
		return -ENOMEM;
	memcpy(ret->data, b->data, b->len);
	ret->len = b->len;
	return 0;
}

int aq_kube_access_copy(const struct aq_kube_access *a, struct aq_kube_access *ret)
{
	ret->insecure = a->insecure;
	if (copy(&ret->token, a->token) < 0 || copy(&ret->token_file, a->token_file) < 0 || copy(&ret->ca_file, a->ca_file) < 0 ||
	    copy(&ret->cert_file, a->cert_file) < 0 || copy(&ret->key_file, a->key_file) < 0 || copy_blob(&a->ca, &ret->ca) < 0 ||
	    copy_blob(&a->cert, &ret->cert) < 0 || copy_blob(&a->key, &ret->key) < 0)
		return -ENOMEM;
	return 0;
}

int aq_kube_access_parse(const char *text, size_t n, const char *folder, struct aq_kube_access *ret, struct aq_err *err)
{
	struct aq_kube_access a = { NULL };
	yaml_parser_t parser;
	yaml_document_t doc;
	int r;

	if (!yaml_parser_initialize(&parser))
		return aq_err_set(err, -ENOMEM, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
	if (!yaml_parser_load(&parser, &doc)) {
		r = aq_err_set(err, -EINVAL, "line %zu is not YAML", parser.problem_mark.line + 1);
		yaml_parser_delete(&parser);
		return r;
	}
	r = from_document(&doc, folder, &a, err);
	yaml_document_delete(&doc);
	yaml_parser_delete(&parser);
	if (r < 0)
		aq_kube_access_release(&a);
	else
		*ret = a;
	return r;
}

int aq_kube_access_load(const char *path, struct aq_kube_access *ret, struct aq_err *err)
{
	struct aq_kube_blob file = { NULL, 0 };
	const char *slash = strrchr(path, '/');
	char *folder = slash != NULL ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	int r;

	if (folder == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	r = aq_kube_read_file(path, &file, err);
	if (r == 0) {
		r = aq_kube_access_parse(file.data, file.len, folder, ret, err);
		if (r < 0)
			aq_err_prefix(err, "'%s': ", path);
	}
	aq_kube_blob_release(&file);
	free(folder);
	return r;
}

int aq_kube_access_in_cluster(const char *folder, struct aq_kube_access *ret, struct aq_err *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
	struct aq_kube_access a = { NULL };
	bool bracket = host != NULL && strchr(host, ':') != NULL && host[0] != '[';
	char server[300];
	int r;

	if (host == NULL || host[0] == '\0')
		return aq_err_set(err, -EINVAL, "KUBERNETES_SERVICE_HOST is not set: this runs in no pod");
	if (snprintf(server, sizeof(server), "https://%s%s%s:%s", bracket ? "[" : "", host, bracket ? "]" : "",
		     port != NULL && port[0] != '\0' ? port : "443") >= (int)sizeof(server))
		return aq_err_set(err, -EINVAL, "KUBERNETES_SERVICE_HOST is too long");
	r = set_server(&a, server, err);
	if (r == 0 && (asprintf(&a.token_file, "%s/token", folder) < 0 || asprintf(&a.ca_file, "%s/ca.crt", folder) < 0))
		r = aq_err_set(err, -ENOMEM, "out of memory");
	if (r == 0 && access(a.token_file, R_OK) < 0)
		r = -errno, aq_err_set(err, r, "'%s': %s", a.token_file, strerror(-r));
	if (r < 0)
		aq_kube_access_release(&a);
	else
		*ret = a;
	return r;
}
