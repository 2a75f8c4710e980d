/* SPDX-License-Identifier: Apache-2.0 */
/* The open descriptors of one process: what they are, where, how opened, and for sockets the addresses. */
#include "recorder/state/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { AQ_FDINFO_BYTES = 512 }; /* pos and flags stand at its beginning; an epoll's goes on for long */

void aq_snap_kinds_init(uint64_t kind[AQ_SNAP_KIND_COUNT])
{
	static const char *const names[AQ_SNAP_KIND_COUNT] = {
		[AQ_SNAP_KIND_FILE] = "file", [AQ_SNAP_KIND_DIRECTORY] = "directory", [AQ_SNAP_KIND_CHAR] = "char",
		[AQ_SNAP_KIND_BLOCK] = "block", [AQ_SNAP_KIND_FIFO] = "fifo", [AQ_SNAP_KIND_SOCKET] = "socket",
		[AQ_SNAP_KIND_ANON] = "anon", [AQ_SNAP_KIND_SYMLINK] = "symlink", [AQ_SNAP_KIND_MEMFD] = "memfd",
	};
	const struct aq_flag_set *set = aq_flag_set_by_name("fd_kinds");

	for (unsigned k = 0; k < AQ_SNAP_KIND_COUNT; k++) {
		kind[k] = 0;
		for (uint32_t i = 0; set && i < set->count; i++)
			if (strcmp(set->names[i].name, names[k]) == 0)
				kind[k] = set->names[i].value;
	}
}

static enum aq_snap_kind kind_of(const char *link, uint32_t mode)
{
	if (strncmp(link, "/memfd:", 7) == 0)
		return AQ_SNAP_KIND_MEMFD;
	switch (mode & S_IFMT) {
	case S_IFREG:
		return AQ_SNAP_KIND_FILE;
	case S_IFDIR:
		return AQ_SNAP_KIND_DIRECTORY;
	case S_IFCHR:
		return AQ_SNAP_KIND_CHAR;
	case S_IFBLK:
		return AQ_SNAP_KIND_BLOCK;
	case S_IFIFO:
		return AQ_SNAP_KIND_FIFO;
	case S_IFSOCK:
		return AQ_SNAP_KIND_SOCKET;
	case S_IFLNK:
		return AQ_SNAP_KIND_SYMLINK;
	default:
		return AQ_SNAP_KIND_ANON; /* eventfd, epoll and their like have no file type */
	}
}

/* "pos:\t0\nflags:\t0100002\n…" */
static void parse_fdinfo(const char *text, size_t len, uint64_t *ret_pos, uint64_t *ret_flags)
{
	const char *end = text + len;

	for (const char *line = text, *stop; line < end; line = stop + 1) {
		const char *s;
		uint64_t value;

		stop = memchr(line, '\n', (size_t)(end - line));
		if (!stop)
			break;
		if (stop - line > 4 && memcmp(line, "pos:", 4) == 0) {
			int64_t pos;

			s = line + 4;
			if (aq_parse_i64(&s, stop, &pos))
				*ret_pos = (uint64_t)pos;
		} else if (stop - line > 6 && memcmp(line, "flags:", 6) == 0) {
			s = line + 6;
			if (aq_parse_octal(&s, stop, &value))
				*ret_flags = value;
			break;
		}
	}
}

/*
 * A socket that is in no table is not bound yet, of a family without a table, or was made in a namespace that no
 * process is in any more. Its protocol's name is an attribute of the file.
 */
static void family_by_name(struct aq_snap *s, const char *fd_path, uint16_t *ret_family, uint8_t *ret_proto)
{
	static const struct {
		const char *name;
		uint16_t family;
		uint8_t proto;
	} known[] = {
		{ "TCP", AF_INET, IPPROTO_TCP },        { "TCPv6", AF_INET6, IPPROTO_TCP },
		{ "UDP", AF_INET, IPPROTO_UDP },        { "UDPv6", AF_INET6, IPPROTO_UDP },
		{ "MPTCP", AF_INET, IPPROTO_TCP },      { "MPTCPv6", AF_INET6, IPPROTO_TCP },
		{ "RAW", AF_INET, IPPROTO_RAW },        { "RAWv6", AF_INET6, IPPROTO_RAW },
		{ "PING", AF_INET, IPPROTO_ICMP },      { "PINGv6", AF_INET6, IPPROTO_ICMPV6 },
		{ "UNIX", AF_UNIX, 0 },                 { "UNIX-STREAM", AF_UNIX, 0 },
		{ "NETLINK", AF_NETLINK, 0 },           { "PACKET", AF_PACKET, 0 },
	};
	char name[64], path[64];
	ssize_t n;

	if (snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", s->dir_fd.fd, fd_path) >= (int)sizeof(path))
		return;
	n = getxattr(path, "system.sockprotoname", name, sizeof(name) - 1);
	if (n <= 0)
		return;
	name[n] = '\0';
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i].name) == 0) {
			*ret_family = known[i].family;
			*ret_proto = known[i].proto;
		}
}

