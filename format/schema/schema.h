/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one schema: every syscall, lifecycle event and state event that a capture can hold, with its stable id, argument
 * names and types, priority class, category and documentation. All of it comes from the .def tables beside this file;
 * nothing here knows about rings, files or filters.
 *
 * Threads: everything is immutable data; all functions are pure and may be called from any thread.
 */
#ifndef AQ_FORMAT_SCHEMA_SCHEMA_H
#define AQ_FORMAT_SCHEMA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default) /* what libaquila may export */

#define AQ_EVENT_MAX_ARGS 16   /* numeric arguments of one event; a syscall itself has at most 6, the rest come from structures */
#define AQ_EVENT_MAX_ATTRS 8   /* variable attributes of one event */
#define AQ_EVENT_ID_MAX 1200   /* ids are below this; sizes every table indexed by event id */
#define AQ_EVENT_ID_STATE 1024 /* ids from here on are lifecycle and state events, below are syscalls */

/* Priority classes: ring space, shedding and budgets go by them (0 is kept longest). */
enum aq_class {
	AQ_CLASS_VITAL = 0,     /* process life, credentials, namespaces, modules, bpf, ptrace, mount */
	AQ_CLASS_IMPORTANT = 1, /* open, create, rename, unlink, chmod, connect, bind, accept, listen, mmap … */
	AQ_CLASS_ORDINARY = 2,  /* close, dup, stat, fcntl … */
	AQ_CLASS_BULK = 3,      /* read, write, poll, futex, clock … */
	AQ_CLASS_COUNT = 4
};

enum aq_category {
	AQ_CAT_UNKNOWN = 0, AQ_CAT_FILE, AQ_CAT_IO_READ, AQ_CAT_IO_WRITE, AQ_CAT_IO_OTHER, AQ_CAT_NET, AQ_CAT_PROCESS,
	AQ_CAT_MEMORY, AQ_CAT_SIGNAL, AQ_CAT_IPC, AQ_CAT_TIME, AQ_CAT_WAIT, AQ_CAT_SCHEDULER, AQ_CAT_USER, AQ_CAT_NAMESPACE,
	AQ_CAT_SYSTEM, AQ_CAT_STATE, AQ_CAT_COUNT
};

/* Which table a raw syscall number belongs to. Written to captures: append-only. */
enum aq_abi {
	AQ_ABI_X86_64 = 0,
	AQ_ABI_I386 = 1,    /* compat call on x86-64: int 0x80, 32-bit programs */
	AQ_ABI_X32 = 2,
	AQ_ABI_ARM64 = 3,
	AQ_ABI_ARM = 4,     /* compat call on aarch64 (EABI numbers) */
	AQ_ABI_COUNT = 5
};

/*
 * What a numeric argument or a result means. It decides how it prints, whether it is signed, and how it is encoded.
 * Pointers carry no information offline and may be dropped by policy (AQ_TYPE_PTR only).
 */
enum aq_type {
	AQ_TYPE_NONE = 0,
	AQ_TYPE_FD,        /* int; negative: AT_FDCWD or invalid */
	AQ_TYPE_INT,       /* signed 32-bit decimal */
	AQ_TYPE_UINT,      /* unsigned 32-bit decimal */
	AQ_TYPE_LONG,      /* signed 64-bit */
	AQ_TYPE_ULONG,     /* unsigned 64-bit */
	AQ_TYPE_SIZE,      /* size_t, bytes */
	AQ_TYPE_OFFSET,    /* loff_t */
	AQ_TYPE_MODE,      /* octal permission bits */
	AQ_TYPE_FLAGS,     /* bit set, names in arg->flags */
	AQ_TYPE_ENUM,      /* one of several named values, names in arg->flags */
	AQ_TYPE_PID,       /* pid_t */
	AQ_TYPE_UID,
	AQ_TYPE_GID,
	AQ_TYPE_SIGNAL,    /* SIGKILL … */
	AQ_TYPE_DEV,       /* dev_t as the kernel's user-visible major:minor */
	AQ_TYPE_INO,       /* inode number */
	AQ_TYPE_TIME_NS,   /* CLOCK_BOOTTIME nanoseconds */
	AQ_TYPE_PTR,       /* user address without use offline: buffers, structs, result pointers */
	AQ_TYPE_ADDR,      /* user address with meaning: mmap, mprotect, munmap, brk; kept */
	AQ_TYPE_PATH,      /* pointer to a path: the text is an attribute; the number itself is not kept */
	AQ_TYPE_STRING,    /* pointer to a NUL-terminated string, as above */
	AQ_TYPE_STRVEC,    /* pointer to a NULL-terminated string vector, as above */
	AQ_TYPE_SOCKADDR,  /* pointer to a socket address, as above */
	AQ_TYPE_CGROUP,    /* cgroup id */
	AQ_TYPE_BOOL,
	AQ_TYPE_HEX,       /* 64-bit, shown in hexadecimal: capability sets, masks */
	AQ_TYPE_ERRNO,     /* results only: 0 or -errno */
	AQ_TYPE_COUNT
};

/* Variable attributes: what one may be. Written to captures: explicit numbers, append-only. */
enum aq_attr_key {
#define AQ_ATTR(id, KEY, name, type, doc) AQ_ATTR_##KEY = id,
#include "attrs.def"
#undef AQ_ATTR
	AQ_ATTR_KEY_MAX = 64
};

