/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel side: one program on the exit of every system call, and one each for the events of a process's and a
 * cgroup's life. Records go to per-CPU rings by class (wire.h); nothing here waits and nothing is dropped uncounted.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "fetch.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Event ids of format/schema/events.def; the recorder asserts that they agree. */
enum {
	EV_FORK = 1024, EV_EXEC = 1025, EV_EXIT = 1026, EV_CGROUP_MKDIR = 1027, EV_CGROUP_RMDIR = 1028, EV_CGROUP_ATTACH = 1029,
	EV_RENAME = 1030
};
enum { CLASS_VITAL = 0, CLASS_IMPORTANT = 1, CLASS_ORDINARY = 2 };

static __always_inline bool is_target(u32 tgid)
{
	if (tgid == cfg_own_tgid)
		return false;
	return !cfg_filter_tree || bpf_map_lookup_elem(&targets, &tgid);
}

struct call_args {
	u64 v[AQ_WIRE_ARGS];
};

/* Everything variable of a call. Off the plain path, so that calls without attributes do not pay for it. */
static __noinline u32 fetch_attrs(struct entry *e, struct aq_wire_call *call, struct call_args *args, s64 ret)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	if (!attrs_begin(e))
		return opaque_zero();
	for (u32 i = 0; i < 4; i++) {
		if (i >= call->attr_count)
			break;
		u32 kind = call->attr[i].kind, key = call->attr[i].key, n = call->attr[i].arg, len_arg = call->attr[i].len_arg;
		if (n >= AQ_WIRE_ARGS) /* proves the bound of args */
			break;
		const void *user = (const void *)args->v[n];
		if (!user)
			continue;
		if (kind == AQ_WIRE_FETCH_STRING) {
			put_user_string(e, key, user);
		} else if (kind == AQ_WIRE_FETCH_SOCKADDR_IN && len_arg < AQ_WIRE_ARGS) {
			put_user_bytes(e, key, user, (u32)args->v[len_arg], SOCKADDR_MAX);
		} else if (kind == AQ_WIRE_FETCH_SOCKADDR_OUT && len_arg < AQ_WIRE_ARGS && ret >= 0) {
			u32 length = 0;
			bpf_probe_read_user(&length, sizeof(length), (const void *)args->v[len_arg]);
			if (length)
				put_user_bytes(e, key, user, length, SOCKADDR_MAX);
		} else if (kind == AQ_WIRE_FETCH_FD_PAIR && ret >= 0) {
			put_user_bytes(e, key, user, 8, 8);
		}
	}
	if ((call->flags & AQ_WIRE_CALL_RET_FD) && ret >= 0 && cfg_kernel_paths)
		put_file_path(e, task, (u64)ret);
	if (call->flags & AQ_WIRE_CALL_SOCK_FD)
		put_tuple(e, task, call->flags & AQ_WIRE_CALL_RET_FD ? (u64)ret : (u32)args->v[0]);
	attrs_end(e);
	return opaque_zero();
}

#if defined(__TARGET_ARCH_x86)
enum { TS_COMPAT = 2, X32_BIT = 0x40000000, ABI_X32 = 2 };

static __always_inline u32 read_call(struct pt_regs *regs, struct call_args *a, u32 *ret_nr)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 nr = regs->orig_ax;
	if (task->thread_info.status & TS_COMPAT) {
		*ret_nr = (u32)nr;
		a->v[0] = (u32)regs->bx;
		a->v[1] = (u32)regs->cx;
		a->v[2] = (u32)regs->dx;
		a->v[3] = (u32)regs->si;
		a->v[4] = (u32)regs->di;
		a->v[5] = (u32)regs->bp;
		return cfg_compat_abi;
	}
	a->v[0] = regs->di;
	a->v[1] = regs->si;
	a->v[2] = regs->dx;
	a->v[3] = regs->r10;
	a->v[4] = regs->r8;
	a->v[5] = regs->r9;
	*ret_nr = (u32)nr & ~X32_BIT;
	return nr & X32_BIT ? ABI_X32 : cfg_abi;
}
#elif defined(__TARGET_ARCH_arm64)
enum { TIF_32BIT = 22 };

