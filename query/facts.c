/* SPDX-License-Identifier: Apache-2.0 */
/* The table of facts: sorted by subject, origin and time, replaced ones dropped, subjects found by a hash. */
#include "query/facts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { COMPACT_FIRST = 1 << 16, SOURCE_MAX = 32 };

struct fact {
	uint64_t from_ns, to_ns;   /* to UINT64_MAX: not seen to end */
	uint64_t order;            /* running number: which came later */
	char *subject;             /* NUL-terminated; the JSON follows it in the same memory */
	struct aq_fact_doc *doc;   /* NULL: not parsed yet, or no JSON object */
	uint32_t subject_len, json_len;
	uint32_t source_hash;      /* tells other sources of one origin apart */
	uint8_t origin;
	bool bad;                  /* no JSON object */
};

struct aq_subject {
	uint32_t first, count;                 /* of its facts */
	uint32_t begin[AQ_FO_COUNT + 1];       /* of each origin, within those */
	uint64_t *bounds;                      /* sorted times at which a fact begins or is over; made when first needed */
	uint32_t bound_count;
};

struct aq_facts {
	struct fact *fact;
	size_t count, room, compact_at;
	uint64_t bytes, order, refused;
	bool full;
	struct aq_subject *subject;
	uint32_t subjects, mask;
	uint32_t *hash;                        /* 1 + index of a subject; 0: free */
};

static uint64_t hash_bytes(const char *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)s[i]) * 0x100000001b3ull;
	return h ^ h >> 32;
}

static enum aq_fact_origin origin_of(const char *s, size_t len)
{
	static const char *const names[AQ_FO_OTHER] = { "docker", "containerd", "cri-o", "podman", "docker-files",
							   "podman-files", "storage",
							   "runc", "crun", "kubelet", "kubernetes", "dns", "import" };

	for (unsigned i = 0; i < AQ_FO_OTHER; i++)
		if (strlen(names[i]) == len && memcmp(names[i], s, len) == 0)
			return i;
	return AQ_FO_OTHER;
}

/* Most facts begin with their source: then nothing else of them has to be parsed yet. */
static bool peek_source(const char *json, size_t len, const char **ret_source, size_t *ret_len)
{
	static const char head[] = "{\"source\":\"";
	size_t at = sizeof(head) - 1, n = 0;

	if (len <= at || memcmp(json, head, at) != 0)
		return false;
	while (at + n < len && n < SOURCE_MAX && json[at + n] != '"' && json[at + n] != '\\')
		n++;
	if (at + n >= len || json[at + n] != '"')
		return false;
	*ret_source = json + at;
	*ret_len = n;
	return true;
}

