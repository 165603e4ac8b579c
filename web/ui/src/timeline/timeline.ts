// SPDX-License-Identifier: GPL-2.0-or-later
// The timeline's canvases: what is drawn when, and what the pointer does on them. Two canvases lie one over
// the other; the lower one is drawn again when the view, the rows or the data change, the upper one also
// when the pointer moves.
import { effect } from '@preact/signals';
import { icount, sliceId } from '../lib/types.ts';
import type { ThreadId } from '../lib/types.ts';
import {
	bounds, client, cursor, drawerOpen, functions, goTo, lit, marks, open, phase, pinned, report, replayTarget, scrollTo, search,
	selection, selectSlice, sliceEnd, stopAnimation, tab, threadById, view, whereReplay,
} from '../state/app.ts';
import type { AppThread } from '../state/app.ts';
import { dark } from '../state/settings.ts';
import { layoutOf } from '../state/session.ts';
import { palettes } from './colours.ts';
import { Feed } from './feed.ts';
import type { Wish } from './feed.ts';
import { padding, rowAtY } from './layout.ts';
import type { Layout, Row, ThreadRow } from './layout.ts';
import { drawOverlay } from './overlay.ts';
import { RowPainter } from './rows.ts';
import type { Scene } from './rows.ts';
import { ruler } from './ruler.ts';
import { rowAt } from './slices.ts';
import { frame, length, pan, toIcount, zoomAt } from './viewport.ts';
import type { Span } from './viewport.ts';

export interface Hover {
	readonly x: number;
	readonly y: number;
	readonly fn: number;
	readonly span: Span;
	readonly thread: ThreadId;
	readonly depth: number;
	readonly merged: number;
	readonly kind: number;
	readonly id: number;
}

export interface Hooks {
	/** The rows, or what part of them is in sight, changed. */
	readonly onLayout: (layout: Layout, scrollTop: number) => void;
	readonly onHover: (hover: Hover | undefined) => void;
	readonly onMenu: (at: number, x: number, y: number, hover: Hover | undefined) => void;
}

type Drag =
	| { readonly kind: 'area'; readonly from: number; readonly row: Row | undefined; moved: boolean }
	| { readonly kind: 'pan'; x: number; y: number; moved: boolean };

const layoutKeys = (l: Layout): string => l.rows.map((r) => r.key + r.height).join();

export class Timeline {
	readonly feed: Feed;
	private readonly base: CanvasRenderingContext2D;
	private readonly over: CanvasRenderingContext2D;
	private readonly painter: RowPainter;
	private layout: Layout = { rows: [], height: 0, pinnedHeight: 0 };
	private width = 100;
	private height = 100;
	private dpr = 1;
	private dirtyBase = true;
	private dirtyOver = true;
	private scheduled = 0;
	private hover: Hover | undefined;
	private hoverRow: ThreadRow | undefined;
	private pointer: number | undefined;
	private drag: Drag | undefined;
	private dispose: (() => void)[] = [];
	/** How long pictures took, newest last: for bench/ui. */
	readonly frames: number[] = [];
	/** When calls were first to be seen, since the page was opened. */
	firstPicture: number | undefined;

	constructor(private readonly scroller: HTMLElement, private readonly baseCanvas: HTMLCanvasElement,
		private readonly overCanvas: HTMLCanvasElement, private readonly hooks: Hooks) {
		this.base = baseCanvas.getContext('2d', { alpha: false })!;
		this.over = overCanvas.getContext('2d')!;
		this.feed = new Feed(client, functions, () => this.invalidate(), report);
		this.painter = new RowPainter(this.feed, functions);
		this.listen();
	}

	/** Where in the window the canvas' left edge is: the ruler and the minimap draw to the same scale. */
	get canvasWidth(): number {
		return this.width;
	}

