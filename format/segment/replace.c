/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes finished segments of a capture again, smaller, each in its place: beside it in a folder of its own, read
 * again, brought to the disk, and then exchanged with the old one by name, which is whole or not at all. At any moment
 * the capture has either, so whoever is killed leaves a whole capture and, at most, the folder, which the next one
 * clears.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "format/segment/evidence.h"
#include "format/segment/manifest.h"
#include "format/segment/rewrite_internal.h"
#include "format/segment/writer_internal.h"

#define WORK_NAME ".recompress" /* locked while somebody works in it */
#define NEW_NAME "new"          /* in it: the folder that the writer makes */

enum { FILE_NAME_BYTES = 64 };

struct place_work {
	const char *path;
	const struct aq_rewrite_options *options;
	struct aq_in_place_result *result;
	int dir_fd, work_fd;
	char *new_path;
	uint64_t done_events, all_events;
};

static void clear_new(const struct place_work *p)
{
	int fd = openat(p->work_fd, NEW_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));)
		if (strncmp(e->d_name, "segment-", 8) == 0 || strcmp(e->d_name, AQ_MANIFEST_NAME) == 0)
			unlinkat(fd, e->d_name, 0);
	closedir(dir);
	unlinkat(p->work_fd, NEW_NAME, AT_REMOVEDIR);
}

static int open_work(struct place_work *p, struct aq_err *err)
{
	p->dir_fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir_fd < 0)
		return aq_err_set(err, -errno, "'%s': %s", p->path,
				  errno == ENOTDIR ? "only the segments of a folder can be written again in their place"
						   : strerror(errno));
	if (mkdirat(p->dir_fd, WORK_NAME, 0700) < 0 && errno != EEXIST)
		return aq_err_set(err, -errno, "'%s/%s' could not be made: %s", p->path, WORK_NAME, strerror(errno));
	p->work_fd = openat(p->dir_fd, WORK_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (p->work_fd < 0)
		return aq_err_set(err, -errno, "'%s/%s': %s", p->path, WORK_NAME, strerror(errno));
	if (flock(p->work_fd, LOCK_EX | LOCK_NB) < 0) {
		int code = errno == EWOULDBLOCK ? -EBUSY : -errno;
		close(p->work_fd);
		p->work_fd = -1;
		return aq_err_set(err, code, "'%s': %s", p->path, code == -EBUSY ?
				  "somebody else is writing its segments again" : strerror(-code));
	}
	clear_new(p);
	return 0;
}

static void close_work(struct place_work *p)
{
	if (p->work_fd >= 0) {
		clear_new(p);
		unlinkat(p->dir_fd, WORK_NAME, AT_REMOVEDIR);
		close(p->work_fd);
	}
	if (p->dir_fd >= 0)
		close(p->dir_fd);
	free(p->new_path);
}

/* Only what proves nothing may lose its bytes, and nothing that was altered may become what it was not. */
static int check_evidence(const char *path, struct aq_err *err)
{
	struct aq_evidence e;
	int r = aq_evidence_check(path, NULL, &e, err);
	if (r == 0 && (e.signatures || e.last_epoch))
		r = aq_err_set(err, -EPERM,
			       "'%s' is signed: the signatures are about its bytes and would prove nothing about "
			       "other ones; make a smaller capture beside it and keep both",
			       path);
	else if (r == 0 && e.altered)
		r = aq_err_set(err, -EPERM,
			       "'%s' was altered, which nobody could see any more afterwards: see aquila verify", path);
	else if (r == 0 && !e.chained)
		r = aq_err_set(err, -EPERM,
			       "'%s' is without a chain, as captures of the first versions are: make another one "
			       "of it",
			       path);
	aq_evidence_release(&e);
	return r;
}

static int check_capture(const struct aq_capture *c, const char *path, struct aq_err *err)
{
	if (c->info.encrypted)
		return aq_err_set(err, -EPERM, "'%s' is encrypted, and segments that are not can't stand among its own",
				  path);
	return check_evidence(path, err);
}

struct base {
	struct aq_capture *c;
	struct aq_buf payload;
	bool found;
	int error;
};

