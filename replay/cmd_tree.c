/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila tree: the processes, who started whom, what each executed and how it ended.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "query/render.h"
#include "query/tree.h"
#include "replay/cli.h"

static const char help_text[] =
	"usage: aquila tree CAPTURE [FILTER] [OPTION…]\n"
	"\n"
	"Shows all processes that were seen, ended ones too: who started whom, when, with what, and how each\n"
	"ended. Processes that had the same pid one after the other are told apart.\n"
	"\n"
	"  FILTER            only processes with a matching event, and their ancestors\n"
	"      --pid N       only this process, its ancestors and descendants\n"
	"      --recorded    only processes that were born or executed something while recording, and their ancestors\n"
	"      --from T      only those that lived in the window: RFC 3339, @SECONDS, -10m (before the end of\n"
	"      --to T        the capture) or +5s (after its start)\n"
	"      --format F    text or json (default: text)\n"
	"      --limit N     the first N processes only\n"
	"      --key FILE    a secret key that opens an encrypted capture; may be given again\n"
	"  -q, --quiet       no verdict on stderr\n"
	"\n"
	"A line: pid, command line, (user id, start, life time, how it ended). Further programs of one\n"
	"process stand below it.\n"
	"\n"
	"Exit status: 0 complete, 3 something may be missing, 1 error, 2 usage.\n"
	"\n"
	"Examples\n"
	"  aquila tree web.aquila --recorded\n"
	"  aquila tree web.aquila --pid 4711\n"
	"  aquila tree web.aquila 'fd.name = /etc/shadow'\n";

enum { INDENT_MAX = 32 };

struct drawing {
	struct aq_out *out;
	const struct aq_capture *capture;
	const struct aq_tree *tree;
	uint8_t *keep;		   /* per node: shown */
	uint8_t *last;		   /* per node: no sibling is shown after it */
	bool open[INDENT_MAX];	   /* per depth: a line goes on downwards */
	struct aq_printer printer; /* for its scratch */
};

/* Parents stand before children, so one walk from the end reaches all ancestors. */
static void select_nodes(struct drawing *d, bool recorded, uint64_t limit)
{
	uint64_t start = aq_capture_info(d->capture)->start_boot_ns, shown = 0;
	const struct aq_tree *t = d->tree;

	for (size_t i = 0; i < t->count; i++) {
		const struct aq_tree_node *n = &t->nodes[i];
		bool active = n->start_ns >= start || (n->flags & (AQ_PROC_INFERRED | AQ_PROC_EXEC_SEEN));

		d->keep[i] = !recorded || active;
	}
	for (size_t i = t->count; i-- > 0;)
		if (d->keep[i] && t->nodes[i].parent >= 0)
			d->keep[t->nodes[i].parent] = 1;
	for (size_t i = 0; limit != 0 && i < t->count; i++)
		if (d->keep[i] && ++shown > limit)
			d->keep[i] = 0;
}

/* seen[i + 1]: a child of node i was shown already; seen[0] for the roots. */
static int find_last(struct drawing *d)
{
	uint8_t *seen = calloc(d->tree->count + 1, 1);

	if (seen == NULL)
		return -ENOMEM;
	for (size_t i = d->tree->count; i-- > 0;) {
		uint8_t *parent = &seen[d->tree->nodes[i].parent + 1];

		if (!d->keep[i])
			continue;
		d->last[i] = !*parent;
		*parent = 1;
	}
	free(seen);
	return 0;
}

static void put_indent(struct drawing *d, uint32_t depth)
{
	uint32_t shown = depth < INDENT_MAX ? depth : INDENT_MAX;

	aq_out_puts(d->out, aq_colour(d->out, AQ_DIM));
	for (uint32_t i = 1; i < shown; i++)
		aq_out_puts(d->out, d->open[i] ? "|  " : "   ");
	if (depth >= INDENT_MAX)
		aq_out_printf(d->out, "(%" PRIu32 " deep) ", depth);
}

