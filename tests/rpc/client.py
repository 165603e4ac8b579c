# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon under test, and clients of it: HTTP, WebSocket (RFC 6455), the protocol of docs/protocol.md,
Perfetto's RPC by its published field numbers. Standard library only."""
import base64
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import traceback

PATIENCE = 50  # seconds until something that does not come is a failure; nothing is measured by it
PROGRAM = os.path.join(os.environ.get('DEJAVIEW_BUILD', 'build'), 'dejaview')
TRACE = os.environ.get('DEJAVIEW_TEST_RPC_TRACE', '')  # run_test.py sees to it


class Daemon:
    """`dejaview serve` on a port of its own. Ended, and its exit looked at, when the block is left."""

    def __init__(self, program, trace, *options, env=None, ready=False):
        self.argv = [program, 'serve', '--json', '--port', '0', *options, trace]
        self.env = dict(os.environ, **(env or {}))
        self.waits = ready  # until the trace is loaded
        self.ended = None

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=self.env)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError('no daemon: ' + self.process.stderr.read())
        self.where = json.loads(line)
        self.port, self.token = self.where['port'], self.where['token']
        if self.waits:
            line = json.loads(self.process.stdout.readline() or '{}')
            assert line == {'state': 'ready'}, line
        return self

    def stop(self, how=signal.SIGINT):
        self.process.send_signal(how)
        try:
            out, err = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError('the daemon does not end') from None
        self.ended = self.process.returncode, out, err
        return self.ended

    def __exit__(self, kind, value, trace):
        code, _, err = self.ended or self.stop()
        if err:
            print('# the daemon said: ' + err.replace('\n', '\n# '))
        if kind is None:
            assert code == 0, f'the daemon ended with {code}'

    def http(self, method, target, headers=None, body=None):
        """(status, headers, body) of one request on a connection of its own."""
        with connect(self.port) as s:
            fields = {'Host': f'127.0.0.1:{self.port}', 'Connection': 'close', **(headers or {})}
            if body is not None:
                fields['Content-Length'] = str(len(body))
            head = f'{method} {target} HTTP/1.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in fields.items()
                                                              if v is not None) + '\r\n'
            s.sendall(head.encode() + (body or b''))
            return parse_response(read_all(s))

    def client(self, **kwargs):
        return Client(self, **kwargs)


def connect(port):
    s = socket.create_connection(('127.0.0.1', port), timeout=PATIENCE)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def read_all(s):
    data = b''
    with contextlib.suppress(ConnectionResetError):
        while piece := s.recv(65536):
            data += piece
    return data


def parse_response(data):
    head, _, body = data.partition(b'\r\n\r\n')
    lines = head.decode().split('\r\n')
    headers = {k.lower(): v for k, v in (line.split(': ', 1) for line in lines[1:])}
    if headers.get('transfer-encoding') == 'chunked':
        whole, rest = b'', body
        while True:
            size, _, rest = rest.partition(b'\r\n')
            n = int(size, 16)
            if not n:
                break
            whole, rest = whole + rest[:n], rest[n + 2:]
        body = whole
    return int(lines[0].split()[1]), headers, body


class Refused(Exception):
    def __init__(self, status):
        super().__init__(f'refused with {status}')
        self.status = status


class WebSocket:
    def __init__(self, port, target, headers=None):
        self.socket = connect(port)
        self.buffer = b''
        fields = {'Host': f'127.0.0.1:{port}', 'Connection': 'Upgrade', 'Upgrade': 'websocket',
                  'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': base64.b64encode(os.urandom(16)).decode(),
                  **(headers or {})}
        self.socket.sendall((f'GET {target} HTTP/1.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in fields.items())
                             + '\r\n').encode())
        while b'\r\n\r\n' not in self.buffer:
            self.more()
        head, _, self.buffer = self.buffer.partition(b'\r\n\r\n')
        status = int(head.split()[1])
        if status != 101:
            self.socket.close()
            raise Refused(status)

    def more(self):
        piece = self.socket.recv(1 << 20)
        if not piece:
            raise ConnectionError('the WebSocket was closed')
        self.buffer += piece

    def take(self, n):
        while len(self.buffer) < n:
            self.more()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def send(self, data, opcode=None):
        if opcode is None:
            opcode = 1 if isinstance(data, str) else 2
        if isinstance(data, str):
            data = data.encode()
        n = len(data)
        head = bytes([0x80 | opcode])
        head += bytes([0x80 | n]) if n < 126 else struct.pack('>BH', 0xfe, n) if n < 65536 else struct.pack('>BQ', 0xff, n)
        self.socket.sendall(head + b'\0\0\0\0' + data)

    def receive(self):
        """(opcode, bytes) of the next message; pings are answered."""
        whole, kind = b'', None
        while True:
            first, n = self.take(2)
            if n == 126:
                n, = struct.unpack('>H', self.take(2))
            elif n == 127:
                n, = struct.unpack('>Q', self.take(8))
            data, opcode = self.take(n), first & 15
            if opcode == 9:
                self.send(data, 10)
                continue
            whole += data
            kind = opcode or kind
            if first & 0x80:
                return kind, whole

    def close(self):
        self.socket.close()


