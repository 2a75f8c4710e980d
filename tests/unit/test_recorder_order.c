/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_schema aq_base */
/* Rings to records in order: merge, watermark, attributes of the right record, wrap-around, jumps, nonsense in rings. */
#include "recorder/drain.h"
#include "recorder/order.h"
#include "recorder/source_synthetic.h"

#include "format/schema/schema.h"

#include "tests/unit/aq_test.h"

enum { MAX_RECORDS = 200000 };

struct seen {
	uint64_t time_ns, arg, duration_ns;
	uint32_t ring, attr_len;
	char attr[24];
	bool has_attr;
};

struct jump {
	uint32_t ring;
	uint64_t before, after, missing;
};

struct bench {
	struct aq_source *src;
	struct aq_spool *spool;
	struct aq_drain *drain;
	struct aq_order *order;
	struct aq_order_sink sink;
	struct seen *seen;
	size_t count;
	struct jump jumps[64];
	unsigned jump_count;
};

static int on_record(void *user, uint32_t ring, const struct aq_wire_fixed *fixed, uint32_t record_bytes,
		     const struct aq_wire_attr_record *attr, uint32_t attr_bytes)
{
	struct bench *b = user;
	struct seen *s = &b->seen[b->count];

	if (b->count == MAX_RECORDS)
		return -1;
	b->count++;
	*s = (struct seen){ .time_ns = fixed->time_ns, .arg = fixed->args[0], .ring = ring };
	if (record_bytes == sizeof(struct aq_wire_timed))
		s->duration_ns = ((const struct aq_wire_timed *)(const void *)fixed)->duration_ns;
	else
		AQ_CHECK_EQ_U64(record_bytes, sizeof(*fixed));
	if (attr != NULL) {
		const struct aq_wire_attr *a = (const void *)(attr + 1);

		s->has_attr = true;
		s->attr_len = a->len;
		memcpy(s->attr, a + 1, a->len < 23 ? a->len : 23);
		AQ_CHECK(attr_bytes >= sizeof(*attr) + sizeof(*a) + a->len);
		AQ_CHECK_EQ_U64(attr->seq, fixed->seq);
	}
	return 0;
}

static void on_jump(void *user, uint32_t ring, uint64_t before, uint64_t after, uint64_t missing)
{
	struct bench *b = user;

	if (b->jump_count < 64)
		b->jumps[b->jump_count++] = (struct jump){ ring, before, after, missing };
}

static struct bench *bench_with(const struct aq_synthetic_options *options, size_t spool)
{
	uint32_t cpus = options->cpu_count;
	struct bench *b = calloc(1, sizeof(*b));

	AQ_REQUIRE(b != NULL);
	b->seen = calloc(MAX_RECORDS, sizeof(*b->seen));
	AQ_REQUIRE(b->seen != NULL);
	AQ_REQUIRE(aq_synthetic_new(options, &b->src) == 0);
	AQ_REQUIRE(aq_spool_new(spool, &b->spool) == 0);
	AQ_REQUIRE(aq_drain_new(b->src, b->spool, &(struct aq_drain_options){ 0 }, &b->drain) == 0);
	AQ_REQUIRE(aq_order_new(cpus * AQ_WIRE_CLASSES, b->spool, &b->order) == 0);
	for (uint32_t i = 0; i < cpus * AQ_WIRE_CLASSES; i++)
		aq_order_expect(b->order, i, (uint32_t)options->first_position);
	b->sink = (struct aq_order_sink){ .record = on_record, .jump = on_jump, .user = b };
	return b;
}

static struct bench *bench_new(uint32_t cpus, uint64_t first_position, size_t spool)
{
	return bench_with(&(struct aq_synthetic_options){ .cpu_count = cpus, .fixed_parts = 2, .attr_parts = 2,
							  .first_position = first_position }, spool);
}

static void bench_free(struct bench *b)
{
	aq_order_free(b->order);
	aq_drain_free(b->drain);
	AQ_CHECK_EQ_U64(aq_spool_used_bytes(b->spool), 0); /* every slab came home */
	aq_spool_free(b->spool);
	aq_source_free(b->src);
	free(b->seen);
	free(b);
}

