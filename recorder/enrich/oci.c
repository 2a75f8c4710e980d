/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns name folders in which each container has one of its own with a file in it. The folders that a pattern matches
 * are watched, and so are those above them, because they may appear later. What appears is read until it is whole.
 *
 * Files belong to whoever runs containers, also to users: they are opened below their folder without following links, must
 * be plain files, and are bounded. When there are no watches left, the folders are looked through every second instead.
 */
#include "recorder/enrich/oci.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "format/facts/oci.h"
#include "format/facts/pods.h"
#include "recorder/enrich/fact_store.h"

enum {
	FILE_MAX = 4 << 20,             /* bytes of one container's file */
	LIST_FILE_MAX = 32 << 20,       /* of containers.json */
	FOLDERS_MAX = 4096,             /* that are watched */
	PENDING_MAX = 8192,
	FIRST_WAIT_MS = 1, LONGEST_WAIT_MS = 100, PATIENCE_MS = 10000, LOOK_MS = 1000, SETTLE_MS = 20,
};

/* What a folder of containers holds; a folder can be several of these. */
struct look {
	enum aq_oci_file file;
	const char *name;
	bool moby;
};

static const struct look looks[] = {
	{ AQ_OCI_BUNDLE, "config.json", false },
	{ AQ_OCI_BUNDLE, "config.json", true },
	{ AQ_OCI_USERDATA, "userdata/config.json", false },
	{ AQ_OCI_RUNC, "state.json", false },
	{ AQ_OCI_CRUN, "status", false },
	{ AQ_OCI_DOCKER, "config.v2.json", false },
};

enum { BUNDLES, MOBY, USERDATA, RUNC, CRUN, DOCKER, LOOKS };

static const char *const list_names[] = { "containers.json", "volatile-containers.json" };

static const struct place {
	const char *pattern;
	unsigned look;
} usual[] = {
	{ "/run/containerd/io.containerd.runtime.v2.task/moby", MOBY },
	{ "/run/containerd/io.containerd.runtime.v2.task/*", BUNDLES },
	{ "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/*", MOBY },
	{ "/run/k3s/containerd/io.containerd.runtime.v2.task/*", BUNDLES },
	{ "/run/runc", RUNC },
	{ "/run/containerd/runc/*", RUNC },
	{ "/run/docker/runtime-runc/*", RUNC },
	{ "/run/user/*/runc", RUNC },
	{ "/run/crun", CRUN },
	{ "/run/user/*/crun", CRUN },
	{ "/run/containers/storage/*-containers", USERDATA },
	{ "/var/lib/containers/storage/*-containers", USERDATA },
	{ "/run/user/*/containers/*-containers", USERDATA },
	{ "/home/*/.local/share/containers/storage/*-containers", USERDATA },
	{ "/var/lib/docker/containers", DOCKER },
}, given[] = { /* below a folder that the command line names */
	{ "/io.containerd.runtime.v2.task/*", BUNDLES },
	{ "/*-containers", USERDATA },
	{ "/containers", DOCKER },
	{ "", RUNC },
	{ "", CRUN },
};

struct pattern {
	char *text;             /* owned */
	unsigned look;
};

struct folder {
	char *path;             /* owned */
	int wd;                 /* -1: not watched */
	unsigned looks;         /* bits; 0: it is only above one of those */
	bool list_due;          /* its containers.json is to be read */
};

struct pending {
	size_t folder;          /* index; folders are never removed, only forgotten (wd -1) */
	char *name;             /* owned */
	unsigned look;
	uint64_t next_ns, until_ns, wait_ns; /* CLOCK_MONOTONIC */
};

struct aq_oci {
	aq_fact_sink *sink;
	void *user;
	struct aq_fact_store *store;
	struct pattern *patterns;
	size_t pattern_count;
	struct folder *folders;
	size_t folder_count;
	struct pending *pending;
	size_t pending_count;
	bool again;             /* something was missed: look through all folders */
	bool match_due;         /* a folder that a pattern matches may have appeared */
	bool polls;             /* there is no inotify, or it is exhausted */
	uint64_t match_ns, look_ns, list_ns; /* not before */
	char said[200];
	int inotify_fd, stop_fd;
	pthread_t thread;
	bool started;
};

