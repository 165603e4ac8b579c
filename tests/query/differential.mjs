// SPDX-License-Identifier: GPL-2.0-or-later
// Asks dejaview and Perfetto's own trace processor the same and compares the rows: see differential.sh.
// usage: differential.mjs PERFETTO DEJAVIEW own|foreign|kernel TRACE SEED
import fs from 'node:fs';
import {execFileSync} from 'node:child_process';
import {loadTrace, startEngine} from '../trace/perfetto_engine.mjs';
import {makeKernelTrace, makeTrace, randomSource} from './track_events.mjs';

const [cache, dejaview, kind, trace, seed] = process.argv.slice(2);
const ROUNDS = 60;
const random = randomSource(Number(seed));
if (kind === 'foreign') fs.writeFileSync(trace, makeTrace(Number(seed), 6000));
if (kind === 'kernel') fs.writeFileSync(trace, makeKernelTrace(Number(seed), 4000));

const THREADS = 'slice s join thread_track tt on s.track_id = tt.id join thread t using (utid)';
const queries = [
  'select s.ts, s.dur, s.name, s.category, s.depth, p.ts as pts, p.name as pname from slice s left join slice p on p.id = s.parent_id where s.ts < WINDOW',
  `select s.ts, s.dur, s.name, t.name as thread from ${THREADS} where s.ts < WINDOW`,
  'select name, category, count(*) as n, sum(dur) as sum, min(ts) as least, max(depth) as deepest from slice group by name, category',
  `select t.name as thread, count(*) as n, sum(s.dur) as sum from ${THREADS} group by t.name`,
  'select count(*) as n, max(depth) as deepest, min(ts) as first, max(ts) as last from slice',
  "select name from process where name is not null and pid != 4194304 and pid != 0",
];
if (kind === 'foreign') {
  queries.push(
    "select s.ts, s.name, a.flat_key, a.key, a.int_value, a.string_value, a.real_value, a.value_type from slice s join args a using (arg_set_id) where a.key glob 'debug.*'",
    'select c.ts, c.value, t.name from counter c join counter_track t on c.track_id = t.id',
    'select a.ts as ats, a.name as aname, b.ts as bts, b.name as bname from flow f join slice a on a.id = f.slice_out join slice b on b.id = f.slice_in',
    "select p.name as process, t.name as track, count(*) as n from slice s join process_track t on t.id = s.track_id join process p using (upid) group by 1, 2",
    "select tid, thread.name, pid from thread join process using (upid) where utid != 0",
    'select t.name, count(*) as n, sum(s.dur) as sum from slice s join track t on t.id = s.track_id where t.name is not null group by 1',
    'select ts, clock_id, clock_value from clock_snapshot where clock_id < 64',
  );
} else if (kind === 'kernel') {
  queries.push(
    'select s.ts, s.dur, s.cpu, t.tid, t.name, s.end_state, s.priority from sched s join thread t using (utid)',
    'select s.ts, s.dur, s.cpu, t.tid, s.state, s.irq_context, w.tid as waker from thread_state s join thread t using (utid) left join thread w on w.utid = s.waker_utid',
    'select s.ts, w.ts as wts, w.utid is null as no, w.cpu from thread_state s join thread_state w on w.id = s.waker_id',
    'select tid, t.name, t.start_ts, t.end_ts, t.is_main_thread, pid, p.name as pname, p.cmdline from thread t left join process p using (upid)',
    'select p.pid, p.name, p.start_ts, p.end_ts, p.cmdline, q.pid as parent from process p left join process q on q.upid = p.parent_upid',
    'select c.ts, c.value, t.name, p.pid from counter c join process_counter_track t on t.id = c.track_id join process p using (upid)',
    'select start_ts, end_ts from trace_bounds',
    'select count(*) as n from cpu',
    "select name, sum(value) as n from stats where name in ('mismatched_sched_switch_tids', 'compact_sched_switch_skipped', 'compact_sched_waking_skipped', 'process_tracker_errors', 'clock_sync_failure') group by 1",
    'select state, count(*) as n, sum(dur) as sum from thread_state where dur > 0 group by 1',
    'select t.tid, sum(s.dur) as sum from sched s join thread t using (utid) where s.dur > 0 group by t.tid',
  );
} else {
  queries.push(
    'select s.ts, s.dur, s.cpu from sched s where s.ts >= (select min(ts) from slice) and s.ts > 0 and s.ts in (select ts from sched order by ts desc limit 300)',
    'select cpu, count(*) as n from sched where ts > 1000000 group by cpu',
  );
}

