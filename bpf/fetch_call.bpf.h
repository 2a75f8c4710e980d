/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The attributes of a system call, as its row of the table says: which argument leads to what, and when. Which calls
 * want what is user space's business (recorder/calls.c), what a structure's bytes mean too (recorder/structs.c).
 */
#ifndef AQ_BPF_FETCH_CALL_H
#define AQ_BPF_FETCH_CALL_H

#include "fetch.bpf.h"
#include "sock.bpf.h"

enum { ERR_INPROGRESS = 115, MAGIC_NSFS = 0x6e736673 };

/* A pointer, or a length of its width, in the user's memory; 0 if it can't be read. */
static __always_inline u64 user_word(u64 at, bool compat)
{
	u64 word = 0;

	bpf_probe_read_user(&word, compat ? 4 : 8, (const void *)at);
	return word;
}

/* Port of an internet address in the user's memory, in network order. */
static __always_inline u16 user_port(u64 at)
{
	u16 word[2] = {};

	if (at && bpf_probe_read_user(word, sizeof(word), (const void *)at) == 0 &&
	    (word[0] == FAMILY_INET || word[0] == FAMILY_INET6))
		return word[1];
	return 0;
}

/* Where struct msghdr has the address, its length and the vector: the members are as wide as pointers. */
static __always_inline u64 message_name(u64 message, bool compat, u32 *ret_len)
{
	bpf_probe_read_user(ret_len, sizeof(*ret_len), (const void *)(message + (compat ? 4 : 8)));
	return user_word(message, compat);
}

/* Do the bytes begin as an answer to one question does? */
static __always_inline bool begins_as_answer(u64 user)
{
	u8 head[6] = {};

	return bpf_probe_read_user(head, sizeof(head), (const void *)user) == 0 && (head[2] & 0xf8) == 0x80 && head[4] == 0 &&
	       head[5] == 1;
}

/*
 * The cheapest test that most reads do not pass: is it a socket, where a few loads tell, else the first bytes, because
 * without typed pointers the way to a descriptor's file costs several times as much.
 */
static __always_inline bool may_be_answer(struct aq_wire_fixed *slot)
{
	struct file *file;

	if (!cfg_typed_pointers)
		return begins_as_answer(slot->args[1]);
	file = current_file((u32)slot->args[0]);
	return file && (AQ_TYPED(file, struct file)->f_inode->i_mode & MODE_FORMAT) == MODE_SOCKET;
}

/* Has the call that just ended (args[0]: its descriptor) read an answer of a DNS server from a datagram socket? */
static __noinline u32 is_dns_answer(struct aq_wire_fixed *slot, struct aq_wire_call *call, u32 compat)
{
	u32 port = slot->ret < 0 ? 0 : datagram_port(slot->args[0]), len = 0;

	if (port != PORT_UNCONNECTED)
		return port == PORT_DNS;
	u32 kind = call->attr[0].kind;
	if (kind == AQ_WIRE_FETCH_SOCKADDR_OUT) /* recvfrom */
		return user_port(slot->args[4]) == PORT_DNS_NETWORK;
	if (kind == AQ_WIRE_FETCH_MSG_NAME) /* recvmsg, recvmmsg */
		return user_port(message_name(slot->args[1], compat, &len)) == PORT_DNS_NETWORK;
	return 0;
}

/* What was read or written: only the bytes that the result says, of several buffers those of the first. */
static __noinline u32 put_data(struct attrs *a, struct aq_wire_call *call, u32 i, u32 compat)
{
	struct aq_wire_fixed *slot = a->slot;
	u32 word = compat ? 4 : 8, limit = cfg_data_max, flags = 0;

	if (i >= AQ_WIRE_FETCHES || slot->ret <= 0) /* proves the bound of attr */
		return 1;
	u32 n = call->attr[i].arg, kind = call->attr[i].kind, when = call->attr[i].when;
	if (n >= AQ_WIRE_ARGS)
		return 1;
	u64 user = slot->args[n], bytes = (u64)slot->ret;
	if (kind == AQ_WIRE_FETCH_MMSG_DATA) {
		bytes = 0; /* a 32-bit number behind the header, which is 7 words */
		bpf_probe_read_user(&bytes, 4, (const void *)(user + 7 * word));
	}
	if (kind == AQ_WIRE_FETCH_MSG_DATA || kind == AQ_WIRE_FETCH_MMSG_DATA)
		user = user_word(user + 2 * word, compat);
	if (kind != AQ_WIRE_FETCH_DATA) {
		u64 length = user_word(user + word, compat);

		user = user_word(user, compat);
		if (bytes > length)
			bytes = length;
	}
	if ((when & AQ_WIRE_WHEN_DNS) && bytes >= AQ_WIRE_DNS_MIN && begins_as_answer(user) &&
	    is_dns_answer(slot, call, compat)) {
		limit = AQ_WIRE_DNS_MAX;
		flags = AQ_WIRE_ATF_DNS;
	}
	if (!limit || !bytes || !user)
		return 1;
	put_user_data(a, flags, user, bytes, limit);
	return 0;
}

