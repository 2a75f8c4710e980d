/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads the kernel side, fits its rings to the memory that was asked for, fills its table of calls and maps its rings.
 */
#include "recorder/source_live.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bpf/wire.h"
#include "recorder/calls.h"
#include "recorder/probe.h"
#include "recorder/uring.h"

#include "aquila.skel.h"

enum { MAX_PROGRAMS = 20, PID_MAX_DEFAULT = 32768, NOTED_SLOTS = 65536 /* as in bpf/pin.bpf.h */, FILTER_CGROUPS = 65536, BUDGETS = 16384, BUDGET_DROPS = 65536 };

static const struct aq_policy no_policy;

struct mapping {
	uint8_t *base;
	size_t bytes, stride;
};

struct aq_live {
	struct aq_source source; /* first: the caller holds a pointer to it */
	struct aquila_bpf *skel;
	struct bpf_link *links[MAX_PROGRAMS];
	unsigned link_count;
	struct mapping ctl, fixed, attr;
	uint32_t fixed_parts, attr_parts, slot_bytes;
	bool durations;
	const struct aq_policy *policy;
	char missing[256];
};

static struct aq_live *live(struct aq_source *src)
{
	return (struct aq_live *)(void *)src;
}

static uint64_t live_now_ns(struct aq_source *src)
{
	struct timespec t;

	(void)src;
	return clock_gettime(CLOCK_BOOTTIME, &t) < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Of two programs on a tracepoint the second one made good for what the first one was left out of. */
static uint64_t live_skipped(struct aq_source *src)
{
	struct aquila_bpf *skel = live(src)->skel;
	uint64_t sum = 0, again = *(volatile aq_u64 *)&skel->bss->again;
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, skel->obj) {
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);
		int fd = bpf_program__fd(prog);

		if (prog == skel->progs.aq_fork_again || prog == skel->progs.aq_exec_again || prog == skel->progs.aq_exit_again)
			continue;
		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0)
			sum += info.recursion_misses;
	}
	return sum > again ? sum - again : 0;
}

static int live_stop(struct aq_source *src, struct aq_err *err)
{
	struct aq_live *l = live(src);

	(void)err;
	while (l->link_count > 0)
		bpf_link__destroy(l->links[--l->link_count]);
	return 0;
}

static void unmap(struct mapping *m)
{
	if (m->base != NULL)
		munmap(m->base, m->bytes);
	m->base = NULL;
}

static void live_free(struct aq_source *src)
{
	struct aq_live *l = live(src);

	(void)live_stop(src, NULL);
	unmap(&l->ctl);
	unmap(&l->fixed);
	unmap(&l->attr);
	aquila_bpf__destroy(l->skel);
	aq_rings_release(&src->rings);
	free(l);
}

static int live_drops(struct aq_source *src, void (*each)(void *user, const struct aq_wire_drop_key *key, const struct aq_wire_drop *drop),
		      void *user)
{
	int fd = bpf_map__fd(live(src)->skel->maps.budget_drops);
	struct aq_wire_drop_key key, *before = NULL;
	struct aq_wire_drop drop;

	if (!live(src)->skel->rodata->cfg_budget)
		return 0;
	while (bpf_map_get_next_key(fd, before, &key) == 0) { /* nothing is ever removed: none is skipped */
		if (bpf_map_lookup_elem(fd, &key, &drop) == 0)
			each(user, &key, &drop);
		before = &key;
	}
	return 0;
}

static const struct aq_source_ops live_ops = {
	.drops = live_drops,
	.now_ns = live_now_ns,
	.skipped = live_skipped,
	.stop = live_stop,
	.free = live_free,
};

/* Two fixed parts for each attribute part, as many as fit: powers of two, the same for all rings. */
static void choose_parts(struct aq_live *l, uint64_t ring_bytes, uint32_t rings)
{
	const uint64_t unit = 2ull * AQ_WIRE_PART_SLOTS * l->slot_bytes + AQ_WIRE_ATTR_PART + AQ_WIRE_ATTR_MAX;
	uint64_t each = ring_bytes / rings;

	l->attr_parts = 1;
	while (l->attr_parts < 1024 && 2ull * l->attr_parts * unit <= each)
		l->attr_parts *= 2;
	l->fixed_parts = each < unit ? 1 : 2 * l->attr_parts;
}

