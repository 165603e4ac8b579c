#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How recordings end: what is typed on the terminal is recorded and comes again in every replay, Ctrl-A X ends
a recording cleanly, and a disk that fills up leaves one that can be repaired. TAP.

usage: endings_test.py BUILD     with DEJAVIEW_TEST_KERNELS
"""
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1])
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
TOOL = os.path.join(BUILD, 'dejaview')
COMPARE = os.path.join(BUILD, 'tests/replay/compare_traces')
KERNEL = os.path.join(os.environ.get('DEJAVIEW_TEST_KERNELS', 'none'), '6.12', 'vmlinuz')
LIMIT_SECONDS = 240     # not an expectation
ASKING_INIT = '''#!/bin/sh
/bin/busybox mkdir -p /proc /dev /sbin
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t devtmpfs dev /dev
echo "what is it?"
read -r line
echo "it is <$line>"
poweroff -f
'''
count = failed = 0


def check(good, what, why=''):
    global count, failed
    count += 1
    if not good:
        failed += 1
        print('# ' + str(why).replace('\n', '\n# '))
    print(f'{"ok" if good else "not ok"} {count} - {what}', flush=True)
    return good


def run(*args):
    return subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', timeout=LIMIT_SECONDS, check=False)


def recording_of(recording, initrd, *options):
    return [TOOL, 'record', *options, '-o', recording, '--', 'qemu-system-x86_64', '-machine', 'q35', '-m', '256',
            '-nographic', '-no-reboot', '-net', 'none', '-kernel', KERNEL, '-initrd', initrd, '-append',
            'console=ttyS0 panic=-1']


class Terminal:
    """A program on a terminal of its own, as a user has it before him."""

    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.execv(command[0], command)
        self.seen = b''

    def wait_for(self, text):
        end = time.monotonic() + LIMIT_SECONDS
        while text not in self.seen and time.monotonic() < end:
            if select.select([self.fd], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.fd, 4096)
                except OSError:     # its last descriptor is closed
                    break
        return text in self.seen

    def type(self, text):
        os.write(self.fd, text)

    def end(self):
        """Its exit status, once all it says has been read."""
        self.wait_for(b'\0nothing says this')
        end = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        return 'still runs'


def info(recording):
    done = subprocess.run([TOOL, 'info', '--json', recording], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          timeout=LIMIT_SECONDS, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def typed(folder, initrd):
    recording = os.path.join(folder, 'typed.dejaview')
    terminal = Terminal(recording_of(recording, initrd))
    if not check(terminal.wait_for(b'what is it?'), 'the guest is on the terminal', terminal.seen[-500:]):
        return
    terminal.type(b'a word\r')
    check(terminal.wait_for(b'it is <a word>'), 'what is typed reaches it', terminal.seen[-500:])
    check(terminal.end() == 0, 'its power-off ends the recording', terminal.seen[-500:])
    again = os.path.join(folder, 'typed.dvtrace')
    done = run(TOOL, 'trace', '--quiet', '-o', again, recording)
    check(done.returncode == 0, 'it replays, with nobody at the keyboard', done.stdout)
    done = run(COMPARE, recording, os.path.join(recording, 'trace.dvtrace'), again)
    check(done.returncode == 0, 'with the same calls', done.stdout)


def left(folder, initrd):
    recording = os.path.join(folder, 'left.dejaview')
    terminal = Terminal(recording_of(recording, initrd))
    terminal.wait_for(b'what is it?')
    terminal.type(b'\x01x')
    check(terminal.end() == 0, 'Ctrl-A X ends a recording', terminal.seen[-500:])
    is_now = info(recording)
    how = is_now.get('recording', {}).get('end', {}).get('how')
    check(is_now.get('state') == 'complete' and how == 'user', 'it is complete, and says how it ended', (how, is_now))
    check(is_now.get('trace', {}).get('finished'), 'its trace is whole', is_now.get('trace_error'))
    done = run(TOOL, 'trace', '--quiet', '-o', os.path.join(folder, 'left.dvtrace'), recording)
    check(done.returncode == 0, 'it replays to its end', done.stdout)


def disk_full(folder, initrd):
    """On a file system of its own, which has room for the kernel and a few seconds."""
    small = os.path.join(folder, 'small')
    os.mkdir(small)
    room = os.path.getsize(KERNEL) + os.path.getsize(initrd) + (6 << 20)
    done = run('mount', '-t', 'tmpfs', '-o', f'size={room}', 'tmpfs', small)
    if done.returncode:
        print(f'# {done.stdout.strip()}')
        check(True, 'a full disk # SKIP nothing can be mounted here')
        return
    try:
        recording = os.path.join(small, 'full.dejaview')
        done = run(*recording_of(recording, os.path.join(folder, 'demo.gz'), '--quiet'))
        check(done.returncode == 1 and 'No space left on device' in done.stdout and 'make room' in done.stdout,
              'a disk that is full ends in an error with the way out', (done.returncode, done.stdout[-500:]))
        run('mount', '-o', f'remount,size={room + (64 << 20)}', small)
        is_now = info(recording)
        check(is_now.get('state') == 'repaired' and is_now['last_icount'] > 0, 'with room it is repaired', is_now)
        done = run(TOOL, 'trace', '--quiet', recording)
        check(done.returncode == 0, 'and replays to its cut', done.stdout)
        is_now = info(recording)
        missing = is_now.get('last_icount', 0) - is_now.get('trace', {}).get('last_icount', 0)
        check(0 <= missing < 1000, 'of which no call is missing in the trace', missing)
    finally:
        run('umount', small)


def main(folder):
    init, initrd = os.path.join(folder, 'init'), os.path.join(folder, 'ask.gz')
    with open(init, 'w', encoding='ascii') as f:
        f.write(ASKING_INIT)
    make = os.path.join(SOURCE, 'scripts/mkrootfs')
    for path, more in ((initrd, ['--workload', init]), (os.path.join(folder, 'demo.gz'), [])):
        subprocess.run([make, '--initramfs', path, *more], check=True, stdout=subprocess.DEVNULL)
    typed(folder, initrd)
    left(folder, initrd)
    disk_full(folder, initrd)
    print(f'1..{count}')


if not os.path.exists(KERNEL):
    print(f'1..0 # SKIP {KERNEL} is missing: ./check fetches it')
    sys.exit(0)
where = tempfile.mkdtemp(prefix='dejaview-test-')
try:
    main(where)
finally:
    shutil.rmtree(where, ignore_errors=True)
sys.exit(failed != 0)
