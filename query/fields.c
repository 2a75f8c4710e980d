/* SPDX-License-Identifier: Apache-2.0 */
/* The table of fields, the compilation of a field's text, and the suggestions for what was mistyped. */
#include "query/fields_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct aq_field_info table[] = {
#define AQ_FIELD(ID, name, type, arg, shape, needs, doc) \
	{ AQ_FIELD_##ID, name, AQ_FT_##type, AQ_FA_##arg, AQ_FS_##shape, needs, doc },
#include "query/fields.def"
#undef AQ_FIELD
};
enum { TABLE_COUNT = sizeof(table) / sizeof(table[0]) };

const struct aq_field_info *aq_fields_next(const struct aq_field_info *last)
{
	const struct aq_field_info *next = last ? last + 1 : table;

	return next < table + TABLE_COUNT ? next : NULL;
}

const struct aq_field_info *aq_fields_find(const char *name)
{
	for (size_t i = 0; i < TABLE_COUNT; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

const char *aq_field_type_name(enum aq_field_type t)
{
	static const char *const names[] = { "?", "string", "int", "uint", "bool", "ip", "time", "duration", "dynamic" };

	return (unsigned)t < sizeof(names) / sizeof(names[0]) ? names[t] : "?";
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.';
}

static unsigned distance(const char *a, size_t a_len, const char *b)
{
	size_t b_len = strlen(b);
	unsigned row[64];

	if (a_len > 48 || b_len >= 63)
		return 99;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned cost = diagonal + (a[i - 1] != b[j - 1]), up = row[j] + 1, left = row[j - 1] + 1;

			diagonal = row[j];
			row[j] = cost < up ? (cost < left ? cost : left) : (up < left ? up : left);
		}
	}
	return row[b_len];
}

void aq_suggest(const char *word, size_t len, const char *(*next)(void *cursor), void *cursor, char *buf, size_t size)
{
	const char *best[3] = { NULL };
	unsigned far[3] = { 99, 99, 99 }, limit = len < 4 ? 1 : len < 8 ? 2 : 4;
	size_t used = 0;

	for (const char *name; (name = next(cursor));) {
		unsigned d = distance(word, len, name);

		for (unsigned k = 0; k < 3; k++)
			if (d <= limit && d < far[k]) {
				for (unsigned m = 2; m > k; m--) {
					best[m] = best[m - 1];
					far[m] = far[m - 1];
				}
				best[k] = name;
				far[k] = d;
				break;
			}
	}
	buf[0] = '\0';
	for (unsigned k = 0; k < 3 && best[k] && used < size; k++) {
		int n = snprintf(buf + used, size - used, "%s%s", k ? ", " : "; nearest: ", best[k]);

		used += n > 0 ? (size_t)n : 0;
	}
}

static const char *next_field_name(void *cursor)
{
	const struct aq_field_info **at = cursor;

	*at = aq_fields_next(*at);
	return *at ? (*at)->name : NULL;
}

const char *aq_next_event_name(void *cursor)
{
	uint32_t *at = cursor;
	const struct aq_event_schema *row = aq_schema_next(*at);

	if (!row)
		return NULL;
	*at = row->id;
	return row->name;
}

static int unknown_field(const char *text, size_t len, uint64_t offset, struct aq_err *err)
{
	const struct aq_field_info *cursor = NULL;
	char near[160];

	if (len == 0)
		return aq_err_set_at(err, -EINVAL, offset, "a field name was expected");
	aq_suggest(text, len, next_field_name, &cursor, near, sizeof(near));
	return aq_err_set_at(err, -EINVAL, offset, "'%.*s' is not a field%s", (int)(len > 80 ? 80 : len), text, near);
}

/* evt.arg.NAME: where that argument is in each event. */
static int bind_arg_name(struct aq_field *f, const char *name, size_t len, uint64_t offset, struct aq_err *err)
{
	bool any = false;

	for (const struct aq_event_schema *e = aq_schema_next(0); e; e = aq_schema_next(e->id))
		for (unsigned i = 0; i < e->arg_count && i < AQ_EVENT_MAX_ARGS && e->id < AQ_EVENT_ID_MAX; i++)
			if (strlen(e->args[i].name) == len && memcmp(e->args[i].name, name, len) == 0) {
				f->arg_of[e->id] = (int8_t)i;
				any = true;
				break;
			}
	for (unsigned key = 1; key < AQ_ATTR_KEY_MAX; key++) {
		const char *attr = aq_attr_name(key);

		if (attr && strlen(attr) == len && memcmp(attr, name, len) == 0) {
			f->attr = key;
			any = true;
		}
	}
	if (!any)
		return aq_err_set_at(err, -EINVAL, offset, "no event has an argument '%.*s'", (int)(len > 80 ? 80 : len), name);
	return 0;
}

