/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables and the objects behind descriptors; cwd and root. A table is a directory of pages of 64, so that a
 * lone high descriptor costs little. What the calls mean is in state_fd.c.
 */
#include "query/state_internal.h"

struct aq_fd *aq_fd_make(struct aq_state *s, enum aq_fd_type type, uint64_t time_ns)
{
	struct aq_fd *fd = aq_st_alloc(s, sizeof(*fd));

	if (!fd)
		return NULL;
	fd->refs = 1;
	fd->type = (uint8_t)type;
	fd->opened_ns = time_ns;
	fd->serial = ++s->fd_serial;
	s->fds++;
	return fd;
}

void aq_fd_unref(struct aq_state *s, struct aq_fd *fd)
{
	if (!fd || --fd->refs)
		return;
	aq_str_unref(s, fd->name);
	s->fds--;
	aq_st_free(s, fd, sizeof(*fd));
}

struct aq_fdtable *aq_fdtable_make(struct aq_state *s)
{
	struct aq_fdtable *t = aq_st_alloc(s, sizeof(*t));

	if (t)
		t->refs = 1;
	return t;
}

static void free_page(struct aq_state *s, struct aq_fdpage *page)
{
	for (unsigned i = 0; page->used && i < AQ_FD_PAGE; i++)
		aq_fd_unref(s, page->fd[i]);
	aq_st_free(s, page, sizeof(*page));
}

void aq_fdtable_unref(struct aq_state *s, struct aq_fdtable *t)
{
	if (!t || --t->refs)
		return;
	for (uint32_t i = 0; i < t->page_count; i++)
		if (t->page[i])
			free_page(s, t->page[i]);
	aq_st_free(s, t->page, t->page_count * sizeof(*t->page));
	aq_st_free(s, t, sizeof(*t));
}

struct aq_fdtable *aq_fdtable_copy(struct aq_state *s, const struct aq_fdtable *from)
{
	struct aq_fdtable *t = aq_fdtable_make(s);

	if (!t || from->page_count == 0)
		return t;
	t->page = aq_st_alloc(s, from->page_count * sizeof(*t->page));
	if (!t->page)
		return t;
	t->page_count = from->page_count;
	for (uint32_t i = 0; i < from->page_count; i++) {
		if (!from->page[i] || !from->page[i]->used)
			continue;
		t->page[i] = aq_st_alloc(s, sizeof(**t->page));
		if (!t->page[i])
			break;
		*t->page[i] = *from->page[i];
		for (unsigned k = 0; k < AQ_FD_PAGE; k++)
			if (t->page[i]->fd[k])
				t->page[i]->fd[k]->refs++;
		t->open += t->page[i]->used;
	}
	return t;
}

struct aq_fd *aq_fdtable_get(const struct aq_fdtable *t, int64_t num, bool *ret_cloexec)
{
	const struct aq_fdpage *page;

	if (!t || num < 0 || num / AQ_FD_PAGE >= t->page_count)
		return NULL;
	page = t->page[num / AQ_FD_PAGE];
	if (!page)
		return NULL;
	if (ret_cloexec)
		*ret_cloexec = page->cloexec >> (num % AQ_FD_PAGE) & 1;
	return page->fd[num % AQ_FD_PAGE];
}

static bool grow(struct aq_state *s, struct aq_fdtable *t, uint32_t index)
{
	uint32_t count = t->page_count ? t->page_count : 1;
	struct aq_fdpage **page;

	while (count <= index)
		count *= 2;
	if (count == t->page_count)
		return true;
	page = aq_st_alloc(s, count * sizeof(*page));
	if (!page)
		return false;
	if (t->page_count)
		memcpy(page, t->page, t->page_count * sizeof(*page));
	aq_st_free(s, t->page, t->page_count * sizeof(*page));
	t->page = page;
	t->page_count = count;
	return true;
}

void aq_fdtable_put(struct aq_state *s, struct aq_fdtable *t, int64_t num, struct aq_fd *fd, bool cloexec)
{
	struct aq_fdpage *page = NULL;
	unsigned slot = (unsigned)(num % AQ_FD_PAGE);
	uint32_t index = (uint32_t)(num / AQ_FD_PAGE);

	if (num < 0 || num >= AQ_FD_NUM_MAX) {
		aq_fd_unref(s, fd);
		return;
	}
	if (index < t->page_count)
		page = t->page[index];
	if (!page) {
		if (!fd)
			return;
		if (!grow(s, t, index) || !(page = aq_st_alloc(s, sizeof(*page)))) {
			aq_fd_unref(s, fd);
			return;
		}
		t->page[index] = page;
	}
	if (page->fd[slot]) {
		aq_fd_unref(s, page->fd[slot]);
		page->used--;
		t->open--;
	}
	page->fd[slot] = fd;
	page->cloexec &= ~(1ull << slot);
	if (fd) {
		page->used++;
		t->open++;
		if (cloexec)
			page->cloexec |= 1ull << slot;
	}
}

void aq_fdtable_set_cloexec(struct aq_fdtable *t, int64_t num, bool cloexec)
{
	if (!aq_fdtable_get(t, num, NULL))
		return;
	if (cloexec)
		t->page[num / AQ_FD_PAGE]->cloexec |= 1ull << (num % AQ_FD_PAGE);
	else
		t->page[num / AQ_FD_PAGE]->cloexec &= ~(1ull << (num % AQ_FD_PAGE));
}

void aq_fdtable_close_cloexec(struct aq_state *s, struct aq_fdtable *t)
{
	for (uint32_t i = 0; t && i < t->page_count; i++)
		while (t->page[i] && t->page[i]->cloexec)
			aq_fdtable_put(s, t, (int64_t)i * AQ_FD_PAGE + __builtin_ctzll(t->page[i]->cloexec), NULL, false);
}

