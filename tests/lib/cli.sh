# SPDX-License-Identifier: Apache-2.0
# For the command line's tests: run the program, hold status and output against what is expected.
# shellcheck shell=bash
set -u
aquila=${AQ_BIN:?}/aquila
failures=0

fixtures() { # captures in ./fixtures
	"${AQ_TEST_BIN:?}/make_capture" fixtures || exit 1
	whole=fixtures/whole.aquila gaps=fixtures/gaps.aquila damaged=fixtures/damaged.aquila truncated=fixtures/truncated.aquila
}

fail() {
	printf 'FAIL: %s\n' "$*" >&2
	failures=$((failures + 1))
}

run() { # STATUS ARGUMENTS: leaves ./out and ./err
	local expected=$1 status=0
	shift
	"$aquila" "$@" >out 2>err </dev/null || status=$?
	last="aquila $*"
	[ "$status" -eq "$expected" ] || {
		fail "$last: status $status, not $expected"
		head -5 err >&2
	}
	if grep -qE 'runtime error|AddressSanitizer|LeakSanitizer' err; then
		fail "$last: $(grep -m1 -E 'runtime error|Sanitizer' err)"
	fi
}

out_has() { grep -qF -- "$1" out || fail "$last: the output lacks: $1"; }
out_lacks() { ! grep -qF -- "$1" out || fail "$last: the output has: $1"; }
err_has() { grep -qF -- "$1" err || fail "$last: stderr lacks: $1 (it is: $(head -3 err))"; }
lines() { [ "$(wc -l <out)" -eq "$1" ] || fail "$last: $(wc -l <out) lines, not $1"; }
out_is() { [ "$(cat out)" = "$1" ] || fail "$last: the output is: $(head -5 out)"; }
verdict() { [ "$(tail -n 1 err)" = "verdict: $1" ] || fail "$last: the last line on stderr is: $(tail -n 1 err)"; }

no_controls() { # nothing in ./out that a terminal would obey
	! LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]' out || fail "$last: control characters in the output"
	iconv -f UTF-8 -t UTF-8 out >/dev/null 2>&1 || fail "$last: broken UTF-8 in the output"
}

python() { # PROGRAM on stdin sees ./out; skipped where there is no python3
	command -v python3 >/dev/null || return 0
	python3 - || fail "$last: see above"
}

finish() {
	[ "$failures" -eq 0 ] || {
		printf '%d failures\n' "$failures" >&2
		exit 1
	}
	exit 0
}
