/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The same record of 88 bytes at the exit of every system call, kept in two ways: in a BPF ring buffer for each CPU
 * (reserve, fill, submit), and in a ring of one producer in a mmapable array for each CPU, as bpf/ring.bpf.h does it.
 * A third program only fills a record that goes nowhere. bench_ring.c compares them.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

typedef __u32 u32;
typedef __u64 u64;
#define NULL ((void *)0)

enum { RECORD_WORDS = 11, SLOTS = 65536, PART_SLOTS = 4096, PARTS = SLOTS / PART_SLOTS };

struct record {
	u64 word[RECORD_WORDS];
};

struct part {
	struct record record[PART_SLOTS];
};

struct control {
	u64 head, lost, reserved1[6];
	u64 tail, reserved2[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct control);
} control SEC(".maps");

struct { /* cpu * PARTS + part (loader) */
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PARTS);
	__type(key, u32);
	__type(value, struct part);
} parts SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
};

struct { /* one for each CPU (loader) */
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct inner);
} buffers SEC(".maps");

const volatile unsigned int cfg_tgid = 0;

static __always_inline void fill(struct record *r, u64 *ctx, u64 id)
{
	r->word[0] = bpf_ktime_get_boot_ns();
	r->word[1] = id;
#pragma unroll
	for (int i = 2; i < RECORD_WORDS; i++)
		r->word[i] = ctx[1];
	asm volatile("" ::: "memory");
}

SEC("tp_btf/sys_exit")
int to_nowhere(u64 *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	struct record r;

	if (id >> 32 == cfg_tgid)
		fill(&r, ctx, id);
	return 0;
}

SEC("tp_btf/sys_exit")
int to_ringbuf(u64 *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 cpu = bpf_get_smp_processor_id();

	if (id >> 32 != cfg_tgid)
		return 0;
	void *buffer = bpf_map_lookup_elem(&buffers, &cpu);
	struct record *r = buffer ? bpf_ringbuf_reserve(buffer, sizeof(*r), 0) : NULL;
	if (!r) {
		struct control *c = bpf_map_lookup_elem(&control, &cpu);

		if (c)
			c->lost++;
		return 0;
	}
	fill(r, ctx, id);
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/sys_exit")
int to_array(u64 *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 cpu = bpf_get_smp_processor_id();

	if (id >> 32 != cfg_tgid)
		return 0;
	struct control *c = bpf_map_lookup_elem(&control, &cpu);
	if (!c)
		return 0;
	u64 head = c->head;
	u32 key = cpu * PARTS + ((u32)(head / PART_SLOTS) & (PARTS - 1));
	struct part *part = head - *(volatile u64 *)&c->tail < SLOTS ? bpf_map_lookup_elem(&parts, &key) : NULL;
	if (!part) {
		c->lost++;
		return 0;
	}
	fill(&part->record[head & (PART_SLOTS - 1)], ctx, id);
#if defined(__TARGET_ARCH_arm64)
	__sync_lock_test_and_set(&c->head, head + 1);
#else
	*(volatile u64 *)&c->head = head + 1;
#endif
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
