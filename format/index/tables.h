/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of index.sqlite. Times are boot-clock nanoseconds; NULL in valid_to_ns or end_ns: not seen to end. */
#ifndef AQ_FORMAT_INDEX_TABLES_H
#define AQ_FORMAT_INDEX_TABLES_H

static const char aq_index_tables[] =
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE segments (number INTEGER PRIMARY KEY, file TEXT, bytes INTEGER, finished INTEGER, first_ns INTEGER,"
	" last_ns INTEGER, events INTEGER, chunks INTEGER);"
	"CREATE TABLE chunks (id INTEGER PRIMARY KEY, segment INTEGER, offset INTEGER, bytes INTEGER, events INTEGER,"
	" first_ns INTEGER, last_ns INTEGER, min_pid INTEGER, max_pid INTEGER, types TEXT);"
	"CREATE TABLE gaps (id INTEGER PRIMARY KEY, first_ns INTEGER, last_ns INTEGER, cpu INTEGER, class TEXT, reason TEXT,"
	" count INTEGER, cgroup_id INTEGER);"
	"CREATE TABLE gap_counts (gap INTEGER, event TEXT, count INTEGER);"
	"CREATE TABLE ledger (cpu INTEGER, class TEXT, produced INTEGER, stored INTEGER, lost INTEGER, policy INTEGER,"
	" degraded INTEGER, PRIMARY KEY (cpu, class)) WITHOUT ROWID;"
	"CREATE TABLE processes (id INTEGER PRIMARY KEY, pid INTEGER, start_ns INTEGER, end_ns INTEGER, ppid INTEGER, uid INTEGER,"
	" comm TEXT, exe TEXT, argv BLOB, cgroup_id INTEGER, exit_code INTEGER, exit_signal INTEGER, source TEXT);"
	"CREATE INDEX processes_by_pid ON processes (pid, start_ns);"
	"CREATE TABLE cgroups (id INTEGER, hierarchy INTEGER, path TEXT, valid_from_ns INTEGER, valid_to_ns INTEGER);"
	"CREATE TABLE facts (id INTEGER PRIMARY KEY, subject TEXT, source TEXT, fact TEXT, valid_from_ns INTEGER, valid_to_ns INTEGER,"
	" seen_ns INTEGER, UNIQUE (subject, source, valid_from_ns));"
	"CREATE TABLE containers (id TEXT, name TEXT, image TEXT, image_repository TEXT, image_tag TEXT, image_digest TEXT,"
	" start TEXT, engine TEXT, pod_uid TEXT, pod TEXT, namespace TEXT, container TEXT, labels TEXT, unknown TEXT,"
	" source TEXT, valid_from_ns INTEGER, valid_to_ns INTEGER, seen_ns INTEGER);"
	"CREATE TABLE pods (uid TEXT, name TEXT, namespace TEXT, node TEXT, service_account TEXT, owner_kind TEXT, owner_name TEXT,"
	" workload_kind TEXT, workload_name TEXT, phase TEXT, start TEXT, ips TEXT, labels TEXT, annotations TEXT, containers TEXT,"
	" unknown TEXT, source TEXT, valid_from_ns INTEGER, valid_to_ns INTEGER, seen_ns INTEGER);"
	"CREATE TABLE namespaces (name TEXT, labels TEXT, unknown TEXT, source TEXT, valid_from_ns INTEGER, valid_to_ns INTEGER,"
	" seen_ns INTEGER);"
	"CREATE TABLE addresses (address TEXT, kind TEXT, name TEXT, namespace TEXT, uid TEXT, container TEXT, source TEXT,"
	" valid_from_ns INTEGER, valid_to_ns INTEGER, seen_ns INTEGER);"
	"CREATE TABLE marks (time_ns INTEGER, text TEXT);";

/* What the facts say, as columns. One that is no JSON stays among the facts only. */
#define AQ_J(member) "json_extract(fact, '$." member "'), "
#define AQ_SUBJECT(prefix, length) " FROM facts WHERE substr(subject, 1, " length ") = '" prefix "' AND json_valid(fact) ORDER BY id;"
#define AQ_WHEN "source, valid_from_ns, valid_to_ns, seen_ns"
static const char aq_index_names[] =
	"INSERT INTO containers SELECT substr(subject, 11), " AQ_J("name") AQ_J("image") AQ_J("image_repository") AQ_J("image_tag")
	AQ_J("image_digest") AQ_J("start") AQ_J("engine") AQ_J("pod_uid") AQ_J("pod") AQ_J("namespace") AQ_J("container")
	AQ_J("labels") AQ_J("unknown") AQ_WHEN AQ_SUBJECT("container:", "10")
	"INSERT INTO pods SELECT substr(subject, 5), " AQ_J("name") AQ_J("namespace") AQ_J("node") AQ_J("service_account")
	AQ_J("owner_kind") AQ_J("owner_name") AQ_J("workload_kind") AQ_J("workload_name") AQ_J("phase") AQ_J("start") AQ_J("ips")
	AQ_J("labels") AQ_J("annotations") AQ_J("containers") AQ_J("unknown") AQ_WHEN AQ_SUBJECT("pod:", "4")
	"INSERT INTO namespaces SELECT substr(subject, 11), " AQ_J("labels") AQ_J("unknown") AQ_WHEN AQ_SUBJECT("namespace:", "10")
	"INSERT INTO addresses SELECT substr(subject, 9), " AQ_J("kind") AQ_J("name") AQ_J("namespace") AQ_J("uid") AQ_J("container")
	AQ_WHEN AQ_SUBJECT("address:", "8")
	"CREATE INDEX containers_by_id ON containers (id);"
	"CREATE INDEX pods_by_uid ON pods (uid);"
	"CREATE INDEX addresses_by_address ON addresses (address);";

#endif
