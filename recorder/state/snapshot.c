/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the host and puts out its state; see snapshot.h. What is known of one process is read through one directory
 * descriptor, so that a number that is given away meanwhile cannot mix two processes up. */
#include "recorder/state/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

uint64_t aq_snap_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void aq_snap_event(struct aq_event *ev, enum aq_event_id id, const struct aq_snap_process *p, uint32_t tid)
{
	memset(ev, 0, sizeof(*ev));
	ev->id = (uint16_t)id;
	ev->cls = AQ_CLASS_VITAL;
#if defined(__aarch64__)
	ev->abi = AQ_ABI_ARM64;
#else
	ev->abi = AQ_ABI_X86_64;
#endif
	if (p) {
		ev->time_ns = p->time_ns;
		ev->pid = p->pid;
		ev->tid = tid;
		ev->cgroup_id = p->cgroup_id;
	} else {
		ev->time_ns = aq_snap_now();
	}
}

void aq_snap_attr(struct aq_event *ev, enum aq_attr_key key, const void *data, size_t len, unsigned flags)
{
	if (ev->attr_count < AQ_EVENT_MAX_ATTRS && len <= UINT32_MAX)
		ev->attrs[ev->attr_count++] = (struct aq_attr){
			.key = (uint16_t)key, .flags = (uint16_t)flags, .len = (uint32_t)len, .data = data,
		};
}

int aq_snap_emit(struct aq_snap *s, struct aq_event *ev)
{
	if (ev->time_ns <= s->last_ns)
		ev->time_ns = s->last_ns + 1;
	s->last_ns = ev->time_ns;
	return s->emit(s->user, ev, s->err);
}

bool aq_snap_failed(struct aq_snap_process *p, int error)
{
	if (aq_procfs_denied(error))
		p->denied = true;
	return aq_procfs_gone(error);
}

static int emit_cgroup(void *user, uint64_t id, uint32_t hierarchy, const char *path)
{
	struct aq_snap *s = user;
	struct aq_event ev;

	aq_snap_event(&ev, AQ_EV_snap_cgroup, NULL, 0);
	ev.arg_count = 2;
	ev.args[0] = id;
	ev.args[1] = hierarchy;
	aq_snap_attr(&ev, AQ_ATTR_CGROUP_PATH, path, strlen(path), 0);
	s->stats.cgroups++;
	return aq_snap_emit(s, &ev);
}

static int take_mounts(struct aq_snap *s)
{
	struct aq_lines lines;
	struct aq_mount m;
	struct aq_event ev;
	char *line;
	size_t len;
	int result = 0, r;

	if (aq_lines_open(&lines, s->proc_fd, "self/mountinfo", s->line) < 0) {
		s->stats.unreadable++;
		return 0;
	}
	while ((r = aq_lines_next(&lines, &line, &len)) > 0) {
		if (!aq_mount_parse(line, len, &m)) {
			s->stats.skipped++;
			continue;
		}
		if (aq_cgroups_mount(&s->cgroups, &m) < 0) {
			result = aq_err_set(s->err, -ENOMEM, "No memory for the list of cgroups");
			break;
		}
		aq_snap_event(&ev, AQ_EV_snap_mount, NULL, 0);
		ev.arg_count = 1;
		ev.args[0] = makedev(m.major, m.minor);
		aq_snap_attr(&ev, AQ_ATTR_PATH, m.point, m.point_len, 0);
		aq_snap_attr(&ev, AQ_ATTR_PATH2, m.root, m.root_len, 0);
		aq_snap_attr(&ev, AQ_ATTR_FSTYPE, m.fstype, m.fstype_len, 0);
		s->stats.mounts++;
		result = aq_snap_emit(s, &ev);
		if (result != 0)
			break;
	}
	s->stats.skipped += lines.skipped;
	s->stats.unreadable += r < 0;
	aq_lines_close(&lines);
	return result;
}

