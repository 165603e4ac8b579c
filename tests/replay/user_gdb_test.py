#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""User programs and kernel modules in `dejaview debug`: a position-independent program whose symbols are in a --sysroot
alone, as Debian's debug packages have them, one with DWARF in the initramfs, and a module of the kernel's debug package.
gdb must have their symbols at the addresses where the kernel put them, and the trace their names. Prints TAP."""
import glob
import json
import lzma
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'guest'))
import guest

HERE = os.path.dirname(os.path.abspath(__file__))
SERIES = '6.12'
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
DEJAVIEW = os.path.join(guest.BUILD, 'dejaview')
ESCAPES = re.compile(r'\x1b\[[0-9;?]*[a-zA-Z]|\r')


def strip_into_sysroot(folder, program, beside):
    """The program loses its symbols, and root/ gets them: a debug file by debug link, with what it shares with another
    program's in a third file."""
    root, shared = os.path.join(folder, 'root'), '/usr/lib/debug/.dwz/shared.debug'
    debug, other = os.path.join(root, 'usr/lib/debug/program.debug'), os.path.join(folder, 'other.debug')
    os.makedirs(os.path.dirname(root + shared))
    run = lambda *args: subprocess.run(args, check=True)
    run('objcopy', '--only-keep-debug', program, debug)
    run('objcopy', '--only-keep-debug', beside, other)
    run('dwz', '-L', 'none', '-m', root + shared, '-M', shared, debug, other)
    guest.check('gnu_debugaltlink' in subprocess.run(['readelf', '-SW', debug], capture_output=True, text=True).stdout,
                'dwz found nothing to share')
    run('strip', program)
    run('objcopy', '--add-gnu-debuglink=' + debug, program)
    shutil.copy(program, root)


