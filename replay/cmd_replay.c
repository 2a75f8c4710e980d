/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila replay: the events again, at the speed at which they happened or another.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "replay/cli.h"
#include "replay/pace.h"

static const char help_text[] =
	"usage: aquila replay CAPTURE [FILTER] [OPTION…]\n"
	"\n"
	"Gives the events out again in the order and at the speed in which they happened.\n"
	"\n"
	"What\n"
	"  FILTER            as in `aquila query`\n"
	"      --from T      the window, as in `aquila query`: RFC 3339, @SECONDS, -10m or +5s\n"
	"      --until T\n"
	"      --limit N     stop after N events\n"
	"      --gaps        what was lost is given in its place, as rows of type gap\n"
	"      --all         the recorder's own events too: the snapshot of what existed at the start, facts\n"
	"\n"
	"How and where to\n"
	"      --speed N     1 is as it was (default), 10 ten times faster, 0.5 half as fast, max without waiting\n"
	"      --to WHERE    - standard output (default), unix:PATH a listening stream socket\n"
	"      --format F    ndjson, text or strace (default: ndjson)\n"
	"      --key FILE    a secret key that opens an encrypted capture; may be given again\n"
	"  -q, --quiet       no verdict on stderr\n"
	"\n"
	"No event comes before its time; events that are late catch up. Ctrl-C ends in good order and says where;\n"
	"a second Ctrl-C ends at once.\n"
	"Exit status: 0 complete, 3 something is missing or the replay was stopped, 1 error, 2 usage.\n"
	"\n"
	"Examples\n"
	"  aquila replay web.aquila --speed max --format strace\n"
	"  aquila replay web.aquila 'proc.name = nginx' --speed 10 --to unix:/run/analyser.sock\n";

static volatile sig_atomic_t stop_requested;

static void on_signal(int sig)
{
	(void)sig;
	stop_requested = 1;
}

static void catch_signals(void)
{
	/* the first ends the stream in good order; a second one, when the reader is stuck, ends the program */
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int connect_to(const char *destination, int *ret_fd, struct aq_err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = destination + strlen("unix:");
	int fd, r;

	if (strncmp(destination, "unix:", strlen("unix:")) != 0)
		return aq_err_set(err, -EINVAL, "--to: '%s' is neither - nor unix:PATH", destination);
	if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path))
		return aq_err_set(err, -EINVAL, "--to: a socket's path has 1 to %zu bytes",
				  sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return aq_err_set(err, -errno, "a socket can't be made: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		r = -errno;
		close(fd);
		return aq_err_set(err, r == -EINVAL ? -EIO : r, "connecting to '%s': %s", path, strerror(-r));
	}
	*ret_fd = fd;
	return 0;
}

static const struct aq_printer_ops *printer_of(enum aq_format format)
{
	switch (format) {
	case AQ_FORMAT_TEXT:
		return &aq_printer_text;
	case AQ_FORMAT_STRACE:
		return &aq_printer_strace;
	default:
		return &aq_printer_ndjson;
	}
}

struct replay {
	const struct aq_options *options;
	struct aq_capture *capture;
	struct aq_query *query;
	struct aq_printer printer;
	const struct aq_printer_ops *ops;
	struct aq_pace pace;
	uint64_t events, last_ns;
};

static uint64_t row_time(const struct aq_row *row)
{
	return row->ev != NULL ? row->ev->time_ns : row->gap->first_ns;
}

/* Everything that is due goes out before a pause: a reader sees an event when it happens, not when a buffer is full. */
static bool wait_for(struct replay *r, uint64_t event_ns)
{
	uint64_t now, due;

	if (r->pace.speed_ppm == 0)
		return !stop_requested;
	now = aq_pace_now();
	due = aq_pace_due(&r->pace, event_ns, now);
	if (due <= now)
		return !stop_requested;
	if (aq_out_flush(r->printer.out) < 0)
		return false;
	return aq_pace_sleep(due, &stop_requested);
}

