/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A merge of one queue per ring. A ring's own records are in order (but for what interrupts did), so a heap over the
 * heads of the queues is enough. Records stay in their slabs until they have been given away.
 */
#include "recorder/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { INSANE_FUTURE_S = 60 }; /* a time this far ahead is not waited for */

struct queue {
	struct aq_piece *first, *last;
	uint32_t offset; /* of the next record in the first piece's payload */
};

struct ring_state {
	struct queue fixed, attr;
	uint64_t last_ns;
	uint32_t expected_seq;
	bool expecting;
};

struct heap_entry {
	uint64_t time_ns;
	uint32_t ring;
};

struct aq_order {
	struct aq_spool *spool;
	uint32_t ring_count, heap_count;
	uint64_t orphans;
	struct ring_state *ring;
	struct heap_entry *heap;
};

int aq_order_new(uint32_t ring_count, struct aq_spool *spool, struct aq_order **ret_order)
{
	struct aq_order *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return -ENOMEM;
	o->spool = spool;
	o->ring_count = ring_count;
	o->ring = calloc(ring_count, sizeof(*o->ring));
	o->heap = calloc(ring_count, sizeof(*o->heap));
	if (o->ring == NULL || o->heap == NULL) {
		free(o->ring);
		free(o->heap);
		free(o);
		return -ENOMEM;
	}
	*ret_order = o;
	return 0;
}

static void close_piece(struct aq_order *o, struct aq_piece *piece)
{
	struct aq_slab *slab = piece->slab;

	if (--slab->pieces_open == 0)
		aq_spool_put(o->spool, slab);
}

static void pop_piece(struct aq_order *o, struct queue *q)
{
	struct aq_piece *piece = q->first;

	q->first = piece->next;
	if (q->first == NULL)
		q->last = NULL;
	q->offset = 0;
	close_piece(o, piece);
}

void aq_order_free(struct aq_order *order)
{
	if (order == NULL)
		return;
	for (uint32_t i = 0; i < order->ring_count; i++) {
		while (order->ring[i].fixed.first != NULL)
			pop_piece(order, &order->ring[i].fixed);
		while (order->ring[i].attr.first != NULL)
			pop_piece(order, &order->ring[i].attr);
	}
	free(order->ring);
	free(order->heap);
	free(order);
}

void aq_order_expect(struct aq_order *order, uint32_t ring, uint32_t seq)
{
	order->ring[ring].expected_seq = seq;
	order->ring[ring].expecting = true;
}

uint64_t aq_order_last_ns(const struct aq_order *order, uint32_t ring)
{
	return order->ring[ring].last_ns;
}

uint64_t aq_order_orphans(const struct aq_order *order)
{
	return order->orphans;
}

void aq_order_add(struct aq_order *o, struct aq_slab *slabs)
{
	while (slabs != NULL) {
		struct aq_slab *next = slabs->next;

		slabs->pieces_open = 1; /* ours, until all are queued */
		for (struct aq_piece *p = aq_slab_first(slabs); p != NULL; p = aq_slab_after(slabs, p)) {
			struct queue *q;

			if (p->ring >= o->ring_count || p->bytes == 0 ||
			    (p->kind == AQ_PIECE_FIXED &&
			     (p->record_bytes < sizeof(struct aq_wire_fixed) || p->bytes < p->record_bytes)))
				continue;
			q = p->kind == AQ_PIECE_FIXED ? &o->ring[p->ring].fixed : &o->ring[p->ring].attr;
			p->next = NULL;
			if (q->last != NULL)
				q->last->next = p;
			else
				q->first = p;
			q->last = p;
			slabs->pieces_open++;
		}
		if (--slabs->pieces_open == 0)
			aq_spool_put(o->spool, slabs);
		slabs = next;
	}
}

static const struct aq_wire_fixed *front(const struct queue *q)
{
	return q->first == NULL ? NULL : (const struct aq_wire_fixed *)(const void *)((uint8_t *)(q->first + 1) + q->offset);
}

static bool entry_before(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->time_ns < b->time_ns || (a->time_ns == b->time_ns && a->ring < b->ring);
}

static void sift_down(struct aq_order *o, uint32_t i)
{
	struct heap_entry e = o->heap[i];

	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child >= o->heap_count)
			break;
		if (child + 1 < o->heap_count && entry_before(&o->heap[child + 1], &o->heap[child]))
			child++;
		if (!entry_before(&o->heap[child], &e))
			break;
		o->heap[i] = o->heap[child];
		i = child;
	}
	o->heap[i] = e;
}

