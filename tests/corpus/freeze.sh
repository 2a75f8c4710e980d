#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# freeze.sh [DIR]: makes the frozen captures anew (default: tests/corpus/frozen) with what both readers say they hold.
# When the target is the default, the example in FORMAT.md follows too. To be run when the format gained something; never to make a failing test pass. AQ_BIN and AQ_TEST_BIN name the built
# programs (default: those of the folder build).
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
AQ_BIN=${AQ_BIN:-$source/build/bin} AQ_TEST_BIN=${AQ_TEST_BIN:-$source/build/tests/bin}
target=${1:-$source/tests/corpus/frozen}
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$AQ_TEST_BIN/make_frozen" "$fresh"
captures=("$fresh"/v*.aquila)
mkdir "$fresh/rows"
python3 -BS "$source/tests/reader/aquila_reader.py" --into "$fresh/rows" "${captures[@]}"
for i in "${!captures[@]}"; do
	capture=${captures[i]} expected=${captures[i]%.aquila}.ndjson
	"$source/tests/reader/raw_rows.sh" "$AQ_BIN/aquila" "$capture" >"$expected"
	cmp "$fresh/rows/$((i + 1)).rows" "$expected" || {
		echo "the two readers do not agree about $(basename "$capture"): nothing is frozen" >&2
		exit 1
	}
	zstd -q -19 --rm "$expected"
done
mkdir -p "$target"
for capture in "$fresh"/v*.aquila; do
	rm -rf "$target/$(basename "$capture")"
	cp -r "$capture" "${capture%.aquila}.ndjson.zst" "$target"
done
if [ $# -eq 0 ]; then
	PYTHONDONTWRITEBYTECODE=1 python3 "$source/tests/reader/annotate.py" "$target/v1-tiny.aquila/segment-000001.aqs" \
		"$source/format/FORMAT.md"
fi
