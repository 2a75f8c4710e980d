/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DNS server on port 53 of a network namespace of its own, and clients that ask it in the ways that programs do: each for a
 * name that says how. usage: trigger_dns FOLDER
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = 0x3500, .sin_addr.s_addr = 0x0100007f };

/* Every name is 10.9.8.N, N the length of its first label; to anything but A there is no answer. */
static void serve(int sock)
{
	unsigned char packet[512];
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(sock, packet, sizeof(packet) - 16, 0, (struct sockaddr *)&from, &length)) > 16) {
		size_t end = 12;

		while (end < (size_t)n && packet[end] != 0)
			end += packet[end] + 1u;
		end += 5;
		if (end > (size_t)n)
			continue;
		packet[2] = 0x81, packet[3] = 0x80;
		packet[7] = packet[end - 3] == 1;
		packet[9] = packet[11] = 0;
		if (packet[7]) {
			memcpy(packet + end, "\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4\x0a\x09\x08", 15);
			packet[end + 15] = packet[12];
			end += 16;
		}
		sendto(sock, packet, end, 0, (struct sockaddr *)&from, length);
	}
}

static size_t question(unsigned char *packet, const char *label)
{
	size_t n = strlen(label);

	memcpy(packet, "\x55\x55\1\0\0\1\0\0\0\0\0\0", 12);
	packet[12] = (unsigned char)n;
	memcpy(packet + 13, label, n);
	memcpy(packet + 13 + n, "\4test\0\0\1\0\1", 10);
	return 13 + n + 10;
}

static void ask(const char *label, bool connected)
{
	unsigned char packet[512];
	size_t n = question(packet, label);
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in from;
	struct iovec vec = { packet, sizeof(packet) };
	struct mmsghdr msg = { .msg_hdr = { .msg_iov = &vec, .msg_iovlen = 1 } };
	socklen_t length = sizeof(from);

	if (connected && connect(sock, (struct sockaddr *)&server, sizeof(server)) < 0)
		exit(3);
	if (sendto(sock, packet, n, 0, connected ? NULL : (struct sockaddr *)&server, connected ? 0 : sizeof(server)) != (ssize_t)n)
		exit(3);
	if (!connected) {
		msg.msg_hdr.msg_name = &from;
		msg.msg_hdr.msg_namelen = sizeof(from);
	}
	if (strncmp(label, "read", 4) == 0)
		n = (size_t)read(sock, packet, sizeof(packet));
	else if (strncmp(label, "recvmsg", 7) == 0)
		n = (size_t)recvmsg(sock, &msg.msg_hdr, 0);
	else if (strncmp(label, "recvmmsg", 8) == 0)
		n = (size_t)recvmmsg(sock, &msg, 1, 0, NULL);
	else
		n = (size_t)recvfrom(sock, packet, sizeof(packet), 0, connected ? NULL : (struct sockaddr *)&from, connected ? NULL : &length);
	if ((ssize_t)n <= 0)
		exit(4);
	close(sock);
}

/* The same bytes from another port say nothing. */
static void not_dns(void)
{
	unsigned char packet[64] = "\x55\x55\x81\x80\0\1\0\1\0\0\0\0\4evil\4test\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4\6\6\6\6";
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0 || send(pair[0], packet, 44, 0) != 44 || recv(pair[1], packet, 64, 0) != 44)
		exit(5);
	if (send(pair[0], packet, 44, 0) != 44 || read(pair[1], packet, 64) != 44)
		exit(5);
}

static int resolver(const char *folder)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list = NULL;
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/resolv.conf", folder);
	f = fopen(path, "we");
	if (f == NULL || fputs("nameserver 127.0.0.1\noptions attempts:1 timeout:2\n", f) < 0 || fclose(f) != 0)
		return 6;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
		return 77;
	if (getaddrinfo("libc-resolver.test", "80", &hints, &list) != 0)
		return 7;
	freeaddrinfo(list);
	return 0;
}

int main(int argc, char **argv)
{
	struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int sock, r;
	pid_t child;

	if (argc != 2)
		return 2;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		return 77;
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &up) < 0 || bind(sock, (struct sockaddr *)&server, sizeof(server)) < 0)
		return 77;
	child = fork();
	if (child == 0) {
		serve(sock);
		_exit(0);
	}
	close(sock);
	ask("read-connected", true);
	ask("recvfrom", false);
	ask("recvfrom-connected", true);
	ask("recvmsg-free", false);
	ask("recvmmsg-connected", true);
	ask("recvmmsg-x", false);
	not_dns();
	r = resolver(argv[1]);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return r;
}
