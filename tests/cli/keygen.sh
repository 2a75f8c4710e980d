#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# aquila keygen: files, modes, fingerprints, and that no key is ever lost by accident.
source "${AQ_SRC:?}/tests/lib/cli.sh"
umask 077

run 0 keygen seal -o auditor.key
out_has "secret key   auditor.key"
out_has "public key   auditor.key.pub"
grep -qE '^fingerprint  [0-9a-f]{32}$' out || fail "no fingerprint"
grep '^fingerprint' out >first
[ "$(stat -c %a auditor.key)" = 600 ] || fail "the secret key has mode $(stat -c %a auditor.key)"
[ "$(stat -c %a auditor.key.pub)" = 644 ] || fail "the public key has mode $(stat -c %a auditor.key.pub)"
grep -qE '^aquila-seal-secret:[A-Za-z0-9+/]{43}=$' auditor.key || fail "the secret key's line: $(wc -c <auditor.key) bytes"
grep -qE '^aquila-seal-public:[A-Za-z0-9+/]{43}=$' auditor.key.pub || fail "the public key's line: $(cat auditor.key.pub)"
! grep -q secret: auditor.key.pub || fail "the public file holds a secret"
[ "$(find . -name 'auditor*' | wc -l)" = 2 ] || fail "files are left over: $(ls)"

# never over one that is there, be it either of them
cp auditor.key before
run 1 keygen seal -o auditor.key
err_has "'auditor.key' exists already"
cmp -s auditor.key before || fail "the key was overwritten"
touch half.pub
run 1 keygen sign -o half
err_has "'half.pub' exists already"
[ ! -e half ] || fail "a secret key without its public one"
ln -s nowhere dangling
run 1 keygen sign -o dangling
[ ! -e nowhere ] || fail "written through a symbolic link"
[ ! -e dangling.pub ] || fail "a public key without its secret one"
run 0 keygen seal -o auditor.key --force
grep '^fingerprint' out >second
! cmp -s first second || fail "the same key twice"
[ "$(stat -c %a auditor.key)" = 600 ] || fail "the replaced secret key has mode $(stat -c %a auditor.key)"

run 0 keygen sign --output host.key
grep -qE '^aquila-sign-secret:0:[A-Za-z0-9+/]{43}=$' host.key || fail "the secret signing key's line"
grep -qE '^aquila-sign-public:0:[A-Za-z0-9+/]{43}=$' host.key.pub || fail "the public signing key's line"

run 1 keygen sign -o no/such/folder
err_has "no/such/folder"
run 2 keygen
err_has "which kind of key"
run 2 keygen lock -o a
err_has "there is no kind of key 'lock'"
run 2 keygen sign
err_has "-o NAME"
run 2 keygen sign -o
err_has "needs a value"
run 2 keygen sign seal -o a
err_has "one word too many"
run 0 keygen --help
! find . | grep -qE '\.[A-Za-z0-9]{6}$' || fail "temporary files are left over: $(ls)"
finish
