#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of user space and of kernel modules, on both kernels: a program and its library in the initramfs,
a static one, a stripped one, one on the ext4 partition of a qcow2, the virtio modules; each name against
what nm says of the file."""
import collections
import glob
import json
import lzma
import os
import re
import subprocess
import guest
import tails

SOURCES = os.path.join(guest.HERE, 'names')
DUMP = os.path.join(guest.BUILD, 'tests/trace/dump-places')
MODULES = ['virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_blk']
FLAGS = ['gcc', '-O1', '-fno-optimize-sibling-calls']


def build(out, sources, *flags):
    subprocess.run([*FLAGS, '-o', out, *(os.path.join(SOURCES, s) for s in sources), *flags], check=True)
    return out


def nm(path):
    names = {}
    for line in subprocess.run(['nm', path], check=True, capture_output=True, text=True).stdout.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in 'tTwWi':
            names.setdefault(int(fields[0], 16), set()).add(fields[2].split('@')[0])
    return names


def programs(folder):
    path = lambda name: os.path.join(folder, name)
    if not os.path.exists(path('ondisk')):
        build(path('init'), ['init.c'], '-static')
        build(path('libguest.so'), ['library.c'], '-shared', '-fPIC')
        build(path('dynamic'), ['dynamic.c'], '-g', '-pie', '-fPIE', '-L' + folder, '-lguest')
        build(path('stripped'), ['dynamic.c', 'library.c'], '-static', '-s')
        build(path('exporting'), ['dynamic.c', 'library.c'], '-pie', '-fPIE', '-rdynamic')
        tails.build(folder)
        build(path('ondisk'), ['dynamic.c', 'library.c'], '-static-pie', '-fPIE')
    return path


def dependencies(program):
    """The shared libraries as the guest's loader will look for them."""
    found = {}
    for line in subprocess.run(['ldd', program], check=True, capture_output=True, text=True).stdout.splitlines():
        for word in line.split():
            if word.startswith('/') and not 'libguest' in word:
                found[word] = os.path.realpath(word)
    return found


def directories(names):
    made = []
    for name in names:
        parts = name.strip('/').split('/')[:-1]
        for i in range(len(parts)):
            part = '/'.join(parts[:i + 1])
            if part not in made:
                made.append(part)
    return made


def kernel_modules(series):
    root = os.path.join(guest.KERNELS, series, 'modules')
    for name in MODULES:
        for path in glob.glob(f'{root}/**/{name}.ko*', recursive=True):
            yield name, guest.read_bytes(path)


def debug_folder(series):
    """Modules with DWARF, of the kernel's debug package; None when it was not fetched."""
    path = os.path.join(guest.KERNELS, series, 'debug')
    return path if os.path.isdir(path) else None


def debug_module(series, name):
    return glob.glob(f'{debug_folder(series)}/**/{name}.ko', recursive=True)[0]


def build_id(path):
    text = subprocess.run(['readelf', '-n', path], check=True, capture_output=True, text=True).stdout
    return next(line.split(':')[1].strip() for line in text.splitlines() if 'Build ID:' in line)


def make_initrd(path, out, series):
    files = {'usr/bin/dynamic': path('dynamic'), 'usr/bin/stripped': path('stripped'), 'init': path('init'),
             'usr/lib/libguest.so': path('libguest.so'), 'usr/bin/exporting': path('exporting'),
             'usr/bin/tails': path('tails'), 'usr/lib/libtails.so': path('libtails.so')}
    files.update({name.lstrip('/'): real for name, real in dependencies(path('dynamic')).items()})
    archive = b''.join(guest.newc(d, 0o40755) for d in directories(list(files) + ['m/x', 'dev/x']))
    archive += guest.newc('dev/console', 0o20600, rdev=(5, 1))
    for name, real in files.items():
        with open(real, 'rb') as f:
            archive += guest.newc(name, 0o100755, f.read())
    loaded = {}
    for number, (name, data) in enumerate(kernel_modules(series)):
        archive += guest.newc(f'm/{number}.ko', 0o100644, data)
        with open(path(name + '.ko'), 'wb') as f:
            f.write(data)
        loaded[name] = build_id(path(name + '.ko'))
    early = guest.newc('kernel', 0o40755) + guest.newc('TRAILER!!!', 0) + b'\0' * 512
    with open(out, 'wb') as f:
        f.write(early + lzma.compress(archive + guest.newc('TRAILER!!!', 0), check=lzma.CHECK_CRC32, preset=0))
    return loaded


