/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila info: what a capture is, what it holds and how complete it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/segment/pin.h"
#include "query/render.h"
#include "replay/cli.h"
#include "replay/info_names.h"

static const char help_text[] =
	"usage: aquila info CAPTURE [--key FILE]… [--format text|json] [-q]\n"
	"\n"
	"Host, kernel, time span, size, policy, how many events of which class and type, the containers and\n"
	"pods with their times and events, and a verdict on completeness.\n"
	"Of an encrypted capture without a key: to which keys it is encrypted, and its size.\n"
	"\n"
	"      --key FILE    a secret key that opens an encrypted capture; may be given again\n"
	"\n"
	"Exit status: 0 complete, 3 something was lost, left out or damaged, or no key opens it, 1 error,\n"
	"2 usage.\n"
	"\n"
	"Examples\n"
	"  aquila info web.aquila\n"
	"  aquila info --format json web.aquila | jq .events\n";

enum { TOP_TYPES = 12 };

struct counts {
	uint64_t by_id[AQ_EVENT_ID_MAX];
	uint64_t by_class[AQ_CLASS_COUNT];
	uint64_t snapshot;  /* made by the recorder itself */
	uint64_t uncounted; /* in chunks that can't be read */
	uint16_t order[AQ_EVENT_ID_MAX];
	unsigned types;
};

static bool is_made(uint32_t id)
{
	return (id >= AQ_EV_snap_begin && id <= AQ_EV_snap_mount) || id == AQ_EV_fact || id == AQ_EV_mark;
}

static void take(struct counts *n, uint32_t id, uint64_t count)
{
	const struct aq_event_schema *schema = aq_schema_event(id);

	n->by_id[id] += count;
	if (is_made(id))
		n->snapshot += count;
	else
		n->by_class[schema != NULL ? schema->cls : AQ_CLASS_ORDINARY] += count;
}

/* By descending count, then by id. */
static void rank(struct counts *n)
{
	for (uint16_t id = 0; id < AQ_EVENT_ID_MAX; id++) {
		unsigned at = n->types;

		if (n->by_id[id] == 0 || is_made(id))
			continue;
		for (; at > 0 && n->by_id[n->order[at - 1]] < n->by_id[id]; at--)
			n->order[at] = n->order[at - 1];
		n->order[at] = id;
		n->types++;
	}
}

/* Only the column of types is read. */
static int count(struct aq_capture *c, struct counts *n, struct aq_err *err)
{
	const struct aq_capture_info *info = aq_capture_info(c);

	for (uint32_t i = 0; i < info->chunk_count; i++) {
		struct aq_chunk *chunk = NULL;
		int r = aq_chunk_load(c, i, AQ_COL_ID, &chunk, err);

		if (r == -ENOMEM)
			return r;
		if (r < 0) {
			const struct aq_chunk_info *ci = aq_capture_chunk(c, i);

			n->uncounted += ci != NULL ? ci->events : 0;
			continue;
		}
		for (uint32_t k = 0; k < chunk->events; k++)
			take(n, chunk->id[k] < AQ_EVENT_ID_MAX ? chunk->id[k] : 0, 1);
		aq_chunk_free(chunk);
	}
	rank(n);
	return 0;
}

static const char *type_name(uint32_t id)
{
	const struct aq_event_schema *schema = aq_schema_event(id);

	return schema != NULL ? schema->name : id == 0 ? "unknown call" : "?";
}

static void size_text(uint64_t bytes, char *buf, size_t size)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	size_t u = 0;

	for (; value >= 1024 && u + 1 < sizeof(units) / sizeof(units[0]); u++)
		value /= 1024;
	snprintf(buf, size, u == 0 ? "%.0f %s" : "%.1f %s", value, units[u]);
}

static void line(struct aq_out *out, const char *name, const char *text)
{
	aq_out_printf(out, "%s%-9s%s ", aq_colour(out, AQ_BOLD), name, aq_colour(out, AQ_PLAIN));
	aq_out_text(out, text, strlen(text));
	aq_out_puts(out, "\n");
}

