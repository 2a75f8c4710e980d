/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layouts are those of the kernel's user headers. Members of 64 bits lie at the same place in both widths of
 * programs unless a row says otherwise; what a shorter structure does not have reads as 0, as the kernel has it.
 */
#include "recorder/structs.h"

#include <string.h>

enum { BOTH = 0, CAP_VERSION_1 = 0x19980330, CAP_BYTES = 24, OBJECT_NAME = 16 };

static const struct aq_struct_row rows[] = {
	{ AQ_EV_openat2, 2, 3, 0, 0, BOTH },
	{ AQ_EV_clone3, 0, 1, 0, 0, BOTH },
	{ AQ_EV_capget, 0, AQ_WIRE_NONE, 8, 8, BOTH },
	{ AQ_EV_capget, 1, AQ_WIRE_NONE, CAP_BYTES, CAP_BYTES, AQ_WIRE_WHEN_OK },
	{ AQ_EV_capset, 0, AQ_WIRE_NONE, 8, 8, BOTH },
	{ AQ_EV_capset, 1, AQ_WIRE_NONE, CAP_BYTES, CAP_BYTES, BOTH },
	{ AQ_EV_mount_setattr, 3, 4, 0, 0, BOTH },
	{ AQ_EV_open_tree_attr, 3, 4, 0, 0, BOTH },
	{ AQ_EV_prlimit64, 2, AQ_WIRE_NONE, 16, 16, BOTH },
	{ AQ_EV_prlimit64, 3, AQ_WIRE_NONE, 16, 16, AQ_WIRE_WHEN_OK },
	{ AQ_EV_setrlimit, 1, AQ_WIRE_NONE, 16, 8, BOTH },
	{ AQ_EV_getrlimit, 1, AQ_WIRE_NONE, 16, 8, AQ_WIRE_WHEN_OK },
	{ AQ_EV_ugetrlimit, 1, AQ_WIRE_NONE, 8, 8, AQ_WIRE_WHEN_OK },
	{ AQ_EV_bpf, 1, 2, 0, 0, BOTH },
	{ AQ_EV_clock_settime, 1, AQ_WIRE_NONE, 16, 8, BOTH },
	{ AQ_EV_clock_settime64, 1, AQ_WIRE_NONE, 16, 16, BOTH },
	{ AQ_EV_settimeofday, 0, AQ_WIRE_NONE, 16, 8, BOTH },
	{ AQ_EV_stime, 0, AQ_WIRE_NONE, 4, 4, BOTH },
	{ AQ_EV_setsockopt, 3, 4, 0, 0, BOTH },
	{ AQ_EV_getsockopt, 3, AQ_WIRE_NONE, 4, 4, AQ_WIRE_WHEN_OK },
	{ AQ_EV_io_uring_setup, 1, AQ_WIRE_NONE, 16, 16, BOTH },
	{ AQ_EV_setns, 0, AQ_WIRE_NONE, 16, 16, BOTH }, /* a descriptor: the kernel side makes the structure */
};

const struct aq_struct_row *aq_struct_next(uint16_t event, const struct aq_struct_row *row)
{
	const struct aq_struct_row *end = rows + sizeof(rows) / sizeof(rows[0]);

	for (row = row != NULL ? row + 1 : rows; row < end; row++)
		if (row->event == event)
			return row;
	return NULL;
}

/* How many arguments of the row come from structures. */
static unsigned added(uint16_t event)
{
	switch (event) {
	case AQ_EV_clone3:
		return 6;
	case AQ_EV_prlimit64:
	case AQ_EV_bpf:
		return 5;
	case AQ_EV_capget:
	case AQ_EV_capset:
	case AQ_EV_mount_setattr:
	case AQ_EV_open_tree_attr:
		return 4;
	case AQ_EV_openat2:
		return 3;
	case AQ_EV_setrlimit:
	case AQ_EV_getrlimit:
	case AQ_EV_ugetrlimit:
	case AQ_EV_clock_settime:
	case AQ_EV_clock_settime64:
	case AQ_EV_settimeofday:
	case AQ_EV_setsockopt:
	case AQ_EV_getsockopt:
	case AQ_EV_setns:
		return 2;
	case AQ_EV_stime:
	case AQ_EV_io_uring_setup:
		return 1;
	default:
		return 0;
	}
}

