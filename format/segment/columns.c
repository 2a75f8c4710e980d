/* SPDX-License-Identifier: Apache-2.0 */
/* Columns by name: what a name stands for, which streams that takes, and rows made of what was decoded. */
#include "format/segment/columns.h"

#include <errno.h>
#include <stdlib.h>

#include "format/segment/capture.h"

enum of_event { OF_ID, OF_TIME, OF_PID, OF_TID, OF_CPU, OF_RET, OF_CGROUP, OF_ABI, OF_FLAGS, OF_DURATION, OF_TYPE };

static const struct {
	const char *name;
	unsigned what;
	enum aq_type type;
	bool is_signed;
} per_event[] = {
	[OF_ID] = { "id", 0, AQ_TYPE_NONE, false },
	[OF_TIME] = { "time", AQ_COL_TIME, AQ_TYPE_TIME_NS, false },
	[OF_PID] = { "pid", AQ_COL_THREAD, AQ_TYPE_PID, false },
	[OF_TID] = { "tid", AQ_COL_THREAD, AQ_TYPE_PID, false },
	[OF_CPU] = { "cpu", AQ_COL_CPU, AQ_TYPE_UINT, false },
	[OF_RET] = { "ret", AQ_COL_RET, AQ_TYPE_LONG, true },
	[OF_CGROUP] = { "cgroup", AQ_COL_THREAD, AQ_TYPE_CGROUP, false },
	[OF_ABI] = { "abi", AQ_COL_THREAD, AQ_TYPE_NONE, false },
	[OF_FLAGS] = { "flags", AQ_DECODE_FLAGS, AQ_TYPE_NONE, false },
	[OF_DURATION] = { "duration", AQ_COL_DURATION, AQ_TYPE_NONE, false },
};

struct own_column { /* a column, and what it is made of */
	struct aq_column public;
	char *name;
	enum of_event of;
	struct aq_decode_pick pick; /* OF_TYPE */
	uint64_t *values;
	uint32_t *positions;
};

struct aq_columns {
	struct aq_capture *capture;
	uint32_t chunk, events;
	size_t count;
	bool texts_lost;
	struct own_column *columns;
	struct aq_strings *strings; /* once one was asked for */
};

static bool find_argument(struct own_column *o, const struct aq_event_schema *row, const char *name)
{
	o->pick.id = row->id;
	if (row->ret_type != AQ_TYPE_NONE && strcmp(name, "ret") == 0) {
		o->pick.stream = AQ_STREAM_RET;
		o->public.kind = AQ_COLUMN_SIGNED;
		o->public.type = row->ret_type;
		return true;
	}
	for (unsigned a = 0; a < row->arg_count; a++) {
		const struct aq_arg_schema *arg = &row->args[a];
		if (strcmp(arg->name, name) != 0)
			continue;
		if (arg->attr) {
			o->pick.stream = AQ_STREAM_ATTR_ID;
			o->pick.sub = (uint8_t)arg->attr;
			o->public.kind = AQ_COLUMN_STRING;
			return true;
		}
		o->pick.stream = AQ_STREAM_ARG;
		o->pick.sub = (uint8_t)a;
		o->public.kind = aq_type_is_signed(arg->type) ? AQ_COLUMN_SIGNED : AQ_COLUMN_UNSIGNED;
		o->public.type = arg->type;
		o->public.flags = arg->flags;
		return true;
	}
	for (unsigned key = 1; key < AQ_ATTR_KEY_MAX; key++) {
		const char *attr = aq_attr_name(key);
		if (!attr || strcmp(attr, name) != 0)
			continue;
		o->pick.stream = AQ_STREAM_ATTR_ID;
		o->pick.sub = (uint8_t)key;
		o->public.kind = AQ_COLUMN_STRING;
		return true;
	}
	return false;
}

