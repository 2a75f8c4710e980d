#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aquila verify and signatures, from keygen on: what is intact, and what everybody can do to files without a tool.
source "${AQ_SRC:?}/tests/lib/cli.sh"
fixtures
run 0 keygen sign -o host.key
cp host.key first.key
"$AQ_TEST_BIN/make_capture" made host.key || exit 1
mv made/signed.aquila .
segments=$(ls signed.aquila/segment-*.aqs | wc -l)
[ "$segments" -ge 3 ] || fail "only $segments segments"
! cmp -s host.key first.key || fail "the key did not move forward"
[ "$(stat -c %a host.key)" = 600 ] || fail "the key's mode is $(stat -c %a host.key)"
fingerprint=$("$aquila" verify signed.aquila | sed -n 's/.*from key \([0-9a-f]*\),.*/\1/p')
[ ${#fingerprint} -eq 32 ] || fail "no fingerprint is told"

run 0 verify signed.aquila
out_has "intact; nothing was lost; signed by a key that nobody vouches for here"
run 0 verify signed.aquila --key host.key.pub
out_has "chain   holds over "
out_has "epochs 0 to "
out_has "which leads back to that of --key"
out_has "intact; nothing was lost; signed by the given key"
out_lacks "tail"
run 0 verify signed.aquila --key host.key.pub --format json
python <<'PY'
import json
v = json.load(open("out", encoding="utf-8"))
e = v["evidence"]
assert v["intact"] is True and e["standing"] == "signed" and e["trusted"] is True and e["chained"] is True, e
assert e["altered"] == e["damaged"] == e["removed"] == 0 and e["findings"] == [] and e["ended"] is True, e
assert e["signatures"] == e["last_epoch"] + 1 > 6 and e["tail"]["blocks"] == 0 and e["signed_until"].endswith("Z"), e
open("next.pub", "w").write(e["next_key"] + "\n")
PY
run 0 verify -q signed.aquila --key host.key.pub
[ ! -s out ] || fail "verify -q is not quiet"
# one segment by itself: only the first leads to the first key
run 3 verify signed.aquila/segment-000001.aqs --key host.key.pub
out_has "not intact: the ledger does not balance; signed by the given key"
run 1 verify signed.aquila/segment-000002.aqs --key host.key.pub
out_has "NOT PROVEN"

# nobody's signature, somebody else's, no key at all
run 0 verify "$whole"
out_has "signed  by nobody"
out_has "intact; nothing was lost; unsigned"
run 1 verify "$whole" --key host.key.pub
out_has "NOT PROVEN: nobody signed this capture"
run 0 keygen sign -o other.key
run 1 verify signed.aquila --key other.key.pub
out_has "NOT PROVEN: signed by an unknown key"
run 1 verify signed.aquila --key missing.pub
err_has "there is no such key file"
run 1 verify signed.aquila --key host.key
err_has "holds neither a public signing key"
run 0 verify "$AQ_SRC/samples/captures/story.aquila"
out_has "unsigned"
cat other.key.pub host.key.pub >both.pub
run 0 verify signed.aquila --key both.pub

# the next recording goes on with the key; the signature that ended the first leads to it
if [ -s next.pub ]; then
	"$AQ_TEST_BIN/make_capture" made host.key || exit 1
	run 0 verify made/signed.aquila --key next.pub
	run 1 verify made/signed.aquila --key host.key.pub
	rm -r made/signed.aquila
fi

hurt() { # a fresh copy
	rm -rf hurt.aquila
	cp -r signed.aquila hurt.aquila
}

hurt
size=$(stat -c %s hurt.aquila/segment-000002.aqs)
printf '\xa5' | dd of=hurt.aquila/segment-000002.aqs bs=1 seek=$((size / 2)) conv=notrunc status=none
if ! cmp -s hurt.aquila/segment-000002.aqs signed.aquila/segment-000002.aqs; then
	run 3 verify hurt.aquila --key host.key.pub
	out_has "not intact: damaged"
	out_has "; signed by the given key"
	out_has "(nothing is proven from the signature of 20"
fi
hurt
rm hurt.aquila/segment-000002.aqs
run 3 verify hurt.aquila --key host.key.pub
out_has "segment 2 was removed: "
out_has "segments were removed"
out_lacks "ALTERED"
hurt
rm hurt.aquila/segment-000001.aqs
run 3 verify hurt.aquila --key host.key.pub --format json
python <<'PY'
import json
e = json.load(open("out", encoding="utf-8"))["evidence"]
assert e["standing"] == "signed" and e["removed"] == 1 and e["altered"] == 0, e
PY
hurt
rm hurt.aquila/manifest.aqm
run 1 verify hurt.aquila --key host.key.pub
out_has "the manifest was removed"
hurt
mv hurt.aquila/segment-000001.aqs hurt.aquila/x
mv hurt.aquila/segment-000002.aqs hurt.aquila/segment-000001.aqs
mv hurt.aquila/x hurt.aquila/segment-000002.aqs
run 1 verify hurt.aquila --key host.key.pub
out_has "renumbered"
out_has "ALTERED"
hurt
cp "$whole/segment-000001.aqs" hurt.aquila/segment-000001.aqs
run 1 verify hurt.aquila
out_has "ALTERED"

command -v python3 >/dev/null || finish
# two blocks change places: every checksum is right, and the chain is not
hurt
python3 - <<'PY'
import struct
path = "hurt.aquila/segment-000002.aqs"
data = open(path, "rb").read()
starts, at = [], 0
while data[at:at + 4] == b"AQB1":
    starts.append(at)
    at += 80 + (struct.unpack_from("<Q", data, at + 8)[0] + 7) // 8 * 8
chunks = [i for i, s in enumerate(starts) if struct.unpack_from("<H", data, s + 4)[0] == 3]
i = chunks[1]
a, b, c = starts[i], starts[i + 1], starts[i + 2]
open(path, "wb").write(data[:a] + data[b:c] + data[a:b] + data[c:])
open("place", "w").write(str(a))
open("cut", "w").write(str(a))
PY
run 1 verify hurt.aquila --key host.key.pub
out_has "altered 'hurt.aquila/segment-000002.aqs' at byte $(cat place): block "
out_has "(between the signatures of 20"
out_has "ALTERED: see the places above"
run 1 verify hurt.aquila --key host.key.pub --format json
python <<'PY'
import json
e = json.load(open("out", encoding="utf-8"))["evidence"]
f = [x for x in e["findings"] if x["kind"] == "altered"]
assert e["standing"] == "altered" and f[0]["offset"] == int(open("place").read()) and f[0]["from"] < f[0]["to"], f
PY
# an end cut off at a block's border
hurt
truncate -s "$(cat cut)" hurt.aquila/segment-000002.aqs
run 1 verify hurt.aquila --key host.key.pub
out_has "the end is missing: the segment had "
# and without anything behind it, as if the recorder had been killed
hurt
rm hurt.aquila/segment-00000[3-9].aqs
truncate -s "$(cat cut)" hurt.aquila/segment-000002.aqs
python3 - <<'PY'
import struct
path = "hurt.aquila/manifest.aqm"
data = open(path, "rb").read()
at = 0
for _ in range(2):  # the start, and segment 1
    at += 80 + (struct.unpack_from("<Q", data, at + 8)[0] + 7) // 8 * 8
open(path, "wb").write(data[:at])
PY
run 3 verify hurt.aquila --key host.key.pub
out_has "unfinished (the recorder did not close it)"
out_lacks "ALTERED"
finish
