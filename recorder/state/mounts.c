/* SPDX-License-Identifier: Apache-2.0 */
/* Line by line reading of procfs tables, and the lines of mountinfo. */
#include "recorder/state/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int aq_lines_open(struct aq_lines *l, int dirfd, const char *name, char *buf)
{
	*l = (struct aq_lines){ .buf = buf };
	l->fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return l->fd < 0 ? -errno : 0;
}

static int refill(struct aq_lines *l)
{
	ssize_t n;

	if (l->at > 0) {
		memmove(l->buf, l->buf + l->at, l->filled - l->at);
		l->filled -= l->at;
		l->at = 0;
	}
	if (l->filled == AQ_SNAP_LINE_BYTES) { /* a line longer than any that the kernel writes */
		l->skipped += !l->overlong;
		l->overlong = true;
		l->filled = 0;
	}
	do
		n = read(l->fd, l->buf + l->filled, AQ_SNAP_LINE_BYTES - l->filled);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	l->ended = n == 0;
	l->filled += (size_t)n;
	return 0;
}

int aq_lines_next(struct aq_lines *l, char **ret_line, size_t *ret_len)
{
	for (;;) {
		char *start = l->buf + l->at;
		char *stop = memchr(start, '\n', l->filled - l->at);

		if (stop) {
			bool tail = l->overlong;

			l->at = (size_t)(stop - l->buf) + 1;
			l->overlong = false;
			if (tail)
				continue;
			*stop = '\0';
			*ret_line = start;
			*ret_len = (size_t)(stop - start);
			return 1;
		}
		if (l->ended)
			return 0; /* the kernel ends every line; a rest without an end is not one */
		int r = refill(l);
		if (r < 0)
			return r;
	}
}

void aq_lines_close(struct aq_lines *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
}

static char *next_token(char **s, char *end)
{
	char *start = *s, *stop;

	while (start < end && *start == ' ')
		start++;
	if (start >= end)
		return NULL;
	stop = memchr(start, ' ', (size_t)(end - start));
	stop = stop ? stop : end;
	*s = stop < end ? stop + 1 : end;
	*stop = '\0'; /* end itself holds a NUL */
	return start;
}

static size_t unescape(char *text)
{
	size_t len = aq_procfs_unescape(text, strlen(text));

	text[len] = '\0';
	return len;
}

bool aq_mount_parse(char *line, size_t len, struct aq_mount *ret_mount)
{
	char *end = line + len, *s = line, *token[6], *dash, *fstype, *source, *options;
	struct aq_mount m = { 0 };
	uint64_t major, minor;
	const char *d;

	for (unsigned i = 0; i < 6; i++)
		if (!(token[i] = next_token(&s, end)))
			return false;
	do
		dash = next_token(&s, end);
	while (dash && strcmp(dash, "-") != 0);
	if (!dash || !(fstype = next_token(&s, end)) || !(source = next_token(&s, end)))
		return false;
	options = next_token(&s, end);
	d = token[2];
	if (!aq_parse_u64(&d, d + strlen(d), &major) || *d++ != ':' || !aq_parse_u64(&d, d + strlen(d), &minor) || *d ||
	    major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	m.major = (uint32_t)major;
	m.minor = (uint32_t)minor;
	m.root_len = unescape(token[3]);
	m.point_len = unescape(token[4]);
	m.fstype_len = unescape(fstype);
	m.root = token[3];
	m.point = token[4];
	m.fstype = fstype;
	m.options = options ? options : "";
	*ret_mount = m;
	return true;
}
