/* SPDX-License-Identifier: Apache-2.0 */
/* The capture writer: files, blocks, ledger, footer, rotation. The columns themselves are made by builder.c. */
#include "format/segment/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/ahead.h"
#include "format/segment/append.h"
#include "format/segment/builder.h"
#include "format/segment/evidence.h"
#include "format/segment/manifest.h"
#include "format/segment/seal.h"

enum {
	DEFAULT_CHUNK_EVENTS = 65536,
	DEFAULT_STRING_BYTES = 4 << 20,
	DICTIONARY_CHUNKS = 64, /* chunks that a lost dictionary block can take with it; early ones count a sixteenth */
	EARLY_WEIGHT = 16,
	EARLY_EVENTS = 1024,    /* of a chunk of class 0 alone */
	ROOM_BYTES = 4 << 20,   /* that a disk which was full must have before it is tried again */
	AHEAD_BYTES = 4 << 20,  /* room made ahead with AQ_SYNC_VITAL */
	GAPS_MAX = 65536,       /* that wait for the next ledger block */
	CPUS_MAX = 4096,        /* rows of stats.stored */
};
#define DEFAULT_SIGN_INTERVAL_NS 10000000000ull

struct aq_capture_writer {
	char *path;
	int dir_fd, fd;
	struct aq_ahead *ahead; /* with AQ_SYNC_VITAL; NULL: none */
	struct aq_writer_options options;
	struct aq_capture_meta meta;
	char *strings[AQ_FACT_COUNT]; /* owned copies behind meta */
	uint64_t segment_number, segment_bytes, block_number, segment_start_ns;
	struct aq_footer_summary summary; /* of the open segment */
	/* where a failed write cuts the file off, before the group of blocks it belongs to, and what was so then */
	uint64_t whole_bytes, whole_block_number;
	size_t whole_footer_bytes;
	uint8_t whole_chain[AQ_CHAIN_BYTES];
	uint32_t recording;
	struct aq_chunk_builder builder;
	struct aq_chunk_builder early; /* class 0 with AQ_SYNC_VITAL; else never filled */
	struct aq_dictionary dictionary;
	uint32_t chunks_in_generation; /* in sixteenths */
	size_t fresh_string_mark; /* dictionary bytes when the open chunk began */
	struct aq_buf payload, attrs, types, footer, gaps;
	uint32_t gap_count;
	uint64_t gaps_first_ns, gaps_last_ns; /* of those in gaps */
	bool ledger_due;
	struct aq_ledger_row *rows;
	size_t row_count;
	uint64_t ledger_boot_ns, ledger_real_ns;
	struct aq_writer_stats *stats;
	const struct aq_chunk_builder *in_flight; /* whose rows are encoded and not written yet */
	uint32_t in_flight_rows;
	uint64_t (*pending)[AQ_CLASS_COUNT]; /* CPUS_MAX rows, scratch of write_chunk */
	uint8_t chain[AQ_CHAIN_BYTES]; /* after the last block */
	struct aq_manifest_writer manifest;
	struct aq_buf statements;      /* signatures of this segment */
	bool unwritten;                /* the last signature was made, but its block could not be written */
	uint64_t signed_blocks, signed_ns; /* blocks of the segment up to the last signature; when that was, boot time */
	struct aq_keys recipients;
	struct aq_seal *seal; /* the open segment's, in memory that is neither swapped nor dumped; NULL: not encrypted */
	struct aq_err failure;
	bool closed;
};

/* The first n rows of a builder will not be in the file. */
static void lose_rows(struct aq_capture_writer *w, const struct aq_chunk_builder *b, uint32_t n)
{
	for (uint32_t i = 0; i < n && w->options.on_lost; i++) {
		const struct aq_chunk_row *row = &b->rows[i];
		if (!aq_event_is_made(row->id))
			w->options.on_lost(w->options.user, &(struct aq_lost_event){ row->time_ns, row->id, row->cpu, row->cls,
										     row->flags });
	}
}

/* What is not in the file will not get there: told, and forgotten. */
static int fail(struct aq_capture_writer *w, struct aq_err *err)
{
	if (w->in_flight)
		lose_rows(w, w->in_flight, w->in_flight_rows);
	w->in_flight = NULL;
	lose_rows(w, &w->early, w->early.count);
	aq_chunk_builder_empty(&w->early);
	lose_rows(w, &w->builder, w->builder.count);
	aq_chunk_builder_empty(&w->builder);
	if (err)
		*err = w->failure;
	return w->failure.code;
}

