/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What calls do to descriptors: opened, copied, connected, closed. A failed call changes nothing, with the exceptions
 * that the kernel makes (close, a connect in progress).
 */
#include "query/state_internal.h"

#include <errno.h>
#include <sched.h>
#include <sys/socket.h>

enum { AQ_F_DUPFD = 0, AQ_F_SETFD = 2, AQ_F_DUPFD_CLOEXEC = 1030, AQ_FIONCLEX = 0x5450, AQ_FIOCLEX = 0x5451 };
enum { AQ_O_CLOEXEC = 02000000, AQ_CLOSE_RANGE_UNSHARE = 2, AQ_CLOSE_RANGE_CLOEXEC = 4, AQ_MFD_CLOEXEC = 1 };

static void install(struct aq_feed *f, int64_t num, struct aq_fd *fd, bool cloexec)
{
	struct aq_fdtable *t = aq_st_files(f->s, f->proc);

	if (!t) {
		aq_fd_unref(f->s, fd);
		return;
	}
	aq_fdtable_put(f->s, t, num, fd, cloexec);
	f->fd = aq_fdtable_get(t, num, NULL);
	f->fd_num = num;
}

static struct aq_fd *install_new(struct aq_feed *f, int64_t num, enum aq_fd_type type, bool cloexec)
{
	struct aq_fd *fd = aq_fd_make(f->s, type, f->ev->time_ns);

	install(f, num, fd, cloexec);
	return f->fd == fd ? fd : NULL;
}

static void take_identity(struct aq_feed *f, struct aq_fd *fd)
{
	if (f->shape->ino_arg >= 0 && f->shape->ino_arg < f->ev->arg_count) {
		fd->ino = aq_arg_u64(f->ev, (unsigned)f->shape->ino_arg);
		fd->dev = f->shape->dev_arg >= 0 ? aq_arg_u64(f->ev, (unsigned)f->shape->dev_arg) : 0;
		fd->dev_known = fd->ino != 0;
	}
}

static void on_open(struct aq_feed *f)
{
	const struct aq_event *ev = f->ev;
	uint64_t o_directory = ev->abi == AQ_ABI_ARM64 || ev->abi == AQ_ABI_ARM ? 040000 : 0200000;
	uint64_t flags = f->shape->open_flags_arg >= 0 ? aq_arg_u64(ev, (unsigned)f->shape->open_flags_arg) : 0;
	const struct aq_attr *k = aq_event_attr(ev, AQ_ATTR_KPATH);
	struct aq_fd *fd;
	bool certain;

	if (ev->id == AQ_EV_creat)
		flags = 01 | 0100 | 01000;
	fd = install_new(f, ev->ret, flags & o_directory ? AQ_FD_DIRECTORY : AQ_FD_FILE, flags & AQ_O_CLOEXEC);
	if (!fd)
		return;
	fd->flags = flags;
	fd->name = aq_st_path(f, false, &certain);
	fd->name_is_kernel = k && k->len;
	fd->uncertain = !certain;
	take_identity(f, fd);
	if ((flags & 3 /* O_ACCMODE */) != 0 && !(flags & o_directory))
		aq_st_written_note(f, fd->name);
}

static void set_endpoint(struct aq_feed *f, struct aq_fd *fd, bool remote)
{
	const struct aq_attr *a = aq_event_attr(f->ev, AQ_ATTR_SOCKADDR);
	const struct aq_attr *t = aq_event_attr(f->ev, AQ_ATTR_TUPLE);
	const char *name;
	size_t name_len;
	uint8_t family;

	if (a && !(a->flags & AQ_ATF_UNREADABLE) &&
	    aq_endpoint_parse(a->data, a->len, remote ? &fd->remote : &fd->local, &family, &name, &name_len)) {
		if (!fd->family)
			fd->family = family;
		if (name_len)
			aq_str_set(f->s, &fd->name, aq_str_make(f->s, name, name_len));
	}
	if (t)
		aq_fd_take_tuple(fd, t);
	if (fd->type == AQ_FD_SOCKET || fd->type == AQ_FD_OTHER || fd->type == AQ_FD_UNKNOWN)
		fd->type = (uint8_t)aq_fd_type_of_family(fd->family);
}

