/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a writer's segments: header, ledgers, footer, signatures and manifest; rotation, and going on after a
 * failed write.
 */
#include "format/segment/writer_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "format/segment/append.h"

enum { ROOM_BYTES = 4 << 20 }; /* that a disk which was full must have before it is tried again */

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
	return 1u + (w->recording != 0) + (w->seal != NULL) + (w->options.place != NULL);
}

static void put_open_facts(const struct aq_capture_writer *w, struct aq_buf *b)
{
	char text[16];
	aq_buf_put_u32(b, AQ_FACT_CHAIN);
	aq_buf_put_u32(b, AQ_CHAIN_BYTES);
	aq_buf_put(b, w->chain, AQ_CHAIN_BYTES);
	if (w->seal) {
		uint8_t alike[AQ_ALIKE_BYTES];
		aq_alike(w->strings[AQ_FACT_BOOT_ID], w->strings[AQ_FACT_HOST], w->options.time_resolution_ns,
			 w->options.keep_pointers, alike);
		aq_buf_put_u32(b, AQ_FACT_ALIKE);
		aq_buf_put_u32(b, AQ_ALIKE_BYTES);
		aq_buf_put(b, alike, AQ_ALIKE_BYTES);
	}
	if (w->options.place) {
		aq_buf_put_u32(b, AQ_FACT_REPLACED);
		aq_buf_put_u32(b, AQ_REPLACED_BYTES);
		aq_buf_put(b, w->options.place->replaced, AQ_REPLACED_BYTES);
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
	aq_writer_begin_block(&w->payload);
	aq_buf_put_u32(&w->payload, flags);
	put_facts(w, &w->payload, 0);
	return aq_writer_append_block(w, AQ_BLOCK_FACTS, 0, &w->payload, NULL, err);
}

static int write_segment_header(struct aq_capture_writer *w, struct aq_err *err)
{
	const struct aq_capture_meta *m = &w->meta;
	struct aq_buf *b = &w->payload;
	uint32_t open_flags = (w->options.retention ? AQ_SEGMENTF_RETENTION : 0u) | (w->options.addition ? AQ_SEGMENTF_ADDED : 0u);
	uint32_t flags = open_flags | (w->options.keep_pointers ? AQ_SEGMENTF_POINTERS : 0);
	aq_writer_begin_block(b);
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
		return aq_writer_fail(w, err);
	}
	put_open_facts(w, b);
	if (b->failed)
		return aq_writer_out_of_memory(w, err);
	if (w->seal)
		aq_seal_bind(w->seal, b->data + AQ_BLOCK_HEADER_BYTES, b->len - AQ_BLOCK_HEADER_BYTES);
	int r = aq_writer_append_block(w, AQ_BLOCK_SEGMENT, 0, b, NULL, err);
	if (r == 0 && w->seal)
		r = write_facts_block(w, flags, err);
	if (r < 0)
		return r;
	aq_writer_mark_whole(w);
	return 0;
}

static int manifest_failed(struct aq_capture_writer *w, int code, struct aq_err *err)
{
	aq_err_set(&w->failure, code, "'%s/%s': could not be written: %s", w->path, AQ_MANIFEST_NAME, strerror(-code));
	return aq_writer_fail(w, err);
}

/* The segment before the next one has its entry in the manifest, also when it was given up or its recorder killed. */
static int settle_manifest(struct aq_capture_writer *w, struct aq_err *err)
{
	char *path = NULL;
	if (w->manifest.last_segment >= w->segment_number)
		return 0;
	if (asprintf(&path, "%s/segment-%06llu.aqs", w->path, (unsigned long long)w->segment_number) < 0)
		return aq_writer_out_of_memory(w, err);
	int r = aq_manifest_adopt(&w->manifest, path, w->segment_number);
	free(path);
	return r < 0 && r != -ENOENT ? manifest_failed(w, r, err) : 0;
}

