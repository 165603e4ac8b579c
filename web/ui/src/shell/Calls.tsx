// SPDX-License-Identifier: GPL-2.0-or-later
// Arguments and return values, fetched by replaying: of the selected call, or of all in view.
import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import type { Call, Progress, Slice } from '../../../client/src/protocol.ts';
import { isCancelled, RequestError } from '../../../client/src/client.ts';
import { icount } from '../lib/types.ts';
import { bounds, client, sliceEnd, view } from '../state/app.ts';
import { whyNoDebugger } from '../state/debug.ts';
import { At, ErrorText, Waiting } from './bits.tsx';

interface State {
	readonly of: string;
	readonly calls: readonly Call[];
	readonly running: boolean;
	readonly progress: Progress | undefined;
	readonly error: RequestError | undefined;
	readonly done: boolean;
}
const none: State = { of: '', calls: [], running: false, progress: undefined, error: undefined, done: false };
const state = signal<State>(none);
let controller: AbortController | undefined;

async function fetchCalls(name: string, from: number, to: number, limit: number): Promise<void> {
	controller?.abort();
	const mine = (controller = new AbortController());
	state.value = { ...none, of: name, running: true };
	const still = (change: Partial<State>): void => {
		if (controller === mine)
			state.value = { ...state.value, ...change };
	};
	try {
		await client.request('calls', { function: name, from: icount(from), to: icount(to), limit }, {
			signal: mine.signal, onProgress: (progress) => still({ progress }),
			onPart: (part) => still({ calls: [...state.value.calls, ...part.calls] }),
		});
		still({ done: true });
	} catch (error) {
		if (!isCancelled(error))
			still({ error: error instanceof RequestError ? error : new RequestError('internal', String(error)) });
	} finally {
		still({ running: false });
	}
}

export function Calls({ slice }: { readonly slice: Slice }): JSX.Element {
	const why = whyNoDebugger();
	const s = state.value;
	if (why)
		return <p class="dim">Arguments are fetched by replaying. {why}</p>;
	const mine = s.of === slice.name;
	return (
		<div class="calls">
			<p class="row">
				<button type="button" onClick={() => fetchCalls(slice.name, slice.start, Math.min(bounds.value.to, sliceEnd(slice) + 1), 1)}>Arguments of this call</button>
				<button type="button" onClick={() => fetchCalls(slice.name, Math.max(view.value.from, bounds.value.from), Math.min(view.value.to, bounds.value.to), 500)}>Of all its calls in view</button>
			</p>
			{mine && s.running && <Waiting progress={s.progress} cancel={() => controller?.abort()} />}
			{mine && s.error && <ErrorText error={s.error} />}
			{mine && s.done && s.calls.length === 0 && <p class="dim">No call was found there.</p>}
			{mine && s.calls.length > 0 && (
				<table class="plain"><tbody>
					{s.calls.map((call, i) => (
						<tr key={i}><td><At at={call.icount} /></td><td class="mono">{call.function}({call.arguments.map((a) => `${a.name}=${a.value}`).join(', ')})</td><td class="mono">{call.result ? `= ${call.result.value}` : ''}</td></tr>
					))}
				</tbody></table>
			)}
		</div>
	);
}
