// SPDX-License-Identifier: GPL-2.0-or-later
// Draws lanes of slices: dense parts as a row of pixels per lane, stretched to the lane's height; boxes
// with names for what is wide enough. The timeline and the flame graph are both drawn by it.
import { css, parseHex } from './colours.ts';
import type { Palette, Rgba } from './colours.ts';
import { depths, fitText, rasterLane } from './slices.ts';
import type { Lanes } from './slices.ts';
import { length, toPx } from './viewport.ts';
import type { Span } from './viewport.ts';

export const font = '11px ui-monospace, "DejaVu Sans Mono", "Liberation Mono", Menlo, Consolas, monospace';
/** A label needs so many pixels at least. */
const labelFrom = 26;
/** At most so many labels a picture: text is the dearest part of it. */
const labelsMost = 1200;

export interface Look {
	readonly colour: (lanes: Lanes, row: number) => Rgba;
	readonly label: (lanes: Lanes, row: number) => string;
}

export interface Place {
	readonly x: number;
	readonly y: number;
	readonly width: number;
	/** Height of a lane, in CSS pixels. */
	readonly lane: number;
	/** Only lanes from here... */
	readonly firstLane: number;
	/** ... to here, exclusive, are in sight. */
	readonly lastLane: number;
	readonly background: string;
}

/** A part of the window and what it is drawn from. */
export interface Piece {
	readonly span: Span;
	readonly lanes: Lanes;
}

export class LanePainter {
	private readonly canvas = document.createElement('canvas');
	private readonly context: CanvasRenderingContext2D;
	private image: ImageData | undefined;
	private pixels = new Uint32Array(0);
	private readonly wide: number[] = [];
	private charPx = 6.6;
	private readonly cssColours = new Map<Rgba, string>();
	private readonly pending: { readonly x: number; readonly y: number; readonly text: string }[] = [];

	constructor() {
		const context = this.canvas.getContext('2d', { willReadFrequently: true });
		if (!context)
			throw new Error('this browser has no 2D canvas');
		this.context = context;
	}

	/** Once a picture: measures the font, resets the budget of labels. */
	begin(ctx: CanvasRenderingContext2D): void {
		ctx.font = font;
		ctx.textBaseline = 'middle';
		ctx.textAlign = 'left';
		this.charPx = ctx.measureText('MMMMMMMMMM').width / 10 || 6.6;
		this.pending.length = 0;
	}

	/** Writes the names of what was painted: after whatever is to lie below them. */
	finish(ctx: CanvasRenderingContext2D, palette: Palette): void {
		ctx.fillStyle = palette.sliceText;
		for (const { x, y, text } of this.pending)
			ctx.fillText(text, x, y);
		this.pending.length = 0;
	}

	private prepare(width: number, lanes: number): Uint32Array {
		if (!this.image || this.image.width !== width || this.image.height < lanes) {
			this.canvas.width = width;
			this.canvas.height = Math.max(lanes, 64);
			this.image = this.context.createImageData(width, this.canvas.height);
			this.pixels = new Uint32Array(this.image.data.buffer);
		}
		return this.pixels;
	}

	private css(c: Rgba): string {
		let text = this.cssColours.get(c);
		if (text === undefined)
			this.cssColours.set(c, (text = css(c)));
		return text;
	}

	paint(ctx: CanvasRenderingContext2D, pieces: readonly Piece[], view: Span, place: Place, look: Look, dpr: number): void {
		const width = Math.max(1, Math.round(place.width * dpr));
		const count = place.lastLane - place.firstLane;
		if (count <= 0)
			return;
		const background = parseHex(place.background);
		const pixels = this.prepare(width, count);
		pixels.fill(background, 0, width * count);
		const boxes: { lanes: Lanes; depth: number; rows: number[]; span: Span }[] = [];
		for (const { span, lanes } of pieces) {
			const from = Math.max(0, Math.floor(toPx(view, width, span.from)));
			const to = Math.min(width, Math.ceil(toPx(view, width, span.to)));
			if (to <= from)
				continue;
			// The piece's own window in whole pixels, so that neighbours meet without a seam.
			const part = { from: view.from + (from / width) * length(view), to: view.from + (to / width) * length(view) };
			const stop = Math.min(place.lastLane, depths(lanes));
			for (let depth = place.firstLane; depth < stop; depth++) {
				this.wide.length = 0;
				rasterLane(pixels, (depth - place.firstLane) * width + from, to - from, lanes, depth, part,
					(row) => look.colour(lanes, row), background, this.wide);
				if (this.wide.length)
					boxes.push({ lanes, depth, rows: this.wide.slice(), span: part });
			}
		}
		this.context.putImageData(this.image!, 0, 0, 0, 0, width, count);
		const gap = place.lane >= 8 ? 1 : 0;
		ctx.imageSmoothingEnabled = false;
		if (gap) {
			for (let i = 0; i < count; i++)
				ctx.drawImage(this.canvas, 0, i, width, 1, place.x, place.y + (place.firstLane + i) * place.lane, place.width, place.lane - gap);
		} else {
			ctx.drawImage(this.canvas, 0, 0, width, count, place.x, place.y + place.firstLane * place.lane, place.width, count * place.lane);
		}
		for (const box of boxes)
			this.boxes(ctx, box.lanes, box.rows, box.span, view, place, place.y + box.depth * place.lane, place.lane - gap, look);
	}

	private boxes(ctx: CanvasRenderingContext2D, lanes: Lanes, rows: readonly number[], span: Span, view: Span, place: Place,
		y: number, height: number, look: Look): void {
		const scale = place.width / length(view);
		const left = place.x + Math.max(0, (span.from - view.from) * scale);
		const right = place.x + Math.min(place.width, (span.to - view.from) * scale);
		let last: Rgba = 0;
		for (const row of rows) {
			const x0 = place.x + (lanes.start[row]! - view.from) * scale;
			const x1 = place.x + (lanes.end[row]! - view.from) * scale;
			const from = Math.max(left, x0);
			const to = Math.min(right, x1);
			if (to <= from)
				continue;
			const c = look.colour(lanes, row);
			if (c !== last)
				ctx.fillStyle = this.css(last = c);
			// A pixel stays free at the right, so that calls in a row can be told apart.
			ctx.fillRect(from, y, Math.max(1, to - from - (to === x1 && to - from > 3 ? 0.75 : 0)), height);
		}
		if (height < 11)
			return;
		for (const row of rows) {
			const x0 = place.x + (lanes.start[row]! - view.from) * scale;
			const x1 = place.x + (lanes.end[row]! - view.from) * scale;
			const from = Math.max(left, x0);
			const room = Math.min(right, x1) - from - 7;
			if (room + 7 < labelFrom || this.pending.length >= labelsMost)
				continue;
			const text = fitText(look.label(lanes, row), room, this.charPx);
			if (text === '')
				continue;
			this.pending.push({ x: from + 4, y: y + height / 2 + 0.5, text });
		}
	}
}
