#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A user program with recursion, callbacks, longjmp, signals, threads and fork (calls.c): its whole call tree in
our trace against the one that its own -finstrument-functions printed; and what each call ran, itself and in all,
added up from the bare begins, ends and switches.

usage: calls_test.py SERIES"""
import bisect
import collections
import csv
import json
import os
import re
import subprocess
import sys
import guest


IDLE_TID = 4194306  # what stands for a CPU's thread 0 where 0 is no thread


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


def tool(*args):
    return subprocess.run([os.path.join(guest.BUILD, 'dejaview'), *args], check=True, capture_output=True,
                          text=True).stdout


def runs_of(path, end):
    """By tid, when it ran: [start, end) in order."""
    out = subprocess.run([guest.DUMP, '--switches', path], check=True, capture_output=True, text=True).stdout
    rows = [(int(icount), int(tid)) for icount, _, tid in (line.split('\t') for line in out.splitlines())]
    runs = collections.defaultdict(list)
    for (start, tid), (stop, _) in zip(rows, [*rows[1:], (end, 0)]):
        runs[tid].append((start, stop))
    return runs


def ran_between(runs, starts, start, end):
    """How much of [start, end) a thread ran."""
    at, total = max(0, bisect.bisect_right(starts, start) - 1), 0
    while at < len(runs) and runs[at][0] < end:
        total += max(0, min(end, runs[at][1]) - max(start, runs[at][0]))
        at += 1
    return total


def own_counts(slices, runs, end):
    """(start, depth) to what was run while a slice was the innermost one, of one thread."""
    starts, own, stack, at = [start for start, _ in runs], collections.Counter(), [], 0

    def go_to(icount):
        nonlocal at
        if stack and icount > at:
            own[stack[-1][:2]] += ran_between(runs, starts, at, icount)
        at = max(at, icount)
    for s in slices:
        while len(stack) > s.depth:
            go_to(stack[-1][2])
            stack.pop()
        go_to(s.start)
        stack.append((s.start, s.depth, end if s.dur < 0 else s.start + s.dur))
        own[stack[-1][:2]] += 0
    while stack:
        go_to(stack[-1][2])
        stack.pop()
    return own


def calls_by_tid(path):
    """What the tool says: tid to [(start, depth, own, total, kind)]."""
    threads = collections.defaultdict(list)
    out = tool('query', '--csv', '--no-cache', path,
               'select tid, ts, depth, own, total, kind from call join thread using (utid)')
    for row in csv.reader(out.splitlines()[1:]):
        threads[int(row[0])].append((*map(int, row[1:5]), row[5]))
    return threads


def every_instruction_is_counted_once_and_where_it_ran(folder):
    path = os.path.join(folder, 'calls.dvtrace')
    end = json.loads(tool('info', '--json', path))['last_icount']
    runs, said = runs_of(path, end), calls_by_tid(path)
    threads = collections.defaultdict(list)
    for s in guest.read(path):
        threads[0 if s.tid == IDLE_TID else s.tid].append(s)
    guest.check(set(threads) == set(said), f'threads: {set(threads) ^ set(said)}')
    interrupted = away = compared = 0
    for tid, slices in threads.items():
        slices.sort(key=lambda s: (s.start, s.depth))
        starts = [start for start, _ in runs[tid]]
        want = own_counts(slices, runs[tid], end)
        got = collections.Counter()
        for start, depth, own, _, _ in said[tid]:
            got[start, depth] += own
        wrong = [(place, n, got[place]) for place, n in want.items() if got[place] != n]
        guest.check(not wrong and len(want) == len(got), f'thread {tid}: own counts differ: {wrong[:5]}')
        totals = {(start, depth): total for start, depth, _, total, _ in said[tid]}
        for s in slices[::7]:
            stop = end if s.dur < 0 else s.start + s.dur
            total = ran_between(runs[tid], starts, s.start, stop)
            guest.check(totals[s.start, s.depth] >= total if s.dur == 0 else totals[s.start, s.depth] == total,
                        f'{s}: it ran {total}, not {totals[s.start, s.depth]}')
            away += total < stop - s.start
            compared += 1
        interrupted += leaves_out_interrupts(slices, said[tid], want, tid)
    print(f'# own counts of {sum(map(len, threads.values()))} calls, totals of {compared}; {away} of them were away '
          f'from the CPU; {interrupted} interrupts in functions', flush=True)
    guest.check(interrupted > 20 and away > 10, 'too little happened')


def leaves_out_interrupts(slices, said, want, tid):
    """A function's own count has nothing of the interrupts that came in it. Returns how many there were."""
    totals = {(start, depth): (total, kind) for start, depth, _, total, kind in said}
    stack, children, found = [], collections.Counter(), {}
    for s in slices:
        del stack[s.depth:]
        total, kind = totals[s.start, s.depth]
        if stack:
            children[stack[-1]] += total
            if kind == 'interrupt' and total:
                found[s] = stack[-1]
        stack.append((s.start, s.depth))
    for s, parent in found.items():
        guest.check(want[parent] == totals[parent][0] - children[parent],
                    f'thread {tid}: {s} counts as a part of its caller at {parent}')
    return len(found)


if __name__ == '__main__':
    guest.main([the_whole_call_tree_is_the_programs_own, every_instruction_is_counted_once_and_where_it_ran])
