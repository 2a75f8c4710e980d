/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_schema aq_base */
/* Wire records become events: paths, words, cut and unreadable attributes, and records that make no sense. */
#include "recorder/decode.h"

#include "tests/unit/aq_test.h"

static struct aq_decode_scratch scratch;
static struct aq_event ev;

struct record {
	struct aq_wire_attr_record head;
	uint8_t data[1024];
};

static void add(struct record *r, uint16_t key, uint16_t flags, uint32_t true_len, const void *data, uint32_t len)
{
	struct aq_wire_attr a = { .key = key, .flags = flags, .len = len, .true_len = true_len };
	uint8_t *p = (uint8_t *)r + r->head.bytes;

	memcpy(p, &a, sizeof(a));
	if (len > 0)
		memcpy(p + sizeof(a), data, len);
	r->head.bytes += (uint32_t)sizeof(a) + ((len + 7u) & ~7u);
	r->head.count++;
}

static struct record empty(void)
{
	struct record r = { .head.bytes = sizeof(struct aq_wire_attr_record) };

	return r;
}

static struct aq_wire_fixed openat_call(void)
{
	return (struct aq_wire_fixed){ .time_ns = 77, .seq = 5, .event = AQ_EV_openat, .flags = AQ_WIRE_HAS_ATTR, .pid = 10,
				       .tid = 11, .ret = 3, .cgroup_id = 99, .args = { 1, 2, 3, 4, 5, 6 } };
}

static void decode(struct aq_wire_fixed *f, struct record *r)
{
	memset(&ev, 0xee, sizeof(ev));
	aq_decode(f, r != NULL ? &r->head : NULL, r != NULL ? r->head.bytes : 0, 2, 1, &scratch, &ev);
}

static void check_text(const struct aq_attr *a, const char *text)
{
	AQ_REQUIRE(a != NULL);
	AQ_CHECK_EQ_U64(a->len, strlen(text));
	AQ_CHECK(a->len == strlen(text) && memcmp(a->data, text, a->len) == 0);
}

AQ_TEST(numbers)
{
	struct aq_wire_fixed f = openat_call();

	f.flags = AQ_ABI_I386;
	decode(&f, NULL);
	AQ_CHECK_EQ_U64(ev.time_ns, 77);
	AQ_CHECK_EQ_INT(ev.ret, 3);
	AQ_CHECK_EQ_U64(ev.pid, 10);
	AQ_CHECK_EQ_U64(ev.tid, 11);
	AQ_CHECK_EQ_U64(ev.cgroup_id, 99);
	AQ_CHECK_EQ_U64(ev.id, AQ_EV_openat);
	AQ_CHECK_EQ_U64(ev.abi, AQ_ABI_I386);
	AQ_CHECK_EQ_U64(ev.cpu, 2);
	AQ_CHECK_EQ_U64(ev.cls, 1);
	AQ_CHECK_EQ_U64(ev.flags, 0);
	AQ_CHECK_EQ_U64(ev.arg_count, 4);
	AQ_CHECK_EQ_U64(ev.args[3], 4);
	AQ_CHECK_EQ_U64(ev.args[15], 0);
}

AQ_TEST(missing_and_lost_attributes_degrade)
{
	struct aq_wire_fixed f = openat_call();

	decode(&f, NULL);
	AQ_CHECK_EQ_U64(ev.flags, AQ_EVF_DEGRADED);
	f.flags = AQ_WIRE_ATTR_LOST;
	decode(&f, NULL);
	AQ_CHECK_EQ_U64(ev.flags, AQ_EVF_DEGRADED);
}

