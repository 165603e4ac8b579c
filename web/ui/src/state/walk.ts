// SPDX-License-Identifier: GPL-2.0-or-later
// From one slice to another: to its caller, into it, to the next call of the function, to the next match.
import { batch, signal } from '@preact/signals';
import type { Direction, Slice } from '../../../client/src/protocol.ts';
import { icount, sliceId } from '../lib/types.ts';
import type { ThreadId } from '../lib/types.ts';
import { searchGlob } from '../lib/glob.ts';
import {
	bounds, client, drawerOpen, goTo, here, notify, page, report, search, selection, selectSlice, sliceSpan, tab, threadOf, view,
} from './app.ts';
import { frame } from '../timeline/viewport.ts';
import type { Span } from '../timeline/viewport.ts';

/** The selected slice with its row; asks for it when only its key is known. */
export async function selected(): Promise<Slice | undefined> {
	const s = selection.value;
	if (s?.kind !== 'slice')
		return undefined;
	if (s.slice)
		return s.slice;
	return (await client.request('slice', { key: s.key })).slice;
}

/** What number of the matches the page has come to, from 0: of this search, and of this slice. */
export const matchAt = signal<{ readonly glob: string; readonly id: number; readonly index: number } | undefined>(undefined);

let busy = false;
/** One step at a time: a key that is held does not pile up requests. */
async function step(what: string, find: (from: Slice) => Promise<Slice | undefined>, none: string): Promise<void> {
	if (busy)
		return;
	busy = true;
	try {
		const from = await selected();
		if (!from) {
			notify('info', 'Select a call first: click on one.');
			return;
		}
		const to = await find(from);
		if (to)
			selectSlice(to);
		else
			notify('info', none);
	} catch (error) {
		report(what, error);
	} finally {
		busy = false;
	}
}

export const toParent = (): Promise<void> => step('The caller could not be found', async (s) =>
	(await client.request('slice', { id: s.id })).parent, 'This is the outermost call of its thread.');

export const toChild = (): Promise<void> => step('Its calls could not be read', async (s) => {
	const { slices } = await client.request('children', { id: s.id, limit: 1 });
	return slices[0];
}, 'It calls nothing that was traced.');

export const toNeighbour = (direction: Direction): Promise<void> => step('The call could not be found', async (s) =>
	(await client.request('neighbour', { id: s.id, direction })).slice,
direction === 'next' ? 'There is no later call of this function.' : 'There is no earlier call of this function.');

/** The slice beside it: same thread, same depth, by the slices around its ends. */
export const toSibling = (direction: Direction): Promise<void> => step('The call could not be found', async (s) => {
	const at = direction === 'next' ? sliceSpan(s).to : s.start - 1;
	const table = direction === 'next' ? `ts >= ${at} order by ts limit 1` : `ts <= ${at} order by ts desc limit 1`;
	let id: number | undefined;
	await client.request('query', { sql: `select id from slice where track_id = ${s.track} and depth = ${s.depth} and ${table}` }, {
		onPart: (part) => {
			const value = part.rows[0]?.[0];
			if (typeof value === 'number')
				id = value;
		},
	});
	return id === undefined ? undefined : (await client.request('slice', { id: sliceId(id) })).slice;
}, 'There is no other call at this depth.');

export async function toMatch(direction: Direction): Promise<void> {
	const glob = searchGlob(search.value);
	if (glob === '' || busy)
		return;
	busy = true;
	try {
		const from = await selected();
		const middle = Math.max(bounds.value.from, (view.value.from + view.value.to) / 2);
		const place = from ? { icount: from.start, id: from.id } : { icount: here.value ?? icount(direction === 'next' ? Math.max(0, view.value.from) : middle) };
		let { slice, index } = await client.request('searchNext', { glob, direction, ...place });
		if (!slice) {
			const end = icount(direction === 'next' ? bounds.value.from : bounds.value.to);
			({ slice, index } = await client.request('searchNext', { glob, direction, icount: end }));
			if (slice)
				notify('info', direction === 'next' ? 'From the beginning again.' : 'From the end again.');
		}
		if (slice) {
			matchAt.value = index === undefined ? undefined : { glob, id: slice.id, index };
			selectSlice(slice);
		} else
			notify('info', `Nothing that was called fits ${glob}.`);
	} catch (error) {
		report('The search failed', error);
	} finally {
		busy = false;
	}
}

export function selectArea(span: Span, thread: ThreadId | undefined): void {
	const all = bounds.value;
	const from = Math.max(all.from, Math.floor(span.from));
	batch(() => {
		selection.value = { kind: 'area', span: { from, to: Math.max(from + 1, Math.min(all.to, Math.ceil(span.to))) }, thread };
		tab.value = 'area';
		drawerOpen.value = true;
		page.value = 'timeline';
	});
}

export const selectView = (): void => selectArea(view.value, undefined);

/** What ran in the selected call, or thread: as an area of that thread alone. */
export async function selectCallArea(): Promise<void> {
	const s = selection.value;
	if (s?.kind === 'thread') {
		selectArea(bounds.value, s.thread);
		return;
	}
	const slice = await selected().catch(() => undefined);
	if (slice)
		selectArea(sliceSpan(slice), threadOf(slice));
	else
		notify('info', 'Select a call or a thread first.');
}

export async function frameSelection(): Promise<void> {
	const s = selection.value;
	if (s?.kind === 'area') {
		goTo(frame(s.span, bounds.value));
		return;
	}
	const slice = await selected().catch(() => undefined);
	if (slice)
		goTo(frame(sliceSpan(slice), bounds.value));
	else
		goTo(bounds.value);
}
