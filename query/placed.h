/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers whose facts name their cgroup (member "cgroup"): those of runc, crun and ctr, whose path alone doesn't show
 * that it is a container's. The same path may belong to one after the other.
 */
#ifndef AQ_QUERY_PLACED_H
#define AQ_QUERY_PLACED_H

#include "query/facts.h"

struct aq_placed;

/* Facts are borrowed until _free. -ENOMEM. */
int aq_placed_new(struct aq_facts *facts, struct aq_placed **ret_placed);
void aq_placed_free(struct aq_placed *p); /* NULL allowed */

/*
 * The innermost container in whose cgroup, or below it, the path lies at a time; NULL: none. *ret_len: how much of the path
 * is its cgroup's. [*from, *to] around the time is narrowed to where the answer is the same.
 */
struct aq_subject *aq_placed_find(const struct aq_placed *p, const char *path, size_t len, uint64_t time_ns, size_t *ret_len,
				  uint64_t *from_ns, uint64_t *to_ns);

#endif
