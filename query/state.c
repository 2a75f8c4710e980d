/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of the state: processes, threads and their memory, and the dispatch of an event to what it changes. What
 * the events mean is in state_proc.c, state_fd.c and state_snap.c.
 */
#include "query/state_internal.h"

#include <errno.h>
#include <stdlib.h>

enum { AQ_HASH_START = 1024, AQ_HASH_MAX = 1 << 22 };

void *aq_st_alloc(struct aq_state *s, size_t bytes)
{
	void *p;

	if (bytes > s->max_bytes || s->bytes > s->max_bytes - bytes) {
		s->forgotten++;
		return NULL;
	}
	p = calloc(1, bytes);
	if (!p) {
		s->oom = true;
		return NULL;
	}
	s->bytes += bytes;
	return p;
}

void aq_st_free(struct aq_state *s, void *p, size_t bytes)
{
	if (!p)
		return;
	s->bytes -= bytes;
	free(p);
}

struct aq_str *aq_str_make(struct aq_state *s, const void *data, size_t len)
{
	struct aq_str *t;

	if (len > UINT32_MAX / 2)
		return NULL;
	t = aq_st_alloc(s, sizeof(*t) + len + 1);
	if (!t)
		return NULL;
	t->refs = 1;
	t->len = (uint32_t)len;
	if (len)
		memcpy(t->s, data, len);
	return t;
}

void aq_str_unref(struct aq_state *s, struct aq_str *t)
{
	if (t && --t->refs == 0)
		aq_st_free(s, t, sizeof(*t) + t->len + 1);
}

void aq_str_set(struct aq_state *s, struct aq_str **place, struct aq_str *owned)
{
	struct aq_str *old = *place;

	*place = owned;
	aq_str_unref(s, old);
}

struct aq_str *aq_str_from_attr(struct aq_state *s, const struct aq_event *ev, enum aq_attr_key key)
{
	const struct aq_attr *a = aq_event_attr(ev, key);

	if (!a || a->len == 0 || (a->flags & AQ_ATF_UNREADABLE))
		return NULL;
	return aq_str_make(s, a->data, a->len);
}

bool aq_str_equal(const struct aq_str *t, const void *data, size_t len)
{
	return t && t->len == len && memcmp(t->s, data, len) == 0;
}

static inline uint32_t hash32(uint32_t x)
{
	return (x * 0x9e3779b1u) >> 7;
}

struct aq_proc *aq_st_find_proc(const struct aq_state *s, uint32_t pid)
{
	for (struct aq_proc *p = s->proc_hash[hash32(pid) & s->proc_mask]; p; p = p->hash_next)
		if (p->pid == pid)
			return p;
	return NULL;
}

struct aq_proc *aq_st_live_proc(const struct aq_state *s, uint32_t pid)
{
	struct aq_proc *p = aq_st_find_proc(s, pid);

	return p && !(p->flags & AQ_PROC_EXITED) ? p : NULL;
}

struct aq_thread *aq_st_find_thread(const struct aq_state *s, uint32_t tid)
{
	for (struct aq_thread *t = s->thread_hash[hash32(tid) & s->thread_mask]; t; t = t->hash_next)
		if (t->tid == tid)
			return t;
	return NULL;
}

static void grow_procs(struct aq_state *s)
{
	uint32_t size = (s->proc_mask + 1) * 2;
	struct aq_proc **hash;

	if (s->processes <= s->proc_mask || size > AQ_HASH_MAX)
		return;
	hash = calloc(size, sizeof(*hash));
	if (!hash)
		return; /* longer chains, nothing worse */
	/* from the oldest on, each in front: the latest with a pid stays the first in its chain */
	for (struct aq_proc *p = s->age_first; p; p = p->age_next) {
		struct aq_proc **slot = &hash[hash32(p->pid) & (size - 1)];

		p->hash_next = *slot;
		*slot = p;
	}
	free(s->proc_hash);
	s->proc_hash = hash;
	s->proc_mask = size - 1;
}

static void grow_threads(struct aq_state *s)
{
	uint32_t size = (s->thread_mask + 1) * 2;
	struct aq_thread **hash;

	if (s->threads <= s->thread_mask || size > AQ_HASH_MAX)
		return;
	hash = calloc(size, sizeof(*hash));
	if (!hash)
		return;
	for (uint32_t i = 0; i <= s->thread_mask; i++)
		for (struct aq_thread *t = s->thread_hash[i], *next; t; t = next) {
			struct aq_thread **slot = &hash[hash32(t->tid) & (size - 1)];

			next = t->hash_next;
			t->hash_next = *slot;
			*slot = t;
		}
	free(s->thread_hash);
	s->thread_hash = hash;
	s->thread_mask = size - 1;
}