static const struct aq_field_info *longest_field(const char *text, size_t len, size_t *ret_len)
{
	const struct aq_field_info *found = NULL;

	for (size_t i = 0; i < TABLE_COUNT; i++) {
		size_t n = strlen(table[i].name);

		if (n > len || memcmp(table[i].name, text, n) != 0)
			continue;
		if (n == len || ((table[i].arg == AQ_FA_NAME || table[i].arg == AQ_FA_KEY) && text[n] == '.')) {
			found = &table[i];
			*ret_len = n;
		}
	}
	return found;
}

static int parse_index(struct aq_field *f, const char *text, size_t len, size_t *at, uint64_t base, struct aq_err *err)
{
	uint64_t value = 0;
	size_t i = *at + 1, first = i;

	while (i < len && text[i] >= '0' && text[i] <= '9' && i - first < 6)
		value = value * 10 + (uint64_t)(text[i++] - '0');
	if (i == first || i >= len || text[i] != ']')
		return aq_err_set_at(err, -EINVAL, base + i, "a number and ']' were expected after '['");
	if (value > AQ_ANCESTORS_MAX)
		return aq_err_set_at(err, -EINVAL, base + first, "an index above %d was not expected", AQ_ANCESTORS_MAX);
	f->has_index = true;
	f->index = (uint32_t)value;
	*at = i + 1;
	return 0;
}

/* [KEY], or .KEY up to the end of the word: keys have characters that no name of a field has. */
static int parse_key(struct aq_field *f, const char *text, size_t len, size_t name_len, uint64_t base, size_t *ret_used,
		     struct aq_err *err)
{
	size_t first = name_len + 1, end = len;

	if (name_len >= len || (text[name_len] != '[' && text[name_len] != '.'))
		return aq_err_set_at(err, -EINVAL, base + name_len, "'%s' needs a key: %s[KEY]", f->info->name, f->info->name);
	if (text[name_len] == '[') {
		const char *close = memchr(text + first, ']', len - first);

		if (!close)
			return aq_err_set_at(err, -EINVAL, base + len, "']' was expected behind the key");
		end = (size_t)(close - text);
	}
	if (end == first)
		return aq_err_set_at(err, -EINVAL, base + first, "a key was expected");
	f->key = strndup(text + first, end - first);
	if (!f->key)
		return aq_err_set(err, -ENOMEM, "no memory for a field");
	*ret_used = end + (text[name_len] == '[');
	return 0;
}

static int compile_rest(struct aq_field *f, const char *text, size_t len, size_t word, size_t name_len, uint64_t base,
			size_t *ret_used, struct aq_err *err)
{
	size_t at = word;
	int r;

	if (f->info->arg == AQ_FA_KEY)
		return parse_key(f, text, len, name_len, base, ret_used, err);
	if (f->info->arg == AQ_FA_NAME && word > name_len) {
		r = bind_arg_name(f, text + name_len + 1, word - name_len - 1, base + name_len + 1, err);
		if (r < 0)
			return r;
	} else if (at < len && text[at] == '[') {
		if (f->info->arg == AQ_FA_NONE)
			return aq_err_set_at(err, -EINVAL, base + at, "'%s' takes no index", f->info->name);
		r = parse_index(f, text, len, &at, base, err);
		if (r < 0)
			return r;
		if (f->info->arg == AQ_FA_NAME && f->index >= AQ_EVENT_MAX_ARGS)
			return aq_err_set_at(err, -EINVAL, base + word, "no event has so many arguments");
	} else if (f->info->arg == AQ_FA_NAME || f->info->arg == AQ_FA_INDEX) {
		return aq_err_set_at(err, -EINVAL, base + at, "'%s' needs the name or [number] of an argument", f->info->name);
	}
	*ret_used = at;
	return 0;
}

int aq_field_compile_part(const char *text, size_t len, size_t base_offset, struct aq_field **ret_field, size_t *ret_used,
			  struct aq_err *err)
{
	const struct aq_field_info *info;
	struct aq_field *f;
	size_t word = 0, name_len = 0;
	int r;

