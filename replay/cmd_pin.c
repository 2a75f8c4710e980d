/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila pin: keeps a window of time in a capture whose recorder removes old segments; by hand, or each time a filter
 * matches what is being recorded.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "format/segment/pin.h"
#include "query/query.h"
#include "query/render.h"
#include "replay/cli.h"

static const char help_text[] =
	"usage: aquila pin CAPTURE [--before T] [--after T] [--note TEXT]\n"
	"       aquila pin CAPTURE --when FILTER [--once] [--every T] [--before T] [--after T] [--note TEXT]\n"
	"       aquila pin CAPTURE --list | --remove ID\n"
	"\n"
	"Keeps what was recorded shortly before, and will be shortly after: a recorder that removes old segments\n"
	"(aquilad --keep, --retain-…, --min-free) leaves segments alone that overlap a pin.\n"
	"\n"
	"      --before T     how long before (default: 10m)\n"
	"      --after T      how long after (default: 5m)\n"
	"      --note TEXT    a line to remember it by\n"
	"      --when FILTER  follow the capture while it is recorded, and pin around each event that matches\n"
	"      --once         with --when: end after the first\n"
	"      --every T      with --when: at most one pin in this time (default: 1m)\n"
	"      --list         the pins there are\n"
	"      --remove ID    let go of one\n"
	"\n"
	"Prints the id of each pin. --when ends when the recording does, or at a signal. It sees an event about three\n"
	"seconds after it happened.\n"
	"\n"
	"Exit status: 0 done, 3 --when saw the recording end and pinned nothing, 1 error, 2 usage.\n"
	"\n"
	"Examples\n"
	"  aquila pin flight.aquila --note 'users complain'\n"
	"  aquila pin flight.aquila --when 'evt.type = kill and evt.failed = false' --before 2m --after 1m\n";

static const uint64_t SECOND_NS = 1000000000u;

struct pin_options {
	const char *capture, *note, *when, *remove;
	uint64_t before_ns, after_ns, every_ns;
	bool once, list, help;
};

enum { P_BEFORE = 256, P_AFTER, P_NOTE, P_WHEN, P_ONCE, P_EVERY, P_LIST, P_REMOVE };

static const struct option table[] = {
	{ "before", required_argument, NULL, P_BEFORE },
	{ "after", required_argument, NULL, P_AFTER },
	{ "note", required_argument, NULL, P_NOTE },
	{ "when", required_argument, NULL, P_WHEN },
	{ "once", no_argument, NULL, P_ONCE },
	{ "every", required_argument, NULL, P_EVERY },
	{ "list", no_argument, NULL, P_LIST },
	{ "remove", required_argument, NULL, P_REMOVE },
	{ "help", no_argument, NULL, 'h' },
	{ NULL },
};

static int parse_time(const char *option, const char *text, uint64_t *ret_ns, struct aq_err *err)
{
	struct aq_time_arg time;
	char plus[64];

	snprintf(plus, sizeof(plus), "+%.60s", text);
	if (aq_time_arg_parse(plus, &time, err) < 0 || time.kind != AQ_TIME_AFTER_START)
		return aq_err_set(err, -EINVAL, "%s: '%s' is no time; 30s, 10m and 1h are", option, text);
	*ret_ns = time.ns;
	return 0;
}

static int apply(int opt, struct pin_options *o, struct aq_err *err)
{
	switch (opt) {
	case P_BEFORE:
		return parse_time("--before", optarg, &o->before_ns, err);
	case P_AFTER:
		return parse_time("--after", optarg, &o->after_ns, err);
	case P_EVERY:
		return parse_time("--every", optarg, &o->every_ns, err);
	case P_NOTE:
		if (strlen(optarg) >= AQ_PIN_NOTE_BYTES)
			return aq_err_set(err, -EINVAL, "--note takes at most %d bytes", AQ_PIN_NOTE_BYTES - 1);
		o->note = optarg;
		return 0;
	case P_WHEN:
		o->when = optarg;
		return 0;
	case P_REMOVE:
		o->remove = optarg;
		return 0;
	default:
		o->once = o->once || opt == P_ONCE;
		o->list = o->list || opt == P_LIST;
		o->help = o->help || opt == 'h';
		return 0;
	}
}

