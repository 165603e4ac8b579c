#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real guest's trace (forks, threads, exec, prints, exits: the end of what printer.c does) in the trace
processor: against Perfetto's own, and against brute force. TAP.

usage: guest_test.py BUILD     with DEJAVIEW_TEST_KERNELS
"""
import gzip
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
os.environ['DEJAVIEW_BUILD'] = sys.argv[1]
sys.path.insert(0, os.path.join(HERE, '..', 'guest'))
import guest  # noqa: E402  (it asks the environment for the build)

SERIES = '6.1'
FROM = '__do_sys_clone'  # the first fork of user space: after it 75,000 calls, which Perfetto's WASM copes with


def make_trace(folder):
    program, initrd = os.path.join(folder, 'printer'), os.path.join(folder, 'printer.gz')
    subprocess.run(['gcc', '-O1', '-static', '-o', program, os.path.join(guest.HERE, 'printer.c'), '-lpthread'],
                   check=True)
    with open(program, 'rb') as f:
        init = f.read()
    with gzip.open(initrd, 'wb', 1) as out:
        out.write(guest.newc('dev', 0o40755) + guest.newc('dev/console', 0o20600, rdev=(5, 1)) +
                  guest.newc('init', 0o100755, init) + guest.newc('worker', 0o100755, init) +
                  guest.newc('modules', 0o40755) + guest.newc('modules/list', 0o100644) +
                  guest.newc('TRAILER!!!', 0))
    return guest.Guest(SERIES, initrd, folder).trace('record', 'guest.dvtrace', starting_from=FROM)


def run(*args, skip=None):
    done = subprocess.run(args, capture_output=True, text=True, check=False, timeout=600)
    for line in (done.stdout + done.stderr).splitlines():
        print(f'# {line}')
    guest.check(done.returncode in (0, skip), f'{os.path.basename(args[0])} exited with {done.returncode}')


def a_guest_is_traced(folder):
    guest.check(os.path.getsize(make_trace(folder)) > 100000, 'the trace is empty')


def table_functions_are_what_brute_force_finds(folder):
    run(os.path.join(HERE, 'brute_force.py'), os.path.join(guest.BUILD, 'dejaview'), os.path.join(folder, 'guest.dvtrace'))


def every_row_is_as_in_perfetto(folder):
    run(os.path.join(HERE, 'differential.sh'), guest.BUILD, os.path.join(folder, 'guest.dvtrace'), skip=77)


if __name__ == '__main__':
    guest.main([a_guest_is_traced, table_functions_are_what_brute_force_finds, every_row_is_as_in_perfetto])
