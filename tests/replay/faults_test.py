#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What can go wrong before and while a recording is replayed: each is said, in bounded time, and leaves no process
behind. Prints TAP."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'guest'))
import guest

DEJAVIEW = os.path.join(guest.BUILD, 'dejaview')
QEMU = shutil.which('qemu-system-x86_64')


def recording(folder):
    """Made once, with checkpoints. What a test changes is a copy's."""
    path = os.path.join(folder, 'r.dejaview')
    if not os.path.exists(path):
        init, initrd = guest.compile_golden(folder)[0], os.path.join(folder, 'initrd.gz')
        guest.initramfs(initrd, init)
        quiet = dict(check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run([DEJAVIEW, 'record', '--quiet', '--no-trace', '-o', path, '--', QEMU, '-m', '256', '-nographic',
                        '-no-reboot', '-net', 'none', '-kernel', guest.kernel('6.12'), '-initrd', initrd, '-append',
                        'console=ttyS0 panic=-1 quiet'], timeout=300, **quiet)
        subprocess.run([DEJAVIEW, 'checkpoint', '--quiet', '--interval', '2s', path], timeout=300, **quiet)
    return path


def copy(folder, checkpoints=True):
    path = os.path.join(folder, 'copy.dejaview')
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(recording(folder), path)
    if not checkpoints:
        shutil.rmtree(os.path.join(path, 'checkpoints'))
    return path


def fake_qemu(folder, script):
    path = os.path.join(folder, 'fake-qemu')
    with open(path, 'w') as f:
        f.write('#!/bin/sh\n' + script.replace('QEMU', QEMU) + '\n')
    os.chmod(path, 0o755)
    return path


def run(*args, **more):
    result = subprocess.run([DEJAVIEW, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150,
                            **more)
    return result.returncode, result.stdout + result.stderr


def using(path, program=''):
    """Processes whose command line or folder names it."""
    found = []
    for proc in glob.glob('/proc/[0-9]*'):
        try:
            command = open(proc + '/cmdline').read()
            state = open(proc + '/stat').read().rsplit(')', 1)[1].split()[0]
        except OSError:
            continue
        if path in command and program in command.split('\0')[0] and state != 'Z' and int(proc[6:]) != os.getpid():
            found.append(int(proc[6:]))
    return found


def fails_with(path, text, *args, **more):
    status, said = run(*args, **more)
    guest.check(status == 1 and text in said, f'exit code {status}, expected "{text}": {said[-500:]}')
    guest.check(not using(path), f'left behind: {using(path)}')


def last_icount(path):
    return json.load(open(os.path.join(path, 'manifest.json')))['end']['common_icount']


def qemu_is_missing(folder):
    r = recording(folder)
    for verb, more in (('debug', []), ('seek', ['1000']), ('trace', []), ('checkpoint', [])):
        fails_with(r, 'qemu-system-x86', verb, '--qemu', '/nonexistent/qemu', r, *more)


def qemu_is_another_version(folder):
    r = recording(folder)
    other = fake_qemu(folder, 'QEMU "$@" | sed "s/version [0-9.]*/version 9.9.9/"')
    for verb, more in (('debug', []), ('seek', ['1000'])):
        fails_with(r, 'only the same QEMU replays a recording', verb, '--qemu', other, r, *more)


VERSION = 'case "$1" in -version|-help) exec QEMU "$@";; esac\n'


def qemu_dies_as_it_starts(folder):
    r = recording(folder)
    fails_with(r, 'last words', 'seek', '--qemu', fake_qemu(folder, VERSION + 'echo last words >&2; exit 3'), r, '1000')


def qemu_says_nothing(folder):
    r = recording(folder)
    fails_with(r, 'nothing said in', 'seek', '--qemu', fake_qemu(folder, 'exec sleep 1000'), r, '1000')


def the_machine_is_another(folder):
    r = copy(folder)
    path = os.path.join(r, 'manifest.json')
    manifest = json.load(open(path))
    memory = next(a for a in manifest['plan']['args'] if a[:1] == ['-m'])
    memory[1] = '300'
    json.dump(manifest, open(path, 'w'))
    status, said = run('seek', r, '100000000')
    guest.check(status == 1 and 'Size mismatch' in said, f'{status}: {said}')
    guest.check(not using(r), f'left behind: {using(r)}')


def the_log_is_damaged(folder):
    """The replay leaves the recording's path: it stands still or ends, which is said with the icount."""
    r = copy(folder, checkpoints=False)
    path = os.path.join(r, 'rr.log')
    log = bytearray(open(path, 'rb').read())
    middle = len(log) // 2
    log[middle:middle + 64] = b'\xff' * 64
    open(path, 'wb').write(log)
    status, said = run('seek', r, str(last_icount(r)))
    guest.check(status == 1 and re.search(r'on the way to \d+', said), f'{status}: {said}')
    guest.check(not using(r), f'left behind: {using(r)}')


def gdb_is_missing(folder):
    r = recording(folder)
    tools = os.path.join(folder, 'tools')
    os.makedirs(tools, exist_ok=True)
    for tool in (QEMU, shutil.which('qemu-img')):
        if not os.path.exists(os.path.join(tools, os.path.basename(tool))):
            os.symlink(tool, os.path.join(tools, os.path.basename(tool)))
    fails_with(r, 'install the package gdb', 'debug', r, env=dict(os.environ, PATH=tools))


def a_list_of_checkpoints_is_malformed(folder):
    r = copy(folder)
    path = os.path.join(r, 'checkpoints/1/layer.json')
    good = json.load(open(path))

    def with_(**more):
        return json.dumps({**good, **more})

    item = good['checkpoints'][0]
    bad = ['', '{', '[]', 'null', '\0\0', '[' * 100000, with_(schema=2), with_(schema='1'), with_(of={}), with_(of=[]),
           with_(id=None), with_(id='../../x'), with_(id='a' * 1000), with_(below='other'), with_(to_icount=-1),
           with_(checkpoints={}), with_(checkpoints=[0]), with_(checkpoints=[{**item, 'name': 'a b'}]),
           with_(checkpoints=[{**item, 'name': '/etc'}]), with_(checkpoints=[{**item, 'icount': 0}]),
           with_(checkpoints=[{**item, 'icount': 1 << 62}]), with_(checkpoints=[{**item, 'bytes': -1}]),
           with_(checkpoints=[item] * 1001)]
    for text in bad:
        with open(path, 'w') as f:
            f.write(text)
        status, said = run('checkpoint', '--list', r)
        guest.check(status == 0 and '\n0 checkpoints' in said and 'layer.json' in said,
                    f'{text[:80]!r}: exit code {status}: {said[:300]}')
    status, said = run('seek', r, '1000000')
    guest.check(status == 0 and 'icount 1000000' in said, said)


def killed_it_leaves_no_qemu(folder):
    r = copy(folder, checkpoints=False)
    p = subprocess.Popen([DEJAVIEW, 'seek', r, str(last_icount(r))], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL)
    deadline, seen = time.monotonic() + 60, []
    while not seen and p.poll() is None and time.monotonic() < deadline:
        seen = using(r, 'qemu-system')  # qemu-img comes before it, and goes
    guest.check(seen, 'no QEMU was seen')
    p.send_signal(signal.SIGKILL)
    p.wait()
    while using(r) and time.monotonic() < deadline:
        time.sleep(0.01)
    guest.check(not using(r), f'left behind: {using(r)}')


if __name__ == '__main__':
    guest.main([qemu_is_missing, qemu_is_another_version, qemu_dies_as_it_starts, qemu_says_nothing,
                the_machine_is_another, the_log_is_damaged, gdb_is_missing, a_list_of_checkpoints_is_malformed,
                killed_it_leaves_no_qemu])
