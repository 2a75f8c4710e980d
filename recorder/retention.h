/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which segments of the capture that is being recorded are removed, and removing them: finished ones, the oldest first,
 * none that a pin covers, never the last one.
 *
 * Threads: one retention is used by one thread; the writer goes on meanwhile.
 */
#ifndef AQ_RECORDER_RETENTION_H
#define AQ_RECORDER_RETENTION_H

#include "format/segment/pin.h"

struct aq_retention_limits {           /* 0: no limit */
	uint64_t total_bytes;          /* all segments together */
	uint64_t age_ns;               /* a segment whose last event is older goes */
	uint64_t free_bytes;           /* to be left on the file system; the greater of the two rules */
	uint32_t free_percent;
};

struct aq_retained {
	uint64_t number, bytes;
	uint64_t first_real_ns, last_real_ns; /* of what it holds; first 0: unknown */
};

struct aq_disk {
	uint64_t bytes, free_bytes;
};

static inline bool aq_retention_is_on(const struct aq_retention_limits *l)
{
	return l->total_bytes != 0 || l->age_ns != 0 || l->free_bytes != 0 || l->free_percent != 0;
}

/*
 * Sets remove[i] for each of the segments, which are in ascending order; the last is the one being written. Returns how
 * many are to go.
 */
size_t aq_retention_choose(const struct aq_retention_limits *limits, const struct aq_retained *segments, size_t count,
			   const struct aq_pin *pins, size_t pin_count, const struct aq_disk *disk, uint64_t now_real_ns,
			   bool *remove);

struct aq_retention;
/* The folder is opened; the limits are copied. */
int aq_retention_new(const char *path, const struct aq_retention_limits *limits, struct aq_retention **ret_retention,
		     struct aq_err *err);
void aq_retention_free(struct aq_retention *r); /* NULL allowed */
/* Looks at the folder and removes what has to go; *ret_removed segments are gone from the disk then. */
int aq_retention_run(struct aq_retention *r, uint64_t now_real_ns, size_t *ret_removed, struct aq_err *err);
/* Makes a pin for what was and will be recorded around now. */
int aq_retention_pin(struct aq_retention *r, uint64_t now_real_ns, uint64_t before_ns, uint64_t after_ns, const char *note,
		     struct aq_err *err);

#endif
