/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_retention aq_segment aq_schema aq_base */
/*
 * Which segments go, as a function of a list; a real folder from which they go; pins as files, whatever is in them; what
 * a reader makes of what is left.
 */
#include "recorder/retention.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/segment/reader.h"
#include "format/segment/writer.h"
#include "tests/unit/aq_test.h"

#define SEC 1000000000ull
enum { COUNT = 6, EVENTS = 100 };

/* Six segments of ten seconds and 100 bytes each, the last one being written. */
static size_t choose(struct aq_retention_limits limits, const struct aq_pin *pins, size_t pin_count, uint64_t free_bytes, char *text)
{
	struct aq_retained segments[COUNT];
	const struct aq_disk disk = { .bytes = 10000, .free_bytes = free_bytes };
	bool remove[COUNT];
	for (unsigned i = 0; i < COUNT; i++)
		segments[i] = (struct aq_retained){ .number = i + 1, .bytes = 100, .first_real_ns = (1000 + 10 * i) * SEC,
						    .last_real_ns = (1009 + 10 * i) * SEC };
	segments[1].first_real_ns = 0; /* unknown */
	size_t n = aq_retention_choose(&limits, segments, COUNT, pins, pin_count, &disk, 1060 * SEC, remove);
	for (unsigned i = 0; i < COUNT; i++)
		text[i] = remove[i] ? 'x' : '.';
	text[COUNT] = '\0';
	return n;
}

AQ_TEST(choosing)
{
	const struct aq_pin pins[] = { { .from_real_ns = 1009 * SEC, .to_real_ns = 1009 * SEC },
				       { .from_real_ns = 1025 * SEC, .to_real_ns = 1031 * SEC } };
	const struct aq_pin all = { .from_real_ns = 0, .to_real_ns = UINT64_MAX };
	char text[COUNT + 1];
	AQ_CHECK_EQ_U64(choose((struct aq_retention_limits){ 0 }, NULL, 0, 0, text), 0);
	AQ_CHECK_EQ_U64(choose((struct aq_retention_limits){ .total_bytes = 350 }, NULL, 0, 0, text), 3);
	AQ_CHECK_EQ_STR(text, "xxx...");
	AQ_CHECK_EQ_U64(choose((struct aq_retention_limits){ .total_bytes = 600 }, NULL, 0, 0, text), 0);
	AQ_CHECK_EQ_U64(choose((struct aq_retention_limits){ .total_bytes = 1 }, NULL, 0, 0, text), 5);
	AQ_CHECK_EQ_STR(text, "xxxxx.");
	AQ_CHECK_EQ_U64(choose((struct aq_retention_limits){ .age_ns = 31 * SEC }, NULL, 0, 0, text), 2);
	AQ_CHECK_EQ_STR(text, "xx....");
	AQ_CHECK_EQ_U64(choose((struct aq_retention_limits){ .age_ns = 30 * SEC }, NULL, 0, 0, text), 3);
	AQ_CHECK_EQ_U64(choose((struct aq_retention_limits){ .free_bytes = 250 }, NULL, 0, 100, text), 2);
	AQ_CHECK_EQ_STR(text, "xx....");
	AQ_CHECK_EQ_U64(choose((struct aq_retention_limits){ .free_percent = 3 }, NULL, 0, 100, text), 2);
	AQ_CHECK_EQ_U64(choose((struct aq_retention_limits){ .free_percent = 1 }, NULL, 0, 100, text), 0);
	/* the second segment begins where the first ends, so the first pin keeps both; the second pin keeps two more */
	AQ_CHECK_EQ_U64(choose((struct aq_retention_limits){ .total_bytes = 1 }, pins, 2, 0, text), 1);
	AQ_CHECK_EQ_STR(text, "....x.");
	AQ_CHECK_EQ_U64(choose((struct aq_retention_limits){ .total_bytes = 500 }, pins, 2, 0, text), 1);
	AQ_CHECK_EQ_STR(text, "....x.");
	AQ_CHECK_EQ_U64(choose((struct aq_retention_limits){ .total_bytes = 1, .age_ns = 1 }, &all, 1, 0, text), 0);
}

