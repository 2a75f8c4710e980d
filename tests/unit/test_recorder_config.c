/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_recorder aq_schema aq_base */
/* The command line, its units and lists; the call table that comes from the schema; finding a command. */
#include "recorder/calls.h"
#include "recorder/command.h"
#include "recorder/config.h"
#include "recorder/memory.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/aq_test.h"

static struct aq_config config;
static struct aq_err err;
static char *kept_argv[64]; /* config.command points into it */

static int parse(char *const *argv, size_t count)
{
	memcpy(kept_argv, argv, count * sizeof(*argv));
	err = (struct aq_err){ 0 };
	return aq_config_parse((int)count - 1, kept_argv, &config, &err);
}

#define PARSE(...)                                                                                                     \
	parse((char *[]){ (char *)"aquilad", __VA_ARGS__, NULL },                                                      \
	      sizeof((char *[]){ (char *)"aquilad", __VA_ARGS__, NULL }) / sizeof(char *))
#define S(text) (char *)(text)

AQ_TEST(durations_and_sizes)
{
	static const struct { const char *text; uint64_t value; int r; } times[] = {
		{ "10", 10000000000, 0 }, { "1.5h", 5400000000000, 0 }, { "250ms", 250000000, 0 }, { "5m", 300000000000, 0 },
		{ "", 0, -EINVAL }, { "x", 0, -EINVAL }, { "-1", 0, -EINVAL }, { "1.", 0, -EINVAL }, { "1 s", 0, -EINVAL },
		{ "99999999999999999999", 0, -ERANGE }, { "300000000d", 0, -ERANGE },
	}, sizes[] = {
		{ "4096", 4096, 0 }, { "64M", 64 << 20, 0 }, { "1.5GiB", 3ull << 29, 0 }, { "1k", 1024, 0 },
		{ "12parsecs", 0, -EINVAL }, { "99999999T", 0, -ERANGE },
	};
	uint64_t value;

	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		value = 0;
		AQ_CHECK_EQ_INT(aq_parse_duration(times[i].text, &value), times[i].r);
		AQ_CHECK_EQ_U64(value, times[i].value);
	}
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		value = 0;
		AQ_CHECK_EQ_INT(aq_parse_size(sizes[i].text, &value), sizes[i].r);
		AQ_CHECK_EQ_U64(value, sizes[i].value);
	}
}

AQ_TEST(memory)
{
	const uint64_t mib = 1 << 20, one_ring = 4096 * 88 + 288 * 1024;

	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a")), 0);
	AQ_CHECK_EQ_INT(aq_memory_fit(&config, 2, &err), 0); /* no bound, nothing changes */
	AQ_CHECK_EQ_U64(config.ring_bytes, 64 * mib);
	AQ_CHECK_EQ_U64(config.spool_bytes, 256 * mib);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--memory"), S("1G")), 0);
	AQ_CHECK_EQ_INT(aq_memory_fit(&config, 2, &err), 0);
	AQ_CHECK_EQ_U64(config.ring_bytes, 64 * mib);
	AQ_CHECK_EQ_U64(config.spool_bytes, (1024 - 64 - 64) * mib);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--memory"), S("128M")), 0);
	AQ_CHECK_EQ_INT(aq_memory_fit(&config, 2, &err), 0);
	AQ_CHECK_EQ_U64(config.ring_bytes, 16 * mib);
	AQ_CHECK_EQ_U64(config.spool_bytes, 48 * mib);
	/* the least: one part for each ring, and eight slabs */
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--memory"), S("71M")), 0);
	AQ_CHECK_EQ_U64(aq_memory_least_bytes(&config, 2), (64 + 2) * mib + (8 * one_ring + mib - 1) / mib * mib);
	AQ_CHECK_EQ_INT(aq_memory_fit(&config, 2, &err), 0);
	AQ_CHECK_EQ_U64(config.ring_bytes, 8 * one_ring);
	AQ_CHECK_EQ_U64(config.spool_bytes, 7 * mib - 8 * one_ring);
	AQ_CHECK_EQ_INT(aq_memory_fit(&config, 4, &err), -EINVAL);
	AQ_CHECK(strstr(err.text, "at least 76M") != NULL);
	/* what was given stands, the other has what is left */
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--memory"), S("200M"), S("--spool"), S("100M")), 0);
	AQ_CHECK_EQ_INT(aq_memory_fit(&config, 2, &err), 0);
	AQ_CHECK_EQ_U64(config.ring_bytes, 36 * mib);
	AQ_CHECK_EQ_U64(config.spool_bytes, 100 * mib);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--memory"), S("200M"), S("--ring-memory"), S("100M"), S("--spool"), S("37M")), 0);
	AQ_CHECK_EQ_INT(aq_memory_fit(&config, 2, &err), -EINVAL);
	AQ_CHECK(strstr(err.text, "136M") != NULL);
}

