/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drain thread. One pass reads the clock, then empties every ring: attributes before fixed records, so that an
 * attribute is never behind the record it belongs to. Classes go in order, the vital ones first.
 */
#include "recorder/drain.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recorder/source_dump.h"

enum {
	FULL = 256,
	/* how full the fullest ring may be found before it is looked at more often, and less often */
	FILL_AT_ONCE = FULL / 4, FILL_SOONER = FULL / 16, FILL_LATER = FULL / 32,
	SLOTS_PER_US = 8, /* a ring from which nothing came may fill by a quarter at two events in a microsecond */
};

struct shed_account {
	struct aq_shed sum;
	uint64_t *by_event; /* AQ_WIRE_EVENTS, made at the first shedding */
};

struct aq_drain {
	struct aq_source *src;
	struct aq_spool *spool;
	struct aq_drain_options options;
	struct aq_slab *slab;       /* being filled */
	uint32_t fullest;           /* of the rings in this pass, in FULL-ths */
	aq_u64 stop;
	aq_u64 passes, bytes, damaged, cpu_ns;
	pthread_mutex_t shed_lock;
	struct shed_account *shed;  /* per ring */
};

int aq_drain_new(struct aq_source *src, struct aq_spool *spool, const struct aq_drain_options *options,
		 struct aq_drain **ret_drain)
{
	struct aq_drain *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return -ENOMEM;
	d->src = src;
	d->spool = spool;
	d->options = *options;
	d->shed = calloc(aq_rings_count(&src->rings), sizeof(*d->shed));
	if (d->shed == NULL) {
		free(d);
		return -ENOMEM;
	}
	pthread_mutex_init(&d->shed_lock, NULL);
	if (d->options.dump != NULL)
		aq_ring_dump_begin(d->options.dump, &src->rings);
	*ret_drain = d;
	return 0;
}

void aq_drain_free(struct aq_drain *drain)
{
	if (drain == NULL)
		return;
	for (uint32_t i = 0; i < aq_rings_count(&drain->src->rings); i++)
		free(drain->shed[i].by_event);
	free(drain->shed);
	if (drain->slab != NULL)
		aq_spool_put(drain->spool, drain->slab);
	pthread_mutex_destroy(&drain->shed_lock);
	free(drain);
}

/* Room for at least min bytes of payload in the present slab, taking a new one if need be; 0: shed. */
static uint32_t room_for(struct aq_drain *d, uint32_t cls, uint32_t min)
{
	uint32_t head = sizeof(struct aq_piece);

	if (d->slab != NULL && sizeof(d->slab->data) - d->slab->used < head + min) {
		aq_spool_push(d->spool, d->slab);
		d->slab = NULL;
	}
	if (d->slab == NULL)
		d->slab = aq_spool_get(d->spool, cls);
	if (d->slab == NULL || cls > d->slab->lowest_class)
		return 0;
	return (uint32_t)sizeof(d->slab->data) - d->slab->used - head;
}

static void add_piece(struct aq_drain *d, uint32_t ring, enum aq_piece_kind kind, uint32_t record_bytes,
		      const void *bytes, uint32_t len)
{
	struct aq_piece *piece = (struct aq_piece *)(void *)(d->slab->data + d->slab->used);

	*piece = (struct aq_piece){ .slab = d->slab, .bytes = len, .ring = ring, .kind = kind,
				    .record_bytes = record_bytes };
	memcpy(piece + 1, bytes, len);
	if (d->options.dump != NULL)
		aq_ring_dump_put(d->options.dump, ring, kind, bytes, len);
	d->slab->used += (uint32_t)sizeof(*piece) + ((len + 7u) & ~7u);
	__atomic_store_n(&d->bytes, d->bytes + len, __ATOMIC_RELAXED);
}

/*
 * The run of whole records from pos: up to where the part ends (the last may run on into the margin), to end, or to
 * limit bytes. 0: the contents make no sense, or limit is less than one record.
 */
static uint32_t attr_run(const struct aq_ring *r, uint64_t pos, uint64_t end, uint32_t limit, bool *ret_damaged)
{
	uint64_t part_left = AQ_WIRE_ATTR_PART - (pos & (AQ_WIRE_ATTR_PART - 1));
	const uint8_t *p = aq_ring_attr(r, pos);
	uint64_t run = 0;

	while (run < part_left && pos + run < end) {
		uint32_t bytes;

		memcpy(&bytes, p + run, sizeof(bytes));
		if (bytes < sizeof(struct aq_wire_attr_record) || bytes > AQ_WIRE_ATTR_MAX || bytes % 8 != 0 ||
		    bytes > end - pos - run) {
			*ret_damaged = true;
			break;
		}
		if (run + bytes > limit)
			break;
		run += bytes;
	}
	return (uint32_t)run;
}

