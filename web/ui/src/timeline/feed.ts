// SPDX-License-Identifier: GPL-2.0-or-later
// Brings what the timeline shows: slices of the tracks in sight, who ran, where the search matches. One
// request of a kind is under way at a time; one that the view has left behind is cancelled.
import { signal } from '@preact/signals';
import type { Client } from '../../../client/src/client.ts';
import { isCancelled } from '../../../client/src/client.ts';
import { none } from '../../../client/src/protocol.ts';
import type { SchedFrame, SearchFrame, TimelineFrame, TrackId } from '../../../client/src/protocol.ts';
import { icount } from '../lib/types.ts';
import { searchGlob } from '../lib/glob.ts';
import type { Functions } from '../state/functions.ts';
import type { Lanes } from './slices.ts';
import { bucketFor, windowFor, WindowCache } from './windows.ts';
import { length } from './viewport.ts';
import type { Span } from './viewport.ts';

export interface Wish {
	readonly track: number;
	/** All lanes are drawn in full height; a closed row does with less. */
	readonly open: boolean;
}

/** Spells of the CPU and of each thread. */
export interface Spells extends Span {
	readonly bucket: number;
	/** One lane; `fn` is the thread. */
	readonly lanes: Lanes;
	readonly threads: ReadonlyMap<number, { readonly start: Float64Array; readonly end: Float64Array }>;
}

/** Matches of the search on a track, by bucket. */
export interface Matches extends Span {
	readonly bucket: number;
	readonly tracks: ReadonlyMap<number, { readonly at: Uint32Array; readonly count: Uint32Array }>;
}

export function lanesFrom(frame: TimelineFrame, span: Span, bucket: number, traceEnd: number): Lanes {
	const rows = frame.rows;
	const deepest = rows ? frame.depth[rows - 1]! : -1;
	const offsets = new Uint32Array(deepest + 2);
	for (let i = 0; i < rows; i++)
		offsets[frame.depth[i]! + 1]!++;
	for (let d = 1; d < offsets.length; d++)
		offsets[d]! += offsets[d - 1]!;
	// The frame is ours alone: the durations become ends in place.
	const end = frame.dur;
	for (let i = 0; i < rows; i++)
		end[i] = end[i]! < 0 ? traceEnd : frame.start[i]! + Math.max(1, end[i]!);
	return { ...span, bucket, offsets, start: frame.start, end, fn: frame.function, kind: frame.sliceKind, count: frame.merged, id: frame.id };
}

export function spellsFrom(frame: SchedFrame, span: Span, bucket: number, traceEnd: number): Spells {
	const rows = frame.rows;
	const end = frame.dur;
	const counts = new Map<number, number>();
	for (let i = 0; i < rows; i++) {
		end[i] = end[i]! < 0 ? traceEnd : frame.start[i]! + end[i]!;
		counts.set(frame.utid[i]!, (counts.get(frame.utid[i]!) ?? 0) + 1);
	}
	const threads = new Map<number, { start: Float64Array; end: Float64Array; n: number }>();
	for (const [utid, n] of counts)
		threads.set(utid, { start: new Float64Array(n), end: new Float64Array(n), n: 0 });
	for (let i = 0; i < rows; i++) {
		const t = threads.get(frame.utid[i]!)!;
		t.start[t.n] = frame.start[i]!;
		t.end[t.n++] = end[i]!;
	}
	const lanes: Lanes = {
		...span, bucket, offsets: Uint32Array.of(0, rows), start: frame.start, end, fn: frame.utid,
		kind: new Uint8Array(rows), count: frame.merged, id: frame.utid,
	};
	return { ...span, bucket, lanes, threads };
}

/** A request that is replaced when the view moves on. */
class Slot {
	private controller: AbortController | undefined;
	private key = '';

	/** Starts work unless the same is under way. */
	run(key: string, work: (signal: AbortSignal) => Promise<void>, failed: (error: unknown) => void): void {
		if (this.key === key)
			return;
		this.controller?.abort();
		const controller = (this.controller = new AbortController());
		this.key = key;
		work(controller.signal).catch((error: unknown) => {
			if (!isCancelled(error))
				failed(error);
		}).finally(() => {
			if (this.controller === controller) {
				this.controller = undefined;
				this.key = '';
			}
		});
	}