enum aq_fd_type aq_fd_type_of_family(unsigned family)
{
	switch (family) {
	case AF_INET: return AQ_FD_IPV4;
	case AF_INET6: return AQ_FD_IPV6;
	case AF_UNIX: return AQ_FD_UNIX;
	case AF_NETLINK: return AQ_FD_NETLINK;
	case AF_PACKET: return AQ_FD_PACKET;
	default: return AQ_FD_SOCKET;
	}
}

/* The object behind a descriptor that is in use: one that nobody saw being made is made now, as unknown. */
static struct aq_fd *existing_socket(struct aq_feed *f, int64_t num)
{
	struct aq_fd *fd = aq_fdtable_get(f->proc->files, num, NULL);

	if (!fd) {
		fd = install_new(f, num, AQ_FD_SOCKET, false);
		if (fd)
			fd->uncertain = true;
	}
	f->fd = fd;
	f->fd_num = num;
	return fd;
}

static void on_socket(struct aq_feed *f)
{
	uint32_t type = aq_arg_u32(f->ev, 1);
	struct aq_fd *fd = install_new(f, f->ev->ret, aq_fd_type_of_family(aq_arg_u32(f->ev, 0)), type & AQ_O_CLOEXEC);

	if (!fd)
		return;
	fd->family = (uint8_t)aq_arg_u32(f->ev, 0);
	fd->sock_type = type & 0xf;
	fd->proto = (uint8_t)aq_arg_u32(f->ev, 2);
	take_identity(f, fd);
}

static void on_accept(struct aq_feed *f)
{
	struct aq_fd *listener = aq_fdtable_get(f->proc->files, aq_arg_i32(f->ev, 0), NULL);
	bool cloexec = f->ev->id == AQ_EV_accept4 && (aq_arg_u32(f->ev, 3) & AQ_O_CLOEXEC);
	struct aq_fd *fd;

	if (listener)
		listener->refs++; /* a hostile file may accept into the listener's own number */
	fd = install_new(f, f->ev->ret, listener ? listener->type : AQ_FD_SOCKET, cloexec);
	if (fd && listener) {
		listener->is_server = true;
		fd->family = listener->family;
		fd->sock_type = listener->sock_type;
		fd->proto = listener->proto;
		fd->local = listener->local;
		fd->name = aq_str_ref(listener->name);
	}
	aq_fd_unref(f->s, listener);
	if (!fd)
		return;
	fd->is_server = fd->role_known = true;
	set_endpoint(f, fd, true);
	take_identity(f, fd);
}

static void on_pair(struct aq_feed *f, enum aq_fd_type type, bool cloexec)
{
	const struct aq_attr *a = aq_event_attr(f->ev, AQ_ATTR_FDS);
	struct aq_fd *fd[2];
	int32_t num[2];

	if (!a || a->len < 8)
		return;
	memcpy(num, a->data, 8);
	for (unsigned i = 0; i < 2; i++) {
		fd[i] = install_new(f, num[i], type, cloexec);
		if (!fd[i])
			return;
		fd[i]->family = type == AQ_FD_UNIX ? (uint8_t)aq_arg_u32(f->ev, 0) : 0;
		take_identity(f, fd[i]);
	}
	f->fd = num[0] != num[1] ? fd[0] : NULL;
	f->fd_num = num[0];
}

static void on_dup(struct aq_feed *f, int64_t from, int64_t to, bool cloexec)
{
	struct aq_fd *fd = aq_fdtable_get(f->proc->files, from, NULL);

	if (from == to) { /* dup2 of itself changes nothing */
		f->fd = fd;
		f->fd_num = from;
		return;
	}
	if (fd)
		fd->refs++; /* else unknown: whatever was at `to` is gone all the same */
	install(f, to, fd, cloexec);
}

