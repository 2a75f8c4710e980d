#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two readers, one written from FORMAT.md alone, say the same of every capture here: samples, fixtures, frozen ones, and
# broken copies. The frozen ones still hold what they held when they were frozen, and all that the format has.
. "$AQ_SRC/tests/lib/cli.sh"
for program in python3 zstd; do
	command -v "$program" >/dev/null || { echo "skipped: no $program"; exit 77; }
done
reader=$AQ_SRC/tests/reader/aquila_reader.py rows=$AQ_SRC/tests/reader/raw_rows.sh frozen=$AQ_SRC/tests/corpus/frozen
kept=$AQ_SRC/tests/corpus/kept # as earlier writers made them

byte_of() { od -An -tx1 -j "$2" -N 1 "$1" | tr -d ' '; }
change_byte() { # FILE OFFSET
	local now
	now=$(byte_of "$1" "$2")
	printf '%b' "\\x$(printf %02x $((0x$now ^ 0x41)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
	[ "$(byte_of "$1" "$2")" != "$now" ] || fail "$1: byte $2 was not changed"
}

# freezing is one command
fixtures
"$AQ_SRC/tests/corpus/freeze.sh" again 2>err || fail "freeze.sh: $(cat err)"
[ "$(ls again)" = "$(ls "$frozen")" ] || fail "freeze.sh makes other captures than those that are frozen: $(ls again)"

# broken copies: whatever byte is hit, the same events have to be left; the last two lose their end
big=again/v1-everything.aquila/segment-000001.aqs
size=$(stat -c %s "$big")
for part in 1 60 200 371 500 633 777 850 920 998; do
	cp -r again/v1-everything.aquila "broken-$part.aquila"
	change_byte "broken-$part.aquila/segment-000001.aqs" $((size * part / 1000))
done
for part in 99 70; do
	cp -r again/v1-everything.aquila "short-$part.aquila"
	truncate -s $((size * part / 100)) "short-$part.aquila/segment-000001.aqs"
done
cp -r again/v1-everything.aquila missing.aquila
rm missing.aquila/segment-000001.aqs

captures=("$AQ_SRC"/samples/captures/*.aquila "$frozen"/v*.aquila "$kept"/v*.aquila fixtures/*.aquila "$whole/segment-000001.aqs"
	broken-*.aquila short-*.aquila missing.aquila)
mkdir second plain
python3 -BS "$reader" --into second "${captures[@]}" 2>err || fail "the second reader: $(tail -3 err)"
: >features
for i in "${!captures[@]}"; do
	capture=${captures[i]} read=second/$((i + 1))
	"$rows" "$aquila" "$capture" >c 2>err || fail "$capture: $(head -3 err)"
	[ -s c ] || fail "$capture: no rows"
	cmp -s c "$read.rows" || fail "$capture: the readers differ: $(diff c "$read.rows" | head -4)"
	case $capture in
	broken*) cmp -s "$read.rows" "$everything.rows" && [ "$capture" != broken-998.aquila ] && unhurt="${unhurt-} $capture" ;;
	"$frozen"* | "$kept"*)
		[[ $capture != "$frozen"*everything* ]] || everything=$read
		zstd -dcq "${capture%.aquila}.ndjson.zst" | cmp -s - c || fail "$capture: reads otherwise than when it was frozen"
		cat "$read.blocks" >>features
		;;&
	"$frozen"* | "$kept"* | fixtures/*)
		for by in class cpu; do
			"$aquila" losses "$capture" --by "$by" --format ndjson -q 2>err | sed '$d'
		done >c
		cmp -s c "$read.ledger" || fail "$capture: the ledgers differ: $(diff c "$read.ledger" | head -4)"
		;;
	esac
done
# most bytes hold events
[ "$(wc -w <<<"${unhurt-}")" -le 6 ] || fail "damage that cost nothing:${unhurt-}"

python3 -BS "$reader" --no-checksums --into plain "$whole" 2>err || fail "the second reader: $(tail -3 err)"
"$rows" "$aquila" "$whole" | cmp -s - plain/1.rows || fail "without checksums the second reader reads otherwise"

# the frozen captures have all that the format has
{
	printf 'block %d\n' 1 2 3 4 5 6
	printf 'encoding %d\n' 0 1 2 3 4
	printf 'stream %d\n' 1 2 3 4 5 6 7 8 9 10 11 12 13 16 17
	printf 'abi %d\n' 0 1 2 3 4
	printf 'reason %d\n' 1 2 3 4 5 7 8 9 10
	printf 'method %d\n' 0 1
	printf '%s\n' 'generation 2' 'generation 3' 'pointers kept' 'resolution 64' 'segment finished' 'segment unfinished' \
		'chain follows'
} >needed
missing=$(sort -u features | grep -vxFf - needed)
[ -z "$missing" ] || fail "no frozen capture has: $missing"

# the example of the document is what the frozen bytes are
PYTHONDONTWRITEBYTECODE=1 python3 "$AQ_SRC/tests/reader/annotate.py" "$frozen/v1-tiny.aquila/segment-000001.aqs" >c 2>err ||
	fail "annotate.py: $(tail -3 err)"
sed -n '/^<!-- example -->$/,/^## /p' "$AQ_SRC/format/FORMAT.md" | sed -n '/^```$/,/^```$/p' | sed '1d;$d' >p
[ -s c ] && cmp -s c p || fail "FORMAT.md's example is not what annotate.py makes: $(diff p c | head -4)"

# what --raw does not go with
run 2 query "$whole" --raw --count
err_has 'neither --fields'
run 2 query "$whole" --raw --fields evt.type
run 2 query "$whole" --raw --format csv
run 0 query "$whole" 'evt.type = connect' --raw
lines 2
out_has '"type":"connect","abi":0,"pid":200,"tid":200,"cgroup":4242,"flags":0,"res":0,"args":{"fd":5,"addrlen":16}'
out_has '{"key":6,"name":"addr","flags":0,"true_len":0,"hex":"020001bbc00002070000000000000000"}'
finish
