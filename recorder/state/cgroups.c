/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroup trees and the way from a process's path to the id that the kernel side reports. The id is the 64-bit one
 * of kernfs file handles, which is the inode number on all 64-bit kernels.
 */
#include "recorder/state/cgroup_id.h"
#include "recorder/state/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { AQ_CGROUP_DEPTH = 128 };

int aq_cgroups_init(struct aq_cgroups *c, uint32_t max)
{
	*c = (struct aq_cgroups){ .mask = 255, .max = max };
	c->slot = calloc(c->mask + 1, sizeof(*c->slot));
	c->hierarchy[1].controller = strdup("name=systemd");
	c->hierarchy[2].controller = strdup("pids");
	if (c->slot && c->hierarchy[1].controller && c->hierarchy[2].controller)
		return 0;
	aq_cgroups_release(c);
	return -ENOMEM;
}

void aq_cgroups_release(struct aq_cgroups *c)
{
	for (unsigned i = 0; i < AQ_SNAP_HIERARCHIES; i++) {
		free(c->hierarchy[i].controller);
		free(c->hierarchy[i].mount);
		free(c->hierarchy[i].root);
	}
	for (uint32_t i = 0; c->slot && i <= c->mask; i++)
		free(c->slot[i].path);
	free(c->slot);
	*c = (struct aq_cgroups){ 0 };
}

static bool has_word(const char *list, size_t len, const char *word)
{
	size_t word_len = strlen(word);

	for (const char *p = list, *end = list + len; p < end;) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t n = (size_t)((comma ? comma : end) - p);

		if (n == word_len && memcmp(p, word, n) == 0)
			return true;
		p += n + 1;
	}
	return false;
}

/* True for a path that leads out of what can be seen here (a cgroup namespace shows such). */
static bool leads_up(const char *path, size_t len)
{
	for (size_t i = 0; i + 3 <= len; i++)
		if (memcmp(path + i, "/..", 3) == 0 && (i + 3 == len || path[i + 3] == '/'))
			return true;
	return false;
}

int aq_cgroups_mount(struct aq_cgroups *c, const struct aq_mount *m)
{
	struct aq_cgroup_hierarchy *h = NULL;
	char *point, *root;

	if (strcmp(m->fstype, "cgroup2") == 0)
		h = &c->hierarchy[0];
	else if (strcmp(m->fstype, "cgroup") == 0)
		for (unsigned i = 1; i < AQ_SNAP_HIERARCHIES && !h; i++)
			if (has_word(m->options, strlen(m->options), c->hierarchy[i].controller))
				h = &c->hierarchy[i];
	if (!h || leads_up(m->root, m->root_len))
		return 0;
	if (h->mount && (h->root[0] == '\0' || strcmp(m->root, "/") != 0))
		return 0; /* one that shows the top is better than one that shows a part */
	point = strdup(m->point);
	root = strdup(strcmp(m->root, "/") == 0 ? "" : m->root);
	if (!point || !root) {
		free(point);
		free(root);
		return -ENOMEM;
	}
	free(h->mount);
	free(h->root);
	h->mount = point;
	h->root = root;
	return 0;
}

/* The next line NUMBER:CONTROLLERS:PATH. */
static bool next_line(const char **at, const char *end, uint64_t *ret_number, const char **ret_list,
		      size_t *ret_list_len, const char **ret_path, size_t *ret_path_len)
{
	while (*at < end) {
		const char *s = *at, *stop = memchr(s, '\n', (size_t)(end - s)), *colon;

		stop = stop ? stop : end;
		*at = stop < end ? stop + 1 : end;
		if (!aq_parse_u64(&s, stop, ret_number) || *ret_number > INT_MAX || s == stop || *s++ != ':')
			continue;
		/* the list ends at the first colon */
		colon = memchr(s, ':', (size_t)(stop - s));
		if (!colon)
			continue;
		*ret_list = s;
		*ret_list_len = (size_t)(colon - s);
		*ret_path = colon + 1;
		*ret_path_len = (size_t)(stop - colon - 1);
		return true;
	}
	return false;
}

void aq_cgroups_number(struct aq_cgroups *c, const char *text, size_t len)
{
	const char *list, *path, *at = text;
	size_t list_len, path_len;
	uint64_t number;

	while (next_line(&at, text + len, &number, &list, &list_len, &path, &path_len))
		for (unsigned i = 1; i < AQ_SNAP_HIERARCHIES; i++)
			if (number && has_word(list, list_len, c->hierarchy[i].controller))
				c->hierarchy[i].number = (uint32_t)number;
}

static uint32_t hash_path(const char *path, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)path[i]) * 0x100000001b3ull;
	return (uint32_t)(h ^ h >> 32);
}

static struct aq_cgroup_entry *find_slot(struct aq_cgroup_entry *slot, uint32_t mask, const char *path, size_t len)
{
	uint32_t i = hash_path(path, len) & mask;

	while (slot[i].path && (strlen(slot[i].path) != len || memcmp(slot[i].path, path, len) != 0))
		i = (i + 1) & mask;
	return &slot[i];
}

