/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_capture DIR [KEYFILE]: writes small captures that are the same every time, for the command line's tests.
 *
 *   whole.aquila      a shell, programs with hostile arguments, files, a socket, a reused pid; nothing is missing
 *   gaps.aquila       the same with events lost in full rings, a filter's policy and a lost text
 *   damaged.aquila    whole.aquila with one byte changed in its second chunk
 *   truncated.aquila  whole.aquila cut in the middle of a block
 *   names.aquila      containers and pods, with names learned late, replaced, deleted and never, and reused addresses
 *
 * With KEYFILE only one: with a secret key for signing in it signed.aquila, the same story in several segments with a signature
 * after each chunk; with public keys to encrypt to, encrypted.aquila.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/segment/evidence.h"
#include "format/segment/key.h"
#include "format/segment/writer.h"

#define START_BOOT_NS 1000000000000ull
#define START_REAL_NS 1767225600000000000ull /* 2026-01-01T00:00:00Z */
#define MS 1000000ull

enum { SHELL = 100, CAT = 200, EVIL = 201, CGROUP = 4242 };

struct story {
	struct aq_capture_writer *w;
	struct aq_err err;
	uint64_t now_ns, cgroup; /* cgroup 0: CGROUP */
	bool failed;
};

struct text {
	uint16_t key;
	uint16_t flags;
	const char *data;
	uint32_t len; /* 0: strlen */
};

static void add(struct story *s, uint16_t id, uint32_t pid, int64_t ret, unsigned arg_count, const uint64_t *args,
		const struct text *texts, unsigned text_count)
{
	const struct aq_event_schema *schema = aq_schema_event(id);
	struct aq_event ev = { .time_ns = s->now_ns,
			       .cgroup_id = s->cgroup != 0 ? s->cgroup : CGROUP,
			       .ret = ret,
			       .pid = pid,
			       .tid = pid,
			       .id = id,
			       .cpu = (uint16_t)(pid & 1),
			       .abi = AQ_ABI_X86_64,
			       .cls = (uint8_t)schema->cls };

	ev.arg_count = (uint8_t)aq_schema_number_count(schema);
	for (unsigned i = 0; i < arg_count && i < ev.arg_count; i++)
		ev.args[i] = args[i];
	for (unsigned i = 0; i < text_count; i++) {
		struct aq_attr *a = &ev.attrs[ev.attr_count++];

		a->key = texts[i].key;
		a->flags = texts[i].flags;
		a->data = texts[i].data;
		a->len = texts[i].len != 0 ? texts[i].len : (uint32_t)strlen(texts[i].data);
		a->true_len = texts[i].flags & AQ_ATF_TRUNCATED ? a->len + 100 : 0;
	}
	s->now_ns += 1 * MS;
	if (!s->failed && aq_capture_writer_add(s->w, &ev, &s->err) < 0)
		s->failed = true;
}

