/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests that go through an io_uring instead of a system call: when one is taken from the ring, refused, or done. The
 * tracepoints and their arguments changed from kernel to kernel: user space says which form the running one has.
 */
#ifndef AQ_BPF_PROG_URING_H
#define AQ_BPF_PROG_URING_H

#include "prog_life.bpf.h"

enum { CLASS_BULK = 3, RING_SQE128 = 1 << 10, RING_NO_SQARRAY = 1 << 16, OPCODE_UNKNOWN = 255 };

/* An entry of the submission ring: the part of the kernel's user interface that is looked at. */
struct ring_entry {
	u8 opcode, flags;
	u16 ioprio;
	int fd;
	u64 off; /* or a second address */
	u64 addr;
	u32 len, op_flags;
	u64 user_data;
	u16 buf, personality;
	int splice_fd;
	u64 addr3;
};

enum ring_op {
	URING_NOP = 0, URING_READV = 1, URING_WRITEV = 2, URING_FSYNC = 3, URING_READ_FIXED = 4,
	URING_WRITE_FIXED = 5, URING_POLL_ADD = 6, URING_POLL_REMOVE = 7, URING_SYNC_FILE_RANGE = 8,
	URING_SENDMSG = 9, URING_RECVMSG = 10, URING_TIMEOUT = 11, URING_TIMEOUT_REMOVE = 12,
	URING_ASYNC_CANCEL = 14, URING_LINK_TIMEOUT = 15, URING_CONNECT = 16, URING_OPENAT = 18, URING_STATX = 21,
	URING_READ = 22, URING_WRITE = 23, URING_FADVISE = 24, URING_MADVISE = 25, URING_SEND = 26, URING_RECV = 27,
	URING_OPENAT2 = 28, URING_SPLICE = 30, URING_PROVIDE_BUFFERS = 31, URING_REMOVE_BUFFERS = 32, URING_TEE = 33,
	URING_RENAMEAT = 35, URING_UNLINKAT = 36, URING_MKDIRAT = 37, URING_SYMLINKAT = 38, URING_LINKAT = 39,
	URING_FSETXATTR = 41, URING_SETXATTR = 42, URING_FGETXATTR = 43, URING_GETXATTR = 44, URING_SEND_ZC = 47,
	URING_SENDMSG_ZC = 48, URING_READ_MULTISHOT = 49, URING_FUTEX_WAIT = 51, URING_FUTEX_WAITV = 53,
	URING_BIND = 56,
};

#define REQUEST_BIT(op) (1ull << (op))
/* What moves data, waits or gives advice. */
#define OPS_BULK                                                                                                      \
	(REQUEST_BIT(URING_NOP) | REQUEST_BIT(URING_READV) | REQUEST_BIT(URING_WRITEV) |                              \
	 REQUEST_BIT(URING_FSYNC) | REQUEST_BIT(URING_READ_FIXED) | REQUEST_BIT(URING_WRITE_FIXED) |                  \
	 REQUEST_BIT(URING_POLL_ADD) | REQUEST_BIT(URING_POLL_REMOVE) | REQUEST_BIT(URING_SYNC_FILE_RANGE) |          \
	 REQUEST_BIT(URING_SENDMSG) | REQUEST_BIT(URING_RECVMSG) | REQUEST_BIT(URING_TIMEOUT) |                       \
	 REQUEST_BIT(URING_TIMEOUT_REMOVE) | REQUEST_BIT(URING_ASYNC_CANCEL) |                                        \
	 REQUEST_BIT(URING_LINK_TIMEOUT) | REQUEST_BIT(URING_READ) | REQUEST_BIT(URING_WRITE) |                       \
	 REQUEST_BIT(URING_FADVISE) | REQUEST_BIT(URING_MADVISE) | REQUEST_BIT(URING_SEND) |                          \
	 REQUEST_BIT(URING_RECV) | REQUEST_BIT(URING_SPLICE) | REQUEST_BIT(URING_PROVIDE_BUFFERS) |                   \
	 REQUEST_BIT(URING_REMOVE_BUFFERS) | REQUEST_BIT(URING_TEE) | REQUEST_BIT(URING_SEND_ZC) |                    \
	 REQUEST_BIT(URING_SENDMSG_ZC) | REQUEST_BIT(URING_READ_MULTISHOT) | REQUEST_BIT(URING_FUTEX_WAIT) |          \
	 REQUEST_BIT(URING_FUTEX_WAIT + 1) | REQUEST_BIT(URING_FUTEX_WAITV))
