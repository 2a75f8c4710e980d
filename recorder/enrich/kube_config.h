/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How to reach a server and who to be there: from a kubeconfig file, the service account of a pod, or options.
 */
#ifndef AQ_RECORDER_ENRICH_KUBE_CONFIG_H
#define AQ_RECORDER_ENRICH_KUBE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "format/base/err.h"

struct aq_kube_blob {
	void *data;
	size_t len;
};

struct aq_kube_access {        /* owned, all of it; NULL where nothing is said */
	char *server;          /* https://HOST:PORT[/PREFIX], without a final slash */
	char *proxy;           /* http://, https:// or socks5h://; may hold a password */
	char *tls_name;
	char *token, *token_file; /* the file counts where both are there, and is read anew for each request */
	char *ca_file, *cert_file, *key_file; /* likewise */
	struct aq_kube_blob ca, cert, key; /* PEM */
	bool insecure;
};

enum { AQ_KUBE_FILE_MAX = 1 << 20 };

/* Relative names in the text are taken from folder. The context is the current one. -EINVAL with a sentence. */
int aq_kube_access_parse(const char *text, size_t n, const char *folder, struct aq_kube_access *ret, struct aq_err *err);
int aq_kube_access_load(const char *path, struct aq_kube_access *ret, struct aq_err *err);
int aq_kube_access_in_cluster(const char *folder, struct aq_kube_access *ret, struct aq_err *err);
/* Who to be and whom to trust, without server, tls_name and proxy; ret must be empty. -ENOMEM. */
int aq_kube_access_copy(const struct aq_kube_access *a, struct aq_kube_access *ret);
/* Overwrites secrets before it frees them. */
void aq_kube_access_release(struct aq_kube_access *a);

/* A whole file of at most AQ_KUBE_FILE_MAX bytes and a NUL behind it. */
int aq_kube_read_file(const char *path, struct aq_kube_blob *ret, struct aq_err *err);
void aq_kube_blob_release(struct aq_kube_blob *b);

#endif
