#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The server that stands in for Kubernetes in the tests is held against a real kubectl: list, JSON, watch.
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
kubeconfig config "token: wrong"
! k get pods -A >out 2>&1 || fail "a wrong token is accepted"
finish
