#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How soon what is vital is on the disk with --sync vital: from the time of the event to the return of fdatasync, as the
# recorder measures it, beside what fdatasync alone takes on the same disk. Needs root and BPF.
# usage: tests/bench/vital.sh [FOLDER-ON-THE-DISK [SECONDS]]
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
aquilad=${AQ_BIN:-$top/build/bin}/aquilad
disk=$(mktemp -d "${1:-.}/vital-XXXXXX")
seconds=${2:-5}
trap 'rm -rf "$disk"' EXIT

fdatasync_alone() {
	python3 - "$disk/alone" "$seconds" <<'PYTHON'
import os, sys, time
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
took, offset, end = [], 0, time.time() + float(sys.argv[2])
while time.time() < end:
    begin = time.perf_counter()
    os.pwrite(fd, b"x" * 700, offset)
    os.fdatasync(fd)
    took.append((time.perf_counter() - begin) * 1e3)
    offset += 700
    time.sleep(0.002)
took.sort()
print("700 bytes and fdatasync alone: %.1f ms (half of %d), %.1f ms (99 %%), %.1f ms (all)"
      % (took[len(took) // 2], len(took), took[len(took) * 99 // 100], took[-1]))
PYTHON
}

measure() { # NAME COMMAND
	rm -rf "$disk/x.aquila"
	printf '%-22s ' "$1:"
	"$aquilad" -o "$disk/x.aquila" --sync vital --no-progress -- sh -c "$2" 2>"$disk/err" || true
	grep 'vital events were' "$disk/err" || cat "$disk/err"
	sed -n 's/^.* events and .* of state in [^,]*, \(.*\), .*segment.*/                       \1/p; s/^CPU:/                       CPU:/p' "$disk/err"
}

fdatasync_alone
measure "a program each 20 ms" "end=\$((\$(date +%s) + $seconds)); while [ \$(date +%s) -lt \$end ]; do /bin/sleep 0.02; done"
measure "programs without pause" "end=\$((\$(date +%s) + $seconds)); while [ \$(date +%s) -lt \$end ]; do /bin/true; /bin/true; /bin/true; done"
measure "the same beside a flood" "dd if=/dev/zero of=/dev/null bs=1 status=none & end=\$((\$(date +%s) + $seconds)); while [ \$(date +%s) -lt \$end ]; do /bin/true; /bin/sleep 0.02; done; kill \$!"
