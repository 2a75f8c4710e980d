/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What events do to processes and threads: birth, exec, end, names, credentials, working directory, namespaces.
 */
#include "query/state_internal.h"

#include <sched.h>
#include <stdlib.h>

enum { AQ_PR_SET_NAME = 15 };
#define AQ_START_SLACK_NS 20000000ull /* a start from /proc has clock-tick precision */

void aq_st_end_proc(struct aq_state *s, struct aq_proc *p, uint64_t time_ns)
{
	if (p->flags & AQ_PROC_EXITED)
		return;
	p->flags |= AQ_PROC_EXITED;
	p->exit_ns = time_ns;
	aq_fdtable_unref(s, p->files);
	p->files = NULL;
	s->exited++;
}

static void inherit(struct aq_state *s, struct aq_proc *child, struct aq_proc *parent)
{
	child->parent = parent;
	parent->refs++;
	child->sid = parent->sid;
	child->pgid = parent->pgid;
	child->tty = parent->tty;
	child->uid = parent->uid;
	child->gid = parent->gid;
	child->euid = parent->euid;
	child->egid = parent->egid;
	child->cap_effective = parent->cap_effective;
	child->exe_dev = parent->exe_dev;
	child->exe_ino = parent->exe_ino;
	child->cgroup_id = parent->cgroup_id;
	child->flags |= parent->flags & (AQ_PROC_MEMFD | AQ_PROC_UPPER | AQ_PROC_CREDS | AQ_PROC_UNCERTAIN | AQ_PROC_DELETED);
	memcpy(child->ns, parent->ns, sizeof(child->ns));
	child->comm = aq_str_ref(parent->comm);
	child->exe = aq_str_ref(parent->exe);
	child->exepath = aq_str_ref(parent->exepath);
	child->exe_writer = aq_str_ref(parent->exe_writer);
	child->exe_writer_pid = parent->exe_writer_pid;
	child->exe_writer_serial = parent->exe_writer_serial;
	child->exe_written_ns = parent->exe_written_ns;
	child->argv = aq_str_ref(parent->argv);
	child->fs = aq_fs_make(s, parent->fs);
	if (s->with_fds && parent->files)
		child->files = aq_fdtable_copy(s, parent->files);
}

static bool near(uint64_t a, uint64_t b)
{
	return a && b && (a > b ? a - b : b - a) <= AQ_START_SLACK_NS;
}

static void share_files(struct aq_state *s, struct aq_proc *child, struct aq_proc *parent)
{
	struct aq_fdtable *t = s->with_fds ? aq_st_files(s, parent) : NULL;

	if (t && child->files != t) {
		t->refs++;
		aq_fdtable_unref(s, child->files);
		child->files = t;
	}
}

static void share_fs(struct aq_state *s, struct aq_proc *child, struct aq_proc *parent)
{
	if (!parent->fs)
		parent->fs = aq_fs_make(s, NULL);
	if (parent->fs && child->fs != parent->fs) {
		parent->fs->refs++;
		aq_fs_unref(s, child->fs);
		child->fs = parent->fs;
	}
}

static void apply_clone_flags(struct aq_state *s, struct aq_proc *child, struct aq_proc *parent, uint64_t flags)
{
	if (child == parent || (child->flags & AQ_PROC_EXITED) || child->execs)
		return; /* an exec has already parted them */
	if (flags & CLONE_FILES)
		share_files(s, child, parent);
	if (flags & CLONE_FS)
		share_fs(s, child, parent);
	if (flags & CLONE_NEWNS)
		child->ns[2] = 0;
	if (flags & CLONE_NEWNET)
		child->ns[3] = 0;
	if (flags & CLONE_NEWPID)
		child->ns[4] = 0;
	if (flags & CLONE_NEWUSER)
		child->ns[6] = 0;
}

