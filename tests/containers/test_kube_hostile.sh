#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A server that does everything that it shouldn't: it costs names only, says why they are missing, takes neither memory nor
# a processor, and is over when it is over.
. "${AQ_SRC:?}/tests/lib/kube.sh"
start_server
kubeconfig config "token: first-token"
pod b ub 10.0.0.2 cb1
sanitized=no
! grep -qaE '__asan_init|__tsan_init' "${AQ_TEST_BIN:?}/kube_facts" || sanitized=yes
memory() { # FAULT: what the client has ever needed
	local kib
	kib=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$client_pid/status")
	[ "$sanitized" = yes ] || [ "${kib:-999999}" -lt 65536 ] || fail "$1: $kib KiB of memory"
}
# at once, when it starts
while read -r fault reason; do
	control POST "/fault/$fault"
	facts --kubeconfig config --node n1
	await "\"unknown\":\"$reason" "fault $fault"
	control POST /fault/none
	await 'pod:ub ' "after fault $fault"
	memory "$fault"
	stop_facts
done <<'FAULTS'
500 HTTP 500
503 HTTP 503
429 HTTP 429
403 HTTP 403
410 HTTP 410: what it lists is gone again and again
redirect HTTP 302
error HTTP 500
html an answer that is no JSON
deep an answer that is no JSON, or too deep
bomb an object of more than 4 MiB
pages a list of more than 400 pages
deepbomb an answer that is no JSON, or too deep
wide an answer that is no JSON
huge an object of more than 4 MiB
many more than 50000 objects in one answer
hang the answer doesn't go on
mute the answer doesn't go on
slow the answer doesn't go on
headerdrip the answer doesn't go on
types a list without a version
close an answer that is no list
FAULTS
asked 'not [line for line in log if "stolen" in line]' || fail "a redirect was followed"
# what has several ends
for fault in headers cut; do
	control POST "/fault/$fault"
	facts --kubeconfig config --node n1
	await '"unknown":"' "fault $fault"
	control POST /fault/none
	await 'pod:ub ' "after fault $fault"
	memory "$fault"
	stop_facts
done
# later, in watches: lists still come, and what a watch says afterwards is believed
number=0
for fault in 500 410 redirect html deep wide huge many mute slow types cut; do
	number=$((number + 1))
	facts --kubeconfig config --node n1
	await 'pod:ub ' "before fault $fault in watches"
	control POST "/fault/$fault-watch/pods"
	control POST /forget # whatever they hold now has to be asked for again
	sleep 0.5
	pod later "ul$number" 10.0.0.3 "cl$number"
	control POST /fault/none
	await "pod:ul$number " "after fault $fault in watches"
	memory "$fault in watches"
	stop_facts
done
# as fast as it can: a watch is read at some MB a second
control POST /fault/flood/pods
facts --kubeconfig config --node n1
await 'pod:u ' flood
before=$(awk '{ print $14 + $15 }' "/proc/$client_pid/stat")
sleep 2
after=$(awk '{ print $14 + $15 }' "/proc/$client_pid/stat")
[ "$sanitized" = yes ] || [ $(((after - before) * 100 / $(getconf CLK_TCK))) -lt 100 ] || fail "a flood took $((after - before)) ticks of 2 s"
memory flood
control POST /fault/none
stop_facts
finish
