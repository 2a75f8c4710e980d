/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_schema aq_base */
/*
 * What the kernel side is made of, run as ordinary C: rings to their last slot, an event within an event, attribute
 * records up to the margin, strings, vectors, argument areas, paths and stamps at their bounds.
 */
#include "tests/lib/bpf_shim.h"

#include "bpf/ring.bpf.h"
#include "bpf/attr.bpf.h"
#include "bpf/proc.bpf.h"
#include "bpf/path.bpf.h"
#include "bpf/fetch.bpf.h"
#include "bpf/stamp.bpf.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/unit/aq_test.h"

enum { CPUS = 2, PARTS = 2, ATTR_PARTS = 2, STAMPS = 8, CLS = 1, EVENT = 42 };
enum { FIXED_PART = AQ_WIRE_PART_SLOTS * sizeof(struct aq_wire_timed), ATTR_PART = AQ_WIRE_ATTR_PART + AQ_WIRE_ATTR_MAX };

static struct aq_wire_cpu *cpus;
static char *fixed_memory, *attr_memory;
static struct aq_wire_stamp stamp_memory[STAMPS];

void *bpf_rdonly_cast(void *obj, __u32 btf_id)
{
	(void)btf_id;
	return obj;
}

static void *shim_lookup(const void *map, u32 key)
{
	const u32 rings = CPUS * AQ_WIRE_CLASSES;

	if (map == (void *)&ctl)
		return key < CPUS ? &cpus[key] : NULL;
	if (map == (void *)&fixed)
		return key < rings * cfg_fixed_parts ? fixed_memory + (size_t)key * FIXED_PART : NULL;
	if (map == (void *)&attr)
		return key < rings * cfg_attr_parts ? attr_memory + (size_t)key * ATTR_PART : NULL;
	if (map == (void *)&stamps)
		return key < STAMPS ? &stamp_memory[key] : NULL;
	return NULL;
}

static struct aq_wire_ring *begin(u32 parts, u32 attr_parts)
{
	free(cpus);
	free(fixed_memory);
	free(attr_memory);
	memset(&shim, 0, sizeof(shim));
	shim.cpu = 1;
	shim.now_ns = 1000;
	cpus = aligned_alloc(64, CPUS * sizeof(*cpus));
	fixed_memory = malloc((size_t)CPUS * AQ_WIRE_CLASSES * parts * FIXED_PART);
	attr_memory = malloc((size_t)CPUS * AQ_WIRE_CLASSES * attr_parts * ATTR_PART);
	AQ_REQUIRE(cpus != NULL && fixed_memory != NULL && attr_memory != NULL);
	memset(cpus, 0, CPUS * sizeof(*cpus));
	memset(fixed_memory, 0xee, (size_t)CPUS * AQ_WIRE_CLASSES * parts * FIXED_PART);
	memset(attr_memory, 0xee, (size_t)CPUS * AQ_WIRE_CLASSES * attr_parts * ATTR_PART);
	cfg_fixed_parts = parts;
	cfg_attr_parts = attr_parts;
	cfg_durations = cfg_typed_pointers = 0;
	cfg_string_max = STRING_MAX;
	cfg_argv_max = ARGV_MAX;
	return &cpus[1].ring[CLS];
}

static void end(void)
{
	free(cpus);
	free(fixed_memory);
	free(attr_memory);
	cpus = NULL;
	fixed_memory = attr_memory = NULL;
}

static bool add_event(void)
{
	struct entry e;

	shim.now_ns++;
	if (!enter(&e, EVENT, CLS, 0, false))
		return false;
	put_args(&e, 1, 2, 3, 4, 5, 6);
	leave(&e);
	return true;
}

static void check_sum(const struct aq_wire_ring *ring)
{
	AQ_CHECK_EQ_U64(ring->produced, ring->head + ring->lost + ring->policy);
	AQ_CHECK_EQ_U64(ring->busy, 0);
}

