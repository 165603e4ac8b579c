// SPDX-License-Identifier: GPL-2.0-or-later
// The viewer as a user has it: keys, the pointer, what is to be read on the page; held against what the
// daemon's SQL says of the same trace.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ask, launch, open, place, proxy, recording, serve, settled, sql, state } from './harness.mjs';

let served;
let browser;
let opened;
let page;

before(async () => {
	served = await serve(recording());
	browser = await launch();
	opened = await open(browser, served.url);
	page = opened.page;
}, { timeout: 120_000 });

after(async () => {
	await browser?.close();
	await served?.stop();
});

const number = (text) => Number(text.replace(/[^\d]/g, ''));
const text = (selector) => page.locator(selector).first().innerText();
/** Back to the whole trace with nothing chosen. */
async function calm() {
	for (let i = 0; i < 6; i++)
		await page.keyboard.press('Escape');
	await page.evaluate(() => document.querySelector('.scroller').focus());
	await page.keyboard.press('0');
	await page.waitForFunction(() => /^35|^0|^\d+ – /.test(document.querySelector('.status .num').textContent));
	await settled(page);
}
async function dragRuler(from, to) {
	const axis = await page.locator('.axis').boundingBox();
	await page.mouse.move(axis.x + from, axis.y + 10);
	await page.mouse.down();
	await page.mouse.move(axis.x + to, axis.y + 12, { steps: 5 });
	await page.mouse.up();
}
async function search(glob) {
	await page.keyboard.press('/');
	await page.keyboard.type(glob);
	await page.keyboard.press('Enter');
	await page.locator('.details h2').waitFor();
	await settled(page);
}

test('the first picture has the CPU, the threads and their calls', async () => {
	const names = await page.locator('.head .name').allInnerTexts();
	for (const name of ['CPU 0', 'swapper/0', 'Kernel threads', 'gzip', 'init'])
		assert.ok(names.includes(name), `${name} is not among ${names.join()}`);
	const colours = await page.evaluate(() => {
		const canvas = document.querySelector('.canvases canvas');
		const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
		const pixels = new Uint32Array(data.buffer);
		return new Set(pixels).size;
	});
	assert.ok(colours > 100, `${colours} colours`);
});

test('the browser has nothing to complain about, and talks to the daemon alone', () => {
	assert.deepEqual(opened.complaints, []);
	const origin = new URL(served.url).origin;
	for (const url of opened.requests)
		assert.ok(url.startsWith(origin) || url.startsWith('data:'), url);
});

test('keys zoom in to single instructions, and back', async () => {
	await calm();
	const whole = (await state(page)).view;
	await page.mouse.move(900, 400);
	await page.keyboard.down('w');
	await page.waitForFunction(() => window.dejaview.view.value.to - window.dejaview.view.value.from <= 11, undefined, { timeout: 20_000 });
	await page.keyboard.up('w');
	await settled(page);
	const { view } = await state(page);
	assert.ok(view.from >= whole.from && view.to <= whole.to + 1);
	assert.match(await text('.tick >> nth=1'), /^\+\d$|\d/);
	await page.keyboard.press('Home');
	await page.waitForFunction((size) => window.dejaview.view.value.to - window.dejaview.view.value.from > size * 0.99, whole.to - whole.from);
});

test('the wheel zooms at the pointer, shift and wheel move', async () => {
	await calm();
	const box = await page.locator('.canvases').boundingBox();
	const at = (view, x) => view.from + (x / box.width) * (view.to - view.from);
	await page.mouse.move(box.x + 500, box.y + 300);
	const before_ = (await state(page)).view;
	await page.keyboard.down('Control');
	await page.mouse.wheel(0, -600);
	await page.keyboard.up('Control');
	await page.waitForFunction((size) => window.dejaview.view.value.to - window.dejaview.view.value.from < size / 2, before_.to - before_.from);
	const zoomed = (await state(page)).view;
	assert.ok(Math.abs(at(before_, 500) - at(zoomed, 500)) < (zoomed.to - zoomed.from) / 100);
	await page.keyboard.down('Shift');
	await page.mouse.wheel(0, 200);
	await page.keyboard.up('Shift');
	await page.waitForFunction((from) => window.dejaview.view.value.from > from, zoomed.from);
	assert.ok(Math.abs((await state(page)).view.to - (await state(page)).view.from - (zoomed.to - zoomed.from)) < 2);
});

