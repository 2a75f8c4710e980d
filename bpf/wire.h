/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side and the recorder share: the layout of the rings, of their control blocks and of the
 * configuration. Host byte order; both sides are on one machine and from one build. Included by BPF C (where the
 * u-types come from vmlinux.h) and by user space.
 *
 * A ring belongs to one (cpu, class). Its only producer is that CPU, its only consumer the drain thread. Positions
 * count up for ever; `head - tail` is what is in it.
 *
 *   fixed ring: slots of struct aq_wire_fixed, or all of struct aq_wire_timed when durations are recorded. A ring
 *               is `parts` array entries of AQ_WIRE_PART_SLOTS slots each:
 *               slot = pos & (PART_SLOTS-1), part = (pos / PART_SLOTS) & (parts-1).
 *   attr ring:  records of any length up to AQ_WIRE_ATTR_MAX bytes, each contiguous: a part is AQ_WIRE_ATTR_PART bytes
 *               plus a margin of AQ_WIRE_ATTR_MAX into which a record that starts near the end may run on.
 */
#ifndef AQ_BPF_WIRE_H
#define AQ_BPF_WIRE_H

#ifndef __bpf__
#include <stdint.h>
typedef uint64_t aq_u64;
typedef uint32_t aq_u32;
typedef uint16_t aq_u16;
typedef uint8_t aq_u8;
typedef int64_t aq_s64;
#else
typedef unsigned long long aq_u64;
typedef unsigned int aq_u32;
typedef unsigned short aq_u16;
typedef unsigned char aq_u8;
typedef long long aq_s64;
#endif

enum {
	AQ_WIRE_CLASSES = 4,
	AQ_WIRE_PART_SLOTS = 4096,        /* a part of a fixed ring: 352 KiB, or 384 */
	AQ_WIRE_ATTR_PART = 256 * 1024,   /* a part of an attribute ring, without its margin */
	AQ_WIRE_ATTR_MAX = 32 * 1024,     /* longest attribute record */
	AQ_WIRE_EVENTS = 1200,            /* event ids are below this; equals AQ_EVENT_ID_MAX */
	AQ_WIRE_NR_MAX = 1024,            /* raw syscall numbers looked up per ABI */
	AQ_WIRE_ARGS = 6,
	AQ_WIRE_FETCHES = 6,              /* rows of one call */
	AQ_WIRE_NONE = 255,               /* no such argument */
};

enum aq_wire_flag {
	AQ_WIRE_ABI_MASK = 0x7,           /* enum aq_abi */
	AQ_WIRE_HAS_ATTR = 1 << 3,        /* an attribute record with the same seq is in the attr ring */
	AQ_WIRE_ATTR_LOST = 1 << 4,       /* an attribute found no room: the event is degraded */
	AQ_WIRE_LEFT_OUT = 1 << 6,        /* never seen outside of the kernel side: not to be published */
	AQ_WIRE_UNKNOWN_NR = 1 << 5,      /* event is 0 and args[5] was replaced by the raw number */
};

struct aq_wire_fixed {
	aq_u64 time_ns;                   /* bpf_ktime_get_boot_ns */
	aq_u32 seq;                       /* low half of the sequence number of this (cpu, class) */
	aq_u16 event;                     /* schema id */
	aq_u16 flags;                     /* enum aq_wire_flag */
	aq_u32 pid;                       /* thread-group id */
	aq_u32 tid;
	aq_s64 ret;
	aq_u64 cgroup_id;
	aq_u64 args[AQ_WIRE_ARGS];
};

struct aq_wire_timed {                /* the same with a duration */
	struct aq_wire_fixed fixed;
	aq_u64 duration_ns;               /* of a call, from its entry to time_ns; or AQ_WIRE_DURATION_UNKNOWN */
};
#define AQ_WIRE_DURATION_UNKNOWN (~(aq_u64)0)

