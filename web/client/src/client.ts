// SPDX-License-Identifier: GPL-2.0-or-later
// A connection to the daemon that comes back by itself. Requests are typed by the protocol; what takes
// long reports progress and ends when its signal says so. Nothing here knows of pages or of Node: a
// WebSocket is all that it takes.
import { decodeFrame } from './protocol.ts';
import type { EventName, Events, Frame, MethodName, Methods, Progress, RpcError } from './protocol.ts';

export type ErrorCode = RpcError['code'] | 'disconnected';

/** Why a request failed. `hint` says the way out, where there is one. */
export class RequestError extends Error {
	override readonly name = 'RequestError';
	readonly code: ErrorCode;
	readonly hint: string | undefined;

	constructor(code: ErrorCode, message: string, hint?: string) {
		super(message);
		this.code = code;
		this.hint = hint;
	}
}

export const isCancelled = (error: unknown): boolean => error instanceof RequestError && error.code === 'cancelled';

export interface RequestOptions<M extends MethodName> {
	/** Ends the request: it is then rejected as `cancelled`. */
	readonly signal?: AbortSignal | undefined;
	readonly onProgress?: ((progress: Progress) => void) | undefined;
	readonly onPart?: ((part: Methods[M]['part']) => void) | undefined;
	readonly onFrame?: ((frame: Methods[M]['frames']) => void) | undefined;
}

export type ConnectionState =
	| { readonly kind: 'connecting'; readonly attempt: number }
	| { readonly kind: 'open' }
	| { readonly kind: 'waiting'; readonly attempt: number; readonly retryAt: number }
	/** The daemon said goodbye, or will not have us: trying again would not help. */
	| { readonly kind: 'closed'; readonly reason: string };

interface Pending {
	readonly method: MethodName;
	readonly message: string;
	readonly options: RequestOptions<MethodName>;
	readonly resolve: (result: never) => void;
	readonly reject: (error: RequestError) => void;
	readonly onAbort: () => void;
	sent: boolean;
}

interface ErrorMessage {
	readonly code: ErrorCode;
	readonly message: string;
	readonly hint?: string;
}

interface Incoming {
	readonly id?: number;
	readonly result?: unknown;
	readonly error?: ErrorMessage;
	readonly progress?: Progress;
	readonly part?: unknown;
	readonly event?: EventName;
	readonly data?: unknown;
}

/** At once, then later and later: 0.3 s, 0.6 s ... 5 s. */
export const retryDelay = (attempt: number): number => Math.min(5000, 300 * 2 ** Math.min(attempt, 6));

/** Messages are handled so long at a time (ms); then the page has its turn. */
const budget = 8;

type SocketFactory = (url: string) => WebSocket;
type Listener<T> = (data: T) => void;

export class Client {
	private socket: WebSocket | undefined;
	private readonly pending = new Map<number, Pending>();
	private readonly listeners = new Map<string, Set<Listener<never>>>();
	private readonly stateListeners = new Set<Listener<ConnectionState>>();
	private readonly inbox: (string | ArrayBuffer)[] = [];
	private draining = false;
	private readonly channel: MessageChannel;
	private nextId = 1;
	private attempt = 0;
	private timer: ReturnType<typeof setTimeout> | undefined;
	private parallel = 16;
	private inFlight = 0;
	private current: ConnectionState = { kind: 'connecting', attempt: 0 };

	constructor(private readonly url: string, private readonly open: SocketFactory = (u) => new WebSocket(u)) {
		this.channel = new MessageChannel();
		this.channel.port1.onmessage = () => this.drain();
		this.connect();
	}

	get state(): ConnectionState {
		return this.current;
	}

	/** The daemon takes so many unanswered requests of a client: more of them wait here. */
	set requestLimit(limit: number) {
		this.parallel = Math.max(1, limit);
	}

	onState(listener: Listener<ConnectionState>): () => void {
		this.stateListeners.add(listener);
		return () => this.stateListeners.delete(listener);
	}

	on<E extends EventName>(event: E, listener: Listener<Events[E]>): () => void {
		const set = this.listeners.get(event) ?? new Set();
		set.add(listener as Listener<never>);
		this.listeners.set(event, set);
		return () => set.delete(listener as Listener<never>);
	}

	/** Terminals' frames belong to no request. */
	onTerminal: Listener<Extract<Frame, { kind: 'terminal' }>> | undefined;

	request<M extends MethodName>(method: M, params: Methods[M]['params'], options: RequestOptions<M> = {}): Promise<Methods[M]['result']> {
		const id = this.nextId;
		this.nextId = this.nextId >= 0xffffffff ? 1 : this.nextId + 1;
		return new Promise((resolve, reject) => {
			if (options.signal?.aborted) {
				reject(new RequestError('cancelled', 'cancelled'));
				return;
			}
			if (this.current.kind === 'closed') {
				reject(new RequestError('disconnected', 'The daemon is not connected.', this.current.reason));
				return;
			}
			const onAbort = (): void => this.cancel(id);
			options.signal?.addEventListener('abort', onAbort, { once: true });
			this.pending.set(id, {
				method, message: JSON.stringify({ id, method, params }), options: options as RequestOptions<MethodName>,
				resolve: resolve as (result: never) => void, reject, onAbort, sent: false,
			});
			this.flush();
		});
	}

