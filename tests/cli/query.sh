#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aquila query: rows, counts, windows, formats, and what filters say when they are wrong.
source "${AQ_SRC:?}/tests/lib/cli.sh"
fixtures

run 0 query "$whole"
lines 119
no_controls
verdict complete
out_has 'cpu0 cat (200) openat(dirfd=AT_FDCWD, name="/etc/passwd", flags=O_CLOEXEC|O_RDONLY'
out_has '= EACCES'
out_has '\x1b[31mred\x1b[0m'
run 0 query "$whole" --all
lines 124
run 0 query "$whole" 'evt.type = snap_proc'
lines 2

run 0 query "$whole" 'evt.type = openat and fd.name = /etc/passwd' --fields evt.time,proc.name,proc.pid,fd.name
out_is $'2026-01-01T00:00:00.008000000Z\tcat\t200\t/etc/passwd'
run 0 query "$whole" 'evt.type = openat and proc.name = evil' --fields fd.name
no_controls
out_has '/tmp/a\nb\x1b]0;title\x07\xff'
run 0 query "$whole" 'evt.type = read' --fields gap.count --limit 1
out_is '<NA>'

# the same pid twice: two processes
run 0 query "$whole" 'proc.pid = 200 and evt.type = proc_exec' --fields proc.name
out_is $'cat\ncurl'

# windows: both ends belong to them
run 0 query "$whole" --from 2026-01-01T00:00:00.008Z --to 2026-01-01T00:00:00.009Z --fields evt.type
out_is $'openat\nread'
run 0 query "$whole" --from @1767225600.008 --until 2026-01-01T01:00:00.009+01:00 --fields evt.type
out_is $'openat\nread'
run 0 query "$whole" --from +8ms --to +9ms --fields evt.type
out_is $'openat\nread'
run 0 query "$whole" 'evt.type = connect' --from -100ms --fields evt.type
out_is connect
# more was asked for than was recorded: that is said
run 3 query "$whole" 'evt.type = connect' --from -10m --fields evt.type
out_is connect
err_has "verdict: incomplete: the capture begins at 2026-01-01T00:00:00"
run 3 query "$whole" --from 2020-01-01T00:00:00Z --to 2020-01-02T00:00:00Z
lines 0

# counting
run 0 query "$whole" --count
out_is 119
run 0 query "$whole" 'evt.type = read' --count
out_is 101
run 0 query "$whole" 'evt.type = read' --count --by proc.name
out_is $'          60\tevil\n          40\tcat\n           1\tbash'
run 0 query "$whole" --count --by proc.name,evt.type --limit 2 --format csv
out_is $'count,proc.name,evt.type\n60,evil,read\n40,cat,read'
run 0 query "$whole" --count --format ndjson
out_has '{"count":119}'
run 0 query "$whole" --count --by evt.type --format ndjson
out_has '{"count":101,"evt.type":"read"}'
out_has '"verdict":{"complete":true'
run 0 query "$whole" 'evt.type = read' --explain
out_has "chunks"

# every line is JSON, the last one is the verdict
run 0 query "$whole" --all --format ndjson
lines 125
no_controls
python <<'PY'
import json, sys
rows = [json.loads(line) for line in open("out", encoding="utf-8")]
assert rows[-1]["verdict"]["complete"] is True
ex = [r for r in rows if r.get("type") == "proc_exec" and r["pid"] == 201][0]
argv = [a.encode("utf-8", "surrogateescape") for a in ex["args"]["argv"]]
assert argv == [b"evil", b"\x1b[31mred\x1b[0m", b"two\nlines", b'a,b"c', b"\xff\xfe", b"back\\slash", b"caf\xc3\xa9"], argv
op = [r for r in rows if r.get("type") == "openat"]
assert op[0]["args"]["dirfd"] == -100 and op[0]["args"]["name"] == "/etc/passwd" and op[0]["res"] == 3
assert op[0]["attrs"]["kpath"] == "/etc/passwd" and op[0]["proc"] == "cat" and op[0]["exe"] == "/bin/cat"
assert op[1]["res"] == -13 and op[1]["error"] == "EACCES" and "error" not in op[0]
cut = [r for r in op if r["args"]["name"] == "/very/long"][0]
assert cut["truncated"] == ["path"]
assert [r for r in rows if r.get("type") == "connect"][0]["args"]["addr"] == "192.0.2.7:443"
assert rows == sorted(rows[:-1], key=lambda r: r["boot_ns"]) + rows[-1:]
PY

