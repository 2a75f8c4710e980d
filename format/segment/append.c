/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at a capture that is to be continued: whose it is, where it ends, what its next numbers are. */
#include "format/segment/append.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

void aq_alike(const char *boot_id, const char *host, uint32_t time_resolution_ns, bool keep_pointers, uint8_t ret_hash[AQ_ALIKE_BYTES])
{
	static const char tag[] = "aquila alike";
	crypto_generichash_state state;
	uint8_t rest[8] = { (uint8_t)(time_resolution_ns ? time_resolution_ns : 1), 0, 0, 0, keep_pointers };
	for (unsigned i = 1; i < 4; i++)
		rest[i] = (uint8_t)(time_resolution_ns >> 8 * i);
	crypto_generichash_init(&state, NULL, 0, AQ_ALIKE_BYTES);
	crypto_generichash_update(&state, (const uint8_t *)tag, sizeof(tag));
	crypto_generichash_update(&state, (const uint8_t *)boot_id, strlen(boot_id) + 1);
	crypto_generichash_update(&state, (const uint8_t *)host, strlen(host) + 1);
	crypto_generichash_update(&state, rest, sizeof(rest));
	crypto_generichash_final(&state, ret_hash, AQ_ALIKE_BYTES);
}

/* The same without a key. */
static int check_alike(const struct aq_capture *c, const struct aq_capture_meta *meta, const struct aq_writer_options *options,
		       struct aq_err *err)
{
	uint8_t alike[AQ_ALIKE_BYTES];
	if (!c->header_read || !c->alike_known)
		return aq_err_set(err, -EBADMSG, "'%s' can't be continued: its header does not say with what", c->path);
	aq_alike(meta->boot_id ? meta->boot_id : "", meta->host ? meta->host : "", options->time_resolution_ns, options->keep_pointers, alike);
	if (memcmp(alike, c->alike, sizeof(alike)) != 0)
		return aq_err_set(err, -EXDEV, "'%s' can't be continued: it is of another host or boot, or was recorded with another time "
				  "resolution or pointer policy", c->path);
	return 0;
}

/*
 * When the last segment was written to, on the boot clock: of an encrypted capture nobody here knows more. It lies between
 * the recording's start and now, whatever the file says.
 */
static uint64_t written_ns(const struct aq_capture *c, const struct aq_capture_meta *meta)
{
	uint64_t start = c->last_start_ns, now = meta->start_boot_ns, ago;
	struct stat st;
	if (start > now || stat(c->segments[c->segment_count - 1].path, &st) < 0)
		return start < now ? start : now;
	uint64_t at = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	ago = meta->start_real_ns > at ? meta->start_real_ns - at : 0;
	return ago > now - start ? start : now - ago;
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
			bool encrypted, struct aq_continued *ret, struct aq_err *err)
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
	r = aq_capture_open_with(path, &(struct aq_open_options){ .allow_locked = true }, &c, err);
	if (r < 0) {
		aq_err_prefix(err, "can't be continued: ");
		return r;
	}
	if (c->info.encrypted != encrypted)
		r = aq_err_set(err, -EINVAL, c->info.encrypted ? "'%s' can't be continued unencrypted: what is there is encrypted" :
			       "'%s' can't be continued encrypted: what is there is not", path);
	else if (c->info.encrypted)
		r = check_alike(c, meta, options, err);
	else
		r = check_same(c, meta, options, err);
	if (r == 0 && options->addition && !c->info.finished)
		r = aq_err_set(err, -EBADMSG, "'%s' is not finished: nothing can be added to it; salvage it first", path);
	if (r == 0) {
		memcpy(had.capture_id, c->info.capture_id, sizeof(had.capture_id));
		had.recording = c->last_recording + 1;
		had.whole_ns = c->info.encrypted ? written_ns(c, meta) : c->whole_ns;
		r = read_chain(c, had.chain);
		if (r < 0)
			aq_err_set(err, r, "'%s' can't be continued: its end could not be read: %s", path, strerror(-r));
	}
	if (r == 0)
		*ret = had;
	aq_capture_close(c);
	return r;
}
