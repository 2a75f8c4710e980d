/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_frozen DIR: writes the small captures that tests/corpus/freeze.sh keeps for ever. Together they hold every block
 * kind, stream, encoding, ABI, event, attribute and gap reason that a writer makes; the test counts that.
 *
 *   v1-durations.aquila    calls with durations of every size, without, and a chunk that has none
 *   v1-everything.aquila   three segments, pointers kept: all events of the schema, all gaps, hostile texts
 *   v1-generations.aquila  more chunks than one generation of strings has
 *   v1-tiny.aquila         three events: the example of FORMAT.md
 *   v1-unfinished.aquila   times to 64 ns, a writer that was never closed
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/segment/writer.h"

#define START_BOOT_NS 5000000000ull
#define START_REAL_NS 1767225600000000000ull /* 2026-01-01T00:00:00Z */

enum { CPUS = 2, RUN_EVENTS = 720, VALUE_EVENTS = 80, GENERATION_CHUNKS = 66 };

struct maker {
	struct aq_capture_writer *w;
	struct aq_err err;
	uint64_t now_ns;
	int result;
};

static void add(struct maker *m, struct aq_event *ev)
{
	const struct aq_event_schema *schema = aq_schema_event(ev->id);

	ev->time_ns = m->now_ns;
	ev->cls = schema ? (uint8_t)schema->cls : AQ_CLASS_ORDINARY;
	if (ev->arg_count == 0 && schema)
		ev->arg_count = (uint8_t)aq_schema_number_count(schema);
	if (m->result == 0)
		m->result = aq_capture_writer_add(m->w, ev, &m->err);
}

/* Numbers that look random and are the same everywhere. */
static uint64_t mixed(uint64_t n)
{
	n = (n ^ (n >> 31)) * 0x7fb5d329728ea185ull;
	n = (n ^ (n >> 27)) * 0x81dadef4bc2dd44dull;
	return n ^ (n >> 33);
}

/* One event of each row, with numbers of all sizes: more types than one byte can tell. */
static void every_event(struct maker *m)
{
	const struct aq_event_schema *schema = aq_schema_next(0);

	for (uint64_t n = 1; schema; schema = aq_schema_next(schema->id), n++) {
		struct aq_event ev = { .id = schema->id, .pid = 100, .tid = 100, .cgroup_id = 7, .cpu = n % CPUS,
				       .ret = schema->ret_type == AQ_TYPE_NONE ? 0 : (int64_t)(n % 5) - 2 };

		m->now_ns += mixed(n) >> (n % 64);
		if (m->now_ns > START_BOOT_NS + (1ull << 50))
			m->now_ns = START_BOOT_NS + n; /* late: the chunk puts it in order */
		for (unsigned i = 0; i < AQ_EVENT_MAX_ARGS; i++)
			ev.args[i] = mixed(n * 16 + i) >> (n % 16 ? 46 + mixed(n + i) % 18 : i * 4);
		add(m, &ev);
	}
	m->now_ns = START_BOOT_NS + (1ull << 50) + 1;
}

/* The same values of flags mean other things elsewhere; one thread is two contexts when it changes its ABI. */
static void every_abi(struct maker *m)
{
	static const uint64_t flags[] = { 0, 0x4000, 0x10000, 0x410000, 0x2c241, 0x80000000 };

	for (unsigned abi = 0; abi < AQ_ABI_COUNT; abi++) {
		for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			struct aq_event ev = { .id = AQ_EV_openat, .pid = 200, .tid = 200 + abi / 2, .cgroup_id = UINT64_MAX - abi,
					       .abi = (uint8_t)abi, .ret = -13,
					       .args = { (uint64_t)-100, 0x7ffd00000000 + i, flags[i], 0644 } };

			m->now_ns += 1000;
			add(m, &ev);
			ev.id = AQ_EV_mmap;
			ev.ret = INT64_MIN + i;
			ev.arg_count = 0;
			memcpy(ev.args, (const uint64_t[]){ 0, 4096, flags[i] >> 4, 0x22, UINT64_MAX, 1ull << 63 },
			       6 * sizeof(uint64_t));
			add(m, &ev);
		}
		struct aq_event unknown = { .id = AQ_EV_UNKNOWN, .pid = 200, .tid = 200, .abi = (uint8_t)abi, .nr = 4000000000u + abi,
					    .flags = AQ_EVF_UNKNOWN_NR, .ret = -38, .arg_count = 6, .args = { 1, 2, 3, 4, 5, UINT64_MAX } };
		add(m, &unknown);
	}
}

