// SPDX-License-Identifier: GPL-2.0-or-later
// What is drawn, compared with pictures in expected/.
//
// Compared is what is the same on every machine with Debian's Chromium: the canvases themselves (timeline,
// minimap, flame graph), of a trace that is always the same, at one size, without the text on them. Text is
// left out because its pixels are those of the machine's fonts; so are names, ruler and panes, which are
// text in the main, and whose words other tests read. Colours come from functions' names, places from
// numbers: rectangles are drawn by Chromium's software rasteriser. A channel may differ by TOLERANCE, for
// the rounding of half covered pixels, and FEW pixels by more.
//
// To renew them, look at each, and commit: RENEW_PICTURES=1 ./check ui-pictures
// Upon failure build/tests/ui/pictures/ has NAME.png as it is now, and NAME.diff.png with the differences in red.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, launch, open, root, serve, settled, sql } from './harness.mjs';

const TOLERANCE = 6; // of 255, a channel
const FEW = 0.0005; // of all pixels
const WIDTH = 1100; // of the canvas
const HEIGHT = 640; // as much of it as is compared
const expected = join(root, 'tests/ui/expected');
const out = join(build, 'tests/ui/pictures');
const renew = process.env.RENEW_PICTURES === '1';

let served;
let browser;
let judge;
let first;

before(async () => {
	mkdirSync(out, { recursive: true });
	const trace = join(out, 'picture.dvtrace');
	const made = spawnSync(process.env.PICTURE_TRACE, [trace], { encoding: 'utf8' });
	assert.equal(made.status, 0, `${made.error ?? ''}${made.stderr}`);
	served = await serve(trace);
	browser = await launch();
	judge = await (await browser.newContext()).newPage();
}, { timeout: 60_000 });

after(async () => {
	await browser?.close();
	await served?.stop();
});

/** The viewer with a canvas of the very size, and no text on canvases. */
async function scene(hash, { dark = false } = {}) {
	const size = { width: 1400, height: 1000 };
	const opened = await open(browser, served.url, {
		...size, dark, hash, reducedMotion: 'reduce',
		init: () => {
			CanvasRenderingContext2D.prototype.fillText = () => undefined;
		},
	});
	const { page } = opened;
	const width = () => page.evaluate(() => window.dejaview.timeline.canvasWidth);
	size.width += WIDTH - await width();
	await page.setViewportSize(size);
	await page.waitForFunction((w) => window.dejaview.timeline.canvasWidth === w, WIDTH);
	assert.equal(await page.evaluate(() => window.devicePixelRatio), 1);
	// A link's view is as wide as it was: not one of the window's width.
	await settled(page);
	return opened;
}

/** Canvases one over the other, as much as is compared, as a PNG. */
function take(page, selector, width = WIDTH, height = HEIGHT) {
	return page.evaluate(([sel, w, h]) => {
		const layers = [...document.querySelectorAll(sel)];
		const to = document.createElement('canvas');
		to.width = Math.min(w, layers[0].width);
		to.height = Math.min(h, layers[0].height);
		const ctx = to.getContext('2d');
		for (const layer of layers)
			ctx.drawImage(layer, 0, 0);
		return to.toDataURL('image/png').split(',')[1];
	}, [selector, width, height]);
}

/** How many pixels differ, and a picture of where. */
function compare(is, should) {
	return judge.evaluate(async ([a, b, tolerance]) => {
		const load = async (data) => {
			const image = new Image();
			image.src = `data:image/png;base64,${data}`;
			await image.decode();
			const canvas = document.createElement('canvas');
			canvas.width = image.width;
			canvas.height = image.height;
			const ctx = canvas.getContext('2d', { willReadFrequently: true });
			ctx.drawImage(image, 0, 0);
			return { canvas, ctx, pixels: ctx.getImageData(0, 0, image.width, image.height) };
		};
		const [x, y] = [await load(a), await load(b)];
		const size = { is: [x.canvas.width, x.canvas.height], should: [y.canvas.width, y.canvas.height] };
		if (String(size.is) !== String(size.should))
			return { size, differ: Infinity, of: x.canvas.width * x.canvas.height };
		let differ = 0;
		const p = x.pixels.data;
		const q = y.pixels.data;
		for (let i = 0; i < p.length; i += 4) {
			const far = Math.max(Math.abs(p[i] - q[i]), Math.abs(p[i + 1] - q[i + 1]), Math.abs(p[i + 2] - q[i + 2]));
			differ += far > tolerance;
			for (let c = 0; c < 3; c++)
				p[i + c] = far > tolerance ? (c ? 0 : 255) : 190 + p[i + c] / 4;
		}
		x.ctx.putImageData(x.pixels, 0, 0);
		return { size, differ, of: p.length / 4, diff: x.canvas.toDataURL('image/png').split(',')[1] };
	}, [is, should, TOLERANCE]);
}

