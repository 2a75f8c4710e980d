/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options, their values and the help text.
 */
#include "recorder/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char help_text[] =
	"usage: aquilad [OPTION…] [-- COMMAND [ARGUMENT…]]\n"
	"       aquilad --probe[=json] | --version | --help\n"
	"\n"
	"Records what the processes of this host ask of the kernel into a capture folder, until Ctrl-C, SIGTERM, the end of\n"
	"--duration or of COMMAND. Needs root, or CAP_BPF and CAP_PERFMON. `aquila record` is the same program.\n"
	"\n"
	"What to record\n"
	"  -- COMMAND            only this command and what descends from it; ends when the command has ended\n"
	"      --syscalls LIST   only these system calls; names, @categories and classes with commas between\n"
	"                        (openat,@net,vital); processes, programs and cgroups are always recorded\n"
	"      --exclude LIST    not these system calls; what is left out is counted in the capture\n"
	"      --uid LIST        only what these users do: 33,1000-1999; with a ! before it, not what that one does\n"
	"      --cgroup C        only what is done in this cgroup and below: its path or its id; or ! and not that\n"
	"      --container ID    only what is done in the container whose id begins so; or ! and not that\n"
	"      --namespace NS    only what is done in this namespace: net:4026531840, pid@PID; or ! and not that\n"
	"      --path-prefix P   of files that are opened only those below this path; or ! and not those\n"
	"                        all of these may be given again; what is vital is recorded all the same, and what is\n"
	"                        left out is counted in the capture\n"
	"      --cgroup-budget B at most so many events per second and cgroup: bulk=100000,ordinary=20000; with a\n"
	"                        path and a colon before it, of that cgroup\n"
	"      --no-snapshot     do not record what exists already at the start\n"
	"      --snapshot HOW    how that is found out: iter (the kernel's iterators, completed from /proc, where they are) or\n"
	"                        proc (/proc alone, which costs three times as much) (default: iter)\n"
	"  -d, --duration T      stop after T: 30s, 5m, 1h, 500ms; a number alone is seconds\n"
	"\n"
	"Names of containers and pods\n"
	"      --no-enrich       ask nobody for names; cgroups and what their paths tell are recorded all the same\n"
	"      --runtime-state DIR  look for containers in this state folder of runc, crun or containerd, or this root of\n"
	"                        podman's, CRI-O's or Docker's storage as well; may be given again; none: not in the usual ones\n"
	"      --runtime-socket PATH  ask the container engine (Docker, podman) that listens at this unix socket as well; only\n"
	"                        GET is sent; may be given again; none: not those that listen where they usually do\n"
	"      --metadata-memory S  for names that wait, and to repeat them in later segments (default: 64M)\n"
	"      --kubeconfig FILE ask the API server that this file's current context names\n"
	"      --kube in-cluster ask it as the service account of the pod that this runs in\n"
	"      --kubelet URL     ask this node's kubelet every 15 s: https://HOST:10250, or http://HOST:10255\n"
	"      --kube-token-file FILE, --kube-ca FILE  the token and the authority to use there\n"
	"      --node-name NAME  only this node's pods (default: $NODE_NAME, or this host's name; '*': of all nodes)\n"
	"      --pod-annotation NAME  keep this annotation of pods; may be given again\n"
	"\n"
	"The capture\n"
	"  -o, --output DIR      folder to make (default: ./HOST-YYYYmmdd-HHMMSS.aquila); it must not exist\n"
	"      --append          if it exists, continue the capture in it: the time between is a gap in it\n"
	"      --sync WHEN       bring it to the disk: none, segment (when one is closed), chunk (after each), vital\n"
	"                        (as chunk; what is vital a few milliseconds after it happened) (default: segment)\n"
	"      --segment-size S  a new segment beyond this size (default: 256M; 0: never)\n"
	"      --segment-age T   a new segment beyond this age (default: 0: never)\n"
	"      --retain-size S   remove the oldest finished segments when all together are larger\n"
	"      --retain-age T    remove segments whose last event is older: 7d, 12h\n"
	"      --min-free S      remove the oldest segments while less than this is free on the disk: 5%, 2G\n"
	"      --keep T[,S]      flight recorder: only the last T, only S, or the stricter of both (10m,2G), in segments\n"
	"                        of a tenth; `aquila pin` or SIGUSR1 keeps what is there\n"
	"      --pin-window B,A  what SIGUSR1 pins: so much before and after it (default: 10m,5m)\n"
	"      --flush-interval T  write an open chunk out when it is older: what a crash can cost (default: 1s;\n"
	"                        0: only full chunks, which is smallest)\n"
	"      --zstd-level N    1 to 19 (default: 3)\n"
	"      --time-resolution NS  round times down to a power of two of nanoseconds (default: 1); 64 saves a third\n"
	"      --durations       record how long each system call took: 1.3 bytes more for each\n"
	"      --env             record the environment of each new program; it often holds secrets\n"
	"      --data N          record the first N bytes, up to 4096, of what is read and written; default: 0. The answers\n"
	"                        of DNS servers are always recorded, and the addresses in them become facts\n"
	"      --max-string N    the longest text of a call's argument, 16 to 4096 bytes (default: 4096)\n"
	"      --max-argv N      the longest argument list of a new program, 64 to 16384 bytes (default: 16384)\n"
	"      --keep-pointers   keep addresses of buffers, which say nothing later\n"
	"      --sign KEYFILE    sign the capture with a key of `aquila keygen sign`; each signature replaces the key in the\n"
	"                        file by its next, so that nobody can sign again what was\n"
	"      --sign-interval T  between signatures, from 1s: what an intruder can still change unnoticed (default: 10s)\n"
	"      --encrypt-to FILE encrypt the capture to the public key in FILE (aquila keygen seal makes it); may be given\n"
	"                        again: each secret key opens it, and nothing on this host does\n"
	"\n"
	"Memory and time\n"
	"      --memory S        of the whole process, rings and all: what is left of it beside 64M for everything else is\n"
	"                        shared out to rings and spool (default: no bound)\n"
	"      --ring-memory S   kernel rings, shared out among CPUs and classes (default: 64M)\n"
	"      --spool S         memory for bursts behind them; when it is full the lowest class goes first\n"
	"                        (default: 256M)\n"
	"      --priority N      of the thread that empties the rings: 0 nice -20, 1 to 99 round-robin real time,\n"
	"                        -1 as it is (default: 0)\n"
	"\n"
	"Output and exit status\n"
	"  -q, --quiet           no summary, no progress\n"
	"      --no-progress     no progress line\n"
	"      --exit-status WHOSE  recorder or command: whose status to end with (default: recorder)\n"
	"      --verbose         the kernel's whole log when it refuses the programs\n"
	"      --probe[=json]    say what this host offers and what is degraded without it; 1 if recording is impossible\n"
	"      --version, --help\n"
	"\n"
	"Exit status: 0 all was recorded, 3 something was lost (the capture says what and when), 1 error, 2 usage,\n"
	"127 COMMAND was not found, 126 it can't be executed.\n"
	"\n"
	"Examples\n"
	"  aquilad -- make -j4                         everything that a build does\n"
	"  aquilad -o web.aquila --duration 10m        the whole host for ten minutes\n"
	"  aquilad --syscalls @net,execve -d 1h        connections and programs only\n"
	"  aquilad --exclude futex,@time --spool 1G    a busy host without its noise\n"
	"  aquilad -o flight.aquila --keep 10m,2GiB    the last ten minutes, at most 2 GiB\n"
	"  aquila info web.aquila                      and then: what is in it\n";

