/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capabilities by the raw calls: they belong to threads, and libcap is not needed for three sets of bits.
 */
#include "recorder/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

struct cap_sets {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[2];
};

static int get_sets(struct cap_sets *s)
{
	*s = (struct cap_sets){ .header = { .version = _LINUX_CAPABILITY_VERSION_3 } };
	return syscall(SYS_capget, &s->header, s->data) < 0 ? -errno : 0;
}

static uint64_t effective(const struct cap_sets *s)
{
	return s->data[0].effective | (uint64_t)s->data[1].effective << 32;
}

bool aq_privileges_suffice(void)
{
	const uint64_t both = 1ull << CAP_BPF | 1ull << CAP_PERFMON;
	struct cap_sets s;

	if (get_sets(&s) < 0)
		return geteuid() == 0;
	return (effective(&s) & both) == both || (effective(&s) & 1ull << CAP_SYS_ADMIN) != 0;
}

static int keep_only(uint64_t keep)
{
	struct cap_sets s;
	int r = get_sets(&s);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < 2; i++) {
		uint32_t mask = (uint32_t)(keep >> (32 * i));

		s.data[i].effective &= mask;
		s.data[i].permitted &= mask;
		s.data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &s.header, s.data) < 0 ? -errno : 0;
}

int aq_privileges_reduce(struct aq_err *err)
{
	uint64_t keep = 1ull << CAP_BPF | 1ull << CAP_PERFMON | 1ull << CAP_SYS_PTRACE | 1ull << CAP_DAC_READ_SEARCH |
			1ull << CAP_SYS_NICE;
	struct cap_sets s;
	int r = get_sets(&s);

	/* before CAP_BPF (5.8) its work was CAP_SYS_ADMIN's */
	if (r == 0 && (effective(&s) & 1ull << CAP_BPF) == 0)
		keep |= 1ull << CAP_SYS_ADMIN;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return aq_err_set(err, -errno, "can't give up new privileges: %s", strerror(errno));
	if (r == 0)
		r = keep_only(keep);
	return r < 0 ? aq_err_set(err, r, "can't drop capabilities: %s", strerror(-r)) : 0;
}

void aq_privileges_drop_thread(void)
{
	(void)keep_only(0); /* a wish: it has no use for any */
}
