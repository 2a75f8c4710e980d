/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_schema */
/* The tables against the headers of the system they describe, against themselves, and how values print. */

#include "format/schema/schema.h"
#include "tests/unit/aq_test.h"

#include <linux/version.h>
#include <stdlib.h>

enum { LAST = 469, X32_FIRST = 512 }; /* of the calls that all ABIs share; headers newer than the table have more */

/* How a header gives numbers, and what it calls otherwise than the table. */
struct header {
	const char *path;
	enum aq_abi abi;
	const char *before, *between; /* what stands before the name, and between it and the number */
	const char *const *aliases; /* its name, ours, …, NULL; ours "": not a call of this ABI */
};

static const char *ours(const struct header *h, const char *name)
{
	for (unsigned i = 0; h->aliases[i]; i += 2)
		if (strcmp(h->aliases[i], name) == 0)
			return h->aliases[i + 1];
	return name;
}

/* Every call of a system header must be in the table by that number and name. */
static bool split_line(const struct header *h, char *line, const char **ret_name, unsigned *ret_number)
{
	size_t before = strlen(h->before), between = strlen(h->between);
	char *end = strncmp(line, h->before, before) == 0 ? strstr(line + before, h->between) : NULL, *after;

	if (!end)
		return false;
	unsigned long number = strtoul(end + between, &after, 10);
	if (after == end + between || number > UINT32_MAX)
		return false;
	*end = '\0';
	*ret_name = line + before;
	*ret_number = (unsigned)number;
	return true;
}

static unsigned check_header(const struct header *h)
{
	FILE *f = fopen(h->path, "re");
	const char *name;
	char line[256];
	unsigned number, checked = 0;

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (!split_line(h, line, &name, &number) || !*ours(h, name) || (number > LAST && number < X32_FIRST))
			continue;
		const struct aq_event_schema *ev = aq_schema_event(aq_schema_syscall_id(h->abi, number));
		if (!ev || strcmp(ev->name, ours(h, name)) != 0)
			AQ_TEST_FAIL_("%s: %s is %u there, %s here", h->path, name, number, ev ? ev->name : "nothing");
		if (ev)
			AQ_CHECK_EQ_INT(aq_schema_syscall_nr(h->abi, ev->id),
					(h->abi == AQ_ABI_X32 ? 0x40000000 : 0) | number);
		checked++;
	}
	fclose(f);
	return checked;
}

AQ_TEST(numbers_of_the_system_headers)
{
	static const char *const none[] = { NULL };
	static const char *const i386[] = { "select", "old_select", "mmap", "old_mmap", "readahead", "readahead_32",
		"fadvise64", "fadvise64_32", "sync_file_range", "sync_file_range_32", "fallocate", "fallocate_32",
		"fanotify_mark", "fanotify_mark_32", NULL };
	static const char *const arm[] = { "sync_file_range2", "arm_sync_file_range", "fallocate", "fallocate_32",
		"fanotify_mark", "fanotify_mark_32", NULL };
	/* the generic header is for both widths: these are of the other one, or of no call */
	static const char *const generic[] = { "arch_specific_syscall", "", "syscalls", "", "sync_file_range2", "",
		"clock_gettime64", "",
		"clock_settime64", "", "clock_adjtime64", "", "clock_getres_time64", "", "clock_nanosleep_time64", "",
		"timer_gettime64", "", "timer_settime64", "", "timerfd_gettime64", "", "timerfd_settime64", "",
		"utimensat_time64", "", "pselect6_time64", "", "ppoll_time64", "", "io_pgetevents_time64", "",
		"recvmmsg_time64", "", "mq_timedsend_time64", "", "mq_timedreceive_time64", "", "semtimedop_time64", "",
		"rt_sigtimedwait_time64", "", "futex_time64", "", "sched_rr_get_interval_time64", "", NULL };
	static const char *const generic_3264[] = { "fstatat", "newfstatat", "stat", "", "lstat", "", NULL };
	static const struct header headers[] = {
		{ "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", AQ_ABI_X86_64, "#define __NR_", " ", none },
		{ "/usr/include/x86_64-linux-gnu/asm/unistd_32.h", AQ_ABI_I386, "#define __NR_", " ", i386 },
		{ "/usr/include/x86_64-linux-gnu/asm/unistd_x32.h", AQ_ABI_X32, "#define __NR_",
		  " (__X32_SYSCALL_BIT + ", none },
		{ "/usr/include/asm-generic/unistd.h", AQ_ABI_ARM64, "#define __NR_", " ", generic },
		{ "/usr/include/asm-generic/unistd.h", AQ_ABI_ARM64, "#define __NR3264_", " ", generic_3264 },
		{ "/usr/arm-linux-gnueabihf/include/asm/unistd-eabi.h", AQ_ABI_ARM, "#define __NR_",
		  " (__NR_SYSCALL_BASE + ", arm },
	};
	unsigned total = 0;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		unsigned n = check_header(&headers[i]);
		printf("  %u calls in \"%s\"\n", n, headers[i].path);
		total += n;
	}
	if (total == 0)
		AQ_SKIP("the system's headers are not installed");
}

