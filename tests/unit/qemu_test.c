/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's command line: in and out. qemu_render.h says how a row is to be read. */
#include "qemu/cmdline.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/io.h"
#include "qemu/disks.h"
#include "qemu/probe.h"
#include "qemu/process.h"
#include "qemu/terminal.h"
#include "qemu_render.h"
#include "test.h"

/* What any virtio-net card brings along. */
#define VIRTIO " -global virtio-net-device.tx=timer -global virtio-net-device.x-txtimer=1" \
	       " -global virtio-net-device.guest_announce=off"

struct row {
	const char *in, *out;
};

/* While recording, on a terminal. */
static const struct row record_rows[] = {
	{"-m 512 -kernel vmlinuz -initrd initrd.gz -append quiet",
	 "-m 512 -kernel @/vmlinuz -initrd @/initrd.gz -append quiet"},
	{"--kernel vmlinuz",
	 "--kernel @/vmlinuz"},
	{"-machine q35",
	 "-machine q35,hpet=off -nodefaults"},
	{"-M q35",
	 "-machine q35,hpet=off -nodefaults"},
	{"-M pc -machine usb=on -M q35",
	 "-machine q35,usb=on,hpet=off -nodefaults"},
	{"-machine type=q35,hpet=on",
	 "-machine type=q35,hpet=off -nodefaults"},
	{"-no-hpet -M pc",
	 ",type=pc -nodefaults"},
	{"-machine microvm",
	 "-machine microvm -nodefaults"},
	{"-machine q35,accel=kvm:tcg,kernel-irqchip=split",
	 "-machine q35,hpet=off -accel tcg -nodefaults"},
	{"-enable-kvm",
	 "-accel tcg -nodefaults"},
	{"-accel kvm -accel tcg",
	 "-accel tcg -nodefaults"},
	{"-accel tcg,thread=multi,tb-size=512",
	 "-accel tcg,tb-size=512 -nodefaults"},
	{"-cpu host,+avx2,migratable=off,pmu=off",
	 "-cpu max,+avx2,pmu=off"},
	{"-cpu qemu64",
	 "-cpu qemu64"},
	{"-global apic-common.vapic=on -global driver=apic-common,property=vapic,value=on",
	 ""},
	{"-global isa-fdc.driveA=x",
	 "-global isa-fdc.driveA=x"},
	{"-smp 1",
	 "-smp 1"},
	{"-smp cpus=1,maxcpus=4",
	 "-smp cpus=1,maxcpus=4"},
	{"-smp 1,sockets=1",
	 "-smp 1,sockets=1"},
	{"a.img",
	 "-drive file=/r/hda.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive index=0,media=disk,driver=blkreplay,image=dv-img0"},
	{"-hda a.img",
	 "-drive file=/r/hda.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive index=0,media=disk,driver=blkreplay,image=dv-img0"},
	{"-hdb a.img -hdd b.qcow2",
	 "-drive file=/r/hdb.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive index=1,media=disk,driver=blkreplay,image=dv-img0 -drive file=/r/hdd.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/b.qcow2,if=none,id=dv-img1 -drive index=3,media=disk,driver=blkreplay,image=dv-img1"},
	{"-cdrom d.iso",
	 "-drive file=@/d.iso,format=raw,readonly=on,if=none,id=dv-img0 -drive index=2,media=cdrom,driver=blkreplay,image=dv-img0"},
	{"-fda a.img",
	 "-drive file=/r/fda.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive if=floppy,index=0,driver=blkreplay,image=dv-img0"},
	{"-drive file=a.img",
	 "-drive file=/r/drive0.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive driver=blkreplay,image=dv-img0"},
	{"-drive file=a.img,format=raw,if=ide,index=1",
	 "-drive file=/r/drive0.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive if=ide,index=1,driver=blkreplay,image=dv-img0"},
	{"-drive file=a.img,if=virtio,cache=none,aio=native",
	 "-drive file=/r/drive0.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,cache=none,aio=native,if=none,id=dv-img0 -drive if=virtio,cache=none,driver=blkreplay,image=dv-img0"},
	{"-drive if=virtio,file=b.qcow2,format=qcow2,readonly=on",
	 "-drive file=@/b.qcow2,format=qcow2,readonly=on,if=none,id=dv-img0 -drive if=virtio,readonly=on,driver=blkreplay,image=dv-img0"},
	{"-drive file=a.img,if=none,id=d0,format=raw,discard=unmap -device virtio-blk-pci,drive=d0,serial=s1,bootindex=1",
	 "-drive file=/r/d0.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,discard=unmap,if=none,id=dv-img0 -drive if=none,id=d0,discard=unmap,driver=blkreplay,image=dv-img0 -device virtio-blk-pci,drive=d0,serial=s1,bootindex=1"},
	{"-drive file=a.img,if=none,id=d0 -device ahci,id=a -device ide-hd,bus=a.0,drive=d0",
	 "-drive file=/r/d0.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive if=none,id=d0,driver=blkreplay,image=dv-img0 -device ahci,id=a -device ide-hd,bus=a.0,drive=d0"},
	{"-device virtio-scsi-pci -drive file=d.iso,if=none,id=cd,media=cdrom -device scsi-cd,drive=cd",
	 "-device virtio-scsi-pci -drive file=@/d.iso,format=raw,readonly=on,if=none,id=dv-img0 -drive if=none,id=cd,media=cdrom,driver=blkreplay,image=dv-img0 -device scsi-cd,drive=cd"},
	{"-drive file=a.img,if=scsi,bus=0,unit=3",
	 "-drive file=/r/drive0.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive if=scsi,bus=0,unit=3,driver=blkreplay,image=dv-img0"},
	{"-drive if=ide,media=cdrom",
	 "-drive if=ide,media=cdrom"},
	{"-drive file.driver=file,file.filename=a.img,driver=raw",
	 "-drive file=/r/drive0.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive driver=blkreplay,image=dv-img0"},
	{"-drive file=x,,y.img",
	 "-drive file=/r/drive0.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/x,,y.img,if=none,id=dv-img0 -drive driver=blkreplay,image=dv-img0"},
	{"-drive file=50%.img",
	 "-drive file=/r/drive0.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/50%.img,if=none,id=dv-img0 -drive driver=blkreplay,image=dv-img0"},
	{"-drive file=a.img,bps=1000",
	 "-drive file=/r/drive0.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive driver=blkreplay,image=dv-img0"},
	{"-drive file=code.fd,if=pflash,format=raw,readonly=on,unit=0 -drive if=pflash,format=raw,file=vars.fd,unit=1",
	 "-drive file=@/code.fd,format=raw,readonly=on,if=pflash,unit=0 -drive file=/r/drive1.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/vars.fd,if=pflash,unit=1"},
	{"-pflash code.fd",
	 "-drive file=/r/pflash.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/code.fd,if=pflash"},
	{"-sd a.img",
	 "-drive file=/r/sd.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive if=sd,driver=blkreplay,image=dv-img0"},
	{"-blockdev driver=file,node-name=f,filename=b.qcow2 -blockdev qcow2,node-name=n,file=f -device virtio-blk-pci,drive=n",
	 "-drive file=/r/n.qcow2,format=qcow2,backing.driver=qcow2,backing.file.filename=@/b.qcow2,if=none,id=dv-img0 -drive if=none,id=n,driver=blkreplay,image=dv-img0 -device virtio-blk-pci,drive=n"},
	{"-blockdev raw,node-name=n,file.driver=file,file.filename=a.img,read-only=on -device ide-hd,drive=n",
	 "-drive file=@/a.img,format=raw,readonly=on,if=none,id=dv-img0 -drive if=none,id=n,readonly=on,driver=blkreplay,image=dv-img0 -device ide-hd,drive=n"},
	{"-blockdev {\"driver\":\"qcow2\",\"node-name\":\"n\",\"file\":{\"driver\":\"file\",\"filename\":\"b.qcow2\"}} -device {\"driver\":\"virtio-blk-pci\",\"drive\":\"n\"}",
	 "-drive file=/r/n.qcow2,format=qcow2,backing.driver=qcow2,backing.file.filename=@/b.qcow2,if=none,id=dv-img0 -drive if=none,id=n,driver=blkreplay,image=dv-img0 -device {\"driver\":\"virtio-blk-pci\",\"drive\":\"n\"}"},
	{"-blockdev file,node-name=p,filename=code.fd,read-only=on -machine q35,pflash0=p",
	 "-drive file=@/code.fd,format=raw,readonly=on,if=pflash,unit=0 -machine q35,hpet=off -nodefaults"},
	{"-object iothread,id=io -drive file=a.img,if=none,id=d -device virtio-blk-pci,drive=d,iothread=io",
	 "-object iothread,id=io -drive file=/r/d.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive if=none,id=d,driver=blkreplay,image=dv-img0 -device virtio-blk-pci,drive=d"},
	{"-netdev user,id=n,hostfwd=tcp::2222-:22 -device virtio-net-pci,netdev=n,guest_announce=on",
	 "-netdev user,id=n -object filter-replay,id=dv-rr0,netdev=n -device virtio-net-pci,netdev=n" VIRTIO},
	{"-netdev user,id=n,hostfwd=tcp::2222-:22 -device rtl8139,netdev=n",
	 "-netdev user,id=n,hostfwd=tcp::2222-:22 -object filter-replay,id=dv-rr0,netdev=n -device rtl8139,netdev=n"},
	{"-netdev user,id=n,hostfwd=tcp::x-:22 -device virtio-net-pci,netdev=n,tx=bh",
	 "-netdev user,id=n,hostfwd=tcp::x-:22 -object filter-replay,id=dv-rr0,netdev=n -device virtio-net-pci,netdev=n" VIRTIO},
	{"-netdev {\"type\":\"user\",\"id\":\"n\",\"hostfwd\":[{\"str\":\"tcp::1-:2\"}],\"net\":\"10.1.0.0/16\"} -device e1000,netdev=n",
	 "-netdev {\"type\":\"user\",\"id\":\"n\",\"net\":\"10.1.0.0/16\"} -object filter-replay,id=dv-rr0,netdev=n -device virtio-net-pci,netdev=n" VIRTIO},
	{"-net nic,model=virtio -net user,hostfwd=udp:127.0.0.1:1-:2",
	 "-net nic,model=virtio,netdev=dv-net -netdev user,id=dv-net -object filter-replay,id=dv-rr0,netdev=dv-net" VIRTIO},
	{"-netdev user,id=n -device rtl8139,netdev=n",
	 "-netdev user,id=n -object filter-replay,id=dv-rr0,netdev=n -device rtl8139,netdev=n"},
	{"-netdev user,id=n -device e1000,netdev=n,mac=52:54:00:00:00:01",
	 "-netdev user,id=n -object filter-replay,id=dv-rr0,netdev=n -device virtio-net-pci,netdev=n,mac=52:54:00:00:00:01" VIRTIO},
	{"-nic user",
	 "-netdev user,id=dv-net0 -object filter-replay,id=dv-rr0,netdev=dv-net0 -net nic,netdev=dv-net0,model=virtio-net-pci" VIRTIO},
	{"-nic user,model=virtio,mac=52:54:00:00:00:01,hostfwd=tcp::2222-:22",
	 "-netdev user,id=dv-net0 -object filter-replay,id=dv-rr0,netdev=dv-net0 -net nic,netdev=dv-net0,macaddr=52:54:00:00:00:01,model=virtio" VIRTIO},
	{"-nic none",
	 "-nic none"},
	{"-nic user -nic user,model=rtl8139",
	 "-netdev user,id=dv-net0 -object filter-replay,id=dv-rr0,netdev=dv-net0 -net nic,netdev=dv-net0,model=virtio-net-pci -netdev user,id=dv-net1 -object filter-replay,id=dv-rr1,netdev=dv-net1 -net nic,netdev=dv-net1,model=rtl8139" VIRTIO},
	{"-net nic,model=rtl8139 -net user",
	 "-net nic,model=rtl8139,netdev=dv-net -netdev user,id=dv-net -object filter-replay,id=dv-rr0,netdev=dv-net"},
	{"-net none",
	 "-net none"},
	{"-net user",
	 ""},
	{"-netdev tap,id=t,ifname=tap0,script=no -device virtio-net-pci,netdev=t",
	 "-netdev tap,id=t,ifname=tap0,script=no,vnet_hdr=off -object filter-replay,id=dv-rr0,netdev=t -device virtio-net-pci,netdev=t" VIRTIO},
	{"-serial stdio",
	 "-chardev stdio,signal=off,id=dv-console,logfile=/r/console.log -serial chardev:dv-console"},
	{"-serial mon:stdio",
	 "-chardev stdio,signal=off,id=dv-console,logfile=/r/console.log -serial chardev:dv-console"},
	{"-serial file:out.txt",
	 "-chardev file,path=out.txt,id=dv-console,logfile=/r/console.log -serial chardev:dv-console"},
	{"-serial null",
	 "-chardev null,id=dv-console,logfile=/r/console.log -serial chardev:dv-console"},
	{"-serial none",
	 "-serial none"},
	{"-serial unix:/s,server=on,wait=off",
	 "-chardev socket,path=/s,server=on,wait=off,id=dv-console,logfile=/r/console.log -serial chardev:dv-console"},
	{"-serial tcp::4444,server,nowait",
	 "-chardev socket,port=4444,server=on,wait=off,id=dv-console,logfile=/r/console.log -serial chardev:dv-console"},
	{"-serial pty",
	 "-chardev pty,id=dv-console,logfile=/r/console.log -serial chardev:dv-console"},
	{"-serial udp::1",
	 "-serial udp::1"},
	{"-serial null -serial stdio",
	 "-chardev null,id=dv-console,logfile=/r/console.log -serial chardev:dv-console -serial stdio"},
	{"-chardev stdio,id=c,mux=on,signal=off -serial chardev:c -mon chardev=c",
	 "-chardev stdio,id=c,signal=off,logfile=/r/console.log -serial chardev:c"},
	{"-chardev socket,id=c,path=/s,server=on -serial chardev:c",
	 "-chardev socket,id=c,path=/s,server=on,logfile=/r/console.log -serial chardev:c"},
	{"-chardev socket,id=q,path=/q,server=on,wait=off -mon chardev=q,mode=control",
	 "-chardev socket,id=q,path=/q,server=on,wait=off -mon chardev=q,mode=control"},
	{"-chardev socket,id=g,path=/g,server=on -device virtio-serial -device virtserialport,chardev=g",
	 "-chardev null,id=g -device virtio-serial -device virtserialport,chardev=g"},
	{"-chardev stdio,id=c -device virtio-serial -device virtconsole,chardev=c",
	 "-chardev file,id=c,path=/r/console.log -device virtio-serial -device virtconsole,chardev=c"},
	{"-nographic",
	 "-nographic -monitor none"},
	{"-display none",
	 "-display none"},
	{"-display gtk",
	 "-display gtk"},
	{"-vnc :1",
	 "-vnc :1"},
	{"-monitor unix:/m,server=on,wait=off",
	 "-monitor unix:/m,server=on,wait=off"},
	{"-monitor stdio",
	 "-monitor stdio"},
	{"-icount shift=5",
	 ""},
	{"-icount 3,sleep=off -hda a.img",
	 "-drive file=/r/hda.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive index=0,media=disk,driver=blkreplay,image=dv-img0"},
	{"-S -s -gdb tcp::99 -D log -d int",
	 "-S -s -gdb tcp::99 -D log -d int"},
	{"-plugin other.so,x=1",
	 "-plugin other.so,x=1"},
	{"-object rng-random,id=r,filename=/dev/urandom",
	 "-object rng-builtin,id=r"},
	{"-fw_cfg name=opt/x,file=a.img",
	 "-fw_cfg name=opt/x,file=@/a.img"},
	{"-bios bios-256k.bin",
	 "-bios bios-256k.bin"},
	{"-bios code.fd",
	 "-bios @/code.fd"},
	{"-audiodev alsa,id=a",
	 "-audiodev alsa,id=a"},
	{"-rtc base=utc,clock=vm",
	 "-rtc base=utc,clock=vm"},
	{"-name a%b",
	 "-name a%b"},
	{"-new-option value -m 1G",
	 "-new-option value -m 1G"},
	{"-pidfile p",
	 "-pidfile p"},
	{"qemu-system-x86_64",
	 "-netdev user,id=dv-net0 -object filter-replay,id=dv-rr0,netdev=dv-net0 -net nic,netdev=dv-net0,model=virtio-net-pci" VIRTIO " -chardev vc,id=dv-console,logfile=/r/console.log -serial chardev:dv-console"},
	{"qemu-system-x86_64 -nographic",
	 "-nographic -netdev user,id=dv-net0 -object filter-replay,id=dv-rr0,netdev=dv-net0 -net nic,netdev=dv-net0,model=virtio-net-pci" VIRTIO " -chardev stdio,signal=off,id=dv-console,logfile=/r/console.log -serial chardev:dv-console -monitor none"},
	{"qemu-system-x86_64 -nographic -M q35 -kernel vmlinuz -nic none",
	 "-machine q35,hpet=off -nographic -kernel @/vmlinuz -nic none -chardev stdio,signal=off,id=dv-console,logfile=/r/console.log -serial chardev:dv-console -monitor none"},
	{"qemu-system-x86_64 -display none -serial none",
	 "-serial none -netdev user,id=dv-net0 -object filter-replay,id=dv-rr0,netdev=dv-net0 -net nic,netdev=dv-net0,model=virtio-net-pci" VIRTIO " -display none"},
	{"qemu-system-aarch64 -M virt -cpu max -nographic -kernel vmlinuz",
	 "-machine virt -cpu max -nographic -kernel @/vmlinuz -netdev user,id=dv-net0 -object filter-replay,id=dv-rr0,netdev=dv-net0 -net nic,netdev=dv-net0" VIRTIO " -chardev stdio,signal=off,id=dv-console,logfile=/r/console.log -serial chardev:dv-console -monitor none"},
	{"/opt/bin/qemu-system-riscv64 -M virt -nographic -drive file=a.img,if=none,id=d -device virtio-blk-device,drive=d",
	 "-machine virt -nographic -drive file=/r/d.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive if=none,id=d,driver=blkreplay,image=dv-img0 -device virtio-blk-device,drive=d -netdev user,id=dv-net0 -object filter-replay,id=dv-rr0,netdev=dv-net0 -net nic,netdev=dv-net0" VIRTIO " -chardev stdio,signal=off,id=dv-console,logfile=/r/console.log -serial chardev:dv-console -monitor none"},
};

