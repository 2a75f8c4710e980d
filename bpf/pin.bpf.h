/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs that are not preempted. Up to 6.18 the kernel runs programs on tracepoints with preemption off. Later ones do
 * not: another task could then come to the same CPU in the middle of a program, whose own events the kernel would leave
 * out (it runs a program once at a time on a CPU) or the ring would turn away. There the programs switch it off
 * themselves; the loader says in cfg_pin whether they must and can. Between the kernel's look and the program's first
 * instruction a few nanoseconds remain, and what is left out in them is counted by the kernel.
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

#endif
