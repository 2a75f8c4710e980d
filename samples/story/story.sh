#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A short real story to record: a web server is started, a program is downloaded from it over loopback, made
# executable and run; it reads a credentials file and connects out over loopback. Everything lives in the folder given
# as the first argument, which holds `served/updater` already. Needs busybox with httpd and wget.
set -euo pipefail

folder=${1:?usage: story.sh FOLDER}
cd "$folder"
busybox=$(command -v busybox)
web_port=${STORY_WEB_PORT:-18080}
drop_port=${STORY_DROP_PORT:-18081}
started=()
cleanup() { for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done; }
trap cleanup EXIT

mkdir -p home/.aws empty
printf '[default]\naws_access_key_id = EXAMPLE\naws_secret_access_key = not-a-secret\n' >home/.aws/credentials

"$busybox" httpd -f -p "127.0.0.1:$web_port" -h served &
started+=($!)
"$busybox" httpd -f -p "127.0.0.1:$drop_port" -h empty &
started+=($!)

# Both servers are up when the kernel lists their ports as listening (state 0A).
listening() { grep -qiE ":$(printf '%04X' "$1") [0-9A-F:]+ 0A " /proc/net/tcp; }
for port in "$web_port" "$drop_port"; do
	tries=0
	until listening "$port"; do
		tries=$((tries + 1))
		[ "$tries" -lt 100 ] || { echo "story: nothing listens on port $port" >&2; exit 1; }
		sleep 0.05
	done
done

"$busybox" wget -q -O updater "http://127.0.0.1:$web_port/updater"
chmod 0755 updater
./updater home/.aws/credentials "$drop_port"
