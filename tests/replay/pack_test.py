#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A recording with disks is packed, its originals are taken away, it is unpacked elsewhere and replays to the
same; archives that are broken or evil are refused and leave nothing."""
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'guest'))
import guest  # noqa: E402

TOOL = os.path.abspath(os.path.join(guest.BUILD, 'dejaview'))
MIB = 1 << 20


def tool(*args, cwd=None, status=0, data=None):
    done = subprocess.run([TOOL, *args], cwd=cwd, input=data, capture_output=True, timeout=300, check=False)
    err = done.stderr.decode(errors='replace')
    guest.check(done.returncode == status, f'{args[0]}: exit status {done.returncode}: {err[-600:]}')
    return done.stdout, err


def digest(path):
    with open(path, 'rb') as f:
        return hashlib.file_digest(f, 'sha256').hexdigest() if hasattr(hashlib, 'file_digest') else \
            hashlib.sha256(f.read()).hexdigest()


def run(*args):
    subprocess.run(args, check=True, capture_output=True)


def make_disks(folder):
    """A raw one of 256 MiB that is nearly all hole, and a qcow2 on top of another."""
    raw, low, high = (os.path.join(folder, n) for n in ('raw.img', 'low.qcow2', 'high.qcow2'))
    with open(raw, 'wb') as f:
        f.truncate(256 * MIB)
        for at in (5 * MIB, 200 * MIB):
            f.seek(at)
            f.write(os.urandom(65536))
    run('qemu-img', 'create', '-f', 'qcow2', low, '32M')
    run('qemu-io', '-c', 'write -P 0x5a 0 1M', low)
    run('qemu-img', 'create', '-f', 'qcow2', '-F', 'qcow2', '-b', low, high)
    run('qemu-io', '-c', 'write -P 0xa5 64k 64k', high)
    return raw, low, high


def record(folder):
    program, _ = guest.compile_golden(folder)
    initrd = os.path.join(folder, 'golden.gz')
    guest.initramfs(initrd, program)
    raw, low, high = make_disks(folder)
    recording = os.path.join(folder, 'disks.dejaview')
    tool('record', '--quiet', '-o', recording, '--', 'qemu-system-x86_64', '-machine', 'q35', '-m', '256', '-nographic',
         '-no-reboot', '-net', 'none', '-drive', f'file={raw},format=raw,if=none,id=first', '-device',
         'ide-hd,drive=first,bus=ide.0', '-drive', f'file={high},format=qcow2,if=none,id=second', '-device',
         'ide-hd,drive=second,bus=ide.1', '-kernel', guest.kernel('6.12'), '-initrd', initrd, '-append', 'console=ttyS0 panic=-1')
    return recording, raw, [raw, low, high]


def seek(recording, moments):
    return tool('seek', '--json', recording, *map(str, moments))[0]


def packed_it_replays_elsewhere(folder):
    recording, raw, disks = record(folder)
    info = json.loads(tool('info', '--json', recording)[0])
    last = info['recording']['end']['common_icount'] if 'recording' in info else info['end']['common_icount']
    moments = [last // 5, last // 2]
    want = seek(recording, moments)
    file = os.path.join(folder, 'packed.tar.zst')
    said = json.loads(tool('pack', '--quiet', '--json', recording, file)[0])
    guest.check(said['bytes'] > 256 * MIB and said['data_bytes'] < 64 * MIB, said)
    guest.check(said['pack_bytes'] == os.path.getsize(file) < 64 * MIB, said)
    guest.check('exists' in tool('pack', '--quiet', recording, file, status=1)[1], 'an existing file was replaced')
    stream, _ = tool('pack', '--quiet', recording, '-')
    raw_digest = digest(raw)
    for path in disks + [recording]:
        os.rename(path, path + '.away')

    elsewhere = os.path.join(folder, 'elsewhere')
    os.mkdir(elsewhere)
    tool('unpack', '--quiet', file, cwd=elsewhere)
    there = os.path.join(elsewhere, 'disks.dejaview')
    guest.check(os.listdir(elsewhere) == ['disks.dejaview'], os.listdir(elsewhere))
    base = os.path.join(there, 'base-0.img')
    guest.check(digest(base) == raw_digest, 'the raw disk is another')
    guest.check(os.stat(base).st_blocks * 512 < 4 * MIB, 'its holes are filled')
    guest.check(digest(os.path.join(there, 'rr.log')) == digest(os.path.join(recording + '.away', 'rr.log')), 'log')
    with open(os.path.join(there, 'pack.json'), encoding='utf-8') as f:
        pack = json.load(f)
    if os.path.exists('/usr/bin/dpkg-query'):
        guest.check('qemu-system-x86' in [p['package'] for p in pack['packages']], pack)
    guest.check(seek(there, moments) == want, 'seeks stand elsewhere')
    guest.check('exists' in tool('unpack', '--quiet', file, cwd=elsewhere, status=1)[1], 'a recording was replaced')
    tool('unpack', '--quiet', '--force', file, cwd=elsewhere)
    tool('unpack', '--quiet', '-o', 'streamed', '-', cwd=elsewhere, data=stream)
    names = sorted(os.listdir(os.path.join(elsewhere, 'streamed')))
    guest.check(names == sorted(os.listdir(there)), names)
    guest.check(sorted(os.listdir(elsewhere)) == ['disks.dejaview', 'streamed'], os.listdir(elsewhere))


# ---- archives of other people's ----

class Maker:
    """A small packed recording, right unless told otherwise."""

    def __init__(self):
        self.plan = {'binary': 'qemu-system-x86_64', 'arch': 'x86_64', 'directory': '/', 'icount': 'shift=auto',
                     'has_network': False, 'has_console': False, 'memory_bytes': 1, 'command': [], 'notes': [],
                     'images': [], 'files': [{'role': 'kernel', 'path': '/k', 'stored': 'kernel'}], 'args': []}
        self.files = {'kernel': b'a kernel', 'rr.log': b'a log'}
        self.top, self.announce, self.extra, self.sums, self.order = 'x.dejaview', {}, [], None, None

    def make(self):
        self.files = {'manifest.json': json.dumps({'schema': 1, 'state': 'complete', 'plan': self.plan}).encode(),
                      **self.files}
        total = sum(map(len, self.files.values()))
        pack = {'schema': 1, 'files': len(self.files), 'bytes': total, 'data_bytes': total, **self.announce}
        entries = {'pack.json': json.dumps(pack).encode(), **self.files}
        sums = ''.join(f'{hashlib.sha256(d).hexdigest()}  {n}\n' for n, d in entries.items())
        entries['SHA256SUMS'] = sums.encode() if self.sums is None else self.sums(sums).encode()
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
            for name in self.order(list(entries)) if self.order else list(entries):
                if name == 'SHA256SUMS':
                    for info, data in self.extra:
                        tar.addfile(info, io.BytesIO(data))
                info = tarfile.TarInfo(f'{self.top}/{name}')
                info.size = len(entries[name])
                tar.addfile(info, io.BytesIO(entries[name]))
        return subprocess.run(['zstd', '-q', '-c'], input=out.getvalue(), capture_output=True, check=True).stdout


def entry(name, kind=tarfile.REGTYPE, link='', data=b''):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info, data


def with_extra(*extra):
    maker = Maker()
    maker.extra = [entry(*e) if isinstance(e, tuple) else entry(e) for e in extra]
    maker.announce = {'files': 5}
    return maker.make()


def changed(**members):
    maker = Maker()
    for name, value in members.items():
        setattr(maker, name, value)
    return maker.make()


def planned(**members):
    maker = Maker()
    maker.plan.update(members)
    return maker.make()


def image(path):
    return {'name': 'hda', 'path': path, 'format': 'raw', 'overlay': None, 'virtual_bytes': 1, 'backing': []}


def evil():
    good = Maker().make()
    zeros = Maker()
    zeros.files['kernel'] = bytes(1 << 24)
    zeros.announce = {'bytes': 1000, 'data_bytes': 1000}
    yield 'climbs', with_extra('x.dejaview/../evil'), 'no file of a recording'
    yield 'is absolute', with_extra('/tmp/evil'), 'no file of a recording'
    yield 'is elsewhere', with_extra('other/evil'), "outside of 'x.dejaview'"
    yield 'is nested', with_extra('x.dejaview/a/b'), 'no file of a recording'
    yield 'is hidden', with_extra('x.dejaview/.evil'), 'no file of a recording'
    yield 'is a link', with_extra(('x.dejaview/evil', tarfile.SYMTYPE, '/etc/passwd')), 'no plain file'
    yield 'is a hard link', with_extra(('x.dejaview/evil', tarfile.LNKTYPE, 'x.dejaview/kernel')), 'no plain file'
    yield 'is a folder', with_extra(('x.dejaview/evil', tarfile.DIRTYPE)), 'no '
    yield 'is a device', with_extra(('x.dejaview/evil', tarfile.CHRTYPE)), 'no plain file'
    yield 'comes twice', with_extra('x.dejaview/kernel'), 'comes twice'
    yield 'is not in the sums', with_extra('x.dejaview/more'), "does not have every file"
    yield 'too many', changed(announce={'files': 2}), 'more than the 2 files'
    yield 'says nothing', changed(announce={'files': 0}), 'does not say what is in it'
    yield 'is newer', changed(announce={'schema': 2}), 'newer dejaview'
    yield 'is huge', changed(announce={'bytes': 1 << 50, 'data_bytes': 1 << 50}), '--max-size'
    yield 'is a bomb', zeros.make(), 'more than the 1000 bytes'
    yield 'another order', changed(order=lambda names: names[1:] + names[:1]), "not 'pack.json'"
    yield 'wrong digest', changed(sums=lambda s: s.replace(s[:64], '0' * 64, 1)), 'is damaged'
    yield 'odd sums', changed(sums=lambda s: 'nonsense\n' + s), 'a line that is none'
    yield 'no sums', changed(order=lambda names: names[:-1]), 'it is not whole'
    yield 'is cut', good[:len(good) // 2], ''
    yield 'is flipped', good[:60] + bytes([good[60] ^ 0xff]) + good[61:], ''
    yield 'is nothing', b'', ''
    yield 'is no archive', b'hello, world\n' * 100, ''
    yield 'a program', planned(binary='/tmp/evil'), 'its QEMU is called'
    yield 'another program', planned(binary='sh'), 'its QEMU is called'
    yield 'a disk outside', planned(images=[image('/etc/passwd')]), 'the image of drive hda is not in it'
    yield 'a disk above', planned(images=[image('../x')]), 'the image of drive hda is not in it'
    yield 'a kernel outside', planned(files=[{'role': 'kernel', 'path': '/k', 'stored': '/etc/passwd'}]), 'not in it'
    yield 'a bare manifest', planned(args=3), ''


def evil_archives_leave_nothing(folder):
    place = os.path.join(folder, 'evil', 'place')
    os.makedirs(place)
    tool('unpack', '--quiet', '-o', 'good', '-', cwd=place, data=Maker().make())
    guest.check(os.listdir(place) == ['good'], os.listdir(place))
    for what, data, words in evil():
        _, err = tool('unpack', '--quiet', '-', cwd=place, data=data, status=1)
        guest.check(words in err and err.startswith('dejaview unpack: '), f'{what}: {err}')
        guest.check(os.listdir(place) == ['good'], f'{what}: left {os.listdir(place)}')
        guest.check(os.listdir(os.path.dirname(place)) == ['place'], f'{what}: wrote outside')
    guest.check(not os.path.exists('/tmp/evil'), 'it wrote to /tmp/evil')


def an_interrupted_pack_leaves_nothing(folder):
    recording = os.path.join(folder, 'elsewhere', 'disks.dejaview')
    place = os.path.join(folder, 'interrupted')
    os.mkdir(place)
    with subprocess.Popen([TOOL, 'pack', '--level', '19', recording, 'x.tar.zst'], cwd=place, stderr=subprocess.PIPE,
                          text=True) as pack:
        pack.stderr.readline()
        pack.send_signal(signal.SIGINT)
        words = pack.stderr.read()
    guest.check(pack.returncode == 1 and 'interrupted' in words, f'{pack.returncode}: {words}')
    guest.check(not os.listdir(place), os.listdir(place))


if __name__ == '__main__':
    guest.main([packed_it_replays_elsewhere, evil_archives_leave_nothing, an_interrupted_pack_leaves_nothing])