/* From 424 on all tables go by the same numbers: each is a call everywhere, up to the last. */
AQ_TEST(calls_newer_than_the_headers)
{
	static const char *const names[] = { "cachestat", "fchmodat2", "map_shadow_stack", "futex_wake", "futex_wait",
		"futex_requeue", "statmount", "listmount", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules",
		"mseal", "setxattrat", "getxattrat", "listxattrat", "removexattrat", "open_tree_attr", "file_getattr",
		"file_setattr" };
	enum { FIRST = 451, COUNT = sizeof(names) / sizeof(names[0]) };

	AQ_CHECK_EQ_INT(FIRST + COUNT - 1, LAST);
	for (unsigned i = 0; i < COUNT; i++) {
		const struct aq_event_schema *ev = aq_schema_event_by_name(names[i]);
		AQ_REQUIRE(ev != NULL);
		for (unsigned abi = 0; abi < AQ_ABI_COUNT; abi++)
			AQ_CHECK_EQ_INT(aq_schema_syscall_id(abi, FIRST + i), ev->id);
	}
	for (unsigned abi = 0; abi < AQ_ABI_COUNT; abi++) {
		for (unsigned nr = 424; nr < FIRST; nr++)
			AQ_CHECK((aq_schema_syscall_id(abi, nr) != 0) == (abi != AQ_ABI_ARM || nr != 447));
		AQ_CHECK_EQ_INT(aq_schema_syscall_id(abi, FIRST + COUNT), 0);
	}
	for (unsigned nr = 0; nr <= 336; nr++)
		AQ_CHECK(aq_schema_syscall_id(AQ_ABI_X86_64, nr) == nr + 1); /* no hole, and the ids that captures have */
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_X86_64, 335), AQ_EV_uretprobe);
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_X86_64, 336), AQ_EV_uprobe);
}

AQ_TEST(rows_per_abi)
{
	static const unsigned expected[AQ_ABI_COUNT] = { 383, 459, 370, 325, 428 };
	for (unsigned abi = 0; abi < AQ_ABI_COUNT; abi++) {
		unsigned n = 0;
		for (const struct aq_event_schema *ev = aq_schema_next(0); ev; ev = aq_schema_next(ev->id))
			n += aq_schema_syscall_nr(abi, ev->id) >= 0;
		printf("  %s has %u calls\n", aq_abi_name(abi), n);
		AQ_CHECK_EQ_INT(n, expected[abi]);
	}
}

static void check_set(const struct aq_arg_schema *a)
{
	const struct aq_flag_set *set = a->flags;

	AQ_CHECK(aq_flag_set_by_name(set->name) == set && set->count > 0);
	AQ_CHECK(set->is_enum == (a->type == AQ_TYPE_ENUM));
	for (uint32_t i = 0; i < set->count; i++) {
		const struct aq_flag_name *f = &set->names[i];
		if ((f->value & ~f->mask) || (!set->is_enum && !f->mask))
			AQ_TEST_FAIL_("%s of %s never applies or always", f->name, set->name);
		for (uint32_t k = 0; k < i; k++) {
			const struct aq_flag_name *g = &set->names[k];
			if (strcmp(g->name, f->name) == 0 || (g->value == f->value && g->mask == f->mask))
				AQ_TEST_FAIL_("%s and %s of %s are the same", g->name, f->name, set->name);
			/* a name of several bits hides those of its bits that come after it, never the other way round */
			if (g->mask == g->value && f->mask == f->value && f->value != g->value &&
			    (f->value & g->value) == g->value && !set->is_enum)
				AQ_TEST_FAIL_("%s of %s must come before %s", f->name, set->name, g->name);
		}
	}
}