static int by_all(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;
	int d = strcmp(x->subject, y->subject);

	if (d)
		return d;
	if (x->origin != y->origin)
		return x->origin < y->origin ? -1 : 1;
	if (x->from_ns != y->from_ns)
		return x->from_ns < y->from_ns ? -1 : 1;
	if (x->source_hash != y->source_hash)
		return x->source_hash < y->source_hash ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void drop_fact(struct aq_facts *f, struct fact *x)
{
	f->bytes -= (uint64_t)x->subject_len + x->json_len;
	free(x->subject);
	aq_doc_free(x->doc);
}

/* Sorts, and drops what was replaced. */
static void compact(struct aq_facts *f)
{
	size_t out = 0;

	if (f->count)
		qsort(f->fact, f->count, sizeof(*f->fact), by_all);
	for (size_t i = 0; i < f->count; i++) {
		struct fact *x = &f->fact[i], *last = out ? &f->fact[out - 1] : NULL;

		if (last && last->origin == x->origin && last->from_ns == x->from_ns && last->source_hash == x->source_hash &&
		    strcmp(last->subject, x->subject) == 0) {
			drop_fact(f, last);
			*last = *x;
		} else {
			f->fact[out++] = *x;
		}
	}
	f->count = out;
	f->compact_at = out < COMPACT_FIRST ? COMPACT_FIRST : out * 2;
}

int aq_facts_new(struct aq_facts **ret_facts)
{
	struct aq_facts *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->compact_at = COMPACT_FIRST;
	*ret_facts = f;
	return 0;
}

static bool has_room(struct aq_facts *f, uint64_t bytes)
{
	if (f->count >= f->compact_at && !f->full)
		compact(f);
	if (f->count < AQ_FACTS_MAX && f->bytes + bytes <= AQ_FACTS_BYTES_MAX)
		return true;
	if (!f->full)
		compact(f);
	/* only what frees much is worth doing again for the next one */
	f->full = f->count > AQ_FACTS_MAX / 10 * 9 || f->bytes > AQ_FACTS_BYTES_MAX / 10 * 9;
	return f->count < AQ_FACTS_MAX && f->bytes + bytes <= AQ_FACTS_BYTES_MAX;
}

static int take(struct aq_facts *f, const struct aq_fact *fact, const char *subject, size_t subject_len)
{
	struct fact x = { .from_ns = fact->valid_from_ns, .to_ns = fact->valid_to_ns ? fact->valid_to_ns : UINT64_MAX,
			  .subject_len = (uint32_t)subject_len, .json_len = (uint32_t)fact->json_len };
	struct aq_fact_text source;
	const char *name;
	size_t len;

	if (!peek_source(fact->json, fact->json_len, &name, &len)) {
		int r = aq_doc_parse(fact->json, fact->json_len, &x.doc);

		if (r == -ENOMEM)
			return r;
		if (r < 0) {
			f->refused++;
			return 0;
		}
		source = aq_doc_text(x.doc, AQ_FM_SOURCE);
		name = source.s ? source.s : "";
		len = source.len;
	}
	x.origin = origin_of(name, len);
	x.source_hash = (uint32_t)hash_bytes(name, len);
	if (f->count == f->room) {
		size_t room = f->room ? f->room * 2 : 64;
		struct fact *more = realloc(f->fact, room * sizeof(*more));

		if (!more) {
			aq_doc_free(x.doc);
			return -ENOMEM;
		}
		f->fact = more;
		f->room = room;
	}
	x.subject = malloc(subject_len + 1 + fact->json_len);
	if (!x.subject) {
		aq_doc_free(x.doc);
		return -ENOMEM;
	}
	memcpy(x.subject, subject, subject_len);
	x.subject[subject_len] = '\0';
	memcpy(x.subject + subject_len + 1, fact->json, fact->json_len);
	x.order = f->order++;
	f->bytes += (uint64_t)subject_len + fact->json_len;
	f->fact[f->count++] = x;
	return 0;
}

/* One spelling for each address; other subjects are taken as they are. buf has INET6_ADDRSTRLEN + 8 bytes. */
static const char *spell(const char *subject, size_t *len, char *buf)
{
	static const char prefix[] = "address:";
	char text[INET6_ADDRSTRLEN];
	uint8_t ip[16];
	size_t head = sizeof(prefix) - 1;
	const char *given = text;
	int family;

	if (*len <= head || *len - head >= sizeof(text) || memcmp(subject, prefix, head) != 0)
		return subject;
	memcpy(text, subject + head, *len - head);
	text[*len - head] = '\0';
	if (strncasecmp(text, "::ffff:", 7) == 0 && strchr(text, '.'))
		given = text + 7;
	family = strchr(given, ':') ? AF_INET6 : AF_INET;
	memcpy(buf, prefix, head);
	if (inet_pton(family, given, ip) != 1 || !inet_ntop(family, ip, buf + head, INET6_ADDRSTRLEN))
		return subject;
	*len = strlen(buf);
	return buf;
}

int aq_facts_add(struct aq_facts *f, const struct aq_fact *fact)
{
	char buf[INET6_ADDRSTRLEN + 8];
	size_t len = fact->subject ? strnlen(fact->subject, AQ_FACT_SUBJECT_MAX + 1) : 0;
	const char *subject;

	if (len == 0 || len > AQ_FACT_SUBJECT_MAX || fact->json_len == 0 || fact->json_len > AQ_FACT_JSON_MAX ||
	    !has_room(f, len + fact->json_len)) {
		f->refused++;
		return 0;
	}
	subject = spell(fact->subject, &len, buf);
	return take(f, fact, subject, len);
}

static int make_hash(struct aq_facts *f)
{
	uint32_t size = 16;

	while (size < f->subjects * 2)
		size *= 2;
	f->hash = calloc(size, sizeof(*f->hash));
	if (!f->hash)
		return -ENOMEM;
	f->mask = size - 1;
	for (uint32_t i = 0; i < f->subjects; i++) {
		const struct fact *x = &f->fact[f->subject[i].first];
		uint32_t at = (uint32_t)hash_bytes(x->subject, x->subject_len) & f->mask;

		while (f->hash[at])
			at = (at + 1) & f->mask;
		f->hash[at] = i + 1;
	}
	return 0;
}

int aq_facts_finish(struct aq_facts *f)
{
	uint32_t subjects = 0;

	compact(f);
	for (size_t i = 0; i < f->count; i++)
		subjects += i == 0 || strcmp(f->fact[i - 1].subject, f->fact[i].subject) != 0;
	f->subject = calloc(subjects ? subjects : 1, sizeof(*f->subject));
	if (!f->subject)
		return -ENOMEM;
	for (uint32_t i = 0, end; i < f->count; i = end) {
		struct aq_subject *s = &f->subject[f->subjects++];
		unsigned origin = 0;

		for (end = i + 1; end < f->count && strcmp(f->fact[i].subject, f->fact[end].subject) == 0; end++)
			;
		s->first = i;
		s->count = end - i;
		for (uint32_t k = 0; k < s->count; k++)
			while (origin <= f->fact[i + k].origin)
				s->begin[origin++] = k;
		while (origin <= AQ_FO_COUNT)
			s->begin[origin++] = s->count;
	}
	return make_hash(f);
}

int aq_facts_load(struct aq_capture *c, struct aq_facts **ret_facts, struct aq_err *err)
{
	uint64_t set[(AQ_EVENT_ID_MAX + 63) / 64] = { 0 };
	struct aq_iter_options options = { .event_set = set };
	char subject_text[AQ_FACT_SUBJECT_MAX + 2];
	struct aq_facts *f = NULL;
	struct aq_event_iter *it = NULL;
	struct aq_event ev;
	int r = aq_facts_new(&f);

	if (r < 0)
		return aq_err_set(err, r, "no memory for facts");
	set[AQ_EV_fact / 64] |= 1ull << (AQ_EV_fact % 64);
	r = aq_event_iter_new(c, &options, &it, err);
	while (r >= 0 && (r = aq_event_iter_next(it, &ev, err)) > 0) {
		const struct aq_attr *subject = aq_event_attr(&ev, AQ_ATTR_NAME), *json = aq_event_attr(&ev, AQ_ATTR_JSON);
		struct aq_fact fact = { .subject = subject_text, .json = json ? json->data : NULL, .json_len = json ? json->len : 0,
					.valid_from_ns = ev.arg_count > 0 ? ev.args[0] : 0,
					.valid_to_ns = ev.arg_count > 1 ? ev.args[1] : 0 };

		if (!subject || !json || subject->len > AQ_FACT_SUBJECT_MAX || (json->flags & AQ_ATF_TRUNCATED) ||
		    memchr(subject->data, '\0', subject->len)) {
			f->refused++;
			continue;
		}
		memcpy(subject_text, subject->data, subject->len);
		subject_text[subject->len] = '\0';
		if (aq_facts_add(f, &fact) < 0)
			r = aq_err_set(err, -ENOMEM, "no memory for facts");
	}
	aq_event_iter_free(it);
	if (r == 0 && aq_facts_finish(f) < 0)
		r = aq_err_set(err, -ENOMEM, "no memory for facts");
	if (r < 0) {
		aq_facts_free(f);
		return r;
	}
	*ret_facts = f;
	return 0;
}

void aq_facts_free(struct aq_facts *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++)
		drop_fact(f, &f->fact[i]);
	for (uint32_t i = 0; i < f->subjects; i++)
		free(f->subject[i].bounds);
	free(f->fact);
	free(f->subject);
	free(f->hash);
	free(f);
}

