/* SPDX-License-Identifier: Apache-2.0 */
/* Options in, numbers for the kernel side out. The cgroup tree is walked where the cgroup2 file system is mounted. */
#include "recorder/policy.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/state/cgroup_id.h"

enum { WALK_DEPTH = 64, CONTAINER_MIN = 4 };
#define WINDOW_NS (1ull << AQ_WIRE_WINDOW_SHIFT)

static const char *const kind_names[AQ_POLICY_KINDS] = {
	[AQ_POLICY_UID] = "uid", [AQ_POLICY_CGROUP] = "cgroup", [AQ_POLICY_CONTAINER] = "container",
	[AQ_POLICY_NAMESPACE] = "namespace", [AQ_POLICY_PATH] = "path_prefix", [AQ_POLICY_BUDGET] = "cgroup_budget",
};

static void have(struct aq_policy *p, uint32_t kind, bool not)
{
	p->filter.kinds |= kind;
	if (!not)
		p->filter.only |= kind;
}

/* A number up to its end or one of `stops`; NULL if there is none, or it is too big. */
static const char *number(const char *s, uint64_t max, const char *stops, uint64_t *ret)
{
	uint64_t value = 0;

	if (!isdigit((unsigned char)*s))
		return NULL;
	for (; isdigit((unsigned char)*s); s++)
		if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(*s - '0'), &value))
			return NULL;
	if (value > max || (*s != '\0' && strchr(stops, *s) == NULL))
		return NULL;
	*ret = value;
	return s;
}

static int bad_uids(const char *value, struct aq_err *err)
{
	return aq_err_set(err, -EINVAL, "'%.64s' is no list of user ids such as 33,1000-1999,!0", value);
}

static int add_uids(struct aq_policy *p, const char *value, struct aq_err *err)
{
	if (*value == '\0') /* would be no filter at all */
		return bad_uids(value, err);
	for (const char *s = value; *s != '\0';) {
		bool not = *s == '!';
		uint64_t first, last;

		s = number(s + not, UINT32_MAX, ",-", &first);
		last = first;
		if (s != NULL && *s == '-')
			s = number(s + 1, UINT32_MAX, ",", &last);
		if (s == NULL || last < first)
			return bad_uids(value, err);
		if (p->filter.uid_count == AQ_WIRE_FILTER_UIDS)
			return aq_err_set(err, -EINVAL, "more than %d users or ranges of them", AQ_WIRE_FILTER_UIDS);
		p->filter.uid[p->filter.uid_count].first = (uint32_t)first;
		p->filter.uid[p->filter.uid_count].last = (uint32_t)last;
		p->filter.uid[p->filter.uid_count++].not = not;
		have(p, AQ_WIRE_FILTER_UID, not);
		if (*s == ',' && *++s == '\0')
			return bad_uids(value, err); /* the end of the list got lost */
	}
	return 0;
}

static int add_cgroup(struct aq_policy *p, const char *value, bool container, struct aq_err *err)
{
	bool not = *value == '!';
	const char *text = value + not;

	if (container) {
		size_t n = strspn(text, "0123456789abcdef");

		if (n < CONTAINER_MIN || text[n] != '\0' || n > 64)
			return aq_err_set(err, -EINVAL, "'%.80s' is not the beginning of a container's id (%d to 64 hexadecimal digits)",
					  text, CONTAINER_MIN);
	} else if (text[0] != '/' && !isdigit((unsigned char)text[0])) {
		return aq_err_set(err, -EINVAL, "'%.80s' is no cgroup's path, such as /system.slice/nginx.service, nor its id", text);
	}
	if (p->cgroup_count == AQ_POLICY_CGROUPS)
		return aq_err_set(err, -EINVAL, "more than %d cgroups and containers", AQ_POLICY_CGROUPS);
	p->cgroup[p->cgroup_count].text = text;
	p->cgroup[p->cgroup_count].container = container;
	p->cgroup[p->cgroup_count++].not = not;
	have(p, AQ_WIRE_FILTER_CGROUP, not);
	return 0;
}