static bool parses(const char *text)
{
	struct aq_pin pin = { 0 };
	return aq_pin_parse(text, strlen(text), &pin);
}

AQ_TEST(pin_texts)
{
	struct aq_pin pin = { .id = "0123456789abcdef" };
	const char *good = "aquila-pin 1\nfrom 5\nto 18446744073709551615\nmade 7\nnote a b\n";
	char big[AQ_PIN_FILE_MAX + 64];
	AQ_REQUIRE(aq_pin_parse(good, strlen(good), &pin));
	AQ_CHECK_EQ_U64(pin.from_real_ns, 5);
	AQ_CHECK_EQ_U64(pin.to_real_ns, UINT64_MAX);
	AQ_CHECK_EQ_STR(pin.note, "a b");
	AQ_CHECK_EQ_STR(pin.id, "0123456789abcdef");
	for (size_t n = 0; n < strlen(good); n++) /* cut anywhere it is none */
		AQ_CHECK(!aq_pin_parse(good, n, &pin));
	AQ_CHECK(!parses("aquila-pin 2\nfrom 5\nto 6\nmade 7\nnote \n"));
	AQ_CHECK(!parses("aquila-pin 1\nfrom 7\nto 6\nmade 7\nnote \n"));
	AQ_CHECK(!parses("aquila-pin 1\nfrom 18446744073709551616\nto 6\nmade 7\nnote \n"));
	AQ_CHECK(!parses("aquila-pin 1\nfrom -1\nto 6\nmade 7\nnote \n"));
	AQ_CHECK(!parses("aquila-pin 1\nfrom  1\nto 6\nmade 7\nnote \n"));
	int n = snprintf(big, sizeof(big), "aquila-pin 1\nfrom 1\nto 6\nmade 7\nnote ");
	memset(big + n, 'x', 300);
	strcpy(big + n + 300, "\n");
	AQ_CHECK(!parses(big));
}

static void in_folder(char path[64])
{
	strcpy(path, "/tmp/aquila-test-XXXXXX");
	AQ_REQUIRE(mkdtemp(path) != NULL);
}

static void remove_folder(const char *path)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	AQ_CHECK_EQ_INT(system(command), 0);
}

static void put_file(int dir_fd, const char *name, const char *text, size_t bytes)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	AQ_REQUIRE(fd >= 0);
	AQ_CHECK(write(fd, text, bytes) == (ssize_t)bytes);
	close(fd);
}

AQ_TEST(pin_files)
{
	static char garbage[5000];
	struct aq_pin pin = { .from_real_ns = 10, .to_real_ns = 20, .note = "tab\tand\nline" }, early = { .to_real_ns = 3 }, *pins;
	struct aq_err err = { 0 };
	size_t count, bad;
	char path[64];
	in_folder(path);
	int fd = open(path, O_RDONLY | O_DIRECTORY);
	AQ_CHECK_EQ_INT(aq_pin_make(fd, &pin, &err), 0);
	AQ_CHECK_EQ_INT(aq_pin_make(fd, &early, &err), 0);
	put_file(fd, "pin-00000000000000aa.txt", garbage, sizeof(garbage));
	put_file(fd, "pin-00000000000000AB.txt", garbage, 0);
	put_file(fd, "pin-x.txt", garbage, 0);
	AQ_CHECK_EQ_INT(symlinkat("/dev/zero", fd, "pin-00000000000000ac.txt"), 0);
	AQ_CHECK_EQ_INT(mkfifoat(fd, "pin-00000000000000ad.txt", 0600), 0);
	AQ_REQUIRE(aq_pins_load(fd, &pins, &count, &bad, &err) == 0);
	AQ_REQUIRE(count == 2);
	AQ_CHECK_EQ_U64(bad, 4);
	AQ_CHECK_EQ_STR(pins[0].id, early.id);
	AQ_CHECK_EQ_STR(pins[1].note, "tab and line");
	AQ_CHECK_EQ_U64(pins[1].to_real_ns, 20);
	free(pins);
	AQ_CHECK_EQ_INT(aq_pin_remove(fd, pin.id, &err), 0);
	AQ_CHECK_EQ_INT(aq_pin_remove(fd, pin.id, &err), -ENOENT);
	AQ_CHECK_EQ_INT(aq_pin_remove(fd, "../../etc/passwd", &err), -EINVAL);
	AQ_REQUIRE(aq_pins_load(fd, &pins, &count, &bad, &err) == 0);
	AQ_CHECK_EQ_U64(count, 1);
	free(pins);
	close(fd);
	remove_folder(path);
}

