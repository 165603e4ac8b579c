// SPDX-License-Identifier: GPL-2.0-or-later
// The debugger: where it stands, its buttons, gdb's own terminal, and beside it stack, locals, registers,
// breakpoints and who wrote to a place.
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { JSX } from 'preact';
import type { Methods, StackFrame, Variable, Write } from '../../../client/src/protocol.ts';
import { isCancelled, RequestError } from '../../../client/src/client.ts';
import { exact } from '../lib/format.ts';
import { shown } from '../lib/keys.ts';
import { icount, kindNumber } from '../lib/types.ts';
import { bounds, breakpoints, can, client, drawerOpen, hello, here, lit, replay, replayProgress, report, selection, tab, threadById, whereReplay } from '../state/app.ts';
import { byId } from '../state/commands.ts';
import { ask, debugAt, debugEnd, debugStart, interrupt, whyNoDebugger } from '../state/debug.ts';
import { dark } from '../state/settings.ts';
import { holdsMore, isAnonymous, memberOf } from '../lib/expressions.ts';
import type { Parent } from '../lib/expressions.ts';
import { At, Empty, ErrorText, SliceLink, useAsk, Waiting } from './bits.tsx';
import type { Loaded } from './bits.tsx';
import { Source } from './Source.tsx';

const frame = signal(0);
const section = signal<'stack' | 'source' | 'registers' | 'breakpoints' | 'writes'>('stack');

function Button({ id, label, disabled }: { readonly id: string; readonly label: string; readonly disabled?: boolean }): JSX.Element {
	const command = byId.get(id)!;
	const key = command.keys[0];
	return <button type="button" disabled={disabled} title={`${command.title}${key ? ` (${shown(key)})` : ''}`} aria-label={command.title} onClick={() => command.run()}>{label}</button>;
}

function Terminal(): JSX.Element {
	const host = useRef<HTMLDivElement>(null);
	const isDark = dark.value;
	useEffect(() => {
		let gone = false;
		let close: (() => void) | undefined;
		import('./terminal.ts').then(({ openTerminal }) => (gone || !host.current ? undefined : openTerminal(host.current, isDark)))
			.then((end) => {
				if (gone)
					end?.();
				else
					close = end;
			}).catch((error: unknown) => report('gdb\'s terminal could not be opened', error));
		return () => {
			gone = true;
			close?.();
		};
	}, [isDark]);
	return <div class="gdb-terminal" ref={host} aria-label="gdb" />;
}

const registers: Parent = { expression: '$', type: '' };

function Tree({ variables, level = 0, parent }: { readonly variables: readonly Variable[]; readonly level?: number; readonly parent?: Parent | undefined }): JSX.Element {
	return (
		<ul class="variables" role={level === 0 ? 'tree' : 'group'}>
			{variables.map((v) => <Node key={v.name} v={v} level={level} parent={parent} />)}
		</ul>
	);
}

/** What is in a variable; gdb makes a handle of a local one first. */
async function insideOf(v: Variable, expression: string, signal: AbortSignal): Promise<readonly Variable[]> {
	const of = v.reference ?? (await ask('replay.evaluate', { expression, frame: frame.value }, signal))?.variables[0]?.reference;
	return of === undefined ? [] : (await ask('replay.evaluate', { of, frame: frame.value }, signal))?.variables ?? [];
}

