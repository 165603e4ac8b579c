// SPDX-License-Identifier: GPL-2.0-or-later
// The debugger's pane as a user has it: the replay goes where it is sent, the real gdb answers, and what
// stands on the timeline is where the guest stands.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { ask, launch, open, recording, serve, settled, sql } from './harness.mjs';

let served;
let browser;
let opened;
let page;
let debugs = false;

before(async () => {
	served = await serve(recording());
	browser = await launch();
	opened = await open(browser, served.url);
	page = opened.page;
	page.setDefaultTimeout(60_000);
	const { capabilities } = await ask(page, served, 'hello', {});
	debugs = capabilities.includes('replay.open');
}, { timeout: 120_000 });

after(async () => {
	await browser?.close();
	await served?.stop();
});

const number = (text) => Number(text.replace(/[^\d]/g, ''));
const where = async () => number(await page.locator('.debug-bar .where .num').innerText());
/** The replay stands at an icount, on the bar, on the ruler and in the line at the bottom. */
async function stands(at) {
	await page.waitForFunction((n) => document.querySelector('.debug-bar .where')?.textContent.startsWith('stands') &&
		document.querySelector('.debug-bar .where .num')?.textContent.replace(/\D/g, '') === String(n) && !document.querySelector('.debug-bar .waiting'), at);
	assert.equal(number(await page.locator('.where-replay').innerText()), at);
}
/** The thread that stands there is in sight, with its innermost call. */
async function threadShown(at) {
	const { utid, slices } = await ask(page, served, 'stackAt', { icount: at });
	await page.waitForFunction(([thread, depth]) => {
		const y = window.dejaview.timeline.laneY(thread, depth);
		return y > 0 && y < document.querySelector('.canvases canvas').clientHeight;
	}, [utid, slices.length - 1]);
}
const replayAt = async () => number(await page.locator('.where-replay').innerText());
const terminal = () => page.evaluate(() => document.querySelector('.xterm-rows')?.innerText ?? '');
/** Processes below the daemon. */
function below(pid) {
	const found = [];
	for (const name of readdirSync('/proc').filter((n) => /^\d+$/.test(n))) {
		try {
			const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
			const [, comm, parent] = /\((.*)\) \S (\d+)/.exec(stat);
			if (Number(parent) === pid)
				found.push(comm, ...below(Number(name)));
		} catch {
			// It has ended meanwhile.
		}
	}
	return found;
}

test('a call is debugged where it begins', async (t) => {
	if (!debugs)
		return t.skip('this daemon has no debugger');
	await page.keyboard.press('/');
	await page.keyboard.type('vfs_read');
	await page.keyboard.press('Enter');
	await page.locator('.details h2').waitFor();
	await settled(page);
	const at = await page.evaluate(() => window.dejaview.selection.value.key.start);
	await page.keyboard.press('h');
	await stands(at);
	const lit = await page.evaluate(() => window.dejaview.lit.value.map((s) => s.name));
	const open_ = await sql(page, served, `select name from stack_at(${at}) order by depth`);
	assert.deepEqual(lit, open_.map(([name]) => name));
	assert.equal(number(await page.locator('.replay-handle').innerText()), at);
});

test('the terminal is the real gdb, and stands in the same function', async (t) => {
	if (!debugs)
		return t.skip('this daemon has no debugger');
	await page.waitForFunction(() => /\(gdb\)/.test(document.querySelector('.xterm-rows')?.innerText ?? ''));
	await page.locator('.gdb-terminal').click();
	await page.keyboard.type('info symbol $pc\n');
	await page.waitForFunction(() => /vfs_read/.test(document.querySelector('.xterm-rows')?.innerText ?? ''));
	assert.match(await terminal(), /vfs_read/);
	// What is typed there moves the page, too, from wherever it looked.
	const at = await where();
	await page.evaluate(() => document.querySelector('.scroller').focus());
	await page.keyboard.press('g');
	await page.keyboard.type('5M');
	await page.keyboard.press('Enter');
	await page.waitForFunction((n) => window.dejaview.view.value.to < n, at);
	await page.locator('.gdb-terminal').click();
	await page.keyboard.type('stepi\n');
	await stands(at + 1);
	await page.waitForFunction((n) => window.dejaview.view.value.from <= n && window.dejaview.view.value.to > n, at);
	await page.keyboard.type('reverse-stepi\n');
	await stands(at);
	await threadShown(at);
});

