/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of the event itself and of gaps. */
#include "query/fields_internal.h"

#include <stdio.h>

#include "query/render.h"

enum { AQ_O_ACCMODE = 3, AQ_O_CREAT = 0100, AQ_O_TMPFILE_BIT = 020000000 };

static bool derived(struct aq_row *row, struct aq_value *v, const char *buf, size_t size, size_t len)
{
	if (len >= size)
		len = size ? size - 1 : 0;
	aq_scratch_keep(row, len);
	return aq_v_str(v, buf, len);
}

static bool attr_value(struct aq_row *row, const struct aq_attr *a, struct aq_value *v)
{
	size_t size;
	char *buf;

	if (!a || (a->flags & AQ_ATF_UNREADABLE))
		return false;
	switch (aq_attr_type(a->key)) {
	case AQ_ATTRTYPE_STRVEC: {
		size_t len = a->len && ((const char *)a->data)[a->len - 1] == '\0' ? a->len - 1 : a->len;

		buf = aq_scratch_room(row, len + 1, &size);
		if (len > size)
			len = size;
		for (size_t i = 0; i < len; i++)
			buf[i] = ((const char *)a->data)[i] ? ((const char *)a->data)[i] : ' ';
		aq_scratch_keep(row, len);
		return aq_v_str(v, buf, len);
	}
	case AQ_ATTRTYPE_SOCKADDR:
		buf = aq_scratch_room(row, 512, &size);
		return derived(row, v, buf, size, aq_render_sockaddr(a->data, a->len, buf, size));
	case AQ_ATTRTYPE_TUPLE: {
		size_t len;

		if (a->len < 56)
			return false;
		buf = aq_scratch_room(row, 512, &size);
		len = aq_render_sockaddr(a->data, 28, buf, size);
		if (len + 2 >= size)
			return false;
		memcpy(buf + len, "->", 2);
		len += 2;
		len += aq_render_sockaddr((const uint8_t *)a->data + 28, 28, buf + len, size - len);
		return derived(row, v, buf, size, len);
	}
	default:
		return aq_v_str(v, a->data, a->len);
	}
}

static bool arg_value(const struct aq_field *f, struct aq_row *row, bool raw, struct aq_value *v)
{
	const struct aq_event *ev = row->ev;
	const struct aq_event_schema *schema = aq_schema_event(ev->id);
	int i = f->has_index ? (int)f->index : ev->id < AQ_EVENT_ID_MAX ? f->arg_of[ev->id] : -1;
	const struct aq_arg_schema *arg;

	if (i < 0 || (schema && i >= schema->arg_count))
		return f->attr && !raw && attr_value(row, aq_event_attr(ev, f->attr), v);
	arg = schema ? &schema->args[i] : NULL;
	if (arg && arg->attr && !raw) {
		const struct aq_attr *a = aq_event_attr(ev, arg->attr);

		return attr_value(row, a, v);
	}
	if (i >= ev->arg_count || (arg && arg->attr))
		return false;
	*v = (struct aq_value){ .kind = AQ_VAL_UINT, .u = ev->args[i] };
	if (arg && aq_type_is_signed(arg->type))
		v->kind = AQ_VAL_INT;
	if (arg && !raw) {
		v->style = AQ_STYLE_SCHEMA;
		v->type = arg->type;
		v->flags = arg->flags;
	}
	if (arg && v->kind == AQ_VAL_INT &&
	    (arg->type == AQ_TYPE_FD || arg->type == AQ_TYPE_INT || arg->type == AQ_TYPE_PID || arg->type == AQ_TYPE_SIGNAL))
		v->i = (int32_t)v->u;
	return true;
}

static bool open_flags(const struct aq_event *ev, uint64_t *ret_flags, uint64_t *ret_mode)
{
	switch (ev->id) {
	case AQ_EV_open:
		*ret_flags = ev->arg_count > 1 ? ev->args[1] : 0;
		*ret_mode = ev->arg_count > 2 ? ev->args[2] : 0;
		return true;
	case AQ_EV_openat:
		*ret_flags = ev->arg_count > 2 ? ev->args[2] : 0;
		*ret_mode = ev->arg_count > 3 ? ev->args[3] : 0;
		return true;
	case AQ_EV_openat2:
		*ret_flags = ev->args[4];
		*ret_mode = ev->args[5];
		return true;
	case AQ_EV_creat:
		*ret_flags = 01 | AQ_O_CREAT;
		*ret_mode = ev->arg_count > 1 ? ev->args[1] : 0;
		return true;
	default:
		return false;
	}
}

