/* SPDX-License-Identifier: Apache-2.0 */
/* A quarter of what is left beside the rest goes to the rings, up to their default; the spool has what remains. */
#include "recorder/memory.h"

#include <errno.h>

#include "recorder/spool.h"

enum { RINGS_SHARE = 4, MIB = 1 << 20 };

static uint64_t least_ring_bytes(const struct aq_config *c, uint32_t cpu_count)
{
	uint64_t slot = c->durations ? sizeof(struct aq_wire_timed) : sizeof(struct aq_wire_fixed);

	return (uint64_t)cpu_count * AQ_WIRE_CLASSES * (AQ_WIRE_PART_SLOTS * slot + AQ_WIRE_ATTR_PART + AQ_WIRE_ATTR_MAX);
}

static uint64_t least_spool_bytes(void)
{
	return (uint64_t)AQ_SPOOL_MIN_SLABS * AQ_SLAB_BYTES;
}

uint64_t aq_memory_least_bytes(const struct aq_config *c, uint32_t cpu_count)
{
	uint64_t least = AQ_MEMORY_REST_BYTES + least_ring_bytes(c, cpu_count) + least_spool_bytes();

	return (least + MIB - 1) & ~(uint64_t)(MIB - 1);
}

int aq_memory_fit(struct aq_config *c, uint32_t cpu_count, struct aq_err *err)
{
	uint64_t least_rings = least_ring_bytes(c, cpu_count), rings = c->ring_bytes, spool = c->spool_bytes, room;

	if (c->memory_bytes == 0)
		return 0;
	if (c->memory_bytes < aq_memory_least_bytes(c, cpu_count))
		return aq_err_set(err, -EINVAL, "--memory must be at least %lluM with %u CPUs",
				  (unsigned long long)(aq_memory_least_bytes(c, cpu_count) / MIB), cpu_count);
	room = c->memory_bytes - AQ_MEMORY_REST_BYTES;
	if (!c->ring_given) {
		uint64_t most = c->spool_given ? (room > spool ? room - spool : 0) : room / RINGS_SHARE;

		rings = rings < most ? rings : most;
	}
	rings = rings > least_rings ? rings : least_rings;
	if (!c->spool_given)
		spool = room > rings + least_spool_bytes() ? room - rings : least_spool_bytes();
	if (rings > room || spool > room - rings)
		return aq_err_set(err, -EINVAL, "rings of %lluM and a spool of %lluM are more than --memory leaves for them, %lluM",
				  (unsigned long long)(rings / MIB), (unsigned long long)(spool / MIB),
				  (unsigned long long)(room / MIB));
	c->ring_bytes = rings;
	c->spool_bytes = spool;
	return 0;
}