class RpcError(Exception):
    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code, self.error = error['code'], error


def frame_columns():
    """Of each kind of frame its name and columns, with struct's codes, as src/rpc/protocol.json has them."""
    codes = {'f64': 'd', 'u32': 'I', 'u16': 'H', 'u8': 'B'}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../src/rpc/protocol.json')
    with open(path, encoding='utf-8') as file:
        frames = json.load(file)['frames']
    return {f['kind']: (f['name'], [(name, codes[c['type']]) for name, c in f['columns'].items()]) for f in frames}


COLUMNS = frame_columns()


def parse_frame(data):
    magic, kind, flags, request, rows, base, track, extra = struct.unpack_from('<IHHIIdII', data)
    assert (magic, flags) == (0x31465644, 0), data[:32]
    name, columns = COLUMNS[kind]
    frame = {'kind': name, 'request': request, 'rows': rows, 'base': base, 'track': track, 'extra': extra}
    at = 32
    for column, code in columns:
        assert at % 8 == 0
        frame[column] = struct.unpack_from(f'<{rows}{code}', data, at)
        at += (rows * struct.calcsize(code) + 7) // 8 * 8
    assert at == len(data), (at, len(data))
    return frame


class Client:
    """A client of the protocol. call() waits for the answer; start() and answer() are its two halves."""

    def __init__(self, daemon, headers=None, token=None):
        self.ws = WebSocket(daemon.port, f'/ws?token={daemon.token if token is None else token}', headers)
        self.next_id = 1
        self.done, self.frames, self.parts, self.progress, self.events, self.strays = {}, {}, {}, {}, [], []

    def start(self, method, **params):
        number, self.next_id = self.next_id, self.next_id + 1
        self.ws.send(json.dumps({'id': number, 'method': method, 'params': params}))
        return number

    def cancel(self, number):
        self.ws.send(json.dumps({'cancel': number}))

    def pump(self):
        kind, data = self.ws.receive()
        if kind == 2:
            frame = parse_frame(data)
            self.frames.setdefault(frame['request'], []).append(frame)
            return
        assert kind == 1, (kind, data)
        message = json.loads(data)
        number = message.get('id')
        if 'event' in message:
            self.events.append(message)
        elif 'part' in message:
            self.parts.setdefault(number, []).append(message['part'])
        elif 'progress' in message:
            self.progress.setdefault(number, []).append(message['progress'])
        elif number is None:
            self.strays.append(message)
        else:
            assert number not in self.done, f'two answers to {number}'
            self.done[number] = message

    def answer(self, number):
        while number not in self.done:
            self.pump()
        message = self.done[number]
        if 'error' in message:
            raise RpcError(message['error'])
        return message['result']

    def call(self, method, **params):
        return self.answer(self.start(method, **params))

    def call_frames(self, method, **params):
        number = self.start(method, **params)
        result = self.answer(number)
        return result, self.frames.get(number, [])

    def query(self, sql, **params):
        """(columns, rows, result)"""
        number = self.start('query', sql=sql, **params)
        result = self.answer(number)
        columns, rows = [], []
        for part in self.parts.get(number, []):
            if 'columns' in part:
                columns, rows = part['columns'], []
            rows += part['rows']
        return columns, rows, result

    def stray(self):
        while not self.strays:
            self.pump()
        return self.strays.pop(0)['error']

    def wait_event(self, name):
        while True:
            for i, event in enumerate(self.events):
                if event['event'] == name:
                    return self.events.pop(i)['data']
            self.pump()

    def close(self):
        self.ws.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# Perfetto's messages

def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """[(number, int or bytes)] of a message."""
    out, at = [], 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 0:
            value, at = read_varint(data, at)
        elif tag & 7 == 2:
            n, at = read_varint(data, at)
            value, at = data[at:at + n], at + n
            assert len(value) == n
        elif tag & 7 == 1:
            value, at = data[at:at + 8], at + 8
        else:
            value, at = data[at:at + 4], at + 4
        out.append((tag >> 3, value))
    return out


