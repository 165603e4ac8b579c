// SPDX-License-Identifier: GPL-2.0-or-later
// usage: node dap_test.mjs MODULES DEJAVIEW RECORDING VMLINUX
//
// Debugs a recording as an editor does, with the client that adapters are tested with
// (@vscode/debugadapter-testsupport). Prints TAP.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const [modules, dejaview, recording, vmlinux] = process.argv.slice(2);
const require = createRequire(resolve(modules, 'index.js'));
const { DebugClient } = require('@vscode/debugadapter-testsupport');

let count = 0;
let failed = 0;
function ok(good, what, more) {
	console.log(`${good ? 'ok' : 'not ok'} ${++count} - ${what}`);
	if (!good) {
		failed++;
		console.log(`# ${JSON.stringify(more)}`);
	}
}

function newClient() {
	const made = new DebugClient('node', '', 'dejaview');
	made.defaultTimeout = 120000;
	// The client starts "node SCRIPT"; the adapter is a program of its own.
	made._runtime = dejaview;
	made._executable = 'dap';
	return made;
}
const client = newClient();
const hasTypes = existsSync(vmlinux);

let where; // {icount, why}, from the adapter's own event
client.on('dejaview', (event) => { where = event.body; });
const progress = [];
for (const name of ['progressStart', 'progressUpdate', 'progressEnd'])
	client.on(name, (event) => progress.push(name));

// A request that makes the guest move, and the stop that ends it.
async function move(request) {
	const stopped = client.waitForEvent('stopped', 120000);
	await request;
	return (await stopped).body;
}
const top = async () => (await client.stackTraceRequest({ threadId: 1, startFrame: 0, levels: 1 })).body.stackFrames[0];
const insn = { threadId: 1, granularity: 'instruction' };

async function launch() {
	const capabilities = (await client.initializeRequest({
		clientID: 'test', adapterID: 'dejaview', linesStartAt1: true, pathFormat: 'path', supportsProgressReporting: true,
	})).body;
	ok(capabilities.supportsStepBack && capabilities.supportsDataBreakpoints, 'it says that it can go back', capabilities);
	const initialized = client.waitForEvent('initialized');
	await client.launchRequest({ recording, at: 'vfs_read#3', ...(hasTypes ? { debugInfo: vmlinux } : {}) });
	await initialized;
	const stopped = client.waitForEvent('stopped');
	await client.configurationDoneRequest();
	ok((await stopped).body.reason === 'entry', 'a launch stops at its place');
	const frame = await top();
	ok(frame.name === 'vfs_read', 'which is the call that was asked for', frame);
	return frame;
}

async function look(frame) {
	const threads = (await client.threadsRequest()).body.threads;
	ok(threads[0].id === 1 && /runs$/.test(threads[0].name) && threads.length > 3, 'the guest has threads', threads.slice(0, 5));
	let seen = 0;
	for (const thread of threads.slice(1, 8)) {
		const stack = (await client.stackTraceRequest({ threadId: thread.id })).body.stackFrames;
		seen = Math.max(seen, stack.length);
	}
	ok(seen > 3, 'those that do not run have stacks, too', seen);
	const stack = (await client.stackTraceRequest({ threadId: 1 })).body.stackFrames;
	ok(stack.length >= 1 && stack[0].instructionPointerReference === frame.instructionPointerReference, 'so has the one that runs', stack);
	const scopes = (await client.scopesRequest({ frameId: frame.id })).body.scopes;
	const registers = scopes.find((scope) => scope.name === 'Registers');
	const values = (await client.variablesRequest({ variablesReference: registers.variablesReference })).body.variables;
	const rip = values.find((v) => v.name === 'rip');
	ok(rip && BigInt(rip.value) === BigInt(frame.instructionPointerReference), 'registers are those of the place', rip);
	const sum = (await client.evaluateRequest({ expression: '$rip + 1', frameId: frame.id, context: 'watch' })).body;
	ok(sum.result !== undefined && sum.result !== '', 'expressions are evaluated', sum);
	const code = (await client.customRequest('disassemble', {
		memoryReference: frame.instructionPointerReference, instructionOffset: 0, instructionCount: 8 })).body.instructions;
	ok(code.length === 8 && BigInt(code[0].address) === BigInt(frame.instructionPointerReference)
		&& code.every((c) => c.instruction !== '??'), 'code is disassembled', code);
	const bytes = (await client.customRequest('readMemory', { memoryReference: frame.instructionPointerReference, count: 16 })).body;
	ok(Buffer.from(bytes.data, 'base64').length === 16, 'memory is read', bytes);
	const when = (await client.evaluateRequest({ expression: 'dv when', context: 'repl' })).body.result;
	ok(/\d{6,}/.test(when), 'the debug console has the dv commands', when);
}

