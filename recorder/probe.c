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

#include "bpf/wire.h"
#include "recorder/privileges.h"
#include "recorder/source_live.h"
#include "recorder/state/iterators.h"
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

/* What is asked while the rows are made. */
struct asking {
	struct aq_probe *probe;
	struct btf *btf; /* NULL: not there */
	bool privileges;
	char detail[200];
};

static void row(struct asking *a, const char *key, const char *name, bool present, bool required, const char *without)
{
	aq_probe_add(a->probe, key, name, present, required, without, a->detail);
	a->detail[0] = '\0';
}

/* Without the kernel's types, or without the rights, some things can't be known. */
static void row_unknown(struct asking *a, const char *key, const char *name, bool required, const char *without,
			const char *why)
{
	unsigned n = a->probe->count;

	aq_probe_add(a->probe, key, name, false, required, without, why);
	if (a->probe->count > n)
		a->probe->feature[n].unknown = true;
	a->detail[0] = '\0';
}

static void row_by_btf(struct asking *a, const char *key, const char *name, bool present, bool required,
		       const char *without)
{
	if (a->btf != NULL)
		row(a, key, name, present, required, without);
	else
		row_unknown(a, key, name, required, without, "can't be told without the kernel's types");
}

static void row_by_trying(struct asking *a, const char *key, const char *name, bool (*works)(char *detail, size_t size),
			  const char *without)
{
	if (a->privileges)
		row(a, key, name, works(a->detail, sizeof(a->detail)), true, without);
	else
		row_unknown(a, key, name, true, without, "can't be tried without the rights");
}

void aq_probe_refute(struct aq_probe *probe, const char *key, const char *detail)
{
	for (unsigned i = 0; i < probe->count; i++) {
		struct aq_feature *f = &probe->feature[i];

		if (strcmp(f->key, key) != 0)
			continue;
		f->present = f->unknown = false;
		snprintf(f->detail, sizeof(f->detail), "%s", detail);
	}
}

/* The first line of a file that begins with a prefix; false: there is none. */
static bool read_line(const char *path, const char *prefix, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	bool found = false;

	while (f != NULL && !found && fgets(line, (int)size, f) != NULL)
		found = strncmp(line, prefix, strlen(prefix)) == 0;
	if (f != NULL)
		fclose(f);
	if (found)
		line[strcspn(line, "\n")] = '\0';
	return found;
}

enum { CAP_PTRACE_BIT = 19, CAP_PERFMON_BIT = 38, CAP_BPF_BIT = 39 };

static unsigned long long effective_caps(void)
{
	unsigned long long caps = 0;
	char line[128];

	if (!read_line("/proc/self/status", "CapEff:", line, sizeof(line)) || sscanf(line + 7, "%llx", &caps) != 1)
		return geteuid() == 0 ? ~0ull : 0;
	return caps;
}

static void missing_rights(char *detail, size_t size)
{
	unsigned long long caps = effective_caps();

	snprintf(detail, size, "user %u has %s", (unsigned)geteuid(),
		 caps & 1ull << CAP_BPF_BIT ? "no CAP_PERFMON" : caps & 1ull << CAP_PERFMON_BIT ? "no CAP_BPF" : "neither");
}

/* The types, or why there are none. */
static struct btf *load_btf(char *detail, size_t size)
{
	struct btf *btf;

	if (access("/sys/kernel/btf/vmlinux", F_OK) < 0) {
		snprintf(detail, size, access("/sys/kernel", F_OK) < 0 ? "/sys is not mounted" :
			 "there is no such file: the kernel was built without CONFIG_DEBUG_INFO_BTF");
		return NULL;
	}
	btf = btf__load_vmlinux_btf();
	if (btf == NULL)
		snprintf(detail, size, "%s", strerror(errno));
	return btf;
}

static bool has_tracepoint(const struct btf *btf, const char *name)
{
	char type[128];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf != NULL && btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
}

/* All of them; those that are not there stand in the detail. */
static bool has_tracepoints(struct asking *a, const char *const *names)
{
	size_t n = 0;

	for (; *names != NULL; names++)
		if (!has_tracepoint(a->btf, *names) && n < sizeof(a->detail))
			n += (size_t)snprintf(a->detail + n, sizeof(a->detail) - n, "%s%s", n == 0 ? "no " : ", ", *names);
	return n == 0;
}