/* How the bytes of an attribute are to be read. */
enum aq_attr_type {
	AQ_ATTRTYPE_STRING = 1,   /* one string, no NUL inside */
	AQ_ATTRTYPE_STRVEC = 2,   /* strings, each followed by one NUL */
	AQ_ATTRTYPE_SOCKADDR = 3, /* struct sockaddr as the kernel has it (family in host order = little-endian) */
	AQ_ATTRTYPE_BYTES = 4,    /* opaque, printed as hexadecimal */
	AQ_ATTRTYPE_TUPLE = 5     /* local sockaddr padded to 28 bytes, then remote padded to 28 bytes */
};

struct aq_flag_name { /* one named value */
	uint64_t value;
	uint64_t mask; /* value counts when (x & mask) == value; for plain bits mask == value */
	const char *name;
};

struct aq_flag_set {
	const char *name;                 /* "open_flags" */
	const struct aq_flag_name *names; /* most specific first */
	uint32_t count;
	bool is_enum;                     /* exactly one name applies */
};

struct aq_arg_schema {
	const char *name;                /* Falco's name where it has one, else the man page's */
	enum aq_type type;
	const struct aq_flag_set *flags; /* FLAGS and ENUM only, else NULL */
	enum aq_attr_key attr;           /* PATH/STRING/STRVEC/SOCKADDR: the attribute that holds the text, else 0 */
};

struct aq_event_schema {
	uint16_t id;
	const char *name;
	enum aq_class cls;
	enum aq_category category;
	enum aq_type ret_type;           /* AQ_TYPE_NONE for lifecycle and state events without a result */
	uint8_t arg_count;
	const struct aq_arg_schema *args;
	const char *doc;                 /* one sentence */
};

/* Event ids: AQ_EV_read, AQ_EV_proc_exec, … */
enum aq_event_id {
	AQ_EV_UNKNOWN = 0,
#define AQ_SYSCALL(id, name, x86_64, i386, arm64, arm, cls, cat, ret, doc, ...) AQ_EV_##name = id,
#include "syscalls.def"
#undef AQ_SYSCALL
#define AQ_STATE_EVENT(id, name, cls, doc, ...) AQ_EV_##name = id,
#include "events.def"
#undef AQ_STATE_EVENT
	AQ_EV_END_
};

/* The row of an event id; for an id that this build does not know, NULL. */
const struct aq_event_schema *aq_schema_event(uint32_t id);
/* How many numbers an event of this row carries in aq_event.args: a syscall's arguments all have their place there, of
 * a state event only those before the attributes. */
unsigned aq_schema_number_count(const struct aq_event_schema *ev);
/* By name ("openat", "proc_exec"); NULL if there is none. */
const struct aq_event_schema *aq_schema_event_by_name(const char *name);
/* Iterates all known rows in order of id: returns the first row with an id greater than id, or NULL. */
const struct aq_event_schema *aq_schema_next(uint32_t id);

/* The event id of a raw syscall number; 0 if this ABI has no such call. */
uint16_t aq_schema_syscall_id(enum aq_abi abi, uint32_t nr);
/* The raw number of an event id in an ABI; -1 if that ABI does not have the call. */
int aq_schema_syscall_nr(enum aq_abi abi, uint16_t id);

const char *aq_class_name(enum aq_class cls);         /* "vital" …; "?" if out of range, as for all below */
const char *aq_category_name(enum aq_category cat);   /* Falco's category words: "file", "net", "process" … */
const char *aq_abi_name(enum aq_abi abi);             /* "x86_64", "i386" … */
const char *aq_type_name(enum aq_type type);          /* "FD", "FLAGS" … */
const char *aq_attr_name(enum aq_attr_key key);       /* "path" …; NULL if unknown */
enum aq_attr_type aq_attr_type(enum aq_attr_key key); /* 0 if unknown */
const char *aq_errno_name(int err);                   /* positive errno: "ENOENT"; NULL if unknown */
int aq_errno_by_name(const char *name);               /* "ENOENT": 2; 0 if unknown */
const char *aq_signal_name(int sig);                  /* "SIGKILL"; NULL if unknown */
const struct aq_flag_set *aq_flag_set_by_name(const char *name);
/* The names of an argument's values in an ABI (the bits of open differ between x86 and ARM); NULL if it has none. */
const struct aq_flag_set *aq_schema_arg_flags(const struct aq_event_schema *ev, unsigned arg, enum aq_abi abi);

/* True when the type's values are signed (so that an encoder may zigzag and a printer shows a minus). */
bool aq_type_is_signed(enum aq_type type);

/*
 * Prints value as text into buf (always NUL-terminated when size > 0) and returns the length that was needed, as
 * snprintf does. Flags print as "O_CLOEXEC|O_RDONLY", unknown bits as 0x… in hexadecimal at the end; 0 without a name
 * prints "0". Names in one set print in the order of the set's table.
 */
size_t aq_format_value(enum aq_type type, const struct aq_flag_set *flags, uint64_t value, char *buf, size_t size);
/* A result: "ENOENT" for a negative errno when the type allows errors, else as its type. */
size_t aq_format_result(const struct aq_event_schema *ev, int64_t ret, char *buf, size_t size);
/* True when ret is a failure of that event: -4095 … -1 (mmap and other pointer results included). */
bool aq_result_is_error(int64_t ret);

#pragma GCC visibility pop

#endif
