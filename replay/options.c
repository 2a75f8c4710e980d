/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the command lines of the subcommands. */
#include "replay/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>

#include "format/base/text.h"
#include "replay/cli.h"

enum {
	O_FROM = 256,
	O_UNTIL,
	O_TO,
	O_FORMAT,
	O_LIMIT,
	O_FIELDS,
	O_COUNT,
	O_BY,
	O_EXPLAIN,
	O_GAPS,
	O_ALL,
	O_PID,
	O_RECORDED,
	O_SPEED,
	O_CHECK,
	O_EVENTS,
	O_KEY,
	O_PLAIN,
	O_RAW,
	O_OUTPUT,
};

static const struct {
	unsigned bits; /* given when the command takes any of these */
	struct option option;
} known[] = {
	{ AQ_OPT_FROM, { "from", required_argument, NULL, O_FROM } },
	{ AQ_OPT_UNTIL, { "until", required_argument, NULL, O_UNTIL } },
	{ AQ_OPT_UNTIL | AQ_OPT_DESTINATION, { "to", required_argument, NULL, O_TO } },
	{ AQ_OPT_FORMAT, { "format", required_argument, NULL, O_FORMAT } },
	{ AQ_OPT_LIMIT, { "limit", required_argument, NULL, O_LIMIT } },
	{ AQ_OPT_FIELDS, { "fields", required_argument, NULL, O_FIELDS } },
	{ AQ_OPT_COUNT, { "count", no_argument, NULL, O_COUNT } },
	{ AQ_OPT_BY, { "by", required_argument, NULL, O_BY } },
	{ AQ_OPT_EXPLAIN, { "explain", no_argument, NULL, O_EXPLAIN } },
	{ AQ_OPT_GAPS, { "gaps", no_argument, NULL, O_GAPS } },
	{ AQ_OPT_ALL, { "all", no_argument, NULL, O_ALL } },
	{ AQ_OPT_PID, { "pid", required_argument, NULL, O_PID } },
	{ AQ_OPT_RECORDED, { "recorded", no_argument, NULL, O_RECORDED } },
	{ AQ_OPT_SPEED, { "speed", required_argument, NULL, O_SPEED } },
	{ AQ_OPT_CHECK, { "check", no_argument, NULL, O_CHECK } },
	{ AQ_OPT_EVENTS, { "events", no_argument, NULL, O_EVENTS } },
	{ AQ_OPT_KEY, { "key", required_argument, NULL, O_KEY } },
	{ AQ_OPT_PLAIN, { "plain", no_argument, NULL, O_PLAIN } },
	{ AQ_OPT_RAW, { "raw", no_argument, NULL, O_RAW } },
	{ AQ_OPT_OUTPUT, { "output", required_argument, NULL, O_OUTPUT } },
	{ AQ_OPT_QUIET, { "quiet", no_argument, NULL, 'q' } },
	{ ~0u, { "help", no_argument, NULL, 'h' } },
};
enum { KNOWN_COUNT = sizeof(known) / sizeof(known[0]) };

static const struct {
	enum aq_format format;
	const char *name;
} formats[] = {
	{ AQ_FORMAT_TEXT, "text" }, { AQ_FORMAT_JSON, "json" },	    { AQ_FORMAT_NDJSON, "ndjson" },
	{ AQ_FORMAT_CSV, "csv" },   { AQ_FORMAT_STRACE, "strace" },
};

static int parse_format(const char *text, const struct aq_command *command, enum aq_format *ret_format,
			struct aq_err *err)
{
	char list[64] = "";

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (!(command->formats & formats[i].format))
			continue;
		if (strcmp(text, formats[i].name) == 0) {
			*ret_format = formats[i].format;
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", list[0] != '\0' ? ", " : "",
			 formats[i].name);
	}
	return aq_err_set(err, -EINVAL, "--format: '%s' is not one of %s", text, list);
}

static int parse_number(const char *what, const char *text, uint64_t max, uint64_t *ret_value, struct aq_err *err)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = isdigit((unsigned char)text[0]) ? strtoull(text, &end, 10) : 0;
	if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || value == 0 || value > max)
		return aq_err_set(err, -EINVAL, "%s: '%s' is not a whole number from 1 to %" PRIu64, what, text, max);
	*ret_value = value;
	return 0;
}

