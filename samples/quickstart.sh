#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# From nothing to an answer on a fresh Debian 12: installs what is missing, builds, records a short real story of this
# machine through eBPF (see samples/story/story.sh) and asks the capture about it. Where BPF can't be used it says why
# and asks the same of a small real capture that is shipped here.
set -euo pipefail

usage() {
	cat <<'HELP'
usage: samples/quickstart.sh [--keep DIR] [--no-install] [--shipped]

  --keep DIR     leave the recorded capture in DIR/story.aquila (default: a temporary folder, removed at the end)
  --no-install   do not install missing packages
  --shipped      do not record; use the capture that is shipped in samples/
  --help         this text

Run as root to record; without root it uses the shipped capture.
HELP
}

keep="" install=1 shipped=0
while [ $# -gt 0 ]; do
	case $1 in
	--keep) keep=${2:?--keep needs a folder}; shift ;;
	--no-install) install=0 ;;
	--shipped) shipped=1 ;;
	--help | -h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done

top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step() {
	if [ -t 1 ]; then printf '\n\033[1m== %s\033[0m\n' "$*"; else printf '\n== %s\n' "$*"; fi
}
show() { # prints the command as a person would type it, then runs it; 3 means "incomplete" and is an answer
	local argument line='$'
	for argument in "$@"; do
		argument=${argument#"$top/build/bin/"}
		argument=${argument#"$work/"}
		argument=${argument#"$top/"}
		case $argument in
		*[!A-Za-z0-9_./,:=@-]*) line+=" '$argument'" ;;
		*) line+=" $argument" ;;
		esac
	done
	printf '\n%s\n' "$line"
	local status=0
	"$@" || status=$?
	[ "$status" -eq 0 ] || [ "$status" -eq 3 ] || exit "$status"
}

step "Building"
"$top/samples/install-deps.sh" $([ "$install" = 1 ] || echo --check)
if [ ! -f "$top/build/CMakeCache.txt" ]; then
	cmake -S "$top" -B "$top/build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo >"$work/configure.log" 2>&1 || {
		cat "$work/configure.log" >&2; exit 1; }
fi
cmake --build "$top/build" --target aquila aquilad >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; exit 1; }
aquila=$top/build/bin/aquila
echo "built $("$aquila" --version | head -1) in build/bin"

capture=$work/story.aquila
if [ -n "$keep" ]; then
	mkdir -p "$keep"
	capture=$keep/story.aquila
fi
why=""
[ "$shipped" = 0 ] || why="as asked"
[ -n "$why" ] || [ "$(id -u)" = 0 ] || why="recording needs root"
[ -n "$why" ] || "$top/build/bin/aquilad" --probe >"$work/probe" 2>&1 || why="BPF can't be used here: $(tail -1 "$work/probe")"

if [ -n "$why" ]; then
	step "Not recording ($why); using the capture shipped in samples/"
	capture=$top/samples/captures/story.aquila
else
	step "Recording the story"
	mkdir -p "$work/story/served"
	cc -O1 -o "$work/story/served/updater" "$top/samples/story/updater.c"
	chmod 0644 "$work/story/served/updater"
	show "$aquila" record -o "$capture" -- "$top/samples/story/story.sh" "$work/story"
fi

step "What is in it, and is it whole?"
show "$aquila" info "$capture"
show "$aquila" verify "$capture"

step "Who started whom"
show "$aquila" tree "$capture" --recorded

step "What was downloaded, then executed?"
show "$aquila" query "$capture" 'evt.type = proc_exec and proc.exe_writer exists' \
	--fields evt.time,proc.name,proc.pid,proc.exepath,proc.exe_writer,proc.pname

step "What did it do?"
show "$aquila" query "$capture" 'proc.name = updater and evt.type in (openat, connect) and fd.name exists and not fd.name startswith /etc and not fd.name contains /lib' \
	--fields evt.time,proc.name,evt.type,fd.name,evt.res

step "Who read credentials?"
show "$aquila" query "$capture" 'evt.is_open_read = true and fd.name endswith /.aws/credentials' --fields evt.time,proc.name,proc.cmdline,fd.name
