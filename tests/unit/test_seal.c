/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * Encrypted captures: who has a key reads all of it, who has none reads nothing, and what was altered, moved, exchanged or
 * put in by somebody without the key is found damaged, checksums or not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/key.h"
#include "format/segment/layout.h"
#include "format/segment/reader.h"
#include "format/segment/seal.h"
#include "format/segment/writer.h"
#include "tests/unit/aq_test.h"

enum { EVENTS = 3000, BLOCKS_MAX = 256, TABLE_AT = 76 /* of the recipients' fact in the header's payload */ };
#define HOST "needle-host.example"
#define TEXT "/needle/in/a/path"

static char folder[64];

static const char *capture_path(const char *name)
{
	static char path[4][160];
	static unsigned next;
	char *p = path[next++ % 4];
	if (!folder[0]) {
		strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/aquila-seal-XXXXXX" : "/tmp/aquila-seal-XXXXXX");
		AQ_REQUIRE(mkdtemp(folder) != NULL);
	}
	snprintf(p, sizeof(path[0]), "%s/%s.aquila", folder, name);
	return p;
}

static void remove_capture(const char *path)
{
	char file[600];
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		unlink(file);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
	if (rmdir(folder) == 0)
		folder[0] = '\0';
}

static const struct aq_capture_meta meta = {
	.host = HOST, .kernel_release = "needle-release", .kernel_version = "#needle", .machine = "needle64", .boot_id = "needle-boot",
	.recorder_version = "needle-0.1", .command = "needle-command", .features_json = "{\"needle\":1}",
	.policy_json = "{\"needle\":2}", .capture_id = { 1, 2, 3 }, .cpu_count = 4, .start_boot_ns = 1000, .start_real_ns = 5000000,
	.clock_ticks = 100, .page_size = 4096,
};

/* n secret keys, and their public ones. */
static void make_keys(size_t n, struct aq_keys *ret_secret, struct aq_keys *ret_public)
{
	ret_secret->count = ret_public->count = n;
	for (size_t i = 0; i < n; i++) {
		AQ_REQUIRE(aq_key_generate(AQ_KEY_SEAL_SECRET, &ret_secret->key[i]) == 0);
		AQ_REQUIRE(aq_key_public(&ret_secret->key[i], &ret_public->key[i]) == 0);
	}
}

static void write_capture(const char *path, const struct aq_keys *encrypt_to, uint64_t segment_bytes)
{
	const struct aq_writer_options options = { .encrypt_to = encrypt_to, .segment_bytes = segment_bytes, .chunk_events = 500,
						   .keep_pointers = true };
	struct aq_capture_writer *w = NULL;
	struct aq_err err = { 0 };
	AQ_REQUIRE(aq_capture_writer_new(path, &meta, &options, &w, &err) == 0);
	for (unsigned i = 0; i < EVENTS; i++) {
		char text[64];
		struct aq_event ev = { .time_ns = 2000 + i * 1000ull, .cgroup_id = 7, .ret = (int64_t)i, .pid = 100, .tid = 100 + i % 3,
				       .id = AQ_EV_openat, .cpu = (uint16_t)(i % 4), .cls = (uint8_t)aq_schema_event(AQ_EV_openat)->cls,
				       .arg_count = (uint8_t)aq_schema_number_count(aq_schema_event(AQ_EV_openat)), .attr_count = 1 };
		snprintf(text, sizeof(text), TEXT "/%u", i % 700);
		ev.attrs[0] = (struct aq_attr){ .key = AQ_ATTR_PATH, .data = text, .len = (uint32_t)strlen(text) };
		AQ_REQUIRE(aq_capture_writer_add(w, &ev, &err) == 0);
	}
	AQ_REQUIRE(aq_capture_writer_flush(w, &err) == 0);
	const struct aq_writer_stats *stats = aq_capture_writer_stats(w);
	struct aq_ledger_row rows[4];
	for (uint16_t cpu = 0; cpu < 4; cpu++) {
		uint8_t cls = (uint8_t)aq_schema_event(AQ_EV_openat)->cls;
		rows[cpu] = (struct aq_ledger_row){ .cpu = cpu, .cls = cls, .stored = stats->stored[cpu][cls],
						    .produced = stats->stored[cpu][cls] };
	}
	AQ_REQUIRE(aq_capture_writer_set_ledger(w, rows, 4, 3000000, 8000000, &err) == 0);
	AQ_REQUIRE(aq_capture_writer_close(w, &err) == 0);
	aq_capture_writer_free(w);
}