test('a search counts all calls, goes from one to the next, and says so when there are none', async () => {
	await calm();
	await search('vfs_rea?');
	const [[count]] = await sql(page, served, "select count(*) from slice where name glob 'vfs_rea?'");
	assert.ok(count > 0);
	await page.waitForFunction(() => /call/.test(document.querySelector('.found')?.textContent ?? ''));
	const found = async () => (await text('.found')).split('call')[0].split(' of ').map(number);
	assert.deepEqual(await found(), [1, count]);
	const first = (await state(page)).selection.key;
	const [[earliest]] = await sql(page, served, "select min(ts) from slice where name glob 'vfs_rea?'");
	assert.equal(first.start, earliest);
	await page.keyboard.press('n');
	await page.waitForFunction((start) => window.dejaview.selection.value.key.start > start, first.start);
	assert.deepEqual(await found(), [2, count]);
	await page.keyboard.press('Shift+N');
	await page.waitForFunction((start) => window.dejaview.selection.value.key.start === start, first.start);
	await page.keyboard.press('/');
	await page.keyboard.type('no_such_function_*');
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => /nothing found/.test(document.querySelector('.found')?.textContent ?? ''));
	await calm();
	assert.equal(await page.locator('.found').count(), 0);
});

test('details say what SQL says, and the keys walk along the calls', async () => {
	await calm();
	await search('ksys_read');
	const { key, slice } = (await state(page)).selection;
	const [[ts, dur, depth, name]] = await sql(page, served, `select ts, dur, depth, name from slice where id = ${slice.id}`);
	assert.deepEqual([ts, depth], [key.start, key.depth]);
	const facts = await page.locator('.detail-main').innerText();
	assert.ok(facts.includes(name));
	const shown = await page.locator('.facts .num').allInnerTexts();
	assert.ok(shown.map(number).includes(ts) && shown.map(number).includes(ts + dur), `${shown} has no ${ts} and ${ts + dur}`);
	const chain = await page.locator('.chain li').count();
	const ancestors = await sql(page, served, `select name from ancestor_slice(${slice.id}) order by depth desc`);
	assert.equal(chain, ancestors.length);
	assert.equal((await page.locator('.chain li').first().innerText()).split(/\s/)[0], ancestors[0][0]);
	await page.keyboard.press('ArrowUp');
	await page.waitForFunction((d) => window.dejaview.selection.value.key.depth === d - 1, key.depth);
	await page.keyboard.press('ArrowDown');
	await page.waitForFunction((d) => window.dejaview.selection.value.key.depth === d, key.depth);
	const [[next]] = await sql(page, served, `select min(ts) from slice where name = 'ksys_read' and ts > ${ts}`);
	await calm();
	await search('ksys_read');
	await page.keyboard.press(']');
	await page.waitForFunction((start) => window.dejaview.selection.value.key.start === start, next);
	await page.keyboard.press('[');
	await page.waitForFunction((start) => window.dejaview.selection.value.key.start === start, ts);
});

test('all calls of a function are a histogram', async () => {
	await page.getByRole('tab', { name: 'All its calls' }).click();
	await page.locator('.histogram b').first().waitFor();
	const [[ended]] = await sql(page, served, "select count(*) from slice where name = 'ksys_read' and dur >= 0");
	assert.equal(number(await text('.histogram b')), ended);
	await page.getByRole('tab', { name: 'What it calls' }).click();
});

test('a click on a call selects it, right click offers what can be done', async () => {
	await calm();
	await search('vfs_write');
	await page.keyboard.press('f');
	await page.waitForTimeout(300);
	await settled(page);
	const { key, slice } = (await state(page)).selection;
	await page.keyboard.press('Escape');
	await page.keyboard.press('Escape');
	await page.waitForFunction(() => !window.dejaview.selection.value);
	const at = await place(page, { utid: key.utid, depth: key.depth, from: slice.start, to: slice.start + slice.dur });
	await page.mouse.click(at.x, at.y);
	await page.waitForFunction((start) => window.dejaview.selection.value?.key?.start === start, key.start);
	await page.locator('.details h2').waitFor();
	assert.equal((await text('.details h2')).trim(), 'vfs_write');
	await page.mouse.click(at.x, at.y, { button: 'right' });
	const menu = page.getByRole('menu');
	await menu.waitFor();
	assert.match(await menu.innerText(), /Mark this place[\s\S]*Search for vfs_write/);
	await page.keyboard.press('Escape');
	await menu.waitFor({ state: 'detached' });
});

