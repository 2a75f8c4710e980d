/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goes through the capture three times with the same query: to learn which processes match, then which descriptors of
 * theirs were open when the first event matched, then to write what belongs to them. Processes and open files have the
 * same running numbers each time, as the same events are fed in the same order.
 */
#include "query/extract.h"

#include <errno.h>
#include <stdlib.h>

#include "format/segment/rewrite.h"
#include "format/segment/writer.h"
#include "query/query_internal.h"

enum { CPUS = 4096, PASSES = 3, LOOK_EVENTS = 4096, TELL_EVENTS = 1 << 20 };

struct set { /* of numbers, open addressing; 0 is never in it */
	uint64_t *slots;
	size_t count, room;
};

struct extract {
	struct aq_capture *capture;
	const struct aq_extract_options *options;
	struct aq_query *query;
	struct set processes;          /* serials */
	struct set children;           /* tids and pids of kept processes: births of others say nothing here */
	struct set cgroups;
	struct set writers;            /* serials of those who wrote programs that kept processes run */
	struct set files;              /* serials of open files that were open at first_ns, or that others hang on */
	struct set pairs;              /* serials of the first of two that one call made */
	uint64_t life_set[AQ_SET_WORDS]; /* ids of events that change more than descriptors */
	uint64_t fd_set[AQ_SET_WORDS]; /* and of those that don't */
	uint64_t first_ns, last_ns;    /* of the events that match */
	bool at_first;                 /* the second time has come to first_ns */
	struct aq_capture_writer *writer;
	bool written;                  /* the event at hand */
	uint64_t events;               /* read so far, all times together */
	uint64_t (*kept)[AQ_CLASS_COUNT]; /* CPUS rows: events from rings */
	struct aq_extract_result *result;
	struct aq_err err;
};

static bool set_has(const struct set *s, uint64_t n)
{
	for (size_t i = s->room ? (n * 0x9e3779b97f4a7c15ull) & (s->room - 1) : 0; s->room && s->slots[i];
	     i = (i + 1) & (s->room - 1))
		if (s->slots[i] == n)
			return true;
	return false;
}

static int set_add(struct set *s, uint64_t n)
{
	if (n == 0 || set_has(s, n))
		return 0;
	if (s->count * 2 >= s->room) {
		struct set more = { .room = s->room ? s->room * 2 : 256 };
		more.slots = calloc(more.room, sizeof(*more.slots));
		if (!more.slots)
			return -ENOMEM;
		for (size_t i = 0; i < s->room; i++)
			if (s->slots[i])
				set_add(&more, s->slots[i]);
		free(s->slots);
		*s = more;
	}
	size_t i = (n * 0x9e3779b97f4a7c15ull) & (s->room - 1);
	while (s->slots[i])
		i = (i + 1) & (s->room - 1);
	s->slots[i] = n;
	s->count++;
	return 0;
}

/* For each event that is read: -ECANCELED when it is to stop. */
static int go_on(struct extract *x)
{
	const struct aq_extract_options *o = x->options;

	if (++x->events % LOOK_EVENTS != 0)
		return 0;
	if (o->stop && *o->stop)
		return -ECANCELED;
	if (o->progress && x->events % TELL_EVENTS == 0)
		o->progress(o->user, x->events, PASSES * aq_capture_info(x->capture)->events);
	return 0;
}

static int look(void *user, const struct aq_state *state, const struct aq_event *ev, const struct aq_touch *touch)
{
	(void)state;
	(void)ev;
	(void)touch;
	return go_on(user);
}

/* A process and its ancestors. */
static int want(struct extract *x, const struct aq_proc *p)
{
	int r = 0;
	for (; r == 0 && p && !set_has(&x->processes, p->serial); p = p->parent) {
		r = set_add(&x->processes, p->serial);
		r = r < 0 ? r : set_add(&x->children, p->pid);
	}
	return r;
}