/* An address whose length the kernel has written, or that came in a message. */
static __noinline u32 put_address(struct attrs *a, struct aq_wire_call *call, u32 i, u32 compat)
{
	struct aq_wire_fixed *slot = a->slot;
	u32 length = 0;

	if (i >= AQ_WIRE_FETCHES) /* proves the bound of attr */
		return 1;
	u32 n = call->attr[i].arg, kind = call->attr[i].kind, len_arg = call->attr[i].len_arg;
	if (n >= AQ_WIRE_ARGS)
		return 1;
	u64 user = slot->args[n];
	if (kind == AQ_WIRE_FETCH_MSG_NAME) {
		user = message_name(user, compat, &length);
	} else if (len_arg < AQ_WIRE_ARGS) {
		length = (u32)slot->args[len_arg];
		if (kind == AQ_WIRE_FETCH_SOCKADDR_OUT &&
		    (slot->ret < 0 ||
		     bpf_probe_read_user(&length, sizeof(length), (const void *)slot->args[len_arg]) != 0))
			return 1;
	}
	/* the length of the whole address: of a shorter buffer what lies behind it is taken along */
	if (kind != AQ_WIRE_FETCH_SOCKADDR_IN && length > SOCKADDR_MAX)
		length = SOCKADDR_MAX;
	if (length && user)
		put_user_bytes(a, call->attr[i].key, user, length, SOCKADDR_MAX);
	return 0;
}

/* A structure or a text whose size is known. */
static __noinline u32 put_sized(struct attrs *a, struct aq_wire_call *call, u32 i)
{
	struct aq_wire_fixed *slot = a->slot;

	if (i >= AQ_WIRE_FETCHES) /* proves the bound of attr */
		return 1;
	u32 n = call->attr[i].arg, kind = call->attr[i].kind, len_arg = call->attr[i].len_arg;
	if (n >= AQ_WIRE_ARGS)
		return 1;
	u64 size = len_arg < AQ_WIRE_ARGS ? slot->args[len_arg] : call->attr[i].size, user = slot->args[n];
	if (kind == AQ_WIRE_FETCH_STRUCT)
		put_user_struct(a, n, user, size);
	else if (size)
		put_user_bytes(a, call->attr[i].key, user, (u32)size, AQ_WIRE_STRUCT_MAX);
	return 0;
}

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct proc_ns_operations___before_6_18 {
	int type;
};
struct ns_common___before_6_18 {
	const struct proc_ns_operations___before_6_18 *ops;
};
struct ns_common___since_6_18 {
	u32 ns_type;
};
#pragma clang attribute pop

/* CLONE_NEW…, which moved from the operations to the namespace itself in 6.18. */
static __always_inline u64 namespace_kind(void *ns)
{
	struct ns_common___since_6_18 *since = ns;
	struct ns_common___before_6_18 *before = ns;

	if (bpf_core_field_exists(since->ns_type))
		return BPF_CORE_READ(since, ns_type);
	return (u32)BPF_CORE_READ(before, ops, type);
}

/* Of a namespace's file: inode and kind (CLONE_NEW…), as a structure of two words. */
static __noinline u32 put_namespace(struct attrs *a, u64 fd, u32 arg)
{
	char *place = attr_place(a);
	struct file *file = current_file(fd);

	if (!place || !file || BPF_CORE_READ(file, f_inode, i_sb, s_magic) != MAGIC_NSFS)
		return 1;
	u64 *words = (void *)(place + sizeof(struct aq_wire_attr));
	words[0] = BPF_CORE_READ(file, f_inode, i_ino);
	words[1] = namespace_kind(BPF_CORE_READ(file, f_inode, i_private));
	attr_head(a, place, AQ_ATTR_STRUCT, 0, 2 * sizeof(u64), 0);
	((struct aq_wire_attr *)(void *)place)->arg = arg;
	return 0;
}

