// SPDX-License-Identifier: GPL-2.0-or-later
// The timeline and what surrounds it: minimap, ruler, the tracks' names, the tip under the pointer, the menu.
import { signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { JSX } from 'preact';
import { short, exact } from '../lib/format.ts';
import { icount, Kind } from '../lib/types.ts';
import type { Icount } from '../lib/types.ts';
import {
	bounds, cursor, functions, goTo, lit, openThread, page, search, selection, stopAnimation, threadById, togglePin, view,
} from '../state/app.ts';
import { motion } from '../state/commands.ts';
import { debugAt, whyNoDebugger } from '../state/debug.ts';
import { addMark } from '../state/marks.ts';
import { pan, zoomAt } from '../timeline/viewport.ts';
import type { Layout, Row } from '../timeline/layout.ts';
import { Timeline } from '../timeline/timeline.ts';
import type { Hover } from '../timeline/timeline.ts';
import { toClipboard } from '../state/copy.ts';
import { Heads } from './Heads.tsx';
import { Minimap } from './Minimap.tsx';
import { Ruler } from './Ruler.tsx';

interface Menu {
	readonly at: Icount;
	readonly x: number;
	readonly y: number;
	readonly hover: Hover | undefined;
}

const layout = signal<{ readonly layout: Layout; readonly scrollTop: number; readonly width: number; readonly height: number } | undefined>(undefined);
const hover = signal<Hover | undefined>(undefined);
export const menu = signal<Menu | undefined>(undefined);
export const timeline: { current: Timeline | undefined } = { current: undefined };

/** Where keys zoom to: what the pointer is on, else what is selected, else the middle. */
function focus(): number {
	const v = view.value;
	const h = hover.value;
	if (h)
		return v.from + (h.x / (timeline.current?.canvasWidth ?? 1)) * (v.to - v.from);
	const s = selection.value;
	const at = cursor.value ?? (s?.kind === 'slice' ? s.key.start : undefined);
	return at !== undefined && at >= v.from && at < v.to ? at : (v.from + v.to) / 2;
}

/** Held keys move the view a little each frame. */
function useMotion(): void {
	useEffect(() => {
		let last = performance.now();
		let handle = 0;
		const step = (now: number): void => {
			const dt = Math.min(50, now - last);
			last = now;
			if ((motion.zoom || motion.pan) && page.value === 'timeline') {
				stopAnimation();
				let next = view.value;
				if (motion.zoom)
					next = zoomAt(next, focus(), Math.exp(-motion.zoom * dt * 0.0045), bounds.value);
				if (motion.pan)
					next = pan(next, motion.pan * (next.to - next.from) * dt * 0.0011, bounds.value);
				view.value = next;
			}
			handle = requestAnimationFrame(step);
		};
		handle = requestAnimationFrame(step);
		return () => cancelAnimationFrame(handle);
	}, []);
}

const kinds: Partial<Record<number, string>> = {
	[Kind.TailCall]: 'tail call', [Kind.Interrupt]: 'interrupt', [Kind.Exception]: 'exception', [Kind.Syscall]: 'system call',
};

function Tip(): JSX.Element | null {
	const h = hover.value;
	void functions.version.value;
	if (!h || menu.value)
		return null;
	const f = functions.get(h.fn);
	const thread = threadById.value.get(h.thread);
	const width = timeline.current?.canvasWidth ?? 1000;
	const right = h.x > width - 340;
	const style = { left: right ? 'auto' : `${h.x + 14}px`, right: right ? `${width - h.x + 10}px` : 'auto', top: `${h.y + 18}px` };
	const size = h.span.to - h.span.from;
	return (
		<div class="tip" style={style} role="presentation">
			<b>{f?.name ?? '…'}</b>
			{f?.module && <span class="dim"> {f.module}</span>}
			<div>{short(size)} {size === 1 ? 'instruction' : 'instructions'}{kinds[h.kind] ? `, ${kinds[h.kind]}` : ''}{h.merged > 1 ? <span class="dim">, beside {short(h.merged - 1)} shorter ones</span> : ''}</div>
			<div class="dim">at {exact(h.span.from)}{thread ? ` in ${thread.name}` : ''}</div>
		</div>
	);
}

function MenuBox(): JSX.Element | null {
	const m = menu.value;
	const ref = useRef<HTMLDivElement>(null);
	// Before it is painted: whoever sees the menu can use its keys.
	useLayoutEffect(() => {
		if (!m)
			return;
		ref.current?.querySelector<HTMLButtonElement>('button:not([disabled])')?.focus();
		const close = (e: Event): void => {
			if (!(e.target instanceof Node) || !ref.current?.contains(e.target))
				menu.value = undefined;
		};
		window.addEventListener('pointerdown', close, true);
		return () => window.removeEventListener('pointerdown', close, true);
	}, [m]);
	if (!m)
		return null;
	const why = whyNoDebugger();
	const f = m.hover ? functions.get(m.hover.fn) : undefined;
	const entry = (title: string, run: () => unknown, key?: string, disabled?: string): JSX.Element => (
		<button type="button" role="menuitem" disabled={!!disabled} title={disabled ?? ''} onClick={() => {
			menu.value = undefined;
			run();
		}}><span>{title}</span>{key && <kbd>{key}</kbd>}</button>
	);
	const keys = (e: KeyboardEvent): void => {
		const all = [...(ref.current?.querySelectorAll<HTMLButtonElement>('button:not([disabled])') ?? [])];
		const i = all.indexOf(document.activeElement as HTMLButtonElement);
		if (e.key === 'ArrowDown')
			all[(i + 1) % all.length]?.focus();
		else if (e.key === 'ArrowUp')
			all[(i + all.length - 1) % all.length]?.focus();
		else if (e.key === 'Escape')
			menu.value = undefined;
		else
			return;
		e.preventDefault();
		e.stopPropagation();
	};
	const style = { left: `${Math.min(m.x, window.innerWidth - 320)}px`, top: `${Math.min(m.y, window.innerHeight - 250)}px` };
	return (
		<div class="menu" ref={ref} role="menu" aria-label="At this place" style={style} onKeyDown={keys}>
			<div class="menu-title">{f ? f.name : 'Instruction'} <span class="dim">@{exact(m.at)}</span></div>
			{entry('Debug here', () => debugAt(m.at), 'H', why)}
			{entry('Mark this place', () => addMark(m.at), 'M')}
			{f && entry('Debug where this call begins', () => debugAt(icount(m.hover!.span.from)), undefined, why)}
			{f && entry(`Search for ${f.name}`, () => (search.value = f.name))}
			{f && entry('Copy its name', () => toClipboard(f.name, 'The name'))}
			{entry('Copy the instruction count', () => toClipboard(String(m.at), 'The instruction count'))}
			{entry('Show the whole trace', () => goTo(bounds.value), '0')}
		</div>
	);
}

export function Stage(): JSX.Element {
	const scroller = useRef<HTMLDivElement>(null);
	const base = useRef<HTMLCanvasElement>(null);
	const over = useRef<HTMLCanvasElement>(null);
	const busy = useRef<HTMLDivElement>(null);
	useMotion();
	useEffect(() => {
		const t = new Timeline(scroller.current!, base.current!, over.current!, {
			onLayout: (l, scrollTop) => (layout.value = {
				layout: l, scrollTop, width: over.current?.clientWidth ?? 0, height: scroller.current?.clientHeight ?? 0,
			}),
			onHover: (h) => (hover.value = h),
			onMenu: (at, x, y, h) => {
				cursor.value = icount(at);
				menu.value = { at: icount(at), x, y, hover: h };
			},
		});
		timeline.current = t;
		// What tests and bench/ui measure by.
		(window as unknown as { dejaview: unknown }).dejaview = { timeline: t, view, selection, lit };
		const timer = setInterval(() => busy.current?.classList.toggle('on', t.feed.busy), 100);
		return () => {
			clearInterval(timer);
			t.destroy();
			timeline.current = undefined;
		};
	}, []);
	const l = layout.value;
	const pick = (row: Row): void => {
		if (row.kind === 'thread') {
			selection.value = { kind: 'thread', thread: row.thread.id };
			openThread(row.thread.id);
		}
	};
	return (
		<section class="stage" aria-label="Timeline">
			<Minimap feed={() => timeline.current?.feed} />
			<Ruler width={l?.width ?? 0} />
			<div class="busy" ref={busy} aria-hidden="true" />
			<div class="scroller" ref={scroller} tabIndex={0} role="application" aria-roledescription="timeline"
				aria-label="Timeline of calls. W and S zoom, A and D move; a question mark shows all keys.">
				<div class="sticky">
					<Heads state={l} toggle={(row) => timeline.current?.toggle(row.key)} pick={pick} pin={togglePin} />
					<div class="canvases">
						<canvas ref={base} aria-hidden="true" />
						<canvas ref={over} aria-hidden="true" />
						<Tip />
					</div>
				</div>
				<div class="spacer" style={{ height: `${Math.max(0, (l?.layout.height ?? 0) - (l?.height ?? 0))}px` }} />
			</div>
			<MenuBox />
		</section>
	);
}
