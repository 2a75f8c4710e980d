/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records are found once, when the file is opened, and tied to their attributes by number. The synthetic source plays
 * them, by the same protocol that the kernel side follows.
 */
#include "recorder/source_dump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/source_synthetic.h"
#include "recorder/spool.h"

enum { DUMP_BYTES_MAX = 1 << 30, DUMP_CPUS_MAX = 1024, ATTRS_MAX = 64 };

static const char magic[8] = "AQRINGS\1";

struct item {
	const uint8_t *fixed, *attr; /* attr: a whole record with its head, or NULL */
	uint32_t ring;
};

struct run_list { /* attribute records of a ring that no fixed record has claimed */
	const uint8_t **record;
	size_t count, size, next;
};

struct aq_ring_player {
	struct aq_source *source;
	uint8_t *file;
	size_t bytes;
	struct item *item;
	size_t item_count, item_size, next;
	struct run_list *attrs; /* per ring, while the file is read */
	uint32_t *expected;     /* per ring */
	bool *begun;
	uint32_t slot_bytes, ring_count;
	struct aq_ring_player_stats stats;
};

void aq_ring_dump_begin(FILE *file, const struct aq_rings *rings)
{
	struct aq_ring_dump_head head = { .cpu_count = rings->cpu_count, .slot_bytes = rings->ring[0].slot_bytes };

	memcpy(head.magic, magic, sizeof(magic));
	(void)fwrite(&head, sizeof(head), 1, file);
}

void aq_ring_dump_put(FILE *file, uint32_t ring, uint32_t kind, const void *bytes, uint32_t len)
{
	const struct aq_ring_dump_run run = { .ring = ring, .kind = kind, .bytes = len };

	(void)fwrite(&run, sizeof(run), 1, file);
	(void)fwrite(bytes, len, 1, file);
}

static int read_file(struct aq_ring_player *p, const char *path, struct aq_err *err)
{
	FILE *f = fopen(path, "re");
	long size;
	int r = 0;

	if (f == NULL)
		return aq_err_set(err, -errno, "'%s': %s", path, strerror(errno));
	if (fseek(f, 0, SEEK_END) < 0 || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) < 0) {
		r = aq_err_set(err, -errno, "'%s': %s", path, strerror(errno));
	} else if (size > DUMP_BYTES_MAX) {
		r = aq_err_set(err, -EFBIG, "'%s' is larger than a dump of rings may be", path);
	} else {
		p->bytes = (size_t)size;
		p->file = malloc(p->bytes + 1);
		if (p->file == NULL)
			r = aq_err_set(err, -ENOMEM, "out of memory");
		else if (fread(p->file, 1, p->bytes, f) != p->bytes)
			r = aq_err_set(err, -EIO, "'%s' can't be read", path);
	}
	fclose(f);
	return r;
}