/* The slot at a position, where user space looks for it (bpf/wire.h). */
static struct aq_wire_fixed *slot_of(u64 pos)
{
	u32 part = (u32)(pos / AQ_WIRE_PART_SLOTS) & (cfg_fixed_parts - 1);
	char *memory = fixed_memory + ((size_t)(1 * AQ_WIRE_CLASSES + CLS) * cfg_fixed_parts + part) * FIXED_PART;

	return slot_at(memory, (u32)pos & (AQ_WIRE_PART_SLOTS - 1));
}

static void fill_exactly(u32 parts, u64 position)
{
	struct aq_wire_ring *ring = begin(parts, 1);
	u64 slots = (u64)parts * AQ_WIRE_PART_SLOTS;

	ring->head = ring->tail = ring->produced = position;
	for (u64 i = 0; i < slots; i++)
		AQ_REQUIRE(add_event());
	AQ_CHECK_EQ_U64(ring->head - ring->tail, slots);
	AQ_CHECK(!add_event());
	AQ_CHECK_EQ_U64(ring->lost, 1);
	AQ_CHECK_EQ_U64(ring->lost_last_ns, shim.now_ns);
	AQ_CHECK_EQ_U64(cpus[1].lost[EVENT], 1);
	/* nothing was written over: the first still is what it was, and the last */
	AQ_CHECK_EQ_U64(slot_of(position)->time_ns, 1001);
	AQ_CHECK_EQ_U64(slot_of(position)->seq, (u32)position);
	AQ_CHECK_EQ_U64(slot_of(position + slots - 1)->time_ns, 1000 + slots);
	/* one is taken out: one fits, where that was, with the number after the lost one's */
	ring->tail++;
	AQ_CHECK(add_event());
	AQ_CHECK(!add_event());
	AQ_CHECK_EQ_U64(slot_of(position + slots)->seq, (u32)(position + slots + 1));
	AQ_CHECK(slot_of(position + slots) == slot_of(position));
	AQ_CHECK_EQ_U64(cpus[1].seen[EVENT], slots + 3);
	check_sum(ring);
	for (u32 cls = 0; cls < AQ_WIRE_CLASSES; cls++)
		AQ_CHECK(cls == CLS || cpus[1].ring[cls].produced == 0);
	end();
}

AQ_TEST(a_ring_is_filled_to_its_last_slot)
{
	fill_exactly(1, 0);
	fill_exactly(2, AQ_WIRE_PART_SLOTS / 2); /* begins in the middle of a part */
	fill_exactly(2, (1ull << 32) - 100);     /* the low half of the number runs over */
}

AQ_TEST(slots_with_durations)
{
	struct aq_wire_ring *ring = begin(1, 1);
	struct entry e;

	cfg_durations = 1;
	AQ_CHECK(add_event());
	AQ_REQUIRE(enter(&e, EVENT, CLS, 0, false));
	put_duration(e.slot, 77);
	leave(&e);
	AQ_CHECK_EQ_U64(((struct aq_wire_timed *)(void *)fixed_memory)[0].duration_ns, 0xeeeeeeeeeeeeeeee); /* another ring */
	AQ_CHECK_EQ_U64(((struct aq_wire_timed *)(void *)slot_of(0))->duration_ns, AQ_WIRE_DURATION_UNKNOWN);
	AQ_CHECK_EQ_U64(((struct aq_wire_timed *)(void *)slot_of(1))->duration_ns, 77);
	AQ_CHECK_EQ_U64((u64)((char *)slot_of(1) - (char *)slot_of(0)), sizeof(struct aq_wire_timed));
	check_sum(ring);
	end();
}