AQ_TEST(signing)
{
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--sign"), S("host.key")), 0);
	AQ_CHECK_EQ_STR(config.sign, "host.key");
	AQ_CHECK_EQ_U64(config.sign_ns, 10000000000);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--sign=host.key"), S("--sign-interval"), S("1m")), 0);
	AQ_CHECK_EQ_U64(config.sign_ns, 60000000000);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--sign-interval=1m")), -EINVAL);
	AQ_CHECK(strstr(err.text, "needs --sign") != NULL);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--sign=k"), S("--sign-interval=0")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--sign=k"), S("--sign-interval=999ms")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a")), 0);
	AQ_CHECK(config.sign == NULL);
}

AQ_TEST(sockets)
{
	char path[AQ_DOCKER_PATH_MAX + 1];

	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a")), 0);
	AQ_CHECK(!config.no_usual_sockets && config.socket_count == 0);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--runtime-socket=none"), S("--runtime-socket"), S("/run/a.sock"), S("--runtime-socket=/b")), 0);
	AQ_CHECK(config.no_usual_sockets);
	AQ_CHECK_EQ_U64(config.socket_count, 2);
	AQ_CHECK_EQ_STR(config.sockets[0], "/run/a.sock");
	AQ_CHECK_EQ_STR(config.sockets[1], "/b");
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--runtime-socket=run/a.sock")), -EINVAL);
	AQ_CHECK(strstr(err.text, "absolute path") != NULL);
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[AQ_DOCKER_PATH_MAX] = '\0';
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--runtime-socket"), path), -EINVAL); /* longer than the kernel has room for */
	path[AQ_DOCKER_PATH_MAX - 1] = '\0';
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--runtime-socket"), path), 0);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--no-enrich"), S("--runtime-socket=/b")), -EINVAL);
}

AQ_TEST(kubernetes)
{
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a")), 0);
	AQ_CHECK(!config.kube_given);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--kubeconfig=f"), S("--kubelet"), S("https://h:10250"), S("--kube-token-file=t"),
			      S("--kube-ca=c"), S("--node-name=n"), S("--pod-annotation=x"), S("--pod-annotation=y")), 0);
	AQ_CHECK(config.kube_given && !config.kube.in_cluster);
	AQ_CHECK_EQ_STR(config.kube.kubeconfig, "f");
	AQ_CHECK_EQ_STR(config.kube.kubelet, "https://h:10250");
	AQ_CHECK_EQ_STR(config.kube.token_file, "t");
	AQ_CHECK_EQ_STR(config.kube.ca_file, "c");
	AQ_CHECK_EQ_STR(config.kube.node_name, "n");
	AQ_CHECK_EQ_U64(config.kube.annotation_count, 2);
	AQ_CHECK_EQ_STR(config.annotations[1], "y");
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--kube"), S("in-cluster")), 0);
	AQ_CHECK(config.kube_given && config.kube.in_cluster);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--kube=file")), -EINVAL);
	AQ_CHECK(strstr(err.text, "in-cluster") != NULL);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--kubeconfig=")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--node-name=n")), -EINVAL);
	AQ_CHECK(strstr(err.text, "need --kubeconfig") != NULL);
}

