/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a row: what filters compare and outputs show. The table is fields.def; `aq_fields_next` lists it for
 * documentation and completion. A field is compiled once from its text ("proc.aname[2]", "evt.arg.flags") and asked
 * for its value per row.
 *
 * Threads: compiled fields are immutable; a row belongs to the thread that runs the query.
 */
#ifndef AQ_QUERY_FIELDS_H
#define AQ_QUERY_FIELDS_H

#include "format/base/err.h"
#include "format/segment/reader.h"
#include "query/state.h"
#include "query/value.h"

enum aq_field_type {
	AQ_FT_STRING = 1, AQ_FT_INT, AQ_FT_UINT, AQ_FT_BOOL, AQ_FT_IP, AQ_FT_TIME, AQ_FT_DURATION,
	AQ_FT_DYNAMIC, /* as the event's schema says: evt.arg.NAME, evt.res */
};

/* What a field's value is taken from: the planner reads no more than that. */
enum aq_need {
	AQ_NEED_ATTRS = 1 << 0, /* variable attributes of the event itself */
	AQ_NEED_PROC = 1 << 1,  /* the process table */
	AQ_NEED_FD = 1 << 2,    /* the descriptor tables (implies PROC) */
	AQ_NEED_NUM = 1 << 3,   /* every event from the beginning is counted */
	AQ_NEED_CGROUP = 1 << 4,/* the cgroup table */
	AQ_NEED_FACTS = 1 << 5, /* the facts of enrichment */
};

/* How many values a field may have in one row; comparisons are true when any of them matches. */
enum aq_field_shape { AQ_FS_ONE = 0, AQ_FS_MANY };

/* The bracket or dotted part a field takes. */
enum aq_field_arg {
	AQ_FA_NONE = 0,
	AQ_FA_INDEX,      /* [N] is required */
	AQ_FA_OPT_INDEX,  /* [N]; without it all of them */
	AQ_FA_NAME,       /* .NAME or [N] */
	AQ_FA_KEY,        /* [KEY] or .KEY is required: any text */
};

struct aq_field_info {
	uint16_t id;
	const char *name;
	enum aq_field_type type;
	enum aq_field_arg arg;
	enum aq_field_shape shape;
	unsigned needs;   /* enum aq_need */
	const char *doc;  /* one sentence */
};

struct aq_names;

/* One row: an event or a gap, with the state as it is after the event. Filled by the engine; read it by fields. */
struct aq_row {
	uint64_t num;                    /* evt.num: position in the capture in canonical order, from 1; 0 unknown */
	const struct aq_event *ev;       /* NULL for a gap */
	const struct aq_gap *gap;        /* NULL for an event */
	const struct aq_capture *capture;
	const struct aq_state *state;    /* NULL when nothing needed it */
	const struct aq_proc *proc;      /* of the event's thread; NULL unknown */
	const struct aq_thread *thread;  /* NULL unknown */
	const struct aq_fd *fd;          /* what the event is about; NULL none or unknown */
	int64_t fd_num;                  /* its number; -1 none */
	struct aq_names *names;          /* NULL when not asked for */
	uint64_t first_ns;               /* start of the recording, for evt.reltime */
	struct aq_scratch *scratch;      /* where derived text lives until the next row; owned by the engine */
};

struct aq_scratch;
int aq_scratch_new(struct aq_scratch **ret_scratch);
void aq_scratch_free(struct aq_scratch *s);
void aq_scratch_reset(struct aq_scratch *s); /* everything derived from the last row is gone */

struct aq_field;

/* Compiles one field. -EINVAL with err->offset at the place and the nearest known names for an unknown one. */
int aq_field_compile(const char *text, struct aq_field **ret_field, struct aq_err *err);
void aq_field_free(struct aq_field *f);                          /* NULL allowed */
const char *aq_field_text(const struct aq_field *f);             /* as written, without spaces */
const struct aq_field_info *aq_field_info(const struct aq_field *f);
unsigned aq_field_needs(const struct aq_field *f);               /* enum aq_need */

/* The value (the first of several); false and kind NONE when unknown. Borrowed until the next row. */
bool aq_field_value(const struct aq_field *f, struct aq_row *row, struct aq_value *ret_value);
/* The index-th of several values, from 0; false at the end. */
bool aq_field_value_at(const struct aq_field *f, struct aq_row *row, unsigned index, struct aq_value *ret_value);
/* The value as text; several are joined by ",". Returns the length needed, 0 when unknown. */
size_t aq_field_value_text(const struct aq_field *f, struct aq_row *row, char *buf, size_t size);

/* The rows of the table: first with NULL, then with the last one; NULL at the end. */
const struct aq_field_info *aq_fields_next(const struct aq_field_info *last);
const struct aq_field_info *aq_fields_find(const char *name); /* without index or argument; NULL unknown */
const char *aq_field_type_name(enum aq_field_type t);         /* "string", "int" … */

#endif
