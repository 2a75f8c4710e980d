/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for people from events: `openat(dirfd=AT_FDCWD, path="/etc/passwd", flags=O_CLOEXEC|O_RDONLY) = 3`. Everything
 * that came from a traced program is escaped to printable ASCII or whole UTF-8 characters: safe on a terminal.
 * All functions work like snprintf: NUL-terminated when size > 0, cut if too long, and return the length needed.
 */
#ifndef AQ_QUERY_RENDER_H
#define AQ_QUERY_RENDER_H

#include "format/segment/event.h"
#include "query/fields.h"

enum aq_render_flag {
	AQ_RENDER_STRINGS_MAX = 0xffff, /* low bits: longest string shown before "…" (bytes); 0: 256 */
	AQ_RENDER_NO_NAMES = 1 << 16,   /* values only: f(-100, "/x") */
};

/* The whole call: name(args) = result. Lifecycle events have no result; unknown calls print as syscall_NR. */
size_t aq_render_event(const struct aq_event *ev, unsigned flags, char *buf, size_t size);
/* Only the arguments, without parentheses (Falco's evt.args). */
size_t aq_render_args(const struct aq_event *ev, unsigned flags, char *buf, size_t size);
/* Only the result: "3", "ENOENT". */
size_t aq_render_result(const struct aq_event *ev, char *buf, size_t size);
/* A gap: `gap cpu=1 class=bulk reason=ring-full count=12 (read 10, write 2)`. */
size_t aq_render_gap(const struct aq_gap *gap, char *buf, size_t size);
/* Bytes between double quotes with C escapes. */
size_t aq_render_quoted(const void *data, size_t len, size_t max_bytes, char *buf, size_t size);
/* Bytes without quotes, control characters and broken UTF-8 as \xHH, a backslash doubled. */
size_t aq_render_escaped(const void *data, size_t len, char *buf, size_t size);
/* A command line from argv (strings each followed by a NUL): shell-quoted where needed, escaped. */
size_t aq_render_argv(const void *data, size_t len, char *buf, size_t size);
/* A socket address: "10.0.0.1:80", "[::1]:443", "unix:/run/x", "netlink". */
size_t aq_render_sockaddr(const void *data, size_t len, char *buf, size_t size);
/* Wall clock in RFC 3339 with nanoseconds, UTC; a duration such as "1.234567s", "12m3s". */
size_t aq_render_time(uint64_t real_ns, char *buf, size_t size);
size_t aq_render_duration(uint64_t ns, char *buf, size_t size);

#endif