AQ_TEST(an_event_within_an_event_is_turned_away)
{
	struct aq_wire_ring *ring = begin(1, 1);
	struct entry outer, inner;

	AQ_REQUIRE(enter(&outer, EVENT, CLS, 0, false));
	put_args(&outer, 1, 2, 3, 4, 5, 6);
	AQ_CHECK(!enter(&inner, EVENT + 1, CLS, 0, false));
	AQ_CHECK(!enter(&inner, EVENT + 1, CLS, 0, true)); /* whatever it was */
	/* another class's ring is another ring */
	AQ_REQUIRE(enter(&inner, EVENT + 2, CLS + 1, 0, false));
	leave(&inner);
	leave(&outer);
	AQ_CHECK_EQ_U64(ring->nested, 2);
	AQ_CHECK_EQ_U64(ring->lost, 2);
	AQ_CHECK_EQ_U64(ring->head, 1);
	AQ_CHECK_EQ_U64(cpus[1].lost[EVENT + 1], 2);
	AQ_CHECK_EQ_U64(cpus[1].seen[EVENT + 1], 2);
	AQ_CHECK_EQ_U64(cpus[1].ring[CLS + 1].head, 1);
	check_sum(ring);
	/* the numbers that they took are missing in the sequence */
	AQ_CHECK(add_event());
	AQ_CHECK_EQ_U64(slot_of(1)->seq, 3);
	AQ_CHECK_EQ_U64(slot_of(0)->args[5], 6);
	end();
}

AQ_TEST(what_is_left_out_is_counted)
{
	struct aq_wire_ring *ring = begin(1, 1);
	struct entry e;

	AQ_CHECK(!enter(&e, EVENT, CLS, 0, true));
	AQ_CHECK_EQ_U64(ring->policy, 1);
	AQ_CHECK_EQ_U64(cpus[1].policy[EVENT], 1);
	AQ_CHECK_EQ_U64(ring->lost + ring->head, 0);
	check_sum(ring);
	/* an id beyond the table is counted as no known one */
	AQ_REQUIRE(enter(&e, AQ_WIRE_EVENTS + 5, CLS, 0, false));
	leave(&e);
	AQ_CHECK_EQ_U64(cpus[1].seen[0], 1);
	AQ_CHECK_EQ_U64(slot_of(0)->event, 0);
	shim.cpu = CPUS; /* no such CPU */
	AQ_CHECK(!enter(&e, EVENT, CLS, 0, false));
	end();
}

/* An event with attributes under way. */
static struct attrs open_attrs(struct entry *e, bool *ret_room)
{
	struct attrs a;

	AQ_REQUIRE(enter(e, EVENT, CLS, 0, false));
	*ret_room = attrs_begin(&a, e->ring, e->slot, e->index);
	return a;
}

/* The record at a position, as user space finds it. */
static const struct aq_wire_attr_record *record_of(u64 pos)
{
	u32 part = (u32)(pos / AQ_WIRE_ATTR_PART) & (cfg_attr_parts - 1);

	return (const void *)(attr_memory + ((size_t)(1 * AQ_WIRE_CLASSES + CLS) * cfg_attr_parts + part) * ATTR_PART +
			      (pos & (AQ_WIRE_ATTR_PART - 1)));
}

static const struct aq_wire_attr *first_attr(u64 pos)
{
	return (const void *)(record_of(pos) + 1);
}

static const char *text_of(const struct aq_wire_attr *a)
{
	return (const char *)(a + 1);
}

static u64 add_string(const char *text)
{
	struct entry e;
	bool room;
	struct attrs a = open_attrs(&e, &room);

	AQ_REQUIRE(room);
	put_user_string(&a, AQ_ATTR_PATH, (u64)(uintptr_t)text);
	attrs_end(&a);
	leave(&e);
	return a.ring->attr_head;
}