/* The same kind of lines at replay: nothing of the host is touched. */
static const struct row replay_rows[] = {
	{"-hda a.img",
	 "-drive file=/r/hda.qcow2,format=qcow2,backing.driver=raw,backing.file.filename=@/a.img,if=none,id=dv-img0 -drive index=0,media=disk,driver=blkreplay,image=dv-img0 -display none -monitor none"},
	{"-netdev user,id=n,hostfwd=tcp::2222-:22 -device virtio-net-pci,netdev=n",
	 "-netdev user,id=n -object filter-replay,id=dv-rr0,netdev=n -device virtio-net-pci,netdev=n" VIRTIO " -display none -monitor none"},
	{"-nic tap,ifname=t0,model=virtio",
	 "-netdev user,id=dv-net0 -object filter-replay,id=dv-rr0,netdev=dv-net0 -net nic,netdev=dv-net0,model=virtio" VIRTIO " -display none -monitor none"},
	{"-serial mon:stdio",
	 "-chardev null,id=dv-console -serial chardev:dv-console -display none -monitor none"},
	{"-serial unix:/s,server=on",
	 "-chardev null,id=dv-console -serial chardev:dv-console -display none -monitor none"},
	{"-serial null -serial tcp::44,server=on",
	 "-chardev null,id=dv-console -serial chardev:dv-console -serial null -display none -monitor none"},
	{"-chardev socket,id=c,path=/s,server=on -serial chardev:c",
	 "-chardev null,id=c -serial chardev:c -display none -monitor none"},
	{"-chardev file,id=f,path=o -device virtio-serial -device virtconsole,chardev=f",
	 "-chardev null,id=f -device virtio-serial -device virtconsole,chardev=f -display none -monitor none"},
	{"-qmp unix:/q,server=on -monitor stdio -gdb tcp::1 -S -s -pidfile p",
	 "-display none -monitor none"},
	{"-vnc :1 -full-screen",
	 "-display none -monitor none"},
	{"-display none",
	 "-display none -monitor none"},
	{"-audiodev alsa,id=a -device intel-hda",
	 "-audiodev none,id=a -device intel-hda -display none -monitor none"},
	{"-plugin other.so",
	 "-display none -monitor none"},
	{"-D log -d int -trace x",
	 "-display none -monitor none"},
	{"qemu-system-x86_64 -nographic -kernel vmlinuz",
	 "-nographic -kernel @/vmlinuz -netdev user,id=dv-net0 -object filter-replay,id=dv-rr0,netdev=dv-net0 -net nic,netdev=dv-net0,model=virtio-net-pci" VIRTIO " -chardev null,id=dv-console -serial chardev:dv-console -monitor none"},
};