// Random conditions, on values that are there.
function condition(sample) {
  const row = sample[random(sample.length)];
  const pick = [
    `ts >= ${row.ts}`, `ts < ${row.ts}`, `ts = ${row.ts}`, `dur > ${row.dur}`, `dur <= ${row.dur}`, 'dur = -1', 'dur >= 0',
    `depth = ${row.depth}`, `depth < ${row.depth}`, `depth >= ${row.depth}`, `name = '${row.name.replaceAll("'", "''")}'`,
    `name glob '${row.name.slice(0, 2).replaceAll(/[^a-zA-Z_]/g, '?')}*'`, 'parent_id is null', 'category is not null',
    `name > '${row.name.replaceAll("'", "''")}'`, `ts between ${row.ts} and ${row.ts} + 5000`, `name != 'read'`, `dur % 3 = 1`,
  ];
  return pick[random(pick.length)];
}
function randomQuery(sample) {
  const where = Array.from({length: 1 + random(3)}, () => condition(sample)).join(random(4) ? ' and ' : ' or ');
  const row = sample[random(sample.length)];
  const shape = [
    `select count(*) as n, sum(ts) as ts, sum(dur) as dur, sum(depth) as depth from slice where ${where}`,
    `select name, count(*) as n, max(dur) as most from slice where ${where} group by name`,
    `select depth, count(distinct name) as n from slice where ${where} group by depth`,
    `select ts, name, dur from slice where (${where}) and ts between ${row.ts} - 3000 and ${row.ts} + 3000`,
    `select ts from slice where ${where} order by ts limit 20`,
    `select ts from slice where ${where} order by ts desc limit 20`,
    `select a.ts, a.name, a.depth from slice s, ancestor_slice(s.id) a where s.ts = ${row.ts}`,
    `select d.ts, d.name, d.depth from slice s, descendant_slice(s.id) d where s.ts = ${row.ts} and s.dur < 200000`,
    `select count(*) as n from slice a join slice b on b.parent_id = a.id where a.ts between ${row.ts} and ${row.ts} + 20000`,
  ];
  return shape[random(shape.length)];
}

const text = (v) => (v === null || v === undefined ? 'NULL' : typeof v === 'number' && !Number.isInteger(v) ? v.toPrecision(12) : String(v));

async function theirs(engine, sql) {
  const result = await engine.query(sql);
  const columns = result.columns();
  const rows = [];
  for (const it = result.iter({}); it.valid(); it.next()) rows.push(columns.map((c) => text(it.get(c))).join('|'));
  return rows.sort();
}

// All at once: one load. An answer is an array with a row per line.
function ours(sqls) {
  const out = execFileSync(dejaview, ['query', '--no-cache', '--json', trace], {input: sqls.map((s) => `${s};\n`).join(''), maxBuffer: 1 << 30});
  const answers = [];
  let rows;
  for (const line of out.toString().split('\n')) {
    if (line === '[' || line === '[]') answers.push((rows = []));
    else if (line.startsWith('{')) rows.push(Object.values(JSON.parse(line.replace(/,$/, ''))).map(text).join('|'));
  }
  return answers.map((a) => a.sort());
}

const engine = await startEngine(cache);
await loadTrace(engine, trace);
const samples = [];
const result = await engine.query('select ts, dur, depth, name from slice where id % (select count(*) / 500 + 1 from slice) = 0');
for (const it = result.iter({}); it.valid(); it.next()) {
  samples.push({ts: it.get('ts'), dur: it.get('dur'), depth: it.get('depth'), name: String(it.get('name'))});
}
const window = samples[Math.min(samples.length - 1, 100)].ts;
const all = [...queries.map((q) => q.replaceAll('WINDOW', window)), ...Array.from({length: ROUNDS}, () => randomQuery(samples))];
const mine = ours(all);
if (mine.length !== all.length) throw new Error(`${mine.length} answers to ${all.length} queries`);
let rows = 0;
for (const [i, sql] of all.entries()) {
  const want = await theirs(engine, sql);
  rows += want.length;
  const bad = want.findIndex((row, j) => row !== mine[i][j]);
  if (bad >= 0 || want.length !== mine[i].length) {
    const at = bad >= 0 ? bad : want.length;
    throw new Error(`${sql}\n  ${mine[i].length} rows, Perfetto ${want.length}\n  ours:     ${mine[i][at]}\n  Perfetto: ${want[at]}`);
  }
}
console.log(`${kind}, seed ${seed}: ${all.length} queries, ${rows} rows are the same in Perfetto`);
process.exit(0);