static __always_inline u32 read_call(struct pt_regs *regs, struct call_args *a, u32 *ret_nr)
{
	struct task_struct *task = bpf_get_current_task_btf();
	*ret_nr = (u32)regs->syscallno;
	a->v[0] = regs->orig_x0;
	a->v[1] = regs->regs[1];
	a->v[2] = regs->regs[2];
	a->v[3] = regs->regs[3];
	a->v[4] = regs->regs[4];
	a->v[5] = regs->regs[5];
	if (!(task->thread_info.flags & (1ul << TIF_32BIT)))
		return cfg_abi;
	for (int i = 0; i < AQ_WIRE_ARGS; i++)
		a->v[i] = (u32)a->v[i];
	return cfg_compat_abi;
}
#endif

SEC("tp_btf/sys_exit")
int aq_sys_exit(u64 *ctx)
{
	struct call_args args;
	struct entry e;
	u64 pid_tgid = bpf_get_current_pid_tgid();
	s64 ret = (s64)ctx[1];
	u32 nr;
	if (!is_target((u32)(pid_tgid >> 32)))
		return 0;
	u32 abi = read_call((struct pt_regs *)ctx[0], &args, &nr);
	u32 key = abi * AQ_WIRE_NR_MAX + nr;
	struct aq_wire_call *call = nr < AQ_WIRE_NR_MAX ? bpf_map_lookup_elem(&calls, &key) : NULL;
	u32 event = 0, cls = CLASS_ORDINARY, flags = abi & AQ_WIRE_ABI_MASK, want = 0;
	if (abi == cfg_compat_abi)
		ret = (s64)(int)ret;
	if (call) {
		event = call->event;
		cls = call->cls;
		want = call->attr_count | (call->flags & (AQ_WIRE_CALL_RET_FD | AQ_WIRE_CALL_SOCK_FD));
	}
	if (!event) {
		flags |= AQ_WIRE_UNKNOWN_NR;
		args.v[5] = nr;
	}
	if (!enter(&e, event, cls, call && (call->flags & AQ_WIRE_CALL_SKIP)))
		return 0;
	e.flags = flags;
	if (want && call)
		e.flags |= fetch_attrs(&e, call, &args, ret);
	struct aq_wire_fixed *slot = e.slot;
	slot->args[0] = args.v[0];
	slot->args[1] = args.v[1];
	slot->args[2] = args.v[2];
	slot->args[3] = args.v[3];
	slot->args[4] = args.v[4];
	slot->args[5] = args.v[5];
	leave(&e, pid_tgid, ret, bpf_get_current_cgroup_id());
	return 0;
}

static __always_inline void put_args(struct entry *e, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
	struct aq_wire_fixed *slot = e->slot;
	e->flags |= cfg_abi & AQ_WIRE_ABI_MASK;
	slot->args[0] = a0;
	slot->args[1] = a1;
	slot->args[2] = a2;
	slot->args[3] = a3;
	slot->args[4] = a4;
	slot->args[5] = a5;
}

static __always_inline void put_words(struct entry *e, const u64 *words, u32 bytes)
{
	char *place = attr_place(e);
	if (!place)
		return;
	__builtin_memcpy(place + sizeof(struct aq_wire_attr), words, 64); /* callers have eight words */
	attr_head(e, place, KEY_WORDS, 0, bytes, 0);
}

/* A task's id as it sees itself: in its innermost pid namespace. */
static __always_inline u32 inner_pid(struct pid *pid)
{
	u32 level = BPF_CORE_READ(pid, level);
	struct upid innermost = {};
	u64 at = (u64)bpf_core_field_offset(struct pid, numbers) + (u64)level * bpf_core_type_size(struct upid);
	bpf_probe_read_kernel(&innermost, sizeof(innermost), (void *)pid + at);
	return (u32)innermost.nr;
}

