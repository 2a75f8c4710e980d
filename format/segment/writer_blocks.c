/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of a writer's bytes: events of the open chunks into blocks, blocks into the file whole or not at all, and
 * onto the disk when options.sync says so. What a segment is made of besides chunks is writer_segment.c.
 */
#include "format/segment/writer_internal.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
	DICTIONARY_CHUNKS = 64, /* chunks that a lost dictionary block can take with it; early ones count a sixteenth */
	EARLY_WEIGHT = 16,
};

/* The first n rows of a builder will not be in the file. */
static void lose_rows(struct aq_capture_writer *w, const struct aq_chunk_builder *b, uint32_t n)
{
	for (uint32_t i = 0; i < n && w->options.on_lost; i++) {
		const struct aq_chunk_row *row = &b->rows[i];
		struct aq_lost_event lost = { row->time_ns, row->id, row->cpu, row->cls, row->flags };
		if (!aq_event_is_made(row->id))
			w->options.on_lost(w->options.user, &lost);
	}
}

/* What is not in the file will not get there: told, and forgotten. */
int aq_writer_fail(struct aq_capture_writer *w, struct aq_err *err)
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

uint64_t aq_writer_boot_ns(void)
{
	struct timespec t;
	return clock_gettime(CLOCK_BOOTTIME, &t) < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int aq_writer_out_of_memory(struct aq_capture_writer *w, struct aq_err *err)
{
	aq_err_set(&w->failure, -ENOMEM, "out of memory while writing '%s'", w->path);
	return aq_writer_fail(w, err);
}

/* All up to here is whole. */
void aq_writer_mark_whole(struct aq_capture_writer *w)
{
	w->whole_bytes = w->segment_bytes;
	w->whole_block_number = w->block_number;
	w->whole_footer_bytes = w->footer.len;
	memcpy(w->whole_chain, w->chain, sizeof(w->chain));
}

/* Whole or not at all: what a failed write left behind is cut off again, with the blocks that need it. */
bool aq_writer_cut_off(struct aq_capture_writer *w)
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
int aq_writer_settle(struct aq_capture_writer *w, struct aq_err *err)
{
	if (w->options.sync < AQ_SYNC_CHUNK || fdatasync(w->fd) == 0 || errno == EINVAL)
		return 0;
	int code = -errno;
	bool cut = aq_writer_cut_off(w);
	aq_err_set(&w->failure, code,
		   "'%s/segment-%06llu.aqs': could not be brought to the disk from byte %llu on: %s%s", w->path,
		   (unsigned long long)w->segment_number, (unsigned long long)w->whole_bytes, strerror(-code),
		   cut ? "" : " (and could not be cut off there)");
	return aq_writer_fail(w, err);
}

int aq_writer_append(struct aq_capture_writer *w, const void *data, size_t n, struct aq_err *err)
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
			bool cut = aq_writer_cut_off(w);
			aq_err_set(&w->failure, code, "'%s/segment-%06llu.aqs': could not write at byte %llu: %s%s",
				   w->path, (unsigned long long)w->segment_number, (unsigned long long)at,
				   strerror(-code), cut ? "" : " (and the unfinished part could not be removed)");
			return aq_writer_fail(w, err);
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
int aq_writer_append_block(struct aq_capture_writer *w, enum aq_block_kind kind, unsigned flags, struct aq_buf *buf,
			uint64_t *ret_offset, struct aq_err *err)
{
	bool required = kind == AQ_BLOCK_SEGMENT || kind == AQ_BLOCK_DICTIONARY || kind == AQ_BLOCK_CHUNK ||
			kind == AQ_BLOCK_FACTS;
	struct aq_block block = {
		.kind = (uint16_t)kind,
		.flags = (uint16_t)flags | (required ? AQ_BLOCKF_REQUIRED : 0),
		.number = w->block_number,
	};
	if (buf->failed)
		return aq_writer_out_of_memory(w, err);
	bool sealed = w->seal && aq_kind_is_sealed(block.kind);
	if (sealed && !aq_buf_reserve(buf, AQ_SEAL_TAG_BYTES))
		return aq_writer_out_of_memory(w, err);
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
		return aq_writer_out_of_memory(w, err);
	aq_block_header_write(buf->data, &block);
	if (!w->options.unchecked) {
		aq_chain_next(w->chain, buf->data, buf->data + AQ_BLOCK_HEADER_BYTES, block.payload_bytes, w->chain);
		aq_chain_put(buf->data, w->chain);
	}
	uint64_t offset = w->segment_bytes;
	int r = aq_writer_append(w, buf->data, buf->len, err);
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

void aq_writer_begin_block(struct aq_buf *buf)
{
	static const uint8_t header[AQ_BLOCK_HEADER_BYTES];
	aq_buf_reset(buf);
	aq_buf_put(buf, header, sizeof(header));
}

/* Ring events of a chunk by CPU and class, into pending; returns one more than the highest CPU. */
static uint32_t count_rows(struct aq_capture_writer *w, const struct aq_chunk_builder *b)
{
	uint32_t cpus = 0;
	for (uint32_t i = 0; i < b->count; i++) {
		const struct aq_chunk_row *row = &b->rows[i];
		if (aq_event_is_made(row->id) || row->cpu >= AQ_WRITER_CPUS_MAX || row->cls >= AQ_CLASS_COUNT)
			continue;
		for (; cpus <= row->cpu; cpus++)
			memset(w->pending[cpus], 0, sizeof(w->pending[cpus]));
		w->pending[row->cpu][row->cls]++;
	}
	return cpus;
}

/* first … last also covers from … to, if that is a range. */
void aq_writer_widen(uint64_t *first, uint64_t *last, uint64_t from, uint64_t to)
{
	if (from > to)
		return;
	*first = from < *first ? from : *first;
	*last = to > *last ? to : *last;
}

/* Strings, chunk and attributes stand or fall together. */
static int write_blocks(struct aq_capture_writer *w, struct aq_chunk_builder *b, struct aq_zone *ret_zone,
			struct aq_err *err)
{
	int r;
	if (w->dictionary.written < w->dictionary.count) {
		uint32_t first = w->dictionary.written;
		aq_writer_begin_block(&w->payload);
		if (aq_dictionary_payload(&w->dictionary, b->zstd, w->options.zstd_level, &w->payload) < 0)
			return aq_writer_out_of_memory(w, err);
		r = aq_writer_append_block(w, AQ_BLOCK_DICTIONARY, 0, &w->payload, NULL, err);
		if (r < 0)
			return r;
		aq_buf_put_varint(&w->footer, w->dictionary.generation);
		aq_buf_put_varint(&w->footer, first);
		aq_buf_put_varint(&w->footer, w->dictionary.written - first);
	}
	aq_writer_begin_block(&w->payload);
	aq_writer_begin_block(&w->attrs);
	aq_buf_reset(&w->types);
	w->in_flight = b; /* they are given up once the payload is made */
	w->in_flight_rows = b->count;
	if (aq_chunk_builder_payload(b, &w->dictionary, w->options.zstd_level, &w->payload, &w->attrs, ret_zone,
				     &w->types) < 0)
		return aq_writer_out_of_memory(w, err);
	bool has_attrs = w->attrs.len > AQ_BLOCK_HEADER_BYTES;
	unsigned flags = (has_attrs ? AQ_BLOCKF_ATTRS : 0u) | (b == &w->early ? AQ_BLOCKF_EARLY : 0u);
	r = aq_writer_append_block(w, AQ_BLOCK_CHUNK, flags, &w->payload, NULL, err);
	if (r < 0)
		return r;
	aq_zone_write(&w->footer, ret_zone);
	if (has_attrs) {
		r = aq_writer_append_block(w, AQ_BLOCK_ATTRS, 0, &w->attrs, NULL, err);
		if (r < 0)
			return r;
	}
	return aq_writer_settle(w, err);
}

int aq_writer_write_chunk(struct aq_capture_writer *w, struct aq_chunk_builder *b, struct aq_err *err)
{
	struct aq_zone zone;
	if (!b->count)
		return 0;
	/* stored is what reached the file: count now, add then */
	uint32_t cpus = count_rows(w, b);
	uint32_t events = b->count;
	aq_writer_mark_whole(w);
	int r = write_blocks(w, b, &zone, err);
	if (r < 0)
		return r;
	w->in_flight = NULL;
	aq_writer_mark_whole(w);
	for (uint32_t cpu = 0; cpu < cpus; cpu++)
		for (unsigned cls = 0; cls < AQ_CLASS_COUNT; cls++)
			w->stats->stored[cpu][cls] += w->pending[cpu][cls];
	struct aq_footer_summary *sum = &w->summary;
	aq_writer_widen(&sum->ring_min_ns, &sum->ring_max_ns, zone.ring_min_ns, zone.ring_max_ns);
	aq_writer_widen(&sum->first_ns, &sum->last_ns, zone.min_ns, zone.max_ns);
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

int aq_writer_write_chunks(struct aq_capture_writer *w, struct aq_err *err)
{
	int r = aq_writer_write_chunk(w, &w->early, err);
	return r < 0 ? r : aq_writer_write_chunk(w, &w->builder, err);
}

int aq_capture_writer_commit(struct aq_capture_writer *w, struct aq_err *err)
{
	if (w->ahead) /* here, as whoever made the writer may have had more rights */
		aq_ahead_start(w->ahead);
	return w->failure.code ? aq_writer_fail(w, err) : aq_writer_write_chunk(w, &w->early, err);
}