#define DEFAULT_SIGN_NS 10000000000ull

enum {
	OPT_SYSCALLS = 256, OPT_EXCLUDE, OPT_RING_MEMORY, OPT_SPOOL, OPT_SEGMENT_SIZE, OPT_SEGMENT_AGE, OPT_FLUSH, OPT_ZSTD,
	OPT_RESOLUTION, OPT_POINTERS, OPT_NO_SNAPSHOT, OPT_NO_PROGRESS, OPT_PRIORITY, OPT_EXIT, OPT_VERBOSE, OPT_PROBE,
	OPT_VERSION, OPT_FILTER, OPT_SYNC, OPT_APPEND, OPT_SIGN, OPT_SIGN_INTERVAL, OPT_ENCRYPT, OPT_RETAIN_SIZE, OPT_RETAIN_AGE,
	OPT_MIN_FREE, OPT_KEEP, OPT_PIN_WINDOW, OPT_DURATIONS, OPT_SNAPSHOT, OPT_MEMORY, OPT_DUMP_RINGS, OPT_ENV, OPT_DATA,
	OPT_MAX_STRING, OPT_MAX_ARGV,
	OPT_KUBECONFIG, OPT_KUBE, OPT_KUBELET, OPT_KUBE_TOKEN, OPT_KUBE_CA, OPT_NODE_NAME, OPT_ANNOTATION,
	OPT_NO_ENRICH, OPT_RUNTIME_STATE, OPT_RUNTIME_SOCKET, OPT_METADATA_MEMORY,
	OPT_POLICY, /* and as many more as there are kinds of policy */
};

