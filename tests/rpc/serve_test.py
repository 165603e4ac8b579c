# SPDX-License-Identifier: GPL-2.0-or-later
"""The real daemon on a real trace: who gets in, what is answered, who waits for whom, what is freed."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from client import PROGRAM, TRACE, Client, Daemon, Refused, RpcError, Shared, WebSocket, connect, read_all

SHARED = Shared(PROGRAM, TRACE)
FOREVER = 'with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n where i < 0'


def expect(code, call, *args, **kwargs):
    try:
        got = call(*args, **kwargs)
    except RpcError as error:
        assert error.code == code, error.error
        return error.error
    raise AssertionError(f'{code} was expected, not {str(got)[:200]}')


def refused(status, make):
    try:
        make()
    except Refused as error:
        assert error.status == status, error
        return
    raise AssertionError('was let in')


def area(daemon):
    with daemon.client() as c:
        trace = c.call('hello')['trace']
        return {'from': trace['from'], 'to': trace['to'] + 1}


# Who gets in

def test_token(d):
    assert d.http('GET', '/status')[0] == 200
    for target in ('/', '/index.html', '/ws', '/anything', '/?token=' + 'x' * 32, '/?token=' + d.token[:-1]):
        assert d.http('GET', target)[0] == 401, target
    status, headers, body = d.http('GET', '/?token=' + d.token)
    assert status == 200 and headers['content-type'].startswith('text/html'), (status, headers)
    assert "default-src 'none'" in headers['content-security-policy']
    assert d.token not in headers['set-cookie'] and d.token.encode() not in body
    refused(401, lambda: Client(d, token=''))
    refused(401, lambda: Client(d, token=d.token[::-1]))
    WebSocket(d.port, '/ws', {'Authorization': 'Bearer ' + d.token}).close()


def test_dns_rebinding(d):
    """A page of evil.example whose name now means 127.0.0.1: the browser sends that name."""
    for host in ('evil.example', f'evil.example:{d.port}', '127.0.0.1.evil.example', '0x7f.1', ''):
        assert d.http('GET', '/?token=' + d.token, {'Host': host})[0] == 403, host
        assert d.http('GET', '/status', {'Host': host})[0] == 403, host
        refused(403, lambda h=host: Client(d, headers={'Host': h, 'Origin': f'http://{h}'}))
    for host in ('localhost', f'localhost:{d.port}', '127.0.0.1', '[::1]:1'):
        assert d.http('GET', '/status', {'Host': host})[0] == 200, host


def test_cross_site_websocket(d):
    """Another site's page, or a file, in the user's own browser; even one that knows the token."""
    for origin in ('http://evil.example', 'null', 'http://localhost:1', 'https://ui.perfetto.dev', 'file://'):
        refused(403, lambda o=origin: Client(d, headers={'Origin': o}))
    with d.client(headers={'Origin': f'http://127.0.0.1:{d.port}'}) as c:
        c.call('hello')


def test_proxy(_):
    """Behind a proxy Host and Origin are others: refused, until they are named."""
    headers = {'Host': 'editor.example', 'Origin': 'https://editor.example'}
    with Daemon(PROGRAM, TRACE) as d:
        refused(403, lambda: Client(d, headers=headers))
    with Daemon(PROGRAM, TRACE, '--allow-host', 'editor.example') as d:
        Client(d, headers=headers).close()
        refused(403, lambda: Client(d, headers={**headers, 'Origin': 'https://other.example'}))
    with Daemon(PROGRAM, TRACE, '--allow-origin', 'vscode-webview://*') as d:
        Client(d, headers={'Origin': 'vscode-webview://0a1b2c'}).close()
        status, headers, _ = d.http('GET', '/?token=' + d.token, {'Origin': 'vscode-webview://0a1b2c'})
        assert status == 200 and headers['access-control-allow-origin'] == 'vscode-webview://0a1b2c'


# What is answered

def test_hello_while_loading(_):
    with Daemon(PROGRAM, TRACE, env={'XDG_CACHE_HOME': '/dev/null'}) as d, d.client() as c:
        hello = c.call('hello', client='test')
        if hello['state'] == 'loading':
            assert hello['progress']['what']
            try:
                c.call('threads')
            except RpcError as error:
                assert error.code == 'loading', error
            while c.wait_event('state')['state'] == 'loading':
                pass
        hello = c.call('hello')
        assert hello['state'] == 'ready' and hello['trace']['slices'] > 0
        assert set(hello['capabilities']) >= {'timeline', 'query', 'marks.set'}


def test_loading_can_be_cancelled(_):
    """For all clients; and the trace be loaded after all."""
    with Daemon(PROGRAM, TRACE, env={'XDG_CACHE_HOME': '/dev/null'}) as d, d.client() as c, d.client() as other:
        assert c.call('hello')['state'] == 'loading'
        expect('invalid', c.call, 'load.start')
        c.call('load.cancel')
        while (state := other.wait_event('state'))['state'] == 'loading':
            pass
        assert state['state'] == 'failed' and state['error']['code'] == 'cancelled', state
        expect('loading', other.call, 'threads')
        other.call('load.start')
        while (state := c.wait_event('state'))['state'] != 'ready':
            assert state['state'] == 'loading' or state['error']['code'] == 'cancelled', state
        assert c.call('hello')['trace']['slices'] > 0
        expect('invalid', c.call, 'load.cancel')
        expect('invalid', c.call, 'load.start')


def test_threads_and_timeline(d):
    with d.client() as c:
        info, threads = c.call('hello')['trace'], c.call('threads')
        assert len(threads['threads']) == info['threads'] and len(threads['processes']) == info['processes']
        tracks = [t['track'] for t in threads['threads'] if 'track' in t]
        span = {'from': info['from'], 'to': info['to'] + 1}
        everything, frames = c.call_frames('timeline', tracks=tracks[:256], bucket=(info['to'] // 500) + 1, **span)
        assert [f['track'] for f in frames] == tracks[:256]
        assert sum(f['rows'] for f in frames) == everything['rows'] > 0
        # Each slice is in one bucket of its depth.
        assert sum(sum(f['merged']) for f in frames) == sum(t['slices'] for t in threads['threads']
                                                            if t.get('track') in tracks[:256])
        for f in frames:
            assert list(zip(f['depth'], f['start'])) == sorted(zip(f['depth'], f['start']))
        _, [sched] = c.call_frames('sched', cpu=0, bucket=0, **span)
        assert sched['rows'] > 0 and list(sched['start']) == sorted(sched['start'])


def test_slices_one_by_one(d):
    with d.client() as c:
        first = c.call('searchNext', glob='schedule', icount=0, direction='next')['slice']
        key = {'start': first['start'], 'utid': first['utid'], 'depth': first['depth']}
        details = c.call('slice', key=key)
        assert details['slice'] == first == c.call('slice', id=first['id'])['slice']
        stack = c.call('ancestors', id=first['id'])['slices']
        assert [s['depth'] for s in stack] == list(range(first['depth']))
        assert details.get('parent') == (stack[-1] if stack else None)
        assert c.call('stackAt', icount=first['start'], track=first['track'])['slices'][:len(stack) + 1] == stack + [first]
        children = c.call('children', id=first['id'])
        assert sum(f['calls'] for f in children['functions']) == details['children'] == len(children['slices'])
        assert first['cpu'] == first['own'] + sum(f['total'] for f in children['functions'])
        after = c.call('neighbour', id=first['id'], direction='next')['slice']
        assert after['function'] == first['function'] and after['id'] > first['id']
        assert c.call('neighbour', id=after['id'], direction='previous')['slice'] == first
        assert c.call('neighbour', id=first['id'], direction='previous') == {}
        assert c.call('searchNext', glob='schedule', id=first['id'], direction='previous') == {}
        [function] = c.call('functions', ids=[first['function']])['functions']
        assert function.get('sliceName', function['name']) == first['name']


def test_search(d):
    with d.client() as c:
        span = area(d)
        result, frames = c.call_frames('search', glob='*schedule*', bucket=(span['to'] // 100) + 1, **span)
        assert result['matches'] == sum(sum(f['matches']) for f in frames) == sum(f['extra'] for f in frames) > 0
        names = [f for f in c.call('functions', glob='*schedule*')['functions']]
        assert len(names) == result['functions']
        _, rows, _ = c.query("select count(*) from slice where name glob '*schedule*'")
        assert rows == [[result['matches']]]
        assert c.call_frames('search', glob='no such function', bucket=1 << 30, **span) == ({'matches': 0, 'functions': 0}, [])
        expect('invalid', c.call, 'search', glob='', bucket=0, **span)


def test_costs(d):
    """Trees and statistics add up to the same instructions."""
    with d.client() as c:
        span = area(d)
        _, [stats] = c.call_frames('functionStats', **span)
        _, [tree] = c.call_frames('flamegraph', maxNodes=1000000, **span)
        assert tree['parent'][0] == tree['function'][0] == 0xffffffff and tree['depth'][0] == 0
        assert all(p < i for i, p in enumerate(tree['parent'][1:], 1))
        assert tree['total'][0] == sum(stats['own']) or tree['rows'] == 1000000
        assert all(own <= total <= elapsed for own, total, elapsed in zip(stats['own'], stats['total'], stats['elapsed']))
        function = max(range(stats['rows']), key=lambda i: stats['own'][i])
        histogram = c.call('histogram', function=stats['function'][function])
        assert histogram['calls'] + histogram['open'] == stats['calls'][function]
        assert sum(b['calls'] for b in histogram['bins']) == histogram['calls']
        assert histogram['min'] <= histogram['median'] <= histogram['p90'] <= histogram['p99'] <= histogram['max']
        _, [callers] = c.call_frames('callers', function=stats['function'][function], maxDepth=1)
        _, [callees] = c.call_frames('callees', function=stats['function'][function], maxDepth=1)
        assert callers['rows'] >= 2 and callees['rows'] >= 2


def test_queries(d):
    with d.client() as c:
        assert c.query('select 1 as a, null as b, 2.5 as c, \'x"\\\u00e9\' as d, x\'00ff\' as e, 9007199254740993 as f')[:2] == \
            (['a', 'b', 'c', 'd', 'e', 'f'], [[1, None, 2.5, 'x"\\\u00e9', {'blob': '00ff'}, '9007199254740993']])
        columns, rows, result = c.query('select id, ts from slice order by id limit 100000')
        assert columns == ['id', 'ts'] and [r[0] for r in rows] == list(range(len(rows)))
        assert result['rows'] == len(rows) and not result['truncated']
        _, rows, result = c.query('select id from slice', limit=10)
        assert len(rows) == 10 and result['truncated']
        assert c.query('select 1; select 2 as z; -- that is all')[:2] == (['z'], [[2]])
        error = expect('sql', c.query, 'select nothing from slice')
        assert 'nothing' in error['message'], error
        expect('sql', c.query, 'selec')
        expect('timeout', c.query, FOREVER, timeout=0.2)
        for sql in ("attach '/etc/passwd' as x", "select load_extension('x')", 'pragma journal_mode = wal',
                    "select writefile('/tmp/x', 'y')", "vacuum into '/tmp/dejaview-should-not-be'"):
            expect('sql', c.query, sql)
        assert not os.path.exists('/tmp/dejaview-should-not-be')


def test_marks(_):
    """Kept beside the trace of a recording, and told to others; nobody's are lost."""
    mark = {'id': 'a', 'icount': 5, 'tid': 3, 'depth': 1, 'name': 'here \u2603'}
    with tempfile.TemporaryDirectory() as folder:
        trace, env = TRACE, {'XDG_DATA_HOME': folder}
        if os.path.isdir(TRACE):
            trace = os.path.join(folder, 'copy.dejaview')
            shutil.copytree(TRACE, trace)
        with Daemon(PROGRAM, trace, env=env, ready=True) as d, d.client() as a, d.client() as b:
            start = a.call('marks.get')
            assert (start['marks'], start['revision']) == ([], 0) and start['path'].startswith(folder), start
            b.call('hello')
            assert a.call('marks.set', marks=[mark], revision=0) == {'revision': 1}
            assert b.wait_event('marks') == {'marks': [mark], 'revision': 1}
            expect('busy', b.call, 'marks.set', marks=[], revision=0)
            expect('invalid', b.call, 'marks.set', marks=[{'id': 'a'}], revision=1)
            expect('invalid', b.call, 'marks.set', marks=[{**mark, 'id': 'x' * 65}], revision=1)
        with Daemon(PROGRAM, trace, env=env, ready=True) as d, d.client() as c:
            assert c.call('marks.get')['marks'] == [mark]