#define ARGS(...)                                                                                                      \
	(unsigned)(sizeof((uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t)), (const uint64_t[])                         \
	{                                                                                                              \
		__VA_ARGS__                                                                                            \
	}
#define TEXTS(...)                                                                                                     \
	(const struct text[]){ __VA_ARGS__ }, (unsigned)(sizeof((struct text[]){ __VA_ARGS__ }) / sizeof(struct text))
#define NO_TEXTS NULL, 0

static void snapshot(struct story *s)
{
	add(s, AQ_EV_snap_begin, 0, 0, ARGS(1), NO_TEXTS);
	add(s, AQ_EV_snap_cgroup, 0, 0, ARGS(CGROUP, 0), TEXTS({ AQ_ATTR_CGROUP_PATH, 0, "/user.slice", 0 }));
	add(s, AQ_EV_snap_proc, 1, 0, ARGS(0, 10 * MS, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1),
	    TEXTS({ AQ_ATTR_COMM, 0, "init", 0 }, { AQ_ATTR_EXE, 0, "/sbin/init", 0 },
		  { AQ_ATTR_ARGV, 0, "/sbin/init", 11 }, { AQ_ATTR_CWD, 0, "/", 0 }));
	add(s, AQ_EV_snap_proc, SHELL, 0, ARGS(1, 500 * MS, 1000, 1000, 1000, 1000, SHELL, SHELL, 0, 0, 0, 0, SHELL, 1),
	    TEXTS({ AQ_ATTR_COMM, 0, "bash", 0 }, { AQ_ATTR_EXE, 0, "/bin/bash", 0 },
		  { AQ_ATTR_ARGV, 0, "bash\0-i", 8 }, { AQ_ATTR_CWD, 0, "/home/user", 0 }));
	add(s, AQ_EV_snap_end, 0, 0, ARGS(2, 2, 0, 0), NO_TEXTS);
}

static void start_program(struct story *s, uint32_t pid, const char *exe, const char *argv, uint32_t argv_len)
{
	uint64_t born = s->now_ns;

	add(s, AQ_EV_proc_fork, SHELL, 0, ARGS(pid, pid, 17, born, pid, SHELL), TEXTS({ AQ_ATTR_COMM, 0, "bash", 0 }));
	add(s, AQ_EV_proc_exec, pid, 0, ARGS(0x801, 77, 1000, 1000, pid, 0, 1000, 1000, SHELL, SHELL, pid, 0, 0, born),
	    TEXTS({ AQ_ATTR_PATH, 0, exe, 0 }, { AQ_ATTR_KPATH, 0, exe, 0 }, { AQ_ATTR_ARGV, 0, argv, argv_len },
		  { AQ_ATTR_COMM, 0, strrchr(exe, '/') + 1, 0 }));
}

static void end_program(struct story *s, uint32_t pid, uint64_t code, uint64_t signal)
{
	add(s, AQ_EV_proc_exit, pid, 0, ARGS(code, signal, 0, 0, 0), TEXTS({ AQ_ATTR_COMM, 0, "gone", 0 }));
}

static void open_and_read(struct story *s, uint32_t pid, const char *path, int64_t fd, unsigned reads)
{
	add(s, AQ_EV_openat, pid, fd, ARGS((uint64_t)-100, 0, 0x80000, 0),
	    TEXTS({ AQ_ATTR_PATH, 0, path, 0 }, { AQ_ATTR_KPATH, 0, path, 0 }));
	if (fd < 0)
		return;
	for (unsigned i = 0; i < reads; i++)
		add(s, AQ_EV_read, pid, 4096, ARGS((uint64_t)fd, 0x7f0000000000, 4096), NO_TEXTS);
	add(s, AQ_EV_close, pid, 0, ARGS((uint64_t)fd), NO_TEXTS);
}

static void connect_out(struct story *s, uint32_t pid)
{
	uint8_t address[16] = { 2, 0, 0x01, 0xbb, 192, 0, 2, 7 };

	add(s, AQ_EV_socket, pid, 5, ARGS(2, 1, 6), NO_TEXTS);
	add(s, AQ_EV_connect, pid, 0, ARGS(5, 0, 16),
	    TEXTS({ AQ_ATTR_SOCKADDR, 0, (const char *)address, sizeof(address) }));
	add(s, AQ_EV_write, pid, -ECONNRESET, ARGS(5, 0x7f0000000000, 100), NO_TEXTS);
}

static void tell(struct story *s, bool degraded)
{
	/* what an attacker writes: colours, a line of its own, quotes, commas, broken UTF-8, a backslash */
	static const char evil[] = "evil\0\033[31mred\033[0m\0two\nlines\0a,b\"c\0\xff\xfe\0back\\slash\0caf\xc3\xa9";
	static const char cat[] = "cat\0/etc/passwd";
	static const char again[] = "curl\0-s\0http://192.0.2.7/";

	snapshot(s);
	start_program(s, CAT, "/bin/cat", cat, sizeof(cat));
	open_and_read(s, CAT, "/etc/passwd", 3, 40);
	open_and_read(s, CAT, "/etc/shadow", -13, 0);
	end_program(s, CAT, 1, 0);
	start_program(s, EVIL, "/tmp/evil", evil, sizeof(evil));
	open_and_read(s, EVIL, "/tmp/a\nb\033]0;title\007\xff", 4, 60);
	add(s, AQ_EV_openat, EVIL, -2, ARGS((uint64_t)-100, 0, 0, 0),
	    TEXTS({ AQ_ATTR_PATH, AQ_ATF_TRUNCATED, "/very/long", 0 }));
	end_program(s, EVIL, 0, 9);
	s->now_ns += 500 * MS;
	start_program(s, CAT, "/usr/bin/curl", again, sizeof(again)); /* the pid of cat, used again */
	connect_out(s, CAT);
	if (degraded) {
		struct aq_event ev = { .time_ns = s->now_ns,
				       .ret = -2,
				       .pid = CAT,
				       .tid = CAT,
				       .id = AQ_EV_openat,
				       .cpu = 0,
				       .cls = AQ_CLASS_IMPORTANT,
				       .flags = AQ_EVF_DEGRADED,
				       .arg_count = 4 };

		if (!s->failed && aq_capture_writer_add(s->w, &ev, &s->err) < 0)
			s->failed = true;
	}
	add(s, AQ_EV_read, SHELL, 1, ARGS(0, 0x7f0000000000, 1), NO_TEXTS);
	end_program(s, CAT, 0, 0);
}

#define WEB_ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LOST_ID "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define PLAIN_ID "2123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define WEB_UID "0f6b1c2d-1111-2222-3333-444455556666"
enum { WEB_CGROUP = 5001, LOST_CGROUP, PLAIN_CGROUP, WEB = 301, LOST, PLAIN };

/* valid from and to in ms since the start; to 0: no end */
static void fact(struct story *s, const char *subject, unsigned from_ms, unsigned to_ms, const char *json)
{
	s->cgroup = 0;
	add(s, AQ_EV_fact, 0, 0, ARGS(from_ms ? START_BOOT_NS + from_ms * MS : 0, to_ms ? START_BOOT_NS + to_ms * MS : 0),
	    TEXTS({ AQ_ATTR_NAME, 0, subject, 0 }, { AQ_ATTR_JSON, 0, json, 0 }));
}

static void connect_as(struct story *s, uint32_t pid, uint8_t last)
{
	uint8_t address[16] = { 2, 0, 0x15, 0x38, 10, 0, 0, last };
	uint8_t tuple[56] = { 2, 0, 0x9c, 0x40, 10, 0, 0, 5, [28] = 2, 0, 0x15, 0x38, 10, 0, 0, last };

	add(s, AQ_EV_socket, pid, 5, ARGS(2, 1, 6), NO_TEXTS);
	add(s, AQ_EV_connect, pid, 0, ARGS(5, 0, 16),
	    TEXTS({ AQ_ATTR_SOCKADDR, 0, (const char *)address, sizeof(address) },
		  { AQ_ATTR_TUPLE, 0, (const char *)tuple, sizeof(tuple) }));
	add(s, AQ_EV_close, pid, 0, ARGS(5), NO_TEXTS);
}

static void start_in(struct story *s, uint64_t cgroup, const char *path, uint32_t pid, const char *exe)
{
	s->cgroup = 0;
	add(s, AQ_EV_cgroup_mkdir, 1, 0, ARGS(cgroup, 4, 0), TEXTS({ AQ_ATTR_CGROUP_PATH, 0, path, 0 }));
	s->cgroup = cgroup;
	start_program(s, pid, exe, exe, (uint32_t)strlen(exe) + 1);
}

/* web: all of its names come after its events; lost: its pod's look-up failed; plain: no pod, and its look-up failed. */
static void tell_names(struct story *s)
{
	snapshot(s);
	start_in(s, WEB_CGROUP,
		 "/kubepods.slice/kubepods-pod0f6b1c2d_1111_2222_3333_444455556666.slice/cri-containerd-" WEB_ID ".scope", WEB, "/bin/web");
	connect_as(s, WEB, 9);
	start_in(s, LOST_CGROUP, "/kubepods/besteffort/poda0000000-1111-2222-3333-444455556666/" LOST_ID, LOST, "/bin/lost");
	start_in(s, PLAIN_CGROUP, "/docker/" PLAIN_ID, PLAIN, "/bin/plain");
	fact(s, "pod:*", 0, 0, "{\"source\":\"kubelet\",\"unknown\":\"look-up failed: 401\"}");
	fact(s, "container:" PLAIN_ID, 0, 0, "{\"source\":\"docker\",\"unknown\":\"look-up failed: 404\"}");
	fact(s, "pod:" WEB_UID, 50, 60, "{\"source\":\"kubelet\",\"name\":\"not yet named\"}");
	fact(s, "pod:" WEB_UID, 50, 60,
	     "{\"source\":\"kubelet\",\"name\":\"web-1\",\"namespace\":\"prod\",\"node\":\"n7\",\"service_account\":\"sa\",\"owner_kind\":"
	     "\"ReplicaSet\",\"owner_name\":\"web-abc\",\"workload_kind\":\"Deployment\",\"workload_name\":\"web\",\"labels\":"
	     "{\"app\":\"web\",\"app.kubernetes.io/name\":\"shop\",\"evil\":\"\\u001b[31m\\n\\\"'\"},\"annotations\":{\"team\":\"a\"},"
	     "\"ips\":[\"10.0.0.5\",\"fd00::5\"],\"containers\":[{\"name\":\"main\",\"id\":\"containerd://" WEB_ID "\"}]}");
	fact(s, "container:" WEB_ID, 55, 0,
	     "{\"source\":\"containerd\",\"name\":\"web-main\",\"image\":\"reg.example:5000/shop/web:1.2\",\"image_digest\":\"sha256:aa\","
	     "\"start\":\"2026-01-01T00:00:00.005Z\",\"labels\":{\"tier\":\"front\"},\"mounts\":[{\"source\":\"/data\",\"destination\":"
	     "\"/srv\",\"type\":\"bind\",\"ro\":true}]}");
	fact(s, "namespace:prod", 0, 0, "{\"source\":\"kubernetes\",\"labels\":{\"env\":\"production\"}}");
	fact(s, "address:10.0.0.9", 1, 30,
	     "{\"source\":\"kubernetes\",\"kind\":\"pod\",\"name\":\"db-0\",\"namespace\":\"data\"}");
	fact(s, "address:10.0.0.9", 100, 0,
	     "{\"source\":\"kubernetes\",\"kind\":\"pod\",\"name\":\"cache-0\",\"namespace\":\"tmp\"}");
	fact(s, "address:10.0.0.5", 0, 0, "{\"source\":\"kubelet\",\"kind\":\"pod\",\"name\":\"web-1\",\"namespace\":\"prod\"}");
	fact(s, "address:10.0.0.8", 0, 0, "{\"source\":\"kubernetes\",\"kind\":\"service\",\"name\":\"queue\",\"namespace\":\"data\"}");
	fact(s, "address:10.0.0.8", 0, 0, "{\"source\":\"dns\",\"kind\":\"dns\",\"name\":\"queue.example\"}");
	fact(s, "pod:broken", 0, 0, "{\"source\":\"kubelet\",\"name\":");
	s->now_ns = START_BOOT_NS + 200 * MS;
	s->cgroup = WEB_CGROUP;
	connect_as(s, WEB, 9);
	connect_as(s, WEB, 8);
	end_program(s, WEB, 0, 0);
	s->cgroup = 0;
}

static const struct aq_gap_count lost_calls[] = { { AQ_EV_read, 30 }, { AQ_EV_write, 12 } };
static const struct aq_gap_count skipped_calls[] = { { AQ_EV_futex, 5 } };
static const struct aq_gap gaps[] = {
	{ .first_ns = START_BOOT_NS + 20 * MS,
	  .last_ns = START_BOOT_NS + 30 * MS,
	  .count = 42,
	  .cpu = 0,
	  .cls = AQ_CLASS_BULK,
	  .reason = AQ_GAP_RING_FULL,
	  .by_event_count = 2,
	  .by_event = lost_calls },
	{ .first_ns = START_BOOT_NS + 40 * MS,
	  .last_ns = START_BOOT_NS + 41 * MS,
	  .count = 3,
	  .cpu = 1,
	  .cls = AQ_CLASS_ORDINARY,
	  .reason = AQ_GAP_SPOOL_SHED },
	{ .first_ns = START_BOOT_NS,
	  .last_ns = START_BOOT_NS + 100 * MS,
	  .count = 5,
	  .cpu = 0,
	  .cls = AQ_CLASS_BULK,
	  .reason = AQ_GAP_FILTER,
	  .by_event_count = 1,
	  .by_event = skipped_calls },
	{ .first_ns = START_BOOT_NS + 50 * MS,
	  .last_ns = START_BOOT_NS + 60 * MS,
	  .count = 1,
	  .cpu = 0,
	  .cls = AQ_CLASS_IMPORTANT,
	  .reason = AQ_GAP_ATTR },
};

/* What was stored is what the writer counted; the rest comes from the gaps, so the books balance. */
static int close_books(struct story *s, bool with_gaps)
{
	struct aq_ledger_row rows[2 * AQ_CLASS_COUNT];
	const struct aq_writer_stats *stats;
	int r = aq_capture_writer_flush(s->w, &s->err);

	if (r < 0)
		return r;
	stats = aq_capture_writer_stats(s->w);
	for (unsigned i = 0; i < 2 * AQ_CLASS_COUNT; i++) {
		struct aq_ledger_row *row = &rows[i];

		*row = (struct aq_ledger_row){ .cpu = (uint16_t)(i / AQ_CLASS_COUNT),
					       .cls = (uint8_t)(i % AQ_CLASS_COUNT) };
		row->stored = stats->stored[row->cpu][row->cls];
		for (size_t g = 0; with_gaps && g < sizeof(gaps) / sizeof(gaps[0]); g++) {
			if (gaps[g].cpu != row->cpu || gaps[g].cls != row->cls)
				continue;
			*(gaps[g].reason == AQ_GAP_ATTR	     ? &row->degraded
			  : aq_gap_is_policy(gaps[g].reason) ? &row->policy
							     : &row->lost) += gaps[g].count;
		}
		row->produced = row->stored + row->lost + row->policy;
	}
	return aq_capture_writer_set_ledger(s->w, rows, 2 * AQ_CLASS_COUNT, s->now_ns,
					    s->now_ns - START_BOOT_NS + START_REAL_NS, &s->err);
}

static int write_story(const char *path, bool with_gaps, struct aq_signer *signer, const struct aq_keys *encrypt_to,
		       bool with_names)
{
	struct aq_capture_meta meta = {
		.host = "fixture",
		.kernel_release = "6.18.0-test",
		.kernel_version = "#1 SMP",
		.machine = "x86_64",
		.boot_id = "00000000-0000-0000-0000-000000000001",
		.recorder_version = "make_capture",
		.command = "make_capture",
		.features_json = "{\"hook\":\"tp_btf\"}",
		.policy_json = "{\"snapshot\":true}",
		.capture_id = { 1, 2, 3 },
		.cpu_count = 2,
		.start_boot_ns = START_BOOT_NS,
		.start_real_ns = START_REAL_NS,
		.clock_ticks = 100,
		.page_size = 4096,
	};
	const struct aq_writer_options options = { .chunk_events = signer != NULL ? 8 : 32,
						   .segment_age_ns = signer != NULL ? 40 * MS : 0,
						   .signer = signer,
						   .sign_interval_ns = 1,
						   .encrypt_to = encrypt_to };
	struct story s = { .now_ns = START_BOOT_NS + 1 * MS };
	int r;

	if (signer != NULL) /* each is another recording */
		memcpy(meta.capture_id, aq_signer_public_key(signer), sizeof(meta.capture_id));
	r = aq_capture_writer_new(path, &meta, &options, &s.w, &s.err);

	if (r == 0) {
		for (size_t i = 0; r == 0 && with_gaps && i < sizeof(gaps) / sizeof(gaps[0]); i++)
			r = aq_capture_writer_add_gap(s.w, &gaps[i], &s.err);
		if (with_names)
			tell_names(&s);
		else
			tell(&s, with_gaps);
		if (s.failed)
			r = -EIO;
	}
	if (r == 0)
		r = close_books(&s, with_gaps);
	if (r == 0)
		r = aq_capture_writer_close(s.w, &s.err);
	aq_capture_writer_free(s.w);
	if (r < 0)
		fprintf(stderr, "make_capture: %s\n", s.err.text);
	return r;
}

static int write_capture(const char *path, bool with_gaps, struct aq_signer *signer, const struct aq_keys *encrypt_to)
{
	return write_story(path, with_gaps, signer, encrypt_to, false);
}

/* Where the payload of the n-th chunk ends; 0 if there are not so many. */
static size_t chunk_end(const uint8_t *data, size_t size, unsigned n)
{
	enum { HEADER_BYTES = 80, KIND_CHUNK = 3 };
	size_t at = 0;

	while (at + HEADER_BYTES <= size && memcmp(data + at, "AQB1", 4) == 0) {
		uint64_t payload;

		memcpy(&payload, data + at + 8, sizeof(payload));
		if (payload > size - at - HEADER_BYTES)
			return 0;
		if (data[at + 4] == KIND_CHUNK && n-- == 0)
			return at + HEADER_BYTES + (size_t)payload;
		at += (HEADER_BYTES + (size_t)payload + 7) & ~(size_t)7;
	}
	return 0;
}

/* A copy with the last byte of its second chunk changed, or cut after `percent` of its bytes if that is not 0. */
static int copy_broken(const char *from, const char *folder, unsigned percent)
{
	char source[4096], target[4096];
	static uint8_t data[4 << 20];
	ssize_t n;
	size_t at;
	int fd, ok;

	snprintf(source, sizeof(source), "%s/segment-000001.aqs", from);
	snprintf(target, sizeof(target), "%s/segment-000001.aqs", folder);
	fd = open(source, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, data, sizeof(data)) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 0 || (size_t)n == sizeof(data) || mkdir(folder, 0700) < 0)
		return -EIO;
	at = percent ? (size_t)n * percent / 100 : chunk_end(data, (size_t)n, 1);
	if (at == 0)
		return -EINVAL;
	if (percent)
		n = (ssize_t)at;
	else
		data[at - 1] ^= 0x40;
	fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ok = fd >= 0 && write(fd, data, (size_t)n) == n;
	if (fd >= 0)
		close(fd);
	return ok ? 0 : -EIO;
}