static bool produce(struct bench *b, uint32_t cpu, uint32_t cls, uint64_t time_ns, uint64_t arg, const char *text)
{
	struct aq_synthetic_attr attr = { .key = AQ_ATTR_PATH, .data = text, .len = text != NULL ? (uint32_t)strlen(text) : 0 };
	struct aq_synthetic_event e = { .cpu = cpu, .cls = cls, .fixed = { .time_ns = time_ns, .event = 1, .args = { arg } },
					.attrs = &attr, .attr_count = text != NULL };

	return aq_synthetic_produce(b->src, &e);
}

/* A pass at a given time, and what it lets through. */
static void pass(struct bench *b, uint64_t now_ns)
{
	struct aq_spool_taken taken;

	aq_synthetic_set_now(b->src, now_ns);
	aq_drain_pass(b->drain);
	taken = aq_spool_take(b->spool, 0);
	aq_order_add(b->order, taken.slabs);
	AQ_CHECK_EQ_INT(aq_order_run(b->order, taken.watermark_ns, &b->sink), 0);
}

AQ_TEST(merges_by_time_then_cpu)
{
	struct bench *b = bench_new(2, 0, 1 << 22);

	produce(b, 1, 3, 10, 1, NULL);
	produce(b, 0, 3, 10, 2, NULL);
	produce(b, 0, 3, 30, 3, NULL);
	produce(b, 1, 0, 20, 4, NULL);
	produce(b, 1, 3, 25, 5, NULL);
	pass(b, 100);
	AQ_REQUIRE(b->count == 5);
	AQ_CHECK_EQ_U64(b->seen[0].arg, 2);
	AQ_CHECK_EQ_U64(b->seen[1].arg, 1);
	AQ_CHECK_EQ_U64(b->seen[2].arg, 4);
	AQ_CHECK_EQ_U64(b->seen[3].arg, 5);
	AQ_CHECK_EQ_U64(b->seen[4].arg, 3);
	AQ_CHECK_EQ_U64(b->jump_count, 0);
	bench_free(b);
}

AQ_TEST(watermark_carries_over)
{
	struct bench *b = bench_new(2, 0, 1 << 22);

	produce(b, 0, 1, 50, 1, NULL);
	produce(b, 0, 1, 150, 2, "later");
	pass(b, 100);
	AQ_CHECK_EQ_U64(b->count, 1);
	produce(b, 1, 1, 120, 3, NULL); /* another CPU's, older than what was carried over */
	pass(b, 200);
	AQ_REQUIRE(b->count == 3);
	AQ_CHECK_EQ_U64(b->seen[1].arg, 3);
	AQ_CHECK_EQ_U64(b->seen[2].arg, 2);
	AQ_CHECK_EQ_STR(b->seen[2].attr, "later");
	bench_free(b);
}

AQ_TEST(a_time_far_ahead_blocks_nothing)
{
	struct bench *b = bench_new(1, 0, 1 << 22);

	produce(b, 0, 1, UINT64_MAX, 1, NULL);
	produce(b, 0, 1, 60, 2, NULL);
	pass(b, 100);
	AQ_CHECK_EQ_U64(b->count, 2);
	bench_free(b);
}

/* Through the end of a ring's part, of a slab and of the ring; with and without attributes. */
AQ_TEST(durations_stay_with_their_records)
{
	struct bench *b = bench_with(&(struct aq_synthetic_options){ .cpu_count = 1, .fixed_parts = 2, .attr_parts = 2,
								     .durations = true }, 1 << 22);

	for (uint64_t i = 0; i < 9000; i++) {
		struct aq_synthetic_attr attr = { .key = AQ_ATTR_PATH, .data = "x", .len = 1 };
		struct aq_synthetic_event e = { .cls = 3, .fixed = { .time_ns = 10 + i, .event = 1, .args = { i } },
						.duration_ns = i % 10 == 0 ? AQ_WIRE_DURATION_UNKNOWN : i * 1000003,
						.attrs = &attr, .attr_count = i % 4 == 0 };

		AQ_CHECK(aq_synthetic_produce(b->src, &e));
		if (i % 6000 == 5999)
			pass(b, 100000);
	}
	pass(b, 100000);
	AQ_REQUIRE(b->count == 9000);
	for (uint64_t i = 0; i < 9000; i++) {
		AQ_CHECK_EQ_U64(b->seen[i].arg, i);
		AQ_CHECK_EQ_U64(b->seen[i].duration_ns, i % 10 == 0 ? AQ_WIRE_DURATION_UNKNOWN : i * 1000003);
		AQ_CHECK_EQ_INT(b->seen[i].has_attr, i % 4 == 0);
	}
	bench_free(b);
}

