/* SPDX-License-Identifier: Apache-2.0 */
/* The filter language: what parses, where errors are placed, three values, and what a filter implies for reading.
 * aq-libs: aq_query aq_segment aq_schema aq_base */
#include "query/filter.h"
#include "tests/unit/aq_test.h"
#include "tests/unit/query_fixture.h"

static struct aq_scratch *scratch;

/* 1 matches, 0 not, -1 does not compile */
static int match(const char *text, const struct aq_event *ev, const struct aq_gap *gap)
{
	struct aq_row row = { .ev = ev, .gap = gap, .fd_num = -1 };
	struct aq_filter *f;
	int r;

	if (!scratch)
		AQ_REQUIRE(aq_scratch_new(&scratch) == 0);
	aq_scratch_reset(scratch);
	row.scratch = scratch;
	if (aq_filter_compile(text, &f, NULL) < 0)
		return -1;
	r = aq_filter_match(f, &row);
	aq_filter_free(f);
	return r;
}

static struct aq_event sample(void)
{
	struct aq_event ev = ev_openat(1000, 42, -100, "/etc/passwd", 02000000, 3);

	ev.cpu = 1;
	return ev;
}

AQ_TEST(operators)
{
	struct aq_event ev = sample();
	static const struct { const char *text; int want; } cases[] = {
		{ NULL, 1 }, { "", 1 }, { "  ", 1 }, { "evt.type=openat", 1 }, { "evt.type == 'openat'", 1 },
		{ "evt.type != openat", 0 }, { "not evt.type=close", 1 }, { "evt.type in (close, openat,)", 1 },
		{ "evt.type in (close,read)", 0 }, { "evt.type startswith open", 1 }, { "evt.type endswith at", 1 },
		{ "evt.type glob 'o*a?'", 1 }, { "evt.type glob 'o[a-f]*'", 0 }, { "evt.category=file", 1 },
		{ "proc.pid=42", 1 }, { "proc.pid > 0x29 and proc.pid <= 052", 1 }, { "proc.pid >= 43", 0 },
		{ "evt.arg.path contains passwd", 1 }, { "evt.arg.path icontains PASSWD", 1 },
		{ "evt.arg.path pmatch /etc", 1 }, { "evt.arg.path pmatch (/var, /etc/)", 1 },
		{ "evt.arg.path pmatch /et", 0 }, { "evt.arg.flags contains O_CLOEXEC", 1 },
		{ "evt.arg.dirfd = AT_FDCWD", 1 }, { "evt.arg.dirfd = -100", 1 }, { "evt.res = 3", 1 }, { "evt.res=SUCCESS", 1 },
		{ "evt.res = ENOENT", 0 }, { "evt.rawres >= 0", 1 }, { "evt.failed=false", 1 }, { "evt.failed=true", 0 },
		{ "evt.is_open_read=true", 1 }, { "evt.is_open_write=true", 0 },
		{ "evt.type=close or evt.type=read or evt.cpu=1", 1 },
		{ "evt.type=openat and evt.cpu=1 and proc.pid=41", 0 },
		{ "EVT.type=openat", -1 }, { "evt.type=openat AND NOT proc.pid=1", 1 }, { "evt.dir = <", -1 },
		{ "evt.dir = '<'", 1 }, { "evt.arg.path = \"/etc/\\x70asswd\"", 1 }, { "thread.ismain=true", 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int got = match(cases[i].text, &ev, NULL);

		if (got != cases[i].want)
			AQ_TEST_FAIL_("%s gives %d", cases[i].text ? cases[i].text : "NULL", got);
	}
}

AQ_TEST(results)
{
	struct aq_event ev = ev_openat(1, 1, -100, "x", 0, -2);

	AQ_CHECK(match("evt.res = ENOENT", &ev, NULL) == 1);
	AQ_CHECK(match("evt.res = -2", &ev, NULL) == 1);
	AQ_CHECK(match("evt.res != ENOENT", &ev, NULL) == 0);
	AQ_CHECK(match("evt.res in (EPERM, ENOENT)", &ev, NULL) == 1);
	AQ_CHECK(match("evt.res = SUCCESS", &ev, NULL) == 0);
	AQ_CHECK(match("evt.rawres < 0", &ev, NULL) == 1);
	AQ_CHECK(match("evt.rawres = ENOENT", &ev, NULL) == 1);
	AQ_CHECK(match("evt.failed = true", &ev, NULL) == 1);
}

AQ_TEST(unknown_is_neither)
{
	struct aq_event ev = sample();

	AQ_CHECK(match("proc.name = bash", &ev, NULL) == 0);
	AQ_CHECK(match("not proc.name = bash", &ev, NULL) == 0);
	AQ_CHECK(match("proc.name != bash", &ev, NULL) == 0);
	AQ_CHECK(match("proc.name exists", &ev, NULL) == 0);
	AQ_CHECK(match("not proc.name exists", &ev, NULL) == 1);
	AQ_CHECK(match("proc.name = bash or evt.type = openat", &ev, NULL) == 1);
	AQ_CHECK(match("not (proc.name = bash and evt.type = close)", &ev, NULL) == 1);
	AQ_CHECK(match("not (proc.name = bash and evt.type = openat)", &ev, NULL) == 0);
	AQ_CHECK(match("gap.count exists", &ev, NULL) == 0);
}

AQ_TEST(gaps)
{
	struct aq_gap gap = { .first_ns = 1, .last_ns = 2, .count = 7, .cpu = 1, .cls = 3, .reason = AQ_GAP_RING_FULL };

	AQ_CHECK(match("evt.type=gap", NULL, &gap) == 1);
	AQ_CHECK(match("gap.count > 5 and gap.class=bulk", NULL, &gap) == 1);
	AQ_CHECK(match("evt.type=openat", NULL, &gap) == 0);
	AQ_CHECK(match("proc.pid=1", NULL, &gap) == 0);
	AQ_CHECK(match("evt.category=file or not evt.category=file", NULL, &gap) == 0);
}

static void error_at(const char *text, uint64_t offset, const char *part)
{
	struct aq_filter *f = NULL;
	struct aq_err err = { 0 };
	int r = aq_filter_compile(text, &f, &err);

	if (r >= 0) {
		AQ_TEST_FAIL_("%s compiles", text);
		aq_filter_free(f);
		return;
	}
	if (err.offset != offset || !strstr(err.text, part))
		AQ_TEST_FAIL_("%s: at %llu '%s'", text, (unsigned long long)err.offset, err.text);
}

AQ_TEST(errors)
{
	error_at("evt.tipe=openat", 0, "evt.type");
	error_at("evt.type=opnat", 9, "openat");
	error_at("evt.type", 8, "operator");
	error_at("evt.type=", 9, "value");
	error_at("evt.type=openat evt.cpu=1", 16, "'and', 'or'");
	error_at("(evt.type=openat", 16, "')'");
	error_at("evt.type in openat", 12, "'('");
	error_at("evt.type in (openat", 19, "')'");
	error_at("proc.pid=abc", 9, "number");
	error_at("proc.pid contains 3", 9, "text");
	error_at("proc.name > 3", 10, "numbers");
	error_at("fd.sip=10.0.0.300", 7, "address");
	error_at("evt.failed=perhaps", 11, "true or false");
	error_at("evt.arg.nonsense_name=1", 8, "argument");
	error_at("proc.aname[x]=a", 11, "number");
	error_at("proc.name[1]=a", 9, "index");
	error_at("evt.cpu='1", 8, "quote");
	error_at("evt.cpu=\"\\q\"", 10, "expected");
	error_at("!evt.cpu=1", 0, "not");
	error_at("evt.cpu=99999999999999999999", 8, "number");
	error_at("evt.res=EWHAT", 8, "error");
	error_at("evt.category=fil", 13, "category");
	error_at("not", 3, "field");
	error_at(")", 0, "field");
}

AQ_TEST(bounds)
{
	char deep[2000];
	char *wide = malloc(AQ_FILTER_MAX_BYTES + 100);
	struct aq_filter *f = NULL;
	struct aq_err err = { 0 };
	struct aq_event ev = sample();
	size_t n = 0;

	AQ_REQUIRE(wide != NULL);
	memset(deep, '(', 1000);
	memcpy(deep + 1000, "evt.cpu=1", 10);
	AQ_CHECK(aq_filter_compile(deep, &f, &err) < 0 && strstr(err.text, "deeply"));
	while (n < AQ_FILTER_MAX_BYTES - 30) {
		memcpy(wide + n, "evt.cpu=2 or ", 13);
		n += 13;
	}
	memcpy(wide + n, "evt.cpu=1", 10);
	AQ_CHECK(match(wide, &ev, NULL) == 1);
	memset(wide, ' ', AQ_FILTER_MAX_BYTES + 50);
	wide[AQ_FILTER_MAX_BYTES + 50] = '\0';
	AQ_CHECK(aq_filter_compile(wide, &f, &err) < 0);
	free(wide);
}

static bool possible(const char *text, uint32_t id)
{
	uint64_t set[(AQ_EVENT_ID_MAX + 63) / 64];
	struct aq_filter *f;

	AQ_REQUIRE(aq_filter_compile(text, &f, NULL) == 0);
	aq_filter_event_set(f, set);
	aq_filter_free(f);
	return set[id / 64] >> (id % 64) & 1;
}

AQ_TEST(implied_events)
{
	struct aq_filter *f;
	bool named;

	AQ_CHECK(possible("evt.type=openat and proc.pid=1", AQ_EV_openat));
	AQ_CHECK(!possible("evt.type=openat and proc.pid=1", AQ_EV_close));
	AQ_CHECK(possible("evt.type=openat or proc.pid=1", AQ_EV_close));
	AQ_CHECK(!possible("not evt.type in (openat, close)", AQ_EV_close));
	AQ_CHECK(possible("not (evt.type=close and proc.pid=1)", AQ_EV_close));
	AQ_CHECK(!possible("evt.is_open_write=true", AQ_EV_read));
	AQ_CHECK(possible("evt.is_open_write=false", AQ_EV_read));
	AQ_CHECK(!possible("evt.arg.flags contains x", AQ_EV_getpid));
	AQ_CHECK(!possible("evt.category=net", AQ_EV_openat));
	AQ_CHECK(!possible("evt.failed=true", AQ_EV_proc_exec));
	AQ_REQUIRE(aq_filter_compile("evt.type=gap or evt.type=snap_proc", &f, NULL) == 0);
	AQ_CHECK(aq_filter_wants_gaps(f, &named) && named);
	AQ_CHECK(aq_filter_is_event_set(f));
	aq_filter_free(f);
	AQ_REQUIRE(aq_filter_compile("proc.pid=1", &f, NULL) == 0);
	aq_filter_wants_gaps(f, &named);
	AQ_CHECK(!named && !aq_filter_is_event_set(f));
	aq_filter_free(f);
	AQ_REQUIRE(aq_filter_compile("fd.name contains x", &f, NULL) == 0);
	AQ_CHECK(aq_filter_needs(f) & AQ_NEED_FD);
	aq_filter_free(f);
}

AQ_TEST(fields_table)
{
	struct aq_field *f;

	for (const struct aq_field_info *i = aq_fields_next(NULL); i; i = aq_fields_next(i)) {
		AQ_CHECK(i->name[0] && i->doc[0]);
		AQ_CHECK(aq_fields_find(i->name) == i);
	}
	AQ_REQUIRE(aq_field_compile(" proc.aname[2] ", &f, NULL) == 0);
	AQ_CHECK_EQ_STR(aq_field_text(f), "proc.aname[2]");
	aq_field_free(f);
	AQ_CHECK(aq_field_compile("evt.arg", &f, NULL) < 0);
	AQ_CHECK(aq_field_compile(NULL, &f, NULL) < 0);
	aq_scratch_free(scratch);
	scratch = NULL;
}

AQ_TEST_MAIN()
