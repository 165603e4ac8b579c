#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest of our own prints, calls and forks, as printer.c says, against what the trace says; and where
replay stands at a line's beginning."""
import collections
import gzip
import json
import os
import re
import subprocess
import guest

TOOL = os.path.join(guest.BUILD, 'dejaview')
MODULES = ['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_console']
Line = collections.namedtuple('Line', 'icount tid source level text')
Thread = collections.namedtuple('Thread', 'tid name start end pid parent exit_code creator')


def modules(series):
    """Those of MODULES that this kernel has as modules, in the order in which they must be loaded."""
    found = {}
    for folder, _, files in os.walk(os.path.join(os.path.dirname(guest.kernel(series)), 'modules')):
        for name in files:
            stem = name.split('.')[0]
            if stem in MODULES:
                with open(os.path.join(folder, name), 'rb') as f:
                    found[stem] = (name, f.read())
    return [found[stem] for stem in MODULES if stem in found]


def build_guest(folder, series):
    program = os.path.join(folder, 'printer')
    source = os.path.join(guest.HERE, 'printer.c')
    subprocess.run(['gcc', '-O1', '-static', '-o', program, source, '-lpthread'], check=True)
    with open(program, 'rb') as f:
        init = f.read()
    parts = [guest.newc('dev', 0o40755), guest.newc('dev/console', 0o20600, rdev=(5, 1)),
             guest.newc('init', 0o100755, init), guest.newc('worker', 0o100755, init), guest.newc('modules', 0o40755)]
    names = []
    for name, data in modules(series):
        if name.endswith('.xz'):
            data = subprocess.run(['xz', '-dc'], input=data, check=True, capture_output=True).stdout
            name = name[:-3]
        names.append(name)
        parts.append(guest.newc(f'modules/{name}', 0o100644, data))
    parts.append(guest.newc('modules/list', 0o100644, ''.join(n + '\n' for n in names).encode()))
    path = os.path.join(folder, f'printer-{series}.gz')
    with gzip.open(path, 'wb', 1) as out:
        out.write(b''.join(parts) + guest.newc('TRAILER!!!', 0))
    return path


def record(folder, series):
    recording = os.path.join(folder, f'{series}.dejaview')
    subprocess.run(
        [TOOL, 'record', '--quiet', '-o', recording, '--', 'qemu-system-x86_64', '-machine', 'q35', '-m', '256',
         '-nographic', '-no-reboot', '-net', 'none', '-device', 'virtio-serial-pci', '-chardev',
         f'file,id=hvc,path={folder}/hvc-{series}.log', '-device', 'virtconsole,chardev=hvc', '-kernel',
         guest.kernel(series), '-initrd', build_guest(folder, series), '-append',
         'console=ttyS0 panic=-1 loglevel=8 printk.devkmsg=on'],
        check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=240)
    return recording


def dump(what, path):
    out = subprocess.run([guest.DUMP, what, path], check=True, capture_output=True, text=True, errors='replace')
    return [line.split('\t') for line in out.stdout.split('\n')[:-1]]


def console(path):
    return [Line(int(icount), int(tid), source, int(level), text)
            for icount, tid, source, level, text in dump('--console', path)]


def threads(path):
    number = lambda s: int(s) if s else 0
    return [Thread(int(tid), name, number(start), number(end), int(pid), number(parent), number(code), number(creator))
            for tid, name, start, end, pid, parent, code, creator in dump('--threads', path)]


def pids(lines):
    """What the guest said of its tree, by name."""
    return {m[1]: int(m[2]) for m in (re.fullmatch(r'tree: (\w+) (\d+).*', l.text) for l in lines) if m}


def texts(lines, source, pattern):
    return [l.text for l in lines if l.source == source and re.match(pattern, l.text)]