static int add_namespace(struct aq_policy *p, const char *value, struct aq_err *err)
{
	static const char *const kinds[AQ_WIRE_NS_KINDS] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts" };
	bool not = *value == '!';
	const char *text = value + not;
	size_t n = strcspn(text, ":@");
	uint32_t kind = 0;
	uint64_t id;

	while (kind < AQ_WIRE_NS_KINDS && (strlen(kinds[kind]) != n || strncmp(text, kinds[kind], n) != 0))
		kind++;
	if (kind == AQ_WIRE_NS_KINDS || text[n] == '\0' || number(text + n + 1, UINT32_MAX, "", &id) == NULL)
		return aq_err_set(err, -EINVAL, "'%.80s' is no namespace such as net:4026531840 or pid@1234 (cgroup, ipc, mnt, net, pid, "
				  "time, user, uts)", text);
	if (text[n] == '@') {
		char path[64];
		struct stat st;

		snprintf(path, sizeof(path), "/proc/%" PRIu64 "/ns/%s", id, kinds[kind]);
		if (stat(path, &st) < 0)
			return aq_err_set(err, -EINVAL, "the namespace '%.80s' can't be read: %s", text, strerror(errno));
		id = st.st_ino;
	}
	if (p->filter.namespace_count == AQ_WIRE_FILTER_NAMESPACES)
		return aq_err_set(err, -EINVAL, "more than %d namespaces", AQ_WIRE_FILTER_NAMESPACES);
	p->filter.ns[p->filter.namespace_count].kind = kind;
	p->filter.ns[p->filter.namespace_count].inum = (uint32_t)id;
	p->filter.ns[p->filter.namespace_count++].not = not;
	have(p, AQ_WIRE_FILTER_NAMESPACE, not);
	return 0;
}

/* "/var/log" as "/var/log/" and as "log\0var\0": the kernel side has paths in the second form. */
static int add_path(struct aq_policy *p, const char *value, struct aq_err *err)
{
	bool not = *value == '!';
	const char *text = value + not;
	size_t n = strlen(text), at = 0;

	while (n > 1 && text[n - 1] == '/')
		n--;
	if (text[0] != '/' || n < 2 || strstr(text, "//") != NULL || strstr(text, "/./") != NULL || strstr(text, "/../") != NULL ||
	    n + 1 > AQ_WIRE_FILTER_PATH_MAX)
		return aq_err_set(err, -EINVAL, "'%.80s' is no absolute path of at most %d bytes without //, /./ and /../", text,
				  AQ_WIRE_FILTER_PATH_MAX - 1);
	if (p->filter.path_count == AQ_WIRE_FILTER_PATHS)
		return aq_err_set(err, -EINVAL, "more than %d paths", AQ_WIRE_FILTER_PATHS);
	memcpy(p->filter.path[p->filter.path_count].text, text, n);
	p->filter.path[p->filter.path_count].text[n] = '/';
	for (size_t end = n; end > 0;) {
		size_t begin = end;

		while (text[begin - 1] != '/')
			begin--;
		memcpy(p->filter.path[p->filter.path_count].reversed + at, text + begin, end - begin);
		at += end - begin + 1;
		end = begin - 1;
	}
	p->filter.path[p->filter.path_count].bytes = (uint32_t)at;
	p->filter.path[p->filter.path_count++].not = not;
	have(p, AQ_WIRE_FILTER_PATH, not);
	return 0;
}

static bool take_limit(const char *word, size_t n, struct aq_wire_limit *limit)
{
	static const char *const names[AQ_WIRE_BUDGETS] = { "ordinary=", "bulk=" };

	for (unsigned i = 0; i < AQ_WIRE_BUDGETS; i++) {
		size_t len = strlen(names[i]);
		uint64_t rate;

		if (n <= len || strncmp(word, names[i], len) != 0)
			continue;
		if (number(word + len, 1000000000000ull, ",", &rate) == NULL)
			return false;
		limit->events[i] = (uint64_t)((unsigned __int128)rate * WINDOW_NS / 1000000000u);
		return true;
	}
	return false;
}

