// SPDX-License-Identifier: GPL-2.0-or-later
// The whole trace in a strip: who ran, where the search matches, marks, the replay, and the window that the
// timeline shows. Drag to move it, drag its ends, drag beside it to choose another.
import { useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { JSX } from 'preact';
import { exact } from '../lib/format.ts';
import { bounds, marks, phase, search, stopAnimation, threadById, view, whereReplay } from '../state/app.ts';
import { dark } from '../state/settings.ts';
import { css, palettes, threadColour } from '../timeline/colours.ts';
import type { Palette } from '../timeline/colours.ts';
import type { Feed } from '../timeline/feed.ts';
import { clamp, length, toIcount, toPx, zoomAt } from '../timeline/viewport.ts';
import type { Span } from '../timeline/viewport.ts';

const height = 38;

export function Minimap({ feed }: { readonly feed: () => Feed | undefined }): JSX.Element {
	const canvas = useRef<HTMLCanvasElement>(null);
	const picture = useRef<HTMLCanvasElement>(document.createElement('canvas'));
	const state = useRef<{ scheduled: number; drawn: readonly unknown[]; asked: boolean }>({ scheduled: 0, drawn: [], asked: false });

	const paint = (): void => {
		state.current.scheduled = 0;
		const c = canvas.current;
		if (!c)
			return;
		const dpr = window.devicePixelRatio || 1;
		const width = c.clientWidth;
		const palette = palettes[dark.value ? 'dark' : 'light'];
		if (c.width !== Math.round(width * dpr)) {
			c.width = Math.round(width * dpr);
			c.height = Math.round(height * dpr);
		}
		const f = feed();
		if (phase.value === 'ready' && f && !state.current.asked) {
			state.current.asked = true;
			f.fetchOverview(width, bounds.value);
		}
		const key = [f?.overview, f?.whole, dark.value, width, threadById.value, marks.value, search.value];
		if (key.some((k, i) => k !== state.current.drawn[i])) {
			state.current.drawn = key;
			background(picture.current, f, width, dpr, palette);
		}
		const ctx = c.getContext('2d')!;
		ctx.setTransform(1, 0, 0, 1, 0, 0);
		ctx.drawImage(picture.current, 0, 0);
		ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
		const v = view.value;
		const all = bounds.value;
		const from = Math.max(0, toPx(all, width, v.from));
		const to = Math.min(width, Math.max(from + 2, toPx(all, width, v.to)));
		ctx.fillStyle = palette.dark ? '#0d0f12b0' : '#ffffffb0';
		ctx.fillRect(0, 0, from, height);
		ctx.fillRect(to, 0, width - to, height);
		ctx.strokeStyle = palette.accent;
		ctx.lineWidth = 1.5;
		ctx.strokeRect(from + 0.75, 0.75, Math.max(1.5, to - from - 1.5), height - 1.5);
		const at = whereReplay.value;
		if (at !== undefined) {
			ctx.fillStyle = palette.replay;
			ctx.fillRect(toPx(all, width, at) - 1, 0, 2.5, height);
		}
	};
	const schedule = (): void => {
		if (!state.current.scheduled)
			state.current.scheduled = requestAnimationFrame(paint);
	};
	useSignalEffect(() => {
		void view.value; void marks.value; void whereReplay.value; void dark.value; void threadById.value; void search.value;
		if (phase.value !== 'ready')
			state.current.asked = false;
		schedule();
	});
	useEffect(() => {
		const size = new ResizeObserver(schedule);
		size.observe(canvas.current!);
		// Data arrive without a signal of their own.
		const timer = setInterval(() => {
			const f = feed();
			if (f && (state.current.drawn[0] !== f.overview || state.current.drawn[1] !== f.whole))
				schedule();
		}, 120);
		return () => {
			size.disconnect();
			clearInterval(timer);
		};
	}, []);
	return (
		<div class="minimap">
			<div class="corner" />
			<canvas ref={canvas} role="img" aria-label={`The whole trace, ${exact(length(bounds.value))} instructions`} onPointerDown={(e) => drag(e, canvas.current!)}
				onWheel={(e) => {
					e.preventDefault();
					view.value = zoomAt(view.value, (view.value.from + view.value.to) / 2, Math.exp(e.deltaY * 0.002), bounds.value);
				}} />
		</div>
	);
}

function background(c: HTMLCanvasElement, f: Feed | undefined, width: number, dpr: number, palette: Palette): void {
	c.width = Math.round(width * dpr);
	c.height = Math.round(height * dpr);
	const ctx = c.getContext('2d')!;
	ctx.scale(dpr, dpr);
	ctx.fillStyle = palette.background;
	ctx.fillRect(0, 0, width, height);
	const all = bounds.value;
	const spells = f?.overview?.lanes;
	for (let i = 0; spells && i < spells.start.length; i++) {
		const thread = threadById.value.get(spells.fn[i]! as never);
		const x = toPx(all, width, spells.start[i]!);
		const w = Math.max(0.6, toPx(all, width, spells.end[i]!) - x);
		ctx.fillStyle = css(threadColour(thread?.name ?? '', thread?.isIdle ?? true, palette.dark));
		const h = thread?.isKernel ? 14 : thread?.isIdle ? 18 : 24;
		ctx.fillRect(x, height - 6 - h, w, h);
	}
	const found = search.value ? f?.whole : undefined;
	if (found) {
		const scale = width / length(all);
		const columns = new Uint8Array(Math.ceil(width) + 1);
		for (const { at } of found.tracks.values()) {
			for (let i = 0; i < at.length; i++)
				columns[Math.max(0, Math.min(columns.length - 1, Math.floor((found.from + at[i]! * found.bucket - all.from) * scale)))] = 1;
		}
		ctx.fillStyle = palette.match;
		columns.forEach((n, x) => {
			if (n)
				ctx.fillRect(x, height - 6, 1.5, 6);
		});
	}
	for (const mark of marks.value) {
		ctx.fillStyle = mark.colour ?? palette.accent;
		const x = toPx(all, width, mark.icount);
		ctx.beginPath();
		ctx.moveTo(x, 0);
		ctx.lineTo(x + 7, 3.5);
		ctx.lineTo(x, 7);
		ctx.fill();
		ctx.fillRect(x, 0, 1, height);
	}
}

function drag(e: PointerEvent, c: HTMLCanvasElement): void {
	if (e.button !== 0)
		return;
	e.preventDefault();
	stopAnimation();
	c.setPointerCapture(e.pointerId);
	const width = c.clientWidth;
	const all = bounds.value;
	const begin = view.value;
	const x0 = e.offsetX;
	const at0 = toIcount(all, width, x0);
	const from = toPx(all, width, begin.from);
	const to = toPx(all, width, begin.to);
	const whole = begin.from <= all.from && begin.to >= all.to;
	const kind = whole ? 'new' : Math.abs(x0 - from) < 5 ? 'from' : Math.abs(x0 - to) < 5 ? 'to' : x0 > from && x0 < to ? 'move' : 'new';
	const set = (v: Span): void => {
		view.value = clamp(v, all);
	};
	const move = (m: PointerEvent): void => {
		const at = toIcount(all, width, m.offsetX);
		if (kind === 'move')
			set({ from: begin.from + at - at0, to: begin.to + at - at0 });
		else if (kind === 'from')
			set({ from: Math.min(at, begin.to - 10), to: begin.to });
		else if (kind === 'to')
			set({ from: begin.from, to: Math.max(at, begin.from + 10) });
		else if (Math.abs(m.offsetX - x0) > 3)
			set({ from: Math.min(at, at0), to: Math.max(at, at0) });
	};
	const up = (m: PointerEvent): void => {
		c.removeEventListener('pointermove', move);
		c.removeEventListener('pointerup', up);
		if (kind === 'new' && !whole && Math.abs(m.offsetX - x0) <= 3)
			set({ from: at0 - length(begin) / 2, to: at0 + length(begin) / 2 });
	};
	c.addEventListener('pointermove', move);
	c.addEventListener('pointerup', up);
}
