// SPDX-License-Identifier: GPL-2.0-or-later
// Variables as gdb writes them.

/** What a variable is part of: its expression as gdb takes it, and its type. */
export interface Parent {
	readonly expression: string;
	readonly type: string;
}

const isPointer = (type: string): boolean => /\*\s*(const|volatile|restrict|\s)*$/.test(type);

/** Of a struct or union without a name: its members are used as its parent's. */
export const isAnonymous = (name: string): boolean => name.startsWith('<');

/** A part of a variable as an expression, from the name that gdb gives it among its children. */
export function memberOf(parent: Parent, name: string): string {
	if (isAnonymous(name))
		return parent.expression;
	if (name.startsWith('*'))
		return `*(${parent.expression})`;
	if (/^\d+$/.test(name))
		return `(${parent.expression})[${name}]`;
	return isPointer(parent.type) ? `(${parent.expression})->${name}` : `(${parent.expression}).${name}`;
}

/** Whether a local variable, of which gdb has told no more than this, has parts. */
export const holdsMore = (v: { readonly type?: string | undefined; readonly value: string }): boolean =>
	v.value === '{...}' || (isPointer(v.type ?? '') && !/\(\*+\)|^(const )?(void|char)\b/.test(v.type ?? '') && !/^0x0$/.test(v.value));
