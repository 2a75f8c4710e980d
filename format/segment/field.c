/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of an event: which it has, and each as text. */
#include "format/segment/field.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "format/base/buf.h"
#include "format/base/text.h"

enum { TEXT_BYTES_MAX = 16 << 20, INET_BYTES = 8, INET6_BYTES = 24, TUPLE_HALF_BYTES = 28 };

/* Counts fields until the one that is looked for is there. */
struct walk {
	unsigned index, at;
	const char *name; /* by name instead */
	struct aq_event_field *ret;
	bool found;
};

static bool offer(struct walk *w, const struct aq_event_field *field)
{
	if (w->ret && (w->name ? strcmp(field->name, w->name) == 0 : w->at == w->index)) {
		*w->ret = *field;
		w->found = true;
	}
	w->at++;
	return w->found;
}

static struct aq_event_field of_attr(const struct aq_attr *a, const char *name, enum aq_type type)
{
	return (struct aq_event_field){ .name = name, .kind = AQ_FIELD_BYTES, .type = type, .attr = a->key, .data = a->data,
					.len = a->len, .true_len = a->true_len, .attr_flags = a->flags };
}

static bool walk_args(const struct aq_event *ev, const struct aq_event_schema *row, struct walk *w, uint64_t *shown)
{
	static const char *const raw[AQ_EVENT_MAX_ARGS] = {
		"arg0", "arg1", "arg2", "arg3", "arg4", "arg5", "arg6", "arg7",
		"arg8", "arg9", "arg10", "arg11", "arg12", "arg13", "arg14", "arg15",
	};
	unsigned numbers = ev->arg_count < AQ_EVENT_MAX_ARGS ? ev->arg_count : AQ_EVENT_MAX_ARGS;
	unsigned count = row ? row->arg_count : numbers;
	for (unsigned i = 0; i < count; i++) {
		const struct aq_arg_schema *arg = row ? &row->args[i] : NULL;
		const struct aq_attr *a = arg && arg->attr ? aq_event_attr(ev, arg->attr) : NULL;
		struct aq_event_field field;
		if (a) {
			field = of_attr(a, arg->name, arg->type);
			*shown |= 1ull << arg->attr;
		} else if (arg && arg->attr) {
			field = (struct aq_event_field){ .name = arg->name, .kind = AQ_FIELD_MISSING, .type = arg->type, .attr = arg->attr };
		} else if (i >= numbers || (arg && arg->type == AQ_TYPE_PTR && ev->args[i] == 0)) {
			continue;
		} else {
			field = (struct aq_event_field){ .name = arg ? arg->name : raw[i], .kind = AQ_FIELD_NUMBER,
							 .type = arg ? arg->type : AQ_TYPE_HEX, .number = ev->args[i],
							 .flags = arg ? aq_schema_arg_flags(row, i, ev->abi) : NULL };
		}
		if (offer(w, &field))
			return true;
	}
	return false;
}

static void walk(const struct aq_event *ev, struct walk *w)
{
	const struct aq_event_schema *row = ev->id ? aq_schema_event(ev->id) : NULL;
	uint64_t shown = 0;
	if (walk_args(ev, row, w, &shown))
		return;
	for (unsigned i = 0; i < ev->attr_count && i < AQ_EVENT_MAX_ATTRS; i++) {
		const struct aq_attr *a = &ev->attrs[i];
		const char *name = aq_attr_name(a->key);
		if (a->key >= AQ_ATTR_KEY_MAX || shown >> a->key & 1)
			continue;
		struct aq_event_field field = of_attr(a, name ? name : "unknown", AQ_TYPE_NONE);
		if (offer(w, &field))
			return;
	}
	if (row && row->ret_type == AQ_TYPE_NONE)
		return;
	struct aq_event_field result = { .name = "ret", .kind = AQ_FIELD_RESULT, .type = row ? row->ret_type : AQ_TYPE_LONG,
					 .number = (uint64_t)ev->ret };
	offer(w, &result);
}

unsigned aq_event_field_count(const struct aq_event *ev)
{
	struct walk w = { 0 };
	walk(ev, &w);
	return w.at;
}

