/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * What was written is read back, field by field, for random events of every row of the schema; and a file that is cut or
 * altered at any byte is read as far as it is whole, with the damage named.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/segment/layout.h"
#include "format/segment/reader.h"
#include "format/segment/writer.h"
#include "tests/unit/aq_test.h"

static uint64_t random_state;

static uint64_t rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static char folder[64];

static const char *capture_path(const char *name)
{
	static char path[160];
	if (!folder[0]) {
		/* in memory where there is such a place: thousands of small files are written */
		strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/aquila-segment-XXXXXX" : "/tmp/aquila-segment-XXXXXX");
		AQ_REQUIRE(mkdtemp(folder) != NULL);
	}
	snprintf(path, sizeof(path), "%s/%s.aquila", folder, name);
	return path;
}

static void remove_capture(const char *path)
{
	char file[400];
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		unlink(file);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
	rmdir(folder); /* goes with the last capture */
	if (access(folder, F_OK) != 0)
		folder[0] = '\0';
}

static const struct aq_capture_meta meta = {
	.host = "host", .kernel_release = "6.18", .kernel_version = "#1", .machine = "x86_64", .boot_id = "b",
	.recorder_version = "0", .command = "test", .features_json = "{}", .policy_json = "{\"a\":1}",
	.capture_id = { 1, 2, 3 }, .cpu_count = 4, .start_boot_ns = 1000, .start_real_ns = 5000000, .clock_ticks = 100,
	.page_size = 4096,
};

enum { TEXT_MAX = 600 };

struct made { /* an event with its own copy of what it points to */
	struct aq_event ev;
	char text[AQ_EVENT_MAX_ATTRS][TEXT_MAX];
};

/* Values that encoders find hard: small, near powers of two, negative, full width. */
static uint64_t some_value(void)
{
	uint64_t v = rnd();
	switch (rnd() % 6) {
	case 0: return v % 4;
	case 1: return v % 300;
	case 2: return (1ull << (v % 64)) - (rnd() % 2);
	case 3: return (uint64_t)-(int64_t)(v % 5000);
	case 4: return 0;
	default: return v;
	}
}

static void make_event(struct made *m, uint16_t id, uint64_t time_ns)
{
	const struct aq_event_schema *schema = aq_schema_event(id);
	struct aq_event *ev = &m->ev;
	unsigned numbers = schema ? aq_schema_number_count(schema) : 6;
	*ev = (struct aq_event){ .time_ns = time_ns, .cgroup_id = rnd() % 3 ? 77 : rnd(), .ret = (int64_t)some_value(),
				 .pid = 100 + (uint32_t)(rnd() % 5), .id = id, .cpu = (uint16_t)(rnd() % 4),
				 .abi = (uint8_t)(rnd() % 10 ? 0 : 1), .cls = schema ? schema->cls : AQ_CLASS_ORDINARY,
				 .flags = rnd() % 50 ? 0 : AQ_EVF_DEGRADED, .arg_count = (uint8_t)numbers };
	ev->tid = ev->pid + (uint32_t)(rnd() % 3);
	if (!schema) {
		ev->flags |= AQ_EVF_UNKNOWN_NR;
		ev->nr = (uint32_t)rnd() % 2000;
	}
	for (unsigned i = 0; i < numbers; i++)
		ev->args[i] = some_value();
	unsigned key = 1;
	while (ev->attr_count < AQ_EVENT_MAX_ATTRS && rnd() % 3 == 0 && key < 20) {
		char *text = m->text[ev->attr_count];
		struct aq_attr *a = &ev->attrs[ev->attr_count++];
		*a = (struct aq_attr){ .key = (uint16_t)key, .data = text, .len = (uint32_t)(rnd() % 4 ? rnd() % 20 : rnd() % TEXT_MAX) };
		for (uint32_t i = 0; i < a->len; i++)
			text[i] = (char)(rnd() % 8 ? 'a' + (int)(rnd() % 4) : (int)rnd());
		if (rnd() % 20 == 0) {
			a->flags = AQ_ATF_TRUNCATED;
			a->true_len = (uint32_t)rnd() % 100000;
		}
		key += 1 + (unsigned)(rnd() % 3);
	}
}

