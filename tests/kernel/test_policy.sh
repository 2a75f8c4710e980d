#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Filters and budgets in the kernel: what must be recorded is, what is left out is in the ledger to the event, and whoever is
# filtered keeps a name.
source "${AQ_SRC:?}/tests/lib/cli.sh"
aquilad=$AQ_BIN/aquilad
[ "$(id -u)" = 0 ] && "$aquilad" --probe >probe 2>&1 || { echo "skipped: recording needs root and BPF"; exit 77; }
tree=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)

# record NAME OPTIONS… -- SCRIPT: what the script does, in the whole host's recording
record() {
	local name=$1 options=()
	shift
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	rm -rf "$name.aquila"
	"$aquilad" -o "$name.aquila" --no-progress --no-snapshot "${options[@]}" -- sh -c "$2" >stdout 2>summary || status=$?
	[ "${status:-0}" = 0 ] || fail "$name: $(cat summary)"
	grep -q 'ledger balances: yes' summary || fail "$name: $(cat summary)"
	"$aquila" verify "$name.aquila" >verified 2>&1 || fail "$name does not verify: $(cat verified)"
}
count() { "$aquila" query "$1.aquila" "$2" --count 2>/dev/null | head -1; }
uid=$(id -u nobody)
chmod 755 .

# users
record uid --uid "$uid" -- "cat /etc/hostname >/dev/null; setpriv --reuid $uid cat /etc/debian_version >/dev/null"
[ "$(count uid 'fd.name = /etc/debian_version and evt.type = openat')" = 1 ] || fail "the user's open is not there"
[ "$(count uid 'fd.name = /etc/hostname and evt.type = openat')" = 0 ] || fail "another user's open is there"
[ "$(count uid 'evt.type = proc_exec and proc.name = cat')" = 2 ] || fail "programs of all users must be there"
"$aquila" losses uid.aquila --by reason >reasons 2>/dev/null || true
grep -q '^filter ' reasons || fail "uid: no such reason: $(cat reasons)"
record notuid --uid "!$uid" -- "cat /etc/hostname >/dev/null; setpriv --reuid $uid cat /etc/debian_version >/dev/null"
[ "$(count notuid 'fd.name = /etc/debian_version and evt.type = openat')" = 0 ] || fail "! did not leave out"
[ "$(count notuid 'fd.name = /etc/hostname and evt.type = openat')" = 1 ] || fail "! left out too much"

# paths: the kernel's, whatever the program called it; what could not be opened by the user's
record path --path-prefix /etc -- 'cd /etc; cat hostname /etc/no-such /usr/no-such; cd /; cat etc/../etc/passwd /proc/self/status'
for wanted in /etc/hostname /etc/passwd; do
	[ "$(count path "fd.name = $wanted and evt.type = openat")" = 1 ] || fail "path: $wanted is not there"
done
[ "$(count path 'evt.arg.name = /etc/no-such')" = 1 ] || fail "path: a failed open below is not there"
[ "$(count path 'evt.arg.name = /usr/no-such')" = 0 ] || fail "path: a failed open elsewhere is there"
[ "$(count path 'fd.name contains status and evt.type = openat')" = 0 ] || fail "path: another file is there"
record notpath --path-prefix '!/etc' -- 'cat /etc/hostname /etcetera /proc/self/status'
[ "$(count notpath 'fd.name startswith /etc/')" = 0 ] || fail "notpath: /etc is there"
[ "$(count notpath 'evt.arg.name = /etcetera')" = 1 ] || fail "notpath: a name that begins alike is not below it"

# namespaces
record ns --namespace "uts@$$" -- 'cat /etc/hostname >/dev/null; unshare --uts cat /etc/passwd >/dev/null'
[ "$(count ns 'fd.name = /etc/hostname and evt.type = openat')" = 1 ] || fail "namespace: ours is not there"
[ "$(count ns 'fd.name = /etc/passwd and evt.type = openat')" = 0 ] || fail "namespace: another is there"