AQ_TEST(a_record_may_run_on_into_the_margin)
{
	struct aq_wire_ring *ring = begin(1, ATTR_PARTS);
	const u64 at = AQ_WIRE_ATTR_PART - 8;
	static char text[3000];
	u64 next;

	memset(text, 'x', sizeof(text) - 1);
	ring->attr_head = ring->attr_tail = at;
	next = add_string(text);
	AQ_CHECK_EQ_U64(next - at, sizeof(struct aq_wire_attr_record) + sizeof(struct aq_wire_attr) + 3000);
	AQ_CHECK_EQ_U64(record_of(at)->bytes, next - at);
	AQ_CHECK_EQ_U64(record_of(at)->count, 1);
	AQ_CHECK_EQ_U64(record_of(at)->seq, slot_of(0)->seq);
	AQ_CHECK_EQ_U64(first_attr(at)->len, 2999);
	AQ_CHECK_EQ_MEM(text_of(first_attr(at)), text, 2999);
	AQ_CHECK(slot_of(0)->flags & AQ_WIRE_HAS_ATTR);
	/* the next one lies in the next part, as far in as this one ran on */
	(void)add_string("/etc/hosts");
	AQ_CHECK((const char *)record_of(next) - (const char *)record_of(AQ_WIRE_ATTR_PART) == (ptrdiff_t)(next - AQ_WIRE_ATTR_PART));
	AQ_CHECK_EQ_MEM(text_of(first_attr(next)), "/etc/hosts", 11);
	AQ_CHECK_EQ_U64(ring->attr_head % 8, 0);
	end();
}

/* Room for the longest record is asked for; with less the event goes without its text and says so. */
AQ_TEST(an_attribute_without_room)
{
	struct aq_wire_ring *ring = begin(1, 1);
	struct entry e;
	bool room;

	ring->attr_head = AQ_WIRE_ATTR_PART - AQ_WIRE_ATTR_MAX; /* exactly as much is left */
	struct attrs a = open_attrs(&e, &room);
	AQ_CHECK(room);
	put_user_string(&a, AQ_ATTR_PATH, (u64)(uintptr_t)"a");
	attrs_end(&a);
	leave(&e);
	AQ_CHECK_EQ_U64(ring->attr_lost, 0);
	AQ_CHECK((slot_of(0)->flags & (AQ_WIRE_HAS_ATTR | AQ_WIRE_ATTR_LOST)) == AQ_WIRE_HAS_ATTR);
	a = open_attrs(&e, &room); /* now there is less */
	AQ_CHECK(!room);
	leave(&e);
	AQ_CHECK_EQ_U64(ring->attr_lost, 1);
	AQ_CHECK((slot_of(1)->flags & (AQ_WIRE_HAS_ATTR | AQ_WIRE_ATTR_LOST)) == AQ_WIRE_ATTR_LOST);
	check_sum(ring);
	/* a record with nothing in it is none */
	ring->attr_tail = ring->attr_head;
	u64 before = ring->attr_head;
	a = open_attrs(&e, &room);
	AQ_CHECK(room);
	attrs_end(&a);
	leave(&e);
	AQ_CHECK_EQ_U64(ring->attr_head, before);
	AQ_CHECK(!(slot_of(2)->flags & AQ_WIRE_HAS_ATTR));
	end();
}

AQ_TEST(a_record_is_full)
{
	struct aq_wire_ring *ring = begin(1, 1);
	static char text[STRING_MAX];
	struct entry e;
	bool room;
	struct attrs a = open_attrs(&e, &room);

	memset(text, 'y', sizeof(text) - 1);
	for (int i = 0; i < 10; i++)
		put_user_string(&a, AQ_ATTR_PATH, (u64)(uintptr_t)text);
	attrs_end(&a);
	leave(&e);
	AQ_CHECK(ring->attr_lost > 0 && ring->attr_lost < 10);
	AQ_CHECK_EQ_U64(record_of(0)->count, 10 - ring->attr_lost);
	AQ_CHECK(record_of(0)->bytes <= AQ_WIRE_ATTR_MAX);
	AQ_CHECK(slot_of(0)->flags & AQ_WIRE_HAS_ATTR);
	AQ_CHECK(slot_of(0)->flags & AQ_WIRE_ATTR_LOST);
	end();
}

