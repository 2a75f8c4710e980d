#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Boots Debian's kernels under qemu, each with the programs of this build, their libraries and in_guest.sh as the first
# process, and says what came of it. The emulator is installed if it is missing; kernels are fetched, never installed.
set -euo pipefail

usage() {
	cat <<'HELP'
usage: tests/kernel/qemu/run.sh [--arch ARCH] [--kernels DIR] [--jobs N] [--keep DIR] [--skip LIST]
                                [--help] [SUITE…]

  --arch ARCH    amd64 or arm64 (default: amd64); for arm64 the programs are built by a cross compiler
  --kernels DIR  where kernels are kept (default: kernels in the build folder)
  --jobs N       guests at a time, 1 or 2 (default: 1, with four processors 2)
  --keep DIR     keep the consoles' logs there (default: qemu in the build folder)
  --skip LIST    leave these programs of tests/kernel out, with commas between: bpf,record
  SUITE          of Debian, whose cloud kernel is booted (default: bullseye bookworm trixie trixie-backports; on
                 arm64 bookworm)

AQ_BUILD is the build folder (default: build). A kernel that can't be fetched is skipped.

Exit status: 0 no test failed, 1 one did or a guest did not come through, 2 wrong usage.
HELP
}

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
build=$(realpath -m -- "${AQ_BUILD:-$top/build}")
# what is left out in guests: tests of disks and clocks, which are no other there
skip=accident
arch=amd64 kernels=$build/kernels jobs="" keep=$build/qemu suites=()
while [ $# -gt 0 ]; do
	case $1 in
	--arch | --kernels | --jobs | --keep | --skip)
		[ $# -gt 1 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; }
		case $1 in
		--arch) arch=$2 ;;
		--kernels) kernels=$(realpath -m -- "$2") ;;
		--jobs) jobs=$2 ;;
		--skip) skip=$skip,$2 ;;
		--keep) keep=$(realpath -m -- "$2") ;;
		esac
		shift
		;;
	--help | -h) usage; exit 0 ;;
	-*) echo "run.sh: there is no option $1" >&2; usage >&2; exit 2 ;;
	*) suites+=("$1") ;;
	esac
	shift