static int take_cgroups(struct aq_snap *s)
{
	ssize_t n = aq_procfs_read(s->proc_fd, "self/cgroup", s->text, sizeof(s->text), NULL);

	if (n > 0)
		aq_cgroups_number(&s->cgroups, s->text, (size_t)n);
	for (unsigned i = 0; i < AQ_SNAP_HIERARCHIES; i++) {
		int r = aq_cgroups_walk(&s->cgroups, i, emit_cgroup, s, &s->stats.skipped);

		if (r != 0)
			return r == -ENOMEM ? aq_err_set(s->err, r, "No memory for the list of cgroups") : r;
	}
	return 0;
}

/* A main thread that has ended while others live has lost its files and memory: another thread shows them. */
int aq_snap_open_living_thread(struct aq_snap *s, int dir, uint32_t pid)
{
	uint32_t tid;
	const char *name;
	int fd = -1;

	if (aq_procfs_dir_open(&s->dir_task, dir, "task") < 0)
		return -1;
	while (fd < 0 && aq_procfs_dir_next(&s->dir_task, &tid, &name) > 0)
		if (tid != pid)
			fd = openat(s->dir_task.fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	aq_procfs_dir_close(&s->dir_task);
	return fd;
}

static void add_link(struct aq_snap *s, struct aq_snap_process *p, struct aq_event *ev, const char *name,
		     enum aq_attr_key key, unsigned buf)
{
	bool cut = false;
	ssize_t n = aq_procfs_link(p->view, name, s->path[buf], sizeof(s->path[buf]), &cut);

	if (n >= 0) {
		aq_snap_attr(ev, key, s->path[buf], (size_t)n, cut ? AQ_ATF_TRUNCATED : 0);
		return;
	}
	aq_snap_failed(p, (int)n);
	if (aq_procfs_denied((int)n))
		aq_snap_attr(ev, key, "", 0, AQ_ATF_UNREADABLE);
	else if (n == -ENAMETOOLONG)
		aq_snap_attr(ev, key, "", 0, AQ_ATF_TRUNCATED);
}

static void add_argv(struct aq_snap *s, struct aq_snap_process *p, struct aq_event *ev)
{
	bool cut = false;
	ssize_t n = aq_procfs_read(p->view, "cmdline", s->argv, AQ_SNAP_ARGV_BYTES, &cut);

	if (n < 0) {
		aq_snap_failed(p, (int)n);
		if (aq_procfs_denied((int)n))
			aq_snap_attr(ev, AQ_ATTR_ARGV, "", 0, AQ_ATF_UNREADABLE);
		return;
	}
	if (n == 0)
		return; /* a kernel thread, or ended */
	if (s->argv[n - 1] != '\0')
		n++; /* the NUL that was put behind: the last string was cut or written over by the program */
	aq_snap_attr(ev, AQ_ATTR_ARGV, s->argv, (size_t)n, cut ? AQ_ATF_TRUNCATED : 0);
}

int aq_snap_emit_process(struct aq_snap *s, struct aq_snap_process *p, const struct aq_snap_facts *f)
{
	struct aq_event ev;

	aq_snap_event(&ev, AQ_EV_snap_proc, p, p->pid);
	ev.arg_count = 14;
	ev.args[0] = f->ppid;
	ev.args[1] = f->start_ns;
	ev.args[2] = f->uid;
	ev.args[3] = f->gid;
	ev.args[4] = f->euid;
	ev.args[5] = f->egid;
	ev.args[6] = f->sid;
	ev.args[7] = f->pgid;
	ev.args[8] = f->tty;
	ev.args[9] = f->cap_effective;
	ev.args[10] = f->exe_dev;
	ev.args[11] = f->exe_ino;
	ev.args[12] = f->ns_pid;
	ev.args[13] = f->threads;
	aq_snap_attr(&ev, AQ_ATTR_COMM, f->comm, f->comm_len, f->comm_cut ? AQ_ATF_TRUNCATED : 0);
	add_link(s, p, &ev, "exe", AQ_ATTR_EXE, 0);
	add_argv(s, p, &ev);
	add_link(s, p, &ev, "cwd", AQ_ATTR_CWD, 1);
	add_link(s, p, &ev, "root", AQ_ATTR_ROOT, 2);
	s->stats.processes++;
	s->stats.threads++;
	return aq_snap_emit(s, &ev);
}

static uint64_t start_ns(const struct aq_snap *s, const struct aq_procfs_stat *st)
{
	return st->start_ticks <= UINT64_MAX / s->tick_ns ? st->start_ticks * s->tick_ns : 0;
}

static int emit_process(struct aq_snap *s, struct aq_snap_process *p, const struct aq_procfs_stat *st,
			const struct aq_procfs_status *status)
{
	bool ended = (st->state == 'Z' || st->state == 'X') && st->threads <= 1;
	struct statx exe;
	struct aq_snap_facts f = {
		.start_ns = start_ns(s, st),
		.cap_effective = status->cap_effective,
		.ppid = st->ppid, .uid = status->uid, .gid = status->gid, .euid = status->euid, .egid = status->egid,
		.sid = st->sid, .pgid = st->pgid, .tty = st->tty, .ns_pid = status->ns_pid,
		.threads = ended ? 0 : st->threads,
		.comm = st->comm, .comm_len = st->comm_len, .comm_cut = st->comm_cut,
	};

	if (statx(p->view, "exe", AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO, &exe) == 0) {
		f.exe_dev = makedev(exe.stx_dev_major, exe.stx_dev_minor);
		f.exe_ino = exe.stx_ino;
	}
	return aq_snap_emit_process(s, p, &f);
}

int aq_snap_emit_namespaces(struct aq_snap *s, struct aq_snap_process *p, const uint64_t ns[8])
{
	struct aq_event ev;
	bool any = false;

	aq_snap_event(&ev, AQ_EV_snap_ns, p, p->pid);
	ev.arg_count = 8;
	for (unsigned i = 0; i < 8; i++) {
		ev.args[i] = ns[i];
		any |= ns[i] != 0;
	}
	p->net_ns = ns[3];
	return any ? aq_snap_emit(s, &ev) : 0;
}

static int emit_namespaces(struct aq_snap *s, struct aq_snap_process *p)
{
	static const struct {
		const char *path, *name;
	} known[] = { { "ns/cgroup", "cgroup" }, { "ns/ipc", "ipc" }, { "ns/mnt", "mnt" }, { "ns/net", "net" },
		      { "ns/pid", "pid" }, { "ns/time", "time" }, { "ns/user", "user" }, { "ns/uts", "uts" } };
	uint64_t ns[8] = { 0 };

	for (unsigned i = 0; i < 8; i++) {
		char link[64];
		ssize_t n = aq_procfs_link(p->view, known[i].path, link, sizeof(link), NULL);

		if (n < 0)
			aq_snap_failed(p, (int)n);
		else
			(void)aq_procfs_parse_bracket(link, (size_t)n, known[i].name, &ns[i]);
	}
	return aq_snap_emit_namespaces(s, p, ns);
}

static int emit_threads(struct aq_snap *s, struct aq_snap_process *p, int dir)
{
	uint32_t tid, count = 0;
	const char *name;
	int result = 0, r = aq_procfs_dir_open(&s->dir_task, dir, "task");

	if (r < 0) {
		aq_snap_failed(p, r);
		return 0;
	}
	while ((r = aq_procfs_dir_next(&s->dir_task, &tid, &name)) > 0) {
		struct aq_procfs_stat st;
		struct aq_event ev;
		char path[24], text[2048];
		size_t len = strlen(name);
		ssize_t n;

		if (tid == p->pid)
			continue;
		if (count++ >= s->opt.max_threads_per_process) {
			s->stats.skipped++;
			continue;
		}
		memcpy(path, name, len);
		memcpy(path + len, "/stat", 6);
		n = aq_procfs_read(s->dir_task.fd, path, text, sizeof(text), NULL);
		if (n < 0 && aq_snap_failed(p, (int)n))
			continue;
		if (n < 0 || aq_procfs_parse_stat(text, (size_t)n, &st) < 0 || st.pid != tid) {
			p->denied = true;
			continue;
		}
		aq_snap_event(&ev, AQ_EV_snap_thread, p, tid);
		ev.arg_count = 1;
		ev.args[0] = start_ns(s, &st);
		aq_snap_attr(&ev, AQ_ATTR_COMM, st.comm, st.comm_len, st.comm_cut ? AQ_ATF_TRUNCATED : 0);
		s->stats.threads++;
		result = aq_snap_emit(s, &ev);
		if (result != 0)
			break;
	}
	aq_procfs_dir_close(&s->dir_task);
	if (r < 0 && !aq_snap_failed(p, r))
		p->denied = true;
	return result;
}

static int take_opened(struct aq_snap *s, struct aq_snap_process *p, int dir)
{
	struct aq_procfs_status status;
	struct aq_procfs_stat st;
	ssize_t n = aq_procfs_read(dir, "stat", s->text, sizeof(s->text), NULL);
	int r, thread = -1;

	if (n < 0 && aq_snap_failed(p, (int)n)) {
		s->stats.vanished++;
		return 0;
	}
	if (n < 0 || aq_procfs_parse_stat(s->text, (size_t)n, &st) < 0 || st.pid != p->pid) {
		p->denied = true;
		return 0;
	}
	if (start_ns(s, &st) >= s->born_before_ns)
		return 0;
	n = aq_procfs_read(dir, "status", s->text, sizeof(s->text), NULL);
	if (n < 0 && aq_snap_failed(p, (int)n)) {
		s->stats.vanished++;
		return 0;
	}
	if (aq_procfs_parse_status(s->text, n < 0 ? 0 : (size_t)n, &status) < 0)
		p->denied = true;
	n = aq_procfs_read(dir, "cgroup", s->text, sizeof(s->text), NULL);
	if (n > 0)
		p->cgroup_id = aq_cgroups_of(&s->cgroups, s->text, (size_t)n);
	else if (n < 0)
		aq_snap_failed(p, (int)n);
	if (st.state == 'Z' && st.threads > 1)
		thread = aq_snap_open_living_thread(s, dir, p->pid);
	p->view = thread >= 0 ? thread : dir;
	r = emit_process(s, p, &st, &status);
	if (r == 0)
		r = emit_namespaces(s, p);
	if (r == 0 && st.threads > 1)
		r = emit_threads(s, p, dir);
	if (r == 0 && !s->opt.without_fds)
		r = aq_snap_descriptors(s, p);
	if (thread >= 0)
		close(thread);
	return r;
}

static int take_process(struct aq_snap *s, uint32_t pid, const char *name)
{
	struct aq_snap_process p = { .pid = pid, .time_ns = aq_snap_now() };
	int dir = openat(s->proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	if (dir < 0) {
		if (aq_procfs_gone(-errno))
			s->stats.vanished++;
		else
			s->stats.unreadable++;
		return 0;
	}
	r = take_opened(s, &p, dir);
	close(dir);
	s->stats.unreadable += p.denied;
	return r;
}

int aq_snap_take_processes(struct aq_snap *s, bool (*known)(const void *user, uint32_t pid), const void *user)
{
	uint32_t pid;
	const char *name;
	int result = 0, r = aq_procfs_dir_open(&s->dir_proc, s->proc_fd, ".");

	if (r < 0)
		return aq_err_set(s->err, r, "Cannot list '%s'", s->opt.proc_root);
	while ((r = aq_procfs_dir_next(&s->dir_proc, &pid, &name)) > 0) {
		if (pid == s->opt.skip_pid || (known && known(user, pid)))
			continue;
		result = take_process(s, pid, name);
		if (result != 0)
			break;
	}
	aq_procfs_dir_close(&s->dir_proc);
	if (r < 0)
		return aq_err_set(s->err, r, "Cannot list '%s'", s->opt.proc_root);
	return result;
}

static int take_all(struct aq_snap *s)
{
	struct aq_event ev;
	int r;

	aq_snap_event(&ev, AQ_EV_snap_begin, NULL, 0);
	ev.arg_count = 1;
	ev.args[0] = s->opt.reason;
	r = aq_snap_emit(s, &ev);
	if (r == 0)
		r = take_mounts(s);
	if (r == 0)
		r = take_cgroups(s);
	if (r == 0)
		r = s->opt.open_rows ? aq_snap_from_rows(s) : 1;
	if (r == 1)
		r = aq_snap_take_processes(s, NULL, NULL);
	if (r != 0)
		return r;
	s->stats.skipped += s->sockets.skipped;
	aq_snap_event(&ev, AQ_EV_snap_end, NULL, 0);
	ev.arg_count = 4;
	ev.args[0] = s->stats.processes;
	ev.args[1] = s->stats.threads;
	ev.args[2] = s->stats.fds;
	ev.args[3] = s->stats.unreadable + s->stats.skipped;
	return aq_snap_emit(s, &ev);
}

static void fill_defaults(struct aq_snapshot_options *o)
{
	if (!o->proc_root)
		o->proc_root = "/proc";
	if (!o->max_fds_per_process)
		o->max_fds_per_process = 65536;
	if (!o->max_threads_per_process)
		o->max_threads_per_process = 65536;
	if (!o->max_sockets)
		o->max_sockets = 262144;
	if (!o->max_tasks)
		o->max_tasks = 262144;
	if (!o->max_cgroups)
		o->max_cgroups = 65536;
	if (o->max_sockets > 1u << 28)
		o->max_sockets = 1u << 28;
	if (o->max_cgroups > 1u << 28)
		o->max_cgroups = 1u << 28;
}

int aq_snapshot_take(const struct aq_snapshot_options *options,
		     int (*emit)(void *user, const struct aq_event *ev, struct aq_err *err), void *user,
		     struct aq_snapshot_stats *ret_stats, struct aq_err *err)
{
	struct aq_snap *s = malloc(sizeof(*s)); /* its buffers need no zeroes */
	uint64_t begin = aq_snap_now();
	long ticks = sysconf(_SC_CLK_TCK);
	int r;

	if (!s)
		return aq_err_set(err, -ENOMEM, "No memory to take a snapshot");
	s->opt = options ? *options : (struct aq_snapshot_options){ 0 };
	fill_defaults(&s->opt);
	s->emit = emit;
	s->user = user;
	s->err = err;
	s->stats = (struct aq_snapshot_stats){ 0 };
	s->last_ns = 0;
	s->born_before_ns = UINT64_MAX;
	s->tick_ns = 1000000000ull / (uint64_t)(ticks > 0 ? ticks : 100);
	aq_snap_kinds_init(s->kind);
	s->dir_proc.fd = s->dir_task.fd = s->dir_fd.fd = -1;
	s->proc_fd = open(s->opt.proc_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->proc_fd < 0) {
		r = aq_err_set(err, -errno, "Cannot open '%s' to take a snapshot", s->opt.proc_root);
		free(s);
		return r;
	}
	r = aq_cgroups_init(&s->cgroups, s->opt.max_cgroups);
	if (r == 0) {
		r = aq_sockets_init(&s->sockets, s->opt.max_sockets);
		if (r == 0)
			r = take_all(s);
		else
			aq_err_set(err, r, "No memory to take a snapshot");
		aq_sockets_release(&s->sockets);
		aq_cgroups_release(&s->cgroups);
	} else {
		aq_err_set(err, r, "No memory to take a snapshot");
	}
	s->stats.duration_ns = aq_snap_now() - begin;
	if (r == 0 && ret_stats)
		*ret_stats = s->stats;
	close(s->proc_fd);
	free(s);
	return r;
}
