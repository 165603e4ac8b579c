# SPDX-License-Identifier: GPL-2.0-or-later
"""gdb's `dv` commands: they ask the session that started this gdb, over its socket (replay/session.h).

A seek moves the guest without gdb's doing, so what gdb has cached is flushed after each, whoever sought.
"""
import json
import select
import socket
import threading

import gdb


class DejaView:
    path = None
    user = {}       # of the running process: path of a file's copy -> (bias, name in the guest)
    modules = {}    # of the kernel: number -> address of its code
    generation = 0  # of the timeline's state that gdb has been told of

    @staticmethod
    def connect(path, scripts):
        """A script is to find all names; at a prompt, one need not wait for those that take a while."""
        DejaView.path = path
        if scripts:
            DejaView.all_modules(lambda act: act())
        threading.Thread(target=DejaView.listen, args=(not scripts,), daemon=True).start()

    @staticmethod
    def open():
        if DejaView.path is None:
            raise gdb.GdbError('this gdb belongs to no dejaview session')
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(DejaView.path)
        except OSError as e:
            raise gdb.GdbError('the dejaview session is gone (%s)' % e)
        return s

    @staticmethod
    def ask(what, **arguments):
        """Waits for the answer; Ctrl-C cancels what is asked for, and then waits on."""
        with DejaView.open() as s:
            s.sendall(json.dumps(dict(arguments, do=what)).encode() + b'\n')
            data = b''
            while not data.endswith(b'\n'):
                try:
                    if not select.select([s], [], [], 0.1)[0]:
                        continue
                    more = s.recv(65536)
                except KeyboardInterrupt:
                    DejaView.ask('cancel')
                    continue
                if not more:
                    raise gdb.GdbError('the dejaview session has ended')
                data += more
        answer = json.loads(data)
        if what in ('seek', 'next-call', 'prev-call'):  # its outcome is shown by who asked
            DejaView.generation = max(DejaView.generation, answer.get('generation', 0))
        if not answer.get('ok'):
            raise gdb.GdbError(answer.get('error', 'no answer'))
        return answer

    @staticmethod
    def flush():
        """The guest is elsewhere: forget registers, memory, frames, and what watched places held."""
        gdb.execute('maintenance flush register-cache', to_string=True)
        gdb.execute('maintenance flush dcache', to_string=True)
        for b in gdb.breakpoints():
            if b.type in (gdb.BP_HARDWARE_WATCHPOINT, gdb.BP_READ_WATCHPOINT, gdb.BP_ACCESS_WATCHPOINT,
                          gdb.BP_WATCHPOINT) and b.enabled:
                try:
                    b.enabled = False
                    b.enabled = True
                except gdb.error:
                    pass

    @staticmethod
    def user_symbols(_=None):
        """Those of the process that runs here. While the kernel runs for nobody, the last one's stay."""
        try:
            answer = DejaView.ask('user-symbols')
        except (OSError, ValueError, gdb.GdbError):
            return
        if DejaView.modules or answer.get('modules'):
            DejaView.module_symbols(answer['modules'] or [])
        want = {f['path']: (f['bias'], f['name']) for f in answer.get('files', [])}
        if not want or want == DejaView.user:
            return
        for path, at in list(DejaView.user.items()):
            if want.get(path) != at:
                DejaView.quietly('remove-symbol-file "%s"' % path)
                del DejaView.user[path]
        for path, at in want.items():
            if path not in DejaView.user:
                DejaView.quietly('add-symbol-file "%s" -o %s' % (path, at[0]))
                DejaView.user[path] = at

    @staticmethod
    def module_symbols(modules):
        """gdb gets what it has not, and loses those whose place another module has now."""
        want = [m['number'] for m in modules]
        for number in [n for n in DejaView.modules if n not in want]:
            DejaView.quietly('remove-symbol-file -a %d' % DejaView.modules.pop(number))
        for module in modules:
            DejaView.add_module(module)

    @staticmethod
    def add_module(module):
        if module['number'] not in DejaView.modules:
            DejaView.modules[module['number']] = module['address'] & (1 << 64) - 1
            DejaView.quietly('add-symbol-file "%s"' % module['path'])

    @staticmethod
    def all_modules(later):
        """The first time, which takes a while: what has debug information, and the names of the rest."""
        try:
            answer = DejaView.ask('modules')
        except (OSError, ValueError, gdb.GdbError):
            return
        if 'complaint' in answer:
            later(lambda: print('[dejaview: %s]' % answer['complaint']))
        if 'path' in answer:
            later(lambda: DejaView.quietly('add-symbol-file "%s"' % answer['path']))
        for module in answer['modules'] or []:
            later(lambda module=module: DejaView.add_module(module))

    @staticmethod
    def quietly(command):
        try:
            gdb.execute(command, to_string=True)
        except gdb.error:
            pass

    @staticmethod
    def show_frame():
        try:
            gdb.execute('frame')
        except gdb.error as e:
            print(e)

    @staticmethod
    def move(what, **arguments):
        try:
            answer = DejaView.ask(what, **arguments)
        finally:
            DejaView.flush()  # also a seek that failed or was cancelled has moved the guest
            DejaView.user_symbols()
        print(answer['text'], end='')
        DejaView.show_frame()

    @staticmethod
    def listen(first):
        """In a thread: tells gdb of moves that others make. First, if told so, the symbols that take a while."""
        if first:
            DejaView.all_modules(gdb.post_event)
        try:
            with DejaView.open() as s:
                s.sendall(b'{"do": "listen"}\n')
                for line in s.makefile():
                    event = json.loads(line)
                    if event.get('event') == 'moved':
                        gdb.post_event(lambda e=event: DejaView.moved(e))
        except (OSError, ValueError, gdb.GdbError):
            pass

    @staticmethod
    def moved(event):
        if event['by_gdb']:
            if event['end']:
                print('[dejaview: this is the end of the recording, icount %d; reverse-stepi, reverse-continue '
                      'and dv seek go back]' % event['icount'])
                gdb.write(gdb.parameter('prompt') or '')
                gdb.flush()
            return
        if event['generation'] <= DejaView.generation:
            return
        DejaView.generation = event['generation']
        thread = gdb.selected_thread()
        if thread and thread.is_running():  # its stop, which comes next, brings everything anew
            return
        DejaView.flush()
        DejaView.user_symbols()
        print('\n[dejaview: moved to icount %d, %s]' % (event['icount'], event['why']))
        DejaView.show_frame()
        gdb.write(gdb.parameter('prompt') or '')
        gdb.flush()

    @staticmethod
    def attach(stub):
        """Says where the guest is when there are names for it."""
        DejaView.quietly('set suppress-cli-notifications on')  # gdb 12 and later
        gdb.execute('target remote ' + stub, to_string=True)
        DejaView.quietly('set suppress-cli-notifications off')
        gdb.events.stop.connect(DejaView.user_symbols)
        DejaView.user_symbols()
        DejaView.show_frame()
        try:
            answer = DejaView.ask('when', quick=True)
            DejaView.generation = answer.get('generation', 0)  # what gdb has just connected to
            print(answer['text'], end='')
            print('Type "help dv" for what DejaView adds; stepping and continuing go backward, too.')
        except gdb.GdbError as e:
            print(e)


