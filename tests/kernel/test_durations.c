/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * Durations against the clock of the program that made the calls: the entry that follows from a duration lies between
 * the times that the program read before and after. What nobody saw the entry of has none. Needs root and BPF; AQ_BIN
 * names the folder of aquilad, AQ_TRIGGERS that of the trigger programs.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "format/segment/reader.h"
#include "tests/unit/aq_test.h"

enum { MAX_EVENTS = 100000 };

struct recording {
	char folder[64], log[96], capture[96], trigger[512], program32[512], recorder[512];
	struct aq_event *events;
	size_t count;
};

static struct recording *recording_new(void)
{
	if (geteuid() != 0 || access("/sys/kernel/btf/vmlinux", R_OK) != 0 || !getenv("AQ_BIN") || !getenv("AQ_TRIGGERS"))
		AQ_SKIP("needs root and the kernel's types");
	struct recording *r = calloc(1, sizeof(*r));
	AQ_REQUIRE(r != NULL);
	r->events = calloc(MAX_EVENTS, sizeof(*r->events));
	strcpy(r->folder, "/tmp/aquila-durations-XXXXXX");
	AQ_REQUIRE(r->events != NULL && mkdtemp(r->folder) != NULL);
	snprintf(r->log, sizeof(r->log), "%s/log", r->folder);
	snprintf(r->capture, sizeof(r->capture), "%s/c.aquila", r->folder);
	snprintf(r->trigger, sizeof(r->trigger), "%s/trigger_durations", getenv("AQ_TRIGGERS"));
	snprintf(r->program32, sizeof(r->program32), "%s/trigger_compat_m32", getenv("AQ_TRIGGERS"));
	snprintf(r->recorder, sizeof(r->recorder), "%s/aquilad", getenv("AQ_BIN"));
	return r;
}

static void recording_free(struct recording *r)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", r->folder);
	AQ_CHECK_EQ_INT(system(command), 0);
	free(r->events);
	free(r);
}

