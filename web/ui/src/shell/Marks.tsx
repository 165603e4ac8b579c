// SPDX-License-Identifier: GPL-2.0-or-later
// The user's marks with their notes.
import type { JSX } from 'preact';
import type { Mark } from '../../../client/src/protocol.ts';
import { bounds, client, cursor, goTo, here, marks, notify, report, selectSlice, view } from '../state/app.ts';
import { addMark, editMark, markColours, marksFile, removeMark } from '../state/marks.ts';
import { debugAt, whyNoDebugger } from '../state/debug.ts';
import { exact } from '../lib/format.ts';
import { reveal } from '../timeline/viewport.ts';
import { Empty } from './bits.tsx';

function goToMark(m: Mark): void {
	cursor.value = m.icount;
	if (m.depth === undefined) {
		goTo(reveal(view.value, m.icount, bounds.value));
		return;
	}
	client.request('slice', { place: { start: m.icount, depth: m.depth, ...(m.tid === undefined ? {} : { tid: m.tid }) } }).then((answer) => selectSlice(answer.slice),
		(error: unknown) => {
			goTo(reveal(view.value, m.icount, bounds.value));
			report('The marked call is not in this trace', error);
		});
}

export function Marks(): JSX.Element {
	const why = whyNoDebugger();
	const add = (): void => {
		const at = here.value;
		if (at === undefined)
			notify('info', 'Click on the ruler or on a call first.');
		else
			void addMark(at);
	};
	if (marks.value.length === 0) {
		return (
			<Empty title="No marks yet">
				<p>Click on the ruler or on a call and press <kbd>M</kbd>. Marks and their notes stay with the recording, also when it is traced again.</p>
				<p class="row center"><button type="button" onClick={add}>Mark the chosen place</button></p>
			</Empty>
		);
	}
	return (
		<div class="marks">
			<div class="bar-top"><button type="button" onClick={add}>Mark the chosen place <kbd>M</kbd></button><span class="dim" title={marksFile.path}>Kept in {marksFile.path}</span></div>
			<ul>
				{marks.value.map((m) => (
					<li key={m.id} class={cursor.value === m.icount ? 'here' : ''}>
						<button type="button" class="flag-colour" style={{ background: m.colour ?? markColours[0] }} aria-label="Another colour" title="Another colour"
							onClick={() => editMark(m.id, { colour: markColours[(markColours.indexOf((m.colour ?? markColours[0]) as never) + 1) % markColours.length]! })} />
						<button type="button" class="link num" onClick={() => goToMark(m)}>{exact(m.icount)}</button>
						<input type="text" class="mark-name" value={m.name} aria-label="Name of the mark" onChange={(e) => editMark(m.id, { name: e.currentTarget.value })} />
						<input type="text" class="mark-note" value={m.note ?? ''} placeholder="Note" aria-label="Note" onChange={(e) => editMark(m.id, { note: e.currentTarget.value })} />
						<button type="button" disabled={!!why} title={why ?? ''} onClick={() => debugAt(m.icount)}>Debug here</button>
						<button type="button" aria-label={`Remove ${m.name}`} title="Remove" onClick={() => removeMark(m.id)}>×</button>
					</li>
				))}
			</ul>
		</div>
	);
}
