/* SPDX-License-Identifier: Apache-2.0 */
/* The parsers of procfs text: names that imitate fields, cut and senseless input, tables with forged lines.
 * aq-libs: aq_state aq_schema aq_base */
#include "recorder/state/internal.h"
#include "tests/unit/aq_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define AQ_FIELDS " S 1 22 33 34816 -1 4194560 5 6 7 8 9 10 11 12 20 0 3 0 4242 99 100 18446744073709551615 1 1\n"

static int parse(const char *text, struct aq_procfs_stat *ret)
{
	return aq_procfs_parse_stat(text, strlen(text), ret);
}

AQ_TEST(stat_plain)
{
	struct aq_procfs_stat st;

	AQ_REQUIRE(parse("77 (sh)" AQ_FIELDS, &st) == 0);
	AQ_CHECK_EQ_INT(st.pid, 77);
	AQ_CHECK_EQ_STR(st.comm, "sh");
	AQ_CHECK_EQ_INT(st.state, 'S');
	AQ_CHECK_EQ_INT(st.ppid, 1);
	AQ_CHECK_EQ_INT(st.pgid, 22);
	AQ_CHECK_EQ_INT(st.sid, 33);
	AQ_CHECK_EQ_INT(st.tty, 34816);
	AQ_CHECK_EQ_INT(st.threads, 3);
	AQ_CHECK_EQ_U64(st.start_ticks, 4242);
}

AQ_TEST(stat_hostile_names)
{
	static const struct {
		const char *text, *comm;
	} good[] = {
		{ "77 () R 1)" AQ_FIELDS, ") R 1" },
		{ "77 (a b c)" AQ_FIELDS, "a b c" },
		{ "77 ()" AQ_FIELDS, "" },
		{ "77 (()))" AQ_FIELDS, "())" },
		{ "77 (a\\nb\\\\c)" AQ_FIELDS, "a\nb\\c" },
		{ "77 (a\nb)" AQ_FIELDS, "a\nb" },
		{ "77 (x\\)" AQ_FIELDS, "x\\" },
	};
	struct aq_procfs_stat st;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		AQ_CHECK_EQ_INT(parse(good[i].text, &st), 0);
		AQ_CHECK_EQ_STR(st.comm, good[i].comm);
		AQ_CHECK_EQ_INT(st.ppid, 1);
	}
	char longer[400];
	snprintf(longer, sizeof(longer), "77 (%0200d)%s", 0, AQ_FIELDS);
	AQ_CHECK_EQ_INT(parse(longer, &st), 0);
	AQ_CHECK(st.comm_cut);
	AQ_CHECK_EQ_INT(st.comm_len, AQ_PROCFS_COMM_BYTES - 1);
}

AQ_TEST(stat_every_cut)
{
	static const char whole[] = "77 (sh) S 1 22 33 34816 -1 4194560 5 6 7 8 9 10 11 12 20 0 3 0 4242";
	struct aq_procfs_stat st;

	for (size_t len = 0; len < sizeof(whole) - 1; len++) {
		char *copy = malloc(len + 1); /* on the heap, so that a sanitizer sees a step too far */

		AQ_REQUIRE(copy != NULL);
		memcpy(copy, whole, len);
		copy[len] = '\0';
		if (len < sizeof(whole) - 5) /* before the last field begins */
			AQ_CHECK_EQ_INT(aq_procfs_parse_stat(copy, len, &st), -EBADMSG);
		free(copy);
	}
	AQ_CHECK_EQ_INT(parse("garbage", &st), -EBADMSG);
	AQ_CHECK_EQ_INT(parse("77 (sh) S x 2 3", &st), -EBADMSG);
	AQ_CHECK_EQ_INT(parse("99999999999999999999 (sh)" AQ_FIELDS, &st), -EBADMSG);
	AQ_CHECK_EQ_INT(parse("77 (sh) S -7 22 33 0 -1 0 0 0 0 0 0 0 0 0 0 0 1 0 9", &st), -EBADMSG);
	AQ_CHECK_EQ_INT(parse("77 (sh) S 1 22 33 0 -1 0 0 0 0 0 0 0 0 0 0 0 1 0 -9", &st), -EBADMSG);
}

