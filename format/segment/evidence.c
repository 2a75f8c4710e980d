/* SPDX-License-Identifier: Apache-2.0 */
/* The signing key that moves forward. Secrets lie in locked memory, and on the disk only the one that is next. */
#include "format/segment/evidence.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "format/segment/key.h"
#include "format/segment/manifest.h"

struct aq_signer {
	char *path, *last_path; /* of the key, of the statement that was signed last */
	struct aq_keys keys;    /* all of the file */
	size_t at;              /* of the secret among them */
	struct aq_key public;
	uint8_t carried[AQ_STATEMENT_BYTES];
	bool has_carried;
};

void aq_signer_free(struct aq_signer *s)
{
	if (!s)
		return;
	free(s->path);
	free(s->last_path);
	sodium_free(s); /* wipes it */
}

uint64_t aq_signer_epoch(const struct aq_signer *s)
{
	return s->public.epoch;
}

const uint8_t *aq_signer_public_key(const struct aq_signer *s)
{
	return s->public.bytes;
}

const uint8_t *aq_signer_carried(const struct aq_signer *s)
{
	return s->has_carried ? s->carried : NULL;
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	return clock_gettime(id, &t) < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int load(struct aq_signer *s, struct aq_err *err)
{
	int r = aq_keys_load(&s->keys, s->path, err);
	if (r < 0)
		return r;
	while (s->at < s->keys.count && s->keys.key[s->at].kind != AQ_KEY_SIGN_SECRET)
		s->at++;
	if (s->at == s->keys.count)
		return aq_err_set(err, -EINVAL, "'%s' holds no secret key for signing", s->path);
	if (s->keys.key[s->at].epoch == UINT64_MAX || aq_key_public(&s->keys.key[s->at], &s->public) < 0)
		return aq_err_set(err, -EINVAL, "'%s': its key can't be used", s->path);
	return 0;
}

/* The statement that vouches for the present key, if there is one that does. */
static void load_carried(struct aq_signer *s)
{
	struct aq_statement st;
	int fd = open(s->last_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (read(fd, s->carried, sizeof(s->carried)) == (ssize_t)sizeof(s->carried)) {
		aq_statement_read(s->carried, &st);
		s->has_carried = memcmp(st.next_key, s->public.bytes, sizeof(st.next_key)) == 0 && st.epoch + 1 == s->public.epoch &&
				 aq_statement_is_genuine(s->carried);
	}
	close(fd);
}

/* The folder part of a path, into buf. */
static const char *folder_of(const char *path, char buf[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return ".";
	snprintf(buf, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return buf;
}

/* The file is replaced after the recorder gave up its privileges; no other user may slip another one in, and no other
 * name may keep the secret. */
static int check_place(const struct aq_signer *s, struct aq_err *err)
{
	char buf[PATH_MAX];
	const char *folder = folder_of(s->path, buf);
	struct stat st;
	if (lstat(s->path, &st) < 0)
		return aq_err_set(err, -errno, "'%s': %s", s->path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return aq_err_set(err, -EINVAL, "'%s': a signing key is replaced at each signature, so it must be a file with this "
				  "one name and no link", s->path);
	if (stat(folder, &st) < 0)
		return aq_err_set(err, -errno, "'%s': %s", folder, strerror(errno));
	if (st.st_uid != geteuid() || !(st.st_mode & S_IWUSR) || ((st.st_mode & 022) && !(st.st_mode & S_ISVTX)))
		return aq_err_set(err, -EACCES, "'%s': the folder of a signing key must belong to the user that signs, and be "
				  "writable for nobody else, as the key in it is replaced", folder);
	return 0;
}

int aq_signer_new(const char *key_path, struct aq_signer **ret_signer, struct aq_err *err)
{
	if (sodium_init() < 0)
		return aq_err_set(err, -ENOSYS, "there is no source of randomness");
	struct aq_signer *s = sodium_malloc(sizeof(*s));
	if (!s)
		return aq_err_set(err, -ENOMEM, "out of memory");
	memset(s, 0, sizeof(*s));
	s->path = strdup(key_path);
	int r = s->path && asprintf(&s->last_path, "%s.signed", key_path) > 0 ? 0 : aq_err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = load(s, err);
	if (r == 0)
		r = check_place(s, err);
	if (r < 0) {
		aq_signer_free(s);
		return r;
	}
	load_carried(s);
	*ret_signer = s;
	return 0;
}

/* Another recorder that was started with the same key has made a signature of this epoch. */
static int check_present(const struct aq_signer *s, struct aq_signer *scratch, struct aq_err *err)
{
	scratch->path = s->path;
	int r = load(scratch, err);
	if (r == 0 && memcmp(&scratch->public, &s->public, sizeof(s->public)) != 0)
		r = aq_err_set(err, -ESTALE, "'%s': another recorder has signed with this key meanwhile", s->path);
	return r;
}

/* It is on the disk before the key that it vouches for: whichever of the two a crash leaves, they tell what they are. */
static int keep_statement(const struct aq_signer *s, const uint8_t *bytes, struct aq_err *err)
{
	char name[PATH_MAX];
	int r = snprintf(name, sizeof(name), "%s.next", s->last_path) < (int)sizeof(name) ? 0 : -ENAMETOOLONG;
	unlink(name); /* of a recorder that was killed here */
	int fd = r == 0 ? open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
	if (r == 0 && fd < 0)
		r = -errno;
	if (r == 0) {
		ssize_t n = write(fd, bytes, AQ_STATEMENT_BYTES);
		r = n < 0 ? -errno : n != AQ_STATEMENT_BYTES ? -EIO : fsync(fd) < 0 ? -errno : 0;
	}
	if (fd >= 0 && close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(name, s->last_path) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		unlink(name);
	return r < 0 ? aq_err_set(err, r, "'%s': could not be written: %s", s->last_path, strerror(-r)) : 0;
}

/* The bytes of the secret that was replaced: their file has no name any more. */
static void wipe(int fd)
{
	static const uint8_t zeros[AQ_KEY_FILE_BYTES_MAX];
	struct stat st;
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size > 0 && st.st_size <= AQ_KEY_FILE_BYTES_MAX)
		(void)!(pwrite(fd, zeros, (size_t)st.st_size, 0) == st.st_size && fsync(fd) == 0);
	close(fd);
}

static int replace_key(const struct aq_signer *next, struct aq_err *err)
{
	int old = open(next->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	int r = aq_keys_save(&next->keys, next->path, true, err);
	if (r == 0)
		wipe(old);
	else if (old >= 0)
		close(old);
	return r;
}

static int step(const struct aq_signer *s, struct aq_signer *next, struct aq_statement *st, struct aq_err *err)
{
	uint8_t public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];
	int r = check_present(s, next, err);
	if (r < 0)
		return r;
	memcpy(next, s, sizeof(*next));
	struct aq_key *key = &next->keys.key[next->at];
	if (aq_key_generate(AQ_KEY_SIGN_SECRET, key) < 0)
		return aq_err_set(err, -ENOSYS, "there is no source of randomness");
	key->epoch = s->public.epoch + 1;
	if (aq_key_public(key, &next->public) < 0)
		return aq_err_set(err, -EINVAL, "no next key could be made");
	st->epoch = s->public.epoch;
	st->boot_ns = clock_ns(CLOCK_BOOTTIME);
	st->real_ns = clock_ns(CLOCK_REALTIME);
	memcpy(st->public_key, s->public.bytes, sizeof(st->public_key));
	memcpy(st->next_key, next->public.bytes, sizeof(st->next_key));
	aq_statement_write(st, next->carried);
	crypto_sign_seed_keypair(public_key, secret_key, s->keys.key[s->at].bytes);
	aq_statement_sign(next->carried, secret_key);
	sodium_memzero(secret_key, sizeof(secret_key));
	next->has_carried = true;
	r = keep_statement(next, next->carried, err);
	return r < 0 ? r : replace_key(next, err);
}

int aq_signer_sign(struct aq_signer *s, struct aq_statement *st, uint8_t *ret_bytes, struct aq_err *err)
{
	struct aq_signer *next = sodium_malloc(sizeof(*next));
	if (!next)
		return aq_err_set(err, -ENOMEM, "out of memory");
	memset(next, 0, sizeof(*next));
	/* the next secret is on the disk before the statement is given away: an epoch vouches for one next key only */
	int r = step(s, next, st, err);
	if (r == 0) {
		memcpy(s, next, sizeof(*s)); /* over the secret that has signed */
		memcpy(ret_bytes, s->carried, AQ_STATEMENT_BYTES);
	}
	sodium_free(next);
	return r;
}