static int parse(int argc, char **argv, struct pin_options *o, struct aq_err *err)
{
	int opt;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
		if (opt == ':')
			return aq_err_set(err, -EINVAL, "%s needs a value", argv[optind - 1]);
		if (opt == '?')
			return aq_err_set(err, -EINVAL, "there is no option %s", argv[optind - 1]);
		if (apply(opt, o, err) < 0)
			return -EINVAL;
	}
	if (o->help)
		return 0;
	if (optind >= argc)
		return aq_err_set(err, -EINVAL, "which CAPTURE? Name a folder NAME.aquila");
	if (optind + 1 < argc)
		return aq_err_set(err, -EINVAL, "'%s' is one word too many", argv[optind + 1]);
	if ((o->list != 0) + (o->remove != NULL) + (o->when != NULL) > 1)
		return aq_err_set(err, -EINVAL, "--list, --remove and --when exclude each other");
	if (o->when == NULL && o->once)
		return aq_err_set(err, -EINVAL, "--once needs --when");
	o->capture = argv[optind];
	return 0;
}

static uint64_t now_real_ns(void)
{
	struct timespec t;

	return clock_gettime(CLOCK_REALTIME, &t) < 0 ? 0 : (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static int make(int dir_fd, const struct pin_options *o, uint64_t at_real_ns, struct aq_err *err)
{
	struct aq_pin pin = { .from_real_ns = at_real_ns > o->before_ns ? at_real_ns - o->before_ns : 0,
			      .made_real_ns = now_real_ns() };
	struct aq_out out;
	int r;

	if (__builtin_add_overflow(at_real_ns, o->after_ns, &pin.to_real_ns))
		pin.to_real_ns = UINT64_MAX;
	snprintf(pin.note, sizeof(pin.note), "%s", o->note != NULL ? o->note : o->when != NULL ? o->when : "");
	r = aq_pin_make(dir_fd, &pin, err);
	if (r < 0)
		return r;
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	aq_out_printf(&out, "%s\n", pin.id);
	(void)aq_finish_plain(&out, 0); /* that nobody reads it unpins nothing */
	aq_out_release(&out);
	return 0;
}

static int list(int dir_fd)
{
	char from[AQ_TIME_TEXT_BYTES], to[AQ_TIME_TEXT_BYTES];
	struct aq_err err = { 0 };
	struct aq_pin *pins;
	struct aq_out out;
	size_t count, bad;
	int status;

	if (aq_pins_load(dir_fd, &pins, &count, &bad, &err) < 0)
		return aq_fail(&err);
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	for (size_t i = 0; i < count; i++) {
		aq_time_format(pins[i].from_real_ns, from);
		aq_time_format(pins[i].to_real_ns, to);
		aq_out_printf(&out, "%s  %s to %s  ", pins[i].id, from, to);
		aq_out_text(&out, pins[i].note, strlen(pins[i].note));
		aq_out_puts(&out, "\n");
	}
	if (bad > 0)
		fprintf(stderr, "aquila: %zu pin files make no sense and keep nothing\n", bad);
	status = aq_finish_plain(&out, bad > 0 ? AQ_EXIT_INCOMPLETE : AQ_EXIT_COMPLETE);
	aq_out_release(&out);
	free(pins);
	return status;
}

struct follow {
	const struct pin_options *o;
	int dir_fd;
	struct aq_capture *capture;
	uint64_t seen_ns;      /* events up to here were looked at; boot clock */
	uint64_t pinned_ns;    /* the last pinned event; 0: none */
	unsigned pins;
};

static int on_match(void *user, struct aq_row *row)
{
	struct follow *f = user;
	struct aq_err err = { 0 };
	int r;

	if (row->ev == NULL || (f->pinned_ns != 0 && row->ev->time_ns - f->pinned_ns < f->o->every_ns))
		return 0;
	r = make(f->dir_fd, f->o, aq_capture_real_ns(f->capture, row->ev->time_ns), &err);
	if (r < 0) {
		(void)aq_fail(&err);
		return -ECANCELED;
	}
	f->pinned_ns = row->ev->time_ns;
	f->pins++;
	return f->o->once ? 1 : 0;
}

static int window_of(void *user, const struct aq_capture *c, uint64_t *ret_from_ns, uint64_t *ret_to_ns,
		     struct aq_err *err)
{
	const struct follow *f = user;

	(void)c;
	(void)err;
	*ret_from_ns = f->seen_ns;
	*ret_to_ns = UINT64_MAX;
	return 0;
}

/* What is new in the capture. Events come late by up to a second: the last of them are left for the next look. */
static int look(struct follow *f, bool local, bool *ret_ended, struct aq_err *err)
{
	const struct aq_open_options narrow = { .window = window_of, .user = f };
	struct aq_query_options options = { .filter = f->o->when, .from_ns = f->seen_ns + 1 };
	const struct aq_capture_info *info;
	struct aq_query *q = NULL;
	int r = aq_capture_refresh(&f->capture, local ? &narrow : NULL, err);

	if (r < 0)
		return r;
	info = aq_capture_info(f->capture);
	*ret_ended = info->segment_count > 0 && info->segments[info->segment_count - 1].finished;
	options.to_ns = *ret_ended ? info->end_ns : info->end_ns > SECOND_NS ? info->end_ns - SECOND_NS : 0;
	if (options.to_ns > f->seen_ns) {
		r = aq_query_new(f->capture, &options, &q, err);
		if (r == 0)
			r = aq_query_run(q, on_match, f, err);
		f->seen_ns = options.to_ns;
	}
	aq_query_free(q);
	return r;
}

/* A segment that is removed between being listed and being opened makes a look fail: it is then made again. */
static int follow(int dir_fd, const struct pin_options *o)
{
	const struct timespec pause = { .tv_sec = 1 };
	const struct aq_query_options options = { .filter = o->when };
	struct follow f = { .o = o, .dir_fd = dir_fd };
	struct aq_err err = { 0 };
	bool local = true, ended = false, was_ended = false;
	unsigned missed = 0;
	int r = aq_capture_open(o->capture, &f.capture, &err);

	if (r == 0)
		r = aq_query_is_local(&options, &local, &err);
	if (r == 0)
		f.seen_ns = aq_capture_info(f.capture)->end_ns;
	while (r == 0 && !(ended && was_ended)) {
		was_ended = ended; /* a segment that ends is followed by another one at once, if at all: look twice */
		r = look(&f, local, &ended, &err);
		if (r == -ENOENT && ++missed < 10)
			r = 0;
		else
			missed = 0;
		if (r == 0 && !(ended && was_ended))
			nanosleep(&pause, NULL);
	}
	aq_capture_close(f.capture);
	if (r == -ECANCELED)
		return AQ_EXIT_ERROR;
	if (r < 0)
		return aq_fail(&err);
	return f.pins > 0 ? AQ_EXIT_COMPLETE : AQ_EXIT_INCOMPLETE;
}

static int run(const struct pin_options *o)
{
	int dir_fd = open(o->capture, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	int r;

	if (dir_fd < 0) {
		aq_err_set(&err, -errno, "'%s': %s", o->capture,
			   errno == ENOENT    ? "there is no such capture"
			   : errno == ENOTDIR ? "is no folder: a pin is for a capture that is being recorded"
					      : strerror(errno));
		return aq_fail(&err);
	}
	r = aq_capture_open(o->capture, &c, &err); /* no pins into folders of other things */
	aq_capture_close(c);
	if (r < 0)
		status = aq_fail(&err);
	else if (o->list)
		status = list(dir_fd);
	else if (o->remove != NULL)
		status = aq_pin_remove(dir_fd, o->remove, &err) < 0 ? aq_fail(&err) : AQ_EXIT_COMPLETE;
	else if (o->when != NULL)
		status = follow(dir_fd, o);
	else
		status = make(dir_fd, o, now_real_ns(), &err) < 0 ? aq_fail(&err) : AQ_EXIT_COMPLETE;
	close(dir_fd);
	return status;
}

static int pin(int argc, char **argv)
{
	struct pin_options o = { .before_ns = 600 * SECOND_NS,
				 .after_ns = 300 * SECOND_NS,
				 .every_ns = 60 * SECOND_NS };
	struct aq_err err = { 0 };
	struct aq_out out;
	int status;

	if (parse(argc, argv, &o, &err) < 0)
		return aq_fail_usage("pin", &err);
	if (!o.help) {
		status = o.when != NULL ? aq_check_expressions("pin", o.when, NULL, 0) : 0;
		return status != 0 ? status : run(&o);
	}
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	aq_out_puts(&out, help_text);
	status = aq_finish_plain(&out, AQ_EXIT_COMPLETE);
	aq_out_release(&out);
	return status;
}

const struct aq_command aq_cmd_pin = {
	.name = "pin",
	.summary = "keep the minutes before and after while old segments are removed",
	.help = help_text,
	.run_raw = pin,
};