/** A register's value is an address to look at; a variable lies somewhere itself. */
function Node({ v, level, parent }: { readonly v: Variable; readonly level: number; readonly parent: Parent | undefined }): JSX.Element {
	const expression = parent ? memberOf(parent, v.name) : v.name;
	const key = `${expression} ${v.name}`;
	const isOpen = openNodes.value.has(key);
	const inside = useAsk(isOpen ? `${key} ${frame.value} ${whereReplay.value}` : undefined, (signal) => insideOf(v, expression, signal));
	const toggle = (): void => {
		const next = new Set(openNodes.value);
		if (!next.delete(key))
			next.add(key);
		openNodes.value = next;
	};
	const canOpen = parent !== registers && (v.reference ? !!v.children : level === 0 && holdsMore(v));
	const address = /0x[0-9a-f]{4,}/i.exec(v.value)?.[0];
	const ask_ = (): unknown => (parent === registers ? whoWrote({ text: address! }) : whoWrote({ text: expression, frame: frame.value }));
	return (
		<li role="treeitem" {...(canOpen ? { 'aria-expanded': isOpen } : {})}>
			<div class="variable">
				{canOpen ? <button type="button" class="arrow" aria-label={`${isOpen ? 'Close' : 'Open'} ${v.name}`} onClick={toggle}>{isOpen ? '▾' : '▸'}</button> : <span class="arrow" />}
				<span class="mono name" title={v.type ?? ''}>{v.name}</span><span class="mono value" title={v.value}>{v.value}</span>
				{can('writes') && (parent !== registers || address) && <button type="button" class="small" title={parent === registers ? `Who wrote to what ${v.name} points at?` : `Who wrote to ${expression}?`}
					aria-label={`Who wrote ${v.name}?`} onClick={ask_}>who wrote?</button>}
			</div>
			{isOpen && inside.error && <ErrorText error={inside.error} />}
			{isOpen && inside.value && (inside.value.length ? <Tree variables={inside.value} level={level + 1} parent={parent && isAnonymous(v.name) ? parent : { expression, type: v.type ?? '' }} /> : <p class="dim">Nothing to be shown.</p>)}
		</li>
	);
}
/** By expression: what is open stays open while the guest moves. */
const openNodes = signal<ReadonlySet<string>>(new Set());

const useStack = (): Loaded<Methods['replay.stack']['result'] | undefined> =>
	useAsk(replay.value.state === 'stopped' ? `s${whereReplay.value}` : undefined, (signal) => ask('replay.stack', { limit: 60 }, signal));

/** gdb goes by debug information, or guesses; the trace saw each of these calls begin. */
function OpenCalls(): JSX.Element | null {
	const calls = [...lit.value].reverse();
	if (calls.length === 0)
		return null;
	return (
		<>
			<h3>Calls open here, by the trace</h3>
			<ol class="stack open-calls">{calls.map((s) => <li key={s.id}><SliceLink slice={s} kind={kindNumber(s.kind)} /></li>)}</ol>
		</>
	);
}

function Stack(): JSX.Element {
	const at = whereReplay.value;
	const state = replay.value.state;
	const stack = useStack();
	const locals = useAsk(state === 'stopped' ? `l${at} ${frame.value}` : undefined, (signal) => ask('replay.locals', { frame: frame.value }, signal));
	const row = (f: StackFrame): JSX.Element => (
		<li key={f.level}><button type="button" class={`link mono${frame.value === f.level ? ' on' : ''}`} aria-current={frame.value === f.level} onClick={() => (frame.value = f.level)} title={f.address}>
			<span class="dim">{f.level}</span> {f.function ?? f.address}{f.file && <span class="dim"> {f.file}:{f.line}</span>}
		</button></li>
	);
	return (
		<div class="stack-locals">
			<h3>Stack</h3>
			{stack.error ? <ErrorText error={stack.error} /> : <ol class="stack">{(stack.value?.frames ?? []).map(row)}</ol>}
			<h3>Locals</h3>
			{locals.error ? <ErrorText error={locals.error} /> : locals.value && locals.value.variables.length === 0 ? <p class="dim">None are known: there is no debug information for this function.</p> : <Tree variables={locals.value?.variables ?? []} />}
			<OpenCalls />
		</div>
	);
}

function Registers(): JSX.Element {
	const answer = useAsk(replay.value.state === 'stopped' ? `r${whereReplay.value} ${frame.value}` : undefined, (signal) => ask('replay.registers', { frame: frame.value }, signal));
	return answer.error ? <ErrorText error={answer.error} /> : <Tree variables={answer.value?.variables ?? []} parent={registers} />;
}

