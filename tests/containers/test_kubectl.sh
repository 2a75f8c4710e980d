#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The server that stands in for Kubernetes in the tests is held against a real kubectl: list, JSON, watch; and what that
# kubectl prints is taken by `aquila enrich`.
kubectl=${AQ_KUBECTL:-kubectl} # another version of it
command -v "$kubectl" >/dev/null || { echo "skipped: there is no kubectl (Debian: kubernetes-client)"; exit 77; }
. "${AQ_SRC:?}/tests/lib/kube.sh"
start_server
kubeconfig config "token: first-token"
export HOME=$PWD
k() { timeout 30 "$kubectl" --kubeconfig config --cache-dir cache "$@"; }
control POST /fill/3
k get pods -A >out 2>err || fail "get pods -A: $(head -3 err)"
[ "$(grep -c web-6c5d8f7b9c out)" = 3 ] || fail "get pods -A: $(cat out)"
k get pods -A -o json --chunk-size=2 >pods.json 2>err || fail "-o json: $(head -3 err)"
python3 -c 'import json; d = json.load(open("pods.json")); assert len(d["items"]) == 3 and d["kind"] == "List"' || fail "-o json"
k get namespaces,replicasets,jobs,services -A >out 2>err || fail "other kinds: $(head -3 err)"
timeout 20 "$kubectl" --kubeconfig config --cache-dir cache get pods -A -w -o name >watched 2>err &
client_pid=$!
for _ in $(seq 100); do
	[ "$(wc -l <watched)" -lt 3 ] || break
	sleep 0.1
done
control POST /touch/3/1/x
control DELETE /pods/default/web-6c5d8f7b9c-00000
for _ in $(seq 100); do
	[ "$(wc -l <watched)" -lt 5 ] || break
	sleep 0.1
done
kill "$client_pid" 2>/dev/null
wait "$client_pid" 2>/dev/null
client_pid=""
grep -q web-6c5d8f7b9c-00003 watched || fail "-w doesn't show a new pod: $(cat watched err)"
[ "$(grep -c web-6c5d8f7b9c-00000 watched)" = 2 ] || fail "-w doesn't show the deletion: $(cat watched)"
# what it prints is what `aquila enrich` takes: names for a capture that was made without an API server
"${AQ_TEST_BIN:?}/make_capture" fixtures || fail make_capture
uid=a0000000-1111-2222-3333-444455556666
control PUT /pods/batch/job-7-x "{\"metadata\":{\"uid\":\"$uid\",\"labels\":{\"app\":\"night\"},\"ownerReferences\":[{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",
\"name\":\"job-7\",\"uid\":\"j\",\"controller\":true}]},\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"main\",\"image\":\"reg/worker:3\"}]},\"status\":{\"phase\":\"Running\",
\"containerStatuses\":[{\"name\":\"main\",\"ready\":true,\"restartCount\":4,\"image\":\"reg/worker:3\",\"imageID\":\"reg/worker@sha256:77\",\"started\":true,
\"containerID\":\"containerd://1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"state\":{\"running\":{}}}]}}"
control PUT /jobs/batch/job-7 '{"metadata":{"ownerReferences":[{"apiVersion":"batch/v1","kind":"CronJob","name":"nightly","uid":"c","controller":true}]}}'
control PUT /namespaces/batch/batch '{"metadata":{"labels":{"env":"night"}}}'
k get pods,jobs,namespaces -A -o json >all.json 2>err || fail "-o json of three kinds: $(head -3 err)"
"${AQ_BIN:?}/aquila" enrich fixtures/names.aquila --from all.json >out 2>err || fail "enrich: $(cat err)"
"$AQ_BIN/aquila" query fixtures/names.aquila 'evt.type = proc_exec and proc.exepath = /bin/lost' --fields \
	"k8s.ns.name,k8s.pod.name,k8s.job.name,k8s.cronjob.name,k8s.pod.restarts,container.image.digest,k8s.pod.label[app],k8s.ns.label[env]" >out 2>err
[ "$(cat out)" = $'batch\tjob-7-x\tjob-7\tnightly\t4\tsha256:77\tnight\tnight' ] || fail "names from kubectl's output: $(cat out err)"
kubeconfig config "token: wrong"
! k get pods -A >out 2>&1 || fail "a wrong token is accepted"
finish
