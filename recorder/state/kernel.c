/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes and descriptors as the kernel's iterators tell of them. The rows of all tasks are read first, in a few
 * milliseconds, each with a time of its own; then what only procfs has is added, process by process; then the rows of
 * open files are read as they come. A process that has gone meanwhile is left out: its end was seen.
 */
#include "recorder/state/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/wire_iter.h"

enum { AQ_SNAP_READ_BYTES = 64 * 1024, AQ_SNAP_RETRIES = 1000 };

struct rows {
	struct aq_wire_iter_task *task; /* by process and thread; owned */
	size_t count, room;
};

/* Whole rows or none: what the kernel gives ends with a row, unless it is broken. */
static ssize_t read_some(int fd, void *to, size_t size)
{
	for (unsigned i = 0; i < AQ_SNAP_RETRIES; i++) {
		ssize_t n = read(fd, to, size);

		if (n >= 0 || (errno != EINTR && errno != EAGAIN))
			return n < 0 ? -errno : n;
	}
	return -EAGAIN;
}

static int grow(struct rows *rows, size_t max)
{
	size_t room = rows->room == 0 ? 2048 : rows->room * 2;
	struct aq_wire_iter_task *task;

	if (rows->room >= max)
		return -E2BIG;
	task = reallocarray(rows->task, room, sizeof(*task));
	if (!task)
		return -ENOMEM;
	rows->task = task;
	rows->room = room;
	return 0;
}

static int by_process(const void *a, const void *b)
{
	const struct aq_wire_iter_task *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static int read_tasks(struct aq_snap *s, struct rows *rows)
{
	int fd = s->opt.open_rows(s->opt.open_user, AQ_SNAPSHOT_TASKS), r = 0;
	size_t bytes = 0;

	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t n;

		if (rows->room * sizeof(*rows->task) - bytes < AQ_SNAP_READ_BYTES)
			r = grow(rows, s->opt.max_tasks);
		if (r < 0)
			break;
		n = read_some(fd, (char *)rows->task + bytes, rows->room * sizeof(*rows->task) - bytes);
		if (n <= 0) {
			r = (int)n;
			break;
		}
		bytes += (size_t)n;
	}
	close(fd);
	rows->count = bytes / sizeof(*rows->task);
	if (r == 0 && (rows->count == 0 || bytes % sizeof(*rows->task) != 0))
		r = -EBADMSG;
	if (r == 0)
		qsort(rows->task, rows->count, sizeof(*rows->task), by_process);
	return r;
}

/* The first thread's row, or NULL. */
static const struct aq_wire_iter_task *find(const struct rows *rows, uint32_t pid)
{
	const struct aq_wire_iter_task key = { .pid = pid, .tid = pid };

	return bsearch(&key, rows->task, rows->count, sizeof(key), by_process);
}

static size_t comm_len(const struct aq_wire_iter_task *row)
{
	return strnlen(row->comm, sizeof(row->comm));
}