test('tracks are filtered by name, opened, pinned', async () => {
	await calm();
	await page.keyboard.press('t');
	await page.keyboard.type('gzip');
	await page.waitForFunction(() => [...document.querySelectorAll('.head.thread .name')].every((e) => e.textContent === 'gzip'));
	const pin = page.getByRole('button', { name: 'Pin gzip' });
	await page.locator('.head.thread').first().hover();
	await pin.click();
	await page.keyboard.press('t');
	await page.keyboard.press('Escape');
	await page.locator('.heads-fixed .head.thread').waitFor();
	assert.deepEqual(await page.locator('.heads-fixed .head .name').allInnerTexts(), ['CPU 0', 'gzip']);
	await page.locator('.heads-fixed').getByRole('button', { name: 'Open gzip' }).click();
	await settled(page);
	assert.ok((await page.locator('.heads-fixed .head.thread').boundingBox()).height > 100);
	await page.locator('.heads-fixed').getByRole('button', { name: 'Pin gzip' }).click();
	await page.locator('.heads-fixed .head.thread').waitFor({ state: 'detached' });
	// Matches in the closed group are drawn on it: pixels of their colour along its lower edge.
	const pink = () => page.evaluate(() => {
		const canvas = document.querySelector('.canvases canvas');
		const group = [...document.querySelectorAll('.head.group')].find((e) => e.textContent.includes('Kernel threads')).getBoundingClientRect();
		const y = group.bottom - canvas.getBoundingClientRect().top - 3;
		const copy = new OffscreenCanvas(canvas.width, 1).getContext('2d', { willReadFrequently: true });
		copy.drawImage(canvas, 0, -Math.round(y));
		const { data } = copy.getImageData(0, 0, canvas.width, 1);
		return Array.from({ length: canvas.width }, (_, i) => i * 4).filter((i) => data[i] > 200 && data[i + 1] < 140 && data[i + 2] > 80).length;
	});
	assert.equal(await pink(), 0);
	await page.keyboard.press('/');
	await page.keyboard.type('kthread');
	await page.keyboard.press('Enter');
	await page.locator('.details h2').waitFor();
	await page.keyboard.press('Shift+E');
	await page.keyboard.press('0');
	await settled(page);
	assert.ok(await pink() > 0);
	await calm();
	await page.getByRole('button', { name: 'Open Kernel threads' }).click();
	await page.locator('.head.thread', { hasText: 'kthreadd' }).waitFor();
	await page.getByRole('button', { name: 'Close Kernel threads' }).click();
});

test('a drag on the ruler is an area: flame graph, table, callers and callees', async () => {
	await calm();
	await dragRuler(300, 800);
	await page.locator('.flame-canvas').waitFor();
	const { span } = (await state(page)).selection;
	await page.getByRole('tab', { name: 'Table' }).click();
	await page.locator('.stats-body .link').first().waitFor();
	const best = async () => {
		const row = page.locator('.stats-body .stats-row').first();
		return [await row.locator('.link').innerText(), number(await row.locator('.num').first().innerText())];
	};
	const [dearest] = await sql(page, served, `select name, calls from function_stats(${Math.floor(span.from)}, ${Math.ceil(span.to)}) order by own desc limit 1`);
	assert.deepEqual(await best(), dearest);
	await page.locator('.stats-body .link').first().click();
	await page.locator('.around .costs').first().waitFor();
	assert.ok((await page.locator('.around h4').allInnerTexts()).includes('Called by'));
	await page.getByRole('tab', { name: 'Flame graph' }).click();
	await page.locator('.flame-canvas').click({ position: { x: 60, y: 117 } });
	await page.getByRole('button', { name: 'Show all of it' }).click();
	await page.getByRole('button', { name: 'Show all of it' }).waitFor({ state: 'detached' });
});

