/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as they are stored: all numbers as numbers, all attributes with flags and length, no byte lost, nothing that
 * follows from other events. Pure ASCII. Documented in aquila-query(1), RAW; tests/reader prints the same.
 */
#include <inttypes.h>
#include <string.h>

#include "replay/output.h"

/* Length of the UTF-8 character at s, its code to *ret_code; 0: these bytes are none. */
static size_t utf8_char(const uint8_t *s, size_t left, uint32_t *ret_code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	uint32_t code = n < 2 ? s[0] : s[0] & (0x7fu >> n);

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return n;
}

static bool is_utf8(const uint8_t *s, size_t len)
{
	uint32_t code;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_char(s + i, len - i, &code);
		if (n == 0)
			return false;
	}
	return true;
}

/* UTF-8 as a JSON string of ASCII characters only. */
static void put_text(struct aq_out *out, const uint8_t *s, size_t len)
{
	static const char plain[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
	uint32_t code = 0;

	aq_out_puts(out, "\"");
	for (size_t i = 0, n; i < len; i += n) {
		const char *at;

		n = utf8_char(s + i, len - i, &code);
		at = code != 0 && code < 0x80 ? strchr(plain, (int)code) : NULL;
		if (at != NULL)
			aq_out_printf(out, "\\%c", letters[at - plain]);
		else if (code >= 0x20 && code < 0x7f)
			aq_out_put(out, s + i, 1);
		else if (code < 0x10000)
			aq_out_printf(out, "\\u%04x", code);
		else
			aq_out_printf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10), 0xdc00 + (code & 0x3ff));
	}
	aq_out_puts(out, "\"");
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

static void put_attrs(struct aq_out *out, const struct aq_event *ev)
{
	for (unsigned i = 0; i < ev->attr_count; i++) {
		const struct aq_attr *a = &ev->attrs[i];
		enum aq_attr_type type = aq_attr_type(a->key);

		aq_out_printf(out, "%s{\"key\":%u,\"name\":", i > 0 ? "," : ",\"attrs\":[", a->key);
		aq_out_json_text(out, aq_attr_name(a->key));
		aq_out_printf(out, ",\"flags\":%u,\"true_len\":%" PRIu32, a->flags, a->true_len);
		if ((type == AQ_ATTRTYPE_STRING || type == AQ_ATTRTYPE_STRVEC) && is_utf8(a->data, a->len)) {
			aq_out_puts(out, ",\"text\":");
			put_text(out, a->data, a->len);
		} else {
			aq_out_puts(out, ",\"hex\":");
			put_hex(out, a->data, a->len);
		}
		aq_out_puts(out, "}");
	}
	aq_out_puts(out, ev->attr_count > 0 ? "]" : "");
}

/* True when the number of this argument is in the capture. */
static bool is_number(const struct aq_printer *p, const struct aq_arg_schema *arg)
{
	return !aq_is_text_type(arg->type) &&
	       (arg->type != AQ_TYPE_PTR || aq_capture_info(p->capture)->pointers_kept);
}

static void put_args(struct aq_printer *p, const struct aq_event_schema *schema, const struct aq_event *ev)
{
	const char *between = "";

	aq_out_puts(p->out, ",\"args\":{");
	for (unsigned i = 0; i < ev->arg_count; i++) {
		if (schema != NULL && !is_number(p, &schema->args[i]))
			continue;
		aq_out_puts(p->out, between);
		between = ",";
		if (schema == NULL) {
			aq_out_printf(p->out, "\"%u\":%" PRIu64, i, ev->args[i]);
			continue;
		}
		aq_out_json_text(p->out, schema->args[i].name);
		aq_out_puts(p->out, ":");
		if (aq_type_is_signed(schema->args[i].type))
			aq_out_i64(p->out, (int64_t)ev->args[i]);
		else
			aq_out_u64(p->out, ev->args[i]);
	}
	aq_out_puts(p->out, "}");
}

