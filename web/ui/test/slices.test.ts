// SPDX-License-Identifier: GPL-2.0-or-later
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { depths, firstBehind, fitText, occupancy, rasterLane, rowAt } from '../src/timeline/slices.ts';
import { bucketFor, windowFor, WindowCache } from '../src/timeline/windows.ts';
import { lanesOf } from './fixture.ts';

const lanes = lanesOf([
	[0, 0, 100, 1], [0, 200, 300, 2],
	[1, 10, 20, 3], [1, 20, 30, 4], [1, 250, 260, 5],
]);

test('rows are found by depth and place', () => {
	assert.equal(depths(lanes), 2);
	assert.equal(firstBehind(lanes, 0, 0), 0);
	assert.equal(firstBehind(lanes, 0, 100), 1);
	assert.equal(firstBehind(lanes, 1, 25), 3);
	assert.equal(rowAt(lanes, 1, 25, 0), 3);
	assert.equal(rowAt(lanes, 1, 240, 5), -1);
	assert.equal(rowAt(lanes, 1, 240, 15), 4);
	assert.equal(rowAt(lanes, 7, 25, 5), -1);
	assert.equal(rowAt(lanes, -1, 25, 5), -1);
});

test('wide slices are boxes, narrow ones pixels', () => {
	const out = new Uint32Array(300).fill(0xff000000);
	const wide: number[] = [];
	rasterLane(out, 0, 300, lanes, 0, { from: 0, to: 300 }, () => 0xffffffff, 0xff000000, wide);
	assert.deepEqual(wide, [0, 1]);
	assert.ok(out.every((p) => p === 0xff000000));
	wide.length = 0;
	const small = new Uint32Array(30).fill(0xff000000);
	rasterLane(small, 0, 30, lanes, 1, { from: 0, to: 300 }, () => 0xffffffff, 0xff000000, wide);
	assert.deepEqual(wide, []);
	assert.equal(small[1], 0xffffffff);
	assert.equal(small[2], 0xffffffff);
	assert.equal(small[25], 0xffffffff);
	assert.equal(small[3], 0xff000000);
});

test('of many slices in a pixel the longest is seen', () => {
	const many = lanesOf([[0, 0, 1, 1], [0, 1, 9, 2], [0, 9, 10, 3]]);
	const out = new Uint32Array(1).fill(0xff000000);
	rasterLane(out, 0, 1, many, 0, { from: 0, to: 10 }, (row) => (many.fn[row] === 2 ? 0xff0000ff : 0xff00ff00), 0xff000000, []);
	assert.equal(out[0]! & 0xff00, 0);
	assert.ok((out[0]! & 0xff) > 0x60);
});

test('a raster writes nothing outside of its row', () => {
	const out = new Uint32Array(30).fill(7);
	rasterLane(out, 10, 10, lanesOf([[0, 0, 1000, 1], [1, 5, 6, 2]]), 1, { from: 0, to: 10 }, () => 9, 7, []);
	assert.ok(out.subarray(0, 10).every((p) => p === 7) && out.subarray(20).every((p) => p === 7));
});

test('occupancy adds up parts of pixels', () => {
	const out = new Float32Array(10);
	occupancy(out, { from: 0, to: 100 }, Float64Array.of(5, 30, 95), Float64Array.of(10, 50, 200));
	assert.deepEqual([...out].map((x) => Math.round(x * 100) / 100), [0.5, 0, 0, 1, 1, 0, 0, 0, 0, 0.5]);
});

test('text is cut to fit', () => {
	assert.equal(fitText('schedule', 80, 8), 'schedule');
	assert.equal(fitText('schedule', 40, 8), 'sche…');
	assert.equal(fitText('schedule', 16, 8), '');
});

test('buckets are powers of two, one or two a pixel', () => {
	assert.equal(bucketFor({ from: 0, to: 1000 }, 1000), 1);
	assert.equal(bucketFor({ from: 0, to: 3000 }, 1000), 2);
	assert.equal(bucketFor({ from: 0, to: 2.8e9 }, 1400), 2 ** 20);
});

test('a window covers its view, and near views share it', () => {
	const bounds = { from: 0, to: 1e9 };
	const a = windowFor({ from: 5e6, to: 6e6 }, bounds);
	assert.ok(a.from <= 5e6 && a.to >= 6e6);
	const near = windowFor({ from: 5e6 + 100, to: 6e6 + 100 }, bounds);
	assert.deepEqual(near, a);
});

test('what is missing is drawn from the nearest resolution', () => {
	const cache = new WindowCache();
	const coarse = { ...lanesOf([[0, 0, 1000, 1]]), from: 0, to: 1000, bucket: 64 };
	const fine = { ...lanesOf([[0, 0, 1000, 1]]), from: 400, to: 600, bucket: 4 };
	cache.add(1, coarse);
	cache.add(1, fine);
	assert.ok(cache.has(1, { from: 450, to: 500 }, 4));
	assert.ok(!cache.has(1, { from: 450, to: 700 }, 4));
	const pieces = cache.pieces(1, { from: 300, to: 700 }, 4);
	const covered = pieces.reduce((sum, p) => sum + p.span.to - p.span.from, 0);
	assert.equal(covered, 400);
	assert.ok(pieces.some((p) => p.lanes === fine) && pieces.some((p) => p.lanes === coarse));
});

test('the cache drops the oldest, and keeps the coarsest of each track', () => {
	const cache = new WindowCache(100);
	const rows = Array.from({ length: 20 }, (_, i) => [0, i * 10, i * 10 + 5, 1] as const);
	cache.add(1, { ...lanesOf(rows), from: 0, to: 1e6, bucket: 1024 });
	for (let i = 0; i < 20; i++)
		cache.add(1, { ...lanesOf(rows), from: i * 1000, to: i * 1000 + 1000, bucket: 4 });
	assert.ok(cache.rows <= 100);
	assert.ok(cache.has(1, { from: 0, to: 1e6 }, 1024));
	assert.ok(cache.has(1, { from: 19000, to: 19500 }, 4));
	assert.ok(!cache.has(1, { from: 0, to: 500 }, 4));
});
