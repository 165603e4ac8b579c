// SPDX-License-Identifier: GPL-2.0-or-later
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { between, clamp, frame, length, minSpan, pan, reveal, toIcount, toPx, zoomAt } from '../src/timeline/viewport.ts';
import { clockOf } from '../src/timeline/clock.ts';
import { niceStep, ruler } from '../src/timeline/ruler.ts';

const bounds = { from: 0, to: 2_800_000_000 };

test('zooming keeps what is under the pointer', () => {
	let view = { from: 1e9, to: 1.5e9 };
	const at = 1.123e9;
	const px = toPx(view, 1000, at);
	for (let i = 0; i < 60; i++) {
		view = zoomAt(view, at, 0.7, bounds);
		if (length(view) > minSpan)
			assert.ok(Math.abs(toPx(view, 1000, at) - px) < 0.01, `step ${i}`);
	}
	assert.equal(length(view), minSpan);
});

test('zooming out ends at the whole trace', () => {
	let view = { from: 1e9, to: 1e9 + 100 };
	for (let i = 0; i < 100; i++)
		view = zoomAt(view, 1e9 + 50, 1.5, bounds);
	assert.ok(view.from <= bounds.from && view.to >= bounds.to);
	assert.ok(length(view) < length(bounds) * 1.1);
});

test('the whole trace is shown as it is', () => {
	assert.deepEqual(clamp(bounds, bounds), bounds);
});

test('panning stays near the trace', () => {
	const view = pan({ from: 0, to: 1e6 }, -1e12, bounds);
	assert.ok(view.to > 0 && view.from > -1e8);
	const far = pan({ from: 0, to: 1e6 }, 1e13, bounds);
	assert.ok(far.from < bounds.to);
	assert.ok(Math.abs(length(far) - 1e6) < 1e-3);
});

test('framing shows all of it and no less than the least span', () => {
	const view = frame({ from: 500, to: 501 }, bounds);
	assert.equal(length(view), minSpan);
	assert.ok(view.from < 500 && view.to > 501);
	const big = frame({ from: 1e9, to: 1.1e9 }, bounds);
	assert.ok(big.from < 1e9 && big.to > 1.1e9);
});

test('revealing moves only when it must', () => {
	const view = { from: 100, to: 200 };
	assert.equal(reveal(view, 150, bounds), view);
	const moved = reveal(view, 5000, bounds);
	assert.equal(Math.round(length(moved)), 100);
	assert.ok(moved.from < 5000 && moved.to > 5000);
});

test('between starts at one view and ends at the other', () => {
	const a = { from: 0, to: 1e9 };
	const b = { from: 5e8, to: 5e8 + 100 };
	const start = between(a, b, 0);
	assert.ok(Math.abs(start.from) < 1 && Math.abs(start.to - 1e9) < 1);
	assert.equal(between(a, b, 1), b);
	let last = 1e9;
	for (let t = 0.1; t < 1; t += 0.1) {
		const size = length(between(a, b, t));
		assert.ok(size < last);
		last = size;
	}
});

test('pixels and icounts are each other\'s inverse', () => {
	const view = { from: 123456789, to: 123456999 };
	assert.ok(Math.abs(toIcount(view, 1400, toPx(view, 1400, 123456800)) - 123456800) < 1e-6);
});

test('clamp never gives less than the least span', () => {
	assert.equal(length(clamp({ from: 5, to: 5 }, bounds)), minSpan);
});

test('steps are 1, 2 or 5 times a power of ten', () => {
	assert.equal(niceStep(0.3), 1);
	assert.equal(niceStep(3), 5);
	assert.equal(niceStep(5), 5);
	assert.equal(niceStep(120), 200);
	assert.equal(niceStep(501), 1000);
});

test('the ruler labels the whole trace in units', () => {
	const r = ruler({ from: 0, to: 2.8e9 }, 1400);
	assert.ok(r.ticks.length >= 8 && r.ticks.length <= 20);
	assert.equal(r.anchor, undefined);
	for (const tick of r.ticks)
		assert.equal(tick.at % r.step, 0);
});

test('labels tell neighbours apart at every zoom', () => {
	for (let size = 10; size < 2.8e9; size *= 3) {
		const r = ruler({ from: 1_234_567_890, to: 1_234_567_890 + size }, 1400);
		const labels = r.ticks.map((t) => t.label);
		assert.equal(new Set(labels).size, labels.length, `${size}: ${labels.join(' ')}`);
	}
});

test('the axis in seconds', () => {
	const r = ruler({ from: 0, to: 2e9 }, 1000, (n) => n / 1e9);
	assert.equal(r.ticks[1]?.label, '0.2 s');
	assert.equal(new Set(r.ticks.map((t) => t.label)).size, r.ticks.length);
});

test('the guest\'s clock is what its kernel printed', () => {
	const clock = clockOf([
		{ icount: 100, text: '[    0.000000] Linux version' }, { icount: 1000, text: '[    1.000000] a' }, { icount: 1500, text: 'no time' },
		{ icount: 2000, text: '[    3.000000] b' }, { icount: 2500, text: '[    2.000000] printed again' }, { icount: 4000, text: '[    4.000000] c' },
	]);
	assert.ok(clock);
	assert.equal(clock(1000), 1);
	assert.equal(clock(1500), 2);
	assert.equal(clock(3000), 3.5);
	assert.equal(clock(6000), 5);
	assert.equal(clock(0), 0);
	assert.equal(clockOf([{ icount: 5, text: '[    1.000000] a' }]), undefined);
});