static int stream(struct replay *r, struct aq_verdict *verdict, struct aq_err *err)
{
	struct aq_row *row;
	int rc;

	r->ops->begin(&r->printer);
	while ((rc = aq_query_next(r->query, &row, err)) > 0) {
		if (!wait_for(r, row_time(row)))
			break;
		r->ops->row(&r->printer, row);
		if (r->printer.out->error != 0)
			return 0; /* said at the end */
		r->last_ns = row_time(row);
		r->events++;
	}
	if (rc < 0)
		return rc;
	aq_query_verdict(r->query, verdict);
	if (rc > 0 && stop_requested) {
		char time[AQ_TIME_TEXT_BYTES] = "the beginning", rest[AQ_VERDICT_TEXT_BYTES];

		if (r->events > 0)
			aq_time_format(aq_capture_real_ns(r->capture, r->last_ns), time);
		snprintf(rest, sizeof(rest), "%s", verdict->text);
		snprintf(verdict->text, sizeof(verdict->text),
			 "incomplete: stopped at %s after %" PRIu64 " events%s%.800s", time, r->events,
			 verdict->complete ? "" : "; ", verdict->complete ? "" : rest);
		verdict->complete = false;
	}
	r->ops->end(&r->printer, verdict);
	return 0;
}

static int run(struct replay *r, struct aq_out *out)
{
	struct aq_verdict verdict = { .complete = true };
	struct aq_err err = { 0 };
	int rc = aq_printer_init(&r->printer, out, r->capture);

	if (rc < 0)
		aq_err_set(&err, rc, "out of memory");
	if (rc == 0 && (r->options->format == AQ_FORMAT_NDJSON || r->options->format == AQ_FORMAT_TEXT))
		rc = aq_printer_show_names(&r->printer, &err);
	if (rc == 0)
		rc = stream(r, &verdict, &err);
	if (rc < 0) {
		aq_out_flush(out);
		rc = aq_fail(&err);
	} else {
		rc = aq_finish(out, &verdict, r->options->quiet);
	}
	aq_printer_release(&r->printer);
	return rc;
}

static int replay(const struct aq_command *command, const struct aq_options *o)
{
	struct aq_query_options options = { .filter = o->expr, .limit = o->limit, .gaps = o->gaps, .hidden = o->all };
	struct replay r = { .options = o, .ops = printer_of(o->format), .pace = { .speed_ppm = o->speed_ppm } };
	int fd = STDOUT_FILENO, rc, status = aq_check_expressions(command->name, o->expr, NULL, 0);
	struct aq_err err = { 0 };
	struct aq_out out;

	if (status != 0 || (status = aq_open(o, &r.capture)) != 0)
		return status;
	options.needs = r.ops->needs;
	if (aq_options_window(o, r.capture, &options.from_ns, &options.to_ns, &err) < 0) {
		status = aq_fail_usage(command->name, &err);
	} else if (aq_query_new(r.capture, &options, &r.query, &err) < 0) {
		status = aq_fail(&err);
	} else if (o->destination != NULL && (rc = connect_to(o->destination, &fd, &err)) < 0) {
		status = rc == -EINVAL ? aq_fail_usage(command->name, &err) : aq_fail(&err);
	} else {
		catch_signals();
		aq_out_init(&out, fd, o->destination != NULL ? o->destination : "standard output");
		status = run(&r, &out);
		aq_out_release(&out);
	}
	if (fd != STDOUT_FILENO)
		close(fd);
	aq_query_free(r.query);
	aq_capture_close(r.capture);
	return status;
}

const struct aq_command aq_cmd_replay = {
	.name = "replay",
	.summary = "the events again, at their original speed or another",
	.help = help_text,
	.options = AQ_OPT_EXPR | AQ_OPT_FROM | AQ_OPT_UNTIL | AQ_OPT_DESTINATION | AQ_OPT_FORMAT | AQ_OPT_LIMIT |
		   AQ_OPT_GAPS | AQ_OPT_ALL | AQ_OPT_SPEED | AQ_OPT_KEY | AQ_OPT_QUIET,
	.formats = AQ_FORMAT_TEXT | AQ_FORMAT_NDJSON | AQ_FORMAT_STRACE,
	.default_format = AQ_FORMAT_NDJSON,
	.run = replay,
};