static const struct option long_options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "duration", required_argument, NULL, 'd' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "syscalls", required_argument, NULL, OPT_SYSCALLS },
	{ "exclude", required_argument, NULL, OPT_EXCLUDE },
	{ "kubeconfig", required_argument, NULL, OPT_KUBECONFIG },
	{ "kube", required_argument, NULL, OPT_KUBE },
	{ "kubelet", required_argument, NULL, OPT_KUBELET },
	{ "kube-token-file", required_argument, NULL, OPT_KUBE_TOKEN },
	{ "kube-ca", required_argument, NULL, OPT_KUBE_CA },
	{ "node-name", required_argument, NULL, OPT_NODE_NAME },
	{ "pod-annotation", required_argument, NULL, OPT_ANNOTATION },
	{ "no-enrich", no_argument, NULL, OPT_NO_ENRICH },
	{ "runtime-state", required_argument, NULL, OPT_RUNTIME_STATE },
	{ "runtime-socket", required_argument, NULL, OPT_RUNTIME_SOCKET },
	{ "metadata-memory", required_argument, NULL, OPT_METADATA_MEMORY },
	{ "uid", required_argument, NULL, OPT_POLICY + AQ_POLICY_UID },
	{ "cgroup", required_argument, NULL, OPT_POLICY + AQ_POLICY_CGROUP },
	{ "container", required_argument, NULL, OPT_POLICY + AQ_POLICY_CONTAINER },
	{ "namespace", required_argument, NULL, OPT_POLICY + AQ_POLICY_NAMESPACE },
	{ "path-prefix", required_argument, NULL, OPT_POLICY + AQ_POLICY_PATH },
	{ "cgroup-budget", required_argument, NULL, OPT_POLICY + AQ_POLICY_BUDGET },
	{ "filter", required_argument, NULL, OPT_FILTER },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "dump-rings", required_argument, NULL, OPT_DUMP_RINGS },
	{ "ring-memory", required_argument, NULL, OPT_RING_MEMORY },
	{ "spool", required_argument, NULL, OPT_SPOOL },
	{ "append", no_argument, NULL, OPT_APPEND },
	{ "sync", required_argument, NULL, OPT_SYNC },
	{ "segment-size", required_argument, NULL, OPT_SEGMENT_SIZE },
	{ "segment-age", required_argument, NULL, OPT_SEGMENT_AGE },
	{ "retain-size", required_argument, NULL, OPT_RETAIN_SIZE },
	{ "retain-age", required_argument, NULL, OPT_RETAIN_AGE },
	{ "min-free", required_argument, NULL, OPT_MIN_FREE },
	{ "keep", required_argument, NULL, OPT_KEEP },
	{ "pin-window", required_argument, NULL, OPT_PIN_WINDOW },
	{ "flush-interval", required_argument, NULL, OPT_FLUSH },
	{ "zstd-level", required_argument, NULL, OPT_ZSTD },
	{ "time-resolution", required_argument, NULL, OPT_RESOLUTION },
	{ "encrypt-to", required_argument, NULL, OPT_ENCRYPT },
	{ "durations", no_argument, NULL, OPT_DURATIONS },
	{ "env", no_argument, NULL, OPT_ENV },
	{ "data", required_argument, NULL, OPT_DATA },
	{ "max-string", required_argument, NULL, OPT_MAX_STRING },
	{ "max-argv", required_argument, NULL, OPT_MAX_ARGV },
	{ "keep-pointers", no_argument, NULL, OPT_POINTERS },
	{ "sign", required_argument, NULL, OPT_SIGN },
	{ "sign-interval", required_argument, NULL, OPT_SIGN_INTERVAL },
	{ "no-snapshot", no_argument, NULL, OPT_NO_SNAPSHOT },
	{ "snapshot", required_argument, NULL, OPT_SNAPSHOT },
	{ "no-progress", no_argument, NULL, OPT_NO_PROGRESS },
	{ "priority", required_argument, NULL, OPT_PRIORITY },
	{ "exit-status", required_argument, NULL, OPT_EXIT },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "probe", optional_argument, NULL, OPT_PROBE },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