unsigned aq_struct_first(const struct aq_event_schema *schema)
{
	return schema->arg_count - added(schema->id);
}

/* A number of n bytes; what the structure does not have is 0. */
static uint64_t number(const struct aq_struct_bytes *s, uint32_t offset, uint32_t n)
{
	uint64_t value = 0;

	if (s->data == NULL || s->len < n || offset > s->len - n)
		return 0;
	memcpy(&value, s->data + offset, n); /* both machines are little-endian */
	return value;
}

/* A number as wide as a pointer of the program: the i-th of them. */
static uint64_t word(const struct aq_struct_bytes *s, bool wide, uint32_t i)
{
	return wide ? number(s, 8 * i, 8) : number(s, 4 * i, 4);
}

static int64_t signed_word(const struct aq_struct_bytes *s, bool wide, uint32_t i)
{
	return wide ? (int64_t)number(s, 8 * i, 8) : (int32_t)number(s, 4 * i, 4);
}

/* The limit "none" of a 32-bit program is that of all. */
static uint64_t limit(const struct aq_struct_bytes *s, bool wide, uint32_t i)
{
	uint64_t value = word(s, wide, i);

	return !wide && value == UINT32_MAX ? UINT64_MAX : value;
}

/* Sixteen bytes with a NUL somewhere, or without. */
static void object_name(const struct aq_struct_bytes *s, uint32_t offset, struct aq_struct_bytes *ret_name)
{
	const uint8_t *nul;

	if (s->data == NULL || s->len < offset + OBJECT_NAME)
		return;
	nul = memchr(s->data + offset, 0, OBJECT_NAME);
	ret_name->data = s->data + offset;
	ret_name->len = nul != NULL ? (uint32_t)(nul - ret_name->data) : OBJECT_NAME;
}

static void decode_bpf(const struct aq_struct_bytes *s, uint64_t cmd, uint64_t *out, struct aq_struct_bytes *ret_name)
{
	enum { MAP_CREATE = 0, PROG_LOAD = 5, OBJ_PIN = 6, PROG_ATTACH = 8, PROG_DETACH = 9, PROG_TEST_RUN = 10,
	       RAW_TRACEPOINT_OPEN = 17, LINK_CREATE = 28, LINK_UPDATE = 29, PROG_BIND_MAP = 35 };

	switch ((uint32_t)cmd) {
	case MAP_CREATE:
		out[1] = number(s, 0, 4);
		object_name(s, 28, ret_name);
		break;
	case PROG_LOAD:
		out[0] = number(s, 0, 4);
		out[2] = number(s, 68, 4);
		object_name(s, 48, ret_name);
		break;
	case OBJ_PIN:
	case RAW_TRACEPOINT_OPEN:
		out[3] = number(s, 8, 4);
		break;
	case PROG_ATTACH:
	case PROG_DETACH:
		out[4] = number(s, 0, 4);
		out[3] = number(s, 4, 4);
		out[2] = number(s, 8, 4);
		break;
	case LINK_CREATE:
		out[3] = number(s, 0, 4);
		out[4] = number(s, 4, 4);
		out[2] = number(s, 8, 4);
		break;
	case LINK_UPDATE:
		out[4] = number(s, 0, 4);
		out[3] = number(s, 4, 4);
		break;
	case PROG_TEST_RUN:
	case PROG_BIND_MAP:
		out[3] = number(s, 0, 4);
		break;
	default:
		break;
	}
}

/* effective, permitted, inheritable: of version 1 32 bits of each, since then two times three words. */
static void decode_capabilities(const struct aq_struct_bytes *header, const struct aq_struct_bytes *data, uint64_t *out)
{
	bool one = number(header, 0, 4) == CAP_VERSION_1;

	out[0] = number(header, 4, 4);
	for (uint32_t i = 0; i < 3; i++)
		out[1 + i] = number(data, 4 * i, 4) | (one ? 0 : number(data, 12 + 4 * i, 4) << 32);
}

