#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Live: segments that decode alone, what retention and pins leave, the flight recorder, pins by command, signal, filter.
source "${AQ_SRC:?}/tests/lib/cli.sh"
[ "$(id -u)" -eq 0 ] && [ -r /sys/kernel/btf/vmlinux ] && "$AQ_BIN/aquilad" --probe >/dev/null || {
	echo "needs root and BPF"
	exit 77
}
recorder=$AQ_BIN/aquilad

record() { # STATUS ARGUMENTS
	local expected=$1 status=0
	shift
	"$recorder" -q "$@" || status=$?
	[ "$status" -eq "$expected" ] || fail "aquilad $*: status $status, not $expected"
}
waited() { # SECONDS/10 CONDITION: until it holds
	local i
	for ((i = 0; i < $1; i++)); do
		eval "$2" && return
		sleep 0.1
	done
	fail "never came true: $2"
}
count() { "$aquila" query -q "$@" --count 2>/dev/null; }

# rotation under a flood: nothing lost, every segment alone is whole and knows who is who
cat >flood.sh <<'EOF'
for i in $(seq 1 30); do
	cat /etc/passwd >/dev/null
	sleep 0.1
done &
dd if=/dev/zero of=/dev/null bs=1 count=400000 status=none
wait
EOF
record 0 -o flood.aquila --segment-size 150K --segment-age 1s -- bash flood.sh
run 0 verify flood.aquila
out_has 'intact; nothing was lost'
segments=(flood.aquila/segment-*.aqs)
[ "${#segments[@]}" -ge 3 ] || fail "only ${#segments[@]} segments"
whole=$(count flood.aquila) sum=0 checked=0
dd=$("$aquila" query -q flood.aquila 'evt.type = proc_exec and proc.name = dd' --fields proc.pid)
[ "$(count flood.aquila 'not proc.name exists')" -eq 0 ] || fail "names are missing in the whole"
for segment in "${segments[@]}"; do
	rm -rf alone
	mkdir alone
	cp "$segment" alone/
	file=alone/${segment##*/}
	run 0 verify "$file"
	out_has 'intact; nothing was lost'
	run 0 tree "$file"
	out_has bash
	sum=$((sum + $(count "$file")))
	# only what a process did while its state was being read may be without a name
	first=$("$aquila" query -q "$file" 'evt.type = snap_end' --fields evt.time)
	[ -n "$first" ] || fail "$file: the state is not whole"
	[ "$(count "$file" 'not proc.name exists' --from "$first")" -eq 0 ] || fail "$file: names are missing after the state"
	# who lives while it is read has all names, from the segment's first event on
	[ "$(count "$file" "evt.type in (proc_exec, proc_exit) and proc.pid = $dd")" -eq 0 ] || continue
	reads=$(count "$file" "evt.type = read and proc.pid = $dd")
	named=$(count "$file" 'evt.type = read and proc.name = dd and fd.name = /dev/zero')
	[ "$reads" -eq "$named" ] || fail "$file: $named of $reads reads have the name of what is read"
	[ "$named" -eq 0 ] || checked=$((checked + 1))
done
[ "$sum" -eq "$whole" ] || fail "the segments have $sum events, the whole has $whole"
[ "$checked" -ge 1 ] || fail "no segment was begun while dd was running"

# the flight recorder keeps the end, and what is pinned by signal and by command
cat >walk.sh <<'EOF'
for i in $(seq 1 60); do cat /etc/passwd >/dev/null; sleep 0.1; done
mkdir marked
sleep 4
EOF
"$recorder" -q -o keep.aquila --keep 3s --pin-window 500ms,100ms -- bash walk.sh &
recording=$!
waited 100 '[ -e keep.aquila/segment-000003.aqs ]'
kill -USR1 "$recording"
waited 30 'ls keep.aquila/pin-*.txt >/dev/null 2>&1'
run 0 pin keep.aquila --list
out_has signal
signalled=$(cut -c 1-16 out)
run 0 pin keep.aquila --before 100ms --after 0 --note 'by hand'
by_hand=$(cat out)
"$aquila" pin keep.aquila --when 'evt.type in (mkdir, mkdirat) and proc.name = mkdir' --once --before 500ms --after 100ms >when.out &
watcher=$!
run 0 pin keep.aquila --remove "$by_hand"
run 1 pin keep.aquila --remove "$by_hand"
for _ in $(seq 1 20); do # reading while segments come and go
	"$aquila" query -q keep.aquila 'evt.type = openat' --count >/dev/null 2>&1
	[ $? -ne 1 ] || fail "the capture could not be read while segments were removed"
done
wait "$watcher" || fail "pin --when ended with $?"
wait "$recording" || fail "the flight recorder ended with $?"
[ "$(wc -l <when.out)" -eq 1 ] || fail "pin --when --once made $(wc -l <when.out) pins"
[ ! -e keep.aquila/segment-000001.aqs ] || fail "the first segment is still there"
run 0 verify keep.aquila
out_has 'removed by retention'
out_has 'intact; nothing was lost'
run 3 info keep.aquila
out_has 'removed by retention'
out_has "$signalled"
out_has "$(cat when.out)"
run 3 losses keep.aquila --by reason
out_has retention
[ "$(count keep.aquila 'evt.type in (mkdir, mkdirat) and proc.name = mkdir')" -ge 1 ] || fail "the marked event is gone"
pinned=$("$aquila" pin keep.aquila --list | sed -n "s/^$signalled  \([^ ]*\) to \([^ ]*\)  .*/\1 \2/p")
[ "$(count keep.aquila --from "${pinned% *}" --to "${pinned#* }")" -ge 5 ] || fail "what was pinned by signal is gone"
[ "$(count keep.aquila --from -2s)" -ge 1 ] || fail "the end is gone"

# by size
record 0 -o size.aquila --retain-size 2M --segment-size 1M -- dd if=/dev/zero of=/dev/null bs=1 count=2000000 status=none
run 0 verify size.aquila
[ "$(du -sb --exclude=manifest.aqm size.aquila | cut -f 1)" -le $((4 << 20)) ] || fail "more than the size is there"
finish
