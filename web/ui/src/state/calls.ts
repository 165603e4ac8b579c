// SPDX-License-Identifier: GPL-2.0-or-later
// Arguments and return values, fetched by replaying: of one call, or of all calls of a function in view.
import { signal } from '@preact/signals';
import type { Call, FunctionId, Progress, Slice } from '../../../client/src/protocol.ts';
import { isCancelled, RequestError } from '../../../client/src/client.ts';
import { icount } from '../lib/types.ts';
import { bounds, can, detailSection, drawerOpen, notify, client, report, tab, view } from './app.ts';
import { whyNoDebugger } from './debug.ts';
import { selected } from './walk.ts';

/** So many calls are asked for at a time. */
export const mostCalls = 1000;

export interface Fetched {
	readonly fn: FunctionId | undefined;
	/** By start. Those of earlier requests for the same function stay. */
	readonly calls: readonly Call[];
	readonly prototype: string | undefined;
	readonly running: boolean;
	readonly progress: Progress | undefined;
	readonly error: RequestError | undefined;
	/** How the last request ended. */
	readonly said: string | undefined;
}
const nothing: Fetched = { fn: undefined, calls: [], prototype: undefined, running: false, progress: undefined, error: undefined, said: undefined };
export const fetched = signal<Fetched>(nothing);
let controller: AbortController | undefined;

export const cancelCalls = (): void => controller?.abort();

function merged(old: readonly Call[], more: readonly Call[]): readonly Call[] {
	const have = new Set(old.map((c) => c.slice));
	const fresh = more.filter((c) => !have.has(c.slice));
	return fresh.length ? [...old, ...fresh].sort((a, b) => a.icount - b.icount) : old;
}

async function fetchCalls(of: Slice, from: number, to: number, limit: number): Promise<void> {
	controller?.abort();
	const mine = (controller = new AbortController());
	const old = fetched.value.fn === of.function ? fetched.value : { ...nothing, fn: of.function };
	fetched.value = { ...old, running: true, progress: undefined, error: undefined, said: undefined };
	const set = (change: Partial<Fetched>): void => {
		if (controller === mine)
			fetched.value = { ...fetched.value, ...change };
	};
	try {
		const end = await client.request('calls', { function: of.name, from: icount(from), to: icount(to), limit }, {
			signal: mine.signal, onProgress: (progress) => set({ progress }),
			onPart: (part) => set({ calls: merged(fetched.value.calls, part.calls), ...(part.prototype ? { prototype: part.prototype } : {}) }),
		});
		set({ said: end.truncated ? `These are the first ${limit} in view: zoom in for the others.` : end.missing ? `The replay did not come by ${end.missing} of them: the trace was made of another recording.`
			: end.total === 0 ? 'No call begins there.' : undefined });
	} catch (error) {
		if (isCancelled(error))
			set({ said: 'Cancelled.' });
		else
			set({ error: error instanceof RequestError ? error : new RequestError('internal', String(error)) });
	} finally {
		set({ running: false, progress: undefined });
	}
}

async function start(range: (s: Slice) => readonly [number, number, number]): Promise<void> {
	const why = can('calls') ? whyNoDebugger() : 'This daemon does not fetch arguments.';
	if (why) {
		notify('error', 'Arguments are fetched by replaying.', why);
		return;
	}
	const slice = await selected().catch((error: unknown) => report('The call could not be read', error));
	if (!slice) {
		notify('info', 'Select a call first: click on one.');
		return;
	}
	tab.value = 'details';
	detailSection.value = 'arguments';
	drawerOpen.value = true;
	await fetchCalls(slice, ...range(slice));
}

export const fetchThis = (): Promise<void> => start((s) => [s.start, s.start + 1, 1]);
export const fetchInView = (): Promise<void> => start(() =>
	[Math.max(view.value.from, bounds.value.from), Math.min(view.value.to, bounds.value.to), mostCalls]);
