// SPDX-License-Identifier: GPL-2.0-or-later
// A flame graph as lanes: the timeline's painter draws it, with cost instead of time along the axis.
import type { Lanes } from './slices.ts';

/** Columns of the daemon's flame graph; a parent comes before its children. */
export interface FlameColumns {
	readonly rows: number;
	readonly total: Float64Array;
	readonly parent: Uint32Array;
	readonly function: Uint32Array;
}

const none = 0xffffffff;

/**
 * Places each node below its parent, the dearest sibling first. `id` of a lane's row is the node. Nodes of
 * less than `least` of the whole are left out.
 */
export function flameLanes(nodes: FlameColumns, least = 1e-5): Lanes {
	const { rows, total, parent } = nodes;
	const depth = new Uint16Array(rows);
	const children = new Map<number, number[]>();
	let whole = 0;
	for (let i = 0; i < rows; i++) {
		const p = parent[i]!;
		if (p === none || p >= i)
			whole += total[i]!;
		else
			depth[i] = depth[p]! + 1;
		const key = p === none || p >= i ? none : p;
		const list = children.get(key);
		if (list)
			list.push(i);
		else
			children.set(key, [i]);
	}
	const start = new Float64Array(rows);
	const kept: number[] = [];
	const place = (list: readonly number[], from: number): void => {
		let x = from;
		for (const i of [...list].sort((a, b) => total[b]! - total[a]!)) {
			if (total[i]! < whole * least)
				break;
			start[i] = x;
			x += total[i]!;
			kept.push(i);
		}
	};
	place(children.get(none) ?? [], 0);
	for (let n = 0; n < kept.length; n++) {
		const list = children.get(kept[n]!);
		if (list)
			place(list, start[kept[n]!]!);
	}
	kept.sort((a, b) => depth[a]! - depth[b]! || start[a]! - start[b]!);
	const deepest = kept.length ? depth[kept.at(-1)!]! : -1;
	const offsets = new Uint32Array(deepest + 2);
	for (const i of kept)
		offsets[depth[i]! + 1]!++;
	for (let d = 1; d < offsets.length; d++)
		offsets[d]! += offsets[d - 1]!;
	return {
		from: 0, to: Math.max(1, whole), bucket: 1, offsets,
		start: Float64Array.from(kept, (i) => start[i]!), end: Float64Array.from(kept, (i) => start[i]! + total[i]!),
		fn: Uint32Array.from(kept, (i) => nodes.function[i]!), kind: new Uint8Array(kept.length),
		count: new Uint32Array(kept.length).fill(1), id: Uint32Array.from(kept),
	};
}
