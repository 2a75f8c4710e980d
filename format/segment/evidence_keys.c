/* SPDX-License-Identifier: Apache-2.0 */
/* Follows the signing key from epoch to epoch, through the segments and through what the manifest kept of others. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/evidence_internal.h"

enum { ENTRIES_MAX = 10000000, CARRIED_MAX = 4096 };

static bool add_entry(struct aq_loaded_manifest *m, const struct aq_manifest_entry *entry, const struct aq_block *block)
{
	struct aq_manifest_ref *more = realloc(m->entries, (m->entry_count + 1) * sizeof(*more));
	if (!more)
		return false;
	m->entries = more;
	m->entries[m->entry_count] = (struct aq_manifest_ref){ .entry = *entry, .block = *block };
	m->entries[m->entry_count++].entry.statements = NULL; /* they were borrowed */
	return true;
}

static bool add_carried(struct aq_loaded_manifest *m, const uint8_t *bytes, uint64_t offset)
{
	struct aq_carried *more = realloc(m->carried, (m->carried_count + 1) * sizeof(*more));
	if (!more)
		return false;
	m->carried = more;
	m->carried[m->carried_count] = (struct aq_carried){ .offset = offset };
	memcpy(m->carried[m->carried_count++].bytes, bytes, AQ_STATEMENT_BYTES);
	return true;
}

static void take_contents(struct aq_check *c, const struct aq_block *block)
{
	struct aq_loaded_manifest *m = &c->manifest;
	struct aq_bytes r = aq_bytes_of(c->buf.data, c->buf.len);
	struct aq_manifest_entry entry;
	const uint8_t *carried = NULL;
	uint8_t id[16];
	uint32_t type = aq_bytes_u32(&r);
	bool sound = true;
	aq_bytes_u32(&r);
	if (type == AQ_MANIFEST_START) {
		sound = aq_manifest_read_start(&r, id, &carried);
		if (sound && !c->id_known) {
			memcpy(c->capture_id, id, sizeof(id));
			c->id_known = true;
		}
		sound = sound && memcmp(id, c->capture_id, sizeof(id)) == 0;
		if (sound && carried && m->carried_count < CARRIED_MAX && !add_carried(m, carried, block->offset))
			c->out_of_memory = true;
	} else if (type == AQ_MANIFEST_SEGMENT) {
		sound = aq_manifest_read_entry(&r, &entry) &&
			(!m->entry_count || entry.segment > m->entries[m->entry_count - 1].entry.segment);
		if (sound && (m->entry_count == ENTRIES_MAX || !add_entry(m, &entry, block)))
			c->out_of_memory = true;
	}
	if (!sound)
		aq_found(c, AQ_FINDING_ALTERED, m->file.path, block->offset, "block %llu of the manifest is not this capture's",
			 (unsigned long long)block->number);
}

static int take_block(void *user, const struct aq_block *block)
{
	struct aq_check *c = user;
	struct aq_loaded_manifest *m = &c->manifest;
	uint8_t header[AQ_BLOCK_HEADER_BYTES], value[AQ_CHAIN_BYTES];
	bool whole = false;
	if (!aq_check_load(c, &m->file, block, header, &whole) || !whole) {
		m->damaged = true;
		m->known = false;
		m->next_block = block->number + 1;
		if (!c->out_of_memory)
			aq_found(c, AQ_FINDING_DAMAGED, m->file.path, block->offset, "block %llu: its checksum is wrong",
				 (unsigned long long)block->number);
		return c->out_of_memory ? -ENOMEM : 0;
	}
	aq_chain_next(m->chain, header, c->buf.data, c->buf.len, value);
	if (m->known && (block->number != m->next_block || block->kind != AQ_BLOCK_MANIFEST ||
			 memcmp(value, header + AQ_BLOCK_CHAIN_AT, sizeof(value)) != 0))
		aq_found(c, AQ_FINDING_ALTERED, m->file.path, block->offset,
			 "the manifest's chain breaks at block %llu: it, or what was before it, was altered",
			 (unsigned long long)block->number);
	memcpy(m->chain, header + AQ_BLOCK_CHAIN_AT, sizeof(m->chain));
	m->known = true;
	m->next_block = block->number + 1;
	if (block->kind == AQ_BLOCK_MANIFEST)
		take_contents(c, block);
	return c->out_of_memory ? -ENOMEM : 0;
}