int aq_event_field(const struct aq_event *ev, unsigned index, struct aq_event_field *ret_field)
{
	struct walk w = { .index = index, .ret = ret_field };
	walk(ev, &w);
	return w.found ? 0 : -ENOENT;
}

int aq_event_field_by_name(const struct aq_event *ev, const char *name, struct aq_event_field *ret_field)
{
	struct walk w = { .name = name, .ret = ret_field };
	walk(ev, &w);
	return w.found ? 0 : -ENOENT;
}

static void put_text(struct aq_buf *b, const char *text)
{
	aq_buf_put(b, text, strlen(text));
}

static void put_hex(struct aq_buf *b, const uint8_t *data, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < n; i++) {
		aq_buf_put_u8(b, (uint8_t)digits[data[i] >> 4]);
		aq_buf_put_u8(b, (uint8_t)digits[data[i] & 15]);
	}
}

static void put_address(struct aq_buf *b, const uint8_t *data, size_t n)
{
	char ip[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 16];
	unsigned family = n >= 2 ? data[0] | (unsigned)data[1] << 8 : AF_UNSPEC;
	unsigned port = n >= 4 ? (unsigned)data[2] << 8 | data[3] : 0;
	if (family == AF_INET && n >= INET_BYTES) {
		inet_ntop(AF_INET, data + 4, ip, sizeof(ip));
		snprintf(text, sizeof(text), "%s:%u", ip, port);
		put_text(b, text);
	} else if (family == AF_INET6 && n >= INET6_BYTES) {
		inet_ntop(AF_INET6, data + 8, ip, sizeof(ip));
		snprintf(text, sizeof(text), "[%s]:%u", ip, port);
		put_text(b, text);
	} else if (family == AF_UNIX) {
		const char *path = (const char *)data + 2;
		bool abstract = n > 2 && path[0] == '\0';
		put_text(b, abstract ? "unix:@" : "unix:");
		if (abstract)
			aq_text_escape(b, path + 1, n - 3);
		else
			aq_text_escape(b, path, strnlen(path, n - 2));
	} else {
		put_hex(b, data, n);
	}
}

static void put_bytes(struct aq_buf *b, const struct aq_event_field *f)
{
	const uint8_t *data = f->data;
	switch (aq_attr_type(f->attr)) {
	case AQ_ATTRTYPE_STRING:
		aq_text_escape(b, data, f->len);
		break;
	case AQ_ATTRTYPE_STRVEC:
		for (size_t at = 0; at < f->len;) {
			size_t n = strnlen((const char *)data + at, f->len - at);
			if (at)
				aq_buf_put_u8(b, ' ');
			aq_text_escape(b, data + at, n);
			at += n + 1;
		}
		break;
	case AQ_ATTRTYPE_SOCKADDR:
		put_address(b, data, f->len);
		break;
	case AQ_ATTRTYPE_TUPLE:
		if (f->len >= 2 * TUPLE_HALF_BYTES) {
			put_address(b, data, TUPLE_HALF_BYTES);
			put_text(b, "->");
			put_address(b, data + TUPLE_HALF_BYTES, TUPLE_HALF_BYTES);
			break;
		}
		/* fall through */
	default:
		put_hex(b, data, f->len);
	}
}

size_t aq_event_field_text(const struct aq_event *ev, const struct aq_event_field *field, char *buf, size_t size)
{
	struct aq_buf b;
	const struct aq_event_schema *row = aq_schema_event(ev->id);
	if (size)
		buf[0] = '\0';
	if (field->kind == AQ_FIELD_NUMBER)
		return aq_format_value(field->type, field->flags, field->number, buf, size);
	if (field->kind == AQ_FIELD_RESULT && row)
		return aq_format_result(row, (int64_t)field->number, buf, size);
	if (field->kind == AQ_FIELD_RESULT)
		return aq_format_value(AQ_TYPE_LONG, NULL, field->number, buf, size);
	if (field->kind != AQ_FIELD_BYTES || !field->data)
		return 0;
	aq_buf_init(&b, TEXT_BYTES_MAX);
	put_bytes(&b, field);
	size_t len = b.len, keep = len < size ? len : size ? size - 1 : 0;
	if (size && keep)
		memcpy(buf, b.data, keep);
	if (size)
		buf[keep] = '\0';
	aq_buf_release(&b);
	return len;
}