	/** Sends bytes of a terminal's keyboard: kind 17 of the protocol. */
	sendInput(terminal: number, bytes: Uint8Array): void {
		const padded = Math.ceil(bytes.length / 8) * 8;
		const buffer = new ArrayBuffer(32 + padded);
		const view = new DataView(buffer);
		view.setUint32(0, 0x31465644, true);
		view.setUint16(4, 17, true);
		view.setUint32(12, bytes.length, true);
		view.setUint32(24, terminal, true);
		new Uint8Array(buffer, 32).set(bytes);
		if (this.socket?.readyState === 1)
			this.socket.send(buffer);
	}

	close(reason = 'closed'): void {
		this.setState({ kind: 'closed', reason });
		clearTimeout(this.timer);
		this.socket?.close();
		this.failAll(reason);
	}

	/** Tries at once instead of waiting. */
	retry(): void {
		if (this.current.kind !== 'waiting' && this.current.kind !== 'closed')
			return;
		clearTimeout(this.timer);
		this.attempt = 0;
		this.connect();
	}

	private connect(): void {
		this.setState({ kind: 'connecting', attempt: this.attempt });
		const socket = this.open(this.url);
		socket.binaryType = 'arraybuffer';
		this.socket = socket;
		socket.onopen = () => {
			this.attempt = 0;
			this.setState({ kind: 'open' });
			this.flush();
		};
		socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
			this.inbox.push(event.data);
			if (!this.draining)
				this.drain();
		};
		socket.onclose = () => {
			if (this.socket !== socket)
				return;
			this.socket = undefined;
			this.inbox.length = 0;
			this.draining = false;
			if (this.current.kind === 'closed')
				return;
			this.failAll('The connection to the daemon was lost.');
			const delay = retryDelay(this.attempt++);
			this.setState({ kind: 'waiting', attempt: this.attempt, retryAt: Date.now() + delay });
			this.timer = setTimeout(() => this.connect(), delay);
		};
	}

	private setState(state: ConnectionState): void {
		this.current = state;
		for (const listener of this.stateListeners)
			listener(state);
	}

	private failAll(message: string): void {
		this.inFlight = 0;
		for (const [id, request] of [...this.pending]) {
			// What was never sent waits for the next connection.
			if (!request.sent && this.current.kind !== 'closed')
				continue;
			this.pending.delete(id);
			request.options.signal?.removeEventListener('abort', request.onAbort);
			request.reject(new RequestError('disconnected', message, 'It is tried again by itself; is `dejaview serve` still running?'));
		}
	}

	private flush(): void {
		if (this.socket?.readyState !== 1)
			return;
		for (const request of this.pending.values()) {
			if (this.inFlight >= this.parallel)
				break;
			if (request.sent)
				continue;
			request.sent = true;
			this.inFlight++;
			this.socket.send(request.message);
		}
	}

	private cancel(id: number): void {
		const request = this.pending.get(id);
		if (!request)
			return;
		if (request.sent && this.socket?.readyState === 1) {
			// It stays pending until the daemon says that it has ended; nobody waits for that.
			this.socket.send(JSON.stringify({ cancel: id }));
			request.reject(new RequestError('cancelled', 'cancelled'));
		} else {
			this.pending.delete(id);
			request.reject(new RequestError('cancelled', 'cancelled'));
		}
	}

	/** Handles what came in, a few milliseconds at a time, in order. */
	private drain(): void {
		const end = performance.now() + budget;
		this.draining = false;
		let n = 0;
		for (; n < this.inbox.length; n++) {
			if (n > 0 && performance.now() >= end) {
				this.draining = true;
				break;
			}
			const message = this.inbox[n]!;
			try {
				if (typeof message === 'string')
					this.receive(JSON.parse(message) as Incoming);
				else
					this.receiveFrame(decodeFrame(message));
			} catch (error) {
				console.error('a message of the daemon could not be handled', error);
			}
		}
		this.inbox.splice(0, n);
		if (this.draining)
			this.channel.port2.postMessage(0);
	}

	private receiveFrame(frame: Frame): void {
		if (frame.kind === 'terminal') {
			this.onTerminal?.(frame);
			return;
		}
		const request = this.pending.get(frame.request);
		if (request && !request.options.signal?.aborted)
			(request.options.onFrame as ((f: Frame) => void) | undefined)?.(frame);
	}

	private receive(message: Incoming): void {
		if (message.event !== undefined) {
			for (const listener of this.listeners.get(message.event) ?? [])
				listener(message.data as never);
			return;
		}
		const request = message.id === undefined ? undefined : this.pending.get(message.id);
		if (!request || message.id === undefined)
			return;
		const ignored = request.options.signal?.aborted;
		if (message.progress) {
			if (!ignored)
				request.options.onProgress?.(message.progress);
			return;
		}
		if (message.part !== undefined) {
			if (!ignored)
				request.options.onPart?.(message.part as never);
			return;
		}
		this.pending.delete(message.id);
		this.inFlight = Math.max(0, this.inFlight - 1);
		request.options.signal?.removeEventListener('abort', request.onAbort);
		if (message.error)
			request.reject(new RequestError(message.error.code, message.error.message, message.error.hint));
		else
			request.resolve(message.result as never);
		this.flush();
	}
}

/** Where the daemon's socket is, for a page that it served; a token in the page's URL is its key. */
export function socketUrl(page: { readonly protocol: string; readonly host: string }, token: string | undefined, base = '/'): string {
	const scheme = page.protocol === 'https:' ? 'wss:' : 'ws:';
	const query = token ? `?token=${encodeURIComponent(token)}` : '';
	return `${scheme}//${page.host}${base}ws${query}`;
}
