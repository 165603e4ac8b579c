// SPDX-License-Identifier: GPL-2.0-or-later
// What is looked at, as the part of the URL behind '#': it can be sent to somebody with the same recording,
// who may have traced it otherwise. So a call is START:TID:DEPTH, as 'dejaview debug --slice' takes it, and a
// thread is TID:NAME, with '@' and its start where that is not one thread alone. Links of older versions had
// rows of threads in this trace; they are still read.
import { icount, threadId } from '../lib/types.ts';
import type { Icount, SliceKey, ThreadId } from '../lib/types.ts';
import type { Span } from '../timeline/viewport.ts';

export interface Named {
	readonly id: ThreadId;
	readonly tid: number;
	readonly name: string;
	readonly start: number | undefined;
}

/** What names a call in every trace of the recording. */
export interface Place {
	readonly start: Icount;
	readonly tid?: number;
	readonly depth: number;
}

export interface UrlState {
	readonly view?: Span | undefined;
	readonly slice?: SliceKey | undefined;
	/** Of a link that was read: the same, whatever rows this trace has. */
	readonly place?: Place | undefined;
	readonly area?: Span | undefined;
	/** The thread that the area is of alone. */
	readonly on?: ThreadId | undefined;
	readonly search?: string | undefined;
	readonly filter?: string | undefined;
	readonly tab?: string | undefined;
	readonly page?: string | undefined;
	readonly sql?: string | undefined;
	readonly pinned?: readonly ThreadId[] | undefined;
	/** Keys of rows. */
	readonly open?: readonly string[] | undefined;
}

const span = (text: string | null): Span | undefined => {
	const match = /^(-?\d+(?:\.\d+)?)-(-?\d+(?:\.\d+)?)$/.exec(text ?? '');
	const from = Number(match?.[1]);
	const to = Number(match?.[2]);
	return match && to > from ? { from, to } : undefined;
};

const number = (n: number): string => (Number.isInteger(n) ? n.toString() : n.toFixed(n < 1e6 ? 3 : 0));

function nameOf(id: ThreadId, threads: readonly Named[]): string | undefined {
	const thread = threads.find((t) => t.id === id);
	if (!thread)
		return undefined;
	const alike = threads.filter((t) => t.tid === thread.tid && t.name === thread.name);
	return `${thread.tid}:${thread.name}${alike.length > 1 && thread.start !== undefined ? `@${thread.start}` : ''}`;
}

/** The thread that a link means; one whose name has changed since is still the only one of its tid. */
function threadNamed(text: string, threads: readonly Named[]): ThreadId | undefined {
	const match = /^(\d+):(.*?)(?:@(\d+))?$/.exec(text);
	if (!match)
		return undefined;
	const same = threads.filter((t) => t.tid === Number(match[1]));
	const alike = same.filter((t) => t.name === match[2] || t.name === text.slice(match[1]!.length + 1));
	return (alike.find((t) => t.start === Number(match[3])) ?? alike[0] ?? (same.length === 1 ? same[0] : undefined))?.id;
}

/** A row's key: of a group as it is, of a thread by its name; p is a pinned one. */
function rowName(key: string, threads: readonly Named[]): string | undefined {
	const match = /^([tp])(\d+)$/.exec(key);
	if (!match)
		return key;
	const name = nameOf(threadId(Number(match[2])), threads);
	return name && (match[1] === 'p' ? `pin:${name}` : name);
}

function rowKeys(text: string, threads: readonly Named[]): readonly string[] {
	if (/^[gptc]\w+(\.[gptc]\w+)*$/.test(text))
		return text.split('.');
	const isPinned = text.startsWith('pin:');
	const id = threadNamed(isPinned ? text.slice(4) : text, threads);
	return id === undefined ? [] : [`${isPinned ? 'p' : 't'}${id}`];
}

export function write(s: UrlState, threads: readonly Named[]): string {
	const q = new URLSearchParams();
	const append = (name: string, value: string | undefined): void => {
		if (value)
			q.append(name, value);
	};
	append('page', s.page);
	append('view', s.view && `${number(s.view.from)}-${number(s.view.to)}`);
	if (s.slice) {
		const { start, utid, depth } = s.slice;
		append('slice', `${start}:${threads.find((t) => t.id === utid)?.tid ?? ''}:${depth}`);
	}
	append('area', s.area && `${number(s.area.from)}-${number(s.area.to)}`);
	append('on', s.on === undefined ? undefined : nameOf(s.on, threads));
	for (const name of ['search', 'filter', 'tab', 'sql'] as const)
		append(name, s[name]);
	for (const id of s.pinned ?? [])
		append('pin', nameOf(id, threads));
	for (const key of s.open ?? [])
		append('open', rowName(key, threads));
	// As legible as a URL may be.
	return q.toString().replace(/%3A/g, ':').replace(/%2F/g, '/').replace(/%40/g, '@');
}

/** Whatever is there and makes sense; the rest is left out. */
export function read(hash: string, threads: readonly Named[]): UrlState {
	const q = new URLSearchParams(hash.replace(/^#/, ''));
	const slice = q.get('slice') ?? '';
	const place = /^(\d+):(\d*):(\d+)$/.exec(slice);
	const key = /^(\d+)\.(\d+)\.(\d+)$/.exec(slice);
	const pinned = q.getAll('pin').flatMap((x) => (/^\d+(\.\d+)*$/.test(x) ? x.split('.').map((n) => threadId(Number(n))) : threadNamed(x, threads) ?? []));
	const open = q.getAll('open').flatMap((x) => rowKeys(x, threads));
	const text = (name: string): string | undefined => q.get(name) ?? undefined;
	return {
		view: span(q.get('view')),
		place: place ? { start: icount(Number(place[1])), ...(place[2] ? { tid: Number(place[2]) } : {}), depth: Number(place[3]) } : undefined,
		slice: key ? { start: icount(Number(key[1])), utid: threadId(Number(key[2])), depth: Number(key[3]) } : undefined,
		area: span(q.get('area')), on: threadNamed(text('on') ?? '', threads),
		search: text('search'), filter: text('filter'), tab: text('tab'), page: text('page'), sql: text('sql'),
		pinned: pinned.length ? pinned : undefined,
		open: open.length ? open : undefined,
	};
}
