#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aquila replay: formats, pacing, sockets, being stopped.
source "${AQ_SRC:?}/tests/lib/cli.sh"
fixtures
now_ms() { echo $(($(date +%s%N) / 1000000)); }

run 0 replay "$whole" --speed max
lines 120
verdict complete
python <<'PY'
import json
rows = [json.loads(line) for line in open("out", encoding="utf-8")]
assert rows[-1]["verdict"]["complete"] is True and rows[:-1] == sorted(rows[:-1], key=lambda r: r["boot_ns"])
PY
run 0 replay "$whole" --speed max --format strace
no_controls
out_has 'openat(AT_FDCWD, "/etc/passwd", O_CLOEXEC|O_RDONLY, 0) = 3'
out_has 'openat(AT_FDCWD, "/etc/shadow", O_CLOEXEC|O_RDONLY, 0) = -1 EACCES'
out_has '+++ exited with 1 +++'
out_has '+++ killed by SIGKILL +++'
run 0 replay "$whole" 'evt.type = openat' --speed max --format text --limit 2
lines 2
run 3 replay "$gaps" --speed max --gaps
out_has '"type":"gap"'
run 3 replay "$damaged" --speed max --format text

# from the first to the last event it is 618 ms: never faster
before=$(now_ms)
run 0 replay "$whole" -q
took=$(($(now_ms) - before))
[ "$took" -ge 617 ] || fail "the replay took only $took ms"
before=$(now_ms)
run 0 replay "$whole" --speed 0.5 --until +60ms -q
took=$(($(now_ms) - before))
[ "$took" -ge 107 ] || fail "the replay at half the speed took only $took ms"
run 0 replay "$whole" --speed 100x -q

# each event goes out when it is due, not when a buffer is full: what happened first is there long before the end
mkfifo pipe
"$aquila" replay "$whole" --speed 0.05 -q >pipe 2>err &
pid=$!
if read -r -t 10 line <pipe && [[ $line == *'"type":"proc_fork"'* ]]; then :; else fail "nothing came while it is running"; fi
kill "$pid" 2>/dev/null
wait "$pid" 2>/dev/null

# stopped: whole lines, and where
"$aquila" replay "$whole" --speed 0.05 >out 2>err &
pid=$!
for _ in $(seq 100); do [ -s out ] && break; sleep 0.05; done
sleep 0.2
kill -INT "$pid"
wait "$pid"
status=$?
last="replay stopped by SIGINT"
# a shell starts background programs with SIGINT ignored; the program asks for it all the same
[ "$status" -eq 3 ] || fail "$last: status $status"
err_has "verdict: incomplete: stopped at 2026-01-01T00:00:00."
python <<'PY'
import json
rows = [json.loads(line) for line in open("out", encoding="utf-8")]
assert rows[-1]["verdict"]["complete"] is False and "stopped at" in rows[-1]["verdict"]["text"]
PY

# a socket gets the same bytes as standard output
if command -v python3 >/dev/null; then
	cat >listen.py <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind("socket")
s.listen(1)
c, _ = s.accept()
data = b""
while len(data) < int(sys.argv[1]):
    part = c.recv(65536)
    if not part:
        break
    data += part
open("received", "wb").write(data)
PY
	python3 listen.py 1000000000 &
	pid=$!
	for _ in $(seq 100); do [ -S socket ] && break; sleep 0.05; done
	run 0 replay "$whole" --speed max --to unix:socket
	wait "$pid"
	[ ! -s out ] || fail "something went to standard output"
	run 0 replay "$whole" --speed max --to -
	cmp -s out received || fail "the socket got something else than standard output"
	rm -f socket
	python3 listen.py 10 & # goes away early
	pid=$!
	for _ in $(seq 100); do [ -S socket ] && break; sleep 0.05; done
	"$aquila" replay "$whole" --speed 2 --to unix:socket >out 2>err
	status=$?
	wait "$pid"
	last="replay to a socket that goes away"
	[ "$status" -eq 1 ] || fail "$last: status $status"
	err_has "writing to unix:socket"
fi
finish