static void put_branch(struct drawing *d, const struct aq_tree_node *n, bool last)
{
	put_indent(d, n->depth);
	if (n->depth > 0)
		aq_out_puts(d->out, last ? "`- " : "|- ");
	aq_out_puts(d->out, aq_colour(d->out, AQ_PLAIN));
	if (n->depth < INDENT_MAX)
		d->open[n->depth] = !last;
}

static void put_program(struct drawing *d, const struct aq_tree_exec *e)
{
	size_t len;

	if (e->argv != NULL && e->argv_len > 0) {
		AQ_RENDER(&d->printer, &len,
			  aq_render_argv(e->argv, e->argv_len, d->printer.scratch, d->printer.scratch_size));
		aq_out_put(d->out, d->printer.scratch, len);
	} else if (e->exe != NULL) {
		aq_out_text(d->out, e->exe, strlen(e->exe));
	} else {
		aq_out_puts(d->out, "?");
	}
}

static void put_marks(struct drawing *d, const struct aq_tree_exec *e)
{
	if (e->from_memfd)
		aq_out_puts(d->out, " [from memory]");
	if (e->upper_layer)
		aq_out_puts(d->out, " [not from the image]");
}

static void put_end(struct drawing *d, const struct aq_tree_node *n)
{
	char duration[64] = "";
	const char *name;

	if (n->exit_ns == 0)
		return aq_out_puts(d->out, "not seen to end");
	if (n->start_ns != 0 && n->exit_ns >= n->start_ns) {
		aq_render_duration(n->exit_ns - n->start_ns, duration, sizeof(duration));
		aq_out_printf(d->out, "%s, ", duration);
	}
	if (n->exit_signal == 0)
		return aq_out_printf(d->out, "exit %" PRId32, n->exit_code);
	name = aq_signal_name(n->exit_signal);
	if (name != NULL)
		aq_out_printf(d->out, "killed by %s", name);
	else
		aq_out_printf(d->out, "killed by signal %" PRId32, n->exit_signal);
}

static void put_time(struct drawing *d, uint64_t boot_ns)
{
	char time[AQ_TIME_TEXT_BYTES];

	aq_time_format(aq_capture_real_ns(d->capture, boot_ns), time);
	aq_out_puts(d->out, time);
}

static void put_start(struct drawing *d, const struct aq_tree_node *n)
{
	if (n->start_ns == 0) {
		aq_out_puts(d->out, "start unknown");
	} else if (n->start_ns < aq_capture_info(d->capture)->start_boot_ns) {
		aq_out_puts(d->out, "before the recording");
	} else {
		put_time(d, n->start_ns);
	}
}

/* The first program that it ran itself stands in its line; the rest, and what came before, below. */
static void put_node(struct drawing *d, size_t index)
{
	const struct aq_tree_node *n = &d->tree->nodes[index];

	put_branch(d, n, d->last[index]);
	aq_out_printf(d->out, "%" PRIu32 " %s", n->pid, aq_colour(d->out, AQ_BOLD));
	if (n->exec_kept > 0) {
		put_program(d, &n->execs[0]);
	} else {
		aq_out_puts(d->out, "[");
		aq_out_text(d->out, n->comm != NULL ? n->comm : "?", n->comm != NULL ? strlen(n->comm) : 1);
		aq_out_puts(d->out, "]");
	}
	aq_out_puts(d->out, aq_colour(d->out, AQ_PLAIN));
	if (n->exec_kept > 0)
		put_marks(d, &n->execs[0]);
	if (n->container_id != NULL && n->container_id[0] != '\0') {
		aq_out_puts(d->out, " {");
		aq_out_text(d->out, n->container_id, strnlen(n->container_id, 12));
		aq_out_puts(d->out, "}");
	}
	aq_out_printf(d->out, " %s(", aq_colour(d->out, AQ_DIM));
	if (n->exec_kept > 0 && n->execs[0].uid_known)
		aq_out_printf(d->out, "uid %" PRIu32 ", ", n->execs[0].uid);
	put_start(d, n);
	aq_out_puts(d->out, ", ");
	put_end(d, n);
	aq_out_puts(d->out, n->flags & AQ_PROC_UNCERTAIN ? ", uncertain: events are missing)" : ")");
	aq_out_printf(d->out, "%s\n", aq_colour(d->out, AQ_PLAIN));
	for (uint32_t i = 1; i < n->exec_kept; i++) {
		put_indent(d, n->depth + 1);
		aq_out_printf(d->out, "%s   then %s ", n->children > 0 ? "|" : " ", aq_colour(d->out, AQ_PLAIN));
		put_program(d, &n->execs[i]);
		put_marks(d, &n->execs[i]);
		aq_out_printf(d->out, " %s(", aq_colour(d->out, AQ_DIM));
		put_time(d, n->execs[i].time_ns);
		aq_out_printf(d->out, ")%s\n", aq_colour(d->out, AQ_PLAIN));
	}
	if (n->exec_count > n->exec_kept) {
		put_indent(d, n->depth + 1);
		aq_out_printf(d->out, "    and %" PRIu32 " more programs%s\n", n->exec_count - n->exec_kept,
			      aq_colour(d->out, AQ_PLAIN));
	}
}