void aq_config_help(FILE *out)
{
	fputs(help_text, out);
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* Digits, perhaps a fraction of up to nine digits, then one of the units. */
static int parse_with_unit(const char *text, const struct unit *units, size_t unit_count, uint64_t *ret_value)
{
	uint64_t whole = 0, fraction = 0, scale = 1, factor = 0;
	const char *p = text;

	if (!isdigit((unsigned char)*p))
		return -EINVAL;
	for (; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(whole, 10u, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
			return -ERANGE;
	if (*p == '.') {
		for (p++; isdigit((unsigned char)*p); p++) {
			if (scale == 1000000000)
				return -EINVAL;
			fraction = fraction * 10 + (uint64_t)(*p - '0');
			scale *= 10;
		}
		if (scale == 1)
			return -EINVAL;
	}
	for (size_t i = 0; i < unit_count && factor == 0; i++)
		if (strcasecmp(p, units[i].name) == 0)
			factor = units[i].factor;
	if (factor == 0)
		return -EINVAL;
	if (__builtin_mul_overflow(whole, factor, &whole) ||
	    __builtin_add_overflow(whole, (uint64_t)((unsigned __int128)fraction * factor / scale), &whole))
		return -ERANGE;
	*ret_value = whole;
	return 0;
}

int aq_parse_duration(const char *text, uint64_t *ret_ns)
{
	static const struct unit units[] = {
		{ "", 1000000000 }, { "s", 1000000000 }, { "ms", 1000000 }, { "us", 1000 }, { "ns", 1 },
		{ "m", 60ull * 1000000000 }, { "min", 60ull * 1000000000 }, { "h", 3600ull * 1000000000 },
		{ "d", 86400ull * 1000000000 },
	};

	return parse_with_unit(text, units, sizeof(units) / sizeof(units[0]), ret_ns);
}

int aq_parse_size(const char *text, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
		{ "", 1 }, { "b", 1 }, { "k", 1ull << 10 }, { "kb", 1ull << 10 }, { "kib", 1ull << 10 }, { "m", 1ull << 20 },
		{ "mb", 1ull << 20 }, { "mib", 1ull << 20 }, { "g", 1ull << 30 }, { "gb", 1ull << 30 },
		{ "gib", 1ull << 30 }, { "t", 1ull << 40 }, { "tb", 1ull << 40 }, { "tib", 1ull << 40 },
	};

	return parse_with_unit(text, units, sizeof(units) / sizeof(units[0]), ret_bytes);
}

static bool set_matching(const char *word, bool set[AQ_WIRE_EVENTS])
{
	const struct aq_event_schema *ev;
	bool found = false;

	for (ev = aq_schema_next(0); ev != NULL && ev->id < AQ_EVENT_ID_STATE; ev = aq_schema_next(ev->id)) {
		bool match = word[0] == '@' ? strcmp(aq_category_name(ev->category), word + 1) == 0 :
					      strcmp(ev->name, word) == 0 || strcmp(aq_class_name(ev->cls), word) == 0;

		if (match)
			set[ev->id] = found = true;
	}
	return found;
}

int aq_parse_event_list(const char *list, bool set[AQ_WIRE_EVENTS], struct aq_err *err)
{
	while (*list != '\0') {
		size_t n = strcspn(list, ",");
		char word[64];

		if (n > 0) {
			if (n >= sizeof(word))
				return aq_err_set(err, -ENOENT, "'%.60s…' is no system call", list);
			memcpy(word, list, n);
			word[n] = '\0';
			if (!set_matching(word, set))
				return aq_err_set(err, -ENOENT,
						  "'%s' is no system call, @category or class (vital, important, "
						  "ordinary, bulk)", word);
		}
		list += n + (list[n] == ',');
	}
	return 0;
}

static int apply_filters(struct aq_config *c, struct aq_err *err)
{
	bool wanted[AQ_WIRE_EVENTS] = { false }, unwanted[AQ_WIRE_EVENTS] = { false };

	if (c->syscalls != NULL && aq_parse_event_list(c->syscalls, wanted, err) < 0)
		return aq_err_prefix(err, "--syscalls: "), -EINVAL;
	if (c->exclude != NULL && aq_parse_event_list(c->exclude, unwanted, err) < 0)
		return aq_err_prefix(err, "--exclude: "), -EINVAL;
	for (unsigned i = 1; i < AQ_EVENT_ID_STATE; i++)
		c->skip[i] = (c->syscalls != NULL && !wanted[i]) || unwanted[i];
	return 0;
}

static int default_output(struct aq_config *c, struct aq_err *err)
{
	char host[256] = "host", stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	if (gethostname(host, sizeof(host) - 1) < 0 || host[0] == '\0')
		strcpy(host, "host");
	for (char *p = host; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_' && (*p != '.' || p == host))
			*p = '_';
	if (localtime_r(&now, &tm) == NULL || strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm) == 0)
		return aq_err_set(err, -EINVAL, "the time of day can't be read; name the capture with -o");
	snprintf(c->output, sizeof(c->output), "./%s-%s.aquila", host, stamp);
	return 0;
}

static int parse_int(const char *text, long min, long max, long *ret_value)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value < min || value > max)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static int set_output(struct aq_config *c, const char *value, struct aq_err *err)
{
	size_t n = strlen(value);

	while (n > 1 && value[n - 1] == '/')
		n--;
	if (n == 0 || n >= sizeof(c->output))
		return aq_err_set(err, -EINVAL, "-o needs the name of a folder");
	memcpy(c->output, value, n);
	c->output[n] = '\0';
	return 0;
}

static int set_sync(struct aq_config *c, const char *value, struct aq_err *err)
{
	static const char *const names[] = { [AQ_SYNC_SEGMENT] = "segment", [AQ_SYNC_NONE] = "none",
					     [AQ_SYNC_CHUNK] = "chunk", [AQ_SYNC_VITAL] = "vital" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(value, names[i]) == 0) {
			c->sync = (enum aq_sync)i;
			return 0;
		}
	}
	return aq_err_set(err, -EINVAL, "--sync takes none, segment, chunk or vital, not '%s'", value);
}