static void on_fcntl(struct aq_feed *f)
{
	int64_t num = aq_arg_i32(f->ev, 0);
	int32_t cmd = aq_arg_i32(f->ev, 1);

	if (cmd == AQ_F_DUPFD || cmd == AQ_F_DUPFD_CLOEXEC)
		on_dup(f, num, f->ev->ret, cmd == AQ_F_DUPFD_CLOEXEC);
	else if (cmd == AQ_F_SETFD && f->proc->files)
		aq_fdtable_set_cloexec(f->proc->files, num, aq_arg_u64(f->ev, 2) & 1);
}

static void on_ioctl(struct aq_feed *f)
{
	uint32_t cmd = aq_arg_u32(f->ev, 1);

	if ((cmd == AQ_FIOCLEX || cmd == AQ_FIONCLEX) && f->proc->files)
		aq_fdtable_set_cloexec(f->proc->files, aq_arg_i32(f->ev, 0), cmd == AQ_FIOCLEX);
}

/* What is closed is still wanted for this row: it is parked until the next event. */
static void on_close(struct aq_feed *f)
{
	struct aq_state *s = f->s;
	int64_t num = aq_arg_i32(f->ev, 0);
	struct aq_fd *fd = aq_fdtable_get(f->proc->files, num, NULL);

	f->fd_num = num;
	if (f->ev->ret == -EBADF) {
		if (f->proc->files) /* whatever was thought to be there is not */
			aq_fdtable_put(s, f->proc->files, num, NULL, false);
		return;
	}
	if (!fd)
		return;
	fd->refs++;
	aq_fdtable_put(s, f->proc->files, num, NULL, false);
	s->parked = fd;
	f->fd = fd;
}

static void on_close_range(struct aq_feed *f)
{
	struct aq_proc *p = f->proc;
	uint32_t flags = aq_arg_u32(f->ev, 2);

	if (!p->files)
		return;
	if ((flags & AQ_CLOSE_RANGE_UNSHARE) && p->files->refs > 1) {
		struct aq_fdtable *own = aq_fdtable_copy(f->s, p->files);

		aq_fdtable_unref(f->s, p->files);
		p->files = own;
	}
	if (p->files)
		aq_fdtable_close_range(f->s, p->files, aq_arg_u32(f->ev, 0), aq_arg_u32(f->ev, 1),
				       flags & AQ_CLOSE_RANGE_CLOEXEC);
}

static void on_named(struct aq_feed *f, enum aq_fd_type type, bool cloexec)
{
	struct aq_fd *fd = install_new(f, f->ev->ret, type, cloexec);

	if (!fd)
		return;
	fd->name = aq_str_from_attr(f->s, f->ev, AQ_ATTR_NAME);
	take_identity(f, fd);
}

