/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * A capture that is continued: after an orderly end, after a kill, after damage, several times; what is refused. The gap
 * between begins where the capture was known to be whole, and the ledgers of all recordings are one.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/fault_capture.h"

static char folder[64], path[96];

static void make_folder(void)
{
	strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/aquila-append-XXXXXX" : "/tmp/aquila-append-XXXXXX");
	AQ_REQUIRE(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/x.aquila", folder);
}

static void remove_folder(void)
{
	fault_remove(path);
	rmdir(folder);
}

enum end { CLOSED, KILLED };

/* Events from … to as one recording; with KILLED the last `unwritten` of them never reach the file. */
static void record(struct fault_events *events, unsigned from, unsigned to, enum end end, enum aq_sync sync)
{
	struct aq_capture_writer *w = NULL;
	struct aq_capture_meta meta = fault_meta;
	struct aq_err err = { 0 };
	struct fault_events mine = { 0 };
	struct aq_writer_options options = { .chunk_events = 20, .append = true, .sync = sync };
	meta.start_boot_ns = FAULT_START + (uint64_t)from * FAULT_STEP + 1;
	meta.capture_id[0] = (uint8_t)from; /* the first one's stays */
	int r = aq_capture_writer_new(path, &meta, &options, &w, &err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.text);
	AQ_REQUIRE(r == 0);
	for (unsigned i = from; i < to; i++)
		AQ_REQUIRE(fault_add(w, &mine, i, &err) == 0);
	if (end == CLOSED) {
		AQ_REQUIRE(aq_capture_writer_flush(w, &err) == 0);
		const struct aq_writer_stats *stats = aq_capture_writer_stats(w);
		struct aq_ledger_row rows[2 * AQ_CLASS_COUNT] = { 0 };
		for (unsigned i = 0; i < 2 * AQ_CLASS_COUNT; i++) {
			rows[i].cpu = (uint16_t)(i / AQ_CLASS_COUNT);
			rows[i].cls = (uint8_t)(i % AQ_CLASS_COUNT);
			rows[i].produced = rows[i].stored = stats->stored[rows[i].cpu][rows[i].cls];
		}
		AQ_REQUIRE(aq_capture_writer_set_ledger(w, rows, 2 * AQ_CLASS_COUNT, FAULT_START + (uint64_t)(to + 1) * FAULT_STEP,
							5 * FAULT_START, &err) == 0);
		AQ_REQUIRE(aq_capture_writer_close(w, &err) == 0);
	} else {
		if (sync == AQ_SYNC_VITAL)
			AQ_REQUIRE(aq_capture_writer_commit(w, &err) == 0);
		for (unsigned i = to - (to - from) % 20; i < to; i++) /* in the open chunk */
			mine.fate[i] = FAULT_LOST;
		if (sync == AQ_SYNC_VITAL) /* full chunks are made of other classes alone, class 0 is there */
			for (unsigned i = from, others = 0; i < to; i++) {
				unsigned all = (to - from) - (to - from + 3 - from % 4) / 4;
				others += i % 4 != 0;
				mine.fate[i] = i % 4 == 0 || others <= all - all % 20 ? FAULT_TAKEN : FAULT_LOST;
			}
	}
	for (unsigned i = from; i < to; i++)
		events->fate[i] = mine.fate[i];
	aq_capture_writer_free(w);
}

/* All events are there, each one that is missing lies in a gap of a recorder that was down; returns those gaps. */
static unsigned check(const struct fault_events *events, unsigned recordings, bool balances)
{
	struct aq_capture *c = NULL;
	struct aq_verify_result v;
	struct aq_err err = { 0 };
	unsigned downs = 0;
	size_t n;
	int r = aq_capture_open(path, &c, &err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.text);
	AQ_REQUIRE(r == 0);
	fault_check_events(c, events, false, "continued");
	AQ_REQUIRE(aq_capture_verify(c, &v, NULL, NULL, &err) == 0);
	AQ_CHECK_EQ_U64(v.damages, 0);
	AQ_CHECK(v.ledger_balances == balances);
	AQ_CHECK_EQ_INT(aq_capture_info(c)->recording_count, recordings);
	AQ_CHECK_EQ_INT(aq_capture_info(c)->capture_id[0], 0);
	const struct aq_gap *gaps = aq_capture_gaps(c, &n);
	for (size_t k = 0; k < n; k++)
		downs += gaps[k].reason == AQ_GAP_RECORDER_DOWN;
	for (unsigned i = 0; i < FAULT_EVENTS; i++) {
		uint64_t time_ns = FAULT_START + (uint64_t)(i + 1) * FAULT_STEP;
		bool covered = false;
		for (size_t k = 0; k < n; k++)
			covered = covered || (gaps[k].first_ns <= time_ns && time_ns <= gaps[k].last_ns);
		if (events->fate[i] == FAULT_LOST && !covered)
			fprintf(stderr, "event %u is missing, and in no gap\n", i);
		AQ_CHECK(events->fate[i] != FAULT_LOST || covered);
	}
	aq_capture_close(c);
	return downs;
}

AQ_TEST(after_an_orderly_end)
{
	struct fault_events events = { 0 };
	make_folder();
	record(&events, 0, 90, CLOSED, AQ_SYNC_SEGMENT);
	record(&events, 100, 200, CLOSED, AQ_SYNC_SEGMENT);
	AQ_CHECK_EQ_INT(check(&events, 2, true), 1);
	remove_folder();
}

AQ_TEST(after_kills)
{
	struct fault_events events = { 0 };
	make_folder();
	record(&events, 0, 90, KILLED, AQ_SYNC_SEGMENT);
	AQ_CHECK_EQ_INT(check(&events, 1, false), 1); /* there is no ledger */
	record(&events, 100, 190, KILLED, AQ_SYNC_VITAL);
	record(&events, 200, 211, KILLED, AQ_SYNC_CHUNK);
	record(&events, 220, 290, KILLED, AQ_SYNC_NONE);
	AQ_CHECK_EQ_INT(check(&events, 4, false), 4);
	record(&events, 300, 395, CLOSED, AQ_SYNC_VITAL);
	AQ_CHECK_EQ_INT(check(&events, 5, true), 4);
	struct aq_capture *c = NULL;
	AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	AQ_CHECK(aq_capture_info(c)->finished); /* what is missing is accounted for */
	AQ_CHECK_EQ_INT(aq_capture_info(c)->segment_count, 5);
	aq_capture_close(c);
	remove_folder();
}

static void keep_copy(const char *from, const char *to)
{
	uint8_t bytes[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ssize_t n = read(in, bytes, sizeof(bytes));
	AQ_REQUIRE(in >= 0 && out >= 0 && n > 0 && n < (ssize_t)sizeof(bytes) && write(out, bytes, (size_t)n) == n);
	close(in);
	close(out);
}

AQ_TEST(what_is_there_is_not_touched)
{
	struct fault_events events = { 0 };
	char file[128], copy[128], command[300];
	make_folder();
	snprintf(file, sizeof(file), "%s/segment-000001.aqs", path);
	snprintf(copy, sizeof(copy), "%s/copy", folder);
	record(&events, 0, 90, KILLED, AQ_SYNC_SEGMENT);
	keep_copy(file, copy);
	record(&events, 100, 200, CLOSED, AQ_SYNC_SEGMENT);
	snprintf(command, sizeof(command), "cmp '%s' '%s'", file, copy);
	AQ_CHECK_EQ_INT(system(command), 0);
	unlink(copy);
	/* a tail that was torn is the gap's; whole blocks before it stay */
	struct stat st;
	AQ_REQUIRE(stat(file, &st) == 0 && truncate(file, st.st_size - 5) == 0);
	struct aq_capture *c = NULL;
	size_t n;
	AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	const struct aq_gap *gaps = aq_capture_gaps(c, &n);
	bool covered = false;
	for (size_t i = 0; i < n; i++) /* the chunk before the end of what the second recorder saw */
		covered = covered || (gaps[i].first_ns <= FAULT_START + 75 * FAULT_STEP && gaps[i].last_ns >= FAULT_START + 80 * FAULT_STEP);
	AQ_CHECK(covered);
	aq_capture_close(c);
	remove_folder();
}

static void refuse(const struct aq_capture_meta *meta, const struct aq_writer_options *options, int code, const char *text)
{
	struct aq_capture_writer *w = NULL;
	struct aq_err err = { 0 };
	int r = aq_capture_writer_new(path, meta, options, &w, &err);
	AQ_CHECK_EQ_INT(r, code);
	if (!strstr(err.text, text))
		fprintf(stderr, "it says: %s\n", err.text);
	AQ_CHECK(strstr(err.text, text) != NULL && strstr(err.text, path) != NULL);
	AQ_CHECK(w == NULL);
}

AQ_TEST(what_is_refused)
{
	struct fault_events events = { 0 };
	struct aq_writer_options options = { .append = true };
	struct aq_capture_meta meta = fault_meta;
	struct aq_capture_writer *w = NULL;
	char file[128];
	make_folder();
	record(&events, 0, 90, CLOSED, AQ_SYNC_SEGMENT);
	refuse(&fault_meta, &(struct aq_writer_options){ 0 }, -EEXIST, "exists");
	meta.boot_id = "another";
	refuse(&meta, &options, -EXDEV, "started again");
	meta = fault_meta;
	meta.host = "elsewhere";
	refuse(&meta, &options, -EXDEV, "capture of host 'host'");
	options.time_resolution_ns = 64;
	refuse(&fault_meta, &options, -EINVAL, "times to 64 ns");
	options = (struct aq_writer_options){ .append = true, .keep_pointers = true };
	refuse(&fault_meta, &options, -EINVAL, "without addresses");
	options = (struct aq_writer_options){ .append = true };
	/* a recorder that lives */
	AQ_REQUIRE(aq_capture_writer_new(path, &fault_meta, &options, &w, NULL) == 0);
	refuse(&fault_meta, &options, -EBUSY, "being recorded into");
	aq_capture_writer_free(w);
	fault_remove(path);
	/* a folder with something else in it, one with nothing readable, an empty one */
	AQ_REQUIRE(mkdir(path, 0700) == 0);
	snprintf(file, sizeof(file), "%s/notes.txt", path);
	close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	refuse(&fault_meta, &options, -EBADMSG, "no capture, and not empty");
	unlink(file);
	snprintf(file, sizeof(file), "%s/segment-000001.aqs", path);
	close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	refuse(&fault_meta, &options, -EBADMSG, "can't be continued");
	unlink(file);
	AQ_CHECK_EQ_INT(aq_capture_writer_new(path, &fault_meta, &options, &w, NULL), 0);
	aq_capture_writer_free(w);
	remove_folder();
}

AQ_TEST(numbers_go_on_behind_a_missing_segment)
{
	struct fault_events events = { 0 };
	char file[128];
	make_folder();
	record(&events, 0, 90, CLOSED, AQ_SYNC_SEGMENT);
	record(&events, 100, 190, CLOSED, AQ_SYNC_SEGMENT);
	record(&events, 200, 290, CLOSED, AQ_SYNC_SEGMENT);
	snprintf(file, sizeof(file), "%s/segment-000002.aqs", path);
	unlink(file);
	record(&events, 300, 390, CLOSED, AQ_SYNC_SEGMENT);
	for (unsigned i = 100; i < 190; i++)
		events.fate[i] = FAULT_LOST;
	struct aq_capture *c = NULL;
	AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	fault_check_events(c, &events, false, "missing segment");
	AQ_CHECK(!aq_capture_info(c)->finished);
	AQ_CHECK_EQ_INT(aq_capture_info(c)->segments[2].number, 4);
	aq_capture_close(c);
	remove_folder();
}

AQ_TEST_MAIN()