int aq_writer_open_segment(struct aq_capture_writer *w, struct aq_err *err)
{
	char name[64];
	int r = settle_manifest(w, err);
	if (r < 0)
		return r;
	w->segment_number++;
	w->segment_bytes = w->block_number = w->segment_start_ns = 0;
	w->summary = (struct aq_footer_summary){ .ring_min_ns = UINT64_MAX, .first_ns = UINT64_MAX,
						 .gap_first_ns = UINT64_MAX };
	aq_buf_reset(&w->footer);
	aq_buf_reset(&w->statements);
	w->signed_blocks = 0;
	aq_writer_mark_whole(w);
	aq_dictionary_restart(&w->dictionary);
	w->chunks_in_generation = 0;
	w->fresh_string_mark = 0;
	snprintf(name, sizeof(name), "segment-%06llu.aqs", (unsigned long long)w->segment_number);
	w->fd = openat(w->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->fd < 0) {
		w->segment_number--;
		aq_err_set(&w->failure, -errno, "'%s/%s': could not be made: %s", w->path, name, strerror(errno));
		return aq_writer_fail(w, err);
	}
	r = write_segment_header(w, err);
	if (r == 0)
		r = aq_writer_settle(w, err);
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

int aq_writer_open_manifest(struct aq_capture_writer *w, struct aq_err *err)
{
	const uint8_t *carried = w->options.signer ? aq_signer_carried(w->options.signer) : NULL;
	int r = aq_manifest_open(w->dir_fd, w->meta.capture_id, carried, &w->manifest);
	return r < 0 ? manifest_failed(w, r, err) : 0;
}

/* What is in the file is known here to the event, when the last totals may be a second old. */
static uint64_t stored_of(const struct aq_capture_writer *w, const struct aq_ledger_row *row, unsigned flags)
{
	bool known = flags & AQ_LEDGERF_RUNNING && row->cpu < AQ_WRITER_CPUS_MAX && row->cls < AQ_CLASS_COUNT;
	return known ? w->stats->stored[row->cpu][row->cls] : row->stored;
}

/* flags: enum AQ_LEDGERF_. */
int aq_writer_write_ledger(struct aq_capture_writer *w, unsigned flags, struct aq_err *err)
{
	struct aq_buf *b = &w->payload;
	if (!w->ledger_due && !w->gap_count)
		return 0;
	aq_writer_mark_whole(w);
	bool is_base = flags & AQ_LEDGERF_BASE; /* says nothing of the time */
	aq_writer_begin_block(b);
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
	int r = aq_writer_append_block(w, AQ_BLOCK_LEDGER, 0, b, &offset, err);
	if (r == 0)
		r = aq_writer_settle(w, err);
	if (r < 0)
		return r;
	aq_writer_mark_whole(w);
	w->summary.ledger_offset = offset;
	aq_writer_widen(&w->summary.gap_first_ns, &w->summary.gap_last_ns, w->gaps_first_ns, w->gaps_last_ns);
	if (w->ledger_boot_ns && !is_base) {
		aq_writer_widen(&w->summary.first_ns, &w->summary.last_ns, w->ledger_boot_ns, w->ledger_boot_ns);
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

void aq_writer_put_gap(struct aq_capture_writer *w, const struct aq_gap *gap)
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
	aq_writer_widen(&w->gaps_first_ns, &w->gaps_last_ns, gap->first_ns, gap->last_ns);
	w->gap_count++;
}

/* The summary, then the entries of all blocks, compressed. */
static int write_footer(struct aq_capture_writer *w, uint64_t *ret_offset, struct aq_err *err)
{
	struct aq_buf *b = &w->payload;
	w->summary.blocks = (uint32_t)w->block_number;
	w->summary.entry_bytes = (uint32_t)w->footer.len;
	aq_writer_begin_block(b);
	aq_footer_summary_write(b, &w->summary);
	size_t bound = ZSTD_compressBound(w->footer.len);
	uint8_t *to = w->footer.failed ? NULL : aq_buf_reserve(b, bound);
	if (!to)
		return aq_writer_out_of_memory(w, err);
	size_t n = ZSTD_compressCCtx(w->builder.zstd, to, bound, w->footer.data, w->footer.len, w->options.zstd_level);
	if (ZSTD_isError(n))
		return aq_writer_out_of_memory(w, err);
	b->len += n;
	return aq_writer_append_block(w, AQ_BLOCK_FOOTER, 0, b, ret_offset, err);
}

/*
 * Signs the chain up to here. What the signature vouches for is on the disk first, so that no crash makes it a lie.
 * Where it can't be made, the recording goes on: a capture without its last signatures is worth more than none.
 */
static int sign(struct aq_capture_writer *w, uint32_t flags, struct aq_err *err)
{
	struct aq_statement st = { .flags = flags, .segment = w->segment_number, .block = w->block_number - 1,
				   .bytes = w->segment_bytes, .events = w->summary.events,
				   .first_ns = w->summary.ring_min_ns, .last_ns = w->summary.ring_max_ns };
	uint8_t bytes[AQ_STATEMENT_BYTES];
	struct aq_err why = { 0 };
	int r;
	if (!w->options.signer || (!flags && w->statements.len / AQ_STATEMENT_BYTES >= AQ_STATEMENTS_MAX - 1))
		return 0;
	aq_writer_mark_whole(w); /* what is signed stays */
	(void)!fdatasync(w->fd);
	if (w->unwritten) { /* the keys lead over it */
		r = aq_manifest_carry(&w->manifest, w->meta.capture_id, aq_signer_carried(w->options.signer));
		if (r < 0)
			return manifest_failed(w, r, err);
		w->unwritten = false;
	}
	memcpy(st.capture_id, w->meta.capture_id, sizeof(st.capture_id));
	memcpy(st.chain, w->chain, sizeof(st.chain));
	w->signed_ns = aq_writer_boot_ns();
	if (aq_signer_sign(w->options.signer, &st, bytes, &why) < 0) {
		w->stats->signatures_failed++;
		snprintf(w->stats->signature_failure, sizeof(w->stats->signature_failure), "%s", why.text);
		return 0;
	}
	w->unwritten = true;
	aq_writer_begin_block(&w->payload);
	aq_buf_put(&w->payload, bytes, sizeof(bytes));
	r = aq_writer_append_block(w, AQ_BLOCK_SIGNATURE, 0, &w->payload, NULL, err);
	if (r < 0)
		return r;
	w->unwritten = false;
	aq_writer_mark_whole(w);
	aq_buf_put(&w->statements, bytes, sizeof(bytes));
	if (w->statements.failed)
		return aq_writer_out_of_memory(w, err);
	w->signed_blocks = w->block_number;
	w->stats->signatures++;
	return 0;
}

int aq_writer_sign_if_due(struct aq_capture_writer *w, struct aq_err *err)
{
	if (!w->options.signer || w->signed_blocks == w->block_number ||
	    aq_writer_boot_ns() - w->signed_ns < w->options.sign_interval_ns)
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

int aq_writer_end_segment(struct aq_capture_writer *w, bool last, struct aq_err *err)
{
	uint32_t flags = AQ_STATEMENTF_SEGMENT_END | (last ? AQ_STATEMENTF_CAPTURE_END : 0);
	int r = aq_writer_write_chunks(w, err);
	if (r == 0) {
		w->ledger_due = true;
		r = aq_writer_write_ledger(w, AQ_LEDGERF_FINAL | (last ? 0 : AQ_LEDGERF_RUNNING), err);
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
	aq_writer_begin_block(b);
	aq_buf_reset(b);
	aq_buf_put_u64(b, offset);
	aq_buf_put_u64(b, AQ_TRAILER_MAGIC);
	r = aq_writer_append(w, b->data, b->len, err);
	if (r < 0)
		return r;
	aq_writer_mark_whole(w);
	/* the manifest must not promise more than is there */
	bool sync = w->options.sync != AQ_SYNC_NONE || w->options.signer;
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
		aq_writer_put_gap(w, &(struct aq_gap){ .first_ns = w->summary.ring_min_ns,
						       .last_ns = w->summary.ring_max_ns, .cpu = UINT16_MAX,
						       .count = AQ_GAP_COUNT_UNKNOWN, .cls = UINT8_MAX,
						       .reason = AQ_GAP_DISK });
	aq_err_set(&w->failure, code, "'%s/segment-%06llu.aqs': could not be brought to the disk: %s", w->path,
		   (unsigned long long)w->segment_number, strerror(-code));
	return aq_writer_fail(w, err);
}

/* Another segment, which states first what those before it hold: without them it is still whole. */
int aq_capture_writer_rotate(struct aq_capture_writer *w, uint64_t time_ns, struct aq_err *err)
{
	int r = aq_writer_end_segment(w, false, err);
	if (r == 0)
		r = aq_writer_open_segment(w, err);
	if (r < 0)
		return r;
	w->segment_start_ns = time_ns;
	w->ledger_due = w->row_count > 0;
	r = aq_writer_write_ledger(w, AQ_LEDGERF_BASE | AQ_LEDGERF_RUNNING, err);
	return r == 0 && w->options.on_segment ? w->options.on_segment(w->options.user, w, err) : r;
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
		return aq_writer_fail(w, err);
	aq_writer_fail(w, NULL);
	w->failure = (struct aq_err){ 0 };
	w->gaps.failed = false;
	aq_dictionary_restart(&w->dictionary); /* what was written of it may have been cut off */
	w->chunks_in_generation = 0;
	w->fresh_string_mark = 0;
	bool usable = w->fd >= 0 && aq_writer_cut_off(w);
	if (usable && !w->summary.chunks)
		return 0; /* nothing but its header: as good as a new one */
	if (usable)
		r = aq_writer_end_segment(w, false, err);
	if (r < 0 && w->fd >= 0 && (r == -ENOSPC || r == -EDQUOT || !is_writable(w)))
		return r;
	/* one that can't be ended where others can be written stays unfinished */
	w->failure = (struct aq_err){ 0 };
	if (w->ahead)
		aq_ahead_end(w->ahead);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	return aq_writer_open_segment(w, err);
}
