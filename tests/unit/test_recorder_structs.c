/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_schema aq_base */
/* Structures behind pointers: every member as both widths of programs lay it out, and bytes that are too few. */
#include "recorder/decode.h"
#include "recorder/structs.h"

#include "tests/unit/aq_test.h"

static struct aq_decode_scratch scratch;
static struct aq_event ev;

/* An event of a call with up to two structures, by the arguments that lead to them. */
static void decode(uint16_t id, enum aq_abi abi, const uint64_t args[2], unsigned arg, const void *data, uint32_t len,
		   unsigned arg2, const void *data2, uint32_t len2)
{
	static struct { /* the event's attributes point into it */
		struct aq_wire_attr_record head;
		uint8_t bytes[512];
	} r;
	struct aq_wire_fixed f = { .time_ns = 1, .event = id, .flags = (uint16_t)(AQ_WIRE_HAS_ATTR | abi),
				   .args = { args[0], args[1], 0xbad, 0xbad, 0xbad, 0xbad } };
	const void *from[2] = { data, data2 };
	uint32_t lens[2] = { len, len2 }, which[2] = { arg, arg2 };

	memset(&r, 0, sizeof(r));
	r.head.bytes = sizeof(r.head);
	for (unsigned i = 0; i < 2; i++) {
		struct aq_wire_attr a = { .key = AQ_ATTR_STRUCT, .len = lens[i], .arg = which[i],
					  .flags = from[i] == NULL && lens[i] != 0 ? AQ_ATF_UNREADABLE : 0 };

		if (from[i] == NULL && lens[i] == 0)
			continue;
		a.len = from[i] == NULL ? 0 : lens[i];
		memcpy((uint8_t *)&r + r.head.bytes, &a, sizeof(a));
		if (a.len > 0)
			memcpy((uint8_t *)&r + r.head.bytes + sizeof(a), from[i], a.len);
		r.head.bytes += (uint32_t)sizeof(a) + ((a.len + 7u) & ~7u);
		r.head.count++;
	}
	memset(&ev, 0xee, sizeof(ev));
	aq_decode(&f, &r.head, r.head.bytes, 0, 0, &scratch, &ev);
}

static uint64_t arg(const char *name)
{
	const struct aq_event_schema *schema = aq_schema_event(ev.id);

	for (unsigned i = 0; i < schema->arg_count; i++)
		if (strcmp(schema->args[i].name, name) == 0)
			return ev.args[i];
	AQ_TEST_FAIL_("%s has no argument %s", schema->name, name);
	return 0;
}

static const uint64_t none[2];

/* The table of rows, the schema and the registers fit together. */
AQ_TEST(rows)
{
	for (const struct aq_event_schema *s = aq_schema_next(0); s != NULL && s->id < AQ_EVENT_ID_STATE; s = aq_schema_next(s->id)) {
		const struct aq_struct_row *row = aq_struct_next(s->id, NULL);
		unsigned first = aq_struct_first(s);

		AQ_CHECK(first <= AQ_WIRE_ARGS);
		AQ_CHECK((row != NULL) == (first < s->arg_count));
		for (; row != NULL; row = aq_struct_next(s->id, row)) {
			AQ_CHECK(row->arg < first && (s->args[row->arg].type == AQ_TYPE_PTR || s->id == AQ_EV_setns));
			AQ_CHECK(row->size_arg == AQ_WIRE_NONE ? row->size > 0 && row->size <= AQ_WIRE_STRUCT_MAX : row->size_arg < first);
		}
	}
}

AQ_TEST(widths)
{
	static const uint64_t wide[2] = { 5, UINT64_MAX };
	static const uint32_t narrow[2] = { 5, UINT32_MAX };
	static const int32_t time[2] = { -3, 7 };

	decode(AQ_EV_setrlimit, AQ_ABI_X86_64, none, 1, wide, 16, 0, NULL, 0);
	AQ_CHECK(arg("cur") == 5 && arg("max") == UINT64_MAX);
	decode(AQ_EV_setrlimit, AQ_ABI_I386, none, 1, narrow, 8, 0, NULL, 0);
	AQ_CHECK(arg("cur") == 5 && arg("max") == UINT64_MAX);
	decode(AQ_EV_clock_settime, AQ_ABI_ARM, none, 1, time, 8, 0, NULL, 0);
	AQ_CHECK((int64_t)arg("sec") == -3 && arg("nsec") == 7);
	decode(AQ_EV_clock_settime64, AQ_ABI_I386, none, 1, wide, 16, 0, NULL, 0);
	AQ_CHECK(arg("sec") == 5);
	decode(AQ_EV_prlimit64, AQ_ABI_X86_64, none, 2, wide, 16, 3, wide, 16);
	AQ_CHECK(arg("sets") == 1 && arg("new_cur") == 5 && arg("old_max") == UINT64_MAX);
	decode(AQ_EV_prlimit64, AQ_ABI_X86_64, none, 3, wide, 16, 0, NULL, 0);
	AQ_CHECK(arg("sets") == 0 && arg("new_cur") == 0 && arg("old_cur") == 5);
}