static bool has_enum_value(const struct btf *btf, const char *type, const char *value)
{
	int id = btf != NULL ? btf__find_by_name_kind(btf, type, BTF_KIND_ENUM) : -1;
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	for (uint16_t i = 0; t != NULL && i < btf_vlen(t); i++) {
		const char *name = btf__name_by_offset(btf, btf_enum(t)[i].name_off);

		if (name != NULL && strcmp(name, value) == 0)
			return true;
	}
	return false;
}

static bool has_member(const struct btf *btf, const char *type, const char *member)
{
	int id = btf != NULL ? btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT) : -1;
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	for (uint16_t i = 0; t != NULL && i < btf_vlen(t); i++) {
		const char *name = btf__name_by_offset(btf, btf_members(t)[i].name_off);

		if (name != NULL && strcmp(name, member) == 0)
			return true;
	}
	return false;
}

static bool has_struct(const struct btf *btf, const char *name)
{
	return btf != NULL && btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT) > 0;
}

static bool has_function(const struct btf *btf, const char *name)
{
	return btf != NULL && btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

/* As large as a part of a ring is. */
static bool has_mmapable_arrays(char *detail, size_t size)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "aq_probe", 4, AQ_WIRE_PART_SLOTS * sizeof(struct aq_wire_timed), 1,
				&opts);

	if (fd < 0) {
		snprintf(detail, size, "%s", strerror(errno));
		return false;
	}
	close(fd);
	return true;
}

static bool has_boot_clock(char *detail, size_t size)
{
	(void)detail;
	(void)size;
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_ktime_get_boot_ns, NULL) == 1;
}

/* What programs read of the kernel's memory is refused in the strictest lockdown only. */
static bool may_read_kernel(char *detail, size_t size)
{
	char line[128];
	const char *mode, *end;

	if (!read_line("/sys/kernel/security/lockdown", "", line, sizeof(line)))
		return true;
	mode = strchr(line, '[');
	end = mode != NULL ? strchr(mode, ']') : NULL;
	if (end == NULL)
		return true;
	snprintf(detail, size, "lockdown is %.*s", (int)(end - mode - 1), mode + 1);
	return strncmp(mode, "[confidentiality", 16) != 0;
}

static bool has_overlay_types(struct asking *a)
{
	if (has_struct(a->btf, "ovl_inode") || access("/sys/kernel/btf/overlay", R_OK) == 0)
		return true;
	snprintf(a->detail, sizeof(a->detail), access("/sys/module/overlay", F_OK) == 0 ?
		 "the module overlay has no types" : "the module overlay was not loaded when this was asked");
	return false;
}

bool aq_kernel_at_least(unsigned major, unsigned minor)
{
	struct utsname u;
	unsigned a = 0, b = 0;

	return uname(&u) == 0 && sscanf(u.release, "%u.%u", &a, &b) == 2 && (a > major || (a == major && b >= minor));
}

static bool memory_unlimited(char *detail, size_t size)
{
	struct rlimit limit;

	if (aq_kernel_at_least(5, 11)) {
		snprintf(detail, size, "charged to the memory cgroup");
		return true;
	}
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return true;
	snprintf(detail, size, "locked memory is limited to %llu bytes (ulimit -l)%s", (unsigned long long)limit.rlim_cur,
		 geteuid() == 0 ? ", which root raises" : "");
	return geteuid() == 0;
}

static bool may_raise_priority(void)
{
	struct rlimit limit;

	return geteuid() == 0 || (getrlimit(RLIMIT_NICE, &limit) == 0 && limit.rlim_cur >= 40);
}

static bool is_compiled(char *detail, size_t size)
{
	char line[32];

	if (!read_line("/proc/sys/net/core/bpf_jit_enable", "", line, sizeof(line)))
		return true;
	snprintf(detail, size, "net.core.bpf_jit_enable is %s", line);
	return line[0] != '0';
}