static void put_text(struct drawing *d)
{
	for (size_t i = 0; i < d->tree->count; i++)
		if (d->keep[i])
			put_node(d, i);
}

static void json_time(struct drawing *d, const char *name, uint64_t boot_ns)
{
	aq_out_printf(d->out, ",\"%s\":", name);
	if (boot_ns == 0)
		return aq_out_puts(d->out, "null");
	aq_out_puts(d->out, "\"");
	put_time(d, boot_ns);
	aq_out_puts(d->out, "\"");
}

static void json_text(struct drawing *d, const char *name, const char *text)
{
	aq_out_printf(d->out, ",\"%s\":", name);
	aq_out_json_text(d->out, text);
}

static void json_exec(struct drawing *d, const struct aq_tree_exec *e)
{
	aq_out_puts(d->out, "{\"exe\":");
	aq_out_json_text(d->out, e->exe);
	json_time(d, "time", e->time_ns);
	aq_out_puts(d->out, ",\"argv\":");
	if (e->argv == NULL) {
		aq_out_puts(d->out, "null");
	} else {
		aq_out_puts(d->out, "[");
		for (uint32_t at = 0; at < e->argv_len;) {
			size_t n = strnlen(e->argv + at, e->argv_len - at);

			aq_out_puts(d->out, at > 0 ? "," : "");
			aq_out_json(d->out, e->argv + at, n);
			at += (uint32_t)n + 1;
		}
		aq_out_puts(d->out, "]");
	}
	if (e->uid_known)
		aq_out_printf(d->out, ",\"uid\":%" PRIu32, e->uid);
	aq_out_printf(d->out, ",\"from_memfd\":%s,\"upper_layer\":%s}", e->from_memfd ? "true" : "false",
		      e->upper_layer ? "true" : "false");
}

static void json_node(struct drawing *d, size_t index, int64_t parent)
{
	const struct aq_tree_node *n = &d->tree->nodes[index];

	aq_out_printf(d->out, "{\"pid\":%" PRIu32 ",\"ppid\":%" PRIu32 ",\"parent\":", n->pid, n->ppid);
	if (parent >= 0)
		aq_out_printf(d->out, "%" PRId64, parent);
	else
		aq_out_puts(d->out, "null");
	aq_out_printf(d->out, ",\"depth\":%" PRIu32, n->depth);
	json_text(d, "comm", n->comm);
	json_text(d, "cwd", n->cwd);
	json_text(d, "container",
		  n->container_id == NULL      ? NULL
		  : n->container_id[0] != '\0' ? n->container_id
					       : "host");
	json_time(d, "start", n->start_ns);
	json_time(d, "exit", n->exit_ns);
	if (n->exit_ns != 0)
		aq_out_printf(d->out, ",\"exit_code\":%" PRId32 ",\"exit_signal\":%" PRId32, n->exit_code,
			      n->exit_signal);
	aq_out_printf(d->out, ",\"matches\":%s,\"uncertain\":%s,\"exec_count\":%" PRIu32 ",\"execs\":[",
		      n->matches ? "true" : "false", n->flags & AQ_PROC_UNCERTAIN ? "true" : "false", n->exec_count);
	for (uint32_t i = 0; i < n->exec_kept; i++) {
		aq_out_puts(d->out, i > 0 ? "," : "");
		json_exec(d, &n->execs[i]);
	}
	aq_out_puts(d->out, "]}");
}