/*
 * Where a thread entered its call; slots are shared by all threads whose ids are the same modulo their number, a power of
 * two of at least AQ_WIRE_STAMPS_MIN. Written without a lock: when two threads write at once, the words don't fit
 * together. time_ns ^ check is the thread's id (high half) and the number of the call (low half); the times of two such
 * writes are near each other and differ in their low bits, where the ids of threads that share a slot are alike.
 */
struct aq_wire_stamp {
	aq_u64 time_ns;
	aq_u64 check;
};
enum {
	AQ_WIRE_STAMPS_MIN = 1 << 15,
	AQ_WIRE_STAMPS_MAX = 1 << 18,
};

struct aq_wire_attr_record {          /* head of one record in an attr ring; starts on 8 bytes */
	aq_u32 bytes;                     /* of the whole record with this head, a multiple of 8 */
	aq_u32 seq;                       /* of the fixed record it belongs to, same cpu and class */
	aq_u64 time_ns;
	aq_u16 event;
	aq_u16 count;                     /* attributes that follow */
	aq_u32 reserved;
};

struct aq_wire_attr {                 /* one attribute: this, then len bytes, then padding to 8 */
	aq_u16 key;                       /* enum aq_attr_key */
	aq_u16 flags;                     /* enum aq_attr_flag, or AQ_WIRE_ATF_* above the low byte */
	aq_u32 len;
	aq_u32 true_len;
	aq_u32 arg;                       /* of a structure: the argument that led to it; else 0 */
};
enum {
	/* as enum aq_attr_flag */
	AQ_WIRE_ATF_TRUNCATED = 1 << 0,
	AQ_WIRE_ATF_UNREADABLE = 1 << 1,
	AQ_WIRE_ATF_PARTIAL = 1 << 2,
	/* the bytes are path components, innermost first, each followed by one NUL; the recorder turns them round */
	AQ_WIRE_ATF_REVERSED = 1 << 8,
	AQ_WIRE_ATF_DNS = 1 << 9,         /* an answer of a DNS server */
};

struct aq_wire_ring {                 /* control block of one (cpu, class); 192 bytes */
	/* written by the kernel side */
	aq_u64 head;                      /* fixed slots published */
	aq_u64 attr_head;                 /* attribute bytes published */
	aq_u64 produced;                  /* sequence: counted before space is asked for */
	aq_u64 lost;                      /* of these, no slot */
	aq_u64 attr_lost;                 /* attributes that found no room */
	aq_u64 lost_last_ns;              /* time of the latest loss */
	aq_u64 policy;                    /* left out by filter or budget (counted in produced) */
	aq_u64 nested;                    /* turned away because the ring was in use below us (counted in lost) */
	/* written by the recorder */
	aq_u64 tail __attribute__((aligned(64)));
	aq_u64 attr_tail;
	aq_u64 reserved1[6];
	/* the kernel side's own */
	aq_u64 busy __attribute__((aligned(64)));
	/* the attribute record under way; here so that the verifier sees unknown numbers, not every path to them */
	aq_u64 attr_bytes;
	aq_u64 attr_count;
	aq_u64 attr_used;                 /* bytes of the attribute that is growing */
	aq_u64 path_out;                  /* the filter does not want the latest path */
	aq_u64 reserved2[3];
};

struct aq_wire_cpu {                  /* value of the map `ctl`, one per CPU, mmapable */
	struct aq_wire_ring ring[AQ_WIRE_CLASSES];
	/* kept apart from the rings, so that a ledger can be checked against them */
	aq_u64 seen[AQ_WIRE_EVENTS];
	aq_u64 lost[AQ_WIRE_EVENTS];
	aq_u64 policy[AQ_WIRE_EVENTS];
	aq_u64 budget[AQ_WIRE_EVENTS];    /* of policy: over the budget of their cgroup */
};

/*
 * Whose calls are recorded. Of each kind that has entries without `not` one must fit, and of those with `not` none. What is
 * vital is always recorded. Cgroups stand in the map `filter_cgroups`, with all that lie below them.
 */
