#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What aquilad says and how it ends when it is called wrongly. Needs no privileges.
set -u
aquilad=$AQ_BIN/aquilad
failures=0

fail() {
	echo "FAILED: $*" >&2
	failures=$((failures + 1))
}

# expect STATUS TEXT ARGUMENTS…: ends with STATUS, says TEXT on stderr, leaves no capture
expect() {
	local want=$1 text=$2 status
	shift 2
	"$aquilad" "$@" >out 2>err </dev/null
	status=$?
	[ "$status" = "$want" ] || fail "aquilad $*: status $status, not $want"
	grep -qF -- "$text" err || fail "aquilad $*: said '$(cat err)', not '$text'"
	! ls -d ./*.aquila >/dev/null 2>&1 || fail "aquilad $*: left a capture"
	rm -rf ./*.aquila
}

expect 2 "there is no option --nonsense" --nonsense
expect 2 "-o needs a value" -o
expect 2 "'soon' is no time" --duration soon
expect 2 "'lots' is no size" --spool lots
expect 2 "--memory must be at least" --memory 60M
expect 2 "are more than --memory leaves" --memory 500M --spool 1G
expect 2 "'opennat' is no system call" --syscalls opennat
expect 2 "while recording, choose" --filter 'proc.name = sh'
expect 2 "a command comes after --" ls -l
expect 2 "there is no command after --" -o x.aquila --
expect 2 "needs a command" --exit-status command
expect 2 "--probe takes text or json" --probe=xml
expect 2 "--sync takes none, segment, chunk or vital, not 'always'" --sync always
expect 2 "--append needs the folder of a capture" --append -- true
expect 127 "'no-such-command': command not found" -o x.aquila -- no-such-command
expect 127 "'./missing': command not found" -o x.aquila -- ./missing
expect 126 "'/etc/passwd': the command can't be executed" -o x.aquila -- /etc/passwd

expect 2 "--sign-interval needs --sign" --sign-interval 5s
expect 1 "there is no such key file" -o x.aquila --sign missing.key
"$AQ_BIN/aquila" keygen sign -o host.key >out 2>err || fail "keygen"
expect 1 "holds no secret key for signing" -o x.aquila --sign host.key.pub
ln -s host.key link.key
expect 1 "must be a file with this one name" -o x.aquila --sign link.key
mkdir shared && cp -p host.key shared/ && chmod 777 shared
expect 1 "must belong to the user that signs" -o x.aquila --sign shared/host.key
chmod 644 host.key
expect 1 "chmod 600" -o x.aquila --sign host.key
printf 'aquila-seal-secret:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n' >secret.key
chmod 600 secret.key
printf 'aquila-sign-public:0:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n' >sign.pub
expect 1 "--encrypt-to: 'none.pub': there is no such key file" -o x.aquila --encrypt-to none.pub
expect 1 "'secret.key' holds a secret key" -o x.aquila --encrypt-to secret.key
expect 1 "'sign.pub' holds no key to encrypt to" -o x.aquila --encrypt-to sign.pub
expect 2 "needs a value" --encrypt-to

mkdir there
"$aquilad" -o there -d 1 >out 2>err && fail "an existing folder was taken"
grep -q "'there' exists already; .*--append" err || fail "an existing folder: said '$(cat err)'"
[ -d there ] && [ -z "$(ls -A there)" ] || fail "the existing folder was touched"

"$aquilad" --help >out 2>err || fail "--help failed"
for word in --syscalls --spool --duration "default: 256M" Examples "Exit status"; do
	grep -qF -- "$word" out || fail "--help does not say '$word'"
done
[ "$(awk 'length > 120' out | wc -l)" = 0 ] || fail "--help has lines beyond 120 columns"
"$aquilad" --version | grep -q '^aquilad [0-9]' || fail "--version"
exit $((failures > 0))