static uint64_t boot_ns(void)
{
	struct timespec t;
	return clock_gettime(CLOCK_BOOTTIME, &t) < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int out_of_memory(struct aq_capture_writer *w, struct aq_err *err)
{
	aq_err_set(&w->failure, -ENOMEM, "out of memory while writing '%s'", w->path);
	return fail(w, err);
}

/* All up to here is whole. */
static void mark_whole(struct aq_capture_writer *w)
{
	w->whole_bytes = w->segment_bytes;
	w->whole_block_number = w->block_number;
	w->whole_footer_bytes = w->footer.len;
	memcpy(w->whole_chain, w->chain, sizeof(w->chain));
}

/* Whole or not at all: what a failed write left behind is cut off again, with the blocks that need it. */
static bool cut_off(struct aq_capture_writer *w)
{
	w->segment_bytes = w->whole_bytes;
	w->block_number = w->whole_block_number;
	w->footer.len = w->whole_footer_bytes;
	memcpy(w->chain, w->whole_chain, sizeof(w->chain));
	if (w->ahead)
		aq_ahead_end(w->ahead);
	return ftruncate(w->fd, (off_t)w->whole_bytes) == 0;
}

/* What was written since mark_whole is on the disk, or gone. */
static int settle(struct aq_capture_writer *w, struct aq_err *err)
{
	if (w->options.sync < AQ_SYNC_CHUNK || fdatasync(w->fd) == 0 || errno == EINVAL)
		return 0;
	int code = -errno;
	bool cut = cut_off(w);
	aq_err_set(&w->failure, code, "'%s/segment-%06llu.aqs': could not be brought to the disk from byte %llu on: %s%s",
		   w->path, (unsigned long long)w->segment_number, (unsigned long long)w->whole_bytes, strerror(-code),
		   cut ? "" : " (and could not be cut off there)");
	return fail(w, err);
}

static int append(struct aq_capture_writer *w, const void *data, size_t n, struct aq_err *err)
{
	const uint8_t *p = data;
	size_t left = n;
	if (w->ahead)
		aq_ahead_use(w->ahead, w->segment_bytes + n);
	while (left) {
		ssize_t k = pwrite(w->fd, p, left, (off_t)(w->segment_bytes + (n - left)));
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			int code = k < 0 ? -errno : -EIO;
			uint64_t at = w->segment_bytes;
			bool cut = cut_off(w);
			aq_err_set(&w->failure, code, "'%s/segment-%06llu.aqs': could not write at byte %llu: %s%s", w->path,
				   (unsigned long long)w->segment_number, (unsigned long long)at, strerror(-code), cut ? "" : " (and the unfinished part could not be removed)");
			return fail(w, err);
		}
		p += k;
		left -= (size_t)k;
	}
	w->segment_bytes += n;
	w->stats->bytes_written += n;
	return 0;
}

/*
 * The payload starts AQ_BLOCK_HEADER_BYTES into buf; the header is put before it. Tells where the block went, and opens
 * its entry in the footer.
 */
static int append_block(struct aq_capture_writer *w, enum aq_block_kind kind, unsigned flags, struct aq_buf *buf,
			uint64_t *ret_offset, struct aq_err *err)
{
	struct aq_block block = {
		.kind = (uint16_t)kind,
		.flags = (uint16_t)flags | (kind == AQ_BLOCK_SEGMENT || kind == AQ_BLOCK_DICTIONARY || kind == AQ_BLOCK_CHUNK || kind == AQ_BLOCK_FACTS ? AQ_BLOCKF_REQUIRED : 0),
		.number = w->block_number,
	};
	if (buf->failed)
		return out_of_memory(w, err);
	bool sealed = w->seal && aq_kind_is_sealed(block.kind);
	if (sealed && !aq_buf_reserve(buf, AQ_SEAL_TAG_BYTES))
		return out_of_memory(w, err);
	if (sealed) {
		buf->len += AQ_SEAL_TAG_BYTES;
		block.flags |= AQ_BLOCKF_ENCRYPTED;
	}
	block.payload_bytes = buf->len - AQ_BLOCK_HEADER_BYTES;
	if (sealed) /* all that follows is about the bytes as they are stored */
		aq_seal_encrypt(w->seal, &block, buf->data + AQ_BLOCK_HEADER_BYTES);
	if (!w->options.unchecked)
		block.payload_hash = XXH3_64bits(buf->data + AQ_BLOCK_HEADER_BYTES, block.payload_bytes);
	aq_buf_pad8(buf);
	if (buf->failed)
		return out_of_memory(w, err);
	aq_block_header_write(buf->data, &block);
	if (!w->options.unchecked) {
		aq_chain_next(w->chain, buf->data, buf->data + AQ_BLOCK_HEADER_BYTES, block.payload_bytes, w->chain);
		aq_chain_put(buf->data, w->chain);
	}
	uint64_t offset = w->segment_bytes;
	int r = append(w, buf->data, buf->len, err);
	if (r < 0)
		return r;
	w->block_number++;
	aq_buf_put_u8(&w->footer, (uint8_t)kind);
	aq_buf_put_u8(&w->footer, (uint8_t)block.flags);
	aq_buf_put_varint(&w->footer, block.payload_bytes);
	if (ret_offset)
		*ret_offset = offset;
	return 0;
}

