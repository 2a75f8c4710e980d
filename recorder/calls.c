/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The call table. What an argument's type does not tell (an address that the kernel fills in, two descriptors behind
 * a pointer, a result that is a file) is said by event id here.
 */
#include "recorder/calls.h"

#include <assert.h>
#include <string.h>

static_assert((int)AQ_WIRE_EVENTS == (int)AQ_EVENT_ID_MAX, "event ids on the wire and in the schema");
static_assert((int)AQ_WIRE_CLASSES == (int)AQ_CLASS_COUNT, "classes on the wire and in the schema");

/* Calls whose result is a descriptor of something with a path. */
static bool returns_file(uint16_t id)
{
	switch (id) {
	case AQ_EV_open:
	case AQ_EV_openat:
	case AQ_EV_openat2:
	case AQ_EV_creat:
	case AQ_EV_open_by_handle_at:
		return true;
	default:
		return false;
	}
}

static bool wants_socket(uint16_t id)
{
	switch (id) {
	case AQ_EV_connect:
	case AQ_EV_bind:
	case AQ_EV_listen:
	case AQ_EV_accept:
	case AQ_EV_accept4:
		return true;
	default:
		return false;
	}
}

/* The kernel writes the address, and its length behind the next argument. */
static bool fills_address(uint16_t id)
{
	switch (id) {
	case AQ_EV_accept:
	case AQ_EV_accept4:
	case AQ_EV_recvfrom:
	case AQ_EV_getsockname:
	case AQ_EV_getpeername:
		return true;
	default:
		return false;
	}
}

/* Index of the argument that points to two descriptors, or -1. */
static int descriptor_pair(uint16_t id)
{
	return id == AQ_EV_pipe || id == AQ_EV_pipe2 ? 0 : id == AQ_EV_socketpair ? 3 : -1;
}

static void add_fetch(struct aq_wire_call *call, unsigned arg, enum aq_wire_fetch kind, unsigned key, unsigned len_arg)
{
	unsigned n = call->attr_count;

	if (n >= sizeof(call->attr) / sizeof(call->attr[0]))
		return;
	call->attr[n].arg = (aq_u8)arg;
	call->attr[n].kind = (aq_u8)kind;
	call->attr[n].key = (aq_u8)key;
	call->attr[n].len_arg = (aq_u8)len_arg;
	call->attr_count++;
}

static void fill_call(const struct aq_event_schema *ev, struct aq_wire_call *call)
{
	int pair = descriptor_pair(ev->id);

	call->event = ev->id;
	call->cls = (aq_u8)ev->cls;
	if (returns_file(ev->id))
		call->flags |= AQ_WIRE_CALL_RET_FD;
	if (wants_socket(ev->id))
		call->flags |= AQ_WIRE_CALL_SOCK_FD;
	for (unsigned i = 0; i < ev->arg_count && i < AQ_WIRE_ARGS; i++) {
		const struct aq_arg_schema *arg = &ev->args[i];

		if (arg->type == AQ_TYPE_PATH || arg->type == AQ_TYPE_STRING)
			add_fetch(call, i, AQ_WIRE_FETCH_STRING, arg->attr, 255);
		else if (arg->type == AQ_TYPE_STRVEC)
			add_fetch(call, i, AQ_WIRE_FETCH_STRVEC, arg->attr, 255);
		else if (arg->type == AQ_TYPE_SOCKADDR && i + 1 < AQ_WIRE_ARGS)
			add_fetch(call, i, fills_address(ev->id) ? AQ_WIRE_FETCH_SOCKADDR_OUT : AQ_WIRE_FETCH_SOCKADDR_IN,
				  arg->attr, i + 1);
		else if ((int)i == pair)
			add_fetch(call, i, AQ_WIRE_FETCH_FD_PAIR, AQ_ATTR_FDS, 255);
	}
}

void aq_calls_fill(enum aq_abi abi, const bool *skip, struct aq_wire_call rows[AQ_WIRE_NR_MAX])
{
	memset(rows, 0, AQ_WIRE_NR_MAX * sizeof(*rows));
	for (uint32_t nr = 0; nr < AQ_WIRE_NR_MAX; nr++) {
		uint16_t id = aq_schema_syscall_id(abi, nr);
		const struct aq_event_schema *ev = id != 0 ? aq_schema_event(id) : NULL;

		rows[nr].cls = AQ_CALLS_UNKNOWN_CLASS;
		if (ev == NULL)
			continue;
		fill_call(ev, &rows[nr]);
		if (skip != NULL && skip[id])
			rows[nr].flags |= AQ_WIRE_CALL_SKIP;
	}
}

void aq_calls_classes(uint8_t class_of_event[AQ_WIRE_EVENTS])
{
	for (uint32_t id = 0; id < AQ_WIRE_EVENTS; id++) {
		const struct aq_event_schema *ev = aq_schema_event(id);

		class_of_event[id] = ev != NULL ? (uint8_t)ev->cls : AQ_CALLS_UNKNOWN_CLASS;
	}
}

unsigned aq_calls_abis(enum aq_abi abis[3])
{
#if defined(__aarch64__)
	abis[0] = AQ_ABI_ARM64;
	abis[1] = AQ_ABI_ARM;
	return 2;
#else
	abis[0] = AQ_ABI_X86_64;
	abis[1] = AQ_ABI_I386;
	abis[2] = AQ_ABI_X32;
	return 3;
#endif
}
