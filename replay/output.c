/* SPDX-License-Identifier: Apache-2.0 */
/* The buffered sink and what printers share. */
#include "replay/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OUT_MAX_BYTES = 512 << 20, SCRATCH_MAX_BYTES = 64 << 20 };

bool aq_colour_wanted(int fd)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

	if (no_colour != NULL && no_colour[0] != '\0')
		return false;
	return term != NULL && strcmp(term, "dumb") != 0 && isatty(fd) == 1;
}

void aq_out_init(struct aq_out *out, int fd, const char *name)
{
	*out = (struct aq_out){ .fd = fd, .name = name, .colour = aq_colour_wanted(fd) };
	aq_buf_init(&out->buf, OUT_MAX_BYTES);
}

void aq_out_release(struct aq_out *out)
{
	aq_buf_release(&out->buf);
}

int aq_out_flush(struct aq_out *out)
{
	size_t done = 0;

	if (out->buf.failed && out->error == 0)
		out->error = -ENOMEM;
	while (out->error == 0 && done < out->buf.len) {
		ssize_t n = write(out->fd, out->buf.data + done, out->buf.len - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			out->error = -errno;
	}
	aq_buf_reset(&out->buf);
	return out->error;
}

void aq_out_settle(struct aq_out *out)
{
	if (out->buf.len >= AQ_OUT_FLUSH_BYTES || out->buf.failed || out->error != 0)
		aq_out_flush(out);
}

void aq_out_u64(struct aq_out *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	aq_out_put(out, digits + at, sizeof(digits) - at);
}

void aq_out_i64(struct aq_out *out, int64_t value)
{
	if (value < 0)
		aq_out_put(out, "-", 1);
	aq_out_u64(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void aq_out_printf(struct aq_out *out, const char *format, ...)
{
	char text[2048];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n > 0)
		aq_out_put(out, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void aq_out_text(struct aq_out *out, const void *data, size_t len)
{
	aq_text_escape(&out->buf, data, len);
	aq_out_settle(out);
}

void aq_out_json(struct aq_out *out, const void *data, size_t len)
{
	if (data == NULL)
		aq_buf_put(&out->buf, "null", 4);
	else
		aq_json_string(&out->buf, data, len);
	aq_out_settle(out);
}

void aq_out_json_text(struct aq_out *out, const char *text)
{
	aq_out_json(out, text, text != NULL ? strlen(text) : 0);
}

/* Puts what was appended from start on between quotes, where CSV needs that. */
static void quote_cell(struct aq_out *out, size_t start)
{
	size_t end = out->buf.len, quotes = 0;
	bool quote = false;
	uint8_t *p;

	for (size_t i = start; !out->buf.failed && i < end; i++) {
		quotes += out->buf.data[i] == '"';
		quote = quote || out->buf.data[i] == '"' || out->buf.data[i] == ',' || out->buf.data[i] == ' ';
	}
	if (quote && aq_buf_reserve(&out->buf, quotes + 2) != NULL) {
		/* from the end, so that each byte moves once: quotes are doubled, one more stands on each side */
		p = out->buf.data;
		out->buf.len = end + quotes + 2;
		p[out->buf.len - 1] = '"';
		for (size_t from = end, to = out->buf.len - 1; from > start;) {
			p[--to] = p[--from];
			if (p[to] == '"')
				p[--to] = '"';
		}
		p[start] = '"';
	}
	aq_out_settle(out);
}

void aq_out_csv(struct aq_out *out, const void *data, size_t len)
{
	size_t start = out->buf.len;

	aq_text_escape(&out->buf, data, len);
	quote_cell(out, start);
}

void aq_out_csv_printable(struct aq_out *out, const void *data, size_t len)
{
	size_t start = out->buf.len;

	aq_buf_put(&out->buf, data, len);
	quote_cell(out, start);
}

const char *aq_colour(const struct aq_out *out, enum aq_colour colour)
{
	static const char *const codes[] = {
		[AQ_PLAIN] = "\033[0m",	 [AQ_BOLD] = "\033[1m",	   [AQ_DIM] = "\033[2m",   [AQ_RED] = "\033[31m",
		[AQ_GREEN] = "\033[32m", [AQ_YELLOW] = "\033[33m", [AQ_CYAN] = "\033[36m",
	};

	return out->colour ? codes[colour] : "";
}

void aq_out_json_verdict(struct aq_out *out, const struct aq_capture *c, const struct aq_verdict *v)
{
	char first[AQ_TIME_TEXT_BYTES], last[AQ_TIME_TEXT_BYTES];

	aq_out_printf(
		out,
		"\"verdict\":{\"complete\":%s,\"lost\":%" PRIu64 ",\"maybe\":%" PRIu64 ",\"unknown_gaps\":%" PRIu64
		",\"filtered\":%" PRIu64 ",\"by_budget\":%" PRIu64 ",\"degraded\":%" PRIu64 ",\"damaged\":%" PRIu64
		",\"unfinished\":%s"
		",\"begins_before_recording\":%s,\"ends_after_recording\":%s",
		v->complete ? "true" : "false", v->lost, v->maybe, v->unknown, v->filtered, v->by_budget, v->degraded, v->damaged,
		v->unfinished ? "true" : "false", v->before ? "true" : "false", v->after ? "true" : "false");
	if (v->first_ns <= v->last_ns && (v->lost || v->unknown || v->filtered || v->damaged)) {
		aq_time_format(aq_capture_real_ns(c, v->first_ns), first);
		aq_time_format(aq_capture_real_ns(c, v->last_ns), last);
		aq_out_printf(out, ",\"first\":\"%s\",\"last\":\"%s\"", first, last);
	}
	aq_out_puts(out, ",\"text\":");
	aq_out_json_text(out, v->text);
	aq_out_puts(out, "}");
}

int aq_printer_init(struct aq_printer *p, struct aq_out *out, const struct aq_capture *c)
{
	*p = (struct aq_printer){ .out = out, .capture = c, .scratch_size = 16 << 10 };
	p->scratch = malloc(p->scratch_size);
	return p->scratch != NULL ? 0 : -ENOMEM;
}

void aq_printer_release(struct aq_printer *p)
{
	free(p->scratch);
	aq_field_free(p->container);
	aq_field_free(p->container_name);
	aq_field_free(p->pod);
	aq_field_free(p->ns);
	p->scratch = NULL;
	p->container = p->container_name = p->pod = p->ns = NULL;
}

int aq_printer_show_names(struct aq_printer *p, struct aq_err *err)
{
	int r = aq_field_compile("container.id", &p->container, err);

	r = r < 0 ? r : aq_field_compile("container.name", &p->container_name, err);
	r = r < 0 ? r : aq_field_compile("k8s.pod.name", &p->pod, err);
	return r < 0 ? r : aq_field_compile("k8s.ns.name", &p->ns, err);
}

bool aq_printer_grow(struct aq_printer *p, size_t size)
{
	char *bigger;

	if (size > SCRATCH_MAX_BYTES || (bigger = realloc(p->scratch, size)) == NULL) {
		if (p->out->error == 0)
			p->out->error = -ENOMEM;
		return false;
	}
	p->scratch = bigger;
	p->scratch_size = size;
	return true;
}

const char *aq_row_type(const struct aq_row *row, char buf[32])
{
	const struct aq_event_schema *schema;

	if (row->ev == NULL)
		return "gap";
	if (row->ev->flags & AQ_EVF_UNKNOWN_NR) {
		snprintf(buf, 32, "syscall_%" PRIu32, row->ev->nr);
		return buf;
	}
	schema = aq_schema_event(row->ev->id);
	if (schema != NULL)
		return schema->name;
	snprintf(buf, 32, "event_%u", row->ev->id);
	return buf;
}

bool aq_field_is_printable(const struct aq_field *f)
{
	const char *name = aq_field_info(f)->name;

	return strcmp(name, "evt.args") == 0 || strcmp(name, "evt.info") == 0 || strcmp(name, "gap.text") == 0;
}

const char *aq_row_proc(const struct aq_row *row)
{
	if (row->proc != NULL && row->proc->comm != NULL && row->proc->comm->len > 0)
		return row->proc->comm->s;
	return NULL;
}

void aq_row_time(struct aq_printer *p, const struct aq_row *row, char text[AQ_TIME_TEXT_BYTES])
{
	enum { NS_PER_S = 1000000000, SECOND_CHARS = 20 }; /* "2026-01-31T12:00:00." */
	uint64_t ns = aq_capture_real_ns(p->capture, row->ev != NULL ? row->ev->time_ns : row->gap->first_ns);
	uint64_t second = ns / NS_PER_S, fraction = ns % NS_PER_S;

	if (p->second_text[0] == '\0' || p->second != second) {
		aq_time_format(second * NS_PER_S, p->second_text);
		p->second = second;
	}
	memcpy(text, p->second_text, AQ_TIME_TEXT_BYTES);
	for (unsigned i = 9; i-- > 0; fraction /= 10)
		text[SECOND_CHARS + i] = (char)('0' + fraction % 10);
}

bool aq_is_text_type(enum aq_type t)
{
	return t == AQ_TYPE_PATH || t == AQ_TYPE_STRING || t == AQ_TYPE_STRVEC || t == AQ_TYPE_SOCKADDR;
}

bool aq_attr_is_argument(const struct aq_event_schema *schema, uint16_t key)
{
	for (unsigned i = 0; schema != NULL && i < schema->arg_count; i++)
		if (aq_is_text_type(schema->args[i].type) && (uint16_t)schema->args[i].attr == key)
			return true;
	return false;
}
