// SPDX-License-Identifier: GPL-2.0-or-later
// What the page knows and shows. Signals only; who draws reads them, who acts sets them.
import { batch, computed, effect, signal } from '@preact/signals';
import { Client, isCancelled, RequestError, socketUrl } from '../../../client/src/client.ts';
import { none } from '../../../client/src/protocol.ts';
import type { ConnectionState } from '../../../client/src/client.ts';
import type { Breakpoint, Mark, Methods, Progress, ReplayStatus, RpcError, Slice, TraceInfo } from '../../../client/src/protocol.ts';
import type { Thread } from '../timeline/layout.ts';
import type { Span } from '../timeline/viewport.ts';
import { between, clamp, frame, reveal } from '../timeline/viewport.ts';
import { icount, threadId } from '../lib/types.ts';
import type { Icount, SliceKey, ThreadId } from '../lib/types.ts';
import { Functions } from './functions.ts';
import { calmMotion } from './settings.ts';

type Hello = Methods['hello']['result'];

/** The key to the daemon, from the URL that it printed; the address bar need not show it for long. */
export function takeToken(): string | undefined {
	const url = new URL(location.href);
	const token = url.searchParams.get('token') ?? undefined;
	const kept = 'dejaview-token';
	if (token) {
		sessionStorage.setItem(kept, token);
		return token;
	}
	return sessionStorage.getItem(kept) ?? undefined;
}

export const client = new Client(socketUrl(location, takeToken(), location.pathname.replace(/[^/]*$/, '')));
export const functions = new Functions(client);

export const connection = signal<ConnectionState>(client.state);
export const hello = signal<Hello | undefined>(undefined);
export const phase = signal<'connecting' | 'loading' | 'ready' | 'failed'>('connecting');
export const loading = signal<Progress | undefined>(undefined);
export const loadError = signal<RpcError | undefined>(undefined);

export const trace = computed<TraceInfo | undefined>(() => hello.value?.trace);
export const bounds = computed<Span>(() => {
	const t = trace.value;
	return t && t.to > t.from ? { from: t.from, to: t.to + 1 } : { from: 0, to: 1000 };
});
export const can = (method: string): boolean => hello.value?.capabilities.includes(method) ?? false;

/** A thread as the daemon has it, with the track of its slices. */
export interface AppThread extends Thread {
	readonly track: number | undefined;
	readonly start: number | undefined;
	readonly end: number | undefined;
}
export const threads = signal<readonly AppThread[]>([]);
export const threadById = computed(() => new Map(threads.value.map((t) => [t.id, t])));
export const threadByTrack = computed(() => new Map(threads.value.filter((t) => t.track !== undefined).map((t) => [t.track!, t])));

/** Who ran when: the whole trace, as fine as it is kept in memory. Starts and ends are sorted. */
export interface Sched {
	readonly bucket: number;
	readonly start: Float64Array;
	readonly end: Float64Array;
	readonly utid: Uint32Array;
	readonly cpu: Uint32Array;
}
export const sched = signal<Sched | undefined>(undefined);

export type Selection =
	| { readonly kind: 'slice'; readonly key: SliceKey; readonly slice: Slice | undefined }
	| { readonly kind: 'area'; readonly span: Span; readonly thread: ThreadId | undefined }
	| { readonly kind: 'thread'; readonly thread: ThreadId };
export const selection = signal<Selection | undefined>(undefined);
/** A place on the ruler that was clicked last: where "here" is. */
export const cursor = signal<Icount | undefined>(undefined);

export const view = signal<Span>({ from: 0, to: 1000 });
export const open = signal<ReadonlySet<string>>(new Set());
export const pinned = signal<readonly ThreadId[]>([]);
export const filter = signal('');
export const search = signal('');
export const page = signal<'timeline' | 'sql'>('timeline');
export type Tab = 'details' | 'area' | 'console' | 'debugger' | 'marks' | 'trace';
export const tab = signal<Tab>('details');
export const drawerOpen = signal(false);
/** Of the details: what is shown beside a call. */
export const detailSection = signal<'children' | 'histogram' | 'source' | 'arguments'>('children');

export const marks = signal<readonly Mark[]>([]);
export const replay = signal<ReplayStatus>({ state: 'closed' });
export const replayTarget = signal<Icount | undefined>(undefined);
export const replayProgress = signal<Progress | undefined>(undefined);
export const breakpoints = signal<readonly Breakpoint[]>([]);
/** Slices open where the replay stands. */
export const lit = signal<readonly Slice[]>([]);

export interface Notice {
	readonly id: number;
	readonly kind: 'error' | 'info';
	readonly text: string;
	readonly hint: string | undefined;
}
export const notices = signal<readonly Notice[]>([]);
let noticeId = 0;

