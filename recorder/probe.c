/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the kernel, each answered by trying or by its BTF, and their answers as a table or as JSON.
 */
#include "recorder/probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "recorder/privileges.h"
#include "recorder/uring.h"

void aq_probe_add(struct aq_probe *probe, const char *key, const char *name, bool present, bool required,
		  const char *without, const char *detail)
{
	struct aq_feature *f;

	if (probe->count == AQ_PROBE_MAX)
		return;
	f = &probe->feature[probe->count++];
	*f = (struct aq_feature){ .key = key, .name = name, .present = present, .required = required, .without = without };
	if (detail != NULL)
		snprintf(f->detail, sizeof(f->detail), "%s", detail);
}

static bool has_tracepoint(const struct btf *btf, const char *name)
{
	char type[128];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf != NULL && btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

static bool has_all(const struct btf *btf, const char *const *names)
{
	for (; *names != NULL; names++)
		if (!has_tracepoint(btf, *names))
			return false;
	return true;
}

static bool has_mmapable_arrays(char *detail, size_t size)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "aq_probe", 4, 4096, 1, &opts);

	if (fd < 0) {
		snprintf(detail, size, "%s", strerror(errno));
		return false;
	}
	close(fd);
	return true;
}

static bool at_least(unsigned major, unsigned minor)
{
	struct utsname u;
	unsigned a = 0, b = 0;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &a, &b) == 2 && (a > major || (a == major && b >= minor));
}

static bool memory_unlimited(char *detail, size_t size)
{
	struct rlimit limit;

	if (at_least(5, 11)) {
		snprintf(detail, size, "charged to the memory cgroup");
		return true;
	}
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return true;
	snprintf(detail, size, "locked memory is limited to %llu bytes (ulimit -l)", (unsigned long long)limit.rlim_cur);
	return geteuid() == 0; /* root raises it */
}

static bool may_raise_priority(void)
{
	struct rlimit limit;

	return geteuid() == 0 || (getrlimit(RLIMIT_NICE, &limit) == 0 && limit.rlim_cur >= 40);
}

void aq_probe_run(struct aq_probe *probe)
{
	static const char *const sched[] = { "sched_process_fork", "sched_process_exec", "sched_process_exit", NULL };
	static const char *const cgroup[] = { "cgroup_mkdir", "cgroup_rmdir", "cgroup_attach_task", NULL };
	bool privileges = aq_privileges_suffice(), btf_file = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
	struct btf *btf = btf_file ? btf__load_vmlinux_btf() : NULL;
	struct aq_uring_forms uring;
	char detail[200] = "";
	bool present;

	*probe = (struct aq_probe){ 0 };
	libbpf_set_print(NULL);
	aq_probe_add(probe, "privileges", "CAP_BPF and CAP_PERFMON, or root", privileges, true,
		     "recording needs CAP_BPF and CAP_PERFMON or root", NULL);
	aq_probe_add(probe, "btf", "kernel type information (/sys/kernel/btf/vmlinux)", btf != NULL, true,
		     "the programs can't be fitted to this kernel", NULL);
	aq_probe_add(probe, "tp_sys_exit", "tracepoint sys_exit with types", has_tracepoint(btf, "sys_exit"), true,
		     "system calls can't be seen", NULL);
	aq_probe_add(probe, "tp_sched", "tracepoints of process life", has_all(btf, sched), true,
		     "births, programs and ends of processes can't be seen", NULL);
	aq_probe_add(probe, "durations", "tracepoint sys_enter with types", has_tracepoint(btf, "sys_enter"), false,
		     "--durations leaves all durations unknown", NULL);
	aq_uring_forms(btf, &uring);
	aq_probe_add(probe, "io_uring", "tracepoint of requests through io_uring", uring.submit != 0, false,
		     "what is asked through io_uring is not recorded", NULL);
	aq_probe_add(probe, "io_uring_results", "tracepoints of their ends", uring.complete != 0 && uring.refused, false,
		     "the results of requests through io_uring are not recorded", NULL);
	aq_probe_add(probe, "tp_cgroup", "tracepoints of cgroups", has_all(btf, cgroup), false,
		     "cgroups made later have no path until the next snapshot", NULL);
	present = privileges && has_mmapable_arrays(detail, sizeof(detail));
	aq_probe_add(probe, "mmapable_arrays", "arrays that user space can map", present, true,
		     "the rings can't be read", detail);
	present = privileges && libbpf_probe_bpf_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_ktime_get_boot_ns,
							NULL) == 1;
	aq_probe_add(probe, "boot_clock", "boot-time clock in programs", present, true, "events can't be timed", NULL);
	present = btf != NULL && btf__find_by_name_kind(btf, "bpf_iter_task", BTF_KIND_FUNC) > 0;
	aq_probe_add(probe, "task_iterators", "iterators over tasks and files", present, false,
		     "what exists at the start is read from /proc, which is slower", NULL);
	detail[0] = '\0';
	present = memory_unlimited(detail, sizeof(detail));
	aq_probe_add(probe, "ring_memory", "memory for the rings is not limited", present, false,
		     "large rings may be refused", detail);
	aq_probe_add(probe, "priority", "the drain thread may go first", may_raise_priority(), false,
		     "on a busy host more is lost", NULL);
	present = access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0 || access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0;
	aq_probe_add(probe, "cgroup2", "cgroup version 2 tree", present, false, "containers are told by their paths alone",
		     NULL);
	btf__free(btf);
}

const struct aq_feature *aq_probe_obstacle(const struct aq_probe *probe)
{
	for (unsigned i = 0; i < probe->count; i++)
		if (probe->feature[i].required && !probe->feature[i].present)
			return &probe->feature[i];
	return NULL;
}

void aq_probe_print(const struct aq_probe *probe, FILE *out)
{
	const struct aq_feature *obstacle = aq_probe_obstacle(probe);

	fprintf(out, "%-52s %-8s %s\n", "feature", "present", "without it");
	for (unsigned i = 0; i < probe->count; i++) {
		const struct aq_feature *f = &probe->feature[i];

		fprintf(out, "%-52s %-8s %s%s%s\n", f->name, f->present ? "yes" : f->required ? "NO" : "no", f->without,
			f->detail[0] != '\0' ? "; here: " : "", f->detail);
	}
	if (obstacle != NULL)
		fprintf(out, "recording is not possible: %s\n", obstacle->without);
	else
		fprintf(out, "recording is possible\n");
}

struct cJSON *aq_probe_json(const struct aq_probe *probe)
{
	cJSON *root = cJSON_CreateObject();

	for (unsigned i = 0; root != NULL && i < probe->count; i++) {
		const struct aq_feature *f = &probe->feature[i];
		cJSON *row = cJSON_AddObjectToObject(root, f->key);

		if (row == NULL || cJSON_AddBoolToObject(row, "present", f->present) == NULL ||
		    cJSON_AddBoolToObject(row, "required", f->required) == NULL ||
		    (!f->present && cJSON_AddStringToObject(row, "degraded", f->without) == NULL) ||
		    (f->detail[0] != '\0' && cJSON_AddStringToObject(row, "detail", f->detail) == NULL)) {
			cJSON_Delete(root);
			return NULL;
		}
	}
	return root;
}
