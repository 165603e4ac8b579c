#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# session.sh DEJAVIEW TIMELINE_TEST GDB_TEST COMPARE SERIES KIND STEPS: checkpoints, a timeline and gdb on a real guest's
# recording. KIND: initramfs, disk (ext4 on virtio-blk, user networking, and their modules; also traced in segments).
# Prints TAP.
set -u
here=$(dirname "$(realpath "$0")")
dejaview=$(realpath "$1") timeline_test=$(realpath "$2") gdb_test=$(realpath "$3") compare=$(realpath "$4")
series=$5 kind=$6 steps=$7
kernel=${DEJAVIEW_TEST_KERNELS:-}/$series/vmlinuz
initrd=${DEJAVIEW_TEST_GUESTS:-}/demo.cpio.gz
if [[ ! -r $kernel || ! -r $initrd ]]; then
	echo "1..0 # SKIP no guest: DEJAVIEW_TEST_KERNELS and DEJAVIEW_TEST_GUESTS name none"
	exit 0
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/dejaview-test-XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
n=0
ok() { # ok WHAT COMMAND...
	local what=$1
	shift
	n=$((n + 1))
	if "$@" >step.out 2>&1; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		grep -a -A15 '^not ok' step.out | head -40 | sed 's/^/# /'
		tail -5 step.out | sed 's/^/# /'
	fi
}
says() { # says PATTERN COMMAND...: whatever its exit code
	local pattern=$1
	shift
	"$@" >say.out 2>&1
	grep -q -- "$pattern" say.out || { cat say.out; return 1; }
}
# The demo's initramfs and a second one behind it: another /init, and the modules that the disk and the card need.
with_disk() {
	local names=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk failover
		net_failover virtio_net) n=10 name module
	mkdir -p more/modules files root
	for name in "${names[@]}"; do
		module=$(find "$DEJAVIEW_TEST_KERNELS/$series/modules" -name "$name.ko*")
		n=$((n + 1))
		case $module in
		*.xz) xz -dc "$module" >"more/modules/$n-$name.ko" ;;
		*.ko) cp "$module" "more/modules/$n-$name.ko" ;;
		esac
	done
	zcat "$initrd" | (cd more && cpio -i --quiet --to-stdout init) >more/demo-init
	cp "$here/disk.init" more/init
	chmod +x more/init more/demo-init
	{
		cat "$initrd"
		(cd more && find . | cpio -o --quiet -H newc) | gzip -1
	} >initrd.gz
	head -c 300000 /dev/urandom >files/file
	cp files/file root/sent
	mke2fs -q -F -t ext4 -d root disk.img 64M
	initrd=$PWD/initrd.gz
}
[[ $kind != disk ]] || with_disk >&2
guest=(qemu-system-x86_64 -machine q35 -m 512 -nographic -no-reboot -kernel "$kernel" -initrd "$initrd"
	-append 'console=ttyS0 panic=-1')
if [[ $kind == disk ]]; then
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	guest+=(-drive file=disk.img,format=raw,if=virtio
		-netdev "user,id=n0,tftp=$PWD/files,hostfwd=tcp:127.0.0.1:$port-:7000" -device virtio-net-pci,netdev=n0)
else
	guest+=(-net none)