/* Keeps the pair if there is room; that it does not is only a matter of speed. */
static void remember(struct aq_cgroups *c, const char *path, size_t len, uint64_t id)
{
	struct aq_cgroup_entry *e;

	if (c->used >= c->max)
		return;
	if (c->used * 2 > c->mask) {
		uint32_t mask = c->mask * 2 + 1;
		struct aq_cgroup_entry *slot = calloc((size_t)mask + 1, sizeof(*slot));

		if (!slot)
			return;
		for (uint32_t i = 0; i <= c->mask; i++)
			if (c->slot[i].path)
				*find_slot(slot, mask, c->slot[i].path, strlen(c->slot[i].path)) = c->slot[i];
		free(c->slot);
		c->slot = slot;
		c->mask = mask;
	}
	e = find_slot(c->slot, c->mask, path, len);
	if (!e->path && (e->path = strndup(path, len)))
		c->used++;
	if (e->path)
		e->id = id;
}

struct walk {
	struct aq_cgroups *c;
	const struct aq_cgroup_hierarchy *h;
	int (*found)(void *user, uint64_t id, uint32_t hierarchy, const char *path);
	void *user;
	uint64_t *skipped;
	uint32_t count;
	char path[PATH_MAX];
	size_t len;
};

static int walk_dir(struct walk *w, int fd, unsigned depth);

static int walk_child(struct walk *w, int parent, const struct dirent *entry, unsigned depth)
{
	size_t name_len = strlen(entry->d_name), before = w->len;
	int fd, r;

	if (entry->d_name[0] == '.' && (name_len == 1 || (name_len == 2 && entry->d_name[1] == '.')))
		return 0;
	if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
		return 0;
	fd = openat(parent, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
			++*w->skipped;
		return 0;
	}
	if (depth >= AQ_CGROUP_DEPTH || before + name_len + 2 > sizeof(w->path)) {
		close(fd);
		++*w->skipped;
		return 0;
	}
	w->path[w->len++] = '/';
	memcpy(w->path + w->len, entry->d_name, name_len + 1);
	w->len += name_len;
	r = walk_dir(w, fd, depth + 1);
	w->len = before;
	w->path[before] = '\0';
	return r;
}

/* Takes fd over. */
static int walk_dir(struct walk *w, int fd, unsigned depth)
{
	const char *path = w->len ? w->path : "/";
	uint64_t id = aq_cgroup_id(fd);
	struct dirent *entry;
	DIR *dir;
	int r;

	if (w->count++ >= w->c->max || id == 0) {
		close(fd);
		++*w->skipped;
		return 0;
	}
	if (w->h->number == 0)
		remember(w->c, path, strlen(path), id);
	r = w->found(w->user, id, w->h->number, path);
	dir = r ? NULL : fdopendir(fd);
	if (!dir) {
		r = r ? r : -errno;
		close(fd);
		return r;
	}
	while (r == 0 && (entry = readdir(dir)))
		r = walk_child(w, dirfd(dir), entry, depth);
	closedir(dir);
	return r;
}

int aq_cgroups_walk(struct aq_cgroups *c, unsigned index,
		    int (*found)(void *user, uint64_t id, uint32_t hierarchy, const char *path), void *user,
		    uint64_t *skipped)
{
	const struct aq_cgroup_hierarchy *h = &c->hierarchy[index];
	struct walk *w;
	int fd, r;

	if (!h->mount || (index > 0 && h->number == 0))
		return 0;
	for (unsigned i = 1; i < index; i++)
		if (c->hierarchy[i].mount && c->hierarchy[i].number == h->number)
			return 0; /* two controllers in one tree */
	fd = open(h->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		++*skipped;
		return 0;
	}
	w = malloc(sizeof(*w));
	if (!w) {
		close(fd);
		return -ENOMEM;
	}
	*w = (struct walk){ .c = c, .h = h, .found = found, .user = user, .skipped = skipped };
	w->len = strlen(h->root);
	if (w->len + 1 > sizeof(w->path)) {
		close(fd);
		free(w);
		++*skipped;
		return 0;
	}
	memcpy(w->path, h->root, w->len + 1);
	r = walk_dir(w, fd, 0);
	free(w);
	return r;
}

static uint64_t look_up(struct aq_cgroups *c, const char *path, size_t len)
{
	const struct aq_cgroup_hierarchy *h = &c->hierarchy[0];
	size_t mount_len, root_len;
	char full[PATH_MAX];
	uint64_t id;
	int fd;

	if (!h->mount || leads_up(path, len))
		return 0;
	mount_len = strlen(h->mount);
	root_len = strlen(h->root);
	if (len < root_len || memcmp(path, h->root, root_len) != 0 || (len > root_len && path[root_len] != '/') ||
	    mount_len + len - root_len >= sizeof(full))
		return 0;
	memcpy(full, h->mount, mount_len);
	memcpy(full + mount_len, path + root_len, len - root_len);
	full[mount_len + len - root_len] = '\0';
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	id = aq_cgroup_id(fd);
	close(fd);
	if (id)
		remember(c, path, len, id);
	return id;
}

uint64_t aq_cgroups_of(struct aq_cgroups *c, const char *text, size_t len)
{
	const char *list, *path, *at = text;
	size_t list_len, path_len;
	uint64_t number;

	while (next_line(&at, text + len, &number, &list, &list_len, &path, &path_len))
		if (number == 0 && list_len == 0 && path_len > 0 && path[0] == '/') {
			const struct aq_cgroup_entry *e = find_slot(c->slot, c->mask, path, path_len);

			return e->path ? e->id : look_up(c, path, path_len);
		}
	return 0;
}
