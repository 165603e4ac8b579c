# SPDX-License-Identifier: GPL-2.0-or-later
"""Tail calls of a user program and its library (names/tails.c), which two processes run by turns, so that QEMU
translates for one what the other runs, too, at another address: the whole call tree of both."""
import os
import re
import subprocess
import guest

SOURCES = os.path.join(guest.HERE, 'names')
ROUNDS = 3


def build(folder):
    path = lambda name: os.path.join(folder, name)
    source = lambda name: os.path.join(SOURCES, name)
    subprocess.run(['gcc', '-O2', '-shared', '-fPIC', '-o', path('libtails.so'), source('tails_library.c')], check=True)
    subprocess.run(['gcc', '-O2', '-pie', '-fPIE', '-o', path('tails'), source('tails.c'), '-L' + folder, '-ltails'],
                   check=True)
    check_compiler(path)


def check_compiler(path):
    """That it made jumps of the calls which it could, of each kind."""
    text = ''.join(subprocess.run(['objdump', '-d', '--no-show-raw-insn', path(name)], check=True, capture_output=True,
                                  text=True).stdout for name in ('tails', 'libtails.so'))
    body = {name: lines for name, lines in re.findall(r'^[0-9a-f]+ <(\w+)>:\n(.*?)\n\n', text + '\n\n', re.M | re.S)}
    for name, jump in {'direct': '<leaf>', 'middle': '<direct>', 'calls_first': '<direct>', 'odd': '<even>',
                       'even': '<odd>', 'through_linkage': '<from_tails@plt>', 'by_register': r'\*%r',
                       'by_memory': r'\*0x8\(%r', 'from_tails': '<inner>', 'again_from_tails': '<from_tails@plt>',
                       'cases': r'\*%r', 'loops': '<loops', 'spins': r'\*\(?%r'}.items():
        guest.check(re.search(r'jmp .*' + jump, body.get(name, '')), f'{name} has no jump to {jump}:\n{body.get(name)}')


# What all() calls: a name, with > before it for a tail call of the one above, inside of it. A linkage table's entry,
# where it is called, is a frame that goes on by a jump.
DIRECT = ['direct', '>leaf']
MIDDLE = ['middle', '>direct', '>leaf']
FROM_TAILS = ['>from_tails', '>inner']
CALLS = [DIRECT, MIDDLE, ['calls_first', ' leaf', '>direct', '>leaf'], ['through_linkage', *FROM_TAILS],
         ['by_register', '>direct', '>leaf'], ['by_memory', *('>' + name.strip('>') for name in MIDDLE)],
         ['even', '>odd', '>even', '>odd', '>even'], ['loops'], ['spins'],
         *[['cases', *after] for after in ([], [], ['>leaf'], [], ['>leaf'])],
         ['again_from_tails@plt', '>again_from_tails', ' inner', *FROM_TAILS]]


def expected(leaves_of_loops):
    """(depth, name, whether by a tail call), with main at 0."""
    rows = []
    for call in CALLS:
        depth = 2
        for name in call:
            if name[0] == '>':
                depth += 1
                rows.append((depth, name[1:], True))
            else:
                rows.append((depth + (name[0] == ' '), name.strip(), False))
        if call == ['loops']:
            rows += [(3, 'leaf', False)] * leaves_of_loops
    return [(1, 'all', False), *rows]


def functions():
    return {'main', 'all', *(name.strip(' >') for call in CALLS for name in call)}


def traced(path):
    """By tid, the program's and the library's own slices, with depths that count these alone."""
    threads, want = {}, functions()
    for s in guest.read(path, comm='tails'):
        threads.setdefault(s.tid, []).append(s)
    trees = {}
    for tid, slices in threads.items():
        rows, depths = [], []
        for s in sorted(slices, key=lambda s: (s.start, s.depth)):
            while depths and depths[-1] >= s.depth:
                depths.pop()
            if s.name in want:
                rows.append((len(depths), s.name, s.kind == 'tail call'))
                depths.append(s.depth)
        trees[tid] = rows
    return trees


def check_trees(path):
    trees = traced(path)
    guest.check(len(trees) == 2, f'{len(trees)} processes have run tails, not two')
    for tid, rows in trees.items():
        guest.check(rows[:1] == [(0, 'main', False)], f'{tid} begins with {rows[:2]}')
        rounds, at = [], 1
        for _ in range(ROUNDS):
            end = next((i for i in range(at + 1, len(rows)) if rows[i][1] == 'all'), len(rows))
            rounds.append(rows[at:end])
            at = end
        guest.check(at == len(rows), f'{tid} has called all() more than {ROUNDS} times')
        for got in rounds:
            # How often loops() calls depends on a counter.
            start = got.index((2, 'loops', False)) if (2, 'loops', False) in got else 0
            leaves = next((i for i, row in enumerate(got[start + 1:]) if row != (3, 'leaf', False)), 0)
            want = expected(leaves)
            guest.check(got == want, f'{tid} has made other calls:\n# ' + '\n# '.join(show(got)) + '\n# not\n# ' +
                        '\n# '.join(show(want)))


def show(rows):
    return ['  ' * depth + ('>' if is_tail else '') + name for depth, name, is_tail in rows]


def check_places(mappings):
    """The library lay at two addresses at the same time. Rows of dump_places: from, to, space, start, ..."""
    guest.check(len(mappings) == 2, f'libtails.so is mapped {len(mappings)} times, not by two processes')
    (from_a, to_a, _, start_a), (from_b, to_b, _, start_b) = (row[:4] for row in mappings)
    guest.check(start_a != start_b, 'both processes have libtails.so at one address: no ASLR to be tested')
    guest.check(int(from_b) < int(to_a) and int(from_a) < int(to_b), 'the two did not run at the same time')
