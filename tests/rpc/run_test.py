#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Records the demo's guest, with the calls of 1,000 instructions and more, and has the daemon serve that.

usage: run_test.py [TEST]...

DEJAVIEW_BUILD           the build folder (build)
DEJAVIEW_TEST_KERNELS    folder of kernels, DEJAVIEW_TEST_GUESTS of the initramfs: ./check sets them
DEJAVIEW_TEST_RPC_TRACE  a recording or trace to use instead
"""
import os
import subprocess
import sys
import tempfile


def record(folder):
    kernels, guests = os.environ.get('DEJAVIEW_TEST_KERNELS'), os.environ.get('DEJAVIEW_TEST_GUESTS')
    if not kernels or not guests:
        sys.exit('Bail out! DEJAVIEW_TEST_KERNELS and DEJAVIEW_TEST_GUESTS are not set: ./check sets them')
    recording = os.path.join(folder, 'demo.dejaview')
    program = os.path.join(os.environ.get('DEJAVIEW_RECORDER', os.environ.get('DEJAVIEW_BUILD', 'build')), 'dejaview')
    done = subprocess.run([program, 'record', '-o', recording, '--quiet', '--min-insns', '1000', '--',
                           'qemu-system-x86_64', '-machine', 'q35', '-m', '512', '-nographic', '-no-reboot', '-net',
                           'none', '-kernel', os.path.join(kernels, '6.1', 'vmlinuz'), '-initrd',
                           os.path.join(guests, 'demo.cpio.gz'), '-append', 'console=ttyS0 panic=-1'],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f'Bail out! the guest could not be recorded: {done.stderr}')
    return recording


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault('XDG_CACHE_HOME', os.path.join(folder, 'cache'))
        if not os.environ.get('DEJAVIEW_TEST_RPC_TRACE'):
            os.environ['DEJAVIEW_TEST_RPC_TRACE'] = record(folder)
        # They look for the trace as they are loaded.
        import client
        import perfetto_test
        import replay_test
        import serve_test
        return client.run_tests([serve_test, perfetto_test, replay_test], sys.argv[1:])


if __name__ == '__main__':
    sys.exit(main())
