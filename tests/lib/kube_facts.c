/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_kube */
/*
 * Prints what the Kubernetes client says, a line for each fact: SUBJECT FROM TO JSON, until standard input ends. A line on
 * standard input is a hint. With --time, processor time and peak memory at the end on stderr.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "recorder/enrich/kube.h"

static int print(void *user, const struct aq_fact *fact)
{
	(void)user;
	printf("%s %llu %llu %.*s\n", fact->subject, (unsigned long long)fact->valid_from_ns,
	       (unsigned long long)fact->valid_to_ns, (int)fact->json_len, fact->json);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "kubeconfig", required_argument, NULL, 'c' }, { "in-cluster", required_argument, NULL, 'i' },
		{ "kubelet", required_argument, NULL, 'k' }, { "token-file", required_argument, NULL, 't' },
		{ "ca", required_argument, NULL, 'a' }, { "node", required_argument, NULL, 'n' },
		{ "stall-ms", required_argument, NULL, 's' }, { "watch-ms", required_argument, NULL, 'w' },
		{ "poll-ms", required_argument, NULL, 'p' }, { "annotation", required_argument, NULL, 'A' },
		{ "services", no_argument, NULL, 'S' }, { "time", no_argument, NULL, 'T' }, { NULL, 0, NULL, 0 },
	};
	struct aq_kube_options o = { .node_name = "*" };
	const char *annotation[1];
	struct aq_err err = { 0 };
	struct aq_kube *k = NULL;
	struct rusage use;
	char line[256];
	int option, times = 0;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c': o.kubeconfig = optarg; break;
		case 'i': o.in_cluster = true, o.service_account = optarg; break;
		case 'k': o.kubelet = optarg; break;
		case 't': o.token_file = optarg; break;
		case 'a': o.ca_file = optarg; break;
		case 'n': o.node_name = optarg; break;
		case 's': o.stall_ns = strtoull(optarg, NULL, 10) * 1000000; break;
		case 'w': o.watch_ns = strtoull(optarg, NULL, 10) * 1000000; break;
		case 'p': o.poll_ns = strtoull(optarg, NULL, 10) * 1000000; break;
		case 'A': annotation[0] = optarg, o.annotations = annotation, o.annotation_count = 1; break;
		case 'S': o.services = true; break;
		case 'T': times = 1; break;
		default: return 2;
		}
	}
	if (aq_kube_new(&o, print, NULL, &k, &err) < 0 || aq_kube_start(k) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (err.text[0] != '\0')
		fprintf(stderr, "warning: %s\n", err.text);
	while (fgets(line, sizeof(line), stdin) != NULL)
		aq_kube_hint(k);
	aq_kube_free(k);
	if (times && getrusage(RUSAGE_SELF, &use) == 0)
		fprintf(stderr, "cpu_us %lld rss_kib %ld\n", (long long)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
			use.ru_utime.tv_usec + use.ru_stime.tv_usec, use.ru_maxrss);
	return 0;
}
