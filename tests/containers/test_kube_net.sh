#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The ways to an API server: IPv6, proxies of the environment and of the kubeconfig, pages, expired pages, compression,
# waiting between attempts, certificates that are replaced, the kubelet at a hint. In a network of its own, which has no
# way out and one more address, and with authorities of its own that the system trusts.
if [ -z "${AQ_OWN_NETWORK:-}" ]; then
	[ "$(id -u)" = 0 ] && command -v ip >/dev/null && unshare -n true 2>/dev/null ||
		{ echo "skipped: no network namespace can be made (needs root, ip and unshare)"; exit 77; }
	AQ_OWN_NETWORK=1 exec unshare -n -m "$0"
fi
. "${AQ_SRC:?}/tests/lib/kube.sh"
ip link set lo up && ip addr add 192.0.2.1/32 dev lo || { fail "a network of its own"; exit 1; }
proxy_pid=""
trap '[ -z "$proxy_pid" ] || kill "$proxy_pid"; stop_all' EXIT
start_server --listen 127.0.0.1 --listen ::1 --listen 192.0.2.1
"$AQ_SRC/tests/kube/proxy.py" --port-file proxy.port --log proxy.log --host kube.test=127.0.0.1 &
proxy_pid=$!
for _ in $(seq 100); do
	[ ! -s proxy.port ] || break
	sleep 0.1
done
proxy=127.0.0.1:$(cat proxy.port)
control PUT /pods/shop/six '{"metadata":{"uid":"u6"},"spec":{"nodeName":"n1"},"status":{"podIPs":[{"ip":"10.0.0.2"},{"ip":"FD00:0::0A"}]}}'
through() { # WHAT LINE: names came, and the proxy was asked so; its log doesn't hold the token
	await 'pod:u6 ' "$1"
	grep -qiF -- "$2" proxy.log || fail "$1: the proxy was not asked: $(cat proxy.log)"
	! grep -q 'first-token' proxy.log || fail "$1: the proxy has seen the token"
	stop_facts
	: >proxy.log
}
mark() { # what is asked from now on begins at $before
	control GET /log
	before=$(grep -o '"path"' control.out | wc -l)
}
past() { # WHAT: names came, and nobody asked the proxy
	await 'pod:u6 ' "$1"
	[ ! -s proxy.log ] || fail "$1: the proxy was asked: $(cat proxy.log)"
	stop_facts
}

# IPv6: the server's address and a pod's
host="[::1]" kubeconfig config "token: first-token"
facts --kubeconfig config
await 'address:fd00::a ' IPv6
stop_facts
asked '{"::1"} == {line["from_address"].split("%")[0] for line in log}' || fail "IPv6 was not used"
cp ca.crt account.crt
mkdir account
cp ca.crt account/
echo first-token >account/token
export KUBERNETES_SERVICE_HOST=::1 KUBERNETES_SERVICE_PORT=$api
facts --in-cluster account
past "IPv6 in the cluster"
cluster="    certificate-authority: ca.crt
    tls-server-name: kube.test" host="[::1]" kubeconfig config "token: first-token"
facts --kubeconfig config
past "IPv6 and another name"

# proxies. Nothing else knows kube.test
: >proxy.log
host=kube.test kubeconfig config "token: first-token"
HTTPS_PROXY=http://$proxy facts --kubeconfig config
through HTTPS_PROXY "CONNECT kube.test:$api"
https_proxy=http://$proxy NO_PROXY=example.test facts --kubeconfig config
through https_proxy "CONNECT kube.test:$api"
HTTPS_PROXY=http://$proxy NO_PROXY=.test facts --kubeconfig config
await '"unknown":"' "NO_PROXY"
[ ! -s proxy.log ] || fail "NO_PROXY: the proxy was asked: $(cat proxy.log)"
stop_facts
host=192.0.2.1 kubeconfig config "token: first-token"
HTTPS_PROXY=http://$proxy NO_PROXY=192.0.2.0/25 facts --kubeconfig config
past "NO_PROXY with a network"
HTTPS_PROXY=http://$proxy facts --kubeconfig config
through "an address that NO_PROXY doesn't have" "CONNECT 192.0.2.1:$api"
kubeconfig config "token: first-token"
HTTPS_PROXY=http://$proxy facts --kubeconfig config
past "a server on this host"
HTTPS_PROXY=http://$proxy facts --kubelet "https://192.0.2.1:$api" --token-file account/token --ca ca.crt
past "the kubelet"
for scheme in http socks5; do
	cluster="    certificate-authority: ca.crt
    proxy-url: $scheme://$proxy" host=kube.test kubeconfig config "token: first-token"
	NO_PROXY='*' facts --kubeconfig config
	through "proxy-url $scheme" "kube.test:$api"