static void check_same(const struct made *m, const struct aq_event *got, bool pointers)
{
	const struct aq_event *ev = &m->ev;
	const struct aq_event_schema *schema = aq_schema_event(ev->id);
	AQ_CHECK_EQ_U64(got->time_ns, ev->time_ns);
	AQ_CHECK_EQ_U64(got->cgroup_id, ev->cgroup_id);
	AQ_CHECK_EQ_INT(got->id, ev->id);
	AQ_CHECK_EQ_INT(got->pid, ev->pid);
	AQ_CHECK_EQ_INT(got->tid, ev->tid);
	AQ_CHECK_EQ_INT(got->cpu, ev->cpu);
	AQ_CHECK_EQ_INT(got->abi, ev->abi);
	AQ_CHECK_EQ_INT(got->cls, ev->cls);
	AQ_CHECK_EQ_INT(got->flags, ev->flags);
	AQ_CHECK_EQ_INT(got->nr, ev->nr);
	AQ_CHECK(got->ret == (!schema || schema->ret_type != AQ_TYPE_NONE ? ev->ret : 0));
	AQ_CHECK_EQ_INT(got->arg_count, ev->arg_count);
	for (unsigned i = 0; i < ev->arg_count; i++)
		AQ_CHECK_EQ_U64(got->args[i], schema ? aq_normalise(aq_type_width(schema->args[i].type, pointers), ev->args[i]) : ev->args[i]);
	AQ_CHECK_EQ_INT(got->attr_count, ev->attr_count);
	for (unsigned i = 0; i < ev->attr_count; i++) {
		const struct aq_attr *a = aq_event_attr(got, ev->attrs[i].key);
		AQ_CHECK(a && a->len == ev->attrs[i].len && memcmp(a->data, ev->attrs[i].data, a->len) == 0);
		AQ_CHECK(a && a->flags == ev->attrs[i].flags && a->true_len == ev->attrs[i].true_len);
	}
}

static int by_canonical_order(const void *a, const void *b)
{
	const struct aq_event *x = &((const struct made *)a)->ev, *y = &((const struct made *)b)->ev;
	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return (int)x->cpu - (int)y->cpu;
}

/*
 * Writes count random events with distinct times, also when they are rounded to 64, every schema row among them, some a
 * little late.
 */
static struct made *write_capture(const char *path, size_t count, const struct aq_writer_options *options)
{
	struct made *all = calloc(count, sizeof(*all));
	struct aq_capture_writer *w = NULL;
	struct aq_err err = { 0 };
	AQ_REQUIRE(all != NULL);
	AQ_REQUIRE(aq_capture_writer_new(path, &meta, options, &w, &err) == 0);
	uint16_t id = 0;
	for (size_t i = 0; i < count; i++) {
		const struct aq_event_schema *next = aq_schema_next(id);
		id = next ? next->id : 0;
		uint64_t late = rnd() % 8 == 0 ? rnd() % 5 : 0; /* events that far apart have another remainder below */
		make_event(&all[i], id, 100000 + (i - late) * 1000 + i % 6 * 128 + rnd() % 64);
		AQ_REQUIRE(aq_capture_writer_add(w, &all[i].ev, &err) == 0);
	}
	struct aq_gap_count counts[] = { { AQ_EV_read, 7 }, { AQ_EV_write, 3 } };
	struct aq_gap gap = { .first_ns = 5, .last_ns = 9, .count = 10, .cgroup_id = 4, .cpu = 1, .cls = AQ_CLASS_BULK,
			      .reason = AQ_GAP_RING_FULL, .by_event_count = 2, .by_event = counts };
	AQ_CHECK_EQ_INT(aq_capture_writer_add_gap(w, &gap, &err), 0);
	AQ_CHECK_EQ_INT(aq_capture_writer_flush(w, &err), 0);
	struct aq_ledger_row rows[16];
	size_t row_count = 0;
	const struct aq_writer_stats *stats = aq_capture_writer_stats(w);
	for (uint16_t cpu = 0; cpu < 4; cpu++)
		for (uint8_t cls = 0; cls < AQ_CLASS_COUNT; cls++)
			rows[row_count++] = (struct aq_ledger_row){ .cpu = cpu, .cls = cls, .stored = stats->stored[cpu][cls],
								    .lost = cls == 3 ? 10 : 0,
								    .produced = stats->stored[cpu][cls] + (cls == 3 ? 10 : 0) };
	AQ_CHECK_EQ_INT(aq_capture_writer_set_ledger(w, rows, row_count, 77, 88, &err), 0);
	AQ_REQUIRE(aq_capture_writer_close(w, &err) == 0);
	aq_capture_writer_free(w);
	return all;
}

