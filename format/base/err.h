/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentence for a person that goes with a negative errno: which file, where, what was expected.
 * The caller owns the struct; it holds no other memory. NULL is allowed wherever one is taken.
 */
#ifndef AQ_FORMAT_BASE_ERR_H
#define AQ_FORMAT_BASE_ERR_H

#include <stdarg.h>
#include <stdint.h>

#pragma GCC visibility push(default) /* what libaquila may export */

enum { AQ_ERR_TEXT_BYTES = 512 };

struct aq_err {
	int code;                      /* negative errno, 0 when unset */
	uint64_t offset;               /* byte offset in the file (or position in an expression), UINT64_MAX if none */
	char text[AQ_ERR_TEXT_BYTES];  /* one sentence without a final full stop, control characters escaped */
};

/* Sets err (unless NULL) and returns code, so that `return aq_err_set(err, -EINVAL, "…", …);` reads well. */
int aq_err_set(struct aq_err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int aq_err_set_at(struct aq_err *err, int code, uint64_t offset, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Puts words in front of the present text: "'cap.aquila/segment-000001.aqs': " + text. Returns err's code. */
int aq_err_prefix(struct aq_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#pragma GCC visibility pop

#endif
