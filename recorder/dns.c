/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cursor that fails once and stays failed; names are followed backwards only, so that none can lead in a circle.
 */
#include "recorder/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HEADER_BYTES = 12, LABEL_MAX = 63, TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, CLASS_IN = 1, RECORDS_MAX = 256 };

struct cursor {
	const uint8_t *data;
	size_t len, at;
	bool failed;
};

static uint32_t take(struct cursor *c, unsigned n)
{
	uint32_t value = 0;

	if (c->failed || c->len - c->at < n) {
		c->failed = true;
		return 0;
	}
	while (n-- > 0)
		value = value << 8 | c->data[c->at++];
	return value;
}

static bool take_label(const struct cursor *c, size_t at, unsigned n, char name[AQ_DNS_NAME_MAX], size_t *used)
{
	if (n > LABEL_MAX || c->len - at < n || *used + n + 2 > AQ_DNS_NAME_MAX)
		return false;
	if (*used > 0)
		name[(*used)++] = '.';
	for (unsigned i = 0; i < n; i++) {
		uint8_t b = c->data[at + i];

		if (b <= ' ' || b >= 0x7f || b == '"' || b == '\\' || b == '.')
			return false;
		name[(*used)++] = (char)(b >= 'A' && b <= 'Z' ? b + 32 : b);
	}
	return true;
}

/* A name, whose end may lie further ahead in the message: each step there must lead before where it came from. */
static void take_name(struct cursor *c, char name[AQ_DNS_NAME_MAX])
{
	size_t at = c->at, limit = c->at, used = 0;
	bool jumped = false;

	name[0] = '\0';
	while (!c->failed) {
		unsigned n;

		if (at >= c->len) {
			c->failed = true;
			return;
		}
		n = c->data[at++];
		if (n >= 0xc0) {
			size_t to;

			if (at >= c->len) {
				c->failed = true;
				return;
			}
			to = (size_t)(n & 0x3f) << 8 | c->data[at++];
			if (!jumped)
				c->at = at;
			jumped = true;
			if (to >= limit) {
				c->failed = true;
				return;
			}
			at = limit = to;
			continue;
		}
		if (n == 0)
			break;
		if (!take_label(c, at, n, name, &used)) {
			c->failed = true;
			return;
		}
		at += n;
	}
	name[used] = '\0';
	if (!jumped)
		c->at = at;
}

struct record {
	char owner[AQ_DNS_NAME_MAX];
	uint32_t type, class, ttl_s, bytes;
	size_t data;
};

static bool take_record(struct cursor *c, struct record *r)
{
	take_name(c, r->owner);
	r->type = take(c, 2);
	r->class = take(c, 2);
	r->ttl_s = take(c, 4);
	r->bytes = take(c, 2);
	r->data = c->at;
	if (c->failed || c->len - c->at < r->bytes) {
		c->failed = true;
		return false;
	}
	c->at += r->bytes;
	return true;
}

/* Is it an answer to one question, without an error? Then the name that was asked for and the number of records. */
static bool take_question(struct cursor *c, char name[AQ_DNS_NAME_MAX], uint32_t *ret_records)
{
	uint32_t flags, questions;

	take(c, 2);
	flags = take(c, 2);
	questions = take(c, 2);
	*ret_records = take(c, 2);
	take(c, 4);
	if (c->failed || (flags & 0xf80f) != 0x8000 || questions != 1)
		return false;
	take_name(c, name);
	take(c, 4);
	return !c->failed && name[0] != '\0';
}

int aq_dns_parse(const uint8_t *data, size_t len, aq_dns_sink *sink, void *user)
{
	struct cursor c = { .data = data, .len = len };
	char asked[AQ_DNS_NAME_MAX], wanted[AQ_DNS_NAME_MAX];
	struct record r;
	uint32_t records;
	int found = 0;

	if (len < HEADER_BYTES || !take_question(&c, asked, &records))
		return -EBADMSG;
	memcpy(wanted, asked, sizeof(wanted));
	for (uint32_t i = 0; i < records && i < RECORDS_MAX && found < AQ_DNS_ADDRESSES_MAX; i++) {
		struct aq_dns_address address = { .name = asked };

		if (!take_record(&c, &r))
			return -EBADMSG;
		if (r.class != CLASS_IN || strcmp(r.owner, wanted) != 0)
			continue;
		if (r.type == TYPE_CNAME) {
			struct cursor alias = { .data = data, .len = r.data + r.bytes, .at = r.data };

			take_name(&alias, wanted);
			if (alias.failed)
				return -EBADMSG;
		} else if ((r.type == TYPE_A && r.bytes == 4) || (r.type == TYPE_AAAA && r.bytes == 16)) {
			address.len = (uint8_t)r.bytes;
			address.ttl_s = r.ttl_s > INT32_MAX ? 0 : r.ttl_s; /* so says RFC 2181 */
			memcpy(address.bytes, data + r.data, r.bytes);
			sink(user, &address);
			found++;
		}
	}
	return found;
}

/* FNV-1a: whoever makes two pairs collide loses one of his own facts. */
static uint64_t hash(const struct aq_dns_address *a)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (unsigned i = 0; i < a->len; i++)
		h = (h ^ a->bytes[i]) * 0x100000001b3ull;
	for (const char *p = a->name; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
	return h | 1;
}

uint64_t aq_dns_news(struct aq_dns_cache *cache, const struct aq_dns_address *address, uint64_t now_ns)
{
	uint64_t span_ns = (uint64_t)address->ttl_s * 1000000000u, key = hash(address), to_ns;
	struct aq_dns_known *known = &cache->slot[(key >> 8) % AQ_DNS_CACHE_SLOTS];

	if (span_ns < AQ_DNS_LEAST_NS)
		span_ns = AQ_DNS_LEAST_NS;
	to_ns = now_ns + span_ns;
	if (known->key == key && known->to_ns > now_ns && to_ns - known->to_ns < span_ns / 2)
		return 0;
	*known = (struct aq_dns_known){ .key = key, .to_ns = to_ns };
	return to_ns;
}

void aq_dns_fact(const struct aq_dns_address *address, char subject[AQ_DNS_SUBJECT_BYTES], char json[AQ_DNS_JSON_BYTES])
{
	char ip[INET6_ADDRSTRLEN] = "";

	inet_ntop(address->len == 4 ? AF_INET : AF_INET6, address->bytes, ip, sizeof(ip));
	snprintf(subject, AQ_DNS_SUBJECT_BYTES, "address:%s", ip);
	snprintf(json, AQ_DNS_JSON_BYTES, "{\"source\":\"dns\",\"kind\":\"dns\",\"name\":\"%s\"}", address->name);
}
