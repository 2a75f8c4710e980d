/* SPDX-License-Identifier: Apache-2.0 */
/* Follows the chain through the segments of a capture and tells chance from intent. Keys are evidence_keys.c's. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/evidence_internal.h"

enum { FINDINGS_MAX = 1000, SEGMENTS_MAX = 1000000 };

const char *aq_finding_kind_name(enum aq_finding_kind kind)
{
	static const char *const names[] = { "altered", "damaged", "removed", "note" };
	return (unsigned)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

void aq_found(struct aq_check *c, enum aq_finding_kind kind, const char *file, uint64_t offset, const char *format, ...)
{
	struct aq_evidence *e = c->e;
	va_list ap;
	e->altered += kind == AQ_FINDING_ALTERED;
	e->damaged += kind == AQ_FINDING_DAMAGED;
	e->removed += kind == AQ_FINDING_REMOVED;
	if (e->finding_count == FINDINGS_MAX)
		return;
	struct aq_finding *more = realloc(e->findings, (e->finding_count + 1) * sizeof(*more));
	char *name = strdup(file);
	if (more)
		e->findings = more;
	if (!more || !name) {
		free(name);
		c->out_of_memory = true;
		return;
	}
	struct aq_finding *f = &e->findings[e->finding_count++];
	*f = (struct aq_finding){ .kind = kind, .file = name, .offset = offset, .from_real_ns = e->signed_real_ns };
	va_start(ap, format);
	vsnprintf(f->text, sizeof(f->text), format, ap);
	va_end(ap);
}

bool aq_check_load(struct aq_check *c, const struct aq_segment *s, const struct aq_block *block,
		   uint8_t header[AQ_BLOCK_HEADER_BYTES], bool *ret_whole)
{
	aq_buf_reset(&c->buf);
	uint8_t *to = aq_buf_reserve(&c->buf, block->payload_bytes + 1);
	if (!to) {
		c->out_of_memory = true;
		return false;
	}
	if (aq_segment_read(s, header, AQ_BLOCK_HEADER_BYTES, block->offset) < 0 ||
	    aq_segment_read(s, to, block->payload_bytes, block->offset + AQ_BLOCK_HEADER_BYTES) < 0)
		return false;
	c->buf.len = block->payload_bytes;
	*ret_whole = XXH3_64bits(to, c->buf.len) == block->payload_hash;
	return true;
}

/* What of a segment's header the chain needs. False when it is cut. */
static bool read_header(const struct aq_buf *b, uint8_t id[16], uint64_t *ret_number, uint8_t before[AQ_CHAIN_BYTES],
			bool *ret_has_chain, uint8_t replaced[AQ_CHAIN_BYTES], bool *ret_replaced)
{
	struct aq_bytes r = aq_bytes_of(b->data, b->len);
	aq_bytes_take(&r, 16);
	const uint8_t *capture_id = aq_bytes_take(&r, 16);
	*ret_number = aq_bytes_u64(&r);
	aq_bytes_take(&r, 32);
	uint32_t facts = aq_bytes_u32(&r);
	*ret_has_chain = *ret_replaced = false;
	for (uint32_t i = 0; i < facts && !r.failed; i++) {
		uint32_t key = aq_bytes_u32(&r), len = aq_bytes_u32(&r);
		const uint8_t *data = aq_bytes_take(&r, len);
		if (data && key == AQ_FACT_REPLACED && len == AQ_REPLACED_BYTES) {
			memcpy(replaced, data, AQ_CHAIN_BYTES);
			*ret_replaced = true;
		}
		if (!data || key != AQ_FACT_CHAIN || len != AQ_CHAIN_BYTES)
			continue;
		memcpy(before, data, AQ_CHAIN_BYTES);
		*ret_has_chain = true;
	}
	if (r.failed)
		return false;
	memcpy(id, capture_id, 16);
	return true;
}