	while (word < len && is_name_char(text[word]))
		word++;
	info = longest_field(text, word, &name_len);
	if (!info)
		return unknown_field(text, word, base_offset, err);
	f = calloc(1, sizeof(*f));
	if (!f)
		return aq_err_set(err, -ENOMEM, "no memory for a field");
	f->info = info;
	memset(f->arg_of, -1, sizeof(f->arg_of));
	r = compile_rest(f, text, len, word, name_len, base_offset, ret_used, err);
	if (r == 0) {
		f->text = strndup(text, *ret_used);
		if (!f->text)
			r = aq_err_set(err, -ENOMEM, "no memory for a field");
	}
	if (r < 0) {
		aq_field_free(f);
		return r;
	}
	*ret_field = f;
	return 0;
}

int aq_field_compile(const char *text, struct aq_field **ret_field, struct aq_err *err)
{
	size_t begin, len, used = 0;
	struct aq_field *f = NULL;
	int r;

	if (!text)
		return aq_err_set_at(err, -EINVAL, 0, "a field name was expected");
	begin = strspn(text, " \t%");
	len = strlen(text);
	while (len > begin && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	r = aq_field_compile_part(text + begin, len - begin, begin, &f, &used, err);
	if (r < 0)
		return r;
	if (begin + used != len) {
		aq_field_free(f);
		return aq_err_set_at(err, -EINVAL, begin + used, "the end of the field was expected");
	}
	*ret_field = f;
	return 0;
}

void aq_field_free(struct aq_field *f)
{
	if (!f)
		return;
	free(f->text);
	free(f->key);
	free(f);
}

const char *aq_field_text(const struct aq_field *f)
{
	return f->text;
}

const struct aq_field_info *aq_field_info(const struct aq_field *f)
{
	return f->info;
}

unsigned aq_field_needs(const struct aq_field *f)
{
	unsigned needs = f->info->needs;

	return needs & AQ_NEED_FD ? needs | AQ_NEED_PROC : needs;
}

int aq_scratch_new(struct aq_scratch **ret_scratch)
{
	struct aq_scratch *s = malloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->used = 0;
	*ret_scratch = s;
	return 0;
}

void aq_scratch_free(struct aq_scratch *s)
{
	free(s);
}

void aq_scratch_reset(struct aq_scratch *s)
{
	s->used = 0;
}

char *aq_scratch_room(struct aq_row *row, size_t want, size_t *ret_size)
{
	size_t left = AQ_SCRATCH_BYTES - row->scratch->used;

	*ret_size = want < left ? want : left;
	return row->scratch->bytes + row->scratch->used;
}

bool aq_field_value_at(const struct aq_field *f, struct aq_row *row, unsigned index, struct aq_value *ret_value)
{
	bool known;

	if (index && f->info->shape == AQ_FS_ONE)
		known = false;
	else if (f->info->id >= AQ_FIELD_CGROUP_ID && f->info->id <= AQ_FIELD_K8S_UNKNOWN_REASON)
		known = aq_field_get_name(f, row, index, ret_value);
	else if (f->info->id < AQ_FIELD_PROC_NAME || f->info->id >= AQ_FIELD_GAP_COUNT)
		known = aq_field_get_evt(f, row, ret_value);
	else if (f->info->id < AQ_FIELD_FD_NUM)
		known = aq_field_get_proc(f, row, index, ret_value);
	else
		known = aq_field_get_fd(f, row, index, ret_value);
	if (!known)
		*ret_value = (struct aq_value){ .kind = AQ_VAL_NONE };
	return known;
}

bool aq_field_value(const struct aq_field *f, struct aq_row *row, struct aq_value *ret_value)
{
	return aq_field_value_at(f, row, 0, ret_value);
}

size_t aq_field_value_text(const struct aq_field *f, struct aq_row *row, char *buf, size_t size)
{
	struct aq_value v;
	size_t len = 0;

	if (size)
		buf[0] = '\0';
	for (unsigned i = 0; i < AQ_ANCESTORS_MAX && aq_field_value_at(f, row, i, &v); i++) {
		size_t at = len < size ? len : size, mark = row->scratch->used;

		if (i) {
			if (at + 1 < size) {
				buf[at] = ',';
				buf[at + 1] = '\0';
			}
			len++;
			at = len < size ? len : size;
		}
		len += aq_value_text(&v, buf + at, size - at);
		row->scratch->used = mark;
		if (f->has_index || f->info->shape == AQ_FS_ONE)
			break;
	}
	return len;
}
