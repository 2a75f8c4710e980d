#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing, builds everything and runs every test. Tests that need BPF skip with the reason where it
# can't be used. Ends with a summary; status 0 when nothing failed.
set -euo pipefail

usage() {
	cat <<'HELP'
usage: tests/run.sh [--no-install] [--sanitizers] [--kernels] [--label LABEL] [--build DIR] [--help]

  --no-install    do not install missing packages, only name them
  --sanitizers    also build with AddressSanitizer and UBSan, and with ThreadSanitizer, and run the unit, command line
                  and fuzz corpus tests in both
  --kernels       also boot other kernels under qemu and run the kernel tests there
  --label LABEL   only tests with this label: unit, cli, kernel, containers, faults, fuzz, style
  --build DIR     build folder (default: build)

Exit status: 0 nothing failed, 1 something did, 2 wrong usage.
HELP
}

top=$(cd "$(dirname "$0")/.." && pwd)
install=1 sanitizers=0 kernels=0 label="" build=$top/build
while [ $# -gt 0 ]; do
	case $1 in
	--no-install) install=0 ;;
	--sanitizers) sanitizers=1 ;;
	--kernels) kernels=1 ;;
	--label | --build)
		[ $# -gt 1 ] || { echo "tests/run.sh: $1 needs a value" >&2; exit 2; }
		if [ "$1" = --label ]; then label=$2; else build=$(realpath -m -- "$2"); fi
		shift
		;;
	--help | -h) usage; exit 0 ;;
	*) echo "tests/run.sh: there is no option $1" >&2; usage >&2; exit 2 ;;
	esac
	shift
done
cd "$top"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
summary=() failed=0

note() { # "ok" or "FAILED", what
	summary+=("$(printf '%-7s %s' "$1" "$2")")
	[ "$1" != FAILED ] || failed=1
}

# One line of counts, then every failed test, and every skipped one with its reason, from ctest's JUnit file.
count_tests() {
	python3 - "$1" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree
cases = tree.parse(sys.argv[1]).getroot().findall("testcase")
skipped = [case for case in cases if case.find("skipped") is not None]
bad = [case for case in cases if case.get("status") not in ("run", "disabled") and case not in skipped]
seconds = sum(float(case.get("time", 0)) for case in cases)
print("%d tests, %d failed, %d skipped, %.0f s" % (len(cases), len(bad), len(skipped), seconds))
for case in bad:
    print("        failed:  " + case.get("name"))
for case in skipped:
    said = [line for line in (case.findtext("system-out") or "").splitlines() if "skip" in line.lower()]
    print("        skipped: %s (%s)" % (case.get("name"), said[0].strip() if said else "no reason given"))
PYTHON
}

# build_and_test PRESET FOLDER CTEST-ARGUMENTS…
build_and_test() {
	local preset=$1 folder=$2
	shift 2
	echo "== $preset: configure and build in '$folder'"
	if ! cmake --preset "$preset" -B "$folder" >"$logs/configure" 2>&1; then
		cat "$logs/configure"
		note FAILED "$preset: configure"
		return 0
	fi
	if ! cmake --build "$folder" -- -k 0 >"$logs/build" 2>&1; then
		grep -vE '^\[[0-9]+/[0-9]+\] ' "$logs/build" | tail -60
		note FAILED "$preset: build"
		return 0
	fi
	echo "== $preset: tests"
	local result=ok
	rm -f "$logs/junit.xml"
	ctest --test-dir "$folder" --output-on-failure --no-tests=error --output-junit "$logs/junit.xml" "$@" || result=FAILED
	if [ -s "$logs/junit.xml" ]; then
		note $result "$preset: $(count_tests "$logs/junit.xml")"
	else
		note FAILED "$preset: no tests were run"
	fi
}

if [ "$install" = 1 ] && [ "$(id -u)" = 0 ]; then
	# kubectl holds the tests' API server against the real thing
	samples/install-deps.sh openssl curl $(command -v kubectl >/dev/null || echo kubernetes-client)
else
	samples/install-deps.sh --check || echo "Going on without them." >&2
fi
build_and_test dev "$build" ${label:+-L "^$label\$"}
if [ "$sanitizers" = 1 ]; then
	export ASAN_OPTIONS=${ASAN_OPTIONS:-exitcode=99:detect_stack_use_after_return=1}
	export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
	build_and_test asan-ubsan "$top/build-asan-ubsan" -L '^(unit|cli|fuzz)$'
	build_and_test tsan "$top/build-tsan" -L '^(unit|cli|fuzz)$'
fi
if [ "$kernels" = 1 ]; then
	if [ ! -x tests/kernel/qemu/run.sh ]; then
		note none "kernels: there is no tests/kernel/qemu/run.sh in this tree"
	elif AQ_BUILD=$build tests/kernel/qemu/run.sh; then
		note ok "kernels"
	else
		note FAILED "kernels"
	fi
fi

echo
echo "== summary"
printf '%s\n' "${summary[@]}"
exit $failed
