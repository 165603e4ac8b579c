#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every table function on a trace against what a few lines of Python make of all its slices and switches: TAP.

usage: brute_force.py DEJAVIEW TRACE [SEED]
"""
import bisect
import collections
import json
import random
import subprocess
import sys

dejaview, trace = sys.argv[1:3]
rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
END = 1 << 62


class Slice:
    __slots__ = ('id', 'ts', 'dur', 'end', 'track', 'utid', 'depth', 'parent', 'function', 'name', 'own', 'total', 'recursive')


def ask(queries):
    """The rows of each, all in one run: loading takes longer than an answer."""
    text = ''.join(q + ';\n' for q in queries)
    done = subprocess.run([dejaview, 'query', '--no-cache', '--json', trace], input=text, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        sys.exit(f'Bail out! {done.stderr.strip()}')
    decoder, out, at, answers = json.JSONDecoder(), done.stdout.rstrip(), 0, []
    while at < len(out):
        at += len(out[at:at + 9]) - len(out[at:at + 9].lstrip())
        answer, at = decoder.raw_decode(out, at)
        answers.append(answer)
    assert len(answers) == len(queries), f'{len(answers)} answers to {len(queries)} queries'
    return answers


class Truth:
    """The trace as lists, and what can be counted out of them."""

    def __init__(self):
        rows, spells, bounds = ask(['select * from call', 'select utid, ts, dur from sched order by ts',
                                    'select * from trace_bounds'])
        self.first, self.last = bounds[0]['start_ts'], bounds[0]['end_ts']
        self.spells = collections.defaultdict(list)
        for row in spells:
            self.spells[row['utid']].append((row['ts'], self.last if row['dur'] < 0 else row['ts'] + row['dur']))
        self.ran = {utid: self.sums(of) for utid, of in self.spells.items()}
        self.slices = [self.slice(row) for row in rows]
        self.children = collections.defaultdict(list)
        self.tracks = collections.defaultdict(list)
        for s in self.slices:
            self.tracks[s.track].append(s)
            if s.parent is not None:
                self.children[s.parent].append(s)

    @staticmethod
    def sums(spells):
        out = [0]
        for start, end in spells:
            out.append(out[-1] + end - start)
        return out

    def slice(self, row):
        s = Slice()
        s.id, s.ts, s.dur, s.track, s.utid, s.depth = (row[k] for k in ('id', 'ts', 'dur', 'track_id', 'utid', 'depth'))
        s.parent, s.function, s.name, s.own, s.total = (row[k] for k in ('parent_id', 'function_id', 'name', 'own', 'total'))
        s.recursive = bool(row['recursive'])
        s.end = END if s.dur < 0 else s.ts + s.dur
        return s

    def ran_until(self, utid, ts):
        spells = self.spells[utid]
        n = bisect.bisect_right(spells, (ts, END))
        return 0 if not n else self.ran[utid][n - 1] + min(ts, spells[n - 1][1]) - spells[n - 1][0]

    def cpu(self, s, start=0, end=END):
        start, end = max(s.ts, start), min(max(s.ts, self.last) if s.end == END else s.end, end)
        return self.ran_until(s.utid, end) - self.ran_until(s.utid, start) if start < end else 0

    def outwards(self, s):
        while s is not None:
            yield s
            s = None if s.parent is None else self.slices[s.parent]

    def inwards(self, s):
        for child in self.children[s.id]:
            yield child
            yield from self.inwards(child)

    def touching(self, area, utid):
        for s in self.slices:
            if (utid is None or s.utid == utid) and s.ts < area[1] and (s.ts >= area[0] or s.end > area[0]):
                yield s


class Node:
    def __init__(self):
        self.calls = self.total = 0


def paths(rows):
    """Trees' rows, by the functions from the root on."""
    at, out = [], {}
    for row in rows:
        del at[row['depth']:]
        at.append(row['function_id'])
        out[tuple(at)] = (row['calls'], row['total'], row['own'])
    return out


