#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The shipped kernel types are cut down by hand. Here the kernel side is compiled with this kernel's own types in their
# place: a member that isn't there any more, or has become another type, is found before a verifier complains.
set -euo pipefail
btf=/sys/kernel/btf/vmlinux
skip() { echo "skipped: $*"; exit 77; }
[ -r $btf ] || skip "this kernel does not show its types ($btf)"
clang=$(command -v clang || command -v clang-14 || command -v clang-16) || skip "there is no clang"
case $(uname -m) in
x86_64) arch=x86 ;;
aarch64) arch=arm64 ;;
*) skip "the kernel side is not written for $(uname -m)" ;;
esac

"$AQ_SRC/bpf/trim-vmlinux.py" -o vmlinux.h 2>notes
cat notes
size=$(stat -c %s vmlinux.h)
[ "$size" -lt 400000 ] || { echo "FAILED: the trimmed header has $size bytes" >&2; exit 1; }
compile() { # program, further arguments
	local program=$1
	shift
	"$clang" -O2 -g -Wall -Werror -target bpf -mcpu=v3 "-D__TARGET_ARCH_$arch" -I. \
		"-I/usr/include/$(uname -m)-linux-gnu" "-I$AQ_SRC" "-I$AQ_SRC/bpf" -c "$program" -o out.o "$@"
}
for program in "$AQ_SRC"/bpf/*.bpf.c; do
	compile "$program"
done

# the comparison does see a difference: a member under another name must fail
sed -i 's/\breal_parent\b/real_parent_by_another_name/' vmlinux.h
if compile "$AQ_SRC/bpf/aquila.bpf.c" 2>errors; then
	echo "FAILED: compiles with a member missing" >&2
	exit 1
fi
grep -q real_parent errors

if "$AQ_SRC/bpf/trim-vmlinux.py" /etc/passwd >out 2>errors; then
	echo "FAILED: takes any file for a kernel's types" >&2
	exit 1
fi
grep -q "not a kernel's types" errors