AQ_TEST(unknown_call)
{
	struct aq_wire_fixed f = openat_call();

	f.event = 0;
	f.flags = AQ_WIRE_UNKNOWN_NR;
	f.args[5] = 777;
	decode(&f, NULL);
	AQ_CHECK_EQ_U64(ev.id, 0);
	AQ_CHECK_EQ_U64(ev.nr, 777);
	AQ_CHECK_EQ_U64(ev.flags, AQ_EVF_UNKNOWN_NR);
	AQ_CHECK_EQ_U64(ev.args[4], 5);
	AQ_CHECK_EQ_U64(ev.args[5], 0);
	f = openat_call();
	f.event = 65535; /* no such id: not taken for anything else */
	decode(&f, NULL);
	AQ_CHECK_EQ_U64(ev.id, 0);
	AQ_CHECK(ev.flags & AQ_EVF_UNKNOWN_NR);
}

AQ_TEST(strings_end_at_their_nul)
{
	struct aq_wire_fixed f = openat_call();
	struct record r = empty();

	add(&r, AQ_ATTR_PATH, 0, 0, "/etc/hosts\0junk", 15);
	add(&r, AQ_ATTR_ARGV, 0, 0, "a\0b\0", 4);
	add(&r, AQ_ATTR_PATH2, AQ_ATF_TRUNCATED, 5000, "abc", 3);
	decode(&f, &r);
	AQ_CHECK_EQ_U64(ev.flags, 0);
	AQ_CHECK_EQ_U64(ev.attr_count, 3);
	check_text(aq_event_attr(&ev, AQ_ATTR_PATH), "/etc/hosts");
	AQ_CHECK_EQ_U64(aq_event_attr(&ev, AQ_ATTR_ARGV)->len, 4);
	AQ_CHECK_EQ_U64(aq_event_attr(&ev, AQ_ATTR_PATH2)->true_len, 5000);
	AQ_CHECK_EQ_U64(aq_event_attr(&ev, AQ_ATTR_PATH2)->flags, AQ_ATF_TRUNCATED);
}

AQ_TEST(reversed_paths)
{
	struct aq_wire_fixed f = openat_call();
	struct record r = empty();

	add(&r, AQ_ATTR_KPATH, AQ_WIRE_ATF_REVERSED, 0, "hosts\0etc\0", 10);
	add(&r, AQ_ATTR_EXE, AQ_WIRE_ATF_REVERSED, 0, "", 0);
	add(&r, AQ_ATTR_CWD, AQ_WIRE_ATF_REVERSED | AQ_ATF_PARTIAL, 0, "c\0b\0", 4);
	add(&r, AQ_ATTR_ROOT, AQ_WIRE_ATF_REVERSED, 0, "x", 1);
	decode(&f, &r);
	check_text(aq_event_attr(&ev, AQ_ATTR_KPATH), "/etc/hosts");
	AQ_CHECK_EQ_U64(aq_event_attr(&ev, AQ_ATTR_KPATH)->flags, 0);
	check_text(aq_event_attr(&ev, AQ_ATTR_EXE), "/");
	check_text(aq_event_attr(&ev, AQ_ATTR_CWD), "b/c");
	check_text(aq_event_attr(&ev, AQ_ATTR_ROOT), "/x");
}

AQ_TEST(words_become_arguments)
{
	struct aq_wire_fixed f = openat_call();
	struct record r = empty();
	uint64_t words[20];

	for (unsigned i = 0; i < 20; i++)
		words[i] = 1000 + i;
	f.event = AQ_EV_proc_exec;
	add(&r, AQ_ATTR_WORDS, 0, 0, words, sizeof(words)); /* more than the event has */
	decode(&f, &r);
	AQ_CHECK_EQ_U64(ev.attr_count, 0);
	AQ_CHECK_EQ_U64(ev.args[5], 6);
	AQ_CHECK_EQ_U64(ev.args[6], 1000);
	AQ_CHECK_EQ_U64(ev.args[13], 1007);
	for (unsigned i = ev.arg_count; i < AQ_EVENT_MAX_ARGS; i++)
		AQ_CHECK_EQ_U64(ev.args[i], 0);
}

AQ_TEST(unreadable_has_no_bytes)
{
	struct aq_wire_fixed f = openat_call();
	struct record r = empty();

	add(&r, AQ_ATTR_PATH, AQ_ATF_UNREADABLE, 0, "zz", 2);
	decode(&f, &r);
	AQ_CHECK_EQ_U64(ev.attrs[0].len, 0);
	AQ_CHECK_EQ_U64(ev.attrs[0].flags, AQ_ATF_UNREADABLE);
}

