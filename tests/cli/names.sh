#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Names of containers, pods and addresses: learned late, replaced, deleted, unknown with a reason, in every output; and
# as rows of the index, the same whenever it is built.
source "${AQ_SRC:?}/tests/lib/cli.sh"
fixtures
names=fixtures/names.aquila
web="evt.type = proc_exec and proc.exepath = /bin/web"

field() { # FIELD EXPECTED [FILTER]
	run 0 query "$names" "${3:-$web}" --fields "$1"
	out_is "$2"
}
field container.id 0123456789ab
field container.type containerd
field container.name web-main
field container.image reg.example:5000/shop/web:1.2
field container.image.repository reg.example:5000/shop/web
field container.image.tag 1.2
field container.image.digest sha256:aa
field 'container.label[tier]' front
field container.labels tier:front
field container.start 2026-01-01T00:00:00.005000000Z
field container.start_ts 1767225600005000000
field container.mounts /data:/srv:bind:ro
field container.unknown_reason '<NA>'
field k8s.pod.name web-1
field k8s.pod.uid 0f6b1c2d-1111-2222-3333-444455556666
field k8s.pod.id 0f6b1c2d-1111-2222-3333-444455556666
field 'k8s.pod.label[app]' web
field 'k8s.pod.label[app.kubernetes.io/name]' shop
field k8s.pod.label.app.kubernetes.io/name shop
field 'k8s.pod.label[evil]' "\\x1b[31m\\n\"'"
field 'k8s.pod.label[none]' '<NA>'
field 'k8s.pod.annotation[team]' a
field k8s.pod.ip 10.0.0.5,fd00::5
field k8s.ns.name prod
field 'k8s.ns.label[env]' production
field k8s.ns.labels env:production
field k8s.deployment.name web
field k8s.rs.name web-abc
field k8s.job.name '<NA>'
field k8s.owner.kind,k8s.owner.name $'ReplicaSet\tweb-abc'
field k8s.workload.kind,k8s.workload.name $'Deployment\tweb'
field k8s.node.name,k8s.sa.name,k8s.container.name $'n7\tsa\tmain'
field k8s.unknown_reason '<NA>'
field container.duration 3000000 # the exec comes 8 ms after the start, the container's 5 ms
# unknown, and why
lost="evt.type = proc_exec and proc.exepath = /bin/lost" plain="evt.type = proc_exec and proc.exepath = /bin/plain"
field k8s.pod.name,k8s.pod.uid,k8s.unknown_reason $'<NA>\ta0000000-1111-2222-3333-444455556666\tlook-up failed: 401' "$lost"
field container.name,container.unknown_reason $'<NA>\tnot yet seen' "$lost"
field container.name,container.unknown_reason,k8s.unknown_reason $'<NA>\tlook-up failed: 404\t<NA>' "$plain"
field container.name,k8s.pod.name,k8s.unknown_reason $'host\t<NA>\t<NA>' 'evt.type = cgroup_mkdir and evt.arg.id = 5001'
run 0 query "$whole" 'evt.type = proc_exec' --fields k8s.unknown_reason,container.unknown_reason --limit 1
out_is $'<NA>\t<NA>'
# addresses are used again: who had it then
run 0 query "$names" 'evt.type = connect' --fields fd.rip,fd.rip.pod,fd.rip.ns,fd.rip.name,fd.rip.service,fd.lip.name,fd.sip.name,fd.cip.pod
out_is "$(printf '10.0.0.9\tdb-0\tdata\tdb-0\t<NA>\tweb-1\tdb-0\tweb-1\n10.0.0.9\tcache-0\ttmp\tcache-0\t<NA>\tweb-1\tcache-0\tweb-1\n10.0.0.8\t<NA>\tdata\tqueue.example\tqueue\tweb-1\tqueue.example\tweb-1')"
# filters
count() { # NUMBER FILTER
	run 0 query "$names" "$2" --count
	out_is "$1"
}
count 3 "evt.type = connect and k8s.pod.name = web-1"
count 3 "evt.type = connect and k8s.pod.ip = 10.0.0.0/24"
count 1 "evt.type = connect and fd.sip.name endswith .example"
count 1 "evt.type = proc_exec and k8s.pod.label[app.kubernetes.io/name] in (shop, x)"
count 2 "evt.type = proc_exec and container.unknown_reason exists"
count 0 "k8s.pod.name = 'not yet named'"
run 0 query "$names" 'evt.type in (proc_exec, connect)' --count --by k8s.ns.name,k8s.pod.name
out_has $'4\tprod\tweb-1'
run 2 query "$names" 'k8s.pod.label = x'
err_has "needs a key"
run 2 query "$names" 'k8s.pod.label[ = x'
run 2 query "$names" --fields 'k8s.pod.label[]'
err_has "a key was expected"
# all outputs
run 0 query "$names" "$web"
out_has "web (301) {prod/web-1} proc_exec"
run 0 query "$names" "$lost"
out_has "lost (302) {1123456789ab} proc_exec"
run 0 query "$names" "$web" --format ndjson
out_has '"container":"0123456789ab","container_name":"web-main","pod":"web-1","namespace":"prod"'
run 0 query "$whole" --format ndjson --limit 1
out_lacks '"pod"'
run 0 query "$names" "$web" --format csv --fields 'k8s.pod.name,k8s.pod.label[evil]'
no_controls
run 0 query "$names" "$web" --format ndjson --fields k8s.pod.labels,k8s.pod.ip
no_controls
out_has '"k8s.pod.ip":["10.0.0.5","fd00::5"]'
run 0 replay "$names" --speed max --format text
out_has "{prod/web-1}"
run 0 fields
out_has "k8s.pod.label[KEY]"
# what there is
run 0 info "$names"
out_has "0123456789ab web-main  reg.example:5000/shop/web:1.2  2026-01-01T00:00:00.006000000Z to the end"
out_has "2123456789ab (name unknown: look-up failed: 404)"
out_has "prod/web-1  2026"
out_has "a0000000-1111-2222-3333-444455556666 (name unknown: look-up failed: 401)"
run 0 info "$names" --format json
python <<'PY'
import json
j = json.load(open("out"))
c = {x["id"][:1]: x for x in j["containers"]}
assert c["0"]["name"] == "web-main" and c["0"]["pod"] == "web-1" and c["0"]["namespace"] == "prod", c
assert c["0"]["events"] == 12 and c["0"]["to"] is None and c["0"]["from"].startswith("2026-01-01T00:00:00.006"), c
assert c["1"]["name"] is None and c["1"]["unknown_reason"] == "not yet seen", c
p = {x["uid"][:1]: x for x in j["pods"]}
assert set(p) == {"0", "a"} and p["0"]["name"] == "web-1" and p["0"]["events"] == 12, p
assert p["a"]["unknown_reason"] == "look-up failed: 401", p
PY
run 0 info "$whole" --format json
out_has '"containers":[],"pods":[]'
# rows of the index
if command -v python3 >/dev/null; then
	cat >dump.py <<'PY'
