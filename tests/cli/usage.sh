#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Help, versions, and the sentences for wrong command lines.
source "${AQ_SRC:?}/tests/lib/cli.sh"
fixtures

run 0 --version
out_has "aquila "
run 0 --help
out_has "usage: aquila COMMAND"
run 2
err_has "usage: aquila COMMAND"
run 2 nonsense
err_has "there is no command 'nonsense'"
run 2 $'bad\033[31mcommand'
! grep -q $'\033' err || fail "an escape sequence reached stderr"

for command in info verify losses index query tree replay fields keygen pin; do
	run 0 "$command" --help
	out_has "usage: aquila $command"
	cp out help
	run 0 help "$command"
	cmp -s out help || fail "help $command differs from $command --help"
	run 2 "$command" --nonsense
	err_has "there is no option --nonsense"
	err_has "Try: aquila $command --help"
	[ "$("$aquila" --help | grep -c "^  $command ")" = 1 ] || fail "$command is not in the overview once"
	[ -f "$AQ_SRC/replay/man/aquila-$command.1" ] || fail "there is no manual page for $command"
	# every long option of the help is in the manual page and in the completion
	for option in $(grep -oE -- '--[a-z]+' help | sort -u); do
		grep -q -- "${option#--}" "$AQ_SRC/replay/man/aquila-$command.1" || fail "aquila-$command.1 lacks $option"
		grep -q -- "$option" "$AQ_SRC/replay/completion/aquila.bash" || fail "the completion lacks $option"
	done
	# lines fit on a screen
	awk 'length($0) > 120 { exit 1 }' help || fail "$command --help has lines that are too long"
done
run 0 help record
out_has "usage: aquila record"

for command in info verify losses index query tree replay; do
	run 2 "$command"
	err_has "which CAPTURE?"
	run 2 "$command" -
	err_has "can't come from standard input"
	run 2 "$command" "$whole" filter words
	err_has "one word too many"
	run 1 "$command" no-such.aquila
	err_has "no-such.aquila"
	run 1 "$command" /etc/hostname
	run 1 "$command" .
done

run 2 query "$whole" --format xml
err_has "--format: 'xml' is not one of text, ndjson, csv"
run 2 query "$whole" --limit 0
err_has "--limit: '0' is not a whole number"
run 2 query "$whole" --limit
err_has "--limit needs a value"
run 2 query "$whole" --count=3
err_has "takes no value"
run 2 query "$whole" --from yesterday
err_has "--from: 'yesterday' is no time"
run 2 query "$whole" --to 2026-13-01T00:00:00Z
err_has "is no time"
run 2 query "$whole" --by proc.name
err_has "needs --count"
run 2 query "$whole" --count --fields proc.name
err_has "use --by"
run 2 query "$whole" --from +2s --to +1s
err_has "the window is empty"
run 2 losses "$whole" --by moon
err_has "'moon' is not one of class, cpu, syscall, reason, cgroup, time"
run 2 tree "$whole" --pid x
err_has "--pid: 'x' is not a whole number"
for speed in 0 -1 fast 10y 99999999999999999999; do
	run 2 replay "$whole" --speed="$speed"
	err_has "--speed:"
done
run 2 replay "$whole" --to -5m
err_has "--until -5m"
run 2 replay "$whole" --to nowhere:x
err_has "neither - nor unix:PATH"
run 1 replay "$whole" --speed max --to unix:./no-such-socket
err_has "connecting to './no-such-socket'"

mkdir empty.aquila
run 1 info empty.aquila
err_has "empty.aquila"
head -c 4096 /dev/urandom >noise.aqs
run 1 info noise.aqs
: >nothing.aqs
run 1 info nothing.aqs

# where aquilad is missing, record says so
export LD_LIBRARY_PATH=${AQ_BUILD:?}/lib # of copies: they look for it beside themselves
cp "$aquila" ./aquila-alone
PATH=/nonexistent ./aquila-alone record >out 2>err
[ $? -eq 1 ] || fail "record without aquilad"
grep -q "aquilad, the program that records" err || fail "record without aquilad does not say what is missing"
# where it is there, it gets the arguments as they are
mkdir tools
cp "$aquila" tools/aquila
printf '#!/bin/sh\nprintf "<%%s>" "$0" "$@"\nexit 7\n' >tools/aquilad
chmod +x tools/aquilad
tools/aquila record -o "a b" -- cmd --flag "" >out
[ $? -eq 7 ] || fail "record does not end with the recorder's status"
grep -q '<-o><a b><--><cmd><--flag><>' out || fail "record: $(cat out)"
finish
