// SPDX-License-Identifier: GPL-2.0-or-later
// What was fetched already, by track and resolution; what a view can be drawn from meanwhile; what is missing.
import type { Piece } from './paint.ts';
import type { Lanes } from './slices.ts';
import { length } from './viewport.ts';
import type { Span } from './viewport.ts';

/** The bucket for a view: a power of two, one to two of them a pixel; 1: nothing is merged. */
export function bucketFor(view: Span, width: number): number {
	const perPx = length(view) / Math.max(1, width);
	return perPx <= 1 ? 1 : 2 ** Math.floor(Math.log2(perPx));
}

/** The window to fetch for a view: some more at both sides, at places that near views share. */
export function windowFor(view: Span, bounds: Span): Span {
	const size = 2 ** Math.ceil(Math.log2(length(view)));
	const grid = size / 4;
	const from = Math.floor((view.from - length(view) * 0.2) / grid) * grid;
	const to = Math.ceil((view.to + length(view) * 0.2) / grid) * grid;
	// Nothing of a view that lies beside the trace.
	const first = Math.max(bounds.from, from);
	return { from: first, to: Math.max(first, Math.min(bounds.to, to)) };
}

export const clip = (a: Span, b: Span): Span => ({ from: Math.max(a.from, b.from), to: Math.min(a.to, b.to) });

interface Entry {
	readonly lanes: Lanes;
	used: number;
}

export class WindowCache {
	private readonly tracks = new Map<number, Entry[]>();
	private clock = 0;
	rows = 0;

	constructor(private readonly mostRows = 1_200_000) {}

	add(track: number, lanes: Lanes): void {
		const list = this.tracks.get(track) ?? [];
		const kept = list.filter((e) => {
			const inside = e.lanes.bucket === lanes.bucket && e.lanes.from >= lanes.from && e.lanes.to <= lanes.to;
			if (inside)
				this.rows -= e.lanes.start.length;
			return !inside;
		});
		kept.push({ lanes, used: ++this.clock });
		this.tracks.set(track, kept);
		this.rows += lanes.start.length;
		if (this.rows > this.mostRows)
			this.evict();
	}

	clear(): void {
		this.tracks.clear();
		this.rows = 0;
	}

	/** The window is there at this resolution (or with nothing merged). */
	has(track: number, view: Span, bucket: number): boolean {
		return !!this.find(track, view, bucket);
	}

	private find(track: number, view: Span, bucket: number): Entry | undefined {
		return this.tracks.get(track)?.find((e) =>
			(e.lanes.bucket === bucket || (e.lanes.bucket <= 1 && bucket <= 1)) && e.lanes.from <= view.from && e.lanes.to >= view.to);
	}

	/** What to draw a view from: the right resolution where it is there, else the nearest. */
	pieces(track: number, view: Span, bucket: number): Piece[] {
		const exact = this.find(track, view, bucket);
		if (exact) {
			exact.used = ++this.clock;
			return [{ span: view, lanes: exact.lanes }];
		}
		const level = Math.log2(bucket);
		// Too fine is slow to draw, too coarse is only blurred: a coarser one counts as nearer.
		const distance = (e: Entry): number => {
			const d = Math.log2(Math.max(1, e.lanes.bucket)) - level;
			return d >= 0 ? d : -1.5 * d;
		};
		const candidates = (this.tracks.get(track) ?? []).filter((e) => e.lanes.from < view.to && view.from < e.lanes.to)
			.sort((a, b) => distance(a) - distance(b));
		const pieces: Piece[] = [];
		let open: Span[] = [view];
		for (const entry of candidates) {
			const next: Span[] = [];
			for (const gap of open) {
				const part = clip(gap, entry.lanes);
				if (part.to <= part.from) {
					next.push(gap);
					continue;
				}
				entry.used = ++this.clock;
				pieces.push({ span: part, lanes: entry.lanes });
				if (gap.from < part.from)
					next.push({ from: gap.from, to: part.from });
				if (part.to < gap.to)
					next.push({ from: part.to, to: gap.to });
			}
			open = next;
			if (open.length === 0)
				break;
		}
		return pieces;
	}

	/** Drops what was not drawn for longest; the coarsest window of each track stays: it is the fallback. */
	private evict(): void {
		const all: { track: number; entry: Entry }[] = [];
		for (const [track, list] of this.tracks) {
			const coarsest = Math.max(...list.map((e) => e.lanes.bucket));
			for (const entry of list) {
				if (entry.lanes.bucket !== coarsest || list.length > 8)
					all.push({ track, entry });
			}
		}
		all.sort((a, b) => a.entry.used - b.entry.used);
		for (const { track, entry } of all) {
			if (this.rows <= this.mostRows * 0.75)
				break;
			this.rows -= entry.lanes.start.length;
			this.tracks.set(track, this.tracks.get(track)!.filter((e) => e !== entry));
		}
	}
}
