/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs on the life of processes and threads: birth, a new program, a new name, the end. */
#ifndef AQ_BPF_PROG_LIFE_H
#define AQ_BPF_PROG_LIFE_H

#include "fetch.bpf.h"
#include "filter.bpf.h"
#include "path.bpf.h"
#include "pin.bpf.h"
#include "proc.bpf.h"
#include "stamp.bpf.h"

/* Ids of format/schema/events.def: AQ_EV_proc_fork … */
enum {
#define AQ_STATE_EVENT(id, name, cls, doc, ...) AQ_EV_##name = id,
#include "format/schema/events.def"
#undef AQ_STATE_EVENT
};
enum { CLASS_VITAL = 0, CLASS_IMPORTANT = 1 };

/* An event whose only attribute is a string of the kernel's. */
static __always_inline void put_only_string(struct entry *e, u32 key, const void *from, u32 size)
{
	struct attrs a;

	if (!attrs_begin(&a, e->ring, e->slot, e->index))
		return;
	put_kernel_string(&a, key, from, size);
	attrs_end(&a);
}

AQ_PROGRAM_TWICE("sched_process_fork", aq_fork, 1)
{
	struct task_struct *parent = (void *)ctx[0], *child = (void *)ctx[1];
	u32 parent_tgid = (u32)parent->tgid, child_tgid = (u32)child->tgid;
	struct entry e;

	if (!is_target(parent_tgid))
		return 0;
	if (child_tgid != parent_tgid)
		add_target(child_tgid);
	if (!enter(&e, AQ_EV_proc_fork, CLASS_VITAL, cfg_abi, false))
		return 0;
	put_ids(e.slot, parent_tgid, (u32)parent->pid, 0, bpf_get_current_cgroup_id());
	put_args(&e, (u32)child->pid, child_tgid, 0, child->start_boottime, inner_pid(child),
		 (u32)child->real_parent->tgid);
	put_only_string(&e, AQ_ATTR_COMM, child->comm, COMM_BYTES);
	leave(&e);
	return 0;
}

enum { MODE_SETUID = 04000, MODE_SETGID = 02000, MAGIC_TMPFS = 0x01021994, MAGIC_OVERLAY = 0x794c7630 };
enum { EXE_MEMFD = 1, EXE_OVERLAY_UPPER = 2, EXE_DELETED = 4, EXE_SETUID = 8, EXE_SETGID = 16, EXE_INTERPRETER = 32 };

/* A file in no tree: memfd_create gives such ones on the kernel's own tmpfs, named "memfd:…". */
static __always_inline bool is_memfd(struct dentry *dentry)
{
	char name[8] = {};

	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(dentry, d_name.name));
	return dentry == BPF_CORE_READ(dentry, d_parent) && name[0] == 'm' && name[1] == 'e' && name[2] == 'm' &&
	       name[3] == 'f' && name[4] == 'd' && name[5] == ':';
}

/* The upper dentry of an overlay's inode is set once the file was written to or made in the container. Only where the
 * running kernel's types tell where it is. */
static __always_inline bool is_overlay_upper(struct inode *inode)
{
	if (!bpf_core_field_exists(struct ovl_inode, __upperdentry) ||
	    !bpf_core_field_exists(struct ovl_inode, vfs_inode))
		return false;
	struct ovl_inode *overlay = (void *)inode - bpf_core_field_offset(struct ovl_inode, vfs_inode);
	return BPF_CORE_READ(overlay, __upperdentry) != NULL;
}

static __always_inline u64 exe_flags(struct file *file, struct inode *inode, struct linux_binprm *bprm)
{
	u32 mode = BPF_CORE_READ(inode, i_mode);
	u64 magic = BPF_CORE_READ(inode, i_sb, s_magic);
	u64 flags = (mode & MODE_SETUID ? EXE_SETUID : 0) | (mode & MODE_SETGID ? EXE_SETGID : 0);

	if (magic == MAGIC_TMPFS && is_memfd(BPF_CORE_READ(file, f_path.dentry)))
		flags |= EXE_MEMFD;
	else if (BPF_CORE_READ(inode, i_nlink) == 0)
		flags |= EXE_DELETED;
	if (magic == MAGIC_OVERLAY && is_overlay_upper(inode))
		flags |= EXE_OVERLAY_UPPER;
	if (bprm->filename != bprm->interp)
		flags |= EXE_INTERPRETER;
	return flags;
}

