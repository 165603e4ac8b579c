// SPDX-License-Identifier: GPL-2.0-or-later
// Made by `tools/gen-protocol ts` from src/rpc/protocol.json: change that, and run it again.

export const protocolVersion = 1;

declare const brand: unique symbol;
type Brand<T, Name> = T & { readonly [brand]: Name };

/** An instruction count: an integer below 2^53. */
export type Icount = Brand<number, 'icount'>;
/** A slice's row in this opening of the trace. Never kept: slices are kept by their key. */
export type SliceId = Brand<number, 'sliceId'>;
/** A thread's row. */
export type Utid = Brand<number, 'utid'>;
/** A track's row: slices lie on tracks, a thread's on its own one. */
export type TrackId = Brand<number, 'trackId'>;
/** A process's row. */
export type Upid = Brand<number, 'upid'>;
/** A function's row. */
export type FunctionId = Brand<number, 'functionId'>;
/** An address, as "0x" and hexadecimal digits: it may pass 2^53. */
export type Address = Brand<string, 'address'>;

/** No such row, in the u32 columns of frames. */
export const none = 0xffffffff;

/** Of the trace in the daemon. */
export const states = ['loading', 'ready', 'failed'] as const;
export type State = (typeof states)[number];

/** Whose a track is. */
export const trackTypes = ['thread', 'process', 'global'] as const;
export type TrackType = (typeof trackTypes)[number];

/** In time. */
export const directions = ['next', 'previous'] as const;
export type Direction = (typeof directions)[number];

/** Where a function's code lies. */
export const spaces = ['kernel', 'module', 'user', 'firmware'] as const;
export type Space = (typeof spaces)[number];

/** What a slice is. */
export const sliceKinds = ['call', 'tail call', 'interrupt', 'exception', 'syscall'] as const;
export type SliceKind = (typeof sliceKinds)[number];

/** Of the replay. */
export const replayStates = ['closed', 'starting', 'stopped', 'running', 'ended'] as const;
export type ReplayState = (typeof replayStates)[number];

/** Why a request failed. */
export const errorCodes = ['parse', 'invalid', 'unknown_method', 'not_found', 'loading', 'busy', 'cancelled', 'timeout', 'too_large', 'unsupported', 'sql', 'io', 'replay', 'internal'] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** How far a long step is. */
export interface Progress {
  readonly done: number;
  /** 0 while unknown. */ readonly total: number;
  /** What is being done, for people. */ readonly what: string;
}

/** Why a request failed. */
export interface RpcError {
  readonly code: ErrorCode;
  /** What went wrong, naming the thing. */ readonly message: string;
  /** The way out, where there is one. */ readonly hint?: string;
}

/** What the daemon takes. */
export interface Limits {
  /** Longest message from a client. */ readonly messageBytes: number;
  /** Unanswered ones of a client at a time. */ readonly requests: number;
  /** Longest run of one request; 0: any. */ readonly querySeconds: number;
}

/** The trace that is served. */
export interface TraceInfo {
  readonly path: string;
  /** Of the trace's bytes: the same for the same trace. */ readonly identity: string;
  /** The first instruction. */ readonly from: Icount;
  /** The last one, inclusive. (Ends of areas that are asked for are exclusive.) */ readonly to: Icount;
  /** Icounts are QEMU's own: a replay can be taken to each of them. */ readonly exact: boolean;
  /** Why they are not. */ readonly exactReason?: string;
  /** What a timestamp counts: "instructions", or "ns" in a trace of another tool. */ readonly clock: string;
  /** Where the trace is cut or damaged: it is served up to there. */ readonly damage?: string;
  readonly slices: number;
  readonly threads: number;
  readonly processes: number;
  readonly functions: number;
  /** Of any slice. */ readonly maxDepth: number;
  /** How many have scheduling data. */ readonly cpus: number;
  readonly consoleLines: number;
  /** Kernel banner, command line and whatever else the trace says of itself. */ readonly metadata: readonly Metadata[];
}

/** A fact. */
export interface Metadata {
  readonly name: string;
  readonly value: string;
}

/** The recording whose trace it is. */
export interface RecordingInfo {
  readonly path: string;
  /** A replay may be opened. */ readonly replays: boolean;
  readonly whyNot?: string;
  /** Up to where every replay is the same. */ readonly to: Icount;
  /** QEMU's command line as it was given. */ readonly command: readonly string[];
}

/** A process of the guest. */
export interface Process {
  readonly upid: Upid;
  readonly pid: number;
  readonly name: string;
  readonly parent?: Upid;
  readonly start?: Icount;
  readonly end?: Icount;
}

