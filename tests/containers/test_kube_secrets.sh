#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# While the recorder asks an API server, by a token in a file and by one in a kubeconfig, it says it to nobody: neither the
# capture nor the messages nor what /proc tells of the process hold it, nor the password of a proxy or a client's key.
[ "$(id -u)" = 0 ] || { echo "skipped: needs root"; exit 77; }
"${AQ_BIN:?}/aquilad" --probe >/dev/null 2>&1 || { echo "skipped: BPF can't be used here"; exit 77; }
. "${AQ_SRC:?}/tests/lib/kube.sh"
start_server
"$AQ_SRC/tests/kube/proxy.py" --port-file proxy.port --log proxy.log --user me:hushhush &
proxy_pid=$!
trap 'kill "$proxy_pid"; stop_all' EXIT
for _ in $(seq 100); do
	[ ! -s proxy.port ] || break
	sleep 0.1
done
pod b ub 10.0.0.2 cb1
key=$(sed -n 2p client.key) # a line of the key's own text
secrets=(first-token "$(printf 'first-token' | base64)" hushhush "$(printf me:hushhush | base64)" "$key")
record() { # NAME OPTIONS of the recorder
	local name=$1 since
	shift
	control GET /log
	since=$(grep -o '"path"' control.out | wc -l)
	"$AQ_BIN/aquilad" -o "$name.aquila" "$@" --node-name n1 -- bash -c 'touch happened; while [ ! -e enough ]; do sleep 0.1; done' >"$name.log" 2>&1 &
	client_pid=$!
	for _ in $(seq 200); do
		[ ! -e happened ] || break
		sleep 0.1
	done
	[ -e happened ] || fail "$name: it doesn't record: $(cat "$name.log")"
	for _ in $(seq 100); do
		control GET /log
		[ "$(grep -o '"status": 200' control.out | wc -l)" -le "$since" ] || break
		sleep 0.1
	done
	sleep 1
	[ -r "/proc/$client_pid/environ" ] || fail "$name: the recorder is gone: $(cat "$name.log")"
	tr '\0' '\n' <"/proc/$client_pid/cmdline" >"$name.cmdline"
	tr '\0' '\n' <"/proc/$client_pid/environ" >"$name.environ"
	cat "/proc/$client_pid/task/"*/comm >"$name.comm"
	ls -l "/proc/$client_pid/fd" >"$name.fds"
	touch enough
	wait "$client_pid" || fail "$name: aquilad ended with $?: $(tail -3 "$name.log")"
	client_pid=""
	rm happened enough
	grep -q kubeconfig\\\|kube "$name.cmdline" || fail "$name: this is no argument list: $(cat "$name.cmdline")"
	! grep -q 'token$' "$name.fds" || fail "$name: a token's file stays open: $(cat "$name.fds")"
	"$AQ_BIN/aquila" query "$name.aquila" --format ndjson >"$name.ndjson" 2>"$name.query" || fail "$name: query: $(cat "$name.query")"
	"$AQ_BIN/aquila" query "$name.aquila" 'evt.type = fact' --format ndjson >"$name.facts" 2>>"$name.query"
	for secret in "${secrets[@]}"; do
		! grep -rqaF -- "$secret" "$name".* || fail "$name: $secret stands in $(grep -rlaF -- "$secret" "$name".* | tr '\n' ' ')"
	done
}
named() { # NAME: the names have come all the same
	grep -q 'pod:ub' "$1.facts" || fail "$1: no names: $(head -c 300 "$1.facts")"
}
echo first-token >token
kubeconfig config.inline "token: first-token"
kubeconfig config.file "tokenFile: token"
record inline --kubeconfig config.inline
named inline
record file --kubeconfig config.file
named file
record option --kubelet "https://127.0.0.1:$api" --kube-token-file token --kube-ca ca.crt
named option
kubeconfig config.cert "client-certificate-data: $(base64 -w0 client.crt)" "client-key-data: $(base64 -w0 client.key)"
record cert --kubeconfig config.cert
named cert
cluster="    certificate-authority: ca.crt
    proxy-url: http://me:hushhush@127.0.0.1:$(cat proxy.port)" kubeconfig config.proxy "token: first-token"
record through --kubeconfig config.proxy
named through
grep -q CONNECT proxy.log || fail "the proxy was not used"
! grep -q first-token proxy.log || fail "the proxy has seen the token"
# when it is refused, and when the files are not what they should be
control POST /token/another
record refused --kubeconfig config.inline
grep -q 'HTTP 401' refused.facts || fail "no reason: $(head -c 300 refused.facts)"
kubeconfig config.broken "token: first-token" "client-certificate-data: first-token!"
"$AQ_BIN/aquilad" -o broken.aquila --kubeconfig config.broken -- true >broken.log 2>&1 && fail "a broken kubeconfig is accepted"
! grep -q first-token broken.log || fail "the token stands in: $(cat broken.log)"
# the search finds what there is to find
cp token inline.aquila/
grep -rqaF first-token inline.* || fail "the search finds nothing"
finish
