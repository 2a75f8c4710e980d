#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Fetches Debian's newest cloud kernel of a suite with apt, from a sources list and package lists of its own, and
# unpacks it; nothing is installed. The mirror is one that this machine's apt is set up with. Prints the folder that
# has the kernel: "vmlinuz" and "release" are in it. What was fetched before is used again where there is no network.
set -euo pipefail

[ $# = 3 ] || { echo "usage: fetch_kernel.sh SUITE ARCHITECTURE FOLDER" >&2; exit 2; }
suite=$1 arch=$2 folder=$(realpath -m -- "$3")
kept=$folder/$suite-$arch apt=$folder/apt-$suite-$arch
# shellcheck source=tests/kernel/qemu/apt_elsewhere.sh
. "$(dirname "$0")/apt_elsewhere.sh"

give_up() {
	if [ -s "$kept/vmlinuz" ]; then
		echo "fetch_kernel.sh: $*; the one fetched before is used" >&2
		echo "$kept"
		exit 0
	fi
	echo "$*" >&2
	exit 1
}

# The packages that one depends on and that could hold a kernel; which one does differs between versions.
depends() {
	with_apt apt-cache depends "$1" | awk '$1 == "Depends:" && $2 ~ /^linux-(image|binary)-[0-9]/ { print $2 }'
}

download() { ( cd "$apt" && with_apt apt-get download "$1" ); }

command -v apt-get >/dev/null || give_up "there is no apt here"
set_up_apt "linux-image-cloud-$arch" || give_up "no mirror that apt knows here has $suite for $arch"

package=linux-image-cloud-$arch
for _ in 1 2 3; do
	package=$(depends "$package" | head -1)
	[ -n "$package" ] || break
	name=$package-$(with_apt apt-cache show "$package" | awk '$1 == "Version:" { print $2; exit }')
	if [ -s "$kept/vmlinuz" ] && grep -qxF "$name" "$kept/packages" 2>/dev/null; then
		rm -rf "$apt"
		echo "$kept"
		exit 0
	fi
	echo "$name" >>"$apt/packages"
	try download "$package" || give_up "$package of $suite can't be fetched"
	dpkg-deb -x "$apt/$package"_*.deb "$apt/root" || give_up "$package of $suite can't be unpacked"
	image=$(find "$apt/root" -type f -name 'vmlinu[xz]*' -size +1000k | head -1)
	[ -z "$image" ] || break
done
[ -n "${image:-}" ] || give_up "no package of $suite for $arch has a kernel in it"
rm -rf "$kept.new"
mkdir -p "$kept.new"
cp "$image" "$kept.new/vmlinuz"
cp "$apt/packages" "$kept.new/packages"
tail -1 "$apt/packages" | sed -E 's/^linux-(image|binary)-//; s/-cloud-[a-z0-9]+-/ /' >"$kept.new/release"
rm -rf "$kept" "$apt"
mv "$kept.new" "$kept"
echo "$kept"