/* Two times three words since version 2; of version 1 what lies behind is somebody else's. */
AQ_TEST(capabilities)
{
	static const uint32_t one[2] = { 0x19980330, 9 }, three[2] = { 0x20080522, 9 }, data[6] = { 1, 2, 4, 8, 16, 32 };

	decode(AQ_EV_capset, AQ_ABI_X86_64, none, 0, three, 8, 1, data, 24);
	AQ_CHECK(arg("pid") == 9 && arg("effective") == (8ull << 32 | 1) && arg("permitted") == (16ull << 32 | 2) &&
		 arg("inheritable") == (32ull << 32 | 4));
	decode(AQ_EV_capset, AQ_ABI_X86_64, none, 0, one, 8, 1, data, 24);
	AQ_CHECK(arg("effective") == 1 && arg("permitted") == 2 && arg("inheritable") == 4);
}

/* A program and its name, which may fill its place; an older structure that ends before it. */
AQ_TEST(bpf_objects)
{
	static const uint64_t load[2] = { 5 };
	uint8_t attr[72] = { 2 };
	const struct aq_attr *name;

	memcpy(attr + 48, "sixteen-letters!", 16);
	attr[68] = 33;
	decode(AQ_EV_bpf, AQ_ABI_X86_64, load, 1, attr, sizeof(attr), 0, NULL, 0);
	name = aq_event_attr(&ev, AQ_ATTR_NAME);
	AQ_REQUIRE(name != NULL);
	AQ_CHECK(name->len == 16 && memcmp(name->data, "sixteen-letters!", 16) == 0);
	AQ_CHECK(arg("prog_type") == 2 && arg("attach_type") == 33 && arg("map_type") == 0);
	decode(AQ_EV_bpf, AQ_ABI_X86_64, load, 1, attr, 48, 0, NULL, 0);
	AQ_CHECK(aq_event_attr(&ev, AQ_ATTR_NAME) == NULL && arg("prog_type") == 2 && arg("attach_type") == 0);
}

AQ_TEST(unreadable_and_short)
{
	static const uint64_t how[3] = { 0x80000, 0600, 8 };

	decode(AQ_EV_openat2, AQ_ABI_X86_64, none, 2, how, 24, 0, NULL, 0);
	AQ_CHECK(arg("flags") == 0x80000 && arg("mode") == 0600 && arg("resolve") == 8 && ev.attr_count == 0);
	decode(AQ_EV_openat2, AQ_ABI_X86_64, none, 2, how, 12, 0, NULL, 0);
	AQ_CHECK(arg("flags") == 0x80000 && arg("mode") == 0 && arg("resolve") == 0);
	decode(AQ_EV_openat2, AQ_ABI_X86_64, none, 2, NULL, 1, 0, NULL, 0);
	AQ_CHECK(arg("flags") == 0 && ev.attr_count == 1 && ev.attrs[0].key == AQ_ATTR_DATA && ev.attrs[0].flags == AQ_ATF_UNREADABLE);
	/* nothing came: not what the registers held */
	decode(AQ_EV_openat2, AQ_ABI_X86_64, none, 0, NULL, 0, 0, NULL, 0);
	AQ_CHECK(arg("flags") == 0 && arg("mode") == 0 && ev.attr_count == 0);
	/* of an argument that there is not */
	decode(AQ_EV_openat2, AQ_ABI_X86_64, none, 6, how, 24, 0, NULL, 0);
	AQ_CHECK(arg("flags") == 0 && (ev.flags & AQ_EVF_DEGRADED));
}

/* What three numbers in one are on the wire, and a result that is an argument. */
AQ_TEST(requests)
{
	struct aq_wire_fixed f = { .event = AQ_EV_uring_submit, .ret = -22, .args = { 0x1234 << 16 | 0x10 << 8 | 18, 3, 4, 5, 6, 7 } };

	aq_decode(&f, NULL, 0, 0, 1, &scratch, &ev);
	AQ_CHECK(arg("opcode") == 18 && arg("sqe_flags") == 0x10 && arg("personality") == 0x1234 && (int64_t)arg("result") == -22);
	AQ_CHECK(arg("fd") == 3 && arg("user_data") == 7 && ev.ret == 0);
}

AQ_TEST_MAIN()
