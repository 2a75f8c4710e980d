#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The shipped capture is what its README says, reads for ever, and answers the story's questions.
set -euo pipefail
captures=$AQ_SRC/samples/captures
(cd "$captures" && grep -E '^[0-9a-f]{128}  ' README.md | b2sum --check --quiet)
story=$captures/story.aquila
aquila=$AQ_BIN/aquila
"$aquila" verify "$story" >out 2>err
grep -q 'intact' out
downloaded=$("$aquila" query "$story" 'evt.type = proc_exec and proc.exe_writer exists' --fields proc.exepath,proc.exe_writer 2>err)
[ "$downloaded" = "$(printf '/srv/demo/story/updater\tbusybox')" ] || { echo "downloaded, then executed: '$downloaded'"; exit 1; }
[ "$(tail -1 err)" = "verdict: complete" ] || { cat err; exit 1; }
readers=$("$aquila" query "$story" 'evt.is_open_read = true and fd.name endswith /.aws/credentials' --fields proc.name 2>/dev/null)
[ "$readers" = updater ] || { echo "read credentials: '$readers'"; exit 1; }
"$aquila" query "$story" 'proc.name = updater and evt.type = connect' --fields fd.sip,fd.sport 2>/dev/null | grep -qx "$(printf '127.0.0.1\t18081')"