def recording(folder):
    """Made once: a module is loaded, removed and loaded again; then the program of the tutorial, which dies of a wild
    jump."""
    path = os.path.join(folder, 'r.dejaview')
    if not os.path.exists(path):
        init, program, initrd = (os.path.join(folder, n) for n in ('init', 'program', 'initrd.gz'))
        for out, more in ((program, []), (program + '-too', ['-DTOO'])):
            subprocess.run(['gcc', '-g', '-static-pie', '-pthread', *more, '-o', out,
                            os.path.join(ROOT, 'examples/late-writer.c')], check=True)
        subprocess.run(['gcc', '-g', '-static', '-o', init, os.path.join(HERE, 'loader.c')], check=True)
        strip_into_sysroot(folder, program, program + '-too')
        module = glob.glob(os.path.join(guest.KERNELS, SERIES, 'modules/**/virtio_blk.ko*'), recursive=True)[0]
        guest.initramfs(initrd, init, **{'program': guest.read_bytes(program), 'virtio_blk.ko': guest.read_bytes(module)})
        subprocess.run([DEJAVIEW, 'record', '--quiet', '--sysroot', os.path.join(folder, 'root'), '-o', path, '--', 'qemu-system-x86_64', '-m', '256',
                        '-nographic', '-no-reboot', '-net', 'none', '-kernel', guest.kernel(SERIES), '-initrd', initrd,
                        '-append', 'console=ttyS0 panic=-1 quiet'], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
        subprocess.run([DEJAVIEW, 'checkpoint', '--quiet', '--interval', '2s', path], check=True, timeout=300,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return path


def packed_debug_module(folder):
    """A folder with the module's debug file, compressed as `make modules_install` does; None: it was not fetched."""
    made = os.path.join(folder, 'debug')
    found = glob.glob(os.path.join(guest.KERNELS, SERIES, 'debug/**/virtio_blk.ko'), recursive=True)
    if found and not os.path.exists(made):
        os.mkdir(made)
        with open(os.path.join(made, 'virtio_blk.ko.xz'), 'wb') as f:
            f.write(lzma.compress(guest.read_bytes(found[0]), preset=0, check=lzma.CHECK_CRC32))
    return made if found else None


def gdb(folder, *commands, at=()):
    script = os.path.join(folder, 'script.gdb')
    with open(script, 'w') as f:
        f.write('set pagination off\nset style enabled off\n' + '\n'.join(commands) + '\n')
    result = subprocess.run([DEJAVIEW, 'debug', '--sysroot', os.path.join(folder, 'root'), *at, '-x', script,
                             recording(folder)],
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
               at=('--call', 'main#2'))
    guest.check(re.findall(r'^Breakpoint 1, serve \(round=(\d)\)', text, re.M) == ['0', '0'], text)
    counts = re.findall(r'^icount (\d+) of', text, re.M)[1:]
    guest.check(len(counts) == 3 and counts[0] == counts[2] and int(counts[1]) == int(counts[0]) + 50, text)


def symbols_stay_right_in_the_kernel_and_back(folder):
    text = gdb(folder, 'dv seek main#2', 'info symbol $rip', 'dv next-call do_syscall_64', 'info symbol $rip',
               'info symbol serve', 'dv seek serve#1', 'info symbol $rip', at=('--end',))
    found = re.findall(r'^(\S+)(?: \+ \d+)? in section', text, re.M)
    guest.check(found == ['main', 'do_syscall_64', 'serve', 'serve'], text)


def a_place_before_the_program_has_none(folder):
    text = gdb(folder, 'info symbol serve', at=('--at', '1000000'))
    guest.check('No symbol' in text, text)


def names_out_of_the_sysroot(folder):
    """In the trace, with their lines: the program that ran has none of them; one with its own needs no sysroot."""
    sql = "select name, module, file, line from function where module in ('program', 'init') and name not like '%+0x%'"
    rows = subprocess.run([DEJAVIEW, 'query', recording(folder), sql], capture_output=True, text=True, timeout=60,
                          check=True).stdout
    for name, module, file in (('main', 'program', 'late-writer'), ('serve', 'program', 'late-writer'),
                               ('help', 'program', 'late-writer'), ('load', 'init', 'loader')):
        guest.check(re.search(rf'"{name}","{module}",".*/{file}\.c",\d', rows), f'no {name} of {module} in {rows}')
    guest.check('no symbols' in subprocess.run(['nm', os.path.join(folder, 'program')], capture_output=True,
                                               text=True).stderr, 'the guest\'s program has symbols')
    text = gdb(folder, 'bt', 'ptype load', at=('--call', 'load#2'))
    guest.check(re.search(r'^#0 .*load .*\n?.*loader\.c:\d+', text, re.M), text)
    guest.check('?? ()' not in text, f'the first place has no name: {text}')


def lines_of_modules(folder):
    """Also in sections that gdb does not relocate by itself, and after the module is gone and has come again."""
    debug = packed_debug_module(folder)
    if not debug:
        print('# no debug package of the kernel here: scripts/fetch-kernel --dbg brings one')
        return
    says = lambda name: json.loads(subprocess.run(
        [DEJAVIEW, 'where', '--json', '--debug-info', debug, recording(folder), f'virtio_blk:{name}'], capture_output=True,
        text=True, timeout=60, check=True).stdout)
    text = gdb(folder, 'break virtio_blk_fini', 'continue', 'info symbol $rip', 'info line virtblk_probe',
               'list virtblk_probe', 'ptype struct virtio_blk', 'dv next-call virtio_blk_init', 'info symbol $rip',
               at=('--debug-info', debug, '--call', 'virtio_blk_init#1'))
    lines = {}
    for name in ('virtio_blk_init', 'virtio_blk_fini', 'virtblk_probe'):
        answers = says(name)
        guest.check(len(answers) == 1 and answers[0]['symbol'] == name, answers)
        frame = answers[0]['frames'][-1]
        guest.check(frame['file'] == 'drivers/block/virtio_blk.c' and frame['line'], answers)
        lines[name] = frame['line'], answers[0]['address']
    stops = re.findall(r'(\w+) \(\) at drivers/block/virtio_blk.c:(\d+)', text)
    want = [(name, str(lines[name][0])) for name in ('virtio_blk_init', 'virtio_blk_fini', 'virtio_blk_init')]
    guest.check(stops == want, f'{stops}, not {want}: {text}')
    guest.check('virtio_blk_fini in section .exit.text' in text, text)
    line, address = lines['virtblk_probe']
    guest.check(re.search(rf'Line {line} of "drivers/block/virtio_blk.c"\s+starts at address {address}', text), text)
    guest.check('struct gendisk *disk;' in text and re.search(rf'^{line - 5}\tin drivers/block/virtio_blk.c', text, re.M), text)
    guest.check(re.search(r'^virtio_blk_init in section .init.text of .*/module-1-virtio_blk.ko$', text, re.M), text)


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
    guest.main([names_and_lines, names_out_of_the_sysroot, breakpoints_by_name, symbols_stay_right_in_the_kernel_and_back,
                a_place_before_the_program_has_none, lines_of_modules, a_slice_by_its_row])
