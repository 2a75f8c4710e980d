/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and parsing procfs text; see procfs.h. */
#include "recorder/state/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t aq_procfs_read(int dirfd, const char *name, char *buf, size_t size, bool *ret_cut)
{
	/* O_NONBLOCK: in a tree that is not procfs the name may be a FIFO */
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t len = 0;
	bool ended = false;

	if (fd < 0)
		return -errno;
	while (len < size - 1) {
		ssize_t n = read(fd, buf + len, size - 1 - len);

		if (n < 0) {
			int error = errno;

			if (error == EINTR)
				continue;
			close(fd);
			return -error;
		}
		if (n == 0) {
			ended = true;
			break;
		}
		len += (size_t)n;
	}
	if (ret_cut) {
		char more;

		*ret_cut = !ended && read(fd, &more, 1) == 1;
	}
	close(fd);
	buf[len] = '\0';
	return (ssize_t)len;
}

ssize_t aq_procfs_link(int dirfd, const char *name, char *buf, size_t size, bool *ret_cut)
{
	ssize_t n = readlinkat(dirfd, name, buf, size);

	if (n < 0)
		return -errno;
	if (ret_cut)
		*ret_cut = (size_t)n == size;
	if ((size_t)n == size)
		n--;
	buf[n] = '\0';
	return n;
}

bool aq_procfs_gone(int error)
{
	return error == -ENOENT || error == -ESRCH;
}

bool aq_procfs_denied(int error)
{
	return error == -EACCES || error == -EPERM;
}

int aq_procfs_dir_open(struct aq_procfs_dir *d, int dirfd, const char *name)
{
	d->at = d->filled = 0;
	d->fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return d->fd < 0 ? -errno : 0;
}

struct dirent_head { /* struct linux_dirent64: the kernel's layout, the name follows at byte 19 */
	uint64_t ino;
	int64_t off;
	uint16_t bytes;
};
enum { AQ_DIRENT_NAME = 19 };

static bool parse_name(const char *name, size_t max, uint32_t *ret_number)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < max && name[i] != '\0'; i++) {
		if (name[i] < '0' || name[i] > '9' || i >= 10)
			return false;
		value = value * 10 + (uint64_t)(name[i] - '0');
	}
	if (i == 0 || i == max || value > INT_MAX || (name[0] == '0' && i > 1))
		return false;
	*ret_number = (uint32_t)value;
	return true;
}

int aq_procfs_dir_next(struct aq_procfs_dir *d, uint32_t *ret_number, const char **ret_name)
{
	for (;;) {
		struct dirent_head head;
		const char *name;

		if (d->at >= d->filled) {
			long n = syscall(SYS_getdents64, d->fd, d->buf, sizeof(d->buf));

			if (n <= 0)
				return n < 0 ? -errno : 0;
			d->at = 0;
			d->filled = (uint32_t)n;
		}
		if (d->filled - d->at < AQ_DIRENT_NAME + 1)
			return -EBADMSG;
		memcpy(&head, d->buf + d->at, sizeof(head));
		if (head.bytes < AQ_DIRENT_NAME + 1 || head.bytes > d->filled - d->at)
			return -EBADMSG;
		name = d->buf + d->at + AQ_DIRENT_NAME;
		d->at += head.bytes;
		if (parse_name(name, head.bytes - AQ_DIRENT_NAME, ret_number)) {
			*ret_name = name;
			return 1;
		}
	}
}

void aq_procfs_dir_close(struct aq_procfs_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

static bool parse_base(const char **s, const char *end, unsigned base, uint64_t *ret_value)
{
	const char *p = *s;
	uint64_t value = 0;
	bool any = false;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	for (; p < end; p++) {
		unsigned digit;

		if (*p >= '0' && *p <= '9')
			digit = (unsigned)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			digit = (unsigned)(*p - 'a') + 10;
		else if (*p >= 'A' && *p <= 'F')
			digit = (unsigned)(*p - 'A') + 10;
		else
			break;
		if (digit >= base)
			break;
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit, &value))
			return false;
		any = true;
	}
	if (!any)
		return false;
	*s = p;
	*ret_value = value;
	return true;
}

bool aq_parse_u64(const char **s, const char *end, uint64_t *ret_value)
{
	return parse_base(s, end, 10, ret_value);
}

bool aq_parse_hex(const char **s, const char *end, uint64_t *ret_value)
{
	return parse_base(s, end, 16, ret_value);
}

bool aq_parse_octal(const char **s, const char *end, uint64_t *ret_value)
{
	return parse_base(s, end, 8, ret_value);
}

bool aq_parse_i64(const char **s, const char *end, int64_t *ret_value)
{
	const char *p = *s;
	uint64_t value;
	bool minus = false;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if (p < end && *p == '-') {
		minus = true;
		p++;
		if (p == end || *p < '0' || *p > '9')
			return false;
	}
	if (!aq_parse_u64(&p, end, &value) || value > (uint64_t)INT64_MAX)
		return false;
	*s = p;
	*ret_value = minus ? -(int64_t)value : (int64_t)value;
	return true;
}

/* The kernel writes a newline in a name as \n and a backslash as \\ and nothing else so. */
static void copy_comm(struct aq_procfs_stat *st, const char *from, const char *end)
{
	st->comm_len = 0;
	st->comm_cut = false;
	while (from < end) {
		char c = *from++;

		if (c == '\\' && from < end && (*from == 'n' || *from == '\\'))
			c = *from++ == 'n' ? '\n' : '\\';
		if (st->comm_len == sizeof(st->comm) - 1) {
			st->comm_cut = true;
			break;
		}
		st->comm[st->comm_len++] = c;
	}
	st->comm[st->comm_len] = '\0';
}

