// SPDX-License-Identifier: GPL-2.0-or-later
// The user's marks: moments and slices with a name and a note, kept by the daemon beside the recording.
import type { Mark } from '../../../client/src/protocol.ts';
import { RequestError } from '../../../client/src/client.ts';
import { can, client, drawerOpen, marks, report, selection, tab, threadById } from './app.ts';
import type { Icount } from '../lib/types.ts';

let revision = 0;
export const marksFile = { path: '' };

export const markColours = ['#e8590c', '#d6336c', '#7048e8', '#1c7ed6', '#0ca678', '#f08c00'] as const;

const sorted = (list: readonly Mark[]): readonly Mark[] => [...list].sort((a, b) => a.icount - b.icount);

export function takeMarks(list: readonly Mark[], newRevision: number): void {
	revision = newRevision;
	marks.value = sorted(list);
}

export async function loadMarks(): Promise<void> {
	if (!can('marks.get'))
		return;
	try {
		const answer = await client.request('marks.get', {});
		marksFile.path = answer.path;
		takeMarks(answer.marks, answer.revision);
	} catch (error) {
		report('Marks could not be read', error);
	}
}

/** Changes the marks by a function of them; when somebody else was quicker, of theirs. */
export async function changeMarks(change: (old: readonly Mark[]) => readonly Mark[]): Promise<void> {
	for (let attempt = 0; ; attempt++) {
		const before = marks.value;
		const wanted = sorted(change(before));
		marks.value = wanted;
		try {
			revision = (await client.request('marks.set', { marks: wanted, revision })).revision;
			return;
		} catch (error) {
			marks.value = before;
			if (attempt < 3 && error instanceof RequestError && error.code === 'busy') {
				await loadMarks();
				continue;
			}
			report('The mark could not be kept', error);
			return;
		}
	}
}

export function addMark(at: Icount, name?: string): Promise<void> {
	const s = selection.value;
	const onSlice = s?.kind === 'slice' && s.key.start === at ? s : undefined;
	// Rows of threads differ from trace to trace; this stays.
	const tid = onSlice && threadById.value.get(onSlice.key.utid)?.tid;
	const mark: Mark = {
		id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.round(performance.now() * 1000)}`,
		icount: at,
		name: name ?? onSlice?.slice?.name ?? `Mark ${marks.value.length + 1}`,
		colour: markColours[marks.value.length % markColours.length]!,
		...(onSlice ? { depth: onSlice.key.depth, ...(tid === undefined ? {} : { tid }) } : {}),
	};
	tab.value = 'marks';
	drawerOpen.value = true;
	return changeMarks((old) => [...old, mark]);
}

export const removeMark = (id: string): Promise<void> => changeMarks((old) => old.filter((m) => m.id !== id));
export const editMark = (id: string, what: Partial<Pick<Mark, 'name' | 'note' | 'colour'>>): Promise<void> =>
	changeMarks((old) => old.map((m) => (m.id === id ? { ...m, ...what } : m)));
