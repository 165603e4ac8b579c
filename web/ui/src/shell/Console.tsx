// SPDX-License-Identifier: GPL-2.0-or-later
// What the guest printed, each line with its icount; the line of the cursor or of the replay is lit.
import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import type { ConsoleLine } from '../../../client/src/protocol.ts';
import { exact } from '../lib/format.ts';
import { bounds, cursor, goTo, here, report, trace, view, whereReplay } from '../state/app.ts';
import { lines, loadConsole } from '../state/console.ts';
import { debugAt, whyNoDebugger } from '../state/debug.ts';
import { toClipboard } from '../state/copy.ts';
import { reveal } from '../timeline/viewport.ts';
import { Empty } from './bits.tsx';
import { VList } from './VList.tsx';

const filter = signal('');
/** The last line printed at or before a moment. */
export function lineAt(list: readonly ConsoleLine[], at: number): number {
	let low = 0;
	let high = list.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (list[middle]!.icount <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

/** Escape sequences of terminals, and what else is not to be seen. */
const control = /\u001b\[[0-9;?]*[A-Za-z]|\u001b.|[\u0000-\u0008\u000b-\u001f]/g;

export function Console(): JSX.Element {
	const [follow, setFollow] = useState(true);
	useEffect(() => {
		const controller = new AbortController();
		loadConsole(controller.signal).catch((error: unknown) => report('The console could not be read', error));
		return () => controller.abort();
	}, [trace.value?.identity]);
	const text = filter.value.toLowerCase();
	const shown = text ? lines.value.filter((l) => l.text.toLowerCase().includes(text)) : lines.value;
	const at = whereReplay.value ?? here.value;
	const lit = at === undefined ? -1 : lineAt(shown, at);
	if (trace.value && trace.value.consoleLines === 0 && lines.value.length === 0) {
		return <Empty title="This trace has no console"><p>The guest printed nothing while it was traced, or the trace was made by a version that did not keep it. <code>dejaview trace</code> makes it anew from the recording.</p></Empty>;
	}
	const why = whyNoDebugger();
	const go = (line: ConsoleLine): void => {
		cursor.value = line.icount;
		goTo(reveal(view.value, line.icount, bounds.value));
	};
	return (
		<div class="console">
			<div class="bar-top">
				<input type="search" placeholder="Filter lines" aria-label="Filter lines" value={filter.value} onInput={(e) => (filter.value = e.currentTarget.value)} />
				<span class="dim">{exact(shown.length)} of {exact(trace.value?.consoleLines ?? lines.value.length)} lines</span>
				<label><input type="checkbox" checked={follow} onChange={(e) => setFollow(e.currentTarget.checked)} /> Follow the {whereReplay.value === undefined ? 'cursor' : 'replay'}</label>
				<button type="button" onClick={() => toClipboard(shown.map((l) => l.text.replace(control, '')).join('\n'), 'The console')}>Copy</button>
			</div>
			<VList label="Console" class="console-lines" count={shown.length} rowHeight={20} show={follow ? lit : undefined} row={(i) => {
				const line = shown[i]!;
				return (
					<div class={`line${i === lit ? ' lit' : ''}${line.level !== undefined && line.level <= 3 ? ' bad' : line.level === 4 ? ' warn' : ''}`} role="listitem">
						<button type="button" class="when num" title="Show it on the timeline" onClick={() => go(line)}>{exact(line.icount)}</button>
						<button type="button" class="dbg" disabled={!!why} title={why ?? 'Debug where this line was printed'} aria-label="Debug here" onClick={() => debugAt(line.icount)}>▸</button>
						<span class="src dim">{line.source}</span>
						<span class="text" onClick={() => go(line)}>{line.text.replace(control, '')}</span>
					</div>
				);
			}} />
		</div>
	);
}