/* While recording without a terminal. */
static const struct row quiet_rows[] = {
	{"-serial stdio",
	 "-chardev file,id=dv-console,path=/r/console.log -serial chardev:dv-console -display none -monitor none"},
	{"-serial stdio -monitor stdio",
	 "-chardev file,id=dv-console,path=/r/console.log -serial chardev:dv-console -display none -monitor none"},
	{"-display gtk",
	 "-display none -monitor none"},
	{"qemu-system-x86_64 -nographic -nic none",
	 "-nographic -nic none -chardev file,id=dv-console,path=/r/console.log -serial chardev:dv-console -monitor none"},
};

static const struct {
	const char *in;
	enum dv_error_code code;
	const char *message;
} refused[] = {
	{"-smp 2", DV_ERROR_UNSUPPORTED,
	 "-smp 2 cannot be recorded: QEMU records one CPU only; use -smp 1 (without recording, the plugin alone traces several)"},
	{"-smp cpus=4", DV_ERROR_UNSUPPORTED,
	 "-smp cpus=4 cannot be recorded: QEMU records one CPU only; use -smp 1 (without recording, the plugin alone traces several)"},
	{"-smp sockets=2,cores=2", DV_ERROR_UNSUPPORTED,
	 "-smp sockets=2,cores=2 cannot be recorded: QEMU records one CPU only; use -smp 1 (without recording, the plugin alone traces several)"},
	{"-snapshot -hda a.img", DV_ERROR_UNSUPPORTED,
	 "-snapshot cannot be recorded: QEMU cannot record with it; leave it out: a recording never writes your images anyway"},
	{"-drive file=a.img,snapshot=on", DV_ERROR_UNSUPPORTED,
	 "-drive snapshot=on cannot be recorded: QEMU cannot record with it; leave it out: a recording never writes your images anyway"},
	{"-netdev tap,id=t,vhost=on", DV_ERROR_UNSUPPORTED,
	 "-netdev vhost cannot be recorded: packets go past QEMU and are not recorded; use vhost=off"},
	{"-netdev vhost-user,id=v,chardev=c", DV_ERROR_UNSUPPORTED,
	 "-netdev vhost-user cannot be recorded: packets go past QEMU and are not recorded; use -netdev user or tap without vhost"},
	{"-device vhost-vsock-pci,guest-cid=3", DV_ERROR_UNSUPPORTED,
	 "-device vhost-vsock-pci cannot be recorded: it goes past QEMU and is not recorded; use the virtio device without vhost"},
	{"-netdev bridge,id=b", DV_ERROR_UNSUPPORTED,
	 "-netdev bridge cannot be recorded: its packet headers differ at replay; use -netdev user, or tap,ifname=...,script=no"},
	{"-net nic -net nic -net user", DV_ERROR_UNSUPPORTED,
	 "-net nic cannot be recorded: several of them meet in one hub, which is not recorded; use one -nic for each"},
	{"-virtfs local,path=/,mount_tag=x", DV_ERROR_UNSUPPORTED,
	 "-virtfs cannot be recorded: what the guest reads from a shared host directory is not recorded; put the files into a disk image or the initrd"},
	{"-fsdev local,id=f,path=/", DV_ERROR_UNSUPPORTED,
	 "-fsdev cannot be recorded: what the guest reads from a shared host directory is not recorded; put the files into a disk image or the initrd"},
	{"-device virtio-9p-pci,fsdev=f", DV_ERROR_UNSUPPORTED,
	 "-device virtio-9p-pci cannot be recorded: what the guest reads from a shared host directory is not recorded; put the files into a disk image or the initrd"},
	{"-device vfio-pci,host=01:00.0", DV_ERROR_UNSUPPORTED,
	 "-device vfio-pci cannot be recorded: what a device of the host does is not recorded; use an emulated device"},
	{"-device usb-host,vendorid=1", DV_ERROR_UNSUPPORTED,
	 "-device usb-host cannot be recorded: what a device of the host does is not recorded; use an emulated device"},
	{"-rtc base=localtime", DV_ERROR_UNSUPPORTED,
	 "-rtc base=localtime cannot be recorded: QEMU cannot replay it; use base=utc and set the guest's time zone"},
	{"-loadvm s", DV_ERROR_UNSUPPORTED,
	 "-loadvm cannot be recorded: a recording starts when the machine starts; leave it out and let the guest boot"},
	{"-incoming tcp::1", DV_ERROR_UNSUPPORTED,
	 "-incoming cannot be recorded: a recording starts when the machine starts, it cannot take over another's; leave it out and let the guest boot"},
	{"-daemonize", DV_ERROR_UNSUPPORTED,
	 "-daemonize cannot be recorded: the recorder has to see QEMU end; leave it out and put the whole command into the background with &"},
	{"-icount shift=1,rr=record,rrfile=x", DV_ERROR_UNSUPPORTED,
	 "-icount shift=1,rr=record,rrfile=x cannot be recorded: the recorder sets rr=, rrfile= and rrsnapshot= itself; leave them out"},
	{"-icount shift=2,align=on", DV_ERROR_UNSUPPORTED,
	 "-icount align=on cannot be recorded: it needs the host's clock; leave it out"},
	{"-plugin /usr/lib/libdejaview-plugin.so,max_depth=3", DV_ERROR_UNSUPPORTED,
	 "-plugin /usr/lib/libdejaview-plugin.so cannot be recorded: the recorder loads it itself; leave it out and give its options to the recorder"},
	{"-readconfig f", DV_ERROR_UNSUPPORTED,
	 "-readconfig cannot be recorded: what a configuration file adds cannot be checked; give its settings as options"},
	{"-accel xen", DV_ERROR_UNSUPPORTED,
	 "-accel xen cannot be recorded: only TCG can record; use -accel tcg, or leave it out"},
	{"-machine none", DV_ERROR_UNSUPPORTED,
	 "-machine none cannot be recorded: there is nothing in it to record; choose pc, q35 or virt"},
	{"-machine q35,accel=qtest", DV_ERROR_UNSUPPORTED,
	 "-machine accel= qtest cannot be recorded: only TCG can record; use -accel tcg, or leave it out"},
	{"-hda nbd://host/x", DV_ERROR_UNSUPPORTED,
	 "-hda nbd://host/x cannot be recorded: it is no local file, and what it holds may change; make a local copy with qemu-img convert and use that"},
	{"-drive file=fat:/tmp", DV_ERROR_UNSUPPORTED,
	 "-drive fat:/tmp cannot be recorded: it is no local file, and what it holds may change; make a local copy with qemu-img convert and use that"},
	{"-hda /dev/null", DV_ERROR_UNSUPPORTED,
	 "-hda /dev/null cannot be recorded: it is no regular file, and what it holds may change; make a copy with qemu-img convert and use that"},
	{"-hda missing.img", DV_ERROR_NOT_FOUND,
	 "-hda missing.img: no such file"},
	{"-kernel missing", DV_ERROR_NOT_FOUND,
	 "-kernel missing: no such file"},
	{"-drive file=a.img,copy_on=x", DV_ERROR_UNSUPPORTED,
	 "-drive copy_on cannot be recorded: it is not known how it records; give the drive as -drive file=...,format=...,if=..."},
	{"-blockdev nbd,node-name=n,server.path=/s -device virtio-blk-pci,drive=n", DV_ERROR_UNSUPPORTED,
	 "-blockdev n cannot be recorded: driver nbd cannot be recorded; use a format (raw, qcow2...) on a local file, or -drive file=..."},
	{"-serial /dev/ttyS0", DV_ERROR_UNSUPPORTED,
	 "-serial /dev/ttyS0 cannot be recorded: a device of the host cannot be recorded; use stdio, a file or a socket"},
	{"-chardev tty,id=t,path=/dev/ttyS0", DV_ERROR_UNSUPPORTED,
	 "-chardev tty cannot be recorded: a device of the host cannot be recorded; use stdio, a file or a socket"},
	{"-spice port=1", DV_ERROR_UNSUPPORTED,
	 "-spice cannot be recorded: its devices need the client at replay too; use -vnc, -display or -nographic"},
	{"-device qxl", DV_ERROR_UNSUPPORTED,
	 "-device qxl cannot be recorded: it needs a SPICE client at replay too; use -vga std"},
	{"-device ivshmem-plain", DV_ERROR_UNSUPPORTED,
	 "-device ivshmem-plain cannot be recorded: what others write to shared memory is not recorded; leave it out"},
	{"-tpmdev passthrough,id=t", DV_ERROR_UNSUPPORTED,
	 "-tpmdev cannot be recorded: what a TPM outside QEMU answers is not recorded; leave the TPM out"},
	{"-h", DV_ERROR_UNSUPPORTED,
	 "-h cannot be recorded: it only prints and ends: there is nothing to record"},
	{"-m", DV_ERROR_INVALID,
	 "-m needs an argument"},
	{"qemu-x86_64 ls", DV_ERROR_UNSUPPORTED,
	 "qemu-x86_64 is no qemu-system-*: give a whole QEMU command line, qemu-system-x86_64 and its options, behind --"},
	{"qemu-img info", DV_ERROR_UNSUPPORTED,
	 "qemu-img is no qemu-system-*: give a whole QEMU command line, qemu-system-x86_64 and its options, behind --"},
	{"qemu-system-vax", DV_ERROR_UNSUPPORTED,
	 "qemu-system-vax: this architecture is not known here; qemu-system-x86_64 is"},
	{"-device {bad", DV_ERROR_INVALID,
	 "\"{bad\" is no valid JSON: string or '}' expected near 'bad'"},
	{"-blockdev raw,file=x", DV_ERROR_INVALID,
	 "-blockdev needs node-name="},
};

