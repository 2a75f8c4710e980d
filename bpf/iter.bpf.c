/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Iterators for the state at the start, apart from the programs that record: without them /proc is read. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "prog_iter.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
