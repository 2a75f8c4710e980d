/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One wire record with its attributes becomes one event: words go among the arguments, paths the right way round,
 * strings end where they end.
 */
#include "recorder/decode.h"

#include <string.h>

#include "recorder/structs.h"

/*
 * Components, innermost first, each with one NUL behind it: "hosts\0etc\0" becomes "/etc/hosts"; none at all is the
 * root. Where leading components are missing (AQ_ATF_PARTIAL) the text starts without a slash.
 */
static bool turn_round(struct aq_decode_scratch *scratch, const char *data, uint32_t len, bool partial,
		       struct aq_attr *attr)
{
	char *out = scratch->text + scratch->used;
	uint32_t end = len, n = 0;

	if (sizeof(scratch->text) - scratch->used < (size_t)len + 1)
		return false;
	while (end > 0 && data[end - 1] == '\0')
		end--;
	while (end > 0) {
		uint32_t start = end;

		while (start > 0 && data[start - 1] != '\0')
			start--;
		if (!(partial && n == 0))
			out[n++] = '/';
		memcpy(out + n, data + start, end - start);
		n += end - start;
		end = start;
		while (end > 0 && data[end - 1] == '\0')
			end--;
	}
	if (n == 0 && !partial)
		out[n++] = '/';
	scratch->used += n;
	attr->data = out;
	attr->len = n;
	return true;
}

static void merge_words(struct aq_event *ev, uint32_t expected, const uint8_t *data, uint32_t len)
{
	for (uint32_t i = AQ_WIRE_ARGS; i < expected && len >= 8; i++, data += 8, len -= 8)
		memcpy(&ev->args[i], data, 8);
}

/* Where the structures of an event lie until all are there. */
struct structs {
	struct aq_struct_bytes by_arg[AQ_WIRE_ARGS];
	bool unreadable;
};

static void add_attr(struct aq_event *ev, unsigned key, unsigned flags, const void *data, uint32_t len)
{
	if (ev->attr_count < AQ_EVENT_MAX_ATTRS && aq_event_attr(ev, (enum aq_attr_key)key) == NULL)
		ev->attrs[ev->attr_count++] = (struct aq_attr){ .key = (uint16_t)key, .flags = (uint16_t)flags, .len = len, .data = data };
}

/* One attribute whose bytes are known to lie in the record. False: not usable. */
static bool decode_attr(struct aq_event *ev, const struct aq_wire_attr *wire, const uint8_t *data,
			struct aq_decode_scratch *scratch, struct structs *structs)
{
	enum aq_attr_type type = aq_attr_type((enum aq_attr_key)wire->key);
	struct aq_attr *attr;

	if (wire->key == AQ_ATTR_WORDS) {
		merge_words(ev, ev->arg_count, data, wire->len);
		return true;
	}
	if (wire->key == AQ_ATTR_STRUCT) {
		if (wire->arg >= AQ_WIRE_ARGS)
			return false;
		if (wire->flags & AQ_ATF_UNREADABLE)
			structs->unreadable = true;
		else
			structs->by_arg[wire->arg] = (struct aq_struct_bytes){ data, wire->len };
		return true;
	}
	if (wire->key == 0 || wire->key >= AQ_ATTR_KEY_MAX || type == 0 || ev->attr_count >= AQ_EVENT_MAX_ATTRS)
		return false;
	attr = &ev->attrs[ev->attr_count];
	*attr = (struct aq_attr){
		.key = wire->key,
		.flags = wire->flags & (AQ_ATF_TRUNCATED | AQ_ATF_UNREADABLE | AQ_ATF_PARTIAL),
		.len = wire->len,
		.true_len = wire->true_len,
		.data = data,
	};
	if (wire->flags & AQ_WIRE_ATF_DNS) {
		scratch->dns = data;
		scratch->dns_len = wire->len;
	}
	if (wire->flags & AQ_ATF_UNREADABLE) {
		attr->len = 0;
	} else if (wire->flags & AQ_WIRE_ATF_REVERSED) {
		if (!turn_round(scratch, (const char *)data, wire->len, (wire->flags & AQ_ATF_PARTIAL) != 0, attr))
			return false;
	} else if (type == AQ_ATTRTYPE_STRING) {
		const uint8_t *nul = wire->len > 0 ? memchr(data, 0, wire->len) : NULL;

		if (nul != NULL)
			attr->len = (uint32_t)(nul - data);
	}
	if (!(attr->flags & AQ_ATF_TRUNCATED))
		attr->true_len = 0;
	ev->attr_count++;
	return true;
}

static bool decode_attrs(struct aq_event *ev, const struct aq_wire_attr_record *record, uint32_t bytes,
			 struct aq_decode_scratch *scratch, struct structs *structs)
{
	const uint8_t *p = (const uint8_t *)record;
	uint32_t offset = sizeof(*record);
	bool whole = true;