/* What a name stands for. */
static int resolve(struct own_column *o, const char *name, unsigned *what, struct aq_err *err)
{
	if (!(o->name = strdup(name)))
		return aq_err_set(err, -ENOMEM, "out of memory");
	o->public.name = o->name;
	for (unsigned i = 0; i < OF_TYPE; i++)
		if (strcmp(per_event[i].name, name) == 0) {
			o->of = (enum of_event)i;
			o->public.kind = per_event[i].is_signed ? AQ_COLUMN_SIGNED : AQ_COLUMN_UNSIGNED;
			o->public.type = per_event[i].type;
			*what |= per_event[i].what;
			return 0;
		}
	char event[64];
	const char *dot = strchr(name, '.');
	o->of = OF_TYPE;
	if (dot && (size_t)(dot - name) < sizeof(event)) {
		memcpy(event, name, (size_t)(dot - name));
		event[dot - name] = '\0';
		const struct aq_event_schema *row = aq_schema_event_by_name(event);
		if (!row)
			return aq_err_set(err, -EINVAL, "there is no event '%s'", event);
		if (find_argument(o, row, dot + 1)) {
			*what |= AQ_DECODE_PICKS;
			return 0;
		}
		return aq_err_set(err, -EINVAL, "%s has no argument or attribute '%s'", row->name, dot + 1);
	}
	return aq_err_set(err, -EINVAL, "there is no column '%s'", name);
}

static uint64_t event_value(const struct aq_decoded *d, enum of_event of, uint32_t i)
{
	const struct aq_chunk_type *type = &d->types[d->type[i]];
	switch (of) {
	case OF_ID: return type->schema ? type->id : 0;
	case OF_TIME: return d->time_ns[i];
	case OF_PID: return d->threads[d->thread[i]].pid;
	case OF_TID: return d->threads[d->thread[i]].tid;
	case OF_CPU: return (uint16_t)d->cpu[i];
	case OF_RET: return type->ret ? type->ret[d->ordinal[i]] : 0;
	case OF_CGROUP: return d->threads[d->thread[i]].cgroup_id;
	case OF_ABI: return d->threads[d->thread[i]].abi;
	case OF_FLAGS: return (uint8_t)d->flags[i];
	case OF_DURATION: return d->duration ? d->duration[i] - 1 : AQ_DURATION_UNKNOWN;
	default: return 0;
	}
}

static const uint64_t *type_values(const struct aq_chunk_type *type, const struct aq_decode_pick *pick)
{
	if (pick->stream == AQ_STREAM_RET)
		return type->ret;
	if (pick->stream == AQ_STREAM_ARG)
		return type->numbers[pick->sub];
	for (unsigned a = 0; a < type->attr_count; a++)
		if (type->attrs[a].key == pick->sub)
			return type->attrs[a].ids;
	return NULL;
}

static int fill(struct own_column *o, const struct aq_decoded *d)
{
	uint32_t rows = 0;
	if (o->of != OF_TYPE)
		rows = d->events;
	for (uint32_t t = 0; o->of == OF_TYPE && t < d->type_count; t++)
		rows += d->types[t].id == o->pick.id ? d->types[t].events : 0;
	o->values = malloc((size_t)rows * sizeof(*o->values) + 8);
	if (o->of == OF_TYPE)
		o->positions = malloc((size_t)rows * sizeof(*o->positions) + 8);
	if (!o->values || (o->of == OF_TYPE && !o->positions))
		return -ENOMEM;
	for (uint32_t i = 0; o->of != OF_TYPE && i < rows; i++)
		o->values[i] = event_value(d, o->of, i);
	uint32_t k = 0;
	for (uint32_t i = 0; o->of == OF_TYPE && k < rows && i < d->events; i++) {
		const struct aq_chunk_type *type = &d->types[d->type[i]];
		if (type->id != o->pick.id)
			continue;
		const uint64_t *values = type_values(type, &o->pick);
		o->values[k] = values ? values[d->ordinal[i]] : 0;
		o->positions[k++] = i;
	}
	o->public.rows = rows;
	o->public.values = o->values;
	o->public.positions = o->positions;
	return 0;
}

