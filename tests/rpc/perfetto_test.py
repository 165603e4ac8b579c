# SPDX-License-Identifier: GPL-2.0-or-later
"""`dejaview serve --perfetto`, spoken to as Perfetto's clients do: field numbers of its
trace_processor.proto, nothing of ours."""
import random
import struct

from client import PROGRAM, TRACE, PerfettoStream, QueryResult, Refused, Shared, WebSocket, connect, field, fields

SHARED = Shared(PROGRAM, TRACE, '--perfetto')
FOREVER = 'with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n where i < 0'


def ask(d, sql):
    """POST /query, as Perfetto's Python package does."""
    status, headers, body = d.http('POST', '/query', body=field(1, sql))
    assert status == 200 and headers['content-type'] == 'application/x-protobuf', (status, headers)
    result = QueryResult().add(body)
    assert result.is_last
    return result


def test_status(d):
    for method, body in (('GET', None), ('POST', b'')):
        status, _, answer = d.http(method, '/status', body=body)
        said = dict(fields(answer))
        assert status == 200 and said[1].decode() == TRACE and b'read-only' in said[2] and said[3] > 0


def test_query(d):
    result = ask(d, "select 1 as a, -5 as b, null as c, 2.5 as d, 'x' as e, '' as f, x'00ff' as g, 'last' as h")
    assert result.columns == list('abcdefgh') and result.error is None
    assert result.rows == [(1, -5, None, 2.5, 'x', '', b'\0\xff', 'last')], result.rows
    assert (result.statements, result.with_output) == (1, 1) and result.last_sql.startswith('select 1 as a')
    assert ask(d, 'select 1 as a; select 2 as b -- end\n ; /* more */').rows == [(2,)]
    assert ask(d, '').rows == []
    assert ask(d, 'select id from slice where 0').columns == ['id']


def test_batches(d):
    """Whole rows, 50,000 cells or 128 KiB each."""
    result = ask(d, 'select id, ts, dur, name, depth, track_id, parent_id from slice order by id limit 60000')
    assert result.batches > 60000 * 7 // 50000 and [r[0] for r in result.rows] == list(range(len(result.rows)))
    wide = ask(d, "select hex(zeroblob(40000)) as x from slice limit 20")
    assert len(wide.rows) == 20 and wide.batches >= 10 and all(len(r[0]) == 80000 for r in wide.rows)


def test_errors(d):
    for sql in ('selec', 'select nothing from slice', "attach '/tmp/x' as y", 'select 1; select nope'):
        result = ask(d, sql)
        assert result.error and result.is_last, sql
    for body in (b'\xff' * 20, b'\x0a\xff\xff\xff\xff\x0f', b'\x0a\x05ab', field(1, b'select 1\0; select 2')):
        status, _, answer = d.http('POST', '/query', body=body)
        assert status == 200 and QueryResult().add(answer).error, body


def test_stream(d):
    stream = PerfettoStream(d)
    stream.request(10)
    status = stream.response()
    assert status[3] == 10 and dict(fields(status[210]))[3] > 0 and status[1] == 1
    assert stream.query('select 7 as x').rows == [(7,)]
    assert stream.query('select count(*) from slice').rows == ask(d, 'select count(*) from slice').rows
    error = stream.query('select nothing')
    assert error.error and 'nothing' in error.error
    stream.request(1, args=None)
    assert dict(fields(stream.response()[201]))[2], 'a trace cannot be loaded over ours'
    stream.request(2)
    assert stream.response()[3] == 2
    stream.request(7)
    assert stream.response()[3] == 7
    assert stream.query('select 8 as x').rows == [(8,)]
    stream.close()


def test_several_requests_in_pieces(d):
    """The stream may be cut anywhere, and several requests may come at once: answered in order."""
    stream = PerfettoStream(d)
    data = b''.join(field(1, field(1, seq) + field(2, 3) + field(103, field(1, f'select {seq}'))) for seq in range(1, 51))
    dice = random.Random(1)
    while data:
        n = dice.randrange(1, 60)
        stream.ws.send(data[:n])
        data = data[n:]
    for seq in range(1, 51):
        message = stream.response()
        assert message[1] == seq and QueryResult().add(message[203]).rows == [(seq,)]
    stream.close()


