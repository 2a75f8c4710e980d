/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as CSV (RFC 4180, lines end with \n): a header, then one line each. Unknown values are empty cells. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "query/render.h"
#include "replay/output.h"

static void comma(struct aq_printer *p)
{
	aq_out_put(p->out, ",", 1);
}

static void csv_begin(struct aq_printer *p)
{
	if (p->fields == NULL)
		return aq_out_puts(p->out, "time,type,cpu,pid,tid,proc,args,res\n");
	for (size_t i = 0; i < p->field_count; i++) {
		const char *name = aq_field_text(p->fields[i]);

		if (i > 0)
			comma(p);
		aq_out_csv(p->out, name, strlen(name));
	}
	aq_out_puts(p->out, "\n");
}

static void put_field(struct aq_printer *p, const struct aq_field *f, struct aq_row *row)
{
	size_t len;

	AQ_RENDER(p, &len, aq_field_value_text(f, row, p->scratch, p->scratch_size));
	if (aq_field_is_printable(f))
		aq_out_csv_printable(p->out, p->scratch, len);
	else
		aq_out_csv(p->out, p->scratch, len);
}

static void csv_row(struct aq_printer *p, struct aq_row *row)
{
	char time[AQ_TIME_TEXT_BYTES], type[32];
	const char *name;
	size_t len;

	if (p->fields != NULL) {
		for (size_t i = 0; i < p->field_count; i++) {
			if (i > 0)
				comma(p);
			put_field(p, p->fields[i], row);
		}
		return aq_out_puts(p->out, "\n");
	}
	aq_row_time(p, row, time);
	aq_out_printf(p->out, "%s,%s,", time, aq_row_type(row, type));
	if (row->ev == NULL) {
		AQ_RENDER(p, &len, aq_render_gap(row->gap, p->scratch, p->scratch_size));
		aq_out_puts(p->out, ",,,,");
		aq_out_csv_printable(p->out, p->scratch, len);
		return aq_out_puts(p->out, ",\n");
	}
	aq_out_printf(p->out, "%u,%" PRIu32 ",%" PRIu32 ",", row->ev->cpu, row->ev->pid, row->ev->tid);
	name = aq_row_proc(row);
	if (name != NULL)
		aq_out_csv(p->out, name, strlen(name));
	comma(p);
	AQ_RENDER(p, &len, aq_render_args(row->ev, 0, p->scratch, p->scratch_size));
	aq_out_csv_printable(p->out, p->scratch, len);
	comma(p);
	if (row->ev->id < AQ_EVENT_ID_STATE) {
		AQ_RENDER(p, &len, aq_render_result(row->ev, p->scratch, p->scratch_size));
		aq_out_csv_printable(p->out, p->scratch, len);
	}
	aq_out_puts(p->out, "\n");
}

static void csv_end(struct aq_printer *p, const struct aq_verdict *verdict)
{
	(void)p;
	(void)verdict;
}

static void csv_count(struct aq_printer *p, uint64_t count, const struct aq_verdict *verdict)
{
	(void)verdict;
	aq_out_printf(p->out, "count\n%" PRIu64 "\n", count);
}

static void csv_groups(struct aq_printer *p, const struct aq_groups *groups, const char *const *names, uint64_t limit,
		       const struct aq_verdict *verdict)
{
	(void)verdict;
	aq_out_puts(p->out, "count");
	for (size_t k = 0; k < groups->key_count; k++) {
		comma(p);
		aq_out_csv(p->out, names[k], strlen(names[k]));
	}
	aq_out_puts(p->out, "\n");
	for (size_t i = 0; i < groups->count && (limit == 0 || i < limit); i++) {
		const struct aq_group *g = &groups->groups[i];

		aq_out_printf(p->out, "%" PRIu64, g->count);
		for (size_t k = 0; k < groups->key_count; k++) {
			comma(p);
			if (g->keys[k] != NULL)
				aq_out_csv(p->out, g->keys[k], g->key_lens[k]);
		}
		aq_out_puts(p->out, "\n");
	}
}

const struct aq_printer_ops aq_printer_csv = {
	.needs = AQ_NEED_ATTRS | AQ_NEED_PROC,
	.begin = csv_begin,
	.row = csv_row,
	.end = csv_end,
	.count = csv_count,
	.groups = csv_groups,
};
