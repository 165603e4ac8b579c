// SPDX-License-Identifier: GPL-2.0-or-later
// Compares a trace in Perfetto's trace processor with lines printed by dump-slices: see
// perfetto_oracle.sh. Rows are compared in windows of time, so that large traces fit.
import fs from 'node:fs';
import readline from 'node:readline';
import {loadTrace, queryLines as lines, startEngine} from './perfetto_engine.mjs';

const [cache, trace, slicesFile, switchesFile, consoleFile, threadsFile, commandsFile] = process.argv.slice(2);
const WINDOW_ROWS = 200000;

const SLICES = {
  what: 'slices',
  sql: `select s.ts as ts, t.tid as tid, s.depth as depth, s.dur as dur, s.category as category,
          t.name as thread, s.name as name
        from slice s join thread_track tt on s.track_id = tt.id join thread t using (utid)`,
  columns: ['ts', 'tid', 'depth', 'dur', 'category', 'thread', 'name'],
};
const SWITCHES = {
  what: 'switches',
  sql: 'select s.ts as ts, s.ucpu as cpu, t.tid as tid from sched s join thread t using (utid)',
  columns: ['ts', 'cpu', 'tid'],
};

// A level becomes Android's priority: our lines are turned into rows of the same columns.
const PRIORITIES = {'-1': 4, 0: 7, 1: 7, 2: 7, 3: 6, 4: 5, 5: 4, 6: 4, 7: 3};
const CONSOLE = {
  what: 'console lines',
  sql: 'select l.ts as ts, t.tid as tid, l.tag as tag, l.prio as prio, l.msg as msg from android_logs l join thread t using (utid)',
  columns: ['ts', 'tid', 'tag', 'prio', 'msg'],
  map: (line) => {
    const [icount, tid, source, level, ...text] = line.split('\t');
    return [icount, tid, source, PRIORITIES[level], text.join('\t')].join('\t');
  },
};

// A process whose leader was not seen has a nameless main thread there.
const THREADS = `
  select t.tid as tid, t.name as name, t.start_ts as start, t.end_ts as end, p.pid as pid, parent.pid as ppid
  from thread t join process p using (upid) left join process parent on p.parent_upid = parent.upid
  where t.tid != 0 and t.name is not null`;

async function compareThreads(engine) {
  const theirs = await lines(engine, THREADS, ['tid', 'name', 'start', 'end', 'pid', 'ppid']);
  const ours = fs.readFileSync(threadsFile, 'utf8').split('\n').slice(0, -1);
  const rows = ours.length;
  compareWindow('threads', ours, theirs);
  const stray = await lines(
      engine, `select tid, t.name as name from thread t left join process using (upid)
               where tid != 0 and process.pid is null`, ['tid', 'name']);
  if (stray.length) throw new Error(`threads without a process:\n${stray.join('\n')}`);
  const misnamed = await lines(
      engine, `select t.name as name, p.name as process from thread t join process p using (upid)
               where t.tid = p.pid and t.start_ts is not null and t.name is not p.name`, ['name', 'process']);
  if (misnamed.length) throw new Error(`processes without their leader's name:\n${misnamed.join('\n')}`);
  return rows;
}

async function compareCommands(engine) {
  const theirs = await lines(
      engine, 'select pid, start_ts as start, cmdline from process where cmdline is not null',
      ['pid', 'start', 'cmdline']);
  compareWindow('command lines', fs.readFileSync(commandsFile, 'utf8').split('\n').slice(0, -1), theirs);
  return theirs.length;
}

function compareWindow(what, ours, theirs) {
  ours.sort();
  theirs.sort();
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    if (ours[i] !== theirs[i]) {
      throw new Error(`${what} differ:\n  ours:    ${ours[i]}\n  perfetto: ${theirs[i]}`);
    }
  }
}

async function compare(engine, table, file) {
  let ours = [];
  let from = -1n;
  let rows = 0;
  const flush = async (until) => {
    const where = `where ts > ${from}` + (until === undefined ? '' : ` and ts <= ${until}`);
    compareWindow(table.what, ours, await lines(engine, `select * from (${table.sql}) ${where}`, table.columns));
    rows += ours.length;
    ours = [];
    from = until;
  };
  let last;
  for await (const line of readline.createInterface({input: fs.createReadStream(file)})) {
    const ts = BigInt(line.slice(0, line.indexOf('\t')));
    if (ours.length >= WINDOW_ROWS && ts !== last) await flush(last);
    ours.push(table.map ? table.map(line) : line);
    last = ts;
  }
  await flush(undefined);
  return rows;
}

const engine = await startEngine(cache);
await loadTrace(engine, trace);
const bad = await lines(
    engine, `select name, idx, value from stats where severity in ('error', 'data_loss') and value != 0`,
    ['name', 'idx', 'value']);
if (bad.length) throw new Error(`stats of errors or lost data:\n${bad.join('\n')}`);
const slices = await compare(engine, SLICES, slicesFile);
const total = await lines(engine, 'select count(*) as n from slice', ['n']);
if (Number(total[0]) !== slices) throw new Error(`Perfetto has ${total[0]} slices, ${slices} of them on threads`);
const switches = await compare(engine, SWITCHES, switchesFile);
const printed = await compare(engine, CONSOLE, consoleFile);
const threads = await compareThreads(engine);
const commands = await compareCommands(engine);
console.log(`${trace}: ${slices} slices, ${switches} switches, ${printed} console lines, ${threads} threads, ${commands} command lines are the same in Perfetto`);
process.exit(0);
