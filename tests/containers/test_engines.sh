#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Containers of runc, podman and containerd that live for 50 ms, one after the other, and ones that are older than the
# recorder: each is named, and so is every event of theirs. AQ_CONTAINERS: how many of each (10).
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
PATH+=:/usr/sbin:/sbin
for program in runc busybox python3; do
	command -v $program >/dev/null || { echo "skipped: there is no $program"; exit 77; }
done
busybox=$(command -v busybox)
! ldd "$busybox" >/dev/null 2>&1 || { echo "skipped: $busybox isn't static"; exit 77; }
"${AQ_BIN:?}/aquilad" --probe >/dev/null 2>&1 || { echo "skipped: BPF can't be used here"; exit 77; }
set -u
count=${AQ_CONTAINERS:-10}
failures=0 recorder="" containerd="" older=()
fail() {
	printf 'FAIL: %s\n' "$*" >&2
	failures=$((failures + 1))
}
work=$(mktemp -d /tmp/aquila.XXXXXX) # short: unix sockets have room for 107 bytes
clean() {
	[ -z "$recorder" ] || kill "$recorder" 2>/dev/null
	for id in $(runc --root "$work/runc" list -q 2>/dev/null); do
		runc --root "$work/runc" delete -f "$id" 2>/dev/null
	done
	! command -v podman >/dev/null || podman_ rm -fa -t 0 >/dev/null 2>&1
	[ -z "$containerd" ] || {
		for id in $(ctr_ tasks ls -q 2>/dev/null); do ctr_ tasks kill -s KILL "$id" >/dev/null 2>&1; done
		for _ in $(seq 50); do
			[ -n "$(ctr_ tasks ls 2>/dev/null | grep RUNNING)" ] || break
			sleep 0.1
		done
		for id in $(ctr_ containers ls -q 2>/dev/null); do ctr_ containers rm "$id" >/dev/null 2>&1; done
		kill "$containerd" 2>/dev/null
	}
	wait
	awk -v w="$work/" 'index($5, w) == 1 {print $5}' /proc/self/mountinfo | sort -r | xargs -r -n 1 umount -l 2>/dev/null
	rm -rf --one-file-system "$work"
	for folder in /sys/fs/cgroup/{,*/}{aqengines$$,libpod_parent}; do # what runtimes leave
		[ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} \; 2>/dev/null
	done
}
trap clean EXIT
podman_() { podman --root "$work/pr" --runroot "$work/prr" --tmpdir "$work/tmp" --runtime runc --cgroup-manager=cgroupfs --log-level=error "$@"; }
ctr_() { ctr -a "$work/cd.sock" -n k8s.io "$@"; }

mkdir -p "$work/rootfs/bin" "$work/rootfs/proc" "$work/rootfs/dev" "$work/rootfs/etc"
cp "$busybox" "$work/rootfs/bin/busybox"
ln -s busybox "$work/rootfs/bin/sh"
ln -s busybox "$work/rootfs/bin/sleep"
ln -s busybox "$work/rootfs/bin/cat"
tar -C "$work/rootfs" -cf "$work/box.tar" .

# Each opens a file whose name is the container's: by that its events are known without any of what is tested.
words() { echo "read -r x </marker-$1; sleep ${2:-0.05}"; }
runc_run() { # NAME SECONDS OPTIONS: its id is its name
	local bundle=$work/bundles/$1
	mkdir -p "$bundle"
	python3 - "$bundle/config.json" "$work/rootfs" "/aqengines$$/$1" "$(words "$1" "$2")" <<'PYTHON'
import json, sys
file, root, cgroup, command = sys.argv[1:]
json.dump({"ociVersion": "1.0.2", "root": {"path": root, "readonly": True}, "annotations": {"org.opencontainers.image.title": "box"},
           "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
           "process": {"args": ["/bin/sh", "-c", command], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}, "capabilities": {}},
           "linux": {"cgroupsPath": cgroup, "namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")]}}, open(file, "w"))
PYTHON
	runc --root "$work/runc" run ${3:-} --bundle "$bundle" "$1" </dev/null >>"$work/runc.log" 2>&1 || fail "runc $1: $(tail -n 2 "$work/runc.log")"
}
podman_run() {
	podman_ run --rm --name "$1" --ulimit nofile=20000:20000 --ulimit nproc=1000:1000 --network=none ${3:-} localhost/box:1 \
		sh -c "$(words "$1" "$2")" </dev/null >>"$work/podman.log" 2>&1 || fail "podman $1: $(tail -n 2 "$work/podman.log")"
}
ctr_run() {
	ctr_ run ${3:---rm} docker.io/library/box:1 "$1" sh -c "$(words "$1" "$2")" </dev/null >>"$work/ctr.log" 2>&1 ||
		fail "ctr $1: $(tail -n 2 "$work/ctr.log")"
}

engines=(runc)
if command -v podman >/dev/null && podman_ import "$work/box.tar" localhost/box:1 >"$work/podman.log" 2>&1; then
	engines+=(podman)
else
	echo "without podman: $(tail -n 1 "$work/podman.log" 2>/dev/null)"
fi
if command -v containerd >/dev/null && command -v ctr >/dev/null; then
	printf 'version = 2\nroot = "%s/cdr"\nstate = "%s/cds"\n[grpc]\naddress = "%s/cd.sock"\n' "$work" "$work" "$work" >"$work/c.toml"
	containerd --config "$work/c.toml" >"$work/containerd.log" 2>&1 &
	containerd=$!
	python3 - "$work" <<'PYTHON'
