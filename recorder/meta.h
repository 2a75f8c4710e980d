/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a capture says about how it was made: host, kernel, clocks, command line, features, policy.
 */
#ifndef AQ_RECORDER_META_H
#define AQ_RECORDER_META_H

#include "format/segment/writer.h"
#include "recorder/config.h"
#include "recorder/probe.h"

struct aq_meta {
	struct aq_capture_meta meta;  /* its strings lie below */
	char host[256], release[72], version[72], machine[72], boot_id[40];
	char *command, *features, *policy;
};

struct aq_meta_facts {
	const struct aq_config *config;
	const struct aq_probe *probe;
	const char *missing;          /* tracepoints that could not be attached to, or "" */
	uint64_t ring_bytes;
	bool iterators;                /* what exists is taken from them */
	uint32_t cpu_count;
	uint64_t start_boot_ns, start_real_ns;
	int argc;
	char *const *argv;
};

int aq_meta_init(struct aq_meta *m, const struct aq_meta_facts *facts);
void aq_meta_release(struct aq_meta *m);

#endif
