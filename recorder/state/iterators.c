/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the iterators and opens them to be read; see iterators.h. */
#include "recorder/state/iterators.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bpf/wire.h"

#include "iter.skel.h"

enum { PID_NS_FIRST = 0xeffffffc }; /* the inode number of the first pid namespace */

struct aq_iterators {
	struct iter_bpf *skel;
	struct bpf_link *tasks, *files;
};

/* The iterators share headers with the programs that record, and with these their maps: none is used. */
static void leave_out_maps(const struct iter_bpf *skel)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
		if (!bpf_map__is_internal(map))
			(void)bpf_map__set_autocreate(map, false);
}

int aq_iterators_new(struct aq_iterators **ret_iterators, struct aq_err *err)
{
	struct aq_iterators *it;
	struct stat st;
	int r = 0;

	if (stat("/proc/self/ns/pid", &st) < 0 || st.st_ino != PID_NS_FIRST)
		return aq_err_set(err, -ENOTSUP, "this is not the host's first pid namespace");
	it = calloc(1, sizeof(*it));
	if (it == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	libbpf_set_print(NULL);
	it->skel = iter_bpf__open();
	if (it->skel == NULL) {
		r = -errno;
	} else {
		leave_out_maps(it->skel);
		r = iter_bpf__load(it->skel);
	}
	if (r == 0) {
		it->tasks = bpf_program__attach_iter(it->skel->progs.aq_iter_task, NULL);
		it->files = it->tasks != NULL ? bpf_program__attach_iter(it->skel->progs.aq_iter_file, NULL) : NULL;
		if (it->files == NULL)
			r = -errno;
	}
	if (r < 0) {
		aq_iterators_free(it);
		return aq_err_set(err, r, "the kernel refuses the iterators: %s", strerror(-r));
	}
	*ret_iterators = it;
	return 0;
}

void aq_iterators_free(struct aq_iterators *it)
{
	if (it == NULL)
		return;
	bpf_link__destroy(it->files);
	bpf_link__destroy(it->tasks);
	iter_bpf__destroy(it->skel);
	free(it);
}

int aq_iterators_open(void *user, enum aq_snapshot_rows rows)
{
	const struct aq_iterators *it = user;
	int fd = bpf_iter_create(bpf_link__fd(rows == AQ_SNAPSHOT_TASKS ? it->tasks : it->files));

	return fd < 0 ? -errno : fd;
}
