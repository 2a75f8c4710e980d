#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
#
# The first process of a guest: mounts what is needed, records something known, holds the capture against it, runs the
# tests of the kernel side, each with a line of its own for the host:
#
#   AQ-GUEST release               the programs come next
#   AQ-RESULT ok|FAILED|skipped name seconds (reason)
#   AQ-PROBE line of the recorder's table
#   AQ-DONE failures               without it the guest did not come through
export PATH=/bin:/aq/bin AQ_BIN=/aq/bin AQ_TRIGGERS=/aq/triggers AQ_TEST_BIN=/aq/bin AQ_SRC=/aq AQ_BUILD=/aq HOME=/root
failures=0 started=0 skip="" slow=1

set_up() {
	/bin/busybox mkdir -p /bin
	/bin/busybox --install /bin
	mount -t proc proc /proc
	mount -t sysfs sys /sys
	mount -t debugfs debug /sys/kernel/debug
	mount -t tracefs trace /sys/kernel/tracing
	mount -t securityfs security /sys/kernel/security
	mount -t bpf bpf /sys/fs/bpf
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t tmpfs -o mode=1777 tmp /tmp
	mount -t devtmpfs dev /dev
	ln -sf /proc/self/fd /dev/fd
	ip link set lo up
	echo 1 >/proc/sys/vm/overcommit_memory
	echo 'root:x:0:0:root:/root:/bin/sh' >/etc/passwd
	hostname guest
	cd /tmp || exit
} 2>/dev/null

seconds() { read -r up _ </proc/uptime && echo "${up%.*}"; }

begin() { started=$(seconds); }
result() { # ok|FAILED|skipped NAME [REASON]
	echo "AQ-RESULT $1 $2 $(($(seconds) - started)) $3"
	[ "$1" != FAILED ] || failures=$((failures + 1))
}

# Shows what went wrong, in the log of the console.
show() { [ ! -s "$1" ] || tail -n 40 "$1"; }

run_test() { # NAME PROGRAM…: 0 passed, 77 skipped
	local name=$1 status=0
	shift
	begin
	timeout -s KILL $((120 * slow)) "$@" >out 2>&1 </dev/null || status=$?
	case $status in
	0) result ok "$name" "$(tail -n 1 out)" ;;
	77) result skipped "$name" "$(tail -n 1 out)" ;;
	*)
		show out
		result FAILED "$name" "status $status"
		;;
	esac
}

wrong=""
expect() { # WHAT ACTUAL WANTED
	[ "$2" = "$3" ] || wrong="$wrong $1 is '$2', not '$3';"
}

at_least() { # WHAT ACTUAL WANTED
	[ "${2:-0}" -ge "$3" ] || wrong="$wrong $1 is '$2', less than $3;"
}

count() { # FILTER
	aquila query "$capture" "$1" --count -q | tail -n 1 | tr -dc 0-9
}

first() { # FILTER FIELDS: of the first event
	aquila query "$capture" "$1" --fields "$2" --format csv --limit 1 -q | tail -n 1
}

conclude() { # NAME
	if [ -z "$wrong" ]; then
		result ok "$1"
	else
		result FAILED "$1" "$wrong"
	fi
	wrong=""
}

check_probe() {
	begin
	aquilad --probe >probe 2>&1
	expect "the status of --probe" $? 0
	sed 's/^/AQ-PROBE /' probe
	probe_says "the current task" "$(since 5 11)" ""
	probe_says "pointers can be given types" "$(since 6 2)" ""
	probe_says "count of programs that were skipped" "$(since 5 12)" ""
	probe_says "cgroup version 2 tree" yes "version 2"
	probe_says "the programs load and attach" yes ""
	mkdir -p /tmp/v1 && mount -t cgroup -o none,name=older v1 /tmp/v1
	aquilad --probe >probe
	probe_says "cgroup version 2 tree" yes "hybrid"
	umount /tmp/v1
	conclude probe
}

since() { # MAJOR MINOR: "yes" on such a kernel or a later one, else "no"
	uname -r | awk -F. -v major="$1" -v minor="$2" '{ print ($1 + 0 > major || ($1 + 0 == major && $2 + 0 >= minor)) ? "yes" : "no" }'
}

probe_says() { # BEGINNING OF A ROW, present, TEXT IN IT
	expect "$1 in the table" "$(grep "^$1" probe | grep -F "$3" | cut -c 54- | awk '{ print $1 }')" "$2"
}

refused() { # WHY, TEXT: neither table nor recording say that it is possible
	local status
	aquilad --probe >probe
	expect "the status of --probe $1" $? 1
	tail -n 1 probe | grep -qF "$2" || wrong="$wrong $1 the table ends with '$(tail -n 1 probe)';"
	aquilad -q -o refused.aquila -- true 2>refused
	status=$?
	expect "the recorder's status $1" $status 1
	grep -qF "$2" refused || wrong="$wrong $1 the recorder says '$(cat refused)';"
	[ ! -e refused.aquila ] || wrong="$wrong $1 a capture is left;"
}

