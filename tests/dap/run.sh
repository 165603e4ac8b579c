#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh NODE NPM BUILD_DIR DEJAVIEW: records a guest and debugs it as an editor does. Prints TAP.
set -u
node=$1 npm=$2 build=$3
dejaview=$(realpath "$4")
source=$(cd "$(dirname "$0")" && pwd)
kernel=${DEJAVIEW_TEST_KERNELS:-}/6.12/vmlinuz
initrd=${DEJAVIEW_TEST_GUESTS:-}/demo.cpio.gz
if [[ ! -r $kernel || ! -r $initrd ]]; then
	echo "1..0 # SKIP no guest: DEJAVIEW_TEST_KERNELS and DEJAVIEW_TEST_GUESTS name none"
	exit 0
fi
if ! cmp -s "$source/package-lock.json" "$build/installed-lock.json"; then
	mkdir -p "$build"
	cp "$source/package.json" "$source/package-lock.json" "$source/.npmrc" "$build/"
	if ! (cd "$build" && "$npm" ci --ignore-scripts --no-audit --no-fund --loglevel=error >npm.log 2>&1 </dev/null); then
		echo "1..0 # SKIP npm cannot fetch the client: $build/npm.log"
		exit 0
	fi
	cp "$source/package-lock.json" "$build/installed-lock.json"
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/dejaview-dap-XXXXXX")
trap 'rm -rf "$dir"' EXIT
timeout 300 "$dejaview" record --quiet -o "$dir/d.dejaview" -- qemu-system-x86_64 -machine q35 -m 256 -nographic \
	-no-reboot -net none -kernel "$kernel" -initrd "$initrd" -append 'console=ttyS0 panic=-1' </dev/null >/dev/null || exit 1
"$dejaview" checkpoint "$dir/d.dejaview" >/dev/null 2>&1 || exit 1
"$node" "$source/dap_test.mjs" "$build/node_modules" "$dejaview" "$dir/d.dejaview" "$(dirname "$kernel")/vmlinux"