	private listen(): void {
		const size = new ResizeObserver(() => this.resize());
		size.observe(this.overCanvas);
		this.dispose.push(() => size.disconnect());
		const on = <K extends keyof HTMLElementEventMap>(target: HTMLElement, name: K, handler: (e: HTMLElementEventMap[K]) => void, options?: AddEventListenerOptions): void => {
			target.addEventListener(name, handler, options);
			this.dispose.push(() => target.removeEventListener(name, handler));
		};
		on(this.scroller, 'scroll', () => this.scrolled(), { passive: true });
		on(this.overCanvas, 'wheel', (e) => this.wheel(e), { passive: false });
		on(this.overCanvas, 'pointerdown', (e) => this.down(e));
		on(this.overCanvas, 'pointermove', (e) => this.move(e));
		on(this.overCanvas, 'pointerup', (e) => this.up(e));
		on(this.overCanvas, 'pointerleave', () => this.leave());
		on(this.overCanvas, 'dblclick', () => this.frameHover());
		on(this.overCanvas, 'contextmenu', (e) => {
			e.preventDefault();
			this.hooks.onMenu(toIcount(view.value, this.width, e.offsetX), e.clientX, e.clientY, this.hover);
		});
		this.dispose.push(effect(() => {
			functions.setDark(dark.value);
			const next = layoutOf();
			if (layoutKeys(next) !== layoutKeys(this.layout) || next.pinnedHeight !== this.layout.pinnedHeight) {
				this.layout = next;
				this.hooks.onLayout(next, this.scroller.scrollTop);
			} else {
				this.layout = next;
			}
			this.invalidate();
		}));
		this.dispose.push(effect(() => {
			void view.value; void search.value; void functions.version.value; void phase.value;
			this.invalidate();
		}));
		this.dispose.push(effect(() => {
			void selection.value; void cursor.value; void marks.value; void whereReplay.value; void lit.value; void replayTarget.value;
			this.invalidateOver();
		}));
		this.dispose.push(effect(() => {
			if (phase.value === 'loading' || phase.value === 'connecting')
				this.feed.reset();
		}));
		// The row may have to open, and the pane below too, before there is a place to scroll to.
		scrollTo.lane = (thread, depth) => {
			this.scrollToLane(thread, depth);
			setTimeout(() => this.scrollToLane(thread, depth), 60);
			setTimeout(() => this.scrollToLane(thread, depth), 250);
		};
	}

	destroy(): void {
		for (const end of this.dispose)
			end();
		this.feed.reset();
		cancelAnimationFrame(this.scheduled);
	}

	private resize(): void {
		const box = this.overCanvas.getBoundingClientRect();
		this.width = Math.max(50, Math.floor(box.width));
		this.height = Math.max(50, Math.floor(box.height));
		this.dpr = window.devicePixelRatio || 1;
		for (const canvas of [this.baseCanvas, this.overCanvas]) {
			canvas.width = Math.round(this.width * this.dpr);
			canvas.height = Math.round(this.height * this.dpr);
		}
		// The ruler and the minimap leave as much room at the right as the scroll bar takes.
		this.scroller.parentElement?.style.setProperty('--gutter', `${this.scroller.offsetWidth - this.scroller.clientWidth}px`);
		this.hooks.onLayout(this.layout, this.scroller.scrollTop);
		this.invalidate();
	}

	private scrolled(): void {
		this.hooks.onLayout(this.layout, this.scroller.scrollTop);
		this.invalidate();
	}

	invalidate(): void {
		this.dirtyBase = true;
		this.invalidateOver();
	}

	private invalidateOver(): void {
		this.dirtyOver = true;
		if (!this.scheduled)
			this.scheduled = requestAnimationFrame(() => this.draw());
	}

	/** The top of a row in the canvas. */
	private topOf(row: Row): number | undefined {
		const y = row.pinned ? row.y : row.y - this.scroller.scrollTop;
		return y + row.height < 0 || y > this.height ? undefined : y;
	}

	private visible(): { rows: Row[]; pinned: Row[] } {
		const rows: Row[] = [];
		const pinnedRows: Row[] = [];
		for (const row of this.layout.rows) {
			const top = this.topOf(row);
			if (row.pinned)
				pinnedRows.push(row);
			else if (top !== undefined && top + row.height > this.layout.pinnedHeight)
				rows.push(row);
		}
		return { rows, pinned: pinnedRows };
	}

	private draw(): void {
		this.scheduled = 0;
		const began = performance.now();
		if (this.dirtyBase) {
			this.dirtyBase = false;
			this.drawBase();
		}
		if (this.dirtyOver) {
			this.dirtyOver = false;
			this.drawOver();
		}
		this.frames.push(performance.now() - began);
		if (this.frames.length > 2000)
			this.frames.splice(0, 1000);
	}

	private drawBase(): void {
		const ctx = this.base;
		const palette = palettes[dark.value ? 'dark' : 'light'];
		ctx.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
		ctx.fillStyle = palette.background;
		ctx.fillRect(0, 0, this.width, this.height);
		if (phase.value !== 'ready')
			return;
		const scene: Scene = {
			view: view.value, width: this.width, height: this.height, dpr: this.dpr, palette, search: search.value,
			threads: threadById.value, bounds: bounds.value,
		};
		const { rows, pinned: fixed } = this.visible();
		this.painter.begin(ctx);
		const top = this.layout.pinnedHeight;
		ctx.save();
		ctx.beginPath();
		ctx.rect(0, top, this.width, Math.max(0, this.height - top));
		ctx.clip();
		for (const row of rows)
			this.drawRow(ctx, row, scene, { top, bottom: this.height });
		ctx.restore();
		for (const row of fixed)
			this.drawRow(ctx, row, scene, { top: 0, bottom: this.height });
		if (fixed.length) {
			ctx.fillStyle = palette.dark ? '#00000066' : '#0000001f';
			ctx.fillRect(0, top - 1, this.width, 1);
		}
		this.drawEnds(ctx, scene);
		const wishes: Wish[] = [];
		for (const row of [...fixed, ...rows]) {
			const track = row.kind === 'thread' ? (row.thread as AppThread).track : undefined;
			if (row.kind === 'thread' && track !== undefined)
				wishes.push({ track, open: row.open });
		}
		if (this.feed.cache.rows > 0)
			this.firstPicture ??= performance.now();
		this.feed.want(view.value, this.width, bounds.value, wishes, search.value);
	}

