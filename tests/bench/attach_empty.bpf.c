/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The floor that every hook is measured against: a program on sys_exit that does nothing. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tp_btf/sys_exit")
int empty(void *ctx)
{
	return 0;
}