static uint64_t duration_ns(const struct aq_capture_info *info)
{
	return info->end_ns > info->start_boot_ns ? info->end_ns - info->start_boot_ns : 0;
}

static void put_span(struct aq_out *out, const struct aq_capture *c)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	char start[AQ_TIME_TEXT_BYTES], end[AQ_TIME_TEXT_BYTES], duration[64], text[256];

	aq_time_format(info->start_real_ns, start);
	aq_time_format(aq_capture_real_ns(c, info->end_ns), end);
	aq_render_duration(duration_ns(info), duration, sizeof(duration));
	snprintf(text, sizeof(text), "%s to %s (%s)%s", start, end, duration,
		 info->finished ? "" : ", not closed: the recorder is still running or was killed");
	line(out, "recorded", text);
}

static void put_events(struct aq_out *out, const struct aq_capture_info *info, const struct counts *n)
{
	char text[256], size[32];

	size_text(info->bytes, size, sizeof(size));
	snprintf(text, sizeof(text), "%" PRIu64 " in %" PRIu32 " chunks, %" PRIu32 " segment%s, %s (%.2f bytes/event)",
		 info->events, info->chunk_count, info->segment_count, info->segment_count == 1 ? "" : "s", size,
		 info->events > 0 ? (double)info->bytes / (double)info->events : 0.0);
	line(out, "events", text);
	snprintf(text, sizeof(text),
		 "vital %" PRIu64 ", important %" PRIu64 ", ordinary %" PRIu64 ", bulk %" PRIu64
		 "; snapshot and facts %" PRIu64,
		 n->by_class[0], n->by_class[1], n->by_class[2], n->by_class[3], n->snapshot);
	line(out, "classes", text);
	if (n->uncounted > 0) {
		snprintf(text, sizeof(text), "%" PRIu64 " events in chunks that can't be read", n->uncounted);
		line(out, "", text);
	}
	for (unsigned i = 0; i < n->types && i < TOP_TYPES; i++) {
		snprintf(text, sizeof(text), "%12" PRIu64 "  %s", n->by_id[n->order[i]], type_name(n->order[i]));
		line(out, i == 0 ? "types" : "", text);
	}
	if (n->types > TOP_TYPES) {
		snprintf(text, sizeof(text), "%12s  and %u more", "", n->types - TOP_TYPES);
		line(out, "", text);
	}
}

static struct aq_ledger_row total(const struct aq_capture *c)
{
	struct aq_ledger_row t = { 0 };
	size_t rows;
	const struct aq_ledger_row *ledger = aq_capture_ledger(c, &rows);

	for (size_t i = 0; i < rows; i++) {
		t.produced += ledger[i].produced;
		t.stored += ledger[i].stored;
		t.lost += ledger[i].lost;
		t.policy += ledger[i].policy;
		t.degraded += ledger[i].degraded;
	}
	return t;
}

/* To whom it is encrypted; nothing for one that is not. */
static void put_recipients(struct aq_out *out, const struct aq_capture_info *info)
{
	char text[AQ_FINGERPRINT_TEXT_BYTES];

	for (uint32_t i = 0; i < info->recipient_count; i++) {
		aq_fingerprint_text(info->recipients[i], text);
		line(out, i == 0 ? "for keys" : "", text);
	}
}

static void put_locked_text(struct aq_out *out, const struct aq_capture *c)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	char text[256], size[32], start[AQ_TIME_TEXT_BYTES];

	line(out, "capture", info->path);
	line(out, "state", "encrypted, and no key opens it: what it holds is unknown");
	put_recipients(out, info);
	aq_time_format(info->start_real_ns, start);
	snprintf(text, sizeof(text), "from %s%s", start,
		 info->finished ? "" : "; not closed: the recorder is still running or was killed");
	line(out, "recorded", text);
	size_text(info->bytes, size, sizeof(size));
	snprintf(text, sizeof(text), "%" PRIu64 " blocks in %" PRIu32 " segment%s, %s", info->locked_blocks,
		 info->segment_count, info->segment_count == 1 ? "" : "s", size);
	line(out, "stored", text);
}