static void read_back(const char *path, struct made *all, size_t count, bool pointers)
{
	struct aq_err err = { 0 };
	struct aq_capture *c = NULL;
	struct aq_event_iter *it = NULL;
	struct aq_event ev;
	size_t n = 0;
	qsort(all, count, sizeof(*all), by_canonical_order);
	for (size_t i = 0; i < count; i++) /* the sort moved them */
		for (unsigned k = 0; k < all[i].ev.attr_count; k++)
			all[i].ev.attrs[k].data = all[i].text[k];
	AQ_REQUIRE(aq_capture_open(path, &c, &err) == 0);
	AQ_REQUIRE(aq_event_iter_new(c, &(struct aq_iter_options){ 0 }, &it, &err) == 0);
	while (aq_event_iter_next(it, &ev, &err) == 1 && n < count)
		check_same(&all[n++], &ev, pointers);
	AQ_CHECK_EQ_U64(n, count);
	aq_event_iter_free(it);
	struct aq_verify_result v;
	AQ_CHECK_EQ_INT(aq_capture_verify(c, &v, NULL, NULL, &err), 0);
	AQ_CHECK(v.finished && v.ledger_balances && v.damages == 0);
	if (!v.ledger_balances)
		fprintf(stderr, "%s\n", v.ledger_text);
	size_t gap_count;
	const struct aq_gap *gaps = aq_capture_gaps(c, &gap_count);
	AQ_REQUIRE(gap_count == 1);
	AQ_CHECK(gaps[0].first_ns == 5 && gaps[0].last_ns == 9 && gaps[0].count == 10 && gaps[0].reason == AQ_GAP_RING_FULL);
	AQ_CHECK(gaps[0].by_event_count == 2 && gaps[0].by_event[1].event_id == AQ_EV_write && gaps[0].by_event[1].count == 3);
	AQ_CHECK_EQ_STR(aq_capture_info(c)->policy_json, "{\"a\":1}");
	AQ_CHECK_EQ_U64(aq_capture_real_ns(c, 100), 111);
	aq_capture_close(c);
}

AQ_TEST(everything_comes_back)
{
	static const struct aq_writer_options variants[] = {
		{ .chunk_events = 5000 }, { .chunk_events = 97, .segment_bytes = 200000 }, { .keep_pointers = true },
		{ .chunk_string_bytes = 4096 },
	};
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		random_state = 88172645463325252ull + i;
		const char *path = capture_path("all");
		struct made *all = write_capture(path, 6000, &variants[i]);
		read_back(path, all, 6000, variants[i].keep_pointers);
		free(all);
		remove_capture(path);
	}
}

AQ_TEST(times_are_rounded_as_declared)
{
	random_state = 7;
	const char *path = capture_path("coarse");
	struct made *all = write_capture(path, 600, &(struct aq_writer_options){ .time_resolution_ns = 64 });
	for (size_t i = 0; i < 600; i++)
		all[i].ev.time_ns &= ~63ull;
	struct aq_capture *c = NULL;
	AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	AQ_CHECK_EQ_INT(aq_capture_info(c)->time_resolution_ns, 64);
	aq_capture_close(c);
	read_back(path, all, 600, false);
	free(all);
	remove_capture(path);
}

AQ_TEST(a_window_and_a_set_of_events)
{
	random_state = 99;
	const char *path = capture_path("window");
	struct made *all = write_capture(path, 5000, &(struct aq_writer_options){ .chunk_events = 300 });
	uint64_t set[(AQ_EVENT_ID_MAX + 63) / 64] = { 0 }, from = 100000 + 1000000, to = 100000 + 2000000;
	set[AQ_EV_openat / 64] |= 1ull << (AQ_EV_openat % 64);
	size_t expected = 0, n = 0;
	for (size_t i = 0; i < 5000; i++)
		expected += all[i].ev.id == AQ_EV_openat && all[i].ev.time_ns >= from && all[i].ev.time_ns <= to;
	struct aq_capture *c = NULL;
	struct aq_event_iter *it = NULL;
	struct aq_event ev;
	AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	struct aq_iter_options options = { .from_ns = from, .to_ns = to, .event_set = set, .without_attrs = true };
	AQ_REQUIRE(aq_event_iter_new(c, &options, &it, NULL) == 0);
	while (aq_event_iter_next(it, &ev, NULL) == 1) {
		AQ_CHECK(ev.id == AQ_EV_openat && ev.time_ns >= from && ev.time_ns <= to && ev.attr_count == 0);
		n++;
	}
	AQ_CHECK(expected > 0);
	AQ_CHECK_EQ_U64(n, expected);
	aq_event_iter_free(it);
	aq_capture_close(c);
	free(all);
	remove_capture(path);
}

static uint8_t *load_file(const char *path, size_t *ret_size)
{
	FILE *f = fopen(path, "rbe");
	AQ_REQUIRE(f != NULL);
	uint8_t *data = malloc(1 << 20);
	AQ_REQUIRE(data != NULL);
	*ret_size = fread(data, 1, 1 << 20, f);
	fclose(f);
	return data;
}

