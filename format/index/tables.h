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
	"CREATE TABLE facts (subject TEXT, fact TEXT, valid_from_ns INTEGER, valid_to_ns INTEGER, seen_ns INTEGER);"
	"CREATE TABLE marks (time_ns INTEGER, text TEXT);";

#endif