test('by keys: an area of what is in view, and of a call in its thread', async () => {
	await calm();
	await search('ksys_read');
	const { key } = (await state(page)).selection;
	await page.keyboard.press('f');
	await page.keyboard.press('Shift+V');
	await page.waitForFunction(() => window.dejaview.selection.value.kind === 'area');
	const [[dur]] = await sql(page, served, `select dur from slice where ts = ${key.start} and depth = ${key.depth} and name = 'ksys_read'`);
	assert.deepEqual((await state(page)).selection, { kind: 'area', span: { from: key.start, to: key.start + dur }, thread: key.utid });
	await page.locator('.flame-canvas').waitFor();
	await settled(page);
	const { view } = (await state(page));
	await page.keyboard.press('v');
	await page.waitForFunction(() => window.dejaview.selection.value.thread === undefined);
	assert.deepEqual((await state(page)).selection.span, { from: Math.floor(view.from), to: Math.ceil(view.to) });
});

test('the table and its sides say what SQL says', async () => {
	await calm();
	await dragRuler(200, 900);
	await page.getByRole('tab', { name: 'Table' }).click();
	await page.getByRole('searchbox', { name: 'Filter functions' }).fill('ksys_write');
	const row = page.locator('.stats-body .stats-row').filter({ has: page.getByRole('button', { name: 'ksys_write', exact: true }) });
	await row.waitFor();
	const { span } = (await state(page)).selection;
	const place = `${Math.floor(span.from)}, ${Math.ceil(span.to)}`;
	const [[calls, own, total, elapsed]] = await sql(page, served, `select calls, own, total, elapsed from function_stats(${place}) where name = 'ksys_write'`);
	assert.equal(number(await row.locator('.num').first().innerText()), calls);
	assert.deepEqual((await row.locator('.bar').evaluateAll((all) => all.map((e) => e.title))).map(number), [own, total, elapsed]);
	await row.getByRole('button').click();
	await page.waitForFunction(() => document.querySelector('.around h3')?.textContent.startsWith('ksys_write') && document.querySelectorAll('.around .costs')[1]?.textContent.includes('vfs_write'));
	const callees = await page.locator('.around .costs').nth(1).locator('tbody tr').evaluateAll((all) => all.map((tr) => [tr.cells[0].innerText, Number(tr.cells[1].innerText.replace(/\D/g, ''))]));
	const want = await sql(page, served, `select c.name, count(*) from slice c join slice p on c.parent_id = p.id where p.name = 'ksys_write' and c.ts >= ${Math.floor(span.from)} and c.ts < ${Math.ceil(span.to)} group by c.name`);
	assert.deepEqual(callees.sort(), want.sort());
	await page.getByRole('searchbox', { name: 'Filter functions' }).fill('');
	await page.getByRole('tab', { name: 'Flame graph' }).click();
});

test('the minimap shows where the view is, and takes it elsewhere', async () => {
	await calm();
	const { view: whole } = await state(page);
	const map = await page.locator('.minimap canvas').boundingBox();
	// A drag chooses what is shown; a click inside moves it, as wide as it is.
	await page.mouse.move(map.x + map.width * 0.5, map.y + 12);
	await page.mouse.down();
	await page.mouse.move(map.x + map.width * 0.6, map.y + 14, { steps: 4 });
	await page.mouse.up();
	await page.waitForFunction((size) => window.dejaview.view.value.to - window.dejaview.view.value.from < size * 0.2, whole.to - whole.from);
	await settled(page);
	const { view } = await state(page);
	const at = (x) => whole.from + x * (whole.to - whole.from);
	const slack = (whole.to - whole.from) / 200;
	assert.ok(Math.abs(view.from - at(0.5)) < slack && Math.abs(view.to - at(0.6)) < slack, JSON.stringify([view, at(0.5), at(0.6)]));
	await page.mouse.click(map.x + map.width * 0.25, map.y + 12);
	await page.waitForFunction((middle) => window.dejaview.view.value.from < middle && window.dejaview.view.value.to > middle, at(0.25));
	await settled(page);
	const moved = (await state(page)).view;
	assert.ok(Math.abs(moved.to - moved.from - (view.to - view.from)) < slack);
});