async function looksAs(name, is) {
	const path = join(expected, `${name}.png`);
	const [kept, diff] = [join(out, `${name}.png`), join(out, `${name}.diff.png`)];
	rmSync(diff, { force: true });
	writeFileSync(kept, is, 'base64');
	if (renew) {
		mkdirSync(expected, { recursive: true });
		writeFileSync(path, is, 'base64');
		return;
	}
	assert.ok(existsSync(path), `${path} is missing: RENEW_PICTURES=1 makes it, out of ${kept}`);
	const found = await compare(is, readFileSync(path, 'base64'));
	if (found.diff)
		writeFileSync(diff, found.diff, 'base64');
	assert.ok(found.differ <= found.of * FEW, `${found.differ} of ${found.of} pixels differ (${JSON.stringify(found.size)}): see ${kept} and ${diff}`);
	rmSync(diff, { force: true });
}

const canvases = '.canvases canvas';
const rows = 'open=g40&open=40:server&open=1:init';

test('the whole trace: who runs, groups, open and closed rows', async () => {
	const { page, context, complaints } = await scene(`#${rows}`);
	first = await take(page, canvases);
	await looksAs('whole-light', first);
	await looksAs('minimap', await take(page, '.minimap canvas', WIDTH, 400));
	assert.deepEqual(complaints, []);
	await context.close();
});

test('the same in the dark', async () => {
	const { page, context } = await scene(`#${rows}`, { dark: true });
	await looksAs('whole-dark', await take(page, canvases));
	await context.close();
});

test('nested calls: interrupts, exceptions, system calls in their hues; off the CPU paled', async () => {
	const { page, context } = await scene(`#view=45000-64000&${rows}`);
	await looksAs('calls', await take(page, canvases));
	await context.close();
});

test('matches of a search stand out, on tracks and minimap', async () => {
	const { page, context } = await scene(`#view=30000-70000&search=vfs_read&${rows}`);
	await page.waitForFunction(() => /call/.test(document.querySelector('.found')?.textContent ?? ''));
	await settled(page);
	await looksAs('search', await take(page, canvases));
	await looksAs('minimap-search', await take(page, '.minimap canvas', WIDTH, 400));
	await context.close();
});

test('a call that is selected; a pinned row', async () => {
	const { page, context } = await scene('#');
	const [[start, tid, depth, dur]] = await sql(page, served, "select ts, tid, depth, dur from thread_slice where depth = 4 and category is null and dur between 300 and 3000 and tid = 40 order by ts limit 1");
	await context.close();
	const chosen = await scene(`#view=${start - 2 * dur}-${start + 3 * dur}&slice=${start}:${tid}:${depth}&pin=40:server&open=pin:40:server&${rows}`);
	await chosen.page.waitForFunction(() => window.dejaview.selection.value?.slice);
	await settled(chosen.page);
	await looksAs('selected', await take(chosen.page, canvases));
	await chosen.context.close();
});

test('a flame graph', async () => {
	const { page, context } = await scene('#area=20000-90000&tab=area');
	await page.keyboard.press('2');
	await page.locator('.flame-canvas').waitFor();
	await page.waitForFunction(() => document.querySelector('.flame-canvas').height > 100);
	await settled(page);
	await looksAs('flame', await take(page, '.flame-canvas', 600, 300));
	await context.close();
});

test('the comparison sees what moved by two pixels, and what has another colour', { skip: renew }, async () => {
	const { page, context } = await scene(`#${rows}`);
	const { from, to } = await page.evaluate(() => window.dejaview.view.value);
	await page.evaluate(([a, b, by]) => (window.dejaview.view.value = { from: a + by, to: b + by }), [from, to, ((to - from) / WIDTH) * 2]);
	await settled(page);
	const moved = await compare(await take(page, canvases), first);
	assert.ok(moved.differ > moved.of * FEW * 20, JSON.stringify({ ...moved, diff: undefined }));
	await context.close();
	const searching = await scene(`#search=vfs_read&${rows}`);
	const paled = await compare(await take(searching.page, canvases), first);
	assert.ok(paled.differ > paled.of * FEW * 20, JSON.stringify({ ...paled, diff: undefined }));
	await searching.context.close();
});
