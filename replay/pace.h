/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Original speed: when an event is due, on an absolute clock, so that lateness never adds up.
 */
#ifndef AQ_REPLAY_PACE_H
#define AQ_REPLAY_PACE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct aq_pace {
	uint64_t speed_ppm; /* millionths of the original speed; 0: nothing is ever waited for */
	uint64_t first_event_ns;
	uint64_t first_mono_ns; /* CLOCK_MONOTONIC at the first event; 0: not begun */
};

uint64_t aq_pace_now(void); /* CLOCK_MONOTONIC */
/* When an event is due, on CLOCK_MONOTONIC. The first one is due now. UINT64_MAX when that is beyond the clock. */
uint64_t aq_pace_due(struct aq_pace *pace, uint64_t event_ns, uint64_t now_ns);
/* Sleeps until then; false when *stop became true meanwhile. */
bool aq_pace_sleep(uint64_t due_ns, const volatile sig_atomic_t *stop);

#endif
