/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as NDJSON: one object per line, the last line is {"verdict":{…}}. Member names are described in
 * aquila-query(1) and stay as they are.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "query/render.h"
#include "replay/output.h"

static void ndjson_begin(struct aq_printer *p)
{
	(void)p;
}

/* Numbers as JSON writes them, true and false: an octal mode or a flag's name is none. */
static bool is_json_number(const char *text, size_t len)
{
	size_t i = len > 0 && text[0] == '-';

	if ((len == 4 && memcmp(text, "true", 4) == 0) || (len == 5 && memcmp(text, "false", 5) == 0))
		return true;
	if (i == len || (text[i] == '0' && len > i + 1))
		return false;
	while (i < len && text[i] >= '0' && text[i] <= '9')
		i++;
	return i == len;
}

static void put_value(struct aq_printer *p, const struct aq_value *v)
{
	size_t len;

	if (v->kind == AQ_VAL_STRING)
		return aq_out_json(p->out, v->s != NULL ? v->s : "", v->len);
	/* a descriptor is a number here: AT_FDCWD is -100 */
	if (v->style == AQ_STYLE_SCHEMA && v->type == AQ_TYPE_FD)
		return aq_out_i64(p->out, (int32_t)v->i);
	if (v->style == AQ_STYLE_SCHEMA && (v->type == AQ_TYPE_SIZE || v->type == AQ_TYPE_ULONG))
		return aq_out_u64(p->out, v->u);
	AQ_RENDER(p, &len, aq_value_text(v, p->scratch, p->scratch_size));
	if (aq_value_is_number(v) && is_json_number(p->scratch, len))
		aq_out_put(p->out, p->scratch, len);
	else
		aq_out_json(p->out, p->scratch, len);
}

static void put_fields(struct aq_printer *p, struct aq_row *row)
{
	for (size_t i = 0; i < p->field_count; i++) {
		const struct aq_field *f = p->fields[i];
		struct aq_value v;

		aq_out_puts(p->out, i > 0 ? "," : "{");
		aq_out_json_text(p->out, aq_field_text(f));
		aq_out_puts(p->out, ":");
		if (aq_field_info(f)->shape == AQ_FS_ONE) {
			if (aq_field_value(f, row, &v))
				put_value(p, &v);
			else
				aq_out_puts(p->out, "null");
			continue;
		}
		aq_out_puts(p->out, "[");
		for (unsigned k = 0; aq_field_value_at(f, row, k, &v); k++) {
			aq_out_puts(p->out, k > 0 ? "," : "");
			put_value(p, &v);
		}
		aq_out_puts(p->out, "]");
	}
	aq_out_puts(p->out, "}\n");
}

static void put_hex(struct aq_out *out, const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	aq_out_puts(out, "\"");
	for (size_t i = 0; i < len; i++) {
		char pair[2] = { digits[data[i] >> 4], digits[data[i] & 15] };

		aq_out_put(out, pair, 2);
	}
	aq_out_puts(out, "\"");
}

static void put_address(struct aq_printer *p, const void *data, size_t len)
{
	size_t n;

	AQ_RENDER(p, &n, aq_render_sockaddr(data, len, p->scratch, p->scratch_size));
	aq_out_json(p->out, p->scratch, n);
}

static void put_strings(struct aq_out *out, const char *data, size_t len)
{
	size_t at = 0;

	aq_out_puts(out, "[");
	while (at < len) {
		size_t n = strnlen(data + at, len - at);

		aq_out_puts(out, at > 0 ? "," : "");
		aq_out_json(out, data + at, n);
		at += n + 1;
	}
	aq_out_puts(out, "]");
}

