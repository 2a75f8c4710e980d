/* SPDX-License-Identifier: Apache-2.0 */
/* Statements and the manifest as bytes, and writing the manifest. */
#include "format/segment/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/capture.h"

_Static_assert(crypto_sign_PUBLICKEYBYTES == AQ_KEY_BYTES, "keys are Ed25519 keys");
_Static_assert(crypto_sign_BYTES == AQ_STATEMENT_BYTES - AQ_STATEMENT_SIGNED_BYTES, "a statement ends with its signature");

/* What is signed begins with this, so that the key's signatures of other things are none of statements. */
static const char purpose[] = "Aquila statement";
enum { PURPOSE_BYTES = sizeof(purpose) - 1 };

static void signed_message(const uint8_t *bytes, uint8_t message[PURPOSE_BYTES + AQ_STATEMENT_SIGNED_BYTES])
{
	memcpy(message, purpose, PURPOSE_BYTES);
	memcpy(message + PURPOSE_BYTES, bytes, AQ_STATEMENT_SIGNED_BYTES);
}

void aq_statement_write(const struct aq_statement *s, uint8_t ret_bytes[AQ_STATEMENT_SIGNED_BYTES])
{
	const uint64_t numbers[] = { s->segment, s->block, s->bytes, s->events, s->first_ns, s->last_ns, s->boot_ns, s->real_ns };
	uint8_t *p = ret_bytes;
	memset(p, 0, AQ_STATEMENT_SIGNED_BYTES);
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(s->flags >> (8 * i));
	for (unsigned i = 0; i < 8; i++)
		p[8 + i] = (uint8_t)(s->epoch >> (8 * i));
	memcpy(p + 16, s->capture_id, 16);
	for (unsigned i = 0; i < 64; i++)
		p[32 + i] = (uint8_t)(numbers[i / 8] >> (8 * (i % 8)));
	memcpy(p + 96, s->chain, AQ_CHAIN_BYTES);
	memcpy(p + 128, s->public_key, AQ_KEY_BYTES);
	memcpy(p + 160, s->next_key, AQ_KEY_BYTES);
}

void aq_statement_sign(uint8_t bytes[AQ_STATEMENT_BYTES], const uint8_t *secret_key)
{
	uint8_t message[PURPOSE_BYTES + AQ_STATEMENT_SIGNED_BYTES];
	signed_message(bytes, message);
	crypto_sign_detached(bytes + AQ_STATEMENT_SIGNED_BYTES, NULL, message, sizeof(message), secret_key);
}

void aq_statement_read(const uint8_t bytes[AQ_STATEMENT_BYTES], struct aq_statement *ret)
{
	struct aq_bytes r = aq_bytes_of(bytes, AQ_STATEMENT_BYTES);
	ret->flags = aq_bytes_u32(&r);
	aq_bytes_u32(&r);
	ret->epoch = aq_bytes_u64(&r);
	memcpy(ret->capture_id, aq_bytes_take(&r, 16), 16);
	ret->segment = aq_bytes_u64(&r);
	ret->block = aq_bytes_u64(&r);
	ret->bytes = aq_bytes_u64(&r);
	ret->events = aq_bytes_u64(&r);
	ret->first_ns = aq_bytes_u64(&r);
	ret->last_ns = aq_bytes_u64(&r);
	ret->boot_ns = aq_bytes_u64(&r);
	ret->real_ns = aq_bytes_u64(&r);
	memcpy(ret->chain, aq_bytes_take(&r, AQ_CHAIN_BYTES), AQ_CHAIN_BYTES);
	memcpy(ret->public_key, aq_bytes_take(&r, AQ_KEY_BYTES), AQ_KEY_BYTES);
	memcpy(ret->next_key, aq_bytes_take(&r, AQ_KEY_BYTES), AQ_KEY_BYTES);
}

bool aq_statement_is_genuine(const uint8_t bytes[AQ_STATEMENT_BYTES])
{
	uint8_t message[PURPOSE_BYTES + AQ_STATEMENT_SIGNED_BYTES];
	signed_message(bytes, message);
	return crypto_sign_verify_detached(bytes + AQ_STATEMENT_SIGNED_BYTES, message, sizeof(message), bytes + 128) == 0;
}

bool aq_manifest_read_start(struct aq_bytes *r, uint8_t ret_capture_id[16], const uint8_t **ret_carried)
{
	const uint8_t *id = aq_bytes_take(r, 16);
	uint32_t count = aq_bytes_u32(r);
	aq_bytes_u32(r);
	if (r->failed || count > 1 || aq_bytes_left(r) != count * (size_t)AQ_STATEMENT_BYTES)
		return false;
	memcpy(ret_capture_id, id, 16);
	*ret_carried = count ? aq_bytes_take(r, AQ_STATEMENT_BYTES) : NULL;
	return true;
}

