#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own function_graph tracer against our trace: for several sets of functions and workloads
(ftrace.init), the processes of a workload must have called the same functions in the same order with the same
nesting. While it traces, ftrace replaces return addresses, and so do return probes.

usage: ftrace_test.py SERIES SETS [CMDLINE]     SETS with commas, or all
"""
import base64
import collections
import gzip
import json
import os
import re
import subprocess
import sys
import guest

ROOT = os.path.dirname(os.path.dirname(guest.HERE))
FROM = 'run_init_process'
SETS = ('files', 'processes', 'pipes', 'timers', 'nointerrupts', 'all', 'kretprobe')
Recorded = collections.namedtuple('Recorded', 'name first_pid overrun functions text')
Node = collections.namedtuple('Node', 'depth name')


def run_guest(folder, series, cmdline):
    initrd = os.path.join(folder, 'ftrace.gz')
    subprocess.run([os.path.join(ROOT, 'scripts/mkrootfs'), '--initramfs', initrd, '--workload',
                    os.path.join(guest.HERE, 'ftrace.init')], check=True, capture_output=True)
    m = guest.Guest(series, initrd, folder)
    m.base[m.base.index('-m') + 1] = '512'
    m.base[-1] += ' ' + cmdline
    out = os.path.join(folder, 'ftrace.dvtrace')
    result = m.run('-icount', 'shift=auto,sleep=off', *m.plugin(out, starting_from=FROM), timeout=900)
    guest.check(result.returncode == 0, result.stderr[-500:])
    with open(os.path.join(folder, 'console'), 'rb') as f:
        return out, f.read().decode(errors='replace').replace('\r', '')


def recorded(console, names):
    """What the guest's tracer showed, by name."""
    found = {}
    for match in re.finditer(r'^@@ begin (\w+) (\d+) +(\d+) +(\d+)\s*$(.*?)^@@ end', console, re.M | re.S):
        name, pid, overrun, dropped, text = match.groups()
        listing, _, trace = gzip.decompress(base64.b64decode(text)).decode().partition('@@@@\n')
        functions = {line.split()[0] for line in listing.splitlines() if line and not line.startswith('#')}
        functions = {names.get(f, f) for f in functions}
        found[name] = Recorded(name, int(pid), int(overrun) + int(dropped), functions, trace)
    return found


LINE = re.compile(r'^\s*(?:\d+\))?\s*\S.*?-(\d+)\s+\|\s+(.*)$')
CALL = re.compile(r'^ *(?P<name>[\w.]+)(?: \[\w+\])?\(\)(?P<opens>;| \{)')
END = re.compile(r'^ *\} /\* (?P<name>[\w.]+)')


def graph(text, names, without):
    """Calls by pid, in order: depths are those among the recorded functions."""
    calls, depths = collections.defaultdict(list), collections.Counter()
    for line in text.splitlines():
        match = LINE.match(line)
        if not match or line.startswith('#'):
            continue
        pid, what = int(match.group(1)), match.group(2)
        call, end = CALL.match(what), END.match(what)
        name = (call or end) and (call or end).group('name')
        name = names.get(name, name)
        if call and name not in without:
            calls[pid].append(Node(depths[pid], name))
            depths[pid] += call.group('opens') == ' {'
        elif end and name not in without:
            depths[pid] -= 1
    return calls


def pids_of(r):
    """The workload's processes: those made since it began."""
    return sorted(pid for pid in {int(n) for n in re.findall(r'-(\d+) +(?:\||\[)', r.text)} if pid >= r.first_pid)


def slices_by_tid(path, names, tids):
    """What these threads called, in the order in which it began."""
    threads = {tid: [] for tid in tids}
    for s in guest.read(path, min(tids)):
        if s.tid in threads:
            threads[s.tid].append(s._replace(name=names.get(s.name, s.name)))
    for found in threads.values():
        found.sort(key=lambda s: (s.start, s.depth))
    return threads


