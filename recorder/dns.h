/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of DNS servers: which addresses a name stands for, and for how long. The bytes come from the network, by way of
 * whatever program asked; all of them are checked.
 */
#ifndef AQ_RECORDER_DNS_H
#define AQ_RECORDER_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	AQ_DNS_NAME_MAX = 256,       /* with its NUL */
	AQ_DNS_ADDRESSES_MAX = 64,   /* of one answer; more are left out */
	AQ_DNS_CACHE_SLOTS = 1024,
};
/* Connections and caches of programs outlive what a server promises: an address keeps its name at least so long. */
#define AQ_DNS_LEAST_NS (3600ull * 1000000000u)

struct aq_dns_address {
	const char *name;            /* that was asked for, in lower case, without a dot at its end; lives for the call */
	uint8_t bytes[16];
	uint8_t len;                 /* 4 or 16 */
	uint32_t ttl_s;
};
typedef void aq_dns_sink(void *user, const struct aq_dns_address *address);

/*
 * Gives each address of an answer to sink, also those that a chain of aliases leads to; what has nothing to do with the
 * question is passed over. Returns their number, or -EBADMSG if it is no answer, or broken: the addresses before that
 * were given. Names with other than printable ASCII characters, a quote, a backslash or a blank count as broken.
 */
int aq_dns_parse(const uint8_t *data, size_t len, aq_dns_sink *sink, void *user);

/* What was said lately. Zeros are an empty one. */
struct aq_dns_cache {
	struct aq_dns_known {
		uint64_t key, to_ns;
	} slot[AQ_DNS_CACHE_SLOTS];
};
/* The end of the time for which it holds, or 0 if that was said already, to nearly the same end. Remembers it. */
uint64_t aq_dns_news(struct aq_dns_cache *cache, const struct aq_dns_address *address, uint64_t now_ns);
/* "address:IP" and the object of the fact (format/facts/fact.h). Both fit. */
enum { AQ_DNS_SUBJECT_BYTES = 64, AQ_DNS_JSON_BYTES = AQ_DNS_NAME_MAX + 64 };
void aq_dns_fact(const struct aq_dns_address *address, char subject[AQ_DNS_SUBJECT_BYTES], char json[AQ_DNS_JSON_BYTES]);

#endif