def the_serial_log_is_the_ports_output(series, folder, lines):
    with open(os.path.join(folder, f'{series}.dejaview', 'console.log'), 'rb') as f:
        log = f.read().decode('utf-8', 'replace').split('\n')
    if not log[-1]:
        log.pop()
    want = [re.sub(r'[\x00-\x1f]', '?', line.rstrip('\r')) for line in log]
    # A line comes when it is whole: the order is that of their ends.
    got = [l.text for l in lines if l.source == 'serial']
    guest.check(got == want, f'{len(got)} lines, not {len(want)}: {set(got) ^ set(want)}')
    guest.check(want[-1].endswith('a line without an end') or 'a line without an end' in '\n'.join(want), want[-3:])


def lines_are_complete(series, folder, lines):
    printer = next(l.tid for l in lines if l.text.startswith('kmsg: by pid'))
    want = ['serial: one', 'serial: two, and its end', f'serial: by pid {printer}']
    guest.check(texts(lines, 'serial', 'serial: ') == want, texts(lines, 'serial', 'serial: '))
    want = ['hvc: one', 'hvc: two', f'hvc: by pid {printer}']
    guest.check(texts(lines, 'hvc', '') == want, texts(lines, 'hvc', ''))
    with open(os.path.join(folder, f'hvc-{series}.log'), encoding='utf-8') as f:
        guest.check(f.read().replace('\r', '').split('\n')[:-1] == want, 'the chardev had something else')
    want = [(4, 1, 'kmsg: a warning'), (7, 1, 'kmsg: for debugging'), (5, printer, f'kmsg: by pid {printer}')]
    got = [(l.level, l.tid, l.text) for l in lines if l.source == 'printk' and l.text.startswith('kmsg: ')]
    guest.check(got == want, got)
    for source in ('serial', 'hvc'):
        tid = [l.tid for l in lines if l.source == source and l.text == f'{source}: by pid {printer}']
        guest.check(tid == [printer], f'{source}: the writer is {tid}, not {printer}')


def printk_comes_before_its_console(lines):
    """Each record is stored, then sent: `[    0.000000] text`."""
    sent = {}
    for l in lines:
        m = re.match(r'\[ *\d+\.\d+\] (.*)', l.text)
        if l.source == 'serial' and m:
            sent.setdefault(m[1], []).append(l.icount)
    stored = [l for l in lines if l.source == 'printk']
    guest.check(len(stored) > 200, f'only {len(stored)} lines of printk')
    first = [l for l in stored if l.text.startswith('Linux version ')]
    guest.check(len(first) == 1 and stored[0] == first[0], f'{first} is not the first line')
    for l in stored:
        times = sent.get(l.text)
        # A record that is never flushed before the power goes may not be sent.
        guest.check(times is None or times[0] > l.icount, f'{l} was sent at {times}')
        if times:
            times.pop(0)
    missing = [l.text for l in stored if l.text not in sent and l.text]
    guest.check(len(missing) < 5, f'stored, but never sent: {missing[:10]}')


def system_calls(path):
    """Of millions of slices: only those are taken apart."""
    with subprocess.Popen([guest.DUMP, '--slices', path], stdout=subprocess.PIPE, text=True) as out:
        for line in out.stdout:
            if '\tsyscall\t' in line:
                start, tid, depth, dur, kind, comm, name = line.rstrip('\n').split('\t')
                yield guest.Slice(int(start), int(tid), int(depth), int(dur), kind, comm, name)


def system_calls_in_order(path):
    calls = sorted(c for c in system_calls(path) if c.tid == 1)
    names = [s.name for s in calls]
    begin = names.index('umask')
    end = names.index('umask', begin + 1)
    want = ['umask', 'getppid', 'getuid', 'read', 'syscall_999', 'ia32_getpid', 'ia32_syscall_999', 'sched_yield',
            'cachestat', 'umask']
    guest.check(names[begin:end + 1] == want, names[begin:end + 1])
    return calls[begin]


