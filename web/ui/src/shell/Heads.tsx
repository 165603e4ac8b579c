// SPDX-License-Identifier: GPL-2.0-or-later
// The tracks' names, as a tree: only those in sight exist as elements.
import type { JSX } from 'preact';
import { exact, short } from '../lib/format.ts';
import { filter, pinned, selection } from '../state/app.ts';
import type { ThreadId } from '../lib/types.ts';
import type { Layout, Row } from '../timeline/layout.ts';

interface Props {
	readonly state: { readonly layout: Layout; readonly scrollTop: number; readonly height: number } | undefined;
	readonly toggle: (row: Row) => void;
	readonly pick: (row: Row) => void;
	readonly pin: (thread: ThreadId) => void;
}

export function selectedThread(): ThreadId | undefined {
	const s = selection.value;
	return s?.kind === 'slice' ? s.key.utid : s?.kind === 'thread' ? s.thread : s?.thread;
}

/** A row whose top has been scrolled away still shows its name, below the rows that stay. */
function Head({ row, y, props }: { readonly row: Row; readonly y: number; readonly props: Props }): JSX.Element {
	const hidden = row.pinned ? 0 : Math.max(0, Math.min((props.state?.layout.pinnedHeight ?? 0) - y, row.height - 46));
	const style = { top: `${y}px`, height: `${row.height}px`, paddingLeft: `${6 + row.indent * 14}px`, paddingTop: `${hidden}px` };
	if (row.kind === 'cpu') {
		return (
			<div class="head cpu" style={style} role="treeitem" aria-label={`CPU ${row.cpu}: who runs`}>
				<span class="name">CPU {row.cpu}</span><span class="meta">who runs</span>
			</div>
		);
	}
	const title = row.kind === 'group' ? row.title : row.thread.name;
	const arrow = (
		<button type="button" class="arrow" aria-label={`${row.open ? 'Close' : 'Open'} ${title}`} aria-expanded={row.open} onClick={() => props.toggle(row)}>
			<svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true" class={row.open ? 'down' : ''}><path d="M3 1.5 L7 5 L3 8.5" fill="none" stroke="currentColor" stroke-width="1.6" /></svg>
		</button>
	);
	if (row.kind === 'group') {
		return (
			<div class="head group" style={style} role="treeitem" aria-expanded={row.open} aria-label={`${row.title}, ${row.threads.length} threads`}>
				{arrow}<span class="name" title={row.title} onClick={() => props.toggle(row)}>{row.title}</span>
				<span class="meta">{row.detail}{row.key === 'gkernel' ? '' : ` · ${row.threads.length}`}</span>
			</div>
		);
	}
	const t = row.thread;
	const isPinned = pinned.value.includes(t.id);
	const tip = `${t.name}\ntid ${t.tid}, pid ${t.tgid}${t.isKernel ? ', kernel thread' : ''}\n${exact(t.cpu)} instructions on the CPU\n${exact(t.slices)} calls, ${t.lanes} deep`;
	return (
		<div class={`head thread${selectedThread() === t.id ? ' selected' : ''}`} style={style} role="treeitem" aria-expanded={row.open} aria-label={`Thread ${t.name}, ${t.tid}`} title={tip}>
			{arrow}<span class="name" onClick={() => props.pick(row)}>{t.name}</span>
			<span class="meta">{t.isIdle ? '' : t.tid}</span>
			<button type="button" class={`pin${isPinned ? ' on' : ''}`} aria-pressed={isPinned} aria-label={`Pin ${t.name}`} title="Pin (P)" onClick={() => props.pin(t.id)}>
				<svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true"><path d="M4 1.5h4l-.6 3.2 2 2H2.6l2-2zM6 6.8v4" fill="currentColor" stroke="currentColor" stroke-width="1" stroke-linejoin="round" /></svg>
			</button>
			{row.open && row.height > 60 && <span class="under">{short(t.cpu)} insns · {short(t.slices)} calls</span>}
		</div>
	);
}

export function Heads(props: Props): JSX.Element {
	const state = props.state;
	const scrolled: JSX.Element[] = [];
	const fixed: JSX.Element[] = [];
	for (const row of state?.layout.rows ?? []) {
		if (row.pinned) {
			fixed.push(<Head key={row.key} row={row} y={row.y} props={props} />);
			continue;
		}
		const y = row.y - state!.scrollTop;
		if (y + row.height > state!.layout.pinnedHeight && y < state!.height)
			scrolled.push(<Head key={row.key} row={row} y={y} props={props} />);
	}
	const none = scrolled.length === 0 && filter.value.trim() !== '';
	return (
		<div class="heads" role="tree" aria-label="Tracks">
			{scrolled}
			{none && <p class="none">No track is called “{filter.value}”.</p>}
			<div class="heads-fixed" style={{ height: `${state?.layout.pinnedHeight ?? 0}px` }}>{fixed}</div>
		</div>
	);
}