static void decode_clone(const struct aq_struct_bytes *s, uint64_t *out)
{
	out[0] = number(s, 0, 8);
	out[1] = number(s, 32, 8);
	out[2] = number(s, 40, 8);
	out[3] = number(s, 48, 8);
	out[4] = number(s, 72, 8);
	out[5] = number(s, 80, 8);
}

static void decode_option(const struct aq_event *ev, const struct aq_struct_bytes *s, uint64_t *out)
{
	out[0] = (uint32_t)ev->args[1] << 16 | (ev->args[2] & 0xffff);
	out[1] = s->len >= 4 ? number(s, 0, 4) : number(s, 0, 1);
}

void aq_struct_decode(struct aq_event *ev, const struct aq_struct_bytes by_arg[AQ_WIRE_ARGS], struct aq_struct_bytes *ret_name)
{
	const struct aq_event_schema *schema = aq_schema_event(ev->id);
	bool wide = ev->abi != AQ_ABI_I386 && ev->abi != AQ_ABI_ARM;
	unsigned first = schema != NULL ? aq_struct_first(schema) : 0;
	uint64_t *out = ev->args + first;

	*ret_name = (struct aq_struct_bytes){ 0 };
	if (schema == NULL || first == schema->arg_count)
		return;
	memset(out, 0, (schema->arg_count - first) * sizeof(*out));
	switch (ev->id) {
	case AQ_EV_openat2:
		for (uint32_t i = 0; i < 3; i++)
			out[i] = number(&by_arg[2], 8 * i, 8);
		break;
	case AQ_EV_clone3:
		decode_clone(&by_arg[0], out);
		break;
	case AQ_EV_capget:
	case AQ_EV_capset:
		decode_capabilities(&by_arg[0], &by_arg[1], out);
		break;
	case AQ_EV_mount_setattr:
	case AQ_EV_open_tree_attr:
		for (uint32_t i = 0; i < 4; i++)
			out[i] = number(&by_arg[3], 8 * i, 8);
		break;
	case AQ_EV_prlimit64:
		out[0] = by_arg[2].data != NULL;
		for (uint32_t i = 0; i < 4; i++)
			out[1 + i] = number(&by_arg[2 + i / 2], 8 * (i % 2), 8);
		break;
	case AQ_EV_setrlimit:
	case AQ_EV_getrlimit:
	case AQ_EV_ugetrlimit:
		out[0] = limit(&by_arg[1], wide, 0);
		out[1] = limit(&by_arg[1], wide, 1);
		break;
	case AQ_EV_bpf:
		decode_bpf(&by_arg[1], ev->args[0], out, ret_name);
		break;
	case AQ_EV_clock_settime:
	case AQ_EV_clock_settime64:
		wide = wide || ev->id == AQ_EV_clock_settime64;
		out[0] = (uint64_t)signed_word(&by_arg[1], wide, 0);
		out[1] = (uint64_t)signed_word(&by_arg[1], wide, 1);
		break;
	case AQ_EV_settimeofday:
		out[0] = (uint64_t)signed_word(&by_arg[0], wide, 0);
		out[1] = (uint64_t)signed_word(&by_arg[0], wide, 1);
		break;
	case AQ_EV_stime:
		out[0] = (uint64_t)signed_word(&by_arg[0], false, 0);
		break;
	case AQ_EV_setsockopt:
	case AQ_EV_getsockopt:
		decode_option(ev, &by_arg[3], out);
		break;
	case AQ_EV_io_uring_setup:
		out[0] = number(&by_arg[1], 8, 4);
		break;
	case AQ_EV_setns:
		out[0] = number(&by_arg[0], 8, 8);
		out[1] = number(&by_arg[0], 0, 8);
		break;
	default:
		break;
	}
}