AQ_TEST(strings_at_their_longest)
{
	struct aq_wire_ring *ring = begin(1, ATTR_PARTS);
	static char text[STRING_MAX + 1];
	u64 at = 0;

	for (u32 limit = 16; limit <= STRING_MAX; limit *= 16) {
		cfg_string_max = limit;
		memset(text, 'z', sizeof(text));
		text[limit - 1] = '\0'; /* just fits */
		at = ring->attr_head;
		(void)add_string(text);
		AQ_CHECK_EQ_U64(first_attr(at)->len, limit - 1);
		AQ_CHECK_EQ_U64(first_attr(at)->flags, 0);
		text[limit - 1] = 'z'; /* does not */
		text[limit] = '\0';
		at = ring->attr_head;
		(void)add_string(text);
		AQ_CHECK_EQ_U64(first_attr(at)->len, limit - 1);
		AQ_CHECK_EQ_U64(first_attr(at)->flags, AQ_WIRE_ATF_TRUNCATED);
	}
	at = ring->attr_head;
	(void)add_string("");
	AQ_CHECK_EQ_U64(first_attr(at)->len, 0);
	AQ_CHECK_EQ_U64(first_attr(at)->flags, 0);
	shim.bad_from = text + 3;
	shim.bad_to = text + sizeof(text);
	at = ring->attr_head;
	(void)add_string(text);
	AQ_CHECK_EQ_U64(first_attr(at)->len, 0);
	AQ_CHECK_EQ_U64(first_attr(at)->flags, AQ_WIRE_ATF_UNREADABLE);
	end();
}

AQ_TEST(vectors_of_strings)
{
	struct aq_wire_ring *ring = begin(1, ATTR_PARTS);
	const char *vec[VEC_STRINGS + 2] = { "cp", "", "a b", NULL };
	u32 *narrow = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	struct entry e;
	bool room;
	u64 at = 0;
	struct attrs a = open_attrs(&e, &room);

	put_user_vec(&a, AQ_ATTR_ARGV, (u64)(uintptr_t)vec, 8);
	attrs_end(&a);
	leave(&e);
	AQ_CHECK_EQ_U64(first_attr(at)->len, 8);
	AQ_CHECK_EQ_U64(first_attr(at)->flags, 0);
	AQ_CHECK_EQ_MEM(text_of(first_attr(at)), "cp\0\0a b", 8);
	for (int i = 0; i <= VEC_STRINGS; i++)
		vec[i] = "more";
	vec[VEC_STRINGS + 1] = NULL;
	at = ring->attr_head;
	a = open_attrs(&e, &room);
	put_user_vec(&a, AQ_ATTR_ARGV, (u64)(uintptr_t)vec, 8);
	attrs_end(&a);
	leave(&e);
	AQ_CHECK_EQ_U64(first_attr(at)->len, 5 * VEC_STRINGS);
	AQ_CHECK_EQ_U64(first_attr(at)->flags, AQ_WIRE_ATF_TRUNCATED);
	shim.bad_from = (const char *)vec;
	shim.bad_to = (const char *)(vec + 1);
	at = ring->attr_head;
	a = open_attrs(&e, &room);
	put_user_vec(&a, AQ_ATTR_ARGV, (u64)(uintptr_t)vec, 8);
	attrs_end(&a);
	leave(&e);
	AQ_CHECK_EQ_U64(first_attr(at)->flags, AQ_WIRE_ATF_UNREADABLE);
	if (narrow != MAP_FAILED && (uintptr_t)narrow < UINT32_MAX) { /* 32-bit callers have pointers of four bytes */
		strcpy((char *)(narrow + 16), "small");
		narrow[0] = narrow[1] = (u32)(uintptr_t)(narrow + 16);
		at = ring->attr_head;
		a = open_attrs(&e, &room);
		put_user_vec(&a, AQ_ATTR_ARGV, (u64)(uintptr_t)narrow, 4);
		attrs_end(&a);
		leave(&e);
		AQ_CHECK_EQ_U64(first_attr(at)->len, 12);
		AQ_CHECK_EQ_MEM(text_of(first_attr(at)), "small\0small", 12);
	}
	if (narrow != MAP_FAILED)
		munmap(narrow, 4096);
	end();
}