static uint64_t now_ns(clockid_t id)
{
	struct timespec t;

	return clock_gettime(id, &t) < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- places ---- */

static int add_pattern(struct aq_oci *o, const char *root, const struct place *place)
{
	struct pattern *more = reallocarray(o->patterns, o->pattern_count + 1, sizeof(*more));
	char *text = NULL;

	if (more == NULL)
		return -ENOMEM;
	o->patterns = more;
	if (asprintf(&text, "%s%s", root, place->pattern) < 0)
		return -ENOMEM;
	for (size_t n = strlen(text); n > 1 && text[n - 1] == '/'; n--)
		text[n - 1] = '\0';
	o->patterns[o->pattern_count++] = (struct pattern){ text, place->look };
	return 0;
}

/* What a pattern would match: a root is anybody's words, so its own wildcards stand for themselves. */
static char *escaped(const char *root)
{
	char *out = malloc(strlen(root) * 2 + 1), *at = out;

	for (; out != NULL && *root != '\0'; root++) {
		if (strchr("*?[\\", *root) != NULL)
			*at++ = '\\';
		*at++ = *root;
	}
	if (out != NULL)
		*at = '\0';
	return out;
}

static void ask_for(struct aq_oci *o, size_t folder, unsigned look, const char *name)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	struct pending *more;

	if (!aq_oci_is_id(name))
		return;
	for (size_t i = 0; i < o->pending_count; i++)
		if (o->pending[i].folder == folder && o->pending[i].look == look && strcmp(o->pending[i].name, name) == 0)
			return;
	if (o->pending_count == PENDING_MAX) {
		o->again = true;
		return;
	}
	more = reallocarray(o->pending, o->pending_count + 1, sizeof(*more));
	if (more == NULL)
		return;
	o->pending = more;
	more[o->pending_count] = (struct pending){ .folder = folder, .name = strdup(name), .look = look, .next_ns = now,
						   .wait_ns = FIRST_WAIT_MS * 1000000ull, .until_ns = now + PATIENCE_MS * 1000000ull };
	if (more[o->pending_count].name != NULL)
		o->pending_count++;
}

static void key_of(const struct aq_oci *o, size_t folder, const char *name, char *key, size_t size)
{
	snprintf(key, size, "%s/%s", o->folders[folder].path, name);
}

static void gone(struct aq_oci *o, size_t folder, const char *name)
{
	char key[PATH_MAX];

	key_of(o, folder, name, key, sizeof(key));
	for (unsigned i = 0; i < LOOKS; i++)
		if (o->folders[folder].looks & 1u << i) {
			aq_fact_store_begin(o->store); /* without facts: those that there were end */
			(void)aq_fact_store_commit(o->store, i, key, true, now_ns(CLOCK_BOOTTIME));
		}
	for (size_t i = 0; i < o->pending_count;)
		if (o->pending[i].folder == folder && strcmp(o->pending[i].name, name) == 0) {
			free(o->pending[i].name);
			o->pending[i] = o->pending[--o->pending_count];
		} else {
			i++;
		}
}

static void look_through(struct aq_oci *o, size_t folder)
{
	DIR *dir = o->folders[folder].looks != 0 ? opendir(o->folders[folder].path) : NULL;
	const struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)
			for (unsigned i = 0; i < LOOKS; i++)
				if (o->folders[folder].looks & 1u << i)
					ask_for(o, folder, i, entry->d_name);
	closedir(dir);
	o->folders[folder].list_due = (o->folders[folder].looks & 1u << USERDATA) != 0;
}

