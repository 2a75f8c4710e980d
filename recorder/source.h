/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where ring contents come from. The live source loads the kernel side; the synthetic source fills rings in memory by
 * the same protocol, deterministically, so that everything behind it can be tested without a kernel.
 *
 * Threads: rings are shared as recorder/rings.h says; stop and free are called by the thread that made the source.
 */
#ifndef AQ_RECORDER_SOURCE_H
#define AQ_RECORDER_SOURCE_H

#include "format/base/err.h"
#include "recorder/rings.h"

struct aq_source;

struct aq_source_ops {
	/* The clock that the events' times are from. Any thread. */
	uint64_t (*now_ns)(struct aq_source *src);
	/* How often the kernel did not run a program of ours, since the start. Any thread. */
	uint64_t (*skipped)(struct aq_source *src);
	/*
	 * What budgets left out since the start, by cgroup and event: each is called with what it is by now. NULL: the
	 * source has no budgets. The encoding thread.
	 */
	int (*drops)(struct aq_source *src, void (*each)(void *user, const struct aq_wire_drop_key *key, const struct aq_wire_drop *drop),
		     void *user);
	/* Nothing new is produced after this; what is under way may still settle (aq_rings_settled). */
	int (*stop)(struct aq_source *src, struct aq_err *err);
	void (*free)(struct aq_source *src);
};

struct aq_source {
	const struct aq_source_ops *ops;
	struct aq_rings rings;
};

static inline uint64_t aq_source_now_ns(struct aq_source *src)
{
	return src->ops->now_ns(src);
}

static inline void aq_source_free(struct aq_source *src)
{
	if (src != NULL)
		src->ops->free(src);
}

#endif
