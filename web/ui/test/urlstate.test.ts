// SPDX-License-Identifier: GPL-2.0-or-later
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { icount, threadId } from '../src/lib/types.ts';
import { read, write } from '../src/state/urlstate.ts';
import type { Named } from '../src/state/urlstate.ts';

const thread = (id: number, tid: number, name: string, start?: number): Named => ({ id: threadId(id), tid, name, start });
const threads = [
	thread(1, 0, 'swapper/0'), thread(2, 0, 'swapper/1'), thread(3, 12, 'kworker/0:1'), thread(4, 92, 'sh', 1000), thread(5, 92, 'sh', 9000),
	thread(6, 93, 'a b@7&c=d'), thread(7, 94, 'sh'),
];
/** The same recording, traced again: other rows, one thread less. */
const again = [
	thread(10, 94, 'sh'), thread(11, 93, 'a b@7&c=d'), thread(12, 92, 'sh', 9000), thread(13, 92, 'sh', 1000), thread(15, 0, 'swapper/1'), thread(16, 0, 'swapper/0'),
];
const ids = (...list: number[]): ReturnType<typeof threadId>[] => list.map(threadId);

test('a link is the same after another trace of the recording', () => {
	const hash = write({ slice: { start: icount(123), utid: threadId(5), depth: 7 }, pinned: ids(1, 5, 6), open: ['gkernel', 'g92', 't4', 'p5', 't6'], on: threadId(2), area: { from: 5, to: 10.5 } }, threads);
	const here = read(`#${hash}`, threads);
	assert.deepEqual(here.place, { start: 123, tid: 92, depth: 7 });
	assert.deepEqual([here.pinned, here.open, here.on, here.area], [ids(1, 5, 6), ['gkernel', 'g92', 't4', 'p5', 't6'], threadId(2), { from: 5, to: 10.5 }]);
	const there = read(`#${hash}`, again);
	assert.deepEqual(there.place, here.place);
	assert.deepEqual([there.pinned, there.open, there.on], [ids(16, 12, 11), ['gkernel', 'g92', 't13', 'p12', 't11'], threadId(15)]);
	assert.match(hash, /slice=123:92:7/);
});

test('threads that are not there are left out, one that changed its name is found', () => {
	assert.equal(read('pin=12:kworker/0:1', again).pinned, undefined);
	assert.deepEqual(read('pin=94:bash&open=94:bash', again).pinned, ids(10));
	assert.equal(read('pin=92:bash', again).pinned, undefined);
	assert.deepEqual(read(`#${write({ pinned: ids(3) }, threads)}`, threads).pinned, ids(3));
});

test('a call of no thread', () => {
	const hash = write({ slice: { start: icount(5), utid: threadId(0xffffffff), depth: 0 } }, threads);
	assert.equal(hash, 'slice=5::0');
	assert.deepEqual(read(hash, threads).place, { start: 5, depth: 0 });
});

test('links of older versions, and nonsense', () => {
	const old = read('#view=10-20&slice=123.5.7&pin=3.4&open=gkernel.t3.p4', threads);
	assert.deepEqual(old.slice, { start: 123, utid: 5, depth: 7 });
	assert.deepEqual([old.view, old.pinned, old.open, old.place], [{ from: 10, to: 20 }, ids(3, 4), ['gkernel', 't3', 'p4'], undefined]);
	assert.deepEqual(Object.values(read('#view=20-10&slice=1:2&pin=x&open=:&on=', threads)).filter((v) => v !== undefined), []);
});