AQ_TEST(attributes_stay_with_their_records)
{
	struct bench *b = bench_new(2, 0, 1 << 22);
	char text[16];

	for (uint64_t i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "p%llu", (unsigned long long)i);
		produce(b, i % 2, i % 3, 10 + i, i, i % 5 != 0 ? text : NULL);
	}
	pass(b, 100000);
	AQ_REQUIRE(b->count == 3000);
	for (uint64_t i = 0; i < 3000; i++) {
		AQ_REQUIRE(b->seen[i].arg == i);
		snprintf(text, sizeof(text), "p%llu", (unsigned long long)i);
		AQ_CHECK_EQ_INT(b->seen[i].has_attr, i % 5 != 0);
		if (i % 5 != 0)
			AQ_CHECK_EQ_STR(b->seen[i].attr, text);
	}
	bench_free(b);
}

/* Positions near a part's end and near 2^32: parts, margins and the half sequence number all wrap. */
AQ_TEST(wrap_around)
{
	struct bench *b = bench_new(1, (1ull << 32) - 40, 1 << 24);
	static char text[3000];
	uint64_t sum = 0;

	memset(text, 'x', sizeof(text) - 1);
	for (uint64_t round = 0; round < 300; round++) {
		for (uint64_t i = 0; i < 100; i++) {
			AQ_REQUIRE(produce(b, 0, 1, 1 + sum, sum, i % 2 ? text + (sum * 37) % 2900 : NULL));
			sum++;
		}
		pass(b, 1000000);
		AQ_REQUIRE(b->count == sum);
	}
	for (uint64_t i = 0; i < sum; i++) {
		AQ_REQUIRE(b->seen[i].arg == i);
		AQ_REQUIRE(b->seen[i].has_attr == (i % 2 == 1));
		if (i % 2)
			AQ_REQUIRE(b->seen[i].attr_len == 2999 - (i * 37) % 2900);
	}
	AQ_CHECK_EQ_U64(b->jump_count, 0);
	AQ_CHECK_EQ_U64(aq_drain_stats(b->drain).damaged, 0);
	bench_free(b);
}

AQ_TEST(jumps_name_their_neighbours)
{
	struct bench *b = bench_new(1, 0, 1 << 24);
	const uint64_t slots = 2 * AQ_WIRE_PART_SLOTS;
	uint64_t lost = 0;

	for (uint64_t i = 0; i < slots + 100; i++)
		lost += !produce(b, 0, 3, 10 + i, i, NULL);
	AQ_CHECK_EQ_U64(lost, 100);
	pass(b, 100000);
	produce(b, 0, 3, 50000, 7, NULL);
	pass(b, 200000);
	AQ_REQUIRE(b->jump_count == 1);
	AQ_CHECK_EQ_U64(b->jumps[0].missing, 100);
	AQ_CHECK_EQ_U64(b->jumps[0].before, 10 + slots - 1);
	AQ_CHECK_EQ_U64(b->jumps[0].after, 50000);
	AQ_CHECK_EQ_U64(b->jumps[0].ring, 3);
	bench_free(b);
}

AQ_TEST(attributes_without_room_are_told)
{
	struct bench *b = bench_new(1, 0, 1 << 24);
	static char text[30000];
	unsigned with = 0;

	memset(text, 'y', sizeof(text) - 1);
	for (uint64_t i = 0; i < 40; i++)
		AQ_CHECK(produce(b, 0, 1, 10 + i, i, text));
	pass(b, 1000);
	AQ_CHECK_EQ_U64(b->count, 40);
	for (unsigned i = 0; i < 40; i++)
		with += b->seen[i].has_attr;
	AQ_CHECK_EQ_U64(with, 2 * AQ_WIRE_ATTR_PART / 30040);
	AQ_CHECK_EQ_U64(aq_rings_at(&b->src->rings, 0, 1)->ctl->attr_lost, 40 - with);
	bench_free(b);
}