/** A thread of the guest. */
export interface Thread {
  readonly utid: Utid;
  /** Of its slices, when it has any. */ readonly track?: TrackId;
  /** 0 for an idle task. */ readonly tid: number;
  readonly upid?: Upid;
  /** The newest. */ readonly name: string;
  readonly isKernel: boolean;
  readonly isIdle: boolean;
  readonly isMain: boolean;
  /** When it began, where the trace saw it. */ readonly start?: Icount;
  readonly end?: Icount;
  readonly slices: number;
  /** How many lanes its track has. */ readonly depths: number;
  /** Instructions that it ran. */ readonly cpu: number;
}

/** Where slices lie: one for each thread that has some; in traces of other tools also a process's or nobody's. */
export interface Track {
  readonly track: TrackId;
  readonly parent?: TrackId;
  readonly type: TrackType;
  readonly utid?: Utid;
  readonly upid?: Upid;
  readonly name?: string;
  readonly slices: number;
  readonly depths: number;
}

/** What names a slice in this trace, whichever rows it has. */
export interface SliceKey {
  readonly start: Icount;
  readonly utid: Utid;
  readonly depth: number;
}

/** What names a slice for good: the same in every trace of a recording. Marks are kept so. */
export interface SlicePlace {
  readonly start: Icount;
  /** Of the thread that ran it, as the guest has it; none where no thread is known. */ readonly tid?: number;
  /** When the trace was filtered otherwise: the call of the thread that begins there, at whatever depth. */ readonly depth: number;
}

/** A call. */
export interface Slice {
  readonly id: SliceId;
  readonly track: TrackId;
  readonly utid?: Utid;
  /** 0 for the outermost of its track. */ readonly depth: number;
  readonly start: Icount;
  /** Instructions from begin to end; -1: it never ended. */ readonly dur: number;
  readonly function: FunctionId;
  /** The function's, with "[module] " before it for a kernel module's. */ readonly name: string;
  readonly kind: SliceKind;
  /** Instructions that its thread ran in it: without those of others that ran meanwhile. */ readonly cpu: number;
  /** ... in itself, not in what it called. */ readonly own: number;
}

/** A call and what belongs to it. */
export interface SliceDetails {
  readonly slice: Slice;
  readonly parent?: Slice;
  readonly function: Function;
  readonly thread?: Thread;
  /** Direct ones. */ readonly children: number;
  readonly args: readonly Metadata[];
}

/** A function. */
export interface Function {
  readonly id: FunctionId;
  readonly name: string;
  /** As slices have it, when that is another. */ readonly sliceName?: string;
  /** The kernel module, program or library; none for the kernel itself. */ readonly module?: string;
  readonly space: Space;
  /** As run; in a user-space file, as linked. */ readonly address?: Address;
  readonly size?: number;
  readonly file?: string;
  readonly line?: number;
}

/** What calls of one function cost. */
export interface Cost {
  readonly function: FunctionId;
  readonly name: string;
  readonly calls: number;
  /** Instructions of the thread in it and in what it calls. */ readonly total: number;
  /** ... in itself alone. */ readonly own: number;
}

/** Calls whose cost lies in a range. */
export interface Bin {
  /** Inclusive. */ readonly from: number;
  /** Exclusive. */ readonly to: number;
  readonly calls: number;
}

/** A line that the guest printed. */
export interface ConsoleLine {
  /** Its place among all lines, from 0. */ readonly row: number;
  /** Of its first byte. */ readonly icount: Icount;
  readonly utid?: Utid;
  readonly source: string;
  readonly level?: number;
  readonly text: string;
}

/** What the user marked: a moment, or a slice when depth is given: that of its SlicePlace. */
export interface Mark {
  /** Chosen by the client that made it; at most 64 bytes. */ readonly id: string;
  readonly icount: Icount;
  /** Of the slice's thread, as the guest has it. */ readonly tid?: number;
  readonly depth?: number;
  readonly name: string;
  readonly note?: string;
  readonly colour?: string;
}

/** Where the replay stands. */
export interface ReplayStatus {
  readonly state: ReplayState;
  readonly icount?: Icount;
  /** The thread that runs there, where known. */ readonly utid?: Utid;
  /** Why it stopped there. */ readonly reason?: string;
  readonly message?: string;
  /** The one that was hit. */ readonly breakpoint?: number;
}

/** A frame, as gdb sees it. */
export interface StackFrame {
  readonly level: number;
  readonly function?: string;
  readonly address: Address;
  readonly file?: string;
  readonly line?: number;
  readonly module?: string;
}