def make_disk(path):
    root, raw, out = path('root'), path('disk.raw'), path('disk.qcow2')
    if os.path.exists(out):
        return out
    os.makedirs(root + '/opt')
    os.link(path('ondisk'), root + '/opt/ondisk')
    run = lambda *args, **more: subprocess.run(args, check=True, capture_output=True, **more)
    with open(raw, 'wb') as f:
        f.truncate(24 << 20)
    run('sfdisk', '-q', raw, input=b'label: gpt\nstart=2048\n')
    run('mke2fs', '-q', '-t', 'ext4', '-d', root, '-E', 'offset=1048576', raw, '20000k')
    run('qemu-img', 'convert', '-O', 'qcow2', raw, out)
    return out


def dump(what, trace):
    text = subprocess.run([DUMP, what, trace], check=True, capture_output=True, text=True).stdout
    return [line.split('\t') for line in text.splitlines()]


def check_file(functions, module, file, least, static=frozenset()):
    """Each function of a file is at nm's address; those in no symbol, or of which only dynamic symbols were there
    to be read, are module+offset."""
    want, found = nm(file), set()
    for _, address, _, _, of, _, _, name in functions:
        if of != module or name.endswith('@plt'):
            continue
        if int(address, 16) in want and static & want[int(address, 16)]:
            guest.check(name == f'{module}+0x{address}', f'{module}: {name} at {address} is no dynamic symbol')
        elif int(address, 16) in want and '+0x' not in name:
            guest.check(name in want[int(address, 16)], f'{module}: {name} at {address} is {want[int(address, 16)]}')
            found.add(name)
        else:
            guest.check('+0x' in name and (static or int(address, 16) not in want),
                        f'{module}: {name} at {address}, where nm has {want.get(int(address, 16))}')
    guest.check(least <= found, f'{module}: {least - found} are missing of {sorted(found)}')


def check_lines(functions, module, source):
    """Functions have the line of their definition."""
    with open(os.path.join(SOURCES, source), encoding='ascii') as f:
        lines = f.read().splitlines()
    for name in ('main', 'outer', 'recurse'):
        want = next(i for i, line in enumerate(lines, 1) if f'int {name}(' in line and not line.endswith(';'))
        got = [(os.path.basename(f[5]), int(f[6])) for f in functions if f[4] == module and f[7] == name]
        guest.check(got == [(source, want)], f'{name} is at {got}, not at {source}:{want}')


def children(slices, name, comm):
    """Names of what is called directly from the first slice of that name, in order."""
    mine = sorted((s for s in slices if s.comm == comm), key=lambda s: (s.start, s.depth))
    for i, s in enumerate(mine):
        if s.name == name:
            return [c.name for c in mine[i + 1:] if c.tid == s.tid and c.depth == s.depth + 1 and
                    c.start < s.start + s.dur and c.kind in ('', 'tail call')]
    return None


def check_calls(slices):
    guest.check(children(slices, 'main', 'dynamic') == ['malloc@plt', 'outer', 'from_library@plt', 'free@plt'],
                f"main calls {children(slices, 'main', 'dynamic')}")
    guest.check(children(slices, 'outer', 'dynamic') == ['recurse'], f"outer calls {children(slices, 'outer', 'dynamic')}")
    guest.check(sum(s.name == 'recurse' and s.comm == 'dynamic' for s in slices) == 12, 'recurse is called 12 times')
    guest.check(any(s.name == 'hidden' and s.comm == 'dynamic' for s in slices), 'no function of the library')
    bare = {s.name for s in slices if s.comm in ('dynamic', 'stripped', 'ondisk') and s.name.startswith('0x')}
    guest.check(not bare, f'bare addresses: {sorted(bare)[:5]}')