# The last ones: there is no way back from lockdown.
check_refusals() {
	begin
	mount -t tmpfs hidden /sys/kernel/btf && refused "without types" "can't be fitted to this kernel" && umount /sys/kernel/btf
	grep -q 'built without CONFIG_DEBUG_INFO_BTF' probe || wrong="$wrong the cause is not told;"
	if echo confidentiality >/sys/kernel/security/lockdown; then
		refused "in lockdown" "lockdown is confidentiality"
	fi 2>/dev/null
	conclude refusals
}

record_activity() { # NAME OPTION…
	local name=$1 status=0
	shift
	capture=/tmp/$name.aquila
	begin
	timeout -s KILL $((100 * slow)) aquilad -o "$capture" --no-progress "$@" -- /aq/activity.sh >out 2>&1 || status=$?
	if [ $status != 0 ] && [ $status != 3 ]; then
		show out
		wrong="the recorder ends with $status;"
		return
	fi
	grep -q 'ledger balances: yes' out || wrong="$wrong the ledger does not balance;"
	grep -q 'ended with status 5' out || wrong="$wrong the command's status is not told;"
	aquila verify "$capture" >verified 2>&1
	status=$?
	if [ $status != 0 ] && [ $status != 3 ]; then
		show verified
		wrong="$wrong verify says $status;"
	fi
	lost=$(awk '$1 == "ledger" { sub(";", ""); for (i = 1; i < NF; i++) if ($i == "lost") print $(i + 2) + $(i + 1); exit }' verified)
}

# Nothing may be lost: the load is small. Then every one of the known calls is there, with its fields.
check_activity() { # NAME OPTION…
	local name=$1
	record_activity "$@"
	[ -z "$wrong" ] || { conclude "$name"; return; }
	awk '$1 == "vital" && $2 == $3 { found = 1 } END { exit !found }' out || wrong="$wrong something vital was lost;"
	expect "the file written" "$(first 'evt.type = openat and fd.name = /tmp/made and evt.is_open_write = true' proc.name,fd.name,evt.failed)" \
		"activity.sh,/tmp/made,false"
	expect "the file read" "$(first 'evt.type = openat and fd.name = /tmp/made and evt.is_open_read = true' proc.name,evt.failed)" "cat,false"
	expect "the file that is missing" "$(first 'evt.type in (open, openat) and evt.arg.name = /tmp/missing' proc.name,evt.res)" "cat,ENOENT"
	expect "the connection" "$(first 'evt.type = connect and evt.failed = false' proc.name,fd.sip,fd.sport)" "nc,127.0.0.1,4711"
	at_least "accepted connections" "$(count 'evt.type in (accept, accept4) and fd.lport = 4711 and evt.failed = false')" 1
	expect "programs run in the storm" "$(count 'evt.type = proc_exec and proc.exepath = /bin/true')" 200
	expect "ends in the storm" "$(count 'evt.type = proc_exit and proc.exepath = /bin/true and evt.arg.code = 0')" 200
	at_least "births" "$(count 'evt.type = proc_fork')" 200
	expect "parent in the storm" "$(first 'evt.type = proc_exec and proc.exepath = /bin/true' proc.pname,proc.exepath)" "activity.sh,/bin/true"
	if grep -q /compat/missing "$AQ_TRIGGERS/trigger_compat_m32" 2>/dev/null && [ -z "$no_compat" ]; then
		expect "the 32-bit call" "$(first 'evt.abi = i386 and evt.type = open' evt.arg.name,evt.res)" "/compat/missing,ENOENT"
	fi
	aquila info "$capture" --format json 2>/dev/null | grep -q kernel_memory || wrong="$wrong the capture lacks the table of features;"
	at_least "processes that were there before" "$(aquila query "$capture" 'evt.type = snap_proc' --all --count -q | tail -n 1 | tr -dc 0-9)" 5
	[ -z "$wrong" ] || show out
	conclude "$name"
}

set_up
for word in $(cat /proc/cmdline); do
	case $word in
	aq.slow=*) slow=${word#aq.slow=} ;;
	aq.skip=*) skip=${word#aq.skip=} ;;
	esac
done
no_compat=""
"$AQ_TRIGGERS/trigger_compat_m32" >/dev/null 2>&1
[ $? = 7 ] || no_compat=1
echo "AQ-GUEST $(uname -r)"
check_probe
check_activity activity
check_activity activity_durations --durations
for program in /aq/tests/*; do
	name=${program##*/kernel_test_}
	case ",$skip," in
	*",$name,"*) ;;
	*) run_test "$name" "$program" ;;
	esac
done
check_refusals
echo "AQ-DONE $failures"
sync
poweroff -f
