#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# links_without.sh PROGRAM LIBRARY…: fails where the program itself asks for one of the libraries.
set -euo pipefail
program=${1:?usage: links_without.sh PROGRAM LIBRARY...}
shift
command -v readelf >/dev/null || { echo "skipped: there is no readelf"; exit 77; }
needed=$(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
[ -n "$needed" ] || { echo "'$program' names no library at all: is it a dynamic program?" >&2; exit 1; }
status=0
for library in "$@"; do
	if grep -q "^$library\." <<<"$needed"; then
		echo "'$program' links $library" >&2
		status=1
	fi
done
exit $status
