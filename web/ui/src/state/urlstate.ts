// SPDX-License-Identifier: GPL-2.0-or-later
// What is looked at, as the part of the URL behind '#': it can be sent to somebody with the same trace.
import { icount, threadId } from '../lib/types.ts';
import type { SliceKey, ThreadId } from '../lib/types.ts';
import type { Span } from '../timeline/viewport.ts';

export interface UrlState {
	readonly view?: Span | undefined;
	readonly slice?: SliceKey | undefined;
	readonly area?: Span | undefined;
	readonly search?: string | undefined;
	readonly filter?: string | undefined;
	readonly tab?: string | undefined;
	readonly page?: string | undefined;
	readonly sql?: string | undefined;
	readonly pinned?: readonly ThreadId[] | undefined;
	readonly open?: readonly string[] | undefined;
}

const span = (text: string | null): Span | undefined => {
	const match = /^(-?\d+(?:\.\d+)?)-(-?\d+(?:\.\d+)?)$/.exec(text ?? '');
	const from = Number(match?.[1]);
	const to = Number(match?.[2]);
	return match && to > from ? { from, to } : undefined;
};

const number = (n: number): string => (Number.isInteger(n) ? n.toString() : n.toFixed(n < 1e6 ? 3 : 0));

export function write(s: UrlState): string {
	const q = new URLSearchParams();
	if (s.page)
		q.set('page', s.page);
	if (s.view)
		q.set('view', `${number(s.view.from)}-${number(s.view.to)}`);
	if (s.slice)
		q.set('slice', `${s.slice.start}.${s.slice.utid}.${s.slice.depth}`);
	if (s.area)
		q.set('area', `${number(s.area.from)}-${number(s.area.to)}`);
	for (const name of ['search', 'filter', 'tab', 'sql'] as const) {
		if (s[name])
			q.set(name, s[name]);
	}
	if (s.pinned?.length)
		q.set('pin', s.pinned.join('.'));
	if (s.open?.length)
		q.set('open', s.open.join('.'));
	return q.toString();
}

/** Whatever is there and makes sense; the rest is left out. */
export function read(hash: string): UrlState {
	const q = new URLSearchParams(hash.replace(/^#/, ''));
	const key = /^(\d+)\.(\d+)\.(\d+)$/.exec(q.get('slice') ?? '');
	const pinned = (q.get('pin') ?? '').split('.').filter((x) => /^\d+$/.test(x)).map((x) => threadId(Number(x)));
	const open = (q.get('open') ?? '').split('.').filter((x) => /^[gptc]\w+$/.test(x));
	const text = (name: string): string | undefined => q.get(name) ?? undefined;
	return {
		view: span(q.get('view')),
		slice: key ? { start: icount(Number(key[1])), utid: threadId(Number(key[2])), depth: Number(key[3]) } : undefined,
		area: span(q.get('area')),
		search: text('search'), filter: text('filter'), tab: text('tab'), page: text('page'), sql: text('sql'),
		pinned: pinned.length ? pinned : undefined,
		open: open.length ? open : undefined,
	};
}
