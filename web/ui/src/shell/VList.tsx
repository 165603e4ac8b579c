// SPDX-License-Identifier: GPL-2.0-or-later
// A list of rows of one height: only those in sight exist.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { JSX } from 'preact';

interface Props {
	readonly count: number;
	readonly rowHeight: number;
	readonly row: (i: number) => JSX.Element | null;
	readonly label: string;
	readonly class?: string;
	/** Scrolled into sight when it changes. */
	readonly show?: number | undefined;
	readonly role?: 'list' | 'rowgroup' | 'listbox';
}

/** Browsers lay out no element higher than some 16 M pixels. */
const highest = 8_000_000;

export function VList(props: Props): JSX.Element {
	const ref = useRef<HTMLDivElement>(null);
	const [state, setState] = useState({ top: 0, height: 400 });
	const real = props.count * props.rowHeight;
	const height = Math.min(real, highest);
	const squeeze = real > height ? (real - state.height) / Math.max(1, height - state.height) : 1;
	useEffect(() => {
		const e = ref.current!;
		const read = (): void => setState((old) => (old.top === e.scrollTop && old.height === e.clientHeight ? old : { top: e.scrollTop, height: e.clientHeight }));
		read();
		const size = new ResizeObserver(read);
		size.observe(e);
		e.addEventListener('scroll', read, { passive: true });
		return () => {
			size.disconnect();
			e.removeEventListener('scroll', read);
		};
	}, []);
	useEffect(() => {
		const e = ref.current!;
		if (props.show === undefined || props.show < 0)
			return;
		const y = (props.show * props.rowHeight) / squeeze;
		if (y < e.scrollTop || y > e.scrollTop + e.clientHeight - props.rowHeight)
			e.scrollTop = Math.max(0, y - e.clientHeight / 2);
	}, [props.show, props.count]);
	const top = state.top * squeeze;
	const first = Math.max(0, Math.floor(top / props.rowHeight) - 4);
	const last = Math.min(props.count, Math.ceil((top + state.height) / props.rowHeight) + 4);
	const rows: JSX.Element[] = [];
	for (let i = first; i < last; i++)
		rows.push(<div key={i} class="vrow" style={{ top: `${state.top + i * props.rowHeight - top}px`, height: `${props.rowHeight}px` }}>{props.row(i)}</div>);
	return (
		<div class={`vlist ${props.class ?? ''}`} ref={ref} tabIndex={0} role={props.role ?? 'list'} aria-label={props.label}>
			<div class="vspace" style={{ height: `${height}px` }}>{rows}</div>
		</div>
	);
}