int aq_procfs_parse_stat(const char *text, size_t len, struct aq_procfs_stat *ret_stat)
{
	const char *end = text + len, *s = text, *open, *shut;
	struct aq_procfs_stat st = { 0 };
	uint64_t pid;
	int64_t field[23] = { 0 };

	if (!aq_parse_u64(&s, end, &pid) || pid > INT_MAX || s >= end || *s != ' ' || s + 1 >= end || s[1] != '(')
		return -EBADMSG;
	open = s + 1;
	shut = memrchr(open, ')', (size_t)(end - open)); /* the last one: the name may hold any number of them */
	if (!shut || end - shut < 4 || shut[1] != ' ' || memchr(open, '\0', (size_t)(shut - open)))
		return -EBADMSG;
	st.pid = (uint32_t)pid;
	copy_comm(&st, open + 1, shut);
	st.state = shut[2];
	s = shut + 3;
	for (unsigned i = 4; i <= 22; i++) {
		uint64_t wide;

		if (s >= end || *s != ' ')
			return -EBADMSG;
		if (aq_parse_i64(&s, end, &field[i]))
			continue;
		if (!aq_parse_u64(&s, end, &wide)) /* counters that are unsigned and huge */
			return -EBADMSG;
	}
	for (unsigned i = 4; i <= 6; i++)
		if (field[i] < -1 || field[i] > INT_MAX)
			return -EBADMSG;
	if (field[7] < INT_MIN || field[7] > UINT32_MAX || field[20] < 0 || field[20] > INT_MAX || field[22] < 0)
		return -EBADMSG;
	st.ppid = (uint32_t)(field[4] < 0 ? 0 : field[4]);
	st.pgid = (uint32_t)(field[5] < 0 ? 0 : field[5]);
	st.sid = (uint32_t)(field[6] < 0 ? 0 : field[6]);
	st.tty = (uint32_t)field[7];
	st.threads = (uint32_t)field[20];
	st.start_ticks = (uint64_t)field[22];
	*ret_stat = st;
	return 0;
}

static bool starts(const char *line, const char *end, const char *word, size_t word_len)
{
	return (size_t)(end - line) >= word_len && memcmp(line, word, word_len) == 0;
}
#define AQ_STARTS(line, end, word) starts(line, end, word, sizeof(word) - 1)

static bool parse_ids(const char *s, const char *end, uint32_t *ret_real, uint32_t *ret_effective)
{
	uint64_t real, effective;

	if (!aq_parse_u64(&s, end, &real) || !aq_parse_u64(&s, end, &effective) || real > UINT32_MAX ||
	    effective > UINT32_MAX)
		return false;
	*ret_real = (uint32_t)real;
	*ret_effective = (uint32_t)effective;
	return true;
}

int aq_procfs_parse_status(const char *text, size_t len, struct aq_procfs_status *ret_status)
{
	struct aq_procfs_status st = { .uid = UINT32_MAX, .euid = UINT32_MAX, .gid = UINT32_MAX, .egid = UINT32_MAX };
	const char *end = text + len;
	bool uids = false, gids = false;

	for (const char *line = text, *next; line < end; line = next) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		const char *s;
		uint64_t value;

		stop = stop ? stop : end;
		next = stop < end ? stop + 1 : end;
		if (AQ_STARTS(line, stop, "Uid:")) {
			uids = parse_ids(line + 4, stop, &st.uid, &st.euid);
		} else if (AQ_STARTS(line, stop, "Gid:")) {
			gids = parse_ids(line + 4, stop, &st.gid, &st.egid);
		} else if (AQ_STARTS(line, stop, "NSpid:")) {
			for (s = line + 6; aq_parse_u64(&s, stop, &value) && value <= INT_MAX;)
				st.ns_pid = (uint32_t)value;
		} else if (AQ_STARTS(line, stop, "CapEff:")) {
			s = line + 7;
			if (aq_parse_hex(&s, stop, &value))
				st.cap_effective = value;
			break; /* all that is wanted stands above */
		}
	}
	*ret_status = st;
	return uids && gids ? 0 : -EBADMSG;
}

bool aq_procfs_parse_bracket(const char *text, size_t len, const char *prefix, uint64_t *ret_ino)
{
	size_t prefix_len = strlen(prefix);
	const char *s, *end = text + len;
	uint64_t ino;

	if (len < prefix_len + 4 || memcmp(text, prefix, prefix_len) != 0 || text[prefix_len] != ':' ||
	    text[prefix_len + 1] != '[')
		return false;
	s = text + prefix_len + 2;
	if (*s < '0' || *s > '9' || !aq_parse_u64(&s, end, &ino) || s + 1 != end || *s != ']')
		return false;
	*ret_ino = ino;
	return true;
}

size_t aq_procfs_unescape(char *text, size_t len)
{
	size_t out = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned value = 0, k;

		for (k = 1; k <= 3 && i + k < len && text[i] == '\\' && text[i + k] >= '0' && text[i + k] <= '7'; k++)
			value = value * 8 + (unsigned)(text[i + k] - '0');
		if (k == 4 && value > 0 && value < 256) {
			text[out++] = (char)value;
			i += 3;
		} else {
			text[out++] = text[i];
		}
	}
	return out;
}
