/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquilad: the program that records. This file only chooses what to do.
 */
#include <bpf/libbpf.h>
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "recorder/config.h"
#include "recorder/memory.h"
#include "recorder/probe.h"
#include "recorder/session.h"

enum { EXIT_USAGE = 2 };

static int probe(bool json)
{
	struct aq_probe p;
	cJSON *root = NULL;
	char *text = NULL;

	aq_probe_run(&p);
	aq_probe_try(&p);
	if (!json) {
		aq_probe_print(&p, stdout);
	} else {
		root = aq_probe_json(&p);
		if (root != NULL && cJSON_AddBoolToObject(root, "recording_possible", aq_probe_obstacle(&p) == NULL) != NULL)
			text = cJSON_Print(root);
		if (text == NULL) {
			cJSON_Delete(root);
			fprintf(stderr, "aquilad: out of memory\n");
			return EXIT_FAILURE;
		}
		puts(text);
		cJSON_free(text);
		cJSON_Delete(root);
	}
	return aq_probe_obstacle(&p) == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
	struct aq_config config;
	struct aq_err err = { 0 };
	int cpus;

	if (aq_config_parse(argc, argv, &config, &err) < 0) {
		fprintf(stderr, "aquilad: %s\nTry aquilad --help\n", err.text);
		return EXIT_USAGE;
	}
	cpus = libbpf_num_possible_cpus();
	if (config.action == AQ_ACTION_RECORD && aq_memory_fit(&config, cpus > 0 ? (uint32_t)cpus : 1, &err) < 0) {
		fprintf(stderr, "aquilad: %s\nTry aquilad --help\n", err.text);
		return EXIT_USAGE;
	}
	switch (config.action) {
	case AQ_ACTION_HELP:
		aq_config_help(stdout);
		return EXIT_SUCCESS;
	case AQ_ACTION_VERSION:
		puts("aquilad " AQ_VERSION);
		return EXIT_SUCCESS;
	case AQ_ACTION_PROBE:
	case AQ_ACTION_PROBE_JSON:
		return probe(config.action == AQ_ACTION_PROBE_JSON);
	case AQ_ACTION_RECORD:
		break;
	}
	return aq_session_run(&config, argc, argv);
}
