/* SPDX-License-Identifier: Apache-2.0 */
/* aq-libs: aq_segment aq_schema aq_base */
/*
 * Everything that somebody with the files in his hands can do to a capture, with checksums mended: what the chain, the
 * signatures and the manifest say to it, where, and in which words.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "format/segment/evidence.h"
#include "format/segment/manifest.h"
#include "format/segment/writer.h"
#include "tests/unit/aq_test.h"

enum { SEGMENTS = 3, FLUSHES = 3, EVENTS = 10, BLOCKS_MAX = 64, FILE_MAX = 1 << 16 };

static char folder[64];

static void begin(void)
{
	AQ_REQUIRE(sodium_init() >= 0);
	strcpy(folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/aquila-evidence-XXXXXX" : "/tmp/aquila-evidence-XXXXXX");
	AQ_REQUIRE(mkdtemp(folder) != NULL);
}

static const char *at(const char *name)
{
	static char paths[8][256];
	static unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static void empty(const char *path)
{
	char file[600];
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		if (unlink(file) < 0)
			empty(file);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static void end(void)
{
	empty(folder);
}

struct pair {
	char path[256];
	uint8_t public_key[AQ_PUBLIC_KEY_BYTES]; /* of epoch 0 */
};

static void make_key_file(const char *path)
{
	struct aq_keys keys = { .count = 1 };
	struct aq_err err = { 0 };
	AQ_REQUIRE(aq_key_generate(AQ_KEY_SIGN_SECRET, &keys.key[0]) == 0);
	AQ_REQUIRE(aq_keys_save(&keys, path, false, &err) == 0);
	aq_keys_wipe(&keys);
}

static struct pair make_key(const char *name)
{
	struct pair pair = { 0 };
	struct aq_signer *signer = NULL;
	struct aq_err err = { 0 };
	snprintf(pair.path, sizeof(pair.path), "%s", at(name));
	make_key_file(pair.path);
	AQ_REQUIRE(aq_signer_new(pair.path, &signer, &err) == 0);
	AQ_CHECK_EQ_U64(aq_signer_epoch(signer), 0);
	memcpy(pair.public_key, aq_signer_public_key(signer), sizeof(pair.public_key));
	aq_signer_free(signer);
	return pair;
}

/* Every write beyond so many bytes of a file fails, until it is 0. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;
	signal(SIGXFSZ, SIG_IGN);
	AQ_REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
	limit.rlim_cur = bytes ? bytes : limit.rlim_max;
	AQ_REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

/* What failed is tried again when there is room. */
static void must(int r, struct aq_capture_writer *w)
{
	struct aq_err err = { 0 };
	if (r == 0)
		return;
	limit_files(0);
	r = aq_capture_writer_resume(w, &err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.text);
	AQ_REQUIRE(r == 0);
}

/* SEGMENTS segments of FLUSHES chunks, each chunk followed by a signature if there is a key. */
static void record_with(const char *name, const char *key, uint8_t id, bool close_it, bool append, rlim_t limit)
{
	const struct aq_capture_meta meta = { .host = "h", .boot_id = "b", .capture_id = { id }, .cpu_count = 1, .start_boot_ns = 1000,
					      .start_real_ns = 5000, .clock_ticks = 100, .page_size = 4096 };
	struct aq_writer_options options = { .segment_age_ns = 1000000, .sign_interval_ns = 1, .append = append };
	struct aq_capture_writer *w = NULL;
	struct aq_err err = { 0 };
	if (key)
		AQ_REQUIRE(aq_signer_new(key, &options.signer, &err) == 0);
	AQ_REQUIRE(aq_capture_writer_new(at(name), &meta, &options, &w, &err) == 0);
	if (limit)
		limit_files(limit);
	for (unsigned i = 0; i < SEGMENTS * FLUSHES * EVENTS; i++) {
		char text[32];
		struct aq_event ev = { .time_ns = 2000 + (uint64_t)(i / (FLUSHES * EVENTS)) * 2000000 + i, .pid = 10, .tid = 10,
				       .id = AQ_EV_openat, .cls = AQ_CLASS_IMPORTANT, .arg_count = 4, .args = { i }, .attr_count = 1 };
		snprintf(text, sizeof(text), "/etc/file-%u-of-%u", i, id);
		ev.attrs[0] = (struct aq_attr){ .key = AQ_ATTR_PATH, .data = text, .len = (uint32_t)strlen(text) };
		int r = aq_capture_writer_add(w, &ev, &err);
		AQ_REQUIRE(r == 0 || limit);
		must(r, w);
		r = i % EVENTS == EVENTS - 1 ? aq_capture_writer_flush(w, &err) : 0;
		AQ_REQUIRE(r == 0 || limit);
		must(r, w);
	}
	if (limit)
		limit_files(0);
	if (close_it)
		AQ_REQUIRE(aq_capture_writer_close(w, &err) == 0);
	if (key && !limit)
		AQ_CHECK_EQ_U64(aq_capture_writer_stats(w)->signatures, SEGMENTS * (FLUSHES + 1) - !close_it);
	aq_capture_writer_free(w);
	aq_signer_free(options.signer);
}