/* Pins of the capture's folder; a single file has none. What can't be read is none of them. */
static size_t load_pins(const struct aq_capture *c, struct aq_pin **ret_pins)
{
	int fd = open(aq_capture_info(c)->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t count = 0, bad;

	*ret_pins = NULL;
	if (fd < 0)
		return 0;
	if (aq_pins_load(fd, ret_pins, &count, &bad, NULL) < 0)
		count = 0;
	close(fd);
	return count;
}

static void put_retention(struct aq_out *out, const struct aq_capture *c)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	char from[AQ_TIME_TEXT_BYTES], to[AQ_TIME_TEXT_BYTES], text[512];
	struct aq_pin *pins;
	size_t count = load_pins(c, &pins);

	if (info->removed_segments > 0) {
		aq_time_format(aq_capture_real_ns(c, info->kept_from_ns), from);
		snprintf(text, sizeof(text), "%" PRIu64 " segment%s removed by retention%s%s", info->removed_segments,
			 info->removed_segments == 1 ? "" : "s", info->kept_from_ns ? "; kept from " : "",
			 info->kept_from_ns ? from : "");
		line(out, "retained", text);
	}
	for (size_t i = 0; i < count; i++) {
		aq_time_format(pins[i].from_real_ns, from);
		aq_time_format(pins[i].to_real_ns, to);
		snprintf(text, sizeof(text), "%s  %s to %s  %s", pins[i].id, from, to, pins[i].note);
		line(out, i == 0 ? "pins" : "", text);
	}
	free(pins);
}

static void put_json_retention(struct aq_out *out, const struct aq_capture *c)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	char from[AQ_TIME_TEXT_BYTES], to[AQ_TIME_TEXT_BYTES];
	struct aq_pin *pins;
	size_t count = load_pins(c, &pins);

	aq_out_printf(out, ",\"retention\":%s,\"segments_removed\":%" PRIu64 ",\"pins\":[", info->retention ? "true" : "false",
		      info->removed_segments);
	for (size_t i = 0; i < count; i++) {
		aq_time_format(pins[i].from_real_ns, from);
		aq_time_format(pins[i].to_real_ns, to);
		aq_out_printf(out, "%s{\"id\":\"%s\",\"from\":\"%s\",\"to\":\"%s\",\"note\":", i > 0 ? "," : "", pins[i].id, from, to);
		aq_out_json_text(out, pins[i].note);
		aq_out_puts(out, "}");
	}
	aq_out_puts(out, "]");
	free(pins);
}

static void put_text(struct aq_out *out, const struct aq_capture *c, const struct counts *n, const struct aq_info_names *names)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	struct aq_ledger_row t = total(c);
	char text[1024];

	line(out, "capture", info->path);
	line(out, "host", info->host);
	snprintf(text, sizeof(text), "%s %s, %" PRIu32 " CPUs", info->kernel_release, info->machine, info->cpu_count);
	line(out, "kernel", text);
	put_span(out, c);
	if (info->recording_count > 1) {
		snprintf(text, sizeof(text), "%" PRIu32 " recordings, each continuing the one before; see aquila losses",
			 info->recording_count);
		line(out, "", text);
	}
	if (info->added_segments > 0) {
		snprintf(text, sizeof(text), "%" PRIu32 " segment%s of facts added after the recording", info->added_segments,
			 info->added_segments == 1 ? "" : "s");
		line(out, "enriched", text);
	}
	snprintf(text, sizeof(text), "%s", info->recorder_version);
	line(out, "recorder", text);
	if (info->command[0] != '\0')
		line(out, "command", info->command);
	put_retention(out, c);
	put_events(out, info, n);
	aq_info_names_text(names, out, c);
	snprintf(text, sizeof(text),
		 "produced %" PRIu64 ", stored %" PRIu64 ", lost %" PRIu64 ", left out on purpose %" PRIu64
		 ", texts lost %" PRIu64,
		 t.produced, t.stored, t.lost, t.policy, t.degraded);
	line(out, "ledger", text);
	snprintf(text, sizeof(text), "times to %" PRIu32 " ns, pointers %s",
		 info->time_resolution_ns > 0 ? info->time_resolution_ns : 1, info->pointers_kept ? "kept" : "dropped");
	line(out, "detail", text);
	put_recipients(out, info);
	line(out, "policy", info->policy_json);
	if (*info->derived_json)
		line(out, "made of", info->derived_json);
	line(out, "features", info->features_json);
}