def test_out_of_order(d):
    stream = PerfettoStream(d)
    stream.request(10, seq=5)
    stream.response()
    stream.request(10, seq=7)
    assert b'out of order' in stream.response()[5]
    stream.close()


def test_nothing_of_the_debugger(d):
    """What is numbered from 900 on, and what is not known at all, is refused as an invalid request."""
    stream = PerfettoStream(d)
    for method in (900, 903, 906, 930, 941, 999, 1 << 31, 63, 0):
        stream.request(method, args=field(1, 'x'))
        message = stream.response()
        assert 4 in message and 3 not in message and set(message) == {1, 4}, (method, message)
    stream.close()
    for path in ('/ws', '/', '/index.html'):
        assert d.http('GET', path)[0] == 401, path
    try:
        WebSocket(d.port, '/ws')
    except Refused as error:
        assert error.status == 401
    else:
        raise AssertionError('/ws without a token')


def test_rpc_over_http(d):
    body = field(1, field(1, 1) + field(2, 10)) + field(1, field(1, 2) + field(2, 3) + field(103, field(1, 'select 3')))
    status, _, answer = d.http('POST', '/rpc', body=body)
    messages = [dict(fields(value)) for number, value in fields(answer) if number == 1]
    assert status == 200 and [m[3] for m in messages] == [10, 3]
    assert QueryResult().add(messages[1][203]).rows == [(3,)]
    assert d.http('POST', '/rpc', body=b'')[2] == b''
    for path in ('/notify_eof', '/restore_initial_tables'):
        assert d.http('GET', path)[0] == 200


def test_malformed_streams(d):
    dice = random.Random(2)
    good = field(1, field(1, 1) + field(2, 3) + field(103, field(1, 'select 1')))
    cases = [b'\xff' * 30, b'\x0a\xff\xff\xff\xff\x7f', b'\x12\x00', field(1, b'\xff\xff'), field(1, field(103, b'\x0a\x7f'))]
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(dice.randrange(1, 4)):
            bad[dice.randrange(len(bad))] = dice.randrange(256)
        cases.append(bytes(bad[:dice.randrange(1, len(bad) + 1)]))
    for case in cases:
        stream = PerfettoStream(d)
        stream.ws.send(case)
        stream.close()
        assert d.http('POST', '/rpc', body=case)[0] == 200
    stream = PerfettoStream(d)
    stream.ws.send(b'\xff' * 30)
    assert 5 in stream.response()
    stream.close()
    assert ask(d, 'select 1').rows == [(1,)]


def test_origins(d):
    """Perfetto's own page may; others may not, nor may it have more than this."""
    ui = {'Origin': 'https://ui.perfetto.dev'}
    status, headers, _ = d.http('POST', '/status', headers=ui, body=b'')
    assert status == 200 and headers['access-control-allow-origin'] == 'https://ui.perfetto.dev'
    assert d.http('OPTIONS', '/query', headers={**ui, 'Access-Control-Request-Method': 'POST'})[0] == 204
    PerfettoStream(d, ui).close()
    assert d.http('GET', '/?token=' + d.token, headers=ui)[0] == 403
    for origin in ('https://evil.example', 'null', 'http://localhost:8000'):
        assert d.http('POST', '/query', headers={'Origin': origin}, body=field(1, 'select 1'))[0] == 403
        try:
            PerfettoStream(d, {'Origin': origin})
        except Refused as error:
            assert error.status == 403
        else:
            raise AssertionError(origin)
    assert d.http('POST', '/query', headers={'Host': 'evil.example'}, body=field(1, 'select 1'))[0] == 403


def test_clients_that_go(d):
    """With queries running, on both ways in: what they held is free again."""
    for _ in range(8):
        stream = PerfettoStream(d)
        stream.request(3, field(1, FOREVER))
        stream.request(3, field(1, 'select 1'))
        stream.close()
    for _ in range(8):
        with connect(d.port) as s:
            body = field(1, FOREVER)
            s.sendall(f'POST /query HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n'.encode() + body)
            s.recv(1000)
    assert ask(d, 'select 1').rows == [(1,)]


def test_doubles(d):
    """Packed doubles, as they are in memory."""
    rows = ask(d, 'select 0.1 as x union all select -1e300 union all select 9e999').rows
    assert [struct.pack('<d', r[0]) for r in rows] == [struct.pack('<d', v) for v in (0.1, -1e300, float('inf'))]