int aq_time_arg_parse(const char *text, struct aq_time_arg *ret_time, struct aq_err *err)
{
	struct aq_time_arg t = { AQ_TIME_WALL, 0 };
	int r;

	if (text[0] == '-' || text[0] == '+') {
		t.kind = text[0] == '-' ? AQ_TIME_BEFORE_END : AQ_TIME_AFTER_START;
		r = aq_duration_parse(text + 1, &t.ns, err);
	} else {
		r = aq_time_parse(text, &t.ns, err);
	}
	if (r < 0)
		return aq_err_set(
			err, r,
			"'%s' is no time: give 2026-01-31T12:00:00Z, @SECONDS since 1970, -10m (before the end of the "
			"capture) or +5s (after its start)",
			text);
	*ret_time = t;
	return 0;
}

int aq_speed_parse(const char *text, uint64_t *ret_ppm, struct aq_err *err)
{
	const char *p = text;
	uint64_t ppm = 0, scale = 1000000;

	if (strcmp(text, "max") == 0) {
		*ret_ppm = 0;
		return 0;
	}
	for (; isdigit((unsigned char)*p) && ppm < 1000000; p++)
		ppm = ppm * 10 + (uint64_t)(*p - '0');
	if (p == text || isdigit((unsigned char)*p))
		goto wrong;
	ppm *= scale;
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p); p++)
			ppm += (uint64_t)(*p - '0') * (scale /= 10);
	if (*p == 'x')
		p++;
	if (*p != '\0' || ppm == 0)
		goto wrong;
	*ret_ppm = ppm;
	return 0;
wrong:
	return aq_err_set(err, -EINVAL, "--speed: '%s' is neither max nor a number from 0.000001 to 1000000", text);
}

/* Splits at commas; the words lie in *owned, which the options keep. */
static int split(const char *what, const char *text, char **owned, const char **words, size_t *ret_count,
		 struct aq_err *err)
{
	char *save = NULL;

	if (*owned != NULL)
		return aq_err_set(err, -EINVAL, "%s is given twice: put commas between the fields", what);
	*owned = strdup(text);
	if (*owned == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	for (char *word = strtok_r(*owned, ",", &save); word != NULL; word = strtok_r(NULL, ",", &save)) {
		if (*ret_count == AQ_FIELDS_MAX)
			return aq_err_set(err, -EINVAL, "%s: more than %d fields", what, AQ_FIELDS_MAX);
		while (*word == ' ')
			word++;
		if (*word != '\0')
			words[(*ret_count)++] = word;
	}
	if (*ret_count == 0)
		return aq_err_set(err, -EINVAL, "%s: names no field", what);
	return 0;
}

static int parse_to(const struct aq_command *command, const char *text, struct aq_options *o, struct aq_err *err)
{
	struct aq_time_arg ignored;

	if (!(command->options & AQ_OPT_DESTINATION))
		return aq_time_arg_parse(text, &o->until, err) < 0 ? aq_err_prefix(err, "--to: ") : 0;
	if (strcmp(text, "-") != 0 && aq_time_arg_parse(text, &ignored, NULL) == 0)
		return aq_err_set(err, -EINVAL, "--to says where the events go; the end of the window is --until %s",
				  text);
	o->destination = strcmp(text, "-") == 0 ? NULL : text;
	return 0;
}

static int apply(int opt, const char *text, const struct aq_command *command, struct aq_options *o, struct aq_err *err)
{
	uint64_t value;

	switch (opt) {
	case O_FROM:
		return aq_time_arg_parse(text, &o->from, err) < 0 ? aq_err_prefix(err, "--from: ") : 0;
	case O_UNTIL:
		return aq_time_arg_parse(text, &o->until, err) < 0 ? aq_err_prefix(err, "--until: ") : 0;
	case O_TO:
		return parse_to(command, text, o, err);
	case O_FORMAT:
		return parse_format(text, command, &o->format, err);
	case O_LIMIT:
		return parse_number("--limit", text, UINT64_MAX, &o->limit, err);
	case O_FIELDS:
		return split("--fields", text, &o->words[0], o->fields, &o->field_count, err);
	case O_BY:
		return split("--by", text, &o->words[1], o->by, &o->by_count, err);
	case O_PID:
		if (parse_number("--pid", text, INT32_MAX, &value, err) < 0)
			return -EINVAL;
		o->pid = (uint32_t)value;
		return 0;
	case O_SPEED:
		return aq_speed_parse(text, &o->speed_ppm, err);
	case O_KEY:
		if (o->key_file_count == AQ_KEY_FILES_MAX)
			return aq_err_set(err, -EINVAL, "--key: more than %d files; put the keys into one", AQ_KEY_FILES_MAX);
		o->key_files[o->key_file_count++] = text;
		return 0;
	case O_PLAIN:
		o->plain = true;
		return 0;
	case O_COUNT:
		o->count = true;
		return 0;
	case O_EXPLAIN:
		o->explain = true;
		return 0;
	case O_GAPS:
		o->gaps = true;
		return 0;
	case O_ALL:
		o->all = true;
		return 0;
	case O_RECORDED:
		o->recorded = true;
		return 0;
	case O_CHECK:
		o->check = true;
		return 0;
	case O_EVENTS:
		o->events = true;
		return 0;
	case O_OUTPUT:
	case 'o':
		o->output = text;
		return 0;
	case O_RAW:
		o->raw = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	default:
		o->help = true;
		return 0;
	}
}

static int positional(int argc, char **argv, const struct aq_command *command, struct aq_options *o, struct aq_err *err)
{
	int max = command->options & AQ_OPT_NO_CAPTURE ? 0 : command->options & AQ_OPT_EXPR ? 2 : 1;

	if (argc - optind > max)
		return aq_err_set(err, -EINVAL, "'%s' is one word too many%s", argv[optind + max],
				  max == 2 ? "; put the filter in one pair of quotes" : "");
	if (max == 0)
		return 0;
	if (optind >= argc)
		return aq_err_set(err, -EINVAL, "which CAPTURE? Name a folder NAME.aquila or one segment file");
	o->capture = argv[optind];
	o->expr = optind + 1 < argc ? argv[optind + 1] : NULL;
	if (strcmp(o->capture, "-") == 0)
		return aq_err_set(
			err, -EINVAL,
			"a capture is read at many places, so it can't come from standard input: name its folder");
	return 0;
}

int aq_options_parse(int argc, char **argv, const struct aq_command *command, struct aq_options *ret_options,
		     struct aq_err *err)
{
	struct option table[KNOWN_COUNT + 1];
	size_t n = 0;
	int opt;