/** A variable, a register or a value. */
export interface Variable {
  readonly name: string;
  readonly value: string;
  readonly type?: string;
  /** Members, elements; 0 or absent for a plain value. */ readonly children?: number;
  /** What replay.evaluate takes as `of`, for the children. */ readonly reference?: string;
}

/** A breakpoint or watchpoint. */
export interface Breakpoint {
  readonly number: number;
  /** As it was asked for. */ readonly what: string;
  readonly enabled: boolean;
  readonly address?: Address;
  readonly file?: string;
  readonly line?: number;
  readonly condition?: string;
  readonly watch?: boolean;
  readonly hits?: number;
}

/** A write to watched memory. */
export interface Write {
  readonly icount: Icount;
  readonly utid?: Utid;
  readonly address: Address;
  readonly size: number;
  /** What was written, the first 8 bytes of it. */ readonly value: Address;
  /** The place before it: a number of up to 8 bytes, else bytes in the order of memory. */ readonly before?: string;
  /** ... and after it. */ readonly after?: string;
  readonly function?: string;
}

/** A call with its arguments. */
export interface Call {
  readonly slice: SliceId;
  readonly icount: Icount;
  readonly utid?: Utid;
  readonly function: string;
  /** By the kernel's own type information; the registers where it does not know the function. */ readonly arguments: readonly Variable[];
  /** It has, within the recording. */ readonly returned: boolean;
  /** What it returned; none of a void function. */ readonly result?: Variable;
}

