#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What can go wrong before and while a recording is replayed: each is said, in bounded time, and leaves no process
behind. Prints TAP."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

from fault_kit import (DEJAVIEW, VERSION, copy, fails_with, fake_qemu, gone, guest, last_icount, recording, run, using,
                       without_gdb)
import session_faults


def qemu_is_missing(folder):
    r = recording(folder)
    for verb, more in (('debug', []), ('seek', ['1000']), ('trace', []), ('checkpoint', [])):
        fails_with(r, 'qemu-system-x86', verb, '--qemu', '/nonexistent/qemu', r, *more)


def qemu_is_another_version(folder):
    r = recording(folder)
    other = fake_qemu(folder, 'QEMU "$@" | sed "s/version [0-9.]*/version 9.9.9/"')
    for verb, more in (('debug', []), ('seek', ['1000'])):
        fails_with(r, 'only the same QEMU replays a recording', verb, '--qemu', other, r, *more)


def qemu_dies_as_it_starts(folder):
    r = recording(folder)
    fails_with(r, 'last words', 'seek', '--qemu', fake_qemu(folder, VERSION + 'echo last words >&2; exit 3'), r, '1000')


def qemu_says_nothing(folder):
    r = recording(folder)
    fails_with(r, 'nothing said in', 'seek', '--qemu', fake_qemu(folder, 'exec sleep 1000'), r, '1000')


silent = {}


def qemu_never_opens_its_monitor_begin(folder):
    """Takes a minute, in which the other tests run: on a recording of its own, so that they see no process of it."""
    r = silent['recording'] = os.path.join(folder, 'silent.dejaview')
    shutil.copytree(recording(folder), r, ignore=shutil.ignore_patterns('checkpoints'))
    qemu = fake_qemu(folder, VERSION + 'exec sleep 1000', 'silent-qemu')
    silent['process'] = subprocess.Popen([DEJAVIEW, 'seek', '--qemu', qemu, r, '1000'], stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def qemu_never_opens_its_monitor(_):
    said = silent['process'].communicate(timeout=150)[1]
    guest.check(silent['process'].returncode == 1 and 'has not answered on its monitor (QMP) in 60 s' in said, said)
    gone(silent['recording'])


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
    """Before QEMU is started: whatever a byte says, it is not what was recorded."""
    r = copy(folder, checkpoints=False)
    path = os.path.join(r, 'rr.log')
    log = open(path, 'rb').read()
    middle = len(log) // 2
    clock = [at for at, kind in events_of(log) if kind == 28][0] + 8
    damages = {': it is cut off': log[:middle], '': b'', ': it is not what was recorded': log[:clock] +
               bytes([log[clock] ^ 16]) + log[clock + 1:], 'no valid event (kind 255) at offset 12':
               log[:12] + b'\xff' + log[13:], 'version 0x68656c6c': b'hello world\n' * 1000}
    for said, data in damages.items():
        with open(path, 'wb') as f:
            f.write(data)
        for verb, more in (('seek', ['1000']), ('trace', [])):
            status, text = run(verb, r, *more)
            guest.check(status == 1 and 'a log that is damaged' in text and said in text, f'{said}: {status}: {text}')
    os.unlink(path)
    fails_with(r, 'rr.log', 'seek', r, '1000')


def events_of(log):
    """(offset, kind) of each, by the sizes in src/replay/log.c; the guest has no keyboard and no sound."""
    at = 12
    while at < len(log):
        kind = log[at]
        yield at, kind
        arrays = {7: 1, 9: 5, 23: 0, 27: 4}
        if kind in arrays:
            length = at + 1 + arrays[kind]
            at = length + 4 + int.from_bytes(log[length:length + 4], 'big')
        else:
            at += 1 + {0: 4, 3: 8, 4: 8, 8: 8, 22: 8, 24: 4, 28: 8, 29: 8}.get(kind, 0)


def the_replay_goes_astray(folder):
    """An interrupt is missing in a log that is whole: it stands still or ends, which is said with the icount."""
    r = copy(folder, checkpoints=False)
    path, manifest = os.path.join(r, 'rr.log'), os.path.join(r, 'manifest.json')
    log = open(path, 'rb').read()
    interrupts = [at for at, kind in events_of(log) if kind == 1]
    gone_at = interrupts[len(interrupts) // 2]
    with open(path, 'wb') as f:
        f.write(log[:gone_at] + log[gone_at + 1:])
    changed = json.load(open(manifest))
    changed['end']['log_bytes'] -= 1
    del changed['end']['log_digest']
    json.dump(changed, open(manifest, 'w'))
    status, said = run('seek', r, str(last_icount(r)))
    guest.check(status == 1 and re.search(r'on the way to \d+', said), f'{status}: {said}')
    gone(r)


def gdb_is_missing(folder):
    r = recording(folder)
    fails_with(r, 'install the package gdb', 'debug', r, env=without_gdb(folder))


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
    gone(r)


if __name__ == '__main__':
    guest.main([qemu_never_opens_its_monitor_begin, qemu_is_missing, qemu_is_another_version, qemu_dies_as_it_starts,
                qemu_says_nothing, the_machine_is_another, the_log_is_damaged, the_replay_goes_astray, gdb_is_missing,
                a_list_of_checkpoints_is_malformed, killed_it_leaves_no_qemu, *session_faults.TESTS,
                qemu_never_opens_its_monitor])
