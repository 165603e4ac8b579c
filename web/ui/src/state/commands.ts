// SPDX-License-Identifier: GPL-2.0-or-later
// Everything that can be done, once: keys, the palette and the help are made from this list.
import { signal } from '@preact/signals';
import { bounds, cursor, drawerOpen, goTo, here, marks, notify, open, page, pinned, search, selection, tab, togglePin, view } from './app.ts';
import type { Tab } from './app.ts';
import { fetchInView, fetchThis } from './calls.ts';
import { copyText } from './copy.ts';
import {
	closeReplay, debugEnd, debugHere, debugStart, interrupt, proceed, reverse, stepBack, stepForward,
} from './debug.ts';
import { addMark } from './marks.ts';
import { change, settings } from './settings.ts';
import { frameSelection, selectCallArea, selectView, toChild, toMatch, toNeighbour, toParent, toSibling } from './walk.ts';
import { reveal } from '../timeline/viewport.ts';

export interface Command {
	readonly id: string;
	readonly group: string;
	readonly title: string;
	readonly keys: readonly string[];
	/** Held keys move on, a frame at a time: the timeline does it. */
	readonly held?: boolean;
	readonly run: () => unknown;
}

export const helpOpen = signal(false);
/** Text that the omnibox is to begin with; a number that grows makes it take the focus. */
export const omnibox = signal<{ readonly text: string; readonly n: number }>({ text: '', n: 0 });
export const focusOmnibox = (text: string): void => {
	// At once, so that what is typed next does not become commands.
	document.querySelector<HTMLInputElement>('#omnibox')?.focus();
	omnibox.value = { text, n: omnibox.value.n + 1 };
};
/** What held keys do: -1 or 1 for each direction. */
export const motion = { zoom: 0, pan: 0 };

const show = (which: Tab): void => {
	if (tab.value === which && drawerOpen.value && page.value === 'timeline') {
		drawerOpen.value = false;
		return;
	}
	page.value = 'timeline';
	tab.value = which;
	drawerOpen.value = true;
};

function jumpMark(by: 1 | -1): void {
	const at = cursor.value ?? here.value ?? view.value.from;
	const list = by > 0 ? marks.value.filter((m) => m.icount > at) : marks.value.filter((m) => m.icount < at).reverse();
	const mark = list[0];
	if (!mark) {
		notify('info', by > 0 ? 'No mark further on.' : 'No mark before.');
		return;
	}
	cursor.value = mark.icount;
	goTo(reveal(view.value, mark.icount, bounds.value));
}

const selectedThread = (): (typeof pinned.value)[number] | undefined => {
	const s = selection.value;
	return s?.kind === 'slice' ? s.key.utid : s?.kind === 'thread' ? s.thread : s?.thread;
};

function toggleRow(): void {
	const id = selectedThread();
	if (id === undefined)
		return;
	const next = new Set(open.value);
	if (!next.delete(`t${id}`))
		next.add(`t${id}`);
	open.value = next;
}

function pin(): void {
	const id = selectedThread();
	if (id === undefined)
		notify('info', 'Select a call or a thread first.');
	else
		togglePin(id);
}

function escape(): void {
	if (helpOpen.value)
		helpOpen.value = false;
	else if (search.value)
		search.value = '';
	else if (selection.value || cursor.value !== undefined) {
		selection.value = undefined;
		cursor.value = undefined;
	} else
		drawerOpen.value = false;
}

const themes = { system: 'light', light: 'dark', dark: 'system' } as const;

const c = (group: string, id: string, title: string, keys: readonly string[], run: () => unknown): Command => ({ group, id, title, keys, run });

