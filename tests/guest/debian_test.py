#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole Debian as guest: q35 with qboot, 4 GB, systemd on an AHCI disk's first partition, user networking
with a forwarded port, QMP of the user's own. TAP, with figures in its comments.
  record    recorded by the tool, replayed, sought; and traced by the bare plugin with the names of a vmlinux
            with DWARF
  debug     what a debugging session has of so large a guest: checkpoints, seeks from them, gdb

usage: debian_test.py BUILD record|debug     with DEJAVIEW_TEST_KERNELS/6.12 (fetch-kernel --dbg) and
DEJAVIEW_TEST_GUESTS/debian.qcow2 with its .boot/ (check makes both)
"""
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1])
TOOL = os.path.join(BUILD, 'dejaview')
KERNELS = os.environ.get('DEJAVIEW_TEST_KERNELS', 'none')
DISK = os.path.join(os.environ.get('DEJAVIEW_TEST_GUESTS', 'none'), 'debian.qcow2')
VMLINUX = os.path.join(KERNELS, '6.12', 'vmlinux')
ANSWER_SECONDS = 600    # a limit, not an expectation
SEEKS = os.environ.get('DEJAVIEW_DEBIAN_SEEKS', '60')
PROBES = os.environ.get('DEJAVIEW_DEBIAN_PROBES', '15')
count = 0


def check(good, what, why=''):
    global count
    count += 1
    if not good:
        print(f'# {why}')
    print(f'{"ok" if good else "not ok"} {count} - {what}', flush=True)
    return good


def note(text):
    print(f'# {text}', flush=True)


def run(*args, timeout=3600):
    """Its output, or None after saying why not."""
    start = time.monotonic()
    done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                          check=False, errors='replace')
    if done.returncode:
        note(f'{" ".join(args)}: exit status {done.returncode}')
        for line in (done.stdout + done.stderr).splitlines()[-20:]:
            note('  ' + line)
        return None
    note(f'{os.path.basename(args[0])} {args[1]}: {time.monotonic() - start:.0f} s')
    return done.stdout


def digest(path):
    with open(path, 'rb') as f:
        return hashlib.file_digest(f, 'sha256').hexdigest()


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def boot_file(name):
    with open(os.path.join(KERNELS, '6.12', 'release'), encoding='ascii') as f:
        return os.path.join(DISK + '.boot', f'{name}-{f.read().strip()}')


class Debian:
    """The machine, as its user would start it, in a folder of its own."""

    def __init__(self, folder, disk, name):
        self.port = free_port()
        self.qmp = os.path.join(folder, name + '.qmp')
        self.log = os.path.join(folder, name + '.log')
        self.command = [
            'qemu-system-x86_64', '-machine', 'q35', '-bios', 'qboot.rom', '-m', '4G', '-nographic', '-no-reboot',
            '-kernel', boot_file('vmlinuz'), '-initrd', boot_file('initrd.img'),
            '-append', 'root=/dev/sda1 rw console=ttyS0 systemd.wants=ask.socket panic=-1',
            '-drive', f'file={disk},format=qcow2',
            '-nic', f'user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{self.port}-:7000',
            '-qmp', f'unix:{self.qmp},server=on,wait=off']
        self.process = None

    def start(self, *command):
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def ask(self, question):
        """Until the guest is up its port is closed, or answers nothing."""
        end = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with socket.create_connection(('127.0.0.1', self.port), 10) as s:
                    s.settimeout(ANSWER_SECONDS)
                    s.sendall(question.encode() + b'\n')
                    answer = b''.join(iter(lambda: s.recv(4096), b''))
                    if answer:
                        return answer.decode().strip()
            except OSError:
                pass
            time.sleep(0.5)
        return None

    def qmp_status(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(60)
            s.connect(self.qmp)
            lines = s.makefile('rw', encoding='utf-8')
            lines.readline()
            for command in ('qmp_capabilities', 'query-status'):
                lines.write(json.dumps({'execute': command}) + '\n')
                lines.flush()
                answer = json.loads(lines.readline())
            return answer['return']['status']

    def live(self):
        """What both ways of tracing must leave as it was: all of it works while it is traced."""
        root = self.ask('root')
        check(root == '/dev/sda1 ext4', 'its root is the partition /dev/sda1', root)
        check(self.qmp_status() == 'running', "the user's own QMP answers")
        check(self.ask('work') == '1', 'processes write files')
        check(self.ask('poweroff') == 'bye', 'it powers itself off')
        status = self.process.wait(ANSWER_SECONDS)
        with open(self.log, encoding='utf-8', errors='replace') as f:
            tail = f.read()[-2000:]
        return check(status == 0, 'it ends', f'exit status {status}: {tail}')

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def figures(trace, seconds):
    note(f'{seconds:.0f} s; {trace["last_icount"] / 1e9:.2f} G instructions, {trace["slices"] / 1e6:.1f} M slices, '
         f'{trace["bytes"] / 1e6:.0f} MB of trace, {trace["bytes"] / trace["slices"]:.2f} bytes per slice')


def threads_of(path):
    out = run(os.path.join(BUILD, 'tests/guest/trace-digest'), path, str(2**63 - 1)) or ''
    names = {line[7:] for line in out.splitlines() if line.startswith('thread ')}
    calls = {}
    for line in out.splitlines():
        if line.startswith('calls '):
            _, number, name = line.split(' ', 2)
            calls[name] = calls.get(name, 0) + int(number)
    return names, calls


WANTED_THREADS = {'swapper/0', 'kthreadd', 'systemd', 'systemd-journal', 'systemd-udevd', 'systemd-network',
                  'dbus-daemon', 'ask', 'sort', 'md5sum', 'systemctl'}


def check_trace(path):
    names, calls = threads_of(path)
    missing = WANTED_THREADS - names
    check(not missing, "systemd's processes and ours have their names", f'missing: {missing} in {sorted(names)}')
    check(calls.get('start_kernel') == 1 and calls.get('do_exit', 0) > 100, 'functions have theirs',
          f'start_kernel {calls.get("start_kernel")}, do_exit {calls.get("do_exit")}')


def recording_of(folder):
    """The path, what info says of it and how long it took; None when it did not come to its end."""
    recording = os.path.join(folder, 'debian.dejaview')
    guest = Debian(folder, DISK, 'record')
    start = time.monotonic()
    try:
        guest.start(TOOL, 'record', '-o', recording, '--', *guest.command)
        if not guest.live():
            return None
    finally:
        guest.end()
    seconds = time.monotonic() - start
    info = json.loads(run(TOOL, 'info', '--json', recording) or '{}')
    return (recording, info, seconds) if check('trace' in info, 'info reads the recording') else None


def recorded(folder):
    before = digest(DISK)
    made = recording_of(folder)
    if not made:
        return
    recording, info, seconds = made
    trace = os.path.join(recording, 'trace.dvtrace')
    figures(info['trace'], seconds)
    check(info['recording']['end']['how'] == 'guest-shutdown', 'it ended by the power-off', info['recording']['end'])
    check(info['trace']['finished'] and 'damage' not in info['trace'] and info['trace']['exact'],
          'the trace is whole and exact', info['trace'])
    check(info['trace']['last_icount'] > 5e9, 'of billions of instructions', info['trace']['last_icount'])
    check_trace(trace)
    check(digest(DISK) == before, "the user's image is as it was")

    out = run(os.path.join(BUILD, 'tests/replay/seek_test'), recording, PROBES, PROBES, '1') or ''
    exact = sum(line.startswith('ok') for line in out.splitlines())
    check(exact >= 2 * int(PROBES), f'{exact} slices, spread and next to interrupts, are sought exactly', out[-500:])
    again = os.path.join(folder, 'again.dvtrace')
    if check(run(TOOL, 'trace', '--quiet', '-o', again, recording) is not None, 'it is traced again'):
        check(run(os.path.join(BUILD, 'tests/replay/compare_traces'), recording, trace, again) is not None,
              'both traces hold the same events')


def checkpointed(folder):
    """The figures are larger than the demo's."""
    made = recording_of(folder)
    if not made:
        return
    recording = made[0]
    trace = os.path.join(recording, 'trace.dvtrace')
    check(run(TOOL, 'checkpoint', '--quiet', recording) is not None, 'checkpoints are made')
    there = json.loads(run(TOOL, 'checkpoint', '--list', '--json', recording) or '{}')
    if not check(there.get('complete') and len(there['checkpoints']) >= 10, 'up to the end', there):
        return
    saves = sorted(c['save_ms'] for c in there['checkpoints'])
    note(f'{len(saves)} checkpoints, {there["bytes"] / 2**20:.0f} MiB, one takes {saves[len(saves) // 2]} ms '
         f'(median; {saves[-1]} ms at most)')
    out = run(os.path.join(BUILD, 'bench/bench-seek'), recording, SEEKS)
    for line in (out or '').splitlines():
        note(line.split('aim')[0].rstrip())
    check(out is not None, f'{SEEKS} seeks, forward and backward, are exact')
    if check(run(TOOL, 'trace', '--quiet', '-j', '2', '-o', os.path.join(folder, 'segments.dvtrace'), recording)
             is not None, 'it is traced in segments'):
        check(run(os.path.join(BUILD, 'tests/replay/compare_traces'), recording, trace,
                  os.path.join(folder, 'segments.dvtrace')) is not None, 'which hold the same events')
    debugged(recording)


