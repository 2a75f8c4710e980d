/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_docker */
/*
 * Prints what the client of container engines says, a line for each fact: SUBJECT FROM TO JSON, until standard input ends.
 * usage: docker_facts [--stall-ms N] [--memory BYTES] SOCKET…
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "recorder/enrich/docker.h"

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
		{ "stall-ms", required_argument, NULL, 's' }, { "memory", required_argument, NULL, 'm' }, { NULL, 0, NULL, 0 },
	};
	struct aq_docker_options o = { .usual = false };
	struct aq_err err = { 0 };
	struct aq_docker *d = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's': o.stall_ns = strtoull(optarg, NULL, 10) * 1000000; break;
		case 'm': o.memory_bytes = strtoull(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	o.sockets = (const char *const *)&argv[optind];
	o.socket_count = (size_t)(argc - optind);
	if (aq_docker_new(&o, print, NULL, &d, &err) < 0 || aq_docker_start(d) < 0) {
		fprintf(stderr, "%s\n", err.text);
		aq_docker_free(d);
		return 1;
	}
	while (getchar() != EOF)
		;
	aq_docker_free(d);
	return 0;
}
