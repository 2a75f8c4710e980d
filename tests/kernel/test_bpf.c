/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_bpf_skel aq_schema aq_base */
/*
 * The kernel side by itself: loaded with small rings, it records this process alone; the rings are read here and each
 * record is held against the call that was made. What the whole recorder shows is tested elsewhere.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recorder/calls.h"
#include "recorder/decode.h"
#include "recorder/rings.h"

#include "bpf/wire.h"

#include "aquila.skel.h"
#include "tests/unit/aq_test.h"

static_assert((int)AQ_WIRE_ATF_TRUNCATED == (int)AQ_ATF_TRUNCATED, "attribute flags on the wire and in captures");
static_assert((int)AQ_WIRE_ATF_UNREADABLE == (int)AQ_ATF_UNREADABLE, "attribute flags on the wire and in captures");
static_assert((int)AQ_WIRE_ATF_PARTIAL == (int)AQ_ATF_PARTIAL, "attribute flags on the wire and in captures");

enum { FIXED_PARTS = 1, ATTR_PARTS = 1, MAX_EVENTS = 8192, TEXT_MAX = 5000 };

struct seen_event {
	struct aq_event ev;
	char *text[AQ_EVENT_MAX_ATTRS];
};

struct side { /* the kernel side and what was read from it */
	struct aquila_bpf *skel;
	struct bpf_link *links[16];
	unsigned link_count;
	struct aq_wire_cpu *ctl;
	uint8_t *fixed, *attr;
	int cpus;
	struct seen_event *events;
	size_t count;
	struct aq_decode_scratch scratch;
};

enum {
	FIXED_BYTES = AQ_WIRE_PART_SLOTS * sizeof(struct aq_wire_fixed),
	ATTR_BYTES = AQ_WIRE_ATTR_PART + AQ_WIRE_ATTR_MAX
};

static void *map_memory(const struct bpf_map *map, size_t bytes, int prot)
{
	void *p = mmap(NULL, (bytes + 4095) & ~(size_t)4095, prot, MAP_SHARED, bpf_map__fd(map), 0);

	return p == MAP_FAILED ? NULL : p;
}

static void fill_calls(const struct aquila_bpf *skel)
{
	static struct aq_wire_call rows[AQ_WIRE_NR_MAX];
	enum aq_abi abis[3];
	unsigned count = aq_calls_abis(abis);

	for (unsigned i = 0; i < count; i++) {
		aq_calls_fill(abis[i], NULL, rows);
		for (uint32_t nr = 0; nr < AQ_WIRE_NR_MAX; nr++) {
			uint32_t key = (uint32_t)abis[i] * AQ_WIRE_NR_MAX + nr;

			AQ_REQUIRE(bpf_map_update_elem(bpf_map__fd(skel->maps.calls), &key, &rows[nr], BPF_ANY) == 0);
		}
	}
}

/* Loaded and attached; records thread group `target` and its descendants, or everything but this process if 0. */
static struct side *begin(pid_t target)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct side *s = calloc(1, sizeof(*s));
	uint32_t rings, key = (uint32_t)target, one = 1;
	struct bpf_program *program;
	cpu_set_t set;

	if (geteuid() != 0 || access("/sys/kernel/btf/vmlinux", R_OK) != 0) {
		free(s);
		AQ_SKIP("needs root and the kernel's types");
	}
	AQ_REQUIRE(s != NULL);
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
	s->cpus = libbpf_num_possible_cpus();
	s->events = calloc(MAX_EVENTS, sizeof(*s->events));
	s->skel = aquila_bpf__open();
	AQ_REQUIRE(s->events != NULL && s->skel != NULL);
	rings = (uint32_t)s->cpus * AQ_WIRE_CLASSES;
	s->skel->rodata->cfg_fixed_parts = FIXED_PARTS;
	s->skel->rodata->cfg_attr_parts = ATTR_PARTS;
	s->skel->rodata->cfg_filter_tree = target != 0;
	s->skel->rodata->cfg_own_tgid = target == 0 ? (uint32_t)getpid() : 0;
	bpf_map__set_max_entries(s->skel->maps.ctl, (uint32_t)s->cpus);
	bpf_map__set_max_entries(s->skel->maps.fixed, rings * FIXED_PARTS);
	bpf_map__set_max_entries(s->skel->maps.attr, rings * ATTR_PARTS);
	AQ_REQUIRE(aquila_bpf__load(s->skel) == 0);
	s->ctl = map_memory(s->skel->maps.ctl, (size_t)s->cpus * sizeof(*s->ctl), PROT_READ | PROT_WRITE);
	s->fixed = map_memory(s->skel->maps.fixed, (size_t)rings * FIXED_BYTES, PROT_READ);
	s->attr = map_memory(s->skel->maps.attr, (size_t)rings * ATTR_BYTES, PROT_READ);
	AQ_REQUIRE(s->ctl != NULL && s->fixed != NULL && s->attr != NULL);
	fill_calls(s->skel);
	if (target != 0)
		AQ_REQUIRE(bpf_map_update_elem(bpf_map__fd(s->skel->maps.targets), &key, &one, BPF_ANY) == 0);
	bpf_object__for_each_program(program, s->skel->obj) {
		struct bpf_link *link = bpf_program__autoload(program) ? bpf_program__attach(program) : NULL;

		if (!bpf_program__autoload(program))
			continue;
		AQ_REQUIRE(link != NULL);
		s->links[s->link_count++] = link;
	}
	return s;
}

