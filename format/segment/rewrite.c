/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a capture again: chunk by chunk in the order of the file, then gaps and totals; reads it back before it
 * counts. */
#include "format/segment/rewrite.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/manifest.h"
#include "format/segment/rewrite_internal.h"

enum {
	ALL = AQ_COL_TIME | AQ_COL_THREAD | AQ_COL_CPU | AQ_COL_DURATION | AQ_DECODE_VALUES | AQ_DECODE_ATTRS,
	CPUS = AQ_REWRITE_CPUS,
	COPY_BYTES = 1 << 16,
};

static int add_to_digest(struct aq_rewrite_digest *d, struct aq_buf *scratch, const struct aq_event *ev)
{
	aq_buf_reset(scratch);
	aq_buf_put_u64(scratch, ev->time_ns);
	aq_buf_put_u64(scratch, ev->cgroup_id);
	aq_buf_put_u64(scratch, ev->duration_ns);
	aq_buf_put_u8(scratch, ev->has_duration);
	aq_buf_put_u64(scratch, (uint64_t)ev->ret);
	aq_buf_put_u32(scratch, ev->pid);
	aq_buf_put_u32(scratch, ev->tid);
	aq_buf_put_u32(scratch, ev->nr);
	aq_buf_put_u16(scratch, ev->id);
	aq_buf_put_u16(scratch, ev->cpu);
	aq_buf_put_u8(scratch, ev->abi);
	aq_buf_put_u8(scratch, ev->flags);
	aq_buf_put(scratch, ev->args, ev->arg_count * sizeof(ev->args[0]));
	for (unsigned i = 0; i < ev->attr_count; i++) {
		aq_buf_put_u16(scratch, ev->attrs[i].key);
		aq_buf_put_u16(scratch, ev->attrs[i].flags);
		aq_buf_put_u32(scratch, ev->attrs[i].len);
		aq_buf_put_u32(scratch, ev->attrs[i].true_len);
		aq_buf_put(scratch, ev->attrs[i].data, ev->attrs[i].len);
	}
	if (scratch->failed)
		return -ENOMEM;
	XXH128_hash_t hash = XXH3_128bits(scratch->data, scratch->len);
	d->events++;
	d->low += hash.low64;
	d->high += hash.high64;
	return 0;
}

int aq_capture_hash(const struct aq_capture *c, char ret_text[AQ_CAPTURE_HASH_TEXT_BYTES], struct aq_err *err)
{
	crypto_generichash_state state;
	uint8_t hash[32], *buf = malloc(COPY_BYTES);
	int r = !buf ? -ENOMEM : sodium_init() < 0 ? -ENOSYS : 0;
	crypto_generichash_init(&state, NULL, 0, sizeof(hash));
	for (size_t i = 0; r == 0 && i < c->segment_count; i++) {
		const struct aq_segment *s = &c->segments[i];
		for (uint64_t at = 0; r == 0 && at < s->bytes; at += COPY_BYTES) {
			size_t n = s->bytes - at < COPY_BYTES ? (size_t)(s->bytes - at) : COPY_BYTES;
			r = aq_segment_read(s, buf, n, at);
			crypto_generichash_update(&state, buf, n);
		}
	}
	free(buf);
	crypto_generichash_final(&state, hash, sizeof(hash));
	sodium_bin2hex(ret_text, AQ_CAPTURE_HASH_TEXT_BYTES, hash, sizeof(hash));
	return r < 0 ? aq_err_set(err, r, "'%s' could not be read: %s", c->path, strerror(-r)) : 0;
}

struct aq_capture_meta aq_rewrite_meta(const struct aq_capture *c, const char *derived_json)
{
	const struct aq_capture_info *info = &c->info;
	return (struct aq_capture_meta){
		.host = info->host, .kernel_release = info->kernel_release, .kernel_version = info->kernel_version,
		.machine = info->machine, .boot_id = info->boot_id, .recorder_version = info->recorder_version,
		.command = info->command, .features_json = info->features_json, .policy_json = info->policy_json,
		.derived_json = derived_json, .cpu_count = info->cpu_count, .start_boot_ns = info->start_boot_ns,
		.start_real_ns = info->start_real_ns, .clock_ticks = c->clock_ticks, .page_size = c->page_size };
}