/* A directory with the files that the rows name, all of them empty. */
static const char *files_dir(void)
{
	static const char *const names[] = {"a.img", "b.qcow2", "vmlinuz", "initrd.gz", "d.iso",
					    "code.fd", "vars.fd", "x,y.img", "50%.img"};
	const char *dir = test_dir();

	for (size_t i = 0; i < DV_ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = dv_path_join(dir, names[i]);

		CHECK_OK(dv_replace_file(path, "", 0, 0644));
	}
	return dir;
}

static void check_rows(const struct row *rows, size_t len, const struct dv_qemu_run *run)
{
	const char *dir = files_dir();

	for (size_t i = 0; i < len; i++) {
		_cleanup_free_ char *out = NULL;
		struct dv_error *err = render(rows[i].in, dir, run, &out);

		if (err)
			test_fail(__FILE__, __LINE__, "%s: %s", rows[i].in, err->message);
		if (strcmp(out, rows[i].out))
			test_fail(__FILE__, __LINE__, "%s gives\n#   %s, not\n#   %s", rows[i].in, out,
				  rows[i].out);
	}
}

TEST(record)
{
	check_rows(record_rows, DV_ARRAY_SIZE(record_rows),
		   &(struct dv_qemu_run){.mode = DV_QEMU_RECORD, .folder = "/r"});
}