static const struct aq_wire_attr_record *attr_of(const struct side *s, struct aq_ring *ring, uint32_t seq)
{
	(void)s;
	for (uint64_t pos = ring->ctl->attr_tail; pos < ring->ctl->attr_head;) {
		const struct aq_wire_attr_record *record = (const void *)aq_ring_attr(ring, pos);

		AQ_REQUIRE(record->bytes >= sizeof(*record) && record->bytes % 8 == 0);
		if (record->seq == seq)
			return record;
		pos += record->bytes;
	}
	return NULL;
}

static void keep(struct side *s, const struct aq_event *ev)
{
	struct seen_event *e = &s->events[s->count++];

	e->ev = *ev;
	for (unsigned i = 0; i < ev->attr_count; i++) {
		e->text[i] = calloc(1, ev->attrs[i].len + 1);
		memcpy(e->text[i], ev->attrs[i].data, ev->attrs[i].len);
	}
}

static void read_ring(struct side *s, uint32_t cpu, uint32_t cls)
{
	size_t index = (size_t)cpu * AQ_WIRE_CLASSES + cls;
	struct aq_ring ring = {
		.ctl = &s->ctl[cpu].ring[cls],
		.fixed = s->fixed + index * FIXED_PARTS * FIXED_BYTES,
		.attr = s->attr + index * ATTR_PARTS * ATTR_BYTES,
		.fixed_stride = FIXED_BYTES,
		.attr_stride = ATTR_BYTES,
		.slot_bytes = sizeof(struct aq_wire_fixed),
		.fixed_parts = FIXED_PARTS,
		.attr_parts = ATTR_PARTS,
	};
	uint64_t last_ns = 0;

	AQ_CHECK_EQ_U64(ring.ctl->produced, ring.ctl->head + ring.ctl->lost + ring.ctl->policy);
	AQ_CHECK_EQ_U64(ring.ctl->busy, 0);
	for (uint64_t pos = ring.ctl->tail; pos < ring.ctl->head && s->count < MAX_EVENTS; pos++) {
		const struct aq_wire_fixed *fixed = aq_ring_slot(&ring, pos);
		const struct aq_wire_attr_record *record = NULL;
		struct aq_event ev;

		if (fixed->flags & AQ_WIRE_HAS_ATTR) {
			record = attr_of(s, &ring, fixed->seq);
			AQ_CHECK(record != NULL && record->event == fixed->event && record->time_ns == fixed->time_ns);
		}
		aq_decode(fixed, record, record != NULL ? record->bytes : 0, cpu, cls, &s->scratch, &ev);
		AQ_CHECK(fixed->time_ns >= last_ns);
		last_ns = fixed->time_ns;
		keep(s, &ev);
	}
}