def as_tree(nodes):
    """Own is what no child has."""
    own = {path: node.total for path, node in nodes.items()}
    for path, node in nodes.items():
        if len(path) > 1:
            own[path[:-1]] -= node.total
    return {path: (node.calls, node.total, own[path]) for path, node in nodes.items()}


def flamegraph(t, area, utid):
    nodes = collections.defaultdict(Node)
    nodes[(None,)]
    for s in t.touching(area, utid):
        path = (None,) + tuple(o.function for o in t.outwards(s))[::-1]
        cpu = t.cpu(s, *area)
        for place in (path, path[:1]) if len(path) == 2 else (path,):
            nodes[place].calls += s.ts >= area[0]
            nodes[place].total += cpu
    return as_tree(nodes)


def callers(t, functions):
    nodes = collections.defaultdict(Node)
    for s in t.slices:
        if s.function not in functions:
            continue
        path, cpu = tuple(o.function for o in t.outwards(s)), 0 if s.recursive else t.cpu(s)
        for n in range(len(path)):
            nodes[path[:n + 1]].calls += 1
            nodes[path[:n + 1]].total += cpu
    return {path: (node.calls, node.total) for path, node in nodes.items()}


def callees(t, functions):
    """From the outermost call of each function on, inwards."""
    nodes = collections.defaultdict(Node)
    for function in functions:
        paths_of = {}
        for s in t.slices:
            if s.parent in paths_of:
                path = paths_of[s.parent] + (s.function,)
            elif s.function == function:
                path = (function,)
            else:
                continue
            paths_of[s.id] = path
            nodes[path].calls += 1
            nodes[path].total += t.cpu(s)
    return as_tree(nodes)


def function_stats(t, area, utid):
    out = collections.defaultdict(lambda: [0, 0, 0, END, 0, 0])
    for s in t.touching(area, utid):
        row, cpu = out[s.function], t.cpu(s, *area)
        row[0] += s.ts >= area[0]
        row[1] += cpu - sum(t.cpu(c, *area) for c in t.children[s.id])
        row[2] += 0 if s.recursive else cpu
        row[5] += 0 if s.recursive else max(0, min(t.last if s.end == END else s.end, area[1]) - max(s.ts, area[0]))
        if s.ts >= area[0]:
            row[3], row[4] = min(row[3], t.cpu(s)), max(row[4], t.cpu(s))
    return {f: (*row[:3], 0 if row[3] == END else row[3], row[4], row[5]) for f, row in out.items() if row[0] or row[5]}