static void begin_block(struct aq_buf *buf)
{
	static const uint8_t header[AQ_BLOCK_HEADER_BYTES];
	aq_buf_reset(buf);
	aq_buf_put(buf, header, sizeof(header));
}

/* What a header tells of the recorded host and the recording; facts more follow. */
static void put_facts(const struct aq_capture_writer *w, struct aq_buf *b, uint32_t more)
{
	aq_buf_put_u32(b, w->meta.cpu_count);
	aq_buf_put_u32(b, w->meta.clock_ticks);
	aq_buf_put_u32(b, w->meta.page_size);
	aq_buf_put_u32(b, w->options.time_resolution_ns ? w->options.time_resolution_ns : 1);
	unsigned count = AQ_FACT_COUNT - (w->strings[AQ_FACT_DERIVED][0] ? 0 : 1);
	aq_buf_put_u32(b, count - 1 + more);
	for (unsigned key = 1; key < count; key++) {
		uint32_t len = (uint32_t)strlen(w->strings[key]);
		aq_buf_put_u32(b, key);
		aq_buf_put_u32(b, len);
		aq_buf_put(b, w->strings[key], len);
	}
}

/* Those facts that show in any case. */
static uint32_t open_facts(const struct aq_capture_writer *w)
{
	return 1u + (w->recording != 0) + (w->seal != NULL);
}

static void put_open_facts(const struct aq_capture_writer *w, struct aq_buf *b)
{
	char text[16];
	aq_buf_put_u32(b, AQ_FACT_CHAIN);
	aq_buf_put_u32(b, AQ_CHAIN_BYTES);
	aq_buf_put(b, w->chain, AQ_CHAIN_BYTES);
	if (w->seal) {
		uint8_t alike[AQ_ALIKE_BYTES];
		aq_alike(w->strings[AQ_FACT_BOOT_ID], w->strings[AQ_FACT_HOST], w->options.time_resolution_ns, w->options.keep_pointers, alike);
		aq_buf_put_u32(b, AQ_FACT_ALIKE);
		aq_buf_put_u32(b, AQ_ALIKE_BYTES);
		aq_buf_put(b, alike, AQ_ALIKE_BYTES);
	}
	if (!w->recording)
		return;
	uint32_t len = (uint32_t)snprintf(text, sizeof(text), "%u", w->recording);
	aq_buf_put_u32(b, AQ_FACT_RECORDING);
	aq_buf_put_u32(b, len);
	aq_buf_put(b, text, len);
}

/* In their place in an encrypted segment's header: who can open it. */
static int put_recipients(const struct aq_capture_writer *w, struct aq_buf *b)
{
	static const uint8_t nothing[16];
	aq_buf_put(b, nothing, sizeof(nothing)); /* CPUs, ticks, page size, resolution */
	aq_buf_put_u32(b, 1 + open_facts(w));
	aq_buf_put_u32(b, AQ_FACT_RECIPIENTS);
	aq_buf_put_u32(b, (uint32_t)w->recipients.count * AQ_RECIPIENT_BYTES);
	return aq_seal_put_recipients(w->seal, &w->recipients, b);
}

static int write_facts_block(struct aq_capture_writer *w, uint32_t flags, struct aq_err *err)
{
	begin_block(&w->payload);
	aq_buf_put_u32(&w->payload, flags);
	put_facts(w, &w->payload, 0);
	return append_block(w, AQ_BLOCK_FACTS, 0, &w->payload, NULL, err);
}

static int write_segment_header(struct aq_capture_writer *w, struct aq_err *err)
{
	const struct aq_capture_meta *m = &w->meta;
	struct aq_buf *b = &w->payload;
	uint32_t open_flags = w->options.retention ? AQ_SEGMENTF_RETENTION : 0;
	uint32_t flags = open_flags | (w->options.keep_pointers ? AQ_SEGMENTF_POINTERS : 0);
	begin_block(b);
	aq_buf_put_u32(b, AQ_FORMAT_VERSION);
	aq_buf_put_u32(b, 0); /* compatible features */
	aq_buf_put_u32(b, AQ_INCOMPATIBLE_TIME_SIZES | (w->seal ? (uint32_t)AQ_INCOMPATIBLE_SEALED : 0u));
	aq_buf_put_u32(b, w->seal ? open_flags : flags);
	aq_buf_put(b, m->capture_id, sizeof(m->capture_id));
	aq_buf_put_u64(b, w->segment_number);
	aq_buf_put_u64(b, m->start_boot_ns);
	aq_buf_put_u64(b, m->start_real_ns);
	if (w->seal)
		aq_seal_begin(w->seal);
	if (!w->seal) {
		put_facts(w, b, open_facts(w));
	} else if (put_recipients(w, b) < 0) {
		aq_err_set(&w->failure, -EINVAL, "a key to encrypt to is none that can be used");
		return fail(w, err);
	}
	put_open_facts(w, b);
	if (b->failed)
		return out_of_memory(w, err);
	if (w->seal)
		aq_seal_bind(w->seal, b->data + AQ_BLOCK_HEADER_BYTES, b->len - AQ_BLOCK_HEADER_BYTES);
	int r = append_block(w, AQ_BLOCK_SEGMENT, 0, b, NULL, err);
	if (r == 0 && w->seal)
		r = write_facts_block(w, flags, err);
	if (r < 0)
		return r;
	mark_whole(w);
	return 0;
}

