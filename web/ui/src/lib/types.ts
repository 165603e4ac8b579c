// SPDX-License-Identifier: GPL-2.0-or-later
// Numbers that must not be taken for one another, and what names a slice.
import { sliceKinds } from '../../../client/src/protocol.ts';
import type { FunctionId, Icount, SliceId, SliceKey, SliceKind, Utid } from '../../../client/src/protocol.ts';

export type { FunctionId, Icount, SliceId, SliceKey, SliceKind, Utid };
/** A thread's row is its identity here; tids come again. */
export type ThreadId = Utid;

export const icount = (n: number): Icount => Math.max(0, Math.round(n)) as Icount;
export const threadId = (n: number): ThreadId => n as ThreadId;
export const functionId = (n: number): FunctionId => n as FunctionId;
export const sliceId = (n: number): SliceId => n as SliceId;

export const sameSlice = (a: SliceKey | undefined, b: SliceKey | undefined): boolean =>
	a === b || (!!a && !!b && a.start === b.start && a.utid === b.utid && a.depth === b.depth);

/** Kinds of slices, numbered as in frames. */
export const enum Kind {
	Call = 0,
	TailCall = 1,
	Interrupt = 2,
	Exception = 3,
	Syscall = 4,
}

export const kindNumber = (kind: SliceKind): Kind => Math.max(0, sliceKinds.indexOf(kind)) as Kind;
const kindWords: Record<string, string> = { syscall: 'system call' };
export const kindWord = (kind: SliceKind): string => kindWords[kind] ?? kind;
