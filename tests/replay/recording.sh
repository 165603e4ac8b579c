#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# recording.sh DEJAVIEW SEEK_TEST COMPARE LOOK_TEST SERIES: the life of a recording, on a real guest: recorded and traced,
# moved, retraced twice, sought, killed and repaired, its disk changed. Prints TAP.
set -u
# (Meson gives paths that are relative to the build folder.)
dejaview=$(realpath "$1") seek_test=$(realpath "$2") compare=$(realpath "$3") look_test=$(realpath "$4") series=$5
export DEJAVIEW_PLUGIN=${dejaview%/*}/libdejaview-plugin.so
kernel=${DEJAVIEW_TEST_KERNELS:-}/$series/vmlinuz
initrd=${DEJAVIEW_TEST_GUESTS:-}/demo.cpio.gz
if [[ ! -r $kernel || ! -r $initrd ]]; then
	echo "1..0 # SKIP no guest: DEJAVIEW_TEST_KERNELS and DEJAVIEW_TEST_GUESTS name none"
	exit 0
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/dejaview-test-XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
mkdir run && chmod 700 run
export XDG_RUNTIME_DIR=$dir/run
n=0
ok() { # ok WHAT COMMAND...
	local what=$1
	shift
	n=$((n + 1))
	if "$@" >step.out 2>&1; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		tail -5 step.out | sed 's/^/# /'
	fi
}
guest=(qemu-system-x86_64 -machine q35 -m 512 -nographic -no-reboot -net none -kernel "$kernel" -initrd "$initrd"
	-append 'console=ttyS0 panic=-1')
record() { timeout 300 "$dejaview" record "$@" </dev/null; }
says() { # says PATTERN COMMAND...: fails, and says so
	local pattern=$1
	shift
	! "$@" >say.out 2>&1 && grep -q -- "$pattern" say.out || { cat say.out; return 1; }
}
leaves_nothing() { [[ -z $(find "$1" -name '.replay-*' -o -name '*.partial') ]]; }

ok 'a guest is recorded and traced' record -o a.dejaview -- "${guest[@]}"
ok 'an existing recording is not replaced' says 'exists' record -o a.dejaview -- "${guest[@]}"
mkdir deep && mv a.dejaview deep/moved.dejaview
r=deep/moved.dejaview
before=$(cd $r && sha256sum rr.log snapshots.qcow2 manifest.json)
ok 'moved, it is retraced' timeout 300 "$dejaview" trace --quiet -o one.dvtrace $r
ok 'the retrace holds what was traced while recording' "$compare" $r $r/trace.dvtrace one.dvtrace
ok 'it is retraced again' timeout 300 "$dejaview" trace --quiet -o two.dvtrace $r
ok 'the second retrace is as the first' "$compare" $r one.dvtrace two.dvtrace
ok 'slices are sought exactly' timeout 900 "$seek_test" $r 40 50 "${DEJAVIEW_SEEK_ROUNDS:-1}"
ok 'writes and calls are what the guest shows' timeout 900 "$look_test" $r
ok 'calls have arguments' bash -c "$dejaview calls --quiet -n 1 $r do_sys_openat2 | grep -q 'filename = \"/init\"'"
ok 'seek says where the guest stands' timeout 300 "$dejaview" seek --json $r 300000000
ok 'it goes forward and back' timeout 300 "$dejaview" seek $r 400000000 200000000
ok 'a moment past the end is refused' says 'past the recording' "$dejaview" seek $r 999999999999999
ok 'replays have changed nothing' test "$before" = "$(cd $r && sha256sum rr.log snapshots.qcow2 manifest.json)"
ok 'replays have left nothing' leaves_nothing $r

# In segments: the checkpoints are cut so that more than two of them replay at once.
ok 'checkpoints are made' timeout 300 "$dejaview" checkpoint $r
ok 'it is retraced in segments' timeout 300 "$dejaview" trace -j "${DEJAVIEW_TRACE_JOBS:-3}" -o segments.dvtrace $r
ok 'which none of them fell back from' bash -c '! grep -q "one piece" step.out'
ok 'the segments hold what one replay does' "$compare" $r one.dvtrace segments.dvtrace
[[ $series == 6.12 ]] || ok 'filters are the same in segments' bash -c "timeout 300 $dejaview trace --quiet -j 1 --during init --max-depth 3 \
	--min-insns 2000 -o f1.dvtrace $r && timeout 300 $dejaview trace -j 2 --during init --max-depth 3 \
	--min-insns 2000 -o f2.dvtrace $r && $compare $r f1.dvtrace f2.dvtrace"
ok 'segments have left nothing' leaves_nothing $r

# Killed: the recorder's death takes its QEMU along.
"$dejaview" record --quiet --no-trace -o k.dejaview -- "${guest[@]}" </dev/null >/dev/null 2>&1 &
pid=$!
for ((i = 0; i < 600; i++)); do
	grep -qa 'Run /init' k.dejaview/console.log 2>/dev/null && break
	sleep 0.1
done
ok 'one under way is seen' bash -c "$dejaview info --json k.dejaview | grep -q '\"state\": \"recording\"'"
kill -9 $pid
wait $pid 2>/dev/null
ok 'a killed one is repaired' bash -c "$dejaview info k.dejaview | grep -q repaired"
ok 'and replays to its end' timeout 300 "$dejaview" trace --quiet k.dejaview
reaches_the_cut() {
	"$dejaview" info --json k.dejaview | python3 -c 'import json, sys
r = json.load(sys.stdin)
sys.exit(r["last_icount"] - r["trace"]["last_icount"] > 1000)'
}
ok 'the trace goes up to the cut' reaches_the_cut
ok 'what it left is removed' test -z "$(ls -A run)"
"$dejaview" trace --quiet k.dejaview </dev/null >/dev/null 2>&1 &
pid=$!
for ((i = 0; i < 600; i++)); do
	compgen -G 'k.dejaview/.replay-*/*' >/dev/null && break
	sleep 0.1
done
kill -9 $pid
wait $pid 2>/dev/null
ok 'and so is what a killed replay left, by the next' bash -c "timeout 300 $dejaview seek k.dejaview 200000000 &&
	test -z \"\$(ls -A run; find k.dejaview -name '.replay-*')\""

# A disk: its base image may move, not change.
qemu-img create -q -f raw disk.img 16M
ok 'a guest with a disk is recorded' record --quiet --no-trace -o d.dejaview -- "${guest[@]}" \
	-drive file=disk.img,format=raw,if=virtio
mv disk.img elsewhere.img
ok 'a missing base image is refused' says '--image' timeout 300 "$dejaview" trace d.dejaview
ok 'a moved one is taken' timeout 600 "$dejaview" trace --quiet --image elsewhere.img d.dejaview
printf x | dd of=elsewhere.img bs=1 seek=4096 conv=notrunc status=none
ok 'a changed one is refused' says 'has changed' timeout 300 "$dejaview" trace --image elsewhere.img d.dejaview
qemu-img create -q -f qcow2 own.qcow2 16M && qemu-io -c 'write -P 0x5a 0 1M' own.qcow2 >/dev/null
image=$(sha256sum <own.qcow2)
ok 'a copy of the image goes along' record --quiet --no-trace --copy-image -o c.dejaview -- "${guest[@]}" \
	-drive file=own.qcow2,if=virtio
ok "the user's image is as it was" test "$image" = "$(sha256sum <own.qcow2)"
rm own.qcow2
ok 'and replays without the original' timeout 600 "$dejaview" seek c.dejaview 300000000
qemu-img create -q -f qcow2 -F raw -b elsewhere.img top.qcow2
ok 'an image on top of another is not copied' says 'flatten it' record --copy-image -o e.dejaview -- "${guest[@]}" \
	-drive file=top.qcow2,if=virtio
echo "1..$n"
