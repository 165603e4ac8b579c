#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# attach.sh PROGRAM [FILTER...]: makes the guest of attach_test.c, an initramfs that reads and writes every
# disk it finds and pings over every network, and runs the tests. $DEJAVIEW_TEST_KERNELS/6.12 holds the
# kernel and its modules (scripts/fetch-kernel 6.12).
set -euo pipefail

kernel=${DEJAVIEW_TEST_KERNELS:-}/6.12
if [[ ! -e $kernel/vmlinuz || ! -d $kernel/modules || ! -x /bin/busybox ]]; then
	echo "1..0 # SKIP DEJAVIEW_TEST_KERNELS has no 6.12 (scripts/fetch-kernel 6.12 DIR/6.12), or no busybox"
	exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"/root/{bin,dev,proc,sys,tmp,m}
cp /bin/busybox "$scratch/root/bin/"
for name in failover net_failover virtio_net virtio_blk scsi_common scsi_mod sd_mod cdrom sr_mod virtio_scsi \
	libata libahci ahci ata_piix; do
	file=$(find "$kernel/modules/" -name "$name.ko*" -print -quit)
	case $file in
	*.xz) xz -dc "$file" > "$scratch/root/m/$name.ko" ;;
	*.ko) cp "$file" "$scratch/root/m/" ;;
	esac
done
cat > "$scratch/root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for round in 1 2 3 4; do for m in /m/*.ko; do insmod $m 2>/dev/null && rm $m; done; done
# SCSI disks come a little after their controller.
tries=0; while [ $tries -lt 30 ] && [ "$(cat /sys/block/*/size | grep -vcx 0)" -lt $disks ]; do
	tries=$((tries + 1)); sleep 0.1
done
for d in $(ls /sys/block); do
	# An empty CD-ROM drive has a size, too.
	head -c 512 /dev/$d > /tmp/head 2>/dev/null && [ -s /tmp/head ] || continue
	echo "found $d ro=$(cat /sys/block/$d/ro) $(md5sum < /dev/$d)"
	if [ $(cat /sys/block/$d/ro) = 0 ]; then
		dd if=/dev/urandom of=/dev/$d bs=4k count=16 conv=notrunc 2>/dev/null; sync
		echo 3 > /proc/sys/vm/drop_caches
		echo "wrote $d $(md5sum < /dev/$d)"
	fi
done
for n in $(ls /sys/class/net); do
	[ $n = lo ] && continue
	ifconfig $n 10.0.2.15 up; ping -c 2 10.0.2.2; ifconfig $n down
done
echo "guest ends"
poweroff -f
END
chmod +x "$scratch/root/init"
(cd "$scratch/root" && find . | cpio -o -H newc --quiet | gzip -1) > "$scratch/initrd.gz"
DV_ATTACH_KERNEL=$kernel/vmlinuz DV_ATTACH_INITRD=$scratch/initrd.gz "$@"