AQ_TEST(durations)
{
	struct aq_wire_timed timed = { .fixed = { .time_ns = 9000, .event = AQ_EV_read }, .duration_ns = 1234 };

	decode(&timed.fixed, NULL);
	AQ_CHECK(!ev.has_duration && ev.duration_ns == 0);
	aq_decode_duration(&timed.fixed, sizeof(timed.fixed), &ev); /* a ring without durations */
	AQ_CHECK(!ev.has_duration && ev.duration_ns == 0);
	aq_decode_duration(&timed.fixed, sizeof(timed), &ev);
	AQ_CHECK(ev.has_duration);
	AQ_CHECK_EQ_U64(ev.duration_ns, 1234);
	AQ_CHECK_EQ_INT(ev.flags, 0);
	timed.duration_ns = AQ_WIRE_DURATION_UNKNOWN;
	decode(&timed.fixed, NULL);
	aq_decode_duration(&timed.fixed, sizeof(timed), &ev);
	AQ_CHECK(!ev.has_duration && ev.duration_ns == 0);
	timed = (struct aq_wire_timed){ .fixed = { .event = AQ_EV_proc_exec }, .duration_ns = 5 }; /* no call */
	decode(&timed.fixed, NULL);
	aq_decode_duration(&timed.fixed, sizeof(timed), &ev);
	AQ_CHECK(!ev.has_duration);
	timed = (struct aq_wire_timed){ .fixed = { .flags = AQ_WIRE_UNKNOWN_NR }, .duration_ns = 5 };
	decode(&timed.fixed, NULL);
	aq_decode_duration(&timed.fixed, sizeof(timed), &ev);
	AQ_CHECK(ev.has_duration && ev.duration_ns == 5);
}

AQ_TEST(hostile_records)
{
	struct aq_wire_fixed f = openat_call();
	struct record good = empty(), r;
	struct aq_wire_attr *a = (struct aq_wire_attr *)(void *)good.data;

	add(&good, AQ_ATTR_PATH, 0, 0, "/etc", 4);
	(void)a;
	r = good;
	((struct aq_wire_attr *)(void *)r.data)->len = 0xfffffff0; /* beyond the record */
	decode(&f, &r);
	AQ_CHECK_EQ_U64(ev.flags, AQ_EVF_DEGRADED);
	AQ_CHECK_EQ_U64(ev.attr_count, 0);
	r = good;
	r.head.count = 65535; /* more than there are */
	decode(&f, &r);
	AQ_CHECK_EQ_U64(ev.flags, AQ_EVF_DEGRADED);
	AQ_CHECK_EQ_U64(ev.attr_count, 1);
	r = good;
	r.head.bytes = 4096; /* longer than the memory it lies in */
	aq_decode(&f, &r.head, good.head.bytes, 0, 0, &scratch, &ev);
	AQ_CHECK_EQ_U64(ev.flags, AQ_EVF_DEGRADED);
	r = good;
	r.head.bytes = 8;
	decode(&f, &r);
	AQ_CHECK_EQ_U64(ev.flags, AQ_EVF_DEGRADED);
	r = good;
	((struct aq_wire_attr *)(void *)r.data)->key = 63; /* nobody knows it */
	decode(&f, &r);
	AQ_CHECK_EQ_U64(ev.flags, AQ_EVF_DEGRADED);
	r = good;
	for (unsigned i = 0; i < 12; i++) /* more than an event holds */
		add(&r, AQ_ATTR_NAME, 0, 0, "n", 1);
	decode(&f, &r);
	AQ_CHECK_EQ_U64(ev.flags, AQ_EVF_DEGRADED);
	AQ_CHECK_EQ_U64(ev.attr_count, AQ_EVENT_MAX_ATTRS);
}

AQ_TEST_MAIN()