static int add_socket(struct aq_snap *s, struct aq_snap_process *p, struct aq_event *ev, uint64_t ino, const char *name,
		      uint8_t tuple[AQ_SNAP_TUPLE_BYTES])
{
	const struct aq_socket *found;
	uint16_t family = 0;
	uint8_t proto = 0;

	if (!p->net_loaded) {
		int r = p->net_ns ? aq_sockets_load(&s->sockets, p->view, p->net_ns, s->line) : 0;

		if (r < 0)
			return aq_err_set(s->err, r, "No memory for the addresses of sockets");
		p->net_loaded = true;
	}
	found = aq_sockets_find(&s->sockets, ino);
	if (found && found->has_tuple) {
		ev->args[6] = found->proto;
		if (found->path)
			aq_snap_attr(ev, AQ_ATTR_PATH, found->path, strlen(found->path), 0);
		aq_snap_attr(ev, AQ_ATTR_TUPLE, found->tuple, AQ_SNAP_TUPLE_BYTES, 0);
		return 0;
	}
	if (found && found->ambiguous)
		family = found->family;
	else
		family_by_name(s, name, &family, &proto);
	ev->args[6] = proto;
	if (family) { /* the family is known, the addresses are zero */
		memset(tuple, 0, AQ_SNAP_TUPLE_BYTES);
		memcpy(tuple, &family, sizeof(family));
		memcpy(tuple + AQ_SNAP_SOCKADDR_BYTES, &family, sizeof(family));
		aq_snap_attr(ev, AQ_ATTR_TUPLE, tuple, AQ_SNAP_TUPLE_BYTES, 0);
	}
	return 0;
}

/* The link's text is in s->path[0]. */
static int emit_descriptor(struct aq_snap *s, struct aq_snap_process *p, const struct aq_snap_file *f, const char *name,
			   size_t link_len, unsigned link_flags)
{
	uint8_t tuple[AQ_SNAP_TUPLE_BYTES];
	char *link = s->path[0];
	struct aq_event ev;
	uint64_t ino = f->ino;
	bool is_socket = false;

	aq_snap_event(&ev, AQ_EV_snap_fd, p, p->pid);
	ev.arg_count = 7;
	ev.args[0] = f->number;
	if (f->known) {
		enum aq_snap_kind kind = kind_of(link, f->mode);

		is_socket = kind == AQ_SNAP_KIND_SOCKET;
		ev.args[1] = s->kind[kind];
		ev.args[2] = f->dev;
	} else if (aq_procfs_parse_bracket(link, link_len, "socket", &ino)) {
		is_socket = true;
		ev.args[1] = s->kind[AQ_SNAP_KIND_SOCKET];
	}
	ev.args[3] = ino;
	ev.args[4] = f->flags;
	ev.args[5] = f->pos;
	if (is_socket && ino) {
		int r = add_socket(s, p, &ev, ino, name, tuple);

		if (r < 0)
			return r;
	} else {
		aq_snap_attr(&ev, AQ_ATTR_PATH, link, link_len, link_flags);
	}
	s->stats.fds++;
	return aq_snap_emit(s, &ev);
}

/* The path of a descriptor into s->path[0]. False: it was closed meanwhile, and the close was seen. */
static bool read_path(struct aq_snap *s, struct aq_snap_process *p, const char *name, size_t *ret_len, unsigned *ret_flags)
{
	bool cut = false;
	ssize_t n = aq_procfs_link(s->dir_fd.fd, name, s->path[0], sizeof(s->path[0]), &cut);

	if (n < 0 && n != -ENAMETOOLONG) {
		aq_snap_failed(p, (int)n);
		return false;
	}
	if (n < 0) {
		s->path[0][0] = '\0'; /* a path longer than a page */
		cut = true;
		n = 0;
	}
	*ret_len = (size_t)n;
	*ret_flags = cut ? AQ_ATF_TRUNCATED : 0;
	return true;
}

static int one_descriptor(struct aq_snap *s, struct aq_snap_process *p, int info_fd, uint32_t number, const char *name)
{
	struct aq_snap_file f = { .number = number };
	char info[AQ_FDINFO_BYTES];
	struct statx st;
	unsigned flags;
	size_t len;

	if (!read_path(s, p, name, &len, &flags))
		return 0;
	/* never asks a file server, which might not answer */
	if (statx(s->dir_fd.fd, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_INO, &st) == 0) {
		f.known = true;
		f.mode = st.stx_mode;
		f.dev = makedev(st.stx_dev_major, st.stx_dev_minor);
		f.ino = st.stx_ino;
	} else if (strncmp(s->path[0], "socket:", 7) != 0) {
		aq_snap_failed(p, -errno);
	}
	if (info_fd >= 0) {
		ssize_t got = aq_procfs_read(info_fd, name, info, sizeof(info), NULL);

		if (got > 0)
			parse_fdinfo(info, (size_t)got, &f.pos, &f.flags);
		else if (got < 0)
			aq_snap_failed(p, (int)got);
	}
	return emit_descriptor(s, p, &f, name, len, flags);
}

int aq_snap_file(struct aq_snap *s, struct aq_snap_process *p, const struct aq_snap_file *f)
{
	char name[16];
	unsigned flags = 0;
	size_t len = 0;

	snprintf(name, sizeof(name), "%u", f->number);
	s->path[0][0] = '\0';
	if ((f->mode & S_IFMT) != S_IFSOCK && !read_path(s, p, name, &len, &flags))
		return 0;
	return emit_descriptor(s, p, f, name, len, flags);
}

int aq_snap_descriptors(struct aq_snap *s, struct aq_snap_process *p)
{
	uint32_t number, count = 0;
	const char *name;
	int info_fd, r, result = 0;

	r = aq_procfs_dir_open(&s->dir_fd, p->view, "fd");
	if (r < 0) {
		aq_snap_failed(p, r);
		return 0;
	}
	info_fd = openat(p->view, "fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (info_fd < 0)
		aq_snap_failed(p, -errno);
	while ((r = aq_procfs_dir_next(&s->dir_fd, &number, &name)) > 0) {
		if (count++ >= s->opt.max_fds_per_process) {
			s->stats.skipped++;
			continue;
		}
		result = one_descriptor(s, p, info_fd, number, name);
		if (result != 0)
			break;
	}
	if (info_fd >= 0)
		close(info_fd);
	aq_procfs_dir_close(&s->dir_fd);
	if (r < 0 && !aq_snap_failed(p, r))
		p->denied = true;
	return result;
}
