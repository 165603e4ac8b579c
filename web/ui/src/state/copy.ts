// SPDX-License-Identifier: GPL-2.0-or-later
// The selection as text, to be pasted into a mail.
import { client, notify, report, selection, threadById } from './app.ts';
import { exact } from '../lib/format.ts';
import { selected } from './walk.ts';

export async function toClipboard(text: string, what: string): Promise<void> {
	try {
		await navigator.clipboard.writeText(text);
		notify('info', `${what} copied.`);
	} catch (error) {
		report('The browser did not allow copying', error);
	}
}

/** The call with whence it was called, the innermost last. */
export async function copyText(): Promise<void> {
	const marked = window.getSelection()?.toString();
	if (marked) {
		await toClipboard(marked, 'Text');
		return;
	}
	const s = selection.value;
	if (s?.kind === 'area') {
		await toClipboard(`${s.span.from}-${s.span.to}`, 'The area');
		return;
	}
	try {
		const slice = await selected();
		if (!slice)
			return;
		const { slices } = await client.request('ancestors', { id: slice.id });
		const thread = slice.utid === undefined ? undefined : threadById.value.get(slice.utid);
		const lines = [...slices, slice].map((f, depth) => `${'  '.repeat(depth)}${f.name}  @${f.start}`);
		const head = thread ? `${thread.name} (tid ${thread.tid}), ${exact(Math.max(0, slice.dur))} instructions` : '';
		await toClipboard([head, ...lines].filter((l) => l).join('\n'), 'The call and its callers');
	} catch (error) {
		report('The call could not be copied', error);
	}
}
