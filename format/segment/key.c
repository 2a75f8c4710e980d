/* SPDX-License-Identifier: Apache-2.0 */
/* Key files; see key.h. Every buffer that held a secret is wiped on every way out. */
#include "format/segment/key.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *word;
	bool has_epoch;
} kinds[AQ_KEY_KIND_COUNT] = {
	[AQ_KEY_SIGN_SECRET] = { "aquila-sign-secret", true },
	[AQ_KEY_SIGN_PUBLIC] = { "aquila-sign-public", true },
	[AQ_KEY_SEAL_SECRET] = { "aquila-seal-secret", false },
	[AQ_KEY_SEAL_PUBLIC] = { "aquila-seal-public", false },
};

static int parse_epoch(const char *text, const char *end, uint64_t *ret_epoch)
{
	uint64_t epoch = 0;
	if (text == end)
		return -EBADMSG;
	for (; text < end; text++)
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(epoch, 10u, &epoch) ||
		    __builtin_add_overflow(epoch, (uint64_t)(*text - '0'), &epoch))
			return -EBADMSG;
	*ret_epoch = epoch;
	return 0;
}

/* One line without its end and without blanks around it. The text of the error never repeats the line. */
static int parse_line(const char *line, size_t n, struct aq_key *ret_key, const char **ret_why)
{
	const char *end = line + n, *colon = memchr(line, ':', n), *rest, *stop;
	struct aq_key key = { 0 };
	size_t bytes = 0;
	int r = -EBADMSG;
	*ret_why = "it begins with no known kind of key, such as aquila-seal-public";
	for (unsigned kind = 1; kind < AQ_KEY_KIND_COUNT && colon; kind++)
		if (strlen(kinds[kind].word) == (size_t)(colon - line) && memcmp(kinds[kind].word, line, (size_t)(colon - line)) == 0)
			key.kind = kind;
	if (!key.kind)
		return -EBADMSG;
	rest = colon + 1;
	if (kinds[key.kind].has_epoch) {
		stop = memchr(rest, ':', (size_t)(end - rest));
		if (!stop || parse_epoch(rest, stop, &key.epoch) < 0) {
			*ret_why = "a whole number, the epoch, belongs between its two colons";
			return -EBADMSG;
		}
		rest = stop + 1;
	}
	*ret_why = "its key is not 32 bytes in base64";
	if (sodium_base642bin(key.bytes, sizeof(key.bytes), rest, (size_t)(end - rest), NULL, &bytes, &stop,
			      sodium_base64_VARIANT_ORIGINAL) == 0 &&
	    stop == end && bytes == sizeof(key.bytes)) {
		*ret_key = key;
		r = 0;
	}
	sodium_memzero(&key, sizeof(key));
	return r;
}

static int parse(struct aq_keys *keys, const char *path, const char *text, size_t n, struct aq_err *err)
{
	size_t before = keys->count;
	unsigned number = 0;
	const char *why;
	for (const char *p = text, *end = text + n; p < end; number++) {
		const char *stop = memchr(p, '\n', (size_t)(end - p)), *next = stop ? stop + 1 : end, *last = stop ? stop : end;
		while (p < last && (*p == ' ' || *p == '\t'))
			p++;
		while (p < last && (last[-1] == ' ' || last[-1] == '\t' || last[-1] == '\r'))
			last--;
		if (p < last && *p != '#') {
			if (keys->count == AQ_KEYS_MAX)
				return aq_err_set(err, -E2BIG, "'%s': more than %d keys", path, AQ_KEYS_MAX);
			if (parse_line(p, (size_t)(last - p), &keys->key[keys->count], &why) < 0)
				return aq_err_set(err, -EBADMSG, "'%s', line %u is no key: %s", path, number + 1, why);
			keys->count++;
		}
		p = next;
	}
	return keys->count > before ? 0 : aq_err_set(err, -EBADMSG, "'%s' holds no key", path);
}

