# SPDX-License-Identifier: GPL-2.0-or-later
"""The debugger's methods on a real replay: what the trace says of a moment is what gdb sees there."""
import json
import os
import struct
import subprocess

from client import PROGRAM, TRACE, Daemon, RpcError, Shared

SHARED = Shared(PROGRAM, TRACE)


def expect(code, call, *args, **kwargs):
    try:
        got = call(*args, **kwargs)
    except RpcError as error:
        assert error.code == code, error.error
        return error.error
    raise AssertionError(f'{code} was expected, not {got}')


def first_call(c, name, after=0):
    found = c.call('searchNext', glob=f'[{name[0]}]{name[1:]}', icount=after, direction='next', matchCase=True)
    return found['slice']


def rip(c):
    return int(c.call('replay.evaluate', expression='(unsigned long)$rip')['variables'][0]['value'])


def address(c, function):
    return int(c.call('functions', ids=[function])['functions'][0]['address'], 16)


def test_closed_at_first(d):
    with d.client() as c:
        assert c.call('replay.state') == {'state': 'closed'}
        for method, params in (('replay.seek', {'icount': 1}), ('replay.stack', {}), ('replay.interrupt', {}),
                               ('terminal.open', {'columns': 80, 'rows': 24}),
                               ('terminal.input', {'terminal': 1, 'text': 'x'})):
            expect('not_found', c.call, method, **params)
        assert c.call('replay.close') == {'state': 'closed'}


def test_a_slice_is_where_gdb_stands(d):
    with d.client() as c, d.client() as other:
        other.call('hello')
        call = first_call(c, 'kernel_init')
        stands = c.call('replay.open', icount=call['start'])
        assert (stands['state'], stands['icount']) == ('stopped', call['start'])
        stands = c.call('replay.seek', icount=call['start'], side='after')
        assert stands['icount'] == call['start'] and stands['utid'] == call['utid']
        assert rip(c) == address(c, call['function'])
        [frame, *_] = c.call('replay.stack')['frames']
        assert frame['level'] == 0 and frame['function'] == 'kernel_init' and int(frame['address'], 16) == rip(c)
        registers = {v['name']: v['value'] for v in c.call('replay.registers')['variables']}
        assert int(registers['rip'].split()[0], 16) == rip(c)
        number = c.start('replay.memory', address=hex(rip(c)), size=16)
        assert c.answer(number) == {'size': 16}
        code = bytes(c.frames[number][0]['bytes'])
        value = c.call('replay.evaluate', expression=f'*(unsigned long *){rip(c)}')['variables'][0]['value']
        assert struct.unpack('<Q', code[:8])[0] == int(value)
        while other.wait_event('replay').get('icount') != call['start']:
            pass
        expect('invalid', c.call, 'replay.evaluate', expression='1 +')
        expect('invalid', c.call, 'replay.seek', icount=1 << 50)
        expect('invalid', c.call, 'replay.step', unit='mile')


def test_steps_and_breakpoints(d):
    with d.client() as c, d.client() as other:
        other.call('hello')
        start = c.call('replay.state')['icount']
        assert c.call('replay.step', unit='instruction', count=10)['icount'] == start + 10
        made = c.call('replay.breakpointAdd', what='schedule')['breakpoint']
        assert made['what'] == 'schedule' and made['enabled'] and not made['watch']
        assert [b['number'] for b in other.wait_event('breakpoints')['breakpoints']] == [made['number']]
        stands = c.call('replay.continue')
        assert stands['state'] == 'stopped' and stands['icount'] > start and 'breakpoint' in stands['reason'], stands
        assert rip(c) == int(made['address'], 16)
        assert c.call('replay.breakpoints')['breakpoints'][0]['hits'] == 1
        c.call('replay.breakpointEnable', number=made['number'], enabled=False)
        assert not c.call('replay.breakpoints')['breakpoints'][0]['enabled']
        c.call('replay.breakpointRemove', number=made['number'])
        assert c.call('replay.breakpoints') == {'breakpoints': []}
        expect('invalid', c.call, 'replay.breakpointAdd', what='no_such_function_at_all')


def test_the_terminal_is_the_same_gdb(d):
    with d.client() as c:
        terminal = c.call('terminal.open', columns=120, rows=40)['terminal']
        text = b'print 6 * 7000\n'
        frame = struct.pack('<IHHIIdII', 0x31465644, 17, 0, 0, len(text), 0.0, terminal, 0) + text
        c.ws.send(frame + bytes(-len(frame) % 8))
        shown = b''
        while b'= 42000' not in shown:
            c.pump()
            shown = b''.join(bytes(f['bytes']) for f in c.frames.get(0, []))
        c.call('terminal.resize', terminal=terminal, columns=90, rows=30)
        expect('not_found', c.call, 'terminal.resize', terminal=7, columns=90, rows=30)
        c.call('terminal.close', terminal=terminal)


def parts_of(c, number):
    return [call for part in c.parts.get(number, []) for call in part['calls']]


