/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes each call that carries an attribute or a structure, with success and with failure, and says as one JSON object a
 * line what a capture must hold of it: type, result, every argument, attributes. usage: trigger_attributes FOLDER
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAD ((void *)8) /* an address where nothing is */

static long call(long nr, long a, long b, long c, long d, long e, long f)
{
	long r = syscall(nr, a, b, c, d, e, f);

	return r == -1 ? -errno : r;
}
#define CALL6(nr, a, b, c, d, e, f, ...) call(SYS_##nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define CALL(...) CALL6(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

/* One line; args and attrs as the inside of a JSON object. */
__attribute__((format(printf, 4, 5))) static void expect(const char *type, long result, const char *attrs, const char *args, ...)
{
	va_list list;

	printf("{\"type\":\"%s\",\"res\":%ld,\"attrs\":{%s},\"args\":{", type, result, attrs);
	va_start(list, args);
	vprintf(args, list);
	va_end(list);
	printf("}}\n");
}

/* An unreadable structure says so. */
#define UNREADABLE "\"data\":null"

static void files(void)
{
	struct open_how how = { .flags = O_RDWR | O_CREAT | O_CLOEXEC, .mode = 0640, .resolve = RESOLVE_BENEATH };
	char cwd[512], attrs[600];
	long fd = CALL(openat2, AT_FDCWD, "made", &how, sizeof(how));

	if (getcwd(cwd, sizeof(cwd)) == NULL)
		exit(1);
	snprintf(attrs, sizeof(attrs), "\"kpath\":\"%s/made\"", cwd);
	expect("openat2", fd, attrs, "\"dirfd\":-100,\"name\":\"made\",\"size\":24,\"flags\":\"O_CREAT|O_CLOEXEC|O_RDWR\",\"mode\":"
	       "\"0640\",\"resolve\":\"RESOLVE_BENEATH\"");
	expect("openat2", CALL(openat2, AT_FDCWD, "made", BAD, 24), UNREADABLE,
	       "\"dirfd\":-100,\"name\":\"made\",\"size\":24,\"flags\":\"O_RDONLY\",\"mode\":\"0\",\"resolve\":\"0\"");
	expect("ioctl", CALL(ioctl, fd, FIONREAD, BAD), "", "\"fd\":%ld,\"request\":\"FIONREAD\",\"argument\":8", fd);
	expect("setxattr", CALL(setxattr, "made", "user.colour", "red", 3, 0), "",
	       "\"path\":\"made\",\"name\":\"user.colour\",\"size\":3,\"flags\":\"0\"");
	expect("fsetxattr", CALL(fsetxattr, 12345, "user.colour", "red", 3, 0), "",
	       "\"fd\":12345,\"name\":\"user.colour\",\"size\":3,\"flags\":\"0\"");
	expect("link", CALL(link, "made", "hard"), "", "\"oldpath\":\"made\",\"newpath\":\"hard\"");
	expect("symlink", CALL(symlink, "made", "soft"), "", "\"target\":\"made\",\"linkpath\":\"soft\"");
	expect("rename", CALL(rename, "hard", "harder"), "", "\"oldpath\":\"hard\",\"newpath\":\"harder\"");
	expect("rename", CALL(rename, "missing", "anything"), "", "\"oldpath\":\"missing\",\"newpath\":\"anything\"");
	long inotify = CALL(inotify_init1, 0);
	expect("inotify_add_watch", CALL(inotify_add_watch, inotify, "made", 2), "",
	       "\"fd\":%ld,\"path\":\"made\",\"mask\":\"IN_MODIFY\"", inotify);
	long memfd = CALL(memfd_create, "payload", 1);
	expect("memfd_create", memfd, "", "\"name\":\"payload\",\"flags\":\"MFD_CLOEXEC\"");
	int ends[2];
	long made = CALL(pipe2, ends, O_CLOEXEC);
	snprintf(attrs, sizeof(attrs), "\"fds\":[%d,%d]", ends[0], ends[1]);
	expect("pipe2", made, attrs, "\"flags\":\"O_CLOEXEC\"");
	expect("pipe2", CALL(pipe2, BAD, 0), "", "\"flags\":\"0\"");
	long dir = CALL(openat, AT_FDCWD, cwd, O_RDONLY | O_DIRECTORY);
	snprintf(attrs, sizeof(attrs), "\"kpath\":\"%s\"", cwd);
	expect("fchdir", CALL(fchdir, dir), attrs, "\"fd\":%ld", dir);
	expect("quotactl", CALL(quotactl, 0x80000100u, "/dev/none", 0, 0), "",
	       "\"cmd\":\"Q_SYNC|USRQUOTA\",\"special\":\"/dev/none\",\"id\":0");
	expect("swapon", CALL(swapon, "nothing-here", 0), "", "\"path\":\"nothing-here\",\"flags\":\"0\"");
	expect("chroot", CALL(chroot, "nothing-here"), "", "\"path\":\"nothing-here\"");
	close((int)fd);
	close((int)dir);
	close((int)inotify);
	close((int)memfd);
}

