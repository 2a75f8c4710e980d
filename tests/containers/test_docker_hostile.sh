#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The client of container engines against one that is a script: what it asks and in which order things are believed, and
# everything that an engine shouldn't do, which costs names only, says why they are missing, and is over when it is over.
set -u
command -v python3 >/dev/null || { echo "skipped: there is no python3"; exit 77; }
failures=0 client_pid="" server_pid=""
fail() {
	printf 'FAIL: %s\n' "$*" >&2
	failures=$((failures + 1))
}
work=$(mktemp -d /tmp/aquila.XXXXXX) # short: unix sockets have room for 107 bytes
clean() {
	[ -z "$client_pid" ] || kill "$client_pid" 2>/dev/null
	[ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null
	wait
	rm -rf "$work"
}
trap clean EXIT
cd "$work" || exit 1
sanitized=no
! grep -qaE '__asan_init|__tsan_init' "${AQ_TEST_BIN:?}/docker_facts" || sanitized=yes
mkfifo control
start_server() {
	"${AQ_SRC:?}/tests/containers/engine.py" "$work/s" "$work/control" 9>&- &
	server_pid=$!
}
tell() { echo "$*" >control; }
stop_server() {
	kill "$server_pid"
	wait "$server_pid" 2>/dev/null
	server_pid=""
}
start() { # the client: its lines in ./facts
	: >facts
	mkfifo in
	"$AQ_TEST_BIN/docker_facts" --stall-ms 400 "$@" "$work/s" <in >facts 2>client.err &
	client_pid=$!
	exec 9>in
	rm in
}
stop() {
	local before after status=0
	before=$(date +%s%N)
	exec 9>&-
	wait "$client_pid" || status=$?
	client_pid=""
	after=$(date +%s%N)
	[ $status = 0 ] || fail "the client ended with $status: $(head -3 client.err)"
	[ $((after - before)) -lt 1000000000 ] || fail "$1: it took $(((after - before) / 1000000)) ms to stop"
	! grep -qE 'hidden|Sanitizer|runtime error' client.err facts || fail "what must not be there: $(grep -hE 'hidden|Sanit|runtime' client.err facts | head -3)"
}
await() { # PATTERN (a fixed string) WHAT
	for _ in $(seq 200); do
		! grep -qF -- "$1" facts || return 0
		sleep 0.05
	done
	fail "$2: no line with $1; the last: $(tail -n 2 facts | cut -c1-300)"
}
last() { # SUBJECT PATTERN WHAT: the last line about it has this
	grep -F -- "$1 " facts | tail -n 1 | grep -qF -- "$2" || fail "$3: $(grep -F -- "$1 " facts | tail -n 2)"
}
memory() { # FAULT: what the client has ever needed
	local kib
	kib=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$client_pid/status")
	[ "$sanitized" = yes ] || [ "${kib:-999999}" -lt 65536 ] || fail "$1: $kib KiB of memory"
	[ -z "${AQ_VERBOSE:-}" ] || echo "$1: $kib KiB"
}

# no socket yet; then one without a server behind it; then one
start
await '"unknown":"docker: no such file or directory"' "no socket"
python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('$work/s')"
await '"unknown":"docker: connection refused"' "nobody listens"
start_server
tell add old older
await 'container:old ' "a server that came later"
await '"env":["SECRET"]' "a look at what is listed"
await "\"image_digest\":\"sha256:$(printf 'cd%.0s' $(seq 32))\"" "its image"
await 'address:172.17.0.9 ' "its address"
grep -q 'unknown":"docker: connection refused' <(grep -E '^container:\* [0-9]+ [1-9]' facts) || fail "the reason stays when the names are there"
# events: named at once, looked at, ended
tell add new1 newer
tell event create new1 newer
await 'container:new1 ' "an event"
await '"whole":"yes"' "a look after an event"
sleep 0.3
last container:new1 '"name":"newer"' "an event"
tell add new1 renamed
tell event rename new1 renamed
await '"name":"renamed"' "another name"
sleep 0.3
grep -qE '^container:new1 [0-9]+ [1-9][0-9]* .*"name":"newer"' facts || fail "the old name doesn't end: $(grep container:new1 facts)"
last container:new1 '"name":"renamed"' "another name"
tell drop new1
tell event die new1 renamed
sleep 0.3
grep -qE '^container:new1 [0-9]+ [1-9][0-9]* .*"name":"renamed"' facts || fail "the end isn't told: $(grep container:new1 facts)"
# gone before it could be looked at
tell event create brief brief
tell event die brief brief
await '"name":"brief"' "a brief one"
sleep 0.3
grep -qE '^container:brief [0-9]+ [1-9]' facts || fail "the end of a brief one isn't told: $(grep container:brief facts)"
# many at once: all are named, and looked at a few at a time
sleep 1
for i in $(seq 200); do
	echo "add many$i many$i"
done >control
tell restart
for _ in $(seq 200); do
	[ "$(grep -c '^container:many.*"whole":"yes"' facts)" -lt 200 ] || break
	sleep 0.05
done
[ "$(grep -c '^container:many.*"whole":"yes"' facts)" = 200 ] || fail "of 200 $(grep -c '^container:many.*"whole":"yes"' facts) were looked at"
tell most
sleep 0.2
grep -qE '^at most [2-8] looks' control.most || fail "not a few at a time: $(cat control.most)"
for i in $(seq 200); do
	echo "drop many$i"
done >control
# the events break off: what has gone meanwhile has ended, what was said before isn't said again
sleep 1
tell drop old
tell add late later
before=$(grep -c 'container:brief ' facts)
tell restart
await 'container:late ' "after a restart"
sleep 0.3
grep -qE '^container:old [0-9]+ [1-9]' facts || fail "what is gone after a restart hasn't ended"
[ "$(grep -c 'container:brief ' facts)" = "$before" ] || fail "old events count again: $(grep container:brief facts)"
stop "honest"
! grep -vE '^GET /(version|events\?[^ ]*|containers/json\?all=1|containers/[a-z0-9]+/json|images/[a-z0-9:]+/json) HTTP/1.1$' control.log ||
	fail "something else was asked"
# a file that is no socket, and one that may not be opened
stop_server
rm -f s
: >s
start
await '"unknown":"docker: socket operation on non-socket"' "a file"
stop "a file"
start_server
sleep 0.5
tell add old older
# everything that an engine shouldn't do, at once and after its first answer
while read -r fault reason; do
	tell fault "$fault"
	[ "$sanitized $fault" != "yes many-later" ] || reason="" # it may be too slow to come so far
	start
	await "\"unknown\":\"docker: $reason" "fault $fault"
	memory "$fault"
	tell fault none
	await 'container:old ' "after fault $fault"
	stop "$fault"
done <<'FAULTS'
close
hang the answer doesn't go on
slow the answer doesn't go on
headers an answer whose head doesn't end
500 HTTP 500
401 HTTP 401
redirect HTTP 302
html an answer that is no engine's
huge an answer of more than 1 MiB
deep an answer that is no engine's
wide an answer that is no engine's
types
hang-later
slow-later the answer doesn't go on
headers-later an answer whose head doesn't end
500-later HTTP 500
html-later
huge-later an
many-later more than 50000 containers
deep-later an
wide-later an
cut-later
close-later
hang-events the answer doesn't go on
slow-events the answer doesn't go on
huge-events
deep-events an event that is none
types-events an event that is none
html-events
FAULTS
! grep -q stolen control.log || fail "a redirect was followed"
! grep -E '^GET /(containers|images)/(\.|%|same.*/\.)' control.log || fail "an id that is a path was asked for"
# as fast as it can: events are read at some MB a second
tell fault flood-events
start
await '"name":"n"' flood
before=$(awk '{ print $14 + $15 }' "/proc/$client_pid/stat")
sleep 2
after=$(awk '{ print $14 + $15 }' "/proc/$client_pid/stat")
[ "$sanitized" = yes ] || [ $(((after - before) * 100 / $(getconf CLK_TCK))) -lt 100 ] || fail "a flood took $((after - before)) ticks of 2 s"
memory flood
[ -z "${AQ_VERBOSE:-}" ] || echo "flood: $((after - before)) ticks of 2 s"
stop flood
[ "$failures" -eq 0 ] || { echo "$failures failures" >&2; exit 1; }
exit 0