def test_marks_survive_another_trace(_):
    """They name a thread as the guest does; those that had its row in the trace are read, too."""
    with tempfile.TemporaryDirectory() as folder:
        trace, env = TRACE, {'XDG_DATA_HOME': folder}
        if os.path.isdir(TRACE):
            trace = os.path.join(folder, 'copy.dejaview')
            shutil.copytree(TRACE, trace)
        with Daemon(PROGRAM, trace, env=env, ready=True) as d, d.client() as c:
            [row] = c.query("select s.ts, s.depth, t.utid, t.tid, s.id from slice s join thread_track k on k.id = s.track_id "
                            "join thread t using (utid) where t.tid > 1 limit 1")[1]
            start, depth, utid, tid, number = row
            where = c.call('marks.get')['path']
            place = {'start': start, 'tid': tid, 'depth': depth}
            assert c.call('slice', place=place)['slice']['id'] == number
            assert c.call('slice', place={**place, 'depth': depth + 7})['slice']['id'] == number
            assert c.call('slice', place={'start': start, 'depth': depth})['slice']['id'] == number
            expect('not_found', c.call, 'slice', place={**place, 'tid': tid + 100000})
            expect('not_found', c.call, 'slice', place={**place, 'start': 1})
        old = [{'id': 'a', 'icount': start, 'thread': utid, 'depth': depth, 'name': 'x'},
               {'id': 'b', 'icount': start, 'thread': utid + 1, 'depth': depth, 'name': 'y'},
               {'id': 'c', 'icount': 1, 'thread': utid, 'depth': depth, 'name': 'z'}, {'id': 'd', 'icount': 7, 'name': 'm'}]
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where, 'w', encoding='utf-8') as f:
            json.dump({'version': 1, 'marks': old}, f)
        with Daemon(PROGRAM, trace, env=env, ready=True) as d, d.client() as c:
            assert c.call('marks.get')['marks'] == [
                {'id': 'a', 'icount': start, 'depth': depth, 'name': 'x', 'tid': tid},
                {'id': 'b', 'icount': start, 'depth': depth, 'name': 'y', 'tid': tid},
                {'id': 'c', 'icount': 1, 'name': 'z'}, {'id': 'd', 'icount': 7, 'name': 'm'}]
        with open(where, 'w', encoding='utf-8') as f:
            json.dump({'version': 99, 'marks': []}, f)
        with Daemon(PROGRAM, trace, env=env, ready=True) as d, d.client() as c:
            expect('unsupported', c.call, 'marks.get')