# funcgraph-irqs=0 leaves out what runs while in_hardirq(): not softirqs, nor the way in and out.
HARDIRQ = re.compile(r'__sysvec_|__common_interrupt|handle_(edge|fasteoi|level|simple|percpu|irq)')


def is_tracer(s):
    """ftrace's own: its trampoline has no symbol."""
    return s.name.startswith('0xffffffffc') or 'ftrace_trampoline' in s.name or s.name == 'ftrace_return_to_handler'


def interrupts_of_the_tracer(slices):
    """Interrupts that came while ftrace was about to record that a function begins or has ended. It sees them
    before the one, and inside the other."""
    found, stack, last = set(), [], {}
    for s in slices:
        for depth in [d for d in last if d > s.depth]:
            del last[depth]
        del stack[s.depth:]
        before = last.get(s.depth)
        if is_tracer(s) and before and before.kind == 'interrupt':
            found.add(before)
        if s.kind == 'interrupt' and any(is_tracer(above) for above in stack):
            found.add(s)
        last[s.depth] = s
        stack.append(s)
    return found


def one_name_each(kernel):
    """Several names of one function (__do_sys_getpid, __x64_sys_getpid, __ia32_sys_getpid): the tracer shows
    one and we show one. Gives a name for all of them by each of them."""
    text = subprocess.run([os.path.join(guest.BUILD, 'tests/guest/kernel_functions'), kernel], check=True,
                          capture_output=True, text=True).stdout
    known, first_at = {}, {}

    def find(name):
        while known.get(name, name) != name:
            name = known[name]
        return name
    for line in text.splitlines():
        vaddr, name = line.split()
        first = first_at.setdefault(vaddr, name)
        if first != name:
            known[find(name)] = find(first)
    return {name: find(name) for name in known}


def selected(slices, functions, with_irqs):
    """The slices of a set as the tracer would show them: depths are those among the set. Beside them, what ran in
    interrupts of the tracer: (place, nodes), with depths of their own."""
    nodes, groups, stack = [], [], []
    odd = interrupts_of_the_tracer(slices)
    for s in slices:
        del stack[s.depth:]
        depth, hidden, group = stack[-1] if stack else (0, False, None)
        hidden |= not with_irqs and bool(HARDIRQ.match(s.name))
        if s in odd and group is None:
            depth, group = 0, (len(nodes), [])
            groups.append(group)
        shown = s.name in functions and not hidden
        if shown:
            (nodes if group is None else group[1]).append(Node(depth, s.name))
        stack.append((depth + shown, hidden, group))
    return nodes, [g for g in groups if g[1]]


def called_in_the_switch(slices):
    """While __switch_to runs, the stack is the next task's already and ftrace's task still the one before."""
    stack, names = [], set()
    for s in slices:
        del stack[s.depth:]
        if any(above.name == '__switch_to' for above in stack) or s.depth == 0 and s is slices[0]:
            names.add(s.name)
        stack.append(s)
    return names - {'schedule_tail', 'ret_from_fork'}


def takes(group, theirs, at):
    part = theirs[at:at + len(group)]
    return bool(part) and [Node(n.depth - part[0].depth, n.name) for n in part] == group


def show(nodes, around):
    low = max(0, around - 12)
    return '\n# '.join(f'{"->" if i == around else "  "} {"  " * n.depth}{n.name}'
                       for i, n in enumerate(nodes[low:around + 6], low))


def compare_one(r, pid, theirs, slices, with_irqs):
    ours, groups = selected(slices, r.functions, with_irqs)
    at, moved = 0, len(groups)
    for i in range(len(ours) + 1):
        while True:
            fits = [g for g in groups if abs(g[0] - i) <= 1 and takes(g[1], theirs, at)]
            if not fits or (g := fits[0])[0] > i and at < len(theirs) and i < len(ours) and theirs[at] == ours[i]:
                break
            groups.remove(g)
            at += len(g[1])
        if i == len(ours) and at == len(theirs) and not groups:
            return moved
        if i == len(ours) or at == len(theirs) or ours[i] != theirs[at]:
            raise guest.Failed(f'{r.name}: process {pid} differs at its call {at} of {len(theirs)}; ftrace has\n# ' +
                               show(theirs, at) + '\n# we have\n# ' + show(ours, i) + '\n# and in interrupts of the tracer ' +
                               f'{[(before, nodes[0].name) for before, nodes in groups[:2]]}')
        at += 1


