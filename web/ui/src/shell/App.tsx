// SPDX-License-Identifier: GPL-2.0-or-later
// The page: bar at the top, timeline or SQL, the lower pane, the line at the bottom.
import { useEffect, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import { exact, short } from '../lib/format.ts';
import { nameOf, typing } from '../lib/keys.ts';
import {
	client, connection, dismiss, drawerOpen, hello, loadError, loading, notices, page, phase, replay, replayProgress, selection, tab, trace, view, whereReplay,
} from '../state/app.ts';
import type { Tab } from '../state/app.ts';
import { byKey, helpOpen, motion } from '../state/commands.ts';
import { interrupt } from '../state/debug.ts';
import { cancelLoading, loadAgain } from '../state/session.ts';
import { change, dark, settings } from '../state/settings.ts';
import { toClipboard } from '../state/copy.ts';
import { Area } from './Area.tsx';
import { Console } from './Console.tsx';
import { Debugger } from './Debugger.tsx';
import { Details } from './Details.tsx';
import { Help } from './Help.tsx';
import { Marks } from './Marks.tsx';
import { Omnibox } from './Omnibox.tsx';
import { Sql } from './Sql.tsx';
import { Stage } from './Stage.tsx';
import { TraceInfoPane } from './TraceInfo.tsx';
import { Waiting } from './bits.tsx';

const motions: Readonly<Record<string, readonly ['zoom' | 'pan', 1 | -1]>> = {
	'zoom-in': ['zoom', 1], 'zoom-out': ['zoom', -1], 'pan-left': ['pan', -1], 'pan-right': ['pan', 1],
};

function useKeys(): void {
	useEffect(() => {
		const held = new Map<string, string>();
		const stop = (): void => {
			held.clear();
			motion.zoom = 0;
			motion.pan = 0;
		};
		const down = (e: KeyboardEvent): void => {
			const name = nameOf(e);
			const plain = !e.ctrlKey && !e.metaKey && !e.altKey;
			// A dialog, a field or gdb's terminal has the letters; F keys and Ctrl+K work everywhere.
			if (typing(e.target) && (plain && !/^(Shift\+)?F\d+$/.test(name) || name === 'Ctrl+C'))
				return;
			if (e.target instanceof HTMLElement && (e.key === 'Enter' || e.key === ' ' || (/^Arrow/.test(e.key) && e.target.closest('[role=tablist], .vlist, [role=menu]'))))
				return;
			const command = byKey.get(name);
			if (!command || (helpOpen.value && !['help', 'clear'].includes(command.id)))
				return;
			if (name === 'Ctrl+C' && (window.getSelection()?.toString() ?? '') !== '')
				return;
			e.preventDefault();
			if (!command.held) {
				void command.run();
				return;
			}
			const m = motions[command.id];
			if (m) {
				held.set(e.code, command.id);
				motion[m[0]] = m[1];
			}
		};
		const up = (e: KeyboardEvent): void => {
			const id = held.get(e.code);
			const m = id === undefined ? undefined : motions[id];
			held.delete(e.code);
			if (m && ![...held.values()].some((other) => motions[other]?.[0] === m[0]))
				motion[m[0]] = 0;
		};
		window.addEventListener('keydown', down);
		window.addEventListener('keyup', up);
		window.addEventListener('blur', stop);
		return () => {
			window.removeEventListener('keydown', down);
			window.removeEventListener('keyup', up);
			window.removeEventListener('blur', stop);
		};
	}, []);
}

function Top(): JSX.Element {
	const toggle = (id: 'timeline' | 'sql', title: string): JSX.Element => (
		<button type="button" class={page.value === id ? 'on' : ''} aria-pressed={page.value === id} onClick={() => (page.value = id)}>{title}</button>
	);
	return (
		<header class="top">
			<div class="brand" title={trace.value?.path ?? ''}>
				<svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><rect x="2" y="4" width="20" height="4" rx="1.5" fill="var(--accent)" /><rect x="5" y="10" width="13" height="4" rx="1.5" fill="var(--accent)" opacity=".7" /><rect x="8" y="16" width="6" height="4" rx="1.5" fill="var(--accent)" opacity=".45" /></svg>
				<b>DejaView</b>
			</div>
			<nav class="pages" aria-label="Pages">{toggle('timeline', 'Timeline')}{toggle('sql', 'SQL')}</nav>
			<Omnibox />
			<div class="tools">
				<button type="button" aria-label="Copy a link to this view" title="Copy a link to this view" onClick={() => toClipboard(location.href, 'The link')}>Link</button>
				<button type="button" aria-label={`Theme: ${settings.value.theme}`} title="Light, dark, or as the system (L)" onClick={() => change({ theme: dark.value ? 'light' : 'dark' })}>{dark.value ? '☾' : '☀'}</button>
				<button type="button" aria-label="Keys" title="Keys (?)" onClick={() => (helpOpen.value = true)}>?</button>
			</div>
		</header>
	);
}

function Connection(): JSX.Element | null {
	const state = connection.value;
	const [, tick] = useState(0);
	useEffect(() => {
		if (state.kind !== 'waiting')
			return undefined;
		const timer = setInterval(() => tick((n) => n + 1), 500);
		return () => clearInterval(timer);
	}, [state.kind]);
	if (state.kind === 'open' || (state.kind === 'connecting' && state.attempt === 0))
		return null;
	const left = state.kind === 'waiting' ? Math.max(0, Math.ceil((state.retryAt - Date.now()) / 1000)) : 0;
	return (
		<div class="lost" role="alert">
			<b>{hello.value ? 'The connection to the daemon was lost.' : 'The daemon does not answer.'}</b> {state.kind === 'closed' ? state.reason : state.kind === 'waiting' ? `Trying again${left ? ` in ${left} s` : ''}…` : 'Trying…'}
			<span class="dim"> Is <code>dejaview serve</code> still running? If it was started anew, open the URL that it printed.</span> <button type="button" onClick={() => client.retry()}>Try now</button>
		</div>
	);
}

function Notices(): JSX.Element {
	return (
		<div class="notices" aria-live="polite">
			{notices.value.map((n) => (
				<div class={`notice ${n.kind}`} key={n.id} role={n.kind === 'error' ? 'alert' : 'status'}>
					<div><b>{n.text}</b>{n.hint && <p>{n.hint}</p>}</div><button type="button" aria-label="Dismiss" onClick={() => dismiss(n.id)}>×</button>
				</div>
			))}
		</div>
	);
}

const tabs: readonly (readonly [Tab, string])[] = [['details', 'Details'], ['area', 'Area'], ['console', 'Console'], ['debugger', 'Debugger'], ['marks', 'Marks'], ['trace', 'Trace']];

function Drawer(): JSX.Element {
	const isOpen = drawerOpen.value;
	const drag = (e: PointerEvent): void => {
		e.preventDefault();
		const target = e.currentTarget as HTMLElement;
		target.setPointerCapture(e.pointerId);
		const begin = settings.value.drawer + e.clientY;
		const move = (m: PointerEvent): void => change({ drawer: Math.max(90, Math.min(window.innerHeight - 220, begin - m.clientY)) });
		target.addEventListener('pointermove', move);
		target.addEventListener('pointerup', () => target.removeEventListener('pointermove', move), { once: true });
	};
	const keys = (e: KeyboardEvent): void => {
		const i = tabs.findIndex(([id]) => id === tab.value);
		const by = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0;
		if (!by)
			return;
		e.preventDefault();
		tab.value = tabs[(i + by + tabs.length) % tabs.length]![0];
		requestAnimationFrame(() => document.querySelector<HTMLElement>('.drawer-tabs [aria-selected=true]')?.focus());
	};
	return (
		<section class={`drawer${isOpen ? '' : ' closed'}`} style={{ height: isOpen ? `${Math.min(settings.value.drawer, window.innerHeight - 220)}px` : '32px' }} aria-label="More">
			<div class="grip" role="separator" aria-orientation="horizontal" aria-label="Height of the lower pane" tabIndex={0} onPointerDown={drag} onKeyDown={(e) => {
				if (e.key === 'ArrowUp' || e.key === 'ArrowDown') {
					e.preventDefault();
					e.stopPropagation();
					change({ drawer: Math.max(90, Math.min(window.innerHeight - 220, settings.value.drawer + (e.key === 'ArrowUp' ? 24 : -24))) });
				}
			}} />
			<div class="drawer-tabs" role="tablist" aria-label="Lower pane" onKeyDown={keys}>
				{tabs.map(([id, title]) => (
					<button type="button" role="tab" id={`tab-${id}`} key={id} aria-selected={isOpen && tab.value === id} aria-controls="pane" tabIndex={tab.value === id ? 0 : -1} class={isOpen && tab.value === id ? 'on' : ''} onClick={() => {
						drawerOpen.value = !(isOpen && tab.value === id);
						tab.value = id;
					}}>{title}{id === 'debugger' && replay.value.state !== 'closed' && <span class="dot" />}</button>
				))}
				<span class="grow" />
				<button type="button" class="fold" aria-label={isOpen ? 'Close the lower pane' : 'Open the lower pane'} aria-expanded={isOpen} title="Ctrl+J" onClick={() => (drawerOpen.value = !isOpen)}>{isOpen ? '▾' : '▴'}</button>
			</div>
			{isOpen && (
				<div class="pane" id="pane" role="tabpanel" aria-labelledby={`tab-${tab.value}`}>
					{tab.value === 'details' && <Details />}{tab.value === 'area' && <Area />}{tab.value === 'console' && <Console />}
					{tab.value === 'debugger' && <Debugger />}{tab.value === 'marks' && <Marks />}{tab.value === 'trace' && <TraceInfoPane />}
				</div>
			)}
		</section>
	);
}

function Status(): JSX.Element {
	const t = trace.value;
	const v = view.value;
	const s = selection.value;
	const at = whereReplay.value;
	return (
		<footer class="status">
			<span class="num" title="What the timeline shows">{exact(Math.max(0, v.from))} – {exact(v.to)}</span>
			<span class="dim num">{short(v.to - v.from)} instructions</span>
			{s?.kind === 'slice' && s.slice && <span class="mono sel" title={s.slice.name}>{s.slice.name} <span class="dim">{s.slice.dur < 0 ? 'open' : short(s.slice.dur)}</span></span>}
			{s?.kind === 'area' && <span class="num">area {short(s.span.to - s.span.from)}</span>}
			<span class="grow" />
			{replayProgress.value && <Waiting progress={replayProgress.value} cancel={() => interrupt()} />}
			{at !== undefined && <button type="button" class="where-replay num" onClick={() => {
				tab.value = 'debugger';
				drawerOpen.value = true;
			}}>● replay at {exact(at)}</button>}
			{t && <span class="dim path" title={t.path}>{short(t.slices)} calls · {t.path.split('/').slice(-2).join('/')}</span>}
		</footer>
	);
}

function Cover(): JSX.Element | null {
	if (phase.value === 'ready')
		return null;
	const p = loading.value;
	const e = loadError.value;
	return (
		<div class="cover" role="status">
			<div class="cover-box">
				{phase.value === 'failed' && e?.code === 'cancelled' ? <><h1>Loading was cancelled</h1><button type="button" onClick={loadAgain}>Load the trace</button></>
					: phase.value === 'failed' ? <><h1>The trace could not be opened</h1><p>{e?.message ?? 'The daemon does not say why.'}</p>{e?.hint && <p class="dim">{e.hint}</p>}</>
					: phase.value === 'loading' ? <><h1>{p?.what ?? 'Opening the trace'}</h1><progress {...(p && p.total > 0 ? { value: p.done / p.total } : {})} aria-label="Loading" />{p && p.total > 0 && <p class="dim num">{Math.round((p.done / p.total) * 100)} %</p>}<button type="button" onClick={cancelLoading}>Cancel</button></>
						: <><h1>Connecting</h1><progress aria-label="Connecting" /></>}
			</div>
		</div>
	);
}

export function App(): JSX.Element {
	useKeys();
	return (
		<>
			<Top />
			<Connection />
			<main class={`on-${page.value}`}>
				<div class="timeline-page"><Stage /><Drawer /></div>
				{page.value === 'sql' && <Sql />}
				<Cover />
			</main>
			<Status />
			<Help />
			<Notices />
		</>
	);
}
