/* SPDX-License-Identifier: Apache-2.0 */
/* The id of a cgroup as the kernel side reports it: the 64-bit one of file handles, the inode number where there are none. */
#ifndef AQ_RECORDER_STATE_CGROUP_ID_H
#define AQ_RECORDER_STATE_CGROUP_ID_H

#include <stdint.h>

/* Of the cgroup whose directory fd is; 0 if it can't be known. */
uint64_t aq_cgroup_id(int fd);

#endif
