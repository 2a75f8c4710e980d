/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the host as events: mounts, cgroups, and every process with its namespaces, threads and descriptors.
 * Taken after the kernel side was attached, so that whatever is born meanwhile is seen by the tracepoints; from the
 * kernel's iterators, which procfs then completes (argv, paths, addresses), or where there are none from procfs alone.
 *
 * Order: snap_begin, snap_mount…, snap_cgroup…, for each process snap_proc, snap_ns, snap_thread…, snap_fd…, snap_end;
 * from iterators the descriptors of all processes come behind the last process. A child may come before its parent.
 * Times: CLOCK_BOOTTIME, taken before a process (from iterators: before each thread, and before the first descriptor) is
 * read, so that an event that changes it meanwhile sorts after it and rules; no two events of a snapshot have the same
 * time. Start times are exact from iterators; from procfs whole clock ticks (mostly 10 ms), rounded down.
 * Unknown: a number that could not be read is 0, a user or group id UINT32_MAX; a text that could not be read is not
 * there, or is flagged AQ_ATF_UNREADABLE when access was denied. A process whose `threads` is 0 has ended and was not
 * reaped yet. Events that are about the host, not about a process, have pid and tid 0.
 * Threads: any number of snapshots may run at once; one blocks on procfs and takes from milliseconds to seconds.
 */
#ifndef AQ_RECORDER_STATE_SNAPSHOT_H
#define AQ_RECORDER_STATE_SNAPSHOT_H

#include "format/base/err.h"
#include "format/segment/event.h"

enum aq_snapshot_rows {
	AQ_SNAPSHOT_TASKS,             /* struct aq_wire_iter_task */
	AQ_SNAPSHOT_FILES,             /* struct aq_wire_iter_file, those of a process together */
};

struct aq_snapshot_options {
	const char *proc_root;         /* borrowed; NULL: "/proc" */
	uint32_t skip_pid;             /* a process that is left out (the recorder itself); 0: none */
	uint32_t reason;               /* goes into snap_begin */
	uint32_t max_fds_per_process;  /* 0: 65536 */
	uint32_t max_threads_per_process; /* 0: 65536 */
	uint32_t max_sockets;          /* addresses held in memory, about 90 bytes each; 0: 262144 */
	uint32_t max_cgroups;          /* per hierarchy; 0: 65536 */
	uint32_t max_tasks;            /* from iterators, about 210 bytes each; with more procfs is read; 0: 262144 */
	bool without_fds;
	/* A descriptor that rows of the kernel can be read from, the caller's to close, or -errno. NULL: procfs alone.
	 * Only for the real /proc. */
	int (*open_rows)(void *user, enum aq_snapshot_rows rows);
	void *open_user;
};

struct aq_snapshot_stats {
	uint64_t processes, threads, fds, cgroups, mounts; /* put out; threads counts main threads too */
	uint64_t vanished;             /* processes that ended while they were read: nothing to worry about */
	uint64_t unreadable;           /* processes of which something was denied or made no sense */
	uint64_t skipped;              /* descriptors, threads, cgroups and sockets beyond a limit */
	uint64_t duration_ns;
	bool from_rows;                /* the iterators were used */
};

/*
 * The event that emit is given is borrowed until emit returns; what emit returns other than 0 ends the snapshot and is
 * returned, with emit's err. ret_stats may be NULL. snap_end's `unreadable` is unreadable + skipped: 0 says that the
 * snapshot is whole. Errors: procfs is not there, no memory; everything smaller is counted.
 */
int aq_snapshot_take(const struct aq_snapshot_options *options,
		     int (*emit)(void *user, const struct aq_event *ev, struct aq_err *err), void *user,
		     struct aq_snapshot_stats *ret_stats, struct aq_err *err);

#endif
