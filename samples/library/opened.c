/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opened CAPTURE: reads a capture with libaquila, in both ways that it offers. By columns, which files were opened how
 * often (nothing but two columns and the texts of the result is read); event by event, which programs were started,
 * with all their fields. The README of Aquila says how to build it; CMakeLists.txt beside this does it with CMake.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <aquila/aquila.h>

enum { FILES_MAX = 4096, FILES_SHOWN = 5 };

struct file {
	char name[256];
	uint64_t opened, failed;
};

static int more_first(const void *a, const void *b)
{
	const struct file *x = a, *y = b;
	if (x->opened != y->opened)
		return x->opened < y->opened ? 1 : -1;
	return strcmp(x->name, y->name);
}

static struct file *file_of(struct file *files, size_t *count, const char *name)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp(files[i].name, name) == 0)
			return &files[i];
	if (*count == FILES_MAX)
		return NULL;
	snprintf(files[*count].name, sizeof(files[*count].name), "%s", name);
	return &files[(*count)++];
}

/* One chunk's openat calls: the column of paths holds ids, so that each row costs a look at a number. */
static int count_chunk(struct aq_capture *capture, uint32_t chunk, struct file *files, size_t *count, struct aq_err *err)
{
	static const char *const names[] = { "openat.path", "openat.ret" };
	struct aq_columns *columns;
	int r = aq_columns_load(capture, chunk, names, 2, &columns, err);
	if (r < 0)
		return r == -EBADMSG ? 0 : r; /* damage: the other chunks are whole */
	const struct aq_column *path = aq_columns_get(columns, 0), *result = aq_columns_get(columns, 1);
	for (uint32_t i = 0; i < path->rows && r == 0; i++) {
		const void *text;
		uint32_t len;
		char name[256];
		if (path->values[i] == 0)
			continue;
		r = aq_columns_string(columns, path->values[i], &text, &len, err);
		if (r == -ENODATA) {
			r = 0;
			continue;
		}
		if (r < 0)
			break;
		snprintf(name, sizeof(name), "%.*s", (int)len, (const char *)text);
		struct file *file = file_of(files, count, name);
		if (!file)
			continue;
		file->opened++;
		file->failed += aq_result_is_error((int64_t)result->values[i]);
	}
	aq_columns_free(columns);
	return r;
}

static int opened_files(struct aq_capture *capture, struct aq_err *err)
{
	struct file *files = calloc(FILES_MAX, sizeof(*files));
	size_t count = 0;
	int r = files ? 0 : -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < aq_capture_info(capture)->chunk_count; i++)
		r = count_chunk(capture, i, files, &count, err);
	if (r == 0)
		qsort(files, count, sizeof(*files), more_first);
	for (size_t i = 0; r == 0 && i < count && i < FILES_SHOWN; i++)
		printf("%6" PRIu64 " opened, %" PRIu64 " failed: %s\n", files[i].opened, files[i].failed, files[i].name);
	free(files);
	return r;
}

static int started_programs(struct aq_capture *capture, struct aq_err *err)
{
	uint64_t set[(AQ_EVENT_ID_MAX + 63) / 64] = { 0 };
	const struct aq_iter_options options = { .event_set = set };
	struct aq_event_iter *iter;
	struct aq_event event;
	set[AQ_EV_proc_exec / 64] |= 1ull << (AQ_EV_proc_exec % 64);
	int r = aq_event_iter_new(capture, &options, &iter, err);
	if (r < 0)
		return r;
	while ((r = aq_event_iter_next(iter, &event, err)) > 0) {
		struct aq_event_field field;
		char text[512];
		printf("%s of process %" PRIu32 ":", aq_schema_event(event.id)->name, event.pid);
		for (unsigned i = 0; aq_event_field(&event, i, &field) == 0; i++) {
			if (field.kind == AQ_FIELD_MISSING)
				continue;
			aq_event_field_text(&event, &field, text, sizeof(text));
			printf(" %s=%s", field.name, text);
		}
		putchar('\n');
	}
	aq_event_iter_free(iter);
	return r;
}

int main(int argc, char **argv)
{
	struct aq_capture *capture;
	struct aq_capture_stats stats;
	struct aq_err err = { 0 };
	size_t gaps;
	if (argc != 2) {
		fprintf(stderr, "usage: %s CAPTURE\n", argv[0]);
		return 2;
	}
	int r = aq_capture_open(argv[1], &capture, &err);
	if (r < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	r = opened_files(capture, &err);
	r = r < 0 ? r : started_programs(capture, &err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.text);
	aq_capture_gaps(capture, &gaps);
	aq_capture_stats(capture, &stats);
	printf("%" PRIu64 " events, %zu gaps; %" PRIu64 " bytes read\n", aq_capture_info(capture)->events, gaps,
	       stats.read_bytes);
	aq_capture_close(capture);
	return r < 0 ? 1 : 0;
}
