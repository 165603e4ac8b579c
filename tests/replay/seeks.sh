#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# seeks.sh DEJAVIEW SEEK_TEST SERIES: a guest is recorded, and 200 slices from all over its trace and 50 next to
# interrupts, exceptions and system calls are sought three times each. Prints TAP.
set -u
dejaview=$(realpath "$1") seek_test=$(realpath "$2") series=$3
kernel=${DEJAVIEW_TEST_KERNELS:-}/$series/vmlinuz
initrd=${DEJAVIEW_TEST_GUESTS:-}/demo.cpio.gz
if [[ ! -r $kernel || ! -r $initrd ]]; then
	echo "1..0 # SKIP no guest: DEJAVIEW_TEST_KERNELS and DEJAVIEW_TEST_GUESTS name none"
	exit 0
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/dejaview-test-XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
if ! timeout 300 "$dejaview" record --quiet -o a.dejaview -- qemu-system-x86_64 -machine q35 -m 512 -nographic \
	-no-reboot -net none -kernel "$kernel" -initrd "$initrd" -append 'console=ttyS0 panic=-1' </dev/null >record.out 2>&1
then
	echo "Bail out! the guest was not recorded: $(tail -n 1 record.out)"
	exit 1
fi
"$seek_test" a.dejaview 200 50 3
