// SPDX-License-Identifier: GPL-2.0-or-later
// Builds the viewer: one entry, chunks that are loaded when used, one style sheet, a page.
//
// usage: node build.mjs [--out DIR] [--modules DIR] [--depfile FILE --target FILE] [--test] [--dev]
//
//   --out DIR      where the bundle goes (default: dist)
//   --modules DIR  where npm put the dependencies, if not beside this file
//   --depfile FILE for ninja: what the bundle was made of
//   --target FILE  what depends on it
//   --test         builds the tests of the pure functions instead, and runs them
//   --dev          readable, with source maps
import { mkdirSync, copyFileSync, readdirSync, rmSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createRequire } from 'node:module';
import { spawnSync } from 'node:child_process';

const here = dirname(fileURLToPath(import.meta.url));

export function parse(args) {
	const options = { out: join(here, 'dist'), modules: join(here, 'node_modules'), test: false, dev: false, depfile: undefined, target: undefined };
	for (let i = 0; i < args.length; i++) {
		const arg = args[i];
		if (['--out', '--modules', '--depfile', '--target'].includes(arg)) {
			const value = args[++i];
			if (value === undefined)
				throw new Error(`${arg} needs a path`);
			options[arg.slice(2)] = arg === '--target' ? value : resolve(value);
		} else if (arg === '--test' || arg === '--dev') {
			options[arg.slice(2)] = true;
		} else {
			throw new Error(`unknown option ${arg}`);
		}
	}
	return options;
}

export async function loadEsbuild(modules) {
	const require = createRequire(pathToFileURL(join(modules, 'x.js')));
	return require('esbuild');
}

const common = (options) => ({
	bundle: true,
	format: 'esm',
	target: 'es2022',
	jsx: 'automatic',
	jsxImportSource: 'preact',
	nodePaths: [options.modules],
	logLevel: 'warning',
	legalComments: 'linked',
});

export function bundleOptions(options) {
	return {
		...common(options),
		entryPoints: { app: join(here, 'ui/src/main.tsx'), style: join(here, 'ui/src/style.css') },
		outdir: options.out,
		splitting: true,
		chunkNames: 'chunk-[hash]',
		assetNames: '[name]',
		minify: !options.dev,
		sourcemap: options.dev,
		define: { 'process.env.NODE_ENV': JSON.stringify(options.dev ? 'development' : 'production') },
	};
}

export function copyPage(options) {
	mkdirSync(options.out, { recursive: true });
	for (const name of ['index.html', 'icon.svg'])
		copyFileSync(join(here, 'ui/src', name), join(options.out, name));
}

function writeDepfile(options, inputs) {
	const files = [...inputs.filter((name) => !name.includes('node_modules')).map((name) => resolve(name)),
		...['index.html', 'icon.svg'].map((name) => join(here, 'ui/src', name))];
	writeFileSync(options.depfile, `${options.target}: ${files.map((name) => name.replace(/ /g, '\\ ')).join(' ')}\n`);
}

async function main() {
	const options = parse(process.argv.slice(2));
	if (!existsSync(options.modules))
		throw new Error(`no dependencies in ${options.modules}: run 'npm ci' first`);
	const esbuild = await loadEsbuild(options.modules);
	if (options.test) {
		const folder = join(here, 'ui/test');
		const tests = readdirSync(folder).filter((name) => name.endsWith('.test.ts'));
		rmSync(join(options.out, 'test'), { recursive: true, force: true });
		await esbuild.build({
			...common(options), platform: 'node', outdir: join(options.out, 'test'), outExtension: { '.js': '.mjs' },
			entryPoints: tests.map((name) => join(folder, name)),
		});
		const outputs = tests.map((name) => join(options.out, 'test', name.replace(/\.ts$/, '.mjs')));
		process.exitCode = spawnSync(process.execPath, ['--test', '--test-reporter=tap', ...outputs], { stdio: 'inherit' }).status ?? 1;
		return;
	}
	for (const name of existsSync(options.out) ? readdirSync(options.out) : []) {
		if (/^chunk-.*\.js/.test(name))
			rmSync(join(options.out, name));
	}
	const { metafile } = await esbuild.build({ ...bundleOptions(options), metafile: true });
	if (options.depfile)
		writeDepfile(options, Object.keys(metafile.inputs));
	copyPage(options);
	const kib = (name) => Math.round(statSync(join(options.out, name)).size / 1024);
	console.log(`viewer: ${options.out} (app.js ${kib('app.js')} KiB, style.css ${kib('style.css')} KiB)`);
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
	main().catch((error) => {
		console.error(`build: ${error.message}`);
		process.exitCode = 1;
	});
}