static int number_option(struct aq_config *c, int option, const char *value, struct aq_err *err)
{
	long n = 0;

	switch (option) {
	case OPT_ZSTD:
		if (parse_int(value, 1, 19, &n) < 0)
			return aq_err_set(err, -EINVAL, "--zstd-level takes 1 to 19, not '%s'", value);
		c->zstd_level = (int)n;
		return 0;
	case OPT_RESOLUTION:
		if (parse_int(value, 1, 1 << 30, &n) < 0 || (n & (n - 1)) != 0)
			return aq_err_set(err, -EINVAL, "--time-resolution takes a power of two of nanoseconds, not '%s'",
					  value);
		c->time_resolution_ns = (uint32_t)n;
		return 0;
	case OPT_DATA:
		if (parse_int(value, 0, AQ_WIRE_DATA_MAX, &n) < 0)
			return aq_err_set(err, -EINVAL, "--data takes 0 to %d bytes, not '%s'", AQ_WIRE_DATA_MAX, value);
		c->data_bytes = (uint32_t)n;
		return 0;
	case OPT_MAX_STRING:
		if (parse_int(value, 16, AQ_WIRE_STRING_MAX, &n) < 0)
			return aq_err_set(err, -EINVAL, "--max-string takes 16 to %d bytes, not '%s'", AQ_WIRE_STRING_MAX, value);
		c->string_bytes = (uint32_t)n;
		return 0;
	case OPT_MAX_ARGV:
		if (parse_int(value, 64, AQ_WIRE_ARGV_MAX, &n) < 0)
			return aq_err_set(err, -EINVAL, "--max-argv takes 64 to %d bytes, not '%s'", AQ_WIRE_ARGV_MAX, value);
		c->argv_bytes = (uint32_t)n;
		return 0;
	default:
		if (parse_int(value, -1, 99, &n) < 0)
			return aq_err_set(err, -EINVAL, "--priority takes -1 to 99, not '%s'", value);
		c->priority = (int)n;
		return 0;
	}
}

/* Splits "A,B" into parts that are given back in turn; false when there is none left, or it is too long. */
static bool next_part(const char **text, char part[32])
{
	size_t n = strcspn(*text, ",");

	if (n == 0 || n >= 32)
		return false;
	memcpy(part, *text, n);
	part[n] = '\0';
	*text += n + ((*text)[n] == ',');
	return true;
}

static int keep_option(struct aq_config *c, const char *value, struct aq_err *err)
{
	const char *at = value;
	char part[32];

	while (*at != '\0') {
		/* a number alone and "10m" are times; sizes in megabytes are 10MB or 10MiB here */
		if (!next_part(&at, part) ||
		    !((c->retention.age_ns == 0 && aq_parse_duration(part, &c->retention.age_ns) == 0) ||
		      (c->retention.total_bytes == 0 && aq_parse_size(part, &c->retention.total_bytes) == 0)))
			return aq_err_set(err, -EINVAL, "'%s' is no time and no size to keep; 10m, 2GiB and 10m,2GiB are", value);
	}
	if (c->retention.age_ns == 0 && c->retention.total_bytes == 0)
		return aq_err_set(err, -EINVAL, "--keep needs a time or a size; 10m, 2GiB and 10m,2GiB are");
	return 0;
}

