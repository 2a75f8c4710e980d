/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots (what existed when the recording or a segment began) and cgroups. A later snapshot confirms what is known:
 * it renews a process that is already there and adds what had been missed.
 */
#include "query/state_internal.h"

#include <stdlib.h>

enum { AQ_CGROUPS_MAX = 1 << 20, AQ_TIE_DEPTH = 4096 };
#define AQ_SNAP_SLACK_NS 20000000ull

static uint32_t hash64(uint64_t x)
{
	return (uint32_t)((x * 0x9e3779b97f4a7c15ull) >> 40);
}

static struct aq_state_cgroup *find_cgroup(const struct aq_state *s, uint64_t id)
{
	for (struct aq_state_cgroup *c = s->cgroup_hash[hash64(id) & s->cgroup_mask]; c; c = c->hash_next)
		if (c->pub.id == id)
			return c;
	return NULL;
}

const struct aq_cgroup *aq_state_cgroup(const struct aq_state *s, uint64_t id)
{
	struct aq_state_cgroup *c = find_cgroup(s, id);

	return c ? &c->pub : NULL;
}

static void grow_cgroups(struct aq_state *s)
{
	uint32_t size = (s->cgroup_mask + 1) * 2;
	struct aq_state_cgroup **hash;

	if (s->cgroups <= s->cgroup_mask)
		return;
	hash = calloc(size, sizeof(*hash));
	if (!hash)
		return;
	for (uint32_t i = 0; i <= s->cgroup_mask; i++)
		for (struct aq_state_cgroup *c = s->cgroup_hash[i], *next; c; c = next) {
			next = c->hash_next;
			c->hash_next = hash[hash64(c->pub.id) & (size - 1)];
			hash[hash64(c->pub.id) & (size - 1)] = c;
		}
	free(s->cgroup_hash);
	s->cgroup_hash = hash;
	s->cgroup_mask = size - 1;
}

static void set_cgroup(struct aq_state *s, const struct aq_event *ev, bool removed)
{
	const struct aq_attr *a = aq_event_attr(ev, AQ_ATTR_CGROUP_PATH);
	uint64_t id = aq_arg_u64(ev, 0);
	struct aq_state_cgroup *c = find_cgroup(s, id);

	if (aq_arg_u32(ev, 2 - (ev->id == AQ_EV_snap_cgroup)) != 0)
		return; /* events carry ids of the unified hierarchy; others number theirs on their own */
	if (!c) {
		if (s->cgroups >= AQ_CGROUPS_MAX)
			return;
		grow_cgroups(s);
		c = aq_st_alloc(s, sizeof(*c));
		if (!c)
			return;
		c->pub.id = id;
		c->pub.engine = "";
		c->hash_next = s->cgroup_hash[hash64(id) & s->cgroup_mask];
		s->cgroup_hash[hash64(id) & s->cgroup_mask] = c;
		s->cgroups++;
	}
	c->pub.removed = removed;
	if (a && a->len && !(a->flags & AQ_ATF_UNREADABLE) && !aq_str_equal(c->pub.path, a->data, a->len)) {
		aq_str_set(s, &c->pub.path, aq_str_make(s, a->data, a->len));
		c->pub.changes++;
		if (!c->pub.path || !aq_cgroup_container(c->pub.path->s, c->pub.container_id, &c->pub.engine)) {
			c->pub.container_id[0] = '\0';
			c->pub.engine = "";
		}
	}
}

void aq_st_cgroup_free_all(struct aq_state *s)
{
	for (uint32_t i = 0; i <= s->cgroup_mask; i++)
		for (struct aq_state_cgroup *c = s->cgroup_hash[i], *next; c; c = next) {
			next = c->hash_next;
			aq_str_unref(s, c->pub.path);
			aq_st_free(s, c, sizeof(*c));
		}
}

static struct aq_proc *snap_target(struct aq_state *s, uint32_t pid)
{
	struct aq_proc *p = aq_st_live_proc(s, pid);

	if (!p && pid) {
		p = aq_st_new_proc(s, pid);
		if (p)
			p->flags = AQ_PROC_SNAPSHOT;
	}
	return p;
}