static int load(struct aq_columns *columns, const char *const *names, size_t count, struct aq_err *err)
{
	struct aq_decode_wish wish = { 0 };
	struct aq_decode_pick *picks = calloc(count + 1, sizeof(*picks));
	columns->columns = calloc(count + 1, sizeof(*columns->columns));
	int r = picks && columns->columns ? 0 : aq_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct own_column *o = &columns->columns[columns->count++];
		r = resolve(o, names[i], &wish.what, err);
		if (r == 0 && o->of == OF_TYPE) {
			picks[wish.pick_count++] = o->pick;
			wish.attr_picks |= o->public.kind == AQ_COLUMN_STRING;
		}
	}
	struct aq_decoded *d = NULL;
	wish.picks = picks;
	if (r == 0)
		r = aq_decode_wished(columns->capture, columns->chunk, &wish, &d, err);
	for (size_t i = 0; r == 0 && i < count; i++)
		if (fill(&columns->columns[i], d) < 0)
			r = aq_err_set(err, -ENOMEM, "out of memory");
	columns->events = d ? d->events : 0;
	columns->texts_lost = d && wish.attr_picks && d->attrs_lost;
	aq_decoded_free(d);
	free(picks);
	return r;
}

int aq_columns_load(struct aq_capture *c, uint32_t chunk, const char *const *names, size_t count,
		    struct aq_columns **ret_columns, struct aq_err *err)
{
	if (chunk >= c->chunk_count)
		return aq_err_set(err, -EINVAL, "there is no chunk %u", chunk);
	if (count > AQ_COLUMNS_MAX)
		return aq_err_set(err, -EINVAL, "more than %d columns at once", AQ_COLUMNS_MAX);
	struct aq_columns *columns = calloc(1, sizeof(*columns));
	if (!columns)
		return aq_err_set(err, -ENOMEM, "out of memory");
	columns->capture = c;
	columns->chunk = chunk;
	int r = load(columns, names, count, err);
	if (r < 0)
		aq_columns_free(columns);
	else
		*ret_columns = columns;
	return r;
}

void aq_columns_free(struct aq_columns *columns)
{
	if (!columns)
		return;
	for (size_t i = 0; i < columns->count; i++) {
		free(columns->columns[i].name);
		free(columns->columns[i].values);
		free(columns->columns[i].positions);
	}
	free(columns->columns);
	aq_strings_unref(columns->strings);
	free(columns);
}

uint32_t aq_columns_events(const struct aq_columns *columns)
{
	return columns->events;
}

bool aq_columns_texts_lost(const struct aq_columns *columns)
{
	return columns->texts_lost;
}

size_t aq_columns_count(const struct aq_columns *columns)
{
	return columns->count;
}

const struct aq_column *aq_columns_get(const struct aq_columns *columns, size_t index)
{
	return index < columns->count ? &columns->columns[index].public : NULL;
}

uint64_t aq_columns_dictionary(const struct aq_columns *columns)
{
	const struct aq_capture *c = columns->capture;
	return (uint64_t)c->chunks[columns->chunk].segment << 32 | c->refs[columns->chunk].generation;
}

int aq_columns_string(struct aq_columns *columns, uint64_t id, const void **ret_data, uint32_t *ret_len,
		      struct aq_err *err)
{
	const struct aq_capture *c = columns->capture;
	const struct aq_chunk_ref *ref = &c->refs[columns->chunk];
	if (id == 0 || id > ref->dictionary_count)
		return aq_err_set(err, -EINVAL, "there is no string %llu in the dictionary of chunk %u", (unsigned long long)id,
				  columns->chunk);
	if (!columns->strings) {
		int r = aq_strings_get(columns->capture, c->chunks[columns->chunk].segment, ref->generation, &columns->strings);
		if (r < 0)
			return aq_err_set(err, r, "the dictionary of chunk %u: out of memory", columns->chunk);
	}
	uint32_t len = 0;
	const void *data = aq_strings_at(columns->strings, id - 1, &len);
	if (!data)
		return aq_err_set(err, -ENODATA, "string %llu of chunk %u was lost to damage", (unsigned long long)id,
				  columns->chunk);
	*ret_data = data;
	*ret_len = len;
	return 0;
}