done
[ -n "$jobs" ] || jobs=$(($(nproc) >= 4 ? 2 : 1))
[[ $jobs == [12] ]] || { echo "run.sh: --jobs is 1 or 2" >&2; exit 2; }
case $arch in
amd64)
	emulator=qemu-system-x86_64 package=qemu-system-x86 limit_s=600 slow=2
	machine=(-M q35 -cpu max -smp 2)
	console=ttyS0
	[ ${#suites[@]} -gt 0 ] || suites=(bullseye bookworm trixie trixie-backports)
	;;
arm64)
	emulator=qemu-system-aarch64 package=qemu-system-arm limit_s=1200 slow=6
	machine=(-M virt -cpu max,pauth-impdef=on -smp 2)
	console=ttyAMA0
	[ ${#suites[@]} -gt 0 ] || suites=(bookworm)
	;;
*)
	echo "run.sh: --arch is amd64 or arm64" >&2
	exit 2
	;;
esac
if ! command -v "$emulator" >/dev/null; then
	"$top/samples/install-deps.sh" "$package" || { echo "skipped: there is no $emulator"; exit 0; }
fi
mkdir -p "$kernels" "$keep"

# The programs for the guest: AQ_BUILD's own, or those that a cross build made.
lib_dirs=() programs=$build busybox=$(command -v busybox || true)
if [ "$arch" = arm64 ]; then
	cross=$("$here/cross_build.sh" arm64 "$build/cross-arm64") || { echo "skipped: no cross build for arm64"; exit 0; }
	programs=$cross/build busybox=$cross/sysroot/bin/busybox
	lib_dirs=("$cross/sysroot/lib/aarch64-linux-gnu" "$cross/sysroot/usr/lib/aarch64-linux-gnu" /usr/aarch64-linux-gnu/lib)
else
	lib_dirs=(/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /lib64)
fi
[ -x "$busybox" ] || { echo "skipped: there is no busybox (busybox-static)"; exit 0; }
pack=(--file "$here/in_guest.sh=/init" --file "$here/activity.sh=/aq/activity.sh" --file "$busybox=/bin/busybox")
for folder in "$programs/bin" "$programs/lib"; do
	lib_dirs+=("$folder")
done
for dir in "${lib_dirs[@]}"; do
	pack+=(--lib-dir "$dir")
done
for program in "$programs"/bin/aquila*; do
	pack+=(--program "$program=/aq/bin/${program##*/}")
done
for program in "$programs"/tests/kernel/kernel_test_*; do
	pack+=(--program "$program=/aq/tests/${program##*/}")
done
for program in "$programs"/tests/triggers/trigger_*; do
	pack+=(--program "$program=/aq/triggers/${program##*/}")
done
initrd=$keep/initramfs-$arch.cpio
"$here/make_initramfs.py" "$initrd" "${pack[@]}"

boot() { # KERNEL LOG
	timeout -s KILL "$limit_s" "$emulator" -accel tcg,thread=multi "${machine[@]}" -m 1024 -nodefaults -no-user-config \
		-display none -serial "file:$2" -monitor none -no-reboot -kernel "$1" -initrd "$initrd" \
		-append "console=$console panic=-1 oops=panic loglevel=4 aq.slow=$slow aq.skip=$skip" </dev/null >"$2.qemu" 2>&1 || true
	tr -d '\r' <"$2" >"$2.new" && mv "$2.new" "$2"
}

came_through() { grep -q '^AQ-DONE ' "$1"; }

# What the kernel or the emulator said last, when the guest did not come through.
cause() { # LOG
	grep -m1 -E 'BUG:|Oops|Kernel panic|Unable to handle|general protection' "$1" ||
		{ [ -s "$1" ] && echo "no word after: $(tail -n 1 "$1")"; } || head -1 "$1.qemu"
}

run_one() { # SUITE: leaves SUITE-ARCH.result: status, kernel, what
	local suite=$1 log=$keep/$1-$arch.log result=$keep/$1-$arch.result folder release first="" failed
	rm -f "$log" "$result"
	if ! folder=$("$here/fetch_kernel.sh" "$suite" "$arch" "$kernels" 2>"$result.why"); then
		echo "skipped - $(tail -n 1 "$result.why")" >"$result"
		return
	fi
	boot "$folder/vmlinuz" "$log"
	# software emulation of many processors now and then makes a kernel stumble; not twice, and not in our programs
	if ! came_through "$log" && ! grep -q 'bpf_prog_.*_aq_' "$log"; then
		first=" (at the second attempt; the first: $(cause "$log"))"
		mv "$log" "$log.first"
		boot "$folder/vmlinuz" "$log"
	fi
	release=$(awk '$1 == "AQ-GUEST" { print $2; exit }' "$log")
	if ! came_through "$log"; then
		echo "FAILED ${release:-$(tr ' ' - <"$folder/release")} did not come through: $(cause "$log")" >"$result"
		return
	fi
	failed=$(awk '$1 == "AQ-RESULT" && $2 == "FAILED" { printf "%s%s", sep, $3; sep = ", " }' "$log")
	echo "$([ -z "$failed" ] && echo ok || echo FAILED) $release $(grep -c '^AQ-RESULT ok' "$log") passed," \
		"$(grep -c '^AQ-RESULT skipped' "$log") skipped${failed:+, failed: $failed}$first" >"$result"
}

running=0
for suite in "${suites[@]}"; do
	run_one "$suite" &
	running=$((running + 1))
	if [ "$running" -ge "$jobs" ]; then
		wait -n || true
		running=$((running - 1))
	fi
done
wait

status=0
for suite in "${suites[@]}"; do
	log=$keep/$suite-$arch.log
	[ ! -s "$log" ] || { echo "== $suite $arch"; grep -E '^AQ-RESULT (FAILED|skipped)' "$log" | sed 's/^AQ-RESULT /   /' || true; }
done
printf '%-18s %-6s %-8s %-34s %s\n' suite arch result kernel tests
for suite in "${suites[@]}"; do
	read -r how release what <"$keep/$suite-$arch.result" || how=FAILED release=- what="no result"
	printf '%-18s %-6s %-8s %-34s %s\n' "$suite" "$arch" "$how" "$release" "$what"
	[ "$how" != FAILED ] || status=1
done
echo "The consoles' logs are in '$keep'."
exit $status
