// SPDX-License-Identifier: GPL-2.0-or-later
// The replay as buttons and keys see it. All clients share one; where it stands comes back as events.
import { batch, effect } from '@preact/signals';
import type { MethodName, Methods, Progress, ReplayStatus } from '../../../client/src/protocol.ts';
import { isCancelled } from '../../../client/src/client.ts';
import {
	bounds, can, client, drawerOpen, goTo, hello, here, lit, notify, replay, replayProgress, replayTarget, report, tab, view, whereReplay,
} from './app.ts';
import { reveal } from '../timeline/viewport.ts';
import { icount } from '../lib/types.ts';
import type { Icount } from '../lib/types.ts';

let running: AbortController | undefined;

type Moving = 'replay.open' | 'replay.seek' | 'replay.step' | 'replay.stepBack' | 'replay.continue' | 'replay.reverseContinue';

export function whyNoDebugger(): string | undefined {
	const info = hello.value;
	if (!info)
		return 'The daemon is not connected.';
	if (!info.recording)
		return 'This is a trace without its recording: only a recording replays. Open the .dejaview folder with `dejaview serve`.';
	if (!info.recording.replays)
		return info.recording.whyNot ?? 'This recording does not replay.';
	if (!can('replay.open'))
		return 'This daemon does not replay: it was started read-only, or is of another version.';
	return undefined;
}

async function move<M extends Moving>(method: M, params: Methods[M]['params'], what: string, target?: Icount): Promise<void> {
	const why = whyNoDebugger();
	if (why) {
		notify('error', 'There is no debugger here.', why);
		return;
	}
	running?.abort();
	const controller = (running = new AbortController());
	batch(() => {
		replayTarget.value = target;
		replayProgress.value = { done: 0, total: 0, what };
	});
	try {
		const status = await client.request(method, params, {
			signal: controller.signal,
			onProgress: (progress: Progress) => (replayProgress.value = progress),
		});
		arrived(status as ReplayStatus);
	} catch (error) {
		if (isCancelled(error))
			notify('info', 'Cancelled.');
		else
			report(what, error);
	} finally {
		if (running === controller) {
			running = undefined;
			batch(() => {
				replayTarget.value = undefined;
				replayProgress.value = undefined;
			});
		}
	}
}

function arrived(status: ReplayStatus): void {
	replay.value = status;
	if (status.icount !== undefined)
		goTo(reveal(view.value, status.icount, bounds.value));
	if (status.message)
		notify('info', status.message);
}

export async function debugAt(at: Icount): Promise<void> {
	tab.value = 'debugger';
	drawerOpen.value = true;
	const open = replay.value.state !== 'closed' && replay.value.state !== 'ended';
	await (open ? move('replay.seek', { icount: at }, 'Taking the replay there', at) : move('replay.open', { icount: at }, 'Starting the replay', at));
}

export const debugHere = (): Promise<void> => {
	const at = here.value;
	if (at === undefined) {
		notify('info', 'Click on the ruler or on a call first: that is where "here" is.');
		return Promise.resolve();
	}
	return debugAt(at);
};
export const debugStart = (): Promise<void> => debugAt(icount(bounds.value.from));
export const debugEnd = (): Promise<void> => debugAt(icount(hello.value?.recording?.to ?? bounds.value.to - 1));

export type Unit = 'instruction' | 'line' | 'over' | 'out';
export const stepForward = (unit: Unit): Promise<void> => move('replay.step', { unit }, 'Stepping');
export const stepBack = (unit: Unit): Promise<void> => move('replay.stepBack', { unit }, 'Stepping back');
export const proceed = (): Promise<void> => move('replay.continue', {}, 'Running');
export const reverse = (): Promise<void> => move('replay.reverseContinue', {}, 'Running back');

export async function interrupt(): Promise<void> {
	running?.abort();
	if (!can('replay.interrupt') || replay.value.state !== 'running')
		return;
	try {
		replay.value = await client.request('replay.interrupt', {});
	} catch (error) {
		report('The replay could not be stopped', error);
	}
}

export async function closeReplay(): Promise<void> {
	running?.abort();
	try {
		replay.value = await client.request('replay.close', {});
	} catch (error) {
		report('The replay could not be ended', error);
	}
}

export const replayIsOpen = (): boolean => replay.value.state !== 'closed';

/** A question to the debugger that changes nothing; undefined where it cannot be answered now. */
export async function ask<M extends MethodName>(method: M, params: Methods[M]['params'], signal?: AbortSignal): Promise<Methods[M]['result'] | undefined> {
	if (!can(method) || replay.value.state !== 'stopped')
		return undefined;
	return client.request(method, params, { signal });
}

/** How far a seek is, by where the replay has come: on the way back it begins at a checkpoint before. */
function followSeek(): void {
	let low: number | undefined;
	effect(() => {
		const target = replayTarget.value;
		const { state, icount: at } = replay.value;
		if (target === undefined)
			low = undefined;
		if (target === undefined || state !== 'running' || at === undefined || at >= target)
			return;
		low = Math.min(low ?? at, at);
		const progress = replayProgress.peek();
		if (progress)
			replayProgress.value = { ...progress, done: at - low, total: target - low };
	});
}

/** Keeps the slices that are open where the replay stands. */
export function followReplay(): void {
	followSeek();
	let last: number | undefined;
	let controller = new AbortController();
	effect(() => {
		const at = whereReplay.value;
		if (at === last)
			return;
		last = at;
		controller.abort();
		if (at === undefined) {
			lit.value = [];
			return;
		}
		const mine = (controller = new AbortController());
		client.request('stackAt', { icount: at }, { signal: mine.signal }).then((answer) => (lit.value = answer.slices),
			(error: unknown) => report('What is open at the replay\'s place could not be read', error));
	});
}