TEST(replay)
{
	check_rows(replay_rows, DV_ARRAY_SIZE(replay_rows),
		   &(struct dv_qemu_run){.mode = DV_QEMU_REPLAY, .folder = "/r"});
}

TEST(record_without_terminal)
{
	check_rows(quiet_rows, DV_ARRAY_SIZE(quiet_rows),
		   &(struct dv_qemu_run){.mode = DV_QEMU_RECORD, .folder = "/r", .no_terminal = true});
}

TEST(refused)
{
	const struct dv_qemu_run run = {.folder = "/r"};
	const char *dir = files_dir();

	for (size_t i = 0; i < DV_ARRAY_SIZE(refused); i++) {
		_cleanup_free_ char *out = NULL;
		_cleanup_error_ struct dv_error *err = render(refused[i].in, dir, &run, &out);

		if (!err)
			test_fail(__FILE__, __LINE__, "%s is not refused: %s", refused[i].in, out);
		CHECK_STR(err->message, refused[i].message);
		CHECK_EQ(err->code, refused[i].code);
	}
}

/* The plan of a line with everything in it. */
static struct dv_qemu_plan *rich_plan(void)
{
	struct dv_qemu_plan *plan;

	CHECK_OK(plan_of("qemu-system-x86_64 -m 1.5G -nographic -kernel vmlinuz -hda a.img -cdrom d.iso "
			 "-name 50% -qmp unix:/q", files_dir(), &plan));
	return plan;
}

