/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is known about tasks: the current one's ids the cheapest way that the kernel offers (its task as a typed pointer
 * since 5.11, read without calls; helpers before), ids, devices and credentials of others.
 */
#ifndef AQ_BPF_PROC_H
#define AQ_BPF_PROC_H

#include <bpf/bpf_core_read.h>

#include "ring.bpf.h"

/* Decided when the object is loaded; the other branch is not in the program then. */
#define AQ_HAVE_TASK_BTF() bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)

struct caller {
	struct task_struct *task; /* to be read directly with AQ_HAVE_TASK_BTF only, else with BPF_CORE_READ */
	u32 pid, tid;
};

static __always_inline void caller_init(struct caller *c)
{
	if (AQ_HAVE_TASK_BTF()) {
		c->task = bpf_get_current_task_btf();
		c->pid = (u32)c->task->tgid;
		c->tid = (u32)c->task->pid;
	} else {
		u64 pid_tgid = bpf_get_current_pid_tgid();

		c->task = (void *)bpf_get_current_task();
		c->pid = (u32)(pid_tgid >> 32);
		c->tid = (u32)pid_tgid;
	}
}

static __always_inline u64 caller_cgroup(const struct caller *c)
{
	if (AQ_HAVE_TASK_BTF())
		return c->task->cgroups->dfl_cgrp->kn->id;
	return bpf_get_current_cgroup_id();
}

/* Who the event is about, when it is the current task or is told of it. */
static __always_inline void put_ids(struct aq_wire_fixed *slot, u32 pid, u32 tid, s64 ret, u64 cgroup)
{
	slot->pid = pid;
	slot->tid = tid;
	slot->ret = ret;
	slot->cgroup_id = cgroup;
}

/* A task's id as it sees itself, in its innermost pid namespace. Read as a number, the pointer may be added to. */
static __always_inline u32 inner_pid(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 level = BPF_CORE_READ(pid, level);
	u64 at = bpf_core_field_offset(struct pid, numbers) + (u64)level * bpf_core_type_size(struct upid);
	struct upid *innermost = (void *)pid + at;

	return (u32)BPF_CORE_READ(innermost, nr);
}

/* Its leader's, process group's or session's id in the first pid namespace. */
static __always_inline u32 pid_number(struct signal_struct *signal, u32 type)
{
	struct pid *pid = NULL;

	bpf_core_read(&pid, sizeof(pid), &signal->pids[type]);
	return pid ? (u32)BPF_CORE_READ(pid, numbers[0].nr) : 0;
}

/* As stat() gives st_dev: the kernel's 12 bits of major and 20 of minor, spread as makedev() has them. */
static __always_inline u64 user_dev(u32 dev)
{
	u64 major = dev >> 20, minor = dev & 0xfffff;

	return (minor & 0xff) | (major << 8) | ((minor & ~0xffull) << 12);
}

/* The controlling terminal as /proc/PID/stat has it; 0: none. */
static __always_inline u64 tty_number(struct signal_struct *signal)
{
	struct tty_struct *tty = BPF_CORE_READ(signal, tty);

	if (!tty)
		return 0;
	return user_dev(((u32)BPF_CORE_READ(tty, driver, major) << 20 | (u32)BPF_CORE_READ(tty, driver, minor_start)) +
			(u32)BPF_CORE_READ(tty, index));
}

#endif
