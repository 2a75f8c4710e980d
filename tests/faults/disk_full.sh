#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A recorder on a disk that fills up and has room again: it goes on, says so, accounts for all, and what it wrote is
# whole. Then one whose disk stays full. On tmpfs, and on ext4 in a file where such can be mounted. Needs root and BPF.
set -u
aquilad=$AQ_BIN/aquilad aquila=$AQ_BIN/aquila
failures=0 mounted="" recorder=""

fail() {
	echo "FAILED: $kind: $*" >&2
	failures=$((failures + 1))
}

unmount() {
	[ -z "$mounted" ] || umount "$mounted"
	mounted=""
}
# an interrupted run leaves neither a recorder nor its workload behind
end() {
	touch stop
	if [ -n "$recorder" ]; then
		kill "$recorder" 2>/dev/null
		wait "$recorder"
	fi
	unmount
}
trap end EXIT
trap 'exit 1' HUP INT TERM PIPE

mount_small() { # tmpfs or ext4, 6 MB, on ./disk
	mkdir -p disk
	if [ "$1" = tmpfs ]; then
		mount -t tmpfs -o size=6m aquila-test disk || return 1
	else
		command -v mkfs.ext4 >/dev/null || return 1
		truncate -s 6M image && mkfs.ext4 -q -O ^has_journal -m 0 image 2>mkfs.err || return 1
		mount -o loop image disk 2>mount.err || return 1
	fi
	mounted=disk
}

fill() { # leaves about so many kB
	local free
	free=$(df -k --output=avail disk | tail -n 1)
	dd if=/dev/zero of=disk/filler bs=1k count=$((free - $1)) status=none
}

workload='i=0; while [ ! -e stop ]; do i=$((i + 1)); ls -l /usr/bin /etc >/dev/null; done'

wait_for() { # TEXT in err.txt
	for _ in $(seq 100); do
		! grep -qF -- "$1" err.txt || return 0
		sleep 0.1
	done
	fail "the recorder never said '$1', but: $(cat err.txt)"
}

check() {
	"$aquila" verify disk/x.aquila >verify.txt 2>&1 || fail "verify: $(cat verify.txt)"
	grep -q '^intact' verify.txt || fail "verify: $(cat verify.txt)"
	"$aquila" losses disk/x.aquila 2>/dev/null | grep -E '^disk ' >disk.txt || fail "losses do not name the disk"
}

[ "$(id -u)" = 0 ] && "$aquilad" --probe >/dev/null 2>&1 || { echo "skipped: needs root and BPF"; exit 77; }
ran=0
for kind in tmpfs ext4; do
	mount_small $kind || { echo "$kind can't be mounted here"; continue; }
	ran=1
	rm -f stop
	"$aquilad" -o disk/x.aquila --sync chunk --flush-interval 200ms --no-progress -- sh -c "$workload" 2>err.txt &
	recorder=$!
	for _ in $(seq 100); do # until the first chunks are there
		[ "$(stat -c %s disk/x.aquila/segment-000001.aqs 2>/dev/null || echo 0)" -lt 50000 ] || break
		sleep 0.1
	done
	fill 100
	wait_for "could not write"
	sleep 0.5
	kill -0 $recorder || fail "the recorder ended"
	rm disk/filler
	wait_for "is written again"
	sleep 0.5
	touch stop
	wait $recorder
	status=$?
	recorder=""
	[ $status = 3 ] || fail "status $status, not 3: $(cat err.txt)"
	grep -q '^ledger balances: yes' err.txt || fail "the ledger: $(cat err.txt)"
	grep -q 'of the lost, [1-9][0-9]* could not be written' err.txt || fail "nothing was counted: $(cat err.txt)"
	check
	# what the capture says is lost is what the summary says
	lost=$(sed -n 's/^of the lost, \([0-9]*\) could not.*/\1/p' err.txt)
	[ "$(awk '{ print $3 }' disk.txt)" = "$lost" ] || fail "losses: $(cat disk.txt), the summary: $lost"
	ls disk/x.aquila/segment-000002.aqs >/dev/null || fail "no new segment was begun"
	rm -rf disk/x.aquila
	fill 8 # less than the state of the host alone takes
	rm -f stop
	# no room for even a beginning, or none after it
	"$aquilad" -o disk/x.aquila --flush-interval 200ms --no-progress --duration 1 2>err.txt
	status=$?
	[ $status = 1 ] || fail "on a disk that stays full: status $status, not 1: $(cat err.txt)"
	grep -q "'disk/x.aquila.*o space left on device" err.txt || fail "on a disk that stays full: $(cat err.txt)"
	[ ! -e disk/x.aquila ] || "$aquila" info disk/x.aquila >info.txt 2>&1
	[ $? -ne 1 ] || fail "what is left on a full disk can't be read: $(cat info.txt)"
	unmount
done
[ $ran = 1 ] || { echo "skipped: nothing can be mounted here"; exit 77; }
exit $((failures > 0))
