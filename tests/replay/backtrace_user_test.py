#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""At random icounts in a user program of our own (tests/guest/calls.c: recursion, callbacks, longjmp, signals,
threads, fork), gdb's backtrace, by the program's unwind tables, against the slices that the trace has open there.

usage: backtrace_user_test.py OPEN_SLICES SERIES
"""
import bisect
import os
import random
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'guest'))
import backtrace_test as kernel  # noqa: E402
import guest  # noqa: E402

WANTED = 50
PER_FUNCTION = 12
ANYWHERE = -1


class Program:
    """What the compiled program says of itself."""

    def __init__(self, folder):
        self.path = os.path.join(folder, 'calls')
        subprocess.run(['gcc', '-g', '-O1', '-fno-optimize-sibling-calls', '-fno-inline', '-static', '-no-pie',
                        '-pthread', '-o', self.path, os.path.join(guest.HERE, 'calls.c')], check=True)
        self.sizes, self.names = {}, {}
        for line in self.run('nm', '-S', self.path):
            fields = line.split()
            if len(fields) == 4 and fields[2] in 'tTwWi':
                start = int(fields[0], 16)
                self.sizes[start] = max(self.sizes.get(start, 0), int(fields[1], 16))
                self.names[start] = fields[3]
        self.starts = sorted(self.sizes)
        self.jumps = self.read_jumps()

    @staticmethod
    def run(*args):
        return subprocess.run(args, check=True, capture_output=True, text=True).stdout.splitlines()

    def function_at(self, pc):
        """Its first address; None where no function is known."""
        at = bisect.bisect_right(self.starts, pc) - 1
        start = self.starts[at] if at >= 0 else None
        return start if start is not None and pc < start + self.sizes[start] else None

    def read_jumps(self):
        """From each function to those that it goes on to by a jump, to their beginning or (memset's variants)
        into their middle; to ANYWHERE by an indirect one."""
        jumps = {}
        for line in self.run('objdump', '-d', '--no-show-raw-insn', self.path):
            match = re.match(r'\s*([0-9a-f]+):\s+j\w+\s+([0-9a-f]+) ', line)
            if match:
                come, go = (self.function_at(int(n, 16)) for n in match.groups())
                if come != go:
                    jumps.setdefault(come, set()).add(go)
            elif match := re.match(r'\s*([0-9a-f]+):\s+(?:notrack |bnd )*jmp\s+\*', line):
                jumps.setdefault(self.function_at(int(match.group(1), 16)), set()).add(ANYWHERE)
        return jumps

    def leads_to(self, function, other):
        """Whether `other` runs in the frame of `function`: most jumps of user code are no tail calls of ours."""
        seen, todo = set(), [function]
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                todo += self.jumps.get(at, ())
        return other in seen or ANYWHERE in seen


def record(folder, series, program):
    initrd = os.path.join(folder, 'calls.gz')
    guest.initramfs(initrd, program.path)
    m = guest.Guest(series, initrd, folder)
    return m, m.trace('record', 'user.dvtrace')


def random_moments(trace, program, rng):
    """Some within calls of each function: taken from all the time, nearly all would lie in its busy loop."""
    calls, names = {}, set(program.names.values())
    for s in guest.read(trace, comm='init'):
        if s.name in names and not s.kind and s.dur > 0:
            calls.setdefault(s.name, []).append(s)
    guest.check('main' not in calls, 'main() has ended')  # it switches the machine off
    return sorted({rng.randrange(s.start, s.start + s.dur) for found in calls.values()
                   for s in rng.sample(found, min(len(found), PER_FUNCTION))})


def difference(program, pcs, stack):
    """None when gdb's frames are the slices, else what differs; and how many were jumped to."""
    ours, jumped = kernel.without_gone(stack)[::-1], 0
    functions = [program.function_at(pc) for pc in pcs]
    # A signal's handler before its first instruction: another signal's comes first.
    functions = [f for i, (f, pc) in enumerate(zip(functions, pcs)) if not i or f != pc]
    for i, function in enumerate(functions):
        if function is None:
            return None, jumped
        if i >= len(ours):
            # A new thread, or a fork's child, is inside what its creator had called.
            began = ours[-1][2] != '_start'
            return None if began else f'frame {i}, {program.names[function]}: the trace has no more', jumped
        if ours[i][1] != function:
            if not program.leads_to(ours[i][1], function):
                return f'frame {i}: gdb has {program.names[function]}, the trace {ours[i][2]}', jumped
            jumped += 1
    return None, jumped


def show(program, row, stack, why):
    theirs = [program.names.get(program.function_at(pc), hex(pc)) for pc in row['frames']]
    ours = [name for _, _, name in kernel.without_gone(stack)[::-1]]
    return f'icount {row["icount"]}: {why}\n#   gdb: {" ".join(theirs)}\n#   trace: {" ".join(ours)}'


def gdb_sees_the_same_stacks_of_a_user_program(folder):
    program = Program(folder)
    m, trace = record(folder, sys.argv[2], program)
    seed = int(os.environ.get('DEJAVIEW_SEED', '1'))
    rng = random.Random(seed)
    icounts = random_moments(trace, program, rng)
    stacks, _ = kernel.open_slices(trace, icounts)
    # __longjmp's unwind tables tell of where it goes, before it is there.
    user = [i for i in icounts if i in stacks and stacks[i][-1][1] in program.sizes and
            stacks[i][-1][2] != '__longjmp']
    chosen = sorted(rng.sample(user, min(len(user), 2 * WANTED)))
    guest.check(len(chosen) >= WANTED, f'only {len(user)} moments in user code')
    rows = kernel.backtraces(m, folder, chosen, program=program.path)
    bad, depths, functions, jumped = [], [], set(), 0
    for row in rows:
        guest.check(row.get('frames'), f'{row}')
        why, jumps = difference(program, row['frames'], stacks[row['icount']])
        jumped += jumps
        functions |= {program.names.get(program.function_at(pc)) for pc in row['frames']}
        depths.append(len(row['frames']))
        if why:
            bad.append(show(program, row, stacks[row['icount']], why))
    depths.sort()
    own = functions & {'fibonacci', 'inner_handler', 'spin', 'worker', 'main', 'leaf', 'even', 'dive', 'by_value'}
    print(f'# seed {seed}: {len(rows)} moments, {depths[len(depths) // 2]} frames in the '
          f'middle, {depths[-1]} at most; {jumped} frames were jumped to; {len(functions)} functions, among them '
          f'{" ".join(sorted(own))}', flush=True)
    guest.check(not bad, f'{len(bad)} stacks differ; ' + '\n# '.join(bad[:4]))
    guest.check('main' in own and len(own) >= 4 and jumped * 10 < sum(depths), 'the stacks say little')


if __name__ == '__main__':
    guest.main([gdb_sees_the_same_stacks_of_a_user_program])