static void note_fill(struct aq_drain *d, uint64_t used, uint64_t size)
{
	uint64_t fill = used >= size ? FULL : used * FULL / size;

	if (fill > d->fullest)
		d->fullest = (uint32_t)fill;
}

static uint64_t drain_attrs(struct aq_drain *d, uint32_t index, uint32_t cls)
{
	const struct aq_ring *r = &d->src->rings.ring[index];
	uint64_t tail = aq_shared_peek(&r->ctl->attr_tail), end = aq_shared_load(&r->ctl->attr_head), pos = tail;
	bool damaged = end - tail > (uint64_t)r->attr_parts * AQ_WIRE_ATTR_PART || tail % 8 != 0;

	note_fill(d, end - tail, (uint64_t)r->attr_parts * AQ_WIRE_ATTR_PART);
	while (pos < end && !damaged) {
		uint32_t room = room_for(d, cls, AQ_WIRE_ATTR_MAX), run;

		if (room == 0)
			break; /* the records they belong to will find no room either, or say that they are degraded */
		run = attr_run(r, pos, end, room, &damaged);
		if (run > 0)
			add_piece(d, index, AQ_PIECE_ATTR, 0, aq_ring_attr(r, pos), run);
		pos += run;
	}
	if (damaged)
		__atomic_store_n(&d->damaged, d->damaged + 1, __ATOMIC_RELAXED);
	aq_shared_store(&r->ctl->attr_tail, end);
	return end - tail;
}

static void shed(struct aq_drain *d, uint32_t index, uint64_t pos, uint64_t end)
{
	const struct aq_ring *r = &d->src->rings.ring[index];
	struct shed_account *account = &d->shed[index];

	pthread_mutex_lock(&d->shed_lock);
	if (account->by_event == NULL)
		account->by_event = calloc(AQ_WIRE_EVENTS, sizeof(*account->by_event));
	if (account->sum.count == 0)
		account->sum.first_ns = UINT64_MAX;
	for (; pos < end; pos++) {
		const struct aq_wire_fixed *slot = aq_ring_slot(r, pos);
		uint16_t event = slot->event;

		if (account->by_event != NULL)
			account->by_event[event < AQ_WIRE_EVENTS ? event : 0]++;
		account->sum.count++;
		if (slot->time_ns < account->sum.first_ns)
			account->sum.first_ns = slot->time_ns;
		if (slot->time_ns > account->sum.last_ns)
			account->sum.last_ns = slot->time_ns;
	}
	pthread_mutex_unlock(&d->shed_lock);
}

/* end was read before the attributes were drained, so that all of theirs are there. */
static uint64_t drain_fixed(struct aq_drain *d, uint32_t index, uint32_t cls, uint64_t end)
{
	const struct aq_ring *r = &d->src->rings.ring[index];
	uint64_t tail = aq_shared_peek(&r->ctl->tail), pos = tail;
	uint64_t slots = (uint64_t)r->fixed_parts * AQ_WIRE_PART_SLOTS;

	note_fill(d, end - tail, slots);
	if (end - tail > slots) { /* cannot be: the producer checks for space. Step over rather than read twice */
		__atomic_store_n(&d->damaged, d->damaged + 1, __ATOMIC_RELAXED);
		pos = end - slots;
	}
	while (pos < end) {
		uint32_t room = room_for(d, cls, r->slot_bytes);
		uint64_t n = room / r->slot_bytes;
		uint64_t part_left = AQ_WIRE_PART_SLOTS - (pos & (AQ_WIRE_PART_SLOTS - 1));

		if (n == 0) {
			shed(d, index, pos, end);
			break;
		}
		n = n < part_left ? n : part_left;
		n = n < end - pos ? n : end - pos;
		add_piece(d, index, AQ_PIECE_FIXED, r->slot_bytes, aq_ring_slot(r, pos), (uint32_t)n * r->slot_bytes);
		pos += n;
		aq_shared_store(&r->ctl->tail, pos); /* early: a ring that is being flooded needs it now */
	}
	aq_shared_store(&r->ctl->tail, end);
	return (end - tail) * r->slot_bytes;
}

