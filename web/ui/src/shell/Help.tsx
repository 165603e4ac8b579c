// SPDX-License-Identifier: GPL-2.0-or-later
// The keys, made from the list of commands; and how the pointer is used.
import { useEffect, useRef } from 'preact/hooks';
import type { JSX } from 'preact';
import { shown } from '../lib/keys.ts';
import { commands, helpOpen } from '../state/commands.ts';

const pointer: readonly (readonly [string, string])[] = [
	['Click', 'Select a call, or say where “here” is'],
	['Drag', 'Select an area: its flame graph and table'],
	['Double click', 'Show all of a call'],
	['Right click', 'What can be done at this place'],
	['Wheel', 'Up and down'],
	['Ctrl + wheel', 'Zoom at the pointer'],
	['Shift + wheel, Shift + drag', 'To the left and right'],
];

export function Help(): JSX.Element | null {
	const ref = useRef<HTMLDialogElement>(null);
	const isOpen = helpOpen.value;
	useEffect(() => {
		if (isOpen)
			ref.current?.showModal();
		else
			ref.current?.close();
	}, [isOpen]);
	const groups = [...new Set(commands.map((c) => c.group))];
	return (
		<dialog class="help" ref={ref} aria-label="Keys" onClose={() => (helpOpen.value = false)} onClick={(e) => {
			if (e.target === ref.current)
				helpOpen.value = false;
		}}>
			<div class="help-inside">
				<header><h1>Keys</h1><button type="button" aria-label="Close" onClick={() => (helpOpen.value = false)}>×</button></header>
				<div class="help-groups">
					{groups.map((group) => (
						<section key={group}><h2>{group}</h2>
							<dl>{commands.filter((c) => c.group === group).map((c) => <div key={c.id}><dt>{c.title}</dt><dd>{c.keys.slice(0, 2).map((k) => <kbd key={k}>{shown(k)}</kbd>)}</dd></div>)}</dl>
						</section>
					))}
					<section><h2>Pointer</h2><dl>{pointer.map(([what, does]) => <div key={what}><dt>{does}</dt><dd><kbd>{what}</kbd></dd></div>)}</dl></section>
				</div>
			</div>
		</dialog>
	);
}