/** Where the frame that is chosen stands, in its source. */
function FrameSource(): JSX.Element {
	const stack = useStack();
	const f = stack.value?.frames[frame.value];
	if (stack.error)
		return <ErrorText error={stack.error} />;
	return f ? <Source file={f.file} line={f.line} name={f.function ?? f.address} /> : <p class="dim">…</p>;
}

function Breakpoints(): JSX.Element {
	const input = useRef<HTMLInputElement>(null);
	const add = async (watch: boolean): Promise<void> => {
		const what = input.current?.value.trim();
		if (!what)
			return;
		try {
			await client.request('replay.breakpointAdd', { what, ...(watch ? { watch } : {}) });
			await refresh();
			input.current!.value = '';
		} catch (error) {
			report('The breakpoint could not be set', error);
		}
	};
	const refresh = async (): Promise<void> => {
		const answer = await ask('replay.breakpoints', {});
		if (answer)
			breakpoints.value = answer.breakpoints;
	};
	useEffect(() => void refresh().catch(() => undefined), []);
	const act = (work: Promise<unknown>): void => void work.then(refresh).catch((error: unknown) => report('The breakpoint could not be changed', error));
	return (
		<div>
			<form class="row" onSubmit={(e) => {
				e.preventDefault();
				void add(false);
			}}>
				<input ref={input} type="text" class="mono" placeholder="function, file:line, *address, or an expression to watch" aria-label="Where to break, or what to watch" spellcheck={false} />
				<button type="submit">Break</button><button type="button" onClick={() => add(true)}>Watch</button>
			</form>
			<ul class="breakpoints">
				{breakpoints.value.map((b) => (
					<li key={b.number}>
						<input type="checkbox" checked={b.enabled} aria-label={`Breakpoint ${b.number}`} onChange={(e) => act(client.request('replay.breakpointEnable', { number: b.number, enabled: e.currentTarget.checked }))} />
						<span class="mono">{b.what}</span>{b.watch && <span class="dim">watch</span>}<span class="dim">{b.hits ? `${b.hits} hits` : ''}</span>
						<button type="button" aria-label={`Remove breakpoint ${b.number}`} onClick={() => act(client.request('replay.breakpointRemove', { number: b.number }))}>×</button>
					</li>
				))}
			</ul>
			{breakpoints.value.length === 0 && <p class="dim">No breakpoints. Reverse-continue runs back to them, too.</p>}
		</div>
	);
}

interface Writes {
	readonly of: string;
	readonly list: readonly Write[];
	readonly running: boolean;
	readonly progress: { readonly done: number; readonly total: number; readonly what: string } | undefined;
	readonly error: RequestError | undefined;
}
const writes = signal<Writes>({ of: '', list: [], running: false, progress: undefined, error: undefined });
let writesController: AbortController | undefined;

const isAddress = (text: string): boolean => /^0x[0-9a-f]+$/i.test(text);

/** Where gdb has an expression's value, and how large it is. */
async function placeOf(expression: string, level: number, signal: AbortSignal): Promise<{ readonly address: string; readonly size: number }> {
	const value = async (text: string): Promise<string> => (await ask('replay.evaluate', { expression: text, frame: level }, signal))?.variables[0]?.value ?? '';
	const address = /0x[0-9a-f]+/i.exec(await value(`&(${expression})`))?.[0];
	if (!address)
		throw new RequestError('not_found', `gdb has no address of ${expression}.`, 'A variable that is kept in a register is written to by the instructions before: step back.');
	const size = Number(await value(`sizeof(${expression})`).catch(() => ''));
	return { address, size: size > 0 && size <= 4096 ? size : 8 };
}

