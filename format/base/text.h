/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for people and programs from bytes that an attacker chose, and the words that people type for times, durations
 * and sizes. Pure functions.
 */
#ifndef AQ_FORMAT_BASE_TEXT_H
#define AQ_FORMAT_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "format/base/buf.h"
#include "format/base/err.h"

/*
 * Appends bytes for a terminal: printable ASCII and valid UTF-8 beyond the C1 controls as they are; a backslash doubled,
 * and \n \t \r or \xNN for everything else. Reversible.
 */
void aq_text_escape(struct aq_buf *out, const void *data, size_t n);
/*
 * Appends a JSON string with its quotes. Valid UTF-8 stays; a byte that is not becomes \udcNN (NN: the byte), as
 * Python's surrogateescape has it, so that nothing is lost.
 */
void aq_json_string(struct aq_buf *out, const void *data, size_t n);

enum { AQ_TIME_TEXT_BYTES = 40 };
/* 2026-11-23T20:15:01.123456789Z */
void aq_time_format(uint64_t real_ns, char text[AQ_TIME_TEXT_BYTES]);
/* RFC 3339 with Z or an offset (fraction up to nanoseconds), or @seconds[.fraction]. -EINVAL with a sentence. */
int aq_time_parse(const char *text, uint64_t *ret_real_ns, struct aq_err *err);
/* 10, 10s, 1.5m, 2h, 7d, 250ms, 10us, 5ns; a bare number is seconds. */
int aq_duration_parse(const char *text, uint64_t *ret_ns, struct aq_err *err);
/* 4096, 64K, 64KiB, 2MiB, 1G … (powers of 1024; KB, MB, GB are powers of 1000). */
int aq_size_parse(const char *text, uint64_t *ret_bytes, struct aq_err *err);

#endif
