/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns the .def tables into constant data and looks things up in it. How values print is in format.c.
 * No system header with syscall, flag or errno macros may be included here: the tables use those words as names.
 */
#include "format/schema/schema.h"

#include <string.h>

/* sets of names */
#define B(name, value) { (value), (value), #name }
#define M(name, value, mask) { (value), (mask), #name }
#define AQ_FLAGS(set, ...) static const struct aq_flag_name names_##set[] = { __VA_ARGS__ };
#define AQ_ENUM(set, ...) AQ_FLAGS(set, __VA_ARGS__)
#include "flags.def"
#undef AQ_FLAGS
#undef AQ_ENUM
#define AQ_SET_(set, enumeration)                                                                                      \
	static const struct aq_flag_set set_##set = { #set, names_##set, sizeof(names_##set) / sizeof(names_##set[0]), \
						      enumeration };
#define AQ_FLAGS(set, ...) AQ_SET_(set, false)
#define AQ_ENUM(set, ...) AQ_SET_(set, true)
#include "flags.def"
#undef AQ_FLAGS
#undef AQ_ENUM
#undef B
#undef M
static const struct aq_flag_set *const flag_sets[] = {
#define AQ_FLAGS(set, ...) &set_##set,
#define AQ_ENUM(set, ...) &set_##set,
#include "flags.def"
#undef AQ_FLAGS
#undef AQ_ENUM
};

