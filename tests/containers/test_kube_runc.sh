#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Pods as a node has them: containers that runc makes in cgroups as the kubelet names them, by both of its cgroup drivers.
# What they do is found by the names of their pods, also of one that lived for a moment and of one that is gone.
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
command -v runc >/dev/null || { echo "skipped: there is no runc"; exit 77; }
"${AQ_BIN:?}/aquilad" --probe >/dev/null 2>&1 || { echo "skipped: BPF can't be used here"; exit 77; }
. "${AQ_SRC:?}/tests/lib/kube.sh"
start_server
kubeconfig config "token: first-token"
ids=()
clean() {
	stop_all
	for id in "${ids[@]}"; do
		runc --root "$PWD/runc" delete -f "$id" 2>/dev/null
	done
	for folder in /sys/fs/cgroup /sys/fs/cgroup/*; do # what runc leaves: the folders above its own
		[ -d "$folder/aqtest$$" ] && find "$folder/aqtest$$" -depth -type d -exec rmdir {} + 2>/dev/null
	done
}
trap clean EXIT
bundle() { # ID CGROUP-PATH COMMAND: a bundle of the host's own files
	mkdir -p "bundle-$1/rootfs"
	python3 - "$@" <<'PYTHON'
import json, sys
name, path, command = sys.argv[1:]
mounts = [{"destination": "/proc", "type": "proc", "source": "proc"}]
mounts += [{"destination": folder, "type": "bind", "source": folder, "options": ["rbind", "ro"]} for folder in
           ("/bin", "/usr", "/lib", "/lib64", "/etc")]
json.dump({"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "hostname": "pod", "mounts": mounts,
           "process": {"args": ["/bin/sh", "-c", command], "cwd": "/", "env": ["PATH=/bin:/usr/bin"], "user": {"uid": 0, "gid": 0},
                       "capabilities": {}},
           "linux": {"cgroupsPath": path, "namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")]}},
          open("bundle-%s/config.json" % name, "w"))
PYTHON
}
number=0
container() { # POD CGROUP-PATTERN COMMAND: %u is the pod's uid, %d that with _, %i the container's id
	number=$((number + 1))
	local id uid
	id=$(printf '%064x' $((0xabc000000000 + $$ * 1000 + number)))
	uid=$(printf '11112222-3333-4444-5555-%06x%06x' $$ $number)
	ids+=("$id")
	control PUT "/pods/shop/$1" "{\"metadata\":{\"uid\":\"$uid\",\"creationTimestamp\":\"2020-01-01T00:00:00Z\"},\"spec\":{\"nodeName\":\"n1\"},
\"status\":{\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"main\",\"image\":\"registry.example/$1:2\",\"restartCount\":$number,
\"containerID\":\"containerd://$id\"}]}}"
	bundle "$id" "$(sed "s/%u/$uid/g; s/%d/${uid//-/_}/g; s/%i/$id/g" <<<"$2")" "$3"
	runc --root "$PWD/runc" run --bundle "bundle-$id" "$id" </dev/null >"run-$1.out" 2>&1 || fail "runc: $(tail -2 "run-$1.out")"
}
"$AQ_BIN/aquilad" -q -o cap.aquila --runtime-state none --kubeconfig config --node-name n1 &
client_pid=$!
for _ in $(seq 200); do
	control GET /log
	! grep -q 'pods?watch=1' control.out || break
	sleep 0.1
done
sleep 0.5
container plain "/aqtest$$/kubepods/burstable/pod%u/%i" 'read -r line </etc/hostname; sleep 0.3'
container brief "/aqtest$$/kubepods/besteffort/pod%u/%i" 'read -r line </etc/hostname'
container systemd "/aqtest$$/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod%d.slice/cri-containerd-%i.scope" 'read -r line </etc/hostname'
container gone "/aqtest$$/kubepods/pod%u/%i" 'read -r line </etc/hostname'
sleep 0.3
control DELETE /pods/shop/gone
sleep 0.5
kill -INT "$client_pid"
wait "$client_pid" || fail "aquilad ended with $?"
client_pid=""
for pod in plain brief systemd gone; do
	"$AQ_BIN/aquila" query cap.aquila "k8s.pod.name = $pod and evt.type = openat and fd.name endswith /etc/hostname and proc.name = sh" --fields \
		k8s.ns.name,k8s.node.name,k8s.container.name,container.image,k8s.unknown_reason >out 2>err || fail "query: $(cat err)"
	[ "$(cat out)" = $'shop\tn1\tmain\tregistry.example/'"$pod:2"$'\t<NA>' ] || fail "pod $pod: $(cat out)"
done
finish