test('stack and registers are those of the place', async (t) => {
	if (!debugs)
		return t.skip('this daemon has no debugger');
	await page.getByRole('tab', { name: 'Stack', exact: true }).click();
	await page.locator('.stack li').first().waitFor();
	assert.match(await page.locator('.stack li').first().innerText(), /vfs_read/);
	const calls = await sql(page, served, `select name from stack_at(${await where()}) order by depth desc`);
	assert.deepEqual(await page.locator('.open-calls li').allInnerTexts(), calls.map(([name]) => name));
	await page.getByRole('tab', { name: 'Registers' }).click();
	const rip = page.locator('.variable', { hasText: /^rip|rip/ }).first();
	await rip.waitFor();
	assert.match(await rip.innerText(), /0x?ffffffff|vfs_read/);
	await page.getByRole('tab', { name: 'Stack', exact: true }).click();
});

test('one instruction on, and back', async (t) => {
	if (!debugs)
		return t.skip('this daemon has no debugger');
	const at = await where();
	await page.getByRole('button', { name: 'One instruction on' }).click();
	await stands(at + 1);
	await page.getByRole('button', { name: 'One instruction back' }).click();
	await stands(at);
	// Keys that come quicker than the guest are no errors.
	for (let i = 0; i < 5; i++)
		await page.keyboard.press('F9');
	await page.waitForFunction((n) => !document.querySelector('.debug-bar .waiting') && Number(document.querySelector('.debug-bar .where .num').textContent.replace(/\D/g, '')) > n, at);
	assert.equal(await page.locator('.notice').count(), 0, await page.locator('.notices').innerText());
	await page.evaluate(() => document.querySelector('.scroller').focus());
	await page.keyboard.press('g');
	await page.keyboard.type(String(at));
	await page.keyboard.press('Enter');
	await page.waitForFunction((n) => document.querySelector('.axis .cursor')?.textContent.replace(/\D/g, '') === String(n), at);
	await page.keyboard.press('h');
	await stands(at);
});

/** The call of a function that is the innermost one where the replay stands. */
const innermost = async (at) => (await sql(page, served, `select name, ts from stack_at(${at}) order by depth desc limit 1`))[0];
/** Waits until a move that was begun has ended somewhere else. */
async function moved(from) {
	await page.waitForFunction((n) => document.querySelector('.debug-bar .where')?.textContent.startsWith('stands') &&
		document.querySelector('.debug-bar .where .num')?.textContent.replace(/\D/g, '') !== String(n) && !document.querySelector('.debug-bar .waiting'), from);
	return where();
}

test('a function runs to its end, and back to its call', async (t) => {
	if (!debugs)
		return t.skip('this daemon has no debugger');
	const start = await where();
	const [[end]] = await sql(page, served, `select ts + dur from slice where name = 'vfs_read' and ts = ${start}`);
	await page.getByRole('button', { name: 'Run to the end of this function' }).click();
	await stands(end);
	await page.getByRole('button', { name: 'One instruction back' }).click();
	await stands(end - 1);
	await page.getByRole('button', { name: 'Back to where this function was called' }).click();
	await stands(start - 1);
	await page.keyboard.press('F9');
	await stands(start);
});

test('breakpoints: forward to the next, back to the one before, off, removed', async (t) => {
	if (!debugs)
		return t.skip('this daemon has no debugger');
	const start = await where();
	await page.getByRole('tab', { name: 'Breakpoints' }).click();
	await page.getByRole('textbox', { name: 'Where to break, or what to watch' }).fill('schedule');
	await page.getByRole('button', { name: 'Break', exact: true }).click();
	await page.locator('.breakpoints li', { hasText: 'schedule' }).waitFor();
	await page.getByRole('button', { name: 'Continue', exact: true }).click();
	const first = await moved(start);
	const [[next]] = await sql(page, served, `select min(ts) from slice where name = 'schedule' and ts > ${start}`);
	assert.deepEqual(await innermost(first), ['schedule', next]);
	assert.match(await page.locator('.debug-bar .where').innerText(), /breakpoint/);
	await page.keyboard.press('F8');
	const second = await moved(first);
	const [[after_]] = await sql(page, served, `select min(ts) from slice where name = 'schedule' and ts > ${next}`);
	assert.deepEqual(await innermost(second), ['schedule', after_]);
	await page.getByRole('button', { name: 'Reverse-continue' }).click();
	await stands(first);
	await page.getByRole('checkbox', { name: /^Breakpoint/ }).uncheck();
	await page.waitForFunction(() => !document.querySelector('.breakpoints input').checked);
	const { breakpoints } = await ask(page, served, 'replay.breakpoints', {});
	assert.deepEqual(breakpoints.map((b) => [b.what, b.enabled]), [['schedule', false]]);
	await page.getByRole('button', { name: /^Remove breakpoint/ }).click();
	await page.getByText('No breakpoints.').waitFor();
	await page.getByRole('textbox', { name: 'Where to break, or what to watch' }).fill('no_such_function_at_all');
	await page.keyboard.press('Enter');
	await page.getByText('The breakpoint could not be set').waitFor();
	await page.getByRole('button', { name: 'Dismiss' }).click();
	await page.getByRole('tab', { name: 'Stack', exact: true }).click();
});

