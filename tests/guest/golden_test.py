#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The call tree of a tiny guest program, on both kernels, against golden.expected; the trace made while
recording against a retrace of it."""
import os
import guest


def prepare(folder):
    program, names = guest.compile_golden(folder)
    initrd = os.path.join(folder, 'golden.gz')
    guest.initramfs(initrd, program)
    return initrd, set(names.values())


def user_slices(path, names):
    """The program's own slices by thread, in the order in which they began."""
    threads = {}
    for s in guest.read(path):
        if s.comm == 'init' and s.name in names:
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


def up_to_the_cut(path, last):
    """Slices that had ended before `last`: a shutdown may cut a replay short (QEMU's issue 2921)."""
    return [s for s in guest.read(path) if s.dur >= 0 and s.start + s.dur < last]


def last_end(path):
    return max(s.start + s.dur for s in guest.read(path) if s.dur >= 0)


def golden(series):
    def run(folder):
        initrd, names = prepare(folder)
        machine = guest.Guest(series, initrd, folder)
        traces = [machine.trace('record', f'{series}-0.dvtrace'), machine.trace('replay', f'{series}-1.dvtrace')]
        check_tree(traces[0], names)
        last = min(last_end(t) for t in traces)
        want = up_to_the_cut(traces[0], last)
        guest.check(len(want) > 1000000, f'only {len(want)} slices')
        for trace in traces[1:]:
            guest.check(up_to_the_cut(trace, last) == want, f'{trace} differs from {traces[0]}')
    run.__name__ = f'golden_tree_and_its_retrace_on_{series}'
    return run


if __name__ == '__main__':
    guest.main([golden('6.1'), golden('6.12')])
