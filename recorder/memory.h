/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How --memory is shared out: to the kernel rings, to the spool, and a fixed rest for everything else (the programs and
 * tables, the open chunk with its strings and what becomes of it, the dictionary of a segment, the state of the host).
 */
#ifndef AQ_RECORDER_MEMORY_H
#define AQ_RECORDER_MEMORY_H

#include "recorder/config.h"

enum { AQ_MEMORY_REST_BYTES = 64 << 20 };

/* The smallest --memory for so many CPUs. */
uint64_t aq_memory_least_bytes(const struct aq_config *c, uint32_t cpu_count);
/*
 * Sets ring_bytes and spool_bytes, as far as they were not given, so that all stays within memory_bytes (0: nothing to
 * do). -EINVAL: it is too little, or what was given is more than that.
 */
int aq_memory_fit(struct aq_config *c, uint32_t cpu_count, struct aq_err *err);

#endif
