#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two floods of one-byte reads and writes, and then the recorder is stopped for two seconds, its disk stalls for two
# seconds, or it is ended in the middle of them. Processes are started meanwhile. Classes 0 and 1 are complete, and what
# else is missing is in the ledger to the last event. Needs root and BPF.
set -u
aquilad=$AQ_BIN/aquilad aquila=$AQ_BIN/aquila
failures=0 recorder="" mounted="" frozen="" kind=""

fail() {
	echo "FAILED: $kind: $*" >&2
	failures=$((failures + 1))
}
end_floods() {
	touch stop
	[ ! -s floods ] || kill $(cat floods) 2>/dev/null
	rm -f floods
}
end() {
	[ -z "$frozen" ] || fsfreeze -u "$frozen"
	end_floods
	if [ -n "$recorder" ]; then
		kill -CONT "$recorder"
		kill "$recorder"
		wait "$recorder"
	fi
	[ -z "$mounted" ] || umount "$mounted"
}
trap end EXIT
trap 'exit 1' HUP INT TERM PIPE

# only this is recorded, so that nothing else on the host makes a difference: floods until ./stop is there, and for a
# number in ./go as many processes
cat >workload.sh <<'END'
dd if=/dev/zero of=/dev/null bs=1 2>/dev/null &
one=$!
dd if=/dev/zero of=/dev/null bs=1 2>/dev/null &
two=$!
echo $one $two >floods
while [ ! -e stop ]; do
	if [ -e go ]; then
		i=$(cat go)
		rm go
		while [ "$i" -gt 0 ]; do /bin/true "meanwhile-$i"; i=$((i - 1)); done
		: >done
	fi
	sleep 0.05
done
kill $one $two
END

start() { # FOLDER [OPTION…]
	local folder=$1
	shift
	rm -f stop go done floods
	"$aquilad" -o "$folder/x.aquila" --no-progress "$@" -- sh workload.sh 2>err.txt &
	recorder=$!
	for _ in $(seq 200); do
		[ "$(stat -c %s "$folder/x.aquila/segment-000001.aqs" 2>/dev/null || echo 0)" -lt 4000 ] || break
		sleep 0.05
	done
	sleep 0.5
}
processes() { # COUNT
	echo "$1" >go.new && mv go.new go
	for _ in $(seq 400); do
		[ ! -e done ] || return 0
		sleep 0.05
	done
	fail "the processes were not started"
}
stop() { # sets status; the recorder ends with its command
	touch stop
	wait "$recorder"
	status=$?
	recorder=""
}
number() { # CLASS FIELD of the ledger
	sed -n "s/.*\"class\":\"$1\".*\"$2\":\([0-9]*\).*/\1/p" ledger.txt
}
check() { # FOLDER PROCESSES
	local found produced=0 accounted=0
	lost=0
	grep -q '^ledger balances: yes' err.txt || fail "the ledger: $(cat err.txt)"
	"$aquila" verify "$1/x.aquila" >verify.txt 2>&1 || [ $? = 3 ] || fail "verify: $(cat verify.txt)"
	grep -q '^intact' verify.txt || fail "verify: $(cat verify.txt)"
	"$aquila" losses --format ndjson "$1/x.aquila" >ledger.txt 2>/dev/null
	for class in vital important ordinary bulk; do
		produced=$((produced + $(number $class produced)))
		accounted=$((accounted + $(number $class stored) + $(number $class lost) + $(number $class left_out)))
		lost=$((lost + $(number $class lost)))
	done
	[ $produced -gt 100000 ] || fail "that was no flood: $produced events"
	[ $produced = $accounted ] || fail "$produced events were produced, $accounted stored, lost or left out"
	for class in vital important; do
		[ "$(number $class lost) $(number $class text_lost)" = "0 0" ] || fail "class $class is not complete: $(cat ledger.txt)"
	done
	# what the gaps count is what the ledger counts
	gaps=$("$aquila" losses --by reason --format ndjson "$1/x.aquila" 2>/dev/null |
		sed -n 's/.*"reason":"\(ring-full\|spool-shed\|disk\)".*"events":\([0-9]*\).*/\2/p' | awk '{ n += $1 } END { print n + 0 }')
	[ "$gaps" = $lost ] || fail "the gaps count $gaps lost, the ledger $lost"
	found=$("$aquila" query "$1/x.aquila" 'evt.type = proc_exec and proc.cmdline contains "meanwhile-"' --count 2>/dev/null)
	[ "${found%% *}" = "$2" ] || fail "$found of $2 processes were found"
	[ "$status" = $((lost > 0 ? 3 : 0)) ] || fail "status $status with $lost lost"
	echo "$kind: $produced events, $lost lost"
}

[ "$(id -u)" = 0 ] && "$aquilad" --probe >/dev/null 2>&1 || { echo "skipped: needs root and BPF"; exit 77; }

kind=stopped
start . --ring-memory 16M
kill -STOP $recorder
processes 50
sleep 1.5
kill -CONT $recorder
sleep 0.3
stop
check . 50
[ "$lost" -gt 0 ] || fail "rings of 16M held two seconds of a flood"
rm -rf x.aquila

kind=shutdown
start .
processes 20
kill -INT "$recorder" # passed on to the shell; the floods go on while the recorder ends
wait "$recorder"
status=$?
recorder=""
kill -0 $(cat floods) || fail "the floods did not outlive the recorder"
end_floods
check . 20
rm -rf x.aquila

kind=disk
mkdir disk
if command -v mkfs.ext4 fsfreeze >/dev/null && truncate -s 300M image && mkfs.ext4 -q image 2>mkfs.err &&
	mount -o loop image disk 2>mount.err; then
	mounted=disk
	start disk --spool 32M
	frozen=disk
	fsfreeze -f disk || fail "can't freeze"
	processes 50
	sleep 1.5
	fsfreeze -u disk
	frozen=""
	sleep 0.3
	stop
	check disk 50
	[ "$lost" -gt 0 ] || echo "a spool of 32M held two seconds of a flood"
	umount disk && mounted=""
else
	echo "no ext4 can be mounted here: the stalled disk is left out"
fi
exit $((failures > 0))