#define OPS_PATH                                                                                                      \
	(REQUEST_BIT(URING_OPENAT) | REQUEST_BIT(URING_OPENAT2) | REQUEST_BIT(URING_STATX) |                          \
	 REQUEST_BIT(URING_RENAMEAT) | REQUEST_BIT(URING_UNLINKAT) | REQUEST_BIT(URING_MKDIRAT) |                     \
	 REQUEST_BIT(URING_SYMLINKAT) | REQUEST_BIT(URING_LINKAT))
#define OPS_PATH2 (REQUEST_BIT(URING_RENAMEAT) | REQUEST_BIT(URING_SYMLINKAT) | REQUEST_BIT(URING_LINKAT))
#define OPS_XATTR                                                                                                     \
	(REQUEST_BIT(URING_FSETXATTR) | REQUEST_BIT(URING_SETXATTR) | REQUEST_BIT(URING_FGETXATTR) |                  \
	 REQUEST_BIT(URING_GETXATTR))
#define OPS_XATTR_PATH (REQUEST_BIT(URING_SETXATTR) | REQUEST_BIT(URING_GETXATTR))
#define OPS_ADDR (REQUEST_BIT(URING_CONNECT) | REQUEST_BIT(URING_BIND))

/* The entry that the kernel has just taken: the one before its head. The memory is shared with the program. */
static __always_inline void last_entry(struct io_ring_ctx *ring, struct ring_entry *e)
{
	u32 flags = BPF_CORE_READ(ring, flags), head = BPF_CORE_READ(ring, cached_sq_head) - 1;
	u64 entries = (u64)BPF_CORE_READ(ring, sq_sqes);
	u32 at = head & (BPF_CORE_READ(ring, sq_entries) - 1);

	if (!(flags & RING_NO_SQARRAY))
		bpf_probe_read_kernel(&at, sizeof(at), BPF_CORE_READ(ring, sq_array) + at);
	bpf_probe_read_kernel(e, sizeof(*e), (void *)(entries + (u64)at * (flags & RING_SQE128 ? 128 : 64)));
}

static __noinline u32 put_request_attrs(struct attrs *a, struct ring_entry *q)
{
	u64 op = q->opcode < 64 ? REQUEST_BIT(q->opcode) : 0;

	if (op & OPS_XATTR) {
		put_user_string(a, AQ_ATTR_NAME, q->addr);
		if (op & OPS_XATTR_PATH)
			put_user_string(a, AQ_ATTR_PATH, q->addr3);
	} else if (op & OPS_ADDR) {
		put_user_bytes(a, AQ_ATTR_SOCKADDR, q->addr, (u32)q->off, SOCKADDR_MAX);
	} else if (op & OPS_PATH) {
		put_user_string(a, AQ_ATTR_PATH, q->addr);
		if (op & OPS_PATH2)
			put_user_string(a, AQ_ATTR_PATH2, q->off);
	}
	return 0;
}

