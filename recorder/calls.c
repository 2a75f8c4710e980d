/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The call table. What an argument's type does not tell (an address that the kernel fills in, two descriptors behind
 * a pointer, a result that is a file, a name that only one operation of many has) is said by event id here.
 */
#include "recorder/calls.h"

#include <assert.h>
#include <string.h>

#include "recorder/structs.h"

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

/* Calls on a descriptor that are nothing without the file behind it. */
static bool wants_path(uint16_t id)
{
	return id == AQ_EV_finit_module || id == AQ_EV_kexec_file_load || id == AQ_EV_fchdir;
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

/* Rows that no type tells. if_arg AQ_WIRE_NONE: whatever the arguments are; deref AQ_WIRE_NONE: the argument is the pointer. */
static const struct special {
	uint16_t event;
	struct aq_wire_fetch_row row;
} specials[] = {
#define ROW(event, arg, kind, key, len_arg, when, if_arg, value, deref)                                                \
	{ AQ_EV_##event,                                                                                               \
	  { (arg), AQ_WIRE_FETCH_##kind, AQ_ATTR_##key, (len_arg), (when), (if_arg), 0, (deref), (value) } },
#define NO AQ_WIRE_NONE
#define OK AQ_WIRE_WHEN_OK
#define FAILED AQ_WIRE_WHEN_FAILED
#define DNS AQ_WIRE_WHEN_DNS
	ROW(pipe, 0, FD_PAIR, FDS, NO, OK, NO, 0, NO)
	ROW(pipe2, 0, FD_PAIR, FDS, NO, OK, NO, 0, NO)
	ROW(socketpair, 3, FD_PAIR, FDS, NO, OK, NO, 0, NO)
	ROW(setns, 0, FD_NS, STRUCT, NO, 0, NO, 0, NO)
	ROW(execve, 1, STRVEC, ARGV, NO, FAILED, NO, 0, NO)
	ROW(execveat, 2, STRVEC, ARGV, NO, FAILED, NO, 0, NO)
	/* PR_SET_NAME, PR_GET_NAME, PR_SET_VMA */
	ROW(prctl, 1, STRING, NAME, NO, 0, 0, 15, NO)
	ROW(prctl, 1, STRING, NAME, NO, OK, 0, 16, NO)
	ROW(prctl, 4, STRING, NAME, NO, 0, 0, 0x53564d41, NO)
	/* KEYCTL_JOIN_SESSION_KEYRING, KEYCTL_SEARCH (type and description) */
	ROW(keyctl, 1, STRING, NAME, NO, 0, 0, 1, NO)
	ROW(keyctl, 2, STRING, TEXT, NO, 0, 0, 10, NO)
	ROW(keyctl, 3, STRING, NAME, NO, 0, 0, 10, NO)
	/* BPF_OBJ_PIN, BPF_OBJ_GET, BPF_RAW_TRACEPOINT_OPEN */
	ROW(bpf, 1, STRING, PATH, NO, 0, 0, 6, 0)
	ROW(bpf, 1, STRING, PATH, NO, 0, 0, 7, 0)
	ROW(bpf, 1, STRING, NAME, NO, 0, 0, 17, 0)
	/* FSCONFIG_SET_STRING, FSCONFIG_SET_PATH, FSCONFIG_SET_PATH_EMPTY */
	ROW(fsconfig, 3, STRING, OPTIONS, NO, 0, 1, 1, NO)
	ROW(fsconfig, 3, STRING, PATH, NO, 0, 1, 3, NO)
	ROW(fsconfig, 3, STRING, PATH, NO, 0, 1, 4, NO)
	/* LINUX_REBOOT_CMD_RESTART2 */
	ROW(reboot, 3, STRING, TEXT, NO, 0, 2, 0xa1b2c3d4, NO)
	ROW(sendmsg, 1, MSG_NAME, SOCKADDR, NO, 0, NO, 0, NO)
	ROW(sendmmsg, 1, MSG_NAME, SOCKADDR, NO, 0, NO, 0, NO)
	ROW(recvmsg, 1, MSG_NAME, SOCKADDR, NO, OK, NO, 0, NO)
	ROW(recvmmsg, 1, MSG_NAME, SOCKADDR, NO, OK, NO, 0, NO)
	ROW(recvmmsg_time64, 1, MSG_NAME, SOCKADDR, NO, OK, NO, 0, NO)
	ROW(read, 1, DATA, DATA, NO, DNS, NO, 0, NO)
	ROW(recv, 1, DATA, DATA, NO, DNS, NO, 0, NO)
	ROW(recvfrom, 1, DATA, DATA, NO, DNS, NO, 0, NO)
	ROW(recvmsg, 1, MSG_DATA, DATA, NO, DNS, NO, 0, NO)
	ROW(recvmmsg, 1, MMSG_DATA, DATA, NO, DNS, NO, 0, NO)
	ROW(recvmmsg_time64, 1, MMSG_DATA, DATA, NO, DNS, NO, 0, NO)
};

/* Where data is asked for: calls that move bytes, beyond those that have a row for answers of DNS servers anyway. */
static const struct special data_specials[] = {
	ROW(write, 1, DATA, DATA, NO, OK, NO, 0, NO)
	ROW(pread64, 1, DATA, DATA, NO, OK, NO, 0, NO)
	ROW(pwrite64, 1, DATA, DATA, NO, OK, NO, 0, NO)
	ROW(readv, 1, IOVEC_DATA, DATA, NO, OK, NO, 0, NO)
	ROW(writev, 1, IOVEC_DATA, DATA, NO, OK, NO, 0, NO)
	ROW(preadv, 1, IOVEC_DATA, DATA, NO, OK, NO, 0, NO)
	ROW(pwritev, 1, IOVEC_DATA, DATA, NO, OK, NO, 0, NO)
	ROW(preadv2, 1, IOVEC_DATA, DATA, NO, OK, NO, 0, NO)
	ROW(pwritev2, 1, IOVEC_DATA, DATA, NO, OK, NO, 0, NO)
	ROW(send, 1, DATA, DATA, NO, OK, NO, 0, NO)
	ROW(sendto, 1, DATA, DATA, NO, OK, NO, 0, NO)
	ROW(sendmsg, 1, MSG_DATA, DATA, NO, OK, NO, 0, NO)
	ROW(sendmmsg, 1, MMSG_DATA, DATA, NO, OK, NO, 0, NO)
#undef ROW
#undef NO
#undef OK
#undef FAILED
#undef DNS
};

static void add_fetch(struct aq_wire_call *call, const struct aq_wire_fetch_row *row)
{
	assert(call->attr_count < AQ_WIRE_FETCHES);
	call->attr[call->attr_count++] = *row;
}

/* What the type of an argument tells. Texts with their length beside them need no NUL. */
static void add_typed(const struct aq_event_schema *ev, unsigned i, struct aq_wire_call *call)
{
	const struct aq_arg_schema *arg = &ev->args[i];
	bool host_name = ev->id == AQ_EV_sethostname || ev->id == AQ_EV_setdomainname;
	struct aq_wire_fetch_row row = { .arg = (aq_u8)i, .key = (aq_u8)arg->attr, .len_arg = AQ_WIRE_NONE,
					 .if_arg = AQ_WIRE_NONE, .deref = AQ_WIRE_NONE };

	switch (arg->type) {
	case AQ_TYPE_STRING:
	case AQ_TYPE_PATH:
		row.kind = host_name ? AQ_WIRE_FETCH_TEXT : AQ_WIRE_FETCH_STRING;
		row.len_arg = host_name ? (aq_u8)(i + 1) : AQ_WIRE_NONE;
		break;
	case AQ_TYPE_STRVEC:
		row.kind = AQ_WIRE_FETCH_STRVEC;
		break;
	case AQ_TYPE_SOCKADDR:
		row.kind = fills_address(ev->id) ? AQ_WIRE_FETCH_SOCKADDR_OUT : AQ_WIRE_FETCH_SOCKADDR_IN;
		row.len_arg = (aq_u8)(i + 1);
		break;
	default:
		return;
	}
	add_fetch(call, &row);
}

static void add_structs(const struct aq_event_schema *ev, enum aq_abi abi, struct aq_wire_call *call)
{
	bool wide = abi != AQ_ABI_I386 && abi != AQ_ABI_ARM;

	if (ev->id == AQ_EV_setns) /* no structure of the user's */
		return;
	for (const struct aq_struct_row *s = aq_struct_next(ev->id, NULL); s != NULL; s = aq_struct_next(ev->id, s)) {
		const struct aq_wire_fetch_row row = {
			.arg = s->arg, .kind = AQ_WIRE_FETCH_STRUCT, .key = AQ_ATTR_STRUCT, .len_arg = s->size_arg,
			.when = s->when, .if_arg = AQ_WIRE_NONE, .deref = AQ_WIRE_NONE, .size = wide ? s->size : s->size32,
		};

		add_fetch(call, &row);
	}
}

static void fill_call(const struct aq_event_schema *ev, enum aq_abi abi, struct aq_wire_call *call)
{
	call->event = ev->id;
	call->cls = (aq_u8)ev->cls;
	if (returns_file(ev->id))
		call->flags |= AQ_WIRE_CALL_RET_FD;
	if (wants_socket(ev->id))
		call->flags |= AQ_WIRE_CALL_SOCK_FD;
	if (wants_path(ev->id))
		call->flags |= AQ_WIRE_CALL_ARG_FD;
	if (ev->id == AQ_EV_read || ev->id == AQ_EV_recv)
		call->flags |= AQ_WIRE_CALL_DNS_ONLY;
	for (unsigned i = 0; i < ev->arg_count && i < AQ_WIRE_ARGS; i++)
		add_typed(ev, i, call);
	add_structs(ev, abi, call);
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++)
		if (specials[i].event == ev->id)
			add_fetch(call, &specials[i].row);
}

void aq_calls_want_data(struct aq_wire_call rows[AQ_WIRE_NR_MAX])
{
	for (uint32_t nr = 0; nr < AQ_WIRE_NR_MAX; nr++) {
		rows[nr].flags &= (aq_u8)~AQ_WIRE_CALL_DNS_ONLY;
		for (size_t i = 0; i < sizeof(data_specials) / sizeof(data_specials[0]); i++)
			if (rows[nr].event != 0 && data_specials[i].event == rows[nr].event)
				add_fetch(&rows[nr], &data_specials[i].row);
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
		fill_call(ev, abi, &rows[nr]);
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