enum aq_wire_filter_kind {
	AQ_WIRE_FILTER_CGROUP = 1 << 0,
	AQ_WIRE_FILTER_UID = 1 << 1,
	AQ_WIRE_FILTER_NAMESPACE = 1 << 2,
	AQ_WIRE_FILTER_PATH = 1 << 3,     /* of files that are opened */
};
enum aq_wire_namespace {
	AQ_WIRE_NS_CGROUP, AQ_WIRE_NS_IPC, AQ_WIRE_NS_MNT, AQ_WIRE_NS_NET, AQ_WIRE_NS_PID, AQ_WIRE_NS_TIME, AQ_WIRE_NS_USER,
	AQ_WIRE_NS_UTS, AQ_WIRE_NS_KINDS
};
enum {
	AQ_WIRE_FILTER_UIDS = 16,
	AQ_WIRE_FILTER_NAMESPACES = 16,
	AQ_WIRE_FILTER_PATHS = 8,
	AQ_WIRE_FILTER_PATH_MAX = 64,     /* bytes of a path, a power of two */
	AQ_WIRE_CGROUP_ONLY = 1,          /* values of filter_cgroups: recorded */
	AQ_WIRE_CGROUP_NOT = 2,           /* left out */
};
struct aq_wire_filter {
	aq_u32 kinds;                     /* enum aq_wire_filter_kind: those that have entries */
	aq_u32 only;                      /* and those that have some without `not` */
	aq_u32 uid_count, namespace_count, path_count;
	struct {
		aq_u32 first, last, not;
	} uid[AQ_WIRE_FILTER_UIDS];
	struct {
		aq_u32 kind, inum, not;
	} ns[AQ_WIRE_FILTER_NAMESPACES];
	struct {
		aq_u32 bytes, not;
		char text[AQ_WIRE_FILTER_PATH_MAX];     /* with a slash at its end */
		char reversed[AQ_WIRE_FILTER_PATH_MAX]; /* components innermost first, each followed by one NUL */
	} path[AQ_WIRE_FILTER_PATHS];
};

/*
 * What a cgroup may have recorded of ordinary and of bulk events in a window of time. Its use is kept in the map `budgets`,
 * what it went without in `budget_drops`.
 */
enum {
	AQ_WIRE_BUDGET_CLASS = 2,         /* the first class that has one */
	AQ_WIRE_BUDGETS = 2,
	AQ_WIRE_WINDOW_SHIFT = 30,        /* a window is 2^30 ns */
};
#define AQ_WIRE_BUDGET_NONE (~(aq_u64)0)
struct aq_wire_limit {                /* per window; AQ_WIRE_BUDGET_NONE: no limit */
	aq_u64 events[AQ_WIRE_BUDGETS];
};
struct aq_wire_budget {
	aq_u64 window;
	aq_u64 used[AQ_WIRE_BUDGETS];
	struct aq_wire_limit limit;
};
struct aq_wire_drop_key {
	aq_u64 cgroup_id;
	aq_u32 event, cls;
};
struct aq_wire_drop {
	aq_u64 count, first_ns, last_ns;
};

/* What the tracepoints of io_uring are given: it changed from kernel to kernel. */
enum aq_wire_uring {
	AQ_WIRE_URING_NONE = 0,           /* no such tracepoint, or not in a form that is known */
	AQ_WIRE_URING_REQUEST = 1,        /* submit: request … */
	AQ_WIRE_URING_RING = 2,           /* submit: ring, opcode, user data … */
	AQ_WIRE_URING_RING_REQUEST = 3,   /* submit: ring, request, opcode, user data … */
	AQ_WIRE_URING_NUMBERS = 4,        /* complete: ring, request, user data, result, flags … */
	AQ_WIRE_URING_ENTRY = 5,          /* complete: ring, request, entry */
};

/* What one argument leads to, and when it is followed. */
struct aq_wire_fetch_row {
	aq_u8 arg;                        /* index of the argument */
	aq_u8 kind;                       /* enum aq_wire_fetch */
	aq_u8 key;                        /* enum aq_attr_key */
	aq_u8 len_arg;                    /* index of the argument that holds a length (or see the kind), 255 if none */
	aq_u8 when;                       /* enum aq_wire_when */
	aq_u8 if_arg;                     /* only if the low half of this argument is `value`; 255: whatever they are */
	aq_u8 size;                       /* bytes of a structure whose size no argument tells */
	aq_u8 deref;                      /* the pointer itself lies (in 64 bits) this far behind the argument; 255: it is it */
	aq_u32 value;
};