static void put_attr(struct aq_printer *p, const struct aq_attr *a)
{
	enum { SOCKADDR_BYTES = 28 };
	struct aq_bytes fds = aq_bytes_of(a->data, a->len);

	if (a->flags & AQ_ATF_UNREADABLE)
		return aq_out_puts(p->out, "null");
	if (a->key == AQ_ATTR_FDS && a->len == 8) {
		int32_t first = (int32_t)aq_bytes_u32(&fds), second = (int32_t)aq_bytes_u32(&fds);

		return aq_out_printf(p->out, "[%" PRId32 ",%" PRId32 "]", first, second);
	}
	switch (aq_attr_type(a->key)) {
	case AQ_ATTRTYPE_STRING:
		return aq_out_json(p->out, a->len ? a->data : "", a->len);
	case AQ_ATTRTYPE_STRVEC:
		return put_strings(p->out, a->data, a->len);
	case AQ_ATTRTYPE_SOCKADDR:
		return put_address(p, a->data, a->len);
	case AQ_ATTRTYPE_TUPLE:
		if (a->len != 2 * SOCKADDR_BYTES)
			break;
		aq_out_puts(p->out, "{\"local\":");
		put_address(p, a->data, SOCKADDR_BYTES);
		aq_out_puts(p->out, ",\"remote\":");
		put_address(p, (const uint8_t *)a->data + SOCKADDR_BYTES, SOCKADDR_BYTES);
		return aq_out_puts(p->out, "}");
	case AQ_ATTRTYPE_BYTES:
		break;
	}
	put_hex(p->out, a->data, a->len);
}

static void put_number(struct aq_printer *p, const struct aq_event_schema *schema, const struct aq_event *ev,
		       unsigned i)
{
	const struct aq_arg_schema *arg = &schema->args[i];
	struct aq_value v = { AQ_VAL_UINT, AQ_STYLE_SCHEMA, arg->type, NULL, 0, { .u = ev->args[i] } };

	if (arg->flags != NULL)
		v.flags = aq_schema_arg_flags(schema, i, ev->abi);
	if (aq_type_is_signed(arg->type))
		v.kind = AQ_VAL_INT;
	if (arg->type == AQ_TYPE_BOOL)
		return aq_out_puts(p->out, ev->args[i] != 0 ? "true" : "false");
	if (arg->type == AQ_TYPE_TIME_NS || arg->type == AQ_TYPE_DEV || arg->type == AQ_TYPE_CGROUP)
		return aq_out_u64(p->out, ev->args[i]);
	put_value(p, &v);
}

/* "args":{…} by the schema's names. Pointers are left out where policy dropped them. */
static void put_args(struct aq_printer *p, const struct aq_event_schema *schema, const struct aq_event *ev)
{
	bool pointers = aq_capture_info(p->capture)->pointers_kept;
	unsigned numbers = aq_schema_number_count(schema);
	bool first = true;

	aq_out_puts(p->out, ",\"args\":{");
	for (unsigned i = 0; i < schema->arg_count; i++) {
		const struct aq_arg_schema *arg = &schema->args[i];
		const struct aq_attr *attr = aq_is_text_type(arg->type) ? aq_event_attr(ev, arg->attr) : NULL;

		if (aq_is_text_type(arg->type)
			    ? attr == NULL
			    : i >= numbers || i >= ev->arg_count || (arg->type == AQ_TYPE_PTR && !pointers))
			continue;
		aq_out_puts(p->out, first ? "" : ",");
		first = false;
		aq_out_json_text(p->out, arg->name);
		aq_out_puts(p->out, ":");
		if (attr != NULL)
			put_attr(p, attr);
		else
			put_number(p, schema, ev, i);
	}
	aq_out_puts(p->out, "}");
}

static void put_attr_name(struct aq_out *out, uint16_t key)
{
	if (aq_attr_name(key) != NULL)
		aq_out_json_text(out, aq_attr_name(key));
	else
		aq_out_printf(out, "\"attr_%u\"", key);
}

