// SPDX-License-Identifier: GPL-2.0-or-later
// Small pieces that several panes are made of.
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Cost, Progress, Slice } from '../../../client/src/protocol.ts';
import { isCancelled, RequestError } from '../../../client/src/client.ts';
import { exact, percent, short } from '../lib/format.ts';
import { cursor, functions, goTo, bounds, selectSlice, view } from '../state/app.ts';
import { Kind } from '../lib/types.ts';
import type { Icount } from '../lib/types.ts';
import { css } from '../timeline/colours.ts';
import { reveal } from '../timeline/viewport.ts';

export type Loaded<T> = { readonly value: T | undefined; readonly error: RequestError | undefined; readonly progress: Progress | undefined; readonly cancel: () => void };

/** Asks when a key changes; what was asked before is cancelled. The old answer stays until the new one is there. */
export function useAsk<T>(key: string | undefined, ask: (signal: AbortSignal, progress: (p: Progress) => void) => Promise<T>): Loaded<T> {
	const nothing = { value: undefined, error: undefined, progress: undefined };
	const [state, set] = useState<Omit<Loaded<T>, 'cancel'>>(nothing);
	const running = useRef<AbortController>();
	useEffect(() => {
		if (key === undefined) {
			set(nothing);
			return undefined;
		}
		const controller = (running.current = new AbortController());
		ask(controller.signal, (progress) => set((old) => ({ ...old, progress }))).then(
			(value) => !controller.signal.aborted && set({ value, error: undefined, progress: undefined }),
			(error: unknown) => {
				if (isCancelled(error) || controller.signal.aborted)
					return;
				set({ value: undefined, progress: undefined, error: error instanceof RequestError ? error : new RequestError('internal', String(error)) });
			});
		return () => controller.abort();
	}, [key]);
	const cancel = (): void => {
		running.current?.abort();
		set({ ...nothing, error: new RequestError('cancelled', 'Cancelled.') });
	};
	return { ...state, cancel };
}

export function ErrorText({ error, what }: { readonly error: RequestError; readonly what?: string }): JSX.Element {
	return <p class="error-text" role="alert"><b>{what ? `${what}: ` : ''}{error.message}</b>{error.hint && <span> {error.hint}</span>}</p>;
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }): JSX.Element {
	return <div class="empty"><h2>{title}</h2>{children}</div>;
}

/** A link to a moment. */
export function At({ at }: { readonly at: Icount }): JSX.Element {
	return (
		<button type="button" class="link num" title="Show it on the timeline" onClick={() => {
			cursor.value = at;
			goTo(reveal(view.value, at, bounds.value));
		}}>{exact(at)}</button>
	);
}

export function Swatch({ fn, kind = Kind.Call }: { readonly fn: number; readonly kind?: Kind }): JSX.Element {
	void functions.version.value;
	return <span class="swatch" style={{ background: css(functions.colour(fn, kind)) }} aria-hidden="true" />;
}

export function SliceLink({ slice, kind }: { readonly slice: Slice; readonly kind?: Kind }): JSX.Element {
	return <button type="button" class="link mono" onClick={() => selectSlice(slice)}><Swatch fn={slice.function} {...(kind === undefined ? {} : { kind })} />{slice.name}</button>;
}

/** A number with a bar behind it: how much of the whole it is. */
export function Bar({ n, of, whole }: { readonly n: number; readonly of: number; readonly whole?: number }): JSX.Element {
	return (
		<span class="bar" title={`${exact(n)}${whole ? `, ${percent(n, whole)}` : ''}`}>
			<span class="fill" style={{ width: `${of > 0 ? Math.min(100, (n / of) * 100) : 0}%` }} /><span class="num">{short(n)}</span>
		</span>
	);
}

export function Costs({ costs, empty, pick }: { readonly costs: readonly Cost[]; readonly empty: string; readonly pick: (c: Cost) => void }): JSX.Element {
	const most = Math.max(0, ...costs.map((c) => c.total));
	if (costs.length === 0)
		return <p class="dim">{empty}</p>;
	return (
		<table class="costs">
			<thead><tr><th scope="col">Function</th><th scope="col" class="r">Calls</th><th scope="col">Total</th><th scope="col">Own</th></tr></thead>
			<tbody>
				{costs.map((c) => (
					<tr key={c.function}>
						<td><button type="button" class="link mono" onClick={() => pick(c)}><Swatch fn={c.function} />{c.name}</button></td>
						<td class="r num">{exact(c.calls)}</td><td><Bar n={c.total} of={most} /></td><td><Bar n={c.own} of={most} /></td>
					</tr>
				))}
			</tbody>
		</table>
	);
}

export function Waiting({ progress, cancel }: { readonly progress?: Progress | undefined; readonly cancel?: () => void }): JSX.Element {
	const part = progress && progress.total > 0 ? progress.done / progress.total : undefined;
	return (
		<div class="waiting" role="status">
			<progress {...(part === undefined ? {} : { value: part })} aria-label={progress?.what ?? 'Working'} />
			<span>{progress?.what ?? 'Working…'}{part !== undefined ? ` ${Math.round(part * 100)} %` : ''}</span>
			{cancel && <button type="button" onClick={cancel}>Cancel</button>}
		</div>
	);
}
