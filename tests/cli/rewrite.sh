#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aquila recompress and salvage: the same rows, gaps and totals; what is broken becomes a gap; nothing half-made is left.
source "${AQ_SRC:?}/tests/lib/cli.sh"
fixtures
story=$AQ_SRC/samples/captures/story.aquila
"$aquila" keygen sign -o host.key >out 2>err && "$AQ_TEST_BIN/make_capture" fixtures host.key || fail "no signed capture"

rows() { "$aquila" query "$1" --all --raw 2>/dev/null | grep -v '^{"verdict"' | sort; }
totals() { "$aquila" verify "$1" --format json 2>/dev/null | grep -o '"ledger":{[^}]*}'; }

# what is whole comes out the same, event by event, and smaller
for capture in "$whole" "$gaps" "$story" fixtures/signed.aquila; do
	for how in recompress salvage; do
		rm -rf new.aquila
		run 0 $how "$capture" -o new.aquila
		out_has "'new.aquila': "
		cmp -s <(rows "$capture") <(rows new.aquila) || fail "$how of $capture has other rows"
		[ "$(totals "$capture")" = "$(totals new.aquila)" ] || fail "$how of $capture has other totals: $(totals new.aquila)"
		"$aquila" losses "$capture" --format json 2>/dev/null | sed 's/"capture":"[^"]*"//;s/"path":"[^"]*"//' >before
		"$aquila" losses new.aquila --format json 2>/dev/null | sed 's/"capture":"[^"]*"//;s/"path":"[^"]*"//' >after
		cmp -s before after || fail "$how of $capture: other losses: $(diff before after | head -3)"
		run 0 verify new.aquila
		[ "$(stat -c %a new.aquila)" = 700 ] || fail "the folder can be read by others"
	done
done
# every encoding, stream and ABI that the format has comes out the same, durations too
for capture in "$AQ_SRC"/tests/corpus/{frozen,kept}/*.aquila; do
	rm -rf new.aquila
	status=0
	"$aquila" salvage "$capture" -o new.aquila >out 2>err || status=$?
	[ $status -eq 0 ] || [ $status -eq 3 ] || fail "salvage of $capture: status $status, $(cat err)"
	cmp -s <(rows "$capture") <(rows new.aquila) || fail "salvage of $capture has other rows"
done
rm -rf new.aquila
run 0 recompress "$story" --level 1 -o quick.aquila
run 0 recompress "$story" -o new.aquila
[ "$(stat -c %s new.aquila/segment-000001.aqs)" -lt "$(stat -c %s quick.aquila/segment-000001.aqs)" ] || fail "it is not smaller"
run 0 info new.aquila --format json
python <<'PY'
import hashlib, json, os
story = os.path.join(os.environ["AQ_SRC"], "samples/captures/story.aquila")
new = json.load(open("out"))
made = json.loads(new["derived_json"])
data = open(os.path.join(story, "segment-000001.aqs"), "rb").read()
assert made["how"] == "recompress" and made["segments"] == 1, made
assert made["blake2b_256"] == hashlib.blake2b(data, digest_size=32).hexdigest(), made
assert made["capture_id"] != new["capture_id"], made
PY
# segments stay, and each balances alone
rm -rf new.aquila
run 0 recompress fixtures/signed.aquila -o new.aquila
[ "$(ls new.aquila | grep -c aqs)" = "$(ls fixtures/signed.aquila | grep -c aqs)" ] || fail "other segments"
for segment in new.aquila/*.aqs; do
	run 0 verify "$segment"
done

# what is broken becomes a gap of the new one, which is whole
for capture in "$damaged" "$truncated"; do
	rm -rf new.aquila
	run 1 recompress "$capture" -o new.aquila
	err_has "aquila salvage makes a whole capture"
	[ ! -e new.aquila ] || fail "something was made of a damaged capture"
	run 3 salvage "$capture" -o new.aquila
	out_has "missing '"
	out_has " at byte "
	cmp -s <(rows "$capture") <(rows new.aquila) || fail "salvage of $capture has other rows"
	run 0 verify new.aquila
	out_has "intact"
	run 3 query new.aquila --count
	run 0 recompress new.aquila -o again.aquila # and can be written again
	cmp -s <(rows new.aquila) <(rows again.aquila) || fail "other rows when it is written again"
	rm -rf again.aquila
done

# in place: the same rows, totals and id in fewer bytes; never where bytes are evidence
rm -rf new.aquila
run 0 salvage fixtures/signed.aquila -o new.aquila
rows new.aquila >before && totals new.aquila >>before
id=$("$aquila" info new.aquila --format json | grep -o '"capture_id":"[^"]*"')
run 0 recompress --in-place new.aquila --level 19
out_has "written again"
{ rows new.aquila && totals new.aquila; } | cmp -s - before || fail "other rows or totals in place"
[ "$("$aquila" info new.aquila --format json | grep -o '"capture_id":"[^"]*"')" = "$id" ] || fail "another id in place"
run 0 verify new.aquila
mkdir second
python3 -BS "$AQ_SRC/tests/reader/aquila_reader.py" --into second new.aquila 2>err || fail "the second reader: $(tail -3 err)"
"$AQ_SRC/tests/reader/raw_rows.sh" "$aquila" new.aquila >ours 2>err && cmp -s second/1.rows ours ||
	fail "the second reader reads other rows: $(diff ours second/1.rows | head -3)"
run 1 recompress --in-place fixtures/signed.aquila
err_has "is signed"
run 0 verify fixtures/signed.aquila
run 1 recompress --in-place "$truncated/segment-000001.aqs"
run 2 recompress --in-place "$whole" -o other.aquila
run 2 salvage --in-place "$whole"
[ ! -e new.aquila/.recompress ] && [ ! -e fixtures/signed.aquila/.recompress ] || fail "something is left over"

run 1 salvage "$whole" -o new.aquila
err_has "exists already"
run 1 salvage nowhere.aquila -o other.aquila
run 2 salvage "$whole"
err_has "where to?"
run 2 recompress "$whole" -o other.aquila --level 20
run 2 recompress "$whole" -o other.aquila --frobnicate
run 1 recompress "$whole" -o no/such/folder.aquila
run 0 recompress --help
run 0 salvage --help
[ -z "$(find . -maxdepth 1 -name '*.new')" ] || fail "left over: $(ls)"
finish