test('a seek shows how far it is, and is cancelled', async (t) => {
	if (!debugs)
		return t.skip('this daemon has no debugger');
	const { recording: r, trace } = await ask(page, served, 'hello', {});
	await page.evaluate(() => document.querySelector('.scroller').focus());
	await page.keyboard.press('0');
	await page.waitForFunction((to) => window.dejaview.view.value.to > to, trace.to);
	await page.locator('.debug-bar').getByRole('button', { name: 'Debug at the end' }).click();
	await page.locator('.axis .target').waitFor({ state: 'attached' });
	await page.locator('.debug-bar').getByRole('button', { name: 'Cancel' }).click();
	await page.getByText('Cancelled.').waitFor();
	await page.waitForFunction(() => document.querySelector('.debug-bar .where')?.textContent.startsWith('stands'));
	assert.ok(await where() < r.to, `it stands at ${await where()}`);
	assert.equal(await page.locator('.axis .target').count(), 0);
});

test('who wrote this: the newest first, each a click away', async (t) => {
	if (!debugs)
		return t.skip('this daemon has no debugger');
	await page.getByRole('tab', { name: 'Who wrote?' }).click();
	await page.getByRole('textbox', { name: 'Address or symbol' }).fill('system_state');
	await page.getByRole('button', { name: 'Who wrote this?' }).click();
	await page.locator('.subpane .plain tr').first().waitFor();
	await page.locator('.subpane .waiting').waitFor({ state: 'detached' });
	const rows = await page.locator('.subpane .plain tr').evaluateAll((all) => all.map((tr) => [Number(tr.cells[0].innerText.replace(/\D/g, '')), tr.cells[1].innerText, tr.cells[3].innerText]));
	const [newest] = rows;
	assert.deepEqual(rows.map(([at]) => at), rows.map(([at]) => at).sort((a, b) => b - a));
	// SYSTEM_RUNNING, which kernel_init sets before it runs /init.
	assert.deepEqual(newest.slice(1), ['kernel_init', '0x2 → 0x3']);
	await page.locator('.subpane .plain .link').first().click();
	assert.equal(number(await page.locator('.axis .cursor').innerText()), newest[0]);
	await page.getByRole('tab', { name: 'Stack', exact: true }).click();
});

