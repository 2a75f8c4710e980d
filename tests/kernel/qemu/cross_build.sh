#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds what the guests need for another machine with Debian's cross compiler. The libraries come from packages that are unpacked
# into a folder of their own, a sysroot; the machine's own package lists stay as they are. Prints FOLDER, where "build"
# and "sysroot" are.
set -euo pipefail

[ $# = 2 ] && [ "$1" = arm64 ] || { echo "usage: cross_build.sh arm64 FOLDER" >&2; exit 2; }
arch=$1 folder=$(realpath -m -- "$2")
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
sysroot=$folder/sysroot triple=aarch64-linux-gnu
apt=$folder/apt
suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
wanted=(libc6-dev libgcc-12-dev libbpf-dev libelf-dev libzstd-dev libsqlite3-dev libcurl4-openssl-dev libcjson-dev
	libsodium-dev libxxhash-dev busybox-static)
# shellcheck source=tests/kernel/qemu/apt_elsewhere.sh
. "$here/apt_elsewhere.sh"

give_up() { echo "$*" >&2; exit 1; }

fill_sysroot() {
	local package
	set_up_apt libbpf-dev || give_up "no mirror that apt knows here has $suite for $arch"
	try with_apt apt-get install --download-only --no-install-recommends -y "${wanted[@]}" ||
		give_up "the libraries for $arch can't be fetched"
	rm -rf "$sysroot" "$sysroot.new"
	mkdir -p "$sysroot.new"
	for package in "$apt"/cache/archives/*.deb; do
		dpkg-deb -x "$package" "$sysroot.new" || give_up "'${package##*/}' can't be unpacked"
	done
	# links to /lib/… lead into the sysroot
	find "$sysroot.new" -type l -lname '/*' -print0 | while IFS= read -r -d '' link; do
		ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$sysroot.new$(readlink "$link")")" "$link"
	done
	mv "$sysroot.new" "$sysroot"
	rm -rf "$apt"
}

mkdir -p "$folder"
command -v $triple-gcc >/dev/null || "$top/samples/install-deps.sh" gcc-$triple >&2 || give_up "there is no $triple-gcc"
[ -d "$sysroot" ] || fill_sysroot
cat >"$folder/toolchain.cmake" <<CMAKE
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER $triple-gcc)
set(CMAKE_SYSROOT "$sysroot")
set(CMAKE_LIBRARY_ARCHITECTURE $triple)
set(CMAKE_FIND_ROOT_PATH "$sysroot")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
CMAKE
export PKG_CONFIG_SYSROOT_DIR=$sysroot PKG_CONFIG_PATH=
export PKG_CONFIG_LIBDIR=$sysroot/usr/lib/$triple/pkgconfig:$sysroot/usr/share/pkgconfig
targets=(aquila aquilad)
for source in "$top"/tests/kernel/test_*.c; do
	targets+=("kernel_$(basename "$source" .c)")
done
for source in "$top"/tests/kernel/trigger_*.c; do
	[[ $source == *_m32.c ]] || targets+=("$(basename "$source" .c)")
done
if ! cmake -S "$top" -B "$folder/build" -G Ninja --toolchain "$folder/toolchain.cmake" >"$folder/log" 2>&1 ||
	! cmake --build "$folder/build" --target "${targets[@]}" >>"$folder/log" 2>&1; then
	tail -30 "$folder/log" >&2
	give_up "the build for $arch fails"
fi
echo "$folder"