static void take_damage(void *user, uint64_t offset, uint64_t bytes, const char *text)
{
	struct aq_check *c = user;
	if (!bytes) /* numbers: the chain tells it better */
		return;
	c->manifest.damaged = true;
	c->manifest.known = false;
	aq_found(c, AQ_FINDING_DAMAGED, c->manifest.file.path, offset, "%s", text);
}

void aq_check_manifest_load(struct aq_check *c, const char *folder)
{
	struct aq_loaded_manifest *m = &c->manifest;
	struct stat st;
	if (asprintf(&m->file.path, "%s/%s", folder, AQ_MANIFEST_NAME) < 0) {
		m->file.path = NULL;
		c->out_of_memory = true;
		return;
	}
	m->file.fd = open(m->file.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (m->file.fd < 0 || fstat(m->file.fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	m->file.bytes = (uint64_t)st.st_size;
	m->present = m->known = true;
	if (aq_segment_walk(&m->file, take_block, take_damage, c) == -ENOMEM)
		c->out_of_memory = true;
}

void aq_check_manifest_release(struct aq_loaded_manifest *m)
{
	if (m->file.fd >= 0)
		close(m->file.fd);
	free(m->file.path);
	free(m->entries);
	free(m->carried);
}

const struct aq_manifest_ref *aq_check_manifest_find(const struct aq_check *c, uint64_t segment)
{
	size_t low = 0, high = c->manifest.entry_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (c->manifest.entries[middle].entry.segment < segment)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == c->manifest.entry_count || c->manifest.entries[low].entry.segment != segment)
		return NULL;
	return &c->manifest.entries[low];
}

static bool is_given(const struct aq_check *c, const uint8_t *public_key)
{
	for (size_t i = 0; c->keys && i < c->keys->count; i++)
		if (c->keys->key[i].kind == AQ_KEY_SIGN_PUBLIC && memcmp(public_key, c->keys->key[i].bytes, AQ_KEY_BYTES) == 0)
			return true;
	return false;
}

/* One more epoch. file and offset say where the statement stands. */
static void link_key(struct aq_check *c, const struct aq_statement *st, const char *file, uint64_t offset)
{
	struct aq_evidence *e = c->e;
	bool follows = c->linked && st->epoch == c->next_epoch && memcmp(st->public_key, c->next_key, AQ_KEY_BYTES) == 0;
	if (c->linked && !follows) {
		c->trust = false;
		if (st->epoch > c->next_epoch && c->hurt_since)
			aq_found(c, AQ_FINDING_DAMAGED, file, offset,
				 "the signatures of epochs %" PRIu64 " to %" PRIu64 " are damaged: the key can't be followed over them",
				 c->next_epoch, st->epoch - 1);
		else if (st->epoch > c->next_epoch)
			aq_found(c, AQ_FINDING_ALTERED, file, offset,
				 "the signatures of epochs %" PRIu64 " to %" PRIu64 " are missing before this one",
				 c->next_epoch, st->epoch - 1);
		else
			aq_found(c, AQ_FINDING_ALTERED, file, offset,
				 "signed with another key than the signature before vouches for (epoch %" PRIu64 ")", st->epoch);
	}
	if (is_given(c, st->public_key))
		c->trust = true;
	if (!c->linked) {
		e->first_epoch = st->epoch;
		memcpy(e->public_key, st->public_key, AQ_KEY_BYTES);
	}
	c->linked = true;
	c->hurt_since = false;
	c->signed_segment = st->segment;
	c->next_epoch = st->epoch + 1;
	memcpy(c->next_key, st->next_key, AQ_KEY_BYTES);
	e->last_epoch = st->epoch;
	memcpy(e->next_key, st->next_key, AQ_KEY_BYTES);
	e->trusted = c->trust;
}

/* The statement vouches for everything so far: times of what was found before, and the tail begins anew. */
static void signed_up_to(struct aq_check *c, const struct aq_statement *st)
{
	struct aq_evidence *e = c->e;
	for (; c->waiting < e->finding_count; c->waiting++)
		e->findings[c->waiting].to_real_ns = st->real_ns;
	e->signatures++;
	e->signed_real_ns = st->real_ns;
	e->signed_boot_ns = st->boot_ns;
	e->ended = st->flags & AQ_STATEMENTF_CAPTURE_END;
	e->tail_blocks = e->tail_bytes = e->added_segments = e->added_blocks = 0;
	c->last_flags = st->flags;
}

/* Signature blocks that are damaged: the manifest has copies of those of closed segments. */
static void bridge_damage(struct aq_check *c, uint64_t epoch)
{
	uint8_t header[AQ_BLOCK_HEADER_BYTES];
	struct aq_manifest_entry entry;
	struct aq_statement st;
	for (size_t i = 0; i < c->manifest.entry_count; i++) {
		const struct aq_manifest_ref *ref = &c->manifest.entries[i];
		bool whole = false;
		if (ref->entry.segment < c->signed_segment || ref->entry.segment > c->segment_number ||
		    !aq_check_load(c, &c->manifest.file, &ref->block, header, &whole) || !whole)
			continue;
		struct aq_bytes r = aq_bytes_of(c->buf.data, c->buf.len);
		aq_bytes_take(&r, 8);
		if (!aq_manifest_read_entry(&r, &entry))
			continue;
		for (uint32_t k = 0; k < entry.statement_count; k++) {
			const uint8_t *bytes = entry.statements + (size_t)k * AQ_STATEMENT_BYTES;
			aq_statement_read(bytes, &st);
			bool follows = !c->linked || (st.epoch == c->next_epoch && memcmp(st.public_key, c->next_key, AQ_KEY_BYTES) == 0);
			if (!follows || st.epoch >= epoch || memcmp(st.capture_id, c->capture_id, 16) != 0 || !aq_statement_is_genuine(bytes))
				continue;
			link_key(c, &st, c->manifest.file.path, ref->block.offset);
			c->hurt_since = true; /* until the statement that stands in the segment */
		}
	}
}

/* Statements that fit, and that only the manifest has, up to an epoch. They were carried in order. */
static void follow_carried(struct aq_check *c, uint64_t epoch)
{
	struct aq_statement st;
	for (size_t i = 0; i < c->manifest.carried_count; i++) {
		const struct aq_carried *carried = &c->manifest.carried[i];
		aq_statement_read(carried->bytes, &st);
		if (!carried->fits || st.epoch != c->next_epoch || st.epoch >= epoch ||
		    memcmp(st.public_key, c->next_key, AQ_KEY_BYTES) != 0)
			continue;
		link_key(c, &st, c->manifest.file.path, carried->offset);
		c->e->signatures++;
	}
}

/* A statement of the recording before this one, or one that a killed recorder could not write, comes before st. */
static void bridge(struct aq_check *c, const struct aq_statement *st)
{
	struct aq_statement before;
	if (c->hurt_since && (!c->linked || st->epoch > c->next_epoch))
		bridge_damage(c, st->epoch);
	if (c->linked && st->epoch > c->next_epoch)
		follow_carried(c, st->epoch);
	for (size_t i = 0; !c->linked && c->keys && i < c->manifest.carried_count; i++) {
		const struct aq_carried *carried = &c->manifest.carried[i];
		aq_statement_read(carried->bytes, &before);
		if (is_given(c, before.public_key) && before.epoch + 1 == st->epoch &&
		    memcmp(before.next_key, st->public_key, AQ_KEY_BYTES) == 0 && aq_statement_is_genuine(carried->bytes))
			c->trust = true;
	}
}

void aq_check_statement(struct aq_check *c, const uint8_t *loaded, const struct aq_block *block)
{
	uint8_t bytes[AQ_STATEMENT_BYTES]; /* what was loaded gives way to other blocks */
	const char *file = c->segment->path;
	struct aq_statement st;
	memcpy(bytes, loaded, sizeof(bytes));
	aq_statement_read(bytes, &st);
	if (!aq_statement_is_genuine(bytes)) {
		aq_found(c, AQ_FINDING_ALTERED, file, block->offset, "the signature of epoch %" PRIu64 " is not genuine", st.epoch);
		return;
	}
	if (memcmp(st.capture_id, c->capture_id, 16) != 0) {
		aq_found(c, AQ_FINDING_ALTERED, file, block->offset, "the signature of epoch %" PRIu64 " is of another capture",
			 st.epoch);
		return;
	}
	bridge(c, &st);
	link_key(c, &st, file, block->offset);
	if (st.segment != c->segment_number || st.block + 1 != block->number ||
	    (c->known && memcmp(st.chain, c->value, AQ_CHAIN_BYTES) != 0)) {
		aq_found(c, AQ_FINDING_ALTERED, file, block->offset,
			 "the signature of epoch %" PRIu64 " does not fit: what it vouches for was altered", st.epoch);
		for (; c->waiting < c->e->finding_count; c->waiting++)
			c->e->findings[c->waiting].to_real_ns = st.real_ns;
		return;
	}
	if (!c->known)
		aq_found(c, AQ_FINDING_DAMAGED, file, block->offset,
			 "what the signature of epoch %" PRIu64 " vouches for is damaged right before it", st.epoch);
	signed_up_to(c, &st);
}

void aq_check_carried(struct aq_check *c, const struct aq_block *block)
{
	for (size_t i = 0; i < c->manifest.carried_count; i++) {
		struct aq_carried *carried = &c->manifest.carried[i];
		struct aq_statement st;
		aq_statement_read(carried->bytes, &st);
		if (st.segment != c->segment_number || st.block != block->number || memcmp(st.capture_id, c->capture_id, 16) != 0 ||
		    memcmp(st.chain, c->value, AQ_CHAIN_BYTES) != 0 || !aq_statement_is_genuine(carried->bytes))
			continue;
		carried->fits = true;
	}
}

/* The chain's value after a closing signature, from the signature alone: its block can be made again. */
static void value_after(const struct aq_statement *st, const uint8_t *bytes, uint8_t ret_value[AQ_CHAIN_BYTES])
{
	struct aq_block block = { .kind = AQ_BLOCK_SIGNATURE, .number = st->block + 1, .payload_bytes = AQ_STATEMENT_BYTES };
	uint8_t header[AQ_BLOCK_HEADER_BYTES];
	block.payload_hash = XXH3_64bits(bytes, AQ_STATEMENT_BYTES);
	aq_block_header_write(header, &block);
	aq_chain_next(st->chain, header, bytes, AQ_STATEMENT_BYTES, ret_value);
}

/* An entry proves what it says of a segment when its last statement says the same. */
static void check_entry(struct aq_check *c, const struct aq_manifest_ref *ref)
{
	const char *file = c->manifest.file.path;
	const struct aq_manifest_entry *known = &ref->entry;
	uint8_t header[AQ_BLOCK_HEADER_BYTES], value[AQ_CHAIN_BYTES];
	struct aq_manifest_entry entry;
	struct aq_statement st = { 0 };
	bool whole = false, fits = true;
	if (!aq_check_load(c, &c->manifest.file, &ref->block, header, &whole) || !whole)
		return;
	struct aq_bytes r = aq_bytes_of(c->buf.data, c->buf.len);
	aq_bytes_take(&r, 8);
	if (!aq_manifest_read_entry(&r, &entry) || !entry.statement_count)
		return;
	for (uint32_t i = 0; i < entry.statement_count; i++) {
		const uint8_t *bytes = entry.statements + (size_t)i * AQ_STATEMENT_BYTES;
		aq_statement_read(bytes, &st);
		fits = fits && aq_statement_is_genuine(bytes) && st.segment == known->segment &&
		       memcmp(st.capture_id, c->capture_id, 16) == 0;
		if (!fits)
			break;
		bridge(c, &st);
		link_key(c, &st, file, ref->block.offset);
		signed_up_to(c, &st);
		value_after(&st, bytes, value);
	}
	if (fits && (st.flags & AQ_STATEMENTF_SEGMENT_END))
		fits = memcmp(value, known->chain, sizeof(value)) == 0 && st.events == known->events && st.first_ns == known->first_ns &&
		       st.last_ns == known->last_ns && st.flags == known->flags &&
		       known->bytes == st.bytes + AQ_BLOCK_HEADER_BYTES + AQ_STATEMENT_BYTES + AQ_TRAILER_BYTES;
	if (!fits)
		aq_found(c, AQ_FINDING_ALTERED, file, ref->block.offset,
			 "what the manifest says of segment %" PRIu64 " is not what was signed", known->segment);
}

static void tell_removed(struct aq_check *c, const char *beside, uint64_t first, uint64_t last, uint64_t events, bool listed)
{
	char which[64];
	if (first == last)
		snprintf(which, sizeof(which), "segment %" PRIu64 " was removed", first);
	else
		snprintf(which, sizeof(which), "segments %" PRIu64 " to %" PRIu64 " were removed", first, last);
	enum aq_finding_kind kind = c->retention ? AQ_FINDING_NOTE : AQ_FINDING_REMOVED;
	if (listed)
		aq_found(c, kind, beside, 0, "%s%s: %" PRIu64 " events are unknown", which,
			 c->retention ? " by retention" : "", events);
	else
		aq_found(c, kind, beside, 0, "%s%s, and the manifest does not say what was in there", which,
			 c->retention ? " by retention" : "");
}

void aq_check_removed(struct aq_check *c, uint64_t first, uint64_t last, const char *beside)
{
	uint64_t from = first, events = 0;
	size_t i = 0;
	for (size_t k = 0; k < c->manifest.carried_count; k++) { /* their place is gone; their keys are still needed */
		struct aq_carried *carried = &c->manifest.carried[k];
		struct aq_statement st;
		aq_statement_read(carried->bytes, &st);
		if (st.segment >= first && st.segment <= last && memcmp(st.capture_id, c->capture_id, 16) == 0)
			carried->fits = aq_statement_is_genuine(carried->bytes);
	}
	while (i < c->manifest.entry_count && c->manifest.entries[i].entry.segment < first)
		i++;
	/* entry by entry, not number by number: numbers come from file names */
	while (from <= last) {
		uint64_t to = from;
		for (events = 0; i < c->manifest.entry_count && c->manifest.entries[i].entry.segment == to && to <= last; i++, to++) {
			const struct aq_manifest_ref *ref = &c->manifest.entries[i];
			check_entry(c, ref);
			events += ref->entry.events;
			memcpy(c->value, ref->entry.chain, sizeof(c->value));
			c->known = true;
			c->last_flags = ref->entry.flags;
		}
		if (to > from) {
			tell_removed(c, beside, from, to - 1, events, true);
			from = to;
			continue;
		}
		to = i < c->manifest.entry_count && c->manifest.entries[i].entry.segment <= last ?
			     c->manifest.entries[i].entry.segment - 1 : last;
		tell_removed(c, beside, from, to, 0, false);
		c->known = false;
		if (to == UINT64_MAX)
			return;
		from = to + 1;
	}
}

void aq_check_keys_end(struct aq_check *c, uint64_t first_segment, uint64_t last_segment)
{
	struct aq_evidence *e = c->e;
	struct aq_statement st;
	if (c->linked) /* of a recorder that was killed between making its signature and writing it */
		follow_carried(c, UINT64_MAX);
	for (size_t i = 0; i < c->manifest.carried_count; i++) {
		const struct aq_carried *carried = &c->manifest.carried[i];
		aq_statement_read(carried->bytes, &st);
		if (carried->fits || memcmp(st.capture_id, c->capture_id, 16) != 0 || !aq_statement_is_genuine(carried->bytes) ||
		    st.segment < first_segment || st.segment > last_segment)
			continue;
		aq_found(c, AQ_FINDING_ALTERED, c->manifest.file.path, carried->offset,
			 "epoch %" PRIu64 " signed block %" PRIu64 " of segment %" PRIu64 ", which is not there any more", st.epoch,
			 st.block, st.segment);
	}
	if (c->is_folder && !c->manifest.present)
		aq_found(c, e->signatures ? AQ_FINDING_ALTERED : AQ_FINDING_NOTE, c->manifest.file.path, 0, "%s",
			 e->signatures ? "the manifest was removed" : "there is no manifest");
}