test('arguments on demand: of a call, of all in view, streamed, and cancelled', async (t) => {
	if (!debugs)
		return t.skip('this daemon has no debugger');
	const qemus = () => below(served.pid).filter((name) => name.startsWith('qemu')).length;
	const before = qemus();
	await page.evaluate(() => document.querySelector('.scroller').focus());
	await page.keyboard.press('/');
	await page.keyboard.type('vfs_write');
	await page.keyboard.press('Enter');
	await page.locator('.details h2').waitFor();
	await settled(page);
	const { key } = await page.evaluate(() => window.dejaview.selection.value);
	await page.keyboard.press('r');
	await page.locator('.this-call').waitFor();
	const want = (await ask(page, served, 'calls', { function: 'vfs_write', from: key.start, to: key.start + 1 })).parts.flatMap((part) => part.calls);
	assert.equal(want.length, 1);
	const shown = await page.locator('.this-call').innerText();
	for (const { name, value } of want[0].arguments)
		assert.ok(shown.includes(name) && shown.includes(value), `${shown} has no ${name} ${value}`);
	assert.match(shown, new RegExp(`Returned\\s+${want[0].result.value} `));
	assert.match(await page.locator('.prototype').innerText(), /^ssize_t vfs_write\(struct file \*file,/);
	// The search has zoomed in on it.
	const { trace } = await ask(page, served, 'hello', {});
	const whole = async () => {
		await page.keyboard.press('0');
		await page.waitForFunction((to) => window.dejaview.view.value.to > to, trace.to);
		await settled(page);
	};
	await whole();
	await page.keyboard.press('Shift+R');
	await page.waitForFunction(() => !document.querySelector('.calls .waiting') && document.querySelector('.call-list'), undefined, { timeout: 200_000 });
	const [[count]] = await sql(page, served, "select count(*) from slice where name = 'vfs_write'");
	assert.equal(number(await page.locator('.calls h3').innerText()), Math.min(count, 1000));
	assert.equal(await page.locator('.call.lit').count(), 1);
	await page.locator('.call-list .call', { hasText: /./ }).nth(1).getByRole('button').click();
	await page.waitForFunction((start) => window.dejaview.selection.value.key.start > start, key.start);
	await page.locator('.this-call').waitFor();
	await page.locator('#omnibox').fill('schedule');
	await page.keyboard.press('Enter');
	await page.waitForFunction(() => document.querySelector('.details h2')?.textContent.includes('schedule'));
	await page.evaluate(() => document.querySelector('.scroller').focus());
	await whole();
	await page.keyboard.press('Shift+R');
	await page.locator('.calls').getByRole('button', { name: 'Cancel' }).click();
	await page.locator('.calls').getByText('Cancelled.').waitFor();
	await page.locator('.calls .waiting').waitFor({ state: 'detached' });
	for (let i = 0; i < 600 && qemus() > before; i++)
		await page.waitForTimeout(100);
	assert.equal(qemus(), before);
	await page.keyboard.press('4');
});

test('the start, the end, and a place on the ruler, each by its key; the bar moves while it seeks', async (t) => {
	if (!debugs)
		return t.skip('this daemon has no debugger');
	const { recording: r, trace } = await ask(page, served, 'hello', {});
	await page.evaluate(() => document.querySelector('.scroller').focus());
	await page.keyboard.press('{');
	await stands(trace.from);
	await page.keyboard.press('0');
	await page.waitForFunction((to) => window.dejaview.view.value.to > to, trace.to);
	await page.evaluate(() => {
		window.seen = [];
		const look = () => {
			const at = Number(document.querySelector('.replay-handle')?.textContent.replace(/\D/g, ''));
			if (at !== window.seen.at(-1))
				window.seen.push(at);
			window.aimed ||= Boolean(document.querySelector('.axis .target'));
			window.looking = requestAnimationFrame(look);
		};
		look();
	});
	await page.keyboard.press('}');
	await stands(r.to);
	await threadShown(r.to);
	const seen = await page.evaluate(() => {
		cancelAnimationFrame(window.looking);
		return window.seen;
	});
	// From a checkpoint near the end, if there is one by now, it is not far.
	assert.ok(await page.evaluate(() => window.aimed));
	assert.ok(seen.length > 2 && seen.every((at, i) => i === 0 || at > seen[i - 1]) && seen.at(-1) === r.to, seen.join());
	const axis = await page.locator('.axis').boundingBox();
	await page.mouse.click(axis.x + 500, axis.y + 12);
	const at = number(await page.locator('.axis .cursor').innerText());
	await page.evaluate(() => document.querySelector('.scroller').focus());
	await page.keyboard.press('h');
	await stands(at);
});

test('the console: the line under the bar is lit, and each line leads into the debugger', async (t) => {
	if (!debugs)
		return t.skip('this daemon has no debugger');
	await page.keyboard.press('3');
	const lit = page.locator('.console .line.lit');
	await lit.waitFor();
	const { lines, current } = await ask(page, served, 'console', { icount: await replayAt(), before: 1, count: 2 });
	const under = lines.find((line) => line.row === current) ?? lines[0];
	assert.equal(number(await lit.locator('.when').innerText()), under.icount);
	await page.getByRole('searchbox', { name: 'Filter lines' }).fill('Freeing unused kernel');
	const line = page.locator('.console .line').first();
	const at = number(await line.locator('.when').innerText());
	await line.hover();
	await line.getByRole('button', { name: 'Debug here' }).click();
	await stands(at);
	const { frames } = await ask(page, served, 'replay.stack', {});
	assert.ok(frames.some((f) => /printk|serial|uart|console|free_init|kernel_init/.test(f.function ?? '')), frames.map((f) => f.function).join());
	await page.keyboard.press('3');
	await page.getByRole('searchbox', { name: 'Filter lines' }).fill('');
	await page.waitForFunction((n) => document.querySelector('.console .line.lit .when')?.textContent.replace(/\D/g, '') === String(n), at);
	await page.evaluate(() => document.querySelector('.scroller').focus());
	await page.keyboard.press('4');
});

test('ending the debugger leaves no process behind', async (t) => {
	if (!debugs)
		return t.skip('this daemon has no debugger');
	assert.ok(below(served.pid).some((name) => name.startsWith('qemu')), below(served.pid).join());
	await page.locator('.debug-bar').getByRole('button', { name: 'End the debugger' }).click();
	await page.getByText('Debug any moment of the recording').waitFor();
	assert.deepEqual(below(served.pid).filter((name) => /qemu|gdb/.test(name)), []);
	assert.deepEqual(opened.complaints, []);
});