static void record(const char *name, const char *key, uint8_t id, bool close_it)
{
	record_with(name, key, id, close_it, false, 0);
}

struct file { /* a segment or the manifest, to be altered and written back */
	char path[256];
	uint8_t data[FILE_MAX];
	size_t size, block[BLOCKS_MAX + 1]; /* where blocks begin; the last one: where the trailer does */
	unsigned blocks;
};

static void find_blocks(struct file *f)
{
	struct aq_block block;
	size_t p = 0;
	for (f->blocks = 0; f->size - p >= AQ_BLOCK_HEADER_BYTES && aq_block_header_read(f->data + p, &block); f->blocks++) {
		AQ_REQUIRE(f->blocks < BLOCKS_MAX);
		f->block[f->blocks] = p;
		p += AQ_BLOCK_HEADER_BYTES + ((block.payload_bytes + 7) & ~7ull);
	}
	f->block[f->blocks] = p;
}

static struct file *load(const char *capture, const char *name)
{
	static struct file files[3];
	static unsigned next;
	struct file *f = &files[next++ % 3];
	snprintf(f->path, sizeof(f->path), "%s/%s", at(capture), name);
	int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	AQ_REQUIRE(fd >= 0);
	ssize_t n = read(fd, f->data, sizeof(f->data));
	close(fd);
	AQ_REQUIRE(n > 0 && n < FILE_MAX);
	f->size = (size_t)n;
	find_blocks(f);
	return f;
}

