#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aquila enrich: names from kubectl's output for a capture that has none; what was recorded and signed stays as it was.
source "${AQ_SRC:?}/tests/lib/cli.sh"
fixtures
names=fixtures/names.aquila
uid=a0000000-1111-2222-3333-444455556666
id=1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
lost="evt.type = proc_exec and proc.exepath = /bin/lost"
cat >pods.json <<JSON
{"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [
 {"kind": "Pod", "metadata": {"name": "job-7\u001b[31m", "namespace": "batch", "uid": "$uid", "creationTimestamp": "2025-12-31T23:00:00Z",
   "labels": {"pod-template-hash": "5d4f", "a\"b": "c'd"}, "ownerReferences": [{"kind": "ReplicaSet", "name": "worker-5d4f", "controller": true}]},
  "spec": {"nodeName": "n1", "serviceAccountName": "robot"},
  "status": {"phase": "Running", "hostIP": "192.168.0.1", "podIPs": [{"ip": "10.0.0.9"}], "containerStatuses": [
   {"name": "main", "containerID": "containerd://$id", "image": "reg/worker:3", "imageID": "reg/worker@sha256:77", "restartCount": 2,
    "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}},
 {"kind": "Pod", "metadata": {"name": "host", "uid": "h", "creationTimestamp": "2026-01-01T00:00:00Z"},
  "spec": {"hostNetwork": true}, "status": {"podIPs": [{"ip": "10.0.0.8"}]}},
 {"kind": "Namespace", "metadata": {"name": "batch", "labels": {"env": "night"}}},
 {"kind": "Service", "metadata": {"name": "api", "namespace": "batch", "uid": "s"}, "spec": {"clusterIPs": ["10.0.0.8", "None"]}},
 {"kind": "ConfigMap"}, 7, null, {"kind": "Pod"}, {"kind": "Pod", "metadata": [], "status": {"containerStatuses": {"a": 1}}}
]}
JSON
before=$(sha256sum <"$names/segment-000001.aqs")
run 0 query "$names" "$lost" --fields k8s.pod.name,k8s.unknown_reason
out_is $'<NA>\tlook-up failed: 401'
run 0 query "$names" --count
cp out count_before
run 0 enrich "$names" --from pods.json
out_has "of 2 pods, 1 namespaces, "
[ "$(sha256sum <"$names/segment-000001.aqs")" = "$before" ] || fail "the recording was changed"
run 0 query "$names" "$lost" --fields k8s.pod.name,k8s.ns.name,k8s.deployment.name,k8s.rs.name,k8s.node.name,k8s.sa.name,container.name,k8s.container.name,container.image.tag,container.image.digest,k8s.pod.restarts,'k8s.ns.label[env]',k8s.unknown_reason
out_is $'job-7\\x1b[31m\tbatch\tworker\tworker-5d4f\tn1\trobot\tmain\tmain\t3\tsha256:77\t2\tnight\t<NA>'
verdict complete
run 0 query "$names" --count
cmp -s out count_before || fail "enrich added events"
# what the recorder knew comes first, and addresses of the host's network are no pod's
run 0 query "$names" 'evt.type = connect' --fields fd.rip.pod,fd.rip.service
out_is $'db-0\t<NA>\ncache-0\t<NA>\n<NA>\tqueue'
run 0 query "$names" 'evt.type = proc_exec and proc.exepath = /bin/web' --fields k8s.pod.name
out_is web-1
run 0 info "$names"
out_has "1 segment of facts added after the recording"
out_lacks "2 recordings"
run 0 verify "$names"
run 0 losses "$names"
"$aquila" enrich "$names" --from - -q <pods.json || fail "standard input"
run 1 enrich "$names" --from nowhere.json
run 0 index "$names" -q
run 0 recompress "$names" -o again.aquila
run 0 query again.aquila "$lost" --fields k8s.ns.name
out_is batch
# what is refused leaves no trace
ls "$names" >files
run 1 enrich "$names" --from /dev/null
run 1 enrich "$names" --from "$names/segment-000001.aqs"
err_has "no JSON"
echo '{"kind":"List","items":[]}' >empty.json
run 1 enrich "$names" --from empty.json
err_has "no pods"
head -c 200000 /dev/zero | tr '\0' '[' >deep.json
run 1 enrich "$names" --from deep.json
[ "$(ls "$names")" = "$(cat files)" ] || fail "something was left behind"
run 1 enrich "$truncated" --from pods.json
err_has "not finished"
run 1 enrich "$names/segment-000001.aqs" --from pods.json
run 2 enrich "$names"
run 2 enrich --from pods.json
# a signed capture stays proven
run 0 keygen sign -o sign.key
"${AQ_TEST_BIN:?}/make_capture" signed "$PWD/sign.key" || fail "no signed capture"
run 0 verify signed/signed.aquila --key sign.key.pub
run 0 enrich signed/signed.aquila --from pods.json
run 0 verify signed/signed.aquila --key sign.key.pub
out_has "added   1 segment of facts after the signed end"
out_has "signed by the given key"
run 0 query signed/signed.aquila --count
# and one whose added segment is changed does not
last=$(ls signed/signed.aquila/segment-*.aqs | tail -1)
printf '\x55' | dd of="$last" bs=1 seek=$(($(stat -c %s "$last") / 2)) conv=notrunc status=none
status=0
"$aquila" verify signed/signed.aquila --key sign.key.pub >out 2>err || status=$?
[ "$status" -ne 0 ] || fail "a changed byte in the added segment was not seen"
# only facts can be added: events in a segment that says so do not count
last="events in an added segment"
if command -v python3 >/dev/null; then
	python <<'PY'
import os, struct, sys
sys.path.insert(0, os.environ["AQ_SRC"] + "/tests/reader")
from aquila_xxh3 import xxh3_64 as xxh3_64
path = "fixtures/whole.aquila/segment-000001.aqs"
data = bytearray(open(path, "rb").read())
size, = struct.unpack_from("<Q", data, 8)
data[80 + 12] |= 4
struct.pack_into("<Q", data, 24, xxh3_64(bytes(data[80:80 + size])))
struct.pack_into("<Q", data, 72, xxh3_64(bytes(data[:72])))
open(path, "wb").write(data)
PY
	run 3 query "$whole" --count
	out_is 0
	run 1 verify "$whole"
fi
finish