struct outcome {
	int code;
	uint64_t events, with_text, damages, locked_blocks, locked_bytes;
	bool locked, finished, intact;
	char host[64], text[512], first_damage[256];
};

static struct outcome read_capture(const char *path, const struct aq_keys *keys, bool allow_locked)
{
	const struct aq_open_options options = { .keys = keys, .allow_locked = allow_locked };
	struct outcome o = { 0 };
	struct aq_capture *c = NULL;
	struct aq_event_iter *it = NULL;
	struct aq_verify_result v;
	struct aq_event ev;
	struct aq_err err = { 0 };
	size_t n;
	o.code = aq_capture_open_with(path, &options, &c, &err);
	snprintf(o.text, sizeof(o.text), "%s", err.text);
	if (o.code < 0)
		return o;
	const struct aq_capture_info *info = aq_capture_info(c);
	o.locked = info->locked;
	o.finished = info->finished;
	o.locked_blocks = info->locked_blocks;
	o.locked_bytes = info->locked_bytes;
	snprintf(o.host, sizeof(o.host), "%s", info->host);
	AQ_REQUIRE(aq_event_iter_new(c, &(struct aq_iter_options){ 0 }, &it, &err) == 0);
	while (aq_event_iter_next(it, &ev, &err) == 1) {
		const struct aq_attr *a = aq_event_attr(&ev, AQ_ATTR_PATH);
		o.events++;
		o.with_text += a && a->len > strlen(TEXT) && memcmp(a->data, TEXT, strlen(TEXT)) == 0;
	}
	aq_event_iter_free(it);
	AQ_REQUIRE(aq_capture_verify(c, &v, NULL, NULL, &err) == 0);
	AQ_CHECK(v.locked == o.locked);
	const struct aq_damage *damages = aq_capture_damages(c, &n);
	o.damages = n;
	o.intact = n == 0 && v.finished && v.ledger_balances;
	if (n)
		memcpy(o.first_damage, damages[0].text, sizeof(o.first_damage));
	aq_capture_close(c);
	return o;
}

struct file { /* a segment in memory */
	char path[400];
	uint8_t *data;
	size_t bytes, blocks;
	struct aq_block block[BLOCKS_MAX];
};

static void file_load(struct file *f, const char *capture, unsigned segment)
{
	struct stat st;
	snprintf(f->path, sizeof(f->path), "%s/segment-%06u.aqs", capture, segment);
	int fd = open(f->path, O_RDONLY);
	AQ_REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
	f->bytes = (size_t)st.st_size;
	f->data = malloc(f->bytes);
	AQ_REQUIRE(f->data && read(fd, f->data, f->bytes) == st.st_size);
	close(fd);
	f->blocks = 0;
	for (size_t at = 0; at + AQ_BLOCK_HEADER_BYTES < f->bytes && f->blocks < BLOCKS_MAX;) {
		struct aq_block *b = &f->block[f->blocks++];
		AQ_REQUIRE(aq_block_header_read(f->data + at, b));
		b->offset = at;
		at += AQ_BLOCK_HEADER_BYTES + ((b->payload_bytes + 7) & ~7ull);
	}
}

static void file_store(const struct file *f, const uint8_t *data, size_t bytes)
{
	int fd = open(f->path, O_WRONLY | O_TRUNC);
	AQ_REQUIRE(fd >= 0 && write(fd, data, bytes) == (ssize_t)bytes);
	close(fd);
}

static size_t file_find(const struct file *f, enum aq_block_kind kind)
{
	for (size_t i = 0; i < f->blocks; i++)
		if (f->block[i].kind == kind)
			return i;
	return SIZE_MAX;
}

/* Checksums stop accidents, not people: they are made right after every change. */
static void mend(uint8_t *data, const struct aq_block *b)
{
	uint8_t *h = data + b->offset;
	uint64_t hash = XXH3_64bits(h + AQ_BLOCK_HEADER_BYTES, b->payload_bytes);
	memcpy(h + 24, &hash, 8);
	hash = XXH3_64bits(h, 72);
	memcpy(h + 72, &hash, 8);
}