def check_mappings(trace):
    rows = [r for r in dump('--mappings', trace) if r[6].endswith('/libguest.so')]
    guest.check(len(rows) == 2, f'libguest.so is mapped {len(rows)} times, not by two processes')
    guest.check(rows[0][3] != rows[1][3], 'both processes have libguest.so at one address: no ASLR to be tested')
    guest.check(all(r[7] for r in rows), 'libguest.so has no build id')
    guest.check(int(rows[0][1]) <= int(rows[1][0]), 'the first process ended before the second began')


def check_commands(trace):
    """What programs were started with; init as the kernel starts it."""
    rows = json.loads(subprocess.run([os.path.join(guest.BUILD, 'dejaview'), 'query', '--json', trace,
                                      'select name, cmdline from process where cmdline is not null'], check=True,
                                     capture_output=True, text=True).stdout)
    got = sorted((row['name'], row['cmdline']) for row in rows)
    paths = ['/copied', '/mnt/opt/ondisk', '/usr/bin/dynamic', '/usr/bin/dynamic', '/usr/bin/stripped']
    want = sorted([(os.path.basename(p), p + ' -x two words') for p in paths] +
                  [('init', '/init'), ('tails', '/usr/bin/tails'), ('tails', '/usr/bin/tails first')])
    guest.check(got == want, f'command lines are {got}, not {want}')


def check_modules(trace, functions, loaded):
    modules = {m[2]: (int(m[3], 16), int(m[4], 16)) for m in dump('--modules', trace)}
    guest.check(sorted(modules) == sorted(loaded), f'modules {sorted(modules)}, loaded were {sorted(loaded)}')
    ids = {m[2]: m[7] for m in dump('--modules', trace)}
    guest.check(ids == loaded, f'build ids are {ids}, not {loaded}')
    start, size = modules['virtio_blk']
    named = {f[7]: int(f[1], 16) for f in functions if f[4] == 'virtio_blk'}
    for name in ('[virtio_blk] virtblk_probe', '[virtio_blk] virtio_queue_rq'):
        guest.check(name in named, f'no {name} among {sorted(named)}')
        guest.check(start <= named[name] < start + size, f'{name} lies outside of the module')
    guest.check(any('init' in name for name in named), f'no init function among {sorted(named)}')
    bare = [f[7] for f in functions if f[3] == '1' and '0x' in f[7]]
    guest.check(not bare, f"addresses in modules' code: {bare[:5]}")


def lines_of_module(path):
    """Where gdb says that a file's functions are declared, by name; names that are there twice are left out."""
    text = subprocess.run(['gdb', '-q', '-batch', '-nx', '-ex', 'info functions -n .', path], check=True,
                          capture_output=True, text=True).stdout
    lines, file = collections.defaultdict(set), None
    for line in text.splitlines():
        if line.startswith('File '):
            file = line[5:-1]
        found = re.match(r'(\d+):\t.*?(\w+)\(', line)
        if found:
            lines[found[2]].add(f'{file}:{found[1]}')
    return {name: places.pop() for name, places in lines.items() if len(places) == 1}


def check_module_lines(series, functions, loaded):
    for module in loaded:
        want = lines_of_module(debug_module(series, module))
        named = {f[7].split(' ')[-1]: f'{f[5]}:{f[6]}' for f in functions if f[4] == module and '+0x' not in f[7]}
        got = {name: place for name, place in named.items() if name in want}
        wrong = {name: (place, want[name]) for name, place in got.items() if not want[name].endswith(place)}
        guest.check(not wrong and (got or module != 'virtio_blk'), f'{module}: of {len(got)} functions, other lines than gdb has: {wrong}')