static int next_segment(void *user, struct aq_capture_writer *w, struct aq_err *err)
{
	(void)w;
	(void)err;
	++*(unsigned *)user;
	return 0;
}

/* Segments of a second and EVENTS events each, which hold times since the wall-clock's real_ns. */
static struct aq_capture_writer *write_segments(const char *path, unsigned segments, uint64_t real_ns, bool retention)
{
	static unsigned begun;
	const struct aq_capture_meta meta = { .start_boot_ns = 1000 * SEC, .start_real_ns = real_ns, .cpu_count = 1 };
	const struct aq_writer_options options = { .segment_age_ns = SEC, .retention = retention, .on_segment = next_segment, .user = &begun };
	struct aq_ledger_row row = { .cls = AQ_CLASS_BULK };
	struct aq_capture_writer *w;
	struct aq_err err = { 0 };
	begun = 1;
	AQ_REQUIRE(aq_capture_writer_new(path, &meta, &options, &w, &err) == 0);
	AQ_CHECK_EQ_INT(aq_capture_writer_set_ledger(w, &row, 1, 1000 * SEC, real_ns, &err), 0);
	for (unsigned i = 0; i < segments * EVENTS; i++) {
		uint64_t at = i * (SEC / EVENTS);
		struct aq_event ev = { .time_ns = 1000 * SEC + at, .id = 1, .cls = AQ_CLASS_BULK, .pid = 1, .tid = 1 };
		AQ_REQUIRE(aq_capture_writer_add(w, &ev, &err) == 0);
		if (i % 10 == 9) { /* the last totals before a new segment are never exact */
			row.produced = row.stored = i;
			AQ_CHECK_EQ_INT(aq_capture_writer_set_ledger(w, &row, 1, 1000 * SEC + at, real_ns + at, &err), 0);
			AQ_CHECK_EQ_INT(aq_capture_writer_flush(w, &err), 0);
		}
	}
	AQ_CHECK_EQ_U64(begun, segments);
	row.produced = row.stored = segments * EVENTS;
	AQ_CHECK_EQ_INT(aq_capture_writer_set_ledger(w, &row, 1, (1000 + segments) * SEC, real_ns + segments * SEC, &err), 0);
	return w;
}

static struct aq_verify_result verify(const char *path, uint64_t removed_segments, uint64_t events)
{
	struct aq_verify_result v = { 0 };
	struct aq_capture *c;
	struct aq_err err = { 0 };
	AQ_REQUIRE(aq_capture_open(path, &c, &err) == 0);
	AQ_CHECK_EQ_INT(aq_capture_verify(c, &v, NULL, NULL, &err), 0);
	AQ_CHECK_EQ_U64(aq_capture_info(c)->removed_segments, removed_segments);
	AQ_CHECK_EQ_U64(v.events, events);
	AQ_CHECK_EQ_STR(v.ledger_text, "");
	AQ_CHECK(v.ledger_balances);
	aq_capture_close(c);
	return v;
}

/* Exact counts of what is gone, in front and in the middle. */
static void check_gaps(const char *path)
{
	struct aq_capture *c;
	struct aq_err err = { 0 };
	size_t count;
	AQ_REQUIRE(aq_capture_open(path, &c, &err) == 0);
	const struct aq_gap *gaps = aq_capture_gaps(c, &count);
	AQ_REQUIRE(count == 2);
	for (unsigned i = 0; i < 2; i++) {
		AQ_CHECK_EQ_INT(gaps[i].reason, AQ_GAP_RETENTION);
		AQ_CHECK_EQ_INT(gaps[i].cls, AQ_CLASS_BULK);
	}
	AQ_CHECK_EQ_U64(gaps[0].count, 2 * EVENTS);
	AQ_CHECK_EQ_U64(gaps[0].first_ns, 1000 * SEC);
	AQ_CHECK(gaps[0].last_ns >= 1001 * SEC && gaps[0].last_ns < 1002 * SEC);
	AQ_CHECK_EQ_U64(gaps[1].count, EVENTS);
	AQ_CHECK_EQ_STR(aq_gap_reason_name(gaps[1].reason), "retention");
	AQ_CHECK_EQ_U64(aq_capture_info(c)->kept_from_ns, gaps[0].last_ns + 1);
	AQ_CHECK(aq_capture_info(c)->finished);
	aq_capture_close(c);
}