/** What can be asked. `part` comes zero or more times before the result, frames too. */
export interface Methods {
  /** 1. What is served. Answers while the trace is still loading; events say when that changes. */
  'hello': {
    readonly params: { /** Who asks, for the log. */ readonly client?: string; };
    readonly result: {
      /** DejaView's version. */ readonly daemon: string;
      /** This document's version. */ readonly protocol: number;
      readonly state: State;
      /** While loading. */ readonly progress?: Progress;
      /** When loading failed. */ readonly error?: RpcError;
      /** Methods that this daemon answers. */ readonly capabilities: readonly string[];
      readonly limits: Limits;
      /** When ready. */ readonly trace?: TraceInfo;
      readonly recording?: RecordingInfo;
    };
    readonly part: never;
    readonly frames: never;
  };
  /** 2. All threads, processes and other tracks. */
  'threads': {
    readonly params: Readonly<Record<string, never>>;
    readonly result: {
      readonly threads: readonly Thread[];
      readonly processes: readonly Process[];
      readonly tracks: readonly Track[];
    };
    readonly part: never;
    readonly frames: never;
  };
  /** 3. Stops loading the trace, for all clients: its state is then failed, the error's code cancelled. */
  'load.cancel': {
    readonly params: Readonly<Record<string, never>>;
    readonly result: Readonly<Record<string, never>>;
    readonly part: never;
    readonly frames: never;
  };
  /** 4. Loads the trace after all, when loading it was cancelled. */
  'load.start': {
    readonly params: Readonly<Record<string, never>>;
    readonly result: Readonly<Record<string, never>>;
    readonly part: never;
    readonly frames: never;
  };
  /** 10. Slices of tracks, merged to what can be seen: for each depth and bucket the longest slice that starts in it, and how many it stands for; a slice open at `from` is in it too. One `timeline` frame for each track comes before the result. */
  'timeline': {
    readonly params: {
      /** At most 256. */ readonly tracks: readonly TrackId[];
      readonly from: Icount;
      /** Exclusive, as in all methods. */ readonly to: Icount;
      /** Width in instructions, from `from` on; 0: nothing is merged. */ readonly bucket: number;
      /** How many depths at most. */ readonly maxDepth?: number;
    };
    readonly result: { /** In all frames. */ readonly rows: number; };
    readonly part: never;
    readonly frames: TimelineFrame;
  };
  /** 11. Who ran on a CPU, or when a thread ran: per bucket the longest spell that starts in it. A `sched` frame comes before the result. */
  'sched': {
    readonly params: {
      /** Otherwise any. */ readonly cpu?: number;
      /** Otherwise any. */ readonly utid?: Utid;
      readonly from: Icount;
      readonly to: Icount;
      readonly bucket: number;
    };
    readonly result: { readonly rows: number; };
    readonly part: never;
    readonly frames: SchedFrame;
  };
  /** 12. Where functions whose name matches are called: matches per track and bucket. A `search` frame for each track that has some comes before the result. */
  'search': {
    readonly params: {
      /** With * ? [a-z] for the whole name; without any of them: names that contain it. */ readonly glob: string;
      readonly matchCase?: boolean;
      readonly from: Icount;
      readonly to: Icount;
      readonly bucket: number;
    };
    readonly result: { readonly matches: number; /** How many functions match. */ readonly functions: number; };
    readonly part: never;
    readonly frames: SearchFrame;
  };
  /** 13. The next or previous match from a place, in the order of time. */
  'searchNext': {
    readonly params: {
      readonly glob: string;
      readonly matchCase?: boolean;
      /** From here on, when there is no `id`. */ readonly icount?: Icount;
      /** From this slice on, itself excluded. */ readonly id?: SliceId;
      readonly direction: Direction;
      /** On this track alone. */ readonly track?: TrackId;
    };
    readonly result: {
      readonly slice?: Slice;
      /** How many matches come before it, on all tracks. */ readonly index?: number;
    };
    readonly part: never;
    readonly frames: never;
  };
  /** 20. A slice, by id, by key or by place. */
  'slice': {
    readonly params: { readonly id?: SliceId; readonly key?: SliceKey; readonly place?: SlicePlace; };
    readonly result: SliceDetails;
    readonly part: never;
    readonly frames: never;
  };
  /** 21. Whence it was called, outermost first. */
  'ancestors': {
    readonly params: { readonly id: SliceId; };
    readonly result: { readonly slices: readonly Slice[]; };
    readonly part: never;
    readonly frames: never;
  };
  /** 22. What a call called: by function, dearest first, and the dearest single calls. */
  'children': {
    readonly params: { readonly id: SliceId; /** Of each list; 100 unless told. */ readonly limit?: number; };
    readonly result: { readonly functions: readonly Cost[]; readonly slices: readonly Slice[]; };
    readonly part: never;
    readonly frames: never;
  };
  /** 23. The next or previous call of the same function. */
  'neighbour': {
    readonly params: { readonly id: SliceId; readonly direction: Direction; readonly sameTrack?: boolean; };
    readonly result: { readonly slice?: Slice; };
    readonly part: never;
    readonly frames: never;
  };
  /** 24. How the durations of all ended calls of a function spread, in powers of two. */
  'histogram': {
    readonly params: { readonly function: FunctionId; };
    readonly result: {
      readonly calls: number;
      /** Never ended, and not counted. */ readonly open: number;
      readonly min: number;
      readonly max: number;
      readonly mean: number;
      readonly median: number;
      readonly p90: number;
      readonly p99: number;
      readonly bins: readonly Bin[];
    };
    readonly part: never;
    readonly frames: never;
  };
  /** 25. Open calls at a moment, outermost first. */
  'stackAt': {
    readonly params: {
      readonly icount: Icount;
      /** Otherwise that of the thread that runs there on CPU 0. */ readonly track?: TrackId;
    };
    readonly result: { readonly utid?: Utid; readonly slices: readonly Slice[]; };
    readonly part: never;
    readonly frames: never;
  };
  /** 30. Functions by id, or all that match, by id in chunks. */
  'functions': {
    readonly params: {
      /** At most 10,000. */ readonly ids?: readonly FunctionId[];
      readonly glob?: string;
      /** Go on after this id. */ readonly after?: number;
      /** 10,000 unless told, and at most. */ readonly limit?: number;
    };
    readonly result: { readonly functions: readonly Function[]; readonly more?: boolean; };
    readonly part: never;
    readonly frames: never;
  };
  /** 31. Calls of an area added up by their stacks. A `tree` frame comes before the result. */
  'flamegraph': {
    readonly params: {
      readonly from: Icount;
      readonly to: Icount;
      /** Of one thread. */ readonly utid?: Utid;
      /** Of one process. */ readonly upid?: Upid;
      readonly maxDepth?: number;
      /** 100,000 unless told. */ readonly maxNodes?: number;
    };
    readonly result: { readonly nodes: number; };
    readonly part: never;
    readonly frames: TreeFrame;
  };
  /** 32. Who calls a function, and who calls that: calls and instructions are the function's. A `tree` frame comes before the result. */
  'callers': {
    readonly params: {
      readonly function: FunctionId;
      readonly from?: Icount;
      readonly to?: Icount;
      readonly utid?: Utid;
      readonly upid?: Upid;
      /** 1: only the direct ones. */ readonly maxDepth?: number;
      readonly maxNodes?: number;
    };
    readonly result: { readonly nodes: number; };
    readonly part: never;
    readonly frames: TreeFrame;
  };
  /** 33. What a function calls, and what that calls. A `tree` frame comes before the result. */
  'callees': {
    readonly params: {
      readonly function: FunctionId;
      readonly from?: Icount;
      readonly to?: Icount;
      readonly utid?: Utid;
      readonly upid?: Upid;
      /** 1: only the direct ones. */ readonly maxDepth?: number;
      readonly maxNodes?: number;
    };
    readonly result: { readonly nodes: number; };
    readonly part: never;
    readonly frames: TreeFrame;
  };
  /** 34. What each function cost in an area. A `functionStats` frame comes before the result. */
  'functionStats': {
    readonly params: { readonly from: Icount; readonly to: Icount; readonly utid?: Utid; readonly upid?: Upid; };
    readonly result: { readonly rows: number; };
    readonly part: never;
    readonly frames: FunctionStatsFrame;
  };
  /** 40. Lines that the guest printed, around a moment or from a row on. */
  'console': {
    readonly params: {
      /** Around this moment. */ readonly icount?: Icount;
      /** From this row on. */ readonly row?: number;
      /** How many before `icount`; 100 unless told. */ readonly before?: number;
      /** How many in all; 200 unless told, 5,000 at most. */ readonly count?: number;
      /** Only lines that contain it. */ readonly text?: string;
    };
    readonly result: {
      readonly lines: readonly ConsoleLine[];
      /** Lines in the trace. */ readonly total: number;
      /** The row printed last at or before `icount`. */ readonly current?: number;
    };
    readonly part: never;
    readonly frames: never;
  };
  /** 50. Runs SQL. Rows come in parts before the result; the first part has the columns' names. */
  'query': {
    readonly params: {
      readonly sql: string;
      /** Rows at most; 1,000,000 unless told. */ readonly limit?: number;
      /** Seconds; the daemon's own limit is the most. */ readonly timeout?: number;
    };
    readonly result: {
      readonly rows: number;
      /** The limit cut it. */ readonly truncated: boolean;
      readonly seconds: number;
    };
    readonly part: {
      readonly columns?: readonly string[];
      /** null, numbers, strings; an integer beyond 2^53 comes as a string, a blob as {"blob": hex}. */ readonly rows: readonly (readonly unknown[])[];
    };
    readonly frames: never;
  };
  /** 60. Lines of a source file that the trace names, where the source is there. */
  'source': {
    readonly params: {
      /** As functions have it, or as gdb's frames: with more folders before it. */ readonly file: string;
      /** Only around it; otherwise all. */ readonly line?: number;
      /** Lines before and after; 200 unless told. */ readonly context?: number;
    };
    readonly result: {
      readonly file: string;
      /** Where it was found. */ readonly path: string;
      readonly firstLine: number;
      readonly total: number;
      readonly text: string;
    };
    readonly part: never;
    readonly frames: never;
  };
  /** 70. The user's marks. */
  'marks.get': {
    readonly params: Readonly<Record<string, never>>;
    readonly result: {
      readonly marks: readonly Mark[];
      readonly revision: number;
      /** The file they are kept in. */ readonly path: string;
    };
    readonly part: never;
    readonly frames: never;
  };
  /** 71. Replaces all marks, if nobody else has meanwhile. Other clients get the event `marks`. */
  'marks.set': {
    readonly params: {
      /** At most 10,000. */ readonly marks: readonly Mark[];
      /** That of marks.get or of the last event; another fails with `busy`. */ readonly revision: number;
    };
    readonly result: { readonly revision: number; };
    readonly part: never;
    readonly frames: never;
  };
  /** 900. Starts QEMU and gdb on the recording, paused. All clients share one replay. */
  'replay.open': {
    readonly params: { /** Taken there at once. */ readonly icount?: Icount; };
    readonly result: ReplayStatus;
    readonly part: never;
    readonly frames: never;
  };
  /** 901. Ends QEMU and gdb. */
  'replay.close': {
    readonly params: Readonly<Record<string, never>>;
    readonly result: ReplayStatus;
    readonly part: never;
    readonly frames: never;
  };
  /** 902. Where it stands. */
  'replay.state': {
    readonly params: Readonly<Record<string, never>>;
    readonly result: ReplayStatus;
    readonly part: never;
    readonly frames: never;
  };
  /** 903. Takes the replay to an instruction count, forward or back. */
  'replay.seek': {
    readonly params: {
      readonly icount: Icount;
      /** "before" or "after" an interrupt taken at that very count. */ readonly side?: string;
    };
    readonly result: ReplayStatus;
    readonly part: never;
    readonly frames: never;
  };
  /** 904. Forward. */
  'replay.step': {
    readonly params: { /** "instruction", "line", "over" or "out". */ readonly unit: string; readonly count?: number; };
    readonly result: ReplayStatus;
    readonly part: never;
    readonly frames: never;
  };
  /** 905. Backward. */
  'replay.stepBack': {
    readonly params: { /** "instruction", "line", "over" or "out". */ readonly unit: string; readonly count?: number; };
    readonly result: ReplayStatus;
    readonly part: never;
    readonly frames: never;
  };
  /** 906. Runs to the next breakpoint, or the end. */
  'replay.continue': {
    readonly params: Readonly<Record<string, never>>;
    readonly result: ReplayStatus;
    readonly part: never;
    readonly frames: never;
  };
  /** 907. Runs back to the previous breakpoint, or the beginning. */
  'replay.reverseContinue': {
    readonly params: Readonly<Record<string, never>>;
    readonly result: ReplayStatus;
    readonly part: never;
    readonly frames: never;
  };
  /** 908. Stops what runs. */
  'replay.interrupt': {
    readonly params: Readonly<Record<string, never>>;
    readonly result: ReplayStatus;
    readonly part: never;
    readonly frames: never;
  };
  /** 910. gdb's backtrace. */
  'replay.stack': {
    readonly params: { readonly limit?: number; };
    readonly result: { readonly frames: readonly StackFrame[]; };
    readonly part: never;
    readonly frames: never;
  };
  /** 911. Variables and arguments of a frame. */
  'replay.locals': {
    readonly params: { readonly frame?: number; };
    readonly result: { readonly variables: readonly Variable[]; };
    readonly part: never;
    readonly frames: never;
  };
  /** 912. The CPU's registers. */
  'replay.registers': {
    readonly params: { readonly frame?: number; };
    readonly result: { readonly variables: readonly Variable[]; };
    readonly part: never;
    readonly frames: never;
  };
  /** 913. An expression in a frame, or the children of a value. */
  'replay.evaluate': {
    readonly params: { readonly expression?: string; readonly of?: string; readonly frame?: number; };
    readonly result: { readonly variables: readonly Variable[]; };
    readonly part: never;
    readonly frames: never;
  };
  /** 914. Bytes of the guest's memory. A `bytes` frame comes before the result. */
  'replay.memory': {
    readonly params: { readonly address: Address; /** At most 65,536. */ readonly size: number; };
    readonly result: { /** How many could be read. */ readonly size: number; };
    readonly part: never;
    readonly frames: BytesFrame;
  };
  /** 920. All breakpoints and watchpoints. */
  'replay.breakpoints': {
    readonly params: Readonly<Record<string, never>>;
    readonly result: { readonly breakpoints: readonly Breakpoint[]; };
    readonly part: never;
    readonly frames: never;
  };
  /** 921. Makes one. */
  'replay.breakpointAdd': {
    readonly params: {
      /** A function, FILE:LINE or *ADDRESS; an expression for a watchpoint. */ readonly what: string;
      readonly watch?: boolean;
      readonly condition?: string;
    };
    readonly result: { readonly breakpoint: Breakpoint; };
    readonly part: never;
    readonly frames: never;
  };
  /** 922. Takes one away. */
  'replay.breakpointRemove': {
    readonly params: { readonly number: number; };
    readonly result: Readonly<Record<string, never>>;
    readonly part: never;
    readonly frames: never;
  };
  /** 923. Turns one on or off. */
  'replay.breakpointEnable': {
    readonly params: { readonly number: number; readonly enabled: boolean; };
    readonly result: Readonly<Record<string, never>>;
    readonly part: never;
    readonly frames: never;
  };
  /** 930. gdb's own terminal. What it prints comes in `terminal` frames, what is typed goes in `input` frames. */
  'terminal.open': {
    readonly params: { readonly columns: number; readonly rows: number; };
    readonly result: { readonly terminal: number; };
    readonly part: never;
    readonly frames: never;
  };
  /** 931. Types; the `input` frame does the same. */
  'terminal.input': {
    readonly params: { readonly terminal: number; readonly text: string; };
    readonly result: Readonly<Record<string, never>>;
    readonly part: never;
    readonly frames: never;
  };
  /** 932. The terminal's size has changed. */
  'terminal.resize': {
    readonly params: { readonly terminal: number; readonly columns: number; readonly rows: number; };
    readonly result: Readonly<Record<string, never>>;
    readonly part: never;
    readonly frames: never;
  };
  /** 933. This client wants no more of it. */
  'terminal.close': {
    readonly params: { readonly terminal: number; };
    readonly result: Readonly<Record<string, never>>;
    readonly part: never;
    readonly frames: never;
  };
  /** 940. Who wrote to a place in memory, by a replay of the recording. */
  'writes': {
    readonly params: {
      readonly address?: Address;
      readonly symbol?: string;
      readonly size?: number;
      /** The tid of the thread in whose memory it is looked up: for addresses of user space. */ readonly thread?: number;
      readonly from?: Icount;
      readonly to?: Icount;
    };
    readonly result: { readonly total: number; };
    readonly part: { readonly writes: readonly Write[]; };
    readonly frames: never;
  };
  /** 941. Calls of a function with their arguments and return values, by replays of the recording. They come in order, as soon as nothing more is to be found of them. */
  'calls': {
    readonly params: {
      /** Its name, with or without "[module] "; or 0x and its address. */ readonly function: string;
      /** Calls that start in [from, to). */ readonly from?: Icount;
      readonly to?: Icount;
      /** How many, the first ones; 500 unless told, 10,000 at most. */ readonly limit?: number;
    };
    readonly result: {
      /** Calls that came. */ readonly total: number;
      /** There are more: the limit cut it. */ readonly truncated: boolean;
      /** Calls of the trace that the replay did not come by. */ readonly missing: number;
    };
    readonly part: {
      /** As C writes it; in the first part, when it is known. */ readonly prototype?: string;
      readonly calls: readonly Call[];
    };
    readonly frames: never;
  };
}