static int add_budget(struct aq_policy *p, const char *value, struct aq_err *err)
{
	const char *colon = value[0] == '/' ? strrchr(value, ':') : NULL, *s = colon != NULL ? colon + 1 : value;
	struct aq_wire_limit limit = { { AQ_WIRE_BUDGET_NONE, AQ_WIRE_BUDGET_NONE } };

	if (p->budget_count == AQ_POLICY_BUDGETS)
		return aq_err_set(err, -EINVAL, "more than %d budgets", AQ_POLICY_BUDGETS);
	if (*s == '\0')
		return aq_err_set(err, -EINVAL, "'%.80s' names no class", value);
	while (*s != '\0') {
		size_t n = strcspn(s, ",");

		if (!take_limit(s, n, &limit))
			return aq_err_set(err, -EINVAL, "'%.80s' is no budget such as bulk=100000,ordinary=20000 (events per second), "
					  "with the path of one cgroup and a colon before it if it is for that one", value);
		s += n + (s[n] == ',');
	}
	p->budget[p->budget_count].path = colon != NULL ? value : NULL;
	p->budget[p->budget_count].path_len = colon != NULL ? (uint32_t)(colon - value) : 0;
	p->budget[p->budget_count++].limit = limit;
	return 0;
}

int aq_policy_add(struct aq_policy *p, enum aq_policy_kind kind, const char *value, struct aq_err *err)
{
	int r;

	if (p->text_count == AQ_POLICY_TEXTS)
		return aq_err_set(err, -EINVAL, "too many filters");
	switch (kind) {
	case AQ_POLICY_UID: r = add_uids(p, value, err); break;
	case AQ_POLICY_CGROUP: r = add_cgroup(p, value, false, err); break;
	case AQ_POLICY_CONTAINER: r = add_cgroup(p, value, true, err); break;
	case AQ_POLICY_NAMESPACE: r = add_namespace(p, value, err); break;
	case AQ_POLICY_PATH: r = add_path(p, value, err); break;
	default: r = add_budget(p, value, err); break;
	}
	if (r < 0)
		return r;
	p->text[p->text_count].kind = kind;
	p->text[p->text_count++].text = value;
	return 0;
}

bool aq_policy_has_cgroups(const struct aq_policy *p)
{
	return p->cgroup_count > 0;
}

bool aq_policy_has_budget(const struct aq_policy *p)
{
	return p->budget_count > 0;
}

struct aq_wire_limit aq_policy_limit(const struct aq_policy *p)
{
	struct aq_wire_limit limit = { { AQ_WIRE_BUDGET_NONE, AQ_WIRE_BUDGET_NONE } };

	for (uint32_t i = 0; i < p->budget_count; i++)
		if (p->budget[i].path == NULL)
			limit = p->budget[i].limit;
	return limit;
}

/* ---- the cgroup tree */

struct walk {
	const struct aq_policy *policy;
	const struct aq_policy_sink *sink;
	uint64_t found;                /* bits of entries of policy->cgroup that stand for something */
	uint64_t limits_found;
	char path[PATH_MAX];           /* below the mount, "" the top */
	size_t len;
};

/* Which entries name this cgroup, as AQ_WIRE_CGROUP_* bits. */
static uint32_t bits_here(struct walk *w, uint64_t id)
{
	const char *path = w->len ? w->path : "/", *leaf = strrchr(path, '/') + 1;
	uint32_t bits = 0;

	for (uint32_t i = 0; i < w->policy->cgroup_count; i++) {
		const char *text = w->policy->cgroup[i].text;
		bool fits;

		if (w->policy->cgroup[i].container) {
			const char *at = strstr(leaf, text);

			/* an id begins behind a prefix such as docker-, or is all there is */
			fits = at != NULL && (at == leaf || !isxdigit((unsigned char)at[-1]) || at[-1] == '-');
		} else if (text[0] == '/') {
			size_t n = strlen(text);

			while (n > 1 && text[n - 1] == '/')
				n--;
			fits = strlen(path) == n && memcmp(path, text, n) == 0;
		} else {
			fits = strtoull(text, NULL, 10) == id;
		}
		if (!fits)
			continue;
		w->found |= 1ull << i;
		bits |= w->policy->cgroup[i].not ? AQ_WIRE_CGROUP_NOT : AQ_WIRE_CGROUP_ONLY;
	}
	return bits;
}