/* The first block of a segment says what it follows. */
static void take_header(struct aq_check *c, const struct aq_block *block)
{
	const char *file = c->segment->path;
	uint8_t id[16], before[AQ_CHAIN_BYTES];
	uint64_t number;
	bool has_chain;
	c->added = false;
	bool read = block->kind == AQ_BLOCK_SEGMENT &&
		    read_header(&c->buf, id, &number, before, &has_chain, c->replaced_value, &c->replaced);
	if (!read || !has_chain) {
		c->known = false;
		aq_found(c, AQ_FINDING_ALTERED, file, block->offset, "the segment does not say what it follows");
		return;
	}
	if (!c->id_known)
		memcpy(c->capture_id, id, 16);
	c->id_known = true;
	c->foreign = memcmp(id, c->capture_id, 16) != 0;
	if (c->foreign) {
		c->known = false;
		aq_found(c, AQ_FINDING_ALTERED, file, block->offset, "the segment belongs to another capture");
		return;
	}
	/* behind a signed end only: whatever else is there has to be signed */
	c->added = c->buf.data[12] & AQ_SEGMENTF_ADDED && c->e->signatures && c->e->ended;
	c->e->added_segments += c->added;
	if (!c->is_folder)
		c->segment_number = number;
	else if (number != c->segment_number)
		aq_found(c, AQ_FINDING_ALTERED, file, block->offset,
			 "the segment was renumbered: it says that it is number %llu", (unsigned long long)number);
	else if (c->known && memcmp(before, c->value, AQ_CHAIN_BYTES) != 0 &&
		 !(c->behind_replaced && memcmp(before, c->other_value, AQ_CHAIN_BYTES) == 0))
		aq_found(c, AQ_FINDING_ALTERED, file, block->offset, number == 1 ?
			 "the first segment says that another one was before it" :
			 "the segment does not follow the one before it: one of the two was cut, altered or replaced");
	memcpy(c->value, before, AQ_CHAIN_BYTES);
	c->known = true;
}

static void number_jumps(struct aq_check *c, const struct aq_block *block)
{
	unsigned long long here = block->number, due = c->next_block;
	c->known = false;
	if (c->hurt)
		return; /* named already, by its bytes */
	if (here > due)
		aq_found(c, AQ_FINDING_ALTERED, c->segment->path, block->offset,
			 "block %llu stands where block %llu belongs: %llu %s", here, due, here - due,
			 here - due == 1 ? "block was removed or moved" : "blocks were removed or moved");
	else
		aq_found(c, AQ_FINDING_ALTERED, c->segment->path, block->offset,
			 "block %llu stands where block %llu belongs: it was inserted or moved", here, due);
}