export function notify(kind: Notice['kind'], text: string, hint?: string): void {
	const id = ++noticeId;
	const same = notices.value.filter((n) => n.text !== text);
	notices.value = [...same.slice(-3), { id, kind, text, hint }];
	if (kind === 'info')
		setTimeout(() => dismiss(id), 5000);
}
export const dismiss = (id: number): void => {
	notices.value = notices.value.filter((n) => n.id !== id);
};

/** Says what went wrong, unless the user wanted it to end. */
export function report(what: string, error: unknown): void {
	if (isCancelled(error))
		return;
	if (error instanceof RequestError) {
		// The bar at the top says so already.
		if (error.code !== 'disconnected')
			notify('error', `${what}: ${error.message}`, error.hint);
		return;
	}
	console.error(error);
	notify('error', `${what}: ${error instanceof Error ? error.message : String(error)}`);
}

let animation = 0;
/** Moves the view; the eye can follow unless less motion is asked for. */
export function goTo(target: Span, animate = true): void {
	cancelAnimationFrame(animation);
	const to = clamp(target, bounds.value);
	const from = view.value;
	if (!animate || calmMotion() || phase.value !== 'ready') {
		view.value = to;
		return;
	}
	const begin = performance.now();
	const step = (now: number): void => {
		const t = Math.min(1, (now - begin) / 220);
		const eased = 1 - (1 - t) ** 3;
		view.value = t >= 1 ? to : between(from, to, eased);
		if (t < 1)
			animation = requestAnimationFrame(step);
	};
	animation = requestAnimationFrame(step);
}

export const stopAnimation = (): void => cancelAnimationFrame(animation);

export const sliceEnd = (s: Slice): number => (s.dur < 0 ? bounds.value.to : s.start + Math.max(1, s.dur));
export const sliceSpan = (s: Slice): Span => ({ from: s.start, to: sliceEnd(s) });
/** Slices of no thread (of other tools' traces) have none: they are told apart by start and depth alone. */
export const threadOf = (s: Slice): ThreadId => s.utid ?? threadId(none);
export const keyOf = (s: Slice): SliceKey => ({ start: s.start, utid: threadOf(s), depth: s.depth });

/** Set by the timeline: scrolls a thread's lane into sight. */
export const scrollTo = { lane: (_thread: ThreadId, _depth: number): void => undefined };

/** Selects a slice, and shows it: moves there, zooms in when it would be too small to see. */
export function selectSlice(slice: Slice, how: 'stay' | 'reveal' | 'frame' = 'reveal'): void {
	batch(() => {
		selection.value = { kind: 'slice', key: keyOf(slice), slice };
		tab.value = 'details';
		drawerOpen.value = true;
	});
	if (how === 'stay')
		return;
	const span = sliceSpan(slice);
	const size = view.value.to - view.value.from;
	const own = span.to - span.from;
	if (how === 'frame' || own > size * 1.2 || own < size / 4000)
		goTo(frame(span, bounds.value, own < size ? 0.15 : 0.8));
	else
		goTo(reveal(view.value, span.from, bounds.value));
	openThread(threadOf(slice));
	scrollTo.lane(threadOf(slice), slice.depth);
}

/** Opens a thread's row, and the group that it is in. */
export function openThread(id: ThreadId): void {
	const thread = threadById.value.get(id);
	if (!thread)
		return;
	const group = thread.isIdle ? 'gidle' : thread.isKernel ? 'gkernel' : `g${thread.tgid}`;
	const keys = [`t${id}`, group].filter((k) => !open.value.has(k));
	if (keys.length)
		open.value = new Set([...open.value, ...keys]);
}

export function togglePin(id: ThreadId): void {
	pinned.value = pinned.value.includes(id) ? pinned.value.filter((p) => p !== id) : [...pinned.value, id];
}

export const insnsPerSecond = computed<number | undefined>(() => {
	const shift = trace.value?.metadata.find((m) => m.name === 'icount_shift')?.value;
	const command = hello.value?.recording?.command.join(' ') ?? trace.value?.metadata.find((m) => m.name === 'command')?.value ?? '';
	const given = shift ?? /(?:^|[ ,])shift=(\d+)/.exec(command)?.[1];
	return trace.value?.clock === 'ns' ? 1e9 : given === undefined ? undefined : 1e9 / 2 ** Number(given);
});

effect(() => {
	const t = trace.value;
	document.title = t ? `${t.path.split('/').filter((p) => p && p !== 'trace.dvtrace').pop() ?? 'trace'} · DejaView` : 'DejaView';
});

export const whereReplay = computed<Icount | undefined>(() => (replay.value.state === 'closed' ? undefined : replay.value.icount));
export const here = computed<Icount | undefined>(() => {
	const s = selection.value;
	return cursor.value ?? (s?.kind === 'slice' ? s.key.start : s?.kind === 'area' ? icount(s.span.from) : undefined);
});
