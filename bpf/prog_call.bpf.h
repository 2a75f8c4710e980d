/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The program on the exit of every system call: number and arguments from the registers that were saved on entry, the
 * result beside them. Where durations are recorded, another one on the entry notes when that was. Calls without attributes take a short way without function calls of its own.
 */
#ifndef AQ_BPF_PROG_CALL_H
#define AQ_BPF_PROG_CALL_H

#include "budget.bpf.h"
#include "fetch_call.bpf.h"
#include "pin.bpf.h"
#include "proc.bpf.h"
#include "stamp.bpf.h"

enum { CLASS_ORDINARY = 2 };

#if defined(__TARGET_ARCH_x86)
enum { TS_COMPAT = 2, X32_BIT = 0x40000000, ABI_X32 = 2, NR_SIGRETURN = 15, NR_SIGRETURN_COMPAT = 173 };

static __always_inline bool is_compat(const struct caller *c)
{
	struct task_struct *task = c->task;
	u32 status = AQ_HAVE_TASK_BTF() ? task->thread_info.status : BPF_CORE_READ(task, thread_info.status);

	return status & TS_COMPAT;
}

static __always_inline u32 call_number(struct pt_regs *regs)
{
	return (u32)regs->orig_ax;
}

static __always_inline void put_registers(struct entry *e, struct pt_regs *regs)
{
	put_args(e, regs->di, regs->si, regs->dx, regs->r10, regs->r8, regs->r9);
}

static __always_inline void put_compat_registers(struct entry *e, struct pt_regs *regs)
{
	put_args(e, (u32)regs->bx, (u32)regs->cx, (u32)regs->dx, (u32)regs->si, (u32)regs->di, (u32)regs->bp);
}
#elif defined(__TARGET_ARCH_arm64)
enum { TIF_32BIT = 22, X32_BIT = 0, ABI_X32 = 0, NR_SIGRETURN = 139, NR_SIGRETURN_COMPAT = 173 };

static __always_inline bool is_compat(const struct caller *c)
{
	struct task_struct *task = c->task;
	u64 flags = AQ_HAVE_TASK_BTF() ? task->thread_info.flags : BPF_CORE_READ(task, thread_info.flags);

	return flags & (1ul << TIF_32BIT);
}

static __always_inline u32 call_number(struct pt_regs *regs)
{
	return (u32)regs->syscallno;
}

static __always_inline void put_registers(struct entry *e, struct pt_regs *regs)
{
	put_args(e, regs->orig_x0, regs->regs[1], regs->regs[2], regs->regs[3], regs->regs[4], regs->regs[5]);
}

static __always_inline void put_compat_registers(struct entry *e, struct pt_regs *regs)
{
	put_args(e, (u32)regs->orig_x0, (u32)regs->regs[1], (u32)regs->regs[2], (u32)regs->regs[3], (u32)regs->regs[4],
		 (u32)regs->regs[5]);
}
#endif

/* Loaded only where durations are recorded. */
AQ_PROGRAM("?tp_btf/sys_enter", aq_sys_enter)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	struct caller caller;

	caller_init(&caller);
	if (is_target(caller.pid))
		stamp_put(caller.tid, call_number(regs), bpf_ktime_get_boot_ns());
	return 0;
}

AQ_PROGRAM("tp_btf/sys_exit", aq_sys_exit)
{
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	s64 ret = (s64)ctx[1];
	u32 abi = cfg_abi, event = 0, cls = CLASS_ORDINARY, want = 0, skip = 0, flags;
	struct aq_wire_call *call = NULL;
	struct caller caller;
	struct entry e;
	u64 began = 0;

	caller_init(&caller);
	if (!is_target(caller.pid))
		return 0;
	u32 nr = call_number(regs);
	if (cfg_durations)
		began = stamp_take(caller.tid, nr);
	bool compat = is_compat(&caller);
	if (compat) {
		abi = cfg_compat_abi;
		ret = (s64)(int)ret;
	}
	if (nr == ~0u) /* the number is wiped out when a signal handler returns */
		nr = compat ? NR_SIGRETURN_COMPAT : NR_SIGRETURN;
	else if (!compat && (nr & X32_BIT)) {
		abi = ABI_X32;
		nr &= ~X32_BIT;
	}
	if (nr < AQ_WIRE_NR_MAX) {
		u32 key = abi * AQ_WIRE_NR_MAX + nr;

		call = bpf_map_lookup_elem(&calls, &key);
		if (call && call->event) {
			event = call->event;
			cls = call->cls;
			skip = call->flags & AQ_WIRE_CALL_SKIP ? SKIP_FILTER : 0;
			want = call->attr_count | (call->flags &
					     (AQ_WIRE_CALL_RET_FD | AQ_WIRE_CALL_SOCK_FD | AQ_WIRE_CALL_ARG_FD));
		}
	}
	if (!skip)
		skip = skip_by_policy(&caller, event, cls);
	flags = (abi & AQ_WIRE_ABI_MASK) | (event ? 0 : AQ_WIRE_UNKNOWN_NR);
	if (!enter(&e, event, cls, flags, skip))
		return 0;
	if (cfg_durations && began && began <= e.slot->time_ns)
		put_duration(e.slot, e.slot->time_ns - began);
	put_ids(e.slot, caller.pid, caller.tid, ret, caller_cgroup(&caller));
	if (compat)
		put_compat_registers(&e, regs);
	else
		put_registers(&e, regs);
	if (!event)
		e.slot->args[5] = nr;
	/* most reads have no such result: they are through without a look at the descriptor */
	if (want && call && (call->flags & AQ_WIRE_CALL_DNS_ONLY) &&
	    ((u64)ret - AQ_WIRE_DNS_MIN >= AQ_WIRE_DNS_MAX - AQ_WIRE_DNS_MIN || !may_be_answer(e.slot)))
		want = 0;
	if (want && call)
		fetch_attrs(e.ring, e.slot, call, e.index, compat);
	if ((cfg_filter.kinds & AQ_WIRE_FILTER_PATH) && (e.slot->flags & AQ_WIRE_LEFT_OUT)) {
		leave_out(&e, event);
		return 0;
	}
	leave(&e);
	return 0;
}

#endif