# an archive as docker saves it: what ctr imports
import hashlib, io, json, sys, tarfile
work = sys.argv[1]
layer = open(work + "/box.tar", "rb").read()
config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]},
                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
name = hashlib.sha256(config).hexdigest() + ".json"
manifest = json.dumps([{"Config": name, "RepoTags": ["docker.io/library/box:1"], "Layers": ["layer.tar"]}]).encode()
with tarfile.open(work + "/image.tar", "w") as out:
    for member, data in ((name, config), ("layer.tar", layer), ("manifest.json", manifest)):
        info = tarfile.TarInfo(member)
        info.size = len(data)
        out.addfile(info, io.BytesIO(data))
PYTHON
	for _ in $(seq 100); do
		! ctr_ version >/dev/null 2>&1 || break
		sleep 0.1
	done
	if ctr_ images import "$work/image.tar" >"$work/ctr.log" 2>&1; then
		engines+=(ctr)
	else
		echo "without containerd: $(tail -n 1 "$work/ctr.log")"
	fi
fi

for engine in "${engines[@]}"; do
	"${engine}_run" "old-$engine-1" 1000 -d
	"${engine}_run" "old-$engine-2" 1000 -d
done
"$AQ_BIN/aquilad" -q -o "$work/cap.aquila" --runtime-state "$work/runc" --runtime-state "$work/prr" --runtime-state "$work/pr" \
	--runtime-state "$work/cds" 2>"$work/aquilad.log" &
recorder=$!
for _ in $(seq 100); do
	[ ! -s "$work/cap.aquila" ] || break
	sleep 0.1
done
sleep 1
for engine in "${engines[@]}"; do
	begun=$(date +%s%N)
	for i in $(seq "$count"); do
		"${engine}_run" "$engine-$i" 0.05
	done
	printf '%-7s %d containers, one every %d ms\n' "$engine" "$count" $((($(date +%s%N) - begun) / 1000000 / count))
	# the same id again: another container in the same cgroup
	[ "$engine" = podman ] || "${engine}_run" "$engine-1" 0.05
	# what the older ones do now
	case $engine in
	runc) for i in 1 2; do runc --root "$work/runc" exec "old-runc-$i" cat "/marker-old-runc-$i" >/dev/null 2>&1; done ;;
	podman) for i in 1 2; do podman_ exec "old-podman-$i" cat "/marker-old-podman-$i" >/dev/null 2>&1; done ;;
	ctr) for i in 1 2; do ctr_ tasks exec --exec-id "e$i" "old-ctr-$i" cat "/marker-old-ctr-$i" >/dev/null 2>&1; done ;;
	esac
done
sleep 0.3
kill -INT "$recorder"
wait "$recorder" || fail "aquilad ended with $?: $(tail -n 2 "$work/aquilad.log")"
recorder=""

[ -z "${AQ_KEEP:-}" ] || cp -r "$work/cap.aquila" "$AQ_KEEP"
"$AQ_BIN/aquila" verify "$work/cap.aquila" >/dev/null 2>"$work/verify.log" || fail "verify: $(tail -n 2 "$work/verify.log")"
"$AQ_BIN/aquila" query "$work/cap.aquila" 'evt.type in (open, openat) and fs.path.name contains /marker-' --fields \
	fs.path.name,container.name,container.image.repository,container.type,container.id,cgroup.path --format ndjson \
	>"$work/markers" 2>"$work/err" || fail "query: $(cat "$work/err")"
# all that was done by children of those who opened the markers, by way of the cgroup
"$AQ_BIN/aquila" query "$work/cap.aquila" 'cgroup.path != /' --fields cgroup.path,container.id,container.name,proc.name --format ndjson \
	>"$work/all" 2>"$work/err" || fail "query: $(cat "$work/err")"
python3 - "$work" "$count" "${engines[@]}" <<'PYTHON' || fail "see above"
import collections, json, sys
work, count, engines = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
bad = 0
seen = collections.Counter()
cgroups = collections.defaultdict(set)
for line in open(work + "/markers"):
    row = json.loads(line)
    if "verdict" in row:
        continue
    name = row["fs.path.name"].rsplit("marker-", 1)[1]
    seen[name] += 1
    cgroups[row["cgroup.path"]].add(name)
    engine = name.split("-")[1 if name.startswith("old") else 0]
    kind = {"runc": ("runc",), "podman": ("podman",), "ctr": ("containerd",)}[engine]
    if row.get("container.name") != name or row.get("container.type") not in kind:
        bad += 1
        if bad < 10:
            print("misnamed:", row, file=sys.stderr)
for engine in engines:
    for name in ["%s-%d" % (engine, i + 1) for i in range(count)] + ["old-%s-%d" % (engine, i) for i in (1, 2)]:
        if not seen[name]:
            print("not seen:", name, file=sys.stderr)
            bad += 1
events = collections.Counter()
lost = collections.Counter()
for line in open(work + "/all"):
    row = json.loads(line)
    if row.get("cgroup.path") in cgroups:
        events[row["cgroup.path"]] += 1
        if row.get("container.name") not in cgroups[row["cgroup.path"]]:
            lost[row.get("container.name"), row.get("proc.name")] += 1
print("%d containers, %d events in their cgroups, %d of them without the name" % (len(seen), sum(events.values()), sum(lost.values())))
if lost:
    print("without the name:", lost.most_common(5), file=sys.stderr)
sys.exit(bool(bad) or bool(lost) or not events)
PYTHON
[ "$failures" -eq 0 ] || { echo "$failures failures" >&2; exit 1; }