/* Detaches and reads everything; the counters must agree. */
static void end(struct side *s)
{
	uint64_t produced = 0, seen = 0, lost = 0, lost_by_event = 0;

	while (s->link_count > 0)
		bpf_link__destroy(s->links[--s->link_count]);
	for (int cpu = 0; cpu < s->cpus; cpu++) {
		for (uint32_t cls = 0; cls < AQ_WIRE_CLASSES; cls++) {
			read_ring(s, (uint32_t)cpu, cls);
			produced += s->ctl[cpu].ring[cls].produced;
			lost += s->ctl[cpu].ring[cls].lost;
		}
		for (unsigned i = 0; i < AQ_WIRE_EVENTS; i++) {
			seen += s->ctl[cpu].seen[i];
			lost_by_event += s->ctl[cpu].lost[i];
		}
	}
	AQ_CHECK_EQ_U64(produced, seen);
	AQ_CHECK_EQ_U64(lost, lost_by_event);
}

static void side_free(struct side *s)
{
	uint32_t rings = (uint32_t)s->cpus * AQ_WIRE_CLASSES;

	for (size_t i = 0; i < s->count; i++)
		for (unsigned k = 0; k < s->events[i].ev.attr_count; k++)
			free(s->events[i].text[k]);
	munmap(s->ctl, ((size_t)s->cpus * sizeof(*s->ctl) + 4095) & ~(size_t)4095);
	munmap(s->fixed, (size_t)rings * FIXED_BYTES);
	munmap(s->attr, (size_t)rings * ATTR_BYTES);
	aquila_bpf__destroy(s->skel);
	free(s->events);
	free(s);
}

/* The n-th event of that id (from 0), or NULL. */
static const struct seen_event *find(const struct side *s, unsigned id, unsigned n)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->events[i].ev.id == id && n-- == 0)
			return &s->events[i];
	return NULL;
}

static unsigned count_of(const struct side *s, unsigned id)
{
	unsigned n = 0;

	while (find(s, id, n) != NULL)
		n++;
	return n;
}

static const struct aq_attr *attr(const struct seen_event *e, enum aq_attr_key key, const char **ret_text)
{
	for (unsigned i = 0; e != NULL && i < e->ev.attr_count; i++) {
		if (e->ev.attrs[i].key != key)
			continue;
		*ret_text = e->text[i];
		return &e->ev.attrs[i];
	}
	*ret_text = NULL;
	return NULL;
}

AQ_TEST(strings_cut_and_whole)
{
	static char path[8192], link[4096 + 8];
	const char *text;
	struct side *s = begin(getpid());
	const struct aq_attr *a;
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(page + 4096, 4096);
	memset(path, 'a', 4095);
	syscall(SYS_faccessat, AT_FDCWD, path, 0); /* 0: 4095 bytes, fills the buffer exactly */
	path[4095] = 'b';
	syscall(SYS_faccessat, AT_FDCWD, path, 0); /* 1: one more */
	syscall(SYS_faccessat, AT_FDCWD, (char *)8, 0); /* 2: not readable */
	strcpy(page + 4096 - 8, "at end!");
	syscall(SYS_faccessat, AT_FDCWD, page + 4096 - 8, 0); /* 3: ends with the page */
	syscall(SYS_faccessat, AT_FDCWD, "", 0); /* 4: empty */
	syscall(SYS_faccessat, AT_FDCWD, NULL, 0); /* 5: no pointer, no attribute */
	snprintf(link, sizeof(link), "%.4000s", path);
	syscall(SYS_symlinkat, link, AT_FDCWD, "/nonexistent/link");
	end(s);
	a = attr(find(s, AQ_EV_faccessat, 0), AQ_ATTR_PATH, &text);
	AQ_REQUIRE(a != NULL);
	AQ_CHECK_EQ_INT(a->len, 4095);
	AQ_CHECK_EQ_INT(a->flags, 0);
	a = attr(find(s, AQ_EV_faccessat, 1), AQ_ATTR_PATH, &text);
	AQ_REQUIRE(a != NULL);
	AQ_CHECK_EQ_INT(a->len, 4095);
	AQ_CHECK_EQ_INT(a->flags, AQ_ATF_TRUNCATED);
	a = attr(find(s, AQ_EV_faccessat, 2), AQ_ATTR_PATH, &text);
	AQ_REQUIRE(a != NULL);
	AQ_CHECK_EQ_INT(a->flags, AQ_ATF_UNREADABLE);
	AQ_CHECK_EQ_INT(a->len, 0);
	attr(find(s, AQ_EV_faccessat, 3), AQ_ATTR_PATH, &text);
	AQ_CHECK_EQ_STR(text, "at end!");
	a = attr(find(s, AQ_EV_faccessat, 4), AQ_ATTR_PATH, &text);
	AQ_REQUIRE(a != NULL);
	AQ_CHECK(a->len == 0 && a->flags == 0);
	AQ_REQUIRE(find(s, AQ_EV_faccessat, 5) != NULL);
	AQ_CHECK_EQ_INT(find(s, AQ_EV_faccessat, 5)->ev.attr_count, 0);
	a = attr(find(s, AQ_EV_symlinkat, 0), AQ_ATTR_PATH, &text);
	AQ_REQUIRE(a != NULL);
	AQ_CHECK_EQ_INT(a->len, 4000);
	attr(find(s, AQ_EV_symlinkat, 0), AQ_ATTR_PATH2, &text);
	AQ_CHECK_EQ_STR(text, "/nonexistent/link");
	munmap(page, 4096);
	side_free(s);
}

