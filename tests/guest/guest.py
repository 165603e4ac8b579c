# SPDX-License-Identifier: GPL-2.0-or-later
"""What the guest tests share: an initramfs of one program, QEMU with the bare plugin, traces as lists of
slices, and TAP."""
import collections
import gzip
import lzma
import os
import subprocess
import sys
import tempfile

BUILD = os.environ.get('DEJAVIEW_BUILD', 'build')
KERNELS = os.environ.get('DEJAVIEW_TEST_KERNELS')
PLUGIN = os.path.join(BUILD, 'libdejaview-plugin.so')
DUMP = os.path.join(BUILD, 'tests/trace/dump-slices')
HERE = os.path.dirname(os.path.abspath(__file__))

Slice = collections.namedtuple('Slice', 'start tid depth dur kind comm name')


def kernel(series):
    if not KERNELS:
        sys.exit('Bail out! DEJAVIEW_TEST_KERNELS is not set: ./check sets it')
    return os.path.join(KERNELS, series, 'vmlinuz')


def newc(name, mode, data=b'', rdev=(0, 0)):
    """One entry of a cpio archive (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    raw = name.encode() + b'\0'
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0]
    head = b'070701' + b''.join(b'%08x' % f for f in fields) + raw
    pad = lambda b: b + b'\0' * (-len(b) % 4)
    return pad(head) + pad(data)


def read_bytes(path):
    with (lzma.open(path) if path.endswith('.xz') else open(path, 'rb')) as f:
        return f.read()


def initramfs(path, init, **more):
    """more: other files in its root, by name."""
    with gzip.open(path, 'wb', 1) as out:
        out.write(newc('dev', 0o40755) + newc('dev/console', 0o20600, rdev=(5, 1)) +
                  newc('init', 0o100755, read_bytes(init)) +
                  b''.join(newc(name, 0o100755, data) for name, data in more.items()) + newc('TRAILER!!!', 0))


def compile_golden(folder):
    """The golden program and its functions' names by address."""
    path = os.path.join(folder, 'golden')
    subprocess.run(['gcc', '-O1', '-fno-optimize-sibling-calls', '-fcf-protection=none', '-fno-stack-protector',
                    '-fno-pie', '-no-pie', '-static', '-nostdlib', '-o', path, os.path.join(HERE, 'golden.c')],
                   check=True)
    names = {}
    for line in subprocess.run(['nm', path], check=True, capture_output=True, text=True).stdout.splitlines():
        address, kind, name = line.split()
        if kind in 'tT':
            names[int(address, 16)] = name
    return path, names


class Guest:
    """A machine with one initramfs, in a folder of its own."""

    def __init__(self, series, initrd, folder):
        self.folder = folder
        self.log = os.path.join(folder, f'rr-{series}.log')
        self.base = ['qemu-system-x86_64', '-machine', 'q35,hpet=off', '-global', 'apic-common.vapic=off', '-m',
                     '256', '-display', 'none', '-nodefaults', '-net', 'none', '-no-reboot', '-serial',
                     'file:' + os.path.join(folder, 'console'), '-monitor', 'none', '-kernel', kernel(series),
                     '-initrd', initrd, '-append', 'console=ttyS0 panic=-1']

    def icount(self, mode):
        return ['-icount', f'shift=auto,sleep=off,rr={mode},rrfile={self.log}']

    def run(self, *args, timeout=240):
        return subprocess.run([*self.base, *args], cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout)

    def plugin(self, out, **options):
        return ['-plugin', ','.join([PLUGIN, f'out={out}'] + [f'{k}={v}' for k, v in options.items()])]

    def trace(self, mode, name, **options):
        """Runs with the plugin and returns the trace's path; the machine must end by itself."""
        out = os.path.join(self.folder, name)
        result = self.run(*self.icount(mode), *self.plugin(out, **options))
        if result.returncode:
            raise Failed(f'QEMU exited with {result.returncode}: {result.stderr.strip()[-500:]}')
        return out


def read(path, first_tid=None, comm=None):
    """Slices, in the order in which they ended; of threads from first_tid on, of those named comm."""
    mark = f'\t{comm}\t' if comm else '\t'
    tids = [] if first_tid is None else [str(first_tid)]
    with subprocess.Popen([DUMP, '--slices', path, *tids], stdout=subprocess.PIPE, text=True) as dump:
        for line in dump.stdout:
            if mark not in line:
                continue
            start, tid, depth, dur, kind, thread, name = line.rstrip('\n').split('\t')
            if comm in (None, thread):
                yield Slice(int(start), int(tid), int(depth), int(dur), kind, thread, name)
    if dump.returncode:
        raise Failed(f'{DUMP} {path} exited with {dump.returncode}')


class Failed(Exception):
    pass


def check(condition, message):
    if not condition:
        raise Failed(message)


def main(tests):
    """Runs functions of one argument (a scratch folder that all share) and prints TAP."""
    failed = 0
    print(f'1..{len(tests)}')
    with tempfile.TemporaryDirectory(prefix='dejaview-guest-') as folder:
        for number, test in enumerate(tests, 1):
            try:
                test(folder)
                print(f'ok {number} - {test.__name__}', flush=True)
            except (Failed, subprocess.SubprocessError, OSError) as error:
                failed += 1
                print(f'# {error}\nnot ok {number} - {test.__name__}', flush=True)
    sys.exit(failed != 0)
