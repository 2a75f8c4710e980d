/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The producer's side of bpf/wire.h in user space, over plain memory. Deterministic: nothing here looks at a clock.
 */
#include "recorder/source_synthetic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct aq_synthetic {
	struct aq_source source; /* first: the caller holds a pointer to it */
	uint8_t *memory;
	aq_u64 now_ns, skipped;
};

static struct aq_synthetic *synthetic(struct aq_source *src)
{
	return (struct aq_synthetic *)(void *)src;
}

static uint64_t synthetic_now_ns(struct aq_source *src)
{
	return aq_shared_load(&synthetic(src)->now_ns);
}

static uint64_t synthetic_skipped(struct aq_source *src)
{
	return aq_shared_load(&synthetic(src)->skipped);
}

static int synthetic_stop(struct aq_source *src, struct aq_err *err)
{
	(void)src;
	(void)err;
	return 0;
}

static void synthetic_free(struct aq_source *src)
{
	aq_rings_release(&src->rings);
	free(synthetic(src)->memory);
	free(src);
}

static const struct aq_source_ops synthetic_ops = {
	.now_ns = synthetic_now_ns,
	.skipped = synthetic_skipped,
	.stop = synthetic_stop,
	.free = synthetic_free,
};

int aq_synthetic_new(const struct aq_synthetic_options *options, struct aq_source **ret_source)
{
	uint32_t slot_bytes = options->durations ? sizeof(struct aq_wire_timed) : sizeof(struct aq_wire_fixed);
	size_t fixed_stride = (size_t)AQ_WIRE_PART_SLOTS * slot_bytes;
	size_t attr_stride = AQ_WIRE_ATTR_PART + AQ_WIRE_ATTR_MAX;
	size_t ring_bytes = options->fixed_parts * fixed_stride + options->attr_parts * attr_stride;
	size_t cpu_bytes = sizeof(struct aq_wire_cpu) + AQ_WIRE_CLASSES * ring_bytes;
	struct aq_synthetic *s = calloc(1, sizeof(*s));
	int r;

	if (s == NULL)
		return -ENOMEM;
	s->source.ops = &synthetic_ops;
	r = aq_rings_init(&s->source.rings, options->cpu_count);
	if (r < 0) {
		free(s);
		return r;
	}
	s->memory = aligned_alloc(64, (options->cpu_count * cpu_bytes + 63) & ~(size_t)63);
	if (s->memory == NULL) {
		synthetic_free(&s->source);
		return -ENOMEM;
	}
	memset(s->memory, 0, options->cpu_count * cpu_bytes);
	for (uint32_t cpu = 0; cpu < options->cpu_count; cpu++) {
		uint8_t *p = s->memory + cpu * cpu_bytes;

		s->source.rings.cpu[cpu] = (struct aq_wire_cpu *)(void *)p;
		p += sizeof(struct aq_wire_cpu);
		for (uint32_t cls = 0; cls < AQ_WIRE_CLASSES; cls++) {
			struct aq_ring *ring = aq_rings_at(&s->source.rings, cpu, cls);

			*ring = (struct aq_ring){
				.ctl = &s->source.rings.cpu[cpu]->ring[cls],
				.fixed = p,
				.attr = p + options->fixed_parts * fixed_stride,
				.fixed_stride = fixed_stride,
				.attr_stride = attr_stride,
				.slot_bytes = slot_bytes,
				.fixed_parts = options->fixed_parts,
				.attr_parts = options->attr_parts,
			};
			ring->ctl->head = ring->ctl->tail = options->first_position;
			ring->ctl->attr_head = ring->ctl->attr_tail = options->first_position;
			ring->ctl->produced = options->first_position;
			p += ring_bytes;
		}
	}
	*ret_source = &s->source;
	return 0;
}

static void count(aq_u64 *counter)
{
	__atomic_store_n(counter, aq_shared_peek(counter) + 1, __ATOMIC_RELEASE);
}

static uint32_t attr_record_bytes(const struct aq_synthetic_event *event)
{
	uint64_t bytes = sizeof(struct aq_wire_attr_record);

	for (uint32_t i = 0; i < event->attr_count; i++)
		bytes += sizeof(struct aq_wire_attr) + ((event->attrs[i].len + 7ull) & ~7ull);
	return bytes > AQ_WIRE_ATTR_MAX ? 0 : (uint32_t)bytes;
}

