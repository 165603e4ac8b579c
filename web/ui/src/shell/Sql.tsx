// SPDX-License-Identifier: GPL-2.0-or-later
// SQL: an editor that knows the tables, what was asked before, and the rows; those with ts can be shown on
// the timeline.
import { signal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { JSX } from 'preact';
import { exact } from '../lib/format.ts';
import { icount, sliceId } from '../lib/types.ts';
import { bounds, client, cursor, goTo, page, report, selectSlice } from '../state/app.ts';
import { change, dark, settings } from '../state/settings.ts';
import { cancelSql, cellText, compare, loadTables, rowLimit, runSql, sqlError, sqlResult, sqlRunning, sqlText, sqlToRun, tables, toCsv, toJson } from '../state/sql.ts';
import type { Cell, Result } from '../state/sql.ts';
import { toClipboard } from '../state/copy.ts';
import { frame } from '../timeline/viewport.ts';
import { ErrorText } from './bits.tsx';
import type { SqlEditor } from './editor.ts';
import { VList } from './VList.tsx';

const sort = signal<{ readonly column: number; readonly up: boolean } | undefined>(undefined);
const side = signal<'tables' | 'history'>('tables');

function download(name: string, type: string, text: string): void {
	const a = document.createElement('a');
	a.href = URL.createObjectURL(new Blob([text], { type }));
	a.download = name;
	a.click();
	setTimeout(() => URL.revokeObjectURL(a.href), 10_000);
}

function showRow(r: Result, row: readonly Cell[]): void {
	const at = (name: string): number | undefined => {
		const cell = row[r.columns.indexOf(name)];
		return typeof cell === 'number' ? cell : undefined;
	};
	const ts = at('ts') ?? at('icount');
	if (ts === undefined)
		return;
	page.value = 'timeline';
	cursor.value = icount(ts);
	const id = at('id') ?? at('slice_id');
	if (id !== undefined && at('dur') !== undefined) {
		client.request('slice', { id: sliceId(id) }).then(({ slice }) => {
			if (slice.start === ts)
				selectSlice(slice, 'frame');
			else
				goTo(frame({ from: ts, to: ts + Math.max(1, at('dur') ?? 1) }, bounds.value));
		}, (error: unknown) => report('The call could not be shown', error));
		return;
	}
	goTo(frame({ from: ts, to: ts + Math.max(1, at('dur') ?? 1) }, bounds.value));
}

function Rows({ result }: { readonly result: Result }): JSX.Element {
	const s = sort.value;
	const rows = useMemo(() => {
		const list = result.rows.map((_, i) => i);
		if (s && s.column < result.columns.length)
			list.sort((a, b) => compare(result.rows[a]![s.column]!, result.rows[b]![s.column]!) * (s.up ? 1 : -1) || a - b);
		return list;
	}, [result, s]);
	const widths = useMemo(() => result.columns.map((name, c) => {
		let most = name.length + 2;
		for (let i = 0; i < Math.min(200, result.rows.length); i++)
			most = Math.max(most, cellText(result.rows[i]![c]!).length);
		return Math.min(60, most) * 7.6 + 22;
	}), [result]);
	const numbers = useMemo(() => result.columns.map((_, c) => {
		const first = result.rows.find((row) => row[c] !== null)?.[c];
		return typeof first === 'number';
	}), [result]);
	const canShow = result.columns.includes('ts') || result.columns.includes('icount');
	const grid = { gridTemplateColumns: `${canShow ? '34px ' : ''}${widths.map((w) => `${Math.round(w)}px`).join(' ')}`, width: `${Math.round(widths.reduce((a, b) => a + b, canShow ? 34 : 0))}px` };
	return (
		<div class="sql-rows" role="table" aria-label="Result" aria-rowcount={rows.length}>
			<div class="sql-scroll">
				<div class="sql-head sql-row" role="row" style={grid}>
					{canShow && <span role="columnheader" aria-label="Show" />}
					{result.columns.map((name, c) => (
						<span role="columnheader" key={c} class={numbers[c] ? 'r' : ''} aria-sort={s?.column === c ? (s.up ? 'ascending' : 'descending') : 'none'}>
							<button type="button" title={name} onClick={() => (sort.value = { column: c, up: s?.column === c ? !s.up : false })}>{name}{s?.column === c ? (s.up ? ' ↑' : ' ↓') : ''}</button>
						</span>
					))}
				</div>
				<VList label="Rows" role="rowgroup" class="sql-body" count={rows.length} rowHeight={22} row={(n) => {
					const row = result.rows[rows[n]!]!;
					return (
						<div class="sql-row" role="row" style={grid}>
							{canShow && <span role="cell"><button type="button" class="show" title="Show on the timeline" aria-label="Show on the timeline" onClick={() => showRow(result, row)}>→</button></span>}
							{row.map((cell, c) => <span role="cell" key={c} class={typeof cell === 'number' ? 'num r' : cell === null ? 'null' : ''} title={cellText(cell)}>{cell === null ? 'null' : cellText(cell)}</span>)}
						</div>
					);
				}} />
			</div>
		</div>
	);
}

export function Sql(): JSX.Element {
	const host = useRef<HTMLDivElement>(null);
	const editor = useRef<SqlEditor>();
	const [now, setNow] = useState(0);
	const list = tables.value;
	const isDark = dark.value;
	useEffect(() => void loadTables(), []);
	useEffect(() => {
		if (!host.current)
			return undefined;
		let gone = false;
		void import('./editor.ts').then(({ sqlEditor }) => {
			if (gone || !host.current)
				return;
			editor.current = sqlEditor(host.current, {
				text: sqlText.value, dark: isDark, run: () => void runSql(editor.current!.text()), changed: (text) => (sqlText.value = text),
				schema: Object.fromEntries((list ?? []).map((t) => [t.name, t.columns.map((c) => ({ label: c.name, detail: c.type, info: c.doc }))])),
			});
			if (document.activeElement === document.body || document.activeElement?.closest('.sql'))
				editor.current.focus();
		});
		return () => {
			gone = true;
			editor.current?.destroy();
			editor.current = undefined;
		};
	}, [list, isDark]);
	const asked = sqlToRun.value;
	const done = useRef(0);
	useEffect(() => {
		if (asked.n > done.current) {
			done.current = asked.n;
			sqlText.value = asked.text;
			editor.current?.setText(asked.text);
			void runSql(asked.text);
		}
	}, [asked.n]);
	const running = sqlRunning.value;
	useEffect(() => {
		if (!running)
			return undefined;
		const timer = setInterval(() => setNow(performance.now()), 200);
		return () => clearInterval(timer);
	}, [!!running]);
	const take = (text: string): void => {
		sqlText.value = text;
		editor.current?.setText(text);
		editor.current?.focus();
	};
	const result = sqlResult.value;
	return (
		<section class="sql" aria-label="SQL">
			<aside class="sql-side" aria-label="Tables and history">
				<div class="subtabs" role="tablist" aria-label="Tables or history">
					<button type="button" role="tab" aria-selected={side.value === 'tables'} class={side.value === 'tables' ? 'on' : ''} onClick={() => (side.value = 'tables')}>Tables</button>
					<button type="button" role="tab" aria-selected={side.value === 'history'} class={side.value === 'history' ? 'on' : ''} onClick={() => (side.value = 'history')}>History</button>
				</div>
				<div class="sql-list">
					{side.value === 'tables' && (list ?? []).map((t) => (
						<details key={t.name}>
							<summary title={t.doc}><span class="mono">{t.name}</span>{t.args && <span class="dim mono">({t.args})</span>}</summary>
							<p class="dim">{t.doc} <button type="button" class="link" onClick={() => take(`select *\nfrom ${t.name}${t.args ? `(${t.args})` : ''}\nlimit 100`)}>Query it</button></p>
							<dl>{t.columns.map((c) => <div key={c.name} title={c.doc}><dt class="mono">{c.name}</dt><dd class="dim">{c.type}</dd></div>)}</dl>
						</details>
					))}
					{side.value === 'history' && (settings.value.history.length ? settings.value.history.map((h) => <button type="button" class="past mono" key={h} onClick={() => take(h)}>{h}</button>) : <p class="dim">Nothing was asked yet.</p>)}
					{side.value === 'history' && settings.value.history.length > 0 && <p><button type="button" onClick={() => change({ history: [] })}>Forget all</button></p>}
				</div>
			</aside>
			<div class="sql-main">
				<div class="sql-editor" ref={host} />
				<div class="bar-top">
					{running ? <button type="button" class="primary" onClick={cancelSql}>Cancel</button> : <button type="button" class="primary" onClick={() => runSql(editor.current?.text() ?? sqlText.value)}>Run <kbd>Ctrl+Enter</kbd></button>}
					<span role="status">
						{running ? `${((Math.max(now, running.began) - running.began) / 1000).toFixed(1)} s${running.rows ? `, ${exact(running.rows)} rows` : ''}${running.what ? `, ${running.what}` : ''}`
							: result ? `${exact(result.rows.length)} rows in ${result.seconds < 0.001 ? 'less than 0.001' : result.seconds.toFixed(result.seconds < 0.1 ? 3 : 2)} s${result.truncated ? `: only the first ${exact(rowLimit)} are shown` : ''}` : ''}
					</span>
					{running && <progress aria-label="The query runs" />}
					<span class="grow" />
					{result && !running && <>
						<button type="button" onClick={() => toClipboard(toCsv(result), 'The result')}>Copy</button>
						<button type="button" onClick={() => download('result.csv', 'text/csv', toCsv(result))}>CSV</button>
						<button type="button" onClick={() => download('result.json', 'application/json', toJson(result))}>JSON</button>
					</>}
				</div>
				{sqlError.value ? <ErrorText error={sqlError.value} /> : result ? <Rows result={result} /> : <p class="pane-pad dim">Rows appear here. Those with <code>ts</code> and <code>dur</code> can be shown on the timeline.</p>}
			</div>
		</section>
	);
}