static int open_writer(struct aq_capture *c, const char *path, const struct aq_derivation *d,
		       struct aq_capture_writer **ret_writer, struct aq_err *err)
{
	struct aq_capture_meta meta = aq_rewrite_meta(c, d->derived_json);
	struct aq_writer_options options = { .zstd_level = d->zstd_level, .keep_pointers = c->info.pointers_kept,
					     .time_resolution_ns = c->info.time_resolution_ns };
	randombytes_buf(meta.capture_id, sizeof(meta.capture_id));
	return aq_capture_writer_new(path, &meta, &options, ret_writer, err);
}

static int say_damaged(const struct aq_capture *c, struct aq_err *err)
{
	return aq_err_set(err, -EBADMSG, "'%s' is %s: aquila salvage makes a whole capture of it first", c->path,
			  c->damage_count ? "damaged" : "not closed");
}

int aq_rewrite_chunk(struct aq_rewrite *w, uint32_t index, struct aq_err *err)
{
	struct aq_decoded *d = NULL;
	struct aq_event ev;
	int r = aq_decode_chunk(w->from, index, ALL, &d, err);
	if (r == -EBADMSG)
		return w->options->whole_only ? say_damaged(w->from, err)
					      : 0; /* among the damages now, and their gaps */
	for (uint32_t i = 0; r == 0 && i < d->events; i++) {
		aq_decoded_event(d, i, true, &ev);
		if (add_to_digest(&w->digest, &w->scratch, &ev) < 0)
			r = aq_err_set(err, -ENOMEM, "out of memory");
		if (!aq_event_is_made(ev.id) && ev.cpu < CPUS && ev.cls < AQ_CLASS_COUNT)
			w->stored[ev.cpu][ev.cls]++;
		r = r < 0 ? r : aq_capture_writer_add(w->writer, &ev, err);
	}
	aq_decoded_free(d);
	return r;
}

/* Pairs of clocks from *next on up to a time, those only that say something new. */
int aq_rewrite_clocks(const struct aq_capture *c, struct aq_capture_writer *writer, size_t *next, int64_t *offset,
		      uint64_t until_ns, struct aq_err *err)
{
	int r = 0;
	for (; r == 0 && *next < c->clock_count && c->clocks[*next].boot_ns <= until_ns; (*next)++) {
		const struct aq_clock_pair *pair = &c->clocks[*next];
		if ((int64_t)(pair->real_ns - pair->boot_ns) == *offset)
			continue;
		*offset = (int64_t)(pair->real_ns - pair->boot_ns);
		r = aq_capture_writer_set_ledger(writer, NULL, 0, pair->boot_ns, pair->real_ns, err);
		r = r < 0 ? r : aq_capture_writer_flush(writer, err);
	}
	return r;
}

int aq_capture_copy_clocks(const struct aq_capture *c, struct aq_capture_writer *writer, struct aq_err *err)
{
	int64_t offset = (int64_t)(c->info.start_real_ns - c->info.start_boot_ns);
	size_t next = 0;
	return aq_rewrite_clocks(c, writer, &next, &offset, UINT64_MAX, err);
}

static uint64_t *stored_of(const struct aq_rewrite *w, const struct aq_ledger_row *row)
{
	return row->cpu < CPUS && row->cls < AQ_CLASS_COUNT ? &w->stored[row->cpu][row->cls] : NULL;
}

/*
 * A row for each of the old capture and for all else that was read; stored is what was read so far, the rest as it was.
 */
static struct aq_ledger_row *make_rows(const struct aq_rewrite *w, size_t *ret_count)
{
	const struct aq_capture *c = w->from;
	uint8_t(*known)[AQ_CLASS_COUNT] = calloc(CPUS, sizeof(*known));
	struct aq_ledger_row *rows = calloc(c->row_count + (size_t)CPUS * AQ_CLASS_COUNT, sizeof(*rows));
	size_t n = 0;
	for (size_t i = 0; rows && known && i < c->row_count; i++) {
		if (!stored_of(w, &c->rows[i]) || known[c->rows[i].cpu][c->rows[i].cls]++)
			continue; /* no such CPU, or twice: no recorder writes that */
		rows[n++] = c->rows[i];
	}
	for (uint32_t cpu = 0; rows && known && cpu < CPUS; cpu++)
		for (unsigned cls = 0; cls < AQ_CLASS_COUNT; cls++)
			if (!known[cpu][cls] && w->stored[cpu][cls])
				rows[n++] = (struct aq_ledger_row){ .cpu = (uint16_t)cpu, .cls = (uint8_t)cls };
	if (!known) {
		free(rows);
		rows = NULL;
	}
	free(known);
	*ret_count = n;
	return rows;
}