export type MethodName = keyof Methods;

/** What the daemon says unasked. */
export interface Events {
  /** The trace is loading, is ready (say hello again), or could not be loaded. */
  'state': { readonly state: State; readonly progress?: Progress; readonly error?: RpcError; };
  /** Another client changed the marks. */
  'marks': { readonly marks: readonly Mark[]; readonly revision: number; };
  /** The replay moved, ran, stopped or ended, whoever did it. */
  'replay': ReplayStatus;
  /** Breakpoints changed. */
  'breakpoints': { readonly breakpoints: readonly Breakpoint[]; };
  /** The daemon ends. */
  'closing': { readonly reason: string; };
}

export type EventName = keyof Events;

/** What is before the columns of a binary frame. */
export interface FrameHeader {
  /** The request that it answers; 0 for none. */
  readonly request: number;
  readonly rows: number;
  readonly base: Icount;
  readonly track: number;
  readonly extra: number;
}

/** Rows by depth, then by start. `extra` is how many lanes the track has; `base` is `from`. */
export interface TimelineFrame extends FrameHeader {
  readonly kind: 'timeline';
  /** Icount of the longest slice's begin. */ readonly start: Float64Array;
  /** -1: never ended. */ readonly dur: Float64Array;
  /** Its row id. */ readonly id: Uint32Array;
  /** Its row id. */ readonly function: Uint32Array;
  /** How many slices it stands for, itself included. */ readonly merged: Uint32Array;
  readonly depth: Uint16Array;
  /** Index into sliceKind. */ readonly sliceKind: Uint8Array;
}

