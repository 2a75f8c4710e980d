#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# aquilad --sign on this kernel: what a recording proves when it ends, when the recorder is killed, and when its key can't
# be replaced. Needs root and BPF.
set -u
aquilad=$AQ_BIN/aquilad aquila=$AQ_BIN/aquila
failures=0
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
"$aquilad" --probe >probe 2>&1 || { echo "skipped: $(tail -1 probe)"; exit 77; }

fail() {
	echo "FAILED: $*" >&2
	failures=$((failures + 1))
}
verify() { # STATUS ARGUMENTS…
	local want=$1 status=0
	shift
	"$aquila" verify "$@" >out 2>&1 || status=$?
	[ "$status" = "$want" ] || fail "verify $*: status $status, not $want: $(cat out)"
}
says() { grep -qF -- "$1" out || fail "verify does not say '$1': $(cat out)"; }

mkdir -m 700 keys
"$aquila" keygen sign -o keys/host.key >/dev/null || fail keygen
cp keys/host.key.pub first.pub
before=$(stat -c %i keys/host.key)
# shellcheck disable=SC2016
busy='for i in 1 2 3 4 5 6 7 8 9 10 11 12; do /bin/true; sleep 0.2; done'
"$aquilad" --sign keys/host.key --sign-interval 1s --segment-age 1s -o a.aquila --no-progress -- sh -c "$busy" >out 2>err
status=$?
[ "$status" = 0 ] || fail "the recording ended with $status: $(cat err)"
grep -q "^signed: [0-9]* times, the key goes on with epoch" err || fail "the summary does not tell the signatures: $(cat err)"
[ "$(stat -c %i keys/host.key)" != "$before" ] || fail "the key was not replaced"
[ "$(stat -c %a keys/host.key)" = 600 ] || fail "the key's mode"
verify 0 a.aquila --key first.pub
says "signed by the given key"
verify 0 a.aquila --format json --key first.pub
next=$(sed -n 's/.*"next_key":"\([^"]*\)".*/\1/p' out)
signatures=$(sed -n 's/.*"signatures":\([0-9]*\),.*/\1/p' out)
[ "${signatures:-0}" -ge 3 ] || fail "only '$signatures' signatures"
echo "$next" >second.pub

# killed in the middle: proven up to the last signature; what came after it is told
setsid "$aquilad" --sign keys/host.key --sign-interval 1s -o b.aquila -q >out 2>err &
recorder=$!
inode=$(stat -c %i keys/host.key)
for _ in $(seq 300); do # until it has signed once, and a little more
	[ "$(stat -c %i keys/host.key)" = "$inode" ] || break
	sleep 0.1
done
sleep 0.4
kill -KILL "$recorder"
wait "$recorder" 2>/dev/null
verify 3 b.aquila --key second.pub
says "signed by the given key"
says "unfinished"
says "tail    unsigned: "
! grep -q ALTERED out || fail "a killed recorder looks like an intruder: $(cat out)"
# continued: the same chain and the same line of keys, over the gap
"$aquilad" --sign keys/host.key --append -o b.aquila -q -d 500ms >out 2>err
"$aquila" verify b.aquila --key second.pub >out 2>&1
case $? in 0 | 3) ;; *) fail "a continued capture: $(cat out)" ;; esac # 3 where the kill tore a block
says "signed by the given key"
! grep -q ALTERED out || fail "a continued capture looks altered: $(cat out)"
! grep -q "tail    unsigned" out || fail "the end of a continued capture is not signed: $(cat out)"
"$aquila" verify b.aquila --format json >out 2>&1
echo "$(sed -n 's/.*"next_key":"\([^"]*\)".*/\1/p' out)" >third.pub

# the key can't be replaced any more, as when its disk is full: the recording goes on, and says so
(
	until [ -d c.aquila ]; do sleep 0.05; done
	chmod 500 keys
) &
locker=$!
"$aquilad" --sign keys/host.key --sign-interval 1s -o c.aquila -q -d 2500ms >out 2>err
status=$?
kill "$locker" 2>/dev/null
wait "$locker"
chmod 700 keys
[ "$status" = 3 ] || fail "a recording without its signatures ended with $status"
grep -q "signatures could not be made: 'keys/host.key" err || fail "it does not say why: $(cat err)"
verify 1 c.aquila --key third.pub
says "NOT PROVEN: nobody signed this capture"

# and the key is as good as before
"$aquilad" --sign keys/host.key -o d.aquila -q -d 300ms >out 2>err || fail "recording again: $(cat err)"
verify 0 d.aquila --key third.pub
exit $((failures > 0))
