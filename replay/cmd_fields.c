/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila fields: what filters and --fields may name, and which events there are.
 */
#include <stdio.h>
#include <unistd.h>

#include "query/fields.h"
#include "replay/cli.h"

static const char help_text[] = "usage: aquila fields [--events] [--format text|json]\n"
				"\n"
				"Lists the fields that filters, --fields and --by know, with their types. With "
				"--events: the events and system calls,\n"
				"with id, class, category and arguments; arguments are the field evt.arg.NAME.\n"
				"\n"
				"Examples\n"
				"  aquila fields | grep '^proc'\n"
				"  aquila fields --events | grep ' openat'\n";

static const char *argument_of(const struct aq_field_info *f)
{
	switch (f->arg) {
	case AQ_FA_INDEX:
		return "[N]";
	case AQ_FA_OPT_INDEX:
		return "[[N]]";
	case AQ_FA_NAME:
		return ".NAME";
	case AQ_FA_KEY:
		return "[KEY]";
	default:
		return "";
	}
}

static void put_field(struct aq_out *out, const struct aq_field_info *f)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", f->name, argument_of(f));
	aq_out_printf(out, "%s%-26s%s %-9s %s\n", aq_colour(out, AQ_BOLD), name, aq_colour(out, AQ_PLAIN),
		      aq_field_type_name(f->type), f->doc);
}

static void put_field_json(struct aq_out *out, const struct aq_field_info *f)
{
	aq_out_puts(out, "{\"name\":");
	aq_out_json_text(out, f->name);
	aq_out_printf(out, ",\"argument\":\"%s\",\"type\":\"%s\",\"many\":%s,\"doc\":", argument_of(f),
		      aq_field_type_name(f->type), f->shape == AQ_FS_MANY ? "true" : "false");
	aq_out_json_text(out, f->doc);
	aq_out_puts(out, "}");
}

static void put_event(struct aq_out *out, const struct aq_event_schema *ev)
{
	aq_out_printf(out, "%5u %-9s %-9s %s%s%s(", ev->id, aq_class_name(ev->cls), aq_category_name(ev->category),
		      aq_colour(out, AQ_BOLD), ev->name, aq_colour(out, AQ_PLAIN));
	for (unsigned i = 0; i < ev->arg_count; i++)
		aq_out_printf(out, "%s%s %s", i > 0 ? ", " : "", ev->args[i].name, aq_type_name(ev->args[i].type));
	aq_out_printf(out, ") %s\n", ev->doc);
}

static void put_event_json(struct aq_out *out, const struct aq_event_schema *ev)
{
	aq_out_printf(
		out, "{\"id\":%u,\"name\":\"%s\",\"class\":\"%s\",\"category\":\"%s\",\"result\":\"%s\",\"args\":[",
		ev->id, ev->name, aq_class_name(ev->cls), aq_category_name(ev->category), aq_type_name(ev->ret_type));
	for (unsigned i = 0; i < ev->arg_count; i++)
		aq_out_printf(out, "%s{\"name\":\"%s\",\"type\":\"%s\"}", i > 0 ? "," : "", ev->args[i].name,
			      aq_type_name(ev->args[i].type));
	aq_out_puts(out, "],\"doc\":");
	aq_out_json_text(out, ev->doc);
	aq_out_puts(out, "}");
}

static int fields(const struct aq_command *command, const struct aq_options *o)
{
	bool json = o->format == AQ_FORMAT_JSON, first = true;
	struct aq_out out;
	int status;

	(void)command;
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	aq_out_puts(&out, json ? "[" : "");
	for (const struct aq_field_info *f = o->events ? NULL : aq_fields_next(NULL); f != NULL;
	     f = aq_fields_next(f)) {
		aq_out_puts(&out, json && !first ? ",\n" : "");
		first = false;
		if (json)
			put_field_json(&out, f);
		else
			put_field(&out, f);
	}
	for (const struct aq_event_schema *ev = o->events ? aq_schema_next(0) : NULL; ev != NULL;
	     ev = aq_schema_next(ev->id)) {
		aq_out_puts(&out, json && !first ? ",\n" : "");
		first = false;
		if (json)
			put_event_json(&out, ev);
		else
			put_event(&out, ev);
	}
	aq_out_puts(&out, json ? "]\n" : "");
	status = aq_finish_plain(&out, AQ_EXIT_COMPLETE);
	aq_out_release(&out);
	return status;
}

const struct aq_command aq_cmd_fields = {
	.name = "fields",
	.summary = "what filters may name; with --events which events there are",
	.help = help_text,
	.options = AQ_OPT_NO_CAPTURE | AQ_OPT_EVENTS | AQ_OPT_FORMAT,
	.formats = AQ_FORMAT_TEXT | AQ_FORMAT_JSON,
	.default_format = AQ_FORMAT_TEXT,
	.run = fields,
};
