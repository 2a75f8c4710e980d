/* SPDX-License-Identifier: Apache-2.0 */
/* Saying what went wrong, opening a capture, ending an answer. */
#include "replay/cli.h"

#include <inttypes.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "format/base/text.h"

int aq_fail(const struct aq_err *err)
{
	fprintf(stderr, "aquila: %s\n", err->text);
	return AQ_EXIT_ERROR;
}

int aq_fail_usage(const char *command, const struct aq_err *err)
{
	fprintf(stderr, "aquila %s: %s\nTry: aquila %s --help\n", command, err->text, command);
	return AQ_EXIT_USAGE;
}

/* Columns that escaped text takes: continuation bytes take none. */
static size_t columns(const struct aq_buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += (b->data[i] & 0xc0) != 0x80;
	return n;
}

int aq_fail_expression(const char *command, const char *text, const struct aq_err *err)
{
	enum { BEFORE = 60, AFTER = 50 };
	size_t len = strlen(text), at = err->offset < len ? (size_t)err->offset : len, first, last;
	struct aq_buf head, tail;

	fprintf(stderr, "aquila %s: %s\n", command, err->text);
	if (err->offset == UINT64_MAX)
		return AQ_EXIT_USAGE;
	first = at > BEFORE ? at - BEFORE : 0;
	last = len - at > AFTER ? at + AFTER : len;
	while (first > 0 && first < at && ((unsigned char)text[first] & 0xc0) == 0x80)
		first++;
	while (last < len && ((unsigned char)text[last] & 0xc0) == 0x80)
		last++;
	aq_buf_init(&head, 4096);
	aq_buf_init(&tail, 4096);
	aq_text_escape(&head, text + first, at - first);
	aq_text_escape(&tail, text + at, last - at);
	if (!head.failed && !tail.failed)
		fprintf(stderr, "  %s%.*s%.*s%s\n  %*s^\n", first > 0 ? "…" : "", (int)head.len,
			(const char *)head.data, (int)tail.len, (const char *)tail.data, last < len ? "…" : "",
			(int)(columns(&head) + (first > 0)), "");
	aq_buf_release(&head);
	aq_buf_release(&tail);
	return AQ_EXIT_USAGE;
}

int aq_check_expressions(const char *command, const char *filter, const char *const *fields, size_t field_count)
{
	struct aq_filter *f = NULL;
	struct aq_err err = { .offset = UINT64_MAX };

	if (aq_filter_compile(filter, &f, &err) < 0)
		return aq_fail_expression(command, filter, &err);
	aq_filter_free(f);
	for (size_t i = 0; i < field_count; i++) {
		struct aq_field *field = NULL;

		err.offset = UINT64_MAX;
		if (aq_field_compile(fields[i], &field, &err) < 0)
			return aq_fail_expression(command, fields[i], &err);
		aq_field_free(field);
	}
	return 0;
}

int aq_load_keys(const struct aq_options *options, struct aq_keys *ret_keys)
{
	const char *file = getenv("AQUILA_KEY_FILE");
	struct aq_err err = { 0 };

	ret_keys->count = 0;
	for (size_t i = 0; i < options->key_file_count; i++)
		if (aq_keys_load(ret_keys, options->key_files[i], &err) < 0)
			return aq_fail(&err);
	if (file == NULL || *file == '\0' || aq_keys_load(ret_keys, file, &err) == 0)
		return 0;
	aq_err_prefix(&err, "the environment variable AQUILA_KEY_FILE: ");
	return aq_fail(&err);
}

/* Opens with the keys there are; what else `how` says. */
static int open_how(const struct aq_options *options, struct aq_open_options *how, struct aq_capture **ret_capture)
{
	struct aq_keys keys;
	struct aq_err err = { 0 };
	int status = aq_load_keys(options, &keys);

	how->keys = &keys;
	if (status == 0 && aq_capture_open_with(options->capture, how, ret_capture, &err) < 0) {
		status = aq_fail(&err);
		if (err.code == -ENOKEY)
			fputs("Give the secret key with --key FILE, or name its file in AQUILA_KEY_FILE\n", stderr);
	}
	aq_keys_wipe(&keys);
	return status;
}

int aq_open_with(const struct aq_options *options, bool allow_locked, struct aq_capture **ret_capture)
{
	return open_how(options, &(struct aq_open_options){ .allow_locked = allow_locked }, ret_capture);
}

int aq_open(const struct aq_options *options, struct aq_capture **ret_capture)
{
	return aq_open_with(options, false, ret_capture);
}

/* A little more than what is asked for: with all clocks known, the same time on the wall can be another one on this clock. */
static int window(void *user, const struct aq_capture *c, uint64_t *ret_from_ns, uint64_t *ret_to_ns, struct aq_err *err)
{
	const uint64_t margin_ns = 60ull * 1000000000;
	uint64_t from, to;

	if (aq_options_window(user, c, &from, &to, err) < 0)
		from = to = 0; /* said when the capture is open */
	*ret_from_ns = from > margin_ns ? from - margin_ns : 0;
	*ret_to_ns = to != 0 && to < UINT64_MAX - margin_ns ? to + margin_ns : UINT64_MAX;
	return 0;
}

int aq_open_window(const struct aq_options *options, struct aq_capture **ret_capture)
{
	return open_how(options, &(struct aq_open_options){ .window = window, .user = (void *)options }, ret_capture);
}

/* What a failed write makes of the exit status. A reader that went away ends this program as it ends any filter. */
static int written(struct aq_out *out, int status)
{
	int r = aq_out_flush(out);

	if (r == 0)
		return status;
	if (r == -EPIPE && out->fd == STDOUT_FILENO) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	fprintf(stderr, "aquila: writing to %s: %s\n", out->name, strerror(-r));
	return AQ_EXIT_ERROR;
}

int aq_finish(struct aq_out *out, const struct aq_verdict *verdict, bool quiet)
{
	int status = written(out, aq_verdict_exit(verdict));
	bool colour = aq_colour_wanted(STDERR_FILENO);

	if (status != AQ_EXIT_ERROR && !quiet)
		fprintf(stderr, "%sverdict: %s%s\n", colour ? verdict->complete ? "\033[32m" : "\033[33m" : "",
			verdict->text, colour ? "\033[0m" : "");
	return status;
}

int aq_finish_plain(struct aq_out *out, int status)
{
	return written(out, status);
}

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

const volatile sig_atomic_t *aq_stop_on_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return &stop;
}

void aq_progress_events(void *user, uint64_t events, uint64_t of_events)
{
	static uint64_t shown;

	(void)user;
	if (events - shown < 1000000) /* less than before: another work */
		return;
	shown = events;
	fprintf(stderr, "\r\033[K%" PRIu64 " of %" PRIu64 " events", events, of_events);
}

void aq_progress_end(void)
{
	fputs("\r\033[K", stderr);
}