SEC("tp_btf/sched_process_fork")
int aq_fork(u64 *ctx)
{
	struct task_struct *parent = (void *)ctx[0], *child = (void *)ctx[1];
	struct entry e;
	u32 parent_tgid = (u32)parent->tgid, child_tgid = (u32)child->tgid, one = 1;
	if (!is_target(parent_tgid))
		return 0;
	if (cfg_filter_tree && child_tgid != parent_tgid)
		bpf_map_update_elem(&targets, &child_tgid, &one, BPF_ANY);
	if (!enter(&e, EV_FORK, CLASS_VITAL, false))
		return 0;
	if (attrs_begin(&e)) {
		put_kernel_string(&e, KEY_COMM, child->comm);
		attrs_end(&e);
	}
	put_args(&e, (u32)child->pid, child_tgid, 0, child->start_boottime, inner_pid(child->thread_pid),
		 (u32)child->real_parent->tgid);
	leave(&e, (u64)parent_tgid << 32 | (u32)parent->pid, 0, bpf_get_current_cgroup_id());
	return 0;
}

/* As stat() gives st_dev: the kernel's 12 bits of major and 20 of minor, spread as makedev() has them. */
static __always_inline u64 user_dev(u32 dev)
{
	u64 major = dev >> 20, minor = dev & 0xfffff;
	return (minor & 0xff) | (major << 8) | ((minor & ~0xffull) << 12);
}

enum { MODE_SETUID = 04000, MODE_SETGID = 02000, EXE_MEMFD = 1, EXE_DELETED = 4, EXE_SETUID = 8, EXE_SETGID = 16 };