static char *whole(const struct dv_qemu_plan *plan, const struct dv_qemu_run *run)
{
	char **argv, *text;

	CHECK_OK(dv_qemu_plan_argv(plan, run, &argv));
	text = joined(argv, plan->directory);
	dv_strv_free(argv);
	return text;
}

TEST(a_run_has_its_own_sockets_plugin_and_snapshot)
{
	_cleanup_qemu_plan_ struct dv_qemu_plan *plan = NULL;
	_cleanup_free_ char *text = NULL;
	const char *const options[] = {"out=/t,1", "max_depth=3", NULL};
	const struct dv_qemu_run run = {
		.mode = DV_QEMU_REPLAY, .folder = "/f,1", .binary = "/other/qemu", .disks = "/copy",
		.snapshot = "s3", .plugin = "/p,.so", .plugin_options = options, .qmp_socket = "/q,1",
		.gdb_socket = "/g", .console = "/c", .paused = true};

	CHECK_OK(plan_of("-serial stdio", "/nowhere", &plan));
	text = whole(plan, &run);
	cut(text, " /other/qemu -icount shift=auto,rr=replay,rrfile=/f,,1/rr.log,rrsnapshot=s3 "
		  "-drive file=/copy/snapshots.qcow2,format=qcow2,if=none,id=dv-snapshots "
		  "-machine hpet=off -nodefaults", false);
	CHECK_STR(text, " -chardev file,id=dv-console,path=/c -serial chardev:dv-console -display none "
			"-monitor none -global apic-common.vapic=off -plugin /p,,.so,out=/t,,1,max_depth=3 "
			"-chardev socket,id=dv-qmp,path=/q,,1,server=on,wait=off -mon chardev=dv-qmp,mode=control "
			"-chardev socket,id=dv-gdb,path=/g,server=on,wait=off -gdb chardev:dv-gdb -S");
}

TEST(what_cannot_be_restored_is_replayed_from_its_power_on)
{
	_cleanup_qemu_plan_ struct dv_qemu_plan *plan = NULL, *again = NULL;
	_cleanup_free_ char *recorded = NULL, *replayed = NULL;
	struct dv_qemu_run run = {.mode = DV_QEMU_RECORD, .folder = "/f"};
	json_t *json;

	CHECK_OK(plan_of("-device virtio-serial-pci -device virtio-serial", "/nowhere", &plan));
	CHECK(plan->cannot_restore);
	CHECK_OK(dv_qemu_plan_to_json(plan, &json));
	CHECK_OK(dv_qemu_plan_from_json(json, &again));
	json_decref(json);
	recorded = whole(again, &run);
	CHECK(strstr(recorded, "rr=record,rrfile=/f/rr.log,rrsnapshot="));
	run.mode = DV_QEMU_REPLAY;
	replayed = whole(again, &run);
	CHECK(strstr(replayed, "rr=replay,rrfile=/f/rr.log "));
}

