// SPDX-License-Identifier: GPL-2.0-or-later
// A flame graph on a canvas. Click a box to zoom into it, click the bottom to come back.
import { useSignalEffect } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import { none } from '../../../client/src/protocol.ts';
import type { TreeFrame } from '../../../client/src/protocol.ts';
import { exact, percent, short } from '../lib/format.ts';
import { searchGlob } from '../lib/glob.ts';
import { Kind } from '../lib/types.ts';
import { functions, search } from '../state/app.ts';
import { dark } from '../state/settings.ts';
import { mix, palettes, parseHex } from '../timeline/colours.ts';
import { flameLanes } from '../timeline/flame.ts';
import { laneHeight } from '../timeline/layout.ts';
import { LanePainter } from '../timeline/paint.ts';
import { depths, rowAt } from '../timeline/slices.ts';
import type { Lanes } from '../timeline/slices.ts';
import { length, toIcount } from '../timeline/viewport.ts';
import type { Span } from '../timeline/viewport.ts';

interface Tip {
	readonly x: number;
	readonly y: number;
	readonly node: number;
}

export function Flame({ frame, pick }: { readonly frame: TreeFrame; readonly pick: (fn: number) => void }): JSX.Element {
	const canvas = useRef<HTMLCanvasElement>(null);
	const painter = useRef<LanePainter>();
	const lanes = useRef<Lanes>();
	const [view, setView] = useState<Span>({ from: 0, to: 1 });
	const [tip, setTip] = useState<Tip>();
	const [width, setWidth] = useState(600);
	useEffect(() => {
		lanes.current = flameLanes(frame);
		functions.wantAll(frame.function);
		setView({ from: 0, to: lanes.current.to });
	}, [frame]);
	const height = Math.max(60, depths(lanes.current ?? { offsets: new Uint32Array(1) } as Lanes) * laneHeight + 2);
	const draw = (): void => {
		const c = canvas.current;
		const l = lanes.current;
		const ctx = c?.getContext('2d', { alpha: false });
		if (!c || !l || !ctx)
			return;
		painter.current ??= new LanePainter();
		const dpr = window.devicePixelRatio || 1;
		const w = c.clientWidth;
		c.width = Math.round(w * dpr);
		c.height = Math.round(height * dpr);
		ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
		const palette = palettes[dark.value ? 'dark' : 'light'];
		ctx.fillStyle = palette.background;
		ctx.fillRect(0, 0, w, height);
		painter.current.begin(ctx);
		const searching = searchGlob(search.value) !== '';
		const background = parseHex(palette.background);
		painter.current.paint(ctx, [{ span: view, lanes: l }], view, {
			x: 0, y: 0, width: w, lane: laneHeight, firstLane: 0, lastLane: depths(l), background: palette.background,
		}, {
			label: (x, i) => (x.fn[i] === none ? 'all' : functions.get(x.fn[i]!)?.name ?? ''),
			colour: (x, i) => {
				const colour = functions.colour(x.fn[i]!, Kind.Call);
				return searching && x.fn[i] !== none && !functions.fits(x.fn[i]!, search.value) ? mix(background, colour, 0.3) : colour;
			},
		}, dpr);
		painter.current.finish(ctx, palette);
	};
	useEffect(draw, [view, frame, width, height]);
	useSignalEffect(() => {
		void functions.version.value; void dark.value; void search.value;
		draw();
	});
	useEffect(() => {
		const size = new ResizeObserver(() => setWidth(canvas.current?.clientWidth ?? 0));
		size.observe(canvas.current!);
		return () => size.disconnect();
	}, []);
	const at = (e: MouseEvent): number => {
		const l = lanes.current;
		if (!l)
			return -1;
		return rowAt(l, Math.floor(e.offsetY / laneHeight), toIcount(view, width, e.offsetX), (length(view) / width) * 1.5);
	};
	const whole = lanes.current?.to ?? 1;
	const zoomed = length(view) < whole * 0.999;
	const node = tip?.node;
	return (
		<div class="flame">
			{zoomed && <button type="button" class="back" onClick={() => setView({ from: 0, to: whole })}>Show all of it</button>}
			<canvas ref={canvas} class="flame-canvas" style={{ height: `${height}px` }} role="img" aria-label="Flame graph; the table beside it has the same in words"
				onClick={(e) => {
					const row = at(e);
					if (row >= 0) {
						setView({ from: lanes.current!.start[row]!, to: lanes.current!.end[row]! });
						pick(lanes.current!.fn[row]!);
					}
				}}
				onPointerMove={(e) => {
					const row = at(e);
					setTip(row < 0 ? undefined : { x: e.offsetX, y: e.offsetY, node: lanes.current!.id[row]! });
				}}
				onPointerLeave={() => setTip(undefined)} />
			{tip && node !== undefined && (
				<div class="tip" style={{ left: `${Math.max(4, Math.min(tip.x + 12, width - 310))}px`, top: `${tip.y + 18}px` }}>
					<b>{frame.function[node] === none ? 'all' : functions.get(frame.function[node]!)?.name ?? '…'}</b>
					<div>{short(frame.total[node]!)} instructions, {percent(frame.total[node]!, whole)}</div>
					<div class="dim">own {short(frame.own[node]!)} · {exact(frame.calls[node]!)} calls</div>
				</div>
			)}
		</div>
	);
}
