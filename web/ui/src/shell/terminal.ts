// SPDX-License-Identifier: GPL-2.0-or-later
// gdb's terminal, loaded when the debugger is first opened.
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import type { ITheme } from '@xterm/xterm';
import { client } from '../state/app.ts';

const themes: Record<'light' | 'dark', ITheme> = {
	light: { background: '#ffffff', foreground: '#1d232c', cursor: '#1d232c', selectionBackground: '#cfe0ff', black: '#1d232c', red: '#c92a2a', green: '#2b8a3e', yellow: '#a65d00', blue: '#1c5fcb', magenta: '#9c36b5', cyan: '#0b7285', white: '#868e96', brightBlack: '#69727f', brightWhite: '#343a40' },
	dark: { background: '#14171c', foreground: '#e3e7ee', cursor: '#e3e7ee', selectionBackground: '#30497a', black: '#14171c', red: '#ff8787', green: '#69db7c', yellow: '#ffd43b', blue: '#74a9ff', magenta: '#da77f2', cyan: '#66d9e8', white: '#ced4da', brightBlack: '#8d97a5', brightWhite: '#ffffff' },
};

export async function openTerminal(host: HTMLElement, dark: boolean): Promise<() => void> {
	const term = new Terminal({
		fontFamily: 'ui-monospace, "DejaVu Sans Mono", "Liberation Mono", Menlo, monospace', fontSize: 12.5, scrollback: 20_000, theme: themes[dark ? 'dark' : 'light'],
		screenReaderMode: true, cursorBlink: false,
	});
	const fit = new FitAddon();
	term.loadAddon(fit);
	term.open(host);
	fit.fit();
	let id: number | undefined;
	const waiting: Uint8Array[] = [];
	client.onTerminal = (frame) => {
		if (id === undefined || frame.track === id)
			term.write(frame.bytes);
	};
	const encoder = new TextEncoder();
	term.onData((data) => {
		const bytes = encoder.encode(data);
		if (id === undefined)
			waiting.push(bytes);
		else
			client.sendInput(id, bytes);
	});
	term.onBinary((data) => {
		if (id !== undefined)
			client.sendInput(id, Uint8Array.from(data, (c) => c.charCodeAt(0)));
	});
	const size = new ResizeObserver(() => fit.fit());
	size.observe(host);
	term.onResize(({ cols, rows }) => {
		if (id !== undefined)
			client.request('terminal.resize', { terminal: id, columns: cols, rows }).catch(() => undefined);
	});
	const end = (): void => {
		size.disconnect();
		client.onTerminal = undefined;
		if (id !== undefined)
			client.request('terminal.close', { terminal: id }).catch(() => undefined);
		term.dispose();
	};
	try {
		id = (await client.request('terminal.open', { columns: term.cols, rows: term.rows })).terminal;
	} catch (error) {
		end();
		throw error;
	}
	for (const bytes of waiting.splice(0))
		client.sendInput(id, bytes);
	return end;
}
