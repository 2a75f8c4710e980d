/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns of one chunk by name, for computing on them: only the streams of what is asked for are read from the file and
 * decoded. Attributes are numbers too, the ids of strings in a dictionary, until a string is asked for.
 *
 * Threads: columns belong to one thread at a time; several of one capture may be used at once.
 */
#ifndef AQ_FORMAT_SEGMENT_COLUMNS_H
#define AQ_FORMAT_SEGMENT_COLUMNS_H

#include "format/base/err.h"
#include "format/schema/schema.h"
#include "format/segment/reader.h"

#pragma GCC visibility push(default) /* what libaquila may export */

enum aq_column_kind {
	AQ_COLUMN_UNSIGNED = 1,
	AQ_COLUMN_SIGNED = 2, /* values are to be read as int64_t */
	AQ_COLUMN_STRING = 3, /* values are dictionary ids for aq_columns_string(); 0: the event has no such string */
};

enum { AQ_COLUMNS_MAX = 1024 }; /* in one call */

struct aq_column {
	const char *name;                /* as it was asked for */
	enum aq_column_kind kind;
	enum aq_type type;               /* what numbers mean (for aq_format_value), else AQ_TYPE_NONE */
	const struct aq_flag_set *flags; /* names of values on x86-64, NULL: none */
	uint32_t rows;
	const uint64_t *values;          /* rows of them */
	const uint32_t *positions;       /* of each row among the chunk's events; NULL: row i is event i */
};

struct aq_columns;
/*
 * Loads columns of the chunk with that index (aq_capture_chunk). Names are:
 *   id time pid tid cpu ret cgroup abi flags duration
 *                                              one row for each event; time is CLOCK_BOOTTIME in ns, duration in ns,
 *                                              AQ_DURATION_UNKNOWN where it is not known
 *   EVENT.ret, EVENT.ARGUMENT                  one row for each event of that type, such as openat.flags, read.count
 *   EVENT.ATTRIBUTE, EVENT.TEXTARGUMENT        the same, as strings, such as openat.path
 * A number that the recorder's policy dropped (pointers) is 0. Rows stand in the chunk's order: by thread, not by time.
 * names is borrowed during the call. -EINVAL: no such chunk or column; -EBADMSG: the chunk is damaged (noted in the
 * capture); -ENOMEM. Where the chunk's attributes were lost, strings are 0: see aq_columns_texts_lost().
 */
int aq_columns_load(struct aq_capture *c, uint32_t chunk, const char *const *names, size_t count,
		    struct aq_columns **ret_columns, struct aq_err *err);
void aq_columns_free(struct aq_columns *columns); /* NULL allowed; before the capture is closed */
uint32_t aq_columns_events(const struct aq_columns *columns); /* of the chunk */
/* True when a column of strings was asked for and the chunk's attributes can't be read: its zeros then mean nothing. */
bool aq_columns_texts_lost(const struct aq_columns *columns);
size_t aq_columns_count(const struct aq_columns *columns);
/* In the order of names, borrowed from the columns; NULL beyond the last. */
const struct aq_column *aq_columns_get(const struct aq_columns *columns, size_t index);
/* Ids of columns with the same dictionary mean the same strings: what was found out about one holds for others. */
uint64_t aq_columns_dictionary(const struct aq_columns *columns);
/*
 * The bytes of a dictionary id, not NUL-terminated, borrowed from the columns; how to read them: aq_attr_type(). The
 * first call reads the dictionary. -EINVAL: 0 or no such id; -ENODATA: lost to damage; -ENOMEM.
 */
int aq_columns_string(struct aq_columns *columns, uint64_t id, const void **ret_data, uint32_t *ret_len,
		      struct aq_err *err);

#pragma GCC visibility pop

#endif
