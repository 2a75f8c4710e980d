#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aquila info, verify, losses, tree, fields: a capture as a whole.
source "${AQ_SRC:?}/tests/lib/cli.sh"
fixtures

run 0 info "$whole"
verdict complete
out_has "fixture"
out_has "6.18.0-test x86_64, 2 CPUs"
out_has "2026-01-01T00:00:00.000000000Z"
out_has "101  read"
run 0 info --format json "$whole"
python <<'PY'
import json
i = json.load(open("out", encoding="utf-8"))
assert i["host"] == "fixture" and i["events"] == 124 and i["finished"] is True and i["types"]["read"] == 101
assert i["classes"] == {"vital": 9, "important": 6, "ordinary": 2, "bulk": 102} and i["made_by_recorder"] == 5
assert i["ledger"]["produced"] == 119 and i["verdict"]["complete"] is True
assert json.loads(i["policy_json"]) == {"snapshot": True} and i["segments"] == 1
PY
run 3 info "$gaps"
err_has "lost"
run 3 info "$truncated"
out_has "not closed"
run 3 info --format json "$damaged"
python <<'PY'
import json
i = json.load(open("out", encoding="utf-8"))
assert i["verdict"]["complete"] is False and i["verdict"]["damaged"] >= 1 and i["unreadable_events"] > 0
PY
run 0 info "$whole/segment-000001.aqs"

run 0 verify "$whole"
out_has "intact; nothing was lost"
out_has "produced 119 = stored 119 + lost 0"
run 0 verify "$gaps"
out_has "intact; 45 events were lost while recording, all accounted for"
run 3 verify "$damaged"
out_has "damage '"
out_has "segment-000001.aqs' at byte "
out_has "not intact: damaged"
run 3 verify "$truncated"
out_has "unfinished"
run 3 verify -q "$truncated"
[ ! -s out ] && [ ! -s err ] || fail "verify -q is not quiet"
run 3 verify --format json "$damaged"
python <<'PY'
import json
v = json.load(open("out", encoding="utf-8"))
assert v["intact"] is False and v["damages"][0]["offset"] > 0 and v["damages"][0]["file"].endswith("segment-000001.aqs")
PY
# a byte changed anywhere, or a cut anywhere, is noticed or harmless; nothing crashes, nothing hangs
size=$(stat -c %s "$whole/segment-000001.aqs")
for step in 1 2 3 4 5 6 7 8 9 10 11 12; do
	at=$((size * step / 13))
	rm -rf hurt.aquila
	cp -r "$whole" hurt.aquila
	printf '\xa5' | dd of=hurt.aquila/segment-000001.aqs bs=1 seek="$at" conv=notrunc status=none
	"$aquila" verify hurt.aquila >out 2>err
	status=$?
	last="verify with byte $at changed"
	case $status in 1 | 3) ;; *) cmp -s "$whole/segment-000001.aqs" hurt.aquila/segment-000001.aqs || fail "$last: status $status" ;; esac
	! grep -q Sanitizer err || fail "$last: $(grep -m1 Sanitizer err)"
	rm -rf hurt.aquila
	cp -r "$whole" hurt.aquila
	truncate -s "$at" hurt.aquila/segment-000001.aqs
	"$aquila" query hurt.aquila --count >out 2>err
	status=$?
	last="query of a capture cut at $at"
	case $status in 1 | 3) ;; *) fail "$last: status $status" ;; esac
	! grep -q Sanitizer err || fail "$last: $(grep -m1 Sanitizer err)"
done

run 0 losses "$whole"
verdict complete
everything=$AQ_SRC/tests/corpus/frozen/v1-everything.aquila
for format in text csv ndjson; do
	"$aquila" losses "$everything" --by cgroup --format "$format" >out 2>err || [ $? = 3 ] || fail "losses --by cgroup: $(cat err)"
	grep -q '4242' out || fail "losses --by cgroup does not name whom a budget limited: $(cat out)"
done
"$aquila" losses "$everything" --by time >out 2>err || true
grep -q 'reason=budget cgroup=4242 ' out || fail "losses --by time does not name whom a budget limited"
for by in class cpu syscall reason time; do
	run 3 losses "$gaps" --by "$by"
	[ -s out ] || fail "$last shows nothing"
	run 3 losses "$gaps" --by "$by" --format csv
	python <<'PY'
import csv
rows = list(csv.reader(open("out", encoding="utf-8", newline="")))
assert len(rows) > 1 and len({len(r) for r in rows}) == 1, rows
PY
	run 3 losses "$gaps" --by "$by" --format ndjson
	python <<'PY'
import json
rows = [json.loads(line) for line in open("out", encoding="utf-8")]
assert len(rows) > 1 and rows[-1]["verdict"]["lost"] == 45, rows
PY
done
run 3 losses "$gaps" --by class --format csv
out_has "bulk,149,102,42,5,0"
run 3 losses "$gaps" --by syscall --format csv
out_has "read,30,0"
out_has "futex,0,5"
run 3 losses "$gaps" --by time --limit 1
lines 1
run 3 losses "$truncated"
out_has "recorder-down"

run 0 tree "$whole"
no_controls
verdict complete
lines 5
out_has '1 /sbin/init (uid 0, before the recording, not seen to end)'
out_has '   |- 200 cat /etc/passwd (uid 1000, 2026-01-01T00:00:00.006000000Z, 45ms, exit 1)'
out_has 'killed by SIGKILL'
out_has '   `- 200 curl -s http://192.0.2.7/'
run 0 tree "$whole" --recorded
lines 5
run 0 tree "$whole" --pid 201
lines 3
run 0 tree "$whole" 'evt.type = connect'
lines 3
out_has curl
run 0 tree "$whole" --to +10ms
out_lacks curl
run 0 tree "$whole" --format json
python <<'PY'
import json
t = json.load(open("out", encoding="utf-8"))
p = t["processes"]
assert [x["pid"] for x in p] == [1, 100, 200, 201, 200] and t["verdict"]["complete"] is True
assert p[2]["parent"] == 1 and p[1]["parent"] == 0 and p[0]["parent"] is None and p[2]["exit_code"] == 1
assert p[3]["exit_signal"] == 9 and p[3]["execs"][0]["argv"][2] == "two\nlines"
PY
run 2 tree "$whole" 'proc.nme = 1'
err_has "'proc.nme' is not a field"

run 0 fields
out_has "proc.name"
run 0 fields --format json
python <<'PY'
import json
f = json.load(open("out", encoding="utf-8"))
assert any(x["name"] == "fd.sip" and x["type"] for x in f) and all(x["doc"] for x in f)
PY
run 0 fields --events
out_has "openat(dirfd FD, name PATH"
out_has "proc_exec("
run 0 fields --events --format json
python <<'PY'
import json
e = json.load(open("out", encoding="utf-8"))
assert len(e) > 300 and any(x["name"] == "openat" and x["class"] == "important" for x in e)
PY
finish