	if (bytes < sizeof(*record) || record->bytes > bytes || record->bytes < sizeof(*record))
		return false;
	bytes = record->bytes;
	for (uint32_t i = 0; i < record->count; i++) {
		struct aq_wire_attr wire;

		if (bytes - offset < sizeof(wire))
			return false;
		memcpy(&wire, p + offset, sizeof(wire));
		offset += sizeof(wire);
		if (wire.len > bytes - offset)
			return false;
		whole &= decode_attr(ev, &wire, p + offset, scratch, structs);
		offset += wire.len;
		offset = (offset + 7u) & ~7u;
		if (offset > bytes)
			return false;
	}
	return whole;
}

/* Three small numbers share the first word on the wire, and the result is where others have theirs (bpf/prog_uring). */
static void take_request_apart(struct aq_event *ev)
{
	ev->args[6] = ev->args[0] >> 8 & 0xff;
	ev->args[7] = ev->args[0] >> 16 & 0xffff;
	ev->args[8] = (uint64_t)ev->ret;
	ev->args[0] &= 0xff;
	ev->ret = 0;
}

void aq_decode(const struct aq_wire_fixed *fixed, const struct aq_wire_attr_record *attr, uint32_t attr_bytes,
	       uint32_t cpu, uint32_t cls, struct aq_decode_scratch *scratch, struct aq_event *ev)
{
	const struct aq_event_schema *schema = aq_schema_event(fixed->event);
	struct aq_struct_bytes name;
	struct structs structs = { 0 };

	ev->time_ns = fixed->time_ns;
	ev->cgroup_id = fixed->cgroup_id;
	ev->ret = fixed->ret;
	ev->duration_ns = 0;
	ev->has_duration = false;
	ev->pid = fixed->pid;
	ev->tid = fixed->tid;
	ev->nr = 0;
	ev->id = fixed->event;
	ev->cpu = (uint16_t)cpu;
	ev->abi = fixed->flags & AQ_WIRE_ABI_MASK;
	ev->cls = (uint8_t)cls;
	ev->flags = 0;
	ev->attr_count = 0;
	memcpy(ev->args, fixed->args, sizeof(fixed->args));
	memset(ev->args + AQ_WIRE_ARGS, 0, sizeof(ev->args) - sizeof(fixed->args));
	scratch->used = 0;
	scratch->dns = NULL;
	if (schema != NULL) {
		ev->arg_count = schema->arg_count;
	} else { /* a call, or an id, that the schema does not have: the registers are all that is known */
		ev->flags |= AQ_EVF_UNKNOWN_NR;
		ev->nr = fixed->flags & AQ_WIRE_UNKNOWN_NR ? (uint32_t)fixed->args[5] : fixed->event;
		ev->id = AQ_EV_UNKNOWN;
		ev->arg_count = AQ_WIRE_ARGS;
		if (fixed->flags & AQ_WIRE_UNKNOWN_NR)
			ev->args[5] = 0;
	}
	if (ev->abi >= AQ_ABI_COUNT)
		ev->abi = 0;
	if (fixed->flags & AQ_WIRE_ATTR_LOST)
		ev->flags |= AQ_EVF_DEGRADED;
	if (attr != NULL) {
		if (!decode_attrs(ev, attr, attr_bytes, scratch, &structs))
			ev->flags |= AQ_EVF_DEGRADED;
	} else if (fixed->flags & AQ_WIRE_HAS_ATTR) {
		ev->flags |= AQ_EVF_DEGRADED;
	}
	if (ev->id == AQ_EV_uring_submit || ev->id == AQ_EV_uring_io)
		take_request_apart(ev);
	if (schema == NULL || ev->id >= AQ_EVENT_ID_STATE)
		return;
	aq_struct_decode(ev, structs.by_arg, &name);
	if (name.len > 0)
		add_attr(ev, AQ_ATTR_NAME, 0, name.data, name.len);
	if (structs.unreadable)
		add_attr(ev, AQ_ATTR_DATA, AQ_ATF_UNREADABLE, "", 0);
}

void aq_decode_duration(const struct aq_wire_fixed *fixed, uint32_t record_bytes, struct aq_event *ev)
{
	uint64_t ns;

	if (record_bytes < sizeof(struct aq_wire_timed) || ev->id >= AQ_EVENT_ID_STATE)
		return;
	ns = ((const struct aq_wire_timed *)(const void *)fixed)->duration_ns;
	if (ns == AQ_WIRE_DURATION_UNKNOWN)
		return;
	ev->duration_ns = ns;
	ev->has_duration = true;
}