/* The first ledger, if it is a base: as it is. */
static int find_base(void *user, const struct aq_block *block)
{
	struct base *b = user;
	char why[128];
	if (block->kind != AQ_BLOCK_LEDGER)
		return 0;
	b->error = aq_block_load(b->c, &b->c->segments[0], block, &b->payload, why);
	struct aq_bytes r = aq_bytes_of(b->payload.data, b->payload.len);
	aq_bytes_take(&r, 24);
	b->found = b->error == 0 && aq_bytes_u32(&r) & AQ_LEDGERF_BASE && !r.failed;
	return -ECANCELED;
}

static void ignore(void *user, uint64_t offset, uint64_t bytes, const char *text)
{
	(void)user;
	(void)offset;
	(void)bytes;
	(void)text;
}

static int copy_base(struct aq_rewrite *w, struct aq_err *err)
{
	struct aq_capture_writer *to = w->writer;
	struct base b = { .c = w->from };
	uint64_t offset;
	int r = 0;
	aq_buf_init(&b.payload, AQ_BLOCK_PAYLOAD_MAX + 8);
	aq_segment_walk(&w->from->segments[0], find_base, ignore, &b);
	if (b.error < 0)
		r = aq_err_set(err, b.error, "'%s': its first ledger could not be read", w->from->path);
	if (r == 0 && b.found) {
		aq_writer_begin_block(&to->payload);
		aq_buf_put(&to->payload, b.payload.data, b.payload.len);
		r = aq_writer_append_block(to, AQ_BLOCK_LEDGER, 0, &to->payload, &offset, err);
		to->summary.ledger_offset = offset;
		aq_writer_mark_whole(to);
	}
	aq_buf_release(&b.payload);
	for (size_t i = 0; i < w->from->row_count; i++) { /* what the segments before it hold counts on */
		const struct aq_ledger_row *row = &w->from->rows[i];
		if (row->cpu < AQ_WRITER_CPUS_MAX && row->cls < AQ_CLASS_COUNT)
			to->stats->stored[row->cpu][row->cls] = row->removed;
	}
	return r;
}

static int copy_ledgers(struct aq_rewrite *w, struct aq_err *err)
{
	struct aq_capture *c = w->from;
	const struct aq_footer_summary *sum = &c->segments[0].summary;
	struct aq_ledger_row *rows = calloc(c->row_count + 1, sizeof(*rows));
	int r = rows ? 0 : aq_err_set(err, -ENOMEM, "out of memory");
	r = r < 0 ? r : aq_rewrite_clocks(c, w->writer, &w->clock, &w->clock_offset, UINT64_MAX, err);
	for (size_t i = 0; r == 0 && i < c->gap_count; i++)
		r = aq_capture_writer_add_gap(w->writer, &c->gaps[i], err);
	for (size_t i = 0; r == 0 && i < c->row_count; i++) {
		rows[i] = c->rows[i];
		rows[i].removed = 0;
	}
	if (r == 0)
		r = aq_capture_writer_set_ledger(w->writer, rows, c->row_count, sum->boot_ns, sum->real_ns, err);
	free(rows);
	return r < 0 ? r : aq_writer_end_segment(w->writer, !c->running, err);
}

static int make_place(struct aq_capture *c, struct aq_writer_place *place, struct aq_err *err)
{
	char text[AQ_CAPTURE_HASH_TEXT_BYTES];
	struct aq_block header;
	struct aq_buf hash;
	*place =
		(struct aq_writer_place){ .number = c->segment_infos[0].number, .recording = c->segments[0].recording };
	bool known = aq_block_at(&c->segments[0], 0, &header) && header.kind == AQ_BLOCK_SEGMENT &&
		     aq_evidence_value_before(c->path, place->before) == 0;
	if (!known || !place->number)
		return aq_err_set(err, -EBADMSG, "'%s': its header says not what it follows", c->path);
	if (c->replaced_known) { /* what was recorded stays what is named */
		memcpy(place->replaced, c->replaced, sizeof(place->replaced));
		return 0;
	}
	int r = aq_evidence_last_value(c->path, place->replaced, err);
	r = r < 0 ? r : aq_capture_hash(c, text, err);
	if (r < 0)
		return r;
	aq_buf_init(&hash, 64);
	if (sodium_hex2bin(place->replaced + AQ_CHAIN_BYTES, 32, text, strlen(text), NULL, NULL, NULL) == 0)
		aq_buf_put_u64(&hash, c->info.bytes);
	if (hash.len == 8)
		memcpy(place->replaced + AQ_CHAIN_BYTES + 32, hash.data, 8);
	r = hash.len == 8 ? 0 : aq_err_set(err, -ENOMEM, "out of memory");
	aq_buf_release(&hash);
	return r;
}