static void set_if_there(struct aq_state *s, struct aq_str **place, const struct aq_event *ev, enum aq_attr_key key)
{
	const struct aq_attr *a = aq_event_attr(ev, key);

	if (a && a->len && !(a->flags & AQ_ATF_UNREADABLE) && !aq_str_equal(*place, a->data, a->len))
		aq_str_set(s, place, aq_str_make(s, a->data, a->len));
}

/* Children whose parent came later in the snapshot are tied when the parent appears. */
void aq_st_tie_parent(struct aq_state *s, struct aq_proc *p)
{
	struct aq_proc *parent = p->parent || p->ppid == p->pid ? NULL : aq_st_live_proc(s, p->ppid);
	bool has_children = p->refs > 1 + p->live_threads;
	unsigned depth = 0;

	/* a circle can only close over somebody who has children */
	for (struct aq_proc *up = parent; up && has_children; up = up->parent)
		if (up == p || ++depth > AQ_TIE_DEPTH)
			return;
	if (parent) {
		p->parent = parent;
		parent->refs++;
	}
}

static struct aq_proc *snap_proc(struct aq_state *s, const struct aq_event *ev)
{
	uint64_t start = aq_arg_u64(ev, 1);
	struct aq_proc *p = aq_st_live_proc(s, ev->pid);
	const struct aq_attr *argv = aq_event_attr(ev, AQ_ATTR_ARGV);

	if (ev->arg_count < 14 || !ev->pid)
		return p;
	if (p && p->start_ns && start &&
	    (p->start_ns > start ? p->start_ns - start : start - p->start_ns) > AQ_SNAP_SLACK_NS) {
		aq_st_end_proc(s, p, start); /* another one has its number: the end and the fork were missed */
		p = NULL;
	}
	p = p ? p : snap_target(s, ev->pid);
	if (!p)
		return NULL;
	p->flags = (p->flags | AQ_PROC_SNAPSHOT | AQ_PROC_CREDS) & ~(uint32_t)(AQ_PROC_INFERRED);
	p->ppid = aq_arg_u32(ev, 0);
	if (!p->start_ns)
		p->start_ns = start;
	p->uid = aq_arg_u32(ev, 2);
	p->gid = aq_arg_u32(ev, 3);
	p->euid = aq_arg_u32(ev, 4);
	p->egid = aq_arg_u32(ev, 5);
	p->sid = aq_arg_u32(ev, 6);
	p->pgid = aq_arg_u32(ev, 7);
	p->tty = aq_arg_u32(ev, 8);
	p->cap_effective = aq_arg_u64(ev, 9);
	p->exe_dev = aq_arg_u64(ev, 10);
	p->exe_ino = aq_arg_u64(ev, 11);
	p->ns_pid = aq_arg_u32(ev, 12);
	if (ev->cgroup_id)
		p->cgroup_id = ev->cgroup_id;
	set_if_there(s, &p->comm, ev, AQ_ATTR_COMM);
	set_if_there(s, &p->exepath, ev, AQ_ATTR_EXE);
	set_if_there(s, &p->argv, ev, AQ_ATTR_ARGV);
	if (argv && argv->len && !(argv->flags & AQ_ATF_UNREADABLE)) {
		size_t len = strnlen(argv->data, argv->len);

		if (!aq_str_equal(p->exe, argv->data, len))
			aq_str_set(s, &p->exe, aq_str_make(s, argv->data, len));
	}
	if (!p->fs)
		p->fs = aq_fs_make(s, NULL);
	if (p->fs) {
		const struct aq_attr *root = aq_event_attr(ev, AQ_ATTR_ROOT);

		set_if_there(s, &p->fs->cwd, ev, AQ_ATTR_CWD);
		if (root && root->len == 1)
			aq_str_set(s, &p->fs->root, NULL);
		else
			set_if_there(s, &p->fs->root, ev, AQ_ATTR_ROOT);
	}
	aq_st_tie_parent(s, p);
	s->snap_untied = s->snap_untied || !p->parent;
	return p;
}