static bool file_holds(const struct file *f, const char *text)
{
	return memmem(f->data, f->bytes, text, strlen(text)) != NULL;
}

AQ_TEST(each_recipient_reads_all_and_nobody_else_anything)
{
	static const size_t counts[] = { 1, 3, AQ_RECIPIENTS_MAX };
	for (size_t i = 0; i < 3; i++) {
		struct aq_keys secret, public, stranger, ignored;
		const char *path = capture_path("round");
		make_keys(counts[i], &secret, &public);
		make_keys(1, &stranger, &ignored);
		write_capture(path, &public, 0);
		for (size_t k = 0; k < counts[i]; k++) {
			struct aq_keys one = { .count = 2, .key = { stranger.key[0], secret.key[k] } };
			struct outcome o = read_capture(path, &one, false);
			AQ_CHECK_EQ_INT(o.code, 0);
			AQ_CHECK_EQ_U64(o.events, EVENTS);
			AQ_CHECK_EQ_U64(o.with_text, EVENTS);
			AQ_CHECK(o.intact && !o.locked);
			AQ_CHECK_EQ_STR(o.host, HOST);
		}
		char name[AQ_FINGERPRINT_TEXT_BYTES];
		uint8_t fingerprint[AQ_FINGERPRINT_BYTES];
		AQ_REQUIRE(aq_key_fingerprint(&public.key[0], fingerprint) == 0);
		aq_fingerprint_text(fingerprint, name);
		const struct aq_keys *useless[] = { NULL, &stranger, &public };
		for (size_t k = 0; k < 3; k++) {
			struct outcome o = read_capture(path, useless[k], false);
			AQ_CHECK_EQ_INT(o.code, -ENOKEY);
			AQ_CHECK(strstr(o.text, name) != NULL);
		}
		remove_capture(path);
	}
}

AQ_TEST(facts_are_the_same_with_and_without_encryption)
{
	struct aq_keys secret, public;
	struct aq_capture *a = NULL, *b = NULL;
	const char *plain = capture_path("plain"), *sealed = capture_path("sealed");
	make_keys(1, &secret, &public);
	write_capture(plain, NULL, 0);
	write_capture(sealed, &public, 0);
	AQ_REQUIRE(aq_capture_open(plain, &a, NULL) == 0);
	AQ_REQUIRE(aq_capture_open_with(sealed, &(struct aq_open_options){ .keys = &secret }, &b, NULL) == 0);
	const struct aq_capture_info *x = aq_capture_info(a), *y = aq_capture_info(b);
	AQ_CHECK(!x->encrypted && y->encrypted && !y->locked);
	AQ_CHECK_EQ_INT(y->recipient_count, 1);
	AQ_CHECK_EQ_STR(y->host, x->host);
	AQ_CHECK_EQ_STR(y->kernel_release, x->kernel_release);
	AQ_CHECK_EQ_STR(y->command, x->command);
	AQ_CHECK_EQ_STR(y->features_json, x->features_json);
	AQ_CHECK_EQ_STR(y->policy_json, x->policy_json);
	AQ_CHECK_EQ_MEM(y->capture_id, x->capture_id, 16);
	AQ_CHECK_EQ_INT(y->cpu_count, 4);
	AQ_CHECK_EQ_INT(y->time_resolution_ns, x->time_resolution_ns);
	AQ_CHECK(x->pointers_kept && y->pointers_kept);
	AQ_CHECK_EQ_U64(y->start_boot_ns, x->start_boot_ns);
	AQ_CHECK_EQ_U64(y->end_ns, x->end_ns);
	AQ_CHECK_EQ_U64(y->chunk_count, x->chunk_count);
	aq_capture_close(a);
	aq_capture_close(b);
	remove_capture(plain);
	remove_capture(sealed);
}

