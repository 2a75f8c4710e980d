/* SPDX-License-Identifier: Apache-2.0 */
/* When an event of the past is due; see pace.h. */
#include "replay/pace.h"

#include <time.h>

enum { NS_PER_S = 1000000000, STEP_NS = 500000000 };

uint64_t aq_pace_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t aq_pace_due(struct aq_pace *pace, uint64_t event_ns, uint64_t now_ns)
{
	unsigned __int128 due;

	if (pace->speed_ppm == 0)
		return now_ns;
	if (pace->first_mono_ns == 0) {
		pace->first_event_ns = event_ns;
		pace->first_mono_ns = now_ns;
	}
	if (event_ns <= pace->first_event_ns)
		return pace->first_mono_ns;
	due = (unsigned __int128)(event_ns - pace->first_event_ns) * 1000000 / pace->speed_ppm + pace->first_mono_ns;
	return due > UINT64_MAX ? UINT64_MAX : (uint64_t)due;
}

bool aq_pace_sleep(uint64_t due_ns, const volatile sig_atomic_t *stop)
{
	/* In steps: a signal that comes between the look at *stop and the sleep delays the end by one step only. */
	for (uint64_t now = aq_pace_now(); now < due_ns; now = aq_pace_now()) {
		uint64_t until = due_ns - now > STEP_NS ? now + STEP_NS : due_ns;
		struct timespec t = { .tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S) };

		if (*stop)
			return false;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
	}
	return !*stop;
}
