/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and parsing procfs text: bounded, and without trust in what is read. Everything is relative to a directory
 * descriptor, which keeps naming the same process when its number is given to another one.
 */
#ifndef AQ_RECORDER_STATE_PROCFS_H
#define AQ_RECORDER_STATE_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Reads at most size-1 bytes and puts a NUL behind them. Returns the number of bytes or -errno; *ret_cut (NULL
 * allowed) tells whether there was more.
 */
ssize_t aq_procfs_read(int dirfd, const char *name, char *buf, size_t size, bool *ret_cut);
/* The target of a link, NUL-terminated; size must be over 1. *ret_cut as above. */
ssize_t aq_procfs_link(int dirfd, const char *name, char *buf, size_t size, bool *ret_cut);
/* True for the errors that say that the process has gone. */
bool aq_procfs_gone(int error);
/* True for the errors that say that we may not look. */
bool aq_procfs_denied(int error);

/* Entries of a directory whose names are decimal numbers: /proc, fd, task. */
struct aq_procfs_dir {
	int fd;                 /* owned */
	uint32_t at, filled;
	char buf[32768] __attribute__((aligned(8)));
};
int aq_procfs_dir_open(struct aq_procfs_dir *d, int dirfd, const char *name);
/* 1 and the number with its text (borrowed until the next call), 0 at the end, or -errno. */
int aq_procfs_dir_next(struct aq_procfs_dir *d, uint32_t *ret_number, const char **ret_name);
void aq_procfs_dir_close(struct aq_procfs_dir *d);

/* Numbers at *s: skips blanks before, stops behind the last digit. False and *s untouched if there is none. */
bool aq_parse_u64(const char **s, const char *end, uint64_t *ret_value);
bool aq_parse_hex(const char **s, const char *end, uint64_t *ret_value);
bool aq_parse_octal(const char **s, const char *end, uint64_t *ret_value);
/* Signed decimal. */
bool aq_parse_i64(const char **s, const char *end, int64_t *ret_value);

enum { AQ_PROCFS_COMM_BYTES = 64 }; /* work queues have names longer than a task's 15 bytes */

struct aq_procfs_stat {
	uint32_t pid, ppid, pgid, sid, tty, threads;
	uint64_t start_ticks;   /* since boot */
	char state;
	uint32_t comm_len;
	bool comm_cut;
	char comm[AQ_PROCFS_COMM_BYTES];
};
/* 0 or -EBADMSG. */
int aq_procfs_parse_stat(const char *text, size_t len, struct aq_procfs_stat *ret_stat);

struct aq_procfs_status {
	uint32_t uid, euid, gid, egid; /* UINT32_MAX unknown */
	uint32_t ns_pid;               /* innermost; 0 unknown */
	uint64_t cap_effective;
};
/* 0 or -EBADMSG when the credentials are not there. */
int aq_procfs_parse_status(const char *text, size_t len, struct aq_procfs_status *ret_status);

/* "net:[4026531840]", "socket:[123]": true and the number when text is prefix, ":[", number, "]". */
bool aq_procfs_parse_bracket(const char *text, size_t len, const char *prefix, uint64_t *ret_ino);
/* Undoes \ooo escapes in place and returns the new length. */
size_t aq_procfs_unescape(char *text, size_t len);

#endif
