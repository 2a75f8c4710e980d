/* SPDX-License-Identifier: Apache-2.0 */
/* Events in canonical order across chunks that overlap in time; columns of single chunks. */
#include <errno.h>
#include <stdlib.h>

#include "format/segment/capture.h"

/* Events of chunks that overlap in time and are open at once: bounds memory to about 2 GiB. */
enum { OPEN_EVENTS_MAX = 16 << 20, NO_CHUNK = -1 };

struct open_chunk { /* a chunk being walked in order of time */
	struct aq_decoded *decoded;
	uint32_t *order, count, next, index;
};

struct aq_event_iter {
	struct aq_capture *capture;
	uint64_t from_ns, to_ns;
	uint64_t event_set[(AQ_EVENT_ID_MAX + 63) / 64];
	bool all, without_attrs;
	uint32_t *queue, queue_count, queue_next; /* chunk indices by min_ns */
	struct open_chunk *open;
	uint32_t open_count, open_capacity;
	uint64_t open_events;
	int64_t current;                          /* index into open, or NO_CHUNK */
	uint64_t limit_ns;                        /* before it, the current chunk has the next event */
	struct open_chunk *drained;               /* the last event's chunk when it was its last; freed on the next call */
	struct open_chunk drained_chunk;
};

static bool wanted(const struct aq_event_iter *it, unsigned id)
{
	return it->all || (id < AQ_EVENT_ID_MAX && it->event_set[id / 64] >> (id % 64) & 1);
}

