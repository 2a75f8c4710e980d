#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real containers of podman whose names come from its socket alone: those that live 50 ms, one that is older than the
# recorder, one that is renamed, and a service that ends and comes back. AQ_CONTAINERS: how many brief ones (10).
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
PATH+=:/usr/sbin:/sbin
for program in podman runc busybox python3 curl; do
	command -v $program >/dev/null || { echo "skipped: there is no $program"; exit 77; }
done
busybox=$(command -v busybox)
! ldd "$busybox" >/dev/null 2>&1 || { echo "skipped: $busybox isn't static"; exit 77; }
"${AQ_BIN:?}/aquilad" --probe >/dev/null 2>&1 || { echo "skipped: BPF can't be used here"; exit 77; }
set -u
count=${AQ_CONTAINERS:-10}
failures=0 recorder="" both="" service="" engine=""
fail() {
	printf 'FAIL: %s\n' "$*" >&2
	failures=$((failures + 1))
}
work=$(mktemp -d /tmp/aquila.XXXXXX) # short: unix sockets have room for 107 bytes
driver=""
podman_() {
	podman $driver --root "$work/pr" --runroot "$work/prr" --tmpdir "$work/tmp" --runtime runc --cgroup-manager=cgroupfs --log-level=error "$@"
}
clean() {
	for pid in $recorder $both $engine; do
		kill "$pid" 2>/dev/null
	done
	podman_ rm -fa -t 0 >/dev/null 2>&1
	[ -z "$service" ] || kill "$service" 2>/dev/null
	wait
	for _ in 1 2 3 4 5; do # what cleans up after the last container may mount once more
		awk -v w="$work/" 'index($5, w) == 1 {print $5}' /proc/self/mountinfo | sort -r | xargs -r -n 1 umount -l 2>/dev/null
		! rm -rf --one-file-system "$work" 2>/dev/null || break
		sleep 0.3
	done
	for folder in /sys/fs/cgroup/{,*/}libpod_parent; do
		[ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} \; 2>/dev/null
	done
}
trap clean EXIT
mkdir -p "$work"/rootfs/{bin,proc,dev,etc}
cp "$busybox" "$work/rootfs/bin/busybox"
for name in sh sleep cat; do
	ln -s busybox "$work/rootfs/bin/$name"
done
tar -C "$work/rootfs" -cf "$work/box.tar" .
podman_ import "$work/box.tar" localhost/box:1 >"$work/podman.log" 2>&1 || {
	driver="--storage-driver=vfs"
	podman_ import "$work/box.tar" localhost/box:1 >"$work/podman.log" 2>&1
} || { echo "skipped: podman doesn't work here: $(tail -n 1 "$work/podman.log")"; exit 77; }
run() { # NAME COMMAND OPTIONS
	podman_ run --name "$1" --ulimit nofile=20000:20000 --ulimit nproc=1000:1000 --network=none --label "own=$1" -e SECRET=hidden-words \
		"${@:3}" localhost/box:1 sh -c "$2" </dev/null >>"$work/podman.log" 2>&1 || fail "podman $1: $(tail -n 2 "$work/podman.log")"
}
serve() {
	# not by way of the function: what is to be ended is the program, not a shell that waits for it
	podman $driver --root "$work/pr" --runroot "$work/prr" --tmpdir "$work/tmp" --runtime runc --cgroup-manager=cgroupfs --log-level=error \
		system service --time 0 "unix://$work/s" >"$work/service.log" 2>&1 &
	service=$!
	for _ in $(seq 100); do
		! curl -s --unix-socket "$work/s" http://localhost/_ping >/dev/null || return 0
		sleep 0.1
	done
	fail "the service doesn't start: $(tail -n 2 "$work/service.log")"
}
# Each opens a file whose name is the container's: by that its events are known without any of what is tested.
words() { echo "read -r x </marker-$1; sleep ${2:-0.05}"; }

serve
if ! run older "$(words older 1000)" -d || [ "$failures" -gt 0 ]; then
	echo "skipped: no container runs here"
	exit 77
fi
"$AQ_BIN/aquilad" -q -o "$work/cap.aquila" --runtime-state none --runtime-socket none --runtime-socket "$work/s" 2>"$work/aquilad.log" &
recorder=$!
# the files tell of the same containers: together they say no less and nothing else
"$AQ_BIN/aquilad" -q -o "$work/both.aquila" --runtime-state none --runtime-state "$work/prr" --runtime-state "$work/pr" \
	--runtime-socket none --runtime-socket "$work/s" 2>"$work/both.log" &
both=$!
for _ in $(seq 100); do
	[ ! -s "$work/cap.aquila" ] || break
	sleep 0.1
done
sleep 1
for i in $(seq "$count"); do
	run "brief-$i" "$(words "brief-$i")" --rm
