#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A user program with recursion, callbacks, longjmp, signals, threads and fork (calls.c): its whole call tree in
our trace against the one that its own -finstrument-functions printed.

usage: calls_test.py SERIES"""
import os
import re
import subprocess
import sys
import guest


def compile_calls(folder):
    path = os.path.join(folder, 'calls')
    subprocess.run(['gcc', '-O1', '-fno-optimize-sibling-calls', '-fno-inline', '-fno-omit-frame-pointer',
                    '-finstrument-functions', '-static', '-no-pie', '-pthread', '-o', path, os.path.join(guest.HERE, 'calls.c')], check=True)
    names = {}
    for line in subprocess.run(['nm', path], check=True, capture_output=True, text=True).stdout.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in 'tT':
            names[int(fields[0], 16)] = fields[2]
    return path, names


def printed_trees(console, names):
    """By tid, lists of (depth, name). A frame above an open one's shows that a longjmp has left that."""
    trees = {}
    for tid, body in re.findall(r'^calls (\d+)$(.*?)(?=^calls )', console, re.M | re.S):
        nodes, stack = [], []
        for line in body.split('\n'):
            enter = re.match(r'\+(\w+) (\w+)$', line)
            leave = re.match(r'-(\w+)$', line)
            if enter:
                name, frame = names[int(enter.group(1), 16)], int(enter.group(2), 16)
                while stack and same_stack(stack[-1], frame) and stack[-1] <= frame:
                    stack.pop()
                nodes.append((len(stack), name))
                stack.append(frame)
            elif leave and stack:
                stack.pop()
        trees[int(tid)] = nodes
    return trees


def same_stack(a, b):
    return abs(a - b) < 1 << 23


def traced_trees(path, names, tids):
    """The same of the trace, of the functions of calls.c alone."""
    threads = {tid: [] for tid in tids}
    for s in guest.read(path):
        if s.tid in threads:
            threads[s.tid].append(s)
    out = {}
    for tid, slices in threads.items():
        nodes, depths = [], []
        for s in sorted(slices, key=lambda s: (s.start, s.depth)):
            del depths[s.depth:]
            depth = depths[-1] if depths else 0
            if s.name in names:
                nodes.append((depth, s.name))
            depths.append(depth + (s.name in names))
        out[tid] = nodes
    return out


def show(nodes, around):
    low = max(0, around - 8)
    return '\n# '.join(f'{"->" if i == around else "  "} {"  " * depth}{name}'
                       for i, (depth, name) in enumerate(nodes[low:around + 5], low))


def the_whole_call_tree_is_the_programs_own(folder):
    program, names = compile_calls(folder)
    initrd = os.path.join(folder, 'calls.gz')
    guest.initramfs(initrd, program)
    m = guest.Guest(sys.argv[1], initrd, folder)
    out = os.path.join(folder, 'calls.dvtrace')
    result = m.run('-icount', 'shift=auto,sleep=off', *m.plugin(out, starting_from='run_init_process'))
    guest.check(result.returncode == 0, result.stderr[-500:])
    with open(os.path.join(folder, 'console'), 'rb') as f:
        console = f.read().decode(errors='replace').replace('\r', '')
    want = printed_trees(console, names)
    guest.check(len(want) == 5, f'{sorted(want)} printed their calls: not main, three threads and a child')
    used = {name for nodes in want.values() for _, name in nodes}
    guest.check({'by_value', 'inner_handler', 'jumping_handler', 'worker', 'dive'} <= used, f'{used}')
    got = traced_trees(out, used, set(want))
    for tid, theirs in sorted(want.items()):
        ours = got.get(tid, [])
        for i in range(max(len(ours), len(theirs))):
            if i >= len(ours) or i >= len(theirs) or ours[i] != theirs[i]:
                raise guest.Failed(f'thread {tid} differs at its call {i} of {len(theirs)}; it printed\n# ' +
                                   show(theirs, i) + '\n# the trace has\n# ' + show(ours, i))
    print(f'# {sum(len(nodes) for nodes in want.values())} calls in {len(want)} threads', flush=True)


if __name__ == '__main__':
    guest.main([the_whole_call_tree_is_the_programs_own])