static int manifest_failed(struct aq_capture_writer *w, int code, struct aq_err *err)
{
	aq_err_set(&w->failure, code, "'%s/%s': could not be written: %s", w->path, AQ_MANIFEST_NAME, strerror(-code));
	return fail(w, err);
}

/* The segment before the next one has its entry in the manifest, also when it was given up or its recorder was killed. */
static int settle_manifest(struct aq_capture_writer *w, struct aq_err *err)
{
	char *path = NULL;
	if (w->manifest.last_segment >= w->segment_number)
		return 0;
	if (asprintf(&path, "%s/segment-%06llu.aqs", w->path, (unsigned long long)w->segment_number) < 0)
		return out_of_memory(w, err);
	int r = aq_manifest_adopt(&w->manifest, path, w->segment_number);
	free(path);
	return r < 0 && r != -ENOENT ? manifest_failed(w, r, err) : 0;
}

static int open_segment(struct aq_capture_writer *w, struct aq_err *err)
{
	char name[64];
	int r = settle_manifest(w, err);
	if (r < 0)
		return r;
	w->segment_number++;
	w->segment_bytes = w->block_number = w->segment_start_ns = 0;
	w->summary = (struct aq_footer_summary){ .ring_min_ns = UINT64_MAX, .first_ns = UINT64_MAX, .gap_first_ns = UINT64_MAX };
	aq_buf_reset(&w->footer);
	aq_buf_reset(&w->statements);
	w->signed_blocks = 0;
	mark_whole(w);
	aq_dictionary_restart(&w->dictionary);
	w->chunks_in_generation = 0;
	w->fresh_string_mark = 0;
	snprintf(name, sizeof(name), "segment-%06llu.aqs", (unsigned long long)w->segment_number);
	w->fd = openat(w->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->fd < 0) {
		w->segment_number--;
		aq_err_set(&w->failure, -errno, "'%s/%s': could not be made: %s", w->path, name, strerror(errno));
		return fail(w, err);
	}
	r = write_segment_header(w, err);
	if (r == 0)
		r = settle(w, err);
	if (r < 0) { /* without a header it is nothing; where it can't be removed, its number is used up */
		close(w->fd);
		w->fd = -1;
		w->segment_number -= unlinkat(w->dir_fd, name, 0) == 0;
		return r;
	}
	if (w->options.sync >= AQ_SYNC_CHUNK)
		fsync(w->dir_fd); /* the name; not every file system can */
	if (w->ahead)
		aq_ahead_begin(w->ahead, w->fd, w->segment_bytes);
	w->stats->segments++;
	return 0;
}

static int open_manifest(struct aq_capture_writer *w, struct aq_err *err)
{
	const uint8_t *carried = w->options.signer ? aq_signer_carried(w->options.signer) : NULL;
	int r = aq_manifest_open(w->dir_fd, w->meta.capture_id, carried, &w->manifest);
	return r < 0 ? manifest_failed(w, r, err) : 0;
}

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
	w->pending = calloc(CPUS_MAX, sizeof(*w->pending));
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

static int write_ledger(struct aq_capture_writer *w, unsigned flags, struct aq_err *err);

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
	uint64_t now = w->meta.start_boot_ns;
	struct aq_gap down = { .first_ns = had.whole_ns < now ? had.whole_ns : now, .last_ns = now, .cpu = UINT16_MAX,
			       .count = AQ_GAP_COUNT_UNKNOWN, .cls = UINT8_MAX, .reason = AQ_GAP_RECORDER_DOWN };
	return aq_capture_writer_add_gap(w, &down, err);
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
	if (r == 0)
		r = open_manifest(w, err);
	if (r == 0)
		r = open_segment(w, err);
	if (r == 0 && w->gap_count) /* at once, so that whatever happens to this recording, the gap before it is known */
		r = write_ledger(w, 0, err);
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
	w->signed_ns = boot_ns();
	w->gaps_first_ns = UINT64_MAX;
	w->options = options ? *options : defaults;
	if (!w->options.chunk_events || w->options.chunk_events > AQ_CHUNK_EVENTS_MAX)
		w->options.chunk_events = DEFAULT_CHUNK_EVENTS;
	if (!w->options.chunk_string_bytes)
		w->options.chunk_string_bytes = DEFAULT_STRING_BYTES;
	if (!w->options.zstd_level)
		w->options.zstd_level = 1;
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