static int take_block(void *user, const struct aq_block *block)
{
	static const uint8_t no_value[AQ_CHAIN_BYTES];
	struct aq_check *c = user;
	uint8_t header[AQ_BLOCK_HEADER_BYTES], value[AQ_CHAIN_BYTES];
	bool whole = false;
	if (c->foreign)
		return 0;
	if (!aq_check_load(c, c->segment, block, header, &whole)) {
		c->known = false;
		c->hurt = c->torn = c->hurt_since = true;
		return c->out_of_memory ? -ENOMEM : 0;
	}
	c->e->blocks++;
	const uint8_t *room = header + AQ_BLOCK_CHAIN_AT;
	if (!c->e->chained) {
		if (memcmp(room, no_value, sizeof(no_value)) != 0 || block->kind == AQ_BLOCK_SIGNATURE)
			aq_found(c, AQ_FINDING_ALTERED, c->segment->path, block->offset,
				 "block %llu belongs to a chain that other blocks lack",
				 (unsigned long long)block->number);
		return 0;
	}
	c->torn = false;
	if (block->number != c->next_block)
		number_jumps(c, block);
	else if (block->number == 0 && whole)
		take_header(c, block);
	else if (block->number == 0)
		c->known = false;
	if (c->foreign)
		return 0;
	c->hurt = false;
	c->next_block = block->number + 1;
	aq_chain_next(c->value, header, c->buf.data, c->buf.len, value);
	if (!whole) { /* whoever reads names it; here it must not pass for intent */
		c->hurt_since = true;
		aq_found(c, AQ_FINDING_DAMAGED, c->segment->path, block->offset, "block %llu: its checksum is wrong",
			 (unsigned long long)block->number);
	} else if (c->known && memcmp(value, room, sizeof(value)) != 0) {
		aq_found(c, AQ_FINDING_ALTERED, c->segment->path, block->offset,
			 "the chain breaks at block %llu: it, or what was before it, was altered",
			 (unsigned long long)block->number);
	}
	if (whole && block->kind == AQ_BLOCK_SIGNATURE) {
		if (c->buf.len == AQ_STATEMENT_BYTES)
			aq_check_statement(c, c->buf.data, block);
		else
			aq_found(c, AQ_FINDING_ALTERED, c->segment->path, block->offset, "block %llu is no signature",
				 (unsigned long long)block->number);
	} else if (c->added) {
		c->e->added_blocks++;
	} else {
		c->e->tail_blocks++;
		c->e->tail_bytes += AQ_BLOCK_HEADER_BYTES + block->payload_bytes;
	}
	memcpy(c->value, room, sizeof(c->value));
	c->known = true;
	c->footer_seen = c->footer_seen || block->kind == AQ_BLOCK_FOOTER;
	aq_check_carried(c, block);
	return c->out_of_memory ? -ENOMEM : 0;
}

static void take_damage(void *user, uint64_t offset, uint64_t bytes, const char *text)
{
	struct aq_check *c = user;
	if (!bytes || c->foreign) /* without bytes it is about numbers: the chain tells that better */
		return;
	c->hurt = c->torn = c->hurt_since = true;
	if (c->e->chained)
		aq_found(c, AQ_FINDING_DAMAGED, c->segment->path, offset, "%s", text);
}

/*
 * A segment that was written again says what was there: the chain goes on behind that, and the manifest is about that.
 * It proves nothing, so that it must not stand where signatures prove something: then it is an exchanged one.
 */
static void take_replaced(struct aq_check *c, const struct aq_manifest_ref *ref)
{
	const char *file = c->segment->path;
	c->replaced_segments++;
	if (c->e->signatures || c->manifest.carried_count)
		aq_found(c, AQ_FINDING_ALTERED, file, 0,
			 "the segment was written again although the capture is signed");
	else if (ref && memcmp(ref->entry.chain, c->replaced_value, AQ_CHAIN_BYTES) != 0)
		aq_found(c, AQ_FINDING_ALTERED, file, 0, "the segment replaced another one than the manifest lists");
	else
		aq_found(c, AQ_FINDING_NOTE, file, 0,
			 "the segment was written again in its place: that nothing else changed "
			 "can't be proven");
	memcpy(c->other_value, c->value, AQ_CHAIN_BYTES);
	memcpy(c->value, c->replaced_value, AQ_CHAIN_BYTES);
	c->known = true;
}

/* What the manifest says of a segment that is there. */
static void compare_entry(struct aq_check *c)
{
	const struct aq_segment *s = c->segment;
	const struct aq_manifest_ref *ref = aq_check_manifest_find(c, c->segment_number);
	if (ref)
		c->last_flags = ref->entry.flags;
	if (c->replaced) {
		take_replaced(c, ref);
		return;
	}
	if (!ref) {
		if (c->footer_seen && c->manifest.present && !c->manifest.damaged)
			aq_found(c, AQ_FINDING_NOTE, s->path, 0, "the manifest does not list this closed segment");
		return;
	}
	if (memcmp(ref->entry.chain, c->value, AQ_CHAIN_BYTES) == 0)
		return;
	if (s->bytes < ref->entry.bytes)
		/* where nobody signed, a segment need not have reached the disk before the manifest */
		aq_found(c, c->torn || !c->linked ? AQ_FINDING_DAMAGED : AQ_FINDING_ALTERED, s->path, s->bytes,
			 "the end is missing: the segment had %llu bytes and %llu events",
			 (unsigned long long)ref->entry.bytes, (unsigned long long)ref->entry.events);
	else if (!c->torn)
		aq_found(c, AQ_FINDING_ALTERED, s->path, 0, "the segment is not the one that the manifest lists");
	memcpy(c->value, ref->entry.chain, AQ_CHAIN_BYTES); /* what the next one has to follow */
	c->known = true;
}

