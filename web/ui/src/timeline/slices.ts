// SPDX-License-Identifier: GPL-2.0-or-later
// Slices of one thread within a window, at one resolution, as columns; and their raster.
import type { Span } from './viewport.ts';
import { length } from './viewport.ts';
import { mix } from './colours.ts';
import type { Rgba } from './colours.ts';

/**
 * Rows are sorted by depth, then start. What is narrower than a bucket has been merged by the daemon: a
 * row is then the longest slice that starts in the bucket and stands for `count` of them.
 */
export interface Lanes extends Span {
	/** Icounts per bucket; 1 or less: nothing is merged. */
	readonly bucket: number;
	/** Where each depth's rows begin; one more than there are depths. */
	readonly offsets: Uint32Array;
	readonly start: Float64Array;
	/** Exclusive; a slice that never ended has the trace's end. */
	readonly end: Float64Array;
	readonly fn: Uint32Array;
	readonly kind: Uint8Array;
	readonly count: Uint32Array;
	/** The daemon's row id of each. */
	readonly id: Uint32Array;
}

export const depths = (l: Lanes): number => Math.max(0, l.offsets.length - 1);

export function emptyLanes(span: Span, bucket: number): Lanes {
	return {
		...span, bucket, offsets: new Uint32Array(1), start: new Float64Array(0), end: new Float64Array(0),
		fn: new Uint32Array(0), kind: new Uint8Array(0), count: new Uint32Array(0), id: new Uint32Array(0),
	};
}

/** The first row of a depth that ends behind `at`, or the depth's end. Rows of a depth do not overlap. */
export function firstBehind(l: Lanes, depth: number, at: number): number {
	let low = l.offsets[depth] ?? 0;
	let high = l.offsets[depth + 1] ?? low;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (l.end[middle]! <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/** The row at a place, or the nearest within `slack` of it; -1 when there is none. */
export function rowAt(l: Lanes, depth: number, at: number, slack: number): number {
	const stop = l.offsets[depth + 1];
	if (stop === undefined || depth < 0)
		return -1;
	let best = -1;
	let distance = slack;
	for (let i = firstBehind(l, depth, at - slack); i < stop && l.start[i]! <= at + slack; i++) {
		const away = at < l.start[i]! ? l.start[i]! - at : at >= l.end[i]! ? at - l.end[i]! : 0;
		if (away === 0)
			return i;
		if (away < distance) {
			distance = away;
			best = i;
		}
	}
	return best;
}

/** From here on a slice is drawn as a box with its name; below it is some of the raster's pixels. */
export const wideFrom = 3;

/**
 * Paints a depth's narrow slices into a row of pixels and gives the indexes of the wide ones. out[at..]
 * must hold the background; width is in pixels. Returns the number of rows that were looked at.
 */
export function rasterLane(out: Uint32Array, at: number, width: number, l: Lanes, depth: number, view: Span,
	colour: (row: number) => Rgba, background: Rgba, wide: number[]): number {
	const scale = width / length(view);
	const stop = l.offsets[depth + 1] ?? 0;
	const first = firstBehind(l, depth, view.from);
	let lastPx = -1;
	let lastSize = 0;
	let i = first;
	for (; i < stop; i++) {
		const start = l.start[i]!;
		if (start >= view.to)
			break;
		const x0 = (start - view.from) * scale;
		const size = (l.end[i]! - start) * scale;
		if (size >= wideFrom) {
			wide.push(i);
			continue;
		}
		const from = Math.max(0, Math.floor(x0));
		const to = Math.min(width - 1, Math.max(from, Math.ceil(x0 + size) - 1));
		const many = l.count[i]! > 1;
		const cover = size >= 1 ? 1 : Math.max(many ? 0.7 : 0.5, size);
		const c = cover >= 1 ? colour(i) : mix(background, colour(i), cover);
		for (let px = from; px <= to; px++) {
			if (px === lastPx && size <= lastSize)
				continue;
			out[at + px] = c;
		}
		if (to !== lastPx || size > lastSize) {
			lastPx = to;
			lastSize = size;
		}
	}
	return i - first;
}

/**
 * Which part of each pixel a thread was on the CPU, from intervals sorted by start: 0 to 1.
 */
export function occupancy(out: Float32Array, view: Span, starts: Float64Array, ends: Float64Array): void {
	const width = out.length;
	const scale = width / length(view);
	out.fill(0);
	let low = 0;
	let high = ends.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (ends[middle]! <= view.from)
			low = middle + 1;
		else
			high = middle;
	}
	for (let i = low; i < starts.length && starts[i]! < view.to; i++) {
		const x0 = Math.max(0, (starts[i]! - view.from) * scale);
		const x1 = Math.min(width, (ends[i]! - view.from) * scale);
		const first = Math.floor(x0);
		const last = Math.min(width - 1, Math.floor(x1));
		if (first === last) {
			out[first] = Math.min(1, out[first]! + (x1 - x0));
			continue;
		}
		out[first] = Math.min(1, out[first]! + (first + 1 - x0));
		if (last > first + 1)
			out.fill(1, first + 1, last);
		if (x1 > last)
			out[last] = Math.min(1, out[last]! + (x1 - last));
	}
}

/** A name cut to what fits, by the width of one character of a fixed-width font. */
export function fitText(name: string, px: number, charPx: number): string {
	const fits = Math.floor(px / charPx);
	if (name.length <= fits)
		return name;
	return fits < 3 ? '' : name.slice(0, fits - 1) + '…';
}
