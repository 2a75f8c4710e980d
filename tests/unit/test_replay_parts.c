/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of the reading program: pacing, times and speeds as typed, CSV cells, JSON from any bytes.
 * aq-libs: aq_replay
 */

#include "replay/options.h"
#include "replay/output.h"
#include "replay/pace.h"
#include "tests/unit/aq_test.h"

AQ_TEST(pace_counts_from_the_first_event)
{
	struct aq_pace p = { .speed_ppm = 1000000 };

	AQ_CHECK_EQ_U64(aq_pace_due(&p, 5000, 100), 100);
	AQ_CHECK_EQ_U64(aq_pace_due(&p, 5000 + 70, 9999), 170);
	AQ_CHECK_EQ_U64(aq_pace_due(&p, 4000, 9999), 100); /* an event before the first is due at once */
}

AQ_TEST(pace_has_speeds)
{
	struct aq_pace fast = { .speed_ppm = 10000000 }, slow = { .speed_ppm = 500000 }, max = { 0 };

	aq_pace_due(&fast, 1000, 1);
	AQ_CHECK_EQ_U64(aq_pace_due(&fast, 2000, 1), 101);
	aq_pace_due(&slow, 1000, 1);
	AQ_CHECK_EQ_U64(aq_pace_due(&slow, 2000, 1), 2001);
	AQ_CHECK_EQ_U64(aq_pace_due(&max, UINT64_MAX, 77), 77);
}

AQ_TEST(pace_survives_absurd_times)
{
	struct aq_pace p = { .speed_ppm = 1 };

	aq_pace_due(&p, 1, 1);
	AQ_CHECK_EQ_U64(aq_pace_due(&p, UINT64_MAX, 1), UINT64_MAX);
}

AQ_TEST(pace_never_ends_early)
{
	volatile sig_atomic_t stop = 0;
	uint64_t due = aq_pace_now() + 3000000;

	AQ_CHECK(aq_pace_sleep(due, &stop));
	AQ_CHECK(aq_pace_now() >= due);
	stop = 1;
	AQ_CHECK(!aq_pace_sleep(UINT64_MAX, &stop));
}

AQ_TEST(speeds)
{
	uint64_t ppm = 99;
	struct aq_err err;

	AQ_CHECK_EQ_INT(aq_speed_parse("1", &ppm, &err), 0);
	AQ_CHECK_EQ_U64(ppm, 1000000);
	AQ_CHECK_EQ_INT(aq_speed_parse("0.5", &ppm, &err), 0);
	AQ_CHECK_EQ_U64(ppm, 500000);
	AQ_CHECK_EQ_INT(aq_speed_parse("10x", &ppm, &err), 0);
	AQ_CHECK_EQ_U64(ppm, 10000000);
	AQ_CHECK_EQ_INT(aq_speed_parse("0.000001", &ppm, &err), 0);
	AQ_CHECK_EQ_U64(ppm, 1);
	AQ_CHECK_EQ_INT(aq_speed_parse("max", &ppm, &err), 0);
	AQ_CHECK_EQ_U64(ppm, 0);
	AQ_CHECK(aq_speed_parse("", &ppm, &err) < 0);
	AQ_CHECK(aq_speed_parse("0", &ppm, &err) < 0);
	AQ_CHECK(aq_speed_parse("-1", &ppm, &err) < 0);
	AQ_CHECK(aq_speed_parse("1e9", &ppm, &err) < 0);
	AQ_CHECK(aq_speed_parse("99999999", &ppm, &err) < 0);
}

AQ_TEST(times)
{
	struct aq_time_arg t;
	struct aq_err err;

	AQ_CHECK_EQ_INT(aq_time_arg_parse("-10m", &t, &err), 0);
	AQ_CHECK(t.kind == AQ_TIME_BEFORE_END && t.ns == 600000000000ull);
	AQ_CHECK_EQ_INT(aq_time_arg_parse("+5s", &t, &err), 0);
	AQ_CHECK(t.kind == AQ_TIME_AFTER_START && t.ns == 5000000000ull);
	AQ_CHECK_EQ_INT(aq_time_arg_parse("@1.5", &t, &err), 0);
	AQ_CHECK(t.kind == AQ_TIME_WALL && t.ns == 1500000000ull);
	AQ_CHECK_EQ_INT(aq_time_arg_parse("1970-01-01T01:00:00+01:00", &t, &err), 0);
	AQ_CHECK(t.kind == AQ_TIME_WALL && t.ns == 0);
	AQ_CHECK(aq_time_arg_parse("noon", &t, &err) < 0);
	AQ_CHECK(aq_time_arg_parse("-", &t, &err) < 0);
	AQ_CHECK(aq_time_arg_parse("--5s", &t, &err) < 0);
	AQ_CHECK(aq_time_arg_parse("", &t, &err) < 0);
}

static bool cell_is(const char *data, size_t len, const char *expected)
{
	struct aq_out out;
	bool same;

	aq_out_init(&out, -1, "nowhere");
	aq_out_put(&out, "x,", 2);
	aq_out_csv(&out, data, len);
	same = out.buf.len == strlen(expected) + 2 && memcmp(out.buf.data + 2, expected, out.buf.len - 2) == 0;
	aq_out_release(&out);
	return same;
}

AQ_TEST(csv_cells)
{
	AQ_CHECK(cell_is("plain", 5, "plain"));
	AQ_CHECK(cell_is("", 0, ""));
	AQ_CHECK(cell_is("a,b", 3, "\"a,b\""));
	AQ_CHECK(cell_is("\"", 1, "\"\"\"\""));
	AQ_CHECK(cell_is("\"a\"", 3, "\"\"\"a\"\"\""));
	AQ_CHECK(cell_is("a\nb", 3, "a\\nb"));
	AQ_CHECK(cell_is("a b", 3, "\"a b\""));
	AQ_CHECK(cell_is("\xff\x1b", 2, "\\xff\\x1b"));
}

AQ_TEST(a_failed_write_is_remembered)
{
	struct aq_out out;

	aq_out_init(&out, -1, "nowhere");
	aq_out_puts(&out, "lost");
	AQ_CHECK(aq_out_flush(&out) < 0);
	aq_out_puts(&out, "also lost");
	AQ_CHECK(aq_out_flush(&out) < 0);
	AQ_CHECK_EQ_U64(out.buf.len, 0);
	aq_out_release(&out);
}

AQ_TEST_MAIN()