static void on_fork(struct aq_feed *f)
{
	struct aq_state *s = f->s;
	const struct aq_event *ev = f->ev;
	uint32_t child_tid = aq_arg_u32(ev, 0), child_pid = aq_arg_u32(ev, 1);
	uint64_t start = aq_arg_u64(ev, 3);
	struct aq_proc *child, *parent = f->proc;

	if (!child_tid || !child_pid)
		return;
	if (f->thread)
		f->thread->pending_child = child_tid;
	if (child_pid == ev->pid) {
		struct aq_thread *t = aq_st_bind_thread(s, child_tid, parent);

		if (t)
			aq_str_set(s, &t->comm, aq_str_from_attr(s, ev, AQ_ATTR_COMM));
		return;
	}
	child = aq_st_live_proc(s, child_pid);
	if (child && (child->flags & AQ_PROC_SNAPSHOT) && near(child->start_ns, start)) {
		child->start_ns = start; /* the snapshot was taken while it was born */
		return;
	}
	if (child)
		aq_st_end_proc(s, child, ev->time_ns); /* its end was missed */
	child = aq_st_new_proc(s, child_pid);
	if (!child)
		return;
	child->start_ns = start ? start : ev->time_ns;
	child->ns_pid = aq_arg_u32(ev, 4);
	child->ppid = aq_arg_u32(ev, 5) ? aq_arg_u32(ev, 5) : ev->pid;
	if (child->ppid != parent->pid) { /* CLONE_PARENT: what is inherited comes from the caller all the same */
		struct aq_proc *real = aq_st_live_proc(s, child->ppid);

		inherit(s, child, parent);
		if (real && real != child) {
			parent->refs--;
			real->refs++;
			child->parent = real;
		}
	} else {
		inherit(s, child, parent);
	}
	if (aq_event_attr(ev, AQ_ATTR_COMM))
		aq_str_set(s, &child->comm, aq_str_from_attr(s, ev, AQ_ATTR_COMM));
	if (!aq_st_bind_thread(s, child_tid, child))
		return;
	apply_clone_flags(s, child, parent, aq_arg_u64(ev, 2));
}

static void on_clone_exit(struct aq_feed *f, uint64_t flags)
{
	struct aq_thread *t = f->thread ? aq_st_find_thread(f->s, f->thread->pending_child) : NULL;

	/* the result is a number in the caller's pid namespace; the fork event before it named the child */
	if (f->ev->ret <= 0 || !f->thread || !f->thread->pending_child)
		return;
	f->thread->pending_child = 0;
	if (t)
		apply_clone_flags(f->s, t->proc, f->proc, flags);
}

static void set_argv(struct aq_state *s, struct aq_proc *p, const struct aq_event *ev)
{
	const struct aq_attr *a = aq_event_attr(ev, AQ_ATTR_ARGV);

	if (a && a->len && !(a->flags & AQ_ATF_UNREADABLE)) {
		aq_str_set(s, &p->argv, aq_str_make(s, a->data, a->len));
		aq_str_set(s, &p->exe, aq_str_make(s, a->data, strnlen(a->data, a->len)));
	} else {
		aq_str_set(s, &p->argv, NULL);
		aq_str_set(s, &p->exe, NULL);
	}
}

static void set_comm_from_path(struct aq_state *s, struct aq_proc *p, const struct aq_str *path)
{
	const char *base = path ? strrchr(path->s, '/') : NULL;

	if (path)
		base = base ? base + 1 : path->s;
	aq_str_set(s, &p->comm, base ? aq_str_make(s, base, strnlen(base, 15)) : NULL);
}

static void on_exec(struct aq_feed *f)
{
	struct aq_state *s = f->s;
	const struct aq_event *ev = f->ev;
	struct aq_proc *p = f->proc;
	const struct aq_attr *given = aq_event_attr(ev, AQ_ATTR_PATH);
	uint64_t exe_flags = aq_arg_u64(ev, 5);
	uint32_t old_tid = aq_arg_u32(ev, 4);
	bool certain;

	if (ev->arg_count < 14)
		return;
	if (old_tid && old_tid != ev->tid)
		aq_st_drop_thread(s, old_tid);
	p->exe_dev = aq_arg_u64(ev, 0);
	p->exe_ino = aq_arg_u64(ev, 1);
	p->uid = aq_arg_u32(ev, 2);
	p->gid = aq_arg_u32(ev, 3);
	p->euid = aq_arg_u32(ev, 6);
	p->egid = aq_arg_u32(ev, 7);
	p->ppid = aq_arg_u32(ev, 8);
	p->sid = aq_arg_u32(ev, 9);
	p->pgid = aq_arg_u32(ev, 10);
	p->tty = aq_arg_u32(ev, 11);
	p->cap_effective = aq_arg_u64(ev, 12);
	if (!p->start_ns || !(p->flags & AQ_PROC_SNAPSHOT))
		p->start_ns = aq_arg_u64(ev, 13) ? aq_arg_u64(ev, 13) : p->start_ns;
	p->flags &= ~(uint32_t)(AQ_PROC_MEMFD | AQ_PROC_UPPER | AQ_PROC_DELETED);
	p->flags |= AQ_PROC_EXEC_SEEN | AQ_PROC_CREDS;
	p->flags |= (exe_flags & s->exe_memfd ? AQ_PROC_MEMFD : 0) | (exe_flags & s->exe_upper ? AQ_PROC_UPPER : 0) |
		    (exe_flags & s->exe_deleted ? AQ_PROC_DELETED : 0);
	p->exec_ns = ev->time_ns;
	p->execs++;
	if (p->ppid)
		aq_st_tie_parent(s, p);
	set_argv(s, p, ev);
	aq_str_set(s, &p->exepath, aq_st_path(f, false, &certain));
	aq_st_written_exec(s, p);
	if (given && given->len && !(given->flags & AQ_ATF_UNREADABLE)) {
		struct aq_str *name = aq_str_make(s, given->data, given->len);

		set_comm_from_path(s, p, name);
		aq_str_unref(s, name);
	} else {
		set_comm_from_path(s, p, p->exepath);
	}
	if (f->thread)
		aq_str_set(s, &f->thread->comm, NULL);
	if (s->with_fds && p->files) {
		if (p->files->refs > 1) {
			struct aq_fdtable *own = aq_fdtable_copy(s, p->files);

			aq_fdtable_unref(s, p->files);
			p->files = own;
		}
		aq_fdtable_close_cloexec(s, p->files);
	}
}