static int push_attr(struct run_list *list, const uint8_t *record)
{
	if (list->count == list->size) {
		size_t size = list->size != 0 ? list->size * 2 : 64;
		const uint8_t **more = realloc(list->record, size * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		list->record = more;
		list->size = size;
	}
	list->record[list->count++] = record;
	return 0;
}

static int take_attrs(struct aq_ring_player *p, uint32_t ring, const uint8_t *at, uint32_t bytes)
{
	while (bytes > 0) {
		struct aq_wire_attr_record head;
		int r;

		if (bytes < sizeof(head))
			return -EBADMSG;
		memcpy(&head, at, sizeof(head));
		if (head.bytes < sizeof(head) || head.bytes > bytes || head.bytes > AQ_WIRE_ATTR_MAX || head.bytes % 8 != 0)
			return -EBADMSG;
		r = push_attr(&p->attrs[ring], at);
		if (r < 0)
			return r;
		at += head.bytes;
		bytes -= head.bytes;
	}
	return 0;
}

static const uint8_t *claim_attr(struct run_list *list, uint32_t seq)
{
	while (list->next < list->count) {
		struct aq_wire_attr_record head;

		memcpy(&head, list->record[list->next], sizeof(head));
		if (head.seq == seq)
			return list->record[list->next++];
		if ((int32_t)(head.seq - seq) > 0)
			break;
		list->next++;
	}
	return NULL;
}

static int take_fixed(struct aq_ring_player *p, uint32_t ring, const uint8_t *at, uint32_t bytes)
{
	if (bytes % p->slot_bytes != 0)
		return -EBADMSG;
	for (; bytes > 0; at += p->slot_bytes, bytes -= p->slot_bytes) {
		struct aq_wire_fixed fixed;

		memcpy(&fixed, at, sizeof(fixed));
		if (fixed.event >= AQ_WIRE_EVENTS)
			return -EBADMSG;
		if (p->item_count == p->item_size) {
			size_t size = p->item_size != 0 ? p->item_size * 2 : 1024;
			struct item *more = realloc(p->item, size * sizeof(*more));

			if (more == NULL)
				return -ENOMEM;
			p->item = more;
			p->item_size = size;
		}
		p->item[p->item_count] = (struct item){ .fixed = at, .ring = ring };
		if (fixed.flags & AQ_WIRE_HAS_ATTR)
			p->item[p->item_count].attr = claim_attr(&p->attrs[ring], fixed.seq);
		p->stats.with_attr += p->item[p->item_count].attr != NULL;
		p->item_count++;
	}
	return 0;
}

static int find_items(struct aq_ring_player *p)
{
	size_t at = sizeof(struct aq_ring_dump_head);
	int r = 0;

	while (at < p->bytes && r == 0) {
		struct aq_ring_dump_run run;

		if (p->bytes - at < sizeof(run))
			return -EBADMSG;
		memcpy(&run, p->file + at, sizeof(run));
		at += sizeof(run);
		if (run.bytes > p->bytes - at || run.ring >= p->ring_count)
			return -EBADMSG;
		if (run.kind == AQ_PIECE_ATTR)
			r = take_attrs(p, run.ring, p->file + at, run.bytes);
		else
			r = run.kind == AQ_PIECE_FIXED ? take_fixed(p, run.ring, p->file + at, run.bytes) : -EBADMSG;
		at += run.bytes;
	}
	p->stats.records = p->item_count;
	return r;
}

static int prepare(struct aq_ring_player *p, uint32_t fixed_parts, uint32_t attr_parts)
{
	struct aq_synthetic_options options = { .fixed_parts = fixed_parts, .attr_parts = attr_parts };
	struct aq_ring_dump_head head;

	if (p->bytes < sizeof(head))
		return -EBADMSG;
	memcpy(&head, p->file, sizeof(head));
	if (memcmp(head.magic, magic, sizeof(magic)) != 0 || head.cpu_count == 0 || head.cpu_count > DUMP_CPUS_MAX ||
	    (head.slot_bytes != sizeof(struct aq_wire_fixed) && head.slot_bytes != sizeof(struct aq_wire_timed)))
		return -EBADMSG;
	p->slot_bytes = head.slot_bytes;
	p->ring_count = head.cpu_count * AQ_WIRE_CLASSES;
	p->attrs = calloc(p->ring_count, sizeof(*p->attrs));
	p->expected = calloc(p->ring_count, sizeof(*p->expected));
	p->begun = calloc(p->ring_count, sizeof(*p->begun));
	if (p->attrs == NULL || p->expected == NULL || p->begun == NULL)
		return -ENOMEM;
	options.cpu_count = head.cpu_count;
	options.durations = head.slot_bytes == sizeof(struct aq_wire_timed);
	return aq_synthetic_new(&options, &p->source);
}

int aq_ring_player_open(const char *path, uint32_t fixed_parts, uint32_t attr_parts, struct aq_ring_player **ret_player,
			struct aq_err *err)
{
	struct aq_ring_player *p = calloc(1, sizeof(*p));
	int r;

	if (p == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	r = read_file(p, path, err);
	if (r == 0) {
		r = prepare(p, fixed_parts, attr_parts);
		if (r == 0)
			r = find_items(p);
		if (r < 0)
			aq_err_set(err, r, r == -ENOMEM ? "'%s': out of memory" : "'%s' is no whole dump of rings", path);
	}
	if (r < 0) {
		aq_ring_player_free(p);
		return r;
	}
	*ret_player = p;
	return 0;
}

void aq_ring_player_free(struct aq_ring_player *player)
{
	if (player == NULL)
		return;
	for (uint32_t i = 0; player->attrs != NULL && i < player->ring_count; i++)
		free(player->attrs[i].record);
	aq_source_free(player->source);
	free(player->attrs);
	free(player->expected);
	free(player->begun);
	free(player->item);
	free(player->file);
	free(player);
}

struct aq_source *aq_ring_player_source(struct aq_ring_player *player)
{
	return player->source;
}

struct aq_ring_player_stats aq_ring_player_stats(const struct aq_ring_player *player)
{
	return player->stats;
}

/* The attributes of a record as they are; what is cut or senseless ends the list. */
static uint32_t list_attrs(const uint8_t *record, struct aq_synthetic_attr list[ATTRS_MAX])
{
	struct aq_wire_attr_record head;
	uint32_t n = 0, at = sizeof(head);

	memcpy(&head, record, sizeof(head));
	while (n < head.count && n < ATTRS_MAX && head.bytes - at >= sizeof(struct aq_wire_attr)) {
		struct aq_wire_attr wire;

		memcpy(&wire, record + at, sizeof(wire));
		at += sizeof(wire);
		if (wire.len > head.bytes - at)
			break;
		list[n++] = (struct aq_synthetic_attr){ .key = wire.key, .flags = wire.flags, .len = wire.len,
							.true_len = wire.true_len, .data = record + at };
		at += (wire.len + 7u) & ~7u;
		if (at > head.bytes)
			break;
	}
	return n;
}

static bool play(struct aq_ring_player *p, const struct item *item)
{
	struct aq_synthetic_attr attrs[ATTRS_MAX];
	struct aq_synthetic_event event = {
		.cpu = item->ring / AQ_WIRE_CLASSES,
		.cls = item->ring % AQ_WIRE_CLASSES,
		.duration_ns = AQ_WIRE_DURATION_UNKNOWN,
		.attrs = attrs,
	};
	uint32_t seq, missing;

	if (!aq_synthetic_has_room(p->source, event.cpu, event.cls))
		return false;
	memcpy(&event.fixed, item->fixed, sizeof(event.fixed));
	if (p->slot_bytes == sizeof(struct aq_wire_timed))
		memcpy(&event.duration_ns, item->fixed + offsetof(struct aq_wire_timed, duration_ns), sizeof(event.duration_ns));
	if (item->attr != NULL)
		event.attr_count = list_attrs(item->attr, attrs);
	seq = event.fixed.seq;
	missing = p->begun[item->ring] ? seq - p->expected[item->ring] : 0;
	if (missing > 0 && missing < UINT32_MAX / 2) {
		aq_synthetic_lose(p->source, event.cpu, event.cls, event.fixed.event, missing, event.fixed.time_ns);
		p->stats.missing += missing;
	}
	p->expected[item->ring] = seq + 1;
	p->begun[item->ring] = true;
	event.fixed.flags &= (aq_u16)~AQ_WIRE_HAS_ATTR;
	(void)aq_synthetic_produce(p->source, &event);
	if (event.fixed.time_ns > aq_source_now_ns(p->source))
		aq_synthetic_set_now(p->source, event.fixed.time_ns);
	return true;
}

int aq_ring_player_step(struct aq_ring_player *player, size_t count)
{
	for (; count > 0 && player->next < player->item_count; count--, player->next++)
		if (!play(player, &player->item[player->next]))
			return -EAGAIN;
	return player->next < player->item_count;
}