/* The totals at the end: what was stored and was not read is lost, or was left out on purpose with its segment. */
static uint64_t settle_rows(const struct aq_rewrite *w, struct aq_ledger_row *rows, size_t count)
{
	uint64_t all_missing = 0;
	for (size_t i = 0; i < count; i++) {
		struct aq_ledger_row *row = &rows[i];
		uint64_t read = *stored_of(w, row), removed = row->removed < row->stored ? row->removed : row->stored;
		uint64_t missing = row->stored - removed > read ? row->stored - removed - read : 0;
		row->removed = 0;
		row->policy += removed;
		row->stored = read;
		row->lost += missing;
		all_missing += missing;
		uint64_t sum = row->stored + row->lost + row->policy;
		if (row->produced > sum) /* under way when a recorder ended */
			row->lost += row->produced - sum;
		row->produced = row->stored + row->lost + row->policy;
	}
	return all_missing;
}

static int copy_books(struct aq_rewrite *w, struct aq_rewrite_result *result, struct aq_err *err)
{
	size_t gap_count, row_count;
	const struct aq_gap *gaps = aq_capture_gaps(w->from, &gap_count);
	int r = aq_rewrite_clocks(w->from, w->writer, &w->clock, &w->clock_offset, UINT64_MAX, err);
	for (size_t i = 0; r == 0 && i < gap_count; i++)
		r = aq_capture_writer_add_gap(w->writer, &gaps[i], err);
	struct aq_ledger_row *rows = make_rows(w, &row_count);
	if (!rows)
		return aq_err_set(err, -ENOMEM, "out of memory");
	result->missing = settle_rows(w, rows, row_count);
	uint64_t end_ns = w->from->info.end_ns;
	if (r == 0)
		r = aq_capture_writer_set_ledger(w->writer, rows, row_count, end_ns,
						 aq_capture_real_ns(w->from, end_ns), err);
	free(rows);
	return r;
}

/* Another segment, which is to say what those before it hold. */
static int next_segment(struct aq_rewrite *w, uint64_t time_ns, struct aq_err *err)
{
	size_t count;
	struct aq_ledger_row *rows = make_rows(w, &count);
	if (!rows)
		return aq_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		uint64_t read = *stored_of(w, &rows[i]);
		rows[i] = (struct aq_ledger_row){
			.cpu = rows[i].cpu, .cls = rows[i].cls, .produced = read, .stored = read
		};
	}
	int r = aq_capture_writer_set_ledger(w->writer, rows, count, 0, 0, err);
	r = r < 0 ? r : aq_capture_writer_rotate(w->writer, time_ns, err);
	free(rows);
	return r;
}

static int copy_all(void *user, struct aq_capture_writer *writer, struct aq_err *err)
{
	struct aq_rewrite *w = user;
	struct aq_capture *c = w->from;
	uint32_t segment = 0;
	int r = 0;
	w->writer = writer;
	for (uint32_t i = 0; r == 0 && i < c->chunk_count; i++) {
		if (w->options->stop && *w->options->stop)
			return aq_err_set(err, -ECANCELED, "stopped; nothing was written");
		if (c->chunks[i].segment != segment) {
			r = aq_rewrite_clocks(c, writer, &w->clock, &w->clock_offset, c->segments[segment].last_ns,
					      err);
			r = r < 0 || !w->digest.events ? r : next_segment(w, c->chunks[i].min_ns, err);
			segment = c->chunks[i].segment;
		}
		r = r < 0 ? r : aq_rewrite_chunk(w, i, err);
		if (w->options->progress)
			w->options->progress(w->options->user, w->digest.events, c->info.events);
	}
	return r < 0 ? r : copy_books(w, w->result, err);
}

/* What was written holds what was read. */
int aq_rewrite_read_again(void *user, const char *path, struct aq_err *err)
{
	struct aq_rewrite *w = user;
	struct aq_rewrite_digest digest = { 0 };
	struct aq_capture *c;
	int r = aq_capture_open(path, &c, err);
	if (r < 0)
		return r;
	*w->result = (struct aq_rewrite_result){ .events = w->digest.events,
						 .segments = c->segment_count,
						 .bytes = c->info.bytes,
						 .missing = w->result->missing };
	for (uint32_t i = 0; r == 0 && i < c->chunk_count; i++) {
		struct aq_decoded *d = NULL;
		struct aq_event ev;
		r = aq_decode_chunk(c, i, ALL, &d, err);
		for (uint32_t k = 0; r == 0 && k < d->events; k++) {
			aq_decoded_event(d, k, true, &ev);
			if (add_to_digest(&digest, &w->scratch, &ev) < 0)
				r = aq_err_set(err, -ENOMEM, "out of memory");
		}
		aq_decoded_free(d);
	}
	if (r == 0 && (memcmp(&digest, &w->digest, sizeof(digest)) != 0 || !c->info.finished))
		r = aq_err_set(err, -EUCLEAN,
			       "what was written is not what was read: memory or disk of this machine are broken");
	aq_capture_close(c);
	return r;
}