/* At most max bytes of a file. */
static int read_all(int fd, char *to, size_t max, size_t *ret_bytes)
{
	size_t n = 0;
	while (n < max) {
		ssize_t k = read(fd, to + n, max - n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (k == 0)
			break;
		n += (size_t)k;
	}
	*ret_bytes = n;
	return 0;
}

static int load(struct aq_keys *keys, const char *path, int fd, char *text, struct aq_err *err)
{
	size_t before = keys->count, n = 0;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return aq_err_set(err, -errno, "'%s': %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return aq_err_set(err, -EINVAL, "'%s' is no regular file, so it is no key file", path);
	int r = read_all(fd, text, AQ_KEY_FILE_BYTES_MAX + 1, &n);
	if (r < 0)
		return aq_err_set(err, r, "'%s': could not be read: %s", path, strerror(-r));
	if (n > AQ_KEY_FILE_BYTES_MAX)
		return aq_err_set(err, -E2BIG, "'%s' is longer than %d bytes, so it is no key file", path, AQ_KEY_FILE_BYTES_MAX);
	r = parse(keys, path, text, n, err);
	if (r < 0)
		return r;
	for (size_t i = before; i < keys->count; i++)
		if (aq_key_is_secret(&keys->key[i]) && (st.st_mode & 077))
			return aq_err_set(err, -EACCES, "'%s' holds a secret key, but others than its owner may use it (mode %04o): chmod 600 it",
					  path, (unsigned)st.st_mode & 07777);
	return 0;
}

int aq_keys_load(struct aq_keys *keys, const char *path, struct aq_err *err)
{
	size_t before = keys->count;
	if (sodium_init() < 0)
		return aq_err_set(err, -ENOSYS, "there is no source of randomness");
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return aq_err_set(err, -errno, "'%s': %s", path, errno == ENOENT ? "there is no such key file" : strerror(errno));
	char *text = malloc(AQ_KEY_FILE_BYTES_MAX + 1);
	int r = text ? load(keys, path, fd, text, err) : aq_err_set(err, -ENOMEM, "out of memory");
	close(fd);
	if (text)
		sodium_memzero(text, AQ_KEY_FILE_BYTES_MAX + 1);
	free(text);
	if (r < 0) {
		sodium_memzero(&keys->key[before], (AQ_KEYS_MAX - before) * sizeof(keys->key[0]));
		keys->count = before;
	}
	return r;
}

static int format_line(const struct aq_key *key, char *to, size_t max)
{
	char text[sodium_base64_ENCODED_LEN(AQ_KEY_BYTES, sodium_base64_VARIANT_ORIGINAL)];
	sodium_bin2base64(text, sizeof(text), key->bytes, sizeof(key->bytes), sodium_base64_VARIANT_ORIGINAL);
	int n = kinds[key->kind].has_epoch ? snprintf(to, max, "%s:%" PRIu64 ":%s\n", kinds[key->kind].word, key->epoch, text) :
					     snprintf(to, max, "%s:%s\n", kinds[key->kind].word, text);
	sodium_memzero(text, sizeof(text));
	return n;
}

static int write_all(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t k = write(fd, data, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -EIO;
		data += k;
		n -= (size_t)k;
	}
	return 0;
}

/* The name itself is on the disk only with its folder. Not every file system can. */
static void sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(folder);
}

/* A file beside the real one takes its name when it is whole: by a link, which fails where there is one, or over it. */
static int put(const char *path, const char *text, size_t n, mode_t mode, bool replace)
{
	char *temp = NULL;
	if (asprintf(&temp, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	int fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0) {
		int e = -errno;
		free(temp);
		return e;
	}
	int r = fchmod(fd, mode) < 0 ? -errno : write_all(fd, text, n);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && (replace ? rename(temp, path) : link(temp, path)) < 0)
		r = -errno;
	if (r < 0 || !replace)
		unlink(temp);
	free(temp);
	if (r == 0)
		sync_folder(path);
	return r;
}

int aq_keys_save(const struct aq_keys *keys, const char *path, bool replace, struct aq_err *err)
{
	char *text = calloc(1, AQ_KEY_FILE_BYTES_MAX);
	bool secret = false;
	size_t n = 0;
	if (!text)
		return aq_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < keys->count; i++)
		secret = secret || aq_key_is_secret(&keys->key[i]);
	n += (size_t)snprintf(text, AQ_KEY_FILE_BYTES_MAX, "# %s\n",
			      secret ? "Aquila, secret key: whoever has this file has the key" : "Aquila, public key: may be given away");
	for (size_t i = 0; i < keys->count; i++)
		n += (size_t)format_line(&keys->key[i], text + n, AQ_KEY_FILE_BYTES_MAX - n); /* 64 lines of 100 bytes fit */
	int r = put(path, text, n, secret ? 0600 : 0644, replace);
	sodium_memzero(text, AQ_KEY_FILE_BYTES_MAX);
	free(text);
	if (r == -EEXIST)
		return aq_err_set(err, r, "'%s' exists already", path);
	return r < 0 ? aq_err_set(err, r, "'%s': could not be written: %s", path, strerror(-r)) : 0;
}

void aq_keys_wipe(struct aq_keys *keys)
{
	sodium_memzero(keys, sizeof(*keys));
}

const struct aq_key *aq_keys_find(const struct aq_keys *keys, enum aq_key_kind kind)
{
	for (size_t i = 0; i < keys->count; i++)
		if (keys->key[i].kind == kind)
			return &keys->key[i];
	return NULL;
}

int aq_key_generate(enum aq_key_kind secret_kind, struct aq_key *ret_key)
{
	if (sodium_init() < 0)
		return -ENOSYS;
	*ret_key = (struct aq_key){ .kind = secret_kind };
	randombytes_buf(ret_key->bytes, sizeof(ret_key->bytes));
	return 0;
}

int aq_key_public(const struct aq_key *key, struct aq_key *ret_public)
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	struct aq_key public = { .epoch = key->epoch };
	int r = 0;
	if (sodium_init() < 0)
		return -ENOSYS;
	switch (key->kind) {
	case AQ_KEY_SIGN_SECRET:
		public.kind = AQ_KEY_SIGN_PUBLIC;
		r = crypto_sign_seed_keypair(public.bytes, secret, key->bytes);
		sodium_memzero(secret, sizeof(secret));
		break;
	case AQ_KEY_SEAL_SECRET:
		public.kind = AQ_KEY_SEAL_PUBLIC;
		r = crypto_scalarmult_base(public.bytes, key->bytes);
		break;
	default:
		public = *key;
	}
	if (r != 0)
		return -EINVAL;
	*ret_public = public;
	return 0;
}

int aq_key_fingerprint(const struct aq_key *key, uint8_t ret_fingerprint[AQ_FINGERPRINT_BYTES])
{
	struct aq_key public;
	uint8_t hash[crypto_generichash_BYTES];
	int r = aq_key_public(key, &public);
	if (r < 0)
		return r;
	crypto_generichash(hash, sizeof(hash), public.bytes, sizeof(public.bytes), NULL, 0);
	memcpy(ret_fingerprint, hash, AQ_FINGERPRINT_BYTES);
	return 0;
}

void aq_fingerprint_text(const uint8_t fingerprint[AQ_FINGERPRINT_BYTES], char text[AQ_FINGERPRINT_TEXT_BYTES])
{
	sodium_bin2hex(text, AQ_FINGERPRINT_TEXT_BYTES, fingerprint, AQ_FINGERPRINT_BYTES);
}
