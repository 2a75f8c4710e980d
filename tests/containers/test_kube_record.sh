#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A recording with names from an API server: what runs in a kubelet-shaped cgroup is found by the name of its pod, in a
# capture that is read when the server is gone.
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
"${AQ_BIN:?}/aquilad" --probe >/dev/null 2>&1 || { echo "skipped: BPF can't be used here"; exit 77; }
. "${AQ_SRC:?}/tests/lib/kube.sh"
start_server
kubeconfig config "token: first-token"
id=$(printf 'ab%.0s' $(seq 32))
uid=11112222-3333-4444-5555-$(printf %012d $$)
base=""
for folder in $(awk '$3 == "cgroup2" { print $2 }' /proc/mounts) $(awk '$3 == "cgroup" && /pids/ { print $2 }' /proc/mounts); do
	base=$folder
	break
done
group=$base/kubepods/burstable/pod$uid/$id
mkdir -p "$group" 2>/dev/null || { echo "skipped: no cgroup can be made"; exit 77; }
clean() {
	stop_all
	rmdir "$group" "$base/kubepods/burstable/pod$uid" "$base/kubepods/burstable" "$base/kubepods" 2>/dev/null
}
trap clean EXIT
cat >pod.json <<JSON
{"metadata":{"uid":"$uid","creationTimestamp":"2020-01-01T00:00:00Z","labels":{"app":"till"}},"spec":{"nodeName":"n1"},
"status":{"phase":"Running","podIP":"10.0.0.1","containerStatuses":[{"name":"main","image":"registry.example/till:2","containerID":"containerd://$id"}]}}
JSON
control PUT /pods/shop/till-1 "$(cat pod.json)"
# no name is known when this happens: the server hangs, and answers later
control POST /fault/hang
"$AQ_BIN/aquilad" -q -o cap.aquila --kubeconfig config --node-name n1 -- \
	bash -c "(echo \$BASHPID >'$group/cgroup.procs'; cat /etc/hostname >/dev/null); touch happened; while [ ! -e enough ]; do sleep 0.1; done" &
client_pid=$!
for _ in $(seq 150); do
	[ ! -e happened ] || break
	sleep 0.1
done
[ -e happened ] || fail "the command doesn't run while the server hangs"
control POST /fault/none
for _ in $(seq 300); do
	control GET /requests
	[ "$(grep -o 'pods?watch=1' control.out | wc -l)" -eq 0 ] || break
	sleep 0.1
done
sleep 0.5
touch enough
status=0
wait "$client_pid" || status=$?
client_pid=""
[ $status = 0 ] || fail "aquilad ended with $status"
! grep -rqa first-token cap.aquila || fail "the token stands in the capture"
"$AQ_BIN/aquila" query cap.aquila 'k8s.pod.name = till-1 and evt.type = openat and fd.name endswith hostname' --fields \
	k8s.ns.name,k8s.pod.name,container.name >out 2>err || fail "query: $(cat err)"
grep -q 'shop.*till-1' out || fail "the event has no pod: $(head -3 out)"
"$AQ_BIN/aquila" info cap.aquila >info 2>&1
grep -q till-1 info || fail "info doesn't know the pod: $(tail -20 info)"
# why a name is missing
why() { # REASON OPTIONS of the recorder
	local reason=$1
	shift
	rm -rf why.aquila
	"$AQ_BIN/aquilad" -q -o why.aquila --runtime-state none "$@" -- \
		bash -c "sleep 1; (echo \$BASHPID >'$group/cgroup.procs'; cat /etc/hostname >/dev/null); sleep 0.3" || fail "$reason: aquilad ended with $?"
	"$AQ_BIN/aquila" query why.aquila 'evt.type = openat and fd.name = /etc/hostname' --fields k8s.pod.name,k8s.pod.uid,k8s.unknown_reason >out 2>err
	[ "$(cat out)" = "<NA>"$'\t'"$uid"$'\t'"$reason" ] || fail "not $reason: $(cat out)"
}
control DELETE /pods/shop/till-1
control PUT /pods/shop/other '{"metadata":{"uid":"other"},"spec":{"nodeName":"n1"}}'
why "no source of pod names was recorded"
why "not yet seen" --kubeconfig config --node-name n1
why "the API server has no pod of node 'n-one'" --kubeconfig config --node-name n-one
control POST /fault/403
why "HTTP 403: not allowed to list them" --kubeconfig config --node-name n1
control POST /fault/none
kubeconfig config.wrong "token: wrong"
why "HTTP 401: the token or certificate isn't accepted" --kubeconfig config.wrong --node-name n1
control PUT /pods/shop/till-1 "$(cat pod.json)"
# whatever the server does, the recording is complete and ends when it should
for fault in hang slow many huge flood cut; do
	control POST "/fault/$fault"
	begun=$SECONDS
	"$AQ_BIN/aquilad" -q -o "$fault.aquila" --kubeconfig config --node-name n1 -- \
		bash -c 'sleep 0.5; for i in $(seq 200); do : </etc/hostname; done; sleep 0.5' || fail "fault $fault: aquilad ended with $?"
	[ $((SECONDS - begun)) -lt 15 ] || fail "fault $fault: it took $((SECONDS - begun)) s"
	count=$("$AQ_BIN/aquila" query "$fault.aquila" 'evt.type = openat and fd.name = /etc/hostname' --count 2>verdict)
	[ "$count" = 200 ] || fail "fault $fault: $count of 200 events"
	grep -q '^verdict: complete' verdict || fail "fault $fault: $(cat verdict)"
done
# a kubelet alone, which is asked from time to time: when a runtime's files show a container of a pod, it is asked at once
control POST /fault/none
echo first-token >token
mkdir -p state/io.containerd.runtime.v2.task/k8s.io
rm -f happened enough
"$AQ_BIN/aquilad" -q -o kubelet.aquila --runtime-state none --runtime-state "$PWD/state" --kubelet "https://127.0.0.1:$api" --kube-token-file token \
	--kube-ca ca.crt -- bash -c 'touch happened; while [ ! -e enough ]; do sleep 0.1; done' &
client_pid=$!
for _ in $(seq 150); do
	control GET /log
	[ ! -e happened ] || ! grep -q '"/pods"' control.out || break
	sleep 0.1
done
control PUT /pods/shop/young "$(sed "s/$uid/young-uid/; s/$id/young-container/" pod.json)"
mkdir "state/io.containerd.runtime.v2.task/k8s.io/$id"
echo '{"ociVersion":"1","process":{},"annotations":{"io.kubernetes.cri.sandbox-uid":"young-uid","io.kubernetes.cri.container-name":"main"}}' \
	>"state/io.containerd.runtime.v2.task/k8s.io/$id/config.json"
for _ in $(seq 100); do
	control GET /log
	[ "$(grep -o '"/pods"' control.out | wc -l)" -lt 2 ] || break
	sleep 0.1
done
[ "$(grep -o '"/pods"' control.out | wc -l)" -ge 2 ] || fail "the kubelet isn't asked when a container appears"
sleep 0.5
touch enough
wait "$client_pid" || fail "aquilad ended with $?"
client_pid=""
"$AQ_BIN/aquila" query kubelet.aquila 'evt.type = fact' --format ndjson 2>/dev/null | grep -q 'pod:young-uid' || fail "the young pod has no name"
finish