/* Which versions are mounted; true when version 2 is. */
static bool has_cgroup2(char *detail, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	bool v1 = false, v2 = false;
	char line[4096];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		v1 |= strstr(line, " - cgroup ") != NULL;
		v2 |= strstr(line, " - cgroup2 ") != NULL;
	}
	if (f != NULL)
		fclose(f);
	snprintf(detail, size, "%s", v1 && v2 ? "hybrid: versions 1 and 2" : v2 ? "version 2" : v1 ? "version 1 only" :
		 "no cgroups are mounted");
	return v2;
}

static bool may_read_others(char *detail, size_t size)
{
	bool seen = access("/proc/1", F_OK) == 0, rights = (effective_caps() & 1ull << CAP_PTRACE_BIT) != 0;

	if (!seen || !rights)
		snprintf(detail, size, "%s", seen ? "no CAP_SYS_PTRACE" : "/proc is not mounted, or hides processes");
	return seen && rights;
}

static void ask_about_programs(struct asking *a)
{
	static const char *const sched[] = { "sched_process_fork", "sched_process_exec", "sched_process_exit", NULL };
	static const char *const cgroup[] = { "cgroup_mkdir", "cgroup_rmdir", "cgroup_attach_task", NULL };
	const struct btf *btf = a->btf;
	struct aq_uring_forms uring;

	aq_uring_forms(btf, &uring);
	row_by_btf(a, "tp_sys_exit", "tracepoint sys_exit with types", has_tracepoint(btf, "sys_exit"), true,
		   "system calls can't be seen");
	row_by_btf(a, "tp_sched", "tracepoints of process life", has_tracepoints(a, sched), true,
		   "births, programs and ends of processes can't be seen");
	row_by_btf(a, "durations", "tracepoint sys_enter with types", has_tracepoint(btf, "sys_enter"), false,
		   "--durations leaves all durations unknown");
	row_by_btf(a, "io_uring", "tracepoint of requests through io_uring", uring.submit != 0, false,
		   "what is asked through io_uring is not recorded");
	row_by_btf(a, "io_uring_results", "tracepoints of their ends", uring.complete != 0 && uring.refused, false,
		   "the results of requests through io_uring are not recorded");
	row_by_btf(a, "tp_task_rename", "tracepoint task_rename", has_tracepoint(btf, "task_rename"), false,
		   "a name that a thread gives itself is not told");
	row_by_btf(a, "tp_cgroup", "tracepoints of cgroups", has_tracepoints(a, cgroup), false,
		   "cgroups made later have no path until the next snapshot");
	row_by_trying(a, "mmapable_arrays", "arrays that user space can map", has_mmapable_arrays, "the rings can't be read");
	row_by_trying(a, "boot_clock", "boot-time clock in programs", has_boot_clock, "events can't be timed");
	row(a, "kernel_memory", "programs may read the kernel's memory", may_read_kernel(a->detail, sizeof(a->detail)), true,
	    "programs may not read the kernel's memory: lockdown is confidentiality");
	row_by_btf(a, "task_btf", "the current task as a typed pointer (5.11)",
		   has_enum_value(btf, "bpf_func_id", "BPF_FUNC_get_current_task_btf"), false, "each event costs some more");
	row_by_btf(a, "typed_pointers", "pointers can be given types (6.2)", has_function(btf, "bpf_rdonly_cast"), false,
		   "paths from the kernel cost some more");
	row_by_btf(a, "pinned", "programs are not preempted, or can see to it (6.10)",
		   !aq_kernel_at_least(AQ_PREEMPTIBLE_SINCE) || has_function(btf, "bpf_preempt_disable"), false,
		   "what happens while a program is preempted is lost, and counted");
	row_by_btf(a, "skips_counted", "count of programs that were skipped (5.12)",
		   has_member(btf, "bpf_prog_info", "recursion_misses"), false,
		   "what the kernel leaves out by itself is not counted");
	row(a, "jit", "programs are compiled", is_compiled(a->detail, sizeof(a->detail)), false,
	    "they are interpreted: each event costs several times as much");
	row_by_btf(a, "unix_sockets", "types of unix sockets", has_struct(btf, "unix_sock"), false,
		   "unix sockets are known by what calls say of them");
	row_by_btf(a, "overlay_types", "types of overlay file systems", has_overlay_types(a), false,
		   "programs that were written or changed in a container are not marked as such");
}

