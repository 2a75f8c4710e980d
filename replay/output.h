/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where answers go: a buffered sink that notices every failed write, with the three ways of escaping; and printers that
 * turn rows into text, NDJSON or CSV. Not thread-safe.
 */
#ifndef AQ_REPLAY_OUTPUT_H
#define AQ_REPLAY_OUTPUT_H

#include "format/base/buf.h"
#include "format/base/err.h"
#include "format/base/text.h"
#include "query/query.h"

struct aq_out {
	int fd;
	int error;	  /* negative errno of the first failed write; everything after it is dropped */
	bool colour;	  /* a terminal that wants colour */
	const char *name; /* "standard output" */
	struct aq_buf buf;
};

void aq_out_init(struct aq_out *out, int fd, const char *name);
void aq_out_release(struct aq_out *out); /* does not flush, does not close */
int aq_out_flush(struct aq_out *out);	 /* 0 or the error */

enum { AQ_OUT_FLUSH_BYTES = 256 << 10 };
void aq_out_settle(struct aq_out *out); /* writes when much has gathered or something failed */

/* Raw bytes, text, numbers, and formatted text of the program's own: nothing is escaped. */
static inline void aq_out_put(struct aq_out *out, const void *data, size_t len)
{
	struct aq_buf *b = &out->buf;

	if (len <= b->capacity - b->len && b->len + len < AQ_OUT_FLUSH_BYTES && !b->failed) {
		if (len > 0)
			memcpy(b->data + b->len, data, len);
		b->len += len;
		return;
	}
	aq_buf_put(b, data, len);
	aq_out_settle(out);
}
static inline void aq_out_puts(struct aq_out *out, const char *text)
{
	aq_out_put(out, text, strlen(text));
}
void aq_out_u64(struct aq_out *out, uint64_t value);
void aq_out_i64(struct aq_out *out, int64_t value);
void aq_out_printf(struct aq_out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Foreign bytes, for people. */
void aq_out_text(struct aq_out *out, const void *data, size_t len);
/* Foreign bytes as a JSON string with its quotes; NULL text gives null. */
void aq_out_json(struct aq_out *out, const void *data, size_t len);
void aq_out_json_text(struct aq_out *out, const char *text);
/* Foreign bytes as one CSV cell: escaped as for people, quoted where needed. */
void aq_out_csv(struct aq_out *out, const void *data, size_t len);
/* The same for text that is printable already, as query/render.h makes it. */
void aq_out_csv_printable(struct aq_out *out, const void *data, size_t len);

enum aq_colour { AQ_PLAIN = 0, AQ_BOLD, AQ_DIM, AQ_RED, AQ_GREEN, AQ_YELLOW, AQ_CYAN };
/* The escape sequence where colour is wanted, else "". */
const char *aq_colour(const struct aq_out *out, enum aq_colour colour);
/* True when fd is a terminal that wants colour: NO_COLOR is unset or empty, TERM is not dumb. */
bool aq_colour_wanted(int fd);

/* Appends `"verdict":{…}`: members complete, text, lost, maybe, unknown, filtered, degraded, damaged … */
void aq_out_json_verdict(struct aq_out *out, const struct aq_capture *c, const struct aq_verdict *v);

/* How rows are printed. Without fields, in each format's own default form. */
struct aq_printer {
	struct aq_out *out;
	const struct aq_capture *capture;
	struct aq_field *const *fields; /* compiled, borrowed; NULL: default form */
	size_t field_count;
	/* what the default forms ask for; NULL: left out */
	struct aq_field *container, *container_name, *pod, *ns;
	char *scratch;		    /* rendered text, owned by the printer */
	size_t scratch_size;
	uint64_t second; /* whose text is in second_text: many events share one */
	char second_text[AQ_TIME_TEXT_BYTES];
};

struct aq_printer_ops {
	unsigned needs; /* enum aq_need of the default form */
	void (*begin)(struct aq_printer *p);
	void (*row)(struct aq_printer *p, struct aq_row *row);
	void (*end)(struct aq_printer *p, const struct aq_verdict *verdict);
	/* Counts: the only one, or groups by keys. */
	void (*count)(struct aq_printer *p, uint64_t count, const struct aq_verdict *verdict);
	void (*groups)(struct aq_printer *p, const struct aq_groups *groups, const char *const *names, uint64_t limit,
		       const struct aq_verdict *verdict);
};

extern const struct aq_printer_ops aq_printer_text, aq_printer_ndjson, aq_printer_csv, aq_printer_strace,
	aq_printer_raw;

int aq_printer_init(struct aq_printer *p, struct aq_out *out, const struct aq_capture *c);
void aq_printer_release(struct aq_printer *p);
/* For the default forms of text and NDJSON: containers and pods by name. */
int aq_printer_show_names(struct aq_printer *p, struct aq_err *err);
/* Calls render until its text fits into p->scratch (at most 64 MiB); gives its length. */
#define AQ_RENDER(p, ret_len, call)                                                                                    \
	do {                                                                                                           \
		size_t need_ = (call);                                                                                 \
		if (need_ >= (p)->scratch_size && aq_printer_grow((p), need_ + 1))                                     \
			need_ = (call);                                                                                \
		*(ret_len) = need_ < (p)->scratch_size ? need_ : (p)->scratch_size - 1;                                \
	} while (0)
bool aq_printer_grow(struct aq_printer *p, size_t size);

/* Name of a row's event: "openat", "gap", "syscall_777". buf holds the last. */
const char *aq_row_type(const struct aq_row *row, char buf[32]);
/* Command name of its process; NULL unknown. */
const char *aq_row_proc(const struct aq_row *row);
/* Wall clock of the event, or of a gap's beginning. */
void aq_row_time(struct aq_printer *p, const struct aq_row *row, char text[AQ_TIME_TEXT_BYTES]);
/* True for argument types whose value is an attribute; true when the attribute is an argument of such a type. */
bool aq_is_text_type(enum aq_type t);
bool aq_attr_is_argument(const struct aq_event_schema *schema, uint16_t key);
/* True for fields whose text comes from query/render.h: escaping it again would only double its backslashes. */
bool aq_field_is_printable(const struct aq_field *f);

#endif
