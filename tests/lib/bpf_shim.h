/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the kernel, so that the helper headers of bpf/ compile as ordinary C: include this first, then them. The
 * kernel's types are those of bpf/vmlinux, laid out as the compiler likes; its helpers are functions here, whose clock,
 * CPU, task and unreadable memory a test sets in `shim`. Settings (cfg_*) can be written.
 *
 * A test defines shim_lookup(), which knows the maps.
 */
#ifndef AQ_TESTS_LIB_BPF_SHIM_H
#define AQ_TESTS_LIB_BPF_SHIM_H

#pragma GCC diagnostic ignored "-Wunknown-pragmas"
#if defined(__clang__)
#pragma GCC diagnostic ignored "-Wunknown-attributes" /* those of the BPF target */
#endif
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wpointer-arith" /* the kernel's C counts in bytes there */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#if defined(__aarch64__)
#include "bpf/vmlinux/arm64/vmlinux.h"
#define __TARGET_ARCH_arm64
#else
#include "bpf/vmlinux/x86/vmlinux.h"
#define __TARGET_ARCH_x86
#endif
#undef bool
#undef true
#undef false
#undef NULL

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* in place of libbpf's headers */
#define __BPF_HELPERS__
#define __BPF_CORE_READ_H__
#define __BPF_TRACING_H__
#define SEC(name)
#define __ksym
#define __uint(name, value) int (*name)[value]
#define __type(name, value) __typeof__(value) *name
#define __array(name, value) __typeof__(value) *name[]
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#undef __noinline
#define __noinline __attribute__((noinline))
#ifndef __weak
#define __weak __attribute__((weak))
#endif

#define SHIM_NTH(a, b, c, d, e, n, ...) n
#define SHIM_1(p, a) ((p)->a)
#define SHIM_2(p, a, b) ((p)->a->b)
#define SHIM_3(p, a, b, c) ((p)->a->b->c)
#define SHIM_4(p, a, b, c, d) ((p)->a->b->c->d)
#define BPF_CORE_READ(...) SHIM_NTH(__VA_ARGS__, SHIM_4, SHIM_3, SHIM_2, SHIM_1, )(__VA_ARGS__)
#define bpf_core_field_offset(type, field) offsetof(type, field)
#define bpf_core_field_exists(...) 1
#define bpf_core_type_exists(type) 1
#define bpf_core_type_size(type) sizeof(type)
#define bpf_core_type_id_kernel(type) 0
#define bpf_core_enum_value_exists(type, value) 1

static struct {
	u64 now_ns, cgroup_id;
	u32 cpu;
	struct task_struct *task;
	const char *bad_from, *bad_to; /* memory that can't be read */
} shim;

static void *shim_lookup(const void *map, u32 key);

#define bpf_map_lookup_elem(map, key) shim_lookup((map), *(const u32 *)(key))

static inline long bpf_core_read(void *to, size_t size, const void *from)
{
	memcpy(to, from, size);
	return 0;
}

static inline u64 bpf_ktime_get_boot_ns(void)
{
	return shim.now_ns;
}

static inline u32 bpf_get_smp_processor_id(void)
{
	return shim.cpu;
}

static inline u64 bpf_get_current_cgroup_id(void)
{
	return shim.cgroup_id;
}

static inline struct task_struct *bpf_get_current_task_btf(void)
{
	return shim.task;
}

static inline u64 bpf_get_current_task(void)
{
	return (u64)(uintptr_t)shim.task;
}

static inline u64 bpf_get_current_pid_tgid(void)
{
	return (u64)(u32)shim.task->tgid << 32 | (u32)shim.task->pid;
}

static inline long shim_read(void *to, u32 n, const void *from)
{
	const char *p = from;

	if (p == NULL || (p < shim.bad_to && p + n > shim.bad_from)) {
		memset(to, 0, n);
		return -EFAULT;
	}
	memcpy(to, p, n);
	return 0;
}

/* The length with the NUL; what is longer is cut, and has its NUL all the same. */
static inline long shim_read_str(char *to, u32 size, const void *from)
{
	for (u32 i = 0; i < size; i++) {
		if (shim_read(to + i, 1, (const char *)from + i) < 0)
			return -EFAULT;
		if (to[i] == '\0')
			return i + 1;
	}
	if (size > 0)
		to[size - 1] = '\0';
	return size;
}

#define bpf_probe_read_kernel(to, n, from) shim_read((to), (n), (from))
#define bpf_probe_read_user(to, n, from) shim_read((to), (n), (from))
#define bpf_probe_read_kernel_str(to, n, from) shim_read_str((void *)(to), (n), (from))
#define bpf_probe_read_user_str(to, n, from) shim_read_str((void *)(to), (n), (from))

/* settings are constants to the verifier only */
#include "bpf/wire.h"
#define const
#include "bpf/maps.bpf.h"
#undef const

#endif