static void on_proc_exit(struct aq_feed *f)
{
	struct aq_state *s = f->s;
	const struct aq_event *ev = f->ev;
	struct aq_proc *p = f->proc;
	int32_t code = aq_arg_i32(ev, 0), signal = aq_arg_i32(ev, 1), live = aq_arg_i32(ev, 2);

	if (ev->tid == ev->pid && !p->start_ns)
		p->start_ns = aq_arg_u64(ev, 3);
	if (!p->comm && ev->tid == ev->pid)
		aq_str_set(s, &p->comm, aq_str_from_attr(s, ev, AQ_ATTR_COMM));
	if (live <= 0) {
		p->exit_code = code;
		p->exit_signal = signal;
		aq_st_end_proc(s, p, ev->time_ns);
	} else {
		/* the thread itself stays until the end of its events: dropped when its number is used again */
		if (f->thread)
			f->thread->pending_child = 0;
		if (ev->tid != ev->pid) {
			aq_st_drop_thread(s, ev->tid);
			f->thread = NULL;
		}
	}
}

static void rename_thread(struct aq_feed *f, uint32_t tid, struct aq_str *name)
{
	struct aq_thread *t = tid == f->ev->tid ? f->thread : aq_st_find_thread(f->s, tid);

	if (!t) {
		aq_str_unref(f->s, name);
		return;
	}
	if (t->tid == t->proc->pid)
		aq_str_set(f->s, &t->proc->comm, name);
	else
		aq_str_set(f->s, &t->comm, name);
}

static void on_attach(struct aq_feed *f)
{
	struct aq_proc *p = aq_st_live_proc(f->s, aq_arg_u32(f->ev, 4));

	if (p && aq_arg_i32(f->ev, 2) == 0) /* hierarchy 0 is the unified one, whose ids events carry */
		p->cgroup_id = aq_arg_u64(f->ev, 0);
}

static void on_chdir(struct aq_feed *f, bool by_fd)
{
	struct aq_proc *p = f->proc;
	struct aq_str *path = NULL;
	bool certain = true;

	if (by_fd) {
		struct aq_fd *fd = aq_fdtable_get(p->files, aq_arg_i32(f->ev, 0), NULL);

		if (fd && !fd->uncertain)
			path = aq_str_ref(fd->name);
	} else {
		path = aq_st_path(f, false, &certain);
	}
	if (!certain) {
		aq_str_unref(f->s, path);
		path = NULL;
	}
	if (!p->fs)
		p->fs = aq_fs_make(f->s, NULL);
	if (!p->fs) {
		aq_str_unref(f->s, path);
		return;
	}
	aq_str_set(f->s, &p->fs->cwd, path);
}

static void on_chroot(struct aq_feed *f)
{
	bool certain;
	struct aq_str *path = aq_st_path(f, false, &certain);

	if (!f->proc->fs)
		f->proc->fs = aq_fs_make(f->s, NULL);
	if (!f->proc->fs || !certain) {
		aq_str_unref(f->s, path);
		path = NULL;
	}
	if (f->proc->fs)
		aq_str_set(f->s, &f->proc->fs->root, path);
}

