#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Encrypted captures on the command line: with a key the same answers, without one only what needs none.
source "${AQ_SRC:?}/tests/lib/cli.sh"
umask 077
fixtures
run 0 keygen seal -o one.key
one=$(sed -n 's/^fingerprint  //p' out)
run 0 keygen seal -o two.key
two=$(sed -n 's/^fingerprint  //p' out)
run 0 keygen seal -o stranger.key
run 0 keygen sign -o sign.key
cat one.key.pub two.key.pub sign.key.pub >both.pub
"${AQ_TEST_BIN:?}/make_capture" fixtures both.pub || exit 1
dark=fixtures/encrypted.aquila

# nothing of it in clear; the same search finds it in the other one
for word in fixture make_capture 6.18.0-test tp_btf; do
	grep -qaF "$word" "$whole/segment-000001.aqs" || fail "'$word' is not in the plain capture: it proves nothing"
	! grep -qaF "$word" "$dark/segment-000001.aqs" || fail "'$word' stands in the encrypted capture"
done
! grep -qaE 'passwd|evil|user\.slice|bash' "$dark/segment-000001.aqs" || fail "texts stand in the encrypted capture"
[ "$(cd "$dark" && echo *)" = "manifest.aqm segment-000001.aqs" ] || fail "other files beside the segment: $(ls "$dark")"

# with a key, any of them, the answers are those of the plain capture
for command in "query --all" "query --count --by evt.type" "tree" "losses" "replay --speed max"; do
	read -r name rest <<<"$command"
	# shellcheck disable=SC2086
	"$aquila" "$name" "$whole" $rest >plain.out 2>plain.err
	status=$?
	for key in one.key two.key; do
		# shellcheck disable=SC2086
		run $status "$name" "$dark" $rest --key stranger.key --key $key
		cmp -s out plain.out || fail "$last: the answer differs from the plain capture's"
		cmp -s err plain.err || fail "$last: the verdict differs from the plain capture's"
	done
done
run 0 verify "$dark" --key one.key
out_has "intact; nothing was lost"
run 0 info "$dark" --key two.key
out_has "host      fixture"
out_has "$one"
out_has "$two"
AQUILA_KEY_FILE=one.key run 0 query "$dark" --count
cp one.key mixed.key
cat sign.key >>mixed.key
run 0 query "$dark" --count --key mixed.key

# without one
for command in query tree losses replay; do
	run 1 "$command" "$dark"
	err_has "is encrypted to key $one and others, and no key was given"
	err_has "--key FILE"
	[ ! -s out ] || fail "$last: gives an answer"
done
run 1 query "$dark" --key stranger.key
err_has "no key that was given opens it"
run 1 query "$dark" --key one.key.pub
err_has "no key was given"
run 3 info "$dark"
out_has "encrypted, and no key opens it"
out_has "$one"
out_has "$two"
out_has "2026-01-01T00:00:00"
out_lacks "fixture "
grep -qE '^stored +[0-9]+ blocks in 1 segment' out || fail "$last: no count of blocks"
verdict "incomplete: it is encrypted, and no key opens it"
run 3 info "$dark" --format json
python <<'PY'
import json
d = json.load(open("out"))
assert d["encrypted"] and d["locked"] and len(d["recipients"]) == 2 and d["finished"], d
assert d["blocks"] > 5 and d["bytes"] > 1000 and "host" not in d, d
PY
run 3 verify "$dark"
out_has "structure and checksums are intact; events and ledger are not checked"
run 3 verify "$dark" --format json
out_has '"locked":true'
run 0 verify "$whole" --format json
out_has '"locked":false'

# damage shows without a key too
cp -r "$dark" broken.aquila
printf '\377\377' | dd of=broken.aquila/segment-000001.aqs bs=1 seek=1500 conv=notrunc status=none
run 3 verify broken.aquila
out_has "not intact: damaged"
out_has "its checksum is wrong"
run 3 verify broken.aquila --key one.key
out_has "not intact"

# the index is in clear: only when it is asked for
run 1 index "$dark"
err_has "encrypted"
run 1 index "$dark" --key one.key
err_has "--plain"
[ ! -e "$dark/index.sqlite" ] || fail "an index was made"
run 1 index "$dark" --plain
[ "$(cd "$dark" && echo *)" = "manifest.aqm segment-000001.aqs" ] || fail "files are left over: $(ls "$dark")"
run 3 index "$dark" --check
run 0 index "$dark" --key one.key --plain
run 0 index "$dark" --check
out_has "is current"

# keys that can't be used
chmod 640 one.key
run 1 query "$dark" --key one.key
err_has "others than its owner may use it"
run 1 query "$dark" --key no-such.key
err_has "no such key file"
run 1 query "$dark" --key /etc/passwd
err_has "is no key"
AQUILA_KEY_FILE=no-such.key run 1 info "$whole"
err_has "AQUILA_KEY_FILE"
run 2 query "$dark" --key
run 2 fields --key two.key
err_has "there is no option --key"
# no segment that is not encrypted comes among those that are
run 1 recompress --in-place "$dark"
err_has "is encrypted"
[ ! -e "$dark/.recompress" ] || fail "something is left over"
finish