static int start(struct extract *x, struct aq_err *err)
{
	struct aq_query_options o = { .filter = x->options->filter,
				      .from_ns = x->options->from_ns,
				      .to_ns = x->options->to_ns,
				      .needs = AQ_NEED_PROC | AQ_NEED_FD | AQ_NEED_CGROUP };
	aq_query_free(x->query);
	x->query = NULL;
	return aq_query_new(x->capture, &o, &x->query, err);
}

/* Who wrote what a process runs, with all that it takes to name that one. */
static int want_writer(struct extract *x, const struct aq_state *state, const struct aq_proc *p)
{
	const struct aq_proc *writer = aq_state_proc_of(state, p->exe_writer_pid, p->exe_writer_serial);
	int r = set_add(&x->writers, p->exe_writer_serial);

	if (writer)
		return r < 0 ? r : want(x, writer);
	r = r < 0 ? r : set_add(&x->processes, p->exe_writer_serial); /* long gone */
	return r < 0 ? r : set_add(&x->children, p->exe_writer_pid);
}

/* What is open in the kept processes. Of two that one call made, both are wanted where one is. */
static int learn_files(struct extract *x, const struct aq_state *state)
{
	int r = 0;

	for (const struct aq_proc *p = aq_state_next(state, NULL); p && r == 0; p = aq_state_next(state, p)) {
		const struct aq_fd *fd;
		int64_t num = -1;

		if (!set_has(&x->processes, p->serial))
			continue;
		while (r == 0 && (num = aq_proc_next_fd(p, num + 1, &fd)) >= 0) {
			r = set_add(&x->files, fd->serial);
			if (r == 0 && set_has(&x->pairs, fd->serial))
				r = set_add(&x->files, fd->serial + 1);
			if (r == 0 && fd->serial > 1 && set_has(&x->pairs, fd->serial - 1))
				r = set_add(&x->files, fd->serial - 1);
		}
	}
	return r;
}

/*
 * Of those who matter: the cgroups that they were in when they did something, who wrote what they run, and which of
 * their open files the rest hangs on: those that the working directory or a namespace was taken from, and those that
 * took the number of another.
 */
static int learn_more(void *user, const struct aq_state *state, const struct aq_event *ev, const struct aq_touch *touch)
{
	struct extract *x = user;
	const struct aq_proc *p = touch->proc;
	int r = go_on(x);

	if (r < 0)
		return r;
	if (!x->at_first && ev->time_ns >= x->first_ns) {
		x->at_first = true;
		r = learn_files(x, state);
	}
	if (r < 0 || !p || !set_has(&x->processes, p->serial))
		return r;
	if (p->exe_writer_serial)
		r = want_writer(x, state, p);
	if (r == 0 && touch->fd && ev->time_ns <= x->first_ns &&
	    (aq_bit(x->life_set, ev->id) || ev->id == AQ_EV_dup2 || ev->id == AQ_EV_dup3 || ev->time_ns == x->first_ns))
		r = set_add(&x->files, touch->fd->serial);
	if (r == 0 && touch->fd && (ev->id == AQ_EV_pipe || ev->id == AQ_EV_pipe2 || ev->id == AQ_EV_socketpair))
		r = set_add(&x->pairs, touch->fd->serial);
	return r < 0 ? r : set_add(&x->cgroups, ev->cgroup_id);
}

/*
 * Whether an event about descriptors alone says nothing that a kept event hangs on: not about the files of that time.
 */
static bool is_idle(const struct extract *x, const struct aq_event *ev, const struct aq_touch *touch)
{
	const struct aq_fd *fd = touch->fd;

	if (!aq_bit(x->fd_set, ev->id) || ev->id == AQ_EV_close_range)
		return false;
	if (ev->time_ns > x->last_ns)
		return true;
	if (touch->proc && set_has(&x->writers, touch->proc->serial) && (!fd || (fd->flags & 3 /* O_ACCMODE */) != 0))
		return ev->ret < 0; /* what it wrote, and what became of that */
	if (!fd) /* failed, or a rename by somebody whose files nobody runs */
		return ev->time_ns < x->first_ns || ev->ret < 0 || ev->id == AQ_EV_rename || ev->id == AQ_EV_renameat ||
		       ev->id == AQ_EV_renameat2;
	return fd->opened_ns < x->first_ns && !set_has(&x->files, fd->serial);
}