AQ_TEST(rows_are_sound)
{
	unsigned rows = 0;
	for (const struct aq_event_schema *ev = aq_schema_next(0); ev; ev = aq_schema_next(ev->id)) {
		rows++;
		AQ_CHECK(aq_schema_event(ev->id) == ev);
		AQ_CHECK(aq_schema_event_by_name(ev->name) == ev); /* names are unique */
		AQ_CHECK(ev->doc && *ev->doc && ev->cls < AQ_CLASS_COUNT && ev->category < AQ_CAT_COUNT);
		unsigned numbers = aq_schema_number_count(ev);
		AQ_CHECK(numbers <= AQ_EVENT_MAX_ARGS);
		for (unsigned i = 0; i < ev->arg_count; i++) {
			const struct aq_arg_schema *a = &ev->args[i];
			bool named = a->type == AQ_TYPE_FLAGS || a->type == AQ_TYPE_ENUM;
			bool text = a->type == AQ_TYPE_PATH || a->type == AQ_TYPE_STRING || a->type == AQ_TYPE_STRVEC ||
				    a->type == AQ_TYPE_SOCKADDR;
			AQ_CHECK(a->name && (a->flags != NULL) == named);
			AQ_CHECK((a->attr != 0) == text && (!text || aq_attr_name(a->attr) != NULL));
			for (unsigned k = 0; k < i; k++) {
				AQ_CHECK(strcmp(ev->args[k].name, a->name) != 0);
				AQ_CHECK(!a->attr || ev->args[k].attr != a->attr);
			}
			if (a->flags)
				check_set(a);
			if (ev->id >= AQ_EVENT_ID_STATE)
				AQ_CHECK((a->attr != 0) == (i >= numbers)); /* numbers first, attributes last */
		}
	}
	AQ_CHECK(rows > 480);
	AQ_CHECK(aq_schema_event(0) == NULL && aq_schema_event(AQ_EVENT_ID_MAX) == NULL && aq_schema_event(UINT32_MAX) == NULL);
	AQ_CHECK(aq_schema_next(UINT32_MAX) == NULL && aq_schema_next(AQ_EVENT_ID_MAX) == NULL);
	AQ_CHECK(aq_schema_event_by_name("") == NULL && aq_flag_set_by_name("") == NULL);
}

AQ_TEST(no_number_twice)
{
	for (unsigned abi = 0; abi < AQ_ABI_COUNT; abi++) {
		if (abi == AQ_ABI_X32)
			continue;
		for (const struct aq_event_schema *ev = aq_schema_next(0); ev; ev = aq_schema_next(ev->id)) {
			int nr = aq_schema_syscall_nr(abi, ev->id);
			if (nr >= 0)
				AQ_CHECK_EQ_INT(aq_schema_syscall_id(abi, (uint32_t)nr), ev->id);
		}
	}
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_X86_64, 1023), 0);
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_X86_64, UINT32_MAX), 0);
}

AQ_TEST(abis_differ)
{
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_X86_64, 20), AQ_EV_writev);
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_I386, 20), AQ_EV_getpid);
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_X32, 0x40000000 | 520), AQ_EV_execve);
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_X32, 0x40000000 | 0), AQ_EV_read);
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_X32, 0x40000000 | 59), 0); /* execve of 64-bit programs */
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_X32, 0x40000000 | 335), 0);
	AQ_CHECK_EQ_INT(aq_schema_syscall_nr(AQ_ABI_X32, AQ_EV_uselib), -1);
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_ARM64, 221), AQ_EV_execve);
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_ARM, 0xf0005), AQ_EV_set_tls);
}

static const struct aq_flag_set *flags_of(uint16_t id, const char *arg, enum aq_abi abi)
{
	const struct aq_event_schema *ev = aq_schema_event(id);
	for (unsigned i = 0; i < ev->arg_count; i++)
		if (strcmp(ev->args[i].name, arg) == 0)
			return aq_schema_arg_flags(ev, i, abi);
	return NULL;
}

