/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_schema */
/* The tables against the headers of the system they describe, against themselves, and how values print. */

#include "format/schema/schema.h"
#include "tests/unit/aq_test.h"

/* Every "#define __NR_name number" of a system header must be in the table; names that differ are given in pairs. */
static unsigned check_header(const char *path, enum aq_abi abi, const char *const aliases[][2])
{
	FILE *f = fopen(path, "re");
	char line[256], name[128];
	unsigned number, checked = 0;
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "#define __NR_%127s %u", name, &number) != 2)
			continue;
		const char *ours = name;
		for (unsigned i = 0; aliases && aliases[i][0]; i++)
			if (strcmp(aliases[i][0], name) == 0)
				ours = aliases[i][1];
		const struct aq_event_schema *ev = aq_schema_event(aq_schema_syscall_id(abi, number));
		if (!ev || strcmp(ev->name, ours) != 0)
			fprintf(stderr, "%s: %s is %u there\n", path, name, number);
		AQ_CHECK(ev && strcmp(ev->name, ours) == 0);
		if (ev)
			AQ_CHECK_EQ_INT(aq_schema_syscall_nr(abi, ev->id), number);
		checked++;
	}
	fclose(f);
	return checked;
}

AQ_TEST(numbers_of_the_system_headers)
{
	static const char *const i386[][2] = { { "select", "old_select" }, { "mmap", "old_mmap" }, { NULL, NULL } };
	unsigned n = check_header("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", AQ_ABI_X86_64, NULL);
	n += check_header("/usr/include/x86_64-linux-gnu/asm/unistd_32.h", AQ_ABI_I386, i386);
	if (n == 0)
		AQ_SKIP("the system's x86 headers are not installed");
	AQ_CHECK(n > 700);
}

AQ_TEST(calls_newer_than_the_headers)
{
	static const struct { const char *name; int x86_64, arm64; } calls[] = {
		{ "cachestat", 451, 451 }, { "map_shadow_stack", 453, 453 }, { "mseal", 462, 462 },
		{ "removexattrat", 466, 466 }, { "open_tree_attr", 467, 467 }, { "file_setattr", 469, 469 },
		{ "uretprobe", 335, -1 }, { "uprobe", 336, -1 },
	};
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const struct aq_event_schema *ev = aq_schema_event_by_name(calls[i].name);
		AQ_REQUIRE(ev != NULL);
		AQ_CHECK_EQ_INT(aq_schema_syscall_nr(AQ_ABI_X86_64, ev->id), calls[i].x86_64);
		AQ_CHECK_EQ_INT(aq_schema_syscall_nr(AQ_ABI_ARM64, ev->id), calls[i].arm64);
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
			AQ_CHECK(a->name && (a->flags != NULL) == named);
			if (a->attr)
				AQ_CHECK(aq_attr_name(a->attr) != NULL);
			if (ev->id >= AQ_EVENT_ID_STATE)
				AQ_CHECK((a->attr != 0) == (i >= numbers)); /* numbers first, attributes last */
		}
	}
	AQ_CHECK(rows > 480);
	AQ_CHECK(aq_schema_event(0) == NULL && aq_schema_event(AQ_EVENT_ID_MAX) == NULL && aq_schema_event(UINT32_MAX) == NULL);
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
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_ARM64, 221), AQ_EV_execve);
	AQ_CHECK_EQ_INT(aq_schema_syscall_id(AQ_ABI_ARM, 0xf0005), AQ_EV_set_tls);
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
	check_value(AQ_TYPE_FLAGS, "mmap_prot", 0, "0");
	check_value(AQ_TYPE_FLAGS, "mmap_flags", 0x22, "MAP_PRIVATE|MAP_ANONYMOUS");
	check_value(AQ_TYPE_FLAGS, "mmap_prot", 0x40000001, "PROT_READ|0x40000000");
	check_value(AQ_TYPE_FLAGS, "clone_flags", 17, "SIGCHLD");
	check_value(AQ_TYPE_FLAGS, "socket_type", 02000001, "SOCK_CLOEXEC|SOCK_STREAM");
	check_value(AQ_TYPE_ENUM, "fcntl_cmd", 1030, "F_DUPFD_CLOEXEC");
	check_value(AQ_TYPE_ENUM, "socket_domain", 10, "AF_INET6");
	check_value(AQ_TYPE_ENUM, "socket_domain", 999, "999");
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
