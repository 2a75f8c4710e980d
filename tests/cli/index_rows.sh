#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The index is built, checked, deleted and built again with the same rows, and stale when the capture grows.
set -euo pipefail
aquila=$AQ_BIN/aquila
cp -r "$AQ_SRC/samples/captures/story.aquila" story.aquila
expect() { # wanted text, wanted status, command…
	local text=$1 wanted=$2 status=0 out
	shift 2
	out=$("$@" 2>&1) || status=$?
	[ "$status" = "$wanted" ] && [[ $out == *"$text"* ]] || { echo "$*: status $status, '$out'; wanted $wanted, '$text'"; exit 1; }
}
expect missing 3 "$aquila" index story.aquila --check
expect built 0 "$aquila" index story.aquila
expect current 0 "$aquila" index story.aquila --check
[ "$(stat -c %a story.aquila/index.sqlite)" = 600 ]
dump() { python3 - <<'PY'
import sqlite3
db = sqlite3.connect("file:story.aquila/index.sqlite?mode=ro", uri=True)
for line in db.iterdump():
    print(line)
PY
}
dump >first
grep -q "'/srv/demo/story/updater'" first
python3 - <<'PY'
import sqlite3, sys
db = sqlite3.connect("file:story.aquila/index.sqlite?mode=ro", uri=True)
rows = db.execute("SELECT exit_code, end_ns > start_ns, CAST(argv AS TEXT) FROM processes WHERE exe LIKE '%/updater'").fetchall()
if len(rows) != 1 or rows[0][0] != 0 or rows[0][1] != 1 or not rows[0][2].startswith("./updater\0home/.aws/credentials"):
    sys.exit("processes: %r" % rows)
stored, events = db.execute("SELECT (SELECT sum(stored) FROM ledger), (SELECT sum(events) FROM chunks)").fetchone()
if stored != events:
    sys.exit("ledger %r, chunks %r" % (stored, events))
PY
rm story.aquila/index.sqlite
expect built 0 "$aquila" index story.aquila
dump >second
cmp first second
printf 'more' >>story.aquila/segment-000001.aqs
expect "out of date" 3 "$aquila" index story.aquila --check
expect 'single segment' 1 "$aquila" index story.aquila/segment-000001.aqs
expect 'no such capture' 1 "$aquila" info nowhere.aquila