/* Ring events of a chunk by CPU and class, into pending; returns one more than the highest CPU. */
static uint32_t count_rows(struct aq_capture_writer *w, const struct aq_chunk_builder *b)
{
	uint32_t cpus = 0;
	for (uint32_t i = 0; i < b->count; i++) {
		const struct aq_chunk_row *row = &b->rows[i];
		if (aq_event_is_made(row->id) || row->cpu >= CPUS_MAX || row->cls >= AQ_CLASS_COUNT)
			continue;
		for (; cpus <= row->cpu; cpus++)
			memset(w->pending[cpus], 0, sizeof(w->pending[cpus]));
		w->pending[row->cpu][row->cls]++;
	}
	return cpus;
}

/* first … last also covers from … to, if that is a range. */
static void widen(uint64_t *first, uint64_t *last, uint64_t from, uint64_t to)
{
	if (from > to)
		return;
	*first = from < *first ? from : *first;
	*last = to > *last ? to : *last;
}

/* Strings, chunk and attributes stand or fall together. */
static int write_blocks(struct aq_capture_writer *w, struct aq_chunk_builder *b, struct aq_zone *ret_zone, struct aq_err *err)
{
	int r;
	if (w->dictionary.written < w->dictionary.count) {
		uint32_t first = w->dictionary.written;
		begin_block(&w->payload);
		if (aq_dictionary_payload(&w->dictionary, b->zstd, w->options.zstd_level, &w->payload) < 0)
			return out_of_memory(w, err);
		r = append_block(w, AQ_BLOCK_DICTIONARY, 0, &w->payload, NULL, err);
		if (r < 0)
			return r;
		aq_buf_put_varint(&w->footer, w->dictionary.generation);
		aq_buf_put_varint(&w->footer, first);
		aq_buf_put_varint(&w->footer, w->dictionary.written - first);
	}
	begin_block(&w->payload);
	begin_block(&w->attrs);
	aq_buf_reset(&w->types);
	w->in_flight = b; /* they are given up once the payload is made */
	w->in_flight_rows = b->count;
	if (aq_chunk_builder_payload(b, &w->dictionary, w->options.zstd_level, &w->payload, &w->attrs, ret_zone, &w->types) < 0)
		return out_of_memory(w, err);
	bool has_attrs = w->attrs.len > AQ_BLOCK_HEADER_BYTES;
	unsigned flags = (has_attrs ? AQ_BLOCKF_ATTRS : 0u) | (b == &w->early ? AQ_BLOCKF_EARLY : 0u);
	r = append_block(w, AQ_BLOCK_CHUNK, flags, &w->payload, NULL, err);
	if (r < 0)
		return r;
	aq_zone_write(&w->footer, ret_zone);
	if (has_attrs) {
		r = append_block(w, AQ_BLOCK_ATTRS, 0, &w->attrs, NULL, err);
		if (r < 0)
			return r;
	}
	return settle(w, err);
}

static int write_chunk(struct aq_capture_writer *w, struct aq_chunk_builder *b, struct aq_err *err)
{
	struct aq_zone zone;
	if (!b->count)
		return 0;
	/* stored is what reached the file: count now, add then */
	uint32_t cpus = count_rows(w, b);
	uint32_t events = b->count;
	mark_whole(w);
	int r = write_blocks(w, b, &zone, err);
	if (r < 0)
		return r;
	w->in_flight = NULL;
	mark_whole(w);
	for (uint32_t cpu = 0; cpu < cpus; cpu++)
		for (unsigned cls = 0; cls < AQ_CLASS_COUNT; cls++)
			w->stats->stored[cpu][cls] += w->pending[cpu][cls];
	struct aq_footer_summary *sum = &w->summary;
	widen(&sum->ring_min_ns, &sum->ring_max_ns, zone.ring_min_ns, zone.ring_max_ns);
	widen(&sum->first_ns, &sum->last_ns, zone.min_ns, zone.max_ns);
	sum->events += events;
	sum->chunks++;
	w->stats->chunks++;
	w->chunks_in_generation += b == &w->early ? 1 : EARLY_WEIGHT;
	if ((w->chunks_in_generation >= DICTIONARY_CHUNKS * EARLY_WEIGHT || aq_dictionary_is_full(&w->dictionary)) &&
	    !w->builder.count && !w->early.count) { /* what is open refers to the strings of its generation */
		aq_dictionary_restart(&w->dictionary);
		w->chunks_in_generation = 0;
	}
	if (b != &w->early)
		w->fresh_string_mark = w->dictionary.bytes.len;
	return 0;
}

static int write_chunks(struct aq_capture_writer *w, struct aq_err *err)
{
	int r = write_chunk(w, &w->early, err);
	return r < 0 ? r : write_chunk(w, &w->builder, err);
}

/* What is in the file is known here to the event, when the last totals may be a second old. */
static uint64_t stored_of(const struct aq_capture_writer *w, const struct aq_ledger_row *row, unsigned flags)
{
	bool known = flags & AQ_LEDGERF_RUNNING && row->cpu < CPUS_MAX && row->cls < AQ_CLASS_COUNT;
	return known ? w->stats->stored[row->cpu][row->cls] : row->stored;
}