def timeline(t, track, start, end, bucket):
    cells = collections.OrderedDict()
    for s in t.tracks[track]:
        if s.ts >= end or (s.ts < start and s.end <= start):
            continue
        cells.setdefault((s.depth, -1 if s.ts < start else (s.ts - start) // bucket if bucket else s.id), []).append(s)
    longest = [(key, max(cell, key=lambda s: (s.end - s.ts if s.end == END else s.dur, -s.id)), len(cell))
               for key, cell in sorted(cells.items())]
    return [(key[0], s.id, s.ts, s.dur, n) for key, s, n in longest]


class Plan:
    """Queries with the functions that say what their rows must be; asked all at once."""

    def __init__(self):
        self.queries, self.checks = [], []

    def add(self, query, rows_to_answer, want):
        self.queries.append(query)
        self.checks.append((query, rows_to_answer, want))

    def run(self):
        bad = []
        for (query, convert, want), rows in zip(self.checks, ask(self.queries)):
            have, wanted = convert(rows), want()
            if have != wanted:
                bad.append(query)
                have, wanted = (o if isinstance(o, dict) else dict(enumerate(o)) for o in (have, wanted))
                odd = [k for k in have.keys() | wanted.keys() if have.get(k) != wanted.get(k)]
                print(f'# {query}: {len(odd)} differ, as {odd[0]}: {have.get(odd[0])}, not {wanted.get(odd[0])}')
        return bad


def ids(rows):
    return [row['id'] for row in rows]


def areas(t):
    for _ in range(4):
        a, b = sorted(rng.choice(t.slices).ts for _ in range(2))
        yield a, b + 1
    s = rng.choice(t.slices)
    yield s.ts, s.ts + 1


def plan_slices(t, p):
    for s in rng.sample(t.slices, 60):
        p.add(f'select id from ancestor_slice({s.id})', ids, lambda s=s: [o.id for o in t.outwards(s)][:0:-1])
        p.add(f'select id from descendant_slice({s.id}) order by id', ids, lambda s=s: sorted(c.id for c in t.inwards(s)))
        at, utid = s.ts + rng.randrange(100), rng.choice(t.slices).utid if rng.randrange(3) == 0 else s.utid
        p.add(f'select id from stack_at({at}, {utid})', ids, lambda at=at, utid=utid: [
            o.id for o in t.slices if o.utid == utid and o.ts <= at < o.end])
    p.add('select own, total, recursive from call order by id',
          lambda rows: [(r['own'], r['total'], bool(r['recursive'])) for r in rows],
          lambda: [(t.cpu(s) - sum(t.cpu(c) for c in t.children[s.id]), t.cpu(s),
                    any(o.function == s.function for o in t.outwards(s) if o is not s)) for s in t.slices])


def plan_timelines(t, p):
    cell = lambda rows: [(r['depth'], r['slice_id'], r['ts'], r['dur'], r['count']) for r in rows]
    for start, end in areas(t):
        for track in {rng.choice(t.slices).track for _ in range(4)}:
            for bucket in (0, (end - start) // 50 + 1, (end - start) // 3000 + 1):
                p.add(f'select * from timeline({track}, {start}, {end}, {bucket})', cell,
                      lambda a=(track, start, end, bucket): timeline(t, *a))


def plan_trees(t, p):
    stats = lambda rows: {r['function_id']: tuple(r[k] for k in ('calls', 'own', 'total', 'min', 'max', 'elapsed')) for r in rows}
    everything = (0, END)
    p.add('select * from function_stats', stats, lambda: function_stats(t, everything, None))
    p.add('select * from flamegraph', paths, lambda: flamegraph(t, everything, None))
    for area in areas(t):
        for utid in (None, rng.choice(t.slices).utid):
            args = f'{area[0]}, {area[1]}' + (f', {utid}' if utid is not None else '')
            p.add(f'select * from function_stats({args})', stats, lambda a=area, u=utid: function_stats(t, a, u))
            p.add(f'select * from flamegraph({args})', paths, lambda a=area, u=utid: flamegraph(t, a, u))


def plan_callers(t, p):
    without_own = lambda rows: {path: row[:2] for path, row in paths(rows).items()}
    for name in {rng.choice(t.slices).name for _ in range(6)}:
        quoted = name.replace("'", "''")
        functions = {s.function for s in t.slices if s.name == name}
        p.add(f"select * from callers('{quoted}')", without_own, lambda f=functions: callers(t, f))
        p.add(f"select * from callees('{quoted}')", paths, lambda f=functions: callees(t, f))


def main():
    t, failed = Truth(), 0
    plans = [plan_slices, plan_timelines, plan_trees, plan_callers]
    print(f'# {len(t.slices)} slices, {sum(map(len, t.spells.values()))} spells of {len(t.spells)} threads\n1..{len(plans)}')
    for number, plan in enumerate(plans, 1):
        p = Plan()
        plan(t, p)
        bad = p.run()
        failed += bool(bad)
        print(f'{"not ok" if bad else "ok"} {number} - {plan.__name__[5:]}: {len(p.queries)} queries', flush=True)
    sys.exit(failed != 0)


main()