AQ_TEST(options)
{
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a.aquila/"), S("--duration=10s"), S("--ring-memory"), S("8M"), S("--spool"), S("1G"),
			      S("--zstd-level"), S("3"), S("--time-resolution"), S("64"), S("--keep-pointers"), S("--quiet"),
			      S("--append"), S("--sync=vital"),
			      S("--env"), S("--data=128"), S("--max-string=64"), S("--max-argv=1000"), S("--"), S("ls"), S("-l")), 0);
	AQ_CHECK_EQ_STR(config.output, "a.aquila");
	AQ_CHECK(config.append && config.sync == AQ_SYNC_VITAL);
	AQ_CHECK(config.environment && config.data_bytes == 128 && config.string_bytes == 64 && config.argv_bytes == 1000);
	AQ_CHECK_EQ_U64(config.duration_ns, 10000000000);
	AQ_CHECK_EQ_U64(config.ring_bytes, 8 << 20);
	AQ_CHECK_EQ_U64(config.spool_bytes, 1 << 30);
	AQ_CHECK_EQ_INT(config.zstd_level, 3);
	AQ_CHECK_EQ_U64(config.time_resolution_ns, 64);
	AQ_CHECK(config.keep_pointers && config.quiet && config.no_progress && !config.no_snapshot && !config.durations);
	AQ_REQUIRE(config.command != NULL);
	AQ_CHECK_EQ_STR(config.command[0], "ls");
	AQ_CHECK_EQ_STR(config.command[1], "-l");
	AQ_CHECK(config.command[2] == NULL);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("a"), S("--durations")), 0);
	AQ_CHECK(config.durations && config.time_resolution_ns == 1);
	AQ_CHECK_EQ_INT(PARSE(S("--durations=1")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("record"), S("-d"), S("1")), 0); /* as aquila record passes it on */
	AQ_CHECK(config.command == NULL);
	AQ_CHECK(strstr(config.output, ".aquila") != NULL);
	AQ_CHECK_EQ_INT(PARSE(S("--probe=json")), 0);
	AQ_CHECK_EQ_INT(config.action, AQ_ACTION_PROBE_JSON);
	AQ_CHECK_EQ_INT(PARSE(S("--help"), S("--nonsense")), 0);
	AQ_CHECK_EQ_INT(config.action, AQ_ACTION_HELP);
}