/* What a program would have got that was not executed; one that was has them from its own memory. */
AQ_TEST(argument_vectors)
{
	static const char *const argv[] = { "one", "", "two words", NULL };
	const struct aq_attr *a;
	struct side *s = begin(getpid());
	const char *text;

	syscall(SYS_execve, "/nonexistent/program", argv, NULL);
	end(s);
	attr(find(s, AQ_EV_execve, 0), AQ_ATTR_PATH, &text);
	AQ_CHECK_EQ_STR(text, "/nonexistent/program");
	a = attr(find(s, AQ_EV_execve, 0), AQ_ATTR_ARGV, &text);
	AQ_REQUIRE(a != NULL);
	AQ_CHECK_EQ_INT(a->len, sizeof("one\0\0two words"));
	AQ_CHECK_EQ_MEM(text, "one\0\0two words", sizeof("one\0\0two words"));
	AQ_CHECK_EQ_INT(a->flags, 0);
	side_free(s);
}

/* A folder below many others: deeper than the loop goes the path is partial, and ends as it should. */
AQ_TEST(kernel_paths)
{
	char folder[] = "/tmp/aquila-bpf-XXXXXX", wanted[128], deep[64 * 4 + 1] = "";
	const struct aq_attr *a;
	struct side *s;
	const char *text;
	int fd, here = open(".", O_RDONLY | O_DIRECTORY);

	AQ_REQUIRE(mkdtemp(folder) != NULL && chdir(folder) == 0);
	for (int i = 0; i < 64; i++) {
		snprintf(deep + 4 * i, 5, "d%02d/", i);
		mkdir(deep, 0700);
	}
	s = begin(getpid());
	fd = open("./here", O_RDWR | O_CREAT, 0600);
	close(fd);
	fd = open("/", O_RDONLY | O_DIRECTORY);
	close(fd);
	fd = open("/proc/self/status", O_RDONLY);
	close(fd);
	fd = open(deep, O_RDONLY | O_DIRECTORY);
	close(fd);
	fd = memfd_create("payload", 0);
	snprintf(wanted, sizeof(wanted), "/proc/self/fd/%d", fd);
	close(open(wanted, O_RDONLY));
	end(s);
	snprintf(wanted, sizeof(wanted), "%s/here", folder);
	attr(find(s, AQ_EV_openat, 0), AQ_ATTR_KPATH, &text);
	AQ_CHECK_EQ_STR(text, wanted);
	attr(find(s, AQ_EV_openat, 0), AQ_ATTR_PATH, &text);
	AQ_CHECK_EQ_STR(text, "./here");
	attr(find(s, AQ_EV_openat, 1), AQ_ATTR_KPATH, &text);
	AQ_CHECK_EQ_STR(text, "/");
	snprintf(wanted, sizeof(wanted), "/proc/%d/status", (int)getpid());
	attr(find(s, AQ_EV_openat, 2), AQ_ATTR_KPATH, &text);
	AQ_CHECK_EQ_STR(text, wanted);
	a = attr(find(s, AQ_EV_openat, 3), AQ_ATTR_KPATH, &text);
	AQ_REQUIRE(a != NULL);
	AQ_CHECK_EQ_INT(a->flags, AQ_ATF_PARTIAL);
	AQ_CHECK(strlen(text) > 8 && strcmp(text + strlen(text) - 8, "/d62/d63") == 0);
	a = attr(find(s, AQ_EV_openat, 4), AQ_ATTR_KPATH, &text);
	AQ_REQUIRE(a != NULL);
	AQ_CHECK_EQ_STR(text, "memfd:payload");
	AQ_CHECK_EQ_INT(a->flags, AQ_ATF_PARTIAL);
	close(fd);
	if (fchdir(here) < 0)
		AQ_CHECK(false);
	close(here);
	snprintf(wanted, sizeof(wanted), "rm -rf %s", folder);
	AQ_CHECK(system(wanted) == 0);
	side_free(s);
}