test('a call and whence it was called are copied as text', async () => {
	await calm();
	await search('vfs_write');
	await page.keyboard.press('y');
	await page.getByText('The call and its callers copied.').waitFor();
	const text = await page.evaluate(() => navigator.clipboard.readText());
	const { slice } = (await state(page)).selection;
	const names = await sql(page, served, `select name from ancestor_slice(${slice.id}) order by depth`);
	const lines = text.split('\n').slice(1).map((line) => line.trim().replace(/ +@\d+$/, ''));
	assert.deepEqual(lines, [...names.map(([name]) => name), 'vfs_write']);
});

test('marks stay with the recording', async () => {
	await calm();
	const axis = await page.locator('.axis').boundingBox();
	await page.mouse.click(axis.x + 400, axis.y + 12);
	await page.keyboard.press('m');
	const name = page.getByRole('textbox', { name: 'Name of the mark' });
	await name.fill('here it begins');
	await name.press('Enter');
	await page.getByRole('textbox', { name: 'Note' }).fill('a note on it');
	await page.getByRole('textbox', { name: 'Note' }).press('Enter');
	await page.waitForTimeout(200);
	const kept = await ask(page, served, 'marks.get', {});
	assert.deepEqual(kept.marks.map((m) => [m.name, m.note]), [['here it begins', 'a note on it']]);
	const again = await open(browser, served.url, { hash: '#tab=marks' });
	await again.page.locator('.flag').waitFor();
	assert.match(await again.page.locator('.flag').getAttribute('title'), /here it begins/);
	await again.context.close();
	await page.getByRole('button', { name: 'Remove here it begins' }).click();
	await page.locator('.flag').waitFor({ state: 'detached' });
	assert.deepEqual((await ask(page, served, 'marks.get', {})).marks, []);
});

test('the console follows, and a line goes to its place', async () => {
	await calm();
	await page.keyboard.press('3');
	const { total } = await ask(page, served, 'console', { row: 0, count: 1 });
	if (total === 0) {
		await page.getByText('This trace has no console').waitFor();
		return;
	}
	await page.getByRole('searchbox', { name: 'Filter lines' }).fill('Linux version');
	const line = page.locator('.console .line').first();
	await line.waitFor();
	assert.match(await line.innerText(), /Linux version 6\.1/);
	const at = number(await line.locator('.when').innerText());
	await line.locator('.text').click();
	await page.waitForFunction(() => document.querySelector('.axis .cursor'));
	assert.equal(number(await text('.axis .cursor')), at);
	assert.equal(await page.locator('.console .line.lit').count(), 1);
	await page.getByRole('searchbox', { name: 'Filter lines' }).fill('');
});

test('SQL: rows, sorting, what went wrong, and a row shown on the timeline', async () => {
	await calm();
	await page.keyboard.press('q');
	const editor = page.locator('.sql-editor .cm-content');
	await editor.waitFor();
	const run = async (query) => {
		await editor.click();
		await page.keyboard.press('Control+A');
		await page.keyboard.insertText(query);
		await page.keyboard.press('Control+Enter');
		await page.getByRole('button', { name: 'Run' }).waitFor();
	};
	await run("select id, ts, dur, name from slice where name = 'vfs_read' order by ts limit 20");
	await page.locator('.sql-body .sql-row').first().waitFor();
	assert.match(await text('.sql-main .bar-top [role=status]'), /^20 rows/);
	const first = number(await text('.sql-body .sql-row .num >> nth=1'));
	await page.locator('.sql-head').getByRole('button', { name: 'ts' }).click();
	await page.waitForFunction((ts) => Number(document.querySelector('.sql-body .sql-row .num:nth-child(3)').textContent) > ts, first);
	const shown = number(await text('.sql-body .sql-row .num >> nth=1'));
	await page.getByRole('button', { name: 'Show on the timeline' }).first().click();
	await page.waitForFunction((ts) => window.dejaview.selection.value?.key?.start === ts, shown);
	await page.keyboard.press('q');
	await run('select nonsense from nowhere');
	assert.match(await text('.sql .error-text'), /nowhere/);
	assert.equal(await page.locator('.sql-main .bar-top [role=status]').innerText(), '');
	assert.equal(await page.getByRole('button', { name: 'CSV', exact: true }).count(), 0);
	await run('select nam from slice');
	assert.match(await text('.sql .error-text'), /is it name\?/);
	await page.getByRole('tab', { name: 'History' }).click();
	assert.match(await text('.sql-list .past'), /vfs_read/);
	await page.getByRole('tab', { name: 'Tables' }).click();
	await page.locator('.sql-list summary', { hasText: /^slice$/ }).click();
	assert.match(await page.locator('.sql-list details[open]').innerText(), /ts[\s\S]*dur[\s\S]*name/);
	await page.keyboard.press('Escape');
	await page.locator('.pages button', { hasText: 'Timeline' }).click();
});