static void names(void)
{
	static const char *const vector[] = { "prog", "first one", "", NULL };

	expect("prctl", CALL(prctl, PR_SET_NAME, "renamed"), "\"name\":\"renamed\"", "\"option\":\"PR_SET_NAME\",\"arg3\":\"0\","
	       "\"arg4\":\"0\",\"arg5\":\"0\"");
	expect("prctl", CALL(prctl, PR_SET_DUMPABLE, 1), "",
	       "\"option\":\"PR_SET_DUMPABLE\",\"arg2\":\"0x1\",\"arg3\":\"0\",\"arg4\":\"0\",\"arg5\":\"0\"");
	expect("ptrace", CALL(ptrace, PTRACE_SEIZE, 0x7ffffff0, 0, 0), "",
	       "\"request\":\"PTRACE_SEIZE\",\"pid\":2147483632,\"addr\":\"0\",\"data\":\"0\"");
	expect("delete_module", CALL(delete_module, "no_such_module", O_NONBLOCK), "",
	       "\"name\":\"no_such_module\",\"flags\":\"O_NONBLOCK\"");
	expect("init_module", CALL(init_module, "xx", 2, "a=1 b=2"), "", "\"length\":2,\"uargs\":\"a=1 b=2\"");
	long null = CALL(openat, AT_FDCWD, "/dev/null", O_RDONLY);
	expect("finit_module", CALL(finit_module, null, "c=3", 1), "\"kpath\":\"/dev/null\"",
	       "\"fd\":%ld,\"uargs\":\"c=3\",\"flags\":\"MODULE_INIT_IGNORE_MODVERSIONS\"", null);
	close((int)null);
	expect("add_key", CALL(add_key, "no-such-type", "a key", "x", 1, -2), "",
	       "\"type\":\"no-such-type\",\"description\":\"a key\",\"plen\":1,\"keyring\":-2");
	expect("request_key", CALL(request_key, "no-such-type", "a key", "ask", -2), "",
	       "\"type\":\"no-such-type\",\"description\":\"a key\",\"callout\":\"ask\",\"keyring\":-2");
	expect("keyctl", CALL(keyctl, 10, -2, "user", "the key", 0), "\"text\":\"user\",\"name\":\"the key\"",
	       "\"option\":\"KEYCTL_SEARCH\",\"arg2\":\"0xfffffffffffffffe\",\"arg5\":\"0\"");
	expect("sethostname", CALL(sethostname, "host-behind", (size_t)-1), "", "\"len\":18446744073709551615");
	expect("execve", CALL(execve, "/nothing/here", vector, NULL), "\"argv\":[\"prog\",\"first one\",\"\"]",
	       "\"filename\":\"/nothing/here\"");
	expect("execveat", CALL(execveat, -100, "nothing-here", vector, NULL, 0), "\"argv\":[\"prog\",\"first one\",\"\"]",
	       "\"dirfd\":-100,\"pathname\":\"nothing-here\",\"flags\":\"0\"");
	expect("kill", CALL(kill, 0x7ffffff0, SIGTERM), "", "\"pid\":2147483632,\"sig\":\"SIGTERM\"");
	expect("tgkill", CALL(tgkill, 0x7ffffff0, 0x7ffffff0, SIGUSR1), "",
	       "\"tgid\":2147483632,\"tid\":2147483632,\"sig\":\"SIGUSR1\"");
	struct iovec v = { &null, 1 };
	expect("process_vm_readv", CALL(process_vm_readv, 0x7ffffff0, &v, 1, &v, 1, 0), "",
	       "\"pid\":2147483632,\"liovcnt\":1,\"riovcnt\":1,\"flags\":\"0\"");
	expect("seccomp", CALL(seccomp, 2, 0, BAD), "", "\"op\":\"SECCOMP_GET_ACTION_AVAIL\",\"flags\":\"0\"");
}

