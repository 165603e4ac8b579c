#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""gdb_test.py DEJAVIEW RECORDING: `dejaview debug` on a terminal, as a user has it. Prints TAP.

Names, dv commands, stepping and watchpoints in both directions, the end, a seek by another client of the same
session, a cancelled seek, and that nothing is left behind, also after SIGKILL.
"""
import glob
import json
import os
import pty
import re
import select
import signal
import socket
import sys
import time

PROMPT = b'(gdb) '
TIMEOUT_S = 120
ESCAPES = re.compile(rb'\x1b\[[0-9;?]*[a-zA-Z]|\r')
tests = failures = 0


def check(what, good, diagnosis=''):
    global tests, failures
    tests += 1
    failures += not good
    print('%sok %d - %s' % ('' if good else 'not ', tests, what), flush=True)
    if not good:
        for line in str(diagnosis).splitlines()[-15:]:
            print('#', line)


class Debug:
    marks = 0

    def __init__(self, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ['TERM'] = 'dumb'
            os.execv(sys.argv[1], ['dejaview', 'debug', *arguments])
        self.welcome = self.until_prompt()
        self.do('set pagination off')

    def until_prompt(self, before=b'', timeout=TIMEOUT_S):
        text, deadline = b'', time.monotonic() + timeout
        while not ESCAPES.sub(b'', text).endswith(before + PROMPT):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                break
            try:
                more = os.read(self.fd, 65536)
            except OSError:
                break
            if not more:
                break
            text += more
        return ESCAPES.sub(b'', text).decode(errors='replace')

    def do(self, command):
        """A mark of its own behind each: what comes unasked for brings a prompt, too."""
        self.marks += 1
        mark = b'mark-%d-\n' % self.marks
        os.write(self.fd, command.encode() + b'\necho mark-%d-\\n\n' % self.marks)
        return self.until_prompt(b'\n' + mark)

    def icount(self):
        found = re.search(r'icount (\d+)', self.do('dv when'))
        return int(found.group(1)) if found else -1

    def rip(self):
        found = re.search(r'= \(void.*\) (0x[0-9a-f]+)', self.do('print (void *) $rip'))
        return int(found.group(1), 16) if found else -1

    def end(self):
        os.write(self.fd, b'quit\n')
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:
            pass
        return os.waitpid(self.pid, 0)[1]


def children(pid):
    """All descendants, by /proc."""
    found = []
    for stat in glob.glob('/proc/[0-9]*/stat'):
        try:
            fields = open(stat).read().rsplit(')', 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(stat.split('/')[2])
            found += [child] + children(child)
    return found


def alive(pids):
    return [p for p in pids if os.path.exists('/proc/%d' % p) and
            open('/proc/%d/stat' % p).read().rsplit(')', 1)[1].split()[0] != 'Z']


def socket_of(pid):
    """The dv socket of the session, from gdb's init file."""
    for child in children(pid):
        command = open('/proc/%d/cmdline' % child).read().split('\0')
        if 'gdb' in command[0]:
            init = command[command.index('-x') + 1]
            return os.path.join(os.path.dirname(init), 'dv')
    return None


def ask(path, **request):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(json.dumps(request).encode() + b'\n')
        return json.loads(s.makefile().readline())


def test_names_and_steps(recording):
    d = Debug('--call', 'do_filp_open#3', recording)
    check('debug opens gdb at a call', 'in do_filp_open' in d.welcome, d.welcome)
    text = d.do('dv bt')
    check('dv bt is the exact stack', '#0   do_filp_open' in text and 'since icount' in text, text)
    start = d.icount()
    before = d.do('reverse-stepi')
    check('reverse-stepi leaves the function', 'do_filp_open' not in before and ' in ' in before, before)
    check('... by one instruction', d.icount() == start - 1)
    check('stepi comes back', 'do_filp_open' in d.do('stepi') and d.icount() == start)
    text = d.do('dv next-call do_filp_open')
    further = d.icount()
    check('dv next-call goes on', further > start and 'do_filp_open' in text, text)
    text = d.do('dv prev-call do_filp_open')
    check('dv prev-call goes back', d.icount() == start, text)
    text = d.do('dv threads')
    check('dv threads marks the running one', re.search(r'^  \* +\d+', text, re.M) is not None, text)
    d.do('hbreak do_filp_open')
    text = d.do('continue')
    check('a breakpoint stops forward', 'Breakpoint 1' in text and d.icount() == further, text)
    text = d.do('reverse-continue')
    check('... and backward', 'Breakpoint 1' in text and d.icount() == start, text)
    d.do('delete 1')
    text = d.do('set var *(long *) $rsp = 1')
    check('the guest cannot be changed', 'Cannot access memory' in text, text)
    text = d.do('dv seek 99999999999999')
    check('a seek past the end is refused', 'past the recording' in text, text)
    text = d.do('dv seek nosuchfunction#2')
    check('a seek to no call is refused', 'no call' in text, text)
    check('gdb ends with its own exit code', d.end() == 0)


def test_watchpoint(recording):
    d = Debug('--call', 'do_filp_open#3', recording)
    start = d.icount()
    d.do('watch -l *(long *) $rsp')
    text = d.do('reverse-continue')
    check('a watchpoint is hit going backward, and named', 'Hardware watchpoint 1' in text and
          'Old value' in text and 'New value' in text and d.icount() == start - 1, text)
    text = d.do('continue')
    check('... and forward', 'Hardware watchpoint 1' in text and 'Old value' in text and d.icount() == start, text)
    d.end()


def test_others(recording):
    d = Debug('--end', recording)
    check('the end is a place', 'the end of the recording' in d.welcome, d.welcome)
    end = d.icount()
    text = d.do('continue')
    text += d.do('echo \\n')
    check('reaching the end says so', 'end of the recording' in text, text)
    path = socket_of(d.pid)
    answer = ask(path, do='seek', to='do_filp_open#3')
    check('another client seeks', answer.get('ok') and answer['icount'] < end, answer)
    deadline = time.monotonic() + TIMEOUT_S
    rip = -1
    while time.monotonic() < deadline:  # gdb is told between two commands
        text = d.do('info symbol $rip')
        if 'do_filp_open' in text:
            rip = d.rip()
            break
    check('gdb shows where it went', 'do_filp_open' in text, text)
    check('... and its registers are of there', rip != -1 and d.icount() == answer['icount'])
    pids = children(d.pid)
    check('QEMU and gdb are its children', len(pids) >= 2, pids)
    os.kill(d.pid, signal.SIGKILL)
    os.waitpid(d.pid, 0)
    deadline = time.monotonic() + 30
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    check('killed, it leaves no process', not alive(pids), alive(pids))


def test_cancel(recording):
    d = Debug('--no-checkpoints', recording)
    os.write(d.fd, b'dv seek end\n')
    path = socket_of(d.pid)
    deadline = time.monotonic() + TIMEOUT_S
    while ask(path, do='when', quick=True)['icount'] < 1000000 and time.monotonic() < deadline:
        pass
    os.write(d.fd, b'\x03')
    text = d.until_prompt()
    at = d.icount()
    check('Ctrl-C cancels a seek', 'interrupted' in text and 0 < at < 10**9, text)
    text = d.do('stepi')
    check('... and one goes on from there', d.icount() > at - 1, text)
    check('nothing is left of the session', d.end() == 0 and not os.path.exists(os.path.dirname(path)))


def main():
    recording = sys.argv[2]
    test_names_and_steps(recording)
    test_watchpoint(recording)
    test_others(recording)
    test_cancel(recording)
    print('1..%d' % tests)
    return failures != 0


sys.exit(main())