test('SQL: tables and columns are completed; a result leaves as CSV and JSON', async () => {
	await page.locator('.pages button', { hasText: 'SQL' }).click();
	const editor = page.locator('.sql-editor .cm-content');
	await editor.click();
	await page.keyboard.press('Control+A');
	await page.keyboard.type('select * from thread_sl');
	await page.locator('.cm-tooltip-autocomplete li', { hasText: 'thread_slice' }).first().waitFor();
	// A completion that is only just there is not taken yet.
	await page.waitForTimeout(150);
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => document.querySelector('.sql-editor .cm-content').textContent.includes('thread_slice'));
	await page.keyboard.press('Control+A');
	await page.keyboard.insertText("select name, ts, 'a,\"b' as odd, null as none from slice where name = 'vfs_read' order by ts limit 3");
	await page.keyboard.press('Control+Enter');
	await page.getByRole('button', { name: 'Run' }).waitFor();
	await page.waitForFunction(() => /^3 rows/.test(document.querySelector('.sql-main .bar-top [role=status]').textContent));
	const rows = await sql(page, served, "select name, ts from slice where name = 'vfs_read' order by ts limit 3");
	const download = async (name) => {
		const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name, exact: true }).click()]);
		return readFileSync(await file.path(), 'utf8');
	};
	assert.equal(await download('CSV'), `name,ts,odd,none\n${rows.map(([name, ts]) => `${name},${ts},"a,""b",\n`).join('')}`);
	assert.deepEqual(JSON.parse(await download('JSON')), rows.map(([name, ts]) => ({ name, ts, odd: 'a,"b', none: null })));
	await page.keyboard.press('Escape');
	await page.locator('.pages button', { hasText: 'Timeline' }).click();
});

test('a query that takes long says how far it is, and can be cancelled', async () => {
	await page.locator('.pages button', { hasText: 'SQL' }).click();
	const editor = page.locator('.sql-editor .cm-content');
	await editor.click();
	await page.keyboard.press('Control+A');
	await page.keyboard.insertText('select count(*) from slice a join slice b where a.dur < b.dur');
	await page.keyboard.press('Control+Enter');
	await page.getByRole('button', { name: 'Cancel' }).click();
	await page.getByText('Cancelled.').waitFor();
	await page.getByRole('button', { name: 'Run' }).waitFor();
	await page.locator('.pages button', { hasText: 'Timeline' }).click();
});

test('one box: commands, instruction counts; the help has every key', async () => {
	await calm();
	await page.keyboard.press('Control+K');
	await page.keyboard.type('guest console');
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => document.querySelector('#tab-console[aria-selected=true]'));
	await page.keyboard.press('g');
	await page.keyboard.type('1.5G');
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => document.querySelector('.axis .cursor')?.textContent.replace(/\D/g, '') === '1500000000');
	await page.keyboard.press('?');
	const help = page.getByRole('dialog');
	await help.waitFor();
	assert.ok((await help.locator('dt').count()) > 45);
	await page.keyboard.press('Escape');
	await help.waitFor({ state: 'hidden' });
});

test('the theme changes, and what is looked at is in the URL', async () => {
	await calm();
	const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
	const old = await theme();
	await page.getByRole('button', { name: /^Theme/ }).click();
	assert.notEqual(await theme(), old);
	await page.getByRole('button', { name: /^Theme/ }).click();
	await search('schedule');
	await page.keyboard.press('f');
	await page.waitForTimeout(700);
	const now = await state(page);
	const again = await open(browser, served.url, { hash: new URL(page.url()).hash });
	await again.page.waitForFunction(() => window.dejaview.selection.value?.key);
	const there = await state(again.page);
	assert.deepEqual(there.selection.key, now.selection.key);
	assert.ok(Math.abs(there.view.from - now.view.from) < 2 && Math.abs(there.view.to - now.view.to) < 2);
	assert.equal(await again.page.locator('#omnibox').inputValue(), 'schedule');
	// As the guest names it, which is the same in another trace.
	const [[tid]] = await sql(page, served, `select tid from thread where utid = ${now.selection.key.utid}`);
	assert.equal(new URLSearchParams(new URL(page.url()).hash.slice(1)).get('slice'), `${now.selection.key.start}:${tid}:${now.selection.key.depth}`);
	await again.context.close();
});

