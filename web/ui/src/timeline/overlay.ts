// SPDX-License-Identifier: GPL-2.0-or-later
// What lies over the slices and changes with the pointer: hover, selection, area, marks, the cursor, where
// the replay stands and what is open there.
import type { Mark, Slice } from '../../../client/src/protocol.ts';
import type { SliceKey } from '../lib/types.ts';
import type { Selection } from '../state/app.ts';
import type { Palette } from './colours.ts';
import type { Row, ThreadRow } from './layout.ts';
import { padding } from './layout.ts';
import { toPx } from './viewport.ts';
import type { Span } from './viewport.ts';

export interface OverlayScene {
	readonly view: Span;
	readonly width: number;
	readonly height: number;
	readonly palette: Palette;
	readonly rows: readonly Row[];
	/** Where a row is drawn: its top in the canvas, or undefined when out of sight. */
	readonly top: (row: Row) => number | undefined;
	readonly clipTop: (row: Row) => number;
	readonly selection: Selection | undefined;
	readonly hover: { readonly row: ThreadRow; readonly depth: number; readonly span: Span } | undefined;
	readonly pointer: number | undefined;
	readonly cursor: number | undefined;
	readonly marks: readonly Mark[];
	readonly replay: number | undefined;
	readonly target: number | undefined;
	readonly lit: readonly Slice[];
	readonly sliceEnd: (s: Slice) => number;
}

type Ctx = CanvasRenderingContext2D;

function line(ctx: Ctx, x: number, height: number, colour: string, dash: readonly number[] = [], width = 1): void {
	ctx.strokeStyle = colour;
	ctx.lineWidth = width;
	ctx.setLineDash(dash as number[]);
	ctx.beginPath();
	ctx.moveTo(Math.round(x) + 0.5, 0);
	ctx.lineTo(Math.round(x) + 0.5, height);
	ctx.stroke();
	ctx.setLineDash([]);
}

function box(ctx: Ctx, scene: OverlayScene, row: ThreadRow, depth: number, span: Span, colour: string, width: number, fill?: string): void {
	const top = scene.top(row);
	if (top === undefined)
		return;
	const lane = top + (row.open ? padding : 3) + depth * row.lane;
	// What lies half below the rows that stay is cut there.
	const y = Math.max(lane, scene.clipTop(row));
	const height = Math.max(3, row.lane - (row.open ? 1 : 0)) - (y - lane);
	if (height < 2)
		return;
	const from = Math.max(-4, toPx(scene.view, scene.width, span.from));
	const to = Math.min(scene.width + 4, Math.max(from + 3, toPx(scene.view, scene.width, span.to)));
	if (to < 0 || from > scene.width)
		return;
	if (fill) {
		ctx.fillStyle = fill;
		ctx.fillRect(from, y, to - from, height);
	}
	ctx.strokeStyle = colour;
	ctx.lineWidth = width;
	ctx.strokeRect(from + width / 2 - 0.5, y + width / 2 - 0.5, Math.max(1, to - from - width + 0.5), height - width + 1);
}

function rowsOf(scene: OverlayScene, utid: number): ThreadRow[] {
	return scene.rows.filter((r): r is ThreadRow => r.kind === 'thread' && r.thread.id === utid);
}

function area(ctx: Ctx, scene: OverlayScene, span: Span, thread: number | undefined): void {
	const from = toPx(scene.view, scene.width, span.from);
	const to = toPx(scene.view, scene.width, span.to);
	const accent = scene.palette.accent;
	ctx.fillStyle = accent + (scene.palette.dark ? '24' : '1a');
	if (thread === undefined) {
		ctx.fillRect(from, 0, to - from, scene.height);
	} else {
		for (const row of rowsOf(scene, thread)) {
			const top = scene.top(row);
			if (top !== undefined)
				ctx.fillRect(from, Math.max(top, scene.clipTop(row)), to - from, row.height);
		}
	}
	line(ctx, from, scene.height, accent);
	line(ctx, to, scene.height, accent);
}

export function drawOverlay(ctx: Ctx, scene: OverlayScene): void {
	const { palette, view, width, height } = scene;
	ctx.clearRect(0, 0, width, height);
	for (const mark of scene.marks) {
		const x = toPx(view, width, mark.icount);
		if (x >= -1 && x <= width)
			line(ctx, x, height, mark.colour ?? palette.accent, [2, 3]);
	}
	for (const slice of scene.lit) {
		for (const row of rowsOf(scene, slice.utid ?? -1))
			box(ctx, scene, row, slice.depth, { from: slice.start, to: scene.sliceEnd(slice) }, palette.replay, 1.5, palette.replay + '2e');
	}
	const s = scene.selection;
	if (s?.kind === 'area')
		area(ctx, scene, s.span, s.thread);
	if (s?.kind === 'slice') {
		const key: SliceKey = s.key;
		const end = s.slice ? scene.sliceEnd(s.slice) : key.start + 1;
		for (const row of rowsOf(scene, key.utid))
			box(ctx, scene, row, key.depth, { from: key.start, to: end }, palette.text, 2);
	}
	if (scene.hover)
		box(ctx, scene, scene.hover.row, scene.hover.depth, scene.hover.span, palette.text + '99', 1, palette.dark ? '#ffffff14' : '#00000010');
	if (scene.cursor !== undefined) {
		const x = toPx(view, width, scene.cursor);
		if (x >= 0 && x <= width)
			line(ctx, x, height, palette.accent, [5, 3]);
	}
	if (scene.target !== undefined) {
		const x = toPx(view, width, scene.target);
		if (x >= 0 && x <= width)
			line(ctx, x, height, palette.replay, [3, 4]);
	}
	if (scene.replay !== undefined) {
		const x = toPx(view, width, scene.replay);
		if (x >= -2 && x <= width + 2) {
			ctx.fillStyle = palette.replay + '22';
			ctx.fillRect(x - 5, 0, 10, height);
			line(ctx, x, height, palette.replay, [], 2);
		}
	}
	if (scene.pointer !== undefined)
		line(ctx, scene.pointer, height, palette.muted + '66');
}