static int write_new(struct place_work *p, struct aq_rewrite *w, struct aq_err *err)
{
	struct aq_capture *c = w->from;
	struct aq_capture_meta meta = aq_rewrite_meta(c, c->info.derived_json);
	struct aq_writer_place place;
	struct aq_writer_options options = { .zstd_level = p->options->zstd_level,
					     .keep_pointers = c->info.pointers_kept,
					     .time_resolution_ns = c->info.time_resolution_ns,
					     .retention = c->segments[0].retention,
					     .place = &place };
	int r = make_place(c, &place, err);
	memcpy(meta.capture_id, c->info.capture_id, sizeof(meta.capture_id));
	r = r < 0 ? r : aq_capture_writer_new(p->new_path, &meta, &options, &w->writer, err);
	r = r < 0 ? r : copy_base(w, err);
	for (uint32_t i = 0; r == 0 && i < c->chunk_count; i++) {
		if (p->options->stop && *p->options->stop)
			r = -ECANCELED;
		r = r < 0 ? r : aq_rewrite_chunk(w, i, err);
		if (p->options->progress)
			p->options->progress(p->options->user, p->done_events + w->digest.events, p->all_events);
	}
	r = r < 0 ? r : copy_ledgers(w, err);
	aq_capture_writer_free(w->writer);
	w->writer = NULL;
	return r;
}

static bool is_same_row(const struct aq_ledger_row *a, const struct aq_ledger_row *b)
{
	return a->cpu == b->cpu && a->cls == b->cls && a->produced == b->produced && a->stored == b->stored &&
	       a->lost == b->lost && a->policy == b->policy && a->degraded == b->degraded && a->removed == b->removed;
}

/* Beside the events, which were compared: totals, gaps and times are what they were. */
static int compare_books(const struct aq_capture *old, const char *path, struct aq_err *err)
{
	struct aq_capture *new;
	int r = aq_capture_open(path, &new, err);
	if (r < 0)
		return r;
	bool same = new->row_count == old->row_count && new->gap_count == old->gap_count && !new->damage_count &&
		    new->info.end_ns == old->info.end_ns && new->running == old->running && new->info.finished &&
		    new->info.start_real_ns == old->info.start_real_ns &&
		    memcmp(new->info.capture_id, old->info.capture_id, sizeof(new->info.capture_id)) == 0 &&
		    new->segment_infos[0].number == old->segment_infos[0].number &&
		    new->segments[0].recording == old->segments[0].recording;
	for (size_t i = 0; same && i < new->row_count; i++)
		same = is_same_row(&new->rows[i], &old->rows[i]);
	for (size_t i = 0; same && i < new->gap_count; i++)
		same = aq_gap_order(&new->gaps[i], &old->gaps[i]) == 0 &&
		       new->gaps[i].by_event_count == old->gaps[i].by_event_count;
	aq_capture_close(new);
	return same ? 0 : aq_err_set(err, -EUCLEAN, "'%s' could not be written again: its totals would not be the same",
				     old->path);
}

/* By name, in one step. -ENOENT: retention was faster. */
static int exchange(struct place_work *p, const char *name, const struct stat *was, struct aq_err *err)
{
	char from[FILE_NAME_BYTES * 2];
	snprintf(from, sizeof(from), WORK_NAME "/" NEW_NAME "/%s", name);
	(void)!fchownat(p->dir_fd, from, was->st_uid, was->st_gid, AT_SYMLINK_NOFOLLOW); /* as far as it may be */
	if (fchmodat(p->dir_fd, from, was->st_mode & 07777, 0) < 0)
		return aq_err_set(err, -errno, "'%s/%s': %s", p->path, from, strerror(errno));
	if (renameat2(p->dir_fd, from, p->dir_fd, name, RENAME_EXCHANGE) < 0)
		return aq_err_set(err, -errno, "'%s/%s' could not be exchanged: %s", p->path, name, errno == EINVAL ?
				  "this file system can't do that" : strerror(errno));
	fsync(p->dir_fd); /* not every file system can */
	return unlinkat(p->dir_fd, from, 0) < 0 ? aq_err_set(err, -errno, "'%s/%s': %s", p->path, from, strerror(errno))
						: 0;
}