def test_arguments_on_demand(d):
    """As the command line has them; in order, with the slice that each is; no more than the limit."""
    with d.client() as c:
        call = first_call(c, 'vfs_read')
        number = c.start('calls', function='vfs_read', limit=40)
        result = c.answer(number)
        calls = parts_of(c, number)
        assert (result['total'], result['missing'], len(calls)) == (40, 0, 40), result
        assert result['truncated'], result
        assert c.parts[number][0]['prototype'].startswith('ssize_t vfs_read(struct file *file, '), c.parts[number][0]
        assert calls[0]['slice'] == call['id'] and calls[0]['utid'] == call['utid']
        starts = [one['icount'] for one in calls]
        assert starts == sorted(starts) and starts[0] == call['start']
        _, rows, _ = c.query("select id from slice where name = 'vfs_read' order by ts limit 40")
        assert [one['slice'] for one in calls] == [row[0] for row in rows]
        shown = subprocess.run([PROGRAM, 'calls', '--json', '--quiet', '-n', '40', TRACE, 'vfs_read'], check=True,
                               capture_output=True, text=True).stdout
        for one, line in zip(calls, map(json.loads, shown.splitlines()), strict=True):
            assert one['icount'] == line['icount'] and one['returned']
            assert ([(a['name'], a['type'], a['value']) for a in one['arguments']]
                    == [(a['name'], a['type'], a['value']) for a in line['arguments']])
            assert one['result']['value'] == line['returned'] and one['result']['type'] == 'ssize_t'
        last = calls[-1]
        number = c.start('calls', function='vfs_read', **{'from': last['icount'], 'to': last['icount'] + 1})
        assert c.answer(number) == {'total': 1, 'truncated': False, 'missing': 0}
        assert parts_of(c, number) == [last]


def test_arguments_that_cannot_be_had(d):
    with d.client() as c:
        expect('not_found', c.call, 'calls', function='no_such_function_at_all')
        expect('invalid', c.call, 'calls', function='vfs_read', limit=10001)
        expect('invalid', c.call, 'calls', function='vfs_read', limit=0)
        expect('invalid', c.call, 'calls')
        number = c.start('calls', function='vfs_read', to=1)
        assert c.answer(number)['total'] == 0 and not parts_of(c, number)


def test_looks_wait_for_each_other_and_can_be_cancelled(d):
    """One replays with all CPUs; another waits for it, and neither keeps short requests, or long ones, waiting."""
    with d.client() as c, d.client() as other:
        first = c.start('calls', function='schedule', limit=10000)
        second = other.start('writes', symbol='jiffies', **{'from': 1})
        while not c.progress.get(first):
            c.pump()
        assert other.call('replay.state') == {'state': 'closed'} or other.call('replay.state')['state'] == 'stopped'
        assert other.query('select count(*) from slice')[1][0][0] > 0
        assert not other.progress.get(second), 'two at a time'
        other.cancel(second)
        expect('cancelled', other.answer, second)
        done = c.progress[first][-1]
        assert 0 <= done['done'] <= done['total'], done
        c.cancel(first)
        expect('cancelled', c.answer, first)
        # The shared replay may be there, and the one that makes its checkpoints; neither has a plugin.
        looking = subprocess.run(['pgrep', '-P', str(d.process.pid), '-a', '-f', 'qemu.*-plugin'],
                                 capture_output=True, text=True, check=False).stdout
        assert not looking, looking


def test_what_runs_can_be_stopped(d):
    """By interrupt, by cancelling, by going away; others have the same replay all the while."""
    with d.client() as c, d.client() as other:
        number = c.start('replay.continue')
        while other.wait_event('replay')['state'] != 'running':
            pass
        expect('invalid', other.call, 'replay.stack')
        other.call('replay.interrupt')
        assert c.answer(number)['reason'] == 'interrupted'
        last = c.call('hello')['recording']['to']
        other.call('replay.state')
        other.events.clear()
        number = c.start('replay.seek', icount=last)
        while other.wait_event('replay')['state'] != 'running':
            pass
        c.cancel(number)
        expect('cancelled', c.answer, number)
        other.call('replay.state')
        other.events.clear()
        with d.client() as gone:
            gone.start('replay.seek', icount=last)
            while other.wait_event('replay')['state'] != 'running':
                pass
        while other.wait_event('replay')['state'] != 'stopped':
            pass
        assert other.call('replay.stack')['frames']


def test_nothing_is_left(_):
    """Neither after closing, nor when the daemon ends with a replay open."""
    before = set(os.listdir(TRACE))
    with Daemon(PROGRAM, TRACE, ready=True) as d, d.client() as c:
        c.call('replay.open')
        children = subprocess.run(['pgrep', '-P', str(d.process.pid)], capture_output=True, text=True, check=False).stdout.split()
        assert len(children) >= 2, children
        assert c.call('replay.close') == {'state': 'closed'}
        assert not any(os.path.exists(f'/proc/{pid}') for pid in children)
        c.call('replay.open')
        children = subprocess.run(['pgrep', '-P', str(d.process.pid)], capture_output=True, text=True, check=False).stdout.split()
        code, _, err = d.stop()
        assert code == 0 and not any(os.path.exists(f'/proc/{pid}') for pid in children), (code, err)
    assert set(os.listdir(TRACE)) - {'checkpoints'} == before - {'checkpoints'}, os.listdir(TRACE)