static void store(const struct file *f)
{
	int fd = open(f->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	AQ_REQUIRE(fd >= 0 && write(fd, f->data, f->size) == (ssize_t)f->size);
	close(fd);
}

static struct aq_block header(const struct file *f, unsigned i)
{
	struct aq_block block = { 0 };
	AQ_REQUIRE(aq_block_header_read(f->data + f->block[i], &block));
	return block;
}

static void mend(struct file *f, unsigned i) /* the checksums */
{
	uint8_t *h = f->data + f->block[i];
	uint64_t bytes, hash;
	memcpy(&bytes, h + 8, 8);
	hash = XXH3_64bits(h + AQ_BLOCK_HEADER_BYTES, bytes);
	memcpy(h + 24, &hash, 8);
	hash = XXH3_64bits(h, 72);
	memcpy(h + 72, &hash, 8);
}

static void renumber(struct file *f)
{
	find_blocks(f);
	for (uint64_t i = 0; i < f->blocks; i++) {
		memcpy(f->data + f->block[i] + 16, &i, 8);
		mend(f, (unsigned)i);
	}
}

/* The chain as the recorder would have written it over what is there now. */
static void chain_again(struct file *f, unsigned from)
{
	uint8_t value[AQ_CHAIN_BYTES];
	AQ_REQUIRE(from > 0);
	memcpy(value, f->data + f->block[from - 1] + AQ_BLOCK_CHAIN_AT, sizeof(value));
	for (unsigned i = from; i < f->blocks; i++) {
		uint8_t *h = f->data + f->block[i];
		mend(f, i);
		aq_chain_next(value, h, h + AQ_BLOCK_HEADER_BYTES, header(f, i).payload_bytes, value);
		aq_chain_put(h, value);
	}
}

static void cut_out(struct file *f, unsigned i)
{
	memmove(f->data + f->block[i], f->data + f->block[i + 1], f->size - f->block[i + 1]);
	f->size -= f->block[i + 1] - f->block[i];
}

static unsigned find_kind(const struct file *f, unsigned kind, unsigned n) /* the n-th, from 0 */
{
	for (unsigned i = 0; i < f->blocks; i++)
		if (header(f, i).kind == kind && n-- == 0)
			return i;
	AQ_REQUIRE(!"there is such a block");
	return 0;
}

static struct aq_evidence e;

static void check(const char *capture, const uint8_t *key)
{
	struct aq_err err = { 0 };
	aq_evidence_release(&e);
	struct aq_keys keys = { .count = 1, .key = { { .kind = AQ_KEY_SIGN_PUBLIC } } };
	if (key)
		memcpy(keys.key[0].bytes, key, AQ_KEY_BYTES);
	int r = aq_evidence_check(at(capture), key ? &keys : NULL, &e, &err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.text);
	AQ_REQUIRE(r == 0);
}

static const struct aq_finding *finding(enum aq_finding_kind kind, const char *text)
{
	for (size_t i = 0; i < e.finding_count; i++)
		if (e.findings[i].kind == kind && strstr(e.findings[i].text, text))
			return &e.findings[i];
	AQ_TEST_FAIL_("no %s finding has '%s'; there are %zu:", aq_finding_kind_name(kind), text, e.finding_count);
	for (size_t i = 0; i < e.finding_count; i++)
		fprintf(stderr, "\t%s %s@%llu: %s\n", aq_finding_kind_name(e.findings[i].kind), e.findings[i].file,
			(unsigned long long)e.findings[i].offset, e.findings[i].text);
	static const struct aq_finding none = { .file = (char *)"" };
	return &none;
}

static void nothing_found(void)
{
	for (size_t i = 0; i < e.finding_count; i++)
		AQ_TEST_FAIL_("%s: %s@%llu: %s", aq_finding_kind_name(e.findings[i].kind), e.findings[i].file,
			      (unsigned long long)e.findings[i].offset, e.findings[i].text);
}

AQ_TEST(what_was_not_touched_is_intact)
{
	begin();
	struct pair key = make_key("key"), other = make_key("other");
	record("signed", key.path, 1, true);
	check("signed", key.public_key);
	nothing_found();
	AQ_CHECK(e.chained && e.trusted && e.ended);
	AQ_CHECK_EQ_U64(e.signatures, SEGMENTS * (FLUSHES + 1));
	AQ_CHECK_EQ_U64(e.first_epoch, 0);
	AQ_CHECK_EQ_U64(e.last_epoch, SEGMENTS * (FLUSHES + 1) - 1);
	AQ_CHECK_EQ_U64(e.tail_blocks, 0);
	AQ_CHECK(e.signed_real_ns > 0 && e.signed_boot_ns > 0);
	AQ_CHECK_EQ_MEM(e.public_key, key.public_key, AQ_PUBLIC_KEY_BYTES);
	check("signed", NULL);
	nothing_found();
	AQ_CHECK(!e.trusted);
	AQ_CHECK_EQ_U64(e.signatures, SEGMENTS * (FLUSHES + 1));
	check("signed", other.public_key);
	nothing_found();
	AQ_CHECK(!e.trusted);
	check("signed/segment-000001.aqs", key.public_key);
	nothing_found();
	AQ_CHECK(e.trusted);
	check("signed/segment-000002.aqs", key.public_key);
	nothing_found();
	AQ_CHECK(!e.trusted); /* its epochs begin later */

	record("unsigned", NULL, 2, true);
	check("unsigned", key.public_key);
	nothing_found();
	AQ_CHECK(e.chained && !e.trusted);
	AQ_CHECK_EQ_U64(e.signatures, 0);
	AQ_CHECK_EQ_U64(e.tail_blocks, e.blocks);
	end();
}

AQ_TEST(a_key_signs_once_and_is_gone)
{
	begin();
	struct pair key = make_key("key");
	uint8_t before[4096], after[4096];
	int fd = open(key.path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, before, sizeof(before)), m;
	AQ_REQUIRE(n > 0);
	record("first", key.path, 1, true);
	/* the file that was replaced holds nothing of its secret any more */
	m = pread(fd, after, sizeof(after), 0);
	close(fd);
	for (ssize_t i = 0; i < m; i++)
		AQ_REQUIRE(after[i] == 0);
	struct aq_signer *signer = NULL, *stale = NULL;
	struct aq_statement st = { .segment = 1 };
	uint8_t bytes[AQ_STATEMENT_BYTES];
	struct aq_err err = { 0 };
	AQ_REQUIRE(aq_signer_new(key.path, &signer, &err) == 0);
	AQ_REQUIRE(aq_signer_new(key.path, &stale, &err) == 0);
	AQ_CHECK_EQ_U64(aq_signer_epoch(signer), SEGMENTS * (FLUSHES + 1));
	check("first", key.public_key);
	AQ_CHECK_EQ_MEM(e.next_key, aq_signer_public_key(signer), AQ_PUBLIC_KEY_BYTES);
	AQ_CHECK(aq_signer_sign(signer, &st, bytes, &err) == 0);
	AQ_CHECK(aq_statement_is_genuine(bytes));
	AQ_CHECK_EQ_INT(aq_signer_sign(stale, &st, bytes, &err), -ESTALE); /* an epoch that has signed does not sign again */
	AQ_CHECK(strstr(err.text, "another recorder") != NULL);
	aq_signer_free(signer);
	aq_signer_free(stale);
	struct stat s;
	AQ_CHECK(stat(key.path, &s) == 0 && (s.st_mode & 0777) == 0600);
	end();
}

AQ_TEST(the_next_recording_goes_on_with_the_key)
{
	begin();
	struct pair key = make_key("key");
	record("first", key.path, 1, true);
	check("first", key.public_key);
	uint8_t next[AQ_PUBLIC_KEY_BYTES];
	memcpy(next, e.next_key, sizeof(next));
	record("second", key.path, 2, true);
	check("second", next);
	nothing_found();
	AQ_CHECK(e.trusted);
	AQ_CHECK_EQ_U64(e.first_epoch, SEGMENTS * (FLUSHES + 1));
	/* the second's manifest keeps the signature that ended the first: its key leads here as well */
	check("second", key.public_key);
	nothing_found();
	AQ_CHECK(!e.trusted);
	struct aq_statement last;
	struct file *manifest = load("second", "manifest.aqm");
	aq_statement_read(manifest->data + AQ_BLOCK_HEADER_BYTES + 8 + 24, &last);
	check("second", last.public_key);
	nothing_found();
	AQ_CHECK(e.trusted);
	end();
}

AQ_TEST(chance_is_called_damage)
{
	begin();
	struct pair key = make_key("key");
	record("c", key.path, 1, true);
	struct file *f = load("c", "segment-000002.aqs");
	unsigned chunk = find_kind(f, AQ_BLOCK_CHUNK, 1);
	f->data[f->block[chunk] + 100] ^= 1;
	store(f);
	check("c", key.public_key);
	AQ_CHECK_EQ_U64(finding(AQ_FINDING_DAMAGED, "checksum is wrong")->offset, f->block[chunk]);
	AQ_CHECK_EQ_U64(e.altered, 0);
	AQ_CHECK(e.trusted && e.ended); /* what follows is still proven */
	AQ_CHECK_EQ_U64(e.signatures, SEGMENTS * (FLUSHES + 1));

	f->data[f->block[chunk] + 100] ^= 1;
	f->data[f->block[chunk] + 9] ^= 1; /* a header */
	store(f);
	check("c", key.public_key);
	AQ_CHECK_EQ_U64(e.altered, 0);
	AQ_CHECK(e.trusted && e.ended);
	f->data[f->block[chunk] + 9] ^= 1;
	store(f);

	/* any block, signatures too: of those the manifest has copies */
	for (const char *const *name = (const char *const[]){ "segment-000001.aqs", "segment-000002.aqs", "segment-000003.aqs", NULL };
	     *name; name++) {
		f = load("c", *name);
		for (unsigned i = 0; i < f->blocks; i++) {
			for (unsigned at_byte = 20; at_byte <= 90; at_byte += 70) {
				f->data[f->block[i] + at_byte] ^= 1;
				store(f);
				check("c", key.public_key);
				if (e.altered || !e.trusted || (at_byte == 90 && e.damaged != 1))
					AQ_TEST_FAIL_("byte %u of block %u of %s: %llu altered, %llu damaged, trusted %d: %s", at_byte, i, *name,
						      (unsigned long long)e.altered, (unsigned long long)e.damaged, e.trusted,
						      e.finding_count ? e.findings[0].text : "");
				f->data[f->block[i] + at_byte] ^= 1;
			}
		}
		store(f);
	}
	/* without copies the key is lost on the way */
	AQ_REQUIRE(unlink(at("c/manifest.aqm")) == 0);
	f = load("c", "segment-000002.aqs");
	f->data[f->block[find_kind(f, AQ_BLOCK_SIGNATURE, 1)] + 90] ^= 1;
	store(f);
	check("c", key.public_key);
	finding(AQ_FINDING_DAMAGED, "the signatures of epochs 5 to 5 are damaged");
	AQ_CHECK(!e.trusted);
	end();
}

AQ_TEST(damage_does_not_hide_what_was_altered_before_it)
{
	begin();
	struct pair key = make_key("key");
	record("c", key.path, 1, true);
	struct file *f = load("c", "segment-000002.aqs");
	struct aq_statement before, after;
	unsigned chunk = find_kind(f, AQ_BLOCK_CHUNK, 1), signature = find_kind(f, AQ_BLOCK_SIGNATURE, 1);
	aq_statement_read(f->data + f->block[find_kind(f, AQ_BLOCK_SIGNATURE, 0)] + AQ_BLOCK_HEADER_BYTES, &before);
	aq_statement_read(f->data + f->block[signature] + AQ_BLOCK_HEADER_BYTES, &after);
	AQ_REQUIRE(signature > chunk + 1);
	/* a forged chunk, chained anew, then damage before the signature, so that nothing joins the two */
	uint8_t kept[AQ_CHAIN_BYTES];
	memcpy(kept, f->data + f->block[signature - 1] + AQ_BLOCK_CHAIN_AT, sizeof(kept));
	f->data[f->block[chunk + 1] - 20] ^= 1;
	chain_again(f, chunk);
	aq_chain_put(f->data + f->block[signature - 1], kept);
	f->data[f->block[signature - 1] + AQ_BLOCK_HEADER_BYTES] ^= 1;
	store(f);
	check("c", key.public_key);
	const struct aq_finding *found = finding(AQ_FINDING_DAMAGED, "its checksum is wrong");
	AQ_CHECK_EQ_U64(found->offset, f->block[signature - 1]);
	AQ_CHECK_EQ_U64(found->from_real_ns, before.real_ns); /* from there on nothing is proven */
	AQ_CHECK_EQ_U64(found->to_real_ns, after.real_ns);
	end();
}

AQ_TEST(every_byte_with_mended_checksums)
{
	begin();
	struct pair key = make_key("key");
	record("c", key.path, 1, true);
	struct file *f = load("c", "segment-000002.aqs");
	for (unsigned i = 0; i < f->blocks; i++) {
		size_t bytes = AQ_BLOCK_HEADER_BYTES + header(f, i).payload_bytes;
		for (size_t p = 4; p < bytes; p += p < AQ_BLOCK_HEADER_BYTES ? 3 : 23) {
			if ((p >= 8 && p < 16) || (p >= 24 && p < 32) || p >= 72) /* the length, and what is mended */
				if (p < AQ_BLOCK_HEADER_BYTES)
					continue;
			uint8_t saved[AQ_BLOCK_HEADER_BYTES];
			memcpy(saved, f->data + f->block[i], sizeof(saved));
			f->data[f->block[i] + p] ^= 0x10;
			mend(f, i);
			store(f);
			check("c", key.public_key);
			if (!e.altered)
				AQ_TEST_FAIL_("byte %zu of block %u (kind %u) altered, and nobody says so", p, i, header(f, i).kind);
			else if (e.findings[0].offset != f->block[i] && e.findings[0].offset != f->block[i + 1])
				AQ_TEST_FAIL_("byte %zu of block %u: named at %llu", p, i, (unsigned long long)e.findings[0].offset);
			f->data[f->block[i] + p] ^= 0x10;
			memcpy(f->data + f->block[i], saved, sizeof(saved));
			if (p >= AQ_BLOCK_HEADER_BYTES)
				mend(f, i);
		}
	}
	store(f);
	check("c", key.public_key);
	nothing_found();
	end();
}

AQ_TEST(an_altered_event_is_between_two_signatures)
{
	begin();
	struct pair key = make_key("key");
	record("c", key.path, 1, true);
	struct file *f = load("c", "segment-000002.aqs");
	unsigned chunk = find_kind(f, AQ_BLOCK_CHUNK, 1);
	struct aq_statement before, after;
	aq_statement_read(f->data + f->block[find_kind(f, AQ_BLOCK_SIGNATURE, 0)] + AQ_BLOCK_HEADER_BYTES, &before);
	aq_statement_read(f->data + f->block[find_kind(f, AQ_BLOCK_SIGNATURE, 1)] + AQ_BLOCK_HEADER_BYTES, &after);
	f->data[f->block[chunk + 1] - 20] ^= 1;
	mend(f, chunk);
	store(f);
	check("c", key.public_key);
	AQ_CHECK_EQ_U64(e.altered, 1);
	const struct aq_finding *found = finding(AQ_FINDING_ALTERED, "the chain breaks");
	AQ_CHECK_EQ_U64(found->offset, f->block[chunk]);
	AQ_CHECK_EQ_U64(found->from_real_ns, before.real_ns);
	AQ_CHECK_EQ_U64(found->to_real_ns, after.real_ns);

	/* the chain mended up to the end of the segment: the signatures don't fit, nor does the next segment */
	chain_again(f, chunk);
	store(f);
	check("c", key.public_key);
	found = finding(AQ_FINDING_ALTERED, "does not fit");
	AQ_CHECK_EQ_U64(found->offset, f->block[find_kind(f, AQ_BLOCK_SIGNATURE, 1)]);
	AQ_CHECK_EQ_U64(found->from_real_ns, before.real_ns);
	AQ_CHECK_EQ_U64(found->to_real_ns, after.real_ns);
	finding(AQ_FINDING_ALTERED, "not the one that the manifest lists");

	/* without signatures, the manifest and the next segment tell */
	record("u", NULL, 2, true);
	f = load("u", "segment-000002.aqs");
	f->data[f->block[3] - 20] ^= 1;
	chain_again(f, 2);
	store(f);
	check("u", NULL);
	finding(AQ_FINDING_ALTERED, "not the one that the manifest lists");
	AQ_REQUIRE(unlink(at("u/manifest.aqm")) == 0);
	check("u", NULL);
	finding(AQ_FINDING_ALTERED, "does not follow the one before it");
	finding(AQ_FINDING_NOTE, "there is no manifest");
	end();
}

AQ_TEST(blocks_taken_away_added_or_moved)
{
	begin();
	struct pair key = make_key("key");
	record("c", key.path, 1, true);
	unsigned blocks = load("c", "segment-000002.aqs")->blocks;
	struct file *whole = load("c", "segment-000002.aqs");
	for (unsigned i = 1; i < blocks; i++) {
		for (int numbers = 0; numbers < 2; numbers++) {
			static struct file f;
			f = *whole;
			cut_out(&f, i);
			if (numbers)
				renumber(&f);
			store(&f);
			check("c", key.public_key);
			if (!e.altered)
				AQ_TEST_FAIL_("block %u cut out%s, and nobody says so", i, numbers ? " and renumbered" : "");

			f = *whole; /* twice */
			size_t bytes = f.block[i + 1] - f.block[i];
			memmove(f.data + f.block[i + 1] + bytes, f.data + f.block[i + 1], f.size - f.block[i + 1]);
			memcpy(f.data + f.block[i + 1], f.data + f.block[i], bytes);
			f.size += bytes;
			if (numbers)
				renumber(&f);
			store(&f);
			check("c", key.public_key);
			if (!e.altered)
				AQ_TEST_FAIL_("block %u doubled%s, and nobody says so", i, numbers ? " and renumbered" : "");

			if (i + 1 == blocks)
				continue;
			f = *whole; /* the next one first */
			size_t more = f.block[i + 2] - f.block[i + 1];
			memmove(f.data + f.block[i], whole->data + f.block[i + 1], more);
			memmove(f.data + f.block[i] + more, whole->data + f.block[i], bytes);
			if (numbers)
				renumber(&f);
			store(&f);
			check("c", key.public_key);
			if (!e.altered)
				AQ_TEST_FAIL_("blocks %u and %u swapped%s, and nobody says so", i, i + 1, numbers ? " and renumbered" : "");
		}
	}
	struct file *f = load("c", "segment-000001.aqs");
	cut_out(f, 3);
	store(f);
	store(whole);
	check("c", key.public_key);
	finding(AQ_FINDING_ALTERED, "1 block was removed");
	end();
}

AQ_TEST(segments_exchanged)
{
	begin();
	struct pair key = make_key("key");
	record("c", key.path, 1, true);
	record("other", key.path, 2, true);
	AQ_REQUIRE(rename(at("c/segment-000002.aqs"), at("kept")) == 0);
	AQ_REQUIRE(rename(at("other/segment-000002.aqs"), at("c/segment-000002.aqs")) == 0);
	check("c", key.public_key);
	AQ_CHECK(strstr(finding(AQ_FINDING_ALTERED, "belongs to another capture")->file, "segment-000002") != NULL);
	/* segments 2 and 3 under each other's name */
	AQ_REQUIRE(rename(at("c/segment-000003.aqs"), at("c/segment-000002.aqs")) == 0);
	AQ_REQUIRE(rename(at("kept"), at("c/segment-000003.aqs")) == 0);
	check("c", key.public_key);
	finding(AQ_FINDING_ALTERED, "renumbered: it says that it is number 3");
	finding(AQ_FINDING_ALTERED, "renumbered: it says that it is number 2");
	/* the number in the header, too */
	struct file *f = load("c", "segment-000003.aqs");
	f->data[AQ_BLOCK_HEADER_BYTES + 32] = 3;
	mend(f, 0);
	store(f);
	AQ_REQUIRE(unlink(at("c/segment-000002.aqs")) == 0);
	check("c", key.public_key);
	AQ_CHECK(e.altered > 0);
	end();
}

AQ_TEST(an_end_cut_off)
{
	begin();
	struct pair key = make_key("key");
	record("c", key.path, 1, true);
	struct file *f = load("c", "segment-000003.aqs");
	unsigned signature = find_kind(f, AQ_BLOCK_SIGNATURE, 1);
	struct aq_statement st;
	aq_statement_read(f->data + f->block[signature] + AQ_BLOCK_HEADER_BYTES, &st);
	f->size = f->block[signature + 1];
	store(f);
	check("c", key.public_key);
	finding(AQ_FINDING_ALTERED, "the end is missing: the segment had");
	f->size -= 3; /* no clean cut */
	store(f);
	check("c", key.public_key);
	finding(AQ_FINDING_DAMAGED, "the end is missing: the segment had");
	/* with the manifest cut back too it looks like a recorder that was killed: proven up to there and no further */
	f->size += 3;
	store(f);
	f = load("c", "manifest.aqm");
	AQ_CHECK_EQ_INT(f->blocks, 1 + SEGMENTS);
	f->size = f->block[f->blocks - 1];
	store(f);
	check("c", key.public_key);
	nothing_found();
	AQ_CHECK(e.trusted && !e.ended);
	AQ_CHECK_EQ_U64(e.signed_real_ns, st.real_ns);
	/* whole segments gone, with their entries: the last one that is there was not the last */
	AQ_REQUIRE(unlink(at("c/segment-000003.aqs")) == 0);
	check("c", key.public_key);
	finding(AQ_FINDING_REMOVED, "did not end with segment 2");
	AQ_CHECK(!e.ended);
	end();
}

AQ_TEST(removed_segments_are_named_and_the_key_goes_on)
{
	begin();
	struct pair key = make_key("key"), other = make_key("other");
	record("c", key.path, 1, true);
	AQ_REQUIRE(rename(at("c/segment-000001.aqs"), at("first")) == 0);
	check("c", key.public_key);
	finding(AQ_FINDING_REMOVED, "segment 1 was removed: 30 events are unknown");
	AQ_CHECK_EQ_U64(e.altered + e.damaged, 0);
	AQ_CHECK(e.trusted && e.ended);
	AQ_REQUIRE(rename(at("c/segment-000002.aqs"), at("second")) == 0);
	check("c", key.public_key);
	finding(AQ_FINDING_REMOVED, "segments 1 to 2 were removed: 60 events are unknown");
	AQ_CHECK_EQ_U64(e.altered + e.damaged, 0);
	AQ_CHECK(e.trusted && e.ended);
	AQ_REQUIRE(rename(at("c/segment-000003.aqs"), at("third")) == 0);
	AQ_REQUIRE(rename(at("first"), at("c/segment-000001.aqs")) == 0);
	check("c", key.public_key);
	finding(AQ_FINDING_REMOVED, "segments 2 to 3 were removed: 60 events are unknown");
	AQ_CHECK(e.trusted && e.ended);

	/* a manifest that was made to say something else */
	AQ_REQUIRE(rename(at("second"), at("c/segment-000002.aqs")) == 0);
	AQ_REQUIRE(rename(at("third"), at("c/segment-000003.aqs")) == 0);
	AQ_REQUIRE(unlink(at("c/segment-000002.aqs")) == 0);
	struct file *f = load("c", "manifest.aqm");
	f->data[f->block[2] + AQ_BLOCK_HEADER_BYTES + 8 + 16] = 7; /* events */
	mend(f, 2);
	store(f);
	check("c", key.public_key);
	finding(AQ_FINDING_ALTERED, "the manifest's chain breaks at block 2");
	chain_again(f, 2);
	store(f);
	check("c", key.public_key);
	finding(AQ_FINDING_ALTERED, "what the manifest says of segment 2 is not what was signed");
	/* or nothing at all of that segment */
	cut_out(f, 2);
	renumber(f);
	chain_again(f, 2);
	store(f);
	check("c", key.public_key);
	finding(AQ_FINDING_REMOVED, "segment 2 was removed, and the manifest does not say");
	finding(AQ_FINDING_ALTERED, "the signatures of epochs 4 to 7 are missing");
	AQ_CHECK(!e.trusted);
	AQ_REQUIRE(unlink(at("c/manifest.aqm")) == 0);
	check("c", other.public_key);
	finding(AQ_FINDING_ALTERED, "the manifest was removed");
	end();
}

AQ_TEST(signed_again)
{
	begin();
	struct pair key = make_key("key"), intruder = make_key("intruder");
	record("c", intruder.path, 1, true); /* all of it */
	check("c", key.public_key);
	nothing_found();
	AQ_CHECK(!e.trusted && e.signatures > 0);
	AQ_CHECK_EQ_MEM(e.public_key, intruder.public_key, AQ_PUBLIC_KEY_BYTES);

	record("d", key.path, 1, true); /* from some point on */
	struct file *f = load("d", "segment-000002.aqs");
	unsigned i = find_kind(f, AQ_BLOCK_SIGNATURE, 1);
	uint8_t *bytes = f->data + f->block[i] + AQ_BLOCK_HEADER_BYTES, public_key[32], secret_key[64];
	struct aq_statement st;
	aq_statement_read(bytes, &st);
	crypto_sign_keypair(public_key, secret_key);
	memcpy(st.public_key, public_key, sizeof(public_key));
	aq_statement_write(&st, bytes);
	aq_statement_sign(bytes, secret_key);
	AQ_CHECK(aq_statement_is_genuine(bytes));
	chain_again(f, i);
	store(f);
	check("d", key.public_key);
	AQ_CHECK_EQ_U64(finding(AQ_FINDING_ALTERED, "another key than the signature before vouches for")->offset, f->block[i]);
	AQ_CHECK(!e.trusted);
	bytes[10] ^= 1; /* not even that */
	chain_again(f, i);
	store(f);
	check("d", key.public_key);
	finding(AQ_FINDING_ALTERED, "is not genuine");
	/* a signature of another recording by the same key */
	cut_out(f, i);
	renumber(f);
	chain_again(f, i);
	store(f);
	check("d", key.public_key);
	finding(AQ_FINDING_ALTERED, "signatures of epochs 5 to 5 are missing");
	end();
}

AQ_TEST(a_signature_that_did_not_reach_its_segment)
{
	begin();
	struct pair key = make_key("key");
	record("c", key.path, 1, false); /* killed */
	struct file *f = load("c", "segment-000003.aqs");
	check("c", key.public_key);
	nothing_found();
	AQ_CHECK(e.trusted && !e.ended);
	AQ_CHECK_EQ_U64(e.signatures, SEGMENTS * (FLUSHES + 1) - 1);
	/* killed a little earlier, after its key's file had moved on; then the recorder starts again */
	unsigned i = find_kind(f, AQ_BLOCK_SIGNATURE, FLUSHES - 1);
	AQ_CHECK_EQ_INT(i + 1, f->blocks);
	uint8_t lost[AQ_STATEMENT_BYTES];
	memcpy(lost, f->data + f->block[i] + AQ_BLOCK_HEADER_BYTES, sizeof(lost));
	f->size = f->block[i];
	store(f);
	struct aq_signer *signer = NULL;
	struct aq_err err = { 0 };
	AQ_REQUIRE(aq_signer_new(key.path, &signer, &err) == 0);
	AQ_REQUIRE(aq_signer_carried(signer) != NULL);
	AQ_CHECK_EQ_MEM(aq_signer_carried(signer), lost, sizeof(lost));
	struct aq_manifest_writer m;
	int dir = open(at("c"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AQ_REQUIRE(aq_manifest_open(dir, (const uint8_t[16]){ 1 }, aq_signer_carried(signer), &m) == 0);
	AQ_CHECK_EQ_U64(m.number, 1 + (SEGMENTS - 1) + 1);
	aq_manifest_close(&m);
	close(dir);
	aq_signer_free(signer);
	check("c", key.public_key);
	nothing_found();
	AQ_CHECK(e.trusted);
	AQ_CHECK_EQ_U64(e.signatures, SEGMENTS * (FLUSHES + 1) - 1);
	/* what it vouches for can't be taken away */
	uint8_t value[AQ_CHAIN_BYTES];
	AQ_CHECK(aq_evidence_last_value(at("c/segment-000003.aqs"), value, &err) == 0);
	AQ_CHECK_EQ_MEM(value, f->data + f->block[i - 1] + AQ_BLOCK_CHAIN_AT, sizeof(value));
	f->size = f->block[i - 1];
	store(f);
	check("c", key.public_key);
	finding(AQ_FINDING_ALTERED, "which is not there any more");
	end();
}

AQ_TEST(continued_after_a_kill)
{
	begin();
	struct pair key = make_key("key");
	record("c", key.path, 1, false);
	/* its last signature did not get there */
	struct file *f = load("c", "segment-000003.aqs");
	f->size = f->block[f->blocks - 1];
	store(f);
	record_with("c", key.path, 9, true, true, 0);
	check("c", key.public_key);
	nothing_found();
	AQ_CHECK(e.trusted && e.ended);
	AQ_CHECK_EQ_U64(e.signatures, 2 * SEGMENTS * (FLUSHES + 1) - 1);
	AQ_CHECK_EQ_U64(e.last_epoch, 2 * SEGMENTS * (FLUSHES + 1) - 2);
	/* the segment of the killed recorder has its entry: when it is gone the key still goes on */
	AQ_CHECK_EQ_INT(load("c", "manifest.aqm")->blocks, 2 + 2 * SEGMENTS);
	AQ_REQUIRE(unlink(at("c/segment-000002.aqs")) == 0);
	check("c", key.public_key);
	finding(AQ_FINDING_REMOVED, "segment 2 was removed: 30 events are unknown");
	AQ_CHECK(e.trusted && e.ended);
	AQ_CHECK_EQ_U64(e.altered, 0);
	AQ_REQUIRE(unlink(at("c/segment-000003.aqs")) == 0); /* the one with the lost signature, too */
	check("c", key.public_key);
	finding(AQ_FINDING_REMOVED, "segments 2 to 3 were removed");
	AQ_CHECK(e.trusted && e.ended);
	AQ_CHECK_EQ_U64(e.altered, 0);
	end();
}

AQ_TEST(a_full_disk_is_no_intruder)
{
	unsigned carried = 0, unlisted = 0;
	begin();
	struct pair key = make_key("key");
	for (rlim_t limit = 600; limit < 4000; limit += 24) {
		record_with("c", key.path, (uint8_t)(limit / 24), true, false, limit); /* each with an id of its own */
		check("c", key.public_key);
		if (e.altered || e.damaged || !e.trusted || !e.ended)
			AQ_TEST_FAIL_("a limit of %llu bytes: %llu altered, %llu damaged, trusted %d, ended %d: %s", (unsigned long long)limit,
				      (unsigned long long)e.altered, (unsigned long long)e.damaged, e.trusted, e.ended,
				      e.finding_count ? e.findings[0].text : "");
		memcpy(key.public_key, e.next_key, sizeof(e.next_key));
		struct file *f = load("c", "manifest.aqm");
		for (unsigned i = 1; i < f->blocks; i++)
			carried += f->data[f->block[i] + AQ_BLOCK_HEADER_BYTES] == AQ_MANIFEST_START;
		for (size_t i = 0; i < e.finding_count; i++)
			unlisted += e.findings[i].kind == AQ_FINDING_NOTE;
		empty(at("c"));
	}
	AQ_CHECK(carried > 0); /* some of them hit a signature */
	AQ_CHECK_EQ_INT(unlisted, 0);
	end();
}

AQ_TEST_MAIN()