AQ_TEST(sockets)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0aquila-test-socket" };
	socklen_t name_len = offsetof(struct sockaddr_un, sun_path) + 19, len;
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT }, got;
	struct side *s = begin(getpid());
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0), fds[2], accepted;
	bool have_in6;
	const char *text;
	const struct aq_attr *a;

	AQ_CHECK(bind(server, (struct sockaddr *)&name, name_len) == 0 && listen(server, 1) == 0);
	AQ_CHECK(connect(client, (struct sockaddr *)&name, name_len) == 0);
	accepted = accept(server, NULL, NULL);
	close(accepted);
	close(client);
	close(server);
	server = socket(AF_INET6, SOCK_STREAM, 0);
	client = socket(AF_INET6, SOCK_STREAM, 0);
	have_in6 = bind(server, (struct sockaddr *)&in6, sizeof(in6)) == 0 && listen(server, 1) == 0;
	len = sizeof(in6);
	if (have_in6 && getsockname(server, (struct sockaddr *)&in6, &len) == 0)
		AQ_CHECK(connect(client, (struct sockaddr *)&in6, sizeof(in6)) == 0);
	close(client);
	close(server);
	AQ_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	close(fds[0]);
	close(fds[1]);
	end(s);
	a = attr(find(s, AQ_EV_connect, 0), AQ_ATTR_TUPLE, &text);
	AQ_REQUIRE(a != NULL);
	AQ_CHECK_EQ_INT(a->len, 56);
	AQ_CHECK_EQ_MEM(text + 28, &name, 21);
	a = attr(find(s, AQ_EV_connect, 0), AQ_ATTR_SOCKADDR, &text);
	AQ_REQUIRE(a != NULL);
	AQ_CHECK_EQ_INT(a->len, name_len);
	AQ_CHECK_EQ_MEM(text, &name, name_len);
	a = attr(find(s, AQ_EV_accept, 0), AQ_ATTR_TUPLE, &text);
	if (a == NULL)
		a = attr(find(s, AQ_EV_accept4, 0), AQ_ATTR_TUPLE, &text);
	AQ_REQUIRE(a != NULL);
	AQ_CHECK_EQ_MEM(text, &name, 21);
	a = attr(find(s, AQ_EV_socketpair, 0), AQ_ATTR_FDS, &text);
	AQ_REQUIRE(a != NULL && a->len == 8);
	AQ_CHECK_EQ_MEM(text, fds, 8);
	if (have_in6) {
		a = attr(find(s, AQ_EV_getsockname, 0), AQ_ATTR_SOCKADDR, &text);
		AQ_REQUIRE(a != NULL);
		AQ_CHECK_EQ_INT(a->len, sizeof(in6));
		a = attr(find(s, AQ_EV_connect, 1), AQ_ATTR_TUPLE, &text);
		AQ_REQUIRE(a != NULL);
		memcpy(&got, text + 28, sizeof(got));
		AQ_CHECK(got.sin6_family == AF_INET6 && got.sin6_port == in6.sin6_port);
		AQ_CHECK_EQ_MEM(&got.sin6_addr, &in6.sin6_addr, 16);
	}
	side_free(s);
}

