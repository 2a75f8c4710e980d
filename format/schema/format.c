/* SPDX-License-Identifier: Apache-2.0 */
/* Names of classes, categories, types, errors and signals, and how values print. */
#include "format/schema/schema.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ERRNO_MAX = 600, RESULT_ERRNO_MAX = 4095 };

static const char *const errno_names[ERRNO_MAX] = {
#define AQ_ERRNO(number, name) [number] = #name,
#include "errno_names.def"
#undef AQ_ERRNO
};

static const char *const signal_names[] = {
	NULL, "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
	"SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP",
	"SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR",
	"SIGSYS",
};

static const char *named(const char *const *names, size_t count, unsigned index)
{
	return index < count && names[index] ? names[index] : "?";
}
#define NAMED(names, index) named(names, sizeof(names) / sizeof((names)[0]), (unsigned)(index))

const char *aq_class_name(enum aq_class cls)
{
	static const char *const names[] = { "vital", "important", "ordinary", "bulk" };
	return NAMED(names, cls);
}

const char *aq_category_name(enum aq_category cat)
{
	static const char *const names[AQ_CAT_COUNT] = { "unknown", "file",   "IO-read", "IO-write",  "IO-other",  "net",
							 "process", "memory", "signal",  "ipc",       "time",      "wait",
							 "sched",   "user",   "namespace", "system",  "state" };
	return NAMED(names, cat);
}

const char *aq_abi_name(enum aq_abi abi)
{
	static const char *const names[AQ_ABI_COUNT] = { "x86_64", "i386", "x32", "arm64", "arm" };
	return NAMED(names, abi);
}

const char *aq_type_name(enum aq_type type)
{
	static const char *const names[AQ_TYPE_COUNT] = {
		"NONE",   "FD",  "INT",    "UINT", "LONG", "ULONG",   "SIZE", "OFFSET", "MODE", "FLAGS",
		"ENUM",   "PID", "UID",    "GID",  "SIGNAL", "DEV",   "INO",  "TIME_NS", "PTR", "ADDR",
		"PATH",   "STRING", "STRVEC", "SOCKADDR", "CGROUP", "BOOL", "HEX", "ERRNO",
	};
	return NAMED(names, type);
}

static const struct {
	const char *name;
	enum aq_attr_type type;
} attrs[AQ_ATTR_KEY_MAX] = {
#define AQ_ATTR(id, KEY, name, type, doc) [id] = { name, AQ_ATTRTYPE_##type },
#include "attrs.def"
#undef AQ_ATTR
};

const char *aq_attr_name(enum aq_attr_key key)
{
	return (unsigned)key < AQ_ATTR_KEY_MAX ? attrs[key].name : NULL;
}

enum aq_attr_type aq_attr_type(enum aq_attr_key key)
{
	return (unsigned)key < AQ_ATTR_KEY_MAX ? attrs[key].type : 0;
}

const char *aq_errno_name(int err)
{
	return err > 0 && err < ERRNO_MAX ? errno_names[err] : NULL;
}

int aq_errno_by_name(const char *name)
{
	for (int i = 1; i < ERRNO_MAX; i++)
		if (errno_names[i] && strcmp(errno_names[i], name) == 0)
			return i;
	return 0;
}

const char *aq_signal_name(int sig)
{
	return sig > 0 && (size_t)sig < sizeof(signal_names) / sizeof(signal_names[0]) ? signal_names[sig] : NULL;
}

bool aq_type_is_signed(enum aq_type type)
{
	return type == AQ_TYPE_FD || type == AQ_TYPE_INT || type == AQ_TYPE_LONG || type == AQ_TYPE_OFFSET ||
	       type == AQ_TYPE_PID || type == AQ_TYPE_SIGNAL || type == AQ_TYPE_ERRNO;
}

bool aq_result_is_error(int64_t ret)
{
	return ret < 0 && ret >= -RESULT_ERRNO_MAX;
}

/* Text that is cut at the buffer's end but whose full length is counted, as snprintf does. */
struct text {
	char *buf;
	size_t size, length;
};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	bool room = t->length < t->size;
	int n = vsnprintf(room ? t->buf + t->length : NULL, room ? t->size - t->length : 0, format, ap);
	va_end(ap);
	if (n > 0)
		t->length += (size_t)n;
}

/* The kernel looks at 32 bits of an int: one that the program passed with its sign extended is the same value. */
static uint64_t without_sign(uint64_t value)
{
	return value >= (uint64_t)(int64_t)INT32_MIN ? (uint32_t)value : value;
}

static void put_errno(struct text *t, int64_t ret)
{
	const char *name = aq_result_is_error(ret) ? aq_errno_name((int)-ret) : NULL;

	if (name)
		put(t, "%s", name);
	else
		put(t, "%" PRId64, ret);
}