AQ_TEST(abis_give_bits_other_meanings)
{
	const struct aq_flag_set *arm = aq_flag_set_by_name("open_flags_arm"), *x86 = aq_flag_set_by_name("open_flags");

	AQ_CHECK(flags_of(AQ_EV_openat, "flags", AQ_ABI_X86_64) == x86 && flags_of(AQ_EV_openat, "flags", AQ_ABI_I386) == x86);
	AQ_CHECK(flags_of(AQ_EV_openat, "flags", AQ_ABI_ARM64) == arm && flags_of(AQ_EV_open, "flags", AQ_ABI_ARM) == arm);
	AQ_CHECK_EQ_STR(flags_of(AQ_EV_pipe2, "flags", AQ_ABI_ARM)->name, "pipe_flags_arm");
	AQ_CHECK_EQ_STR(flags_of(AQ_EV_mprotect, "prot", AQ_ABI_ARM64)->name, "mmap_prot_arm64");
	AQ_CHECK_EQ_STR(flags_of(AQ_EV_mprotect, "prot", AQ_ABI_ARM)->name, "mmap_prot");
	AQ_CHECK(flags_of(AQ_EV_mount, "flags", AQ_ABI_ARM64) == flags_of(AQ_EV_mount, "flags", AQ_ABI_X86_64));
	AQ_CHECK(aq_schema_arg_flags(aq_schema_event(AQ_EV_openat), 99, AQ_ABI_ARM64) == NULL);
}

/*
 * Every "#define NAME number" of a header whose name starts so must be in the set by that value. Headers newer than those
 * that the sets were compared with may have names that the sets lack.
 */
static void check_names(const char *path, const char *prefix, const char *set_name, const char *const *but)
{
	const struct aq_flag_set *set = aq_flag_set_by_name(set_name);
	FILE *f = fopen(path, "re");
	char line[256], name[128], number[64], *end;

	AQ_CHECK(set != NULL);
	while (f && set && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "#define %127s %63s", name, number) != 2 || strncmp(name, prefix, strlen(prefix)) != 0)
			continue;
		uint64_t value = strtoull(number, &end, 0);
		bool found = end == number || strspn(end, "UL") != strlen(end); /* no plain number */
		for (unsigned i = 0; but[i]; i++)
			found = found || strcmp(but[i], name) == 0;
		bool known = LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0);
		for (uint32_t i = 0; i < set->count; i++) {
			bool same = strcmp(set->names[i].name, name) == 0;
			known = known || same;
			found = found || (same && set->names[i].value == value);
		}
		if (!found && known)
			AQ_TEST_FAIL_("%s is %s in \"%s\", but not in %s", name, number, path, set_name);
	}
	if (f)
		fclose(f);
}

