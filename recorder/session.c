/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recording as the main thread sees it. The order matters: what needs no privileges is checked first; the programs
 * are attached before the snapshot is taken, so that nothing falls between; the command runs after it.
 */
#include "recorder/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "format/segment/evidence.h"
#include "format/segment/key.h"
#include "recorder/calls.h"
#include "recorder/command.h"
#include "recorder/enrich/enrich.h"
#include "recorder/meta.h"
#include "recorder/pipeline.h"
#include "recorder/privileges.h"
#include "recorder/progress.h"
#include "recorder/retention.h"
#include "recorder/source_live.h"
#include "recorder/state/iterators.h"

enum { EXIT_COMPLETE = 0, EXIT_ERROR = 1, EXIT_INCOMPLETE = 3, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };
enum { SNAPSHOT_AT_START = 0, SNAPSHOT_AT_SEGMENT = 1 };
enum { CHUNK_EVENTS_VITAL = 16384, CHUNK_STRINGS_VITAL = 1 << 20 };

struct session {
	const struct aq_config *config;
	int argc;
	char *const *argv;
	struct aq_err err;
	struct aq_probe probe;
	struct aq_iterators *iterators; /* NULL: what exists is taken from /proc */
	struct aq_command command;
	struct aq_source *src;
	struct aq_capture_writer *writer;
	FILE *dump; /* --dump-rings */
	struct aq_signer *signer;
	struct aq_enrich *enrich; /* NULL: nobody asks for names */
	struct aq_pipeline *pipeline;
	struct aq_retention *retention;
	uint64_t retained_ns; /* when it looked last */
	bool retention_failed;
	bool folder_made, command_runs, stop;
	int signal_fd, failed_fd;
	sigset_t old_mask;
	struct aq_keys recipients; /* public keys to encrypt to */
	uint32_t snapshots;
	uint64_t start_boot_ns, start_real_ns, begun_ns;
	uint8_t class_of_event[AQ_WIRE_EVENTS];
	struct aq_pipeline_progress shown;
	uint64_t shown_ns;
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	return clock_gettime(id, &t) < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int say(const struct session *s, int status)
{
	fprintf(stderr, "aquilad: %s\n", s->err.text);
	return status;
}

/* Public keys only: a secret one on the recorded host would open what encryption is to keep from who takes it over. */
static int load_recipients(struct session *s)
{
	for (size_t i = 0; i < s->config->encrypt_to_count; i++) {
		const char *path = s->config->encrypt_to[i];
		size_t before = s->recipients.count, found = 0;
		int r = aq_keys_load(&s->recipients, path, &s->err);

		if (r < 0)
			return aq_err_prefix(&s->err, "--encrypt-to: ");
		for (size_t k = before; k < s->recipients.count; k++) {
			if (s->recipients.key[k].kind == AQ_KEY_SEAL_SECRET)
				return aq_err_set(&s->err, -EINVAL, "--encrypt-to: '%s' holds a secret key, which does not belong on "
						  "the recorded host: give the public one", path);
			found += s->recipients.key[k].kind == AQ_KEY_SEAL_PUBLIC;
		}
		if (found == 0)
			return aq_err_set(&s->err, -EINVAL, "--encrypt-to: '%s' holds no key to encrypt to; aquila keygen seal "
					  "makes one", path);
	}
	return 0;
}

static int open_enrich(struct session *s)
{
	const struct aq_config *c = s->config;
	struct aq_kube_options kube = c->kube;
	const struct aq_enrich_options options = {
		.kube = c->kube_given ? &kube : NULL,
		.usual_files = !c->no_usual_files,
		.state_folders = c->state_folders,
		.state_folder_count = c->state_folder_count,
		.usual_sockets = !c->no_usual_sockets,
		.sockets = c->sockets,
		.socket_count = c->socket_count,
		.memory_bytes = (size_t)c->metadata_bytes,
	};
	int r;

	if (c->no_enrich)
		return 0;
	kube.annotations = c->annotations;
	r = aq_enrich_new(&options, &s->enrich, &s->err);
	if (r == 0 && s->err.text[0] != '\0') {
		if (!s->config->quiet)
			fprintf(stderr, "aquilad: %s\n", s->err.text);
		s->err = (struct aq_err){ 0 };
	}
	return r;
}

/* What can be known before anything is touched. */
static int check_first(struct session *s)
{
	const struct aq_feature *obstacle;
	struct stat st;
	int r;

	if (s->config->command != NULL) {
		r = aq_command_find(s->config->command[0], &s->err);
		if (r < 0)
			return say(s, r == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
	}
	if (!s->config->append && lstat(s->config->output, &st) == 0) {
		aq_err_set(&s->err, -EEXIST, "'%s' exists already; name another folder with -o, or continue it with --append",
			   s->config->output);
		return say(s, EXIT_ERROR);
	}
	if (s->config->sign != NULL && aq_signer_new(s->config->sign, &s->signer, &s->err) < 0)
		return say(s, EXIT_ERROR);
	if (load_recipients(s) < 0)
		return say(s, EXIT_ERROR);
	if (open_enrich(s) < 0)
		return say(s, EXIT_ERROR);
	aq_probe_run(&s->probe);
	obstacle = aq_probe_obstacle(&s->probe);
	if (obstacle != NULL) {
		aq_err_set(&s->err, -ENOTSUP, "%s (missing here: %s%s%s)", obstacle->without, obstacle->name,
			   obstacle->detail[0] != '\0' ? ": " : "", obstacle->detail);
		return say(s, EXIT_ERROR);
	}
	return 0;
}

static int open_signals(struct session *s)
{
	sigset_t mask;

	/* a shell starts what runs behind with SIGINT ignored; here it must still end the recording */
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGUSR1);
	s->failed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	sigaddset(&mask, SIGPIPE); /* a closed stderr must not end a recording */
	sigaddset(&mask, SIGXFSZ); /* a limit on file size is a write error like others */
	if (s->failed_fd < 0 || s->signal_fd < 0 || sigprocmask(SIG_BLOCK, &mask, &s->old_mask) < 0)
		return aq_err_set(&s->err, -errno, "can't wait for signals: %s", strerror(errno));
	return 0;
}

static int take_snapshot(void *user, int (*emit)(void *user, const struct aq_event *ev, struct aq_err *err),
			 void *emit_user, struct aq_err *err)
{
	struct session *s = user;
	const struct aq_snapshot_options options = {
		.skip_pid = (uint32_t)getpid(),
		.reason = s->snapshots++ == 0 ? SNAPSHOT_AT_START : SNAPSHOT_AT_SEGMENT,
		.open_rows = s->iterators != NULL ? aq_iterators_open : NULL,
		.open_user = s->iterators,
	};

	return aq_snapshot_take(&options, emit, emit_user, NULL, err);
}

static int on_segment(void *user, struct aq_capture_writer *w, struct aq_err *err)
{
	struct session *s = user;

	(void)w;
	return s->pipeline != NULL ? aq_pipeline_checkpoint(s->pipeline, err) : 0;
}

static void on_lost(void *user, const struct aq_lost_event *ev)
{
	struct session *s = user;

	if (s->pipeline != NULL)
		aq_pipeline_lost(s->pipeline, ev);
}

static bool may_rotate(void *user, uint64_t event_time_ns, bool by_size)
{
	struct session *s = user;

	return s->pipeline == NULL || aq_pipeline_may_rotate(s->pipeline, event_time_ns, by_size);
}

static void reduce_thread(void)
{
	(void)aq_privileges_reduce(NULL);
}

static int load_source(struct session *s)
{
	const struct aq_live_options options = {
		.ring_bytes = s->config->ring_bytes,
		.skip = s->config->skip,
		.policy = &s->config->policy,
		.durations = s->config->durations,
		.string_bytes = s->config->string_bytes,
		.argv_bytes = s->config->argv_bytes,
		.data_bytes = s->config->data_bytes,
		.environment = s->config->environment,
		.only_targets = s->config->command != NULL,
		.verbose = s->config->verbose,
	};
	struct aq_err without = { 0 };
	int r = 0;

	if (s->config->command != NULL)
		r = aq_command_hold(&s->command, s->config->command, &s->old_mask, &s->err);
	if (r == 0)
		r = aq_live_load(&options, &s->src, &s->err);
	if (r == 0 && !s->config->no_snapshot && !s->config->snapshot_proc &&
	    aq_iterators_new(&s->iterators, &without) < 0)
		aq_probe_refute(&s->probe, "task_iterators", without.text);
	if (r == 0 && s->config->command != NULL)
		r = aq_live_add_target(s->src, s->command.pid, &s->err);
	s->start_boot_ns = clock_ns(CLOCK_BOOTTIME);
	s->start_real_ns = clock_ns(CLOCK_REALTIME);
	if (r == 0)
		r = aq_live_attach(s->src, &s->err);
	return r;
}

static int open_capture(struct session *s)
{
	const struct aq_meta_facts facts = {
		.config = s->config,
		.probe = &s->probe,
		.missing = aq_live_missing(s->src),
		.ring_bytes = aq_live_ring_bytes(s->src),
		.iterators = s->iterators != NULL,
		.cpu_count = s->src->rings.cpu_count,
		.start_boot_ns = s->start_boot_ns,
		.start_real_ns = s->start_real_ns,
		.argc = s->argc,
		.argv = s->argv,
	};
	const struct aq_writer_options options = {
		.zstd_level = s->config->zstd_level,
		.segment_bytes = s->config->segment_bytes,
		.segment_age_ns = s->config->segment_age_ns,
		.keep_pointers = s->config->keep_pointers,
		.time_resolution_ns = s->config->time_resolution_ns,
		.sync = s->config->sync,
		.append = s->config->append,
		/* what is vital must not wait for a big chunk to be encoded */
		.chunk_events = s->config->sync == AQ_SYNC_VITAL ? CHUNK_EVENTS_VITAL : 0,
		.chunk_string_bytes = s->config->sync == AQ_SYNC_VITAL ? CHUNK_STRINGS_VITAL : 0,
		.signer = s->signer,
		.sign_interval_ns = s->config->sign_ns,
		.encrypt_to = s->config->encrypt_to_count > 0 ? &s->recipients : NULL,
		.retention = aq_retention_is_on(&s->config->retention),
		.may_rotate = may_rotate,
		.on_segment = on_segment,
		.on_lost = on_lost,
		.user = s,
	};
	struct aq_meta meta;
	int r = aq_meta_init(&meta, &facts);

	if (r < 0)
		return aq_err_set(&s->err, r, "can't describe the recording: %s", strerror(-r));
	r = aq_capture_writer_new(s->config->output, &meta.meta, &options, &s->writer, &s->err);
	/* a capture that was there before is left alone, whatever becomes of this recording */
	s->folder_made = r == 0 && aq_capture_writer_stats(s->writer)->recording == 0;
	aq_meta_release(&meta);
	if (r == 0)
		r = aq_retention_new(s->config->output, &s->config->retention, &s->retention, &s->err);
	return r;
}

/* What waits in an open chunk can't be signed. */
static uint64_t flush_ns(const struct aq_config *c)
{
	return c->sign != NULL && (c->flush_ns == 0 || c->flush_ns > c->sign_ns) ? c->sign_ns : c->flush_ns;
}

/* All that leaves the rings, as it is; for tests of what comes behind them. */
static int open_dump(struct session *s)
{
	int fd;

	if (s->config->dump_rings == NULL)
		return 0;
	fd = open(s->config->dump_rings, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	s->dump = fd < 0 ? NULL : fdopen(fd, "w");
	if (s->dump != NULL)
		return 0;
	aq_err_set(&s->err, -errno, "'%s': %s", s->config->dump_rings, strerror(errno));
	if (fd >= 0)
		close(fd);
	return s->err.code;
}

static int start_pipeline(struct session *s)
{
	const struct aq_pipeline_options options = {
		.class_of_event = s->class_of_event,
		.start_ns = s->start_boot_ns,
		.spool_bytes = (size_t)s->config->spool_bytes,
		.flush_ns = flush_ns(s->config),
		.priority = s->config->priority,
		.snapshot = s->config->no_snapshot ? NULL : take_snapshot,
		.snapshot_user = s,
		.on_drain_thread = aq_privileges_drop_thread,
		.on_encode_thread = reduce_thread,
		.failed_fd = s->failed_fd,
		.vital = s->config->sync == AQ_SYNC_VITAL,
		.dump = s->dump,
		.facts = s->enrich != NULL ? aq_enrich_facts(s->enrich) : NULL,
		.fact_keep_bytes = s->enrich != NULL ? aq_enrich_keep_bytes(s->enrich) : 0,
	};
	int r;

	aq_calls_classes(s->class_of_event);
	r = aq_pipeline_new(s->src, s->writer, &options, &s->pipeline);
	if (r < 0)
		return aq_err_set(&s->err, r, "can't start: %s", strerror(-r));
	return aq_pipeline_start(s->pipeline, &s->err);
}

static void warn(const struct session *s, const struct aq_err *err)
{
	if (!s->config->quiet)
		fprintf(stderr, "aquilad: %s\n", err->text);
}

static void pin(struct session *s)
{
	struct aq_err err = { 0 };

	if (aq_retention_pin(s->retention, clock_ns(CLOCK_REALTIME), s->config->pin_before_ns, s->config->pin_after_ns,
			     "signal", &err) < 0)
		warn(s, &err);
}

/* Once a second. That it can't remove anything is said once, and no reason to stop recording. */
static void retain(struct session *s, bool at_end)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	struct aq_err err = { 0 };
	size_t removed;

	if (!aq_retention_is_on(&s->config->retention) || (!at_end && now_ns - s->retained_ns < 1000000000u))
		return;
	s->retained_ns = now_ns;
	if (aq_retention_run(s->retention, clock_ns(CLOCK_REALTIME), &removed, &err) == 0) {
		s->retention_failed = false;
	} else if (!s->retention_failed) {
		s->retention_failed = true;
		warn(s, &err);
	}
}

/*
 * One signal. With a command, what the terminal sent has reached the command as well, so it is waited for; what
 * another process sent is passed on. The second one ends the recording in any case.
 */
static void take_signal(struct session *s, const struct signalfd_siginfo *info)
{
	if (info->ssi_signo == SIGCHLD)
		return;
	if (info->ssi_signo == SIGUSR1) {
		pin(s);
		return;
	}
	if (s->command_runs && !s->stop && !s->command.ended) {
		s->command_runs = false; /* asked once */
		if (info->ssi_code != SI_KERNEL)
			kill(s->command.pid, (int)info->ssi_signo);
		return;
	}
	s->stop = true;
}

static void show_progress(struct session *s)
{
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	struct aq_pipeline_progress now;

	if (s->config->no_progress || s->config->quiet || !isatty(STDERR_FILENO) || now_ns - s->shown_ns < 1000000000u)
		return;
	now = aq_pipeline_progress(s->pipeline);
	aq_progress_line(stderr, now_ns - s->begun_ns, now_ns - s->shown_ns, &now, &s->shown);
	s->shown = now;
	s->shown_ns = now_ns;
}

/* The pipeline has something to say about the capture. False: it can't go on. */
static bool goes_on(struct session *s)
{
	enum aq_pipeline_condition condition;
	struct aq_err why;
	eventfd_t count;

	(void)eventfd_read(s->failed_fd, &count);
	condition = aq_pipeline_state(s->pipeline, &why);
	if (condition == AQ_PIPELINE_OUTAGE)
		fprintf(stderr, "aquilad: %s; events are counted as lost until it can be written again\n", why.text);
	else if (condition == AQ_PIPELINE_RUNS)
		fprintf(stderr, "aquilad: '%s' is written again\n", s->config->output);
	return condition != AQ_PIPELINE_FAILED;
}

static void run(struct session *s)
{
	struct pollfd fds[2] = { { .fd = s->signal_fd, .events = POLLIN }, { .fd = s->failed_fd, .events = POLLIN } };
	bool held = s->config->command != NULL;

	while (!s->stop) {
		uint64_t elapsed_ns = clock_ns(CLOCK_MONOTONIC) - s->begun_ns;
		uint64_t wait_ms = held ? 2 : 1000;
		struct signalfd_siginfo info;

		if (s->config->duration_ns != 0) {
			if (elapsed_ns >= s->config->duration_ns)
				break;
			if ((s->config->duration_ns - elapsed_ns) / 1000000 < wait_ms)
				wait_ms = (s->config->duration_ns - elapsed_ns) / 1000000 + 1;
		}
		if (poll(fds, 2, (int)wait_ms) < 0 && errno != EINTR)
			break;
		while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
			take_signal(s, &info);
		if ((fds[1].revents & POLLIN) && !goes_on(s))
			break;
		if (held && !s->stop && aq_pipeline_progress(s->pipeline).snapshot_done) {
			held = false;
			if (aq_command_go(&s->command, s->config->command[0], &s->err) < 0)
				break;
			s->command_runs = true;
		}
		if (aq_command_ended(&s->command))
			break;
		show_progress(s);
		retain(s, false);
	}
	if (s->shown_ns != s->begun_ns)
		aq_progress_clear(stderr);
}

/* The folder of a recording that did not come about. Only what the writer makes is removed. */
static void remove_capture(const struct session *s)
{
	DIR *dir = opendir(s->config->output);
	const struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, "segment-", 8) == 0 || strcmp(entry->d_name, "manifest.aqm") == 0)
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	(void)rmdir(s->config->output);
}

