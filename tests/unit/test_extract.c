/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_query */
/* What an extract keeps of a long life: the files that were open when the first event matched, and who wrote the program. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/segment/reader.h"
#include "format/segment/writer.h"
#include "query/extract.h"
#include "query/query.h"
#include "tests/unit/aq_test.h"
#include "tests/unit/query_fixture.h"

enum { DAEMON = 100, OTHER = 200, WRITER = 300, LATER = 300, RUN = 400, RDONLY = 0, WRONLY = 01, CREAT = 0100 };

static char folder[] = "/tmp/aquila-extract-XXXXXX", from[64], to[64];
static uint64_t now_ns = 1000000000;
static struct aq_capture_writer *writer;

static void put(struct aq_event ev)
{
	AQ_REQUIRE(aq_capture_writer_add(writer, &ev, NULL) == 0);
	now_ns += 1000;
}

static struct aq_event dup2_event(uint32_t pid, int old, int new)
{
	struct aq_event ev = ev_on_fd(now_ns, AQ_EV_dup2, pid, old, new);

	ev.args[1] = (uint64_t)new;
	return ev;
}

static void write_capture(void)
{
	const struct aq_capture_meta meta = { .host = "h", .boot_id = "b", .cpu_count = 1, .start_boot_ns = now_ns,
					      .start_real_ns = now_ns };
	char path[64];

	AQ_REQUIRE(aq_capture_writer_new(from, &meta, NULL, &writer, NULL) == 0);
	put(ev_exec(now_ns, DAEMON, 1, "/sbin/daemon", "daemon\0", 7));
	put(ev_openat(now_ns, DAEMON, -100, "/etc/daemon.conf", RDONLY, 3)); /* stays open */
	for (int i = 0; i < 500; i++) { /* its past */
		snprintf(path, sizeof(path), "/past/secret-%d", i);
		put(ev_openat(now_ns, DAEMON, -100, path, i % 2 ? RDONLY : WRONLY | CREAT, 4));
		put(ev_on_fd(now_ns, AQ_EV_read, DAEMON, 4, 10));
		put(ev_openat(now_ns, DAEMON, -100, "/past/missing-secret", RDONLY, -2));
		put(ev_on_fd(now_ns, AQ_EV_close, DAEMON, 4, 0));
	}
	put(ev_openat(now_ns, DAEMON, -100, "/past/copied", RDONLY, 5));
	put(dup2_event(DAEMON, 5, 6)); /* one of the two goes, the other stays */
	put(ev_on_fd(now_ns, AQ_EV_close, DAEMON, 5, 0));
	put(ev_openat(now_ns, DAEMON, -100, "/srv/here", 0200000, 7));
	put(ev_on_fd(now_ns, AQ_EV_fchdir, DAEMON, 7, 0)); /* the directory is closed, but it is where it is */
	put(ev_on_fd(now_ns, AQ_EV_close, DAEMON, 7, 0));
	put(ev_exec(now_ns, OTHER, 1, "/bin/other-tenant", "other\0", 6));
	put(ev_openat(now_ns, OTHER, -100, "/tenant/data", RDONLY, 3));

	put(ev_exec(now_ns, WRITER, 1, "/bin/true-writer", "w\0", 2));
	put(ev_openat(now_ns, WRITER, -100, "/srv/program", WRONLY | CREAT, 3));
	put(ev_on_fd(now_ns, AQ_EV_close, WRITER, 3, 0));
	put(ev_exit(now_ns, WRITER, 0));
	put(ev_fork(now_ns, 1, LATER, LATER)); /* the same pid again */
	put(ev_exec(now_ns, LATER, 1, "/bin/namesake-of-writer", "n\0", 2));
	put(ev_fork(now_ns, DAEMON, RUN, RUN));
	put(ev_exec(now_ns, RUN, DAEMON, "/srv/program", "p\0", 2));

	put(ev_on_fd(now_ns, AQ_EV_fsync, RUN, 3, 0)); /* these are asked for */
	put(ev_on_fd(now_ns, AQ_EV_fsync, DAEMON, 6, 0));
	put(ev_openat(now_ns, DAEMON, -100, "relative", RDONLY, -2));
	put(ev_on_fd(now_ns, AQ_EV_fsync, DAEMON, 3, 0));
	put(ev_openat(now_ns, DAEMON, -100, "/future/secret", RDONLY, 9));
	AQ_REQUIRE(aq_capture_writer_close(writer, NULL) == 0);
	aq_capture_writer_free(writer);
}

