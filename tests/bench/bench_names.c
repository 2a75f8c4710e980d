/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_names AQUILA FOLDER: what names cost while reading. Writes a capture of a million events of 1,000 processes in 1,000
 * pods into FOLDER, then has AQUILA count all of it by filters on proc.name alone, on two more texts of processes, and on pod
 * and namespace, by turns. CPU seconds, medians, and ratios.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/segment/writer.h"

enum { PODS = 1000, EVENTS = 1000000, TURNS = 5, WAYS = 3, CGROUP = 10000, PID = 1000 };

/* Each value is looked up for each event and compared; none is printed, as longer texts take longer to print. */
static const char *const filters[WAYS] = {
	"proc.name != x",
	"proc.name != x and proc.exe != y and proc.exepath != z",
	"proc.name != x and k8s.pod.name != y and k8s.ns.name != z",
};

static struct aq_err err;

static void fail(const char *what)
{
	fprintf(stderr, "bench_names: %s: %s\n", what, err.text[0] ? err.text : strerror(errno));
	exit(1);
}

static void add(struct aq_capture_writer *w, uint64_t time_ns, uint16_t id, uint32_t pid, uint64_t cgroup, const uint64_t *args,
		unsigned arg_count, const struct aq_attr *attrs, unsigned attr_count)
{
	const struct aq_event_schema *schema = aq_schema_event(id);
	struct aq_event ev = { .time_ns = time_ns, .id = id, .pid = pid, .tid = pid, .cgroup_id = cgroup, .cls = (uint8_t)schema->cls,
			       .cpu = (uint16_t)(pid & 1), .arg_count = (uint8_t)aq_schema_number_count(schema) };

	memcpy(ev.args, args, arg_count * sizeof(*args));
	for (unsigned i = 0; i < attr_count; i++)
		ev.attrs[ev.attr_count++] = attrs[i];
	if (aq_capture_writer_add(w, &ev, &err) < 0)
		fail("an event");
}

static struct aq_attr text(uint16_t key, const char *s)
{
	return (struct aq_attr){ .key = key, .data = s, .len = (uint32_t)strlen(s) };
}

static void write_pod(struct aq_capture_writer *w, uint64_t now, unsigned i)
{
	char path[256], subject[128], json[1024];
	struct aq_attr attrs[4];

	snprintf(path, sizeof(path), "/kubepods.slice/kubepods-pod%08x_0000_0000_0000_000000000000.slice/cri-containerd-%064x.scope", i, i);
	attrs[0] = text(AQ_ATTR_CGROUP_PATH, path);
	add(w, now, AQ_EV_snap_cgroup, 0, 0, (uint64_t[]){ CGROUP + i, 0 }, 2, attrs, 1);
	attrs[0] = text(AQ_ATTR_COMM, "nginx");
	attrs[1] = text(AQ_ATTR_EXE, "/usr/sbin/nginx");
	attrs[2] = text(AQ_ATTR_ARGV, "nginx");
	add(w, now, AQ_EV_snap_proc, PID + i, CGROUP + i, (uint64_t[]){ 1, 1000, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1 }, 14, attrs, 3);
	snprintf(subject, sizeof(subject), "pod:%08x-0000-0000-0000-000000000000", i);
	snprintf(json, sizeof(json), "{\"source\":\"kubelet\",\"name\":\"shop-frontend-7d4b9c6f5d-%05x\",\"namespace\":\"shop-%u\",\"labels\":"
		 "{\"app\":\"shop\",\"tier\":\"frontend\",\"pod-template-hash\":\"7d4b9c6f5d\"},\"owner_kind\":\"ReplicaSet\",\"owner_name\":"
		 "\"shop-frontend-7d4b9c6f5d\",\"node\":\"node-7\",\"ips\":[\"10.0.%u.%u\"]}", i, i % 20, i / 250, i % 250);
	attrs[0] = text(AQ_ATTR_NAME, subject);
	attrs[1] = text(AQ_ATTR_JSON, json);
	add(w, now, AQ_EV_fact, 0, 0, (uint64_t[]){ now + i, 0 }, 2, attrs, 2);
}

static void write_capture(const char *path)
{
	const struct aq_capture_meta meta = { .host = "bench", .kernel_release = "6", .kernel_version = "", .machine = "x86_64",
		.boot_id = "b", .recorder_version = "bench_names", .command = "", .features_json = "{}", .policy_json = "{}",
		.cpu_count = 2, .start_boot_ns = 1000000000, .start_real_ns = 1767225600000000000ull, .clock_ticks = 100, .page_size = 4096 };
	struct aq_capture_writer *w = NULL;
	uint64_t now = meta.start_boot_ns;

	if (aq_capture_writer_new(path, &meta, NULL, &w, &err) < 0)
		fail("the capture");
	for (unsigned i = 0; i < PODS; i++)
		write_pod(w, now, i);
	for (unsigned i = 0, who = 0; i < EVENTS; i++) {
		if (i % 8 == 0) /* a thread is on for a few calls, then another one */
			who = (who * 1103515245u + 12345u) % 65521u;
		add(w, now += 500, AQ_EV_read, PID + who % PODS, CGROUP + who % PODS, (uint64_t[]){ 3, 0, 4096 }, 3, NULL, 0);
	}
	if (aq_capture_writer_close(w, &err) < 0)
		fail("the end of the capture");
	aq_capture_writer_free(w);
}

static double seconds_of(const char *aquila, const char *capture, const char *filter)
{
	struct rusage usage;
	int status, null;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (null < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
			_exit(126);
		execl(aquila, aquila, "query", capture, filter, "--count", (char *)NULL);
		_exit(127);
	}
	if (wait4(pid, &status, 0, &usage) < 0 || !WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 3))
		fail("aquila query");
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 + (double)usage.ru_stime.tv_sec +
	       (double)usage.ru_stime.tv_usec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	double took[WAYS][TURNS], median[WAYS];
	char capture[4096];

	if (argc != 3) {
		fprintf(stderr, "usage: bench_names AQUILA FOLDER\n");
		return 2;
	}
	snprintf(capture, sizeof(capture), "%s/names.aquila", argv[2]);
	write_capture(capture);
	for (unsigned turn = 0; turn < TURNS; turn++)
		for (unsigned way = 0; way < WAYS; way++)
			took[way][turn] = seconds_of(argv[1], capture, filters[way]);
	for (unsigned way = 0; way < WAYS; way++) {
		qsort(took[way], TURNS, sizeof(double), by_value);
		median[way] = took[way][TURNS / 2];
		printf("%.3f s  %.0f ns/event  %s\n", median[way], median[way] / EVENTS * 1e9, filters[way]);
	}
	printf("names over two more texts of processes: %.3f; over neither: %.3f\n", median[2] / median[1], median[2] / median[0]);
	return 0;
}