	stop(): void {
		this.controller?.abort();
		this.controller = undefined;
		this.key = '';
	}

	get busy(): boolean {
		return !!this.controller;
	}
}

/** A view that moves asks at most so often (ms). */
const pace = 40;

export class Feed {
	readonly cache = new WindowCache();
	private spells: Spells[] = [];
	private found: Matches[] = [];
	private glob = '';
	private readonly openSlot = new Slot();
	private readonly closedSlot = new Slot();
	private readonly schedSlot = new Slot();
	private readonly searchSlot = new Slot();
	private wholeSlot = new Slot();
	private timer: ReturnType<typeof setTimeout> | undefined;
	private asked = 0;
	private next: (() => void) | undefined;
	/** How often a failed request is left alone. */
	private quietUntil = 0;

	private missingSince: number | undefined;
	/** How long data took from the picture that lacked them to the one that had them, newest last: for bench/ui. */
	readonly waits: number[] = [];

	constructor(private readonly client: Client, private readonly functions: Functions, private readonly changed: () => void,
		private readonly failed: (what: string, error: unknown) => void) {}

	reset(): void {
		for (const slot of [this.openSlot, this.closedSlot, this.schedSlot, this.searchSlot, this.wholeSlot])
			slot.stop();
		this.cache.clear();
		this.spells = [];
		this.found = [];
		this.quietUntil = 0;
	}

	get busy(): boolean {
		return this.openSlot.busy || this.closedSlot.busy || this.schedSlot.busy || !!this.next;
	}

	/** Brings what is missing for a view. Called once a picture; costs nothing when all is there. */
	want(view: Span, width: number, bounds: Span, wishes: readonly Wish[], glob: string): void {
		const work = (): void => {
			this.asked = performance.now();
			this.next = undefined;
			this.fetchLanes(view, width, bounds, wishes.filter((w) => w.open).map((w) => w.track), this.openSlot, 1);
			this.fetchLanes(view, width, bounds, wishes.filter((w) => !w.open).map((w) => w.track), this.closedSlot, 4);
			this.fetchSpells(view, width, bounds);
			this.fetchMatches(view, width, bounds, glob);
			this.complete();
		};
		const wait = Math.max(this.asked + pace, this.quietUntil) - performance.now();
		if (wait <= 0) {
			work();
			return;
		}
		this.next = work;
		this.timer ??= setTimeout(() => {
			this.timer = undefined;
			this.next?.();
		}, wait);
	}

	/** The bucket that a row is drawn from. */
	bucket(view: Span, width: number, open: boolean): number {
		const bucket = bucketFor(view, width);
		return bucket <= 1 ? 1 : open ? bucket : bucket * 4;
	}

	private later(what: string, error: unknown): void {
		this.quietUntil = performance.now() + 2000;
		this.failed(what, error);
	}

	private fetchLanes(view: Span, width: number, bounds: Span, tracks: readonly number[], slot: Slot, factor: number): void {
		const bucket = this.bucket(view, width, factor === 1);
		const seen = { from: Math.max(view.from, bounds.from), to: Math.min(view.to, bounds.to) };
		if (seen.to <= seen.from)
			return;
		const missing = tracks.filter((t) => !this.cache.has(t, seen, bucket)).slice(0, 256);
		if (missing.length === 0)
			return;
		this.missingSince ??= performance.now();
		const raw = windowFor(view, bounds);
		// Buckets are counted from `from` on: whole ones keep neighbours' pixels in place.
		const span = { from: Math.max(0, Math.floor(raw.from / bucket) * bucket), to: raw.to };
		slot.run(`${bucket} ${span.from} ${span.to} ${missing.join()}`, async (signal) => {
			await this.client.request('timeline', {
				tracks: missing as TrackId[], from: icount(span.from), to: icount(Math.ceil(span.to)), bucket: bucket <= 1 ? 0 : bucket,
			}, {
				signal, onFrame: (frame) => {
					this.functions.wantAll(frame.function);
					this.cache.add(frame.track, lanesFrom(frame, span, bucket, bounds.to));
					this.changed();
				},
			});
			this.changed();
			requestAnimationFrame(() => this.complete());
		}, (error) => this.later('The timeline could not be fetched', error));
	}

	private complete(): void {
		if (this.missingSince === undefined || this.openSlot.busy || this.closedSlot.busy)
			return;
		this.waits.push(performance.now() - this.missingSince);
		this.missingSince = undefined;
		if (this.waits.length > 2000)
			this.waits.splice(0, 1000);
	}

