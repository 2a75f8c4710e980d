/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collects the facts of a recording. Nothing here can fail but for want of memory: what can't be read is left empty.
 */
#include "recorder/meta.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void read_boot_id(char *buf, size_t size)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	buf[0] = '\0';
	if (f == NULL)
		return;
	if (fgets(buf, (int)size, f) == NULL)
		buf[0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	fclose(f);
}

static bool is_plain(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (!isalnum((unsigned char)*s) && strchr("-_./=,:@%+", *s) == NULL)
			return false;
	return true;
}

/* As it could be typed into a shell. */
static char *join_command(int argc, char *const argv[])
{
	size_t size = 1, n = 0;
	char *out;

	for (int i = 0; i < argc; i++)
		size += strlen(argv[i]) * 4 + 3;
	out = malloc(size);
	if (out == NULL)
		return NULL;
	for (int i = 0; i < argc; i++) {
		bool plain = is_plain(argv[i]);

		if (i > 0)
			out[n++] = ' ';
		if (!plain)
			out[n++] = '\'';
		for (const char *p = argv[i]; *p != '\0'; p++) {
			if (*p == '\'') {
				memcpy(out + n, "'\\''", 4);
				n += 4;
			} else {
				out[n++] = *p;
			}
		}
		if (!plain)
			out[n++] = '\'';
	}
	out[n] = '\0';
	return out;
}

static char *features_text(const struct aq_probe *probe, const char *missing)
{
	cJSON *root = aq_probe_json(probe);
	char *text = NULL;

	if (root != NULL && (missing[0] == '\0' || cJSON_AddStringToObject(root, "not_attached", missing) != NULL))
		text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

static bool add_text(cJSON *root, const char *key, const char *text)
{
	return text == NULL || cJSON_AddStringToObject(root, key, text) != NULL;
}

static bool add_retention(cJSON *root, const struct aq_retention_limits *l)
{
	return (l->total_bytes == 0 || cJSON_AddNumberToObject(root, "retain_bytes", (double)l->total_bytes) != NULL) &&
	       (l->age_ns == 0 || cJSON_AddNumberToObject(root, "retain_seconds", (double)l->age_ns / 1e9) != NULL) &&
	       (l->free_bytes == 0 || cJSON_AddNumberToObject(root, "min_free_bytes", (double)l->free_bytes) != NULL) &&
	       (l->free_percent == 0 || cJSON_AddNumberToObject(root, "min_free_percent", l->free_percent) != NULL);
}

static char *policy_text(const struct aq_config *c, uint64_t ring_bytes, bool iterators)
{
	static const char *const sync_names[] = { "segment", "none", "chunk", "vital" };
	cJSON *root = cJSON_CreateObject();
	unsigned skipped = 0;
	char *text = NULL;

	for (unsigned i = 0; i < AQ_WIRE_EVENTS; i++)
		skipped += c->skip[i] && aq_schema_event(i) != NULL;
	if (root != NULL && add_text(root, "syscalls", c->syscalls) && add_text(root, "exclude", c->exclude) && add_retention(root, &c->retention) &&
	    aq_policy_describe(&c->policy, root) &&
	    cJSON_AddNumberToObject(root, "syscalls_left_out", skipped) != NULL &&
	    cJSON_AddBoolToObject(root, "only_command", c->command != NULL) != NULL &&
	    cJSON_AddBoolToObject(root, "snapshot", !c->no_snapshot) != NULL &&
	    (c->no_snapshot || add_text(root, "snapshot_from", iterators ? "iterators" : "proc")) &&
	    cJSON_AddBoolToObject(root, "pointers", c->keep_pointers) != NULL &&
	    cJSON_AddBoolToObject(root, "durations", c->durations) != NULL &&
	    (!c->durations || cJSON_AddNumberToObject(root, "duration_resolution_ns", c->time_resolution_ns) != NULL) &&
	    cJSON_AddBoolToObject(root, "environment", c->environment) != NULL &&
	    cJSON_AddNumberToObject(root, "data_bytes", c->data_bytes) != NULL &&
	    cJSON_AddNumberToObject(root, "string_bytes", c->string_bytes) != NULL &&
	    cJSON_AddNumberToObject(root, "argv_bytes", c->argv_bytes) != NULL &&
	    add_text(root, "sync", sync_names[c->sync]) &&
	    cJSON_AddNumberToObject(root, "time_resolution_ns", c->time_resolution_ns) != NULL &&
	    cJSON_AddNumberToObject(root, "memory_bytes", (double)c->memory_bytes) != NULL &&
	    cJSON_AddNumberToObject(root, "ring_bytes", (double)ring_bytes) != NULL &&
	    cJSON_AddNumberToObject(root, "spool_bytes", (double)c->spool_bytes) != NULL)
		text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	return text;
}

int aq_meta_init(struct aq_meta *m, const struct aq_meta_facts *facts)
{
	struct utsname u = { 0 };

	*m = (struct aq_meta){ 0 };
	(void)uname(&u);
	snprintf(m->release, sizeof(m->release), "%s", u.release);
	snprintf(m->version, sizeof(m->version), "%s", u.version);
	snprintf(m->machine, sizeof(m->machine), "%s", u.machine);
	if (gethostname(m->host, sizeof(m->host) - 1) < 0)
		m->host[0] = '\0';
	read_boot_id(m->boot_id, sizeof(m->boot_id));
	m->command = join_command(facts->argc, facts->argv);
	m->features = features_text(facts->probe, facts->missing);
	m->policy = policy_text(facts->config, facts->ring_bytes, facts->iterators);
	if (m->command == NULL || m->features == NULL || m->policy == NULL) {
		aq_meta_release(m);
		return -ENOMEM;
	}
	m->meta = (struct aq_capture_meta){
		.host = m->host,
		.kernel_release = m->release,
		.kernel_version = m->version,
		.machine = m->machine,
		.boot_id = m->boot_id,
		.recorder_version = AQ_VERSION,
		.command = m->command,
		.features_json = m->features,
		.policy_json = m->policy,
		.cpu_count = facts->cpu_count,
		.start_boot_ns = facts->start_boot_ns,
		.start_real_ns = facts->start_real_ns,
		.clock_ticks = (uint32_t)sysconf(_SC_CLK_TCK),
		.page_size = (uint32_t)sysconf(_SC_PAGESIZE),
	};
	if (getrandom(m->meta.capture_id, sizeof(m->meta.capture_id), 0) != (ssize_t)sizeof(m->meta.capture_id)) {
		aq_meta_release(m);
		return -EIO;
	}
	return 0;
}

void aq_meta_release(struct aq_meta *m)
{
	free(m->command);
	free(m->features);
	free(m->policy);
	*m = (struct aq_meta){ 0 };
}
