// SPDX-License-Identifier: GPL-2.0-or-later
// What the guest printed; and the guest's own clock, as far as the kernel's lines tell it.
import { computed, signal } from '@preact/signals';
import type { ConsoleLine } from '../../../client/src/protocol.ts';
import { clockOf } from '../timeline/clock.ts';
import { client, insnsPerSecond, trace } from './app.ts';

const chunk = 1000;
/** All lines that were read so far, in order. */
export const lines = signal<readonly ConsoleLine[]>([]);
let loadedFor: string | undefined;

export async function loadConsole(abort: AbortSignal): Promise<void> {
	const identity = trace.value?.identity;
	if (identity === undefined || loadedFor === identity)
		return;
	const all: ConsoleLine[] = [];
	for (let row = 0; ; row += chunk) {
		const answer = await client.request('console', { row, count: chunk }, { signal: abort });
		all.push(...answer.lines);
		lines.value = [...all];
		if (answer.lines.length < chunk || all.length >= answer.total)
			break;
	}
	loadedFor = identity;
}

/** Seconds at an icount: by QEMU's fixed rate where it has one, else by what the kernel printed. */
export const secondsAt = computed<((icount: number) => number) | undefined>(() => {
	const rate = insnsPerSecond.value;
	return rate ? (icount) => icount / rate : clockOf(lines.value);
});
