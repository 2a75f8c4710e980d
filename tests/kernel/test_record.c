/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * Records programs that make known calls and holds every recorded field against what the program saw itself.
 * Needs root and BPF; AQ_BIN names the folder of aquilad, AQ_TRIGGERS that of the trigger programs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/segment/reader.h"
#include "tests/unit/aq_test.h"

enum { MAX_EVENTS = 400000, TEXT_BYTES = 512 };

struct kept_event { /* an event with the texts copied */
	struct aq_event ev;
	char text[AQ_EVENT_MAX_ATTRS][TEXT_BYTES];
};

struct recording {
	char folder[128], log_path[160], capture_path[160];
	struct kept_event *events; /* those of the trigger's process family, canonical order */
	size_t count;
	int main_pid;
	char lines[4096][256]; /* of the trigger's log */
	size_t line_count;
	struct aq_verify_result verify;
};

static bool can_record(void)
{
	return geteuid() == 0 && access("/sys/kernel/btf/vmlinux", R_OK) == 0 && getenv("AQ_BIN") && getenv("AQ_TRIGGERS");
}

static int run_recorder(struct recording *r, char *const command[])
{
	char program[512];
	snprintf(program, sizeof(program), "%s/aquilad", getenv("AQ_BIN"));
	char *argv[32] = { program, (char *)"-o", r->capture_path, (char *)"--quiet", (char *)"--no-progress", (char *)"--" };
	size_t n = 6;
	for (size_t i = 0; command[i] && n < 31; i++)
		argv[n++] = command[i];
	pid_t child = fork();
	if (child == 0) {
		execv(program, argv);
		_exit(127);
	}
	int status = -1;
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void keep(struct recording *r, const struct aq_event *ev)
{
	if (r->count == MAX_EVENTS)
		return;
	struct kept_event *k = &r->events[r->count++];
	k->ev = *ev;
	for (unsigned i = 0; i < ev->attr_count; i++) {
		size_t n = ev->attrs[i].len < TEXT_BYTES - 1 ? ev->attrs[i].len : TEXT_BYTES - 1;
		memcpy(k->text[i], ev->attrs[i].data, n);
		k->text[i][n] = '\0';
		k->ev.attrs[i].data = NULL;
	}
}

static const char *text_of(const struct kept_event *k, enum aq_attr_key key, uint32_t *ret_len)
{
	for (unsigned i = 0; i < k->ev.attr_count; i++) {
		if (k->ev.attrs[i].key != key)
			continue;
		if (ret_len)
			*ret_len = k->ev.attrs[i].len;
		return k->text[i];
	}
	return NULL;
}

static void read_log(struct recording *r)
{
	FILE *f = fopen(r->log_path, "re");
	if (!f)
		return;
	while (r->line_count < 4096 && fgets(r->lines[r->line_count], 256, f)) {
		r->lines[r->line_count][strcspn(r->lines[r->line_count], "\n")] = '\0';
		r->line_count++;
	}
	fclose(f);
}

static void load(struct recording *r)
{
	struct aq_err err = { 0 };
	struct aq_capture *capture = NULL;
	AQ_REQUIRE(aq_capture_open(r->capture_path, &capture, &err) == 0);
	AQ_CHECK(aq_capture_verify(capture, &r->verify, NULL, NULL, &err) == 0);
	AQ_CHECK(r->verify.finished);
	AQ_CHECK(r->verify.ledger_balances);
	AQ_CHECK_EQ_U64(r->verify.damages, 0);
	AQ_CHECK_EQ_U64(r->verify.lost, 0);
	struct aq_event_iter *it = NULL;
	AQ_REQUIRE(aq_event_iter_new(capture, &(struct aq_iter_options){ 0 }, &it, &err) == 0);
	struct aq_event ev;
	while (aq_event_iter_next(it, &ev, &err) == 1) {
		bool snapshot = ev.id >= AQ_EV_snap_begin && ev.id <= AQ_EV_snap_mount;
		if (!snapshot)
			keep(r, &ev);
	}
	aq_event_iter_free(it);
	aq_capture_close(capture);
}

/* Records `trigger_calls SCENARIO` (or another program of the triggers' folder) and loads the capture. */
static struct recording *record(const char *program, const char *scenario)
{
	struct recording *r = calloc(1, sizeof(*r));
	AQ_REQUIRE(r != NULL);
	r->events = calloc(MAX_EVENTS, sizeof(*r->events));
	AQ_REQUIRE(r->events != NULL);
	snprintf(r->folder, sizeof(r->folder), "/tmp/aquila-test-XXXXXX");
	AQ_REQUIRE(mkdtemp(r->folder) != NULL);
	snprintf(r->log_path, sizeof(r->log_path), "%s/log", r->folder);
	snprintf(r->capture_path, sizeof(r->capture_path), "%s/test.aquila", r->folder);
	char path[512], work[192];
	snprintf(path, sizeof(path), "%s/%s", getenv("AQ_TRIGGERS"), program);
	snprintf(work, sizeof(work), "%s/work", r->folder);
	mkdir(work, 0700);
	char *command[] = { path, (char *)scenario, r->log_path, work, NULL };
	if (!scenario)
		command[1] = NULL;
	int status = run_recorder(r, command);
	AQ_CHECK_EQ_INT(status, 0);
	read_log(r);
	load(r);
	for (size_t i = 0; i < r->line_count; i++)
		if (sscanf(r->lines[i], "M %d", &r->main_pid) == 1)
			break;
	return r;
}

static void recording_free(struct recording *r)
{
	char command[256];
	snprintf(command, sizeof(command), "rm -rf '%s'", r->folder);
	if (system(command) != 0)
		fprintf(stderr, "could not remove %s\n", r->folder);
	free(r->events);
	free(r);
}

static bool is_wide(enum aq_type type)
{
	return type == AQ_TYPE_SIZE || type == AQ_TYPE_OFFSET || type == AQ_TYPE_ADDR || type == AQ_TYPE_LONG ||
	       type == AQ_TYPE_ULONG;
}

static bool is_kept(enum aq_type type)
{
	return type != AQ_TYPE_PTR && type != AQ_TYPE_PATH && type != AQ_TYPE_STRING && type != AQ_TYPE_STRVEC &&
	       type != AQ_TYPE_SOCKADDR;
}

/* Holds one E line against the next event of that thread and call; prints the line when a field differs. */
static void check_line(const struct recording *r, const char *line, size_t *cursor)
{
	long tid, ret, args[6] = { 0 };
	unsigned id, count;
	int used = 0;
	AQ_REQUIRE(sscanf(line, "E %ld %u %ld %u%n", &tid, &id, &ret, &count, &used) == 4 && count <= 6);
	const char *p = line + used;
	for (unsigned i = 0; i < count; i++) {
		char *end;
		args[i] = strtol(p, &end, 10);
		p = end;
	}
	const struct aq_event_schema *schema = aq_schema_event(id);
	AQ_REQUIRE(schema != NULL);
	const char *abi_text = strstr(p, "abi=");
	unsigned abi = abi_text ? (unsigned)atoi(abi_text + 4) : AQ_ABI_X86_64;
	const struct kept_event *found = NULL;
	for (size_t i = *cursor; i < r->count && !found; i++) {
		if (r->events[i].ev.id != id || r->events[i].ev.tid != (uint32_t)tid)
			continue;
		/* other calls of the same kind by the C library lie between: the result and a kept argument tell */
		bool same = r->events[i].ev.ret == ret && (!abi_text || r->events[i].ev.abi == abi);
		for (unsigned a = 0; same && a < count && a < schema->arg_count; a++)
			if (is_kept(schema->args[a].type))
				same = is_wide(schema->args[a].type) ? r->events[i].ev.args[a] == (uint64_t)args[a] :
								       (uint32_t)r->events[i].ev.args[a] == (uint32_t)args[a];
		if (same) {
			found = &r->events[i];
			*cursor = i + 1;
		}
	}
	if (!found)
		fprintf(stderr, "no event of %s for: %s\n", schema->name, line);
	AQ_CHECK(found != NULL);
	if (!found)
		return;
	unsigned key;
	char text[200];
	while (sscanf(p, " %u=%199s%n", &key, text, &used) == 2) {
		const char *have = text_of(found, key, NULL);
		AQ_CHECK(have != NULL);
		if (have)
			AQ_CHECK_EQ_STR(have, text);
		p += used;
	}
	AQ_CHECK_EQ_INT(found->ev.cls, schema->cls);
	AQ_CHECK(found->ev.pid != 0 && found->ev.cgroup_id != 0 && found->ev.time_ns != 0);
	AQ_CHECK_EQ_INT(found->ev.flags & AQ_EVF_DEGRADED, 0);
}

/* All E lines; threads have a cursor each because their lines and events interleave. */
static void check_lines(const struct recording *r)
{
	static struct { long tid; size_t cursor; } cursors[64];
	size_t cursor_count = 0, checked = 0;
	for (size_t i = 0; i < r->line_count; i++) {
		long tid;
		if (sscanf(r->lines[i], "E %ld", &tid) != 1)
			continue;
		size_t c = 0;
		while (c < cursor_count && cursors[c].tid != tid)
			c++;
		if (c == cursor_count) {
			AQ_REQUIRE(cursor_count < 64);
			cursors[cursor_count].tid = tid;
			cursors[cursor_count++].cursor = 0;
		}
		check_line(r, r->lines[i], &cursors[c].cursor);
		checked++;
	}
	AQ_CHECK(checked > 0);
}

static const struct kept_event *find(const struct recording *r, unsigned id, uint32_t pid, size_t from)
{
	for (size_t i = from; i < r->count; i++)
		if (r->events[i].ev.id == id && (pid == 0 || r->events[i].ev.pid == pid))
			return &r->events[i];
	return NULL;
}

static size_t count_of(const struct recording *r, unsigned id, uint32_t pid)
{
	size_t n = 0;
	for (size_t i = 0; i < r->count; i++)
		n += r->events[i].ev.id == id && r->events[i].ev.pid == pid;
	return n;
}

#define NEEDS_BPF()                                                                                                    \
	do {                                                                                                           \
		if (!can_record())                                                                                     \
			AQ_SKIP("needs root, kernel BTF and AQ_BIN, AQ_TRIGGERS");                                     \
	} while (0)

AQ_TEST(files)
{
	NEEDS_BPF();
	struct recording *r = record("trigger_calls", "files");
	check_lines(r);
	/* what was opened carries the kernel's own path as well */
	char wanted[256];
	snprintf(wanted, sizeof(wanted), "%s/work/made", r->folder);
	bool seen = false;
	for (size_t i = 0; i < r->count; i++) {
		const char *kpath = r->events[i].ev.id == AQ_EV_openat ? text_of(&r->events[i], AQ_ATTR_KPATH, NULL) : NULL;
		seen = seen || (kpath && strcmp(kpath, wanted) == 0);
	}
	AQ_CHECK(seen);
	recording_free(r);
}

AQ_TEST(misc)
{
	NEEDS_BPF();
	struct recording *r = record("trigger_calls", "misc");
	check_lines(r);
	recording_free(r);
}

AQ_TEST(sockets)
{
	NEEDS_BPF();
	struct recording *r = record("trigger_calls", "sockets");
	check_lines(r);
	int port = 0, peer_port = 0;
	for (size_t i = 0; i < r->line_count; i++) {
		sscanf(r->lines[i], "P %d", &port);
		sscanf(r->lines[i], "Q %d", &peer_port);
	}
	const struct kept_event *connected = find(r, AQ_EV_connect, (uint32_t)r->main_pid, 0);
	AQ_REQUIRE(connected != NULL);
	uint32_t len = 0;
	const char *bytes = text_of(connected, AQ_ATTR_SOCKADDR, &len);
	AQ_REQUIRE(bytes && len >= sizeof(struct sockaddr_in));
	struct sockaddr_in in;
	memcpy(&in, bytes, sizeof(in));
	AQ_CHECK_EQ_INT(in.sin_family, AF_INET);
	AQ_CHECK_EQ_INT(ntohs(in.sin_port), port);
	AQ_CHECK_EQ_INT((int)ntohl(in.sin_addr.s_addr), INADDR_LOOPBACK);
	const struct kept_event *accepted = find(r, AQ_EV_accept4, (uint32_t)r->main_pid, 0);
	AQ_REQUIRE(accepted != NULL);
	bytes = text_of(accepted, AQ_ATTR_SOCKADDR, &len);
	AQ_REQUIRE(bytes && len >= sizeof(struct sockaddr_in));
	memcpy(&in, bytes, sizeof(in));
	AQ_CHECK_EQ_INT(ntohs(in.sin_port), peer_port);
	bytes = text_of(accepted, AQ_ATTR_TUPLE, &len);
	AQ_REQUIRE(bytes && len == 56);
	memcpy(&in, bytes, sizeof(in));
	AQ_CHECK_EQ_INT(ntohs(in.sin_port), port);
	memcpy(&in, bytes + 28, sizeof(in));
	AQ_CHECK_EQ_INT(ntohs(in.sin_port), peer_port);
	recording_free(r);
}

AQ_TEST(threads)
{
	NEEDS_BPF();
	struct recording *r = record("trigger_calls", "threads");
	check_lines(r);
	unsigned threads = 0;
	for (size_t i = 0; i < r->count; i++)
		threads += r->events[i].ev.id == AQ_EV_proc_fork && r->events[i].ev.pid == (uint32_t)r->main_pid &&
			   r->events[i].ev.args[1] == (uint64_t)r->main_pid;
	AQ_CHECK_EQ_INT(threads, 4);
	recording_free(r);
}

AQ_TEST(processes)
{
	NEEDS_BPF();
	struct recording *r = record("trigger_calls", "processes");
	unsigned children = 0;
	for (size_t i = 0; i < r->line_count; i++) {
		int pid, code, sig;
		if (sscanf(r->lines[i], "X %d %d %d", &pid, &code, &sig) != 3)
			continue;
		children++;
		bool born = false;
		for (size_t k = 0; k < r->count; k++)
			born = born || (r->events[k].ev.id == AQ_EV_proc_fork && r->events[k].ev.args[1] == (uint64_t)pid &&
					r->events[k].ev.args[0] == (uint64_t)pid);
		AQ_CHECK(born);
		const struct kept_event *last = NULL;
		for (size_t k = 0; k < r->count; k++)
			if (r->events[k].ev.id == AQ_EV_proc_exit && r->events[k].ev.pid == (uint32_t)pid)
				last = &r->events[k];
		AQ_REQUIRE(last != NULL);
		AQ_CHECK_EQ_INT((int)last->ev.args[0], code);
		AQ_CHECK_EQ_INT((int)last->ev.args[1], sig);
		AQ_CHECK_EQ_INT((int)last->ev.args[2], 0);
	}
	AQ_CHECK_EQ_INT(children, 5);
	/* the vfork child's exec: file name, whole argv, device and inode of the executable */
	struct stat st;
	AQ_REQUIRE(stat("/bin/echo", &st) == 0);
	const struct kept_event *echo = NULL, *from_thread = NULL;
	for (size_t i = 0; i < r->count; i++) {
		const char *path = r->events[i].ev.id == AQ_EV_proc_exec ? text_of(&r->events[i], AQ_ATTR_PATH, NULL) : NULL;
		if (path && strcmp(path, "/bin/echo") == 0)
			echo = &r->events[i];
		if (path && strcmp(path, "/bin/true") == 0)
			from_thread = &r->events[i];
	}
	AQ_REQUIRE(echo != NULL && from_thread != NULL);
	AQ_CHECK_EQ_U64(echo->ev.args[0], st.st_dev);
	AQ_CHECK_EQ_U64(echo->ev.args[1], st.st_ino);
	uint32_t len = 0;
	const char *argv = text_of(echo, AQ_ATTR_ARGV, &len);
	static const char expected[] = "echo\0one two\0\0three";
	AQ_REQUIRE(argv != NULL);
	AQ_CHECK_EQ_INT(len, sizeof(expected));
	AQ_CHECK(len == sizeof(expected) && memcmp(argv, expected, len) == 0);
	/* exec from a thread: the thread takes the leader's id, its old one is kept */
	AQ_CHECK_EQ_INT(from_thread->ev.tid, from_thread->ev.pid);
	AQ_CHECK(from_thread->ev.args[4] != from_thread->ev.tid);
	/* the failed exec is there as a call */
	bool failed = false;
	for (size_t i = 0; i < r->count; i++) {
		const char *path = r->events[i].ev.id == AQ_EV_execve ? text_of(&r->events[i], AQ_ATTR_PATH, NULL) : NULL;
		failed = failed || (path && strcmp(path, "/no/such/program") == 0 && r->events[i].ev.ret == -ENOENT);
	}
	AQ_CHECK(failed);
	recording_free(r);
}

AQ_TEST(pid_reused)
{
	NEEDS_BPF();
	struct recording *r = record("trigger_calls", "reuse");
	int pid = 0, code, sig;
	unsigned lives = 0;
	uint64_t starts[2] = { 0 };
	for (size_t i = 0; i < r->line_count; i++) {
		if (strncmp(r->lines[i], "S ", 2) == 0) {
			recording_free(r);
			AQ_SKIP("the kernel does not let clone3 choose a pid");
		}
		sscanf(r->lines[i], "X %d %d %d", &pid, &code, &sig);
	}
	AQ_REQUIRE(pid > 0);
	for (size_t i = 0; i < r->count; i++)
		if (r->events[i].ev.id == AQ_EV_proc_fork && r->events[i].ev.args[1] == (uint64_t)pid && lives < 2)
			starts[lives++] = r->events[i].ev.args[3];
	AQ_CHECK_EQ_INT(lives, 2);
	AQ_CHECK(starts[0] < starts[1]);
	AQ_CHECK_EQ_INT(count_of(r, AQ_EV_proc_exit, (uint32_t)pid), 2);
	recording_free(r);
}

#ifdef __x86_64__
AQ_TEST(int80)
{
	NEEDS_BPF();
	struct recording *r = record("trigger_calls", "int80");
	check_lines(r);
	for (size_t i = 0; i < r->count; i++) /* the 64-bit readings of numbers 20 and 6 never happened */
		AQ_CHECK(r->events[i].ev.id != AQ_EV_writev || r->events[i].ev.abi == AQ_ABI_X86_64);
	recording_free(r);
}

AQ_TEST(compat_program)
{
	NEEDS_BPF();
	char path[512];
	snprintf(path, sizeof(path), "%s/trigger_compat_m32", getenv("AQ_TRIGGERS"));
	if (access(path, X_OK) != 0)
		AQ_SKIP("the compiler can't build 32-bit programs");
	struct recording *r = record("trigger_compat_m32", NULL);
	static const struct { uint16_t id; int64_t ret; int arg; uint32_t value; } wanted[] = {
		{ AQ_EV_open, -ENOENT, 1, 02000001 }, { AQ_EV_close, -EBADF, 0, 4321 }, { AQ_EV_write, -EBADF, 2, 3 },
	};
	for (size_t w = 0; w < sizeof(wanted) / sizeof(wanted[0]); w++) {
		bool seen = false;
		for (size_t i = 0; i < r->count; i++)
			seen = seen || (r->events[i].ev.abi == AQ_ABI_I386 && r->events[i].ev.id == wanted[w].id &&
					r->events[i].ev.ret == wanted[w].ret &&
					(uint32_t)r->events[i].ev.args[wanted[w].arg] == wanted[w].value);
		AQ_CHECK(seen);
	}
	bool text = false;
	for (size_t i = 0; i < r->count; i++) {
		const char *have = r->events[i].ev.id == AQ_EV_open ? text_of(&r->events[i], AQ_ATTR_PATH, NULL) : NULL;
		text = text || (have && strcmp(have, "/compat/missing") == 0);
	}
	AQ_CHECK(text);
	recording_free(r);
}
#endif

AQ_TEST_MAIN()