/* Values that ask for each encoding, and a run whose streams are long enough for frames of their own. */
static void every_encoding(struct maker *m)
{
	for (uint64_t i = 0; i < VALUE_EVENTS; i++) {
		struct aq_event ev = { .id = AQ_EV_pread64, .pid = UINT32_MAX, .tid = 1, .ret = (int64_t)mixed(i),
				       .args = { 3 + i, mixed(i % 4), (i * 77) % 60000, (1ull << 40) + i * i * 40 } };

		m->now_ns += i % 3;
		add(m, &ev);
	}
	for (uint64_t i = 0; i < RUN_EVENTS; i++) {
		struct aq_event ev = { .id = AQ_EV_lseek, .pid = 300, .tid = 300, .ret = 300, .args = { 4, (i & 1) << 44 | i } };

		m->now_ns += 1;
		add(m, &ev);
	}
}

static const char hostile[] = "a\0\033[31m\0two\nlines\0\"quoted\"\\\0\xff\xfe\0caf\xc3\xa9\0\xf0\x9f\x90\xa7\0\x7f";

static void every_attribute(struct maker *m)
{
	static const uint16_t flags[] = { 0, AQ_ATF_TRUNCATED, AQ_ATF_UNREADABLE, AQ_ATF_PARTIAL, AQ_ATF_TRUNCATED | AQ_ATF_PARTIAL };

	for (unsigned key = 1; key <= AQ_ATTR_JSON; key++) {
		if (key == AQ_ATTR_WORDS || !aq_attr_name(key))
			continue;
		for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
			struct aq_event ev = { .id = AQ_EV_execve, .pid = 400, .tid = 400 + key, .attr_count = 3 };
			uint8_t address[56] = { 2, 0, 0, 80, 127, 0, 0, 1, [28] = 10, 0, 1, 187, 0, 0, 0, 0, 0x20, 1 };

			ev.attrs[0] = (struct aq_attr){ .key = (uint16_t)key, .flags = flags[i], .data = hostile,
							.len = flags[i] & AQ_ATF_UNREADABLE ? 0 : (uint32_t)sizeof(hostile) - i,
							.true_len = flags[i] == AQ_ATF_TRUNCATED ? 100000 : 0 };
			ev.attrs[1] = (struct aq_attr){ .key = AQ_ATTR_TUPLE, .data = address, .len = sizeof(address) };
			ev.attrs[2] = (struct aq_attr){ .key = AQ_ATTR_COMM, .data = "", .len = 0 };
			ev.attr_count = key == AQ_ATTR_TUPLE || key == AQ_ATTR_COMM ? 1 : 3;
			ev.flags = i == 0 ? AQ_EVF_DEGRADED : 0;
			m->now_ns += 10;
			add(m, &ev);
		}
	}
}

static const struct aq_gap_count by_event[] = { { AQ_EV_read, 2 }, { AQ_EV_execve, 1 } };

static void every_gap(struct maker *m)
{
	for (uint8_t reason = AQ_GAP_RING_FULL; reason <= AQ_GAP_ATTR; reason++) {
		struct aq_gap gap = { .first_ns = START_BOOT_NS + reason / 2, .last_ns = START_BOOT_NS + 1000 * reason, .count = 3,
				      .cpu = reason % CPUS, .cls = reason % AQ_CLASS_COUNT, .reason = reason };

		if (reason == AQ_GAP_DAMAGE)
			continue; /* found by readers, never written */
		if (reason == AQ_GAP_RECORDER_DOWN || reason == AQ_GAP_KERNEL_SKIPPED) {
			gap.count = AQ_GAP_COUNT_UNKNOWN;
			gap.cpu = UINT16_MAX;
			gap.cls = UINT8_MAX;
		} else if (reason != AQ_GAP_ATTR) {
			gap.by_event = by_event;
			gap.by_event_count = 2;
		}
		if (reason == AQ_GAP_BUDGET)
			gap.cgroup_id = 4242;
		if (m->result == 0)
			m->result = aq_capture_writer_add_gap(m->w, &gap, &m->err);
	}
}