	*ret_options = (struct aq_options){ .format = command->default_format, .speed_ppm = 1000000 };
	memset(table, 0, sizeof(table));
	for (size_t i = 0; i < KNOWN_COUNT; i++)
		if (known[i].bits & (command->options | (known[i].bits == ~0u)))
			table[n++] = known[i].option;
	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, command->options & AQ_OPT_OUTPUT ? ":hqo:" : command->options & AQ_OPT_QUIET ? ":hq" : ":h", table, NULL)) != -1) {
		if (opt == ':')
			return aq_err_set(err, -EINVAL, "%s needs a value", argv[optind - 1]);
		if (opt == '?' && optopt != 0 && optopt < 256)
			return aq_err_set(err, -EINVAL, "there is no option -%c", optopt);
		if (opt == '?' && optopt != 0)
			return aq_err_set(err, -EINVAL, "%s takes no value", argv[optind - 1]);
		if (opt == '?')
			return aq_err_set(err, -EINVAL, "there is no option %s", argv[optind - 1]);
		if (apply(opt, optarg, command, ret_options, err) < 0)
			return -EINVAL;
	}
	if (ret_options->help)
		return 0;
	return positional(argc, argv, command, ret_options, err);
}

void aq_options_release(struct aq_options *o)
{
	free(o->words[0]);
	free(o->words[1]);
	o->words[0] = o->words[1] = NULL;
}

/* 0 is "none" in windows: the very first nanosecond becomes the second. */
static uint64_t on_boot_clock(struct aq_time_arg t, const struct aq_capture *c)
{
	const struct aq_capture_info *info = aq_capture_info(c);
	uint64_t ns = 0;

	switch (t.kind) {
	case AQ_TIME_NONE:
		return 0;
	case AQ_TIME_WALL:
		if (info->start_real_ns > info->start_boot_ns && t.ns < info->start_real_ns - info->start_boot_ns)
			ns = 1;
		else
			ns = aq_capture_boot_ns(c, t.ns);
		break;
	case AQ_TIME_BEFORE_END:
		ns = info->end_ns > t.ns ? info->end_ns - t.ns : 1;
		break;
	case AQ_TIME_AFTER_START:
		if (__builtin_add_overflow(info->start_boot_ns, t.ns, &ns))
			ns = UINT64_MAX;
		break;
	}
	return ns != 0 ? ns : 1;
}

int aq_options_window(const struct aq_options *o, const struct aq_capture *c, uint64_t *ret_from_ns,
		      uint64_t *ret_to_ns, struct aq_err *err)
{
	uint64_t from = on_boot_clock(o->from, c), to = on_boot_clock(o->until, c);
	char a[AQ_TIME_TEXT_BYTES], b[AQ_TIME_TEXT_BYTES];

	if (to != 0 && from > to) {
		aq_time_format(aq_capture_real_ns(c, from), a);
		aq_time_format(aq_capture_real_ns(c, to), b);
		return aq_err_set(err, -EINVAL, "the window is empty: it begins at %s and ends at %s", a, b);
	}
	*ret_from_ns = from;
	*ret_to_ns = to;
	return 0;
}
