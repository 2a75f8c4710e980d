#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aquila extract: the same answers about what was extracted, and nothing about anybody else.
source "${AQ_SRC:?}/tests/lib/cli.sh"
story=$AQ_SRC/samples/captures/story.aquila
fields=evt.time,evt.type,evt.args,evt.res,proc.name,proc.exe,proc.exepath,proc.pname,proc.aname[2],proc.cmdline,fd.name,proc.exe_writer

answers() { "$aquila" query "$1" "$2" --fields $fields --format ndjson 2>/dev/null | grep -v '^{"verdict"'; }

for filter in 'proc.name = updater' 'evt.type = connect' 'fd.name endswith credentials' 'proc.name = busybox and evt.type = openat' \
	'evt.type = proc_exec and proc.exe_writer exists'; do
	rm -rf part.aquila again.aquila
	run 0 extract "$story" "$filter" -o part.aquila
	out_has "events that match"
	cmp -s <(answers "$story" "$filter") <(answers part.aquila "$filter") ||
		fail "other answers to '$filter': $(diff <(answers "$story" "$filter") <(answers part.aquila "$filter") | head -2)"
	[ -n "$(answers part.aquila "$filter")" ] || fail "no answer to '$filter'"
	run 0 verify part.aquila
	[ "$(stat -c %s part.aquila/segment-000001.aqs)" -lt "$(stat -c %s "$story/segment-000001.aqs")" ] || fail "it is not smaller"
	run 3 query part.aquila "$filter" --count
	err_has "left out on purpose"
	run 0 extract part.aquila "$filter" -o again.aquila
	cmp -s <(answers part.aquila "$filter") <(answers again.aquila "$filter") || fail "an extract of the extract answers otherwise"
done

# the lineage is the same, and nobody else's words are in it
rm -rf part.aquila
run 0 extract "$story" 'proc.name = updater' -o part.aquila
run 3 tree part.aquila --recorded --format json
python <<'PY'
import json
text = open("out").read()
assert "updater" in text and "story.sh" in text, text
assert "grep" not in text and "chmod" not in text, text
PY
"$aquila" query part.aquila --all --raw 2>/dev/null >rows
grep -q 'credentials' rows || fail "what it did is not there"
for word in httpd chmod /proc/net/tcp mkdir grep; do
	! grep -q -- "$word" rows || fail "the extract has '$word' of another process in it"
done
run 3 info part.aquila --format json
python <<'PY'
import json
made = json.loads(json.load(open("out"))["derived_json"])
assert made["how"] == "extract" and made["filter"] == "proc.name = updater", made
PY

# a window
first=$("$aquila" query "$story" 'proc.name = updater' --fields evt.time 2>/dev/null | sed -n 20p)
rm -rf part.aquila
run 0 extract "$story" 'proc.name = updater' --from "$first" -o part.aquila
run 0 verify part.aquila

run 1 extract "$story" 'proc.name = nobody' -o none.aquila
err_has "nothing matches"
[ ! -e none.aquila ] || fail "something was made of nothing"
run 1 extract "$story" 'proc.name = updater' -o part.aquila
err_has "exists already"
run 2 extract "$story" 'proc.name ='  -o x.aquila
run 2 extract "$story" 'proc.name = updater'
err_has "where to?"
run 0 extract --help
[ -z "$(find . -maxdepth 1 -name '*.new')" ] || fail "left over: $(ls)"
finish