/* One row per (abi, nr) of the map `calls`, filled by the recorder from the schema before loading. */
struct aq_wire_call {
	aq_u16 event;                     /* schema id, 0: no such call */
	aq_u8 cls;
	aq_u8 attr_count;                 /* pointers among the arguments that are fetched as attributes */
	aq_u8 flags;                      /* enum aq_wire_call_flag */
	aq_u8 reserved[3];
	struct aq_wire_fetch_row attr[AQ_WIRE_FETCHES];
};
enum aq_wire_call_flag {
	AQ_WIRE_CALL_SKIP = 1 << 0,       /* filtered out: counted as policy */
	AQ_WIRE_CALL_RET_FD = 1 << 1,     /* result is a descriptor of a file: its kernel path is wanted on success */
	AQ_WIRE_CALL_SOCK_FD = 1 << 2,    /* args[0] (accept: the result) is a socket: its tuple is wanted */
	AQ_WIRE_CALL_ARG_FD = 1 << 6,     /* args[0] is a descriptor of a file: its kernel path is wanted */
	AQ_WIRE_CALL_DNS_ONLY = 1 << 5,   /* rows are followed only where args[0] is a socket that has an answer of a DNS server */
};
enum aq_wire_fetch {
	AQ_WIRE_FETCH_STRING = 1,
	AQ_WIRE_FETCH_SOCKADDR_IN = 2,    /* pointer and length by value */
	AQ_WIRE_FETCH_SOCKADDR_OUT = 3,   /* pointer, and pointer to the length; only on success */
	AQ_WIRE_FETCH_STRVEC = 4,         /* in the last row of a call only */
	AQ_WIRE_FETCH_FD_PAIR = 5,        /* pointer to two ints; only on success */
	AQ_WIRE_FETCH_STRUCT = 6,         /* a structure of the user's, at most AQ_WIRE_STRUCT_MAX bytes (AQ_ATTR_STRUCT) */
	AQ_WIRE_FETCH_TEXT = 7,           /* pointer and length by value of a text that needs no NUL */
	AQ_WIRE_FETCH_FD_NS = 9,          /* a descriptor: inode and kind of its namespace, two words as a structure */
	/* bytes that were read or written, as many as the result says; len_arg: the address of who sent them, 255 if none */
	AQ_WIRE_FETCH_DATA = 10,          /* pointer to the bytes */
	AQ_WIRE_FETCH_IOVEC_DATA = 11,    /* to struct iovec, of which the first is taken */
	AQ_WIRE_FETCH_MSG_DATA = 12,      /* to struct msghdr, likewise */
	AQ_WIRE_FETCH_MMSG_DATA = 13,     /* to struct mmsghdr, of which the first is taken */
	AQ_WIRE_FETCH_MSG_NAME = 14,      /* to struct msghdr or mmsghdr: its address */
};
enum aq_wire_when {
	AQ_WIRE_WHEN_OK = 1 << 0,         /* the call did not fail */
	AQ_WIRE_WHEN_FAILED = 1 << 1,
	AQ_WIRE_WHEN_DNS = 1 << 2,        /* data: of an answer of a DNS server all that there is, also where no data is asked for */
};
enum {
	AQ_WIRE_STRUCT_MAX = 128,
	AQ_WIRE_STRING_MAX = 4096,        /* one text with its NUL */
	AQ_WIRE_ARGV_MAX = 16384,         /* arguments of a new program, or its environment */
	AQ_WIRE_DATA_MAX = 4096,          /* bytes of data that can be asked for */
	AQ_WIRE_DNS_MIN = 28,             /* an answer with an address is not shorter: header, question and record */
	AQ_WIRE_DNS_MAX = 4096,
};

#endif
