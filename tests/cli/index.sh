#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aquila index: built from the segments alone, checked, never needed.
source "${AQ_SRC:?}/tests/lib/cli.sh"
fixtures

run 3 index "$gaps" --check
out_has "is missing"
run 3 query "$gaps" --count
cp out before
run 0 index "$gaps"
out_has "was built"
[ "$(stat -c %a "$gaps/index.sqlite")" = 600 ] || fail "the index is readable by others"
run 0 index "$gaps" --check
out_has "is current"
run 3 query "$gaps" --count
cmp -s out before || fail "the answer changed with the index"
if command -v python3 >/dev/null; then
	last="the tables"
	python <<'PY'
import sqlite3
db = sqlite3.connect("file:fixtures/gaps.aquila/index.sqlite?mode=ro", uri=True)
tables = {r[0] for r in db.execute("select name from sqlite_master where type = 'table'")}
assert {"segments", "chunks", "gaps", "processes"} <= tables, tables
assert db.execute("select count(*) from gaps").fetchone()[0] == 4
PY
fi
# other segments: out of date
cp "$whole/segment-000001.aqs" "$gaps/segment-000001.aqs"
run 3 index "$gaps" --check
out_has "is out of date"
printf 'no sqlite' >"$gaps/index.sqlite"
run 3 index "$gaps" --check
run 0 query "$gaps" --count
run 0 index "$gaps"
run 0 index "$gaps" --check
run 0 index "$damaged" -q
[ ! -s out ] || fail "--quiet is not quiet"
run 1 index no-such.aquila
err_has "no-such.aquila"
run 2 index
err_has "which CAPTURE?"
finish