/* Calls that make a descriptor; true when ev was one of them. Only successful calls come here. */
static bool makes_fd(struct aq_feed *f)
{
	const struct aq_event *ev = f->ev;
	uint32_t a0 = aq_arg_u32(ev, 0), a1 = aq_arg_u32(ev, 1);

	switch (ev->id) {
	case AQ_EV_open:
	case AQ_EV_openat:
	case AQ_EV_openat2:
	case AQ_EV_creat: on_open(f); return true;
	case AQ_EV_socket: on_socket(f); return true;
	case AQ_EV_accept:
	case AQ_EV_accept4: on_accept(f); return true;
	case AQ_EV_pipe: on_pair(f, AQ_FD_PIPE, false); return true;
	case AQ_EV_pipe2: on_pair(f, AQ_FD_PIPE, a1 & AQ_O_CLOEXEC); return true;
	case AQ_EV_socketpair: on_pair(f, aq_fd_type_of_family(a0), a1 & AQ_O_CLOEXEC); return true;
	case AQ_EV_dup: on_dup(f, (int32_t)a0, ev->ret, false); return true;
	case AQ_EV_dup2: on_dup(f, (int32_t)a0, ev->ret, false); return true;
	case AQ_EV_dup3: on_dup(f, (int32_t)a0, ev->ret, aq_arg_u32(ev, 2) & AQ_O_CLOEXEC); return true;
	case AQ_EV_fcntl: on_fcntl(f); return true;
	case AQ_EV_memfd_create: on_named(f, AQ_FD_MEMFD, a1 & AQ_MFD_CLOEXEC); return true;
	case AQ_EV_memfd_secret: on_named(f, AQ_FD_MEMFD, a0 & AQ_O_CLOEXEC); return true;
	case AQ_EV_eventfd: on_named(f, AQ_FD_EVENT, false); return true;
	case AQ_EV_eventfd2: on_named(f, AQ_FD_EVENT, a1 & AQ_O_CLOEXEC); return true;
	case AQ_EV_epoll_create: on_named(f, AQ_FD_EPOLL, false); return true;
	case AQ_EV_epoll_create1: on_named(f, AQ_FD_EPOLL, a0 & AQ_O_CLOEXEC); return true;
	case AQ_EV_timerfd_create: on_named(f, AQ_FD_TIMER, a1 & AQ_O_CLOEXEC); return true;
	case AQ_EV_signalfd:
	case AQ_EV_signalfd4: /* an old descriptor may be given: then it only changes */
		if ((int32_t)a0 == -1)
			on_named(f, AQ_FD_SIGNAL, ev->id == AQ_EV_signalfd4 && (aq_arg_u32(ev, 3) & AQ_O_CLOEXEC));
		return true;
	case AQ_EV_inotify_init: on_named(f, AQ_FD_INOTIFY, false); return true;
	case AQ_EV_inotify_init1: on_named(f, AQ_FD_INOTIFY, a0 & AQ_O_CLOEXEC); return true;
	case AQ_EV_fanotify_init: on_named(f, AQ_FD_FANOTIFY, a0 & 1); return true;
	case AQ_EV_io_uring_setup: on_named(f, AQ_FD_IOURING, true); return true;
	case AQ_EV_pidfd_open: on_named(f, AQ_FD_PIDFD, true); return true;
	case AQ_EV_pidfd_getfd: on_named(f, AQ_FD_UNKNOWN, true); return true;
	case AQ_EV_perf_event_open: on_named(f, AQ_FD_PERF, aq_arg_u64(ev, 4) & 8); return true;
	case AQ_EV_userfaultfd: on_named(f, AQ_FD_USERFAULT, a0 & AQ_O_CLOEXEC); return true;
	default: return false;
	}
}

static bool uses_fd(struct aq_feed *f)
{
	const struct aq_event *ev = f->ev;
	struct aq_fd *fd;

	switch (ev->id) {
	case AQ_EV_connect:
		fd = existing_socket(f, aq_arg_i32(ev, 0));
		if (fd && (ev->ret == 0 || ev->ret == -EINPROGRESS || ev->ret == -EALREADY || ev->ret == -EISCONN)) {
			fd->is_server = false;
			fd->role_known = true;
			set_endpoint(f, fd, true);
		} else if (fd && !fd->role_known) {
			set_endpoint(f, fd, true); /* whom it could not reach, until it reaches another */
		}
		return true;
	case AQ_EV_bind:
		if (ev->ret == 0 && (fd = existing_socket(f, aq_arg_i32(ev, 0))))
			set_endpoint(f, fd, false);
		return ev->ret == 0;
	case AQ_EV_listen:
		if (ev->ret == 0 && (fd = existing_socket(f, aq_arg_i32(ev, 0))))
			fd->is_server = true;
		return ev->ret == 0;
	case AQ_EV_close: on_close(f); return true;
	case AQ_EV_close_range:
		if (ev->ret == 0)
			on_close_range(f);
		return true;
	case AQ_EV_ioctl:
		if (ev->ret == 0)
			on_ioctl(f);
		return false;
	default:
		return false;
	}
}