/* What was stored is what the writer counted; what is missing is what every_gap said. */
static void ledger(struct maker *m, bool with_gaps)
{
	struct aq_ledger_row rows[CPUS * AQ_CLASS_COUNT];
	const struct aq_writer_stats *stats = aq_capture_writer_stats(m->w);

	for (unsigned i = 0; i < CPUS * AQ_CLASS_COUNT; i++) {
		struct aq_ledger_row *row = &rows[i];

		*row = (struct aq_ledger_row){ .cpu = (uint16_t)(i / AQ_CLASS_COUNT), .cls = (uint8_t)(i % AQ_CLASS_COUNT) };
		row->stored = stats->stored[row->cpu][row->cls];
		for (uint8_t reason = AQ_GAP_RING_FULL; with_gaps && reason <= AQ_GAP_ATTR; reason++) {
			if (reason % CPUS != row->cpu || reason % AQ_CLASS_COUNT != row->cls || reason == AQ_GAP_DAMAGE ||
			    reason == AQ_GAP_RECORDER_DOWN || reason == AQ_GAP_KERNEL_SKIPPED)
				continue;
			*(reason == AQ_GAP_ATTR ? &row->degraded : aq_gap_is_policy(reason) ? &row->policy : &row->lost) += 3;
		}
		row->produced = row->stored + row->lost + row->policy;
	}
	m->now_ns += 1000;
	if (m->result == 0)
		m->result = aq_capture_writer_set_ledger(m->w, rows, CPUS * AQ_CLASS_COUNT, m->now_ns,
							 m->now_ns - START_BOOT_NS + START_REAL_NS + 5000, &m->err);
}

static void flush(struct maker *m)
{
	if (m->result == 0)
		m->result = aq_capture_writer_flush(m->w, &m->err);
}

static void begin(struct maker *m, const char *path, const struct aq_writer_options *options)
{
	const struct aq_capture_meta meta = {
		.host = "frozen", .kernel_release = "6.18.0-test", .kernel_version = "#1 SMP", .machine = "x86_64",
		.boot_id = "00000000-0000-0000-0000-000000000001", .recorder_version = "make_frozen", .command = "",
		.features_json = "{\"hook\":\"tp_btf\"}", .policy_json = "{\"snapshot\":true}", .capture_id = { 1, 2, 3 },
		.cpu_count = CPUS, .start_boot_ns = START_BOOT_NS, .start_real_ns = START_REAL_NS, .clock_ticks = 100,
		.page_size = 4096,
	};

	*m = (struct maker){ .now_ns = START_BOOT_NS };
	m->result = aq_capture_writer_new(path, &meta, options, &m->w, &m->err);
}

static int end(struct maker *m, bool close)
{
	if (m->result == 0 && close)
		m->result = aq_capture_writer_close(m->w, &m->err);
	aq_capture_writer_free(m->w);
	if (m->result < 0)
		fprintf(stderr, "make_frozen: %s\n", m->err.text);
	return m->result;
}

static int everything(void)
{
	const struct aq_writer_options options = { .keep_pointers = true, .segment_bytes = 4096, .zstd_level = 19 };
	struct maker m;

	begin(&m, "v1-everything.aquila", &options);
	every_gap(&m);
	every_event(&m);
	flush(&m); /* beyond segment_bytes: what follows opens the second segment */
	ledger(&m, true);
	every_abi(&m);
	every_encoding(&m);
	flush(&m);
	every_attribute(&m);
	flush(&m);
	ledger(&m, true);
	return end(&m, true);
}

