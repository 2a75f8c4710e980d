/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Attributes from memory: strings, string vectors, addresses and small structures of the user's, strings of the
 * kernel's. User memory is read without faulting: what is not resident is flagged as unreadable.
 */
#ifndef AQ_BPF_FETCH_H
#define AQ_BPF_FETCH_H

#include "path_filter.bpf.h"

enum { SOCKADDR_MAX = 128, COMM_BYTES = 16 };
enum { VEC_MAX = 8192, VEC_STRING_MAX = 2048, VEC_STRINGS = 64 };
enum { PAGE_BYTES = 4096, ARGV_CHUNKS = ARGV_MAX / PAGE_BYTES };

/* The head of a string that a helper fetched: n bytes with the NUL; old kernels say 0 for an empty one. */
static __always_inline void string_head(struct attrs *a, char *place, u32 key, long n, bool cut)
{
	if (n < 0)
		attr_head(a, place, key, AQ_WIRE_ATF_UNREADABLE, 0, 0);
	else
		attr_head(a, place, key, cut ? AQ_WIRE_ATF_TRUNCATED : 0,
			  n > 0 ? ((u32)n - 1) & (STRING_MAX - 1) : 0, 0);
}

/* Read as a whole and then cut to the setting: so the length is known of what is shorter than the longest path. */
static __noinline u32 put_user_string(struct attrs *a, u32 key, u64 user)
{
	char *place = attr_place(a);
	u32 keep = cfg_string_max;
	char next = 0;

	if (!place)
		return 1;
	long n = bpf_probe_read_user_str(place + sizeof(struct aq_wire_attr), STRING_MAX, (const void *)user);
	if ((cfg_filter.kinds & AQ_WIRE_FILTER_PATH) && key == AQ_ATTR_PATH)
		note_user_path(a, place + sizeof(struct aq_wire_attr), n > 0 ? (u64)n : 0);
	if (n > (long)keep && n < STRING_MAX) {
		attr_head(a, place, key, AQ_WIRE_ATF_TRUNCATED, (keep - 1) & (STRING_MAX - 1), (u32)n - 1);
		return 0;
	}
	/* a string that fills the buffer exactly is not cut: the byte under its last NUL tells */
	if (n >= STRING_MAX)
		bpf_probe_read_user(&next, 1, (const void *)(user + STRING_MAX - 1));
	string_head(a, place, key, n > (long)keep ? (long)keep : n, next != 0 || n > (long)keep);
	return 0;
}

static __always_inline void put_kernel_string(struct attrs *a, u32 key, const void *from, u32 size)
{
	char *place = attr_place(a);

	if (!place)
		return;
	long n = bpf_probe_read_kernel_str(place + sizeof(struct aq_wire_attr), size, from);
	string_head(a, place, key, n, n >= (long)size && size != COMM_BYTES);
}

/* n bytes of user memory, at most max (a constant). */
static __always_inline void put_user_bytes(struct attrs *a, u32 key, u64 user, u32 n, u32 max)
{
	char *place = attr_place(a);
	u32 full = n;

	if (!place)
		return;
	if (n > max) /* proves the bound of the read */
		n = max;
	if (n == 0 || bpf_probe_read_user(place + sizeof(struct aq_wire_attr), n, (const void *)user) != 0)
		attr_head(a, place, key, AQ_WIRE_ATF_UNREADABLE, 0, 0);
	else
		attr_head(a, place, key, full > max ? AQ_WIRE_ATF_TRUNCATED : 0, n, full > max ? full : 0);
}

/* A structure of which at most AQ_WIRE_STRUCT_MAX bytes are looked at. */
static __always_inline void put_user_struct(struct attrs *a, u32 arg, u64 user, u64 n)
{
	char *place = attr_place(a);

	if (!place)
		return;
	if (n > AQ_WIRE_STRUCT_MAX) /* proves the bound of the read */
		n = AQ_WIRE_STRUCT_MAX;
	if (n == 0 || bpf_probe_read_user(place + sizeof(struct aq_wire_attr), (u32)n, (const void *)user) != 0)
		attr_head(a, place, AQ_ATTR_STRUCT, AQ_WIRE_ATF_UNREADABLE, 0, 0);
	else
		attr_head(a, place, AQ_ATTR_STRUCT, 0, (u32)n, 0);
	((struct aq_wire_attr *)(void *)place)->arg = arg;
}

