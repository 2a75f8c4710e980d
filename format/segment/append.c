/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at a capture that is to be continued: whose it is, where it ends, what its next numbers are. */
#include "format/segment/append.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/segment/capture.h"

/* The highest number among names of segments. Other entries are counted. */
static int look_at_names(const char *path, uint64_t *ret_number, size_t *ret_others, struct aq_err *err)
{
	DIR *dir = opendir(path);
	if (!dir)
		return aq_err_set(err, -errno, "'%s' can't be continued: %s", path, strerror(errno));
	for (struct dirent *e; (e = readdir(dir));) {
		unsigned long long number;
		int used = 0;
		if (sscanf(e->d_name, "segment-%19llu.aqs%n", &number, &used) == 1 && used && e->d_name[used] == '\0')
			*ret_number = number > *ret_number ? number : *ret_number;
		else if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			(*ret_others)++;
	}
	closedir(dir);
	return 0;
}

static int check_same(const struct aq_capture *c, const struct aq_capture_meta *meta, const struct aq_writer_options *options,
		      struct aq_err *err)
{
	const struct aq_capture_info *info = &c->info;
	uint32_t resolution = options->time_resolution_ns ? options->time_resolution_ns : 1;
	if (!c->header_read)
		return aq_err_set(err, -EBADMSG, "'%s' can't be continued: none of its segments has a readable header", c->path);
	if (!meta->host || strcmp(info->host, meta->host) != 0)
		return aq_err_set(err, -EXDEV, "'%s' can't be continued: it is a capture of host '%.64s', this is '%.64s'",
				  c->path, info->host, meta->host ? meta->host : "");
	if (!meta->boot_id || strcmp(info->boot_id, meta->boot_id) != 0)
		return aq_err_set(err, -EXDEV, "'%s' can't be continued: the host was started again since, and times of two "
				  "boots can't be compared; begin another capture", c->path);
	if (info->time_resolution_ns != resolution)
		return aq_err_set(err, -EINVAL, "'%s' can't be continued with times to %u ns: it has times to %u ns", c->path,
				  resolution, info->time_resolution_ns);
	if (info->pointers_kept != options->keep_pointers)
		return aq_err_set(err, -EINVAL, "'%s' can't be continued: it was recorded %s addresses of buffers", c->path,
				  info->pointers_kept ? "with" : "without");
	return 0;
}

static int keep_offset(void *user, const struct aq_block *block)
{
	*(uint64_t *)user = block->offset;
	return 0;
}

static void step_over(void *user, uint64_t offset, uint64_t bytes, const char *text)
{
	(void)user;
	(void)offset;
	(void)bytes;
	(void)text;
}

/* The chain's value after the last whole block. */
static int read_chain(const struct aq_capture *c, uint8_t ret_chain[AQ_CHAIN_BYTES])
{
	const struct aq_segment *last = &c->segments[c->segment_count - 1];
	uint64_t offset = 0;
	int r = aq_segment_walk(last, keep_offset, step_over, &offset);
	return r < 0 ? r : aq_segment_read(last, ret_chain, AQ_CHAIN_BYTES, offset + AQ_BLOCK_CHAIN_AT);
}

int aq_capture_continue(const char *path, const struct aq_capture_meta *meta, const struct aq_writer_options *options,
			struct aq_continued *ret, struct aq_err *err)
{
	struct aq_continued had = { 0 };
	struct aq_capture *c = NULL;
	size_t others = 0;
	int r = look_at_names(path, &had.segment_number, &others, err);
	if (r < 0)
		return r;
	if (had.segment_number == 0) {
		if (others)
			return aq_err_set(err, -EBADMSG, "'%s' can't be continued: it is no capture, and not empty", path);
		*ret = had;
		return 0;
	}
	r = aq_capture_open(path, &c, err);
	if (r < 0) {
		aq_err_prefix(err, "can't be continued: ");
		return r;
	}
	r = check_same(c, meta, options, err);
	if (r == 0) {
		memcpy(had.capture_id, c->info.capture_id, sizeof(had.capture_id));
		had.recording = c->last_recording + 1;
		had.whole_ns = c->whole_ns;
		r = read_chain(c, had.chain);
		if (r < 0)
			aq_err_set(err, r, "'%s' can't be continued: its end could not be read: %s", path, strerror(-r));
	}
	if (r == 0)
		*ret = had;
	aq_capture_close(c);
	return r;
}