const children = async (of) => (await client.variablesRequest({ variablesReference: of.variablesReference })).body.variables;
const failure = async (request) => request.then(() => undefined, (error) => String(error.message));

async function values(frame) {
	if (!hasTypes) {
		ok(true, 'values have types # SKIP no vmlinux');
		return;
	}
	const scopes = (await client.scopesRequest({ frameId: frame.id })).body.scopes;
	const locals = await children(scopes[0]);
	const file = locals.find((v) => v.name === 'file');
	ok(file?.type === 'struct file *' && file.variablesReference > 0, 'locals have types', locals);
	const members = await children(file);
	const position = members.find((v) => v.name === 'f_pos');
	ok(position?.evaluateName === 'file->f_pos' && position.value !== '', 'structs can be looked into', members.slice(0, 3));
	const same = (await client.evaluateRequest({ expression: position.evaluateName, frameId: frame.id, context: 'watch' })).body;
	ok(same.result === position.value, 'and each part has an expression of its own', { same, position });
	const info = (await client.customRequest('dataBreakpointInfo', { variablesReference: file.variablesReference, name: 'f_pos' })).body;
	ok(/^\*\(long long \*\) 0xffff/.test(info.dataId), 'a part can be watched where it lies', info);
	const inRegister = (await client.customRequest('dataBreakpointInfo', { variablesReference: scopes[0].variablesReference, name: 'file' })).body;
	ok(inRegister.dataId === null && /register/.test(inRegister.description), 'what is in a register cannot', inRegister);
	await move(client.customRequest('stepIn', insn));
	const stale = await failure(children(file));
	ok(/moved since/.test(stale), 'when the guest has moved, old values are refused', stale);
	await move(client.customRequest('stepBack', insn));
}

async function pause() {
	const running = client.waitForEvent('continued');
	const stopped = client.waitForEvent('stopped');
	await client.continueRequest({ threadId: 1 });
	await running;
	const refused = await failure(client.evaluateRequest({ expression: '$rip', context: 'hover' }));
	ok(/runs: pause it/.test(refused), 'what needs a guest that stands is refused while it runs', refused);
	ok((await client.threadsRequest()).body.threads.length > 3, 'its threads are shown all the same');
	await client.pauseRequest({ threadId: 1 });
	const { reason } = (await stopped).body;
	ok(reason === 'pause', 'and it can be paused', reason);
}

async function badLaunch() {
	const other = newClient();
	await other.start();
	await other.initializeRequest({ clientID: 'test', adapterID: 'dejaview', linesStartAt1: true, pathFormat: 'path' });
	const past = await failure(other.launchRequest({ recording, at: 10 ** 15 }));
	ok(/end/.test(past), 'a launch past the end says so', past);
	const wrong = await failure(other.launchRequest({ recording, at: ['end'] }));
	ok(/"at" is a number/.test(wrong), 'a place of another type, too', wrong);
	const none = await failure(other.launchRequest({ recording: `${recording}.none` }));
	ok(none.includes('.none'), 'so does one of no recording', none);
	await other.disconnectRequest();
}