/* "attrs":{…}: what the kernel side added beyond the arguments; then the lists of what is cut or unreadable. */
static void put_attrs(struct aq_printer *p, const struct aq_event_schema *schema, const struct aq_event *ev)
{
	static const struct {
		uint16_t flag;
		const char *name;
	} marks[] = { { AQ_ATF_TRUNCATED, "truncated" },
		      { AQ_ATF_UNREADABLE, "unreadable" },
		      { AQ_ATF_PARTIAL, "partial" } };
	unsigned n = 0;

	for (unsigned i = 0; i < ev->attr_count; i++) {
		if (aq_attr_is_argument(schema, ev->attrs[i].key))
			continue;
		aq_out_puts(p->out, n++ == 0 ? ",\"attrs\":{" : ",");
		put_attr_name(p->out, ev->attrs[i].key);
		aq_out_puts(p->out, ":");
		put_attr(p, &ev->attrs[i]);
	}
	aq_out_puts(p->out, n > 0 ? "}" : "");
	for (size_t m = 0; m < sizeof(marks) / sizeof(marks[0]); m++) {
		n = 0;
		for (unsigned i = 0; i < ev->attr_count; i++) {
			if (!(ev->attrs[i].flags & marks[m].flag))
				continue;
			if (n++ == 0)
				aq_out_printf(p->out, ",\"%s\":[", marks[m].name);
			else
				aq_out_puts(p->out, ",");
			put_attr_name(p->out, ev->attrs[i].key);
		}
		aq_out_puts(p->out, n > 0 ? "]" : "");
	}
}

static void put_gap(struct aq_printer *p, const struct aq_gap *g)
{
	char first[AQ_TIME_TEXT_BYTES], last[AQ_TIME_TEXT_BYTES];

	aq_time_format(aq_capture_real_ns(p->capture, g->first_ns), first);
	aq_time_format(aq_capture_real_ns(p->capture, g->last_ns), last);
	aq_out_printf(p->out,
		      "{\"time\":\"%s\",\"boot_ns\":%" PRIu64 ",\"type\":\"gap\",\"last\":\"%s\",\"reason\":\"%s\"",
		      first, g->first_ns, last, aq_gap_reason_name(g->reason));
	if (g->count == AQ_GAP_COUNT_UNKNOWN)
		aq_out_puts(p->out, ",\"count\":null");
	else
		aq_out_printf(p->out, ",\"count\":%" PRIu64, g->count);
	if (g->cpu == UINT16_MAX)
		aq_out_puts(p->out, ",\"cpu\":null");
	else
		aq_out_printf(p->out, ",\"cpu\":%u", g->cpu);
	aq_out_puts(p->out, ",\"class\":");
	aq_out_json_text(p->out, g->cls < AQ_CLASS_COUNT ? aq_class_name(g->cls) : NULL);
	aq_out_puts(p->out, ",\"by_type\":{");
	for (uint32_t i = 0; i < g->by_event_count; i++) {
		const struct aq_event_schema *schema = aq_schema_event(g->by_event[i].event_id);

		aq_out_puts(p->out, i > 0 ? "," : "");
		if (schema != NULL)
			aq_out_json_text(p->out, schema->name);
		else
			aq_out_printf(p->out, "\"event_%u\"", g->by_event[i].event_id);
		aq_out_printf(p->out, ":%" PRIu64, g->by_event[i].count);
	}
	aq_out_puts(p->out, "}}\n");
}

static inline void put_member_u64(struct aq_out *out, const char *name, uint64_t value)
{
	aq_out_puts(out, name);
	aq_out_u64(out, value);
}

/* The container, and of one its name, pod and namespace, as far as they are known. */
static void put_names(struct aq_printer *p, struct aq_row *row)
{
	struct { const struct aq_field *field; const char *member; } more[] = {
		{ p->container_name, ",\"container_name\":" }, { p->pod, ",\"pod\":" }, { p->ns, ",\"namespace\":" } };
	struct aq_value v;

	if (p->container == NULL || !aq_field_value(p->container, row, &v))
		return;
	aq_out_puts(p->out, ",\"container\":");
	put_value(p, &v);
	if (v.kind == AQ_VAL_STRING && v.len == 4 && memcmp(v.s, "host", 4) == 0)
		return;
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		if (more[i].field != NULL && aq_field_value(more[i].field, row, &v)) {
			aq_out_puts(p->out, more[i].member);
			put_value(p, &v);
		}
}

