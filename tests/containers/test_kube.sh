#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Kubernetes client against an API server over TLS: list, watch, change, delete, 410, bookmarks, tokens that change,
# client certificates, wrong certificates.
. "${AQ_SRC:?}/tests/lib/kube.sh"
start_server
kubeconfig config "token: first-token"
control PUT /namespaces/shop/shop '{"metadata":{"labels":{"env":"prod"}}}'
pod a ua 10.0.0.1 ca1
pod elsewhere ue 10.0.0.9 ce1
control PUT /pods/shop/elsewhere '{"metadata":{"uid":"ue"},"spec":{"nodeName":"n2"}}'
control PUT /services/shop/db '{"spec":{"clusterIP":"10.96.0.1"}}'
control PUT /replicasets/shop/odd '{"metadata":{"ownerReferences":[{"kind":"Rollout","name":"canary","controller":true}]}}'

# list and watch
facts --kubeconfig config --node n1 --services
await 'pod:ua ' list
await 'namespace:shop ' namespaces
await 'address:10.96.0.1 ' services
grep -q '^container:ca1 1 0 .*"pod_uid":"ua"' facts || fail "the container of the list: $(grep ^container: facts)"
grep -q '"labels":{"env":"prod"}' facts || fail "labels of the namespace"
pod b ub 10.0.0.2 cb1 ',"ownerReferences":[{"kind":"ReplicaSet","name":"odd","controller":true}]'
await 'pod:ub ' watch
await '"workload_kind":"Rollout","workload_name":"canary"' "the owner's owner"
pod b ub 10.0.0.3 cb2
await 'container:cb2 ' change
grep -qE '^address:10.0.0.2 1 [1-9][0-9]* ' facts || fail "an address that was given up is open"
pod c uc 10.0.0.3 cc1
await 'address:10.0.0.3 1 0 {"source":"kubernetes","kind":"pod","name":"c"' reuse
grep -qE '^address:10.0.0.3 1 [1-9][0-9]* .*"name":"b"' facts || fail "an address used again: $(grep 10.0.0.3 facts)"
control DELETE /pods/shop/a
for _ in $(seq 50); do ! grep -qE '^pod:ua 1 [1-9][0-9]* .*"name":"a"' facts || break; sleep 0.1; done
grep -qE '^pod:ua 1 [1-9][0-9]* .*"name":"a"' facts || fail "a deleted pod is open or has lost its name"
grep -qE '^container:ca1 1 [1-9][0-9]* ' facts || fail "a deleted pod's container is open"
! grep -qF 'pod:ue ' facts || fail "a pod of another node"
# what goes away while nobody watches, and versions that are gone
control POST /fault/500
control POST /forget
control DELETE /pods/shop/c
control POST /fault/none
for _ in $(seq 100); do ! grep -qE '^pod:uc 1 [1-9][0-9]* .*"name":"c"' facts || break; sleep 0.1; done
grep -qE '^pod:uc 1 [1-9][0-9]* .*"name":"c"' facts || fail "410: a pod that went away meanwhile is open"
# bookmarks: the next watch goes on from one
control PUT /namespaces/other/other '{}'
await 'namespace:other ' "watch after 410"
sleep 4.5
control GET /requests
python3 - <<'PYTHON' || fail "the watch doesn't go on from bookmarks"
import json, re, sys
asked = [r for r in json.load(open("control.out")) if "/api/v1/pods" in r and "watch=1" in r]
versions = [int(re.search(r"resourceVersion=(\d+)", r).group(1)) for r in asked]
# nothing happens to pods after the list; only a bookmark can have told the version of the namespace
sys.exit(0 if len(set(versions)) >= 3 and versions == sorted(versions) else 1)
PYTHON
stop_facts

# a token that is replaced is read anew; until then the reason stands
echo first-token >token
kubeconfig config "tokenFile: token"
facts --kubeconfig config
await 'pod:ub ' tokenFile
control POST /token/second-token
await 'pod:* ' "a token refused"
grep -q '"unknown":"HTTP 401' facts || fail "401 isn't told: $(grep 'pod:\*' facts)"
echo second-token >token
for _ in $(seq 150); do ! grep -qE '^pod:\* [1-9][0-9]* [1-9][0-9]* .*401' facts || break; sleep 0.1; done
grep -qE '^pod:\* [1-9][0-9]* [1-9][0-9]* .*401' facts || fail "401 is over and not told"
stop_facts

# in the cluster; the service account's folder
mkdir account
cp ca.crt token account/
export KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT=$api
facts --in-cluster account
await 'pod:ub ' in-cluster
stop_facts
# the kubelet, polled, and at a hint
facts --kubelet "https://127.0.0.1:$api" --token-file token --ca ca.crt --poll-ms 60000
await 'pod:ub ' kubelet
grep -q '"source":"kubelet"' facts || fail "the source isn't the kubelet"
pod hinted uh 10.0.0.7 ch1
echo uh >&9
await 'pod:uh ' "a hint"
stop_facts
# client certificates as data, the server's other name, and certificates that aren't right
cluster="    certificate-authority-data: $(base64 -w0 ca.crt)
    tls-server-name: kube.test" kubeconfig config "client-certificate-data: $(base64 -w0 client.crt)" "client-key-data: $(base64 -w0 client.key)"
facts --kubeconfig config
await 'pod:ub ' "client certificate"
stop_facts
for wrong in "    certificate-authority: other.crt" "    certificate-authority: ca.crt
    tls-server-name: else.test"; do
	cluster=$wrong kubeconfig config "tokenFile: token"
	facts --kubeconfig config
	await '"unknown":"SSL' "a wrong certificate"
	! grep -q 'pod:ub' facts || fail "names from a server with a wrong certificate"
	stop_facts
done
cluster="    insecure-skip-tls-verify: true" kubeconfig config "tokenFile: token"
facts --kubeconfig config
await 'pod:ub ' insecure
stop_facts
grep -q '^warning: .*not checked' client.err || fail "no warning of insecure-skip-tls-verify"
kubeconfig config "exec: {command: /bin/false}"
"$AQ_TEST_BIN/kube_facts" --kubeconfig config </dev/null 2>err && fail "exec is accepted"
grep -q 'another program' err || fail "exec: $(cat err)"

# namespaces may be forbidden: pods come all the same
kubeconfig config "tokenFile: token"
control POST /fault/403/namespaces
facts --kubeconfig config
await 'pod:ub ' "403 for namespaces"
await 'namespace:* ' "403 for namespaces"
stop_facts
finish
