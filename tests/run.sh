#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing, builds everything and runs every test. Tests that need BPF skip with the reason where it
# can't be used.
set -euo pipefail

usage() {
	cat <<'HELP'
usage: tests/run.sh [--no-install] [--sanitizers] [--label LABEL] [--build DIR] [--help]

  --no-install    do not install missing packages, only name them
  --sanitizers    also build with AddressSanitizer and UBSan, and with ThreadSanitizer, and run the unit tests in both
  --label LABEL   only tests with this label: unit, cli, kernel, fuzz
  --build DIR     build folder (default: build)
HELP
}

top=$(cd "$(dirname "$0")/.." && pwd)
install=1 sanitizers=0 label="" build=$top/build
while [ $# -gt 0 ]; do
	case $1 in
	--no-install) install=0 ;;
	--sanitizers) sanitizers=1 ;;
	--label) label=${2:?--label needs a label}; shift ;;
	--build) build=${2:?--build needs a folder}; shift ;;
	--help | -h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
cd "$top"
if [ "$install" = 1 ]; then samples/install-deps.sh; else samples/install-deps.sh --check; fi

build_and_test() { # folder, ctest arguments behind --, cmake arguments before
	local folder=$1; shift
	local configure=()
	while [ "$1" != -- ]; do configure+=("$1"); shift; done
	shift
	cmake -S . -B "$folder" -G Ninja "${configure[@]}" >"$folder.configure.log" 2>&1 || { cat "$folder.configure.log"; exit 1; }
	rm -f "$folder.configure.log"
	cmake --build "$folder" -- -k 0 | tail -3
	(cd "$folder" && ctest --output-on-failure --no-tests=error "$@")
}

build_and_test "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -- ${label:+-L "$label"}
if [ "$sanitizers" = 1 ]; then
	build_and_test "$top/build-asan-ubsan" -DCMAKE_BUILD_TYPE=Debug -DAQ_SANITIZE=address,undefined -- -L 'unit|fuzz'
	build_and_test "$top/build-tsan" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DAQ_SANITIZE=thread -- -L unit
fi
