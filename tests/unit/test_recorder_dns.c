/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_schema aq_base */
/* Answers of DNS servers: what is in them, and what broken and hostile ones do. */
#include "recorder/dns.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/aq_test.h"

struct seen {
	char text[8][400];
	uint32_t ttl_s[8];
	unsigned count;
};

static void note(void *user, const struct aq_dns_address *a)
{
	struct seen *s = user;
	char subject[AQ_DNS_SUBJECT_BYTES], json[AQ_DNS_JSON_BYTES];

	aq_dns_fact(a, subject, json);
	if (s->count < 8) {
		snprintf(s->text[s->count], sizeof(s->text[0]), "%s %s", subject, json);
		s->ttl_s[s->count] = a->ttl_s;
	}
	s->count++;
}

#define QUESTION "\x12\x34\x81\x80\0\1\0\4\0\0\0\0" "\3Www\4Test\0" "\0\1\0\1"
/* an alias, two addresses of what it stands for, one of another name */
static const char answer[] = QUESTION
	"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\7\4real\xc0\x10"
	"\xc0\x26\0\1\0\1\0\0\1\0\0\4\x0a\1\2\3"
	"\xc0\x26\0\x1c\0\1\0\0\0\5\0\x10\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7"
	"\5other\0\0\1\0\1\0\0\0\5\0\4\x7f\0\0\1";
enum { ANSWER = sizeof(answer) - 1 };

AQ_TEST(addresses)
{
	struct seen s = { 0 };

	AQ_CHECK_EQ_INT(aq_dns_parse((const uint8_t *)answer, ANSWER, note, &s), 2);
	AQ_REQUIRE(s.count == 2);
	AQ_CHECK_EQ_STR(s.text[0], "address:10.1.2.3 {\"source\":\"dns\",\"kind\":\"dns\",\"name\":\"www.test\"}");
	AQ_CHECK_EQ_STR(s.text[1], "address:2001:db8::7 {\"source\":\"dns\",\"kind\":\"dns\",\"name\":\"www.test\"}");
	AQ_CHECK_EQ_INT(s.ttl_s[0], 256);
	AQ_CHECK_EQ_INT(s.ttl_s[1], 5);
}

/* Cut anywhere: what was whole before is told, and nothing behind the end is looked at. */
AQ_TEST(cut)
{
	for (size_t n = 0; n < ANSWER; n++) {
		uint8_t *copy = malloc(n + 1);
		struct seen s = { 0 };

		AQ_REQUIRE(copy != NULL);
		memcpy(copy, answer, n);
		AQ_CHECK_EQ_INT(aq_dns_parse(n > 0 ? copy : (const uint8_t *)"", n, note, &s), -EBADMSG);
		AQ_CHECK(s.count <= 2);
		free(copy);
	}
}

static int parse_with(size_t at, uint8_t byte)
{
	uint8_t copy[ANSWER];
	struct seen s = { 0 };

	memcpy(copy, answer, ANSWER);
	copy[at] = byte;
	return aq_dns_parse(copy, ANSWER, note, &s);
}

AQ_TEST(hostile)
{
	AQ_CHECK_EQ_INT(parse_with(2, 0x01), -EBADMSG);  /* a question */
	AQ_CHECK_EQ_INT(parse_with(3, 0x83), -EBADMSG);  /* no such name */
	AQ_CHECK_EQ_INT(parse_with(5, 2), -EBADMSG);     /* two questions */
	AQ_CHECK_EQ_INT(parse_with(13, '"'), -EBADMSG);  /* names that no host has */
	AQ_CHECK_EQ_INT(parse_with(13, '\n'), -EBADMSG);
	AQ_CHECK_EQ_INT(parse_with(13, 0xff), -EBADMSG);
	AQ_CHECK_EQ_INT(parse_with(12, 64), -EBADMSG);   /* a label that is too long */
	AQ_CHECK_EQ_INT(parse_with(27, 0x1a), -EBADMSG); /* a name that leads to itself */
	AQ_CHECK_EQ_INT(parse_with(27, 0xff), -EBADMSG); /* forward */
	AQ_CHECK_EQ_INT(parse_with(7, 255), -EBADMSG);   /* more records than there are */

	/* labels without end */
	uint8_t longest[600] = "\x12\x34\x81\x80\0\1\0\1\0\0\0\0";
	struct seen s = { 0 };
	for (size_t i = 12; i < sizeof(longest); i += 2)
		longest[i] = 1, longest[i + 1] = 'a';
	AQ_CHECK_EQ_INT(aq_dns_parse(longest, sizeof(longest), note, &s), -EBADMSG);
}

AQ_TEST(said_once)
{
	static struct aq_dns_cache cache;
	const struct aq_dns_address a = { .name = "a.test", .bytes = { 1, 2, 3, 4 }, .len = 4, .ttl_s = 5 };
	const struct aq_dns_address b = { .name = "b.test", .bytes = { 1, 2, 3, 4 }, .len = 4, .ttl_s = 100000 };
	const uint64_t second = 1000000000u;

	AQ_CHECK_EQ_U64(aq_dns_news(&cache, &a, 1000), 1000 + 3600 * second);
	AQ_CHECK_EQ_U64(aq_dns_news(&cache, &a, 1000 + 10 * second), 0);
	AQ_CHECK_EQ_U64(aq_dns_news(&cache, &b, 1000), 1000 + 100000 * second);
	AQ_CHECK_EQ_U64(aq_dns_news(&cache, &a, 2000 * second), 5600 * second);
}

AQ_TEST_MAIN()
