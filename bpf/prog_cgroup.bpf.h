/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs on the life of cgroups, of both versions; hierarchy 0 is version 2. Making and removing is recorded whoever
 * does it: it is rare, and later events need the paths.
 */
#ifndef AQ_BPF_PROG_CGROUP_H
#define AQ_BPF_PROG_CGROUP_H

#include "prog_life.bpf.h"

static __always_inline int cgroup_event(u32 event, struct cgroup *cgroup, const char *path, u32 tid, u32 pid)
{
	struct caller caller;
	struct entry e;

	if (!enter(&e, event, CLASS_VITAL, cfg_abi, false))
		return 0;
	caller_init(&caller);
	put_ids(e.slot, caller.pid, caller.tid, 0, bpf_get_current_cgroup_id());
	put_args(&e, cgroup->kn->id, (u32)cgroup->level, (u32)cgroup->root->hierarchy_id, tid, pid, 0);
	put_only_string(&e, AQ_ATTR_CGROUP_PATH, path, STRING_MAX);
	leave(&e);
	return 0;
}

AQ_PROGRAM("tp_btf/cgroup_mkdir", aq_cgroup_mkdir)
{
	inherit_cgroup((void *)ctx[0]);
	return cgroup_event(AQ_EV_cgroup_mkdir, (void *)ctx[0], (const char *)ctx[1], 0, 0);
}

AQ_PROGRAM("tp_btf/cgroup_rmdir", aq_cgroup_rmdir)
{
	forget_cgroup((void *)ctx[0]);
	return cgroup_event(AQ_EV_cgroup_rmdir, (void *)ctx[0], (const char *)ctx[1], 0, 0);
}

AQ_PROGRAM("tp_btf/cgroup_attach_task", aq_cgroup_attach)
{
	struct task_struct *task = (void *)ctx[2];
	u32 tgid = (u32)task->tgid;

	if (!is_target(tgid) && !is_target((u32)(bpf_get_current_pid_tgid() >> 32)))
		return 0;
	return cgroup_event(AQ_EV_cgroup_attach, (void *)ctx[0], (const char *)ctx[1], (u32)task->pid, tgid);
}

#endif
