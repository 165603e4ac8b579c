// SPDX-License-Identifier: GPL-2.0-or-later
// Draws one row of the timeline: who ran on a CPU, a group, a thread's slices.
import { css, mix, parseHex, threadColour } from './colours.ts';
import type { Palette, Rgba } from './colours.ts';
import type { Feed, Spells } from './feed.ts';
import type { GroupRow, Row, ThreadRow } from './layout.ts';
import { padding } from './layout.ts';
import { LanePainter } from './paint.ts';
import type { Look, Piece } from './paint.ts';
import { occupancy } from './slices.ts';
import { length } from './viewport.ts';
import type { Span } from './viewport.ts';
import type { Functions } from '../state/functions.ts';
import { searchGlob } from '../lib/glob.ts';
import type { AppThread } from '../state/app.ts';

export interface Scene {
	readonly view: Span;
	readonly width: number;
	readonly height: number;
	readonly dpr: number;
	readonly palette: Palette;
	readonly search: string;
	readonly threads: ReadonlyMap<number, AppThread>;
	readonly bounds: Span;
}

export class RowPainter {
	private readonly lanes = new LanePainter();
	private readonly strip = document.createElement('canvas');
	private readonly stripContext = this.strip.getContext('2d')!;
	private share = new Float32Array(0);
	private part = new Float32Array(0);

	constructor(private readonly feed: Feed, private readonly functions: Functions) {}

	begin(ctx: CanvasRenderingContext2D): void {
		this.lanes.begin(ctx);
	}

	row(ctx: CanvasRenderingContext2D, row: Row, y: number, scene: Scene, clip: { top: number; bottom: number }): void {
		if (row.kind === 'cpu')
			this.cpu(ctx, y, row.height, scene);
		else if (row.kind === 'group')
			this.group(ctx, row, y, scene);
		else
			this.thread(ctx, row, y, scene, clip);
	}

	private spells(scene: Scene): Spells | undefined {
		return this.feed.spellsFor(scene.view);
	}

	private nameOf(scene: Scene, utid: number): string {
		const thread = scene.threads.get(utid);
		return thread ? thread.isIdle ? thread.name : `${thread.name} ${thread.tid}` : '';
	}

	private cpu(ctx: CanvasRenderingContext2D, y: number, height: number, scene: Scene): void {
		const spells = this.spells(scene);
		if (!spells)
			return;
		const look: Look = {
			colour: (l, i) => {
				const thread = scene.threads.get(l.fn[i]!);
				return threadColour(thread?.name ?? '', thread?.isIdle ?? true, scene.palette.dark);
			},
			label: (l, i) => this.nameOf(scene, l.fn[i]!),
		};
		const pieces: Piece[] = [{ span: scene.view, lanes: spells.lanes }];
		this.lanes.paint(ctx, pieces, scene.view, {
			x: 0, y: y + 4, width: scene.width, lane: height - 8, firstLane: 0, lastLane: 1, background: scene.palette.background,
		}, look, scene.dpr);
		this.lanes.finish(ctx, scene.palette);
	}

	/** A closed group: how busy its threads are, as a bar chart of the CPU. */
	private group(ctx: CanvasRenderingContext2D, row: GroupRow, y: number, scene: Scene): void {
		ctx.fillStyle = scene.palette.lane;
		ctx.fillRect(0, y, scene.width, row.height);
		const spells = this.spells(scene);
		if (!spells || row.open)
			return;
		const width = Math.max(1, Math.round(scene.width));
		const share = this.busy(spells, row.threads.map((t) => t.id), scene.view, width);
		ctx.fillStyle = scene.palette.dark ? '#4a5566' : '#b9c2cf';
		const most = row.height - 8;
		for (let px = 0; px < width; px++) {
			const h = share[px]! * most;
			if (h > 0.05)
				ctx.fillRect(px, y + 4 + most - Math.max(1, h), 1, Math.max(1, h));
		}
		if (searchGlob(scene.search) !== '')
			this.matches(ctx, row.threads.flatMap((t) => (t as AppThread).track ?? []), y + row.height, scene);
	}

