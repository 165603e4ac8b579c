// SPDX-License-Identifier: GPL-2.0-or-later
// Lanes and threads for tests of the pure functions.
import type { Lanes } from '../src/timeline/slices.ts';
import type { Thread } from '../src/timeline/layout.ts';
import { threadId } from '../src/lib/types.ts';

/** Rows of [depth, start, end, function], sorted by depth, then start. */
export function lanesOf(rows: readonly (readonly [number, number, number, number])[]): Lanes {
	const deepest = Math.max(-1, ...rows.map((r) => r[0]));
	const offsets = new Uint32Array(deepest + 2);
	for (let depth = 0; depth <= deepest + 1; depth++)
		offsets[depth] = rows.filter((r) => r[0] < depth).length;
	return {
		from: 0, to: Math.max(0, ...rows.map((r) => r[2])), bucket: 1, offsets,
		start: Float64Array.from(rows, (r) => r[1]), end: Float64Array.from(rows, (r) => r[2]),
		fn: Uint32Array.from(rows, (r) => r[3]), kind: new Uint8Array(rows.length),
		count: new Uint32Array(rows.length).fill(1), id: Uint32Array.from(rows, (_, i) => i),
	};
}

export function thread(id: number, more: Partial<Thread> = {}): Thread {
	return {
		id: threadId(id), tid: 100 + id, tgid: 100 + id, name: `thread${id}`, process: `thread${id}`, isKernel: false,
		isIdle: false, lanes: 10, slices: 100, cpu: 1000 - id, ...more,
	};
}
