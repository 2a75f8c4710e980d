/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila enrich: adds names to a capture that was made without them. What is there stays as it is, byte for byte: the
 * facts come into a segment of their own behind it, which says that it was added.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/segment/writer.h"
#include "replay/cli.h"
#include "replay/enrich_pods.h"

static const char help_text[] =
	"usage: aquila enrich CAPTURE --from FILE [-q]\n"
	"\n"
	"Adds names to a capture: of pods and their containers, namespaces and services, from what kubectl prints\n"
	"as JSON. The recording stays as it is, byte for byte; the names come into a segment behind it that says\n"
	"that it was added, with the source import. What the recorder learned itself comes first.\n"
	"\n"
	"      --from FILE   output of kubectl get pods -A -o json (or of get pods,services,namespaces); - is\n"
	"                    standard input\n"
	"  -q, --quiet       say nothing\n"
	"\n"
	"Exit status: 0 done, 1 error (the capture is encrypted, unfinished, or being recorded into), 2 usage.\n"
	"\n"
	"Examples\n"
	"  kubectl get pods -A -o json >pods.json; aquila enrich web.aquila --from pods.json\n";

struct enrich {
	struct aq_capture_writer *writer;
	uint64_t time_ns;
	struct aq_err *err;
};

struct words {
	const char *capture, *from;
	bool quiet, help;
};

static int read_all(const char *path, struct aq_buf *buf, struct aq_err *err)
{
	int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	while (fd >= 0) {
		uint8_t *room = aq_buf_reserve(buf, 1 << 16);

		if (!room)
			break;
		n = read(fd, room, 1 << 16);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		buf->len += (size_t)n;
	}
	int saved = errno;
	if (fd > STDIN_FILENO)
		close(fd);
	if (buf->failed)
		return aq_err_set(err, -EFBIG, "'%s' is larger than %d MiB, or there is no memory for it", path, AQ_ENRICH_INPUT_MAX >> 20);
	return n < 0 ? aq_err_set(err, -saved, "'%s': %s", path, strerror(saved)) : 0;
}

static int add_fact(void *user, const struct aq_fact *fact)
{
	struct enrich *x = user;
	struct aq_event ev = { .time_ns = x->time_ns, .id = AQ_EV_fact, .cls = AQ_CLASS_VITAL, .arg_count = 2, .attr_count = 2 };

	ev.args[0] = fact->valid_from_ns;
	ev.args[1] = fact->valid_to_ns;
	ev.attrs[0] = (struct aq_attr){ .key = AQ_ATTR_NAME, .data = fact->subject, .len = (uint32_t)strlen(fact->subject) };
	ev.attrs[1] = (struct aq_attr){ .key = AQ_ATTR_JSON, .data = fact->json, .len = (uint32_t)fact->json_len };
	return aq_capture_writer_add(x->writer, &ev, x->err);
}

static int count_only(void *user, const struct aq_fact *fact)
{
	(void)user;
	(void)fact;
	return 0;
}

/* Nothing of the recording's end changes: the segment begins and ends there. */
static int begin(const struct words *w, const struct aq_capture *c, struct enrich *x)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	const struct aq_capture_meta meta = {
		.host = info->host, .kernel_release = info->kernel_release, .kernel_version = info->kernel_version,
		.machine = info->machine, .boot_id = info->boot_id, .recorder_version = info->recorder_version,
		.command = "aquila enrich", .features_json = info->features_json, .policy_json = info->policy_json,
		.cpu_count = info->cpu_count, .start_boot_ns = info->end_ns, .start_real_ns = aq_capture_real_ns(c, info->end_ns) };
	const struct aq_writer_options options = { .append = true, .addition = true, .keep_pointers = info->pointers_kept,
						   .time_resolution_ns = info->time_resolution_ns, .retention = info->retention };

	x->time_ns = info->end_ns;
	return aq_capture_writer_new(w->capture, &meta, &options, &x->writer, x->err);
}

