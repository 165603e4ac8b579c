// SPDX-License-Identifier: GPL-2.0-or-later
// One box for everything: a function or glob to search, > a command, : SQL, @ an instruction count.
import { signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import type { JSX } from 'preact';
import { exact, parseCount, plural } from '../lib/format.ts';
import { fuzzy, searchGlob } from '../lib/glob.ts';
import { shown } from '../lib/keys.ts';
import { icount } from '../lib/types.ts';
import { bounds, cursor, functions, goTo, page, search, threads, view, selection, openThread, scrollTo } from '../state/app.ts';
import { commands, omnibox } from '../state/commands.ts';
import { matchAt, toMatch } from '../state/walk.ts';
import { reveal } from '../timeline/viewport.ts';
import { timeline } from './Stage.tsx';
import { sqlToRun } from '../state/sql.ts';

interface Choice {
	readonly key: string;
	readonly title: string;
	readonly detail: string;
	readonly hint?: string | undefined;
	readonly run: () => unknown;
}

const text = signal('');
const focused = signal(false);
const chosen = signal(0);

function goToCount(n: number): void {
	cursor.value = icount(n);
	goTo(reveal(view.value, n, bounds.value));
}

function choices(): readonly Choice[] {
	const t = text.value;
	if (t.startsWith('>')) {
		const query = t.slice(1).trim();
		return commands.map((c) => ({ c, score: fuzzy(query, `${c.title} ${c.group}`) })).filter((x) => x.score !== undefined && !x.c.held)
			.sort((a, b) => (query ? b.score! - a.score! : 0)).slice(0, 60).map(({ c }) => ({
				key: c.id, title: c.title, detail: c.group, hint: c.keys[0], run: c.run,
			}));
	}
	if (t.startsWith(':')) {
		const sql = t.slice(1).trim();
		return [{ key: 'sql', title: sql ? 'Run it on the SQL page' : 'Open the SQL page', detail: sql, run: () => {
			page.value = 'sql';
			if (sql)
				sqlToRun.value = { text: sql, n: sqlToRun.value.n + 1 };
		} }];
	}
	const count = parseCount(t.replace(/^@/, ''));
	const list: Choice[] = [];
	if (!Number.isNaN(count)) {
		const inside = count >= bounds.value.from && count < bounds.value.to;
		list.push({ key: '@', title: `Go to ${exact(count)}`, detail: inside ? 'instruction count' : 'outside of this trace', run: () => goToCount(Math.min(Math.max(count, bounds.value.from), bounds.value.to - 1)) });
	}
	if (t.startsWith('@') || t.trim() === '')
		return list;
	list.push({ key: 'search', title: /[*?[]/.test(t) ? t : `*${t.trim()}*`, detail: 'search all calls', hint: 'Enter', run: () => {
		search.value = t.trim();
		void toMatch('next');
	} });
	void functions.version.value;
	for (const f of functions.complete(t, 9)) {
		list.push({ key: `f${f.id}`, title: f.name, detail: f.module ?? (f.file ? `${f.file}:${f.line ?? ''}` : f.space === 'kernel' ? 'kernel' : f.space), run: () => {
			text.value = f.name;
			search.value = f.name;
			void toMatch('next');
		} });
	}
	const word = t.trim().toLowerCase();
	for (const thread of threads.value.filter((x) => x.name.toLowerCase().includes(word)).slice(0, 4)) {
		list.push({ key: `t${thread.id}`, title: thread.name, detail: `thread ${thread.tid}`, run: () => {
			selection.value = { kind: 'thread', thread: thread.id };
			openThread(thread.id);
			scrollTo.lane(thread.id, 0);
		} });
	}
	return list;
}

export function Omnibox(): JSX.Element {
	const input = useRef<HTMLInputElement>(null);
	const asked = omnibox.value;
	useLayoutEffect(() => {
		if (asked.n === 0 || !input.current)
			return;
		text.value = input.current.value = asked.text || search.value;
		input.current.focus();
		if (asked.text)
			input.current.setSelectionRange(99, 99);
		else
			input.current.select();
	}, [asked.n]);
	// The search may be cleared or set from elsewhere.
	const known = search.value;
	useEffect(() => {
		if (!focused.value)
			text.value = known;
	}, [known]);
	const list = focused.value ? choices() : [];
	const at = Math.min(chosen.value, list.length - 1);
	const done = (choice: Choice | undefined): void => {
		input.current?.blur();
		if (text.value.startsWith('>') || text.value.startsWith(':') || text.value.startsWith('@'))
			text.value = search.value;
		document.querySelector<HTMLElement>('.scroller')?.focus({ preventScroll: true });
		choice?.run();
	};
	const keys = (e: KeyboardEvent): void => {
		if (e.key === 'ArrowDown')
			chosen.value = Math.min(list.length - 1, at + 1);
		else if (e.key === 'ArrowUp')
			chosen.value = Math.max(0, at - 1);
		else if (e.key === 'Enter')
			done(list[at] ?? (text.value.trim() === '' ? { key: '', title: '', detail: '', run: () => (search.value = '') } : undefined));
		else if (e.key === 'Escape') {
			if (search.value && text.value === search.value)
				search.value = '';
			done(undefined);
		} else
			return;
		e.preventDefault();
		e.stopPropagation();
	};
	const total = timeline.current?.feed.total.value;
	const waiting = known !== '' && !total;
	const s = selection.value;
	const match = matchAt.value;
	const nth = s?.kind === 'slice' && s.slice && match?.id === s.slice.id && match.glob === searchGlob(known) ? match.index : undefined;
	return (
		<div class={`omnibox${focused.value ? ' open' : ''}`}>
			<svg class="glass" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true"><circle cx="7" cy="7" r="4.5" fill="none" stroke="currentColor" stroke-width="1.6" /><path d="M10.5 10.5 14 14" stroke="currentColor" stroke-width="1.6" /></svg>
			<input ref={input} type="text" id="omnibox" role="combobox" aria-label="Search functions; > commands, : SQL, @ instruction count" aria-expanded={list.length > 0}
				aria-controls="omnibox-list" aria-activedescendant={list[at] ? `choice-${list[at].key}` : undefined} aria-autocomplete="list" spellcheck={false} autocomplete="off"
				placeholder="Search functions  ·  > commands  ·  : SQL  ·  @ count" value={text.value}
				onInput={(e) => {
					text.value = e.currentTarget.value;
					chosen.value = 0;
				}}
				onFocus={() => {
					focused.value = true;
					chosen.value = 0;
				}}
				onBlur={() => (focused.value = false)} onKeyDown={keys} />
			{known !== '' && !focused.value && (
				<span class="found" role="status">
					{waiting ? 'searching…' : total!.matches === 0 ? 'nothing found' : nth === undefined ? plural(total!.matches, 'call') : `${exact(nth + 1)} of ${plural(total!.matches, 'call')}`}
					<button type="button" aria-label="Previous match" title="Previous match (Shift+N)" onClick={() => toMatch('previous')}>‹</button>
					<button type="button" aria-label="Next match" title="Next match (N)" onClick={() => toMatch('next')}>›</button>
					<button type="button" aria-label="Clear the search" title="Clear (Esc)" onClick={() => (search.value = '')}>×</button>
				</span>
			)}
			{!focused.value && known === '' && <kbd>/</kbd>}
			{list.length > 0 && (
				<ul id="omnibox-list" role="listbox" aria-label="Suggestions">
					{list.map((choice, i) => (
						<li key={choice.key} id={`choice-${choice.key}`} role="option" aria-selected={i === at} class={i === at ? 'at' : ''} onPointerDown={(e) => {
							e.preventDefault();
							done(choice);
						}} ref={(li) => {
							if (i === at)
								li?.scrollIntoView({ block: 'nearest' });
						}}>
							<span class="title">{choice.title}</span><span class="detail">{choice.detail}</span>{choice.hint && <kbd>{shown(choice.hint)}</kbd>}
						</li>
					))}
				</ul>
			)}
		</div>
	);
}
