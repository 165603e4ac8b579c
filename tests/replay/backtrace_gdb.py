# SPDX-License-Identifier: GPL-2.0-or-later
"""Inside gdb: takes the replay to one icount after the other and prints its backtrace there, as JSON lines
{icount, frames: [[function's address, name], ...]}, innermost first, up to the first frame that is no C function;
of a user program (`program`), {icount, frames: [address in the function, ...]}, as far as gdb comes.
PROBES (JSON: qmp, gdb, icounts; vmlinux, slide or program) names a file."""
import json
import os
import socket
import gdb

with open(os.environ['PROBES'], encoding='ascii') as f:
    probes = json.load(f)

# The kernel calls from these on another stack, which DWARF does not say.
SWITCHES_STACKS = ('sysvec_', 'common_interrupt', 'do_softirq_own_stack', '__irq_exit_rcu', 'spurious_interrupt')


class Qmp:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(300)
        self.sock.connect(path)
        self.file = self.sock.makefile('rw')
        self.file.readline()
        self.command('qmp_capabilities')

    def read(self):
        return json.loads(self.file.readline())

    def command(self, name, **arguments):
        self.file.write(json.dumps({'execute': name, 'arguments': arguments}) + '\n')
        self.file.flush()
        while True:
            reply = self.read()
            if 'error' in reply:
                raise gdb.GdbError(f'{name}: {reply["error"]}')
            if 'return' in reply:
                return reply['return']

    def go(self, icount):
        self.command('replay-break', icount=icount)
        self.command('cont')
        while self.command('query-status')['running'] or self.command('query-replay')['icount'] < icount:
            pass


def function_at(pc):
    """The function that pc is in, whole, not what is inlined in it there."""
    block = gdb.block_for_pc(pc)
    while block and (not block.function or block.function.symtab is None or is_inlined(block)):
        block = block.superblock
    return block.function if block else None


def is_inlined(block):
    outer = block.superblock
    while outer and not outer.function:
        outer = outer.superblock
    return outer is not None


def backtrace():
    """A caller's pc lies behind its call. The frame where the guest stands may have inlined ones below it."""
    frames, frame = [], gdb.newest_frame()
    while frame is not None and frame.is_valid():
        if frame.type() == gdb.NORMAL_FRAME:
            symbol = function_at(frame.pc() - (1 if frames and frame.older() is not None else 0))
            if symbol is None:
                break
            frames.append([int(symbol.value().address), symbol.linkage_name])
            if symbol.linkage_name.startswith(SWITCHES_STACKS):
                break
        frame = frame.older()
    return frames


def user_backtrace():
    """A caller's pc lies behind its call, but for what a signal interrupted."""
    pcs, frame, exact = [], gdb.newest_frame(), True
    while frame is not None and frame.is_valid():
        if frame.type() == gdb.NORMAL_FRAME:
            pcs.append(frame.pc() - (not exact))
        exact = frame.type() == gdb.SIGTRAMP_FRAME
        frame = frame.older()
    return pcs


gdb.execute('set pagination off')
gdb.execute('set confirm off')
gdb.execute('set architecture i386:x86-64')
if 'program' in probes:
    gdb.execute('set backtrace past-main on')
    gdb.execute('set backtrace past-entry on')
    gdb.execute(f'symbol-file {probes["program"]}', to_string=True)
else:
    gdb.execute(f'symbol-file {probes["vmlinux"]} -o {probes["slide"]}', to_string=True)
gdb.execute(f'target remote {probes["gdb"]}', to_string=True)
qmp = Qmp(probes['qmp'])
for icount in probes['icounts']:
    qmp.go(icount)
    gdb.execute('maintenance flush register-cache', to_string=True)
    gdb.execute('maintenance flush dcache', to_string=True)
    gdb.invalidate_cached_frames()
    try:
        frames = user_backtrace() if 'program' in probes else backtrace()
        print(json.dumps({'icount': icount, 'frames': frames}), flush=True)
    except gdb.error as error:
        print(json.dumps({'icount': icount, 'error': str(error)}), flush=True)
qmp.command('quit')