static bool of_open(enum aq_field_id id, const struct aq_event *ev, struct aq_value *v)
{
	uint64_t flags, mode;
	unsigned access;

	if (ev->id == AQ_EV_openat2 && ev->arg_count < 6)
		return false; /* its flags are behind a pointer; once they were not recorded */
	if (!open_flags(ev, &flags, &mode))
		return aq_v_bool(v, false);
	access = flags & AQ_O_ACCMODE;
	switch (id) {
	case AQ_FIELD_EVT_IS_OPEN_READ: return aq_v_bool(v, ev->ret >= 0 && (access == 0 || access == 2));
	case AQ_FIELD_EVT_IS_OPEN_WRITE: return aq_v_bool(v, ev->ret >= 0 && (access == 1 || access == 2));
	case AQ_FIELD_EVT_IS_OPEN_CREATE:
		return aq_v_bool(v, ev->ret >= 0 && (flags & (AQ_O_CREAT | AQ_O_TMPFILE_BIT)));
	default:
		return aq_v_bool(v, ev->ret >= 0 && (flags & (AQ_O_CREAT | AQ_O_TMPFILE_BIT)) && (mode & 0111));
	}
}

static bool gap_value(enum aq_field_id id, struct aq_row *row, struct aq_value *v)
{
	const struct aq_gap *g = row->gap;
	size_t size;
	char *buf;

	if (!g)
		return false;
	switch (id) {
	case AQ_FIELD_GAP_COUNT: return g->count != AQ_GAP_COUNT_UNKNOWN && aq_v_uint(v, g->count);
	case AQ_FIELD_EVT_CLASS:
	case AQ_FIELD_GAP_CLASS: return aq_v_text(v, g->cls == UINT8_MAX ? "all" : aq_class_name(g->cls));
	case AQ_FIELD_GAP_REASON: return aq_v_text(v, aq_gap_reason_name(g->reason));
	case AQ_FIELD_EVT_CPU:
	case AQ_FIELD_GAP_CPU: return g->cpu != UINT16_MAX && aq_v_uint(v, g->cpu);
	case AQ_FIELD_GAP_FIRST: return row->capture && aq_v_time(v, aq_capture_real_ns(row->capture, g->first_ns));
	case AQ_FIELD_GAP_LAST: return row->capture && aq_v_time(v, aq_capture_real_ns(row->capture, g->last_ns));
	case AQ_FIELD_EVT_TYPE: return aq_v_text(v, "gap");
	case AQ_FIELD_EVT_INFO:
	case AQ_FIELD_EVT_ARGS:
	case AQ_FIELD_GAP_TEXT:
		buf = aq_scratch_room(row, 1024, &size);
		return derived(row, v, buf, size, aq_render_gap(g, buf, size));
	default: return false;
	}
}

static bool of_time(enum aq_field_id id, struct aq_row *row, struct aq_value *v)
{
	uint64_t boot = row->ev ? row->ev->time_ns : row->gap->first_ns;

	switch (id) {
	case AQ_FIELD_EVT_TIME: return row->capture && aq_v_time(v, aq_capture_real_ns(row->capture, boot));
	case AQ_FIELD_EVT_RAWTIME: return row->capture && aq_v_uint(v, aq_capture_real_ns(row->capture, boot));
	case AQ_FIELD_EVT_BOOTTIME: return aq_v_uint(v, boot);
	default:
		*v = (struct aq_value){ .kind = AQ_VAL_INT, .style = AQ_STYLE_DURATION, .i = (int64_t)(boot - row->first_ns) };
		return true;
	}
}

/* None where durations were not recorded, or the entry was not seen. */
static bool of_latency(enum aq_field_id id, struct aq_row *row, struct aq_value *v)
{
	const struct aq_event *ev = row->ev;

	if (!ev || !ev->has_duration)
		return false;
	switch (id) {
	case AQ_FIELD_EVT_LATENCY_S: return aq_v_uint(v, ev->duration_ns / 1000000000u);
	case AQ_FIELD_EVT_LATENCY_NS: return aq_v_uint(v, ev->duration_ns % 1000000000u);
	case AQ_FIELD_EVT_START:
		return row->capture && aq_v_time(v, aq_capture_real_ns(row->capture, ev->time_ns) - ev->duration_ns);
	default:
		*v = (struct aq_value){ .kind = AQ_VAL_UINT, .style = AQ_STYLE_DURATION, .u = ev->duration_ns };
		return true;
	}
}

