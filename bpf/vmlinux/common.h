/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel types that the programs look into, cut down to the members they use. Offsets come from the running
 * kernel's BTF when the object is loaded (CO-RE), so that order and completeness do not matter here. A full vmlinux.h
 * can take this header's place (-DAQ_VMLINUX_H=…).
 */
#ifndef AQ_BPF_VMLINUX_COMMON_H
#define AQ_BPF_VMLINUX_COMMON_H

#include <linux/bpf.h>
#include <linux/types.h>

#ifndef __VMLINUX_H__
#define __VMLINUX_H__
#endif

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;
typedef _Bool bool;
enum { false = 0, true = 1 };
#define NULL ((void *)0)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_head {
	struct hlist_node *first;
};
struct qstr {
	u32 len;
	const unsigned char *name;
};
struct super_block {
	u32 s_dev;
	unsigned long s_magic;
};
struct inode {
	u16 i_mode;
	unsigned long i_ino;
	struct super_block *i_sb;
	unsigned int i_nlink;
	void *i_private;
};
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};
struct vfsmount {
	struct dentry *mnt_root;
};
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
};
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};
struct files_struct {
	struct fdtable *fdt;
};
struct mm_struct {
	unsigned long arg_start, arg_end, env_start, env_end;
};
struct ns_common {
	unsigned int inum;
};
struct cgroup_namespace {
	struct ns_common ns;
};
struct ipc_namespace {
	struct ns_common ns;
};
struct mnt_namespace {
	struct ns_common ns;
};
struct net {
	struct ns_common ns;
};
struct pid_namespace {
	struct ns_common ns;
};
struct time_namespace { /* since 5.6 */
	struct ns_common ns;
};
struct user_namespace {
	struct ns_common ns;
};
struct uts_namespace {
	struct ns_common ns;
};
struct nsproxy {
	struct uts_namespace *uts_ns;
	struct ipc_namespace *ipc_ns;
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
	struct time_namespace *time_ns;
	struct cgroup_namespace *cgroup_ns;
};
struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	unsigned int level;
	struct upid numbers[1];
};
typedef struct {
	int counter;
} atomic_t;
struct tty_driver {
	int major, minor_start;
};
struct tty_struct {
	int index;
	struct tty_driver *driver;
};
struct signal_struct {
	atomic_t live;
	struct pid *pids[4]; /* PIDTYPE_PID, TGID, PGID, SID since 4.19 */
	struct tty_struct *tty;
};
typedef struct {
	u32 val;
} kuid_t;
typedef struct {
	u32 val;
} kgid_t;
typedef struct {
	u64 val; /* two u32 before 6.3, the same eight bytes */
} kernel_cap_t;
struct cred {
	kuid_t uid, euid;
	kgid_t gid, egid;
	kernel_cap_t cap_effective;
	struct user_namespace *user_ns;
};
struct kernfs_node {
	u64 id;
};
struct cgroup_root {
	int hierarchy_id;
};
struct cgroup;
struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};
struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};
struct css_set {
	struct cgroup *dfl_cgrp;
};
struct task_struct {
	struct thread_info thread_info;
	int pid, tgid;
	int exit_code;
	u64 start_boottime;
	struct task_struct *real_parent, *group_leader;
	const struct cred *cred;
	struct mm_struct *mm;
	struct files_struct *files;
	struct signal_struct *signal;
	struct pid *thread_pid;
	struct css_set *cgroups;
	struct nsproxy *nsproxy;
	char comm[16];
};
struct linux_binprm {
	struct file *file;
	const char *filename;
	const char *interp;
};
struct in6_addr {
	u8 in6_u[16];
};
struct sock_common {
	u32 skc_daddr, skc_rcv_saddr;
	u16 skc_dport, skc_num;
	u16 skc_family;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};
struct sock {
	struct sock_common __sk_common;
};
struct socket {
	short type;
	struct sock *sk;
};
struct sockaddr_un {
	u16 sun_family;
};
struct unix_address {
	int len;
	struct sockaddr_un name[1];
};
struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};
struct io_uring_sqe;
struct io_uring_cqe {
	u64 user_data;
	int res;
	u32 flags;
};
struct io_ring_ctx {
	unsigned int flags;
	u32 *sq_array;
	struct io_uring_sqe *sq_sqes;
	unsigned int cached_sq_head, sq_entries;
};
struct io_cqe {
	u64 user_data;
};
struct io_kiocb {
	u8 opcode;
	struct io_cqe cqe; /* since 5.19 */
	struct io_ring_ctx *ctx;
};
struct ovl_inode { /* of a module: may be missing */
	struct dentry *__upperdentry;
	struct inode vfs_inode;
};

#pragma clang attribute pop

#endif
