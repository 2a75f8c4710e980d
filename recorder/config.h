/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of aquilad: what may be said, its defaults, its help. Parsing has no effects but on the struct.
 */
#ifndef AQ_RECORDER_CONFIG_H
#define AQ_RECORDER_CONFIG_H

#include <stdio.h>

#include "bpf/wire.h"
#include "format/base/err.h"
#include "format/schema/schema.h"
#include "format/segment/writer.h"
#include "recorder/enrich/docker.h"
#include "recorder/enrich/kube.h"
#include "recorder/policy.h"
#include "recorder/retention.h"

enum aq_config_action {
	AQ_ACTION_RECORD,
	AQ_ACTION_HELP,
	AQ_ACTION_VERSION,
	AQ_ACTION_PROBE,
	AQ_ACTION_PROBE_JSON,
};

enum { AQ_ENCRYPT_TO_MAX = 64, AQ_ANNOTATIONS_MAX = 32, AQ_STATE_FOLDERS_MAX = 32 };

struct aq_config {
	enum aq_config_action action;
	char output[4096];
	uint64_t duration_ns;          /* 0: until stopped */
	uint64_t ring_bytes, spool_bytes, segment_bytes, segment_age_ns;
	uint64_t memory_bytes;         /* of the whole process; 0: no bound. aq_memory_fit shares it out */
	struct aq_retention_limits retention;
	uint64_t pin_before_ns, pin_after_ns; /* of the pin that SIGUSR1 makes */
	uint64_t flush_ns;             /* 0: only full chunks */
	const char *sign;              /* file of the signing key, borrowed from argv; NULL: nobody signs */
	uint64_t sign_ns;              /* between signatures */
	int zstd_level;
	uint32_t time_resolution_ns;
	int priority;
	uint32_t string_bytes, argv_bytes; /* longest text, and longest arguments or environment of a new program */
	uint32_t data_bytes;           /* of what is read and written; 0: none */
	bool keep_pointers, durations, environment, no_snapshot, snapshot_proc, quiet, no_progress, verbose;
	bool exit_with_command;
	bool ring_given, spool_given;  /* on the command line */
	bool append;                   /* the folder may be there: continue it */
	enum aq_sync sync;
	bool skip[AQ_WIRE_EVENTS];     /* system calls left out by --syscalls and --exclude */
	struct aq_policy policy;       /* filters and budgets; its texts are borrowed from argv */
	const char *encrypt_to[AQ_ENCRYPT_TO_MAX]; /* key files, borrowed from argv */
	size_t encrypt_to_count;
	bool kube_given;               /* names are asked for: */
	struct aq_kube_options kube;   /* its texts are borrowed from argv; annotations: the next */
	const char *annotations[AQ_ANNOTATIONS_MAX];
	bool no_enrich;                /* ask nobody for names */
	bool no_usual_files;           /* of container runtimes */
	const char *state_folders[AQ_STATE_FOLDERS_MAX]; /* of them, borrowed from argv */
	size_t state_folder_count;
	bool no_usual_sockets;         /* of container engines */
	const char *sockets[AQ_DOCKER_SOCKETS_MAX]; /* of them, borrowed from argv */
	size_t socket_count;
	uint64_t metadata_bytes;       /* for names; 0: 64 MiB */
	const char *dump_rings;        /* file for what is taken from the rings, borrowed from argv; NULL. For tests */
	const char *syscalls, *exclude; /* as given, for the capture's own words; borrowed from argv */
	char *const *command;          /* NULL-terminated, borrowed from argv; NULL: none */
};

/* -EINVAL with the sentence for a usage error. */
int aq_config_parse(int argc, char *const argv[], struct aq_config *ret_config, struct aq_err *err);
void aq_config_help(FILE *out);

/* "10", "10s", "1.5h", "250ms" and "64M", "1.5GiB": whole non-negative numbers with a unit; -EINVAL, -ERANGE. */
int aq_parse_duration(const char *text, uint64_t *ret_ns);
int aq_parse_size(const char *text, uint64_t *ret_bytes);
/* Sets set[id] for each name, @category or class in a list with commas; -ENOENT names the word that is none of these. */
int aq_parse_event_list(const char *list, bool set[AQ_WIRE_EVENTS], struct aq_err *err);

#endif