static void store_file(const char *path, const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	AQ_REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* Reads all that can be read; returns the number of events, or -1 when it can't be opened (with a sentence). */
static long read_damaged(const char *path, bool *ret_noticed)
{
	struct aq_err err = { 0 };
	struct aq_capture *c = NULL;
	struct aq_event_iter *it = NULL;
	struct aq_event ev;
	struct aq_verify_result v = { 0 };
	long n = 0;
	*ret_noticed = true;
	if (aq_capture_open(path, &c, &err) < 0) {
		AQ_CHECK(err.text[0] != '\0');
		return -1;
	}
	AQ_REQUIRE(aq_event_iter_new(c, &(struct aq_iter_options){ 0 }, &it, &err) == 0);
	while (aq_event_iter_next(it, &ev, &err) == 1)
		n++;
	aq_event_iter_free(it);
	AQ_CHECK_EQ_INT(aq_capture_verify(c, &v, NULL, NULL, &err), 0);
	*ret_noticed = v.damages > 0 || !v.finished || !v.ledger_balances;
	aq_capture_close(c);
	return n;
}

static const char *small_capture(uint8_t **ret_data, size_t *ret_size)
{
	static char file[256];
	random_state = 4711;
	const char *path = capture_path("small");
	free(write_capture(path, 120, &(struct aq_writer_options){ .chunk_events = 40 }));
	snprintf(file, sizeof(file), "%s/segment-000001.aqs", path);
	*ret_data = load_file(file, ret_size);
	return file;
}

AQ_TEST(cut_at_every_byte)
{
	uint8_t *data;
	size_t size;
	const char *file = small_capture(&data, &size);
	long last = 0;
	bool noticed;
	for (size_t cut = 0; cut < size; cut++) {
		store_file(file, data, cut);
		long n = read_damaged(file, &noticed);
		AQ_CHECK(noticed);
		AQ_CHECK(n <= 120 && n >= (last > 0 ? last : -1)); /* what was readable stays readable as the file grows */
		last = n > 0 ? n : last;
	}
	AQ_CHECK_EQ_INT(last, 120);
	free(data);
	remove_capture(capture_path("small"));
}

AQ_TEST(a_bit_flipped_at_every_byte)
{
	uint8_t *data;
	size_t size, unnoticed = 0;
	const char *file = small_capture(&data, &size);
	bool noticed;
	for (size_t at = 0; at < size; at++) {
		data[at] ^= (uint8_t)(1u << (at % 8));
		store_file(file, data, size);
		long n = read_damaged(file, &noticed);
		AQ_CHECK(n == -1 || n >= 40 || at < 1000); /* at most one dictionary or chunk goes */
		unnoticed += !noticed;
		data[at] ^= (uint8_t)(1u << (at % 8));
	}
	/* only padding between blocks is covered by no checksum */
	AQ_CHECK(unnoticed < 8 * 12);
	free(data);
	remove_capture(capture_path("small"));
}

AQ_TEST(a_full_disk_leaves_what_was_whole)
{
	const char *path = capture_path("full");
	pid_t child = fork();
	if (child == 0) {
		struct aq_err err = { 0 };
		struct aq_capture_writer *w = NULL;
		struct made m;
		int r = 0;
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 60000, 60000 });
		random_state = 3;
		if (aq_capture_writer_new(path, &meta, &(struct aq_writer_options){ .chunk_events = 200 }, &w, &err) < 0)
			_exit(2);
		for (unsigned i = 0; r == 0 && i < 20000; i++) {
			make_event(&m, AQ_EV_openat, 1000 + i * 1000);
			r = aq_capture_writer_add(w, &m.ev, &err);
		}
		bool again = aq_capture_writer_flush(w, NULL) == r; /* it stays failed */
		bool good = r == -EFBIG && again && strstr(err.text, "could not write") != NULL;
		aq_capture_writer_free(w);
		_exit(good ? 0 : 1);
	}
	int status = -1;
	waitpid(child, &status, 0);
	AQ_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	bool noticed;
	long n = read_damaged(path, &noticed);
	AQ_CHECK(n > 0 && n % 200 == 0);
	AQ_CHECK(noticed);
	struct aq_capture *c = NULL;
	AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	size_t damages;
	aq_capture_damages(c, &damages);
	AQ_CHECK_EQ_U64(damages, 0); /* the torn block was taken back: unfinished, not damaged */
	aq_capture_close(c);
	remove_capture(path);
}

