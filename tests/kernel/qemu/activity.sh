#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Something known to record: files, programs, a connection over lo, many births, 32-bit calls. in_guest.sh holds the
# capture against it, with these numbers.
echo words >/tmp/made
cat /tmp/made >/dev/null
cat /tmp/missing 2>/dev/null
nc -l -p 4711 >/tmp/received &
listener=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
	echo greeting | nc 127.0.0.1 4711 2>/dev/null && break
	sleep 0.2
done
wait $listener
storm() { # 4 at a time
	n=0
	while [ $n -lt 50 ]; do
		/bin/true & /bin/true & /bin/true & /bin/true
		wait
		n=$((n + 1))
	done
}
storm
[ ! -x "$AQ_TRIGGERS/trigger_compat_m32" ] || "$AQ_TRIGGERS/trigger_compat_m32"
exit 5
