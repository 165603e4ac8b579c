// SPDX-License-Identifier: GPL-2.0-or-later
// What the trace and its recording say of themselves.
import type { JSX } from 'preact';
import { exact, plural } from '../lib/format.ts';
import { hello, trace } from '../state/app.ts';
import { toClipboard } from '../state/copy.ts';

export function TraceInfoPane(): JSX.Element {
	const t = trace.value;
	const r = hello.value?.recording;
	if (!t)
		return <p class="pane-pad dim">…</p>;
	const fact = (name: string, value: JSX.Element | string): JSX.Element => <><dt>{name}</dt><dd>{value}</dd></>;
	return (
		<div class="pane-pad trace-info">
			<h2>{t.path}</h2>
			<dl class="facts wide">
				{fact('Instructions', <span class="num">{exact(t.to - t.from + 1)}</span>)}
				{fact('Calls', <span class="num">{exact(t.slices)}</span>)}
				{fact('Threads', `${plural(t.threads, 'thread')} in ${plural(t.processes, 'process', 'processes')}`)}
				{fact('Functions', exact(t.functions))}
				{fact('Timestamps', t.exact ? 'exact: a replay can be taken to each of them' : `not exact${t.exactReason ? `: ${t.exactReason}` : ''}`)}
				{t.damage ? fact('Damage', <span class="error-text">{t.damage}</span>) : null}
				{r ? fact('Recording', <>{r.path} <span class="dim">{r.replays ? `replays up to ${exact(r.to)}` : r.whyNot ?? 'does not replay'}</span></>) : null}
				{r ? fact('Command', <span><code class="wrap">{r.command.join(' ')}</code> <button type="button" onClick={() => toClipboard(r.command.join(' '), 'The command')}>Copy</button></span>) : null}
				{[...new Map(t.metadata.map((m) => [m.name, m])).values()].map((m) => <>{fact(m.name, <code class="wrap">{m.value}</code>)}</>)}
				{fact('Daemon', `DejaView ${hello.value?.daemon ?? ''}, protocol ${hello.value?.protocol ?? ''}`)}
			</dl>
		</div>
	);
}