static const struct aq_wire_attr *add_argv(const char *from, const char *to)
{
	u64 at = cpus[1].ring[CLS].attr_head;
	struct entry e;
	bool room;
	struct attrs a = open_attrs(&e, &room);

	AQ_REQUIRE(room);
	put_area(&a, AQ_ATTR_ARGV, (u64)(uintptr_t)from, (u64)(uintptr_t)to);
	attrs_end(&a);
	leave(&e);
	return first_attr(at);
}

AQ_TEST(argument_areas)
{
	enum { SIZE = 8 * PAGE_BYTES };
	char *area = aligned_alloc(PAGE_BYTES, SIZE);
	const struct aq_wire_attr *argv;

	AQ_REQUIRE(area != NULL);
	(void)begin(1, ATTR_PARTS);
	for (int i = 0; i < SIZE; i++)
		area[i] = (char)('a' + i % 23);
	argv = add_argv(area + 100, area + 5000); /* from within a page into the next */
	AQ_CHECK_EQ_U64(argv->len, 4900);
	AQ_CHECK_EQ_U64(argv->flags, 0);
	AQ_CHECK_EQ_MEM(text_of(argv), area + 100, 4900);
	argv = add_argv(area + 5, area + 5 + ARGV_MAX); /* just fits, over five pages */
	AQ_CHECK_EQ_U64(argv->len, ARGV_MAX);
	AQ_CHECK_EQ_U64(argv->flags, 0);
	argv = add_argv(area + 5, area + 6 + ARGV_MAX);
	AQ_CHECK_EQ_U64(argv->len, ARGV_MAX);
	AQ_CHECK_EQ_U64(argv->true_len, ARGV_MAX + 1);
	AQ_CHECK_EQ_U64(argv->flags, AQ_WIRE_ATF_TRUNCATED);
	AQ_CHECK_EQ_MEM(text_of(argv), area + 5, ARGV_MAX);
	cfg_argv_max = 10;
	argv = add_argv(area, area + 11);
	AQ_CHECK_EQ_U64(argv->len, 10);
	AQ_CHECK_EQ_U64(argv->true_len, 11);
	cfg_argv_max = ARGV_MAX;
	shim.bad_from = area + PAGE_BYTES; /* the second page is not there */
	shim.bad_to = area + SIZE;
	argv = add_argv(area + 96, area + 2 * PAGE_BYTES);
	AQ_CHECK_EQ_U64(argv->len, PAGE_BYTES - 96);
	AQ_CHECK_EQ_U64(argv->true_len, 2 * PAGE_BYTES - 96);
	AQ_CHECK_EQ_U64(argv->flags, AQ_WIRE_ATF_TRUNCATED);
	argv = add_argv(area + PAGE_BYTES, area + 2 * PAGE_BYTES);
	AQ_CHECK_EQ_U64(argv->len, 0);
	AQ_CHECK_EQ_U64(argv->flags, AQ_WIRE_ATF_UNREADABLE);
	free(area);
	end();
}

/* A tree of its own: / is one mount, /mnt another, on which usr/lib/x lies. */
struct tree {
	struct dentry root, mnt, sub, usr, lib, x, deep[PATH_STEPS + 4];
	struct mount first, second;
	struct file file, *files[4];
	struct fdtable table;
	struct files_struct files_struct;
	struct task_struct task;
};

static void name(struct dentry *d, struct dentry *parent, const char *text)
{
	d->d_parent = parent;
	d->d_name.name = (const unsigned char *)text;
}

