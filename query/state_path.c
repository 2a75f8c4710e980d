/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths, addresses and containers from what events carry: relative paths get their base, socket addresses are taken
 * apart, cgroup paths are recognised. Where things are in an event comes from the schema.
 */
#include "query/state_internal.h"

#include <sys/socket.h>

enum { AQ_AT_FDCWD = -100, AQ_AT_EMPTY_PATH = 0x1000 };

static bool is_dirfd_call(uint16_t id)
{
	/* these take a descriptor and a path that is not below it */
	return id != AQ_EV_inotify_add_watch;
}

void aq_st_event_shape(const struct aq_event_schema *row, struct aq_event_shape *ret)
{
	*ret = (struct aq_event_shape){ -1, -1, -1, -1, -1, -1, row->ret_type == AQ_TYPE_FD };
	for (unsigned i = 0; i < row->arg_count && i < AQ_EVENT_MAX_ARGS; i++) {
		const struct aq_arg_schema *a = &row->args[i];
		bool based = i > 0 && row->args[i - 1].type == AQ_TYPE_FD && is_dirfd_call(row->id);

		if (a->type == AQ_TYPE_FD && ret->fd_arg < 0 && !strstr(a->name, "dirfd") && !strstr(a->name, "dfd"))
			ret->fd_arg = (int8_t)i;
		if (a->type == AQ_TYPE_DEV && ret->dev_arg < 0)
			ret->dev_arg = (int8_t)i;
		if (a->type == AQ_TYPE_INO && ret->ino_arg < 0)
			ret->ino_arg = (int8_t)i;
		if (a->flags && a->flags->name && strcmp(a->flags->name, "open_flags") == 0 && ret->open_flags_arg < 0)
			ret->open_flags_arg = (int8_t)i;
		if (a->attr == AQ_ATTR_PATH && based)
			ret->dirfd1 = (int8_t)(i - 1);
		if (a->attr == AQ_ATTR_PATH2 && based)
			ret->dirfd2 = (int8_t)(i - 1);
	}
}

/* Appends the components of `text` to buf, taking . and .. by text; len is what is there already, without a last /. */
static size_t join(char *buf, size_t size, size_t len, const char *text, size_t text_len)
{
	size_t at = 0;

	while (at < text_len) {
		size_t end = at;

		while (end < text_len && text[end] != '/')
			end++;
		if (end == at || (end - at == 1 && text[at] == '.')) {
			/* nothing */
		} else if (end - at == 2 && text[at] == '.' && text[at + 1] == '.') {
			while (len && buf[len - 1] != '/')
				len--;
			if (len)
				len--;
		} else if (len + 1 + (end - at) < size) {
			buf[len++] = '/';
			memcpy(buf + len, text + at, end - at);
			len += end - at;
		}
		at = end + 1;
	}
	return len;
}

static const struct aq_str *base_of(const struct aq_event *ev, const struct aq_proc *p, int dirfd_arg, bool *known)
{
	const struct aq_str *cwd = aq_proc_cwd(p);
	int32_t dirfd = dirfd_arg >= 0 ? aq_arg_i32(ev, (unsigned)dirfd_arg) : AQ_AT_FDCWD;
	const struct aq_fd *fd;

	*known = false;
	if (dirfd == AQ_AT_FDCWD) {
		*known = cwd != NULL && cwd->len && cwd->s[0] == '/';
		return cwd;
	}
	fd = aq_proc_fd(p, dirfd, NULL);
	if (!fd || !fd->name || !fd->name->len || fd->name->s[0] != '/')
		return NULL;
	*known = !fd->uncertain;
	return fd->name;
}

static size_t put_text(const void *data, size_t len, char *buf, size_t size)
{
	size_t keep = size ? (len < size - 1 ? len : size - 1) : 0;

	if (keep)
		memcpy(buf, data, keep);
	if (size)
		buf[keep] = '\0';
	return len;
}

