/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host offers to the recorder, and what is degraded or impossible where it does not.
 */
#ifndef AQ_RECORDER_PROBE_H
#define AQ_RECORDER_PROBE_H

#include <stdbool.h>
#include <stdio.h>

struct cJSON;

enum { AQ_PROBE_MAX = 40 };

/* From this kernel on, programs on tracepoints may be preempted unless they see to it themselves. */
#define AQ_PREEMPTIBLE_SINCE 6, 19

struct aq_feature {
	const char *key;     /* "btf": stands in captures */
	const char *name;
	bool present;
	bool unknown;        /* could not be asked; not present then */
	bool required;       /* no recording without it */
	const char *without; /* what is missing then */
	char detail[200];
};

struct aq_probe {
	struct aq_feature feature[AQ_PROBE_MAX];
	unsigned count;
};

/* Asks the kernel. What can't be asked without the right to use BPF, or without the kernel's types, is unknown. */
void aq_probe_run(struct aq_probe *ret_probe);
/* Unless there is an obstacle already: loads and attaches the programs for a moment; one more row. */
void aq_probe_try(struct aq_probe *probe);
/* Adds a row; detail may be NULL. */
void aq_probe_add(struct aq_probe *probe, const char *key, const char *name, bool present, bool required,
		  const char *without, const char *detail);
/* What was said to be there is not, as was seen when it was tried. */
void aq_probe_refute(struct aq_probe *probe, const char *key, const char *detail);
/* By the release that the kernel names. */
bool aq_kernel_at_least(unsigned major, unsigned minor);
/* The first row that makes recording impossible, or NULL. */
const struct aq_feature *aq_probe_obstacle(const struct aq_probe *probe);
/* A table, and one last line that says whether recording is possible. */
void aq_probe_print(const struct aq_probe *probe, FILE *out);
/* {"btf": {"present": true, …}, …}; NULL when out of memory. Owned by the caller. */
struct cJSON *aq_probe_json(const struct aq_probe *probe);

#endif