/* flags: enum AQ_LEDGERF_. */
static int write_ledger(struct aq_capture_writer *w, unsigned flags, struct aq_err *err)
{
	struct aq_buf *b = &w->payload;
	if (!w->ledger_due && !w->gap_count)
		return 0;
	mark_whole(w);
	bool is_base = flags & AQ_LEDGERF_BASE; /* says nothing of the time */
	begin_block(b);
	aq_buf_put_u64(b, is_base ? 0 : w->ledger_boot_ns);
	aq_buf_put_u64(b, is_base ? 0 : w->ledger_real_ns);
	aq_buf_put_u32(b, (uint32_t)w->row_count);
	aq_buf_put_u32(b, w->gap_count);
	aq_buf_put_u32(b, flags);
	aq_buf_put_u32(b, w->recording);
	for (size_t i = 0; i < w->row_count; i++) {
		const struct aq_ledger_row *row = &w->rows[i];
		aq_buf_put_varint(b, row->cpu);
		aq_buf_put_u8(b, row->cls);
		aq_buf_put_varint(b, row->produced);
		aq_buf_put_varint(b, stored_of(w, row, flags));
		aq_buf_put_varint(b, row->lost);
		aq_buf_put_varint(b, row->policy);
		aq_buf_put_varint(b, row->degraded);
	}
	aq_buf_put(b, w->gaps.data, w->gaps.len);
	uint64_t offset;
	int r = append_block(w, AQ_BLOCK_LEDGER, 0, b, &offset, err);
	if (r == 0)
		r = settle(w, err);
	if (r < 0)
		return r;
	mark_whole(w);
	w->summary.ledger_offset = offset;
	widen(&w->summary.gap_first_ns, &w->summary.gap_last_ns, w->gaps_first_ns, w->gaps_last_ns);
	if (w->ledger_boot_ns && !is_base) {
		widen(&w->summary.first_ns, &w->summary.last_ns, w->ledger_boot_ns, w->ledger_boot_ns);
		w->summary.boot_ns = w->ledger_boot_ns;
		w->summary.real_ns = w->ledger_real_ns;
	}
	aq_buf_reset(&w->gaps);
	w->gaps_first_ns = UINT64_MAX;
	w->gaps_last_ns = 0;
	w->gap_count = 0;
	w->ledger_due = false;
	return 0;
}

static void put_gap(struct aq_capture_writer *w, const struct aq_gap *gap)
{
	struct aq_buf *b = &w->gaps;
	size_t start = b->len;
	aq_buf_put_u64(b, gap->first_ns);
	aq_buf_put_u64(b, gap->last_ns);
	aq_buf_put_u64(b, gap->count);
	aq_buf_put_u64(b, gap->cgroup_id);
	aq_buf_put_u16(b, gap->cpu);
	aq_buf_put_u8(b, gap->cls);
	aq_buf_put_u8(b, gap->reason);
	aq_buf_put_u32(b, gap->by_event_count);
	for (uint32_t i = 0; i < gap->by_event_count; i++) {
		aq_buf_put_u64(b, gap->by_event[i].count);
		aq_buf_put_u16(b, gap->by_event[i].event_id);
		aq_buf_put_u16(b, 0);
		aq_buf_put_u32(b, 0);
	}
	if (b->failed) {
		b->len = start;
		return;
	}
	widen(&w->gaps_first_ns, &w->gaps_last_ns, gap->first_ns, gap->last_ns);
	w->gap_count++;
}

/* The summary, then the entries of all blocks, compressed. */
static int write_footer(struct aq_capture_writer *w, uint64_t *ret_offset, struct aq_err *err)
{
	struct aq_buf *b = &w->payload;
	w->summary.blocks = (uint32_t)w->block_number;
	w->summary.entry_bytes = (uint32_t)w->footer.len;
	begin_block(b);
	aq_footer_summary_write(b, &w->summary);
	size_t bound = ZSTD_compressBound(w->footer.len);
	uint8_t *to = w->footer.failed ? NULL : aq_buf_reserve(b, bound);
	size_t n = to ? ZSTD_compressCCtx(w->builder.zstd, to, bound, w->footer.data, w->footer.len, w->options.zstd_level) : 0;
	if (!to || ZSTD_isError(n))
		return out_of_memory(w, err);
	b->len += n;
	return append_block(w, AQ_BLOCK_FOOTER, 0, b, ret_offset, err);
}

/*
 * Signs the chain up to here. What the signature vouches for is on the disk first, so that no crash makes it a lie.
 * Where it can't be made, the recording goes on: a capture without its last signatures is worth more than none.
 */