AQ_TEST(nothing_of_it_stands_in_clear_and_no_key_either)
{
	static const char *const needles[] = { HOST, "needle", TEXT };
	struct aq_keys secret, public;
	struct file plain, sealed;
	const char *a = capture_path("clear"), *b = capture_path("dark");
	make_keys(1, &secret, &public);
	write_capture(a, NULL, 0);
	write_capture(b, &public, 0);
	file_load(&plain, a, 1);
	file_load(&sealed, b, 1);
	AQ_CHECK(file_holds(&plain, HOST) && file_holds(&plain, "needle-command")); /* the search finds what is there */
	for (size_t i = 0; i < 3; i++)
		AQ_CHECK(!file_holds(&sealed, needles[i]));
	AQ_CHECK(memmem(sealed.data, sealed.bytes, secret.key[0].bytes, AQ_KEY_BYTES) == NULL);
	uint8_t *payload = sealed.data + AQ_BLOCK_HEADER_BYTES;
	struct aq_seal seal = { 0 };
	AQ_REQUIRE(aq_seal_open(&seal, payload + TABLE_AT + 8, AQ_RECIPIENT_BYTES, &secret) == 0);
	AQ_CHECK(memmem(sealed.data, sealed.bytes, seal.key, sizeof(seal.key)) == NULL);
	for (size_t i = 0; i < sealed.blocks; i++)
		AQ_CHECK(!(sealed.block[i].flags & AQ_BLOCKF_ENCRYPTED) == (sealed.block[i].kind == AQ_BLOCK_SEGMENT));
	free(plain.data);
	free(sealed.data);
	remove_capture(a);
	remove_capture(b);
}

AQ_TEST(each_segment_has_a_key_of_its_own)
{
	struct aq_keys secret, public;
	struct file first, second;
	struct aq_seal a = { 0 }, b = { 0 };
	const char *path = capture_path("segments");
	make_keys(2, &secret, &public);
	write_capture(path, &public, 4096);
	file_load(&first, path, 1);
	file_load(&second, path, 2);
	const size_t table = AQ_BLOCK_HEADER_BYTES + TABLE_AT + 8;
	AQ_REQUIRE(aq_seal_open(&a, first.data + table, 2 * AQ_RECIPIENT_BYTES, &secret) == 0);
	AQ_REQUIRE(aq_seal_open(&b, second.data + table, 2 * AQ_RECIPIENT_BYTES, &secret) == 0);
	AQ_CHECK(memcmp(a.key, b.key, sizeof(a.key)) != 0);
	struct outcome o = read_capture(path, &secret, false);
	AQ_CHECK(o.intact);
	AQ_CHECK_EQ_U64(o.events, EVENTS);
	/* one segment alone is a capture as well */
	o = read_capture(second.path, &secret, false);
	AQ_CHECK_EQ_INT(o.code, 0);
	AQ_CHECK_EQ_U64(o.damages, 0);
	AQ_CHECK_EQ_STR(o.host, HOST);
	free(first.data);
	free(second.data);
	remove_capture(path);
}

AQ_TEST(without_a_key_structure_and_checksums_are_checked)
{
	struct aq_keys secret, public;
	struct file f;
	const char *path = capture_path("locked");
	make_keys(1, &secret, &public);
	write_capture(path, &public, 0);
	file_load(&f, path, 1);
	struct outcome o = read_capture(path, NULL, true);
	AQ_CHECK_EQ_INT(o.code, 0);
	AQ_CHECK(o.locked && o.finished);
	AQ_CHECK_EQ_U64(o.damages, 0);
	AQ_CHECK_EQ_U64(o.events, 0);
	AQ_CHECK_EQ_U64(o.locked_blocks, f.blocks);
	AQ_CHECK(o.locked_bytes > 1000 && o.locked_bytes < f.bytes);
	AQ_CHECK_EQ_STR(o.host, "");
	for (size_t i = 1; i < f.blocks; i++) {
		f.data[f.block[i].offset + AQ_BLOCK_HEADER_BYTES + 3] ^= 1;
		file_store(&f, f.data, f.bytes);
		f.data[f.block[i].offset + AQ_BLOCK_HEADER_BYTES + 3] ^= 1;
		o = read_capture(path, NULL, true);
		AQ_CHECK(o.locked);
		AQ_CHECK_EQ_U64(o.damages, 1);
		AQ_CHECK(strstr(o.first_damage, "checksum") != NULL);
	}
	file_store(&f, f.data, f.bytes - 20); /* no trailer, no end of the footer */
	o = read_capture(path, NULL, true);
	AQ_CHECK(o.locked && !o.finished);
	AQ_CHECK_EQ_U64(o.damages, 1);
	free(f.data);
	remove_capture(path);
}

