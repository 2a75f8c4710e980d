/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test macros themselves: each failing check is made in a child, and its message and exit status are read here.
 * aq-libs:
 */
#include "tests/unit/aq_test.h"

#include <sys/wait.h>
#include <unistd.h>

struct outcome {
	int status;
	char said[2048];
};

static bool in_child;

static void fails_with_values(void)
{
	AQ_CHECK(1 == 2);
	AQ_CHECK_EQ_INT(-3, 4);
	AQ_CHECK_EQ_U64(UINT64_MAX, 5);
	AQ_CHECK_EQ_STR("left", NULL);
	AQ_CHECK_EQ_MEM("abc", "abd", 3);
}

static void stops_at_require(void)
{
	AQ_REQUIRE(in_child && false);
	AQ_CHECK(!"not reached");
}

static void passes(void)
{
	AQ_CHECK(true);
	AQ_CHECK_EQ_INT(-1, -1);
	AQ_CHECK_EQ_U64(UINT64_MAX, UINT64_MAX);
	AQ_CHECK_EQ_STR("same", "same");
	AQ_CHECK_EQ_MEM("abc", "abd", 2);
	AQ_REQUIRE(true);
}

static void skips(void)
{
	AQ_SKIP("a reason");
}

/* Runs one function as the only test of a child, with the given argument for its command line. */
static void run_child(void (*run)(void), const char *argument, struct outcome *ret_outcome)
{
	int fds[2];
	memset(ret_outcome, 0, sizeof(*ret_outcome));
	AQ_REQUIRE(pipe(fds) == 0);
	fflush(NULL);
	pid_t pid = fork();
	AQ_REQUIRE(pid >= 0);
	if (pid == 0) {
		struct aq_test_case only = { "only", run, NULL };
		char program[] = "program", copy[32] = "";
		char *argv[] = { program, copy, NULL };
		in_child = true;
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		aq_test_first = &only;
		aq_test_failures = 0;
		if (argument)
			snprintf(copy, sizeof(copy), "%s", argument);
		int status = aq_test_main(argument ? 2 : 1, argv);
		fflush(NULL);
		_exit(status);
	}
	close(fds[1]);
	size_t size = 0;
	ssize_t n;
	while (size < sizeof(ret_outcome->said) - 1 &&
	       (n = read(fds[0], ret_outcome->said + size, sizeof(ret_outcome->said) - 1 - size)) > 0)
		size += (size_t)n;
	close(fds[0]);
	AQ_REQUIRE(waitpid(pid, &ret_outcome->status, 0) == pid);
	AQ_REQUIRE(WIFEXITED(ret_outcome->status));
	ret_outcome->status = WEXITSTATUS(ret_outcome->status);
}

AQ_TEST(failures_are_told_with_values)
{
	struct outcome o;
	run_child(fails_with_values, NULL, &o);
	AQ_CHECK_EQ_INT(o.status, 1);
	AQ_CHECK(strstr(o.said, "test_macros.c:"));
	AQ_CHECK(strstr(o.said, "failed: 1 == 2"));
	AQ_CHECK(strstr(o.said, "-3 is -3, not 4 (4)"));
	AQ_CHECK(strstr(o.said, "is 18446744073709551615, not 5 (5)"));
	AQ_CHECK(strstr(o.said, "is \"left\", not \"(null)\""));
	AQ_CHECK(strstr(o.said, "at byte 2 of 3: 0x63, not 0x64"));
	AQ_CHECK(strstr(o.said, "FAILED only"));
	AQ_CHECK(strstr(o.said, "1 tests, 1 failed, 0 skipped"));
}

AQ_TEST(require_ends_the_test)
{
	struct outcome o;
	run_child(stops_at_require, NULL, &o);
	AQ_CHECK_EQ_INT(o.status, 1);
	AQ_CHECK(strstr(o.said, "failed: in_child && false"));
	AQ_CHECK(!strstr(o.said, "not reached"));
}

AQ_TEST(passing_and_skipping)
{
	struct outcome o;
	run_child(passes, NULL, &o);
	AQ_CHECK_EQ_INT(o.status, 0);
	AQ_CHECK(strstr(o.said, "ok     only"));
	run_child(skips, NULL, &o);
	AQ_CHECK_EQ_INT(o.status, 77);
	AQ_CHECK(strstr(o.said, "skipped only: a reason"));
}

AQ_TEST(tests_are_chosen_by_name)
{
	struct outcome o;
	run_child(fails_with_values, "--list", &o);
	AQ_CHECK_EQ_INT(o.status, 0);
	AQ_CHECK_EQ_STR(o.said, "only\n");
	run_child(passes, "only", &o);
	AQ_CHECK_EQ_INT(o.status, 0);
	run_child(passes, "other", &o);
	AQ_CHECK_EQ_INT(o.status, 2);
	AQ_CHECK(strstr(o.said, "there is no test 'other'"));
}

AQ_TEST_MAIN()