def ask(*arguments):
    """What `dejaview where --json` prints."""
    return json.loads(subprocess.run([os.path.join(guest.BUILD, 'dejaview'), 'where', '--json', *arguments], check=True,
                                     capture_output=True, text=True).stdout)


def frames_of(place):
    return [(f['function'], os.path.basename(f['file']), f['line'], f['inlined']) for f in place['frames']]


def where(file, *places):
    return [frames_of(place) for place in ask(file, *places)]


def inlined_store(program):
    """The address, in a file, of the store that was inlined into outer()."""
    text = subprocess.run(['objdump', '-d', '--disassemble=outer', program], check=True, capture_output=True,
                          text=True).stdout.splitlines()
    call = next(i for i, line in enumerate(text) if 'call' in line and 'recurse' in line)
    return int(text[call + 1].split(':')[0], 16)


def check_where_of_programs(trace, path):
    """A user address is found by what its process had mapped there; what addr2line says of the file is the oracle."""
    store = inlined_store(path('dynamic'))
    out = subprocess.run(['addr2line', '-i', '-f', '-e', path('dynamic'), hex(store)], check=True, capture_output=True,
                         text=True).stdout.split()
    want = [(f, os.path.basename(at.split(':')[0]), int(at.split(':')[1])) for f, at in zip(out[::2], out[1::2])]
    guest.check([f for f, _, _ in want] == ['keep', 'outer'], f'addr2line sees {want}')
    for row in [r for r in dump('--mappings', trace) if r[6] == '/usr/bin/dynamic']:
        vaddr = hex(store - int(row[5], 16) + int(row[3], 16))
        for options in (['--pid', row[2]], ['--at', row[0]], []):
            answers = ask(*options, trace, vaddr)
            found = [a for a in answers if a['module'] == '/usr/bin/dynamic']
            guest.check(len(found) == 1 and int(row[2]) in found[0]['pids'] and found[0]['symbol'] == 'outer' and
                        int(found[0]['file_address'], 16) == store, f'{vaddr} {options}: {answers}')
            guest.check([f[:3] for f in frames_of(found[0])] == want, f'{vaddr}: {found[0]["frames"]}, not {want}')
    for place, module in (('recurse', None), ('dynamic:recurse', '/usr/bin/dynamic'), ('libguest.so:hidden', '/usr/lib/libguest.so'),
                          ('ondisk:main', '/mnt/opt/ondisk')):
        answers = ask(trace, place)
        guest.check(answers and all(module in (None, a['module']) and a['symbol'] == place.split(':')[-1] for a in answers),
                    f'{place}: {answers}')
    guest.check(ask(trace, 'stripped+0x1234')[0]['module'] == '/usr/bin/stripped', 'a place that the trace has no name for')
    none = subprocess.run([os.path.join(guest.BUILD, 'dejaview'), 'where', '--pid', '1', trace, vaddr], capture_output=True,
                          text=True)
    guest.check(none.returncode == 1 and 'no process of that pid had code there' in none.stderr, none.stderr)


def check_where_of_modules(series, trace, functions):
    """By address as it ran and by name, against gdb's lines of the file."""
    vaddr = next(f[1] for f in functions if f[7] == '[virtio_blk] virtblk_probe')
    for place in ('0x' + vaddr, '[virtio_blk] virtblk_probe', 'virtio_blk:virtblk_probe', 'virtblk_probe'):
        answers = ask('--debug-info', debug_folder(series), trace, place)
        guest.check(len(answers) == 1 and answers[0]['module'] == 'virtio_blk' and int(answers[0]['address'], 16) == int(vaddr, 16)
                    and answers[0]['symbol'] == 'virtblk_probe', f'{place}: {answers}')
        guest.check(answers[0]['frames'][-1]['file'] == 'drivers/block/virtio_blk.c', f'{place}: {answers}')


