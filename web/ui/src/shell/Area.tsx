// SPDX-License-Identifier: GPL-2.0-or-later
// The selected area: a flame graph, what each function cost, who calls whom.
import { signal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import type { JSX } from 'preact';
import { none } from '../../../client/src/protocol.ts';
import type { Cost, FunctionStatsFrame, TreeFrame } from '../../../client/src/protocol.ts';
import { exact, short } from '../lib/format.ts';
import { matcher } from '../lib/glob.ts';
import { functionId, icount } from '../lib/types.ts';
import type { Icount, ThreadId } from '../lib/types.ts';
import { bounds, client, cursor, functions, goTo, search, selection, threadById } from '../state/app.ts';
import { frame as frameSpan } from '../timeline/viewport.ts';
import { selectView, toMatch } from '../state/walk.ts';
import { Bar, Costs, Empty, ErrorText, Swatch, useAsk, Waiting } from './bits.tsx';
import { Flame } from './Flame.tsx';
import { VList } from './VList.tsx';

type Column = 'name' | 'calls' | 'total' | 'own' | 'elapsed' | 'max';
const sort = signal<{ readonly by: Column; readonly up: boolean }>({ by: 'own', up: false });
const filter = signal('');
const picked = signal<number | undefined>(undefined);
const mode = signal<'flame' | 'table'>('flame');

function Table({ stats }: { readonly stats: FunctionStatsFrame }): JSX.Element {
	void functions.version.value;
	const { by, up } = sort.value;
	const text = filter.value;
	const rows = useMemo(() => {
		const fits = matcher(text);
		const name = (i: number): string => functions.get(stats.function[i]!)?.name ?? '';
		const list = Array.from({ length: stats.rows }, (_, i) => i).filter((i) => text === '' || fits(name(i)));
		const value = by === 'name' ? undefined : stats[by];
		list.sort((a, b) => (value ? value[a]! - value[b]! : name(a).localeCompare(name(b))) * (up ? 1 : -1));
		return list;
	}, [stats, by, up, text, functions.version.value]);
	const most = useMemo(() => {
		const greatest = (column: Float64Array): number => column.reduce((a, b) => Math.max(a, b), 0);
		return { own: greatest(stats.own), total: greatest(stats.total), elapsed: greatest(stats.elapsed) };
	}, [stats]);
	const head = (column: Column, title: string, c = '', hint?: string): JSX.Element => (
		<span role="columnheader" class={c} title={hint} aria-sort={by === column ? (up ? 'ascending' : 'descending') : 'none'}>
			<button type="button" onClick={() => (sort.value = { by: column, up: by === column ? !up : column === 'name' })}>{title}{by === column ? (up ? ' ↑' : ' ↓') : ''}</button>
		</span>
	);
	return (
		<div class="stats" role="table" aria-label="Functions in the area">
			<div class="stats-head stats-row" role="row">{head('name', `Function (${exact(rows.length)})`)}{head('calls', 'Calls', 'r')}{head('own', 'Own', '', 'Instructions in the function itself')}{head('total', 'Total on CPU', '', 'Instructions in it and in what it called, without what other threads ran meanwhile; of recursive calls the outermost counts')}{head('elapsed', 'Elapsed', '', 'From its calls’ begins to their ends, time off the CPU included; of recursive calls the outermost counts, and calls of several threads count each')}{head('max', 'Longest', 'r', 'The most that one call took, on the CPU')}</div>
			<VList class="stats-body" label="Functions" role="rowgroup" count={rows.length} rowHeight={24} row={(n) => {
				const i = rows[n]!;
				const fn = stats.function[i]!;
				return (
					<div class={`stats-row${picked.value === fn ? ' picked' : ''}`} role="row">
						<span role="cell"><button type="button" class="link mono" title={functions.get(fn)?.name ?? ''} onClick={() => (picked.value = fn)} onDblClick={() => {
							search.value = functions.get(fn)?.name ?? '';
							void toMatch('next');
						}}><Swatch fn={fn} />{functions.get(fn)?.name ?? '…'}</button></span>
						<span role="cell" class="r num">{exact(stats.calls[i]!)}</span>
						<span role="cell"><Bar n={stats.own[i]!} of={most.own} /></span><span role="cell"><Bar n={stats.total[i]!} of={most.total} /></span>
						<span role="cell"><Bar n={stats.elapsed[i]!} of={most.elapsed} /></span>
						<span role="cell" class="r num">{short(stats.max[i]!)}</span>
					</div>
				);
			}} />
		</div>
	);
}

interface Place {
	readonly from: Icount;
	readonly to: Icount;
	readonly utid?: ThreadId;
}

/** The outermost functions of a tree: those right below its root, which may be the function itself. */
function direct(tree: TreeFrame, fn: number): Cost[] {
	const below = (parent: number): number[] => Array.from({ length: tree.rows }, (_, i) => i).filter((i) => tree.parent[i] === parent);
	let rows = below(0);
	if (rows.length === 1 && tree.function[rows[0]!] === fn)
		rows = below(rows[0]!);
	functions.wantAll(tree.function);
	return rows.map((i) => ({
		function: functionId(tree.function[i]!), name: functions.get(tree.function[i]!)?.name ?? '…',
		calls: tree.calls[i]!, total: tree.total[i]!, own: tree.own[i]!,
	}));
}

function Around({ fn, place }: { readonly fn: number; readonly place: Place }): JSX.Element {
	void functions.version.value;
	const f = functions.get(fn);
	const tree = (method: 'callers' | 'callees') => async (signal: AbortSignal): Promise<TreeFrame | undefined> => {
		let frame: TreeFrame | undefined;
		await client.request(method, { function: functionId(fn), ...place, maxDepth: 2, maxNodes: 20_000 }, { signal, onFrame: (t) => (frame = t) });
		return frame;
	};
	const key = `${fn} ${place.from} ${place.to} ${place.utid ?? ''}`;
	const callers = useAsk(`c${key}`, tree('callers'));
	const callees = useAsk(`e${key}`, tree('callees'));
	const side = (title: string, asked: typeof callers, empty: string): JSX.Element => (
		<>
			<h4>{title}</h4>
			{asked.error ? <ErrorText error={asked.error} /> : asked.value ? <Costs costs={direct(asked.value, fn)} empty={empty} pick={(c) => (picked.value = c.function)} /> : <p class="dim">…</p>}
		</>
	);
	return (
		<div class="around">
			<h3 class="mono"><Swatch fn={fn} />{f?.name ?? '…'} <button type="button" onClick={() => {
				search.value = f?.name ?? '';
				void toMatch('next');
			}}>Find its calls</button></h3>
			{side('Called by', callers, 'Nobody: it is outermost.')}
			{side('Calls', callees, 'Nothing that was traced.')}
		</div>
	);
}

export function Area(): JSX.Element {
	const s = selection.value;
	const area = s?.kind === 'area' ? s : undefined;
	const from = icount(Math.max(bounds.value.from, area?.span.from ?? 0));
	const to = icount(Math.min(bounds.value.to, area?.span.to ?? 0));
	const utid = area?.thread;
	const key = area && `${from}-${to}-${utid ?? ''}`;
	const params = { from, to, ...(utid === undefined ? {} : { utid }) };
	const flame = useAsk(key, async (signal, onProgress) => {
		let frame: TreeFrame | undefined;
		await client.request('flamegraph', params, { signal, onProgress, onFrame: (f) => (frame = f) });
		return frame;
	});
	const stats = useAsk(key && `s${key}`, async (signal, onProgress) => {
		let frame: FunctionStatsFrame | undefined;
		await client.request('functionStats', params, { signal, onProgress, onFrame: (f) => (frame = f) });
		return frame;
	});
	if (!area) {
		return (
			<Empty title="No area is selected">
				<p>Drag over the ruler or the tracks: what ran there is added up, as a flame graph and as a table. A drag within one thread's row takes that thread alone.</p>
				<p class="row center"><button type="button" onClick={selectView}>What is in view <kbd>V</kbd></button> <button type="button" onClick={() => (selection.value = { kind: 'area', span: bounds.value, thread: undefined })}>The whole trace</button></p>
			</Empty>
		);
	}
	const thread = utid === undefined ? undefined : threadById.value.get(utid);
	return (
		<div class="area">
			<div class="area-main">
				<div class="bar-top">
					<span><b class="num">{exact(to - from)}</b> instructions from <button type="button" class="link num" onClick={() => {
						cursor.value = from;
						goTo(frameSpan(area.span, bounds.value));
					}}>{exact(from)}</button> {thread ? <>of <b>{thread.name}</b></> : 'of all threads'}</span>
					<span class="subtabs" role="tablist" aria-label="How to show the area">
						<button type="button" role="tab" aria-selected={mode.value === 'flame'} class={mode.value === 'flame' ? 'on' : ''} onClick={() => (mode.value = 'flame')}>Flame graph</button>
						<button type="button" role="tab" aria-selected={mode.value === 'table'} class={mode.value === 'table' ? 'on' : ''} onClick={() => (mode.value = 'table')}>Table</button>
					</span>
					{thread && <button type="button" onClick={() => (selection.value = { ...area, thread: undefined })}>All threads</button>}
					<button type="button" onClick={() => goTo(frameSpan(area.span, bounds.value))}>Show <kbd>F</kbd></button>
					{mode.value === 'table' && <input type="search" placeholder="Filter functions" aria-label="Filter functions" value={filter.value} onInput={(e) => (filter.value = e.currentTarget.value)} />}
				</div>
				{mode.value === 'flame' && (flame.error ? <ErrorText error={flame.error} what="The flame graph could not be made" />
					: flame.value && flame.value.rows > 1 ? <Flame frame={flame.value} pick={(fn) => (picked.value = fn)} />
						: flame.value ? <Empty title="No call begins in this area" /> : <Waiting progress={flame.progress} cancel={flame.cancel} />)}
				{mode.value === 'table' && (stats.error ? <ErrorText error={stats.error} what="The table could not be made" />
					: stats.value ? <Table stats={stats.value} /> : <Waiting progress={stats.progress} cancel={stats.cancel} />)}
			</div>
			<aside class="area-side" aria-label="Callers and callees">{picked.value === undefined || picked.value === none ? <p class="dim">Click a function to see who calls it and what it calls.</p> : <Around fn={picked.value} place={params} />}</aside>
		</div>
	);
}