	private drawRow(ctx: CanvasRenderingContext2D, row: Row, scene: Scene, clip: { top: number; bottom: number }): void {
		const y = row.pinned ? row.y : row.y - this.scroller.scrollTop;
		this.painter.row(ctx, row, y, scene, clip);
		ctx.fillStyle = scene.palette.line;
		ctx.fillRect(0, y + row.height - 1, this.width, 1);
	}

	/** Grid lines, and a shade where the trace has not begun or has ended. */
	private drawEnds(ctx: CanvasRenderingContext2D, scene: Scene): void {
		ctx.fillStyle = scene.palette.dark ? '#ffffff0a' : '#0000000a';
		for (const tick of ruler(scene.view, this.width).ticks)
			ctx.fillRect(Math.round(tick.px), 0, 1, this.height);
		const scale = this.width / length(scene.view);
		ctx.fillStyle = scene.palette.dark ? '#0a0c0fcc' : '#eceff3cc';
		const left = (scene.bounds.from - scene.view.from) * scale;
		const right = (scene.bounds.to - scene.view.from) * scale;
		if (left > 0)
			ctx.fillRect(0, 0, left, this.height);
		if (right < this.width)
			ctx.fillRect(right, 0, this.width - right, this.height);
	}

	private drawOver(): void {
		const ctx = this.over;
		ctx.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
		drawOverlay(ctx, {
			view: view.value, width: this.width, height: this.height, palette: palettes[dark.value ? 'dark' : 'light'],
			rows: this.layout.rows, top: (row) => this.topOf(row), clipTop: (row) => (row.pinned ? 0 : this.layout.pinnedHeight),
			selection: selection.value,
			hover: this.hover && this.hoverRow ? { row: this.hoverRow, depth: this.hover.depth, span: this.hover.span } : undefined,
			pointer: this.pointer, cursor: cursor.value, marks: marks.value, replay: whereReplay.value, target: replayTarget.value,
			lit: lit.value, sliceEnd,
		});
	}

	private rowUnder(y: number): Row | undefined {
		if (y < this.layout.pinnedHeight)
			return rowAtY(this.layout.rows, y);
		const row = rowAtY(this.layout.rows, y + this.scroller.scrollTop);
		return row?.pinned ? undefined : row;
	}

	private find(x: number, y: number): { hover: Hover; row: ThreadRow } | undefined {
		const row = this.rowUnder(y);
		if (row?.kind !== 'thread')
			return undefined;
		const track = (row.thread as AppThread).track;
		const top = this.topOf(row);
		if (track === undefined || top === undefined)
			return undefined;
		const depth = Math.floor((y - top - (row.open ? padding : 3)) / row.lane);
		const at = toIcount(view.value, this.width, x);
		const slack = (length(view.value) / this.width) * 2.5;
		for (const piece of this.feed.cache.pieces(track, view.value, this.feed.bucket(view.value, this.width, row.open))) {
			if (at < piece.span.from || at >= piece.span.to)
				continue;
			const l = piece.lanes;
			const i = rowAt(l, depth, at, slack);
			if (i < 0)
				return undefined;
			return {
				row, hover: {
					x, y, fn: l.fn[i]!, span: { from: l.start[i]!, to: l.end[i]! }, thread: row.thread.id, depth, merged: l.count[i]!,
					kind: l.kind[i]!, id: l.id[i]!,
				},
			};
		}
		return undefined;
	}