import sqlite3
db = sqlite3.connect("file:fixtures/names.aquila/index.sqlite?mode=ro", uri=True)
for line in db.iterdump():
    print(line)
PY
	run 0 index "$names" -q
	python3 dump.py >first
	rm "$names/index.sqlite"
	run 0 index "$names" -q
	python3 dump.py >second
	cmp first second || fail "the index is another one when it is built again"
	last="the tables"
	python <<'PY'
import sqlite3
db = sqlite3.connect("file:fixtures/names.aquila/index.sqlite?mode=ro", uri=True)
def rows(sql):
    return db.execute(sql).fetchall()
start = 1000000000000
def check(got, wanted):
    assert got == wanted, "%r is not %r" % (got, wanted)
check(rows("select name, namespace, source, valid_from_ns, valid_to_ns, workload_name from pods where uid like '0f6b%'"),
      [("web-1", "prod", "kubelet", start + 50000000, start + 60000000, "web")])
check(rows("select name, image_digest, valid_to_ns from containers where id like '0123%'"), [("web-main", "sha256:aa", None)])
check(rows("select unknown from pods where uid = '*'"), [("look-up failed: 401",)])
check(rows("select address, kind, name, valid_from_ns from addresses where address = '10.0.0.9' order by valid_from_ns"),
      [("10.0.0.9", "pod", "db-0", start + 1000000), ("10.0.0.9", "pod", "cache-0", start + 100000000)])
check(rows("select json_extract(labels, '$.env') from namespaces"), [("production",)])
check(rows("select count(*) from facts where subject = 'pod:broken'"), [(1,)])
check(rows("select count(*) from pods where uid = 'broken'"), [(0,)])
PY
fi
finish