class QueryResult:
    """QueryResult messages one after the other, as POST /query and streams bring them."""

    def __init__(self):
        self.columns, self.cells, self.error, self.is_last, self.batches = [], [], None, False, 0
        self.statements = self.with_output = self.last_sql = None

    def add(self, data):
        for number, value in fields(data):
            if number == 1:
                self.columns.append(value.decode())
            elif number == 2:
                self.error = value.decode()
            elif number == 3:
                self.add_batch(value)
            elif number == 4:
                self.statements = value
            elif number == 5:
                self.with_output = value
            elif number == 6:
                self.last_sql = value.decode()
        return self

    def add_batch(self, data):
        types, ints, floats, strings, blobs = b'', [], [], [], []
        assert not self.is_last, 'a batch after the last one'
        self.batches += 1
        for number, value in fields(data):
            if number == 1:
                types = value
            elif number == 2:
                at = 0
                while at < len(value):
                    one, at = read_varint(value, at)
                    ints.append(one - (1 << 64) if one >> 63 else one)
            elif number == 3:
                floats = list(struct.unpack(f'<{len(value) // 8}d', value))
            elif number == 4:
                blobs.append(value)
            elif number == 5:
                assert value.endswith(b'\0')
                strings = [s.decode() for s in value[:-1].split(b'\0')]
            elif number == 6:
                self.is_last = bool(value)
        assert len(types) <= 50000 and len(data) < 256 << 10, (len(types), len(data))
        sources = {2: iter(ints), 3: iter(floats), 4: iter(strings), 5: iter(blobs)}
        self.cells += [None if t == 1 else next(sources[t]) for t in types]
        assert all(next(s, None) is None for s in sources.values()), 'cells are left over'

    @property
    def rows(self):
        n = len(self.columns)
        return [tuple(self.cells[i:i + n]) for i in range(0, len(self.cells), n or 1)]


class PerfettoStream:
    """/websocket: TraceProcessorRpcStream both ways."""

    def __init__(self, daemon, headers=None):
        self.ws = WebSocket(daemon.port, '/websocket', headers)
        self.seq = 0
        self.messages = []

    def request(self, method, args=None, seq=None):
        self.seq = self.seq + 1 if seq is None else seq
        message = field(1, self.seq) + field(2, method) + (field(103, args) if args is not None else b'')
        self.ws.send(field(1, message))

    def response(self):
        while not self.messages:
            kind, data = self.ws.receive()
            if kind == 8:
                raise ConnectionError('closed')
            self.messages += [dict(fields(value)) for number, value in fields(data) if number == 1]
        return self.messages.pop(0)

    def query(self, sql):
        self.request(3, field(1, sql))
        result = QueryResult()
        while not result.is_last:
            message = self.response()
            assert message[3] == 3, message
            result.add(message[203])
        return result

    def close(self):
        self.ws.close()


class Shared:
    """A daemon for the tests that do not need one of their own."""

    def __init__(self, *args):
        self.args, self.daemon = args, None

    def get(self):
        if not self.daemon:
            self.daemon = Daemon(*self.args, ready=True).__enter__()
        assert self.daemon.process.poll() is None, 'the daemon has died'
        return self.daemon

    def end(self):
        """What it has to say at the end: sanitizers do, then."""
        if self.daemon:
            code, _, err = self.daemon.stop()
            assert not code and not err, f'the daemon ended with {code}: {err}'


def run_tests(modules, wanted):
    """Runs the modules' functions named test_* on their shared daemon; prints TAP."""
    steps = [(f'{m.__name__}: {name[5:]}', lambda m=m, f=f: f(m.SHARED.get())) for m in modules
             for name, f in vars(m).items() if name.startswith('test_') and (not wanted or name[5:] in wanted)]
    steps += [(f'{m.__name__}: the daemon ends, and had nothing to say', m.SHARED.end) for m in modules]
    failed = 0
    print(f'1..{len(steps)}', flush=True)
    for number, (name, function) in enumerate(steps, 1):
        try:
            function()
            print(f'ok {number} - {name}', flush=True)
        except Exception:  # whatever it is, the next test runs
            failed += 1
            print('# ' + traceback.format_exc().replace('\n', '\n# '))
            print(f'not ok {number} - {name}', flush=True)
    return 1 if failed else 0
