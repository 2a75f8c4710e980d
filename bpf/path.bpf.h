/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files of the current task, and their paths as the kernel has them: dentries upwards, across mounts, to the root of
 * the mount namespace.
 */
#ifndef AQ_BPF_PATH_H
#define AQ_BPF_PATH_H

#include <bpf/bpf_core_read.h>

#include "attr.bpf.h"

enum { COMPONENT_MAX = 256, PATH_STEPS = 56 }; /* steps: components and mounts crossed */

/* The current task's file behind a descriptor, or NULL. */
static __always_inline struct file *current_file(u64 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file *file = NULL;

	if (!table || fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd);
	return file;
}

/*
 * Components, innermost first, each with its NUL. A file that hangs in no tree (memfd, anonymous) has one component and
 * is flagged as partial, as is a path that is too long for the buffer or the loop.
 */
static __noinline u32 put_path(struct attrs *a, struct file *file)
{
	char *place = attr_place(a);
	struct vfsmount *vfsmnt = BPF_CORE_READ(file, f_path.mnt);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry), *root = BPF_CORE_READ(vfsmnt, mnt_root);
	struct mount *mnt = (void *)vfsmnt - bpf_core_field_offset(struct mount, mnt);
	u32 flags = AQ_WIRE_ATF_REVERSED | AQ_WIRE_ATF_PARTIAL;

	if (!place)
		return 1;
	attr_use(a, 0);
	for (int i = 0; i < PATH_STEPS; i++) {
		struct dentry *parent;

		if (dentry == root) {
			struct mount *up = BPF_CORE_READ(mnt, mnt_parent);

			if (up == mnt) {
				flags &= ~AQ_WIRE_ATF_PARTIAL;
				break;
			}
			dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
			mnt = up;
			root = BPF_CORE_READ(mnt, mnt.mnt_root);
			continue;
		}
		parent = BPF_CORE_READ(dentry, d_parent);
		if (dentry == parent && i > 0)
			break;
		u64 n = attr_used(a);
		if (n > STRING_MAX - COMPONENT_MAX) /* proves that a component still fits */
			break;
		long k = bpf_probe_read_kernel_str(place + sizeof(struct aq_wire_attr) + n, COMPONENT_MAX,
						   BPF_CORE_READ(dentry, d_name.name));
		if (k <= 1)
			break;
		attr_use(a, n + (u64)k);
		if (dentry == parent)
			break;
		dentry = parent;
	}
	if (attr_used(a) > 0 || !(flags & AQ_WIRE_ATF_PARTIAL))
		attr_head(a, place, AQ_ATTR_KPATH, flags, (u32)attr_used(a), 0);
	return 0;
}

#endif
