/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events as text for people. Every byte that a traced program chose is escaped here; nothing is printed, all goes to the
 * caller's buffer.
 */
#include "query/render.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "query/state_internal.h"

struct out { /* what fits is written, all is counted */
	char *buf;
	size_t size, len;
};

static void out_bytes(struct out *o, const void *data, size_t len)
{
	if (o->size && o->len < o->size - 1) {
		size_t room = o->size - 1 - o->len, keep = len < room ? len : room;

		memcpy(o->buf + o->len, data, keep);
		o->buf[o->len + keep] = '\0';
	}
	o->len += len;
}

static void out_text(struct out *o, const char *text)
{
	out_bytes(o, text, strlen(text));
}

static void out_printf(struct out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void out_printf(struct out *o, const char *format, ...)
{
	char text[256];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n > 0)
		out_bytes(o, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static struct out out_begin(char *buf, size_t size)
{
	if (size)
		buf[0] = '\0';
	return (struct out){ buf, size, 0 };
}

/* Length of a whole, printable UTF-8 character of two bytes or more at s; 0 if there is none. */
static size_t utf8_len(const uint8_t *s, size_t left)
{
	uint32_t code;
	size_t n;

	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2, code = s[0] & 0x1f;
	else if ((s[0] & 0xf0) == 0xe0)
		n = 3, code = s[0] & 0x0f;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4, code = s[0] & 0x07;
	else
		return 0;
	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && code < 0x800) || (n == 4 && (code < 0x10000 || code > 0x10ffff)) || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	if (code < 0xa0)
		return 0; /* C1 controls drive terminals too */
	if ((code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
	    code == 0xfeff || (code >= 0xfff0 && code <= 0xfffb) || code == 0x061c || code >= 0xe0000)
		return 0; /* invisible, or turns the line's direction */
	return n;
}

static void out_escaped(struct out *o, const void *data, size_t len, bool quotes)
{
	const uint8_t *s = data;

	for (size_t i = 0; i < len;) {
		size_t plain = i, n;

		while (plain < len && s[plain] >= 0x20 && s[plain] < 0x7f && s[plain] != '\\' && !(quotes && s[plain] == '"'))
			plain++;
		if (plain > i) {
			out_bytes(o, s + i, plain - i);
			i = plain;
			continue;
		}
		n = utf8_len(s + i, len - i);
		if (n) {
			out_bytes(o, s + i, n);
			i += n;
			continue;
		}
		switch (s[i]) {
		case '\\': out_text(o, "\\\\"); break;
		case '"': out_text(o, "\\\""); break;
		case '\n': out_text(o, "\\n"); break;
		case '\r': out_text(o, "\\r"); break;
		case '\t': out_text(o, "\\t"); break;
		default: out_printf(o, "\\x%02x", s[i]); break;
		}
		i++;
	}
}

static void out_quoted(struct out *o, const void *data, size_t len, size_t max, bool cut)
{
	size_t shown = max && len > max ? max : len;

	out_text(o, "\"");
	out_escaped(o, data, shown, true);
	out_text(o, "\"");
	if (shown < len || cut)
		out_text(o, "…");
}

static bool needs_shell_quotes(const char *s, size_t len)
{
	if (len == 0)
		return true;
	for (size_t i = 0; i < len; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9') ||
		      strchr("_-+=./:,@%^", s[i])) || s[i] == '\0')
			return true;
	return false;
}

static void out_argv(struct out *o, const char *s, size_t len)
{
	for (size_t at = 0; at < len;) {
		size_t n = strnlen(s + at, len - at);

		if (at)
			out_text(o, " ");
		if (needs_shell_quotes(s + at, n)) {
			out_text(o, "'");
			out_escaped(o, s + at, n, false);
			out_text(o, "'");
		} else {
			out_bytes(o, s + at, n);
		}
		at += n + 1;
	}
}

static void out_sockaddr(struct out *o, const void *data, size_t len)
{
	struct aq_endpoint ep = { 0 };
	char text[INET6_ADDRSTRLEN];
	const char *name;
	size_t name_len;
	uint8_t family;

	if (!aq_endpoint_parse(data, len, &ep, &family, &name, &name_len)) {
		out_text(o, "?");
	} else if (ep.family == AF_INET && inet_ntop(AF_INET, ep.ip, text, sizeof(text))) {
		out_printf(o, "%s:%u", text, ep.port);
	} else if (ep.family == AF_INET6 && inet_ntop(AF_INET6, ep.ip, text, sizeof(text))) {
		out_printf(o, "[%s]:%u", text, ep.port);
	} else if (family == AF_UNIX) {
		out_text(o, "unix:");
		if (name_len && name[0] == '\0') { /* abstract: shown with @, as ss and netstat do */
			out_text(o, "@");
			name++;
			name_len--;
		}
		out_escaped(o, name, name_len, false);
	} else {
		out_printf(o, family == AF_NETLINK ? "netlink" : family == AF_PACKET ? "packet" : "family %u", family);
	}
}

static void out_attr(struct out *o, const struct aq_attr *a, size_t max)
{
	bool cut = a->flags & AQ_ATF_TRUNCATED;

	if (a->flags & AQ_ATF_UNREADABLE) {
		out_text(o, "<unreadable>");
		return;
	}
	switch (aq_attr_type(a->key)) {
	case AQ_ATTRTYPE_STRVEC:
		out_text(o, "[");
		for (size_t at = 0; at < a->len;) {
			size_t n = strnlen((const char *)a->data + at, a->len - at);

			out_text(o, at ? ", " : "");
			out_quoted(o, (const char *)a->data + at, n, max, false);
			at += n + 1;
		}
		out_text(o, cut ? ", …]" : "]");
		break;
	case AQ_ATTRTYPE_SOCKADDR:
		out_sockaddr(o, a->data, a->len);
		break;
	case AQ_ATTRTYPE_TUPLE:
		if (a->len >= 56) {
			out_sockaddr(o, a->data, 28);
			out_text(o, "->");
			out_sockaddr(o, (const uint8_t *)a->data + 28, 28);
		}
		break;
	case AQ_ATTRTYPE_BYTES:
		if (a->key == AQ_ATTR_FDS && a->len == 8) {
			int32_t fd[2];

			memcpy(fd, a->data, 8);
			out_printf(o, "[%d, %d]", fd[0], fd[1]);
			break;
		}
		out_quoted(o, a->data, a->len, max, cut);
		break;
	default:
		out_quoted(o, a->data, a->len, max, cut);
		break;
	}
}

static void out_value(struct out *o, enum aq_type type, const struct aq_flag_set *flags, uint64_t value)
{
	char text[512];
	size_t n = aq_format_value(type, flags, value, text, sizeof(text));

	out_bytes(o, text, n < sizeof(text) ? n : sizeof(text) - 1);
}

static void out_args(struct out *o, const struct aq_event *ev, unsigned flags)
{
	const struct aq_event_schema *row = aq_schema_event(ev->id);
	size_t max = flags & AQ_RENDER_STRINGS_MAX ? flags & AQ_RENDER_STRINGS_MAX : 256;
	unsigned shown[AQ_ATTR_KEY_MAX] = { 0 }, printed = 0;
	unsigned count = row && row->arg_count < AQ_EVENT_MAX_ARGS ? row->arg_count : AQ_EVENT_MAX_ARGS;

	for (unsigned i = 0; i < count && (row || i < ev->arg_count); i++) {
		const struct aq_arg_schema *arg = row ? &row->args[i] : NULL;
		const struct aq_attr *a = arg && arg->attr ? aq_event_attr(ev, arg->attr) : NULL;

		if (!a && i >= ev->arg_count)
			continue;
		if (arg && !a && (arg->type == AQ_TYPE_PTR || arg->type == AQ_TYPE_NONE))
			continue;
		out_text(o, printed++ ? ", " : "");
		if (arg && !(flags & AQ_RENDER_NO_NAMES))
			out_printf(o, "%s=", arg->name);
		if (a) {
			out_attr(o, a, max);
			if (a->key < AQ_ATTR_KEY_MAX)
				shown[a->key] = 1;
		} else if (!arg) {
			out_value(o, AQ_TYPE_HEX, NULL, ev->args[i]);
		} else if (arg->attr) {
			out_text(o, ev->flags & AQ_EVF_DEGRADED ? "<lost>" : "<none>");
		} else {
			out_value(o, arg->type, arg->flags, ev->args[i]);
		}
	}
	for (unsigned i = 0; i < ev->attr_count && i < AQ_EVENT_MAX_ATTRS; i++) {
		const struct aq_attr *a = &ev->attrs[i];
		const char *name = aq_attr_name(a->key);

		if (a->key < AQ_ATTR_KEY_MAX && shown[a->key])
			continue;
		out_text(o, printed++ ? ", " : "");
		if (!(flags & AQ_RENDER_NO_NAMES))
			out_printf(o, "%s=", name ? name : "?");
		out_attr(o, a, max);
	}
}

static void out_result(struct out *o, const struct aq_event *ev)
{
	const struct aq_event_schema *row = aq_schema_event(ev->id);
	char text[256];
	size_t n;

	if (aq_result_is_error(ev->ret) && aq_errno_name((int)-ev->ret)) {
		out_text(o, aq_errno_name((int)-ev->ret));
		return;
	}
	if (!row) {
		out_printf(o, "%" PRId64, ev->ret);
		return;
	}
	n = aq_format_result(row, ev->ret, text, sizeof(text));
	out_bytes(o, text, n < sizeof(text) ? n : sizeof(text) - 1);
}

size_t aq_render_args(const struct aq_event *ev, unsigned flags, char *buf, size_t size)
{
	struct out o = out_begin(buf, size);

	out_args(&o, ev, flags);
	return o.len;
}

size_t aq_render_result(const struct aq_event *ev, char *buf, size_t size)
{
	struct out o = out_begin(buf, size);

	out_result(&o, ev);
	return o.len;
}

size_t aq_render_event(const struct aq_event *ev, unsigned flags, char *buf, size_t size)
{
	const struct aq_event_schema *row = aq_schema_event(ev->id);
	struct out o = out_begin(buf, size);

	if (row && ev->id)
		out_text(&o, row->name);
	else if (ev->flags & AQ_EVF_UNKNOWN_NR)
		out_printf(&o, "syscall_%" PRIu32, ev->nr);
	else
		out_printf(&o, "event_%u", ev->id);
	out_text(&o, "(");
	out_args(&o, ev, flags);
	out_text(&o, ")");
	if (ev->id < AQ_EVENT_ID_STATE && !(row && row->ret_type == AQ_TYPE_NONE)) {
		out_text(&o, " = ");
		out_result(&o, ev);
	}
	return o.len;
}

size_t aq_render_gap(const struct aq_gap *gap, char *buf, size_t size)
{
	struct out o = out_begin(buf, size);

	out_text(&o, "gap");
	if (gap->cpu != UINT16_MAX)
		out_printf(&o, " cpu=%u", gap->cpu);
	out_printf(&o, " class=%s reason=%s", gap->cls == UINT8_MAX ? "all" : aq_class_name(gap->cls),
		   aq_gap_reason_name(gap->reason));
	if (gap->cgroup_id != 0)
		out_printf(&o, " cgroup=%" PRIu64, gap->cgroup_id);
	if (gap->count == AQ_GAP_COUNT_UNKNOWN)
		out_text(&o, " count=unknown");
	else
		out_printf(&o, " count=%" PRIu64, gap->count);
	for (uint32_t i = 0; i < gap->by_event_count && i < 8; i++) {
		const struct aq_event_schema *row = aq_schema_event(gap->by_event[i].event_id);

		out_printf(&o, "%s%s %" PRIu64, i ? ", " : " (", row ? row->name : "?", gap->by_event[i].count);
	}
	if (gap->by_event_count)
		out_text(&o, gap->by_event_count > 8 ? ", …)" : ")");
	return o.len;
}

size_t aq_render_quoted(const void *data, size_t len, size_t max_bytes, char *buf, size_t size)
{
	struct out o = out_begin(buf, size);

	out_quoted(&o, data, len, max_bytes, false);
	return o.len;
}

size_t aq_render_escaped(const void *data, size_t len, char *buf, size_t size)
{
	struct out o = out_begin(buf, size);

	out_escaped(&o, data, len, false);
	return o.len;
}

size_t aq_render_argv(const void *data, size_t len, char *buf, size_t size)
{
	struct out o = out_begin(buf, size);

	out_argv(&o, data, len);
	return o.len;
}

size_t aq_render_sockaddr(const void *data, size_t len, char *buf, size_t size)
{
	struct out o = out_begin(buf, size);

	out_sockaddr(&o, data, len);
	return o.len;
}

size_t aq_render_time(uint64_t real_ns, char *buf, size_t size)
{
	struct out o = out_begin(buf, size);
	time_t t = (time_t)(real_ns / 1000000000u);
	struct tm tm;

	if (!gmtime_r(&t, &tm)) {
		out_printf(&o, "%" PRIu64, real_ns);
		return o.len;
	}
	out_printf(&o, "%04d-%02d-%02dT%02d:%02d:%02d.%09uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		   tm.tm_min, tm.tm_sec, (unsigned)(real_ns % 1000000000u));
	return o.len;
}

size_t aq_render_duration(uint64_t ns, char *buf, size_t size)
{
	struct out o = out_begin(buf, size);
	uint64_t s = ns / 1000000000u;

	if (ns < 1000)
		out_printf(&o, "%" PRIu64 "ns", ns);
	else if (ns < 1000000)
		out_printf(&o, "%.3gus", (double)ns / 1e3);
	else if (ns < 1000000000)
		out_printf(&o, "%.3gms", (double)ns / 1e6);
	else if (s < 60)
		out_printf(&o, "%.3fs", (double)ns / 1e9);
	else if (s < 3600)
		out_printf(&o, "%" PRIu64 "m%" PRIu64 "s", s / 60, s % 60);
	else
		out_printf(&o, "%" PRIu64 "h%" PRIu64 "m", s / 3600, s / 60 % 60);
	return o.len;
}