static void free_proc(struct aq_state *s, struct aq_proc *p)
{
	aq_str_unref(s, p->comm);
	aq_str_unref(s, p->exe);
	aq_str_unref(s, p->exepath);
	aq_str_unref(s, p->exe_writer);
	aq_str_unref(s, p->argv);
	aq_fs_unref(s, p->fs);
	aq_fdtable_unref(s, p->files);
	aq_st_free(s, p, sizeof(*p));
}

static void forget_proc(struct aq_state *s, struct aq_proc *p)
{
	struct aq_proc **slot = &s->proc_hash[hash32(p->pid) & s->proc_mask];

	while (*slot != p)
		slot = &(*slot)->hash_next;
	*slot = p->hash_next;
	if (p->age_prev)
		p->age_prev->age_next = p->age_next;
	else
		s->age_first = p->age_next;
	if (p->age_next)
		p->age_next->age_prev = p->age_prev;
	else
		s->age_last = p->age_prev;
	if (p->parent)
		p->parent->refs--;
	s->processes--;
	s->exited--;
	s->forgotten++;
	free_proc(s, p);
}

static void free_thread(struct aq_state *s, struct aq_thread *t)
{
	t->proc->refs--;
	if (t->proc->live_threads)
		t->proc->live_threads--;
	aq_str_unref(s, t->comm);
	aq_st_free(s, t, sizeof(*t));
	s->threads--;
}

void aq_st_drop_thread(struct aq_state *s, uint32_t tid)
{
	struct aq_thread **slot = &s->thread_hash[hash32(tid) & s->thread_mask];

	while (*slot && (*slot)->tid != tid)
		slot = &(*slot)->hash_next;
	if (*slot) {
		struct aq_thread *t = *slot;

		*slot = t->hash_next;
		free_thread(s, t);
	}
}

/* Forgets ended processes that nobody descends from, the oldest first, and threads left over of ended processes. */
static void prune(struct aq_state *s)
{
	if (s->bytes < s->max_bytes - s->max_bytes / 8 || s->exited < s->exited_at_prune + 256)
		return;
	for (uint32_t i = 0; i <= s->thread_mask; i++)
		for (struct aq_thread **slot = &s->thread_hash[i]; *slot;) {
			struct aq_thread *t = *slot;

			if (t->proc->flags & AQ_PROC_EXITED) {
				*slot = t->hash_next;
				free_thread(s, t);
			} else {
				slot = &t->hash_next;
			}
		}
	for (struct aq_proc *p = s->age_first, *next; p && s->bytes > s->max_bytes / 2; p = next) {
		next = p->age_next;
		if ((p->flags & AQ_PROC_EXITED) && p->refs == 1)
			forget_proc(s, p);
	}
	s->exited_at_prune = s->exited;
}

struct aq_proc *aq_st_new_proc(struct aq_state *s, uint32_t pid)
{
	struct aq_proc *p, **slot;

	prune(s);
	grow_procs(s);
	p = aq_st_alloc(s, sizeof(*p));
	if (!p)
		return NULL;
	p->pid = pid;
	p->refs = 1;
	p->serial = ++s->serial;
	slot = &s->proc_hash[hash32(pid) & s->proc_mask];
	p->hash_next = *slot;
	*slot = p;
	p->age_prev = s->age_last;
	if (s->age_last)
		s->age_last->age_next = p;
	else
		s->age_first = p;
	s->age_last = p;
	s->processes++;
	return p;
}

struct aq_thread *aq_st_bind_thread(struct aq_state *s, uint32_t tid, struct aq_proc *p)
{
	struct aq_thread *t = aq_st_find_thread(s, tid), **slot;

	if (t) {
		if (t->proc != p) {
			t->proc->refs--;
			if (t->proc->live_threads)
				t->proc->live_threads--;
			p->refs++;
			p->live_threads++;
			t->proc = p;
			t->pending_child = 0;
			aq_str_set(s, &t->comm, NULL);
		}
		return t;
	}
	grow_threads(s);
	t = aq_st_alloc(s, sizeof(*t));
	if (!t)
		return NULL;
	t->tid = tid;
	t->proc = p;
	p->refs++;
	p->live_threads++;
	slot = &s->thread_hash[hash32(tid) & s->thread_mask];
	t->hash_next = *slot;
	*slot = t;
	s->threads++;
	return t;
}

