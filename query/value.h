/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The value of a field for one row: nothing, a truth value, a number, a string or an IP address, and how it prints.
 * Text is raw bytes: whoever writes to a terminal, JSON or CSV escapes it.
 */
#ifndef AQ_QUERY_VALUE_H
#define AQ_QUERY_VALUE_H

#include "format/schema/schema.h"

enum aq_value_kind {
	AQ_VAL_NONE = 0, /* unknown, or the row has no such thing */
	AQ_VAL_BOOL,
	AQ_VAL_INT,      /* i */
	AQ_VAL_UINT,     /* u */
	AQ_VAL_STRING,   /* s, len */
	AQ_VAL_IP,       /* ip, len 4 or 16 */
};

/* How a number prints where its schema type does not say so already. */
enum aq_value_style {
	AQ_STYLE_PLAIN = 0,
	AQ_STYLE_SCHEMA,   /* as type and flags say: "O_RDONLY", "0644" */
	AQ_STYLE_RESULT,   /* a syscall's result: "ENOENT" when negative */
	AQ_STYLE_TIME,     /* wall clock, ns since 1970: "2026-01-31T12:00:00.123456789Z" */
	AQ_STYLE_DURATION, /* ns; prints as the plain number */
	AQ_STYLE_HEX,
};

struct aq_value {
	enum aq_value_kind kind;
	enum aq_value_style style;
	enum aq_type type;               /* AQ_STYLE_SCHEMA and AQ_STYLE_RESULT */
	const struct aq_flag_set *flags; /* AQ_STYLE_SCHEMA, may be NULL */
	uint32_t len;                    /* of s or ip */
	union {
		bool b;
		int64_t i;
		uint64_t u;
		const char *s;           /* borrowed until the next row; not NUL-terminated */
		uint8_t ip[16];
	};
};

/*
 * The value as text into buf (NUL-terminated when size > 0, cut if too long); returns the length that was needed.
 * NONE gives the empty text. A string may contain any byte.
 */
size_t aq_value_text(const struct aq_value *v, char *buf, size_t size);
/* True when it is best written without quotes in JSON: kind BOOL, INT or UINT with a style that prints a plain number. */
bool aq_value_is_number(const struct aq_value *v);

#endif