AQ_TEST(full_rings)
{
	static const char *const name = "/nonexistent/file";
	struct side *s = begin(getpid());
	const struct aq_wire_ring *bulk, *ordinary;
	unsigned calls = AQ_WIRE_PART_SLOTS + 500, degraded = 0;

	for (unsigned i = 0; i < calls; i++)
		syscall(SYS_getppid);
	for (unsigned i = 0; i < AQ_WIRE_PART_SLOTS - 100; i++)
		syscall(SYS_faccessat, AT_FDCWD, name, 0);
	end(s);
	for (size_t i = 0; i < s->count; i++)
		degraded += s->events[i].ev.id == AQ_EV_faccessat && (s->events[i].ev.flags & AQ_EVF_DEGRADED);
	bulk = &s->ctl[0].ring[aq_schema_event(AQ_EV_getppid)->cls];
	ordinary = &s->ctl[0].ring[aq_schema_event(AQ_EV_faccessat)->cls];
	if (bulk != ordinary) {
		AQ_CHECK_EQ_U64(bulk->head, AQ_WIRE_PART_SLOTS);
		AQ_CHECK_EQ_U64(s->ctl[0].seen[AQ_EV_getppid], calls);
		AQ_CHECK_EQ_U64(s->ctl[0].seen[AQ_EV_faccessat], AQ_WIRE_PART_SLOTS - 100);
		/* 64 bytes each: the ring holds fewer than were made, the others are there without their strings */
		AQ_CHECK(degraded == 0 || ordinary->attr_lost >= degraded);
	}
	AQ_CHECK(bulk->lost >= 500 && bulk->lost_last_ns > 0);
	AQ_CHECK(degraded > 0 && degraded < AQ_WIRE_PART_SLOTS);
	side_free(s);
}

static void on_signal(int sig)
{
	(void)sig;
}

AQ_TEST(odd_numbers)
{
	struct side *s = begin(getpid());
	const struct seen_event *unknown = NULL;

	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	syscall(1000, 1, 2, 3); /* nobody's number */
	syscall(70000, 4, 5, 6);
	end(s);
	AQ_CHECK(find(s, AQ_EV_rt_sigreturn, 0) != NULL);
	for (unsigned n = 0; n < 2; n++) {
		unknown = find(s, AQ_EV_UNKNOWN, n);
		AQ_REQUIRE(unknown != NULL);
		AQ_CHECK_EQ_INT(unknown->ev.nr, n == 0 ? 1000 : 70000);
		AQ_CHECK_EQ_INT(unknown->ev.ret, -ENOSYS);
		AQ_CHECK(unknown->ev.flags & AQ_EVF_UNKNOWN_NR);
		AQ_CHECK_EQ_U64(unknown->ev.args[0], n == 0 ? 1 : 4);
	}
	side_free(s);
}

#ifdef __x86_64__
/* 32-bit entry from a 64-bit process: arguments from the other registers, cut to 32 bits; a signed result. */
AQ_TEST(compat_entry)
{
	struct side *s = begin(getpid());
	const struct seen_event *e;
	int ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	AQ_CHECK_EQ_INT(ret, getpid());
	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(6), "b"(0xffffff9c) : "memory", "r8", "r9", "r10", "r11");
	end(s);
	e = find(s, AQ_EV_getpid, 0);
	AQ_REQUIRE(e != NULL);
	AQ_CHECK_EQ_INT(e->ev.abi, AQ_ABI_I386);
	AQ_CHECK_EQ_INT(e->ev.ret, getpid());
	e = NULL;
	for (unsigned n = 0; find(s, AQ_EV_close, n) != NULL; n++)
		if (find(s, AQ_EV_close, n)->ev.abi == AQ_ABI_I386)
			e = find(s, AQ_EV_close, n);
	AQ_REQUIRE(e != NULL);
	AQ_CHECK_EQ_INT(e->ev.ret, -EBADF);
	AQ_CHECK_EQ_U64(e->ev.args[0], 0xffffff9c);
	side_free(s);
}
#endif

