/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of one snapshot share. Nothing here outlives aq_snapshot_take. */
#ifndef AQ_RECORDER_STATE_INTERNAL_H
#define AQ_RECORDER_STATE_INTERNAL_H

#include "recorder/state/procfs.h"
#include "recorder/state/snapshot.h"

#include <limits.h>

enum {
	AQ_SNAP_ARGV_BYTES = 128 * 1024,
	AQ_SNAP_TEXT_BYTES = 1024 * 1024, /* status with 65536 supplementary groups fits */
	AQ_SNAP_LINE_BYTES = 64 * 1024,
	AQ_SNAP_TUPLE_BYTES = 56,
	AQ_SNAP_SOCKADDR_BYTES = 28,
};

/* ---- lines of a file of any length, cut at newlines */

struct aq_lines {
	int fd;                        /* owned */
	size_t at, filled;
	bool ended, overlong;          /* overlong: within a line that did not fit, which is left out */
	uint64_t skipped;              /* lines left out */
	char *buf;                     /* AQ_SNAP_LINE_BYTES, borrowed */
};
int aq_lines_open(struct aq_lines *l, int dirfd, const char *name, char *buf);
/* 1 and the line without its newline (writable, borrowed until the next call), 0 at the end, -errno. */
int aq_lines_next(struct aq_lines *l, char **ret_line, size_t *ret_len);
void aq_lines_close(struct aq_lines *l);

/* ---- mounts */

struct aq_mount { /* unescaped, NUL-terminated, borrowed during the call back */
	uint32_t major, minor;
	const char *root, *point, *fstype, *options; /* options: the super block's */
	size_t root_len, point_len, fstype_len;
};
/* Splits a line of mountinfo in place. False when it makes no sense. */
bool aq_mount_parse(char *line, size_t len, struct aq_mount *ret_mount);

/* ---- cgroups */

struct aq_cgroup_hierarchy {
	uint32_t number;               /* 0: v2 */
	char *controller;              /* v1: "pids", "name=systemd"; owned */
	char *mount;                   /* where; NULL: not mounted; owned */
	char *root;                    /* the path that is seen there, "" for the top; owned */
};
enum { AQ_SNAP_HIERARCHIES = 3 };      /* v2, v1 name=systemd, v1 pids */

struct aq_cgroup_entry {
	char *path;                    /* owned; NULL: free slot */
	uint64_t id;
};
struct aq_cgroups {
	struct aq_cgroup_hierarchy hierarchy[AQ_SNAP_HIERARCHIES];
	struct aq_cgroup_entry *slot;  /* path → id of v2 */
	uint32_t mask, used, max;
};
int aq_cgroups_init(struct aq_cgroups *c, uint32_t max);
void aq_cgroups_release(struct aq_cgroups *c);
/* Notes a mount if it is one of the hierarchies. */
int aq_cgroups_mount(struct aq_cgroups *c, const struct aq_mount *m);
/* Takes the numbers of the v1 hierarchies from the text of a /proc/PID/cgroup. */
void aq_cgroups_number(struct aq_cgroups *c, const char *text, size_t len);
/* Calls for every cgroup of one hierarchy; what the call back returns other than 0 ends the walk. */
int aq_cgroups_walk(struct aq_cgroups *c, unsigned index,
		    int (*found)(void *user, uint64_t id, uint32_t hierarchy, const char *path), void *user,
		    uint64_t *skipped);
/* The v2 id from the text of a /proc/PID/cgroup; 0 unknown. */
uint64_t aq_cgroups_of(struct aq_cgroups *c, const char *text, size_t len);

/* ---- sockets */

struct aq_socket {
	uint64_t ino;                  /* 0: free slot */
	uint16_t family;               /* AF_*; 0 unknown */
	uint8_t proto;
	bool ambiguous;                /* named twice: the addresses are not to be trusted and were dropped */
	bool has_tuple;
	uint8_t tuple[AQ_SNAP_TUPLE_BYTES];
	char *path;                    /* AF_UNIX: owned; NULL unbound */
};
struct aq_sockets {
	struct aq_socket *slot;
	uint32_t mask, used, max;
	uint64_t *netns;               /* read already */
	uint32_t netns_count, netns_room;
	uint64_t skipped;
};
int aq_sockets_init(struct aq_sockets *s, uint32_t max);
void aq_sockets_release(struct aq_sockets *s);
/* Reads the tables below dirfd/net unless that namespace was read before. 0, or -ENOMEM. */
int aq_sockets_load(struct aq_sockets *s, int dirfd, uint64_t netns_ino, char *line_buf);
const struct aq_socket *aq_sockets_find(const struct aq_sockets *s, uint64_t ino);