AQ_TEST(a_changed_bit_in_any_block_is_found_with_mended_checksums)
{
	struct aq_keys secret, public;
	struct file f;
	unsigned kinds = 0;
	const char *path = capture_path("flipped");
	make_keys(1, &secret, &public);
	write_capture(path, &public, 0);
	file_load(&f, path, 1);
	for (size_t i = 0; i < f.blocks; i++) {
		const struct aq_block *b = &f.block[i];
		bool header = b->kind == AQ_BLOCK_SEGMENT; /* its first bytes are the format's version; then clocks */
		const size_t places[] = { header ? 45 : 0, header ? 60 : b->payload_bytes / 2, b->payload_bytes - AQ_SEAL_TAG_BYTES - 1, b->payload_bytes - 1 };
		kinds |= 1u << b->kind;
		for (size_t k = 0; k < 4; k++) {
			uint8_t *at = f.data + b->offset + AQ_BLOCK_HEADER_BYTES + places[k], before[AQ_BLOCK_HEADER_BYTES];
			memcpy(before, f.data + b->offset, sizeof(before));
			*at ^= 0x10;
			mend(f.data, b);
			file_store(&f, f.data, f.bytes);
			*at ^= 0x10;
			memcpy(f.data + b->offset, before, sizeof(before));
			struct outcome o = read_capture(path, &secret, false);
			AQ_CHECK_EQ_INT(o.code, 0);
			AQ_CHECK(o.damages > 0 && !o.intact);
			if (b->kind == AQ_BLOCK_CHUNK)
				AQ_CHECK_EQ_U64(o.events, EVENTS - 500);
			else if (header) /* every block belongs to the header as it was */
				AQ_CHECK_EQ_U64(o.events, 0);
			else
				AQ_CHECK_EQ_U64(o.events, EVENTS);
		}
	}
	AQ_CHECK_EQ_INT(kinds, 1u << AQ_BLOCK_SEGMENT | 1u << AQ_BLOCK_DICTIONARY | 1u << AQ_BLOCK_CHUNK | 1u << AQ_BLOCK_ATTRS |
				       1u << AQ_BLOCK_LEDGER | 1u << AQ_BLOCK_FOOTER | 1u << AQ_BLOCK_FACTS);
	file_store(&f, f.data, f.bytes);
	AQ_CHECK(read_capture(path, &secret, false).intact);
	free(f.data);
	remove_capture(path);
}

AQ_TEST(headers_of_blocks_can_not_be_changed)
{
	struct aq_keys secret, public;
	struct file f;
	const char *path = capture_path("headers");
	make_keys(1, &secret, &public);
	write_capture(path, &public, 0);
	file_load(&f, path, 1);
	const struct aq_block *chunk = &f.block[file_find(&f, AQ_BLOCK_CHUNK)];
	static const struct {
		unsigned at, flip;
		const char *says;
	} changes[] = {
		{ 6, AQ_BLOCKF_ATTRS, "altered, or belongs elsewhere" },
		{ 6, AQ_BLOCKF_ENCRYPTED, "not encrypted, as it has to be" },
		{ 16, 2, "stands where block" }, /* its number */
		{ 4, AQ_BLOCK_CHUNK ^ AQ_BLOCK_LEDGER, "altered, or belongs elsewhere" },
		{ 64, 1, "altered, or belongs elsewhere" }, /* its nonce, which the footer does not know */
	};
	for (size_t n = 0; n < 2 * sizeof(changes) / sizeof(changes[0]); n++) {
		size_t i = n / 2;
		bool ended = n % 2; /* then the footer says what the header has to be; else only the encryption does */
		uint8_t *h = f.data + chunk->offset, before[AQ_BLOCK_HEADER_BYTES];
		memcpy(before, h, sizeof(before));
		h[changes[i].at] ^= (uint8_t)changes[i].flip;
		mend(f.data, chunk);
		file_store(&f, f.data, f.bytes - (ended ? 0 : AQ_TRAILER_BYTES));
		memcpy(h, before, sizeof(before));
		struct outcome o = read_capture(path, &secret, false);
		AQ_CHECK_EQ_U64(o.events, EVENTS - 500);
		if (!strstr(o.first_damage, ended && changes[i].at != 64 ? "its header is damaged" : changes[i].says))
			AQ_TEST_FAIL_("change %zu: %s", i, o.first_damage);
	}
	free(f.data);
	remove_capture(path);
}

