// SPDX-License-Identifier: GPL-2.0-or-later
// Keys as text ("Ctrl+K", "Shift+F8", "["), and which command a key press means.

const mac = typeof navigator !== 'undefined' && /Mac/.test(navigator.platform);

/** What a key press is called. Shift is named only where the key does not tell already. */
export function nameOf(e: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey'>): string {
	const key = e.key === ' ' ? 'Space' : e.key.length === 1 && !e.shiftKey ? e.key.toLowerCase() : e.key;
	const parts: string[] = [];
	if (mac ? e.metaKey : e.ctrlKey)
		parts.push('Ctrl');
	if (e.altKey)
		parts.push('Alt');
	if (e.shiftKey && (key.length > 1 || /[a-z]/i.test(key)))
		parts.push('Shift');
	parts.push(key.length === 1 ? key.toUpperCase() : key);
	return parts.join('+');
}

/** As shown to people. */
export function shown(key: string): string {
	return key.replace('Ctrl', mac ? '⌘' : 'Ctrl').replace('ArrowUp', '↑').replace('ArrowDown', '↓').replace('ArrowLeft', '←').replace('ArrowRight', '→')
		.replace('Escape', 'Esc');
}

/** Typing goes there: single letters are then no commands. */
export function typing(target: EventTarget | null): boolean {
	const e = target instanceof HTMLElement ? target : undefined;
	return !!e && (e.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(e.tagName) || !!e.closest('.xterm, .cm-editor'));
}
