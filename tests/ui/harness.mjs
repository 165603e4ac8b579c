// SPDX-License-Identifier: GPL-2.0-or-later
// A real daemon on a real recording, and a real browser that looks at it.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const need = (name) => {
	const value = process.env[name];
	if (!value)
		throw new Error(`${name} is not set: the meson test sets it`);
	return value;
};
export const dejaview = need('DEJAVIEW');
export const build = need('DEJAVIEW_BUILD');
const { chromium } = createRequire(join(build, 'web/x.js'))('playwright-core');

/** A recording, made by this build; again when the build is newer. `boot` says what QEMU starts. */
function made(name, boot, after = () => undefined) {
	const folder = join(build, 'tests/ui');
	const path = join(folder, `${name}.dejaview`);
	const plugin = join(build, 'libdejaview-plugin.so');
	const marker = join(path, 'trace.dvtrace');
	if (existsSync(marker) && statSync(marker).mtimeMs > statSync(plugin).mtimeMs) {
		rmSync(join(path, 'marks.json'), { force: true });
		return path;
	}
	const kernel = join(need('DEJAVIEW_TEST_KERNELS'), '6.1/vmlinuz');
	const partial = `${path}.partial`;
	mkdirSync(folder, { recursive: true });
	rmSync(partial, { recursive: true, force: true });
	rmSync(path, { recursive: true, force: true });
	run(dejaview, ['record', '-o', partial, '--', 'qemu-system-x86_64', '-machine', 'q35', '-nographic', '-no-reboot', '-net', 'none',
		'-kernel', kernel, ...boot(folder)]);
	after(partial);
	renameSync(partial, path);
	return path;
}

function run(program, args, options = {}) {
	const { status, stdout, stderr, error } = spawnSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', ...options });
	if (status !== 0)
		throw new Error(`${program} ${args.join(' ')} failed:\n${error ?? ''}${stdout?.slice(-2000)}${stderr?.slice(-2000)}`);
}

/** The demo's. */
export const recording = () => made('demo', () => ['-m', '512', '-initrd', join(need('DEJAVIEW_TEST_GUESTS'), 'demo.cpio.gz'), '-append', 'console=ttyS0 panic=-1']);

/** Where the sources are that the program's debug information names. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The tutorial's program as the guest's init, with debug information; and checkpoints, so that seeks are short. */
export const programRecording = () => made('program', (folder) => {
	const init = join(folder, 'init');
	const initrd = join(folder, 'init.cpio.gz');
	run('gcc', ['-g', '-static', '-pthread', '-o', init, 'examples/late-writer.c'], { cwd: root });
	run('python3', ['-B', '-c', 'import sys, guest; guest.initramfs(*sys.argv[1:])', initrd, init], { cwd: join(root, 'tests/guest') });
	return ['-m', '256', '-initrd', initrd, '-append', 'console=ttyS0 panic=-1 quiet'];
}, (path) => run(dejaview, ['checkpoint', '--quiet', '--interval', '1s', path]));

/** dejaview serve; resolves when the trace is loaded, or, if it is not to wait for that, when it says where it is. */
export async function serve(path, args = [], { env = {}, until = '"ready"' } = {}) {
	const child = spawn(dejaview, ['serve', '--port', '0', '--json', ...args, path], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
	let out = '';
	let err = '';
	child.stderr.on('data', (data) => (err += data));
	const lines = await new Promise((resolve, reject) => {
		child.stdout.on('data', (data) => {
			out += data;
			if (out.includes(until) && out.endsWith('\n'))
				resolve(out.trim().split('\n').map((line) => JSON.parse(line)));
		});
		child.on('exit', (code) => reject(new Error(`dejaview serve ended with ${code}: ${err}`)));
	});
	const stop = () => new Promise((resolve) => {
		if (child.exitCode !== null)
			resolve();
		child.on('exit', resolve);
		child.kill('SIGTERM');
	});
	return { url: lines[0].url, port: lines[0].port, token: lines[0].token, stop, pid: child.pid };
}

/** Passes connections on until it is told to drop them: a network that fails. */
export async function proxy(port) {
	const sockets = new Set();
	let open = true;
	const server = createServer((client) => {
		if (!open) {
			client.destroy();
			return;
		}
		const daemon = connect(port, '127.0.0.1');
		for (const [a, b] of [[client, daemon], [daemon, client]]) {
			sockets.add(a);
			a.on('error', () => b.destroy());
			a.on('close', () => {
				sockets.delete(a);
				b.destroy();
			});
			a.pipe(b);
		}
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	return {
		port: server.address().port,
		drop() {
			open = false;
			for (const socket of sockets)
				socket.destroy();
		},
		restore() {
			open = true;
		},
		close: () => server.close(),
	};
}

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });

/** A page on the viewer that has shown its first picture; everything that a browser complains about is kept. */
export async function open(browser, url, { width = 1600, height = 900, dark = false, hash = '', reducedMotion = 'no-preference', init } = {}) {
	const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', reducedMotion });
	await context.grantPermissions(['clipboard-read', 'clipboard-write']);
	const page = await context.newPage();
	page.setDefaultTimeout(15_000);
	if (init)
		await page.addInitScript(init);
	const complaints = [];
	const requests = [];
	page.on('console', (message) => {
		if (message.type() === 'error' || message.type() === 'warning')
			complaints.push(message.text());
	});
	page.on('pageerror', (error) => complaints.push(error.message));
	page.on('request', (request) => requests.push(request.url()));
	await page.goto(url + hash);
	await settled(page);
	return { page, context, complaints, requests };
}

/** Nothing is under way on the timeline any more. */
export async function settled(page) {
	await page.waitForFunction(() => {
		const d = window.dejaview;
		if (!d || document.querySelector('.cover') || !d.timeline.settled) {
			window.quiet = 0;
			return false;
		}
		window.quiet = (window.quiet ?? 0) + 1;
		return window.quiet > 6;
	}, undefined, { polling: 30 });
}

/** A request of the protocol, beside the page's own. */
export function ask(page, served, method, params) {
	return page.evaluate(([m, p, url]) => new Promise((resolve, reject) => {
		const socket = new WebSocket(url);
		const parts = [];
		socket.onopen = () => socket.send(JSON.stringify({ id: 1, method: m, params: p }));
		socket.onmessage = (event) => {
			if (typeof event.data !== 'string')
				return;
			const message = JSON.parse(event.data);
			if (message.part)
				parts.push(message.part);
			if (message.error)
				reject(new Error(message.error.message));
			if (message.result || message.error) {
				socket.close();
				resolve({ ...message.result, parts });
			}
		};
	}), [method, params, `ws://127.0.0.1:${served.port}/ws?token=${served.token}`]);
}

export async function sql(page, served, text) {
	const answer = await ask(page, served, 'query', { sql: text });
	return answer.parts.flatMap((part) => part.rows);
}

/** What the page holds: the view, the selection. */
export const state = (page) => page.evaluate(() => ({ view: window.dejaview.view.value, selection: window.dejaview.selection.value }));

/** Where a slice is on the page: it must be on a row that is open and in sight. */
export function place(page, slice) {
	return page.evaluate(({ utid, depth, from, to }) => {
		const d = window.dejaview;
		const box = document.querySelectorAll('.canvases canvas')[1].getBoundingClientRect();
		const y = d.timeline.laneY(utid, depth);
		const v = d.view.value;
		const middle = (Math.max(from, v.from) + Math.min(to, v.to)) / 2;
		return y === undefined ? undefined : { x: box.left + ((middle - v.from) / (v.to - v.from)) * box.width, y: box.top + y };
	}, slice);
}