static void ask_about_host(struct asking *a)
{
	row_by_btf(a, "task_iterators", "iterators over tasks and files",
		   has_function(a->btf, "bpf_iter_task") && has_function(a->btf, "bpf_iter_task_file"),
		   false, "what exists at the start is read from /proc, which costs three times as much");
	row(a, "proc", "other users' processes can be read in /proc", may_read_others(a->detail, sizeof(a->detail)), false,
	    "files, programs and folders of what exists at the start stay unknown");
	row(a, "ring_memory", "memory for the rings is not limited", memory_unlimited(a->detail, sizeof(a->detail)), false,
	    "large rings may be refused");
	row(a, "priority", "the drain thread may go first", may_raise_priority(), false, "on a busy host more is lost");
	row(a, "cgroup2", "cgroup version 2 tree", has_cgroup2(a->detail, sizeof(a->detail)), false,
	    "containers are told by their paths alone");
}

void aq_probe_run(struct aq_probe *probe)
{
	struct asking a = { .probe = probe, .privileges = aq_privileges_suffice() };

	*probe = (struct aq_probe){ 0 };
	libbpf_set_print(NULL);
	if (!a.privileges)
		missing_rights(a.detail, sizeof(a.detail));
	row(&a, "privileges", "CAP_BPF and CAP_PERFMON, or root", a.privileges, true,
	    "recording needs CAP_BPF and CAP_PERFMON or root");
	a.btf = load_btf(a.detail, sizeof(a.detail));
	row(&a, "btf", "kernel type information (/sys/kernel/btf/vmlinux)", a.btf != NULL, true,
	    "the programs can't be fitted to this kernel");
	ask_about_programs(&a);
	ask_about_host(&a);
	btf__free(a.btf);
}

void aq_probe_try(struct aq_probe *probe)
{
	const struct aq_live_options options = { .durations = true };
	struct aq_iterators *iterators = NULL;
	struct aq_source *src = NULL;
	struct aq_err err = { 0 };
	char detail[200] = "";
	int r;

	if (aq_probe_obstacle(probe) != NULL)
		return;
	r = aq_live_load(&options, &src, &err);
	if (r == 0)
		r = aq_live_attach(src, &err);
	if (r < 0)
		snprintf(detail, sizeof(detail), "%.190s", err.text);
	else if (aq_live_missing(src)[0] != '\0')
		snprintf(detail, sizeof(detail), "without %s", aq_live_missing(src));
	aq_source_free(src);
	if (aq_iterators_new(&iterators, &err) < 0)
		aq_probe_refute(probe, "task_iterators", err.text);
	aq_iterators_free(iterators);
	aq_probe_add(probe, "programs", "the programs load and attach (tried now)", r == 0, true,
		     "the kernel refuses the programs", detail);
}

const struct aq_feature *aq_probe_obstacle(const struct aq_probe *probe)
{
	for (unsigned i = 0; i < probe->count; i++)
		if (probe->feature[i].required && !probe->feature[i].present && !probe->feature[i].unknown)
			return &probe->feature[i];
	return NULL;
}

void aq_probe_print(const struct aq_probe *probe, FILE *out)
{
	const struct aq_feature *obstacle = aq_probe_obstacle(probe);

	fprintf(out, "%-52s %-8s %s\n", "feature", "present", "without it");
	for (unsigned i = 0; i < probe->count; i++) {
		const struct aq_feature *f = &probe->feature[i];

		fprintf(out, "%-52s %-8s %s%s%s\n", f->name,
			f->present ? "yes" : f->unknown ? "?" : f->required ? "NO" : "no", f->without,
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
		    (f->unknown && cJSON_AddBoolToObject(row, "unknown", true) == NULL) ||
		    (!f->present && cJSON_AddStringToObject(row, "degraded", f->without) == NULL) ||
		    (f->detail[0] != '\0' && cJSON_AddStringToObject(row, "detail", f->detail) == NULL)) {
			cJSON_Delete(root);
			return NULL;
		}
	}
	return root;
}
