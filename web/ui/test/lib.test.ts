// SPDX-License-Identifier: GPL-2.0-or-later
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { exact, parseCount, percent, short } from '../src/lib/format.ts';
import { fuzzy, matcher, searchGlob } from '../src/lib/glob.ts';
import { colourOf, hash, oklch, subsystem } from '../src/timeline/colours.ts';
import { holdsMore, memberOf } from '../src/lib/expressions.ts';
import { Kind } from '../src/lib/types.ts';

test('numbers as people read them', () => {
	assert.equal(exact(1234567), '1\u202f234\u202f567');
	assert.equal(short(999), '999');
	assert.equal(short(999_999), '1.00\u202fM');
	assert.equal(short(1_234_567), '1.23\u202fM');
	assert.equal(short(123_456_789_012), '123\u202fG');
	assert.equal(percent(1, 3), '33.3\u202f%');
	assert.equal(percent(1, 1e6), '<\u202f0.1\u202f%');
});

test('numbers as people type them', () => {
	assert.equal(parseCount('1 234 567'), 1234567);
	assert.equal(parseCount('1\u202f234'), 1234);
	assert.equal(parseCount('1.5G'), 1.5e9);
	assert.equal(parseCount('0x10'), 16);
	assert.ok(Number.isNaN(parseCount('schedule')));
	assert.ok(Number.isNaN(parseCount('')));
});

test('globs', () => {
	assert.equal(searchGlob('sched'), '*sched*');
	assert.equal(searchGlob('sys_*'), 'sys_*');
	assert.ok(matcher('sched')('__schedule'));
	assert.ok(!matcher('sched*')('__schedule'));
	assert.ok(matcher('__x64_sys_?pen*')('__x64_sys_openat'));
	assert.ok(matcher('[a-c]lloc')('blloc'));
	assert.ok(!matcher('[^a-c]lloc')('blloc'));
	assert.ok(matcher('a.b+c')('xa.b+cx'));
	assert.ok(!matcher('a.b')('aXb'));
	assert.ok(matcher('[')('['));
	assert.ok(!matcher('Sched')('sched') && matcher('sched')('Sched'));
});

test('letters typed in order', () => {
	assert.equal(fuzzy('zz', 'Zoom in'), undefined);
	assert.ok(fuzzy('zi', 'Zoom in')! > fuzzy('zi', 'Fuzzy tail, it')!);
});

test('what belongs together has one hue', () => {
	assert.equal(subsystem({ name: 'kmem_cache_alloc' }), 'memory');
	assert.equal(subsystem({ name: '__alloc_pages' }), 'memory');
	assert.equal(subsystem({ name: 'virtblk_probe', module: 'virtio_blk' }), 'virtio_blk');
	assert.equal(subsystem({ name: 'anything', file: 'fs/ext4/inode.c' }), 'filesystem');
	assert.notEqual(colourOf({ name: 'schedule' }, Kind.Call, false), colourOf({ name: 'schedule' }, Kind.Interrupt, false));
	assert.notEqual(hash('a'), hash('b'));
});

test('colours are colours', () => {
	assert.equal(oklch(1, 0, 0), 0xffffffff);
	assert.equal(oklch(0, 0, 0), 0xff000000);
});

test('parts of variables as gdb takes them', () => {
	assert.equal(memberOf({ expression: 'task', type: 'struct task_struct *' }, 'comm'), '(task)->comm');
	assert.equal(memberOf({ expression: 'task', type: 'struct task_struct *const' }, 'comm'), '(task)->comm');
	assert.equal(memberOf({ expression: '(task)->comm', type: 'char [16]' }, '3'), '((task)->comm)[3]');
	assert.equal(memberOf({ expression: 'wait', type: 'struct wait_queue_entry' }, 'flags'), '(wait).flags');
	assert.equal(memberOf({ expression: 'n', type: 'int *' }, '*n'), '*(n)');
	assert.equal(memberOf({ expression: 'page', type: 'struct page *' }, '<anonymous union>'), 'page');
	assert.ok(holdsMore({ type: 'struct list_head', value: '{...}' }));
	assert.ok(holdsMore({ type: 'struct file *', value: '0xffff888003d2a000' }));
	assert.ok(!holdsMore({ type: 'struct file *', value: '0x0' }));
	assert.ok(!holdsMore({ type: 'void *', value: '0xffff888003d2a000' }));
	assert.ok(!holdsMore({ type: 'int (*)(void)', value: '0xffffffff81000000' }));
	assert.ok(!holdsMore({ type: 'unsigned long', value: '3' }));
});
