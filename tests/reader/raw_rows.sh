#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# raw_rows.sh AQUILA CAPTURE: all rows of a capture as both readers have to give them: without the verdict, and without
# the gaps that a reader finds where something is damaged.
set -uo pipefail
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
"$1" query "$2" --raw --all --gaps --quiet >"$rows"
status=$?
sed -e '$d' -e '/"type":"gap".*,"reason":6,/d' "$rows"
[ "$status" -eq 0 ] || [ "$status" -eq 3 ]
