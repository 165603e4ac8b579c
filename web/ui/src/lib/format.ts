// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers as people read them.

const narrow = '\u202f';

/** 1234567 -> "1 234 567", grouped by narrow spaces that do not break. */
export function exact(n: number): string {
	const text = Math.round(n).toString();
	return text.replace(/\B(?=(\d{3})+(?!\d))/g, narrow);
}

const units = [
	{ at: 1e12, name: 'T' },
	{ at: 1e9, name: 'G' },
	{ at: 1e6, name: 'M' },
	{ at: 1e3, name: 'k' },
] as const;

/** Three digits and a unit: 1234567 -> "1.23 M". */
export function short(n: number): string {
	const size = Math.abs(n);
	for (const unit of units) {
		if (size >= unit.at * 0.9995) {
			const value = n / unit.at;
			const digits = Math.abs(value) >= 99.95 ? 0 : Math.abs(value) >= 9.995 ? 1 : 2;
			return value.toFixed(digits) + narrow + unit.name;
		}
	}
	return Number.isInteger(n) ? n.toString() : n.toFixed(size >= 10 ? 0 : 1);
}

/** A part of a whole: "12.3 %", "< 0.1 %". */
export function percent(part: number, whole: number): string {
	if (whole <= 0)
		return '';
	const value = (part / whole) * 100;
	if (value > 0 && value < 0.1)
		return `<${narrow}0.1${narrow}%`;
	return `${value >= 99.95 ? value.toFixed(0) : value.toFixed(1)}${narrow}%`;
}

export function plural(n: number, one: string, many = one + 's'): string {
	return `${exact(n)} ${n === 1 ? one : many}`;
}

export function bytes(n: number): string {
	if (n < 1024)
		return `${n} B`;
	const names = ['KiB', 'MiB', 'GiB', 'TiB'];
	let value = n / 1024;
	let i = 0;
	for (; value >= 1024 && i < names.length - 1; i++)
		value /= 1024;
	return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${names[i]}`;
}

/** Seconds with as many digits as a step of the axis needs. */
export function seconds(value: number, step: number): string {
	const digits = Math.max(0, Math.min(9, Math.ceil(-Math.log10(step))));
	return `${value.toFixed(digits)} s`;
}

export const hex = (n: number | bigint): string => '0x' + n.toString(16);

/** What people type as a number: 1234, 1_234, "1 234", 1.5G, 12M, 0x10. NaN when it is none. */
export function parseCount(text: string): number {
	const plain = text.replace(/[\s_,\u202f]/g, '');
	if (/^0x[0-9a-f]+$/i.test(plain))
		return Number.parseInt(plain, 16);
	const match = /^(\d+(?:\.\d+)?)([kmgt]?)$/i.exec(plain);
	if (!match)
		return Number.NaN;
	const scale = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 }[match[2]!.toLowerCase()] ?? Number.NaN;
	return Math.round(Number(match[1]) * scale);
}
