/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Local and remote address of a socket from the socket itself (AQ_ATTRTYPE_TUPLE: two addresses of 28 bytes). */
#ifndef AQ_BPF_SOCK_H
#define AQ_BPF_SOCK_H

#include <bpf/bpf_core_read.h>

#include "path.bpf.h"

enum { FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10, TUPLE_HALF = 28 };
enum { MODE_FORMAT = 0170000, MODE_SOCKET = 0140000 };

static __always_inline void put_ports(char *to, struct sock *sk, u16 family)
{
	*(u16 *)(void *)(to + 2) = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_num));
	*(u16 *)(void *)(to + TUPLE_HALF + 2) = BPF_CORE_READ(sk, __sk_common.skc_dport);
	if (family == FAMILY_INET) {
		bpf_core_read(to + 4, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_core_read(to + TUPLE_HALF + 4, 4, &sk->__sk_common.skc_daddr);
	} else if (bpf_core_field_exists(sk->__sk_common.skc_v6_daddr)) {
		bpf_core_read(to + 8, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(to + TUPLE_HALF + 8, 16, &sk->__sk_common.skc_v6_daddr);
	}
}

/* The first 26 bytes of the name; an unnamed socket has the family only. */
static __always_inline void put_unix_name(char *to, struct sock *sk)
{
	struct unix_address *addr = BPF_CORE_READ((struct unix_sock *)sk, addr);
	int len = addr ? BPF_CORE_READ(addr, len) : 0;
	u32 n = len > 0 ? (u32)len : 0;

	if (n > TUPLE_HALF) /* proves the bound of the read */
		n = TUPLE_HALF;
	if (n > 2)
		bpf_probe_read_kernel(to, n, (void *)addr + bpf_core_field_offset(struct unix_address, name));
}

enum { SOCKET_DATAGRAM = 2, PORT_DNS = 53, PORT_DNS_NETWORK = 53 << 8, PORT_UNCONNECTED = 0, PORT_NONE = 0xffffffff };

/* The peer's port of an internet datagram socket: PORT_UNCONNECTED if it has no peer, PORT_NONE if it is none. */
static __noinline u32 datagram_port(u64 fd)
{
	struct file *file = current_file((u32)fd);

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & MODE_FORMAT) != MODE_SOCKET)
		return PORT_NONE;
	struct socket *sock = BPF_CORE_READ(file, private_data);
	struct sock *sk = BPF_CORE_READ(sock, sk);
	if (BPF_CORE_READ(sock, type) != SOCKET_DATAGRAM || !sk)
		return PORT_NONE;
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != FAMILY_INET && family != FAMILY_INET6)
		return PORT_NONE;
	return __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

static __noinline u32 put_tuple(struct attrs *a, u64 fd)
{
	char *place = attr_place(a);
	struct file *file = current_file(fd);

	if (!place)
		return 1;
	char *to = place + sizeof(struct aq_wire_attr);
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & MODE_FORMAT) != MODE_SOCKET)
		return 0;
	struct socket *sock = BPF_CORE_READ(file, private_data);
	struct sock *sk = BPF_CORE_READ(sock, sk);
	if (!sk)
		return 0;
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	for (u32 i = 0; i < 2 * TUPLE_HALF / 8; i++)
		((u64 *)(void *)to)[i] = 0;
	*(u16 *)(void *)to = family;
	*(u16 *)(void *)(to + TUPLE_HALF) = family;
	if (family == FAMILY_INET || family == FAMILY_INET6) {
		put_ports(to, sk, family);
	} else if (family == FAMILY_UNIX && bpf_core_type_exists(struct unix_sock)) {
		struct sock *peer = BPF_CORE_READ((struct unix_sock *)sk, peer);

		put_unix_name(to, sk);
		if (peer)
			put_unix_name(to + TUPLE_HALF, peer);
	} else {
		return 0;
	}
	attr_head(a, place, AQ_ATTR_TUPLE, 0, 2 * TUPLE_HALF, 0);
	return 0;
}

#endif