/* False when a signature could not be made. */
static bool tell_signatures(const struct session *s)
{
	const struct aq_writer_stats *stats = aq_capture_writer_stats(s->writer);

	if (s->signer == NULL)
		return true;
	if (!s->config->quiet)
		fprintf(stderr, "signed: %llu times, the key goes on with epoch %llu\n", (unsigned long long)stats->signatures,
			(unsigned long long)aq_signer_epoch(s->signer));
	if (stats->signatures_failed > 0)
		fprintf(stderr, "aquilad: %llu signatures could not be made: %s\n", (unsigned long long)stats->signatures_failed,
			stats->signature_failure);
	return stats->signatures_failed == 0;
}

static int finish(struct session *s)
{
	struct aq_pipeline_result result;
	bool all_signed, not_begun = s->err.code != 0; /* the command could not be executed, or rights not be given up */
	struct aq_err err = { 0 };
	int r, status;

	if (s->enrich != NULL)
		aq_enrich_stop(s->enrich); /* what was said so far is still written */
	r = aq_pipeline_finish(s->pipeline, &result, &err);
	(void)aq_command_ended(&s->command);
	if (r == 0 && !not_begun)
		retain(s, true);
	if (not_begun) {
		if (s->folder_made)
			remove_capture(s);
		return say(s, s->config->command == NULL ? EXIT_ERROR :
			      s->err.code == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
	}
	if (!s->config->quiet)
		aq_summary_print(stderr, &(struct aq_summary){
			.output = s->config->output,
			.elapsed_ns = clock_ns(CLOCK_MONOTONIC) - s->begun_ns,
			.result = &result,
			.latency = s->config->sync == AQ_SYNC_VITAL ? aq_pipeline_latency(s->pipeline) : NULL,
			.have_command = s->command.ended,
			.command_status = s->command.exit_status,
		});
	all_signed = tell_signatures(s);
	if (r < 0) {
		s->err = err;
		return say(s, EXIT_ERROR);
	}
	status = aq_summary_complete(&result) && all_signed ? EXIT_COMPLETE : EXIT_INCOMPLETE;
	return s->config->exit_with_command && s->command.ended ? s->command.exit_status : status;
}

static int record(struct session *s)
{
	int r = open_signals(s);

	if (r == 0)
		r = load_source(s);
	if (r == 0)
		r = open_capture(s);
	if (r == 0)
		r = open_dump(s);
	if (r == 0)
		r = start_pipeline(s);
	if (r < 0) {
		if (s->folder_made)
			remove_capture(s);
		return say(s, EXIT_ERROR);
	}
	s->begun_ns = s->shown_ns = clock_ns(CLOCK_MONOTONIC);
	if (aq_privileges_reduce(&s->err) == 0) {
		if (s->enrich != NULL)
			aq_enrich_start(s->enrich);
		run(s);
	}
	return finish(s);
}

int aq_session_run(const struct aq_config *config, int argc, char *const argv[])
{
	struct session *s = calloc(1, sizeof(*s));
	int status;

	if (s == NULL) {
		fprintf(stderr, "aquilad: out of memory\n");
		return EXIT_ERROR;
	}
	s->config = config;
	s->argc = argc;
	s->argv = argv;
	s->signal_fd = s->failed_fd = -1;
	s->command.go_fd = s->command.failed_fd = -1;
	status = check_first(s);
	if (status == 0)
		status = record(s);
	if (s->enrich != NULL)
		aq_enrich_stop(s->enrich);
	aq_pipeline_free(s->pipeline);
	aq_enrich_free(s->enrich);
	aq_capture_writer_free(s->writer);
	aq_iterators_free(s->iterators);
	aq_retention_free(s->retention);
	aq_signer_free(s->signer);
	aq_source_free(s->src);
	aq_command_release(&s->command);
	aq_keys_wipe(&s->recipients);
	if (s->dump != NULL) {
		bool bad = ferror(s->dump) != 0;

		if (fclose(s->dump) != 0 || bad)
			fprintf(stderr, "aquilad: '%s' could not be written\n", config->dump_rings);
	}
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->failed_fd >= 0)
		close(s->failed_fd);
	free(s);
	return status;
}