/* A head of a queue joins the merge if it is old enough, or so far ahead that its time can't be right. */
static bool due(uint64_t time_ns, uint64_t watermark_ns)
{
	return time_ns < watermark_ns || (watermark_ns == UINT64_MAX) ||
	       time_ns - watermark_ns > INSANE_FUTURE_S * 1000000000ull;
}

static void build_heap(struct aq_order *o, uint64_t watermark_ns)
{
	o->heap_count = 0;
	for (uint32_t i = 0; i < o->ring_count; i++) {
		const struct aq_wire_fixed *f = front(&o->ring[i].fixed);

		if (f != NULL && due(f->time_ns, watermark_ns))
			o->heap[o->heap_count++] = (struct heap_entry){ f->time_ns, i };
	}
	for (uint32_t i = o->heap_count / 2; i-- > 0;)
		sift_down(o, i);
}

/* The attribute record with that number, or NULL; older ones belong to nothing any more and are dropped. */
static const struct aq_wire_attr_record *find_attr(struct aq_order *o, struct queue *q, uint32_t seq, uint32_t *ret_bytes)
{
	while (q->first != NULL) {
		const uint8_t *p = (uint8_t *)(q->first + 1) + q->offset;
		uint32_t left = q->first->bytes - q->offset;
		const struct aq_wire_attr_record *record = (const void *)p;

		if (left < sizeof(*record) || record->bytes < sizeof(*record) || record->bytes > left ||
		    record->bytes % 8 != 0) {
			pop_piece(o, q); /* cut or senseless: the rest of this run can't be told apart */
			o->orphans++;
			continue;
		}
		if (record->seq == seq) {
			*ret_bytes = record->bytes;
			return record;
		}
		if ((int32_t)(record->seq - seq) > 0)
			return NULL;
		o->orphans++;
		q->offset += record->bytes;
		if (q->offset >= q->first->bytes)
			pop_piece(o, q);
	}
	return NULL;
}

static void note_sequence(struct ring_state *ring, uint32_t index, const struct aq_wire_fixed *f,
			  const struct aq_order_sink *sink)
{
	uint32_t ahead = f->seq - ring->expected_seq;

	if (ring->expecting && ahead != 0 && (int32_t)ahead > 0)
		sink->jump(sink->user, index, ring->last_ns, f->time_ns, ahead);
	ring->expected_seq = f->seq + 1;
	ring->expecting = true;
	ring->last_ns = f->time_ns;
}

static int give_front(struct aq_order *o, uint32_t index, const struct aq_order_sink *sink)
{
	struct ring_state *ring = &o->ring[index];
	const struct aq_wire_fixed *f = front(&ring->fixed);
	const struct aq_wire_attr_record *attr = NULL;
	uint32_t attr_bytes = 0, record_bytes = ring->fixed.first->record_bytes;
	int r;

	note_sequence(ring, index, f, sink);
	if (f->flags & AQ_WIRE_HAS_ATTR)
		attr = find_attr(o, &ring->attr, f->seq, &attr_bytes);
	r = sink->record(sink->user, index, f, record_bytes, attr, attr_bytes);
	if (attr != NULL) {
		ring->attr.offset += attr_bytes;
		if (ring->attr.offset >= ring->attr.first->bytes)
			pop_piece(o, &ring->attr);
	}
	ring->fixed.offset += record_bytes;
	if (ring->fixed.offset + record_bytes > ring->fixed.first->bytes)
		pop_piece(o, &ring->fixed);
	return r;
}

int aq_order_run(struct aq_order *order, uint64_t watermark_ns, const struct aq_order_sink *sink)
{
	if (watermark_ns == 0) /* nothing published yet */
		return 0;
	build_heap(order, watermark_ns);
	while (order->heap_count > 0) {
		uint32_t index = order->heap[0].ring;
		const struct aq_wire_fixed *f;
		int r = give_front(order, index, sink);

		if (r < 0)
			return r;
		f = front(&order->ring[index].fixed);
		if (f != NULL && due(f->time_ns, watermark_ns))
			order->heap[0].time_ns = f->time_ns;
		else
			order->heap[0] = order->heap[--order->heap_count];
		if (order->heap_count > 0)
			sift_down(order, 0);
	}
	return 0;
}

int aq_order_run_class(struct aq_order *order, uint32_t cls, const struct aq_order_sink *sink)
{
	for (uint32_t i = cls; i < order->ring_count; i += AQ_WIRE_CLASSES) {
		while (front(&order->ring[i].fixed) != NULL) {
			int r = give_front(order, i, sink);

			if (r < 0)
				return r;
		}
	}
	return 0;
}