/* result: 0, or why the request was refused before it began. */
static __noinline u32 request_event(struct ring_entry *q, s64 result)
{
	u64 op = q->opcode < 64 ? REQUEST_BIT(q->opcode) : 0;
	bool bulk = op & OPS_BULK;
	struct caller caller;
	struct attrs a;
	struct entry e;

	caller_init(&caller);
	if (!is_target(caller.pid))
		return 0;
	u32 event = bulk ? AQ_EV_uring_io : AQ_EV_uring_submit, cls = bulk ? CLASS_BULK : CLASS_IMPORTANT;
	if (!enter(&e, event, cls, cfg_abi, skip_by_policy(&caller, event, cls)))
		return 0;
	put_ids(e.slot, caller.pid, caller.tid, result, caller_cgroup(&caller));
	/* three small numbers in one: user space takes them apart */
	put_args(&e, q->opcode | (u32)q->flags << 8 | (u32)q->personality << 16, (u64)(s64)q->fd, q->off, q->len, q->op_flags,
		 q->user_data);
	if ((op & (OPS_PATH | OPS_XATTR | OPS_ADDR)) && attrs_begin(&a, e.ring, e.slot, e.index)) {
		put_request_attrs(&a, q);
		attrs_end(&a);
	}
	leave(&e);
	return 0;
}

/* Since 6.0 the request, before the ring first. */
static __always_inline int submitted(u64 *ctx)
{
	struct ring_entry q = {};

	if (cfg_uring_submit == AQ_WIRE_URING_REQUEST) {
		struct io_kiocb *request = (void *)ctx[0];

		last_entry(BPF_CORE_READ(request, ctx), &q);
		q.opcode = BPF_CORE_READ(request, opcode);
		q.user_data = BPF_CORE_READ(request, cqe.user_data);
	} else if (cfg_uring_submit == AQ_WIRE_URING_RING_REQUEST) { /* 5.15 */
		last_entry((void *)ctx[0], &q);
		q.opcode = (u8)ctx[2];
		q.user_data = ctx[3];
	} else if (cfg_uring_submit == AQ_WIRE_URING_RING) { /* 5.10 */
		last_entry((void *)ctx[0], &q);
		q.opcode = (u8)ctx[1];
		q.user_data = ctx[2];
	} else {
		return 0;
	}
	request_event(&q, 0);
	return 0;
}

/* since 6.4 */
AQ_PROGRAM("?tp_btf/io_uring_submit_req", aq_uring_submit_req)
{
	return submitted(ctx);
}

/* before */
AQ_PROGRAM("?tp_btf/io_uring_submit_sqe", aq_uring_submit_sqe)
{
	return submitted(ctx);
}

/* in this form since 6.0 */
AQ_PROGRAM("?tp_btf/io_uring_req_failed", aq_uring_refused)
{
	struct ring_entry q = {};

	bpf_probe_read_kernel(&q, sizeof(q), (void *)ctx[0]);
	request_event(&q, (s64)(int)ctx[2]);
	return 0;
}

AQ_PROGRAM("?tp_btf/io_uring_complete", aq_uring_complete)
{
	struct io_kiocb *request = (void *)ctx[1];
	u64 user_data, result, flags;
	struct caller caller;
	struct entry e;

	caller_init(&caller);
	if (!is_target(caller.pid))
		return 0;
	if (cfg_uring_complete == AQ_WIRE_URING_ENTRY) { /* since 6.15 */
		struct io_uring_cqe *done = (void *)ctx[2];

		user_data = BPF_CORE_READ(done, user_data);
		result = (u64)(s64)BPF_CORE_READ(done, res);
		flags = BPF_CORE_READ(done, flags);
	} else if (cfg_uring_complete == AQ_WIRE_URING_NUMBERS) { /* since 6.0 */
		user_data = ctx[2];
		result = (u64)(s64)(int)ctx[3];
		flags = (u32)ctx[4];
	} else {
		return 0;
	}
	if (!enter(&e, AQ_EV_uring_complete, CLASS_ORDINARY, cfg_abi,
		   skip_by_policy(&caller, AQ_EV_uring_complete, CLASS_ORDINARY)))
		return 0;
	put_ids(e.slot, caller.pid, caller.tid, 0, caller_cgroup(&caller));
	put_args(&e, request ? BPF_CORE_READ(request, opcode) : OPCODE_UNKNOWN, result, flags, user_data, 0, 0);
	leave(&e);
	return 0;
}

#endif