# CSV: a header, and as many cells in each line
run 0 query "$whole" --all --format csv
no_controls
lines 125
python <<'PY'
import csv
rows = list(csv.reader(open("out", encoding="utf-8", newline="")))
assert rows[0] == ["time", "type", "cpu", "pid", "tid", "proc", "args", "res"], rows[0]
assert len(rows) == 125 and all(len(r) == 8 for r in rows)
assert any('"a,b\\"c"' in r[6] for r in rows)
PY
run 0 query "$whole" 'evt.type = proc_exec and proc.name = evil' --format csv --fields proc.cmdline,proc.pid
python <<'PY'
import csv
rows = list(csv.reader(open("out", encoding="utf-8", newline="")))
assert rows[0] == ["proc.cmdline", "proc.pid"] and rows[1][1] == "201" and 'a,b"c' in rows[1][0], rows
PY

# what is missing is said, and can be seen in its place
run 3 query "$gaps" 'evt.type = read'
grep -q '^verdict: incomplete: ' err || fail "no verdict"
out_lacks "gap "
run 3 query "$gaps" --gaps
out_has "gap cpu=0 class=bulk reason=ring-full count=42 (read 30, write 12)"
out_has "[text lost]"
run 3 query "$gaps" 'evt.type = gap' --format ndjson
lines 5
python <<'PY'
import json
rows = [json.loads(line) for line in open("out", encoding="utf-8")]
full = [r for r in rows if r.get("reason") == "ring-full"][0]
assert full["count"] == 42 and full["by_type"] == {"read": 30, "write": 12} and full["class"] == "bulk"
assert rows[-1]["verdict"]["complete"] is False
PY
run 3 query "$gaps" --gaps --format csv
python <<'PY'
import csv
rows = list(csv.reader(open("out", encoding="utf-8", newline="")))
assert all(len(r) == 8 for r in rows) and any(r[1] == "gap" for r in rows)
PY
run 3 query "$gaps" -q
[ ! -s err ] || fail "--quiet is not quiet"
# what was lost does not matter to a question about other calls
run 0 query "$gaps" 'evt.type = proc_exit' --fields evt.type -q
lines 3

# damage: what can be read is shown
run 3 query "$damaged" --count
python <<'PY'
n = int(open("out").read())
assert 0 < n < 119, n
PY
err_has "damaged"
run 3 query "$truncated"
no_controls

# a wrong filter: the sentence, the text, a caret under the place
run 2 query "$whole" 'proc.nme = cat'
err_has "'proc.nme' is not a field"
err_has "proc.name"
run 2 query "$whole" 'evt.type = openat and evt.cpu ~ 3'
err_has "  evt.type = openat and evt.cpu ~ 3"
[ "$(grep -n '\^' err | head -1 | sed 's/.*: *//' | tr -d ' ')" ] || fail "no caret"
python <<'PY'
lines = open("err", encoding="utf-8").read().split("\n")
assert lines[2].index("^") == lines[1].index("~"), lines
PY
run 2 query "$whole" $'proc.name = "\033[31m\xc3\xa9" and ('
! grep -q $'\033' err || fail "an escape sequence reached stderr"
run 2 query "$whole" --fields proc.name,proc.nme
err_has "'proc.nme' is not a field"
run 2 query "$whole" --count --by evt.nothing
err_has "'evt.nothing' is not a field"
run 2 query "$whole" "evt.type = nonsense_call"

# the filter is checked before the capture is opened
run 2 query no-such.aquila 'proc.nme = 1'
finish
