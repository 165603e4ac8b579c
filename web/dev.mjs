// SPDX-License-Identifier: GPL-2.0-or-later
// For who works on the viewer: builds it at each change and reloads the page, on a daemon that runs.
//
// usage: npm run dev -- URL [--port N] [--out DIR] [--modules DIR]
//
// URL is what `dejaview serve` printed, N 9010 unless given (0: any that is free); the folders are build.mjs's.
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { bundleOptions, copyPage, loadEsbuild, parse } from './build.mjs';

const args = process.argv.slice(2);
const at = args.indexOf('--port');
const port = at >= 0 ? Number(args.splice(at, 2)[1]) : 9010;
const [url, ...rest] = args;
if (!url || !Number.isInteger(port)) {
	console.error('usage: npm run dev -- URL-OF-dejaview-serve [--port N] [--out DIR] [--modules DIR]');
	process.exit(2);
}
const daemon = new URL(url);
const options = parse(['--dev', ...rest]);
const listeners = new Set();
/** To the daemon a request is one of its own page's: the key in the URL is what lets it in. */
const asOwn = (headers) => ({ ...headers, host: daemon.host, ...(headers.origin ? { origin: daemon.origin } : {}) });

const reload = {
	name: 'reload',
	setup(build) {
		build.onEnd((result) => {
			if (result.errors.length)
				return;
			copyPage(options);
			for (const response of listeners)
				response.write('data: built\n\n');
			console.log(`built at ${new Date().toLocaleTimeString()}`);
		});
	},
};
const esbuild = await loadEsbuild(options.modules);
const context = await esbuild.context({ ...bundleOptions(options), plugins: [reload] });
await context.watch();

const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.map': 'application/json' };
const client = "new EventSource('/dev-events').onmessage = () => location.reload();\n";

const server = createServer((incoming, response) => {
	const { pathname } = new URL(incoming.url, 'http://x');
	if (pathname === '/dev-events') {
		response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
		listeners.add(response);
		incoming.on('close', () => listeners.delete(response));
		return;
	}
	if (pathname === '/dev.js') {
		response.writeHead(200, { 'content-type': 'text/javascript' }).end(client);
		return;
	}
	const name = pathname === '/' ? '/index.html' : pathname;
	try {
		let body = readFileSync(join(options.out, name.replaceAll('..', '')));
		if (name === '/index.html')
			body = body.toString().replace('</head>', '<script type="module" src="dev.js"></script></head>');
		response.writeHead(200, { 'content-type': types[extname(name)] ?? 'text/plain', 'cache-control': 'no-store' }).end(body);
	} catch {
		// What is not of the page is asked of the daemon.
		incoming.pipe(request({ host: daemon.hostname, port: daemon.port, path: incoming.url, method: incoming.method, headers: asOwn(incoming.headers) },
			(answer) => {
				response.writeHead(answer.statusCode, answer.headers);
				answer.pipe(response);
			}).on('error', () => response.writeHead(502).end('The daemon does not answer.')));
	}
});
server.on('upgrade', (incoming, socket, head) => {
	const upstream = connect(Number(daemon.port), daemon.hostname, () => {
		const headers = Object.entries(asOwn(incoming.headers)).map(([name, value]) => `${name}: ${value}`).join('\r\n');
		upstream.write(`GET ${incoming.url} HTTP/1.1\r\n${headers}\r\n\r\n`);
		upstream.write(head);
		upstream.pipe(socket).pipe(upstream);
	});
	upstream.on('error', () => socket.destroy());
	socket.on('error', () => upstream.destroy());
});
server.listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/${daemon.search}`));