AQ_TEST(names_of_the_system_headers)
{
	static const char *const none[] = { NULL };
	static const char *const clone[] = { "CLONE_ARGS_SIZE_VER0", "CLONE_ARGS_SIZE_VER1", "CLONE_ARGS_SIZE_VER2", NULL };
	static const char *const move[] = { "MOVE_MOUNT__MASK", NULL };
	static const char *const attr[] = { "MOUNT_ATTR__ATIME", "MOUNT_ATTR_RELATIME", "MOUNT_ATTR_SIZE_VER0", NULL };
	static const char *const statx[] = { "STATX__RESERVED", "STATX_ALL", NULL };
	static const char *const madv[] = { "MADV_SOFT_OFFLINE", NULL };
	static const char *const in[] = { "IN_CLOEXEC", "IN_NONBLOCK", NULL };

	check_names("/usr/include/linux/prctl.h", "PR_", "prctl_option", none);
	check_names("/usr/include/linux/sched.h", "CLONE_", "clone_flags", clone);
	check_names("/usr/include/linux/mount.h", "MOVE_MOUNT_", "move_mount_flags", move);
	check_names("/usr/include/linux/mount.h", "MOUNT_ATTR_", "mount_attr", attr);
	check_names("/usr/include/linux/mount.h", "FSPICK_", "fspick_flags", none);
	check_names("/usr/include/linux/inotify.h", "IN_", "inotify_mask", in);
	check_names("/usr/include/linux/fanotify.h", "FAN_REPORT_", "fanotify_init_flags", none);
	check_names("/usr/include/linux/fanotify.h", "FAN_MARK_", "fanotify_mark_flags",
		    (const char *const[]){ "FAN_MARK_INODE", NULL });
	check_names("/usr/include/linux/falloc.h", "FALLOC_FL_", "fallocate_mode", none);
	check_names("/usr/include/asm-generic/mman-common.h", "MADV_", "madvise", madv);
	check_names("/usr/include/asm-generic/mman-common.h", "PROT_", "mmap_prot", none);
	check_names("/usr/include/linux/ptrace.h", "PTRACE_",  "ptrace_request",
		    (const char *const[]){ "PTRACE_EVENT_FORK", "PTRACE_EVENT_VFORK", "PTRACE_EVENT_CLONE", "PTRACE_EVENT_EXEC",
					   "PTRACE_EVENT_VFORK_DONE", "PTRACE_EVENT_EXIT", "PTRACE_EVENT_SECCOMP",
					   "PTRACE_EVENT_STOP", "PTRACE_O_TRACESYSGOOD", "PTRACE_SYSCALL_INFO_NONE",
					   "PTRACE_SYSCALL_INFO_ENTRY", "PTRACE_SYSCALL_INFO_EXIT",
					   "PTRACE_SYSCALL_INFO_SECCOMP", "PTRACE_EVENTMSG_SYSCALL_ENTRY",
					   "PTRACE_EVENTMSG_SYSCALL_EXIT", NULL });
	check_names("/usr/include/linux/stat.h", "STATX_",
		    "statx_mask", (const char *const[]){ statx[0], statx[1], "STATX_ATTR_COMPRESSED", "STATX_ATTR_IMMUTABLE",
		    "STATX_ATTR_APPEND", "STATX_ATTR_NODUMP", "STATX_ATTR_ENCRYPTED", "STATX_ATTR_AUTOMOUNT",
		    "STATX_ATTR_MOUNT_ROOT", "STATX_ATTR_VERITY", "STATX_ATTR_DAX", NULL });
}

static void check_value(enum aq_type type, const char *set, uint64_t value, const char *expected)
{
	char text[256];
	size_t n = aq_format_value(type, set ? aq_flag_set_by_name(set) : NULL, value, text, sizeof(text));
	AQ_CHECK_EQ_STR(text, expected);
	AQ_CHECK_EQ_INT(n, strlen(expected));
}