static pid_t start(char *const argv[])
{
	pid_t pid = fork();
	if (pid == 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	AQ_REQUIRE(pid > 0);
	return pid;
}

static int wait_for(pid_t pid)
{
	int status = -1;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void load(struct recording *r)
{
	struct aq_err err = { 0 };
	struct aq_capture *c = NULL;
	struct aq_event_iter *it = NULL;
	struct aq_verify_result v;
	AQ_REQUIRE(aq_capture_open(r->capture, &c, &err) == 0);
	AQ_CHECK(strstr(aq_capture_info(c)->policy_json, "\"durations\":true") != NULL);
	AQ_CHECK(aq_capture_verify(c, &v, NULL, NULL, &err) == 0 && v.damages == 0 && v.ledger_balances && v.lost == 0);
	AQ_REQUIRE(aq_event_iter_new(c, &(struct aq_iter_options){ .without_attrs = true }, &it, &err) == 0);
	while (r->count < MAX_EVENTS && aq_event_iter_next(it, &r->events[r->count], &err) == 1)
		r->count++;
	aq_event_iter_free(it);
	aq_capture_close(c);
}

/* D and U lines of the log against the events. Returns how many there were. */
static unsigned check_log(const struct recording *r)
{
	FILE *f = fopen(r->log, "re");
	char line[200];
	unsigned checked = 0;
	AQ_REQUIRE(f != NULL);
	while (fgets(line, sizeof(line), f)) {
		unsigned long before, after, least;
		unsigned id = 0, found = 0;
		long tid, ret;
		bool known = line[0] == 'D';
		int n = sscanf(line + 1, "%ld %u %ld %lu %lu %lu", &tid, &id, &ret, &before, &after, &least);
		if (line[0] != 'D' && line[0] != 'U')
			continue;
		AQ_REQUIRE(n == 6);
		for (size_t i = 0; i < r->count; i++) {
			const struct aq_event *ev = &r->events[i];
			if (ev->tid != (uint32_t)tid || ev->id != id || ev->ret != ret || ev->time_ns < before || ev->time_ns > after)
				continue;
			found++;
			AQ_CHECK_EQ_INT(ev->has_duration, known);
			if (!known)
				continue;
			AQ_CHECK(ev->duration_ns >= least && ev->time_ns - ev->duration_ns >= before);
			if (ev->duration_ns < least || ev->time_ns - ev->duration_ns < before)
				fprintf(stderr, "duration %lu, ended %lu: %s", (unsigned long)ev->duration_ns, (unsigned long)ev->time_ns, line);
		}
		if (found != 1)
			fprintf(stderr, "%u events: %s", found, line);
		AQ_CHECK_EQ_INT(found, 1);
		checked++;
	}
	fclose(f);
	return checked;
}

AQ_TEST(durations_are_what_the_program_measured)
{
	struct recording *r = recording_new();
	char *argv[] = { r->recorder, (char *)"-o", r->capture, (char *)"-q", (char *)"--durations", (char *)"--", r->trigger,
			 (char *)"run", r->log, r->program32, NULL };
	AQ_CHECK_EQ_INT(wait_for(start(argv)), 0);
	load(r);
	AQ_CHECK(check_log(r) >= 92);
	/* every call has one, but for those by which threads and processes came into being, for what seccomp turned away, and
	 * for the read in which the recorder lets its command wait for the beginning */
	size_t calls = 0, births = 0, others = 0;
	for (size_t i = 0; i < r->count; i++) {
		const struct aq_event *ev = &r->events[i];
		if (ev->id >= AQ_EVENT_ID_STATE) {
			AQ_CHECK(!ev->has_duration);
			continue;
		}
		bool birth = ev->ret == 0 && (ev->id == AQ_EV_clone || ev->id == AQ_EV_clone3 || ev->id == AQ_EV_fork || ev->id == AQ_EV_vfork);
		calls++;
		births += birth;
		others += !birth && !ev->has_duration;
		AQ_CHECK(!birth || !ev->has_duration);
		AQ_CHECK(ev->duration_ns < 60ull * 1000000000 && ev->duration_ns < ev->time_ns);
	}
	AQ_CHECK(calls > 200 && births >= 11);
	AQ_CHECK_EQ_U64(others, 2);
	recording_free(r);
}

AQ_TEST(calls_of_32_bit_programs)
{
	struct recording *r = recording_new();
	char *argv[] = { r->recorder, (char *)"-o", r->capture, (char *)"-q", (char *)"--durations", (char *)"--", r->program32, NULL };
	if (access(r->program32, X_OK) != 0) {
		recording_free(r);
		AQ_SKIP("no 32-bit programs here");
	}
	AQ_CHECK_EQ_INT(wait_for(start(argv)), 0);
	load(r);
	unsigned compat = 0, execs = 0;
	for (size_t i = 0; i < r->count; i++) {
		const struct aq_event *ev = &r->events[i];
		execs += ev->id == AQ_EV_execve && ev->ret == 0;
		compat += ev->abi == AQ_ABI_I386 && ev->id < AQ_EVENT_ID_STATE;
		if ((ev->id == AQ_EV_execve && ev->ret == 0) || (ev->abi == AQ_ABI_I386 && ev->id < AQ_EVENT_ID_STATE))
			AQ_CHECK(ev->has_duration && ev->duration_ns > 0 && ev->duration_ns < 10ull * 1000000000);
	}
	AQ_CHECK_EQ_INT(execs, 1); /* a call of a 64-bit program that returns to a 32-bit one */
	AQ_CHECK(compat >= 4);
	recording_free(r);
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* Asleep in a call, by the kernel's word. */
static bool sleeps(pid_t pid)
{
	char path[64], text[256] = "";
	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	bool read = fgets(text, sizeof(text), f) != NULL;
	fclose(f);
	return read && atoi(text) == 128; /* rt_sigtimedwait of x86-64 */
}

AQ_TEST(a_call_that_began_before_has_no_duration)
{
#ifndef __x86_64__
	AQ_SKIP("knows the number on x86-64 only");
#endif
	struct recording *r = recording_new();
	char segment[160];
	char *waiter[] = { r->trigger, (char *)"waiting", r->log, NULL };
	char *argv[] = { r->recorder, (char *)"-o", r->capture, (char *)"-q", (char *)"--durations", (char *)"--no-snapshot",
			 (char *)"--syscalls", (char *)"rt_sigtimedwait", NULL };
	pid_t target = start(waiter), recorder;
	for (int i = 0; i < 200 && !sleeps(target); i++)
		pause_ms(10);
	AQ_REQUIRE(sleeps(target));
	recorder = start(argv);
	snprintf(segment, sizeof(segment), "%s/segment-000001.aqs", r->capture);
	for (int i = 0; i < 6000 && access(segment, F_OK) != 0; i++) /* made once the programs are attached */
		pause_ms(10);
	kill(target, SIGUSR1);
	for (int i = 0; i < 200 && access(r->log, F_OK) != 0; i++)
		pause_ms(10);
	pause_ms(100);
	kill(target, SIGUSR1);
	AQ_CHECK_EQ_INT(wait_for(target), 0);
	kill(recorder, SIGTERM);
	AQ_CHECK_EQ_INT(wait_for(recorder), 0);
	load(r);
	AQ_CHECK_EQ_INT(check_log(r), 2);
	recording_free(r);
}

AQ_TEST_MAIN()