static struct aq_fd *snap_fd(struct aq_state *s, const struct aq_event *ev, struct aq_proc *p)
{
	int64_t num = aq_arg_i32(ev, 0);
	uint64_t kind = aq_arg_u64(ev, 1);
	const struct aq_attr *tuple = aq_event_attr(ev, AQ_ATTR_TUPLE);
	struct aq_fdtable *t;
	struct aq_fd *fd;

	if (!s->with_fds || !p || ev->arg_count < 7 || !(t = aq_st_files(s, p)))
		return NULL;
	fd = aq_fdtable_get(t, num, NULL);
	if (fd && fd->dev_known && fd->ino == aq_arg_u64(ev, 3) && fd->dev == aq_arg_u64(ev, 2) && fd->type != AQ_FD_OTHER)
		return fd; /* still the same object: whom it is shared with is known better than here */
	fd = aq_fd_make(s, kind < 64 ? s->fd_kind[kind] : AQ_FD_OTHER, 0);
	if (!fd)
		return NULL;
	fd->dev = aq_arg_u64(ev, 2);
	fd->ino = aq_arg_u64(ev, 3);
	fd->dev_known = true;
	fd->flags = aq_arg_u64(ev, 4);
	fd->proto = (uint8_t)aq_arg_u64(ev, 6);
	fd->name_is_kernel = true;
	set_if_there(s, &fd->name, ev, AQ_ATTR_PATH);
	if (tuple && !(tuple->flags & AQ_ATF_UNREADABLE)) {
		aq_fd_take_tuple(fd, tuple); /* who called whom is not told */
		if (fd->type == AQ_FD_SOCKET || fd->type == AQ_FD_OTHER)
			fd->type = aq_fd_type_of_family(fd->family);
	}
	if (fd->type == AQ_FD_OTHER && fd->name && strncmp(fd->name->s, "anon_inode:", 11) == 0)
		fd->type = aq_fd_type_by_word(fd->name->s + 11);
	if (fd->name && strncmp(fd->name->s, "/memfd:", 7) == 0)
		fd->type = AQ_FD_MEMFD;
	aq_fdtable_put(s, t, num, fd, fd->flags & 02000000);
	return aq_fdtable_get(t, num, NULL);
}

void aq_st_snap_event(struct aq_feed *f)
{
	struct aq_state *s = f->s;
	const struct aq_event *ev = f->ev;

	switch (ev->id) {
	case AQ_EV_snap_proc:
		f->proc = snap_proc(s, ev);
		if (f->proc)
			f->thread = aq_st_bind_thread(s, ev->pid, f->proc);
		break;
	case AQ_EV_snap_ns:
		f->proc = snap_target(s, ev->pid);
		for (unsigned i = 0; f->proc && i < AQ_NS_COUNT; i++)
			f->proc->ns[i] = aq_arg_u64(ev, i);
		break;
	case AQ_EV_snap_thread:
		f->proc = snap_target(s, ev->pid);
		f->thread = f->proc && ev->tid ? aq_st_bind_thread(s, ev->tid, f->proc) : NULL;
		if (f->thread && ev->tid != ev->pid)
			set_if_there(s, &f->thread->comm, ev, AQ_ATTR_COMM);
		break;
	case AQ_EV_snap_fd:
		f->proc = snap_target(s, ev->pid);
		f->fd = snap_fd(s, ev, f->proc);
		f->fd_num = aq_arg_i32(ev, 0);
		break;
	case AQ_EV_snap_cgroup:
	case AQ_EV_cgroup_mkdir:
	case AQ_EV_cgroup_attach:
		if (ev->arg_count >= 2)
			set_cgroup(s, ev, false);
		break;
	case AQ_EV_cgroup_rmdir:
		if (ev->arg_count >= 2)
			set_cgroup(s, ev, true);
		break;
	case AQ_EV_snap_end:
		/* parents may have come after their children */
		for (struct aq_proc *p = s->snap_untied ? s->age_first : NULL; p; p = p->age_next)
			if (!p->parent && !(p->flags & AQ_PROC_EXITED) && p->ppid)
				aq_st_tie_parent(s, p);
		s->snap_untied = false;
		break;
	default:
		break;
	}
}
