/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the state machine, shared by the state_*.c files and by nobody else.
 */
#ifndef AQ_QUERY_STATE_INTERNAL_H
#define AQ_QUERY_STATE_INTERNAL_H

#include "query/state.h"

#include <string.h>

enum { AQ_FD_PAGE = 64, AQ_FD_NUM_MAX = 1 << 20, AQ_PATH_BYTES = 8192 };

struct aq_fdpage {
	uint64_t cloexec; /* bit per descriptor */
	uint32_t used;
	struct aq_fd *fd[AQ_FD_PAGE];
};

struct aq_fdtable { /* shared by threads and by CLONE_FILES */
	uint32_t refs, page_count, open;
	struct aq_fdpage **page;
};

struct aq_fs { /* shared by threads and by CLONE_FS */
	uint32_t refs;
	struct aq_str *cwd, *root;
};

struct aq_state_cgroup { /* first member is what is given out */
	struct aq_cgroup pub;
	struct aq_state_cgroup *hash_next;
};

/* Where in an event's arguments things are, from the schema; -1 none. */
struct aq_event_shape {
	int8_t fd_arg, dev_arg, ino_arg, open_flags_arg;
	int8_t dirfd1, dirfd2; /* base of PATH and of PATH2 */
	bool ret_is_fd;
};

struct aq_state {
	uint64_t max_bytes, bytes, forgotten, uncertain_gaps, serial, fd_serial;
	uint64_t processes, exited, threads, fds, exited_at_prune, gap_epoch_ns;
	bool with_fds, oom, snap_untied;
	uint32_t proc_mask, thread_mask, cgroup_mask, cgroups;
	struct aq_proc **proc_hash;
	struct aq_thread **thread_hash;
	struct aq_state_cgroup **cgroup_hash;
	struct aq_written **written;    /* by path; NULL without descriptors */
	struct aq_fd *parked;           /* closed by the latest event, kept for its row */
	struct aq_proc *age_first, *age_last;
	uint8_t fd_kind[64];            /* value of fd_kinds → enum aq_fd_type */
	uint64_t exe_memfd, exe_upper, exe_deleted; /* bits of exe_flags */
	struct aq_event_shape shape[AQ_EVENT_ID_MAX];
	char path[AQ_PATH_BYTES];       /* scratch of one feed */
};

struct aq_feed { /* one event on its way */
	struct aq_state *s;
	const struct aq_event *ev;
	const struct aq_event_shape *shape;
	struct aq_proc *proc;
	struct aq_thread *thread;
	struct aq_fd *fd;
	int64_t fd_num;
};

/* state.c: memory within the bound; NULL when it is used up (counted) or the machine has none (s->oom) */
void *aq_st_alloc(struct aq_state *s, size_t bytes); /* zeroed */
void aq_st_free(struct aq_state *s, void *p, size_t bytes);
struct aq_str *aq_str_make(struct aq_state *s, const void *data, size_t len);
static inline struct aq_str *aq_str_ref(struct aq_str *t)
{
	if (t)
		t->refs++;
	return t;
}
void aq_str_unref(struct aq_state *s, struct aq_str *t);
void aq_str_set(struct aq_state *s, struct aq_str **place, struct aq_str *owned); /* takes owned, drops the old */
/* From an attribute: NULL when it is missing, unreadable or empty. */
struct aq_str *aq_str_from_attr(struct aq_state *s, const struct aq_event *ev, enum aq_attr_key key);
bool aq_str_equal(const struct aq_str *t, const void *data, size_t len);

struct aq_proc *aq_st_find_proc(const struct aq_state *s, uint32_t pid);
struct aq_proc *aq_st_live_proc(const struct aq_state *s, uint32_t pid);
struct aq_proc *aq_st_new_proc(struct aq_state *s, uint32_t pid);
struct aq_thread *aq_st_find_thread(const struct aq_state *s, uint32_t tid);
struct aq_thread *aq_st_bind_thread(struct aq_state *s, uint32_t tid, struct aq_proc *p);
void aq_st_drop_thread(struct aq_state *s, uint32_t tid);

