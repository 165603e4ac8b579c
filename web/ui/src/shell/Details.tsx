// SPDX-License-Identifier: GPL-2.0-or-later
// What is known of the selected call: itself, whence it was called, what it called, all calls like it.
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Methods, Slice, SliceDetails } from '../../../client/src/protocol.ts';
import { exact, hex, percent, short } from '../lib/format.ts';
import { kindNumber, kindWord } from '../lib/types.ts';
import { bounds, can, client, detailSection as section, goTo, page, search, selection, selectSlice, sliceEnd, threadById } from '../state/app.ts';
import { addMark } from '../state/marks.ts';
import { debugAt, whyNoDebugger } from '../state/debug.ts';
import { frameSelection, selectCallArea, toMatch, toNeighbour } from '../state/walk.ts';
import { copyText } from '../state/copy.ts';
import { sqlToRun } from '../state/sql.ts';
import { At, Bar, Costs, Empty, ErrorText, SliceLink, Swatch, useAsk } from './bits.tsx';
import { Calls } from './Calls.tsx';
import { Source } from './Source.tsx';

type Histogram = Methods['histogram']['result'];

function Place({ d }: { readonly d: SliceDetails }): JSX.Element {
	const s = d.slice;
	const f = d.function;
	const thread = s.utid === undefined ? undefined : threadById.value.get(s.utid);
	const end = sliceEnd(s);
	const wall = end - s.start;
	const line = (name: string, value: JSX.Element | string | undefined): JSX.Element | null => (value === undefined ? null : <><dt>{name}</dt><dd>{value}</dd></>);
	return (
		<dl class="facts">
			{line('Module', f.module ?? (f.space === 'kernel' ? 'kernel' : f.space))}
			{line('Source', f.file ? <button type="button" class="link mono" onClick={() => (section.value = 'source')}>{f.file}{f.line ? `:${f.line}` : ''}</button> : undefined)}
			{line('Address', f.address ? <span class="mono">{f.address}{f.size ? <span class="dim"> + {hex(f.size)}</span> : ''}</span> : undefined)}
			{line('Thread', thread ? <button type="button" class="link" onClick={() => (selection.value = { kind: 'thread', thread: thread.id })}>{thread.name} <span class="dim">{thread.tid}{thread.process !== thread.name ? ` of ${thread.process}` : ''}</span></button> : undefined)}
			{line('Kind', s.kind === 'call' ? undefined : kindWord(s.kind))}
			{line('From', <At at={s.start} />)}
			{line('To', s.dur < 0 ? <span class="dim">never returned</span> : <At at={end as never} />)}
			{line('Elapsed', <span title="From its begin to its end, time off the CPU included"><span class="num">{exact(wall)}</span> instructions</span>)}
			{line('On CPU', <span title="Without what other threads ran meanwhile"><span class="num">{exact(s.cpu)}</span> <span class="dim">{percent(s.cpu, wall)}</span></span>)}
			{line('Own', <span title="In itself, not in what it called"><span class="num">{exact(s.own)}</span> <span class="dim">{percent(s.own, s.cpu)}</span></span>)}
			{d.args.map((a) => line(a.name, <span class="mono">{a.value}</span>))}
		</dl>
	);
}

