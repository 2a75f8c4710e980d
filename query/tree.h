/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of all processes seen in a window, ended ones too, with what each executed and how it ended. Nodes come in
 * the order in which they are shown: parents before children, siblings by start.
 */
#ifndef AQ_QUERY_TREE_H
#define AQ_QUERY_TREE_H

#include "query/query.h"

enum { AQ_TREE_MAX_EXECS = 64 }; /* execs kept per process; exec_count goes on */

struct aq_tree_exec {
	uint64_t time_ns;              /* 0: before the recording */
	const char *exe;               /* kernel path, else as given; NULL unknown */
	const char *argv;              /* strings, each followed by a NUL; NULL unknown */
	uint32_t argv_len;
	uint32_t uid;
	bool uid_known, from_memfd, upper_layer;
};

struct aq_tree_node {
	uint32_t pid, ppid, ns_pid;
	int64_t parent;                /* index of the parent's node; -1: a root */
	uint32_t depth;
	uint32_t children;
	uint32_t flags;                /* enum aq_proc_flag */
	uint64_t start_ns, exit_ns;    /* 0 unknown / not ended */
	int32_t exit_code, exit_signal;
	const char *comm;              /* latest; NULL unknown */
	const char *cwd;
	uint64_t cgroup_id;
	const char *container_id;      /* "" host, NULL unknown */
	bool in_window;                /* it lived in the window (others are there as ancestors) */
	bool matches;                  /* the filter matched one of its events; true without filter */
	const struct aq_tree_exec *execs;
	uint32_t exec_kept, exec_count;
};

struct aq_tree {
	const struct aq_tree_node *nodes;
	size_t count;
};

struct aq_tree_options {               /* zeroed: everything */
	const char *filter;            /* only processes with a matching event, and their ancestors */
	uint64_t from_ns, to_ns;
	uint32_t pid;                  /* only this process, its ancestors and descendants; 0: all */
	bool with_descendants;         /* with filter: the descendants of what matches too */
};

int aq_tree_new(struct aq_capture *c, const struct aq_tree_options *options, struct aq_tree **ret_tree,
		struct aq_verdict *ret_verdict, struct aq_err *err);
void aq_tree_free(struct aq_tree *t); /* NULL allowed */

#endif
