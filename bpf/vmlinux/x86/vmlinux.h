/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's register file of a system call on x86-64. */
#ifndef AQ_BPF_VMLINUX_X86_H
#define AQ_BPF_VMLINUX_X86_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct pt_regs {
	unsigned long r10, r9, r8, cx, dx, si, di, bx, bp, orig_ax, ip;
};
struct thread_info {
	unsigned int status;
	unsigned long flags;
};
#pragma clang attribute pop

#include "../common.h"

#endif