static size_t resolve(const struct aq_event *ev, const struct aq_proc *p, const struct aq_event_shape *shape, bool second,
		      char *buf, size_t size, bool *ret_certain)
{
	const struct aq_attr *a = second ? NULL : aq_event_attr(ev, AQ_ATTR_KPATH);
	const struct aq_str *base, *root = aq_proc_root(p);
	int dirfd_arg = second ? shape->dirfd2 : shape->dirfd1;
	char whole[AQ_PATH_BYTES];
	size_t len = 0;
	bool known;

	*ret_certain = true;
	if (a && a->len && !(a->flags & AQ_ATF_UNREADABLE)) {
		*ret_certain = !(a->flags & (AQ_ATF_TRUNCATED | AQ_ATF_PARTIAL));
		return put_text(a->data, a->len, buf, size);
	}
	a = aq_event_attr(ev, second ? AQ_ATTR_PATH2 : AQ_ATTR_PATH);
	if (!a || (a->flags & AQ_ATF_UNREADABLE)) {
		*ret_certain = false;
		return 0;
	}
	if (!second && (ev->id == AQ_EV_symlink || ev->id == AQ_EV_symlinkat))
		return put_text(a->data, a->len, buf, size); /* the content of a link is no path yet */
	if (a->flags & (AQ_ATF_TRUNCATED | AQ_ATF_PARTIAL))
		*ret_certain = false;
	if (a->len && *(const char *)a->data == '/') {
		if (root && root->len > 1 && root->s[0] == '/')
			len = join(whole, sizeof(whole), 0, root->s, root->len);
		len = join(whole, sizeof(whole), len, a->data, a->len);
	} else {
		if (a->len == 0 && dirfd_arg < 0) {
			*ret_certain = false;
			return 0;
		}
		base = base_of(ev, p, dirfd_arg, &known);
		if (!base) {
			*ret_certain = false;
			return put_text(a->data, a->len, buf, size);
		}
		*ret_certain = *ret_certain && known;
		len = join(whole, sizeof(whole), 0, base->s, base->len);
		len = join(whole, sizeof(whole), len, a->data, a->len);
	}
	if (len == 0)
		whole[len++] = '/';
	return put_text(whole, len, buf, size);
}

size_t aq_state_path(const struct aq_event *ev, const struct aq_proc *p, bool second, char *buf, size_t size,
		     bool *ret_certain)
{
	const struct aq_event_schema *row = aq_schema_event(ev->id);
	struct aq_event_shape shape = { -1, -1, -1, -1, -1, -1, false };

	if (row)
		aq_st_event_shape(row, &shape);
	return resolve(ev, p, &shape, second, buf, size, ret_certain);
}

struct aq_str *aq_st_path(struct aq_feed *f, bool second, bool *ret_certain)
{
	size_t len = resolve(f->ev, f->proc, f->shape, second, f->s->path, sizeof(f->s->path), ret_certain);

	if (len >= sizeof(f->s->path)) {
		len = sizeof(f->s->path) - 1;
		*ret_certain = false;
	}
	return len ? aq_str_make(f->s, f->s->path, len) : NULL;
}

bool aq_endpoint_parse(const void *data, size_t len, struct aq_endpoint *ret_ep, uint8_t *ret_family,
		       const char **ret_name, size_t *ret_name_len)
{
	const uint8_t *b = data;
	unsigned family;

	*ret_name = NULL;
	*ret_name_len = 0;
	if (len < 2)
		return false;
	family = b[0] | (unsigned)b[1] << 8;
	if (family == AF_INET && len >= 8) {
		memset(ret_ep, 0, sizeof(*ret_ep));
		ret_ep->family = AF_INET;
		ret_ep->has_port = true;
		ret_ep->port = (uint16_t)(b[2] << 8 | b[3]);
		memcpy(ret_ep->ip, b + 4, 4);
	} else if (family == AF_INET6 && len >= 24) {
		static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

		memset(ret_ep, 0, sizeof(*ret_ep));
		ret_ep->has_port = true;
		ret_ep->port = (uint16_t)(b[2] << 8 | b[3]);
		if (memcmp(b + 8, mapped, 12) == 0) { /* IPv4 through an IPv6 socket: what is on the wire */
			ret_ep->family = AF_INET;
			memcpy(ret_ep->ip, b + 20, 4);
		} else {
			ret_ep->family = AF_INET6;
			memcpy(ret_ep->ip, b + 8, 16);
		}
	} else if (family == AF_UNIX) {
		if (len > 2) { /* an abstract name begins with a NUL */
			*ret_name = (const char *)b + 2;
			*ret_name_len = b[2] ? strnlen((const char *)b + 2, len - 2) : len - 2;
		}
	} else if (family == 0 || family > 255) {
		return false;
	}
	*ret_family = (uint8_t)family;
	return true;
}

