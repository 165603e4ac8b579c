#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A stock kernel recorded by the tool, and its recording traced again: TAP.

usage: record_test.py BUILD SERIES     with DEJAVIEW_TEST_KERNELS and DEJAVIEW_TEST_GUESTS
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

build, series = sys.argv[1:]
KERNEL = os.path.join(os.environ.get('DEJAVIEW_TEST_KERNELS', 'none'), series, 'vmlinuz')
INITRD = os.path.join(os.environ.get('DEJAVIEW_TEST_GUESTS', 'none'), 'demo.cpio.gz')
TOOL = os.path.join(build, 'dejaview')
TIMEOUT = 300
count = 0


def check(good, what, why=''):
    global count
    count += 1
    if not good:
        print(f'# {why}')
    print(f'{"ok" if good else "not ok"} {count} - {what}', flush=True)
    return good


def run(*args):
    done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT,
                          check=False, errors='replace')
    if done.returncode:
        print(f'# {" ".join(args)}: exit status {done.returncode}')
        for line in (done.stdout + done.stderr).splitlines()[-20:]:
            print(f'#   {line}')
    return done


def digest(trace, until):
    lines = run(os.path.join(build, 'tests/guest/trace-digest'), trace, str(until)).stdout.splitlines()
    threads = {line[7:] for line in lines if line.startswith('thread ')}
    calls = {}
    for line in lines:
        if line.startswith('calls '):
            _, number, name = line.split(' ', 2)
            calls[name] = calls.get(name, 0) + int(number)
    return lines[:2], threads, calls, depths_in(lines)


def depths_in(lines):
    """By tid: the deepest that a thread was, and how deep it was at least in each tenth of the time."""
    return {int(tid): (int(deepest), [int(n) for n in floors])
            for _, tid, deepest, *floors in (line.split() for line in lines if line.startswith('depths '))}


def check_stacks(info, trace, depths):
    """A frame that is never closed stays below all that comes after it: the floors would rise."""
    deepest = max(depth for depth, _ in depths.values())
    check(deepest + 1 == trace['max_depth'] and 20 < deepest < 128, 'no thread was deeper than its stack can hold',
          f'{deepest}, info says {trace["max_depth"]}')
    rising = {tid: floors for tid, (_, floors) in depths.items() if max(floors) > 24}
    check(not rising and len(depths) > 50, 'no thread\'s depth grows', rising)
    idle = [n for n in depths.get(0, (0, []))[1] if n >= 0]
    check(len(idle) > 1 and max(idle) <= 8, 'the idle thread comes back to where it was', idle)
    returns = trace['returns']
    print(f'# at most {deepest + 1} frames deep; returns: {returns}')
    check(returns['all'] > 1000000 and returns['unmatched'] * 10000 < returns['all'],
          'fewer than one return in 10,000 closed no frame of its own', returns)
    explained = sum(returns[k] for k in ('early', 'outer', 'made', 'unmatched'))
    check(explained * 100 < returns['all'], 'nearly every return closed a frame', returns)
    said = re.search(r'at most (\d+) frames deep; of \S+ \S* ?returns (\d+) closed no frame', info)
    check(said and (int(said[1]), int(said[2])) == (trace['max_depth'], returns['unmatched']),
          'info says so', info)


def main(scratch):
    recording = os.path.join(scratch, 'guest.dejaview')
    done = run(TOOL, 'record', '--quiet', '-o', recording, '--', 'qemu-system-x86_64', '-machine', 'q35', '-m', '512',
               '-nographic', '-no-reboot', '-net', 'none', '-kernel', KERNEL, '-initrd', INITRD,
               '-append', 'console=ttyS0 panic=-1')
    if not check(done.returncode == 0, 'the boot is recorded'):
        return
    with open(os.path.join(recording, 'console.log'), encoding='utf-8', errors='replace') as f:
        console = f.read()
    check('workload: end, 6 distinct files, 8 pings' in console, 'the workload ran to its end', console[-500:])
    done = run(TOOL, 'info', '--json', recording)
    if not check(done.returncode == 0, 'info reads the recording'):
        return
    info = json.loads(done.stdout)
    trace = info['trace']
    check(info['recording']['end']['how'] == 'guest-shutdown', 'it ended by the power-off', info['recording']['end'])
    check(trace['finished'] and 'damage' not in trace, 'the trace is whole', trace.get('damage'))
    check(trace['exact'], 'its timestamps are exact', trace.get('exact_reason'))
    check(trace['kernel_banner'].startswith(f'Linux version {series}.'), 'the kernel names itself', trace)
    check(trace['syscalls'] > 1000 and trace['exceptions'] > 1000 and trace['interrupts'] > 100,
          'system calls, exceptions and interrupts are told apart', trace)

    until = info['common_icount']
    path = os.path.join(recording, 'trace.dvtrace')
    head, threads, calls, depths = digest(path, until)
    missing = {'swapper/0', 'kthreadd', 'init', 'sort', 'tail', 'gunzip', 'md5sum', 'sleep', 'tr'} - threads
    check(not missing, 'the threads have their names', f'missing: {missing} in {sorted(threads)}')
    check(calls.get('start_kernel') == 1, 'start_kernel is called once', calls.get('start_kernel'))
    thunks = [name for name in calls if name.startswith(('__x86_indirect_', '__x86_return_', 'retbleed_', 'srso_'))]
    check(not thunks, 'thunks are not to be seen', thunks)
    check(calls.get('kernel_init') == 1 and calls.get('kthreadd') == 1 and calls.get('kthread', 0) > 20,
          'what is called through one is: the first function of kernel threads', calls.get('kthread'))
    check(calls.get('do_exit', 0) > 60, 'do_exit is called by each process', calls.get('do_exit'))
    check_stacks(run(TOOL, 'info', recording).stdout, trace, depths)

    again = os.path.join(scratch, 'again.dvtrace')
    done = run(TOOL, 'trace', '--quiet', '-o', again, recording)
    if check(done.returncode == 0, 'the recording is traced again'):
        second = digest(again, until)[0]
        check(second == head, 'both traces hold the same slices and switches', f'{head}, then {second}')
    print(f'1..{count}')


if not os.path.exists(KERNEL) or not os.path.exists(INITRD):
    print(f'1..0 # SKIP {KERNEL} or {INITRD} is missing: ./check fetches them')
    sys.exit(0)
where = tempfile.mkdtemp(prefix='dejaview-test-')
try:
    main(where)
finally:
    shutil.rmtree(where, ignore_errors=True)
