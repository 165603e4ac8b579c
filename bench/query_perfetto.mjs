// SPDX-License-Identifier: GPL-2.0-or-later
// What Perfetto's trace processor (its WASM build) takes for what bench-query measures.
import {loadTrace, startEngine} from '../tests/trace/perfetto_engine.mjs';

const [cache, trace] = process.argv.slice(2);

async function time(what, work) {
  const start = process.hrtime.bigint();
  await work();
  console.log(`Perfetto (WASM): ${what.padEnd(44)} ${(Number(process.hrtime.bigint() - start) / 1e9).toFixed(4).padStart(9)} s`);
}

try {
  const engine = await startEngine(cache);
  await time('load', () => loadTrace(engine, trace));
  const one = async (sql, column) => {
    const it = (await engine.query(sql)).iter({});
    return it.get(column);
  };
  const track = await one('select track_id as t from slice group by 1 order by count(*) desc limit 1', 't');
  const first = await one('select start_ts as t from trace_bounds', 't');
  const span = (await one('select end_ts as t from trace_bounds', 't')) - first + 1n;
  await time('group by name', () => engine.query('select name, count(*), sum(dur) from slice group by 1'));
  await engine.query('include perfetto module viz.slices');
  const table = `create virtual table mip using __intrinsic_slice_mipmap((select id, ts, dur, depth from slice where track_id = ${track} and dur >= 0))`;
  await time('timeline: its mipmap, made once', () => engine.query(table));
  const view = (from, length) => engine.query(`select * from mip(${from}, ${from + length}, ${length / 3000n + 1n})`);
  await time('timeline, 3,000 buckets', () => view(first, span));
  await time('the same at 1/1000 zoom', () => view(first + span / 2n, span / 1000n));
} catch (error) {
  console.log(`Perfetto (WASM): ${String(error.message ?? error).split('\n')[0]}`);
}
process.exit(0);