AQ_TEST(blocks_of_another_capture_to_the_same_key_do_not_fit)
{
	struct aq_keys secret, public;
	struct file a, b;
	const char *first = capture_path("one"), *second = capture_path("other");
	make_keys(1, &secret, &public);
	write_capture(first, &public, 0);
	write_capture(second, &public, 0);
	file_load(&a, first, 1);
	file_load(&b, second, 1);
	AQ_REQUIRE(a.bytes == b.bytes); /* the same events */
	for (size_t i = 0; i < a.blocks; i++) {
		const struct aq_block *block = &a.block[i];
		size_t n = AQ_BLOCK_HEADER_BYTES + block->payload_bytes;
		AQ_REQUIRE(b.block[i].offset == block->offset && b.block[i].kind == block->kind);
		uint8_t *copy = malloc(a.bytes);
		AQ_REQUIRE(copy != NULL);
		memcpy(copy, a.data, a.bytes);
		memcpy(copy + block->offset, b.data + block->offset, n);
		file_store(&a, copy, a.bytes);
		free(copy);
		struct outcome o = read_capture(first, &secret, false);
		AQ_CHECK(o.damages > 0 && !o.intact);
		AQ_CHECK(strstr(o.first_damage, "decrypted") != NULL);
	}
	free(a.data);
	free(b.data);
	remove_capture(first);
	remove_capture(second);
}

AQ_TEST(cut_anywhere_the_rest_is_read_and_the_end_is_missing)
{
	struct aq_keys secret, public;
	struct file f;
	uint64_t before = 0;
	const char *path = capture_path("cut");
	make_keys(1, &secret, &public);
	write_capture(path, &public, 0);
	file_load(&f, path, 1);
	for (size_t i = 1; i < f.blocks; i++) {
		static const size_t behind[] = { 0, 1, 40, AQ_BLOCK_HEADER_BYTES, AQ_BLOCK_HEADER_BYTES + 15, AQ_BLOCK_HEADER_BYTES + 17 };
		for (size_t k = 0; k < sizeof(behind) / sizeof(behind[0]); k++) {
			file_store(&f, f.data, f.block[i].offset + behind[k]);
			struct outcome o = read_capture(path, &secret, false);
			AQ_CHECK_EQ_INT(o.code, 0);
			AQ_CHECK(!o.intact);
			AQ_CHECK(o.events >= before);
			before = o.events;
			AQ_CHECK_EQ_INT(read_capture(path, NULL, false).code, -ENOKEY);
		}
	}
	AQ_CHECK_EQ_U64(before, EVENTS);
	file_store(&f, f.data, 40);
	AQ_CHECK_EQ_INT(read_capture(path, &secret, true).code, -EBADMSG);
	free(f.data);
	remove_capture(path);
}

AQ_TEST(a_hostile_table_of_recipients_is_refused)
{
	static const uint32_t sizes[] = { 0, 1, 8, 95, 97, 80, 96 * 65, 1 << 20, UINT32_MAX, UINT32_MAX - 95 };
	struct aq_keys secret, public;
	struct file f;
	const char *path = capture_path("table");
	make_keys(1, &secret, &public);
	write_capture(path, &public, 0);
	file_load(&f, path, 1);
	uint8_t *payload = f.data + AQ_BLOCK_HEADER_BYTES, *size = payload + TABLE_AT + 4;
	AQ_REQUIRE(payload[TABLE_AT] == AQ_FACT_RECIPIENTS && size[0] == AQ_RECIPIENT_BYTES);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (int allow = 0; allow < 2; allow++) {
			memcpy(size, &sizes[i], 4);
			mend(f.data, &f.block[0]);
			file_store(&f, f.data, f.bytes);
			struct outcome o = read_capture(path, &secret, allow);
			AQ_CHECK(o.code == 0 || o.code == -EBADMSG);
			AQ_CHECK_EQ_U64(o.events, 0);
			AQ_CHECK(o.code < 0 || o.damages > 0);
		}
	/* more facts than there are */
	uint32_t facts = 64, right = AQ_RECIPIENT_BYTES;
	memcpy(size, &right, 4);
	memcpy(payload + TABLE_AT - 4, &facts, 4);
	mend(f.data, &f.block[0]);
	file_store(&f, f.data, f.bytes);
	struct outcome o = read_capture(path, &secret, false);
	AQ_CHECK_EQ_INT(o.code, -EBADMSG);
	AQ_CHECK(strstr(o.text, "header is cut") != NULL);
	/* no table at all: another key of a fact */
	facts = 1;
	memcpy(payload + TABLE_AT - 4, &facts, 4);
	payload[TABLE_AT] = 99;
	mend(f.data, &f.block[0]);
	file_store(&f, f.data, f.bytes);
	o = read_capture(path, &secret, true);
	AQ_CHECK(o.damages > 0 && o.events == 0);
	/* somebody else's table: no key fits, and there is nothing to read */
	payload[TABLE_AT] = AQ_FACT_RECIPIENTS;
	payload[TABLE_AT + 8] ^= 1;
	mend(f.data, &f.block[0]);
	file_store(&f, f.data, f.bytes);
	AQ_CHECK_EQ_INT(read_capture(path, &secret, false).code, -ENOKEY);
	free(f.data);
	remove_capture(path);
}