/** In whose memory an address of user space is meant: the thread that stands there, or the selected call's. */
function threadAt(address: string): number | undefined {
	const s = selection.value;
	const utid = replay.value.utid ?? (s?.kind === 'slice' ? s.key.utid : undefined);
	return BigInt(address) >> 47n || utid === undefined ? undefined : threadById.value.get(utid)?.tid;
}

/** Shown newest first; the daemon finds them from the newest backwards. With a frame: a variable of gdb's. */
export async function whoWrote(what: { readonly text: string; readonly frame?: number }, size?: number): Promise<void> {
	section.value = 'writes';
	tab.value = 'debugger';
	drawerOpen.value = true;
	writesController?.abort();
	const mine = (writesController = new AbortController());
	const { text } = what;
	const set = (change: Partial<Writes>): void => {
		if (writesController === mine)
			writes.value = { ...writes.value, ...change };
	};
	writes.value = { of: text, list: [], running: true, progress: undefined, error: undefined };
	const until = whereReplay.value ?? here.value;
	const search = async (place: { readonly address: string } | { readonly symbol: string }, bytes: number | undefined): Promise<void> => {
		const thread = 'address' in place ? threadAt(place.address) : undefined;
		await client.request('writes', {
			...('address' in place ? { address: place.address.toLowerCase() as never } : place), ...(bytes ? { size: bytes } : {}),
			...(thread === undefined ? {} : { thread }), ...(until === undefined ? {} : { to: until }),
		}, {
			signal: mine.signal, onProgress: (progress) => set({ progress }),
			onPart: (part) => set({ list: [...writes.value.list, ...part.writes].sort((a, b) => b.icount - a.icount) }),
		});
	};
	const inGdb = async (level: number): Promise<void> => {
		const place = await placeOf(text, level, mine.signal);
		await search(place, size ?? place.size);
	};
	try {
		if (what.frame !== undefined)
			await inGdb(what.frame);
		else
			await search(isAddress(text) ? { address: text } : { symbol: text }, size).catch((error: unknown) => {
				// The kernel has no such symbol: gdb may know the name, of a program or as an expression.
				if (!(error instanceof RequestError) || error.code !== 'not_found' && error.code !== 'invalid' || isAddress(text) || replay.value.state !== 'stopped')
					throw error;
				return inGdb(frame.value).catch(() => Promise.reject(error));
			});
	} catch (error) {
		if (!isCancelled(error))
			set({ error: error instanceof RequestError ? error : new RequestError('internal', String(error)) });
	} finally {
		set({ running: false });
	}
}

function WritesPane(): JSX.Element {
	const input = useRef<HTMLInputElement>(null);
	const w = writes.value;
	if (!can('writes'))
		return <p class="dim">This daemon cannot look for writes yet.</p>;
	return (
		<div>
			<form class="row" onSubmit={(e) => {
				e.preventDefault();
				const text = input.current?.value.trim() ?? '';
				const [name, size] = text.split(':');
				if (name)
					void whoWrote({ text: name }, size ? Number(size) : undefined);
			}}>
				<input ref={input} type="text" class="mono" placeholder="address, symbol or expression, with :SIZE" aria-label="Address or symbol" defaultValue={w.of} spellcheck={false} /><button type="submit">Who wrote this?</button>
			</form>
			{w.running && <Waiting progress={w.progress} cancel={() => writesController?.abort()} />}
			{w.error && <ErrorText error={w.error} />}
			<table class="plain"><tbody>
				{w.list.map((x, i) => (
					<tr key={i}><td><At at={x.icount} /></td><td class="mono">{x.function ?? ''}</td><td class="dim">{x.utid === undefined ? '' : threadById.value.get(x.utid)?.name}</td><td class="mono">{x.before !== undefined && x.after !== undefined ? `${x.before} → ${x.after}` : x.value}</td><td><button type="button" onClick={() => debugAt(x.icount)}>Debug</button></td></tr>
				))}
			</tbody></table>
			{!w.running && w.of && w.list.length === 0 && !w.error && <p class="dim">No write was found before this place.</p>}
		</div>
	);
}

