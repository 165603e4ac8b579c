// SPDX-License-Identifier: GPL-2.0-or-later
// The selected call's arguments and what it returned, and those of its function's other calls.
import type { JSX } from 'preact';
import type { Call, SliceDetails } from '../../../client/src/protocol.ts';
import { exact } from '../lib/format.ts';
import { client, report, selectSlice, threadById } from '../state/app.ts';
import { cancelCalls, fetched, fetchInView, fetchThis } from '../state/calls.ts';
import { whyNoDebugger } from '../state/debug.ts';
import { toClipboard } from '../state/copy.ts';
import { ErrorText, Waiting } from './bits.tsx';
import { VList } from './VList.tsx';

const argumentsOf = (call: Call): string => call.arguments.map((a) => (a.name ? `${a.name} = ${a.value}` : a.value)).join(', ');
const resultOf = (call: Call): string => (call.result ? `= ${call.result.value}` : call.returned ? '' : 'has not returned');
const textOf = (call: Call): string => `${call.icount}  ${call.function}(${argumentsOf(call)}) ${resultOf(call)}`.trimEnd();

function This({ call }: { readonly call: Call }): JSX.Element {
	return (
		<dl class="facts this-call">
			{call.arguments.map((a, i) => <><dt class="mono" title={a.type ?? ''}>{a.name || `argument ${i + 1}`}</dt><dd class="mono">{a.value} {a.type && <span class="dim">{a.type}</span>}</dd></>)}
			{call.arguments.length === 0 && <><dt>Arguments</dt><dd class="dim">It takes none.</dd></>}
			<dt>Returned</dt><dd class="mono">{call.result ? <>{call.result.value} {call.result.type && <span class="dim">{call.result.type}</span>}</> : <span class="dim">{call.returned ? 'nothing: it is void' : 'not within the recording'}</span>}</dd>
		</dl>
	);
}

export function Calls({ d }: { readonly d: SliceDetails }): JSX.Element {
	const why = whyNoDebugger();
	const f = fetched.value;
	if (why)
		return <p class="dim">Arguments are fetched by replaying. {why}</p>;
	if (d.function.space === 'user')
		return <p class="dim">Only the kernel's functions can be looked at: this one is of user space.</p>;
	const mine = f.fn === d.slice.function;
	const calls = mine ? f.calls : [];
	const at = calls.findIndex((c) => c.slice === d.slice.id);
	const row = (i: number): JSX.Element => {
		const call = calls[i]!;
		const go = (): void => void client.request('slice', { id: call.slice }).then((answer) => selectSlice(answer.slice), (error: unknown) => report('The call could not be read', error));
		return (
			<div class={`call${i === at ? ' lit' : ''}`} role="listitem">
				<button type="button" class="link num" title="Select this call" onClick={go}>{exact(call.icount)}</button>
				<span class="dim thread">{call.utid === undefined ? '' : threadById.value.get(call.utid)?.name}</span>
				<span class="mono" title={textOf(call)}>({argumentsOf(call)}) <b>{resultOf(call)}</b></span>
			</div>
		);
	};
	return (
		<div class="calls">
			<p class="row">
				<button type="button" disabled={mine && f.running} onClick={() => fetchThis()}>Of this call <kbd>R</kbd></button>
				<button type="button" disabled={mine && f.running} onClick={() => fetchInView()}>Of all its calls in view <kbd>Shift+R</kbd></button>
				{calls.length > 0 && <button type="button" onClick={() => toClipboard(calls.map(textOf).join('\n'), 'The calls')}>Copy</button>}
			</p>
			{mine && f.running && <Waiting progress={f.progress} cancel={cancelCalls} />}
			{mine && f.error && <ErrorText error={f.error} />}
			{mine && f.said && <p class="dim" role="status">{f.said}</p>}
			{mine && f.prototype && <p class="mono prototype">{f.prototype}</p>}
			{at >= 0 && <This call={calls[at]!} />}
			{calls.length > (at >= 0 ? 1 : 0) && (
				<>
					<h3>{exact(calls.length)} {calls.length === 1 ? 'call' : 'calls'}</h3>
					<VList label="Calls with their arguments" class="call-list" count={calls.length} rowHeight={22} show={at < 0 ? undefined : at} row={row} />
				</>
			)}
			{calls.length === 0 && !(mine && (f.running || f.error || f.said)) && <p class="dim">What it was called with, and what it returned, is found by replaying the recording up to it.</p>}
		</div>
	);
}