/* All rows of a query, one after the other, fields apart by a bar. */
static char *answers(const char *path, const char *filter, const char *const *fields, size_t count)
{
	const struct aq_query_options o = { .filter = filter, .fields = fields, .field_count = count };
	struct aq_capture *c = NULL;
	struct aq_query *q = NULL;
	struct aq_err err = { 0 };
	struct aq_row *row;
	char *text = calloc(1, 1 << 20);
	int r;

	AQ_REQUIRE(aq_capture_open(path, &c, NULL) == 0);
	r = aq_query_new(c, &o, &q, &err);
	if (r < 0)
		printf("%s\n", err.text);
	AQ_REQUIRE(r == 0 && text);
	while ((r = aq_query_next(q, &row, &err)) > 0)
		for (size_t i = 0; i < count; i++) {
			struct aq_value v;
			char one[512] = "-";

			if (aq_field_value(aq_query_field(q, i), row, &v))
				aq_value_text(&v, one, sizeof(one));
			strcat(strcat(text, one), i + 1 < count ? "|" : "\n");
		}
	AQ_REQUIRE(r == 0);
	aq_query_free(q);
	aq_capture_close(c);
	return text;
}

AQ_TEST(long_life)
{
	static const char *const fields[] = { "evt.type", "proc.name", "proc.pname", "proc.exepath", "proc.cwd", "fd.name", "fd.num",
					      "proc.exe_writer", "fs.path.name" };
	static const char filter[] = "evt.type = fsync or evt.arg.name = relative", all[] = "evt.type exists";
	static const char *const texts[] = { "evt.type", "fs.path.name", "proc.name", "proc.exepath", "fd.name" };
	struct aq_extract_options o = { .filter = filter, .derived_json = "{}" };
	struct aq_extract_result result;
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	char *before, *after, *left;

	AQ_REQUIRE(mkdtemp(folder) != NULL);
	snprintf(from, sizeof(from), "%s/from.aquila", folder);
	snprintf(to, sizeof(to), "%s/to.aquila", folder);
	write_capture();
	before = answers(from, filter, fields, sizeof(fields) / sizeof(fields[0]));
	AQ_CHECK(strstr(before, "fsync|") && strstr(before, "/etc/daemon.conf") && strstr(before, "/past/copied") && strstr(before, "/srv/here"));
	AQ_REQUIRE(aq_capture_open(from, &c, NULL) == 0);
	AQ_REQUIRE(aq_extract(c, to, &o, &result, &err) == 0);
	aq_capture_close(c);
	after = answers(to, filter, fields, sizeof(fields) / sizeof(fields[0]));
	AQ_CHECK_EQ_STR(after, before);
	AQ_CHECK_EQ_U64(result.matches, 4);
	left = answers(to, all, texts, sizeof(texts) / sizeof(texts[0]));
	AQ_CHECK(strstr(left, "secret") == NULL);
	AQ_CHECK(strstr(left, "tenant") == NULL);
	AQ_CHECK(strstr(left, "true-writer") != NULL); /* it wrote the program, and not whoever had its number later */
	AQ_CHECK(strstr(left, "/srv/program") != NULL);
	AQ_CHECK(strstr(left, "namesake") == NULL);
	free(before);
	free(after);
	free(left);
}

AQ_TEST_MAIN()
