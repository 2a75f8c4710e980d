/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aquila verify: reads every byte, holds what it counts against the ledger, and says what the chain and the signatures
 * prove.
 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/base/text.h"
#include "format/segment/evidence.h"
#include "format/segment/key.h"
#include "replay/cli.h"

static const char help_text[] =
	"usage: aquila verify CAPTURE [--key FILE]… [--format text|json] [-q]\n"
	"\n"
	"Checks everything: structure, every checksum, every event; that for each CPU and class the kernel side\n"
	"produced exactly what is stored, lost and left out on purpose; and the chain and the signatures that\n"
	"tell an altered capture from a damaged one. Names each place by file and byte.\n"
	"\n"
	"  --key FILE  public signing keys that you trust (made by aquila keygen): the signatures must lead back\n"
	"              to one of them, else it is an error. Without it a capture can be intact, but anybody\n"
	"              can have signed it.\n"
	"\n"
	"Events that were lost while recording are no damage when the ledger accounts for them: see `aquila losses`.\n"
	"Of an encrypted capture without a key, structure and checksums are checked; events and ledger can't be.\n"
	"\n"
	"Exit status: 0 intact, 3 readable but damaged, unfinished, with segments removed, with an end that is not\n"
	"signed, with a ledger that does not balance or not checked as a whole for want of a key, 1 altered, not\n"
	"signed by the key, or can't be read, 2 usage.\n"
	"\n"
	"Examples\n"
	"  aquila verify web.aquila && rsync -a web.aquila archive:\n"
	"  aquila verify --key recorder.pub evidence.aquila\n";

struct progress {
	bool shown;
	unsigned percent;
};

static void show_progress(void *user, uint64_t done, uint64_t total)
{
	struct progress *p = user;
	unsigned percent = total > 0 ? (unsigned)((double)done * 100 / (double)total) : 100;

	if (p->shown && percent == p->percent)
		return;
	p->shown = true;
	p->percent = percent;
	fprintf(stderr, "\rverifying: %u%%", percent);
}

enum standing { UNSIGNED, UNKNOWN_KEY, SIGNED, ALTERED };

struct report {
	struct aq_capture *c;
	const struct aq_damage *damage;
	size_t damages;
	struct aq_verify_result v;
	struct aq_evidence e;
	struct aq_keys keys; /* those of --key */
	size_t trusted_keys; /* public signing keys among them */
	enum standing standing;
	double tail_seconds; /* from the last signature to the end */
};

static const char *standing_name(enum standing standing)
{
	static const char *const names[] = { "unsigned", "unknown-key", "signed", "altered" };

	return names[standing];
}

static void judge(struct report *r)
{
	uint64_t end_ns = aq_capture_info(r->c)->end_ns;

	if (r->e.altered > 0)
		r->standing = ALTERED;
	else if (r->e.signatures == 0)
		r->standing = UNSIGNED;
	else
		r->standing = r->e.trusted ? SIGNED : UNKNOWN_KEY;
	if (r->e.signatures > 0 && r->e.tail_blocks > 0 && end_ns > r->e.signed_boot_ns)
		r->tail_seconds = (double)(end_ns - r->e.signed_boot_ns) / 1e9;
}

static bool is_whole(const struct report *r)
{
	return r->damages == 0 && r->v.damages == 0 && r->e.damaged == 0 && r->e.removed == 0 && r->v.finished &&
	       !r->v.locked && r->v.ledger_balances && (r->e.signatures == 0 || r->e.tail_blocks == 0);
}

static int exit_status(const struct report *r)
{
	if (r->standing == ALTERED || (r->trusted_keys > 0 && r->standing != SIGNED))
		return AQ_EXIT_ERROR;
	return is_whole(r) ? AQ_EXIT_COMPLETE : AQ_EXIT_INCOMPLETE;
}