uint64_t aq_facts_refused(const struct aq_facts *f)
{
	return f->refused;
}

struct aq_subject *aq_facts_find(struct aq_facts *f, const char *subject, size_t len)
{
	char buf[INET6_ADDRSTRLEN + 8];
	uint32_t at;

	subject = spell(subject, &len, buf);
	for (at = (uint32_t)hash_bytes(subject, len) & f->mask; f->hash[at]; at = (at + 1) & f->mask) {
		struct aq_subject *s = &f->subject[f->hash[at] - 1];
		const struct fact *x = &f->fact[s->first];

		if (x->subject_len == len && memcmp(x->subject, subject, len) == 0)
			return s;
	}
	return NULL;
}

struct aq_subject *aq_facts_next(struct aq_facts *f, const char *prefix, struct aq_subject *last)
{
	uint32_t lo = 0, hi = f->subjects;

	if (last)
		lo = hi = (uint32_t)(last - f->subject) + 1;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (strcmp(f->fact[f->subject[mid].first].subject, prefix) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->subjects && strncmp(f->fact[f->subject[lo].first].subject, prefix, strlen(prefix)) == 0 ?
	       &f->subject[lo] : NULL;
}

const char *aq_subject_name(const struct aq_facts *f, const struct aq_subject *s)
{
	return f->fact[s->first].subject;
}

void aq_subject_span(const struct aq_facts *f, const struct aq_subject *s, uint64_t *ret_from_ns, uint64_t *ret_to_ns)
{
	uint64_t from = UINT64_MAX, to = 0;

	for (uint32_t i = s->first; i < s->first + s->count; i++) {
		/* 0 says only that it is not known: what another source knows is better */
		if (f->fact[i].from_ns && f->fact[i].from_ns < from)
			from = f->fact[i].from_ns;
		if (f->fact[i].to_ns != UINT64_MAX && f->fact[i].to_ns > to)
			to = f->fact[i].to_ns;
	}
	*ret_from_ns = from == UINT64_MAX ? 0 : from;
	*ret_to_ns = to ? to : UINT64_MAX;
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void aq_subject_narrow(struct aq_facts *f, struct aq_subject *s, uint64_t time_ns, uint64_t *from_ns, uint64_t *to_ns)
{
	uint32_t lo = 0, hi;

	if (!s->bounds) {
		s->bounds = malloc(2 * (size_t)s->count * sizeof(*s->bounds));
		if (!s->bounds) { /* then the answer holds for this moment */
			*from_ns = *to_ns = time_ns;
			return;
		}
		for (uint32_t i = 0; i < s->count; i++) {
			const struct fact *x = &f->fact[s->first + i];

			if (x->from_ns)
				s->bounds[s->bound_count++] = x->from_ns;
			if (x->to_ns != UINT64_MAX)
				s->bounds[s->bound_count++] = x->to_ns + 1;
		}
		qsort(s->bounds, s->bound_count, sizeof(*s->bounds), by_time);
	}
	for (hi = s->bound_count; lo < hi;) { /* the first bound above the time */
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->bounds[mid] <= time_ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < s->bound_count && s->bounds[lo] - 1 < *to_ns)
		*to_ns = s->bounds[lo] - 1;
	if (lo > 0 && s->bounds[lo - 1] > *from_ns)
		*from_ns = s->bounds[lo - 1];
}

static const struct aq_fact_doc *parsed(struct fact *x)
{
	if (!x->doc && !x->bad)
		x->bad = aq_doc_parse(x->subject + x->subject_len + 1, x->json_len, &x->doc) < 0;
	return x->doc;
}

uint32_t aq_subject_count(const struct aq_subject *s)
{
	return s->count;
}

const struct aq_fact_doc *aq_subject_fact(struct aq_facts *f, const struct aq_subject *s, uint32_t number, uint64_t *ret_from_ns,
					  uint64_t *ret_to_ns)
{
	struct fact *x = &f->fact[s->first + number];

	*ret_from_ns = x->from_ns;
	*ret_to_ns = x->to_ns;
	return parsed(x);
}

static bool holds(const struct fact *x, uint64_t time_ns)
{
	return x->from_ns <= time_ns && time_ns <= x->to_ns;
}

/* Behind the last fact of an origin that begins at or before the time. */
static uint32_t place_of(const struct aq_fact_walk *w, unsigned origin)
{
	uint32_t lo = w->subject->begin[origin], hi = w->subject->begin[origin + 1];

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (w->facts->fact[w->subject->first + mid].from_ns <= w->time_ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct fact *next_holding(struct aq_fact_walk *w)
{
	const struct aq_subject *s = w->subject;

	for (; w->origin < AQ_FO_COUNT; w->origin++, w->placed = false) {
		uint32_t *at = &w->at[w->origin];

		if (!w->placed) {
			*at = place_of(w, w->origin);
			w->placed = true;
			w->steps = 0;
		}
		while (*at > s->begin[w->origin] && w->steps++ < AQ_FACT_STEPS) {
			struct fact *x = &w->facts->fact[s->first + --*at];

			if (holds(x, w->time_ns))
				return x;
		}
	}
	return NULL;
}

static struct fact *next_other(struct aq_fact_walk *w)
{
	const struct aq_subject *s = w->subject;

	while (w->steps++ < AQ_FACT_STEPS) {
		struct fact *best = NULL;
		unsigned origin = 0;

		for (unsigned i = 0; i < AQ_FO_COUNT; i++) {
			struct fact *x = w->at[i] > s->begin[i] ? &w->facts->fact[s->first + w->at[i] - 1] : NULL;

			if (x && (!best || x->from_ns > best->from_ns)) {
				best = x;
				origin = i;
			}
		}
		if (!best)
			return NULL;
		w->at[origin]--;
		if (!holds(best, w->time_ns))
			return best;
	}
	return NULL;
}

const struct aq_fact_doc *aq_fact_walk_next(struct aq_fact_walk *w, enum aq_fact_origin *ret_origin)
{
	for (;;) {
		struct fact *x = w->pass == 0 ? next_holding(w) : w->pass == 1 ? next_other(w) : NULL;

		if (x && parsed(x)) {
			if (ret_origin)
				*ret_origin = x->origin;
			return x->doc;
		}
		if (x)
			continue;
		if (w->pass >= 1 || w->strict)
			return NULL;
		w->pass++;
		w->steps = 0;
		for (unsigned i = 0; i < AQ_FO_COUNT; i++)
			w->at[i] = w->subject->begin[i + 1];
	}
}

struct aq_fact_text aq_facts_text(struct aq_facts *f, const struct aq_subject *s, enum aq_fact_member member,
				  uint64_t time_ns, bool strict)
{
	struct aq_fact_walk w = { .facts = f, .subject = s, .time_ns = time_ns, .strict = strict };
	const struct aq_fact_doc *d;

	while (s && (d = aq_fact_walk_next(&w, NULL))) {
		struct aq_fact_text t = aq_doc_text(d, member);

		if (t.s)
			return t;
	}
	return (struct aq_fact_text){ NULL, 0 };
}