enum aq_fd_type aq_fd_type_by_word(const char *name)
{
	static const struct { const char *part; uint8_t type; } kinds[] = {
		{ "dir", AQ_FD_DIRECTORY }, { "file", AQ_FD_FILE }, { "reg", AQ_FD_FILE }, { "ipv6", AQ_FD_IPV6 },
		{ "inet6", AQ_FD_IPV6 }, { "ipv4", AQ_FD_IPV4 }, { "inet", AQ_FD_IPV4 }, { "unix", AQ_FD_UNIX },
		{ "netlink", AQ_FD_NETLINK }, { "packet", AQ_FD_PACKET }, { "sock", AQ_FD_SOCKET },
		{ "pipe", AQ_FD_PIPE }, { "fifo", AQ_FD_PIPE }, { "eventfd", AQ_FD_EVENT }, { "eventpoll", AQ_FD_EPOLL },
		{ "epoll", AQ_FD_EPOLL }, { "timer", AQ_FD_TIMER }, { "signal", AQ_FD_SIGNAL },
		{ "inotify", AQ_FD_INOTIFY }, { "uring", AQ_FD_IOURING }, { "pidfd", AQ_FD_PIDFD },
		{ "memfd", AQ_FD_MEMFD }, { "bpf", AQ_FD_BPF }, { "perf", AQ_FD_PERF }, { "userfault", AQ_FD_USERFAULT },
		{ "fanotify", AQ_FD_FANOTIFY }, { "char", AQ_FD_DEVICE }, { "block", AQ_FD_DEVICE },
		{ "dev", AQ_FD_DEVICE }, { "event", AQ_FD_EVENT },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcasestr(name, kinds[i].part))
			return kinds[i].type;
	return AQ_FD_OTHER;
}

static void load_schema(struct aq_state *s)
{
	const struct aq_flag_set *kinds = aq_flag_set_by_name("fd_kinds");
	const struct aq_flag_set *exe = aq_flag_set_by_name("exe_flags");

	for (uint32_t i = 0; kinds && i < kinds->count; i++)
		if (kinds->names[i].value < 64)
			s->fd_kind[kinds->names[i].value] = (uint8_t)aq_fd_type_by_word(kinds->names[i].name);
	for (uint32_t i = 0; exe && i < exe->count; i++) {
		if (strcasestr(exe->names[i].name, "memfd"))
			s->exe_memfd |= exe->names[i].value;
		if (strcasestr(exe->names[i].name, "upper"))
			s->exe_upper |= exe->names[i].value;
		if (strcasestr(exe->names[i].name, "delete") || strcasestr(exe->names[i].name, "unlink"))
			s->exe_deleted |= exe->names[i].value;
	}
	for (uint32_t id = 0; id < AQ_EVENT_ID_MAX; id++)
		s->shape[id] = (struct aq_event_shape){ -1, -1, -1, -1, -1, -1, false };
	for (const struct aq_event_schema *e = aq_schema_next(0); e; e = aq_schema_next(e->id))
		if (e->id < AQ_EVENT_ID_MAX)
			aq_st_event_shape(e, &s->shape[e->id]);
}

int aq_state_new(const struct aq_state_options *options, struct aq_state **ret_state, struct aq_err *err)
{
	struct aq_state *s = calloc(1, sizeof(*s));

	if (!s)
		return aq_err_set(err, -ENOMEM, "no memory for the process state");
	s->max_bytes = options && options->max_bytes ? options->max_bytes : 1ull << 30;
	s->with_fds = !options || !options->without_fds;
	s->proc_hash = calloc(AQ_HASH_START, sizeof(*s->proc_hash));
	s->thread_hash = calloc(AQ_HASH_START, sizeof(*s->thread_hash));
	s->cgroup_hash = calloc(AQ_HASH_START, sizeof(*s->cgroup_hash));
	s->proc_mask = s->thread_mask = s->cgroup_mask = AQ_HASH_START - 1;
	if (!s->proc_hash || !s->thread_hash || !s->cgroup_hash) {
		aq_state_free(s);
		return aq_err_set(err, -ENOMEM, "no memory for the process state");
	}
	load_schema(s);
	if (s->with_fds && aq_st_written_init(s) < 0) {
		aq_state_free(s);
		return aq_err_set(err, -ENOMEM, "no memory for the process state");
	}
	*ret_state = s;
	return 0;
}

void aq_state_free(struct aq_state *s)
{
	if (!s)
		return;
	aq_fd_unref(s, s->parked);
	for (uint32_t i = 0; s->thread_hash && i <= s->thread_mask; i++)
		for (struct aq_thread *t = s->thread_hash[i], *next; t; t = next) {
			next = t->hash_next;
			free_thread(s, t);
		}
	for (struct aq_proc *p = s->age_first, *next; p; p = next) {
		next = p->age_next;
		free_proc(s, p);
	}
	aq_st_written_release(s);
	if (s->cgroup_hash)
		aq_st_cgroup_free_all(s);
	free(s->proc_hash);
	free(s->thread_hash);
	free(s->cgroup_hash);
	free(s);
}