static int learn(struct extract *x, struct aq_err *err)
{
	struct aq_row *row;
	int r = start(x, err);
	if (r == 0) {
		x->query->on_state = look;
		x->query->on_state_user = x;
	}
	while (r >= 0 && (r = aq_query_step(x->query, &row, err)) > 0) {
		if (!row->ev)
			continue;
		if (x->result->matches++ == 0)
			x->first_ns = row->ev->time_ns;
		x->last_ns = row->ev->time_ns;
		if ((row->proc && want(x, row->proc) < 0) || set_add(&x->cgroups, row->ev->cgroup_id) < 0)
			r = aq_err_set(err, -ENOMEM, "no memory for an extract");
	}
	if (r < 0)
		return r;
	if (x->result->matches == 0)
		return aq_err_set(err, -ENODATA, "nothing matches: nothing was made");
	r = start(x, err); /* again, now that it is known who they are */
	if (r < 0)
		return r;
	x->query->on_state = learn_more;
	x->query->on_state_user = x;
	while ((r = aq_query_step(x->query, &row, err)) > 0)
		;
	x->result->processes = x->processes.count;
	return r;
}

static int keep(struct extract *x, const struct aq_event *ev)
{
	x->written = true;
	if (!aq_event_is_made(ev->id) && ev->cpu < CPUS && ev->cls < AQ_CLASS_COUNT)
		x->kept[ev->cpu][ev->cls]++;
	return aq_capture_writer_add(x->writer, ev, &x->err);
}

/* Whether an event that does not match says something about the state of those that do. */
static bool is_state(const struct extract *x, const struct aq_event *ev, const struct aq_touch *touch)
{
	switch (ev->id) {
	case AQ_EV_snap_begin:
	case AQ_EV_snap_end:
		return true;
	case AQ_EV_snap_mount: /* the host's; no name needs it */
		return false;
	case AQ_EV_snap_cgroup:
	case AQ_EV_cgroup_mkdir:
	case AQ_EV_cgroup_rmdir:
		return ev->arg_count > 0 && set_has(&x->cgroups, ev->args[0]);
	case AQ_EV_proc_fork: /* children of a shell or a container's first process can be anybody's */
		return ev->arg_count > 1 && touch->proc && set_has(&x->processes, touch->proc->serial) &&
		       (set_has(&x->children, ev->args[1]) || set_has(&x->children, ev->args[0]));
	default:
		return aq_bit(x->query->state_set, ev->id) && touch->proc &&
		       set_has(&x->processes, touch->proc->serial) && !is_idle(x, ev, touch);
	}
}

static int write_state(void *user, const struct aq_state *state, const struct aq_event *ev,
		       const struct aq_touch *touch)
{
	struct extract *x = user;
	int r = go_on(x);

	(void)state;
	x->written = false;
	if (r < 0 || !is_state(x, ev, touch))
		return r;
	x->result->state++;
	return keep(x, ev);
}