static void fingerprint(const uint8_t public_key[AQ_PUBLIC_KEY_BYTES], char text[AQ_FINGERPRINT_TEXT_BYTES])
{
	struct aq_key key = { .kind = AQ_KEY_SIGN_PUBLIC };
	uint8_t bytes[AQ_FINGERPRINT_BYTES] = { 0 };

	memcpy(key.bytes, public_key, sizeof(key.bytes));
	(void)aq_key_fingerprint(&key, bytes);
	aq_fingerprint_text(bytes, text);
}

static void add(char *text, size_t size, const char *what)
{
	size_t n = strlen(text);

	snprintf(text + n, size - n, "%s%s", n > 0 && text[n - 1] != ':' ? ", " : " ", what);
}

static void conclusion(const struct report *r, char *text, size_t size)
{
	if (r->standing == ALTERED) {
		snprintf(text, size, "ALTERED: see the places above; these are no accidents");
		return;
	}
	if (r->trusted_keys > 0 && r->standing != SIGNED) {
		snprintf(text, size, "NOT PROVEN: %s", r->standing == UNSIGNED ?
			 "nobody signed this capture" : "signed by an unknown key, not by that of --key");
		return;
	}
	if (r->v.locked) {
		snprintf(text, size, "%s; events and ledger are not checked: it is encrypted, and no key opens it",
			 r->damages > 0 || r->e.damaged > 0 ? "not intact: damaged" :
			 !r->v.finished ? "not intact: unfinished (the recorder did not close it)" :
					  "structure and checksums are intact");
	} else if (is_whole(r) && r->v.unknown_gaps > 0) {
		snprintf(text, size,
			 "intact; %" PRIu64 " events were lost while recording, all accounted for; the recorder was down or its "
			 "disk failed %" PRIu64 " time%s, and what is missing then is not known",
			 r->v.lost, r->v.unknown_gaps, r->v.unknown_gaps == 1 ? "" : "s");
	} else if (is_whole(r) && r->v.lost > 0) {
		snprintf(text, size, "intact; %" PRIu64 " events were lost while recording, all accounted for", r->v.lost);
	} else if (is_whole(r)) {
		snprintf(text, size, "intact; nothing was lost");
	} else {
		snprintf(text, size, "not intact:");
		if (r->damages > 0 || r->v.damages > 0 || r->e.damaged > 0)
			add(text, size, "damaged");
		if (r->e.removed > 0)
			add(text, size, "segments were removed");
		if (!r->v.finished)
			add(text, size, "unfinished (the recorder did not close it)");
		if (r->e.signatures > 0 && r->e.tail_blocks > 0)
			add(text, size, "its end is not signed");
		if (!r->v.ledger_balances)
			add(text, size, "the ledger does not balance");
	}
	size -= strlen(text);
	text += strlen(text);
	snprintf(text, size, r->standing == UNSIGNED ? "; unsigned" : r->standing == SIGNED ? "; signed by the given key" :
			     "; signed by a key that nobody vouches for here");
}

static void put_counts(struct aq_out *out, const struct aq_verify_result *v, uint32_t segments)
{
	aq_out_printf(out, "read    %" PRIu64 " events in %" PRIu64 " chunks of %" PRIu32 " segment%s\n", v->events,
		      v->chunks, segments, segments == 1 ? "" : "s");
	if (v->ledger_balances) {
		uint64_t sum = v->stored + v->lost + v->policy;

		aq_out_printf(out,
			      "ledger  produced %" PRIu64 " = stored %" PRIu64 " + lost %" PRIu64
			      " + left out on purpose %" PRIu64,
			      v->produced, v->stored, v->lost, v->policy);
		if (v->produced > sum)
			aq_out_printf(out, " + under way when a recorder ended %" PRIu64, v->produced - sum);
		aq_out_printf(out, "; texts lost %" PRIu64 "\n", v->degraded);
		if (v->removed > 0)
			aq_out_printf(out, "        of the stored, %" PRIu64 " are in segments that are not here\n", v->removed);
	} else {
		aq_out_puts(out, "ledger  does not balance: ");
		aq_out_text(out, v->ledger_text, strlen(v->ledger_text));
		aq_out_puts(out, "\n");
	}
}