static int sign(struct aq_capture_writer *w, uint32_t flags, struct aq_err *err)
{
	struct aq_statement st = { .flags = flags, .segment = w->segment_number, .block = w->block_number - 1,
				   .bytes = w->segment_bytes, .events = w->summary.events, .first_ns = w->summary.ring_min_ns,
				   .last_ns = w->summary.ring_max_ns };
	uint8_t bytes[AQ_STATEMENT_BYTES];
	struct aq_err why = { 0 };
	int r;
	if (!w->options.signer || (!flags && w->statements.len / AQ_STATEMENT_BYTES >= AQ_STATEMENTS_MAX - 1))
		return 0;
	mark_whole(w); /* what is signed stays */
	(void)!fdatasync(w->fd);
	if (w->unwritten) { /* the keys lead over it */
		r = aq_manifest_carry(&w->manifest, w->meta.capture_id, aq_signer_carried(w->options.signer));
		if (r < 0)
			return manifest_failed(w, r, err);
		w->unwritten = false;
	}
	memcpy(st.capture_id, w->meta.capture_id, sizeof(st.capture_id));
	memcpy(st.chain, w->chain, sizeof(st.chain));
	w->signed_ns = boot_ns();
	if (aq_signer_sign(w->options.signer, &st, bytes, &why) < 0) {
		w->stats->signatures_failed++;
		snprintf(w->stats->signature_failure, sizeof(w->stats->signature_failure), "%s", why.text);
		return 0;
	}
	w->unwritten = true;
	begin_block(&w->payload);
	aq_buf_put(&w->payload, bytes, sizeof(bytes));
	r = append_block(w, AQ_BLOCK_SIGNATURE, 0, &w->payload, NULL, err);
	if (r < 0)
		return r;
	w->unwritten = false;
	mark_whole(w);
	aq_buf_put(&w->statements, bytes, sizeof(bytes));
	if (w->statements.failed)
		return out_of_memory(w, err);
	w->signed_blocks = w->block_number;
	w->stats->signatures++;
	return 0;
}

static int sign_if_due(struct aq_capture_writer *w, struct aq_err *err)
{
	if (!w->options.signer || w->signed_blocks == w->block_number || boot_ns() - w->signed_ns < w->options.sign_interval_ns)
		return 0;
	return sign(w, 0, err);
}

static int add_to_manifest(struct aq_capture_writer *w, uint32_t flags, struct aq_err *err)
{
	struct aq_manifest_entry entry = { .flags = flags, .segment = w->segment_number, .bytes = w->segment_bytes,
					   .events = w->summary.events, .first_ns = w->summary.ring_min_ns,
					   .last_ns = w->summary.ring_max_ns, .statements = w->statements.data,
					   .statement_count = (uint32_t)(w->statements.len / AQ_STATEMENT_BYTES) };
	memcpy(entry.chain, w->chain, sizeof(entry.chain));
	int r = aq_manifest_add(&w->manifest, &entry);
	return r < 0 ? manifest_failed(w, r, err) : 0;
}

/* Cuts off what was made ahead. -1 with errno. */
static int leave_room(struct aq_capture_writer *w)
{
	if (!w->ahead)
		return 0;
	aq_ahead_end(w->ahead);
	return ftruncate(w->fd, (off_t)w->segment_bytes);
}

static int end_segment(struct aq_capture_writer *w, bool last, struct aq_err *err)
{
	uint32_t flags = AQ_STATEMENTF_SEGMENT_END | (last ? AQ_STATEMENTF_CAPTURE_END : 0);
	int r = write_chunks(w, err);
	if (r == 0) {
		w->ledger_due = true;
		r = write_ledger(w, AQ_LEDGERF_FINAL | (last ? 0 : AQ_LEDGERF_RUNNING), err);
	}
	if (r < 0)
		return r;
	struct aq_buf *b = &w->payload;
	uint64_t offset;
	r = write_footer(w, &offset, err);
	if (r == 0)
		r = sign(w, flags, err);
	if (r < 0)
		return r;
	begin_block(b);
	aq_buf_reset(b);
	aq_buf_put_u64(b, offset);
	aq_buf_put_u64(b, AQ_TRAILER_MAGIC);
	r = append(w, b->data, b->len, err);
	if (r < 0)
		return r;
	mark_whole(w);
	bool sync = w->options.sync != AQ_SYNC_NONE || w->options.signer; /* the manifest must not promise more than is there */
	int code = leave_room(w) < 0 || (sync && fsync(w->fd) < 0 && errno != EINVAL) ? -errno : 0;
	if (close(w->fd) < 0 && code == 0)
		code = -errno;
	w->fd = -1;
	if (w->seal)
		aq_seal_wipe(w->seal);
	if (sync)
		fsync(w->dir_fd); /* the name; not every file system can */
	if (code == 0)
		return add_to_manifest(w, flags, err);
	/* what did not reach the disk is not known; the next segment says so */
	if (w->summary.ring_min_ns <= w->summary.ring_max_ns)
		put_gap(w, &(struct aq_gap){ .first_ns = w->summary.ring_min_ns, .last_ns = w->summary.ring_max_ns, .cpu = UINT16_MAX,
					     .count = AQ_GAP_COUNT_UNKNOWN, .cls = UINT8_MAX, .reason = AQ_GAP_DISK });
	aq_err_set(&w->failure, code, "'%s/segment-%06llu.aqs': could not be brought to the disk: %s", w->path,
		   (unsigned long long)w->segment_number, strerror(-code));
	return fail(w, err);
}