const stateWords: Record<string, string> = { closed: 'not running', starting: 'starting', stopped: 'stands', running: 'runs', ended: 'at the end' };

export function Debugger(): JSX.Element {
	const why = whyNoDebugger();
	const status = replay.value;
	const progress = replayProgress.value;
	useEffect(() => {
		frame.value = 0;
	}, [status.icount]);
	if (why)
		return <Empty title="There is no debugger for this trace"><p>{why}</p></Empty>;
	const idle = status.state === 'closed';
	if (idle && !progress) {
		const at = here.value;
		return (
			<Empty title="Debug any moment of the recording">
				<p>The real gdb, at the very instruction, forward and backward.</p>
				<p class="row center">
					<button type="button" onClick={() => debugStart()}>At the start <kbd>{'{'}</kbd></button>
					<button type="button" class="primary" disabled={at === undefined} onClick={() => at !== undefined && debugAt(at)}>{at === undefined ? 'Here: click on the ruler first' : `Here: ${exact(at)}`} <kbd>H</kbd></button>
					<button type="button" onClick={() => debugEnd()}>At the end <kbd>{'}'}</kbd></button>
				</p>
			</Empty>
		);
	}
	const busy = status.state !== 'stopped' || !!progress;
	const tabs = [['stack', 'Stack'], ['source', 'Source'], ['registers', 'Registers'], ['breakpoints', 'Breakpoints'], ['writes', 'Who wrote?']] as const;
	return (
		<div class="debugger">
			<div class="bar-top debug-bar" role="toolbar" aria-label="Debugger">
				<Button id="reverse" label="◀◀" disabled={busy} /><Button id="step-out-back" label="⇱" disabled={busy} /><Button id="step-over-back" label="↶" disabled={busy} /><Button id="step-back" label="◁" disabled={busy} /><Button id="instruction-back" label="−1" disabled={busy} />
				<span class="sep" />
				<Button id="instruction" label="+1" disabled={busy} /><Button id="step" label="▷" disabled={busy} /><Button id="step-over" label="↷" disabled={busy} /><Button id="step-out" label="⇲" disabled={busy} /><Button id="continue" label="▶▶" disabled={busy} />
				<span class="sep" />
				<Button id="debug-here" label="Here" disabled={here.value === undefined} /><Button id="debug-start" label="Start" /><Button id="debug-end" label="End" />
				<span class="where" role="status">
					{idle ? '' : stateWords[status.state] ?? status.state} {status.icount !== undefined && <>at <b class="num">{exact(status.icount)}</b></>}
					{status.utid !== undefined && <span class="dim"> in {threadById.value.get(status.utid)?.name}</span>}
					{status.reason && <span class="dim"> · {status.reason}</span>}
				</span>
				{progress && <Waiting progress={progress} cancel={() => interrupt()} />}
				<span class="grow" />
				<Button id="end-replay" label="Close" />
			</div>
			<div class="debug-panes">
				{can('terminal.open') && !idle ? <Terminal /> : <div class="gdb-terminal" />}
				<div class="debug-side">
					<div class="subtabs" role="tablist" aria-label="What to look at">
						{tabs.map(([id, title]) => <button type="button" role="tab" key={id} aria-selected={section.value === id} class={section.value === id ? 'on' : ''} onClick={() => (section.value = id)}>{title}</button>)}
					</div>
					<div class="subpane" role="tabpanel">
						{section.value === 'stack' && <Stack />}{section.value === 'source' && <FrameSource />}{section.value === 'registers' && <Registers />}{section.value === 'breakpoints' && <Breakpoints />}{section.value === 'writes' && <WritesPane />}
					</div>
				</div>
			</div>
		</div>
	);
}

/** The end of what replays the same each time; the trace may go on a little. */
export const replayEnd = (): number => hello.value?.recording?.to ?? icount(bounds.value.to);
