/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the inode of a socket to its addresses, by the tables below /proc/PID/net, each network namespace once. Socket
 * inodes are unique on the host, so one table serves all namespaces. The path of a unix socket is printed raw and may
 * forge lines: a unix socket that is named twice, and differently, keeps no address, and the other tables rule.
 */
#include "recorder/state/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { AQ_NETNS_MAX = 65536, AQ_TOKENS = 16, AQ_UNIX_IN_TUPLE = 26, AQ_UNIX_PATH = 108 };

int aq_sockets_init(struct aq_sockets *s, uint32_t max)
{
	*s = (struct aq_sockets){ .mask = 1023, .max = max };
	s->slot = calloc(s->mask + 1, sizeof(*s->slot));
	return s->slot ? 0 : -ENOMEM;
}

void aq_sockets_release(struct aq_sockets *s)
{
	for (uint32_t i = 0; s->slot && i <= s->mask; i++)
		free(s->slot[i].path);
	free(s->slot);
	free(s->netns);
	*s = (struct aq_sockets){ 0 };
}

static struct aq_socket *find_slot(struct aq_socket *slot, uint32_t mask, uint64_t ino)
{
	uint32_t i = (uint32_t)((ino * 0x9e3779b97f4a7c15ull) >> 32) & mask;

	while (slot[i].ino && slot[i].ino != ino)
		i = (i + 1) & mask;
	return &slot[i];
}

const struct aq_socket *aq_sockets_find(const struct aq_sockets *s, uint64_t ino)
{
	const struct aq_socket *found = ino ? find_slot(s->slot, s->mask, ino) : NULL;

	return found && found->ino ? found : NULL;
}

/* The entry of an inode, empty: a new one, or the present one for it to be filled anew. NULL: no room, or *ret set. */
static struct aq_socket *add(struct aq_sockets *s, uint64_t ino, int *ret)
{
	struct aq_socket *e;

	if (ino == 0)
		return NULL; /* belongs to no file any more */
	e = find_slot(s->slot, s->mask, ino);
	if (e->ino) {
		free(e->path);
		*e = (struct aq_socket){ .ino = ino };
		return e;
	}
	if (s->used >= s->max) {
		s->skipped++;
		return NULL;
	}
	if (s->used * 2 > s->mask) {
		uint32_t mask = s->mask * 2 + 1;
		struct aq_socket *slot = calloc((size_t)mask + 1, sizeof(*slot));

		if (!slot) {
			*ret = -ENOMEM;
			return NULL;
		}
		for (uint32_t i = 0; i <= s->mask; i++)
			if (s->slot[i].ino)
				*find_slot(slot, mask, s->slot[i].ino) = s->slot[i];
		free(s->slot);
		s->slot = slot;
		s->mask = mask;
		e = find_slot(slot, mask, ino);
	}
	s->used++;
	e->ino = ino;
	return e;
}

/* Starts of the blank-separated words of a line; *ret_rest is what follows the last one wanted. */
static unsigned split(const char *line, size_t len, const char *token[], unsigned want, const char **ret_rest)
{
	const char *p = line, *end = line + len;
	unsigned n = 0;

	while (n < want) {
		while (p < end && *p == ' ')
			p++;
		if (p == end)
			break;
		token[n++] = p;
		while (p < end && *p != ' ')
			p++;
	}
	*ret_rest = p;
	return n;
}

static bool number(const char *s, const char *end, bool hex, uint64_t max, uint64_t *ret_value)
{
	return (hex ? aq_parse_hex(&s, end, ret_value) : aq_parse_u64(&s, end, ret_value)) && *ret_value <= max;
}

