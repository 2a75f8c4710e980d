#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aquilad --dump-rings: what the rings gave is in the file, record for record, and the capture is as without. Needs root
# and BPF.
set -eu
[ "$(id -u)" = 0 ] && "$AQ_BIN/aquilad" --probe >/dev/null 2>&1 || { echo "skipped: needs root and BPF"; exit 77; }
"$AQ_BIN/aquilad" -o x.aquila --dump-rings rings --no-progress -- ls -l /usr/include >/dev/null 2>err.txt
grep -q 'ledger balances: yes; complete' err.txt
events=$(sed -n 's/^all *\([0-9]*\) .*/\1/p' err.txt)
python3 - "$events" <<'END'
import struct, sys
data = open("rings", "rb").read()
magic, cpus, slot = struct.unpack_from("8sII", data)
assert magic == b"AQRINGS\1" and cpus > 0 and slot == 88, (magic, cpus, slot)
at, records, attrs = 16, 0, 0
while at < len(data):
    ring, kind, size, reserved = struct.unpack_from("4I", data, at)
    assert ring < 4 * cpus and kind in (1, 2) and reserved == 0
    records += size // slot if kind == 1 else 0
    attrs += size if kind == 2 else 0
    at += 16 + size
assert at == len(data) and records == int(sys.argv[1]) and attrs > 0, (at, len(data), records, attrs)
END
[ "$(stat -c %a rings)" = 600 ]
# a file that can't be made stops everything before it begins
! "$AQ_BIN/aquilad" -o y.aquila --dump-rings missing/rings -- true 2>err.txt
grep -q "'missing/rings': No such file" err.txt
[ ! -e y.aquila ]