def names(series):
    def run(folder):
        path = programs(folder)
        disk = make_disk(path)
        initrd = path(f'{series}.initrd')
        loaded = make_initrd(path, initrd, series)
        machine = guest.Guest(series, initrd, folder)
        debug = {'debug_info': debug_folder(series)} if debug_folder(series) else {}
        out = path(f'{series}.dvtrace')
        result = machine.run('-icount', 'shift=auto', '-drive', f'file={disk},if=virtio', *machine.plugin(out, disk=disk, **debug))
        guest.check(not result.returncode, f'QEMU exited with {result.returncode}: {result.stderr.strip()[-300:]}')
        functions = dump('--functions', out)
        check_file(functions, 'init', path('init'), {'main', 'run'})
        check_file(functions, 'dynamic', path('dynamic'), {'main', 'outer', 'recurse'})
        check_file(functions, 'libguest.so', path('libguest.so'), {'hidden'})
        check_file(functions, 'ondisk', path('ondisk'), {'main', 'outer', 'recurse', 'from_library', 'hidden'})
        check_file(functions, 'copied', path('exporting'), {'main', 'outer', 'from_library'}, {'recurse', 'hidden'})
        stripped = [f[7] for f in functions if f[4] == 'stripped']
        guest.check(stripped and all(s.startswith('stripped+0x') for s in stripped), f'stripped has {stripped[:5]}')
        check_lines(functions, 'dynamic', 'dynamic.c')
        check_calls(list(guest.read(out)))
        check_mappings(out)
        tails.check_trees(out)
        tails.check_places([r for r in dump('--mappings', out) if r[6].endswith('/libtails.so')])
        check_modules(out, functions, loaded)
        check_commands(out)
        check_where_of_programs(out, path)
        if debug:
            check_module_lines(series, functions, loaded)
            check_where_of_modules(series, out, functions)
    run.__name__ = f'names_of_programs_libraries_and_modules_on_{series}'
    return run


def where_lists_what_is_inlined(folder):
    program = build(os.path.join(folder, 'inlined'), ['inlined.c'], '-g')
    with open(os.path.join(SOURCES, 'inlined.c'), encoding='ascii') as f:
        line = {text.strip(): number for number, text in enumerate(f.read().splitlines(), 1)}
    start = next(a for a, names in nm(program).items() if 'outermost' in names)
    # The store is what is left of the three functions: it is looked for among the instructions.
    text = subprocess.run(['objdump', '-d', '--disassemble=outermost', program], check=True, capture_output=True,
                          text=True).stdout
    store = next(int(l.split(':')[0], 16) for l in text.splitlines() if 'sink' in l)
    want = [('innermost', 'inlined.c', line['sink = n;'], True), ('middle', 'inlined.c', line['innermost(n + 1);'], True),
            ('outermost', 'inlined.c', line['middle(n);'], False)]
    for place in (hex(store), f'outermost+{store - start}'):
        guest.check(where(program, place) == [want], f'{place} is {where(program, place)}, not {want}')
    # A relocatable file, as modules are: the same code, nothing of it at an address yet.
    relocatable = build(os.path.join(folder, 'inlined.o'), ['inlined.c'], '-g', '-c')
    place = f'outermost+{store - start}'
    guest.check(where(relocatable, place) == [want], f'{place} is {where(relocatable, place)} of the .o, not {want}')
    main = where(relocatable, 'main')[0]
    guest.check(len(main) == 1 and main[0][:2] == ('main', 'inlined.c') and
                line['int main(void)'] <= main[0][2] <= line['outermost(sink);'], f'main is {main} of the .o')
    for arguments, words in (([program, 'nowhere'], "no function 'nowhere' in "), ([program, '[x'], 'a ] is missing'),
                             ([program, 'main+1x'], "'1x' is no offset"),
                             (['--sysroot', folder + '/none', program, 'main'], 'No such file')):
        nothing = subprocess.run([os.path.join(guest.BUILD, 'dejaview'), 'where', *arguments], capture_output=True, text=True)
        guest.check(nothing.returncode == 1 and words in nothing.stderr, f'{arguments}: {nothing.stderr}')


if __name__ == '__main__':
    guest.main([where_lists_what_is_inlined, names('6.1'), names('6.12')])
