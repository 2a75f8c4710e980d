/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The progress line and the summary.
 */
#include "recorder/progress.h"

#include <inttypes.h>
#include <string.h>

const char *aq_human_bytes(uint64_t bytes, char buf[16])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double value = (double)bytes;
	unsigned i = 0;

	for (; value >= 1000 && i < 4; i++)
		value /= 1000;
	snprintf(buf, 16, i == 0 ? "%.0f %s" : "%.1f %s", value, units[i]);
	return buf;
}

void aq_progress_line(FILE *out, uint64_t elapsed_ns, uint64_t step_ns, const struct aq_pipeline_progress *now,
		      const struct aq_pipeline_progress *previous)
{
	double seconds = (double)step_ns / 1e9;
	double rate = seconds > 0 ? (double)(now->events - previous->events) / seconds : 0;
	uint64_t all = now->events + now->snapshot_events;
	char bytes[16];

	fprintf(out, "\r%" PRIu64 ":%02" PRIu64 "  %" PRIu64 " events  %.0f/s  %s  %.2f bytes/event", elapsed_ns / 60000000000u,
		elapsed_ns / 1000000000u % 60, now->events, rate, aq_human_bytes(now->bytes, bytes),
		all > 0 ? (double)now->bytes / (double)all : 0);
	for (unsigned i = 0; i < AQ_CLASS_COUNT; i++)
		if (now->lost[i] > 0)
			fprintf(out, "  lost %s %" PRIu64, aq_class_name((enum aq_class)i), now->lost[i]);
	fprintf(out, "  spool %zu%%\033[K", now->spool_size > 0 ? now->spool_used * 100 / now->spool_size : 0);
	fflush(out);
}

void aq_progress_clear(FILE *out)
{
	fputs("\r\033[K", out);
	fflush(out);
}

bool aq_summary_complete(const struct aq_pipeline_result *r)
{
	for (unsigned i = 0; i < AQ_CLASS_COUNT; i++)
		if (r->ledger.cls[i].lost > 0 || r->ledger.cls[i].degraded > 0)
			return false;
	return r->ledger.skipped == 0 && r->ledger.balances && r->damaged == 0;
}

static void print_row(FILE *out, const char *name, const struct aq_ledger_total *t)
{
	fprintf(out, "%-10s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", name, t->produced,
		t->stored, t->lost, t->policy, t->degraded);
}

void aq_summary_print(FILE *out, const struct aq_summary *summary)
{
	const struct aq_pipeline_result *r = summary->result;
	struct aq_ledger_total total = { 0 };
	uint64_t all = r->events + r->snapshot_events;
	char bytes[16];

	fprintf(out, "'%s': %" PRIu64 " events and %" PRIu64 " of state in %.1f s, %s, %.2f bytes/event, %" PRIu64 " %s\n",
		summary->output, r->events, r->snapshot_events, (double)summary->elapsed_ns / 1e9,
		aq_human_bytes(r->bytes, bytes), all > 0 ? (double)r->bytes / (double)all : 0, r->segments,
		r->segments == 1 ? "segment" : "segments");
	fprintf(out, "%-10s %12s %12s %12s %12s %12s\n", "class", "produced", "stored", "lost", "left out", "degraded");
	for (unsigned i = 0; i < AQ_CLASS_COUNT; i++) {
		const struct aq_ledger_total *t = &r->ledger.cls[i];

		print_row(out, aq_class_name((enum aq_class)i), t);
		total.produced += t->produced;
		total.stored += t->stored;
		total.lost += t->lost;
		total.policy += t->policy;
		total.degraded += t->degraded;
	}
	print_row(out, "all", &total);
	if (r->ledger.shed > 0)
		fprintf(out, "of the lost, %" PRIu64 " found the spool full (--spool)\n", r->ledger.shed);
	if (r->ledger.unwritten > 0)
		fprintf(out, "of the lost, %" PRIu64 " could not be written\n", r->ledger.unwritten);
	if (r->ledger.skipped > 0)
		fprintf(out, "the kernel did not run a program %" PRIu64 " times (recursion): not counted as produced\n",
			r->ledger.skipped);
	if (r->outages > 0)
		fprintf(out, "the capture could not be written %" PRIu32 " time%s\n", r->outages, r->outages == 1 ? "" : "s");
	if (r->facts_refused > 0)
		fprintf(out, "names: %" PRIu64 " facts found no room and are missing; --metadata-memory gives more\n", r->facts_refused);
	if (r->facts_not_kept > 0)
		fprintf(out, "names: %" PRIu64 " facts found no room to be repeated in later segments; --metadata-memory gives more\n",
			r->facts_not_kept);
	if (summary->latency != NULL && summary->latency->count > 0)
		fprintf(out, "%" PRIu64 " vital events were on the disk within %.1f ms (half of them), %.1f ms (99 %%), %.1f ms "
			"(all), in %" PRIu64 " writes\n", summary->latency->count,
			(double)aq_pipeline_latency_ns(summary->latency, 50) / 1e6,
			(double)aq_pipeline_latency_ns(summary->latency, 99) / 1e6, (double)summary->latency->max_ns / 1e6,
			summary->latency->commits);
	if (r->events > 0)
		fprintf(out, "CPU: %.0f ns/event to order and encode, %.0f to drain\n",
			(double)r->encode_cpu_ns / (double)r->events, (double)r->drain_cpu_ns / (double)r->events);
	fprintf(out, "ledger balances: %s%s%s\n", r->ledger.balances ? "yes" : "no, ", r->ledger.text,
		r->ledger.balances && aq_summary_complete(r) ? "; complete" : "");
	if (summary->have_command)
		fprintf(out, "the command ended with status %d\n", summary->command_status);
}
