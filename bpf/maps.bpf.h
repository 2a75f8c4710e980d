/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* All maps and all settings of the kernel side. Sizes marked "loader" are set before loading. */
#ifndef AQ_BPF_MAPS_H
#define AQ_BPF_MAPS_H

#include <bpf/bpf_helpers.h>

#include "bpf/wire.h"

enum { AQ_ABIS = 5 };

struct attr_part {
	char bytes[AQ_WIRE_ATTR_PART + AQ_WIRE_ATTR_MAX];
};

struct { /* one per CPU (loader) */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct aq_wire_cpu);
} ctl SEC(".maps");

struct { /* (cpu * classes + class) * parts + part (loader) */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, AQ_WIRE_PART_SLOTS * sizeof(struct aq_wire_fixed)); /* loader: struct aq_wire_timed */
} fixed SEC(".maps");

struct { /* as above (loader) */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct attr_part);
} attr SEC(".maps");

struct { /* abi * AQ_WIRE_NR_MAX + nr */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AQ_ABIS * AQ_WIRE_NR_MAX);
	__type(key, u32);
	__type(value, struct aq_wire_call);
} calls SEC(".maps");

struct { /* thread groups of the command that is recorded: tgid -> 1 */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32);
	__type(value, u32);
} targets SEC(".maps");

struct { /* by thread id modulo their number (loader) */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct aq_wire_stamp);
} stamps SEC(".maps");

struct { /* cgroup id -> AQ_WIRE_CGROUP_ONLY, _NOT (loader: as many as may come) */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, u32);
} filter_cgroups SEC(".maps");

struct { /* cgroup id -> what it has used (loader) */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, struct aq_wire_budget);
} budgets SEC(".maps");

struct { /* cgroup id -> a limit of its own (loader) */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, struct aq_wire_limit);
} budget_limits SEC(".maps");

struct { /* what was left out, as long as there is room (loader) */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct aq_wire_drop_key);
	__type(value, struct aq_wire_drop);
} budget_drops SEC(".maps");

struct { /* what the first of two programs has seen to, by thread id (pin.bpf.h; loader) */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} noted SEC(".maps");

aq_u64 again = 0; /* events that the second program saw to */

/* Constants to the verifier: what they switch off is not even checked. */
const volatile unsigned int cfg_fixed_parts = 1;  /* powers of two */
const volatile unsigned int cfg_attr_parts = 1;
const volatile unsigned int cfg_own_tgid = 0;     /* the recorder itself is not recorded */
const volatile unsigned int cfg_filter_tree = 0;  /* only thread groups in `targets` */
const volatile struct aq_wire_filter cfg_filter = {};
const volatile unsigned int cfg_budget = 0;       /* cgroups have budgets */
const volatile struct aq_wire_limit cfg_limit = {}; /* of a cgroup that is not in `budget_limits` */
const volatile unsigned int cfg_kernel_paths = 1; /* paths from the kernel's dentries for what was opened */
const volatile unsigned int cfg_pin = 0;          /* programs switch preemption off themselves (pin.bpf.h) */
const volatile unsigned int cfg_typed_pointers = 0; /* the kernel has bpf_rdonly_cast (6.2) */
const volatile unsigned int cfg_durations = 0;    /* slots are struct aq_wire_timed */
const volatile unsigned int cfg_stamps = 1;       /* entries of `stamps`, a power of two */
const volatile unsigned int cfg_abi = 0;          /* of 64-bit calls, enum aq_abi */
const volatile unsigned int cfg_compat_abi = 1;   /* of 32-bit calls */
const volatile unsigned int cfg_string_max = 4096; /* longest string with its NUL; at most STRING_MAX */
const volatile unsigned int cfg_argv_max = 16384;  /* longest argument area of an exec; at most ARGV_MAX */
const volatile unsigned int cfg_uring_submit = 0;  /* enum aq_wire_uring: form of the tracepoints */
const volatile unsigned int cfg_uring_complete = 0;
const volatile unsigned int cfg_environment = 0;   /* of a new program too */
const volatile unsigned int cfg_data_max = 0;      /* bytes of what is read and written; at most AQ_WIRE_DATA_MAX */

#endif