static int retention_option(struct aq_config *c, int option, const char *value, struct aq_err *err)
{
	size_t n = strlen(value);
	const char *at = value;
	char part[32];
	uint64_t percent;

	switch (option) {
	case OPT_KEEP:
		return keep_option(c, value, err);
	case OPT_RETAIN_SIZE:
		return aq_parse_size(value, &c->retention.total_bytes) == 0 && c->retention.total_bytes > 0 ? 0 :
			aq_err_set(err, -EINVAL, "'%s' is no size to keep; 10G is", value);
	case OPT_RETAIN_AGE:
		return aq_parse_duration(value, &c->retention.age_ns) == 0 && c->retention.age_ns > 0 ? 0 :
			aq_err_set(err, -EINVAL, "'%s' is no time to keep; 7d is", value);
	case OPT_MIN_FREE:
		if (n > 1 && n < sizeof(part) && value[n - 1] == '%') {
			memcpy(part, value, n - 1);
			part[n - 1] = '\0';
			if (aq_parse_size(part, &percent) == 0 && percent > 0 && percent < 100) {
				c->retention.free_percent = (uint32_t)percent;
				return 0;
			}
		} else if (aq_parse_size(value, &c->retention.free_bytes) == 0 && c->retention.free_bytes > 0) {
			return 0;
		}
		return aq_err_set(err, -EINVAL, "'%s' is no part of a disk; 5%% and 2G are", value);
	default:
		if (next_part(&at, part) && aq_parse_duration(part, &c->pin_before_ns) == 0 && next_part(&at, part) &&
		    aq_parse_duration(part, &c->pin_after_ns) == 0 && *at == '\0')
			return 0;
		return aq_err_set(err, -EINVAL, "'%s' is no window; 10m,5m is", value);
	}
}

/* Segments small enough that what is kept is exact to about a tenth. */
static void fit_segments(struct aq_config *c)
{
	const uint64_t second = 1000000000u, age = c->retention.age_ns / 10, bytes = c->retention.total_bytes / 10;
	uint64_t least_age = age < second ? second : age, least_bytes = bytes < 1u << 20 ? 1u << 20 : bytes;

	if (c->retention.age_ns != 0 && (c->segment_age_ns == 0 || c->segment_age_ns > least_age))
		c->segment_age_ns = least_age;
	if (c->retention.total_bytes != 0 && (c->segment_bytes == 0 || c->segment_bytes > least_bytes))
		c->segment_bytes = least_bytes;
}

static int amount_option(struct aq_config *c, int option, const char *value, struct aq_err *err)
{
	bool time = option == 'd' || option == OPT_SEGMENT_AGE || option == OPT_FLUSH || option == OPT_SIGN_INTERVAL;
	uint64_t *to = option == 'd' ? &c->duration_ns : option == OPT_SEGMENT_AGE ? &c->segment_age_ns :
		       option == OPT_FLUSH ? &c->flush_ns : option == OPT_SIGN_INTERVAL ? &c->sign_ns : option == OPT_RING_MEMORY ? &c->ring_bytes :
		       option == OPT_MEMORY ? &c->memory_bytes :
		       option == OPT_METADATA_MEMORY ? &c->metadata_bytes : option == OPT_SPOOL ? &c->spool_bytes : &c->segment_bytes;

	if (time ? aq_parse_duration(value, to) < 0 : aq_parse_size(value, to) < 0)
		return aq_err_set(err, -EINVAL, time ? "'%s' is no time; 30s, 5m, 1h and 500ms are" :
						       "'%s' is no size; 64M and 1.5G are", value);
	if (option == 'd' && c->duration_ns == 0)
		return aq_err_set(err, -EINVAL, "--duration must be more than 0");
	if (option == OPT_SIGN_INTERVAL && c->sign_ns < 1000000000)
		return aq_err_set(err, -EINVAL, "--sign-interval takes 1s or more, not '%s'", value);
	c->ring_given = c->ring_given || option == OPT_RING_MEMORY;
	c->spool_given = c->spool_given || option == OPT_SPOOL;
	if ((option == OPT_RING_MEMORY || option == OPT_SPOOL || option == OPT_MEMORY || option == OPT_METADATA_MEMORY) && (*to < (1u << 20) || *to > 1ull << 40))
		return aq_err_set(err, -EINVAL, "'%s' is no sensible amount of memory; 1M to 1T is", value);
	return 0;
}

static int state_option(struct aq_config *c, const char *value, struct aq_err *err)
{
	if (strcmp(value, "none") == 0) {
		c->no_usual_files = true;
		return 0;
	}
	if (value[0] != '/')
		return aq_err_set(err, -EINVAL, "--runtime-state takes an absolute path or none, not '%s'", value);
	if (c->state_folder_count == AQ_STATE_FOLDERS_MAX)
		return aq_err_set(err, -EINVAL, "--runtime-state: more than %d folders", AQ_STATE_FOLDERS_MAX);
	c->state_folders[c->state_folder_count++] = value;
	return 0;
}

