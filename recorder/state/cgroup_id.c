/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of cgroups; see cgroup_id.h. On all 64-bit kernels the two are the same. */
#include "recorder/state/cgroup_id.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { KERNFS_HANDLE = 0xfe };

uint64_t aq_cgroup_id(int fd)
{
	struct {
		struct file_handle head;
		unsigned char bytes[64];
	} h = { .head.handle_bytes = sizeof(h.bytes) };
	struct stat st;
	uint64_t id;
	int mount;

	if (name_to_handle_at(fd, "", &h.head, &mount, AT_EMPTY_PATH) == 0 && h.head.handle_bytes == sizeof(id) &&
	    h.head.handle_type == KERNFS_HANDLE) {
		memcpy(&id, h.head.f_handle, sizeof(id));
		return id;
	}
	return fstat(fd, &st) == 0 ? st.st_ino : 0;
}
