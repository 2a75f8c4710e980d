/* SPDX-License-Identifier: Apache-2.0 */
/* A table sorted by path and beginning; a path and each of its parents are looked for by bisection. */
#include "query/placed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BACK_MAX = 64 }; /* spans of one path that are looked at, from the latest that has begun */

/*
 * A container's last events may be told after its folder was removed, and the times of files are those of the kernel's tick:
 * so far a span reaches beyond its ends where no other container is.
 */
#define AFTER_NS 1000000000u
#define BEFORE_NS 100000000u

struct place {
	struct aq_fact_text path;
	struct aq_subject *subject;
	uint64_t from_ns, to_ns;
};

struct aq_placed {
	struct place *place;
	size_t count;
};

static int compare_paths(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int d = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return d != 0 ? d : a_len < b_len ? -1 : a_len > b_len;
}

static int by_path(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int d = compare_paths(x->path.s, x->path.len, y->path.s, y->path.len);

	return d != 0 ? d : x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

int aq_placed_new(struct aq_facts *facts, struct aq_placed **ret_placed)
{
	struct aq_placed *p = calloc(1, sizeof(*p));
	size_t room = 0;

	if (!p)
		return -ENOMEM;
	for (struct aq_subject *s = NULL; (s = aq_facts_next(facts, "container:", s));) {
		for (uint32_t i = 0; i < aq_subject_count(s); i++) {
			struct place one = { .subject = s };
			const struct aq_fact_doc *d = aq_subject_fact(facts, s, i, &one.from_ns, &one.to_ns);

			one.path = d ? aq_doc_text(d, AQ_FM_CGROUP) : (struct aq_fact_text){ NULL, 0 };
			if (!one.path.s || one.path.len < 2 || one.path.s[0] != '/') /* the root is nobody's */
				continue;
			if (p->count == room) {
				struct place *more = reallocarray(p->place, room ? room * 2 : 64, sizeof(*more));

				if (!more) {
					aq_placed_free(p);
					return -ENOMEM;
				}
				room = room ? room * 2 : 64;
				p->place = more;
			}
			p->place[p->count++] = one;
		}
	}
	if (p->count)
		qsort(p->place, p->count, sizeof(*p->place), by_path);
	*ret_placed = p;
	return 0;
}

void aq_placed_free(struct aq_placed *p)
{
	if (!p)
		return;
	free(p->place);
	free(p);
}

/* Behind the last place of the path that has begun at the time. */
static size_t behind(const struct aq_placed *p, const char *path, size_t len, uint64_t time_ns)
{
	size_t lo = 0, hi = p->count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct place *x = &p->place[mid];
		int d = compare_paths(x->path.s, x->path.len, path, len);

		if (d < 0 || (d == 0 && x->from_ns <= time_ns))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_at(const struct aq_placed *p, size_t i, const char *path, size_t len)
{
	return i < p->count && p->place[i].path.len == len && memcmp(p->place[i].path.s, path, len) == 0;
}

static void narrow(uint64_t a_ns, uint64_t b_ns, uint64_t time_ns, uint64_t *from_ns, uint64_t *to_ns)
{
	/* [a, b] holds: the answer changes behind b and before a; else it changes where it begins to hold */
	if (time_ns < a_ns) {
		*to_ns = *to_ns < a_ns - 1 ? *to_ns : a_ns - 1;
	} else if (time_ns > b_ns) {
		*from_ns = *from_ns > b_ns + 1 ? *from_ns : b_ns + 1;
	} else {
		*from_ns = *from_ns > a_ns ? *from_ns : a_ns;
		*to_ns = *to_ns < b_ns ? *to_ns : b_ns;
	}
}

static const struct place *find_at(const struct aq_placed *p, const char *path, size_t len, uint64_t time_ns, uint64_t *from_ns,
				   uint64_t *to_ns)
{
	size_t at = behind(p, path, len, time_ns);
	const struct place *next = is_at(p, at, path, len) ? &p->place[at] : NULL, *last = NULL;

	if (next) { /* what has not begun yet may be about to */
		uint64_t early_ns = next->from_ns > BEFORE_NS ? next->from_ns - BEFORE_NS : 0;

		narrow(next->from_ns, next->to_ns, time_ns, from_ns, to_ns);
		narrow(early_ns, next->to_ns, time_ns, from_ns, to_ns);
	}
	for (unsigned back = 0; back < BACK_MAX && at > 0 && is_at(p, at - 1, path, len); back++, at--) {
		const struct place *x = &p->place[at - 1];

		narrow(x->from_ns, x->to_ns, time_ns, from_ns, to_ns);
		if (time_ns <= x->to_ns)
			return x;
		if (!last || x->to_ns > last->to_ns)
			last = x;
	}
	if (last)
		narrow(last->from_ns, last->to_ns + AFTER_NS, time_ns, from_ns, to_ns);
	if (next && next->from_ns - time_ns <= BEFORE_NS && (!last || next->from_ns - time_ns < time_ns - last->to_ns))
		return next;
	return last && time_ns - last->to_ns <= AFTER_NS ? last : NULL;
}

struct aq_subject *aq_placed_find(const struct aq_placed *p, const char *path, size_t len, uint64_t time_ns, size_t *ret_len,
				  uint64_t *from_ns, uint64_t *to_ns)
{
	while (p->count && len > 1) {
		const struct place *x = find_at(p, path, len, time_ns, from_ns, to_ns);

		if (x) {
			*ret_len = len;
			return x->subject;
		}
		while (len > 0 && path[len - 1] != '/')
			len--;
		len -= len > 0;
	}
	return NULL;
}