export const commands: readonly Command[] = [
	{ ...c('Moving', 'zoom-in', 'Zoom in', ['W', '+', '='], () => undefined), held: true },
	{ ...c('Moving', 'zoom-out', 'Zoom out', ['S', '-'], () => undefined), held: true },
	{ ...c('Moving', 'pan-left', 'To the left', ['A'], () => undefined), held: true },
	{ ...c('Moving', 'pan-right', 'To the right', ['D'], () => undefined), held: true },
	c('Moving', 'frame', 'Show all of the selection', ['F'], frameSelection),
	c('Moving', 'whole', 'Show the whole trace', ['0', 'Home'], () => goTo(bounds.value)),
	c('Moving', 'goto', 'Go to an instruction count', ['G'], () => focusOmnibox('@')),

	c('Finding', 'search', 'Search functions', ['/', 'Ctrl+F'], () => focusOmnibox('')),
	c('Finding', 'next-match', 'Next match', ['N', 'F3'], () => toMatch('next')),
	c('Finding', 'previous-match', 'Previous match', ['Shift+N', 'Shift+F3'], () => toMatch('previous')),
	c('Finding', 'palette', 'All commands', ['Ctrl+K', '>', 'Ctrl+Shift+P'], () => focusOmnibox('>')),
	c('Finding', 'sql-line', 'Type SQL', [':'], () => focusOmnibox(':')),
	c('Finding', 'clear', 'Clear the search, then the selection', ['Escape'], escape),

	c('Calls', 'parent', 'To its caller', ['ArrowUp'], toParent),
	c('Calls', 'child', 'To the dearest call in it', ['ArrowDown'], toChild),
	c('Calls', 'previous-sibling', 'To the call before it', ['ArrowLeft'], () => toSibling('previous')),
	c('Calls', 'next-sibling', 'To the call after it', ['ArrowRight'], () => toSibling('next')),
	c('Calls', 'previous-call', 'Previous call of the same function', ['['], () => toNeighbour('previous')),
	c('Calls', 'next-call', 'Next call of the same function', [']'], () => toNeighbour('next')),
	c('Calls', 'arguments', 'Its arguments, by replaying', ['R'], fetchThis),
	c('Calls', 'arguments-in-view', 'Arguments of all its calls in view', ['Shift+R'], fetchInView),
	c('Calls', 'copy', 'Copy the selection as text', ['Y', 'Ctrl+C'], copyText),

	c('Area', 'area-view', 'Add up what is in view', ['V'], selectView),
	c('Area', 'area-call', 'Add up the selected call, or thread', ['Shift+V'], selectCallArea),

	c('Marks', 'mark', 'Mark this place', ['M'], () => {
		const at = here.value;
		if (at === undefined)
			notify('info', 'Click on the ruler or on a call first.');
		else
			void addMark(at);
	}),
	c('Marks', 'previous-mark', 'Previous mark', [','], () => jumpMark(-1)),
	c('Marks', 'next-mark', 'Next mark', ['.'], () => jumpMark(1)),

	c('Tracks', 'pin', 'Pin the thread, or let it go', ['P'], pin),
	c('Tracks', 'toggle', 'Open or close the thread\'s row', ['E'], toggleRow),
	c('Tracks', 'filter', 'Filter tracks by name', ['T'], () => document.querySelector<HTMLInputElement>('#filter')?.focus()),
	c('Tracks', 'close-all', 'Close all rows', ['Shift+E'], () => (open.value = new Set())),

	c('Debugger', 'debug-start', 'Debug at the start', ['{'], debugStart),
	c('Debugger', 'debug-here', 'Debug here', ['H'], debugHere),
	c('Debugger', 'debug-end', 'Debug at the end', ['}'], debugEnd),
	c('Debugger', 'step', 'Step into', ['F11'], () => stepForward('line')),
	c('Debugger', 'step-back', 'Step back', ['Shift+F11'], () => stepBack('line')),
	c('Debugger', 'step-over', 'Step over', ['F10'], () => stepForward('over')),
	c('Debugger', 'step-over-back', 'Step over, back', ['Shift+F10'], () => stepBack('over')),
	c('Debugger', 'step-out', 'Run to the end of this function', ['F7'], () => stepForward('out')),
	c('Debugger', 'step-out-back', 'Back to where this function was called', ['Shift+F7'], () => stepBack('out')),
	c('Debugger', 'instruction', 'One instruction on', ['F9'], () => stepForward('instruction')),
	c('Debugger', 'instruction-back', 'One instruction back', ['Shift+F9'], () => stepBack('instruction')),
	c('Debugger', 'continue', 'Continue', ['F8'], proceed),
	c('Debugger', 'reverse', 'Reverse-continue', ['Shift+F8'], reverse),
	c('Debugger', 'interrupt', 'Stop the replay, cancel the seek', ['X'], interrupt),
	c('Debugger', 'end-replay', 'End the debugger', ['Shift+X'], closeReplay),

	c('Page', 'details', 'Details of the call', ['1'], () => show('details')),
	c('Page', 'area', 'The selected area', ['2'], () => show('area')),
	c('Page', 'console', 'The guest\'s console', ['3'], () => show('console')),
	c('Page', 'debugger', 'The debugger', ['4'], () => show('debugger')),
	c('Page', 'marks', 'Marks and notes', ['5'], () => show('marks')),
	c('Page', 'trace', 'What this trace is', ['6'], () => show('trace')),
	c('Page', 'sql', 'SQL', ['Q'], () => (page.value = page.value === 'sql' ? 'timeline' : 'sql')),
	c('Page', 'drawer', 'Open or close the lower pane', ['Ctrl+J'], () => (drawerOpen.value = !drawerOpen.value)),
	c('Page', 'theme', 'Light, dark, or as the system', ['L'], () => change({ theme: themes[settings.value.theme] })),
	c('Page', 'axis', 'The axis in instructions, or in seconds of the guest', ['I'], () => change({ axis: settings.value.axis === 'insns' ? 'seconds' : 'insns' })),
	c('Page', 'help', 'Keys', ['?'], () => (helpOpen.value = !helpOpen.value)),
];

export const byKey = new Map(commands.flatMap((command) => command.keys.map((key) => [key, command] as const)));
export const byId = new Map(commands.map((command) => [command.id, command]));
export const keyOf = (id: string): string | undefined => byId.get(id)?.keys[0];