function HistogramView({ slice }: { readonly slice: Slice }): JSX.Element {
	const answer = useAsk<Histogram>(`${slice.function}`, (signal) => client.request('histogram', { function: slice.function }, { signal }));
	const h = answer.value;
	if (answer.error)
		return <ErrorText error={answer.error} />;
	if (!h)
		return <p class="dim">…</p>;
	const most = Math.max(1, ...h.bins.map((b) => b.calls));
	return (
		<div class="histogram">
			<p><b class="num">{exact(h.calls)}</b> calls{h.open ? ` and ${exact(h.open)} that never returned` : ''}. Median <b class="num">{short(h.median)}</b>, 90 % below <b class="num">{short(h.p90)}</b>, 99 % below <b class="num">{short(h.p99)}</b>, longest <b class="num">{short(h.max)}</b>.</p>
			<div class="bins" role="img" aria-label={`How long calls are: median ${h.median}, longest ${h.max} instructions`}>
				{h.bins.map((b) => (
					<div class={`bin${slice.dur >= b.from && slice.dur < b.to ? ' this' : ''}`} key={b.from} title={`${exact(b.calls)} calls of ${exact(b.from)} to ${exact(b.to - 1)} instructions`}>
						<span class="column" style={{ height: `${b.calls ? Math.max(2, (b.calls / most) * 88) : 0}px` }} /><span class="legend">{short(b.from)}</span>
					</div>
				))}
			</div>
			<p class="row">
				<button type="button" onClick={() => toNeighbour('previous')}>‹ Previous call <kbd>[</kbd></button>
				<button type="button" onClick={() => toNeighbour('next')}>Next call › <kbd>]</kbd></button>
				<button type="button" onClick={() => {
					page.value = 'sql';
					sqlToRun.value = { text: `select id, ts, dur, track_id, depth, name\nfrom slice\nwhere name = '${slice.name.replace(/'/g, "''")}'\norder by dur desc\nlimit 1000`, n: sqlToRun.value.n + 1 };
				}}>The longest, in SQL</button>
			</p>
		</div>
	);
}

function Inside({ slice }: { readonly slice: Slice }): JSX.Element {
	const answer = useAsk(`${slice.id}`, (signal) => client.request('children', { id: slice.id, limit: 100 }, { signal }));
	if (answer.error)
		return <ErrorText error={answer.error} />;
	const a = answer.value;
	if (!a)
		return <p class="dim">…</p>;
	const most = Math.max(1, ...a.slices.map((s) => s.cpu));
	return (
		<div class="two">
			<div><h3>By function</h3><Costs costs={a.functions} empty="It calls nothing that was traced." pick={(c) => {
				const first = a.slices.find((s) => s.function === c.function);
				if (first)
					selectSlice(first);
				else {
					search.value = c.name;
					void toMatch('next');
				}
			}} /></div>
			{a.slices.length > 0 && (
				<div><h3>Dearest calls</h3>
					<table class="costs"><tbody>
						{a.slices.map((s) => <tr key={s.id}><td><SliceLink slice={s} kind={kindNumber(s.kind)} /></td><td><Bar n={s.cpu} of={most} whole={slice.cpu} /></td><td class="r dim num">+{short(s.start - slice.start)}</td></tr>)}
					</tbody></table>
				</div>
			)}
		</div>
	);
}

function Chain({ slice }: { readonly slice: Slice }): JSX.Element {
	const answer = useAsk(`${slice.id}`, (signal) => client.request('ancestors', { id: slice.id }, { signal }));
	const chain = [...(answer.value?.slices ?? [])].reverse();
	return (
		<nav class="chain" aria-label="Called by">
			<h3>Called by <kbd>↑</kbd></h3>
			{answer.error && <ErrorText error={answer.error} />}
			{answer.value && chain.length === 0 && <p class="dim">Nobody: it is the outermost call of its thread.</p>}
			<ol>{chain.map((s) => <li key={s.id}><SliceLink slice={s} kind={kindNumber(s.kind)} /><span class="dim num"> {short(s.cpu)}</span></li>)}</ol>
		</nav>
	);
}