static struct tree *make_tree(void)
{
	struct tree *t = calloc(1, sizeof(*t));

	AQ_REQUIRE(t != NULL);
	name(&t->root, &t->root, "/");
	name(&t->mnt, &t->root, "mnt");
	name(&t->sub, &t->sub, "/");
	name(&t->usr, &t->sub, "usr");
	name(&t->lib, &t->usr, "lib");
	name(&t->x, &t->lib, "x");
	t->first.mnt_parent = &t->first;
	t->first.mnt.mnt_root = &t->root;
	t->second.mnt_parent = &t->first;
	t->second.mnt_mountpoint = &t->mnt;
	t->second.mnt.mnt_root = &t->sub;
	t->files[3] = &t->file;
	t->table.max_fds = 4;
	t->table.fd = t->files;
	t->files_struct.fdt = &t->table;
	t->task.files = &t->files_struct;
	shim.task = &t->task;
	return t;
}

static const struct aq_wire_attr *add_path(struct tree *t, struct dentry *dentry, struct mount *mount)
{
	u64 at = cpus[1].ring[CLS].attr_head;
	struct entry e;
	bool room;
	struct attrs a = open_attrs(&e, &room);

	t->file.f_path.dentry = dentry;
	t->file.f_path.mnt = &mount->mnt;
	AQ_REQUIRE(room);
	AQ_CHECK(current_file(3) == &t->file);
	AQ_CHECK(current_file(2) == NULL);
	AQ_CHECK(current_file(4) == NULL && current_file(~0ull) == NULL);
	put_path(&a, current_file(3));
	attrs_end(&a);
	leave(&e);
	return first_attr(at);
}

AQ_TEST(paths)
{
	static char long_name[COMPONENT_MAX];

	memset(long_name, 'n', COMPONENT_MAX - 1);
	for (u32 typed = 0; typed < 2; typed++) {
		(void)begin(1, ATTR_PARTS);
		struct tree *t = make_tree();
		const struct aq_wire_attr *p;

		cfg_typed_pointers = typed;
		p = add_path(t, &t->x, &t->second); /* across the mount */
		AQ_CHECK_EQ_U64(p->key, AQ_ATTR_KPATH);
		AQ_CHECK_EQ_U64(p->flags, AQ_WIRE_ATF_REVERSED);
		AQ_CHECK_EQ_U64(p->len, 14);
		AQ_CHECK_EQ_MEM(text_of(p), "x\0lib\0usr\0mnt", 14);
		p = add_path(t, &t->root, &t->first); /* the root: no component, and whole */
		AQ_CHECK_EQ_U64(p->flags, AQ_WIRE_ATF_REVERSED);
		AQ_CHECK_EQ_U64(p->len, 0);
		p = add_path(t, &t->usr, &t->first); /* of a mount that it is not on: what there is, as a part */
		AQ_CHECK_EQ_U64(p->flags, AQ_WIRE_ATF_REVERSED | AQ_WIRE_ATF_PARTIAL);
		AQ_CHECK_EQ_MEM(text_of(p), "usr", 4);
		name(&t->x, &t->x, "memfd:a"); /* in no tree */
		p = add_path(t, &t->x, &t->first);
		AQ_CHECK_EQ_U64(p->flags, AQ_WIRE_ATF_REVERSED | AQ_WIRE_ATF_PARTIAL);
		AQ_CHECK_EQ_U64(p->len, 8);
		AQ_CHECK_EQ_MEM(text_of(p), "memfd:a", 8);
		name(&t->deep[0], &t->root, "d"); /* more components than are followed */
		for (int i = 1; i < PATH_STEPS + 4; i++)
			name(&t->deep[i], &t->deep[i - 1], "d");
		p = add_path(t, &t->deep[PATH_STEPS + 3], &t->first);
		AQ_CHECK_EQ_U64(p->flags, AQ_WIRE_ATF_REVERSED | AQ_WIRE_ATF_PARTIAL);
		AQ_CHECK_EQ_U64(p->len, 2 * PATH_STEPS);
		p = add_path(t, &t->deep[PATH_STEPS - 2], &t->first); /* the last that is whole: the step that ends it counts */
		AQ_CHECK_EQ_U64(p->flags, AQ_WIRE_ATF_REVERSED);
		AQ_CHECK_EQ_U64(p->len, 2 * (PATH_STEPS - 1));
		for (int i = 0; i < PATH_STEPS; i++) /* and more bytes than are kept */
			t->deep[i].d_name.name = (const unsigned char *)long_name;
		p = add_path(t, &t->deep[20], &t->first);
		AQ_CHECK_EQ_U64(p->flags, AQ_WIRE_ATF_REVERSED | AQ_WIRE_ATF_PARTIAL);
		AQ_CHECK(p->len <= STRING_MAX && p->len > STRING_MAX - COMPONENT_MAX);
		free(t);
		end();
	}
}