TEST(virtual_time_runs_ahead_only_without_disk_and_network)
{
	static const struct row rows[] = {
		{"-M q35", "shift=auto,sleep=off"}, {"-M pc", "shift=auto"}, {"-m 1", "shift=auto"},
		{"-M q35 -serial stdio", "shift=auto"}, {"-M q35 -serial file:x", "shift=auto,sleep=off"}, {"-M q35 -hda a.img", "shift=auto"}, {"-M q35 -nic user", "shift=auto"},
		{"-icount shift=3", "shift=3"}, {"-icount 3,sleep=off -hda a.img", "shift=3,sleep=off"},
		{"-icount sleep=on", "shift=auto,sleep=on"}, {"-M q35 -net none", "shift=auto,sleep=off"},
	};

	for (size_t i = 0; i < DV_ARRAY_SIZE(rows); i++) {
		_cleanup_qemu_plan_ struct dv_qemu_plan *plan = NULL;

		CHECK_OK(plan_of(rows[i].in, files_dir(), &plan));
		CHECK_STR(plan->icount, rows[i].out);
	}
}

TEST(without_input_idle_time_is_skipped)
{
	_cleanup_qemu_plan_ struct dv_qemu_plan *plan = NULL, *disk = NULL;

	CHECK_OK(plan_of("-M q35 -serial stdio", files_dir(), &plan));
	CHECK_STR(plan->icount, "shift=auto");
	CHECK_OK(dv_qemu_plan_no_input(plan));
	CHECK_STR(plan->icount, "shift=auto,sleep=off");
	CHECK_OK(plan_of("-M q35 -serial stdio -hda a.img", files_dir(), &disk));
	CHECK_OK(dv_qemu_plan_no_input(disk));
	CHECK_STR(disk->icount, "shift=auto");
}

TEST(a_plan_says_what_it_changed_and_what_it_reads)
{
	_cleanup_qemu_plan_ struct dv_qemu_plan *plan = rich_plan();

	CHECK_EQ(plan->notes_len, 8);
	CHECK_STR(plan->notes[0], "HPET off: a replay from a snapshot would hang with it");
	CHECK_STR(strrchr(plan->notes[1], '/'), "/a.img: through blkreplay, on an overlay of its own, your "
						"image is not written");
	CHECK_STR(plan->notes[7], "vAPIC off: going back to a snapshot would hang with it");
	CHECK_EQ(plan->memory_bytes, 1536ll << 20);
	CHECK_EQ(plan->files_len, 1);
	CHECK_STR(plan->files[0].role, "kernel");
	CHECK_EQ(plan->images_len, 2);
	CHECK_STR(plan->images[0].name, "hda");
	CHECK_STR(plan->images[0].overlay, "hda.qcow2");
	CHECK_STR(plan->images[1].name, "cdrom");
	CHECK(!plan->images[1].overlay);
	CHECK(plan->has_console && plan->has_network);
}

TEST(a_plan_comes_back_from_json)
{
	_cleanup_qemu_plan_ struct dv_qemu_plan *plan = rich_plan(), *back = NULL;
	json_t *json, *again;

	plan->files[0].stored = strdup("vmlinuz");
	free(plan->images[1].path);
	plan->images[1].path = strdup("copy.iso");
	CHECK_OK(dv_qemu_plan_to_json(plan, &json));
	CHECK_OK(dv_qemu_plan_from_json(json, &back));
	CHECK_OK(dv_qemu_plan_to_json(back, &again));
	CHECK(json_equal(json, again));
	for (int i = 0; i < 4; i++) {
		const struct dv_qemu_run run = {.mode = i & 1 ? DV_QEMU_REPLAY : DV_QEMU_RECORD, .folder = "/f",
						.no_terminal = i & 2, .console = i & 2 ? "/c" : NULL};
		_cleanup_free_ char *a = whole(plan, &run), *b = whole(back, &run);

		CHECK_STR(a, b);
		CHECK(strstr(a, "-kernel /f/vmlinuz") && strstr(a, "file=/f/copy.iso,"));
		CHECK(strstr(a, "-name 50%"));
	}
	json_decref(json);
	json_decref(again);
}

TEST(a_damaged_plan_is_an_error)
{
	_cleanup_qemu_plan_ struct dv_qemu_plan *plan = rich_plan(), *bad = NULL;
	json_t *json, *image;

	CHECK_OK(dv_qemu_plan_to_json(plan, &json));
	image = json_array_get(json_object_get(json, "images"), 0);
	json_object_set_new(image, "overlay", json_string("../../etc/passwd"));
	CHECK_ERROR(dv_qemu_plan_from_json(json, &bad), DV_ERROR_FORMAT,
		    "the plan's \"overlay\" is not a file name in the recording");
	json_object_set_new(json, "args", json_pack("[[s, i]]", "-m", 5));
	json_object_set_new(json, "images", json_array());
	CHECK_ERROR(dv_qemu_plan_from_json(json, &bad), DV_ERROR_FORMAT,
		    "the plan's \"args\" is not an array of options");
	json_object_del(json, "binary");
	CHECK_ERROR(dv_qemu_plan_from_json(json, &bad), DV_ERROR_FORMAT,
		    "the plan's \"binary\" is not a string");
	json_decref(json);
}

TEST(versions)
{
	struct dv_qemu_version version;

	CHECK_OK(dv_qemu_version_parse("q", "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright",
				       &version));
	CHECK_EQ(version.major * 10000 + version.minor * 100 + version.micro, 100002);
	CHECK_STR(version.text, "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)");
	dv_qemu_version_deinit(&version);
	CHECK_OK(dv_qemu_version_parse("q", "QEMU emulator version 9.2.0", &version));
	dv_qemu_version_deinit(&version);
	CHECK_ERROR(dv_qemu_version_parse("q", "QEMU emulator version 7.2.17 (Debian)\n", &version),
		    DV_ERROR_UNSUPPORTED,
		    "q is QEMU 7.2.17; recording needs 9.2 or newer. On Debian 12: apt-get install -t "
		    "bookworm-backports qemu-system-x86 qemu-utils");
	CHECK_ERROR(dv_qemu_version_parse("ls", "ls (GNU coreutils) 9.1\nx", &version), DV_ERROR_FORMAT,
		    "ls is no QEMU system emulator: -version says \"ls (GNU coreutils) 9.1\"");
	CHECK_ERROR(dv_qemu_probe("/no/such/qemu", &version), DV_ERROR_NOT_FOUND,
		    "/no/such/qemu: no such program: install QEMU (Debian's package qemu-system-x86), or name it with "
		    "--qemu");
}

static struct dv_process_options shell(char *const *argv)
{
	return (struct dv_process_options){.argv = argv};
}

