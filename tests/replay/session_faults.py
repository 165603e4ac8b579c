# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions and segments, as faults_test.py runs them: how many QEMUs at a time, what a first session leaves behind,
ports in use, names without debug information, and daemons that are killed."""
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from fault_kit import DEJAVIEW, QEMU, copy, gone, guest, last_icount, recording, run, using, without_gdb

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'rpc'))
from client import Daemon

PATIENCE = 300  # a limit, not an expectation


def fields_of(proc):
    return open(proc + '/stat').read().rsplit(')', 1)[1].split()


def descendants(pid):
    found = []
    for proc in glob.glob('/proc/[0-9]*'):
        try:
            if int(fields_of(proc)[1]) == pid:
                found += [int(proc[6:]), *descendants(int(proc[6:]))]
        except OSError:
            continue
    return found


def names_of(pids):
    return [open(f'/proc/{pid}/comm').read().strip() for pid in pids]


def alive(pids):
    found = []
    for pid in pids:
        try:
            if fields_of(f'/proc/{pid}')[0] != 'Z':
                found.append(pid)
        except OSError:
            continue
    return found


def until(what, condition):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise guest.Failed(f'{what}: not in {PATIENCE} s')


def is_killed(pid, wanted):
    """SIGKILL; the processes under it, which are those wanted, go with it."""
    pids = descendants(pid)
    names = names_of(pids)
    for name in wanted:
        guest.check(any(name in n for n in names), f'no {name} among {names}')
    os.kill(pid, signal.SIGKILL)
    until(f'the end of {names}', lambda: not alive(pids))


started = []


class Debug:
    """`dejaview debug` with pipes for a terminal."""

    def __init__(self, *args):
        self.process = subprocess.Popen([DEJAVIEW, 'debug', *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=dict(os.environ, TERM='dumb'))
        started.append(self.process)
        self.text, self.marks = b'', 0
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        self.do('set pagination off')

    def read(self):
        while data := self.process.stdout.read1(65536):
            self.text += data

    def do(self, command):
        self.marks += 1
        before = len(self.text)
        mark = f'mark-{self.marks}-'
        self.process.stdin.write(f'{command}\necho {mark}\\n\n'.encode())
        self.process.stdin.flush()
        until(command, lambda: f'{mark}\r\n'.encode() in self.text or self.process.poll() is not None)
        return self.text[before:].decode(errors='replace')

    def end(self):
        self.process.stdin.write(b'quit\n')
        self.process.stdin.flush()
        return self.process.wait(PATIENCE)


class Adapter:
    """`dejaview dap`, asked one thing at a time."""

    def __init__(self, env=None):
        self.process = subprocess.Popen([DEJAVIEW, 'dap'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self.seq = 0
        self.ask('initialize', adapterID='dejaview')

    def ask(self, command, **arguments):
        self.seq += 1
        text = json.dumps({'seq': self.seq, 'type': 'request', 'command': command, 'arguments': arguments})
        self.process.stdin.write(f'Content-Length: {len(text)}\r\n\r\n{text}'.encode())
        self.process.stdin.flush()
        while True:
            head = self.process.stdout.readline()
            guest.check(head.startswith(b'Content-Length: '), f'{command}: {head}')
            self.process.stdout.readline()
            message = json.loads(self.process.stdout.read(int(head.split()[1])))
            if message['type'] == 'response' and message['request_seq'] == self.seq:
                return message


# ---- segments ----

def answers(r, *args):
    """What it says, and how many QEMUs it had at a time."""
    most = 0
    with subprocess.Popen([DEJAVIEW, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as p:
        said = []
        reader = threading.Thread(target=lambda: said.extend(p.communicate(timeout=PATIENCE)))
        reader.start()
        while reader.is_alive():
            most = max(most, len(using(r, 'qemu-system')))
            reader.join(0.1)
    guest.check(p.returncode == 0, said)
    return *said, most


def segments_answer_as_one_replay(folder):
    r, whole = recording(folder), copy(folder, checkpoints=False)
    to = last_icount(r) // 2
    for args in (['writes', '--all', '--from', str(to // 2), '--before', str(to), '{}', 'jiffies_64'],
                 ['calls', '--to', str(to), '{}', 'wake_up_new_task']):
        serial, _, one = answers(whole, *[a.format(whole) for a in args], '--quiet', '-j', '1')
        parallel, _, several = answers(r, *[a.format(r) for a in args], '--quiet', '-j', '3')
        guest.check(serial == parallel and len(serial) > 50, f'{args}: {serial[:500]!r} is not {parallel[:500]!r}')
        guest.check(one == 1, f'{args}: {one} QEMUs for one piece')
        if '--all' in args:
            guest.check(1 < several <= 3, f'{args}: {several} QEMUs at a time, not 3')


def too_little_memory_takes_fewer(folder):
    r = copy(folder)
    path = os.path.join(r, 'manifest.json')
    manifest = json.load(open(path))
    manifest['plan']['memory_bytes'] = 1 << 50
    json.dump(manifest, open(path, 'w'))
    fewer = '1 QEMU at a time, not 3: each may need'
    late = str(last_icount(r) * 9 // 10)
    for args in (['writes', '--all', '--from', late, r, 'jiffies_64'], ['calls', '-n', '1', r, 'wake_up_new_task']):
        _, said, most = answers(r, *args, '-j', '3')
        guest.check(most == 1 and fewer in said, f'{args}: {most} QEMUs: {said}')
    with subprocess.Popen([DEJAVIEW, 'trace', '-j', '3', '-o', r + '/other.dvtrace', r], stdin=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as p:
        line = p.stderr.readline()
        guest.check(fewer in line, line)
        until('a QEMU', lambda: using(r, 'qemu-system'))
        p.send_signal(signal.SIGINT)
        said = p.communicate(timeout=PATIENCE)[1]
        guest.check(p.returncode == 1 and 'interrupted' in said, f'exit code {p.returncode}: {said}')
    gone(r)
    guest.check(not glob.glob(r + '/other.dvtrace*'), os.listdir(r))


# ---- a first session ----

def checkpoints_of(r):
    return json.loads(run('checkpoint', '--list', '--json', r)[1])


def starts_from_layers(d):
    """Whether the session's QEMU stands on the recording's checkpoints."""
    return any('checkpoints/1/' in open(f'/proc/{pid}/cmdline').read() for pid in descendants(d.process.pid)
               if 'qemu' in open(f'/proc/{pid}/comm').read())


def a_first_session_leaves_checkpoints(folder):
    r = copy(folder, checkpoints=False)
    d = Debug(r)
    guest.check(not starts_from_layers(d), 'checkpoints before there were any')
    made = until('checkpoints up to the end', lambda: checkpoints_of(r)['complete'] and checkpoints_of(r))
    guest.check(len(made['checkpoints']) >= 4, made)
    to = made['checkpoints'][-1]['icount'] + 1000
    text = d.do(f'dv seek {to}')
    guest.check(f'icount {to}' in d.do('dv when'), text)
    guest.check(starts_from_layers(d), 'the session that made them does not use them')
    guest.check(d.end() == 0, d.text[-500:])
    gone(r)
    d = Debug('--at', str(to), r)
    guest.check(f'icount {to}' in d.do('dv when') and starts_from_layers(d), 'the next session does not use them')
    guest.check('rip' in d.do('info registers rip'), d.text[-500:])
    d.end()
    guest.check(checkpoints_of(r) == made, 'the second session changed them')


def a_session_that_ends_early_leaves_what_is_whole(folder):
    r = copy(folder, checkpoints=False)
    d = Debug(r)
    until('a maker at work', lambda: glob.glob(r + '/checkpoints/.making-*/snapshots.qcow2'))
    guest.check(d.end() == 0, d.text[-500:])
    gone(r)
    guest.check(not glob.glob(r + '/checkpoints/.making-*') and not glob.glob(r + '/.replay-*'), os.listdir(r))
    guest.check(checkpoints_of(r)['ignored'] is None, checkpoints_of(r))


def a_kernel_without_debug_information_has_names(folder):
    """By an ELF made of kallsyms, in gdb itself."""
    d = Debug('--call', 'do_exit#1', recording(folder))
    text = d.do('backtrace 1')
    guest.check(re.search(r'#0 .* in do_exit \(\)', text), text)
    text = d.do('info address vfs_read')
    guest.check(re.search(r'"vfs_read" is at 0xffffffff[0-9a-f]+ in a file compiled without debugging', text), text)
    text = d.do('x/2i schedule')
    guest.check('<schedule>:' in text and 'Cannot access' not in text, text)
    d.do('hbreak wake_up_new_task')
    text = d.do('reverse-continue')
    guest.check('Breakpoint 1' in text and 'in wake_up_new_task' in text, text)
    d.end()


def a_guest_that_cannot_be_restored(folder):
    """virtio-serial: no checkpoints, and going back is a replay from the beginning. Firmware alone is enough of one."""
    r = os.path.join(folder, 'firmware.dejaview')
    with subprocess.Popen([DEJAVIEW, 'record', '--no-trace', '-o', r, '--', QEMU, '-m', '64', '-nographic', '-net',
                           'none', '-device', 'virtio-serial-pci', '-chardev', 'null,id=c', '-device',
                           'virtserialport,chardev=c'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as p:
        until('the firmware', lambda: os.path.exists(r + '/console.log') and
              b'No bootable device' in open(r + '/console.log', 'rb').read())
        p.send_signal(signal.SIGTERM)
        guest.check('there can be no checkpoints' in p.communicate(timeout=PATIENCE)[1], 'record does not say so')
    status, said = run('checkpoint', r)
    guest.check(status == 1 and 'virtio-serial' in said and 'there can be no checkpoints' in said, f'{status}: {said}')
    middle = last_icount(r) // 2
    places = re.findall(r'^icount (\d+: 0x[0-9a-f]+)', run('seek', r, str(middle), '1000', str(middle))[1], re.M)
    guest.check(len(places) == 3 and places[0] == places[2], places)
    d = Debug('--at', str(middle), r)
    for command, at in (('reverse-stepi', middle - 1), ('reverse-stepi', middle - 2), ('stepi', middle - 1),
                        ('stepi', middle)):
        text = d.do(command)
        guest.check(f'icount {at} of' in d.do('dv when'), text)
    text = d.do('print (long) $rip')
    guest.check(f'= {int(places[0].split()[1], 16)}\r' in text, f'{places}: {text}')
    guest.check(d.end() == 0, d.text[-500:])
    gone(r)


# ---- ports, gdb, SIGKILL ----

def a_port_is_in_use(folder):
    r = recording(folder)
    with socket.create_server(('127.0.0.1', 0)) as s:
        port = str(s.getsockname()[1])
        for args in (['serve', '--port', port, r], ['dap', '--port', port]):
            status, said = run(*args)
            good = status == 1 and port in said and ('is taken' in said or 'in use' in said)
            guest.check(good, f'{args}: {status}: {said}')
    gone(r)


def gdb_is_missing_for_an_editor(folder):
    r = recording(folder)
    adapter = Adapter(without_gdb(folder))
    answer = adapter.ask('launch', recording=r)
    guest.check(not answer['success'] and 'install the package gdb' in json.dumps(answer), answer)
    adapter.ask('disconnect')
    adapter.process.communicate(timeout=PATIENCE)
    gone(r)


def a_killed_adapter_takes_all_along(folder):
    r = copy(folder, checkpoints=False)  # so that a maker's QEMU is there, too
    adapter = Adapter()
    answer = adapter.ask('launch', recording=r, at=1000000)
    guest.check(answer['success'], answer)
    is_killed(adapter.process.pid, ['qemu-system', 'gdb'])
    adapter.process.communicate()
    gone(r)


def a_killed_daemon_takes_all_along(folder):
    r = copy(folder, checkpoints=False)
    with Daemon(DEJAVIEW, r, ready=True) as daemon:
        with daemon.client() as c:
            c.call('replay.open', icount=1000000)
            c.call('terminal.open', columns=80, rows=24)
            is_killed(daemon.process.pid, ['qemu-system', 'gdb'])
        daemon.process.communicate()
        daemon.ended = 0, '', ''
    gone(r)
    status, said = run('seek', r, '1000')  # the next one goes on, and clears away
    guest.check(status == 0 and not glob.glob(r + '/.replay-*'), said)


def moved_and_read_only(folder):
    r = copy(folder)
    elsewhere = os.path.join(folder, 'else where')
    shutil.rmtree(elsewhere, ignore_errors=True)
    os.makedirs(elsewhere)
    moved = shutil.move(r, os.path.join(elsewhere, 'my recording.dejaview'))
    end = str(last_icount(moved))
    status, said = run('seek', moved, end)
    guest.check(status == 0 and f'icount {end}' in said, said)
    subprocess.run(['chmod', '-R', 'a-w', moved], check=True)
    mounted = subprocess.run(['mount', '--bind', '-o', 'ro', moved, moved], capture_output=True, check=False)
    try:
        d = Debug('--end', moved)
        guest.check(f'icount {end}' in d.do('dv when') and starts_from_layers(d), d.text[-500:])
        guest.check(d.end() == 0, d.text[-500:])
        text, _, _ = answers(moved, 'calls', '-n', '1', moved, 'wake_up_new_task')
        guest.check('wake_up_new_task' in text, text)
    finally:
        if not mounted.returncode:
            subprocess.run(['umount', '-l', moved], check=False)
        subprocess.run(['chmod', '-R', 'u+w', moved], check=False)
    gone(moved)


def alone(test):
    """One that fails leaves nothing for the next one to find."""
    def run_it(folder):
        try:
            test(folder)
        finally:
            for process in started:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            started.clear()
    run_it.__name__ = test.__name__
    return run_it


TESTS = [alone(test) for test in (
         segments_answer_as_one_replay, too_little_memory_takes_fewer, a_first_session_leaves_checkpoints,
         a_session_that_ends_early_leaves_what_is_whole, a_kernel_without_debug_information_has_names,
         a_guest_that_cannot_be_restored, a_port_is_in_use, gdb_is_missing_for_an_editor,
         a_killed_adapter_takes_all_along, a_killed_daemon_takes_all_along, moved_and_read_only)]