/* "0100007F:1F90", or with 32 digits: words of the address as the machine holds them, port as a number. */
static bool parse_address(const char *s, const char *end, int family, uint8_t out[AQ_SNAP_SOCKADDR_BYTES],
			  uint16_t *ret_port)
{
	unsigned words = family == AF_INET6 ? 4 : 1;
	uint32_t address[4] = { 0 };
	uint64_t value;

	if ((size_t)(end - s) < (size_t)words * 8 + 2)
		return false;
	for (unsigned i = 0; i < words; i++, s += 8) {
		const char *p = s;

		if (!aq_parse_hex(&p, s + 8, &value) || p != s + 8)
			return false;
		address[i] = (uint32_t)value;
	}
	if (*s != ':' || !number(s + 1, end, true, UINT16_MAX, &value))
		return false;
	*ret_port = (uint16_t)value;
	if (family == AF_INET6) {
		struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)value) };

		memcpy(&sa.sin6_addr, address, 16);
		memcpy(out, &sa, sizeof(sa));
	} else {
		struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)value) };

		memcpy(&sa.sin_addr, address, 4);
		memcpy(out, &sa, sizeof(sa));
	}
	return true;
}
_Static_assert(sizeof(struct sockaddr_in6) == AQ_SNAP_SOCKADDR_BYTES, "the largest address of a tuple");

static int line_inet(struct aq_sockets *s, const char *line, size_t len, int family, int proto)
{
	const char *token[AQ_TOKENS], *rest, *end = line + len;
	uint8_t tuple[AQ_SNAP_TUPLE_BYTES] = { 0 };
	uint16_t local_port, remote_port;
	struct aq_socket *e;
	uint64_t ino;
	int r = 0;

	if (split(line, len, token, 10, &rest) < 10 || !parse_address(token[1], end, family, tuple, &local_port) ||
	    !parse_address(token[2], end, family, tuple + AQ_SNAP_SOCKADDR_BYTES, &remote_port) ||
	    !number(token[9], end, false, UINT64_MAX, &ino))
		return 0; /* the heading */
	e = add(s, ino, &r);
	if (!e)
		return r;
	if (proto == IPPROTO_RAW) { /* its "port" is the protocol */
		proto = local_port & 0xff;
		memset(tuple + 2, 0, 2);
	}
	e->family = (uint16_t)family;
	e->proto = (uint8_t)proto;
	e->has_tuple = true;
	memcpy(e->tuple, tuple, sizeof(tuple));
	return 0;
}

static int line_unix(struct aq_sockets *s, const char *line, size_t len)
{
	const char *token[AQ_TOKENS], *rest, *end = line + len;
	struct aq_socket *e;
	size_t path_len;
	uint64_t ino;
	int r = 0;

	if (split(line, len, token, 7, &rest) < 7 || !number(token[6], end, false, UINT64_MAX, &ino))
		return 0;
	if (ino == 0)
		return 0;
	path_len = rest < end && *rest == ' ' ? (size_t)(end - ++rest) : 0;
	if (path_len > AQ_UNIX_PATH)
		path_len = AQ_UNIX_PATH;
	e = find_slot(s->slot, s->mask, ino);
	if (e->ino && (e->family != AF_UNIX || e->ambiguous))
		return 0; /* the tables that cannot be forged rule */
	if (e->ino) {
		if (path_len == (e->path ? strlen(e->path) : 0) && (!e->path || memcmp(e->path, rest, path_len) == 0))
			return 0;
		free(e->path);
		*e = (struct aq_socket){ .ino = ino, .family = AF_UNIX, .ambiguous = true };
		return 0;
	}
	e = add(s, ino, &r);
	if (!e)
		return r;
	e->family = AF_UNIX;
	e->has_tuple = true;
	e->tuple[0] = AF_UNIX & 0xff;
	e->tuple[AQ_SNAP_SOCKADDR_BYTES] = AF_UNIX & 0xff;
	if (path_len == 0)
		return 0;
	e->path = strndup(rest, path_len);
	if (!e->path)
		return -ENOMEM;
	memcpy(e->tuple + 2, rest, path_len < AQ_UNIX_IN_TUPLE ? path_len : AQ_UNIX_IN_TUPLE);
	if (rest[0] == '@') /* how the table shows the NUL of an abstract name */
		e->tuple[2] = 0;
	return 0;
}

