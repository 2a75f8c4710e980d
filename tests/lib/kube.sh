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
start_server() {
	new_ca ca
	new_ca other
	new_cert ca server /CN=server subjectAltName=IP:127.0.0.1,DNS:kube.test
	new_cert ca client /CN=aquila/O=readers extendedKeyUsage=clientAuth
	"${AQ_SRC:?}/tests/kube/server.py" --cert server.crt --key server.key --client-ca ca.crt --token first-token --ports ports &
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
kubeconfig() { # FILE USER-LINES… (as YAML) ; $cluster may hold more lines
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
    server: https://127.0.0.1:$api
${cluster:-    certificate-authority: ca.crt}
users:
- name: test
  user:
$(printf '    %s\n' "$@")
YAML
}
finish() {
	[ "$failures" -eq 0 ] || { echo "$failures failures" >&2; exit 1; }
	exit 0
}