static int open_process(const struct aq_snap *s, uint32_t pid)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", pid);
	return openat(s->proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int emit_threads(struct aq_snap *s, struct aq_snap_process *p, const struct aq_wire_iter_task *row, size_t count)
{
	int r = 0;

	for (size_t i = 1; i < count && r == 0; i++) {
		struct aq_event ev;

		if (i > s->opt.max_threads_per_process) {
			s->stats.skipped++;
			continue;
		}
		aq_snap_event(&ev, AQ_EV_snap_thread, p, row[i].tid);
		ev.arg_count = 1;
		ev.args[0] = row[i].start_ns;
		aq_snap_attr(&ev, AQ_ATTR_COMM, row[i].comm, comm_len(&row[i]), 0);
		s->stats.threads++;
		r = aq_snap_emit(s, &ev);
	}
	return r;
}

/* row: of the first thread, the others' behind it. */
static int emit_process(struct aq_snap *s, const struct aq_wire_iter_task *row, size_t count)
{
	struct aq_snap_process p = { .pid = row->pid, .time_ns = row->time_ns, .cgroup_id = row->cgroup_id };
	struct aq_snap_facts f = {
		.start_ns = row->start_ns, .cap_effective = row->cap_effective,
		.ppid = row->ppid, .uid = row->uid, .gid = row->gid, .euid = row->euid, .egid = row->egid,
		.sid = row->sid, .pgid = row->pgid, .tty = row->tty, .ns_pid = row->ns_pid,
		.threads = row->ended && row->threads <= 1 ? 0 : row->threads,
		.comm = row->comm, .comm_len = comm_len(row),
	};
	uint64_t ns[AQ_WIRE_ITER_NS] = { 0 };
	int dir = open_process(s, row->pid), thread = -1, r;

	if (dir < 0) {
		s->stats.vanished++;
		return 0;
	}
	for (size_t i = 0; i < count && f.exe_ino == 0; i++) { /* the first thread may have ended */
		f.exe_dev = row[i].exe_dev;
		f.exe_ino = row[i].exe_ino;
	}
	for (size_t i = 0; i < count && ns[2] == 0; i++)
		memcpy(ns, row[i].ns, sizeof(ns));
	if (row->ended && count > 1)
		thread = aq_snap_open_living_thread(s, dir, row->pid);
	p.view = thread >= 0 ? thread : dir;
	r = aq_snap_emit_process(s, &p, &f);
	if (r == 0)
		r = aq_snap_emit_namespaces(s, &p, ns);
	if (r == 0)
		r = emit_threads(s, &p, row, count);
	s->stats.unreadable += p.denied;
	if (thread >= 0)
		close(thread);
	close(dir);
	return r;
}

static int emit_processes(struct aq_snap *s, const struct rows *rows)
{
	int r = 0;

	for (size_t i = 0, next; i < rows->count && r == 0; i = next) {
		const struct aq_wire_iter_task *row = &rows->task[i];

		for (next = i + 1; next < rows->count && rows->task[next].pid == row->pid;)
			next++;
		if (row->pid != s->opt.skip_pid && row->tid == row->pid)
			r = emit_process(s, row, next - i);
	}
	return r;
}

/* The process whose files are being told. */
struct filing {
	struct aq_snap_process p;
	uint32_t tid, count;
	int dir;                       /* its directory, -1: its files are not wanted; owned */
};

static void end_process(struct aq_snap *s, struct filing *f)
{
	aq_procfs_dir_close(&s->dir_fd);
	if (f->dir >= 0)
		close(f->dir);
	f->dir = -1;
	s->stats.unreadable += f->p.denied;
}

/* A process that was not told is a new one: its birth was seen, and what it has from its parent is known. */
static void begin_process(struct aq_snap *s, const struct rows *rows, const struct aq_wire_iter_file *row, uint64_t time_ns,
			  struct filing *f)
{
	const struct aq_wire_iter_task *task = find(rows, row->pid);
	int r;

	*f = (struct filing){ .p = { .pid = row->pid, .time_ns = time_ns }, .tid = row->tid, .dir = -1 };
	if (!task || task->start_ns != row->start_ns || row->pid == s->opt.skip_pid)
		return;
	f->p.cgroup_id = task->cgroup_id;
	f->p.net_ns = task->ns[3];
	f->dir = open_process(s, row->pid);
	if (f->dir >= 0 && row->tid != row->pid) {
		int thread = aq_snap_open_living_thread(s, f->dir, row->pid);

		close(f->dir);
		f->dir = thread;
	}
	if (f->dir < 0)
		return;
	f->p.view = f->dir;
	r = aq_procfs_dir_open(&s->dir_fd, f->dir, "fd");
	if (r < 0) {
		aq_snap_failed(&f->p, r);
		close(f->dir);
		f->dir = -1;
	}
}

static int take_file(struct aq_snap *s, const struct rows *rows, const struct aq_wire_iter_file *row, uint64_t time_ns,
		     struct filing *f)
{
	const struct aq_snap_file file = {
		.number = row->fd, .known = true, .mode = row->mode,
		.dev = row->dev, .ino = row->ino, .flags = row->flags, .pos = row->pos,
	};

	if (row->pid != f->p.pid) {
		end_process(s, f);
		begin_process(s, rows, row, time_ns, f);
	}
	if (f->dir < 0 || row->tid != f->tid) /* another thread's view of the same files */
		return 0;
	if (f->count++ >= s->opt.max_fds_per_process) {
		s->stats.skipped++;
		return 0;
	}
	return aq_snap_file(s, &f->p, &file);
}

static int take_files(struct aq_snap *s, const struct rows *rows)
{
	struct filing f = { .dir = -1 };
	uint64_t time_ns = aq_snap_now(); /* before the first one is read; each gets its own from here on */
	int fd = s->opt.open_rows(s->opt.open_user, AQ_SNAPSHOT_FILES), r = fd < 0 ? fd : 0;
	size_t held = 0;

	if (r < 0)
		return aq_err_set(s->err, r, "Cannot list the open files: %s", strerror(-r));
	while (r == 0) {
		ssize_t n = read_some(fd, s->text + held, AQ_SNAP_READ_BYTES);
		size_t at = 0;

		if (n == 0 && held == 0)
			break;
		if (n <= 0) {
			r = aq_err_set(s->err, n < 0 ? (int)n : -EBADMSG, "Cannot read the list of open files: %s",
				       n < 0 ? strerror((int)-n) : "it ends within a row");
			break;
		}
		held += (size_t)n;
		for (; held - at >= sizeof(struct aq_wire_iter_file) && r == 0; at += sizeof(struct aq_wire_iter_file)) {
			struct aq_wire_iter_file row;

			memcpy(&row, s->text + at, sizeof(row));
			r = take_file(s, rows, &row, time_ns, &f);
		}
		held -= at;
		memmove(s->text, s->text + at, held);
	}
	end_process(s, &f);
	close(fd);
	return r;
}

static bool is_told(const void *user, uint32_t pid)
{
	return find(user, pid) != NULL;
}

int aq_snap_from_rows(struct aq_snap *s)
{
	struct rows rows = { 0 };
	uint64_t begun_ns = aq_snap_now();
	int r = read_tasks(s, &rows);

	if (r < 0) {
		free(rows.task);
		return 1;
	}
	s->stats.from_rows = true;
	r = emit_processes(s, &rows);
	s->born_before_ns = begun_ns;
	if (r == 0) /* some kernels keep single processes to themselves that procfs has */
		r = aq_snap_take_processes(s, is_told, &rows);
	if (r == 0 && !s->opt.without_fds)
		r = take_files(s, &rows);
	free(rows.task);
	return r;
}
