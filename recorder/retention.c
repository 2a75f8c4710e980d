/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision as a function of a list, and the folder around it. What a segment holds in time is read from the summary
 * in its footer, once; an unfinished one (a recorder was killed) has the time of its file.
 */
#include "recorder/retention.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "format/segment/layout.h"

enum { SEGMENTS_MAX = 1000000 };

struct aq_retention {
	struct aq_retention_limits limits;
	int dir_fd;
	struct aq_retained *known; /* ascending; the last one is read again each time */
	size_t known_count;
};

static bool is_pinned(const struct aq_retained *s, uint64_t first_real_ns, const struct aq_pin *pins, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (pins[i].from_real_ns <= s->last_real_ns && pins[i].to_real_ns >= first_real_ns)
			return true;
	return false;
}

static uint64_t free_wanted(const struct aq_retention_limits *l, const struct aq_disk *disk)
{
	uint64_t part = (uint64_t)((unsigned __int128)disk->bytes * l->free_percent / 100);

	return part > l->free_bytes ? part : l->free_bytes;
}

size_t aq_retention_choose(const struct aq_retention_limits *limits, const struct aq_retained *segments, size_t count,
			   const struct aq_pin *pins, size_t pin_count, const struct aq_disk *disk, uint64_t now_real_ns,
			   bool *remove)
{
	uint64_t total = 0, free_bytes = disk->free_bytes, wanted = free_wanted(limits, disk), begin = 0;
	size_t chosen = 0;

	for (size_t i = 0; i < count; i++)
		total = total > UINT64_MAX - segments[i].bytes ? UINT64_MAX : total + segments[i].bytes;
	for (size_t i = 0; i < count; i++) {
		const struct aq_retained *s = &segments[i];
		bool old = limits->age_ns != 0 && now_real_ns > s->last_real_ns &&
			   now_real_ns - s->last_real_ns > limits->age_ns;
		bool big = limits->total_bytes != 0 && total > limits->total_bytes;
		/* one that does not say when it begins begins where the one before it ends */
		uint64_t first = s->first_real_ns != 0 ? s->first_real_ns : begin;

		begin = s->last_real_ns;
		remove[i] = i + 1 < count && (old || big || free_bytes < wanted) && !is_pinned(s, first, pins, pin_count);
		if (!remove[i])
			continue;
		chosen++;
		total -= s->bytes;
		free_bytes = free_bytes > UINT64_MAX - s->bytes ? UINT64_MAX : free_bytes + s->bytes;
	}
	return chosen;
}

int aq_retention_new(const char *path, const struct aq_retention_limits *limits, struct aq_retention **ret_retention,
		     struct aq_err *err)
{
	struct aq_retention *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	r->limits = *limits;
	r->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir_fd < 0) {
		int code = aq_err_set(err, -errno, "'%s' could not be opened: %s", path, strerror(errno));

		free(r);
		return code;
	}
	*ret_retention = r;
	return 0;
}

void aq_retention_free(struct aq_retention *r)
{
	if (r == NULL)
		return;
	close(r->dir_fd);
	free(r->known);
	free(r);
}

static bool number_of(const char *name, uint64_t *ret_number)
{
	char *end;

	if (strncmp(name, "segment-", 8) != 0 || name[8] < '0' || name[8] > '9')
		return false;
	errno = 0;
	*ret_number = strtoull(name + 8, &end, 10);
	return errno == 0 && strcmp(end, ".aqs") == 0;
}

static void name_of(uint64_t number, char name[64])
{
	snprintf(name, 64, "segment-%06" PRIu64 ".aqs", number);
}

static bool read_summary(int fd, uint64_t bytes, struct aq_footer_summary *ret_summary)
{
	uint8_t data[AQ_FOOTER_SUMMARY_BYTES];
	struct aq_bytes in;
	uint64_t offset;

	if (bytes < AQ_TRAILER_BYTES ||
	    pread(fd, data, AQ_TRAILER_BYTES, (off_t)(bytes - AQ_TRAILER_BYTES)) != (ssize_t)AQ_TRAILER_BYTES)
		return false;
	in = aq_bytes_of(data, AQ_TRAILER_BYTES);
	offset = aq_bytes_u64(&in);
	if (aq_bytes_u64(&in) != AQ_TRAILER_MAGIC || offset > bytes ||
	    pread(fd, data, sizeof(data), (off_t)(offset + AQ_BLOCK_HEADER_BYTES)) != (ssize_t)sizeof(data))
		return false;
	in = aq_bytes_of(data, sizeof(data));
	return aq_footer_summary_read(&in, ret_summary);
}