static int socket_option(struct aq_config *c, const char *value, struct aq_err *err)
{
	if (strcmp(value, "none") == 0) {
		c->no_usual_sockets = true;
		return 0;
	}
	if (value[0] != '/' || strlen(value) >= AQ_DOCKER_PATH_MAX)
		return aq_err_set(err, -EINVAL, "--runtime-socket takes an absolute path of less than %d bytes or none, not '%s'",
				  AQ_DOCKER_PATH_MAX, value);
	if (c->socket_count == AQ_DOCKER_SOCKETS_MAX)
		return aq_err_set(err, -EINVAL, "--runtime-socket: more than %d sockets", AQ_DOCKER_SOCKETS_MAX);
	c->sockets[c->socket_count++] = value;
	return 0;
}

static int kube_option(struct aq_config *c, int option, const char *value, struct aq_err *err)
{
	c->kube_given = c->kube_given || option == OPT_KUBECONFIG || option == OPT_KUBE || option == OPT_KUBELET;
	if (value[0] == '\0')
		return aq_err_set(err, -EINVAL, "an option about Kubernetes has an empty value");
	switch (option) {
	case OPT_KUBECONFIG:
		c->kube.kubeconfig = value;
		return 0;
	case OPT_KUBE:
		if (strcmp(value, "in-cluster") != 0)
			return aq_err_set(err, -EINVAL, "--kube takes in-cluster, not '%s'; --kubeconfig takes a file", value);
		c->kube.in_cluster = true;
		return 0;
	case OPT_KUBELET:
		c->kube.kubelet = value;
		return 0;
	case OPT_KUBE_TOKEN:
		c->kube.token_file = value;
		return 0;
	case OPT_KUBE_CA:
		c->kube.ca_file = value;
		return 0;
	case OPT_NODE_NAME:
		c->kube.node_name = value;
		return 0;
	default:
		if (c->kube.annotation_count == AQ_ANNOTATIONS_MAX)
			return aq_err_set(err, -EINVAL, "--pod-annotation: more than %d names", AQ_ANNOTATIONS_MAX);
		c->annotations[c->kube.annotation_count++] = value;
		return 0;
	}
}

static int one_option(struct aq_config *c, int option, const char *value, struct aq_err *err)
{
	switch (option) {
	case 'o':
		return set_output(c, value, err);
	case 'q':
		c->quiet = c->no_progress = true;
		return 0;
	case 'h':
		c->action = AQ_ACTION_HELP;
		return 0;
	case OPT_VERSION:
		c->action = AQ_ACTION_VERSION;
		return 0;
	case OPT_PROBE:
		if (value != NULL && strcmp(value, "json") != 0 && strcmp(value, "text") != 0)
			return aq_err_set(err, -EINVAL, "--probe takes text or json, not '%s'", value);
		c->action = value != NULL && value[0] == 'j' ? AQ_ACTION_PROBE_JSON : AQ_ACTION_PROBE;
		return 0;
	case OPT_DUMP_RINGS:
		c->dump_rings = value;
		return 0;
	case OPT_SYSCALLS:
		c->syscalls = value;
		return 0;
	case OPT_EXCLUDE:
		c->exclude = value;
		return 0;
	case OPT_FILTER:
		return aq_err_set(err, -EINVAL, "--filter works when reading (aquila query); while recording, choose "
						"with --syscalls, --exclude, --cgroup, --uid and the like, or a COMMAND");
	case OPT_SYNC:
		return set_sync(c, value, err);
	case OPT_APPEND:
		c->append = true;
		return 0;
	case OPT_SIGN:
		c->sign = value;
		return 0;
	case OPT_ENCRYPT:
		if (c->encrypt_to_count == AQ_ENCRYPT_TO_MAX)
			return aq_err_set(err, -EINVAL, "--encrypt-to: more than %d files", AQ_ENCRYPT_TO_MAX);
		c->encrypt_to[c->encrypt_to_count++] = value;
		return 0;
	case OPT_POINTERS:
		c->keep_pointers = true;
		return 0;
	case OPT_DURATIONS:
		c->durations = true;
		return 0;
	case OPT_NO_SNAPSHOT:
		c->no_snapshot = true;
		return 0;
	case OPT_SNAPSHOT:
		if (strcmp(value, "iter") != 0 && strcmp(value, "proc") != 0)
			return aq_err_set(err, -EINVAL, "--snapshot takes iter or proc, not '%s'", value);
		c->snapshot_proc = value[0] == 'p';
		return 0;
	case OPT_NO_PROGRESS:
		c->no_progress = true;
		return 0;
	case OPT_VERBOSE:
		c->verbose = true;
		return 0;
	case OPT_EXIT:
		if (strcmp(value, "command") != 0 && strcmp(value, "recorder") != 0)
			return aq_err_set(err, -EINVAL, "--exit-status takes recorder or command, not '%s'", value);
		c->exit_with_command = value[0] == 'c';
		return 0;
	case OPT_ENV:
		c->environment = true;
		return 0;
	case OPT_ZSTD:
	case OPT_RESOLUTION:
	case OPT_PRIORITY:
	case OPT_DATA:
	case OPT_MAX_STRING:
	case OPT_MAX_ARGV:
		return number_option(c, option, value, err);
	case OPT_RETAIN_SIZE:
	case OPT_RETAIN_AGE:
	case OPT_MIN_FREE:
	case OPT_KEEP:
	case OPT_PIN_WINDOW:
		return retention_option(c, option, value, err);
	case OPT_NO_ENRICH:
		c->no_enrich = true;
		return 0;
	case OPT_RUNTIME_STATE:
		return state_option(c, value, err);
	case OPT_RUNTIME_SOCKET:
		return socket_option(c, value, err);
	default:
		if (option >= OPT_KUBECONFIG && option <= OPT_ANNOTATION)
			return kube_option(c, option, value, err);
		if (option >= OPT_POLICY)
			return aq_policy_add(&c->policy, (enum aq_policy_kind)(option - OPT_POLICY), value, err);
		return amount_option(c, option, value, err);
	}
}

