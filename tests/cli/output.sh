#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Outputs that can't be written, readers that go away, colour, and what the program is linked with.
source "${AQ_SRC:?}/tests/lib/cli.sh"
fixtures

for command in "info $whole" "info --format json $whole" "verify $whole" "losses $gaps" "query $whole" \
	"query $whole --format ndjson" "query $whole --format csv" "query $whole --count" "tree $whole" \
	"tree --format json $whole" "replay $whole --speed max" fields "fields --events" --help --version "query --help"; do
	last="aquila $command to a full device"
	# shellcheck disable=SC2086
	"$aquila" $command >/dev/full 2>err
	status=$?
	[ "$status" -eq 1 ] || fail "$last: status $status"
	err_has "writing to standard output"
done

# a closed standard output
"$aquila" query "$whole" >&- 2>err
[ $? -eq 1 ] || fail "a closed standard output is not noticed"

# a reader that has enough: silence
for format in text ndjson csv; do
	{ "$aquila" query "$whole" --format "$format" 2>err; echo "$?" >status; } | true
	[ ! -s err ] || [ "$(cat status)" = 0 ] || fail "a broken pipe is not silent: $(cat err)"
done
{ "$aquila" fields --events --format json 2>err; echo "$?" >status; } | { read -r _; exec <&-; sleep 0.1; }
[ ! -s err ] || fail "a broken pipe is not silent: $(cat err)"
case $(cat status) in 0 | 141) ;; *) fail "status $(cat status) after a broken pipe" ;; esac

# colour only on a terminal
run 0 query "$whole"
! grep -q $'\033' out || fail "colour in a file"
if command -v script >/dev/null && command -v timeout >/dev/null; then
	export TERM=xterm
	timeout 20 script -qec "'$aquila' query '$whole' 2>/dev/null" /dev/null >out 2>/dev/null </dev/null
	last="query on a terminal"
	grep -q $'\033\[' out || fail "$last: no colour"
	# hostile names stay harmless there, too
	! grep -q $'\033\]0;' out || fail "$last: a recorded name set the title"
	NO_COLOR=1 timeout 20 script -qec "'$aquila' query '$whole' 2>/dev/null" /dev/null >out 2>/dev/null </dev/null
	! grep -q $'\033\[' out || fail "$last: colour despite NO_COLOR"
fi

# what reads untrusted files is linked with little
needed=$(readelf -d "$aquila" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
for library in libbpf libelf libcurl; do
	! grep -q "$library" <<<"$needed" || fail "aquila is linked with $library"
done
ldd "$aquila" 2>/dev/null | grep -E 'libbpf|libelf|libcurl' && fail "aquila pulls in what only the recorder needs"
finish