done
kill "$proxy_pid"
wait "$proxy_pid" 2>/dev/null
"$AQ_SRC/tests/kube/proxy.py" --port-file proxy.port2 --log proxy.log --host kube.test=127.0.0.1 --user me:hush &
proxy_pid=$!
for _ in $(seq 100); do
	[ ! -s proxy.port2 ] || break
	sleep 0.1
done
for user in me:hush me:wrong; do
	cluster="    certificate-authority: ca.crt
    proxy-url: http://$user@127.0.0.1:$(cat proxy.port2)" host=kube.test kubeconfig config "token: first-token"
	facts --kubeconfig config
	if [ $user = me:hush ]; then
		through "a proxy with a password" "CONNECT kube.test:$api"
	else
		await '"unknown":"' "a proxy with a wrong password"
		! grep -q 'wrong\|hush\|first-token' facts client.err || fail "the proxy's password is told"
		stop_facts
	fi
done

# pages, compressed, and a page that is gone
host="" kubeconfig config "token: first-token"
control POST /fill/1200
mark
facts --kubeconfig config
await 'pod:uid-01199 ' pages
asked "[line['gzip'] for line in log[$before:] if line['path'].startswith('/api/v1/pods?limit=500')] == [True] * 3" ||
	fail "not three compressed pages of pods"
stop_facts
control POST /fault/expire/pods
mark
facts --kubeconfig config
await 'pod:uid-01199 ' "pages that are gone"
asked "[line['path'] for line in log[$before:] if line['path'].startswith('/api/v1/pods?limit=')][-1].startswith('/api/v1/pods?limit=0')" ||
	fail "no list in one piece"
stop_facts
control POST /fault/none

# the first list of a node's pods is what the server has at hand; one after that is not, nor are its pages
control POST /fill/600
mark
facts --kubeconfig config --node node-1
await 'pod:uid-00599 ' "a node's pods"
control POST /forget
for _ in $(seq 50); do
	control GET /log
	[ "$(grep -o 'limit=500&fieldSelector=spec.nodeName%3Dnode-1' control.out | wc -l)" -lt 6 ] || break
	sleep 0.1
done
stop_facts
cat >judge.py <<'PYTHON'
import json, sys
paths = [line["path"] for line in json.load(open("control.out"))[int(sys.argv[1]):] if line["path"].startswith("/api/v1/pods?limit=500&")]
print(paths)
sys.exit([("resourceVersion=0" in path, "continue=" in path) for path in paths[:6]] != [(True, False), (False, True), (False, True)] + \
         [(False, False), (False, True), (False, True)])
PYTHON
python3 judge.py "$before" >paths || fail "lists of a node's pods: $(cat paths)"

# back-off: ever longer, never the same, and not before what the server asks for
control POST /fault/503
mark
facts --kubeconfig config
sleep 3
stop_facts
cat >judge.py <<'PYTHON'
import json, sys
log = [line for line in json.load(open("control.out"))[int(sys.argv[1]):] if line["path"].startswith("/api/v1/" + sys.argv[2])]
gaps = [b["time"] - a["time"] for a, b in zip(log, log[1:])]
least = [float(word) for word in sys.argv[3:]]
print(gaps)
sys.exit(not (len(gaps) >= len(least) and all(gap >= low for gap, low in zip(gaps, least))))
PYTHON
control GET /log
python3 judge.py "$before" pods 0.24 0.49 >pods.gaps || fail "503: no back-off: $(cat pods.gaps)"
python3 judge.py "$before" namespaces 0.24 0.49 >namespaces.gaps || fail "503: no back-off: $(cat namespaces.gaps)"
! cmp -s pods.gaps namespaces.gaps || fail "no jitter: $(cat pods.gaps)"
control POST /fault/429
mark
facts --kubeconfig config
sleep 2.5
stop_facts
control GET /log
python3 judge.py "$before" pods 0.9 >pods.gaps || fail "Retry-After: $(cat pods.gaps)"
control POST /fault/none