/* The first `max` bytes of n that were read or written. */
static __always_inline void put_user_data(struct attrs *a, u32 flags, u64 user, u64 n, u32 max)
{
	char *place = attr_place(a);
	u64 take = n;

	if (!place)
		return;
	if (take > max)
		take = max;
	if (take > AQ_WIRE_DATA_MAX) /* proves the bound of the read */
		take = AQ_WIRE_DATA_MAX;
	if (bpf_probe_read_user(place + sizeof(struct aq_wire_attr), (u32)take, (const void *)user) != 0)
		attr_head(a, place, AQ_ATTR_DATA, AQ_WIRE_ATF_UNREADABLE, 0, 0);
	else
		attr_head(a, place, AQ_ATTR_DATA, flags | (take < n ? AQ_WIRE_ATF_TRUNCATED : 0), (u32)take,
			  take < n ? (u32)n : 0);
}

/* A vector of pointers (of 4 or 8 bytes) to strings, each kept with its NUL. */
static __noinline u32 put_user_vec(struct attrs *a, u32 key, u64 user, u32 pointer_bytes)
{
	char *place = attr_place(a);
	u32 flags = AQ_WIRE_ATF_TRUNCATED;

	if (!place)
		return 1;
	attr_use(a, 0);
	for (u32 i = 0; i < VEC_STRINGS; i++) {
		u64 pointer = 0, n = attr_used(a);

		if (bpf_probe_read_user(&pointer, pointer_bytes == 4 ? 4 : 8,
					(const void *)(user + i * pointer_bytes)) != 0) {
			if (i == 0)
				flags = AQ_WIRE_ATF_UNREADABLE;
			break;
		}
		if (!pointer) {
			flags &= ~AQ_WIRE_ATF_TRUNCATED;
			break;
		}
		if (n > VEC_MAX - VEC_STRING_MAX) /* proves that a string still fits */
			break;
		long k = bpf_probe_read_user_str(place + sizeof(struct aq_wire_attr) + n, VEC_STRING_MAX,
						 (const void *)pointer);
		if (k < 0)
			break;
		attr_use(a, n + (k > 0 ? (u64)k : 1)); /* see string_head() */
		if (k >= VEC_STRING_MAX)
			break;
	}
	attr_head(a, place, key, flags, (u32)attr_used(a), 0);
	return 0;
}

/* The arguments or the environment of a new program, NULs and all, as far as their pages are there. */
static __noinline u32 put_area(struct attrs *a, u32 key, u64 start, u64 end)
{
	char *place = attr_place(a);
	u64 max = cfg_argv_max;
	u32 n;

	if (!place)
		return 1;
	if (max > ARGV_MAX)
		max = ARGV_MAX;
	if (max > end - start)
		max = end - start;
	attr_use(a, 0);
	for (int i = 0; i < ARGV_CHUNKS; i++) {
		u64 at = (u64)i * PAGE_BYTES, chunk = PAGE_BYTES;
		char *to = place + sizeof(struct aq_wire_attr) + at;

		if (at >= max)
			break;
		if (chunk > max - at)
			chunk = max - at;
		asm volatile("" : "+r"(chunk)); /* clang knows the bound and would leave out what proves it */
		if (chunk > PAGE_BYTES) /* proves the bound of the read */
			break;
		if (bpf_probe_read_user(to, (u32)chunk, (const void *)(start + at)) != 0) {
			/* what lies before the page that is not there */
			u64 before = PAGE_BYTES - ((start + at) & (PAGE_BYTES - 1));

			if (before < chunk && bpf_probe_read_user(to, (u32)before, (const void *)(start + at)) == 0)
				attr_use(a, at + before);
			break;
		}
		attr_use(a, at + chunk);
	}
	n = (u32)attr_used(a);
	if (n == 0)
		attr_head(a, place, key, AQ_WIRE_ATF_UNREADABLE, 0, 0);
	else if (n < end - start)
		attr_head(a, place, key, AQ_WIRE_ATF_TRUNCATED, n, (u32)(end - start));
	else
		attr_head(a, place, key, 0, n, 0);
	return 0;
}

#endif
