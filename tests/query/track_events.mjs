// SPDX-License-Identifier: GPL-2.0-or-later
// Writes random Perfetto traces. Of TrackEvents: threads, processes, tracks of their own and below others,
// instants, debug annotations, counters, flows, several clocks, interned and plain names, compressed packets.
// Of a kernel: process trees and statistics, switches (compact ones too), wakings, new threads and processes,
// renames, ends, pids that come again, with TrackEvents of some of those threads.
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

const COMMS = ['init', 'sh', 'cc1', 'kworker/0:1', 'irq/9-acpi', 'a b'];
const CPUS = 3;
const STATES = [0, 1, 1, 2, 0x10, 0x20, 0x40, 0x80, 0x100, 0x402];

// A CPU's events gather in a bundle of their own, so that bundles overlap in time as they do in real ones.
class KernelWriter extends Writer {
  constructor(seed) {
    super(seed);
    this.isCompact = seed % 2 === 0;
    this.tids = [1, 2, 100, 101, 200];
    this.next = 300;
    this.pids = new Map([[1, 1], [2, 2], [100, 100], [101, 100], [200, 200]]);
    this.cpus = Array.from({length: CPUS}, () => ({tid: 0, events: [], switches: [], wakings: [], comms: []}));
  }
  trees() {
    const process = (pid, ppid, ...cmdline) => bytes(1, uint(1, pid), uint(2, ppid), ...cmdline.map((c) => bytes(3, c)));
    if (this.random(2)) this.packet(bytes(45, bytes(1, bytes(1, 'Linux'), bytes(3, ['6.1.0-18', '4.9.1', '4.4.0'][this.random(3)]))));
    this.packet(uint(8, this.now), bytes(2, process(1, 0, '/sbin/init', 'splash'), process(2, 0, 'kthreadd'),
      bytes(1, uint(1, 7), uint(2, 2), bytes(3, 'kworker/0:1-mm_percpu_wq'), uint(9, 1)), process(100, 1, 'bash -l'),
      bytes(2, uint(1, 101), bytes(2, 'helper'), uint(3, 100))));
    this.packet(uint(8, this.now + 5), bytes(9, bytes(1, uint(1, 100), uint(2, 5000), uint(3, 123), uint(10, BigInt(-900))),
      bytes(1, uint(1, 555), bytes(11, uint(1, 556)))));
  }
  comm(cpu, name) {
    const at = cpu.comms.indexOf(name);
    return at >= 0 ? at : cpu.comms.push(name) - 1;
  }
  event(cpu, tid, field, ...body) {
    cpu.events.push(bytes(2, uint(1, this.now), uint(2, tid), bytes(field, ...body)));
  }
  step() {
    const random = this.random;
    const cpu = this.cpus[random(CPUS)];
    const other = this.tids[random(this.tids.length)];
    const comm = COMMS[random(COMMS.length)];
    this.now += 1 + random(400);
    const kind = random(20);
    if (kind < 10) {
      const running = this.cpus.map((c) => c.tid);
      const next = random(4) === 0 || running.includes(other) ? 0 : other;
      if (next === cpu.tid) return;
      const state = STATES[random(STATES.length)];
      if (this.isCompact) {
        cpu.switches.push({ts: this.now, state, next, prio: 100 + random(40), comm: this.comm(cpu, next ? comm : 'swapper')});
      } else {
        this.event(cpu, cpu.tid, 4, bytes(1, comm), uint(2, random(50) ? cpu.tid : 9999), uint(3, 120), uint(4, state), bytes(5, COMMS[random(COMMS.length)]), uint(6, next), uint(7, 100 + random(40)));
      }
      cpu.tid = next;
    } else if (kind < 14) {
      if (this.isCompact) cpu.wakings.push({ts: this.now, pid: other, cpu: random(CPUS), prio: 120, comm: this.comm(cpu, comm), flags: random(2) * 8});
      else this.event(cpu, cpu.tid, 20, bytes(1, comm), uint(2, other), uint(3, 120), uint(5, random(CPUS)));
    } else if (kind < 16) {
      const tid = random(6) ? this.next++ : 250;
      const isThread = random(2);
      this.pids.set(tid, isThread ? this.pids.get(cpu.tid || 1) : tid);
      this.event(cpu, cpu.tid || 1, 235, uint(1, tid), bytes(2, comm), uint(3, isThread * 0x10000));
      if (!this.tids.includes(tid)) this.tids.push(tid);
    } else if (kind === 16) {
      this.event(cpu, other, 236, uint(1, other), bytes(2, 'old'), bytes(3, comm));
    } else if (kind === 17 && this.tids.length > 6 && !this.cpus.some((c) => c.tid === other) && other > 250) {
      this.event(cpu, other, 240, bytes(1, comm), uint(2, other), uint(3, 120));
      this.tids.splice(this.tids.indexOf(other), 1);
    } else if (kind === 18) {
      this.event(cpu, cpu.tid, 13, uint(1, 2), uint(2, 0));
    } else if (kind === 19) {
      const uuid = 5000 + other;
      if (random(3) === 0) this.packet(bytes(60, uint(1, uuid), bytes(4, uint(1, this.pids.get(other)), uint(2, other), bytes(5, `described ${other}`))));
      else this.packet(uint(8, this.now), uint(10, 1), bytes(11, uint(9, 1 + random(2)), uint(11, uuid), bytes(23, 'work')));
    }
  }
  compact(cpu) {
    if (!cpu.switches.length && !cpu.wakings.length) return Buffer.alloc(0);
    const packed = (field, values) => bytes(field, ...values.map(varint));
    const deltas = (of) => of.map((e, i) => (i ? e.ts - of[i - 1].ts : e.ts));
    const {switches: s, wakings: w} = cpu;
    return bytes(4, ...cpu.comms.map((c) => bytes(5, c)), packed(1, deltas(s)), packed(2, s.map((e) => e.state)), packed(3, s.map((e) => e.next)),
      packed(4, s.map((e) => e.prio)), packed(6, s.map((e) => e.comm)), packed(7, deltas(w)), packed(8, w.map((e) => e.pid)), packed(9, w.map((e) => e.cpu)),
      packed(10, w.map((e) => e.prio)), packed(11, w.map((e) => e.comm)), packed(12, w.map((e) => e.flags)));
  }
  flush() {
    for (const [i, cpu] of this.cpus.entries()) {
      this.packet(uint(10, 7), bytes(1, uint(1, i), ...cpu.events, this.compact(cpu)));
      Object.assign(cpu, {events: [], switches: [], wakings: [], comms: []});
    }
  }
}

export function makeKernelTrace(seed, events) {
  const w = new KernelWriter(seed);
  w.trees();
  for (let i = 0; i < events; i++) {
    w.step();
    if (w.random(100) === 0) w.flush();
  }
  w.flush();
  return Buffer.concat(w.packets);
}
