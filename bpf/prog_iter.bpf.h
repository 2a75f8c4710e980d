/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Iterators over what exists: every thread, every open file of every process, as rows of wire_iter.h. No paths: the
 * kernels that are supported do not offer them here alike; /proc has them.
 */
#ifndef AQ_BPF_PROG_ITER_H
#define AQ_BPF_PROG_ITER_H

#include "bpf/wire_iter.h"
#include "proc.bpf.h"

enum { PF_KTHREAD = 0x00200000, OPEN_CLOEXEC = 02000000, BITS_PER_WORD = 64 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
};
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};
/* The members that only iterators look at: flavours of the kernel's types, the same to CO-RE. */
struct signal_struct___iter {
	int nr_threads;
};
struct mm_struct___iter {
	struct file *exe_file;
};
struct file___iter {
	unsigned int f_flags;
	long long f_pos;
};
struct fdtable___iter {
	unsigned long *close_on_exec;
};
struct task_struct___iter {
	unsigned int flags;
	int exit_state;
	const struct cred *real_cred;
	struct nsproxy *nsproxy;
};
#pragma clang attribute pop

static __always_inline void iter_namespaces(struct aq_wire_iter_task *row, struct task_struct *task,
					    const struct cred *cred)
{
	struct nsproxy *ns = BPF_CORE_READ((struct task_struct___iter *)task, nsproxy);
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	u64 at = bpf_core_field_offset(struct pid, numbers) + (u64)level * bpf_core_type_size(struct upid);
	struct upid *innermost = (void *)pid + at;

	row->ns[6] = BPF_CORE_READ(cred, user_ns, ns.inum);
	if (pid)
		row->ns[4] = BPF_CORE_READ(innermost, ns, ns.inum);
	if (!ns) /* it has ended */
		return;
	row->ns[0] = BPF_CORE_READ(ns, cgroup_ns, ns.inum);
	row->ns[1] = BPF_CORE_READ(ns, ipc_ns, ns.inum);
	row->ns[2] = BPF_CORE_READ(ns, mnt_ns, ns.inum);
	row->ns[3] = BPF_CORE_READ(ns, net_ns, ns.inum);
	if (bpf_core_field_exists(ns->time_ns))
		row->ns[5] = BPF_CORE_READ(ns, time_ns, ns.inum);
	row->ns[7] = BPF_CORE_READ(ns, uts_ns, ns.inum);
}

static __always_inline void iter_program(struct aq_wire_iter_task *row, struct task_struct *task)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct file *exe;

	if (!mm || (BPF_CORE_READ((struct task_struct___iter *)task, flags) & PF_KTHREAD))
		return;
	exe = BPF_CORE_READ((struct mm_struct___iter *)mm, exe_file);
	if (!exe)
		return;
	row->exe_dev = user_dev(BPF_CORE_READ(exe, f_inode, i_sb, s_dev));
	row->exe_ino = BPF_CORE_READ(exe, f_inode, i_ino);
}

SEC("iter/task")
int aq_iter_task(struct bpf_iter__task *ctx)
{
	enum { TYPE_PGID = 2, TYPE_SID = 3 };
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct aq_wire_iter_task row = {};

	if (!task)
		return 0;
	row.time_ns = bpf_ktime_get_boot_ns();
	const struct cred *cred = BPF_CORE_READ((struct task_struct___iter *)task, real_cred);
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	row.start_ns = BPF_CORE_READ(task, start_boottime);
	row.cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	bpf_core_read(&row.cap_effective, sizeof(row.cap_effective), &cred->cap_effective);
	row.pid = (u32)BPF_CORE_READ(task, tgid);
	row.tid = (u32)BPF_CORE_READ(task, pid);
	row.ppid = (u32)BPF_CORE_READ(task, real_parent, tgid);
	row.uid = BPF_CORE_READ(cred, uid.val);
	row.gid = BPF_CORE_READ(cred, gid.val);
	row.euid = BPF_CORE_READ(cred, euid.val);
	row.egid = BPF_CORE_READ(cred, egid.val);
	if (signal) {
		row.sid = pid_number(signal, TYPE_SID);
		row.pgid = pid_number(signal, TYPE_PGID);
		row.tty = (u32)tty_number(signal);
		row.threads = (u32)BPF_CORE_READ((struct signal_struct___iter *)signal, nr_threads);
	}
	row.ns_pid = inner_pid(task);
	row.ended = BPF_CORE_READ((struct task_struct___iter *)task, exit_state) != 0;
	bpf_probe_read_kernel_str(row.comm, sizeof(row.comm), &task->comm);
	iter_program(&row, task);
	iter_namespaces(&row, task, cred);
	bpf_seq_write(seq, &row, sizeof(row)); /* a full buffer is emptied and the task told again */
	return 0;
}

static __always_inline bool closes_on_exec(struct task_struct *task, u32 fd)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	unsigned long *words = BPF_CORE_READ((struct fdtable___iter *)table, close_on_exec), word = 0;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return false;
	bpf_probe_read_kernel(&word, sizeof(word), words + fd / BITS_PER_WORD);
	return word >> (fd % BITS_PER_WORD) & 1;
}

SEC("iter/task_file")
int aq_iter_file(struct bpf_iter__task_file *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct aq_wire_iter_file row = {};

	if (!task || !file)
		return 0;
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	if (leader != task && BPF_CORE_READ(leader, files))
		return 0; /* a thread that has files of its own: /proc shows the first one's */
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	row.start_ns = BPF_CORE_READ(leader, start_boottime);
	row.dev = user_dev(BPF_CORE_READ(inode, i_sb, s_dev));
	row.ino = BPF_CORE_READ(inode, i_ino);
	row.mode = BPF_CORE_READ(inode, i_mode);
	row.pos = (u64)BPF_CORE_READ((struct file___iter *)file, f_pos);
	row.flags = BPF_CORE_READ((struct file___iter *)file, f_flags);
	if (closes_on_exec(task, ctx->fd))
		row.flags |= OPEN_CLOEXEC;
	row.pid = (u32)BPF_CORE_READ(task, tgid);
	row.tid = (u32)BPF_CORE_READ(task, pid);
	row.fd = ctx->fd;
	bpf_seq_write(seq, &row, sizeof(row));
	return 0;
}

#endif
