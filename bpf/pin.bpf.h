/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs that are not preempted. Up to 6.18 the kernel runs programs on tracepoints with preemption off. Later ones do
 * not: another task could then come to the same CPU in the middle of a program, whose own events the kernel would leave
 * out (it runs a program once at a time on a CPU) or the ring would turn away. There the programs switch it off
 * themselves; the loader says in cfg_pin whether they must and can.
 *
 * That is not enough for what is vital: a task that is to give way does so where preemption is switched on again, before
 * the kernel has noted that the program is through, and until that task goes on the kernel leaves the program out on that
 * CPU. So there are two of these programs on each tracepoint of a process's life. The first notes that it ran, by thread
 * and by what it was called with; the second does the work where it was not noted, and counts that in `again`.
 */
#ifndef AQ_BPF_PIN_H
#define AQ_BPF_PIN_H

#include "maps.bpf.h"

extern void bpf_preempt_disable(void) __ksym __weak; /* since 6.10 */
extern void bpf_preempt_enable(void) __ksym __weak;

/* AQ_PROGRAM("tp_btf/sys_exit", aq_sys_exit) { … uses u64 *ctx, returns 0 … } */
#define AQ_PROGRAM(section, name)                                                                                      \
	static __always_inline int name##_pinned(u64 *ctx);                                                            \
	SEC(section)                                                                                                   \
	int name(u64 *ctx)                                                                                             \
	{                                                                                                              \
		if (cfg_pin)                                                                                           \
			bpf_preempt_disable();                                                                         \
		name##_pinned(ctx);                                                                                    \
		if (cfg_pin)                                                                                           \
			bpf_preempt_enable();                                                                          \
		return 0;                                                                                              \
	}                                                                                                              \
	static __always_inline int name##_pinned(u64 *ctx)

enum { NOTED_SLOTS = 65536 };

static __always_inline u64 *noted_slot(void)
{
	u32 key = (u32)bpf_get_current_pid_tgid() & (NOTED_SLOTS - 1);

	return bpf_map_lookup_elem(&noted, &key);
}

static __always_inline void note(u64 what)
{
	u64 *slot = noted_slot();

	if (slot)
		*slot = what;
}

/* True: the first program has seen to it. */
static __always_inline bool is_noted(u64 what)
{
	u64 *slot = noted_slot();

	if (!slot || *slot != what) {
		__sync_fetch_and_add(&again, 1);
		return false;
	}
	*slot = 0;
	return true;
}

/* As AQ_PROGRAM, with name_again beside it; `which` is the argument, a pointer, that tells calls of a thread apart. */
#define AQ_PROGRAM_TWICE(tracepoint, name, which)                                                                      \
	static __always_inline int name##_once(u64 *ctx);                                                              \
	AQ_PROGRAM("tp_btf/" tracepoint, name)                                                                         \
	{                                                                                                              \
		if (cfg_pin)                                                                                           \
			note(ctx[which]);                                                                              \
		return name##_once(ctx);                                                                               \
	}                                                                                                              \
	AQ_PROGRAM("?tp_btf/" tracepoint, name##_again)                                                                \
	{                                                                                                              \
		return is_noted(ctx[which]) ? 0 : name##_once(ctx);                                                    \
	}                                                                                                              \
	static __always_inline int name##_once(u64 *ctx)

#endif