static void check_segment(struct aq_check *c, char *path)
{
	struct aq_segment s = { .path = path };
	struct stat st;
	s.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (s.fd < 0 || fstat(s.fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		aq_found(c, AQ_FINDING_DAMAGED, path, 0, "can't be read");
		if (s.fd >= 0)
			close(s.fd);
		c->known = false;
		return;
	}
	s.bytes = (uint64_t)st.st_size;
	c->segment = &s;
	c->next_block = 0;
	c->foreign = c->hurt = c->torn = c->footer_seen = false;
	c->behind_replaced = c->replaced;
	c->replaced = false;
	c->last_flags = 0;
	if (aq_segment_walk(&s, take_block, take_damage, c) == -ENOMEM)
		c->out_of_memory = true;
	if (c->e->chained && !c->foreign)
		compare_entry(c);
	else
		c->known = false;
	c->segment = NULL;
	close(s.fd);
}

/* Segment files of a folder, by number; other files are nobody's. */
struct listed {
	uint64_t number;
	char *path;
};

static int by_number(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;
	return x->number != y->number ? (x->number < y->number ? -1 : 1) : strcmp(x->path, y->path);
}

static int list(const char *folder, struct listed **ret_list, size_t *ret_count, struct aq_err *err)
{
	struct listed *files = NULL;
	size_t count = 0;
	int r = 0;
	DIR *dir = opendir(folder);
	if (!dir)
		return aq_err_set(err, -errno, "'%s': could not be opened: %s", folder, strerror(errno));
	for (struct dirent *e; r == 0 && (e = readdir(dir));) {
		char *end;
		if (strncmp(e->d_name, "segment-", 8) != 0)
			continue;
		errno = 0;
		unsigned long long number = strtoull(e->d_name + 8, &end, 10);
		if (end == e->d_name + 8 || strcmp(end, ".aqs") != 0 || errno || number == 0 || number > INT64_MAX)
			continue;
		struct listed *more = count < SEGMENTS_MAX ? realloc(files, (count + 1) * sizeof(*more)) : NULL;
		if (more)
			files = more;
		if (!more || asprintf(&files[count].path, "%s/%s", folder, e->d_name) < 0)
			r = aq_err_set(err, -ENOMEM, "out of memory");
		else
			files[count++].number = number;
	}
	closedir(dir);
	if (count)
		qsort(files, count, sizeof(*files), by_number);
	*ret_list = files;
	*ret_count = count;
	return r;
}

/* Whether blocks carry chain values: the first readable one says it for all. */
static int peek(void *user, const struct aq_block *block)
{
	static const uint8_t no_value[AQ_CHAIN_BYTES];
	struct aq_check *c = user;
	uint8_t header[AQ_BLOCK_HEADER_BYTES];
	if (aq_segment_read(c->segment, header, sizeof(header), block->offset) == 0)
		c->e->chained = c->e->chained || memcmp(header + AQ_BLOCK_CHAIN_AT, no_value, sizeof(no_value)) != 0;
	return -ECANCELED;
}

static void ignore(void *user, uint64_t offset, uint64_t bytes, const char *text)
{
	(void)user;
	(void)offset;
	(void)bytes;
	(void)text;
}

static void find_out_whether_chained(struct aq_check *c, char *path)
{
	struct aq_segment s = { .path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
	struct stat st;
	if (s.fd >= 0 && fstat(s.fd, &st) == 0 && S_ISREG(st.st_mode)) {
		s.bytes = (uint64_t)st.st_size;
		c->segment = &s;
		aq_segment_walk(&s, peek, ignore, c);
		c->segment = NULL;
	}
	if (s.fd >= 0)
		close(s.fd);
}

/* Whether a segment's header says that the recorder removes old segments. */
static bool says_retention(char *path)
{
	struct aq_segment s = { .path = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
	struct aq_block block;
	struct stat st;
	uint8_t head[16] = { 0 };
	if (s.fd < 0)
		return false;
	bool ok = fstat(s.fd, &st) == 0 && S_ISREG(st.st_mode);
	s.bytes = ok ? (uint64_t)st.st_size : 0;
	ok = ok && aq_block_at(&s, 0, &block) && block.kind == AQ_BLOCK_SEGMENT &&
	     block.payload_bytes >= sizeof(head) && aq_segment_read(&s, head, sizeof(head), AQ_BLOCK_HEADER_BYTES) == 0;
	close(s.fd);
	return ok && head[12] & AQ_SEGMENTF_RETENTION;
}

static void check_folder(struct aq_check *c, const char *folder, const struct listed *files, size_t count)
{
	uint64_t due = 1;
	for (size_t i = 0; i < count && !c->e->chained; i++)
		find_out_whether_chained(c, files[i].path);
	aq_check_manifest_load(c, folder);
	c->known = true; /* nothing is before the first segment: its value is zero */
	for (size_t i = 0; i < count && !c->out_of_memory; i++) {
		c->segment_number = files[i].number;
		if (files[i].number < due) {
			aq_found(c, AQ_FINDING_ALTERED, files[i].path, 0, "there is another segment of this number");
			continue;
		}
		if (c->e->chained && files[i].number > due) {
			c->retention = says_retention(files[i].path);
			aq_check_removed(c, due, files[i].number - 1, files[i].path);
			c->retention = false;
		}
		check_segment(c, files[i].path);
		due = files[i].number + 1;
	}
	if (!c->e->chained || !count || c->out_of_memory)
		return;
	uint64_t last = c->manifest.entry_count ? c->manifest.entries[c->manifest.entry_count - 1].entry.segment : 0;
	if (last >= due)
		aq_check_removed(c, due, last, files[count - 1].path);
	if ((c->last_flags & AQ_STATEMENTF_SEGMENT_END) && !(c->last_flags & AQ_STATEMENTF_CAPTURE_END))
		aq_found(
			c, AQ_FINDING_REMOVED, files[count - 1].path, 0,
			"the recording did not end with segment %llu: it was killed right then, or what "
			 "followed was removed",
			(unsigned long long)(last >= due ? last : due - 1));
	if (c->replaced_segments && c->e->signatures)
		aq_found(c, AQ_FINDING_ALTERED, files[0].path, 0,
			 "%llu segments were written again although the capture is signed",
			 (unsigned long long)c->replaced_segments);
	aq_check_keys_end(c, files[0].number, due - 1);
}

int aq_evidence_check(const char *path, const struct aq_keys *keys, struct aq_evidence *ret, struct aq_err *err)
{
	struct aq_check c = { .e = ret, .keys = keys };
	struct listed *files = NULL;
	size_t count = 0;
	struct stat st;
	int r = 0;
	*ret = (struct aq_evidence){ 0 };
	if (sodium_init() < 0)
		return aq_err_set(err, -ENOSYS, "the cryptographic library can't be used");
	if (stat(path, &st) < 0)
		return aq_err_set(err, -errno, "'%s': %s", path, strerror(errno));
	c.is_folder = S_ISDIR(st.st_mode);
	c.manifest.file.fd = -1;
	aq_buf_init(&c.buf, AQ_BLOCK_PAYLOAD_MAX + 8);
	if (c.is_folder) {
		r = list(path, &files, &count, err);
		if (r == 0)
			check_folder(&c, path, files, count);
	} else {
		char *copy = strdup(path);
		if (copy) {
			find_out_whether_chained(&c, copy);
			check_segment(&c, copy);
			aq_check_keys_end(&c, c.segment_number, c.segment_number);
		}
		c.out_of_memory = c.out_of_memory || !copy;
		free(copy);
	}
	for (size_t i = 0; i < count; i++)
		free(files[i].path);
	free(files);
	aq_check_manifest_release(&c.manifest);
	aq_buf_release(&c.buf);
	if (r == 0 && c.out_of_memory)
		r = aq_err_set(err, -ENOMEM, "out of memory");
	return r;
}

void aq_evidence_release(struct aq_evidence *e)
{
	for (size_t i = 0; i < e->finding_count; i++)
		free(e->findings[i].file);
	free(e->findings);
	e->findings = NULL;
	e->finding_count = 0;
}

struct last {
	const struct aq_segment *segment;
	uint8_t value[AQ_CHAIN_BYTES];
	bool found;
};

static int take_last(void *user, const struct aq_block *block)
{
	struct last *l = user;
	uint8_t header[AQ_BLOCK_HEADER_BYTES];
	if (aq_segment_read(l->segment, header, sizeof(header), block->offset) == 0) {
		memcpy(l->value, header + AQ_BLOCK_CHAIN_AT, sizeof(l->value));
		l->found = true;
	}
	return 0;
}

static int take_before(void *user, const struct aq_block *block)
{
	struct last *l = user;
	uint8_t id[16], replaced[AQ_CHAIN_BYTES];
	uint64_t number;
	bool has_chain = false, was_replaced;
	struct aq_buf buf;
	aq_buf_init(&buf, AQ_BLOCK_PAYLOAD_MAX + 8);
	uint8_t *to = block->kind == AQ_BLOCK_SEGMENT ? aq_buf_reserve(&buf, block->payload_bytes + 1) : NULL;
	if (to && aq_segment_read(l->segment, to, block->payload_bytes, block->offset + AQ_BLOCK_HEADER_BYTES) == 0) {
		buf.len = block->payload_bytes;
		l->found = read_header(&buf, id, &number, l->value, &has_chain, replaced, &was_replaced) && has_chain;
	}
	aq_buf_release(&buf);
	return -ECANCELED;
}

int aq_evidence_value_before(const char *path, uint8_t ret_value[AQ_CHAIN_BYTES])
{
	struct aq_segment s = { .path = (char *)path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
	struct last last = { .segment = &s };
	struct stat st;
	if (s.fd >= 0 && fstat(s.fd, &st) == 0) {
		s.bytes = (uint64_t)st.st_size;
		aq_segment_walk(&s, take_before, ignore, &last);
	}
	if (s.fd >= 0)
		close(s.fd);
	if (!last.found)
		return -EBADMSG;
	memcpy(ret_value, last.value, sizeof(last.value));
	return 0;
}

int aq_evidence_last_value(const char *path, uint8_t ret_value[AQ_CHAIN_BYTES], struct aq_err *err)
{
	struct aq_segment s = { .path = (char *)path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
	struct last last = { .segment = &s };
	struct stat st;
	if (s.fd < 0 || fstat(s.fd, &st) < 0) {
		int r = aq_err_set(err, -errno, "'%s': could not be opened: %s", path, strerror(errno));
		if (s.fd >= 0)
			close(s.fd);
		return r;
	}
	s.bytes = (uint64_t)st.st_size;
	aq_segment_walk(&s, take_last, ignore, &last);
	close(s.fd);
	if (!last.found)
		return aq_err_set(err, -EBADMSG, "'%s': no block can be read", path);
	memcpy(ret_value, last.value, sizeof(last.value));
	return 0;
}
