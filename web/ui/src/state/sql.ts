// SPDX-License-Identifier: GPL-2.0-or-later
// The SQL page's text and result, which stay while other pages are looked at.
import { signal } from '@preact/signals';
import { client, report } from './app.ts';
import { RequestError, isCancelled } from '../../../client/src/client.ts';
import { change, settings } from './settings.ts';

export type Cell = string | number | null | { readonly blob: string };
export interface Result {
	readonly sql: string;
	readonly columns: readonly string[];
	readonly rows: readonly (readonly Cell[])[];
	readonly truncated: boolean;
	readonly seconds: number;
}
export interface SqlColumn {
	readonly name: string;
	readonly type: string;
	readonly doc: string;
}
export interface SqlTable {
	readonly name: string;
	readonly args: string;
	readonly doc: string;
	readonly columns: readonly SqlColumn[];
}

/** A statement from elsewhere: runs when n grows. */
export const sqlToRun = signal<{ readonly text: string; readonly n: number }>({ text: '', n: 0 });
export const sqlText = signal('select name, count(*) as calls, sum(dur) as total\nfrom slice\ngroup by name\norder by total desc\nlimit 50');
export const sqlResult = signal<Result | undefined>(undefined);
export const sqlError = signal<RequestError | undefined>(undefined);
export const sqlRunning = signal<{ readonly began: number; readonly rows: number; readonly what: string } | undefined>(undefined);
export const tables = signal<readonly SqlTable[] | undefined>(undefined);

/** So many rows are shown; more can be exported by `dejaview query`. */
export const rowLimit = 200_000;
let controller: AbortController | undefined;

export const cancelSql = (): void => controller?.abort();

export async function runSql(text: string): Promise<void> {
	const sql = text.trim();
	if (!sql)
		return;
	controller?.abort();
	const mine = (controller = new AbortController());
	let columns: readonly string[] = [];
	const rows: (readonly Cell[])[] = [];
	sqlRunning.value = { began: performance.now(), rows: 0, what: '' };
	sqlError.value = undefined;
	try {
		const answer = await client.request('query', { sql, limit: rowLimit }, {
			signal: mine.signal,
			onProgress: (p) => (sqlRunning.value = { ...sqlRunning.value!, what: p.what }),
			onPart: (part) => {
				columns = part.columns ?? columns;
				for (const row of part.rows)
					rows.push(row as readonly Cell[]);
				sqlRunning.value = { ...sqlRunning.value!, rows: rows.length };
			},
		});
		sqlResult.value = { sql, columns, rows, truncated: answer.truncated, seconds: answer.seconds };
		change({ history: [sql, ...settings.value.history.filter((h) => h !== sql)].slice(0, 100) });
	} catch (error) {
		if (isCancelled(error))
			sqlError.value = new RequestError('cancelled', 'Cancelled.');
		else if (error instanceof RequestError)
			sqlError.value = error;
		else
			report('The query failed', error);
	} finally {
		if (controller === mine)
			sqlRunning.value = undefined;
	}
}

/** What the daemon's SQL has, from its own documentation. */
export async function loadTables(): Promise<void> {
	if (tables.value)
		return;
	const list = new Map<string, { name: string; args: string; doc: string; columns: SqlColumn[] }>();
	const text = (cell: unknown): string => (typeof cell === 'string' ? cell : '');
	try {
		await client.request('query', { sql: 'select * from dv_tables' }, {
			onPart: (() => {
				let columns: readonly string[] = [];
				return (part) => {
					columns = part.columns ?? columns;
					const at = (row: readonly unknown[], ...names: string[]): string => {
						const i = columns.findIndex((c) => names.includes(c));
						return i < 0 ? '' : text(row[i]);
					};
					for (const row of part.rows as readonly (readonly unknown[])[]) {
						const name = at(row, 'table_name', 'table', 'name');
						const entry = list.get(name) ?? { name, args: at(row, 'arguments', 'args'), doc: at(row, 'table_doc', 'doc'), columns: [] };
						const column = at(row, 'column_name', 'column');
						if (column)
							entry.columns.push({ name: column, type: at(row, 'column_type', 'type'), doc: at(row, 'column_doc', 'description') });
						list.set(name, entry);
					}
				};
			})(),
		});
		tables.value = [...list.values()];
	} catch (error) {
		report('The tables could not be listed', error);
	}
}

const quote = (s: string): string => (/[",\n\r]/.test(s) ? `"${s.replace(/"/g, '""')}"` : s);
export const cellText = (c: Cell): string => (c === null ? '' : typeof c === 'object' ? `x'${c.blob}'` : String(c));

export function toCsv(r: Result): string {
	return [r.columns.map(quote).join(','), ...r.rows.map((row) => row.map((c) => quote(cellText(c))).join(','))].join('\n') + '\n';
}
export function toJson(r: Result): string {
	return JSON.stringify(r.rows.map((row) => Object.fromEntries(row.map((c, i) => [r.columns[i] ?? `column${i}`, c]))), undefined, 1);
}

export function compare(a: Cell, b: Cell): number {
	if (typeof a === 'number' && typeof b === 'number')
		return a - b;
	if (a === null || b === null)
		return a === b ? 0 : a === null ? -1 : 1;
	return cellText(a).localeCompare(cellText(b));
}