	private busy(spells: Spells, ids: readonly number[], view: Span, width: number): Float32Array {
		if (this.share.length !== width) {
			this.share = new Float32Array(width);
			this.part = new Float32Array(width);
		}
		this.share.fill(0);
		for (const id of ids) {
			const t = spells.threads.get(id);
			if (!t)
				continue;
			occupancy(this.part, view, t.start, t.end);
			for (let i = 0; i < width; i++)
				this.share[i] = Math.min(1, this.share[i]! + this.part[i]!);
		}
		return this.share;
	}

	private thread(ctx: CanvasRenderingContext2D, row: ThreadRow, y: number, scene: Scene, clip: { top: number; bottom: number }): void {
		const { palette, view } = scene;
		const thread = row.thread as AppThread;
		const top = y + (row.open ? padding : 3);
		const lanes = Math.max(1, thread.lanes);
		const firstLane = Math.max(0, Math.floor((clip.top - top) / row.lane));
		const lastLane = Math.min(lanes, Math.ceil((clip.bottom - top) / row.lane));
		if (thread.track === undefined) {
			this.dim(ctx, row, y, scene);
			return;
		}
		const pieces = this.feed.cache.pieces(thread.track, view, this.feed.bucket(view, scene.width, row.open));
		const searching = searchGlob(scene.search) !== '';
		const faded = parseHex(palette.background);
		const colour = (fn: number, kind: number): Rgba => {
			const c = this.functions.colour(fn, kind);
			return searching && !this.functions.fits(fn, scene.search) ? mix(faded, c, 0.28) : c;
		};
		const look: Look = {
			colour: (l, i) => colour(l.fn[i]!, l.kind[i]!),
			label: (l, i) => this.functions.get(l.fn[i]!)?.name ?? '',
		};
		this.lanes.paint(ctx, pieces, view, {
			x: 0, y: top, width: scene.width, lane: row.lane, firstLane, lastLane, background: palette.background,
		}, look, scene.dpr);
		this.dim(ctx, row, y, scene);
		this.lanes.finish(ctx, palette);
		// Of a row that reaches below the picture, at the picture's edge.
		if (searching)
			this.matches(ctx, [thread.track], Math.min(y + row.height, clip.bottom), scene);
	}

	/** Pales what was on the stack while the thread was off the CPU. */
	private dim(ctx: CanvasRenderingContext2D, row: ThreadRow, y: number, scene: Scene): void {
		const spells = this.spells(scene);
		if (!spells || spells.threads.size === 0)
			return;
		const width = Math.max(1, Math.round(scene.width));
		const share = this.busy(spells, [row.thread.id], scene.view, width);
		if (this.strip.width !== width) {
			this.strip.width = width;
			this.strip.height = 1;
		}
		const image = this.stripContext.createImageData(width, 1);
		const pixels = new Uint32Array(image.data.buffer);
		const background = parseHex(scene.palette.background) & 0xffffff;
		const most = scene.palette.dark ? 100 : 115;
		for (let i = 0; i < width; i++)
			pixels[i] = (background | (Math.round((1 - share[i]!) * most) << 24)) >>> 0;
		this.stripContext.putImageData(image, 0, 0);
		ctx.imageSmoothingEnabled = false;
		ctx.drawImage(this.strip, 0, 0, width, 1, 0, y, scene.width, row.height);
		// When it runs: a thin line along the row's top.
		ctx.fillStyle = css(threadColour(row.thread.name, row.thread.isIdle, scene.palette.dark));
		for (let i = 0; i < width; ) {
			if (share[i]! < 0.02) {
				i++;
				continue;
			}
			const from = i;
			while (i < width && share[i]! >= 0.02)
				i++;
			ctx.fillRect(from, y + 1, i - from, 2);
		}
	}

	private matches(ctx: CanvasRenderingContext2D, tracks: readonly number[], bottom: number, scene: Scene): void {
		const matches = this.feed.matchesFor(scene.view, scene.width);
		if (!matches)
			return;
		const scale = scene.width / length(scene.view);
		const size = Math.max(1.5, matches.bucket * scale);
		ctx.fillStyle = scene.palette.match;
		for (const track of tracks) {
			const at = matches.tracks.get(track)?.at ?? [];
			let last = -1;
			for (let i = 0; i < at.length; i++) {
				const x = Math.round((matches.from + at[i]! * matches.bucket - scene.view.from) * scale);
				if (x === last || x < -size || x > scene.width)
					continue;
				ctx.fillRect(x, bottom - 4, size > 40 ? 2 : size, 4);
				last = x;
			}
		}
	}
}