static void put_evidence(struct aq_out *out, const struct report *r)
{
	const struct aq_evidence *e = &r->e;
	char time[AQ_TIME_TEXT_BYTES], key[AQ_FINGERPRINT_TEXT_BYTES];

	if (!e->chained)
		aq_out_puts(out, "chain   none: written before there was one\n");
	else
		aq_out_printf(out, "chain   %s %" PRIu64 " blocks\n", e->altered > 0 ? "broken in" : "holds over", e->blocks);
	if (e->signatures == 0) {
		aq_out_puts(out, "signed  by nobody\n");
		return;
	}
	fingerprint(e->public_key, key);
	aq_time_format(e->signed_real_ns, time);
	aq_out_printf(out, "signed  up to %s, %" PRIu64 " signatures, epochs %" PRIu64 " to %" PRIu64 " from key %s, %s\n", time,
		      e->signatures, e->first_epoch, e->last_epoch, key,
		      e->trusted	  ? "which leads back to that of --key" :
		      r->trusted_keys > 0 ? "which is not that of --key" :
					    "which was compared with none (--key)");
	if (e->tail_blocks > 0)
		aq_out_printf(out, "tail    unsigned: %" PRIu64 " blocks, %" PRIu64 " bytes, %.3f s\n", e->tail_blocks, e->tail_bytes,
			      r->tail_seconds);
	if (e->added_segments > 0)
		aq_out_printf(out, "added   %" PRIu64 " segment%s of facts after the signed end, unsigned: names only, no events\n",
			      e->added_segments, e->added_segments == 1 ? "" : "s");
}

/* Named among the damages already; where somebody signed, it is told again with what it does to the proof. */
static bool is_told(const struct report *r, const struct aq_finding *f)
{
	for (size_t i = 0; r->e.signatures == 0 && f->kind == AQ_FINDING_DAMAGED && i < r->damages; i++)
		if (r->damage[i].offset == f->offset && strcmp(r->damage[i].file, f->file) == 0)
			return true;
	return false;
}

static void put_findings(struct aq_out *out, const struct report *r)
{
	for (size_t i = 0; i < r->e.finding_count; i++) {
		const struct aq_finding *f = &r->e.findings[i];
		char from[AQ_TIME_TEXT_BYTES] = "the start", to[AQ_TIME_TEXT_BYTES] = "the end";

		if (is_told(r, f))
			continue;
		aq_out_printf(out, "%s%s%s '", aq_colour(out, f->kind == AQ_FINDING_NOTE ? AQ_DIM : AQ_RED),
			      aq_finding_kind_name(f->kind), aq_colour(out, AQ_PLAIN));
		aq_out_text(out, f->file, strlen(f->file));
		aq_out_printf(out, "' at byte %" PRIu64 ": ", f->offset);
		aq_out_text(out, f->text, strlen(f->text));
		if (f->from_real_ns != 0)
			aq_time_format(f->from_real_ns, from);
		if (f->to_real_ns != 0)
			aq_time_format(f->to_real_ns, to);
		if (f->kind == AQ_FINDING_ALTERED && r->e.signatures > 0)
			aq_out_printf(out, " (between the signatures of %s and %s)", from, to);
		if (f->kind == AQ_FINDING_DAMAGED && r->e.signatures > 0)
			aq_out_printf(out, " (nothing is proven from the signature of %s to here)", from);
		aq_out_puts(out, "\n");
	}
}