static void mounts(void)
{
	struct { uint64_t set, clear, propagation, userns; } attr = { 1, 2, MS_PRIVATE, 77 };

	expect("mount", CALL(mount, "a-source", "no-target", "no-type", MS_NODEV, "mode=0700"), "",
	       "\"dev\":\"a-source\",\"dir\":\"no-target\",\"type\":\"no-type\",\"flags\":\"MS_NODEV\",\"data\":\"mode=0700\"");
	expect("umount2", CALL(umount2, "no-target", MNT_DETACH), "", "\"name\":\"no-target\",\"flags\":\"MNT_DETACH\"");
	expect("pivot_root", CALL(pivot_root, "new-root", "old-root"), "", "\"new_root\":\"new-root\",\"put_old\":\"old-root\"");
	expect("mount_setattr", CALL(mount_setattr, AT_FDCWD, "no-target", 0, &attr, sizeof(attr)), "",
	       "\"dfd\":-100,\"path\":\"no-target\",\"flags\":\"0\",\"usize\":32,\"attr_set\":\"MOUNT_ATTR_RDONLY\","
	       "\"attr_clr\":\"MOUNT_ATTR_NOSUID\",\"propagation\":\"MS_PRIVATE\",\"userns_fd\":77");
	expect("move_mount", CALL(move_mount, -1, "from-there", -1, "to-here", 4), "",
	       "\"from_dfd\":-1,\"from_path\":\"from-there\",\"to_dfd\":-1,\"to_path\":\"to-here\",\"flags\":"
	       "\"MOVE_MOUNT_F_EMPTY_PATH\"");
	long context = CALL(fsopen, "tmpfs", 1);
	expect("fsopen", context, "", "\"fsname\":\"tmpfs\",\"flags\":\"FSOPEN_CLOEXEC\"");
	expect("fsconfig", CALL(fsconfig, context, 1, "size", "64k", 0), "\"options\":\"64k\"",
	       "\"fd\":%ld,\"cmd\":\"FSCONFIG_SET_STRING\",\"key\":\"size\",\"aux\":0", context);
	expect("fsconfig", CALL(fsconfig, context, 0, "ro", NULL, 0), "",
	       "\"fd\":%ld,\"cmd\":\"FSCONFIG_SET_FLAG\",\"key\":\"ro\",\"aux\":0", context);
	close((int)context);
	long ns = CALL(openat, AT_FDCWD, "/proc/self/ns/uts", O_RDONLY);
	struct stat st;
	fstat((int)ns, &st);
	expect("setns", CALL(setns, ns, CLONE_NEWUTS), "",
	       "\"fd\":%ld,\"nstype\":\"CLONE_NEWUTS\",\"ns_kind\":\"CLONE_NEWUTS\",\"ns_ino\":%lu", ns, (unsigned long)st.st_ino);
	expect("setns", CALL(setns, ns, CLONE_NEWNET), "",
	       "\"fd\":%ld,\"nstype\":\"CLONE_NEWNET\",\"ns_kind\":\"CLONE_NEWUTS\",\"ns_ino\":%lu", ns, (unsigned long)st.st_ino);
	close((int)ns);
	expect("unshare", CALL(unshare, CLONE_NEWUTS), "", "\"flags\":\"CLONE_NEWUTS\"");
}