done
podman_ exec older cat /marker-older >/dev/null 2>&1
sleep 0.2
podman_ rename older newer
sleep 0.2
podman_ exec newer cat /marker-newer >/dev/null 2>&1
# the service ends; what runs meanwhile and still does when it is back is named, as is what comes then
kill "$service"
wait "$service" 2>/dev/null
rm -f "$work/s"
run between "$(words between 1000)" -d
serve
for _ in $(seq 80); do # it is noticed within two seconds
	sleep 0.1
	[ -z "$(curl -s --unix-socket "$work/s" 'http://localhost/_ping' | grep -v OK)" ] || fail "the service doesn't answer"
	[ "$(grep -c "$work/s" /proc/net/unix)" -lt 2 ] || break
done
sleep 0.5
run after "$(words after)" --rm
sleep 0.5
begun=$(date +%s%N)
kill -INT "$recorder"
wait "$recorder" || fail "aquilad ended with $?: $(tail -n 2 "$work/aquilad.log")"
recorder=""
kill -INT "$both"
wait "$both" || fail "aquilad ended with $?: $(tail -n 2 "$work/both.log")"
both=""
[ $(($(date +%s%N) - begun)) -lt 3000000000 ] || fail "it took $((($(date +%s%N) - begun) / 1000000)) ms to end"
[ -z "${AQ_KEEP:-}" ] || cp -r "$work/cap.aquila" "$AQ_KEEP"

for capture in cap both; do
	"$AQ_BIN/aquila" query "$work/$capture.aquila" 'evt.type in (open, openat) and fs.path.name contains /marker-' --fields \
		fs.path.name,container.name,container.image.repository,container.image.tag,container.image.digest,container.type,container.label[own],container.start \
		--format ndjson >"$work/markers" 2>"$work/err" || fail "query: $(cat "$work/err")"
	"$AQ_BIN/aquila" query "$work/$capture.aquila" 'evt.type = fact' --format ndjson >"$work/facts" 2>"$work/err" || fail "query: $(cat "$work/err")"
	! grep -q hidden-words "$work/facts" || fail "the value of an environment variable stands in a fact"
	grep -q '"SECRET\|\\"SECRET' "$work/facts" || fail "no names of environment variables"
	python3 - "$work" "$count" "$capture" <<'PYTHON' || fail "see above"
import json, sys
work, count = sys.argv[1], int(sys.argv[2])
bad, seen = 0, {}
for line in open(work + "/markers"):
    row = json.loads(line)
    if "verdict" in row:
        continue
    name = row["fs.path.name"].rsplit("marker-", 1)[1]
    seen[name] = row
    own = "older" if name == "newer" else name
    if (row.get("container.name"), row.get("container.image.repository"), row.get("container.image.tag"), row.get("container.type"),
        row.get("container.label[own]")) != (name, "localhost/box", "1", "podman", own):
        bad += 1
        print("misnamed:", row, file=sys.stderr)
for name in ["brief-%d" % (i + 1) for i in range(count)] + ["older", "newer", "between", "after"]:
    if name not in seen:
        bad += 1
        print("not seen:", name, file=sys.stderr)
for name in ("newer", "between"):
    if not str(seen.get(name, {}).get("container.image.digest")).startswith("sha256:"):
        bad += 1
        print("no digest:", seen.get(name), file=sys.stderr)
digests = sum(1 for row in seen.values() if row.get("container.image.digest"))
print("%s: %d containers, each with its name; %d were there long enough to be looked at" % (sys.argv[3], len(seen), digests))
sys.exit(bool(bad))
PYTHON
done

# an engine that does what it shouldn't: the recording is complete and ends when it should
cd "$work" || exit 1
mkfifo control
"${AQ_SRC:?}/tests/containers/engine.py" "$work/e" "$work/control" &
engine=$!
for fault in hang huge flood-events; do
	echo "fault $fault" >control
	begun=$SECONDS
	"$AQ_BIN/aquilad" -q -o "$fault.aquila" --runtime-state none --runtime-socket none --runtime-socket "$work/e" -- \
		bash -c 'sleep 0.5; for i in $(seq 200); do : </etc/hostname; done; sleep 0.5' || fail "fault $fault: aquilad ended with $?"
	[ $((SECONDS - begun)) -lt 15 ] || fail "fault $fault: it took $((SECONDS - begun)) s"
	events=$("$AQ_BIN/aquila" query "$fault.aquila" 'evt.type = openat and fd.name = /etc/hostname' --count 2>verdict)
	[ "$events" = 200 ] || fail "fault $fault: $events of 200 events"
	grep -q '^verdict: complete' verdict || fail "fault $fault: $(cat verdict)"
done
[ "$failures" -eq 0 ] || { echo "$failures failures" >&2; exit 1; }
