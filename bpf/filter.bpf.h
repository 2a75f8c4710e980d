/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose events are recorded: everybody's but the recorder's own, or those of one command and what descends from it.
 * What is outside of that is not part of the recording and is not counted; what a filter leaves out is: kinds of calls
 * (struct aq_wire_call, AQ_WIRE_CALL_SKIP) and calls of those whom cfg_filter does not want. Where nothing is filtered
 * none of this is in the program.
 */
#ifndef AQ_BPF_FILTER_H
#define AQ_BPF_FILTER_H

#include "proc.bpf.h"

static __always_inline bool is_target(u32 tgid)
{
	if (tgid == cfg_own_tgid)
		return false;
	return !cfg_filter_tree || bpf_map_lookup_elem(&targets, &tgid);
}

static __always_inline void add_target(u32 tgid)
{
	u32 one = 1;

	if (cfg_filter_tree)
		bpf_map_update_elem(&targets, &tgid, &one, BPF_ANY);
}

static __always_inline void drop_target(u32 tgid)
{
	if (cfg_filter_tree)
		bpf_map_delete_elem(&targets, &tgid);
}

static __always_inline bool is_cgroup_out(u64 cgroup)
{
	u32 *value = bpf_map_lookup_elem(&filter_cgroups, &cgroup);
	u32 bits = value ? *value : 0;

	return (bits & AQ_WIRE_CGROUP_NOT) || ((cfg_filter.only & AQ_WIRE_FILTER_CGROUP) && !(bits & AQ_WIRE_CGROUP_ONLY));
}

static __always_inline bool is_uid_out(void)
{
	u32 uid = (u32)bpf_get_current_uid_gid();
	bool found = !(cfg_filter.only & AQ_WIRE_FILTER_UID);

	for (u32 i = 0; i < AQ_WIRE_FILTER_UIDS; i++) {
		if (i >= cfg_filter.uid_count)
			break;
		if (uid < cfg_filter.uid[i].first || uid > cfg_filter.uid[i].last)
			continue;
		if (cfg_filter.uid[i].not)
			return true;
		found = true;
	}
	return !found;
}

/* The pid namespace that it is in, which need not be the one that its children will be in. */
static __always_inline u32 pid_namespace_of(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	u64 at = bpf_core_field_offset(struct pid, numbers) + (u64)level * bpf_core_type_size(struct upid);
	struct upid *innermost = (void *)pid + at;

	return BPF_CORE_READ(innermost, ns, ns.inum);
}

static __always_inline u32 namespace_of(struct task_struct *task, u32 kind)
{
	switch (kind) {
	case AQ_WIRE_NS_CGROUP: return BPF_CORE_READ(task, nsproxy, cgroup_ns, ns.inum);
	case AQ_WIRE_NS_IPC: return BPF_CORE_READ(task, nsproxy, ipc_ns, ns.inum);
	case AQ_WIRE_NS_MNT: return BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	case AQ_WIRE_NS_NET: return BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	case AQ_WIRE_NS_PID: return pid_namespace_of(task);
	case AQ_WIRE_NS_TIME: return BPF_CORE_READ(task, nsproxy, time_ns, ns.inum);
	case AQ_WIRE_NS_USER: return BPF_CORE_READ(task, cred, user_ns, ns.inum);
	default: return BPF_CORE_READ(task, nsproxy, uts_ns, ns.inum);
	}
}

/* Of entries of one kind of namespace any may fit; each kind that has entries must. */
static __noinline u32 is_namespace_out(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 wanted = 0, found = 0;

	for (u32 i = 0; i < AQ_WIRE_FILTER_NAMESPACES; i++) {
		if (i >= cfg_filter.namespace_count)
			break;
		u32 kind = cfg_filter.ns[i].kind & 7;
		bool fits = namespace_of(task, kind) == cfg_filter.ns[i].inum;

		if (cfg_filter.ns[i].not) {
			if (fits)
				return 1;
			continue;
		}
		wanted |= 1u << kind;
		if (fits)
			found |= 1u << kind;
	}
	return (wanted & ~found) != 0;
}

/* A call that is not vital. */
static __always_inline bool is_left_out(const struct caller *c)
{
	if ((cfg_filter.kinds & AQ_WIRE_FILTER_CGROUP) && is_cgroup_out(caller_cgroup(c)))
		return true;
	if ((cfg_filter.kinds & AQ_WIRE_FILTER_UID) && is_uid_out())
		return true;
	return (cfg_filter.kinds & AQ_WIRE_FILTER_NAMESPACE) && is_namespace_out();
}

/* A new cgroup is treated as the one that it lies in. */
static __always_inline void inherit_cgroup(struct cgroup *cgroup)
{
	if (!(cfg_filter.kinds & AQ_WIRE_FILTER_CGROUP) || cgroup->root->hierarchy_id != 0 || !cgroup->self.parent)
		return;
	u64 id = cgroup->kn->id, parent = cgroup->self.parent->cgroup->kn->id;
	u32 *bits = bpf_map_lookup_elem(&filter_cgroups, &parent);

	if (bits) {
		u32 copy = *bits;

		bpf_map_update_elem(&filter_cgroups, &id, &copy, BPF_ANY);
	}
}

static __always_inline void forget_cgroup(struct cgroup *cgroup)
{
	if (!(cfg_filter.kinds & AQ_WIRE_FILTER_CGROUP) || cgroup->root->hierarchy_id != 0)
		return;
	u64 id = cgroup->kn->id;

	bpf_map_delete_elem(&filter_cgroups, &id);
}

#endif