	private fetchSpells(view: Span, width: number, bounds: Span): void {
		const bucket = bucketFor(view, width);
		const seen = { from: Math.max(view.from, bounds.from), to: Math.min(view.to, bounds.to) };
		if (seen.to <= seen.from || this.spells.some((s) => s.bucket <= bucket && s.from <= seen.from && s.to >= seen.to))
			return;
		const span = windowFor(view, bounds);
		this.schedSlot.run(`${bucket} ${span.from} ${span.to}`, async (signal) => {
			let frame: SchedFrame | undefined;
			await this.client.request('sched', { from: icount(span.from), to: icount(Math.ceil(span.to)), bucket: bucket <= 1 ? 0 : bucket },
				{ signal, onFrame: (f) => (frame = f) });
			if (frame)
				this.spells = [spellsFrom(frame, span, bucket, bounds.to), ...this.spells].slice(0, 6);
			this.changed();
		}, (error) => this.later('Who ran when could not be fetched', error));
	}

	/** Spells of the whole trace, for the minimap. */
	fetchOverview(width: number, bounds: Span): void {
		const bucket = bucketFor(bounds, width * 2);
		this.wholeSlot.run(`whole ${bucket}`, async (signal) => {
			let frame: SchedFrame | undefined;
			await this.client.request('sched', { from: icount(bounds.from), to: icount(bounds.to), bucket },
				{ signal, onFrame: (f) => (frame = f) });
			if (frame)
				this.overview = spellsFrom(frame, bounds, bucket, bounds.to);
			this.changed();
		}, (error) => this.later('The overview could not be fetched', error));
	}
	overview: Spells | undefined;

	/** The finest there is that covers the view; else what covers most of it. */
	spellsFor(view: Span): Spells | undefined {
		let best: Spells | undefined;
		let score = -Infinity;
		for (const s of this.overview ? [...this.spells, this.overview] : this.spells) {
			const covered = (Math.min(s.to, view.to) - Math.max(s.from, view.from)) / length(view);
			const value = Math.min(covered, 0.95) * 100 - Math.log2(s.bucket);
			if (covered > 0 && value > score) {
				best = s;
				score = value;
			}
		}
		return best;
	}

	private fetchMatches(view: Span, width: number, bounds: Span, text: string): void {
		const glob = searchGlob(text);
		if (glob !== this.glob) {
			this.glob = glob;
			this.found = [];
			this.whole = undefined;
			this.total.value = undefined;
			this.searchSlot.stop();
		}
		if (glob === '')
			return;
		const whole = !this.whole;
		const span = whole ? bounds : windowFor(view, bounds);
		const bucket = Math.max(1, bucketFor(whole ? bounds : view, width));
		if (!whole && (bucket >= (this.whole?.bucket ?? 0) || this.found.some((m) => m.bucket === bucket && m.from <= Math.max(view.from, bounds.from) && m.to >= Math.min(view.to, bounds.to))))
			return;
		this.searchSlot.run(`${glob} ${bucket} ${span.from} ${span.to}`, async (signal) => {
			const tracks = new Map<number, { at: Uint32Array; count: Uint32Array }>();
			const result = await this.client.request('search', { glob, from: icount(span.from), to: icount(Math.ceil(span.to)), bucket },
				{ signal, onFrame: (f: SearchFrame) => tracks.set(f.track, { at: f.bucket, count: f.matches }) });
			const matches = { ...span, bucket, tracks };
			if (whole) {
				this.whole = matches;
				this.total.value = { matches: result.matches, functions: result.functions };
			} else {
				this.found = [matches, ...this.found].slice(0, 4);
			}
			this.changed();
		}, (error) => this.later('The search failed', error));
	}
	whole: Matches | undefined;
	/** Of the search in the whole trace. */
	readonly total = signal<{ readonly matches: number; readonly functions: number } | undefined>(undefined);

	matchesFor(view: Span, width: number): Matches | undefined {
		const bucket = bucketFor(view, width);
		return this.found.find((m) => m.bucket <= bucket * 2 && m.from <= view.from && m.to >= view.to) ?? this.found.find((m) => m.bucket <= bucket) ?? this.whole;
	}
}

export const noThread = none;
