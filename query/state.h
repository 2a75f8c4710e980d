/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the recorded host as far as events tell it: processes, threads, descriptors, cgroups. Fed with events in
 * canonical order. What an event does not say is unknown and stays so: nothing is guessed. Processes are told apart by
 * (pid, start); those that have ended stay for the ancestry of their children.
 *
 * Memory: bounded by max_bytes; beyond it descriptors and ended processes are forgotten and `forgotten` counts them.
 * Threads: one state belongs to one thread. All pointers given out are borrowed until the next feed.
 */
#ifndef AQ_QUERY_STATE_H
#define AQ_QUERY_STATE_H

#include "format/base/err.h"
#include "format/segment/event.h"

struct aq_state;

struct aq_str { /* shared text, NUL-terminated; argv: strings each followed by a NUL */
	uint32_t refs, len;
	char s[];
};

enum aq_fd_type { /* order as fd_kinds is not relied upon */
	AQ_FD_UNKNOWN = 0, AQ_FD_FILE, AQ_FD_DIRECTORY, AQ_FD_IPV4, AQ_FD_IPV6, AQ_FD_UNIX, AQ_FD_NETLINK, AQ_FD_PACKET,
	AQ_FD_PIPE, AQ_FD_EVENT, AQ_FD_EPOLL, AQ_FD_TIMER, AQ_FD_SIGNAL, AQ_FD_INOTIFY, AQ_FD_IOURING, AQ_FD_PIDFD,
	AQ_FD_MEMFD, AQ_FD_BPF, AQ_FD_PERF, AQ_FD_USERFAULT, AQ_FD_FANOTIFY, AQ_FD_DEVICE, AQ_FD_SOCKET, AQ_FD_OTHER,
	AQ_FD_TYPE_COUNT
};

struct aq_endpoint {
	uint8_t family;       /* 0 unknown, 2 IPv4, 10 IPv6 */
	bool has_port;
	uint16_t port;        /* host order */
	uint8_t ip[16];       /* 4 or 16 bytes in network order */
};

/* An open file description: shared by dup, fork and passing on. */
struct aq_fd {
	uint32_t refs;
	uint8_t type;                /* enum aq_fd_type */
	uint8_t family, sock_type;   /* sockets: AF_*, SOCK_* without flags; 0 unknown */
	uint8_t proto;               /* sockets: IPPROTO_*; 0 unknown */
	bool is_server;              /* accepted, or listening */
	bool role_known;             /* connected or accepted: client and server are told apart */
	bool name_is_kernel;         /* name is the path that the kernel resolved */
	bool uncertain;              /* made from a cut or relative path without a base, or across a gap */
	bool dev_known;
	struct aq_str *name;         /* path, or name of a memfd, unix socket …; NULL unknown */
	uint64_t dev, ino;
	uint64_t flags;              /* open flags */
	uint64_t opened_ns;
	uint64_t serial;             /* running number: tells objects apart */
	struct aq_endpoint local, remote;
};

struct aq_cgroup {
	uint64_t id;
	struct aq_str *path;         /* NULL unknown */
	char container_id[65];       /* hexadecimal as found in the path, "" when it is no container's */
	const char *engine;          /* "docker", "containerd", "cri-o", "podman", "" … static text */
	uint32_t changes;            /* how often its path became another one: the kernel uses ids again */
	bool removed;
};

enum aq_proc_flag {
	AQ_PROC_INFERRED = 1 << 0,   /* its birth was not seen: made from its first event */
	AQ_PROC_SNAPSHOT = 1 << 1,   /* it existed when the recording (or segment) began */
	AQ_PROC_EXITED = 1 << 2,
	AQ_PROC_UNCERTAIN = 1 << 3,  /* a gap lies in its life in which an exec, close or similar may have been missed */
	AQ_PROC_EXEC_SEEN = 1 << 4,
	AQ_PROC_MEMFD = 1 << 5,      /* exe from a memfd */
	AQ_PROC_UPPER = 1 << 6,      /* exe from an overlay's upper layer */
	AQ_PROC_CREDS = 1 << 7,      /* uid … known */
	AQ_PROC_DELETED = 1 << 8,    /* exe was deleted before it ran */
};

enum { AQ_NS_COUNT = 8 }; /* cgroup ipc mnt net pid time user uts: the order of snap_ns */

