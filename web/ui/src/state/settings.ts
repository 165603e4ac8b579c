// SPDX-License-Identifier: GPL-2.0-or-later
// What the user likes, kept by the browser; and the theme, which follows the system until it is chosen.
import { computed, effect, signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';

interface Settings {
	readonly theme: Theme;
	readonly drawer: number;
	readonly heads: number;
	readonly history: readonly string[];
	readonly axis: 'insns' | 'seconds';
}

const key = 'dejaview';
const defaults: Settings = { theme: 'system', drawer: 300, heads: 230, history: [], axis: 'insns' };

function load(): Settings {
	try {
		const stored = JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Settings>;
		return { ...defaults, ...stored };
	} catch {
		return defaults;
	}
}

export const settings = signal<Settings>(load());

export function change(what: Partial<Settings>): void {
	settings.value = { ...settings.value, ...what };
	try {
		localStorage.setItem(key, JSON.stringify(settings.value));
	} catch {
		// Private windows may refuse: the settings then last as long as the page.
	}
}

const system = matchMedia('(prefers-color-scheme: dark)');
const systemDark = signal(system.matches);
system.addEventListener('change', (event) => (systemDark.value = event.matches));

export const dark = computed(() => (settings.value.theme === 'system' ? systemDark.value : settings.value.theme === 'dark'));

effect(() => {
	document.documentElement.dataset['theme'] = dark.value ? 'dark' : 'light';
});

export const calmMotion = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches;