static int map_array(const struct bpf_map *map, uint32_t entries, size_t value_bytes, bool writable, struct mapping *m,
		     struct aq_err *err)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	m->stride = (value_bytes + 7) & ~(size_t)7;
	m->bytes = (entries * m->stride + page - 1) & ~(page - 1);
	m->base = mmap(NULL, m->bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);
	if (m->base == MAP_FAILED) {
		m->base = NULL;
		return aq_err_set(err, -errno, "can't map the ring memory: %s", strerror(errno));
	}
	return 0;
}

static int map_rings(struct aq_live *l, struct aq_err *err)
{
	struct aq_rings *rings = &l->source.rings;
	uint32_t count = aq_rings_count(rings);
	int r = map_array(l->skel->maps.ctl, rings->cpu_count, sizeof(struct aq_wire_cpu), true, &l->ctl, err);

	if (r == 0)
		r = map_array(l->skel->maps.fixed, count * l->fixed_parts,
			      (size_t)AQ_WIRE_PART_SLOTS * l->slot_bytes, false, &l->fixed, err);
	if (r == 0)
		r = map_array(l->skel->maps.attr, count * l->attr_parts, AQ_WIRE_ATTR_PART + AQ_WIRE_ATTR_MAX, false,
			      &l->attr, err);
	if (r < 0)
		return r;
	for (uint32_t cpu = 0; cpu < rings->cpu_count; cpu++) {
		rings->cpu[cpu] = (struct aq_wire_cpu *)(void *)(l->ctl.base + cpu * l->ctl.stride);
		for (uint32_t cls = 0; cls < AQ_WIRE_CLASSES; cls++) {
			size_t index = (size_t)cpu * AQ_WIRE_CLASSES + cls;

			rings->ring[index] = (struct aq_ring){
				.ctl = &rings->cpu[cpu]->ring[cls],
				.fixed = l->fixed.base + index * l->fixed_parts * l->fixed.stride,
				.attr = l->attr.base + index * l->attr_parts * l->attr.stride,
				.fixed_stride = l->fixed.stride,
				.attr_stride = l->attr.stride,
				.slot_bytes = l->slot_bytes,
				.fixed_parts = l->fixed_parts,
				.attr_parts = l->attr_parts,
			};
		}
	}
	return 0;
}

static int fill_calls(struct aq_live *l, const struct aq_live_options *options, struct aq_err *err)
{
	struct aq_wire_call *rows = calloc(AQ_WIRE_NR_MAX, sizeof(*rows));
	enum aq_abi abis[3];
	unsigned count = aq_calls_abis(abis);
	int fd = bpf_map__fd(l->skel->maps.calls), r = 0;

	if (rows == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < count && r == 0; i++) {
		aq_calls_fill(abis[i], options->skip, rows);
		if (options->data_bytes != 0)
			aq_calls_want_data(rows);
		for (uint32_t nr = 0; nr < AQ_WIRE_NR_MAX && r == 0; nr++) {
			uint32_t key = (uint32_t)abis[i] * AQ_WIRE_NR_MAX + nr;

			if (key < bpf_map__max_entries(l->skel->maps.calls) &&
			    bpf_map_update_elem(fd, &key, &rows[nr], BPF_ANY) < 0)
				r = aq_err_set(err, -errno, "can't fill the table of system calls: %s", strerror(errno));
		}
	}
	free(rows);
	return r;
}

/* What libbpf and the verifier say: collected while loading, shown if it fails. */
static _Thread_local struct {
	char *text;
	size_t len, size;
} load_log;

static int __attribute__((format(printf, 2, 0))) collect_log(enum libbpf_print_level level, const char *format, va_list args)
{
	int n;

	if (level == LIBBPF_DEBUG || load_log.text == NULL)
		return 0;
	n = vsnprintf(load_log.text + load_log.len, load_log.size - load_log.len, format, args);
	if (n > 0)
		load_log.len += (size_t)n < load_log.size - load_log.len ? (size_t)n : load_log.size - load_log.len - 1;
	return 0;
}

/* The last line of the log that says something about the cause. */
static void last_words(char *out, size_t size)
{
	char *save = NULL;

	out[0] = '\0';
	for (char *line = strtok_r(load_log.text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "libbpf:", 7) != 0 && strncmp(line, "processed ", 10) != 0 && strncmp(line, "--", 2) != 0 &&
		    line[0] != '\0')
			snprintf(out, size, "%s", line);
}