/* The arguments of proc_exec beyond the first six. */
static __always_inline void put_exec_words(struct attrs *a, struct task_struct *task)
{
	enum { TYPE_PGID = 2, TYPE_SID = 3 };
	struct signal_struct *signal = task->signal;
	const struct cred *cred = task->cred;
	char *place = attr_place(a);

	if (!place)
		return;
	u64 *words = (void *)(place + sizeof(struct aq_wire_attr));
	words[0] = cred->euid.val;
	words[1] = cred->egid.val;
	words[2] = (u32)task->real_parent->tgid;
	words[3] = pid_number(signal, TYPE_SID);
	words[4] = pid_number(signal, TYPE_PGID);
	words[5] = tty_number(signal);
	bpf_core_read(&words[6], sizeof(words[6]), &cred->cap_effective); /* a u64 since 6.3, two u32 before */
	words[7] = task->start_boottime;
	attr_head(a, place, AQ_ATTR_WORDS, 0, 8 * sizeof(u64), 0);
}

AQ_PROGRAM_TWICE("sched_process_exec", aq_exec, 2)
{
	struct task_struct *task = (void *)ctx[0];
	struct linux_binprm *bprm = (void *)ctx[2];
	u32 tgid = (u32)task->tgid;
	struct entry e;
	struct attrs a;

	if (!is_target(tgid))
		return 0;
	if (cfg_durations)
		stamp_exec((u32)ctx[1], (u32)task->pid);
	if (!enter(&e, AQ_EV_proc_exec, CLASS_VITAL, cfg_abi, false))
		return 0;
	struct file *file = bprm->file;
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	const struct cred *cred = task->cred;
	put_ids(e.slot, tgid, (u32)task->pid, 0, bpf_get_current_cgroup_id());
	put_args(&e, user_dev(BPF_CORE_READ(inode, i_sb, s_dev)), BPF_CORE_READ(inode, i_ino), cred->uid.val,
		 cred->gid.val, (u32)ctx[1], exe_flags(file, inode, bprm));
	if (attrs_begin(&a, e.ring, e.slot, e.index)) {
		u64 start = BPF_CORE_READ(task, mm, arg_start), end = BPF_CORE_READ(task, mm, arg_end);

		put_exec_words(&a, task);
		put_kernel_string(&a, AQ_ATTR_PATH, bprm->filename, STRING_MAX);
		put_path(&a, file);
		if (end > start)
			put_area(&a, AQ_ATTR_ARGV, start, end);
		if (cfg_environment) {
			start = BPF_CORE_READ(task, mm, env_start);
			end = BPF_CORE_READ(task, mm, env_end);
			if (end > start)
				put_area(&a, AQ_ATTR_ENVP, start, end);
		}
		attrs_end(&a);
	}
	leave(&e);
	return 0;
}

AQ_PROGRAM_TWICE("sched_process_exit", aq_exit, 0)
{
	struct task_struct *task = (void *)ctx[0];
	u32 tgid = (u32)task->tgid;
	struct entry e;

	if (!is_target(tgid))
		return 0;
	if (cfg_durations)
		stamp_drop((u32)task->pid);
	u32 code = (u32)task->exit_code;
	u32 live = (u32)task->signal->live.counter; /* this thread is taken off already */
	if (live == 0)
		drop_target(tgid);
	if (!enter(&e, AQ_EV_proc_exit, CLASS_VITAL, cfg_abi, false))
		return 0;
	put_ids(e.slot, tgid, (u32)task->pid, 0, bpf_get_current_cgroup_id());
	put_args(&e, (code >> 8) & 0xff, code & 0x7f, live, task->start_boottime, (code >> 7) & 1, 0);
	put_only_string(&e, AQ_ATTR_COMM, task->comm, COMM_BYTES);
	leave(&e);
	return 0;
}

/* Every exec sets the name, mostly to the same: that is not told. Old kernels leave behind the NUL what was there before. */
static __always_inline bool same_name(struct task_struct *task, const char *name)
{
	u64 old[COMM_BYTES / 8] = {}, new[COMM_BYTES / 8] = {};

	bpf_probe_read_kernel_str(old, sizeof(old), task->comm);
	bpf_probe_read_kernel_str(new, sizeof(new), name);
	return old[0] == new[0] && old[1] == new[1];
}

AQ_PROGRAM("tp_btf/task_rename", aq_rename)
{
	struct task_struct *task = (void *)ctx[0];
	const char *name = (const char *)ctx[1];
	struct caller caller;
	struct entry e;

	if (!is_target((u32)task->tgid) || same_name(task, name))
		return 0;
	if (!enter(&e, AQ_EV_proc_rename, CLASS_IMPORTANT, cfg_abi, false))
		return 0;
	caller_init(&caller);
	put_ids(e.slot, caller.pid, caller.tid, 0, bpf_get_current_cgroup_id());
	put_args(&e, (u32)task->pid, 0, 0, 0, 0, 0);
	put_only_string(&e, AQ_ATTR_COMM, name, COMM_BYTES);
	leave(&e);
	return 0;
}

#endif