function ThreadDetails({ id }: { readonly id: number }): JSX.Element {
	const t = threadById.value.get(id as never);
	if (!t)
		return <Empty title="That thread is not in this trace." />;
	return (
		<div class="pane-pad">
			<h2>{t.name} <span class="dim">{t.isIdle ? 'idle task' : `tid ${t.tid}`}</span></h2>
			<dl class="facts">
				<dt>Process</dt><dd>{t.isKernel ? 'kernel' : `${t.process}, pid ${t.tgid}`}</dd>
				<dt>On CPU</dt><dd><span class="num">{exact(t.cpu)}</span> instructions <span class="dim">{percent(t.cpu, bounds.value.to - bounds.value.from)}</span></dd>
				<dt>Calls</dt><dd><span class="num">{exact(t.slices)}</span>, at most {t.lanes} deep</dd>
				{t.start !== undefined && <><dt>Began</dt><dd><At at={t.start as never} /></dd></>}
				{t.end !== undefined && <><dt>Ended</dt><dd><At at={t.end as never} /></dd></>}
			</dl>
			<p class="row"><button type="button" onClick={() => {
				selection.value = { kind: 'area', span: bounds.value, thread: t.id };
				goTo(bounds.value);
			}}>Its flame graph</button></p>
		</div>
	);
}

export function Details(): JSX.Element {
	const s = selection.value;
	const key = s?.kind === 'slice' ? s.key : undefined;
	const answer = useAsk<SliceDetails>(key && `${key.start}.${key.utid}.${key.depth}`, (signal) =>
		client.request('slice', s?.kind === 'slice' && s.slice ? { id: s.slice.id } : { key: key! }, { signal }));
	const d = answer.value;
	useEffect(() => {
		const now = selection.value;
		if (d && now?.kind === 'slice' && !now.slice && now.key.start === d.slice.start)
			selection.value = { ...now, slice: d.slice };
	}, [d]);
	if (s?.kind === 'thread')
		return <ThreadDetails id={s.thread} />;
	if (!key) {
		return (
			<Empty title="Nothing is selected">
				<p>Click a call to see what it is, drag over the timeline to select an area, or press <kbd>/</kbd> to search for a function.</p>
				<p><kbd>W</kbd> <kbd>S</kbd> zoom, <kbd>A</kbd> <kbd>D</kbd> move, <kbd>?</kbd> shows all keys.</p>
			</Empty>
		);
	}
	if (answer.error)
		return <ErrorText error={answer.error} what="This call could not be read" />;
	if (!d)
		return <p class="pane-pad dim">…</p>;
	const why = whyNoDebugger();
	const kind = kindNumber(d.slice.kind);
	const tabs = [['children', 'What it calls'], ['histogram', 'All its calls'], ['source', 'Source'], ...(can('calls') ? [['arguments', 'Arguments'] as const] : [])] as const;
	return (
		<div class="details">
			<div class="detail-main">
				<h2 class="mono"><Swatch fn={d.slice.function} kind={kind} />{d.function.name}</h2>
				<p class="row">
					<button type="button" disabled={!!why} title={why ?? 'Takes the replay to the first instruction of this call'} onClick={() => debugAt(d.slice.start)}>Debug here <kbd>H</kbd></button>
					<button type="button" onClick={() => frameSelection()}>Show all <kbd>F</kbd></button>
					<button type="button" onClick={() => addMark(d.slice.start)}>Mark <kbd>M</kbd></button>
					<button type="button" onClick={() => (search.value = d.function.name)}>Find all</button>
					<button type="button" onClick={() => copyText()}>Copy <kbd>Y</kbd></button>
					<button type="button" title="What ran in this call, as a flame graph and as a table" onClick={() => selectCallArea()}>Add up <kbd>Shift+V</kbd></button>
				</p>
				<Place d={d} />
			</div>
			<Chain slice={d.slice} />
			<div class="detail-more">
				<div class="subtabs" role="tablist" aria-label="More of this call">
					{tabs.map(([id, title]) => <button type="button" role="tab" key={id} aria-selected={section.value === id} class={section.value === id ? 'on' : ''} onClick={() => (section.value = id)}>{title}</button>)}
				</div>
				<div class="subpane" role="tabpanel">
					{section.value === 'children' && <Inside slice={d.slice} />}
					{section.value === 'histogram' && <HistogramView slice={d.slice} />}
					{section.value === 'source' && <Source file={d.function.file} line={d.function.line} name={d.function.name} />}
					{section.value === 'arguments' && <Calls d={d} />}
				</div>
			</div>
		</div>
	);
}
