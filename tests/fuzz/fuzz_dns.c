/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_schema aq_base */
/* Any bytes as an answer of a DNS server: names that end and fit, facts that are JSON. */
#include <stdlib.h>
#include <string.h>

#include "recorder/dns.h"

static void check(void *user, const struct aq_dns_address *a)
{
	char subject[AQ_DNS_SUBJECT_BYTES], json[AQ_DNS_JSON_BYTES];

	aq_dns_fact(a, subject, json);
	if ((a->len != 4 && a->len != 16) || strlen(a->name) >= AQ_DNS_NAME_MAX || json[strlen(json) - 1] != '}' ||
	    strpbrk(a->name, "\\\"\n ") != NULL || strlen(subject) < 10)
		abort();
	++*(int *)user;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int seen = 0, n = aq_dns_parse(data, size, check, &seen);

	if (seen > AQ_DNS_ADDRESSES_MAX || (n >= 0 && n != seen))
		abort();
	return 0;
}