static int line_netlink(struct aq_sockets *s, const char *line, size_t len)
{
	const char *token[AQ_TOKENS], *rest, *end = line + len;
	uint64_t ino, proto, port, groups;
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	struct aq_socket *e;
	int r = 0;

	if (split(line, len, token, 10, &rest) < 10 || !number(token[1], end, false, 255, &proto) ||
	    !number(token[2], end, false, UINT32_MAX, &port) || !number(token[3], end, true, UINT32_MAX, &groups) ||
	    !number(token[9], end, false, UINT64_MAX, &ino))
		return 0;
	e = add(s, ino, &r);
	if (!e)
		return r;
	sa.nl_pid = (uint32_t)port;
	sa.nl_groups = (uint32_t)groups;
	e->family = AF_NETLINK;
	e->has_tuple = true;
	memcpy(e->tuple, &sa, sizeof(sa));
	return 0;
}

static int line_packet(struct aq_sockets *s, const char *line, size_t len)
{
	const char *token[AQ_TOKENS], *rest, *end = line + len;
	struct sockaddr_ll sa = { .sll_family = AF_PACKET };
	uint64_t ino, proto, interface;
	struct aq_socket *e;
	int r = 0;

	if (split(line, len, token, 9, &rest) < 9 || !number(token[3], end, true, UINT16_MAX, &proto) ||
	    !number(token[4], end, false, INT_MAX, &interface) || !number(token[8], end, false, UINT64_MAX, &ino))
		return 0;
	e = add(s, ino, &r);
	if (!e)
		return r;
	sa.sll_protocol = htons((uint16_t)proto);
	sa.sll_ifindex = (int)interface;
	e->family = AF_PACKET;
	e->has_tuple = true;
	memcpy(e->tuple, &sa, sizeof(sa));
	return 0;
}

static const struct table {
	const char *name;
	int family, proto;
} tables[] = {
	{ "net/tcp", AF_INET, IPPROTO_TCP },         { "net/tcp6", AF_INET6, IPPROTO_TCP },
	{ "net/udp", AF_INET, IPPROTO_UDP },         { "net/udp6", AF_INET6, IPPROTO_UDP },
	{ "net/udplite", AF_INET, IPPROTO_UDPLITE }, { "net/udplite6", AF_INET6, IPPROTO_UDPLITE },
	{ "net/icmp", AF_INET, IPPROTO_ICMP },       { "net/icmp6", AF_INET6, IPPROTO_ICMPV6 },
	{ "net/raw", AF_INET, IPPROTO_RAW },         { "net/raw6", AF_INET6, IPPROTO_RAW },
	{ "net/unix", AF_UNIX, 0 },                  { "net/netlink", AF_NETLINK, 0 },
	{ "net/packet", AF_PACKET, 0 },
};

static int load_table(struct aq_sockets *s, int dirfd, const struct table *t, char *line_buf)
{
	struct aq_lines lines;
	char *line;
	size_t len;
	int r = 0;

	if (aq_lines_open(&lines, dirfd, t->name, line_buf) < 0)
		return 0; /* not every kernel has every protocol */
	while (r == 0 && aq_lines_next(&lines, &line, &len) > 0) {
		if (t->family == AF_UNIX)
			r = line_unix(s, line, len);
		else if (t->family == AF_NETLINK)
			r = line_netlink(s, line, len);
		else if (t->family == AF_PACKET)
			r = line_packet(s, line, len);
		else
			r = line_inet(s, line, len, t->family, t->proto);
	}
	aq_lines_close(&lines);
	return r;
}

int aq_sockets_load(struct aq_sockets *s, int dirfd, uint64_t netns_ino, char *line_buf)
{
	for (uint32_t i = 0; i < s->netns_count; i++)
		if (s->netns[i] == netns_ino)
			return 0;
	if (s->netns_count == AQ_NETNS_MAX) {
		s->skipped++;
		return 0;
	}
	if (s->netns_count == s->netns_room) {
		uint32_t room = s->netns_room ? s->netns_room * 2 : 64;
		uint64_t *more = realloc(s->netns, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->netns = more;
		s->netns_room = room;
	}
	/* the namespace is noted last, and only if the process outlived the reading: another one of it may then do better */
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		int r = load_table(s, dirfd, &tables[i], line_buf);

		if (r < 0)
			return r;
	}
	if (faccessat(dirfd, "net/unix", F_OK, 0) == 0)
		s->netns[s->netns_count++] = netns_ino;
	return 0;
}