def test_sources(_):
    """Only files that the trace names, and only under the folders that were given."""
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(folder + '/tree/kernel')
        with open(folder + '/secret', 'w', encoding='utf-8') as f:
            f.write('secret')
        with Daemon(PROGRAM, TRACE, '--source', folder + '/tree', ready=True) as d, d.client() as c:
            for name in ('/etc/passwd', '../secret', 'kernel/../../secret', '', folder + '/secret'):
                expect('not_found', c.call, 'source', file=name)
            _, rows, _ = c.query('select distinct file from function where file is not null limit 1')
            if not rows:
                return
            name = rows[0][0]
            expect('not_found', c.call, 'source', file=name)
            path = os.path.join(folder, 'tree', name.lstrip('/'))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.symlink(folder + '/secret', path)
            expect('not_found', c.call, 'source', file=name)
            os.unlink(path)
            with open(path, 'w', encoding='utf-8') as f:
                f.write(''.join(f'line {i}\n' for i in range(1, 1001)))
            got = c.call('source', file=name, line=500, context=1)
            assert (got['firstLine'], got['total'], got['text']) == (499, 1000, 'line 499\nline 500\nline 501\n'), got
            assert c.call('source', file=name)['text'].startswith('line 1\n')


def test_console(d):
    with d.client() as c:
        total = c.call('hello')['trace']['consoleLines']
        everything = c.call('console', row=0, count=5000)
        assert everything['total'] == total and len(everything['lines']) == min(total, 5000)
        if total > 10:
            line = everything['lines'][10]
            around = c.call('console', icount=line['icount'], before=2, count=3)
            assert around['lines'][0]['row'] in (9, 10) or around['current'] > 10
            assert all(a['icount'] <= b['icount'] for a, b in zip(everything['lines'], everything['lines'][1:]))
            _, rows, _ = c.query('select icount, text from console order by icount limit 20')
            assert [r[1] for r in rows] == [x['text'] for x in everything['lines'][:20]]