static void on_unshare(struct aq_feed *f, uint64_t flags)
{
	struct aq_proc *p = f->proc;

	if ((flags & CLONE_FILES) && p->files && p->files->refs > 1) {
		struct aq_fdtable *own = aq_fdtable_copy(f->s, p->files);

		aq_fdtable_unref(f->s, p->files);
		p->files = own;
	}
	if ((flags & (CLONE_FS | CLONE_NEWNS)) && p->fs && p->fs->refs > 1) {
		struct aq_fs *own = aq_fs_make(f->s, p->fs);

		aq_fs_unref(f->s, p->fs);
		p->fs = own;
	}
	static const struct { uint64_t flag; unsigned ns; } spaces[] = {
		{ 0x02000000, 0 }, { CLONE_NEWIPC, 1 }, { CLONE_NEWNS, 2 }, { CLONE_NEWNET, 3 }, { CLONE_NEWUSER, 6 },
		{ CLONE_NEWUTS, 7 },
	};
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		if (flags & spaces[i].flag)
			p->ns[spaces[i].ns] = 0; /* another one, its number is not known */
}

static void on_setns(struct aq_feed *f)
{
	uint64_t flags = aq_arg_u64(f->ev, 1);

	on_unshare(f, (flags ? flags : ~0ull) & ~(uint64_t)(CLONE_FILES | CLONE_FS));
	if ((!flags || (flags & CLONE_NEWNS)) && f->proc->fs) {
		aq_str_set(f->s, &f->proc->fs->cwd, NULL); /* the kernel moves both into the other mount namespace */
		aq_str_set(f->s, &f->proc->fs->root, NULL);
	}
}

static void set_id(uint32_t *id, uint32_t value)
{
	if (value != UINT32_MAX)
		*id = value;
}

static void on_credentials(struct aq_feed *f)
{
	struct aq_proc *p = f->proc;
	uint32_t a = aq_arg_u32(f->ev, 0), b = aq_arg_u32(f->ev, 1);

	switch (f->ev->id) {
	case AQ_EV_setuid:
		if (p->euid == 0)
			p->uid = a; /* a privileged caller changes all of them */
		p->euid = a;
		break;
	case AQ_EV_setgid:
		if (p->euid == 0)
			p->gid = a;
		p->egid = a;
		break;
	case AQ_EV_setreuid:
	case AQ_EV_setresuid:
		set_id(&p->uid, a);
		set_id(&p->euid, b);
		break;
	case AQ_EV_setregid:
	case AQ_EV_setresgid:
		set_id(&p->gid, a);
		set_id(&p->egid, b);
		break;
	default:
		break;
	}
}

static void on_prctl(struct aq_feed *f)
{
	const struct aq_attr *a = aq_event_attr(f->ev, AQ_ATTR_NAME);

	if (aq_arg_i32(f->ev, 0) != AQ_PR_SET_NAME)
		return;
	if (!a)
		a = aq_event_attr(f->ev, AQ_ATTR_COMM);
	if (a && a->len && !(a->flags & AQ_ATF_UNREADABLE))
		rename_thread(f, f->ev->tid, aq_str_make(f->s, a->data, strnlen(a->data, a->len < 15 ? a->len : 15)));
}

void aq_st_proc_event(struct aq_feed *f)
{
	const struct aq_event *ev = f->ev;

	switch (ev->id) {
	case AQ_EV_proc_fork: on_fork(f); return;
	case AQ_EV_proc_exec: on_exec(f); return;
	case AQ_EV_proc_exit: on_proc_exit(f); return;
	case AQ_EV_proc_rename:
		rename_thread(f, aq_arg_u32(ev, 0), aq_str_from_attr(f->s, ev, AQ_ATTR_COMM));
		return;
	case AQ_EV_cgroup_attach:
		on_attach(f);
		aq_st_snap_event(f);
		return;
	case AQ_EV_cgroup_mkdir:
	case AQ_EV_cgroup_rmdir:
		aq_st_snap_event(f);
		return;
	case AQ_EV_clone: on_clone_exit(f, aq_arg_u64(ev, 0)); return;
	case AQ_EV_clone3:
	case AQ_EV_fork:
	case AQ_EV_vfork:
		on_clone_exit(f, 0);
		return;
	default:
		break;
	}
	if (ev->ret < 0)
		return;
	switch (ev->id) {
	case AQ_EV_chdir: on_chdir(f, false); break;
	case AQ_EV_fchdir: on_chdir(f, true); break;
	case AQ_EV_chroot: on_chroot(f); break;
	case AQ_EV_unshare: on_unshare(f, aq_arg_u64(ev, 0)); break;
	case AQ_EV_setns: on_setns(f); break;
	case AQ_EV_setuid:
	case AQ_EV_setgid:
	case AQ_EV_setreuid:
	case AQ_EV_setregid:
	case AQ_EV_setresuid:
	case AQ_EV_setresgid:
		on_credentials(f);
		break;
	case AQ_EV_setsid:
		f->proc->sid = f->proc->pgid = f->proc->pid;
		f->proc->tty = 0;
		break;
	case AQ_EV_prctl: on_prctl(f); break;
	default: break;
	}
}