/* ---- the snapshot itself */

enum aq_snap_kind { /* names of the schema's fd_kinds */
	AQ_SNAP_KIND_FILE, AQ_SNAP_KIND_DIRECTORY, AQ_SNAP_KIND_CHAR, AQ_SNAP_KIND_BLOCK, AQ_SNAP_KIND_FIFO,
	AQ_SNAP_KIND_SOCKET, AQ_SNAP_KIND_ANON, AQ_SNAP_KIND_SYMLINK, AQ_SNAP_KIND_MEMFD, AQ_SNAP_KIND_COUNT
};

struct aq_snap {
	struct aq_snapshot_options opt; /* defaults filled in */
	int (*emit)(void *user, const struct aq_event *ev, struct aq_err *err);
	void *user;
	struct aq_err *err;
	struct aq_snapshot_stats stats;
	int proc_fd;
	uint64_t last_ns;              /* of the latest event */
	uint64_t tick_ns;
	uint64_t born_before_ns;       /* of later births procfs is not asked: they were seen */
	uint64_t kind[AQ_SNAP_KIND_COUNT]; /* the schema's numbers */
	struct aq_cgroups cgroups;
	struct aq_sockets sockets;
	struct aq_procfs_dir dir_proc, dir_task, dir_fd;
	char argv[AQ_SNAP_ARGV_BYTES + 1];
	char text[AQ_SNAP_TEXT_BYTES];
	char line[AQ_SNAP_LINE_BYTES];
	char path[3][PATH_MAX];
};

struct aq_snap_process { /* the one that is being read */
	uint32_t pid;
	int view;                      /* directory that its properties are read from; borrowed */
	uint64_t time_ns, cgroup_id, net_ns;
	bool net_loaded;
	bool denied;
};

struct aq_snap_facts { /* of a process, wherever they come from */
	uint64_t start_ns, cap_effective, exe_dev, exe_ino;
	uint32_t ppid, uid, gid, euid, egid, sid, pgid, tty, ns_pid;
	uint32_t threads;              /* 0: it has ended */
	const char *comm;              /* borrowed */
	size_t comm_len;
	bool comm_cut;
};

struct aq_snap_file { /* an open file */
	uint32_t number;
	bool known;                    /* mode, dev and ino are */
	uint32_t mode;
	uint64_t dev, ino, flags, pos;
};

uint64_t aq_snap_now(void);
/* A new event of a process (NULL: of the host), without arguments. */
void aq_snap_event(struct aq_event *ev, enum aq_event_id id, const struct aq_snap_process *p, uint32_t tid);
void aq_snap_attr(struct aq_event *ev, enum aq_attr_key key, const void *data, size_t len, unsigned flags);
/* Gives it a time of its own, not before p->time_ns, and hands it on. */
int aq_snap_emit(struct aq_snap *s, struct aq_event *ev);

void aq_snap_kinds_init(uint64_t kind[AQ_SNAP_KIND_COUNT]);
int aq_snap_descriptors(struct aq_snap *s, struct aq_snap_process *p);
/* The process itself, completed by what only procfs has. */
int aq_snap_emit_process(struct aq_snap *s, struct aq_snap_process *p, const struct aq_snap_facts *facts);
/* ns: as the arguments of snap_ns; nothing is put out when all are 0. */
int aq_snap_emit_namespaces(struct aq_snap *s, struct aq_snap_process *p, const uint64_t ns[8]);
/* A thread of a process whose first one has ended and lost its files and memory; a directory, owned, or -1. */
int aq_snap_open_living_thread(struct aq_snap *s, int dir, uint32_t pid);
/* A descriptor that the iterators told of; its path is read from s->dir_fd. */
int aq_snap_file(struct aq_snap *s, struct aq_snap_process *p, const struct aq_snap_file *f);
/* Every process in procfs that is not known already (NULL: none is), with its descriptors. */
int aq_snap_take_processes(struct aq_snap *s, bool (*known)(const void *user, uint32_t pid), const void *user);
/* Processes and descriptors from the kernel's rows. 1: there are none, and nothing was put out. */
int aq_snap_from_rows(struct aq_snap *s);
/* Notes a failed read of p: true when the process has gone. */
bool aq_snap_failed(struct aq_snap_process *p, int error);

#endif