# Who waits for whom

def test_a_long_query_blocks_nobody(d):
    """More long ones than there are threads for; short requests of others and of the same client pass."""
    busy, quick = [d.client() for _ in range(4)], [d.client() for _ in range(20)]
    running = [(c, c.start('query', sql=FOREVER)) for c in busy for _ in range(8)]
    for c in busy + quick:
        assert c.call('hello')['state'] == 'ready'
    for c in quick:
        c.call('threads')
        c.call('searchNext', glob='schedule', icount=0, direction='next')
    assert not any(number in c.done for c, number in running)
    for c, number in running:
        c.cancel(number)
    for c, number in running:
        expect('cancelled', c.answer, number)
    # All threads are free again.
    assert quick[0].query('select 5')[1] == [[5]]
    for c in busy + quick:
        c.close()


def test_progress_and_cancel(d):
    with d.client() as c:
        number = c.start('query', sql='select count(*) from slice a, slice b, slice c where a.dur + b.dur + c.dur < -9')
        while number not in c.progress:
            assert number not in c.done, c.done
            c.pump()
        assert c.progress[number][0]['what'] == 'rows read'
        c.cancel(number)
        expect('cancelled', c.answer, number)
        c.cancel(number)
        c.cancel(4711)
        assert c.call('hello')