static void member(struct aq_out *out, const char *name, const char *text)
{
	aq_out_printf(out, ",\"%s\":", name);
	aq_out_json_text(out, text);
}

static void put_json_counts(struct aq_out *out, const struct counts *n)
{
	aq_out_puts(out, ",\"classes\":{");
	for (unsigned i = 0; i < AQ_CLASS_COUNT; i++)
		aq_out_printf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", aq_class_name(i), n->by_class[i]);
	aq_out_printf(out, "},\"made_by_recorder\":%" PRIu64 ",\"unreadable_events\":%" PRIu64 ",\"types\":{",
		      n->snapshot, n->uncounted);
	for (unsigned i = 0; i < n->types; i++)
		aq_out_printf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", type_name(n->order[i]),
			      n->by_id[n->order[i]]);
	aq_out_puts(out, "}");
}

static void put_json_totals(struct aq_out *out, const struct aq_capture *c)
{
	struct aq_ledger_row t = total(c);

	aq_out_printf(out,
		      ",\"ledger\":{\"produced\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"lost\":%" PRIu64
		      ",\"policy\":%" PRIu64 ",\"degraded\":%" PRIu64 "}",
		      t.produced, t.stored, t.lost, t.policy, t.degraded);
}

static void put_json_identity(struct aq_out *out, const struct aq_capture_info *info)
{
	char text[AQ_FINGERPRINT_TEXT_BYTES];

	aq_out_puts(out, "{\"path\":");
	aq_out_json_text(out, info->path);
	aq_out_puts(out, ",\"capture_id\":\"");
	for (size_t i = 0; i < sizeof(info->capture_id); i++)
		aq_out_printf(out, "%02x", info->capture_id[i]);
	aq_out_printf(out, "\",\"encrypted\":%s,\"locked\":%s,\"recipients\":[", info->encrypted ? "true" : "false",
		      info->locked ? "true" : "false");
	for (uint32_t i = 0; i < info->recipient_count; i++) {
		aq_fingerprint_text(info->recipients[i], text);
		aq_out_printf(out, "%s\"%s\"", i > 0 ? "," : "", text);
	}
	aq_out_puts(out, "]");
}

static void put_locked_json(struct aq_out *out, const struct aq_capture *c)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	char start[AQ_TIME_TEXT_BYTES];

	aq_time_format(info->start_real_ns, start);
	put_json_identity(out, info);
	aq_out_printf(out,
		      ",\"start\":\"%s\",\"start_boot_ns\":%" PRIu64 ",\"finished\":%s,\"bytes\":%" PRIu64
		      ",\"segments\":%" PRIu32 ",\"blocks\":%" PRIu64 "}\n",
		      start, info->start_boot_ns, info->finished ? "true" : "false", info->bytes, info->segment_count,
		      info->locked_blocks);
}