static int look_at(const struct aq_retention *r, uint64_t number, struct aq_retained *s)
{
	struct aq_footer_summary sum;
	struct stat st;
	char name[64];
	int fd;

	name_of(number, name);
	fd = openat(r->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		if (fd >= 0)
			close(fd);
		return -ENOENT;
	}
	*s = (struct aq_retained){ .number = number, .bytes = (uint64_t)st.st_size };
	s->last_real_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	if (read_summary(fd, s->bytes, &sum) && sum.boot_ns != 0 && sum.first_ns <= sum.last_ns) {
		s->first_real_ns = sum.real_ns + (sum.first_ns - sum.boot_ns);
		s->last_real_ns = sum.real_ns + (sum.last_ns - sum.boot_ns);
	}
	close(fd);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const struct aq_retained *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* The segments that are there now, into r->known. */
static int list_segments(struct aq_retention *r)
{
	struct aq_retained *list = NULL;
	size_t count = 0, k = 0, kept = 0;
	int fd = openat(r->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;

	if (dir == NULL) {
		error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	while (error == 0 && (e = readdir(dir)) != NULL) {
		uint64_t number;
		struct aq_retained *more;

		if (!number_of(e->d_name, &number))
			continue;
		more = count < SEGMENTS_MAX ? realloc(list, (count + 1) * sizeof(*list)) : NULL;
		if (more == NULL) {
			error = -ENOMEM;
			break;
		}
		list = more;
		list[count++] = (struct aq_retained){ .number = number };
	}
	closedir(dir);
	if (count > 0)
		qsort(list, count, sizeof(*list), by_value);
	for (size_t i = 0; error == 0 && i < count; i++) {
		while (k < r->known_count && r->known[k].number < list[i].number)
			k++;
		if (k + 1 < r->known_count && r->known[k].number == list[i].number)
			list[kept++] = r->known[k];
		else if (look_at(r, list[i].number, &list[kept]) == 0)
			kept++;
	}
	free(r->known);
	r->known = error == 0 ? list : NULL;
	r->known_count = error == 0 ? kept : 0;
	if (error < 0)
		free(list);
	return error;
}

static int remove_chosen(struct aq_retention *r, const bool *chosen, size_t *ret_removed, struct aq_err *err)
{
	size_t removed = 0;
	int code = 0;

	for (size_t i = 0; i < r->known_count && code == 0; i++) {
		char name[64];

		if (!chosen[i])
			continue;
		name_of(r->known[i].number, name);
		if (unlinkat(r->dir_fd, name, 0) < 0 && errno != ENOENT)
			code = aq_err_set(err, -errno, "'%s' could not be removed: %s", name, strerror(errno));
		else
			removed++;
	}
	if (removed > 0)
		(void)!fsync(r->dir_fd); /* not every file system can */
	*ret_removed = removed;
	return code;
}

int aq_retention_run(struct aq_retention *r, uint64_t now_real_ns, size_t *ret_removed, struct aq_err *err)
{
	struct aq_disk disk = { .free_bytes = UINT64_MAX };
	struct aq_pin *pins = NULL;
	size_t pin_count = 0, bad;
	struct statvfs fs;
	bool *chosen;
	int code = list_segments(r);

	*ret_removed = 0;
	if (code < 0)
		return aq_err_set(err, code, "the segments can't be listed: %s", strerror(-code));
	if (fstatvfs(r->dir_fd, &fs) == 0)
		disk = (struct aq_disk){ .bytes = (uint64_t)fs.f_blocks * fs.f_frsize,
					 .free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize };
	chosen = calloc(r->known_count + 1, sizeof(*chosen));
	if (chosen == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	if (aq_retention_choose(&r->limits, r->known, r->known_count, NULL, 0, &disk, now_real_ns, chosen) > 0)
		code = aq_pins_load(r->dir_fd, &pins, &pin_count, &bad, err); /* without them nothing goes */
	if (code == 0 && pin_count > 0)
		(void)aq_retention_choose(&r->limits, r->known, r->known_count, pins, pin_count, &disk, now_real_ns,
					  chosen);
	if (code == 0)
		code = remove_chosen(r, chosen, ret_removed, err);
	free(pins);
	free(chosen);
	return code;
}

int aq_retention_pin(struct aq_retention *r, uint64_t now_real_ns, uint64_t before_ns, uint64_t after_ns, const char *note,
		     struct aq_err *err)
{
	struct aq_pin pin = { .from_real_ns = now_real_ns > before_ns ? now_real_ns - before_ns : 0,
			      .made_real_ns = now_real_ns };

	if (__builtin_add_overflow(now_real_ns, after_ns, &pin.to_real_ns))
		pin.to_real_ns = UINT64_MAX;
	snprintf(pin.note, sizeof(pin.note), "%s", note);
	return aq_pin_make(r->dir_fd, &pin, err);
}