#define SHELL(script) ((char *const[]){(char *)"sh", (char *)"-c", (char *)(script), NULL})

TEST(a_process_says_how_it_ended)
{
	_cleanup_free_ char *err_path = dv_path_join(test_dir(), "err");
	struct dv_process_options options = shell(SHELL("echo one >&2; echo two >&2; exit 3"));
	struct dv_process process;
	bool ended;

	options.stderr_path = err_path;
	CHECK_OK(dv_process_start(&options, &process));
	CHECK_OK(dv_process_wait(&process, -1, &ended));
	CHECK(ended);
	CHECK_ERROR(dv_process_check(&process), DV_ERROR_EXITED, "sh exited with code 3: one\ntwo");
	dv_process_deinit(&process);
	options.argv = SHELL("kill -9 $$");
	CHECK_OK(dv_process_start(&options, &process));
	CHECK_OK(dv_process_wait(&process, -1, &ended));
	CHECK_ERROR(dv_process_check(&process), DV_ERROR_EXITED, "sh was killed by signal 9 (Killed)");
	dv_process_deinit(&process);
}

TEST(a_process_is_stopped_even_when_it_will_not)
{
	struct dv_process_options options = shell(SHELL("trap '' TERM; echo ready; while :; do sleep 1; done"));
	struct dv_process process;
	int out[2];
	bool ended;
	char c;

	CHECK(!pipe2(out, O_CLOEXEC));
	options.stdio[1] = out[1];
	CHECK_OK(dv_process_start(&options, &process));
	CHECK_EQ(read(out[0], &c, 1), 1); /* the trap is set */
	CHECK_OK(dv_process_wait(&process, 0, &ended));
	CHECK(!ended);
	dv_process_stop(&process, 10);
	CHECK(process.ended && WIFSIGNALED(process.status));
	CHECK_EQ(WTERMSIG(process.status), SIGKILL);
	dv_process_deinit(&process);
}

/* The child of a process that is killed dies too: its end of a pipe closes. */
TEST(a_process_dies_with_its_parent)
{
	int out[2], status;
	pid_t parent;
	char c;

	CHECK(!pipe2(out, O_CLOEXEC));
	parent = fork();
	CHECK(parent >= 0);
	if (!parent) {
		struct dv_process_options options = shell((char *const[]){(char *)"sleep", (char *)"1000", NULL});
		struct dv_process process;

		options.stdio[1] = out[1];
		if (dv_process_start(&options, &process))
			_exit(1);
		if (write(out[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	close(out[1]);
	CHECK_EQ(read(out[0], &c, 1), 1);
	kill(parent, SIGKILL);
	CHECK_EQ(waitpid(parent, &status, 0), parent);
	CHECK_EQ(read(out[0], &c, 1), 0);
}

TEST(a_process_gets_the_descriptors_it_should)
{
	_cleanup_buf_ struct dv_buf out = DV_BUF_INIT;
	_cleanup_close_ int kept = open("/dev/null", O_RDONLY), closed = open("/dev/null", O_RDONLY);
	struct dv_process process;
	struct dv_process_options options;
	char script[100];
	bool ended;

	snprintf(script, sizeof(script), "[ -e /proc/self/fd/%d ] && ! [ -e /proc/self/fd/%d ]", kept, closed);
	options = shell(SHELL(script));
	options.keep_fds = &kept;
	options.keep_fds_len = 1;
	CHECK_OK(dv_process_start(&options, &process));
	CHECK_OK(dv_process_wait(&process, -1, &ended));
	CHECK_OK(dv_process_check(&process));
	dv_process_deinit(&process);
	CHECK_OK(dv_process_run(SHELL("echo hello; pwd >/dev/null"), 100, &out));
	CHECK_EQ(out.len, 6);
	CHECK_ERROR(dv_process_run(SHELL("echo no >&2; false"), 100, NULL), DV_ERROR_EXITED,
		    "sh exited with code 1: no");
}

/* `cat` is the guest; a pipe is the keyboard, another the screen. */
TEST(a_terminal_carries_keys_and_knows_ctrl_a)
{
	struct dv_process_options options = shell((char *const[]){(char *)"cat", NULL});
	struct dv_process process;
	struct dv_terminal *terminal;
	int keys[2], screen[2];
	char text[200] = "";
	uint64_t asked = 0;
	bool ended;
	ssize_t len;

	CHECK(!pipe2(keys, O_CLOEXEC) && !pipe2(screen, O_CLOEXEC));
	CHECK_OK(dv_terminal_create(keys[0], screen[1], &terminal));
	dv_terminal_child_fds(terminal, &options.stdio[0], &options.stdio[1]);
	CHECK_OK(dv_process_start(&options, &process));
	CHECK_OK(dv_terminal_started(terminal));
	CHECK_EQ(read(dv_terminal_quit_fd(terminal), &asked, 8), -1);
	CHECK_EQ(write(keys[1], "one\001a\001\001two\001x", 12), 12);
	close(keys[1]); /* cat ends */
	CHECK_OK(dv_process_wait(&process, -1, &ended));
	CHECK_OK(dv_process_check(&process));
	CHECK_EQ(read(dv_terminal_quit_fd(terminal), &asked, 8), 8);
	dv_terminal_status(terminal, "no line on what is no terminal");
	dv_terminal_destroy(terminal);
	close(screen[1]);
	for (size_t at = 0; (len = read(screen[0], text + at, sizeof(text) - 1 - at)) > 0;)
		at += (size_t)len;
	CHECK_STR(text, "one\001\001two");
	dv_process_deinit(&process);
}

TEST(a_program_is_found_from_anywhere)
{
	static const struct row rows[] = {{"qemu-system-x86_64", "qemu-system-x86_64"},
					  {"./bin/qemu-system-x86_64", "/home/./bin/qemu-system-x86_64"},
					  {"/opt/qemu-system-x86_64", "/opt/qemu-system-x86_64"}};

	for (size_t i = 0; i < DV_ARRAY_SIZE(rows); i++) {
		_cleanup_qemu_plan_ struct dv_qemu_plan *plan = NULL;
		char *const argv[] = {(char *)rows[i].in, NULL};

		CHECK_OK(dv_qemu_plan_create(1, argv, "/home", &plan));
		CHECK_STR(plan->binary, rows[i].out);
	}
}
