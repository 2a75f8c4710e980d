#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian packages that building and testing need and that are missing. With --check, or without root, it
# only names them and fails. Extra packages may be named as arguments.
set -euo pipefail

check=0
packages=(gcc libc6-dev cmake ninja-build pkg-config clang llvm bpftool libbpf-dev libelf-dev libzstd-dev libsqlite3-dev
	libcurl4-openssl-dev libcjson-dev libsodium-dev libxxhash-dev libyaml-dev python3 busybox-static git zstd)
for argument in "$@"; do
	case $argument in
	--check) check=1 ;;
	*) packages+=("$argument") ;;
	esac
done
if ! command -v dpkg-query >/dev/null; then
	echo "This is not Debian: install what these packages of Debian's hold: ${packages[*]}" >&2
	exit 0
fi
missing=()
installed=$(dpkg-query -W -f='${Package} ${Status}\n' "${packages[@]}" 2>/dev/null || true)
for package in "${packages[@]}"; do
	grep -q "^$package .* ok installed\$" <<<"$installed" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$check" = 1 ] || [ "$(id -u)" != 0 ]; then
	echo "Missing packages: apt-get install ${missing[*]}" >&2
	exit 1
fi
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
apt=(apt-get -o DPkg::Lock::Timeout=300 -qq)
if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	tail -20 "$log" >&2
	rm -f "$log"
	exit 1
fi
rm -f "$log"
