#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The rights that packaging/kubernetes.yaml asks for are enough, and none too many: a server that grants these alone gives
# every name, refuses nothing, and each rule was used. A real kubectl can read the file, and the recorder does with the
# capabilities in it.
. "${AQ_SRC:?}/tests/lib/kube.sh"
yaml=$AQ_SRC/recorder/packaging/kubernetes.yaml
start_server --roles "$yaml"
kubeconfig config "token: first-token"
control PUT /namespaces/shop/shop '{"metadata":{"labels":{"env":"prod"}}}'
control PUT /services/shop/db '{"spec":{"clusterIP":"10.96.0.1"}}'
control PUT /replicasets/shop/web-1 '{"metadata":{"ownerReferences":[{"kind":"Deployment","name":"web","controller":true}]}}'
control PUT /jobs/shop/night-1 '{"metadata":{"ownerReferences":[{"kind":"CronJob","name":"night","controller":true}]}}'
control PUT /jobs/shop/by-hand-12345678 '{}'
control PUT /pods/shop/other '{"metadata":{"uid":"uo"},"spec":{"nodeName":"n2"}}'
pod a ua 10.0.0.1 ca ',"ownerReferences":[{"kind":"ReplicaSet","name":"web-1","controller":true}]'
pod b ub 10.0.0.2 cb ',"ownerReferences":[{"kind":"Job","name":"night-1","controller":true}]'
pod c uc 10.0.0.3 cc ',"ownerReferences":[{"kind":"Job","name":"by-hand-12345678","controller":true}]'
facts --kubeconfig config --node n1 --services
await '"workload_kind":"Deployment","workload_name":"web"' Deployment
await '"workload_kind":"CronJob","workload_name":"night"' CronJob
await '"workload_kind":"Job","workload_name":"by-hand-12345678"' "a Job that nobody owns"
await 'address:10.96.0.1 ' services
await 'namespace:shop ' namespaces
for _ in $(seq 50); do
	control GET /unused
	[ "$(cat control.out)" != '[]' ] || break
	sleep 0.1
done
stop_facts
[ "$(cat control.out)" = '[]' ] || fail "rights that nothing needs: $(cat control.out)"
asked '[line for line in log if line["status"] != 200] == []' || fail "refused: $(cat control.out)"
asked 'all("fieldSelector=spec.nodeName%3Dn1" in line["path"] for line in log if "/api/v1/pods" in line["path"])' ||
	fail "pods of other nodes were asked for: $(cat control.out)"
! grep -q 'pod:uo ' facts || fail "a pod of another node"
if command -v kubectl >/dev/null; then
	export HOME=$PWD
	timeout 30 kubectl --kubeconfig config --cache-dir cache create --dry-run=client --validate=false -o name -f "$yaml" >made 2>err ||
		fail "kubectl: $(head -3 err)"
	[ "$(sort made | tr '\n' ' ')" = "clusterrole.rbac.authorization.k8s.io/aquila clusterrolebinding.rbac.authorization.k8s.io/aquila daemonset.apps/aquila namespace/aquila serviceaccount/aquila " ] ||
		fail "kubectl has read: $(cat made)"
fi
# the capabilities of the example are enough to record and to name, and its command is understood
list=$(sed -n 's/^ *add: \[\(.*\)\]$/\1/p' "$yaml" | tr 'A-Z' 'a-z' | sed 's/, */,+/g')
[ -n "$list" ] || fail "no capabilities in $yaml"
said=$(env -u KUBERNETES_SERVICE_HOST sh -c "$(sed -n 's/^ *- exec aquilad/"$AQ_BIN\/aquilad"/p' "$yaml")" 2>&1)
[ "$said" = "aquilad: KUBERNETES_SERVICE_HOST is not set: this runs in no pod" ] || fail "the example's command: $said"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && "${AQ_BIN:?}/aquilad" --probe >/dev/null 2>&1; then
	setpriv --inh-caps=-all --bounding-set="-all,+$list" "$AQ_BIN/aquilad" -q -o cap.aquila --kubeconfig config --node-name n1 -- sleep 1 2>err ||
		fail "these capabilities don't do: $(head -3 err)"
	"$AQ_BIN/aquila" query cap.aquila 'evt.type = fact' --format ndjson 2>/dev/null | grep -q 'pod:ua' || fail "no names with these capabilities"
fi
finish