static void watch(struct aq_oci *o, const char *path, unsigned look_bits)
{
	const uint32_t mask = IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_CLOSE_WRITE | IN_ONLYDIR |
			      IN_DONT_FOLLOW;
	struct folder *more;
	size_t i;

	for (i = 0; i < o->folder_count && strcmp(o->folders[i].path, path) != 0; i++)
		;
	if (i == o->folder_count) {
		if (i == FOLDERS_MAX)
			return;
		more = reallocarray(o->folders, i + 1, sizeof(*more));
		if (more == NULL)
			return;
		o->folders = more;
		more[i] = (struct folder){ .path = strdup(path), .wd = -1 };
		if (more[i].path == NULL)
			return;
		o->folder_count++;
	}
	if (o->folders[i].wd >= 0 && (o->folders[i].looks | look_bits) == o->folders[i].looks)
		return;
	o->folders[i].looks |= look_bits;
	if (o->folders[i].wd < 0 && o->inotify_fd >= 0) {
		o->folders[i].wd = inotify_add_watch(o->inotify_fd, path, mask);
		if (o->folders[i].wd < 0 && (errno == ENOSPC || errno == ENOMEM))
			o->polls = true;
		/* something may have appeared in it before it was watched */
		o->match_due = o->match_due || (o->folders[i].wd >= 0 && look_bits == 0);
	}
	look_through(o, i);
}

/* Of every pattern what is there of it, from the top down. */
static void match(struct aq_oci *o)
{
	o->match_due = false;
	o->match_ns = now_ns(CLOCK_MONOTONIC) + SETTLE_MS * 1000000ull;
	for (size_t i = 0; i < o->pattern_count; i++) {
		char *text = o->patterns[i].text;

		for (char *slash = strchr(text + 1, '/'); ; slash = strchr(slash + 1, '/')) {
			glob_t found;
			size_t count;

			if (slash != NULL)
				*slash = '\0';
			if (glob(text, GLOB_NOSORT | GLOB_ONLYDIR, NULL, &found) != 0)
				found.gl_pathc = 0;
			count = found.gl_pathc;
			for (size_t k = 0; k < count; k++)
				watch(o, found.gl_pathv[k], slash == NULL ? 1u << o->patterns[i].look : 0);
			globfree(&found);
			if (slash == NULL)
				break;
			*slash = '/';
			if (count == 0)
				break;
		}
	}
}

/* ---- files ---- */

