#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The bare plugin: what it refuses, what it notices, its filters against the unfiltered trace of the same
recording, and tracing where there is no icount."""
import json
import os
import subprocess
import guest

SERIES = '6.1'


def machine(folder):
    """The golden guest, recorded once for all tests."""
    initrd = os.path.join(folder, 'golden.gz')
    m = guest.Guest(SERIES, initrd, folder)
    if not os.path.exists(initrd):
        program, _ = guest.compile_golden(folder)
        guest.initramfs(initrd, program)
        m.trace('record', 'recorded.dvtrace')
    return m


def info(path):
    out = subprocess.run([os.path.join(guest.BUILD, 'dejaview'), 'info', '--json', path], check=True,
                         capture_output=True, text=True)
    return json.loads(out.stdout)


def refused(folder, want, **options):
    m = machine(folder)
    result = m.run(*m.icount('replay'), *m.plugin(options.pop('out', os.path.join(folder, 'x')), **options))
    guest.check(result.returncode, f'{options} was taken')
    guest.check(want in result.stderr, f'stderr is: {result.stderr}')


def bad_options_are_refused_at_load(folder):
    refused(folder, "unknown option 'colour=red'; there are symbols_from, ", colour='red')
    refused(folder, "option min_insns: 'x' is not a number", min_insns='x')


def missing_and_wrong_files_are_refused_at_load(folder):
    refused(folder, '/nowhere/vmlinux', symbols_from='/nowhere/vmlinux')
    refused(folder, '/nowhere/out.dvtrace', out='/nowhere/out.dvtrace')
    refused(folder, 'golden.gz', symbols_from=os.path.join(folder, 'golden.gz'))


def a_filter_by_an_unknown_function_is_refused_at_load(folder):
    refused(folder, "option starting_from: no function 'no_such_function' in ", starting_from='no_such_function')


def another_kernels_symbols_are_noticed(folder):
    m = machine(folder)
    out = os.path.join(folder, 'mismatch.dvtrace')
    result = m.run(*m.icount('replay'), *m.plugin(out, symbols_from=guest.kernel('6.12')))
    guest.check('the running kernel is not the one' in result.stderr, f'stderr is: {result.stderr}')
    names = {s.name for s in guest.read(out)}
    guest.check('start_kernel' not in names, 'a name of another kernel was given')


FROM = 'run_init_process'


def window(m, name, **options):
    return [s for s in guest.read(m.trace('replay', name, starting_from=FROM, **options)) if s.dur >= 0]


def span(s):
    return (s.start, s.tid, s.dur, s.kind, s.name)


def min_insns_keeps_just_what_is_long_enough(folder):
    m = machine(folder)
    full = window(m, 'full.dvtrace')
    some = window(m, 'min.dvtrace', min_insns=500)
    last = min(max(s.start + s.dur for s in full), max(s.start + s.dur for s in some))
    want = sorted(span(s) for s in full if s.dur >= 500 and s.start + s.dur < last)
    got = sorted(span(s) for s in some if s.start + s.dur < last)
    guest.check(len(want) > 500, f'only {len(want)} slices are long enough')
    guest.check(got == want, f'{len(got)} slices, not {len(want)}')


def max_depth_keeps_just_what_is_not_deeper(folder):
    m = machine(folder)
    some = window(m, 'depth.dvtrace', max_depth=3)
    guest.check(some and max(s.depth for s in some) <= 2, 'a slice is deeper than asked for')


def during_keeps_just_one_command(folder):
    m = machine(folder)
    slices = list(guest.read(m.trace('replay', 'during.dvtrace', during='init')))
    guest.check(len(slices) > 1000, f'only {len(slices)} slices')
    guest.check({s.comm for s in slices} == {'init'}, f'other threads are there: { {s.comm for s in slices} }')


def stopping_at_ends_the_trace(folder):
    m = machine(folder)
    slices = list(guest.read(m.trace('replay', 'stop.dvtrace', starting_from=FROM, stopping_at='kernel_execve')))
    names = [s.name for s in slices]
    guest.check(FROM in names and 'kernel_execve' not in names, f'{len(names)} slices: {names[:10]}')


def ignore_below_leaves_out_what_a_function_calls(folder):
    m = machine(folder)
    slices = sorted(guest.read(m.trace('replay', 'ignore.dvtrace', starting_from=FROM, ignore_below='do_exit')))
    exits = [s for s in slices if s.name == 'do_exit']
    guest.check(exits, 'no do_exit')
    for e in exits:
        inside = [s for s in slices if s.tid == e.tid and s.start > e.start and s.depth > e.depth]
        guest.check(not inside, f'{inside[:3]} lie below do_exit')


def without_icount_it_traces_and_says_that_it_cannot_be_sought(folder):
    m = machine(folder)
    out = os.path.join(folder, 'host.dvtrace')
    result = m.run('-smp', '4', *m.plugin(out))
    guest.check(result.returncode == 0, result.stderr)
    guest.check('host nanoseconds and cannot be sought exactly: several vCPUs' in result.stderr, result.stderr)
    text = json.dumps(info(out))
    guest.check('several vCPUs' in text, text[:300])
    names = {s.name for s in guest.read(out)}
    guest.check({'start_kernel', 'start_secondary', 'do_exit'} <= names, 'expected functions are missing')


def a_counted_clock_is_said_not_to_be_exact(folder):
    m = machine(folder)
    out = os.path.join(folder, 'counter.dvtrace')
    result = m.run(*m.icount('replay'), *m.plugin(out, clock='counter', starting_from=FROM))
    guest.check('counted instructions and cannot be sought exactly: clock=counter' in result.stderr, result.stderr)
    guest.check(any(s.name == FROM for s in guest.read(out)), f'no {FROM}')


if __name__ == '__main__':
    guest.main([bad_options_are_refused_at_load, missing_and_wrong_files_are_refused_at_load,
                a_filter_by_an_unknown_function_is_refused_at_load, another_kernels_symbols_are_noticed,
                min_insns_keeps_just_what_is_long_enough, max_depth_keeps_just_what_is_not_deeper,
                during_keeps_just_one_command, stopping_at_ends_the_trace,
                ignore_below_leaves_out_what_a_function_calls,
                without_icount_it_traces_and_says_that_it_cannot_be_sought,
                a_counted_clock_is_said_not_to_be_exact])