static int write_signed(const char *path, const char *key)
{
	struct aq_signer *signer = NULL;
	struct aq_err err = { 0 };
	int r = aq_signer_new(key, &signer, &err);

	if (r < 0)
		fprintf(stderr, "make_capture: %s\n", err.text);
	else
		r = write_capture(path, false, signer, NULL);
	aq_signer_free(signer);
	return r;
}

/* What the keys are good for. */
static int write_with_key(const char *key_file)
{
	static struct aq_keys keys;
	struct aq_err err;

	if (aq_keys_load(&keys, key_file, &err) < 0) {
		fprintf(stderr, "make_capture: %s\n", err.text);
		return -EINVAL;
	}
	if (aq_keys_find(&keys, AQ_KEY_SIGN_SECRET))
		return write_signed("signed.aquila", key_file);
	return write_capture("encrypted.aquila", false, NULL, &keys);
}

int main(int argc, char **argv)
{
	char key[PATH_MAX] = "";

	if (argc == 3 && realpath(argv[2], key) == NULL) {
		fprintf(stderr, "make_capture: '%s': %s\n", argv[2], strerror(errno));
		return 1;
	}
	if (argc < 2 || argc > 3 || (mkdir(argv[1], 0700) < 0 && errno != EEXIST) || chdir(argv[1]) < 0) {
		fprintf(stderr, "usage: make_capture DIR [KEYFILE]\n");
		return 2;
	}
	if (argc == 3)
		return write_with_key(key) < 0;
	if (write_capture("whole.aquila", false, NULL, NULL) < 0 || write_capture("gaps.aquila", true, NULL, NULL) < 0 ||
	    write_story("names.aquila", false, NULL, NULL, true) < 0)
		return 1;
	if (copy_broken("whole.aquila", "damaged.aquila", 0) < 0 ||
	    copy_broken("whole.aquila", "truncated.aquila", 60) < 0) {
		fprintf(stderr, "make_capture: a broken copy can't be made: %s\n", strerror(errno));
		return 1;
	}
	return 0;
}
