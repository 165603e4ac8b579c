# SPDX-License-Identifier: GPL-2.0-or-later
"""What the fault tests share: a small recording with a trace and checkpoints, copies of it to spoil, QEMUs that are
none, and who uses a recording."""
import glob
import json
import os
import shutil
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
        subprocess.run([DEJAVIEW, 'record', '--quiet', '-o', path, '--', QEMU, '-m', '256', '-nographic',
                        '-no-reboot', '-net', 'none', '-kernel', guest.kernel('6.12'), '-initrd', initrd, '-append',
                        'console=ttyS0 panic=-1 quiet'], timeout=300, **quiet)
        subprocess.run([DEJAVIEW, 'checkpoint', '--quiet', '--interval', '500ms', path], timeout=300, **quiet)
    return path


def copy_file(source, target):
    """Layers, which are large and never written, are the same files."""
    if os.sep + 'checkpoints' + os.sep in source and source.endswith('.qcow2'):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def copy(folder, checkpoints=True):
    path = os.path.join(folder, 'copy.dejaview')
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(recording(folder), path, ignore=None if checkpoints else shutil.ignore_patterns('checkpoints'),
                    copy_function=copy_file)
    return path


def fake_qemu(folder, script, name='fake-qemu'):
    path = os.path.join(folder, name)
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


def without_gdb(folder):
    """An environment that has QEMU's programs and no other."""
    tools = os.path.join(folder, 'tools')
    os.makedirs(tools, exist_ok=True)
    for tool in (QEMU, shutil.which('qemu-img')):
        if not os.path.exists(os.path.join(tools, os.path.basename(tool))):
            os.symlink(tool, os.path.join(tools, os.path.basename(tool)))
    return dict(os.environ, PATH=tools)


def gone(path, patience=60):
    """Nothing uses it, or will soon."""
    deadline = time.monotonic() + patience
    while using(path) and time.monotonic() < deadline:
        time.sleep(0.02)
    guest.check(not using(path), f'left behind: {using(path)}')


def fails_with(path, text, *args, **more):
    status, said = run(*args, **more)
    guest.check(status == 1 and text in said, f'exit code {status}, expected "{text}": {said[-500:]}')
    guest.check(not using(path), f'left behind: {using(path)}')


def last_icount(path):
    return json.load(open(os.path.join(path, 'manifest.json')))['end']['common_icount']


VERSION = 'case "$1" in -version|-help) exec QEMU "$@";; esac\n'  # what a fake QEMU begins with to pass for this one