# certificates of the client that are replaced: a wrong one, then the right one, without a new start
new_cert other wrong /CN=aquila extendedKeyUsage=clientAuth
cp wrong.crt cert.pem
cp wrong.key key.pem
kubeconfig config "client-certificate: cert.pem" "client-key: key.pem"
facts --kubeconfig config
await '"unknown":"' "a certificate that nobody knows"
cp client.key key.pem
cp client.crt cert.pem
await 'pod:u6 ' "a replaced certificate"
stop_facts
# and the authority's
cp other.crt authority.pem
cluster="    certificate-authority: authority.pem" kubeconfig config "token: first-token"
facts --kubeconfig config
await '"unknown":"SSL' "a wrong authority"
cp ca.crt authority.pem
await 'pod:u6 ' "a replaced authority"
stop_facts
# an authority that is given is the only one; without one those count that the system trusts
mkdir authorities
cp ca.crt authorities/
if openssl rehash authorities 2>rehash.err && mount --bind authorities /etc/ssl/certs 2>mount.err; then
	cp ca.crt authorities/ca-certificates.crt
	cluster="    tls-server-name: kube.test" kubeconfig config "token: first-token"
	facts --kubeconfig config
	await 'pod:u6 ' "the system's authorities"
	stop_facts
	cluster="    certificate-authority: other.crt" kubeconfig config "token: first-token"
	facts --kubeconfig config
	await '"unknown":"SSL' "another authority than the system's"
	! grep -q 'pod:u6 ' facts || fail "the system's authorities count beside the one that is given"
	stop_facts
else
	fail "no authorities of its own: $(cat rehash.err mount.err)"
fi
# a token's file that is empty while it is replaced
: >token
kubeconfig config "tokenFile: token"
facts --kubeconfig config
await "\"unknown\":\"the token's file is empty" "an empty token"
echo first-token >token
await 'pod:u6 ' "a token at last"
stop_facts

# the kubelet at hints: soon, once more after that, and never more often than once in a second
mark
facts --kubelet "https://127.0.0.1:$api" --token-file token --ca ca.crt --poll-ms 60000
await 'pod:u6 ' kubelet
pod hinted uh 10.0.0.7 ch1
for _ in $(seq 30); do
	echo uh >&9
	sleep 0.1
done
await 'pod:uh ' "a hint"
sleep 3.5
stop_facts
control GET /log
python3 - "$before" <<'PYTHON' || fail "the kubelet is asked too often or too seldom: $(tail -c 2000 control.out)"
import json, sys
log = [line["time"] for line in json.load(open("control.out"))[int(sys.argv[1]):] if line["path"] == "/pods"]
gaps = [b - a for a, b in zip(log, log[1:])]
print(gaps)
sys.exit(not (4 <= len(log) <= 8 and min(gaps) >= 0.9 and gaps[0] < 2 and gaps[-1] > 1.8))
PYTHON
# a server without a pod of this node says so
facts --kubeconfig config --node nowhere
await "\"unknown\":\"the API server has no pod of node 'nowhere'" "a node without pods"
control PUT /pods/shop/there '{"metadata":{"uid":"ut"},"spec":{"nodeName":"nowhere"}}'
await 'pod:ut ' "a first pod"
for _ in $(seq 50); do ! grep -qE '^pod:\* [1-9][0-9]* [1-9][0-9]* .*nowhere' facts || break; sleep 0.1; done
grep -qE '^pod:\* [1-9][0-9]* [1-9][0-9]* .*nowhere' facts || fail "a node has pods, and it's not told"
stop_facts
finish