bool aq_manifest_read_entry(struct aq_bytes *r, struct aq_manifest_entry *ret)
{
	ret->segment = aq_bytes_u64(r);
	ret->bytes = aq_bytes_u64(r);
	ret->events = aq_bytes_u64(r);
	ret->first_ns = aq_bytes_u64(r);
	ret->last_ns = aq_bytes_u64(r);
	const uint8_t *chain = aq_bytes_take(r, AQ_CHAIN_BYTES);
	ret->flags = aq_bytes_u32(r);
	ret->statement_count = aq_bytes_u32(r);
	if (r->failed || aq_bytes_left(r) / AQ_STATEMENT_BYTES != ret->statement_count || aq_bytes_left(r) % AQ_STATEMENT_BYTES)
		return false;
	memcpy(ret->chain, chain, AQ_CHAIN_BYTES);
	ret->statements = aq_bytes_take(r, (size_t)ret->statement_count * AQ_STATEMENT_BYTES);
	return true;
}

static int write_all(int fd, const uint8_t *p, size_t n, uint64_t offset)
{
	while (n) {
		ssize_t k = pwrite(fd, p, n, (off_t)offset);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -EIO;
		p += k;
		n -= (size_t)k;
		offset += (uint64_t)k;
	}
	return 0;
}

/* b: room for a header, then the payload. */
static int add_block(struct aq_manifest_writer *m, struct aq_buf *b)
{
	struct aq_block block = { .kind = AQ_BLOCK_MANIFEST, .number = m->number };
	uint8_t chain[AQ_CHAIN_BYTES];
	if (b->failed)
		return -ENOMEM;
	block.payload_bytes = b->len - AQ_BLOCK_HEADER_BYTES;
	block.payload_hash = XXH3_64bits(b->data + AQ_BLOCK_HEADER_BYTES, block.payload_bytes);
	aq_buf_pad8(b);
	if (b->failed)
		return -ENOMEM;
	aq_block_header_write(b->data, &block);
	aq_chain_next(m->chain, b->data, b->data + AQ_BLOCK_HEADER_BYTES, block.payload_bytes, chain);
	aq_chain_put(b->data, chain);
	int r = write_all(m->fd, b->data, b->len, m->bytes);
	if (r == 0 && fdatasync(m->fd) < 0)
		r = -errno;
	if (r < 0) {
		(void)!ftruncate(m->fd, (off_t)m->bytes); /* what could not be written whole is no block for any reader */
		return r;
	}
	memcpy(m->chain, chain, sizeof(chain));
	m->bytes += b->len;
	m->number++;
	return 0;
}

static void begin(struct aq_buf *b, enum aq_manifest_type type)
{
	static const uint8_t header[AQ_BLOCK_HEADER_BYTES];
	aq_buf_init(b, AQ_BLOCK_PAYLOAD_MAX + (size_t)AQ_BLOCK_HEADER_BYTES + 8);
	aq_buf_put(b, header, sizeof(header));
	aq_buf_put_u32(b, type);
	aq_buf_put_u32(b, 0);
}

/* The end of the last whole block of a manifest that is there already. */
static void find_end(struct aq_manifest_writer *m)
{
	struct stat st;
	struct aq_segment s = { .fd = m->fd, .path = (char *)AQ_MANIFEST_NAME };
	struct aq_block block;
	uint8_t header[AQ_BLOCK_HEADER_BYTES], start[16];
	if (fstat(m->fd, &st) < 0)
		return;
	s.bytes = (uint64_t)st.st_size;
	while (s.bytes - m->bytes >= AQ_BLOCK_HEADER_BYTES && aq_block_at(&s, m->bytes, &block)) {
		uint64_t whole = AQ_BLOCK_HEADER_BYTES + ((block.payload_bytes + 7) & ~7ull);
		if (whole > s.bytes - m->bytes || aq_segment_read(&s, header, sizeof(header), m->bytes) < 0)
			break;
		memcpy(m->chain, header + AQ_BLOCK_CHAIN_AT, AQ_CHAIN_BYTES);
		if (block.payload_bytes >= sizeof(start) &&
		    aq_segment_read(&s, start, sizeof(start), m->bytes + AQ_BLOCK_HEADER_BYTES) == 0) {
			struct aq_bytes r = aq_bytes_of(start, sizeof(start));
			uint32_t type = aq_bytes_u32(&r);
			aq_bytes_u32(&r);
			if (type == AQ_MANIFEST_SEGMENT)
				m->last_segment = aq_bytes_u64(&r);
		}
		m->number = block.number + 1;
		m->bytes += whole;
	}
}

