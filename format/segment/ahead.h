/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room ahead of what is written to a file: zeros that are on the disk already. What is then written over them needs no
 * new blocks and no new length, so that bringing it to the disk does not wait for the file system's journal. A thread of
 * its own, which _start starts, makes the room; only a writer that is faster than it waits for it. Private to this folder.
 *
 * Threads: all functions belong to one thread.
 */
#ifndef AQ_FORMAT_SEGMENT_AHEAD_H
#define AQ_FORMAT_SEGMENT_AHEAD_H

#include <stdint.h>

struct aq_ahead;

/* room_bytes: made at a time. Without a thread to be had, there is only the first. -ENOMEM. */
int aq_ahead_new(uint64_t room_bytes, struct aq_ahead **ret_ahead);
void aq_ahead_free(struct aq_ahead *a); /* after _end; NULL allowed */
/* By the thread that writes, when it has given up its privileges. Again: nothing. */
void aq_ahead_start(struct aq_ahead *a);
/* Room in this file, which has used_bytes; fd stays the caller's. A little room is there when it returns. */
void aq_ahead_begin(struct aq_ahead *a, int fd, uint64_t used_bytes);
/* Before bytes up to end_bytes are written: no zeros will come over them. Asks for more room when little is left. */
void aq_ahead_use(struct aq_ahead *a, uint64_t end_bytes);
/* Nothing is written to the file any more; the caller cuts it. Room is made again after the next _begin. */
void aq_ahead_end(struct aq_ahead *a);

#endif