# a cgroup, with one below that was made later
if [ -n "$tree" ] && mkdir "$tree/aquila-test-$$" 2>/dev/null; then
	group=$tree/aquila-test-$$
	trap 'rmdir "$group"/* "$group" 2>/dev/null || true' EXIT
	inside='mkdir "$1/late"; sh -c "echo \$\$ >$1/late/cgroup.procs; exec cat /etc/passwd >/dev/null"; sh -c "echo \$\$ >$1/cgroup.procs; exec cat /etc/group >/dev/null"; cat /etc/hostname >/dev/null; rmdir "$1/late"'
	for option in --cgroup=/aquila-test-$$ "--cgroup=!/aquila-test-$$"; do
		rm -rf group.aquila
		"$aquilad" -o group.aquila --no-progress --no-snapshot "$option" -- sh -c "$inside" sh "$group" >stdout 2>summary || fail "$option: $(cat summary)"
		grep -q 'ledger balances: yes' summary || fail "$option: $(cat summary)"
		in=1 out=0
		[[ $option != *!* ]] || in=0 out=1
		for file in passwd group; do
			[ "$(count group "fd.name = /etc/$file and evt.type = openat")" = $in ] || fail "$option: /etc/$file"
		done
		[ "$(count group 'fd.name = /etc/hostname and evt.type = openat')" = $out ] || fail "$option: /etc/hostname"
	done
	# a container by the beginning of its id, as its engine names the cgroup
	id=$(printf '%08x%056d' "$$" 0)
	box=$group/docker-$id.scope
	mkdir "$box"
	rm -rf container.aquila
	"$aquilad" -o container.aquila --no-progress --no-snapshot --container "${id:0:12}" -- sh -c \
		'sh -c "echo \$\$ >$1/cgroup.procs; exec cat /etc/passwd >/dev/null"; cat /etc/hostname >/dev/null' sh "$box" >stdout 2>summary ||
		fail "container: $(cat summary)"
	grep -q 'ledger balances: yes' summary || fail "container: $(cat summary)"
	[ "$(count container 'fd.name = /etc/passwd and evt.type = openat')" = 1 ] || fail "container: what it opened is not there"
	[ "$(count container 'fd.name = /etc/hostname and evt.type = openat')" = 0 ] || fail "container: what others opened is there"
	[ "$(count container 'evt.type = proc_exec and proc.name = cat')" = 2 ] || fail "container: programs of all must be there"
	"$aquila" query container.aquila 'evt.type = openat' --count >count 2>verdict || true
	grep -q 'left out on purpose by filter (openat ' verdict || fail "container: $(cat verdict)"
	# for each class: what the ledger says was left out is what its gaps say, call by call
	"$aquila" losses container.aquila --format csv -q >classes || true
	"$aquila" losses container.aquila --by syscall --format csv -q >calls || true
	[ "$(awk -F, 'NR > 1 { n += $5 } END { print n }' classes)" = "$(awk -F, 'NR > 1 { n += $3 } END { print n }' calls)" ] ||
		fail "container: the ledger and its gaps differ: $(cat classes calls)"
	rmdir "$box"
	# a budget of one cgroup: its flood is cut, nobody else's events are
	flood='sh -c "echo \$\$ >$1/cgroup.procs; exec dd if=/dev/zero of=/dev/null bs=1 count=200000 status=none"; dd if=/dev/zero of=/dev/null bs=1 count=3000 status=none'
	rm -rf budget.aquila
	"$aquilad" -o budget.aquila --no-progress --no-snapshot --cgroup-budget "/aquila-test-$$:bulk=500" -- sh -c "$flood" sh "$group" >stdout 2>summary ||
		fail "budget: $(cat summary)"
	grep -q 'ledger balances: yes' summary || fail "budget: $(cat summary)"
	"$aquila" losses budget.aquila --by reason >reasons 2>/dev/null || true
	grep -q '^budget ' reasons || fail "budget: no such reason: $(cat reasons)"
	all=$(count budget 'evt.type = write and proc.name = dd')
	others=$((all - $(count budget "evt.type = write and proc.name = dd and cgroup.path = /aquila-test-$$")))
	[ "$others" -ge 3000 ] || fail "budget: $others writes of the one without a budget"
	kept=$("$aquila" query budget.aquila "evt.type in (read,write) and cgroup.path = /aquila-test-$$" --count 2>/dev/null | head -1)
	[ "$kept" -gt 100 ] && [ "$kept" -lt 20000 ] || fail "budget: $kept events of the one with a budget"
	left=$(awk '$1 == "budget" { print $3 }' reasons)
	# who was limited is told by name, and all that was left out is told so
	"$aquila" losses budget.aquila --by cgroup --format csv -q >limited || true
	awk -F, -v path="/aquila-test-$$" -v left="$left" 'NR > 1 { n += $4; if ($5 != path) exit 1 } END { exit n != left }' limited ||
		fail "budget: $left were left out, by cgroup: $(cat limited)"
	"$aquila" query budget.aquila 'evt.type = write' --count 2>verdict >count || true
	grep -q 'left out on purpose by budget (write ' verdict || fail "budget: $(cat verdict)"
	grep -q . verdict && "$aquila" query budget.aquila 'evt.type = openat' --count >count 2>verdict || fail "budget: a question about others: $(cat verdict)"
	# reads, writes and the like of that dd: what was kept and what was left out are all there were
	[ $((left + kept)) -ge 400000 ] && [ $((left + kept)) -lt 400200 ] || fail "budget: $left left out and $kept kept of 400000"
else
	echo "no cgroup can be made here: filters and budgets of cgroups were not tried"
fi

run_recorder() { "$aquilad" -o refused.aquila "$@" -- true >stdout 2>err && fail "accepted: $*"; grep -q "$expected" err || fail "$*: $(cat err)"; [ ! -e refused.aquila ] || fail "$* left a capture"; }
expected='there is no cgroup' run_recorder --cgroup /no/such/cgroup
expected='no cgroup is that of container' run_recorder --container 0123456789abcdef
finish
