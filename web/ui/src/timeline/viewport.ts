// SPDX-License-Identifier: GPL-2.0-or-later
// What part of the trace the window shows. Values, not objects with a life: each function gives a new one.

export interface Span {
	/** Inclusive. */
	readonly from: number;
	/** Exclusive. */
	readonly to: number;
}

/** The least that is shown: one instruction is then wide enough to be read. */
export const minSpan = 10;

export const length = (s: Span): number => s.to - s.from;
export const contains = (s: Span, at: number): boolean => at >= s.from && at < s.to;
export const overlap = (a: Span, b: Span): boolean => a.from < b.to && b.from < a.to;

/** Keeps a span within what there is, with a little room at both ends so that an edge can be seen. */
export function clamp(view: Span, bounds: Span): Span {
	const room = length(bounds) * 0.02 + 1;
	const most = length(bounds) + 2 * room;
	const size = Math.min(Math.max(length(view), minSpan), most);
	let from = (view.from + view.to - size) / 2;
	const margin = Math.min(room, size * 0.4);
	from = Math.max(from, bounds.from - margin);
	from = Math.min(from, bounds.to + margin - size);
	if (size >= length(bounds))
		from = (bounds.from + bounds.to - size) / 2;
	return { from, to: from + size };
}

/** Zooms by a factor (below 1: in) so that what lies at `at` stays where it is. */
export function zoomAt(view: Span, at: number, factor: number, bounds: Span): Span {
	const size = Math.max(length(view) * factor, minSpan);
	const part = (at - view.from) / length(view);
	const from = at - part * size;
	const zoomed = { from, to: from + size };
	const limits = clamp(zoomed, bounds);
	return limits;
}

export function pan(view: Span, by: number, bounds: Span): Span {
	return clamp({ from: view.from + by, to: view.to + by }, bounds);
}

/** Shows all of a span, with room at its sides. */
export function frame(target: Span, bounds: Span, part = 0.8): Span {
	const size = Math.max(length(target) / part, minSpan);
	const middle = (target.from + target.to) / 2;
	return clamp({ from: middle - size / 2, to: middle + size / 2 }, bounds);
}

/** Moves just so far that `at` is in sight, at a third of the width when it was not. */
export function reveal(view: Span, at: number, bounds: Span): Span {
	const size = length(view);
	if (at >= view.from + size * 0.02 && at < view.to - size * 0.02)
		return view;
	return clamp({ from: at - size / 3, to: at + (size * 2) / 3 }, bounds);
}

export const toPx = (view: Span, width: number, at: number): number => ((at - view.from) / length(view)) * width;
export const toIcount = (view: Span, width: number, px: number): number => view.from + (px / width) * length(view);

/** Between two views, for the eye to follow: the span's size changes evenly in its logarithm. */
export function between(a: Span, b: Span, t: number): Span {
	if (t >= 1)
		return b;
	const sizeA = length(a);
	const sizeB = length(b);
	const size = sizeA * Math.pow(sizeB / sizeA, t);
	// The middle moves with the size, so that a zoom goes towards its goal instead of around it.
	const share = Math.abs(sizeB - sizeA) < sizeA * 1e-6 ? t : (size - sizeA) / (sizeB - sizeA);
	const middleA = (a.from + a.to) / 2;
	const middleB = (b.from + b.to) / 2;
	const middle = middleA + (middleB - middleA) * share;
	return { from: middle - size / 2, to: middle + size / 2 };
}
