/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The capture writer as its callers see it: folder, options, events, totals. How bytes get to the file is in
 * writer_blocks.c, what a segment begins and ends with in writer_segment.c; the columns are made by builder.c.
 */
#include "format/segment/writer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/segment/append.h"

enum {
	DEFAULT_CHUNK_EVENTS = 65536,
	DEFAULT_STRING_BYTES = 4 << 20,
	EARLY_EVENTS = 1024,    /* of a chunk of class 0 alone */
	AHEAD_BYTES = 4 << 20,  /* room made ahead with AQ_SYNC_VITAL */
	GAPS_MAX = 65536,       /* that wait for the next ledger block */
};
#define DEFAULT_SIGN_INTERVAL_NS 10000000000ull

static const char *const *meta_strings(const struct aq_capture_meta *m, const char *list[AQ_FACT_COUNT])
{
	list[AQ_FACT_HOST] = m->host;
	list[AQ_FACT_KERNEL_RELEASE] = m->kernel_release;
	list[AQ_FACT_KERNEL_VERSION] = m->kernel_version;
	list[AQ_FACT_MACHINE] = m->machine;
	list[AQ_FACT_BOOT_ID] = m->boot_id;
	list[AQ_FACT_RECORDER_VERSION] = m->recorder_version;
	list[AQ_FACT_COMMAND] = m->command;
	list[AQ_FACT_FEATURES] = m->features_json;
	list[AQ_FACT_POLICY] = m->policy_json;
	list[AQ_FACT_DERIVED] = m->derived_json;
	return list;
}

static int init(struct aq_capture_writer *w, const char *path, const struct aq_capture_meta *meta)
{
	const char *list[AQ_FACT_COUNT] = { NULL };
	w->meta = *meta;
	w->path = strdup(path);
	w->stats = calloc(1, sizeof(*w->stats));
	w->pending = calloc(AQ_WRITER_CPUS_MAX, sizeof(*w->pending));
	if (!w->path || !w->stats || !w->pending)
		return -ENOMEM;
	meta_strings(meta, list);
	for (unsigned key = 1; key < AQ_FACT_COUNT; key++) {
		w->strings[key] = strndup(list[key] ? list[key] : "", 1 << 16);
		if (!w->strings[key])
			return -ENOMEM;
	}
	aq_buf_init(&w->payload, AQ_BLOCK_PAYLOAD_MAX + (size_t)AQ_BLOCK_HEADER_BYTES + 8);
	aq_buf_init(&w->attrs, AQ_BLOCK_PAYLOAD_MAX + (size_t)AQ_BLOCK_HEADER_BYTES + 8);
	aq_buf_init(&w->types, AQ_EVENT_ID_MAX * 2);
	aq_buf_init(&w->footer, AQ_FOOTER_ENTRIES_MAX);
	aq_buf_init(&w->gaps, AQ_BLOCK_PAYLOAD_MAX / 4);
	aq_buf_init(&w->statements, (size_t)AQ_STATEMENTS_MAX * AQ_STATEMENT_BYTES);
	if (sodium_init() < 0 || aq_dictionary_init(&w->dictionary) < 0 ||
	    aq_chunk_builder_init(&w->builder, w->options.chunk_events, w->options.keep_pointers) < 0 ||
	    aq_chunk_builder_init(&w->early, EARLY_EVENTS, w->options.keep_pointers) < 0)
		return -ENOMEM;
	if (w->options.time_resolution_ns > 1)
		w->builder.time_unit = w->early.time_unit = (unsigned)__builtin_ctz(w->options.time_resolution_ns);
	return 0;
}