AQ_TEST(stamps)
{
	cfg_stamps = STAMPS;
	memset(stamp_memory, 0, sizeof(stamp_memory));
	AQ_CHECK_EQ_U64(stamp_take(5, 0), 0); /* none yet */
	stamp_put(5, 39, 1000);
	AQ_CHECK_EQ_U64(stamp_take(5 + STAMPS, 39), 0); /* another thread's */
	AQ_CHECK_EQ_U64(stamp_take(5, 39), 1000);
	AQ_CHECK_EQ_U64(stamp_take(5, 39), 0); /* none twice */
	stamp_put(5, 39, 2000);
	AQ_CHECK_EQ_U64(stamp_take(5, 40), 0); /* another call */
	AQ_CHECK_EQ_U64(stamp_take(5, 39), 0); /* and it is gone */
	stamp_put(5, 15, 3000);
	AQ_CHECK_EQ_U64(stamp_take(5, STAMP_NR_WIPED), 3000);
	stamp_put(5, 59, 4000); /* a thread executes a program: it goes on as its leader, 4 */
	stamp_exec(5, 4);
	AQ_CHECK_EQ_U64(stamp_take(5, 59), 0);
	AQ_CHECK_EQ_U64(stamp_take(4, 11), 4000); /* under whatever number the new program's ABI has for it */
	stamp_put(5, 1, 5000);
	stamp_put(5 + STAMPS, 1, 6000); /* the slot is shared: the later one has it */
	AQ_CHECK_EQ_U64(stamp_take(5, 1), 0);
	AQ_CHECK_EQ_U64(stamp_take(5 + STAMPS, 1), 6000);
	stamp_put(5, 1, 7000);
	stamp_drop(5 + STAMPS); /* not its own */
	AQ_CHECK_EQ_U64(stamp_take(5, 1), 7000);
	stamp_put(5, 1, 8000);
	stamp_drop(5);
	AQ_CHECK_EQ_U64(stamp_take(5, 1), 0);
}

AQ_TEST(devices_and_ids)
{
	struct upid numbers[3] = { { 100 }, { 20 }, { 3 } };
	struct pid *pid = calloc(1, sizeof(*pid) + sizeof(numbers));
	struct task_struct task = { .thread_pid = pid };

	AQ_REQUIRE(pid != NULL);
	memcpy(pid->numbers, numbers, sizeof(numbers));
	AQ_CHECK_EQ_U64(inner_pid(&task), 100);
	pid->level = 2;
	AQ_CHECK_EQ_U64(inner_pid(&task), 3);
	free(pid);
	AQ_CHECK_EQ_U64(user_dev(8u << 20 | 1), 0x801);
	AQ_CHECK_EQ_U64(user_dev(0xfffu << 20 | 0xfffff), 0xffffffff);
	AQ_CHECK_EQ_U64(user_dev(259u << 20 | 0x12345), 0x12310345);
}

AQ_TEST_MAIN()