static void put_text(struct aq_out *out, const struct report *r)
{
	uint32_t segments = aq_capture_info(r->c)->segment_count;
	const struct aq_verify_result *v = &r->v;
	char text[320];

	for (size_t i = 0; i < r->damages; i++) {
		const struct aq_damage *d = &r->damage[i];

		aq_out_printf(out, "%sdamage%s '", aq_colour(out, AQ_RED), aq_colour(out, AQ_PLAIN));
		aq_out_text(out, d->file, strlen(d->file));
		aq_out_printf(out, "' at byte %" PRIu64 ", %" PRIu64 " bytes: ", d->offset, d->bytes);
		aq_out_text(out, d->text, strlen(d->text));
		aq_out_puts(out, "\n");
	}
	put_findings(out, r);
	if (!v->locked)
		put_counts(out, v, segments);
	put_evidence(out, r);
	conclusion(r, text, sizeof(text));
	aq_out_printf(out, "%s%s%s\n",
		      aq_colour(out, exit_status(r) == AQ_EXIT_COMPLETE ? AQ_GREEN :
				     exit_status(r) == AQ_EXIT_ERROR	? AQ_RED :
									  AQ_YELLOW),
		      text, aq_colour(out, AQ_PLAIN));
}

static void json_time(struct aq_out *out, const char *name, uint64_t real_ns)
{
	char text[AQ_TIME_TEXT_BYTES];

	aq_time_format(real_ns, text);
	aq_out_printf(out, real_ns != 0 ? ",\"%s\":\"%s\"" : ",\"%s\":null", name, text);
}

static void json_evidence(struct aq_out *out, const struct report *r)
{
	const struct aq_evidence *e = &r->e;
	char key[AQ_FINGERPRINT_TEXT_BYTES], next[64] = "";

	aq_out_printf(out,
		      ",\"evidence\":{\"standing\":\"%s\",\"chained\":%s,\"blocks\":%" PRIu64 ",\"signatures\":%" PRIu64
		      ",\"altered\":%" PRIu64 ",\"damaged\":%" PRIu64 ",\"removed\":%" PRIu64,
		      standing_name(r->standing), e->chained ? "true" : "false", e->blocks, e->signatures, e->altered,
		      e->damaged, e->removed);
	if (e->signatures > 0) {
		fingerprint(e->public_key, key);
		sodium_bin2base64(next, sizeof(next), e->next_key, sizeof(e->next_key), sodium_base64_VARIANT_ORIGINAL);
		aq_out_printf(out,
			      ",\"trusted\":%s,\"key\":\"%s\",\"first_epoch\":%" PRIu64 ",\"last_epoch\":%" PRIu64
			      ",\"next_key\":\"aquila-sign-public:%" PRIu64 ":%s\",\"ended\":%s",
			      e->trusted ? "true" : "false", key, e->first_epoch, e->last_epoch, e->last_epoch + 1, next,
			      e->ended ? "true" : "false");
		json_time(out, "signed_until", e->signed_real_ns);
		aq_out_printf(out, ",\"tail\":{\"blocks\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.3f}", e->tail_blocks,
			      e->tail_bytes, r->tail_seconds);
		aq_out_printf(out, ",\"added_segments\":%" PRIu64, e->added_segments);
	}
	aq_out_puts(out, ",\"findings\":[");
	for (size_t i = 0; i < e->finding_count; i++) {
		const struct aq_finding *f = &e->findings[i];

		aq_out_printf(out, "%s{\"kind\":\"%s\",\"file\":", i > 0 ? "," : "", aq_finding_kind_name(f->kind));
		aq_out_json_text(out, f->file);
		aq_out_printf(out, ",\"offset\":%" PRIu64 ",\"text\":", f->offset);
		aq_out_json_text(out, f->text);
		json_time(out, "from", f->from_real_ns);
		json_time(out, "to", f->to_real_ns);
		aq_out_puts(out, "}");
	}
	aq_out_puts(out, "]}");
}

