/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person sees while and after recording. Writes text, knows nothing of threads.
 */
#ifndef AQ_RECORDER_PROGRESS_H
#define AQ_RECORDER_PROGRESS_H

#include <stdio.h>

#include "recorder/pipeline.h"

/* One line over itself (\r), for a terminal. previous: a second ago. */
void aq_progress_line(FILE *out, uint64_t elapsed_ns, uint64_t step_ns, const struct aq_pipeline_progress *now,
		      const struct aq_pipeline_progress *previous);
void aq_progress_clear(FILE *out);

struct aq_summary {
	const char *output;
	uint64_t elapsed_ns;
	const struct aq_pipeline_result *result;
	const struct aq_pipeline_latency *latency; /* NULL: none was measured */
	bool have_command;
	int command_status;
};
/* The totals, the table by class, and whether the ledger balances. */
void aq_summary_print(FILE *out, const struct aq_summary *summary);
/* True when nothing was lost, shortened of its attributes, or skipped by the kernel. */
bool aq_summary_complete(const struct aq_pipeline_result *result);

/* "12.3 MB" */
const char *aq_human_bytes(uint64_t bytes, char buf[16]);

#endif
