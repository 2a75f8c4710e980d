/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Attributes: strings and addresses from user memory, paths from dentries, sockets, small structures. */
#ifndef AQ_BPF_FETCH_H
#define AQ_BPF_FETCH_H

#include <bpf/bpf_core_read.h>

#include "ring.bpf.h"

enum { ATF_TRUNCATED = 1, ATF_UNREADABLE = 2, ATF_PARTIAL = 4 };
enum { KEY_PATH = 1, KEY_KPATH = 3, KEY_ARGV = 4, KEY_TUPLE = 7, KEY_COMM = 9, KEY_CGROUP_PATH = 15, KEY_WORDS = 18 };
enum { FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10, TUPLE_HALF = 28, SOCKADDR_MAX = 128 };

static __always_inline void put_user_string(struct entry *e, u32 key, const void *user)
{
	char *place = attr_place(e);
	if (!place)
		return;
	long n = bpf_probe_read_user_str(place + sizeof(struct aq_wire_attr), STRING_MAX, user);
	if (n <= 0)
		attr_head(e, place, key, ATF_UNREADABLE, 0, 0);
	else
		attr_head(e, place, key, n >= STRING_MAX ? ATF_TRUNCATED : 0, ((u32)n - 1) & (STRING_MAX - 1), 0);
}

static __always_inline void put_kernel_string(struct entry *e, u32 key, const void *from)
{
	char *place = attr_place(e);
	if (!place)
		return;
	long n = bpf_probe_read_kernel_str(place + sizeof(struct aq_wire_attr), STRING_MAX, from);
	if (n <= 0)
		attr_head(e, place, key, ATF_UNREADABLE, 0, 0);
	else
		attr_head(e, place, key, n >= STRING_MAX ? ATF_TRUNCATED : 0, ((u32)n - 1) & (STRING_MAX - 1), 0);
}

/* n bytes of user memory, at most max (a constant power of two). */
static __always_inline void put_user_bytes(struct entry *e, u32 key, const void *user, u64 n, u32 max)
{
	char *place = attr_place(e);
	u32 flags = 0, full = (u32)n;
	if (!place)
		return;
	if (n > max) { /* proves the bound of the read below */
		n = max;
		flags = ATF_TRUNCATED;
	}
	if (n == 0 || bpf_probe_read_user(place + sizeof(struct aq_wire_attr), (u32)n, user) != 0)
		attr_head(e, place, key, ATF_UNREADABLE, 0, 0);
	else
		attr_head(e, place, key, flags, (u32)n, flags ? full : 0);
}

/* The path of a file, innermost component first; the recorder turns it round. */
static __noinline u32 put_path(struct entry *e, u32 key, struct dentry *dentry, struct vfsmount *vfsmnt)
{
	char *place = attr_place(e);
	if (!place)
		return opaque_zero();
	struct mount *mnt = (void *)vfsmnt - bpf_core_field_offset(struct mount, mnt);
	struct dentry *root = BPF_CORE_READ(vfsmnt, mnt_root);
	char *to = place + sizeof(struct aq_wire_attr);
	u32 n = 0, flags = AQ_WIRE_ATF_REVERSED | ATF_PARTIAL;
	for (int i = 0; i < COMPONENTS; i++) {
		struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
		if (dentry == root || dentry == parent) {
			struct mount *up = BPF_CORE_READ(mnt, mnt_parent);
			if (up == mnt || dentry != root) {
				flags &= ~ATF_PARTIAL;
				break;
			}
			dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
			mnt = up;
			root = BPF_CORE_READ(mnt, mnt.mnt_root);
			continue;
		}
		if (n > STRING_MAX - COMPONENT_MAX) /* proves that a component still fits */
			break;
		long k = bpf_probe_read_kernel_str(to + n, COMPONENT_MAX, BPF_CORE_READ(dentry, d_name.name));
		if (k <= 0)
			break;
		n += (u32)k & (2 * COMPONENT_MAX - 1);
		dentry = parent;
	}
	attr_head(e, place, key, flags, n, 0);
	return opaque_zero();
}

/* The current task's file behind a descriptor, or NULL. */
static __always_inline struct file *file_of(struct task_struct *task, u64 fd)
{
	struct file *file = NULL;
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	if (!table || fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	struct file **files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file;
}

static __always_inline void put_file_path(struct entry *e, struct task_struct *task, u64 fd)
{
	struct file *file = file_of(task, fd);
	if (file)
		e->flags |= put_path(e, KEY_KPATH, BPF_CORE_READ(file, f_path.dentry), BPF_CORE_READ(file, f_path.mnt));
}

/* Local and remote address of the socket itself. */
static __always_inline void put_tuple(struct entry *e, struct task_struct *task, u64 fd)
{
	enum { S_IFMT_ = 0170000, S_IFSOCK_ = 0140000 };
	struct file *file = file_of(task, fd);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT_) != S_IFSOCK_)
		return;
	struct socket *sock = BPF_CORE_READ(file, private_data);
	struct sock *sk = BPF_CORE_READ(sock, sk);
	if (!sk)
		return;
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != FAMILY_INET && family != FAMILY_INET6)
		return;
	char *place = attr_place(e);
	if (!place)
		return;
	char *to = place + sizeof(struct aq_wire_attr);
	__builtin_memset(to, 0, 2 * TUPLE_HALF);
	u16 local_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_num));
	u16 remote_port = BPF_CORE_READ(sk, __sk_common.skc_dport);
	__builtin_memcpy(to, &family, 2);
	__builtin_memcpy(to + 2, &local_port, 2);
	__builtin_memcpy(to + TUPLE_HALF, &family, 2);
	__builtin_memcpy(to + TUPLE_HALF + 2, &remote_port, 2);
	if (family == FAMILY_INET) {
		u32 local = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr), remote = BPF_CORE_READ(sk, __sk_common.skc_daddr);
		__builtin_memcpy(to + 4, &local, 4);
		__builtin_memcpy(to + TUPLE_HALF + 4, &remote, 4);
	} else {
		bpf_core_read(to + 8, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(to + TUPLE_HALF + 8, 16, &sk->__sk_common.skc_v6_daddr);
	}
	attr_head(e, place, KEY_TUPLE, 0, 2 * TUPLE_HALF, 0);
}

#endif