static void put_json(struct aq_out *out, const struct aq_capture *c, const struct counts *n, const struct aq_info_names *names,
		     const struct aq_verdict *v)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	char start[AQ_TIME_TEXT_BYTES], end[AQ_TIME_TEXT_BYTES];

	aq_time_format(info->start_real_ns, start);
	aq_time_format(aq_capture_real_ns(c, info->end_ns), end);
	put_json_identity(out, info);
	member(out, "host", info->host);
	member(out, "kernel_release", info->kernel_release);
	member(out, "kernel_version", info->kernel_version);
	member(out, "machine", info->machine);
	member(out, "boot_id", info->boot_id);
	member(out, "recorder_version", info->recorder_version);
	member(out, "command", info->command);
	aq_out_printf(out,
		      ",\"cpus\":%" PRIu32 ",\"start\":\"%s\",\"end\":\"%s\",\"duration_ns\":%" PRIu64
		      ",\"start_boot_ns\":%" PRIu64 ",\"end_boot_ns\":%" PRIu64 ",\"finished\":%s",
		      info->cpu_count, start, end, duration_ns(info), info->start_boot_ns, info->end_ns,
		      info->finished ? "true" : "false");
	aq_out_printf(out,
		      ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"bytes_per_event\":%.3f,\"chunks\":%" PRIu32
		      ",\"segments\":%" PRIu32 ",\"recordings\":%" PRIu32 ",\"added_segments\":%" PRIu32 ",\"time_resolution_ns\":%" PRIu32 ",\"pointers_kept\":%s",
		      info->events, info->bytes, info->events > 0 ? (double)info->bytes / (double)info->events : 0.0,
		      info->chunk_count, info->segment_count, info->recording_count, info->added_segments, info->time_resolution_ns,
		      info->pointers_kept ? "true" : "false");
	/* text of the file, so text here: nothing that a file says may break this object */
	member(out, "features_json", info->features_json);
	member(out, "policy_json", info->policy_json);
	member(out, "derived_json", info->derived_json);
	put_json_counts(out, n);
	aq_info_names_json(names, out, c);
	put_json_totals(out, c);
	put_json_retention(out, c);
	aq_out_puts(out, ",");
	aq_out_json_verdict(out, c, v);
	aq_out_puts(out, "}\n");
}

/* What can be said without a key; it is never all. */
static int show_locked(const struct aq_capture *c, const struct aq_options *o)
{
	struct aq_out out;
	int status;

	aq_out_init(&out, STDOUT_FILENO, "standard output");
	if (o->format == AQ_FORMAT_JSON)
		put_locked_json(&out, c);
	else
		put_locked_text(&out, c);
	status = aq_finish_plain(&out, AQ_EXIT_INCOMPLETE);
	aq_out_release(&out);
	if (status != AQ_EXIT_ERROR && !o->quiet)
		fputs("verdict: incomplete: it is encrypted, and no key opens it\n", stderr);
	return status;
}

static int info_command(const struct aq_command *command, const struct aq_options *o)
{
	const struct aq_verdict_question question = { .needs_attrs = true };
	struct counts *n = calloc(1, sizeof(*n));
	struct aq_verdict verdict;
	struct aq_info_names *names = NULL;
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	struct aq_out out;
	int status;

	(void)command;
	if (n == NULL) {
		aq_err_set(&err, -ENOMEM, "out of memory");
		return aq_fail(&err);
	}
	status = aq_open_with(o, true, &c);
	if (status == 0 && aq_capture_info(c)->locked) {
		status = show_locked(c, o);
		aq_capture_close(c);
		free(n);
		return status;
	}
	if (status == 0 && (count(c, n, &err) < 0 || aq_info_names_collect(c, &names, &err) < 0))
		status = aq_fail(&err);
	if (status == 0) {
		aq_verdict_compute(c, &question, &verdict);
		aq_out_init(&out, STDOUT_FILENO, "standard output");
		if (o->format == AQ_FORMAT_JSON)
			put_json(&out, c, n, names, &verdict);
		else
			put_text(&out, c, n, names);
		status = aq_finish(&out, &verdict, o->quiet);
		aq_out_release(&out);
	}
	aq_info_names_free(names);
	aq_capture_close(c);
	free(n);
	return status;
}

const struct aq_command aq_cmd_info = {
	.name = "info",
	.summary = "what a capture is, holds, and how complete it is",
	.help = help_text,
	.options = AQ_OPT_FORMAT | AQ_OPT_KEY | AQ_OPT_QUIET,
	.formats = AQ_FORMAT_TEXT | AQ_FORMAT_JSON,
	.default_format = AQ_FORMAT_TEXT,
	.run = info_command,
};