static int enrich(const struct words *w, struct aq_capture *c, struct aq_enrich_counts *counts, struct aq_err *err)
{
	struct enrich x = { .err = err };
	struct aq_buf json;
	int r;

	aq_buf_init(&json, AQ_ENRICH_INPUT_MAX);
	r = read_all(w->from, &json, err);
	/* all of it is looked at before anything is written */
	r = r < 0 ? r : aq_enrich_pods(c, (const char *)json.data, json.len, count_only, NULL, counts, err);
	if (r == -EBADMSG)
		aq_err_prefix(err, "'%s': ", w->from);
	r = r < 0 ? r : begin(w, c, &x);
	r = r < 0 ? r : aq_enrich_pods(c, (const char *)json.data, json.len, add_fact, &x, counts, err);
	r = r < 0 ? r : aq_capture_writer_flush(x.writer, err);
	r = r < 0 ? r : aq_capture_writer_set_ledger(x.writer, NULL, 0, x.time_ns, aq_capture_real_ns(c, x.time_ns), err);
	r = r < 0 ? r : aq_capture_writer_close(x.writer, err);
	aq_capture_writer_free(x.writer);
	aq_buf_release(&json);
	return r;
}

static int run(const struct words *w)
{
	const struct aq_options o = { .capture = w->capture };
	struct aq_enrich_counts counts;
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	struct aq_out out;
	int r, status = aq_open_with(&o, true, &c);

	if (status != 0)
		return status;
	if (aq_capture_info(c)->encrypted)
		r = aq_err_set(&err, -EPERM, "'%s' is encrypted: names can't be added to it", w->capture);
	else if (!aq_capture_info(c)->finished)
		r = aq_err_set(&err, -EBADMSG, "'%s' is not finished: nothing can be added to it; make a whole one of it with aquila salvage",
			       w->capture);
	else
		r = enrich(w, c, &counts, &err);
	aq_capture_close(c);
	if (r < 0)
		return aq_fail(&err);
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	if (!w->quiet) {
		aq_out_puts(&out, "'");
		aq_out_text(&out, w->capture, strlen(w->capture));
		aq_out_printf(&out, "': %" PRIu64 " facts added, of %" PRIu64 " pods, %" PRIu64 " namespaces, %" PRIu64 " addresses\n",
			      counts.facts, counts.pods, counts.namespaces, counts.addresses);
	}
	status = aq_finish_plain(&out, AQ_EXIT_COMPLETE);
	aq_out_release(&out);
	return status;
}

static int parse(int argc, char **argv, struct words *w, struct aq_err *err)
{
	static const struct option table[] = { { "from", required_argument, NULL, 'f' }, { "quiet", no_argument, NULL, 'q' },
					       { "help", no_argument, NULL, 'h' }, { NULL } };
	int opt;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":qh", table, NULL)) != -1) {
		if (opt == ':')
			return aq_err_set(err, -EINVAL, "%s needs a value", argv[optind - 1]);
		if (opt == '?')
			return aq_err_set(err, -EINVAL, "there is no option %s", argv[optind - 1]);
		if (opt == 'f')
			w->from = optarg;
		w->quiet = w->quiet || opt == 'q';
		w->help = w->help || opt == 'h';
	}
	if (w->help)
		return 0;
	if (optind >= argc)
		return aq_err_set(err, -EINVAL, "which CAPTURE? Name a folder NAME.aquila");
	if (optind + 1 < argc)
		return aq_err_set(err, -EINVAL, "'%s' is one word too many", argv[optind + 1]);
	w->capture = argv[optind];
	if (!w->from || !*w->from)
		return aq_err_set(err, -EINVAL, "names from where? Give --from FILE");
	return 0;
}

static int enrich_command(int argc, char **argv)
{
	struct words w = { 0 };
	struct aq_err err = { 0 };
	struct aq_out out;
	int status;

	if (parse(argc, argv, &w, &err) < 0)
		return aq_fail_usage("enrich", &err);
	if (!w.help)
		return run(&w);
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	aq_out_puts(&out, help_text);
	status = aq_finish_plain(&out, AQ_EXIT_COMPLETE);
	aq_out_release(&out);
	return status;
}

const struct aq_command aq_cmd_enrich = {
	.name = "enrich",
	.summary = "add names of pods to a capture made without them",
	.help = help_text,
	.run_raw = enrich_command,
};
