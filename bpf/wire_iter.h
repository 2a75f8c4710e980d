/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the iterators write about tasks and open files that exist: rows of one size, host byte order, read from the
 * iterator's descriptor. Numbers are those of the first pid namespace. Unknown is 0. Included by both sides.
 */
#ifndef AQ_BPF_WIRE_ITER_H
#define AQ_BPF_WIRE_ITER_H

#include "bpf/wire.h"

enum { AQ_WIRE_ITER_NS = 8, AQ_WIRE_ITER_COMM = 16 };

struct aq_wire_iter_task {            /* every thread, in the order of their ids */
	aq_u64 time_ns;                   /* bpf_ktime_get_boot_ns, before anything is read */
	aq_u64 start_ns;                  /* as in proc_fork */
	aq_u64 cgroup_id;
	aq_u64 cap_effective;
	aq_u64 exe_dev, exe_ino;          /* as in proc_exec */
	aq_u64 ns[AQ_WIRE_ITER_NS];       /* cgroup ipc mnt net pid time user uts */
	aq_u32 pid, tid, ppid;
	aq_u32 uid, gid, euid, egid;
	aq_u32 sid, pgid, tty;
	aq_u32 ns_pid;                    /* in its own pid namespace */
	aq_u32 threads;                   /* of its process, those that ended and wait for the others too */
	aq_u32 ended;                     /* this thread has */
	aq_u32 reserved;
	char comm[AQ_WIRE_ITER_COMM];
};

struct aq_wire_iter_file {            /* by process */
	aq_u64 start_ns;                  /* of the process: tells a number that was given away */
	aq_u64 dev, ino;
	aq_u64 pos;
	aq_u32 flags;                     /* O_CLOEXEC is the descriptor's, the rest the file's */
	aq_u32 mode;                      /* the inode's */
	aq_u32 pid, tid;                  /* tid: another thread where the first one has ended */
	aq_u32 fd;
	aq_u32 reserved;
};

#endif
