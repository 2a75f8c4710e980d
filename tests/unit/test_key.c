/* SPDX-License-Identifier: Apache-2.0 */
/* Key files: what is written is read, what is no key is refused with a reason, secrets that others may read too. */
/* aq-libs: aq_segment aq_base */
#include <errno.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/segment/key.h"
#include "tests/unit/aq_test.h"

static char folder[] = "/tmp/aq-test-key-XXXXXX";
static char path[256];

static void in_folder(const char *name)
{
	static bool made;
	if (!made)
		AQ_REQUIRE(mkdtemp(folder) != NULL);
	made = true;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
}

static void write_file(const char *text, size_t n, mode_t mode)
{
	FILE *f = fopen(path, "w");
	AQ_REQUIRE(f != NULL);
	AQ_REQUIRE(fwrite(text, 1, n, f) == n);
	AQ_REQUIRE(fchmod(fileno(f), mode) == 0 && fclose(f) == 0);
}

static int load_text(const char *text, mode_t mode, struct aq_keys *keys, struct aq_err *err)
{
	in_folder("text");
	write_file(text, strlen(text), mode);
	keys->count = 0;
	int r = aq_keys_load(keys, path, err);
	unlink(path);
	return r;
}

#define ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

AQ_TEST(what_is_saved_is_loaded)
{
	struct aq_keys keys = { .count = 4 }, back = { 0 };
	struct aq_err err = { 0 };
	struct stat st;
	AQ_REQUIRE(aq_key_generate(AQ_KEY_SIGN_SECRET, &keys.key[0]) == 0);
	keys.key[0].epoch = UINT64_MAX;
	AQ_REQUIRE(aq_key_generate(AQ_KEY_SEAL_SECRET, &keys.key[1]) == 0);
	AQ_REQUIRE(aq_key_public(&keys.key[0], &keys.key[2]) == 0);
	AQ_REQUIRE(aq_key_public(&keys.key[1], &keys.key[3]) == 0);
	AQ_CHECK_EQ_U64(keys.key[2].epoch, UINT64_MAX);
	in_folder("pair");
	AQ_CHECK_EQ_INT(aq_keys_save(&keys, path, false, &err), 0);
	AQ_REQUIRE(stat(path, &st) == 0);
	AQ_CHECK_EQ_INT(st.st_mode & 07777, 0600);
	AQ_REQUIRE(aq_keys_load(&back, path, &err) == 0);
	AQ_CHECK_EQ_INT(back.count, 4);
	for (size_t i = 0; i < 4; i++) {
		AQ_CHECK_EQ_INT(back.key[i].kind, keys.key[i].kind);
		AQ_CHECK_EQ_U64(back.key[i].epoch, keys.key[i].epoch);
		AQ_CHECK_EQ_MEM(back.key[i].bytes, keys.key[i].bytes, AQ_KEY_BYTES);
	}
	AQ_CHECK(aq_keys_find(&back, AQ_KEY_SEAL_PUBLIC) == &back.key[3]);
	AQ_CHECK_EQ_INT(aq_keys_save(&keys, path, false, &err), -EEXIST);
	AQ_CHECK_EQ_INT(aq_keys_save(&keys, path, true, &err), 0);
	AQ_CHECK_EQ_INT(aq_keys_load(&back, path, &err), 0); /* adds */
	AQ_CHECK_EQ_INT(back.count, 8);
	aq_keys_wipe(&back);
	AQ_CHECK_EQ_INT(back.count, 0);
	AQ_CHECK(sodium_is_zero((const unsigned char *)&back, sizeof(back)));
	unlink(path);
	rmdir(folder);
	AQ_REQUIRE(mkdir(folder, 0700) == 0);
}

AQ_TEST(pairs_work_and_fingerprints_tell_them_apart)
{
	struct aq_key secret, public, other;
	uint8_t a[AQ_FINGERPRINT_BYTES], b[AQ_FINGERPRINT_BYTES], c[AQ_FINGERPRINT_BYTES];
	char text[AQ_FINGERPRINT_TEXT_BYTES];
	AQ_REQUIRE(aq_key_generate(AQ_KEY_SEAL_SECRET, &secret) == 0);
	AQ_REQUIRE(aq_key_generate(AQ_KEY_SEAL_SECRET, &other) == 0);
	AQ_REQUIRE(aq_key_public(&secret, &public) == 0);
	AQ_CHECK_EQ_INT(public.kind, AQ_KEY_SEAL_PUBLIC);
	uint8_t message[4] = { 1, 2, 3, 4 }, sealed[4 + crypto_box_SEALBYTES], opened[4];
	AQ_REQUIRE(crypto_box_seal(sealed, message, 4, public.bytes) == 0);
	AQ_CHECK_EQ_INT(crypto_box_seal_open(opened, sealed, sizeof(sealed), public.bytes, secret.bytes), 0);
	AQ_CHECK_EQ_MEM(opened, message, 4);
	AQ_CHECK(aq_key_fingerprint(&secret, a) == 0 && aq_key_fingerprint(&public, b) == 0 && aq_key_fingerprint(&other, c) == 0);
	AQ_CHECK_EQ_MEM(a, b, sizeof(a));
	AQ_CHECK(memcmp(a, c, sizeof(a)) != 0);
	/* a vector from outside: BLAKE2b-256 of 32 zeros */
	memset(&public, 0, sizeof(public));
	public.kind = AQ_KEY_SEAL_PUBLIC;
	AQ_REQUIRE(aq_key_fingerprint(&public, a) == 0);
	aq_fingerprint_text(a, text);
	AQ_CHECK_EQ_STR(text, "89eb0d6a8a691dae2cd15ed0369931ce");
}

