#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The call tree of a tiny guest program, on both kernels, against golden.expected; the trace made while
recording against a retrace of it."""
import json
import os
import subprocess
import guest


def prepare(folder):
    program, names = guest.compile_golden(folder)
    initrd = os.path.join(folder, 'golden.gz')
    guest.initramfs(initrd, program)
    return initrd, set(names.values())


def user_slices(path, names):
    """The program's own slices by thread, in the order in which they began."""
    threads = {}
    for s in guest.read(path, comm='init'):
        if s.name in names:
            threads.setdefault(s.tid, []).append((s.start, s.depth, s.name))
    return {tid: sorted(found) for tid, found in threads.items()}


def tree(path, names):
    """As in golden.expected: init first, then its child; depths count the program's own frames alone."""
    lines = []
    for tid, found in sorted(user_slices(path, names).items()):
        lines.append('init' if tid == 1 else 'child')
        open_depths = []
        for _, depth, name in found:
            while open_depths and open_depths[-1] >= depth:
                open_depths.pop()
            lines.append('  ' * len(open_depths) + name)
            open_depths.append(depth)
    return '\n'.join(lines) + '\n'


def check_tree(path, names):
    with open(os.path.join(guest.HERE, 'golden.expected'), encoding='ascii') as f:
        want = f.read()
    got = tree(path, names)
    guest.check(got == want, 'the tree is\n# ' + got.replace('\n', '\n# '))


def last_icount(path):
    out = subprocess.run([os.path.join(guest.BUILD, 'dejaview'), 'info', '--json', path], check=True,
                         capture_output=True, text=True).stdout
    return json.loads(out)['last_icount']


def digest(path, last):
    """Of slices that had ended before `last`, and of switches until then: how many and which. A shutdown may
    cut a replay short (QEMU's issue 2921)."""
    out = subprocess.run([os.path.join(guest.BUILD, 'tests/guest/trace-digest'), path, str(last - 1)], check=True,
                         capture_output=True, text=True, errors='replace').stdout
    return [line.split() for line in out.splitlines()[:2]]


def golden(series):
    def run(folder):
        initrd, names = prepare(folder)
        machine = guest.Guest(series, initrd, folder)
        traces = [machine.trace('record', f'{series}-0.dvtrace'), machine.trace('replay', f'{series}-1.dvtrace')]
        check_tree(traces[0], names)
        last = min(last_icount(t) for t in traces)
        want, got = (digest(t, last) for t in traces)
        guest.check(want[0][0] == 'slices' and int(want[0][1]) > 1000000, f'only {want}')
        guest.check(got == want, f'the retrace has {got}, not {want}')
    run.__name__ = f'golden_tree_and_its_retrace_on_{series}'
    return run


if __name__ == '__main__':
    guest.main([golden('6.1'), golden('6.12')])