static bool of_text(enum aq_field_id id, struct aq_row *row, struct aq_value *v)
{
	size_t size;
	char *buf = aq_scratch_room(row, 8192, &size);

	if (id == AQ_FIELD_EVT_ARGS)
		return derived(row, v, buf, size, aq_render_args(row->ev, 4096, buf, size));
	return derived(row, v, buf, size, aq_render_event(row->ev, 4096, buf, size));
}

static bool of_result(enum aq_field_id id, const struct aq_event *ev, const struct aq_event_schema *schema,
		      struct aq_value *v)
{
	if (ev->id >= AQ_EVENT_ID_STATE || (schema && schema->ret_type == AQ_TYPE_NONE))
		return false;
	if (id == AQ_FIELD_EVT_RAWRES)
		return aq_v_int(v, ev->ret);
	if (id == AQ_FIELD_EVT_FAILED)
		return aq_v_bool(v, aq_result_is_error(ev->ret));
	*v = (struct aq_value){ .kind = AQ_VAL_INT, .style = AQ_STYLE_RESULT, .i = ev->ret,
				.type = schema ? schema->ret_type : AQ_TYPE_LONG };
	return true;
}

static bool truncated(const struct aq_event *ev, struct aq_value *v)
{
	for (unsigned i = 0; i < ev->attr_count && i < AQ_EVENT_MAX_ATTRS; i++)
		if (ev->attrs[i].flags & (AQ_ATF_TRUNCATED | AQ_ATF_PARTIAL))
			return aq_v_bool(v, true);
	return aq_v_bool(v, false);
}

bool aq_field_get_evt(const struct aq_field *f, struct aq_row *row, struct aq_value *v)
{
	enum aq_field_id id = f->info->id;
	const struct aq_event *ev = row->ev;
	const struct aq_event_schema *schema = ev ? aq_schema_event(ev->id) : NULL;
	enum aq_category cat = schema ? schema->category : AQ_CAT_UNKNOWN;

	if (id == AQ_FIELD_EVT_NUM)
		return row->num && aq_v_uint(v, row->num);
	if (id >= AQ_FIELD_EVT_TIME && id <= AQ_FIELD_EVT_RELTIME)
		return of_time(id, row, v);
	if (id >= AQ_FIELD_EVT_LATENCY && id <= AQ_FIELD_EVT_START)
		return of_latency(id, row, v);
	if (!ev)
		return gap_value(id, row, v);
	switch (id) {
	case AQ_FIELD_EVT_TYPE: return aq_v_text(v, schema && ev->id ? schema->name : "unknown");
	case AQ_FIELD_EVT_CATEGORY: return aq_v_text(v, aq_category_name(cat));
	case AQ_FIELD_EVT_CLASS: return aq_v_text(v, aq_class_name(ev->cls));
	case AQ_FIELD_EVT_DIR: return aq_v_text(v, "<");
	case AQ_FIELD_EVT_CPU: return aq_v_uint(v, ev->cpu);
	case AQ_FIELD_EVT_ABI: return aq_v_text(v, aq_abi_name(ev->abi));
	case AQ_FIELD_EVT_ARGS:
	case AQ_FIELD_EVT_INFO: return of_text(id, row, v);
	case AQ_FIELD_EVT_ARG: return arg_value(f, row, false, v);
	case AQ_FIELD_EVT_RAWARG: return arg_value(f, row, true, v);
	case AQ_FIELD_EVT_RES:
	case AQ_FIELD_EVT_RAWRES:
	case AQ_FIELD_EVT_FAILED: return of_result(id, ev, schema, v);
	case AQ_FIELD_EVT_DEGRADED: return aq_v_bool(v, ev->flags & AQ_EVF_DEGRADED);
	case AQ_FIELD_EVT_TRUNCATED: return truncated(ev, v);
	case AQ_FIELD_EVT_IS_OPEN_READ:
	case AQ_FIELD_EVT_IS_OPEN_WRITE:
	case AQ_FIELD_EVT_IS_OPEN_CREATE:
	case AQ_FIELD_EVT_IS_OPEN_EXEC: return of_open(id, ev, v);
	case AQ_FIELD_EVT_IS_IO: return aq_v_bool(v, cat == AQ_CAT_IO_READ || cat == AQ_CAT_IO_WRITE);
	case AQ_FIELD_EVT_IS_IO_READ: return aq_v_bool(v, cat == AQ_CAT_IO_READ);
	case AQ_FIELD_EVT_IS_IO_WRITE: return aq_v_bool(v, cat == AQ_CAT_IO_WRITE);
	case AQ_FIELD_EVT_BUFFER: return attr_value(row, aq_event_attr(ev, AQ_ATTR_DATA), v);
	default: return false;
	}
}
