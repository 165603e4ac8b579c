#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The two processes of names/tails.c recorded: their call trees in the trace made on the way and in one made again in
segments, which are the same event by event; what a function of the library was called with, and what it returned,
in both processes, each of which has it at another address."""
import collections
import gzip
import json
import os
import subprocess
import guest
import names_test
import tails

DEJAVIEW = os.path.join(guest.BUILD, 'dejaview')
COMPARE = os.path.join(guest.BUILD, 'tests/replay/compare_traces')


def run(*args):
    return subprocess.run(args, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300).stdout


def write_initrd(out, files):
    archive = b''.join(guest.newc(d, 0o40755) for d in names_test.directories([*files, 'dev/x']))
    archive += guest.newc('dev/console', 0o20600, rdev=(5, 1))
    for name, real in files.items():
        with open(real, 'rb') as f:
            archive += guest.newc(name, 0o100755, f.read())
    with gzip.open(out, 'wb', 1) as f:
        f.write(archive + guest.newc('TRAILER!!!', 0))


def recording(folder):
    """Made once."""
    path = os.path.join(folder, 'tails.dejaview')
    if not os.path.exists(path):
        initrd = os.path.join(folder, 'initrd')
        tails.build(folder)
        names_test.build(os.path.join(folder, 'init'), ['init.c'], '-static')
        files = {'init': os.path.join(folder, 'init'), 'usr/bin/tails': os.path.join(folder, 'tails'),
                 'usr/lib/libtails.so': os.path.join(folder, 'libtails.so')}
        files.update({name.lstrip('/'): real for name, real in
                      names_test.dependencies(os.path.join(folder, 'tails')).items() if 'libtails' not in name})
        write_initrd(initrd, files)
        run(DEJAVIEW, 'record', '--quiet', '-o', path, '--', 'qemu-system-x86_64', '-m', '256', '-nographic',
            '-no-reboot', '-net', 'none', '-kernel', guest.kernel('6.12'), '-initrd', initrd, '-append',
            'console=ttyS0 panic=-1 quiet')
    return path


def both_call_trees_are_the_programs(folder):
    tails.check_trees(os.path.join(recording(folder), 'trace.dvtrace'))


def a_trace_in_segments_is_the_same(folder):
    path, again = recording(folder), os.path.join(folder, 'again.dvtrace')
    run(DEJAVIEW, 'checkpoint', '--quiet', '--interval', '1s', path)
    run(DEJAVIEW, 'trace', '--quiet', '--jobs', '2', '-o', again, path)
    run(COMPARE, path, os.path.join(path, 'trace.dvtrace'), again)
    tails.check_trees(again)


def calls(folder, function):
    """(tid, first argument, what it returned) of each, as `dejaview calls` has it."""
    rows = [json.loads(line) for line in run(DEJAVIEW, 'calls', '--json', '--quiet', recording(folder), function).splitlines()]
    guest.check(all('return_register' in row for row in rows), f'a call of {function} has not returned: {rows[:3]}')
    return [(row['tid'], int(row['registers'][0], 16), int(row['return_register'], 16)) for row in rows]


def a_librarys_function_has_arguments_in_both_processes(folder):
    found, sums = calls(folder, 'libtails.so:from_tails'), collections.Counter()
    guest.check(len({tid for tid, _, _ in found}) == 2 and len(found) == 4 * tails.ROUNDS,
                f'from_tails has {len(found)} calls in {len({tid for tid, _, _ in found})} processes')
    guest.check(all(argument == 2 for _, argument, _ in found), f'from_tails was called with 2, not {found}')
    # inner() adds its argument to what it returns, after its callers have added one.
    for tid, argument, result in calls(folder, 'inner'):
        sums[tid] += argument + 1
        guest.check(result == sums[tid], f'inner({argument}) of {tid} has returned {result}, not {sums[tid]}')
    guest.check(list(sums.values()) == [11 * tails.ROUNDS] * 2, f'inner() has counted up to {sums}')


if __name__ == '__main__':
    guest.main([both_call_trees_are_the_programs, a_trace_in_segments_is_the_same,
                a_librarys_function_has_arguments_in_both_processes])
