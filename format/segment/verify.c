/* SPDX-License-Identifier: Apache-2.0 */
/* Verification: every event is decoded, every block checked, and what is there is held against the ledger. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/segment/capture.h"

static void check_ledger(const struct aq_capture *c, const uint64_t (*stored)[AQ_CLASS_COUNT], struct aq_verify_result *res)
{
	res->ledger_balances = c->row_count > 0;
	if (!c->row_count)
		snprintf(res->ledger_text, sizeof(res->ledger_text), "there is no ledger");
	for (size_t i = 0; i < c->row_count; i++) {
		const struct aq_ledger_row *row = &c->rows[i];
		res->produced += row->produced;
		res->stored += row->stored;
		res->lost += row->lost;
		res->policy += row->policy;
		res->degraded += row->degraded;
		bool sum = row->produced == row->stored + row->lost + row->policy;
		bool counted = row->cpu < 4096 && row->cls < AQ_CLASS_COUNT && stored[row->cpu][row->cls] == row->stored;
		if ((sum && counted) || !res->ledger_balances)
			continue;
		res->ledger_balances = false;
		snprintf(res->ledger_text, sizeof(res->ledger_text),
			 "cpu %u class %s: produced %llu, stored %llu (%llu in the file), lost %llu, policy %llu", row->cpu,
			 aq_class_name(row->cls), (unsigned long long)row->produced, (unsigned long long)row->stored,
			 (unsigned long long)(row->cpu < 4096 && row->cls < AQ_CLASS_COUNT ? stored[row->cpu][row->cls] : 0),
			 (unsigned long long)row->lost, (unsigned long long)row->policy);
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
	int r = aq_block_load(w->capture, w->segment, block, w->buf, why);
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

int aq_capture_verify(struct aq_capture *c, struct aq_verify_result *ret_result,
		      void (*progress)(void *user, uint64_t done, uint64_t total), void *user, struct aq_err *err)
{
	struct aq_verify_result res = { .finished = c->info.finished };
	uint64_t(*stored)[AQ_CLASS_COUNT] = calloc(4096, sizeof(*stored));
	if (!stored)
		return aq_err_set(err, -ENOMEM, "out of memory");
	int r = 0;
	unsigned what = AQ_COL_TIME | AQ_COL_THREAD | AQ_COL_CPU | AQ_DECODE_VALUES | AQ_DECODE_ATTRS;
	for (uint32_t i = 0; i < c->chunk_count && (r == 0 || r == -EBADMSG); i++) {
		struct aq_decoded *d = NULL;
		r = aq_decode_chunk(c, i, what, &d, err);
		if (progress)
			progress(user, i + 1, c->chunk_count);
		if (r < 0)
			continue;
		res.chunks++;
		res.events += d->events;
		for (uint32_t k = 0; k < d->events; k++) {
			struct aq_event ev;
			aq_decoded_event(d, k, true, &ev);
			if (!aq_event_is_made(ev.id) && ev.cpu < 4096)
				stored[ev.cpu][ev.cls]++;
		}
		aq_decoded_free(d);
	}
	if (r == 0 || r == -EBADMSG) {
		r = walk_segments(c);
		if (r < 0)
			aq_err_set(err, r, "out of memory");
	}
	if (r < 0) {
		free(stored);
		return r;
	}
	res.damages = c->damage_count;
	check_ledger(c, (const uint64_t(*)[AQ_CLASS_COUNT])stored, &res);
	free(stored);
	*ret_result = res;
	return 0;
}