fi
# As ssh in a loop: it tries from the start, long before the guest has opened its card.
client() {
	local refused line
	for ((refused = 0; refused < 12000; refused++)); do
		{ exec 3<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null && read -r -t 60 line <&3 &&
			echo "refused $refused times, then: $line" && return
		sleep 0.05
	done
}
count() { "$dejaview" checkpoint --list --json r.dejaview | grep -c '"name"'; }
r=r.dejaview
[[ $kind != disk ]] || client >client.out 2>&1 &
client_pid=$!
ok 'a guest is recorded' timeout 600 "$dejaview" record --quiet -o $r -- "${guest[@]}" </dev/null
if [[ $kind == disk ]]; then
	for said in 'disk: mounted' 'disk: 2621440 bytes written, synced and read back' 'net: 5 packets transmitted, 5 ' \
		'net: fetched' 'disk: unmounted' 'workload: end'; do
		ok "the guest says \"$said\"" grep -a -q "$said" $r/console.log
	done
	kill $client_pid 2>/dev/null
	# Otherwise there are no checkpoints behind the card's opening, and seeks to there hang: docs/limits.md.
	ok 'who has tried from the start is served when the card is open' \
		grep -q "^refused [1-9][0-9]* times, then: the guest's answer" client.out
fi
before=$(cd $r && sha256sum rr.log snapshots.qcow2 manifest.json)

# Killed in the middle: nothing of it is believed, and it is cleaned away.
"$dejaview" checkpoint --quiet $r &
pid=$!
for ((i = 0; i < 600; i++)); do
	compgen -G "$r/checkpoints/.making-*/snapshots.qcow2" >/dev/null && break
	sleep 0.1
done
sleep 1
kill -9 $pid
wait $pid 2>/dev/null
ok 'a killed maker leaves nothing that is used' says '^0 checkpoints' "$dejaview" checkpoint --list $r
ok 'checkpoints are made' says 'made [1-9]' timeout 600 "$dejaview" checkpoint $r
ok '... up to the end' says '"complete": true' "$dejaview" checkpoint --list --json $r
ok '... each is listed' test "$(count)" -gt 4
ok '... what the killed one left is gone' bash -c "! compgen -G '$r/checkpoints/.making-*'"
ok 'a second run has nothing to make' bash -c "! timeout 60 $dejaview checkpoint $r | grep made"
if [[ $kind == disk ]]; then
	# Modules loaded in one segment are called in the next; the disk's and the card's answers come out of the log.
	ok 'it is traced in one piece' timeout 900 "$dejaview" trace --quiet -j 1 -o one.dvtrace $r
	for jobs in 2 5; do
		ok "it is traced in $jobs segments" bash -c \
			"timeout 900 $dejaview trace -j $jobs -o segments.dvtrace $r 2>&1 | tee said; ! grep 'one piece' said"
		ok '... which hold the same events' "$compare" $r one.dvtrace segments.dvtrace
		ok '... and the same modules' says '^[1-9][0-9]* modules are the same' "$compare" $r one.dvtrace segments.dvtrace
	done
fi
mv $r moved.dejaview
ok 'moved, they are still used' says '"complete": true' "$dejaview" checkpoint --list --json moved.dejaview
mv moved.dejaview $r
ok 'a timeline goes forward and back, and survives trouble' timeout 900 "$timeline_test" $r "$steps"
[[ $kind == initramfs ]] && ok 'gdb shows it' timeout 600 "$gdb_test" "$dejaview" $r

# Another recording's checkpoints are not used; a broken list of them neither.
sed -i 's/"log_bytes": /&1/' $r/checkpoints/1/layer.json
ok "another recording's are not used" says 'made for another recording' "$dejaview" checkpoint --list $r
ok '... and a seek does without' timeout 300 "$dejaview" seek $r 100000000
ok 'they can be removed' says 'MiB freed' "$dejaview" checkpoint --remove $r
ok '... and are gone' test ! -e $r/checkpoints
ok 'a small budget is kept' timeout 600 "$dejaview" checkpoint --quiet --budget 500M $r
bytes=$(du -sm $r/checkpoints | cut -f1)
ok "... with $bytes MiB" test "$bytes" -lt 800
ok 'the recording itself is as it was' test "$before" = "$(cd $r && sha256sum rr.log snapshots.qcow2 manifest.json)"
ok 'no session has left anything' bash -c "! compgen -G '$r/.replay-*'"

# Where the recording cannot be written they go to the cache.
full=$dir/full
mkdir "$full"
if mount -t tmpfs -o size=300m tmpfs "$full" 2>/dev/null; then
	trap 'umount -l "$full"; rm -rf "$dir"' EXIT
	"$dejaview" checkpoint --remove $r >/dev/null
	cp -r $r "$full/"
	timeout 600 "$dejaview" checkpoint --quiet "$full/$r" >disk.out 2>&1
	ok 'a full disk keeps what is whole, or nothing' bash -c \
		"timeout 300 $dejaview seek $full/$r 150000000 && ! compgen -G '$full/$r/checkpoints/.making-*'"
	mount -o remount,ro "$full"
	export XDG_CACHE_HOME=$dir/cache
	if [[ ! -e $full/$r/checkpoints/1 ]]; then
		ok 'those of a read-only recording are in the cache' says "cannot be written" \
			timeout 600 "$dejaview" checkpoint --interval 1s "$full/$r"
	fi
	ok 'a read-only recording is sought' timeout 300 "$dejaview" seek "$full/$r" 150000000
fi
echo "1..$n"
