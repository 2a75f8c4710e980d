/* SPDX-License-Identifier: Apache-2.0 */
/* Rows for people: one line each, as text or in the manner of strace. Foreign bytes are always escaped. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "query/render.h"
#include "replay/output.h"

static void text_begin(struct aq_printer *p)
{
	(void)p;
}

static void text_end(struct aq_printer *p, const struct aq_verdict *verdict)
{
	(void)p;
	(void)verdict;
}

static void put_field(struct aq_printer *p, const struct aq_field *f, struct aq_row *row)
{
	struct aq_value v;
	size_t len;

	if (!aq_field_value(f, row, &v))
		return aq_out_puts(p->out, "<NA>");
	AQ_RENDER(p, &len, aq_field_value_text(f, row, p->scratch, p->scratch_size));
	if (aq_field_is_printable(f))
		aq_out_put(p->out, p->scratch, len);
	else
		aq_out_text(p->out, p->scratch, len);
}

static void put_fields(struct aq_printer *p, struct aq_row *row)
{
	for (size_t i = 0; i < p->field_count; i++) {
		if (i > 0)
			aq_out_puts(p->out, "\t");
		put_field(p, p->fields[i], row);
	}
	aq_out_puts(p->out, "\n");
}

static void put_who(struct aq_printer *p, const struct aq_row *row)
{
	const char *name = aq_row_proc(row);

	aq_out_puts(p->out, aq_colour(p->out, AQ_BOLD));
	if (name != NULL)
		aq_out_text(p->out, name, strlen(name));
	else
		aq_out_puts(p->out, "?");
	aq_out_puts(p->out, aq_colour(p->out, AQ_PLAIN));
	aq_out_puts(p->out, " (");
	aq_out_u64(p->out, row->ev->pid);
	if (row->ev->tid != row->ev->pid) {
		aq_out_puts(p->out, "/");
		aq_out_u64(p->out, row->ev->tid);
	}
	aq_out_puts(p->out, ") ");
}

static bool put_name(struct aq_printer *p, const struct aq_field *f, struct aq_row *row)
{
	struct aq_value v;

	if (f == NULL || !aq_field_value(f, row, &v))
		return false;
	aq_out_text(p->out, v.s, v.len);
	return true;
}

/* {namespace/pod}, else {container's name}, else the first digits of its id; nothing outside of containers. */
static void put_where(struct aq_printer *p, struct aq_row *row)
{
	struct aq_value v;

	if (p->container == NULL || !aq_field_value(p->container, row, &v) || (v.len == 4 && memcmp(v.s, "host", 4) == 0))
		return;
	aq_out_puts(p->out, aq_colour(p->out, AQ_CYAN));
	aq_out_puts(p->out, "{");
	if (p->pod != NULL && aq_field_value(p->pod, row, &v)) {
		if (put_name(p, p->ns, row))
			aq_out_puts(p->out, "/");
		put_name(p, p->pod, row);
	} else if (!put_name(p, p->container_name, row)) {
		put_name(p, p->container, row);
	}
	aq_out_puts(p->out, "}");
	aq_out_puts(p->out, aq_colour(p->out, AQ_PLAIN));
	aq_out_puts(p->out, " ");
}

/* Seconds, with nanoseconds or, as strace -T has them, microseconds. */
static void put_duration(struct aq_printer *p, const struct aq_event *ev, bool as_strace)
{
	uint64_t seconds = ev->duration_ns / 1000000000u, ns = ev->duration_ns % 1000000000u;

	if (ev->has_duration && as_strace)
		aq_out_printf(p->out, " <%" PRIu64 ".%06" PRIu64 ">", seconds, ns / 1000);
	else if (ev->has_duration)
		aq_out_printf(p->out, " <%" PRIu64 ".%09" PRIu64 ">", seconds, ns);
}

static void text_row(struct aq_printer *p, struct aq_row *row)
{
	char time[AQ_TIME_TEXT_BYTES];
	bool failed;
	size_t len;

	if (p->fields != NULL)
		return put_fields(p, row);
	aq_row_time(p, row, time);
	aq_out_puts(p->out, aq_colour(p->out, AQ_DIM));
	aq_out_puts(p->out, time);
	aq_out_puts(p->out, aq_colour(p->out, AQ_PLAIN));
	aq_out_puts(p->out, " ");
	if (row->ev == NULL) {
		AQ_RENDER(p, &len, aq_render_gap(row->gap, p->scratch, p->scratch_size));
		aq_out_puts(p->out, aq_colour(p->out, AQ_YELLOW));
		aq_out_put(p->out, p->scratch, len);
		aq_out_puts(p->out, aq_colour(p->out, AQ_PLAIN));
		return aq_out_puts(p->out, "\n");
	}
	aq_out_puts(p->out, "cpu");
	aq_out_u64(p->out, row->ev->cpu);
	aq_out_puts(p->out, " ");
	put_who(p, row);
	put_where(p, row);
	failed = row->ev->id < AQ_EVENT_ID_STATE && aq_result_is_error(row->ev->ret);
	AQ_RENDER(p, &len, aq_render_event(row->ev, 0, p->scratch, p->scratch_size));
	aq_out_puts(p->out, failed ? aq_colour(p->out, AQ_RED) : "");
	aq_out_put(p->out, p->scratch, len);
	aq_out_puts(p->out, failed ? aq_colour(p->out, AQ_PLAIN) : "");
	put_duration(p, row->ev, false);
	aq_out_puts(p->out, row->ev->flags & AQ_EVF_DEGRADED ? " [text lost]\n" : "\n");
}