/** Rows by start. `track` is the CPU asked for, 0xffffffff for any; `base` is `from`. */
export interface SchedFrame extends FrameHeader {
  readonly kind: 'sched';
  readonly start: Float64Array;
  readonly dur: Float64Array;
  readonly utid: Uint32Array;
  readonly cpu: Uint32Array;
  readonly merged: Uint32Array;
}

/** Buckets with matches. `base` is `from`; `extra` is all matches of the track, in the whole trace. */
export interface SearchFrame extends FrameHeader {
  readonly kind: 'search';
  /** From `base` + bucket x width. */ readonly bucket: Uint32Array;
  readonly matches: Uint32Array;
}

/** Nodes. Row 0 is the root, all together; a node's children follow it, the first at once; siblings come by total, most first. `base` is `from`. */
export interface TreeFrame extends FrameHeader {
  readonly kind: 'tree';
  /** Instructions in it and in what it calls. */ readonly total: Float64Array;
  readonly own: Float64Array;
  readonly calls: Float64Array;
  /** Row; 0xffffffff for the root. */ readonly parent: Uint32Array;
  /** Row of the next sibling; 0xffffffff for the last. */ readonly next: Uint32Array;
  /** 0xffffffff for the root. */ readonly function: Uint32Array;
  /** 0 for the root. */ readonly depth: Uint32Array;
}