/* The folder's own name; not every file system can. */
static void sync_parent(const char *path)
{
	char parent[4096];
	snprintf(parent, sizeof(parent), "%s", path);
	char *slash = strrchr(parent, '/');
	if (slash)
		slash[slash == parent] = '\0';
	int fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

/* Takes over what the folder says: id, numbers, and since when nothing was recorded. */
static int continue_capture(struct aq_capture_writer *w, struct aq_err *err)
{
	struct aq_continued had;
	int r = aq_capture_continue(w->path, &w->meta, &w->options, w->seal, &had, err);
	if (r < 0 || had.segment_number == 0)
		return r;
	memcpy(w->meta.capture_id, had.capture_id, sizeof(had.capture_id));
	memcpy(w->chain, had.chain, sizeof(w->chain));
	w->segment_number = had.segment_number;
	w->recording = w->stats->recording = had.recording;
	if (w->options.addition)
		return 0;
	uint64_t now = w->meta.start_boot_ns;
	struct aq_gap down = { .first_ns = had.whole_ns < now ? had.whole_ns : now, .last_ns = now, .cpu = UINT16_MAX,
			       .count = AQ_GAP_COUNT_UNKNOWN, .cls = UINT8_MAX, .reason = AQ_GAP_RECORDER_DOWN };
	return aq_capture_writer_add_gap(w, &down, err);
}

static void take_place(struct aq_capture_writer *w)
{
	const struct aq_writer_place *place = w->options.place;
	w->segment_number = place->number - 1;
	w->recording = w->stats->recording = place->recording;
	memcpy(w->chain, place->before, sizeof(w->chain));
}

static int open_folder(struct aq_capture_writer *w, struct aq_err *err)
{
	bool made = mkdir(w->path, 0700) == 0;
	if (!made && errno == EEXIST && !w->options.append)
		return aq_err_set(err, -EEXIST, "'%s' exists already", w->path);
	if (!made && errno != EEXIST)
		return aq_err_set(err, -errno, "'%s' could not be made: %s", w->path, strerror(errno));
	int r = 0;
	w->dir_fd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->dir_fd < 0)
		r = aq_err_set(err, -errno, "'%s' could not be opened: %s", w->path, strerror(errno));
	else if (flock(w->dir_fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) /* not every file system can */
		r = aq_err_set(err, -EBUSY, "'%s' is being recorded into", w->path);
	if (r == 0 && !made)
		r = continue_capture(w, err);
	if (r == 0 && w->options.place)
		take_place(w);
	if (r == 0)
		r = aq_writer_open_manifest(w, err);
	if (r == 0)
		r = aq_writer_open_segment(w, err);
	/* at once, so that whatever happens to this recording, the gap before it is known */
	if (r == 0 && w->gap_count)
		r = aq_writer_write_ledger(w, 0, err);
	if (r < 0 && made) { /* nothing was recorded yet: leave nothing that looks like a capture */
		unlinkat(w->dir_fd, AQ_MANIFEST_NAME, 0);
		rmdir(w->path);
	} else if (r == 0 && made && w->options.sync != AQ_SYNC_NONE) {
		sync_parent(w->path);
	}
	return r;
}

/* Keeps the public sealing keys, each once. */
static int init_seal(struct aq_capture_writer *w, const struct aq_keys *keys, struct aq_err *err)
{
	if (!keys)
		return 0;
	for (size_t i = 0; i < keys->count; i++) {
		const struct aq_key *key = &keys->key[i];
		bool wanted = key->kind == AQ_KEY_SEAL_PUBLIC;
		for (size_t k = 0; k < w->recipients.count && wanted; k++)
			wanted = memcmp(w->recipients.key[k].bytes, key->bytes, AQ_KEY_BYTES) != 0;
		if (wanted)
			w->recipients.key[w->recipients.count++] = *key;
	}
	if (!w->recipients.count)
		return aq_err_set(err, -EINVAL, "there is no public key to encrypt to");
	if (sodium_init() < 0)
		return aq_err_set(err, -ENOSYS, "there is no source of randomness to encrypt with");
	w->seal = sodium_malloc(sizeof(*w->seal));
	return w->seal ? 0 : aq_err_set(err, -ENOMEM, "out of memory");
}

int aq_capture_writer_new(const char *path, const struct aq_capture_meta *meta, const struct aq_writer_options *options,
			  struct aq_capture_writer **ret_writer, struct aq_err *err)
{
	static const struct aq_writer_options defaults;
	struct aq_capture_writer *w = calloc(1, sizeof(*w));
	if (!w)
		return aq_err_set(err, -ENOMEM, "out of memory");
	w->dir_fd = w->fd = w->manifest.fd = -1;
	w->signed_ns = aq_writer_boot_ns();
	w->gaps_first_ns = UINT64_MAX;
	w->options = options ? *options : defaults;
	if (!w->options.chunk_events || w->options.chunk_events > AQ_CHUNK_EVENTS_MAX)
		w->options.chunk_events = DEFAULT_CHUNK_EVENTS;
	if (!w->options.chunk_string_bytes)
		w->options.chunk_string_bytes = DEFAULT_STRING_BYTES;
	if (!w->options.zstd_level)
		w->options.zstd_level = 3;
	if (!w->options.sign_interval_ns)
		w->options.sign_interval_ns = DEFAULT_SIGN_INTERVAL_NS;
	uint32_t resolution = w->options.time_resolution_ns;
	int r = 0;
	if (resolution & (resolution - 1))
		r = aq_err_set(err, -EINVAL, "a time resolution of %u ns is no power of two", resolution);
	else if (init(w, path, meta) < 0)
		r = aq_err_set(err, -ENOMEM, "out of memory");
	else
		r = init_seal(w, w->options.encrypt_to, err);
	w->options.encrypt_to = NULL; /* was borrowed */
	if (r == 0 && w->options.sync == AQ_SYNC_VITAL && aq_ahead_new(AHEAD_BYTES, &w->ahead) < 0)
		r = aq_err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = open_folder(w, err);
	if (r < 0) {
		aq_capture_writer_free(w);
		return r;
	}
	*ret_writer = w;
	return 0;
}

int aq_capture_writer_add(struct aq_capture_writer *w, const struct aq_event *ev, struct aq_err *err)
{
	if (w->failure.code)
		return aq_writer_fail(w, err);
	if (w->options.addition && ev->id != AQ_EV_fact)
		return aq_err_set(err, -EINVAL, "'%s': only facts can be added to a recording", w->path);
	if (!w->segment_start_ns)
		w->segment_start_ns = ev->time_ns;
	bool big = w->options.segment_bytes && w->segment_bytes >= w->options.segment_bytes;
	bool old = w->options.segment_age_ns && ev->time_ns > w->segment_start_ns &&
		   ev->time_ns - w->segment_start_ns >= w->options.segment_age_ns;
	if ((big || old) && w->summary.events &&
	    (!w->options.may_rotate || w->options.may_rotate(w->options.user, ev->time_ns, !old))) {
		int r = aq_capture_writer_rotate(w, ev->time_ns, err);
		if (r < 0)
			return r;
	}
	bool early = w->options.sync == AQ_SYNC_VITAL && ev->cls == AQ_CLASS_VITAL && !aq_event_is_made(ev->id);
	struct aq_chunk_builder *b = early ? &w->early : &w->builder;
	bool texts = w->dictionary.bytes.len - w->fresh_string_mark > w->options.chunk_string_bytes;
	if (texts || b->count == b->max_events) {
		int r = early && !texts ? aq_writer_write_chunk(w, b, err) : aq_writer_write_chunks(w, err);
		if (r == 0)
			r = aq_writer_sign_if_due(w, err);
		if (r < 0)
			return r;
	}
	if (aq_chunk_builder_add(b, &w->dictionary, ev) < 0)
		return aq_writer_out_of_memory(w, err);
	w->stats->events++;
	return 0;
}

int aq_capture_writer_add_gap(struct aq_capture_writer *w, const struct aq_gap *gap, struct aq_err *err)
{
	if (w->failure.code)
		return aq_writer_fail(w, err);
	aq_writer_put_gap(w, gap);
	if (w->gaps.failed)
		return aq_writer_out_of_memory(w, err);
	return w->gap_count >= GAPS_MAX ? aq_capture_writer_flush(w, err) : 0;
}

int aq_capture_writer_set_ledger(struct aq_capture_writer *w, const struct aq_ledger_row *rows, size_t count,
				 uint64_t boot_ns, uint64_t real_ns, struct aq_err *err)
{
	if (w->failure.code)
		return aq_writer_fail(w, err);
	struct aq_ledger_row *copy = w->rows;
	if (count > w->row_count || !copy)
		copy = realloc(w->rows, (count + 1) * sizeof(*copy));
	if (!copy)
		return aq_writer_out_of_memory(w, err);
	w->rows = copy;
	if (count)
		memcpy(w->rows, rows, count * sizeof(*rows));
	w->row_count = count;
	w->ledger_boot_ns = boot_ns;
	w->ledger_real_ns = real_ns;
	w->ledger_due = true;
	return 0;
}

int aq_capture_writer_flush(struct aq_capture_writer *w, struct aq_err *err)
{
	if (w->failure.code)
		return aq_writer_fail(w, err);
	int r = aq_writer_write_chunks(w, err);
	if (r == 0)
		r = aq_writer_write_ledger(w, 0, err);
	return r < 0 ? r : aq_writer_sign_if_due(w, err);
}

int aq_capture_writer_close(struct aq_capture_writer *w, struct aq_err *err)
{
	if (w->failure.code)
		return aq_writer_fail(w, err);
	if (w->closed)
		return 0;
	int r = aq_writer_end_segment(w, true, err);
	w->closed = r == 0;
	return r;
}

void aq_capture_writer_free(struct aq_capture_writer *w)
{
	if (!w)
		return;
	if (w->ahead)
		aq_ahead_end(w->ahead);
	aq_ahead_free(w->ahead);
	if (w->fd >= 0)
		close(w->fd);
	if (w->dir_fd >= 0)
		close(w->dir_fd);
	aq_manifest_close(&w->manifest);
	aq_buf_release(&w->statements);
	for (unsigned key = 0; key < AQ_FACT_COUNT; key++)
		free(w->strings[key]);
	aq_chunk_builder_release(&w->builder);
	aq_chunk_builder_release(&w->early);
	aq_dictionary_release(&w->dictionary);
	aq_buf_release(&w->payload);
	aq_buf_release(&w->attrs);
	aq_buf_release(&w->types);
	aq_buf_release(&w->footer);
	aq_buf_release(&w->gaps);
	sodium_free(w->seal); /* wipes */
	free(w->rows);
	free(w->stats);
	free(w->pending);
	free(w->path);
	free(w);
}

const struct aq_writer_stats *aq_capture_writer_stats(const struct aq_capture_writer *w)
{
	return w->stats;
}
