/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pins: windows of time that retention leaves alone, each a small file in the capture's folder (FORMAT.md, section 16).
 * Anybody who may write there makes them, recorder or not; nothing in them is trusted.
 */
#ifndef AQ_FORMAT_SEGMENT_PIN_H
#define AQ_FORMAT_SEGMENT_PIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/base/err.h"

#pragma GCC visibility push(default) /* what libaquila may export */

enum { AQ_PIN_ID_BYTES = 17, AQ_PIN_NOTE_BYTES = 256, AQ_PIN_FILE_MAX = 1024, AQ_PINS_MAX = 4096 };

struct aq_pin {
	char id[AQ_PIN_ID_BYTES];             /* 16 hexadecimal digits */
	uint64_t from_real_ns, to_real_ns;    /* wall-clock, both inclusive */
	uint64_t made_real_ns;
	char note[AQ_PIN_NOTE_BYTES];         /* one line, may be empty */
};

/* Gives it an id and puts it into the folder, whole and on the disk, or not at all. Control characters of the note become
 * blanks. -ENOSPC also when there are AQ_PINS_MAX. */
int aq_pin_make(int dir_fd, struct aq_pin *pin, struct aq_err *err);
/* -ENOENT: there is none of that id; -EINVAL: it is no id. */
int aq_pin_remove(int dir_fd, const char *id, struct aq_err *err);
/*
 * All pins of a folder in order of from_real_ns; free() the list. Files that make no sense are left out and counted in
 * *ret_bad. -E2BIG: more than AQ_PINS_MAX.
 */
int aq_pins_load(int dir_fd, struct aq_pin **ret_pins, size_t *ret_count, size_t *ret_bad, struct aq_err *err);
/* The text of a pin's file. False when it makes no sense; the id is not in there. */
bool aq_pin_parse(const char *text, size_t bytes, struct aq_pin *ret_pin);

#pragma GCC visibility pop

#endif
