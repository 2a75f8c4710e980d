/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's register file of a system call on aarch64. */
#ifndef AQ_BPF_VMLINUX_ARM64_H
#define AQ_BPF_VMLINUX_ARM64_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct user_pt_regs {
	unsigned long long regs[31];
};
struct pt_regs {
	unsigned long long regs[31];
	unsigned long long orig_x0;
	int syscallno;
};
struct thread_info {
	unsigned long flags;
};
#pragma clang attribute pop

#include "../common.h"

#endif
