#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole host is recorded for a second while an assortment of programs runs; the reader that was written from
# FORMAT.md alone says the same of it as aquila, byte for byte. Once as recorded by default, once with everything kept.
set -uo pipefail
skip() { echo "skipped: $*"; exit 77; }
for program in python3 zstd; do
	command -v "$program" >/dev/null || skip "no $program"
done
[ "$(id -u)" = 0 ] || skip "not root"
"$AQ_BIN/aquilad" --probe >probe || skip "$(tail -1 probe)"
reader=$AQ_SRC/tests/reader/aquila_reader.py

assortment() {
	for _ in 1 2 3; do
		printf 'a b\n' | tr a-z A-Z >"new file" && mv "new file" $'odd\nname\xff' && rm $'odd\nname\xff'
		ls -lR /etc >/dev/null 2>&1
		sort /etc/passwd | uniq -c >/dev/null
		sh -c 'exec 3<>/dev/tcp/127.0.0.1/1' 2>/dev/null
		for compat in "$AQ_TRIGGERS"/trigger_compat_m32; do
			[ ! -x "$compat" ] || "$compat" >/dev/null 2>&1
		done
	done
}

record() { # CAPTURE, options
	local capture=$1 recorder
	shift
	"$AQ_BIN/aquilad" -o "$capture" -d 1 --no-progress "$@" >"$capture.out" 2>&1 &
	recorder=$!
	while kill -0 "$recorder" 2>/dev/null; do
		assortment
		sleep 0.2
	done
	wait "$recorder"
	local status=$?
	[ $status = 0 ] || [ $status = 3 ] || { echo "FAILED: recording $capture: $status: $(cat "$capture.out")"; exit 1; }
}

record plain.aquila
record kept.aquila --keep-pointers --time-resolution 64 --flush-interval 100ms
mkdir second
python3 -BS "$reader" --into second plain.aquila kept.aquila || { echo "FAILED: the second reader"; exit 1; }
failures=0
number=0
for capture in plain kept; do
	number=$((number + 1))
	"$AQ_SRC/tests/reader/raw_rows.sh" "$AQ_BIN/aquila" $capture.aquila >rows || failures=$((failures + 1))
	[ "$(wc -l <rows)" -gt 1000 ] || { echo "FAILED: $capture: only $(wc -l <rows) rows"; failures=$((failures + 1)); }
	cmp rows second/$number.rows || { echo "FAILED: $capture: $(diff rows second/$number.rows | head -4)"; failures=$((failures + 1)); }
	grep -qx 'chain follows' second/$number.blocks || { echo "FAILED: $capture: the chain"; failures=$((failures + 1)); }
	grep -c '' rows
done
grep -q '"type":"execve"' rows && grep -q '"type":"renameat' rows || { echo "FAILED: the programs are missing"; failures=$((failures + 1)); }
grep -qx 'pointers kept' second/2.blocks && grep -qx 'resolution 64' second/2.blocks || failures=$((failures + 1))
exit $((failures > 0))
