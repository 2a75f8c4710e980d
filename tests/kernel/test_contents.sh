#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What calls carry: answers of a DNS server become facts however a program received them and whatever --data says; --data,
# --env, --max-string and --max-argv take as much as they say, and what is cut says how long it was.
set -uo pipefail
skip() { echo "skipped: $*"; exit 77; }
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }
[ "$(id -u)" = 0 ] || skip "not root"
"$AQ_BIN/aquilad" --probe >probe || skip "$(tail -1 probe)"
record() { "$AQ_BIN/aquilad" -q --exit-status command "$@" 2>err; }
rows() { "$AQ_BIN/aquila" query "$@" --format ndjson -q; }

mkdir work
record -o dns.aquila -- "$AQ_TRIGGERS/trigger_dns" "$PWD/work"
case $? in
0) ;;
77) skip "no network namespaces" ;;
*) fail "the clients: $(cat err)" ;;
esac
rows dns.aquila 'evt.type = fact' >facts
for name in read-connected recvfrom recvfrom-connected recvmsg-free recvmmsg-connected recvmmsg-x libc-resolver; do
	grep -F "address:10.9.8.${#name}\"" facts | grep -qF "\\\"source\\\":\\\"dns\\\",\\\"kind\\\":\\\"dns\\\",\\\"name\\\":\\\"$name.test\\\"" ||
		fail "$name: $(grep -F "$name" facts | head -2)"
done
! grep -q evil facts || fail "what is no DNS server's was believed"
"$AQ_BIN/aquila" verify dns.aquila >out 2>&1 || fail "$(cat out)"

# what the server wrote is not asked for; what the clients read is
rows dns.aquila 'evt.type = sendto' | grep -q '"data"' && fail "data that nobody asked for"

text=$(printf 'x%.0s' $(seq 300))
record -o data.aquila --data 10 --env --max-string 32 --max-argv 100 -- env -i SECRET=known \
	/bin/sh -c "echo 0123456789abcdef >work/out; cat work/out; : <'work/$text'" sh "$text" >/dev/null
hex=30313233343536373839
rows data.aquila 'evt.type in (read, write)' >io
grep '"type":"write"' io | grep "\"data\":\"$hex\"" | grep -q '"truncated":\["data"\]' || fail "written data: $(grep -m1 '"type":"write"' io)"
grep '"type":"read"' io | grep -q "\"data\":\"$hex\"" || fail "read data: $(grep -m1 '"type":"read"' io)"
rows data.aquila 'evt.type = proc_exec' >execs
grep -qF '"envp":["SECRET=known"]' execs || fail "environment: $(head -2 execs)"
grep '"truncated":\[[^]]*"argv"' execs | grep -q '/bin/sh' || fail "a long argument list is cut: $(head -3 execs)"
rows data.aquila 'evt.type in (openat, open) and evt.res < 0' >opens
grep -F '"work/xxxxxxxxxxxxxxxxxxxxxxxxxx"' opens | grep -q '"truncated":\["path"\]' || fail "a long path is cut: $(head -2 opens)"
record -o plain.aquila -- env SECRET=known /bin/true
rows plain.aquila 'evt.type in (proc_exec, read, write)' | grep -qE 'SECRET=known"\]\}|"data"|"envp"' && fail "contents that nobody asked for"
exit $((failures > 0))
