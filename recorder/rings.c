/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables over the rings' memory. Which memory it is, and how it is filled, belongs to the sources.
 */
#include "recorder/rings.h"

#include <errno.h>
#include <stdlib.h>

int aq_rings_init(struct aq_rings *rings, uint32_t cpu_count)
{
	*rings = (struct aq_rings){ .cpu_count = cpu_count };
	rings->cpu = calloc(cpu_count, sizeof(*rings->cpu));
	rings->ring = calloc((size_t)cpu_count * AQ_WIRE_CLASSES, sizeof(*rings->ring));
	if (rings->cpu == NULL || rings->ring == NULL) {
		aq_rings_release(rings);
		return -ENOMEM;
	}
	return 0;
}

void aq_rings_release(struct aq_rings *rings)
{
	free(rings->cpu);
	free(rings->ring);
	*rings = (struct aq_rings){ 0 };
}

bool aq_rings_settled(const struct aq_rings *rings)
{
	for (uint32_t i = 0; i < aq_rings_count(rings); i++) {
		const struct aq_wire_ring *ctl = rings->ring[i].ctl;
		uint64_t done = aq_shared_load(&ctl->head) + aq_shared_load(&ctl->lost) + aq_shared_load(&ctl->policy);

		if (done != aq_shared_load(&ctl->produced))
			return false;
	}
	return true;
}