static int open_below(int folder, const char *name)
{
	const struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
				      .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	long fd = syscall(SYS_openat2, folder, name, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* The caller frees *ret. -EINVAL: no plain file, or too large. */
static int read_below(int folder, const char *name, size_t max, char **ret, size_t *ret_len)
{
	int fd = open_below(folder, name), r = 0;
	struct stat st;
	char *data = NULL;
	size_t n = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > max)
		r = -EINVAL;
	data = r == 0 ? malloc((size_t)st.st_size + 1) : NULL;
	if (r == 0 && data == NULL)
		r = -ENOMEM;
	while (r == 0 && n < (size_t)st.st_size) {
		ssize_t got = read(fd, data + n, (size_t)st.st_size - n);

		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			r = -errno;
		n += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	if (r < 0) {
		free(data);
		return r;
	}
	*ret = data;
	*ret_len = n;
	return 0;
}


/* Why names are missing, as a fact for as long as it is so; NULL: they are not. */
static void say(struct aq_oci *o, const char *reason)
{
	static const char key[] = "*";

	if (strcmp(o->said, reason != NULL ? reason : "") == 0)
		return;
	snprintf(o->said, sizeof(o->said), "%s", reason != NULL ? reason : "");
	aq_fact_store_begin(o->store);
	if (reason != NULL)
		(void)aq_pods_unknown("runtime files", "container", reason, now_ns(CLOCK_BOOTTIME), 0, aq_fact_store_add, o->store);
	(void)aq_fact_store_commit(o->store, LOOKS + 1, key, reason == NULL, now_ns(CLOCK_BOOTTIME));
}

/* When the container's folder was made: before its first process ran. */
static void set_made(int fd, const char *name, struct aq_oci_doc *ret)
{
	struct statx x;

	ret->real_to_boot_ns = (int64_t)now_ns(CLOCK_BOOTTIME) - (int64_t)now_ns(CLOCK_REALTIME);
	if (statx(fd, name, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &x) < 0 || !(x.stx_mask & STATX_BTIME) || x.stx_btime.tv_sec <= 0)
		return;
	ret->made_real_ns = (uint64_t)x.stx_btime.tv_sec * 1000000000u + x.stx_btime.tv_nsec;
	ret->from_ns = (int64_t)ret->made_real_ns + ret->real_to_boot_ns > 0 ?
		       (uint64_t)((int64_t)ret->made_real_ns + ret->real_to_boot_ns) : 1;
}

/* -ENOENT, -EINVAL: perhaps later. Others won't change. */
static int read_one(struct aq_oci *o, const struct pending *p)
{
	const struct folder *f = &o->folders[p->folder];
	struct aq_oci_doc doc = { .id = p->name, .moby = looks[p->look].moby };
	char name[NAME_MAX + 64], key[PATH_MAX], *text = NULL;
	int fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r;
	size_t n = 0;

	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "%s/%s", p->name, looks[p->look].name);
	set_made(fd, p->name, &doc);
	r = read_below(fd, name, FILE_MAX, &text, &n);
	if (r == 0 || r == -EACCES)
		say(o, r == 0 ? NULL : "the runtime's files can't be read: permission denied");
	if (r == 0) {
		aq_fact_store_begin(o->store);
		r = aq_oci_facts(looks[p->look].file, text, n, &doc, aq_fact_store_add, o->store);
		key_of(o, p->folder, p->name, key, sizeof(key));
		if (r == 0)
			r = aq_fact_store_commit(o->store, p->look, key, false, now_ns(CLOCK_BOOTTIME));
		/* it may have gone while it was read, and been reported before it was known */
		if (r == 0 && faccessat(fd, p->name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
			aq_fact_store_begin(o->store);
			r = aq_fact_store_commit(o->store, p->look, key, true, now_ns(CLOCK_BOOTTIME));
		}
	}
	free(text);
	close(fd);
	return r;
}

static void run_pending(struct aq_oci *o)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);

	for (size_t i = 0; i < o->pending_count;) {
		struct pending *p = &o->pending[i];
		int r = -EAGAIN;

		if (p->next_ns > now) {
			i++;
			continue;
		}
		r = read_one(o, p);
		if ((r == -ENOENT || r == -EINVAL || r == -ENOTDIR) && now < p->until_ns) {
			p->next_ns = now + p->wait_ns;
			p->wait_ns = p->wait_ns * 3 / 2 < LONGEST_WAIT_MS * 1000000ull ? p->wait_ns * 3 / 2 : LONGEST_WAIT_MS * 1000000ull;
			i++;
			continue;
		}
		free(p->name);
		o->pending[i] = o->pending[--o->pending_count];
	}
}

/* A list's container; each is an object of its own. */
struct listed {
	struct aq_oci *oci;
	int failed;
};

static int take_listed(void *user, const struct aq_fact *fact)
{
	struct listed *l = user;

	aq_fact_store_begin(l->oci->store);
	l->failed = aq_fact_store_add(l->oci->store, fact);
	if (l->failed == 0)
		l->failed = aq_fact_store_commit(l->oci->store, LOOKS, fact->subject, false, now_ns(CLOCK_BOOTTIME));
	return l->failed;
}

/*
 * All lists anew, because what is in none of them has ended. One that can't be read ends nothing. A long list is read at
 * most a tenth of the time.
 */
