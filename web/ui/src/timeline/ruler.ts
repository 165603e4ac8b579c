// SPDX-License-Identifier: GPL-2.0-or-later
// Where the ruler's ticks are and what they say.
import { exact, seconds, short } from '../lib/format.ts';
import { length, toPx } from './viewport.ts';
import type { Span } from './viewport.ts';

export interface Tick {
	readonly at: number;
	readonly px: number;
	readonly label: string;
}

export interface Ruler {
	readonly step: number;
	readonly ticks: readonly Tick[];
	/** What the labels count from, when they are distances; the whole numbers would not fit. */
	readonly anchor: number | undefined;
}

/** The smallest of 1, 2, 5 times a power of ten that is at least n; never below one instruction. */
export function niceStep(n: number): number {
	if (n <= 1)
		return 1;
	const power = Math.pow(10, Math.floor(Math.log10(n)));
	for (const factor of [1, 2, 5, 10]) {
		if (factor * power >= n * 0.999999)
			return factor * power;
	}
	return 10 * power;
}

/** A label that still tells neighbours apart: "1.25 G" when the step is 10 M. */
function absolute(at: number, step: number): string {
	for (const [unit, name] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']] as const) {
		if (at >= unit && step >= unit / 1000) {
			const digits = Math.max(0, Math.ceil(Math.log10(unit / step) - 1e-9));
			return `${(at / unit).toFixed(digits)}\u202f${name}`;
		}
	}
	return exact(at);
}

/**
 * Labels get about 90 px each. Deep in, they are distances from an anchor ("+250"): the anchor itself is
 * drawn in full beside the ruler. With a clock, labels are its seconds, at the same round icounts.
 */
export function ruler(view: Span, width: number, clock?: (icount: number) => number): Ruler {
	const perPx = length(view) / width;
	const ticks: Tick[] = [];
	const step = niceStep(perPx * 90);
	const first = Math.ceil(Math.max(0, view.from) / step) * step;
	const deep = !clock && step < 1e4 && view.from > 1e6;
	const grid = step * 10;
	const anchor = deep ? Math.floor(Math.max(0, view.from) / grid) * grid : undefined;
	for (let at = first; at < view.to; at += step) {
		const label = clock ? seconds(clock(at), Math.max(1e-9, Math.abs(clock(at + step) - clock(at)) || 1e-9)) : anchor === undefined ? absolute(at, step) : at === anchor ? exact(at) : `+${at - anchor >= 1e4 ? short(at - anchor) : exact(at - anchor)}`;
		ticks.push({ at, px: toPx(view, width, at), label });
	}
	return { step, ticks, anchor };
}
