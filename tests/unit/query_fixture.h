/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events made by hand for the tests of query/. Attribute data is borrowed from the caller.
 */
#ifndef AQ_TESTS_UNIT_QUERY_FIXTURE_H
#define AQ_TESTS_UNIT_QUERY_FIXTURE_H

#include <string.h>

#include "format/segment/event.h"

static inline struct aq_event ev_make(uint64_t time_ns, uint16_t id, uint32_t pid, uint32_t tid, int64_t ret)
{
	const struct aq_event_schema *row = aq_schema_event(id);
	struct aq_event ev = { .time_ns = time_ns, .id = id, .pid = pid, .tid = tid, .ret = ret,
			       .cls = row ? (uint8_t)row->cls : 3, .arg_count = row ? row->arg_count : 0 };

	for (unsigned i = 0; row && i < row->arg_count; i++)
		if (row->args[i].attr) { /* attributes come last in lifecycle events and have no number there */
			if (id >= AQ_EVENT_ID_STATE) {
				ev.arg_count = (uint8_t)i;
				break;
			}
		}
	return ev;
}

static inline void ev_attr(struct aq_event *ev, enum aq_attr_key key, const void *data, size_t len)
{
	ev->attrs[ev->attr_count++] = (struct aq_attr){ .key = (uint16_t)key, .len = (uint32_t)len, .data = data };
}

static inline void ev_text(struct aq_event *ev, enum aq_attr_key key, const char *text)
{
	ev_attr(ev, key, text, strlen(text));
}

static inline struct aq_event ev_fork(uint64_t t, uint32_t pid, uint32_t child_tid, uint32_t child_pid)
{
	struct aq_event ev = ev_make(t, AQ_EV_proc_fork, pid, pid, 0);

	ev.args[0] = child_tid;
	ev.args[1] = child_pid;
	ev.args[3] = t;
	ev.args[4] = child_tid;
	ev.args[5] = pid;
	return ev;
}

static inline struct aq_event ev_exec(uint64_t t, uint32_t pid, uint32_t ppid, const char *path, const char *argv,
				      size_t argv_len)
{
	struct aq_event ev = ev_make(t, AQ_EV_proc_exec, pid, pid, 0);

	ev.args[1] = 4711;
	ev.args[2] = 1000;
	ev.args[6] = 1000;
	ev.args[4] = pid;
	ev.args[8] = ppid;
	ev_text(&ev, AQ_ATTR_PATH, path);
	ev_attr(&ev, AQ_ATTR_ARGV, argv, argv_len);
	return ev;
}

static inline struct aq_event ev_exit(uint64_t t, uint32_t pid, int code)
{
	struct aq_event ev = ev_make(t, AQ_EV_proc_exit, pid, pid, 0);

	ev.args[0] = (uint64_t)code;
	return ev;
}

static inline struct aq_event ev_openat(uint64_t t, uint32_t pid, int dirfd, const char *path, uint64_t flags, int64_t ret)
{
	struct aq_event ev = ev_make(t, AQ_EV_openat, pid, pid, ret);

	ev.args[0] = (uint64_t)(int64_t)dirfd;
	ev.args[2] = flags;
	ev_text(&ev, AQ_ATTR_PATH, path);
	return ev;
}

static inline struct aq_event ev_on_fd(uint64_t t, uint16_t id, uint32_t pid, int fd, int64_t ret)
{
	struct aq_event ev = ev_make(t, id, pid, pid, ret);

	ev.args[0] = (uint64_t)(int64_t)fd;
	return ev;
}

static inline void ev_sockaddr4(uint8_t out[16], unsigned a, unsigned b, unsigned c, unsigned d, unsigned port)
{
	memset(out, 0, 16);
	out[0] = 2;
	out[2] = (uint8_t)(port >> 8);
	out[3] = (uint8_t)port;
	out[4] = (uint8_t)a;
	out[5] = (uint8_t)b;
	out[6] = (uint8_t)c;
	out[7] = (uint8_t)d;
}

#endif