AQ_TEST(usage_errors_name_what_is_wrong)
{
	AQ_CHECK_EQ_INT(PARSE(S("--nonsense")), -EINVAL);
	AQ_CHECK(strstr(err.text, "--nonsense") != NULL);
	AQ_CHECK_EQ_INT(PARSE(S("-o")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("-o"), S("")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--duration"), S("soon")), -EINVAL);
	AQ_CHECK(strstr(err.text, "soon") != NULL);
	AQ_CHECK_EQ_INT(PARSE(S("--duration"), S("0")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--zstd-level"), S("20")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--data=4097")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--max-string=15")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--max-argv=63")), -EINVAL);
	AQ_CHECK(strstr(err.text, "--max-argv") != NULL);
	AQ_CHECK_EQ_INT(PARSE(S("--time-resolution"), S("100")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--ring-memory"), S("1")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--priority"), S("100")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--filter"), S("proc.name = x")), -EINVAL);
	AQ_CHECK(strstr(err.text, "--syscalls") != NULL);
	AQ_CHECK_EQ_INT(PARSE(S("ls")), -EINVAL);
	AQ_CHECK(strstr(err.text, "--") != NULL);
	AQ_CHECK_EQ_INT(PARSE(S("--")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--exit-status"), S("command")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--snapshot=proc")), 0);
	AQ_CHECK(config.snapshot_proc);
	AQ_CHECK_EQ_INT(PARSE(S("--snapshot=tasks")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--probe=xml")), -EINVAL);
}

AQ_TEST(lists_of_calls)
{
	AQ_CHECK_EQ_INT(PARSE(S("--syscalls"), S("openat,@net,vital")), 0);
	AQ_CHECK(!config.skip[AQ_EV_openat] && !config.skip[AQ_EV_connect] && !config.skip[AQ_EV_execve]);
	AQ_CHECK(config.skip[AQ_EV_read] && config.skip[AQ_EV_close]);
	AQ_CHECK(!config.skip[AQ_EV_proc_exec] && !config.skip[AQ_EV_proc_fork]); /* never left out */
	AQ_CHECK_EQ_INT(PARSE(S("--exclude"), S("read,bulk")), 0);
	AQ_CHECK(config.skip[AQ_EV_read] && config.skip[AQ_EV_write] && !config.skip[AQ_EV_openat]);
	AQ_CHECK_EQ_INT(PARSE(S("--syscalls"), S("opennat")), -EINVAL);
	AQ_CHECK(strstr(err.text, "opennat") != NULL);
	AQ_CHECK_EQ_INT(PARSE(S("--exclude"), S("@nothing")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--exclude"), S("proc_exec")), -EINVAL);
}

AQ_TEST(call_table)
{
	static struct aq_wire_call rows[AQ_WIRE_NR_MAX];
	static uint8_t classes[AQ_WIRE_EVENTS];
	bool skip[AQ_WIRE_EVENTS] = { [AQ_EV_read] = true };
	const struct aq_wire_call *c;

	aq_calls_fill(AQ_ABI_X86_64, skip, rows);
	aq_calls_classes(classes);
	c = &rows[257];
	AQ_CHECK_EQ_U64(c->event, AQ_EV_openat);
	AQ_CHECK_EQ_U64(c->cls, AQ_CLASS_IMPORTANT);
	AQ_CHECK_EQ_U64(c->flags, AQ_WIRE_CALL_RET_FD);
	AQ_CHECK_EQ_U64(c->attr_count, 1);
	AQ_CHECK_EQ_U64(c->attr[0].arg, 1);
	AQ_CHECK_EQ_U64(c->attr[0].kind, AQ_WIRE_FETCH_STRING);
	AQ_CHECK_EQ_U64(c->attr[0].key, AQ_ATTR_PATH);
	AQ_CHECK_EQ_U64(rows[0].flags, AQ_WIRE_CALL_SKIP | AQ_WIRE_CALL_DNS_ONLY);
	AQ_CHECK_EQ_U64(rows[42].attr[0].kind, AQ_WIRE_FETCH_SOCKADDR_IN);
	AQ_CHECK_EQ_U64(rows[42].attr[0].len_arg, 2);
	AQ_CHECK_EQ_U64(rows[42].flags, AQ_WIRE_CALL_SOCK_FD);
	AQ_CHECK_EQ_U64(rows[43].attr[0].kind, AQ_WIRE_FETCH_SOCKADDR_OUT);
	AQ_CHECK_EQ_U64(rows[45].attr[0].arg, 4);
	AQ_CHECK_EQ_U64(rows[45].attr[0].kind, AQ_WIRE_FETCH_SOCKADDR_OUT);
	AQ_CHECK_EQ_U64(rows[22].attr[0].kind, AQ_WIRE_FETCH_FD_PAIR);
	AQ_CHECK_EQ_U64(rows[22].attr[0].key, AQ_ATTR_FDS);
	AQ_CHECK_EQ_U64(rows[53].attr[0].arg, 3);
	AQ_CHECK_EQ_U64(rows[165].attr_count, 4); /* mount */
	AQ_CHECK_EQ_U64(rows[1000].event, 0);
	aq_calls_fill(AQ_ABI_I386, NULL, rows);
	AQ_CHECK_EQ_U64(rows[5].event, AQ_EV_open);
	AQ_CHECK_EQ_U64(rows[3].flags, AQ_WIRE_CALL_DNS_ONLY);
	aq_calls_want_data(rows);
	AQ_CHECK_EQ_U64(rows[3].flags, 0);
	AQ_CHECK_EQ_U64(rows[4].attr_count, 1);
	AQ_CHECK_EQ_U64(rows[4].attr[0].kind, AQ_WIRE_FETCH_DATA);
	for (unsigned nr = 0; nr < AQ_WIRE_NR_MAX; nr++) /* rows and classes agree: the ledger counts by both */
		AQ_CHECK_EQ_U64(rows[nr].cls, classes[rows[nr].event]);
}

AQ_TEST(commands)
{
	struct aq_command c;
	char *const yes[] = { S("sh"), S("-c"), S("exit 5"), NULL };
	sigset_t mask;

	AQ_CHECK_EQ_INT(aq_command_find("sh", &err), 0);
	AQ_CHECK_EQ_INT(aq_command_find("/bin/sh", &err), 0);
	AQ_CHECK_EQ_INT(aq_command_find("no-such-command-here", &err), -ENOENT);
	AQ_CHECK(strstr(err.text, "no-such-command-here") != NULL);
	AQ_CHECK_EQ_INT(aq_command_find("/etc/passwd", &err), -EACCES);
	AQ_CHECK_EQ_INT(aq_command_find("", &err), -ENOENT);
	sigemptyset(&mask);
	AQ_REQUIRE(aq_command_hold(&c, yes, &mask, &err) == 0);
	AQ_CHECK(!aq_command_ended(&c));
	AQ_CHECK_EQ_INT(aq_command_go(&c, yes[0], &err), 0);
	for (int i = 0; i < 500 && !aq_command_ended(&c); i++)
		usleep(10000);
	AQ_CHECK(c.ended);
	AQ_CHECK_EQ_INT(c.exit_status, 5);
	aq_command_release(&c);
	AQ_REQUIRE(aq_command_hold(&c, yes, &mask, &err) == 0);
	aq_command_release(&c); /* never let go: it ends without running */
	AQ_CHECK_EQ_INT(waitpid(c.pid, NULL, WNOHANG), -1);
}

AQ_TEST(retention)
{
	const uint64_t second = 1000000000;

	AQ_REQUIRE(PARSE(S("--keep"), S("10m,2GiB"), S("-o"), S("x")) == 0);
	AQ_CHECK_EQ_U64(config.retention.age_ns, 600 * second);
	AQ_CHECK_EQ_U64(config.retention.total_bytes, 2ull << 30);
	AQ_CHECK_EQ_U64(config.segment_age_ns, 60 * second);
	AQ_CHECK_EQ_U64(config.segment_bytes, (2ull << 30) / 10);
	AQ_REQUIRE(PARSE(S("--keep"), S("3s"), S("-o"), S("x")) == 0);
	AQ_CHECK_EQ_U64(config.segment_age_ns, second); /* not below a second */
	AQ_CHECK_EQ_U64(config.retention.total_bytes, 0);
	AQ_REQUIRE(PARSE(S("--keep"), S("1h"), S("--segment-age"), S("1m"), S("-o"), S("x")) == 0);
	AQ_CHECK_EQ_U64(config.segment_age_ns, 60 * second); /* smaller than it has to be */
	AQ_REQUIRE(PARSE(S("--retain-size"), S("1G"), S("--retain-age"), S("7d"), S("--min-free"), S("5%"), S("-o"), S("x")) == 0);
	AQ_CHECK_EQ_U64(config.retention.total_bytes, 1 << 30);
	AQ_CHECK_EQ_U64(config.retention.age_ns, 7 * 86400 * second);
	AQ_CHECK_EQ_U64(config.retention.free_percent, 5);
	AQ_REQUIRE(PARSE(S("--min-free"), S("2GiB"), S("--pin-window"), S("2m,30s"), S("-o"), S("x")) == 0);
	AQ_CHECK_EQ_U64(config.retention.free_bytes, 2ull << 30);
	AQ_CHECK_EQ_U64(config.pin_before_ns, 120 * second);
	AQ_CHECK_EQ_U64(config.pin_after_ns, 30 * second);
	AQ_REQUIRE(PARSE(S("-o"), S("x")) == 0);
	AQ_CHECK(!aq_retention_is_on(&config.retention));
	AQ_CHECK_EQ_INT(PARSE(S("--keep"), S("10m,2GiB,3h")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--keep"), S("10x")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--keep"), S("")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--keep"), S(",")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--min-free"), S("100%")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--min-free"), S("%")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--retain-age"), S("0")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--pin-window"), S("2m")), -EINVAL);
	AQ_CHECK_EQ_INT(PARSE(S("--pin-window"), S("2m,1m,4m")), -EINVAL);
}

AQ_TEST_MAIN()
