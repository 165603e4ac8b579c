// SPDX-License-Identifier: GPL-2.0-or-later
// The axis: instructions or seconds, flags of marks, the replay's handle, the cursor. A click says where
// "here" is; a drag selects an area.
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { JSX } from 'preact';
import { exact } from '../lib/format.ts';
import { icount } from '../lib/types.ts';
import { bounds, cursor, drawerOpen, filter, marks, phase, replay, replayTarget, report, selection, tab, view, whereReplay } from '../state/app.ts';
import { loadConsole, secondsAt } from '../state/console.ts';
import { settings } from '../state/settings.ts';
import { ruler } from '../timeline/ruler.ts';
import { toIcount, toPx, zoomAt } from '../timeline/viewport.ts';
import { menu } from './Stage.tsx';

const over = signal<number | undefined>(undefined);

/** Click: the cursor; drag: an area. */
function down(e: PointerEvent, w: number): void {
	if (e.button !== 0)
		return;
	const v = view.value;
	const target = e.currentTarget as HTMLElement;
	const left = target.getBoundingClientRect().left;
	const x0 = e.clientX - left;
	let moved = false;
	target.setPointerCapture(e.pointerId);
	const move = (m: PointerEvent): void => {
		const x = m.clientX - left;
		if (!moved && Math.abs(x - x0) < 4)
			return;
		moved = true;
		const a = toIcount(v, w, Math.max(0, Math.min(x0, x)));
		const b = toIcount(v, w, Math.min(w, Math.max(x0, x)));
		selection.value = { kind: 'area', span: { from: Math.floor(a), to: Math.max(Math.floor(a) + 1, Math.ceil(b)) }, thread: undefined };
	};
	const up = (): void => {
		target.removeEventListener('pointermove', move);
		target.removeEventListener('pointerup', up);
		if (moved) {
			tab.value = 'area';
			drawerOpen.value = true;
		} else {
			cursor.value = icount(toIcount(v, w, x0));
		}
	};
	target.addEventListener('pointermove', move);
	target.addEventListener('pointerup', up);
}

const offset = (e: MouseEvent & { readonly currentTarget: EventTarget }): number => e.clientX - (e.currentTarget as HTMLElement).getBoundingClientRect().left;

export function Ruler({ width }: { readonly width: number }): JSX.Element {
	const v = view.value;
	const w = Math.max(1, width);
	const inSeconds = settings.value.axis === 'seconds';
	const ready = phase.value === 'ready';
	useEffect(() => {
		const controller = new AbortController();
		if (inSeconds && ready)
			loadConsole(controller.signal).catch((error: unknown) => report('The guest\'s clock could not be read', error));
		return () => controller.abort();
	}, [inSeconds, ready]);
	const scale = ruler(v, w, inSeconds ? secondsAt.value : undefined);
	const at = over.value;
	const place = (i: number | undefined): number | undefined => {
		const x = i === undefined ? undefined : toPx(v, w, i);
		return x !== undefined && x >= -1 && x <= w + 1 ? x : undefined;
	};
	const replayAt = place(whereReplay.value);
	const cursorAt = place(cursor.value);
	const target = place(replayTarget.value);
	const moved = (x: number): { transform: string } => ({ transform: `translateX(${Math.round(x)}px)` });
	return (
		<div class="ruler">
			<div class="corner">
				<input id="filter" type="search" placeholder="Filter tracks" aria-label="Filter tracks by name" value={filter.value} spellcheck={false} autocomplete="off"
					onInput={(e) => (filter.value = e.currentTarget.value)} onKeyDown={(e) => {
						if (e.key === 'Escape') {
							filter.value = '';
							e.currentTarget.blur();
						}
					}} />
			</div>
			<div class="axis" role="slider" tabIndex={-1} aria-label="Ruler: click to choose a place" aria-valuemin={bounds.value.from} aria-valuemax={bounds.value.to}
				aria-valuenow={cursor.value ?? Math.max(0, Math.round(v.from))} aria-valuetext={`from ${exact(Math.max(0, v.from))} to ${exact(v.to)}`}
				onPointerDown={(e) => down(e, w)} onPointerMove={(e) => (over.value = toIcount(v, w, offset(e)))} onPointerLeave={() => (over.value = undefined)}
				onContextMenu={(e) => {
					e.preventDefault();
					const i = icount(toIcount(v, w, offset(e)));
					cursor.value = i;
					menu.value = { at: i, x: e.clientX, y: e.clientY, hover: undefined };
				}}
				onWheel={(e) => {
					e.preventDefault();
					view.value = zoomAt(v, toIcount(v, w, offset(e)), Math.exp(e.deltaY * 0.002), bounds.value);
				}}>
				{scale.ticks.map((t) => <span class="tick" key={t.at} style={moved(t.px)}>{t.label}</span>)}
				{scale.anchor !== undefined && <span class="anchor" title="The labels count from here">{exact(scale.anchor)}</span>}
				{marks.value.map((m) => {
					const x = place(m.icount);
					return x === undefined ? null : (
						<button type="button" class="flag" key={m.id} style={{ ...moved(x), color: m.colour ?? 'var(--accent)' }} title={`${m.name}${m.note ? `\n${m.note}` : ''}\n@${exact(m.icount)}`}
							aria-label={`Mark ${m.name}`} onPointerDown={(e) => e.stopPropagation()} onClick={() => {
								cursor.value = m.icount;
								tab.value = 'marks';
								drawerOpen.value = true;
							}}><svg viewBox="0 0 12 14" width="12" height="14" aria-hidden="true"><path d="M1 0v14M1 1h9l-2.5 3L10 7H1z" fill="currentColor" stroke="currentColor" stroke-width="1.2" /></svg></button>
					);
				})}
				{cursorAt !== undefined && <span class={`cursor${cursorAt > w - 110 ? ' left' : ''}`} style={moved(cursorAt)}>{exact(cursor.value!)}</span>}
				{target !== undefined && <span class="target" style={moved(target)} />}
				{replayAt !== undefined && <span class={`replay-handle ${replay.value.state}${replayAt > w - 110 ? ' left' : ''}`} style={moved(replayAt)} title={`The replay stands at ${exact(whereReplay.value!)}`}>{exact(whereReplay.value!)}</span>}
				{at !== undefined && cursorAt === undefined && <span class="over" style={moved(toPx(v, w, at))}>{exact(at)}</span>}
			</div>
		</div>
	);
}
