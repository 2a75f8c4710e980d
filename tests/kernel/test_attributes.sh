#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Each call that carries an attribute or a structure, made once with success and once without where that can be, is in the
# capture with every field as the program that made it says (trigger_attributes.c).
set -uo pipefail
skip() { echo "skipped: $*"; exit 77; }
command -v python3 >/dev/null || skip "no python3"
[ "$(id -u)" = 0 ] || skip "not root"
"$AQ_BIN/aquilad" --probe >probe || skip "$(tail -1 probe)"

mkdir work
"$AQ_BIN/aquilad" -q -o t.aquila --exit-status command -- sh -c 'exec "$0" "$1" >expected' \
	"$AQ_TRIGGERS/trigger_attributes" "$PWD/work" 2>err || { echo "FAILED: $?: $(cat err)"; exit 1; }
"$AQ_BIN/aquila" query t.aquila 'proc.name in (trigger_attribu, renamed) or evt.type startswith uring_' --format ndjson >rows || exit 1
# what only a structure tells is known to filters
count=$("$AQ_BIN/aquila" query t.aquila 'evt.type = openat2 and evt.is_open_write = true' --count -q | tail -n 1 | tr -dc 0-9)
[ "$count" = 1 ] || { echo "FAILED: openat2 for writing: $count"; exit 1; }
exec python3 -BS - <<'END'
import json, re, sys
failures = 0
rows = [row for row in map(json.loads, open("rows")) if "type" in row]
expected = [json.loads(line) for line in open("expected")]

def says(row, wanted):
    """What differs. Every argument that the row has must be wanted, but addresses."""
    args, attrs = row.get("args", {}), row.get("attrs", {})
    out = [f"{k}: {args.get(k)!r}, not {v!r}" for k, v in wanted["args"].items() if args.get(k) != v]
    out += [f"{k} is not there" for k, v in wanted["attrs"].items() if v is None and (k not in attrs or k not in row.get("unreadable", []))]
    out += [f"{k}: {attrs.get(k)!r}, not {v!r}" for k, v in wanted["attrs"].items() if attrs.get(k) != v]
    if row.get("res", 0) != wanted["res"]:
        out.append(f"res: {row.get('res')}, not {wanted['res']}")
    may = {"prctl": {"arg2"}, "keyctl": {"arg3", "arg4"}, "sethostname": {"name"}}.get(row["type"], set())
    if row["type"] == "uring_submit":  # refused ones may have what was in the entry before; of a second path the address is shown
        may = set(args) if wanted["args"]["result"] else {"offset"}
    out += [f"{k}: {args[k]!r} is more than was expected" for k in args if k not in wanted["args"] and k not in may]
    out += [f"{k}: {attrs[k]!r} is more than was expected" for k in attrs if k not in wanted["attrs"] and k not in wanted["args"]]
    return out

for wanted in expected:
    same = [row for row in rows if row["type"] == wanted["type"]]
    results = [says(row, wanted) for row in same]
    if [] not in results:
        failures += 1
        nearest = min(results, key=len) if results else ["no such event"]
        print(f"FAILED: {wanted['type']}: {'; '.join(nearest)}")
print(len(expected), "calls,", failures, "not as they were made")
sys.exit(failures > 0 or len(expected) < 60)
END