def the_tree_of_processes(path, lines):
    pid = pids(lines)
    found = {t.name: t for t in threads(path) if t.tid in pid.values() or t.tid in (1, 2)}
    by_tid = {t.tid: t for t in threads(path)}
    want = {  # name: parent's pid, exit code
        'a': (1, 0), 'b': (pid['a'], 3 << 8), 'worker': (pid['a'], 5 << 8), 'c': (1, 9),
    }
    for name, (parent, code) in want.items():
        t = by_tid[pid[name]]
        guest.check((t.name, t.pid, t.parent, t.exit_code) == (name, t.tid, parent, code), f'{name}: {t}')
        guest.check(0 < t.start < t.end and by_tid[parent].start < t.start, f'{name}: {t}')
        guest.check(t.creator == parent, f'{name} was made by {t.creator}')
    t = by_tid[pid['thread']]
    guest.check((t.name, t.pid, t.creator) == ('thread', pid['worker'], pid['worker']), f'thread: {t}')
    guest.check(by_tid[pid['b']].end < by_tid[pid['worker']].start, 'b ends before the worker begins')
    guest.check(found['init'].parent and not found['init'].end, found['init'])
    guest.check(found['kthreadd'].tid == 2, found)
    said = [l for l in lines if l.source == 'printk' and l.text.startswith('tree: ')]
    guest.check([l.tid for l in said] == [pid[l.text.split()[1]] for l in said], said)
    for l in said:
        t = by_tid[l.tid]
        guest.check(t.start < l.icount < (t.end or 1 << 60), f'{l} is outside of {t}')


def vectors_are_facts(path):
    """By the functions of the trace: dump --entries prints name, number and mnemonic."""
    entries = {name: (number, mnemonic) for name, number, mnemonic in dump('--entries', path)}
    guest.check(entries['asm_exc_page_fault'] == ('14', '#PF'), entries)
    guest.check(entries['asm_sysvec_apic_timer_interrupt'] == ('236', ''), entries)
    guest.check(entries['read'] == ('0', '') and entries['ia32_getpid'] == ('20', ''), entries)
    stubs = {n: int(number) for n, (number, _) in entries.items() if n.startswith('irq_entries_start')}
    guest.check(stubs and all(0x20 <= v <= 0xff for v in stubs.values()), stubs)


def seeks_stand_there(recording, lines, call):
    """The instruction that sends or stores the first byte comes next, and the writer runs."""
    printer = next(l.tid for l in lines if l.text.startswith('kmsg: by pid'))
    wanted = [
        (next(l for l in lines if l.source == 'serial' and l.text == f'serial: by pid {printer}'), 'io_serial_out'),
        (next(l for l in lines if l.source == 'printk' and l.text == 'kmsg: a warning'), r'prb_(final_)?commit'),
        (next(l for l in lines if l.source == 'hvc' and l.text == 'hvc: one'), None),
    ]
    wanted.append((Line(call.start, call.tid, 'syscall', -1, call.name), 'entry_SYSCALL_64'))
    wanted.sort(key=lambda w: w[0].icount)
    args = [str(l.icount) for l, _ in wanted]
    out = subprocess.run([TOOL, 'seek', '--json', recording, *args], check=True, capture_output=True, text=True,
                         timeout=240)
    stands = [json.loads(line) for line in out.stdout.splitlines()]
    guest.check(len(stands) == len(args), out.stdout)
    for (line, pattern), stand in zip(wanted, stands):
        guest.check(stand['icount'] == line.icount and stand['tid'] == line.tid, f'{line}: {stand}')
        guest.check(not pattern or re.fullmatch(pattern, stand['symbol']), f'{line}: {stand}')


def on(series):
    def run(folder):
        recording = record(folder, series)
        path = os.path.join(recording, 'trace.dvtrace')
        lines = console(path)
        the_serial_log_is_the_ports_output(series, folder, lines)
        lines_are_complete(series, folder, lines)
        printk_comes_before_its_console(lines)
        call = system_calls_in_order(path)
        the_tree_of_processes(path, lines)
        vectors_are_facts(path)
        seeks_stand_there(recording, lines, call)
    run.__name__ = f'what_a_guest_prints_calls_and_forks_on_{series}'
    return run


if __name__ == '__main__':
    guest.main([on('6.1'), on('6.12')])
