/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the subcommands share of their command lines: CAPTURE, a filter, a window of time, formats. A command says which
 * options it takes; everything else is a usage error with a sentence.
 */
#ifndef AQ_REPLAY_OPTIONS_H
#define AQ_REPLAY_OPTIONS_H

#include "format/base/err.h"
#include "format/segment/reader.h"

enum aq_option_bit {
	AQ_OPT_FROM = 1 << 0,
	AQ_OPT_UNTIL = 1 << 1, /* --until, and --to where that is no destination */
	AQ_OPT_FORMAT = 1 << 2,
	AQ_OPT_LIMIT = 1 << 3,
	AQ_OPT_FIELDS = 1 << 4,
	AQ_OPT_COUNT = 1 << 5,
	AQ_OPT_BY = 1 << 6,
	AQ_OPT_EXPLAIN = 1 << 7,
	AQ_OPT_GAPS = 1 << 8,
	AQ_OPT_ALL = 1 << 9,
	AQ_OPT_PID = 1 << 10,
	AQ_OPT_RECORDED = 1 << 11,
	AQ_OPT_SPEED = 1 << 12,
	AQ_OPT_DESTINATION = 1 << 13, /* --to -|unix:PATH */
	AQ_OPT_CHECK = 1 << 14,
	AQ_OPT_EVENTS = 1 << 15,
	AQ_OPT_QUIET = 1 << 16,
	AQ_OPT_EXPR = 1 << 17,	     /* a second word is a filter */
	AQ_OPT_NO_CAPTURE = 1 << 18, /* takes no CAPTURE */
	AQ_OPT_KEY = 1 << 24,
	AQ_OPT_PLAIN = 1 << 25,
	AQ_OPT_RAW = 1 << 26,
	AQ_OPT_OUTPUT = 1 << 27,
};

enum aq_format {
	AQ_FORMAT_TEXT = 1,
	AQ_FORMAT_JSON = 2,
	AQ_FORMAT_NDJSON = 4,
	AQ_FORMAT_CSV = 8,
	AQ_FORMAT_STRACE = 16
};

enum aq_time_kind { AQ_TIME_NONE = 0, AQ_TIME_WALL, AQ_TIME_BEFORE_END, AQ_TIME_AFTER_START };

struct aq_time_arg { /* a time as typed, not yet related to a capture */
	enum aq_time_kind kind;
	uint64_t ns;
};

enum { AQ_FIELDS_MAX = 64, AQ_KEY_FILES_MAX = 16 };

struct aq_options { /* all text is borrowed from argv, apart from words */
	const char *capture, *expr;
	struct aq_time_arg from, until;
	enum aq_format format;
	uint64_t limit;		 /* 0: none */
	uint32_t pid;		 /* 0: all */
	uint64_t speed_ppm;	 /* millionths of the original speed; 0: as fast as possible */
	const char *destination; /* NULL: standard output */
	const char *fields[AQ_FIELDS_MAX], *by[AQ_FIELDS_MAX];
	size_t field_count, by_count;
	const char *key_files[AQ_KEY_FILES_MAX];
	size_t key_file_count;
	bool plain;
	const char *output;	 /* NULL: not given */
	bool count, explain, gaps, all, recorded, check, events, quiet, raw, help;
	char *words[2]; /* owned: what fields and by point into */
};

struct aq_command;

/* Reads argv[1…] for the command. -EINVAL with a sentence; release in any case. */
int aq_options_parse(int argc, char **argv, const struct aq_command *command, struct aq_options *ret_options,
		     struct aq_err *err);
void aq_options_release(struct aq_options *o);

/* RFC 3339, @seconds, -10m (before the end of the capture), +5s (after its start). */
int aq_time_arg_parse(const char *text, struct aq_time_arg *ret_time, struct aq_err *err);
/* 1, 0.5, 10, 10x; max gives 0. */
int aq_speed_parse(const char *text, uint64_t *ret_ppm, struct aq_err *err);
/* The window on the capture's boot clock; *ret_to_ns is 0 without an end. -EINVAL when it is empty. */
int aq_options_window(const struct aq_options *o, const struct aq_capture *c, uint64_t *ret_from_ns,
		      uint64_t *ret_to_ns, struct aq_err *err);

#endif