/* Is it a row for what the call was asked, and for how it ended? */
static __always_inline bool is_wanted(struct aq_wire_fixed *slot, struct aq_wire_call *call, u32 i)
{
	u32 when = call->attr[i].when, if_arg = call->attr[i].if_arg;

	if ((when & AQ_WIRE_WHEN_OK && slot->ret < 0) || (when & AQ_WIRE_WHEN_FAILED && slot->ret >= 0))
		return false;
	return if_arg >= AQ_WIRE_ARGS || (u32)slot->args[if_arg] == call->attr[i].value;
}

/* What one of the arguments leads to. */
static __noinline u32 fetch_one(struct attrs *a, struct aq_wire_call *call, u32 i, u32 compat)
{
	struct aq_wire_fixed *slot = a->slot;

	if (i >= AQ_WIRE_FETCHES || !is_wanted(slot, call, i)) /* proves the bound of attr */
		return 1;
	u32 kind = call->attr[i].kind, key = call->attr[i].key, n = call->attr[i].arg, deref = call->attr[i].deref;
	if (n >= AQ_WIRE_ARGS) /* proves the bound of args */
		return 1;
	u64 user = slot->args[n];
	if (kind == AQ_WIRE_FETCH_FD_NS) {
		put_namespace(a, (u32)user, n);
	} else if (!user) {
		return 0;
	} else if (kind == AQ_WIRE_FETCH_STRING) {
		if (deref != AQ_WIRE_NONE)
			user = user_word(user + deref, false);
		if (user)
			put_user_string(a, key, user);
	} else if (kind == AQ_WIRE_FETCH_FD_PAIR) {
		put_user_bytes(a, key, user, 8, 8);
	} else if (kind == AQ_WIRE_FETCH_STRUCT || kind == AQ_WIRE_FETCH_TEXT) {
		put_sized(a, call, i);
	} else if (kind >= AQ_WIRE_FETCH_DATA && kind <= AQ_WIRE_FETCH_MMSG_DATA) {
		put_data(a, call, i, compat);
	} else if (kind != AQ_WIRE_FETCH_STRVEC) {
		put_address(a, call, i, compat);
	}
	return 0;
}

/* A vector has a loop of its own: outside of that over the rows it is verified once. */
static __always_inline void fetch_vec(struct attrs *a, struct aq_wire_call *call, bool compat)
{
	u32 i = (u32)call->attr_count - 1;

	if (i >= AQ_WIRE_FETCHES || call->attr[i].kind != AQ_WIRE_FETCH_STRVEC || !is_wanted(a->slot, call, i))
		return;
	u32 n = call->attr[i].arg;
	if (n < AQ_WIRE_ARGS && a->slot->args[n])
		put_user_vec(a, call->attr[i].key, a->slot->args[n], compat ? 4 : 8);
}

/* The kernel's path of what was opened, or of what a call was made on. */
static __always_inline void fetch_path(struct attrs *a, struct aq_wire_call *call)
{
	bool opened = call->flags & AQ_WIRE_CALL_RET_FD;
	struct file *file;

	if (!cfg_kernel_paths || (opened ? a->slot->ret < 0 : !(call->flags & AQ_WIRE_CALL_ARG_FD)))
		return;
	file = current_file(opened ? (u64)a->slot->ret : (u32)a->slot->args[0]);
	if (file)
		put_path(a, file);
}

/* Everything variable of a call. The slot is filled already and not published yet. */
static __noinline u32 fetch_attrs(struct aq_wire_ring *ring, struct aq_wire_fixed *slot, struct aq_wire_call *call,
				  u32 index, u32 compat)
{
	struct attrs a;

	if ((call->flags & AQ_WIRE_CALL_DNS_ONLY) && !is_dns_answer(slot, call, compat))
		return 0;
	if (!attrs_begin(&a, ring, slot, index))
		return 1;
	ring->path_out = 0;
	for (u32 i = 0; i < AQ_WIRE_FETCHES; i++) {
		if (i >= call->attr_count)
			break;
		fetch_one(&a, call, i, compat);
	}
	fetch_vec(&a, call, compat);
	fetch_path(&a, call);
	if ((cfg_filter.kinds & AQ_WIRE_FILTER_PATH) && (call->flags & AQ_WIRE_CALL_RET_FD) && ring->path_out) {
		slot->flags |= AQ_WIRE_LEFT_OUT;
		return 0; /* nothing of it is published */
	}
	/* of the calls on sockets only accept fills an address: the result is the socket there */
	if ((call->flags & AQ_WIRE_CALL_SOCK_FD) && (slot->ret >= 0 || slot->ret == -ERR_INPROGRESS))
		put_tuple(&a, call->attr[0].kind == AQ_WIRE_FETCH_SOCKADDR_OUT ? (u64)slot->ret : (u32)slot->args[0]);
	attrs_end(&a);
	return 0;
}

#endif