static int load_programs(struct aq_live *l, bool verbose, struct aq_err *err)
{
	char words[160];
	int r;

	load_log.size = 1 << 20;
	load_log.len = 0;
	load_log.text = malloc(load_log.size);
	if (load_log.text != NULL)
		load_log.text[0] = '\0';
	libbpf_set_print(collect_log);
	r = aquila_bpf__load(l->skel);
	libbpf_set_print(NULL);
	if (r < 0 && load_log.text != NULL) {
		if (verbose)
			fputs(load_log.text, stderr);
		last_words(words, sizeof(words));
		aq_err_set(err, r, "the kernel refuses the programs: %s%s%s%s", strerror(-r), words[0] != '\0' ? " (" : "", words,
			   words[0] == '\0' ? "" : verbose ? ")" : "; --verbose shows all)");
	} else if (r < 0) {
		aq_err_set(err, r, "the kernel refuses the programs: %s", strerror(-r));
	}
	free(load_log.text);
	load_log.text = NULL;
	return r;
}

struct program {
	struct bpf_program *prog;
	const char *tracepoint;
	bool required;
};

/* Which program hangs on which tracepoint; the last row is empty. */
static void list_programs(const struct aq_live *l, struct program list[MAX_PROGRAMS])
{
	const struct aquila_bpf *s = l->skel;
	const struct program all[] = {
		{ s->progs.aq_fork, "sched_process_fork", true },
		{ s->progs.aq_exec, "sched_process_exec", true },
		{ s->progs.aq_exit, "sched_process_exit", true },
		{ s->progs.aq_rename, "task_rename", false },
		{ s->progs.aq_cgroup_mkdir, "cgroup_mkdir", false },
		{ s->progs.aq_cgroup_rmdir, "cgroup_rmdir", false },
		{ s->progs.aq_cgroup_attach, "cgroup_attach_task", false },
		{ s->progs.aq_sys_enter, "sys_enter", false },
		{ s->progs.aq_uring_submit_req, "io_uring_submit_req", false },
		{ s->progs.aq_uring_submit_sqe, "io_uring_submit_sqe", false },
		{ s->progs.aq_uring_refused, "io_uring_req_failed", false },
		{ s->progs.aq_uring_complete, "io_uring_complete", false },
		{ s->progs.aq_sys_exit, "sys_exit", true },
		{ s->progs.aq_fork_again, "sched_process_fork", false }, /* behind the first ones */
		{ s->progs.aq_exec_again, "sched_process_exec", false },
		{ s->progs.aq_exit_again, "sched_process_exit", false },
		{ NULL, NULL, false },
	};

	memcpy(list, all, sizeof(all));
}

static void note_missing(struct aq_live *l, const char *name)
{
	size_t n = strlen(l->missing);

	snprintf(l->missing + n, sizeof(l->missing) - n, "%s%s", n > 0 ? " " : "", name);
}

/* Those of io_uring are loaded only where they are there in a form that the programs know. */
static void choose_uring(struct aq_live *l, const struct btf *btf)
{
	const struct aquila_bpf *s = l->skel;
	struct aq_uring_forms forms;

	aq_uring_forms(btf, &forms);
	l->skel->rodata->cfg_uring_submit = forms.submit;
	l->skel->rodata->cfg_uring_complete = forms.complete;
	bpf_program__set_autoload(s->progs.aq_uring_submit_req, forms.submit != 0 && forms.submit_req);
	bpf_program__set_autoload(s->progs.aq_uring_submit_sqe, forms.submit != 0 && !forms.submit_req);
	bpf_program__set_autoload(s->progs.aq_uring_refused, forms.refused);
	bpf_program__set_autoload(s->progs.aq_uring_complete, forms.complete != 0);
	if (forms.submit == 0)
		note_missing(l, "io_uring_submit");
	if (forms.complete == 0)
		note_missing(l, "io_uring_complete");
}