/* arguments: an array per row, closed by an empty element so that a row without arguments is one too */
#define A(name, type) { #name, AQ_TYPE_##type, NULL, 0 }
#define AF(name, type, set) { #name, AQ_TYPE_##type, &set_##set, 0 }
#define AP(name, type, key) { #name, AQ_TYPE_##type, NULL, AQ_ATTR_##key }
#define AQ_SYSCALL(id, name, x86_64, i386, arm64, arm, cls, cat, ret, doc, ...)                                        \
	static const struct aq_arg_schema args_##name[] = { __VA_ARGS__ __VA_OPT__(, ) { NULL, 0, NULL, 0 } };           \
	_Static_assert((id) > 0 && (id) < AQ_EVENT_ID_STATE, "id of " #name);                                           \
	_Static_assert(sizeof(args_##name) / sizeof(args_##name[0]) - 1 <= AQ_EVENT_MAX_ARGS, "arguments of " #name);
#include "syscalls.def"
#undef AQ_SYSCALL
/* numeric arguments come first: those with an attribute behind them are counted out of arg_count for state events */
#define AQ_STATE_EVENT(id, name, cls, doc, ...)                                                                        \
	static const struct aq_arg_schema args_##name[] = { __VA_ARGS__ __VA_OPT__(, ) { NULL, 0, NULL, 0 } };           \
	_Static_assert((id) >= AQ_EVENT_ID_STATE && (id) < AQ_EVENT_ID_MAX, "id of " #name);                            \
	_Static_assert(sizeof(args_##name) / sizeof(args_##name[0]) - 1 <= AQ_EVENT_MAX_ARGS + AQ_EVENT_MAX_ATTRS,      \
		       "arguments of " #name);
#include "events.def"
#undef AQ_STATE_EVENT

/* rows by id */
static const struct aq_event_schema rows[AQ_EVENT_ID_MAX] = {
#define AQ_SYSCALL(id, name, x86_64, i386, arm64, arm, cls, cat, ret, doc, ...)                                        \
	[id] = { id, #name, AQ_CLASS_##cls, AQ_CAT_##cat, AQ_TYPE_##ret,                                                \
		 sizeof(args_##name) / sizeof(args_##name[0]) - 1, args_##name, doc },
#include "syscalls.def"
#undef AQ_SYSCALL
#define AQ_STATE_EVENT(id, name, cls, doc, ...)                                                                        \
	[id] = { id, #name, AQ_CLASS_##cls, AQ_CAT_STATE, AQ_TYPE_NONE,                                                 \
		 sizeof(args_##name) / sizeof(args_##name[0]) - 1, args_##name, doc },
#include "events.def"
#undef AQ_STATE_EVENT
};
#undef A
#undef AF
#undef AP

enum { NR_MAX = 1024, ARM_PRIVATE = 0xf0000 };

struct numbers {
	int nr[4]; /* x86_64, i386, arm64, arm */
};
static const struct numbers numbers[AQ_EVENT_ID_STATE] = {
#define AQ_SYSCALL(id, name, x86_64, i386, arm64, arm, cls, cat, ret, doc, ...)                                        \
	[id] = { { (x86_64) + 1, (i386) + 1, (arm64) + 1, (arm) + 1 } }, /* +1: 0 is "none", also for holes */
#include "syscalls.def"
#undef AQ_SYSCALL
};

/*
 * Never called: an id that is given twice, or a number that two calls of one ABI have, is a case label given twice and
 * does not compile. A call that an ABI does not have counts as a negative number of its own.
 */
#define AQ_UNIQUE_NR_(nr, id) case (nr) < 0 ? -(id) : (nr):
__attribute__((unused)) static void ids_and_numbers_are_unique(int value)
{
	switch (value) {
#define AQ_SYSCALL(id, ...) case id:
#define AQ_STATE_EVENT(id, ...) case id:
#include "syscalls.def"
#include "events.def"
#undef AQ_SYSCALL
#undef AQ_STATE_EVENT
		break;
	}
	switch (value) {
#define AQ_SYSCALL(id, name, x86_64, i386, arm64, arm, ...) AQ_UNIQUE_NR_(x86_64, id)
#include "syscalls.def"
#undef AQ_SYSCALL
		break;
	}
	switch (value) {
#define AQ_SYSCALL(id, name, x86_64, i386, arm64, arm, ...) AQ_UNIQUE_NR_(i386, id)
#include "syscalls.def"
#undef AQ_SYSCALL
		break;
	}
	switch (value) {
#define AQ_SYSCALL(id, name, x86_64, i386, arm64, arm, ...) AQ_UNIQUE_NR_(arm64, id)
#include "syscalls.def"
#undef AQ_SYSCALL
		break;
	}
	switch (value) {
#define AQ_SYSCALL(id, name, x86_64, i386, arm64, arm, ...) AQ_UNIQUE_NR_(arm, id)
#include "syscalls.def"
#undef AQ_SYSCALL
		break;
	}
}

/* by number: index nr + 1, so that "no such call" (-1) lands on the unused first element */
#define AQ_NR_INDEX(nr) ((nr) < 0 ? 0 : (nr) < NR_MAX ? (nr) + 1 : 0)
#define AQ_NR_TABLE(table) static const uint16_t table[NR_MAX + 1] = {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif
AQ_NR_TABLE(by_x86_64)
#define AQ_SYSCALL(id, name, x86_64, i386, arm64, arm, ...) [AQ_NR_INDEX(x86_64)] = id,
#include "syscalls.def"
#undef AQ_SYSCALL
};
AQ_NR_TABLE(by_i386)
#define AQ_SYSCALL(id, name, x86_64, i386, arm64, arm, ...) [AQ_NR_INDEX(i386)] = id,
#include "syscalls.def"
#undef AQ_SYSCALL
};
AQ_NR_TABLE(by_arm64)
#define AQ_SYSCALL(id, name, x86_64, i386, arm64, arm, ...) [AQ_NR_INDEX(arm64)] = id,
#include "syscalls.def"
#undef AQ_SYSCALL
};
AQ_NR_TABLE(by_arm)
#define AQ_SYSCALL(id, name, x86_64, i386, arm64, arm, ...) [AQ_NR_INDEX(arm)] = id,
#include "syscalls.def"
#undef AQ_SYSCALL
};
#pragma GCC diagnostic pop

/* x32 has the x86-64 numbers but for these, from 512 on; their x86-64 numbers it does not have */
static const uint16_t by_x32[] = {
	AQ_EV_rt_sigaction, AQ_EV_rt_sigreturn, AQ_EV_ioctl, AQ_EV_readv, AQ_EV_writev, AQ_EV_recvfrom, AQ_EV_sendmsg,
	AQ_EV_recvmsg, AQ_EV_execve, AQ_EV_ptrace, AQ_EV_rt_sigpending, AQ_EV_rt_sigtimedwait, AQ_EV_rt_sigqueueinfo,
	AQ_EV_sigaltstack, AQ_EV_timer_create, AQ_EV_mq_notify, AQ_EV_kexec_load, AQ_EV_waitid, AQ_EV_set_robust_list,
	AQ_EV_get_robust_list, AQ_EV_vmsplice, AQ_EV_move_pages, AQ_EV_preadv, AQ_EV_pwritev, AQ_EV_rt_tgsigqueueinfo,
	AQ_EV_recvmmsg, AQ_EV_sendmmsg, AQ_EV_process_vm_readv, AQ_EV_process_vm_writev, AQ_EV_setsockopt,
	AQ_EV_getsockopt, AQ_EV_io_setup, AQ_EV_io_submit, AQ_EV_execveat, AQ_EV_preadv2, AQ_EV_pwritev2,
};
enum { X32_FIRST = 512, X32_COUNT = sizeof(by_x32) / sizeof(by_x32[0]), X32_BIT = 0x40000000 };

/* What only 64-bit programs have: retired before x32 came, or bound to the other width. */
static bool is_64_only(uint16_t id)
{
	switch (id) {
	case AQ_EV_uselib:
	case AQ_EV__sysctl:
	case AQ_EV_create_module:
	case AQ_EV_get_kernel_syms:
	case AQ_EV_query_module:
	case AQ_EV_nfsservctl:
	case AQ_EV_set_thread_area:
	case AQ_EV_get_thread_area:
	case AQ_EV_epoll_ctl_old:
	case AQ_EV_epoll_wait_old:
	case AQ_EV_vserver:
	case AQ_EV_uretprobe:
	case AQ_EV_uprobe:
		return true;
	default:
		return false;
	}
}

static int x32_number(uint16_t id)
{
	for (unsigned i = 0; i < X32_COUNT; i++)
		if (by_x32[i] == id)
			return X32_BIT | (int)(X32_FIRST + i);
	return numbers[id].nr[0] && !is_64_only(id) ? X32_BIT | (numbers[id].nr[0] - 1) : -1;
}

const struct aq_event_schema *aq_schema_event(uint32_t id)
{
	return id < AQ_EVENT_ID_MAX && rows[id].name ? &rows[id] : NULL;
}

unsigned aq_schema_number_count(const struct aq_event_schema *ev)
{
	unsigned count = 0;
	while (count < ev->arg_count && (ev->id < AQ_EVENT_ID_STATE || ev->args[count].attr == 0))
		count++;
	return count;
}

const struct aq_event_schema *aq_schema_next(uint32_t id)
{
	while (id < AQ_EVENT_ID_MAX - 1)
		if (rows[++id].name)
			return &rows[id];
	return NULL;
}

const struct aq_event_schema *aq_schema_event_by_name(const char *name)
{
	/* names are looked up while an expression is compiled, not per event: a scan of 500 rows will do */
	for (uint32_t id = 0; id < AQ_EVENT_ID_MAX; id++)
		if (rows[id].name && strcmp(rows[id].name, name) == 0)
			return &rows[id];
	return NULL;
}

static uint16_t by_number(const uint16_t table[NR_MAX + 1], uint32_t nr)
{
	return nr < NR_MAX ? table[nr + 1] : 0;
}

uint16_t aq_schema_syscall_id(enum aq_abi abi, uint32_t nr)
{
	uint16_t x32;

	switch (abi) {
	case AQ_ABI_X86_64:
		return by_number(by_x86_64, nr);
	case AQ_ABI_I386:
		return by_number(by_i386, nr);
	case AQ_ABI_X32:
		nr &= ~(uint32_t)X32_BIT;
		if (nr >= X32_FIRST && nr < X32_FIRST + X32_COUNT)
			return by_x32[nr - X32_FIRST];
		x32 = by_number(by_x86_64, nr);
		return x32 && x32_number(x32) == (int)(X32_BIT | nr) ? x32 : 0;
	case AQ_ABI_ARM64:
		return by_number(by_arm64, nr);
	case AQ_ABI_ARM:
		if (nr >= ARM_PRIVATE)
			break;
		return by_number(by_arm, nr);
	case AQ_ABI_COUNT:
		break;
	}
	if (abi == AQ_ABI_ARM) /* the few private calls lie far beyond the table */
		for (uint16_t id = 1; id < AQ_EVENT_ID_STATE; id++)
			if (numbers[id].nr[3] == (int)nr + 1)
				return id;
	return 0;
}

int aq_schema_syscall_nr(enum aq_abi abi, uint16_t id)
{
	if (id >= AQ_EVENT_ID_STATE)
		return -1;
	switch (abi) {
	case AQ_ABI_X86_64:
		return numbers[id].nr[0] - 1;
	case AQ_ABI_I386:
		return numbers[id].nr[1] - 1;
	case AQ_ABI_ARM64:
		return numbers[id].nr[2] - 1;
	case AQ_ABI_ARM:
		return numbers[id].nr[3] - 1;
	case AQ_ABI_X32:
		return x32_number(id);
	case AQ_ABI_COUNT:
		break;
	}
	return -1;
}

const struct aq_flag_set *aq_flag_set_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(flag_sets) / sizeof(flag_sets[0]); i++)
		if (strcmp(flag_sets[i]->name, name) == 0)
			return flag_sets[i];
	return NULL;
}

/* Where ARM gives the bits other meanings. */
static const struct {
	const struct aq_flag_set *x86, *arm;
	bool both_widths;
} arm_sets[] = {
	{ &set_open_flags, &set_open_flags_arm, true },
	{ &set_pipe_flags, &set_pipe_flags_arm, true },
	{ &set_mmap_prot, &set_mmap_prot_arm64, false },
};

const struct aq_flag_set *aq_schema_arg_flags(const struct aq_event_schema *ev, unsigned arg, enum aq_abi abi)
{
	const struct aq_flag_set *set = arg < ev->arg_count ? ev->args[arg].flags : NULL;

	if (abi != AQ_ABI_ARM64 && abi != AQ_ABI_ARM)
		return set;
	for (size_t i = 0; i < sizeof(arm_sets) / sizeof(arm_sets[0]); i++)
		if (arm_sets[i].x86 == set && (abi == AQ_ABI_ARM64 || arm_sets[i].both_widths))
			return arm_sets[i].arm;
	return set;
}
