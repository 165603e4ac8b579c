// SPDX-License-Identifier: GPL-2.0-or-later
// The replay as buttons and keys see it. All clients share one; where it stands comes back as events.
import { batch, effect, signal } from '@preact/signals';
import type { MethodName, Methods, Progress, ReplayStatus } from '../../../client/src/protocol.ts';
import { isCancelled } from '../../../client/src/client.ts';
import {
	bounds, can, client, drawerOpen, goTo, hello, here, lit, notify, openThread, replay, replayProgress, replayTarget, report,
	scrollTo, tab, view, whereReplay,
} from './app.ts';
import { reveal } from '../timeline/viewport.ts';
import { icount } from '../lib/types.ts';
import type { Icount, ThreadId } from '../lib/types.ts';

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
	// A key that is held steps when the step before is done; who goes to a place does not wait.
	if (running && target === undefined)
		return;
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
		if (!isCancelled(error))
			report(what, error);
		else if (running === controller)
			notify('info', 'Cancelled.');
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

/** Where the page has followed the replay to, or found it when it was opened. */
let followed: Icount | undefined;
const toShow = signal<Icount | undefined>(undefined);
/** Where `lit` is of. */
const litAt = signal<{ readonly at: Icount; readonly thread: ThreadId | undefined } | undefined>(undefined);

/** A replay that stood there before this page did: what the page shows stays. */
export function foundReplay(status: ReplayStatus): void {
	followed = status.icount;
	replay.value = status;
}

/** Whoever moved it, a button here, gdb's terminal or an editor: where the guest stands is shown. */
function followGuest(): void {
	effect(() => {
		const { state, icount: at } = replay.value;
		if (state === 'closed')
			followed = undefined;
		// A seek stops here and there on its way.
		if (state !== 'stopped' || at === undefined || at === followed || replayProgress.value)
			return;
		followed = at;
		toShow.value = at;
		goTo(reveal(view.peek(), at, bounds.peek()));
	});
}

/** And the thread that stands there, once it is known what is open in it. */
function followThread(): void {
	effect(() => {
		const there = litAt.value;
		if (there === undefined || there.at !== toShow.value)
			return;
		toShow.value = undefined;
		if (there.thread === undefined)
			return;
		openThread(there.thread);
		scrollTo.lane(there.thread, Math.max(0, lit.peek().length - 1));
	});
}

/** Keeps the slices that are open where the replay stands. */
export function followReplay(): void {
	followSeek();
	followGuest();
	followThread();
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
		client.request('stackAt', { icount: at }, { signal: mine.signal }).then((answer) => batch(() => {
			lit.value = answer.slices;
			litAt.value = { at, thread: answer.utid };
		}),
			(error: unknown) => report('What is open at the replay\'s place could not be read', error));
	});
}