int aq_config_parse(int argc, char *const argv[], struct aq_config *c, struct aq_err *err)
{
	int option, r;

	*c = (struct aq_config){
		.action = AQ_ACTION_RECORD,
		.ring_bytes = 64u << 20,
		.spool_bytes = 256u << 20,
		.segment_bytes = 256ull << 20,
		.pin_before_ns = 600ull * 1000000000,
		.pin_after_ns = 300ull * 1000000000,
		.flush_ns = 1000000000,
		.sign_ns = DEFAULT_SIGN_NS,
		.zstd_level = 3,
		.time_resolution_ns = 1,
		.string_bytes = AQ_WIRE_STRING_MAX,
		.argv_bytes = AQ_WIRE_ARGV_MAX,
	};
	if (argc > 1 && strcmp(argv[1], "record") == 0) { /* as aquila record passes it on */
		argv++;
		argc--;
	}
	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:o:d:qh", long_options, NULL)) != -1) {
		if (option == ':')
			return aq_err_set(err, -EINVAL, "%s needs a value", argv[optind - 1]);
		if (option == '?')
			return aq_err_set(err, -EINVAL, "there is no option %s", argv[optind - 1]);
		r = one_option(c, option, optarg, err);
		if (r < 0 || c->action == AQ_ACTION_HELP || c->action == AQ_ACTION_VERSION)
			return r;
	}
	if (optind < argc) {
		if (strcmp(argv[optind - 1], "--") != 0)
			return aq_err_set(err, -EINVAL, "a command comes after --: aquilad … -- %s", argv[optind]);
		c->command = &argv[optind];
	} else if (optind > 1 && strcmp(argv[optind - 1], "--") == 0) {
		return aq_err_set(err, -EINVAL, "there is no command after --");
	}
	if (c->exit_with_command && c->command == NULL)
		return aq_err_set(err, -EINVAL, "--exit-status command needs a command");
	if (c->append && c->output[0] == '\0')
		return aq_err_set(err, -EINVAL, "--append needs the folder of a capture: -o DIR");
	if (!c->kube_given && (c->kube.token_file != NULL || c->kube.ca_file != NULL || c->kube.node_name != NULL ||
			       c->kube.annotation_count > 0))
		return aq_err_set(err, -EINVAL, "--kube-token-file, --kube-ca, --node-name and --pod-annotation need "
						"--kubeconfig, --kube or --kubelet");
	if (c->no_enrich && (c->kube_given || c->state_folder_count > 0 || c->socket_count > 0 || c->metadata_bytes != 0))
		return aq_err_set(err, -EINVAL, "--no-enrich asks nobody for names, but other options say whom to ask");
	if (c->sign == NULL && c->sign_ns != DEFAULT_SIGN_NS)
		return aq_err_set(err, -EINVAL, "--sign-interval needs --sign KEYFILE");
	if (c->memory_bytes != 0 && c->metadata_bytes == 0)
		c->metadata_bytes = 16u << 20; /* of what --memory leaves for everything else */
	fit_segments(c);
	r = apply_filters(c, err);
	if (r == 0 && c->output[0] == '\0')
		r = default_output(c, err);
	return r;
}