AQ_TEST(family_only)
{
	struct side *s = begin(getpid());
	pid_t child = fork();
	const struct seen_event *e;
	const char *text;

	if (child == 0) {
		prctl(PR_SET_NAME, "bpf-child");
		prctl(PR_SET_NAME, "bpf-child"); /* the same: not told */
		execl("/bin/true", "true", "argument", (char *)NULL);
		_exit(1);
	}
	waitpid(child, NULL, 0);
	end(s);
	for (size_t i = 0; i < s->count; i++)
		AQ_CHECK(s->events[i].ev.pid == (uint32_t)getpid() || s->events[i].ev.pid == (uint32_t)child);
	e = find(s, AQ_EV_proc_fork, 0);
	AQ_REQUIRE(e != NULL);
	AQ_CHECK_EQ_INT(e->ev.args[1], child);
	AQ_CHECK_EQ_INT(e->ev.args[5], getpid());
	e = find(s, AQ_EV_proc_exec, 0);
	AQ_REQUIRE(e != NULL);
	AQ_CHECK_EQ_INT(e->ev.args[6], geteuid());
	AQ_CHECK_EQ_INT(e->ev.args[8], getpid());
	AQ_CHECK_EQ_INT(e->ev.args[9], getsid(0));
	AQ_CHECK_EQ_INT(e->ev.args[10], getpgrp());
	attr(e, AQ_ATTR_ARGV, &text);
	AQ_REQUIRE(text != NULL);
	AQ_CHECK_EQ_MEM(text, "true\0argument", 14);
	attr(e, AQ_ATTR_KPATH, &text);
	char resolved[PATH_MAX];
	AQ_CHECK_EQ_STR(text, realpath("/bin/true", resolved));
	attr(find(s, AQ_EV_proc_rename, 0), AQ_ATTR_COMM, &text);
	AQ_CHECK_EQ_STR(text, "bpf-child");
	attr(find(s, AQ_EV_proc_rename, 1), AQ_ATTR_COMM, &text); /* by exec */
	AQ_CHECK_EQ_STR(text, "true");
	AQ_CHECK_EQ_INT(count_of(s, AQ_EV_proc_rename), 2);
	AQ_CHECK_EQ_INT(count_of(s, AQ_EV_proc_exit), 1);
	uint32_t key = (uint32_t)child, value;
	AQ_CHECK(bpf_map_lookup_elem(bpf_map__fd(s->skel->maps.targets), &key, &value) < 0);
	side_free(s);
}

AQ_TEST(executables_in_memory_and_deleted)
{
	struct side *s = begin(getpid());
	int in = open("/bin/true", O_RDONLY), fd = memfd_create("payload", 0), deleted;
	char buffer[65536], path[64], copy[] = "/tmp/aquila-bpf-exe-XXXXXX";
	const char *text;
	ssize_t n;
	pid_t child;

	deleted = mkstemp(copy);
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		if (write(fd, buffer, (size_t)n) != n || write(deleted, buffer, (size_t)n) != n)
			AQ_CHECK(false);
	fchmod(deleted, 0700);
	close(deleted);
	deleted = open(copy, O_RDONLY);
	unlink(copy);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", i == 0 ? fd : deleted);
		child = fork();
		if (child == 0) {
			execl(path, "true", (char *)NULL);
			_exit(1);
		}
		waitpid(child, NULL, 0);
	}
	end(s);
	AQ_REQUIRE(find(s, AQ_EV_proc_exec, 1) != NULL);
	AQ_CHECK_EQ_U64(find(s, AQ_EV_proc_exec, 0)->ev.args[5], 1);
	attr(find(s, AQ_EV_proc_exec, 0), AQ_ATTR_KPATH, &text);
	AQ_CHECK_EQ_STR(text, "memfd:payload");
	AQ_CHECK_EQ_U64(find(s, AQ_EV_proc_exec, 1)->ev.args[5] & 5, 4);
	close(in);
	close(fd);
	close(deleted);
	side_free(s);
}

static void copy_true(const char *to)
{
	int in = open("/bin/true", O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0700);
	char buffer[65536];
	ssize_t n;

	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		if (write(out, buffer, (size_t)n) != n)
			AQ_CHECK(false);
	close(in);
	close(out);
}

