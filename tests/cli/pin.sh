#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aquila pin: pins are made, listed, shown by info and removed; wrong words; what is in a pin's file is not trusted.
source "${AQ_SRC:?}/tests/lib/cli.sh"
fixtures

run 0 pin "$whole" --list
lines 0
run 0 pin "$whole" --before 2m --after 30s --note $'a\tline\x1b[31m'
lines 1
id=$(cat out)
[ -f "$whole/pin-$id.txt" ] || fail "there is no file for pin $id"
[ "$(stat -c %a "$whole/pin-$id.txt")" = 600 ] || fail "the pin can be read by others"
run 0 pin "$whole" --list
lines 1
out_has "$id  "
out_has 'a line [31m'
no_controls
run 0 info "$whole"
out_has "$id"
run 0 info "$whole" --format json
python <<'EOF'
import json
from datetime import datetime
info = json.load(open("out"))
pin, = info["pins"]
span = [datetime.fromisoformat(pin[k][:19]) for k in ("from", "to")]
assert (span[1] - span[0]).total_seconds() in (149, 150, 151), pin
assert info["retention"] is False and info["segments_removed"] == 0
EOF
run 0 verify "$whole" # a pin is no damage
printf 'aquila-pin 1\nfrom 9\nto 8\nmade 7\nnote \n' >"$whole/pin-0123456789abcdef.txt"
head -c 100000 /dev/zero >"$whole/pin-0123456789abcdee.txt"
run 3 pin "$whole" --list
lines 1
err_has '2 pin files make no sense'
run 0 pin "$whole" --remove "$id"
run 1 pin "$whole" --remove "$id"
err_has 'there is no pin'
run 1 pin "$whole" --remove ../../x
err_has '16 hexadecimal digits'

run 3 pin "$whole" --when 'evt.type = openat' # all there is was there before
lines 0
run 2 pin "$whole" --when 'evt.typ = x'
err_has 'evt.typ'
run 2 pin "$whole" --once
err_has '--once needs --when'
run 2 pin "$whole" --list --when 'evt.type = open'
run 2 pin "$whole" --before long
err_has '--before'
run 2 pin
run 2 pin "$whole" more
run 1 pin nothing.aquila
err_has 'there is no such capture'
run 1 pin "$whole/segment-000001.aqs"
err_has 'is no folder'
mkdir other
run 1 pin other
[ -z "$(ls -A other)" ] || fail "a pin was put into a folder that is no capture"
finish