AQ_TEST(values_print_by_name)
{
	check_value(AQ_TYPE_FLAGS, "open_flags", 02000000, "O_CLOEXEC|O_RDONLY");
	check_value(AQ_TYPE_FLAGS, "open_flags", 02000001, "O_CLOEXEC|O_WRONLY");
	check_value(AQ_TYPE_FLAGS, "open_flags", 020200002, "O_TMPFILE|O_RDWR");
	check_value(AQ_TYPE_FLAGS, "open_flags_arm", 040000, "O_DIRECTORY|O_RDONLY");
	check_value(AQ_TYPE_FLAGS, "mmap_prot", 5, "PROT_READ|PROT_EXEC");
	check_value(AQ_TYPE_FLAGS, "mmap_prot", 0, "PROT_NONE");
	check_value(AQ_TYPE_FLAGS, "mremap_flags", 0, "0");
	check_value(AQ_TYPE_FLAGS, "mmap_flags", 0x22, "MAP_PRIVATE|MAP_ANONYMOUS");
	check_value(AQ_TYPE_FLAGS, "mmap_prot", 0x40000001, "PROT_READ|0x40000000");
	check_value(AQ_TYPE_FLAGS, "clone_flags", 17, "SIGCHLD");
	check_value(AQ_TYPE_FLAGS, "socket_type", 02000001, "SOCK_CLOEXEC|SOCK_STREAM");
	check_value(AQ_TYPE_ENUM, "fcntl_cmd", 1030, "F_DUPFD_CLOEXEC");
	check_value(AQ_TYPE_ENUM, "socket_domain", 10, "AF_INET6");
	check_value(AQ_TYPE_ENUM, "socket_domain", 999, "999");
	check_value(AQ_TYPE_ENUM, "socket_domain", UINT32_MAX, "-1");
	check_value(AQ_TYPE_ENUM, "socket_domain", UINT64_MAX, "-1");
	check_value(AQ_TYPE_ENUM, "rusage_who", UINT64_MAX, "RUSAGE_CHILDREN");
	check_value(AQ_TYPE_ENUM, "reboot_cmd", 0xfee1deadull, "0xfee1dead");
	check_value(AQ_TYPE_ENUM, "prctl_option", 1, "PR_SET_PDEATHSIG");
	check_value(AQ_TYPE_FLAGS, "inotify_mask", 0xffffffff80000002ull, "IN_MODIFY|IN_ONESHOT"); /* an int, sign extended */
	check_value(AQ_TYPE_FLAGS, "sched_policy", 0x40000001, "SCHED_RESET_ON_FORK|SCHED_FIFO");
	check_value(AQ_TYPE_FLAGS, "shm_cmd", 0x100, "IPC_64|IPC_RMID");
	check_value(AQ_TYPE_FLAGS, "memfd_flags", 0x54000005, "MFD_CLOEXEC|MFD_HUGETLB|MFD_HUGE_2MB");
	check_value(AQ_TYPE_FLAGS, "personality", UINT32_MAX, "0xffffffff");
	check_value(AQ_TYPE_FLAGS, "personality", 0x40000, "ADDR_NO_RANDOMIZE|PER_LINUX");
	check_value(AQ_TYPE_FLAGS, "quota_cmd", 0xffffffff80000701ull, "Q_GETQUOTA|GRPQUOTA");
	check_value(AQ_TYPE_FLAGS, "fanotify_mark_flags", 0x111, "FAN_MARK_ADD|FAN_MARK_MNTNS");
	check_value(AQ_TYPE_FLAGS, "access_mode", 0, "F_OK");
	check_value(AQ_TYPE_FLAGS, NULL, 0x1f, "0x1f");
	check_value(AQ_TYPE_ERRNO, NULL, (uint64_t)-2, "ENOENT");
	check_value(AQ_TYPE_ERRNO, NULL, 0, "0");
	check_value(AQ_TYPE_ERRNO, NULL, (uint64_t)INT64_MIN, "-9223372036854775808");
	check_value(AQ_TYPE_ERRNO, NULL, 0xfffffffefffffffeull, "-4294967298"); /* no error: only its low half is -2 */
	check_value(AQ_TYPE_MODE, NULL, 0755, "0755");
	check_value(AQ_TYPE_MODE, NULL, 0, "0");
	check_value(AQ_TYPE_FD, NULL, (uint64_t)-100, "AT_FDCWD");
	check_value(AQ_TYPE_FD, NULL, (uint64_t)-1, "-1");
	check_value(AQ_TYPE_SIGNAL, NULL, 9, "SIGKILL");
	check_value(AQ_TYPE_UID, NULL, UINT32_MAX, "-1");
	check_value(AQ_TYPE_DEV, NULL, 0xfd05, "253:5");
	char text[64];
	aq_format_result(aq_schema_event(AQ_EV_openat), -2, text, sizeof(text));
	AQ_CHECK_EQ_STR(text, "ENOENT");
	aq_format_result(aq_schema_event(AQ_EV_mmap), -12, text, sizeof(text));
	AQ_CHECK_EQ_STR(text, "ENOMEM");
	aq_format_result(aq_schema_event(AQ_EV_read), 4096, text, sizeof(text));
	AQ_CHECK_EQ_STR(text, "4096");
	AQ_CHECK_EQ_INT(aq_errno_by_name("ENOENT"), 2);
	AQ_CHECK_EQ_STR(aq_errno_name(13), "EACCES");
	AQ_CHECK(aq_errno_name(99999) == NULL && aq_signal_name(-1) == NULL);
}

AQ_TEST(a_short_buffer_is_cut_but_counted)
{
	char text[5] = "zzzz";
	size_t n = aq_format_value(AQ_TYPE_FLAGS, aq_flag_set_by_name("open_flags"), 02000000, text, sizeof(text));
	AQ_CHECK_EQ_INT(n, strlen("O_CLOEXEC|O_RDONLY"));
	AQ_CHECK_EQ_STR(text, "O_CL");
	AQ_CHECK_EQ_INT(aq_format_value(AQ_TYPE_INT, NULL, 12345, NULL, 0), 5);
}

AQ_TEST_MAIN()