static int limit_here(struct walk *w, uint64_t id)
{
	const char *path = w->len ? w->path : "/";
	int r = 0;

	for (uint32_t i = 0; i < w->policy->budget_count && r == 0; i++) {
		if (w->policy->budget[i].path == NULL || strlen(path) != w->policy->budget[i].path_len ||
		    memcmp(path, w->policy->budget[i].path, w->policy->budget[i].path_len) != 0)
			continue;
		w->limits_found |= 1ull << i;
		r = w->sink->limit(w->sink->user, id, &w->policy->budget[i].limit);
	}
	return r;
}

/* Takes fd over. */
static int walk_dir(struct walk *w, int fd, uint32_t bits, unsigned depth)
{
	uint64_t id = aq_cgroup_id(fd);
	struct dirent *entry;
	DIR *dir = fdopendir(fd);
	int r = 0;

	if (dir == NULL) {
		close(fd);
		return 0;
	}
	bits |= bits_here(w, id);
	if (bits != 0)
		r = w->sink->filter(w->sink->user, id, bits);
	if (r == 0)
		r = limit_here(w, id);
	while (r == 0 && depth < WALK_DEPTH && (entry = readdir(dir)) != NULL) {
		size_t n = strlen(entry->d_name), before = w->len;
		int child;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || before + n + 2 > sizeof(w->path))
			continue;
		child = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child < 0)
			continue;
		w->path[w->len] = '/';
		memcpy(w->path + w->len + 1, entry->d_name, n + 1);
		w->len += n + 1;
		r = walk_dir(w, child, bits, depth + 1);
		w->len = before;
		w->path[before] = '\0';
	}
	closedir(dir);
	return r;
}

static int open_cgroup2(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	int fd = -1;

	while (mounts != NULL && fd < 0 && (m = getmntent(mounts)) != NULL)
		if (strcmp(m->mnt_type, "cgroup2") == 0)
			fd = open(m->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mounts != NULL)
		endmntent(mounts);
	return fd;
}

int aq_policy_resolve(const struct aq_policy *p, const struct aq_policy_sink *sink, struct aq_err *err)
{
	struct walk *w;
	int fd, r;

	if (p->cgroup_count == 0 && p->budget_count == 0)
		return 0;
	fd = open_cgroup2();
	if (fd < 0)
		return aq_err_set(err, -ENOTSUP, "filters and budgets of cgroups need a mounted cgroup2 file system");
	w = calloc(1, sizeof(*w));
	if (w == NULL) {
		close(fd);
		return aq_err_set(err, -ENOMEM, "out of memory");
	}
	w->policy = p;
	w->sink = sink;
	r = walk_dir(w, fd, 0, 0);
	if (r < 0)
		aq_err_set(err, r, "can't name a cgroup to the kernel side: %s", strerror(-r));
	for (uint32_t i = 0; i < p->cgroup_count && r == 0; i++)
		if (!(w->found >> i & 1))
			r = aq_err_set(err, -ENOENT, p->cgroup[i].container ? "no cgroup is that of container '%s'" : "there is no cgroup '%s'",
				       p->cgroup[i].text);
	for (uint32_t i = 0; i < p->budget_count && r == 0; i++)
		if (p->budget[i].path != NULL && !(w->limits_found >> i & 1))
			r = aq_err_set(err, -ENOENT, "there is no cgroup '%.*s'", (int)p->budget[i].path_len, p->budget[i].path);
	free(w);
	return r;
}

bool aq_policy_describe(const struct aq_policy *p, cJSON *into)
{
	for (unsigned kind = 0; kind < AQ_POLICY_KINDS; kind++) {
		cJSON *list = NULL;

		for (uint32_t i = 0; i < p->text_count; i++) {
			if (p->text[i].kind != kind)
				continue;
			if (list == NULL)
				list = cJSON_AddArrayToObject(into, kind_names[kind]);
			if (!cJSON_AddItemToArray(list, cJSON_CreateString(p->text[i].text)))
				return false;
		}
	}
	return true;
}
