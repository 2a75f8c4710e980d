/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subcommands of `aquila` and what they share: opening a capture, saying what went wrong, ending with a verdict.
 */
#ifndef AQ_REPLAY_CLI_H
#define AQ_REPLAY_CLI_H

#include <signal.h>
#include <stdint.h>

#include "format/segment/key.h"
#include "query/verdict.h"
#include "replay/options.h"
#include "replay/output.h"

struct aq_command {
	const char *name;
	const char *summary; /* one line for the overview */
	const char *help;    /* the whole text of --help */
	unsigned options;    /* enum aq_option_bit */
	unsigned formats;    /* enum aq_format; the first of the text is the default */
	enum aq_format default_format;
	int (*run)(const struct aq_command *command, const struct aq_options *options); /* exit status */
	int (*run_raw)(int argc, char **argv);						/* instead: parses for itself */
};

extern const struct aq_command aq_cmd_record, aq_cmd_info, aq_cmd_verify, aq_cmd_losses, aq_cmd_index, aq_cmd_query,
	aq_cmd_tree, aq_cmd_replay, aq_cmd_fields, aq_cmd_keygen, aq_cmd_pin, aq_cmd_extract, aq_cmd_enrich,
	aq_cmd_recompress, aq_cmd_salvage;

/* "aquila: " and the sentence on stderr; gives AQ_EXIT_ERROR. */
int aq_fail(const struct aq_err *err);
/* The same for a wrong command line, with the way to the help; gives AQ_EXIT_USAGE. */
int aq_fail_usage(const char *command, const struct aq_err *err);
/* The same for a wrong filter or field, with the text and a caret under err->offset. */
int aq_fail_expression(const char *command, const char *text, const struct aq_err *err);

/* Compiles the filter and the fields only to say well what is wrong. 0, or AQ_EXIT_USAGE after saying so. */
int aq_check_expressions(const char *command, const char *filter, const char *const *fields, size_t field_count);

/*
 * The keys of all --key files and of the file that AQUILA_KEY_FILE names, of any kind, each command uses what fits. The
 * caller wipes the set, whatever comes back: 0, or an exit status after saying what is wrong.
 */
int aq_load_keys(const struct aq_options *options, struct aq_keys *ret_keys);
/*
 * Opens options->capture with these keys. 0, or an exit status after saying what is wrong; that no key opens an encrypted one
 * too, unless allow_locked.
 */
int aq_open_with(const struct aq_options *options, bool allow_locked, struct aq_capture **ret_capture);
int aq_open(const struct aq_options *options, struct aq_capture **ret_capture); /* allow_locked false */
/* The same, for a question about its window alone: of the rest no more than totals is read. */
int aq_open_window(const struct aq_options *options, struct aq_capture **ret_capture);

/* Ends an answer: flushes out, prints the verdict's line on stderr (unless quiet), gives the exit status. */
int aq_finish(struct aq_out *out, const struct aq_verdict *verdict, bool quiet);
/* Ends an answer without a verdict: flushes out, gives status or what writing it makes of it. */
int aq_finish_plain(struct aq_out *out, int status);

/* For long work: SIGINT and SIGTERM set the flag from now on. */
const volatile sig_atomic_t *aq_stop_on_signals(void);
/* "N of M events" on a terminal's last line, now and then; for those who report progress. The line is cleared by _end. */
void aq_progress_events(void *user, uint64_t events, uint64_t of_events);
void aq_progress_end(void);

#endif