/* Short calls after a pause, calls that fill their time, and those whose entry nobody saw. */
static int durations(void)
{
	static const struct aq_writer_options options = { .time_resolution_ns = 2 };
	struct maker m;

	begin(&m, "v1-durations.aquila", &options);
	for (uint64_t n = 0; n < 300; n++) {
		struct aq_event ev = { .id = n % 2 ? AQ_EV_read : AQ_EV_futex, .pid = 50, .tid = 50 + (uint32_t)(n % 4 / 3), .ret = 1 };
		uint64_t ns = mixed(n) >> (n % 62 + 2);

		ev.has_duration = n % 9 != 0;
		ev.duration_ns = ev.has_duration ? ns : 0;
		m.now_ns += ns % (1ull << 40) + n % 5 * 1000;
		add(&m, &ev);
	}
	add(&m, &(struct aq_event){ .id = AQ_EV_proc_exit, .pid = 50, .tid = 50 });
	flush(&m);
	add(&m, &(struct aq_event){ .id = AQ_EV_getpid, .pid = 60, .tid = 60, .ret = 60 });
	flush(&m);
	/* for people and for tests of the command line */
	m.now_ns += 30000000;
	add(&m, &(struct aq_event){ .id = AQ_EV_nanosleep, .pid = 70, .tid = 70, .has_duration = true, .duration_ns = 20123456 });
	m.now_ns += 1500000000;
	add(&m, &(struct aq_event){ .id = AQ_EV_read, .pid = 70, .tid = 70, .ret = -EINTR, .has_duration = true,
				    .duration_ns = 1499999998 });
	m.now_ns += 1000;
	add(&m, &(struct aq_event){ .id = AQ_EV_close, .pid = 70, .tid = 70, .args = { 3 } });
	flush(&m);
	ledger(&m, false);
	return end(&m, true);
}

static int generations(void)
{
	static const struct aq_writer_options options;
	char name[32];
	struct maker m;

	begin(&m, "v1-generations.aquila", &options);
	for (unsigned i = 0; i < GENERATION_CHUNKS; i++) {
		struct aq_event ev = { .id = AQ_EV_chdir, .pid = 9, .tid = 9, .attr_count = 1 };

		snprintf(name, sizeof(name), "/%u", i / 8); /* most chunks need no block of strings of their own */
		ev.attrs[0] = (struct aq_attr){ .key = AQ_ATTR_PATH, .data = name, .len = (uint32_t)strlen(name) };
		m.now_ns += 1;
		ev.attr_count = i % 8 == 0 || i > 62;
		add(&m, &ev);
		flush(&m);
	}
	ledger(&m, false);
	return end(&m, true);
}

static int tiny(void)
{
	static const struct aq_writer_options options;
	struct aq_event ev = { .id = AQ_EV_openat, .pid = 77, .tid = 78, .cgroup_id = 5, .ret = 3, .attr_count = 1,
			       .args = { (uint64_t)-100, 0, 0x80000, 0 } };
	struct maker m;

	begin(&m, "v1-tiny.aquila", &options);
	ev.attrs[0] = (struct aq_attr){ .key = AQ_ATTR_PATH, .data = "/etc/hosts", .len = 10 };
	m.now_ns += 1000;
	add(&m, &ev);
	ev = (struct aq_event){ .id = AQ_EV_read, .pid = 77, .tid = 78, .cgroup_id = 5, .ret = 120, .args = { 3, 0, 4096 } };
	m.now_ns += 700;
	add(&m, &ev);
	ev = (struct aq_event){ .id = AQ_EV_close, .pid = 77, .tid = 78, .cgroup_id = 5, .cpu = 1, .args = { 3 } };
	m.now_ns += 300;
	add(&m, &ev);
	flush(&m);
	ledger(&m, false);
	return end(&m, true);
}

static int unfinished(void)
{
	static const struct aq_writer_options options = { .time_resolution_ns = 64 };
	struct maker m;

	begin(&m, "v1-unfinished.aquila", &options);
	every_abi(&m);
	flush(&m);
	ledger(&m, false);
	flush(&m);
	every_attribute(&m);
	flush(&m);
	return end(&m, false);
}

int main(int argc, char **argv)
{
	if (argc != 2 || (mkdir(argv[1], 0700) < 0 && errno != EEXIST) || chdir(argv[1]) < 0) {
		fprintf(stderr, "usage: make_frozen DIR\n");
		return 2;
	}
	return durations() < 0 || everything() < 0 || generations() < 0 || tiny() < 0 || unfinished() < 0;
}
