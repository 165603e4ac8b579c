// SPDX-License-Identifier: GPL-2.0-or-later
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { closedHeight, layOut, laneHeight, openAtFirst, padding, rowAtY, rowHeight, threadKey } from '../src/timeline/layout.ts';
import type { Wanted } from '../src/timeline/layout.ts';
import { threadId } from '../src/lib/types.ts';
import { thread } from './fixture.ts';

const threads = [
	thread(1, { tid: 0, tgid: 0, isIdle: true, name: 'swapper' }),
	thread(2, { tid: 50, tgid: 50, name: 'sh', process: 'sh', cpu: 10 }),
	thread(3, { tid: 60, tgid: 60, name: 'make', process: 'make', cpu: 500 }),
	thread(4, { tid: 61, tgid: 60, name: 'cc1', process: 'make', cpu: 700 }),
	thread(5, { isKernel: true, name: 'kworker/0:1' }),
	thread(6, { isKernel: true, name: 'ksoftirqd/0' }),
];
const wanted = (more: Partial<Wanted> = {}): Wanted => ({ threads, cpus: 1, open: new Set(), pinned: [], filter: '', ...more });

test('the CPU is first, then start-up, the kernel together, then processes by cost', () => {
	const { rows, height } = layOut(wanted());
	assert.deepEqual(rows.map((r) => r.key), ['c0', 't1', 'gkernel', 'g60', 't2']);
	assert.equal(height, 3 * rowHeight + 2 * closedHeight);
});

test('rows lie one below the other without gaps', () => {
	const { rows, height } = layOut(wanted({ open: new Set(['g60', 'gkernel', threadKey(threadId(4))]) }));
	let y = 0;
	for (const row of rows) {
		assert.equal(row.y, y);
		y += row.height;
	}
	assert.equal(y, height);
	const open = rows.find((r) => r.key === 't4');
	assert.equal(open?.height, 10 * laneHeight + 2 * padding);
});

test('a filter opens groups and leaves out what does not fit', () => {
	assert.deepEqual(layOut(wanted({ filter: 'kworker' })).rows.map((r) => r.key), ['c0', 'gkernel', 't5']);
	assert.deepEqual(layOut(wanted({ filter: 'make 61' })).rows.map((r) => r.key), ['c0', 'g60', 't4']);
	assert.deepEqual(layOut(wanted({ filter: 'nothing' })).rows.map((r) => r.key), ['c0']);
});

test('pinned threads are drawn above, and stay in their place too', () => {
	const { rows, pinnedHeight } = layOut(wanted({ pinned: [threadId(5)] }));
	assert.deepEqual(rows.map((r) => r.key).slice(0, 2), ['c0', 'p5']);
	assert.equal(pinnedHeight, rowHeight + closedHeight);
});

test('the row at a height', () => {
	const { rows } = layOut(wanted());
	assert.equal(rowAtY(rows, 0)?.key, 'c0');
	assert.equal(rowAtY(rows, rowHeight)?.key, 't1');
	assert.equal(rowAtY(rows, 5 * closedHeight), undefined);
});

test('a screenful is open at first, the busiest first', () => {
	assert.deepEqual(openAtFirst(threads, 450), ['t1', 'g60', 't4']);
	assert.deepEqual(openAtFirst([threads[4]!, threads[5]!], 500), ['gkernel', 't5']);
});