/** One row a function that was called or open there. `base` is `from`. */
export interface FunctionStatsFrame extends FrameHeader {
  readonly kind: 'functionStats';
  readonly own: Float64Array;
  /** Recursive calls count once. */ readonly total: Float64Array;
  readonly calls: Float64Array;
  /** Shortest ended call. */ readonly min: Float64Array;
  readonly max: Float64Array;
  /** From begin to end, time off the CPU included. Recursive calls count once. */ readonly elapsed: Float64Array;
  readonly function: Uint32Array;
}

/** What a terminal printed. `track` is the terminal. */
export interface TerminalFrame extends FrameHeader {
  readonly kind: 'terminal';
  readonly bytes: Uint8Array;
}

/** From the client: what was typed. `track` is the terminal. */
export interface InputFrame extends FrameHeader {
  readonly kind: 'input';
  readonly bytes: Uint8Array;
}

/** Bytes of the guest's memory. */
export interface BytesFrame extends FrameHeader {
  readonly kind: 'bytes';
  readonly bytes: Uint8Array;
}

export type Frame = TimelineFrame | SchedFrame | SearchFrame | TreeFrame | FunctionStatsFrame | TerminalFrame | InputFrame | BytesFrame;

const frameMagic = 0x31465644;
export const frameHeaderBytes = 32;

