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
export const sqlText = signal('select name, module, calls, own, total, elapsed, max\nfrom function_stats\norder by own desc\nlimit 50');
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
		sqlResult.value = undefined;
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
	const rows = async (sql: string, take: (cells: readonly string[]) => void): Promise<void> => {
		await client.request('query', { sql }, {
			onPart: (part) => part.rows.forEach((row) => take(row.map((cell) => (typeof cell === 'string' ? cell : '')))),
		});
	};
	try {
		await rows('select name, arguments, doc from dv_tables', ([name = '', args = '', doc = '']) => list.set(name, { name, args, doc, columns: [] }));
		await rows('select table_name, name, type, doc from dv_columns', ([table = '', name = '', type = '', doc = '']) => list.get(table)?.columns.push({ name, type, doc }));
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