static int by_min(const void *a, const void *b, void *user)
{
	const struct aq_capture *c = user;
	const struct aq_chunk_info *x = &c->chunks[*(const uint32_t *)a], *y = &c->chunks[*(const uint32_t *)b];
	if (x->min_ns != y->min_ns)
		return x->min_ns < y->min_ns ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

int aq_event_iter_new(struct aq_capture *c, const struct aq_iter_options *options, struct aq_event_iter **ret_iter,
		      struct aq_err *err)
{
	struct aq_event_iter *it = calloc(1, sizeof(*it));
	if (!it)
		return aq_err_set(err, -ENOMEM, "out of memory");
	it->capture = c;
	it->from_ns = options->from_ns;
	it->to_ns = options->to_ns ? options->to_ns : UINT64_MAX;
	it->all = options->event_set == NULL;
	it->without_attrs = options->without_attrs;
	it->current = NO_CHUNK;
	if (!it->all)
		memcpy(it->event_set, options->event_set, sizeof(it->event_set));
	it->queue = malloc((c->chunk_count + 1) * sizeof(*it->queue));
	if (!it->queue) {
		aq_event_iter_free(it);
		return aq_err_set(err, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < c->chunk_count; i++) {
		const struct aq_chunk_info *info = &c->chunks[i];
		bool any = it->all;
		for (size_t k = 0; !any && k < sizeof(it->event_set) / sizeof(it->event_set[0]); k++)
			any = (info->event_set[k] & it->event_set[k]) != 0;
		if (any && info->max_ns >= it->from_ns && info->min_ns <= it->to_ns)
			it->queue[it->queue_count++] = (uint32_t)i;
	}
	qsort_r(it->queue, it->queue_count, sizeof(*it->queue), by_min, c);
	*ret_iter = it;
	return 0;
}

/*
 * The events of a chunk that are wanted, in order of (time, cpu, position). Runs of a thread mostly are: one that moved to
 * a lower CPU while the clock stood still is two runs.
 */
static int order_chunk(const struct aq_event_iter *it, struct open_chunk *o)
{
	const struct aq_decoded *d = o->decoded;
	uint32_t *order = malloc(d->events * sizeof(*order)), *spare = malloc(d->events * sizeof(*spare));
	uint32_t *starts = malloc(((size_t)d->events + 2) * sizeof(*starts));
	if (!order || !spare || !starts) {
		free(order);
		free(spare);
		free(starts);
		return -ENOMEM;
	}
	uint32_t n = 0, runs = 0, thread = UINT32_MAX;
	for (uint32_t i = 0; i < d->events; i++) {
		if (!wanted(it, d->types[d->type[i]].schema ? d->types[d->type[i]].id : 0) || d->time_ns[i] < it->from_ns ||
		    d->time_ns[i] > it->to_ns)
			continue;
		uint32_t last = n ? order[n - 1] : 0;
		if (d->thread[i] != thread || (d->time_ns[last] == d->time_ns[i] && d->cpu[last] > d->cpu[i])) {
			thread = d->thread[i];
			starts[runs++] = n;
		}
		order[n++] = i;
	}
	starts[runs] = n;
	while (runs > 1) { /* merge neighbouring runs until one is left */
		uint32_t out = 0, merged = 0;
		for (uint32_t r = 0; r < runs; r += 2) {
			uint32_t a = starts[r], a_end = starts[r + 1], b = a_end, b_end = r + 1 < runs ? starts[r + 2] : a_end;
			uint32_t begin = out;
			while (a < a_end || b < b_end) {
				bool left = b == b_end;
				if (!left && a < a_end) {
					uint32_t x = order[a], y = order[b];
					left = d->time_ns[x] != d->time_ns[y] ? d->time_ns[x] < d->time_ns[y] : d->cpu[x] <= d->cpu[y];
				}
				spare[out++] = left ? order[a++] : order[b++];
			}
			starts[merged++] = begin;
		}
		starts[merged] = n;
		runs = merged;
		uint32_t *swap = order;
		order = spare;
		spare = swap;
	}
	free(spare);
	free(starts);
	o->order = order;
	o->count = n;
	return 0;
}

static void close_chunk(struct open_chunk *o)
{
	aq_decoded_free(o->decoded);
	free(o->order);
	*o = (struct open_chunk){ 0 };
}

static int open_next(struct aq_event_iter *it, struct aq_err *err)
{
	struct open_chunk o = { .index = it->queue[it->queue_next++] };
	it->open_events += it->capture->chunks[o.index].events;
	if (it->open_events > OPEN_EVENTS_MAX)
		return aq_err_set(err, -E2BIG, "'%s': %u chunks overlap in time, more than can be put in order",
				  it->capture->path, it->open_count + 1);
	unsigned what = AQ_COL_TIME | AQ_COL_THREAD | AQ_COL_CPU | AQ_COL_DURATION | AQ_DECODE_VALUES | (it->without_attrs ? 0u : AQ_DECODE_ATTRS);
	int r = aq_decode_chunk(it->capture, o.index, what, &o.decoded, err);
	if (r < 0) {
		it->open_events -= it->capture->chunks[o.index].events;
		return r == -EBADMSG ? 0 : r; /* noted as damage; the others go on */
	}
	r = order_chunk(it, &o);
	if (r == 0 && it->open_count == it->open_capacity) {
		uint32_t capacity = it->open_capacity ? it->open_capacity * 2 : 8;
		struct open_chunk *more = realloc(it->open, capacity * sizeof(*more));
		if (more) {
			it->open = more;
			it->open_capacity = capacity;
		} else {
			r = -ENOMEM;
		}
	}
	if (r < 0 || o.count == 0) {
		it->open_events -= it->capture->chunks[o.index].events;
		close_chunk(&o);
		return r < 0 ? aq_err_set(err, r, "out of memory") : 0;
	}
	it->open[it->open_count++] = o;
	return 0;
}

/* The open chunk with the next event becomes the current one, for as long as no other comes before it. */
static void choose(struct aq_event_iter *it)
{
	uint64_t best_time = UINT64_MAX, best_cpu = UINT64_MAX, limit = UINT64_MAX;
	it->current = NO_CHUNK;
	for (uint32_t i = 0; i < it->open_count; i++) {
		const struct open_chunk *o = &it->open[i];
		uint32_t at = o->order[o->next];
		uint64_t time = o->decoded->time_ns[at], cpu = o->decoded->cpu[at];
		if (it->current == NO_CHUNK || time < best_time ||
		    (time == best_time && (cpu < best_cpu || (cpu == best_cpu && o->index < it->open[it->current].index)))) {
			limit = it->current == NO_CHUNK ? limit : best_time;
			it->current = i;
			best_time = time;
			best_cpu = cpu;
		} else if (time < limit) {
			limit = time;
		}
	}
	if (it->queue_next < it->queue_count && it->capture->chunks[it->queue[it->queue_next]].min_ns < limit)
		limit = it->capture->chunks[it->queue[it->queue_next]].min_ns;
	it->limit_ns = limit;
}

int aq_event_iter_next(struct aq_event_iter *it, struct aq_event *ret_event, struct aq_err *err)
{
	if (it->drained) {
		close_chunk(it->drained);
		it->drained = NULL;
	}
	struct open_chunk *o = it->current == NO_CHUNK ? NULL : &it->open[it->current];
	while (!o || o->decoded->time_ns[o->order[o->next]] >= it->limit_ns) {
		choose(it);
		o = it->current == NO_CHUNK ? NULL : &it->open[it->current];
		if (it->queue_next == it->queue_count)
			break;
		if (o && it->capture->chunks[it->queue[it->queue_next]].min_ns > o->decoded->time_ns[o->order[o->next]])
			break;
		int r = open_next(it, err);
		if (r < 0)
			return r;
		o = NULL;
	}
	if (!o)
		return 0;
	aq_decoded_event(o->decoded, o->order[o->next], !it->without_attrs, ret_event);
	if (++o->next == o->count) {
		it->open_events -= it->capture->chunks[o->index].events;
		it->drained_chunk = *o; /* its strings are lent until the next call */
		it->drained = &it->drained_chunk;
		*o = it->open[--it->open_count];
		it->current = NO_CHUNK;
	}
	return 1;
}

void aq_event_iter_free(struct aq_event_iter *it)
{
	if (!it)
		return;
	for (uint32_t i = 0; i < it->open_count; i++)
		close_chunk(&it->open[i]);
	if (it->drained)
		close_chunk(it->drained);
	free(it->open);
	free(it->queue);
	free(it);
}

struct owned_chunk { /* an aq_chunk and what its arrays lie in */
	struct aq_chunk public;
	uint16_t *id, *cpu;
	uint32_t *pid, *tid;
	int64_t *ret;
	uint64_t *time_ns, *duration_ns;
};

int aq_chunk_load(struct aq_capture *c, uint32_t index, unsigned columns, struct aq_chunk **ret_chunk, struct aq_err *err)
{
	struct aq_decoded *d = NULL;
	if (index >= c->chunk_count)
		return aq_err_set(err, -EINVAL, "there is no chunk %u", index);
	int r = aq_decode_chunk(c, index, columns, &d, err);
	if (r < 0)
		return r;
	struct owned_chunk *o = calloc(1, sizeof(*o));
	bool ok = o != NULL;
	uint32_t n = d->events;
	if (ok && (columns & AQ_COL_ID))
		ok = (o->id = malloc(n * sizeof(*o->id))) != NULL;
	if (ok && (columns & AQ_COL_CPU))
		ok = (o->cpu = malloc(n * sizeof(*o->cpu))) != NULL;
	if (ok && (columns & AQ_COL_RET))
		ok = (o->ret = malloc(n * sizeof(*o->ret))) != NULL;
	if (ok && (columns & AQ_COL_THREAD))
		ok = (o->pid = malloc(n * sizeof(*o->pid))) && (o->tid = malloc(n * sizeof(*o->tid)));
	for (uint32_t i = 0; ok && o->id && i < n; i++)
		o->id[i] = d->types[d->type[i]].schema ? d->types[d->type[i]].id : 0;
	for (uint32_t i = 0; ok && o->cpu && i < n; i++)
		o->cpu[i] = (uint16_t)d->cpu[i];
	for (uint32_t i = 0; ok && o->ret && i < n; i++) {
		const struct aq_chunk_type *type = &d->types[d->type[i]];
		o->ret[i] = type->ret ? (int64_t)type->ret[d->ordinal[i]] : 0;
	}
	for (uint32_t i = 0; ok && o->pid && i < n; i++) {
		o->pid[i] = d->threads[d->thread[i]].pid;
		o->tid[i] = d->threads[d->thread[i]].tid;
	}
	if (ok && (columns & AQ_COL_TIME)) {
		o->time_ns = d->time_ns;
		d->time_ns = NULL;
	}
	if (ok && (columns & AQ_COL_DURATION))
		ok = (o->duration_ns = malloc(n * sizeof(*o->duration_ns))) != NULL;
	for (uint32_t i = 0; ok && o->duration_ns && i < n; i++) /* 0 less 1 is unknown too */
		o->duration_ns[i] = d->duration ? d->duration[i] - 1 : AQ_DURATION_UNKNOWN;
	aq_decoded_free(d);
	if (!ok) {
		if (o)
			aq_chunk_free(&o->public);
		return aq_err_set(err, -ENOMEM, "out of memory");
	}
	o->public = (struct aq_chunk){ n, o->id, o->time_ns, o->pid, o->tid, o->cpu, o->ret, o->duration_ns };
	*ret_chunk = &o->public;
	return 0;
}

int aq_chunk_count(struct aq_capture *c, uint32_t index, uint64_t *by_id, struct aq_err *err)
{
	struct aq_decoded *d = NULL;
	if (index >= c->chunk_count)
		return aq_err_set(err, -EINVAL, "there is no chunk %u", index);
	int r = aq_decode_chunk(c, index, AQ_DECODE_COUNTS, &d, err);
	if (r < 0)
		return r;
	for (uint32_t t = 0; t < d->type_count; t++)
		by_id[d->types[t].schema ? d->types[t].id : 0] += d->types[t].events;
	aq_decoded_free(d);
	return 0;
}

void aq_chunk_free(struct aq_chunk *chunk)
{
	struct owned_chunk *o = (struct owned_chunk *)(void *)chunk;
	if (!o)
		return;
	free(o->id);
	free(o->cpu);
	free(o->pid);
	free(o->tid);
	free(o->ret);
	free(o->time_ns);
	free(o->duration_ns);
	free(o);
}