/* One executable that the image brought and one that was made in the container, run inside another mount namespace. */
AQ_TEST(overlay)
{
	char folder[] = "/tmp/aquila-bpf-XXXXXX", options[128], command[64];
	static const char *const names[] = { "lower", "upper", "work", "merged" };
	struct side *s;
	const char *text;
	int status = 0;
	pid_t child;

	AQ_REQUIRE(mkdtemp(folder) != NULL);
	s = begin(getpid());
	child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("tmpfs", folder, "tmpfs", 0, NULL) < 0 || chdir(folder) < 0)
			_exit(77);
		for (int i = 0; i < 4; i++)
			mkdir(names[i], 0700);
		copy_true("lower/brought");
		snprintf(options, sizeof(options), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", folder,
			 folder, folder);
		if (mount("overlay", "merged", "overlay", 0, options) < 0)
			_exit(77);
		copy_true("merged/made");
		if (fork() == 0) {
			execl("merged/brought", "brought", (char *)NULL);
			_exit(1);
		}
		wait(NULL);
		execl("merged/made", "made", (char *)NULL);
		_exit(1);
	}
	waitpid(child, &status, 0);
	end(s);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	AQ_CHECK(system(command) == 0);
	if (WEXITSTATUS(status) == 77) {
		side_free(s);
		AQ_SKIP("overlays can't be mounted here");
	}
	AQ_REQUIRE(find(s, AQ_EV_proc_exec, 1) != NULL);
	AQ_CHECK_EQ_U64(find(s, AQ_EV_proc_exec, 0)->ev.args[5], 0);
	AQ_CHECK_EQ_U64(find(s, AQ_EV_proc_exec, 1)->ev.args[5], 2);
	attr(find(s, AQ_EV_proc_exec, 1), AQ_ATTR_KPATH, &text);
	snprintf(command, sizeof(command), "%s/merged/made", folder);
	AQ_CHECK_EQ_STR(text, command);
	side_free(s);
}

AQ_TEST(cgroups)
{
	static const char *const mounts[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };
	char folder[128] = "", procs[160];
	struct side *s;
	struct stat st;
	const char *text;
	int fd;
	pid_t child;

	for (int i = 0; i < 2 && folder[0] == '\0'; i++) {
		snprintf(procs, sizeof(procs), "%s/cgroup.procs", mounts[i]);
		if (access(procs, W_OK) == 0)
			snprintf(folder, sizeof(folder), "%s/aquila-bpf-test", mounts[i]);
	}
	if (folder[0] == '\0')
		AQ_SKIP("there is no cgroup version 2 to write to");
	s = begin(getpid());
	if (mkdir(folder, 0755) < 0 || stat(folder, &st) < 0) {
		side_free(s);
		AQ_SKIP("can't make a cgroup");
	}
	child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", folder);
	fd = open(procs, O_WRONLY);
	dprintf(fd, "%d\n", (int)child);
	close(fd);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	for (int i = 0; i < 100 && rmdir(folder) < 0; i++)
		usleep(10000);
	end(s);
	AQ_REQUIRE(find(s, AQ_EV_cgroup_mkdir, 0) != NULL && find(s, AQ_EV_cgroup_attach, 0) != NULL);
	AQ_CHECK_EQ_U64(find(s, AQ_EV_cgroup_mkdir, 0)->ev.args[0], st.st_ino);
	AQ_CHECK_EQ_U64(find(s, AQ_EV_cgroup_attach, 0)->ev.args[0], st.st_ino);
	AQ_CHECK_EQ_INT(find(s, AQ_EV_cgroup_attach, 0)->ev.args[3], child);
	attr(find(s, AQ_EV_cgroup_mkdir, 0), AQ_ATTR_CGROUP_PATH, &text);
	AQ_CHECK(text != NULL && strstr(text, "aquila-bpf-test") != NULL);
	AQ_CHECK(find(s, AQ_EV_cgroup_rmdir, 0) != NULL);
	AQ_REQUIRE(find(s, AQ_EV_proc_exit, 0) != NULL);
	AQ_CHECK_EQ_U64(find(s, AQ_EV_proc_exit, 0)->ev.cgroup_id, st.st_ino);
	side_free(s);
}

AQ_TEST(not_the_recorder_itself)
{
	struct side *s = begin(0);

	for (int i = 0; i < 100; i++)
		syscall(SYS_getppid);
	end(s);
	for (size_t i = 0; i < s->count; i++)
		AQ_CHECK(s->events[i].ev.pid != (uint32_t)getpid());
	side_free(s);
}

AQ_TEST_MAIN()