/* "parent" is a position in this list, so positions are counted anew without the nodes that are not shown. */
static int put_json(struct drawing *d, const struct aq_verdict *verdict)
{
	int64_t *position = malloc((d->tree->count + 1) * sizeof(*position)), next = 0;

	if (position == NULL)
		return -ENOMEM;
	aq_out_puts(d->out, "{\"processes\":[");
	for (size_t i = 0; i < d->tree->count; i++) {
		int64_t parent = d->tree->nodes[i].parent;

		if (!d->keep[i])
			continue;
		position[i] = next++;
		aq_out_puts(d->out, position[i] > 0 ? ",\n" : "\n");
		json_node(d, i, parent >= 0 ? position[parent] : -1);
	}
	aq_out_puts(d->out, "],\n");
	aq_out_json_verdict(d->out, d->capture, verdict);
	aq_out_puts(d->out, "}\n");
	free(position);
	return 0;
}

static int draw(struct drawing *d, const struct aq_options *o, const struct aq_verdict *verdict, struct aq_err *err)
{
	int r = 0;

	d->keep = calloc(d->tree->count + 1, 1);
	d->last = calloc(d->tree->count + 1, 1);
	if (d->keep == NULL || d->last == NULL || aq_printer_init(&d->printer, d->out, d->capture) < 0)
		r = -ENOMEM;
	if (r == 0) {
		select_nodes(d, o->recorded, o->limit);
		r = find_last(d);
	}
	if (r == 0 && o->format == AQ_FORMAT_JSON)
		r = put_json(d, verdict);
	else if (r == 0)
		put_text(d);
	aq_printer_release(&d->printer);
	free(d->keep);
	free(d->last);
	return r < 0 ? aq_err_set(err, r, "out of memory") : 0;
}

static int tree(const struct aq_command *command, const struct aq_options *o)
{
	struct aq_tree_options options = { .filter = o->expr, .pid = o->pid };
	struct aq_verdict verdict = { .complete = true };
	struct aq_capture *c = NULL;
	struct aq_tree *t = NULL;
	struct aq_err err = { 0 };
	int status = aq_check_expressions(command->name, o->expr, NULL, 0);

	if (status != 0 || (status = aq_open(o, &c)) != 0)
		return status;
	if (aq_options_window(o, c, &options.from_ns, &options.to_ns, &err) < 0) {
		status = aq_fail_usage(command->name, &err);
	} else if (aq_tree_new(c, &options, &t, &verdict, &err) < 0) {
		status = aq_fail(&err);
	} else {
		struct aq_out out;
		struct drawing d = { .out = &out, .capture = c, .tree = t };

		aq_out_init(&out, STDOUT_FILENO, "standard output");
		status = draw(&d, o, &verdict, &err) < 0 ? aq_fail(&err) : aq_finish(&out, &verdict, o->quiet);
		aq_out_release(&out);
	}
	aq_tree_free(t);
	aq_capture_close(c);
	return status;
}

const struct aq_command aq_cmd_tree = {
	.name = "tree",
	.summary = "who started whom, with what, and how it ended",
	.help = help_text,
	.options = AQ_OPT_EXPR | AQ_OPT_PID | AQ_OPT_RECORDED | AQ_OPT_FROM | AQ_OPT_UNTIL | AQ_OPT_FORMAT |
		   AQ_OPT_LIMIT | AQ_OPT_KEY | AQ_OPT_QUIET,
	.formats = AQ_FORMAT_TEXT | AQ_FORMAT_JSON,
	.default_format = AQ_FORMAT_TEXT,
	.run = tree,
};
