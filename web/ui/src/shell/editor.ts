// SPDX-License-Identifier: GPL-2.0-or-later
// CodeMirror, loaded when it is first used: the SQL editor and the read-only view of sources.
import { autocompletion, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { cpp } from '@codemirror/lang-cpp';
import { PostgreSQL, sql, SQLDialect } from '@codemirror/lang-sql';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { EditorState, StateEffect, StateField } from '@codemirror/state';
import type { Extension } from '@codemirror/state';
import { Decoration, drawSelection, EditorView, keymap, lineNumbers, placeholder } from '@codemirror/view';
import type { DecorationSet } from '@codemirror/view';
import { tags } from '@lezer/highlight';

const colours = HighlightStyle.define([
	{ tag: [tags.keyword, tags.controlKeyword, tags.definitionKeyword, tags.modifier], color: 'var(--code-keyword)' },
	{ tag: [tags.string, tags.character], color: 'var(--code-string)' },
	{ tag: [tags.number, tags.bool, tags.null], color: 'var(--code-number)' },
	{ tag: [tags.comment, tags.lineComment, tags.blockComment], color: 'var(--muted)', fontStyle: 'italic' },
	{ tag: [tags.typeName, tags.standard(tags.name)], color: 'var(--code-type)' },
	{ tag: [tags.processingInstruction, tags.meta], color: 'var(--code-meta)' },
]);

const look = (dark: boolean): Extension => [
	EditorView.theme({
		'&': { height: '100%', fontSize: '12.5px', backgroundColor: 'transparent', color: 'var(--text)' },
		'.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.5' },
		'.cm-gutters': { backgroundColor: 'transparent', color: 'var(--muted)', border: 'none' },
		'.cm-content': { caretColor: 'var(--text)' },
		'.cm-cursor': { borderLeftColor: 'var(--text)' },
		'&.cm-focused': { outline: 'none' },
		'.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground': { backgroundColor: 'var(--selected)' },
		'.cm-here': { backgroundColor: 'var(--here)' },
		'.cm-tooltip': { backgroundColor: 'var(--panel)', border: '1px solid var(--line)', color: 'var(--text)', borderRadius: '6px' },
		'.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on-accent)' },
		'.cm-completionDetail': { color: 'var(--muted)', fontStyle: 'normal', marginLeft: '1em' },
	}, { dark }),
	syntaxHighlighting(colours),
];

const setHere = StateEffect.define<number>();
const here = StateField.define<DecorationSet>({
	create: () => Decoration.none,
	update: (old, transaction) => {
		for (const e of transaction.effects) {
			if (e.is(setHere))
				return Decoration.set([Decoration.line({ class: 'cm-here' }).range(e.value)]);
		}
		return old.map(transaction.changes);
	},
	provide: (field) => EditorView.decorations.from(field),
});

export function showSource(host: HTMLElement, text: string, firstLine: number, line: number | undefined, dark: boolean): { destroy: () => void } {
	const view = new EditorView({
		parent: host,
		state: EditorState.create({
			doc: text,
			extensions: [
				lineNumbers({ formatNumber: (n) => String(n + firstLine - 1) }), cpp(), here, look(dark), EditorState.readOnly.of(true),
				EditorView.contentAttributes.of({ 'aria-label': 'Source', tabindex: '0' }), EditorView.editable.of(false),
			],
		}),
	});
	if (line !== undefined && line >= firstLine && line - firstLine < view.state.doc.lines) {
		const at = view.state.doc.line(line - firstLine + 1).from;
		view.dispatch({ effects: [setHere.of(at), EditorView.scrollIntoView(at, { y: 'center' })] });
	}
	return view;
}

const sqlite = SQLDialect.define({
	...PostgreSQL.spec,
	keywords: 'select from where group by order having limit offset as on join left inner cross outer union all except intersect with recursive case when then else end and or not in is null like glob between distinct exists cast values asc desc over partition filter window explain',
	types: 'integer real text blob', operatorChars: '*+-%<>!=&|~/', identifierQuotes: '"`', doubleQuotedStrings: false,
});

export interface SqlEditor {
	readonly text: () => string;
	readonly setText: (text: string) => void;
	readonly focus: () => void;
	readonly destroy: () => void;
}

export interface SqlOptions {
	readonly text: string;
	readonly dark: boolean;
	readonly schema: Readonly<Record<string, readonly { readonly label: string; readonly detail: string; readonly info: string }[]>>;
	readonly run: () => void;
	readonly changed: (text: string) => void;
}

export function sqlEditor(host: HTMLElement, options: SqlOptions): SqlEditor {
	const view = new EditorView({
		parent: host,
		state: EditorState.create({
			doc: options.text,
			extensions: [
				keymap.of([{ key: 'Mod-Enter', run: () => {
					options.run();
					return true;
				} }]),
				history(), drawSelection(), bracketMatching(), autocompletion({ icons: false }), keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap]),
				sql({ dialect: sqlite, schema: options.schema as Record<string, { label: string; detail: string; info: string }[]>, upperCaseKeywords: false }),
				placeholder('select ...'), look(options.dark), EditorView.lineWrapping,
				EditorView.contentAttributes.of({ 'aria-label': 'SQL' }),
				EditorView.updateListener.of((update) => {
					if (update.docChanged)
						options.changed(update.state.doc.toString());
				}),
			],
		}),
	});
	return {
		text: () => view.state.doc.toString(),
		setText: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
		focus: () => view.focus(),
		destroy: () => view.destroy(),
	};
}