AQ_TEST(removing)
{
	const struct aq_retention_limits limits = { .age_ns = 5 * SEC };
	const uint64_t real_ns = 1767225600 * SEC;
	struct aq_retention *r;
	struct aq_err err = { 0 };
	char folder[64], path[96], file[128];
	size_t removed;
	in_folder(folder);
	snprintf(path, sizeof(path), "%s/a.aquila", folder);
	struct aq_capture_writer *w = write_segments(path, 6, real_ns, true);
	AQ_REQUIRE(aq_retention_new(path, &limits, &r, &err) == 0);
	/* the sixth is being written: nothing is old yet; then two are, and a pin over the third keeps that one */
	AQ_CHECK_EQ_INT(aq_retention_run(r, real_ns + 5 * SEC, &removed, &err), 0);
	AQ_CHECK_EQ_U64(removed, 0);
	AQ_CHECK_EQ_INT(aq_retention_pin(r, real_ns + 2 * SEC + SEC / 2, SEC / 10, SEC / 10, "here", &err), 0);
	AQ_CHECK_EQ_INT(aq_retention_run(r, real_ns + 7 * SEC, &removed, &err), 0);
	AQ_CHECK_EQ_U64(removed, 2);
	AQ_CHECK_EQ_INT(aq_capture_writer_flush(w, &err), 0);
	verify(path, 2, 4 * EVENTS);
	AQ_CHECK_EQ_INT(aq_retention_run(r, real_ns + 9 * SEC, &removed, &err), 0);
	AQ_CHECK_EQ_U64(removed, 1);
	AQ_CHECK_EQ_INT(aq_capture_writer_close(w, &err), 0);
	aq_capture_writer_free(w);
	struct aq_verify_result v = verify(path, 3, 3 * EVENTS);
	AQ_CHECK(v.finished);
	AQ_CHECK_EQ_U64(v.damages, 0);
	AQ_CHECK_EQ_U64(v.stored, 6 * EVENTS);
	AQ_CHECK_EQ_U64(v.removed, 3 * EVENTS);
	check_gaps(path);
	for (unsigned i = 3; i <= 6; i++) { /* each one alone */
		snprintf(file, sizeof(file), "%s/segment-%06u.aqs", path, i);
		if (i != 4)
			AQ_CHECK(verify(file, 0, EVENTS).finished);
	}
	AQ_CHECK_EQ_INT(aq_retention_run(r, real_ns + 1000 * SEC, &removed, &err), 0);
	AQ_CHECK_EQ_U64(removed, 1); /* not the pinned one, not the last */
	aq_retention_free(r);
	remove_folder(folder);
}

AQ_TEST(missing_without_retention_is_damage)
{
	struct aq_capture *c;
	struct aq_err err = { 0 };
	char folder[64], path[96], file[128];
	size_t damages;
	in_folder(folder);
	snprintf(path, sizeof(path), "%s/a.aquila", folder);
	struct aq_capture_writer *w = write_segments(path, 3, SEC, false);
	AQ_CHECK_EQ_INT(aq_capture_writer_close(w, &err), 0);
	aq_capture_writer_free(w);
	snprintf(file, sizeof(file), "%s/segment-000001.aqs", path);
	AQ_CHECK_EQ_INT(unlink(file), 0);
	AQ_REQUIRE(aq_capture_open(path, &c, &err) == 0);
	(void)aq_capture_damages(c, &damages);
	AQ_CHECK_EQ_U64(damages, 1);
	AQ_CHECK(!aq_capture_info(c)->finished);
	AQ_CHECK_EQ_U64(aq_capture_info(c)->removed_segments, 0);
	aq_capture_close(c);
	remove_folder(folder);
}

AQ_TEST_MAIN()
