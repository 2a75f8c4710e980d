/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files were opened for writing during the recording, and by whom: so that an executable can be told that was
 * written before it ran. A table by absolute path; a rename takes the note along. Within the state's memory bound: when
 * that is used up, later files are not noted.
 */
#include "query/state_internal.h"

enum { SLOTS = 4096 };

struct aq_written {
	struct aq_str *path, *writer;
	uint32_t writer_pid;
	uint64_t writer_serial, time_ns;
	struct aq_written *next;
};

static struct aq_written **slot_of(struct aq_state *s, const struct aq_str *path)
{
	uint64_t hash = 0xcbf29ce484222325ull;
	for (uint32_t i = 0; i < path->len; i++)
		hash = (hash ^ (uint8_t)path->s[i]) * 0x100000001b3ull;
	return &s->written[(hash >> 20) % SLOTS];
}

static struct aq_written **find(struct aq_state *s, const struct aq_str *path)
{
	struct aq_written **place = slot_of(s, path);
	while (*place && !aq_str_equal((*place)->path, path->s, path->len))
		place = &(*place)->next;
	return place;
}

int aq_st_written_init(struct aq_state *s)
{
	s->written = aq_st_alloc(s, SLOTS * sizeof(*s->written));
	return s->written ? 0 : -1;
}

static void drop(struct aq_state *s, struct aq_written *w)
{
	aq_str_unref(s, w->path);
	aq_str_unref(s, w->writer);
	aq_st_free(s, w, sizeof(*w));
}

void aq_st_written_release(struct aq_state *s)
{
	for (unsigned i = 0; s->written && i < SLOTS; i++)
		for (struct aq_written *w = s->written[i], *next; w; w = next) {
			next = w->next;
			drop(s, w);
		}
	if (s->written)
		aq_st_free(s, s->written, SLOTS * sizeof(*s->written));
	s->written = NULL;
}

static void note(struct aq_state *s, struct aq_str *path, const struct aq_written *by)
{
	struct aq_written **place = find(s, path), *w = *place;
	if (!w) {
		w = aq_st_alloc(s, sizeof(*w));
		if (!w)
			return;
		w->path = aq_str_ref(path);
		*place = w;
	}
	aq_str_set(s, &w->writer, aq_str_ref(by->writer));
	w->writer_pid = by->writer_pid;
	w->writer_serial = by->writer_serial;
	w->time_ns = by->time_ns;
}

void aq_st_written_note(struct aq_feed *f, struct aq_str *path)
{
	if (path && path->len && path->s[0] == '/' && f->proc)
		note(f->s, path, &(struct aq_written){ .writer = f->proc->comm, .writer_pid = f->proc->pid,
						      .writer_serial = f->proc->serial, .time_ns = f->ev->time_ns });
}

void aq_st_written_rename(struct aq_feed *f)
{
	bool certain;
	struct aq_str *from = aq_st_path(f, false, &certain), *to = aq_st_path(f, true, &certain);
	struct aq_written **place = from && to ? find(f->s, from) : NULL, *w = place ? *place : NULL;
	if (w) {
		*place = w->next;
		note(f->s, to, w);
		drop(f->s, w);
	}
	aq_str_unref(f->s, from);
	aq_str_unref(f->s, to);
}

void aq_st_written_exec(struct aq_state *s, struct aq_proc *p)
{
	const struct aq_written *w = p->exepath && s->written ? *find(s, p->exepath) : NULL;
	aq_str_set(s, &p->exe_writer, w ? aq_str_ref(w->writer) : NULL);
	p->exe_writer_pid = w ? w->writer_pid : 0;
	p->exe_writer_serial = w ? w->writer_serial : 0;
	p->exe_written_ns = w ? w->time_ns : 0;
}
