// SPDX-License-Identifier: GPL-2.0-or-later
// From a connection to a page that shows something: says hello, waits while the trace loads, then asks for
// threads, who ran when, and marks. All of it again after a connection was lost.
import { batch, effect } from '@preact/signals';
import type { SchedFrame } from '../../../client/src/protocol.ts';
import { layOut, openAtFirst } from '../timeline/layout.ts';
import { icount } from '../lib/types.ts';
import {
	bounds, breakpoints, client, connection, filter, functions, goTo, hello, loadError, loading, notify, open, page, phase, pinned, replay,
	report, sched, search, selection, selectSlice, tab, threads, view,
} from './app.ts';
import type { AppThread, Tab } from './app.ts';
import { foundReplay } from './debug.ts';
import { loadMarks, takeMarks } from './marks.ts';
import { read, write } from './urlstate.ts';
import type { UrlState } from './urlstate.ts';

/** So many spells of the CPU are kept at most; more are merged. */
const schedRows = 200_000;

let background = new AbortController();
let identity: string | undefined;

export function start(): void {
	client.onState((state) => {
		connection.value = state;
		if (state.kind === 'open')
			void greet();
		else
			background.abort();
	});
	client.on('state', (data) => {
		if (data.state === 'ready') {
			void greet();
		} else {
			batch(() => {
				phase.value = data.state === 'failed' ? 'failed' : 'loading';
				loading.value = data.progress;
				loadError.value = data.error;
			});
		}
	});
	client.on('marks', (data) => takeMarks(data.marks, data.revision));
	client.on('replay', (data) => (replay.value = data));
	client.on('breakpoints', (data) => (breakpoints.value = data.breakpoints));
	client.on('closing', (data) => notify('info', `The daemon ends: ${data.reason}`));
}

async function greet(): Promise<void> {
	try {
		const answer = await client.request('hello', { client: 'viewer' });
		client.requestLimit = Math.max(1, Math.floor(answer.limits.requests * 0.75));
		batch(() => {
			hello.value = answer;
			loading.value = answer.progress;
			loadError.value = answer.error;
			phase.value = answer.state === 'ready' ? phase.value === 'ready' ? 'ready' : 'loading' : answer.state;
		});
		if (answer.state === 'ready')
			await loadTrace();
	} catch (error) {
		report('The daemon did not say what it serves', error);
	}
}

export function cancelLoading(): void {
	// Too late is no error: the trace is there.
	client.request('load.cancel', {}).catch(() => undefined);
}

export function loadAgain(): void {
	client.request('load.start', {}).catch((error: unknown) => report('The trace is not loaded again', error));
}

async function loadTrace(): Promise<void> {
	background.abort();
	background = new AbortController();
	const { signal } = background;
	const same = hello.value?.trace?.identity === identity;
	identity = hello.value?.trace?.identity;
	if (!same) {
		functions.reset();
		sched.value = undefined;
	}
	const answer = await client.request('threads', {}, { signal });
	const processes = new Map(answer.processes.map((p) => [p.upid, p]));
	const list: AppThread[] = answer.threads.map((t) => {
		const process = t.upid === undefined ? undefined : processes.get(t.upid);
		return {
			id: t.utid, tid: t.tid, tgid: process?.pid ?? t.tid, name: t.name || `thread ${t.tid}`, process: process?.name ?? t.name,
			isKernel: t.isKernel, isIdle: t.isIdle, lanes: t.depths, slices: t.slices, cpu: t.cpu, track: t.track,
			start: t.start, end: t.end,
		};
	}).filter((t) => t.slices > 0 || t.cpu > 0);
	batch(() => {
		threads.value = list;
		if (!same)
			apply(read(location.hash, list), list);
		phase.value = 'ready';
	});
	void loadMarks();
	try {
		await loadSched(signal);
		if ((hello.value?.capabilities ?? []).includes('replay.state'))
			foundReplay(await client.request('replay.state', {}, { signal }));
		await functions.loadAll(signal);
	} catch (error) {
		report('Not all of the trace could be read', error);
	}
}

async function loadSched(signal: AbortSignal): Promise<void> {
	const span = bounds.value;
	const size = span.to - span.from;
	let bucket = 1;
	while (size / bucket > schedRows)
		bucket *= 2;
	let frame: SchedFrame | undefined;
	await client.request('sched', { from: icount(span.from), to: icount(span.to), bucket }, { signal, onFrame: (f) => (frame = f) });
	if (frame)
		sched.value = { bucket, ...columns(frame) };
}

export function columns(frame: SchedFrame): { start: Float64Array; end: Float64Array; utid: Uint32Array; cpu: Uint32Array } {
	const end = new Float64Array(frame.rows);
	for (let i = 0; i < frame.rows; i++)
		end[i] = frame.dur[i]! < 0 ? bounds.value.to : frame.start[i]! + frame.dur[i]!;
	return { start: frame.start, end, utid: frame.utid, cpu: frame.cpu };
}

const tabs: readonly string[] = ['details', 'area', 'console', 'debugger', 'marks', 'trace'] satisfies Tab[];

function apply(state: UrlState, list: readonly AppThread[]): void {
	pinned.value = state.pinned ?? [];
	filter.value = state.filter ?? '';
	search.value = state.search ?? '';
	page.value = state.page === 'sql' ? 'sql' : 'timeline';
	if (state.tab && tabs.includes(state.tab))
		tab.value = state.tab as Tab;
	const room = Math.max(200, window.innerHeight - 230);
	open.value = new Set(state.open ?? openAtFirst(list, room));
	const all = bounds.value;
	view.value = { from: all.from, to: all.to };
	if (state.view)
		goTo(state.view, false);
	if (state.area)
		selection.value = { kind: 'area', span: state.area, thread: state.on };
	if (state.place || state.slice) {
		client.request('slice', state.place ? { place: state.place } : { key: state.slice! }).then((answer) => selectSlice(answer.slice, state.view ? 'stay' : 'frame'),
			(error: unknown) => report('The slice in the URL is not in this trace', error));
	}
}

/** Keeps the URL up to date, a moment after things have settled. */
export function keepUrl(): void {
	let timer: ReturnType<typeof setTimeout> | undefined;
	let initial: string | undefined;
	effect(() => {
		if (phase.value !== 'ready')
			return;
		const all = bounds.value;
		const v = view.value;
		const s = selection.value;
		const openKeys = [...open.value];
		const text = write({
			view: v.from <= all.from && v.to >= all.to ? undefined : v,
			slice: s?.kind === 'slice' ? s.key : undefined,
			area: s?.kind === 'area' ? s.span : undefined,
			search: search.value, filter: filter.value,
			tab: tab.value === 'details' ? undefined : tab.value,
			page: page.value === 'sql' ? 'sql' : undefined,
			on: s?.kind === 'area' ? s.thread : undefined,
			pinned: pinned.value, open: openKeys,
		}, threads.value);
		initial ??= text;
		clearTimeout(timer);
		timer = setTimeout(() => {
			const url = new URL(location.href);
			url.hash = text;
			history.replaceState(undefined, '', url);
		}, 250);
	});
	window.addEventListener('hashchange', () => {
		if (phase.value === 'ready')
			batch(() => apply(read(location.hash, threads.value), threads.value));
	});
}

export const layoutOf = (): ReturnType<typeof layOut> => layOut({
	threads: threads.value, cpus: hello.value?.trace?.cpus ?? 0, open: open.value, pinned: pinned.value, filter: filter.value,
});