AQ_TEST(lines_may_be_comments_and_have_blanks)
{
	struct aq_keys keys;
	struct aq_err err = { 0 };
	AQ_CHECK_EQ_INT(load_text("# a\n\n  \t aquila-seal-public:" ZEROS " \r\n#\naquila-sign-public:7:" ZEROS, 0644, &keys, &err), 0);
	AQ_CHECK_EQ_INT(keys.count, 2);
	AQ_CHECK_EQ_U64(keys.key[1].epoch, 7);
}

AQ_TEST(what_is_no_key_is_refused_with_its_line)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "holds no key" },
		{ "# nothing\n", "holds no key" },
		{ "\naquila-seal:" ZEROS "\n", "line 2 is no key: it begins with no known kind" },
		{ "hello\n", "line 1 is no key: it begins with no known kind" },
		{ ":\n", "no known kind" },
		{ "aquila-seal-public:\n", "32 bytes in base64" },
		{ "aquila-seal-public:AAAA\n", "32 bytes in base64" },
		{ "aquila-seal-public:AA" ZEROS "\n", "32 bytes in base64" },
		{ "aquila-seal-public:" ZEROS "x\n", "32 bytes in base64" },
		{ "aquila-seal-public:0:" ZEROS "\n", "32 bytes in base64" },
		{ "aquila-sign-public:" ZEROS "\n", "the epoch" },
		{ "aquila-sign-public::" ZEROS "\n", "the epoch" },
		{ "aquila-sign-public:-1:" ZEROS "\n", "the epoch" },
		{ "aquila-sign-public:18446744073709551616:" ZEROS "\n", "the epoch" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct aq_keys keys;
		struct aq_err err = { 0 };
		AQ_CHECK_EQ_INT(load_text(cases[i].text, 0600, &keys, &err), -EBADMSG);
		if (!strstr(err.text, cases[i].says))
			AQ_TEST_FAIL_("case %zu says: %s", i, err.text);
		AQ_CHECK_EQ_INT(keys.count, 0);
	}
}

AQ_TEST(an_error_never_shows_the_line)
{
	struct aq_keys keys;
	struct aq_err err = { 0 };
	AQ_CHECK_EQ_INT(load_text("aquila-seal-secret:U2VjcmV0U2VjcmV0", 0600, &keys, &err), -EBADMSG);
	AQ_CHECK(strstr(err.text, "U2Vj") == NULL);
	/* nor does a failed load leave in the set what came before the bad line */
	AQ_CHECK_EQ_INT(load_text("aquila-seal-secret://///////////////////////////////////////w8=\nx", 0600, &keys, &err), -EBADMSG);
	AQ_CHECK(sodium_is_zero((const unsigned char *)keys.key, sizeof(keys.key)));
}

AQ_TEST(a_secret_that_others_may_use_is_refused)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0601, 0644 };
	struct aq_keys keys;
	struct aq_err err = { 0 };
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		AQ_CHECK_EQ_INT(load_text("aquila-sign-secret:0:" ZEROS "\n", modes[i], &keys, &err), -EACCES);
		AQ_CHECK(strstr(err.text, "chmod 600") != NULL);
		AQ_CHECK_EQ_INT(load_text("aquila-sign-public:0:" ZEROS "\n", modes[i], &keys, &err), 0);
	}
	AQ_CHECK_EQ_INT(load_text("aquila-sign-secret:0:" ZEROS "\n", 0600, &keys, &err), 0);
	AQ_CHECK_EQ_INT(load_text("aquila-sign-secret:0:" ZEROS "\n", 0400, &keys, &err), 0);
}

AQ_TEST(sizes_are_bounded)
{
	static char text[AQ_KEY_FILE_BYTES_MAX + 2];
	struct aq_keys keys;
	struct aq_err err = { 0 };
	memset(text, '#', sizeof(text) - 1);
	AQ_CHECK_EQ_INT(load_text(text, 0600, &keys, &err), -E2BIG);
	text[0] = '\0';
	for (int i = 0; i <= AQ_KEYS_MAX; i++)
		strcat(text, "aquila-seal-public:" ZEROS "\n");
	AQ_CHECK_EQ_INT(load_text(text, 0600, &keys, &err), -E2BIG);
	in_folder("none");
	AQ_CHECK_EQ_INT(aq_keys_load(&keys, path, &err), -ENOENT);
	AQ_CHECK_EQ_INT(aq_keys_load(&keys, folder, &err), -EINVAL);
	AQ_CHECK_EQ_INT(aq_keys_load(&keys, "/dev/zero", &err), -EINVAL);
	rmdir(folder);
}

AQ_TEST_MAIN()