async function step() {
	const path = [];
	for (let i = 0; i < 4; i++) {
		path.push((await top()).instructionPointerReference);
		await move(client.customRequest('stepIn', insn));
	}
	const back = [];
	for (let i = 0; i < 4; i++) {
		await move(client.customRequest('stepBack', insn));
		back.unshift((await top()).instructionPointerReference);
	}
	ok(JSON.stringify(path) === JSON.stringify(back), 'steps back retrace the steps forward', { path, back });
}

async function breakpoints() {
	const start = where.icount;
	const set = (await client.setFunctionBreakpointsRequest({ breakpoints: [{ name: 'vfs_write' }, { name: 'no_such_function_' }] })).body.breakpoints;
	ok(set[0].verified && !set[1].verified, 'breakpoints are set, and what cannot be is said', set);
	const hit = await move(client.continueRequest({ threadId: 1 }));
	const frame = await top();
	ok(hit.reason === 'breakpoint' && frame.name === 'vfs_write' && where.icount > start, 'continue runs into one', { hit, frame, where });
	const there = where.icount;
	await client.setFunctionBreakpointsRequest({ breakpoints: [] });
	await client.customRequest('setInstructionBreakpoints', { breakpoints: [{ instructionReference: first.instructionPointerReference }] });
	const back = await move(client.customRequest('reverseContinue', { threadId: 1 }));
	ok(back.reason === 'breakpoint' && (await top()).name === 'vfs_read' && where.icount < there, 'reverse continue runs back into one', { back, where, there });
	await client.customRequest('setInstructionBreakpoints', { breakpoints: [] });
}

async function data() {
	const name = '*(unsigned long *)&jiffies';
	const info = (await client.customRequest('dataBreakpointInfo', { name })).body;
	ok(info.dataId, 'memory can be watched', info);
	const set = (await client.customRequest('setDataBreakpoints', { breakpoints: [{ dataId: info.dataId, accessType: 'write' }] })).body.breakpoints;
	ok(set[0].verified, 'the watchpoint is there', set);
	const here = where.icount;
	const hit = await move(client.customRequest('reverseContinue', { threadId: 1 }));
	ok(hit.reason === 'data breakpoint' && where.icount < here, 'reverse continue finds the last write', { hit, where, here });
	ok(/->/.test(hit.text), 'and says the old and the new value', hit);
	await client.customRequest('setDataBreakpoints', { breakpoints: [] });
}

async function goTo() {
	const icount = where.icount + 50000000;
	const stopped = await move(client.customRequest('gotoIcount', { icount }));
	ok(stopped.reason === 'goto' && where.icount === icount, 'an instruction count is a place to go to', { stopped, where });
	const frame = await top();
	const sum = (await client.evaluateRequest({ expression: '$rip', frameId: frame.id, context: 'watch' })).body.result;
	ok(sum.includes(frame.instructionPointerReference.replace(/^0x0*/, '')), 'and gdb knows that it stands there', { sum, frame });
	const typed = (await client.evaluateRequest({ expression: 'dv when', context: 'repl' })).body.result;
	ok(typed.startsWith('icount'), 'the console has no word of caches', typed);
	ok(progress.includes('progressStart') && progress.includes('progressEnd'), 'its progress is told', progress);
	const said = client.waitForEvent('output', 120000);
	await client.customRequest('gotoIcount', { icount: 10 ** 15 });
	const { category, output } = (await said).body;
	ok(category === 'stderr' && output.includes('end'), 'one past the end is refused', { category, output });
}

function descendants() {
	return spawnSync('pgrep', ['-f', `qemu-system.*${recording}`]).stdout.toString().trim();
}

let first;
try {
	await client.start();
	first = await launch();
	await look(first);
	await values(first);
	await step();
	await breakpoints();
	await data();
	await goTo();
	await pause();
	await badLaunch();
	await client.disconnectRequest();
	for (let i = 0; i < 100 && descendants(); i++)
		await new Promise((done) => { setImmediate(done); });
	ok(!descendants(), 'nothing is left running');
} catch (error) {
	ok(false, 'no request fails', String(error.stack ?? error));
}
console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
