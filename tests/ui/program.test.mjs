// SPDX-License-Identifier: GPL-2.0-or-later
// A program with debug information, and its source at hand: the tutorial's, found wanting by its user with
// nothing but the page. Lines, steps by line, locals; who wrote to a variable, an address, a register.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, open, programRecording, root, serve, settled, sql } from './harness.mjs';

const source = readFileSync(join(root, 'examples/late-writer.c'), 'utf8').split('\n');
/** The number of the one line with a text. */
function lineOf(text) {
	const found = source.flatMap((line, i) => (line.includes(text) ? [i + 1] : []));
	assert.equal(found.length, 1, `${text} is on lines ${found}`);
	return found[0];
}
let served;
let browser;
let opened;
let page;

before(async () => {
	served = await serve(programRecording(), ['--source', root]);
	browser = await launch();
	opened = await open(browser, served.url);
	page = opened.page;
	page.setDefaultTimeout(60_000);
}, { timeout: 180_000 });

after(async () => {
	await browser?.close();
	await served?.stop();
});

const number = (text) => Number(text.replace(/[^\d]/g, ''));
async function search(glob, on = page) {
	await on.evaluate(() => document.querySelector('.scroller').focus());
	await on.keyboard.press('/');
	await on.keyboard.type(glob);
	await on.keyboard.press('Enter');
	await on.waitForFunction((name) => document.querySelector('.details h2')?.textContent === name, glob);
	await settled(on);
}
/** Lines that a view of a source has lit, as the file has them. */
const litLine = (pane) => pane.locator('.cm-here').innerText();
async function stands() {
	await page.waitForFunction(() => document.querySelector('.debug-bar .where')?.textContent.startsWith('stands') && !document.querySelector('.debug-bar .waiting'));
	return number(await page.locator('.debug-bar .where .num').innerText());
}
/** The first frame's function and line, once the stack is that of the place. */
async function frame(of, line) {
	const first = page.locator('.stack li').first();
	await page.waitForFunction(([name, at]) => new RegExp(`^0\\s+${name} \\S*late-writer\\.c:${at}$`).test(document.querySelector('.stack li')?.innerText ?? ''), [of, line])
		.catch(async () => assert.fail(`${await first.innerText()} should be ${of} at line ${line}`));
}

test('the source of a call, at its line', async () => {
	await search('store_result');
	const line = lineOf('static void store_result(');
	const link = page.locator('.facts .link.mono', { hasText: 'late-writer.c' });
	assert.match(await link.innerText(), new RegExp(`^examples/late-writer\\.c:${line}$`));
	await link.click();
	assert.equal(await page.getByRole('tab', { name: 'Source', exact: true }).getAttribute('aria-selected'), 'true');
	const pane = page.locator('.source');
	await pane.locator('.cm-here').waitFor();
	assert.equal((await litLine(pane)).trimEnd(), source[line - 1]);
	// It is in sight, and its number stands beside it.
	const box = await pane.locator('.cm-here').boundingBox();
	const view = await pane.locator('.source-view').boundingBox();
	assert.ok(box.y >= view.y && box.y + box.height <= view.y + view.height, JSON.stringify([box, view]));
	const numbers = await pane.locator('.cm-lineNumbers .cm-gutterElement').evaluateAll((all, y) => all.filter((e) => Math.abs(e.getBoundingClientRect().top - y) < 6).map((e) => e.textContent), box.y);
	assert.deepEqual(numbers, [String(line)]);
	assert.match(await pane.locator('p').innerText(), /late-writer\.c$/);
});

test('source that is not there, or not known: it says so, and what to do', async () => {
	await search('usleep');
	await page.getByText('No source line is known').waitFor();
	await page.getByRole('tab', { name: 'What it calls' }).click();
	const bare = await serve(programRecording());
	try {
		const without = await open(browser, bare.url, { width: 1000, height: 700 });
		await search('store_result', without.page);
		await without.page.getByRole('tab', { name: 'Source', exact: true }).click();
		assert.match(await without.page.locator('.subpane .error-text').innerText(), /late-writer\.c[\s\S]*in none of the folders of sources[\s\S]*--source DIR/);
		await without.context.close();
	} finally {
		await bare.stop();
	}
});

test('step over, and back over the same', async () => {
	await search('store_result');
	const { start } = await page.evaluate(() => window.dejaview.selection.value.key);
	await page.keyboard.press('h');
	assert.equal(await stands(), start);
	// To the line with the call, over it, and back.
	const [first, call, next] = [lineOf('char *end = request->text'), lineOf('sprintf(end, " -> %lx"'), lineOf('request->result = value;')];
	const over = page.locator('.debug-bar').getByRole('button', { name: 'Step over', exact: true });
	await over.click();
	await frame('store_result', first);
	await over.click();
	await frame('store_result', call);
	const at = await stands();
	const [[from, to]] = await sql(page, served, `select ts, ts + dur from slice where name = 'sprintf' and ts >= ${at} order by ts limit 1`);
	await page.keyboard.press('F10');
	await frame('store_result', next);
	const after_ = await stands();
	assert.ok(at < from && after_ >= to, `${at} ${from} ${to} ${after_}`);
	await page.keyboard.press('Shift+F10');
	await frame('store_result', call);
	assert.ok(await stands() < from);
});

