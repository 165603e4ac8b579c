#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""User programs in `dejaview debug`: a position-independent init with DWARF, whose symbols gdb must have at the
addresses where the kernel put it. Prints TAP."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'guest'))
import guest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
DEJAVIEW = os.path.join(guest.BUILD, 'dejaview')
ESCAPES = re.compile(r'\x1b\[[0-9;?]*[a-zA-Z]|\r')


def recording(folder):
    """Made once: the program of the tutorial, which dies of a wild jump."""
    path = os.path.join(folder, 'r.dejaview')
    if not os.path.exists(path):
        init, initrd = os.path.join(folder, 'init'), os.path.join(folder, 'initrd.gz')
        subprocess.run(['gcc', '-g', '-static-pie', '-pthread', '-o', init,
                        os.path.join(ROOT, 'examples/late-writer.c')], check=True)
        guest.initramfs(initrd, init)
        subprocess.run([DEJAVIEW, 'record', '--quiet', '-o', path, '--', 'qemu-system-x86_64', '-m', '256',
                        '-nographic', '-no-reboot', '-net', 'none', '-kernel', guest.kernel('6.12'), '-initrd', initrd,
                        '-append', 'console=ttyS0 panic=-1 quiet'], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
        subprocess.run([DEJAVIEW, 'checkpoint', '--quiet', '--interval', '2s', path], check=True, timeout=300,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return path


def gdb(folder, *commands, at=()):
    script = os.path.join(folder, 'script.gdb')
    with open(script, 'w') as f:
        f.write('set pagination off\nset style enabled off\n' + '\n'.join(commands) + '\n')
    result = subprocess.run([DEJAVIEW, 'debug', *at, '-x', script, recording(folder)],
                            input='quit\n', capture_output=True, text=True, timeout=300)
    return ESCAPES.sub('', result.stdout) + result.stderr


def names_and_lines(folder):
    text = gdb(folder, 'info symbol $rip', 'bt', 'print sizeof(pool)', 'print pool[1].text', at=('--call', 'serve#1'))
    guest.check(re.search(r'^serve in section \.text', text, re.M), text)
    guest.check(re.search(r'^#0 .*serve .*\n?.*late-writer\.c:\d+', text, re.M), text)
    guest.check(re.search(r'^#1 .*main .*\n?.*late-writer\.c:\d+', text, re.M), text)
    guest.check('$1 = 160' in text, text)


def breakpoints_by_name(folder):
    """Forward to it, past it, and back."""
    text = gdb(folder, 'break serve', 'continue', 'dv when', 'stepi 50', 'dv when', 'reverse-continue', 'dv when',
               at=('--call', 'main#1'))
    guest.check(re.findall(r'^Breakpoint 1, serve \(round=(\d)\)', text, re.M) == ['0', '0'], text)
    counts = re.findall(r'^icount (\d+) of', text, re.M)[1:]
    guest.check(len(counts) == 3 and counts[0] == counts[2] and int(counts[1]) == int(counts[0]) + 50, text)


def symbols_stay_right_in_the_kernel_and_back(folder):
    text = gdb(folder, 'dv seek main#1', 'info symbol $rip', 'dv next-call do_syscall_64', 'info symbol $rip',
               'info symbol serve', 'dv seek serve#1', 'info symbol $rip', at=('--end',))
    found = re.findall(r'^(\S+)(?: \+ \d+)? in section', text, re.M)
    guest.check(found == ['main', 'do_syscall_64', 'serve', 'serve'], text)


def a_place_before_the_program_has_none(folder):
    text = gdb(folder, 'info symbol serve', at=('--at', '1000000'))
    guest.check('No symbol' in text, text)


def a_slice_by_its_row(folder):
    sql = "select id, ts, tid, depth from thread_slice where name = 'serve'"
    row = subprocess.run([DEJAVIEW, 'query', recording(folder), sql], capture_output=True, text=True, timeout=60,
                         check=True).stdout.splitlines()[1].split(',')
    by_row = gdb(folder, 'dv when', 'print $rip', at=('--slice', row[0]))
    by_key = gdb(folder, 'dv when', 'print $rip', at=('--slice', ':'.join(row[1:])))
    guest.check(f'icount {row[1]} of' in by_row and '<serve>' in by_row, by_row)
    guest.check(re.findall(r'^\$1.*', by_row, re.M) == re.findall(r'^\$1.*', by_key, re.M), by_key)
    guest.check('has no slice 4000000000' in gdb(folder, at=('--slice', '4000000000')), 'a row that is none')
    guest.check('is a row id' in gdb(folder, at=('--slice', 'x')), 'no number')


if __name__ == '__main__':
    guest.main([names_and_lines, breakpoints_by_name, symbols_stay_right_in_the_kernel_and_back,
                a_place_before_the_program_has_none, a_slice_by_its_row])
