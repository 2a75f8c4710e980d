/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event in memory: what the recorder hands to the segment writer and what the reader gives back. Neither the wire
 * form of the rings (bpf/wire.h) nor the form on disk (FORMAT.md).
 */
#ifndef AQ_FORMAT_SEGMENT_EVENT_H
#define AQ_FORMAT_SEGMENT_EVENT_H

#include "format/schema/schema.h"

#pragma GCC visibility push(default) /* what libaquila may export */

/* Flags of an event. Written to captures: append-only. */
enum aq_event_flag {
	AQ_EVF_DEGRADED = 1 << 0, /* an attribute that belongs to this event was lost; the numbers are whole */
	AQ_EVF_UNKNOWN_NR = 1 << 1, /* id is 0: the schema has no such call; nr holds the raw number */
};

/* Flags of an attribute. Written to captures: append-only. */
enum aq_attr_flag {
	AQ_ATF_TRUNCATED = 1 << 0,  /* cut; true_len holds the length if it is known, else 0 */
	AQ_ATF_UNREADABLE = 1 << 1, /* the memory could not be read (length 0) */
	AQ_ATF_PARTIAL = 1 << 2,    /* a path whose leading components are missing */
};

struct aq_attr {
	uint16_t key;      /* enum aq_attr_key */
	uint16_t flags;    /* enum aq_attr_flag */
	uint32_t len;      /* bytes at data */
	uint32_t true_len; /* with AQ_ATF_TRUNCATED: full length in bytes if known, else 0 */
	const void *data;  /* borrowed; not NUL-terminated; see who gave the event for how long */
};

struct aq_event {
	uint64_t time_ns;    /* CLOCK_BOOTTIME; a syscall's is its exit */
	uint64_t cgroup_id;  /* v2 id of the caller's cgroup; 0 unknown */
	int64_t ret;         /* syscalls: result; else 0 */
	uint64_t duration_ns;/* syscalls, with has_duration: from entry to exit; else 0 */
	uint32_t pid;        /* thread-group id in the host's pid namespace */
	uint32_t tid;        /* thread id in the host's pid namespace */
	uint32_t nr;         /* raw syscall number, only with AQ_EVF_UNKNOWN_NR */
	uint16_t id;         /* enum aq_event_id */
	uint16_t cpu;
	uint8_t abi;         /* enum aq_abi */
	uint8_t cls;         /* enum aq_class */
	uint8_t flags;       /* enum aq_event_flag */
	uint8_t arg_count;
	uint8_t attr_count;
	bool has_duration;   /* it was recorded, and the entry was seen */
	uint64_t args[AQ_EVENT_MAX_ARGS];
	struct aq_attr attrs[AQ_EVENT_MAX_ATTRS];
};

/* The first attribute with that key, or NULL. */
static inline const struct aq_attr *aq_event_attr(const struct aq_event *ev, enum aq_attr_key key)
{
	for (unsigned i = 0; i < ev->attr_count; i++)
		if (ev->attrs[i].key == key)
			return &ev->attrs[i];
	return NULL;
}

/* True for events that the recorder makes itself: not part of the ledger. */
static inline bool aq_event_is_made(uint16_t id)
{
	return (id >= AQ_EV_snap_begin && id <= AQ_EV_snap_mount) || id == AQ_EV_fact || id == AQ_EV_mark;
}

/* Why events are missing. Written to captures: append-only. */
enum aq_gap_reason {
	AQ_GAP_RING_FULL = 1,     /* no space in the kernel ring of that class */
	AQ_GAP_SPOOL_SHED = 2,    /* the recorder's memory was full; the lowest class goes first */
	AQ_GAP_RECORDER_DOWN = 3, /* the recorder was killed, or restarted; count unknown (AQ_GAP_COUNT_UNKNOWN) */
	AQ_GAP_KERNEL_SKIPPED = 4,/* the kernel did not run the program (recursion) */
	AQ_GAP_DISK = 5,          /* could not be written */
	AQ_GAP_DAMAGE = 6,        /* found by the reader: a damaged or missing part of the file; never stored */
	AQ_GAP_FILTER = 7,        /* left out on purpose by a filter: policy */
	AQ_GAP_BUDGET = 8,        /* left out on purpose by a cgroup's budget: policy */
	AQ_GAP_COALESCED = 9,     /* merged on purpose into another event: policy */
	AQ_GAP_ATTR = 10,         /* the attribute was lost, the event is there and flagged degraded */
	AQ_GAP_EXTRACT = 12,      /* left out of an extract: events of others, which say nothing about what is there; policy */
	AQ_GAP_RETENTION = 11,    /* found by the reader: stored once, its segment was removed on purpose; never stored */
};
#define AQ_GAP_COUNT_UNKNOWN UINT64_MAX

/* True for what was left out on purpose. */
static inline bool aq_gap_is_policy(enum aq_gap_reason r)
{
	return r == AQ_GAP_FILTER || r == AQ_GAP_BUDGET || r == AQ_GAP_COALESCED || r == AQ_GAP_EXTRACT;
}

const char *aq_gap_reason_name(enum aq_gap_reason reason); /* "ring-full" …; "?" */

struct aq_gap_count {
	uint16_t event_id;
	uint64_t count;
};

struct aq_gap {
	uint64_t first_ns, last_ns;         /* every missing event happened within, both inclusive (CLOCK_BOOTTIME) */
	uint64_t count;                     /* or AQ_GAP_COUNT_UNKNOWN */
	uint64_t cgroup_id;                 /* budget: whose; else 0 */
	uint16_t cpu;                       /* UINT16_MAX: all */
	uint8_t cls;                        /* enum aq_class; UINT8_MAX: all */
	uint8_t reason;                     /* enum aq_gap_reason */
	uint32_t by_event_count;            /* entries at by_event; their counts add up to count, or there are none */
	const struct aq_gap_count *by_event;/* borrowed */
};

/*
 * The ledger of one CPU and class, cumulative since the recording began. stored is what went into the capture;
 * produced is the kernel's own counter. produced == stored + lost + policy at a close.
 */
struct aq_ledger_row {
	uint16_t cpu;
	uint8_t cls;
	uint64_t produced, stored, lost, policy, degraded;
	uint64_t removed; /* of stored: in segments that are not there any more; readers find it out, writers leave it 0 */
};

#pragma GCC visibility pop

#endif
