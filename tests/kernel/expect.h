/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a trigger program says it did, so that a test can hold the capture against it: one line of text per call,
 * written by the program itself after the call, with the numbers it passed and the result it saw.
 *
 *   E <tid> <event id> <result> <count> <arg>… [<attr key>=<text without spaces>]…
 */
#ifndef AQ_TESTS_KERNEL_EXPECT_H
#define AQ_TESTS_KERNEL_EXPECT_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

struct aq_expect_log {
	FILE *file;
};

static inline void aq_expect(struct aq_expect_log *log, unsigned event_id, long ret, unsigned count,
			     const long args[6], const char *attrs)
{
	flockfile(log->file);
	fprintf(log->file, "E %ld %u %ld %u", (long)syscall(SYS_gettid), event_id, ret, count);
	for (unsigned i = 0; i < count; i++)
		fprintf(log->file, " %ld", args[i]);
	fprintf(log->file, "%s%s\n", attrs ? " " : "", attrs ? attrs : "");
	funlockfile(log->file);
}

/* Makes the raw call, notes it, gives back -errno as the kernel does. */
static inline long aq_call(struct aq_expect_log *log, unsigned event_id, long nr, unsigned count, const long args[6],
			   const char *attrs)
{
	long ret = syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
	if (ret == -1)
		ret = -errno;
	aq_expect(log, event_id, ret, count, args, attrs);
	return ret;
}

/* AQ_CALL(log, openat, "1=/etc/passwd", AT_FDCWD, (long)path, O_RDONLY) */
#define AQ_CALL(log, name, attrs, ...)                                                                                 \
	aq_call((log), AQ_EV_##name, SYS_##name, (unsigned)(sizeof((long[]){ __VA_ARGS__ }) / sizeof(long)),           \
		(const long[6]){ __VA_ARGS__ }, (attrs))

#endif
