/* SPDX-License-Identifier: Apache-2.0 */
/* Builds and checks index.sqlite; see index.h. Everything goes through prepared statements in one transaction. */
#include "format/index/index.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/index/tables.h"
#include "format/base/buf.h"
#include "format/segment/reader.h"

enum statement {
	PUT_META, PUT_SEGMENT, PUT_CHUNK, PUT_GAP, PUT_GAP_COUNT, PUT_LEDGER, PUT_PROCESS, SET_EXEC, SET_EXIT, FIND_PROCESS,
	PUT_CGROUP, END_CGROUP, PUT_FACT, PUT_MARK, STATEMENTS
};

static const char *const sql_of[STATEMENTS] = {
	[PUT_META] = "INSERT OR REPLACE INTO meta VALUES (?, ?)",
	[PUT_SEGMENT] = "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
	[PUT_CHUNK] = "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[PUT_GAP] = "INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
	[PUT_GAP_COUNT] = "INSERT INTO gap_counts VALUES (?, ?, ?)",
	[PUT_LEDGER] = "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?)",
	[PUT_PROCESS] = ("INSERT INTO processes (pid, start_ns, ppid, uid, comm, exe, argv, cgroup_id, source)"
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"),
	[SET_EXEC] = "UPDATE processes SET uid = ?, exe = ?, argv = ?, comm = NULL, ppid = ? WHERE id = ?",
	[SET_EXIT] = "UPDATE processes SET end_ns = ?, exit_code = ?, exit_signal = ?, comm = coalesce(?, comm) WHERE id = ?",
	[FIND_PROCESS] = "SELECT id, start_ns FROM processes WHERE pid = ? AND end_ns IS NULL ORDER BY start_ns DESC LIMIT 1",
	[PUT_CGROUP] = "INSERT INTO cgroups VALUES (?, ?, ?, ?, NULL)",
	[END_CGROUP] = "UPDATE cgroups SET valid_to_ns = ? WHERE id = ? AND valid_to_ns IS NULL",
	/* a source's later fact about the same subject from the same time on replaces its earlier one */
	[PUT_FACT] = ("INSERT INTO facts (subject, source, fact, valid_from_ns, valid_to_ns, seen_ns) VALUES (?1, CASE WHEN"
		      " json_valid(?2) THEN CAST(coalesce(json_extract(?2, '$.source'), '') AS TEXT) ELSE '' END, ?2, ?3, nullif(?4, 0), ?5)"
		      " ON CONFLICT (subject, source, valid_from_ns) DO UPDATE SET fact = excluded.fact,"
		      " valid_to_ns = excluded.valid_to_ns, seen_ns = excluded.seen_ns"),
	[PUT_MARK] = "INSERT INTO marks VALUES (?, ?)",
};

struct build {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	struct aq_capture *capture;
	struct aq_err *err;
};

static int failed(struct build *b)
{
	return aq_err_set(b->err, sqlite3_errcode(b->db) == SQLITE_FULL ? -ENOSPC : -EIO, "the index could not be written: %s",
			  sqlite3_errmsg(b->db));
}

/* Values are given in order: 'i' int64, 's' text or NULL, 'b' attribute as bytes or NULL, 't' attribute as text or NULL. */
static int run(struct build *b, enum statement which, const char *kinds, ...)
{
	sqlite3_stmt *s = b->statements[which];
	va_list ap;
	va_start(ap, kinds);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	for (int i = 0; kinds[i]; i++) {
		if (kinds[i] == 'i') {
			sqlite3_bind_int64(s, i + 1, va_arg(ap, sqlite3_int64));
		} else if (kinds[i] == 's') {
			const char *text = va_arg(ap, const char *);
			if (text)
				sqlite3_bind_text(s, i + 1, text, -1, SQLITE_TRANSIENT);
		} else {
			const struct aq_attr *a = va_arg(ap, const struct aq_attr *);
			if (a && kinds[i] == 'b')
				sqlite3_bind_blob(s, i + 1, a->data, (int)a->len, SQLITE_TRANSIENT);
			else if (a)
				sqlite3_bind_text(s, i + 1, a->data, (int)a->len, SQLITE_TRANSIENT);
		}
	}
	va_end(ap);
	int r = sqlite3_step(s);
	return r == SQLITE_DONE || r == SQLITE_ROW ? 0 : failed(b);
}
#define I(value) ((sqlite3_int64)(value))

static int put_segments(struct build *b)
{
	const struct aq_capture_info *info = aq_capture_info(b->capture);
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < info->segment_count; i++) {
		const struct aq_segment_info *s = &info->segments[i];
		const char *name = strrchr(s->path, '/');
		r = run(b, PUT_SEGMENT, "isiiiiii", I(s->number ? s->number : i + 1), name ? name + 1 : s->path, I(s->bytes),
			I(s->finished), I(s->min_ns), I(s->max_ns), I(s->events), I(s->chunks));
	}
	for (uint32_t i = 0; r == 0 && i < info->chunk_count; i++) {
		const struct aq_chunk_info *c = aq_capture_chunk(b->capture, i);
		struct aq_buf types;
		aq_buf_init(&types, 1 << 20);
		for (const struct aq_event_schema *ev = aq_schema_next(0); ev; ev = aq_schema_next(ev->id)) {
			if (!(c->event_set[ev->id / 64] >> (ev->id % 64) & 1))
				continue;
			aq_buf_put(&types, " ", types.len ? 1 : 0);
			aq_buf_put(&types, ev->name, strlen(ev->name));
		}
		aq_buf_put_u8(&types, 0);
		r = types.failed ? aq_err_set(b->err, -ENOMEM, "out of memory") :
				   run(b, PUT_CHUNK, "iiiiiiiiis", I(i), I(info->segments[c->segment].number), I(c->offset),
				       I(c->bytes), I(c->events), I(c->min_ns), I(c->max_ns), I(c->min_pid), I(c->max_pid),
				       (const char *)types.data);
		aq_buf_release(&types);
	}
	return r;
}