def test_a_client_that_vanishes(d):
    """In the middle of queries that run, of one that sends, of one that waits: others have the threads then."""
    for _ in range(3):
        clients = [d.client() for _ in range(6)]
        for c in clients:
            for _ in range(4):
                c.start('query', sql=FOREVER)
            c.start('query', sql='select * from slice')
            c.start('flamegraph', **{'from': 0, 'to': 1 << 50})
            c.call('hello')
        for i, c in enumerate(clients):
            if i % 2:
                c.ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            c.close()
    with d.client() as c:
        assert c.query('select 5')[1] == [[5]]


def test_a_client_that_does_not_read(d):
    with d.client() as lazy, d.client() as c:
        for _ in range(3):
            lazy.start('query', sql='select id, ts, dur, name from slice limit 250000')
        for _ in range(100):
            c.call('hello')
        number = lazy.next_id - 1
        assert lazy.answer(number)['rows'] == sum(len(p['rows']) for p in lazy.parts[number])


# Limits, and what makes no sense

def test_limits(d):
    with d.client() as c:
        limits = c.call('hello')['limits']
        numbers = [c.start('query', sql=FOREVER) for _ in range(limits['requests'] + 10)]
        over = 0
        while over < 10:
            c.pump()
            over = sum('error' in m and m['error']['code'] == 'busy' for m in c.done.values())
        for number in numbers:
            c.cancel(number)
        for number in numbers:
            while number not in c.done:
                c.pump()
        assert c.call('hello')
        c.ws.send('{"id": 1, "pad": "' + 'x' * limits['messageBytes'] + '"}')
        kind, data = c.ws.receive()
        assert kind == 8 and int.from_bytes(data[:2], 'big') == 1009, (kind, data)
    with Daemon(PROGRAM, TRACE, '--query-seconds', '1', ready=True) as other, other.client() as c:
        error = expect('timeout', c.query, FOREVER)
        assert 'longer than 1 s' in error['message'], error