struct aq_proc {
	uint32_t pid;                /* host's pid namespace */
	uint32_t ppid;               /* 0 unknown */
	uint32_t ns_pid;             /* innermost namespace; 0 unknown */
	uint32_t sid, pgid, tty;
	uint32_t flags;              /* enum aq_proc_flag */
	uint32_t live_threads, execs;
	uint64_t serial;             /* running number: tells processes with one pid apart */
	uint64_t start_ns;           /* boot clock; 0 unknown */
	uint64_t exit_ns;            /* 0: not seen to end */
	uint64_t exec_ns;            /* of its latest exec seen; 0 none */
	uint64_t cgroup_id;          /* as its latest event said; 0 unknown */
	int32_t exit_code, exit_signal;
	uint32_t uid, gid, euid, egid;
	uint64_t cap_effective;
	uint64_t exe_dev, exe_ino;
	uint64_t ns[AQ_NS_COUNT];    /* inode numbers; 0 unknown */
	struct aq_proc *parent;      /* kept as long as this one; NULL unknown */
	struct aq_str *comm, *exe, *exepath, *argv; /* NULL unknown; exe as executed, exepath as the kernel has it */
	struct aq_str *exe_writer;   /* comm of who opened the executable for writing before it ran; NULL: not seen */
	uint32_t exe_writer_pid;
	uint64_t exe_writer_serial;  /* of the process; 0 none */
	uint64_t exe_written_ns;     /* when it was opened; 0: not seen */
	struct aq_fs *fs;            /* cwd and root: aq_proc_cwd */
	struct aq_fdtable *files;
	/* the table's own */
	struct aq_proc *hash_next, *age_prev, *age_next;
	uint32_t refs;
};

struct aq_thread {
	uint32_t tid;
	uint32_t pending_child;      /* tid of the child of a clone that has not returned yet; 0 none */
	uint64_t last_ns;
	struct aq_proc *proc;
	struct aq_str *comm;         /* NULL: as the process */
	struct aq_thread *hash_next;
};

struct aq_state_options {
	uint64_t max_bytes;          /* 0: 1 GiB */
	bool without_fds;            /* descriptors are not followed */
};

struct aq_state_stats {
	uint64_t processes, exited, threads, fds, bytes, forgotten;
	uint64_t uncertain_gaps;     /* gaps that made the state uncertain */
};

int aq_state_new(const struct aq_state_options *options, struct aq_state **ret_state, struct aq_err *err);
void aq_state_free(struct aq_state *s); /* NULL allowed */

/* What an event is about, as it was when the call returned. */
struct aq_touch {
	struct aq_proc *proc;
	struct aq_thread *thread;
	struct aq_fd *fd;            /* NULL none or unknown; for close: what was closed */
	int64_t fd_num;              /* -1 none */
};
/* Applies one event. Never fails on its content; -ENOMEM. Lost events are told by aq_state_gap before what follows. */
int aq_state_feed(struct aq_state *s, const struct aq_event *ev, struct aq_touch *ret_touch);
void aq_state_gap(struct aq_state *s, const struct aq_gap *gap);

/* The event ids that change the state (fds too unless without_fds); one bit each. */
void aq_state_event_set(bool with_fds, uint64_t *ret_set);

const struct aq_proc *aq_state_proc(const struct aq_state *s, uint32_t pid);   /* the latest with that pid */
/* The one with that serial; NULL when it is forgotten. */
const struct aq_proc *aq_state_proc_of(const struct aq_state *s, uint32_t pid, uint64_t serial);
const struct aq_thread *aq_state_thread(const struct aq_state *s, uint32_t tid);
const struct aq_cgroup *aq_state_cgroup(const struct aq_state *s, uint64_t id);
const struct aq_fd *aq_proc_fd(const struct aq_proc *p, int64_t fd, bool *ret_cloexec);
const struct aq_str *aq_proc_cwd(const struct aq_proc *p);  /* NULL unknown */
const struct aq_str *aq_proc_root(const struct aq_proc *p); /* NULL unknown or "/" */
/* The next descriptor at or above `from` that is open in p; -1 at the end. */
int64_t aq_proc_next_fd(const struct aq_proc *p, int64_t from, const struct aq_fd **ret_fd);
/* All processes, ended ones too, in order of appearance: first with NULL. */
const struct aq_proc *aq_state_next(const struct aq_state *s, const struct aq_proc *last);
void aq_state_stats(const struct aq_state *s, struct aq_state_stats *ret_stats);
const char *aq_fd_type_name(enum aq_fd_type t);  /* "file", "ipv4" …; "?" */
char aq_fd_type_char(enum aq_fd_type t);         /* Falco's: f 4 6 u p e s t l i … */

/*
 * The absolute path of a call's path attribute: KPATH when there, else the user's string joined to the cwd or the
 * dirfd's directory and cleaned of . and .. by text. second: PATH2. Returns the length needed, 0 when the event has no
 * such path; *ret_certain false when a base was missing (then the text is relative) or the text was cut.
 */
size_t aq_state_path(const struct aq_event *ev, const struct aq_proc *p, bool second, char *buf, size_t size, bool *ret_certain);

/* Container id and engine from a cgroup path; false when it is no container's. */
bool aq_cgroup_container(const char *path, char ret_id[65], const char **ret_engine);

#endif