/* The event's thread and process, made when they are new. */
static void find_actor(struct aq_feed *f)
{
	struct aq_state *s = f->s;
	const struct aq_event *ev = f->ev;
	struct aq_thread *t;

	if (ev->pid == 0 && ev->tid == 0)
		return; /* idle task: interrupts, or nobody */
	t = aq_st_find_thread(s, ev->tid);
	if (!t || t->proc->pid != ev->pid || (t->proc->flags & AQ_PROC_EXITED)) {
		struct aq_proc *p = aq_st_live_proc(s, ev->pid);

		if (!p) {
			p = aq_st_new_proc(s, ev->pid);
			if (!p)
				return;
			p->flags = AQ_PROC_INFERRED;
		}
		t = aq_st_bind_thread(s, ev->tid, p);
		f->proc = p;
		if (!t)
			return;
	}
	f->thread = t;
	f->proc = t->proc;
	t->last_ns = ev->time_ns;
	if (ev->cgroup_id && ev->id < AQ_EVENT_ID_STATE)
		f->proc->cgroup_id = ev->cgroup_id;
}

static void settle(const struct aq_state *s, struct aq_proc *p)
{
	/* a process that begins after the last gap is certain; one that was there is not */
	if (s->gap_epoch_ns && p->start_ns < s->gap_epoch_ns && !(p->flags & AQ_PROC_EXITED))
		p->flags |= AQ_PROC_UNCERTAIN;
}

int aq_state_feed(struct aq_state *s, const struct aq_event *ev, struct aq_touch *ret_touch)
{
	struct aq_feed f = { .s = s, .ev = ev, .fd_num = -1 };
	uint32_t id = ev->id < AQ_EVENT_ID_MAX ? ev->id : 0;

	f.shape = &s->shape[id];
	s->oom = false;
	if (s->parked) {
		aq_fd_unref(s, s->parked);
		s->parked = NULL;
	}
	if (id >= AQ_EV_snap_begin && id < AQ_EV_snap_begin + 20) {
		aq_st_snap_event(&f);
	} else {
		find_actor(&f);
		if (f.proc) {
			settle(s, f.proc);
			aq_st_proc_event(&f);
			if (s->with_fds && id < AQ_EVENT_ID_STATE)
				aq_st_fd_event(&f);
		}
	}
	*ret_touch = (struct aq_touch){ f.proc, f.thread, f.fd, f.fd_num };
	return s->oom ? -ENOMEM : 0;
}

void aq_state_gap(struct aq_state *s, const struct aq_gap *gap)
{
	if (gap->reason == AQ_GAP_EXTRACT)
		return; /* events of processes that are not there */
	if (gap->reason == AQ_GAP_ATTR && gap->cls > AQ_CLASS_IMPORTANT && gap->cls != UINT8_MAX)
		return;
	if (gap->cls > AQ_CLASS_ORDINARY && gap->cls != UINT8_MAX)
		return;
	if (gap->cls == AQ_CLASS_ORDINARY && !s->with_fds)
		return; /* close and dup change descriptors only */
	s->uncertain_gaps++;
	if (gap->last_ns > s->gap_epoch_ns)
		s->gap_epoch_ns = gap->last_ns;
}

const struct aq_proc *aq_state_proc(const struct aq_state *s, uint32_t pid)
{
	return aq_st_find_proc(s, pid);
}

const struct aq_proc *aq_state_proc_of(const struct aq_state *s, uint32_t pid, uint64_t serial)
{
	const struct aq_proc *p = s->proc_hash[hash32(pid) & s->proc_mask];

	while (p && p->serial != serial)
		p = p->hash_next;
	return p;
}

const struct aq_thread *aq_state_thread(const struct aq_state *s, uint32_t tid)
{
	return aq_st_find_thread(s, tid);
}

const struct aq_proc *aq_state_next(const struct aq_state *s, const struct aq_proc *last)
{
	struct aq_proc *p = last ? last->age_next : s->age_first;

	if (p)
		settle(s, p);
	return p;
}

void aq_state_stats(const struct aq_state *s, struct aq_state_stats *ret_stats)
{
	*ret_stats = (struct aq_state_stats){
		.processes = s->processes, .exited = s->exited, .threads = s->threads, .fds = s->fds, .bytes = s->bytes,
		.forgotten = s->forgotten, .uncertain_gaps = s->uncertain_gaps,
	};
}
