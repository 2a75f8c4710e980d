#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A live recording to a recipient: nothing of it in clear over several segments, all of it with the key; and one whose recorder
# was killed still opens with the key.
source "${AQ_SRC:?}/tests/lib/cli.sh"
aquilad=$AQ_BIN/aquilad
"$aquilad" --probe >/dev/null 2>&1 || { echo "skipped: recording is not possible here"; exit 77; }
umask 077
run 0 keygen seal -o key
run 0 keygen sign -o sign.key

cat >work.sh <<'SH'
for batch in a b c; do
	i=0
	while [ $i -lt 60 ]; do
		cat /nowhere/needle-path-$batch$i 2>/dev/null
		i=$((i + 1))
	done
	sleep 0.5 # an interval's end
done
SH
"$aquilad" -q -o dark.aquila --encrypt-to key.pub --sign sign.key --segment-size 10K --flush-interval 100ms -- sh work.sh
status=$?
[ $status -eq 0 ] || [ $status -eq 3 ] || fail "the recording ended with status $status"
segments=$(find dark.aquila -name '*.aqs' | wc -l)
[ "$segments" -ge 2 ] || fail "only $segments segment: nothing was rotated"
[ "$(find dark.aquila -type f ! -name '*.aqs' ! -name manifest.aqm | wc -l)" = 0 ] || fail "other files beside the segments: $(ls dark.aquila)"
for word in needle-path work.sh "$(uname -n)" "$(uname -r)" "$(cat /proc/sys/kernel/random/boot_id)"; do
	[ ${#word} -ge 6 ] || continue # so short a word comes up by chance
	! grep -qaF -- "$word" dark.aquila/*.aqs || fail "'$word' stands in the capture"
done
run 1 query dark.aquila --count
# who has no key can still prove the signatures
run 3 verify dark.aquila --key sign.key.pub
out_has "structure and checksums are intact; events and ledger are not checked"
out_has "signed by the given key"
run 0 verify dark.aquila --key key --key sign.key.pub
out_has "signed by the given key"
run $status query dark.aquila --key key 'evt.type = openat and evt.arg.name contains needle-path-' --count
grep -qw 180 out || fail "$last: $(cat out)"
# every segment alone, too
for file in dark.aquila/*.aqs; do
	"$aquila" info "$file" --key key >out 2>err || [ $? -eq 3 ] || fail "'$file' can't be read: $(cat err)"
	grep -qF "$(uname -n)" out || fail "'$file' does not name its host"
done

"$aquilad" -q -o killed.aquila --encrypt-to key.pub --flush-interval 20ms -- sh -c 'echo $$ >pid; cat /nowhere/needle-last; exec sleep 30' >/dev/null 2>&1 &
recorder=$!
for _ in $(seq 100); do
	if "$aquila" query killed.aquila --key key 'evt.arg.name = /nowhere/needle-last' --count 2>/dev/null | grep -q '[1-9]'; then
		break
	fi
	sleep 0.1
done
kill -KILL $recorder
wait $recorder 2>/dev/null
kill "$(cat pid)"
run 3 query killed.aquila --key key 'evt.arg.name = /nowhere/needle-last' --count
grep -q '[1-9]' out || fail "what was flushed before the kill is not there"
run 1 query killed.aquila --count
run 3 info killed.aquila
out_has "not closed"
! grep -qaF needle-last killed.aquila/*.aqs || fail "text stands in the killed capture"
finish
