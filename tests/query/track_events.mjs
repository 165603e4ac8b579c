// SPDX-License-Identifier: GPL-2.0-or-later
// Writes random Perfetto traces of TrackEvents: threads, processes, tracks of their own and below others,
// instants, debug annotations, counters, flows, several clocks, interned and plain names, compressed packets.
import zlib from 'node:zlib';

export function randomSource(seed) {
  let state = BigInt(seed) * 2n + 1n;
  return (n) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number((state >> 33n) % BigInt(n));
  };
}

function varint(value) {
  const out = [];
  for (let v = BigInt.asUintN(64, BigInt(value)); ; v >>= 7n) {
    if (v < 0x80n) return Buffer.from([...out, Number(v)]);
    out.push(Number(v & 0x7fn) | 0x80);
  }
}
const uint = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);
function bytes(field, ...parts) {
  const body = Buffer.concat(parts.map((p) => (typeof p === 'string' ? Buffer.from(p) : p)));
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
}
function double(field, value) {
  const b = Buffer.alloc(8);
  b.writeDoubleLE(value);
  return Buffer.concat([varint((field << 3) | 1), b]);
}
function fixed64(field, value) {
  const b = Buffer.alloc(8);
  b.writeBigUInt64LE(BigInt(value));
  return Buffer.concat([varint((field << 3) | 1), b]);
}

const NAMES = ['read', 'write', 'a longer name', 'x', 'Späti', 'open', 'close', 'poll'];
const CATEGORIES = ['io', 'net', 'ui'];
const MONOTONIC_AHEAD = 5000;

// Each annotation of an event has a name of its own.
function annotation(random, number) {
  const name = bytes(10, `${['count', 'label', 'ratio'][random(3)]}${number}`);
  switch (random(7)) {
    case 0: return [name, uint(4, BigInt(random(2000) - 1000))];
    case 1: return [name, bytes(6, `text ${random(9)}`)];
    case 2: return [name, double(5, random(1000) / 8)];
    case 3: return [name, uint(2, random(2))];
    case 4: return [name, uint(3, random(100000))];
    case 5: return [name, bytes(11, bytes(10, 'k1'), uint(4, random(9))), bytes(11, bytes(10, 'k2'), bytes(6, 'v'))];
    default: return [name, bytes(12, uint(4, random(9))), bytes(12, bytes(6, 'second'))];
  }
}

class Writer {
  constructor(seed) {
    this.random = randomSource(seed);
    this.packets = [];
    this.now = 1000000;
    this.flows = 1;
  }
  packet(...fields) {
    this.packets.push(bytes(1, ...fields));
  }
  descriptors() {
    this.packet(bytes(6, bytes(1, uint(1, 6), uint(2, 500000)), bytes(1, uint(1, 3), uint(2, 500000 + MONOTONIC_AHEAD))));
    const descriptor = (...f) => this.packet(bytes(60, ...f));
    descriptor(uint(1, 10), bytes(3, uint(1, 100), bytes(6, 'first process')));
    descriptor(uint(1, 20), bytes(3, uint(1, 200), bytes(6, 'second process')));
    for (let i = 0; i < 4; i++) {
      descriptor(uint(1, 11 + i), bytes(4, uint(1, i < 2 ? 100 : 200), uint(2, (i < 2 ? 100 : 200) + i), bytes(5, `thread ${i}`)));
    }
    descriptor(uint(1, 31), uint(5, 10), bytes(2, 'async of a process'));
    descriptor(uint(1, 32), uint(5, 12), bytes(2, 'async of a thread'));
    descriptor(uint(1, 33), bytes(2, 'on its own'));
    descriptor(uint(1, 41), uint(5, 10), bytes(2, 'memory'), bytes(8, uint(3, 3)));
    descriptor(uint(1, 42), bytes(2, 'load'), bytes(8));
  }
  // One writer sequence: its own interned names and clock.
  sequence(id) {
    const s = {id, iids: new Map(), open: new Map(), clock: this.now};
    this.packet(uint(10, id), uint(13, 1), bytes(59, uint(58, 64), bytes(11, uint(11, 11 + (id % 4)))),
      bytes(6, bytes(1, uint(1, 64), uint(2, this.now), uint(3, 1)), bytes(1, uint(1, 6), uint(2, this.now))));
    return s;
  }
  event(s) {
    const random = this.random;
    const tracks = [undefined, undefined, 31, 32, 33, 10];
    const track = tracks[random(tracks.length)];
    const depth = s.open.get(track) ?? 0;
    const fields = [];
    let type = random(20) < 9 + (depth > 6) * 6 ? 2 : 1;
    if (random(12) === 0) type = 3;
    if (type === 2 && depth === 0) type = 1;
    if (type !== 2) {
      const name = NAMES[random(NAMES.length)];
      if (random(2)) {
        fields.push(bytes(23, name));
      } else {
        if (!s.iids.has(name)) {
          s.iids.set(name, s.iids.size + 1);
          this.interned = bytes(12, bytes(2, uint(1, s.iids.get(name)), bytes(2, name)));
        }
        fields.push(uint(10, s.iids.get(name)));
      }
      if (random(3) === 0) fields.push(bytes(22, CATEGORIES[random(CATEGORIES.length)]));
      for (let n = random(6) - 3; n > 0; n--) fields.push(bytes(4, ...annotation(random, n)));
      if (random(8) === 0) fields.push(fixed64(47, this.flows - random(Math.min(this.flows, 5))));
      if (random(8) === 0) fields.push(fixed64(47, ++this.flows));
    }
    s.open.set(track, depth + (type === 1) - (type === 2));
    if (track !== undefined) fields.push(uint(11, track));
    this.now += 1 + random(500);
    this.put(s, bytes(11, uint(9, type), ...fields));
  }
  counter(s) {
    this.now += 1 + this.random(500);
    const memory = this.random(2);
    this.put(s, bytes(11, uint(9, 4), uint(11, memory ? 41 : 42), memory ? uint(30, this.random(100000)) : double(44, this.random(64) / 4)));
  }
  // On the sequence's incremental clock, on the trace's own, or on another.
  put(s, event) {
    const interned = this.interned ?? Buffer.alloc(0);
    this.interned = undefined;
    switch (this.random(4)) {
      case 0:
        this.packet(uint(10, s.id), uint(58, 6), uint(8, this.now), interned, event);
        break;
      case 1:
        this.packet(uint(10, s.id), uint(58, 3), uint(8, this.now + MONOTONIC_AHEAD), interned, event);
        break;
      default:
        this.packet(uint(10, s.id), uint(13, 2), uint(8, this.now - s.clock), interned, event);
        s.clock = this.now;
    }
  }
}

export function makeTrace(seed, events) {
  const w = new Writer(seed);
  w.descriptors();
  const sequences = [1, 2, 3, 4].map((id) => w.sequence(id));
  // Tracks that several sequences write to would be out of their control: each keeps to its own.
  for (const [i, s] of sequences.entries()) s.shared = i === 0;
  for (let i = 0; i < events; i++) {
    const s = sequences[w.random(sequences.length)];
    if (w.random(15) === 0) w.counter(s);
    else w.event(s);
  }
  const half = w.packets.length >> 1;
  return Buffer.concat([...w.packets.slice(0, half), bytes(1, bytes(50, zlib.deflateSync(Buffer.concat(w.packets.slice(half)))))]);
}
