/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila keygen: makes a pair of keys, for signing or for sealing, as two files.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/segment/key.h"
#include "replay/cli.h"

static const char help_text[] =
	"usage: aquila keygen sign -o NAME [--force]\n"
	"       aquila keygen seal -o NAME [--force]\n"
	"\n"
	"Makes a pair of keys: the secret one in the file NAME (mode 0600), the public one in NAME.pub, and\n"
	"prints their fingerprint.\n"
	"\n"
	"sign  for signatures: the recorder has the secret key, whoever checks a capture the public one\n"
	"seal  for encryption: the recorder has the public key, whoever reads a capture the secret one\n"
	"\n"
	"  -o, --output NAME  the files are NAME and NAME.pub; both must not be there yet\n"
	"      --force        replace them if they are: what only the old key opens is lost\n"
	"\n"
	"Exit status: 0 made, 1 error, 2 usage.\n"
	"\n"
	"Examples\n"
	"  aquila keygen seal -o auditor.key\n"
	"  aquila keygen sign -o host.key\n";

static int exists(const char *path, struct aq_err *err)
{
	if (access(path, F_OK) == 0)
		return aq_err_set(err, -EEXIST, "'%s' exists already: choose another name, or replace it with --force", path);
	return errno == ENOENT ? 0 : aq_err_set(err, -errno, "'%s': %s", path, strerror(errno));
}

static int make(enum aq_key_kind kind, const char *path, const char *public_path, bool force,
		uint8_t ret_fingerprint[AQ_FINGERPRINT_BYTES], struct aq_err *err)
{
	struct aq_keys secret = { .count = 1 }, public = { .count = 1 };
	int r = 0;

	if (!force && (r = exists(path, err)) == 0)
		r = exists(public_path, err);
	if (r < 0)
		return r;
	if (aq_key_generate(kind, &secret.key[0]) < 0 || aq_key_public(&secret.key[0], &public.key[0]) < 0 ||
	    aq_key_fingerprint(&public.key[0], ret_fingerprint) < 0)
		r = aq_err_set(err, -EIO, "no key could be made: there is no source of randomness");
	if (r == 0)
		r = aq_keys_save(&secret, path, force, err);
	if (r == 0) {
		r = aq_keys_save(&public, public_path, force, err);
		if (r < 0 && !force)
			unlink(path); /* half a pair is no use, and would be in the way of the next try */
	}
	aq_keys_wipe(&secret);
	return r;
}

static int generate(enum aq_key_kind kind, const char *path, bool force)
{
	uint8_t fingerprint[AQ_FINGERPRINT_BYTES];
	char text[AQ_FINGERPRINT_TEXT_BYTES], *public_path = NULL;
	struct aq_err err = { 0 };
	struct aq_out out;
	int status;

	if (asprintf(&public_path, "%s.pub", path) < 0) {
		aq_err_set(&err, -ENOMEM, "out of memory");
		return aq_fail(&err);
	}
	if (make(kind, path, public_path, force, fingerprint, &err) < 0) {
		free(public_path);
		return aq_fail(&err);
	}
	aq_fingerprint_text(fingerprint, text);
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	aq_out_puts(&out, "secret key   ");
	aq_out_text(&out, path, strlen(path));
	aq_out_puts(&out, "\npublic key   ");
	aq_out_text(&out, public_path, strlen(public_path));
	aq_out_printf(&out, "\nfingerprint  %s\n", text);
	status = aq_finish_plain(&out, AQ_EXIT_COMPLETE);
	aq_out_release(&out);
	free(public_path);
	return status;
}

/* The words of the command line. -EINVAL with a sentence. */
static int parse(int argc, char **argv, enum aq_key_kind *ret_kind, const char **ret_path, bool *ret_force, bool *ret_help,
		 struct aq_err *err)
{
	static const struct option table[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL },
	};
	int opt;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":o:h", table, NULL)) != -1) {
		if (opt == ':')
			return aq_err_set(err, -EINVAL, "%s needs a value", argv[optind - 1]);
		if (opt == '?')
			return aq_err_set(err, -EINVAL, "there is no option %s", argv[optind - 1]);
		if (opt == 'o')
			*ret_path = optarg;
		*ret_force = *ret_force || opt == 'f';
		*ret_help = *ret_help || opt == 'h';
	}
	if (*ret_help)
		return 0;
	if (optind >= argc)
		return aq_err_set(err, -EINVAL, "which kind of key? sign or seal");
	if (optind + 1 < argc)
		return aq_err_set(err, -EINVAL, "'%s' is one word too many", argv[optind + 1]);
	if (strcmp(argv[optind], "sign") == 0)
		*ret_kind = AQ_KEY_SIGN_SECRET;
	else if (strcmp(argv[optind], "seal") == 0)
		*ret_kind = AQ_KEY_SEAL_SECRET;
	else
		return aq_err_set(err, -EINVAL, "there is no kind of key '%s': it is sign or seal", argv[optind]);
	if (*ret_path == NULL || **ret_path == '\0')
		return aq_err_set(err, -EINVAL, "where to? Give -o NAME");
	return 0;
}

static int keygen(int argc, char **argv)
{
	enum aq_key_kind kind = AQ_KEY_SIGN_SECRET;
	const char *path = NULL;
	bool force = false, help = false;
	struct aq_err err = { 0 };
	struct aq_out out;
	int status;

	if (parse(argc, argv, &kind, &path, &force, &help, &err) < 0)
		return aq_fail_usage("keygen", &err);
	if (!help)
		return generate(kind, path, force);
	aq_out_init(&out, STDOUT_FILENO, "standard output");
	aq_out_puts(&out, help_text);
	status = aq_finish_plain(&out, AQ_EXIT_COMPLETE);
	aq_out_release(&out);
	return status;
}

const struct aq_command aq_cmd_keygen = {
	.name = "keygen",
	.summary = "make keys for signing and for encrypting captures",
	.help = help_text,
	.run_raw = keygen,
};
