// SPDX-License-Identifier: GPL-2.0-or-later
// Globs as SQLite's GLOB has them: * ? [set]; a pattern without any of these matches anywhere.

/** The pattern as the daemon takes it: a bare word is looked for anywhere in the name. */
export function searchGlob(text: string): string {
	const trimmed = text.trim();
	return /[*?[]/.test(trimmed) || trimmed === '' ? trimmed : `*${trimmed}*`;
}

function source(glob: string): string {
	let out = '';
	for (let i = 0; i < glob.length; i++) {
		const c = glob[i]!;
		if (c === '*') {
			out += '.*';
		} else if (c === '?') {
			out += '.';
		} else if (c === '[') {
			const close = glob.indexOf(']', glob[i + 1] === '^' ? i + 3 : i + 2);
			if (close < 0) {
				out += '\\[';
			} else {
				out += '[' + glob.slice(i + 1, close).replace(/[\\\]]/g, '\\$&') + ']';
				i = close;
			}
		} else {
			out += c.replace(/[.+^${}()|\\\]]/g, '\\$&');
		}
	}
	return out;
}

/** A test for names. Case matters only where the pattern has capitals. */
export function matcher(text: string): (name: string) => boolean {
	const glob = searchGlob(text);
	if (glob === '')
		return () => true;
	const regexp = new RegExp(`^${source(glob)}$`, /[A-Z]/.test(glob) ? 's' : 'is');
	return (name) => regexp.test(name);
}

/**
 * How well letters typed in order fit a title; undefined when they do not. Higher is better: letters that
 * begin words and letters that follow one another count more.
 */
export function fuzzy(query: string, title: string): number | undefined {
	const q = query.toLowerCase().replace(/\s+/g, '');
	const t = title.toLowerCase();
	let score = 0;
	let last = -2;
	let from = 0;
	for (const c of q) {
		const at = t.indexOf(c, from);
		if (at < 0)
			return undefined;
		score += at === last + 1 ? 4 : /[a-z0-9]/.test(t[at - 1] ?? ' ') ? 0 : 3;
		last = at;
		from = at + 1;
	}
	return score - t.length / 100;
}