static void put_flags(struct text *t, const struct aq_flag_set *set, uint64_t value)
{
	value = without_sign(value);
	uint64_t rest = value, decided = 0;
	bool any = false;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct aq_flag_name *f = &set->names[i];
		if ((value & f->mask) != f->value || (decided & f->mask))
			continue;
		put(t, "%s%s", any ? "|" : "", f->name);
		any = true;
		rest &= ~f->mask;
		decided |= f->mask;
	}
	if (rest || !any)
		put(t, any ? "|0x%" PRIx64 : rest ? "0x%" PRIx64 : "%" PRIu64, rest);
}

static void put_enum(struct text *t, const struct aq_flag_set *set, uint64_t value)
{
	value = without_sign(value);
	for (uint32_t i = 0; i < set->count; i++) {
		if (set->names[i].value == value) {
			put(t, "%s", set->names[i].name);
			return;
		}
	}
	if (value < 65536)
		put(t, "%" PRIu64, value);
	else if (value <= UINT32_MAX && (int32_t)value < 0 && (int32_t)value >= -65536)
		put(t, "%" PRId32, (int32_t)value);
	else
		put(t, "0x%" PRIx64, value);
}

size_t aq_format_value(enum aq_type type, const struct aq_flag_set *flags, uint64_t value, char *buf, size_t size)
{
	struct text t = { buf, size, 0 };
	if (size)
		buf[0] = '\0';
	switch (type) {
	case AQ_TYPE_FD:
		if ((int32_t)value == -100)
			put(&t, "AT_FDCWD");
		else
			put(&t, "%" PRId32, (int32_t)value);
		break;
	case AQ_TYPE_INT:
	case AQ_TYPE_PID:
		put(&t, "%" PRId32, (int32_t)value);
		break;
	case AQ_TYPE_UINT:
		put(&t, "%" PRIu32, (uint32_t)value);
		break;
	case AQ_TYPE_UID:
	case AQ_TYPE_GID: /* -1 means "leave it" */
		put(&t, "%" PRId64, (uint32_t)value == UINT32_MAX ? -1 : (int64_t)(uint32_t)value);
		break;
	case AQ_TYPE_LONG:
	case AQ_TYPE_OFFSET:
		put(&t, "%" PRId64, (int64_t)value);
		break;
	case AQ_TYPE_ERRNO:
		put_errno(&t, (int64_t)value);
		break;
	case AQ_TYPE_MODE:
		put(&t, "%s%" PRIo32, (uint32_t)value ? "0" : "", (uint32_t)value);
		break;
	case AQ_TYPE_FLAGS:
		if (flags)
			put_flags(&t, flags, value);
		else
			put(&t, "0x%" PRIx64, value);
		break;
	case AQ_TYPE_ENUM:
		if (flags)
			put_enum(&t, flags, value);
		else
			put(&t, "%" PRId64, (int64_t)value);
		break;
	case AQ_TYPE_SIGNAL:
		if (aq_signal_name((int)value))
			put(&t, "%s", aq_signal_name((int)value));
		else
			put(&t, "%" PRId32, (int32_t)value);
		break;
	case AQ_TYPE_DEV: /* as makedev() packs it */
		put(&t, "%" PRIu64 ":%" PRIu64, ((value >> 8) & 0xfff) | ((value >> 32) & 0xfffff000),
		    (value & 0xff) | ((value >> 12) & 0xffffff00));
		break;
	case AQ_TYPE_BOOL:
		put(&t, "%s", value ? "true" : "false");
		break;
	case AQ_TYPE_PTR:
	case AQ_TYPE_ADDR:
	case AQ_TYPE_HEX:
	case AQ_TYPE_PATH:
	case AQ_TYPE_STRING:
	case AQ_TYPE_STRVEC:
	case AQ_TYPE_SOCKADDR:
		put(&t, value ? "0x%" PRIx64 : "%" PRIu64, value);
		break;
	case AQ_TYPE_NONE:
	case AQ_TYPE_ULONG:
	case AQ_TYPE_SIZE:
	case AQ_TYPE_INO:
	case AQ_TYPE_TIME_NS:
	case AQ_TYPE_CGROUP:
	case AQ_TYPE_COUNT:
		put(&t, "%" PRIu64, value);
		break;
	}
	return t.length;
}

size_t aq_format_result(const struct aq_event_schema *ev, int64_t ret, char *buf, size_t size)
{
	if (aq_result_is_error(ret) && aq_errno_name((int)-ret)) {
		int n = snprintf(buf, size, "%s", aq_errno_name((int)-ret));
		return n > 0 ? (size_t)n : 0;
	}
	enum aq_type type = ev ? ev->ret_type : AQ_TYPE_LONG;
	if (aq_result_is_error(ret) || type == AQ_TYPE_SIZE)
		type = AQ_TYPE_LONG;
	return aq_format_value(type, NULL, (uint64_t)ret, buf, size);
}