/** Reads a frame; its columns are views of `buffer`, nothing is copied. Throws a RangeError. */
export function decodeFrame(buffer: ArrayBuffer): Frame {
  const view = new DataView(buffer);
  if (buffer.byteLength < frameHeaderBytes || view.getUint32(0, true) !== frameMagic)
    throw new RangeError('not a frame of the protocol');
  const header = {
    request: view.getUint32(8, true),
    rows: view.getUint32(12, true),
    base: view.getFloat64(16, true) as Icount,
    track: view.getUint32(24, true),
    extra: view.getUint32(28, true),
  };
  const n = header.rows;
  let at = frameHeaderBytes;
  const next = (bytes: number): number => {
    const here = at;
    at += Math.ceil((n * bytes) / 8) * 8;
    return here;
  };
  switch (view.getUint16(4, true)) {
    case 1:
      return { kind: 'timeline', ...header,
        start: new Float64Array(buffer, next(8), n),
        dur: new Float64Array(buffer, next(8), n),
        id: new Uint32Array(buffer, next(4), n),
        function: new Uint32Array(buffer, next(4), n),
        merged: new Uint32Array(buffer, next(4), n),
        depth: new Uint16Array(buffer, next(2), n),
        sliceKind: new Uint8Array(buffer, next(1), n),
      };
    case 2:
      return { kind: 'sched', ...header,
        start: new Float64Array(buffer, next(8), n),
        dur: new Float64Array(buffer, next(8), n),
        utid: new Uint32Array(buffer, next(4), n),
        cpu: new Uint32Array(buffer, next(4), n),
        merged: new Uint32Array(buffer, next(4), n),
      };
    case 3:
      return { kind: 'search', ...header,
        bucket: new Uint32Array(buffer, next(4), n),
        matches: new Uint32Array(buffer, next(4), n),
      };
    case 4:
      return { kind: 'tree', ...header,
        total: new Float64Array(buffer, next(8), n),
        own: new Float64Array(buffer, next(8), n),
        calls: new Float64Array(buffer, next(8), n),
        parent: new Uint32Array(buffer, next(4), n),
        next: new Uint32Array(buffer, next(4), n),
        function: new Uint32Array(buffer, next(4), n),
        depth: new Uint32Array(buffer, next(4), n),
      };
    case 5:
      return { kind: 'functionStats', ...header,
        own: new Float64Array(buffer, next(8), n),
        total: new Float64Array(buffer, next(8), n),
        calls: new Float64Array(buffer, next(8), n),
        min: new Float64Array(buffer, next(8), n),
        max: new Float64Array(buffer, next(8), n),
        elapsed: new Float64Array(buffer, next(8), n),
        function: new Uint32Array(buffer, next(4), n),
      };
    case 16:
      return { kind: 'terminal', ...header,
        bytes: new Uint8Array(buffer, next(1), n),
      };
    case 17:
      return { kind: 'input', ...header,
        bytes: new Uint8Array(buffer, next(1), n),
      };
    case 18:
      return { kind: 'bytes', ...header,
        bytes: new Uint8Array(buffer, next(1), n),
      };
    default:
      throw new RangeError(`unknown frame kind ${view.getUint16(4, true)}`);
  }
}
