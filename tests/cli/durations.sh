#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How long calls took: fields, filters, groups and every output; unknown is not 0.
source "${AQ_SRC:?}/tests/lib/cli.sh"
capture=$AQ_SRC/tests/corpus/frozen/v1-durations.aquila

run 0 query "$capture" 'proc.pid = 70' --fields evt.type,evt.latency,evt.latency.s,evt.latency.ns,evt.start,evt.time
lines 3
out_has "nanosleep	20123456	0	20123456	2026-01-01T17:30:28.029147664Z	2026-01-01T17:30:28.049271120Z"
out_has "read	1499999998	1	499999998	2026-01-01T17:30:28.049271122Z	2026-01-01T17:30:29.549271120Z"
out_has "close	<NA>	<NA>	<NA>	<NA>	2026-01-01T17:30:29.549272120Z"

run 0 query "$capture" 'proc.pid = 70 and evt.latency > 20ms' --count
out_is 2
run 0 query "$capture" 'proc.pid = 70 and evt.latency >= 1499999998' --fields evt.type
out_is read
run 0 query "$capture" 'proc.pid = 70 and evt.latency <= 21ms' --fields evt.type
out_is nanosleep
run 0 query "$capture" 'proc.pid = 70 and not evt.latency <= 21ms' --fields evt.type
out_is read # what is not known is on neither side
run 0 query "$capture" 'proc.pid = 70 and not evt.latency exists' --fields evt.type
out_is close
run 0 query "$capture" 'evt.latency.s = 1 and proc.pid = 70' --fields evt.type
out_is read
run 0 query "$capture" 'proc.pid = 70' --count --by evt.latency.s
lines 3
out_has '1	<NA>'
run 2 query "$capture" 'evt.latency > soon'
err_has 'evt.latency'

run 0 query "$capture" 'proc.pid = 70'
out_has 'nanosleep() = 0 <0.020123456>'
out_has 'read(fd=0, count=0) = EINTR <1.499999998>'
out_has 'close(fd=3) = 0'
out_lacks 'close(fd=3) = 0 <'
run 0 replay "$capture" 'proc.pid = 70' --speed max --format strace
out_has 'nanosleep() = 0 <0.020123>'
out_has 'read(0, 0) = -1 EINTR <1.499999>'
out_lacks 'close(3) = 0 <'
run 0 query "$capture" 'proc.pid = 70' --format ndjson
out_has '"res":0,"latency":20123456}'
out_has '"error":"EINTR","latency":1499999998}'
python <<'PY'
import json
rows = [json.loads(line) for line in open("out", encoding="utf-8")]
assert [("latency" in r) for r in rows[:-1]] == [True, True, False], rows
PY
run 0 query "$capture" 'proc.pid = 70' --raw
out_has '"res":0,"duration_ns":20123456,"args"'
run 0 query "$capture" 'proc.pid = 70' --format csv --fields evt.type,evt.latency
out_has 'nanosleep,20123456'
out_has 'close,'

# one of every nine calls has none, and two chunks have or have not
run 0 query "$capture" 'proc.pid in (50, 60) and evt.latency exists' --count
out_is 266
run 0 query "$capture" 'proc.pid in (50, 60) and not evt.latency exists' --count
out_is 36
run 0 verify "$capture"

# captures without durations know the fields
fixtures
run 0 query "$whole" 'evt.latency exists' --count
out_is 0
run 0 fields
out_has 'evt.latency.ns'
finish
