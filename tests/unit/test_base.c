/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_base */
/* Bounded buffers, escaping of hostile text, and the words that people type. */
#include <errno.h>

#include "format/base/buf.h"
#include "format/base/text.h"
#include "tests/unit/aq_test.h"

AQ_TEST(buffer_and_reader_agree)
{
	struct aq_buf b;
	aq_buf_init(&b, 1 << 16);
	static const uint64_t values[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX - 1, UINT64_MAX };
	for (size_t i = 0; i < 9; i++)
		aq_buf_put_varint(&b, values[i]);
	aq_buf_put_u64(&b, 0x0102030405060708);
	aq_buf_put_u16(&b, 0xabcd);
	aq_buf_pad8(&b);
	AQ_CHECK_EQ_INT(b.len % 8, 0);
	struct aq_bytes r = aq_bytes_of(b.data, b.len);
	for (size_t i = 0; i < 9; i++)
		AQ_CHECK_EQ_U64(aq_bytes_varint(&r), values[i]);
	AQ_CHECK_EQ_U64(aq_bytes_u64(&r), 0x0102030405060708);
	AQ_CHECK_EQ_U64(aq_bytes_u16(&r), 0xabcd);
	AQ_CHECK(!r.failed);
	aq_bytes_take(&r, 1000);
	AQ_CHECK(r.failed);
	AQ_CHECK_EQ_U64(aq_bytes_u32(&r), 0);
	aq_buf_release(&b);
}

AQ_TEST(buffer_stops_at_its_maximum)
{
	struct aq_buf b;
	aq_buf_init(&b, 10);
	aq_buf_put(&b, "0123456789", 10);
	AQ_CHECK(!b.failed);
	aq_buf_put_u8(&b, 1);
	AQ_CHECK(b.failed);
	AQ_CHECK_EQ_INT(b.len, 10);
	aq_buf_release(&b);
}

AQ_TEST(a_varint_of_more_than_64_bits_fails)
{
	const uint8_t largest[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01 };
	const uint8_t larger[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x03 };
	struct aq_bytes r = aq_bytes_of(largest, sizeof(largest));

	AQ_CHECK_EQ_U64(aq_bytes_varint(&r), UINT64_MAX);
	AQ_CHECK(!r.failed);
	r = aq_bytes_of(larger, sizeof(larger));
	aq_bytes_varint(&r);
	AQ_CHECK(r.failed);
}

AQ_TEST(a_varint_without_end_fails)
{
	uint8_t endless[16];
	memset(endless, 0xff, sizeof(endless));
	struct aq_bytes r = aq_bytes_of(endless, sizeof(endless));
	aq_bytes_varint(&r);
	AQ_CHECK(r.failed);
	r = aq_bytes_of(endless, 3);
	aq_bytes_varint(&r);
	AQ_CHECK(r.failed);
}

AQ_TEST(zigzag_both_ways)
{
	static const int64_t values[] = { 0, -1, 1, INT64_MIN, INT64_MAX };
	for (size_t i = 0; i < 5; i++)
		AQ_CHECK(aq_unzigzag(aq_zigzag(values[i])) == values[i]);
}

static void check_escaped(const char *in, size_t n, const char *expected, bool json)
{
	struct aq_buf b;
	aq_buf_init(&b, 1000);
	if (json)
		aq_json_string(&b, in, n);
	else
		aq_text_escape(&b, in, n);
	aq_buf_put_u8(&b, 0);
	AQ_CHECK_EQ_STR((const char *)b.data, expected);
	aq_buf_release(&b);
}

AQ_TEST(hostile_text_stays_data)
{
	check_escaped("a\x1b[31mb\n\\", 9, "a\\x1b[31mb\\n\\\\", false);
	check_escaped("\xc3\xa4\xff", 3, "\xc3\xa4\\xff", false);
	check_escaped("\xe2\x80\xae", 3, "\\xe2\\x80\\xae", false); /* right-to-left override */
	check_escaped("\xc2\x9b", 2, "\\xc2\\x9b", false);         /* C1 control */
	check_escaped("a\"b\\\x01\xff\n", 7, "\"a\\\"b\\\\\\u0001\\udcff\\n\"", true);
	check_escaped("\xe2\x80\xae", 3, "\"\\u202e\"", true);
}

AQ_TEST(times_both_ways)
{
	char text[AQ_TIME_TEXT_BYTES];
	uint64_t ns;
	struct aq_err err;
	aq_time_format(1767225600123456789ull, text);
	AQ_CHECK_EQ_STR(text, "2026-01-01T00:00:00.123456789Z");
	AQ_CHECK_EQ_INT(aq_time_parse(text, &ns, &err), 0);
	AQ_CHECK_EQ_U64(ns, 1767225600123456789ull);
	AQ_CHECK_EQ_INT(aq_time_parse("2026-01-01T01:30:00+01:30", &ns, &err), 0);
	AQ_CHECK_EQ_U64(ns, 1767225600000000000ull);
	AQ_CHECK_EQ_INT(aq_time_parse("@1767225600.5", &ns, &err), 0);
	AQ_CHECK_EQ_U64(ns, 1767225600500000000ull);
	static const char *const bad[] = { "", "yesterday", "2026-01-01", "2026-01-01T00:00:00", "@", "@-5", "2026-01-01T00:00:00Zx" };
	for (size_t i = 0; i < 7; i++)
		AQ_CHECK_EQ_INT(aq_time_parse(bad[i], &ns, &err), -EINVAL);
}

AQ_TEST(durations_and_sizes)
{
	uint64_t v;
	AQ_CHECK(aq_duration_parse("10m", &v, NULL) == 0 && v == 600000000000ull);
	AQ_CHECK(aq_duration_parse("1.5", &v, NULL) == 0 && v == 1500000000ull);
	AQ_CHECK(aq_duration_parse("250ms", &v, NULL) == 0 && v == 250000000ull);
	AQ_CHECK(aq_duration_parse("-1s", &v, NULL) < 0 && aq_duration_parse("1y", &v, NULL) < 0 && aq_duration_parse("", &v, NULL) < 0);
	AQ_CHECK(aq_size_parse("2GiB", &v, NULL) == 0 && v == 2ull << 30);
	AQ_CHECK(aq_size_parse("64K", &v, NULL) == 0 && v == 65536);
	AQ_CHECK(aq_size_parse("1e300", &v, NULL) < 0 && aq_size_parse("nan", &v, NULL) < 0);
}

AQ_TEST(error_sentences_hold_no_control_characters)
{
	struct aq_err err;
	AQ_CHECK_EQ_INT(aq_err_set_at(&err, -EINVAL, 7, "bad '%s'", "x\x1b[2J"), -EINVAL);
	AQ_CHECK_EQ_STR(err.text, "bad 'x?[2J'");
	AQ_CHECK_EQ_U64(err.offset, 7);
	aq_err_prefix(&err, "'%s': ", "file");
	AQ_CHECK_EQ_STR(err.text, "'file': bad 'x?[2J'");
	AQ_CHECK_EQ_INT(aq_err_set(NULL, -5, "no"), -5);
}

AQ_TEST_MAIN()
