# SPDX-License-Identifier: Apache-2.0
# For the tests with an API server: its certificates, the server itself, its control, and the client that prints facts.
# shellcheck shell=bash
set -u
failures=0
for program in python3 openssl curl; do
	command -v $program >/dev/null || { echo "skipped: there is no $program"; exit 77; }
done
fail() {
	printf 'FAIL: %s\n' "$*" >&2
	failures=$((failures + 1))
}
new_ca() { # NAME
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.crt" -days 2 \
		-subj "/CN=$1" 2>/dev/null || { fail "openssl"; exit 1; }
}
new_cert() { # CA NAME SUBJECT EXTENSION
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$2.key" -out "$2.csr" -subj "$3" 2>/dev/null &&
		openssl x509 -req -in "$2.csr" -CA "$1.crt" -CAkey "$1.key" -CAcreateserial -days 2 -out "$2.crt" \
			-extfile <(echo "$4") 2>/dev/null || { fail "openssl"; exit 1; }
}
server_pid="" client_pid=""
stop_all() {
	[ -z "$client_pid" ] || kill "$client_pid" 2>/dev/null
	[ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null
	wait
}
trap stop_all EXIT
start_server() { # OPTIONS of the server
	new_ca ca
	new_ca other
	new_cert ca server /CN=server subjectAltName=IP:127.0.0.1,IP:192.0.2.1,IP:::1,DNS:kube.test
	new_cert ca client /CN=aquila/O=readers extendedKeyUsage=clientAuth
	"${AQ_SRC:?}/tests/kube/server.py" --cert server.crt --key server.key --client-ca ca.crt --token first-token --ports ports "$@" &
	server_pid=$!
	for _ in $(seq 100); do
		[ ! -s ports ] || break
		sleep 0.1
	done
	read -r api control <ports || { fail "the server doesn't start"; exit 1; }
}
control() { # METHOD PATH [BODY]
	curl -sS --noproxy '*' -o control.out -X "$1" ${3:+-d "$3"} "http://127.0.0.1:$control$2" || fail "control $2"
}
kubeconfig() { # FILE USER-LINES… (as YAML) ; $cluster may hold more lines, $host another name of the server
	local file=$1
	shift
	cat >"$file" <<YAML
apiVersion: v1
kind: Config
current-context: test
contexts:
- name: test
  context: {cluster: test, user: test}
clusters:
- name: test
  cluster:
    server: https://${host:-127.0.0.1}:$api
${cluster:-    certificate-authority: ca.crt}
users:
- name: test
  user:
$(printf '    %s\n' "$@")
YAML
}
facts() { # STARTS the client: its lines in ./facts
	: >facts
	mkfifo in.$$
	"${AQ_TEST_BIN:?}/kube_facts" --stall-ms 700 --watch-ms 3000 "$@" <in.$$ >facts 2>client.err &
	client_pid=$!
	exec 9>in.$$
	rm in.$$
}
stop_facts() {
	local before after status=0
	before=$(date +%s%N)
	exec 9>&-
	wait "$client_pid" || status=$?
	client_pid=""
	after=$(date +%s%N)
	[ $status = 0 ] || fail "the client ended with $status: $(head -3 client.err)"
	[ $((after - before)) -lt 2000000000 ] || fail "it took $(((after - before) / 1000000)) ms to stop"
	! grep -qE 'first-token|second-token|BEGIN|Sanitizer|runtime error' client.err facts || fail "what must not be there: $(grep -hE 'token|Sanit|runtime' client.err facts | head -3)"
}
await() { # PATTERN (a fixed string) WHAT
	for _ in $(seq 150); do
		! grep -qF -- "$1" facts || return 0
		sleep 0.1
	done
	fail "$2: no line with $1; the last: $(tail -n 2 facts)"
}
pod() { # NAME UID IP CONTAINER [MORE-METADATA]
	control PUT "/pods/shop/$1" '{"metadata":{"uid":"'"$2"'","creationTimestamp":"2020-01-01T00:00:00Z","labels":{"app":"x"}'"${5:-}"'},"spec":{"nodeName":"n1"},"status":{"phase":"Running","podIP":"'"$3"'","containerStatuses":[{"name":"main","image":"img:1","containerID":"containerd://'"$4"'","state":{"running":{"startedAt":"2020-01-01T00:00:00Z"}}}]}}'
}
asked() { # PYTHON-EXPRESSION over `log`, a list of what was asked: true?
	control GET /log
	python3 -c "import json; log = json.load(open('control.out')); import sys; sys.exit(not ($1))"
}
finish() {
	[ "$failures" -eq 0 ] || { echo "$failures failures" >&2; exit 1; }
	exit 0
}