class Dv(gdb.Command):
    """DejaView: go to any moment of the recording, and see the trace's view of it."""

    def __init__(self):
        super().__init__('dv', gdb.COMMAND_RUNNING, gdb.COMPLETE_NONE, True)


class Ask(gdb.Command):
    """A command that says what the session answers, or goes where it is asked to."""

    def __init__(self, name, doc, argument=None, moves=False, complete=gdb.COMPLETE_NONE):
        self.__doc__ = doc
        self.verb, self.argument, self.moves = name, argument, moves
        super().__init__('dv ' + name, gdb.COMMAND_RUNNING, complete)

    def invoke(self, text, from_tty):
        arguments = {}
        if self.argument is not None:
            if not text.strip():
                raise gdb.GdbError('dv %s: which %s?' % (self.verb, self.argument))
            arguments[self.argument] = text.strip()
        if self.moves:
            self.dont_repeat()
            DejaView.move(self.verb, **arguments)
        else:
            print(DejaView.ask(self.verb, **arguments)['text'], end='')


Dv()
Ask('when', """Say the current moment: instruction count, thread, why it stopped, open calls.""")
Ask('seek', """Go to a moment of the recording, forward or backward.

usage: dv seek ICOUNT             before the instruction with that count
       dv seek ICOUNT@ADDRESS     on that address, where an interrupt makes a difference
       dv seek START:TID:DEPTH    a slice of the trace, at its first instruction
       dv seek FUNC#N             the Nth call of a function
       dv seek end                the end of the recording

Ctrl-C cancels it.""", 'to', True)
Ask('bt', """The calls that are open here, innermost first, by the trace: nothing is unwound.""")
Ask('next-call', """Go to the next call of a function, in any thread.

usage: dv next-call FUNC""", 'function', True, gdb.COMPLETE_SYMBOL)
Ask('prev-call', """Go back to the last call of a function before now, in any thread.

usage: dv prev-call FUNC""", 'function', True, gdb.COMPLETE_SYMBOL)
Ask('threads', """The guest's threads at this moment; a * marks the running one.""")
Ask('notes', """What was out of the ordinary in this session: replays that were started again, and why.""")
