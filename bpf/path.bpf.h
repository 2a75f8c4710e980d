/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files of the current task, and their paths as the kernel has them: dentries upwards, across mounts, to the root of
 * the mount namespace.
 */
#ifndef AQ_BPF_PATH_H
#define AQ_BPF_PATH_H

#include <bpf/bpf_core_read.h>

#include "path_filter.bpf.h"

enum { COMPONENT_MAX = 256, PATH_STEPS = 56 }; /* steps: components and mounts crossed */

/*
 * Since 6.2 a plain pointer can be given a type, and what is read through it costs a load and no call. The loader says
 * in cfg_typed_pointers whether the kernel has that; the other branch is not in the program then.
 */
extern void *bpf_rdonly_cast(void *obj, __u32 btf_id) __ksym __weak;
#define AQ_TYPED(pointer, type) ((type *)bpf_rdonly_cast((void *)(pointer), bpf_core_type_id_kernel(type)))
#define AQ_READ(typed, pointer, field) ((typed) ? (pointer)->field : BPF_CORE_READ(pointer, field))

/* The current task's file behind a descriptor, or NULL. */
static __always_inline struct file *current_file(u64 fd)
{
	struct file *file = NULL;

	if (cfg_typed_pointers) {
		struct fdtable *table = bpf_get_current_task_btf()->files->fdt;

		if (fd >= table->max_fds)
			return NULL;
		/* any structure of one pointer does to read one; what it points to gets its type from who uses it */
		return (void *)AQ_TYPED((u64)table->fd + fd * sizeof(file), struct hlist_head)->first;
	}
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);

	if (!table || fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(table, fd) + fd);
	return file;
}

static __always_inline struct mount *mount_of(bool typed, struct vfsmount *vfsmnt)
{
	void *mnt = (void *)vfsmnt - bpf_core_field_offset(struct mount, mnt);

	return typed ? AQ_TYPED(mnt, struct mount) : mnt;
}

/* Components from the file upwards; the attribute's flags. */
static __always_inline u32 walk_path(struct attrs *a, char *to, struct file *file, bool typed)
{
	if (typed)
		file = AQ_TYPED(file, struct file);
	struct vfsmount *vfsmnt = AQ_READ(typed, file, f_path.mnt);
	struct dentry *dentry = AQ_READ(typed, file, f_path.dentry), *root = AQ_READ(typed, vfsmnt, mnt_root);
	struct mount *mnt = mount_of(typed, vfsmnt);

	for (int i = 0; i < PATH_STEPS; i++) {
		struct dentry *parent;

		if (dentry == root) {
			struct mount *up = AQ_READ(typed, mnt, mnt_parent);

			if (up == mnt)
				return AQ_WIRE_ATF_REVERSED;
			dentry = AQ_READ(typed, mnt, mnt_mountpoint);
			mnt = up;
			root = AQ_READ(typed, mnt, mnt.mnt_root);
			continue;
		}
		parent = AQ_READ(typed, dentry, d_parent);
		if (dentry == parent && i > 0)
			break;
		u64 n = attr_used(a);
		if (n > STRING_MAX - COMPONENT_MAX) /* proves that a component still fits */
			break;
		long k = bpf_probe_read_kernel_str(to + n, COMPONENT_MAX, AQ_READ(typed, dentry, d_name.name));
		if (k <= 1)
			break;
		attr_use(a, n + (u64)k);
		if (dentry == parent)
			break;
		dentry = parent;
	}
	return AQ_WIRE_ATF_REVERSED | AQ_WIRE_ATF_PARTIAL;
}

/*
 * Components, innermost first, each with its NUL. A file that hangs in no tree (memfd, anonymous) has one component and
 * is flagged as partial, as is a path that is too long for the buffer or the loop.
 */
static __noinline u32 put_path(struct attrs *a, struct file *file)
{
	char *place = attr_place(a);
	u32 flags;

	if (!place)
		return 1;
	attr_use(a, 0);
	char *to = place + sizeof(struct aq_wire_attr);
	if (cfg_typed_pointers)
		flags = walk_path(a, to, file, true);
	else
		flags = walk_path(a, to, file, false);
	if (cfg_filter.kinds & AQ_WIRE_FILTER_PATH)
		note_kernel_path(a, to, flags);
	if (attr_used(a) > 0 || !(flags & AQ_WIRE_ATF_PARTIAL))
		attr_head(a, place, AQ_ATTR_KPATH, flags, (u32)attr_used(a), 0);
	return 0;
}

#endif