/* A folder in the making, with what a writer puts there. */
static void remove_folder(const char *path, uint64_t segments)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[64];
	if (fd < 0)
		return;
	for (uint64_t i = 1; i <= segments; i++) {
		snprintf(name, sizeof(name), "segment-%06llu.aqs", (unsigned long long)i);
		unlinkat(fd, name, 0);
	}
	unlinkat(fd, AQ_MANIFEST_NAME, 0);
	close(fd);
	rmdir(path);
}

static int check_source(struct aq_capture *c, const struct aq_rewrite_options *o, struct aq_err *err)
{
	if (c->info.locked)
		return aq_err_set(err, -ENOKEY, "'%s' is encrypted, and no key opens it", c->path);
	if (o->whole_only && (!c->info.finished || c->damage_count))
		return say_damaged(c, err);
	return 0;
}

int aq_capture_derive(struct aq_capture *c, const char *to, const struct aq_derivation *d, void *user,
		      struct aq_err *err)
{
	struct aq_capture_writer *writer = NULL;
	uint8_t random[8];
	char suffix[2 * sizeof(random) + 1], *path;
	if (sodium_init() < 0)
		return aq_err_set(err, -ENOSYS, "there is no source of randomness");
	if (access(to, F_OK) == 0)
		return aq_err_set(err, -EEXIST, "'%s' exists already", to);
	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(suffix, sizeof(suffix), random, sizeof(random));
	if (asprintf(&path, "%s.%s.new", to, suffix) < 0)
		return aq_err_set(err, -ENOMEM, "out of memory");
	int r = open_writer(c, path, d, &writer, err);
	bool made = r == 0;
	r = r < 0 ? r : d->write(user, writer, err);
	r = r < 0 ? r : aq_capture_writer_close(writer, err);
	uint64_t segments = made ? aq_capture_writer_stats(writer)->segments : 0;
	aq_capture_writer_free(writer);
	if (r == 0 && d->check)
		r = d->check(user, path, err);
	if (r == 0 && renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) < 0)
		r = aq_err_set(err, -errno, "'%s': %s", to, errno == EEXIST ? "exists already" : strerror(errno));
	if (r < 0 && made)
		remove_folder(path, segments + 1);
	free(path);
	return r;
}

int aq_capture_rewrite(struct aq_capture *c, const char *to, const struct aq_rewrite_options *options,
		       struct aq_rewrite_result *ret_result, struct aq_err *err)
{
	struct aq_rewrite w = { .from = c, .options = options, .result = ret_result,
			     .clock_offset = (int64_t)(c->info.start_real_ns - c->info.start_boot_ns) };
	char hash[AQ_CAPTURE_HASH_TEXT_BYTES], id[33], derived[512];
	struct aq_derivation d = { .derived_json = derived,
				   .zstd_level = options->zstd_level,
				   .write = copy_all,
				   .check = aq_rewrite_read_again };
	int r = check_source(c, options, err);
	r = r < 0 ? r : aq_capture_hash(c, hash, err);
	if (r < 0)
		return r;
	sodium_bin2hex(id, sizeof(id), c->info.capture_id, sizeof(c->info.capture_id));
	snprintf(derived, sizeof(derived),
		 "{\"how\":\"%s\",\"capture_id\":\"%s\",\"blake2b_256\":\"%s\",\"segments\":%u}", options->how, id,
		 hash, c->info.segment_count);
	*ret_result = (struct aq_rewrite_result){ 0 };
	aq_buf_init(&w.scratch, AQ_CHUNK_RAW_MAX);
	w.stored = calloc(CPUS, sizeof(*w.stored));
	r = w.stored ? aq_capture_derive(c, to, &d, &w, err) : aq_err_set(err, -ENOMEM, "out of memory");
	aq_buf_release(&w.scratch);
	free(w.stored);
	return r;
}