def compare(r, threads, with_irqs=True):
    pids = pids_of(r)
    without = set().union(*(called_in_the_switch(threads.get(pid, [])) for pid in pids))
    theirs = graph(r.text, state['names'], without)
    r = r._replace(functions=r.functions - without)
    guest.check(pids and pids[0] == r.first_pid, f'{r.name}: no process {r.first_pid} was recorded')
    moved = sum(compare_one(r, pid, theirs[pid], threads.get(pid, []), with_irqs) for pid in pids)
    compared = sum(len(theirs[pid]) for pid in pids)
    print(f'# {r.name}: {compared} calls of {len({n.name for p in pids for n in theirs[p]})} functions in '
          f'{len(pids)} processes; {moved} interrupts while ftrace was at work', flush=True)
    guest.check(compared > 50, f'{r.name}: only {compared} calls')


state = {}


def the_guest_records_itself(folder):
    path, console = run_guest(folder, series, f'SETS={",".join(wanted)} {cmdline}')
    state['names'] = one_name_each(guest.kernel(series))
    state['found'] = recorded(console, state['names'])
    state['path'] = path
    tids = {pid for r in state['found'].values() for pid in pids_of(r)}
    state['threads'] = slices_by_tid(path, state['names'], tids)
    missing = set(wanted) - set(state['found'])
    guest.check(not missing, f'the guest did not record {missing}; its console ends: {console[-300:]}')
    for r in state['found'].values():
        guest.check(r.overrun == 0, f'{r.name}: {r.overrun} events were lost')


def test_of(name):
    def run(folder):
        r = state['found'][name]
        guest.check(name != 'timers' or 'hrtimer_interrupt()' in r.text, 'no interrupt was recorded')
        compare(r, state['threads'], with_irqs=name != 'nointerrupts')
    run.__name__ = f'function_graph_and_we_agree_on_{name}'
    return run


def return_probes_leave_the_nesting_alone(folder):
    r = state['found']['kretprobe']
    checked = 0
    for pid in pids_of(r):
        hits = len(re.findall(rf'-{pid} .*dejaview_r: ', r.text))
        reads, callers = [], {}
        stack = []
        for s in state['threads'][pid]:
            del stack[s.depth:]
            if s.name == 'vfs_read':
                reads.append(s)
                callers[s] = stack[-1] if stack else None
            stack.append(s)
        guest.check(len(reads) == hits, f'process {pid}: {len(reads)} slices, {hits} hits of the probe')
        for s in reads:
            caller = callers[s]
            guest.check(s.dur >= 0 and caller and s.start + s.dur <= caller.start + caller.dur and
                        caller.name in ('ksys_read', 'kernel_read', '__kernel_read'),
                        f'{s} lies in {caller}')
        checked += len(reads)
    guest.check(checked >= 20, f'only {checked} reads')


def nearly_every_return_found_its_frame(folder):
    text = subprocess.run([os.path.join(guest.BUILD, 'dejaview'), 'info', '--json', state['path']], check=True,
                          capture_output=True, text=True).stdout
    returns = json.loads(text)['returns']
    print(f'# {returns}')
    guest.check(returns['unmatched'] * 10000 < returns['all'], f'{returns}')
    guest.check(returns['made'] > 1000, f'ftrace was not at work: {returns}')


if __name__ == '__main__':
    series, wanted, cmdline = sys.argv[1], sys.argv[2].split(','), ' '.join(sys.argv[3:])
    wanted = SETS if wanted == ['all'] else wanted
    guest.main([the_guest_records_itself, *(test_of(name) for name in wanted if name != 'kretprobe'),
                *([return_probes_leave_the_nesting_alone] if 'kretprobe' in wanted else []),
                nearly_every_return_found_its_frame])
