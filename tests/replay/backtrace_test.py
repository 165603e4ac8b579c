#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""At random icounts in kernel code, gdb's backtrace (DWARF) against the slices that the trace has open there.

usage: backtrace_test.py OPEN_SLICES SERIES     needs $DEJAVIEW_TEST_KERNELS/SERIES/vmlinux, with DWARF
"""
import json
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'guest'))
import guest  # noqa: E402

WANTED = 50
TAIL_CALL = 1


def record(folder, series):
    m = guest.Guest(series, os.path.join(os.environ['DEJAVIEW_TEST_GUESTS'], 'demo.cpio.gz'), folder)
    m.base[m.base.index('-m') + 1] = '512'
    return m, m.trace('record', 'backtrace.dvtrace')


def open_slices(trace, icounts):
    """What is open at each icount, outermost first; and start_kernel's address."""
    out = subprocess.run([sys.argv[1], trace, *map(str, icounts)], check=True, capture_output=True, text=True).stdout
    stacks, start = {}, 0
    for line in out.splitlines():
        icount, depth, kind, vaddr, name = line.split('\t')
        if icount == '0':
            start = int(vaddr, 16)
        else:
            stacks.setdefault(int(icount), {})[int(depth)] = (int(kind), int(vaddr, 16), name)
    return {i: [s[d] for d in sorted(s)] for i, s in stacks.items()}, start


def last_icount(trace):
    out = subprocess.run([os.path.join(guest.BUILD, 'dejaview'), 'info', '--json', trace], check=True,
                         capture_output=True, text=True).stdout
    return json.loads(out)['last_icount']


def entries(trace, name, count):
    """First instructions of calls of a function, spread over the trace."""
    out = subprocess.run([os.path.join(guest.BUILD, 'dejaview'), 'query', '--json', trace,
                          f"select ts from slice where name = '{name}' order by ts"], check=True, capture_output=True,
                         text=True).stdout
    starts = [row['ts'] for row in json.loads(out)]
    return starts[::max(1, len(starts) // count)][:count]


def link_address(vmlinux, name):
    for line in subprocess.run(['nm', vmlinux], check=True, capture_output=True, text=True).stdout.splitlines():
        fields = line.split()
        if fields[-1] == name:
            return int(fields[0], 16)
    raise guest.Failed(f'{vmlinux} has no {name}')


def backtraces(m, folder, icounts, **symbols):
    qmp, stub = os.path.join(folder, 'qmp'), os.path.join(folder, 'gdb')
    args = [*m.base, *m.icount('replay'), '-S', '-gdb', f'unix:path={stub},server=on,wait=off', '-qmp',
            f'unix:{qmp},server=on,wait=off']
    probes = os.path.join(folder, 'probes.json')
    with open(probes, 'w', encoding='ascii') as f:
        json.dump({'qmp': qmp, 'gdb': stub, 'icounts': icounts, **symbols}, f)
    with subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as qemu:
        try:
            while not os.path.exists(qmp) or not os.path.exists(stub):
                guest.check(qemu.poll() is None, 'QEMU did not start')
            out = subprocess.run(['gdb', '-nx', '-batch', '-x', os.path.join(HERE, 'backtrace_gdb.py')],
                                 env={**os.environ, 'PROBES': probes}, capture_output=True, text=True, timeout=1500,
                                 check=False)
        finally:
            qemu.kill()
    rows = [json.loads(line) for line in out.stdout.splitlines() if line.startswith('{')]
    guest.check(len(rows) == len(icounts), f'gdb gave {len(rows)} of {len(icounts)}: {out.stderr[-500:]}')
    return rows


def without_gone(stack):
    """A function that went on to another by a jump has left no frame."""
    return [s for s, after in zip(stack, [*stack[1:], None]) if after is None or after[0] != TAIL_CALL]


def matches(frames, stack):
    ours = without_gone(stack)[::-1]
    return len(ours) >= len(frames) and all(f[0] == o[1] for f, o in zip(frames, ours))


def show(row, stack):
    ours = [f'{vaddr:#x} {name}' for _, vaddr, name in without_gone(stack)[::-1]]
    return (f'icount {row["icount"]}: gdb has\n#   ' + '\n#   '.join(f'{a:#x} {n}' for a, n in row['frames']) +
            '\n# the trace has\n#   ' + '\n#   '.join(ours[:len(row['frames']) + 2]))


def gdb_sees_the_same_stacks(folder):
    series = sys.argv[2]
    vmlinux = os.path.join(os.environ['DEJAVIEW_TEST_KERNELS'], series, 'vmlinux')
    guest.check(os.path.exists(vmlinux), f'no {vmlinux}: scripts/fetch-kernel --dbg makes it')
    m, trace = record(folder, series)
    end = last_icount(trace) - 1000000
    seed = int(os.environ.get('DEJAVIEW_SEED', '1'))
    rng = random.Random(seed)
    # From everywhere: each stretch of the recording gives some.
    stretches = 6 * WANTED
    icounts = sorted({rng.randrange(end * i // stretches, end * (i + 1) // stretches) for i in range(stretches)})
    # And where a function with another inlined at its very start begins.
    icounts = sorted({*icounts, *(first := entries(trace, 'strstr', 5))})
    guest.check(first, 'the boot calls no strstr')
    stacks, start = open_slices(trace, icounts)
    slide = start - link_address(vmlinux, 'start_kernel')
    kernel = [i for i in icounts if i in stacks and stacks[i][-1][1] >> 63 and len(stacks[i]) > 2]
    chosen = sorted({*rng.sample(kernel, min(len(kernel), 2 * WANTED)), *first})
    rows = backtraces(m, folder, chosen, vmlinux=vmlinux, slide=slide)
    compared = [r for r in rows if r.get('frames')]
    depths = sorted(len(r['frames']) for r in compared)
    print(f'# seed {seed}: {len(compared)} of {len(rows)} moments in C code, {depths[len(depths) // 2]} frames in '
          f'the middle, {depths[-1]} at most', flush=True)
    guest.check(len(compared) >= WANTED, f'only {len(compared)} moments in C code')
    bad = [show(r, stacks[r['icount']]) for r in compared if not matches(r['frames'], stacks[r['icount']])]
    guest.check(not bad, f'{len(bad)} stacks differ; ' + '\n# '.join(bad[:3]))


if __name__ == '__main__':
    guest.main([gdb_sees_the_same_stacks])