AQ_TEST(a_lost_header_costs_its_segment_and_says_so)
{
	struct aq_keys secret, public;
	struct file f;
	const char *path = capture_path("headless");
	make_keys(1, &secret, &public);
	write_capture(path, &public, 4096);
	file_load(&f, path, 2);
	f.data[AQ_BLOCK_HEADER_BYTES + 40] ^= 1;
	file_store(&f, f.data, f.bytes);
	struct outcome o = read_capture(path, &secret, false);
	AQ_CHECK_EQ_INT(o.code, 0);
	AQ_CHECK(o.events > 0 && o.events < EVENTS);
	AQ_CHECK(o.damages > 0 && !o.intact);
	free(f.data);
	remove_capture(path);
}

AQ_TEST(a_block_made_again_has_another_nonce)
{
	static const uint8_t text[32] = "the same contents, the same key";
	uint8_t first[48], second[48];
	struct aq_seal seal;
	struct aq_block a = { .kind = AQ_BLOCK_CHUNK, .number = 7, .payload_bytes = sizeof(first) }, b = a;
	aq_seal_begin(&seal);
	memcpy(first, text, sizeof(text));
	memcpy(second, text, sizeof(text));
	aq_seal_encrypt(&seal, &a, first);
	aq_seal_encrypt(&seal, &b, second); /* what a writer does after the first one could not be written */
	AQ_CHECK(a.nonce != b.nonce && memcmp(first, second, sizeof(text)) != 0);
	AQ_CHECK_EQ_INT(aq_seal_decrypt(&seal, &b, second), 0);
	AQ_CHECK_EQ_MEM(second, text, sizeof(text));
	memcpy(second, first, sizeof(first));
	AQ_CHECK_EQ_INT(aq_seal_decrypt(&seal, &b, second), -EBADMSG);
	AQ_CHECK_EQ_INT(aq_seal_decrypt(&seal, &a, first), 0);
	aq_seal_wipe(&seal);
}

AQ_TEST(only_what_is_begun_encrypted_goes_on_so)
{
	struct aq_keys secret, public;
	struct aq_capture_writer *w = NULL;
	struct aq_err err = { 0 };
	const char *plain = capture_path("begun-plain"), *sealed = capture_path("begun-sealed");
	make_keys(1, &secret, &public);
	write_capture(plain, NULL, 0);
	write_capture(sealed, &public, 0);
	struct aq_writer_options options = { .append = true, .keep_pointers = true, .encrypt_to = &public };
	AQ_CHECK_EQ_INT(aq_capture_writer_new(plain, &meta, &options, &w, &err), -EINVAL);
	AQ_CHECK(strstr(err.text, "can't be continued encrypted") != NULL);
	options.encrypt_to = NULL;
	AQ_CHECK_EQ_INT(aq_capture_writer_new(sealed, &meta, &options, &w, &err), -EINVAL);
	AQ_CHECK(strstr(err.text, "can't be continued unencrypted") != NULL);
	AQ_CHECK(read_capture(sealed, &secret, false).intact);
	remove_capture(plain);
	remove_capture(sealed);
}

