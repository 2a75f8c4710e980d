/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is recorded of whom: filters by user, cgroup, container, namespace and path, and budgets of cgroups. Parsed from
 * options, resolved to numbers when the recording starts, handed to the kernel side (bpf/wire.h, struct aq_wire_filter).
 *
 * Texts are borrowed from argv. Threads: one.
 */
#ifndef AQ_RECORDER_POLICY_H
#define AQ_RECORDER_POLICY_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "bpf/wire.h"
#include "format/base/err.h"

enum { AQ_POLICY_CGROUPS = 32, AQ_POLICY_BUDGETS = 32, AQ_POLICY_TEXTS = 96 };

enum aq_policy_kind {
	AQ_POLICY_UID, AQ_POLICY_CGROUP, AQ_POLICY_CONTAINER, AQ_POLICY_NAMESPACE, AQ_POLICY_PATH, AQ_POLICY_BUDGET,
	AQ_POLICY_KINDS
};

struct aq_policy {
	struct aq_wire_filter filter;
	struct {
		const char *text;     /* a path, an id, or a container's id or name */
		bool container, not;
	} cgroup[AQ_POLICY_CGROUPS];
	struct {
		const char *path;     /* NULL: of all that have none of their own */
		uint32_t path_len;
		struct aq_wire_limit limit; /* per window */
	} budget[AQ_POLICY_BUDGETS];
	uint32_t cgroup_count, budget_count, text_count;
	struct {
		enum aq_policy_kind kind;
		const char *text;
	} text[AQ_POLICY_TEXTS];      /* as given, for the capture's own words */
};

/*
 * Takes in one option's value; it may be given again. Entries with ! before them leave out what they name.
 *   UID        33,1000-1999,!0
 *   CGROUP     /system.slice/nginx.service, or an id; with all that lie below
 *   CONTAINER  the beginning of an id (at least 4 digits)
 *   NAMESPACE  net:4026531840, or net@PID for the one that this process is in
 *   PATH       /etc: files below
 *   BUDGET     bulk=100000,ordinary=20000 per second, or PATH:bulk=…
 * -EINVAL with the sentence.
 */
int aq_policy_add(struct aq_policy *p, enum aq_policy_kind kind, const char *value, struct aq_err *err);
bool aq_policy_has_cgroups(const struct aq_policy *p);
bool aq_policy_has_budget(const struct aq_policy *p);
/* The limit of cgroups without one of their own. */
struct aq_wire_limit aq_policy_limit(const struct aq_policy *p);

/*
 * The cgroups that filters and budgets name, as they are now: _filter is called for each with AQ_WIRE_CGROUP_* bits, those
 * below included; _limit for each with a budget of its own. May be called again later, when others have been made.
 * -ENOENT when a name stands for none, -ENOTSUP without a cgroup2 mount, or what the callback returned.
 */
struct aq_policy_sink {
	int (*filter)(void *user, uint64_t cgroup_id, uint32_t bits);
	int (*limit)(void *user, uint64_t cgroup_id, const struct aq_wire_limit *limit);
	void *user;
};
int aq_policy_resolve(const struct aq_policy *p, const struct aq_policy_sink *sink, struct aq_err *err);

/* Members for the capture's policy: "uid": [...], "cgroup": [...], …; false without memory. */
bool aq_policy_describe(const struct aq_policy *p, cJSON *into);

#endif