/* A tracepoint that this kernel does not have must not keep the others from loading; what it has is made use of. */
static void adapt_to_kernel(struct aq_live *l)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct program list[MAX_PROGRAMS];

	choose_uring(l, btf);
	list_programs(l, list);
	for (unsigned i = 0; btf != NULL && list[i].prog != NULL; i++) {
		char type[64];

		if (!bpf_program__autoload(list[i].prog))
			continue;
		snprintf(type, sizeof(type), "btf_trace_%s", list[i].tracepoint);
		if (btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0)
			continue;
		bpf_program__set_autoload(list[i].prog, false);
		note_missing(l, list[i].tracepoint);
	}
	/* earlier kernels do it for the programs */
	l->skel->rodata->cfg_pin = aq_kernel_at_least(AQ_PREEMPTIBLE_SINCE) && btf != NULL &&
				   btf__find_by_name_kind(btf, "bpf_preempt_disable", BTF_KIND_FUNC) > 0;
	bpf_program__set_autoload(l->skel->progs.aq_fork_again, l->skel->rodata->cfg_pin != 0);
	bpf_program__set_autoload(l->skel->progs.aq_exec_again, l->skel->rodata->cfg_pin != 0);
	bpf_program__set_autoload(l->skel->progs.aq_exit_again, l->skel->rodata->cfg_pin != 0);
	if (l->skel->rodata->cfg_pin)
		(void)bpf_map__set_max_entries(l->skel->maps.noted, NOTED_SLOTS);
	l->skel->rodata->cfg_typed_pointers =
		btf != NULL && btf__find_by_name_kind(btf, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0;
	btf__free(btf);
}

/* As many as there can be thread ids, within bounds: threads that share a slot make each other's durations unknown. */
static uint32_t stamp_count(void)
{
	FILE *f = fopen("/proc/sys/kernel/pid_max", "re");
	unsigned pid_max = PID_MAX_DEFAULT;
	uint32_t n = AQ_WIRE_STAMPS_MIN;

	if (f != NULL && fscanf(f, "%u", &pid_max) != 1)
		pid_max = PID_MAX_DEFAULT;
	if (f != NULL)
		fclose(f);
	while (n < pid_max && n < AQ_WIRE_STAMPS_MAX)
		n *= 2;
	return n;
}

/* Where the entry of calls can't be seen, durations stay unknown, and the capture says what is missing. */
static int configure_durations(struct aq_live *l)
{
	uint32_t stamps = stamp_count();
	int r;

	if (!l->durations)
		return 0;
	l->skel->rodata->cfg_durations = 1;
	l->skel->rodata->cfg_stamps = stamps;
	r = bpf_map__set_value_size(l->skel->maps.fixed, AQ_WIRE_PART_SLOTS * l->slot_bytes);
	return r == 0 ? bpf_map__set_max_entries(l->skel->maps.stamps, stamps) : r;
}

/* Maps that nothing uses are as small as can be. */
static int configure_policy(struct aq_live *l)
{
	struct aquila_bpf *s = l->skel;
	bool budget = aq_policy_has_budget(l->policy);
	int r = 0;

	memcpy((void *)(uintptr_t)&s->rodata->cfg_filter, &l->policy->filter, sizeof(l->policy->filter));
	s->rodata->cfg_budget = budget;
	s->rodata->cfg_limit = aq_policy_limit(l->policy);
	if (aq_policy_has_cgroups(l->policy))
		r = bpf_map__set_max_entries(s->maps.filter_cgroups, FILTER_CGROUPS);
	if (r == 0 && budget)
		r = bpf_map__set_max_entries(s->maps.budgets, BUDGETS);
	if (r == 0 && budget)
		r = bpf_map__set_max_entries(s->maps.budget_limits, AQ_POLICY_BUDGETS);
	return r == 0 && budget ? bpf_map__set_max_entries(s->maps.budget_drops, BUDGET_DROPS) : r;
}

static int name_cgroup(void *user, uint64_t cgroup_id, uint32_t bits)
{
	const struct aq_live *l = user;

	return bpf_map_update_elem(bpf_map__fd(l->skel->maps.filter_cgroups), &cgroup_id, &bits, BPF_ANY) < 0 ? -errno : 0;
}

static int name_limit(void *user, uint64_t cgroup_id, const struct aq_wire_limit *limit)
{
	const struct aq_live *l = user;

	return bpf_map_update_elem(bpf_map__fd(l->skel->maps.budget_limits), &cgroup_id, limit, BPF_ANY) < 0 ? -errno : 0;
}

static int resolve_policy(struct aq_live *l, struct aq_err *err)
{
	const struct aq_policy_sink sink = { .filter = name_cgroup, .limit = name_limit, .user = l };

	return aq_policy_resolve(l->policy, &sink, err);
}