/* What is missing of the source in the window and before it, and what was left out here. */
static int write_gaps(struct extract *x)
{
	uint64_t left_out[AQ_CLASS_COUNT] = { 0 }, to_ns = x->options->to_ns ? x->options->to_ns : UINT64_MAX;
	const struct aq_capture_info *info = aq_capture_info(x->capture);
	size_t gap_count, row_count;
	const struct aq_gap *gaps = aq_capture_gaps(x->capture, &gap_count);
	const struct aq_ledger_row *from = aq_capture_ledger(x->capture, &row_count);
	struct aq_ledger_row *rows = calloc(row_count + 1, sizeof(*rows));
	int r = rows ? aq_capture_copy_clocks(x->capture, x->writer, &x->err)
		     : aq_err_set(&x->err, -ENOMEM, "no memory for an extract");

	for (size_t i = 0; r == 0 && i < gap_count; i++) {
		struct aq_gap gap = gaps[i];
		gap.by_event_count = 0; /* which calls others made is theirs */
		if (gap.first_ns <= to_ns)
			r = aq_capture_writer_add_gap(x->writer, &gap, &x->err);
	}
	for (size_t i = 0; r == 0 && i < row_count; i++) {
		struct aq_ledger_row *row = &rows[i];
		*row = from[i];
		uint64_t stored = row->cpu < CPUS && row->cls < AQ_CLASS_COUNT ? x->kept[row->cpu][row->cls] : 0;
		uint64_t rest = row->stored > stored ? row->stored - stored : 0;
		if (row->cls < AQ_CLASS_COUNT)
			left_out[row->cls] += rest;
		x->result->left_out += rest;
		row->removed = 0;
		row->stored = stored;
		row->policy += rest;
		uint64_t sum = row->stored + row->lost + row->policy;
		row->lost += row->produced > sum ? row->produced - sum : 0;
		row->produced = row->stored + row->lost + row->policy;
	}
	for (unsigned cls = 0; r == 0 && cls < AQ_CLASS_COUNT; cls++) {
		struct aq_gap gap = { .first_ns = info->start_boot_ns, .last_ns = info->end_ns, .count = left_out[cls],
				      .cpu = UINT16_MAX, .cls = (uint8_t)cls, .reason = AQ_GAP_EXTRACT };
		if (gap.count)
			r = aq_capture_writer_add_gap(x->writer, &gap, &x->err);
	}
	if (r == 0)
		r = aq_capture_writer_set_ledger(x->writer, rows, row_count, info->end_ns,
						 aq_capture_real_ns(x->capture, info->end_ns), &x->err);
	free(rows);
	return r;
}

static int write_all(void *user, struct aq_capture_writer *writer, struct aq_err *err)
{
	struct extract *x = user;
	struct aq_row *row;
	int r = start(x, err);

	if (r < 0)
		return r;
	x->writer = writer;
	x->query->on_state = write_state;
	x->query->on_state_user = x;
	while ((r = aq_query_step(x->query, &row, err)) > 0) {
		if (!row->ev)
			continue;
		if (x->written)
			x->result->state--; /* it was an answer, not only state */
		else if (keep(x, row->ev) < 0)
			r = -EIO;
		if (r < 0)
			break;
	}
	if (r == 0)
		r = write_gaps(x);
	if (r < 0 && x->err.code)
		*err = x->err;
	return r;
}

int aq_extract(struct aq_capture *c, const char *to, const struct aq_extract_options *options,
	       struct aq_extract_result *ret_result, struct aq_err *err)
{
	struct extract x = { .capture = c, .options = options, .result = ret_result };
	const struct aq_derivation d = { .derived_json = options->derived_json,
					 .zstd_level = options->zstd_level,
					 .write = write_all };
	int r;

	*ret_result = (struct aq_extract_result){ 0 };
	aq_state_event_set(true, x.fd_set);
	aq_state_event_set(false, x.life_set);
	for (size_t i = 0; i < AQ_SET_WORDS; i++)
		x.fd_set[i] &= ~x.life_set[i];
	x.kept = calloc(CPUS, sizeof(*x.kept));
	r = x.kept ? learn(&x, err) : aq_err_set(err, -ENOMEM, "no memory for an extract");
	if (r == 0)
		r = aq_capture_derive(c, to, &d, &x, err);
	aq_query_free(x.query);
	free(x.processes.slots);
	free(x.children.slots);
	free(x.cgroups.slots);
	free(x.writers.slots);
	free(x.files.slots);
	free(x.pairs.slots);
	free(x.kept);
	return r;
}
