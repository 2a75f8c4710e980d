/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel side: one program on the exit of every system call, and one each for the events of a process's and a
 * cgroup's life and for requests through io_uring. Records go to per-CPU rings by class (wire.h); nothing here waits and nothing is dropped uncounted.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "prog_call.bpf.h"
#include "prog_cgroup.bpf.h"
#include "prog_life.bpf.h"
#include "prog_uring.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