AQ_TEST(hostile_attribute_rings)
{
	static const uint32_t lengths[] = { 0, 7, 16, 25, AQ_WIRE_ATTR_MAX + 8, 0xfffffff8u, 4096 };

	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct bench *b = bench_new(1, 0, 1 << 22);
		struct aq_ring *ring = aq_rings_at(&b->src->rings, 0, 1);

		produce(b, 0, 1, 10, 1, "first");
		produce(b, 0, 1, 11, 2, "second");
		memcpy(aq_ring_attr(ring, 0), &lengths[i], 4);
		pass(b, 100);
		AQ_CHECK_EQ_U64(b->count, 2);
		AQ_CHECK(!b->seen[0].has_attr && !b->seen[1].has_attr);
		AQ_CHECK_EQ_U64(aq_drain_stats(b->drain).damaged, 1);
		produce(b, 0, 1, 12, 3, "third"); /* and it goes on */
		pass(b, 200);
		AQ_CHECK_EQ_U64(b->count, 3);
		AQ_CHECK_EQ_STR(b->seen[2].attr, "third");
		bench_free(b);
	}
}

AQ_TEST(hostile_positions)
{
	struct bench *b = bench_new(1, 0, 1 << 22);
	struct aq_ring *ring = aq_rings_at(&b->src->rings, 0, 2);

	ring->ctl->head = 1ull << 40; /* more than the ring holds */
	ring->ctl->attr_head = 1ull << 50;
	pass(b, 100);
	AQ_CHECK(b->count <= 2 * AQ_WIRE_PART_SLOTS);
	AQ_CHECK(aq_drain_stats(b->drain).damaged >= 1);
	AQ_CHECK_EQ_U64(ring->ctl->tail, 1ull << 40);
	bench_free(b);
}

/* Nobody takes from the spool: bulk is shed first, vital last, each with exact counts. */
AQ_TEST(spool_sheds_the_lowest_class_first)
{
	struct bench *b = bench_new(1, 0, 8 * AQ_SLAB_BYTES);
	struct aq_shed shed[AQ_WIRE_CLASSES] = { { 0 } };
	static uint64_t by_event[AQ_WIRE_EVENTS];
	uint64_t made[AQ_WIRE_CLASSES] = { 0 }, stored[AQ_WIRE_CLASSES] = { 0 }, t = 1;

	for (unsigned round = 0; round < 16; round++) {
		for (unsigned cls = 0; cls < AQ_WIRE_CLASSES; cls++)
			for (unsigned i = 0; i < 400; i++)
				made[cls] += produce(b, 0, cls, t++, 0, NULL);
		aq_synthetic_set_now(b->src, t);
		aq_drain_pass(b->drain);
	}
	for (unsigned cls = 0; cls < AQ_WIRE_CLASSES; cls++) {
		memset(by_event, 0, sizeof(by_event));
		shed[cls] = aq_drain_take_shed(b->drain, cls, by_event);
		AQ_CHECK_EQ_U64(by_event[1], shed[cls].count);
		AQ_CHECK(shed[cls].count == 0 || (shed[cls].first_ns > 0 && shed[cls].first_ns <= shed[cls].last_ns &&
						  shed[cls].last_ns < t));
		AQ_CHECK_EQ_U64(aq_drain_take_shed(b->drain, cls, by_event).count, 0); /* taken once */
	}
	AQ_CHECK_EQ_U64(shed[0].count, 0);
	AQ_CHECK(shed[3].count > shed[2].count);
	AQ_CHECK(shed[2].count > shed[1].count);
	pass(b, t); /* room for the rest is made by taking */
	pass(b, t + 1);
	pass(b, t + 2);
	for (size_t i = 0; i < b->count; i++)
		stored[b->seen[i].ring]++;
	for (unsigned cls = 0; cls < AQ_WIRE_CLASSES; cls++)
		AQ_CHECK_EQ_U64(stored[cls] + shed[cls].count, made[cls]);
	bench_free(b);
}

AQ_TEST_MAIN()
