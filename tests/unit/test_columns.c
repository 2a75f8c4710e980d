/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * Columns by name and decoded fields hold what was written; and what is not asked for is not read from the file.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "format/segment/capture.h"
#include "format/segment/columns.h"
#include "format/segment/field.h"
#include "format/segment/writer.h"
#include "tests/unit/aq_test.h"

enum { EVENTS = 30000, PATH_BYTES = 200 };

static char folder[] = "/tmp/aquila-columns-XXXXXX", path[64];

static uint64_t rnd(void)
{
	static uint64_t state = 88172645463325252ull;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void remove_capture(void)
{
	char file[400];
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		unlink(file);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
	rmdir(folder);
}

/* Event i: every third an openat with a path of its own, the others reads whose numbers don't compress. */
static bool is_open(uint64_t i)
{
	return i % 3 == 0;
}

static struct aq_capture *capture(void)
{
	static struct aq_capture *c;
	static const struct aq_capture_meta meta = {
		.host = "h", .kernel_release = "6", .kernel_version = "1", .machine = "x86_64", .boot_id = "b", .recorder_version = "0",
		.command = "", .features_json = "{}", .policy_json = "{}", .cpu_count = 4, .start_boot_ns = 1, .start_real_ns = 1,
	};
	const struct aq_writer_options options = { 0 };
	struct aq_capture_writer *w;
	struct aq_err err;
	if (c)
		return c;
	AQ_REQUIRE(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/c.aquila", folder);
	AQ_REQUIRE(aq_capture_writer_new(path, &meta, &options, &w, &err) == 0);
	for (uint64_t i = 0; i < EVENTS; i++) {
		char text[PATH_BYTES + 1];
		struct aq_event ev = { .time_ns = 1000 + i * 100, .pid = 10, .tid = 10 + (uint32_t)(i % 2), .cpu = (uint16_t)(i % 4),
				       .cgroup_id = 77 };
		if (is_open(i)) {
			snprintf(text, sizeof(text), "/f/%0*llu", PATH_BYTES - 3, (unsigned long long)rnd());
			ev.id = AQ_EV_openat;
			ev.args[0] = (uint64_t)-100;
			ev.args[2] = i % 2 ? 0x80000 : 0;
			ev.ret = i % 5 ? (int64_t)(i % 1000) : -2;
			ev.attrs[ev.attr_count++] = (struct aq_attr){ .key = AQ_ATTR_PATH, .len = PATH_BYTES, .data = text };
		} else {
			ev.id = AQ_EV_read;
			ev.args[0] = rnd() % 100000;
			ev.args[2] = rnd();
			ev.ret = (int64_t)(i * 7);
		}
		ev.cls = (uint8_t)aq_schema_event(ev.id)->cls;
		ev.arg_count = (uint8_t)aq_schema_number_count(aq_schema_event(ev.id));
		AQ_REQUIRE(aq_capture_writer_add(w, &ev, &err) == 0);
	}
	AQ_REQUIRE(aq_capture_writer_close(w, &err) == 0);
	aq_capture_writer_free(w);
	AQ_REQUIRE(aq_capture_open(path, &c, &err) == 0);
	AQ_REQUIRE(aq_capture_info(c)->chunk_count == 1);
	return c;
}

static struct aq_columns *load(const char *const *names, size_t count, uint64_t *ret_bytes)
{
	struct aq_columns *columns = NULL;
	struct aq_capture_stats before, after;
	struct aq_err err;
	aq_capture_stats(capture(), &before);
	AQ_REQUIRE(aq_columns_load(capture(), 0, names, count, &columns, &err) == 0);
	aq_capture_stats(capture(), &after);
	if (ret_bytes)
		*ret_bytes = after.read_bytes - before.read_bytes;
	AQ_CHECK_EQ_U64(aq_columns_events(columns), EVENTS);
	AQ_CHECK_EQ_U64(aq_columns_count(columns), count);
	return columns;
}

AQ_TEST(columns_of_every_event)
{
	static const char *const names[] = { "time", "id", "tid", "cpu", "ret", "pid", "cgroup", "abi", "flags" };
	struct aq_columns *columns = load(names, 9, NULL);
	const struct aq_column *column[9];
	unsigned wrong = 0;
	for (size_t k = 0; k < 9; k++) {
		column[k] = aq_columns_get(columns, k);
		AQ_REQUIRE(column[k] && column[k]->rows == EVENTS && !column[k]->positions);
		AQ_CHECK_EQ_STR(column[k]->name, names[k]);
	}
	AQ_CHECK(aq_columns_get(columns, 9) == NULL);
	for (uint32_t row = 0; row < EVENTS; row++) {
		uint64_t i = (column[0]->values[row] - 1000) / 100;
		int64_t ret = !is_open(i) ? (int64_t)(i * 7) : i % 5 ? (int64_t)(i % 1000) : -2;
		wrong += column[1]->values[row] != (is_open(i) ? AQ_EV_openat : AQ_EV_read) || column[2]->values[row] != 10 + i % 2 ||
			 column[3]->values[row] != i % 4 || (int64_t)column[4]->values[row] != ret || column[5]->values[row] != 10 ||
			 column[6]->values[row] != 77 || column[7]->values[row] != AQ_ABI_X86_64 || column[8]->values[row] != 0;
	}
	AQ_CHECK_EQ_U64(wrong, 0);
	AQ_CHECK_EQ_INT(column[4]->kind, AQ_COLUMN_SIGNED);
	aq_columns_free(columns);
}

AQ_TEST(columns_of_one_type)
{
	static const char *const names[] = { "openat.flags", "openat.path", "openat.ret", "time", "mkdir.mode" };
	struct aq_columns *columns = load(names, 5, NULL);
	const struct aq_column *flags = aq_columns_get(columns, 0), *paths = aq_columns_get(columns, 1);
	const struct aq_column *result = aq_columns_get(columns, 2), *time = aq_columns_get(columns, 3);
	struct aq_err err;
	unsigned wrong = 0;
	AQ_REQUIRE(flags->rows == EVENTS / 3 && paths->rows == EVENTS / 3 && result->rows == EVENTS / 3);
	AQ_CHECK_EQ_INT(flags->type, AQ_TYPE_FLAGS);
	AQ_CHECK_EQ_INT(paths->kind, AQ_COLUMN_STRING);
	AQ_CHECK_EQ_U64(aq_columns_get(columns, 4)->rows, 0); /* none was made */
	for (uint32_t row = 0; row < flags->rows; row++) {
		uint64_t i = (time->values[flags->positions[row]] - 1000) / 100;
		const void *data;
		uint32_t len;
		wrong += !is_open(i) || flags->values[row] != (i % 2 ? 0x80000 : 0) ||
			 (int64_t)result->values[row] != (i % 5 ? (int64_t)(i % 1000) : -2);
		wrong += aq_columns_string(columns, paths->values[row], &data, &len, &err) < 0 || len != PATH_BYTES ||
			 memcmp(data, "/f/", 3) != 0;
	}
	AQ_CHECK_EQ_U64(wrong, 0);
	const void *data;
	uint32_t len;
	AQ_CHECK_EQ_INT(aq_columns_string(columns, 0, &data, &len, &err), -EINVAL);
	AQ_CHECK_EQ_INT(aq_columns_string(columns, UINT64_MAX, &data, &len, &err), -EINVAL);
	aq_columns_free(columns);
}

AQ_TEST(only_what_is_asked_for_is_read)
{
	static const char *const one[] = { "id" }, *const ret[] = { "openat.ret" }, *const size[] = { "read.count" };
	static const char *const paths[] = { "openat.path" };
	uint64_t chunk = aq_capture_chunk(capture(), 0)->bytes, id_bytes, ret_bytes, size_bytes, path_bytes;
	const void *data;
	uint32_t len;
	struct aq_err err;
	aq_columns_free(load(one, 1, &id_bytes));
	aq_columns_free(load(ret, 1, &ret_bytes));
	aq_columns_free(load(size, 1, &size_bytes));
	/* 20000 sizes of 8 random bytes each are most of the chunk: only their own column takes them */
	AQ_CHECK(chunk > EVENTS / 3 * 2 * 8);
	AQ_CHECK(size_bytes >= EVENTS / 3 * 2 * 8);
	AQ_CHECK(id_bytes < chunk / 5);
	AQ_CHECK(ret_bytes < chunk / 5);
	/* ids of strings come without the strings: 10000 paths with 8 random bytes each */
	aq_columns_free(load(paths, 1, &path_bytes));
	AQ_CHECK(path_bytes < id_bytes + EVENTS / 3 * 8);
	struct aq_capture *c = NULL; /* one that has no dictionary in memory yet */
	struct aq_columns *columns = NULL;
	struct aq_capture_stats before, after;
	AQ_REQUIRE(aq_capture_open(path, &c, &err) == 0 && aq_columns_load(c, 0, paths, 1, &columns, &err) == 0);
	aq_capture_stats(c, &before);
	AQ_REQUIRE(aq_columns_string(columns, aq_columns_get(columns, 0)->values[0], &data, &len, &err) == 0);
	aq_capture_stats(c, &after);
	AQ_CHECK(after.read_bytes - before.read_bytes > EVENTS / 3 * 6); /* now the dictionary is */
	aq_columns_free(columns);
	aq_capture_close(c);
}

AQ_TEST(a_query_on_numbers_reads_no_attributes)
{
	const struct aq_iter_options without = { .without_attrs = true }, with = { .without_attrs = false };
	struct aq_capture *c = NULL;
	struct aq_capture_stats opened, numbers, all;
	struct aq_event_iter *it;
	struct aq_event ev;
	struct aq_err err;
	AQ_REQUIRE(capture() && aq_capture_open(path, &c, &err) == 0);
	aq_capture_stats(c, &opened);
	AQ_REQUIRE(aq_event_iter_new(c, &without, &it, &err) == 0);
	while (aq_event_iter_next(it, &ev, &err) == 1)
		;
	aq_event_iter_free(it);
	aq_capture_stats(c, &numbers);
	/* the chunk, its header, its padding: not a byte of another block */
	AQ_CHECK(numbers.read_bytes - opened.read_bytes <= aq_capture_chunk(c, 0)->bytes + 256);
	AQ_REQUIRE(aq_event_iter_new(c, &with, &it, &err) == 0);
	while (aq_event_iter_next(it, &ev, &err) == 1)
		;
	aq_event_iter_free(it);
	aq_capture_stats(c, &all);
	AQ_CHECK(all.read_bytes - numbers.read_bytes > numbers.read_bytes - opened.read_bytes + EVENTS / 3 * 6);
	aq_capture_close(c);
}

AQ_TEST(lost_attributes_are_told)
{
	static const char *const names[] = { "openat.path", "openat.ret" }, *const numbers[] = { "openat.ret" };
	const struct aq_block *block = &capture()->refs[0].attrs;
	struct aq_capture *c = NULL;
	struct aq_columns *columns = NULL;
	struct aq_err err;
	uint8_t byte;
	size_t damages;
	off_t at = (off_t)(block->offset + AQ_BLOCK_HEADER_BYTES + block->payload_bytes / 2);
	FILE *file = fopen(capture()->segments[0].path, "r+");
	AQ_REQUIRE(block->kind == AQ_BLOCK_ATTRS && file && fseeko(file, at, SEEK_SET) == 0 && fread(&byte, 1, 1, file) == 1);
	byte ^= 0x10;
	AQ_REQUIRE(fseeko(file, at, SEEK_SET) == 0 && fwrite(&byte, 1, 1, file) == 1 && fflush(file) == 0);
	AQ_REQUIRE(aq_capture_open(path, &c, &err) == 0);
	AQ_REQUIRE(aq_columns_load(c, 0, numbers, 1, &columns, &err) == 0);
	AQ_CHECK(!aq_columns_texts_lost(columns)); /* not asked for, not looked at */
	aq_columns_free(columns);
	AQ_REQUIRE(aq_columns_load(c, 0, names, 2, &columns, &err) == 0);
	AQ_CHECK(aq_columns_texts_lost(columns));
	AQ_CHECK_EQ_U64(aq_columns_get(columns, 0)->values[0], 0);
	AQ_CHECK_EQ_U64(aq_columns_get(columns, 1)->rows, EVENTS / 3);
	aq_columns_free(columns);
	aq_capture_damages(c, &damages);
	AQ_CHECK_EQ_U64(damages, 1);
	aq_capture_close(c);
	byte ^= 0x10; /* as it was, for the others */
	AQ_REQUIRE(fseeko(file, at, SEEK_SET) == 0 && fwrite(&byte, 1, 1, file) == 1 && fclose(file) == 0);
}

AQ_TEST(names_that_do_not_exist)
{
	static const char *const names[] = { "", "colour", "openat", "openat.", ".ret", "openat.colour", "nothing.ret", "proc_exec.ret" };
	struct aq_columns *columns;
	struct aq_err err;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		AQ_CHECK_EQ_INT(aq_columns_load(capture(), 0, &names[i], 1, &columns, &err), -EINVAL);
		AQ_CHECK(strstr(err.text, "there is no") || strstr(err.text, "has no argument"));
	}
	AQ_CHECK_EQ_INT(aq_columns_load(capture(), 1, names, 0, &columns, &err), -EINVAL);
	AQ_REQUIRE(aq_columns_load(capture(), 0, NULL, 0, &columns, &err) == 0);
	aq_columns_free(columns);
	aq_columns_free(NULL);
}

static const char *text_of(const struct aq_event *ev, const char *name)
{
	static char text[256];
	struct aq_event_field field;
	if (aq_event_field_by_name(ev, name, &field) < 0)
		return NULL;
	size_t n = aq_event_field_text(ev, &field, text, sizeof(text));
	AQ_CHECK_EQ_U64(n, strlen(text));
	return text;
}

AQ_TEST(fields_of_an_event)
{
	struct aq_event ev = { .id = AQ_EV_openat, .ret = -2, .arg_count = 4, .args = { (uint64_t)-100, 0, 0x80000, 0 } };
	struct aq_event_field field;
	unsigned count = aq_event_field_count(&ev);
	AQ_CHECK_EQ_INT(aq_event_field(&ev, count, &field), -ENOENT);
	AQ_REQUIRE(aq_event_field(&ev, count - 1, &field) == 0);
	AQ_CHECK_EQ_STR(field.name, "ret");
	AQ_CHECK_EQ_INT(field.kind, AQ_FIELD_RESULT);
	AQ_CHECK_EQ_STR(text_of(&ev, "ret"), "ENOENT");
	AQ_CHECK_EQ_STR(text_of(&ev, "dirfd"), "AT_FDCWD");
	AQ_CHECK_EQ_STR(text_of(&ev, "flags"), "O_CLOEXEC|O_RDONLY");
	AQ_REQUIRE(aq_event_field(&ev, 1, &field) == 0);
	AQ_CHECK_EQ_INT(field.kind, AQ_FIELD_MISSING);
	const char *path_name = field.name;
	ev.attrs[ev.attr_count++] = (struct aq_attr){ .key = AQ_ATTR_PATH, .len = 6, .data = "/a\n\x1b/b" };
	ev.attrs[ev.attr_count++] = (struct aq_attr){ .key = AQ_ATTR_KPATH, .len = 2, .data = "/k" };
	AQ_CHECK_EQ_STR(text_of(&ev, path_name), "/a\\n\\x1b/b");
	AQ_CHECK_EQ_STR(text_of(&ev, aq_attr_name(AQ_ATTR_KPATH)), "/k");
	AQ_CHECK_EQ_U64(aq_event_field_count(&ev), count + 1); /* one filled a place, one came in addition */
	AQ_CHECK(text_of(&ev, "colour") == NULL);
	AQ_REQUIRE(aq_event_field_by_name(&ev, path_name, &field) == 0);
	char small[4];
	AQ_CHECK_EQ_U64(aq_event_field_text(&ev, &field, small, sizeof(small)), 10);
	AQ_CHECK_EQ_STR(small, "/a\\");
	AQ_CHECK_EQ_U64(aq_event_field_text(&ev, &field, NULL, 0), 10);
}

AQ_TEST(fields_that_are_addresses)
{
	static const uint8_t in4[16] = { 2, 0, 1, 187, 192, 0, 2, 7 }, in6[28] = { 10, 0, 0, 80, 0, 0, 0, 0, 0x20, 0x01, 0x0d, 0xb8 };
	static const struct {
		const void *data;
		uint32_t len;
		const char *text;
	} cases[] = {
		{ in4, 16, "192.0.2.7:443" }, { in6, 28, "[2001:db8::]:80" }, { "\1\0/run/x\0", 9, "unix:/run/x" },
		{ "\1\0\0name", 7, "unix:@name" }, { "\1\0", 2, "unix:" }, { "\2", 1, "02" }, { in4, 7, "020001bbc00002" }, { "", 0, "" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct aq_event ev = { .id = AQ_EV_connect, .arg_count = 3, .attr_count = 1 };
		ev.attrs[0] = (struct aq_attr){ .key = AQ_ATTR_SOCKADDR, .len = cases[i].len, .data = cases[i].data };
		AQ_CHECK_EQ_STR(text_of(&ev, "addr"), cases[i].text);
	}
	uint8_t tuple[56] = { 0 };
	memcpy(tuple, in4, 16);
	memcpy(tuple + 28, in6, 28);
	struct aq_event ev = { .id = AQ_EV_connect, .arg_count = 3, .attr_count = 1 };
	ev.attrs[0] = (struct aq_attr){ .key = AQ_ATTR_TUPLE, .len = 56, .data = tuple };
	AQ_CHECK_EQ_STR(text_of(&ev, aq_attr_name(AQ_ATTR_TUPLE)), "192.0.2.7:443->[2001:db8::]:80");
}

AQ_TEST(fields_of_an_unknown_call)
{
	struct aq_event ev = { .id = 0, .flags = AQ_EVF_UNKNOWN_NR, .nr = 9999, .ret = 5, .arg_count = 6, .args = { 1, 255 } };
	AQ_CHECK_EQ_U64(aq_event_field_count(&ev), 7);
	AQ_CHECK_EQ_STR(text_of(&ev, "arg1"), "0xff");
	AQ_CHECK_EQ_STR(text_of(&ev, "ret"), "5");
}

AQ_TEST(the_end)
{
	aq_capture_close(capture());
	remove_capture();
	AQ_CHECK(access(folder, F_OK) != 0);
}

AQ_TEST_MAIN()
