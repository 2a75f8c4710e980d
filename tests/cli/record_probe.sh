#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aquilad --probe as a table and as JSON; and that recording without privileges ends with a sentence and no capture.
set -u
aquilad=$AQ_BIN/aquilad
failures=0

fail() {
	echo "FAILED: $*" >&2
	failures=$((failures + 1))
}

"$aquilad" --probe >table 2>err
status=$?
last=$(tail -1 table)
case $status in
0) [ "$last" = "recording is possible" ] || fail "status 0, but: $last" ;;
1) case $last in "recording is not possible: "*) ;; *) fail "status 1, but: $last" ;; esac ;;
*) fail "--probe ended with $status: $(cat err)" ;;
esac
"$aquilad" --probe=json >probe.json 2>err
[ $? = "$status" ] || fail "--probe=json ends differently"
python3 - "$status" <<'PYTHON' || fail "the JSON is not as it should be"
import json, sys
probe = json.load(open("probe.json"))
assert probe["recording_possible"] == (sys.argv[1] == "0"), probe
for key in ("privileges", "btf", "tp_sys_exit", "tp_sched", "tp_cgroup", "durations", "mmapable_arrays", "task_iterators",
            "ring_memory", "kernel_memory", "task_btf", "skips_counted", "jit", "proc", "cgroup2"):
    assert isinstance(probe[key]["present"], bool), key
    assert probe[key]["present"] or probe[key]["degraded"], key
PYTHON

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	mkdir -p open && chmod 777 . open
	(cd open && setpriv --reuid 65534 --regid 65534 --clear-groups "$aquilad" -o x.aquila -d 1) >out 2>err
	status=$?
	if [ $status = 126 ] || [ $status = 127 ]; then
		echo "the program can't be reached by another user: this part is left out" >&2
	else
		[ $status = 1 ] || fail "without privileges: status $status"
		grep -q "CAP_BPF and CAP_PERFMON" err || fail "without privileges: said '$(cat err)'"
		[ ! -e open/x.aquila ] || fail "without privileges: left a capture"
		setpriv --reuid 65534 --regid 65534 --clear-groups "$aquilad" --probe >out && fail "without privileges: status 0"
		grep -q '^arrays that user space can map  *?  .*without the rights' out || fail "what can't be tried is not marked"
		grep -q 'here: user 65534 has neither' out || fail "the rights that are missing are not named"
	fi
fi

# a kernel that has no type information: its file is hidden
if [ "$status" = 1 ] && [ -e /sys/kernel/btf/vmlinux ] && unshare -m mount -t tmpfs hidden /sys/kernel/btf 2>/dev/null; then
	unshare -m sh -c 'mount -t tmpfs hidden /sys/kernel/btf; exec "$0" --probe' "$aquilad" >out && fail "without types: status 0"
	grep -q '^kernel type information .* NO .*built without CONFIG_DEBUG_INFO_BTF' out || fail "without types: no reason"
	grep -q '^tracepoint task_rename  *?  ' out || fail "without types: what can't be told is not marked"
	tail -1 out | grep -q "not possible: the programs can't be fitted to this kernel" || fail "without types: $(tail -1 out)"
fi
exit $((failures > 0))