test('1000 px are enough, also in the dark; every control has a name', async () => {
	const small = await open(browser, served.url, { width: 1000, height: 640, dark: true });
	for (const key of ['1', '2', '3', '4', '5', '6']) {
		await small.page.keyboard.press(key);
		const over = await small.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
		assert.equal(over, 0, `pane ${key}`);
		const nameless = await small.page.evaluate(() => [...document.querySelectorAll('button, input, [role=tab], [role=button], canvas:not([aria-hidden])')]
			.filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.getAttribute('title') || e.labels?.length)).map((e) => e.outerHTML.slice(0, 120)));
		assert.deepEqual(nameless, [], `pane ${key}`);
	}
	assert.deepEqual(small.complaints, []);
	await small.context.close();
});

test('a lost connection is said, and comes back by itself', async () => {
	const between = await proxy(served.port);
	const url = served.url.replace(`:${served.port}/`, `:${between.port}/`);
	const lost = await open(browser, url);
	between.drop();
	await lost.page.getByText('The connection to the daemon was lost.').waitFor();
	between.restore();
	await lost.page.getByText('The connection to the daemon was lost.').waitFor({ state: 'detached' });
	await settled(lost.page);
	await lost.page.keyboard.press('/');
	await lost.page.keyboard.type('vfs_read');
	await lost.page.keyboard.press('Enter');
	await lost.page.locator('.details h2').waitFor();
	await lost.context.close();
	between.close();
});

test('keys alone go everywhere, and show where they are', async () => {
	const keyed = await open(browser, served.url, { hash: '#tab=details' });
	const { page: p } = keyed;
	const seen = [];
	for (let i = 0; i < 80; i++) {
		await p.keyboard.press('Tab');
		const at = await p.evaluate(() => {
			const e = document.activeElement;
			const style = getComputedStyle(e);
			const box = e.getBoundingClientRect();
			return { name: e.getAttribute('aria-label') ?? e.textContent.trim().slice(0, 40), tag: e.tagName, inside: box.width > 0 && box.height > 0,
				shown: style.outlineStyle !== 'none' || style.borderColor !== getComputedStyle(document.body).borderColor || style.backgroundImage !== 'none' };
		});
		if (at.tag === 'BODY')
			break;
		assert.ok(at.name && at.inside && at.shown, JSON.stringify(at));
		seen.push(at.name);
	}
	for (const name of ['SQL', 'Filter tracks by name', 'Details', 'Height of the lower pane', 'Keys'])
		assert.ok(seen.some((s) => s.includes(name)), `${name} is not among ${seen.join(' | ')}`);
	await p.evaluate(() => document.activeElement?.blur());
	await p.keyboard.press('/');
	await p.keyboard.type('vfs_read');
	await p.keyboard.press('Enter');
	await p.locator('.details h2').waitFor();
	await p.evaluate(() => document.querySelector('.drawer-tabs [aria-selected=true]').focus());
	for (const id of ['area', 'console', 'debugger', 'marks', 'trace']) {
		await p.keyboard.press('ArrowRight');
		await p.locator(`#tab-${id}[aria-selected=true]:focus`).waitFor();
	}
	await p.keyboard.press('1');
	await p.keyboard.press('f');
	await p.keyboard.press('m');
	await p.locator('.mark-name').waitFor();
	await p.locator('.mark-name').focus();
	await p.keyboard.press('Tab');
	await p.keyboard.type('by keys');
	await p.keyboard.press('Enter');
	await p.waitForTimeout(200);
	assert.deepEqual((await ask(p, served, 'marks.get', {})).marks.map((m) => [m.name, m.note, typeof m.tid]), [['vfs_read', 'by keys', 'number']]);
	await p.getByRole('button', { name: 'Remove vfs_read' }).focus();
	await p.keyboard.press('Space');
	await p.locator('.mark-name').waitFor({ state: 'detached' });
	assert.deepEqual(keyed.complaints, []);
	await keyed.context.close();
});

