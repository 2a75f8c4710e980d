/* SPDX-License-Identifier: Apache-2.0 */
/* Verification: every event is decoded, every block checked, and what is there is held against the ledger. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/segment/capture.h"

/* One recording's rows against what was counted. A later one says what happened to the rest of those that it continues. */
static void check_rows(const struct aq_capture *c, const struct aq_recording *recording, const uint64_t (*stored)[AQ_CLASS_COUNT],
		       struct aq_verify_result *res)
{
	bool continued = recording->number < c->last_recording;
	for (size_t i = 0; i < recording->row_count; i++) {
		const struct aq_ledger_row *row = &recording->rows[i];
		bool known = row->cpu < 4096 && row->cls < AQ_CLASS_COUNT;
		uint64_t counted = known ? stored[row->cpu][row->cls] : 0, sum = row->stored + row->lost + row->policy;
		res->produced += row->produced;
		res->stored += row->stored;
		res->lost += row->lost;
		res->policy += row->policy;
		res->degraded += row->degraded;
		res->removed += row->removed;
		bool moment = c->running && !continued; /* only stored is exact */
		bool balances = continued ? row->produced >= sum && counted >= row->stored - row->removed :
					    (moment || row->produced == sum) && counted == row->stored - row->removed;
		if ((balances && known) || !res->ledger_balances)
			continue;
		res->ledger_balances = false;
		snprintf(res->ledger_text, sizeof(res->ledger_text),
			 "cpu %u class %s: produced %llu, stored %llu (%llu in the file, %llu removed), lost %llu, policy %llu", row->cpu,
			 aq_class_name(row->cls), (unsigned long long)row->produced, (unsigned long long)row->stored,
			 (unsigned long long)counted, (unsigned long long)row->removed, (unsigned long long)row->lost,
			 (unsigned long long)row->policy);
	}
}

struct walk {
	struct aq_capture *capture;
	struct aq_segment *segment;
	struct aq_buf *buf;
};

static int walk_take(void *user, const struct aq_block *block)
{
	struct walk *w = user;
	char why[128];
	int r = (w->segment->locked ? aq_block_load_stored : aq_block_load)(w->capture, w->segment, block, w->buf, why);
	if (r == -EBADMSG)
		aq_capture_damage(w->capture, w->segment, block->offset, AQ_BLOCK_HEADER_BYTES + block->payload_bytes, 1, 0,
				  "block %llu: %s", (unsigned long long)block->number, why);
	return r == -EBADMSG ? 0 : r;
}

static void walk_damage(void *user, uint64_t offset, uint64_t bytes, const char *text)
{
	struct walk *w = user;
	aq_capture_damage(w->capture, w->segment, offset, bytes, 1, 0, "%s", text);
}

/* Every byte of every segment; after the chunks, which know what their damage hides. It is noted once. */
static int walk_segments(struct aq_capture *c)
{
	struct aq_buf buf;
	int r = 0;
	aq_buf_init(&buf, AQ_BLOCK_PAYLOAD_MAX + 8);
	for (size_t i = 0; i < c->segment_count && r == 0; i++) {
		struct walk w = { c, &c->segments[i], &buf };
		r = aq_segment_walk(&c->segments[i], walk_take, walk_damage, &w);
	}
	aq_buf_release(&buf);
	return r;
}

struct count { /* of a verification under way */
	struct aq_capture *capture;
	struct aq_verify_result res;
	uint64_t (*stored)[AQ_CLASS_COUNT];
	uint32_t done;
	void (*progress)(void *user, uint64_t done, uint64_t total);
	void *user;
};

/* All chunks of a recording are decoded and counted. */
static int count_recording(struct count *n, uint32_t number, struct aq_err *err)
{
	struct aq_capture *c = n->capture;
	unsigned what = AQ_COL_TIME | AQ_COL_THREAD | AQ_COL_CPU | AQ_COL_DURATION | AQ_DECODE_VALUES | AQ_DECODE_ATTRS;
	memset(n->stored, 0, 4096 * sizeof(*n->stored));
	for (uint32_t i = 0; i < c->chunk_count; i++) {
		struct aq_decoded *d = NULL;
		if (c->segments[c->chunks[i].segment].recording != number)
			continue;
		int r = aq_decode_chunk(c, i, what, &d, err);
		n->done++;
		if (n->progress)
			n->progress(n->user, n->done, c->chunk_count);
		if (r == -EBADMSG)
			continue;
		if (r < 0)
			return r;
		n->res.chunks++;
		n->res.events += d->events;
		for (uint32_t k = 0; k < d->events; k++) {
			struct aq_event ev;
			aq_decoded_event(d, k, true, &ev);
			if (!aq_event_is_made(ev.id) && ev.cpu < 4096)
				n->stored[ev.cpu][ev.cls]++;
		}
		aq_decoded_free(d);
	}
	return 0;
}

int aq_capture_verify(struct aq_capture *c, struct aq_verify_result *ret_result,
		      void (*progress)(void *user, uint64_t done, uint64_t total), void *user, struct aq_err *err)
{
	struct count n = { .capture = c, .res = { .finished = c->info.finished, .locked = c->info.locked, .ledger_balances = c->row_count > 0 },
			   .stored = calloc(4096, sizeof(*n.stored)), .progress = progress, .user = user };
	int r = n.stored ? 0 : aq_err_set(err, -ENOMEM, "out of memory");
	if (!c->row_count)
		snprintf(n.res.ledger_text, sizeof(n.res.ledger_text), "there is no ledger");
	if (!c->recording_count && r == 0) /* neither headers nor ledgers: all that there is, is one */
		r = count_recording(&n, 0, err);
	for (size_t i = 0; i < c->recording_count && r == 0; i++) {
		r = count_recording(&n, c->recordings[i].number, err);
		if (r == 0)
			check_rows(c, &c->recordings[i], (const uint64_t(*)[AQ_CLASS_COUNT])n.stored, &n.res);
	}
	free(n.stored);
	if (r < 0)
		return r;
	r = walk_segments(c);
	if (r < 0)
		return aq_err_set(err, r, "out of memory");
	size_t gap_count;
	const struct aq_gap *gaps = aq_capture_gaps(c, &gap_count);
	for (size_t i = 0; i < gap_count; i++)
		n.res.unknown_gaps += gaps[i].count == AQ_GAP_COUNT_UNKNOWN;
	n.res.damages = c->damage_count;
	if (n.res.locked)
		snprintf(n.res.ledger_text, sizeof(n.res.ledger_text), "it is encrypted, and no key opens it");
	*ret_result = n.res;
	return 0;
}