AQ_TEST(status)
{
	static const char text[] = "Name:\tUid:\\n\nUmask:\t0022\nPid:\t9\nUid:\t1000\t1001\t1002\t1003\n"
				   "Gid:\t2000\t2001\t2002\t2003\nGroups:\t1 2 3 \nNSpid:\t900\t55\t7\n"
				   "CapEff:\t000001ffffffffff\nCapBnd:\t0\n";
	struct aq_procfs_status st;

	AQ_REQUIRE(aq_procfs_parse_status(text, sizeof(text) - 1, &st) == 0);
	AQ_CHECK_EQ_INT(st.uid, 1000);
	AQ_CHECK_EQ_INT(st.euid, 1001);
	AQ_CHECK_EQ_INT(st.gid, 2000);
	AQ_CHECK_EQ_INT(st.egid, 2001);
	AQ_CHECK_EQ_INT(st.ns_pid, 7);
	AQ_CHECK_EQ_U64(st.cap_effective, 0x1ffffffffffull);
	AQ_CHECK_EQ_INT(aq_procfs_parse_status("", 0, &st), -EBADMSG);
	AQ_CHECK_EQ_U64(st.uid, UINT32_MAX);
	static const char wide[] = "Uid:\t1\t99999999999\t3\t4\nGid:\t";
	AQ_CHECK_EQ_INT(aq_procfs_parse_status(wide, sizeof(wide) - 1, &st), -EBADMSG);
}

AQ_TEST(numbers)
{
	static const char big[] = "18446744073709551616";
	const char *s = big;
	uint64_t v = 5;
	int64_t i = 5;

	AQ_CHECK(!aq_parse_u64(&s, big + 20, &v) && s == big && v == 5);
	s = "-9223372036854775809";
	AQ_CHECK(!aq_parse_i64(&s, s + 20, &i));
	s = "- 1";
	AQ_CHECK(!aq_parse_i64(&s, s + 3, &i));
	s = "0100002";
	AQ_CHECK(aq_parse_octal(&s, s + 7, &v) && v == 0100002);
	s = "8";
	AQ_CHECK(!aq_parse_octal(&s, s + 1, &v));
	AQ_CHECK(aq_procfs_parse_bracket("net:[4026531840]", 16, "net", &v) && v == 4026531840u);
	AQ_CHECK(!aq_procfs_parse_bracket("net:[4026531840", 15, "net", &v));
	AQ_CHECK(!aq_procfs_parse_bracket("net:[]", 6, "net", &v));
	AQ_CHECK(!aq_procfs_parse_bracket("net:[1]x", 8, "net", &v));
	AQ_CHECK(!aq_procfs_parse_bracket("ne", 2, "net", &v));
}

AQ_TEST(mount_lines)
{
	char good[] = "41 31 0:38 /a\\040b /mnt/x\\011y\\134z rw,relatime shared:1 master:2 - cgroup2 none rw,nsdelegate";
	char bare[] = "41 31 0:38 / / rw - ext4 src";
	static const char *const bad[] = { "", "1 2 3", "41 31 0:38 / / rw", "41 31 0:38 / / rw -", "41 31 0:38 / / rw - ext4",
					   "41 31 x:38 / / rw - ext4 a b", "41 31 0:38x / / rw - ext4 a b",
					   "41 31 0 / / rw - ext4 a b" };
	struct aq_mount m;

	AQ_REQUIRE(aq_mount_parse(good, strlen(good), &m));
	AQ_CHECK_EQ_INT(m.major, 0);
	AQ_CHECK_EQ_INT(m.minor, 38);
	AQ_CHECK_EQ_STR(m.root, "/a b");
	AQ_CHECK_EQ_STR(m.point, "/mnt/x\ty\\z");
	AQ_CHECK_EQ_STR(m.fstype, "cgroup2");
	AQ_CHECK_EQ_STR(m.options, "rw,nsdelegate");
	AQ_CHECK(aq_mount_parse(bare, strlen(bare), &m));
	AQ_CHECK_EQ_STR(m.options, "");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char copy[64];

		strcpy(copy, bad[i]);
		AQ_CHECK(!aq_mount_parse(copy, strlen(copy), &m));
	}
}

static int temp_dir(char path[64])
{
	strcpy(path, "/tmp/aq-state-XXXXXX");
	AQ_REQUIRE(mkdtemp(path) != NULL);
	return open(path, O_RDONLY | O_DIRECTORY);
}

static void put(int dir, const char *name, const char *text, size_t len)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	AQ_REQUIRE(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	close(fd);
}

AQ_TEST(lines_longer_than_the_buffer)
{
	size_t long_len = 3 * AQ_SNAP_LINE_BYTES;
	char path[64], *text = malloc(long_len + 32), *buf = malloc(AQ_SNAP_LINE_BYTES), *line;
	struct aq_lines l;
	size_t len, n = 0;
	int dir = temp_dir(path);

	AQ_REQUIRE(text != NULL && buf != NULL);
	memcpy(text, "first\n", 6);
	memset(text + 6, 'x', long_len);
	memcpy(text + 6 + long_len, "\n\nlast\nrest", 11);
	n = 6 + long_len + 11;
	put(dir, "t", text, n);
	AQ_REQUIRE(aq_lines_open(&l, dir, "t", buf) == 0);
	AQ_CHECK(aq_lines_next(&l, &line, &len) == 1 && strcmp(line, "first") == 0);
	AQ_CHECK(aq_lines_next(&l, &line, &len) == 1 && len == 0);
	AQ_CHECK(aq_lines_next(&l, &line, &len) == 1 && strcmp(line, "last") == 0);
	AQ_CHECK(aq_lines_next(&l, &line, &len) == 0);
	AQ_CHECK_EQ_U64(l.skipped, 1);
	aq_lines_close(&l);
	unlinkat(dir, "t", 0);
	close(dir);
	rmdir(path);
	free(text);
	free(buf);
}