static int configure(struct aq_live *l, const struct aq_live_options *options, struct aq_err *err)
{
	uint32_t cpus = l->source.rings.cpu_count, rings = cpus * AQ_WIRE_CLASSES;
	enum aq_abi abis[3];
	int r;

	choose_parts(l, options->ring_bytes, rings);
	(void)aq_calls_abis(abis);
	l->skel->rodata->cfg_fixed_parts = l->fixed_parts;
	l->skel->rodata->cfg_attr_parts = l->attr_parts;
	l->skel->rodata->cfg_own_tgid = (uint32_t)getpid();
	l->skel->rodata->cfg_filter_tree = options->only_targets;
	if (options->string_bytes != 0)
		l->skel->rodata->cfg_string_max = options->string_bytes;
	if (options->argv_bytes != 0)
		l->skel->rodata->cfg_argv_max = options->argv_bytes;
	l->skel->rodata->cfg_data_max = options->data_bytes;
	l->skel->rodata->cfg_environment = options->environment;
	l->skel->rodata->cfg_abi = abis[0];
	l->skel->rodata->cfg_compat_abi = abis[1];
	r = bpf_map__set_max_entries(l->skel->maps.ctl, cpus);
	if (r == 0)
		r = configure_policy(l);
	if (r == 0)
		r = configure_durations(l);
	if (r == 0)
		r = bpf_map__set_max_entries(l->skel->maps.fixed, rings * l->fixed_parts);
	if (r == 0)
		r = bpf_map__set_max_entries(l->skel->maps.attr, rings * l->attr_parts);
	return r < 0 ? aq_err_set(err, r, "can't size the rings: %s", strerror(-r)) : 0;
}

int aq_live_load(const struct aq_live_options *options, struct aq_source **ret_source, struct aq_err *err)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int cpus = libbpf_num_possible_cpus(), r;
	struct aq_live *l;

	if (cpus <= 0)
		return aq_err_set(err, cpus < 0 ? cpus : -EINVAL, "the number of CPUs can't be read");
	l = calloc(1, sizeof(*l));
	if (l == NULL || aq_rings_init(&l->source.rings, (uint32_t)cpus) < 0) {
		free(l);
		return aq_err_set(err, -ENOMEM, "out of memory");
	}
	l->source.ops = &live_ops;
	l->durations = options->durations;
	l->policy = options->policy != NULL ? options->policy : &no_policy;
	l->slot_bytes = options->durations ? sizeof(struct aq_wire_timed) : sizeof(struct aq_wire_fixed);
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited); /* before 5.11 maps are charged to it */
	libbpf_set_print(NULL);
	l->skel = aquila_bpf__open();
	if (l->skel == NULL) {
		r = aq_err_set(err, -errno, "the programs can't be opened: %s", strerror(errno));
	} else {
		bpf_program__set_autoload(l->skel->progs.aq_sys_enter, options->durations);
		adapt_to_kernel(l);
		r = configure(l, options, err);
		if (r == 0)
			r = load_programs(l, options->verbose, err);
		if (r == 0)
			r = map_rings(l, err);
		if (r == 0)
			r = fill_calls(l, options, err);
		if (r == 0)
			r = resolve_policy(l, err);
	}
	if (r < 0) {
		live_free(&l->source);
		return r;
	}
	*ret_source = &l->source;
	return 0;
}

int aq_live_add_target(struct aq_source *src, pid_t pid, struct aq_err *err)
{
	uint32_t key = (uint32_t)pid, one = 1;

	if (bpf_map_update_elem(bpf_map__fd(live(src)->skel->maps.targets), &key, &one, BPF_ANY) < 0)
		return aq_err_set(err, -errno, "can't name the command to the kernel side: %s", strerror(errno));
	return 0;
}

/* Births before calls, so that no process makes a call that nobody saw it born for. */
int aq_live_attach(struct aq_source *src, struct aq_err *err)
{
	struct aq_live *l = live(src);
	struct program list[MAX_PROGRAMS];

	list_programs(l, list);
	for (unsigned i = 0; list[i].prog != NULL; i++) {
		struct bpf_link *link;

		if (bpf_program__fd(list[i].prog) < 0)
			continue;
		link = bpf_program__attach(list[i].prog);
		if (link != NULL) {
			l->links[l->link_count++] = link;
		} else if (list[i].required) {
			int error = errno;

			(void)live_stop(src, NULL);
			return aq_err_set(err, -error, "can't attach to the tracepoint %s: %s", list[i].tracepoint,
					  strerror(error));
		} else {
			note_missing(l, list[i].tracepoint);
		}
	}
	return resolve_policy(l, err); /* once more: cgroups that were made meanwhile */
}

const char *aq_live_missing(struct aq_source *src)
{
	return live(src)->missing;
}

uint64_t aq_live_ring_bytes(struct aq_source *src)
{
	return live(src)->fixed.bytes + live(src)->attr.bytes;
}