void aq_fdtable_close_range(struct aq_state *s, struct aq_fdtable *t, uint64_t first, uint64_t last, bool only_mark)
{
	uint64_t end = (uint64_t)t->page_count * AQ_FD_PAGE;

	for (uint64_t num = first; num <= last && num < end; num++) {
		if (!t->page[num / AQ_FD_PAGE] || !t->page[num / AQ_FD_PAGE]->used) {
			num |= AQ_FD_PAGE - 1;
			continue;
		}
		if (only_mark)
			aq_fdtable_set_cloexec(t, (int64_t)num, true);
		else
			aq_fdtable_put(s, t, (int64_t)num, NULL, false);
	}
}

struct aq_fs *aq_fs_make(struct aq_state *s, const struct aq_fs *from)
{
	struct aq_fs *fs = aq_st_alloc(s, sizeof(*fs));

	if (!fs)
		return NULL;
	fs->refs = 1;
	if (from) {
		fs->cwd = aq_str_ref(from->cwd);
		fs->root = aq_str_ref(from->root);
	}
	return fs;
}

void aq_fs_unref(struct aq_state *s, struct aq_fs *fs)
{
	if (!fs || --fs->refs)
		return;
	aq_str_unref(s, fs->cwd);
	aq_str_unref(s, fs->root);
	aq_st_free(s, fs, sizeof(*fs));
}

struct aq_fdtable *aq_st_files(struct aq_state *s, struct aq_proc *p)
{
	if (!p->files)
		p->files = aq_fdtable_make(s);
	return p->files;
}

const struct aq_fd *aq_proc_fd(const struct aq_proc *p, int64_t fd, bool *ret_cloexec)
{
	return p ? aq_fdtable_get(p->files, fd, ret_cloexec) : NULL;
}

int64_t aq_proc_next_fd(const struct aq_proc *p, int64_t from, const struct aq_fd **ret_fd)
{
	const struct aq_fdtable *t = p->files;

	if (!t || from < 0)
		return -1;
	for (int64_t num = from; num / AQ_FD_PAGE < t->page_count; num++) {
		const struct aq_fdpage *page = t->page[num / AQ_FD_PAGE];

		if (!page || !page->used) {
			num |= AQ_FD_PAGE - 1;
			continue;
		}
		if (page->fd[num % AQ_FD_PAGE]) {
			*ret_fd = page->fd[num % AQ_FD_PAGE];
			return num;
		}
	}
	return -1;
}

const struct aq_str *aq_proc_cwd(const struct aq_proc *p)
{
	return p && p->fs ? p->fs->cwd : NULL;
}

const struct aq_str *aq_proc_root(const struct aq_proc *p)
{
	return p && p->fs ? p->fs->root : NULL;
}

const char *aq_fd_type_name(enum aq_fd_type t)
{
	static const char *const names[AQ_FD_TYPE_COUNT] = {
		[AQ_FD_UNKNOWN] = "unknown", [AQ_FD_FILE] = "file", [AQ_FD_DIRECTORY] = "directory",
		[AQ_FD_IPV4] = "ipv4", [AQ_FD_IPV6] = "ipv6", [AQ_FD_UNIX] = "unix", [AQ_FD_NETLINK] = "netlink",
		[AQ_FD_PACKET] = "packet", [AQ_FD_PIPE] = "pipe", [AQ_FD_EVENT] = "event", [AQ_FD_EPOLL] = "eventpoll",
		[AQ_FD_TIMER] = "timerfd", [AQ_FD_SIGNAL] = "signalfd", [AQ_FD_INOTIFY] = "inotify",
		[AQ_FD_IOURING] = "iouring", [AQ_FD_PIDFD] = "pidfd", [AQ_FD_MEMFD] = "memfd", [AQ_FD_BPF] = "bpf",
		[AQ_FD_PERF] = "perf", [AQ_FD_USERFAULT] = "userfault", [AQ_FD_FANOTIFY] = "fanotify",
		[AQ_FD_DEVICE] = "device", [AQ_FD_SOCKET] = "socket", [AQ_FD_OTHER] = "other",
	};

	return (unsigned)t < AQ_FD_TYPE_COUNT ? names[t] : "?";
}

char aq_fd_type_char(enum aq_fd_type t)
{
	static const char chars[AQ_FD_TYPE_COUNT] = {
		[AQ_FD_UNKNOWN] = '?', [AQ_FD_FILE] = 'f', [AQ_FD_DIRECTORY] = 'd', [AQ_FD_IPV4] = '4', [AQ_FD_IPV6] = '6',
		[AQ_FD_UNIX] = 'u', [AQ_FD_NETLINK] = 'n', [AQ_FD_PACKET] = 'k', [AQ_FD_PIPE] = 'p', [AQ_FD_EVENT] = 'e',
		[AQ_FD_EPOLL] = 'l', [AQ_FD_TIMER] = 't', [AQ_FD_SIGNAL] = 's', [AQ_FD_INOTIFY] = 'i', [AQ_FD_IOURING] = 'r',
		[AQ_FD_PIDFD] = 'P', [AQ_FD_MEMFD] = 'm', [AQ_FD_BPF] = 'b', [AQ_FD_PERF] = 'o', [AQ_FD_USERFAULT] = 'o',
		[AQ_FD_FANOTIFY] = 'i', [AQ_FD_DEVICE] = 'f', [AQ_FD_SOCKET] = 'o', [AQ_FD_OTHER] = 'o',
	};

	return (unsigned)t < AQ_FD_TYPE_COUNT ? chars[t] : '?';
}