static void read_lists(struct aq_oci *o)
{
	uint64_t begun = now_ns(CLOCK_MONOTONIC);
	struct aq_oci_doc doc = { .real_to_boot_ns = (int64_t)now_ns(CLOCK_BOOTTIME) - (int64_t)now_ns(CLOCK_REALTIME) };
	struct listed l = { .oci = o };
	bool whole = true;

	aq_fact_store_list_begin(o->store, LOOKS);
	for (size_t i = 0; i < o->folder_count; i++) {
		struct folder *f = &o->folders[i];
		int fd;

		if (!(f->looks & 1u << USERDATA))
			continue;
		f->list_due = false;
		fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		for (unsigned k = 0; fd >= 0 && k < sizeof(list_names) / sizeof(list_names[0]); k++) {
			char *text = NULL;
			size_t n = 0;
			int r = read_below(fd, list_names[k], LIST_FILE_MAX, &text, &n);

			if (r == 0)
				r = aq_oci_facts(AQ_OCI_STORAGE, text, n, &doc, take_listed, &l);
			whole = whole && (r == 0 || r == -ENOENT);
			free(text);
		}
		if (fd >= 0)
			close(fd);
	}
	if (whole)
		(void)aq_fact_store_list_end(o->store, LOOKS, now_ns(CLOCK_BOOTTIME));
	o->list_ns = now_ns(CLOCK_MONOTONIC) + 10 * (now_ns(CLOCK_MONOTONIC) - begun);
}

/* ---- the thread ---- */

static void take_event(struct aq_oci *o, const struct inotify_event *e)
{
	struct folder *f = NULL;
	size_t i;

	if (e->mask & IN_Q_OVERFLOW) {
		o->again = true;
		return;
	}
	for (i = 0; i < o->folder_count && f == NULL; i++)
		if (o->folders[i].wd == e->wd)
			f = &o->folders[i];
	if (f == NULL)
		return;
	i--;
	if (e->mask & (IN_DELETE_SELF | IN_IGNORED)) {
		f->wd = -1; /* it may come again */
		o->match_due = true;
		return;
	}
	if (e->len == 0)
		return;
	if (!(e->mask & IN_ISDIR)) {
		for (unsigned k = 0; k < sizeof(list_names) / sizeof(list_names[0]); k++)
			f->list_due = f->list_due || ((f->looks & 1u << USERDATA) && strcmp(e->name, list_names[k]) == 0);
		return;
	}
	if (e->mask & (IN_DELETE | IN_MOVED_FROM))
		gone(o, i, e->name);
	for (unsigned k = 0; k < LOOKS && (e->mask & (IN_CREATE | IN_MOVED_TO)); k++)
		if (f->looks & 1u << k)
			ask_for(o, i, k, e->name);
	/* in a folder of containers a new folder is a container, elsewhere it may be one that is looked for */
	if (f->looks == 0 && (e->mask & (IN_CREATE | IN_MOVED_TO)))
		o->match_due = true;
}

static void take_events(struct aq_oci *o)
{
	_Alignas(struct inotify_event) char buf[16384];
	ssize_t n;

	while ((n = read(o->inotify_fd, buf, sizeof(buf))) > 0)
		for (char *at = buf; at < buf + n; at += sizeof(struct inotify_event) + ((const struct inotify_event *)(void *)at)->len)
			take_event(o, (const struct inotify_event *)(void *)at);
}

static bool list_is_due(const struct aq_oci *o)
{
	for (size_t i = 0; i < o->folder_count; i++)
		if (o->folders[i].list_due)
			return true;
	return false;
}

static int wait_ms(const struct aq_oci *o)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC), next = UINT64_MAX;

	for (size_t i = 0; i < o->pending_count; i++)
		next = o->pending[i].next_ns < next ? o->pending[i].next_ns : next;
	if (list_is_due(o) && o->list_ns < next)
		next = o->list_ns;
	if (o->match_due && o->match_ns < next)
		next = o->match_ns;
	if ((o->polls || o->again) && o->look_ns < next)
		next = o->look_ns;
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : (int)((next - now) / 1000000) + 1;
}