def debugged(recording):
    os.environ['DEJAVIEW_BUILD'] = BUILD
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'replay'))
    from session_faults import Debug
    start = time.monotonic()
    d = Debug('--call', 'vfs_read#5000', '--debug-info', VMLINUX, recording)
    note(f'to the prompt, with DWARF, at the 5000th vfs_read: {time.monotonic() - start:.1f} s')
    text = d.do('backtrace 3')
    check('vfs_read (file=' in text and 'fs/read_write.c:' in text, 'gdb stands at a call, with arguments and lines', text)
    text = d.do('dv bt')
    check('#0   vfs_read' in text, 'the exact stack', text)
    d.do('hbreak vfs_read')
    back, on = d.do('reverse-continue'), d.do('continue')
    check('Breakpoint 1' in back and 'Breakpoint 1' in on, 'a breakpoint stops backward and forward', back + on)
    text = d.do('dv seek end')
    end = json.loads(run(TOOL, 'info', '--json', recording))['recording']['end']['common_icount']
    check(f'icount {end} of' in d.do('dv when'), 'its end is a place', text)
    check(d.end() == 0, 'gdb ends', d.text[-500:])


def bare(folder):
    """The plugin alone, on the user's own command line and a copy of his image."""
    disk, trace = os.path.join(folder, 'bare.qcow2'), os.path.join(folder, 'bare.dvtrace')
    subprocess.run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', os.path.abspath(DISK), '-F', 'qcow2', disk],
                   check=True)
    guest = Debian(folder, disk, 'bare')
    plugin = [os.path.join(BUILD, 'libdejaview-plugin.so'), f'out={trace}', f'symbols_from={VMLINUX}',
              'min_insns=1000']
    start = time.monotonic()
    try:
        guest.start(*guest.command, '-icount', 'shift=auto', '-plugin', ','.join(plugin))
        if not guest.live():
            return
    finally:
        guest.end()
    seconds = time.monotonic() - start
    out = run(TOOL, 'info', '--json', trace)
    if not check(out is not None, 'info reads the bare trace'):
        return
    figures(json.loads(out), seconds)
    check_trace(trace)


def main(folder):
    if sys.argv[2] == 'record':
        recorded(folder)
        bare(folder)
    else:
        checkpointed(folder)
    print(f'1..{count}')


if not os.path.exists(VMLINUX) or not os.path.exists(DISK):
    print(f'1..0 # SKIP {VMLINUX} or {DISK} is missing: ./check --full makes them')
    sys.exit(0)
where = tempfile.mkdtemp(prefix='dejaview-test-')
try:
    main(where)
finally:
    shutil.rmtree(where, ignore_errors=True)