static void structures(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	struct rlimit64 { uint64_t cur, max; } limit = { 5, 6 }, old;
	struct clone_args clone = { .flags = CLONE_FS, .exit_signal = SIGCHLD, .stack = 4096 };
	int one = 1;
	socklen_t length = sizeof(one);

	long r = CALL(capget, &header, data);
	expect("capget", r, "", "\"pid\":0,\"effective\":\"%#llx\",\"permitted\":\"%#llx\",\"inheritable\":\"%#llx\"",
	       data[0].effective | (unsigned long long)data[1].effective << 32,
	       data[0].permitted | (unsigned long long)data[1].permitted << 32,
	       data[0].inheritable | (unsigned long long)data[1].inheritable << 32);
	header.pid = 0x7ffffff0;
	data[0].inheritable = 0x80;
	r = CALL(capset, &header, data);
	expect("capset", r, "", "\"pid\":2147483632,\"effective\":\"%#llx\",\"permitted\":\"%#llx\",\"inheritable\":\"%#llx\"",
	       data[0].effective | (unsigned long long)data[1].effective << 32,
	       data[0].permitted | (unsigned long long)data[1].permitted << 32,
	       data[0].inheritable | (unsigned long long)data[1].inheritable << 32);
	CALL(prlimit64, 0, RLIMIT_CORE, NULL, &old);
	limit.max = old.max;
	limit.cur = old.max < 5 ? 0 : 5;
	r = CALL(prlimit64, 0, RLIMIT_CORE, &limit, &old);
	expect("prlimit64", r, "", "\"pid\":0,\"resource\":\"RLIMIT_CORE\",\"sets\":true,\"new_cur\":%llu,\"new_max\":%llu,"
	       "\"old_cur\":%llu,\"old_max\":%llu", (unsigned long long)limit.cur, (unsigned long long)limit.max,
	       (unsigned long long)old.cur, (unsigned long long)old.max);
	expect("setrlimit", CALL(setrlimit, 99, &limit), "", "\"resource\":\"99\",\"cur\":%llu,\"max\":%llu",
	       (unsigned long long)limit.cur, (unsigned long long)limit.max);
	expect("clone3", CALL(clone3, &clone, sizeof(clone)), "",
	       "\"size\":%zu,\"flags\":\"CLONE_FS\",\"exit_signal\":\"SIGCHLD\",\"stack\":\"0x1000\",\"stack_size\":0,"
	       "\"set_tid_size\":0,\"cgroup\":0", sizeof(clone));
	long sock = CALL(socket, AF_INET, SOCK_STREAM, 0);
	expect("setsockopt", CALL(setsockopt, sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), "",
	       "\"fd\":%ld,\"level\":\"SOL_SOCKET\",\"optname\":2,\"optlen\":4,\"option\":\"SO_REUSEADDR\",\"value\":1", sock);
	expect("getsockopt", CALL(getsockopt, sock, IPPROTO_TCP, TCP_NODELAY, &one, &length), "",
	       "\"fd\":%ld,\"level\":\"IPPROTO_TCP\",\"optname\":1,\"option\":\"TCP_NODELAY\",\"value\":0", sock);
	close((int)sock);
	expect("clock_settime", CALL(clock_settime, 77, (&(struct { long s, n; }){ 12, 34 })), "",
	       "\"clockid\":\"77\",\"sec\":12,\"nsec\":34");
	union bpf_attr bpf = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };
	snprintf(bpf.map_name, sizeof(bpf.map_name), "a_map");
	long map = CALL(bpf, BPF_MAP_CREATE, &bpf, sizeof(bpf));
	expect("bpf", map, "\"name\":\"a_map\"", "\"cmd\":\"BPF_MAP_CREATE\",\"size\":%zu,\"prog_type\":\"BPF_PROG_TYPE_UNSPEC\","
	       "\"map_type\":\"BPF_MAP_TYPE_ARRAY\",\"attach_type\":\"BPF_CGROUP_INET_INGRESS\",\"prog_fd\":0,\"target_fd\":0",
	       sizeof(bpf));
	close((int)map);
	memset(&bpf, 0, sizeof(bpf));
	bpf.pathname = (uint64_t)(uintptr_t)"/sys/fs/bpf/no-such-object";
	bpf.bpf_fd = 9999;
	expect("bpf", CALL(bpf, BPF_OBJ_PIN, &bpf, sizeof(bpf)), "\"path\":\"/sys/fs/bpf/no-such-object\"",
	       "\"cmd\":\"BPF_OBJ_PIN\",\"size\":%zu,\"prog_type\":\"BPF_PROG_TYPE_UNSPEC\",\"map_type\":\"BPF_MAP_TYPE_UNSPEC\","
	       "\"attach_type\":\"BPF_CGROUP_INET_INGRESS\",\"prog_fd\":9999,\"target_fd\":0", sizeof(bpf));
}