test('the policy lets in neither foreign requests nor scripts in markup', async () => {
	const strict = await open(browser, served.url);
	const refused = await strict.page.evaluate(async () => {
		const seen = [];
		document.addEventListener('securitypolicyviolation', (e) => seen.push(e.effectiveDirective));
		const div = document.createElement('div');
		div.innerHTML = '<img src="data:," onerror="window.bad = 1">';
		document.body.append(div);
		const script = document.createElement('script');
		script.textContent = 'window.bad = 1';
		document.body.append(script);
		await fetch('http://127.0.0.1:1/').catch(() => undefined);
		await new Promise((done) => setTimeout(done, 200));
		return { seen: [...new Set(seen)].sort(), bad: window.bad };
	});
	assert.deepEqual(refused, { seen: ['connect-src', 'script-src-attr', 'script-src-elem'], bad: undefined });
	await strict.context.close();
});

test('npm run dev: the page on a running daemon, built anew and reloaded at a change', async () => {
	const folder = mkdtempSync(join(tmpdir(), 'dejaview-dev-'));
	const web = join(folder, 'web');
	// A copy, to be changed.
	cpSync(fileURLToPath(new URL('../../web', import.meta.url)), web, { recursive: true, filter: (name) => !name.includes('node_modules') });
	symlinkSync(join(process.env.DEJAVIEW_BUILD, 'web/node_modules'), join(web, 'node_modules'));
	const child = spawn('npm', ['run', '--silent', 'dev', '--', served.url, '--port', '0'], { cwd: web, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
	let gone;
	try {
		const url = await new Promise((resolve, reject) => {
			let out = '';
			child.on('exit', (code) => reject(new Error(`it ended with ${code}`)));
			child.stdout.on('data', (data) => {
				out += data;
				const match = /http:\/\/\S+/.exec(out);
				if (match && /built at/.test(out))
					resolve(match[0]);
			});
		});
		const dev = await open(browser, url);
		assert.ok((await dev.page.locator('.head .name').allInnerTexts()).includes('swapper/0'));
		assert.deepEqual(dev.complaints, []);
		const source = join(web, 'ui/src/shell/App.tsx');
		writeFileSync(source, readFileSync(source, 'utf8').replace('<b>DejaView</b>', '<b>DejaView, changed</b>'));
		await dev.page.getByText('DejaView, changed').waitFor();
		await settled(dev.page);
		await dev.context.close();
	} finally {
		gone = new Promise((resolve) => child.on('close', resolve));
		process.kill(-child.pid, 'SIGTERM');
		await gone;
		rmSync(folder, { recursive: true });
	}
});

test('loading shows how far it is, and can be cancelled and begun again', async () => {
	const context = await browser.newContext();
	const other = await context.newPage();
	const cancelled = other.getByText('Loading was cancelled');
	let slow;
	try {
		// A page that comes after the trace is loaded has seen nothing: once more.
		for (let tries = 0; tries < 5 && !await cancelled.isVisible(); tries++) {
			await slow?.stop();
			slow = await serve(recording(), [], { env: { XDG_CACHE_HOME: '/dev/null' }, until: '"url"' });
			await other.goto(slow.url, { waitUntil: 'commit' });
			const cancel = other.getByRole('button', { name: 'Cancel' });
			await cancel.or(other.locator('.head .name').first()).first().waitFor();
			await cancel.click({ timeout: 500 }).catch(() => undefined);
			await cancelled.waitFor({ timeout: 2000 }).catch(() => undefined);
		}
		assert.ok(await cancelled.isVisible());
		await other.getByRole('button', { name: 'Load the trace' }).click();
		await other.getByRole('progressbar', { name: 'Loading' }).waitFor();
		await settled(other);
		assert.ok((await other.locator('.head .name').allInnerTexts()).includes('swapper/0'));
	} finally {
		await context.close();
		await slow?.stop();
	}
});

test('nothing went wrong meanwhile', () => assert.deepEqual(opened.complaints, []));