	private wheel(e: WheelEvent): void {
		stopAnimation();
		const unit = e.deltaMode === 1 ? 16 : e.deltaMode === 2 ? 400 : 1;
		if (e.ctrlKey || e.metaKey) {
			e.preventDefault();
			view.value = zoomAt(view.value, toIcount(view.value, this.width, e.offsetX), Math.exp(e.deltaY * unit * 0.0022), bounds.value);
		} else if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
			e.preventDefault();
			const by = (e.deltaX || e.deltaY) * unit;
			view.value = pan(view.value, (by / this.width) * length(view.value), bounds.value);
		}
	}

	private down(e: PointerEvent): void {
		if (e.button === 2)
			return;
		stopAnimation();
		this.overCanvas.setPointerCapture(e.pointerId);
		this.scroller.focus({ preventScroll: true });
		if (e.button === 1 || e.shiftKey) {
			e.preventDefault();
			this.drag = { kind: 'pan', x: e.clientX, y: e.clientY, moved: false };
		} else {
			this.drag = { kind: 'area', from: e.offsetX, row: this.rowUnder(e.offsetY), moved: false };
		}
	}

	private move(e: PointerEvent): void {
		const drag = this.drag;
		this.pointer = e.offsetX;
		if (drag?.kind === 'pan') {
			drag.moved = true;
			view.value = pan(view.value, ((drag.x - e.clientX) / this.width) * length(view.value), bounds.value);
			this.scroller.scrollTop += drag.y - e.clientY;
			drag.x = e.clientX;
			drag.y = e.clientY;
		} else if (drag?.kind === 'area' && (drag.moved || Math.abs(e.offsetX - drag.from) > 4)) {
			drag.moved = true;
			const a = toIcount(view.value, this.width, Math.max(0, Math.min(drag.from, e.offsetX)));
			const b = toIcount(view.value, this.width, Math.min(this.width, Math.max(drag.from, e.offsetX)));
			const within = drag.row && this.rowUnder(e.offsetY)?.key === drag.row.key && drag.row.kind === 'thread' ? drag.row.thread.id : undefined;
			selection.value = { kind: 'area', span: { from: Math.floor(a), to: Math.max(Math.floor(a) + 1, Math.ceil(b)) }, thread: within };
		} else {
			const found = this.find(e.offsetX, e.offsetY);
			this.hover = found?.hover;
			this.hoverRow = found?.row;
			this.hooks.onHover(found?.hover);
		}
		this.invalidateOver();
	}

	private up(e: PointerEvent): void {
		const drag = this.drag;
		this.drag = undefined;
		if (!drag)
			return;
		if (drag.moved) {
			if (drag.kind === 'area') {
				tab.value = 'area';
				drawerOpen.value = true;
			}
			return;
		}
		const found = this.find(e.offsetX, e.offsetY);
		if (!found) {
			const row = this.rowUnder(e.offsetY);
			cursor.value = icount(toIcount(view.value, this.width, e.offsetX));
			if (row?.kind === 'thread')
				selection.value = { kind: 'thread', thread: row.thread.id };
			return;
		}
		const { hover } = found;
		// A merged row stands for its longest slice: the click selects that one.
		selection.value = { kind: 'slice', key: { start: icount(hover.span.from), utid: hover.thread, depth: hover.depth }, slice: undefined };
		cursor.value = undefined;
		client.request('slice', { id: sliceId(hover.id) }).then((answer) => selectSlice(answer.slice, 'stay'),
			(error: unknown) => report('The call could not be read', error));
	}

	private leave(): void {
		if (this.drag)
			return;
		this.pointer = undefined;
		this.hover = undefined;
		this.hoverRow = undefined;
		this.hooks.onHover(undefined);
		this.invalidateOver();
	}

	private frameHover(): void {
		if (this.hover)
			goTo(frame(this.hover.span, bounds.value));
	}

	private scrollToLane(thread: ThreadId, depth: number): void {
		const row = this.layout.rows.find((r): r is ThreadRow => r.kind === 'thread' && r.thread.id === thread && !r.pinned);
		if (!row || pinned.value.includes(thread))
			return;
		const y = row.y + (row.open ? padding + depth * row.lane : 0);
		const top = this.scroller.scrollTop + this.layout.pinnedHeight;
		const bottom = this.scroller.scrollTop + this.height - row.lane * 2;
		if (y < top + 4 || y > bottom)
			this.scroller.scrollTop = Math.max(0, y - this.layout.pinnedHeight - (this.height - this.layout.pinnedHeight) / 3);
	}

	toggle(key: string): void {
		const next = new Set(open.value);
		if (!next.delete(key))
			next.add(key);
		open.value = next;
	}

	/** Whether all that is asked for has come: for the busy bar, and for tests. */
	get settled(): boolean {
		return !this.feed.busy && !this.scheduled;
	}

	/** The middle of a thread's lane in the canvas, for who drives the page from outside. */
	laneY(thread: number, depth: number): number | undefined {
		const row = this.layout.rows.find((r): r is ThreadRow => r.kind === 'thread' && r.thread.id === thread);
		const top = row && this.topOf(row);
		return row && top !== undefined ? top + (row.open ? padding : 3) + (depth + 0.5) * row.lane : undefined;
	}
}