/** The replay at an instruction count. */
async function debugAt(at) {
	await page.evaluate(() => document.querySelector('.scroller').focus());
	await page.keyboard.press('g');
	await page.keyboard.type(`${at}`);
	await page.keyboard.press('Enter');
	await page.locator('.debug-bar').getByRole('button', { name: 'Debug here' }).click();
	await page.waitForFunction((n) => document.querySelector('.debug-bar .where .num')?.textContent.replace(/\D/g, '') === String(n), at);
	await stands();
}

test('step into a function, and step back out of it', async () => {
	const [call, first] = [lineOf('request = get_request(text);'), lineOf('struct request *request = &pool[')];
	// On the call's first instruction: a step back is in its caller.
	const [[start]] = await sql(page, served, "select ts from slice where name = 'get_request' order by ts limit 1");
	await debugAt(start);
	await page.locator('.debug-bar').getByRole('button', { name: 'Step back', exact: true }).click();
	await frame('serve', call);
	assert.ok(await stands() < start);
	await page.locator('.debug-bar').getByRole('button', { name: 'Step into' }).click();
	await frame('get_request', first);
	const [[name, ts]] = await sql(page, served, `select name, ts from stack_at(${await stands()}) order by depth desc limit 1`);
	assert.deepEqual([name, ts], ['get_request', start]);
	await page.keyboard.press('Shift+F11');
	await frame('serve', call);
});

test('the source beside the stack follows the replay, and the frame that is chosen', async () => {
	const [call, first] = [lineOf('request = get_request(text);'), lineOf('struct request *request = &pool[')];
	const lit = (line) => page.waitForFunction((text) => document.querySelector('.debug-side .cm-here')?.textContent === text, source[line - 1]);
	await page.getByRole('tab', { name: 'Source', exact: true }).click();
	await lit(call);
	await page.keyboard.press('F11');
	await lit(first);
	await page.getByRole('tab', { name: 'Stack', exact: true }).click();
	await page.locator('.stack button', { hasText: /^1 serve/ }).click();
	await page.getByRole('tab', { name: 'Source', exact: true }).click();
	await lit(call);
	await page.getByRole('tab', { name: 'Stack', exact: true }).click();
	await page.locator('.stack button', { hasText: /^0 get_request/ }).click();
});

/** The newest write: they come newest first, and the search for older ones is cancelled. */
async function newest() {
	await page.locator('.subpane .plain tr').first().waitFor();
	await page.locator('.subpane').getByRole('button', { name: 'Cancel' }).click({ timeout: 500 }).catch(() => undefined);
	await page.locator('.subpane .waiting').waitFor({ state: 'detached' });
	return page.locator('.subpane .plain tr').first().evaluate((tr) => ({ at: Number(tr.cells[0].innerText.replace(/\D/g, '')), by: tr.cells[1].innerText, thread: tr.cells[2].innerText, change: tr.cells[3].innerText }));
}

test('locals: a pointer opens, and who wrote to what is in it is found in its thread\'s memory', async () => {
	const [[start]] = await sql(page, served, "select ts from slice where name = 'store_result' order by ts limit 1");
	await debugAt(start + 8); // behind the prologue
	const request = page.locator('.stack-locals .variables > li', { hasText: /request/ }).first();
	await request.getByRole('button', { name: 'Open request' }).click();
	const text = request.locator('li', { hasText: 'finish' }).first();
	await text.waitFor();
	assert.match(await text.innerText(), /say_done/);
	const at = await stands();
	await text.getByRole('button', { name: 'Who wrote finish?' }).click();
	const write = await newest();
	const [[by, from, to]] = await sql(page, served, `select name, ts, ts + dur from slice where name = 'get_request' and ts < ${at} order by ts desc limit 1`);
	assert.deepEqual([write.by, write.thread], [by, 'init']);
	assert.ok(write.at > from && write.at < to && write.at < at, JSON.stringify(write));
	// One click to it, another to the debugger there: on the line that writes.
	await page.locator('.subpane .plain tr').first().getByRole('button', { name: 'Debug' }).click();
	await page.waitForFunction((n) => document.querySelector('.debug-bar .where .num')?.textContent.replace(/\D/g, '') === String(n), write.at);
	await stands();
	await page.getByRole('tab', { name: 'Stack', exact: true }).click();
	await frame('get_request', lineOf('request->finish = say_done;'));
});

test('who wrote to what a register points at, and to an address that is typed', async () => {
	// The instruction stores through a register: the write itself is before the next one.
	await page.getByRole('tab', { name: 'Registers' }).click();
	const rax = page.locator('.variable', { hasText: /^\s*rax/ }).first();
	await rax.waitFor();
	const value = (await rax.locator('.value').innerText()).trim();
	assert.match(value, /^0x4[0-9a-f]{5}$/, 'the place of a request in the pool');
	await page.getByRole('button', { name: 'Who wrote rax?' }).click();
	const byRegister = await newest();
	// The request's text is what lies there.
	assert.match(byRegister.by, /snprintf|default_xsputn|vsprintf|vsnprintf|strn|mem|get_request/i);
	await page.getByRole('textbox', { name: 'Address or symbol' }).fill(value);
	await page.getByRole('button', { name: 'Who wrote this?' }).click();
	assert.deepEqual(await newest(), byRegister);
	// gdb knows what the kernel's symbols do not.
	await page.getByRole('textbox', { name: 'Address or symbol' }).fill('request->text');
	await page.keyboard.press('Enter');
	assert.equal((await newest()).at, byRegister.at);
	await page.getByRole('textbox', { name: 'Address or symbol' }).fill('nothing_is_called_so');
	await page.keyboard.press('Enter');
	await page.locator('.subpane .error-text').waitFor();
	assert.deepEqual(opened.complaints, []);
});