AQ_TEST(a_folder_that_exists_is_left_alone)
{
	const char *path = capture_path("there");
	struct aq_capture_writer *w = NULL;
	struct aq_err err = { 0 };
	AQ_REQUIRE(mkdir(path, 0700) == 0);
	AQ_CHECK_EQ_INT(aq_capture_writer_new(path, &meta, NULL, &w, &err), -EEXIST);
	AQ_CHECK(w == NULL && strstr(err.text, "exists") != NULL);
	struct aq_capture *c = NULL;
	AQ_CHECK_EQ_INT(aq_capture_open(path, &c, &err), -EBADMSG);
	AQ_CHECK(strstr(err.text, "no segment") != NULL);
	remove_capture(path);
}

static int second_window(void *user, const struct aq_capture *c, uint64_t *from, uint64_t *to, struct aq_err *err)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	(void)err;
	*from = *to = info->segments[1].min_ns + 10;
	*(uint64_t *)user = *from;
	return info->events == 3000 && info->start_real_ns == meta.start_real_ns ? 0 : -EINVAL;
}

/* Of a capture with many segments only that is read which a window needs; totals and ledger are those of all. */
AQ_TEST(a_window_is_opened_alone)
{
	random_state = 3;
	const char *path = capture_path("part");
	struct made *all = write_capture(path, 3000, &(struct aq_writer_options){ .chunk_events = 100, .segment_bytes = 30000 });
	struct aq_capture *whole = NULL, *part = NULL;
	struct aq_event_iter *it = NULL;
	struct aq_err err = { 0 };
	struct aq_event ev;
	uint64_t at = 0;
	size_t rows, part_rows, gaps;
	struct aq_open_options options = { .window = second_window, .user = &at };
	AQ_REQUIRE(aq_capture_open(path, &whole, &err) == 0);
	AQ_REQUIRE(aq_capture_open_with(path, &options, &part, &err) == 0);
	const struct aq_capture_info *w = aq_capture_info(whole), *p = aq_capture_info(part);
	AQ_CHECK(w->segment_count > 3);
	AQ_CHECK_EQ_U64(p->segment_count, w->segment_count);
	AQ_CHECK_EQ_U64(p->events, w->events);
	AQ_CHECK_EQ_U64(p->bytes, w->bytes);
	AQ_CHECK(p->min_ns == w->min_ns && p->max_ns == w->max_ns && p->end_ns == w->end_ns && p->finished);
	AQ_CHECK(p->chunk_count > 0 && p->chunk_count < w->chunk_count / 2);
	for (size_t i = 0; i < w->segment_count; i++)
		AQ_CHECK(p->segments[i].events == w->segments[i].events && p->segments[i].min_ns == w->segments[i].min_ns);
	const struct aq_ledger_row *a = aq_capture_ledger(whole, &rows), *b = aq_capture_ledger(part, &part_rows);
	AQ_REQUIRE(part_rows == rows && rows == 16);
	for (size_t i = 0; i < rows; i++)
		AQ_CHECK(a[i].cpu == b[i].cpu && a[i].cls == b[i].cls && a[i].produced == b[i].produced && a[i].lost == b[i].lost);
	const struct aq_gap *gap = aq_capture_gaps(part, &gaps); /* what the last ledger has, and no damage */
	AQ_CHECK(gaps == 1 && gap[0].reason == AQ_GAP_RING_FULL);
	AQ_REQUIRE(aq_event_iter_new(part, &(struct aq_iter_options){ .from_ns = at, .to_ns = UINT64_MAX }, &it, &err) == 0);
	AQ_CHECK_EQ_INT(aq_event_iter_next(it, &ev, &err), 1);
	AQ_CHECK(ev.time_ns >= at && ev.time_ns < at + 10000);
	aq_event_iter_free(it);
	for (uint32_t i = 0; i < w->chunk_count; i++) { /* counting by type is the same as loading the ids */
		uint64_t counted[AQ_EVENT_ID_MAX] = { 0 };
		struct aq_chunk *chunk = NULL;
		AQ_REQUIRE(aq_chunk_count(whole, i, counted, &err) == 0 && aq_chunk_load(whole, i, AQ_COL_ID, &chunk, &err) == 0);
		for (uint32_t k = 0; k < chunk->events; k++)
			AQ_REQUIRE(counted[chunk->id[k]]-- > 0);
		aq_chunk_free(chunk);
		for (unsigned id = 0; id < AQ_EVENT_ID_MAX; id++)
			AQ_CHECK_EQ_U64(counted[id], 0);
	}
	aq_capture_close(part);
	aq_capture_close(whole);
	free(all);
	remove_capture(path);
}

AQ_TEST_MAIN()