static void put_json(struct aq_out *out, const struct report *r)
{
	const struct aq_verify_result *v = &r->v;
	char text[320];

	conclusion(r, text, sizeof(text));
	aq_out_printf(out,
		      "{\"intact\":%s,\"locked\":%s,\"finished\":%s,\"events\":%" PRIu64 ",\"chunks\":%" PRIu64
		      ",\"segments\":%" PRIu32 ",\"ledger\":{\"balances\":%s,\"produced\":%" PRIu64
		      ",\"stored\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"policy\":%" PRIu64 ",\"degraded\":%" PRIu64
		      ",\"text\":",
		      r->standing != ALTERED && is_whole(r) ? "true" : "false", v->locked ? "true" : "false", v->finished ? "true" : "false", v->events,
		      v->chunks, aq_capture_info(r->c)->segment_count, v->ledger_balances ? "true" : "false", v->produced,
		      v->stored, v->lost, v->policy, v->degraded);
	aq_out_json_text(out, v->ledger_text);
	aq_out_puts(out, "},\"damages\":[");
	for (size_t i = 0; i < r->damages; i++) {
		aq_out_puts(out, i > 0 ? ",{\"file\":" : "{\"file\":");
		aq_out_json_text(out, r->damage[i].file);
		aq_out_printf(out, ",\"offset\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"text\":", r->damage[i].offset,
			      r->damage[i].bytes);
		aq_out_json_text(out, r->damage[i].text);
		aq_out_puts(out, "}");
	}
	aq_out_puts(out, "]");
	json_evidence(out, r);
	aq_out_puts(out, ",\"text\":");
	aq_out_json_text(out, text);
	aq_out_puts(out, "}\n");
}

/* The keys of --key. 0, or an exit status after saying what is wrong. */
static int load_keys(const struct aq_options *o, struct report *r)
{
	struct aq_err err = { 0 };
	int status = aq_load_keys(o, &r->keys);

	if (status != 0)
		return status;
	for (size_t i = 0; i < r->keys.count; i++)
		r->trusted_keys += r->keys.key[i].kind == AQ_KEY_SIGN_PUBLIC;
	if (o->key_file_count > 0 && r->trusted_keys == 0 && aq_keys_find(&r->keys, AQ_KEY_SEAL_SECRET) == NULL) {
		aq_err_set(&err, -EINVAL, "'%s' holds neither a public signing key nor a secret key that opens a capture",
			   o->key_files[0]);
		return aq_fail(&err);
	}
	return 0;
}

static int check(const struct aq_options *o, struct report *r)
{
	struct progress progress = { 0 };
	struct aq_err err = { 0 };
	int status;

	status = load_keys(o, r);
	if (status == 0)
		status = aq_open_with(o, true, &r->c);
	if (status != 0)
		return status;
	status = aq_capture_verify(r->c, &r->v, isatty(STDERR_FILENO) == 1 && !o->quiet ? show_progress : NULL, &progress,
				   &err);
	if (progress.shown)
		fputs("\r\033[K", stderr);
	if (status >= 0)
		status = aq_evidence_check(o->capture, r->trusted_keys > 0 ? &r->keys : NULL, &r->e, &err);
	if (status < 0)
		return aq_fail(&err);
	r->damage = aq_capture_damages(r->c, &r->damages);
	judge(r);
	return 0;
}

static int verify(const struct aq_command *command, const struct aq_options *o)
{
	struct report *r = calloc(1, sizeof(*r));
	struct aq_out out;
	int status;

	(void)command;
	if (r == NULL) {
		fputs("aquila: out of memory\n", stderr);
		return AQ_EXIT_ERROR;
	}
	status = check(o, r);
	if (status == 0) {
		aq_out_init(&out, STDOUT_FILENO, "standard output");
		if (o->format == AQ_FORMAT_JSON)
			put_json(&out, r);
		else if (!o->quiet)
			put_text(&out, r);
		status = aq_finish_plain(&out, exit_status(r));
		aq_out_release(&out);
	}
	aq_evidence_release(&r->e);
	aq_capture_close(r->c);
	aq_keys_wipe(&r->keys);
	free(r);
	return status;
}

const struct aq_command aq_cmd_verify = {
	.name = "verify",
	.summary = "check every byte, the ledger of what was lost, and the signatures",
	.help = help_text,
	.options = AQ_OPT_FORMAT | AQ_OPT_QUIET | AQ_OPT_KEY,
	.formats = AQ_FORMAT_TEXT | AQ_FORMAT_JSON,
	.default_format = AQ_FORMAT_TEXT,
	.run = verify,
};