static void messages(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct iovec vec = { (char *)"hello", 5 };
	struct msghdr msg = { .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &vec, .msg_iovlen = 1 };
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, from;
	socklen_t length = sizeof(self);
	char text[64], attrs[200];
	long sock = CALL(socket, AF_INET, SOCK_DGRAM, 0), other = CALL(socket, AF_INET, SOCK_DGRAM, 0);

	if (bind((int)sock, (struct sockaddr *)&self, sizeof(self)) < 0 || getsockname((int)sock, (struct sockaddr *)&self, &length) < 0)
		exit(1);
	to.sin_port = self.sin_port;
	snprintf(attrs, sizeof(attrs), "\"addr\":\"127.0.0.1:%d\"", ntohs(self.sin_port));
	expect("sendmsg", CALL(sendmsg, other, &msg, 0), attrs, "\"fd\":%ld,\"flags\":\"0\"", other);
	expect("sendto", CALL(sendto, other, "again", 5, 0, &to, sizeof(to)), "",
	       "\"fd\":%ld,\"size\":5,\"flags\":\"0\",\"addr\":\"127.0.0.1:%d\",\"addrlen\":16", other, ntohs(self.sin_port));
	length = sizeof(self);
	getsockname((int)other, (struct sockaddr *)&self, &length);
	vec = (struct iovec){ text, sizeof(text) };
	msg.msg_name = &from;
	snprintf(attrs, sizeof(attrs), "\"addr\":\"127.0.0.1:%d\"", ntohs(self.sin_port));
	expect("recvmsg", CALL(recvmsg, sock, &msg, 0), attrs, "\"fd\":%ld,\"flags\":\"0\"", sock);
	length = sizeof(from);
	expect("recvfrom", CALL(recvfrom, sock, text, sizeof(text), MSG_DONTWAIT, &from, &length), "",
	       "\"fd\":%ld,\"size\":64,\"flags\":\"MSG_DONTWAIT\",\"addr\":\"127.0.0.1:%d\"", sock, ntohs(self.sin_port));
	expect("recvfrom", CALL(recvfrom, sock, text, sizeof(text), MSG_DONTWAIT, &from, &length), "",
	       "\"fd\":%ld,\"size\":64,\"flags\":\"MSG_DONTWAIT\"", sock);
	close((int)sock);
	close((int)other);
}

struct ring {
	int fd;
	unsigned *tail, *mask, *array, *done_head;
	struct io_uring_sqe *entries;
};

static int open_ring(struct ring *ring)
{
	struct io_uring_params p = { .flags = IORING_SETUP_CLAMP };
	long fd = CALL(io_uring_setup, 8, &p);
	char *base;

	expect("io_uring_setup", fd, "", "\"entries\":8,\"flags\":\"IORING_SETUP_CLAMP\"");
	if (fd < 0)
		return -1;
	base = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, IORING_OFF_SQ_RING);
	ring->fd = (int)fd;
	ring->tail = (unsigned *)(void *)(base + p.sq_off.tail);
	ring->mask = (unsigned *)(void *)(base + p.sq_off.ring_mask);
	ring->array = (unsigned *)(void *)(base + p.sq_off.array);
	ring->entries = mmap(NULL, p.sq_entries * sizeof(*ring->entries), PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd, IORING_OFF_SQES);
	return base == MAP_FAILED || ring->entries == MAP_FAILED ? -1 : 0;
}

static void submit(struct ring *ring, const struct io_uring_sqe *entry)
{
	unsigned at = *ring->tail & *ring->mask;

	ring->entries[at] = *entry;
	ring->array[at] = at;
	__atomic_store_n(ring->tail, *ring->tail + 1, __ATOMIC_RELEASE);
	syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
}