void aq_st_fd_event(struct aq_feed *f)
{
	const struct aq_event *ev = f->ev;

	if (ev->ret == 0 && (ev->id == AQ_EV_rename || ev->id == AQ_EV_renameat || ev->id == AQ_EV_renameat2))
		aq_st_written_rename(f);
	if (ev->ret >= 0 && makes_fd(f)) {
		if (f->fd_num >= 0)
			return;
	} else if (uses_fd(f)) {
		return;
	} else if (ev->ret >= 0 && f->shape->ret_is_fd && ev->ret < AQ_FD_NUM_MAX) {
		on_named(f, AQ_FD_OTHER, false);
		return;
	}
	if (f->shape->fd_arg >= 0) {
		f->fd_num = aq_arg_i32(ev, (unsigned)f->shape->fd_arg);
		f->fd = aq_fdtable_get(f->proc->files, f->fd_num, NULL);
	} else if (f->shape->dirfd1 >= 0) { /* an empty path means the descriptor itself */
		const struct aq_attr *path = aq_event_attr(ev, AQ_ATTR_PATH);

		if (path && path->len == 0 && !(path->flags & AQ_ATF_UNREADABLE) &&
		    aq_arg_i32(ev, (unsigned)f->shape->dirfd1) >= 0) {
			f->fd_num = aq_arg_i32(ev, (unsigned)f->shape->dirfd1);
			f->fd = aq_fdtable_get(f->proc->files, f->fd_num, NULL);
		}
	}
}

void aq_state_event_set(bool with_fds, uint64_t *ret_set)
{
	static const uint16_t proc_ids[] = {
		AQ_EV_proc_fork, AQ_EV_proc_exec, AQ_EV_proc_exit, AQ_EV_proc_rename, AQ_EV_cgroup_mkdir, AQ_EV_cgroup_rmdir,
		AQ_EV_cgroup_attach, AQ_EV_snap_begin, AQ_EV_snap_proc, AQ_EV_snap_ns, AQ_EV_snap_thread, AQ_EV_snap_cgroup,
		AQ_EV_snap_end, AQ_EV_clone, AQ_EV_clone3, AQ_EV_fork, AQ_EV_vfork, AQ_EV_chdir, AQ_EV_fchdir, AQ_EV_chroot,
		AQ_EV_unshare, AQ_EV_setns, AQ_EV_setuid, AQ_EV_setgid, AQ_EV_setreuid, AQ_EV_setregid, AQ_EV_setresuid,
		AQ_EV_setresgid, AQ_EV_setsid, AQ_EV_prctl,
	};
	static const uint16_t fd_ids[] = {
		AQ_EV_snap_fd, AQ_EV_open, AQ_EV_openat, AQ_EV_openat2, AQ_EV_creat, AQ_EV_socket, AQ_EV_accept, AQ_EV_accept4,
		AQ_EV_pipe, AQ_EV_pipe2, AQ_EV_socketpair, AQ_EV_dup, AQ_EV_dup2, AQ_EV_dup3, AQ_EV_fcntl,
		AQ_EV_memfd_create, AQ_EV_memfd_secret, AQ_EV_eventfd, AQ_EV_eventfd2, AQ_EV_epoll_create,
		AQ_EV_epoll_create1, AQ_EV_timerfd_create, AQ_EV_signalfd, AQ_EV_signalfd4, AQ_EV_inotify_init,
		AQ_EV_inotify_init1, AQ_EV_fanotify_init, AQ_EV_io_uring_setup, AQ_EV_pidfd_open, AQ_EV_pidfd_getfd,
		AQ_EV_perf_event_open, AQ_EV_userfaultfd, AQ_EV_connect, AQ_EV_bind, AQ_EV_listen, AQ_EV_close,
		AQ_EV_close_range, AQ_EV_ioctl, AQ_EV_rename, AQ_EV_renameat, AQ_EV_renameat2,
	};

	memset(ret_set, 0, (AQ_EVENT_ID_MAX + 63) / 64 * sizeof(*ret_set));
	for (size_t i = 0; i < sizeof(proc_ids) / sizeof(proc_ids[0]); i++)
		ret_set[proc_ids[i] / 64] |= 1ull << (proc_ids[i] % 64);
	if (!with_fds)
		return;
	for (size_t i = 0; i < sizeof(fd_ids) / sizeof(fd_ids[0]); i++)
		ret_set[fd_ids[i] / 64] |= 1ull << (fd_ids[i] % 64);
	for (const struct aq_event_schema *e = aq_schema_next(0); e; e = aq_schema_next(e->id))
		if (e->ret_type == AQ_TYPE_FD && e->id < AQ_EVENT_ID_MAX)
			ret_set[e->id / 64] |= 1ull << (e->id % 64);
}