/* A recorder that holds no key goes on with what it can't read. */
AQ_TEST(goes_on_without_a_key)
{
	struct aq_keys secret, public;
	struct aq_capture_writer *w = NULL;
	struct aq_capture *c = NULL;
	struct aq_err err = { 0 };
	const char *path = capture_path("goes-on");
	make_keys(1, &secret, &public);
	write_capture(path, &public, 0);
	struct aq_capture_meta again = meta;
	struct aq_writer_options options = { .append = true, .keep_pointers = true, .encrypt_to = &public };
	struct aq_event ev = { .time_ns = meta.start_boot_ns + 5000000000ull, .pid = 4711, .tid = 4711, .id = AQ_EV_getpid, .cls = 3 };
	uint64_t before = read_capture(path, &secret, false).events;

	again.start_boot_ns += 4000000000ull; /* later, the same boot */
	again.start_real_ns += 4000000000ull;
	again.boot_id = "another boot";
	AQ_CHECK_EQ_INT(aq_capture_writer_new(path, &again, &options, &w, &err), -EXDEV);
	again.boot_id = meta.boot_id;
	options.time_resolution_ns = 64;
	AQ_CHECK_EQ_INT(aq_capture_writer_new(path, &again, &options, &w, &err), -EXDEV);
	options.time_resolution_ns = 0;
	for (unsigned i = 0; i < 2; i++) { /* the second time what is there was not closed */
		AQ_REQUIRE(aq_capture_writer_new(path, &again, &options, &w, &err) == 0);
		AQ_REQUIRE(aq_capture_writer_add(w, &ev, NULL) == 0 && aq_capture_writer_flush(w, NULL) == 0);
		if (i == 1)
			AQ_REQUIRE(aq_capture_writer_close(w, NULL) == 0);
		aq_capture_writer_free(w);
		again.start_boot_ns += 4000000000ull;
		again.start_real_ns += 4000000000ull;
		ev.time_ns += 4000000000ull;
	}
	struct outcome all = read_capture(path, &secret, false);
	AQ_CHECK_EQ_U64(all.events, before + 2);
	AQ_REQUIRE(aq_capture_open_with(path, &(struct aq_open_options){ .keys = &secret }, &c, NULL) == 0);
	size_t n, down = 0;
	const struct aq_gap *gaps = aq_capture_gaps(c, &n);
	for (size_t i = 0; i < n; i++)
		down += gaps[i].reason == AQ_GAP_RECORDER_DOWN && gaps[i].first_ns >= meta.start_boot_ns && gaps[i].last_ns <= again.start_boot_ns;
	AQ_CHECK(down >= 2);
	AQ_CHECK_EQ_INT(aq_capture_info(c)->segment_count, 3);
	aq_capture_close(c);
	remove_capture(path);
}

AQ_TEST(keys_that_can_not_be_used_make_no_capture)
{
	struct aq_keys secret, public, none = { 0 }, zero = { .count = 1, .key = { { .kind = AQ_KEY_SEAL_PUBLIC } } };
	const struct aq_keys *const sets[] = { &none, &secret, &zero };
	make_keys(1, &secret, &public);
	for (size_t i = 0; i < 3; i++) {
		const char *path = capture_path("refused");
		const struct aq_writer_options options = { .encrypt_to = sets[i] };
		struct aq_capture_writer *w = NULL;
		struct aq_err err = { 0 };
		AQ_CHECK_EQ_INT(aq_capture_writer_new(path, &meta, &options, &w, &err), -EINVAL);
		AQ_CHECK(strstr(err.text, "encrypt") != NULL);
		AQ_CHECK(access(path, F_OK) != 0);
	}
	/* one key given twice is one recipient */
	const char *path = capture_path("twice");
	struct aq_capture *c = NULL;
	public.key[public.count++] = public.key[0];
	write_capture(path, &public, 0);
	AQ_REQUIRE(aq_capture_open_with(path, &(struct aq_open_options){ .keys = &secret }, &c, NULL) == 0);
	AQ_CHECK_EQ_INT(aq_capture_info(c)->recipient_count, 1);
	aq_capture_close(c);
	remove_capture(path);
}

AQ_TEST_MAIN()