static int put_ledger(struct build *b)
{
	size_t count;
	int r = 0;
	const struct aq_ledger_row *rows = aq_capture_ledger(b->capture, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = run(b, PUT_LEDGER, "isiiiii", I(rows[i].cpu), aq_class_name(rows[i].cls), I(rows[i].produced), I(rows[i].stored),
			I(rows[i].lost), I(rows[i].policy), I(rows[i].degraded));
	const struct aq_gap *gaps = aq_capture_gaps(b->capture, &count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		const struct aq_gap *g = &gaps[i];
		r = run(b, PUT_GAP, "iiiissii", I(i), I(g->first_ns), I(g->last_ns > INT64_MAX ? INT64_MAX : g->last_ns),
			I(g->cpu == UINT16_MAX ? -1 : g->cpu), g->cls < AQ_CLASS_COUNT ? aq_class_name(g->cls) : "all",
			aq_gap_reason_name(g->reason), I(g->count == AQ_GAP_COUNT_UNKNOWN ? -1 : (int64_t)g->count), I(g->cgroup_id));
		for (uint32_t k = 0; r == 0 && k < g->by_event_count; k++) {
			const struct aq_event_schema *ev = aq_schema_event(g->by_event[k].event_id);
			r = run(b, PUT_GAP_COUNT, "isi", I(i), ev ? ev->name : "?", I(g->by_event[k].count));
		}
	}
	return r;
}

/* The row of a living process; 0 if there is none. */
static sqlite3_int64 find_process(struct build *b, uint32_t pid)
{
	sqlite3_stmt *s = b->statements[FIND_PROCESS];
	sqlite3_reset(s);
	sqlite3_bind_int64(s, 1, pid);
	sqlite3_int64 id = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
	sqlite3_reset(s);
	return id;
}

static int put_event(struct build *b, const struct aq_event *ev)
{
	const struct aq_attr *comm = aq_event_attr(ev, AQ_ATTR_COMM), *argv = aq_event_attr(ev, AQ_ATTR_ARGV);
	const struct aq_attr *path = aq_event_attr(ev, AQ_ATTR_KPATH), *cgroup = aq_event_attr(ev, AQ_ATTR_CGROUP_PATH);
	sqlite3_int64 id;
	switch (ev->id) {
	case AQ_EV_snap_proc:
		if (find_process(b, ev->pid)) /* a later checkpoint, or born while the snapshot ran */
			return 0;
		return run(b, PUT_PROCESS, "iiiittbis", I(ev->pid), I(ev->args[1]), I(ev->args[0]), I(ev->args[2]), comm,
			   aq_event_attr(ev, AQ_ATTR_EXE), argv, I(ev->cgroup_id), "snapshot");
	case AQ_EV_proc_fork:
		if (ev->args[0] != ev->args[1]) /* a thread */
			return 0;
		return run(b, PUT_PROCESS, "iiiittbis", I(ev->args[1]), I(ev->args[3]), I(ev->args[5]), I(-1), comm,
			   (const struct aq_attr *)NULL, (const struct aq_attr *)NULL, I(ev->cgroup_id), "fork");
	case AQ_EV_proc_exec:
		id = find_process(b, ev->pid);
		path = path ? path : aq_event_attr(ev, AQ_ATTR_PATH);
		if (id)
			return run(b, SET_EXEC, "itbii", I(ev->args[2]), path, argv, I(ev->args[8]), id);
		return run(b, PUT_PROCESS, "iiiittbis", I(ev->pid), I(ev->args[13]), I(ev->args[8]), I(ev->args[2]),
			   (const struct aq_attr *)NULL, path, argv, I(ev->cgroup_id), "exec");
	case AQ_EV_proc_exit:
		id = ev->args[2] == 0 ? find_process(b, ev->pid) : 0;
		return id ? run(b, SET_EXIT, "iiiti", I(ev->time_ns), I(ev->args[0]), I(ev->args[1]), comm, id) : 0;
	case AQ_EV_snap_cgroup:
		return run(b, PUT_CGROUP, "iiti", I(ev->args[0]), I(ev->args[1]), cgroup, I(ev->time_ns));
	case AQ_EV_cgroup_mkdir:
		return run(b, PUT_CGROUP, "iiti", I(ev->args[0]), I(ev->args[2]), cgroup, I(ev->time_ns));
	case AQ_EV_cgroup_rmdir:
		return run(b, END_CGROUP, "ii", I(ev->time_ns), I(ev->args[0]));
	case AQ_EV_fact:
		if (!aq_event_attr(ev, AQ_ATTR_NAME) || !aq_event_attr(ev, AQ_ATTR_JSON))
			return 0;
		return run(b, PUT_FACT, "ttiii", aq_event_attr(ev, AQ_ATTR_NAME), aq_event_attr(ev, AQ_ATTR_JSON), I(ev->args[0]),
			   I(ev->args[1]), I(ev->time_ns));
	case AQ_EV_mark:
		return run(b, PUT_MARK, "it", I(ev->time_ns), aq_event_attr(ev, AQ_ATTR_TEXT));
	default:
		return 0;
	}
}

static int put_events(struct build *b, void (*progress)(void *, uint64_t, uint64_t), void *user)
{
	static const uint16_t ids[] = { AQ_EV_snap_proc, AQ_EV_proc_fork, AQ_EV_proc_exec, AQ_EV_proc_exit, AQ_EV_snap_cgroup,
					AQ_EV_cgroup_mkdir, AQ_EV_cgroup_rmdir, AQ_EV_fact, AQ_EV_mark };
	uint64_t set[(AQ_EVENT_ID_MAX + 63) / 64] = { 0 }, done = 0;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		set[ids[i] / 64] |= 1ull << (ids[i] % 64);
	struct aq_iter_options options = { .event_set = set };
	struct aq_event_iter *it = NULL;
	struct aq_event ev;
	int r = aq_event_iter_new(b->capture, &options, &it, b->err);
	if (r < 0)
		return r;
	while ((r = aq_event_iter_next(it, &ev, b->err)) == 1) {
		r = put_event(b, &ev);
		if (r < 0)
			break;
		if (progress && (++done & 0xfff) == 0)
			progress(user, done, 0);
	}
	aq_event_iter_free(it);
	return r;
}

/* What an index was made of: changes whenever a segment grows, ends, comes or goes. */
static void fingerprint(const struct aq_capture *c, char text[64])
{
	const struct aq_capture_info *info = aq_capture_info(c);
	uint64_t hash = 0xcbf29ce484222325ull;
	for (uint32_t i = 0; i < info->segment_count; i++) {
		const uint64_t parts[] = { info->segments[i].number, info->segments[i].bytes, info->segments[i].finished };
		for (size_t k = 0; k < 3; k++)
			hash = (hash ^ parts[k]) * 0x100000001b3ull;
	}
	snprintf(text, 64, "%u %llu %016llx", info->segment_count, (unsigned long long)info->bytes, (unsigned long long)hash);
}

static int fill(struct build *b, void (*progress)(void *, uint64_t, uint64_t), void *user)
{
	const struct aq_capture_info *info = aq_capture_info(b->capture);
	char print[64];
	fingerprint(b->capture, print);
	if (sqlite3_exec(b->db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(b->db, aq_index_tables, NULL, NULL, NULL) != SQLITE_OK)
		return failed(b);
	for (unsigned i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v2(b->db, sql_of[i], -1, &b->statements[i], NULL) != SQLITE_OK)
			return failed(b);
	int r = run(b, PUT_META, "ss", "fingerprint", print);
	r = r < 0 ? r : run(b, PUT_META, "ss", "host", info->host);
	r = r < 0 ? r : run(b, PUT_META, "ss", "kernel", info->kernel_release);
	r = r < 0 ? r : run(b, PUT_META, "si", "start_boot_ns", I(info->start_boot_ns));
	r = r < 0 ? r : run(b, PUT_META, "si", "start_real_ns", I(info->start_real_ns));
	r = r < 0 ? r : run(b, PUT_META, "si", "end_boot_ns", I(info->end_ns));
	r = r < 0 ? r : put_segments(b);
	r = r < 0 ? r : put_events(b, progress, user);
	if (r == 0 && sqlite3_exec(b->db, aq_index_names, NULL, NULL, NULL) != SQLITE_OK)
		r = failed(b);
	r = r < 0 ? r : put_ledger(b); /* after the events: damage found on the way is in it */
	char version[64];
	snprintf(version, sizeof(version), "PRAGMA user_version = %d; COMMIT;", AQ_INDEX_VERSION);
	if (r == 0 && sqlite3_exec(b->db, version, NULL, NULL, NULL) != SQLITE_OK)
		r = failed(b);
	return r;
}

static int need_folder(const char *path, struct aq_err *err)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return aq_err_set(err, -errno, "'%s': %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return aq_err_set(err, -ENOTDIR, "'%s' is a single segment: an index belongs to a capture's folder", path);
	return 0;
}

int aq_index_build(const char *path, void (*progress)(void *, uint64_t, uint64_t), void *user, struct aq_err *err)
{
	return aq_index_build_with(path, &(struct aq_index_options){ 0 }, progress, user, err);
}

int aq_index_build_with(const char *path, const struct aq_index_options *options, void (*progress)(void *, uint64_t, uint64_t),
			void *user, struct aq_err *err)
{
	const struct aq_open_options how = { .keys = options->keys };
	struct build b = { .err = err };
	char temporary[PATH_MAX], final[PATH_MAX];
	int r = need_folder(path, err);
	if (r < 0)
		return r;
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s/index.sqlite.%d.tmp", path, (int)getpid()) >= sizeof(temporary))
		return aq_err_set(err, -ENAMETOOLONG, "'%s': the path is too long", path);
	snprintf(final, sizeof(final), "%s/index.sqlite", path);
	r = aq_capture_open_with(path, &how, &b.capture, err);
	if (r < 0)
		return r;
	if (aq_capture_info(b.capture)->encrypted && !options->plain) {
		aq_capture_close(b.capture);
		return aq_err_set(err, -EPERM, "'%s' is encrypted, and an index would show in clear what it holds: with --plain it is "
				  "made all the same", path);
	}
	int fd = open(temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		r = aq_err_set(err, -errno, "'%s' could not be made: %s", temporary, strerror(errno));
	} else if (sqlite3_open_v2(temporary, &b.db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK) {
		r = failed(&b);
	} else {
		r = fill(&b, progress, user);
	}
	for (unsigned i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(b.statements[i]);
	if (sqlite3_close(b.db) != SQLITE_OK && r == 0)
		r = aq_err_set(err, -EIO, "the index could not be closed");
	if (r == 0 && (fsync(fd) < 0 || rename(temporary, final) < 0))
		r = aq_err_set(err, -errno, "'%s' could not be put in place: %s", final, strerror(errno));
	if (fd >= 0) {
		close(fd);
		if (r < 0)
			unlink(temporary);
	}
	aq_capture_close(b.capture);
	return r;
}

int aq_index_check(const char *path, enum aq_index_state *ret_state, struct aq_err *err)
{
	struct aq_capture *capture = NULL;
	char final[PATH_MAX], print[64];
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;
	int r = need_folder(path, err);
	if (r < 0)
		return r;
	if ((size_t)snprintf(final, sizeof(final), "%s/index.sqlite", path) >= sizeof(final))
		return aq_err_set(err, -ENAMETOOLONG, "'%s': the path is too long", path);
	if (access(final, F_OK) < 0) {
		*ret_state = AQ_INDEX_MISSING;
		return 0;
	}
	r = aq_capture_open_with(path, &(struct aq_open_options){ .allow_locked = true }, &capture, err);
	if (r < 0)
		return r;
	fingerprint(capture, print);
	*ret_state = AQ_INDEX_STALE;
	if (sqlite3_open_v2(final, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "SELECT value FROM meta, pragma_user_version WHERE key = 'fingerprint' AND user_version = ?", -1,
			       &s, NULL) == SQLITE_OK) {
		sqlite3_bind_int(s, 1, AQ_INDEX_VERSION);
		if (sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0) &&
		    strcmp((const char *)sqlite3_column_text(s, 0), print) == 0)
			*ret_state = AQ_INDEX_CURRENT;
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	aq_capture_close(capture);
	return 0;
}