static void ndjson_row(struct aq_printer *p, struct aq_row *row)
{
	const struct aq_event *ev = row->ev;
	const struct aq_event_schema *schema;
	char time[AQ_TIME_TEXT_BYTES], type[32];
	const char *name;

	if (p->fields != NULL)
		return put_fields(p, row);
	if (ev == NULL)
		return put_gap(p, row->gap);
	schema = ev->flags & AQ_EVF_UNKNOWN_NR ? NULL : aq_schema_event(ev->id);
	aq_row_time(p, row, time);
	aq_out_puts(p->out, "{\"time\":\"");
	aq_out_puts(p->out, time);
	put_member_u64(p->out, "\",\"boot_ns\":", ev->time_ns);
	aq_out_puts(p->out, ",\"type\":\"");
	aq_out_puts(p->out, aq_row_type(row, type));
	aq_out_puts(p->out, "\",\"class\":\"");
	aq_out_puts(p->out, aq_class_name(ev->cls));
	put_member_u64(p->out, "\",\"cpu\":", ev->cpu);
	put_member_u64(p->out, ",\"pid\":", ev->pid);
	put_member_u64(p->out, ",\"tid\":", ev->tid);
	name = aq_row_proc(row);
	aq_out_puts(p->out, ",\"proc\":");
	aq_out_json_text(p->out, name);
	if (row->proc != NULL && row->proc->exepath != NULL) {
		aq_out_puts(p->out, ",\"exe\":");
		aq_out_json(p->out, row->proc->exepath->s, row->proc->exepath->len);
	}
	if (ev->cgroup_id != 0)
		put_member_u64(p->out, ",\"cgroup\":", ev->cgroup_id);
	put_names(p, row);
	if (ev->abi != AQ_ABI_X86_64 && ev->id < AQ_EVENT_ID_STATE)
		aq_out_printf(p->out, ",\"abi\":\"%s\"", aq_abi_name(ev->abi));
	if (schema != NULL) {
		put_args(p, schema, ev);
	} else {
		aq_out_puts(p->out, ",\"args\":{");
		for (unsigned i = 0; i < ev->arg_count; i++)
			aq_out_printf(p->out, "%s\"%u\":%" PRIu64, i > 0 ? "," : "", i, ev->args[i]);
		aq_out_puts(p->out, "}");
	}
	put_attrs(p, schema, ev);
	if (ev->id < AQ_EVENT_ID_STATE) {
		aq_out_puts(p->out, ",\"res\":");
		aq_out_i64(p->out, ev->ret);
		if (aq_result_is_error(ev->ret)) {
			aq_out_puts(p->out, ",\"error\":");
			aq_out_json_text(p->out, aq_errno_name((int)-ev->ret));
		}
	}
	if (ev->has_duration)
		put_member_u64(p->out, ",\"latency\":", ev->duration_ns);
	aq_out_puts(p->out, ev->flags & AQ_EVF_DEGRADED ? ",\"degraded\":true}\n" : "}\n");
}

static void ndjson_end(struct aq_printer *p, const struct aq_verdict *verdict)
{
	aq_out_puts(p->out, "{");
	aq_out_json_verdict(p->out, p->capture, verdict);
	aq_out_puts(p->out, "}\n");
}

static void ndjson_count(struct aq_printer *p, uint64_t count, const struct aq_verdict *verdict)
{
	aq_out_printf(p->out, "{\"count\":%" PRIu64 "}\n", count);
	ndjson_end(p, verdict);
}

static void ndjson_groups(struct aq_printer *p, const struct aq_groups *groups, const char *const *names,
			  uint64_t limit, const struct aq_verdict *verdict)
{
	for (size_t i = 0; i < groups->count && (limit == 0 || i < limit); i++) {
		const struct aq_group *g = &groups->groups[i];

		aq_out_printf(p->out, "{\"count\":%" PRIu64, g->count);
		for (size_t k = 0; k < groups->key_count; k++) {
			aq_out_puts(p->out, ",");
			aq_out_json_text(p->out, names[k]);
			aq_out_puts(p->out, ":");
			aq_out_json(p->out, g->keys[k], g->keys[k] != NULL ? g->key_lens[k] : 0);
		}
		aq_out_puts(p->out, "}\n");
	}
	ndjson_end(p, verdict);
}

const struct aq_printer_ops aq_printer_ndjson = {
	.needs = AQ_NEED_ATTRS | AQ_NEED_PROC | AQ_NEED_CGROUP | AQ_NEED_FACTS,
	.begin = ndjson_begin,
	.row = ndjson_row,
	.end = ndjson_end,
	.count = ndjson_count,
	.groups = ndjson_groups,
};