static bool produce_attrs(const struct aq_ring *ring, const struct aq_synthetic_event *event, uint32_t seq)
{
	struct aq_wire_ring *ctl = ring->ctl;
	uint64_t head = aq_shared_peek(&ctl->attr_head);
	uint64_t room = (uint64_t)ring->attr_parts * AQ_WIRE_ATTR_PART - (head - aq_shared_load(&ctl->attr_tail));
	uint32_t bytes = attr_record_bytes(event);
	uint8_t *p = aq_ring_attr(ring, head);

	/* a record may run on into a margin, whose first bytes' positions belong to the next part */
	if (bytes == 0 || room < bytes) {
		count(&ctl->attr_lost);
		return false;
	}
	memcpy(p, &(struct aq_wire_attr_record){ .bytes = bytes, .seq = seq, .time_ns = event->fixed.time_ns,
						 .event = event->fixed.event, .count = (aq_u16)event->attr_count },
	       sizeof(struct aq_wire_attr_record));
	p += sizeof(struct aq_wire_attr_record);
	for (uint32_t i = 0; i < event->attr_count; i++) {
		const struct aq_synthetic_attr *a = &event->attrs[i];

		memcpy(p, &(struct aq_wire_attr){ .key = a->key, .flags = a->flags, .len = a->len, .true_len = a->true_len },
		       sizeof(struct aq_wire_attr));
		p += sizeof(struct aq_wire_attr);
		if (a->len > 0)
			memcpy(p, a->data, a->len);
		p += (a->len + 7u) & ~7u;
	}
	aq_shared_store(&ctl->attr_head, head + bytes);
	return true;
}

bool aq_synthetic_produce(struct aq_source *src, const struct aq_synthetic_event *event)
{
	struct aq_wire_cpu *cpu = src->rings.cpu[event->cpu];
	const struct aq_ring *ring = aq_rings_at(&src->rings, event->cpu, event->cls);
	struct aq_wire_ring *ctl = ring->ctl;
	struct aq_wire_fixed fixed = event->fixed;
	uint64_t head = aq_shared_peek(&ctl->head);

	fixed.seq = (aq_u32)aq_shared_peek(&ctl->produced);
	count(&ctl->produced);
	count(&cpu->seen[fixed.event]);
	if (head - aq_shared_load(&ctl->tail) >= (uint64_t)ring->fixed_parts * AQ_WIRE_PART_SLOTS) {
		aq_shared_store(&ctl->lost_last_ns, fixed.time_ns);
		count(&ctl->lost);
		count(&cpu->lost[fixed.event]);
		return false;
	}
	if (event->attr_count > 0)
		fixed.flags |= produce_attrs(ring, event, fixed.seq) ? AQ_WIRE_HAS_ATTR : AQ_WIRE_ATTR_LOST;
	*aq_ring_slot(ring, head) = fixed;
	if (ring->slot_bytes == sizeof(struct aq_wire_timed))
		((struct aq_wire_timed *)(void *)aq_ring_slot(ring, head))->duration_ns = event->duration_ns;
	aq_shared_store(&ctl->head, head + 1);
	return true;
}

bool aq_synthetic_has_room(struct aq_source *src, uint32_t cpu, uint32_t cls)
{
	const struct aq_ring *ring = aq_rings_at(&src->rings, cpu, cls);
	const struct aq_wire_ring *ctl = ring->ctl;
	uint64_t used = aq_shared_peek(&ctl->head) - aq_shared_load(&ctl->tail);
	uint64_t attr_used = aq_shared_peek(&ctl->attr_head) - aq_shared_load(&ctl->attr_tail);

	return used < (uint64_t)ring->fixed_parts * AQ_WIRE_PART_SLOTS &&
	       attr_used + AQ_WIRE_ATTR_MAX <= (uint64_t)ring->attr_parts * AQ_WIRE_ATTR_PART;
}

static void count_more(aq_u64 *counter, uint64_t n)
{
	__atomic_store_n(counter, aq_shared_peek(counter) + n, __ATOMIC_RELEASE);
}

void aq_synthetic_lose(struct aq_source *src, uint32_t cpu, uint32_t cls, uint16_t event, uint64_t n, uint64_t time_ns)
{
	struct aq_wire_ring *ctl = aq_rings_at(&src->rings, cpu, cls)->ctl;

	count_more(&ctl->produced, n);
	count_more(&src->rings.cpu[cpu]->seen[event], n);
	aq_shared_store(&ctl->lost_last_ns, time_ns);
	count_more(&ctl->lost, n);
	count_more(&src->rings.cpu[cpu]->lost[event], n);
}

void aq_synthetic_leave_out(struct aq_source *src, uint32_t cpu, uint32_t cls, uint16_t event)
{
	struct aq_wire_ring *ctl = aq_rings_at(&src->rings, cpu, cls)->ctl;

	count(&ctl->produced);
	count(&src->rings.cpu[cpu]->seen[event]);
	count(&ctl->policy);
	count(&src->rings.cpu[cpu]->policy[event]);
}

void aq_synthetic_set_now(struct aq_source *src, uint64_t now_ns)
{
	aq_shared_store(&synthetic(src)->now_ns, now_ns);
}

void aq_synthetic_set_skipped(struct aq_source *src, uint64_t skipped)
{
	aq_shared_store(&synthetic(src)->skipped, skipped);
}