static __always_inline u64 exe_flags(struct file *file, struct inode *inode)
{
	char name[8] = {};
	u16 mode = BPF_CORE_READ(inode, i_mode);
	u64 flags = (mode & MODE_SETUID ? EXE_SETUID : 0) | (mode & MODE_SETGID ? EXE_SETGID : 0);
	bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	bool unlinked = BPF_CORE_READ(inode, i_nlink) == 0;
	/* a memfd's only name is "memfd:…" and it has no link */
	if (unlinked && name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' && name[5] == ':')
		flags |= EXE_MEMFD;
	else if (unlinked)
		flags |= EXE_DELETED;
	return flags;
}

static __always_inline u32 pid_number(struct signal_struct *signal, u32 type)
{
	struct pid *pid = NULL;
	bpf_core_read(&pid, sizeof(pid), &signal->pids[type]);
	return pid ? (u32)BPF_CORE_READ(pid, numbers[0].nr) : 0;
}

SEC("tp_btf/sched_process_exec")
int aq_exec(u64 *ctx)
{
	enum { TYPE_PGID = 2, TYPE_SID = 3 };
	struct task_struct *task = (void *)ctx[0];
	struct linux_binprm *bprm = (void *)ctx[2];
	struct entry e;
	if (!is_target((u32)task->tgid))
		return 0;
	if (!enter(&e, EV_EXEC, CLASS_VITAL, false))
		return 0;
	struct file *file = bprm->file;
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	const struct cred *cred = task->cred;
	if (attrs_begin(&e)) {
		struct signal_struct *signal = task->signal;
		struct tty_struct *tty = BPF_CORE_READ(signal, tty);
		u64 words[8] = {
			cred->euid.val, cred->egid.val, (u32)task->real_parent->tgid, pid_number(signal, TYPE_SID),
			pid_number(signal, TYPE_PGID),
			tty ? ((u32)BPF_CORE_READ(tty, driver, major) << 8) +
				      (u32)(BPF_CORE_READ(tty, driver, minor_start) + BPF_CORE_READ(tty, index)) : 0,
			0, task->start_boottime,
		};
		bpf_core_read(&words[6], sizeof(words[6]), &cred->cap_effective);
		put_words(&e, words, sizeof(words));
		put_kernel_string(&e, KEY_PATH, bprm->filename);
		e.flags |= put_path(&e, KEY_KPATH, BPF_CORE_READ(file, f_path.dentry), BPF_CORE_READ(file, f_path.mnt));
		u64 start = BPF_CORE_READ(task, mm, arg_start), end = BPF_CORE_READ(task, mm, arg_end);
		if (end > start)
			put_user_bytes(&e, KEY_ARGV, (const void *)start, end - start, ARGV_MAX);
		attrs_end(&e);
	}
	put_args(&e, user_dev(BPF_CORE_READ(inode, i_sb, s_dev)), BPF_CORE_READ(inode, i_ino), cred->uid.val, cred->gid.val,
		 (u32)ctx[1], exe_flags(file, inode));
	leave(&e, (u64)(u32)task->tgid << 32 | (u32)task->pid, 0, bpf_get_current_cgroup_id());
	return 0;
}

SEC("tp_btf/sched_process_exit")
int aq_exit(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct entry e;
	u32 tgid = (u32)task->tgid;
	if (!is_target(tgid))
		return 0;
	if (!enter(&e, EV_EXIT, CLASS_VITAL, false))
		return 0;
	if (attrs_begin(&e)) {
		put_kernel_string(&e, KEY_COMM, task->comm);
		attrs_end(&e);
	}
	u32 code = (u32)task->exit_code;
	u32 live = (u32)task->signal->live.counter; /* this thread is taken off already */
	put_args(&e, (code >> 8) & 0xff, code & 0x7f, live, task->start_boottime, (code >> 7) & 1, 0);
	leave(&e, (u64)tgid << 32 | (u32)task->pid, 0, bpf_get_current_cgroup_id());
	if (cfg_filter_tree && live == 0)
		bpf_map_delete_elem(&targets, &tgid);
	return 0;
}

SEC("tp_btf/task_rename")
int aq_rename(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	const char *name = (const char *)ctx[1];
	struct entry e;
	if (!is_target((u32)task->tgid))
		return 0;
	if (!enter(&e, EV_RENAME, CLASS_IMPORTANT, false))
		return 0;
	if (attrs_begin(&e)) {
		put_kernel_string(&e, KEY_COMM, name);
		attrs_end(&e);
	}
	put_args(&e, (u32)task->pid, 0, 0, 0, 0, 0);
	leave(&e, bpf_get_current_pid_tgid(), 0, bpf_get_current_cgroup_id());
	return 0;
}

static __always_inline int cgroup_event(u32 event, struct cgroup *cgroup, const char *path, u32 tid, u32 tgid)
{
	struct entry e;
	if (!enter(&e, event, CLASS_VITAL, false))
		return 0;
	if (attrs_begin(&e)) {
		put_kernel_string(&e, KEY_CGROUP_PATH, path);
		attrs_end(&e);
	}
	put_args(&e, BPF_CORE_READ(cgroup, kn, id), (u32)cgroup->level, (u32)BPF_CORE_READ(cgroup, root, hierarchy_id), tid, tgid, 0);
	leave(&e, bpf_get_current_pid_tgid(), 0, bpf_get_current_cgroup_id());
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int aq_cgroup_mkdir(u64 *ctx)
{
	return cgroup_event(EV_CGROUP_MKDIR, (void *)ctx[0], (const char *)ctx[1], 0, 0);
}

SEC("tp_btf/cgroup_rmdir")
int aq_cgroup_rmdir(u64 *ctx)
{
	return cgroup_event(EV_CGROUP_RMDIR, (void *)ctx[0], (const char *)ctx[1], 0, 0);
}

SEC("tp_btf/cgroup_attach_task")
int aq_cgroup_attach(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[2];
	return cgroup_event(EV_CGROUP_ATTACH, (void *)ctx[0], (const char *)ctx[1], (u32)task->pid, (u32)task->tgid);
}
