/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles any bytes as a filter and, when they are one, evaluates it; then feeds them as events to the state.
 * aq-libs: aq_query aq_segment aq_schema aq_base */
#include <stdlib.h>
#include <string.h>

#include "query/filter.h"
#include "query/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_filter(const char *text, const struct aq_event *ev)
{
	uint64_t set[(AQ_EVENT_ID_MAX + 63) / 64];
	struct aq_gap gap = { .first_ns = 1, .last_ns = 2, .count = 3, .cpu = 0, .cls = 1, .reason = AQ_GAP_RING_FULL };
	struct aq_scratch *scratch = NULL;
	struct aq_filter *f = NULL;
	struct aq_err err = { 0 };
	bool named;

	if (aq_filter_compile(text, &f, &err) < 0)
		return;
	if (aq_scratch_new(&scratch) == 0) {
		struct aq_row row = { .ev = ev, .scratch = scratch, .fd_num = -1 };

		aq_filter_match(f, &row);
		row.ev = NULL;
		row.gap = &gap;
		aq_filter_match(f, &row);
	}
	aq_filter_event_set(f, set);
	aq_filter_named_events(f, set);
	aq_filter_wants_gaps(f, &named);
	aq_scratch_free(scratch);
	aq_filter_free(f);
}

static uint64_t take(const uint8_t **at, const uint8_t *end, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes && *at < end; i++)
		v |= (uint64_t)*(*at)++ << (8 * i);
	return v;
}

static void feed_state(const uint8_t *at, const uint8_t *end)
{
	static const uint16_t ids[] = {
		AQ_EV_proc_fork, AQ_EV_proc_exec, AQ_EV_proc_exit, AQ_EV_proc_rename, AQ_EV_snap_proc, AQ_EV_snap_fd,
		AQ_EV_snap_ns, AQ_EV_snap_thread, AQ_EV_snap_end, AQ_EV_snap_cgroup, AQ_EV_cgroup_attach, AQ_EV_clone,
		AQ_EV_openat, AQ_EV_close, AQ_EV_dup2, AQ_EV_dup3, AQ_EV_fcntl, AQ_EV_pipe2, AQ_EV_socket, AQ_EV_socketpair,
		AQ_EV_connect, AQ_EV_bind, AQ_EV_accept4, AQ_EV_close_range, AQ_EV_chdir, AQ_EV_fchdir, AQ_EV_unshare,
		AQ_EV_setns, AQ_EV_setuid, AQ_EV_prctl, AQ_EV_memfd_create, AQ_EV_read, AQ_EV_renameat2, AQ_EV_chroot,
	};
	static const uint8_t keys[] = { AQ_ATTR_PATH, AQ_ATTR_PATH2, AQ_ATTR_KPATH, AQ_ATTR_ARGV, AQ_ATTR_SOCKADDR,
					AQ_ATTR_TUPLE, AQ_ATTR_NAME, AQ_ATTR_COMM, AQ_ATTR_CWD, AQ_ATTR_ROOT,
					AQ_ATTR_CGROUP_PATH, AQ_ATTR_FDS, AQ_ATTR_EXE, AQ_ATTR_DATA };
	const struct aq_state_options options = { .max_bytes = 1 << 20 };
	struct aq_state *s = NULL;
	uint64_t time_ns = 1;
	char text[512];

	if (aq_state_new(&options, &s, NULL) < 0)
		return;
	while (at < end) {
		struct aq_event ev = { .id = ids[take(&at, end, 1) % (sizeof(ids) / sizeof(ids[0]))] };
		struct aq_touch touch;
		bool certain;

		ev.time_ns = time_ns += take(&at, end, 1);
		ev.pid = (uint32_t)take(&at, end, 1) % 16;
		ev.tid = ev.pid + (uint32_t)take(&at, end, 1) % 4;
		ev.ret = (int8_t)take(&at, end, 1);
		ev.arg_count = (uint8_t)(take(&at, end, 1) % (AQ_EVENT_MAX_ARGS + 1));
		for (unsigned i = 0; i < ev.arg_count; i++)
			ev.args[i] = take(&at, end, i < 4 ? 1 : 3);
		ev.attr_count = (uint8_t)(take(&at, end, 1) % 4);
		for (unsigned i = 0; i < ev.attr_count; i++) {
			struct aq_attr *a = &ev.attrs[i];

			a->key = keys[take(&at, end, 1) % sizeof(keys)];
			a->flags = (uint16_t)(take(&at, end, 1) & 7);
			a->len = (uint32_t)take(&at, end, 1) % 64;
			if (a->len > (size_t)(end - at))
				a->len = (uint32_t)(end - at);
			a->data = at;
			at += a->len;
		}
		aq_state_feed(s, &ev, &touch);
		aq_state_path(&ev, touch.proc, false, text, sizeof(text), &certain);
		aq_state_path(&ev, touch.proc, true, text, sizeof(text), &certain);
		aq_render_event(&ev, 0, text, sizeof(text));
	}
	for (const struct aq_proc *p = aq_state_next(s, NULL); p; p = aq_state_next(s, p)) {
		const struct aq_fd *fd;

		for (int64_t n = aq_proc_next_fd(p, 0, &fd); n >= 0; n = aq_proc_next_fd(p, n + 1, &fd))
			(void)aq_fd_type_name(fd->type);
	}
	aq_state_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aq_event ev = { .time_ns = 5, .id = AQ_EV_openat, .pid = 1, .tid = 1, .ret = 3, .arg_count = 4, .attr_count = 1 };
	char *text;

	if (size == 0)
		return 0;
	ev.attrs[0] = (struct aq_attr){ .key = AQ_ATTR_PATH, .len = 11, .data = "/etc/passwd" };
	if (data[0] == 'S') {
		feed_state(data + 1, data + size);
		return 0;
	}
	text = malloc(size + 1);
	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	try_filter(text, &ev);
	free(text);
	return 0;
}