static int check_room(const struct place_work *p, uint64_t bytes, struct aq_err *err)
{
	struct statvfs vfs;
	if (fstatvfs(p->dir_fd, &vfs) < 0 || (uint64_t)vfs.f_bavail * vfs.f_frsize >= bytes)
		return 0;
	return aq_err_set(err, -ENOSPC, "'%s': there is no room for a second segment of %llu bytes beside the old one",
			  p->path, (unsigned long long)bytes);
}

/* 1: it is another one now; 0: it is as it was. */
static int replace_segment(struct place_work *p, const char *path, struct aq_err *err)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	struct aq_rewrite_result result = { 0 };
	struct aq_rewrite w = { .options = p->options, .result = &result };
	struct stat st;
	char *made = NULL;
	int r = aq_capture_open(path, &w.from, err);
	if (r < 0 || fstatat(p->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    strlen(name) >= FILE_NAME_BYTES || !w.from->info.finished || w.from->damage_count ||
	    !w.from->segments[0].has_summary) {
		aq_capture_close(w.from);
		return r == -ENOMEM ? r : 0; /* gone meanwhile, under way, or nothing to build on */
	}
	p->result->bytes_before += w.from->info.bytes;
	w.clock_offset = (int64_t)(w.from->info.start_real_ns - w.from->info.start_boot_ns);
	w.stored = calloc(AQ_REWRITE_CPUS, sizeof(*w.stored));
	aq_buf_init(&w.scratch, AQ_CHUNK_RAW_MAX);
	r = w.stored && asprintf(&made, "%s/%s", p->new_path, name) > 0 ? 0 : aq_err_set(err, -ENOMEM, "out of memory");
	r = r < 0 ? r : check_room(p, w.from->info.bytes, err);
	r = r < 0 ? r : write_new(p, &w, err);
	bool damaged = w.from->damage_count > 0;
	r = r < 0 ? r : aq_rewrite_read_again(&w, made, err);
	r = r < 0 ? r : compare_books(w.from, made, err);
	if (r == 0 && result.bytes < w.from->info.bytes) {
		r = exchange(p, name, &st, err);
		if (r == 0)
			r = 1;
	}
	if (damaged && r == -EBADMSG)
		r = 0; /* found while its chunks were read */
	p->result->bytes_after += r == 1 ? result.bytes : w.from->info.bytes;
	p->done_events += w.from->info.events;
	clear_new(p);
	free(made);
	free(w.stored);
	aq_buf_release(&w.scratch);
	aq_capture_close(w.from);
	return r == -ENOENT ? 0 : r;
}

int aq_capture_rewrite_in_place(const char *path, const struct aq_rewrite_options *options,
				struct aq_in_place_result *ret_result, struct aq_err *err)
{
	struct place_work p = { .path = path, .result = ret_result, .dir_fd = -1, .work_fd = -1 };
	struct aq_rewrite_options whole = *options;
	struct aq_capture *c = NULL;
	*ret_result = (struct aq_in_place_result){ 0 };
	whole.whole_only = true;
	p.options = &whole;
	int r = aq_capture_open_with(path, &(struct aq_open_options){ .allow_locked = true }, &c, err);
	r = r < 0 ? r : check_capture(c, path, err);
	r = r < 0 ? r : open_work(&p, err);
	if (r == 0 && asprintf(&p.new_path, "%s/" WORK_NAME "/" NEW_NAME, path) < 0) {
		p.new_path = NULL;
		r = aq_err_set(err, -ENOMEM, "out of memory");
	}
	if (r == 0)
		p.all_events = c->info.events;
	for (size_t i = 0; r == 0 && i < c->segment_count; i++) {
		if (options->stop && *options->stop)
			r = -ECANCELED;
		r = r < 0 || !c->segment_infos[i].finished ? r : replace_segment(&p, c->segments[i].path, err);
		if (r == -ECANCELED)
			aq_err_set(err, r, "stopped: %llu of %zu segments are smaller now, the others as they were",
				   (unsigned long long)ret_result->replaced, c->segment_count);
		ret_result->replaced += r == 1;
		ret_result->left += r == 0;
		r = r == 1 ? 0 : r;
	}
	close_work(&p);
	aq_capture_close(c);
	return r;
}