/* state_proc.c */
void aq_st_end_proc(struct aq_state *s, struct aq_proc *p, uint64_t time_ns);
void aq_st_proc_event(struct aq_feed *f);
/* state_snap.c */
void aq_st_snap_event(struct aq_feed *f);
void aq_st_tie_parent(struct aq_state *s, struct aq_proc *p); /* to its ppid, unless it has a parent already */
void aq_st_cgroup_free_all(struct aq_state *s);
/* state_fd.c */
void aq_st_fd_event(struct aq_feed *f);
struct aq_fd *aq_fd_make(struct aq_state *s, enum aq_fd_type type, uint64_t time_ns);
void aq_fd_unref(struct aq_state *s, struct aq_fd *fd);
enum aq_fd_type aq_fd_type_of_family(unsigned family);
enum aq_fd_type aq_fd_type_by_word(const char *name); /* "[eventpoll]", "fifo" … */
/* fdtable.c */
struct aq_fdtable *aq_fdtable_make(struct aq_state *s);
struct aq_fdtable *aq_fdtable_copy(struct aq_state *s, const struct aq_fdtable *from);
void aq_fdtable_unref(struct aq_state *s, struct aq_fdtable *t);
void aq_fdtable_close_cloexec(struct aq_state *s, struct aq_fdtable *t);
void aq_fdtable_close_range(struct aq_state *s, struct aq_fdtable *t, uint64_t first, uint64_t last, bool only_mark);
struct aq_fd *aq_fdtable_get(const struct aq_fdtable *t, int64_t num, bool *ret_cloexec);
/* Puts fd (its reference handed over, NULL: none) at num. */
void aq_fdtable_put(struct aq_state *s, struct aq_fdtable *t, int64_t num, struct aq_fd *fd, bool cloexec);
void aq_fdtable_set_cloexec(struct aq_fdtable *t, int64_t num, bool cloexec);
struct aq_fs *aq_fs_make(struct aq_state *s, const struct aq_fs *from);
void aq_fs_unref(struct aq_state *s, struct aq_fs *fs);
/* The process's own table, made when it has none; NULL when memory is used up. */
struct aq_fdtable *aq_st_files(struct aq_state *s, struct aq_proc *p);
/* state_path.c */
void aq_st_event_shape(const struct aq_event_schema *row, struct aq_event_shape *ret_shape);
/* The path of an event as a new string; *ret_certain as aq_state_path. */
struct aq_str *aq_st_path(struct aq_feed *f, bool second, bool *ret_certain);

/* state_written.c: files opened for writing */
int aq_st_written_init(struct aq_state *s);
void aq_st_written_release(struct aq_state *s);
void aq_st_written_note(struct aq_feed *f, struct aq_str *path);
void aq_st_written_rename(struct aq_feed *f);
void aq_st_written_exec(struct aq_state *s, struct aq_proc *p);
/* sockaddr → endpoint and, for unix, the name; false if unusable. */
bool aq_endpoint_parse(const void *data, size_t len, struct aq_endpoint *ret_ep, uint8_t *ret_family,
		       const char **ret_name, size_t *ret_name_len);

/* Both ends of a socket from the kernel's tuple. */
void aq_fd_take_tuple(struct aq_fd *fd, const struct aq_attr *a);

static inline int32_t aq_arg_i32(const struct aq_event *ev, unsigned i)
{
	return i < ev->arg_count ? (int32_t)(uint32_t)ev->args[i] : 0;
}
static inline uint64_t aq_arg_u64(const struct aq_event *ev, unsigned i)
{
	return i < ev->arg_count ? ev->args[i] : 0;
}
static inline uint32_t aq_arg_u32(const struct aq_event *ev, unsigned i)
{
	return (uint32_t)aq_arg_u64(ev, i);
}

#endif
