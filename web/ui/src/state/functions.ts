// SPDX-License-Identifier: GPL-2.0-or-later
// Functions by number: asked for when they are first seen, a batch at a time; then all of them, when
// nothing else is going on, for the search box to complete.
import { signal } from '@preact/signals';
import type { Client } from '../../../client/src/client.ts';
import type { Function as Fn, FunctionId } from '../../../client/src/protocol.ts';
import { colourOf } from '../timeline/colours.ts';
import type { Rgba } from '../timeline/colours.ts';
import type { Kind } from '../lib/types.ts';
import { matcher } from '../lib/glob.ts';

const batch = 4000;
const spaces: Record<string, number> = { kernel: 0, module: 1, user: 2, firmware: 3 };

export class Functions {
	/** Counts up when more are known: what shows names depends on it. */
	readonly version = signal(0);
	private byId: (Fn | undefined)[] = [];
	private readonly asked = new Set<number>();
	private wanted: FunctionId[] = [];
	private timer: ReturnType<typeof setTimeout> | undefined;
	private colours = new Uint32Array(0);
	private dark = false;
	private matches = new Uint8Array(0);
	private matchText = '';

	constructor(private readonly client: Client) {}

	reset(): void {
		this.byId = [];
		this.asked.clear();
		this.wanted = [];
		this.colours = new Uint32Array(0);
		this.matches = new Uint8Array(0);
	}

	get(id: number): Fn | undefined {
		const f = this.byId[id];
		if (!f && !this.asked.has(id) && id !== 0xffffffff)
			this.want(id);
		return f;
	}

	/** Asks for those of a frame that are not known yet. */
	wantAll(ids: Uint32Array): void {
		let last = -1;
		for (const id of ids) {
			if (id !== last && !this.byId[id] && !this.asked.has(id) && id !== 0xffffffff)
				this.want(id);
			last = id;
		}
	}

	private want(id: number): void {
		this.asked.add(id);
		this.wanted.push(id as FunctionId);
		this.timer ??= setTimeout(() => this.fetch(), 0);
	}

	private fetch(): void {
		this.timer = undefined;
		while (this.wanted.length) {
			const ids = this.wanted.splice(0, batch);
			this.client.request('functions', { ids }).then((r) => this.add(r.functions), () => {
				for (const id of ids)
					this.asked.delete(id);
			});
		}
	}

	add(functions: readonly Fn[]): void {
		for (const f of functions) {
			this.byId[f.id] = f;
			this.asked.add(f.id);
			if (f.id < this.matches.length)
				this.matches[f.id] = 0;
		}
		this.version.value++;
	}

	/** All of them, in steps. */
	async loadAll(signal: AbortSignal): Promise<void> {
		let after = -1;
		for (;;) {
			const r = await this.client.request('functions', after < 0 ? { limit: batch } : { after, limit: batch }, { signal });
			const last = r.functions.at(-1);
			if (!last)
				return;
			this.add(r.functions);
			after = last.id;
			if (!r.more)
				return;
		}
	}

	/** Those whose name fits, at most so many, those that begin with it first. */
	complete(text: string, most: number): Fn[] {
		const fits = matcher(text);
		const plain = text.toLowerCase();
		const found: Fn[] = [];
		for (const f of this.byId) {
			if (f && fits(f.name)) {
				found.push(f);
				if (found.length >= 400)
					break;
			}
		}
		const rank = (f: Fn): number => (f.name.toLowerCase().startsWith(plain) ? 0 : 1000) + f.name.length;
		return found.sort((a, b) => rank(a) - rank(b)).slice(0, most);
	}

	setDark(dark: boolean): void {
		if (dark !== this.dark) {
			this.dark = dark;
			this.colours = new Uint32Array(0);
		}
	}

	colour(id: number, kind: Kind): Rgba {
		const index = id * 8 + kind;
		if (index >= this.colours.length) {
			if (id === 0xffffffff)
				return colourOf({ name: '' }, kind, this.dark);
			const larger = new Uint32Array(Math.max(4096, index * 2));
			larger.set(this.colours);
			this.colours = larger;
		}
		let c = this.colours[index]!;
		if (c === 0) {
			const f = this.get(id);
			if (!f)
				return colourOf({ name: '0x' }, kind, this.dark);
			c = this.colours[index] = colourOf({ name: f.name, module: f.module, file: f.file, space: spaces[f.space] }, kind, this.dark);
		}
		return c;
	}

	/** Whether a function's name fits the search; answers are kept until the search changes. */
	fits(id: number, text: string): boolean {
		if (text !== this.matchText) {
			this.matchText = text;
			this.matches.fill(0);
		}
		if (id >= this.matches.length) {
			if (id === 0xffffffff)
				return false;
			const larger = new Uint8Array(Math.max(4096, id * 2));
			larger.set(this.matches);
			this.matches = larger;
		}
		let m = this.matches[id]!;
		if (m === 0) {
			const f = this.byId[id];
			if (!f)
				return false;
			m = this.matches[id] = this.test(text)(f.name) ? 2 : 1;
		}
		return m === 2;
	}

	private tester: { text: string; fits: (name: string) => boolean } | undefined;
	private test(text: string): (name: string) => boolean {
		if (this.tester?.text !== text)
			this.tester = { text, fits: matcher(text) };
		return this.tester.fits;
	}
}