/* A socket without an address shows as zeros: unknown, not 0.0.0.0:0. */
static void drop_empty(struct aq_endpoint *ep)
{
	static const uint8_t zero[16];

	if (!ep->port && memcmp(ep->ip, zero, sizeof(zero)) == 0)
		memset(ep, 0, sizeof(*ep));
}

void aq_fd_take_tuple(struct aq_fd *fd, const struct aq_attr *a)
{
	const uint8_t *b = a->data;
	struct aq_endpoint local = fd->local, remote = fd->remote;
	const char *name;
	size_t name_len;
	uint8_t family;

	if (a->len < 56 || (a->flags & AQ_ATF_UNREADABLE))
		return;
	if (aq_endpoint_parse(b, 28, &local, &family, &name, &name_len)) {
		if (!fd->family)
			fd->family = family;
		drop_empty(&local);
		fd->local = local;
	}
	if (aq_endpoint_parse(b + 28, 28, &remote, &family, &name, &name_len)) {
		if (!fd->family)
			fd->family = family;
		drop_empty(&remote);
		if (remote.family || !fd->remote.family)
			fd->remote = remote; /* of a connection that did not come about the address asked for stays */
	}
}

static size_t hex_run(const char *s)
{
	size_t n = 0;

	while ((s[n] >= '0' && s[n] <= '9') || (s[n] >= 'a' && s[n] <= 'f'))
		n++;
	return n;
}

bool aq_cgroup_container(const char *path, char ret_id[65], const char **ret_engine)
{
	static const struct { const char *prefix, *engine; } scopes[] = {
		{ "docker-", "docker" }, { "cri-containerd-", "containerd" }, { "crio-", "cri-o" }, { "libpod-", "podman" },
		{ "containerd-", "containerd" },
	};
	const char *engine = NULL, *found = NULL;

	/* the innermost component that is an id names the container; an id is 64 hexadecimal digits */
	for (const char *part = path; part && *part; part = strchr(part, '/')) {
		const char *id;
		const char *kind = NULL;

		while (*part == '/')
			part++;
		id = part;
		for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
			if (strncmp(part, scopes[i].prefix, strlen(scopes[i].prefix)) == 0) {
				kind = scopes[i].engine;
				id = part + strlen(scopes[i].prefix);
				break;
			}
		if (!kind) { /* kubepods.slice:cri-containerd:ID, as containerd writes it without systemd */
			const char *colon = strstr(part, ":cri-containerd:");
			const char *end = strchrnul(part, '/');

			if (colon && colon < end) {
				kind = "containerd";
				id = colon + 16;
			}
		}
		if (hex_run(id) == 64 && (id[64] == '\0' || id[64] == '/' || id[64] == '.')) {
			found = id;
			engine = kind;
			if (!engine) {
				if (id > path + 7 && strncmp(id - 7, "docker/", 7) == 0)
					engine = "docker";
				else if (strstr(path, "libpod"))
					engine = "podman";
				else
					engine = strstr(path, "kubepods") ? "containerd" : "runtime";
			}
		}
	}
	if (!found)
		return false;
	memcpy(ret_id, found, 64);
	ret_id[64] = '\0';
	*ret_engine = engine;
	return true;
}
