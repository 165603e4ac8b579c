// SPDX-License-Identifier: GPL-2.0-or-later
// Which rows the timeline has, from top to bottom, and where. Pure: the same input, the same rows.
import type { ThreadId } from '../lib/types.ts';

export interface Thread {
	readonly id: ThreadId;
	readonly tid: number;
	readonly tgid: number;
	readonly name: string;
	readonly process: string;
	readonly isKernel: boolean;
	readonly isIdle: boolean;
	/** How many lanes its slices need. */
	readonly lanes: number;
	readonly slices: number;
	/** Instructions that it executed. */
	readonly cpu: number;
}

export const laneHeight = 18;
export const rowHeight = 28;
/** A closed thread's: high enough for the outline of its calls. */
export const closedHeight = 34;
export const padding = 5;

interface Base {
	readonly key: string;
	readonly y: number;
	readonly height: number;
	readonly indent: number;
	readonly pinned: boolean;
}
export interface CpuRow extends Base {
	readonly kind: 'cpu';
	readonly cpu: number;
}
export interface GroupRow extends Base {
	readonly kind: 'group';
	readonly title: string;
	readonly detail: string;
	readonly open: boolean;
	readonly threads: readonly Thread[];
}
export interface ThreadRow extends Base {
	readonly kind: 'thread';
	readonly thread: Thread;
	readonly open: boolean;
	/** Height of one lane; less than laneHeight while the row is closed. */
	readonly lane: number;
}
export type Row = CpuRow | GroupRow | ThreadRow;

export interface Wanted {
	readonly threads: readonly Thread[];
	readonly cpus: number;
	/** Keys of groups and threads that are open. */
	readonly open: ReadonlySet<string>;
	/** In the order in which they were pinned. */
	readonly pinned: readonly ThreadId[];
	readonly filter: string;
}

export interface Layout {
	readonly rows: readonly Row[];
	readonly height: number;
	/** Rows above this y stay while the others scroll: the CPU and what is pinned. */
	readonly pinnedHeight: number;
}

export const threadKey = (id: ThreadId): string => `t${id}`;
export const pinnedKey = (id: ThreadId): string => `p${id}`;

export function matchesFilter(thread: Thread, filter: string): boolean {
	const words = filter.trim().toLowerCase().split(/\s+/).filter((w) => w);
	const text = `${thread.name} ${thread.process} ${thread.tid} ${thread.isKernel ? 'kernel' : 'user'}`.toLowerCase();
	return words.every((word) => text.includes(word));
}

/** The row's height and that of its lanes, open or closed. */
export function threadHeight(lanes: number, open: boolean): { height: number; lane: number } {
	const n = Math.max(1, lanes);
	if (open)
		return { height: n * laneHeight + 2 * padding, lane: laneHeight };
	return { height: closedHeight, lane: Math.min(6, (closedHeight - 6) / n) };
}

interface Group {
	readonly key: string;
	readonly title: string;
	readonly detail: string;
	readonly threads: Thread[];
	readonly cpu: number;
}

/** Start-up and idle first: a boot begins there; the kernel's threads together; processes by their cost. */
export function groupThreads(threads: readonly Thread[]): Group[] {
	const processes = new Map<number, Thread[]>();
	const kernel: Thread[] = [];
	const idle: Thread[] = [];
	for (const thread of threads) {
		if (thread.isIdle)
			idle.push(thread);
		else if (thread.isKernel)
			kernel.push(thread);
		else
			processes.set(thread.tgid, [...(processes.get(thread.tgid) ?? []), thread]);
	}
	const busiest = (a: { cpu: number }, b: { cpu: number }): number => b.cpu - a.cpu;
	const sum = (list: readonly Thread[]): number => list.reduce((total, t) => total + t.cpu, 0);
	const groups: Group[] = [];
	for (const [tgid, list] of processes) {
		list.sort(busiest);
		const leader = list.find((t) => t.tid === tgid) ?? list[0]!;
		groups.push({ key: `g${tgid}`, title: leader.process || leader.name, detail: `pid ${tgid}`, threads: list, cpu: sum(list) });
	}
	groups.sort(busiest);
	if (kernel.length)
		groups.unshift({ key: 'gkernel', title: 'Kernel threads', detail: `${kernel.length}`, threads: kernel.sort(busiest), cpu: sum(kernel) });
	if (idle.length)
		groups.unshift({ key: 'gidle', title: 'Start-up and idle', detail: 'pid 0', threads: idle.sort(busiest), cpu: sum(idle) });
	return groups;
}

export function layOut(wanted: Wanted): Layout {
	const rows: Row[] = [];
	let y = 0;
	const addThread = (thread: Thread, key: string, indent: number, pinned: boolean): void => {
		const open = wanted.open.has(key);
		const { height, lane } = threadHeight(thread.lanes, open);
		rows.push({ kind: 'thread', key, y, height, indent, pinned, thread, open, lane });
		y += height;
	};
	for (let cpu = 0; cpu < wanted.cpus; cpu++) {
		rows.push({ kind: 'cpu', key: `c${cpu}`, y, height: rowHeight, indent: 0, pinned: true, cpu });
		y += rowHeight;
	}
	const byId = new Map(wanted.threads.map((t) => [t.id, t]));
	for (const id of wanted.pinned) {
		const thread = byId.get(id);
		if (thread)
			addThread(thread, pinnedKey(id), 0, true);
	}
	const pinnedHeight = y;
	const filtering = wanted.filter.trim() !== '';
	for (const group of groupThreads(wanted.threads)) {
		const threads = group.threads.filter((t) => matchesFilter(t, wanted.filter));
		if (threads.length === 0)
			continue;
		if (group.threads.length === 1) {
			addThread(threads[0]!, threadKey(threads[0]!.id), 0, false);
			continue;
		}
		const open = filtering || wanted.open.has(group.key);
		rows.push({
			kind: 'group', key: group.key, y, height: rowHeight, indent: 0, pinned: false,
			title: group.title, detail: group.detail, open, threads,
		});
		y += rowHeight;
		if (open) {
			for (const thread of threads)
				addThread(thread, threadKey(thread.id), 1, false);
		}
	}
	return { rows, height: y, pinnedHeight };
}

/** The row at a height, or undefined. */
export function rowAtY(rows: readonly Row[], y: number): Row | undefined {
	let low = 0;
	let high = rows.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		const row = rows[middle]!;
		if (row.y + row.height <= y)
			low = middle + 1;
		else
			high = middle;
	}
	const row = rows[low];
	return row && y >= row.y ? row : undefined;
}

/** What is open at first: the busiest threads that leave room for others, as many as fit. */
export function openAtFirst(threads: readonly Thread[], height: number): string[] {
	const keys: string[] = [];
	let left = height;
	for (const group of groupThreads(threads)) {
		const thread = group.threads[0]!;
		const need = threadHeight(thread.lanes, true).height;
		if (need > height * 0.45 || need > left || (group.key === 'gkernel' && threads.some((t) => !t.isKernel)))
			continue;
		left -= need;
		if (group.threads.length > 1)
			keys.push(group.key);
		keys.push(threadKey(thread.id));
		if (keys.length >= 4)
			break;
	}
	return keys;
}