static uint64_t pointer(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* Requests whose result does not need to be known: the test looks for their ends by user data. */
static void rings(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct ring ring;
	char text[8];

	if (open_ring(&ring) < 0)
		return;
	submit(&ring, &(struct io_uring_sqe){ .opcode = IORING_OP_MKDIRAT, .fd = AT_FDCWD, .addr = pointer("ring-dir"), .len = 0750, .user_data = 0x101 });
	expect("uring_submit", 0, "", "\"opcode\":\"IORING_OP_MKDIRAT\",\"fd\":-100,\"offset\":\"0\",\"len\":488,\"op_flags\":\"0\","
	       "\"user_data\":\"0x101\",\"sqe_flags\":\"0\",\"personality\":0,\"result\":0,\"path\":\"ring-dir\"");
	expect("uring_complete", 0, "", "\"opcode\":\"IORING_OP_MKDIRAT\",\"result\":0,\"flags\":\"0\",\"user_data\":\"0x101\"");
	submit(&ring, &(struct io_uring_sqe){ .opcode = IORING_OP_RENAMEAT, .fd = AT_FDCWD, .addr = pointer("ring-dir"), .len = (unsigned)AT_FDCWD,
					     .addr2 = pointer("ring-moved"), .user_data = 0x102 });
	expect("uring_submit", 0, "", "\"opcode\":\"IORING_OP_RENAMEAT\",\"fd\":-100,\"len\":4294967196,\"op_flags\":\"0\","
	       "\"user_data\":\"0x102\",\"sqe_flags\":\"0\",\"personality\":0,\"result\":0,\"path\":\"ring-dir\",\"path2\":\"ring-moved\"");
	submit(&ring, &(struct io_uring_sqe){ .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = pointer("missing"), .flags = IOSQE_ASYNC, .user_data = 0x103 });
	expect("uring_submit", 0, "", "\"opcode\":\"IORING_OP_OPENAT\",\"fd\":-100,\"offset\":\"0\",\"len\":0,\"op_flags\":\"0\","
	       "\"user_data\":\"0x103\",\"sqe_flags\":\"IOSQE_ASYNC\",\"personality\":0,\"result\":0,\"path\":\"missing\"");
	expect("uring_complete", 0, "", "\"opcode\":\"IORING_OP_OPENAT\",\"result\":-2,\"flags\":\"0\",\"user_data\":\"0x103\"");
	int sock = socket(AF_INET, SOCK_STREAM, 0);
	submit(&ring, &(struct io_uring_sqe){ .opcode = IORING_OP_CONNECT, .fd = sock, .addr = pointer(&to), .off = sizeof(to), .user_data = 0x104 });
	expect("uring_submit", 0, "", "\"opcode\":\"IORING_OP_CONNECT\",\"fd\":%d,\"offset\":\"0x10\",\"len\":0,\"op_flags\":\"0\","
	       "\"user_data\":\"0x104\",\"sqe_flags\":\"0\",\"personality\":0,\"result\":0,\"addr\":\"127.0.0.1:9\"", sock);
	close(sock);
	int null = open("/dev/zero", O_RDONLY);
	submit(&ring, &(struct io_uring_sqe){ .opcode = IORING_OP_READ, .fd = null, .addr = pointer(text), .len = sizeof(text), .user_data = 0x105 });
	expect("uring_io", 0, "", "\"opcode\":\"IORING_OP_READ\",\"fd\":%d,\"offset\":\"0\",\"len\":8,\"op_flags\":\"0\","
	       "\"user_data\":\"0x105\",\"sqe_flags\":\"0\",\"personality\":0,\"result\":0", null);
	expect("uring_complete", 0, "", "\"opcode\":\"IORING_OP_READ\",\"result\":8,\"flags\":\"0\",\"user_data\":\"0x105\"");
	close(null);
	submit(&ring, &(struct io_uring_sqe){ .opcode = 200, .fd = 3, .user_data = 0x106 });
	expect("uring_submit", 0, "", "\"user_data\":\"0x106\",\"result\":-22");
	close(ring.fd);
}

int main(int argc, char **argv)
{
	if (argc != 2 || chdir(argv[1]) < 0)
		return 2;
	if (unshare(CLONE_NEWUTS | CLONE_NEWNS) < 0)
		return 77;
	files();
	names();
	mounts();
	structures();
	messages();
	rings();
	return fflush(stdout) == 0 ? 0 : 1;
}
