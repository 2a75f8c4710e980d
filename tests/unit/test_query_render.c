/* SPDX-License-Identifier: Apache-2.0 */
/* Events as text: names and values of arguments, results, escaping of hostile bytes, cut buffers.
 * aq-libs: aq_query aq_segment aq_schema aq_base */
#include "query/render.h"
#include "tests/unit/aq_test.h"
#include "tests/unit/query_fixture.h"

AQ_TEST(calls)
{
	struct aq_event ev = ev_openat(1, 1, -100, "/etc/passwd", 02000000, 3);
	char buf[256];
	size_t n;

	n = aq_render_event(&ev, 0, buf, sizeof(buf));
	AQ_CHECK_EQ_INT(n, strlen(buf));
	AQ_CHECK(strncmp(buf, "openat(dirfd=AT_FDCWD, ", 23) == 0);
	AQ_CHECK(strstr(buf, "=\"/etc/passwd\"") && strstr(buf, "O_CLOEXEC") && strstr(buf, ") = 3"));
	ev.ret = -2;
	aq_render_event(&ev, 0, buf, sizeof(buf));
	AQ_CHECK(strstr(buf, ") = ENOENT") != NULL);
	AQ_CHECK_EQ_INT(aq_render_event(&ev, 0, buf, 8), aq_render_event(&ev, 0, NULL, 0));
	AQ_CHECK_EQ_STR(buf, "openat(");
	ev = (struct aq_event){ .flags = AQ_EVF_UNKNOWN_NR, .nr = 999, .arg_count = 1 };
	aq_render_event(&ev, 0, buf, sizeof(buf));
	AQ_CHECK(strncmp(buf, "syscall_999(", 12) == 0);
	ev = (struct aq_event){ .id = 1199, .arg_count = 16 };
	aq_render_event(&ev, 0, buf, sizeof(buf));
	AQ_CHECK(strncmp(buf, "event_1199(", 11) == 0);
}

AQ_TEST(escaping)
{
	char buf[128];

	aq_render_escaped("a\x1b[31m\n\\\xff\xc3\xa9", 11, buf, sizeof(buf));
	AQ_CHECK_EQ_STR(buf, "a\\x1b[31m\\n\\\\\\xff\xc3\xa9");
	aq_render_escaped("\xe2\x80\xae" "x\xc2\x9b", 6, buf, sizeof(buf));
	AQ_CHECK_EQ_STR(buf, "\\xe2\\x80\\xaex\\xc2\\x9b");
	aq_render_quoted("say \"hi\"", 8, 0, buf, sizeof(buf));
	AQ_CHECK_EQ_STR(buf, "\"say \\\"hi\\\"\"");
	aq_render_quoted("abcdef", 6, 3, buf, sizeof(buf));
	AQ_CHECK_EQ_STR(buf, "\"abc\"…");
	aq_render_argv("sh\0-c\0a b", 9, buf, sizeof(buf));
	AQ_CHECK_EQ_STR(buf, "sh -c 'a b'");
	AQ_CHECK_EQ_INT(aq_render_argv("", 0, buf, sizeof(buf)), 0);
}

AQ_TEST(addresses)
{
	uint8_t a[16];
	char buf[64];

	ev_sockaddr4(a, 10, 0, 0, 1, 80);
	aq_render_sockaddr(a, 16, buf, sizeof(buf));
	AQ_CHECK_EQ_STR(buf, "10.0.0.1:80");
	aq_render_sockaddr("\1\0/run/x\0", 9, buf, sizeof(buf));
	AQ_CHECK_EQ_STR(buf, "unix:/run/x");
	aq_render_sockaddr("\1\0\0abs", 6, buf, sizeof(buf));
	AQ_CHECK_EQ_STR(buf, "unix:@abs");
	aq_render_sockaddr("\2", 1, buf, sizeof(buf));
	AQ_CHECK_EQ_STR(buf, "?");
}

AQ_TEST(times_and_gaps)
{
	struct aq_gap_count by[] = { { AQ_EV_read, 10 }, { AQ_EV_write, 2 } };
	struct aq_gap g = { .count = 12, .cpu = 1, .cls = 3, .reason = AQ_GAP_RING_FULL, .by_event_count = 2, .by_event = by };
	char buf[128];

	aq_render_time(1767225600000000001ull, buf, sizeof(buf));
	AQ_CHECK_EQ_STR(buf, "2026-01-01T00:00:00.000000001Z");
	aq_render_duration(1500000000, buf, sizeof(buf));
	AQ_CHECK_EQ_STR(buf, "1.500s");
	aq_render_gap(&g, buf, sizeof(buf));
	AQ_CHECK_EQ_STR(buf, "gap cpu=1 class=bulk reason=ring-full count=12 (read 10, write 2)");
}

AQ_TEST_MAIN()