static void *run(void *arg)
{
	struct aq_oci *o = arg;
	struct pollfd fds[2] = { { .fd = o->stop_fd, .events = POLLIN }, { .fd = o->inotify_fd, .events = POLLIN } };
	bool any = false;

	match(o);
	for (size_t i = 0; i < o->folder_count; i++)
		any = any || o->folders[i].looks != 0;
	if (!any)
		say(o, "no container runtime's files were found");
	for (;;) {
		uint64_t now;

		if (poll(fds, 2, wait_ms(o)) < 0 && errno != EINTR)
			break;
		if (fds[0].revents != 0)
			break;
		if (o->inotify_fd >= 0)
			take_events(o);
		now = now_ns(CLOCK_MONOTONIC);
		if (o->match_due && now >= o->match_ns)
			match(o);
		if ((o->polls || o->again) && now >= o->look_ns) {
			o->look_ns = now + LOOK_MS * 1000000ull;
			o->again = false;
			match(o);
			for (size_t i = 0; i < o->folder_count; i++)
				look_through(o, i);
		}
		run_pending(o);
		if (list_is_due(o) && now >= o->list_ns)
			read_lists(o);
	}
	return NULL;
}

static int make(struct aq_oci *o, const struct aq_oci_options *options)
{
	int r = aq_fact_store_new(options->memory_bytes != 0 ? options->memory_bytes : 16u << 20, o->sink, o->user, &o->store);

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]) && options->usual && r == 0; i++)
		r = add_pattern(o, "", &usual[i]);
	for (size_t k = 0; k < options->folder_count && r == 0; k++) {
		char *root = realpath(options->folders[k], NULL), *text = escaped(root != NULL ? root : options->folders[k]);

		r = text != NULL ? 0 : -ENOMEM;
		for (size_t i = 0; i < sizeof(given) / sizeof(given[0]) && r == 0; i++)
			r = add_pattern(o, text, &given[i]);
		free(text);
		free(root);
	}
	o->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r == 0 && o->stop_fd < 0)
		r = -errno;
	o->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	o->polls = o->inotify_fd < 0;
	return r;
}

int aq_oci_new(const struct aq_oci_options *options, aq_fact_sink *sink, void *user, struct aq_oci **ret, struct aq_err *err)
{
	struct aq_oci *o = calloc(1, sizeof(*o));
	int r;

	if (o == NULL)
		return aq_err_set(err, -ENOMEM, "out of memory");
	o->sink = sink;
	o->user = user;
	o->inotify_fd = o->stop_fd = -1;
	for (size_t k = 0; k < options->folder_count; k++)
		if (options->folders[k][0] != '/') {
			free(o);
			return aq_err_set(err, -EINVAL, "'%s' is no absolute path", options->folders[k]);
		}
	r = make(o, options);
	if (r < 0) {
		aq_oci_free(o);
		return aq_err_set(err, r, "container runtimes' files: %s", strerror(-r));
	}
	*ret = o;
	return 0;
}

int aq_oci_start(struct aq_oci *o)
{
	int r = pthread_create(&o->thread, NULL, run, o);

	o->started = r == 0;
	return -r;
}

void aq_oci_free(struct aq_oci *o)
{
	if (o == NULL)
		return;
	if (o->started) {
		(void)eventfd_write(o->stop_fd, 1);
		pthread_join(o->thread, NULL);
	}
	for (size_t i = 0; i < o->pending_count; i++)
		free(o->pending[i].name);
	for (size_t i = 0; i < o->folder_count; i++)
		free(o->folders[i].path);
	for (size_t i = 0; i < o->pattern_count; i++)
		free(o->patterns[i].text);
	free(o->pending);
	free(o->folders);
	free(o->patterns);
	if (o->inotify_fd >= 0)
		close(o->inotify_fd);
	if (o->stop_fd >= 0)
		close(o->stop_fd);
	aq_fact_store_free(o->store);
	free(o);
}