AQ_TEST(socket_tables)
{
	static const char tcp[] =
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
		"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 5001 1 0\n"
		"   1: 0100007F:1F91 0200007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 5002 1 0\n"
		"   2: 0100007F:1F92 zz\n"
		"   3: 0100007F:1F91 0200007F:C350 06 00000000:00000000 00:00000000 00000000  1000        0 0 1 0\n";
	static const char tcp6[] = "  sl h\n   0: 00000000000000000000000001000000:0050 "
				   "00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 5003 1\n";
	static const char unix_text[] =
		"Num       RefCount Protocol Flags    Type St Inode Path\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01 6001 /run/a b\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01 6002 @abstract\n"
		"0000000000000000: 00000003 00000000 00000000 0001 03 6003\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01 6004 x\n" /* a path with a newline forges: */
		"0000000000000000: 00000002 00000000 00010000 0001 01 6001 /evil\n"
		"0000000000000000: 00000002 00000000 00010000 0001 01 5001 /evil\n";
	char path[64], *buf = malloc(AQ_SNAP_LINE_BYTES);
	const struct aq_socket *e;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct aq_sockets s;
	int dir = temp_dir(path);

	AQ_REQUIRE(buf != NULL && aq_sockets_init(&s, 100) == 0);
	mkdirat(dir, "net", 0700);
	put(dir, "net/tcp", tcp, sizeof(tcp) - 1);
	put(dir, "net/tcp6", tcp6, sizeof(tcp6) - 1);
	put(dir, "net/unix", unix_text, sizeof(unix_text) - 1);
	AQ_CHECK_EQ_INT(aq_sockets_load(&s, dir, 4026531840u, buf), 0);
	AQ_REQUIRE((e = aq_sockets_find(&s, 5002)) != NULL);
	AQ_CHECK_EQ_INT(e->family, AF_INET);
	AQ_CHECK_EQ_INT(e->proto, IPPROTO_TCP);
	memcpy(&in, e->tuple, sizeof(in));
	AQ_CHECK_EQ_INT(in.sin_family, AF_INET);
	AQ_CHECK_EQ_INT(ntohs(in.sin_port), 8081);
	memcpy(&in, e->tuple + AQ_SNAP_SOCKADDR_BYTES, sizeof(in));
	AQ_CHECK_EQ_INT(ntohs(in.sin_port), 50000);
	AQ_REQUIRE((e = aq_sockets_find(&s, 5003)) != NULL);
	memcpy(&in6, e->tuple, sizeof(in6));
	AQ_CHECK_EQ_INT(ntohs(in6.sin6_port), 80);
	AQ_CHECK(IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr));
	AQ_REQUIRE((e = aq_sockets_find(&s, 5001)) != NULL && e->family == AF_INET && e->has_tuple);
	AQ_REQUIRE((e = aq_sockets_find(&s, 6001)) != NULL && e->ambiguous && !e->path && !e->has_tuple);
	AQ_REQUIRE((e = aq_sockets_find(&s, 6002)) != NULL);
	AQ_CHECK_EQ_STR(e->path, "@abstract");
	AQ_CHECK_EQ_MEM(e->tuple + 2, "\0abstract", 10);
	AQ_REQUIRE((e = aq_sockets_find(&s, 6003)) != NULL && e->has_tuple && !e->path);
	AQ_CHECK(aq_sockets_find(&s, 0) == NULL && aq_sockets_find(&s, 7) == NULL);
	/* a second reading, as after a process that went meanwhile, spoils nothing */
	AQ_CHECK_EQ_INT(aq_sockets_load(&s, dir, 1, buf), 0);
	AQ_REQUIRE((e = aq_sockets_find(&s, 6002)) != NULL && e->has_tuple && !e->ambiguous);
	aq_sockets_release(&s);
	AQ_REQUIRE(aq_sockets_init(&s, 2) == 0);
	AQ_CHECK_EQ_INT(aq_sockets_load(&s, dir, 1, buf), 0);
	AQ_CHECK_EQ_U64(s.used, 2);
	AQ_CHECK(s.skipped > 0);
	aq_sockets_release(&s);
	unlinkat(dir, "net/tcp", 0);
	unlinkat(dir, "net/tcp6", 0);
	unlinkat(dir, "net/unix", 0);
	unlinkat(dir, "net", AT_REMOVEDIR);
	close(dir);
	rmdir(path);
	free(buf);
}

AQ_TEST_MAIN()
