// SPDX-License-Identifier: GPL-2.0-or-later
// A source file at a line, where the source is there.
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { client } from '../state/app.ts';
import { dark } from '../state/settings.ts';
import { Empty, ErrorText, useAsk } from './bits.tsx';

interface Props {
	readonly file: string | undefined;
	readonly line: number | undefined;
	readonly name: string;
}

export function Source({ file, line, name }: Props): JSX.Element {
	const host = useRef<HTMLDivElement>(null);
	const answer = useAsk(file && `${file}:${line ?? 0}`, (signal) => client.request('source', { file: file!, ...(line ? { line } : {}) }, { signal }));
	const text = answer.value;
	const isDark = dark.value;
	useEffect(() => {
		if (!text || !host.current)
			return undefined;
		let view: { destroy: () => void } | undefined;
		let gone = false;
		void import('./editor.ts').then(({ showSource }) => {
			if (!gone && host.current)
				view = showSource(host.current, text.text, text.firstLine, line, isDark);
		});
		return () => {
			gone = true;
			view?.destroy();
		};
	}, [text, isDark]);
	if (!file) {
		return <Empty title="No source line is known"><p>The trace has no line for <code>{name}</code>: its kernel or program has no debug information at hand. Give <code>dejaview trace --debug-info</code> a vmlinux with DWARF.</p></Empty>;
	}
	if (answer.error)
		return <ErrorText error={answer.error} what={`${file}${line ? `:${line}` : ''}`} />;
	if (!text)
		return <p class="dim">…</p>;
	return <div class="source"><p class="dim mono">{text.path}</p><div ref={host} class="source-view" /></div>;
}