int aq_manifest_carry(struct aq_manifest_writer *m, const uint8_t capture_id[16], const uint8_t *carried)
{
	struct aq_buf b;
	begin(&b, AQ_MANIFEST_START);
	aq_buf_put(&b, capture_id, 16);
	aq_buf_put_u32(&b, carried ? 1 : 0);
	aq_buf_put_u32(&b, 0);
	if (carried)
		aq_buf_put(&b, carried, AQ_STATEMENT_BYTES);
	int r = add_block(m, &b);
	aq_buf_release(&b);
	return r;
}

int aq_manifest_open(int dir_fd, const uint8_t capture_id[16], const uint8_t *carried, struct aq_manifest_writer *ret)
{
	*ret = (struct aq_manifest_writer){ .fd = openat(dir_fd, AQ_MANIFEST_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) };
	if (ret->fd < 0)
		return -errno;
	find_end(ret);
	if (ftruncate(ret->fd, (off_t)ret->bytes) < 0) /* a torn end */
		return -errno;
	return aq_manifest_carry(ret, capture_id, carried);
}

int aq_manifest_add(struct aq_manifest_writer *m, const struct aq_manifest_entry *e)
{
	struct aq_buf b;
	begin(&b, AQ_MANIFEST_SEGMENT);
	aq_buf_put_u64(&b, e->segment);
	aq_buf_put_u64(&b, e->bytes);
	aq_buf_put_u64(&b, e->events);
	aq_buf_put_u64(&b, e->first_ns);
	aq_buf_put_u64(&b, e->last_ns);
	aq_buf_put(&b, e->chain, AQ_CHAIN_BYTES);
	aq_buf_put_u32(&b, e->flags);
	aq_buf_put_u32(&b, e->statement_count);
	aq_buf_put(&b, e->statements, (size_t)e->statement_count * AQ_STATEMENT_BYTES);
	int r = add_block(m, &b);
	if (r == 0)
		m->last_segment = e->segment;
	aq_buf_release(&b);
	return r;
}

struct adoption {
	const struct aq_segment *segment;
	struct aq_manifest_entry entry;
	struct aq_buf statements;
};

static int adopt_block(void *user, const struct aq_block *block)
{
	struct adoption *a = user;
	uint8_t header[AQ_BLOCK_HEADER_BYTES], bytes[AQ_STATEMENT_BYTES];
	struct aq_statement st;
	if (aq_segment_read(a->segment, header, sizeof(header), block->offset) == 0)
		memcpy(a->entry.chain, header + AQ_BLOCK_CHAIN_AT, AQ_CHAIN_BYTES);
	if (block->kind != AQ_BLOCK_SIGNATURE || block->payload_bytes != AQ_STATEMENT_BYTES ||
	    aq_segment_read(a->segment, bytes, sizeof(bytes), block->offset + AQ_BLOCK_HEADER_BYTES) < 0)
		return 0;
	aq_statement_read(bytes, &st);
	a->entry.flags = st.flags;
	a->entry.events = st.events;
	a->entry.first_ns = st.first_ns;
	a->entry.last_ns = st.last_ns;
	aq_buf_put(&a->statements, bytes, sizeof(bytes));
	return a->statements.failed ? -ENOMEM : 0;
}

static void step_over(void *user, uint64_t offset, uint64_t bytes, const char *text)
{
	(void)user;
	(void)offset;
	(void)bytes;
	(void)text;
}

int aq_manifest_adopt(struct aq_manifest_writer *m, const char *path, uint64_t number)
{
	struct aq_segment s = { .path = (char *)path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) };
	struct adoption a = { .segment = &s, .entry = { .segment = number, .first_ns = UINT64_MAX } };
	struct stat st;
	if (s.fd < 0 || fstat(s.fd, &st) < 0) {
		int code = -errno;
		if (s.fd >= 0)
			close(s.fd);
		return code;
	}
	s.bytes = a.entry.bytes = (uint64_t)st.st_size;
	aq_buf_init(&a.statements, (size_t)AQ_STATEMENTS_MAX * AQ_STATEMENT_BYTES);
	int r = aq_segment_walk(&s, adopt_block, step_over, &a);
	a.entry.statements = a.statements.data;
	a.entry.statement_count = (uint32_t)(a.statements.len / AQ_STATEMENT_BYTES);
	if (r == 0)
		r = aq_manifest_add(m, &a.entry);
	aq_buf_release(&a.statements);
	close(s.fd);
	return r;
}

void aq_manifest_close(struct aq_manifest_writer *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}
