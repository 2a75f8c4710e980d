/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the fields, shared by fields*.c and the filter's compiler.
 */
#ifndef AQ_QUERY_FIELDS_INTERNAL_H
#define AQ_QUERY_FIELDS_INTERNAL_H

#include "query/fields.h"

#include <string.h>

enum aq_field_id {
	AQ_FIELD_NONE = 0,
#define AQ_FIELD(ID, name, type, arg, shape, needs, doc) AQ_FIELD_##ID,
#include "query/fields.def"
#undef AQ_FIELD
	AQ_FIELD_COUNT
};

enum { AQ_SCRATCH_BYTES = 256 * 1024, AQ_ANCESTORS_MAX = 1024 };

struct aq_scratch { /* text derived for one row; what does not fit is cut */
	size_t used;
	char bytes[AQ_SCRATCH_BYTES];
};

struct aq_field {
	const struct aq_field_info *info;
	char *text;
	bool has_index;
	uint32_t index;
	enum aq_attr_key attr;            /* evt.arg.NAME where NAME is an attribute's, else 0 */
	char *key;                        /* of a label: what stands in brackets; NULL none */
	int8_t arg_of[AQ_EVENT_ID_MAX];   /* evt.arg.NAME: index of that argument, -1 none */
};

/* Parses a field at the beginning of text (as long as a field goes); *ret_used is its length. */
int aq_field_compile_part(const char *text, size_t len, size_t base_offset, struct aq_field **ret_field, size_t *ret_used,
			  struct aq_err *err);
/* Adds "; did you mean A or B" for names near to `word` among those that next() gives; returns length of buf's text. */
void aq_suggest(const char *word, size_t len, const char *(*next)(void *cursor), void *cursor, char *buf, size_t size);
const char *aq_next_event_name(void *cursor); /* cursor: uint32_t, from 0 */

bool aq_field_get_proc(const struct aq_field *f, struct aq_row *row, unsigned index, struct aq_value *v);
bool aq_field_get_fd(const struct aq_field *f, struct aq_row *row, unsigned index, struct aq_value *v);
bool aq_field_get_name(const struct aq_field *f, struct aq_row *row, unsigned index, struct aq_value *v);
/* Names of an end of a socket: fd.rip.name … */
bool aq_field_get_address(const struct aq_field *f, struct aq_row *row, const struct aq_endpoint *ep, struct aq_value *v);
bool aq_field_get_evt(const struct aq_field *f, struct aq_row *row, struct aq_value *v);

/* Room for `want` bytes of derived text; less when the scratch is nearly used up. */
char *aq_scratch_room(struct aq_row *row, size_t want, size_t *ret_size);
static inline void aq_scratch_keep(struct aq_row *row, size_t len)
{
	row->scratch->used += len;
}

static inline bool aq_v_str(struct aq_value *v, const char *s, size_t len)
{
	*v = (struct aq_value){ .kind = AQ_VAL_STRING, .len = (uint32_t)len, .s = s };
	return true;
}
static inline bool aq_v_text(struct aq_value *v, const char *s)
{
	return aq_v_str(v, s, strlen(s));
}
static inline bool aq_v_uint(struct aq_value *v, uint64_t u)
{
	*v = (struct aq_value){ .kind = AQ_VAL_UINT, .u = u };
	return true;
}
static inline bool aq_v_int(struct aq_value *v, int64_t i)
{
	*v = (struct aq_value){ .kind = AQ_VAL_INT, .i = i };
	return true;
}
static inline bool aq_v_bool(struct aq_value *v, bool b)
{
	*v = (struct aq_value){ .kind = AQ_VAL_BOOL, .b = b };
	return true;
}
static inline bool aq_v_time(struct aq_value *v, uint64_t real_ns)
{
	*v = (struct aq_value){ .kind = AQ_VAL_UINT, .style = AQ_STYLE_TIME, .u = real_ns };
	return true;
}

#endif