/* What the numbers of FLAGS and ENUM arguments mean in the event's ABI. */
static void put_names(struct aq_printer *p, const struct aq_event_schema *schema, const struct aq_event *ev)
{
	const char *between = ",\"names\":{";
	size_t len;

	for (unsigned i = 0; i < ev->arg_count; i++) {
		const struct aq_arg_schema *arg = &schema->args[i];

		if (arg->flags == NULL)
			continue;
		aq_out_puts(p->out, between);
		between = ",";
		aq_out_json_text(p->out, arg->name);
		aq_out_puts(p->out, ":");
		AQ_RENDER(p, &len, aq_format_value(arg->type, aq_schema_arg_flags(schema, i, ev->abi), ev->args[i],
						   p->scratch, p->scratch_size));
		aq_out_json(p->out, p->scratch, len);
	}
	aq_out_puts(p->out, between[1] == '\0' ? "}" : "");
}

static void put_time(struct aq_printer *p, uint64_t boot_ns)
{
	aq_out_puts(p->out, "{\"boot_ns\":");
	aq_out_u64(p->out, boot_ns);
	aq_out_puts(p->out, ",\"real_ns\":");
	aq_out_u64(p->out, aq_capture_real_ns(p->capture, boot_ns));
}

static void put_or_null(struct aq_out *out, const char *name, uint64_t value, uint64_t null)
{
	aq_out_printf(out, ",\"%s\":", name);
	if (value == null)
		aq_out_puts(out, "null");
	else
		aq_out_u64(out, value);
}

static void put_gap(struct aq_printer *p, const struct aq_gap *g)
{
	put_time(p, g->first_ns);
	aq_out_printf(p->out, ",\"type\":\"gap\",\"last_ns\":%" PRIu64, g->last_ns);
	put_or_null(p->out, "count", g->count, AQ_GAP_COUNT_UNKNOWN);
	aq_out_printf(p->out, ",\"cgroup\":%" PRIu64, g->cgroup_id);
	put_or_null(p->out, "cpu", g->cpu, UINT16_MAX);
	put_or_null(p->out, "class", g->cls, UINT8_MAX);
	aq_out_printf(p->out, ",\"reason\":%u,\"by\":[", g->reason);
	for (uint32_t i = 0; i < g->by_event_count; i++)
		aq_out_printf(p->out, "%s[%u,%" PRIu64 "]", i > 0 ? "," : "", g->by_event[i].event_id,
			      g->by_event[i].count);
	aq_out_puts(p->out, "]}\n");
}

static void raw_row(struct aq_printer *p, struct aq_row *row)
{
	const struct aq_event_schema *schema;
	const struct aq_event *ev = row->ev;

	if (ev == NULL)
		return put_gap(p, row->gap);
	schema = aq_schema_event(ev->id);
	put_time(p, ev->time_ns);
	aq_out_printf(p->out, ",\"cpu\":%u,\"id\":%u,\"type\":", ev->cpu, ev->id);
	aq_out_json_text(p->out, schema != NULL ? schema->name : NULL);
	aq_out_printf(p->out,
		      ",\"abi\":%u,\"pid\":%" PRIu32 ",\"tid\":%" PRIu32 ",\"cgroup\":%" PRIu64 ",\"flags\":%u", ev->abi,
		      ev->pid, ev->tid, ev->cgroup_id, ev->flags);
	if (ev->flags & AQ_EVF_UNKNOWN_NR)
		aq_out_printf(p->out, ",\"nr\":%" PRIu32, ev->nr);
	if (ev->id < AQ_EVENT_ID_STATE) {
		aq_out_puts(p->out, ",\"res\":");
		aq_out_i64(p->out, ev->ret);
		if (aq_result_is_error(ev->ret)) {
			aq_out_puts(p->out, ",\"error\":");
			aq_out_json_text(p->out, aq_errno_name((int)-ev->ret));
		}
	}
	if (ev->has_duration)
		aq_out_printf(p->out, ",\"duration_ns\":%" PRIu64, ev->duration_ns);
	put_args(p, schema, ev);
	if (schema != NULL)
		put_names(p, schema, ev);
	put_attrs(p->out, ev);
	aq_out_puts(p->out, "}\n");
}

static void raw_begin(struct aq_printer *p)
{
	(void)p;
}

static void raw_end(struct aq_printer *p, const struct aq_verdict *verdict)
{
	aq_printer_ndjson.end(p, verdict);
}

/* Counts have no raw form: the command says so before it comes here. */
const struct aq_printer_ops aq_printer_raw = {
	.needs = AQ_NEED_ATTRS,
	.begin = raw_begin,
	.row = raw_row,
	.end = raw_end,
};