/* Another segment, which states first what those before it hold: without them it is still whole. */
int aq_capture_writer_rotate(struct aq_capture_writer *w, uint64_t time_ns, struct aq_err *err)
{
	int r = end_segment(w, false, err);
	if (r == 0)
		r = open_segment(w, err);
	if (r < 0)
		return r;
	w->segment_start_ns = time_ns;
	w->ledger_due = w->row_count > 0;
	r = write_ledger(w, AQ_LEDGERF_BASE | AQ_LEDGERF_RUNNING, err);
	return r == 0 && w->options.on_segment ? w->options.on_segment(w->options.user, w, err) : r;
}

int aq_capture_writer_add(struct aq_capture_writer *w, const struct aq_event *ev, struct aq_err *err)
{
	if (w->failure.code)
		return fail(w, err);
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
		int r = early && !texts ? write_chunk(w, b, err) : write_chunks(w, err);
		if (r == 0)
			r = sign_if_due(w, err);
		if (r < 0)
			return r;
	}
	if (aq_chunk_builder_add(b, &w->dictionary, ev) < 0)
		return out_of_memory(w, err);
	w->stats->events++;
	return 0;
}

int aq_capture_writer_add_gap(struct aq_capture_writer *w, const struct aq_gap *gap, struct aq_err *err)
{
	if (w->failure.code)
		return fail(w, err);
	put_gap(w, gap);
	if (w->gaps.failed)
		return out_of_memory(w, err);
	return w->gap_count >= GAPS_MAX ? aq_capture_writer_flush(w, err) : 0;
}

int aq_capture_writer_set_ledger(struct aq_capture_writer *w, const struct aq_ledger_row *rows, size_t count,
				 uint64_t boot_ns, uint64_t real_ns, struct aq_err *err)
{
	if (w->failure.code)
		return fail(w, err);
	struct aq_ledger_row *copy = count > w->row_count || !w->rows ? realloc(w->rows, (count + 1) * sizeof(*copy)) : w->rows;
	if (!copy)
		return out_of_memory(w, err);
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
		return fail(w, err);
	int r = write_chunks(w, err);
	if (r == 0)
		r = write_ledger(w, 0, err);
	return r < 0 ? r : sign_if_due(w, err);
}

int aq_capture_writer_commit(struct aq_capture_writer *w, struct aq_err *err)
{
	return w->failure.code ? fail(w, err) : write_chunk(w, &w->early, err);
}

/* A disk that was full and still is need not be tried. */
static bool has_room(const struct aq_capture_writer *w)
{
	struct statvfs vfs;
	if ((w->failure.code != -ENOSPC && w->failure.code != -EDQUOT) || fstatvfs(w->dir_fd, &vfs) < 0)
		return true;
	uint64_t room = (uint64_t)vfs.f_bavail * vfs.f_frsize, all = (uint64_t)vfs.f_blocks * vfs.f_frsize;
	return room >= (all / 8 < ROOM_BYTES ? all / 8 : ROOM_BYTES);
}

/* Can anything be written in this folder? Asked with a file that has no name. */
static bool is_writable(const struct aq_capture_writer *w)
{
	int fd = openat(w->dir_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL; /* who can't be asked is tried */
	bool good = pwrite(fd, "", 1, 0) == 1 && fdatasync(fd) == 0;
	close(fd);
	return good;
}

int aq_capture_writer_resume(struct aq_capture_writer *w, struct aq_err *err)
{
	int code = w->failure.code, r = 0;
	if (!code)
		return 0;
	if (!has_room(w))
		return fail(w, err);
	fail(w, NULL);
	w->failure = (struct aq_err){ 0 };
	w->gaps.failed = false;
	aq_dictionary_restart(&w->dictionary); /* what was written of it may have been cut off */
	w->chunks_in_generation = 0;
	w->fresh_string_mark = 0;
	bool usable = w->fd >= 0 && cut_off(w);
	if (usable && !w->summary.chunks)
		return 0; /* nothing but its header: as good as a new one */
	if (usable)
		r = end_segment(w, false, err);
	if (r < 0 && w->fd >= 0 && (r == -ENOSPC || r == -EDQUOT || !is_writable(w)))
		return r;
	/* one that can't be ended where others can be written stays unfinished */
	w->failure = (struct aq_err){ 0 };
	if (w->ahead)
		aq_ahead_end(w->ahead);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	return open_segment(w, err);
}

int aq_capture_writer_close(struct aq_capture_writer *w, struct aq_err *err)
{
	if (w->failure.code)
		return fail(w, err);
	if (w->closed)
		return 0;
	int r = end_segment(w, true, err);
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