static void text_count(struct aq_printer *p, uint64_t count, const struct aq_verdict *verdict)
{
	(void)verdict;
	aq_out_printf(p->out, "%" PRIu64 "\n", count);
}

static void text_groups(struct aq_printer *p, const struct aq_groups *groups, const char *const *names, uint64_t limit,
			const struct aq_verdict *verdict)
{
	uint64_t shown = limit != 0 && limit < groups->count ? limit : groups->count, rest = groups->other;

	(void)verdict;
	(void)names;
	for (size_t i = 0; i < groups->count; i++) {
		const struct aq_group *g = &groups->groups[i];

		if (i >= shown) {
			rest += g->count;
			continue;
		}
		aq_out_printf(p->out, "%12" PRIu64, g->count);
		for (size_t k = 0; k < groups->key_count; k++) {
			aq_out_puts(p->out, "\t");
			if (g->keys[k] != NULL)
				aq_out_text(p->out, g->keys[k], g->key_lens[k]);
			else
				aq_out_puts(p->out, "<NA>");
		}
		aq_out_puts(p->out, "\n");
	}
	if (rest > 0)
		aq_out_printf(p->out, "%12" PRIu64 "\t(in all the others)\n", rest);
}

/* The call as the program made it, without what the kernel side added. */
static void put_call(struct aq_printer *p, const struct aq_event *ev)
{
	const struct aq_event_schema *schema = aq_schema_event(ev->id);
	struct aq_event call = *ev;
	size_t len;

	call.attr_count = 0;
	for (unsigned i = 0; i < ev->attr_count; i++)
		if (aq_attr_is_argument(schema, ev->attrs[i].key))
			call.attrs[call.attr_count++] = ev->attrs[i];
	AQ_RENDER(p, &len, aq_render_args(&call, AQ_RENDER_NO_NAMES, p->scratch, p->scratch_size));
	aq_out_put(p->out, p->scratch, len);
}

/* name(values) = result, a failure as "-1 ENOENT"; the end of a process as strace says it. */
static void strace_row(struct aq_printer *p, struct aq_row *row)
{
	char time[AQ_TIME_TEXT_BYTES], type[32], result[128];
	const struct aq_event *ev = row->ev;
	const char *error;
	size_t len;

	aq_row_time(p, row, time);
	if (ev == NULL) {
		AQ_RENDER(p, &len, aq_render_gap(row->gap, p->scratch, p->scratch_size));
		aq_out_printf(p->out, "       %s --- ", time);
		aq_out_put(p->out, p->scratch, len);
		return aq_out_puts(p->out, " ---\n");
	}
	aq_out_printf(p->out, "%-6" PRIu32 " %s ", ev->tid, time);
	if (ev->id == AQ_EV_proc_exit) {
		const char *signal_name = ev->args[1] != 0 ? aq_signal_name((int)ev->args[1]) : NULL;

		if (ev->args[1] == 0)
			aq_out_printf(p->out, "+++ exited with %d +++\n", (int)ev->args[0]);
		else if (signal_name != NULL)
			aq_out_printf(p->out, "+++ killed by %s +++\n", signal_name);
		else
			aq_out_printf(p->out, "+++ killed by signal %d +++\n", (int)ev->args[1]);
		return;
	}
	if (ev->id >= AQ_EVENT_ID_STATE) {
		AQ_RENDER(p, &len, aq_render_event(ev, 0, p->scratch, p->scratch_size));
		aq_out_puts(p->out, "--- ");
		aq_out_put(p->out, p->scratch, len);
		return aq_out_puts(p->out, " ---\n");
	}
	aq_out_printf(p->out, "%s(", aq_row_type(row, type));
	put_call(p, ev);
	error = aq_result_is_error(ev->ret) ? aq_errno_name((int)-ev->ret) : NULL;
	if (error != NULL) {
		aq_out_printf(p->out, ") = -1 %s", error);
	} else {
		aq_render_result(ev, result, sizeof(result));
		aq_out_printf(p->out, ") = %s", result);
	}
	put_duration(p, ev, true);
	aq_out_puts(p->out, "\n");
}

const struct aq_printer_ops aq_printer_text = {
	.needs = AQ_NEED_ATTRS | AQ_NEED_PROC | AQ_NEED_CGROUP | AQ_NEED_FACTS,
	.begin = text_begin,
	.row = text_row,
	.end = text_end,
	.count = text_count,
	.groups = text_groups,
};

const struct aq_printer_ops aq_printer_strace = {
	.needs = AQ_NEED_ATTRS,
	.begin = text_begin,
	.row = strace_row,
	.end = text_end,
	.count = text_count,
	.groups = text_groups,
};