def test_malformed_messages(d):
    with d.client() as c:
        for text, code in (('', 'parse'), ('{', 'parse'), ('[1]', 'invalid'), ('1', 'parse'), ('{}', 'invalid'),
                           ('{"id": 0, "method": "hello"}', 'invalid'), ('{"id": -1}', 'invalid'),
                           ('{"id": 4294967296, "method": "hello"}', 'invalid'), ('{"id": "1"}', 'invalid'),
                           ('{"id": 1, "id": 2}', 'parse'), ('{"cancel": "x"}', 'invalid'),
                           ('{"a": ' * 5000, 'parse'), ('\x00', 'parse')):
            c.ws.send(text)
            assert c.stray()['code'] == code, text
        c.ws.send(b'\xff\xfe{"id": 1}')
        assert c.stray()['code'] == 'invalid'
        for data in (b'', b'DVF1', b'DVF1' + bytes(28), b'DVF1\x11\0\0\0\0\0\0\0\xff\xff\xff\xff' + bytes(16)):
            c.ws.send(data)
            c.stray()
        for method, params, code in (('nope', {}, 'unknown_method'), ('replay.none', {}, 'unknown_method'),
                                     ('timeline', {}, 'invalid'), ('timeline', [], 'invalid'), ('slice', {'id': 'x'}, 'invalid'),
                                     ('slice', {'id': 1 << 52}, 'not_found'), ('slice', {}, 'not_found'),
                                     ('slice', {'key': {'start': 1, 'utid': 1 << 40, 'depth': 1 << 40}}, 'not_found'),
                                     ('ancestors', {'id': 1 << 32}, 'not_found'),
                                     ('histogram', {'function': 1 << 40}, 'not_found'),
                                     ('functions', {'ids': [1 << 40]}, 'not_found'),
                                     ('timeline', {'tracks': [1 << 40], 'from': 0, 'to': 1, 'bucket': 1}, 'not_found'),
                                     ('timeline', {'tracks': [0] * 257, 'from': 0, 'to': 1, 'bucket': 1}, 'invalid'),
                                     ('flamegraph', {'from': 2, 'to': 1}, 'invalid'),
                                     ('search', {'glob': 'x', 'from': 0, 'to': 1 << 50, 'bucket': 0}, 'invalid')):
            number = c.next_id
            c.next_id += 1
            c.ws.send(json.dumps({'id': number, 'method': method, 'params': params}))
            assert expect(code, c.answer, number)['message'], method
        first = c.start('query', sql=FOREVER)
        c.ws.send(json.dumps({'id': first, 'method': 'hello'}))
        assert expect('busy', c.answer, first)
    # Bytes that are no UTF-8 in a text message end the connection (RFC 6455, 8.1) or are an error.
    with d.client() as c:
        c.ws.send(b'{"id": 1, "method": "\xff"}', opcode=1)
        kind, data = c.ws.receive()
        assert kind == 8 or json.loads(data)['error'], (kind, data)
    # Whatever came before.
    with d.client() as c:
        assert c.call('hello')


def test_malformed_http(d):
    for garbage in (b'\0' * 100, b'GET / HTTP/9.9\r\n\r\n', b'GET ' + b'/' * 100000 + b' HTTP/1.1\r\n\r\n',
                    b'POST /ws HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n',
                    b'GET /?token=%zz%0 HTTP/1.1\r\nHost: localhost\r\n\r\n', b'GET /?' + b'&=' * 3000 + b' HTTP/1.1\r\nHost: x\r\n\r\n',
                    b'\x80\x9e\x01\x03\x01' * 50, b'GET /status HTTP/1.1\r\n' + b'Host: localhost\r\n' * 500 + b'\r\n'):
        with connect(d.port) as s:
            try:
                s.sendall(garbage)
                s.shutdown(socket.SHUT_WR)
                answer = read_all(s)
            except OSError:  # it was hung up on before all was said
                answer = b''
            assert not answer.startswith((b'HTTP/1.1 1', b'HTTP/1.1 2')), (garbage[:60], answer[:200])
        assert d.http('GET', '/status')[0] == 200


def test_without_perfetto_nothing_of_it_is_there(d):
    assert json.loads(d.http('GET', '/status')[2])['daemon'] == 'dejaview'
    assert d.http('POST', '/query', body=b'')[0] in (401, 404)
    refused(401, lambda: WebSocket(d.port, '/websocket'))


# Starting and ending

def test_it_ends(_):
    for how in (signal.SIGINT, signal.SIGTERM):
        with Daemon(PROGRAM, TRACE, ready=True) as d, d.client() as c:
            c.start('query', sql=FOREVER)
            c.start('query', sql='select * from slice')
            c.call('hello')
            d.process.send_signal(how)
            assert c.wait_event('closing')['reason']
            assert d.process.wait(60) == 0
    # While it is still loading, too.
    with Daemon(PROGRAM, TRACE, env={'XDG_CACHE_HOME': '/dev/null'}) as d:
        d.stop()


def test_what_cannot_be_served(_):
    def run(*args):
        return subprocess.run([PROGRAM, 'serve', *args], capture_output=True, text=True, timeout=120, check=False)
    assert run().returncode == 2 and run('--port', 'x', TRACE).returncode == 2
    assert run('--help').returncode == 0 and 'token' in run('--help').stdout
    got = run('--port', '0', '/no/such/trace')
    assert got.returncode == 1 and '/no/such/trace' in got.stderr, got
    got = run('--port', '0', PROGRAM)
    assert got.returncode == 1 and got.stderr, got
    got = run('--port', '0', '--allow-origin', 'https://*', TRACE)
    assert got.returncode == 1 and 'is not an origin' in got.stderr, got
    with Daemon(PROGRAM, TRACE) as d:
        got = run('--port', str(d.port), TRACE)
        assert got.returncode == 1 and 'is taken' in got.stderr and '--port' in got.stderr, got
