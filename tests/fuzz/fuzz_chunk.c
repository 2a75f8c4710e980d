/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * A chunk and its attributes of any bytes, in a segment whose checksums are right. The directories are compressed here, so
 * that a changed byte in the input is a changed stream entry. Input: u16 lengths of zone map, directory, frames and the
 * attributes' directory, these in that order, then the attributes' frames.
 */
#include "tests/fuzz/craft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *part(struct aq_bytes *r, size_t wanted, size_t *ret_bytes)
{
	*ret_bytes = wanted < aq_bytes_left(r) ? wanted : aq_bytes_left(r);
	return aq_bytes_take(r, *ret_bytes);
}

/* The strings that chunks may name: generation 1, 64 of them. */
static void put_strings(struct craft *c)
{
	struct aq_buf b;
	uint8_t raw[64 * 2], packed[512];
	memset(raw, 1, 64);
	memset(raw + 64, 'x', 64);
	size_t n = ZSTD_compress(packed, sizeof(packed), raw, sizeof(raw), 1);
	aq_buf_init(&b, 4096);
	aq_buf_put_u32(&b, 1);
	aq_buf_put_u32(&b, 0);
	aq_buf_put_u32(&b, 64);
	aq_buf_put_u32(&b, sizeof(raw));
	aq_buf_put(&b, packed, n);
	craft_block(c, AQ_BLOCK_DICTIONARY, AQ_BLOCKF_REQUIRED, b.data, b.len);
	aq_buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aq_bytes r = aq_bytes_of(data, size);
	size_t n[4];
	const uint8_t *p[4];
	struct craft c;
	struct aq_buf b;
	int fd;
	if (size < 8 || size > 1 << 18)
		return 0;
	for (unsigned i = 0; i < 4; i++)
		n[i] = aq_bytes_u16(&r);
	for (unsigned i = 0; i < 4; i++)
		p[i] = part(&r, n[i], &n[i]);
	craft_begin(&c);
	put_strings(&c);
	aq_buf_init(&b, 1 << 20);
	craft_payload(&b, p[0], n[0], p[1], n[1], p[2], n[2]);
	craft_block(&c, AQ_BLOCK_CHUNK, AQ_BLOCKF_REQUIRED | AQ_BLOCKF_ATTRS, b.data, b.len);
	aq_buf_reset(&b);
	craft_payload(&b, NULL, 0, p[3], n[3], r.p, aq_bytes_left(&r));
	craft_block(&c, AQ_BLOCK_ATTRS, 0, b.data, b.len);
	struct aq_capture *capture = craft_open(&c, &fd);
	if (capture)
		craft_read_all(capture);
	aq_capture_close(capture);
	if (fd >= 0)
		close(fd);
	aq_buf_release(&b);
	aq_buf_release(&c.file);
	return 0;
}