uint64_t aq_drain_pass(struct aq_drain *d)
{
	uint64_t now_ns = aq_source_now_ns(d->src), moved = 0;
	uint64_t watermark = now_ns > d->options.slack_ns ? now_ns - d->options.slack_ns : 0;

	d->fullest = 0;
	for (uint32_t cls = 0; cls < AQ_WIRE_CLASSES; cls++) {
		for (uint32_t cpu = 0; cpu < d->src->rings.cpu_count; cpu++) {
			uint32_t index = cpu * AQ_WIRE_CLASSES + cls;
			uint64_t end = aq_shared_load(&d->src->rings.ring[index].ctl->head);

			moved += drain_attrs(d, index, cls);
			moved += drain_fixed(d, index, cls, end);
		}
	}
	/* a slab goes on when it is wanted; as long as the other side is behind, the next passes go into it too */
	if (aq_spool_idle(d->spool)) {
		if (d->slab != NULL && d->slab->used > 0) {
			aq_spool_push(d->spool, d->slab);
			d->slab = NULL;
		}
		aq_spool_publish(d->spool, watermark);
	}
	__atomic_store_n(&d->passes, d->passes + 1, __ATOMIC_RELAXED);
	return moved;
}

static void pause_us(uint32_t us)
{
	struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* The longest sleep after which a ring that was empty still has room. */
static uint32_t longest_sleep_us(const struct aq_drain *d)
{
	uint32_t slots = d->src->rings.ring[0].fixed_parts * AQ_WIRE_PART_SLOTS;
	uint32_t us = slots / SLOTS_PER_US < d->options.sleep_max_us ? slots / SLOTS_PER_US : d->options.sleep_max_us;

	return us > d->options.sleep_min_us ? us : d->options.sleep_min_us;
}

/* Sleeps as long as the rings allow: every wake-up costs, and takes a CPU from those who are recorded. */
void aq_drain_run(struct aq_drain *drain)
{
	uint32_t sleep_us = drain->options.sleep_min_us, max_us = longest_sleep_us(drain);
	struct timespec cpu;

	while (aq_shared_load(&drain->stop) == 0) {
		(void)aq_drain_pass(drain);
		if (drain->fullest >= FILL_SOONER)
			sleep_us = sleep_us / 2 > drain->options.sleep_min_us ? sleep_us / 2 : drain->options.sleep_min_us;
		else if (drain->fullest < FILL_LATER)
			sleep_us = sleep_us * 2 < max_us ? sleep_us * 2 : max_us;
		if (drain->fullest < FILL_AT_ONCE)
			pause_us(sleep_us);
	}
	while (aq_drain_pass(drain) > 0)
		;
	if (drain->slab != NULL && drain->slab->used > 0) {
		aq_spool_push(drain->spool, drain->slab);
		drain->slab = NULL;
	}
	aq_spool_publish(drain->spool, UINT64_MAX);
	aq_spool_finish(drain->spool);
	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu) == 0)
		aq_shared_store(&drain->cpu_ns, (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec);
}

void aq_drain_request_stop(struct aq_drain *drain)
{
	aq_shared_store(&drain->stop, 1);
}

struct aq_shed aq_drain_take_shed(struct aq_drain *drain, uint32_t ring, uint64_t *by_event)
{
	struct shed_account *account = &drain->shed[ring];
	struct aq_shed sum;

	pthread_mutex_lock(&drain->shed_lock);
	sum = account->sum;
	account->sum = (struct aq_shed){ 0 };
	if (sum.count > 0 && account->by_event != NULL) {
		for (uint32_t i = 0; i < AQ_WIRE_EVENTS; i++)
			by_event[i] += account->by_event[i];
		memset(account->by_event, 0, AQ_WIRE_EVENTS * sizeof(*account->by_event));
	}
	pthread_mutex_unlock(&drain->shed_lock);
	return sum;
}

struct aq_drain_stats aq_drain_stats(struct aq_drain *drain)
{
	return (struct aq_drain_stats){
		.passes = aq_shared_peek(&drain->passes),
		.bytes = aq_shared_peek(&drain->bytes),
		.damaged = aq_shared_peek(&drain->damaged),
		.cpu_ns = aq_shared_peek(&drain->cpu_ns),
	};
}
