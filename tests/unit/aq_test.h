/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test macros: AQ_TEST(name) { … } registers a test, AQ_TEST_MAIN() runs all or those named on the command line.
 * A failed AQ_CHECK is printed with its values and the test goes on; a failed AQ_REQUIRE ends that test. `--list` prints
 * the names. Exit status: 0 all passed, 1 a failure, 2 no such test, 77 everything was skipped. One thread only.
 */
#ifndef AQ_TESTS_UNIT_AQ_TEST_H
#define AQ_TESTS_UNIT_AQ_TEST_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct aq_test_case {
	const char *name;
	void (*run)(void);
	struct aq_test_case *next;
};

static struct aq_test_case *aq_test_first, **aq_test_last = &aq_test_first;
static unsigned aq_test_failures;
static const char *aq_test_skip_reason;
static jmp_buf aq_test_out;

#define AQ_TEST(test)                                                                                                  \
	static void aq_test_run_##test(void);                                                                          \
	static struct aq_test_case aq_test_case_##test = { #test, aq_test_run_##test, NULL };                          \
	__attribute__((constructor)) static void aq_test_register_##test(void)                                         \
	{                                                                                                              \
		*aq_test_last = &aq_test_case_##test;                                                                  \
		aq_test_last = &aq_test_case_##test.next;                                                              \
	}                                                                                                              \
	static void aq_test_run_##test(void)

#define AQ_TEST_FAIL_(...)                                                                                             \
	(fprintf(stderr, "%s:%d: ", __FILE__, __LINE__), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr),            \
	 (void)aq_test_failures++)

#define AQ_CHECK(condition) ((condition) ? (void)0 : AQ_TEST_FAIL_("failed: %s", #condition))
#define AQ_REQUIRE(condition) ((condition) ? (void)0 : (AQ_TEST_FAIL_("failed: %s", #condition), longjmp(aq_test_out, 1)))
#define AQ_SKIP(reason) (aq_test_skip_reason = (reason), longjmp(aq_test_out, 2))

#define AQ_CHECK_EQ_INT(a, b)                                                                                          \
	do {                                                                                                           \
		long long aq_a_ = (long long)(a), aq_b_ = (long long)(b);                                              \
		if (aq_a_ != aq_b_)                                                                                    \
			AQ_TEST_FAIL_("%s is %lld, not %s (%lld)", #a, aq_a_, #b, aq_b_);                              \
	} while (0)
#define AQ_CHECK_EQ_U64(a, b)                                                                                          \
	do {                                                                                                           \
		unsigned long long aq_a_ = (unsigned long long)(a), aq_b_ = (unsigned long long)(b);                   \
		if (aq_a_ != aq_b_)                                                                                    \
			AQ_TEST_FAIL_("%s is %llu, not %s (%llu)", #a, aq_a_, #b, aq_b_);                              \
	} while (0)
#define AQ_CHECK_EQ_STR(a, b)                                                                                          \
	do {                                                                                                           \
		const char *aq_a_ = (a), *aq_b_ = (b);                                                                 \
		if (!aq_a_ || !aq_b_ || strcmp(aq_a_, aq_b_) != 0)                                                     \
			AQ_TEST_FAIL_("%s is \"%s\", not \"%s\"", #a, aq_a_ ? aq_a_ : "(null)",                        \
				      aq_b_ ? aq_b_ : "(null)");                                                       \
	} while (0)
#define AQ_CHECK_EQ_MEM(a, b, size)                                                                                    \
	do {                                                                                                           \
		const unsigned char *aq_a_ = (const void *)(a), *aq_b_ = (const void *)(b);                            \
		size_t aq_size_ = (size), aq_at_ = 0;                                                                  \
		while (aq_at_ < aq_size_ && aq_a_[aq_at_] == aq_b_[aq_at_])                                            \
			aq_at_++;                                                                                      \
		if (aq_at_ < aq_size_)                                                                                 \
			AQ_TEST_FAIL_("%s differs from %s at byte %zu of %zu: 0x%02x, not 0x%02x", #a, #b, aq_at_,     \
				      aq_size_, aq_a_[aq_at_], aq_b_[aq_at_]);                                         \
	} while (0)

/* Apart from aq_test_main so that no variable of it lives across the jump. 0 passed, 1 cut short, 2 skipped. */
__attribute__((noinline)) static int aq_test_run_one(void (*run)(void))
{
	int how = setjmp(aq_test_out);
	if (how == 0)
		run();
	return how;
}

static int aq_test_unknown(const char *name)
{
	for (const struct aq_test_case *t = aq_test_first; t; t = t->next)
		if (strcmp(name, t->name) == 0)
			return 0;
	fprintf(stderr, "there is no test '%s'; --list names them\n", name);
	return 1;
}

static int aq_test_main(int argc, char **argv)
{
	unsigned ran = 0, failed = 0, skipped = 0;
	bool list = argc == 2 && strcmp(argv[1], "--list") == 0;
	for (int i = 1; i < argc && !list; i++)
		if (aq_test_unknown(argv[i]))
			return 2;
	for (struct aq_test_case *t = aq_test_first; t; t = t->next) {
		bool wanted = argc < 2;
		if (list) {
			puts(t->name);
			continue;
		}
		for (int i = 1; i < argc; i++)
			wanted = wanted || strcmp(argv[i], t->name) == 0;
		if (!wanted)
			continue;
		unsigned before = aq_test_failures;
		int how = aq_test_run_one(t->run);
		ran++;
		if (how == 2) {
			skipped++;
			printf("skipped %s: %s\n", t->name, aq_test_skip_reason ? aq_test_skip_reason : "no reason given");
		}
		bool bad = aq_test_failures != before;
		failed += bad;
		printf("%s %s\n", bad ? "FAILED" : how == 2 ? "skip  " : "ok    ", t->name);
		fflush(stdout);
	}
	if (list)
		return 0;
	printf("%u tests, %u failed, %u skipped\n", ran, failed, skipped);
	return failed ? 1 : ran && ran == skipped ? 77 : 0;
}

#define AQ_TEST_MAIN()                                                                                                 \
	int main(int argc, char **argv)                                                                                \
	{                                                                                                              \
		return aq_test_main(argc, argv);                                                                       \
	}

#endif
